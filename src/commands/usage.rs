//! Errors of the argument parser, reported like every other error: on one line, with a hint.

use std::path::Path;

use clap::error::{ContextKind, ErrorKind};

pub use self::glued::{apart, one_dash};
use crate::error::Error;
use crate::listed::{nearest, word};
use crate::manifest::own_files::OwnFiles;
use crate::{bounded, visible};

mod glued;
mod habits;

/// What is wrong with a command line of these words; nothing if the parser only shows help or a
/// version.
#[must_use]
pub fn error(parser: &clap::Error, tree: clap::Command, words: &[String]) -> Option<Error> {
    if !parser.use_stderr() || parser.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        return None;
    }
    let text = parser.render().to_string();
    let mut paragraphs = text.split("\n\n").map(one_line);
    let message = paragraphs.next().unwrap_or_default();
    let message = message.replace("invalid digit found in string", "it must be a whole number");
    // Behind `--` an option would be taken for a name, which nobody means.
    let tips = paragraphs.filter_map(|it| it.strip_prefix("tip: ").map(str::to_owned));
    let tips: Vec<String> = tips.filter(|tip| !tip.contains("as a value, use '-- ")).collect();
    let usage = parser.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let (names, command) = command(&usage, &tree);
    let takes_pairs = command.is_some_and(|it| takes(it, "data"));
    let message = match pair(parser).filter(|_| takes_pairs) {
        Some(pair) => without_value(&pair),
        None => message,
    };
    let tips: Vec<String> = tips.into_iter().filter(|tip| !names_an_alias(tip, command)).collect();
    let guessed = habit(parser, &names, words).or_else(|| habits::told(parser, &names));
    let guessed = guessed.map(str::to_owned);
    let guessed = guessed.or_else(|| own_file(parser));
    let guessed = guessed.or_else(|| elsewhere(parser, command, words));
    let guessed = guessed.or_else(|| beside(parser, words));
    let guessed = guessed.or_else(|| several_files(parser, command, words));
    let guessed = guessed.or_else(|| in_another_group(parser, &names, &tree));
    let hint = match guessed.or_else(|| meant(parser, &names, command, words)) {
        Some(guessed) => guessed,
        None if tips.is_empty() => way_on(parser.kind(), &usage, tree, words),
        None => tips.join("; "),
    };
    Some(Error::usage(message.strip_prefix("error: ").unwrap_or(&message)).hint(hint))
}

/// What is told of a pair that stands where none is expected. Its value may be a secret.
fn without_value(pair: &str) -> String {
    let name = pair.split('=').next().unwrap_or_default();
    format!("unexpected argument '{}=…' found", one_line(name))
}

/// Whether a command has an option.
fn takes(command: &clap::Command, option: &str) -> bool {
    command.get_arguments().any(|it| it.get_long() == Some(option))
}

/// An argument that the command does not accept, if it is `NAME=VALUE`.
fn pair(parser: &clap::Error) -> Option<String> {
    let argument = parser.get(ContextKind::InvalidArg)?.to_string();
    let is_pair = parser.kind() == ErrorKind::UnknownArgument
        && !argument.starts_with('-')
        && argument.contains('=');
    is_pair.then_some(argument)
}

/// The command of a command line: its names, without the program's, and its arguments.
fn command<'a>(usage: &str, tree: &'a clap::Command) -> (String, Option<&'a clap::Command>) {
    let is_name = |word: &&str| word.starts_with(|first: char| first.is_ascii_lowercase());
    let names: Vec<&str> = usage.split_whitespace().skip(2).take_while(is_name).collect();
    let found = names.iter().try_fold(tree, |group, name| group.find_subcommand(name));
    (names.join(" "), found)
}

/// Whether a tip of the parser names another word for a command: those are short, and much is
/// similar to them.
fn names_an_alias(tip: &str, group: Option<&clap::Command>) -> bool {
    let Some(name) = tip.strip_prefix("a similar subcommand exists: ") else { return false };
    let name = name.trim_matches('\'');
    group.and_then(|group| group.find_subcommand(name)).is_some_and(|it| it.get_name() != name)
}

/// The command groups of the reference that do not exist here yet.
const LATER: [&str; 4] = ["mcp", "meeting-transcriber", "test", "webserver"];

/// The groups of `room` that are not here yet.
const LATER_IN_ROOMS: [&str; 1] = ["container"];

/// What is said of all of them.
const NOT_YET: &str = "this program does not have it yet: use the Python command line, which has it and reads the same settings";

/// What similar programs call by other names.
fn habit(parser: &clap::Error, names: &str, words: &[String]) -> Option<&'static str> {
    let told = |kind: ContextKind| parser.get(kind).map(ToString::to_string).unwrap_or_default();
    match parser.kind() {
        ErrorKind::InvalidSubcommand if names.is_empty() => {
            match told(ContextKind::InvalidSubcommand).as_str() {
                "delete" | "remove" | "rm" | "down" => Some(
                    "`meshagent destroy` deletes what a set owns, or with -f what these manifests declare; `apply` deletes what left the manifests",
                ),
                "get" | "list" | "ls" | "describe" => Some(
                    "`meshagent export` writes what a project holds; `meshagent rooms list` and the like show one kind",
                ),
                "import" => Some(
                    "`meshagent export` writes manifests of what exists, and `meshagent apply --adopt` adopts it",
                ),
                "state" | "refresh" => Some(
                    "`meshagent plan --drift-only` shows what changed on the platform, and `meshagent set list` what sets own",
                ),
                "workspace" | "workspaces" => Some(
                    "use a project instead of a workspace: choose it with --project-id, and its values with --values-file",
                ),
                "login" | "logout" => Some("`meshagent auth login` and `meshagent auth logout`"),
                "force-unlock" | "unlock" => {
                    Some("`meshagent apply --break-lock` takes over the lock of a run that is gone")
                }
                "fmt" => Some("manifests need no formatting; `meshagent validate` checks them"),
                word if LATER.contains(&word) => Some(NOT_YET),
                _ => None,
            }
        }
        ErrorKind::InvalidSubcommand => {
            let word = told(ContextKind::InvalidSubcommand);
            match (names, word.as_str()) {
                ("room", word) if LATER_IN_ROOMS.contains(&word) => Some(NOT_YET),
                ("room database", "list" | "ls") => {
                    Some("`meshagent room database table` lists the tables")
                }
                ("room database", "query" | "select") => {
                    Some("`meshagent room database sql` prints what a statement selects")
                }
                ("room database", "show" | "describe" | "schema") => {
                    Some("`meshagent room database inspect` prints the columns of a table")
                }
                ("scheduled-task", "create") => {
                    Some("`meshagent scheduled-task add` creates a task")
                }
                _ => None,
            }
        }
        ErrorKind::UnknownArgument
            if ["--install-completion", "--show-completion"]
                .contains(&told(ContextKind::InvalidArg).as_str()) =>
        {
            Some(
                "`meshagent completion bash` prints completions; zsh, fish and powershell are known, too",
            )
        }
        ErrorKind::UnknownArgument
            if names == "destroy" && told(ContextKind::InvalidArg) == "--all" =>
        {
            Some("without -f, it deletes everything that the set owns")
        }
        ErrorKind::UnknownArgument
            if matches!(names, "plan" | "diff" | "graph")
                && ["--destroy", "-d"].contains(&told(ContextKind::InvalidArg).as_str())
                && words.iter().any(|word| ["--destroy", "-destroy"].contains(&word.as_str())) =>
        {
            Some("`meshagent destroy --dry-run` shows what would be deleted")
        }
        ErrorKind::ArgumentConflict
            if names == "apply" && told(ContextKind::InvalidArg).contains("[PLAN]") =>
        {
            Some(
                "a saved plan contains this already: leave it out; give manifests with -f, as in `meshagent apply -f manifests`",
            )
        }
        ErrorKind::InvalidValue
            if told(ContextKind::InvalidArg).starts_with("--output ")
                && words.get(1).is_some_and(|word| word == "plan") =>
        {
            Some(
                "--output says how the plan is printed: text, json, markdown or html; `--out FILE` writes it to a file",
            )
        }
        _ => None,
    }
}

/// Options of other programs, without their dashes; an option that shows for which commands the
/// hint is; and the hint.
const ELSEWHERE: [(&str, &str, &str); 23] = [
    ("dry-run", "drift-only", "`plan` changes nothing: leave this option out"),
    (
        "force",
        "break-lock",
        "nothing is forced: --adopt takes over what exists, --break-lock a lease that a dead run holds",
    ),
    (
        "namespace",
        "project-id",
        "use --project-id for the project; a document names its room itself",
    ),
    (
        "k",
        "file",
        "give the folder of the manifests with -f; overlays are environments of meshagent.yaml, `-e NAME`",
    ),
    ("R", "file", "-f reads a folder with everything below it: leave this option out"),
    ("format", "language", "use --language mermaid, dot, svg or html"),
    ("output", "language", "use --language mermaid, dot, svg or html"),
    ("o", "language", "use --language mermaid, dot, svg or html"),
    ("svg", "language", "use --language svg"),
    ("html", "language", "use --language html"),
    ("dot", "language", "use --language dot"),
    ("auto-approve", "yes", "use --yes to skip the question"),
    ("no-confirm", "yes", "use --yes to skip the question"),
    ("assume-yes", "yes", "use --yes to skip the question"),
    ("var", "value", "give a value for templates as `-v NAME=VALUE`"),
    ("var-file", "values-file", "use --values-file for a file of values, in YAML or JSON"),
    (
        "detailed-exitcode",
        "exit-code",
        "use --exit-code to exit with 3 when something would change",
    ),
    ("refresh-only", "drift-only", "use --drift-only to show what changed on the platform"),
    (
        "replace",
        "drift-only",
        "`meshagent destroy -f` deletes what a file declares, and apply creates it again",
    ),
    ("json", "output", "use --output json"),
    ("target", "target", "long options begin with two dashes: --target"),
    ("out", "out", "long options begin with two dashes: --out"),
    ("parallelism", "parallelism", "long options begin with two dashes: --parallelism"),
];

/// The equivalent of another program's option, if the command has it. With one dash, the parser
/// reads the option as several one-letter options.
fn elsewhere(
    parser: &clap::Error,
    command: Option<&clap::Command>,
    words: &[String],
) -> Option<String> {
    if parser.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let takes = |option: &str| command?.get_arguments().find(|it| it.get_long() == Some(option));
    let named = words.iter().skip(1).filter_map(|word| {
        let name = word.strip_prefix('-')?;
        let (dashes, name) = name.strip_prefix('-').map_or((1, name), |name| (2, name));
        Some((dashes, name.split('=').next().unwrap_or_default()))
    });
    named.into_iter().find_map(|(dashes, name)| {
        let (_, option, told) = ELSEWHERE.iter().find(|(word, ..)| *word == name)?;
        let is_short = || command?.get_arguments().find(|it| it.get_short() == name.chars().next());
        let is_known = match dashes {
            2 => takes(name).is_some(),
            _ => name.len() == 1 && is_short().is_some(),
        };
        (takes(option).is_some() && !is_known).then(|| (*told).to_owned())
    })
}

/// The command of this name in a group above, or in a group with nearly the same name:
/// `rooms delete` for `room delete`.
fn in_another_group(parser: &clap::Error, names: &str, tree: &clap::Command) -> Option<String> {
    if parser.kind() != ErrorKind::InvalidSubcommand || names.is_empty() {
        return None;
    }
    let word = parser.get(ContextKind::InvalidSubcommand)?.to_string();
    let has = |group: &clap::Command| {
        let found = group.find_subcommand(&word);
        found.is_some_and(|command| !command.is_hide_set())
    };
    let path: Vec<&str> = names.split(' ').collect();
    // `room list` lists who is in a room, and nothing of what its groups are about.
    if word == "list" && path.len() > 1 && path[0] == "room" {
        return None;
    }
    let below = |length: usize| {
        let group = path[..length].iter().try_fold(tree, |group, name| group.find_subcommand(name));
        group.filter(|group| has(group)).map(|_| path[..length].join(" "))
    };
    let beside = || {
        let groups = tree.get_subcommands().filter(|group| has(group));
        nearest(path[0], groups.map(clap::Command::get_name))
    };
    let group = (1..path.len()).rev().find_map(below).or_else(beside)?;
    Some(format!("`meshagent {group} {word}` is a command"))
}

/// What was meant by a word that belongs to the option before it.
fn beside(parser: &clap::Error, words: &[String]) -> Option<String> {
    if parser.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let argument = parser.get(ContextKind::InvalidArg)?.to_string();
    let shown = word(&argument);
    let at = words.iter().position(|word| *word == argument)?;
    let before = |back: usize| words.get(at.checked_sub(back)?).map(String::as_str);
    let has_files =
        || words.iter().any(|word| word.starts_with("-f") || word.starts_with("--file"));
    match (before(2), before(1)?) {
        _ if argument.starts_with('-') => None,
        // A folder of manifests is not one for the data of a platform.
        (_, "--embedded") if !has_files() && holds_manifests(Path::new(&argument)) => None,
        (_, "--embedded") => Some(format!("give its folder as `--embedded={shown}`")),
        (_, "--wait") => Some(format!("give the time as `--wait={shown}`")),
        (Some(option @ ("-v" | "--value" | "--value-json")), name) if !name.contains('=') => Some(
            format!("write a name and its value as one word: `{option} {}=…`", visible::line(name)),
        ),
        _ => None,
    }
}

/// Whether a file is a manifest by its name, or a folder holds one.
fn holds_manifests(path: &Path) -> bool {
    let is_one = |path: &Path| {
        let suffix = path.extension().and_then(|suffix| suffix.to_str());
        suffix.is_some_and(|suffix| ["yaml", "yml", "json", "j2"].contains(&suffix))
    };
    let there = std::fs::read_dir(path).into_iter().flatten().flatten();
    is_one(path) || there.into_iter().any(|entry| is_one(&entry.path()))
}

/// The commands for a saved plan or a report that another command was given.
fn own_file(parser: &clap::Error) -> Option<String> {
    if parser.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let argument = parser.get(ContextKind::InvalidArg)?.to_string();
    let text = bounded::text(Path::new(&argument), bounded::STANDARD).ok()?;
    let file = word(&argument);
    Some(match OwnFiles::of(&text)? {
        OwnFiles::Plan => format!(
            "`meshagent show {file}` shows the saved plan, and `meshagent apply {file}` performs it"
        ),
        OwnFiles::Report => format!("`meshagent show {file}` shows the report"),
    })
}

/// What was meant by a file behind another one that was given with -f.
fn several_files(
    parser: &clap::Error,
    command: Option<&clap::Command>,
    words: &[String],
) -> Option<String> {
    let argument = parser.get(ContextKind::InvalidArg)?.to_string();
    let takes_several =
        command?.get_arguments().any(|it| it.get_long() == Some("file") && takes_manifests(it));
    if parser.kind() != ErrorKind::UnknownArgument || !takes_several || argument.starts_with('-') {
        return None;
    }
    let at = words.iter().position(|word| *word == argument)?;
    let given = words[..at].iter().rposition(|word| ["-f", "--file"].contains(&word.as_str()))?;
    let files = &words[given + 1..=at];
    // Another option between them takes what is behind it.
    if files.len() < 2 || files.iter().any(|file| file.starts_with('-')) {
        return None;
    }
    let rest = words[at + 1..].iter().take_while(|word| !word.starts_with('-'));
    let each = files.iter().chain(rest).map(|file| format!("-f {}", word(file)));
    Some(format!("give each file its own -f: `{}`", each.collect::<Vec<_>>().join(" ")))
}

/// The likely meaning of an argument that the command does not accept: an option of another
/// program, a name that is given without an option, manifests without `-f`.
fn meant(
    parser: &clap::Error,
    names: &str,
    command: Option<&clap::Command>,
    words: &[String],
) -> Option<String> {
    if parser.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let argument = parser.get(ContextKind::InvalidArg)?.to_string();
    let command = command?;
    let bare = argument.trim_start_matches('-');
    let is_option = argument.starts_with("--");
    let takes = |option: &str| takes(command, option);
    match bare {
        "help" => return Some(format!("`meshagent help {names}` shows its help")),
        "yes" | "y" if names == "accept" => {
            return Some("accept does not ask: leave this option out".to_owned());
        }
        "allow-commands" if names == "validate" => {
            return Some(
                "validate reads no secrets and runs no commands: leave this option out".to_owned(),
            );
        }
        "dry-run" | "what-if" if is_option && names == "apply" => {
            return Some("`meshagent plan` shows what apply would do".to_owned());
        }
        _ => {}
    }
    if pair(parser).is_some() && takes("data") {
        return Some(format!("give pairs with --data: `meshagent {names} --data NAME=VALUE`"));
    }
    if !is_option {
        let shown = word(&argument);
        let is_file = argument.contains('/')
            || FILES.iter().any(|end| argument.to_ascii_lowercase().ends_with(end));
        let has_positional = command.get_positionals().next().is_some();
        let is_taken = has_positional || (is_file && takes("file"));
        if !argument.starts_with('-') && !is_taken {
            // What tells one object is an option here, and no word of its own.
            let told_by = ["id", "name"].into_iter().filter(|option| {
                let named = command.get_arguments().find(|it| it.get_long() == Some(option));
                named.is_some_and(|it| !is_given(it, words))
            });
            let told_by: Vec<String> =
                told_by.map(|it| format!("`meshagent {names} --{it} {shown}`")).collect();
            if !told_by.is_empty() && !is_file {
                return Some(format!("which one is meant is an option: {}", told_by.join(" or ")));
            }
            let missing = command
                .get_arguments()
                .find(|it| it.is_required_set() && it.get_long().is_some() && !is_given(it, words));
            if let Some(option) = missing {
                let option = spelled(option);
                return Some(format!("it is an option: `meshagent {names} {option} {shown}`"));
            }
        }
        if takes("to") && argument.parse::<u64>().is_ok() {
            return Some(format!(
                "a past state is named with --to: `meshagent {names} --to {argument}`"
            ));
        }
        let file = command.get_arguments().find(|it| it.get_long() == Some("file"));
        let file = file.filter(|it| !has_positional && !is_given(it, words));
        let file = file.filter(|_| !argument.starts_with('-'))?;
        let embedded =
            if words.iter().any(|word| word == "--embedded") { " --embedded" } else { "" };
        let option = spelled(file);
        let what = match takes_manifests(file) {
            true => "manifests",
            false => "the file",
        };
        return Some(format!(
            "give {what} with {option}: `meshagent {names} {option} {shown}{embedded}`"
        ));
    }
    let wanted = bare.to_uppercase().replace('-', "_");
    let positional = command
        .get_positionals()
        .filter_map(|it| it.get_value_names()?.first().map(ToString::to_string))
        .find(|name| *name == wanted || name.ends_with(&format!("_{wanted}")))?;
    Some(format!("give {positional} without an option: `meshagent {names} {positional}`"))
}

/// How the names of files end that are given to commands.
const FILES: [&str; 7] = [".yaml", ".yml", ".json", ".j2", ".jsonl", ".csv", ".tsv"];

/// Whether an option takes manifests: files and folders, of which there may be several.
fn takes_manifests(option: &clap::Arg) -> bool {
    let takes_folders =
        option.get_value_names().is_some_and(|names| names.iter().any(|name| name == "PATH"));
    takes_folders && matches!(option.get_action(), clap::ArgAction::Append)
}

/// Whether an option is among the words of a command line.
fn is_given(option: &clap::Arg, words: &[String]) -> bool {
    words.iter().any(|word| match word.strip_prefix("--") {
        Some(long) => {
            let name = long.split('=').next().unwrap_or_default();
            option.get_long_and_visible_aliases().is_some_and(|known| known.contains(&name))
        }
        None => {
            let letter = word.strip_prefix('-').and_then(|rest| rest.chars().next());
            letter.is_some() && option.get_short() == letter
        }
    })
}

/// An option as it is shortest.
fn spelled(option: &clap::Arg) -> String {
    match (option.get_short(), option.get_long()) {
        (Some(letter), _) => format!("-{letter}"),
        (None, long) => format!("--{}", long.unwrap_or_default()),
    }
}

fn one_line(paragraph: &str) -> String {
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where to look if the parser knows nothing similar: the existing names, or the help of the
/// command.
fn way_on(kind: ErrorKind, usage: &str, tree: clap::Command, words: &[String]) -> String {
    let is_name = |word: &&str| word.starts_with(|first: char| first.is_ascii_lowercase());
    let path: Vec<&str> = usage.split_whitespace().skip(1).take_while(is_name).collect();
    // Of a wrong value, the parser does not say in which command it is.
    let mut group = &tree;
    let given = words.iter().skip(1).map_while(|word| {
        group = group.find_subcommand(word)?;
        Some(word.as_str())
    });
    let given: Vec<&str> = ["meshagent"].into_iter().chain(given).collect();
    let path = if path.is_empty() { given } else { path };
    let Some((program, below)) = path.split_first() else {
        return "see `--help`".to_owned();
    };
    let group = below.iter().try_fold(&tree, |group, name| group.find_subcommand(name));
    if let (ErrorKind::InvalidSubcommand, Some(group)) = (kind, group) {
        let names = group.get_subcommands().filter(|command| !command.is_hide_set());
        let names: Vec<&str> = names.map(clap::Command::get_name).collect();
        return format!("`{}` has the commands: {}", path.join(" "), names.join(", "));
    }
    format!("see `{}`", [&[*program], below, &["--help"]].concat().join(" "))
}

/// What is wrong where several environments are named. Of other options that are given twice the
/// last one counts; here that would plan one of them, and say nothing of the other.
#[must_use]
pub fn environments(matches: &clap::ArgMatches) -> Option<Error> {
    let given = matches.try_get_many::<String>("environment").ok().flatten();
    let named: Vec<&String> = given.into_iter().flatten().collect();
    if let Some(other) = named.iter().find(|it| **it != named[0]) {
        let what = format!("-e {} and -e {other}: a command is for one environment", named[0]);
        return Some(Error::usage(what).hint(
            "name one of them; `plan -e all` plans all, and `diff -e ONE..OTHER` compares two",
        ));
    }
    environments(matches.subcommand()?.1)
}

#[cfg(test)]
mod tests;
