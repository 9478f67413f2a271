//! Back to a past state of a set: its objects are wanted as they were recorded, and the plan is made
//! and judged as every other.
//!
//! What was recorded has no secrets. A value that has not changed since stays. Others are read from
//! where today's manifests say, or they stay as they are, and the plan says so. Nothing that a
//! recorded state names is read: whoever may write the project's storage could have written it.

mod secrets;

use std::collections::BTreeSet;

use self::secrets::{Settled, Settling, Texts};
use super::decide::{Decision, Guards, Seen};
use super::history::Past;
use super::target::Target;
use crate::error::{Error, Result};
use crate::kinds::Key;
use crate::kinds::document::FormerNames;
use crate::manifest::set::Set;
use crate::plan::diff::has_masked;
use crate::plan::planner::{self, Policy};
use crate::plan::{Action, Plan, State, Why};

/// Makes the plan that goes back to a state. Where secrets are read from, today's manifests say, if
/// there are any.
///
/// # Errors
///
/// The platform's; what the planner refuses; values of secrets that nobody knows any more and that
/// would have to be sent.
pub async fn go_back(
    target: &Target,
    past: Past,
    today: Option<Set>,
    policy: &Policy,
    guards: &Guards,
) -> Result<Decision> {
    let (digest, note) = (past.digest(), past.note());
    let Past { number, wanted, project, recorded, renamed, .. } = past;
    let mut today = today.unwrap_or_default();
    let set = Set {
        objects: wanted,
        notes: vec![note],
        digest,
        reach: std::mem::take(&mut today.reach),
        ..Set::default()
    };
    // A state without objects names no project.
    let of_state = Target { project: target.project.clone().or(Some(project)), ..target.clone() };
    let target = if set.objects.is_empty() { &of_state } else { target };
    let mut seen = Seen::look(target, set, policy, guards).await?;
    seen.back_to = Some(number);
    forget_names(&mut seen.state, &renamed);
    let wanted = std::mem::take(&mut seen.set.objects);
    let selection = planner::selected(&wanted, &seen.state, &seen.policy);
    let is_meant = |key: &Key| selection.as_ref().is_none_or(|selection| selection.contains(key));
    let mut texts = Texts::new(today.objects, &seen.state);
    let by_id = secrets::by_id(&seen.state);
    let mut needed = BTreeSet::new();
    let (plan, settled) = loop {
        let settling =
            Settling { state: &seen.state, by_id: &by_id, texts: &texts, needed: &needed };
        let settled = settling.settle(&wanted, &recorded, &is_meant);
        if texts.read(&settled.open, seen.reading()).await? {
            continue;
        }
        if !settled.lost.is_empty() {
            return Err(Error::refused(settled.lost));
        }
        let mut plan = seen.plan(&settled.objects)?;
        let leaving = plan.operations.iter_mut().filter(|it| it.reason.why == Why::Undeclared);
        leaving.for_each(|it| {
            // What is lost stays said.
            let more = it.reason.text.strip_prefix(it.reason.why.sentence()).unwrap_or_default();
            it.reason.text = format!("it is not in state {number}{more}");
        });
        let unknown = sent_unknown(&plan);
        if unknown.is_subset(&needed) {
            break (plan, settled);
        }
        needed.extend(unknown);
    };
    let Settled { objects, notes, .. } = settled;
    seen.set.notes.extend(notes);
    seen.conclude(plan, objects, Vec::new()).await
}

/// Lets objects have their former names again: names that a document once gave, and that were dealt
/// with then, are open.
fn forget_names(state: &mut State, renamed: &BTreeSet<Key>) {
    for key in renamed {
        let inventory = state.inventories.get_mut(&key.project);
        if let Some(entry) = inventory.and_then(|inventory| inventory.entries.get_mut(key)) {
            *entry = entry.clone().but(|it| it.moved_from = FormerNames::default());
        }
    }
}

/// The objects of which a plan would send values that are not known.
fn sent_unknown(plan: &Plan) -> BTreeSet<Key> {
    let sends = plan.operations.iter().filter(|operation| {
        let is_empty = matches!(operation.action(), Action::Adopt) && operation.changes.is_empty();
        !is_empty && operation.sent().is_some_and(|sent| has_masked(Some(&sent.fields)))
    });
    sends.map(|operation| operation.key.clone()).collect()
}
