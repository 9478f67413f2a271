//! `meshagent`: a declarative reconciler for MeshAgent projects, and an embedded platform.
//!
//! The map of the house. Dependencies run downward only; what is marked *pure* does no
//! input or output and has no async. `tests/layers.rs` holds the map to that.
//!
//! | module | holds |
//! |---|---|
//! | [`commands`] | one file a command of the terminal: its arguments beside the code that runs them |
//! | [`connection`] | the platform that is meant, connected; an embedded one is started |
//! | [`platform`] | the embedded platform; stands beside `commands` and never imports them |
//! | [`agents`] | what works in rooms, and the host that lets it be called there |
//! | [`apply`] | observe the platform, execute a plan, the inventory of a set |
//! | [`plan`] | *pure*: desired and observed become a plan; how a plan reads |
//! | [`settings`] | flags, environment and files, resolved once |
//! | [`manifest`] | files become documents with positions; templates; validation; the set |
//! | [`kinds`] | *pure*: one file a kind: its fields, key, references and requests |
//! | [`room`] | what goes over a room's websocket: messages and the client |
//! | [`api`] | requests as values, the client that sends them, the platform's own shapes |
//! | [`serving`] | connections: how many, how long, and how they end; for everything that listens |
//! | [`own_folder`] | folders for the program's own files, which stay out of Git |
//! | [`bounded`] | how files are read: up to a limit, and nothing that makes one wait |
//! | [`notice`] | what goes wrong often is logged once |
//! | [`limited`] | work that has a known stack, and an end |
//! | [`output`] | the one printer |
//! | [`conceal`] | *pure*: what is known to be a credential is taken out of what is told |
//! | [`listed`] | *pure*: names in a sentence, as many as anybody reads, and which one was meant |
//! | [`decoding`] | *pure*: what serde's messages tell beside their words |
//! | [`error`] | classes of error, their hints, their exit codes |
//! | [`visible`] | *pure*: how text from outside is shown, on every way out |
//! | [`meshagent_jinja`] | *pure*: a crate of its own, `crates/jinja`: the platform's templates |
//!
//! Invariants: the planner decides and the executor obeys; there is one write path;
//! standard output is data; a secret's text never enters a plan, a report or a message; text
//! from outside leaves as [`visible`] shows it.

pub mod agents;
pub mod api;
pub mod apply;
pub mod bounded;
pub mod commands;
pub mod conceal;
pub mod connection;
pub mod decoding;
pub mod error;
pub mod kinds;
pub mod limited;
pub mod listed;
pub mod manifest;
pub mod notice;
pub mod output;
pub mod own_folder;
pub mod plan;
pub mod platform;
pub mod room;
pub mod serving;
pub mod settings;
pub mod visible;
