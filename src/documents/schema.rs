//! What a document may contain: elements, each with values and with children of certain tags.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::built_in;

/// What the references to elements begin with.
const DEFINED: &str = "#/$defs/";

/// The tag of elements that contain formatted text instead of elements.
pub const TEXT: &str = "text";

/// The folder with the schemas of a room's documents, each named like what documents end with.
const FOLDER: &str = ".schemas";

/// A schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    root: String,
    elements: IndexMap<String, Element>,
    source: Value,
}

/// What an element may contain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// The names of its values.
    pub values: Vec<String>,
    /// The property with its children, if it may have any.
    pub children: Option<Children>,
}

/// The children of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Children {
    /// The name of the property.
    pub name: String,
    /// The tags that they may have.
    pub tags: Vec<String>,
}

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    ///
    /// What is wrong with it, with its place.
    pub fn parse(source: Value) -> Result<Self, String> {
        let root = source["$root_tag_ref"].as_str().and_then(|it| it.strip_prefix(DEFINED));
        let root = root.ok_or_else(|| {
            format!("a schema names its root element in `$root_tag_ref`, as {DEFINED}TAG")
        })?;
        let defined = source["$defs"].as_object().ok_or("a schema has its elements in `$defs`")?;
        let mut elements = IndexMap::new();
        for (key, entry) in defined {
            let at = format!("$defs.{key}");
            let (tag, element) = element(&at, entry)?;
            if elements.insert(tag.clone(), element).is_some() {
                return Err(format!("{at}: the element {tag:?} is defined twice"));
            }
        }
        let root = root.to_owned();
        if !elements.contains_key(&root) {
            return Err(format!("the root element {root:?} is not defined"));
        }
        for (tag, element) in &elements {
            let tags = element.children.iter().flat_map(|children| &children.tags);
            if let Some(missing) = tags.into_iter().find(|tag| !elements.contains_key(*tag)) {
                return Err(format!("a child of {tag:?} is {missing:?}, which is not defined"));
            }
        }
        Ok(Self { root, elements, source })
    }

    /// The tag of the root element.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// What the root element may contain.
    #[must_use]
    pub fn of_root(&self) -> &Element {
        // It was found when the schema was read.
        &self.elements[&self.root]
    }

    /// What an element may contain, if there are elements of this tag.
    #[must_use]
    pub fn element(&self, tag: &str) -> Option<&Element> {
        self.elements.get(tag)
    }

    /// The schema as it was written.
    #[must_use]
    pub const fn source(&self) -> &Value {
        &self.source
    }

    /// The schema that the name of a document stands for without anything said about it.
    #[must_use]
    pub fn built_in(path: &str) -> Option<Self> {
        let source = built_in::source(extension(path)?)?;
        Self::parse(source).ok()
    }
}

/// The file with the schema of a document, if its name says one.
#[must_use]
pub fn file_of(path: &str) -> Option<String> {
    extension(path).map(|extension| format!("{FOLDER}/{extension}.json"))
}

/// What stands behind the last dot of a file's name.
fn extension(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (_, extension) = name.rsplit_once('.')?;
    Some(extension).filter(|extension| !extension.is_empty())
}

/// Reads an element with its tag. Under which key it stands says nothing.
fn element(at: &str, entry: &Value) -> Result<(String, Element), String> {
    let properties = entry["properties"].as_object().filter(|it| it.len() == 1);
    let (tag, about) = properties
        .and_then(|properties| properties.iter().next())
        .ok_or_else(|| format!("{at}: an element has one property, which is named like its tag"))?;
    let nothing = Map::new();
    let properties = match &about["properties"] {
        Value::Object(properties) => properties,
        Value::Null => &nothing,
        _ => return Err(format!("{at}.properties.{tag}.properties: this is no object")),
    };
    let mut element = Element::default();
    for (name, property) in properties {
        let at = format!("{at}.properties.{tag}.properties.{name}");
        if property["type"] != "array" {
            element.values.push(name.clone());
            continue;
        }
        let tags = tags(&at, property)?;
        let children = Children { name: name.clone(), tags };
        if let Some(other) = element.children.replace(children) {
            let other = other.name;
            return Err(format!("{at}: {tag:?} has its children in {other:?} already"));
        }
    }
    Ok((tag.clone(), element))
}

/// The tags of children: in order, or in any.
fn tags(at: &str, property: &Value) -> Result<Vec<String>, String> {
    let items = property["prefixItems"].as_array();
    let items = items.or_else(|| property["items"]["anyOf"].as_array());
    let items = items.ok_or_else(|| {
        format!("{at}: a list says what is in it with `prefixItems`, or `items` with `anyOf`")
    })?;
    let tag = |item: &Value| {
        let tag = item["$ref"].as_str().and_then(|it| it.strip_prefix(DEFINED));
        tag.map(str::to_owned).ok_or_else(|| format!("{at}: an item is a reference {DEFINED}TAG"))
    };
    items.iter().map(tag).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn book() -> Value {
        let part = |tag: &str, properties: Value| json!({"type": "object", "properties": {tag: {"properties": properties}}});
        json!({
            "$root_tag_ref": "#/$defs/book",
            "$defs": {
                "book": part("book", json!({
                    "title": {"type": ["string", "null"]},
                    "parts": {"type": "array", "items": {"anyOf": [
                        {"$ref": "#/$defs/part"}, {"$ref": "#/$defs/text"},
                    ]}},
                })),
                "other": part("part", json!({"pages": {"type": "number"}})),
                "text": part("text", json!({
                    "lines": {"type": "array", "prefixItems": [], "items": false},
                })),
            },
        })
    }

    #[test]
    fn a_schema_is_read() {
        let schema = Schema::parse(book()).unwrap();
        assert_eq!((schema.root(), schema.source()), ("book", &book()));
        assert_eq!(schema.of_root().values, ["title"]);
        let children = schema.of_root().children.clone().unwrap();
        assert_eq!(
            (children.name.as_str(), children.tags),
            ("parts", vec!["part".to_owned(), "text".to_owned()])
        );
        assert_eq!(schema.element("part").unwrap().values, ["pages"]);
        assert_eq!(schema.element("other"), None);
    }

    #[test]
    fn what_is_wrong_with_one_is_told_with_its_place() {
        let wrong = |at: &str, value: Value| {
            let mut source = book();
            *source.pointer_mut(at).unwrap() = value;
            Schema::parse(source).unwrap_err()
        };
        let told = [
            wrong("/$root_tag_ref", json!("book")),
            wrong("/$root_tag_ref", json!("#/$defs/none")),
            wrong("/$defs", json!([])),
            wrong("/$defs/other", json!({"properties": {"a": {}, "b": {}}})),
            wrong("/$defs/other", book()["$defs"]["text"].clone()),
            wrong("/$defs/other/properties/part/properties", json!(3)),
            wrong("/$defs/text", book()["$defs"]["other"].clone()),
            wrong("/$defs/book/properties/book/properties/title", json!({"type": "array"})),
            wrong("/$defs/text/properties/text/properties/lines/prefixItems", json!([{}])),
            wrong(
                "/$defs/book/properties/book/properties/title",
                json!({"type": "array", "prefixItems": []}),
            ),
        ];
        insta::assert_json_snapshot!(told);
    }

    #[test]
    fn names_of_documents_stand_for_schemas() {
        for (path, file) in [
            ("a/b.thread", Some(".schemas/thread.json")),
            ("a.b/c", None),
            ("c.", None),
            (".thread", Some(".schemas/thread.json")),
        ] {
            assert_eq!(file_of(path).as_deref(), file, "{path}");
        }
        assert_eq!(Schema::built_in("a.thread").unwrap().root(), "thread");
        assert_eq!(Schema::built_in("a.txt"), None);
    }
}
