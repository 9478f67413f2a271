//! `mailbox`: addresses whose mail goes to queues in rooms.

use serde_json::Value;

use super::address::Address;
use super::toggle::toggle;
use crate::kinds::KindName;

/// The fields that only a mailbox has.
#[derive(Debug, clap::Args)]
pub struct Mailbox {
    /// The queue that mail is put on
    #[arg(short, long, value_name = "QUEUE")]
    queue: Option<String>,
    #[command(flatten)]
    public: Public,
}

toggle!(
    /// Let anyone write to it, not just members of the room
    Public,
    public,
    "no-public"
);

impl Address for Mailbox {
    const KIND: KindName = KindName::Mailbox;
    const NOUN: &'static str = "mailbox";
    const NOUNS: &'static str = "mailboxes";
    const FIELD: &'static str = "address";
    const FIELDS: &'static str = "addresses";
    const LETTER: char = 'a';
    const VALUE: &'static str = "ADDRESS";
    const TITLE: &'static str = "The mail address";
    const REQUIRED: &'static str = "queue";
    const KEPT: &'static str = "A public mailbox stays public unless --no-public is given, and it stays in its\nroom unless --room names another: MESHAGENT_ROOM does not move it.";

    fn fields(&self) -> Vec<(&'static str, Option<Value>)> {
        vec![
            ("queue", self.queue.clone().map(Value::from)),
            ("public", self.public.given().map(Value::from)),
        ]
    }
}
