//! Mailboxes as mail sees them: whose they are, and the queue that their mail goes into.

use sqlx::SqlitePool;

use crate::kinds::specs::rules;
use crate::platform::error::Result;
use crate::platform::store::{of_row, select};

/// The domains in which mailboxes may be created.
pub const DOMAINS: [&str; 3] = ["mail.meshagent.com", "mail.meshagent.life", "mail.localhost"];

/// A mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Its address as it is compared.
    pub address: String,
    /// Its address as it was created.
    pub given: String,
    /// Its project.
    pub project: String,
    /// The name of its room.
    pub room_name: String,
    /// The id of the room, if there is one of that name.
    pub room_id: Option<String>,
    /// The queue that its mail goes into.
    pub queue: String,
    /// Whether that queue is closed.
    pub is_closed: bool,
    /// Whether it takes mail from anybody.
    pub public: bool,
}

of_row!(Mailbox {
    address,
    given,
    project = "project_id",
    room_name,
    room_id,
    queue,
    is_closed,
    public
});

impl Mailbox {
    /// The mailbox with an address, whatever its case.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn at(reads: &SqlitePool, address: &str) -> Result<Option<Self>> {
        let Ok(address) = rules::address(address) else { return Ok(None) };
        select(
            "SELECT mailboxes.address, given, mailboxes.project_id, room_name, rooms.id AS room_id, \
             queue, COALESCE(queues.is_closed, FALSE) AS is_closed, public FROM mailboxes \
             LEFT JOIN rooms ON rooms.project_id = mailboxes.project_id \
             AND rooms.name = mailboxes.room_name \
             LEFT JOIN queues ON queues.room_id = rooms.id AND queues.name = mailboxes.queue \
             WHERE mailboxes.address = $1",
        )
        .bind(&address)
        .find(reads)
        .await
    }
}

/// Whether mail for an address stays on this platform, whether or not there is such a mailbox.
pub fn is_served(address: &str) -> bool {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    DOMAINS.iter().any(|served| served.eq_ignore_ascii_case(domain))
}
