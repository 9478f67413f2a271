//! Columns that are added, changed and removed.
//!
//! A column that gets another type gets another place for its values as well, so that earlier
//! versions read what they had.

use rusqlite::Connection;

use super::cast::Casts;
use super::catalog::{self, Column, Table};
use super::statement::Statement;
use super::{Tables, file, indexes};
use crate::data_type::{DataType, Field, Kind};
use crate::engine::{NewColumn, TableName};
use crate::error::{Error, Reason, Result};
use crate::sql::{self, Expression, Fragment};

impl Tables {
    pub(super) fn widen(&self, name: &TableName, columns: Vec<(String, NewColumn)>) -> Result<()> {
        if columns.is_empty() {
            return Err(Error::invalid("no column is said that is to be added"));
        }
        self.reshaped(name, "add columns", |db, table, version| {
            let mut fields = Vec::new();
            let mut computed = Vec::new();
            let named = table.named();
            for (name, new) in columns {
                if table.columns.iter().any(|column| column.field.name == name) {
                    let text = format!("the table {} has a column {name:?} already", table.name);
                    return Err(Error::new(Reason::AlreadyExists, text));
                }
                let (data_type, expression) = match new {
                    NewColumn::Typed(data_type) => (data_type, None),
                    NewColumn::Computed(text) => {
                        let expression = sql::expression(&text, &named)?;
                        let kind = expression.data_type.clone().map_or(Kind::Text, |it| it.kind);
                        (DataType::from(kind), Some(expression))
                    }
                };
                fields.push(Field { name, data_type });
                computed.push(expression);
            }
            let old = table.columns.iter().map(|column| &column.field);
            self.shared.limits.columns(old.chain(&fields))?;
            let numbers = catalog::add(db, table.id, version, &fields)?;
            for ((number, field), expression) in numbers.into_iter().zip(&fields).zip(computed) {
                match expression {
                    Some(expression) => self.compute(db, table, number, field, expression)?,
                    None if field.data_type.is_nullable() => {}
                    None => no_null(db, table, "NULL", &field.name)?,
                }
            }
            Ok(())
        })
    }

    pub(super) fn retype(&self, name: &TableName, fields: Vec<Field>) -> Result<()> {
        if fields.is_empty() {
            return Err(Error::invalid("no column is said that is to be changed"));
        }
        self.shared.limits.columns(&fields)?;
        self.reshaped(name, "alter columns", |db, table, version| {
            for field in fields {
                let old = table.column(&field.name)?;
                let place = catalog::place(db, table, old.number)?;
                catalog::undefine(db, table, version, &[old.number])?;
                if old.field.data_type.kind == field.data_type.kind {
                    if !field.data_type.is_nullable() {
                        no_null(db, table, &old.sql(), &field.name)?;
                    }
                    let column = Column { number: old.number, field };
                    catalog::define(db, table.id, version, &column, place)?;
                    continue;
                }
                let number = catalog::new_number(db, table.id)?;
                let column = Column { number, field };
                catalog::define(db, table.id, version, &column, place)?;
                let sql = Fragment { text: old.sql(), values: Vec::new() };
                let data_type = Some(old.field.data_type.clone());
                self.compute(db, table, number, &column.field, Expression { sql, data_type })?;
                indexes::move_over(db, table.id, old.number, Some(&column))?;
            }
            Ok(())
        })
    }

    pub(super) fn narrow(&self, name: &TableName, columns: &[String]) -> Result<()> {
        if columns.is_empty() {
            return Err(Error::invalid("no column is said that is to be dropped"));
        }
        self.reshaped(name, "drop columns", |db, table, version| {
            let mut numbers = Vec::new();
            for column in columns {
                let number = table.column(column)?.number;
                if !numbers.contains(&number) {
                    numbers.push(number);
                }
            }
            if numbers.len() == table.columns.len() {
                let text = "a table keeps at least one column; drop the table instead";
                return Err(Error::invalid(text));
            }
            catalog::undefine(db, table, version, &numbers)?;
            numbers.iter().try_for_each(|number| indexes::move_over(db, table.id, *number, None))
        })
    }

    /// Changes the columns in a version of its own.
    fn reshaped(
        &self,
        name: &TableName,
        operation: &str,
        work: impl FnOnce(&Connection, &Table, i64) -> Result<()>,
    ) -> Result<()> {
        self.shared.write(|db| {
            let table = catalog::writable(db, name)?;
            let version = catalog::next_number(db, &table)?;
            work(db, &table, version)?;
            catalog::commit(db, table.id, version, operation)?;
            catalog::reshape(db, table.id, version)
        })
    }

    /// Gives a column what an expression gives for each row.
    fn compute(
        &self,
        db: &Connection,
        table: &Table,
        number: i64,
        field: &Field,
        expression: Expression,
    ) -> Result<()> {
        let mut casts = Casts::new(db);
        let cast = casts.cast(expression, &field.name, &field.data_type)?;
        let rows = table.rows();
        let mut update = Statement::new(format!("UPDATE {rows} SET c{number} = "));
        update.part(cast.0).text(&format!(" WHERE {}", table.seen));
        let limits = &self.shared.limits;
        file::confined(db, &rows, limits, || update.run_bounded(db, limits))?;
        Ok(())
    }
}

fn no_null(db: &Connection, table: &Table, sql: &str, name: &str) -> Result<()> {
    let (rows, seen) = (table.rows(), &table.seen);
    let text = format!("SELECT EXISTS (SELECT 1 FROM {rows} WHERE {seen} AND {sql} IS NULL)");
    match db.query_row(&text, [], |row| row.get(0))? {
        true => Err(Error::invalid(format!(
            "the column {name:?} cannot be one that is never null: it would be null in some rows"
        ))),
        false => Ok(()),
    }
}
