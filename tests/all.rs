//! The one integration test binary.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests tell what they skip")]

mod apply;
mod cli;
mod export;
mod jinja;
mod platform;
mod policy;
mod properties;
mod readme;
mod reconciler;
mod reference;
mod registry;
mod scenarios;
mod schemas;
mod sdk;
mod secrets;
