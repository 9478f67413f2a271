//! The one integration test binary.

mod jinja;
mod platform;
mod reference;
mod sdk;
