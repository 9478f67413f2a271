//! Files of Parquet that are cut off, changed, or not what they say: there are rows or an error, and no
//! panic.

use std::sync::Arc;

use meshagent_tables::Value;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::common::{be_quiet, read_parquet};

/// A file with 100 numbers and 100 texts, in two groups of rows.
fn file() -> Vec<u8> {
    let columns = "message rows { required int64 id; optional binary name (UTF8); }";
    let columns = Arc::new(parse_message_type(columns).unwrap());
    let packed = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), columns, Arc::new(packed)).unwrap();
    for first in [0_i64, 50] {
        let mut group = writer.next_row_group().unwrap();
        let ids: Vec<i64> = (first..first + 50).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        let names: Vec<ByteArray> =
            ids.iter().map(|id| format!("name {id}").as_str().into()).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&names, Some(&[1; 50]), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
fn groups_of_rows_follow_each_other() {
    let (columns, rows) = read_parquet(&file()).unwrap();
    let columns: Vec<String> = columns.iter().map(meshagent_tables::columns::written).collect();
    assert_eq!(columns.join(", "), "id int not null, name text");
    assert_eq!(rows.len(), 100);
    for (id, row) in rows.iter().enumerate() {
        let id = i64::try_from(id).unwrap();
        let expected = [
            ("id".to_owned(), Value::Int(id)),
            ("name".to_owned(), Value::Text(format!("name {id}"))),
        ];
        assert_eq!(*row, expected);
    }
}

#[test]
fn a_file_that_is_cut_off_is_told() {
    be_quiet();
    let whole = file();
    for length in 0..whole.len() {
        let told = read_parquet(&whole[..length]).unwrap_err();
        assert!(
            told.starts_with("it is no Parquet file") || told.starts_with("it is cut off"),
            "{told}"
        );
    }
    // In the middle, so that its beginning and its end are right.
    for length in (7..whole.len() - 100).step_by(7) {
        let mut cut = whole.clone();
        cut.drain(50..50 + length);
        assert!(read_parquet(&cut).is_err());
    }
}

#[test]
fn a_changed_byte_makes_no_panic() {
    be_quiet();
    let whole = file();
    let mut told = 0;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= [0x01, 0x80, 0xff, 0x7f][at % 4];
        told += usize::from(read_parquet(&changed).is_err());
    }
    assert!(told > whole.len() / 4, "{told} of {}", whole.len());
}

#[test]
fn what_is_no_parquet_is_told() {
    let mut long = file();
    let length = long.len();
    long[length - 8..length - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    for (bytes, why) in [
        (&b""[..], "it is no Parquet file"),
        (b"PAR1PAR1", "it is no Parquet file"),
        (b"id,name\n1,Ada\n", "it is no Parquet file"),
        (&long, "it is damaged: what it says of itself is longer than it can be"),
    ] {
        assert_eq!(read_parquet(bytes).unwrap_err(), why);
    }
}
