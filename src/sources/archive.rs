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

/// The most that a tar archive says of a file before it, in bytes: its name, and what there is of
/// attributes.
const SAID: u64 = 1024 * 1024;

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
    let mut said = Said::default();
    // What is said of a file before it is read here, because nothing else bounds it.
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        count += 1;
        if count > ENTRIES {
            return Err(too_many());
        }
        let sort = match entry.header().entry_type() {
            tar::EntryType::GNULongName => {
                said.name_it(said_in(&mut entry)?);
                continue;
            }
            tar::EntryType::XHeader => {
                said.read(&said_in(&mut entry)?)?;
                continue;
            }
            // What a link leads to makes no difference.
            tar::EntryType::GNULongLink => continue,
            tar::EntryType::Regular | tar::EntryType::Continuous => Sort::File,
            tar::EntryType::Directory => Sort::Folder,
            tar::EntryType::Symlink | tar::EntryType::Link => Sort::Link,
            // What says something of the whole archive, such as the commit that it is of.
            tar::EntryType::XGlobalHeader => continue,
            _ => Sort::Other,
        };
        let said = std::mem::take(&mut said);
        if said.size.is_some_and(|size| size != entry.size()) {
            return Err(broken("an entry has two sizes"));
        }
        let name = said.long.or(said.path).unwrap_or_else(|| entry.path_bytes().into_owned());
        let Some(path) = packing.path(&name, sort)? else { continue };
        packing.expect(entry.size())?;
        let content = content(&mut entry, &packing)?;
        packing.add(path, content)?;
    }
    packing.done()
}

/// What a tar archive says of a file before it.
#[derive(Default)]
struct Said {
    /// Its name, as GNU's program says it.
    long: Option<Vec<u8>>,
    /// Its name, as POSIX has it.
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Said {
    fn name_it(&mut self, mut name: Vec<u8>) {
        if name.last() == Some(&0) {
            name.pop();
        }
        self.long = Some(name);
    }

    fn read(&mut self, text: &[u8]) -> Result<(), String> {
        for extension in tar::PaxExtensions::new(text) {
            let extension = extension.map_err(broken)?;
            let value = extension.value_bytes();
            match extension.key_bytes() {
                b"path" => self.path = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|it| it.parse().ok());
                    self.size = Some(size.ok_or_else(|| broken("the size of an entry is none"))?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What an entry says of the next one.
fn said_in(entry: &mut tar::Entry<'_, impl Read>) -> Result<Vec<u8>, String> {
    if entry.size() > SAID {
        let most = SAID / 1024 / 1024;
        return Err(format!("the archive says more than {most} MiB of a single file beside it"));
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text).map_err(broken)?;
    Ok(text)
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
