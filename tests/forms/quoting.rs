//! What stands in the document of a secret is in no message, wherever it stands.

use super::Sandbox;

const CANARY: &str = "c4n4ry-S3cr3t";

const HEAD: &str = "version: v1\nkind: Secret\nmetadata: {name: s}\n";

/// Documents with a canary where something is wrong with it, or beside what is wrong.
const WRONG: &[&str] = &[
    "type: @\ndata: {K: x}\n",
    "type: [@]\ndata: {K: x}\n",
    "type: {@: 1}\ndata: {K: x}\n",
    "type: keys\ndata: @\n",
    "type: keys\ndata: [@]\n",
    "type: keys\ndata: {K: {@}}\n",
    "type: keys\ndata: {K: {@: x}}\n",
    "type: keys\ndata: {K: [@]}\n",
    "type: keys\ndata: {K: {from: @}}\n",
    "type: keys\ndata: {K: {from: {@}}}\n",
    "type: keys\ndata: {K: {from: {env: [@]}}}\n",
    "type: keys\ndata: {K: {from: {vault: @}}}\n",
    "type: keys\ndata: {K: {from: {command: @}}}\n",
    "type: keys\ndata: {K: {from: {age: [@]}}}\n",
    "type: keys\ndata: {K: {from: {env: X}, allow_empty: @}}\n",
    "type: keys\ndata: {K: x}\nlifecycle: {delete: @}\n",
    "type: keys\ndata: {K: x}\nlifecycle: {prevent_destroy: @}\n",
    "type: keys\ndata: {K: x}\nlifecycle: {ignore: [@]}\n",
    "type: keys\ndata: {K: x}\nlifecycle: {ignore: ['data.K.@']}\n",
    "type: keys\ndata: {K: x}\nlifecycle: @\n",
    "type: keys\nvalue: @\n",
    "type: keys\nstringData: {K: @}\n",
    "type: docker\nserver: @\nusername: @\n",
    "type: docker\nserver: [@]\nusername: u\npassword: p\n",
    "type: docker\npassword: !@ x\n",
    "type: docker\npassword: {@: 1, @: 2}\n",
    "type: docker\npassword: *@\n",
    "type: docker\npassword: \"@\n",
    "type: docker\npassword: @: x: y\n",
    "type: docker\npassword: {from: @, @\n",
    "type: gar\njson_key: '@'\nserver: x\nextra: @\n",
    "type: keys\ndata: {K: @}\n---\n@\n",
];

fn is_hidden(sandbox: &Sandbox, file: &str, text: &str) {
    sandbox.write(file, text);
    for command in [&["validate", "-f", file][..], &["plan", "-f", file, "--embedded"]] {
        let run = sandbox.run(command);
        assert_ne!(run.code, 0, "{text}");
        let shown = format!("{}{}", run.stdout, run.stderr);
        assert!(!shown.contains("c4n4ry"), "{command:?}\n{text}\n{shown}");
        assert!(shown.contains(file), "{shown}");
    }
}

#[test]
fn nothing_of_a_secrets_document_is_quoted() {
    let sandbox = Sandbox::new();
    for wrong in WRONG {
        let text = format!("{HEAD}{}", wrong.replace('@', CANARY));
        is_hidden(&sandbox, "s.yaml", &text);
        is_hidden(&sandbox, "s.yaml.j2", &text.replace("{{", "{ {").replace("}}", "} }"));
    }
    for head in ["version: @\nkind: Secret\nmetadata: {name: s}\n", "kind: Secret\nmetadata: @\n"] {
        let text = format!("{}type: keys\ndata: {{K: x}}\n", head.replace('@', CANARY));
        is_hidden(&sandbox, "s.yaml", &text);
    }
}

#[test]
fn nothing_of_a_rendered_secret_is_quoted() {
    let sandbox = Sandbox::new();
    for wrong in WRONG {
        let text = format!("{HEAD}{}", wrong.replace("{@}", "{ @ }").replace('@', "{{ token }}"));
        sandbox.write("s.yaml.j2", &text);
        sandbox.write("values.yaml", &format!("token: {CANARY}\n"));
        let run = sandbox.run(&["validate", "-f", "s.yaml.j2"]);
        let shown = format!("{}{}", run.stdout, run.stderr);
        assert!(!shown.contains("c4n4ry"), "{text}\n{shown}");
        assert_ne!(run.code, 0, "{text}\n{shown}");
    }
    for expression in
        ["token|int + token", "token.a.b", "token + 1", "token|nofilter", "[token][5]", "token(1)"]
    {
        let text = format!("{HEAD}type: keys\ndata: {{K: '{{{{ {expression} }}}}'}} # {CANARY}\n");
        sandbox.write("s.yaml.j2", &text);
        let run = sandbox.run(&["validate", "-f", "s.yaml.j2"]);
        let shown = format!("{}{}", run.stdout, run.stderr);
        assert!(!shown.contains("c4n4ry"), "{expression}\n{shown}");
    }
}

/// A number is a secret as well as a text is, and so is what stands where a name should.
#[test]
fn numbers_and_misplaced_secrets_are_not_repeated() {
    let sandbox = Sandbox::new();
    for (value, secret) in [
        ("123456789012345678901234567890", "1234567890123"),
        ("0.123456789012345678901", "1234567890123"),
        ("0xffffffffffffffffffffffff", "ffffffffffff"),
        ("{from: {env: 'c4n4ry S3cr3t'}}", "c4n4ry"),
        ("{from: {env: c4n4ry-S3cr3t}}", "c4n4ry"),
    ] {
        sandbox.write("s.yaml", &format!("{HEAD}type: keys\ndata: {{K: {value}}}\n"));
        for command in [&["validate", "-f", "s.yaml"][..], &["plan", "-f", "s.yaml", "--embedded"]]
        {
            let run = sandbox.run(command);
            let shown = format!("{}{}", run.stdout, run.stderr);
            assert!(!shown.contains(secret), "{value}\n{shown}");
            assert!(shown.contains("s.yaml"), "{shown}");
        }
    }
    let named = format!("{HEAD}type: keys\ndata: {{K: {{from: {{env: NOT_THERE}}}}}}\n");
    sandbox.write("s.yaml", &named);
    let run = sandbox.run(&["plan", "-f", "s.yaml", "--embedded"]);
    assert!(run.stderr.contains("the environment variable NOT_THERE is not set"), "{}", run.stderr);
}
