//! The approvals of a saved plan and its approvers, read from their files: once, so that what was
//! checked is what counts.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::approval::approvers::Approvers;
use crate::approval::signed::Approval;
use crate::approval::statement::Bound;
use crate::approval::verdict::{ApprovalDocument, ApprovalsDocument, Found, Terms};
use crate::approval::{MAX_APPROVAL, MAX_APPROVERS, MOST};
use crate::bounded;
use crate::error::{Class, Context, Error, Result};
use crate::listed::counted;
use crate::own_folder;
use crate::visible;

/// What the name of an approval ends with.
pub const SUFFIX: &str = "approval";

/// Who must have approved a plan before it is applied.
#[derive(Debug, Clone, Default)]
pub struct Needed {
    /// How many people.
    pub required: usize,
    /// The files of approvers. Somebody whom one of them does not list does not count.
    pub approvers: Vec<PathBuf>,
    /// Approvals, and folders of them; without any, the folder beside the plan.
    pub approvals: Vec<PathBuf>,
    /// Who made the change, by the names of the approvers: their approvals do not count.
    pub authors: Vec<String>,
}

/// The approvals of one plan, as they were read.
#[derive(Debug, Clone)]
pub struct Approvals {
    terms: Terms,
    plan: Bound,
    found: Vec<Found>,
}

/// The folder of a plan's approvals: beside it, `plan.json.approvals`.
#[must_use]
pub fn folder_of(plan: &Path) -> PathBuf {
    let mut folder = plan.as_os_str().to_owned();
    folder.push(".approvals");
    folder.into()
}

impl Needed {
    /// The stricter of two demands: the larger number, people whom all files list, and no author
    /// of either.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.required = self.required.max(other.required);
        for (all, more) in
            [(&mut self.approvers, other.approvers), (&mut self.approvals, other.approvals)]
        {
            let new: Vec<PathBuf> = more.into_iter().filter(|it| !all.contains(it)).collect();
            all.extend(new);
        }
        self.authors.extend(other.authors);
        self
    }

    /// Refuses a plan that was not saved, which nobody can have approved.
    #[must_use]
    pub fn unsaved(&self) -> Error {
        Error::new(
            Class::Refused,
            format!(
                "this needs {}, and only a saved plan can be approved; nothing was written",
                counted(self.required, "approval")
            ),
        )
    }

    /// Reads the approvers, if so many of them can approve something.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is not understood; too few people.
    pub fn terms(&self) -> Result<Terms> {
        let approvers = self.approvers.iter().map(|file| read_approvers(file));
        let terms = Terms {
            required: self.required,
            approvers: approvers.collect::<Result<_>>()?,
            authors: self.authors.clone(),
        };
        terms.is_possible()?;
        Ok(terms)
    }

    /// Reads the approvers, and the approvals of the plan in this file.
    ///
    /// # Errors
    ///
    /// Files that cannot be read, or that somebody else may have written; approvers that are not
    /// understood, or too few.
    pub fn read(&self, path: &Path, plan: Bound) -> Result<Approvals> {
        let terms = self.terms()?;
        let mut files = Vec::new();
        let beside = folder_of(path);
        match self.approvals.as_slice() {
            [] if beside.is_dir() => add(&mut files, &beside)?,
            given => given.iter().try_for_each(|path| add(&mut files, path))?,
        }
        Ok(Approvals { terms, plan, found: files.iter().map(|file| find(file)).collect() })
    }
}

impl Approvals {
    /// Which approvals count at a time, by the names of who gave them.
    #[must_use]
    pub fn judged(&self, now: Timestamp) -> ApprovalsDocument {
        let mut judged = self.terms.judge(&self.plan, &self.found, now);
        let by = |one: &ApprovalDocument| (one.principals.clone(), one.file.clone());
        judged.approvals.sort_by_cached_key(by);
        judged
    }

    /// The approvals at a time, if they are enough.
    ///
    /// # Errors
    ///
    /// They are not.
    pub fn check(&self, now: Timestamp) -> Result<ApprovalsDocument> {
        let judged = self.judged(now);
        judged.check().map_err(|error| {
            let file = self.found.first().map(|it| it.file.as_str());
            error.hint(match file {
                None => {
                    "`meshagent approve PLAN` approves a plan; --approval names approvals elsewhere"
                }
                Some(_) => "`meshagent approve PLAN` approves a plan",
            })
        })?;
        Ok(judged)
    }

    /// The names of authors that no file of approvers has: nothing is taken off for them.
    #[must_use]
    pub fn unknown_authors(&self) -> Vec<&str> {
        let lists = |name: &str| self.terms.approvers.iter().any(|it| it.lists(name));
        let authors = self.terms.authors.iter().map(String::as_str);
        authors.filter(|author| !lists(author)).collect()
    }
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn read_approvers(file: &Path) -> Result<Approvers> {
    let failed = || format!("failed to read the approvers in {}", visible::line(&name(file)));
    own_folder::refuse_shared(file).map_err(|error| {
        let is_missing = error.kind() == ErrorKind::NotFound;
        let error = Error::failed(failed()).because(error);
        match is_missing {
            true => error.hint("the file lists who may approve: a line for each person, with a name and the text of their .pub file"),
            false => error,
        }
    })?;
    let text = bounded::text(file, MAX_APPROVERS).context(failed)?;
    Approvers::parse(&name(file), &text, &TimeZone::system()).map_err(|problems| {
        let mut error =
            Error::usage("the file of approvers is not understood, so nobody can be counted");
        error.problems = problems;
        error
    })
}

/// Adds a file, or the approvals in a folder in the order of their names.
fn add(files: &mut Vec<PathBuf>, path: &Path) -> Result<()> {
    let shown = || visible::line(&name(path)).into_owned();
    if path.is_dir() {
        let failed = || format!("failed to read {}", shown());
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).context(failed)? {
            let entry = entry.context(failed)?.path();
            if entry.extension().is_some_and(|suffix| suffix == SUFFIX) {
                found.push(entry);
            }
            if found.len() > MOST {
                break;
            }
        }
        found.sort();
        files.extend(found);
    } else {
        files.push(path.to_owned());
    }
    if files.len() > MOST {
        return Err(Error::new(
            Class::Refused,
            format!("{}: there are more than {MOST} approvals, so none was looked at", shown()),
        )
        .hint("remove those of earlier plans, or name with --approval those that are meant"));
    }
    Ok(())
}

/// Reads an approval. One that is wrong does not count, and is no reason to stop.
fn find(file: &Path) -> Found {
    let text = bounded::text(file, MAX_APPROVAL);
    let approval = match text {
        Ok(text) => Approval::parse(&text),
        Err(error) => Err(format!("it cannot be read: {error}")),
    };
    Found { file: name(file), approval }
}
