//! `GET /config`: a description of this platform, which needs no credential: clients look here which
//! API is spoken before they send one. The public SDK 0.31 does not use it.

use axum::extract::State;
use serde_json::json;

use super::Route;
use crate::platform::auth::{Access, token};
use crate::platform::exchange::Answer;
use crate::platform::objects::mailboxes::DOMAINS;
use crate::platform::{App, Serves};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/config", Access::Open, config)]
}

/// `api_version` is the release of the public SDK that the platform is held to by those who speak
/// both APIs, `api_versions` all that it is held to, and `rules_of_form` says that it refuses what breaks [`crate::kinds::specs::rules`]. Clients of 0.56
/// need `domains`; they take `version` for the release of a hosted platform, so there is none.
async fn config(State(app): State<App>) -> Answer {
    let served: &[&str] = match app.serves() {
        Serves::Old => &[token::VERSION],
        Serves::New => &[token::LATER],
        Serves::Both => &[token::VERSION, token::LATER],
    };
    Answer::json(&json!({
        "name": "meshagent",
        "api_version": served[0],
        "api_versions": served,
        "embedded": true,
        "domains": {"mail": DOMAINS[0]},
        "mail_domains": DOMAINS,
        "rules_of_form": true,
    }))
}
