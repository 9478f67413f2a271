//! What tables, columns and namespaces may be called, and what columns there may be.

use super::Limits;
use super::search::SCORES;
use crate::data_type::Field;
use crate::engine::TableName;
use crate::error::{Error, Reason, Result};

/// How long a name may be, in bytes.
const LONGEST: usize = 128;

/// How deep namespaces may be nested.
const DEEPEST: usize = 16;

/// How much a table or a column may keep as its metadata and type.
const NOTES: usize = 64 << 10;

pub(super) fn table(name: &TableName) -> Result<()> {
    namespace(&name.namespace)?;
    one("table", &name.name)
}

pub(super) fn namespace(parts: &[String]) -> Result<()> {
    if parts.len() > DEEPEST {
        return Err(Error::invalid(format!("namespaces are nested at most {DEEPEST} deep")));
    }
    parts.iter().try_for_each(|part| one("namespace", part))
}

pub(super) fn metadata(pairs: &[(String, String)]) -> Result<()> {
    let bytes: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
    match bytes <= NOTES {
        true => Ok(()),
        false => Err(Error::invalid(format!("metadata has at most {NOTES} bytes"))),
    }
}

/// Whether these can be the columns of a table.
pub(super) fn columns<'a>(
    fields: impl IntoIterator<Item = &'a Field>,
    limits: &Limits,
) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for field in fields {
        let name = &field.name;
        one("column", name)?;
        if SCORES.contains(&name.as_str()) {
            let text =
                format!("a column cannot be called {name:?}: searches give their scores this name");
            return Err(Error::invalid(text));
        }
        if !seen.insert(name) {
            return Err(Error::invalid(format!("two columns are called {name:?}")));
        }
        if seen.len() > limits.columns {
            let text = format!("a table has at most {} columns", limits.columns);
            return Err(Error::new(Reason::TooMuch, text));
        }
        if field.data_type.to_wire().to_string().len() > NOTES {
            let text = format!("the type of the column {name:?} has more than {NOTES} bytes");
            return Err(Error::new(Reason::TooMuch, text));
        }
    }
    Ok(())
}

fn one(of: &str, name: &str) -> Result<()> {
    let wrong = match name {
        "" => "is empty",
        _ if name.len() > LONGEST => "is longer than 128 bytes",
        _ if name.chars().any(char::is_control) => "has control characters",
        _ => return Ok(()),
    };
    let shown: String = name.chars().take(40).collect();
    Err(Error::invalid(format!("the name of a {of} {wrong}: {shown:?}")))
}
