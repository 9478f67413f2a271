//! Records as clients write them.

use meshagent_tables::value::{Row, Value};
use meshagent_tables::{Error, Result};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{limits, moments};

/// What ids of entities are made of.
const IDS: Uuid = Uuid::from_u128(0x8c1f_3a52_64f0_5e0b_9d7e_2b1c_50a4_77e1);

/// What a relationship is if the record does not say it (public SDK 0.31.4).
pub const RELATED_TO: &str = "RELATED_TO";

/// Reads the text of a JSON array of objects.
pub fn read(text: &str) -> Result<Vec<Row>> {
    if text.len() > limits::RECORDS_BYTES {
        let most = limits::RECORDS_BYTES >> 20;
        return Err(Error::invalid(format!("the records have more than {most} MiB; send fewer")));
    }
    let json: Json = serde_json::from_str(text)
        .map_err(|error| Error::invalid(format!("the records are no JSON: {error}")))?;
    let Json::Array(records) = json else {
        return Err(Error::invalid("the records are no array of objects"));
    };
    if records.len() > limits::RECORDS {
        let most = limits::RECORDS;
        return Err(Error::invalid(format!("there are more than {most} records; send fewer")));
    }
    // They are counted from 1, as rows of tables are.
    let record = |(index, record): (usize, Json)| {
        let Json::Object(object) = record else {
            return Err(Error::invalid(format!("record {index} is no object")));
        };
        if object.is_empty() {
            return Err(Error::invalid(format!("record {index} says nothing")));
        }
        let field = |(name, value): (String, Json)| match value {
            // The usual case, without a copy.
            Json::String(text) => Ok((name, Value::Text(text))),
            other => match Value::of_plain(&other) {
                Ok(value) => Ok((name, value)),
                Err(why) => Err(Error::invalid(format!("record {index}: {name:?}: {why}"))),
            },
        };
        object.into_iter().map(field).collect()
    };
    (1..).zip(records).map(record).collect()
}

/// Completes a record of an entity: the id is derived if there is none.
pub fn entity(index: usize, record: &mut Row) -> Result<()> {
    let name = text(index, record, "name")?.ok_or_else(|| lacks(index, "name"))?.to_owned();
    let entity_type = text(index, record, "entity_type")?;
    metadata(index, record)?;
    certain(index, record)?;
    if text(index, record, "entity_id")?.is_none() {
        let id = entity_id(&name, entity_type);
        set(record, "entity_id", id);
    }
    times(index, record, &["created_at", "valid_at"])
}

/// Completes a record of a relationship: it is [`RELATED_TO`] if it does not say what it is.
pub fn relationship(index: usize, record: &mut Row) -> Result<()> {
    for end in ["source_entity_id", "target_entity_id"] {
        text(index, record, end)?.ok_or_else(|| lacks(index, end))?;
    }
    metadata(index, record)?;
    certain(index, record)?;
    times(index, record, &["created_at", "valid_at", "expired_at", "invalid_at"])?;
    if text(index, record, "relationship_type")?.is_none() {
        set(record, "relationship_type", RELATED_TO.to_owned());
    }
    Ok(())
}

/// The id of an entity whose record has none. It is the same for the same name and type, however
/// many spaces there are between the words.
pub fn entity_id(name: &str, entity_type: Option<&str>) -> String {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = format!("{}\n{}", words(name), words(entity_type.unwrap_or_default()));
    Uuid::new_v5(&IDS, said.as_bytes()).to_string()
}

/// A short text of a record: an id, a name or a type. One without a letter is none.
pub fn text<'a>(index: usize, record: &'a Row, name: &str) -> Result<Option<&'a str>> {
    match record.iter().find(|(known, _)| known == name) {
        None | Some((_, Value::Null)) => Ok(None),
        Some((_, Value::Text(text))) if text.len() > limits::SHORT => {
            let most = limits::SHORT;
            Err(Error::invalid(format!("record {index}: {name:?} has more than {most} bytes")))
        }
        Some((_, Value::Text(text))) => Ok((!text.trim().is_empty()).then_some(text)),
        Some((_, other)) => {
            let kind = other.name();
            Err(Error::invalid(format!("record {index}: {name:?} is a text, and not {kind}")))
        }
    }
}

/// Says a text in a record, in place of what it says.
pub fn set(record: &mut Row, name: &str, text: String) {
    match record.iter_mut().find(|(known, _)| known == name) {
        Some((_, value)) => *value = Value::Text(text),
        None => record.push((name.to_owned(), Value::Text(text))),
    }
}

/// Metadata are texts with names (public SDK 0.31.4).
fn metadata(index: usize, record: &Row) -> Result<()> {
    let texts = match record.iter().find(|(name, _)| name == "metadata") {
        None | Some((_, Value::Null)) => true,
        Some((_, Value::Struct(parts))) => {
            parts.iter().all(|(_, value)| matches!(value, Value::Text(_)))
        }
        Some(_) => false,
    };
    match texts {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "record {index}: \"metadata\" is an object with texts, and nothing else"
        ))),
    }
}

/// How certain something is, is a part of 1.
fn certain(index: usize, record: &Row) -> Result<()> {
    let given = match record.iter().find(|(name, _)| name == "confidence") {
        Some((_, Value::Float(given))) => *given,
        Some((_, Value::Int(0 | 1))) | None => return Ok(()),
        // A whole number that is neither is out of bounds.
        Some((_, Value::Int(_))) => f64::NAN,
        // What is no number at all is told by the column.
        Some(_) => return Ok(()),
    };
    match (0.0..=1.0).contains(&given) {
        true => Ok(()),
        false => {
            Err(Error::invalid(format!("record {index}: \"confidence\" is a number from 0 to 1")))
        }
    }
}

/// Times are written as ISO 8601 has them (public SDK 0.31.4). They are kept in UTC, each in one way.
fn times(index: usize, record: &mut Row, names: &[&str]) -> Result<()> {
    for (name, value) in record {
        if let (true, Value::Text(given)) = (names.contains(&name.as_str()), value)
            && !given.trim().is_empty()
        {
            *given = moments::kept(given).ok_or_else(|| {
                let shown: String = given.chars().take(40).collect();
                Error::invalid(format!(
                    "record {index}: {name:?} is a time like \"2026-11-30T12:00:00Z\" or \"2026-11-30\", and not {shown:?}"
                ))
            })?;
        }
    }
    Ok(())
}

fn lacks(index: usize, name: &str) -> Error {
    Error::invalid(format!("record {index} has no {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_record_is_told() {
        let deep = format!("[{{\"a\": {}1{}}}]", "[".repeat(60), "]".repeat(60));
        let deeper = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for (text, why) in [
            ("", "the records are no JSON: EOF"),
            ("{}", "no array of objects"),
            ("[1]", "record 1 is no object"),
            ("[{}]", "record 1 says nothing"),
            ("[{\"a\": 18446744073709551615}]", "record 1: \"a\": 18446744073709551615 does not"),
            (&deep, "nested at most"),
            (&deeper, "recursion limit"),
        ] {
            let told = read(text).unwrap_err().text;
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn records_say_what_they_lack() {
        for (text, why) in [
            ("[{\"name\": \" \"}]", "record 1 has no \"name\""),
            ("[{\"name\": 1}]", "record 1: \"name\" is a text, and not int"),
            (
                "[{\"name\": \"a\", \"metadata\": {\"b\": 1}}]",
                "record 1: \"metadata\" is an object",
            ),
            ("[{\"name\": \"a\", \"metadata\": \"b\"}]", "record 1: \"metadata\" is an object"),
        ] {
            let mut records = read(text).unwrap();
            let told = entity(1, &mut records[0]).unwrap_err().text;
            assert!(told.contains(why), "{told}");
        }
        let mut records = read("[{\"source_entity_id\": \"a\"}]").unwrap();
        let told = relationship(3, &mut records[0]).unwrap_err().text;
        assert_eq!(told, "record 3 has no \"target_entity_id\"");
    }

    #[test]
    fn ids_follow_from_the_name_and_the_type() {
        let id = entity_id("Alice Smith", Some("Person"));
        assert_eq!(id, entity_id(" Alice  Smith\n", Some("Person")));
        assert_ne!(id, entity_id("Alice Smith", None));
        assert_ne!(id, entity_id("alice smith", Some("Person")));
    }
}
