//! The plan as a unified difference of YAML documents, one for each object that changes.

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::changed::{MAY_CHANGE, SECRET_CHANGED};
use super::diff::{self, Memory};
use super::shown::concealed;
use super::{Action, Operation, Plan, text};
use crate::kinds::fingerprint::Fingerprinter;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::tree::{Sealed, Tree};
use crate::kinds::{KindName, OWNER_ANNOTATION};
use crate::visible;

/// The differences, with styles, which the printer takes off where they do not belong.
#[must_use]
pub fn render(plan: &Plan) -> String {
    let unread = plan.unread().map(|unread| format!("# {unread}\n"));
    let operations = plan
        .operations
        .iter()
        .filter(|operation| !operation.is_first_half())
        .map(|operation| render_operation(plan, operation));
    unread.into_iter().chain(operations).collect()
}

fn render_operation(plan: &Plan, operation: &Operation) -> String {
    let address = plan.address(&operation.key);
    let former = operation.former().map(|former| plan.address(former));
    let (old, new) = sides(operation);
    let (old, new) = (yaml(&old), yaml(&new));
    let name = |text: &str, side: &str, address: &str| {
        if text.is_empty() { "/dev/null".to_owned() } else { format!("{side}/{address}") }
    };
    let bold = Style::new().bold();
    // No line of fields shows what is lost besides them.
    let why = (operation.replaces() || operation.deletes_inside())
        .then(|| format!("{} {address}: {}", text::verb(operation), operation.reason.text))
        .map(|why| format!("# {}\n", visible::line(&why)));
    let out = format!(
        "{}{bold}--- {}\n+++ {}{bold:#}\n",
        why.unwrap_or_default(),
        name(&old, "platform", former.as_ref().unwrap_or(&address)),
        name(&new, "manifest", &address)
    );
    out + &hunks(&old, &new, &|_| None)
}

/// What stands in the place of a secret that differs from the other one.
const DIFFERS: &str = "(secret, another one)";

/// One side of a comparison: how the object is named, and its fields, if it is there.
pub struct Side<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its fields.
    pub fields: Option<&'a Tree>,
}

/// What stands in the place of a secret that was not read, and that is not said to be read from where
/// the other one is.
const MAY_DIFFER: &str = "(not read, may be another one)";

/// How two objects differ that are alike in two environments; empty where they do not. Secrets that
/// differ, or may differ, are marked. Those that the platform keeps to itself are not compared.
#[must_use]
pub fn between(kind: KindName, one: Side<'_>, other: Side<'_>) -> String {
    let (mut old, mut new) = (one.fields.cloned(), other.fields.cloned());
    // Nothing was applied, so none is made.
    let fingerprinter = Fingerprinter::slow("");
    let memory = Memory { fingerprinter: &fingerprinter, applied: None };
    let mut changes = diff::changes(kind.kind().shape(), old.as_ref(), new.as_ref(), memory);
    let are_kept = |sealed: &Sealed| matches!(sealed, Sealed::Masked | Sealed::Kept(_));
    changes.retain(|change| match (&change.old, &change.new) {
        (Some(Tree::Secret(Sealed::Source(one))), Some(Tree::Secret(Sealed::Source(other)))) => {
            one != other
        }
        (Some(Tree::Secret(one)), Some(Tree::Secret(other))) => !(are_kept(one) || are_kept(other)),
        _ => true,
    });
    if changes.is_empty() && old.is_some() == new.is_some() {
        return String::new();
    }
    for change in &changes {
        let Some(Tree::Secret(is)) = &change.new else { continue };
        let Some(was) = &change.old else { continue };
        let is_known = is.is_known() && !matches!(was, Tree::Secret(was) if !was.is_known());
        if let Some(leaf) = new.as_mut().and_then(|tree| tree.at_mut(&change.path)) {
            *leaf = Tree::text(if is_known { DIFFERS } else { MAY_DIFFER });
        }
    }
    let (was, is) = (old.is_some(), new.is_some());
    let (old, new) = (yaml(&old.take()), yaml(&new.take()));
    let name = |is_there: bool, name: &str| {
        if is_there { visible::line(name).into_owned() } else { "/dev/null".to_owned() }
    };
    let bold = Style::new().bold();
    let out = format!("{bold}--- {}\n+++ {}{bold:#}\n", name(was, one.name), name(is, other.name));
    out + &hunks(&old, &new, &|_| None)
}

/// Takes away what says which set owns an object.
pub fn without_owner(fields: &mut Tree) {
    fields.put(&FieldPath::of(&["metadata", "annotations", OWNER_ANNOTATION]), None);
    let annotations = FieldPath::of(&["metadata", "annotations"]);
    if matches!(fields.at(&annotations), Some(Tree::Map(rest)) if rest.is_empty()) {
        fields.put(&annotations, None);
    }
}

/// The lines in which two texts differ, with three lines around each place. `instead` gives
/// what is shown in place of a line of the old text, counted from zero, and of what takes it.
#[must_use]
pub fn hunks(old: &str, new: &str, instead: &dyn Fn(usize) -> Option<String>) -> String {
    let cyan = AnsiColor::Cyan.on_default();
    let mut out = String::new();
    let diff = TextDiff::from_lines(old, new);
    for group in diff.grouped_ops(3) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let range = |start: usize, end: usize| match end - start {
            0 => format!("{start},0"),
            length => format!("{},{length}", start + 1),
        };
        let header = format!(
            "@@ -{} +{} @@",
            range(first.old_range().start, last.old_range().end),
            range(first.new_range().start, last.new_range().end)
        );
        out += &format!("{cyan}{header}{cyan:#}\n");
        let changes = group.iter().flat_map(|op| {
            // What is put between two lines may belong to either.
            let start = op.old_range().start;
            let beside = instead(start).or_else(|| instead(start.checked_sub(1)?));
            diff.iter_changes(op).map(move |change| (change, beside.clone()))
        });
        for (change, beside) in changes {
            let (sign, style) = match change.tag() {
                ChangeTag::Delete => ('-', AnsiColor::Red.on_default()),
                ChangeTag::Insert => ('+', AnsiColor::Green.on_default()),
                ChangeTag::Equal => (' ', Style::new()),
            };
            let line = visible::line(change.value().trim_end_matches(['\n', '\r']));
            let instead = change.old_index().map_or(beside, instead);
            let line = instead.map_or(line, Into::into);
            out += &format!("{style}{sign}{line}{style:#}\n");
            if change.missing_newline() {
                out += "\\ No newline at end of file\n";
            }
        }
    }
    out
}

/// What is on the platform, and what will be; changed secrets are marked as different.
fn sides(operation: &Operation) -> (Option<Tree>, Option<Tree>) {
    let mut old = operation.observed().map(|observed| Tree::clone(&observed.fields));
    let mut new = match operation.action() {
        Action::Delete => None,
        Action::Release => old.clone(),
        _ => operation.fields().map(|fields| &**fields).cloned(),
    };
    if operation.replaces() {
        // The half that creates has observed nothing; the changes have the old values.
        old = new.clone();
    }
    let annotation = FieldPath::of(&["metadata", "annotations", OWNER_ANNOTATION]);
    let lifecycle = Step::Field("lifecycle".to_owned());
    for change in &operation.changes {
        let is_secret =
            matches!((&change.old, &change.new), (Some(Tree::Secret(_)), Some(Tree::Secret(_))));
        if is_secret && let Some(leaf) = new.as_mut().and_then(|tree| tree.at_mut(&change.path)) {
            let is_uncertain = change.is_uncertain();
            *leaf = Tree::text(if is_uncertain { MAY_CHANGE } else { SECRET_CHANGED });
        }
        if change.path == annotation {
            place(old.as_mut(), &annotation, change.old.as_ref());
            place(new.as_mut(), &annotation, change.new.as_ref());
        } else if change.path.0.first() == Some(&lifecycle) {
            // What only the inventory has is in no fields.
            place(old.as_mut(), &change.path, change.old.as_ref());
            place(new.as_mut(), &change.path, change.new.as_ref());
        } else if operation.replaces() {
            place(old.as_mut(), &change.path, change.old.as_ref());
        }
    }
    (old, new)
}

fn place(tree: Option<&mut Tree>, path: &FieldPath, value: Option<&Tree>) {
    if let Some(tree) = tree {
        tree.put(path, value.cloned());
    }
}

fn yaml(tree: &Option<Tree>) -> String {
    let Some(tree) = tree else { return String::new() };
    // A long text may be laid out in several lines.
    match concealed(tree).redacted() {
        Value::Object(fields) if fields.is_empty() => "{}\n".to_owned(),
        // Its lines are looked at one by one: a text that hides something keeps them.
        value => serde_yaml::to_string(&value).unwrap_or_else(|_| value.to_string()),
    }
}
