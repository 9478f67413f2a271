//! The one integration test binary.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests tell what they skip")]

mod accept;
mod apply;
mod around;
mod auth;
mod bounds;
mod claims;
mod cli;
mod commands;
mod documented;
mod drift;
mod edit;
mod exit_codes;
mod export;
mod helper;
mod hostile;
mod ignore;
mod jinja;
mod keys;
mod lease;
mod lifecycle;
mod markdown;
mod moving;
mod planning;
mod platform;
mod policy;
mod properties;
mod pruning;
mod reading;
mod readme;
mod reconciler;
mod reference;
mod registry;
mod renames;
mod rules;
mod saved;
mod scenarios;
mod schemas;
mod sdk;
mod secrets;
mod sets;
mod shortcuts;
mod shown;
mod strangers;
mod usage;
