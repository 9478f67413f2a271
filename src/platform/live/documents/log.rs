//! The file of a document. It begins with what does not change; behind that are its updates as they
//! came. What is written at once is one record, with check sums. One at the end that is not whole was
//! being written when the process ended, and nobody was told that it is there. Anything else that is
//! not whole is damage, and such a file is neither read nor written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How each file of a document begins.
const BEGIN: &[u8] = b"meshagent document 1\n";

/// What stands before each record, in four bytes each: its length, its check sum, and the check sum
/// of these two.
const HEAD: usize = 12;

/// What stands before each part of a record: its length.
const LENGTH: usize = 4;

/// What does not change in a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// What it may contain, as JSON.
    pub schema: Value,
    /// The values of its root element, which are not in the document itself.
    pub values: Map<String, Value>,
}

/// A file that updates are added to.
#[derive(Debug)]
pub struct Log {
    file: File,
    length: u64,
    /// How long it was when it was written anew.
    written: u64,
}

/// Why a file cannot be read as a document.
#[derive(Debug)]
pub enum Unreadable {
    /// It is something else.
    NoDocument,
    /// It was a document.
    Damaged(String),
    /// The system's.
    Failed(io::Error),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Writes the file of a document: what does not change, and its state.
///
/// # Errors
///
/// The system's.
pub fn write(file: &mut File, about: &About, state: &[u8]) -> io::Result<()> {
    let bytes = [BEGIN, &record(&[&serde_json::to_vec(about)?]), &record(&[state])].concat();
    file.write_all(&bytes)
}

/// Reads the file of a document: what does not change, and its updates. The file must be open for
/// writing, too. One that is longer than `most` bytes is not read.
///
/// # Errors
///
/// It is no document, or a damaged one; the system's.
pub fn read(mut file: File, most: u64) -> Result<(About, Vec<Vec<u8>>, Log), Unreadable> {
    let length = file.metadata()?.len();
    if length > most {
        return Err(Unreadable::Damaged(format!("it has {length} bytes; at most {most} are read")));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let Some(mut rest) = bytes.strip_prefix(BEGIN) else { return Err(Unreadable::NoDocument) };
    let mut parts = Vec::new();
    let mut ends = Vec::new();
    loop {
        let place = bytes.len() - rest.len();
        let damaged = |what: &str| Unreadable::Damaged(format!("{what} at byte {place}"));
        match next(rest).map_err(damaged)? {
            Some((payload, behind)) => {
                parts.extend(parts_of(payload).ok_or_else(|| damaged("a record is odd"))?);
                rest = behind;
                ends.push((bytes.len() - rest.len()) as u64);
            }
            None => break,
        }
    }
    let place = (bytes.len() - rest.len()) as u64;
    if !rest.is_empty() {
        file.set_len(place)?;
        file.sync_data()?;
    }
    let mut parts = parts.into_iter();
    let about = parts.next().and_then(|about| serde_json::from_slice(&about).ok());
    let about = about.ok_or_else(|| Unreadable::Damaged("its beginning is missing".to_owned()))?;
    // What does not change and the state are two records.
    let written = ends.get(1).copied().unwrap_or(place);
    Ok((about, parts.collect(), Log { file, length: place, written }))
}

impl Log {
    /// The file of a document that was just written.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length, written: length })
    }

    /// The file.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// How many bytes it has.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// How many it had when it was written anew.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Adds updates. They are on disk when this returns, or nothing of them is.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn append(&mut self, updates: &[&[u8]]) -> io::Result<()> {
        let bytes = record(updates);
        let written = self.file.seek(SeekFrom::Start(self.length));
        let written = written.and_then(|_| self.file.write_all(&bytes));
        match written.and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // If even this fails, what is there may be read again; it is whole then.
                let _ = self.file.set_len(self.length);
                Err(error)
            }
        }
    }
}

/// A record of several parts.
fn record(parts: &[&[u8]]) -> Vec<u8> {
    // Nothing that is written at once is as long as four bytes can count.
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let payload: Vec<u8> =
        parts.iter().flat_map(|part| [&count(part.len()), *part].concat()).collect();
    let sum = |bytes: &[u8]| crc32fast::hash(bytes).to_le_bytes();
    let about = [count(payload.len()), sum(&payload)].concat();
    [&about[..], &sum(&about), &payload].concat()
}

/// A record, and what is behind it.
type Next<'a> = (&'a [u8], &'a [u8]);

/// The next record and what is behind it; none at the end, or if all that is left was being written.
fn next(bytes: &[u8]) -> Result<Option<Next<'_>>, &'static str> {
    let Some((head, rest)) = bytes.split_at_checked(HEAD) else { return Ok(None) };
    let number = |place: usize| {
        let bytes = head.get(place * LENGTH..).and_then(|bytes| bytes.first_chunk());
        bytes.copied().map(u32::from_le_bytes).unwrap_or_default()
    };
    if crc32fast::hash(&head[..2 * LENGTH]) != number(2) {
        // A file may have grown before its bytes arrived.
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        return Err("the head of a record is not what was written");
    }
    let length = usize::try_from(number(0)).unwrap_or(usize::MAX);
    match rest.split_at_checked(length) {
        None => Ok(None),
        Some((payload, rest)) if crc32fast::hash(payload) == number(1) => Ok(Some((payload, rest))),
        Some((_, [])) => Ok(None),
        Some(_) => Err("a record is not what was written"),
    }
}

/// The parts of a record.
fn parts_of(mut payload: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = payload.split_first_chunk() {
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (part, behind) = rest.split_at_checked(length)?;
        parts.push(part.to_vec());
        payload = behind;
    }
    payload.is_empty().then_some(parts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn about() -> About {
        About { schema: json!({"a": 1}), values: Map::from_iter([("v".to_owned(), json!(2))]) }
    }

    fn made() -> File {
        let mut file = tempfile::tempfile().unwrap();
        write(&mut file, &about(), b"state").unwrap();
        file
    }

    fn again(file: &File) -> Result<(About, Vec<Vec<u8>>, Log), Unreadable> {
        let mut file = file.try_clone().unwrap();
        file.rewind().unwrap();
        read(file, 10_000)
    }

    fn updates(file: &File) -> Vec<Vec<u8>> {
        again(file).unwrap().1
    }

    #[test]
    fn what_is_added_is_read() {
        let file = made();
        let (read, found, mut log) = again(&file).unwrap();
        assert_eq!((read, found), (about(), vec![b"state".to_vec()]));
        log.append(&[b"one", b""]).unwrap();
        log.append(&[b"two"]).unwrap();
        assert_eq!(log.length(), file.metadata().unwrap().len());
        assert_eq!(log.written(), made().metadata().unwrap().len());
        assert_eq!(updates(&file), [&b"state"[..], b"one", b"", b"two"]);
    }

    #[test]
    fn what_was_being_written_is_left_out_and_written_over() {
        let file = made();
        let before = file.metadata().unwrap().len();
        again(&file).unwrap().2.append(&[b"one", b"two"]).unwrap();
        let whole = file.metadata().unwrap().len();
        for length in before..whole {
            // Cut off; or as long as it was to be, and without its bytes.
            for grown in [length, whole] {
                file.set_len(length).unwrap();
                file.set_len(grown).unwrap();
                let (_, found, mut log) =
                    again(&file).unwrap_or_else(|it| panic!("{length}: {it:?}"));
                assert_eq!(found, [b"state"], "{length}");
                assert_eq!(log.length(), before);
                assert_eq!(file.metadata().unwrap().len(), before);
                log.append(&[b"one", b"two"]).unwrap();
                assert_eq!(updates(&file).len(), 3, "{length}");
            }
        }
    }

    #[test]
    fn what_is_damaged_is_not_read() {
        let file = made();
        let mut log = again(&file).unwrap().2;
        let last = log.append(&[b"one"]).map(|()| log.length()).unwrap();
        log.append(&[b"two"]).unwrap();
        let mut bytes = Vec::new();
        let mut of = file.try_clone().unwrap();
        of.rewind().unwrap();
        of.read_to_end(&mut bytes).unwrap();
        let last = usize::try_from(last).unwrap();
        for at in BEGIN.len()..bytes.len() {
            let mut odd = bytes.clone();
            odd[at] ^= 1;
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&odd).unwrap();
            match again(&file) {
                Err(Unreadable::Damaged(_)) => assert!(at < last + HEAD, "{at}"),
                // What the last record says may not have arrived.
                Ok((_, found, _)) => assert!(at >= last + HEAD && found.len() == 2, "{at}"),
                other => panic!("{at}: {other:?}"),
            }
        }
        let mut other = tempfile::tempfile().unwrap();
        other.write_all(b"something else").unwrap();
        assert!(matches!(again(&other), Err(Unreadable::NoDocument)));
        let (cut, long) = (made(), made());
        cut.set_len(BEGIN.len() as u64).unwrap();
        assert!(matches!(again(&cut), Err(Unreadable::Damaged(_))));
        long.set_len(10_001).unwrap();
        assert!(matches!(again(&long), Err(Unreadable::Damaged(_))));
    }
}
