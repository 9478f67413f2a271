//! Writes what drifted on the platform back into the manifests: decides which changes of a plan
//! can be written, and makes the new texts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Number, Value};

use crate::error::{Place, RENDERED};
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName};
use crate::manifest::declared_in::stream;
use crate::manifest::document::{self, Document, Trees};
use crate::manifest::edit;
use crate::manifest::set::Set;
use crate::plan::{Action, Cause, FieldChange, Operation, Plan};
use crate::visible;

/// The documents of a set.
pub struct Documents {
    /// Each with how many objects it declares.
    declared: BTreeMap<Place, (Arc<Document>, usize)>,
    /// The line ranges of documents that may contain a secret as text, by file and first line; the
    /// end is exclusive.
    secret: BTreeMap<String, BTreeMap<usize, (usize, KindName)>>,
}

impl Documents {
    /// Of a set.
    #[must_use]
    pub fn of(set: &Set) -> Self {
        let mut declared = BTreeMap::new();
        let mut secret: BTreeMap<String, BTreeMap<usize, (usize, KindName)>> = BTreeMap::new();
        for desired in set.objects.values() {
            let document = &desired.origin.document;
            if document.is_for_secrets() || desired.fields.has_secrets() {
                let lines = document.line_range();
                let in_file = secret.entry(document.source.name.clone()).or_default();
                in_file.insert(lines.start, (lines.end, document.kind.name()));
            }
            let (_, count) =
                declared.entry(desired.origin.place()).or_insert_with(|| (Arc::clone(document), 0));
            *count += usize::from(desired.origin.derived_from.is_none());
        }
        Self { declared, secret }
    }

    /// What is shown instead of a line of a file, counted from zero, if its document holds
    /// secrets.
    #[must_use]
    pub fn instead_of(&self, file: &str, line: usize) -> Option<String> {
        let (_, (end, kind)) = self.secret.get(file)?.range(..=line).next_back()?;
        (line < *end).then(|| format!("(a line of a {kind} that holds secrets)"))
    }
}

/// A change that was requested and is not made, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Left {
    /// The object.
    pub key: Key,
    /// The field; empty for the object as a whole.
    pub path: FieldPath,
    /// Why.
    pub reason: String,
}

/// What becomes of the drift of a plan.
#[derive(Default)]
pub struct Acceptance {
    /// The fields that are written back.
    pub accepted: BTreeSet<(Key, FieldPath)>,
    /// What is not, with the reason.
    pub left: Vec<Left>,
    /// The new text of each source that changes, by its name.
    pub texts: BTreeMap<String, String>,
}

/// Writes the drift of the wanted objects into the texts of their documents. What was
/// refused before keeps its reason.
#[must_use]
pub fn accept(
    plan: &Plan,
    documents: &Documents,
    wanted: &dyn Fn(&Key) -> bool,
    refused: &[Left],
) -> Acceptance {
    let mut acceptance = Acceptance { left: refused.to_vec(), ..Acceptance::default() };
    let mut edited: BTreeMap<Place, String> = BTreeMap::new();
    for operation in plan.operations.iter().filter(|operation| wanted(&operation.key)) {
        if let Some(reason) = drifted_whole(operation) {
            // Its fields are gone with it, so they are not separate drift.
            let (key, path) = (operation.key.clone(), FieldPath::default());
            acceptance.left.push(Left { key, path, reason });
            continue;
        }
        for change in &operation.changes {
            let (key, path) = (operation.key.clone(), change.path.clone());
            if refused.iter().any(|left| left.key == key && left.path == path) {
                continue;
            }
            let is_secret = has_secret(change.old.as_ref()) || has_secret(change.new.as_ref());
            let is_name = change.path == FieldPath::of(&["metadata", "name"]);
            let done = match change.cause {
                Some(Cause::Drift) if is_name => Err(renamed(change)),
                Some(Cause::Drift | Cause::Both) if is_secret => Err(SECRET.to_owned()),
                Some(Cause::Drift) => write(plan, documents, operation, change, &mut edited),
                Some(Cause::Both) => Err("the manifest changed too".to_owned()),
                Some(Cause::Manifest) | None => continue,
            };
            match done {
                Ok(()) => drop(acceptance.accepted.insert((key, path))),
                Err(reason) => acceptance.left.push(Left { key, path, reason }),
            }
        }
    }
    acceptance.texts = texts(documents, edited);
    acceptance
}

/// Why a secret is not written into a manifest, and what to do.
const SECRET: &str = "secrets are not written into manifests; to keep the platform's value, store it where the manifest reads it from";

/// What happened to an object as a whole, which no field shows.
fn drifted_whole(operation: &Operation) -> Option<String> {
    let was_applied = operation.before.as_ref().is_some_and(|entry| entry.was_there());
    (operation.action() == Action::Create && !operation.replaces() && was_applied).then(|| {
        let so = match &operation.derived_from {
            Some(origin) => format!("it is derived from {origin}, which still declares it"),
            None => {
                "to accept that, remove it from its document, or remove the document".to_owned()
            }
        };
        format!("it was deleted on the platform; {so}")
    })
}

/// Why a new name is not written into a document: every reference would have to change, too.
fn renamed(change: &FieldChange) -> String {
    let name = change.old.as_ref().and_then(Tree::as_str).unwrap_or_default();
    format!(
        "it was renamed to `{}` on the platform; to accept that, change the name in its document and in every reference to it",
        visible::line(name)
    )
}

fn has_secret(tree: Option<&Tree>) -> bool {
    match tree {
        Some(Tree::Secret(_)) => true,
        Some(Tree::List(items)) => items.iter().any(|item| has_secret(Some(item))),
        Some(Tree::Map(fields)) => fields.values().any(|value| has_secret(Some(value))),
        _ => false,
    }
}

fn write(
    plan: &Plan,
    documents: &Documents,
    operation: &Operation,
    change: &FieldChange,
    edited: &mut BTreeMap<Place, String>,
) -> Result<(), String> {
    let refuse = |reason: &str| Err(reason.to_owned());
    let Some((place, (document, count))) =
        operation.place.as_ref().and_then(|place| documents.declared.get_key_value(place))
    else {
        return refuse("no document declares it");
    };
    if let Some(origin) = &operation.derived_from {
        return Err(format!("it is derived from {origin}"));
    }
    if let Some(inside) = &document.source.inside {
        return Err(format!(
            "it comes from the source `{0}`, which is read-only; write it in `sources.{0}.overrides` of the project file: `{1}/{2}: {{{3}: …}}`",
            inside.of.name,
            document.kind.name(),
            operation.key.name,
            change.path,
        ));
    }
    if document.template.is_some() || document.root().get("template").is_some() {
        return refuse("it is made from a template");
    }
    if document.source.is_rendered() {
        let name = document.source.name.trim_end_matches(RENDERED);
        return Err(format!("{name} is a template"));
    }
    if let Some(stream) = stream(&document.source.name) {
        return Err(format!("it was read from {stream}"));
    }
    let made_of = document.kind.made_of(&change.path);
    if let Some(made_of) = made_of.filter(|it| document.has(it)) {
        return Err(format!(
            "it comes of `{made_of}`; to keep the platform's, say it there instead"
        ));
    }
    let is_of_other_kind = document.kind.declares() != document.kind.name();
    // What another kind says may come of any field.
    let path = if is_of_other_kind { FieldPath::default() } else { change.path.clone() };
    if let Some(said) = document.overridden(&path) {
        return Err(format!("{} says it, at {}; change it there", said.from, said.place));
    }
    if is_of_other_kind && *count > 1 {
        return Err(format!("its document declares {count} objects"));
    }
    if *count > 1 {
        let same = plan.operations.iter().filter(|other| other.place.as_ref() == Some(place));
        let same = same.filter(|other| {
            let mut changes = other.changes.iter();
            changes.any(|other| other.path == change.path && other.old == change.old)
        });
        if same.count() < *count {
            return Err(format!(
                "its document declares {count} objects, and not all of them changed in this way"
            ));
        }
    }
    let text =
        edited.get(place).map_or(&document.source.text[document.bytes.clone()], String::as_str);
    let new = if !is_of_other_kind {
        let value = change.old.as_ref().map(|value| as_written(text, &change.path, value.reveal()));
        edit::set(text, &change.path, value.as_ref())?
    } else {
        with_drift(document, text, operation)?
    };
    check(document, &new)?;
    edited.insert(place.clone(), new);
    Ok(())
}

/// The fields of a document that say where its object is and what may become of it.
const OF_PLACE: [&str; 6] = ["version", "kind", "project", "room", "rooms", "lifecycle"];

/// The text of a document that says in other fields what its object has, such as that of an agent,
/// with what drifted. Which of its fields a change of the object belongs to is not known, so all
/// that differs must be drift.
fn with_drift(document: &Document, text: &str, operation: &Operation) -> Result<String, String> {
    let kind = document.kind;
    let root = document.root().to_json();
    if !kind.beside(&root).is_empty() {
        return Err("its document takes files along, which are not written".to_owned());
    }
    if root.pointer("/lifecycle/ignore").is_some() {
        return Err(format!("its document is of the kind {}, and ignores fields", kind.name()));
    }
    if operation.changes.iter().any(|change| change.cause != Some(Cause::Drift)) {
        return Err("its document has changed, too: apply that first, or take it back".to_owned());
    }
    let explained = |fields: Option<&Tree>| {
        let document = fields.and_then(|fields| kind.explained(&operation.key, fields));
        document.ok_or_else(|| format!("no document of the kind {} says it", kind.name()))
    };
    let wanted = explained(operation.fields().map(|fields| &**fields))?;
    let there = explained(operation.observed().map(|observed| &*observed.fields))?;
    let mut text = text.to_owned();
    let mut changed = Vec::new();
    differing(&FieldPath::default(), &wanted, &there, &mut changed);
    for (path, value) in changed {
        let of_place =
            |step: &Step| matches!(step, Step::Field(name) if OF_PLACE.contains(&name.as_str()));
        if !path.0.first().is_some_and(of_place) {
            text = edit::set(&text, &path, value)?;
        }
    }
    Ok(text)
}

/// The fields in which two documents differ, with what the second one has.
fn differing<'a>(
    path: &FieldPath,
    one: &Value,
    other: &'a Value,
    found: &mut Vec<(FieldPath, Option<&'a Value>)>,
) {
    let (Value::Object(one), Value::Object(other)) = (one, other) else { return };
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for name in names {
        let below = path.field(name);
        match (one.get(name), other.get(name)) {
            (Some(one @ Value::Object(_)), Some(other @ Value::Object(_))) => {
                differing(&below, one, other, found);
            }
            (one, other) if one != other => found.push((below, other)),
            _ => {}
        }
    }
}

/// A value as the document's author would write it: a field that takes numbers as well as
/// texts, such as a port, stays a number.
fn as_written(text: &str, path: &FieldPath, value: Value) -> Value {
    let was_number = matches!(edit::get(text, path), Some(Value::Number(_)));
    let number = value.as_str().and_then(|text| {
        let number = serde_json::from_str::<Number>(text).ok()?;
        (was_number && number.to_string() == text).then_some(number)
    });
    number.map_or(value, Value::Number)
}

/// Whether the new text is still a document of its kind.
fn check(document: &Document, text: &str) -> Result<(), String> {
    let source = &document.source;
    let source = source.with_text(text.to_owned());
    let (documents, problems) = document::read(&Arc::new(source), Trees::Spared);
    match (problems.first(), documents.len()) {
        (None, 1) => Ok(()),
        (Some(problem), _) => Err(format!("a manifest cannot express this: {}", problem.message)),
        _ => Err("a manifest cannot express this".to_owned()),
    }
}

/// The texts of the sources with the edited documents in their places.
fn texts(documents: &Documents, edited: BTreeMap<Place, String>) -> BTreeMap<String, String> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut parts: Vec<(&Arc<Document>, String)> = edited
        .into_iter()
        .filter_map(|(place, text)| Some((&documents.declared.get(&place)?.0, text)))
        .collect();
    // From the end, so that earlier positions stay valid.
    parts.sort_by_key(|(document, _)| std::cmp::Reverse(document.bytes.start));
    for (document, text) in parts {
        let whole = texts
            .entry(document.source.name.clone())
            .or_insert_with(|| document.source.text.clone());
        whole.replace_range(document.bytes.clone(), &text);
    }
    texts
}
