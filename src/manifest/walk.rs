//! Which files below a folder are manifests. Links are followed, and a file with several names is
//! read once, under the first of them. Files that are left out on purpose are recorded with the
//! reason, so that nothing below a folder is skipped silently.
//!
//! As with Git, the ignore files of the folders above count, too: up to the root of the
//! repository, or where there is none, up to the working folder. A folder that is given
//! itself is read even where they name it.

use std::collections::HashSet;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use walkdir::{DirEntry, WalkDir};

use super::reach::Reach;
use super::repository;
use super::source::{Source, read_text_within};
use super::values::BESIDE;
use super::yaml::Mark;
use crate::error::Problem;

/// What the project file is called.
pub const PROJECT_FILES: [&str; 2] = ["meshagent.yaml", "meshagent.yml"];

/// The file that lists what is not a manifest, in the syntax of `.gitignore`. It applies to its
/// folder and everything below.
pub const IGNORE_FILE: &str = ".meshagentignore";

/// The program's own folder, which never has manifests.
const OWN_FOLDER: &str = ".meshagent";

/// A file or folder below a `-f` that was left out on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The path, as a file in it would be named: below the argument of `-f`.
    pub path: PathBuf,
    /// Why.
    pub why: Why,
}

/// Why a file or folder was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Its name begins with a dot.
    Hidden,
    /// An ignore file names it.
    Ignored,
    /// Its name does not end like that of a manifest.
    Suffix,
    /// It holds values for templates: for those beside it, or by `--values-file`.
    Values,
    /// This program wrote it: a plan, or a report of a run.
    MadeHere,
    /// It is read under another name, and a link leads from one to the other.
    Again,
    /// It is the project file.
    ProjectFile,
}

impl fmt::Display for Skipped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Why::Hidden => "its name begins with a dot",
            Why::Ignored => "an ignore file names it",
            Why::Suffix => "its name does not end in .yaml, .yml, .json or .j2",
            Why::Values => "it holds values for templates",
            Why::MadeHere => "it is a plan or a report of this program",
            Why::Again => "it is read under another name, through a link",
            Why::ProjectFile => "it is the project file",
        };
        write!(out, "{}: {why}", self.path.display())
    }
}

/// How much was left out, and why, in one line; `None` if it was nothing. Values are not counted:
/// they are read for templates.
#[must_use]
pub fn summary(skipped: &[Skipped]) -> Option<String> {
    let count = |why: Why| skipped.iter().filter(|skipped| skipped.why == why).count();
    let reasons = [
        (count(Why::Hidden), "hidden"),
        (count(Why::Ignored), "named in an ignore file"),
        (count(Why::Suffix), "with another suffix"),
        (count(Why::MadeHere), "written by this program"),
        (count(Why::Again), "read under another name"),
    ];
    let told: Vec<String> = reasons
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, why)| format!("{count} {why}"))
        .collect();
    (!told.is_empty()).then(|| format!("not read: {} (--verbose lists them)", told.join(", ")))
}

/// What stands below a folder.
#[derive(Debug, Default)]
pub struct Walk {
    /// The manifests, in the order of their names.
    pub files: Vec<PathBuf>,
    /// What was left out on purpose.
    pub skipped: Vec<Skipped>,
    /// The ignore files.
    pub rules: Vec<PathBuf>,
    /// What could not be looked at.
    pub problems: Vec<Problem>,
}

/// How many files and folders are looked at below a folder.
const MOST_ENTRIES: usize = 1_000_000;

/// Looks through a folder. A link that leads out of the reach is a problem, and nothing behind
/// it is looked at.
#[must_use]
pub fn walk(folder: &Path, reach: &Reach) -> Walk {
    walk_within(folder, reach, MOST_ENTRIES)
}

/// The same, with so many entries at most.
fn walk_within(folder: &Path, reach: &Reach, most: usize) -> Walk {
    let mut walk = Walk::default();
    let mut rules = Rules::above(folder, &mut walk);
    let mut seen = Seen::default();
    let mut entries = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
    while let Some(entry) = entries.next() {
        seen.entries += 1;
        if seen.entries > most {
            walk.problems.push(too_many(folder, most));
            break;
        }
        match entry {
            Ok(entry) => {
                rules.enter(entry.depth());
                seen.has_links |= entry.path_is_symlink();
                let is_folder = entry.file_type().is_dir();
                let reason = match entry.depth() {
                    0 => None,
                    _ => rules.reason(entry.path(), is_folder),
                };
                if let Some(why) = reason {
                    walk.skip(entry.path(), why);
                    if is_folder {
                        entries.skip_current_dir();
                    }
                } else if let Some(found) = outside(entry.path(), entry.path_is_symlink(), reach) {
                    walk.leave_out(entry.path(), found);
                    if is_folder {
                        entries.skip_current_dir();
                    }
                } else if is_folder && !seen.is_first(&entry) {
                    walk.skip(entry.path(), Why::Again);
                    entries.skip_current_dir();
                } else if is_folder {
                    rules.enter_folder(&entry, &mut walk.problems);
                } else {
                    walk.file(&entry);
                }
            }
            Err(error) => {
                let path = error.path().unwrap_or(folder);
                rules.enter(error.depth());
                // A link that leads nowhere may be meant to lead to a file or to a folder.
                let reasons = [true, false].map(|is_folder| rules.reason(path, is_folder));
                match reasons.into_iter().flatten().next().filter(|_| error.depth() > 0) {
                    Some(why) => walk.skip(path, why),
                    None => {
                        let found = outside(path, path.is_symlink(), reach);
                        walk.leave_out(
                            path,
                            found.unwrap_or_else(|| Err(unreadable(path, &error))),
                        );
                    }
                }
            }
        }
    }
    if seen.has_links {
        walk.leave_out_again();
    }
    walk
}

/// What was come by below a folder.
#[derive(Default)]
struct Seen {
    entries: usize,
    has_links: bool,
    /// The folders, by what the system knows them by.
    folders: HashSet<(u64, u64)>,
}

impl Seen {
    /// Whether a folder was not there before, by any name.
    fn is_first(&mut self, folder: &DirEntry) -> bool {
        // What cannot be looked at is told of where it is gone into.
        folder.metadata().map_or(true, |about| self.folders.insert((about.dev(), about.ino())))
    }
}

fn too_many(folder: &Path, most: usize) -> Problem {
    let message = format!("{}: more than {most} files and folders are below it", folder.display());
    let hint = format!("give only the folders with manifests, or list the others in {IGNORE_FILE}");
    Problem::new(message).hint(hint)
}

impl Walk {
    /// Leaves out each file that is among the manifests by an earlier name.
    fn leave_out_again(&mut self) {
        let mut real = HashSet::new();
        let files = std::mem::take(&mut self.files);
        for path in files {
            // What cannot be looked at is told of where it is read.
            match path.canonicalize().map_or(true, |path| real.insert(path)) {
                true => self.files.push(path),
                false => self.skip(&path, Why::Again),
            }
        }
    }

    fn skip(&mut self, path: &Path, why: Why) {
        if path.ends_with(IGNORE_FILE) {
            self.rules.push(path.to_owned());
        } else if !path.ends_with(OWN_FOLDER) {
            self.skipped.push(Skipped { path: path.to_owned(), why });
        }
    }

    fn leave_out(&mut self, path: &Path, found: Result<Why, Problem>) {
        match found {
            Ok(why) => self.skip(path, why),
            Err(problem) => self.problems.push(problem),
        }
    }

    fn file(&mut self, entry: &DirEntry) {
        let path = entry.path();
        if !is_manifest(path) {
            self.skip(path, Why::Suffix);
        } else if is_of_values(path) && has_template(path) {
            self.skip(path, Why::Values);
        } else {
            self.files.push(path.to_owned());
        }
    }
}

/// Whether a file is a manifest, by its name.
#[must_use]
pub fn is_manifest(path: &Path) -> bool {
    has_suffix(path, &["yaml", "yml", "json", "j2"])
}

/// Whether a file is a template that is rendered before it is read.
#[must_use]
pub fn is_template(path: &Path) -> bool {
    has_suffix(path, &["j2"])
}

/// Whether a file holds values for the templates beside it, by its name.
#[must_use]
pub fn is_of_values(path: &Path) -> bool {
    BESIDE.iter().any(|name| path.ends_with(name))
}

/// Upper and lower case are one: not every file system tells them apart.
fn has_suffix(path: &Path, suffixes: &[&str]) -> bool {
    let suffix = path.extension().unwrap_or_default();
    suffixes.iter().any(|known| suffix.eq_ignore_ascii_case(known))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn has_template(path: &Path) -> bool {
    let Some(entries) = path.parent().and_then(|folder| std::fs::read_dir(folder).ok()) else {
        return false;
    };
    entries.flatten().any(|entry| is_template(&entry.path()) && !is_hidden(&entry.path()))
}

/// What happens to a link that leads to somewhere else, whatever is there: it is skipped if its name
/// says that it is not a manifest; any other may be meant to lead to manifests.
fn outside(path: &Path, is_link: bool, reach: &Reach) -> Option<Result<Why, Problem>> {
    let outside = is_link.then(|| reach.check(path).err())??;
    if path.extension().is_some() && !is_manifest(path) {
        return Some(Ok(Why::Suffix));
    }
    let problem = outside.problem(path);
    let or = format!("list it in {IGNORE_FILE} to leave it out");
    let hint = problem.hint.as_ref().map_or_else(|| or.clone(), |hint| format!("{hint}; {or}"));
    Some(Err(problem.hint(hint)))
}

fn unreadable(path: &Path, error: &walkdir::Error) -> Problem {
    let name = path.display();
    if let Some(ancestor) = error.loop_ancestor() {
        let message = format!("{name}: the link leads back to {}", ancestor.display());
        return Problem::new(message).hint(format!("remove the link, or list it in {IGNORE_FILE}"));
    }
    let cause = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
    let is_link = path.symlink_metadata().is_ok_and(|about| about.is_symlink());
    if is_link {
        let message = format!("{name}: failed to follow the link: {cause}");
        return Problem::new(message).hint(format!("fix the link, or list it in {IGNORE_FILE}"));
    }
    Problem::new(format!("{name}: failed to read: {cause}"))
}

/// What an ignore file may hold. A stranger may have written it, and the rules of a folder
/// are tried on each file below it.
const RULES: Limits = Limits { bytes: 64 * 1024, rules: 2_000, characters: 1_000, braces: 8 };

struct Limits {
    bytes: usize,
    /// How many lines.
    rules: usize,
    /// Of one line.
    characters: usize,
    /// How deep in one another.
    braces: usize,
}

impl Limits {
    /// Why a line is too much, if it is.
    fn refuse(&self, line: usize, rule: &str) -> Option<String> {
        let mut depth = 0_usize;
        let mut deepest = 0;
        for c in rule.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        if line >= self.rules {
            Some(format!("an ignore file may have at most {} lines", self.rules))
        } else if rule.chars().nth(self.characters).is_some() {
            Some(format!(
                "a rule of an ignore file may have at most {} characters",
                self.characters
            ))
        } else if deepest > self.braces {
            Some(format!("braces in a rule of an ignore file may be at most {} deep", self.braces))
        } else {
            None
        }
    }
}

/// The ignore files that hold for what is being looked at.
#[derive(Default)]
struct Rules {
    /// Those of the folders above the one that was given, the outermost first.
    above: Vec<Gitignore>,
    /// The folder that was given, as it was given and as those above it are named.
    given: PathBuf,
    whole: PathBuf,
    /// Those of the folders below it with their depth, the outermost first.
    below: Vec<(usize, Gitignore)>,
}

impl Rules {
    /// The ignore files of the folders above a folder.
    fn above(folder: &Path, walk: &mut Walk) -> Self {
        let Ok(whole) = folder.canonicalize() else { return Self::default() };
        let here = || std::env::current_dir().and_then(|here| here.canonicalize()).ok();
        let top = repository::around(&whole).map(Path::to_owned).or_else(here);
        let mut folders: Vec<&Path> = match &top {
            Some(top) => whole.ancestors().skip(1).take_while(|it| it.starts_with(top)).collect(),
            None => Vec::new(),
        };
        folders.reverse();
        let mut above = Vec::new();
        for folder in folders {
            let rules = read(folder, &mut walk.problems);
            if rules.is_some() {
                walk.rules.push(folder.join(IGNORE_FILE));
            }
            above.extend(rules);
        }
        Self { above, given: folder.to_owned(), whole, below: Vec::new() }
    }

    /// Goes on to an entry at this depth: what holds in other folders is over.
    fn enter(&mut self, depth: usize) {
        self.below.retain(|(above, _)| *above < depth);
    }

    /// Goes on into a folder.
    fn enter_folder(&mut self, folder: &DirEntry, problems: &mut Vec<Problem>) {
        self.below.extend(read(folder.path(), problems).map(|rules| (folder.depth(), rules)));
    }

    /// Why an entry is left out, whatever it is.
    fn reason(&self, path: &Path, is_folder: bool) -> Option<Why> {
        if is_hidden(path) {
            return Some(Why::Hidden);
        }
        let below = self.below.iter().rev().map(|(_, rules)| rules.matched(path, is_folder));
        let whole = path.strip_prefix(&self.given).map(|rest| self.whole.join(rest)).ok();
        let above = self
            .above
            .iter()
            .rev()
            .filter_map(|rules| whole.as_ref().map(|path| rules.matched(path, is_folder)));
        let mut decided = below.chain(above).filter(|decided| !decided.is_none());
        decided.next().filter(|decided| decided.is_ignore()).map(|_| Why::Ignored)
    }
}

/// The ignore file of a folder, if it has one.
fn read(folder: &Path, problems: &mut Vec<Problem>) -> Option<Gitignore> {
    let path = folder.join(IGNORE_FILE);
    // It may lie above what was given, and says nothing of what is elsewhere.
    let is_link = path.symlink_metadata().ok()?.is_symlink();
    let reach = is_link.then(|| Reach::of(&[folder.to_owned()], &[]));
    if let Some(Err(outside)) = reach.map(|reach| reach.check(&path)) {
        problems.push(outside.problem(&path));
        return None;
    }
    let text = match read_text_within(&path, RULES.bytes) {
        Ok(text) => text,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let name = path.display().to_string();
    rules(folder, &Source::new(name, folder.to_owned(), text), problems)
}

/// The rules of an ignore file of this folder.
pub(super) fn rules(
    folder: &Path,
    source: &Source,
    problems: &mut Vec<Problem>,
) -> Option<Gitignore> {
    let mut builder = GitignoreBuilder::new(folder);
    let mut wrong = |line: usize, message: String| {
        let mark = Mark { line: line as u64 + 1, column: 1, ..Mark::default() };
        problems.push(source.problem(mark, message));
    };
    for (line, rule) in source.text.lines().enumerate() {
        let refused = match RULES.refuse(line, rule) {
            Some(refused) => Some(refused),
            None => builder
                .add_line(None, rule)
                .err()
                .map(|error| format!("not a valid rule of an ignore file: {error}")),
        };
        if let Some(refused) = refused {
            wrong(line, refused);
        }
        if line >= RULES.rules {
            return None;
        }
    }
    match builder.build() {
        Ok(rules) => Some(rules),
        Err(error) => {
            wrong(0, format!("the ignore file cannot be used: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_entries_are_looked_at_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..5 {
            std::fs::write(folder.path().join(format!("{index}.yaml")), "").unwrap();
        }
        let reach = Reach::of(&[folder.path().to_owned()], &[]);
        assert!(walk_within(folder.path(), &reach, 6).problems.is_empty());
        let walk = walk_within(folder.path(), &reach, 5);
        let [problem] = walk.problems.as_slice() else { panic!("{:?}", walk.problems) };
        assert!(problem.message.contains("more than 5 files and folders"), "{}", problem.message);
        assert!(problem.hint.is_some());
    }
}
