//! What an apply is about to do and what it did, on disk, write by write, so that a run
//! that was killed can be told of by the next one.
//!
//! One file a set: `.meshagent/journal/NAME.jsonl` in the working folder, readable by its
//! owner only, taken away when a run ends by itself. It holds names, never fields. Where the
//! working folder takes no files, it is in the state folder of the user's system, below a
//! name that is made of the working folder's path, so that the next run there finds it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::bounded;
use crate::error::{Context, Error, Result};
use crate::own_folder;
use crate::plan::{Action, Plan};

/// The most that is read of a journal, in bytes; one of a hundred thousand writes has less.
const MAX_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum Line {
    /// A run began.
    Began { at: Timestamp, process: u32, platform: String },
    /// A write is about to be sent.
    Sending { object: String, action: Action },
    /// A write was answered.
    Answered { object: String, action: Action },
}

/// The journal of a run.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

/// What a run that did not end by itself left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// When it began.
    pub began: Option<Timestamp>,
    /// How many of its writes were answered.
    pub answered: usize,
    /// Its writes that were not: whether they happened is not known.
    pub open: Vec<(String, Action)>,
}

impl Leftover {
    /// What it comes to, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let began = self.began.map(|began| format!(" of {began}")).unwrap_or_default();
        let open: Vec<String> =
            self.open.iter().map(|(object, action)| named(object, *action)).collect();
        let open = match open.is_empty() {
            true => "none was open".to_owned(),
            false => format!("not known to be done: {}", open.join(", ")),
        };
        format!(
            "the last apply{began} did not end by itself; {} of its writes were answered; {open}",
            self.answered
        )
    }
}

impl Leftover {
    /// What a plan that was made since tells of the writes that were open, in one sentence:
    /// what it still has to do was not done. Nothing where none was open.
    #[must_use]
    pub fn findings(&self, plan: &Plan) -> Option<String> {
        let is_left = |(object, action): &&(String, Action)| {
            plan.operations.iter().any(|operation| {
                operation.action == *action && operation.key.to_string() == *object
            })
        };
        let (left, done): (Vec<_>, Vec<_>) = self.open.iter().partition(is_left);
        let told = [(done, "found done"), (left, "still to do")];
        let told: Vec<String> = told
            .into_iter()
            .filter(|(writes, _)| !writes.is_empty())
            .map(|(writes, what)| {
                let names: Vec<String> =
                    writes.into_iter().map(|(object, action)| named(object, *action)).collect();
                format!("{what}: {}", names.join(", "))
            })
            .collect();
        (!told.is_empty()).then(|| format!("of what the last apply left open, {}", told.join("; ")))
    }
}

fn named(object: &str, action: Action) -> String {
    format!("{} {object}", format!("{action:?}").to_lowercase())
}

/// The folders that may hold the journals of a working folder, the first choice first.
fn places(folder: &Path, state: Option<PathBuf>) -> Vec<PathBuf> {
    let here = folder.join(own_folder::NAME).join("journal");
    let elsewhere = state.map(|state| {
        let path = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
        let name = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        state.join("journal").join(name)
    });
    [Some(here), elsewhere].into_iter().flatten().collect()
}

fn file_name(set: &str) -> String {
    format!("{set}.jsonl")
}

/// What the last run of a set left behind in a folder; `None` when it ended by itself.
#[must_use]
pub fn leftover(folder: &Path, set: &str) -> Option<Leftover> {
    let places = places(folder, own_folder::of_state());
    let left = places.iter().filter_map(|place| read(&place.join(file_name(set))));
    // Where a folder can be written only at times, the last run may have used either place.
    left.max_by_key(|leftover| leftover.began)
}

fn read(path: &Path) -> Option<Leftover> {
    let (file, _) = bounded::open(path, MAX_BYTES).ok()?;
    let mut leftover = Leftover { began: None, answered: 0, open: Vec::new() };
    let mut open: BTreeMap<(String, String), Action> = BTreeMap::new();
    // The last line may be cut; what cannot be read was not finished.
    for line in BufReader::new(file).lines().map_while(std::result::Result::ok) {
        let Ok(line) = serde_json::from_str(&line) else { continue };
        let name = |action: Action| format!("{action:?}");
        match line {
            Line::Began { at, .. } => leftover.began = Some(at),
            Line::Sending { object, action } => {
                open.insert((object, name(action)), action);
            }
            Line::Answered { object, action } => {
                open.remove(&(object, name(action)));
                leftover.answered += 1;
            }
        }
    }
    leftover.open = open.into_iter().map(|((object, _), action)| (object, action)).collect();
    Some(leftover)
}

/// Takes away what a run left behind, once the platform was seen to be as declared.
pub fn forget(folder: &Path, set: &str) {
    for place in places(folder, own_folder::of_state()) {
        let _ = std::fs::remove_file(place.join(file_name(set)));
    }
}

/// A place for the journal of a run that has not begun. Nothing stays when it is dropped.
#[derive(Debug)]
pub struct Prepared {
    file: NamedTempFile,
    path: PathBuf,
}

impl Prepared {
    /// Finds a place for the journal of a run, which can be written.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn new(folder: &Path, set: &str) -> Result<Self> {
        Self::in_one_of(&places(folder, own_folder::of_state()), set)
    }

    fn in_one_of(places: &[PathBuf], set: &str) -> Result<Self> {
        let mut reasons = Vec::new();
        for place in places {
            let made = own_folder::create(place).and_then(|()| NamedTempFile::new_in(place));
            match made {
                Ok(file) => return Ok(Self { file, path: place.join(file_name(set)) }),
                Err(error) => reasons.push(format!("{}: {error}", place.display())),
            }
        }
        Err(Error::failed(format!(
            "no folder takes the journal of this run: {}",
            reasons.join("; ")
        ))
        .hint("set XDG_STATE_HOME to a folder that can be written, or work in one"))
    }

    /// Begins the journal, in place of one that was left behind.
    ///
    /// # Errors
    ///
    /// A disk that takes no more.
    pub fn begin(self, platform: &str) -> Result<Journal> {
        let Self { file, path } = self;
        let failed = || format!("failed to begin the journal {}", path.display());
        let began = Line::Began {
            at: Timestamp::now(),
            process: std::process::id(),
            platform: platform.to_owned(),
        };
        file.as_file().write_all(&began.bytes().context(failed)?).context(failed)?;
        let file = file.persist(&path).context(failed)?;
        Ok(Journal { path, file: Mutex::new(file) })
    }
}

impl Line {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

impl Journal {
    /// Says that a write is about to be sent. The line is with the kernel before this
    /// returns, so that it outlives the process.
    ///
    /// # Errors
    ///
    /// A disk that takes no more; the write must not be sent then.
    pub fn sending(&self, object: String, action: Action) -> Result<()> {
        self.write(&Line::Sending { object, action })
    }

    /// Says that a write was answered.
    ///
    /// # Errors
    ///
    /// A disk that takes no more.
    pub fn answered(&self, object: String, action: Action) -> Result<()> {
        self.write(&Line::Answered { object, action })
    }

    /// Ends the journal of a run that ended by itself.
    pub fn end(self) {
        let _ = std::fs::remove_file(&self.path);
    }

    fn write(&self, line: &Line) -> Result<()> {
        let failed = || format!("failed to write the journal {}", self.path.display());
        let bytes = line.bytes().context(failed)?;
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(&bytes).context(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_killed_is_told_of_and_one_that_ended_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Prepared::new(folder.path(), "s").unwrap().begin("embedded").unwrap();
        journal.sending("Room/a".into(), Action::Create).unwrap();
        journal.sending("Room/b".into(), Action::Create).unwrap();
        journal.answered("Room/a".into(), Action::Create).unwrap();
        let leftover = leftover(folder.path(), "s").unwrap();
        assert_eq!(
            (leftover.answered, leftover.open.as_slice()),
            (1, &[("Room/b".to_owned(), Action::Create)][..])
        );
        assert!(leftover.sentence().contains("create Room/b"));
        journal.end();
        assert_eq!(super::leftover(folder.path(), "s"), None);
    }

    #[test]
    fn a_folder_that_takes_no_files_has_its_journals_elsewhere_and_by_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        for working in [&one, &other] {
            std::fs::create_dir(working).unwrap();
            // Nothing can be made below a file, whoever runs this.
            std::fs::write(working.join(own_folder::NAME), "").unwrap();
        }
        let state = folder.path().join("state");
        let of = |working: &Path| places(working, Some(state.clone()));
        let journal = Prepared::in_one_of(&of(&one), "s").unwrap().begin("embedded").unwrap();
        journal.sending("Room/a".into(), Action::Create).unwrap();
        let found =
            |working: &Path| of(working).iter().any(|it| read(&it.join("s.jsonl")).is_some());
        assert!(found(&one) && !found(&other));
        assert!(journal.path.starts_with(&state));
        journal.end();
        assert!(!found(&one));
    }

    #[test]
    fn a_run_without_a_place_for_its_journal_says_where_it_looked() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(own_folder::NAME), "").unwrap();
        let state = Some(folder.path().join(own_folder::NAME).join("state"));
        let error = Prepared::in_one_of(&places(folder.path(), state), "s").unwrap_err();
        assert!(error.to_string().contains(".meshagent/journal"), "{error}");
        assert!(error.hint.is_some());
    }

    #[test]
    fn a_place_that_was_only_prepared_leaves_what_was_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Prepared::new(folder.path(), "s").unwrap().begin("embedded").unwrap();
        drop(journal);
        drop(Prepared::new(folder.path(), "s").unwrap());
        assert!(leftover(folder.path(), "s").is_some());
        let journal = folder.path().join(".meshagent/journal");
        assert_eq!(std::fs::read_dir(journal).unwrap().count(), 1);
    }
}
