//! *Pure*: turns a plan's document back into a plan, to show it. The plan lacks what a document does
//! not hold, such as the fields that would be sent, so it cannot be performed.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::document::{ChangeDocument, OperationDocument, PlanDocument, VERSION};
use super::{
    Action, Effect, FieldChange, InEnvironment, Met, Observed, Operation, Plan, ProjectState,
    Reason, Sent, Why,
};
use crate::error::Problem;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::recorded::fingerprint_in;
use crate::kinds::tree::{NOT_READ, Sealed, Tree};

/// What tells whether a document has the form that is read here.
#[derive(Deserialize)]
struct Form {
    version: Option<u32>,
}

/// What is wrong with the form of a document that may be of another version of this program, as a
/// phrase, if anything is. The rest of such a document may have any form.
#[must_use]
pub fn unknown_form(text: &str) -> Option<String> {
    let form: Form = serde_json::from_str(text).ok()?;
    let version = form.version.filter(|version| *version != VERSION)?;
    Some(other_form(version))
}

fn other_form(version: u32) -> String {
    format!("its form has version {version}, and this is {VERSION}")
}

impl PlanDocument {
    /// Whether it has the form that is read here, and its operations are in order.
    ///
    /// # Errors
    ///
    /// What is wrong with the document, as a phrase.
    pub fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(other_form(self.version));
        }
        for (at, operation) in self.operations.iter().enumerate() {
            if let Some(later) = operation.waits_for.iter().find(|before| **before >= at) {
                return Err(format!(
                    "operation {at} waits for operation {later}, which is not before it"
                ));
            }
        }
        Ok(())
    }

    /// The plan of the document, only for reading.
    ///
    /// # Errors
    ///
    /// What is wrong with the document, as a phrase.
    pub fn restored(self) -> Result<Plan, String> {
        self.check()?;
        let operations = self.operations.into_iter().map(operation);
        let problem = |refusal: super::document::RefusalDocument| Problem {
            place: refusal.place,
            hint: refusal.hint,
            ..Problem::new(refusal.message)
        };
        let projects = self.projects.into_iter();
        Ok(Plan {
            set: self.set,
            platform: self.platform,
            digest: self.digest,
            projects: projects.map(|(name, id)| (name, ProjectState { id })).collect(),
            operations: operations.collect::<Result<_, _>>()?,
            unchanged: self.counts.unchanged,
            notes: self.notes,
            partial: self.partial,
            is_drift: self.drift_only,
            waiting: self.waiting.into_iter().collect(),
            left_drifted: self.left_drifted.into_iter().collect(),
            refused: self.refused.into_iter().map(problem).collect(),
            not_read: self.not_read,
            environment: self.environment.map(|name| InEnvironment {
                name,
                is_default: false,
                alike: Vec::new(),
            }),
            ..Plan::default()
        })
    }
}

fn operation(document: OperationDocument) -> Result<Operation, String> {
    let effect = effect(&document);
    let fields = document.fields.as_ref().map(Tree::from);
    let changes = document.changes.into_iter().map(|it| change(it, fields.as_ref()));
    let why = document.why.unwrap_or(Why::Differs);
    Ok(Operation {
        changes: changes.collect::<Result<_, _>>()?,
        waits_for: document.waits_for,
        restarts: document.restarts,
        is_unseen: document.unseen,
        place: document.place,
        derived_from: document.derived_from,
        fingerprint: document.fingerprint,
        ..Operation::new(document.key, effect, Reason::new(why, document.reason))
    })
}

fn effect(document: &OperationDocument) -> Effect {
    let sent = || Sent::new(Arc::new(Tree::map([])), Vec::new());
    let replaces = document.replaces;
    match document.action {
        Action::Create => Effect::Create { sent: sent(), replaces },
        Action::Update => Effect::Update { of: Met::Name, sent: sent() },
        Action::Record => Effect::Record { of: None, fields: None },
        // The former name is part of the reason.
        Action::Rename => {
            Effect::Rename { of: Met::Name, former: document.key.clone(), sent: sent() }
        }
        Action::Adopt => {
            let of = Observed {
                id: None,
                owner: None,
                fields: Arc::new(Tree::map([])),
                answered: None,
                revision: None,
                called: None,
                also_called: Vec::new(),
                is_remembered: false,
            };
            Effect::Adopt { of: Box::new(of), sent: sent() }
        }
        Action::Delete => Effect::Delete { of: Met::Name, former: None, replaces },
        Action::Release => Effect::Release { of: None, by_id: Vec::new() },
    }
}

fn change(document: ChangeDocument, fields: Option<&Tree>) -> Result<FieldChange, String> {
    let path = FieldPath::parse(&document.path)
        .map_err(|problem| format!("{:?} is not the path of a field: {problem}", document.path))?;
    let shown = fields.and_then(|fields| fields.at(&path));
    Ok(FieldChange {
        old: document.old.as_ref().map(|old| tree(old, None)),
        new: document.new.as_ref().map(|new| tree(new, shown)),
        place: document.place,
        cause: document.cause,
        path,
    })
}

/// The recorded value of a field. Only the shown value says whether a secret was read.
fn tree(recorded: &Value, shown: Option<&Tree>) -> Tree {
    if fingerprint_in(recorded).is_some() {
        let is_unread = shown.and_then(Tree::as_str) == Some(NOT_READ);
        return Tree::Secret(if is_unread { Sealed::Unread } else { Sealed::Masked });
    }
    let below = |step: Step| shown.and_then(|shown| shown.at(&FieldPath(vec![step])));
    match recorded {
        Value::Array(items) => {
            let item = |(index, item)| tree(item, below(Step::Index(index)));
            Tree::List(items.iter().enumerate().map(item).collect())
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                (name.clone(), tree(value, below(Step::Field(name.clone()))))
            };
            fields.iter().map(field).collect()
        }
        leaf => Tree::from(leaf),
    }
}
