//! What the parser finds nothing wrong with, and reads as something else than was meant.
//!
//! Long options with one dash, as some programs take them: the parser reads `-format=svg` as
//! `-f ormat=svg`. A time apart from its option: it reads `--wait 5s` as a saved plan `5s`.

use std::ffi::OsString;
use std::path::Path;

use crate::error::Error;
use crate::settings;
use crate::visible;

/// Such options, and what is meant here.
const KNOWN: [(&str, &str); 5] = [
    ("format", "graph has --language, other commands have --output"),
    ("filename", "give a manifest with --file"),
    ("force", "nothing is forced: --adopt takes over what exists"),
    ("no-color", "with NO_COLOR=1 in the environment, nothing is coloured"),
    ("var-file", "use --values-file for a file of values, in YAML or JSON"),
];

/// What is wrong with the first such option of a command line.
#[must_use]
pub fn one_dash(words: impl IntoIterator<Item = OsString>) -> Option<Error> {
    let words = words.into_iter().skip(1).take_while(|word| word != "--");
    words.filter_map(|word| word.into_string().ok()).find_map(|word| {
        let name = word.strip_prefix('-')?.split('=').next()?;
        let (_, hint) = KNOWN.iter().find(|(known, _)| *known == name)?;
        let shown = visible::line(&word).into_owned();
        let (short, rest) = shown.split_at(2);
        Some(
            Error::usage(format!("`{shown}` would be read as `{short} {rest}`"))
                .hint(format!("long options begin with two dashes; {hint}")),
        )
    })
}

/// What is wrong where a time stands apart from its option: the parser takes it for a saved plan.
#[must_use]
pub fn apart(words: impl IntoIterator<Item = OsString>) -> Option<Error> {
    let words = words.into_iter().skip(1).take_while(|word| word != "--");
    let words: Vec<String> = words.map_while(|word| word.into_string().ok()).collect();
    words.windows(2).find_map(|pair| {
        let [option, time] = pair else { return None };
        let is_time = option == "--wait" && settings::duration(time).is_ok();
        (is_time && !Path::new(time).exists()).then(|| {
            Error::usage(format!(
                "`{option} {time}` would be read as `{option}` and a plan `{time}`"
            ))
            .hint(format!("give the time as `{option}={time}`"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_stands_apart_is_not_taken_for_a_plan() {
        let told = |line: &str| apart(line.split(' ').map(OsString::from));
        let error = told("meshagent apply -f m --wait 5s").unwrap();
        assert_eq!(error.hint.as_deref(), Some("give the time as `--wait=5s`"));
        for fine in ["meshagent apply --wait=5s", "meshagent apply --wait plan", "meshagent --wait"]
        {
            assert!(told(fine).is_none(), "{fine}");
        }
    }

    #[test]
    fn a_long_option_with_one_dash_is_not_taken_for_a_short_one() {
        let told = |line: &str| {
            let words = line.split(' ').map(OsString::from);
            one_dash(words).map(|error| error.to_string())
        };
        assert_eq!(
            told("meshagent graph -f m -format=svg").as_deref(),
            Some("`-format=svg` would be read as `-f ormat=svg`")
        );
        assert_eq!(
            told("meshagent plan -no-color").as_deref(),
            Some("`-no-color` would be read as `-n o-color`")
        );
        for fine in ["meshagent plan -fformat", "meshagent plan --format", "meshagent x -- -format"]
        {
            assert_eq!(told(fine), None, "{fine}");
        }
    }
}
