//! *Pure*: data in the messages of serde. Serde gives the place of an error and the name of a
//! missing field only in its text, so the code that depends on that text is here, and the tests pin
//! its exact form.

use std::borrow::Cow;

/// A message of a JSON reader without the place that stands at its end.
#[must_use]
pub fn without_place(message: &str) -> &str {
    let is_place = |rest: &str| {
        let numbers = rest.split_once(" column ").is_some_and(|(line, column)| {
            [line, column].iter().all(|it| it.bytes().all(|byte| byte.is_ascii_digit()))
        });
        numbers && !rest.starts_with(' ')
    };
    match message.rsplit_once(" at line ") {
        Some((what, rest)) if is_place(rest) => what,
        _ => message,
    }
}

/// How much is kept of the beginning and of the end of a long message, in characters.
const BEGINNING: usize = 200;
const END: usize = 100;

/// A message of a reader, without most of the value that it repeats. What was expected stands at its
/// end.
#[must_use]
pub fn bounded(message: &str) -> Cow<'_, str> {
    let count = message.chars().count();
    if count <= BEGINNING + END {
        return Cow::Borrowed(message);
    }
    let beginning: String = message.chars().take(BEGINNING).collect();
    let end: String = message.chars().skip(count - END).collect();
    Cow::Owned(format!("{beginning} … {end}"))
}

/// The field that is missing, where that is what a message says. Serde reports it at the
/// map that it is missing from.
#[must_use]
pub fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

/// What is wrong with a value, without the words of the language that this program is written in.
#[must_use]
pub fn plainly(message: &str) -> String {
    let expected = message.rsplit_once("expected ").map(|(_, expected)| expected);
    let is_number = |expected: &str| {
        matches!(expected, "usize" | "u8" | "u16" | "u32" | "u64" | "i64") || expected == "integer"
    };
    match expected {
        Some("a string") => "it must be a text; put a number in quotes to make it one".to_owned(),
        Some("a boolean") => "it must be true or false".to_owned(),
        Some("a sequence") => "it must be a list".to_owned(),
        Some("a map") => "it must be a map of fields".to_owned(),
        Some(expected) if expected.starts_with("struct ") => {
            "it must be a map of fields".to_owned()
        }
        Some("f32" | "f64") => "it must be a number".to_owned(),
        Some(expected) if is_number(expected) => "it must be a whole number".to_owned(),
        _ => message.to_owned(),
    }
}

/// What is wrong with a query.
#[derive(Debug, PartialEq, Eq)]
pub enum InQuery<'a> {
    /// A field is missing.
    Missing(&'a str),
    /// This is wrong with a field.
    Field(&'a str, &'a str),
    /// This is wrong with something else.
    Other(&'a str),
}

/// What the message of the query reader says.
#[must_use]
pub fn in_query(message: &str) -> InQuery<'_> {
    let message = message.rsplit_once("query string: ").map_or(message, |(_, rest)| rest);
    match (missing_field(message), message.split_once(": ")) {
        (Some(name), _) => InQuery::Missing(name),
        (None, Some((name, what))) => InQuery::Field(name, what),
        (None, None) => InQuery::Other(message),
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;
    use axum::http::Uri;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what is wrong with one is looked at")]
    struct Asked {
        name: String,
        count: Option<u32>,
    }

    fn of_json(text: &str) -> String {
        serde_json::from_str::<Asked>(text).unwrap_err().to_string()
    }

    fn of_query(query: &str) -> String {
        let uri = format!("http://x.example/?{query}").parse::<Uri>().unwrap();
        Query::<Asked>::try_from_uri(&uri).unwrap_err().body_text()
    }

    #[test]
    fn a_long_value_is_not_repeated() {
        let value = serde_json::Value::String("ü".repeat(100_000));
        let error = serde_json::from_value::<Vec<u8>>(value).unwrap_err().to_string();
        let told = bounded(&error);
        assert!(told.starts_with("invalid type: string \"üü") && told.len() < 1_000, "{told}");
        assert!(told.ends_with("expected a sequence"), "{told}");
        assert_eq!(bounded("short"), "short");
    }

    #[test]
    fn what_is_expected_is_told_in_the_words_of_the_file() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only what is wrong with one is looked at")]
        struct All {
            number: Option<u16>,
            size: Option<usize>,
            text: Option<String>,
            list: Option<Vec<u8>>,
            is: Option<bool>,
            below: Option<Asked>,
        }
        for (text, told) in [
            (r#"{"number": "two"}"#, "it must be a whole number"),
            (r#"{"size": "none"}"#, "it must be a whole number"),
            (r#"{"size": -1}"#, "it must be a whole number"),
            (r#"{"text": 1}"#, "it must be a text; put a number in quotes to make it one"),
            (r#"{"list": 1}"#, "it must be a list"),
            (r#"{"is": "yes"}"#, "it must be true or false"),
            (r#"{"below": "x"}"#, "it must be a map of fields"),
            (r#""x""#, "it must be a map of fields"),
            (r#"{"below": {}}"#, "missing field `name`"),
        ] {
            let message = serde_json::from_str::<All>(text).unwrap_err().to_string();
            assert_eq!(plainly(without_place(&message)), told, "{message}");
        }
    }

    #[test]
    fn the_place_of_an_error_in_json_is_left_out() {
        for (text, message, what) in [
            ("{", "EOF while parsing an object at line 1 column 1", "EOF while parsing an object"),
            ("{}", "missing field `name` at line 1 column 2", "missing field `name`"),
            (
                "{\n\"name\": 1}",
                "invalid type: integer `1`, expected a string at line 2 column 9",
                "invalid type: integer `1`, expected a string",
            ),
        ] {
            assert_eq!(of_json(text), message);
            assert_eq!(without_place(message), what);
        }
        let value = serde_json::from_value::<Asked>(serde_json::json!({})).unwrap_err();
        assert_eq!(value.to_string(), "missing field `name`", "a value has no places");
        for text in ["a", "read at line feeds", "wait at line 1", "at line x column y"] {
            assert_eq!(without_place(text), text);
        }
    }

    #[test]
    fn a_missing_field_is_named() {
        let message = of_json("{}");
        assert_eq!(missing_field(without_place(&message)), Some("name"));
        for text in ["{\"name\": 1}", "{\"name\": \"a\", \"other\": 1}", "[", "1"] {
            assert_eq!(missing_field(&of_json(text)), None, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_query_is_told_of_its_field() {
        let message = of_query("");
        assert_eq!(message, "Failed to deserialize query string: missing field `name`");
        assert_eq!(in_query(&message), InQuery::Missing("name"));
        let message = of_query("name=a&count=b");
        assert_eq!(
            message,
            "Failed to deserialize query string: count: invalid digit found in string"
        );
        assert_eq!(in_query(&message), InQuery::Field("count", "invalid digit found in string"));
        let message = of_query("name=a&other=1");
        assert_eq!(
            message,
            "Failed to deserialize query string: other: unknown field `other`, expected `name` or `count`"
        );
        let what = "unknown field `other`, expected `name` or `count`";
        assert_eq!(in_query(&message), InQuery::Field("other", what));
        let message = of_query("name=a&name=b");
        assert_eq!(in_query(&message), InQuery::Other("duplicate field `name`"), "{message}");
    }
}
