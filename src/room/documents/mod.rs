//! Documents that several edit at once: what may be in them, what is in them, and what their updates
//! are. A room and its clients share this.
//!
//! | module | holds |
//! |---|---|
//! | `built_in` | the schemas that need not be given |
//! | `edit` | the smallest edit that makes a document what it should be |
//! | `grep` | which elements of a document a pattern matches |
//! | `schema` | what a document may contain |
//! | `shape` | a document as JSON, and JSON as a document |
//! | `update` | whether an update can be applied without harm |
//!
//! Must not live here: how a document is kept, which is the platform's; how one is opened in a room,
//! which is in [`super::sync`].

mod built_in;
pub mod edit;
pub mod grep;
pub mod schema;
pub mod shape;
pub mod update;

use yrs::{ClientID, Doc, Options};

/// A new document. Its writer gets a number of 32 bits, as in Yjs: clients in Python cannot use the
/// greater ones that the library would draw. It changes nothing by itself.
#[must_use]
pub fn new() -> Doc {
    let options = Options::with_client_id(ClientID::new(u64::from(fastrand::u32(..))));
    Doc::with_options(Options { cleanup_formatting: false, ..options })
}
