//! The use cases: decide what is to become of a set ([`decide()`]), and make it so
//! ([`perform()`]). The terminal is one front end of them; a controller or a program that uses
//! this library is another. All of them can be called many times in one process.
//!
//! Must not live here: anything of one front end. No arguments are parsed, nothing is printed or
//! asked, the process is not ended, and the environment is not read: whoever calls says what is
//! meant, and gets what there is to tell as data. Files are called as whoever read the manifests
//! called them, so a relative name is one below the working folder.

pub mod accept;
pub mod acceptance;
pub mod decide;
pub mod evaluation;
pub mod events;
pub mod known_secrets;
pub mod left_over;
pub mod perform;
pub mod relocate;
pub mod report;
pub mod rules;
pub mod target;

pub use decide::{Basis, Decision, Guards, decide};
pub use known_secrets::KnownSecrets;
pub use perform::{Performed, Performing, perform};
pub use target::{DEFAULT_SET, Target, unknown_set};
