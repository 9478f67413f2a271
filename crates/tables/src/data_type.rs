//! The types of columns, as clients write them (public SDK 0.31.4, `room_server_client.py`).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::columns::Name;

/// How deep types may be nested.
pub(crate) const DEPTH: usize = 16;

/// The most numbers that a vector has.
pub const LONGEST_VECTOR: u32 = 65_536;

/// The type of a column, or of what is in one.
#[derive(Debug, Clone, PartialEq)]
pub struct DataType {
    /// What it is.
    pub kind: Kind,
    /// Whether it may be null. What is not said is yes.
    pub nullable: Option<bool>,
    /// What clients keep with it: keys and texts.
    pub metadata: Vec<(String, String)>,
}

/// What kind of values there are.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Yes or no.
    Bool,
    /// A whole number of 64 bits with a sign.
    Int,
    /// A number of 64 bits with a point.
    Float,
    /// A text.
    Text,
    /// Bytes.
    Binary,
    /// A day.
    Date,
    /// A moment, to the microsecond, in UTC.
    Timestamp,
    /// So many numbers. They are kept with 32 bits.
    Vector {
        /// How many.
        size: u32,
        /// What each is; a number of any kind.
        element: Box<DataType>,
    },
    /// Values of one type.
    List(Box<DataType>),
    /// Values with names.
    Struct(Vec<Field>),
}

/// A column, or a part of a struct.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
}

impl From<Kind> for DataType {
    fn from(kind: Kind) -> Self {
        Self { kind, nullable: None, metadata: Vec::new() }
    }
}

impl DataType {
    /// Whether it may be null.
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        self.nullable != Some(false)
    }
}

impl fmt::Display for Kind {
    /// As columns are written on a command line.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => out.write_str("bool"),
            Self::Int => out.write_str("int"),
            Self::Float => out.write_str("float"),
            Self::Text => out.write_str("text"),
            Self::Binary => out.write_str("binary"),
            Self::Date => out.write_str("date"),
            Self::Timestamp => out.write_str("timestamp"),
            Self::Vector { size, element } => write!(out, "vector({size}, {})", element.kind),
            Self::List(element) => write!(out, "list({})", element.kind),
            Self::Struct(fields) => {
                out.write_str("struct(")?;
                for (index, field) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(out, "{comma}{} {}", Name(&field.name), field.data_type.kind)?;
                }
                out.write_str(")")
            }
        }
    }
}

/// The form on the wire.
#[derive(Serialize, Deserialize)]
struct Wire {
    r#type: String,
    #[serde(default)]
    nullable: Option<bool>,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    element_type: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fields: Option<Json>,
}

/// Pairs on the wire; the public form of types has an object.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Metadata {
    Pairs(Vec<Pair>),
    Object(serde_json::Map<String, Json>),
}

#[derive(Serialize, Deserialize)]
struct Pair {
    key: String,
    value: String,
}

impl DataType {
    /// Reads a type from its form on the wire, or from the public form, in which the parts of a
    /// struct are an object.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    pub fn of_wire(wire: &Json) -> Result<Self, String> {
        Self::read(wire, 0)
    }

    fn read(wire: &Json, depth: usize) -> Result<Self, String> {
        if depth > DEPTH {
            return Err(format!("types are nested at most {DEPTH} deep"));
        }
        let Wire { r#type, nullable, metadata, size, element_type, fields } =
            Wire::deserialize(wire).map_err(|error| format!("a type cannot be read: {error}"))?;
        let element = || {
            let element = element_type.as_ref().filter(|it| !it.is_null());
            let element = element.ok_or_else(|| format!("a {} has an element_type", r#type))?;
            Self::read(element, depth + 1).map(Box::new)
        };
        let kind = match r#type.as_str() {
            "bool" => Kind::Bool,
            "int" => Kind::Int,
            "float" => Kind::Float,
            "text" => Kind::Text,
            "binary" => Kind::Binary,
            "date" => Kind::Date,
            "timestamp" => Kind::Timestamp,
            "vector" => {
                let size = size.filter(|size| (1..=LONGEST_VECTOR).contains(size));
                let size =
                    size.ok_or_else(|| format!("a vector has a size from 1 to {LONGEST_VECTOR}"))?;
                let element = element()?;
                if !matches!(element.kind, Kind::Int | Kind::Float) {
                    return Err(format!("a vector has numbers, not values of {}", element.kind));
                }
                Kind::Vector { size, element }
            }
            "list" => Kind::List(element()?),
            "struct" => Kind::Struct(parts(fields.as_ref().unwrap_or(&Json::Null), depth)?),
            other => return Err(format!("there is no type {other:?}")),
        };
        let metadata = match metadata {
            None => Vec::new(),
            Some(Metadata::Pairs(pairs)) => {
                pairs.into_iter().map(|pair| (pair.key, pair.value)).collect()
            }
            Some(Metadata::Object(object)) => {
                let text = |(key, value): (String, Json)| match value {
                    Json::String(text) => Ok((key, text)),
                    _ => Err(format!("the metadata {key:?} is not a text")),
                };
                object.into_iter().map(text).collect::<Result<_, _>>()?
            }
        };
        Ok(Self { kind, nullable, metadata })
    }

    /// The form on the wire.
    #[must_use]
    pub fn to_wire(&self) -> Json {
        let mut wire = serde_json::Map::new();
        let name = match &self.kind {
            Kind::Vector { .. } => "vector".to_owned(),
            Kind::List(_) => "list".to_owned(),
            Kind::Struct(_) => "struct".to_owned(),
            plain => plain.to_string(),
        };
        wire.insert("type".to_owned(), name.into());
        wire.insert("nullable".to_owned(), self.nullable.into());
        let pair =
            |(key, value): &(String, String)| serde_json::json!({"key": key, "value": value});
        let metadata: Vec<Json> = self.metadata.iter().map(pair).collect();
        let metadata = if metadata.is_empty() { Json::Null } else { metadata.into() };
        wire.insert("metadata".to_owned(), metadata);
        match &self.kind {
            Kind::Vector { size, element } => {
                wire.insert("size".to_owned(), (*size).into());
                wire.insert("element_type".to_owned(), element.to_wire());
            }
            Kind::List(element) => {
                wire.insert("element_type".to_owned(), element.to_wire());
            }
            Kind::Struct(fields) => {
                let field = |it: &Field| serde_json::json!({"name": it.name, "data_type": it.data_type.to_wire()});
                let fields: Vec<Json> = fields.iter().map(field).collect();
                wire.insert("fields".to_owned(), fields.into());
            }
            _ => {}
        }
        Json::Object(wire)
    }
}

/// The parts of a struct: a list of names with types, or an object.
fn parts(wire: &Json, depth: usize) -> Result<Vec<Field>, String> {
    let field = |name: &str, data_type: &Json| {
        let data_type = DataType::read(data_type, depth + 1)?;
        Ok::<_, String>(Field { name: name.to_owned(), data_type })
    };
    let fields: Vec<Field> = match wire {
        Json::Array(list) => {
            let read = |one: &Json| {
                let name = one["name"].as_str().ok_or("a part of a struct has a name")?;
                field(name, &one["data_type"])
            };
            list.iter().map(read).collect::<Result<_, _>>()?
        }
        Json::Object(object) => {
            object.iter().map(|(name, it)| field(name, it)).collect::<Result<_, _>>()?
        }
        _ => return Err("a struct has fields".to_owned()),
    };
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].iter().any(|other| other.name == field.name) {
            return Err(format!("a struct has two parts with the name {:?}", field.name));
        }
    }
    Ok(fields)
}

impl Serialize for DataType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_wire().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DataType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Json::deserialize(deserializer)?;
        Self::of_wire(&wire).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_come_back_as_they_went() {
        let plain = |kind: &str| json!({"type": kind, "nullable": null, "metadata": null});
        let mut all: Vec<Json> =
            ["bool", "int", "float", "text", "binary", "date", "timestamp"].map(plain).to_vec();
        all.push(json!({"type": "vector", "nullable": false, "metadata": null, "size": 3, "element_type": plain("float")}));
        all.push(json!({"type": "list", "nullable": true, "metadata": [{"key": "a", "value": "b"}], "element_type": plain("text")}));
        all.push(json!({"type": "struct", "nullable": null, "metadata": null, "fields": [{"name": "x", "data_type": plain("int")}]}));
        for wire in all {
            let read = DataType::of_wire(&wire).unwrap();
            assert_eq!(read.to_wire(), wire);
        }
    }

    #[test]
    fn the_public_form_is_read_too() {
        let read = DataType::of_wire(&json!({
            "type": "struct", "metadata": {"a": "b"},
            "fields": {"x": {"type": "int", "nullable": false}, "y": {"type": "list", "element_type": {"type": "text"}}},
        }));
        let read = read.unwrap();
        assert_eq!(read.kind.to_string(), "struct(x int, y list(text))");
        assert_eq!(read.metadata, [("a".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn what_is_no_type_is_told() {
        let deep = (0..40).fold(
            json!({"type": "int"}),
            |inner, _| json!({"type": "list", "element_type": inner}),
        );
        for (wire, why) in [
            (json!({"type": "money"}), "there is no type \"money\""),
            (
                json!({"type": "vector", "size": 0, "element_type": {"type": "float"}}),
                "a size from 1",
            ),
            (json!({"type": "vector", "size": 2}), "has an element_type"),
            (
                json!({"type": "vector", "size": 2, "element_type": {"type": "text"}}),
                "numbers, not values of text",
            ),
            (json!({"type": "struct"}), "a struct has fields"),
            (
                json!({"type": "struct", "fields": [{"name": "a", "data_type": {"type": "int"}}, {"name": "a", "data_type": {"type": "int"}}]}),
                "two parts",
            ),
            (deep, "nested at most"),
            (json!(5), "cannot be read"),
        ] {
            let told = DataType::of_wire(&wire).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
