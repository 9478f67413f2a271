//! `GET /config`: a description of this platform, which needs no credential: clients look here which
//! API is spoken before they send one. The public SDK 0.31 does not use it.

use serde_json::json;

use super::Route;
use crate::platform::auth::{Access, token};
use crate::platform::exchange::Answer;

/// The domains in which mailboxes may be created.
pub(super) const MAIL_DOMAINS: [&str; 3] =
    ["mail.meshagent.com", "mail.meshagent.life", "mail.localhost"];

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/config", Access::Open, config)]
}

/// `api_version` is the release of the public SDK that the platform is held to, and
/// `rules_of_form` says that it refuses what breaks [`crate::kinds::specs::rules`]. Clients of 0.56
/// need `domains`; they take `version` for the release of a hosted platform, so there is none.
async fn config() -> Answer {
    Answer::json(&json!({
        "name": "meshagent",
        "api_version": token::VERSION,
        "embedded": true,
        "domains": {"mail": MAIL_DOMAINS[0]},
        "mail_domains": MAIL_DOMAINS,
        "rules_of_form": true,
    }))
}
