//! The statements of clients: a small part of Cypher, that reads.
//!
//! ```text
//! MATCH pattern [WHERE condition]
//! RETURN [DISTINCT] items [ORDER BY expression [ASC | DESC], …] [SKIP n] [LIMIT n]
//! ```
//!
//! | part | what is understood |
//! |---|---|
//! | pattern | `(e)`, `(e:Dataset)`, `(e:Dataset {name: 'x'})`; paths of up to 4 relationships, such as `(a)-[r:TYPE]->(b)`, `(a)<-[:A\|B]-(b)`, `(a)--(b)` |
//! | items | expressions with or without `AS name`, whole records (`e`), `*` |
//! | conditions | `=` `<>` `<` `<=` `>` `>=` `=~`, `IN [literals]`, `STARTS WITH`, `ENDS WITH`, `CONTAINS`, `IS [NOT] NULL`, `AND` `OR` `XOR` `NOT`, parentheses |
//! | expressions | `e.property`, literals, functions |
//! | functions | `toLower` `toUpper` `trim` `size` `coalesce` `toString` `toInteger` `toFloat` `type`; `count` `collect` `min` `max` `sum` `avg`, each with or without `DISTINCT` |
//!
//! A label is the name of a dataset, however it is written; a node without one is an `Entity`. The
//! nodes of a path are entities, its relationships are those of `RELATIONSHIP`; the type
//! `RELATIONSHIP` means any type. A property that there is not is null. Values of different types
//! are not equal, and neither is less than the other. Null comes last in an order, first in one that
//! is `DESC`. What is equal, and records of which no order is asked for, come as they were added;
//! paths without an order come in any. A column of the answer has the text of its expression for a name, if it has no alias.
//!
//! A statement goes three ways: `lexer` cuts it into words, `parser` makes an `ast` of them,
//! and `sql` writes that for SQLite: names of tables and columns are those of the file, and every
//! literal is a bound value.

mod ast;
pub(crate) mod functions;
mod lexer;
mod parser;
mod sql;

use meshagent_tables::bounds;
use meshagent_tables::value::{Row, Value};
use meshagent_tables::{Error, Result};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, ErrorCode, params_from_iter};

use crate::limits;
use crate::store::catalog::Memory;

pub use ast::Statement;
pub use parser::parse;
use sql::Shape;

/// Answers a statement. Meanwhile nothing can be read but the datasets of the memory.
pub(crate) fn answer(
    file: &Connection,
    memory: &Memory,
    statement: &Statement,
) -> Result<Vec<Row>> {
    let query = sql::write(memory, statement)?;
    confine(file, memory)?;
    let answer = rows_of(file, &query);
    file.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    answer
}

/// Whatever a statement were to become, SQLite reads nothing for it but the datasets of the memory.
fn confine(file: &Connection, memory: &Memory) -> Result<()> {
    let tables: Vec<_> = memory.datasets.iter().map(|it| it.table().to_string()).collect();
    let judge = move |context: AuthContext<'_>| match context.action {
        AuthAction::Select | AuthAction::Function { .. } => Authorization::Allow,
        // What is read of a SELECT has no table.
        AuthAction::Read { table_name, .. }
            if table_name.is_empty() || tables.iter().any(|it| it == table_name) =>
        {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    };
    Ok(file.authorizer(Some(judge))?)
}

fn rows_of(file: &Connection, query: &sql::Query) -> Result<Vec<Row>> {
    let each = bounds::values(file, &query.text, limits::RECORD, limits::ANSWER)?;
    let mut prepared = file.prepare(&query.text)?;
    let mut rows = prepared.query(params_from_iter(&query.values))?;
    let mut answer: Vec<Row> = Vec::new();
    let mut bytes = 0;
    while let Some(row) = next(&mut rows, each)? {
        if answer.len() >= limits::ROWS {
            let most = limits::ROWS;
            let text = format!("the answer has more than {most} rows; say LIMIT, or ask for less");
            return Err(Error::invalid(text));
        }
        let mut at = 0;
        let mut record = Vec::with_capacity(query.columns.len());
        for (name, shape) in &query.columns {
            let value = match shape {
                Shape::One(kind) => {
                    at += 1;
                    kind.loaded(row.get_ref(at - 1)?)?
                }
                Shape::Record(fields) => {
                    let mut parts = Vec::with_capacity(fields.len());
                    for (name, kind) in fields {
                        parts.push((name.clone(), kind.loaded(row.get_ref(at)?)?));
                        at += 1;
                    }
                    Value::Struct(parts)
                }
            };
            bytes += name.len() + size(&value);
            record.push((name.clone(), value));
        }
        if bytes > limits::ANSWER {
            let most = limits::ANSWER >> 20;
            let text = format!("the answer has more than {most} MiB; ask for less");
            return Err(Error::invalid(text));
        }
        answer.push(record);
    }
    Ok(answer)
}

fn next<'a, 'stmt>(
    rows: &'a mut rusqlite::Rows<'stmt>,
    each: usize,
) -> Result<Option<&'a rusqlite::Row<'stmt>>> {
    rows.next().map_err(|error| match error.to_string().as_str() {
        _ if each < limits::ANSWER && error.sqlite_error_code() == Some(ErrorCode::TooBig) => {
            let text = format!(
                "a value has more than {each} bytes, which is too much for so many at once; ask for fewer"
            );
            Error::invalid(text)
        }
        functions::TOO_LONG => Error::invalid(functions::TOO_LONG),
        "integer overflow" => Error::invalid("a sum does not fit a whole number of 64 bits"),
        _ => error.into(),
    })
}

/// About how many bytes a value takes.
fn size(value: &Value) -> usize {
    16 + match value {
        Value::Text(text) => text.len(),
        Value::Binary(bytes) => bytes.len(),
        Value::List(items) => items.iter().map(size).sum(),
        Value::Struct(fields) => fields.iter().map(|(name, it)| name.len() + size(it)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::catalog::sample;

    /// A statement that were wrong would reach nothing else.
    #[test]
    fn a_statement_reads_only_the_datasets_of_its_memory() {
        let file = Connection::open_in_memory().unwrap();
        let memory = sample();
        let own = memory.entities().table();
        file.execute_batch(&format!(
            "CREATE TABLE {own} (c0); CREATE TABLE memory (name); CREATE TABLE d999 (c0);"
        ))
        .unwrap();
        confine(&file, &memory).unwrap();
        let read = |text: &str| file.prepare(text).map(drop);
        read(&format!("SELECT count(*), max(c0) FROM {own}")).unwrap();
        for text in [
            "SELECT name FROM memory",
            "SELECT c0 FROM d999",
            "SELECT name FROM sqlite_schema",
            "PRAGMA query_only = 0",
            "ATTACH ':memory:' AS other",
            "DROP TABLE memory",
            "CREATE TEMP TABLE a (b)",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&format!("DELETE FROM {own}")).is_err());
    }

    /// What a statement becomes.
    fn written(statement: &str) -> sql::Query {
        let parsed = parse(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        sql::write(&sample(), &parsed).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// Letters, digits and signs of ours, and as many `?` as values.
    fn is_ours(query: &sql::Query) -> bool {
        let sign = |it: char| it.is_ascii_alphanumeric() || "_ .,()?<>=*+".contains(it);
        query.text.chars().all(sign) && query.text.matches('?').count() == query.values.len()
    }

    #[test]
    fn statements_are_written_anew() {
        let query = written(
            "MATCH (a:Entity {name: 'x'})-[r:KNOWS]->(b) WHERE b.name STARTS WITH 'y' AND a.z IS NULL \
             RETURN a.name AS n, count(*) ORDER BY n DESC LIMIT 5",
        );
        assert_eq!(
            query.text,
            "SELECT t0.c1, count(*) FROM d1 AS t0 JOIN d2 AS t1 ON t1.c0 = t0.c0 JOIN d1 AS t2 ON \
             t2.c0 = t1.c1 WHERE ((t0.c1 = ?)) AND ((t1.c2 IN (?))) AND (((text_starts(t2.c1, ?)) \
             AND ((NULL IS NULL)))) GROUP BY 1 ORDER BY 1 DESC NULLS FIRST LIMIT ? OFFSET ?"
        );
        assert!(is_ours(&query));
    }

    #[test]
    fn nothing_of_a_client_is_in_a_statement() {
        for statement in [
            "MATCH (e:`\"); --`) RETURN e, e.`b; DROP TABLE memory` AS `x\"'; DROP TABLE d1`",
            "MATCH (`'; DROP`) WHERE `'; DROP`.`c'\"` = 'x\\'; DROP TABLE d1; --' RETURN *",
            "MATCH (e {`') OR 1=1 --`: '\"'}) RETURN e.name AS `*`, 'a\"b' ORDER BY e.`x\"`, '?'",
            "MATCH (a)-[r:`X' OR 'a'='a`]->(b) WHERE a.name IN ['%', \"_\"] RETURN type(r), -1, 1e5",
            "MATCH (e:`\"); --`) RETURN toString(e.`b; DROP TABLE memory`), collect(e.`b; DROP TABLE memory`)",
        ] {
            let query = written(statement);
            assert!(is_ours(&query), "{}", query.text);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_quoted_is_a_value(text in any::<String>(), name in "[^`\\p{Cc}]{1,40}") {
            let quoted = text.replace('\\', "\\\\").replace('\'', "\\'");
            let statement = format!(
                "MATCH (`{name}`:Entity {{`{name}`: '{quoted}'}})-[:`{name}`]-(b) \
                 WHERE b.`{name}` = '{quoted}' OR b.name CONTAINS '{quoted}' \
                 RETURN `{name}`.`{name}` AS `{name}` ORDER BY `{name}`, b.`{name}`"
            );
            let query = written(&statement);
            prop_assert!(is_ours(&query), "{}", query.text);
            let value = meshagent_tables::stored::Stored::Text(text);
            prop_assert_eq!(query.values.iter().filter(|it| **it == value).count(), 3);
        }
    }
}
