//! `route`: domains that lead to published ports of rooms.

use serde_json::Value;

use super::address::Address;
use crate::kinds::KindName;
use crate::output;
use crate::settings::variable;

/// The fields that only a route has.
#[derive(Debug, clap::Args)]
pub struct Route {
    /// The published port of a service in the room
    #[arg(short, long, value_name = "PORT")]
    port: Option<String>,
}

impl Address for Route {
    const KIND: KindName = KindName::Route;
    const NOUN: &'static str = "route";
    const NOUNS: &'static str = "routes";
    const FIELD: &'static str = "domain";
    const FIELDS: &'static str = "domains";
    const LETTER: char = 'd';
    const VALUE: &'static str = "DOMAIN";
    const TITLE: &'static str = "The domain";
    const REQUIRED: &'static str = "port";
    const KEPT: &'static str =
        "A route stays in its room unless --room names another: MESHAGENT_ROOM does not move it.";

    fn fields(&self) -> Vec<(&'static str, Option<Value>)> {
        vec![("port", self.port.clone().map(Value::from))]
    }

    /// Warns if the platform does not serve the domain by itself.
    fn warn(domain: &str) {
        let suffix = variable("MESAHGENT_APP_DOMAIN_SUFFIX");
        let suffix = suffix.as_deref().unwrap_or(".meshagent.app");
        if !domain.to_lowercase().ends_with(suffix) {
            output::warning(&format!(
                "{domain} does not end with {suffix}: the platform may not serve it"
            ));
        }
    }
}
