//! What an apply is about to do and what it did, on disk, write by write, so that a run
//! that was killed can be told of by the next one.
//!
//! One file a set: `.meshagent/journal/NAME.jsonl` in the current folder, readable by its
//! owner only, taken away when a run ends by itself. It holds names, never fields.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};
use crate::plan::{Action, Plan};

/// The folder, in the current one.
const FOLDER: &str = ".meshagent/journal";

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

fn path(folder: &Path, set: &str) -> PathBuf {
    folder.join(FOLDER).join(format!("{set}.jsonl"))
}

/// What the last run of a set left behind in a folder; `None` when it ended by itself.
#[must_use]
pub fn leftover(folder: &Path, set: &str) -> Option<Leftover> {
    let file = File::open(path(folder, set)).ok()?;
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
    let _ = std::fs::remove_file(path(folder, set));
}

impl Journal {
    /// Begins the journal of a run, in place of one that was left behind.
    ///
    /// # Errors
    ///
    /// A folder or file that cannot be made.
    pub fn begin(folder: &Path, set: &str, platform: &str) -> Result<Self> {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        let path = path(folder, set);
        let failed = || format!("failed to begin the journal {}", path.display());
        if let Some(parent) = path.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .context(failed)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .context(failed)?;
        let journal = Self { path: path.clone(), file: Mutex::new(file) };
        journal.write(&Line::Began {
            at: Timestamp::now(),
            process: std::process::id(),
            platform: platform.to_owned(),
        })?;
        Ok(journal)
    }

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
        let mut bytes = serde_json::to_vec(line).context(failed)?;
        bytes.push(b'\n');
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
        let journal = Journal::begin(folder.path(), "s", "embedded").unwrap();
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
}
