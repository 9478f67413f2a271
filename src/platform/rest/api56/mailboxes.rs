//! Mailboxes, whose lists have pages. Everything else about them is as in 0.31.

use super::super::mailboxes::Mailbox;
use super::Route;
use super::page::{self, Filtered};
use crate::platform::auth::Access;

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/mailboxes";
    const OF_ROOM: &str = "/accounts/projects/{project}/rooms/{room}/mailboxes";
    vec![
        Route::get(ALL, Access::Read, page::list::<Mailbox>),
        Route::get(OF_ROOM, Access::Read, page::of_room::<Mailbox>),
    ]
}

impl Filtered for Mailbox {
    const FILTER: &'static str = "mailboxes.address";
}
