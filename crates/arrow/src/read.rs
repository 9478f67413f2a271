//! Values of rows, out of batches of columns.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType as Arrow, Field, TimeUnit};
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, date};
use meshagent_tables::Value;
use meshagent_tables::value::Row;

use crate::guard::guarded;
use crate::types::is_vector;

/// Gives the rows of a batch to `put`; whether more are wanted. So many rows were read before.
///
/// # Errors
///
/// A value that rooms have no place for, with its row and column.
pub(crate) fn rows(
    batch: &RecordBatch,
    before: usize,
    put: &mut dyn FnMut(Row) -> bool,
) -> Result<bool, String> {
    let schema = batch.schema_ref();
    let is_empty = batch.columns().iter().all(|column| column.get_buffer_memory_size() == 0);
    if is_empty && batch.num_rows() > MOST {
        return Err(format!("it has {} rows, and no values in them", batch.num_rows()));
    }
    for index in 0..batch.num_rows() {
        let value = |(column, array): (&Arc<Field>, &ArrayRef)| {
            let value = value(array.as_ref(), index).map_err(|why| {
                format!("row {}: the column {:?}: {why}", before + index + 1, column.name())
            })?;
            Ok((column.name().clone(), value))
        };
        let row = guarded(|| schema.fields().iter().zip(batch.columns()).map(value).collect())?;
        if !put(row) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A value of an array.
fn value(array: &dyn Array, at: usize) -> Result<Value, String> {
    if array.is_null(at) {
        return Ok(Value::Null);
    }
    macro_rules! number {
        ($kind:ty) => {
            array.as_primitive::<$kind>().value(at)
        };
    }
    Ok(match array.data_type() {
        Arrow::Null => Value::Null,
        Arrow::Boolean => Value::Bool(array.as_boolean().value(at)),
        Arrow::Int8 => Value::Int(number!(Int8Type).into()),
        Arrow::Int16 => Value::Int(number!(Int16Type).into()),
        Arrow::Int32 => Value::Int(number!(Int32Type).into()),
        Arrow::Int64 => Value::Int(number!(Int64Type)),
        Arrow::UInt8 => Value::Int(number!(UInt8Type).into()),
        Arrow::UInt16 => Value::Int(number!(UInt16Type).into()),
        Arrow::UInt32 => Value::Int(number!(UInt32Type).into()),
        Arrow::UInt64 => {
            let value = number!(UInt64Type);
            let whole = i64::try_from(value);
            Value::Int(whole.map_err(|_| {
                format!("{value} does not fit a whole number of 64 bits with a sign")
            })?)
        }
        Arrow::Float16 => float(number!(Float16Type).to_f64())?,
        Arrow::Float32 => float(number!(Float32Type).into())?,
        Arrow::Float64 => float(number!(Float64Type))?,
        Arrow::Utf8 => Value::Text(array.as_string::<i32>().value(at).to_owned()),
        Arrow::LargeUtf8 => Value::Text(array.as_string::<i64>().value(at).to_owned()),
        Arrow::Utf8View => Value::Text(array.as_string_view().value(at).to_owned()),
        Arrow::Binary => Value::Binary(array.as_binary::<i32>().value(at).to_vec()),
        Arrow::LargeBinary => Value::Binary(array.as_binary::<i64>().value(at).to_vec()),
        Arrow::BinaryView => Value::Binary(array.as_binary_view().value(at).to_vec()),
        Arrow::FixedSizeBinary(_) => Value::Binary(array.as_fixed_size_binary().value(at).to_vec()),
        Arrow::Date32 => Value::Date(day(number!(Date32Type).into())?),
        Arrow::Date64 => Value::Date(day(number!(Date64Type).div_euclid(86_400_000))?),
        Arrow::Timestamp(unit, _) => Value::Timestamp(match unit {
            TimeUnit::Second => moment(number!(TimestampSecondType), 1)?,
            TimeUnit::Millisecond => moment(number!(TimestampMillisecondType), 1_000)?,
            TimeUnit::Microsecond => moment(number!(TimestampMicrosecondType), 1_000_000)?,
            TimeUnit::Nanosecond => moment(number!(TimestampNanosecondType), 1_000_000_000)?,
        }),
        Arrow::FixedSizeList(item, size) if is_vector(item, *size) => {
            let items = array.as_fixed_size_list().value(at);
            Value::Vector(
                (0..items.len()).map(|at| narrow(items.as_ref(), at)).collect::<Result<_, _>>()?,
            )
        }
        Arrow::List(_) => list(array.as_list::<i32>().value(at).as_ref())?,
        Arrow::LargeList(_) => list(array.as_list::<i64>().value(at).as_ref())?,
        Arrow::FixedSizeList(..) => list(array.as_fixed_size_list().value(at).as_ref())?,
        Arrow::Struct(fields) => {
            let parts = array.as_struct().columns();
            let part = |(field, part): (&Arc<Field>, &ArrayRef)| {
                let value = value(part.as_ref(), at);
                Ok((
                    field.name().clone(),
                    value.map_err(|why| format!("{:?}: {why}", field.name()))?,
                ))
            };
            Value::Struct(fields.iter().zip(parts).map(part).collect::<Result<_, String>>()?)
        }
        Arrow::Dictionary(..) => {
            let array = array.as_any_dictionary();
            match value(array.keys(), at)? {
                Value::Int(key) => {
                    let key = usize::try_from(key).map_err(|_| "it is damaged".to_owned())?;
                    value(array.values().as_ref(), key)?
                }
                _ => Value::Null,
            }
        }
        other => return Err(format!("rooms have no type like {other}")),
    })
}

/// How many items a list may have, and how many rows a batch without any values. What has no values
/// may be as long as it says.
const MOST: usize = 1_000_000;

fn list(items: &dyn Array) -> Result<Value, String> {
    if items.len() > MOST {
        return Err(format!("a list of {} items is longer than a row may be", items.len()));
    }
    let item = |at| value(items, at).map_err(|why| format!("item {at}: {why}"));
    Ok(Value::List((0..items.len()).map(item).collect::<Result<_, _>>()?))
}

/// A number with a point, if it is one that JSON has.
pub(crate) fn float(value: f64) -> Result<Value, String> {
    match value.is_finite() {
        true => Ok(Value::Float(value)),
        false => Err(format!("{value} is no finite number, and a float is one")),
    }
}

/// A number of a vector.
fn narrow(items: &dyn Array, at: usize) -> Result<f32, String> {
    let number = match (items.is_null(at), items.data_type()) {
        (true, _) => return Err("a number of the vector is null".to_owned()),
        (false, Arrow::Float16) => items.as_primitive::<Float16Type>().value(at).to_f32(),
        (false, _) => items.as_primitive::<Float32Type>().value(at),
    };
    match number.is_finite() {
        true => Ok(number),
        false => Err(format!("a vector has no {number}")),
    }
}

/// The day that is so many after the beginning of 1970.
pub(crate) fn day(count: i64) -> Result<Date, String> {
    let wrong = || format!("the day {count} is out of range");
    let since = SignedDuration::try_from_hours(count.checked_mul(24).ok_or_else(wrong)?);
    date(1970, 1, 1).checked_add(since.ok_or_else(wrong)?).map_err(|_| wrong())
}

/// The moment that is so many after the beginning of 1970, of which a second has so many.
pub(crate) fn moment(count: i64, a_second: i64) -> Result<DateTime, String> {
    let finer = count.rem_euclid(a_second) * (1_000_000_000 / a_second);
    let finer = i32::try_from(finer).unwrap_or_default();
    let since = SignedDuration::new(count.div_euclid(a_second), finer);
    let moment = date(1970, 1, 1).at(0, 0, 0, 0).checked_add(since);
    moment.map_err(|_| format!("the moment {count} is out of range"))
}
