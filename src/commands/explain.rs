//! `explain`: type, default and meaning of a kind's fields.

use std::process::ExitCode;

use indexmap::IndexSet;
use serde_json::Value;

use super::schema::unknown_kind;
use crate::error::{Error, Result};
use crate::kinds::{self, Kind, schema};
use crate::listed::nearest;
use crate::output;
use crate::visible;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent explain Service\n  meshagent explain service.container.environment\n  meshagent explain Service --recursive\n  meshagent explain Room --example"
)]
pub struct ExplainArgs {
    /// A kind, or one of its fields: Service.container.image
    #[arg(value_name = "KIND[.FIELD]")]
    what: Option<String>,
    /// Print a complete document of the kind
    #[arg(long, requires = "what")]
    example: bool,
    /// Also show the fields of the fields
    #[arg(short, long, requires = "what", conflicts_with = "example")]
    recursive: bool,
}

/// Runs `explain`.
///
/// # Errors
///
/// A kind or field that does not exist.
pub fn run(args: &ExplainArgs) -> Result<ExitCode> {
    let Some(what) = &args.what else {
        let width =
            kinds::ALL.iter().map(|kind| kind.name().to_string().len()).max().unwrap_or_default();
        for kind in kinds::ALL {
            output::data(&format!("{:width$}  {}\n", kind.name().to_string(), kind.summary()));
        }
        return Ok(ExitCode::SUCCESS);
    };
    if args.example {
        let (name, field) = what.split_once('.').unwrap_or((what, ""));
        let kind = kinds::find(name).ok_or_else(|| unknown_kind(name))?;
        if !field.is_empty() {
            explained(what, false)?;
            return Err(Error::usage("only a kind has an example, not a field")
                .hint(format!("`meshagent explain {} --example` prints one", kind.name())));
        }
        output::data(kind.example());
        return Ok(ExitCode::SUCCESS);
    }
    output::data(&explained(what, args.recursive)?);
    Ok(ExitCode::SUCCESS)
}

/// What a kind or a field (`Service.container.image`) is, and its fields; with the fields below
/// those if it is recursive.
///
/// # Errors
///
/// A kind or field that does not exist.
pub fn explained(what: &str, is_recursive: bool) -> Result<String> {
    let mut steps = what.split('.');
    let name = steps.next().unwrap_or_default();
    let kind = kinds::find(name).ok_or_else(|| unknown_kind(name))?;
    let mut path = kind.name().to_string();
    let mut field = schema::inlined(kind).clone();
    for step in steps {
        field = child(&field, step.trim_end_matches("[]"))
            .ok_or_else(|| no_field(kind, (&path, &field), step))?;
        path = format!("{path}.{}", visible::line(step));
    }
    Ok(if is_recursive { outline(&path, &field) } else { render(&path, &field) })
}

/// Completions of a kind, or of a field behind the last dot (`Service.container.`), each with its
/// description.
#[must_use]
pub fn names_below(typed: &str) -> Vec<(String, Option<String>)> {
    let Some((above, _)) = typed.rsplit_once('.') else {
        let kinds = kinds::ALL.iter();
        let named =
            |kind: &&dyn kinds::Kind| (kind.name().to_string(), Some(kind.summary().to_owned()));
        return kinds.map(named).collect();
    };
    let mut steps = above.split('.');
    let kind = steps.next().and_then(kinds::find);
    let root = kind.map(|kind| schema::inlined(kind).clone());
    let found = root.and_then(|root| {
        steps.try_fold(root, |field, step| child(&field, step.trim_end_matches("[]")))
    });
    let below = found.as_ref().map(fields).unwrap_or_default();
    let named = |(name, field): (&String, &Value)| {
        let about = field.get("description").and_then(Value::as_str);
        let first = about.and_then(|about| about.lines().next());
        (format!("{above}.{name}"), first.map(str::to_owned))
    };
    below.into_iter().map(named).collect()
}

/// A map, or what the items of a list are. What may be either has the fields of the map.
fn map_of(schema: &Value) -> &Value {
    let items = schema.get("items").filter(|_| schema.get("properties").is_none());
    items.unwrap_or(schema)
}

/// A field of a map, or of the items of a list.
fn child(schema: &Value, name: &str) -> Option<Value> {
    let map = map_of(schema);
    let named = fields(map).into_iter().find(|(field, _)| *field == name);
    named
        .map(|(_, field)| field)
        .or_else(|| map.get("additionalProperties").filter(|any| any.is_object()))
        .cloned()
}

/// The fields of a map, or of the items of a list: those that it always has, and those that it has
/// in one of its forms.
fn fields(schema: &Value) -> Vec<(&String, &Value)> {
    let map = map_of(schema);
    let own = map.get("properties").and_then(Value::as_object).into_iter().flatten();
    own.chain(forms(map).iter().flat_map(fields)).collect()
}

/// The forms that a value may have.
fn forms(schema: &Value) -> &[Value] {
    let forms = schema.get("anyOf").or_else(|| schema.get("oneOf"));
    forms.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn no_field(kind: &dyn Kind, (path, schema): (&str, &Value), written: &str) -> Error {
    let names: Vec<&str> = fields(schema).into_iter().map(|(name, _)| name.as_str()).collect();
    let error = Error::usage(format!("unknown field `{written}` in `{path}`"));
    if let Some(meant) = kind.field_called(written) {
        return error.hint(format!("did you mean {}.{meant}?", kind.name()));
    }
    match nearest(written, names.iter().copied()) {
        Some(name) => error.hint(format!("did you mean {name}?")),
        None if names.is_empty() => error.hint(format!("`{path}` has no fields")),
        None => error.hint(format!("its fields are {}", names.join(", "))),
    }
}

fn render(path: &str, schema: &Value) -> String {
    let mut out = format!("{path}: {}{}\n", type_of(schema), default_of(schema));
    if let Some(text) = schema.get("description").and_then(Value::as_str) {
        out += &format!("\n  {}\n", text.replace('\n', "\n  "));
    }
    let required = required(schema);
    let fields = fields(schema);
    if !fields.is_empty() {
        out += "\nFields:\n";
    }
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, field) in fields {
        let text = field.get("description").and_then(Value::as_str).unwrap_or_default();
        let first = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        let mark = if required.contains(&name.as_str()) { ", required" } else { "" };
        out += &format!("  {name:width$}  {}{mark}{}\n", type_of(field), default_of(field));
        if !first.is_empty() {
            out += &format!("  {:width$}    {first}\n", "");
        }
    }
    out
}

/// A field and all fields below it, one per line.
fn outline(path: &str, schema: &Value) -> String {
    let mut out = format!("{path}: {}{}\n", type_of(schema), default_of(schema));
    if let Some(about) = schema.get("description").and_then(Value::as_str) {
        out += &format!("\n  {}\n\n", about.replace('\n', "\n  "));
    }
    add_below(schema, 1, &mut out);
    out
}

/// Adds the fields of a map, of the items of a list, or of the values of a map with any names.
fn add_below(schema: &Value, depth: usize, out: &mut String) {
    let indent = 2 * depth;
    let required = required(schema);
    for (name, field) in fields(schema) {
        let mark = if required.contains(&name.as_str()) { ", required" } else { "" };
        let told = format!("{}{mark}{}", type_of(field), default_of(field));
        *out += &format!("{:indent$}{name}: {told}\n", "");
        add_below(field, depth + 1, out);
    }
    if let Some(any) = schema.get("additionalProperties").filter(|any| any.is_object())
        && !fields(any).is_empty()
    {
        *out += &format!("{:indent$}NAME: {}\n", "", type_of(any));
        add_below(any, depth + 1, out);
    }
}

/// The fields that a map, or each item of a list, must have.
fn required(schema: &Value) -> Vec<&str> {
    let map = map_of(schema);
    let names = map.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The default of a field, as part of a sentence; empty if there is none.
#[must_use]
pub fn default_of(schema: &Value) -> String {
    match schema.get("default") {
        None | Some(Value::Null) => String::new(),
        Some(default) => format!(", default {default}"),
    }
}

/// The type of a field, in words.
#[must_use]
pub fn type_of(schema: &Value) -> String {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<_> =
            values.iter().filter(|value| !value.is_null()).map(ToString::to_string).collect();
        return values.join(" | ");
    }
    let names: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect()
        }
        _ => Vec::new(),
    };
    let named = |name: &str| match name {
        "string" => "text".to_owned(),
        "object" => match schema.get("additionalProperties").filter(|any| any.is_object()) {
            Some(value) => format!("map of {}", type_of(value)),
            None => "map".to_owned(),
        },
        "array" => format!(
            "list of {}",
            schema.get("items").map_or_else(|| "anything".to_owned(), type_of)
        ),
        "boolean" => "true or false".to_owned(),
        "integer" => "whole number".to_owned(),
        other => other.to_owned(),
    };
    if !names.is_empty() {
        return names.into_iter().map(named).collect::<Vec<_>>().join(" or ");
    }
    let forms: IndexSet<String> = forms(schema).iter().map(type_of).collect();
    match forms.is_empty() {
        true => "anything".to_owned(),
        false => forms.into_iter().collect::<Vec<_>>().join(" or "),
    }
}
