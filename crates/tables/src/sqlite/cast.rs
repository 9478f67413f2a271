//! Values of one type made values of another, inside of a statement.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use super::statement::Statement;
use crate::data_type::{DataType, Kind};
use crate::error::{Error, Result};
use crate::sql::Expression;
use crate::stored::{Stored, loaded};
use crate::value::Value;

/// The functions that a statement casts with, for as long as this is kept.
pub(super) struct Casts<'a> {
    db: &'a Connection,
    count: usize,
}

impl<'a> Casts<'a> {
    pub(super) fn new(db: &'a Connection) -> Self {
        Self { db, count: 0 }
    }

    /// An expression as a column of a type takes it. What does not fit ends the statement with an
    /// error that names the column.
    pub(super) fn cast(
        &mut self,
        expression: Expression,
        column: &str,
        wanted: &DataType,
    ) -> Result<Statement> {
        let of = expression.data_type.unwrap_or_else(|| wanted.clone());
        let mut cast = Statement::default();
        let same = of.kind == wanted.kind
            && matches!(of.kind, Kind::Bool | Kind::Int | Kind::Text | Kind::Binary);
        if same && wanted.is_nullable() {
            cast.text("(").part(expression.sql).text(")");
            return Ok(cast);
        }
        let name = format!("cast_{}", self.count);
        // What a client sent may be told to it. What is stored may not: who changes a table need not
        // be one who may read it.
        let own = expression.sql.text == "?";
        let (column, wanted) = (column.to_owned(), wanted.clone());
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        self.db.create_scalar_function(name.as_str(), 1, flags, move |context| {
            let given = loaded(context.get_raw(0), &of.kind);
            let taken = given.and_then(|value| {
                let missing = value == Value::Null;
                cast_to(value, &wanted).map_err(|why| {
                    let kind = &wanted.kind;
                    Error::invalid(match own || missing {
                        true => format!("column {column:?}: {why}"),
                        false => format!("column {column:?}: a value for it is no {kind}"),
                    })
                })
            });
            taken
                .map(Stored::from)
                .map_err(|error| rusqlite::Error::UserFunctionError(error.into()))
        })?;
        self.count += 1;
        cast.text(&format!("{name}(")).part(expression.sql).text(")");
        Ok(cast)
    }
}

impl Drop for Casts<'_> {
    fn drop(&mut self) {
        for number in 0..self.count {
            // A function that stays does no harm: the next of its name takes its place.
            let _ = self.db.remove_function(format!("cast_{number}").as_str(), 1);
        }
    }
}

/// A value as a column of another type takes it: also numbers as texts, and the other way round.
fn cast_to(value: Value, wanted: &DataType) -> std::result::Result<Value, String> {
    let value = match (value, &wanted.kind) {
        (Value::Int(it), Kind::Text) => Value::Text(it.to_string()),
        (Value::Float(it), Kind::Text) => Value::Text(it.to_string()),
        (Value::Bool(it), Kind::Text) => Value::Text(it.to_string()),
        (Value::Bool(it), Kind::Int) => Value::Int(it.into()),
        (Value::Text(text), Kind::Int) => Value::Int(parsed(&text, wanted)?),
        (Value::Text(text), Kind::Float) => Value::Float(parsed(&text, wanted)?),
        (Value::Text(text), Kind::Bool) => Value::Bool(parsed(&text, wanted)?),
        (value, _) => value,
    };
    value.taken_as(wanted)
}

fn parsed<T: std::str::FromStr>(text: &str, wanted: &DataType) -> std::result::Result<T, String> {
    text.trim().parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        format!("{shown:?} is no {}", wanted.kind)
    })
}
