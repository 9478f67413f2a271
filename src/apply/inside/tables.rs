//! Tables of rooms: their columns and indexes, and the rows that documents declare. What else is in a
//! table is neither read nor written.
//!
//! A room has no request that does all of an update, or none. What is done of one when it breaks off
//! stays, and the next plan that looks has the rest.

use meshagent_tables::Field;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::seeds::taken;
use super::{Failed, Item, odd};
use crate::api::request::{Body, Method, Precondition, Request};
use crate::dialect::inside::{Column, Index, IndexKind, folders_of};
use crate::listed::few;
use crate::room::client::Room;
use crate::room::database::{
    AddColumns, AlterColumns, Count, CreateFullTextSearchIndex, CreateScalarIndex, CreateTable,
    CreateVectorIndex, DropIndex, DropTable, Index as Found, Inspect, ListIndexes, ListTables,
    ListVersions, Mode, Namespace, NewColumn, NewIndex,
};

/// A table in a room.
pub(super) struct TableAt<'a> {
    pub(super) room: &'a Room,
    pub(super) table: String,
    pub(super) namespace: Namespace,
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
    let table = TableAt { room, table: name.to_owned(), namespace };
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

impl TableAt<'_> {
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

    /// Its newest version. A table that is made anew may begin with the same number again, at another
    /// time.
    async fn version(&self) -> Result<Option<String>, Failed> {
        let asked = ListVersions { table: self.table.clone(), namespace: self.namespace.clone() };
        let versions = self.room.perform(&asked).await?.versions;
        let newest = versions.into_iter().max_by_key(|version| version.version);
        Ok(newest.map(|newest| format!("{} {}", newest.version, newest.timestamp)))
    }

    /// What it is made of. Only if something of that is refused, it is asked whether the table is there.
    async fn read(&self) -> Result<Item, Failed> {
        match self.look().await {
            Err(_) if !self.there().await? => Err(Failed::missing()),
            looked => looked,
        }
    }

    async fn look(&self) -> Result<Item, Failed> {
        // Before the rest: what changes meanwhile is then seen as changed.
        let version = self.version().await?;
        let columns: Vec<Column> = self.columns().await?.into_iter().map(Column::of).collect();
        let indexes = self.indexes().await?;
        let indexes: Vec<Index> = indexes.into_iter().map(|(_, index)| index).collect();
        let rows = self.count().await?;
        Ok(Item {
            fields: json!({"columns": columns, "indexes": indexes}),
            holds: Some(json!({"rows": rows})),
            revision: version,
        })
    }

    async fn create(&self, wanted: Wanted) -> Result<(), Failed> {
        if self.there().await? {
            return Err(Failed::exists());
        }
        let rows = taken(wanted.rows.unwrap_or_default(), &wanted.columns)?;
        let count = rows.len() as u64;
        let start = CreateTable {
            name: self.table.clone(),
            fields: Some(wanted.columns),
            mode: Mode::Create,
            namespace: self.namespace.clone(),
            metadata: None,
        };
        match self.write(&start, rows).await {
            Err(failed) if failed.status == Some(409) => return Err(Failed::exists()),
            done => done?,
        }
        for index in wanted.indexes {
            let column = index.column.clone();
            if let Err(failed) = self.index(index).await {
                return Err(self.taken_back(count, &column, failed).await);
            }
        }
        Ok(())
    }

    /// Removes a table again that was just created, because it cannot have an index; why that failed,
    /// and what became of the table. One into which somebody has written meanwhile stays.
    async fn taken_back(&self, count: u64, column: &str, failed: Failed) -> Failed {
        let is_own = self.count().await.is_ok_and(|now| now == count);
        let is_gone = is_own && self.delete(&Precondition::None).await.is_ok();
        let became = match is_gone {
            true => "the table was removed again",
            false => "the table is there, and --enter-rooms --adopt takes it over",
        };
        let what = format!("the index of `{column}` was not made, so {became}: {}", failed.what);
        // What is there already is the index, not the table.
        let status = failed.status.map(|status| if status == 409 { 400 } else { status });
        Failed { what, status, ..failed }
    }

    /// How many rows it has.
    async fn count(&self) -> Result<u64, Failed> {
        let (table, namespace) = (self.table.clone(), self.namespace.clone());
        let asked = Count { table, namespace, ..Count::default() };
        Ok(self.room.perform(&asked).await?.count)
    }

    /// Adds what is missing, and writes the rows. Columns are never removed.
    async fn update(&self, wanted: Wanted) -> Result<(), Failed> {
        let mut done = Vec::new();
        self.update_parts(wanted, &mut done).await.map_err(|failed| match done.is_empty() {
            true => failed,
            false => Failed {
                what: format!("{}; before that, {}", failed.what, done.join(", ")),
                ..failed
            },
        })
    }

    /// The same, one request after the other. `done` is told of each, as a part of a sentence.
    async fn update_parts(&self, wanted: Wanted, done: &mut Vec<String>) -> Result<(), Failed> {
        let Wanted { columns, mut indexes, rows, key } = wanted;
        let rows = rows.map(|rows| taken(rows, &columns)).transpose()?;
        let (new, other) = self.new_and_other(columns).await?;
        let (table, namespace) = (|| self.table.clone(), || self.namespace.clone());
        if !new.is_empty() {
            let told = few(new.iter().map(|column| format!("`{}`", column.name)));
            let add = AddColumns { table: table(), columns: new, namespace: namespace() };
            self.room.perform(&add).await?;
            done.push(format!("{told} was added"));
        }
        if !other.is_empty() {
            let told = few(other.iter().map(|column| format!("`{}`", column.name)));
            let alter = AlterColumns { table: table(), columns: other, namespace: namespace() };
            self.room.perform(&alter).await?;
            done.push(format!("{told} was changed"));
        }
        for (name, index) in self.indexes().await? {
            match indexes.iter().position(|it| *it == index) {
                Some(known) => drop(indexes.remove(known)),
                None => {
                    let drop = DropIndex { table: table(), name, namespace: namespace() };
                    self.room.perform(&drop).await?;
                    done.push(format!("the index of `{}` was removed", index.column));
                }
            }
        }
        for index in indexes {
            let told = format!("the index of `{}` was made", index.column);
            self.index(index).await?;
            done.push(told);
        }
        match (rows, key) {
            (Some(rows), Some(key)) => self.merge(rows, &key).await,
            _ => Ok(()),
        }
    }

    /// Which columns the table lacks, and which it has with other notes on them, or another `nullable`.
    async fn new_and_other(
        &self,
        wanted: Vec<Field>,
    ) -> Result<(Vec<NewColumn>, Vec<Field>), Failed> {
        let present = self.columns().await?;
        let (mut new, mut other) = (Vec::new(), Vec::new());
        for column in wanted {
            let Some(it) = present.iter().find(|it| it.name == column.name) else {
                let (name, data_type) = (column.name, Some(column.data_type));
                new.push(NewColumn { name, value_sql: None, data_type });
                continue;
            };
            let (before, after) = (Column::of(it.clone()), Column::of(column.clone()));
            if before.data_type != after.data_type {
                return Err(Failed::unsent(format!(
                    "was not sent: the column `{}` is {} in the room, and does not become {} in place (a plan with --enter-rooms shows it)",
                    column.name, before.data_type, after.data_type
                )));
            }
            let is_same = (before.nullable, &before.metadata) == (after.nullable, &after.metadata);
            other.extend((!is_same).then_some(column));
        }
        Ok((new, other))
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

    /// Removes the table, if it is as it was when it was read. Rooms have no request for both, so
    /// rows that are written between the two go as well.
    async fn delete(&self, precondition: &Precondition) -> Result<(), Failed> {
        if !self.there().await? {
            return Err(Failed::missing());
        }
        if let Precondition::Revision(known) = precondition {
            let version = self.version().await?;
            if version.is_some_and(|version| version != *known) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::codes;
    use crate::room::content::{Content, Refused};
    use crate::room::played::entered;

    /// What is asked of a room when a table is read, of which it has others, and what comes of it.
    async fn asked(has: &[&str]) -> (Vec<String>, Result<Item, Failed>) {
        let (room, _incoming, mut played) = entered().await;
        let is_there = has.contains(&"people");
        let plays = async {
            let mut asked = Vec::new();
            while let Some(message) = played.next().await {
                let tool = message.header["tool"].as_str().unwrap_or_default().to_owned();
                let answer = match tool.as_str() {
                    "list_tables" => Content::Json(json!({"tables": has})),
                    _ if !is_there => Content::Error(Refused {
                        code: Some(codes::NOT_FOUND),
                        text: "there is no table people".to_owned(),
                    }),
                    "inspect" => Content::Json(json!({"fields": []})),
                    "list_indexes" => Content::Json(json!({"indexes": []})),
                    "list_versions" => Content::Json(json!({"versions": []})),
                    _ => Content::Json(json!({"count": 2})),
                };
                if !tool.is_empty() {
                    asked.push(tool);
                    played.answer(&message, answer).await;
                }
            }
            asked
        };
        let reads = async {
            let table = TableAt { room: &room, table: "people".to_owned(), namespace: None };
            let read = table.read().await;
            room.leave().await;
            read
        };
        tokio::join!(plays, reads)
    }

    #[tokio::test]
    async fn the_tables_of_a_room_are_listed_only_where_one_is_missing() {
        let (asked_for, read) = asked(&["people"]).await;
        assert_eq!(asked_for, ["list_versions", "inspect", "list_indexes", "count"]);
        assert_eq!(read.ok().unwrap().holds, Some(json!({"rows": 2})));
        let (asked_for, read) = asked(&["other"]).await;
        assert_eq!(asked_for, ["list_versions", "list_tables"]);
        assert_eq!(read.err().unwrap().status, Some(404));
    }
}
