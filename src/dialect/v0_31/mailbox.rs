//! `Mailbox` on the wire.

use serde_json::{Value, json};

use crate::api::request::{Listing, Paging, Request};
use crate::dialect::fields::{annotated, annotations, own_spelling, spelled, text_of};
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target};
use crate::kinds::KindName;
use crate::kinds::shape::Shape;
use crate::kinds::tree::Tree;

fn shape() -> &'static Shape {
    KindName::Mailbox.kind().shape()
}

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Mailbox { paging: Paging::Whole });

/// The spelling.
pub struct Mailbox {
    /// How the list of a project is divided into pages.
    pub paging: Paging,
}

impl Spelling for Mailbox {
    fn collection(&self) -> Collection {
        Collection { paging: self.paging, ..Collection::plain("mailboxes") }
    }

    /// Where lists have pages, that of one room is divided by other parameters, and is no shorter to
    /// read.
    fn list_naming(&self, project: &str, room: &str) -> Option<Listing> {
        let request = Request::get(&["accounts", "projects", project, "rooms", room, "mailboxes"]);
        let listing =
            Listing { request, envelope: "mailboxes", paging: Paging::Whole, below: None };
        (self.paging == Paging::Whole).then_some(listing)
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let (metadata, owner) = annotated(item);
        let fields = shape().read(&json!({
            "metadata": metadata,
            "room": item.get("room"),
            "queue": item.get("queue"),
            "public": item.get("public"),
        }));
        Ok(Seen {
            name: KindName::Mailbox.kind().natural_name(&text_of(item, "address")?),
            id: None,
            owner,
            fields,
        })
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        let path = ["accounts", "projects", target.project, "mailboxes", self.segment(target)?];
        Some(Lookup::One(Request::get(&path), Some("mailbox")))
    }

    fn sent_back(&self, item: &Value) -> Option<Value> {
        own_spelling(KindName::Mailbox, item, "address")
    }

    fn segment<'a>(&self, target: &'a Target<'_>) -> Option<&'a str> {
        Some(spelled(target, "address"))
    }

    fn body(&self, target: &Target<'_>) -> Value {
        let fields = target.fields;
        let public = matches!(fields.get("public"), Some(Tree::Bool(true)));
        json!({
            "room": fields.sent("room"),
            "queue": fields.sent("queue"),
            "public": public,
            "annotations": annotations(target),
        })
    }

    fn new_body(&self, target: &Target<'_>) -> Value {
        let mut body = self.body(target);
        body["address"] = target.name.into();
        body
    }

    fn created_id(&self, _answer: &Value) -> Option<String> {
        None
    }
}
