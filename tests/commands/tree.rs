//! The tree of commands against the reference's. What is known of that is checked in, as
//! `reference.json`: one line a command, and nothing of its help. With Python it is made anew and
//! compared; `BLESS=1` writes it.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use clap::{Arg, ArgAction, Command};
use serde::{Deserialize, Serialize};

use crate::needs;

/// How many commands the reference has.
const OF_THE_REFERENCE: usize = 231;

/// How many of them are here, no more and no less, so that none goes missing and none comes unseen.
const HERE: usize = 222;

/// What waits for a person and a browser, or for rooms that call, which the comparison has
/// not; tests of their own stand for it.
const WAITS: [&str; 4] = ["setup", "auth login", "helper service", "port forward"];

/// The groups of which some commands are here and others are not yet, or do nothing yet. They enter
/// rooms, which the comparison has not, either, or are compared in `agents` and `webserver`.
const IN_PART: [&str; 10] = [
    "room",
    "chatbot",
    "process",
    "worker",
    "mailbot",
    "voicebot",
    "task-runner",
    "codex",
    "multi",
    "webserver",
];

/// What the reference demands, and need not be given here. The reference wants the message, and
/// then sends the file instead; and it wants the secret of a program that may have none.
const OPTIONAL: [(&str, &str); 3] = [
    ("room queue send", "--json"),
    ("room secret oauth", "--client-secret"),
    ("room secrets oauth", "--client-secret"),
];

/// A command of the reference.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    /// Its name behind those of its groups.
    path: String,
    options: Vec<ToldOption>,
    arguments: Vec<ToldArgument>,
}

/// An option.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldOption {
    names: Vec<String>,
    takes: Takes,
    required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<String>,
}

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Takes {
    Flag,
    Value,
    Values,
}

/// What stands at a place of its own.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldArgument {
    name: String,
    required: bool,
}

/// The commands of the reference, as they are checked in.
fn told() -> Vec<Told> {
    serde_json::from_str(include_str!("reference.json")).expect("commands")
}

/// The first word of a path.
fn group(path: &str) -> &str {
    path.split(' ').next().unwrap_or_default()
}

/// The reference's commands that must be here: those in the groups that are here as well; of a
/// group that is here in part, those that are.
fn expected(tree: &Command) -> Vec<Told> {
    let is_here = |told: &Told| match IN_PART.contains(&group(&told.path)) {
        true => find(tree, &told.path).is_some(),
        false => tree.find_subcommand(group(&told.path)).is_some(),
    };
    told().into_iter().filter(is_here).collect()
}

/// Whether a group is one of the reference's, and whole.
pub fn is_compared(name: &str) -> bool {
    !IN_PART.contains(&name) && told().iter().any(|told| group(&told.path) == name)
}

/// The commands that are compared with the reference, without aliases.
pub fn compared() -> Vec<String> {
    let tree = meshagent::commands::whole_tree();
    let mut own = Vec::new();
    leaves(&tree, "", &mut own);
    let paths = expected(&tree).into_iter().map(|told| told.path);
    let is_compared = |path: &String| {
        own.contains(path) && is_compared(group(path)) && !WAITS.contains(&path.as_str())
    };
    paths.filter(is_compared).collect()
}

fn leaves(command: &Command, path: &str, paths: &mut Vec<String>) {
    for below in command.get_subcommands() {
        let path = format!("{path} {}", below.get_name()).trim().to_owned();
        match below.has_subcommands() {
            true => leaves(below, &path, paths),
            false => paths.push(path),
        }
    }
}

fn find<'a>(command: &'a Command, path: &str) -> Option<&'a Command> {
    path.split(' ').try_fold(command, |command, name| command.find_subcommand(name))
}

fn argument<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|argument| match name.strip_prefix("--") {
        Some(long) => {
            argument.get_long() == Some(long)
                || argument.get_all_aliases().into_iter().flatten().any(|alias| alias == long)
        }
        None => {
            let short = name.strip_prefix('-').and_then(|short| short.chars().next());
            short.is_some() && argument.get_short() == short
        }
    })
}

/// What is wrong with one option.
fn check(path: &str, command: &Command, option: &ToldOption) -> Vec<String> {
    let mut wrong = Vec::new();
    for name in &option.names {
        let Some(argument) = argument(command, name) else {
            wrong.push(format!("{name} is missing"));
            continue;
        };
        let takes = match argument.get_action() {
            ArgAction::Set => Takes::Value,
            ArgAction::Append => Takes::Values,
            _ => Takes::Flag,
        };
        // Several values where one is enough are no difference to whoever gives one.
        let is_more = (takes, option.takes) == (Takes::Values, Takes::Value);
        if takes != option.takes && !is_more {
            wrong.push(format!("{name} takes a {takes:?} here, a {:?} there", option.takes));
        }
        // A project may also come from the environment, a file or the key.
        let is_elsewhere = |name: &String| name == "--project-id" || name == "--room";
        let required = option.required && !option.names.iter().any(is_elsewhere);
        let required = required && !OPTIONAL.contains(&(path, name.as_str()));
        if argument.is_required_set() != required {
            wrong.push(format!("{name} is required: {} here, {required} there", !required));
        }
        if let Some(default) = &option.default {
            let ours: Vec<_> =
                argument.get_default_values().iter().map(|it| it.to_string_lossy()).collect();
            if ours != [default.as_str()] {
                wrong.push(format!("{name} defaults to {ours:?} here, to {default:?} there"));
            }
        }
    }
    wrong
}

#[test]
fn every_option_of_the_reference_is_here() {
    assert_eq!(told().len(), OF_THE_REFERENCE);
    let tree = meshagent::commands::whole_tree();
    let expected = expected(&tree);
    let mut wrong = Vec::new();
    for told in &expected {
        let path = &told.path;
        let Some(command) = find(&tree, path) else {
            wrong.push(format!("{path} is missing"));
            continue;
        };
        for option in &told.options {
            wrong.extend(
                check(path, command, option).into_iter().map(|what| format!("{path}: {what}")),
            );
        }
        let positionals: Vec<_> = command.get_positionals().collect();
        if positionals.len() != told.arguments.len() {
            wrong.push(format!("{path}: {} arguments there", told.arguments.len()));
        }
        for (ours, theirs) in positionals.iter().zip(&told.arguments) {
            if ours.is_required_set() != theirs.required {
                wrong.push(format!("{path}: {} is required there, or here", theirs.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for name in IN_PART {
        assert!(expected.iter().any(|told| group(&told.path) == name), "nothing of {name} is here");
    }
    assert_eq!(expected.len(), HERE, "commands of the reference that are here");
}

/// One line a command, so that a difference is told by its lines.
fn written(told: &[Told]) -> String {
    let line = |told: &Told| serde_json::to_string(told).expect("JSON");
    format!("[\n{}\n]\n", told.iter().map(line).collect::<Vec<_>>().join(",\n"))
}

#[test]
fn the_commands_that_are_checked_in_are_the_references() {
    let Some(python) = needs::python("the commands of the reference") else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Its settings are read while it is imported.
    let home = tempfile::tempdir().expect("a folder");
    let output = Process::new(python)
        .arg(root.join("tests/commands/reference.py"))
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the reference does not tell its commands: {said}");
    let theirs: Vec<Told> = serde_json::from_slice(&output.stdout).expect("commands");
    let file: PathBuf = root.join("tests/commands/reference.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, written(&theirs)).expect("the commands are written");
    }
    let (kept, anew) = (std::fs::read_to_string(&file).expect("the commands"), written(&theirs));
    let diff = similar::TextDiff::from_lines(&kept, &*anew).unified_diff().to_string();
    assert!(diff.is_empty(), "BLESS=1 writes it anew:\n{diff}");
}
