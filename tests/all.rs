//! The one integration test binary.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests tell what they skip")]

mod jinja;
mod platform;
mod reconciler;
mod reference;
mod registry;
mod sdk;
