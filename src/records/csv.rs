//! *Pure*: records of CSV files: texts below the names of their columns, which say what they are.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use csv::{ReaderBuilder, StringRecord};
use meshagent_tables::value::Row;
use meshagent_tables::{Field, Kind, Value as Held};

/// Reads records, and gives each to `put`, until that says that nobody wants more.
///
/// # Errors
///
/// What cannot be read, and where.
pub fn read(
    from: impl Read,
    columns: &[Field],
    put: &mut dyn FnMut(Row) -> bool,
) -> Result<(), String> {
    let mut lines = ReaderBuilder::new().from_reader(from);
    let titles = lines.headers().map_err(|error| error.to_string())?.clone();
    let fields = fields(&titles, columns)?;
    let mut record = StringRecord::new();
    while lines.read_record(&mut record).map_err(|error| error.to_string())? {
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
    Ok(())
}

/// The columns that the titles name.
fn fields<'a>(titles: &StringRecord, columns: &'a [Field]) -> Result<Vec<&'a Field>, String> {
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
        Kind::Float => Held::Float(cell.trim().parse().map_err(|_| wrong())?),
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
            ("a int, b int", "a,b\n1\n", "line: 2"),
        ] {
            let told = rows(defined, text).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
