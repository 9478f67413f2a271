//! `GET /config`: a description of this platform. This is an extension; the public SDK does not
//! use it.

use serde_json::json;

use super::Route;
use crate::platform::auth::{Access, token};
use crate::platform::exchange::Answer;

/// The domains in which mailboxes may be created.
pub(super) const MAIL_DOMAINS: [&str; 3] =
    ["mail.meshagent.com", "mail.meshagent.life", "mail.localhost"];

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/config", Access::Signed, config)]
}

/// `api_version` is the release of the public SDK that the platform is held to, and
/// `rules_of_form` says that it refuses what breaks [`crate::kinds::specs::rules`].
async fn config() -> Answer {
    Answer::json(&json!({
        "name": "meshagent",
        "version": env!("CARGO_PKG_VERSION"),
        "api_version": token::VERSION,
        "embedded": true,
        "mail_domains": MAIL_DOMAINS,
        "rules_of_form": true,
    }))
}
