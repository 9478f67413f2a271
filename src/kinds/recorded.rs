//! The fields of an object as an inventory keeps them. They are held as text: most objects
//! are as they were, so most of what is recorded is only compared and written back.

use std::sync::Arc;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::fingerprint::Fingerprinter;
use super::tree::{Sealed, Tree};

/// The field in which the fingerprint of a secret is recorded.
pub const SECRET: &str = "$secret";

/// The fingerprint in what stands for a secret in a record, `null` where its text was not
/// known; `None` for all else.
#[must_use]
pub fn fingerprint_in(value: &Value) -> Option<&Value> {
    value.as_object().filter(|fields| fields.len() == 1)?.get(SECRET)
}

/// What stands for a secret with this fingerprint in a record.
#[must_use]
pub fn recorded_as(fingerprint: &str) -> Value {
    Value::Object([(SECRET.to_owned(), fingerprint.into())].into_iter().collect())
}

/// The fields of an object as JSON; each secret is an object with its fingerprint, or with
/// `null` where the text is not known.
#[derive(Debug, Clone)]
pub struct Recorded(Arc<RawValue>);

impl Recorded {
    /// Records a tree.
    #[must_use]
    pub fn of(tree: &Tree, fingerprinter: &Fingerprinter) -> Self {
        Self::from(&Recording { tree, fingerprinter })
    }

    /// What was recorded, to be looked into.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }

    /// The fields again. In the place of each secret stands its fingerprint.
    #[must_use]
    pub fn tree(&self) -> Tree {
        tree(&self.value())
    }

    /// Whether there may be a secret in it. A text of that name only costs a closer look.
    #[must_use]
    pub fn may_have_secrets(&self) -> bool {
        self.0.get().contains(SECRET)
    }

    fn from(fields: &impl Serialize) -> Self {
        // Fields are valid JSON: their maps have text keys.
        Self(Arc::from(to_raw_value(fields).unwrap_or_else(|_| RawValue::NULL.to_owned())))
    }
}

fn tree(value: &Value) -> Tree {
    if let Some(fingerprint) = fingerprint_in(value) {
        return Tree::Secret(match fingerprint.as_str() {
            Some(fingerprint) => Sealed::Kept(fingerprint.into()),
            None => Sealed::Masked,
        });
    }
    match value {
        Value::Array(items) => Tree::List(items.iter().map(tree).collect()),
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.as_str(), tree(field))).collect()
        }
        leaf => Tree::from(leaf),
    }
}

impl From<&Value> for Recorded {
    fn from(value: &Value) -> Self {
        Self::from(value)
    }
}

impl PartialEq for Recorded {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || self.0.get() == other.0.get()
            || self.value() == other.value()
    }
}

impl Serialize for Recorded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Recorded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|text| Self(Arc::from(text)))
    }
}

/// A tree on its way into a record.
pub(super) struct Recording<'a> {
    pub(super) tree: &'a Tree,
    pub(super) fingerprinter: &'a Fingerprinter,
}

impl Serialize for Recording<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use secrecy::ExposeSecret;

        let below = |tree| Recording { tree, ..*self };
        match self.tree {
            Tree::Null => serializer.serialize_unit(),
            Tree::Bool(value) => serializer.serialize_bool(*value),
            Tree::Number(number) => number.serialize(serializer),
            Tree::Text(text) => serializer.serialize_str(text),
            Tree::Secret(sealed) => {
                let fingerprint = match sealed {
                    Sealed::Known(text) | Sealed::Number(text) => {
                        Some(self.fingerprinter.of(text.expose_secret()))
                    }
                    Sealed::Kept(fingerprint) => Some(fingerprint.to_string()),
                    Sealed::Source(_) | Sealed::Masked | Sealed::Unread => None,
                };
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(SECRET, &fingerprint)?;
                map.end()
            }
            Tree::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&below(item))?;
                }
                list.end()
            }
            Tree::Map(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields.iter() {
                    map.serialize_entry(name, &below(value))?;
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_recorded_is_read_back_with_secrets_as_fingerprints() {
        let fingerprinter = Fingerprinter::new("key");
        let tree = Tree::map([
            ("list", Tree::List(vec![Tree::Null, Tree::Bool(true), Tree::Number(3.into())])),
            ("known", Tree::secret("canary")),
            ("masked", Tree::Secret(Sealed::Masked)),
        ]);
        let recorded = Recorded::of(&tree, &fingerprinter);
        assert!(recorded.may_have_secrets());
        let value = json!({
            "list": [null, true, 3],
            "known": {"$secret": fingerprinter.of("canary")},
            "masked": {"$secret": null},
        });
        assert_eq!(recorded.value(), value);
        assert_eq!(tree.recorded(&fingerprinter), value);
        assert_eq!(recorded, Recorded::from(&value));
        let written = serde_json::to_string(&recorded).expect("JSON");
        assert_eq!(serde_json::from_str::<Recorded>(&written).expect("a record"), recorded);
    }

    #[test]
    fn the_order_of_fields_makes_no_difference() {
        let read = |text| serde_json::from_str::<Recorded>(text).expect("a record");
        assert_eq!(read(r#"{"a": 1, "b": 2}"#), read(r#"{"b":2,"a":1}"#));
        assert_ne!(read(r#"{"a": 1}"#), read(r#"{"a": 2}"#));
    }
}
