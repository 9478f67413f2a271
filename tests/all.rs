//! The one integration test binary.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests tell what they skip")]

mod apply;
mod cli;
mod hostile;
mod jinja;
mod platform;
mod readme;
mod reference;
mod schemas;
mod sdk;
