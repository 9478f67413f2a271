//! Which memories, datasets and columns there are.

use std::fmt;

use meshagent_tables::value::Value;
use meshagent_tables::{Error, Reason, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Column, Table};
use crate::api::{MemoryName, check_name};
use crate::limits;

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing but null yet. The first value says what the others are.
    Open,
    /// Yes or no.
    Bool,
    /// Whole numbers.
    Int,
    /// Numbers with a point.
    Float,
    /// Texts.
    Text,
    /// Bytes.
    Binary,
    /// Lists and structs, as JSON.
    Nested,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Open => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "text",
            Self::Binary => "binary",
            Self::Nested => "nested",
        })
    }
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Open, Self::Bool, Self::Int, Self::Float, Self::Text, Self::Binary, Self::Nested];

    fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.to_string() == name);
        found.ok_or_else(|| damaged("a column has an unknown kind"))
    }

    /// What a value is.
    pub const fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Open,
            Value::Bool(_) => Self::Bool,
            Value::Int(_) => Self::Int,
            Value::Float(_) => Self::Float,
            Value::Text(_) | Value::Date(_) | Value::Timestamp(_) => Self::Text,
            Value::Binary(_) => Self::Binary,
            Value::Vector(_) | Value::List(_) | Value::Struct(_) => Self::Nested,
        }
    }

    /// Reads what SQLite has of a column or an expression of this kind.
    pub fn loaded(self, kept: ValueRef<'_>) -> Result<Value> {
        let wrong = || damaged(&format!("a value is no {self}"));
        Ok(match (self, kept) {
            (_, ValueRef::Null) => Value::Null,
            (Self::Bool, ValueRef::Integer(value)) => Value::Bool(value != 0),
            (Self::Int, ValueRef::Integer(value)) => Value::Int(value),
            (Self::Float, ValueRef::Real(value)) if value.is_finite() => Value::Float(value),
            (Self::Float, ValueRef::Real(_)) => {
                return Err(Error::invalid("a number of the answer is too large"));
            }
            (Self::Text, ValueRef::Text(text)) => {
                Value::Text(std::str::from_utf8(text).map_err(|_| wrong())?.to_owned())
            }
            (Self::Binary, ValueRef::Blob(bytes)) => Value::Binary(bytes.to_vec()),
            (Self::Nested, ValueRef::Text(text)) => {
                let plain = serde_json::from_slice(text).map_err(|_| wrong())?;
                Value::of_plain(&plain).map_err(|_| wrong())?
            }
            _ => return Err(wrong()),
        })
    }
}

/// A column of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name, as clients write it.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
}

/// What a record is known by when it is merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keyed {
    /// The values of these columns.
    By(Vec<usize>),
    /// All that it says.
    Whole,
}

impl Keyed {
    fn kept(&self) -> String {
        match self {
            Self::Whole => "whole".to_owned(),
            Self::By(places) => {
                places.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
            }
        }
    }

    fn read(kept: &str, columns: usize) -> Result<Self> {
        if kept == "whole" {
            return Ok(Self::Whole);
        }
        let place = |it: &str| it.parse().ok().filter(|place| *place < columns);
        let places: Option<Vec<usize>> = kept.split(',').map(place).collect();
        places.map(Self::By).ok_or_else(|| damaged("a dataset has an unknown key"))
    }
}

/// A dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Its number in the file.
    pub id: i64,
    /// Its name, as it was first written.
    pub name: String,
    /// What its records are known by.
    pub keyed: Keyed,
    /// Its columns. The place of each in this list is that in the file.
    pub fields: Vec<Field>,
}

impl Dataset {
    /// The table of its records.
    pub const fn table(&self) -> Table {
        Table::Records(self.id)
    }

    /// The place of a column.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// Whether its records are known by a column.
    pub fn is_known_by(&self, name: &str) -> bool {
        match &self.keyed {
            Keyed::By(places) => places.iter().any(|place| self.fields[*place].name == name),
            Keyed::Whole => false,
        }
    }

    /// Adds a column.
    pub fn add_field(&mut self, file: &Connection, name: &str, kind: Kind) -> Result<usize> {
        check_name("a column", name)?;
        let place = self.fields.len();
        if place >= limits::COLUMNS {
            let most = limits::COLUMNS;
            return Err(Error::invalid(format!(
                "dataset {:?} would have more than {most} columns",
                self.name
            )));
        }
        let statement = "INSERT INTO field (dataset, place, name, kind) VALUES (?, ?, ?, ?)";
        file.prepare_cached(statement)?.execute(params![self.id, place, name, kind.to_string()])?;
        let (table, column) = (self.table(), Column::At(place));
        file.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column}"))?;
        self.fields.push(Field { name: name.to_owned(), kind });
        Ok(place)
    }

    /// Says what the values of a column are from now on. It is refused if one of them would change.
    pub fn set_kind(&mut self, file: &Connection, place: usize, kind: Kind) -> Result<()> {
        let (table, column) = (self.table(), Column::At(place));
        if kind == Kind::Float && self.fields[place].kind == Kind::Int {
            // The last numbers of 64 bits would become one beyond them, which is cut to the largest.
            let changes = format!(
                "SELECT EXISTS (SELECT 1 FROM {table} WHERE {column} > 9223372036854774784
                 OR CAST(CAST({column} AS REAL) AS INTEGER) <> {column})"
            );
            if file.query_row(&changes, [], |row| row.get(0))? {
                let (name, field) = (&self.name, &self.fields[place].name);
                return Err(Error::invalid(format!(
                    "column {field:?} of {name:?} has whole numbers that would lose digits if it got one with a point; write whole numbers, or another column"
                )));
            }
            file.execute_batch(&format!(
                "UPDATE {table} SET {column} = CAST({column} AS REAL) WHERE {column} IS NOT NULL"
            ))?;
        }
        let statement = "UPDATE field SET kind = ? WHERE dataset = ? AND place = ?";
        file.execute(statement, params![kind.to_string(), self.id, place])?;
        self.fields[place].kind = kind;
        Ok(())
    }
}

/// A memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Its number in the file.
    pub id: i64,
    /// Its datasets, in the order in which they were made. The first is `Entity`, the second
    /// `RELATIONSHIP`.
    pub datasets: Vec<Dataset>,
}

/// Bytes of words that are gathered in memory before they are written.
const HASH: usize = 4 << 20;

/// The names of the two datasets that each memory has (public SDK 0.31.4).
pub const ENTITY: &str = "Entity";
/// See [`ENTITY`].
pub const RELATIONSHIP: &str = "RELATIONSHIP";

/// Places of columns of `Entity`.
pub mod entity {
    pub const ID: usize = 0;
    pub const NAME: usize = 1;
    pub const TYPE: usize = 2;
    pub const CONTEXT: usize = 3;
    pub const CONFIDENCE: usize = 4;
    pub const CREATED: usize = 5;
    pub const VALID: usize = 6;
}

/// Places of columns of `RELATIONSHIP`.
pub mod relationship {
    pub const SOURCE: usize = 0;
    pub const TARGET: usize = 1;
    pub const TYPE: usize = 2;
    pub const DESCRIPTION: usize = 3;
    pub const CREATED: usize = 5;
    pub const VALID: usize = 6;
    pub const EXPIRED: usize = 7;
    pub const INVALID: usize = 8;
}

/// Whether a column has moments: they are texts, but compared and ordered as what they mean. The
/// first number is the place of the dataset in the memory.
pub const fn has_moments(dataset: usize, place: usize) -> bool {
    use relationship::{CREATED, EXPIRED, INVALID, VALID};
    match dataset {
        0 => matches!(place, entity::CREATED | entity::VALID),
        1 => matches!(place, CREATED | VALID | EXPIRED | INVALID),
        _ => false,
    }
}

const ENTITY_FIELDS: [(&str, Kind); 8] = [
    ("entity_id", Kind::Text),
    ("name", Kind::Text),
    ("entity_type", Kind::Text),
    ("context", Kind::Text),
    ("confidence", Kind::Float),
    ("created_at", Kind::Text),
    ("valid_at", Kind::Text),
    ("metadata", Kind::Nested),
];

const RELATIONSHIP_FIELDS: [(&str, Kind); 12] = [
    ("source_entity_id", Kind::Text),
    ("target_entity_id", Kind::Text),
    ("relationship_type", Kind::Text),
    ("description", Kind::Text),
    ("confidence", Kind::Float),
    ("created_at", Kind::Text),
    ("valid_at", Kind::Text),
    ("expired_at", Kind::Text),
    ("invalid_at", Kind::Text),
    ("source_entity_name", Kind::Text),
    ("target_entity_name", Kind::Text),
    ("metadata", Kind::Nested),
];

impl Memory {
    /// The dataset of entities.
    pub fn entities(&self) -> &Dataset {
        &self.datasets[0]
    }

    /// The dataset of relationships.
    pub fn relationships(&self) -> &Dataset {
        &self.datasets[1]
    }

    /// The dataset of entities, to be changed.
    pub fn entities_mut(&mut self) -> &mut Dataset {
        &mut self.datasets[0]
    }

    /// The dataset of relationships, to be changed.
    pub fn relationships_mut(&mut self) -> &mut Dataset {
        &mut self.datasets[1]
    }

    /// The name of an entity.
    pub fn name_of(&self, file: &Connection, id: &str) -> Result<Option<String>> {
        let (table, name) = (self.entities().table(), Column::At(entity::NAME));
        let id_column = Column::At(entity::ID);
        let statement = format!("SELECT {name} FROM {table} WHERE {id_column} = ? LIMIT 1");
        Ok(file.prepare_cached(&statement)?.query_row([id], |row| row.get(0)).optional()?)
    }

    /// The table of the words of entities.
    pub const fn words(&self) -> Table {
        Table::Words(self.id)
    }

    /// The table of how common words are.
    pub const fn vocabulary(&self) -> Table {
        Table::Vocabulary(self.id)
    }

    /// The place of a dataset, however the name is written.
    pub fn position(&self, name: &str) -> Option<usize> {
        let folded = name.to_lowercase();
        self.datasets.iter().position(|dataset| dataset.name.to_lowercase() == folded)
    }

    /// Makes a memory.
    pub fn make(file: &Connection, name: MemoryName<'_>) -> Result<Self> {
        let count: u64 = file.query_row("SELECT count(*) FROM memory", [], |row| row.get(0))?;
        if count >= limits::MEMORIES {
            let most = limits::MEMORIES;
            return Err(Error::new(
                Reason::State,
                format!("there are {most} memories already; drop one first"),
            ));
        }
        let statement = "INSERT INTO memory (namespace, name) VALUES (?, ?)";
        file.execute(statement, params![kept(name.namespace), name.name])?;
        let id = file.last_insert_rowid();
        let mut memory = Self { id, datasets: Vec::new() };
        let keyed = Keyed::By(vec![entity::ID]);
        let entities = memory.add_dataset(file, ENTITY, &ENTITY_FIELDS, keyed)?.table();
        let keyed = Keyed::By(vec![relationship::SOURCE, relationship::TARGET, relationship::TYPE]);
        let relationships =
            memory.add_dataset(file, RELATIONSHIP, &RELATIONSHIP_FIELDS, keyed)?.table();
        let words = memory.words();
        // Names are looked up by ingestion, ends of relationships by recall and deletions.
        file.execute_batch(&format!(
            "CREATE INDEX {entities}n ON {entities} ({name});
             CREATE INDEX {relationships}t ON {relationships} ({target});
             CREATE VIRTUAL TABLE {words} USING fts5(
                 a, b, c, content = '', contentless_delete = 1,
                 tokenize = 'unicode61 remove_diacritics 0');
             INSERT INTO {words} ({words}, rank) VALUES ('hashsize', {HASH});
             CREATE VIRTUAL TABLE {vocabulary} USING fts5vocab({words}, row);",
            vocabulary = memory.vocabulary(),
            name = Column::At(entity::NAME),
            target = Column::At(relationship::TARGET),
        ))?;
        Ok(memory)
    }

    /// Adds a dataset.
    pub fn add_dataset(
        &mut self,
        file: &Connection,
        name: &str,
        fields: &[(&str, Kind)],
        keyed: Keyed,
    ) -> Result<&mut Dataset> {
        check_name("a dataset", name)?;
        if self.datasets.len() >= limits::DATASETS {
            let most = limits::DATASETS;
            return Err(Error::invalid(format!("a memory has at most {most} datasets")));
        }
        let statement = "INSERT INTO dataset (memory, name, folded, keyed) VALUES (?, ?, ?, ?)";
        file.execute(statement, params![self.id, name, name.to_lowercase(), keyed.kept()])?;
        let id = file.last_insert_rowid();
        let mut dataset =
            Dataset { id, name: name.to_owned(), keyed: keyed.clone(), fields: Vec::new() };
        let table = dataset.table();
        let whole = if keyed == Keyed::Whole { ", k TEXT" } else { "" };
        file.execute_batch(&format!("CREATE TABLE {table} (row INTEGER PRIMARY KEY{whole})"))?;
        for (name, kind) in fields {
            dataset.add_field(file, name, *kind)?;
        }
        let columns = key_columns(&keyed).iter().map(ToString::to_string).collect::<Vec<_>>();
        let columns = columns.join(", ");
        file.execute_batch(&format!("CREATE INDEX {table}k ON {table} ({columns})"))?;
        self.datasets.push(dataset);
        let last = self.datasets.len() - 1;
        Ok(&mut self.datasets[last])
    }

    /// Drops it with all that is in it.
    pub fn drop(&self, file: &Connection) -> Result<()> {
        for dataset in &self.datasets {
            file.execute_batch(&format!("DROP TABLE {}", dataset.table()))?;
        }
        let (vocabulary, words) = (self.vocabulary(), self.words());
        file.execute_batch(&format!("DROP TABLE {vocabulary}; DROP TABLE {words};"))?;
        file.execute("DELETE FROM memory WHERE id = ?", [self.id])?;
        Ok(())
    }

    /// The memory of a name, if there is one.
    pub fn find(file: &Connection, name: MemoryName<'_>) -> Result<Option<Self>> {
        let statement = "SELECT id FROM memory WHERE namespace = ? AND name = ?";
        let mut statement = file.prepare_cached(statement)?;
        let id: Option<i64> = statement
            .query_row(params![kept(name.namespace), name.name], |row| row.get(0))
            .optional()?;
        let Some(id) = id else { return Ok(None) };
        let mut memory = Self { id, datasets: Vec::new() };
        let statement = "SELECT id, name, keyed FROM dataset WHERE memory = ? ORDER BY id";
        let mut statement = file.prepare_cached(statement)?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            let fields = fields(file, id)?;
            let keyed: String = row.get(2)?;
            let keyed = Keyed::read(&keyed, fields.len())?;
            memory.datasets.push(Dataset { id, name: row.get(1)?, keyed, fields });
        }
        let core = [(ENTITY, &ENTITY_FIELDS[..]), (RELATIONSHIP, &RELATIONSHIP_FIELDS[..])];
        let whole = core.iter().enumerate().all(|(index, (name, fields))| {
            memory.datasets.get(index).is_some_and(|dataset| {
                let same = |(field, (name, kind)): (&Field, &(&str, Kind))| {
                    field.name == *name && field.kind == *kind
                };
                dataset.name == *name
                    && dataset.fields.len() >= fields.len()
                    && dataset.fields.iter().zip(fields.iter()).all(same)
            })
        });
        if !whole {
            return Err(damaged("a memory lacks one of its datasets"));
        }
        Ok(Some(memory))
    }

    /// The memory of a name.
    pub fn get(file: &Connection, name: MemoryName<'_>) -> Result<Self> {
        Self::find(file, name)?.ok_or_else(|| {
            // The public SDK 0.31.4 reads this beginning as "nothing is known".
            let text = format!("memory does not exist: {name}");
            Error::new(Reason::NotFound, text)
        })
    }
}

/// A memory with the columns that each has, and no file.
#[cfg(test)]
pub fn sample() -> Memory {
    let dataset = |id, name: &str, fields: &[(&str, Kind)]| Dataset {
        id,
        name: name.to_owned(),
        keyed: Keyed::Whole,
        fields: fields
            .iter()
            .map(|(name, kind)| Field { name: (*name).to_owned(), kind: *kind })
            .collect(),
    };
    let more = [("a", Kind::Int), ("b; DROP TABLE memory", Kind::Bool), ("c'\"", Kind::Binary)];
    let datasets = vec![
        dataset(1, ENTITY, &ENTITY_FIELDS),
        dataset(2, RELATIONSHIP, &RELATIONSHIP_FIELDS),
        dataset(3, "\"); --", &more),
    ];
    Memory { id: 1, datasets }
}

/// What the records of a dataset are looked up by.
pub fn key_columns(keyed: &Keyed) -> Vec<Column> {
    match keyed {
        Keyed::By(places) => places.iter().map(|place| Column::At(*place)).collect(),
        Keyed::Whole => vec![Column::Whole],
    }
}

/// The names of the memories of a namespace.
pub fn names(file: &Connection, namespace: &[String]) -> Result<Vec<String>> {
    let statement = "SELECT name FROM memory WHERE namespace = ? ORDER BY name";
    let mut statement = file.prepare_cached(statement)?;
    let names = statement.query_map([kept(namespace)], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

fn fields(file: &Connection, dataset: i64) -> Result<Vec<Field>> {
    let statement = "SELECT place, name, kind FROM field WHERE dataset = ? ORDER BY place";
    let mut statement = file.prepare_cached(statement)?;
    let mut rows = statement.query([dataset])?;
    let mut fields = Vec::new();
    while let Some(row) = rows.next()? {
        if row.get::<_, usize>(0)? != fields.len() {
            return Err(damaged("a dataset lacks a column"));
        }
        let kind: String = row.get(2)?;
        fields.push(Field { name: row.get(1)?, kind: Kind::named(&kind)? });
    }
    Ok(fields)
}

/// A namespace as the file has it: no two are the same text.
fn kept(namespace: &[String]) -> String {
    serde_json::Value::from(namespace.to_vec()).to_string()
}

/// The file was changed by somebody else.
pub fn damaged(what: &str) -> Error {
    Error::new(Reason::Damaged, format!("the memories are damaged: {what}"))
}
