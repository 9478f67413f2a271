//! Records that are read from a file, standard input, a URL or the command line, one by one: a file
//! may be larger than the memory.
//!
//! | module | holds |
//! |---|---|
//! | `columns` | records that are kept in columns |
//!
//! Must not live here: how records are written down, which is in `crate::records`.

use std::io::{BufReader, Cursor, Read};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context as Waker, Poll, ready};

use futures_util::Stream;
use meshagent_arrow::file::{Kind, Table};
use meshagent_tables::Field;
use meshagent_tables::value::Row;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use self::columns::{of_file, of_pieces, told};
use crate::api::http;
use crate::bounded;
use crate::commands::room::given::{STDIN, is_url, shown};
use crate::error::{Context, Error, Result};
use crate::records::csv::Between;
use crate::records::{csv, json};
use crate::room::database::weight;

mod columns;

/// How many records wait to be sent.
const WAITING: usize = 256;

/// How many pieces of what a server sends wait to be read.
const PIECES: usize = 16;

/// How records are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A list of objects, or objects one after another.
    Json,
    /// Texts between commas, below the names of their columns.
    Csv,
    /// Texts between tabs, below the names of their columns.
    Tsv,
    /// Columns of Arrow: a stream or a file.
    Arrow,
    /// Columns of Parquet.
    Parquet,
}

impl From<Kind> for Form {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Arrow => Self::Arrow,
            Kind::Parquet => Self::Parquet,
        }
    }
}

/// What is said of something that was taken for JSON and is none.
const NO_JSON: &str =
    "it was read as JSON, because its name says nothing else; but JSON begins with [ or {";

/// How records are read.
enum Way {
    /// One after another, in a form.
    Text(Box<dyn Read + Send>, Form),
    /// Out of columns.
    Columns(Table),
}

/// Where records come from. It is open, and no record was read.
pub struct Source {
    from: Way,
    /// Whether the form follows from the name alone.
    is_guessed: bool,
    /// What it is called.
    name: String,
}

/// Records on their way into a room.
pub struct Rows {
    rows: Receiver<Result<Row>>,
    name: String,
    count: u64,
    /// The number of the largest one, from 1, and about how many bytes it has.
    largest: Option<(u64, usize)>,
}

impl Rows {
    /// What is said of the largest record, for a room that did not take it.
    pub fn largest(&self) -> Option<String> {
        let (number, bytes) = self.largest?;
        let size = bytes as f64 / 1e6;
        Some(format!("row {number} of {}, which has about {size:.1} MB,", self.name))
    }
}

impl Stream for Rows {
    type Item = Result<Row>;

    fn poll_next(mut self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Option<Result<Row>>> {
        let next = ready!(self.rows.poll_recv(waker));
        if let Some(Ok(row)) = &next {
            self.count += 1;
            let bytes = weight(row);
            if self.largest.is_none_or(|(_, largest)| bytes > largest) {
                self.largest = Some((self.count, bytes));
            }
        }
        Poll::Ready(next)
    }
}

impl Source {
    /// What an option holds. It is read to its end, so that what is wrong is told at once.
    ///
    /// # Errors
    ///
    /// It is not a list of objects.
    pub fn inline(option: &str, text: &str) -> Result<Self> {
        let told = |why: String| {
            Error::usage(format!("{option} is not a list of records: {why}"))
                .hint("for example '[{\"id\": 1, \"name\": \"Ada\"}]'")
        };
        if !text.trim_start().starts_with('[') {
            return Err(told("it is not a JSON array".to_owned()));
        }
        json::read(text.as_bytes(), &mut |_| true).map_err(told)?;
        let from = Way::Text(Box::new(Cursor::new(text.to_owned())), Form::Json);
        Ok(Self { from, is_guessed: false, name: option.to_owned() })
    }

    /// What is at a place, in the form that is given, or else as its first bytes or its name say.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is of a form that cannot be read.
    pub async fn at(place: &str, form: Option<Form>) -> Result<Self> {
        let name = shown(place);
        let failed = || format!("failed to read {name}");
        let is_guessed = form.is_none();
        let mut file = None;
        let mut said = form;
        if !is_url(place) && place != STDIN {
            let mut opened =
                bounded::open(Path::new(place), usize::MAX - 1).context(failed)?.0.into_inner();
            // A pipe has a beginning once.
            if said.is_none() && opened.metadata().context(failed)?.is_file() {
                said = told(&mut opened).context(failed)?.map(Form::from);
            }
            file = Some(opened);
        }
        let form = said.map_or_else(|| form_of(place), Ok)?;
        let pieces = match place {
            _ if file.is_some() => None,
            url if is_url(url) => Some(Box::new(download(url).await?) as Box<dyn Read + Send>),
            _ => Some(Box::new(std::io::stdin()) as _),
        };
        let kind = match form {
            Form::Arrow => Kind::Arrow,
            Form::Parquet => Kind::Parquet,
            Form::Json | Form::Csv | Form::Tsv => {
                let file = || file.map(|it| Box::new(it) as Box<dyn Read + Send>);
                let from = pieces.or_else(file).unwrap_or_else(|| Box::new(std::io::empty()));
                return Ok(Self { from: Way::Text(from, form), is_guessed, name });
            }
        };
        // Whoever writes may take their time.
        let opened = tokio::task::spawn_blocking(move || match (file, pieces) {
            (Some(file), _) => of_file(file, kind),
            (None, Some(pieces)) => of_pieces(pieces, kind),
            (None, None) => Err("it is not there".to_owned()),
        });
        let table = opened.await.context(failed)?;
        let table = table.map_err(|why| Error::failed(failed()).because(why))?;
        Ok(Self { from: Way::Columns(table), is_guessed, name })
    }

    /// Whether its records are texts, so that columns must say what they are.
    pub fn needs_columns(&self) -> bool {
        matches!(self.from, Way::Text(_, Form::Csv | Form::Tsv))
    }

    /// Its columns, if it says itself what they are.
    pub fn columns(&self) -> Option<&[Field]> {
        match &self.from {
            Way::Text(..) => None,
            Way::Columns(table) => Some(table.columns()),
        }
    }

    /// The records; for those that are texts, the columns say what they are.
    pub fn rows(self, columns: Vec<Field>) -> Rows {
        let (sender, rows) = channel(WAITING);
        let name = self.name.clone();
        // A thread that waits for standard input must not keep the program from ending.
        std::thread::spawn(move || self.send(&columns, &sender));
        Rows { rows, name, count: 0, largest: None }
    }

    fn send(self, columns: &[Field], rows: &Sender<Result<Row>>) {
        let mut put = |row| rows.blocking_send(Ok(row)).is_ok();
        let mut hint = None;
        let buffered = |from| BufReader::with_capacity(64 * 1024, from);
        let done = match self.from {
            Way::Columns(table) => table.rows(&mut put),
            Way::Text(from, Form::Csv) => {
                csv::read_between(Between::Comma, buffered(from), columns, &mut put)
            }
            Way::Text(from, Form::Tsv) => {
                csv::read_between(Between::Tab, buffered(from), columns, &mut put)
            }
            Way::Text(from, _) => {
                let mut from = buffered(from);
                json::first(&mut from).map_err(|error| error.to_string()).and_then(|first| {
                    match first {
                        Some(first) if self.is_guessed && !matches!(first, b'[' | b'{') => {
                            hint = Some(match Kind::of(from.buffer()) {
                                Some(Kind::Arrow) => "--format arrow reads it as Arrow",
                                Some(Kind::Parquet) => "--format parquet reads it as Parquet",
                                None => "--format csv reads it as CSV",
                            });
                            Err(NO_JSON.to_owned())
                        }
                        _ => json::read(from, &mut put),
                    }
                })
            }
        };
        if let Err(why) = done {
            let mut error = Error::failed(format!("failed to read records of {}", self.name));
            error.hint = hint.map(str::to_owned);
            // Nobody reads on after an error of the room.
            let _ = rows.blocking_send(Err(error.because(why)));
        }
    }
}

/// The form that follows from the ending of a name.
fn form_of(place: &str) -> Result<Form> {
    let path = match is_url(place) {
        true => place.split(['?', '#']).next().unwrap_or_default(),
        false => place,
    };
    let ending = Path::new(path).extension().map(|it| it.to_ascii_lowercase());
    match ending.as_ref().and_then(|it| it.to_str()) {
        Some("csv") => Ok(Form::Csv),
        Some("tsv") => Ok(Form::Tsv),
        Some("arrow" | "arrows" | "feather") => Ok(Form::Arrow),
        Some("parquet") => Ok(Form::Parquet),
        Some("xls" | "xlsx" | "ods") => {
            Err(Error::usage(format!("{} cannot be read", shown(place))).hint(
                "records are read from JSON, JSON lines, CSV, TSV, Arrow and Parquet; convert the file first",
            ))
        }
        Some("gz" | "bz2" | "xz" | "zst" | "zip") => {
            Err(Error::usage(format!("{} is compressed", shown(place))).hint(
                "unpack it first; what `gunzip -c` prints can be piped in, with `-` for the file and --format",
            ))
        }
        _ => Ok(Form::Json),
    }
}

/// What a server sends, piece by piece.
struct Pieces {
    pieces: Receiver<std::io::Result<Vec<u8>>>,
    piece: Cursor<Vec<u8>>,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let count = self.piece.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = Cursor::new(piece?),
                None => return Ok(0),
            }
        }
    }
}

/// Begins to read what is behind a URL.
async fn download(url: &str) -> Result<Pieces> {
    let failed = || format!("failed to read {}", shown(url));
    let answer = http::send(http::of_anything(url)?.get(url)).await.context(failed)?;
    if !answer.status().is_success() {
        let cause = format!("the server answered with {}", answer.status());
        return Err(Error::failed(failed()).because(cause));
    }
    let (sender, pieces) = channel(PIECES);
    tokio::spawn(async move {
        let mut answer = answer;
        loop {
            let piece = match http::piece(&mut answer).await {
                Ok(Some(piece)) => Ok(piece),
                Ok(None) => break,
                Err(error) => Err(std::io::Error::other(error)),
            };
            let is_last = piece.is_err();
            if sender.send(piece).await.is_err() || is_last {
                break;
            }
        }
    });
    Ok(Pieces { pieces, piece: Cursor::default() })
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[test]
    fn the_ending_of_a_name_says_how_records_are_written() {
        for (place, form) in [
            ("a.json", Form::Json),
            ("a.jsonl", Form::Json),
            ("-", Form::Json),
            ("folder.csv/a", Form::Json),
            ("a.CSV", Form::Csv),
            ("a.tsv", Form::Tsv),
            ("a.arrows", Form::Arrow),
            ("a.parquet", Form::Parquet),
            ("https://example.com/a.csv?token=x.json", Form::Csv),
        ] {
            assert_eq!(form_of(place).unwrap(), form, "{place}");
        }
        assert!(form_of("a.xlsx").unwrap_err().to_string().contains("cannot be read"));
        assert!(form_of("a.csv.gz").unwrap_err().to_string().contains("is compressed"));
    }

    /// The rows of a text, and what went wrong.
    async fn read(
        (text, form, is_guessed): (&str, Form, bool),
        columns: &str,
    ) -> (Vec<Row>, Option<Error>, Rows) {
        let from = Box::new(Cursor::new(text.to_owned()));
        let from = Way::Text(from, form);
        let source = Source { from, is_guessed, name: "rows".to_owned() };
        let columns = meshagent_tables::columns::parse(columns).unwrap();
        let mut rows = source.rows(columns);
        let mut read = Vec::new();
        loop {
            match rows.next().await {
                Some(Ok(row)) => read.push(row),
                Some(Err(error)) => return (read, Some(error), rows),
                None => return (read, None, rows),
            }
        }
    }

    #[tokio::test]
    async fn what_is_taken_for_json_and_is_none_is_told_with_the_option() {
        let text = "id,name\n1,a\n";
        let (_, error, _) = read((text, Form::Json, true), "id int").await;
        let error = error.unwrap();
        let told = crate::error::with_causes(&error);
        assert!(told.contains("failed to read records of rows: it was read as JSON"), "{told}");
        assert_eq!(error.hint.as_deref(), Some("--format csv reads it as CSV"));
        // Who said that it is JSON knows of the option.
        let (_, error, _) = read((text, Form::Json, false), "id int").await;
        assert_eq!(error.unwrap().hint, None);
        let (rows, error, _) = read((text, Form::Csv, false), "id int, name text").await;
        assert!(error.is_none() && rows.len() == 1);
        let (rows, error, _) = read((" ", Form::Json, true), "id int").await;
        assert!(error.is_none() && rows.is_empty());
    }

    #[tokio::test]
    async fn the_largest_row_is_known_by_its_number() {
        let text = format!("id\n1\n{}\n2\n", "x".repeat(5_000_000));
        let (_, _, rows) = read((&text, Form::Csv, false), "id text").await;
        let told = "row 2 of rows, which has about 5.0 MB,";
        assert_eq!(rows.largest().as_deref(), Some(told));
    }

    #[test]
    fn what_an_option_holds_is_a_list_of_objects() {
        assert!(Source::inline("--json", " [{\"a\": 1}]").is_ok());
        for odd in ["{\"a\": 1}", "[1]", "[{}", "", "[{\"a\": 1}] x"] {
            assert!(Source::inline("--json", odd).is_err(), "{odd}");
        }
    }
}
