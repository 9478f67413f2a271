//! The columns of a table that come of its first rows.

use std::collections::HashMap;

use super::super::Limits;
use crate::data_type::{Field, Kind, LONGEST_VECTOR};
use crate::error::{Error, Result};
use crate::value::{Row, Value, wider};

/// What is known of a column.
struct Guess<'a> {
    name: &'a str,
    /// What its values are; none as long as all are null or empty.
    kind: Option<Kind>,
    /// What an empty list is, as long as there is nothing better.
    empty: Option<Kind>,
    /// How many numbers all of its values have; none if they are no vectors.
    size: Option<usize>,
    /// A whole number that would lose digits if the column had numbers with a point.
    long: Option<i64>,
}

/// The columns, in the order in which they first come. A column that is always null has texts.
///
/// A column whose name has `vector` or `embedding` in it is one of vectors, if all of its values
/// have as many numbers: so does LanceDB.
pub(super) fn fields(rows: &[Row], limits: &Limits) -> Result<Vec<Field>> {
    let mut guesses: Vec<Guess<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (name, value) in rows.iter().flatten() {
        let place = *places.entry(name).or_insert_with(|| {
            guesses.push(Guess { name, kind: None, empty: None, size: None, long: None });
            guesses.len() - 1
        });
        guesses[place].learn(value);
    }
    let fields = guesses.into_iter().map(Guess::field).collect::<Result<Vec<Field>>>()?;
    limits.columns(&fields)?;
    Ok(fields)
}

impl Guess<'_> {
    fn learn(&mut self, value: &Value) {
        if *value == Value::Null {
            return;
        }
        if matches!(value, Value::List(items) if items.iter().all(|it| *it == Value::Null)) {
            self.empty = value.inferred();
            self.size = Some(0);
            return;
        }
        self.long = self.long.or_else(|| long(value));
        let length = numbers(value);
        let first = self.kind.is_none() && self.empty.is_none();
        self.size = if first { length } else { self.size.filter(|size| Some(*size) == length) };
        let kind = value.inferred();
        self.kind = match (self.kind.take(), kind) {
            (Some(one), Some(other)) => Some(wider(one, other)),
            (one, other) => one.or(other),
        };
    }

    fn field(self) -> Result<Field> {
        let name = self.name.to_lowercase();
        let size = self.size.and_then(|size| u32::try_from(size).ok());
        let kind = match size.filter(|size| (1..=LONGEST_VECTOR).contains(size)) {
            Some(size) if name.contains("vector") || name.contains("embedding") => {
                Kind::Vector { size, element: Box::new(Kind::Float.into()) }
            }
            _ => self.kind.or(self.empty).unwrap_or(Kind::Text),
        };
        if let (Some(long), true) = (self.long, has_points(&kind)) {
            let name = self.name;
            return Err(Error::invalid(format!(
                "the column {name:?} has numbers with a point, and {long}, which would lose digits as one of them; say what type the column has"
            )));
        }
        Ok(Field { name: self.name.to_owned(), data_type: kind.into() })
    }
}

/// A whole number of a value that no number with a point equals.
fn long(value: &Value) -> Option<i64> {
    match value {
        Value::Int(whole) => {
            let float = Value::Int(*whole).taken_as(&Kind::Float.into());
            let back = float.and_then(|it| it.taken_as(&Kind::Int.into()));
            (back != Ok(Value::Int(*whole))).then_some(*whole)
        }
        Value::List(items) => items.iter().find_map(long),
        _ => None,
    }
}

/// Whether values of a kind are numbers with a point, or lists of such.
fn has_points(kind: &Kind) -> bool {
    match kind {
        Kind::Float => true,
        Kind::List(element) => has_points(&element.kind),
        _ => false,
    }
}

/// How many numbers a value has; none if it is something else.
fn numbers(value: &Value) -> Option<usize> {
    match value {
        Value::Vector(numbers) => Some(numbers.len()),
        Value::List(items) => {
            let all = items.iter().all(|it| matches!(it, Value::Int(_) | Value::Float(_)));
            all.then_some(items.len())
        }
        _ => None,
    }
}
