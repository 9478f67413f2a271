//! Records that are read from a file, standard input, a URL or the command line, one by one: a file
//! may be larger than the memory.
//!
//! Must not live here: how records are written down, which is in `crate::records`.

use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use futures_util::{Stream, stream};
use meshagent_tables::Field;
use meshagent_tables::value::Row;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::api::http;
use crate::bounded;
use crate::commands::room::given::{STDIN, is_url, shown};
use crate::error::{Context, Error, Result};
use crate::records::{csv, json};

/// How many records wait to be sent.
const WAITING: usize = 256;

/// How many pieces of what a server sends wait to be read.
const PIECES: usize = 16;

/// How records are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A list of objects, or objects one after another.
    Json,
    /// Rows of texts below their titles.
    Csv,
}

/// Where records come from. It is open, and nothing was read.
pub struct Source {
    from: Box<dyn Read + Send>,
    form: Form,
    /// What it is called.
    name: String,
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
        let from = Box::new(Cursor::new(text.to_owned()));
        Ok(Self { from, form: Form::Json, name: option.to_owned() })
    }

    /// What is at a place.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is of a form that cannot be read.
    pub async fn at(place: &str) -> Result<Self> {
        let name = shown(place);
        let failed = || format!("failed to read {name}");
        let form = form_of(place)?;
        let from: Box<dyn Read + Send> = match place {
            url if is_url(url) => Box::new(download(url).await?),
            STDIN => Box::new(std::io::stdin()),
            path => Box::new(bounded::open(Path::new(path), usize::MAX - 1).context(failed)?.0),
        };
        Ok(Self { from, form, name })
    }

    /// Whether its records are texts, so that columns must say what they are.
    pub fn needs_columns(&self) -> bool {
        self.form == Form::Csv
    }

    /// The records; for those that are texts, the columns say what they are.
    pub fn rows(self, columns: Vec<Field>) -> impl Stream<Item = Result<Row>> + Unpin {
        let (sender, mut rows) = channel(WAITING);
        // A thread that waits for standard input must not keep the program from ending.
        std::thread::spawn(move || self.send(&columns, &sender));
        stream::poll_fn(move |waker| rows.poll_recv(waker))
    }

    fn send(self, columns: &[Field], rows: &Sender<Result<Row>>) {
        let from = BufReader::with_capacity(64 * 1024, self.from);
        let mut put = |row| rows.blocking_send(Ok(row)).is_ok();
        let done = match self.form {
            Form::Json => json::read(from, &mut put),
            Form::Csv => csv::read(from, columns, &mut put),
        };
        if let Err(why) = done {
            let error = Error::failed(format!("failed to read records of {}", self.name));
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
        Some("parquet" | "arrow") => Err(Error::usage(format!("{} cannot be read", shown(place)))
            .hint("records are read from JSON, JSON lines and CSV; convert the file first")),
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
    use super::*;

    #[test]
    fn the_ending_of_a_name_says_how_records_are_written() {
        for (place, form) in [
            ("a.json", Form::Json),
            ("a.jsonl", Form::Json),
            ("-", Form::Json),
            ("folder.csv/a", Form::Json),
            ("a.CSV", Form::Csv),
            ("https://example.com/a.csv?token=x.json", Form::Csv),
        ] {
            assert_eq!(form_of(place).unwrap(), form, "{place}");
        }
        assert!(form_of("a.parquet").unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn what_an_option_holds_is_a_list_of_objects() {
        assert!(Source::inline("--json", " [{\"a\": 1}]").is_ok());
        for odd in ["{\"a\": 1}", "[1]", "[{}", "", "[{\"a\": 1}] x"] {
            assert!(Source::inline("--json", odd).is_err(), "{odd}");
        }
    }
}
