//! Manifests that hold nothing out of the ordinary are read here in a fraction of the time,
//! as values alone or as values with their places: no tags, no anchors. All else is left to
//! [`super::yaml`], and so is the meaning of every scalar that looks like a number and is no
//! plain count.

use granit_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Value};

use super::yaml::{self, Key, MAX_BYTES, MAX_DEPTH, MAX_NODES, Mark, Node};

/// What a text is read into.
pub trait Read: Sized {
    /// The fields of a map.
    type Fields;

    /// No fields.
    fn fields() -> Self::Fields;

    /// Null, a truth value, a number or a text.
    fn scalar(value: Value, place: &Span) -> Self;

    /// A list.
    fn list(items: Vec<Self>, place: &Span) -> Self;

    /// A map.
    fn map(fields: Self::Fields, place: &Span) -> Self;

    /// Adds a field; `None` where there is one of that name, or more than are looked through.
    fn add(fields: &mut Self::Fields, name: String, place: &Span, value: Self) -> Option<()>;
}

impl Read for Value {
    type Fields = Map<String, Self>;

    fn fields() -> Self::Fields {
        // Most maps hold a handful, and none of them is kept for long.
        Map::with_capacity(8)
    }

    fn scalar(value: Value, _: &Span) -> Self {
        value
    }

    fn list(items: Vec<Self>, _: &Span) -> Self {
        Self::Array(items)
    }

    fn map(fields: Self::Fields, _: &Span) -> Self {
        Self::Object(fields)
    }

    fn add(fields: &mut Self::Fields, name: String, _: &Span, value: Self) -> Option<()> {
        fields.insert(name, value).is_none().then_some(())
    }
}

/// The most fields that a map may have to be read with places.
const MAX_FIELDS: usize = 64;

impl Read for Node {
    type Fields = Vec<(Key, Self)>;

    fn fields() -> Self::Fields {
        Vec::new()
    }

    fn scalar(value: Value, place: &Span) -> Self {
        let value = match value {
            Value::Bool(value) => yaml::Value::Bool(value),
            Value::Number(value) => yaml::Value::Number(value),
            Value::String(value) => yaml::Value::String(value),
            _ => yaml::Value::Null,
        };
        Self { value, tag: None, mark: Mark::from(place) }
    }

    fn list(mut items: Vec<Self>, place: &Span) -> Self {
        items.shrink_to_fit();
        Self { value: yaml::Value::List(items), tag: None, mark: Mark::from(place) }
    }

    fn map(mut fields: Self::Fields, place: &Span) -> Self {
        fields.shrink_to_fit();
        Self { value: yaml::Value::Map(fields), tag: None, mark: Mark::from(place) }
    }

    fn add(fields: &mut Self::Fields, name: String, place: &Span, value: Self) -> Option<()> {
        let is_new = fields.len() < MAX_FIELDS && fields.iter().all(|(key, _)| key.text != name);
        fields.push((Key { text: name, mark: Mark::from(place) }, value));
        is_new.then_some(())
    }
}

/// The one document of a text. `None` where there is more to tell than its values, or to
/// heed: an error, a tag, an anchor, a merge of maps, an end inside a line, or another
/// number of documents.
#[must_use]
pub fn read<T: Read>(text: &str) -> Option<T> {
    let is_more = text.contains('!')
        || text.contains("<<")
        || text.starts_with('\u{feff}')
        || !text.ends_with('\n');
    if text.len() > MAX_BYTES || is_more {
        return None;
    }
    let options = granit_parser::options! { emit_comments: false };
    let mut events =
        Events { parser: Parser::new_from_str_with_options(text, options), nodes: MAX_NODES };
    (events.next()?.0 == Event::StreamStart).then_some(())?;
    (events.next()?.0 == Event::DocumentStart(false, None)).then_some(())?;
    let first = events.next()?;
    if let Event::Scalar(text, ScalarStyle::Plain, ..) = &first.0
        && is_null(text)
    {
        return None;
    }
    let document = events.value(first, MAX_DEPTH)?;
    (events.next()?.0 == Event::DocumentEnd).then_some(())?;
    (events.next()?.0 == Event::StreamEnd).then_some(document)
}

struct Events<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    /// How many more keys and values are read.
    nodes: usize,
}

impl<'a> Events<'a> {
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        self.parser.next_event()?.ok()
    }

    /// The value that begins with an event.
    fn value<T: Read>(&mut self, (event, place): (Event<'a>, Span), depth: usize) -> Option<T> {
        self.nodes = self.nodes.checked_sub(1)?;
        let below = depth.checked_sub(1)?;
        match event {
            Event::Scalar(text, ScalarStyle::Plain, 0, None) => {
                Some(T::scalar(scalar(&text)?, &place))
            }
            Event::Scalar(text, _, 0, None) => {
                Some(T::scalar(Value::String(text.into_owned()), &place))
            }
            Event::SequenceStart(_, 0, None) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => return Some(T::list(items, &place)),
                        event => items.push(self.value(event, below)?),
                    }
                }
            }
            Event::MappingStart(_, 0, None) => {
                let mut fields = T::fields();
                loop {
                    let (key, at) = match self.next()? {
                        (Event::MappingEnd, _) => return Some(T::map(fields, &place)),
                        (Event::Scalar(key, ScalarStyle::Plain, 0, None), _) if is_null(&key) => {
                            return None;
                        }
                        (Event::Scalar(key, _, 0, None), at) => (key.into_owned(), at),
                        _ => return None,
                    };
                    self.nodes = self.nodes.checked_sub(1)?;
                    let event = self.next()?;
                    let value = self.value(event, below)?;
                    T::add(&mut fields, key, &at, value)?;
                }
            }
            _ => None,
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// What a scalar without quotes means.
fn scalar(text: &str) -> Option<Value> {
    match text {
        "true" | "True" | "TRUE" => return Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Value::Bool(false)),
        _ if is_null(text) => return Some(Value::Null),
        _ => {}
    }
    let bytes = text.as_bytes();
    let is_count = bytes.len() < 19 && bytes.iter().all(u8::is_ascii_digit);
    if is_count && (bytes.len() == 1 || !text.starts_with('0')) {
        return text.parse::<u64>().ok().map(Value::from);
    }
    let is_number_like =
        text.starts_with(|first: char| first.is_ascii_digit()) || text.starts_with(['+', '-', '.']);
    if is_number_like && !text.contains('\n') {
        let alone = yaml::parse(&format!("- {text}\n")).ok()?;
        return match alone.first()?.to_json() {
            Value::Array(mut items) => items.pop(),
            _ => None,
        };
    }
    Some(Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agrees(text: &str) -> bool {
        let whole = yaml::parse(text);
        let value = read::<Value>(text);
        match read::<Node>(text) {
            None => assert_eq!(value, None, "{text:?}"),
            Some(node) => {
                let documents = whole.unwrap_or_else(|error| panic!("{text:?}: {error}"));
                assert_eq!(documents, [node], "{text:?}");
                assert_eq!(value, Some(documents[0].to_json()), "{text:?}");
            }
        }
        value.is_some()
    }

    #[test]
    fn what_is_more_than_values_is_not_read() {
        for text in [
            "a: 1",
            "a: !b 1\n",
            "a: &b 1\n",
            "a: &b 1\nc: *b\n",
            "a: .inf\n",
            "a: 1\na: 2\n",
            "<<: {a: 1}\n",
            "a: 1\n---\nb: 2\n",
            "--- a\n",
            "%YAML 1.2\n---\na\n",
            "\u{feff}a: 1\n",
            "null: 1\n",
            "[1]: 1\n",
            "\n",
            "~\n",
            "[\n",
            "a: b: c\n",
        ] {
            assert_eq!(read::<Value>(text), None, "{text:?}");
            assert_eq!(read::<Node>(text), None, "{text:?}");
        }
        assert_eq!(read::<Value>(&format!("{}{}\n", "[".repeat(200), "]".repeat(200))), None);
        let many = (0..=MAX_FIELDS).map(|index| format!("a{index}: 1\n")).collect::<String>();
        assert!(read::<Value>(&many).is_some() && read::<Node>(&many).is_none());
    }

    #[test]
    fn every_scalar_means_what_the_whole_parser_says() {
        let scalars = [
            "yes",
            "on",
            "no",
            "y",
            "True",
            "TRUE",
            "true",
            "tRUE",
            "False",
            "false",
            "null",
            "Null",
            "NULL",
            "nULL",
            "~",
            "''",
            "\"\"",
            "'null'",
            "\"1\"",
            "0",
            "00",
            "010",
            "1",
            "-0",
            "-1",
            "+1",
            "1_000",
            "0x10",
            "0o17",
            "0b1",
            "0X1F",
            "1.0",
            "1.",
            ".5",
            "-.5",
            "1e3",
            "1E-3",
            "1e999",
            ".e",
            "..",
            "...",
            "---",
            "-",
            "-a",
            "+",
            ".inf",
            "-.INF",
            ".nan",
            "inf",
            "nan",
            "NaN",
            "infinity",
            "Infinity",
            "18446744073709551615",
            "18446744073709551616",
            "999999999999999999",
            "9999999999999999999",
            "-9223372036854775808",
            "-9223372036854775809",
            "1:20",
            "2026-01-01",
            "a#b",
            "a b",
            "ä",
            "日本",
            "1 2",
            "a\n  b",
            "1\n\n  2",
            "|\n  1\n",
            ">\n  true\n",
            "'it''s'",
            "\"\\u0041\\n\"",
            "?a",
            ":a",
            "a:b",
            "/x",
            "%a",
            "@a",
            "{}",
            "[]",
            "[1, a]",
            "{a: 1}",
        ];
        let mut read = 0;
        for scalar in scalars {
            for text in [
                format!("a: {scalar}\nb: 1\n"),
                format!("- {scalar}\n- 1\n"),
                format!("a: [{scalar}, 1]\n"),
                format!("{scalar}: 1\n"),
                format!("{{a: {scalar}}}\n"),
            ] {
                read += usize::from(agrees(&text));
            }
        }
        assert!(read > 280, "only {read} were read");
    }

    #[test]
    fn layouts_mean_what_the_whole_parser_says() {
        for text in [
            "a:\n- b\n-   c: 1\n    d: 2\n",
            "a: |\n  b\n c: 1\n",
            "# first\na: # second\n  b: 1 # third\n\n\n",
            "a: {b: [1, {c: d}], e: }\n? f\n: g\n",
            "a: |+\n  b\n\nc: >-\n  d\n  e\n",
            "{\"a\": [1, 2.5, null, true], \"b\": {\"c\": \"\\u00e4\"}}\n",
            "a:\n  - - 1\n    - 2\n  - []\n",
            "a: 1\n...\n",
            "\ta: 1\n",
            "a:\n\t b: 1\n",
            "a: [\n1,\n2\n]\n",
        ] {
            agrees(text);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_means_what_the_whole_parser_says(
            text in "[a-c01:\\-# \n\\[\\]{},'\"|>~.?]{0,40}",
        ) {
            agrees(&format!("{text}\n"));
        }
    }
}
