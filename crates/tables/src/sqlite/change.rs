//! Rows that are changed or removed.

use rusqlite::Connection;

use super::cast::Casts;
use super::catalog::{self, Table};
use super::statement::Statement;
use super::{Limits, Tables, file, indexes, stamps};
use crate::engine::TableName;
use crate::error::{Error, Result};
use crate::sql::{self, Expression, Fragment};
use crate::stored::Stored;
use crate::value::Value;

impl Tables {
    pub(super) fn change(
        &self,
        name: &TableName,
        filter: &str,
        values: Vec<(String, Value)>,
        expressions: Vec<(String, String)>,
    ) -> Result<u64> {
        if values.is_empty() && expressions.is_empty() {
            return Err(Error::invalid("an update says which columns get which values"));
        }
        self.shared.write(|db| {
            let table = catalog::writable(db, name)?;
            let filter = sql::filter(filter, &table.named())?;
            let changed = assigned(&table, values, expressions)?;
            let version = catalog::next_number(db, &table)?;
            let last = stamps::last_row(db, table.id)?;
            let rows = table.rows();
            let limits = &self.shared.limits;
            let count = file::confined(db, &rows, limits, || {
                let count = hit(db, &table, filter, limits)?;
                let mut casts = Casts::new(db);
                let mut copy = Statement::new(format!(
                    "INSERT INTO {rows} (born{}) SELECT {version}",
                    table.list()
                ));
                for column in &table.columns {
                    copy.text(", ");
                    match changed.iter().find(|(number, _)| *number == column.number) {
                        Some((_, value)) => {
                            let field = &column.field;
                            let cast = casts.cast(value.clone(), &field.name, &field.data_type)?;
                            copy.part(cast.0);
                        }
                        None => _ = copy.text(&column.sql()),
                    }
                }
                copy.text(&format!(
                    " FROM {rows} WHERE row IN (SELECT hit FROM hits) ORDER BY row"
                ));
                copy.run_bounded(db, limits)?;
                Ok(count)
            })?;
            end_hits(db, &table, version)?;
            indexes::catch_up(db, table.id, last)?;
            catalog::commit(db, table.id, version, "update")?;
            Ok(count)
        })
    }

    pub(super) fn remove_rows(&self, name: &TableName, filter: &str) -> Result<u64> {
        self.shared.write(|db| {
            let table = catalog::writable(db, name)?;
            let filter = sql::filter(filter, &table.named())?;
            let version = catalog::next_number(db, &table)?;
            let limits = &self.shared.limits;
            let work = || hit(db, &table, filter, limits);
            let count = file::confined(db, &table.rows(), limits, work)?;
            end_hits(db, &table, version)?;
            catalog::commit(db, table.id, version, "delete")?;
            Ok(count)
        })
    }
}

/// What each column gets, by its number.
fn assigned(
    table: &Table,
    values: Vec<(String, Value)>,
    expressions: Vec<(String, String)>,
) -> Result<Vec<(i64, Expression)>> {
    let mut changed: Vec<(i64, Expression)> = Vec::new();
    let mut add = |name: &str, number: i64, expression: Expression| {
        if changed.iter().any(|(other, _)| *other == number) {
            return Err(Error::invalid(format!("the column {name:?} is changed twice")));
        }
        changed.push((number, expression));
        Ok(())
    };
    for (name, value) in values {
        let column = table.column(&name)?;
        let data_type = column.field.data_type.clone();
        let value = value.taken_as(&data_type);
        let value = value.map_err(|why| Error::invalid(format!("column {name:?}: {why}")))?;
        let sql = Fragment { text: "?".to_owned(), values: vec![Stored::from(value)] };
        add(&name, column.number, Expression { sql, data_type: Some(data_type) })?;
    }
    let named = table.named();
    for (name, text) in expressions {
        let column = table.column(&name)?;
        add(&name, column.number, sql::expression(&text, &named)?)?;
    }
    Ok(changed)
}

/// Notes the rows for which a filter holds.
fn hit(db: &Connection, table: &Table, filter: Fragment, limits: &Limits) -> Result<u64> {
    let (rows, seen) = (table.rows(), &table.seen);
    let mut hit = Statement::new(format!("INSERT INTO hits SELECT row FROM {rows} WHERE {seen}"));
    hit.and(Some(filter)).run_bounded(db, limits)
}

/// Lets a version take the rows that were noted.
pub(super) fn end_hits(db: &Connection, table: &Table, version: i64) -> Result<()> {
    let rows = table.rows();
    let text = format!("UPDATE {rows} SET died = {version} WHERE row IN (SELECT hit FROM hits)");
    db.execute(&text, [])?;
    db.execute("DELETE FROM hits", [])?;
    Ok(())
}
