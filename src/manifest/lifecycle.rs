//! *Pure*: checks that `lifecycle` of an object makes sense.

use super::set::Found;
use crate::error::Problem;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::shape::{Form, Identity, Shape};
use crate::kinds::specs::rules::Rule;
use crate::kinds::tree::Tree;
use crate::kinds::{self, KindName};

/// What is wrong with an object's `lifecycle`, each at its place.
pub(super) fn problems(found: &Found) -> Vec<Problem> {
    let lifecycle = &found.declared.lifecycle;
    let document = &found.origin.document;
    let at = |path: FieldPath, Wrong { message, hint }: Wrong| {
        document.problem_at(&path, message).hint(hint)
    };
    let names = &lifecycle.moved_from.0;
    let mut problems: Vec<Problem> = names
        .iter()
        .enumerate()
        .filter_map(|(index, name)| {
            let path = FieldPath::of(&["lifecycle", "moved_from"]).join(Step::Index(index));
            Some(at(path, former_name(found.kind, name, names.len()).err()?))
        })
        .collect();
    if lifecycle.overwrite && !found.kind.kind().keeps_what_others_write() {
        let path = FieldPath::of(&["lifecycle", "overwrite"]);
        let kind = found.kind;
        let wrong = wrong(
            format!(
                "`overwrite` means nothing here: a {kind} always becomes what its document says"
            ),
            "remove it",
        );
        problems.push(at(path, wrong));
    }
    let rules = lifecycle.ignore.iter().enumerate();
    problems.extend(rules.filter_map(|(index, rule)| {
        let path = FieldPath::of(&["lifecycle", "ignore"]).join(Step::Index(index));
        let mut wrong = ignore_rule(found, rule).err()?;
        if document.kind.name() != found.kind {
            let (own, there) = (document.kind.name(), found.kind);
            wrong.hint = format!(
                "here the fields of the {there} are meant that the {own} becomes, such as `container.command`; see `meshagent explain {there}`"
            );
        }
        Some(match document.may_be_quoted() {
            true => at(path, wrong),
            false => document
                .problem_at(&path, format!("`{path}` is not the path of a field"))
                .hint(format!("see `meshagent explain {}`", found.kind)),
        })
    }));
    problems
}

/// What is wrong, and what to write instead.
struct Wrong {
    message: String,
    hint: String,
}

fn wrong(message: impl Into<String>, hint: impl Into<String>) -> Wrong {
    Wrong { message: message.into(), hint: hint.into() }
}

/// A former name is a name, not a key such as `Service/bot@lobby`.
fn former_name(kind: KindName, text: &str, names: usize) -> Result<(), Wrong> {
    if kind == KindName::Project {
        return Err(wrong(
            "a project cannot be renamed, so `moved_from` has no meaning here",
            "remove it; a document with another name is another project",
        ));
    }
    let plain = match text.split_once('/') {
        Some((before, name)) if kinds::find(before).is_some() => name,
        _ => text,
    };
    // Some keys have a room behind the name.
    let plain = match plain.split_once('@') {
        Some((name, _)) if kind.fills_rooms() => name,
        _ => plain,
    };
    if plain != text {
        return Err(wrong(
            format!("`moved_from` must be just the former name, not `{text}`"),
            match names {
                1 => format!("write `moved_from: {plain}`"),
                _ => format!("write `{plain}`"),
            },
        ));
    }
    // A room may have had a name that new ones cannot have.
    let rule = match kind {
        KindName::Room => Rule::Name,
        _ => kind.kind().name_rule().rule,
    };
    rule.check(text).map_err(|what| {
        wrong(
            format!("`moved_from` {what}"),
            "write the name that the object had before, or leave the field out if it had no other name",
        )
    })
}

/// A rule of `lifecycle.ignore` must name a field that the kind has, in the form in which a
/// field of a map or an item of a list is named.
fn ignore_rule(found: &Found, rule: &str) -> Result<(), Wrong> {
    let explain = format!("see `meshagent explain {}`", found.kind);
    let path = FieldPath::parse(rule)
        .map_err(|what| wrong(format!("`{rule}` is not the path of a field: {what}"), &explain))?;
    let mut shape = Some(found.kind.kind().shape());
    let mut tree = Some(&found.declared.fields);
    for (index, step) in path.0.iter().enumerate() {
        let above = FieldPath(path.0[..index].to_vec());
        can_match(Above { path: &above, shape, tree }, step, rule)?;
        let is_free = shape.is_none_or(|shape| matches!(shape.form, Form::Free));
        if !is_free {
            shape = shape.and_then(|shape| shape.child(step));
            if shape.is_none() {
                return Err(wrong(format!("a {} has no field `{rule}`", found.kind), explain));
            }
        } else {
            shape = None;
        }
        tree = tree.and_then(|tree| tree.at(&FieldPath(vec![step.clone()])));
    }
    Ok(())
}

/// What a step of a rule is below.
struct Above<'a> {
    path: &'a FieldPath,
    /// What is known of it; nothing inside free JSON.
    shape: Option<&'a Shape>,
    /// What the document says there.
    tree: Option<&'a Tree>,
}

/// Whether a step names an item of a list by the field that identifies items. A position, or any
/// other field, means another item once the list changes.
fn by_identity(above: &Above<'_>, step: &Step, rule: &str) -> Result<(), Wrong> {
    let Some(Form::List { identity, .. }) = above.shape.map(|shape| &shape.form) else {
        return Ok(());
    };
    let path = above.path;
    let (field, text) = match (identity, step) {
        (Identity::Position, _) => return Ok(()),
        (Identity::Value, _) => {
            return Err(wrong(
                format!(
                    "`{rule}` names an item of `{path}`, but its items have neither order nor names"
                ),
                format!("write `{path}` for the whole list"),
            ));
        }
        (Identity::Field(field), Step::Item { field: by, text }) if by == field => {
            return as_items_say_it(above, (field, text), rule);
        }
        (Identity::Field(field), step) => {
            let item = above.tree.and_then(|tree| tree.at(&FieldPath(vec![step.clone()])));
            (field, item.and_then(|item| item.get(field)).and_then(Tree::scalar))
        }
    };
    let item = match text {
        Some(text) => path.join(Step::Item { field: field.clone(), text }).to_string(),
        None => format!("{path}[{field}=…]"),
    };
    let message = match step {
        Step::Index(_) => {
            format!(
                "`{rule}` names an item by its position, which changes when an item is added before it"
            )
        }
        _ => format!(
            "`{rule}` does not name an item by `{field}`, which identifies the items of `{path}`"
        ),
    };
    Err(wrong(message, format!("write `{item}`")))
}

/// Whether an item can have the text by which a rule names it, in the form that items have: the
/// port `080` is `80`.
fn as_items_say_it(
    above: &Above<'_>,
    (field, text): (&str, &str),
    rule: &str,
) -> Result<(), Wrong> {
    let path = above.path;
    let item = |text: String| {
        let (field, path) = (field.to_owned(), FieldPath(path.0.clone()));
        path.join(Step::Item { field, text })
    };
    let step = item(text.to_owned()).0;
    let shape = above.shape.zip(step.last()).and_then(|(shape, step)| shape.child(step));
    let Some(shape) = shape.and_then(|shape| shape.child(&Step::Field(field.to_owned()))) else {
        return Ok(());
    };
    let never = format!("`{rule}` can never match, because");
    if let Err(what) = shape.rule.map_or(Ok(()), |rule| rule.check(text)) {
        return Err(wrong(
            format!("{never} `{field}` {what}"),
            format!("write an item as `{path}[{field}=…]`"),
        ));
    }
    let said = shape.normalize(Tree::Text(text.into())).and_then(|said| said.scalar());
    match said.filter(|said| said != text) {
        Some(said) => Err(wrong(
            format!("{never} that item's `{field}` is `{said}`"),
            format!("write `{}`", item(said)),
        )),
        None => Ok(()),
    }
}

/// Whether a step can lead to something.
fn can_match(above: Above<'_>, step: &Step, rule: &str) -> Result<(), Wrong> {
    let form = above.shape.map(|shape| &shape.form);
    let is_free = matches!(form, None | Some(Form::Free));
    let is_list = matches!(form, Some(Form::List { .. }))
        || is_free && matches!(above.tree, Some(Tree::List(_)));
    let is_map = matches!(form, Some(Form::Map(_) | Form::Object(_)))
        || is_free && matches!(above.tree, Some(Tree::Map(_)));
    let path = above.path;
    match step {
        Step::Field(name) if is_list => {
            let item = match form {
                Some(Form::List { identity: Identity::Field(field), .. }) => {
                    let text =
                        if name == "*" || name.parse::<usize>().is_ok() { "…" } else { name };
                    format!("{path}[{field}={text}]")
                }
                Some(Form::List { identity: Identity::Value, .. }) => {
                    return Err(wrong(
                        format!("`{rule}` can never match, because `{path}` is a list"),
                        format!("its items have no names; write `{path}` for the whole list"),
                    ));
                }
                _ => format!("{path}[{}]", name.parse::<usize>().unwrap_or_default()),
            };
            Err(wrong(
                format!("`{rule}` can never match, because `{path}` is a list"),
                format!("write `{item}` for an item, or `{path}` for the whole list"),
            ))
        }
        Step::Index(_) | Step::Item { .. } if is_list => by_identity(&above, step, rule),
        Step::Field(name) if name == "*" && !rule.contains("[\"*\"]") => {
            let hint = match path.0.is_empty() {
                true => "name the field".to_owned(),
                false => format!("write `{path}` for everything in it"),
            };
            Err(wrong(
                format!("`{rule}` can never match, because `*` is not the name of a field"),
                hint,
            ))
        }
        Step::Index(_) | Step::Item { .. } if is_map => {
            let hint = match path.0.is_empty() {
                true => "write a field by its name".to_owned(),
                false => {
                    format!("write `{path}.NAME` for a field of it, or `{path}` for the whole map")
                }
            };
            Err(wrong(format!("`{rule}` can never match, because a map has no such item"), hint))
        }
        _ => Ok(()),
    }
}
