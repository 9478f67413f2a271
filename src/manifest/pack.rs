//! *Pure*: the files of a source in one piece, as they are cached, with a digest over all of
//! them. A thousand files are read with one look at the disk, and none of them can be exchanged
//! alone.
//!
//! A stranger may have made what is packed, so a pack is bounded, and holds nothing but plain files
//! below one folder: no links, no devices, nothing hidden, no two names that some file system
//! takes for one.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::walk::{IGNORE_FILE, is_manifest};
use crate::visible;

/// What a pack begins with: the form in which it is written, with its version.
const FORM: &[u8] = b"meshagent source 1\n";

/// What a pack may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many files.
    pub files: usize,
    /// How many bytes all files have together.
    pub bytes: usize,
    /// How many bytes a path has.
    pub path: usize,
}

/// The limits of every source.
pub const LIMITS: Limits = Limits { files: 10_000, bytes: 64 * 1024 * 1024, path: 512 };

/// A SHA-256, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digits alone.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for Digest {
    type Err = String;

    /// With `sha256:` or without.
    fn from_str(text: &str) -> Result<Self, String> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        let wrong = || "a digest is written sha256: and 64 hexadecimal digits".to_owned();
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut digest = [0; 32];
        for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(digest))
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The files of a source. A copy costs nothing.
#[derive(Clone)]
pub struct Pack {
    bytes: Arc<[u8]>,
    /// Where each file is in the bytes, by its path.
    files: Arc<BTreeMap<String, Range<usize>>>,
    digest: Digest,
}

impl fmt::Debug for Pack {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} files, {}", self.files.len(), self.digest)
    }
}

impl PartialEq for Pack {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Pack {}

impl Pack {
    /// What is written to the cache.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest over all files and their paths.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The files with their paths, in the order of their paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, range)| (path.as_str(), &self.bytes[range.clone()]))
    }

    /// The file of a path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(|range| &self.bytes[range.clone()])
    }

    /// The files below a folder, by their paths in it.
    pub fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let folder = format!("{folder}/");
        let from = self.files.range(folder.clone()..);
        from.map_while(move |(path, range)| {
            Some((path.strip_prefix(&folder)?, &self.bytes[range.clone()]))
        })
    }

    /// Reads what was written to the cache.
    ///
    /// # Errors
    ///
    /// Bytes that are no pack.
    pub fn read(bytes: Vec<u8>) -> Result<Self, String> {
        let damaged = || "it is damaged".to_owned();
        let mut at = FORM.len();
        if !bytes.starts_with(FORM) {
            return Err(damaged());
        }
        let mut files = BTreeMap::new();
        while at < bytes.len() {
            let mut lengths = [0; 2];
            for length in &mut lengths {
                let number = bytes.get(at..at + 4).and_then(|it| it.try_into().ok());
                *length = u32::from_be_bytes(number.ok_or_else(damaged)?) as usize;
                at += 4;
            }
            let path = bytes.get(at..at.saturating_add(lengths[0])).ok_or_else(damaged)?;
            let path = std::str::from_utf8(path).map_err(|_| damaged())?.to_owned();
            at += lengths[0];
            let range = at..at.saturating_add(lengths[1]);
            bytes.get(range.clone()).ok_or_else(damaged)?;
            at = range.end;
            files.insert(path, range);
        }
        let digest = Digest::of(&bytes);
        Ok(Self { bytes: bytes.into(), files: Arc::new(files), digest })
    }
}

/// What is about to be packed, file by file.
#[derive(Debug)]
pub struct Packing {
    /// The folder of which the files are packed; empty for all.
    folder: String,
    limits: Limits,
    bytes: usize,
    files: BTreeMap<String, Vec<u8>>,
    /// The paths as a file system would compare them that does not tell cases apart.
    folded: BTreeMap<String, String>,
}

/// What an entry of an archive or a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A link to something.
    Link,
    /// Something else, such as a device.
    Other,
}

impl Packing {
    /// Begins with nothing, for the files below a folder.
    #[must_use]
    pub fn of(folder: &str) -> Self {
        Self::within(folder, LIMITS)
    }

    fn within(folder: &str, limits: Limits) -> Self {
        let folder = folder.trim_matches('/').to_owned();
        Self { folder, limits, bytes: 0, files: BTreeMap::new(), folded: BTreeMap::new() }
    }

    /// The path under which an entry is packed; `None` if it is not: it is elsewhere, hidden, a
    /// folder, or a link that could not be a manifest.
    ///
    /// # Errors
    ///
    /// A path that leads elsewhere, or that not every file system has; a link or a device that
    /// could be meant as a manifest.
    pub fn path(&self, name: &[u8], sort: Sort) -> Result<Option<String>, String> {
        let shown = || visible::line(&String::from_utf8_lossy(name)).into_owned();
        let Ok(name) = std::str::from_utf8(name) else {
            return Err(format!("{} is not UTF-8", shown()));
        };
        let is_odd = |c: char| c.is_control() || c == '\\';
        if name.starts_with('/') || name.split('/').any(|part| part == "..") {
            return Err(format!("the path {} leads out of the source", shown()));
        }
        if name.contains(is_odd) || name.len() > self.limits.path {
            return Err(format!("the path {} cannot be used", shown()));
        }
        let parts: Vec<&str> =
            name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let path = parts.join("/");
        let path = match self.folder.as_str() {
            "" => path.as_str(),
            folder => match path.strip_prefix(folder).and_then(|it| it.strip_prefix('/')) {
                Some(below) => below,
                None => return Ok(None),
            },
        };
        let is_hidden = |part: &str| part.starts_with('.');
        let (above, last) = path.rsplit_once('/').unwrap_or(("", path));
        if path.is_empty()
            || above.split('/').any(is_hidden)
            || is_hidden(last) && last != IGNORE_FILE
        {
            return Ok(None);
        }
        match sort {
            Sort::File => Ok(Some(path.to_owned())),
            Sort::Folder => Ok(None),
            // As in a folder of one's own: what its name says to be no manifest is passed over.
            _ if last.contains('.') && !is_manifest(last.as_ref()) => Ok(None),
            Sort::Link => Err(format!("{} is a link, and a source has files alone", shown())),
            Sort::Other => Err(format!("{} is neither a file nor a folder", shown())),
        }
    }

    /// Refuses a file of this size before it is read.
    ///
    /// # Errors
    ///
    /// All would be too large.
    pub fn expect(&self, bytes: u64) -> Result<(), String> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        match self.bytes.saturating_add(bytes) > self.limits.bytes {
            true => Err(format!("it has more than {} MiB", self.limits.bytes / 1024 / 1024)),
            false => Ok(()),
        }
    }

    /// How many bytes may still be added.
    #[must_use]
    pub fn room(&self) -> usize {
        self.limits.bytes.saturating_sub(self.bytes)
    }

    /// Adds a file under the path that it was given.
    ///
    /// # Errors
    ///
    /// Too many files, or too large; a name that is there already, but for upper and lower case.
    pub fn add(&mut self, path: String, content: Vec<u8>) -> Result<(), String> {
        self.expect(content.len() as u64)?;
        if self.files.len() >= self.limits.files {
            return Err(format!("it has more than {} files", self.limits.files));
        }
        let folded = path.to_lowercase();
        if let Some(other) = self.folded.insert(folded, path.clone()) {
            let (one, other) = (visible::line(&path), visible::line(&other));
            return Err(match one == other {
                true => format!("{one} is in it twice"),
                false => format!("{other} and {one} differ in upper and lower case alone"),
            });
        }
        self.bytes += content.len();
        self.files.insert(path, content);
        Ok(())
    }

    /// The pack.
    ///
    /// # Errors
    ///
    /// Nothing was added; a file that is a folder, too.
    pub fn done(self) -> Result<Pack, String> {
        let paths: Vec<&String> = self.folded.keys().collect();
        for path in &paths {
            let mut above = path.match_indices('/').map(|(at, _)| &path[..at]);
            if let Some(file) = above.find(|above| self.folded.contains_key(*above)) {
                return Err(format!("{} is a file and a folder", visible::line(file)));
            }
        }
        match (self.files.is_empty(), self.folder.as_str()) {
            (true, "") => return Err("it has no files".to_owned()),
            (true, folder) => {
                return Err(format!("it has no files in the folder {}", visible::line(folder)));
            }
            _ => {}
        }
        let mut bytes = FORM.to_vec();
        for (path, content) in &self.files {
            for length in [path.len(), content.len()] {
                bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
            }
            bytes.extend_from_slice(path.as_bytes());
            bytes.extend_from_slice(content);
        }
        Pack::read(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(files: &[(&str, &str)]) -> Result<Pack, String> {
        let mut packing = Packing::of("m/");
        for (name, text) in files {
            if let Some(path) = packing.path(name.as_bytes(), Sort::File)? {
                packing.add(path, text.as_bytes().to_vec())?;
            }
        }
        packing.done()
    }

    #[test]
    fn a_pack_is_read_as_it_was_written_whatever_the_order() {
        let one = packed(&[("m/b/c.yaml", "2"), ("./m//a.yaml", "1"), ("x/d.yaml", "3")]).unwrap();
        let other = packed(&[("m/a.yaml", "1"), ("m/b/c.yaml", "2"), ("m/.git/x", "")]).unwrap();
        assert_eq!(one.digest(), other.digest());
        let read = Pack::read(one.bytes().to_vec()).unwrap();
        let files: Vec<_> = read.files().collect();
        assert_eq!(files, [("a.yaml", &b"1"[..]), ("b/c.yaml", b"2")]);
        assert_eq!(read.below("b").collect::<Vec<_>>(), [("c.yaml", &b"2"[..])]);
        assert_eq!((read.file("b/c.yaml"), read.file("b")), (Some(&b"2"[..]), None));
        for cut in 0..one.bytes().len() {
            let cut = Pack::read(one.bytes()[..cut].to_vec());
            assert!(cut.is_err() || cut.unwrap().digest() != one.digest());
        }
    }

    #[test]
    fn only_plain_files_are_packed() {
        let packing = Packing::of("");
        let path = |name: &str, sort| packing.path(name.as_bytes(), sort);
        for name in ["../a.yaml", "/a.yaml", "a/../../b.yaml", "a\\b.yaml", "a\n.yaml"] {
            assert!(path(name, Sort::File).is_err(), "{name}");
        }
        assert!(packing.path(b"\xff.yaml", Sort::File).is_err());
        assert!(path(&"a/".repeat(300), Sort::File).is_err());
        for name in [".git/config", "a/.hidden", ".GIT/x", "a/.b/c.yaml"] {
            assert_eq!(path(name, Sort::File), Ok(None), "{name}");
        }
        assert_eq!(path("a/.meshagentignore", Sort::File), Ok(Some("a/.meshagentignore".into())));
        assert_eq!(path("CLAUDE.md", Sort::Link), Ok(None));
        for (name, sort) in [("a.yaml", Sort::Link), ("folder", Sort::Link), ("a.j2", Sort::Other)]
        {
            assert!(path(name, sort).is_err(), "{name}");
        }
    }

    #[test]
    fn no_two_names_are_one_on_another_file_system() {
        let error = packed(&[("m/Rooms.yaml", ""), ("m/rooms.yaml", "")]).unwrap_err();
        assert_eq!(error, "Rooms.yaml and rooms.yaml differ in upper and lower case alone");
        assert_eq!(packed(&[("m/a", ""), ("m/a", "")]).unwrap_err(), "a is in it twice");
        assert_eq!(packed(&[("m/A", ""), ("m/a/b", "")]).unwrap_err(), "a is a file and a folder");
        assert_eq!(packed(&[("x/a", "")]).unwrap_err(), "it has no files in the folder m");
    }

    #[test]
    fn a_pack_is_bounded() {
        let limits = Limits { files: 2, bytes: 10, path: 20 };
        let mut packing = Packing::within("", limits);
        assert!(packing.expect(11).is_err());
        packing.add("a".into(), vec![0; 6]).unwrap();
        assert!(packing.add("b".into(), vec![0; 5]).is_err());
        packing.add("c".into(), vec![0; 4]).unwrap();
        assert_eq!(packing.add("d".into(), Vec::new()).unwrap_err(), "it has more than 2 files");
    }
}
