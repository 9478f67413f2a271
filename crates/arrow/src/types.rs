//! Types of columns, here and in Arrow.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType as Arrow, Field as Column, Fields, Schema, TimeUnit};
use meshagent_tables::data_type::LONGEST_VECTOR;
use meshagent_tables::{DataType, Field, Kind};

/// How deep types may be nested, as in a table.
pub(crate) const DEPTH: usize = 16;

/// What the items of lists are called. Arrow's own libraries call them so.
const ITEM: &str = "item";

/// Columns as Arrow has them.
#[must_use]
pub fn schema(columns: &[Field]) -> Schema {
    Schema::new(columns.iter().map(column).collect::<Fields>())
}

/// A column, or a part of a struct, as Arrow has it.
fn column(field: &Field) -> Column {
    named(&field.name, &field.data_type)
}

fn named(name: &str, data_type: &DataType) -> Column {
    let metadata: HashMap<_, _> = data_type.metadata.iter().cloned().collect();
    Column::new(name, arrow(&data_type.kind), data_type.is_nullable()).with_metadata(metadata)
}

/// The items of a list.
pub(crate) fn item(element: &DataType) -> Arc<Column> {
    Arc::new(named(ITEM, element))
}

/// The numbers of a vector: those of 32 bits, as tables keep them.
pub(crate) fn number() -> Arc<Column> {
    Arc::new(Column::new(ITEM, Arrow::Float32, true))
}

/// The parts of a struct.
pub(crate) fn parts(fields: &[Field]) -> Fields {
    fields.iter().map(column).collect()
}

/// A kind of values as Arrow has it.
fn arrow(kind: &Kind) -> Arrow {
    match kind {
        Kind::Bool => Arrow::Boolean,
        Kind::Int => Arrow::Int64,
        Kind::Float => Arrow::Float64,
        Kind::Text => Arrow::Utf8,
        Kind::Binary => Arrow::Binary,
        Kind::Date => Arrow::Date32,
        Kind::Timestamp => Arrow::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Vector { size, .. } => Arrow::FixedSizeList(number(), size.cast_signed()),
        Kind::List(element) => Arrow::List(item(element)),
        Kind::Struct(fields) => Arrow::Struct(parts(fields)),
    }
}

/// The columns of a file, as a table has them.
///
/// # Errors
///
/// A type that rooms have not got, or two columns with one name.
pub fn columns(schema: &Schema) -> Result<Vec<Field>, String> {
    let field = |column: &Arc<Column>| {
        let data_type = of_arrow(column.data_type(), 0);
        let kind = data_type.map_err(|why| format!("the column {:?}: {why}", column.name()))?;
        Ok(Field { name: column.name().clone(), data_type: nullable(kind, column) })
    };
    let columns = schema.fields().iter().map(field).collect::<Result<Vec<_>, String>>()?;
    match twice(&columns) {
        Some(name) => Err(format!("two columns have the name {name:?}")),
        None => Ok(columns),
    }
}

/// A name that two have.
pub(crate) fn twice(fields: &[Field]) -> Option<&str> {
    let mut seen = HashSet::new();
    fields.iter().map(|field| field.name.as_str()).find(|name| !seen.insert(*name))
}

fn nullable(kind: Kind, column: &Column) -> DataType {
    DataType { nullable: (!column.is_nullable()).then_some(false), ..kind.into() }
}

fn of_arrow(told: &Arrow, depth: usize) -> Result<Kind, String> {
    if depth > DEPTH {
        return Err(format!("types are nested at most {DEPTH} deep"));
    }
    let list = |item: &Column| {
        let element = of_arrow(item.data_type(), depth + 1)?;
        Ok::<_, String>(Kind::List(Box::new(nullable(element, item))))
    };
    Ok(match told {
        // A column of nothing takes texts, as if the rows had been JSON.
        Arrow::Null | Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View => Kind::Text,
        Arrow::Boolean => Kind::Bool,
        it if it.is_integer() => Kind::Int,
        Arrow::Float16 | Arrow::Float32 | Arrow::Float64 => Kind::Float,
        Arrow::Binary | Arrow::LargeBinary | Arrow::BinaryView | Arrow::FixedSizeBinary(_) => {
            Kind::Binary
        }
        Arrow::Date32 | Arrow::Date64 => Kind::Date,
        Arrow::Timestamp(..) => Kind::Timestamp,
        Arrow::FixedSizeList(item, size) if is_vector(item, *size) => {
            Kind::Vector { size: size.cast_unsigned(), element: Box::new(Kind::Float.into()) }
        }
        Arrow::List(item) | Arrow::LargeList(item) | Arrow::FixedSizeList(item, _) => list(item)?,
        Arrow::Struct(fields) => {
            let field = |part: &Arc<Column>| {
                let kind = of_arrow(part.data_type(), depth + 1)?;
                Ok(Field { name: part.name().clone(), data_type: nullable(kind, part) })
            };
            let fields = fields.iter().map(field).collect::<Result<Vec<_>, String>>()?;
            if let Some(name) = twice(&fields) {
                return Err(format!("two parts of a struct have the name {name:?}"));
            }
            Kind::Struct(fields)
        }
        Arrow::Dictionary(_, value) => of_arrow(value, depth + 1)?,
        other => return Err(format!("rooms have no type like {}", short(other))),
    })
}

/// Whether lists are vectors: so many numbers of 32 bits or less. Those of 64 would lose digits.
pub(crate) fn is_vector(item: &Column, size: i32) -> bool {
    let is_number = matches!(item.data_type(), Arrow::Float16 | Arrow::Float32);
    is_number && u32::try_from(size).is_ok_and(|size| (1..=LONGEST_VECTOR).contains(&size))
}

/// A type as a message has it: without what is inside of it.
fn short(told: &Arrow) -> String {
    let text = match told {
        Arrow::Map(..) => "Map".to_owned(),
        Arrow::Union(..) => "Union".to_owned(),
        Arrow::RunEndEncoded(..) => "RunEndEncoded".to_owned(),
        Arrow::ListView(_) | Arrow::LargeListView(_) => "ListView".to_owned(),
        other => other.to_string(),
    };
    format!("{text} of Arrow")
}

#[cfg(test)]
mod tests {
    use meshagent_tables::columns::parse;

    use super::*;

    #[test]
    fn columns_come_back_as_they_went() {
        let all = "b bool, i int not null, f float, t text, x binary, d date, m timestamp, \
                   v vector(3), l list(int), s struct(a int, b list(struct(c text)))";
        let told = parse(all).unwrap();
        let back = columns(&schema(&told)).unwrap();
        assert_eq!(back.len(), told.len());
        for (back, told) in back.iter().zip(&told) {
            assert_eq!((&back.name, &back.data_type.kind), (&told.name, &told.data_type.kind));
            assert_eq!(back.data_type.is_nullable(), told.data_type.is_nullable());
        }
    }

    #[test]
    fn what_rooms_have_no_type_for_is_told_with_its_column() {
        let deep = (0..40)
            .fold(Arrow::Int8, |inner, _| Arrow::List(Arc::new(Column::new(ITEM, inner, true))));
        let pair = Fields::from(vec![Column::new("a", Arrow::Int8, true); 2]);
        for (told, why) in [
            (Arrow::Decimal128(10, 2), "rooms have no type like Decimal128(10, 2) of Arrow"),
            (Arrow::Time64(TimeUnit::Nanosecond), "rooms have no type like Time64(ns) of Arrow"),
            (deep, "types are nested at most 16 deep"),
            (Arrow::Struct(pair), "two parts of a struct have the name \"a\""),
        ] {
            let told = columns(&Schema::new(vec![Column::new("x", told, true)])).unwrap_err();
            assert_eq!(told, format!("the column \"x\": {why}"));
        }
        let pair = Schema::new(vec![Column::new("a", Arrow::Int8, true); 2]);
        assert_eq!(columns(&pair).unwrap_err(), "two columns have the name \"a\"");
    }
}
