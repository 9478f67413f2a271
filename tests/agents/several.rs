//! Several agents in one service: `multi`.

use std::process::Command;

use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};

const NAMED: [&str; 4] = ["--service-name", "s", "--agent-name", "x"];

fn run(sandbox: &Sandbox, pieces: &str) -> Run {
    sandbox.run(&[&["multi", "spec"], &NAMED[..], &["-c", pieces]].concat())
}

fn spec(sandbox: &Sandbox, pieces: &str) -> Value {
    let run = run(sandbox, pieces);
    assert_eq!(run.code, 0, "{pieces}: {}", run.stderr);
    serde_yaml::from_str(&run.stdout).unwrap()
}

#[test]
fn pieces_become_agents_that_are_called_at_paths_of_their_own() {
    let sandbox = Sandbox::new();
    let printed = spec(
        &sandbox,
        "chatbot --agent-name a -rt t --path /agent1; python x.py;worker --agent-name=w --queue q;\
         python y.py --identity 'y y' ; ",
    );
    let endpoint = |path: &str, name: &str| json!({"path": path, "meshagent": {"identity": name}});
    assert_eq!(
        printed["ports"],
        json!([{"num": "*", "type": "http", "endpoints": [
            endpoint("/agent1", "a"),
            endpoint("/agent", "agent"),
            endpoint("/agent2", "w"),
            endpoint("/agent3", "y y"),
        ]}])
    );
    let agents: Vec<&Value> = printed["agents"].as_array().unwrap().iter().collect();
    assert_eq!(agents.iter().map(|it| &it["name"]).collect::<Vec<_>>(), ["a", "w"]);
    assert_eq!(printed["container"]["environment"][0]["token"]["identity"], "x");
    // What is empty is no piece, which the program in the container does not know.
    assert_eq!(
        printed["container"]["command"],
        "meshagent multi service -c \"chatbot --agent-name a -rt t --path /agent1; python x.py;\
         worker --agent-name=w --queue q;python y.py --identity 'y y' \""
    );
}

/// The reference escapes quotes alone, so that backslashes before them are lost.
#[test]
fn a_shell_and_a_program_that_splits_read_the_pieces_as_they_were_given() {
    let sandbox = Sandbox::new();
    for rule in [
        r#""be \"nice\"""#,
        r"'it costs $5 `now` \'",
        r"a\ b",
        "\"two\nlines\"",
        "'über [b]alles[/b] # & | > <'",
        "\"it's\"",
    ] {
        let pieces = format!("chatbot --agent-name a --rule {rule}");
        let printed = spec(&sandbox, &pieces);
        let command = printed["container"]["command"].as_str().unwrap();
        assert_eq!(shlex::split(command).unwrap()[4], pieces);
        let arguments = command.strip_prefix("meshagent ").unwrap();
        let script = format!("set -- {arguments}; printf %s \"$4\"");
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), pieces);
    }
}

#[test]
fn what_is_printed_does_not_depend_on_the_terminal() {
    let sandbox = Sandbox::new();
    let rule = "word ".repeat(60);
    let pieces = format!("chatbot --agent-name a --rule '{rule}'");
    let words = [&["multi", "spec"], &NAMED[..], &["-c", &pieces]].concat();
    let printed = ["10", "80", "10000"].map(|width| {
        let run = Run::of(sandbox.command(&words).env("COLUMNS", width).output().unwrap());
        let parsed: Value = serde_yaml::from_str(&run.stdout).unwrap();
        assert!(parsed["container"]["command"].as_str().unwrap().contains(&rule), "{width}");
        run.stdout
    });
    assert!(printed.iter().all(|text| *text == printed[0]));
}

#[test]
fn a_wrong_piece_is_named() {
    let sandbox = Sandbox::new();
    for (pieces, told) in [
        ("chatbot --agent-name a; worker --agent-name b", "piece 2 of -c, `worker`: the following"),
        ("chatbot --agent-name a --bogus", "`chatbot`: unexpected argument '--bogus'"),
        ("chatbot --agent-name a --secret k", "unexpected argument '--secret'"),
        ("chatbot --agent-name a --help", "unexpected argument '--help'"),
        ("chatbot --agent-name a extra", "unexpected argument 'extra'"),
        ("worker --agent-name a --queue q --port x", "invalid value 'x' for '--port"),
        ("worker --agent-name a --queue q --shell-room-mount x", "--shell-room-mount has"),
        ("chatbot --agent-name a --shell-set-env hush", "--shell-set-env takes NAME=VALUE"),
        ("chatbot --agent-name a --model claude-x --apply-patch", "only models of OpenAI"),
        ("task-runner --agent-name a", "piece 1 of -c, `task-runner`: there is no such piece"),
        ("'rm -rf' x", "there is no such piece"),
        ("python", "piece 1 of -c, `python`: the following required"),
        ("python x.py --nam y", "unexpected argument '--nam'"),
        ("python x.py y.py", "unexpected argument 'y.py'"),
        ("chatbot --agent-name a --port 1; chatbot --agent-name b", "on different ports"),
        ("chatbot --agent-name a; chatbot --agent-name b --path /agent", "the path \"/agent\""),
        ("chatbot --agent-name a; worker --agent-name a --queue q", "two agents have the name"),
        ("chatbot --agent-name a --rule 'one; two'", "`chatbot`: a word of it has a ;"),
        ("chatbot --agent-name 'a", "-c cannot be read: the quote ' is not closed"),
        ("chatbot --agent-name a\\", "-c cannot be read: it ends with \\"),
        (" ; ;", "-c describes no agent"),
        ("", "-c describes no agent"),
    ] {
        let run = run(&sandbox, pieces);
        let code = if told == "only models of OpenAI" { 1 } else { 2 };
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{pieces}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{pieces}: {}", run.stderr);
        assert!(!run.stderr.contains("hush"), "{}", run.stderr);
    }
    let twice = ["-c", "chatbot --agent-name a", "-c", "chatbot --agent-name b"];
    let twice = sandbox.run(&[&["multi", "spec"], &NAMED[..], &twice].concat());
    assert!(twice.code == 2 && twice.stderr.contains("more than once"), "{}", twice.stderr);
    sandbox.write("main.py", "x");
    let report = ["-c", "python main.py", "--report", "main.py", "--room", "r"];
    let report = sandbox.embedded(6, &[&["multi", "deploy"], &NAMED[..], &report].concat());
    assert!(report.stderr.contains("main.py"), "{}", report.stderr);
    assert_eq!(std::fs::read_to_string(sandbox.path("main.py")).unwrap(), "x");
    let nameless = sandbox.run(&["multi", "spec", "--service-name", "s", "-c", "chatbot"]);
    assert!(nameless.code == 2 && nameless.stderr.contains("--agent-name"), "{}", nameless.stderr);
    for words in [&["multi", "join", "--room", "r", "-c", "x"][..], &["multi", "service"]] {
        let run = sandbox.run(words);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""));
        assert!(run.stderr.contains("this program runs no agents yet"), "{}", run.stderr);
    }
}

#[test]
fn several_agents_are_deployed_as_one_service() {
    let sandbox = Sandbox::new();
    sandbox.embedded(0, &["rooms", "create", "--name", "lobby"]);
    sandbox.embedded(0, &["secret", "key", "create", "--name", "k", "--data", "A=b"]);
    let pieces = ["-c", "chatbot --agent-name a; worker --agent-name b --queue q"];
    let more = ["--room", "lobby", "--secret", "k", "--service-title", "T"];
    let words = [&["multi", "deploy"], &NAMED[..], &pieces, &more].concat();
    let plan = sandbox.embedded(0, &[&words[..], &["--dry-run"]].concat()).stdout;
    assert!(plan.contains("+ create Service/s@lobby"), "{plan}");
    let manifest = sandbox.embedded(0, &[&words[..], &["--as-manifest"]].concat()).stdout;
    let first = sandbox.embedded(0, &words);
    let second = sandbox.embedded(0, &words);
    assert_eq!((first.stdout, second.stderr.as_str()), (second.stdout, "updated Service/s\n"));
    std::fs::create_dir(sandbox.path("m")).unwrap();
    sandbox.write("m/service.yaml", &manifest);
    let plan = ["plan", "-f", "m", "--adopt", "-o", "json"];
    let plan = sandbox.embedded(0, &plan).json();
    assert_eq!(plan["counts"]["adopt"], 1, "{plan}");
    assert_eq!(plan["operations"].as_array().unwrap().len(), 1, "{plan}");
}
