//! Which columns an answer has, and of which types: values on the wire say what they are, but not what
//! their columns are, and an answer without rows says nothing.
//!
//! It is a plan, for a room may know a statement in another way. What does not fit the rows that come
//! gives way to them.

use meshagent_tables::names::SCORES;
use meshagent_tables::sql::{self, Catalog, Column, Fragment, Relation};
use meshagent_tables::{Error, Field, Kind, Reason, Value as Held};
use serde_json::{Map, Value};

use crate::room::client::Room;
use crate::room::database::{Inspect, Namespace, Search, Sql};

/// A stream of rows whose columns can be told beforehand.
pub trait Planned {
    /// The columns, as far as they are known.
    async fn columns(&self, room: &Room) -> Vec<Field>;
}

impl Planned for Search {
    async fn columns(&self, room: &Room) -> Vec<Field> {
        let Some(fields) = of_table(room, &self.table, &self.namespace).await else {
            return Vec::new();
        };
        let mut columns = match &self.select {
            None => fields,
            Some(names) => {
                let field = |name: &String| fields.iter().find(|field| field.name == *name);
                names.iter().filter_map(field).cloned().collect()
            }
        };
        let [words, near, both] = SCORES;
        let score = match (&self.text, &self.vector) {
            (None, None) => return columns,
            (Some(_), None) => words,
            (None, Some(_)) => near,
            (Some(_), Some(_)) => both,
        };
        columns.push(Field { name: score.to_owned(), data_type: Kind::Float.into() });
        columns
    }
}

impl Planned for Sql {
    async fn columns(&self, room: &Room) -> Vec<Field> {
        let mut tables = Vec::new();
        for table in &self.tables {
            let Some(fields) = of_table(room, &table.name, &table.namespace).await else {
                return Vec::new();
            };
            tables.push((table.alias.clone().unwrap_or_else(|| table.name.clone()), fields));
        }
        of_statement(&self.query, tables, self.params_json.as_deref()).unwrap_or_default()
    }
}

/// The columns of a table; none if the room does not tell them.
async fn of_table(room: &Room, table: &str, namespace: &Namespace) -> Option<Vec<Field>> {
    let asked = Inspect { table: table.to_owned(), namespace: namespace.clone() };
    room.perform(&asked).await.ok().map(|schema| schema.fields)
}

/// The columns of what a statement selects; none if it is one that is not understood here.
fn of_statement(
    query: &str,
    tables: Vec<(String, Vec<Field>)>,
    parameters: Option<&str>,
) -> Option<Vec<Field>> {
    let parameters: Map<String, Value> = match parameters {
        Some(text) => serde_json::from_str(text).ok()?,
        None => Map::new(),
    };
    let parameter = |(name, value): (String, Value)| Some((name, Held::of_plain(&value).ok()?));
    let parameters = parameters.into_iter().map(parameter).collect::<Option<Vec<_>>>()?;
    sql::query(query, &Named(tables), &parameters).ok().map(|query| query.columns)
}

/// Tables by the names that a statement has for them. Nothing is ever read from them.
struct Named(Vec<(String, Vec<Field>)>);

impl Catalog for Named {
    fn relation(&self, name: &str) -> meshagent_tables::Result<Relation> {
        let table = self.0.iter().find(|(known, _)| known == name);
        let (_, fields) = table.ok_or_else(|| Error::new(Reason::NotFound, "there is none"))?;
        let column = |(index, field): (usize, &Field)| Column {
            name: field.name.clone(),
            data_type: field.data_type.clone(),
            sql: format!("c{index}"),
        };
        let columns = fields.iter().enumerate().map(column).collect();
        Ok(Relation { columns, source: Fragment::default() })
    }
}

#[cfg(test)]
mod tests {
    use meshagent_tables::columns::{parse, written};

    use super::*;

    #[test]
    fn a_statement_says_which_columns_it_gives() {
        let people = "id int, name text, born date, face vector(2), of struct(a list(int))";
        let tables = || {
            let more = parse("id int, seen timestamp").unwrap();
            vec![("people".to_owned(), parse(people).unwrap()), ("v".to_owned(), more)]
        };
        for (query, parameters, expected) in [
            ("select face, of from people", None, "face vector(2, float), of struct(a list(int))"),
            ("select count(*) as n, avg(id) as m from people", None, "n int, m float"),
            (
                "select * from people join v using (id)",
                None,
                "id int, name text, born date, face vector(2, float), of struct(a list(int)), seen timestamp",
            ),
            (
                "select $x as x, name || 'a' as y from people",
                Some(r#"{"x": 0.5}"#),
                "x float, y text",
            ),
        ] {
            let columns = of_statement(query, tables(), parameters).unwrap();
            let columns: Vec<String> = columns.iter().map(written).collect();
            assert_eq!(columns.join(", "), expected, "{query}");
        }
        for (query, parameters) in [
            ("select from", None),
            ("select * from nowhere", None),
            ("select $x as x from people", None),
            ("select $x as x from people", Some("[]")),
        ] {
            assert_eq!(of_statement(query, tables(), parameters), None, "{query}");
        }
    }
}
