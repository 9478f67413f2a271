//! *Pure*: the fields of documents of the kind Agent: those of the options, and what stands in them.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::family::{Action, Family};
use super::options::{AgentOption, MAPS, Takes};
use super::said::Said;
use crate::kinds::Beside;
use crate::kinds::Fault;
use crate::kinds::path::{FieldPath, Step};

/// A field that an option stands in, for the families that have it.
struct Known {
    path: Vec<String>,
    options: Vec<(Family, AgentOption)>,
}

/// All fields of options, in the order of the options.
static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let mut all: Vec<Known> = Vec::new();
    for family in Family::ALL {
        for option in family.options(Action::Spec) {
            let Some(path) = option.field() else { continue };
            match all.iter_mut().find(|known| known.path == path) {
                Some(known) => known.options.push((family, option)),
                None => all.push(Known { path, options: vec![(family, option)] }),
            }
        }
    }
    all
});

/// The value of a field, unless it is absent.
fn at<'a>(document: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let value = document.get(first).filter(|value| !value.is_null())?;
    rest.iter().try_fold(value, |value, name| value.get(name).filter(|value| !value.is_null()))
}

fn field(path: &[String]) -> FieldPath {
    FieldPath(path.iter().cloned().map(Step::Field).collect())
}

/// The field of an option, for messages.
#[must_use]
pub fn field_of(option: &AgentOption) -> FieldPath {
    field(&option.field().unwrap_or_default())
}

/// Why an agent of a family cannot have fields of this document, or lacks some.
#[must_use]
pub fn faults(family: Family, document: &Map<String, Value>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for known in KNOWN.iter() {
        let value = at(document, &known.path);
        let own = known.options.iter().find(|(of, _)| *of == family).map(|(_, option)| option);
        let name = known.path.join(".");
        match (value, own) {
            (Some(_), None) => {
                let others: Vec<_> = known.options.iter().map(|(of, _)| of.name()).collect();
                faults.push(Fault {
                    path: field(&known.path),
                    message: format!("an agent of type `{}` has no `{name}`", family.name()),
                    hint: Some(format!("it is for {}", others.join(", "))),
                });
            }
            (Some(Value::String(text)), Some(AgentOption { takes: Takes::OneOf(words), .. }))
                if !words.contains(&text.as_str()) =>
            {
                let message =
                    format!("`{name}` of an agent of type `{}` cannot be `{text}`", family.name());
                faults.push(Fault {
                    path: field(&known.path),
                    message,
                    hint: Some(format!("use one of {}", words.join(", "))),
                });
            }
            (Some(value), Some(option)) => faults.extend(of_items(option, value)),
            (None, Some(option)) if option.required && option.name != "agent-name" => {
                let message = format!("an agent of type `{}` needs `{name}`", family.name());
                faults.push(Fault::new(&["type"], message).hint(format!("add `{name}: …`")));
            }
            _ => {}
        }
    }
    faults
}

/// What is wrong with names and words: on a command line they would be others.
fn of_items(option: &AgentOption, value: &Value) -> Vec<Fault> {
    let path = field_of(option);
    let is_blank = |text: &str| text.trim() != text || text.is_empty();
    let mut faults = Vec::new();
    match (option.takes, value) {
        (Takes::Pairs, Value::Object(pairs)) => {
            for (name, value) in pairs {
                let is_end_blank = value.as_str().is_some_and(|value| value.trim_end() != value);
                let what = if is_blank(name) || name.contains('=') {
                    "has a name that is empty, or has a `=` or blanks around it"
                } else if is_end_blank {
                    "ends with a blank, which would be lost"
                } else {
                    continue;
                };
                let path = path.field(name);
                // What stands there may be a secret.
                let message = format!("`{}` {what}", field_of(option));
                faults.push(Fault { path, message, hint: None });
            }
        }
        (Takes::Words, Value::Array(words)) => {
            for (index, word) in words.iter().enumerate() {
                let word = word.as_str().unwrap_or_default();
                if is_blank(word) || word.contains(',') {
                    let path = path.join(Step::Index(index));
                    let message = format!("`{path}` is empty, or has a comma or blanks around it");
                    let hint = Some("write one word an item".to_owned());
                    faults.push(Fault { path, message, hint });
                }
            }
        }
        _ => {}
    }
    faults
}

/// What the fields of a document say to the options of a family.
#[must_use]
pub fn said(family: Family, document: &Map<String, Value>) -> Said {
    let options = family.options(Action::Spec);
    let named = options.iter().filter_map(|option| Some((option, option.field()?)));
    named.filter_map(|(option, path)| Some((option.name, at(document, &path)?.clone()))).collect()
}

/// Puts what was said into the fields of a document.
pub fn put(said: &Said, family: Family, document: &mut Map<String, Value>) {
    for option in family.options(Action::Spec) {
        let (Some(value), Some(path)) = (said.get(option.name), option.field()) else { continue };
        let [above @ .., last] = path.as_slice() else { continue };
        let mut map = &mut *document;
        for name in above {
            let below = map.entry(name.clone()).or_insert_with(|| json!({}));
            let Value::Object(below) = below else { return };
            map = below;
        }
        map.insert(last.clone(), value.clone());
    }
}

/// The field that is meant by the name of an option, or by the last part of the field's own.
#[must_use]
pub fn called(name: &str) -> Option<FieldPath> {
    let (option, last) = (name.replace('_', "-"), name.replace('-', "_"));
    let is_option = |known: &&Known| known.options.iter().any(|(_, it)| it.name == option);
    let is_last = |known: &&Known| known.path.len() > 1 && known.path.last() == Some(&last);
    let known = KNOWN.iter().find(is_option).or_else(|| KNOWN.iter().find(is_last))?;
    Some(field(&known.path))
}

/// What stands beside the manifest and is named in a document: where, and its path.
#[must_use]
pub fn beside(document: &Value) -> Vec<(FieldPath, Beside, String)> {
    let Value::Object(document) = document else { return Vec::new() };
    let mut found = Vec::new();
    for known in KNOWN.iter() {
        let Some(beside) = known.options.iter().find_map(|(_, option)| option.beside) else {
            continue;
        };
        let Some(Value::Array(items)) = at(document, &known.path) else { continue };
        for (index, item) in items.iter().enumerate() {
            if let Some(path) = item.get(beside.word()).and_then(Value::as_str) {
                let place = field(&known.path).join(Step::Index(index));
                found.push((place, beside, path.to_owned()));
            }
        }
    }
    found
}

/// The schema of the fields of the options.
#[must_use]
pub fn properties() -> Map<String, Value> {
    let mut all = Map::new();
    for known in KNOWN.iter() {
        let schema = schema(known);
        match known.path.as_slice() {
            [name] => drop(all.insert(name.clone(), schema)),
            [map, name] => {
                let about = MAPS.iter().find(|(it, _)| it == map).map_or("", |(_, about)| about);
                let map = all.entry(map.clone()).or_insert_with(|| {
                    json!({
                        "description": about, "type": ["object", "null"], "properties": {},
                        "additionalProperties": false,
                    })
                });
                map["properties"][name] = schema;
            }
            _ => {}
        }
    }
    all
}

/// The schema of one field, whatever the family.
fn schema(known: &Known) -> Value {
    let options = || known.options.iter().map(|(_, option)| option);
    let takes = known.options[0].1.takes;
    let mut schema = match takes {
        Takes::Text => json!({"type": ["string", "null"]}),
        Takes::OneOf(_) => {
            let mut words: Vec<&str> = Vec::new();
            for option in options() {
                let Takes::OneOf(own) = option.takes else { continue };
                words.extend(own.iter().filter(|word| !words.contains(word)).collect::<Vec<_>>());
            }
            json!({"type": ["string", "null"], "enum": words.into_iter().map(Value::from).chain([Value::Null]).collect::<Vec<_>>()})
        }
        Takes::Number => json!({"type": ["integer", "null"], "minimum": 1, "maximum": 65535}),
        Takes::Json => json!({"type": ["object", "null"]}),
        Takes::Texts => json!({"type": ["array", "null"], "items": item(&known.options[0].1)}),
        Takes::Words => json!({"type": ["array", "null"], "items": {"type": "string"}}),
        Takes::Pairs => {
            json!({"type": ["object", "null"], "additionalProperties": {"type": "string"}})
        }
        Takes::Flag | Takes::OnOff => json!({"type": ["boolean", "null"]}),
    };
    let mut defaults: Vec<_> = options().map(AgentOption::choice).collect();
    defaults.dedup();
    if let [Some(default)] = defaults.as_slice() {
        schema["default"] = default.clone();
    }
    schema["description"] = description(known).into();
    schema
}

/// What an item of a list of texts may be.
fn item(option: &AgentOption) -> Value {
    let (text, beside) = (json!({"type": "string"}), option.beside);
    let Some(beside) = beside else { return text };
    let (word, form) = (beside.word(), beside.about());
    let map = json!({
        "description": form, "type": "object", "required": [word], "additionalProperties": false,
        "properties": {word: {"description": form, "type": "string", "minLength": 1}},
    });
    json!({"description": format!("a text or {form}"), "anyOf": [text, map]})
}

/// What a field is about, and which types have it.
fn description(known: &Known) -> String {
    let mut about: Vec<String> = Vec::new();
    for (_, option) in &known.options {
        let told = match option.default {
            Some(default) if option.choice().is_none() && option.takes != Takes::Json => {
                format!("{} ({default} if absent)", option.help)
            }
            _ => option.help.to_owned(),
        };
        if !about.contains(&told) {
            about.push(told);
        }
    }
    let about = about.join("; or: ");
    if known.options.len() == Family::ALL.len() {
        return format!("{about}.");
    }
    let types: Vec<_> = known.options.iter().map(|(family, _)| family.name()).collect();
    format!("{about}. For {}.", types.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_of_one_sort_whatever_the_family() {
        for known in KNOWN.iter() {
            let sort = |takes: Takes| std::mem::discriminant(&takes);
            let first = sort(known.options[0].1.takes);
            let is_same = |(_, option): &(Family, AgentOption)| sort(option.takes) == first;
            assert!(known.options.iter().all(is_same), "{}", known.path.join("."));
            let map = &known.path[..known.path.len() - 1];
            assert!(map.len() < 2, "{map:?}");
            assert!(map.iter().all(|map| MAPS.iter().any(|(known, _)| known == map)), "{map:?}");
        }
    }

    #[test]
    fn every_option_of_a_service_is_a_field_or_said_otherwise() {
        let otherwise = ["service-name", "service-description", "service-title"];
        for family in Family::ALL {
            let mut taken = std::collections::BTreeSet::new();
            for option in family.options(Action::Spec) {
                let field = option.field();
                let is_said = option.alias_of.is_some() || otherwise.contains(&option.name);
                assert_eq!(field.is_none(), is_said, "{} of {}", option.name, family.name());
                assert!(field.is_none_or(|field| taken.insert(field)), "{}", option.name);
            }
        }
    }
}
