//! The schema of what a tool takes: that of an object, strict all the way down, as models need it.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::kinds::path::Step;

/// What such a schema may say.
const KEYWORDS: [&str; 21] = [
    "type",
    "title",
    "description",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "$defs",
    "$ref",
    "anyOf",
    "enum",
    "const",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
];

/// A part of the schema that is at fault, what is wrong, and what to do about it.
pub type Wrong = (Vec<Step>, String, &'static str);

/// What is wrong with a schema.
#[must_use]
pub fn faults(schema: &Map<String, Value>) -> Vec<Wrong> {
    let mut found = Vec::new();
    if schema.contains_key("anyOf") {
        found.push((vec![field("anyOf")], "cannot stand at the top".to_owned(), ""));
    }
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        found.push((
            Vec::new(),
            "must be the schema of an object".to_owned(),
            "add `type: object`",
        ));
    }
    of_schema(&Value::Object(schema.clone()), &mut Vec::new(), &mut found);
    let is_sound = jsonschema::draft202012::meta::is_valid(&Value::Object(schema.clone()));
    if found.is_empty() && !is_sound {
        found.push((Vec::new(), "is not a JSON Schema".to_owned(), ""));
    }
    found
}

fn field(name: &str) -> Step {
    Step::Field(name.to_owned())
}

fn of_schema(schema: &Value, path: &mut Vec<Step>, found: &mut Vec<Wrong>) {
    let mut wrong = |below: &[&str], message: &str, hint: &'static str| {
        let steps = below.iter().map(|name| field(name));
        found.push((path.iter().cloned().chain(steps).collect(), message.to_owned(), hint));
    };
    let Value::Object(keywords) = schema else {
        return wrong(&[], "must be a schema, which is a map", "");
    };
    if !["type", "$ref", "anyOf"].iter().any(|name| keywords.contains_key(*name)) {
        wrong(&[], "needs `type`, `$ref` or `anyOf`", "");
    }
    for name in keywords.keys() {
        if !KEYWORDS.contains(&name.as_str()) {
            wrong(&[name], "is not a keyword that models take", "remove it");
        }
    }
    let target = keywords.get("$ref");
    if target.is_some_and(|it| it.as_str().is_none_or(|it| !it.starts_with("#/$defs/"))) {
        wrong(&["$ref"], "must begin with `#/$defs/`", "");
    }
    let is_object = match keywords.get("type") {
        Some(Value::String(name)) => name == "object",
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        _ => false,
    };
    if is_object {
        of_object(keywords, &mut wrong);
    }
    of_parts(keywords, path, found);
}

fn of_object(keywords: &Map<String, Value>, wrong: &mut impl FnMut(&[&str], &str, &'static str)) {
    if keywords.get("additionalProperties") != Some(&Value::Bool(false)) {
        let hint = "add `additionalProperties: false`";
        wrong(&["additionalProperties"], "must be `false` for an object", hint);
    }
    let (Some(Value::Object(properties)), Some(Value::Array(required))) =
        (keywords.get("properties"), keywords.get("required"))
    else {
        return wrong(&[], "needs `properties` and `required`, for it is an object", "");
    };
    let named: HashSet<&str> = required.iter().filter_map(Value::as_str).collect();
    let is_named = |name: &String| named.contains(name.as_str());
    // As many names as properties: so none is named twice.
    if required.len() != properties.len() || !properties.keys().all(is_named) {
        wrong(&["required"], "must name each property once, and nothing else", "");
    }
}

/// The schemas that are in a schema.
fn of_parts(keywords: &Map<String, Value>, path: &mut Vec<Step>, found: &mut Vec<Wrong>) {
    let mut below = |schema: &Value, steps: Vec<Step>| {
        let depth = path.len();
        path.extend(steps);
        of_schema(schema, path, found);
        path.truncate(depth);
    };
    for name in ["properties", "$defs"] {
        for (part, schema) in keywords.get(name).and_then(Value::as_object).into_iter().flatten() {
            below(schema, vec![field(name), field(part)]);
        }
    }
    if let Some(items) = keywords.get("items") {
        below(items, vec![field("items")]);
    }
    let options = keywords.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    for (index, schema) in options.enumerate() {
        below(schema, vec![field("anyOf"), Step::Index(index)]);
    }
}
