//! Documents of the kind Agent, which become services.

use serde_json::{Value, json};

use crate::cli::Sandbox;

const ROOM: &str = "version: v1\nkind: Room\nmetadata: {name: lobby}\n---\n";

/// A document of an agent in the room `lobby`.
fn agent(fields: &str) -> String {
    format!("{ROOM}version: v1\nkind: Agent\nmetadata: {{name: support}}\nroom: lobby\n{fields}")
}

fn put(sandbox: &Sandbox, name: &str, text: &str) {
    std::fs::create_dir_all(sandbox.path(name).parent().unwrap()).unwrap();
    sandbox.write(name, text);
}

fn applied(sandbox: &Sandbox, text: &str) {
    put(sandbox, "m/a.yaml", text);
    sandbox.embedded(0, &["apply", "-f", "m", "--yes"]);
}

/// The operations that a plan of the folder `m` has.
fn planned(sandbox: &Sandbox, more: &[&str]) -> Vec<Value> {
    let plan = sandbox.embedded(0, &[&["plan", "-f", "m", "-o", "json"], more].concat()).json();
    plan["operations"].as_array().unwrap().clone()
}

fn command(sandbox: &Sandbox) -> String {
    let listed = sandbox.embedded(0, &["service", "list", "--room", "lobby", "-o", "json"]).json();
    listed["services"][0]["container"]["command"].as_str().unwrap().to_owned()
}

/// The paths of fields that operations change, but for the mark of the owner.
fn changed(operations: &[Value]) -> Vec<String> {
    let changes = operations.iter().flat_map(|it| it["changes"].as_array().unwrap());
    let paths = changes.map(|change| change["path"].as_str().unwrap().to_owned());
    paths.filter(|path| !path.contains("meshagent.set")).collect()
}

#[test]
fn what_is_deployed_is_declared_by_a_short_document() {
    let sandbox = Sandbox::new();
    sandbox.embedded(0, &["rooms", "create", "--name", "lobby"]);
    let keys = ["secret", "key", "create", "--name", "keys", "--data", "OPENAI_API_KEY=x"];
    sandbox.embedded(0, &keys);
    let deploy = [
        "process",
        "deploy",
        "--room",
        "lobby",
        "--service-name",
        "help",
        "-r",
        "be kind",
        "--channel=chat",
        "--agent-name",
        "support",
        "--require-web-search",
        "--no-require-time",
        "-rt",
        "tickets",
        "--thread-dir",
        "team",
        "--threading-mode",
        "default-new",
        "--shell-set-env",
        "MODE=short",
        "--model",
        "gpt-5.4",
        "--secret",
        "keys",
        "--service-description",
        "helps",
    ];
    let written = sandbox.embedded(0, &[&deploy[..], &["--as-manifest"]].concat()).stdout;
    insta::assert_snapshot!(written, @r"
    version: v1
    kind: Agent
    metadata:
      name: help
      description: helps
    type: process
    room: lobby
    agent_name: support
    rules:
    - be kind
    requires:
      toolkits:
      - tickets
    model: gpt-5.4
    tools:
      web_search: true
      time: false
    shell:
      set_env:
        MODE: short
    threading:
      mode: default-new
      dir: team
    channels:
    - chat
    secrets:
    - keys
    ");
    sandbox.embedded(0, &deploy);
    put(&sandbox, "m/a.yaml", &format!("{ROOM}{written}"));
    let operations = planned(&sandbox, &["--adopt"]);
    assert_eq!(changed(&operations), Vec::<String>::new());
    // Taken over, it keeps the command that was typed, also when something else changes.
    let typed = command(&sandbox);
    sandbox.embedded(0, &["apply", "-f", "m", "--adopt", "--yes"]);
    assert_eq!(planned(&sandbox, &[]), Vec::<Value>::new());
    let other = written.replace("description: helps", "description: helps well");
    put(&sandbox, "m/a.yaml", &format!("{ROOM}{other}"));
    assert_eq!(changed(&planned(&sandbox, &[])), ["metadata.description"]);
    sandbox.embedded(0, &["apply", "-f", "m", "--yes"]);
    assert_eq!(command(&sandbox), typed);
    // An export that may write agents writes one, which says the same.
    sandbox.embedded(0, &["export", "-d", "e", "--agents"]);
    let exported = std::fs::read_to_string(sandbox.path("e/agent/help@lobby.yaml")).unwrap();
    assert_eq!(exported, other);
    sandbox.embedded(0, &["export", "-d", "s"]);
    assert!(sandbox.path("s/service/help@lobby.yaml").exists());
}

#[test]
fn a_command_that_means_the_same_is_no_change() {
    let sandbox = Sandbox::new();
    let of_image = |image: &str, command: &str| {
        format!(
            "{ROOM}version: v1\nkind: Service\nmetadata: {{name: s}}\nroom: lobby\n\
             container:\n  image: {image}\n  command: {command}\n"
        )
    };
    let service = |command: &str| of_image("meshagent/cli:default", command);
    applied(&sandbox, &service("meshagent chatbot join --agent-name a -r x --no-shell"));
    for (same, command) in [
        (true, "meshagent chatbot join --rule x --agent-name=a --require-time"),
        (false, "meshagent chatbot join --rule y --agent-name=a"),
        (false, "meshagent chatbot join --rule x --agent-name=a --shell"),
        (false, "meshagent chatbot join --rule x --agent-name=a --model gpt-5.4"),
    ] {
        put(&sandbox, "m/a.yaml", &service(command));
        assert_eq!(planned(&sandbox, &[]).is_empty(), same, "{command}");
    }
    // Of another image it is not known what options are by default.
    let other = "meshagent chatbot join --agent-name a -r x --no-shell";
    applied(&sandbox, &of_image("other/image:9", other));
    for (same, command) in [
        (true, "meshagent chatbot join --no-shell --rule x --agent-name=a"),
        (false, "meshagent chatbot join --rule x --agent-name=a"),
    ] {
        put(&sandbox, "m/a.yaml", &of_image("other/image:9", command));
        assert_eq!(planned(&sandbox, &[]).is_empty(), same, "{command}");
    }
    applied(&sandbox, &service("python main.py"));
    put(&sandbox, "m/a.yaml", &service("python  main.py"));
    assert_eq!(changed(&planned(&sandbox, &[])), ["container.command"]);
}

#[test]
fn rules_and_skills_are_read_beside_the_manifest() {
    let sandbox = Sandbox::new();
    put(&sandbox, "m/tone.md", "\u{feff}# Tone\r\n\r\nBe kind, it's free.\n\n");
    put(&sandbox, "m/skills/tickets/SKILL.md", "# Tickets\n");
    put(&sandbox, "m/skills/tickets/forms/new.txt", "a form\n");
    put(&sandbox, "m/skills/tickets/.hidden", "not read");
    let document = agent(
        "type: chatbot\nrules: [{file: tone.md}, and short]\n\
         skills: [/usr/share/skills, {folder: skills/tickets}]\n",
    );
    put(&sandbox, "m/a.yaml", &document);
    let plan = sandbox.embedded(0, &["plan", "-f", "m"]);
    // The files are no manifests, and nobody is told that they are left out.
    assert!(!plan.stderr.contains("tone.md"), "{}", plan.stderr);
    sandbox.embedded(0, &["apply", "-f", "m", "--yes"]);
    assert_eq!(
        command(&sandbox),
        "meshagent chatbot join --agent-name support --rule '# Tone\n\nBe kind, it'\"'\"'s free.' \
         --rule 'and short' --skill-dir /usr/share/skills --skill-dir /skills/tickets"
    );
    let listed = sandbox.embedded(0, &["service", "list", "--room", "lobby", "-o", "json"]).json();
    let files = listed["services"][0]["container"]["storage"]["files"].clone();
    assert_eq!(
        files,
        json!([
            {"path": "/skills/tickets/SKILL.md", "text": "# Tickets\n", "read_only": true},
            {"path": "/skills/tickets/forms/new.txt", "text": "a form\n", "read_only": true},
        ])
    );
    put(&sandbox, "m/tone.md", "Be brief.");
    put(&sandbox, "m/skills/tickets/SKILL.md", "# Tickets and more\n");
    let changes = changed(&planned(&sandbox, &[]));
    let file = "container.storage.files[path=/skills/tickets/SKILL.md].text";
    assert_eq!(changes, ["container.command", file]);
}

#[test]
fn only_text_files_below_the_manifest_are_read() {
    let sandbox = Sandbox::new();
    put(&sandbox, "secret.txt", "canary");
    put(&sandbox, "m/.env", "canary");
    put(&sandbox, "m/empty.md", " \n");
    std::fs::write(sandbox.path("m/image.png"), [0x89, 0x50, 0xff, 0]).unwrap();
    put(&sandbox, "m/many/a", "x");
    std::os::unix::fs::symlink("/etc/hostname", sandbox.path("m/link")).unwrap();
    std::os::unix::fs::symlink("/etc", sandbox.path("m/many/b")).unwrap();
    std::fs::create_dir(sandbox.path("m/none")).unwrap();
    let link = |to: &str, name: &str| {
        std::fs::create_dir_all(sandbox.path(name).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(to, sandbox.path(name)).unwrap();
    };
    // All of it is in one repository, which manifests reach.
    put(&sandbox, ".git/HEAD", "ref: refs/heads/main\n");
    for folder in ["objects", "refs"] {
        std::fs::create_dir(sandbox.path(".git").join(folder)).unwrap();
    }
    link(".env", "m/to-hidden");
    link("../secret.txt", "m/to-above");
    put(&sandbox, "m/.priv/id", "canary");
    link(".priv", "m/to-hidden-folder");
    link("../../secret.txt", "m/linked/x.txt");
    link("../loop", "m/loop/again");
    put(&sandbox, "m/binary/SKILL.md", "x");
    std::fs::write(sandbox.path("m/binary/a.png"), [0x89, 0x50, 0xff, 0]).unwrap();
    put(&sandbox, "m/large.md", &"x".repeat(128 * 1024));
    for number in 0..501 {
        put(&sandbox, &format!("m/many-more/{number}"), "x");
    }
    put(&sandbox, "m/two/many/a", "x");
    for (fields, told) in [
        ("rules: [{file: ../secret.txt}]", "not a path below the folder of the manifest"),
        ("rules: [{file: .env}]", "nothing hidden is read"),
        ("rules: [{file: /etc/hostname}]", "not a path below"),
        ("rules: [{file: link}]", "the link leads outside"),
        ("rules: [{file: gone.md}]", "failed to read gone.md"),
        ("rules: [{file: empty.md}]", "empty.md is empty"),
        ("rules: [{file: image.png}]", "it is not UTF-8"),
        ("rules: [{file: many}]", "failed to read many"),
        ("rules: [{file: ''}]", "`rules[0]`"),
        ("rules: [{folder: many}]", "`rules[0]`"),
        ("rules: [{file: a, text: b}]", "`rules[0]`"),
        ("skills: [{folder: many}]", "the link leads outside"),
        ("rules: [{file: to-hidden}]", "leads to something hidden, or out of the folder"),
        ("rules: [{file: to-above}]", "leads "),
        ("skills: [{folder: to-hidden-folder}]", "leads to something hidden"),
        ("skills: [{folder: linked}]", "leads "),
        ("skills: [{folder: loop}]", "failed to read loop/again"),
        ("skills: [{folder: binary}]", "only text can be taken along"),
        ("skills: [{folder: many-more}]", "more than 500 files and folders"),
        ("rules: [{file: large.md}]", "name that in `room_rules`"),
        ("skills: [{folder: none}]", "none has no files"),
        ("skills: [{folder: .}]", "\".\" is not a path below"),
        ("skills: [{folder: two/many}, {folder: two/many}]", "where another one is"),
    ] {
        put(&sandbox, "m/a.yaml", &agent(&format!("type: chatbot\n{fields}\n")));
        let refused = sandbox.embedded(6, &["plan", "-f", "m/a.yaml"]);
        assert!(refused.stderr.contains(told), "{fields}: {}", refused.stderr);
        assert!(refused.stderr.contains("m/a.yaml:10:"), "{fields}: {}", refused.stderr);
        assert!(!refused.stderr.contains("canary"), "{fields}");
    }
}

/// What is taken along is for the agent: an example of a manifest in it declares nothing.
#[test]
fn what_is_in_a_skill_is_no_manifest() {
    let sandbox = Sandbox::new();
    put(&sandbox, "m/skill/SKILL.md", "x");
    put(&sandbox, "m/skill/room.yaml", "version: v1\nkind: Room\nmetadata: {name: example}\n");
    put(&sandbox, "m/skill/config.yaml", "some: data\n");
    put(&sandbox, "m/skill/mail.j2", "{{ name }}");
    put(&sandbox, "m/skill/__pycache__/a.pyc", "x");
    put(&sandbox, "m/a.yaml", &agent("type: chatbot\nskills: [{folder: skill}]\n"));
    let operations = planned(&sandbox, &[]);
    let keys: Vec<&str> = operations.iter().map(|it| it["address"].as_str().unwrap()).collect();
    assert_eq!(keys, ["Room/lobby", "Service/support@lobby"]);
    // What is given by itself is a manifest, and what is not read is told.
    let given = ["plan", "-f", "m/a.yaml", "-f", "m/skill/room.yaml", "-o", "json"];
    let given = sandbox.embedded(0, &given).json();
    assert_eq!(given["operations"].as_array().unwrap().len(), 3, "{given}");
    let plan = sandbox.embedded(0, &["plan", "-f", "m"]);
    let told = "are taken along by an agent, and not read as manifests";
    assert!(plan.stderr.contains(told) || plan.stdout.contains(told), "{}", plan.stderr);
    let plan = sandbox.embedded(0, &["plan", "-f", "m", "-o", "json"]).stdout;
    for file in ["room.yaml", "config.yaml", "mail.j2"] {
        assert!(plan.contains(&format!("/skills/skill/{file}")), "{plan}");
    }
    assert!(!plan.contains("__pycache__"), "{plan}");
}

#[test]
fn a_wrong_agent_is_told_at_its_field() {
    let sandbox = Sandbox::new();
    for (fields, place, told) in [
        ("type: worker\n", "9:", "an agent of type `worker` needs `queue`"),
        ("type: workr\nqueue: q\n", "9:", "did you mean `worker`?"),
        ("queue: q\n", "5:", "missing field `type`"),
        ("type: worker\nqueue: q\nchannels: [chat]\n", "11:", "has no `channels`"),
        (
            "type: worker\nqueue: q\nthreading: {mode: default-new}\n",
            "11:13",
            "cannot be `default-new`",
        ),
        ("type: chatbot\ntools: {web_serch: true}\n", "10:", "did you mean `web_search`?"),
        ("type: chatbot\nchannels: [fax]\n", "10:", "there are chat, mail:"),
        (
            "type: chatbot\nmodel: claude-x\ntools: {apply_patch: true}\n",
            "11:9",
            "only models of OpenAI",
        ),
        ("type: chatbot\nrules: be kind\n", "10:", "`rules` is text, not a list"),
        ("type: chatbot\nshell: {set_env: [A=b]}\n", "10:", "is a list, not a map"),
        ("type: chatbot\nimage: 'no image'\n", "10:", "`image`"),
        ("type: codex-chatbot\nport: 0\n", "10:", "`port`"),
        ("type: chatbot\nrooms: [hall]\n", "10:", "not both"),
        (
            "type: chatbot\nenvironment: [{name: A, value: b}, {name: A, value: c}]\n",
            "10:",
            "twice",
        ),
        (
            "type: chatbot\nenvironment:\n- {name: A, value: b}\n- {name: A, value: c}\n",
            "12:",
            "`environment[1].name` is `A`, which occurs twice, first at `environment[0]`",
        ),
        (
            "type: chatbot\nenvironment:\n- {name: A, value: b}\n- {name: MESHAGENT_TOKEN, value: c}\n",
            "12:",
            "which the agent sets itself",
        ),
        (
            "type: chatbot\nenvironment:\n- {name: A}\n- {name: 1 b, value: c}\n",
            "12:",
            "environment[1]",
        ),
        ("type: chatbot\nsecrets:\n- gone\n", "11:", "secret `gone` is neither in the set nor"),
        ("type: chatbot\nchannels:\n- chat\n- fax\n", "12:", "`channels[1]`"),
        ("type: chatbot\nagent_name: ''\n", "10:", "`agent_name` is empty"),
        ("type: worker\nqueue: ' '\n", "10:", "`queue` is empty"),
        ("type: chatbot\nrules: [\"a\\0b\"]\n", "10:", "zero byte"),
        ("type: chatbot\nshell: {set_env: {A=B: c}}\n", "10:", "a `=` or blanks"),
        ("type: chatbot\nshell: {set_env: {A: 'c '}}\n", "10:", "would be lost"),
        ("type: mailbot\nemail_address: a@b.c\nwhitelist: ['a,b']\n", "11:", "one word an item"),
        ("type: chatbot\nrules:\n- Never: promise\n", "11:", "put it in quotes"),
        ("type: chatbot\nthreading-mode: none\n", "10:", "write `threading.mode`"),
        ("type: chatbot\nrequire-web-search: true\n", "10:", "write `tools.web_search`"),
        ("type: chatbot\nweb_search: true\n", "10:", "write `offers.web_search`"),
        ("type: chatbot\nskill_dir: a\n", "10:", "write `skills`"),
        (
            "type: chatbot\nlifecycle: {ignore: [model]}\n",
            "10:",
            "the fields of the Service are meant that the Agent becomes",
        ),
        ("type: chatbot\ncontainer: {}\n", "10:", "meshagent explain Agent"),
    ] {
        put(&sandbox, "m/a.yaml", &agent(fields));
        let refused = sandbox.embedded(6, &["plan", "-f", "m"]);
        assert!(refused.stderr.contains(told), "{fields}: {}", refused.stderr);
        assert!(
            refused.stderr.contains(&format!("m/a.yaml:{place}")),
            "{fields}: {}",
            refused.stderr
        );
    }
}

#[test]
fn drift_of_an_agent_is_written_into_its_document() {
    let sandbox = Sandbox::new();
    let document = agent("# What it is\ntype: chatbot\ntools: {uuid: true}   # ids\n");
    applied(&sandbox, &document);
    let deploy = "chatbot deploy --agent-name support --room lobby -r hand --no-require-time";
    sandbox.embedded(0, &deploy.split(' ').collect::<Vec<_>>());
    let plan = sandbox.embedded(0, &["plan", "-f", "m"]);
    assert!(plan.stdout.contains("container.command"), "{}", plan.stdout);
    sandbox.embedded(0, &["accept", "-f", "m"]);
    let text = std::fs::read_to_string(sandbox.path("m/a.yaml")).unwrap();
    assert_eq!(
        text,
        agent("# What it is\ntype: chatbot\ntools: {time: false}   # ids\nrules:\n  - hand\n")
    );
    assert_eq!(planned(&sandbox, &[]), Vec::<Value>::new());
    // What did not drift stays as its author wrote it, and what is not applied yet is not lost.
    let document = agent(
        "type: chatbot\nagent_name: support # same\nimage: meshagent/cli:default\n\
         tools: {time: true}   # on purpose\nenvironment: [{name: B, value: '1'}]\n",
    );
    applied(&sandbox, &document);
    let id = sandbox.embedded(0, &["service", "list", "--room", "lobby", "-o", "json"]).json();
    let mut service = id["services"][0].clone();
    let id = service["id"].as_str().unwrap().to_owned();
    service["container"]["environment"][1]["value"] = "9".into();
    sandbox.write("s.json", &service.to_string());
    let update = ["service", "update", "--id", &id, "--room", "lobby", "--file", "s.json"];
    sandbox.embedded(0, &update);
    let edited = document.replace("type: chatbot\n", "type: chatbot\nrules: [mine]\n");
    put(&sandbox, "m/a.yaml", &edited);
    let refused = sandbox.embedded(1, &["accept", "-f", "m"]);
    assert!(refused.stderr.contains("its document has changed, too"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(sandbox.path("m/a.yaml")).unwrap(), edited);
    let ignoring = format!("{document}lifecycle: {{ignore: [container.command]}}\n");
    put(&sandbox, "m/a.yaml", &ignoring);
    let refused = sandbox.embedded(1, &["accept", "-f", "m"]);
    assert!(refused.stderr.contains("and ignores fields"), "{}", refused.stderr);
    put(&sandbox, "m/a.yaml", &document);
    sandbox.embedded(0, &["accept", "-f", "m"]);
    let text = std::fs::read_to_string(sandbox.path("m/a.yaml")).unwrap();
    assert_eq!(text.replace("'9'", "'1'").replace("\"9\"", "'1'"), document);
    assert_eq!(planned(&sandbox, &[]), Vec::<Value>::new());
    // What comes from files is not written.
    put(&sandbox, "m/tone.md", "be kind");
    let document = agent("type: chatbot\nrules: [{file: tone.md}]\n");
    applied(&sandbox, &document);
    sandbox.embedded(0, &deploy.split(' ').collect::<Vec<_>>());
    let refused = sandbox.embedded(1, &["accept", "-f", "m"]);
    assert!(refused.stderr.contains("takes files along"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(sandbox.path("m/a.yaml")).unwrap(), document);
}

#[test]
fn a_secret_in_clear_text_is_told() {
    let sandbox = Sandbox::new();
    let fields = "type: chatbot\nshell: {set_env: {API_TOKEN: canary, MODE: b}}\n";
    put(&sandbox, "m/a.yaml", &agent(fields));
    let plan = sandbox.embedded(0, &["plan", "-f", "m"]);
    let told =
        "`container.command` of Service/support@lobby has a variable that looks like a secret";
    assert!(
        plan.stderr.contains(told) || plan.stdout.contains(told),
        "{}{}",
        plan.stderr,
        plan.stdout
    );
    put(&sandbox, "m/a.yaml", &agent("type: chatbot\nshell: {set_env: {MODE: b}}\n"));
    let plan = sandbox.embedded(0, &["plan", "-f", "m"]);
    assert!(!plan.stderr.contains("secret") && !plan.stdout.contains("secret"));
}

#[test]
fn what_holds_a_secret_is_not_taken_along() {
    let sandbox = Sandbox::new();
    let secret = "version: v1\nkind: Secret\nmetadata: {name: k}\ntype: keys\n";
    put(&sandbox, "m/k.yaml", &format!("{secret}data: {{K: {{from: {{file: pw.txt}}}}}}\n"));
    put(&sandbox, "m/pw.txt", "canary");
    for file in ["pw.txt", "k.yaml"] {
        let fields = format!("type: chatbot\nrules: [{{file: {file}}}]\n");
        put(&sandbox, "m/a.yaml", &agent(&fields));
        let refused = sandbox.embedded(6, &["plan", "-f", "m"]);
        let told = format!("m/{file} holds a secret");
        assert!(refused.stderr.contains(&told), "{}", refused.stderr);
        assert!(!refused.stderr.contains("canary") && refused.stdout.is_empty());
    }
    put(&sandbox, "m/skill/k.yaml", &format!("{secret}data: {{K: canary}}\n"));
    put(&sandbox, "m/a.yaml", &agent("type: chatbot\nskills: [{folder: skill}]\n"));
    let refused = sandbox.embedded(6, &["plan", "-f", "m"]);
    assert!(refused.stderr.contains("m/skill/k.yaml holds a secret"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("canary") && refused.stdout.is_empty());
    // Nor is it overwritten, as nothing is that is no plan and no report.
    put(&sandbox, "m/a.yaml", &agent("type: chatbot\n"));
    for option in ["--out", "--report"] {
        let words = match option {
            "--out" => &["plan", "-f", "m", "--out", "m/pw.txt"][..],
            _ => &["apply", "-f", "m", "--yes", "--report", "m/pw.txt"],
        };
        let refused = sandbox.embedded(6, words);
        assert!(refused.stderr.contains("is no plan or report"), "{}", refused.stderr);
        assert_eq!(std::fs::read_to_string(sandbox.path("m/pw.txt")).unwrap(), "canary");
    }
}
