//! `ci drift`: looks for drift, and tells of it in an issue, which is closed when the drift is gone,
//! or in a pull request that takes it into the manifests.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::child::{self, Ran, Surroundings};
use super::here::Here;
use super::jobs::{Job, refuse_many, refuse_unknown, sets};
use super::options;
use super::results::{Came, Outcome, fenced, of_plan, verdict};
use super::telling::{Telling, own_folder, to_next_step, told};
use super::{WhatArgs, WhereArgs};
use crate::checkout::{Checkout, MADE};
use crate::error::{Class, Error, Result};
use crate::forge::comment::Section;
use crate::forge::{Forge, Post};
use crate::listed::counted;
use crate::manifest::walk::PROJECT_FILES;
use crate::output;
use crate::project_file::{ProjectFile, Verdict};
use crate::visible;
use crate::whereabouts::{Occasion, is_branch};

/// Arguments of `ci drift`.
#[derive(Debug, clap::Args)]
pub struct DriftArgs {
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    place: WhereArgs,
    /// Open a pull request that takes the drift into the manifests, from a branch of its own that
    /// `git` pushes
    #[arg(long, conflicts_with = "files")]
    pull_request: bool,
    /// The branch that pull requests are made to; without it, the default branch
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Do not write an issue
    #[arg(long)]
    no_issue: bool,
}

/// What the branches of pull requests begin with.
const BRANCHES: &str = "meshagent/drift";

/// Runs `ci drift`.
///
/// # Errors
///
/// What keeps plans from being made; drift, where that fails the run; what the forge or Git
/// refuses.
pub async fn run(args: &DriftArgs) -> Result<ExitCode> {
    let here = Here::of(&args.place)?;
    refuse_proposals(&here)?;
    let checkout = Checkout::around(Path::new("."));
    let what = args.what.or_usual(checkout.as_ref().ok())?;
    let checkout = match checkout {
        Ok(checkout) => Some(checkout),
        Err(_) if !what.files.is_empty() => None,
        Err(error) => return Err(error),
    };
    let found = sets(&what, checkout.as_ref())?;
    refuse_unknown(&what, &found)?;
    let root = checkout.as_ref().map(Checkout::root).unwrap_or(Path::new("."));
    let jobs = found.iter().flat_map(|set| {
        set.jobs(root, &set.ci.drift, &what).into_iter().map(|job| (job, set.ci.on_drift))
    });
    let jobs: Vec<_> = jobs.collect();
    refuse_many(jobs.len())?;
    let mut outcomes = Vec::new();
    for (job, on_drift) in jobs {
        output::note(&format!("looking at {}", job.name));
        outcomes.push(look(args, job, on_drift).await?);
    }
    let drifted = outcomes.iter().filter(|it| it.came == Came::Changes).count();
    to_next_step(&[("changes", if drifted > 0 { "true" } else { "false" })])?;
    let has_failed = outcomes.iter().any(|it| matches!(it.came, Came::Failed(_) | Came::Refused));
    let heading = match (drifted, has_failed) {
        (0, false) => "meshagent: nothing drifted".to_owned(),
        (0, true) => "meshagent: drift is not known everywhere".to_owned(),
        (many, _) => format!("meshagent: drift in {}", counted(many, "place")),
    };
    let scope = scope(&what);
    let telling = Telling {
        what: "drift",
        job: &scope,
        heading,
        about: "In the folder of the set, and with `-e` and the environment where it has any, `meshagent apply` makes the platform as the manifests have it; `meshagent accept` writes what drifted into the manifests.".to_owned(),
        sections: outcomes.iter().map(|it| it.section.clone()).collect(),
    };
    telling.show(&here)?;
    let mut left = drifted > 0;
    if args.pull_request
        && let Some(checkout) = &checkout
        && what.files.is_empty()
    {
        left = propose(&here, args, checkout, &outcomes).await? > 0;
    }
    if !args.no_issue {
        issue(&here, &telling, left, has_failed).await?;
    }
    verdict(&outcomes, "drift check")?;
    Ok(ExitCode::SUCCESS)
}

/// What tells the issue of this run from those of others: the name of the job, or otherwise what it
/// looks at. A run that looks at a part has an issue of its own, and closes no other.
fn scope(what: &WhatArgs) -> String {
    if !what.job().is_empty() {
        return what.job().to_owned();
    }
    let folders = what.folders.iter().map(|it| it.display().to_string());
    let mut parts: Vec<String> = folders.chain(what.environments.iter().cloned()).collect();
    parts.sort();
    parts.join(", ")
}

/// Drift is that of what is applied: a proposal has none.
fn refuse_proposals(here: &Here) -> Result<()> {
    let told = match &here.at.occasion {
        Occasion::PullRequest(pull_request) => format!("pull request {}", pull_request.number),
        Occasion::Other(event) => visible::line(event).into_owned(),
        _ => return here.demand_own(),
    };
    Err(Error::new(Class::Refused, format!("there is no drift to look for on {told}"))
        .hint("look for it on a schedule, or on a push to the main branch"))
}

/// Looks for the drift of one set in one environment.
async fn look(args: &DriftArgs, job: Job, on_drift: Verdict) -> Result<Outcome> {
    let mut words: Vec<OsString> = vec!["plan".into()];
    words.extend(job.words.iter().cloned());
    words.extend(["--drift-only", "--output", "markdown", "--exit-code"].map(Into::into));
    words.extend(args.what.options().into_iter().map(OsString::from));
    let ran = child::run(&words, &job.folder, &Surroundings::Whole).await?;
    let came = Came::of(ran.code);
    let section = of_plan(&job, &ran, came);
    Ok(Outcome { job, came, section, judged: (on_drift, Verdict::Fail) })
}

/// Writes the issue, or closes it. As long as something is not known, it is not closed.
async fn issue(
    here: &Here,
    telling: &Telling<'_>,
    is_wanted: bool,
    has_failed: bool,
) -> Result<()> {
    if has_failed && !is_wanted {
        return Ok(());
    }
    let forge = match is_wanted {
        true => here.forge_or_note("the issue"),
        false => here.forge.as_ref(),
    };
    let Some(forge) = forge else { return Ok(()) };
    let title = match telling.job.is_empty() {
        true => "MeshAgent: drift".to_owned(),
        false => format!("MeshAgent: drift ({})", visible::line(telling.job)),
    };
    let (body, marker) = (telling.text(here, forge.limit()), telling.marker());
    let post = Post { marker: &marker, title: &title, body: &body };
    told("issue", &forge.issue(post, is_wanted).await?);
    Ok(())
}

/// Proposes to take the drift into the manifests, and gives how many places have drift that no
/// pull request takes.
async fn propose(
    here: &Here,
    args: &DriftArgs,
    checkout: &Checkout,
    outcomes: &[Outcome],
) -> Result<usize> {
    let wanted = args.branch.clone().or_else(|| here.at.default_branch.clone());
    let base = wanted.or_else(|| here.at.branch().map(str::to_owned)).or_else(|| checkout.branch());
    let base = base.filter(|base| is_branch(base)).ok_or_else(|| {
        Error::usage("it is not known which branch pull requests are made to")
            .hint("name it with --branch")
    })?;
    let Some(forge) = here.forge_or_note("the pull request") else {
        return Ok(outcomes.iter().filter(|it| it.came == Came::Changes).count());
    };
    let mut left = 0;
    for outcome in outcomes {
        let proposing = Proposing { here, args, checkout, forge, base: &base, outcome };
        match outcome.came {
            Came::Changes => left += usize::from(!proposing.propose().await?),
            Came::Good => proposing.withdraw().await?,
            // It is not known.
            Came::Refused | Came::Failed(_) => {}
        }
    }
    Ok(left)
}

/// The pull request for the drift of one set in one environment.
struct Proposing<'a> {
    here: &'a Here,
    args: &'a DriftArgs,
    checkout: &'a Checkout,
    forge: &'a Forge,
    base: &'a str,
    outcome: &'a Outcome,
}

impl Proposing<'_> {
    /// Its branch.
    fn branch(&self) -> String {
        format!("{BRANCHES}/{}", self.outcome.job.slug())
    }

    fn telling(&self, about: &str, sections: Vec<Section>) -> Telling<'_> {
        Telling {
            what: "drift",
            job: &self.outcome.job.name,
            heading: format!("Drift of {}", self.outcome.job.title()),
            about: about.to_owned(),
            sections,
        }
    }

    /// Opens or updates it. Gives whether it takes all of the drift.
    async fn propose(&self) -> Result<bool> {
        let own = own_folder()?;
        let beside = self.checkout.beside(&own.path().join("copy"))?;
        let copy = &beside.copy;
        let job = &self.outcome.job;
        let below = job.folder.strip_prefix(self.checkout.root()).map(Path::to_owned);
        let folder = copy.root().join(below.unwrap_or_else(|_| PathBuf::new()));
        let mut words: Vec<OsString> = vec!["accept".into()];
        words.extend(job.words.iter().cloned());
        words.extend(self.args.what.options_of_meant(&job.folder));
        words.extend(self.embedded());
        let accepted = child::run(&words, &folder, &Surroundings::Whole).await?;
        let title = format!("Accept drift of {}", visible::line(&job.name));
        let Some(commit) = copy.commit_all(&format!("{title}\n\n{MADE}\n"))? else {
            output::note(&format!("note: {}", nothing_accepted(&job.name, &accepted)));
            return Ok(false);
        };
        let (about, is_whole) = match accepted.code {
            0 => ("This takes what changed on the platform into the manifests.", true),
            _ => (
                "This takes what changed on the platform into the manifests, as far as that can be written there. What is left is told below.",
                false,
            ),
        };
        let mut sections = vec![self.outcome.section.clone()];
        if !is_whole {
            sections.push(Section {
                title: "What is left".to_owned(),
                verdict: "not written into the manifests".to_owned(),
                body: fenced(&accepted.told),
                rank: 0,
            });
        }
        self.push(&commit)?;
        let telling = self.telling(about, sections);
        let (body, marker) = (telling.text(self.here, self.forge.limit()), telling.marker());
        let post = Post { marker: &marker, title: &title, body: &body };
        let branch = self.branch();
        told("pull request", &self.forge.pull_request((&branch, self.base), post).await?);
        Ok(is_whole)
    }

    /// The embedded platform that the project file names by a folder beside it, which the copy does
    /// not have.
    fn embedded(&self) -> Option<OsString> {
        let job = &self.outcome.job;
        if options::embedded(&self.args.what.options()).is_some() {
            return None;
        }
        let name = Some(job.of.1.as_str()).filter(|name| !name.is_empty());
        let file =
            PROJECT_FILES.iter().map(|name| job.folder.join(name)).find(|it| it.is_file())?;
        let folder = ProjectFile::read(&file).ok()?.environment(name).ok()?.embedded?;
        let mut word = OsString::from("--embedded=");
        word.push(folder);
        Some(word)
    }

    /// Pushes the commit to the branch, unless that has commits of somebody else. It is the checkout
    /// itself that talks to the remote, which may be named by a path from there.
    fn push(&self, commit: &str) -> Result<()> {
        let (branch, checkout) = (self.branch(), self.checkout);
        let was = checkout.remote(&branch)?;
        if let Some(was) = &was {
            if !self.is_own(was)? {
                return Err(Error::new(Class::Refused, self.has_others())
                    .hint("merge or close its pull request, and delete the branch"));
            }
            let since = checkout.commit("HEAD").unwrap_or_default();
            let has_same_base = checkout.commit(&format!("{was}^")).as_deref() == Some(&since);
            if has_same_base && checkout.are_same(was, commit) {
                return Ok(());
            }
        }
        checkout.push(commit, &branch, was.as_deref())
    }

    /// Whether this program made all that the branch has.
    fn is_own(&self, was: &str) -> Result<bool> {
        let checkout = self.checkout;
        if checkout.commit(was).is_none() {
            checkout.fetch(&format!("refs/heads/{}", self.branch()))?;
        }
        Ok(checkout.is_all_made_here(was, &checkout.commit("HEAD").unwrap_or_default()))
    }

    fn has_others(&self) -> String {
        let branch = self.branch();
        format!(
            "the branch {branch} has commits that this program did not make, so it is left as it is"
        )
    }

    /// Closes it, because there is no drift any more, unless it has the work of somebody else.
    async fn withdraw(&self) -> Result<()> {
        let branch = self.branch();
        let telling = self.telling("Nothing has drifted any more.", Vec::new());
        let (body, marker) = (telling.text(self.here, self.forge.limit()), telling.marker());
        let post = Post { marker: &marker, title: "", body: &body };
        let Some(pull) = self.forge.own_pull_request(&branch, &marker).await? else {
            return Ok(());
        };
        if let Some(was) = self.checkout.remote(&branch)?
            && !self.is_own(&was)?
        {
            let told = self.has_others();
            output::note(&format!(
                "note: nothing has drifted any more; {told}, with its pull request"
            ));
            return Ok(());
        }
        told("pull request", &self.forge.close_pull_request(&pull, post).await?);
        Ok(())
    }
}

/// Why nothing of drift was accepted: what `accept` said last.
fn nothing_accepted(name: &str, accepted: &Ran) -> String {
    let has_left = accepted.told.lines().any(|line| line.contains("not accepted"));
    let error = accepted.told.lines().find_map(|line| line.strip_prefix("error: "));
    match error.filter(|_| !has_left) {
        Some(error) => format!(
            "the drift of {name} was not accepted, because `meshagent accept` failed: {error}"
        ),
        None => format!("the drift of {name} cannot be written into manifests"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_why_nothing_was_accepted() {
        let told = |told: &str| {
            let ran = Ran { code: 1, told: told.to_owned(), ..Ran::default() };
            nothing_accepted("shop", &ran)
        };
        let failed = told("error: there are no credentials for the platform\nhint: x");
        assert!(failed.ends_with("failed: there are no credentials for the platform"), "{failed}");
        let left =
            told("not accepted: Room/a: its file is a template\nerror: 1 change not accepted");
        assert_eq!(left, "the drift of shop cannot be written into manifests");
    }
}
