//! The one integration test binary.

mod jinja;
mod reference;
