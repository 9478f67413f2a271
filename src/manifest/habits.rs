//! *Pure*: what is meant by fields and forms that manifests of other programs have, and by slips
//! that everybody makes.

use serde_json::Value;

use crate::kinds::KindName;
use crate::kinds::path::{FieldPath, Step};

/// What is meant by a field that there is not.
pub(super) fn field(kind: KindName, path: &FieldPath, name: &str) -> Option<&'static str> {
    of_kind(kind, path, name)
        .or_else(|| of_all(path, name))
        .or_else(|| below_from(kind, path, name))
}

fn of_all(path: &FieldPath, name: &str) -> Option<&'static str> {
    Some(match (path.to_string().as_str(), name) {
        ("", "apiVersion") => "write `version: v1`",
        ("", "spec") => "there is no `spec`: write its fields at the top level of the document",
        ("", "namespace") | ("metadata", "namespace") => {
            "write `project` and `room` at the top level of the document to say where an object belongs"
        }
        ("", "name") => "write `metadata: {name: NAME}`",
        ("", "description") => "write `metadata.description`",
        ("metadata" | "", "labels") | ("", "annotations") => "write `metadata.annotations`",
        ("" | "lifecycle", "depends_on" | "dependsOn") => {
            "leave it out: the order follows from what the documents refer to"
        }
        ("lifecycle", "ignore_changes") => {
            "write `lifecycle.ignore`, as a list of fields such as `container.image`"
        }
        ("lifecycle", "create_before_destroy" | "replace_triggered_by") => {
            "leave it out: what cannot be changed in place is deleted and created again"
        }
        ("container", "ports") => "write `ports` beside `container`: `ports: [{num: 8080}]`",
        ("container", "env") => "write `container.environment`",
        ("container", "args") => "write the whole command line in `container.command`, as one text",
        _ => return None,
    })
}

fn of_kind(kind: KindName, path: &FieldPath, name: &str) -> Option<&'static str> {
    Some(match (kind, path.to_string().as_str(), name) {
        (KindName::Room, "" | "metadata", "displayName" | "display_name" | "title") => {
            "write `room_metadata: {displayName: TEXT}`"
        }
        (KindName::ScheduledTask, "", "cron") => "write `schedule`",
        (KindName::Secret, "", "stringData" | "string_data") => "write `data`",
        (KindName::Service, "", "image") => "write `container.image`",
        (KindName::Service, "", "command") => "write `container.command`",
        (KindName::Service, "", "environment" | "env") => "write `container.environment`",
        (KindName::Service, "", "secrets") => "write `container.secrets`",
        _ => return None,
    })
}

/// A source of a secret that stands where `from` belongs.
fn below_from(kind: KindName, path: &FieldPath, name: &str) -> Option<&'static str> {
    let is_secret = match path.0.as_slice() {
        [Step::Field(field), Step::Field(_)] => field == "data",
        [Step::Field(field)] => ["password", "json_key"].contains(&field.as_str()),
        _ => false,
    };
    Some(match name {
        _ if kind != KindName::Secret || !is_secret => return None,
        "env" => "write `{from: {env: NAME}}`",
        "file" => "write `{from: {file: PATH}}`",
        "command" => "write `{from: {command: [PROGRAM]}}`",
        "age" => "write `{from: {age: …}}`",
        _ => return None,
    })
}

/// What to do about a map that may be a text with a colon.
pub(super) const COLON: &str =
    "if it is a text, put it in quotes: a colon and a blank make a map of it";

/// What to do about a value of another type than the field's.
pub(super) fn form(path: &FieldPath, written: &Value, wanted: &str) -> Option<String> {
    let last = path.0.iter().rev().find_map(|step| match step {
        Step::Field(name) => Some(name.as_str()),
        Step::Index(_) | Step::Item { .. } => None,
    });
    let is_item = matches!(path.0.last(), Some(Step::Index(_) | Step::Item { .. }));
    match (written, wanted) {
        (Value::Object(_), "a list") if last == Some("environment") => {
            Some("write a list: `environment: [{name: NAME, value: TEXT}]`".to_owned())
        }
        (Value::String(_) | Value::Number(_), "a list") => {
            Some(format!("write a list: `{}: [{}]`", last?, if is_item { "" } else { "…" }))
        }
        (Value::Object(fields), "text")
            if fields.contains_key("from") || fields.contains_key("env") =>
        {
            Some("only a Secret reads its values from elsewhere: put this one there, and name the Secret in `container.secrets`".to_owned())
        }
        (Value::Object(fields), "text") if fields.len() == 1 => Some(COLON.to_owned()),
        (Value::Number(_) | Value::String(_), "a map") if is_item && last == Some("ports") => {
            Some("write `ports: [{num: 8080}]`".to_owned())
        }
        (Value::String(text), "a map") if is_pair_without_blank(text) => {
            Some("put a space after the colon, as in `name: value`".to_owned())
        }
        _ => None,
    }
}

/// Whether a text is `name:value`, which is one word to YAML.
pub(super) fn is_pair_without_blank(text: &str) -> bool {
    let Some((name, value)) = text.trim().split_once(':') else { return false };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty()
        && name.chars().all(is_name)
        && value.starts_with(|first: char| !first.is_whitespace() && !"/:".contains(first))
}
