//! *Pure*: agents that are described by options: which options there are, what is wrong with them,
//! and the service that they become.
//!
//! | module | holds |
//! |---|---|
//! | `check` | what is wrong with options beside their types |
//! | `command` | commands of containers that run an agent, read back |
//! | `document` | the fields of documents that options stand in |
//! | `family` | the families of agents, and which options their commands have |
//! | `given` | the options that were given |
//! | `managed` | the agent without a container that one becomes where that is asked for |
//! | `multi` | several agents in one service |
//! | `options` | the options, in groups |
//! | `said` | what options say, however they are spelled |
//! | `service` | the service that an agent becomes |
//! | `webserver` | what answers requests by the routes of a file |
//! | `words` | command lines: the words of options, and how a shell reads them |
//!
//! Facts are those of release 0.31.4. Must not live here: how options are parsed and shown in a
//! terminal, which is in `commands`.

pub mod check;
pub mod command;
pub mod document;
pub mod family;
pub mod given;
pub mod managed;
pub mod multi;
pub mod options;
pub mod said;
pub mod service;
pub mod webserver;
pub mod words;
