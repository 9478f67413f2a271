//! The plan as a JSON document, with a published schema (`schemas/plan.json`). It holds no
//! secrets: it only says that a field is one.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fingerprints::for_each;
use super::planner::{Prune, fingerprint};
use super::{Action, Cause, Counts, FieldChange, NotRead, Operation, Plan, Why};
use crate::api::spoken::Spoken;
use crate::error::{Place, Problem};
use crate::kinds::Key;
use crate::kinds::fingerprint::{Fingerprinter, digest};
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::recorded::{fingerprint_in, recorded_as};
use crate::kinds::tree::Tree;
use crate::listed::few;

/// The version of the document's form.
pub const VERSION: u32 = 1;

/// This program, as the documents that it makes name it.
pub const TOOL: &str = concat!("meshagent ", env!("CARGO_PKG_VERSION"));

/// A plan.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "MeshAgent plan")]
pub struct PlanDocument {
    /// The version of this document's form.
    pub version: u32,
    /// The program that made it, with its version.
    pub tool: String,
    /// The set's name.
    pub set: String,
    /// The environment of the project file that it is for, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The platform's base URL.
    pub platform: String,
    /// The release whose API the platform speaks; absent for that of 0.31.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// The projects by name, with their ids; `null` for one that the plan creates.
    pub projects: BTreeMap<String, Option<String>>,
    /// SHA-256 of the rendered manifests, as hex.
    pub digest: String,
    /// How many operations there are of each sort.
    pub counts: Counts,
    /// The operations in an order in which they can be done.
    pub operations: Vec<OperationDocument>,
    /// What the user should know and need not act on.
    pub notes: Vec<String>,
    /// Whether a scope left some of the set out.
    pub partial: bool,
    /// Whether only drift is shown. Such a plan is only for reading.
    #[serde(default, skip_serializing_if = "is_false")]
    pub drift_only: bool,
    /// The objects that the manifests change and that are not changed yet, because drift is left
    /// alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Key>,
    /// The objects whose drift is left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_drifted: Vec<Key>,
    /// Why the plan must not be performed: what guards and rules refuse. Such a plan is only
    /// shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusalDocument>,
    /// The values that were not read, where there are any. Such a plan is for reading only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_read: Vec<NotRead>,
    /// What the plan was made from, in a plan that was saved to be applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Inputs>,
}

/// Why a plan must not be performed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusalDocument {
    /// What is refused.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where, when a place is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl From<&Problem> for RefusalDocument {
    fn from(problem: &Problem) -> Self {
        Self {
            message: problem.message.clone(),
            hint: problem.hint.clone(),
            place: problem.place.clone(),
        }
    }
}

/// What a saved plan was made from. The manifests are read again when it is applied, so it
/// holds no field that the plan does not show, and no secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// The files and folders, as they were given.
    pub files: Vec<String>,
    /// The files with values for templates.
    pub values_files: Vec<String>,
    /// The names of single values; their texts are given again.
    pub values: Vec<String>,
    /// The names of single values that are JSON.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub value_json: Vec<String>,
    /// The variables that templates could read; applying the plan needs consent to that again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_env: Vec<String>,
    /// The folders whose files manifests could name; applying the plan needs consent to that again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_files: Vec<String>,
    /// The state of the set's history that it goes back to, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// The project that `--project-id` named.
    pub project: Option<String>,
    /// The environment of the project file that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// What that environment said of its set and of guards when it was made: where it says something
    /// else, a new plan is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_said: Option<EnvironmentSaid>,
    /// The sources of the project file, each with its version, if they were read, and be they none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<String>>,
    /// Which of the objects that the manifests no longer declare are deleted.
    pub prune: Prune,
    /// What is taken over; an empty text means all.
    pub adopt: Vec<String>,
    /// Whether drifted fields stay as they are.
    pub ignore_drift: bool,
    /// Whether rooms were entered, to look at what is inside.
    #[serde(default, skip_serializing_if = "is_false")]
    pub enter_rooms: bool,
    /// The scope's targets.
    pub targets: Vec<String>,
    /// What the scope excludes.
    pub excludes: Vec<String>,
    /// The annotations that the scope asks for.
    pub selectors: Vec<(String, String)>,
    /// How many deletes were consented to.
    pub allow_deletes: Option<usize>,
    /// Whether manifests that declare nothing were consented to.
    pub allow_empty: bool,
    /// The folders with rules that it had to pass, and has to pass again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// A random id: no other plan has the same text, so that no approval of this one is one of
    /// another. Absent in plans of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The salts of the fingerprints in projects where the set has no inventory yet, which
    /// would have the key for them: a plan holds no key.
    pub salts: BTreeMap<String, String>,
}

/// What an environment says that a plan of it is made with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentSaid {
    /// The name of the set.
    pub set: Option<String>,
    /// How many objects may be deleted.
    pub allow_deletes: Option<usize>,
    /// Which of the objects that the manifests no longer declare are deleted.
    pub prune: Option<Prune>,
}

/// One operation on one object.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OperationDocument {
    /// The object, as it is shown.
    pub address: String,
    /// The object.
    pub key: Key,
    /// What becomes of it.
    pub action: Action,
    /// Whether it is one half of a replacement.
    pub replaces: bool,
    /// Whether there may be nothing to do, because only values that were not read may differ.
    #[serde(default, skip_serializing_if = "is_false")]
    pub uncertain: bool,
    /// Whether nobody looked at the object, which is inside of a room: it counts as it was last
    /// applied, and is read right before it is written.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unseen: bool,
    /// Why, as a sentence for people.
    pub reason: String,
    /// Why, as a word for programs; absent in plans of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// The fields that change.
    pub changes: Vec<ChangeDocument>,
    /// The positions of the operations that must be done before.
    pub waits_for: Vec<usize>,
    /// The objects that are started again after it, where they run; left out if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<Key>,
    /// Where the object is declared.
    pub place: Option<Place>,
    /// What a placed template made it from.
    pub derived_from: Option<String>,
    /// The fingerprint of the object that was observed; `null` when there was none.
    pub fingerprint: Option<String>,
    /// The object's fields once it is done, without defaults and with `(secret)` for each
    /// secret, or `(not read)`; absent when the object goes away. Policies read them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Value>,
}

/// One field that changes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ChangeDocument {
    /// The field, such as `container.environment[name=TOKEN].value`.
    pub path: String,
    /// What it is now; absent when it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// What it will be; absent when it goes away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    /// Where the manifest says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Who made the difference; absent where nothing was applied before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Whether there may be no change, because the new value of the field was not read.
    #[serde(default, skip_serializing_if = "is_false")]
    pub uncertain: bool,
    /// The rule of `lifecycle.ignore` that would leave the field as it is, where the plan
    /// was asked for rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(truth: &bool) -> bool {
    !*truth
}

impl PlanDocument {
    /// The document of a plan with the rule that would leave each change as it is.
    #[must_use]
    pub fn suggesting(plan: &Plan) -> Self {
        let mut document = Self::of(plan);
        for (operation, shown) in plan.operations.iter().zip(&mut document.operations) {
            for (change, shown) in operation.changes.iter().zip(&mut shown.changes) {
                let rule = super::suggestion::rule(plan, operation, change);
                shown.ignore = rule.map(|rule| rule.to_string());
            }
        }
        document
    }

    /// The document of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self::salted(plan, &BTreeMap::new())
    }

    /// The document of a plan, with these salts for the fingerprints in these projects, so that a
    /// later plan has the same fingerprints.
    #[must_use]
    pub fn salted(plan: &Plan, salts: &BTreeMap<String, String>) -> Self {
        // Fingerprints take time.
        let operations = for_each(&plan.operations, |it| document_of(plan, it, salts));
        Self::with(plan, operations)
    }

    /// The document of the operations in one project, without what the state that they lead to
    /// has: the fields of objects. Only their changes are in it.
    #[must_use]
    pub fn without_state(plan: &Plan, project: &str) -> Self {
        let mine: Vec<usize> = (0..plan.operations.len())
            .filter(|index| plan.operations[*index].key.project == project)
            .collect();
        let positions: HashMap<usize, usize> =
            mine.iter().enumerate().map(|(position, index)| (*index, position)).collect();
        let operations = mine.iter().map(|index| {
            let operation = &plan.operations[*index];
            let own = operation.waits_for.iter().filter_map(|before| positions.get(before));
            let changes = match operation.is_new() {
                true => Vec::new(),
                false => changes_of(operation, &fingerprinter_of(plan, operation)),
            };
            OperationDocument {
                changes,
                waits_for: own.copied().collect(),
                ..without_fields(plan, operation)
            }
        });
        let operations = operations.collect();
        let mine = mine.iter().map(|index| &plan.operations[*index]);
        let counts = Counts { unchanged: plan.unchanged, ..Counts::of(mine) };
        // What is not done is not what the state came from.
        let (waiting, left_drifted) = Default::default();
        Self { counts, waiting, left_drifted, ..Self::with(plan, operations) }
    }

    /// The document of a plan with these operations.
    fn with(plan: &Plan, operations: Vec<OperationDocument>) -> Self {
        Self {
            version: VERSION,
            tool: TOOL.to_owned(),
            set: plan.set.clone(),
            environment: plan.environment.as_ref().map(|it| it.name.clone()),
            platform: plan.platform.clone(),
            api: plan.api.filter(|api| *api != Spoken::V0_31).map(|api| api.to_string()),
            projects: plan
                .projects
                .iter()
                .map(|(name, project)| (name.clone(), project.id.clone()))
                .collect(),
            digest: plan.digest.clone(),
            counts: plan.counts(),
            operations,
            notes: plan.notes.clone(),
            partial: plan.partial,
            drift_only: plan.is_drift,
            waiting: plan.waiting.iter().cloned().collect(),
            left_drifted: plan.left_drifted.iter().cloned().collect(),
            refused: plan.refused.iter().map(RefusalDocument::from).collect(),
            not_read: plan.not_read.clone(),
            inputs: None,
        }
    }
}

fn document_of(
    plan: &Plan,
    operation: &Operation,
    salts: &BTreeMap<String, String>,
) -> OperationDocument {
    let salted = salts.get(&operation.key.project);
    let salted = salted.map(|salt| Fingerprinter::slow(format!("{salt} {}", operation.key)));
    let changes = match &salted {
        Some(salted) => changes_of(operation, salted),
        None => changes_of(operation, &fingerprinter_of(plan, operation)),
    };
    OperationDocument {
        changes,
        fingerprint: match (&salted, operation.observed()) {
            (Some(salted), Some(observed)) if operation.fingerprint.is_some() => {
                Some(fingerprint(observed, salted, operation.deletes_inside()))
            }
            _ => operation.fingerprint.clone(),
        },
        fields: operation.fields().map(|fields| &**fields).map(Tree::redacted),
        ..without_fields(plan, operation)
    }
}

/// An operation without the fields of its object, how they change, and what was observed of them.
fn without_fields(plan: &Plan, operation: &Operation) -> OperationDocument {
    OperationDocument {
        address: plan.address(&operation.key),
        key: operation.key.clone(),
        action: operation.action(),
        replaces: operation.replaces(),
        uncertain: operation.is_uncertain(),
        reason: operation.reason.text.clone(),
        why: Some(operation.reason.why),
        changes: Vec::new(),
        waits_for: operation.waits_for.clone(),
        restarts: operation.restarts.clone(),
        unseen: operation.is_unseen,
        place: operation.place.clone(),
        derived_from: operation.derived_from.clone(),
        fingerprint: None,
        fields: None,
    }
}

/// What makes the fingerprints of an object, as the inventory of its project does.
fn fingerprinter_of(plan: &Plan, operation: &Operation) -> Fingerprinter {
    let kept = plan.fingerprints.get(&operation.key.project);
    let kept = kept.map(|it| it.of(&operation.key, operation.before.as_ref()));
    kept.unwrap_or_else(|| Fingerprinter::new(""))
}

/// The fields that change, with the fingerprint of each secret.
fn changes_of(operation: &Operation, fingerprinter: &Fingerprinter) -> Vec<ChangeDocument> {
    let recorded = |change: &FieldChange, tree: &Option<Tree>| {
        tree.as_ref().map(|tree| apart(tree.recorded(fingerprinter), &change.path))
    };
    let changes = operation.changes.iter().map(|change| ChangeDocument {
        path: change.path.to_string(),
        old: recorded(change, &change.old),
        new: recorded(change, &change.new),
        place: change.place.clone(),
        cause: change.cause,
        uncertain: change.is_uncertain(),
        ignore: None,
    });
    changes.collect()
}

/// What is recorded of a field, with fingerprints that are specific to the field: a guess written
/// into one field tells nothing about the value of another.
fn apart(value: Value, path: &FieldPath) -> Value {
    if let Some(Value::String(fingerprint)) = fingerprint_in(&value) {
        return recorded_as(&digest(&format!("{path} {fingerprint}")));
    }
    match value {
        Value::Array(items) => {
            let item = |(index, item)| apart(item, &path.join(Step::Index(index)));
            items.into_iter().enumerate().map(item).collect()
        }
        Value::Object(fields) => {
            let field = |(name, value): (String, Value)| {
                let value = apart(value, &path.field(&name));
                (name, value)
            };
            Value::Object(fields.into_iter().map(field).collect())
        }
        value => value,
    }
}

impl PlanDocument {
    /// How a plan made now differs from this one, one sentence per object.
    #[must_use]
    pub fn staleness(&self, now: &Self) -> Vec<String> {
        let found = |document: &'_ Self, operation: &OperationDocument| {
            let same = |candidate: &&OperationDocument| {
                candidate.key == operation.key
                    && candidate.replaces == operation.replaces
                    && candidate.action == operation.action
            };
            document.operations.iter().find(same).cloned()
        };
        let other = |document: &'_ Self, key: &Key| {
            document.operations.iter().find(|candidate| candidate.key == *key).cloned()
        };
        let mut stale = Vec::new();
        for planned in &self.operations {
            match found(now, planned) {
                Some(same) => stale.extend(planned.difference(&same)),
                None => stale.push(match other(now, &planned.key) {
                    Some(needed) => format!(
                        "{}: the plan says {}, but now {} is needed{}",
                        planned.address,
                        planned.action,
                        needed.action,
                        fields(&needed.changes)
                    ),
                    None => format!(
                        "{}: the plan says {}, but now nothing is needed",
                        planned.address, planned.action
                    ),
                }),
            }
        }
        for needed in &now.operations {
            if other(self, &needed.key).is_none() {
                stale.push(format!(
                    "{}: the plan does not touch it, but now {} is needed{}",
                    needed.address,
                    needed.action,
                    fields(&needed.changes)
                ));
            }
        }
        stale
    }
}

fn fields(changes: &[ChangeDocument]) -> String {
    let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
    if paths.is_empty() { String::new() } else { format!(" (in {})", few(paths)) }
}

impl OperationDocument {
    /// How the same operation of a later plan differs.
    fn difference(&self, now: &Self) -> Option<String> {
        let differs = |change: &&ChangeDocument| {
            let same = |other: &ChangeDocument| {
                other.path == change.path && other.old == change.old && other.new == change.new
            };
            !self.changes.iter().any(same) || !now.changes.iter().any(same)
        };
        let mut paths: Vec<&str> = self
            .changes
            .iter()
            .chain(&now.changes)
            .filter(differs)
            .map(|change| change.path.as_str())
            .collect();
        paths.dedup();
        if paths.is_empty() && self.restarts != now.restarts {
            let told =
                "what must be started again after it is not what it was when the plan was made";
            return Some(format!("{}: {told}", self.address));
        }
        if paths.is_empty() && self.fingerprint == now.fingerprint {
            return None;
        }
        let paths = if paths.is_empty() {
            "fields that the plan leaves alone or the platform does not show".to_owned()
        } else {
            few(paths)
        };
        Some(format!("{}: it changed since the plan was made, in {paths}", self.address))
    }
}
