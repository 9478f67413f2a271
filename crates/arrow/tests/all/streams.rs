//! Rows that are written and read.

use meshagent_arrow::write::{Writer, columns_of};
use meshagent_tables::columns::parse;
use meshagent_tables::value::Row;
use meshagent_tables::{Field, Value};

use crate::common::{columns, read, rows, shown, stream};

fn row(name: &str, value: Value) -> Row {
    vec![(name.to_owned(), value)]
}

fn written(columns: &[Field]) -> String {
    columns.iter().map(meshagent_tables::columns::written).collect::<Vec<_>>().join(", ")
}

#[test]
fn rows_come_back_as_they_went() {
    let (told, back) = read(&stream(columns(), &rows())).unwrap();
    assert_eq!(written(&told), written(&columns()));
    assert_eq!(shown(&back), shown(&rows()));
    // Values as they come over the wire: a vector is a list there.
    let wire = rows().iter().map(|row| Value::Struct(row.clone()).to_wire()).collect::<Vec<_>>();
    let of_wire = |wire| match Value::of_wire(wire) {
        Ok(Value::Struct(row)) => row,
        other => panic!("{other:?}"),
    };
    let wire: Vec<Row> = wire.iter().map(of_wire).collect();
    assert_eq!(shown(&read(&stream(columns(), &wire)).unwrap().1), shown(&rows()));
}

#[test]
fn a_stream_without_rows_has_its_columns() {
    let (told, back) = read(&stream(columns(), &[])).unwrap();
    assert_eq!((written(&told), back), (written(&columns()), Vec::new()));
}

#[test]
fn what_is_written_can_be_read_before_the_end() {
    let mut writer = Writer::new(columns()).unwrap();
    let mut bytes = writer.taken();
    assert!(!bytes.is_empty());
    for row in rows() {
        writer.rows(&[row]).unwrap();
        let batch = writer.taken();
        assert!(!batch.is_empty());
        bytes.extend(batch);
    }
    // A stream that is not ended, but whole, has all its rows.
    assert_eq!(shown(&read(&bytes).unwrap().1), shown(&rows()));
}

#[test]
fn what_would_not_be_exact_is_refused_with_its_row_and_column() {
    let fine = Value::Timestamp("2026-11-30T12:00:00.000000001".parse().unwrap());
    let list = Value::List(vec![Value::Float(1.0)]);
    let extra = Value::Struct(vec![("b".to_owned(), Value::Null)]);
    for (kind, value, why) in [
        ("int", Value::Float(1.0), "a value of float is no int"),
        ("float", Value::Int(i64::MAX), "9223372036854775807 is no number with a point"),
        ("text", Value::Int(1), "a value of int is no text"),
        ("timestamp", fine, "2026-11-30T12:00:00.000000001Z is finer than a microsecond"),
        ("vector(2)", list, "there are 1 numbers, and a vector has 2"),
        ("vector(1)", Value::List(vec![Value::Null]), "a value of null is no number of a vector"),
        ("struct(a int)", extra, "the struct has no part \"b\""),
    ] {
        let mut writer = Writer::new(parse(&format!("c {kind}")).unwrap()).unwrap();
        writer.rows(&[row("c", Value::Null)]).unwrap();
        let told = writer.rows(&[row("c", Value::Null), row("c", value)]).unwrap_err();
        assert_eq!(told, format!("row 3: the column \"c\": {why}"));
    }
    let mut writer = Writer::new(parse("c int").unwrap()).unwrap();
    let told = writer.rows(&[row("d", Value::Null)]).unwrap_err();
    assert_eq!(told, "the rows before had no column \"d\"");
    let mut writer = Writer::new(parse("c int not null").unwrap()).unwrap();
    assert!(writer.rows(&[row("c", Value::Null)]).unwrap_err().contains("non-nullable"));
}

#[test]
fn planned_types_hold_where_values_fit_them() {
    let vector = Value::List(vec![Value::Float(1.0), Value::Float(2.0)]);
    let value =
        |it: Value| ["v", "f", "d", "n", "x"].map(|name| (name.to_owned(), it.clone())).to_vec();
    let mut first = value(Value::Null);
    first[0].1 = vector.clone();
    let mut second = first.clone();
    second[1].1 = Value::Int(1);
    second[2].1 = Value::Text("soon".to_owned());
    second[4].1 = vector;
    let planned = parse("v vector(2), f float, d date, n bool, y int").unwrap();
    let told = written(&columns_of(&planned, &[first, second]));
    assert_eq!(told, "v vector(2, float), f float, d text, n bool, x list(float)");
    assert_eq!(written(&columns_of(&planned, &[])), written(&planned));
    let nothing = columns_of(&[], &[value(Value::Null)]);
    assert_eq!(written(&nothing), "v text, f text, d text, n text, x text");
}
