//! Tables of rooms: their columns and indexes, and the rows that documents declare. What else is in a
//! table is neither read nor written.
//!
//! A room has no request that does all of an update, or none. What is done of one when it breaks off
//! stays, and the next plan that looks has the rest.

use std::convert::Infallible;

use futures_util::stream;
use meshagent_tables::value::Row;
use meshagent_tables::{Field, Value as Held};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Failed, Item, odd};
use crate::api::request::{Body, Method, Precondition, Request};
use crate::dialect::inside::{Column, Index, IndexKind, folders_of};
use crate::room::client::Room;
use crate::room::database::{
    AddColumns, AlterColumns, Count, CreateFullTextSearchIndex, CreateScalarIndex, CreateTable,
    CreateVectorIndex, DropIndex, DropTable, Index as Found, Inspect, ListIndexes, ListTables,
    ListVersions, Merge, Mode, Namespace, NewColumn, NewIndex, NotWritten, RowStream,
};

/// A table in a room.
struct Table<'a> {
    room: &'a Room,
    table: String,
    namespace: Namespace,
}

/// What a document says of a table.
struct Wanted {
    columns: Vec<Field>,
    indexes: Vec<Index>,
    /// The rows to write, if they are to be written.
    rows: Option<Vec<Map<String, Value>>>,
    /// The column that tells them apart.
    key: Option<String>,
}

/// Carries out a request about a table; what it is made of, if it was read.
pub(super) async fn carry_out(
    room: &Room,
    path: &str,
    request: &Request,
) -> Result<Option<Item>, Failed> {
    let (namespace, name) = folders_of(path);
    let namespace = (!namespace.is_empty()).then_some(namespace);
    let table = Table { room, table: name.to_owned(), namespace };
    match (request.method, &request.body) {
        (Method::Get, _) => table.read().await.map(Some),
        (Method::Post, Body::Json(body)) => table.create(wanted(body)?).await.map(|()| None),
        (Method::Put, Body::Json(body)) => table.update(wanted(body)?).await.map(|()| None),
        (Method::Delete, _) => table.delete(&request.precondition).await.map(|()| None),
        (method, _) => Err(odd(method)),
    }
}

/// Reads what is to become of a table.
fn wanted(body: &Value) -> Result<Wanted, Failed> {
    fn read<T: DeserializeOwned>(body: &Value, field: &str) -> Result<T, Failed> {
        let read = serde_json::from_value(body.get(field).cloned().unwrap_or_default());
        read.map_err(|error| Failed::unsent(format!("was not sent: `{field}`: {error}")))
    }
    Ok(Wanted {
        columns: read(body, "columns")?,
        indexes: read(body, "indexes")?,
        rows: read(body, "rows")?,
        key: read(body, "key")?,
    })
}

impl Table<'_> {
    /// Whether there is such a table.
    async fn there(&self) -> Result<bool, Failed> {
        let asked = ListTables { namespace: self.namespace.clone() };
        Ok(self.room.perform(&asked).await?.tables.contains(&self.table))
    }

    async fn columns(&self) -> Result<Vec<Field>, Failed> {
        let asked = Inspect { table: self.table.clone(), namespace: self.namespace.clone() };
        Ok(self.room.perform(&asked).await?.fields)
    }

    /// The indexes by their names, as far as it is known what they are for.
    async fn indexes(&self) -> Result<Vec<(String, Index)>, Failed> {
        let asked = ListIndexes { table: self.table.clone(), namespace: self.namespace.clone() };
        let known = |Found { name, columns, kind }| {
            let kind = IndexKind::told(&kind)?;
            let [column] = <[String; 1]>::try_from(columns).ok()?;
            Some((name, Index { column, kind }))
        };
        Ok(self.room.perform(&asked).await?.indexes.into_iter().filter_map(known).collect())
    }

    /// The number of its newest version.
    async fn version(&self) -> Result<Option<i64>, Failed> {
        let asked = ListVersions { table: self.table.clone(), namespace: self.namespace.clone() };
        let versions = self.room.perform(&asked).await?.versions;
        Ok(versions.into_iter().map(|version| version.version).max())
    }

    async fn read(&self) -> Result<Item, Failed> {
        if !self.there().await? {
            return Err(Failed::missing());
        }
        // Before the rest: what changes meanwhile is then seen as changed.
        let version = self.version().await?;
        let columns: Vec<Column> = self.columns().await?.into_iter().map(Column::of).collect();
        let indexes = self.indexes().await?;
        let indexes: Vec<Index> = indexes.into_iter().map(|(_, index)| index).collect();
        let (table, namespace) = (self.table.clone(), self.namespace.clone());
        let asked = Count { table, namespace, ..Count::default() };
        let rows = self.room.perform(&asked).await?.count;
        Ok(Item {
            fields: json!({"columns": columns, "indexes": indexes}),
            holds: Some(json!({"rows": rows})),
            revision: version.map(|version| version.to_string()),
        })
    }

    async fn create(&self, wanted: Wanted) -> Result<(), Failed> {
        if self.there().await? {
            return Err(Failed::exists());
        }
        let start = CreateTable {
            name: self.table.clone(),
            fields: Some(wanted.columns),
            mode: Mode::Create,
            namespace: self.namespace.clone(),
            metadata: None,
        };
        match self.write(&start, wanted.rows.unwrap_or_default()).await {
            Err(failed) if failed.status == Some(409) => return Err(Failed::exists()),
            done => done?,
        }
        for index in wanted.indexes {
            self.index(index).await.map_err(|failed| Failed {
                what: format!("created the table, and not all of its indexes: it {}", failed.what),
                ..failed
            })?;
        }
        Ok(())
    }

    /// Adds what is missing, and writes the rows. Columns are never removed.
    async fn update(&self, wanted: Wanted) -> Result<(), Failed> {
        let present = self.columns().await?;
        let (mut new, mut other) = (Vec::new(), Vec::new());
        for column in wanted.columns {
            match present.iter().find(|it| it.name == column.name) {
                None => new.push(NewColumn {
                    name: column.name,
                    value_sql: None,
                    data_type: Some(column.data_type),
                }),
                Some(it) => {
                    let (before, after) = (Column::of(it.clone()), Column::of(column.clone()));
                    if before.data_type != after.data_type {
                        let told = format!(
                            "the column `{}` is {} and does not become {} in place",
                            column.name, before.data_type, after.data_type
                        );
                        return Err(Failed::unsent(told));
                    }
                    let is_same =
                        (before.nullable, &before.metadata) == (after.nullable, &after.metadata);
                    other.extend((!is_same).then_some(column));
                }
            }
        }
        let (table, namespace) = (|| self.table.clone(), || self.namespace.clone());
        if !new.is_empty() {
            let add = AddColumns { table: table(), columns: new, namespace: namespace() };
            self.room.perform(&add).await?;
        }
        if !other.is_empty() {
            let alter = AlterColumns { table: table(), columns: other, namespace: namespace() };
            self.room.perform(&alter).await?;
        }
        let mut indexes = wanted.indexes;
        for (name, index) in self.indexes().await? {
            match indexes.iter().position(|it| *it == index) {
                Some(known) => drop(indexes.remove(known)),
                None => {
                    let drop = DropIndex { table: table(), name, namespace: namespace() };
                    self.room.perform(&drop).await?;
                }
            }
        }
        for index in indexes {
            self.index(index).await?;
        }
        if let (Some(rows), Some(on)) = (wanted.rows, wanted.key) {
            let merge = Merge { table: table(), on, namespace: namespace() };
            self.write(&merge, rows).await?;
        }
        Ok(())
    }

    async fn index(&self, Index { column, kind }: Index) -> Result<(), Failed> {
        let new = NewIndex {
            table: self.table.clone(),
            column,
            replace: Some(false),
            namespace: self.namespace.clone(),
        };
        match kind {
            IndexKind::Scalar => self.room.perform(&CreateScalarIndex(new)).await?,
            IndexKind::Vector => self.room.perform(&CreateVectorIndex(new)).await?,
            IndexKind::FullText => self.room.perform(&CreateFullTextSearchIndex(new)).await?,
        }
        Ok(())
    }

    async fn write(
        &self,
        start: &impl RowStream,
        rows: Vec<Map<String, Value>>,
    ) -> Result<(), Failed> {
        let row = |row: Map<String, Value>| {
            let value = |(name, value): (String, Value)| Ok((name, Held::of_plain(&value)?));
            row.into_iter().map(value).collect::<Result<Row, String>>()
        };
        let rows = rows.into_iter().map(row).collect::<Result<Vec<Row>, _>>();
        let rows = rows.map_err(|why| Failed::unsent(format!("was not sent: {why}")))?;
        let rows = stream::iter(rows.into_iter().map(Ok::<_, Infallible>));
        match self.room.write_rows(start, rows).await {
            Ok(_) => Ok(()),
            Err(NotWritten::There(refused)) => Err(refused.into()),
            Err(NotWritten::Here(never)) => match never {},
        }
    }

    /// Removes the table, if it is as it was when it was read. Rooms have no request for both, so
    /// rows that are written between the two go as well.
    async fn delete(&self, precondition: &Precondition) -> Result<(), Failed> {
        if !self.there().await? {
            return Err(Failed::missing());
        }
        if let Precondition::Revision(known) = precondition {
            let version = self.version().await?;
            if version.is_some_and(|version| version.to_string() != *known) {
                return Err(Failed::status(412, "changed since it was read"));
            }
        }
        let asked = DropTable {
            name: self.table.clone(),
            ignore_missing: false,
            namespace: self.namespace.clone(),
        };
        Ok(self.room.perform(&asked).await?)
    }
}
