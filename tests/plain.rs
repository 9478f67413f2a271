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
use serde_json::{Value, json};

use crate::reconciler::spelling;
use crate::registry::documents::{Field, Variant, variants, with};

/// The plain kinds. Others hold objects, are in several places, or keep values to themselves.
pub fn all() -> impl Iterator<Item = KindName> {
    kinds::ALL.into_iter().filter(|kind| is_plain(*kind)).map(Kind::name)
}

fn is_plain(kind: &dyn Kind) -> bool {
    let spelling = dialect::dialect(Spoken::V0_31).of(kind.name());
    let is_spoken = spelling.is_some_and(|it| it.unspoken().is_none());
    is_spoken && kind.holds().is_none() && kind.placed_in().is_none() && !kind.hides_values()
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
    /// Only what must be there: whatever else an object has is what it has by default.
    Least,
    /// As the least, and all that can be changed is there, as in the first.
    Grown,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::First, Self::Second, Self::Touched, Self::Remade, Self::Least, Self::Grown];
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
        Form::First | Form::Least | Form::Grown => false,
        Form::Second | Form::Touched => !frozen.contains(&names[0].as_str()),
        Form::Remade => frozen.contains(&names[0].as_str()),
    };
    let is_absent = |field: &&Field| match form {
        Form::Least => !field.required,
        Form::Grown => !field.required && frozen.contains(&field.names[0].as_str()),
        _ => false,
    };
    let other = fields.iter().filter(|field| {
        let is_other = field.values.len() > 1 && !field.composite && !field.identity;
        is_other && field.names != ["room"] && is_meant(&field.names)
    });
    let count = if form == Form::Touched { 1 } else { usize::MAX };
    let mut document = other.take(count).fold(document.clone(), |document, field| {
        with(&document, &field.pointer, Some(&field.values[1]))
    });
    for field in fields.iter().filter(is_absent) {
        // It may have been taken out with what it stood in.
        if document.pointer(&field.pointer).is_some() {
            document = with(&document, &field.pointer, None);
        }
    }
    document["metadata"]["name"] = called(kind, name).into();
    if names_room(kind) {
        document["room"] = room.into();
    }
    document
}

/// How many fields of a kind are flags.
pub fn count_of_flags(kind: KindName) -> usize {
    flags(kind).count()
}

fn flags(kind: KindName) -> impl Iterator<Item = &'static Field> {
    let fields = VARIANTS[&kind].fields.iter();
    fields.filter(|field| field.names.len() == 1 && field.values[0].is_boolean())
}

/// The document with flags of its kind as they are drawn; a flag that is not drawn stays as it is.
pub fn with_flags(kind: KindName, document: Value, drawn: &[Option<bool>]) -> Value {
    let drawn = flags(kind).zip(drawn).filter_map(|(field, drawn)| Some((field, (*drawn)?)));
    drawn.fold(document, |document, (field, flag)| {
        with(&document, &field.pointer, Some(&flag.into()))
    })
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
        place_id: None,
        named_id: None,
        changed: &[],
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
        let [first, second, touched, remade, least, grown] = Form::ALL.map(fields);
        assert!(first != second && first != touched && second != remade, "{kind}");
        let is_whole = kind.kind().immutable().is_empty();
        assert_eq!(first == remade, is_whole, "{kind}");
        assert_eq!(first == grown, is_whole, "{kind}");
        assert!(least != grown && least != first, "{kind}");
    }
}

/// What is absent from documents is what the defaults are for.
#[test]
fn the_least_of_a_document_lacks_whatever_need_not_be_there() {
    for kind in all() {
        let least = document(kind, "a", "lobby", Form::Least);
        for field in VARIANTS[&kind].fields.iter().filter(|field| field.names.len() == 1) {
            let is_there = least.pointer(&field.pointer).is_some();
            assert_eq!(is_there, field.required, "{kind} {:?}: {least}", field.names);
        }
    }
    let task = document(KindName::ScheduledTask, "a", "lobby", Form::Least);
    let task = declared(KindName::ScheduledTask, &task).fields;
    let default = json!({"queue": "one queue", "room": "lobby", "schedule": "0 7 * * *"});
    let shape = KindName::ScheduledTask.kind().shape();
    assert_eq!(task.redacted(), shape.read(&default).redacted());
    assert_eq!(count_of_flags(KindName::ScheduledTask), 2);
    assert_eq!(count_of_flags(KindName::Webhook), 0);
    let drawn = with_flags(KindName::ScheduledTask, default, &[None, Some(true)]);
    assert_eq!((drawn.get("active"), &drawn["once"]), (None, &json!(true)));
}
