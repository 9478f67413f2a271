//! *Pure*: the options that were given.

use std::collections::BTreeMap;

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

    /// Whether an option is on.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.on.get(name).copied().unwrap_or_default()
    }
}
