//! Guards on a whole plan: how much it may delete, what it may be made from, where it may
//! write. When a guard refuses, nothing has been written.

use std::collections::BTreeMap;

use super::{Action, Plan, ProjectState, State};
use crate::error::Problem;
use crate::kinds::KindName;
use crate::listed::few;

/// The share of a kind, and of the whole set, that may be deleted or replaced without consent.
const SHARE: f64 = 0.3;

/// How many objects of a kind, and of the whole set, may be deleted or replaced without
/// consent, whatever their share.
const FEW: usize = 3;

/// What the user consented to.
#[derive(Debug, Clone, Default)]
pub struct Consent {
    /// At most so many objects may be deleted or replaced.
    pub deletes: Option<usize>,
    /// With that number, the share holds, too.
    pub share: bool,
    /// The set may be empty.
    pub empty: bool,
    /// Everything the set owns is to be deleted, so there is no budget.
    pub destroy: bool,
    /// The only project that may be written to, by name or id.
    pub project: Option<String>,
}

/// What a plan was made from.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// How many objects the manifests declare.
    pub objects: usize,
    /// The name, for messages, of an input that was read as a stream and declares nothing.
    pub empty_input: Option<&'static str>,
    /// Whether any manifests were given.
    pub is_given: bool,
    /// The past state that it goes back to, if it does.
    pub state: Option<u64>,
}

/// What the guards refuse.
#[must_use]
pub fn check(plan: &Plan, state: &State, origin: Origin, consent: &Consent) -> Vec<Problem> {
    let mut refused = Vec::new();
    // Without manifests, all that the set owns is destroyed.
    let may_be_empty = consent.empty || consent.destroy && !origin.is_given;
    if let Some(input) = origin.empty_input.filter(|_| !may_be_empty) {
        refused.push(
            Problem::new(format!(
                "{input} declares nothing; the command that writes it may have failed"
            ))
            .hint(match consent.destroy {
                true => "check the command that writes it",
                false => "check the command that writes it; if this is intended, add --allow-empty",
            }),
        );
    } else if origin.objects == 0 && consent.destroy && !may_be_empty {
        refused.push(
            Problem::new("the manifests declare nothing, so nothing would be destroyed")
                .hint("give the manifests with -f; without it, all that the set owns is destroyed"),
        );
    } else if origin.objects == 0 && !may_be_empty {
        refused.push(match origin.state {
            Some(state) => empty_state(plan, state),
            None => empty(plan),
        });
    }
    if let Some(expected) = &consent.project {
        refused.extend(unexpected_in(plan, expected));
        refused.extend(shared_in(plan, expected).filter(|_| !consent.destroy));
    }
    refused.extend(budget(plan, state, consent));
    refused
}

/// Says what would be deleted where a past state has no objects.
fn empty_state(plan: &Plan, state: u64) -> Problem {
    let leaving = plan.operations.iter().filter(|operation| operation.action() == Action::Delete);
    let leaving: Vec<String> = leaving.map(|operation| plan.address(&operation.key)).collect();
    let told = match leaving.is_empty() {
        true => "and nothing would be deleted".to_owned(),
        false => format!("so all that the set owns would be deleted: {}", few(&leaving)),
    };
    Problem::new(format!("the set owned nothing in state {state}, {told}"))
        .hint("if this is intended, add --allow-empty")
}

/// Says what would be deleted where the manifests declare nothing.
fn empty(plan: &Plan) -> Problem {
    let leaving = plan.operations.iter().filter(|operation| operation.action() == Action::Delete);
    let leaving: Vec<String> = leaving.map(|operation| plan.address(&operation.key)).collect();
    let names = few(&leaving);
    let what = match leaving.len() {
        0 => {
            return Problem::new("the manifests declare nothing, and nothing would be deleted")
                .hint("give the manifests with -f, or add --allow-empty to continue without any");
        }
        1 => format!("1 object that was declared in them would be deleted: {names}"),
        count => {
            format!("{count} objects that were declared in them would be deleted: {names}")
        }
    };
    Problem::new(format!("the manifests declare nothing, so {what}"))
        .hint("if this is intended, add --allow-empty; if not, give the manifests with -f")
}

/// The projects of a plan that are not the expected one, which is given by name or id.
#[must_use]
pub fn unexpected_in(plan: &Plan, expected: &str) -> Vec<Problem> {
    let is_expected = |(name, project): &(&String, &ProjectState)| {
        *name == expected || project.id.as_deref() == Some(expected)
    };
    let unexpected = plan.projects.iter().filter(|project| !is_expected(project));
    let told = unexpected.map(|(name, _)| {
        Problem::new(format!(
            "the plan is for project `{name}`, but --expect-project is `{expected}`"
        ))
    });
    told.collect()
}

/// Another environment that is the same set of the project: one of them names it, and the other one
/// has its id.
fn shared_in(plan: &Plan, expected: &str) -> Option<Problem> {
    let environment = plan.environment.as_ref()?;
    let is = |(name, project): &(&String, &ProjectState), said: &str| {
        *name == said || project.id.as_deref() == Some(said)
    };
    let own = plan.projects.iter().find(|project| is(project, expected))?;
    let (other, _) = environment.alike.iter().find(|(_, said)| is(&own, said))?;
    let what = format!(
        "the environments `{other}` and `{}` are the same set of project `{}`, so each would delete what the other declares",
        environment.name, own.0
    );
    Some(Problem::new(what).hint("give one of them another `project` or another `set`"))
}

fn budget(plan: &Plan, state: &State, consent: &Consent) -> Option<Problem> {
    let mut deleted: BTreeMap<KindName, usize> = BTreeMap::new();
    for operation in plan.operations.iter().filter(|operation| operation.action() == Action::Delete)
    {
        *deleted.entry(operation.key.kind).or_default() += 1;
    }
    let total: usize = deleted.values().sum();
    let is_allowed = consent.deletes.is_some_and(|allowed| total <= allowed);
    if consent.destroy || is_allowed && !consent.share {
        return None;
    }
    let owned = |kind: KindName| {
        state
            .inventories
            .values()
            .flat_map(|inventory| inventory.entries.keys())
            .filter(|key| key.kind == kind)
            .count()
    };
    // A few objects of each of many kinds are many objects too.
    let all: usize = state.inventories.values().map(|inventory| inventory.entries.len()).sum();
    let is_over = |count: usize, owned: usize| count > FEW && count as f64 > SHARE * owned as f64;
    let mut over: Vec<String> = deleted
        .iter()
        .map(|(kind, count)| (kind, *count, owned(*kind)))
        // Counts of objects are far below what a float holds exactly.
        .filter(|(_, count, owned)| is_over(*count, *owned))
        .map(|(kind, count, owned)| format!("{count} of {owned} {}", kind.kind().plural()))
        .collect();
    if over.is_empty() && is_over(total, all) {
        over.push(format!("{total} of the {all} objects of the set"));
    }
    if over.is_empty() && (consent.deletes.is_none() || is_allowed) {
        return None;
    }
    let what = match (over.is_empty(), consent.deletes) {
        (true, Some(allowed)) => {
            format!("the plan deletes or replaces {total} objects, but only {allowed} are allowed")
        }
        _ => format!("the plan deletes or replaces {}", over.join(", ")),
    };
    Some(Problem::new(what).hint(format!("if this is intended, add --allow-deletes {total}")))
}
