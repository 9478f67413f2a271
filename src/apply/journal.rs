//! What an apply is about to do and what it did, on disk, write by write, so that the next run can
//! report on one that was killed.
//!
//! One file per set: `.meshagent/journal/NAME.jsonl` in the working folder, readable by its owner
//! only, and removed when a run ends by itself. It holds names, never fields. If the working
//! folder cannot be written, the journal is in the user's state folder, under a name that is made
//! from the path of the working folder, so that the next run there finds it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Read, Take, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::inventory::is_set_name;
use crate::bounded;
use crate::conceal;
use crate::error::{Context, Error, Result};
use crate::kinds::Key;
use crate::listed::few;
use crate::own_folder;
use crate::plan::{Action, Operation, Plan};
use crate::visible;
use crate::whole_file::Draft;

/// The most that is read of a journal, in bytes; one of a hundred thousand writes has less.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The longest line of one, in bytes: a write has the names of an object and its project.
const MAX_LINE: usize = 64 * 1024;

/// How many writes are under way at once at most.
const MOST_OPEN: usize = 10_000;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum Line {
    /// A run began.
    Began { at: Timestamp, process: u32, platform: String },
    /// A write is about to be sent.
    Sending(WriteNote),
    /// A write was answered.
    Answered(WriteNote),
}

/// A write, by its object and what becomes of that.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WriteNote {
    /// Empty in what earlier versions wrote.
    #[serde(default)]
    project: String,
    object: String,
    action: Action,
}

impl WriteNote {
    fn new(key: &Key, action: Action) -> Self {
        Self { project: key.project.clone(), object: key.to_string(), action }
    }

    fn is_on(&self, key: &Key) -> bool {
        self.project == key.project && self.object == key.to_string()
    }
}

impl fmt::Display for WriteNote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.action, visible::line(&self.object))
    }
}

/// The journal of a run.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

/// What an interrupted run left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftover {
    /// When it began.
    pub began: Option<Timestamp>,
    /// The platform that it wrote to.
    pub platform: String,
    /// How many of its writes were answered.
    pub answered: usize,
    /// Its writes that were not: whether they happened is not known.
    pub open: Vec<WriteNote>,
}

impl Leftover {
    /// A summary in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let began = self.began.map(|began| format!(" of {began}")).unwrap_or_default();
        let open = match self.open.is_empty() {
            true => String::new(),
            false => format!("; it is not known whether these were done: {}", list(&self.open)),
        };
        let answered = match (self.answered, self.open.is_empty()) {
            (0, true) => "it wrote nothing".to_owned(),
            (1, true) => "its only write was answered".to_owned(),
            (count, true) => format!("all of its {count} writes were answered"),
            (1, false) => "1 of its writes was answered".to_owned(),
            (count, false) => format!("{count} of its writes were answered"),
        };
        format!("the last apply{began} was interrupted; {answered}{open}")
    }
}

impl Leftover {
    /// What a later plan shows about the writes that were open, in one sentence. A write counts as
    /// done only if its object was seen to be as it was meant to be. `None` if no write was open.
    #[must_use]
    pub fn findings(self, plan: &Plan) -> Option<String> {
        let mut told: BTreeMap<Finding, Vec<WriteNote>> = BTreeMap::new();
        for sent in self.open {
            let finding = match self.platform == plan.platform {
                true => Finding::of(&sent, plan),
                false => Finding::Unknown,
            };
            told.entry(finding).or_default().push(sent);
        }
        let told: Vec<String> = told
            .into_iter()
            .map(|(finding, writes)| format!("{}: {}", finding.words(), list(&writes)))
            .collect();
        (!told.is_empty())
            .then(|| format!("of the writes that the last apply left open, {}", told.join("; ")))
    }
}

/// What became of a write that was open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Finding {
    Done,
    Left,
    Unknown,
}

impl Finding {
    fn of(sent: &WriteNote, plan: &Plan) -> Self {
        let mut operations = plan.operations.iter().filter(|it| sent.is_on(&it.key)).peekable();
        let is_planned = operations.peek().is_some();
        let is_met = |operation: &Operation| operation.observed().is_some();
        if operations.clone().any(|operation| operation.action() == sent.action) {
            return Self::Left;
        }
        let is_done = match sent.action {
            // It was looked for, and is not there.
            Action::Delete => is_planned && !operations.any(is_met),
            Action::Release => false,
            _ => !is_planned && plan.as_declared.iter().any(|key| sent.is_on(key)),
        };
        if is_done { Self::Done } else { Self::Unknown }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Done => "these are done",
            Self::Left => "these are still to do",
            Self::Unknown => "these are still not known",
        }
    }
}

fn list(writes: &[WriteNote]) -> String {
    few(writes)
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

/// Those of the places that are not reached through a link, which a checkout may contain.
fn own(places: &[PathBuf]) -> impl Iterator<Item = &PathBuf> {
    places.iter().filter(|place| own_folder::refuse_links(place).is_ok())
}

/// The name of the journal's file, for what can be the name of a set.
fn file_name(set: &str) -> Option<String> {
    is_set_name(set).then(|| format!("{set}.jsonl"))
}

/// What the last run of a set left behind in a folder; `None` when it ended by itself, or goes
/// on still.
#[must_use]
pub fn leftover(folder: &Path, set: &str) -> Option<Leftover> {
    let name = file_name(set)?;
    let places = places(folder, own_folder::of_state());
    let left = own(&places).filter_map(|place| read(&place.join(&name)));
    // Where a folder can be written only at times, the last run may have used either place.
    left.max_by_key(|leftover| leftover.began)
}

/// Opens a journal whose run has ended. A run locks its journal for as long as it lives, and the
/// kernel releases the lock with it.
fn open_left(path: &Path) -> Option<Take<File>> {
    let (file, _) = bounded::open(path, MAX_BYTES).ok()?;
    match file.get_ref().try_lock_shared() {
        Err(TryLockError::WouldBlock) => None,
        // Where files cannot be locked, this cannot be told.
        Ok(()) | Err(TryLockError::Error(_)) => Some(file),
    }
}

fn read(path: &Path) -> Option<Leftover> {
    let file = open_left(path)?;
    let mut leftover = Leftover::default();
    let mut open = HashMap::new();
    for (index, line) in Lines(BufReader::new(file)).enumerate() {
        match line {
            Line::Began { at, platform, .. } if index == 0 => {
                (leftover.began, leftover.platform) = (Some(at), platform);
            }
            Line::Began { .. } => break,
            Line::Sending(_) if open.len() >= MOST_OPEN => break,
            Line::Sending(sent) => drop(open.insert(sent, index)),
            Line::Answered(sent) => {
                open.remove(&sent);
                leftover.answered += 1;
            }
        }
    }
    let mut open: Vec<_> = open.into_iter().collect();
    open.sort_unstable_by_key(|(_, index)| *index);
    leftover.open = open.into_iter().map(|(sent, _)| sent).collect();
    Some(leftover)
}

/// The lines of a journal up to the first that this program did not write completely: the last one
/// may be cut off, and a checkout may contain anything.
struct Lines<R>(R);

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let mut line = Vec::new();
        let most = MAX_LINE as u64 + 1;
        self.0.by_ref().take(most).read_until(b'\n', &mut line).ok()?;
        if line.len() > MAX_LINE {
            return None;
        }
        serde_json::from_slice(&line).ok()
    }
}

/// Removes what a run left behind, once the platform was seen to be as declared.
pub fn forget(folder: &Path, set: &str) {
    let Some(name) = file_name(set) else { return };
    for place in own(&places(folder, own_folder::of_state())) {
        let path = place.join(&name);
        if open_left(&path).is_some() {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A place for the journal of a run that has not begun. Nothing stays when it is dropped.
#[derive(Debug)]
pub struct Prepared {
    draft: Draft,
    path: PathBuf,
}

impl Prepared {
    /// Finds a place for the journal of a run, which can be written.
    ///
    /// # Errors
    ///
    /// No place can be written; the name of the set is not valid.
    pub fn new(folder: &Path, set: &str) -> Result<Self> {
        Self::in_one_of(&places(folder, own_folder::of_state()), set)
    }

    fn in_one_of(places: &[PathBuf], set: &str) -> Result<Self> {
        let name = file_name(set)
            .ok_or_else(|| Error::usage(format!("{set:?} cannot be the name of a set")))?;
        let mut reasons = Vec::new();
        for place in places {
            own_folder::refuse_links(place)
                .context(|| format!("failed to create the journal in {}", place.display()))?;
            let made = own_folder::create(place).and_then(|()| Draft::of(&place.join(&name)));
            match made {
                Ok(draft) => return Ok(Self { draft, path: place.join(&name) }),
                Err(error) => reasons.push(format!("{}: {error}", place.display())),
            }
        }
        Err(Error::failed(format!(
            "the journal of this run cannot be written in any folder: {}",
            reasons.join("; ")
        ))
        .hint("set XDG_STATE_HOME to a writable folder, or work in one"))
    }

    /// Begins the journal, in place of one that was left behind.
    ///
    /// # Errors
    ///
    /// The disk cannot be written.
    pub fn begin(self, platform: &str) -> Result<Journal> {
        let Self { draft, path } = self;
        let failed = || format!("failed to create the journal {}", path.display());
        let began = Line::Began {
            at: Timestamp::now(),
            process: std::process::id(),
            platform: platform.to_owned(),
        };
        draft.file().write_all(&began.bytes().context(failed)?).context(failed)?;
        // It is locked, so that it never looks like what a dead run left behind.
        let file = draft.rename(&path).context(failed)?;
        Ok(Journal { path, file: Mutex::new(file) })
    }
}

impl Line {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        let text = serde_json::to_string(self)? + "\n";
        Ok(conceal::within(text.into()).into_owned().into_bytes())
    }
}

impl Journal {
    /// Notes that a write is about to be sent. The kernel has the line before this returns, so
    /// that it outlives the process.
    ///
    /// # Errors
    ///
    /// The disk cannot be written; the write must not be sent then.
    pub fn sending(&self, key: &Key, action: Action) -> Result<()> {
        self.write(&Line::Sending(WriteNote::new(key, action)))
    }

    /// Notes that a write was answered.
    ///
    /// # Errors
    ///
    /// The disk cannot be written.
    pub fn answered(&self, key: &Key, action: Action) -> Result<()> {
        self.write(&Line::Answered(WriteNote::new(key, action)))
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
    use std::sync::Arc;

    use super::*;
    use crate::kinds::KindName;
    use crate::kinds::tree::Tree;
    use crate::plan::{self, Effect, Observed, Why};

    fn room(name: &str) -> Key {
        let project = "p".to_owned();
        Key::new(KindName::Room, project, None, name)
    }

    /// What a run that was killed leaves, in whose plan this was open.
    fn left(open: &[(&str, Action)]) -> Leftover {
        let folder = tempfile::tempdir().unwrap();
        let journal = Prepared::new(folder.path(), "s").unwrap().begin("embedded").unwrap();
        for (name, action) in open {
            journal.sending(&room(name), *action).unwrap();
        }
        drop(journal);
        leftover(folder.path(), "s").unwrap()
    }

    fn operation(name: &str, effect: Effect) -> Operation {
        Operation::new(room(name), effect, Why::AskedFor)
    }

    #[test]
    fn a_run_that_was_killed_is_told_of_and_one_that_ended_or_goes_on_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let begin = || Prepared::new(folder.path(), "s").unwrap().begin("embedded").unwrap();
        let journal = begin();
        journal.sending(&room("a"), Action::Create).unwrap();
        journal.sending(&room("b"), Action::Create).unwrap();
        journal.answered(&room("a"), Action::Create).unwrap();
        assert_eq!(leftover(folder.path(), "s"), None);
        // An empty plan of somebody else takes nothing away from a run that goes on.
        forget(folder.path(), "s");
        drop(journal);
        let left = leftover(folder.path(), "s").unwrap();
        let b = WriteNote::new(&room("b"), Action::Create);
        assert_eq!((left.answered, left.open.as_slice()), (1, &[b][..]));
        assert!(left.sentence().contains("create Room/b"));
        begin().end();
        assert_eq!(leftover(folder.path(), "s"), None);
    }

    #[test]
    fn only_what_was_seen_to_be_as_it_was_to_be_is_found_done() {
        let seen = Observed {
            id: None,
            owner: None,
            fields: Arc::new(Tree::map([])),
            answered: None,
            revision: None,
            called: None,
            also_called: Vec::new(),
            is_remembered: false,
        };
        let open = [
            ("made", Action::Create),
            ("lacking", Action::Create),
            ("elsewhere", Action::Create),
            ("other", Action::Create),
            ("deleted", Action::Delete),
            ("there", Action::Delete),
            ("unseen", Action::Delete),
        ];
        let sent = plan::Sent::new(Tree::map([]).into(), Vec::new());
        let delete = Effect::Delete { of: seen.clone().into(), former: None, replaces: false };
        let plan = Plan {
            platform: "embedded".to_owned(),
            operations: vec![
                operation("lacking", Effect::Create { sent: sent.clone(), replaces: false }),
                operation("other", Effect::Update { of: seen.clone().into(), sent }),
                operation("deleted", Effect::Release { of: None, by_id: Vec::new() }),
                operation("there", delete),
            ],
            as_declared: [room("made"), room("elsewhere").with_project("q")].into(),
            ..Plan::default()
        };
        assert_eq!(
            left(&open).findings(&plan).unwrap(),
            "of the writes that the last apply left open, these are done: create Room/made, delete Room/deleted; \
             these are still to do: create Room/lacking, delete Room/there; these are still not known: \
             create Room/elsewhere, create Room/other, delete Room/unseen"
        );
        let elsewhere = Plan { platform: "https://other".to_owned(), ..plan };
        let told = left(&open[..1]).findings(&elsewhere).unwrap();
        assert!(told.ends_with("these are still not known: create Room/made"), "{told}");
    }

    #[test]
    fn what_cannot_be_the_name_of_a_set_has_no_journal() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        for set in [outside.to_str().unwrap(), "../outside", "x y", ""] {
            assert!(Prepared::new(folder.path(), set).is_err(), "{set}");
            assert_eq!(leftover(folder.path(), set), None);
            std::fs::write(outside.with_extension("jsonl"), "kept").unwrap();
            forget(folder.path(), set);
            assert!(outside.with_extension("jsonl").exists());
        }
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
        let begin = || Prepared::in_one_of(&of(&one), "s").unwrap().begin("embedded").unwrap();
        let journal = begin();
        assert!(journal.path.starts_with(&state));
        drop(journal);
        let found =
            |working: &Path| of(working).iter().any(|it| read(&it.join("s.jsonl")).is_some());
        assert!(found(&one) && !found(&other));
        begin().end();
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
