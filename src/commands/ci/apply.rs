//! `ci apply`: applies the main branch, set by set and environment by environment, or exactly the
//! plans that were saved, and stops at the first failure.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::child::{self, Ran, Surroundings};
use super::here::Here;
use super::jobs::{Job, tell_nothing};
use super::merged::Merged;
use super::options;
use super::results::{Came, class, fenced};
use super::steps::{Step, steps};
use super::telling::{Telling, own_folder};
use super::{WhatArgs, WhereArgs};
use crate::bounded;
use crate::checkout::Checkout;
use crate::error::{Class, Error, Result, with_causes};
use crate::forge::comment::Section;
use crate::output;
use crate::reconcile::report::ReportDocument;
use crate::visible;
use crate::whereabouts::Occasion;

/// Arguments of `ci apply`.
#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    place: WhereArgs,
    /// The branch that is applied; without it, the default branch of the repository
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Apply exactly this saved plan, or all plans of a folder that `ci plan --out` wrote
    #[arg(long, value_name = "PATH", conflicts_with_all = ["folders", "environments"])]
    plan: Option<PathBuf>,
    /// Apply the commit although the branch has newer ones by now: what they brought is taken back
    #[arg(long, conflicts_with = "plan", help_heading = "Guards")]
    allow_older: bool,
    /// Do not write a comment on the pull request that was merged
    #[arg(long)]
    no_comment: bool,
}

/// How long a run that was stopped takes to tell what it did.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What became of a step.
struct Done {
    ran: Ran,
    left: Left,
    /// The last line of the apply.
    said: String,
    /// Whether something was written, or may have been.
    has_written: bool,
}

/// The largest report that is read, in bytes.
const REPORT: usize = 256 * 1024 * 1024;

/// What is left to do once something was applied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Nothing that is known.
    Nothing,
    /// Something would still change.
    Changes,
    /// It is not known: looking for it failed with this exit code.
    Unknown(u8),
}

impl Done {
    /// What is known once it was applied.
    fn of(ran: Ran, report: Option<ReportDocument>) -> Self {
        let said = ran.data.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("done");
        // As events, it is read by programs.
        let said = if said.starts_with('{') { "applied" } else { said }.to_owned();
        let has_written = match report {
            Some(report) => report.has_written(),
            // There was none to be made, or it was ended before it could be.
            None => {
                ran.code == Class::Partial.exit_code() || ran.code == Class::Unhealthy.exit_code()
            }
        };
        Self { left: Left::Nothing, said, has_written, ran }
    }

    /// The exit code that comes of it.
    fn code(&self) -> u8 {
        match self.left {
            Left::Nothing => self.ran.code,
            Left::Changes => Class::Pending.exit_code(),
            Left::Unknown(code) => code,
        }
    }

    /// The error that ends a run after it. What comes `after` it is told as well.
    fn failure(&self, name: &str, after: &str, has_written: bool) -> Error {
        let what = match self.left {
            Left::Nothing if self.ran.code == 0 => format!("`{name}` was applied"),
            Left::Nothing if self.has_written => format!("`{name}` was applied in part"),
            Left::Nothing => format!("`{name}` was not applied"),
            Left::Changes => format!("`{name}` was applied, and something would still change"),
            Left::Unknown(_) => format!(
                "`{name}` was applied, and it is not known whether something would still change"
            ),
        };
        let what = match self.ran.stopped {
            Some(signal) => format!("stopped by {signal}: {what}{after}"),
            None => format!("{what}{after}"),
        };
        // The classes that promise that nothing was written are not those of a run that has written.
        let class = match class(self.code()) {
            Class::Stale | Class::Refused if has_written => Class::Partial,
            Class::Failed if has_written && self.ran.stopped.is_some() => Class::Partial,
            class => class,
        };
        Error::new(class, what)
    }
}

/// Runs `ci apply`.
///
/// # Errors
///
/// This is not the branch that is applied; what the first failure was; what the forge refuses.
pub async fn run(args: &ApplyArgs) -> Result<ExitCode> {
    let here = Here::of(&args.place)?;
    let checkout = Checkout::around(Path::new("."));
    let branch = refuse_others(&here, args.branch.as_deref(), checkout.as_ref().ok())?;
    here.demand_own()?;
    // A saved plan that newer ones made stale is refused by itself.
    if args.plan.is_none() && !args.allow_older {
        refuse_older(branch, checkout.as_ref().ok())?;
    }
    let what = match &args.plan {
        None => args.what.or_usual(checkout.as_ref().ok())?,
        Some(_) => args.what.clone(),
    };
    let checkout = match checkout {
        Ok(checkout) => Some(checkout),
        Err(_) if !what.files.is_empty() || args.plan.is_some() => None,
        Err(error) => return Err(error),
    };
    let steps = steps(&what, args.plan.as_deref(), checkout.as_ref())?;
    if steps.is_empty() {
        tell_nothing(match args.plan {
            Some(_) => "there is no saved plan of what is applied",
            None => "nothing of it is applied by continuous integration",
        });
        return Ok(ExitCode::SUCCESS);
    }
    let demands = |step: &Step| step.is_approved || what.demands_approvals();
    if let Some(step) = steps.iter().find(|step| step.plan.is_none() && demands(step)) {
        return Err(unsaved(&step.job.name));
    }
    let is_told = !args.no_comment && steps.iter().any(|step| step.is_told);
    let is_demanded = steps.iter().any(demands);
    let merged = match is_told || is_demanded {
        true => Some(Merged::of(&here, checkout.as_ref()).await),
        false => None,
    };
    let authors = match &merged {
        Some(merged) if is_demanded => merged.authors(&here, what.names_author())?,
        _ => Vec::new(),
    };
    let mut sections = Vec::new();
    let (mut failed, mut has_written) = (None, false);
    for (at, step) in steps.iter().enumerate() {
        output::note(&format!("applying {} ({} of {})", step.job.name, at + 1, steps.len()));
        let done = perform(step, &what, demands(step).then_some(&authors)).await;
        output::exactly(&visible::lines(&done.ran.data));
        sections.push(section(&step.job, &done));
        has_written |= done.has_written;
        if done.code() != 0 || done.ran.stopped.is_some() {
            failed = Some((step.job.name.clone(), done, steps.len() - at - 1));
            break;
        }
    }
    let telling = Telling {
        what: "apply",
        job: what.job(),
        heading: match &failed {
            None => "meshagent: applied".to_owned(),
            Some(_) => "meshagent: not everything was applied".to_owned(),
        },
        about: String::new(),
        sections,
    };
    let number = merged.as_ref().and_then(Merged::number).filter(|_| is_told);
    let is_stopped = failed.as_ref().is_some_and(|(_, done, _)| done.ran.stopped.is_some());
    let told = tell(&telling, &here, number, is_stopped).await;
    let Some((name, done, rest)) = failed else {
        told?;
        return Ok(ExitCode::SUCCESS);
    };
    // What failed matters more than that it could not be told.
    if let Err(error) = told {
        output::error(&error);
    }
    Err(done.failure(&name, &left_out(rest), has_written))
}

/// What cannot be approved: a plan that nobody saw before.
fn unsaved(name: &str) -> Error {
    let told = format!(
        "`{}` demands approvals, and only a saved plan can be approved",
        visible::line(name)
    );
    Error::new(Class::Refused, told).hint("save the plans with `meshagent ci plan --out plans`, approve each with `meshagent approve`, and apply them with `meshagent ci apply --plan plans`")
}

/// Tells what was applied, on the page of the run and in the comment. What was stopped may be ended
/// any moment, so it takes no longer than a moment.
async fn tell(
    telling: &Telling<'_>,
    here: &Here,
    number: Option<u64>,
    is_stopped: bool,
) -> Result<()> {
    let shown = telling.show(here);
    let Some(number) = number else { return shown };
    let comment = telling.comment(here, number);
    let told = match is_stopped {
        true => tokio::time::timeout(LAST_WORDS, comment).await.unwrap_or_else(|_| {
            output::note("note: the comment is not written: the forge took too long");
            Ok(())
        }),
        false => comment.await,
    };
    shown.and(told)
}

/// What is told of those that come after one at which the run ended.
fn left_out(rest: usize) -> String {
    match rest {
        0 => String::new(),
        1 => "; 1 more was not applied".to_owned(),
        rest => format!("; {rest} more were not applied"),
    }
}

/// Refuses a commit that the branch has left behind, as where an older job is run again: what newer
/// ones brought would be taken back. Where the remote does not answer, nothing is known of that.
fn refuse_older(branch: &str, checkout: Option<&Checkout>) -> Result<()> {
    let Some(checkout) = checkout else { return Ok(()) };
    let tip = checkout.remote(branch).ok().flatten();
    let Some((tip, head)) = tip.zip(checkout.commit("HEAD")) else { return Ok(()) };
    if !checkout.may_come_before(&head, &tip) {
        return Ok(());
    }
    let branch = visible::line(branch);
    Err(Error::new(
        Class::Refused,
        format!("{branch} has newer commits by now than {head}, and what they brought would be taken back"),
    )
    .hint(format!("let the run of {tip} apply them; --allow-older applies this commit all the same")))
}

/// Refuses everything but the branch that is applied, and gives its name.
fn refuse_others<'a>(
    here: &'a Here,
    branch: Option<&'a str>,
    checkout: Option<&Checkout>,
) -> Result<&'a str> {
    let refused = |what: String| {
        Err(Error::usage(what).hint(
            "apply on a push, a schedule or a start by hand on the default branch, or name another with --branch",
        ))
    };
    let Some(wanted) = branch.or(here.at.default_branch.as_deref()) else {
        return Err(
            Error::usage("it is not known which branch is applied").hint("name it with --branch")
        );
    };
    let found = match &here.at.occasion {
        Occasion::Branch(branch) => branch.clone(),
        // On a machine of one's own, it is what is checked out.
        Occasion::Unknown if here.is_plain() => match checkout.and_then(Checkout::branch) {
            Some(branch) => branch,
            None => {
                return refused("no branch is checked out, so nothing is applied".to_owned());
            }
        },
        Occasion::PullRequest(pull_request) => {
            return refused(format!("nothing is applied for pull request {}", pull_request.number));
        }
        Occasion::Other(event) => {
            return refused(format!("nothing is applied on the event {}", visible::line(event)));
        }
        Occasion::Unknown => {
            let system = here.at.system.name();
            return refused(format!(
                "nothing is applied: {system} does not say which branch this is"
            ));
        }
    };
    match found == wanted {
        true => Ok(wanted),
        false => refused(format!(
            "nothing is applied from the branch {}: {} is applied",
            visible::line(&found),
            visible::line(wanted)
        )),
    }
}

/// Applies one of them, with the authors for what demands approvals. What would still change after a
/// saved plan is looked for.
async fn perform(step: &Step, what: &WhatArgs, approved: Option<&Vec<&str>>) -> Done {
    // Approvals are given to what demands some.
    let given = |options: Vec<String>| match approved {
        Some(_) => options,
        None => options::parted(&options, &options::OF_APPROVALS).1,
    };
    let job = &step.job;
    let mut words: Vec<OsString> = vec!["apply".into()];
    words.extend(job.words.iter().cloned());
    // Joined, so that no name is an option.
    let authors = approved.into_iter().flatten();
    words.extend(authors.map(|name| OsString::from(format!("--author={name}"))));
    let Some(plan) = &step.plan else {
        words.push("--yes".into());
        return apply(words, given(what.options()), &job.folder).await;
    };
    words.push(plan.into());
    let done = apply(words, given(what.options_of_saved()), &job.folder).await;
    if done.ran.code != 0 || done.ran.stopped.is_some() {
        return done;
    }
    let mut words: Vec<OsString> = vec!["plan".into(), "--again".into(), plan.into()];
    words.push("--exit-code".into());
    words.extend(job.words.iter().cloned());
    words.extend(what.options_again().iter().map(Into::into));
    let again = attempt(&words, &job.folder).await;
    let left = match Came::of(again.code) {
        Came::Good => Left::Nothing,
        Came::Changes => Left::Changes,
        Came::Refused | Came::Failed(_) => Left::Unknown(again.code),
    };
    let mut done = Done { left, ..done };
    // Where nothing was to be done, it says the same.
    if again.data != done.ran.data {
        done.ran.data += &format!("\nPlanned again afterwards:\n{}", again.data);
    }
    (done.ran.told, done.ran.stopped) = (again.told, again.stopped);
    done
}

/// Runs `apply`, and looks into its report for what it wrote.
async fn apply(mut words: Vec<OsString>, options: Vec<String>, folder: &Path) -> Done {
    let own = match own_folder() {
        Ok(own) => own,
        Err(error) => return Done::of(unstarted(&error), None),
    };
    // The report that the job asks for is as good.
    let report = match options::value(&options, "--report") {
        Some(given) => folder.join(given),
        None => {
            let report = own.path().join("report.json");
            words.extend([OsString::from("--report"), report.clone().into()]);
            report
        }
    };
    words.extend(options.iter().map(Into::into));
    // What is there already is that of another run.
    let identity = || {
        let about = std::fs::metadata(&report).ok()?;
        Some((about.ino(), about.mtime(), about.mtime_nsec()))
    };
    let before = identity();
    let ran = attempt(&words, folder).await;
    let is_new = identity().is_some_and(|now| Some(now) != before);
    let written = is_new.then(|| bounded::text(&report, REPORT).ok()).flatten();
    Done::of(ran, written.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Runs this program. That it cannot be run is told as if it had said so.
async fn attempt(words: &[OsString], folder: &Path) -> Ran {
    child::attempt(words, folder, &Surroundings::Whole)
        .await
        .unwrap_or_else(|error| unstarted(&error))
}

/// What is told of a run that there was none of.
fn unstarted(error: &Error) -> Ran {
    output::error(error);
    Ran { code: error.class.exit_code(), told: with_causes(error), ..Ran::default() }
}

/// What is told of a set that was applied.
fn section(job: &Job, done: &Done) -> Section {
    let ran = &done.ran;
    let verdict = match (Came::of(ran.code), done.left) {
        (_, Left::Changes) => "applied, and something would still change".to_owned(),
        (_, Left::Unknown(_)) => "applied, and what is left is not known".to_owned(),
        (Came::Good, Left::Nothing) => done.said.trim_end_matches('.').replace(['`', '|'], "'"),
        (Came::Refused, _) => "refused".to_owned(),
        _ if done.has_written => "applied in part".to_owned(),
        _ => format!("failed with exit code {}", ran.code),
    };
    let verdict = crate::plan::markdown::code(&verdict);
    let is_good = done.code() == 0;
    let body = match is_good {
        true => fenced(&ran.data),
        false => fenced(&format!("{}\n{}", ran.data, ran.told)),
    };
    Section { title: job.title(), verdict, body, rank: u8::from(is_good) }
}
