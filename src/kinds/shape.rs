//! What the planner knows of a kind's fields without knowing its types: which of them have
//! defaults, which lists are ordered, which texts are secret. It is read from the JSON Schema of
//! the fields, so that a field is described in one place.

mod unknown;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use indexmap::IndexMap;
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

use super::path::{FieldPath, Step};
use super::tree::{Sealed, Tree, same_number};
use crate::kinds::specs::keywords::{
    EMPTY, KEY, NUMBER, PARTIAL, REPEATS, RULE, SECRET, SET, UNIQUE,
};
use crate::kinds::specs::rules::{self, Rule};

/// What is known of a field.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// What an absent field means.
    pub default: Option<Value>,
    /// `null`, `[]`, `{}` and absent are one and the same.
    pub empty_is_absent: bool,
    /// Its texts are never shown.
    pub secret: bool,
    /// An empty answer may be a value that the platform hides.
    pub withheld: bool,
    /// What neither the manifest nor the set's last apply named is left alone: keys of a map, or
    /// else the field itself.
    pub partial: bool,
    /// A text of digits is the number: the platform takes both and answers with the number.
    pub number: bool,
    /// What its text must look like.
    pub rule: Option<Rule>,
    /// For a list whose items are identified by a field: several may have the same text.
    pub repeats: bool,
    /// For a list whose order matters: the fields in which no two of its items may agree.
    pub unique: Vec<String>,
    /// What stands in it.
    pub form: Form,
}

/// A field that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The field.
    pub path: FieldPath,
    /// What is wrong, as a sentence whose subject is the field.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Broken {
    /// A text that stands at another place already, and may stand at one.
    pub(super) fn repeated(path: FieldPath, text: &str, first: &str) -> Self {
        let message = format!("is `{text}`, which occurs twice, first at {first}");
        Self { path, message, hint: Some("remove one of the two".to_owned()) }
    }
}

/// What stands in a field.
#[derive(Debug, Clone, Default)]
pub enum Form {
    /// A text, number or boolean.
    #[default]
    Scalar,
    /// Any JSON, compared as it is.
    Free,
    /// Known fields; others are left alone.
    Object(IndexMap<Arc<str>, Shape, foldhash::fast::RandomState>),
    /// Any keys, each with a value of this shape.
    Map(Box<Shape>),
    /// A list.
    List {
        /// What an item is.
        items: Box<Shape>,
        /// How items are told apart.
        identity: Identity,
    },
}

/// How the items of a list are identified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Identity {
    /// By their position.
    #[default]
    Position,
    /// By one of their fields; order carries no meaning.
    Field(String),
    /// By being equal; order carries no meaning.
    Value,
}

/// The texts of a list of them.
fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

impl Shape {
    /// The names of its fields, if it has known ones.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let fields = match &self.form {
            Form::Object(fields) => Some(fields.keys()),
            _ => None,
        };
        fields.into_iter().flatten().map(|name| &**name)
    }

    /// The shape of a type, from its JSON Schema.
    #[must_use]
    pub fn of<T: JsonSchema>() -> Self {
        let settings = schemars::generate::SchemaSettings::draft2020_12()
            .with(|settings| settings.inline_subschemas = true);
        let schema = settings.into_generator().into_root_schema_for::<T>();
        Self::from_schema(schema.as_value())
    }

    /// The same, where an empty answer for a field may be one that the platform keeps to itself.
    #[must_use]
    pub fn withholding(mut self, field: &str) -> Self {
        if let Form::Object(fields) = &mut self.form
            && let Some(shape) = fields.get_mut(field)
        {
            shape.withheld = true;
        }
        self
    }

    /// What a value says, as JSON: what is null or at its default is left out.
    #[must_use]
    pub fn said<T: JsonSchema + serde::Serialize>(value: &T) -> Value {
        Self::of::<T>().read(&serde_json::to_value(value).unwrap_or_default()).redacted()
    }

    fn from_schema(schema: &Value) -> Self {
        let keywords = match schema {
            Value::Object(keywords) => keywords,
            _ => return Self { form: Form::Free, ..Self::default() },
        };
        let flag = |name: &str| keywords.get(name).and_then(Value::as_bool).unwrap_or_default();
        let mut shape = Self {
            default: keywords.get("default").cloned(),
            empty_is_absent: keywords.get(EMPTY).is_some_and(|value| value == "absent"),
            secret: flag(SECRET),
            withheld: false,
            partial: flag(PARTIAL),
            number: flag(NUMBER),
            rule: keywords.get(RULE).and_then(Value::as_str).and_then(Rule::named),
            repeats: flag(REPEATS),
            unique: keywords.get(UNIQUE).map(texts).unwrap_or_default(),
            form: Form::Scalar,
        };
        // An optional struct is `anyOf: [struct, null]`; what stands beside `anyOf` is ours.
        if let Some(Value::Array(options)) = keywords.get("anyOf") {
            let mut forms =
                options.iter().filter(|option| option.get("type") != Some(&Value::from("null")));
            if let (Some(only), None) = (forms.next(), forms.next()) {
                let inner = Self::from_schema(only);
                shape.form = inner.form;
                shape.empty_is_absent |= inner.empty_is_absent;
                shape.secret |= inner.secret;
                shape.number |= inner.number;
                shape.rule = shape.rule.or(inner.rule);
                shape.unique.extend(inner.unique);
            }
            return shape;
        }
        let has_type = |name: &str| match keywords.get("type") {
            Some(Value::String(text)) => text == name,
            Some(Value::Array(names)) => names.iter().any(|text| text == name),
            _ => false,
        };
        shape.form = if has_type("object") {
            Self::object_form(keywords)
        } else if has_type("array") {
            let items = keywords.get("items").map_or_else(Self::default, Self::from_schema);
            let identity = match keywords.get(KEY).and_then(Value::as_str) {
                Some(field) => Identity::Field(field.to_owned()),
                None if flag(SET) => Identity::Value,
                None => Identity::Position,
            };
            Form::List { items: Box::new(items), identity }
        } else if keywords.contains_key("type")
            || keywords.contains_key("enum")
            || keywords.contains_key("const")
            || keywords.contains_key("oneOf")
        {
            Form::Scalar
        } else {
            Form::Free
        };
        shape
    }

    fn object_form(keywords: &Map<String, Value>) -> Form {
        match (keywords.get("properties"), keywords.get("additionalProperties")) {
            (Some(Value::Object(properties)), _) => Form::Object(
                properties
                    .iter()
                    .map(|(name, schema)| (name.as_str().into(), Self::from_schema(schema)))
                    .collect(),
            ),
            (_, Some(schema @ Value::Object(_))) => Form::Map(Box::new(Self::from_schema(schema))),
            _ => Form::Free,
        }
    }

    /// A document's fields without what only spells out a default: absent fields are left
    /// out, secrets are sealed, and fields that the kind does not know are dropped.
    #[must_use]
    pub fn read(&self, value: &Value) -> Tree {
        self.read_field(value).unwrap_or_else(|| Tree::map([]))
    }

    /// The same for one field; `None` when what is left means "absent".
    fn read_field(&self, value: &Value) -> Option<Tree> {
        if value.is_null() && !self.null_is_a_value() {
            return None;
        }
        let read = match (&self.form, value) {
            (Form::Object(shapes), Value::Object(fields)) => {
                // Most fields that a shape knows are not there, so what is there is looked at
                // and then brought into the order of the shape.
                let mut read: Vec<(usize, Tree)> = fields
                    .iter()
                    .filter_map(|(name, value)| {
                        let (index, _, shape) = shapes.get_full(name.as_str())?;
                        Some((index, shape.read_field(value)?))
                    })
                    .collect();
                read.sort_unstable_by_key(|(index, _)| *index);
                let name = |index: usize| shapes.get_index(index).map(|(name, _)| name.clone());
                read.into_iter().filter_map(|(index, value)| Some((name(index)?, value))).collect()
            }
            (Form::Map(shape), Value::Object(fields)) => fields
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), shape.read_field(value)?)))
                .collect(),
            (Form::List { items: shape, .. }, Value::Array(items)) => {
                // An item never means "absent": dropping one would change the others' positions.
                Tree::List(
                    items.iter().map(|item| shape.read_field(item).unwrap_or(Tree::Null)).collect(),
                )
            }
            _ => Tree::from(value),
        };
        self.settled(read)
    }

    /// What was read through this shape, once a part of it was taken away; `None` when what
    /// is left means "absent".
    #[must_use]
    pub fn normalize(&self, tree: Tree) -> Option<Tree> {
        if matches!(tree, Tree::Null) && !self.null_is_a_value() {
            return None;
        }
        let read = match (&self.form, tree) {
            (Form::Object(shapes), Tree::Map(fields)) => fields
                .into_iter()
                .filter_map(|(name, value)| {
                    let value = shapes.get(&name)?.normalize(value)?;
                    Some((name, value))
                })
                .collect(),
            (Form::Map(shape), Tree::Map(fields)) => fields
                .into_iter()
                .filter_map(|(name, value)| Some((name, shape.normalize(value)?)))
                .collect(),
            (Form::List { items: shape, .. }, Tree::List(items)) => Tree::List(
                items.into_iter().map(|item| shape.normalize(item).unwrap_or(Tree::Null)).collect(),
            ),
            (_, tree) => tree,
        };
        self.settled(read)
    }

    fn null_is_a_value(&self) -> bool {
        matches!(self.form, Form::Free) && self.default.is_none() && !self.empty_is_absent
    }

    /// Seals what is secret, and takes a text of digits for the number that it is; `None` for
    /// what means "absent".
    fn settled(&self, tree: Tree) -> Option<Tree> {
        let tree = if self.secret { tree.sealed() } else { tree };
        let number = tree.as_str().filter(|_| self.number).and_then(|text| text.parse().ok());
        let tree = number.map_or(tree, |number: u64| Tree::Number(number.into()));
        let is_empty = match &tree {
            Tree::List(items) => items.is_empty(),
            Tree::Map(fields) => fields.is_empty(),
            _ => false,
        };
        if is_empty && self.empty_is_absent || self.is_default(&tree) { None } else { Some(tree) }
    }

    fn is_default(&self, tree: &Tree) -> bool {
        match (&self.default, tree) {
            (Some(Value::Bool(default)), Tree::Bool(value)) => default == value,
            (Some(Value::String(default)), Tree::Text(value)) => default == value,
            (Some(Value::Number(default)), Tree::Number(value)) => same_number(default, value),
            (Some(Value::Array(default)), Tree::List(value)) => self.is_list(default, value),
            // A struct whose own fields have defaults: all of them at their defaults. What it has
            // itself where it is absent may be something else.
            (Some(default @ Value::Object(_)), Tree::Map(fields)) => {
                let bare = Self { default: None, empty_is_absent: false, ..self.clone() };
                fields.is_empty() || bare.read(default) == *tree
            }
            _ => false,
        }
    }

    /// Whether a list is that of scalars, in any order where that carries no meaning.
    fn is_list(&self, default: &[Value], items: &[Tree]) -> bool {
        let is_set = matches!(self.form, Form::List { identity: Identity::Value, .. });
        let is = |index: usize, item: &Tree| match is_set {
            true => default.iter().any(|it| Tree::from(it) == *item),
            false => Tree::from(&default[index]) == *item,
        };
        default.len() == items.len()
            && items.iter().enumerate().all(|(index, item)| is(index, item))
    }

    /// The fields of what was read through this shape that break their rules.
    #[must_use]
    pub fn broken(&self, fields: &Tree) -> Vec<Broken> {
        let mut found = Vec::new();
        self.find_broken(fields, &mut found);
        found
    }

    /// Hardly anything is ever found, so a path is only made for what is.
    fn find_broken(&self, tree: &Tree, found: &mut Vec<Broken>) {
        if let Err(message) = keeps(tree, self.rule) {
            let hint = tree.as_str().zip(self.rule).and_then(|(text, rule)| rule.hint(text));
            found.push(Broken { path: FieldPath::default(), message, hint });
        }
        // All of them together have no more than one text may have.
        if self.rule == Some(Rule::Annotations) {
            return;
        }
        if let (Form::List { identity, .. }, Tree::List(items), false) =
            (&self.form, tree, self.repeats)
        {
            found.extend(repeated(items, identity, &self.unique));
        }
        let mut below = |shape: &Self, tree: &Tree, step: &dyn Fn() -> Step| {
            let before = found.len();
            shape.find_broken(tree, found);
            found[before..].iter_mut().for_each(|broken| broken.path.0.insert(0, step()));
        };
        let named = |name: &Arc<str>| Step::Field(name.to_string());
        match (&self.form, tree) {
            (Form::Object(shapes), Tree::Map(fields)) => {
                for (name, value) in fields.iter() {
                    if let Some(shape) = shapes.get(name) {
                        below(shape, value, &|| named(name));
                    }
                }
            }
            (Form::Map(shape), Tree::Map(fields)) => {
                fields.iter().for_each(|(name, value)| below(shape, value, &|| named(name)));
            }
            // Of what stands in any JSON, just the length of its texts is bounded.
            (Form::Free, Tree::Map(fields)) => {
                fields.iter().for_each(|(name, value)| below(self, value, &|| named(name)));
            }
            (Form::Free, Tree::List(items)) => {
                let items = items.iter().enumerate();
                items.for_each(|(index, item)| below(self, item, &|| Step::Index(index)));
            }
            (Form::List { items: shape, .. }, Tree::List(items)) => {
                let items = items.iter().enumerate();
                items.for_each(|(index, item)| below(shape, item, &|| Step::Index(index)));
            }
            _ => {}
        }
    }

    /// The shape of a field one step down, when it is known.
    #[must_use]
    pub fn child(&self, step: &super::path::Step) -> Option<&Self> {
        match (&self.form, step) {
            (Form::Object(shapes), super::path::Step::Field(name)) => shapes.get(name.as_str()),
            (Form::Map(shape), super::path::Step::Field(_)) => Some(shape),
            (Form::List { items, .. }, _) => Some(items),
            _ => None,
        }
    }

    /// The items in top-level lists of an object that none of these trees names, where nobody need name
    /// them.
    #[must_use]
    pub fn added(&self, found: &Tree, named: &[&Tree]) -> Vec<super::path::FieldPath> {
        use super::path::{FieldPath, Step};
        let Form::Object(shapes) = &self.form else { return Vec::new() };
        let partial = shapes.iter().filter(|(_, shape)| shape.partial);
        let lists = partial.filter_map(|(name, shape)| match (&shape.form, found.get(name)) {
            (Form::List { identity: Identity::Field(field), .. }, Some(Tree::List(items))) => {
                Some((name, field, items))
            }
            _ => None,
        });
        let paths = lists.flat_map(|(name, field, items)| {
            let texts = items.iter().filter_map(move |item| item.get(field)?.scalar());
            texts.map(move |text| {
                FieldPath::of(&[name]).join(Step::Item { field: field.clone(), text })
            })
        });
        paths.filter(|path| named.iter().all(|tree| tree.at(path).is_none())).collect()
    }

    /// Whether a path can lead to a field; anything may stand in free JSON.
    #[must_use]
    pub fn has(&self, path: &super::path::FieldPath) -> bool {
        let mut shape = self;
        for step in &path.0 {
            if matches!(shape.form, Form::Free) {
                return true;
            }
            match shape.child(step) {
                Some(below) => shape = below,
                None => return false,
            }
        }
        true
    }
}

/// Whether a field keeps its rule, and the bound that every text has; what is not read yet, or
/// masked, cannot break one.
fn keeps(tree: &Tree, rule: Option<Rule>) -> Result<(), String> {
    if let Tree::Map(fields) = tree
        && fields.keys().any(|name| rules::text(name).is_err())
    {
        return Err(format!("has a key longer than {} characters", rules::TEXT_LIMIT));
    }
    match (rule, tree) {
        (Some(Rule::NotEmpty), Tree::List(items)) => rules::not_empty(items.len()),
        (Some(Rule::Annotations), Tree::Map(fields)) => {
            let text = |tree: &Tree| tree.reveal().as_str().map_or(0, str::len);
            let sizes = fields.iter().map(|(name, value)| name.len() + text(value));
            rules::annotations_size(sizes.sum())
        }
        (Some(rule), Tree::Secret(Sealed::Known(text))) => rule.check(text.expose_secret()),
        (Some(rule), tree) => tree.scalar().map_or(Ok(()), |text| rule.check(&text)),
        (None, Tree::Secret(Sealed::Known(text))) => rules::text(text.expose_secret()),
        (None, Tree::Text(text)) => rules::text(text),
        (None, _) => Ok(()),
    }
}

/// The items of a list that cannot be told from one before them.
fn repeated(items: &[Tree], identity: &Identity, unique: &[String]) -> Vec<Broken> {
    let name = |item: &Tree| -> Option<(Option<String>, String)> {
        match identity {
            Identity::Field(field) => Some((Some(field.clone()), item.get(field)?.scalar()?)),
            Identity::Value => Some((None, item.scalar()?)),
            Identity::Position => {
                let first = unique.first()?;
                Some((Some(first.clone()), item.get(first)?.scalar()?))
            }
        }
    };
    let others = |item: &Tree| -> Vec<Option<Value>> {
        let others = unique.iter().skip(1);
        others.map(|field| item.get(field).map(Tree::redacted)).collect()
    };
    let mut first = HashMap::new();
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Some((field, text)) = name(item) else { continue };
        let others = format!("{:?}", others(item));
        match first.entry((text, others)) {
            Entry::Vacant(free) => drop(free.insert(index)),
            Entry::Occupied(taken) => {
                let path = FieldPath::default().join(Step::Index(index));
                let path = field.into_iter().fold(path, |path, field| path.field(&field));
                found.push(Broken::repeated(path, &taken.key().0, &format!("[{}]", taken.get())));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::specs::keywords;
    use crate::kinds::specs::service::{ContainerSpec, PortSpec};
    use serde_json::json;

    #[test]
    fn null_empty_and_default_mean_absent_where_the_schema_says_so() {
        let shape = Shape::of::<ContainerSpec>();
        let spelled_out = json!({
            "image": "x", "command": null, "environment": [], "secrets": null, "storage": {"room": []},
            "private": true, "on_demand": false, "new_in_1_0": 1
        });
        assert_eq!(shape.read(&spelled_out).redacted(), json!({"image": "x", "on_demand": false}));
        assert_eq!(
            Shape::of::<PortSpec>().read(&json!({"num": "*", "type": "http"})).redacted(),
            json!({})
        );
    }

    #[test]
    fn every_keyword_says_something() {
        let list = |keyword: &str, value: Value| {
            let item = json!({"type": "object", "properties": {"name": {"type": "string"}}});
            let mut schema = json!({"type": "array", "items": item});
            schema[keyword] = value;
            format!("{:?}", Shape::from_schema(&schema))
        };
        let nothing = list("title", json!("a"));
        for keyword in keywords::ALL {
            let value = match keyword {
                EMPTY => json!("absent"),
                KEY => json!("name"),
                UNIQUE => json!(["name"]),
                RULE => json!("segment"),
                _ => json!(true),
            };
            assert_ne!(list(keyword, value), nothing, "{keyword} is not read");
            assert_eq!(list(keyword, json!("other")) == nothing, keyword != KEY, "{keyword}");
        }
    }

    #[test]
    fn a_port_in_quotes_is_the_port() {
        let shape = Shape::of::<PortSpec>();
        for num in [json!(8080), json!("8080"), json!("08080")] {
            assert_eq!(shape.read(&json!({"num": num})).redacted(), json!({"num": 8080}));
        }
    }

    #[test]
    fn an_empty_list_inside_a_scope_is_not_absent() {
        let shape = Shape::of::<crate::kinds::specs::scope::ApiScope>();
        let scope = json!({"queues": {"send": [], "receive": null, "list": true}, "admin": null});
        assert_eq!(shape.read(&scope).redacted(), json!({"queues": {"send": []}}));
    }
}
