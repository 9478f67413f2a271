//! How records are added and merged.
//!
//! A record that is merged finds those with its key and changes what it says of them; what it does
//! not say, or says to be null, is left. If there is none, it is added. Columns that the dataset
//! does not have are added to it. A column of whole numbers becomes one with a point when it is
//! given one, if no number changes thereby, and never if records are known by it; any other value must
//! be what the column's values are.

use std::collections::HashMap;

use meshagent_tables::stored::Stored;
use meshagent_tables::value::{Row, Value};
use meshagent_tables::{Error, Result};
use rusqlite::{Connection, params_from_iter};
use uuid::Uuid;

use crate::store::catalog::{Dataset, Keyed, Kind, Memory, entity, key_columns};
use crate::store::{Column, Table};
use crate::words;

/// How records are taken.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Whether they change records with the same key.
    pub merge: bool,
    /// The column that says when a record was added, if there is one. It is now, if the record does
    /// not say it.
    pub created: Option<usize>,
    /// Where the words of records are kept, if these are entities.
    pub words: Option<Table>,
}

/// What became of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// How many there were.
    pub records: u64,
    /// How many of them were added.
    pub added: u64,
}

/// The names that a record may be known by in a dataset of a client's own, the best first.
const KEYS: [&str; 4] = ["id", "entity_id", "key", "name"];

/// What records of a new dataset are known by: the first of the usual names that all of them have.
pub fn key_of(records: &[Row]) -> Option<&'static str> {
    let has = |record: &Row, key: &str| {
        record.iter().any(|(name, value)| name == key && *value != Value::Null)
    };
    KEYS.into_iter().find(|key| records.iter().all(|record| has(record, key)))
}

/// The dataset of a name. It is made if it isn't there, for these records.
pub fn dataset_for<'a>(
    file: &Connection,
    memory: &'a mut Memory,
    name: &str,
    records: &[Row],
) -> Result<&'a mut Dataset> {
    if let Some(found) = memory.position(name) {
        return Ok(&mut memory.datasets[found]);
    }
    match key_of(records) {
        Some(key) => memory.add_dataset(file, name, &[(key, Kind::Open)], Keyed::By(vec![0])),
        None => memory.add_dataset(file, name, &[], Keyed::Whole),
    }
}

/// Adds or merges records.
pub fn upsert(
    file: &Connection,
    dataset: &mut Dataset,
    records: Vec<Row>,
    how: How,
) -> Result<Done> {
    let places = take_columns(file, dataset, &records)?;
    let plan = Plan::of(dataset, &places, how);
    let mut done = Done::default();
    let mut find = file.prepare(&plan.find)?;
    let mut update = file.prepare(&plan.update)?;
    let mut insert = file.prepare(&plan.insert)?;
    let mut index = match &plan.index {
        Some(index) => Some(file.prepare(index)?),
        None => None,
    };
    for record in records {
        let values = plan.values(dataset, record, done.records + 1)?;
        done.records += 1;
        let mut changed = Vec::new();
        // A change that finds nothing takes much longer than a look.
        if how.merge && find.exists(params_from_iter(&values[..plan.keys]))? {
            let mut rows = update.query(params_from_iter(&values))?;
            while let Some(row) = rows.next()? {
                changed.push(match how.words {
                    Some(_) => Words::of(row)?,
                    None => Words::default(),
                });
            }
        }
        if changed.is_empty() {
            done.added += 1;
            let mut rows = insert.query(params_from_iter(&values))?;
            let added = rows.next()?.ok_or_else(|| Error::invalid("a record was not added"))?;
            changed.push(match how.words {
                Some(_) => Words::of(added)?,
                None => Words::default(),
            });
            // A statement is done when it has no more rows.
            while rows.next()?.is_some() {}
        } else if !plan.changes_words {
            continue;
        }
        if let Some(index) = &mut index {
            for Words { row, columns: [a, b, c] } in changed {
                index.execute((row, a, b, c))?;
            }
        }
    }
    Ok(done)
}

/// A row with the words of its columns that are searched.
#[derive(Debug, Default)]
struct Words {
    row: i64,
    columns: [String; 3],
}

impl Words {
    fn of(row: &rusqlite::Row<'_>) -> Result<Self> {
        let folded = |at| -> Result<String> {
            let text: Option<String> = row.get(at)?;
            Ok(words::folded(text.as_deref().unwrap_or_default()))
        };
        Ok(Self { row: row.get(0)?, columns: [folded(1)?, folded(2)?, folded(3)?] })
    }
}

/// Adds the columns that records have and the dataset does not, and gives the places of all that
/// they have.
fn take_columns(file: &Connection, dataset: &mut Dataset, records: &[Row]) -> Result<Vec<usize>> {
    let mut kinds: HashMap<&str, Kind> = HashMap::new();
    let mut names = Vec::new();
    for (index, (name, value)) in records
        .iter()
        .enumerate()
        .flat_map(|(index, it)| it.iter().map(move |field| (index + 1, field)))
    {
        let known = kinds.entry(name).or_insert_with(|| {
            names.push(name);
            dataset.place(name).map_or(Kind::Open, |place| dataset.fields[place].kind)
        });
        let given = Kind::of(value);
        // Records that are known by different whole numbers must not become the same.
        let stays = *known == Kind::Int && given == Kind::Float && dataset.is_known_by(name);
        *known = joined(*known, given).filter(|_| !stays).ok_or_else(|| {
            let given = value.name();
            Error::invalid(format!(
                "record {index}: column {name:?} of {:?} is {known}, and a value of {given} is not",
                dataset.name
            ))
        })?;
    }
    let mut places = Vec::new();
    let kinds: Vec<(String, Kind)> =
        names.into_iter().map(|name: &String| (name.clone(), kinds[name.as_str()])).collect();
    for (name, kind) in &kinds {
        let (name, kind) = (name.as_str(), *kind);
        let place = match dataset.place(name) {
            Some(place) => place,
            None => dataset.add_field(file, name, kind)?,
        };
        if dataset.fields[place].kind != kind {
            dataset.set_kind(file, place, kind)?;
        }
        places.push(place);
    }
    Ok(places)
}

/// What a column is when a value comes to those that it has; none if it cannot take that.
const fn joined(column: Kind, value: Kind) -> Option<Kind> {
    match (column, value) {
        (kind, Kind::Open) | (Kind::Open, kind) => Some(kind),
        (Kind::Int | Kind::Float, Kind::Int | Kind::Float) => {
            let whole = matches!((column, value), (Kind::Int, Kind::Int));
            Some(if whole { Kind::Int } else { Kind::Float })
        }
        (kind, other) if kind as u8 == other as u8 => Some(kind),
        _ => None,
    }
}

/// The statements for records with these columns. Each `?1`, `?2`, … is the value of a column, the
/// key first.
struct Plan {
    find: String,
    update: String,
    insert: String,
    index: Option<String>,
    changes_words: bool,
    /// Where the value of each column of a record goes.
    slots: HashMap<String, usize>,
    /// How many there are.
    width: usize,
    /// How many of them are the key.
    keys: usize,
}

/// The moment at which something is written.
const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

impl Plan {
    fn of(dataset: &Dataset, given: &[usize], how: How) -> Self {
        let mut columns = key_columns(&dataset.keyed);
        let keys = columns.len();
        for place in given.iter().chain(&how.created) {
            if !columns.contains(&Column::At(*place)) {
                columns.push(Column::At(*place));
            }
        }
        let slots = columns.iter().enumerate().filter_map(|(slot, column)| match column {
            Column::At(place) => Some((dataset.fields[*place].name.clone(), slot)),
            Column::Whole => None,
        });
        let table = dataset.table();
        let returned = match how.words {
            Some(_) => [entity::NAME, entity::TYPE, entity::CONTEXT]
                .iter()
                .fold("row".to_owned(), |list, place| format!("{list}, {}", Column::At(*place))),
            None => "row".to_owned(),
        };
        let numbered = || columns.iter().enumerate().map(|(slot, column)| (slot + 1, column));
        let wanted: Vec<_> =
            numbered().take(keys).map(|(at, column)| format!("{column} = ?{at}")).collect();
        let mut changes: Vec<_> = numbered()
            .skip(keys)
            .map(|(at, column)| format!("{column} = coalesce(?{at}, {column})"))
            .collect();
        if changes.is_empty() {
            changes.push(format!("{0} = {0}", columns[0]));
        }
        let value = |(at, column): (usize, &Column)| match how.created {
            Some(created) if *column == Column::At(created) => format!("coalesce(?{at}, {NOW})"),
            _ => format!("?{at}"),
        };
        let names: Vec<_> = columns.iter().map(ToString::to_string).collect();
        let values: Vec<_> = numbered().map(value).collect();
        Self {
            find: format!("SELECT 1 FROM {table} WHERE {}", wanted.join(" AND ")),
            update: format!(
                "UPDATE {table} SET {} WHERE {} RETURNING {returned}",
                changes.join(", "),
                wanted.join(" AND "),
            ),
            insert: format!(
                "INSERT INTO {table} ({}) VALUES ({}) RETURNING {returned}",
                names.join(", "),
                values.join(", "),
            ),
            index: how.words.map(|words| {
                format!("INSERT OR REPLACE INTO {words} (rowid, a, b, c) VALUES (?, ?, ?, ?)")
            }),
            changes_words: [entity::NAME, entity::TYPE, entity::CONTEXT]
                .iter()
                .any(|place| given.contains(place)),
            slots: slots.collect(),
            width: columns.len(),
            keys,
        }
    }

    /// The values of a record for the statements.
    fn values(&self, dataset: &Dataset, record: Row, index: u64) -> Result<Vec<Stored>> {
        let mut values = vec![Stored::Null; self.width];
        if dataset.keyed == Keyed::Whole {
            values[0] = Stored::Text(whole(&record));
        }
        for (name, value) in record {
            let Some(slot) = self.slots.get(&name) else { continue };
            let place = dataset.place(&name);
            let kind = place.map_or(Kind::Open, |place| dataset.fields[place].kind);
            values[*slot] = match (kind, value) {
                (Kind::Float, Value::Int(whole)) if !keeps_its_digits(whole) => {
                    return Err(Error::invalid(format!(
                        "record {index}: column {name:?} has numbers with a point, and {whole} would lose digits as one"
                    )));
                }
                (Kind::Float, Value::Int(whole)) => Stored::Real(with_point(whole)),
                (_, value) => Stored::from(value),
            };
        }
        if let Keyed::By(places) = &dataset.keyed
            && let Some(missing) = values[..places.len()].iter().position(|it| *it == Stored::Null)
        {
            let (key, name) = (&dataset.fields[places[missing]].name, &dataset.name);
            return Err(Error::invalid(format!(
                "record {index} has no {key:?}, by which the records of {name:?} are known"
            )));
        }
        Ok(values)
    }
}

/// The same for two records that say the same, in whatever order, with whatever nulls.
fn whole(record: &Row) -> String {
    let mut fields: Vec<_> = record
        .iter()
        .filter(|(_, value)| *value != Value::Null)
        .map(|(name, value)| (name, same(value).to_plain().to_string()))
        .collect();
    fields.sort();
    let said = serde_json::Value::from_iter(
        fields.into_iter().map(|(name, value)| (name.clone(), serde_json::Value::from(value))),
    );
    Uuid::new_v5(&Uuid::NAMESPACE_OID, said.to_string().as_bytes()).to_string()
}

/// A whole number is the same with a point and without one.
fn same(value: &Value) -> Value {
    match value {
        Value::Int(whole) => Value::Float(with_point(*whole)),
        other => other.clone(),
    }
}

/// Whether a whole number is the same as one with a point.
#[expect(clippy::cast_possible_truncation, reason = "it is compared with what it was")]
fn keeps_its_digits(value: i64) -> bool {
    // What is beyond all whole numbers would become the largest one again.
    let point = with_point(value);
    point < with_point(i64::MAX) && point as i64 == value
}

#[expect(clippy::cast_precision_loss, reason = "the column has numbers of 53 bits")]
const fn with_point(value: i64) -> f64 {
    value as f64
}
