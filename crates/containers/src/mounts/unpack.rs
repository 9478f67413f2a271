//! An archive that is not trusted, as a folder: files, folders and links, and nothing outside.
//!
//! Each part of a path is opened in the one before it without following links, whatever the
//! archive made before. Links are kept as they are: they lead nowhere until a container has the
//! folder, and then to somewhere in the container.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tar::{Entry, EntryType, PaxExtensions};

/// How long a path may be.
const LONGEST_PATH: usize = 4096;

/// How long the headers of one entry may be.
const LONGEST_HEADERS: u64 = 256 << 10;

/// How much of something there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    /// Bytes of all files, with what their names take on a disk.
    pub bytes: u64,
    /// Files, folders and links.
    pub entries: u64,
}

/// What an entry takes on a disk at least.
const OF_ENTRY: u64 = 512;

const AS_FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Unpacks an archive into an empty folder. What fails leaves a part of it behind.
pub(super) fn unpack(archive: impl Read, into: &Path, most: Most) -> io::Result<()> {
    let root = rustix::fs::openat(CWD, into, AS_FOLDER, Mode::empty())?;
    let mut unpacking = Unpacking { root, left: most };
    let mut archive = tar::Archive::new(archive);
    let mut names = Names::default();
    // Raw, for the names of an entry are read into memory otherwise, however long they are.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        if !names.take(&mut entry)? {
            unpacking.add(&mut entry, &std::mem::take(&mut names))?;
        }
    }
    Ok(())
}

/// Names that are too long for the header of an entry, and stand in entries before it.
#[derive(Default)]
struct Names {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    read: u64,
}

impl Names {
    /// Whether the entry only names another one.
    fn take(&mut self, entry: &mut Entry<'_, impl Read>) -> io::Result<bool> {
        let kind = entry.header().entry_type();
        let is_name = kind.is_gnu_longname() || kind.is_gnu_longlink();
        let is_extension = kind.is_pax_local_extensions() || kind.is_pax_global_extensions();
        if !is_name && !is_extension {
            return Ok(false);
        }
        self.read = self.read.saturating_add(entry.size());
        if self.read > LONGEST_HEADERS {
            return Err(odd("the headers of an entry are too long"));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        if is_name {
            let name = bytes.split(|&it| it == 0).next().unwrap_or_default().to_vec();
            *(if kind.is_gnu_longname() { &mut self.path } else { &mut self.link }) = Some(name);
        } else if kind.is_pax_local_extensions() {
            for extension in PaxExtensions::new(&bytes) {
                let extension = extension?;
                match extension.key_bytes() {
                    b"path" => self.path = Some(extension.value_bytes().to_vec()),
                    b"linkpath" => self.link = Some(extension.value_bytes().to_vec()),
                    b"size" => return Err(odd("a file is larger than 8 GiB")),
                    _ => {}
                }
            }
        }
        Ok(true)
    }
}

struct Unpacking {
    root: OwnedFd,
    left: Most,
}

impl Unpacking {
    /// Takes from what there may still be.
    fn spend(&mut self, bytes: u64) -> io::Result<()> {
        self.left.bytes = self
            .left
            .bytes
            .checked_sub(bytes)
            .ok_or_else(|| odd("there is more in it than is unpacked"))?;
        Ok(())
    }

    fn add(&mut self, entry: &mut Entry<'_, impl Read>, names: &Names) -> io::Result<()> {
        self.left.entries = self
            .left
            .entries
            .checked_sub(1)
            .ok_or_else(|| odd("there are too many files in it"))?;
        self.spend(OF_ENTRY)?;
        let path = names.path.clone().unwrap_or_else(|| entry.path_bytes().into_owned());
        let mode = mode(entry.header().mode()?);
        let kind = entry.header().entry_type();
        let parts = parts(&path)?;
        let Some((name, folders)) = parts.split_last() else {
            // The folder itself.
            return if kind.is_dir() { Ok(()) } else { Err(odd("a file has no name")) };
        };
        let folder = self.folder(folders)?;
        match kind {
            EntryType::Directory => self.make_folder(&folder, name, mode),
            EntryType::Regular | EntryType::Continuous => {
                self.spend(entry.size())?;
                remove(&folder, name)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let flags = flags | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&folder, *name, flags, mode | Mode::RUSR)?;
                let mut file = File::from(file);
                io::copy(entry, &mut file)?;
                file.flush()
            }
            EntryType::Symlink | EntryType::Link => {
                let link = names.link.clone();
                let link = link.or_else(|| entry.link_name_bytes().map(|it| it.into_owned()));
                let link = link.filter(|it| !it.is_empty() && it.len() <= LONGEST_PATH);
                let link = link.ok_or_else(|| odd("a link leads nowhere"))?;
                self.spend(link.len() as u64)?;
                remove(&folder, name)?;
                if kind == EntryType::Symlink {
                    return Ok(rustix::fs::symlinkat(&*link, &folder, *name)?);
                }
                let parts = self::parts(&link)?;
                let (there, above) =
                    parts.split_last().ok_or_else(|| odd("a link leads nowhere"))?;
                let above = self.folder(above)?;
                Ok(rustix::fs::linkat(&above, *there, &folder, *name, AtFlags::empty())?)
            }
            EntryType::GNUSparse => Err(odd("a file has holes")),
            // Devices and pipes are nobody's business.
            _ => Ok(()),
        }
    }

    /// The folder of these parts, which is made where the archive has not made it.
    fn folder(&mut self, parts: &[&[u8]]) -> io::Result<OwnedFd> {
        let mut folder = self.root.try_clone()?;
        for part in parts {
            let opened = rustix::fs::openat(&folder, *part, AS_FOLDER, Mode::empty());
            folder = match opened {
                Ok(opened) => opened,
                Err(rustix::io::Errno::NOENT) => {
                    self.spend(OF_ENTRY)?;
                    self.make_folder(&folder, part, mode(0o755))?;
                    rustix::fs::openat(&folder, *part, AS_FOLDER, Mode::empty())?
                }
                Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
                    return Err(odd("a path leads through a link or a file"));
                }
                Err(error) => return Err(error.into()),
            };
        }
        Ok(folder)
    }

    fn make_folder(&self, above: &OwnedFd, name: &[u8], mode: Mode) -> io::Result<()> {
        // Whoever removes it later gets in.
        let mode = mode | Mode::RWXU;
        match rustix::fs::mkdirat(above, name, mode) {
            Err(rustix::io::Errno::EXIST) => {
                let folder = rustix::fs::openat(above, name, AS_FOLDER, Mode::empty());
                let folder = folder.map_err(|_| odd("a folder is something else before"))?;
                Ok(rustix::fs::fchmod(folder, mode)?)
            }
            made => Ok(made?),
        }
    }
}

/// Who may do what with a file. Nobody becomes another user by it.
fn mode(bits: u32) -> Mode {
    // It is smaller on other systems.
    #[allow(clippy::unnecessary_cast)]
    Mode::from_raw_mode((bits & 0o777) as rustix::fs::RawMode)
}

/// Removes what the archive has put there before. A folder stays, and is an error later.
fn remove(folder: &OwnedFd, name: &[u8]) -> io::Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The parts of a path. What is written as absolute is below the folder too.
fn parts(path: &[u8]) -> io::Result<Vec<&[u8]>> {
    if path.len() > LONGEST_PATH || path.contains(&0) {
        return Err(odd("a path is too long, or holds a NUL"));
    }
    let parts = path.split(|&it| it == b'/').filter(|it| !it.is_empty() && *it != b".");
    let parts: Vec<&[u8]> = parts.collect();
    if parts.contains(&&b".."[..]) { Err(odd("a path leads out with ..")) } else { Ok(parts) }
}

fn odd(text: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use tar::{Builder, Header};

    use super::*;

    const ENOUGH: Most = Most { bytes: 1 << 20, entries: 100 };

    /// One entry of an archive: its kind, path, the link and the text. Paths are written as they
    /// are, which `tar` itself refuses to do.
    type Made<'a> = (EntryType, &'a str, &'a str, &'a str);

    fn archive(entries: &[Made<'_>]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (kind, path, link, text) in entries {
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o4755);
            header.set_size(text.len() as u64);
            let gnu = header.as_gnu_mut().expect("a header");
            gnu.name[..path.len()].copy_from_slice(path.as_bytes());
            gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_cksum();
            builder.append(&header, text.as_bytes()).expect("an entry");
        }
        builder.into_inner().expect("an archive")
    }

    fn unpacked(archive: &[u8], most: Most) -> (tempfile::TempDir, io::Result<()>) {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("in")).expect("a folder");
        let done = unpack(archive, &folder.path().join("in"), most);
        (folder, done)
    }

    const FILE: EntryType = EntryType::Regular;
    const LINK: EntryType = EntryType::Symlink;
    const HARD: EntryType = EntryType::Link;

    #[test]
    fn files_folders_and_links_are_as_they_were_and_nobody_becomes_another_user() {
        let archive = archive(&[
            (EntryType::Directory, "./a/", "", ""),
            (FILE, "/a/file", "", "text"),
            (FILE, "not/made/before", "", "text"),
            (LINK, "a/link", "/etc/passwd", ""),
            (HARD, "a/hard", "a/file", ""),
            (EntryType::Fifo, "a/pipe", "", ""),
            (EntryType::Char, "a/device", "", ""),
            (FILE, "a/file", "", "later"),
        ]);
        let (folder, done) = unpacked(&archive, ENOUGH);
        done.expect("an archive");
        let at = |path: &str| folder.path().join("in").join(path);
        let read = |path: &str| std::fs::read_to_string(at(path)).expect(path);
        assert_eq!((read("a/file"), read("a/hard")), ("later".to_owned(), "text".to_owned()));
        assert_eq!(read("not/made/before"), "text");
        assert_eq!(std::fs::read_link(at("a/link")).expect("a link"), Path::new("/etc/passwd"));
        assert!(!at("a/pipe").exists() && !at("a/device").exists());
        assert_eq!(std::fs::metadata(at("a/file")).expect("a file").mode() & 0o7777, 0o755);
    }

    #[test]
    fn nothing_is_written_outside_of_the_folder() {
        let out = tempfile::tempdir().expect("a folder");
        let out = out.path().to_str().expect("a path");
        let odd: [&[Made<'_>]; 8] = [
            &[(FILE, "../out", "", "text")],
            &[(FILE, "a/../../out", "", "text")],
            &[(LINK, "a", "..", ""), (FILE, "a/out", "", "text")],
            &[(LINK, "a", out, ""), (FILE, "a/out", "", "text")],
            &[(LINK, "a", out, ""), (EntryType::Directory, "a", "", "")],
            &[(LINK, "a", out, ""), (LINK, "a/b", "c", "")],
            &[(HARD, "a", "../../etc/passwd", "")],
            &[(LINK, "a", "/etc", ""), (HARD, "b", "a/passwd", "")],
        ];
        for entries in odd {
            let (folder, done) = unpacked(&archive(entries), ENOUGH);
            assert!(done.is_err(), "{entries:?}");
            let names: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
            assert_eq!(names.len(), 1, "{entries:?}: {names:?}");
            assert_eq!(std::fs::read_dir(out).expect("a folder").count(), 0, "{entries:?}");
        }
    }

    #[test]
    fn a_file_takes_the_place_of_a_link_and_does_not_go_through_it() {
        let out = tempfile::tempdir().expect("a folder");
        let victim = out.path().join("victim");
        std::fs::write(&victim, "before").expect("a file");
        let to = victim.to_str().expect("a path");
        let archive = archive(&[(LINK, "a", to, ""), (FILE, "a", "", "after")]);
        let (folder, done) = unpacked(&archive, ENOUGH);
        done.expect("an archive");
        assert_eq!(std::fs::read_to_string(&victim).expect("a file"), "before");
        assert!(!folder.path().join("in/a").is_symlink());
    }

    #[test]
    fn an_archive_is_unpacked_up_to_a_size_and_a_number_of_files() {
        let file = |text| archive(&[(FILE, "a", "", text)]);
        let most = Most { bytes: OF_ENTRY + 4, entries: 1 };
        unpacked(&file("text"), most).1.expect("an archive");
        assert!(unpacked(&file("texts"), most).1.is_err());
        assert!(unpacked(&archive(&[(FILE, "a", "", ""), (FILE, "b", "", "")]), most).1.is_err());
        let deep = archive(&[(FILE, "a/b/c/d/e", "", "")]);
        assert!(unpacked(&deep, Most { bytes: 3 * OF_ENTRY, entries: 1 }).1.is_err());
    }

    #[test]
    fn long_names_are_read_and_endless_ones_are_not() {
        let long = "a".repeat(200);
        let named = |name: &str| {
            let mut builder = Builder::new(Vec::new());
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::GNULongName);
            header.set_size(name.len() as u64);
            header.set_cksum();
            builder.append(&header, name.as_bytes()).expect("a name");
            let mut header = Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, &b""[..]).expect("a file");
            builder.into_inner().expect("an archive")
        };
        let (folder, done) = unpacked(&named(&long), ENOUGH);
        done.expect("an archive");
        assert!(folder.path().join("in").join(&long).exists());
        assert!(unpacked(&named(&"a/".repeat(4000)), ENOUGH).1.is_err());
        assert!(unpacked(&named(&"a".repeat(1 << 20)), ENOUGH).1.is_err());
        assert!(unpacked(&named("../a"), ENOUGH).1.is_err());
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        assert!(unpacked(&[7; 4096], ENOUGH).1.is_err());
        let cut = archive(&[(FILE, "a", "", "text")]);
        assert!(unpacked(&cut[..514], ENOUGH).1.is_err());
        let folder = tempfile::tempdir().expect("a folder");
        symlink("/tmp", folder.path().join("in")).expect("a link");
        assert!(unpack(&cut[..], &folder.path().join("in"), ENOUGH).is_err());
    }
}
