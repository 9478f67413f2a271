//! What tables, columns and namespaces may be called, and what columns there may be. Whoever makes a
//! table for others can ask before anything is written.

use crate::data_type::Field;
use crate::engine::TableName;
use crate::error::{Error, Result};

/// How many columns a table has at most.
pub const MOST_COLUMNS: usize = 1_000;

/// What searches call their scores. No column is called so.
pub const SCORES: [&str; 3] = ["_score", "_distance", "_relevance_score"];

/// How long a name may be, in bytes.
const LONGEST: usize = 128;

/// How deep namespaces may be nested.
const DEEPEST: usize = 16;

/// How much a table or a column may keep as its metadata and type.
const NOTES: usize = 64 << 10;

/// Checks the name of a table, and those of its namespaces.
///
/// # Errors
///
/// Which name is wrong, and why.
pub fn table(name: &TableName) -> Result<()> {
    namespace(&name.namespace)?;
    one("table", &name.name).map_err(Error::invalid)
}

/// Checks the names of namespaces.
///
/// # Errors
///
/// Which name is wrong, and why.
pub fn namespace(parts: &[String]) -> Result<()> {
    if parts.len() > DEEPEST {
        return Err(Error::invalid(format!("namespaces are nested at most {DEEPEST} deep")));
    }
    parts.iter().try_for_each(|part| one("namespace", part)).map_err(Error::invalid)
}

/// Checks the notes that a table keeps.
///
/// # Errors
///
/// They are too long.
pub fn metadata(pairs: &[(String, String)]) -> Result<()> {
    let bytes: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
    match bytes <= NOTES {
        true => Ok(()),
        false => Err(Error::invalid(format!("metadata has at most {NOTES} bytes"))),
    }
}

/// Checks whether these can be the columns of a table.
///
/// # Errors
///
/// Which column cannot be, counted from 0, and why.
pub fn columns(fields: &[Field]) -> std::result::Result<(), (usize, String)> {
    columns_up_to(MOST_COLUMNS, fields)
}

/// Checks columns as [`columns`] does, for a table that has so many at most.
pub(crate) fn columns_up_to<'a>(
    most: usize,
    fields: impl IntoIterator<Item = &'a Field>,
) -> std::result::Result<(), (usize, String)> {
    let mut seen = std::collections::HashSet::new();
    for (place, field) in fields.into_iter().enumerate() {
        if place == most {
            return Err((place, format!("a table has at most {most} columns")));
        }
        column(field).map_err(|why| (place, why))?;
        if !seen.insert(&field.name) {
            return Err((place, format!("two columns are called {:?}", field.name)));
        }
    }
    Ok(())
}

/// The names that are near to one that is none, the nearest first.
pub fn near<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    // Nothing that is longer than a name is a slip of the hand.
    if wanted.len() > 2 * LONGEST {
        return Vec::new();
    }
    let slips = |name: &str| {
        let (length, given) = (name.chars().count(), wanted.chars().count());
        if length.abs_diff(given) > 2 {
            return None;
        }
        let slips = strsim::damerau_levenshtein(&wanted, &name.to_lowercase());
        (slips <= (length.max(given) / 3).clamp(1, 2) && slips < length).then_some(slips)
    };
    let mut near: Vec<_> =
        names.into_iter().filter_map(|name| Some((slips(name)?, name))).collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().map(|(_, name)| name).collect()
}

fn column(field: &Field) -> std::result::Result<(), String> {
    let name = &field.name;
    one("column", name)?;
    if SCORES.contains(&name.as_str()) {
        return Err(format!(
            "a column cannot be called {name:?}: searches give their scores this name"
        ));
    }
    match field.data_type.to_wire().to_string().len() <= NOTES {
        true => Ok(()),
        false => Err(format!("the type of the column {name:?} has more than {NOTES} bytes")),
    }
}

fn one(of: &str, name: &str) -> std::result::Result<(), String> {
    let wrong = match name {
        "" => "is empty",
        _ if name.len() > LONGEST => "is longer than 128 bytes",
        _ if name.chars().any(char::is_control) => "has control characters",
        _ => return Ok(()),
    };
    let shown: String = name.chars().take(40).collect();
    Err(format!("the name of a {of} {wrong}: {shown:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_type::{DataType, Kind};

    fn named(name: &str) -> Field {
        Field { name: name.to_owned(), data_type: Kind::Int.into() }
    }

    #[test]
    fn only_what_could_be_a_slip_is_near() {
        let names = ["cos", "floor", "log", "people", "pool", "i"];
        assert_eq!(near("foo", names), Vec::<&str>::new());
        assert_eq!(near("Poeple", names), ["people"]);
        assert_eq!(near("flor", names), ["floor"]);
        assert_eq!(near("x", names), Vec::<&str>::new());
    }

    #[test]
    fn columns_that_cannot_be_are_told_with_their_places() {
        let long = "n".repeat(129);
        let mut deep = named("deep");
        deep.data_type =
            DataType { metadata: vec![("k".into(), "v".repeat(NOTES))], ..deep.data_type };
        for (second, why) in [
            (named("a"), "two columns are called \"a\""),
            (named("_score"), "cannot be called \"_score\""),
            (named("_distance"), "cannot be called \"_distance\""),
            (named(""), "is empty"),
            (named(&long), "longer than 128 bytes"),
            (named("a\nb"), "control characters"),
            (deep, "more than 65536 bytes"),
        ] {
            let (place, told) = columns(&[named("a"), second]).unwrap_err();
            assert_eq!(place, 1);
            assert!(told.contains(why), "{told}");
        }
        let mut many: Vec<Field> = (0..1_000).map(|number| named(&number.to_string())).collect();
        columns(&many).unwrap();
        many.push(named("one more"));
        assert_eq!(columns(&many).unwrap_err().0, 1_000);
    }
}
