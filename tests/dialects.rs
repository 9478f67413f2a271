//! Two APIs: which one a platform speaks, what is written in that of 0.56, and how a client of one
//! is stopped on a platform of the other before it writes anything.

mod accounts;
mod agents;
mod answers;
mod crossed;
mod grants;
mod halves;
mod kept;
mod kinds;
mod later;
mod lists;
mod migrate;
mod registry;
mod secrets;
mod stand_in;
mod told;
