//! *Pure*: the options that were given.

use std::collections::BTreeMap;

use super::options::{AgentOption, Takes};
use super::words::typed;

/// Options that were given, by their names without dashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    texts: BTreeMap<&'static str, Vec<String>>,
    on: BTreeMap<&'static str, bool>,
}

impl Given {
    /// Notes the texts of an option.
    pub fn set_texts(&mut self, name: &'static str, texts: Vec<String>) {
        self.texts.insert(name, texts);
    }

    /// Notes that an option is on or off.
    pub fn set_on(&mut self, name: &'static str, is_on: bool) {
        self.on.insert(name, is_on);
    }

    /// The texts of an option.
    #[must_use]
    pub fn texts(&self, name: &str) -> &[String] {
        self.texts.get(name).map_or(&[], Vec::as_slice)
    }

    /// The text of an option: the last one that was given.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).last().map(String::as_str)
    }

    /// The text of an option without blanks around it, unless it is blank.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.text(name).map(str::trim).filter(|text| !text.is_empty())
    }

    /// Whether an option is on or off, if that was given.
    #[must_use]
    pub fn on(&self, name: &str) -> Option<bool> {
        self.on.get(name).copied()
    }

    /// Whether an option was turned on.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.on(name).unwrap_or_default()
    }

    /// The names of variables that are given with their values, and look like secrets.
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        let items = ["shell-set-env", "set-env"].into_iter().flat_map(|name| self.texts(name));
        let names = items.filter_map(|item| item.split_once('=')).map(|(name, _)| name.trim());
        names.filter(|name| looks_secret(name))
    }

    /// The options of a command line, read as the reference's command line reads them; `None` if it
    /// would refuse them.
    #[must_use]
    pub fn parse(words: &[String], options: &[AgentOption]) -> Option<Self> {
        let mut given = Self::default();
        let mut rest = words;
        for typed in typed(words, options) {
            let (own, after) = rest.split_at(typed.count);
            rest = after;
            let option = typed.option?;
            if !option.takes.a_value() {
                given.set_on(option.name, is_on(&own[0], option)?);
                continue;
            }
            let text = match own {
                [_, text] => text.clone(),
                [word] => attached(word, option)?.to_owned(),
                _ => return None,
            };
            if option.takes == Takes::Number && text.parse::<u16>().is_err() {
                return None;
            }
            given.texts.entry(option.name).or_default().push(text);
        }
        Some(given)
    }
}

/// Whether the name of a variable says that its value is a secret.
fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["SECRET", "TOKEN", "PASSWORD", "API_KEY", "PRIVATE_KEY"].iter().any(|it| name.contains(it))
}

/// Whether a word turns an option on or off.
fn is_on(word: &str, option: &AgentOption) -> Option<bool> {
    let name = word.strip_prefix("--")?;
    let is_on = name == option.name;
    (is_on || option.negated == Some(name)).then_some(is_on)
}

/// The value that stands in the same word as its option.
fn attached<'a>(word: &'a str, option: &AgentOption) -> Option<&'a str> {
    if word.starts_with("--") {
        return Some(word.split_once('=')?.1);
    }
    let short = option.short?;
    let text = word.strip_prefix('-')?.strip_prefix(short)?;
    match text.strip_prefix('=') {
        // Behind two letters it separates the value; behind one, programs differ.
        Some(text) if short.len() > 1 => Some(text),
        Some(_) => None,
        None if short.len() > 1 => None,
        None => Some(text).filter(|text| !text.is_empty()),
    }
}
