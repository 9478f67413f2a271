//! Records that are kept in columns: files of Arrow and Parquet. They say themselves what their columns
//! are, so they are opened before anything else is done.

use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read, Seek, SeekFrom};

use meshagent_arrow::file::{Kind, Table};

/// The most bytes of a Parquet file that is not on this machine. It is read from its end, so it is kept
/// in a temporary file.
const LARGEST: u64 = 8 * 1024 * 1024 * 1024;

/// How a file is written, if it says so with its first bytes and is in columns. It is read from its
/// beginning afterwards.
///
/// # Errors
///
/// What cannot be read.
pub fn told(file: &mut File) -> std::io::Result<Option<Kind>> {
    let mut begins = Vec::with_capacity(Kind::TOLD);
    file.by_ref().take(Kind::TOLD as u64).read_to_end(&mut begins)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(Kind::of(&begins))
}

/// Opens what comes piece by piece.
///
/// # Errors
///
/// It cannot be read, or not as such a file.
pub fn of_pieces(mut from: Box<dyn Read + Send>, kind: Kind) -> Result<Table, String> {
    match kind {
        Kind::Arrow => Table::stream(Box::new(BufReader::new(from))),
        Kind::Parquet => {
            let kept = kept(&mut from).map_err(|error| error.to_string())?;
            Table::parquet(kept)
        }
    }
}

/// Opens a file.
///
/// # Errors
///
/// It cannot be read, or not as such a file.
pub fn of_file(file: File, kind: Kind) -> Result<Table, String> {
    match kind {
        Kind::Arrow => Table::stream(Box::new(BufReader::new(file))),
        Kind::Parquet => Table::parquet(file),
    }
}

/// A temporary file with all that comes. It has no name, and is gone with the program.
fn kept(from: &mut dyn Read) -> std::io::Result<File> {
    let mut file = tempfile::tempfile()?;
    let count = std::io::copy(&mut from.take(LARGEST + 1), &mut file)?;
    if count > LARGEST {
        return Err(Error::new(
            ErrorKind::FileTooLarge,
            "it is larger than 8 GiB; download it first",
        ));
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}
