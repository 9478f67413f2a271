//! The nine kinds: one file each, one trait, a registry. Everything that is done with a
//! kind elsewhere is done through [`Kind`], so that a new kind is a file here, a line in
//! [`ALL`] and an example.
//!
//! Must not live here: input or output, anything async, anything that decides what is to
//! be done.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::request::{Listing, Request};
use crate::api::specs::rules::Rule;
use document::Lifecycle;
use path::FieldPath;
use shape::{Broken, Shape};
use tree::Tree;

pub mod document;
pub mod fingerprint;
mod key;
pub mod mailbox;
pub mod path;
pub mod project;
pub mod recorded;
pub mod room;
pub mod route;
pub mod scheduled_task;
pub mod schema;
pub mod secret;
pub mod secret_source;
pub mod service;
pub mod service_template;
pub mod shape;
pub mod tree;
pub mod webhook;

pub use key::Key;

/// The annotation that names the set which owns an object, on kinds that carry annotations.
pub const OWNER_ANNOTATION: &str = "meshagent.set";

/// The name of a kind, as it stands in `kind:`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum KindName {
    /// A project.
    Project,
    /// A room of a project.
    Room,
    /// A project secret.
    Secret,
    /// A service, of a room or of every room.
    Service,
    /// A template of services.
    ServiceTemplate,
    /// A mailbox.
    Mailbox,
    /// A route from a domain to a port.
    Route,
    /// A scheduled task.
    ScheduledTask,
    /// A webhook.
    Webhook,
}

impl fmt::Display for KindName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

/// What one object refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The field that refers.
    pub path: FieldPath,
    /// What it refers to.
    pub to: ReferredTo,
}

/// What a field refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferredTo {
    /// A room of the same project, by name.
    Room(String),
    /// A secret of the same project, by name in a manifest, by id on the wire; and what it is
    /// used for there.
    Secret(String, secret::Use),
    /// Whatever service of the room publishes the port; nothing when none does.
    Port {
        /// The room.
        room: String,
        /// The port's number.
        port: String,
    },
}

/// One object that a document declares.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The project it names, if it names one.
    pub project: Option<String>,
    /// The room it is placed in, for a service of one room.
    pub room: Option<String>,
    /// The natural key: name, address, domain or id.
    pub name: String,
    /// Its fields, read through the kind's shape.
    pub fields: Tree,
    /// How the reconciler treats it.
    pub lifecycle: Lifecycle,
}

impl Declared {
    /// What of it breaks a rule of form.
    #[must_use]
    pub fn broken(&self, kind: &dyn Kind) -> Vec<Broken> {
        broken(kind, (self.room.as_deref(), &self.name), &self.fields)
    }
}

/// What of an object breaks a rule of form: its fields, its name, and the room that it is
/// placed in.
#[must_use]
pub fn broken(kind: &dyn Kind, (room, name): (Option<&str>, &str), fields: &Tree) -> Vec<Broken> {
    let mut broken = kind.shape().broken(fields);
    let mut together = kind.broken_together(fields);
    together.retain(|it| broken.iter().all(|other| other.path != it.path));
    broken.extend(together);
    let of_name = kind.name_rule();
    if let Err(message) = of_name.rule.check(name) {
        broken.push(Broken { path: of_name.path(), message, hint: of_name.rule.hint(name) });
    }
    if let Some(Err(message)) = room.map(|room| Rule::Segment.check(room)) {
        let is_empty = room.is_some_and(|room| room.trim().is_empty());
        let hint =
            is_empty.then(|| "name a room, or leave the field out for every room".to_owned());
        broken.push(Broken { path: FieldPath::of(&["room"]), message, hint });
    }
    broken
}

/// What the natural key of a kind must look like.
#[derive(Debug, Clone, Copy)]
pub struct NameRule {
    /// The rule.
    pub rule: Rule,
    /// The field that may say it instead of `metadata.name`.
    pub field: Option<&'static str>,
}

impl NameRule {
    /// The field that says the natural key, where both are there.
    #[must_use]
    pub fn path(&self) -> FieldPath {
        match self.field {
            Some(field) => FieldPath::of(&[field]),
            None => FieldPath::of(&["metadata", "name"]),
        }
    }
}

/// What is wrong with a document beyond its schema.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The field at fault.
    pub path: FieldPath,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault of a field.
    pub fn new(path: &[&str], message: impl Into<String>) -> Self {
        Self { path: FieldPath::of(path), message: message.into(), hint: None }
    }

    /// The same, with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Fault> for Vec<Fault> {
    fn from(fault: Fault) -> Self {
        vec![fault]
    }
}

impl From<Broken> for Fault {
    fn from(Broken { path, message, hint }: Broken) -> Self {
        Self { path, message, hint }
    }
}

/// One object of a list that the platform answered with.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The natural key: name, address, domain or id.
    pub name: String,
    /// The platform's id, for kinds that are addressed by one.
    pub id: Option<String>,
    /// The set that the owner annotation names.
    pub owner: Option<String>,
    /// Its fields, read through the kind's shape.
    pub fields: Tree,
}

/// What a write is made of.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The project's id; empty when a project is created.
    pub project: &'a str,
    /// The room's name, for a service of one room.
    pub room: Option<&'a str>,
    /// The natural key.
    pub name: &'a str,
    /// The platform's id, once the object exists and its kind has one.
    pub id: Option<&'a str>,
    /// The fields, with references as the wire wants them.
    pub fields: &'a Tree,
    /// The set to write into the owner annotation, where the kind carries annotations.
    pub owner: Option<&'a str>,
    /// What [`Kind::kept`] kept of the platform's answer when the object was observed.
    pub answered: Option<&'a Value>,
    /// The fields that go away.
    pub removed: &'a [FieldPath],
    /// What a command asks for beyond the fields.
    pub asked: &'a Asked,
}

impl<'a> Target<'a> {
    /// What an object is looked for by: its key and, where it is known, its id.
    #[must_use]
    pub fn looked_for(key: &'a Key, project: &'a str, id: Option<&'a str>) -> Self {
        Self {
            project,
            room: key.room.as_deref(),
            name: &key.name,
            id,
            fields: &Tree::Null,
            owner: None,
            answered: None,
            removed: &[],
            asked: &Asked::NOTHING,
        }
    }

    /// Whether a top-level field is to be sent, where the platform leaves alone what is not.
    fn sends(&self, field: &str) -> bool {
        let is_field =
            |path: &FieldPath| path.0.first() == Some(&path::Step::Field(field.to_owned()));
        self.asked.only.as_ref().is_none_or(|only| only.iter().any(is_field))
    }
}

/// What a command asks for beyond the fields of an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// Just these fields are changed; see [`Kind::updates_partly`].
    pub only: Option<Vec<FieldPath>>,
    /// An object that is there already is as good as a new one.
    pub may_exist: bool,
    /// What the platform makes the fields of.
    pub template: Option<service::Template>,
}

impl Asked {
    /// Nothing.
    pub const NOTHING: Self = Self { only: None, may_exist: false, template: None };
}

/// How one object is read again.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// It is answered by itself, below this field of the answer where there is one.
    One(Request, Option<&'static str>),
    /// It is found by its name in a list.
    Among(Listing),
}

/// A kind: its documents, its fields, its references and its requests.
pub trait Kind: Sync {
    /// Its name.
    fn name(&self) -> KindName;

    /// What it is, in one line.
    fn summary(&self) -> &'static str;

    /// The JSON Schema of its documents.
    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema;

    /// A complete document of this kind, with comments.
    fn example(&self) -> &'static str;

    /// What the planner knows of its fields.
    fn shape(&self) -> &'static Shape;

    /// Reads a document that passed its schema. A document may declare several objects
    /// (a service in two rooms) or none (a template that is not placed).
    ///
    /// # Errors
    ///
    /// What the schema cannot say, each with the field at fault.
    fn declare(&self, document: &Value) -> Result<Vec<Declared>, Vec<Fault>>;

    /// The document of an object, from which [`Kind::declare`] reads the same key and fields
    /// again. Secrets must be sources by then; what else is sealed is written as nothing.
    fn document(&self, key: &Key, fields: &Tree) -> Value {
        Value::Object(document_of(key, fields))
    }

    /// What its natural key must look like.
    fn name_rule(&self) -> NameRule {
        NameRule { rule: Rule::Name, field: None }
    }

    /// What of its fields cannot be together, though each keeps its own rule.
    fn broken_together(&self, _fields: &Tree) -> Vec<Broken> {
        Vec::new()
    }

    /// What an object refers to.
    fn references(&self, _fields: &Tree) -> Vec<Reference> {
        Vec::new()
    }

    /// What an object's fields may say and hardly mean, as sentences whose subject is the
    /// field.
    fn remarks(&self, _fields: &Tree) -> Vec<(FieldPath, &'static str)> {
        Vec::new()
    }

    /// The top-level fields that cannot be changed once the object exists.
    fn immutable(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether objects of this kind live in a room when their key names one.
    fn is_listed_by_room(&self) -> bool {
        false
    }

    /// Whether the platform can delete an object of this kind.
    fn is_deletable(&self) -> bool {
        true
    }

    /// Whether an object of this kind can get another name and stay what it is.
    fn is_renamable(&self) -> bool {
        false
    }

    /// Whether other objects are in it or say its name, and go along when it is renamed.
    fn is_named_by_others(&self) -> bool {
        false
    }

    /// A name in the spelling in which names of this kind are compared. Where the platform
    /// takes several spellings for one thing, it is one key here.
    fn natural_name(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Whether no two objects of this kind have one name, in whatever project they are.
    fn is_unique_everywhere(&self) -> bool {
        false
    }

    /// Whether an update leaves alone what it does not name. The owner's mark is a part of
    /// the annotations, so it must be known where those are named.
    fn updates_partly(&self) -> bool {
        false
    }

    /// Whether objects carry the owner annotation.
    fn carries_owner(&self) -> bool {
        true
    }

    /// The request that lists its objects in a project, or in one room of it.
    fn list(&self, project: &str, room: Option<&str>) -> Option<Listing>;

    /// The request that answers with more of one object than its list does.
    fn detail(&self, _project: &str) -> Option<Request> {
        None
    }

    /// Reads one object of a list.
    ///
    /// # Errors
    ///
    /// A sentence about what the answer lacks.
    fn seen(&self, item: &Value) -> Result<Seen, String>;

    /// How one object is read again, by its key or its id. The default looks through the
    /// whole list, for kinds whose objects the platform does not give one by one.
    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        self.list(target.project, target.room).map(Lookup::Among)
    }

    /// What of an object of a list an update sends back, because this program does not know
    /// it or does not change it. Nothing else of the answer is kept in memory.
    fn kept(&self, _item: &Value) -> Value {
        Value::Null
    }

    /// The request that creates an object.
    fn create(&self, target: &Target<'_>) -> Request;

    /// The request that changes an object.
    fn update(&self, target: &Target<'_>) -> Request;

    /// The request that deletes an object; `None` where the platform has no such call.
    fn delete(&self, target: &Target<'_>) -> Option<Request>;

    /// The platform's id in the answer to a create.
    fn created_id(&self, answer: &Value) -> Option<String> {
        answer.get("id")?.as_str().map(str::to_owned)
    }
}

/// Every kind, in the order in which they are explained.
pub static ALL: [&dyn Kind; 9] = [
    &project::Project,
    &room::Room,
    &service::Service,
    &service_template::ServiceTemplate,
    &mailbox::Mailbox,
    &route::Route,
    &scheduled_task::ScheduledTask,
    &secret::Secret,
    &webhook::Webhook,
];

impl KindName {
    /// The kind of this name.
    #[must_use]
    pub fn kind(self) -> &'static dyn Kind {
        match self {
            Self::Project => &project::Project,
            Self::Room => &room::Room,
            Self::Service => &service::Service,
            Self::ServiceTemplate => &service_template::ServiceTemplate,
            Self::Mailbox => &mailbox::Mailbox,
            Self::Route => &route::Route,
            Self::ScheduledTask => &scheduled_task::ScheduledTask,
            Self::Secret => &secret::Secret,
            Self::Webhook => &webhook::Webhook,
        }
    }
}

/// The kind with this name, as it stands in `kind:`; upper and lower case are the same.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn Kind> {
    ALL.into_iter().find(|kind| kind.name().to_string().eq_ignore_ascii_case(name))
}

/// Defines the type of a document's `kind` field, which has one value.
macro_rules! kind_tag {
    ($tag:ident, $kind:ident) => {
        #[doc = concat!("The literal `", stringify!($kind), "`.")]
        #[derive(
            Debug, Clone, Copy, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        enum $tag {
            #[doc = "The only value."]
            $kind,
        }
    };
}
pub(crate) use kind_tag;

/// Reads a document that passed its schema into its type.
fn typed<T: serde::de::DeserializeOwned>(document: &Value) -> Result<T, Fault> {
    // Keeping track of the path is costly, so it is done only for a document at fault.
    if let Ok(read) = T::deserialize(document) {
        return Ok(read);
    }
    serde_path_to_error::deserialize(document).map_err(|error| {
        let steps = error
            .path()
            .iter()
            .filter_map(|segment| match segment {
                serde_path_to_error::Segment::Map { key } => Some(path::Step::Field(key.clone())),
                serde_path_to_error::Segment::Seq { index } => Some(path::Step::Index(*index)),
                _ => None,
            })
            .collect();
        Fault { path: FieldPath(steps), message: error.inner().to_string(), hint: None }
    })
}

/// The shape of a document's own fields: its schema without what every document has.
fn own_fields<T: JsonSchema>(left_out: &[&str]) -> Shape {
    let mut shape = Shape::of::<T>();
    if let shape::Form::Object(fields) = &mut shape.form {
        fields.retain(|name, _| {
            !["version", "kind", "project", "lifecycle"].contains(&&**name)
                && !left_out.contains(&&**name)
        });
        if let Some(shape::Form::Object(metadata)) =
            fields.get_mut("metadata").map(|field| &mut field.form)
        {
            metadata.retain(|name, _| {
                **name != *"name" && !left_out.contains(&format!("metadata.{name}").as_str())
            });
        }
        if let Some(metadata) = fields.get_mut("metadata") {
            metadata.empty_is_absent = true;
        }
    }
    shape
}

/// A document with an object's fields as they are, below the four that every document has.
fn document_of(key: &Key, fields: &Tree) -> serde_json::Map<String, Value> {
    let mut metadata = serde_json::Map::from_iter([("name".to_owned(), key.name.clone().into())]);
    let mut own = serde_json::Map::new();
    if let Value::Object(fields) = fields.written() {
        for (name, value) in fields {
            match value {
                Value::Object(more) if name == "metadata" => metadata.extend(more),
                value => drop(own.insert(name, value)),
            }
        }
    }
    let mut document = serde_json::Map::from_iter([
        ("version".to_owned(), "v1".into()),
        ("kind".to_owned(), key.kind.to_string().into()),
        ("metadata".to_owned(), Value::Object(metadata)),
    ]);
    if let Some(room) = &key.room {
        document.insert("room".to_owned(), room.clone().into());
    }
    document.extend(own);
    document
}

/// The annotations to send: the object's own, and the owner's.
fn annotations(target: &Target<'_>) -> Value {
    let mut annotations =
        match target.fields.at(&FieldPath::of(&["metadata", "annotations"])).map(Tree::reveal) {
            Some(Value::Object(annotations)) => annotations,
            _ => serde_json::Map::new(),
        };
    if let Some(owner) = target.owner {
        annotations.insert(OWNER_ANNOTATION.to_owned(), owner.into());
    }
    Value::Object(annotations)
}

/// The annotations of an answer without the owner's, as a document has them, and the owner.
fn annotated(item: &Value) -> (Value, Option<String>) {
    let mut annotations = item.get("annotations").cloned().unwrap_or(Value::Null);
    let owner = match &mut annotations {
        Value::Object(map) => {
            map.shift_remove(OWNER_ANNOTATION).and_then(|owner| owner.as_str().map(str::to_owned))
        }
        _ => None,
    };
    (serde_json::json!({ "annotations": annotations }), owner)
}

/// A text field of an answer.
fn text_of(item: &Value, field: &str) -> Result<String, String> {
    match item.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(format!("the answer has no text in `{field}`")),
    }
}

/// A reference from a field that names a room.
fn room_reference(fields: &Tree) -> Option<Reference> {
    let room = fields.get("room")?.as_str()?;
    Some(Reference { path: FieldPath::of(&["room"]), to: ReferredTo::Room(room.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_called_by_its_kind_until_it_has_a_name() {
        let named = |name: &str, room: Option<&str>| Key {
            kind: KindName::Service,
            project: "p".to_owned(),
            room: room.map(str::to_owned),
            name: name.to_owned(),
        };
        assert_eq!(named("a", None).to_string(), "Service/a");
        assert_eq!(named("a", Some("r")).to_string(), "Service/a@r");
        assert_eq!(named("a\nb", None).to_string(), "Service/a\\nb");
        assert_eq!(named("", None).to_string(), "Service");
    }
}
