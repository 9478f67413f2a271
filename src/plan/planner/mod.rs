//! The decision: what becomes of each object, why, and in which order. What is declared and there
//! is decided here; what is declared and not there in `absent`; what is in scope and what is
//! renamed in `beginning`; what an unfinished create is worth in `claims`; what is not declared
//! any more in `leavers`; what was done by hand in `drift`; what refers to what in `links`; who
//! gives which name up in `names`; what other sets own in `owned`; what is left to others, and
//! what cannot be written for that, in `kept_back`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Work;
use super::diff::{self, Memory};
use super::naming;
use super::order;
use super::references::Known;
use super::renames::{self, Renames};
use super::{Action, Cause, Entry, FieldChange, Inventory, Observed, Operation, Plan, State};
use crate::error::Problem;
use crate::kinds::fingerprint::Fingerprinter;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::recorded::Recorded;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName, OWNER_ANNOTATION};
use crate::listed::{few, word};
use crate::manifest::set::Desired;

mod absent;
mod asked;
mod beginning;
pub use beginning::selected;
mod claims;
mod drift;
mod in_use;
mod kept_back;
mod leavers;
mod lifecycle;
mod links;
mod names;
mod owned;
mod remembered;
mod unread;

use kept_back::Wanted;

pub use asked::{Adopt, Policy, Prune};
pub use drift::renamed_by_hand;

/// Why there is no plan.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// The manifests are at fault.
    Manifests(Vec<Problem>),
    /// The scope names what is not in the set.
    Scope(Vec<Problem>),
    /// A guard refused.
    Guard(Vec<Problem>),
}

/// Decides. Of a set that is destroyed, what is declared only says what is protected.
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
        guards: Vec::new(),
        faults: Vec::new(),
        plan: Plan {
            set: policy.set.clone(),
            projects: state.projects.clone(),
            partial: !policy.scope.is_everything(),
            unread: state.unread.clone(),
            notes,
            ..Plan::default()
        },
    };
    planner.check_former_names().map_err(Refusal::Guard)?;
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
    if !planner.left.is_empty() {
        planner.leave_what_needs_it();
    }
    planner.make_room();
    planner.check_references();
    planner.check_what_is_in_use();
    planner.check_deleted();
    planner.check_shared_names();
    if !planner.faults.is_empty() {
        return Err(Refusal::Manifests(planner.faults));
    }
    if !planner.guards.is_empty() {
        return Err(Refusal::Guard(planner.guards));
    }
    planner.hint_at_renames();
    planner.tell_others_of_renames();
    let edges = planner.edges();
    for operation in &mut planner.operations {
        operation.work.before = state
            .inventories
            .get(&operation.key.project)
            .and_then(|inventory| inventory.entries.get(&operation.key))
            .cloned();
    }
    planner.name_displaced();
    let mut plan = planner.plan;
    plan.fingerprints = state
        .inventories
        .iter()
        .map(|(project, inventory)| (project.clone(), inventory.fingerprints.clone()))
        .collect();
    plan.ids = state
        .objects
        .iter()
        // What is gone in the end is known by its id alone.
        .filter(|(key, _)| key.kind.is_referred_to_by_id() && !planner.renames.displaces(key))
        .filter_map(|(key, observed)| Some((key.clone(), observed.id.clone()?)))
        .collect();
    plan.operations = order::sort(planner.operations, &edges).map_err(Refusal::Manifests)?;
    Ok(plan)
}

struct Planner<'a> {
    /// What is wanted.
    desired: &'a BTreeMap<Key, Desired>,
    /// What the documents declare; more than what is wanted where a set is destroyed.
    declared: &'a BTreeMap<Key, Desired>,
    state: &'a State,
    policy: &'a Policy,
    known: Known<'a>,
    /// The objects that get another name. All keys are those that objects get.
    renames: Renames,
    /// Objects that documents out of scope would rename: by the key that the object has now,
    /// the key that its document gives it.
    meant: BTreeMap<Key, Key>,
    /// The objects to which somebody gave another name, by the one that the set knows.
    renamed_by_hand: BTreeSet<Key>,
    /// The objects that are left as somebody made them, and that others need.
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
    /// What may exist or not, by project, kind and what helps, with why of the first.
    doubted: BTreeMap<(String, KindName, String), (String, Vec<&'a Desired>)>,
    guards: Vec<Problem>,
    faults: Vec<Problem>,
    plan: Plan,
}

/// Whose an object is.
enum Ownership {
    Ours,
    Nobodys,
    Foreign(String),
}

impl<'a> Planner<'a> {
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
        match &observed.owner {
            Some(owner) if *owner == self.policy.set => return Ownership::Ours,
            Some(owner) => return Ownership::Foreign(owner.clone()),
            // What cannot say so itself is taken for the set's where that may not be read.
            None if self.is_unread(key) && !key.kind.kind().carries_owner() => {
                return Ownership::Ours;
            }
            None => {}
        }
        match self.entry(key) {
            Some(entry) if entry.is_claim_to(observed.id.as_deref()) => {
                match self.is_as_claimed(key, observed) {
                    true => Ownership::Ours,
                    false => Ownership::Nobodys,
                }
            }
            // Another object under the same name: somebody deleted ours and made their own.
            Some(Entry { id: Some(recorded), .. })
                if observed.id.as_ref().is_some_and(|id| id != recorded) =>
            {
                Ownership::Nobodys
            }
            Some(_) => Ownership::Ours,
            None => Ownership::Nobodys,
        }
    }

    fn is_selected(&self, key: &Key) -> bool {
        self.selected.as_ref().is_none_or(|selected| selected.contains(key))
    }

    /// What is out of scope stays in the inventory as it is.
    fn keep(&mut self, key: &Key) {
        if let Some(entry) = self.entry(key) {
            self.plan.kept.insert(key.clone(), entry.clone());
        }
    }

    fn push(&mut self, operation: Operation) {
        self.by_key.entry(operation.key.clone()).or_default().push(self.operations.len());
        self.operations.push(operation);
    }

    fn decide(&mut self, desired: &'a Desired) {
        let key = &desired.key;
        let former = self.renames.now(key).cloned();
        // The key under which the platform knows it.
        let known_as = former.as_ref().unwrap_or(key);
        let Some(observed) = self.state.objects.get(key) else {
            self.decide_absent(desired);
            return;
        };
        if let Some((message, hint)) = self.claims_of_others(desired, known_as) {
            self.guard(desired, message, &hint);
            return;
        }
        if self.is_foreign(desired, known_as) {
            return;
        }
        let other = self.other_files(desired).next().filter(|_| key != known_as);
        let folder = other.map(|file| file.folder(&self.policy.looked_at));
        if let Some(folder) = folder {
            self.plan.notes.push(format!(
                "{known_as} is renamed to {key}; {folder}, which was not given, declares it under the former name as well"
            ));
        }
        let adopts = match self.adopts(desired, observed, known_as) {
            Ok(adopts) => adopts,
            Err((message, hint)) => {
                self.guard(desired, message, &hint);
                return;
            }
        };
        let is_by_hand =
            former.as_ref().is_some_and(|former| self.is_renamed_by_hand(desired, former));
        let intended = self.with_names(key, Arc::clone(&desired.fields));
        let Wanted { fields, mut changes, ignored, kept, drifted } =
            self.wanted(desired, observed, &intended);
        if let Some(former) = former.as_ref().filter(|_| is_by_hand && self.policy.ignore_drift) {
            self.leave_renamed(key, former, !changes.is_empty());
            return;
        }
        let shape_changes = changes.len();
        let cause = is_by_hand.then_some(Cause::Drift);
        changes.extend(former.as_ref().map(|former| name_change(key, former, cause)));
        changes.extend(self.owner_change(key, observed));
        let is_uncertain = changes.iter().all(FieldChange::is_uncertain);
        let mut sends = !changes.is_empty();
        if self.refuse_unread(desired, known_as, (observed, &changes)) {
            return;
        }
        if let Some(path) = ignored.first().filter(|_| sends && !is_uncertain) {
            self.refuse_untold(desired, known_as, (path, &changes));
            return;
        }
        if let Some(path) = drifted.first().filter(|_| sends && !is_uncertain) {
            self.wait(key, known_as, path);
            return;
        }
        let fields_changed = changes.len();
        if let Some(known) = self.entry(key).filter(|_| !adopts) {
            changes.extend(lifecycle::changes(desired, known));
        }
        // That the set takes note of something is certain.
        sends &= !is_uncertain || changes.len() == fields_changed;
        let frozen: Vec<&str> = key
            .kind
            .kind()
            .immutable()
            .iter()
            .copied()
            .filter(|name| {
                changes
                    .iter()
                    .any(|change| change.path.0.first() == Some(&Step::Field((*name).to_owned())))
            })
            .collect();
        let mut entry = self.entry_for(desired, observed.id.clone(), &intended);
        let unsent: Vec<&FieldPath> = ignored.iter().chain(&kept).collect();
        self.keep_unsent(key, &mut entry, (&observed.fields, &unsent));
        if key.kind.kind().hides_values() && entry.revision.is_none() {
            entry.revision = observed.revision.clone();
        }
        if !adopts && changes.is_empty() {
            self.plan.unchanged += 1;
            self.plan.as_declared.insert(key.clone());
            self.plan.kept.insert(key.clone(), entry);
            return;
        }
        let operation = Operation {
            key: key.clone(),
            action: match (former.is_some(), adopts) {
                (true, _) => Action::Rename,
                (false, true) => Action::Adopt,
                (false, false) if sends => Action::Update,
                (false, false) => Action::Record,
            },
            replaces: false,
            reason: if let Some(former) = former.as_ref().filter(|_| is_by_hand) {
                format!("it was renamed to {former} behind the set's back")
            } else if let Some(former) = &former {
                format!("it was {former}")
            } else if adopts {
                "it exists and is taken over".to_owned()
            } else if !sends {
                "its lifecycle changes".to_owned()
            } else if shape_changes == 0 {
                "it does not name its set".to_owned()
            } else if is_uncertain {
                "whether its fields differ is not known".to_owned()
            } else {
                "its fields differ".to_owned()
            },
            changes,
            waits_for: Vec::new(),
            place: Some(desired.origin.place()),
            derived_from: desired.origin.derived_from.clone(),
            fingerprint: Some(fingerprint(observed, &self.fingerprinter(key))),
            work: Work {
                by_id: self.known.by_id(key, &fields),
                fields: Some(fields),
                observed: Some(observed.clone()),
                entry: Some(entry),
                renamed_from: former,
                ..Work::default()
            },
        };
        if frozen.is_empty() {
            self.push(operation);
        } else {
            self.replace(desired, operation, &frozen);
        }
    }

    /// What keeps the set from going on with an object that it owns: another set is taking it
    /// over.
    fn claims_of_others(&self, desired: &Desired, known_as: &Key) -> Option<(String, String)> {
        let key = &desired.key;
        if let Some(to) = self.entry(key).and_then(|entry| entry.moving_to.as_ref()) {
            let (set, project, flags) = (&self.policy.set, &key.project, &self.policy.flags);
            return Some((
                format!("{known_as} is on its way to the set `{to}`"),
                format!(
                    "`meshagent set move {} --set {set} --to {} --project-id {}{flags}` ends that; then take its document out of this set",
                    known_as.as_word(),
                    word(to),
                    word(project)
                ),
            ));
        }
        None
    }

    fn create(&self, desired: &Desired, reason: String, fields: Arc<Tree>) -> Operation {
        let key = &desired.key;
        let intended = self.with_names(key, Arc::clone(&desired.fields));
        let fields = self.with_names(key, fields);
        let mut changes = self.field_changes(desired, None, &fields);
        // Before it exists nothing has a default either.
        changes.retain_mut(|change| {
            change.old = None;
            change.new.is_some() && !change.path.0.is_empty()
        });
        Operation {
            key: key.clone(),
            action: Action::Create,
            replaces: false,
            reason,
            changes,
            waits_for: Vec::new(),
            place: Some(desired.origin.place()),
            derived_from: desired.origin.derived_from.clone(),
            fingerprint: None,
            work: Work {
                observed: None,
                entry: Some(self.entry_for(desired, None, &intended)),
                by_id: self.known.by_id(key, &fields),
                fields: Some(fields),
                ..Work::default()
            },
        }
    }

    /// A delete, then a create, because a field cannot be changed in place.
    fn replace(&mut self, desired: &Desired, update: Operation, frozen: &[&str]) {
        let key = &desired.key;
        let is_protected = desired.lifecycle.prevent_destroy
            || self.entry(key).is_some_and(|entry| entry.protected);
        let fields = frozen.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if is_protected {
            self.guard(
                desired,
                format!("{key} would be replaced, because {fields} cannot be changed, and it is protected"),
                "take `prevent_destroy` off it first, and apply",
            );
            return;
        }
        let dependents = self.dependents(key);
        let mut reason = format!("{fields} cannot be changed in place");
        if !dependents.is_empty() {
            reason += &format!("; {} depend on it", few(dependents));
        }
        self.push(Operation {
            action: Action::Delete,
            replaces: true,
            reason: reason.clone(),
            changes: Vec::new(),
            work: Work {
                observed: update.work.observed.clone(),
                renamed_from: update.work.renamed_from.clone(),
                ..Work::default()
            },
            ..update.clone()
        });
        let entry = self.entry_for(desired, None, &desired.fields);
        self.push(Operation {
            action: Action::Create,
            replaces: true,
            reason,
            fingerprint: None,
            work: Work { observed: None, entry: Some(entry), renamed_from: None, ..update.work },
            ..update
        });
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
        // Where that is not known, secrets count as applied as they are declared.
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
                *leaf = Tree::text(to.name);
            }
        }
        fields
    }

    fn guard(&mut self, desired: &Desired, message: String, hint: &str) {
        let problem =
            desired.origin.document.problem_at(&FieldPath::of(&["metadata", "name"]), message);
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

/// What tells two states of one object apart: its fields, and where the platform keeps some
/// of them to itself, its revision.
#[must_use]
pub fn fingerprint(observed: &Observed, fingerprinter: &Fingerprinter) -> String {
    let mut state = observed.fields.recorded(fingerprinter).to_string();
    if diff::has_masked(Some(&observed.fields))
        && let Some(revision) = &observed.revision
    {
        state += revision;
    }
    fingerprinter.of_state(&state)
}
