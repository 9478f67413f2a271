//! The program's own credentials leave in no output, whoever put them there.

use super::{all, room, write};
use crate::cli::{Run, Sandbox};

const KEY: &str = "ma-c4n4ry-k3y/with+signs=";

#[test]
fn own_credentials_are_in_no_output_even_where_a_manifest_has_them() {
    let sandbox = Sandbox::new();
    let encoded = "bWEtYzRuNHJ5LWszeS93aXRoK3NpZ25zPQ==";
    let rest = format!(
        "room_metadata:\n  a: {KEY:?}\n  b: {encoded}\n  c: https://x/?k=ma-c4n4ry-k3y%2Fwith%2Bsigns%3D\n"
    );
    write(&sandbox, "m/a.yaml", room("a", &rest));
    write(&sandbox, "w/a.yaml", room("a", &format!("{KEY:?}: 1\n")));
    for variable in ["MESHAGENT_API_KEY", "MESHAGENT_TOKEN", "MESHAGENT_WEBHOOK_SECRET"] {
        for words in [
            &["plan", "-f", "m", "--embedded"][..],
            &["plan", "-f", "m", "--embedded", "-o", "json"],
            &["plan", "-f", "m", "--embedded", "-o", "markdown"],
            &["diff", "-f", "m", "--embedded"],
            &["validate", "-f", "w", "--project-id", "p"],
            &["plan", "-f", KEY, "--embedded"],
        ] {
            let mut command = sandbox.command(words);
            let run = Run::of(command.env(variable, KEY).output().unwrap());
            for trace in ["c4n4ry", "bWEtYzRuNHJ5"] {
                assert!(!all(&run).contains(trace), "{variable} {words:?}: {}", all(&run));
            }
            assert!(all(&run).contains("(secret)"), "{variable} {words:?}: {}", all(&run));
        }
    }
}

#[test]
fn what_is_asked_for_is_printed() {
    let sandbox = Sandbox::new();
    let made = sandbox.embedded(0, &["api-key", "create", "k"]);
    assert!(made.stdout.contains("ma-"), "{}", made.stdout);
    write(&sandbox, "plain", KEY);
    sandbox.run(&["secret", "keygen"]);
    write(&sandbox, "x.age", sandbox.run(&["secret", "encrypt", "plain"]).stdout);
    let mut command = sandbox.command(&["secret", "decrypt", "x.age"]);
    let shown = Run::of(command.env("MESHAGENT_TOKEN", KEY).output().unwrap());
    assert_eq!(shown.stdout, KEY);
}

/// Words in the names of options and arguments that are secrets, or may be.
const SECRET_WORDS: [&str; 6] = ["key", "password", "secret", "token", "credential", "data"];

/// Options with such names, or such values, that give none: a file, a person, an id, the public
/// half of a pair, and the rows of a table.
const NO_SECRETS: [&str; 9] = [
    "key-file",
    "key-for",
    "secret-id",
    "id",
    "recipients",
    "token-from-env",
    "token-endpoint",
    "data-file",
    "data-json",
];

/// Every argument of every command that may be a secret, with the names of its command.
fn secret_arguments() -> Vec<(Vec<String>, clap::Command, clap::Arg)> {
    fn walk(
        command: &clap::Command,
        path: &[String],
        found: &mut Vec<(Vec<String>, clap::Command, clap::Arg)>,
    ) {
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str().replace('_', "-").to_lowercase();
            let values = argument.get_value_names().unwrap_or_default().iter();
            let names = values.map(|name| name.replace('_', "-").to_lowercase());
            let words: Vec<_> = names.chain([id.clone()]).collect();
            let mut words = words.iter().flat_map(|name| name.split('-'));
            if argument.get_action().takes_values()
                && words.any(|word| SECRET_WORDS.contains(&word))
                && !NO_SECRETS.contains(&id.as_str())
            {
                found.push((path.to_vec(), command.clone(), argument.clone()));
            }
        }
        for below in command.get_subcommands() {
            walk(below, &[path, &[below.get_name().to_owned()]].concat(), found);
        }
    }
    let mut found = Vec::new();
    walk(&meshagent::commands::whole_tree(), &[], &mut found);
    // What a server is given names folders and files.
    found.retain(|(path, ..)| !["server", "dev"].contains(&path[0].as_str()));
    // `approve` is given the file of a key.
    found.retain(|(path, ..)| path[0] != "approve");
    // A message to participants is not a secret of its sender.
    found.retain(|(path, ..)| path.get(1).is_none_or(|group| group != "messaging"));
    // Agents are given secrets of the project by their names.
    found.retain(|(path, _, argument)| {
        let is_declared = path.last().is_some_and(|it| ["spec", "deploy"].contains(&it.as_str()));
        !(is_declared && argument.get_long() == Some("secret"))
    });
    found
}

/// A line that gives an argument, and all that its command needs besides.
fn line(path: &[String], command: &clap::Command, secret: &clap::Arg) -> Vec<String> {
    let mut line = path.to_vec();
    for argument in command.get_arguments() {
        let is_secret = argument.get_id() == secret.get_id();
        let long = argument.get_long().unwrap_or_default();
        let usual = ["dry-run", "embedded", "project-id", "retries", "room", "participant-name"];
        let is_usual = usual.contains(&long);
        if !is_secret && !argument.is_required_set() && !is_usual {
            continue;
        }
        line.extend((!long.is_empty()).then(|| format!("--{long}")));
        if argument.get_action().takes_values() && long != "embedded" {
            line.push(match (long, is_secret) {
                ("data", true) => "A=hunter2".to_owned(),
                ("json-key", true) => "{\"type\": \"hunter2\"}".to_owned(),
                ("retries", _) => "0".to_owned(),
                ("url", _) => "http://127.0.0.1:9/x".to_owned(),
                ("project-id", _) => "11111111-1111-4111-8111-111111111111".to_owned(),
                (_, true) => "ma-hunter2".to_owned(),
                _ => "x".to_owned(),
            });
        }
    }
    line
}

#[test]
fn secrets_on_the_command_line_are_warned_of_by_every_command() {
    let sandbox = Sandbox::new();
    let found = secret_arguments();
    assert!(found.len() >= 11, "{}", found.len());
    let mut silent = Vec::new();
    for (path, command, argument) in found {
        let line = line(&path, &command, &argument);
        let mut command = sandbox.command(&line.iter().map(String::as_str).collect::<Vec<_>>());
        // Nothing listens there.
        command.env("MESHAGENT_API_URL", "http://127.0.0.1:9");
        let run = Run::of(command.output().unwrap());
        let told = "warning: other users of this machine can see the value of ";
        if !run.stderr.contains(told) {
            silent.push(format!("{}: {}", line.join(" "), run.stderr));
        }
        assert!(!all(&run).contains("hunter2"), "{line:?}: {}", all(&run));
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}
