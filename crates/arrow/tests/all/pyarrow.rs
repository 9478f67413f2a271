//! pyarrow as another reader and writer.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

use crate::common::{columns, read, read_parquet, rows, stream};
use crate::needs;

/// The variable that names a Python interpreter with DataFusion, below which pyarrow is.
const PYTHON: &str = "MESHAGENT_TEST_PYTHON_SQL";

/// What pyarrow answers; nothing where it is not at hand.
pub fn ask(words: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let python = std::env::var_os(PYTHON).filter(|python| !python.is_empty()).map(PathBuf::from);
    let needed = format!("Python with DataFusion, named by {PYTHON}");
    needs::met(python.is_some(), "the comparison with pyarrow", &needed);
    let mut child = Command::new(python?)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/all/reference.py"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "pyarrow fails: {}", output.status);
    Some(output.stdout)
}

/// The rows that pyarrow writes: one with values and one with none, in turn.
pub fn pair() -> [Json; 2] {
    let value = json!({
        "bool": true, "int8": -128, "int64": i64::MAX, "uint32": u32::MAX, "float": 0.5,
        "double": 0.1, "text": "ä\u{0}\n", "large": "large", "category": "red",
        "bytes": {"encoding": "base64", "data": "AP8="}, "date": "0001-01-01",
        "us": "2026-11-30T12:00:00.000001Z", "ms": "1969-12-31T23:59:59.999Z",
        "vector": [0.5, -1.5], "list": [1, null, 3], "struct": {"a": 1, "b": ["x", null]},
    });
    let names = value.as_object().unwrap().keys();
    let none = names.map(|name| (name.clone(), Json::Null)).collect();
    [value, Json::Object(none)]
}

/// What the columns of [`pair`] become.
pub const WRITTEN: &str = "bool bool, int8 int, int64 int, uint32 int, float float, double float, \
                       text text, large text, category text, bytes binary, date date, us timestamp, \
                       ms timestamp, vector vector(2, float), list list(int), \
                       struct struct(a int, b list(text))";

#[test]
fn pyarrow_reads_a_stream_exactly() {
    let Some(answer) = ask(&["read"], &stream(columns(), &rows())) else { return };
    let answer: Json = serde_json::from_slice(&answer).unwrap();
    let expected = json!([
        ["b", "bool", true],
        ["i", "int64", false],
        ["f", "double", true],
        ["t", "string", true],
        ["x", "binary", true],
        ["d", "date32[day]", true],
        ["m", "timestamp[us, tz=UTC]", true],
        ["v", "fixed_size_list<item: float>[2]", true],
        ["l", "list<item: int64>", true],
        ["s", "struct<a: int64, b: list<item: string>>", true],
    ]);
    assert_eq!(answer["fields"], expected);
    let tenth = f64::from(0.1_f32);
    let expected = json!([
        {
            "b": true, "i": i64::MAX, "f": 0.1, "t": "ä\u{0}\n\"", "x": {"bytes": "00ff"},
            "d": {"date": "2026-11-30"}, "m": {"datetime": "2026-11-30T12:00:00.000001+00:00"},
            "v": [tenth, -1.5], "l": [1, null], "s": {"a": 1, "b": ["x", null]},
        },
        {
            "b": null, "i": 0, "f": null, "t": null, "x": null, "d": null, "m": null, "v": null,
            "l": null, "s": null,
        },
        {
            "b": false, "i": i64::MIN, "f": f64::MIN_POSITIVE, "t": "", "x": {"bytes": ""},
            "d": {"date": "0001-01-01"}, "m": {"datetime": "9999-12-31T23:59:59.999999+00:00"},
            "v": [f64::from(f32::MAX), f64::from(f32::MIN_POSITIVE)], "l": [],
            "s": {"a": null, "b": null},
        },
    ]);
    assert_eq!(answer["rows"], expected);
}

#[test]
fn streams_and_files_that_pyarrow_writes_are_read_exactly() {
    let [value, none] = pair();
    for form in ["stream", "file"] {
        let Some(bytes) = ask(&["write", form], b"") else { return };
        let (told, rows) = read(&bytes).unwrap();
        let told: Vec<String> = told.iter().map(meshagent_tables::columns::written).collect();
        assert_eq!(told.join(", "), WRITTEN, "{form}");
        assert_eq!(rows.len(), 1000);
        let plain = |row: &[_]| meshagent_tables::Value::Struct(row.to_vec()).to_plain();
        for pair in rows.chunks(2) {
            assert_eq!([plain(&pair[0]), plain(&pair[1])], [value.clone(), none.clone()], "{form}");
        }
    }
    for codec in ["lz4", "zstd"] {
        let Some(bytes) = ask(&["write", "file", codec], b"") else { return };
        let told = read(&bytes).unwrap_err();
        assert_eq!(told, "its batches are compressed; write it without compression");
    }
}

#[test]
fn parquet_that_pyarrow_writes_is_read_exactly() {
    let [value, none] = pair();
    for codec in ["none", "snappy", "gzip", "zstd", "lz4"] {
        let Some(bytes) = ask(&["write", "parquet", codec], b"") else { return };
        let (told, rows) = read_parquet(&bytes).unwrap();
        let told: Vec<String> = told.iter().map(meshagent_tables::columns::written).collect();
        assert_eq!(told.join(", "), WRITTEN, "{codec}");
        assert_eq!(rows.len(), 1000);
        let plain = |row: &[_]| meshagent_tables::Value::Struct(row.to_vec()).to_plain();
        for pair in rows.chunks(2) {
            assert_eq!(
                [plain(&pair[0]), plain(&pair[1])],
                [value.clone(), none.clone()],
                "{codec}"
            );
        }
    }
    for (form, codec, why) in [
        ("parquet", "brotli", "it is compressed in a way that is not known here"),
        ("decimal", "", "the column \"price\": rooms have no type like a decimal of Parquet"),
    ] {
        let Some(bytes) = ask(&["write", form, codec], b"") else { return };
        let told = read_parquet(&bytes).unwrap_err();
        assert!(told.contains(why), "{told}");
    }
}
