//! Texts of secrets that look like variables, and secrets that were changed by hand.

use crate::cli::Sandbox;

#[test]
fn a_secret_that_looks_like_a_variable_is_told_by_its_name() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "m.yaml",
        "version: v1\nkind: Secret\nmetadata: {name: keys}\ntype: keys\ndata:\n  ONE: ${CANARY}\n  \
         TWO: $CANARY\n  THREE: \"{{ canary }}\"\n  FOUR: https://ada:${CANARY}@host\n  \
         PLAIN: can$$ary\n---\nversion: v1\nkind: Secret\nmetadata: {name: pull}\ntype: docker\n\
         server: r\nusername: u\npassword: $CANARY\n",
    );
    let validated = sandbox.run(&["validate", "-f", "m.yaml"]);
    let planned = sandbox.embedded(0, &["plan", "-f", "m.yaml"]);
    for run in [validated, planned] {
        for place in [
            "6:3: `data.ONE`",
            "7:3: `data.TWO`",
            "8:3: `data.THREE`",
            "9:3: `data.FOUR`",
            "18:1: `password`",
        ] {
            let told = format!("note: m.yaml:{place} looks like a variable");
            assert!(run.stderr.contains(&told), "{told}\n{}", run.stderr);
        }
        assert!(!run.stderr.contains("PLAIN"), "{}", run.stderr);
        assert!(!run.stderr.to_lowercase().contains("canary"), "{}", run.stderr);
        assert!(run.stderr.contains("write `{from: {env: NAME}}`"), "{}", run.stderr);
    }
    // What a template writes may be the text of a variable, and nothing is told of that.
    sandbox.write(
        "t.yaml.j2",
        "version: v1\nkind: Secret\nmetadata: {name: keys}\ntype: keys\ndata:\n  ONE: '{{ a }}'\n",
    );
    let run = sandbox.run(&["validate", "-f", "t.yaml.j2", "-v", "a=$CANARY"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn a_secret_that_was_changed_by_hand_is_told_also_where_it_is_not_read() {
    let sandbox = Sandbox::new();
    sandbox.write("token.txt", "one");
    sandbox.write(
        "m.yaml",
        "version: v1\nkind: Secret\nmetadata: {name: keys}\ntype: keys\ndata:\n  \
         TOKEN: {from: {file: token.txt}}\n",
    );
    let given = ["-f", "m.yaml", "--allow-files", "."];
    sandbox.embedded(0, &[&["apply", "--yes"], &given[..]].concat());
    let accept = [&["accept"], &given[..]].concat();
    let run = sandbox.embedded(0, &accept);
    assert!(run.stderr.contains("nothing drifted"), "{}", run.stderr);

    let listed = sandbox.embedded(0, &["secret", "list", "-o", "json"]).json();
    let id = listed["secrets"][0]["id"].as_str().unwrap().to_owned();
    let change = ["secret", "key", "update", "--secret-id", &id, "--name", "keys"];
    sandbox.embedded(0, &[&change[..], &["--data", "TOKEN=two"]].concat());
    let run = sandbox.embedded(1, &accept);
    let told = "not accepted: Secret/keys data.TOKEN: secrets are not written into manifests; ";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    assert!(!run.stderr.contains("nothing drifted"), "{}", run.stderr);

    // Nor does a plan that cannot read it take it for what was applied.
    std::fs::remove_file(sandbox.path("token.txt")).unwrap();
    let plan = [&["plan", "--drift-only", "-o", "json"], &given[..]].concat();
    let plan = sandbox.embedded(0, &plan).json();
    let change = &plan["operations"][0]["changes"][0];
    assert_eq!(
        (&change["path"], &change["cause"]),
        (&"data.TOKEN".into(), &"drift".into()),
        "{plan}"
    );
}
