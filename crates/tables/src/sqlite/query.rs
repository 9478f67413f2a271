//! Queries in SQL over several tables.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::catalog::{self, Table};
use super::statement::Statement;
use super::{Tables, rows};
use crate::engine::{Rows, TableName};
use crate::error::{Error, Reason, Result};
use crate::sql::{self, Catalog, Fragment, Relation};
use crate::value::Value;

/// How many tables a query may be given.
const TABLES: usize = 64;

/// The tables of a query, by the names that it has for them.
struct Named {
    tables: BTreeMap<String, Table>,
    /// Those that it reads.
    read: Mutex<Vec<String>>,
}

impl Catalog for Named {
    fn relation(&self, name: &str) -> Result<Relation> {
        let table = self.tables.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.tables.keys().map(String::as_str).collect();
            let text =
                format!("the query has no table {name:?}; it has {}", catalog::listed(&known));
            Error::new(Reason::NotFound, text)
        })?;
        self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(table.rows());
        let list: Vec<String> = table.columns.iter().map(catalog::Column::sql).collect();
        let list = if list.is_empty() { "NULL".to_owned() } else { list.join(", ") };
        let text = format!("(SELECT {list} FROM {} WHERE {})", table.rows(), table.seen);
        Ok(Relation { columns: table.named(), source: Fragment { text, values: Vec::new() } })
    }
}

impl Tables {
    pub(super) fn ask(
        &self,
        text: &str,
        tables: Vec<(TableName, String)>,
        parameters: &[(String, Value)],
    ) -> Result<Box<dyn Rows>> {
        if tables.len() > TABLES {
            let text = format!("a query has at most {TABLES} tables");
            return Err(Error::invalid(text));
        }
        for (name, value) in parameters {
            let taken = value.inferred().map(|kind| value.clone().taken_as_kind(&kind));
            if let Some(Err(why)) = taken {
                return Err(Error::invalid(format!("the parameter {name:?}: {why}")));
            }
        }
        let reader = self.reader()?;
        let db = reader.connection()?;
        let mut named = Named { tables: BTreeMap::new(), read: Mutex::default() };
        for (name, called) in tables {
            let table = catalog::table(db, &name)?;
            if named.tables.insert(called.clone(), table).is_some() {
                return Err(Error::invalid(format!(
                    "two tables of the query are called {called:?}"
                )));
            }
        }
        let query = sql::query(text, &named, parameters)?;
        let read = named.read.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        reader.confine(read)?;
        let statement = Statement(query.sql);
        // What is wrong with it is told at once.
        reader.bound(&statement.0.text)?;
        let count = query.columns.len();
        rows::answer(reader, query.columns, &self.shared.limits, move |reader, sink| {
            rows::all(reader, &statement, count, sink)
        })
    }
}
