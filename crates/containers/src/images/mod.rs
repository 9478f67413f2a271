//! Images: which there are, where they come from, and where they go.

mod store;

pub use store::Image;
