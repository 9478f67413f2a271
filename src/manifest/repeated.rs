//! Names that stand twice in one object of a JSON text. Readers take the last one and say
//! nothing.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// The first name that stands twice in one object, if the text is JSON and has one.
pub fn name_in(text: &str) -> Option<String> {
    serde_json::from_str::<Found>(text).ok().and_then(|found| found.0)
}

/// What is found in a value.
struct Found(Option<String>);

struct Search;

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Search)
    }
}

impl<'de> Visitor<'de> for Search {
    type Value = Found;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Found, M::Error> {
        let (mut names, mut found) = (HashSet::new(), None);
        while let Some((name, below)) = map.next_entry::<String, Found>()? {
            if names.contains(&name) {
                found = found.or_else(|| Some(name.clone()));
            }
            found = found.or(below.0);
            names.insert(name);
        }
        Ok(Found(found))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Found, S::Error> {
        let mut found = None;
        while let Some(below) = items.next_element::<Found>()? {
            found = found.or(below.0);
        }
        Ok(Found(found))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found, E> {
        Ok(Found(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found(None))
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_twice_is_found_wherever_it_is() {
        for (text, name) in [
            (r#"{"a": 1, "a": 2}"#, Some("a")),
            (r#"[0, -1, 1.5, null, true, "x", {"b": {"c": [], "c": {}}}]"#, Some("c")),
            // However it is written.
            (r#"{"a": 1, "\u0061": 1}"#, Some("a")),
            (r#"[{"a": 1}, {"a": 1}, {"b": {"a": 1}, "a": "\"a\": 1, \"a\""}]"#, None),
            ("{}", None),
        ] {
            assert_eq!(name_in(text).as_deref(), name, "{text}");
        }
    }
}
