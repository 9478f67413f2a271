//! What is wrong with a source that a secret cannot be read from. The schema only says that none
//! of the alternatives matches.

use serde_json::Value;

use super::Fault;
use crate::listed::nearest;

/// Each source with the form in which it is written.
const SOURCES: [(&str, &str); 4] = [
    ("env", "{env: NAME}"),
    ("file", "{file: PATH}"),
    ("command", "{command: [PROGRAM, ARGUMENT]}"),
    ("age", "{age: ENCRYPTED}"),
];

/// The longest word that is repeated, because it may be the name of a source elsewhere.
const LONGEST_WORD: usize = 12;

/// All sources, for a hint.
fn all() -> String {
    let forms = SOURCES.map(|(_, form)| format!("`from: {form}`"));
    format!("write {}", forms.join(" or "))
}

/// What is wrong with what stands in `from`, by the path below it. Nothing of a text is
/// repeated, which may be the secret itself.
#[must_use]
pub fn fault(from: &Value) -> Option<Fault> {
    let known = |name: &str| SOURCES.iter().find(|(known, _)| *known == name);
    let fields = match from {
        Value::Object(fields) => fields,
        Value::String(name) => {
            let hint = match known(name) {
                Some((_, form)) => format!("write `from: {form}`"),
                None => all(),
            };
            return Some(Fault::new(&[], "is text, not a source").hint(hint));
        }
        _ => return Some(Fault::new(&[], "is not a source").hint(all())),
    };
    let mut names = fields.keys().map(String::as_str);
    match (names.next(), names.next()) {
        (None, _) => return Some(Fault::new(&[], "names no source").hint(all())),
        (Some(first), Some(second)) if known(first).is_some() && known(second).is_some() => {
            let message = format!("names two sources, `{first}` and `{second}`");
            return Some(
                Fault::new(&[second], message)
                    .hint("a secret is read from one source; remove the other"),
            );
        }
        _ => {}
    }
    if let Some(name) = fields.keys().find(|name| known(name).is_none()) {
        let hint = match nearest(name, SOURCES.iter().map(|(known, _)| *known)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => all(),
        };
        // A secret may stand where its source should.
        let is_word = name.len() <= LONGEST_WORD && name.bytes().all(|it| it.is_ascii_lowercase());
        return Some(match is_word {
            true => Fault::new(&[name], format!("has the unknown source `{name}`")).hint(hint),
            false => Fault::new(&[], "has an unknown source").hint(hint),
        });
    }
    let (name, value) = fields.iter().next()?;
    let is_text = value.is_string();
    let words = value.as_array().map(|words| words.iter().all(Value::is_string));
    let (what, hint) = match (name.as_str(), is_text, words) {
        ("command", _, Some(true)) | ("env" | "file" | "age", true, _) => return None,
        ("command", _, _) => (
            "is not a list of words",
            "a command is a list of words, run without a shell: `command: [PROGRAM, ARGUMENT]`",
        ),
        ("age", _, _) if age_file(value) => return None,
        ("age", _, _) => (
            "is neither an encrypted text nor a file with one",
            "write what `meshagent secret encrypt` prints, or `age: {file: PATH}`",
        ),
        ("env", _, _) => ("is not the name of an environment variable", "write `env: NAME`"),
        _ => ("is not the path of a file", "write `file: PATH`"),
    };
    Some(Fault::new(&[name], what).hint(hint))
}

fn age_file(value: &Value) -> bool {
    let fields = value.as_object();
    fields
        .is_some_and(|fields| fields.len() == 1 && fields.get("file").is_some_and(Value::is_string))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_wrong_source_is_told_with_what_to_write() {
        for (from, at, message, hint) in [
            (json!({"evn": "X"}), "evn", "unknown source `evn`", "did you mean `env`?"),
            (json!({"hunter2": null}), "", "has an unknown source", "{file: PATH}"),
            (json!({"vault": "X"}), "vault", "unknown source `vault`", "{file: PATH}"),
            (json!({"command": "echo hi"}), "command", "not a list of words", "without a shell"),
            (json!({"command": ["a", 1]}), "command", "not a list of words", "[PROGRAM"),
            (json!("env"), "", "is text", "write `from: {env: NAME}`"),
            (json!("x"), "", "is text", "`from: {age: ENCRYPTED}`"),
            (json!(["env"]), "", "is not a source", "{env: NAME}"),
            (json!({}), "", "names no source", "{env: NAME}"),
            (json!({"env": "X", "file": "x"}), "file", "two sources, `env` and `file`", "one"),
            (json!({"env": 1}), "env", "not the name", "env: NAME"),
            (json!({"file": ["x"]}), "file", "not the path", "file: PATH"),
            (
                json!({"age": {"path": "x"}}),
                "age",
                "neither an encrypted text nor a file with one",
                "{file: PATH}",
            ),
        ] {
            let fault = fault(&from).unwrap_or_else(|| panic!("{from}"));
            assert_eq!(fault.path.to_string(), at, "{from}");
            assert!(fault.message.contains(message), "{from}: {}", fault.message);
            assert!(fault.hint.as_ref().unwrap().contains(hint), "{from}: {:?}", fault.hint);
        }
        for from in [
            json!({"env": "X"}),
            json!({"file": "x"}),
            json!({"command": ["echo", "hi"]}),
            json!({"age": "x"}),
            json!({"age": {"file": "x"}}),
        ] {
            assert!(fault(&from).is_none(), "{from}");
        }
    }
}
