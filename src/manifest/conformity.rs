//! Checks documents against the schema of their kind, and says what is wrong in words.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use super::document::Document;
use super::habits;
use super::quoting;
use super::sealing;
use super::yaml::{self, Node};
use crate::error::Problem;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::specs::keywords::{RULE, SECRET};
use crate::kinds::specs::rules::Rule;
use crate::kinds::{Kind, KindName, schema, secret_source};
use crate::listed::nearest;

/// The most problems of one document that are looked up in its text. The others are counted.
const MOST: usize = 1_000;

/// The most fields that are named where one is unknown.
const MOST_NAMED: usize = 20;

/// Checks a document against the schema of its kind.
pub(super) fn check(document: &Document, value: &Value) -> Vec<Problem> {
    check_where(document, value, |_| true)
}

/// The same for a part of a document: missing fields are not reported.
pub(super) fn check_part(document: &Document, value: &Value) -> Vec<Problem> {
    check_where(document, value, |kind| !matches!(kind, ValidationErrorKind::Required { .. }))
}

fn check_where(
    document: &Document,
    value: &Value,
    is_told: impl Fn(&ValidationErrorKind) -> bool,
) -> Vec<Problem> {
    let Some(validator) = schema::validator(document.kind) else { return Vec::new() };
    let mut problems: Vec<Problem> = Vec::new();
    let is_told = |error: &jsonschema::ValidationError<'_>| {
        is_told(error.kind()) && !is_hidden(document, error)
    };
    for error in validator.iter_errors(value).filter(is_told) {
        match MOST.checked_sub(problems.len()).filter(|left| *left > 0) {
            Some(left) => problems.extend(schema_problems(document, &error, left)),
            None => problems.extend(brief(document, &error)),
        }
    }
    problems.sort_by(|one, other| one.place.cmp(&other.place));
    problems.dedup();
    problems
}

/// Whether an error is about the form of a value from a sealed variable. The platform must check
/// that: a message about it would reveal something about the variable.
fn is_hidden(document: &Document, error: &jsonschema::ValidationError<'_>) -> bool {
    let Value::String(text) = &**error.instance() else { return false };
    let is_of_form = match error.kind() {
        ValidationErrorKind::Type { .. }
        | ValidationErrorKind::Enum { .. }
        | ValidationErrorKind::Constant { .. } => false,
        ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
            let path = pointer(error.instance_path().as_str(), &document.root());
            takes_text(schema_at(document.kind, &path))
        }
        _ => true,
    };
    is_of_form && document.source.signs.are_in(text)
}

/// Whether a text may stand where a schema holds.
fn takes_text(schema: &Value) -> bool {
    let is_text = match &schema["type"] {
        Value::String(name) => name == "string",
        Value::Array(names) => names.iter().any(|name| name == "string"),
        _ => false,
    };
    let ways = ["anyOf", "oneOf"].into_iter().filter_map(|name| schema[name].as_array());
    is_text || ways.flatten().any(takes_text)
}

/// The problems of an error without a look at the text.
fn brief(document: &Document, error: &jsonschema::ValidationError<'_>) -> Vec<Problem> {
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let path = pointer(error.instance_path().as_str(), &document.root());
            unexpected.iter().map(|name| unknown_in_brief(document, &path, name)).collect()
        }
        _ => {
            let path = error.instance_path().as_str();
            vec![
                document.problem_in_brief(format!("`{path}` has a value that is not allowed here")),
            ]
        }
    }
}

fn unknown_in_brief(document: &Document, path: &FieldPath, name: &str) -> Problem {
    document.problem_in_brief(unknown(document, path, name))
}

/// The message about an unknown field. In the place of a secret, its name may be the secret.
fn unknown(document: &Document, path: &FieldPath, name: &str) -> String {
    match is_secret(document.kind, path) {
        true => "unknown field".to_owned(),
        false => format!("unknown field `{name}`"),
    }
}

/// Whether a field is secret, or a part of one that is.
fn is_secret(kind: &dyn Kind, path: &FieldPath) -> bool {
    (1..=path.0.len()).any(|length| {
        let above = schema_at(kind, &FieldPath(path.0[..length].to_vec()));
        above.get(SECRET) == Some(&Value::Bool(true))
    })
}

/// The problems of an error; at most this many are looked up in the text.
fn schema_problems(
    document: &Document,
    error: &jsonschema::ValidationError<'_>,
    most: usize,
) -> Vec<Problem> {
    let path = pointer(error.instance_path().as_str(), &document.root());
    let here = |message: String| document.problem_at(&path, message);
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unknown_fields(document, &path, unexpected, most)
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let problem = here(inside(&path, &format!("missing field `{name}`")));
            let step = Step::Field(name.to_owned());
            let words = schema_at(document.kind, &path.join(step)).get("enum");
            let words = words.and_then(Value::as_array).into_iter().flatten();
            let words: Vec<&str> = words.filter_map(Value::as_str).collect();
            vec![match words.as_slice() {
                [] => problem,
                [word] => problem.hint(format!("write `{name}: {word}`")),
                words => problem.hint(format!("it is one of {}", words.join(", "))),
            }]
        }
        ValidationErrorKind::Type { .. } if error.instance().is_null() && is_never_null(&path) => {
            vec![left_empty(document, &path)]
        }
        ValidationErrorKind::Type { kind } => {
            vec![of_another_type(document, &path, kind, error.instance())]
        }
        ValidationErrorKind::Enum { options } => {
            vec![none_of(document, &path, options, error.instance())]
        }
        ValidationErrorKind::Pattern { .. } => {
            let text = error.instance().as_str().unwrap_or_default();
            let rule = rule_at(document.kind, &path);
            match rule.and_then(|rule| rule.check(text).err()) {
                Some(what) => vec![here(format!("`{path}` {what}"))],
                None => vec![here(format!("`{path}`: {}", error.masked()))],
            }
        }
        ValidationErrorKind::MinLength { .. } => vec![here(format!("`{path}` is empty"))],
        ValidationErrorKind::MaxItems { limit } => {
            vec![here(format!("`{path}` has more than {limit} items"))]
        }
        ValidationErrorKind::UniqueItems => vec![here(format!("`{path}` has duplicate items"))],
        ValidationErrorKind::MaxLength { limit } => {
            vec![here(format!("`{path}` is longer than {limit} characters"))]
        }
        ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
            if let Some(problem) = source_problem(document, &path, error.instance()) {
                return vec![problem];
            }
            let text = match &**error.instance() {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let rule = rule_at(document.kind, &path);
            if let Some(Err(what)) = rule.map(|rule| rule.check(&text)) {
                return vec![here(format!("`{path}` {what}"))];
            }
            let what = description(document.kind, &path)
                .unwrap_or_else(|| "a value that is allowed here".to_owned());
            let problem = here(format!("`{path}` must be {what}"));
            let is_text =
                error.instance().is_object() && takes_text(schema_at(document.kind, &path));
            vec![if is_text { problem.hint(habits::COLON) } else { problem }]
        }
        _ => vec![here(format!("`{path}`: {}", error.masked()))],
    }
}

/// A sentence with the map that it is about, where that is not the whole document.
fn inside(path: &FieldPath, what: &str) -> String {
    if path.0.is_empty() { what.to_owned() } else { format!("{what} in `{path}`") }
}

/// Problems of unknown fields; at most this many are looked up in the text.
fn unknown_fields(
    document: &Document,
    path: &FieldPath,
    unexpected: &[String],
    most: usize,
) -> Vec<Problem> {
    let known = known_fields(document.kind, path);
    let told = unexpected.iter().take(most).map(|name| {
        let mut problem =
            document.problem_at(&path.field(name), inside(path, &unknown(document, path, name)));
        if quoting::is_of_secret(name) {
            problem.source_line = None;
        }
        let is_misplaced = matches!(path.to_string().as_str(), "" | "metadata")
            && known_fields(document.kind, &FieldPath::of(&["lifecycle"])).contains(name);
        match (
            habits::field(document.kind.name(), path, name),
            nearest(name, known.iter().map(String::as_str)),
        ) {
            _ if is_misplaced => problem.hint(format!("write `lifecycle.{name}`")),
            (Some(meant), _) => problem.hint(meant),
            _ if let Some(meant) = document.kind.field_called(name) => {
                problem.hint(format!("write `{meant}`"))
            }
            (None, Some(nearest)) => problem.hint(format!("did you mean `{nearest}`?")),
            (None, None) if known.is_empty() => problem,
            (None, None) if known.len() > MOST_NAMED => problem
                .hint(format!("`meshagent explain {}` lists the fields", document.kind.name())),
            (None, None) => problem.hint(format!("known fields are {}", known.join(", "))),
        }
    });
    let counted = unexpected.iter().skip(most);
    let counted = counted.map(|it| unknown_in_brief(document, path, it));
    told.chain(counted).collect()
}

/// A field that must be given or left out, but has no value.
fn left_empty(document: &Document, path: &FieldPath) -> Problem {
    let hint = match (path.0.as_slice(), document.kind.name()) {
        ([Step::Field(name)], KindName::Service | KindName::ServiceTemplate | KindName::Agent)
            if name.starts_with("room") =>
        {
            "name a room, or leave the field out for every room"
        }
        ([Step::Field(name)], _) if name == "room" => "name a room",
        _ => "leave the field out",
    };
    document.problem_at(path, format!("`{path}` is left empty")).hint(hint)
}

/// A value of another type than the field's.
fn of_another_type(
    document: &Document,
    path: &FieldPath,
    kind: &TypeKind,
    instance: &Value,
) -> Problem {
    let wanted = match kind {
        TypeKind::Single(kind) => type_name(&kind.to_string()).to_owned(),
        TypeKind::Multiple(kinds) => {
            let names: Vec<_> = kinds
                .iter()
                .map(|kind| kind.to_string())
                .filter(|name| name != "null")
                .map(|name| type_name(&name).to_owned())
                .collect();
            names.join(" or ")
        }
    };
    let problem =
        document.problem_at(path, format!("`{path}` is {}, not {wanted}", described(instance)));
    let is_scalar = matches!(instance, Value::Bool(_) | Value::Number(_));
    let sealed = instance.as_str().filter(|it| document.source.signs.are_in(it));
    match sealed {
        Some(text) => problem.hint(sealing::no_text(&document.source, text)),
        None if is_scalar && wanted.split(" or ").any(|it| it == "text") => {
            problem.hint("put it in quotes")
        }
        None if wanted == "true or false" => match instance.as_str() {
            Some("yes" | "Yes" | "on" | "On" | "y") => {
                problem.hint("write `true`: only YAML 1.1 reads this as true")
            }
            Some("no" | "No" | "off" | "Off" | "n") => {
                problem.hint("write `false`: only YAML 1.1 reads this as false")
            }
            _ => problem,
        },
        None => match habits::form(path, instance, &wanted) {
            Some(hint) => problem.hint(hint),
            None => problem,
        },
    }
}

/// A value that the field cannot have.
fn none_of(document: &Document, path: &FieldPath, options: &Value, instance: &Value) -> Problem {
    let options: Vec<_> =
        options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let written = instance.as_str().map_or_else(|| instance.to_string(), str::to_owned);
    let problem = document.problem_at(
        path,
        match document.may_be_quoted() {
            true => format!("`{path}` cannot be `{written}`"),
            false => format!("`{path}` must be one of {}", options.join(", ")),
        },
    );
    let is_type_of_secret =
        document.kind.name() == KindName::Secret && *path == FieldPath::of(&["type"]);
    match nearest(&written, options.iter().copied()) {
        Some(name) => problem.hint(format!("did you mean `{name}`?")),
        None if is_type_of_secret => problem.hint(
            "`keys` is for environment variables, in `data`; the others are for pulling images",
        ),
        None if !document.may_be_quoted() => problem,
        None => problem.hint(format!("use one of {}", options.join(", "))),
    }
}

/// What is wrong with the source of a secret.
fn source_problem(document: &Document, path: &FieldPath, from: &Value) -> Option<Problem> {
    let (last, above) = path.0.split_last()?;
    let above = schema_at(document.kind, &FieldPath(above.to_vec()));
    if *last != Step::Field("from".to_owned()) || above.get(SECRET) != Some(&true.into()) {
        return None;
    }
    let fault = secret_source::fault(from)?;
    let path = FieldPath([path.0.clone(), fault.path.0].concat());
    let problem = document.problem_at(&path, format!("`{path}` {}", fault.message));
    Some(Problem { hint: fault.hint, ..problem })
}

/// Whether a field must be given or left out.
fn is_never_null(path: &FieldPath) -> bool {
    let name = match path.0.as_slice() {
        [Step::Field(name)] => name,
        [Step::Field(above), Step::Field(name)] if above == "lifecycle" => name,
        _ => return false,
    };
    schema::NEVER_NULL.contains(&name.as_str())
}

fn type_name(name: &str) -> &str {
    match name {
        "string" => "text",
        "object" => "a map",
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        other => other,
    }
}

fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// A JSON pointer as a path; whether a step is an index depends on the document.
fn pointer(pointer: &str, root: &Node) -> FieldPath {
    let mut path = FieldPath::default();
    let mut node = Some(root);
    for step in pointer.split('/').skip(1) {
        let name = step.replace("~1", "/").replace("~0", "~");
        let step = match (node.map(|node| &node.value), name.parse::<usize>()) {
            (Some(yaml::Value::List(items)), Ok(index)) => {
                node = items.get(index);
                Step::Index(index)
            }
            _ => {
                node = node.and_then(|node| node.get(&name));
                Step::Field(name)
            }
        };
        path = path.join(step);
    }
    path
}

fn schema_at(kind: &dyn Kind, path: &FieldPath) -> &'static Value {
    let root = schema::inlined(kind);
    path.0
        .iter()
        .try_fold(root, |schema, step| match step {
            Step::Field(name) => schema
                .pointer("/properties")
                .and_then(|properties| properties.get(name))
                .or_else(|| schema.get("additionalProperties")),
            Step::Index(_) | Step::Item { .. } => schema.get("items"),
        })
        .unwrap_or(&Value::Null)
}

/// The rule of a field.
fn rule_at(kind: &dyn Kind, path: &FieldPath) -> Option<Rule> {
    schema_at(kind, path).get(RULE).and_then(Value::as_str).and_then(Rule::named)
}

fn known_fields(kind: &dyn Kind, path: &FieldPath) -> Vec<String> {
    match schema_at(kind, path).get("properties") {
        Some(Value::Object(properties)) => properties.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

fn description(kind: &dyn Kind, path: &FieldPath) -> Option<String> {
    let schema = schema_at(kind, path);
    let text = schema.get("description")?.as_str()?.trim_end_matches('.');
    let mut letters = text.chars();
    let first = letters.next()?;
    Some(first.to_lowercase().chain(letters).collect())
}
