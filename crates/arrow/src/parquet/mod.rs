//! Files of Parquet: one row after another, out of one group of rows at a time.
//!
//! | module | holds |
//! |---|---|
//! | `checked` | a file, of which nothing is read whose lengths make no sense |
//! | `compact` | the notation of what is not a value in such a file |
//! | `shape` | what its columns are, and the values in them |

use std::fs::File;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meshagent_tables::value::Row;
use meshagent_tables::{DataType, Field, Kind};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;

use self::checked::Checked;
use self::shape::Shape;
use crate::guard::guarded;
use crate::{stream, types};

mod checked;
mod compact;
mod shape;

/// What a file begins with, and ends with.
pub const MAGIC: &[u8; 4] = b"PAR1";

/// The rows of a file, of which the columns are known.
pub struct Reader {
    file: SerializedFileReader<Checked>,
    shapes: Vec<Shape>,
    columns: Vec<Field>,
}

impl Reader {
    /// Reads the columns of a file.
    ///
    /// # Errors
    ///
    /// It is no such file, is damaged, or has a column of a type that rooms have not got.
    pub fn new(file: File) -> Result<Self, String> {
        guarded(|| {
            let file = Checked::new(file)?;
            let file = SerializedFileReader::new(file).map_err(told)?;
            let about = file.metadata();
            let root = about.file_metadata().schema();
            let mut columns = Vec::new();
            let mut shapes = Vec::new();
            for part in root.get_fields() {
                let shape = Shape::of(part);
                let shape = shape.map_err(|why| format!("the column {:?}: {why}", part.name()))?;
                columns.push(Field { name: part.name().to_owned(), data_type: shape.data_type() });
                shapes.push(shape);
            }
            if let Some(name) = types::twice(&columns) {
                return Err(format!("two columns have the name {name:?}"));
            }
            for (index, size) in vectors(about, &columns) {
                shapes[index] = Shape::Vector(size);
                let kind = Kind::Vector { size, element: Box::new(Kind::Float.into()) };
                columns[index].data_type = DataType { kind, ..columns[index].data_type.clone() };
            }
            Ok(Self { file, shapes, columns })
        })
    }

    /// Its columns.
    #[must_use]
    pub fn columns(&self) -> &[Field] {
        &self.columns
    }

    /// Reads its rows, and gives each to `put`, until that says that nobody wants more.
    ///
    /// # Errors
    ///
    /// What cannot be read, and where.
    pub fn rows(self, put: &mut dyn FnMut(Row) -> bool) -> Result<(), String> {
        let mut rows = guarded(|| RowIter::from_file(None, &self.file).map_err(told))?;
        for number in 1.. {
            let next = guarded(|| {
                let Some(row) = rows.next().transpose().map_err(told)? else { return Ok(None) };
                let value = |((name, field), shape): ((String, _), &Shape)| {
                    let value = shape.value(field);
                    let value = value.map_err(|why| format!("the column {name:?}: {why}"))?;
                    Ok::<_, String>((name, value))
                };
                let row = row.into_columns().into_iter().zip(&self.shapes).map(value);
                row.collect::<Result<Row, _>>().map(Some)
            });
            let row = next.map_err(|why| format!("row {number}: {why}"))?;
            if !row.is_some_and(&mut *put) {
                break;
            }
        }
        Ok(())
    }
}

/// Columns that are vectors, with their sizes. The file's own types have none; but whoever keeps rows in
/// Arrow writes down the columns as Arrow has them as well.
fn vectors(about: &ParquetMetaData, columns: &[Field]) -> Vec<(usize, u32)> {
    let kept = about.file_metadata().key_value_metadata();
    let kept = kept.and_then(|pairs| pairs.iter().find(|pair| pair.key == "ARROW:schema"));
    let message = kept.and_then(|pair| STANDARD.decode(pair.value.as_ref()?).ok());
    let Some(mut message) = message else { return Vec::new() };
    // What is read as a stream has an end.
    message.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let Ok(told) = stream::Reader::new(&message[..]) else { return Vec::new() };
    let vector = |(index, field): (usize, &Field)| {
        let told = told.columns().get(index).filter(|it| it.name == field.name)?;
        match (&told.data_type.kind, &field.data_type.kind) {
            (Kind::Vector { size, .. }, Kind::List(item)) if item.kind == Kind::Float => {
                Some((index, *size))
            }
            _ => None,
        }
    };
    columns.iter().enumerate().filter_map(vector).collect()
}

/// What is wrong with a file.
fn told(error: ParquetError) -> String {
    match error {
        ParquetError::NYI(why) => format!("it cannot be read here: {why}"),
        ParquetError::General(why) if why.contains("Disabled feature") || why.contains("codec") => {
            "it is compressed in a way that is not known here; write it with snappy or zstd"
                .to_owned()
        }
        ParquetError::General(why) | ParquetError::EOF(why) => format!("it is damaged: {why}"),
        other => format!("it is damaged: {other}"),
    }
}
