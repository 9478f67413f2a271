//! JSON Schemas of the kinds: the ones that are published for people and editors, and the
//! same in the form that gives the best messages when a document is checked.

use std::collections::BTreeSet;
use std::sync::{LazyLock, OnceLock};

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::{ALL, Kind, NameRule};
use crate::kinds::specs::keywords::{RULE, SECRET, SET};
use crate::kinds::specs::rules::{NAME_LIMIT, Rule, TEXT_LIMIT};

/// The published schema of a kind's documents.
#[must_use]
pub fn published(kind: &dyn Kind) -> Value {
    let mut schema = kind.document_schema(&mut SchemaGenerator::default()).to_value();
    with_names(&mut schema, |name| name.extend(Rule::Name.keywords()));
    given_or_left_out(&mut schema);
    show_name_rule(&mut schema, kind.name_rule());
    show_rules(&mut schema);
    bound_texts(&mut schema);
    schema
}

/// Says the rules of fields in keywords that every editor knows.
fn show_rules(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(show_rules),
        Value::Object(keywords) => {
            keywords.values_mut().for_each(show_rules);
            let rule = keywords.shift_remove(RULE);
            let rule = rule.as_ref().and_then(Value::as_str).and_then(Rule::named);
            for (name, value) in rule.into_iter().flat_map(Rule::keywords) {
                keywords.entry(name).or_insert(value);
            }
        }
        _ => {}
    }
}

/// Says how long texts may be that no rule bounds, and that no text stands twice in a list
/// whose order means nothing.
fn bound_texts(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(bound_texts),
        Value::Object(keywords) => {
            keywords.values_mut().for_each(bound_texts);
            let is_text = match keywords.get("type") {
                Some(Value::String(name)) => name == "string",
                Some(Value::Array(names)) => names.iter().any(|name| name == "string"),
                _ => false,
            };
            let is_bounded =
                ["maxLength", "enum", "const"].iter().any(|name| keywords.contains_key(*name));
            if is_text && !is_bounded {
                keywords.insert("maxLength".to_owned(), TEXT_LIMIT.into());
            }
            if keywords.get(SET) == Some(&Value::Bool(true)) {
                keywords.insert("uniqueItems".to_owned(), true.into());
            }
        }
        _ => {}
    }
}

/// The same for what is the natural key: the name, or the field that goes before it.
fn show_name_rule(schema: &mut Value, NameRule { rule, field }: NameRule) {
    let keywords = rule.keywords();
    let Value::Object(root) = schema else { return };
    let name = json!({"properties": {"name": keywords}});
    if let Some(field) = field {
        if let Some(Value::Object(found)) = root["properties"].get_mut(field) {
            found.extend(keywords);
        }
        root.insert("if".to_owned(), json!({"not": {"required": [field]}}));
        root.insert("then".to_owned(), json!({"properties": {"metadata": name}}));
    } else if rule != Rule::Name
        && let (Some(Value::Object(metadata)), Value::Object(name)) =
            (root["properties"].get_mut("metadata"), name)
    {
        metadata.extend(name);
    }
}

/// One published schema for all kinds, told apart by `kind`; for editors.
#[must_use]
pub fn combined() -> Value {
    let mut definitions = serde_json::Map::new();
    let mut branches = Vec::new();
    for kind in ALL {
        let mut schema = published(kind);
        if let Value::Object(keywords) = &mut schema {
            keywords.shift_remove("$schema");
            if let Some(Value::Object(shared)) = keywords.shift_remove("$defs") {
                definitions.extend(shared);
            }
        }
        let name = kind.name().to_string();
        branches.push(json!({
            "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
            "then": {"$ref": format!("#/$defs/{name}Document")},
        }));
        definitions.insert(format!("{name}Document"), schema);
    }
    let names: Vec<String> = ALL.iter().map(|kind| kind.name().to_string()).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "MeshAgent manifest",
        "description": "One document of a manifest.",
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": names}},
        "allOf": branches,
        "$defs": definitions,
    })
}

/// Does something to the fields that hold the name of an object or of its project.
fn with_names(schema: &mut Value, change: impl Fn(&mut Map<String, Value>)) {
    let pointers = [
        "/properties/project",
        "/properties/metadata/properties/name",
        "/$defs/Metadata/properties/name",
        "/$defs/AnnotatedMetadata/properties/name",
        "/$defs/ServiceMetadata/properties/name",
    ];
    for pointer in pointers {
        if let Some(Value::Object(name)) = schema.pointer_mut(pointer) {
            change(name);
        }
    }
}

/// Fields of every kind that say where an object is and what may become of it. Left empty
/// they would mean something wider than their author had in mind, so they cannot be null.
pub const NEVER_NULL: [&str; 5] = ["project", "room", "rooms", "lifecycle", "moved_from"];

/// Takes null off the fields that are given or left out.
fn given_or_left_out(schema: &mut Value) {
    let null = json!("null");
    let pointers =
        ["/properties", "/properties/lifecycle/properties", "/$defs/Lifecycle/properties"];
    for pointer in pointers {
        let Some(Value::Object(fields)) = schema.pointer_mut(pointer) else { continue };
        let fields = fields.iter_mut().filter(|(name, _)| NEVER_NULL.contains(&name.as_str()));
        for (_, field) in fields {
            let Value::Object(keywords) = field else { continue };
            keywords.retain(|name, value| !(name == "default" && value.is_null()));
            if let Some(Value::Array(names)) = keywords.get_mut("type") {
                names.retain(|name| *name != null);
                if let [only] = names.as_slice() {
                    let only = only.clone();
                    keywords.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(options)) = keywords.get_mut("anyOf") {
                options.retain(|option| option.get("type") != Some(&null));
            }
        }
    }
}

/// The schema that documents of a kind are checked against. It says the same as the
/// published one, with every definition in its place and every optional struct as a type
/// that may be null, so that a message names the field at fault and not an alternative.
fn checked(kind: &dyn Kind) -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = kind.document_schema(&mut SchemaGenerator::new(settings)).to_value();
    flatten(&mut schema);
    // The rule of a name that is the key is told with the object.
    with_names(&mut schema, |name| {
        name.insert("minLength".to_owned(), 1.into());
        name.insert("maxLength".to_owned(), NAME_LIMIT.into());
    });
    given_or_left_out(&mut schema);
    bound_own_texts(&mut schema, kind.name_rule());
    schema
}

/// Bounds the fields that only the reconciler reads, which are in no shape, and gives a name
/// its rule where another field may be the key.
fn bound_own_texts(schema: &mut Value, NameRule { field, .. }: NameRule) {
    let Some(Value::Object(fields)) = schema.get_mut("properties") else { return };
    for name in ["template", "values", "lifecycle"] {
        fields.get_mut(name).into_iter().for_each(bound_texts);
    }
    let described =
        fields.get_mut("metadata").and_then(|it| it.pointer_mut("/properties/description"));
    described.into_iter().for_each(bound_texts);
    let metadata = fields.get_mut("metadata").filter(|_| field.is_some());
    if let Some(Value::Object(name)) = metadata.and_then(|it| it.pointer_mut("/properties/name")) {
        rule_of_names(name);
    }
    if let Some(Value::Object(project)) = fields.get_mut("project") {
        rule_of_names(project);
    }
}

fn rule_of_names(field: &mut Map<String, Value>) {
    field.insert(RULE.to_owned(), "name".into());
    field.extend(Rule::Name.keywords());
}

/// A form with one field, such as `{env: NAME}`, is described at that field, too, where readers
/// look for it.
fn describe_only_field(form: &mut Value) {
    let Some(said) = form.get("description").cloned() else { return };
    let Some(Value::Object(fields)) = form.get_mut("properties") else { return };
    if let (1, Some(Value::Object(only))) = (fields.len(), fields.values_mut().next()) {
        only.entry("description").or_insert(said);
    }
}

fn flatten(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(flatten),
        Value::Object(keywords) => {
            keywords.values_mut().for_each(flatten);
            if let Some(Value::Array(forms)) = keywords.get_mut("oneOf") {
                forms.iter_mut().for_each(describe_only_field);
            }
            for alternatives in ["anyOf", "oneOf"] {
                let Some(Value::Array(options)) = keywords.get(alternatives) else { continue };
                let null = json!("null");
                let (nulls, mut others): (Vec<_>, Vec<_>) = options
                    .clone()
                    .into_iter()
                    .partition(|option| option.get("type") == Some(&null));
                let constants: Vec<_> =
                    others.iter().filter_map(|option| option.get("const").cloned()).collect();
                if constants.len() == others.len() {
                    keywords.shift_remove(alternatives);
                    let values =
                        constants.into_iter().chain(nulls.iter().map(|_| Value::Null)).collect();
                    keywords.insert("enum".to_owned(), Value::Array(values));
                } else if let (1, 1, Some(Value::Object(mut only))) =
                    (nulls.len(), others.len(), others.pop())
                {
                    if let Some(name) = only.get("type").cloned() {
                        only.insert("type".to_owned(), json!([name, null]));
                    }
                    if let Some(Value::Array(values)) = only.get_mut("enum") {
                        values.push(Value::Null);
                    }
                    keywords.shift_remove(alternatives);
                    for (name, value) in only {
                        keywords.entry(name).or_insert(value);
                    }
                }
            }
        }
        _ => {}
    }
}

/// What documents of a kind are checked against, made when it is first needed.
#[derive(Default)]
struct Checks {
    schema: OnceLock<Value>,
    validator: OnceLock<Option<jsonschema::Validator>>,
}

fn checks(kind: &dyn Kind) -> &'static Checks {
    static CHECKS: LazyLock<Vec<Checks>> =
        LazyLock::new(|| ALL.iter().map(|_| Checks::default()).collect());
    // Every kind is in the registry.
    let index = ALL.iter().position(|candidate| candidate.name() == kind.name());
    &CHECKS[index.unwrap_or_default()]
}

/// The validator of a kind's documents.
#[must_use]
pub fn validator(kind: &dyn Kind) -> Option<&'static jsonschema::Validator> {
    let compile = || jsonschema::validator_for(inlined(kind)).ok();
    checks(kind).validator.get_or_init(compile).as_ref()
}

/// What fields of a name are.
#[derive(Default)]
struct ByName {
    secret: Vec<String>,
    plain: BTreeSet<String>,
}

impl ByName {
    fn collect(&mut self, schema: &Value) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            if field[SECRET] == true && !self.secret.contains(name) {
                self.secret.push(name.clone());
            } else if field[SECRET] != true {
                self.plain.insert(name.clone());
            }
            self.collect(field);
        }
        for below in ["items", "additionalProperties"] {
            if schema[below].is_object() {
                self.collect(&schema[below]);
            }
        }
    }
}

/// The names of the fields that are secret in some kind, but for those that are so only in kinds for
/// secrets and something else elsewhere, such as the text of a variable.
#[must_use]
pub fn secret_fields() -> &'static [String] {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let (mut all, mut others) = (ByName::default(), ByName::default());
        for kind in ALL {
            all.collect(inlined(kind));
            // Of a kind for secrets, the name of the kind tells enough.
            if !kind.is_for_secrets() {
                others.collect(inlined(kind));
            }
        }
        let is_told = |name: &String| others.secret.contains(name) || !all.plain.contains(name);
        all.secret.retain(is_told);
        all.secret
    });
    &NAMES
}

/// The names of all fields of all kinds.
#[must_use]
pub fn field_names() -> &'static BTreeSet<String> {
    fn collect(schema: &Value, names: &mut BTreeSet<String>) {
        match schema {
            Value::Object(parts) => {
                let fields = schema["properties"].as_object();
                names.extend(fields.into_iter().flatten().map(|(name, _)| name.clone()));
                parts.values().for_each(|part| collect(part, names));
            }
            Value::Array(parts) => parts.iter().for_each(|part| collect(part, names)),
            _ => {}
        }
    }
    static NAMES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let mut names = BTreeSet::new();
        ALL.iter().for_each(|kind| collect(inlined(*kind), &mut names));
        names
    });
    &NAMES
}

/// The schema with every definition in its place, to look fields up in.
#[must_use]
pub fn inlined(kind: &dyn Kind) -> &'static Value {
    checks(kind).schema.get_or_init(|| checked(kind))
}
