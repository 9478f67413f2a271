//! *Pure*: the options that were given.

use std::collections::BTreeMap;
use std::fmt;

use super::options::{AgentOption, Takes};
use super::words::typed;

/// Options that were given, by their names without dashes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Given {
    texts: BTreeMap<&'static str, Vec<String>>,
    on: BTreeMap<&'static str, bool>,
}

impl fmt::Debug for Given {
    /// Without the texts, which may be secrets.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.texts.keys()).entries(self.on.keys()).finish()
    }
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

    /// All options with texts.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.texts.iter().map(|(name, texts)| (*name, texts.as_slice()))
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
        let pairs = items.filter_map(|item| item.split_once('='));
        pairs.filter(|pair| is_secret_pair(*pair)).map(|(name, _)| name.trim())
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
    const WORDS: [&str; 9] =
        ["SECRET", "SECRETS", "TOKEN", "KEY", "APIKEY", "PAT", "PWD", "CREDENTIAL", "CREDENTIALS"];
    let name = name.to_ascii_uppercase();
    let is_secret = |word: &str| {
        WORDS.contains(&word)
            || ["PASS", "PASSWD", "PASSWORD"].iter().any(|end| word.ends_with(end))
    };
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(is_secret)
}

/// Whether a value says that it is a secret: a URL with a password in it.
fn is_url_with_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.rsplit_once('@').is_some_and(|(user, _)| {
        user.split_once(':').is_some_and(|(_, password)| !password.is_empty())
    })
}

/// Whether a command, of one agent or of several, sets a variable that looks like a secret.
#[must_use]
pub fn sets_a_secret(command: &str) -> bool {
    if !command.trim_start().starts_with("meshagent") {
        return false;
    }
    command.split("set-env").skip(1).any(|rest| {
        let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || "='\"\\".contains(c));
        let end = rest.find(|c: char| c.is_whitespace() || "'\"\\".contains(c));
        let pair = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        pair.split_once('=').is_some_and(is_secret_pair)
    })
}

/// Whether a variable with its value looks like a secret.
fn is_secret_pair((name, value): (&str, &str)) -> bool {
    looks_secret(name.trim()) || is_url_with_password(value)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_name_or_its_value() {
        for secret in [
            "API_TOKEN=x",
            "AWS_ACCESS_KEY_ID=x",
            "OPENAI_KEY=x",
            "db_passwd=x",
            "PGPASS=x",
            "GH_PAT=x",
            "APIKEY=x",
            "CREDENTIALS=x",
            "URL=postgres://u:pw@db/x",
        ] {
            assert!(sets_a_secret(&format!("meshagent chatbot join --shell-set-env {secret}")));
            let nested = format!("meshagent multi service -c \"chatbot --shell-set-env={secret}\"");
            assert!(sets_a_secret(&nested), "{secret}");
        }
        for plain in
            ["MODE=x", "MAX_TOKENS=5", "TOKENIZERS_PARALLELISM=x", "KEYBOARD=x", "URL=http://h:80/"]
        {
            assert!(!sets_a_secret(&format!("meshagent chatbot join --shell-set-env {plain}")));
        }
        assert!(!sets_a_secret("python x.py --set-env API_TOKEN=x"));
    }
}
