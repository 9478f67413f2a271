//! The tree of commands against the reference's, as its published text tells it.

use std::collections::BTreeMap;
use std::path::Path;

use clap::{Arg, ArgAction, Command};

/// The groups whose commands are the reference's.
const GROUPS: [&str; 16] = [
    "version",
    "setup",
    "auth",
    "project",
    "api-key",
    "session",
    "token",
    "call",
    "helper",
    "webhook",
    "service",
    "secret",
    "rooms",
    "mailbox",
    "route",
    "scheduled-task",
];

/// Those of its other groups that are here, too.
const MORE: [&str; 1] = ["room agent list-toolkits"];

/// What stands beside the reference's commands in its groups.
const OWN: [&str; 3] = ["secret encrypt", "secret decrypt", "secret keygen"];

/// What waits for a person and a browser, or for rooms that call, which the comparison has
/// not; tests of their own stand for it.
const WAITS: [&str; 3] = ["setup", "auth login", "helper service"];

fn is_ours(path: &str) -> bool {
    let group = path.split(' ').next().unwrap_or_default();
    GROUPS.contains(&group) && !OWN.contains(&path)
}

/// Whether a group is one of the reference's.
pub fn is_compared(group: &str) -> bool {
    GROUPS.contains(&group)
}

/// The commands that are compared with the reference, without aliases.
pub fn compared() -> Vec<String> {
    let mut paths = Vec::new();
    leaves(&meshagent::commands::whole_tree(), "", &mut paths);
    paths.retain(|path| is_ours(path) && !WAITS.contains(&path.as_str()));
    paths
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

/// A command of the published text.
#[derive(Default)]
struct Told {
    options: Vec<String>,
    arguments: Vec<String>,
}

fn told(text: &str) -> BTreeMap<String, Told> {
    let mut commands: BTreeMap<String, Told> = BTreeMap::new();
    let mut path: Option<String> = None;
    let mut part = "";
    for line in text.lines() {
        let line = line.trim();
        let is_title = line.strip_prefix("meshagent ").filter(|rest| {
            rest.split(' ').all(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        });
        if let Some(title) = is_title {
            path = Some(title.to_owned());
            commands.entry(title.to_owned()).or_default();
            part = "";
        } else if line.ends_with(':') && !line.starts_with('•') {
            part = line;
        } else if let (Some(path), Some(item)) = (&path, line.strip_prefix("• ")) {
            let command = commands.entry(path.clone()).or_default();
            match part {
                "Options:" => command.options.push(item.to_owned()),
                "Arguments:" => command.arguments.push(item.to_owned()),
                _ => {}
            }
        }
    }
    commands
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

/// What is wrong with one option, given as `-o, --output TEXT: help [default: x] [required]`.
fn check(command: &Command, option: &str) -> Vec<String> {
    let (names, help) = option.split_once(':').unwrap_or((option, ""));
    let mut wrong = Vec::new();
    let takes_value = names
        .split(' ')
        .any(|word| word.chars().all(|c| c.is_ascii_uppercase()) || word.starts_with('['));
    let spelled: Vec<&str> =
        names.split([' ', ',', '/']).filter(|word| word.starts_with('-')).collect();
    for name in &spelled {
        // Everything has help, and completion is installed by another command.
        if matches!(*name, "--help" | "--install-completion" | "--show-completion") {
            continue;
        }
        let Some(argument) = argument(command, name) else {
            wrong.push(format!("{name} is missing"));
            continue;
        };
        let has_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
        if has_value != takes_value {
            wrong.push(format!("{name} takes a value: {has_value} here, {takes_value} there"));
        }
        // A project may also come from the environment, a file or the key.
        let required = help.contains("[required]") && *name != "--project-id" && *name != "--room";
        if argument.is_required_set() != required {
            wrong.push(format!("{name} is required: {} here, {required} there", !required));
        }
        let default = help.split_once("[default: ").and_then(|(_, rest)| rest.split_once(']'));
        if let (Some((default, _)), true) = (default, has_value) {
            let default = default.split(';').next().unwrap_or_default();
            let ours: Vec<_> =
                argument.get_default_values().iter().map(|it| it.to_string_lossy()).collect();
            if ours != [default] {
                wrong.push(format!("{name} defaults to {ours:?} here, to {default:?} there"));
            }
        }
    }
    wrong
}

#[test]
fn every_option_of_the_reference_is_here() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/commands.txt");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("SKIPPED: the tree of commands, for the reference's is not beside the project");
        return;
    };
    let told = told(&text);
    let tree = meshagent::commands::whole_tree();
    let mut wrong = Vec::new();
    let mut compared = 0;
    let is_here = |path: &str| is_ours(path) || MORE.contains(&path);
    for (path, told) in told.iter().filter(|(path, _)| is_here(path)) {
        let Some(command) = find(&tree, path) else {
            wrong.push(format!("{path} is missing"));
            continue;
        };
        compared += 1;
        for option in &told.options {
            wrong.extend(check(command, option).into_iter().map(|what| format!("{path}: {what}")));
        }
        let positionals: Vec<_> = command.get_positionals().collect();
        if positionals.len() != told.arguments.len() {
            wrong.push(format!("{path}: {} arguments there", told.arguments.len()));
        }
        for (ours, theirs) in positionals.iter().zip(&told.arguments) {
            if ours.is_required_set() != theirs.contains("[required]") {
                wrong.push(format!("{path}: {theirs} is required there, or here"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(MORE.iter().all(|path| told.contains_key(*path)), "the reference has no such command");
    assert!(compared > 40, "{compared} commands of the reference were found");
}
