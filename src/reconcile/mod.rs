//! The use cases: decide what to do about a set ([`decide()`]), and do it ([`perform()`]). The
//! terminal is one front end; a controller or a program that uses this library is another. All of
//! them can be called many times in one process.
//!
//! Must not live here: anything of one front end. No arguments are parsed, nothing is printed or
//! asked, the process is not ended, and the environment is not read: the caller passes everything,
//! and gets results and messages as data. Files have the names that the reader of the manifests
//! gave them, so a relative name is relative to the working folder.

pub mod accept;
pub mod acceptance;
pub mod approvals;
pub mod back;
pub mod building;
pub mod decide;
pub mod evaluation;
pub mod events;
pub mod health;
pub mod history;
pub mod images;
pub mod known_secrets;
pub mod left_over;
pub mod perform;
pub mod recalled;
pub mod relocate;
pub mod report;
pub mod restarts;
pub mod rules;
pub mod running;
pub mod target;

pub use decide::{Basis, Decision, Guards, decide};
pub use known_secrets::KnownSecrets;
pub use perform::{Performed, Performing, perform};
pub use target::{DEFAULT_SET, Target, unknown_set};
