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
//! | a service with fields that 0.31 has not, or a container whose template is not `none` | 0.31 shows what it can say, and cannot change it |
//! | a service with fields that 0.56 has no more, such as `container.secrets` | 0.56 shows the rest, and cannot change it, unless it gives the container an account in place of project secrets |
//! | a service that is not enabled | 0.31 does not tell; it runs in no room |
//! | a task with a container | 0.31 shows an empty queue, and cannot change it |
//! | a task that runs more often than every 15 minutes | 0.56 does not list it: its clients could read no list with it |
//! | a managed agent | 0.31 has none, and does not see it |
//! | a task without a room that exists | 0.56 shows it with an empty `room_id` |
//! | secrets, webhooks, grants of rooms and settings of 0.31 | 0.56 has others, and does not see these |
//!
//! Lives here: what 0.56 has and 0.31 has not. What both spell alike stays in `rest`, beside what
//! 0.56 has no more. Lists are in pages, which `page` makes; what has an id and a name
//! is read by `named`.

mod held;
mod named;
mod page;
mod route_spec;
mod service_spec;

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
    profiles,
    rooms,
    sessions,
    mailboxes,
    routes,
    services,
    tasks,
    accounts,
    secrets,
    versions,
    proxies,
    settings,
    iam,
    groups,
    access,
    volumes,
    domains,
    tokens,
    agents,
}
