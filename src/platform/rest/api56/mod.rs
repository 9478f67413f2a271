//! What release 0.56.0 of the public SDK spells otherwise than 0.31: one file per resource, and the
//! table of its routes. The rows are the same ones.
//!
//! What one API cannot say of a row that the other wrote is kept, and never damaged: such a row is
//! shown as far as the API can, and an update that would lose the rest of it is refused with 409.
//!
//! | row | in the other API |
//! |---|---|
//! | a room that is disabled | 0.31 does not tell, and leaves it so; nobody enters it |
//! | a route with more than one plain path `/` to a port | 0.31 shows the room and the first port, and cannot change it |
//! | a task without a room that exists | 0.56 shows it with an empty `room_id` |
//!
//! Lives here: what 0.56 has and 0.31 has not. What both spell alike stays in `rest`, beside what
//! 0.56 has no more. Lists are in pages, which `page` makes.

mod page;
mod route_spec;

use super::Route;
use crate::platform::error::{Refusal, Result};

/// Makes the modules of the resources, and the table of their routes.
macro_rules! resources {
    ($($module:ident,)+) => {
        $(pub(super) mod $module;)+

        /// Every route that 0.56 has in its own spelling.
        pub fn routes() -> Vec<Route> {
            [$($module::routes()),+].into_iter().flatten().collect()
        }
    };
}

resources! {
    whoami,
    projects,
    rooms,
    mailboxes,
    routes,
}
