//! Rows on their way from the thread that reads them, as bytes. They are made values by whoever
//! takes them, so that no thread frees what another one made, and both have work to do.

use rusqlite::types::ValueRef;

use crate::data_type::Kind;
use crate::error::{Error, Reason, Result};
use crate::stored::loaded;
use crate::value::Value;

const NULL: u8 = 0;
const INT: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;
/// Where a row begins, also one without values.
const ROW: u8 = 5;

/// Some rows.
#[derive(Default)]
pub(super) struct Part {
    bytes: Vec<u8>,
    /// How many of them were taken.
    taken: usize,
}

impl Part {
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }

    /// The values that follow are a row.
    pub(super) fn begin(&mut self) {
        self.bytes.push(ROW);
    }

    pub(super) fn put(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => self.bytes.push(NULL),
            ValueRef::Integer(value) => self.number(INT, value.to_ne_bytes()),
            ValueRef::Real(value) => self.number(REAL, value.to_ne_bytes()),
            ValueRef::Text(bytes) => self.long(TEXT, bytes),
            ValueRef::Blob(bytes) => self.long(BLOB, bytes),
        }
    }

    /// The next row, of which the types of all values are said.
    pub(super) fn take(&mut self, kinds: &[Kind]) -> Result<Vec<Value>> {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let mut rest = rest.strip_prefix(&[ROW]).ok_or_else(cut)?;
        let mut row = Vec::with_capacity(kinds.len());
        for kind in kinds {
            row.push(loaded(next(&mut rest).ok_or_else(cut)?, kind)?);
        }
        self.taken = self.bytes.len() - rest.len();
        Ok(row)
    }

    fn number(&mut self, tag: u8, bytes: [u8; 8]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&bytes);
    }

    fn long(&mut self, tag: u8, bytes: &[u8]) {
        self.number(tag, bytes.len().to_ne_bytes());
        self.bytes.extend_from_slice(bytes);
    }
}

fn cut() -> Error {
    Error::new(Reason::Failed, "a row of the answer was cut off on its way")
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<ValueRef<'a>> {
    let (tag, behind) = rest.split_first()?;
    *rest = behind;
    if *tag == NULL {
        return Some(ValueRef::Null);
    }
    let (number, behind) = rest.split_first_chunk::<8>()?;
    *rest = behind;
    Some(match *tag {
        INT => ValueRef::Integer(i64::from_ne_bytes(*number)),
        REAL => ValueRef::Real(f64::from_ne_bytes(*number)),
        _ => {
            let (bytes, behind) = rest.split_at_checked(usize::from_ne_bytes(*number))?;
            *rest = behind;
            if *tag == TEXT { ValueRef::Text(bytes) } else { ValueRef::Blob(bytes) }
        }
    })
}
