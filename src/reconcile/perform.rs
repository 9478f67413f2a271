//! Performs a decision: the leases of the set, the journal, the execution, the report.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::approvals::Approvals;
use super::decide::Decision;
use super::target::Target;
use crate::api::failure;
use crate::apply::execute::{Options, Outcome, Progress, Report};
use crate::apply::history::Occasion;
use crate::apply::lock;
use crate::apply::run::{Surroundings, run};
use crate::error::{Class, Error, Result};
use crate::plan::Plan;

/// How many operations run at once by default.
pub const PARALLELISM: usize = 16;

/// How a decision is performed.
#[derive(Clone)]
pub struct Performing<'a> {
    /// How many operations run at once, at least one.
    pub parallelism: usize,
    /// Whether the plan was saved and is performed exactly as saved, or not at all: each object is
    /// read again right before its write and must still be what the plan was made for.
    pub is_saved: bool,
    /// The approvals that the plan needs; they are checked again when it is performed.
    pub approvals: Option<&'a Approvals>,
    /// The folder that the journal belongs to. Before calling this,
    /// [`crate::apply::journal::leftover`] gives the journal that a killed run left there.
    pub folder: &'a Path,
    /// Whether a lease is taken over from whoever holds it.
    pub break_lock: bool,
    /// How long a lease lasts that is not renewed.
    pub lease: Duration,
    /// Who receives the start and the end of each operation; [`Events`](super::events::Events)
    /// turns them into data.
    pub progress: &'a dyn Progress,
    /// Cancelled when nothing new may start. What runs is finished and recorded.
    pub stop: CancellationToken,
    /// What is known of the run for the history of its set; without it, no state is kept.
    pub occasion: Option<Arc<Occasion>>,
}

impl<'a> Performing<'a> {
    /// The defaults, with the journal in this folder.
    #[must_use]
    pub fn in_folder(folder: &'a Path, progress: &'a dyn Progress) -> Self {
        Self {
            parallelism: PARALLELISM,
            is_saved: false,
            approvals: None,
            folder,
            break_lock: false,
            lease: lock::LASTS,
            progress,
            stop: CancellationToken::new(),
            occasion: None,
        }
    }
}

/// What became of a decision.
#[derive(Debug)]
pub struct Performed {
    /// What became of each operation.
    pub report: Report,
    /// Whether somebody stopped it.
    pub is_stopped: bool,
    /// Whether its plan was a saved one, which no longer fits once a part of it was done.
    is_saved: bool,
}

/// Performs a plan under the leases of its set, and keeps the journal.
///
/// # Errors
///
/// The plan is refused, or was only made to be shown; somebody else holds a lease; the run cannot
/// be started. Nothing was done then. What failed later is in the report.
pub async fn perform(
    target: &Target,
    decision: &Decision,
    performing: &Performing<'_>,
) -> Result<Performed> {
    let Decision { plan, stored, .. } = decision;
    refuse_unfit(plan)?;
    if let Some(approvals) = performing.approvals {
        // One may have expired since.
        approvals.check(Timestamp::now())?;
    }
    let Performing { folder, break_lock, lease, progress, .. } = *performing;
    let options = Options {
        bound: performing.is_saved,
        attempts: target.client.tries(),
        stop: performing.stop.clone(),
        occasion: performing.occasion.clone(),
        ..Options::standard(performing.parallelism)
    };
    target.client.set_parallelism(options.parallelism);
    let surroundings = Surroundings { folder, break_lock, lease, progress };
    let report = run(&target.client, plan, stored.clone(), &options, surroundings).await?;
    let is_stopped = performing.stop.is_cancelled();
    Ok(Performed { report, is_stopped, is_saved: performing.is_saved })
}

/// Refuses a plan that guards refused, and one that was made without everything that is needed to
/// perform it.
fn refuse_unfit(plan: &Plan) -> Result<()> {
    if !plan.refused.is_empty() {
        return Err(Error::refused(plan.refused.clone()));
    }
    let (without, hint) = match (plan.unread.first(), plan.not_read.first()) {
        (Some(project), _) => (
            format!("knowing what the set `{}` owns in project `{project}`", plan.set),
            "plan with a credential that may build in the project",
        ),
        (None, Some(_)) => (
            "reading all of its values".to_owned(),
            "plan again in order to perform the plan, and not only to show it",
        ),
        (None, None) => return Ok(()),
    };
    Err(Error::new(
        Class::Refused,
        format!("this plan cannot be performed: it was made without {without}"),
    )
    .hint(hint))
}

impl Performed {
    /// The result for a plan that is not performed.
    #[must_use]
    pub fn nothing_of(plan: &Plan) -> Self {
        let report = Report::not_started(plan.operations.len());
        Self { report, is_stopped: false, is_saved: false }
    }

    /// Whether all was done, and if not, what to do about it.
    ///
    /// # Errors
    ///
    /// [`Class::Partial`] when some of it was done; [`Class::Stale`] when nothing was, since the
    /// objects are not what the plan looked at; else [`Class::Failed`].
    pub fn verdict(self) -> Result<()> {
        let report = &self.report;
        if report.is_complete() {
            return Ok(());
        }
        let done = report.count(|outcome| *outcome == Outcome::Done);
        let open = report.outcomes.len() - done;
        let is_stale = report.count(|outcome| matches!(outcome, Outcome::Stale { .. })) > 0;
        let class = match (report.has_written(), is_stale) {
            (true, _) => Class::Partial,
            (false, true) => Class::Stale,
            (false, false) => Class::Failed,
        };
        let what = match &report.lost_lease {
            Some(lost) => lost.as_str(),
            None if self.is_stopped => "stopped",
            None => "not everything was done",
        };
        let were = if open == 1 { "was" } else { "were" };
        let error = Error::new(
            class,
            format!("{what}: {open} of {} operations {were} not done", report.outcomes.len()),
        );
        let way_on = self.way_on(done);
        match self.report.inventory_error {
            // Nothing was done that could be left unrecorded.
            Some(cause) if done == 0 => Err(cause),
            Some(cause) => {
                let again = "run the same command again: it finds the objects that carry the owner annotation";
                let hint = cause.hint.clone().unwrap_or_else(|| again.to_owned());
                Err(Error::new(
                    Class::Partial,
                    "what was done could not be recorded in the inventory",
                )
                .because(cause)
                .hint(hint))
            }
            None => Err(error.hint(way_on)),
        }
    }

    /// What to do about operations that are open. What the platform refused, it would refuse
    /// again.
    fn way_on(&self, done: usize) -> String {
        let report = &self.report;
        let refused = report.outcomes.iter().find(|outcome| outcome.is_refusal());
        let known = refused.and_then(|outcome| match outcome {
            Outcome::Failed { code: code @ Some(401 | 403), .. } => failure::hint(*code),
            _ => None,
        });
        let is_unseen = |outcome: &Outcome| matches!(outcome, Outcome::Stale { unseen: true, .. });
        if refused.is_none() && report.count(is_unseen) > 0 {
            return "plan again with --enter-rooms, which shows what is there; then apply with it"
                .to_owned();
        }
        let mend = match (refused, known) {
            (_, Some(known)) => format!("{known}; then "),
            (Some(_), None) => "fix what the platform refused; then ".to_owned(),
            (None, None) => String::new(),
        };
        mend + match (refused.is_some(), self.is_saved && done > 0) {
            (_, true) => "plan again: the saved plan no longer fits",
            (true, false) if self.is_saved => "plan again",
            (true, false) => "apply: what is done is not repeated",
            (false, false) => "run the same command again to go on from here",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_lost_its_lease_says_so_and_how_much_is_open() {
        let report = |outcomes: Vec<Outcome>| Report {
            lost_lease: Some("the lease of the set was taken over by ada".to_owned()),
            ..Report::of(outcomes)
        };
        let verdict = |report| Performed { report, is_stopped: false, is_saved: false }.verdict();
        let error = verdict(report(vec![Outcome::Done, Outcome::NotStarted])).unwrap_err();
        assert_eq!(
            (error.class, error.message.as_str()),
            (
                Class::Partial,
                "the lease of the set was taken over by ada: 1 of 2 operations was not done"
            )
        );
        let error = verdict(report(vec![Outcome::NotStarted])).unwrap_err();
        assert_eq!(error.class, Class::Failed);
    }

    #[test]
    fn the_way_on_is_one_that_leads_on() {
        let failed = |code: u16| Outcome::Failed {
            message: String::new(),
            request: None,
            refused: true,
            begun: false,
            code: Some(code),
            request_id: None,
            attempts: 1,
        };
        let again = "run the same command again to go on from here";
        let hint = |outcomes: Vec<Outcome>, is_saved: bool| {
            let report = Report::of(outcomes);
            Performed { report, is_stopped: false, is_saved }.verdict().unwrap_err().hint.unwrap()
        };
        for code in [500, 503, 429, 408] {
            assert_eq!(hint(vec![failed(code)], false), again);
            assert_eq!(hint(vec![Outcome::NotStarted, failed(code)], true), again);
            assert!(hint(vec![Outcome::Done, failed(code)], true).starts_with("plan again"));
        }
        for code in [400, 404, 409, 422] {
            for outcomes in [vec![failed(code)], vec![Outcome::Done, failed(503), failed(code)]] {
                let hint = hint(outcomes, false);
                assert_eq!(
                    hint,
                    "fix what the platform refused; then apply: what is done is not repeated"
                );
            }
        }
        assert!(hint(vec![failed(403)], false).starts_with("the credential has no access"));
        assert!(hint(vec![failed(400)], true).ends_with("then plan again"));
    }
}
