//! A file, of which nothing is read whose lengths make no sense.

use std::fs::File;
use std::io::Cursor;
use std::os::unix::fs::FileExt;

use ::bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::MAGIC;
use super::compact::{self, Wrong};

/// The end of a file: how long what it says of itself is, and its magic word.
const END: u64 = 8;

/// The most bytes of what a file says of itself.
const LONGEST: u64 = 64 * 1024 * 1024;

/// How many bytes are read of what is in front of a page: at first, and at most.
const HEADER: usize = 4 * 1024;
const LONGEST_HEADER: usize = 1024 * 1024;

/// A file that says of itself what makes sense.
pub struct Checked {
    file: File,
    length: u64,
}

impl Checked {
    /// Looks at what a file says of itself.
    ///
    /// # Errors
    ///
    /// It is no such file, or makes no sense.
    pub fn new(file: File) -> std::result::Result<Self, String> {
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        let checked = Self { file, length };
        let read = |start, count| checked.read(start, count).map_err(|error| error.to_string());
        let magic = MAGIC.len();
        if length < END + magic as u64 || read(0, magic)? != MAGIC {
            return Err("it is no Parquet file".to_owned());
        }
        let end = read(length - END, magic * 2)?;
        let (said, word) = end.split_at(magic);
        if word != MAGIC {
            return Err("it is cut off: its end is not that of a Parquet file".to_owned());
        }
        let said =
            u64::from(said.iter().rev().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte)));
        if said > length - END - magic as u64 || said > LONGEST {
            return Err("it is damaged: what it says of itself is longer than it can be".to_owned());
        }
        let footer = read(length - END - said, usize::try_from(said).unwrap_or(usize::MAX))?;
        compact::footer(&footer).map_err(|wrong| format!("it is damaged: {}", why(&wrong)))?;
        Ok(checked)
    }

    fn read(&self, start: u64, count: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes)
    }
}

/// What is wrong, in words.
fn why(wrong: &Wrong) -> &'static str {
    match wrong {
        Wrong::Short => "it ends too early",
        Wrong::Senseless(why) => why,
    }
}

impl Length for Checked {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Checked {
    type T = Cursor<Vec<u8>>;

    /// What is in front of a page, or the end of the file; nothing else is read so.
    fn get_read(&self, start: u64) -> Result<Self::T> {
        let left = self.length.checked_sub(start);
        let left = left.ok_or_else(|| ParquetError::EOF("a page is behind the end".to_owned()))?;
        let mut count = HEADER;
        loop {
            let all = u64::try_from(count).is_ok_and(|count| count >= left);
            let bytes = self.read(start, if all { left as usize } else { count })?;
            match compact::page(&bytes) {
                _ if left == END => return Ok(Cursor::new(bytes)),
                Ok(()) => return Ok(Cursor::new(bytes)),
                Err(Wrong::Short) if !all && count < LONGEST_HEADER => count *= 4,
                Err(wrong) => return Err(ParquetError::General(why(&wrong).to_owned())),
            }
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let end = u64::try_from(length).ok().and_then(|length| start.checked_add(length));
        if end.is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF("a page is longer than the file".to_owned()));
        }
        Ok(self.read(start, length)?.into())
    }
}
