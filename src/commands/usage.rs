//! What the parser of arguments has against a line, as every other error is told: in one
//! line, with a hint.

use clap::error::{ContextKind, ErrorKind};

use crate::error::Error;

/// What is wrong with the line, or nothing where the parser only shows help or a version.
#[must_use]
pub fn error(parser: &clap::Error, tree: clap::Command) -> Option<Error> {
    if !parser.use_stderr() || parser.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        return None;
    }
    let text = parser.render().to_string();
    let mut paragraphs = text.split("\n\n").map(one_line);
    let message = paragraphs.next().unwrap_or_default();
    let tips: Vec<String> =
        paragraphs.filter_map(|it| it.strip_prefix("tip: ").map(str::to_owned)).collect();
    let usage = parser.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let hint = if tips.is_empty() { way_on(parser.kind(), &usage, tree) } else { tips.join("; ") };
    Some(Error::usage(message.strip_prefix("error: ").unwrap_or(&message)).hint(hint))
}

fn one_line(paragraph: &str) -> String {
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where to look when the parser knows nothing similar: at the names that there are, or at
/// the help of the command that was meant.
fn way_on(kind: ErrorKind, usage: &str, tree: clap::Command) -> String {
    let is_name = |word: &&str| word.starts_with(|first: char| first.is_ascii_lowercase());
    let path: Vec<&str> = usage.split_whitespace().skip(1).take_while(is_name).collect();
    let Some((program, below)) = path.split_first() else {
        return "try --help".to_owned();
    };
    let group = below.iter().try_fold(&tree, |group, name| group.find_subcommand(name));
    if let (ErrorKind::InvalidSubcommand, Some(group)) = (kind, group) {
        let names = group.get_subcommands().filter(|command| !command.is_hide_set());
        let names: Vec<&str> = names.map(clap::Command::get_name).collect();
        return format!("`{}` has {}", path.join(" "), names.join(", "));
    }
    format!("see `{}`", [&[*program], below, &["--help"]].concat().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Option<(String, Option<String>)> {
        let tree = crate::commands::tree();
        let parser = tree.clone().try_get_matches_from(line.split(' ')).unwrap_err();
        error(&parser, tree).map(|error| (error.message, error.hint))
    }

    #[test]
    fn wrong_usage_is_one_line_with_a_hint() {
        for (line, message, hint) in [
            (
                "meshagent service create --image x",
                "unexpected argument '--image' found",
                "see `meshagent service create --help`",
            ),
            (
                "meshagent token tests",
                "unrecognized subcommand 'tests'",
                "`meshagent token` has generate",
            ),
            (
                "meshagent secret lisst",
                "unrecognized subcommand 'lisst'",
                "a similar subcommand exists: 'list'",
            ),
            (
                "meshagent secret gar create --json_key x",
                "unexpected argument '--json_key' found",
                "a similar argument exists: '--json-key'",
            ),
            (
                "meshagent secret gar create --name x",
                "the following required arguments were not provided: --server <HOST> --json-key <JSON>",
                "see `meshagent secret gar create --help`",
            ),
            (
                "meshagent project list -o 1",
                "invalid value '1' for '--output <OUTPUT>' [possible values: json, yaml, table]",
                "try --help",
            ),
        ] {
            let told = told(line);
            assert_eq!(told, Some((message.to_owned(), Some(hint.to_owned()))), "{line}");
        }
    }

    #[test]
    fn help_is_no_error() {
        for line in ["meshagent", "meshagent service", "meshagent --help", "meshagent --version"] {
            assert_eq!(told(line), None, "{line}");
        }
    }
}
