//! *Pure*: records of CSV files: texts below the names of their columns, which say what they are.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};
use meshagent_tables::value::Row;
use meshagent_tables::{Field, Kind, Value as Held};

use self::quotes::Quotes;
use crate::listed::counted;

mod quotes;

/// What is between two cells of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// As the name of CSV says.
    Comma,
    /// As in TSV.
    Tab,
}

/// Reads records with commas between their cells. As [`read_between`].
///
/// # Errors
///
/// What cannot be read, and where.
pub fn read(
    from: impl Read,
    columns: &[Field],
    put: &mut dyn FnMut(Row) -> bool,
) -> Result<(), String> {
    read_between(Between::Comma, from, columns, put)
}

/// Reads records, and gives each to `put`, until that says that nobody wants more.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn read_between(
    between: Between,
    from: impl Read,
    columns: &[Field],
    put: &mut dyn FnMut(Row) -> bool,
) -> Result<(), String> {
    let delimiter = match between {
        Between::Comma => b',',
        Between::Tab => b'\t',
    };
    let quotes = Quotes::new(from, delimiter);
    let mut lines = ReaderBuilder::new().delimiter(delimiter).from_reader(quotes);
    let titles = lines.headers().cloned();
    let titles = whole(titles, &lines)?;
    let fields = fields(&titles, columns)?;
    let mut record = StringRecord::new();
    loop {
        let is_there = lines.read_record(&mut record);
        if !whole(is_there, &lines)? {
            return Ok(());
        }
        let line = record.position().map_or(0, csv::Position::line);
        let value = |(field, cell): (&&Field, &str)| {
            let value = value(field, cell)
                .map_err(|why| format!("line {line}: the column {:?}: {why}", field.name))?;
            Ok::<_, String>((field.name.clone(), value))
        };
        let row = fields.iter().zip(record.iter()).map(value).collect::<Result<Row, _>>()?;
        if !put(row) {
            return Ok(());
        }
    }
}

/// What was read, if it was not cut off by the end of the file: what is behind a forgotten quote
/// looks like a long cell, or like cells that are missing.
fn whole<T>(read: csv::Result<T>, lines: &Reader<Quotes<impl Read>>) -> Result<T, String> {
    if let Some(line) = lines.get_ref().open() {
        return Err(format!("line {line}: a quote begins here that is never closed"));
    }
    read.map_err(told)
}

/// What is wrong with a line.
fn told(error: csv::Error) -> String {
    let at = |place: &Option<csv::Position>| {
        place.as_ref().map_or_else(String::new, |it| format!("line {}: ", it.line()))
    };
    match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let count = |count: u64| counted(usize::try_from(count).unwrap_or(usize::MAX), "cell");
            format!(
                "{}there {} {}, but the first line names {expected_len} columns",
                at(pos),
                if *len == 1 { "is" } else { "are" },
                count(*len)
            )
        }
        ErrorKind::Utf8 { pos, .. } => format!("{}it is not UTF-8", at(pos)),
        ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    }
}

/// The columns that the titles name.
fn fields<'a>(titles: &StringRecord, columns: &'a [Field]) -> Result<Vec<&'a Field>, String> {
    if titles.is_empty() {
        return Err("there is no first line, which names the columns".to_owned());
    }
    let mut fields: Vec<&Field> = Vec::with_capacity(titles.len());
    for (index, title) in titles.iter().enumerate() {
        let title = if index == 0 { title.trim_start_matches('\u{feff}') } else { title };
        let field = columns.iter().find(|field| field.name == title).ok_or_else(|| {
            let known: Vec<&str> = columns.iter().map(|field| field.name.as_str()).collect();
            format!("there is no column {title:?}; there are {}", known.join(", "))
        })?;
        if fields.iter().any(|other| other.name == title) {
            return Err(format!("two columns have the title {title:?}"));
        }
        fields.push(field);
    }
    Ok(fields)
}

/// What a text is in a column. An empty one is null where that is allowed.
fn value(field: &Field, cell: &str) -> Result<Held, String> {
    let wanted = &field.data_type;
    let is_text = wanted.kind == Kind::Text;
    if cell.is_empty() && (wanted.is_nullable() || !is_text) {
        return Held::Null.taken_as(wanted);
    }
    let wrong = || format!("{cell:?} is no {}", wanted.kind);
    let value = match &wanted.kind {
        Kind::Text | Kind::Date | Kind::Timestamp => Held::Text(cell.to_owned()),
        Kind::Bool => Held::Bool(match cell.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "1" => true,
            "false" | "f" | "no" | "0" => false,
            _ => return Err(wrong()),
        }),
        Kind::Int => Held::Int(cell.trim().parse().map_err(|_| wrong())?),
        Kind::Float => match cell.trim().parse() {
            Ok(number) if f64::is_finite(number) => Held::Float(number),
            Ok(_) => return Err(format!("{cell:?} is no finite number, and a float is one")),
            Err(_) => return Err(wrong()),
        },
        Kind::Binary => Held::Binary(STANDARD.decode(cell.trim()).map_err(|_| wrong())?),
        Kind::Vector { .. } | Kind::List(_) | Kind::Struct(_) => {
            let json =
                serde_json::from_str(cell).map_err(|error| format!("{}: {error}", wrong()))?;
            Held::of_plain(&json)?
        }
    };
    value.taken_as(wanted)
}

#[cfg(test)]
mod tests {
    use meshagent_tables::columns;
    use serde_json::{Value, json};

    use super::*;

    fn rows(defined: &str, text: &str) -> Result<Vec<Value>, String> {
        let mut rows = Vec::new();
        read(text.as_bytes(), &columns::parse(defined).unwrap(), &mut |row| {
            rows.push(Held::Struct(row).to_plain());
            true
        })?;
        Ok(rows)
    }

    #[test]
    fn texts_become_what_their_columns_have() {
        let defined = "i int, f float, b bool, t text, d date, m timestamp, x binary, v vector(2), l list(text), s struct(a int)";
        let text = "\u{feff}i,f,b,t,d,m,x,v,l,s\n\
            1,0.5,true,\"a,\"\"b\"\"\n2\",2026-11-30,2026-11-30T12:00:00Z,AP8=,\"[1,2]\",\"[\"\"x\"\"]\",\"{\"\"a\"\":1}\"\n\
            ,,,,,,,,,\n";
        let nothing = json!({
            "i": null, "f": null, "b": null, "t": null, "d": null, "m": null, "x": null,
            "v": null, "l": null, "s": null,
        });
        assert_eq!(
            rows(defined, text).unwrap(),
            [
                json!({
                    "i": 1, "f": 0.5, "b": true, "t": "a,\"b\"\n2", "d": "2026-11-30",
                    "m": "2026-11-30T12:00:00Z", "x": {"encoding": "base64", "data": "AP8="},
                    "v": [1.0, 2.0], "l": ["x"], "s": {"a": 1},
                }),
                nothing,
            ]
        );
        assert_eq!(rows("t text not null", "t\n\"\"\n").unwrap(), [json!({"t": ""})]);
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_line() {
        for (defined, text, why) in [
            ("a int", "a\n1\nx\n", "line 3: the column \"a\": \"x\" is no int"),
            ("a int not null, b int", "a,b\n,1\n", "line 2: the column \"a\": null is not allowed"),
            ("a date", "a\nsoon\n", "\"soon\" is no date"),
            ("a list(int)", "a\n[1\n", "\"[1\" is no list(int)"),
            ("a int, b int", "c\n1\n", "there is no column \"c\"; there are a, b"),
            ("a int", "a,a\n1,2\n", "two columns have the title \"a\""),
            ("a int, b int", "a,b\n1\n", "line 2: there is 1 cell, but the first line names 2"),
            ("a int, b text", "a,b\n3,\"x\n4,y\n5,z\n", "line 2: a quote begins here that is"),
            ("a int, b text", "a,b\n3,x\n\"4,y\n5,z\n", "line 3: a quote begins here that is"),
            ("a int, b text", "a,\"b\n3,x\n", "line 1: a quote begins here that is"),
            ("a int", "", "there is no first line, which names the columns"),
            ("a int", "\n\n", "there is no first line, which names the columns"),
            ("a float", "a\nNaN\n", "line 2: the column \"a\": \"NaN\" is no finite number"),
            ("a float", "a\n1e999\n", "\"1e999\" is no finite number"),
        ] {
            let told = rows(defined, text).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
        let mut odd = "a\n".as_bytes().to_vec();
        odd.push(0xff);
        let columns = columns::parse("a text").unwrap();
        assert_eq!(read(&*odd, &columns, &mut |_| true).unwrap_err(), "line 2: it is not UTF-8");
    }

    #[test]
    fn a_row_with_an_open_quote_is_not_given() {
        let columns = columns::parse("id int, name text").unwrap();
        let mut count = 0;
        let text = "id,name\n29,x\n30,\"a\n31,b\n";
        let read = read(text.as_bytes(), &columns, &mut |_| {
            count += 1;
            true
        });
        assert_eq!((read.is_err(), count), (true, 1));
    }

    #[test]
    fn cells_may_have_tabs_between_them() {
        let columns = columns::parse("a int, b text").unwrap();
        let mut rows = Vec::new();
        let text = "a\tb\n1\t\"x\ty\"\n2\tz, \n";
        read_between(Between::Tab, text.as_bytes(), &columns, &mut |row| {
            rows.push(Held::Struct(row).to_plain());
            true
        })
        .unwrap();
        assert_eq!(rows, [json!({"a": 1, "b": "x\ty"}), json!({"a": 2, "b": "z, "})]);
    }
}
