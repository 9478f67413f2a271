//! The rows of a document, written into a table that is there. Only rows are written that differ in a
//! column that the document gives them; what a row has in other columns is read first, and stays.

use std::collections::HashMap;
use std::convert::Infallible;

use futures_util::stream;
use meshagent_tables::value::Row;
use meshagent_tables::{Field, Value as Held, quoted};
use serde_json::{Map, Value};

use super::Failed;
use super::tables::TableAt;
use crate::room::database::{Merge, NotWritten, RowStream, Search};

/// How many rows are asked for at once, and about how long that condition is, in bytes.
const ASKED: usize = 500;
const CONDITION: usize = 64 * 1024;

/// Rows as the columns of the table take them.
///
/// # Errors
///
/// A value that no column takes.
pub(super) fn taken(rows: Vec<Map<String, Value>>, columns: &[Field]) -> Result<Vec<Row>, Failed> {
    let value = |(name, value): (String, Value)| {
        let held = Held::of_plain(&value)?;
        let column = columns.iter().find(|column| column.name == name);
        Ok((
            name,
            column.map_or_else(|| Ok(held.clone()), |it| held.clone().taken_as(&it.data_type))?,
        ))
    };
    let rows = rows.into_iter().map(|row| row.into_iter().map(value).collect());
    let rows: Result<Vec<Row>, String> = rows.collect();
    rows.map_err(|why| Failed::unsent(format!("was not sent: {why}")))
}

/// The rows of a table by their keys.
type Keyed = HashMap<String, Vec<Row>>;

impl TableAt<'_> {
    /// Merges rows into the table by a column. Rooms have no request that reads and writes at once, so
    /// what somebody writes into these rows meanwhile may be lost.
    pub(super) async fn merge(&self, rows: Vec<Row>, key: &str) -> Result<(), Failed> {
        let mut missing = Vec::new();
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            let (asked, condition) = condition(rest, key);
            let (some, others) = rest.split_at(asked);
            rest = others;
            let there = self.keyed(condition, key).await?;
            for row in some {
                missing.extend(completed(row, key, &there)?);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let (table, namespace) = (self.table.clone(), self.namespace.clone());
        self.write(&Merge { table, on: key.to_owned(), namespace }, missing).await
    }

    /// The rows that a condition finds, by their keys.
    async fn keyed(&self, condition: String, key: &str) -> Result<Keyed, Failed> {
        let asked = Search {
            table: self.table.clone(),
            namespace: self.namespace.clone(),
            r#where: Some(condition),
            ..Search::default()
        };
        let mut found = self.room.read_rows(&asked).await?;
        let mut rows = Keyed::new();
        while let Some(batch) = found.next().await? {
            for row in batch {
                if let Some(key) = at(&row, key).map(literal) {
                    rows.entry(key).or_default().push(row);
                }
            }
        }
        Ok(rows)
    }

    /// Writes rows as an operation has it.
    pub(super) async fn write(&self, start: &impl RowStream, rows: Vec<Row>) -> Result<(), Failed> {
        let rows = stream::iter(rows.into_iter().map(Ok::<_, Infallible>));
        match self.room.write_rows(start, rows).await {
            Ok(_) => Ok(()),
            Err(NotWritten::There(refused)) => Err(refused.into()),
            Err(NotWritten::Here(never)) => match never {},
        }
    }
}

/// What a row has in a column.
fn at<'a>(row: &'a Row, column: &str) -> Option<&'a Held> {
    row.iter().find(|(name, _)| name == column).map(|(_, value)| value)
}

/// A condition that finds the first of some rows by their keys, and how many those are.
fn condition(rows: &[Row], key: &str) -> (usize, String) {
    let mut condition = format!("{} IN (", quoted::name(key));
    let mut asked = 0;
    for row in rows.iter().take(ASKED) {
        if asked > 0 {
            if condition.len() > CONDITION {
                break;
            }
            condition.push_str(", ");
        }
        condition.push_str(&at(row, key).map_or_else(|| "NULL".to_owned(), literal));
        asked += 1;
    }
    condition.push(')');
    (asked, condition)
}

/// A key in SQL. What may be a key is a whole number, a text or a date.
fn literal(value: &Held) -> String {
    match value.to_plain() {
        Value::String(text) => quoted::text(&text),
        other => other.to_string(),
    }
}

/// A row with what else is there in the row of the same key; none if nothing would change.
///
/// # Errors
///
/// Several rows have the key, and it would have to be guessed which one is meant.
fn completed(row: &Row, key: &str, there: &Keyed) -> Result<Option<Row>, Failed> {
    let value = at(row, key).map(literal).unwrap_or_default();
    let found = there.get(&value).map(Vec::as_slice).unwrap_or_default();
    let is_in = |present: &Row| {
        row.iter().all(|(name, value)| match at(present, name) {
            // A room tells a vector as a list of numbers.
            Some(other) => other == value || other.to_wire() == value.to_wire(),
            None => *value == Held::Null,
        })
    };
    match found {
        [] => Ok(Some(row.clone())),
        found if found.iter().all(is_in) => Ok(None),
        [present] => {
            let others = present.iter().filter(|(name, _)| at(row, name).is_none());
            Ok(Some(row.iter().chain(others).cloned().collect()))
        }
        several => Err(Failed::unsent(format!(
            "was not sent: {} rows of the table have {value} in `{key}`, and only one of them could be the row of the document; change the others, or name another `key`",
            several.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i64, more: &[(&str, Held)]) -> Row {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        [("id".to_owned(), Held::Int(id))].into_iter().chain(more).collect()
    }

    #[test]
    fn a_row_is_written_only_where_it_differs_and_keeps_what_else_it_has() {
        let text = |text: &str| Held::Text(text.to_owned());
        let there = row(1, &[("note", text("people's")), ("name", text("a"))]);
        let there = HashMap::from([("1".to_owned(), vec![there])]);
        let completed =
            |row: &Row, there: &Keyed| completed(row, "id", there).map_err(|it| it.what);
        for same in [row(1, &[]), row(1, &[("name", text("a"))]), row(1, &[("gone", Held::Null)])] {
            assert_eq!(completed(&same, &there), Ok(None));
        }
        let (told, written) = (Held::List(vec![Held::Float(0.1)]), Held::Vector(vec![0.1]));
        let with_a_vector = HashMap::from([("1".to_owned(), vec![row(1, &[("v", told)])])]);
        assert_eq!(completed(&row(1, &[("v", written)]), &with_a_vector), Ok(None));
        let changed = row(1, &[("name", text("b"))]);
        let expected = row(1, &[("name", text("b")), ("note", text("people's"))]);
        assert_eq!(completed(&changed, &there), Ok(Some(expected)));
        assert_eq!(completed(&row(2, &[]), &there), Ok(Some(row(2, &[]))));
    }

    #[test]
    fn a_row_that_could_be_several_is_not_guessed() {
        let named = |name: &str| row(1, &[("name", Held::Text(name.to_owned()))]);
        let there = HashMap::from([("1".to_owned(), vec![named("a"), named("a"), named("b")])]);
        let refused = completed(&named("c"), "id", &there).unwrap_err();
        assert!(refused.what.contains("3 rows of the table have 1 in `id`"), "{}", refused.what);
        assert_eq!(completed(&row(1, &[]), "id", &there).ok(), Some(None));
    }

    #[test]
    fn keys_are_asked_for_in_parts_and_none_of_them_is_more_than_a_value() {
        let key = |text: &str| vec![("a`b".to_owned(), Held::Text(text.to_owned()))];
        let told = condition(&[key("x') OR ('' = '"), key("y")], "a`b");
        assert_eq!(told, (2, "`a``b` IN ('x'') OR ('''' = ''', 'y')".to_owned()));
        let rows: Vec<Row> = (0..2_000).map(|id| row(id, &[])).collect();
        assert_eq!(condition(&rows, "id").0, ASKED);
        let long: Vec<Row> = (0..3).map(|_| key(&"z".repeat(CONDITION))).collect();
        assert_eq!(condition(&long, "a`b").0, 1);
    }
}
