//! One apply, from the lease to the ledger: takes the leases of the set, keeps the journal,
//! performs the plan, and gives the leases back.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::execute::{Listeners, Options, Progress, Report, execute};
use super::inventory::Stored;
use super::journal::{self, Prepared};
use super::lock::{self, Lock, Terms};
use crate::api::client::Client;
use crate::error::{Class, Result};
use crate::plan::Plan;

/// What surrounds one apply.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The working folder, which the journal belongs to.
    pub folder: &'a Path,
    /// Whether a lease is taken over from whoever holds it.
    pub break_lock: bool,
    /// How long a lease lasts that is not renewed.
    pub lease: Duration,
    /// Who is told.
    pub progress: &'a dyn Progress,
}

/// Performs a plan under the leases of its set. An empty plan needs none, unless the set is
/// removed from the project's list. It shows that what an earlier run left open is settled.
///
/// # Errors
///
/// Somebody else holds a lease, or the plan cannot be started. Nothing was done then.
pub async fn run(
    client: &Client,
    plan: &Plan,
    stored: BTreeMap<String, Stored>,
    options: &Options,
    surroundings: Surroundings<'_>,
) -> Result<Report> {
    let Surroundings { folder, progress, .. } = surroundings;
    let is_over = stored.values().any(Stored::is_over);
    if plan.is_empty() && !is_over {
        let listeners = Listeners { progress, journal: None };
        let mut report = execute(client, plan, stored, options, listeners).await?;
        // Nothing was to be done, so at most where the set is declared was to be recorded. Whoever
        // applied the set meanwhile recorded that.
        report.inventory_error.take_if(|error| error.class == Class::Stale);
        journal::forget(folder, &plan.set);
        return Ok(report);
    }
    let options = Options { halt: CancellationToken::new(), ..options.clone() };
    // Whether it can be kept is known before anything is written.
    let prepared = Prepared::new(folder, &plan.set)?;
    let locks = take_locks(client, plan, &options, surroundings).await?;
    let done = async {
        let journal = prepared.begin(&plan.platform)?;
        let listeners = Listeners { progress, journal: Some(&journal) };
        let done = execute(client, plan, stored, &options, listeners).await;
        // A run that got here ended by itself: what it did is in the inventory.
        journal.end();
        done
    }
    .await;
    let lost = release(locks).await;
    done.map(|report| Report { lost_lease: lost, ..report })
}

/// One lease for each project that is written to.
async fn take_locks(
    client: &Client,
    plan: &Plan,
    options: &Options,
    surroundings: Surroundings<'_>,
) -> Result<Vec<Lock>> {
    let mut locks = Vec::new();
    for (name, project) in &plan.projects {
        let Some(id) = &project.id else { continue };
        let terms = Terms {
            set: &plan.set,
            project: (name, id),
            break_it: surroundings.break_lock,
            lasts: surroundings.lease,
        };
        match lock::take(client, terms, &options.halt).await {
            Ok(taken) => locks.extend(taken),
            Err(error) => {
                release(locks).await;
                return Err(error);
            }
        }
    }
    Ok(locks)
}

/// Gives the leases back; why one was lost, if one was.
async fn release(locks: Vec<Lock>) -> Option<String> {
    let mut lost = None;
    for lock in locks {
        match lock.release().await {
            Ok(why) => lost = lost.or(why),
            Err(error) => {
                tracing::warn!(%error, "failed to release the lease of the set");
            }
        }
    }
    lost
}
