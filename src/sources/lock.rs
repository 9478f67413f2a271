//! `meshagent.lock`: what each source was when somebody looked at it. It is committed beside the
//! project file, so that everybody plans with the same manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Origin};
use crate::bounded;
use crate::decoding;
use crate::error::{Error, Problem, Result};
use crate::kinds::path::{FieldPath, Step};
use crate::listed::word;
use crate::manifest::located::locate;
use crate::manifest::pack::Digest;
use crate::manifest::reach::Reach;
use crate::manifest::source::Source;
use crate::manifest::yaml::{self, Mark};
use crate::visible;
use crate::whole_file;

/// The name of the file.
pub const NAME: &str = "meshagent.lock";

/// The largest lock that is read, in bytes.
const LARGEST: usize = 1024 * 1024;

/// What stands at the beginning of the file.
const ABOUT: &str =
    "# What the sources of meshagent.yaml are, written by `meshagent source update`. Commit it.\n";

/// What one source is, for one version that the project file asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    git: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    archive: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    oci: Option<String>,
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    path: String,
    /// What it was: a commit, the digest of an archive, or that of a manifest in a registry.
    at: String,
    /// The digest over the files that are read.
    content: Digest,
}

impl Pin {
    /// Pins what was fetched for an entry.
    #[must_use]
    pub fn of(entry: &Entry, at: String, content: Digest) -> Self {
        let mut pin = Self {
            git: None,
            archive: None,
            oci: None,
            reference: None,
            path: entry.path.clone(),
            at,
            content,
        };
        match &entry.origin {
            Origin::Git { git, reference } => {
                (pin.git, pin.reference) = (Some(git.clone()), reference.clone());
            }
            Origin::Archive { archive, .. } => pin.archive = Some(archive.clone()),
            Origin::Oci { oci } => pin.oci = Some(oci.clone()),
        }
        pin
    }

    /// Whether it is for what the entry asks for.
    #[must_use]
    pub fn fits(&self, entry: &Entry) -> bool {
        let wanted = Self::of(entry, self.at.clone(), self.content);
        let is_its_archive = match &entry.origin {
            Origin::Archive { sha256: Some(digest), .. } => digest.to_string() == self.at,
            _ => true,
        };
        *self == wanted && is_its_archive
    }

    /// What was pinned, as if the project file asked for it where another entry is.
    ///
    /// # Errors
    ///
    /// It cannot have been pinned so: a lock may be a stranger's.
    pub fn entry(&self, other: &Entry) -> Result<Entry, String> {
        let origin = match (&self.git, &self.archive, &self.oci) {
            (Some(git), None, None) => {
                Origin::Git { git: git.clone(), reference: self.reference.clone() }
            }
            (None, Some(archive), None) => {
                Origin::Archive { archive: archive.clone(), sha256: self.at.parse().ok() }
            }
            (None, None, Some(oci)) => Origin::Oci { oci: oci.clone() },
            _ => return Err(format!("{NAME} does not say where it was")),
        };
        let entry = Entry { origin, path: self.path.clone(), ..other.clone() };
        match entry.check() {
            Ok(()) => Ok(entry),
            Err((message, _)) => Err(message),
        }
    }

    /// How it differs from what an entry asks for.
    fn told(&self, entry: &Entry) -> String {
        let wanted = Self::of(entry, self.at.clone(), self.content);
        let places = [&self.git, &self.archive, &self.oci];
        if places.into_iter().flatten().count() != 1 {
            return "several places, or none".to_owned();
        }
        let place = |pin: &Self| {
            let places = [("git", &pin.git), ("archive", &pin.archive), ("oci", &pin.oci)];
            let named = |(name, at): (&str, &Option<String>)| {
                Some(format!("{name} {}", visible::url(at.as_deref()?)))
            };
            places.into_iter().find_map(named).unwrap_or_default()
        };
        let reference = |pin: &Self| match &pin.reference {
            Some(reference) => format!("ref {}", visible::line(reference)),
            None => "no ref".to_owned(),
        };
        let path = |pin: &Self| match pin.path.as_str() {
            "" => "no path".to_owned(),
            path => format!("path {}", visible::line(path)),
        };
        let differs = |what: &dyn Fn(&Self) -> String| {
            let (one, other) = (what(self), what(&wanted));
            (one != other).then(|| format!("{one}, not {other}"))
        };
        let found = differs(&place).or_else(|| differs(&reference)).or_else(|| differs(&path));
        found.unwrap_or_else(|| "another digest".to_owned())
    }

    /// The commit, the digest of the archive, or that of the artifact.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }

    /// The digest over the files.
    #[must_use]
    pub fn content(&self) -> Digest {
        self.content
    }

    /// The version that was asked for.
    fn order(&self) -> (&Option<String>, &Option<String>, &Option<String>, &Option<String>, &str) {
        (&self.git, &self.archive, &self.oci, &self.reference, &self.path)
    }
}

/// The pins of a project: of each source one for each version that an environment asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    path: PathBuf,
    pins: BTreeMap<String, Vec<Pin>>,
}

/// The form of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: Version,
    #[serde(default)]
    sources: BTreeMap<String, Vec<Pin>>,
}

#[derive(Serialize, Deserialize)]
enum Version {
    #[serde(rename = "v1")]
    V1,
}

/// The path of a field, as it is looked for in a document.
fn steps(path: &serde_path_to_error::Path) -> FieldPath {
    use serde_path_to_error::Segment;
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Field(key.clone())),
        _ => None,
    };
    FieldPath(path.iter().filter_map(step).collect())
}

impl Lock {
    /// Reads the lock beside a project file. One that is missing pins nothing.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or that is no lock, at its place.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let name = path.strip_prefix(".").unwrap_or(&path).display().to_string();
        // A checkout may have a link there.
        if let Err(outside) = Reach::of(&[folder.to_owned()], &[]).check(&path)
            && outside.is_link
        {
            return Err(Error::manifests(vec![outside.problem(&path)]));
        }
        let text = match bounded::text(&path, LARGEST) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Self { path, ..Self::default() });
            }
            Err(error) => {
                return Err(Error::failed(format!("failed to read {name}")).because(error));
            }
        };
        let source = Source::new(name, folder.to_owned(), text);
        let wrong = |mark: Option<Mark>, message: String| {
            let hint = "undo the change, or remove the file and run `meshagent source update`, which locks every source as it is now";
            Error::manifests(vec![source.problem(mark.unwrap_or_default(), message).hint(hint)])
        };
        if let Some(at) = source.text.lines().position(|line| line.starts_with("<<<<<<< ")) {
            let mark = Mark { line: at as u64 + 1, column: 1, ..Mark::default() };
            let message = "here is a conflict that was not resolved after a merge";
            let hint = "take one side, such as with `git checkout --ours meshagent.lock`; then `meshagent source update NAME` moves the pins of the other side";
            return Err(Error::manifests(vec![source.problem(mark, message).hint(hint)]));
        }
        let documents =
            yaml::parse(&source.text).map_err(|error| wrong(error.mark, error.message))?;
        let [root] = documents.as_slice() else {
            return Err(wrong(None, "a lock is one document".to_owned()));
        };
        let form: Form = serde_path_to_error::deserialize(root.to_json()).map_err(|error| {
            let path = error.path().to_string();
            let told = decoding::plainly(&error.inner().to_string());
            let message = match path.as_str() {
                "." => format!("this is no lock: {told}"),
                path => format!("this is no lock: `{path}`: {told}"),
            };
            wrong(Some(locate(&steps(error.path()), root).0), message)
        })?;
        Ok(Self { path, pins: form.sources })
    }

    /// The pin of what an entry asks for.
    ///
    /// # Errors
    ///
    /// It is not pinned, or what is pinned is something else.
    pub fn pin(&self, entry: &Entry) -> Result<&Pin, Problem> {
        let pins = self.pins.get(&entry.name).map(Vec::as_slice).unwrap_or_default();
        pins.iter().find(|pin| pin.fits(entry)).ok_or_else(|| {
            let message = match pins {
                [] => format!("the source `{}` is not locked", entry.name),
                pins => {
                    let mut told: Vec<_> = pins.iter().map(|pin| pin.told(entry)).collect();
                    told.dedup();
                    format!(
                        "{NAME} does not lock what the source `{}` is here: it locks {}",
                        entry.name,
                        told.join("; ")
                    )
                }
            };
            let hint = format!(
                "`meshagent source update {}` locks it and shows what changes; then commit {NAME}",
                word(&entry.name)
            );
            Problem { place: entry.place.clone(), ..Problem::new(message).hint(hint) }
        })
    }

    /// The pins of what several entries ask for.
    ///
    /// # Errors
    ///
    /// As [`Lock::pin`], for each of them.
    pub fn pins<'a>(
        &'a self,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Result<Vec<(&'a Entry, &'a Pin)>, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut pins = Vec::new();
        for entry in entries {
            match self.pin(entry) {
                Ok(pin) => pins.push((entry, pin)),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(pins) } else { Err(problems) }
    }

    /// The pin of a source for the same version as a new one, or else the only one that it has.
    #[must_use]
    pub fn before(&self, entry: &Entry) -> Option<&Pin> {
        let pins = self.pins.get(&entry.name)?;
        let is_same =
            |pin: &&Pin| Pin::of(entry, pin.at.clone(), pin.content).order() == pin.order();
        pins.iter().find(is_same).or(match pins.as_slice() {
            [only] => Some(only),
            _ => None,
        })
    }

    /// The sources that are pinned, and that are not among these.
    pub fn unnamed<'a>(&'a self, known: &'a BTreeSet<&str>) -> impl Iterator<Item = &'a str> {
        self.pins.keys().map(String::as_str).filter(|name| !known.contains(name))
    }

    /// Pins what an entry asks for, in the place of what was pinned for it.
    pub fn put(&mut self, entry: &Entry, pin: Pin) {
        let pins = self.pins.entry(entry.name.clone()).or_default();
        pins.retain(|other| other.order() != pin.order());
        pins.push(pin);
        pins.sort_by(|one, other| one.order().cmp(&other.order()));
    }

    /// Forgets what no entry asks for any more, and says of which sources.
    pub fn keep_only(&mut self, entries: &[Entry]) -> BTreeSet<String> {
        let mut forgotten = BTreeSet::new();
        self.pins.retain(|name, pins| {
            let count = pins.len();
            pins.retain(|pin| {
                entries.iter().any(|entry| {
                    let wanted = Pin::of(entry, String::new(), pin.content);
                    entry.name == *name && wanted.order() == pin.order()
                })
            });
            if pins.len() < count {
                forgotten.insert(name.clone());
            }
            !pins.is_empty()
        });
        forgotten
    }

    /// The text of the file: sorted, one field a line, so that a change of one pin is a change of
    /// few lines.
    fn text(&self) -> Result<String> {
        let form = Form { version: Version::V1, sources: self.pins.clone() };
        let text = serde_yaml::to_string(&form)
            .map_err(|error| Error::failed("failed to write the lock").because(error))?;
        Ok(format!("{ABOUT}{text}"))
    }

    /// Writes the file, unless it says the same already.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn write(&self) -> Result<()> {
        let text = self.text()?;
        if bounded::text(&self.path, LARGEST).is_ok_and(|now| now == text) {
            return Ok(());
        }
        whole_file::write(&self.path, text.as_bytes()).map_err(|error| {
            Error::failed(format!("failed to write {}", self.path.display())).because(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, reference: &str) -> Entry {
        Entry {
            name: name.to_owned(),
            origin: Origin::Git {
                git: "https://a.test/b".to_owned(),
                reference: Some(reference.to_owned()),
            },
            path: "m".to_owned(),
            place: None,
            folder: PathBuf::new(),
        }
    }

    fn pin(entry: &Entry, at: &str) -> Pin {
        Pin::of(entry, at.repeat(40), Digest::of(at.as_bytes()))
    }

    #[test]
    fn a_lock_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut lock = Lock::read(folder.path()).unwrap();
        let entries = [entry("b", "v2"), entry("b", "v1"), entry("a", "1.0")];
        for entry in &entries {
            assert!(lock.pin(entry).unwrap_err().message.contains("lock"));
            lock.put(entry, pin(entry, "1"));
        }
        lock.put(&entries[0], pin(&entries[0], "2"));
        lock.write().unwrap();
        let read = Lock::read(folder.path()).unwrap();
        assert_eq!(read, lock);
        assert_eq!(read.pin(&entries[0]).unwrap().at(), "2".repeat(40));
        assert_eq!(read.before(&entry("a", "9")).unwrap().at(), "1".repeat(40));
        insta::assert_snapshot!(std::fs::read_to_string(folder.path().join(NAME)).unwrap());
        // Another version of the source stays pinned when one is forgotten.
        let mut lock = read;
        assert_eq!(lock.keep_only(&entries[1..]), BTreeSet::from(["b".to_owned()]));
        assert!(lock.pin(&entries[0]).is_err() && lock.pin(&entries[1]).is_ok());
    }

    #[test]
    fn a_lock_is_not_read_through_a_link_that_leads_out() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(other.path().join("secret"), "hunter2: [").unwrap();
        let lock = folder.path().join(NAME);
        std::os::unix::fs::symlink(other.path().join("secret"), lock).unwrap();
        let problems = Lock::read(folder.path()).unwrap_err().problems;
        assert!(problems[0].message.contains("the link leads outside"), "{problems:?}");
        assert_eq!(problems[0].source_line, None);
    }

    #[test]
    fn a_lock_that_is_none_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        for (text, place) in [
            ("version: v1\n<<<<<<< ours\nsources: {}\n", ":2:1: here is a conflict"),
            ("garbage", ":1:1: this is no lock: it must be a map of fields"),
            ("version: v2\n", ":1:1"),
            ("version: v1\nsources: {a: [{at: x}]}\n", ":2:15: "),
            ("version: v1\nsources: {a: [{at: x, content: sha256:12}]}\n", ":2:"),
            ("", ":1:1"),
        ] {
            std::fs::write(folder.path().join(NAME), text).unwrap();
            let error = Lock::read(folder.path()).unwrap_err();
            let told = error.problems[0].to_string();
            assert!(told.contains(&format!("{NAME}{place}")), "{told}");
        }
    }
}
