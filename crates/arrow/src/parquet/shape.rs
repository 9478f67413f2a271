//! What the columns of a file are, and the values in them.

use meshagent_tables::{DataType, Field as Column, Kind, Value};
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::record::Field;
use parquet::schema::types::Type;

use crate::read::{day, float, moment};
use crate::types::DEPTH;

/// What a column is, or a part of one.
pub enum Shape {
    /// A value that has nothing inside, and whether it may be null.
    Plain(Kind, bool),
    /// A moment, and in what it is counted.
    Moment(TimeUnit, bool),
    /// So many numbers. They are a list in the file.
    Vector(u32),
    /// Values of one type.
    List(Box<Self>, bool),
    /// Values with names.
    Struct(Vec<(String, Self)>, bool),
}

impl Shape {
    /// What a column of a file is.
    ///
    /// # Errors
    ///
    /// A type that rooms have not got.
    pub fn of(told: &Type) -> Result<Self, String> {
        Self::at(told, 0)
    }

    fn at(told: &Type, depth: usize) -> Result<Self, String> {
        if depth > DEPTH {
            return Err(format!("types are nested at most {DEPTH} deep"));
        }
        let about = told.get_basic_info();
        let repeated = about.has_repetition() && about.repetition() == Repetition::REPEATED;
        let is_nullable = about.has_repetition() && about.repetition() == Repetition::OPTIONAL;
        // A list as old writers have it.
        match repeated {
            true => Ok(Self::List(Box::new(Self::one(told, false, depth + 1)?), false)),
            false => Self::one(told, is_nullable, depth),
        }
    }

    /// What it is, without regard to how often.
    fn one(told: &Type, is_nullable: bool, depth: usize) -> Result<Self, String> {
        let about = told.get_basic_info();
        if told.is_primitive() {
            return Self::plain(told, is_nullable);
        }
        match about.converted_type() {
            ConvertedType::LIST => {
                let [items] = told.get_fields() else { return Err(no("an empty list")) };
                let item = match (is_item(items), items.is_group().then(|| items.get_fields())) {
                    (false, Some([item])) => Self::at(item, depth + 1)?,
                    _ => Self::one(items, false, depth + 1)?,
                };
                Ok(Self::List(Box::new(item), is_nullable))
            }
            ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE => Err(no("a map")),
            _ => {
                let part = |part: &std::sync::Arc<Type>| {
                    Ok((part.name().to_owned(), Self::at(part, depth + 1)?))
                };
                let parts =
                    told.get_fields().iter().map(part).collect::<Result<Vec<_>, String>>()?;
                Ok(Self::Struct(parts, is_nullable))
            }
        }
    }

    fn plain(told: &Type, is_nullable: bool) -> Result<Self, String> {
        use ConvertedType as Old;
        let about = told.get_basic_info();
        let old = about.converted_type();
        let unit = match (about.logical_type_ref(), old) {
            (Some(LogicalType::Timestamp(it)), _) => Some(it.unit),
            (_, Old::TIMESTAMP_MILLIS) => Some(TimeUnit::MILLIS),
            (_, Old::TIMESTAMP_MICROS) => Some(TimeUnit::MICROS),
            _ => None,
        };
        if let Some(unit) = unit {
            return Ok(Self::Moment(unit, is_nullable));
        }
        let kind = match (told.get_physical_type(), about.logical_type_ref()) {
            (_, Some(LogicalType::Decimal(_))) => return Err(no("a decimal")),
            (_, Some(LogicalType::Time(_))) => return Err(no("a time of day")),
            (_, _) if matches!(old, Old::DECIMAL) => return Err(no("a decimal")),
            (_, _) if matches!(old, Old::TIME_MILLIS | Old::TIME_MICROS) => {
                return Err(no("a time of day"));
            }
            (_, _) if matches!(old, Old::INTERVAL) => return Err(no("a span of time")),
            (Physical::BOOLEAN, _) => Kind::Bool,
            (Physical::INT32, Some(LogicalType::Date)) => Kind::Date,
            (Physical::INT32, _) if old == Old::DATE => Kind::Date,
            (Physical::INT32 | Physical::INT64, _) => Kind::Int,
            (Physical::INT96, _) => return Err(no("a timestamp of 96 bits")),
            (Physical::FLOAT | Physical::DOUBLE, _) => Kind::Float,
            (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Float16)) => Kind::Float,
            (
                Physical::BYTE_ARRAY,
                Some(LogicalType::String | LogicalType::Enum | LogicalType::Json),
            ) => Kind::Text,
            (Physical::BYTE_ARRAY, _) if matches!(old, Old::UTF8 | Old::ENUM | Old::JSON) => {
                Kind::Text
            }
            (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, _) => Kind::Binary,
        };
        Ok(Self::Plain(kind, is_nullable))
    }

    /// The type that a column of a table has for it.
    pub fn data_type(&self) -> DataType {
        let (kind, is_nullable) = match self {
            Self::Plain(kind, is_nullable) => (kind.clone(), *is_nullable),
            Self::Moment(_, is_nullable) => (Kind::Timestamp, *is_nullable),
            Self::Vector(size) => {
                (Kind::Vector { size: *size, element: Box::new(Kind::Float.into()) }, true)
            }
            Self::List(item, is_nullable) => (Kind::List(Box::new(item.data_type())), *is_nullable),
            Self::Struct(parts, is_nullable) => {
                let part = |(name, shape): &(String, Self)| Column {
                    name: name.clone(),
                    data_type: shape.data_type(),
                };
                (Kind::Struct(parts.iter().map(part).collect()), *is_nullable)
            }
        };
        DataType { nullable: (!is_nullable).then_some(false), ..kind.into() }
    }

    /// A value of it.
    ///
    /// # Errors
    ///
    /// Rooms have no place for it.
    pub fn value(&self, told: Field) -> Result<Value, String> {
        Ok(match (self, told) {
            (_, Field::Null) => Value::Null,
            (Self::Moment(unit, _), told) => {
                Value::Timestamp(moment(count(&told)?, a_second(*unit))?)
            }
            (Self::Plain(Kind::Date, _), told) => Value::Date(day(count(&told)?)?),
            (Self::Plain(Kind::Text, _), Field::Bytes(bytes)) => {
                let text = String::from_utf8(bytes.data().to_vec());
                Value::Text(text.map_err(|_| "a text is not UTF-8")?)
            }
            (Self::Plain(Kind::Int, _), told) => Value::Int(count(&told)?),
            (_, Field::Bool(value)) => Value::Bool(value),
            (_, Field::Float16(value)) => float(value.to_f64())?,
            (_, Field::Float(value)) => float(value.into())?,
            (_, Field::Double(value)) => float(value)?,
            (_, Field::Str(text)) => Value::Text(text),
            (_, Field::Bytes(bytes)) => Value::Binary(bytes.data().to_vec()),
            (Self::Vector(size), Field::ListInternal(list)) => {
                let number = |item: &Field| match item {
                    Field::Float(value) if value.is_finite() => Ok(*value),
                    other => Err(format!("a vector has no {other}")),
                };
                let numbers = list.elements().iter().map(number).collect::<Result<Vec<_>, _>>()?;
                if u32::try_from(numbers.len()) != Ok(*size) {
                    return Err(format!(
                        "there are {} numbers, and a vector has {size}",
                        numbers.len()
                    ));
                }
                Value::Vector(numbers)
            }
            (Self::List(shape, _), Field::ListInternal(list)) => {
                let item = |(at, item): (usize, &Field)| {
                    let value = shape.value(item.clone());
                    value.map_err(|why| format!("item {at}: {why}"))
                };
                let items = list.elements().iter().enumerate().map(item);
                Value::List(items.collect::<Result<_, _>>()?)
            }
            (Self::Struct(shapes, _), Field::Group(parts)) => {
                let part = |((name, told), (_, shape)): ((String, Field), &(String, Self))| {
                    let value = shape.value(told).map_err(|why| format!("{name:?}: {why}"))?;
                    Ok::<_, String>((name, value))
                };
                let parts = parts.into_columns().into_iter().zip(shapes).map(part);
                Value::Struct(parts.collect::<Result<_, _>>()?)
            }
            (_, _) => return Err("it is damaged: a value is not of its column's type".to_owned()),
        })
    }
}

/// Whether what is repeated is an item of a list itself, and not around one, as old writers have it.
fn is_item(repeated: &Type) -> bool {
    let is_around = repeated.is_group() && repeated.get_fields().len() == 1;
    !is_around || repeated.name() == "array" || repeated.name().ends_with("_tuple")
}

/// A whole number of any size.
fn count(told: &Field) -> Result<i64, String> {
    Ok(match *told {
        Field::Byte(value) => value.into(),
        Field::Short(value) => value.into(),
        Field::Int(value) | Field::Date(value) => value.into(),
        Field::UByte(value) => value.into(),
        Field::UShort(value) => value.into(),
        Field::UInt(value) => value.into(),
        Field::Long(value) | Field::TimestampMillis(value) | Field::TimestampMicros(value) => value,
        Field::ULong(value) => i64::try_from(value)
            .map_err(|_| format!("{value} does not fit a whole number of 64 bits with a sign"))?,
        _ => return Err("it is damaged: a value is not of its column's type".to_owned()),
    })
}

/// How many of a unit a second has.
const fn a_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    }
}

fn no(what: &str) -> String {
    format!("rooms have no type like {what} of Parquet; cast it to text or float")
}
