//! What the file says of its tables: their columns, versions, and which rows a version shows.
//!
//! **Which rows.** A row has the version that brought it (`born`) and the one that took it (`died`).
//! A writer that is still at work keeps its rows under a number of its own, a stamp, that is in
//! `room_stamps`. What has the stamp of such a writer is hidden. When it finishes, the stamp is its
//! version, if no other version was made meanwhile. Otherwise it takes the next number, and the
//! stamp stays in the list with that number: what has the stamp is hidden from the versions before.
//! So finishing takes no time, however many rows there are. Definitions of columns are seen by the
//! same rule.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::data_type::Field;
use crate::engine::{IndexKind, TableName};
use crate::error::{Error, Reason, Result};
use crate::sql;

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    /// The values are in `c{number}`.
    pub number: i64,
    pub field: Field,
}

/// A table at a version.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// The rows are in `t{id}`.
    pub id: i64,
    pub name: TableName,
    pub metadata: Vec<(String, String)>,
    pub latest: i64,
    pub reading: Option<i64>,
    /// The version that changed the columns last.
    pub shape: i64,
    /// The columns at the version that is read.
    pub columns: Vec<Column>,
    /// What the version that is read shows of `born` and `died`.
    pub seen: String,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    pub number: i64,
    pub kind: IndexKind,
    pub name: String,
}

impl Table {
    pub(super) fn version(&self) -> i64 {
        self.reading.unwrap_or(self.latest)
    }

    pub(super) fn rows(&self) -> String {
        rows(self.id)
    }

    /// The columns as texts of clients name them.
    pub(super) fn named(&self) -> Vec<sql::Column> {
        let named = |column: &Column| sql::Column {
            name: column.field.name.clone(),
            data_type: column.field.data_type.clone(),
            sql: column.sql(),
        };
        self.columns.iter().map(named).collect()
    }

    pub(super) fn column(&self, name: &str) -> Result<&Column> {
        let found = self.columns.iter().find(|column| column.field.name == name);
        found.ok_or_else(|| {
            let known: Vec<&str> = self.columns.iter().map(|it| it.field.name.as_str()).collect();
            let text = format!(
                "the table {} has no column {name:?}; it has {}",
                self.name,
                listed(&known)
            );
            Error::new(Reason::NotFound, text)
        })
    }

    /// The columns for a statement: `c1, c2`, each with a comma before it.
    pub(super) fn list(&self) -> String {
        self.columns.iter().map(|column| format!(", {}", column.sql())).collect()
    }
}

impl Column {
    pub(super) fn sql(&self) -> String {
        format!("c{}", self.number)
    }
}

/// The table of rows.
pub(super) fn rows(id: i64) -> String {
    format!("t{id}")
}

/// Names for a message.
pub(super) fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let mut text = match names {
        [] => return "none".to_owned(),
        _ => {
            names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
        }
    };
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

/// The form in which namespaces are kept.
pub(super) fn namespace(parts: &[String]) -> String {
    serde_json::Value::from(parts).to_string()
}

fn damaged(what: &str) -> Error {
    Error::damaged(&format!("{what} cannot be read"))
}

/// A table at the version that is read.
pub(super) fn table(db: &Connection, name: &TableName) -> Result<Table> {
    find(db, name)?.ok_or_else(|| Error::no_table(name))
}

/// A table at the version that is read; none if there is none.
pub(super) fn find(db: &Connection, name: &TableName) -> Result<Option<Table>> {
    crate::names::table(name)?;
    let text = "SELECT id FROM room_tables WHERE namespace = ? AND name = ? AND latest > 0";
    let mut statement = db.prepare_cached(text)?;
    let found =
        statement.query_row(params![namespace(&name.namespace), name.name], |row| row.get(0));
    match found.optional()? {
        Some(id) => by_id(db, id, name),
        None => Ok(None),
    }
}

/// A table by its number, at the version that is read; none if nobody sees it.
pub(super) fn by_id(db: &Connection, id: i64, name: &TableName) -> Result<Option<Table>> {
    let mut statement = db.prepare_cached(
        "SELECT metadata, latest, reading, shape FROM room_tables WHERE id = ? AND latest > 0",
    )?;
    let read =
        |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let Some((metadata, latest, reading, shape)) = statement.query_row([id], read).optional()?
    else {
        return Ok(None);
    };
    let metadata = serde_json::from_str(&metadata).map_err(|_| damaged("metadata"))?;
    let name = name.clone();
    let (columns, seen) = (Vec::new(), String::new());
    let mut table = Table { id, name, metadata, latest, reading, shape, columns, seen };
    table.seen = seen_at(db, &table, table.version())?;
    table.columns = columns_at(db, &table, table.version())?;
    Ok(Some(table))
}

/// A table that is to be written.
pub(super) fn writable(db: &Connection, name: &TableName) -> Result<Table> {
    let table = table(db, name)?;
    refuse_earlier(&table)?;
    Ok(table)
}

pub(super) fn refuse_earlier(table: &Table) -> Result<()> {
    let Some(reading) = table.reading else { return Ok(()) };
    let (name, latest) = (&table.name, table.latest);
    let text = format!(
        "the table {name} is checked out at version {reading}, so it cannot be written; restore version {reading}, or check out the latest one, {latest}"
    );
    Err(Error::new(Reason::State, text))
}

/// What a version shows of `born` and `died`.
pub(super) fn seen_at(db: &Connection, table: &Table, version: i64) -> Result<String> {
    let mut statement = db.prepare_cached(
        "SELECT stamp FROM room_stamps WHERE owner = ?1 AND version IS NULL AND stamp <= ?2
         UNION ALL
         SELECT stamp FROM room_stamps WHERE owner = ?1 AND version > ?2 AND stamp <= ?2",
    )?;
    let hidden = statement.query_map(params![table.id, version], |row| row.get::<_, i64>(0))?;
    let hidden: Vec<String> =
        hidden.map(|stamp| stamp.map(|it| it.to_string())).collect::<rusqlite::Result<_>>()?;
    let mut seen = match version == table.latest {
        true => format!("died IS NULL AND born <= {version}"),
        false => format!("born <= {version} AND (died IS NULL OR died > {version})"),
    };
    if !hidden.is_empty() {
        seen.push_str(&format!(" AND born NOT IN ({})", hidden.join(", ")));
    }
    Ok(seen)
}

/// The columns at a version.
pub(super) fn columns_at(db: &Connection, table: &Table, version: i64) -> Result<Vec<Column>> {
    let seen = seen_at(db, table, version)?;
    let mut statement = db.prepare(&format!(
        "SELECT number, name, data_type FROM room_columns WHERE owner = ? AND {seen} ORDER BY place, number"
    ))?;
    let mut rows = statement.query([table.id])?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next()? {
        let data_type: String = row.get(2)?;
        let data_type = serde_json::from_str(&data_type).map_err(|_| damaged("a type"))?;
        columns.push(Column { number: row.get(0)?, field: Field { name: row.get(1)?, data_type } });
    }
    Ok(columns)
}

/// The number for the next version or writer: none has it, and none had it.
pub(super) fn next_number(db: &Connection, table: &Table) -> Result<i64> {
    let mut statement =
        db.prepare_cached("SELECT coalesce(max(stamp), 0) FROM room_stamps WHERE owner = ?")?;
    let stamped: i64 = statement.query_row([table.id], |row| row.get(0))?;
    Ok(stamped.max(table.latest) + 1)
}

/// Makes a version the latest one.
pub(super) fn commit(db: &Connection, id: i64, version: i64, operation: &str) -> Result<()> {
    let mut statement = db.prepare_cached(
        "INSERT INTO room_versions (owner, version, at, operation) VALUES (?, ?, ?, ?)",
    )?;
    statement.execute(params![id, version, Timestamp::now().as_microsecond(), operation])?;
    let mut statement = db.prepare_cached("UPDATE room_tables SET latest = ? WHERE id = ?")?;
    statement.execute(params![version, id])?;
    Ok(())
}

/// Notes that a version has other columns than the one before.
pub(super) fn reshape(db: &Connection, id: i64, version: i64) -> Result<()> {
    db.execute("UPDATE room_tables SET shape = ? WHERE id = ?", params![version, id])?;
    Ok(())
}

/// Adds columns behind the others, also to what nobody sees yet, and gives their numbers.
pub(super) fn add(db: &Connection, id: i64, born: i64, fields: &[Field]) -> Result<Vec<i64>> {
    fields
        .iter()
        .map(|field| {
            let number = new_number(db, id)?;
            define(db, id, born, &Column { number, field: field.clone() }, number)?;
            Ok(number)
        })
        .collect()
}

/// Makes room for the values of a column.
pub(super) fn new_number(db: &Connection, id: i64) -> Result<i64> {
    let number: i64 = db.query_row(
        "UPDATE room_tables SET next_column = next_column + 1 WHERE id = ? RETURNING next_column - 1",
        [id],
        |row| row.get(0),
    )?;
    // SQLite has at most 2,000 columns, of which three are ours.
    if number > 1_990 {
        let text = "the columns of this table were changed too often; make it anew";
        return Err(Error::new(Reason::State, text));
    }
    db.execute_batch(&format!("ALTER TABLE {} ADD COLUMN c{number}", rows(id)))?;
    Ok(number)
}

/// Says what a column is from a version on.
pub(super) fn define(
    db: &Connection,
    id: i64,
    born: i64,
    column: &Column,
    place: i64,
) -> Result<()> {
    let mut statement = db.prepare_cached(
        "INSERT INTO room_columns (owner, number, place, name, data_type, born) VALUES (?, ?, ?, ?, ?, ?)",
    )?;
    let data_type = column.field.data_type.to_wire().to_string();
    statement.execute(params![id, column.number, place, column.field.name, data_type, born])?;
    Ok(())
}

/// Takes columns away from a version on.
pub(super) fn undefine(db: &Connection, table: &Table, died: i64, numbers: &[i64]) -> Result<()> {
    let seen = &table.seen;
    let mut statement = db.prepare(&format!(
        "UPDATE room_columns SET died = ? WHERE owner = ? AND number = ? AND {seen}"
    ))?;
    for number in numbers {
        statement.execute(params![died, table.id, number])?;
    }
    Ok(())
}

/// Where a column stands among the others.
pub(super) fn place(db: &Connection, table: &Table, number: i64) -> Result<i64> {
    let seen = &table.seen;
    let text = format!("SELECT place FROM room_columns WHERE owner = ? AND number = ? AND {seen}");
    Ok(db.query_row(&text, [table.id, number], |row| row.get(0))?)
}

/// The indexes of a table, in the order of their names.
pub(super) fn indexes(db: &Connection, id: i64) -> Result<Vec<Index>> {
    let mut statement = db.prepare_cached(
        "SELECT number, kind, name FROM room_indexes WHERE owner = ? ORDER BY name",
    )?;
    let mut rows = statement.query([id])?;
    let mut indexes = Vec::new();
    while let Some(row) = rows.next()? {
        let kind: String = row.get(1)?;
        let all = [IndexKind::Scalar, IndexKind::Vector, IndexKind::FullText];
        let kind = all.into_iter().find(|it| it.name() == kind);
        let kind = kind.ok_or_else(|| damaged("an index"))?;
        indexes.push(Index { number: row.get(0)?, kind, name: row.get(2)? });
    }
    Ok(indexes)
}

/// Makes a table that nobody sees yet.
pub(super) fn create(
    db: &Connection,
    name: &TableName,
    metadata: &[(String, String)],
) -> Result<i64> {
    let metadata = serde_json::json!(metadata).to_string();
    db.execute(
        "INSERT INTO room_tables (namespace, name, metadata, latest, shape, next_column) VALUES (?, ?, ?, 0, 1, 1)",
        params![namespace(&name.namespace), name.name, metadata],
    )?;
    let id = db.last_insert_rowid();
    let rows = rows(id);
    db.execute_batch(&format!(
        "CREATE TABLE {rows} (row INTEGER PRIMARY KEY, born INTEGER NOT NULL, died INTEGER)"
    ))?;
    Ok(id)
}

/// Keeps the highest number of a table that is removed, so that a new one of its name goes on with the
/// next. Only so many names are kept, the latest ones.
pub(super) fn remember(db: &Connection, table: &Table) -> Result<()> {
    const NAMES: i64 = 10_000;
    let last = next_number(db, table)? - 1;
    db.execute(
        "INSERT OR REPLACE INTO room_removed (id, namespace, name, last) VALUES (?, ?, ?, ?)",
        params![table.id, namespace(&table.name.namespace), table.name.name, last],
    )?;
    let text = "DELETE FROM room_removed WHERE id <= (SELECT id FROM room_removed ORDER BY id DESC LIMIT 1 OFFSET ?)";
    db.execute(text, [NAMES])?;
    Ok(())
}

/// The highest number that tables of a name had which are removed.
pub(super) fn remembered(db: &Connection, name: &TableName) -> Result<i64> {
    let text = "SELECT last FROM room_removed WHERE namespace = ? AND name = ?";
    let named = params![namespace(&name.namespace), name.name];
    Ok(db.query_row(text, named, |row| row.get(0)).optional()?.unwrap_or_default())
}

/// Removes a table and all that belongs to it.
pub(super) fn remove(db: &Connection, id: i64) -> Result<()> {
    for index in indexes(db, id)? {
        super::indexes::remove(db, id, &index)?;
    }
    db.execute_batch(&format!("DROP TABLE IF EXISTS {}", rows(id)))?;
    for of in ["room_columns", "room_versions", "room_stamps"] {
        db.execute(&format!("DELETE FROM {of} WHERE owner = ?"), [id])?;
    }
    db.execute("DELETE FROM room_tables WHERE id = ?", [id])?;
    Ok(())
}
