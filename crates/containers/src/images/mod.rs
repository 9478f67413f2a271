//! Images: which there are, where they come from, and where they go.
//!
//! | module | holds |
//! |---|---|
//! | `store` | images that the engine has |
//! | `transfer` | images to and from registries, archives and folders |
//! | `credentials` | who one is for a registry |
//! | `progress` | what an engine says while it works on an image |
//! | `context` | the folder that an image is built of, thing by thing, and as an archive |
//! | `contents` | the same folder in a few bytes, which tell whether it is the same |
//! | `ignored` | what `.dockerignore` leaves out of it |
//!
//! **What must not live here**: containers.

mod contents;
mod context;
mod credentials;
mod ignored;
mod progress;
mod store;
mod transfer;

pub use contents::{Contents, DESCRIPTIONS, Source, usual_description};
pub use context::Bounds;
pub use credentials::Credentials;
pub use progress::{Progress, Step};
pub use store::Image;
pub(crate) use store::digest;
pub use transfer::{Build, Saved};
