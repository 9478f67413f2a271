//! Rows on their way into tables and out of them: one batch at a time is held.
//!
//! The room asks for each batch that it takes, and is asked for each batch that it gives.

use futures_util::{Stream, StreamExt};
use meshagent_tables::value::Row;
use meshagent_tables::{Field, Value as Held};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Namespace, TOOLKIT};
use crate::room::call::{Call, Input};
use crate::room::client::Room;
use crate::room::content::{Content, Refused};
use crate::room::invocation::Invocation;
use crate::room::operation::or_nothing;
use crate::room::wishes::{self, Wishes};

/// The most rows that are sent at once.
pub const BATCH: usize = 128;

/// About how many bytes of rows are sent at once. A row of more goes alone.
const WEIGHT: usize = 1024 * 1024;

/// The first part of a stream, which says what the stream is for.
pub trait RowStream: Serialize + DeserializeOwned {
    /// The tool of the toolkit [`TOOLKIT`] that takes it.
    const TOOL: &'static str;

    /// The operation, as errors name it.
    const NAME: &'static str;

    /// The part that says so.
    ///
    /// # Errors
    ///
    /// It cannot be spelled.
    fn part(&self) -> Result<Content, Refused> {
        let mut start = json!({"kind": "start"});
        let said = serde_json::to_value(self).map_err(|error| Refused::new(error.to_string()))?;
        if let (Value::Object(start), Value::Object(said)) = (&mut start, said) {
            start.extend(said);
        }
        Ok(Content::Json(start))
    }

    /// Reads it from the first part of a stream.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn of_part(part: &Content) -> Result<Self, Refused> {
        match part {
            Content::Json(start) if start["kind"] == "start" => Self::deserialize(start)
                .map_err(|error| Refused::invalid(format!("the start of {}: {error}", Self::NAME))),
            _ => Err(Refused::invalid(format!("{} begins with \"start\"", Self::NAME))),
        }
    }
}

/// What is done if there is a table of this name already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Mode {
    /// It is an error.
    #[default]
    Create,
    /// The new one takes its place.
    Overwrite,
    /// It stays as it is.
    CreateIfNotExists,
}

/// Creates a table. Rows may follow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CreateTable {
    /// Its name.
    pub name: String,
    /// Its columns; without them, those of the rows.
    #[serde(default)]
    pub fields: Option<Vec<Field>>,
    /// What is done if there is one already.
    #[serde(default, deserialize_with = "or_nothing")]
    pub mode: Mode,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// What is kept with it.
    #[serde(default)]
    pub metadata: Option<Vec<Pair>>,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// Adds the rows that follow to a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insert {
    /// The table.
    pub table: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// Puts the rows that follow in the place of those with the same value in a column, and adds those
/// whose value is new.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    /// The table.
    pub table: String,
    /// The column.
    pub on: String,
    /// Where the table is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// Reads rows of a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// The table.
    pub table: String,
    /// Words that are looked for.
    #[serde(default)]
    pub text: Option<String>,
    /// Numbers to which rows are near.
    #[serde(default)]
    pub vector: Option<Vec<f64>>,
    /// The columns in which the words are looked for.
    #[serde(default)]
    pub text_columns: Option<Vec<String>>,
    /// A condition in SQL, in which double quotes are around texts.
    #[serde(default)]
    pub r#where: Option<String>,
    /// How many rows are left out at the beginning.
    #[serde(default)]
    pub offset: Option<u64>,
    /// The most rows that are wanted.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Which columns; without them, all.
    #[serde(default)]
    pub select: Option<Vec<String>>,
    /// Where the table is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// Reads what a statement in SQL gives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sql {
    /// The statement, in which double quotes are around names.
    pub query: String,
    /// The tables that it may read.
    pub tables: Vec<SqlTable>,
    /// Values for `$name` in it: an object as a text of plain JSON, in which bytes are
    /// `{"encoding": "base64", "data": …}`.
    #[serde(default)]
    pub params_json: Option<String>,
}

/// A table that a statement may read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlTable {
    /// Its name.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// Its name in the statement, if that is another one.
    #[serde(default)]
    pub alias: Option<String>,
}

/// Declares the first parts of streams.
macro_rules! starts {
    ($($start:ty => $tool:literal),+ $(,)?) => {$(
        impl RowStream for $start {
            const TOOL: &'static str = $tool;
            const NAME: &'static str = concat!("database.", $tool);
        }
    )+};
}

starts! {
    CreateTable => "create_table",
    Insert => "insert",
    Merge => "merge",
    Search => "search",
    Sql => "sql",
}

/// The part that asks for the next batch.
#[must_use]
pub fn pull() -> Content {
    Content::Json(json!({"kind": "pull"}))
}

/// Whether a part asks for the next batch.
#[must_use]
pub fn is_pull(part: &Content) -> bool {
    wishes::is_pull(part)
}

/// A batch of rows as a part of a stream.
#[must_use]
pub fn rows_part(rows: &[Row]) -> Content {
    batch_part(rows.iter().map(|row| row.iter().map(|(name, value)| (name.as_str(), value))))
}

/// A batch of rows, each as the names of its columns with their values, as a part of a stream.
pub fn batch_part<'a>(
    rows: impl IntoIterator<Item = impl IntoIterator<Item = (&'a str, &'a Held)>>,
) -> Content {
    let column = |(name, value): (&str, &Held)| json!({"name": name, "value": value.to_wire()});
    let rows = rows.into_iter().map(|row| {
        let columns: Vec<Value> = row.into_iter().map(column).collect();
        json!({"columns": columns})
    });
    Content::Json(json!({"kind": "rows", "rows": rows.collect::<Vec<_>>()}))
}

/// The rows in a part of a stream.
///
/// # Errors
///
/// What is wrong with it, as a phrase.
pub fn rows_of(part: &Content) -> Result<Vec<Row>, String> {
    let Content::Json(part) = part else { return Err("rows are JSON".to_owned()) };
    if part["kind"] != "rows" {
        return Err("a part of a stream is not of the kind \"rows\"".to_owned());
    }
    let column = |column: &Value| {
        let name = column["name"].as_str().ok_or("a column has no name")?;
        let value = Held::of_wire(&column["value"]);
        Ok((name.to_owned(), value.map_err(|why| format!("the column {name:?}: {why}"))?))
    };
    let row = |row: &Value| {
        let columns = row["columns"].as_array().ok_or("a row has no columns")?;
        columns.iter().map(column).collect::<Result<Row, String>>()
    };
    part["rows"].as_array().ok_or("there are no rows")?.iter().map(row).collect()
}

/// Puts rows together to batches that can be sent: of [`BATCH`] rows at most, and of about a
/// mebibyte.
struct Batches<S> {
    rows: S,
    /// The row that was too much for the last batch.
    kept: Option<Row>,
}

impl<E, S: Stream<Item = Result<Row, E>> + Unpin> Batches<S> {
    /// The next batch, which is not empty; none at the end.
    async fn next(&mut self) -> Result<Option<Vec<Row>>, E> {
        let mut batch: Vec<Row> = self.kept.take().into_iter().collect();
        let mut bytes: usize = batch.iter().map(weight).sum();
        while batch.len() < BATCH {
            let Some(row) = self.rows.next().await.transpose()? else { break };
            bytes += weight(&row);
            if bytes > WEIGHT && !batch.is_empty() {
                self.kept = Some(row);
                break;
            }
            batch.push(row);
        }
        Ok(if batch.is_empty() { None } else { Some(batch) })
    }
}

/// About how many bytes a row has on its way.
#[must_use]
pub fn weight(row: &Row) -> usize {
    row.iter().map(|(name, value)| 40 + name.len() + size(value)).sum()
}

fn size(value: &Held) -> usize {
    /// About how many bytes are around a value.
    const AROUND: usize = 30;
    AROUND
        + match value {
            Held::Text(text) => text.len(),
            Held::Binary(bytes) => bytes.len().saturating_mul(4) / 3,
            Held::Vector(numbers) => numbers.len() * 2 * AROUND,
            Held::List(items) => items.iter().map(size).sum(),
            Held::Struct(fields) => {
                fields.iter().map(|(name, value)| AROUND + name.len() + size(value)).sum()
            }
            _ => 20,
        }
}

/// Why rows were not written.
#[derive(Debug)]
pub enum NotWritten<E> {
    /// Where they come from failed.
    Here(E),
    /// The room refused, is gone, or makes no sense.
    There(Refused),
}

impl<E> From<Refused> for NotWritten<E> {
    fn from(refused: Refused) -> Self {
        Self::There(refused)
    }
}

/// Rows that are read from a room.
pub struct Rows {
    call: Call,
    operation: &'static str,
    is_over: bool,
}

impl Rows {
    /// The next batch; none at the end. A batch may be empty.
    ///
    /// # Errors
    ///
    /// The room refuses, is gone, or sends no rows.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>, Refused> {
        if self.is_over {
            return Ok(None);
        }
        let batch = self.batch().await;
        if !matches!(batch, Ok(Some(_))) {
            self.is_over = true;
            self.call.input.close().await;
        }
        batch
    }

    async fn batch(&mut self) -> Result<Option<Vec<Row>>, Refused> {
        let part = {
            let Call { input, output } = &mut self.call;
            let mut answer = std::pin::pin!(output.next());
            tokio::select! {
                biased;
                // What the room says tells more than that it takes nothing.
                part = &mut answer => part?,
                sent = input.send(pull()) => {
                    sent?;
                    answer.await?
                }
            }
        };
        let Some(part) = part else { return Ok(None) };
        let told = |why: String| {
            let unexpected = Refused::unexpected(self.operation);
            Refused { text: format!("{unexpected}: {why}"), ..unexpected }
        };
        rows_of(&part).map(Some).map_err(told)
    }
}

/// Sends the start, and batches as the room asks for them, and returns how many rows they had.
async fn send<S: RowStream, E>(
    start: &S,
    input: &mut Input,
    wishes: &mut Wishes,
    mut batches: Batches<impl Stream<Item = Result<Row, E>> + Unpin>,
) -> Result<u64, NotWritten<E>> {
    wishes.during(input.send(start.part()?)).await?.transpose()?;
    let (mut count, mut is_whole) = (0, false);
    while wishes.next().await? {
        if is_whole {
            continue;
        }
        let Some(batch) = wishes.during(batches.next()).await? else { break };
        match batch.map_err(NotWritten::Here)? {
            None => {
                is_whole = true;
                input.close().await;
            }
            Some(batch) => {
                wishes.during(input.send(rows_part(&batch))).await?.transpose()?;
                count += batch.len() as u64;
            }
        }
    }
    // A room need not ask what follows the last batch.
    if !is_whole && batches.next().await.map_err(NotWritten::Here)?.is_some() {
        return Err(Refused::unexpected(S::NAME).into());
    }
    Ok(count)
}

/// Streams of rows. The errors are those of [`Room::open`], and an answer that does not fit.
impl Room {
    /// Writes rows, whatever their number, and returns that. They are read as the room asks for
    /// them. A room that is told that they are not whole should keep nothing of them.
    ///
    /// # Errors
    ///
    /// The source fails; the room refuses, or stops before it has taken all.
    pub async fn write_rows<S: RowStream, E>(
        &self,
        start: &S,
        rows: impl Stream<Item = Result<Row, E>> + Unpin,
    ) -> Result<u64, NotWritten<E>> {
        let Call { mut input, output } = self.open(Invocation::stream(TOOLKIT, S::TOOL)).await?;
        input.fails_unless_closed("the rows were given up");
        let mut wishes = Wishes::new(S::NAME, output);
        let batches = Batches { rows, kept: None };
        let written = send(start, &mut input, &mut wishes, batches).await;
        // What the room has refused needs no end of its own.
        if !matches!(written, Err(NotWritten::Here(_))) {
            input.close().await;
        }
        written
    }

    /// Begins to read rows, whatever their number.
    ///
    /// # Errors
    ///
    /// As all operations.
    pub async fn read_rows<S: RowStream>(&self, start: &S) -> Result<Rows, Refused> {
        let mut call = self.open(Invocation::stream(TOOLKIT, S::TOOL)).await?;
        call.input.send(start.part()?).await?;
        Ok(Rows { call, operation: S::NAME, is_over: false })
    }
}

#[cfg(test)]
mod tests;
