//! Options that are handed to the command that is run: which of them go to whom.

use std::path::PathBuf;

use crate::settings::DEFAULT_DATA;

/// An option, as it is written, and whether a value follows it.
type Spelled = (&'static str, bool);

/// What no saved plan holds: whoever applies it gives it again.
pub(super) const IN_NO_PLAN: [Spelled; 15] = [
    ("-v", true),
    ("--value", true),
    ("--value-json", true),
    ("--allow-env", true),
    ("--allow-files", true),
    ("--allow-commands", false),
    ("--expect-project", true),
    ("--offline", false),
    ("--verbose", false),
    ("--embedded", false),
    ("--api-url", true),
    ("--dialect", true),
    ("--insecure", false),
    ("--timeout", true),
    ("--retries", true),
];

/// What consents to something that is not done for strangers, and what says which platform and which
/// project it is: theirs is an empty one.
pub(super) const NOT_OF_STRANGERS: [Spelled; 11] = [
    ("--allow-commands", false),
    ("--allow-files", true),
    ("--expect-project", true),
    ("--embedded", false),
    ("--offline", false),
    ("--api-url", true),
    ("--dialect", true),
    ("--insecure", false),
    ("--project-id", true),
    ("-n", true),
    ("--out", true),
];

/// What says which platform, project, set and values are meant, for every command that reads manifests.
pub(super) const OF_MEANT: [Spelled; 15] = [
    ("-v", true),
    ("--value", true),
    ("--value-json", true),
    ("--values-file", true),
    ("--allow-env", true),
    ("--allow-files", true),
    ("--offline", false),
    ("--verbose", false),
    ("--set", true),
    ("--project-id", true),
    ("-n", true),
    ("--api-url", true),
    ("--insecure", false),
    ("--timeout", true),
    ("--retries", true),
];

/// What says which approvals there are.
pub(super) const OF_APPROVALS: [Spelled; 3] =
    [("--approval", true), ("--approvers", true), ("--author", true)];

/// The options of a list, and the others.
pub(super) fn parted(options: &[String], of: &[Spelled]) -> (Vec<String>, Vec<String>) {
    let (mut these, mut others) = (Vec::new(), Vec::new());
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        let found = of.iter().find(|(name, takes)| is(option, name, *takes));
        match found {
            Some((name, takes)) => {
                these.push(option.clone());
                if *takes && option == name {
                    these.extend(rest.next().cloned());
                }
            }
            None => others.push(option.clone()),
        }
    }
    (these, others)
}

/// The last value of a long option.
pub(super) fn value<'a>(options: &'a [String], name: &str) -> Option<&'a str> {
    let mut found = None;
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        match option.strip_prefix(name) {
            Some("") => found = rest.next().map(String::as_str),
            Some(value) => found = value.strip_prefix('=').or(found),
            None => {}
        }
    }
    found
}

/// The folder of the embedded platform, if that is meant. A value is joined to the option.
pub(super) fn embedded(options: &[String]) -> Option<PathBuf> {
    let given = options.iter().rev().find_map(|word| word.strip_prefix("--embedded"))?;
    match given.strip_prefix('=') {
        Some(folder) => Some(folder.into()),
        None => given.is_empty().then(|| DEFAULT_DATA.into()),
    }
}

/// Whether a word is an option: alone, or with its value behind it.
fn is(word: &str, name: &str, takes: bool) -> bool {
    let Some(value) = word.strip_prefix(name) else { return false };
    let is_long = name.starts_with("--");
    value.is_empty() || (is_long && value.starts_with('=')) || (!is_long && takes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_are_told_apart_with_their_values() {
        for (line, these, others) in [
            ("--allow-commands --set a", "--allow-commands", "--set a"),
            ("-v a=1 -n p -np --allow-env A", "-n p -np", "-v a=1 --allow-env A"),
            (
                "--embedded=x --embedded --allow-files=/",
                "--embedded=x --embedded --allow-files=/",
                "",
            ),
            ("--allow-deletes 3 --offline-not", "", "--allow-deletes 3 --offline-not"),
            ("--expect-project", "--expect-project", ""),
        ] {
            let parted = parted(&words(line), &NOT_OF_STRANGERS);
            assert_eq!(parted, (words(these), words(others)), "{line}");
        }
        let (again, _) =
            parted(&words("--adopt -v a=1 -vb=2 --policy p --value-json c=1"), &IN_NO_PLAN);
        assert_eq!(again, words("-v a=1 -vb=2 --value-json c=1"));
    }

    #[test]
    fn the_value_of_an_option_is_the_last_one() {
        for (line, found) in [
            ("--report a --set b", Some("a")),
            ("--report=a --report b", Some("b")),
            ("--reports a --report", None),
        ] {
            assert_eq!(value(&words(line), "--report"), found, "{line}");
        }
    }

    #[test]
    fn the_folder_of_the_embedded_platform_is_the_last_that_is_given() {
        for (line, folder) in [
            ("--set a", None),
            ("--embedded", Some(DEFAULT_DATA)),
            ("--embedded=x --embedded=y -v a=1", Some("y")),
            ("--embedded-not", None),
        ] {
            assert_eq!(embedded(&words(line)), folder.map(PathBuf::from), "{line}");
        }
    }
}
