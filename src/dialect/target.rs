//! The data that requests are made from and that answers are read into.

use serde_json::Value;

use crate::api::request::{Listing, Request};
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::tree::Tree;
use crate::kinds::{Asked, Key, KindName};

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

/// The data of a write.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    /// The project's id; empty when a project is created.
    pub project: &'a str,
    /// The name of the place, for what is in one: of the room, or of the service account.
    pub room: Option<&'a str>,
    /// The platform's id of the place, where that is known.
    pub place_id: Option<&'a str>,
    /// The platform's id of the object that the name names, where that is known; see
    /// [`crate::kinds::Kind::named_in`].
    pub named_id: Option<&'a str>,
    /// The natural key.
    pub name: &'a str,
    /// The platform's id, once the object exists and its kind has one.
    pub id: Option<&'a str>,
    /// The fields, with references as the wire wants them.
    pub fields: &'a Tree,
    /// The set to write into the owner annotation, where the kind carries annotations.
    pub owner: Option<&'a str>,
    /// What [`super::Spelling::sent_back`] kept of the platform's answer when the object was
    /// observed.
    pub answered: Option<Value>,
    /// The fields that differ from what there is; none of an object that is created.
    pub changed: &'a [FieldPath],
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
            room: key.place(),
            place_id: None,
            named_id: None,
            name: &key.name,
            id,
            fields: &Tree::Null,
            owner: None,
            answered: None,
            changed: &[],
            removed: &[],
            asked: &Asked::NOTHING,
        }
    }

    /// Whether a top-level field is to be sent, where the platform leaves alone what is not.
    pub fn sends(&self, field: &str) -> bool {
        let is_field = |path: &FieldPath| path.0.first() == Some(&Step::Field(field.to_owned()));
        self.asked.only.as_ref().is_none_or(|only| only.iter().any(is_field))
    }
}

/// What goes with an object that is deleted and is no object itself.
#[derive(Debug, Clone)]
pub struct GoesWith {
    /// What one of it is called.
    pub one: &'static str,
    /// What several are called.
    pub several: &'static str,
    /// The list that has it.
    pub listing: Listing,
    /// The kind of which an item of the list may be an object that somebody declares.
    pub kind: Option<KindName>,
    /// The room in which an item of the list is, if it is in one.
    pub room: fn(&Value) -> Option<&str>,
    /// What an item of the list is called, if it goes with the object of this id.
    pub named: fn(&Value, Option<&str>) -> Option<String>,
}

/// How one object is read again.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// It is answered by itself, below this field of the answer where there is one.
    One(Request, Option<&'static str>),
    /// It is found by its name in a list.
    Among(Listing),
}
