//! A value as YAML without invisible characters and with the same meaning.

use std::fmt::Write;

use serde_json::{Map, Value};
use serde_yaml::SerializerOptions;

use super::{begins_command, is_visible, spell};

/// A value as block-style YAML, with keys in the order of the value.
#[must_use]
pub fn yaml(value: &Value) -> String {
    with(value, SerializerOptions::default())
        .unwrap_or_else(|| super::json(&value.to_string()).into_owned())
}

/// The same, written with these options; `None` for what cannot be written.
#[must_use]
pub fn with(value: &Value, options: SerializerOptions) -> Option<String> {
    let mut words = Words { name: String::new(), quoted: Vec::new() };
    if stands_as_it_is(value) {
        return serde_yaml::to_string_with_options(value, options).ok();
    }
    // A word that stands nowhere in the value takes the place of each text in quotes.
    let whole = value.to_string();
    let mut names = (0..).map(|number: u64| format!("quoted{number}x"));
    words.name = names.find(|name| !whole.contains(name.as_str()))?;
    let value = words.replace(value);
    let text = serde_yaml::to_string_with_options(&value, options).ok()?;
    words.put_back(&text)
}

/// Whether each text may stand as the serializer writes it.
fn stands_as_it_is(value: &Value) -> bool {
    match value {
        Value::String(text) => may_stand(text),
        Value::Array(items) => items.iter().all(stands_as_it_is),
        Value::Object(fields) => {
            fields.iter().all(|(name, value)| may_stand(name) && stands_as_it_is(value))
        }
        _ => true,
    }
}

/// Whether a text may stand in a block of lines.
fn may_stand(text: &str) -> bool {
    let is_fine = |part: &str| is_visible(part);
    text.split(['\n', '\t']).all(is_fine) && !text.split('\n').any(begins_command)
}

/// The words that take the place of texts which have to stand in quotes.
struct Words {
    name: String,
    quoted: Vec<String>,
}

impl Words {
    fn replace(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.replace(item)).collect(),
            Value::Object(fields) => {
                let fields =
                    fields.iter().map(|(name, value)| (self.text(name), self.replace(value)));
                Value::Object(fields.collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        if may_stand(text) {
            return text.to_owned();
        }
        self.quoted.push(quoted(text));
        format!("{}{}z", self.name, self.quoted.len() - 1)
    }

    fn put_back(&self, text: &str) -> Option<String> {
        let mut parts = text.split(self.name.as_str());
        let mut out = parts.next()?.to_owned();
        for part in parts {
            let (number, rest) = part.split_once('z')?;
            out.push_str(self.quoted.get(number.parse::<usize>().ok()?)?);
            out.push_str(rest);
        }
        Some(out)
    }
}

/// A text in double quotes, with the escapes of YAML.
fn quoted(text: &str) -> String {
    let mut spelled = String::new();
    spell(text, &mut spelled, |c, out| {
        // Marked, so that a backslash of the text is told from one of an escape.
        let _ = match c {
            '\n' => out.write_str("\u{0}n"),
            '\r' => out.write_str("\u{0}r"),
            '\t' => out.write_str("\u{0}t"),
            c => write!(out, "\u{0}U{:08x}", u32::from(c)),
        };
    });
    let escaped = spelled.replace('\\', "\\\\").replace('"', "\\\"").replace('\u{0}', "\\");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_stays_the_same_value() {
        let hostile = "a\\b\"\u{0}\n::warning::x\n\t##[group]\u{202e}\u{1f600}e\u{301}\u{e0041}";
        let value = serde_json::json!({
            hostile: [hostile, "plain", {"k\u{1b}[2J": "two\nlines"}],
            "quoted0x0z": "quoted1x",
        });
        let text = yaml(&value);
        for hidden in ["\u{1b}", "\u{202e}", "\u{301}", "##[", "\u{e0041}", "\n::", "\u{0}"] {
            assert!(!text.contains(hidden), "{hidden:?} in\n{text}");
        }
        assert!(text.contains("plain\n") && text.contains('\u{1f600}'), "{text}");
        assert_eq!(serde_yaml::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn what_hides_nothing_is_written_as_ever() {
        let value = serde_json::json!({"a": "x\n  y\n", "ключ": ["é", 1, null]});
        assert_eq!(yaml(&value), serde_yaml::to_string(&value).unwrap());
    }
}
