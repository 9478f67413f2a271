//! The plain kinds: those whose objects have a list below their project, and POST, PUT and DELETE
//! below that. Walks over them are over all there are, so that a kind which was just added is
//! walked with no line of its own; what is special about one kind is told beside the walk.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use meshagent::api::spoken::Spoken;
use meshagent::dialect::{self, Target};
use meshagent::kinds::tree::Tree;
use meshagent::kinds::{self};
use meshagent::kinds::{Asked, Declared, Kind, KindName, schema};
use serde_json::Value;

use crate::reconciler::spelling;
use crate::registry::documents::{Variant, variants, with};

/// The plain kinds. Others hold objects, are in several places, or keep values to themselves.
pub fn all() -> impl Iterator<Item = KindName> {
    kinds::ALL.into_iter().filter(|kind| is_plain(*kind)).map(Kind::name)
}

fn is_plain(kind: &dyn Kind) -> bool {
    let is_spoken = dialect::dialect(Spoken::V0_31).of(kind.name()).is_some();
    is_spoken && kind.holds().is_none() && !kind.is_in_rooms() && !kind.hides_values()
}

/// One of the documents of a kind that differ in their fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Every field is there.
    First,
    /// As the first, and all that can be changed is something else.
    Second,
    /// As the first, and one field is something else.
    Touched,
    /// As the first, and what cannot be changed is something else; the first where all can be.
    Remade,
}

/// The full documents of the plain kinds, which take long to grow.
static VARIANTS: LazyLock<BTreeMap<KindName, Variant>> =
    LazyLock::new(|| all().map(|kind| (kind, variants(kind.kind()).remove(0))).collect());

/// Whether objects of a kind name a room.
pub fn names_room(kind: KindName) -> bool {
    kind.refers_to(KindName::Room).is_some()
}

/// What an object is called that goes by `name`, in the form that names of its kind have.
pub fn called(kind: KindName, name: &str) -> String {
    match kind {
        KindName::Mailbox => format!("{name}@mail.localhost"),
        KindName::Route => format!("{name}.example.com"),
        _ => name.to_owned(),
    }
}

/// A document of a kind, for a room where it names one.
pub fn document(kind: KindName, name: &str, room: &str, form: Form) -> Value {
    let Variant { document, fields, .. } = &VARIANTS[&kind];
    let frozen = kind.kind().immutable();
    let is_meant = |names: &[String]| match form {
        Form::First => false,
        Form::Second | Form::Touched => !frozen.contains(&names[0].as_str()),
        Form::Remade => frozen.contains(&names[0].as_str()),
    };
    let other = fields.iter().filter(|field| {
        let is_other = field.values.len() > 1 && !field.composite && !field.identity;
        is_other && field.names != ["room"] && is_meant(&field.names)
    });
    let count = if form == Form::Touched { 1 } else { usize::MAX };
    let mut document = other.take(count).fold(document.clone(), |document, field| {
        with(&document, &field.pointer, Some(&field.values[1]))
    });
    document["metadata"]["name"] = called(kind, name).into();
    if names_room(kind) {
        document["room"] = room.into();
    }
    document
}

/// What a document declares.
pub fn declared(kind: KindName, document: &Value) -> Declared {
    let errors: Vec<_> = schema::validator(kind.kind()).unwrap().iter_errors(document).collect();
    assert!(errors.is_empty(), "{errors:?} in {document}");
    kind.kind().declare(document).unwrap().remove(0)
}

/// What a write of a declared object is made of.
pub fn target<'a>(project: &'a str, declared: &'a Declared, id: Option<&'a str>) -> Target<'a> {
    Target {
        project,
        room: None,
        name: &declared.name,
        id,
        fields: &declared.fields,
        owner: None,
        answered: None,
        removed: &[],
        asked: &Asked::NOTHING,
    }
}

/// The fields as one text, whatever their order, without the room that is named.
pub fn told(fields: &Tree) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(sorted).collect(),
            Value::Object(fields) => {
                let fields: BTreeMap<_, _> = fields.iter().collect();
                fields.into_iter().map(|(name, field)| (name.clone(), sorted(field))).collect()
            }
            scalar => scalar.clone(),
        }
    }
    let mut fields = fields.redacted();
    fields.as_object_mut().map(|fields| fields.shift_remove("room"));
    sorted(&fields).to_string()
}

/// The kind whose objects, or whose list, a path of the platform is about.
pub fn of_path(path: &str) -> Option<KindName> {
    let below = path.strip_prefix("/accounts/projects/{project}/")?;
    let below = below.strip_prefix("rooms/{room}/").unwrap_or(below);
    let noun = below.split('/').next()?;
    all().find(|kind| spelling(*kind).collection().noun == noun)
}

#[test]
fn the_forms_of_a_document_differ_as_they_say() {
    let kinds: Vec<KindName> = all().collect();
    for known in [KindName::Mailbox, KindName::Route, KindName::ScheduledTask, KindName::Webhook] {
        assert!(kinds.contains(&known), "{kinds:?}");
    }
    for special in [KindName::Project, KindName::Room, KindName::Secret, KindName::Service] {
        assert!(!kinds.contains(&special), "{kinds:?}");
    }
    for kind in kinds {
        let fields = |form| declared(kind, &document(kind, "a", "lobby", form)).fields;
        let [first, second, touched, remade] =
            [Form::First, Form::Second, Form::Touched, Form::Remade].map(fields);
        assert!(first != second && first != touched && second != remade, "{kind}");
        assert_eq!(first == remade, kind.kind().immutable().is_empty(), "{kind}");
    }
}
