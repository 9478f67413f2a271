//! Rows become a stream of Arrow: its schema first, then batches as they come, then its end.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, FixedSizeListArray, Float32Array,
    Float64Array, Int64Array, ListArray, RecordBatch, RecordBatchOptions, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, SchemaRef};
use jiff::civil::{Date, DateTime, date};
use meshagent_tables::value::{Row, wider};
use meshagent_tables::{Field, Kind, Value};

use crate::types::{item, number, parts, schema};

/// The greatest whole number up to which all are numbers with a point as well.
const EXACT: u64 = 1 << 53;

/// A stream that is being written.
pub struct Writer {
    columns: Vec<Field>,
    schema: SchemaRef,
    stream: StreamWriter<Vec<u8>>,
    /// How many rows are written.
    count: usize,
}

impl Writer {
    /// Begins a stream of rows with these columns.
    ///
    /// # Errors
    ///
    /// The columns cannot be written.
    pub fn new(columns: Vec<Field>) -> Result<Self, String> {
        let schema = Arc::new(schema(&columns));
        let stream = StreamWriter::try_new(Vec::new(), &schema).map_err(told)?;
        Ok(Self { columns, schema, stream, count: 0 })
    }

    /// Writes rows as one batch.
    ///
    /// # Errors
    ///
    /// A value is not of its column's type, or a row has a column more.
    pub fn rows(&mut self, rows: &[Row]) -> Result<(), String> {
        if rows.is_empty() {
            return Ok(());
        }
        let first = self.count + 1;
        let extra = |row: &Row| {
            let extra = row.iter().find(|(name, _)| self.columns.iter().all(|it| it.name != *name));
            extra.map(|(name, _)| name.clone())
        };
        if let Some(name) = rows.iter().find_map(extra) {
            return Err(format!("the rows before had no column {name:?}"));
        }
        let arrays = self.columns.iter().enumerate().map(|(index, field)| {
            let values = cells(rows, index, &field.name, first);
            let array = array(&field.data_type.kind, &values);
            array.map_err(|(row, why)| format!("row {row}: the column {:?}: {why}", field.name))
        });
        let arrays = arrays.collect::<Result<Vec<_>, String>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options);
        self.stream.write(&batch.map_err(told)?).map_err(told)?;
        self.count += rows.len();
        Ok(())
    }

    /// Writes the end.
    ///
    /// # Errors
    ///
    /// As [`Self::rows`].
    pub fn end(&mut self) -> Result<(), String> {
        self.stream.finish().map_err(told)
    }

    /// What was written since it was taken last.
    pub fn taken(&mut self) -> Vec<u8> {
        std::mem::take(self.stream.get_mut())
    }
}

/// The columns of rows, with the types that are planned for columns of these names. A planned type that
/// does not fit the values that there are gives way to theirs; where all are null, a column is of texts.
/// Without rows, the planned columns are all there is to say.
#[must_use]
pub fn columns_of(planned: &[Field], rows: &[Row]) -> Vec<Field> {
    let Some(first) = rows.first() else { return planned.to_vec() };
    let column = |(index, (name, _)): (usize, &(String, Value))| {
        let values = cells(rows, index, name, 1);
        let fits = |it: &&Field| it.name == *name && array(&it.data_type.kind, &values).is_ok();
        planned.iter().find(fits).cloned().unwrap_or_else(|| {
            let kind = values.iter().filter_map(|(_, value)| value.inferred()).reduce(wider);
            Field { name: name.clone(), data_type: kind.unwrap_or(Kind::Text).into() }
        })
    };
    first.iter().enumerate().map(column).collect()
}

/// A value with the number of its row.
type Cell<'a> = (usize, &'a Value);

/// Why a row cannot be written, behind its number.
type Refused = (usize, String);

/// The values of a column; rows that have not got it have null.
fn cells<'a>(rows: &'a [Row], index: usize, name: &str, first: usize) -> Vec<Cell<'a>> {
    let value = |row: &'a Row| match row.get(index) {
        Some((at, value)) if at == name => value,
        _ => row.iter().find(|(at, _)| at == name).map_or(&Value::Null, |(_, value)| value),
    };
    rows.iter().enumerate().map(|(at, row)| (first + at, value(row))).collect()
}

/// Values as an array of a kind. Nothing is rounded, cut or guessed.
fn array(kind: &Kind, cells: &[Cell]) -> Result<ArrayRef, Refused> {
    Ok(match kind {
        Kind::Bool => Arc::new(BooleanArray::from(plain(cells, |it| match it {
            Value::Bool(value) => Ok(*value),
            other => Err(wrong(other, kind)),
        })?)),
        Kind::Int => Arc::new(Int64Array::from(plain(cells, |it| match it {
            Value::Int(value) => Ok(*value),
            other => Err(wrong(other, kind)),
        })?)),
        Kind::Float => Arc::new(Float64Array::from(plain(cells, |it| match it {
            Value::Float(value) => Ok(*value),
            Value::Int(value) => with_point(*value),
            other => Err(wrong(other, kind)),
        })?)),
        Kind::Text => Arc::new(StringArray::from(plain(cells, |it| match it {
            Value::Text(value) => Ok(value.as_str()),
            other => Err(wrong(other, kind)),
        })?)),
        Kind::Binary => Arc::new(BinaryArray::from(plain(cells, |it| match it {
            Value::Binary(value) => Ok(value.as_slice()),
            other => Err(wrong(other, kind)),
        })?)),
        Kind::Date => Arc::new(Date32Array::from(plain(cells, |it| match it {
            Value::Date(value) => days(*value),
            other => Err(wrong(other, kind)),
        })?)),
        Kind::Timestamp => {
            let moments = plain(cells, |it| match it {
                Value::Timestamp(value) => microseconds(*value),
                other => Err(wrong(other, kind)),
            })?;
            Arc::new(TimestampMicrosecondArray::from(moments).with_timezone("UTC"))
        }
        Kind::Vector { size, .. } => vectors(*size, kind, cells)?,
        Kind::List(element) => {
            let (mut lengths, mut items) = (Vec::with_capacity(cells.len()), Vec::new());
            let numbers: Vec<Vec<Value>> = cells.iter().map(|(_, it)| spread(it)).collect();
            for ((row, value), numbers) in cells.iter().zip(&numbers) {
                let list = match value {
                    Value::Null => &[][..],
                    Value::List(list) => list,
                    Value::Vector(_) => numbers,
                    other => return Err((*row, wrong(other, kind))),
                };
                lengths.push(list.len());
                items.extend(list.iter().map(|it| (*row, it)));
            }
            let items = array(&element.kind, &items)?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            let list = ListArray::try_new(item(element), offsets, items, nulls(cells));
            Arc::new(list.map_err(|error| (cells[0].0, told(error)))?)
        }
        Kind::Struct(fields) => structs(fields, kind, cells)?,
    })
}

/// Values that have nothing inside; null is none.
fn plain<'a, T>(
    cells: &[Cell<'a>],
    read: impl Fn(&'a Value) -> Result<T, String>,
) -> Result<Vec<Option<T>>, Refused> {
    let value = |(row, value): &Cell<'a>| match value {
        Value::Null => Ok(None),
        value => read(value).map(Some).map_err(|why| (*row, why)),
    };
    cells.iter().map(value).collect()
}

/// Which values are null.
fn nulls(cells: &[Cell]) -> Option<NullBuffer> {
    let nulls: NullBuffer = cells.iter().map(|(_, value)| **value != Value::Null).collect();
    Some(nulls).filter(|nulls| nulls.null_count() > 0)
}

/// Vectors: on the wire they are lists of numbers.
fn vectors(size: u32, kind: &Kind, cells: &[Cell]) -> Result<ArrayRef, Refused> {
    let length = usize::try_from(size).unwrap_or(usize::MAX);
    let mut numbers: Vec<f32> = Vec::with_capacity(cells.len() * length);
    for (row, value) in cells {
        let before = numbers.len();
        match value {
            Value::Null => numbers.resize(before + length, 0.0),
            Value::Vector(vector) => numbers.extend(vector),
            Value::List(list) => {
                let number = |it: &Value| match it {
                    Value::Float(value) => Ok(narrowed(*value)),
                    Value::Int(value) => with_point(*value).map(narrowed),
                    other => Err(format!("a value of {} is no number of a vector", other.name())),
                };
                let list = list.iter().map(number).collect::<Result<Vec<_>, _>>();
                numbers.extend(list.map_err(|why| (*row, why))?);
            }
            other => return Err((*row, wrong(other, kind))),
        }
        let count = numbers.len() - before;
        if count != length {
            return Err((*row, format!("there are {count} numbers, and a vector has {length}")));
        }
    }
    let numbers = Arc::new(Float32Array::from(numbers));
    let list = FixedSizeListArray::try_new(number(), size.cast_signed(), numbers, nulls(cells));
    Ok(Arc::new(list.map_err(|error| (cells.first().map_or(0, |it| it.0), told(error)))?))
}

fn structs(fields: &[Field], kind: &Kind, cells: &[Cell]) -> Result<ArrayRef, Refused> {
    for (row, value) in cells {
        match value {
            Value::Null => {}
            Value::Struct(given) => {
                let known = |name: &String| fields.iter().any(|field| field.name == *name);
                if let Some((name, _)) = given.iter().find(|(name, _)| !known(name)) {
                    return Err((*row, format!("the struct has no part {name:?}")));
                }
            }
            other => return Err((*row, wrong(other, kind))),
        }
    }
    if fields.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(cells.len(), nulls(cells))));
    }
    let part = |field: &Field| {
        let values: Vec<Cell> = cells.iter().map(|cell| part_of(*cell, &field.name)).collect();
        let array = array(&field.data_type.kind, &values);
        array.map_err(|(row, why)| (row, format!("{:?}: {why}", field.name)))
    };
    let arrays = fields.iter().map(part).collect::<Result<Vec<_>, _>>()?;
    let array = StructArray::try_new(parts(fields), arrays, nulls(cells));
    Ok(Arc::new(array.map_err(|error| (cells.first().map_or(0, |it| it.0), told(error)))?))
}

/// A part of a struct; null if there is none.
fn part_of<'a>((row, value): Cell<'a>, name: &str) -> Cell<'a> {
    let found = match value {
        Value::Struct(given) => given.iter().find(|(other, _)| other == name),
        _ => None,
    };
    (row, found.map_or(&Value::Null, |(_, value)| value))
}

/// The numbers of a vector as items of a list.
fn spread(value: &Value) -> Vec<Value> {
    match value {
        Value::Vector(numbers) => numbers.iter().map(|it| Value::Float(f64::from(*it))).collect(),
        _ => Vec::new(),
    }
}

/// A day, counted from 1970.
fn days(day: Date) -> Result<i32, String> {
    let hours = day.duration_since(date(1970, 1, 1)).as_hours();
    i32::try_from(hours / 24).map_err(|_| format!("{day} is out of range"))
}

/// A moment in microseconds. What is finer has no place in a column.
fn microseconds(moment: DateTime) -> Result<i64, String> {
    let since = moment.duration_since(date(1970, 1, 1).at(0, 0, 0, 0));
    match since.subsec_nanos() % 1000 {
        0 => i64::try_from(since.as_micros()).map_err(|_| format!("{moment}Z is out of range")),
        _ => Err(format!("{moment}Z is finer than a microsecond")),
    }
}

/// A whole number as one with a point, if it is the same one.
fn with_point(value: i64) -> Result<f64, String> {
    #[expect(clippy::cast_precision_loss, reason = "it was looked at")]
    match value.unsigned_abs() <= EXACT {
        true => Ok(value as f64),
        false => Err(format!("{value} is no number with a point")),
    }
}

/// A number of a vector. On the wire it has as few digits as tell it from its neighbours of 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "vectors have numbers of 32 bits")]
const fn narrowed(value: f64) -> f32 {
    value as f32
}

fn wrong(value: &Value, kind: &Kind) -> String {
    format!("a value of {} is no {kind}", value.name())
}

fn told(error: ArrowError) -> String {
    match error {
        ArrowError::InvalidArgumentError(why) | ArrowError::IpcError(why) => why,
        other => other.to_string(),
    }
}
