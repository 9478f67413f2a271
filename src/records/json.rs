//! *Pure*: records in JSON: a list of objects, or objects one after another, as in JSON lines.

use std::fmt;
use std::io::BufRead;

use meshagent_tables::Value as Held;
use meshagent_tables::value::Row;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads records, and gives each to `put`, until that says that nobody wants more.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn read(mut from: impl BufRead, put: &mut dyn FnMut(Row) -> bool) -> Result<(), String> {
    let is_list = first(&mut from).map_err(|error| error.to_string())? == Some(b'[');
    let done = match is_list {
        true => {
            let mut json = serde_json::Deserializer::from_reader(from);
            let mut is_wanted = true;
            let list = List { put, is_wanted: &mut is_wanted };
            let read = list.deserialize(&mut json);
            // The rest of a list that nobody wants is not read.
            if !is_wanted {
                return Ok(());
            }
            read.and_then(|()| json.end())
        }
        false => {
            for record in serde_json::Deserializer::from_reader(from).into_iter::<Record>() {
                let Record(row) = record.map_err(|error| error.to_string())?;
                if !put(row) {
                    break;
                }
            }
            Ok(())
        }
    };
    done.map_err(|error: serde_json::Error| error.to_string())
}

/// The first byte that means something, before which nothing is left; a mark of the order of bytes
/// means nothing.
///
/// # Errors
///
/// What cannot be read.
pub fn first(from: &mut impl BufRead) -> std::io::Result<Option<u8>> {
    loop {
        let seen = from.fill_buf()?;
        let skipped = match seen {
            [] => return Ok(None),
            [0xef, 0xbb, 0xbf, ..] => 3,
            _ => seen.iter().take_while(|byte| byte.is_ascii_whitespace()).count(),
        };
        if skipped == 0 {
            return Ok(seen.first().copied());
        }
        from.consume(skipped);
    }
}

/// An object, as the values of a row.
struct Record(Row);

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Columns;

        impl<'de> Visitor<'de> for Columns {
            type Value = Record;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a record, which is an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
                let mut row = Row::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if row.iter().any(|(other, _)| *other == name) {
                        return Err(A::Error::custom(format_args!("{name:?} occurs twice")));
                    }
                    let value = Held::of_plain(&value)
                        .map_err(|why| A::Error::custom(format_args!("{name:?}: {why}")))?;
                    row.push((name, value));
                }
                Ok(Record(row))
            }
        }

        from.deserialize_map(Columns)
    }
}

/// A list of objects, none of which is kept.
struct List<'a> {
    put: &'a mut dyn FnMut(Row) -> bool,
    is_wanted: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(Record(row)) = list.next_element()? {
            if !(self.put)(row) {
                *self.is_wanted = false;
                return Err(A::Error::custom("nobody wants more"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<Row>, String> {
        let mut rows = Vec::new();
        read(text.as_bytes(), &mut |row| {
            rows.push(row);
            true
        })?;
        Ok(rows)
    }

    #[test]
    fn a_list_and_lines_are_the_same_records() {
        let expected = vec![
            vec![("a".to_owned(), Held::Int(1)), ("b".to_owned(), Held::Null)],
            vec![("a".to_owned(), Held::Binary(vec![0, 255]))],
        ];
        let bytes = r#"{"a": {"encoding": "base64", "data": "AP8="}}"#;
        let one = r#"{"a": 1, "b": null}"#;
        for text in [
            format!("[{one}, {bytes}]"),
            format!("\u{feff} \n[{one},\n{bytes}]\n"),
            format!("{one}\n{bytes}\n"),
            format!("{one} {bytes}"),
        ] {
            assert_eq!(rows(&text).unwrap(), expected, "{text}");
        }
        for none in ["[]", "", " \n"] {
            assert_eq!(rows(none).unwrap(), Vec::<Row>::new());
        }
    }

    #[test]
    fn what_is_no_record_is_told_with_its_place() {
        for (text, why) in [
            ("[{\"a\": 1}, 5]", "expected a record, which is an object at line 1"),
            ("{\"a\": 1}\n5", "expected a record, which is an object at line 2"),
            ("[{\"a\": 1, \"a\": 2}]", "\"a\" occurs twice at line 1"),
            ("[{\"a\": 18446744073709551615}]", "\"a\": 18446744073709551615 does not fit"),
            ("[{\"a\": 1}", "EOF while parsing a list"),
            ("[{\"a\": 1}] {}", "trailing characters"),
            ("a,b\n1,2\n", "expected value at line 1"),
        ] {
            let told = rows(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn reading_ends_where_nobody_wants_more() {
        for text in ["[{\"a\": 1}, {\"a\": 2}, no JSON", "{\"a\": 1}\n{\"a\": 2}\nno JSON"] {
            let mut count = 0;
            let done = read(text.as_bytes(), &mut |_| {
                count += 1;
                false
            });
            assert_eq!((done, count), (Ok(()), 1), "{text}");
        }
    }
}
