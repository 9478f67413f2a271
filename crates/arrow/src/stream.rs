//! Streams of Arrow, and files, which are streams behind a word, with a list of their batches at the end.

use std::io::{BufRead, Read};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::ArrowError;
use meshagent_tables::Field;
use meshagent_tables::value::Row;

use crate::guard::guarded;
use crate::{read, types};

/// What a file begins with, filled up to eight bytes. A stream begins with its first message.
pub const MAGIC: &[u8; 6] = b"ARROW1";

/// What a message of a stream begins with.
pub const MESSAGE: &[u8; 4] = &[0xff; 4];

/// How many bytes of a file are before its stream.
const BEFORE: usize = 8;

/// How much is read at once.
const PIECE: usize = 256 * 1024;

/// The most bytes of a batch, and of what is before the first one. All of a batch is in memory.
const LARGEST: usize = 1024 * 1024 * 1024;

/// What is said of a stream that has no columns.
const UNTOLD: &str = "it ends before its columns are told";

/// Rows of a stream, of which its columns are known.
pub struct Reader<R> {
    from: R,
    decoder: StreamDecoder,
    /// What was read and is not decoded.
    rest: Buffer,
    columns: Vec<Field>,
    /// How many bytes were read since the last batch.
    read: usize,
    /// The batch that came with the columns.
    first: Option<RecordBatch>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the columns of a stream or a file.
    ///
    /// # Errors
    ///
    /// It is neither, is damaged, or has a column of a type that rooms have not got.
    pub fn new(mut from: R) -> Result<Self, String> {
        if is_file(&mut from)? {
            from.read_exact(&mut [0; BEFORE]).map_err(|error| error.to_string())?;
        }
        let (decoder, rest) = (StreamDecoder::new(), Buffer::from_vec(Vec::<u8>::new()));
        let mut reader = Self { from, decoder, rest, columns: Vec::new(), read: 0, first: None };
        guarded(|| {
            // What is behind the columns is decoded with them, at most one batch.
            while reader.decoder.schema().is_none() {
                reader.first = reader.batch()?;
                if reader.first.is_none() {
                    break;
                }
            }
            let schema = reader.decoder.schema().ok_or(UNTOLD)?;
            reader.columns = types::columns(&schema)?;
            Ok(())
        })?;
        Ok(reader)
    }

    /// Its columns.
    pub fn columns(&self) -> &[Field] {
        &self.columns
    }

    /// Reads its rows, and gives each to `put`, until that says that nobody wants more.
    ///
    /// # Errors
    ///
    /// What cannot be read, and where.
    pub fn rows(mut self, put: &mut dyn FnMut(Row) -> bool) -> Result<(), String> {
        let mut before = 0;
        loop {
            let first = self.first.take();
            let batch = guarded(|| first.map_or_else(|| self.batch(), |it| Ok(Some(it))))?;
            let Some(batch) = batch else { return Ok(()) };
            if !read::rows(&batch, before, put)? {
                return Ok(());
            }
            before += batch.num_rows();
        }
    }

    /// The next batch; none at the end.
    fn batch(&mut self) -> Result<Option<RecordBatch>, String> {
        loop {
            while !self.rest.is_empty() {
                match self.decoder.decode(&mut self.rest) {
                    Ok(Some(batch)) => {
                        self.read = 0;
                        return Ok(Some(batch));
                    }
                    Ok(None) => {}
                    // Behind the end of its stream, a file has the list of its batches.
                    Err(_) if self.decoder.finish().is_ok() => return Ok(None),
                    Err(error) => return Err(told(error)),
                }
            }
            let mut piece = Vec::with_capacity(PIECE);
            let limit = PIECE as u64;
            let count = self.from.by_ref().take(limit).read_to_end(&mut piece);
            let count = count.map_err(|error| error.to_string())?;
            if count == 0 {
                return match self.decoder.finish() {
                    Ok(()) => Ok(None),
                    Err(_) if self.decoder.schema().is_none() => Err(UNTOLD.to_owned()),
                    Err(_) => Err("it ends in the middle of a batch".to_owned()),
                };
            }
            self.read += count;
            if self.read > LARGEST {
                return Err("a batch is larger than 1 GiB; write it with fewer rows".to_owned());
            }
            self.rest = Buffer::from_vec(piece);
        }
    }
}

/// Whether it is a file, and not a stream.
fn is_file(from: &mut impl BufRead) -> Result<bool, String> {
    let begins = from.fill_buf().map_err(|error| error.to_string())?;
    Ok(begins.starts_with(MAGIC))
}

/// What is wrong with a stream.
fn told(error: ArrowError) -> String {
    let told = error.to_string();
    match told.contains("compression") || told.contains("feature") {
        true => "its batches are compressed; write it without compression".to_owned(),
        false => format!("it is damaged: {told}"),
    }
}
