//! *Pure*: a text becomes the form of a project file, or problems with their places.

use super::form::Form;
use crate::decoding;
use crate::error::Problem;
use crate::kinds::path::{FieldPath, Step};
use crate::listed::nearest;
use crate::manifest::located::locate;
use crate::manifest::source::Source;
use crate::manifest::yaml::{self, Node};

/// Reads the one document of a text.
pub(super) fn read(source: &Source) -> Result<(Form, Node), Vec<Problem>> {
    let hidden = |problem: Problem| Problem { source_line: None, ..problem };
    let documents = yaml::parse(&source.text).map_err(|error| {
        let mark = error.mark.unwrap_or_default();
        vec![hidden(source.problem(mark, error.message))]
    })?;
    let mut documents = documents.into_iter();
    let root = documents.next().unwrap_or_else(Node::empty);
    if let Some(second) = documents.next() {
        return Err(vec![hidden(source.problem(second.mark, "a project file is one document"))]);
    }
    if let Some((tag, mark)) = root.first_tag() {
        return Err(vec![hidden(
            source.problem(mark, format!("the tag `{tag}` has no meaning here")),
        )]);
    }
    if !matches!(root.value, yaml::Value::Map(_)) {
        let problem = source.problem(root.mark, "a project file is a map of fields");
        return Err(vec![hidden(problem).hint("begin it with `version: v1`")]);
    }
    let empty = empty(source, &root);
    if !empty.is_empty() {
        return Err(empty);
    }
    let value = root.to_json();
    match serde_path_to_error::deserialize::<_, Form>(&value) {
        Ok(form) => Ok((form, root)),
        Err(error) => {
            let path = steps(error.path());
            Err(vec![hidden(problem(source, &root, &path, &error.inner().to_string()))])
        }
    }
}

/// The fields that hold what other files mean by it, in which null has a meaning.
const OTHERS: [&str; 3] = ["values", "overrides", "secrets"];

/// The fields that are left empty. What is meant by that is not known, and what guards something must
/// not go unsaid: each has a value, or is left out.
fn empty(source: &Source, root: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    // Below these, names are the user's own.
    let mut open: Vec<(FieldPath, &Node, bool)> = vec![(FieldPath::default(), root, false)];
    while let Some((path, node, has_own_names)) = open.pop() {
        let yaml::Value::Map(entries) = &node.value else { continue };
        for (key, below) in entries {
            let name = key.text.as_str();
            let at = path.field(name);
            if below.value == yaml::Value::Null {
                let problem = source.problem(key.mark, format!("`{at}` has no value"));
                let problem = Problem { source_line: None, ..problem };
                problems.push(problem.hint("give it one, or leave it out"));
            } else if has_own_names || !OTHERS.contains(&name) {
                let is_list_of_names = !has_own_names && matches!(name, "environments" | "sources");
                open.push((at, below, is_list_of_names));
            }
        }
    }
    problems.sort_by(|one, other| one.place.cmp(&other.place));
    problems
}

fn steps(path: &serde_path_to_error::Path) -> FieldPath {
    use serde_path_to_error::Segment;
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Field(key.clone())),
        _ => None,
    };
    FieldPath(path.iter().filter_map(step).collect())
}

/// What serde says of a field, in our words.
fn problem(source: &Source, root: &Node, path: &FieldPath, message: &str) -> Problem {
    let (mark, _) = locate(path, root);
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if message.starts_with("unknown field") {
        let name = quoted.first().copied().unwrap_or_default();
        let known = quoted.get(1..).unwrap_or_default();
        let problem = source.problem(mark, format!("unknown field `{name}`"));
        return match nearest(name, known.iter().copied()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("the fields here are {}", known.join(", "))),
        };
    }
    if message.starts_with("missing field `version`") {
        let problem = source.problem(root.mark, "the project file has no `version`");
        return problem.hint("begin it with `version: v1`");
    }
    if message.starts_with("unknown variant") {
        let known = quoted.get(1..).unwrap_or_default().join(" or ");
        return source.problem(mark, format!("`{path}` must be {known}"));
    }
    // An untagged field says only that it fits nothing.
    let message = match message.contains("untagged enum OneOrMore") {
        true => "it must be a path, or a list of paths".to_owned(),
        false if message.contains("untagged enum Embedded") => {
            "it must be true, false, or a folder".to_owned()
        }
        false => decoding::plainly(message),
    };
    source.problem(mark, format!("`{path}`: {message}"))
}
