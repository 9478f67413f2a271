//! How the library is asked, and what its errors are in our words.

use serde_yaml::{DuplicateKeyPolicy, MergeKeyPolicy};

use super::{MAX_DEPTH, MAX_NODES, Mark, YamlError};

pub(super) fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Merge,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        with_snippet: false,
        budget: serde_yaml::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_aliases: 10_000,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 50_000,
        },
    }
}

/// The library's message without its place, which is told apart, and in our own words
/// where it speaks of options that our users do not have.
pub(super) fn yaml_error(error: &serde_yaml::Error) -> YamlError {
    let full = error.without_snippet().to_string();
    let message = full.split(" at line ").next().unwrap_or(&full);
    let message = match error.without_snippet() {
        _ if message.contains("Depth {") || message.starts_with("recursion limit") => {
            format!("lists and maps are {MAX_DEPTH} deep at most")
        }
        _ if message.starts_with("alias replay limit") => {
            "the aliases expand to more than is read".to_owned()
        }
        serde_yaml::Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("duplicate key `{key}`")
        }
        serde_yaml::Error::Budget { .. } => {
            format!(
                "the text expands beyond what is read ({})",
                message.trim_start_matches("budget breached: ")
            )
        }
        _ if message.starts_with("non-finite float ") => {
            let number = message.split('`').nth(1).unwrap_or("it");
            format!("`{number}` is not a number that can be sent")
        }
        serde_yaml::Error::NullIntoString { .. } => "a key must be text, not null".to_owned(),
        _ => message.to_owned(),
    };
    YamlError { message, mark: error.location().map(Mark::from) }
}
