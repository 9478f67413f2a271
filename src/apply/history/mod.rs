//! The last states that a set was brought to, kept beside its inventory in the project's storage.
//!
//! Lives here: what is kept of a run (`index`), how it is read (`store`), and how it is written
//! once a run is over (`keep`). Must not: how a set goes back to a state, which is decided as every
//! plan is.
//!
//! Files are `.meshagent/history/SET/index.json`, a list of the runs, and
//! `.meshagent/history/SET/NUMBER.json`, a state with the plan that led to it. Not every platform
//! can delete files, so those of states that are not kept any more are written again. A state is
//! written before the list names it, and the list names it with its digest: a run that is cut off
//! between the two leaves the list as it was. Both are written with the revisions that the list has
//! or was read with, as the inventory is, so a run that comes too late overwrites nothing.
//!
//! The list is read while the run goes on, under its leases, and the state is written while the
//! inventory is; the list names it once the inventory has what it has.
//!
//! In a set of several projects, each project keeps the states of its own part, under the same
//! numbers: its part in a state is the newest one with at most that number.

mod index;
mod keep;
mod store;

pub use index::{Index, MOST_KEPT, Record};
pub(super) use keep::After;
pub use keep::{Author, CiRun, Commit, Ended, Occasion, What};
pub use store::{PastState, copy, index, state};
