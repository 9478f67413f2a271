//! The list of the runs whose states are kept, and which file the next state gets.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keep::{Author, Ended, What};
use crate::api::request::Precondition;
use crate::plan::Counts;

/// The version of the files' form.
pub(super) const VERSION: u32 = 1;

/// How many states are kept unless somebody says otherwise.
pub const KEPT: u32 = 20;

/// The most states that are kept.
pub const MOST_KEPT: u32 = 100;

/// The most bytes that the states of a set take in a project.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// The most projects that a state may name: each is asked.
pub(super) const MOST_PROJECTS: usize = 1_000;

/// The most files that a list names. A run that was cut off, or came too late, leaves one behind
/// that nothing is written to any more.
const MOST_FILES: u32 = 4 * MOST_KEPT;

/// How many files are tried that somebody else may be writing to.
const MOST_TRIES: usize = 4;

/// A run, and the state that it led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The number of the state: it grows with each run, and is the same in all projects of the set.
    pub number: u64,
    /// What tells the run from all others.
    pub run: String,
    /// When it ended.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What was run.
    pub what: What,
    /// The state that it went back to, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_to: Option<u64>,
    /// How it ended.
    pub ended: Ended,
    /// Who ran it.
    pub by: Author,
    /// The environment of the project file that was meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Who approved the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<String>,
    /// The version of the program.
    pub tool: String,
    /// What was planned.
    pub planned: Counts,
    /// Whether a scope left some of the set out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// How many operations were done.
    pub done: usize,
    /// The ids of the projects in which the set owned something afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
    /// How many objects of this project are in the state.
    pub objects: usize,
    /// Why its documents were not kept, if they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without: Option<String>,
    /// The file that has the state, by its number.
    pub(super) slot: u32,
    /// SHA-256 of that file, as hex.
    pub(super) digest: String,
    /// How many bytes it has.
    pub(super) bytes: u64,
}

impl Record {
    /// Adds what the same run did in another project.
    pub fn add(&mut self, other: &Self) {
        self.planned.add(&other.planned);
        self.objects += other.objects;
        self.bytes = self.bytes.saturating_add(other.bytes);
        if self.without.is_none() {
            self.without.clone_from(&other.without);
        }
    }
}

/// What a list forgot when a run was added.
pub(super) struct Forgotten {
    /// The runs that were forgotten for their size.
    pub large: Vec<Record>,
    /// The files to empty.
    pub slots: Vec<u32>,
}

/// The runs of a set in one project whose states are kept, the oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    version: u32,
    set: String,
    /// How many states are kept.
    keep: u32,
    /// Whether the set owned nothing in the project before the first state that was ever kept.
    from_nothing: bool,
    /// Whether older states were kept once and are not any more.
    forgot: bool,
    runs: Vec<Record>,
    /// The revision of each file that was written by a run of this list, those of states that are
    /// not kept any more, too; `null` if it is not known.
    #[serde(default)]
    files: BTreeMap<u32, Option<String>>,
}

impl Index {
    /// The list of a set that keeps no state yet.
    #[must_use]
    pub(super) fn new(set: &str, from_nothing: bool) -> Self {
        let set = set.to_owned();
        let (version, keep, runs, files) = (VERSION, KEPT, Vec::new(), BTreeMap::new());
        Self { version, set, keep, from_nothing, forgot: false, runs, files }
    }

    /// What is wrong with a list that was read, or is to be written, as a phrase, if anything is.
    pub(super) fn fault(&self, set: &str) -> Option<String> {
        if self.version != VERSION {
            return Some(format!("its version is {}", self.version));
        }
        if self.set != set {
            return Some("it is that of another set".to_owned());
        }
        let is_long = self.runs.len() > MOST_KEPT as usize || self.keep > MOST_KEPT;
        let numbers = self.runs.windows(2).all(|two| two[0].number < two[1].number);
        let slots: BTreeSet<u32> = self.runs.iter().map(|run| run.slot).collect();
        let is_apart = slots.len() == self.runs.len()
            && slots.iter().chain(self.files.keys()).all(|it| *it <= MOST_FILES);
        let is_numbered = numbers && self.runs.iter().all(|run| run.number < u64::MAX / 2);
        if self.runs.iter().any(|run| run.projects.len() > MOST_PROJECTS) {
            return Some(format!("a state is of more than {MOST_PROJECTS} projects"));
        }
        (is_long || !is_apart || !is_numbered).then(|| "it is not a list of states".to_owned())
    }

    /// The same list for a set of another name, whose files have these revisions.
    pub(super) fn renamed(mut self, set: &str, files: BTreeMap<u32, Option<String>>) -> Self {
        set.clone_into(&mut self.set);
        self.files = files;
        self
    }

    /// The runs, the oldest first.
    #[must_use]
    pub fn runs(&self) -> &[Record] {
        &self.runs
    }

    /// The ids of all projects that the runs name.
    pub fn projects(&self) -> impl Iterator<Item = &str> {
        self.runs.iter().flat_map(|run| run.projects.iter().map(String::as_str))
    }

    /// The run that led to the state that was the present one when the state of this number was
    /// reached somewhere in the set.
    ///
    /// # Errors
    ///
    /// It is not known any more what the set owned then; the oldest number that is known, if any.
    pub fn at(&self, number: u64) -> Result<Option<&Record>, Option<u64>> {
        match self.runs.iter().rev().find(|run| run.number <= number) {
            Some(run) => Ok(Some(run)),
            None if self.from_nothing && !self.forgot => Ok(None),
            None => Err(self.runs.first().map(|run| run.number)),
        }
    }

    /// The number of the newest state.
    pub(super) fn newest(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.number)
    }

    /// The files that the next state may be written to, none of which the list names, and what must
    /// hold of each: that nobody has written to it since the list was. Whoever else has read the
    /// same list is refused there. Where run after run was cut off, or all files are in use, any will
    /// do in the end.
    pub(super) fn free_files(&self) -> impl Iterator<Item = (u32, Precondition)> + use<> {
        let taken: BTreeSet<u32> = self.runs.iter().map(|run| run.slot).collect();
        let revision = |revision: &Option<String>| match revision {
            Some(revision) => Precondition::Revision(revision.clone()),
            None => Precondition::None,
        };
        let free = || self.files.iter().filter(|(slot, _)| !taken.contains(slot));
        let known = free().filter(|(_, it)| it.is_some());
        let known: Vec<_> = known.map(|(slot, it)| (*slot, revision(it))).collect();
        // Nothing tells what was written there since.
        let blind = free().filter(|(_, it)| it.is_none());
        let blind: Vec<_> = blind.map(|(slot, it)| (*slot, revision(it))).collect();
        let all = taken.iter().chain(self.files.keys());
        let next = all.max().map_or(0, |last| last + 1);
        let new = (next..=MOST_FILES).map(|slot| (slot, Precondition::Absent));
        let any = (0..=MOST_FILES).filter(move |slot| !taken.contains(slot));
        let any = any.map(|slot| (slot, Precondition::None));
        known.into_iter().chain(new).take(MOST_TRIES).chain(blind).chain(any).take(MOST_TRIES + 1)
    }

    /// Takes note of what became of a file: its revision, or that somebody else writes to it.
    pub(super) fn wrote(&mut self, slot: u32, revision: Option<&Precondition>) {
        match revision {
            Some(Precondition::Revision(revision)) => {
                self.files.insert(slot, Some(revision.clone()));
            }
            Some(_) => drop(self.files.insert(slot, None)),
            None => drop(self.files.remove(&slot)),
        }
    }

    /// Sets how many states are kept.
    pub(super) fn keep(&mut self, count: Option<u32>) {
        self.keep = count.unwrap_or(self.keep).min(MOST_KEPT);
    }

    /// Adds a run, and forgets those that are too many. Of runs in a row that did nothing, only the
    /// last one stays, so that a job that fails again and again displaces no state. Returns what was
    /// forgotten.
    pub(super) fn push(&mut self, run: Record) -> Forgotten {
        self.runs.pop_if(|last| last.done == 0 && run.done == 0);
        self.runs.push(run);
        let over = self.runs.len().saturating_sub(self.keep.max(1) as usize);
        self.forgot |= over > 0;
        let many: Vec<u32> = self.runs.drain(..over).map(|run| run.slot).collect();
        // The next state gets the file of one that is forgotten. The others would stay for ever.
        let mut slots = many.get(1..).unwrap_or_default().to_vec();
        let mut large = Vec::new();
        // Whoever may write the storage may have written any size.
        let size =
            |runs: &[Record]| runs.iter().fold(0, |sum: u64, it| sum.saturating_add(it.bytes));
        while self.runs.len() > 1 && size(&self.runs) > MOST_BYTES {
            self.forgot = true;
            let run = self.runs.remove(0);
            slots.push(run.slot);
            large.push(run);
        }
        // They are emptied once the list is written.
        slots.iter().for_each(|slot| drop(self.files.insert(*slot, None)));
        Forgotten { large, slots }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(index: &Index, done: usize, bytes: u64) -> Record {
        Record {
            number: index.newest() + 1,
            run: String::new(),
            at: Timestamp::UNIX_EPOCH,
            what: What::Apply,
            back_to: None,
            ended: Ended::Done,
            by: Author::default(),
            environment: None,
            approvals: Vec::new(),
            tool: String::new(),
            planned: Counts::default(),
            partial: false,
            done,
            projects: Vec::new(),
            objects: 0,
            without: None,
            slot: index.free_files().next().unwrap().0,
            digest: String::new(),
            bytes,
        }
    }

    /// The next run, whose state is written to its file.
    fn written(index: &mut Index) -> Record {
        let run = run(index, 1, 1);
        let revision = Precondition::Revision(run.number.to_string());
        index.wrote(run.slot, Some(&revision));
        run
    }

    fn numbers(index: &Index) -> Vec<u64> {
        index.runs().iter().map(|run| run.number).collect()
    }

    #[test]
    fn a_state_never_gets_the_file_of_one_that_is_listed() {
        let mut index = Index::new("s", true);
        index.keep(Some(3));
        for _ in 0..10 {
            let next = written(&mut index);
            assert!(index.runs().iter().all(|known| known.slot != next.slot));
            assert!(next.slot <= 3, "{next:?}");
            assert!(index.push(next).slots.is_empty());
            assert_eq!(index.fault("s"), None);
        }
        assert_eq!(numbers(&index), [8, 9, 10]);
        // Fewer and more of them.
        index.keep(Some(1));
        let next = written(&mut index);
        let slot = next.slot;
        let mut emptied = index.push(next).slots;
        assert_eq!(numbers(&index), [11]);
        // One of the others is the next one's, and the rest would stay for ever.
        emptied.sort_unstable();
        assert_eq!(emptied.len(), 2, "{emptied:?}");
        assert!(!emptied.contains(&slot));
        let next = index.free_files().next().unwrap();
        assert!(matches!(next.1, Precondition::Revision(_)) && !emptied.contains(&next.0));
        index.keep(Some(1_000));
        for _ in 0..200 {
            let next = written(&mut index);
            index.push(next);
        }
        assert_eq!((index.runs().len(), index.fault("s")), (100, None));
    }

    #[test]
    fn a_file_is_written_over_only_as_the_list_knows_it_and_left_alone_once_somebody_else_has() {
        let mut index = Index::new("s", true);
        index.keep(Some(2));
        let first = |index: &Index| index.free_files().next().unwrap();
        assert_eq!(first(&index), (0, Precondition::Absent));
        for _ in 0..3 {
            let next = written(&mut index);
            index.push(next);
        }
        assert_eq!(first(&index), (0, Precondition::Revision("1".to_owned())));
        index.wrote(0, None);
        assert_eq!(first(&index), (3, Precondition::Absent));
        // Where all numbers were given, any that is free is taken.
        index.wrote(MOST_FILES, Some(&Precondition::Absent));
        index.wrote(MOST_FILES, None);
        index.runs[0].slot = MOST_FILES;
        assert_eq!(first(&index), (1, Precondition::Revision("2".to_owned())));
        index.wrote(1, None);
        assert_eq!(first(&index), (0, Precondition::None));
        assert_eq!(index.fault("s"), None);
    }

    #[test]
    fn a_state_may_be_of_many_projects_and_a_list_of_too_many_is_not_written() {
        let mut index = Index::new("s", true);
        let projects = |count: usize| (0..count).map(|it| it.to_string()).collect();
        let next = Record { projects: projects(MOST_PROJECTS), ..run(&index, 1, 1) };
        index.push(next);
        assert_eq!(index.fault("s"), None);
        let next = Record { projects: projects(MOST_PROJECTS + 1), ..run(&index, 1, 1) };
        index.push(next);
        assert_eq!(index.fault("s").unwrap(), "a state is of more than 1000 projects");
    }

    #[test]
    fn runs_that_do_nothing_displace_no_state() {
        let mut index = Index::new("s", true);
        index.keep(Some(3));
        for done in [1, 1, 0, 0, 0, 0, 0] {
            index.push(run(&index, done, 1));
        }
        assert_eq!(numbers(&index), [1, 2, 7]);
    }

    #[test]
    fn large_states_are_forgotten_and_told_but_the_newest_is_kept() {
        let mut index = Index::new("s", true);
        index.push(run(&index, 1, MOST_BYTES / 2));
        index.push(run(&index, 1, MOST_BYTES / 2));
        let forgotten = index.push(run(&index, 1, MOST_BYTES / 2));
        assert_eq!(forgotten.large.iter().map(|run| run.number).collect::<Vec<_>>(), [1]);
        assert_eq!(forgotten.slots, [0]);
        index.push(run(&index, 1, MOST_BYTES * 2));
        assert_eq!(numbers(&index), [4]);
        // No size that somebody wrote is too much.
        (0..3).for_each(|_| drop(index.push(run(&index, 1, u64::MAX))));
        assert_eq!(numbers(&index), [7]);
    }

    #[test]
    fn what_was_before_the_first_state_is_known_only_where_there_was_nothing() {
        let mut index = Index::new("s", true);
        assert_eq!(index.at(5), Ok(None));
        for _ in 0..3 {
            index.push(run(&index, 1, 1));
        }
        let at = |index: &Index, number| index.at(number).map(|run| run.map(|run| run.number));
        assert_eq!(at(&index, 0), Ok(None));
        assert_eq!((at(&index, 2), at(&index, 9)), (Ok(Some(2)), Ok(Some(3))));
        index.keep(Some(2));
        index.push(run(&index, 1, 1));
        assert_eq!(at(&index, 2), Err(Some(3)));
        let mut index = Index::new("s", false);
        index.push(run(&index, 1, 1));
        assert_eq!(at(&index, 0), Err(Some(1)));
    }

    #[test]
    fn a_list_that_is_none_is_refused() {
        let mut index = Index::new("s", true);
        index.push(run(&index, 1, 1));
        index.push(run(&index, 1, 1));
        assert_eq!(index.fault("t").as_deref(), Some("it is that of another set"));
        let broken = |change: &dyn Fn(&mut Index)| {
            let mut index = index.clone();
            change(&mut index);
            index.fault("s").is_some()
        };
        assert!(broken(&|it| it.runs[1].number = 1));
        assert!(broken(&|it| it.runs[1].slot = it.runs[0].slot));
        assert!(broken(&|it| it.runs[1].slot = 1_000_000));
        assert!(broken(&|it| drop(it.files.insert(1_000_000, None))));
        assert!(broken(&|it| it.runs[1].number = u64::MAX));
        assert!(broken(&|it| it.keep = 1_000_000));
        assert!(broken(&|it| it.version = 9));
    }
}
