//! A document as JSON, and JSON as a document.
//!
//! An element is an object with its tag alone, in which its values and the list of its children are.
//! A text is the object `{"text": {"delta": […]}}`, with its parts in the form of a Quill delta. The
//! root element is none in the document itself: its children are at the top. Its values may be there,
//! too, but then the public Python SDK cannot open the document; so the platform keeps those that it
//! is given beside it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use yrs::types::Attrs;
use yrs::types::text::YChange;
use yrs::{
    Any, Array, ArrayRef, Map as _, Number, Out, ReadTxn, Text, TransactionMut, WriteTxn, Xml,
    XmlElementPrelim, XmlElementRef, XmlFragment, XmlTextPrelim, XmlTextRef,
};

use super::places::DEPTH;
use super::schema::{Element, Schema, TEXT};
use super::update::ROOT;

/// The value by which an element is known, whatever happens around it.
pub const ID: &str = "$id";

/// Reads a document.
///
/// # Errors
///
/// Its elements are nested too deep.
pub fn project(
    txn: &impl ReadTxn,
    schema: &Schema,
    beside: &Map<String, Value>,
    with_ids: bool,
) -> Result<Value, String> {
    let reading = Reading { txn, schema, with_ids };
    let mut fields = beside.clone();
    if let Some(root) = txn.get_map(ROOT) {
        reading.values(&mut fields, root.iter(txn));
    }
    let nodes = txn.get_xml_fragment(ROOT);
    let nodes = nodes.as_ref().map(AsRef::as_ref);
    reading.children(&mut fields, (schema.root(), Some(schema.of_root())), nodes, 0)?;
    Ok(json!({schema.root(): fields}))
}

/// Reads a document, or a part of it.
struct Reading<'a, T> {
    txn: &'a T,
    schema: &'a Schema,
    with_ids: bool,
}

impl<T: ReadTxn> Reading<'_, T> {
    /// Adds the values of an element. They have no order, so they get one.
    fn values<'b>(
        &self,
        fields: &mut Map<String, Value>,
        values: impl Iterator<Item = (&'b str, Out)>,
    ) {
        let values = values.filter_map(|(name, value)| match value {
            Out::Any(value) if self.with_ids || name != ID => Some((name, to_json(&value))),
            _ => None,
        });
        let mut values: Vec<_> = values.collect();
        values.sort_by_key(|(name, _)| *name);
        fields.extend(values.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }

    /// Adds the children of an element, whose property is there even if it has none.
    fn children(
        &self,
        fields: &mut Map<String, Value>,
        (tag, element): (&str, Option<&Element>),
        nodes: Option<&ArrayRef>,
        depth: usize,
    ) -> Result<(), String> {
        let Some(children) = element.and_then(|element| element.children.as_ref()) else {
            return Ok(());
        };
        if depth > DEPTH {
            return Err(format!("more than {DEPTH} elements are nested in each other"));
        }
        let mut found = Vec::new();
        for node in nodes.into_iter().flat_map(|nodes| nodes.iter(self.txn)) {
            match node {
                Out::YXmlElement(node) if tag != TEXT => found.push(self.element(&node, depth)?),
                Out::YXmlText(text) if tag == TEXT => found.push(self.text(&text)),
                // Nobody but a client that keeps to no schema puts anything else there.
                _ => {}
            }
        }
        fields.insert(children.name.clone(), Value::Array(found));
        Ok(())
    }

    fn element(&self, node: &XmlElementRef, depth: usize) -> Result<Value, String> {
        let tag = node.try_tag().map_or("", |tag| &**tag);
        let mut fields = Map::new();
        self.values(&mut fields, node.attributes(self.txn));
        let about = (tag, self.schema.element(tag));
        self.children(&mut fields, about, Some(node.as_ref()), depth + 1)?;
        Ok(json!({tag: fields}))
    }

    fn text(&self, text: &XmlTextRef) -> Value {
        let parts = text.diff(self.txn, YChange::identity).into_iter().filter_map(|part| {
            let Out::Any(insert) = part.insert else { return None };
            let attributes = part.attributes.into_iter().flat_map(|attributes| *attributes);
            let attributes: Map<String, Value> =
                attributes.map(|(name, value)| (name.to_string(), to_json(&value))).collect();
            Some(json!({"insert": to_json(&insert), "attributes": attributes}))
        });
        json!({TEXT: {"delta": parts.collect::<Vec<_>>()}})
    }
}

/// The values of a root element, and its children, as they are given for a new document.
///
/// # Errors
///
/// Something is not as the schema wants it.
pub fn given(schema: &Schema, json: &Value) -> Result<(Map<String, Value>, Vec<Value>), String> {
    let (tag, fields) = only(json).ok_or_else(|| {
        format!(
            "the contents of a document are an object with its root element {:?}",
            schema.root()
        )
    })?;
    if tag != schema.root() {
        return Err(format!("the root element is {:?}, not {tag:?}", schema.root()));
    }
    let (values, children) = split(tag, schema.of_root(), fields)?;
    let values = values.into_iter().map(|(name, value)| (name.clone(), value.clone()));
    Ok((values.collect(), children.to_vec()))
}

/// Puts elements behind those that are at the top of a document.
///
/// # Errors
///
/// Something is not as the schema wants it. The document has a part of the elements then.
pub fn append(
    txn: &mut TransactionMut<'_>,
    schema: &Schema,
    nodes: &[Value],
) -> Result<(), String> {
    let root = txn.get_or_insert_xml_fragment(ROOT);
    let writing = Writing { schema };
    for node in nodes {
        let (tag, fields) = writing.allowed(schema.root(), schema.of_root(), node)?;
        let element = root.push_back(txn, XmlElementPrelim::empty(tag));
        writing.element(txn, &element, tag, fields)?;
    }
    Ok(())
}

/// Makes elements.
pub(super) struct Writing<'a> {
    /// What the document may contain.
    pub(super) schema: &'a Schema,
}

impl Writing<'_> {
    /// What elements of a tag may contain.
    pub(super) fn about(&self, tag: &str) -> Result<&Element, String> {
        self.schema.element(tag).ok_or_else(|| format!("the schema has no element {tag:?}"))
    }

    /// The tag and the fields of a child, if it may be one.
    pub(super) fn allowed<'a>(
        &self,
        parent: &str,
        about: &Element,
        node: &'a Value,
    ) -> Result<(&'a str, &'a Map<String, Value>), String> {
        let (tag, fields) = only(node)
            .ok_or_else(|| format!("a child of {parent:?} is not an object with one element"))?;
        let tags = about.children.as_ref().map(|children| &children.tags);
        match tags.is_some_and(|tags| tags.iter().any(|allowed| allowed == tag)) {
            true => Ok((tag, fields)),
            false => Err(format!("{tag:?} cannot be a child of {parent:?}")),
        }
    }

    /// Fills an element that was just made.
    pub(super) fn element(
        &self,
        txn: &mut TransactionMut<'_>,
        element: &XmlElementRef,
        tag: &str,
        fields: &Map<String, Value>,
    ) -> Result<(), String> {
        let about = self.about(tag)?;
        let (values, children) = split(tag, about, fields)?;
        element.insert_attribute(txn, ID, Uuid::new_v4().to_string());
        for (name, value) in values {
            if name != ID {
                element.insert_attribute(txn, name.as_str(), from_json(value));
            }
        }
        if tag == TEXT {
            return text(txn, element, children);
        }
        for child in children {
            let (tag, fields) = self.allowed(tag, about, child)?;
            let child = element.push_back(txn, XmlElementPrelim::empty(tag));
            self.element(txn, &child, tag, fields)?;
        }
        Ok(())
    }
}

/// Fills an element with its text.
pub(super) fn text(
    txn: &mut TransactionMut<'_>,
    element: &XmlElementRef,
    parts: &[Value],
) -> Result<(), String> {
    let wrong = || "a text is given as {\"text\": {\"delta\": [{\"insert\": …}]}}".to_owned();
    let delta = match parts {
        [] => &Vec::new(),
        [one] => {
            let fields = only(one).filter(|(tag, _)| *tag == TEXT).ok_or_else(wrong)?.1;
            fields.get("delta").and_then(Value::as_array).ok_or_else(wrong)?
        }
        _ => return Err("an element \"text\" has one text".to_owned()),
    };
    let text = element.push_back(txn, XmlTextPrelim::new(""));
    for part in delta {
        let insert = part["insert"].as_str().ok_or_else(wrong)?;
        let attributes = part["attributes"].as_object().cloned().unwrap_or_default();
        let attributes = attributes.iter();
        let attributes: Attrs =
            attributes.map(|(name, value)| (name.as_str().into(), from_json(value))).collect();
        let end = text.len(txn);
        match attributes.is_empty() {
            true => text.insert(txn, end, insert),
            false => text.insert_with_attributes(txn, end, insert, attributes),
        }
    }
    Ok(())
}

/// The one field of an object that has no other, and the object in it.
pub(super) fn only(json: &Value) -> Option<(&str, &Map<String, Value>)> {
    let fields = json.as_object().filter(|fields| fields.len() == 1)?;
    let (tag, value) = fields.iter().next()?;
    Some((tag, value.as_object()?))
}

pub(super) type Split<'a> = (Vec<(&'a String, &'a Value)>, &'a [Value]);

/// The values of an element, and its children.
pub(super) fn split<'a>(
    tag: &str,
    about: &Element,
    fields: &'a Map<String, Value>,
) -> Result<Split<'a>, String> {
    let (mut values, mut children) = (Vec::new(), &[][..]);
    let of_children = about.children.as_ref().map(|children| children.name.as_str());
    for (name, value) in fields {
        if Some(name.as_str()) == of_children {
            let list = value.as_array();
            children = list.ok_or_else(|| format!("{name:?} of {tag:?} is not a list"))?;
        } else if name == ID || about.values.contains(name) {
            values.push((name, value));
        } else {
            return Err(format!("{tag:?} has no field {name:?}"));
        }
    }
    Ok((values, children))
}

/// Up to which number all whole numbers can be told from each other.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// A value of a document as JSON.
#[must_use]
pub fn to_json(value: &Any) -> Value {
    match value {
        Any::Null | Any::Undefined => Value::Null,
        Any::Bool(value) => json!(value),
        Any::Number(Number::Int(value)) => json!(value),
        // Clients write and read whole numbers as either, so they are shown as one of them.
        Any::Number(Number::Float(value)) if value.fract() == 0.0 && value.abs() <= WHOLE => {
            json!(*value as i64)
        }
        Any::Number(Number::Float(value)) => json!(value),
        Any::String(value) => json!(**value),
        Any::Buffer(bytes) => json!(STANDARD.encode(bytes)),
        Any::Array(items) => items.iter().map(to_json).collect(),
        Any::Map(fields) => {
            // They have no order, so that what is shown would differ from time to time.
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            names.into_iter().map(|name| (name.clone(), to_json(&fields[name]))).collect()
        }
    }
}

/// JSON as a value of a document.
#[must_use]
pub fn from_json(value: &Value) -> Any {
    match value {
        Value::Null => Any::Null,
        Value::Bool(value) => Any::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Any::Number(Number::Int(number)),
            None => Any::Number(Number::Float(number.as_f64().unwrap_or_default())),
        },
        Value::String(text) => Any::String(text.as_str().into()),
        Value::Array(items) => Any::Array(items.iter().map(from_json).collect()),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), from_json(value)));
            Any::Map(Arc::new(fields.collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use yrs::{Doc, StateVector, Transact, Update, updates::decoder::Decode};

    use super::*;

    fn schema() -> Schema {
        let part =
            |tag: &str, properties: Value| json!({"properties": {tag: {"properties": properties}}});
        let list = |tags: &[&str]| {
            let tags: Vec<Value> =
                tags.iter().map(|tag| json!({"$ref": format!("#/$defs/{tag}")})).collect();
            json!({"type": "array", "items": {"anyOf": tags}})
        };
        let value = json!({"type": ["string", "null"]});
        Schema::parse(json!({"$root_tag_ref": "#/$defs/book", "$defs": {
            "book": part("book", json!({"title": value, "parts": list(&["part", "text"])})),
            "part": part("part", json!({"about": value, "parts": list(&["part", "text"])})),
            "text": part("text", json!({"style": value, "content": list(&[])})),
        }}))
        .unwrap()
    }

    fn book() -> Value {
        json!({"book": {"title": "T", "parts": [
            {"part": {"about": {"a": [1, 2.5, null, true], "b": "ü"}, "parts": [
                {"text": {"style": "s", "content": [{"text": {"delta": [
                    {"insert": "a😀", "attributes": {}},
                    {"insert": "b", "attributes": {"bold": true}},
                ]}}]}},
                {"part": {"parts": []}},
            ]}},
            {"text": {"content": [{"text": {"delta": []}}]}},
        ]}})
    }

    fn made(json: &Value) -> Result<(Doc, Map<String, Value>), String> {
        let schema = schema();
        let (values, children) = given(&schema, json)?;
        let doc = Doc::new();
        append(&mut doc.transact_mut(), &schema, &children)?;
        Ok((doc, values))
    }

    #[test]
    fn what_is_given_is_what_is_read() {
        let (doc, values) = made(&book()).unwrap();
        let state = doc.transact().encode_state_as_update_v1(&StateVector::default());
        let again = Doc::new();
        again.transact_mut().apply_update(Update::decode_v1(&state).unwrap()).unwrap();
        for doc in [&doc, &again] {
            assert_eq!(project(&doc.transact(), &schema(), &values, false).unwrap(), book());
        }
        let with_ids = project(&again.transact(), &schema(), &values, true).unwrap();
        let ids = with_ids.to_string().matches(ID).count();
        assert_eq!(ids, 4, "{with_ids}");
        assert_eq!(
            project(&Doc::new().transact(), &schema(), &Map::new(), true).unwrap(),
            json!({"book": {"parts": []}})
        );
    }

    #[test]
    fn what_the_schema_does_not_want_is_told() {
        let told = [
            json!([]),
            json!({"part": {}}),
            json!({"book": {}, "part": {}}),
            json!({"book": {"name": "n"}}),
            json!({"book": {"parts": {}}}),
            json!({"book": {"parts": [{"book": {}}]}}),
            json!({"book": {"parts": ["part"]}}),
            json!({"book": {"parts": [{"part": {"style": "s"}}]}}),
            json!({"book": {"parts": [{"text": {"content": ["text"]}}]}}),
            json!({"book": {"parts": [{"text": {"content": [{"text": {"delta": [1]}}]}}]}}),
            json!({"book": {"parts": [{"text": {"content": [1, 2]}}]}}),
        ];
        let told = told.map(|json| made(&json).map(drop).unwrap_err());
        insta::assert_json_snapshot!(told);
    }

    #[test]
    fn what_is_nested_too_deep_is_not_read() {
        let doc = Doc::new();
        let mut txn = doc.transact_mut();
        let root = txn.get_or_insert_xml_fragment(ROOT);
        let mut at = root.push_back(&mut txn, XmlElementPrelim::empty("part"));
        for _ in 1..DEPTH {
            at = at.push_back(&mut txn, XmlElementPrelim::empty("part"));
        }
        assert!(project(&txn, &schema(), &Map::new(), false).is_ok());
        at.push_back(&mut txn, XmlElementPrelim::empty("part"));
        assert!(project(&txn, &schema(), &Map::new(), false).is_err());
    }
}
