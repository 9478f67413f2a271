//! *Pure*: what options say, as values: the same however they were spelled on a command line, and
//! the form in which documents hold them.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::given::Given;
use super::options::{AgentOption, Takes};

/// What options say, in the order of the options. Two command lines that say the same are the same
/// to the agent.
pub type Said = IndexMap<&'static str, Value>;

/// Whether the defaults of options are known: those of release 0.31.4 are, another image may have
/// others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defaults {
    /// They are, so a choice that is the default says nothing. A text that is the default still
    /// does: who names a model wants it to stay.
    Known,
    /// They are not.
    Unknown,
}

impl Given {
    /// What was given says.
    #[must_use]
    pub fn said(&self, options: &[AgentOption], defaults: Defaults) -> Said {
        let names = options.iter().filter(|option| option.alias_of.is_none());
        let said = names.filter_map(|option| {
            let value = self.value(option, options)?;
            let is_default =
                defaults == Defaults::Known && option.choice().as_ref() == Some(&value);
            (!is_default).then_some((option.name, value))
        });
        said.collect()
    }

    /// What one option says, with its other names.
    fn value(&self, option: &AgentOption, options: &[AgentOption]) -> Option<Value> {
        if !option.takes.a_value() {
            return self.on(option.name).map(Value::from);
        }
        let aliases = options.iter().filter(|it| it.alias_of == Some(option.name));
        let texts: Vec<&str> = std::iter::once(option)
            .chain(aliases)
            .flat_map(|option| self.texts(option.name))
            .map(String::as_str)
            .collect();
        of_texts(option.takes, &texts)
    }

    /// The options that say this.
    #[must_use]
    pub fn of_said(said: &Said, options: &[AgentOption]) -> Self {
        let mut given = Self::default();
        for option in options {
            let Some(value) = said.get(option.name) else { continue };
            match value {
                Value::Bool(is_on) => given.set_on(option.name, *is_on),
                value => given.set_texts(option.name, texts_of(option.takes, value)),
            }
        }
        given
    }
}

impl AgentOption {
    /// What it says if it is not given, of one that chooses.
    #[must_use]
    pub fn choice(&self) -> Option<Value> {
        match self.takes {
            Takes::Flag => Some(false.into()),
            Takes::OnOff => self.default.map(|default| (default == "true").into()),
            Takes::OneOf(_) => self.default.map(Value::from),
            _ => None,
        }
    }
}

/// What texts say to an option; `None` if that is nothing.
fn of_texts(takes: Takes, texts: &[&str]) -> Option<Value> {
    let last = texts.last().copied();
    match takes {
        Takes::Text | Takes::OneOf(_) => last.map(Value::from),
        Takes::Number => last.map(|text| text.parse().map_or_else(|_| text.into(), u16::into)),
        // A blank text is an empty object.
        Takes::Json if last.is_some_and(|text| text.trim().is_empty()) => Some(json!({})),
        // Numbers with more digits than are held stay as they were written.
        Takes::Json if last.is_some_and(has_long_number) => last.map(Value::from),
        Takes::Json => last.map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.into())),
        Takes::Texts if texts.is_empty() => None,
        Takes::Texts => Some(texts.into()),
        Takes::Words => {
            let words = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
            let mut all: Vec<&str> = Vec::new();
            for word in words.filter(|word| !word.is_empty()) {
                if !all.contains(&word) {
                    all.push(word);
                }
            }
            (!all.is_empty()).then(|| all.into())
        }
        Takes::Pairs => {
            let pairs = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
            let pairs = pairs.map(|text| text.split_once('=').unwrap_or((text, "")));
            let pairs = pairs.map(|(name, value)| (name.trim().to_owned(), value.to_owned()));
            // The last one of a name counts, and their order does not.
            let pairs: BTreeMap<String, String> = pairs.collect();
            (!pairs.is_empty()).then(|| json!(pairs))
        }
        Takes::Flag | Takes::OnOff => None,
    }
}

/// Whether a text has more digits in a row than a number of JSON keeps here.
fn has_long_number(text: &str) -> bool {
    let mut runs = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    runs.any(|run| run.len() > 15)
}

/// The texts with which an option says a value.
fn texts_of(takes: Takes, value: &Value) -> Vec<String> {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match (takes, value) {
        (Takes::Texts, Value::Array(items)) => items.iter().map(plain).collect(),
        (Takes::Words, Value::Array(items)) => {
            vec![items.iter().map(plain).collect::<Vec<_>>().join(",")]
        }
        (Takes::Pairs, Value::Object(pairs)) => {
            pairs.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect()
        }
        (_, value) => vec![plain(value)],
    }
}

/// The words with which a command line says this, in the order of the options.
#[must_use]
pub fn words(said: &Said, options: &[AgentOption]) -> Vec<String> {
    let mut words = Vec::new();
    for option in options {
        let Some(value) = said.get(option.name) else { continue };
        match (value, option.negated) {
            (Value::Bool(true), _) => words.push(format!("--{}", option.name)),
            (Value::Bool(false), Some(negated)) => words.push(format!("--{negated}")),
            (Value::Bool(false), None) => {}
            (value, _) => {
                for text in texts_of(option.takes, value) {
                    // Such a text would be taken for another option.
                    if text.starts_with('-') {
                        words.push(format!("--{}={text}", option.name));
                    } else {
                        words.extend([format!("--{}", option.name), text]);
                    }
                }
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::agents::family::{Action, Family};

    fn said(family: Family, line: &str) -> Said {
        let options = family.options(Action::Spec);
        let given = Given::parse(&shlex::split(line).unwrap(), &options).unwrap();
        given.said(&options, Defaults::Known)
    }

    #[test]
    fn what_is_said_does_not_hang_on_how_it_is_spelled() {
        let (chatbot, worker) = (Family::Chatbot, Family::Worker);
        for (family, one, other) in [
            (chatbot, "--agent-name a -r x --rule y", "--rule=x --agent-name=a -ry"),
            (
                chatbot,
                "--agent-name a -t x -rt y",
                "--agent-name a --require-toolkit y --toolkit x",
            ),
            (chatbot, "--agent-name a --threading-mode none --no-shell", "--agent-name a"),
            (chatbot, "--agent-name a --shell --no-shell", "--agent-name a"),
            (worker, "--queue q --require-time", "--no-require-time --require-time --queue q"),
            (
                worker,
                "--queue q --shell-set-env A=1 --shell-set-env B=2 --shell-set-env A=3",
                "--shell-set-env B=2 --shell-set-env A=3 --queue p --queue q",
            ),
            (
                worker,
                "--queue q --shell-copy-env A,B",
                "--queue q --shell-copy-env A --shell-copy-env ' B, A'",
            ),
            (
                Family::TaskRunner,
                r#"-a '' --output-schema '{"a":1,"b":2}'"#,
                r#"--output-schema '{"a": 1, "b": 2}' --annotations {}"#,
            ),
        ] {
            assert_eq!(said(family, one), said(family, other), "{one} | {other}");
        }
        for (one, other) in [
            ("--rule a --rule b", "--rule b --rule a"),
            ("--always-reply", ""),
            ("--no-always-reply", ""),
            ("--no-require-time", ""),
            ("--allow-goto-url", ""),
        ] {
            assert_ne!(said(chatbot, one), said(chatbot, other), "{one} | {other}");
        }
    }

    #[test]
    fn what_is_said_is_said_again_by_its_words() {
        let options = Family::CodexWorker.options(Action::Spec);
        let line = "--service-name s --agent-name a --queue q --rule=-x --rule '' --port 80 \
                    --verbose --no-supports-context --set-env 'A=b c' --copy-env X,Y";
        let said = said(Family::CodexWorker, line);
        assert_eq!(said["port"], json!(80));
        let words = words(&said, &options);
        assert!(words.contains(&"--rule=-x".to_owned()), "{words:?}");
        assert_eq!(Given::parse(&words, &options).unwrap().said(&options, Defaults::Known), said);
        assert_eq!(Given::of_said(&said, &options).said(&options, Defaults::Known), said);
    }
}
