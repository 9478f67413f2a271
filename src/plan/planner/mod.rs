//! The decision: what happens to each object, why, and in which order. `beginning` finds the scope
//! and the renames. `present` decides about declared objects that exist, `absent` about declared
//! objects that do not, and `leavers` about objects that are not declared any more. `claims` judges
//! unfinished creates, `drift` what was done by hand, and `owned` what other sets own. `names`
//! orders the steps of renames, `links` checks references, and `in_use` protects fields of objects
//! that something refers to. `halves` has nothing deleted whose successor cannot be created.
//! `access` keeps whoever plans from being locked out. `along` finds what goes with what is deleted. `restarts` finds what reads a changed value
//! only when it starts.
//! `kept_back` handles fields that are left to others, and writes that
//! are impossible because of that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::diff::{self, Memory};
use super::naming;
use super::order;
use super::ownership::Ownership;
use super::references::Known;
use super::renames::{self, Renames};
use super::{Cause, Entry, FieldChange, Inventory, Observed, Operation, Plan, State};
use crate::error::Problem;
use crate::kinds::fingerprint::Fingerprinter;
use crate::kinds::path::FieldPath;
use crate::kinds::recorded::Recorded;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName, OWNER_ANNOTATION};
use crate::manifest::set::Desired;

mod absent;
mod access;
mod alike;
mod along;
mod asked;
mod beginning;
pub use beginning::selected;
mod claims;
mod drift;
mod halves;
mod in_use;
mod kept_back;
mod leavers;
mod lifecycle;
mod links;
mod names;
mod owned;
mod present;
mod remembered;
mod restarts;
mod unread;
mod unseen;

pub use asked::{Adopt, Policy, Prune};
pub use drift::renamed_by_hand;

/// Why there is no plan.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// The manifests are wrong.
    Manifests(Vec<Problem>),
    /// The scope names what is not in the set.
    Scope(Vec<Problem>),
    /// A guard refused.
    Guard {
        /// What.
        problems: Vec<Problem>,
        /// Why it is not known whether something that should be planned exists, if that is among
        /// the problems.
        doubt: Option<String>,
    },
}

impl Refusal {
    /// A guard refused, and nothing was in doubt.
    const fn guard(problems: Vec<Problem>) -> Self {
        Self::Guard { problems, doubt: None }
    }
}

/// Makes the plan. If a set is destroyed, its documents only say what is protected.
///
/// # Errors
///
/// References that lead nowhere, cycles; objects that the set does not own or must not
/// delete.
pub fn plan(
    declared: &BTreeMap<Key, Desired>,
    state: &State,
    policy: &Policy,
) -> Result<Plan, Refusal> {
    let nothing = BTreeMap::new();
    let desired = if policy.destroy { &nothing } else { declared };
    let renamed_by_hand = renamed_by_hand(state);
    let state = naming::follow_ids(state);
    let mut beginning = beginning::begin(desired, &state, policy)?;
    let moved = (!beginning.renames.is_empty()).then(|| beginning.state(&state));
    let state = moved.as_ref().unwrap_or(&state);
    let notes = std::mem::take(&mut beginning.notes);
    let mut planner = Planner {
        desired,
        declared,
        state,
        policy,
        known: Known::new(desired, state),
        renames: beginning.renames,
        meant: beginning.meant,
        renamed_by_hand,
        left: BTreeSet::new(),
        selected: beginning.selected,
        former: desired.values().flat_map(renames::former_keys).collect(),
        staying: BTreeMap::new(),
        operations: Vec::new(),
        by_key: BTreeMap::new(),
        foreign: Vec::new(),
        doubted: BTreeMap::new(),
        doubt: None,
        guards: Vec::new(),
        faults: Vec::new(),
        plan: Plan {
            set: policy.set.clone(),
            environment: policy.environment.clone(),
            projects: state.projects.clone(),
            partial: !policy.scope.is_everything(),
            unread: state.unread.clone(),
            notes,
            ..Plan::default()
        },
    };
    planner.check_former_names().map_err(Refusal::guard)?;
    for desired in desired.values() {
        if planner.is_selected(&desired.key) {
            planner.decide(desired);
        } else {
            planner.keep(&desired.key);
        }
    }
    planner.refuse_doubted();
    planner.refuse_foreign();
    planner.refuse_destroying_others();
    planner.decide_leavers();
    planner.tell_unread();
    planner.tell_unseen();
    planner.tell_unadopted();
    if !planner.left.is_empty() {
        planner.leave_what_needs_it();
    }
    planner.make_room();
    planner.check_references();
    planner.check_what_is_in_use();
    planner.check_deleted();
    planner.check_what_goes_along();
    planner.tell_what_is_lost();
    planner.check_shared_names();
    planner.check_own_access();
    planner.check_content();
    if !planner.faults.is_empty() {
        return Err(Refusal::Manifests(planner.faults));
    }
    if !planner.guards.is_empty() {
        return Err(Refusal::Guard { problems: planner.guards, doubt: planner.doubt });
    }
    planner.hint_at_renames();
    planner.hint_at_unsaid_renames();
    planner.tell_others_of_renames();
    planner.decide_restarts();
    let edges = planner.edges();
    for operation in &mut planner.operations {
        operation.before = state
            .inventories
            .get(&operation.key.project)
            .and_then(|inventory| inventory.entries.get(&operation.key))
            .cloned();
        unseen::mark(operation, policy);
        if let Some(desired) = desired.get(&operation.key) {
            unseen::give_content(operation, desired);
        }
    }
    planner.name_displaced();
    let mut plan = planner.told();
    plan.operations = order::sort(planner.operations, &edges).map_err(Refusal::Manifests)?;
    Ok(plan)
}

struct Planner<'a> {
    /// What is wanted.
    desired: &'a BTreeMap<Key, Desired>,
    /// What the documents declare; if a set is destroyed, more than what is wanted.
    declared: &'a BTreeMap<Key, Desired>,
    state: &'a State,
    policy: &'a Policy,
    known: Known<'a>,
    /// The objects that get another name. All keys are those that objects get.
    renames: Renames,
    /// The objects that documents out of scope would rename: the key from the document, by the key
    /// that the object has now.
    meant: BTreeMap<Key, Key>,
    /// The objects that somebody renamed, by the name that the set knows.
    renamed_by_hand: BTreeSet<Key>,
    /// The objects that are left as somebody made them and that others need.
    left: BTreeSet<Key>,
    /// What documents say that their objects were called before.
    former: BTreeSet<Key>,
    /// How many objects stay that no document declares any more, by the reason.
    staying: BTreeMap<leavers::Stays, usize>,
    /// The objects that are in scope; all of them without a scope.
    selected: Option<BTreeSet<Key>>,
    operations: Vec<Operation>,
    /// The operations of each object; of a replacement both, the delete first.
    by_key: BTreeMap<Key, Vec<usize>>,
    /// What is declared and other sets own.
    foreign: Vec<owned::Foreign<'a>>,
    /// What may or may not exist, by project, kind and hint, with the reason for the first.
    doubted: BTreeMap<(String, KindName, String), (String, Vec<&'a Desired>)>,
    /// Why the first of them was refused.
    doubt: Option<String>,
    guards: Vec<Problem>,
    faults: Vec<Problem>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    /// The plan with what is known of the platform, beyond its operations.
    fn told(&mut self) -> Plan {
        let mut plan = std::mem::take(&mut self.plan);
        plan.fingerprints = self
            .state
            .inventories
            .iter()
            .map(|(project, inventory)| (project.clone(), inventory.fingerprints.clone()))
            .collect();
        let referred = self.state.objects.iter().filter(|(key, _)| key.kind.is_referred_to_by_id());
        // What is deleted in the end is known only by its id.
        for (key, observed) in referred.filter(|(key, _)| !self.renames.displaces(key)) {
            plan.ids.extend(observed.id.clone().map(|id| (key.clone(), id)));
            plan.emails.extend(observed.email().map(|email| (key.clone(), email)));
        }
        // What somebody may do in a place is written below its id, and what is inside of a room is
        // known by it.
        let is_below = |it: &&Operation| {
            let kind = it.key.kind.kind();
            kind.is_access() || kind.is_inside_rooms()
        };
        let places = self.operations.iter().filter(is_below);
        for place in places.filter_map(|operation| operation.key.place_key()) {
            let id = self.state.objects.get(&place).and_then(|observed| observed.id.clone());
            plan.ids.extend(id.map(|id| (place, id)));
        }
        plan
    }

    fn inventory(&self, key: &Key) -> Option<&'a Inventory> {
        self.state.inventories.get(&key.project)
    }

    fn entry(&self, key: &Key) -> Option<&'a Entry> {
        self.inventory(key)?.entries.get(key)
    }

    fn fingerprinter(&self, key: &Key) -> Fingerprinter {
        self.inventory(key)
            .map_or_else(|| Fingerprinter::new(""), |inventory| inventory.fingerprinter(key))
    }

    fn ownership(&self, key: &Key, observed: &Observed) -> Ownership {
        let says_nothing = observed.owner.is_none();
        // If the inventory may not be read, objects that cannot carry a mark count as the set's.
        if says_nothing && self.is_unread(key) && !key.kind.kind().carries_owner() {
            return Ownership::Ours;
        }
        Ownership::of(&self.policy.set, observed, self.entry(key), || {
            self.is_as_claimed(key, observed)
        })
    }

    /// Whether the set is taken over in the project of an object, from another API.
    fn is_migrated(&self, key: &Key) -> bool {
        self.state.inventories.get(&key.project).is_some_and(|it| it.is_of_other_api)
    }

    fn is_selected(&self, key: &Key) -> bool {
        self.selected.as_ref().is_none_or(|selected| selected.contains(key))
    }

    /// Keeps an object that is out of scope in the inventory as it is.
    fn keep(&mut self, key: &Key) {
        if let Some(entry) = self.entry(key) {
            self.plan.kept.insert(key.clone(), entry.clone());
        }
    }

    fn push(&mut self, operation: Operation) {
        self.by_key.entry(operation.key.clone()).or_default().push(self.operations.len());
        self.operations.push(operation);
    }

    fn field_changes(
        &self,
        desired: &Desired,
        observed: Option<&Tree>,
        fields: &Tree,
    ) -> Vec<FieldChange> {
        let fingerprinter = self.fingerprinter(&desired.key);
        let applied =
            self.entry(&desired.key).and_then(|entry| entry.applied.as_ref()).map(Recorded::value);
        // If that is not known, secrets count as applied as declared.
        let is_unread = self.is_unread(&desired.key);
        let applied = applied.or_else(|| is_unread.then(|| fields.recorded(&fingerprinter)));
        let memory = Memory { fingerprinter: &fingerprinter, applied: applied.as_ref() };
        let mut changes =
            diff::changes(desired.key.kind.kind().shape(), observed, Some(fields), memory);
        if is_unread {
            changes.iter_mut().for_each(|change| change.cause = None);
        }
        if !changes.is_empty() {
            let places = desired.origin.places(changes.iter().map(|change| &change.path));
            changes.iter_mut().zip(places).for_each(|(change, place)| change.place = place);
        }
        changes
    }

    fn changes(
        &self,
        desired: &Desired,
        observed: &Observed,
        fields: &Arc<Tree>,
    ) -> Vec<FieldChange> {
        if Arc::ptr_eq(fields, &observed.fields) {
            return Vec::new();
        }
        self.field_changes(desired, Some(&observed.fields), fields)
    }

    /// The owner annotation is a field like any other, so its change is shown.
    fn owner_change(&self, key: &Key, observed: &Observed) -> Option<FieldChange> {
        let is_missing =
            key.kind.kind().carries_owner() && observed.owner.as_ref() != Some(&self.policy.set);
        is_missing.then(|| FieldChange {
            path: FieldPath::of(&["metadata", "annotations", OWNER_ANNOTATION]),
            old: observed.owner.clone().map(Tree::Text),
            new: Some(Tree::text(self.policy.set.clone())),
            place: None,
            cause: None,
        })
    }

    /// The fields with everything referred to by its name, also where the manifest gives the
    /// platform's id.
    fn with_names(&self, key: &Key, mut fields: Arc<Tree>) -> Arc<Tree> {
        for (path, to) in self.known.by_id(key, &fields) {
            let is_name = fields.at(&path).and_then(Tree::as_str) == Some(&to.name);
            if !is_name && let Some(leaf) = Arc::make_mut(&mut fields).at_mut(&path) {
                *leaf = Tree::text(&to.name);
            }
        }
        fields
    }

    fn guard(&mut self, desired: &Desired, message: String, hint: &str) {
        let problem = desired.origin.problem_at(&FieldPath::of(&["metadata", "name"]), message);
        self.guards.push(problem.hint(hint));
    }
}

fn name_change(key: &Key, former: &Key, cause: Option<Cause>) -> FieldChange {
    FieldChange {
        path: FieldPath::of(&["metadata", "name"]),
        old: Some(Tree::text(former.name.clone())),
        new: Some(Tree::text(key.name.clone())),
        place: None,
        cause,
    }
}

/// What distinguishes two states of one object: its fields, and its revision if the platform hides
/// some of them, or if what it holds in none of them would be lost.
#[must_use]
pub fn fingerprint(observed: &Observed, fingerprinter: &Fingerprinter, is_lost: bool) -> String {
    // The order of the keys of a map means nothing, and answers may differ in it.
    let mut state = observed.fields.recorded(fingerprinter);
    state.sort_all_objects();
    let mut state = state.to_string();
    if (is_lost || diff::has_masked(Some(&observed.fields)))
        && let Some(revision) = &observed.revision
    {
        state += revision;
    }
    fingerprinter.of_state(&state)
}
