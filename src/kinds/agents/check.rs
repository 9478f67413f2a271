//! *Pure*: what is wrong with options beside their types. All of it is known before anything runs.

use std::collections::BTreeSet;

use super::family::Family;
use super::given::Given;

/// What is wrong with an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Its name, without dashes.
    pub option: &'static str,
    /// Which of its texts is wrong, from 0, where it may have several.
    pub item: Option<usize>,
    /// What is wrong, as a sentence whose subject is the option.
    pub message: String,
    /// Whether its value is one that it can have, and does not go together with others.
    pub is_conflict: bool,
}

type Checked<T = ()> = Result<T, Wrong>;

fn wrong<T>(option: &'static str, message: impl Into<String>) -> Checked<T> {
    Err(Wrong { option, item: None, message: message.into(), is_conflict: false })
}

/// The same, for one of several texts.
fn wrong_item<T>(option: &'static str, item: usize, message: impl Into<String>) -> Checked<T> {
    Err(Wrong { option, item: Some(item), message: message.into(), is_conflict: false })
}

/// The bytes that one argument of a program must stay below, on Linux.
pub const LONGEST: usize = 128 * 1024;

/// The options that mean nothing without a text.
const NEVER_EMPTY: [&str; 6] =
    ["agent-name", "service-name", "queue", "email-address", "model", "initial-message-from"];

/// Checks options. `has_variable` says whether the environment has a variable.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn check(family: Family, given: &Given, has_variable: impl Fn(&str) -> bool) -> Checked {
    for (option, texts) in given.all() {
        for text in texts {
            if text.contains('\0') {
                return wrong(option, "has a zero byte, which no command line can have");
            }
            // It may stand behind the name of its option.
            if text.len() + option.len() + "--=".len() >= LONGEST {
                return wrong(
                    option,
                    "has a text of 128 KiB or more, which no command line can have",
                );
            }
        }
    }
    for option in NEVER_EMPTY {
        if given.text(option).is_some_and(|text| text.trim().is_empty()) {
            return wrong(option, "is empty");
        }
    }
    channels(given)?;
    mounts(given)?;
    for option in ["shell-copy-env", "copy-env"] {
        for name in listed(given.texts(option)) {
            if !has_variable(name) {
                return wrong(option, format!("names the variable {name:?}, which is not set"));
            }
        }
    }
    for option in ["shell-set-env", "set-env"] {
        for item in given.texts(option).iter().map(|item| item.trim()) {
            let has_name = item.split_once('=').is_some_and(|(name, _)| !name.trim().is_empty());
            if !item.is_empty() && !has_name {
                // What was given may be the secret alone.
                return wrong(option, "takes NAME=VALUE");
            }
        }
    }
    if let (Some(one), Some(other)) = (given.text("working-dir"), given.text("working-directory"))
        && one != other
    {
        return wrong("working-dir", "and --working-directory say different things");
    }
    if let Some(memory) = given.text("use-memory")
        && memory.split('/').any(|part| part.trim().is_empty())
    {
        return wrong("use-memory", format!("has {memory:?}: write it as NAME or NAMESPACE/NAME"));
    }
    for option in ["annotations", "output-schema"] {
        let text = given.filled(option).unwrap_or("{}");
        if serde_json::from_str::<serde_json::Map<_, serde_json::Value>>(text).is_err() {
            return wrong(option, "is not a JSON object");
        }
    }
    if family.is_codex() { Ok(()) } else { models(given) }
}

/// The names in lists that are separated by commas, each once.
fn listed(texts: &[String]) -> BTreeSet<&str> {
    let names = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    names.filter(|name| !name.is_empty()).collect()
}

/// The channels from which messages come.
///
/// # Errors
///
/// One that is none.
pub fn channels(given: &Given) -> Checked<Vec<String>> {
    let mut channels: Vec<String> = Vec::new();
    for (item, channel) in given.texts("channel").iter().map(|it| it.trim()).enumerate() {
        if channel.is_empty() {
            continue;
        }
        let (kind, name) = channel.split_once(':').unwrap_or((channel, ""));
        let kind = kind.to_ascii_lowercase();
        let channel = match (kind.as_str(), name.trim()) {
            ("chat", "") if !channel.contains(':') => kind,
            ("mail" | "queue" | "toolkit", "") => {
                let message = format!("has {channel:?}: write it as {kind}:NAME");
                return wrong_item("channel", item, message);
            }
            ("mail" | "queue" | "toolkit", name) => format!("{kind}:{name}"),
            _ => {
                let known = "there are chat, mail:ADDRESS, queue:NAME and toolkit:NAME";
                return wrong_item("channel", item, format!("has {channel:?}: {known}"));
            }
        };
        if !channels.contains(&channel) {
            channels.push(channel);
        }
    }
    Ok(channels)
}

/// The options that mount something from somewhere.
const FROM_SOMEWHERE: [&str; 8] = [
    "storage-tool-local-path",
    "storage-tool-room-path",
    "shell-room-mount",
    "shell-project-mount",
    "shell-tool-room-path",
    "shell-tool-project-path",
    "mount-room-path",
    "mount-project-path",
];

fn mounts(given: &Given) -> Checked {
    for option in FROM_SOMEWHERE {
        for (item, text) in given.texts(option).iter().enumerate() {
            let (source, mount) = without_mode(text).rsplit_once(':').unwrap_or_default();
            if source.trim().is_empty() || mount.trim().is_empty() {
                return wrong_item(
                    option,
                    item,
                    format!("has {text:?}: write it as SOURCE:MOUNT[:ro|rw]"),
                );
            }
        }
    }
    for option in ["shell-empty-dir-mount", "shell-tool-empty-dir"] {
        for (item, text) in given.texts(option).iter().enumerate() {
            let mount = without_mode(text).trim();
            if mount.is_empty() || mount.contains(':') {
                return wrong_item(
                    option,
                    item,
                    format!("has {text:?}: write it as MOUNT[:ro|rw]"),
                );
            }
        }
    }
    for (item, text) in given.texts("shell-image-mount").iter().enumerate() {
        let (image, mount) = text.split_once('=').unwrap_or_default();
        if image.trim().is_empty() || without_mode(mount).trim().is_empty() {
            return wrong_item(
                "shell-image-mount",
                item,
                format!("has {text:?}: write it as IMAGE=MOUNT[:ro|rw]"),
            );
        }
    }
    Ok(())
}

/// A mount without the mode at its end.
fn without_mode(text: &str) -> &str {
    match text.rsplit_once(':') {
        Some((rest, mode)) if ["ro", "rw"].contains(&mode.to_ascii_lowercase().as_str()) => rest,
        _ => text,
    }
}

/// Tools that only models of OpenAI have: what they are called, and the options that want them.
const OF_OPENAI: [(&str, [&str; 2]); 4] = [
    ("the generation of images", ["image-generation", "require-image-generation"]),
    ("a local shell", ["local-shell", "require-local-shell"]),
    ("patches", ["apply-patch", "require-apply-patch"]),
    ("the use of a computer", ["computer-use", "require-computer-use"]),
];

fn models(given: &Given) -> Checked {
    let is_other = given.text("model").is_some_and(|model| model.starts_with("claude-"))
        || given.text("llm-participant").is_some();
    let is_wanted = |option: &&str| given.is_on(option) || given.text(option).is_some();
    let wanted = OF_OPENAI.iter().filter(|_| is_other).find_map(|(what, options)| {
        Some((what, options.iter().copied().find(|option| is_wanted(option))?))
    });
    match wanted {
        Some((what, option)) => {
            let message = format!("does not go with this model: only models of OpenAI have {what}");
            Err(Wrong { option, item: None, message, is_conflict: true })
        }
        None => Ok(()),
    }
}
