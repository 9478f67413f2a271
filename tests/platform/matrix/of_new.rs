//! The routes of 0.56, and the credentials that only it makes: the keys of service accounts.

use std::collections::{BTreeMap, BTreeSet};

use meshagent::api::spoken::Spoken;
use meshagent::platform::Platform;
use serde_json::json;

use super::super::harness::token;
use super::{Asks, Credentials, Row, Worth, listed};

/// What the routes ask that 0.56 spells otherwise, or alone has.
const TABLE_OF_NEW: &str = include_str!("routes56.txt");

/// Every route of 0.56: what its table says, and otherwise what the route asks in 0.31.
pub fn rows() -> Vec<Row> {
    let mut rows = listed(TABLE_OF_NEW, Spoken::V0_56);
    let old: BTreeMap<String, Asks> =
        super::rows().iter().map(|row| (row.to_string(), row.asks)).collect();
    let listed: BTreeSet<String> = rows.iter().map(Row::to_string).collect();
    let served = Platform::routes_of(Spoken::V0_56).into_iter().filter_map(|route| {
        let (method, path) = (route.method.to_string(), route.path.to_owned());
        let key = format!("{method} {path}");
        let asks = *old.get(&key).filter(|_| !listed.contains(&key))?;
        Some(Row { asks, method, path, spoken: Spoken::V0_56 })
    });
    rows.extend(served);
    rows
}

impl Credentials {
    /// Keys of service accounts, which are worth what their accounts were granted.
    pub async fn accounts(&mut self) {
        for (name, role, worth) in [
            ("nothing", None, Worth::Elsewhere),
            ("reading", Some("llm_proxy_user"), Worth::Member),
            ("rooms", Some("room_creator"), Worth::RoomCreator),
            ("building", Some("developer"), Worth::Developer),
            ("all", Some("admin"), Worth::Admin),
        ] {
            let (id, key) = self.server.account(name).await;
            if let Some(role) = role {
                self.server.granted(&id, role).await;
            }
            let full = token(&key, json!({"admin": {}, "queues": {}}));
            let most = if worth > Worth::Developer { Worth::Developer } else { worth };
            let most = if worth == Worth::Elsewhere { Worth::Nothing } else { most };
            self.add(&format!("a token of an account with {name}"), full, most);
            self.add(&format!("the key of an account with {name}"), key, worth);
        }
        let (id, key) = self.server.account("gone").await;
        self.server.granted(&id, "admin").await;
        let full = token(&key, json!({"admin": {}}));
        let path = format!("/service-accounts/{id}");
        self.server.own("DELETE", &path).send().await.expect(204);
        self.add("the key of an account that is gone", key, Worth::Nothing);
        self.add("a token of an account that is gone", full, Worth::Nothing);
    }
}

#[test]
fn the_table_of_0_56_has_every_route_and_no_other() {
    let listed: Vec<String> = rows().iter().map(Row::to_string).collect();
    let unique: BTreeSet<&String> = listed.iter().collect();
    assert_eq!(unique.len(), listed.len(), "a route is listed twice");
    let served = Platform::routes_of(Spoken::V0_56);
    let served: BTreeSet<String> =
        served.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    let served: BTreeSet<&String> = served.iter().collect();
    let unlisted: Vec<_> = served.difference(&unique).collect();
    assert!(unlisted.is_empty(), "say in matrix/routes56.txt what these ask for: {unlisted:#?}");
    let unserved: Vec<_> = unique.difference(&served).collect();
    assert!(unserved.is_empty(), "these are served no more: {unserved:#?}");
}
