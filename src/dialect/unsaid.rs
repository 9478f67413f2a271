//! Fields of a kind that an API does not have. They are not left out silently: the code that
//! decides asks here first. If a platform answers with such a field, it is not compared, and an
//! update sends it back.

use serde_json::Value;

use crate::api::spoken::Spoken;
use crate::kinds::Fault;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::shape::{Form, Shape};
use crate::kinds::tree::Tree;

/// Fields of a kind that an API does not have: the names on the way to each, through maps and the
/// items of lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsaid(Vec<Vec<String>>);

impl Unsaid {
    /// What to do about such a field.
    pub const HINT: &'static str = "remove it, or use a platform with a later release";

    /// None: the API has all fields.
    pub const NOTHING: &'static Self = &Self(Vec::new());

    /// The fields of a shape that are not among those of an API, which stand one a line, with
    /// dots between names: `container.environment.value`.
    #[must_use]
    pub fn of(shape: &Shape, spoken: &str) -> Self {
        let spoken: Vec<&str> = spoken.lines().collect();
        let mut unsaid = Vec::new();
        collect(shape, &mut Vec::new(), &mut |path| {
            let is_said = spoken.contains(&path.join(".").as_str());
            if !is_said {
                unsaid.push(path.to_vec());
            }
            is_said
        });
        Self(unsaid)
    }

    /// Where an object has such a field.
    #[must_use]
    pub fn in_use(&self, fields: &Tree) -> Vec<FieldPath> {
        let mut found = Vec::new();
        self.0.iter().for_each(|path| find(fields, path, &FieldPath::default(), &mut found));
        found
    }

    /// The same as faults of the object, each with what to do instead of the field.
    pub fn faults(
        &self,
        fields: &Tree,
        spoken: Spoken,
        instead_of: impl Fn(&FieldPath) -> &'static str,
    ) -> Vec<Fault> {
        let fault = |path: FieldPath| Fault {
            message: format!("the platform's API, that of {spoken}, has no field `{path}`"),
            hint: Some(instead_of(&path).to_owned()),
            path,
        };
        self.in_use(fields).into_iter().map(fault).collect()
    }

    /// Takes such fields out of a body that was made of ours.
    fn leave_out(&self, body: &mut Value) {
        self.0.iter().for_each(|path| take_out(body, path));
    }
}

/// The fields of a kind from the view of an API: those that it has, and those that it lacks.
#[derive(Debug)]
pub struct Words {
    said: Shape,
    unsaid: Unsaid,
}

impl Words {
    /// What an API has of a shape. Its fields stand as [`Unsaid::of`] takes them.
    #[must_use]
    pub fn of(shape: &Shape, spoken: &str) -> Self {
        let unsaid = Unsaid::of(shape, spoken);
        let mut said = shape.clone();
        unsaid.0.iter().for_each(|path| forget(&mut said, path));
        Self { said, unsaid }
    }

    /// The shape without the fields that the API lacks: it knows no more of them than of any
    /// other field that a platform may answer with.
    #[must_use]
    pub const fn said(&self) -> &Shape {
        &self.said
    }

    /// The fields that the API lacks.
    #[must_use]
    pub const fn unsaid(&self) -> &Unsaid {
        &self.unsaid
    }

    /// Makes a body of ours one of the API: without the fields that it lacks, and with what the
    /// shape in [`Self::said`] did not know of the platform's answer.
    pub fn spell(&self, body: &mut Value, answered: Option<&Value>) {
        self.unsaid.leave_out(body);
        if let Some(answered) = answered {
            self.said.keep_unknown(body, answered);
        }
    }
}

/// Goes through the fields of a shape, and into those for which `enter` says so.
fn collect(shape: &Shape, path: &mut Vec<String>, enter: &mut dyn FnMut(&[String]) -> bool) {
    match &shape.form {
        Form::Object(fields) => {
            for (name, field) in fields {
                path.push(name.to_string());
                if enter(path) {
                    collect(field, path, enter);
                }
                path.pop();
            }
        }
        Form::List { items, .. } => collect(items, path, enter),
        // What stands in a map is not named by anybody but its author.
        Form::Scalar | Form::Free | Form::Map(_) => {}
    }
}

fn find(tree: &Tree, path: &[String], at: &FieldPath, found: &mut Vec<FieldPath>) {
    match (tree, path) {
        (Tree::Null, _) => {}
        (_, []) => found.push(at.clone()),
        (Tree::List(items), _) => {
            for (index, item) in items.iter().enumerate() {
                find(item, path, &at.join(Step::Index(index)), found);
            }
        }
        (tree, [name, below @ ..]) => {
            if let Some(field) = tree.get(name) {
                find(field, below, &at.join(Step::Field(name.clone())), found);
            }
        }
    }
}

fn forget(shape: &mut Shape, path: &[String]) {
    match (&mut shape.form, path) {
        (Form::List { items, .. }, _) => forget(items, path),
        (Form::Object(fields), [last]) => drop(fields.shift_remove(last.as_str())),
        (Form::Object(fields), [name, below @ ..]) => {
            if let Some(field) = fields.get_mut(name.as_str()) {
                forget(field, below);
            }
        }
        _ => {}
    }
}

fn take_out(value: &mut Value, path: &[String]) {
    match (value, path) {
        (Value::Array(items), _) => items.iter_mut().for_each(|item| take_out(item, path)),
        (Value::Object(fields), [last]) => drop(fields.shift_remove(last)),
        (Value::Object(fields), [name, below @ ..]) => {
            if let Some(field) = fields.get_mut(name) {
                take_out(field, below);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::kinds::KindName;

    fn names(shape: &Shape) -> Vec<String> {
        let mut names = Vec::new();
        collect(shape, &mut Vec::new(), &mut |path| {
            names.push(path.join("."));
            true
        });
        names
    }

    /// Manifests may have more: a field that this API lacks is in no line, and is refused by name.
    #[test]
    fn manifests_have_the_fields_of_services_that_0_31_has() {
        let ours = names(KindName::Service.kind().shape());
        let spoken: Vec<&str> = include_str!("v0_31/service_fields.txt").lines().collect();
        let is_unknown = |it: &&&str| ours.iter().all(|name| name != **it);
        let unknown: Vec<_> = spoken.iter().filter(is_unknown).collect();
        assert!(unknown.is_empty(), "manifests have no such fields: {unknown:?}");
        let distinct: BTreeSet<_> = spoken.iter().collect();
        assert!(distinct.len() == spoken.len() && spoken.len() > 200, "{} lines", spoken.len());
    }

    #[test]
    fn what_an_api_has_no_word_for_is_found_where_it_is_used_and_not_sent() {
        let shape = KindName::Service.kind().shape();
        let without = ["container.environment.token", "container.on_demand", "ports.endpoints.mcp"];
        let kept =
            names(shape).into_iter().filter(|it| !without.iter().any(|no| it.starts_with(no)));
        let unsaid = Unsaid::of(shape, &kept.collect::<Vec<_>>().join("\n"));
        let written = json!({
            "container": {
                "image": "x",
                "on_demand": true,
                "environment": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "token": {"identity": "b"}},
                ],
            },
        });
        let used = unsaid.in_use(&shape.read(&written));
        let used: Vec<String> = used.iter().map(ToString::to_string).collect();
        assert_eq!(used, ["container.environment[1].token", "container.on_demand"]);
        let mut body = written;
        unsaid.leave_out(&mut body);
        let environment = json!([{"name": "A", "value": "1"}, {"name": "B"}]);
        assert_eq!(body, json!({"container": {"image": "x", "environment": environment}}));
    }
}
