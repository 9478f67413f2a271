//! What commands and values of similar programs are called here.

use clap::error::{ContextKind, ErrorKind};

/// The hint for a word that another program knows, where this one knows none or a wrong one.
pub(super) fn told(parser: &clap::Error, names: &str) -> Option<&'static str> {
    let told = |kind: ContextKind| parser.get(kind).map(ToString::to_string).unwrap_or_default();
    let (argument, value) = (told(ContextKind::InvalidArg), told(ContextKind::InvalidValue));
    match parser.kind() {
        ErrorKind::InvalidSubcommand if names.is_empty() => {
            let word = told(ContextKind::InvalidSubcommand);
            COMMANDS.iter().find(|(words, _)| words.contains(&word.as_str())).map(|it| it.1)
        }
        ErrorKind::InvalidValue if argument == "<SHELL>" && !value.is_empty() => {
            Some("the shells are bash, zsh, fish and powershell")
        }
        ErrorKind::InvalidValue if argument.starts_with("--output ") && value == "name" => {
            Some("-q prints the names alone")
        }
        ErrorKind::InvalidValue if argument.starts_with("--prune ") && value.is_empty() => Some(
            "what left the given manifests is deleted without this option; `--prune=all` deletes what other files declared, too",
        ),
        _ => None,
    }
}

/// Commands of other programs, and what is said of them.
const COMMANDS: [(&[&str], &str); 8] = [
    (
        &["create", "replace"],
        "`meshagent apply -f` creates what manifests declare; `meshagent rooms create` and the like create one object",
    ),
    (
        &["edit", "patch", "annotate", "label"],
        "edit the manifest and run `meshagent apply`; `meshagent rooms update` and the like change one object",
    ),
    (&["rollout"], "`meshagent apply --wait` changes services and waits until they work"),
    (
        &["scale", "autoscale"],
        "a service has no number of copies: it runs once in each of its rooms",
    ),
    (
        &["deploy", "up", "sync", "upgrade"],
        "`meshagent apply` makes the platform match the manifests",
    ),
    (&["preview"], "`meshagent plan` shows what apply would do"),
    (
        &["output", "outputs"],
        "there are no outputs: `meshagent rooms get` and the like show one object, and `--output json` prints it for programs",
    ),
    (
        &["taint", "untaint"],
        "`meshagent destroy -f` deletes what a file declares, and apply creates it again",
    ),
];
