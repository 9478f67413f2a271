//! Mailboxes: an address, unique across all projects, whose mail goes to a queue of a room.
//!
//! A mailbox keeps the *name* of its room. Its `room_id` is looked up when it is read, and
//! null while no room has that name.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::columns::Columns;
use super::plain::{self, Draft, Plain, Resource};
use super::{Route, check_annotations};
use crate::kinds::specs::rules;
use crate::platform::auth::Access;
use crate::platform::error::{Refusal, Result};
use crate::platform::objects::mailboxes::DOMAINS;
use crate::platform::objects::{stored, text_of};
use crate::platform::store::of_row;

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/mailboxes";
    const ONE: &str = "/accounts/projects/{project}/mailboxes/{address}";
    const OF_ROOM: &str = "/accounts/projects/{project}/rooms/{room}/mailboxes";
    vec![
        Route::post(ALL, Access::Write, plain::create::<Mailbox>),
        Route::get(ALL, Access::Read, plain::list::<Mailbox>),
        Route::get(OF_ROOM, Access::Read, plain::of_room::<Mailbox>),
        Route::get(ONE, Access::Read, plain::get::<Mailbox>),
        Route::put(ONE, Access::Write, plain::put::<Mailbox>),
        Route::delete(ONE, Access::Write, plain::delete::<Mailbox>),
    ]
}

/// A mailbox that is asked for.
#[derive(Deserialize)]
pub(super) struct NewMailbox {
    address: String,
    room: String,
    queue: String,
    #[serde(default)]
    public: bool,
    annotations: Option<BTreeMap<String, String>>,
}

/// Everything but the address; absent annotations are removed.
#[derive(Deserialize)]
pub(super) struct MailboxBody {
    room: String,
    queue: String,
    #[serde(default)]
    public: bool,
    annotations: Option<BTreeMap<String, String>>,
}

/// A mailbox.
pub(super) struct Mailbox {
    given: String,
    room_name: String,
    room_id: Option<String>,
    queue: String,
    public: bool,
    annotations: String,
}

of_row!(Mailbox { given, room_name, room_id, queue, public, annotations });

impl Resource for Mailbox {
    const TABLE: &'static str = "mailboxes";
    const KEY: &'static str = "address";
    const NOUN: &'static str = "mailbox";
    const TELLS_ROOM_ID: bool = true;
    const ELSEWHERE: Option<&'static str> = Some("the address belongs to another project");

    fn key(given: &str) -> String {
        given.to_lowercase()
    }

    fn whole(&self) -> Result<Value> {
        Ok(json!({
            "address": self.given,
            "room": self.room_name,
            "room_id": self.room_id,
            "queue": self.queue,
            "public": self.public,
            "annotations": stored(&self.annotations)?,
        }))
    }
}

impl Plain for Mailbox {
    type New = NewMailbox;
    type Change = MailboxBody;

    fn create(new: NewMailbox) -> Result<(String, Draft)> {
        let address = rules::address(&new.address).map_err(Refusal::at("address"))?;
        rules::served(&address, &DOMAINS).map_err(Refusal::at("address"))?;
        let NewMailbox { room, queue, public, annotations, .. } = new;
        let mut draft = Self::change(MailboxBody { room, queue, public, annotations })?;
        draft.columns = draft.columns.text("given", new.address);
        draft.taken = format!("the address {address:?} is taken");
        Ok((address, draft))
    }

    fn change(body: MailboxBody) -> Result<Draft> {
        rules::name(&body.queue).map_err(Refusal::at("queue"))?;
        check_annotations(body.annotations.as_ref())?;
        let columns = Columns::default()
            .text("room_name", body.room.clone())
            .text("queue", body.queue)
            .flag("public", body.public)
            .text("annotations", text_of(body.annotations.as_ref())?);
        Ok(Draft { columns, room: Some(("room", body.room)), taken: String::new() })
    }
}
