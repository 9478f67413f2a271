//! Archives become packs: `tar`, `tar.gz` and `zip`, whatever their names say. What is in them is
//! hostile: it is bounded while it is unpacked, and never touches the disk.

use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;

use crate::manifest::pack::{LIMITS, Pack, Packing, Sort};

/// The largest archive, in bytes.
pub const LARGEST: usize = 64 * 1024 * 1024;

/// The most that is unpacked of one, in bytes, with all that is not packed again.
const UNPACKED: u64 = 512 * 1024 * 1024;

/// The most entries of an archive, with those that are not packed.
const ENTRIES: usize = 100_000;

/// What each entry of a zip archive has in its list.
const ZIP_ENTRY: &[u8] = b"PK\x01\x02";

/// Packs the files below a folder of an archive.
///
/// # Errors
///
/// What is not one of these archives, or cannot be packed.
pub fn unpack(bytes: Vec<u8>, folder: &str) -> Result<Pack, String> {
    let packing = Packing::of(folder);
    if bytes.starts_with(b"PK") {
        return of_zip(bytes, packing);
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return of_tar(MultiGzDecoder::new(bytes.as_slice()), packing);
    }
    of_tar(bytes.as_slice(), packing)
}

fn broken(error: impl std::fmt::Display) -> String {
    format!("the archive is neither tar, tar.gz nor zip, or it is broken: {error}")
}

fn of_tar(from: impl Read, mut packing: Packing) -> Result<Pack, String> {
    let mut archive = tar::Archive::new(Bounded { from, left: UNPACKED });
    let mut count = 0;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        count += 1;
        if count > ENTRIES {
            return Err(too_many());
        }
        let sort = match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => Sort::File,
            tar::EntryType::Directory => Sort::Folder,
            tar::EntryType::Symlink | tar::EntryType::Link => Sort::Link,
            // What says something of the whole archive, such as the commit that it is of.
            tar::EntryType::XGlobalHeader => Sort::Folder,
            _ => Sort::Other,
        };
        let Some(path) = packing.path(&entry.path_bytes(), sort)? else { continue };
        packing.expect(entry.size())?;
        let content = content(&mut entry, &packing)?;
        packing.add(path, content)?;
    }
    packing.done()
}

fn of_zip(bytes: Vec<u8>, mut packing: Packing) -> Result<Pack, String> {
    // The list of entries is read as a whole, so it is looked at how long it is.
    let listed = bytes.windows(ZIP_ENTRY.len()).filter(|four| *four == ZIP_ENTRY).count();
    if listed > ENTRIES {
        return Err(too_many());
    }
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(broken)?;
        let sort = match () {
            () if entry.is_dir() => Sort::Folder,
            () if entry.is_symlink() => Sort::Link,
            () if is_odd(entry.unix_mode()) => Sort::Other,
            () => Sort::File,
        };
        let Some(path) = packing.path(entry.name_raw(), sort)? else { continue };
        packing.expect(entry.size())?;
        let content = content(&mut entry, &packing)?;
        packing.add(path, content)?;
    }
    packing.done()
}

/// Whether the mode of an entry says that it is a device, a pipe or a socket.
fn is_odd(mode: Option<u32>) -> bool {
    const KIND: u32 = 0o170_000;
    const FILE: u32 = 0o100_000;
    mode.is_some_and(|mode| mode & KIND != 0 && mode & KIND != FILE)
}

/// What an entry has, whatever it says of its size.
fn content(entry: &mut impl Read, packing: &Packing) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let most = packing.room() as u64 + 1;
    entry.take(most).read_to_end(&mut content).map_err(broken)?;
    Ok(content)
}

fn too_many() -> String {
    format!(
        "the archive has more than {ENTRIES} entries; a source has at most {} files",
        LIMITS.files
    )
}

/// A stream that ends with an error after so many bytes.
struct Bounded<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Err(std::io::Error::other(format!(
                "it unpacks to more than {} MiB",
                UNPACKED / 1024 / 1024
            )));
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let read = self.from.read(&mut into[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}
