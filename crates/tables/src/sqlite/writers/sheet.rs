//! Rows as the columns of a table take them.

use std::collections::HashMap;

use super::super::catalog::listed;
use crate::data_type::Field;
use crate::error::{Error, Result};
use crate::stored::Stored;
use crate::value::{Row, Value};

/// The columns that rows are written for, in their order.
pub(super) struct Sheet {
    pub fields: Vec<Field>,
    places: HashMap<String, usize>,
    row_bytes: usize,
    /// Whether rows say which columns they give.
    notes_given: bool,
}

impl Sheet {
    pub(super) fn new(fields: Vec<Field>, row_bytes: usize) -> Self {
        let place = |(place, field): (usize, &Field)| (field.name.clone(), place);
        let places = fields.iter().enumerate().map(place).collect();
        Self { fields, places, row_bytes, notes_given: false }
    }

    /// A sheet whose rows may leave out any column. Behind its values, each row has bytes that say
    /// which columns it gives: 1 or 0 for each.
    pub(super) fn of_parts(fields: Vec<Field>, row_bytes: usize) -> Self {
        Self { notes_given: true, ..Self::new(fields, row_bytes) }
    }

    /// The values of a row in the order of the columns, and about how many bytes they have. The
    /// number of the row is for messages.
    pub(super) fn take(&self, row: Row, number: u64) -> Result<(Vec<Stored>, usize)> {
        let mut values: Vec<Option<Stored>> = vec![None; self.fields.len()];
        let mut bytes = 0;
        let mut unknown = Vec::new();
        for (given, (name, value)) in row.into_iter().enumerate() {
            // Most clients write all columns in their order.
            let place = match self.fields.get(given) {
                Some(field) if field.name == name => Some(given),
                _ => self.places.get(&name).copied(),
            };
            let Some(place) = place else {
                unknown.push(name);
                continue;
            };
            let value = value
                .taken_as(&self.fields[place].data_type)
                .map_err(|why| Error::invalid(format!("row {number}, column {name:?}: {why}")))?;
            let value = Stored::from(value);
            bytes += size(&value);
            if values[place].replace(value).is_some() {
                return Err(Error::invalid(format!("row {number} has the column {name:?} twice")));
            }
        }
        if !unknown.is_empty() {
            let unknown: Vec<&str> = unknown.iter().map(String::as_str).collect();
            let known: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
            return Err(Error::invalid(format!(
                "row {number} has columns that the table has not: {}; it has {}",
                listed(&unknown),
                listed(&known)
            )));
        }
        bounded(bytes, number, self.row_bytes)?;
        let given: Option<Vec<u8>> = self
            .notes_given
            .then(|| values.iter().map(|value| u8::from(value.is_some())).collect());
        let missing = |(value, field): (Option<Stored>, &Field)| match value {
            Some(value) => Ok(value),
            None if given.is_some() || field.data_type.is_nullable() => Ok(Stored::Null),
            None => Err(leaves_out(number, &field.name)),
        };
        let row = values.into_iter().zip(&self.fields).map(missing);
        let mut row = row.collect::<Result<Vec<_>>>()?;
        row.extend(given.map(Stored::Blob));
        // A row takes memory for each column, whatever is in it.
        let bytes = bytes + row.len() * size_of::<Stored>();
        Ok((row, bytes))
    }
}

/// A row lacks a value that a column must have.
pub(super) fn leaves_out(number: u64, column: &str) -> Error {
    Error::invalid(format!("row {number} leaves out the column {column:?}, which is never null"))
}

fn bounded(bytes: usize, number: u64, most: usize) -> Result<()> {
    match bytes <= most {
        true => Ok(()),
        false => {
            let text = format!("row {number} has more than {most} bytes");
            Err(Error::invalid(text))
        }
    }
}

/// About how many bytes a row has that no column has taken yet.
pub(super) fn weight(row: &Row, number: u64, most: usize) -> Result<usize> {
    let bytes = row.iter().map(|(name, value)| name.len() + heavy(value)).sum();
    bounded(bytes, number, most)?;
    Ok(bytes)
}

fn size(value: &Stored) -> usize {
    match value {
        Stored::Null => 0,
        Stored::Int(_) | Stored::Real(_) => 8,
        Stored::Text(text) => text.len(),
        Stored::Blob(bytes) => bytes.len(),
    }
}

/// About how many bytes of memory a value takes.
fn heavy(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Text(text) => text.len(),
            Value::Binary(bytes) => bytes.len(),
            Value::Vector(numbers) => numbers.len() * 4,
            Value::List(items) => items.iter().map(heavy).sum(),
            Value::Struct(fields) => {
                fields.iter().map(|(name, value)| name.len() + 24 + heavy(value)).sum()
            }
            _ => 0,
        }
}
