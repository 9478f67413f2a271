//! Sources: manifests from elsewhere, which the project file names and `meshagent.lock` pins.
//!
//! Lives here: what a source is, the lock, the cache, and how sources are fetched from Git
//! repositories, archives and registries. Must not: what documents mean, and what is asked of the
//! platform.
//!
//! Whoever wrote a source is a stranger, and so may be whoever proposes a change of the project file
//! or the lock. So nothing of a source is run, what is fetched is bounded and checked by its digest,
//! and a plan never moves a pin.

pub mod archive;
pub mod cache;
pub mod changes;
mod download;
pub mod entry;
pub mod fetch;
pub mod git;
mod local;
pub mod lock;
mod registry;

pub use entry::{Entry, Origin};
pub use lock::{Lock, Pin};
