//! What the base has and a proposal has not any more: project files and environments. What their
//! sets own stays on the platform, unless something else declares the same set now.

use std::path::{Path, PathBuf};

use super::jobs::{SetAt, shown};
use crate::forge::comment::Section;
use crate::output;
use crate::plan::markdown;
use crate::project_file::{ProjectFile, Target};
use crate::visible;

/// A set in an environment, as it is declared.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    /// Its folder, as people write it, and its environment, if it has any.
    of: (String, String),
    target: Target,
    /// The folder, where the platform is a folder below it.
    beside: Option<PathBuf>,
}

impl Declared {
    /// All that a project file declares, which is in this folder of the repository.
    pub(super) fn all(folder: &Path, file: &ProjectFile) -> Vec<Self> {
        let names: Vec<&str> = file.names().collect();
        let names = if names.is_empty() { vec![""] } else { names };
        let shown = shown(folder);
        let declared = |name: &str| {
            let target = file.target(name);
            let is_folder = target.platform.as_ref().is_some_and(|it| !it.starts_with("http"));
            Self {
                of: (shown.clone(), name.to_owned()),
                target,
                beside: is_folder.then(|| folder.to_owned()),
            }
        };
        names.into_iter().map(declared).collect()
    }

    /// All that sets declare.
    pub(super) fn of(sets: &[SetAt]) -> Vec<Self> {
        let files = sets.iter().filter_map(|set| Some((&set.folder, set.file.as_ref()?)));
        files.flat_map(|(folder, file)| Self::all(folder, file)).collect()
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.target, &self.beside) == (&other.target, &other.beside)
    }

    /// Whether it may be the same set, as far as names tell: one may be that of an id, and a URL be
    /// written out.
    fn may_be(&self, other: &Self) -> bool {
        self.target.may_be(&other.target)
    }

    fn title(&self) -> String {
        let (folder, environment) = &self.of;
        match environment.is_empty() {
            true => markdown::code(folder),
            false => format!("{} in {}", markdown::code(folder), markdown::code(environment)),
        }
    }
}

/// What the base has and the proposal has not any more.
pub(super) struct Gone {
    /// How it is called in a message.
    pub(super) shown: String,
    title: String,
    /// What it declared, each with what became of it.
    declared: Vec<(Declared, Now)>,
    /// Whether it is known that the proposal takes it away. Otherwise the base may have got it after
    /// the proposal left it.
    is_sure: bool,
}

/// What became of a set that was declared.
enum Now {
    /// This declares it.
    Is(Declared),
    /// This may declare it.
    MayBe(Declared),
    /// Nothing that is known declares it.
    Gone,
}

impl Gone {
    /// A project file, with what it was like in the base, as far as it could be read.
    pub(super) fn file(
        path: &Path,
        was: Option<&ProjectFile>,
        (now, is_sure): (&[Declared], bool),
    ) -> Self {
        let shown = visible::line(&path.display().to_string()).into_owned();
        let folder = path.parent().unwrap_or(Path::new(""));
        let declared = was.map(|was| Declared::all(folder, was)).unwrap_or_default();
        Self { title: markdown::code(&shown), shown, declared: met(declared, now), is_sure }
    }

    /// The environments of a set that are gone: the base has them, the proposal has them not, and had
    /// them before.
    pub(super) fn environments(
        set: &SetAt,
        (was, before): (&ProjectFile, &ProjectFile),
        (now, is_sure): (&[Declared], bool),
    ) -> Vec<Self> {
        let Some(file) = &set.file else { return Vec::new() };
        let has = |file: &ProjectFile, it: &Declared| file.names().any(|name| name == it.of.1);
        let is_gone = |it: &Declared| !it.of.1.is_empty() && !has(file, it) && has(before, it);
        let gone = Declared::all(&set.folder, was).into_iter().filter(is_gone);
        let gone = gone.map(|declared| {
            let (folder, environment) = &declared.of;
            Self {
                shown: format!(
                    "the environment `{}` of {}",
                    visible::line(environment),
                    visible::line(folder)
                ),
                title: declared.title(),
                declared: met(vec![declared], now),
                is_sure,
            }
        });
        gone.collect()
    }

    /// What is told of it.
    pub(super) fn section(&self) -> Section {
        let mut lines = Vec::new();
        for (declared, now) in &self.declared {
            let Target { project, set, .. } = &declared.target;
            let project =
                project.as_ref().map(|project| format!(" of project {}", markdown::code(project)));
            let set = format!("set {}{}", markdown::code(set), project.unwrap_or_default());
            lines.push(match now {
                Now::Is(now) => format!(
                    "- {} is {} now: it declares the same {set}. Do not destroy that.",
                    declared.title(),
                    now.title()
                ),
                Now::MayBe(other) => format!(
                    "- {} declared the {set}. That may be what {} declares now: look before anything is destroyed.",
                    declared.title(),
                    other.title()
                ),
                Now::Gone => format!("- {} declared the {set}. {}", declared.title(), self.told()),
            });
        }
        if lines.is_empty() {
            lines.push(format!("It cannot be read as it was. {}", self.told()));
        }
        let taken = self.declared.iter().filter(|(_, now)| matches!(now, Now::Is(_))).count();
        let is_renamed = taken > 0 && taken == self.declared.len();
        match is_renamed {
            true => output::note(&format!("note: {} is only renamed", self.shown)),
            false if !self.is_sure => output::note(&format!(
                "note: {} is gone, or new on the base branch: {UNKNOWN}",
                self.shown
            )),
            false => output::warning(&format!(
                "{} is gone: what it declared stays on the platform",
                self.shown
            )),
        }
        Section {
            title: self.title.clone(),
            verdict: match (is_renamed, self.is_sure) {
                (true, _) => "renamed",
                (false, true) => "gone",
                (false, false) => "gone, or new on the base branch",
            }
            .to_owned(),
            body: lines.join("\n"),
            rank: 0,
        }
    }

    /// What is told of what nothing declares here.
    fn told(&self) -> String {
        match self.is_sure {
            true => LEFT.to_owned(),
            false => format!(
                "Nothing here declares it: it is gone, or new on the base branch. {}.",
                capital(UNKNOWN)
            ),
        }
    }
}

/// Why it is not known whether something is gone.
const UNKNOWN: &str = "where this branch was begun is not known, so check out with the whole history, such as `fetch-depth: 0` of actions/checkout, or merge the base branch";

/// A sentence that begins with a capital letter.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// What is told of a set that nothing here declares any more. Others may, so nothing is told to be
/// destroyed without a look.
const LEFT: &str = "Nothing in this repository declares it any more, so what it owns stays on the platform and nothing looks after it. If nothing else declares it either, `meshagent destroy` deletes it: run that before this goes.";

/// What became of each.
fn met(was: Vec<Declared>, now: &[Declared]) -> Vec<(Declared, Now)> {
    let found = |it: &Declared| {
        let is = now.iter().find(|now| now.is_same(it)).cloned().map(Now::Is);
        let may_be = || now.iter().find(|now| now.may_be(it)).cloned().map(Now::MayBe);
        is.or_else(may_be).unwrap_or(Now::Gone)
    };
    was.into_iter()
        .map(|it| {
            let now = found(&it);
            (it, now)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_destroy_what_may_be_declared_under_another_name() {
        let declared = |name: &str, project: &str, set: &str| Declared {
            of: (".".to_owned(), name.to_owned()),
            target: Target {
                project: Some(project.to_owned()),
                set: set.to_owned(),
                platform: None,
            },
            beside: None,
        };
        let id = "9ca0360a-fbda-45f9-a604-49cb49b410ba";
        let was = declared("prod", "shop", "s");
        for (now, is_told) in [
            (declared("live", id, "s"), false),
            (declared("live", "shop", "s"), false),
            (declared("live", "other", "s"), true),
            (declared("live", id, "t"), true),
        ] {
            let declared = met(vec![was.clone()], &[now]);
            let mut gone =
                Gone { shown: String::new(), title: String::new(), declared, is_sure: true };
            assert_eq!(gone.section().body.contains("meshagent destroy"), is_told);
            gone.is_sure = false;
            assert!(!gone.section().body.contains("meshagent destroy"));
        }
    }
}
