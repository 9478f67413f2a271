//! Which texts of a document are secrets, so that no line is shown that one stands in.

use serde_json::Value;

use super::super::yaml::{self, Node};
use super::Document;
use crate::error::Problem;
use crate::kinds::schema;
use crate::kinds::specs::keywords::SECRET;

/// How many bytes of secrets a document may hold for its lines to be looked through for each.
const SOUGHT: usize = 64 * 1024;

/// The texts of a document that are secrets by its schema.
pub(super) enum SecretTexts {
    These(Vec<String>),
    /// More than are looked for, so that no line is shown.
    TooMany,
}

impl SecretTexts {
    pub(super) fn of(document: &Document) -> Self {
        let schema = schema::inlined(document.kind);
        let mut found = Vec::new();
        secret_texts(schema, &document.root(), &mut found);
        let template = document.template.as_ref();
        for root in template.and_then(|it| yaml::parse(&it.text).ok()).iter().flatten() {
            secret_texts(schema, root, &mut found);
        }
        match found.iter().map(String::len).sum::<usize>() {
            0..=SOUGHT => Self::These(found),
            _ => Self::TooMany,
        }
    }

    pub(super) fn hide(&self, problem: &mut Problem) {
        match self {
            Self::These(secrets) => secrets.iter().for_each(|it| problem.hide_line_with(it)),
            Self::TooMany => problem.source_line = None,
        }
    }
}

/// The texts in the places of secrets according to the schema, even if they have the wrong form.
fn secret_texts(schema: &Value, node: &Node, found: &mut Vec<String>) {
    match &node.value {
        _ if schema.get(SECRET) == Some(&Value::Bool(true)) => scalar_texts(node, found),
        yaml::Value::Map(entries) => {
            for (key, below) in entries {
                let of_name = schema.get("properties").and_then(|fields| fields.get(&key.text));
                if let Some(schema) = of_name.or_else(|| schema.get("additionalProperties")) {
                    secret_texts(schema, below, found);
                }
            }
        }
        yaml::Value::List(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter().for_each(|item| secret_texts(schema, item, found));
            }
        }
        _ => {}
    }
}

/// All texts and numbers, but not where a text is read from.
fn scalar_texts(node: &Node, found: &mut Vec<String>) {
    match &node.value {
        yaml::Value::String(text) => found.push(text.clone()),
        yaml::Value::Number(number) => found.push(number.to_string()),
        yaml::Value::List(items) => items.iter().for_each(|item| scalar_texts(item, found)),
        yaml::Value::Map(entries) => {
            let is_source = matches!(entries.as_slice(), [(key, _)]
                if matches!(key.text.as_str(), "env" | "file" | "command"));
            if !is_source {
                entries.iter().for_each(|(_, below)| scalar_texts(below, found));
            }
        }
        yaml::Value::Null | yaml::Value::Bool(_) => {}
    }
}
