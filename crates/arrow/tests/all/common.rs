//! Rows of every type, and streams of them.

use std::io::Write as _;

use meshagent_arrow::file::Table;
use meshagent_arrow::guard::is_reading;
use meshagent_arrow::stream::Reader;
use meshagent_arrow::write::Writer;
use meshagent_tables::value::Row;
use meshagent_tables::{Field, Value};
use serde_json::Value as Json;

/// Columns of every type.
pub const COLUMNS: &str = "b bool, i int not null, f float, t text, x binary, d date, m timestamp, \
                           v vector(2), l list(int), s struct(a int, b list(text))";

pub fn columns() -> Vec<Field> {
    meshagent_tables::columns::parse(COLUMNS).unwrap()
}

/// Rows of these columns: with all values, with the ends of their ranges, and with as many nulls as may be.
pub fn rows() -> Vec<Row> {
    let row =
        |values: Vec<Value>| columns().into_iter().map(|it| it.name).zip(values).collect::<Row>();
    let text = |it: &str| Value::Text(it.to_owned());
    let moment = |it: &str| Value::Timestamp(meshagent_tables::value::moment(it).unwrap());
    let mut none = vec![Value::Null; 10];
    none[1] = Value::Int(0);
    let parts = |a: Value, b: Value| Value::Struct(vec![("a".to_owned(), a), ("b".to_owned(), b)]);
    vec![
        row(vec![
            Value::Bool(true),
            Value::Int(i64::MAX),
            Value::Float(0.1),
            text("ä\u{0}\n\""),
            Value::Binary(vec![0, 255]),
            Value::Date("2026-11-30".parse().unwrap()),
            moment("2026-11-30T12:00:00.000001Z"),
            Value::Vector(vec![0.1, -1.5]),
            Value::List(vec![Value::Int(1), Value::Null]),
            parts(Value::Int(1), Value::List(vec![text("x"), Value::Null])),
        ]),
        row(none),
        row(vec![
            Value::Bool(false),
            Value::Int(i64::MIN),
            Value::Float(f64::MIN_POSITIVE),
            text(""),
            Value::Binary(Vec::new()),
            Value::Date("0001-01-01".parse().unwrap()),
            moment("9999-12-31T23:59:59.999999Z"),
            Value::Vector(vec![f32::MAX, f32::MIN_POSITIVE]),
            Value::List(Vec::new()),
            parts(Value::Null, Value::Null),
        ]),
    ]
}

/// Rows as a stream, each in a batch of its own.
pub fn stream(columns: Vec<Field>, rows: &[Row]) -> Vec<u8> {
    let mut writer = Writer::new(columns).unwrap();
    for row in rows {
        writer.rows(std::slice::from_ref(row)).unwrap();
    }
    writer.end().unwrap();
    writer.taken()
}

/// What is in a stream or a file.
pub fn read(bytes: &[u8]) -> Result<(Vec<Field>, Vec<Row>), String> {
    let reader = Reader::new(bytes)?;
    let (columns, mut rows) = (reader.columns().to_vec(), Vec::new());
    reader.rows(&mut |row| {
        rows.push(row);
        true
    })?;
    Ok((columns, rows))
}

/// What is in a file of Parquet.
pub fn read_parquet(bytes: &[u8]) -> Result<(Vec<Field>, Vec<Row>), String> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let table = Table::parquet(file)?;
    let (columns, mut rows) = (table.columns().to_vec(), Vec::new());
    table.rows(&mut |row| {
        rows.push(row);
        true
    })?;
    Ok((columns, rows))
}

/// A panic that becomes an error is told to nobody.
pub fn be_quiet() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !is_reading() {
            before(panic);
        }
    }));
}

/// Rows in their form on the wire, in which every type is named.
pub fn shown(rows: &[Row]) -> Vec<Json> {
    rows.iter().map(|row| Value::Struct(row.clone()).to_wire()).collect()
}
