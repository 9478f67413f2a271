//! The platform's REST API: requests as values, the client that sends them, the shapes of
//! its documents. Wire types stay here; what people mean by them lives in `kinds`.

pub mod client;
pub mod failure;
pub mod http;
pub mod key;
pub mod newer;
pub mod oauth;
pub mod pace;
pub mod project;
pub mod python_json;
pub mod reader;
pub mod request;
pub mod retry;
pub mod specs;
pub mod spoken;
pub mod token;
pub mod webhook;
