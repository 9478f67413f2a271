//! The platform's REST API: requests as values, and the client that sends them. What documents
//! mean lives in `kinds`, and how an API spells them in `dialect`.

pub mod client;
pub mod credentials;
pub mod detect;
pub mod failure;
pub mod http;
pub mod inside;
pub mod key;
pub mod oauth;
pub mod other_api;
pub mod pace;
pub mod post;
pub mod project;
pub mod python_json;
pub mod reader;
pub mod request;
pub mod retry;
pub mod spoken;
pub mod token;
pub mod unanswered;
pub mod webhook;
