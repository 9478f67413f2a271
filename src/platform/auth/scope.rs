//! Scopes of participant tokens: the full scope, and whether one scope is within another, because
//! nobody grants more than they have.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Caller, Principal, Role};
use crate::kinds::specs::scope::ApiScope;
use crate::platform::error::{Refusal, Result};

/// The areas that agents have by default, and those that must be granted explicitly.
const USUAL: [&str; 11] = [
    "livekit",
    "queues",
    "messaging",
    "database",
    "memory",
    "sync",
    "storage",
    "containers",
    "developer",
    "agents",
    "services",
];
const OTHERS: [&str; 3] = ["admin", "secrets", "tunnels"];

/// Areas with their defaults, as the SDK writes a full scope into a token.
fn all_of<'a>(names: impl Iterator<Item = &'a &'a str>) -> Value {
    names.map(|name| ((*name).to_owned(), json!({}))).collect::<Map<_, _>>().into()
}

/// Every area.
pub fn every() -> Value {
    all_of(USUAL.iter().chain(&OTHERS))
}

/// Every area but the administration of the room, its secrets and its tunnels.
pub fn usual() -> Value {
    all_of(USUAL.iter())
}

/// A stored scope without its nulls, as tokens carry it.
pub fn present(scope: Value) -> Value {
    match scope {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, present(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(present).collect(),
        other => other,
    }
}

impl Caller {
    /// Refuses a scope that is more than the caller may grant: a participant grants no more than
    /// its own token contains, and a caller who may only create rooms grants nothing beyond the
    /// defaults.
    ///
    /// # Errors
    ///
    /// 403, naming what exceeds it; `whose` says where in the request it is.
    pub fn may_grant(&self, whose: &str, wanted: &ApiScope) -> Result<()> {
        let own = match &self.principal {
            Principal::Participant(participant) => {
                participant.claims.api().cloned().unwrap_or_default()
            }
            Principal::Holder(_) if self.role >= Role::Developer => return Ok(()),
            Principal::Holder(_) => usual(),
        };
        // Areas that a token leaves out have their default, which the type fills in.
        let own: ApiScope = serde_json::from_value(own).unwrap_or_default();
        match beyond(&serde_json::to_value(wanted)?, &serde_json::to_value(&own)?) {
            None => Ok(()),
            Some(what) => Err(Refusal::Forbidden(format!(
                "{whose} grants {what:?}, which is more than the caller has"
            ))),
        }
    }
}

/// The first entry in the scope of a token that another scope does not contain, if there is one.
///
/// # Errors
///
/// 403 if the scope of a token is not a valid scope.
pub fn excess(wanted: &Value, own: Value) -> Result<Option<String>> {
    let unclear = |_| Refusal::Forbidden("the api grant of the token cannot be read".into());
    let wanted = ApiScope::deserialize(wanted).map_err(unclear)?;
    let own: ApiScope = serde_json::from_value(own).unwrap_or_default();
    Ok(beyond(&serde_json::to_value(wanted)?, &serde_json::to_value(own)?))
}

/// The first entry in a scope that another does not contain. Both are complete: a missing entry is
/// null, which means "none" for an area and "any" within an area.
fn beyond(wanted: &Value, own: &Value) -> Option<String> {
    let areas = wanted.as_object()?;
    areas.iter().find_map(|(area, wanted)| match (wanted, &own[area]) {
        (Value::Null, _) => None,
        (_, Value::Null) => Some(area.clone()),
        (wanted, own) => {
            let members = wanted.as_object()?;
            let too_much = members.iter().find(|(name, wanted)| !lies_within(wanted, &own[*name]));
            too_much.map(|(name, _)| format!("{area}.{name}"))
        }
    })
}

fn lies_within(wanted: &Value, own: &Value) -> bool {
    match (wanted, own) {
        (_, Value::Null) => true,
        (Value::Bool(wanted), Value::Bool(own)) => *own || !wanted,
        (Value::Array(wanted), Value::Array(own)) => {
            // If the first match decides, a part of a list may allow more than the whole list, so
            // only lists of names are compared item by item.
            wanted == own || wanted.iter().all(|one| one.is_string() && own.contains(one))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(wanted: Value, own: Value) -> Option<String> {
        let whole = |scope: Value| {
            let scope: ApiScope = serde_json::from_value(scope).expect("a scope");
            serde_json::to_value(scope).expect("JSON")
        };
        beyond(&whole(wanted), &whole(own))
    }

    #[test]
    fn tokens_carry_no_nulls() {
        let scope = json!({"queues": {"send": null, "list": true}, "admin": null});
        assert_eq!(present(scope), json!({"queues": {"list": true}}));
    }

    #[test]
    fn every_area_is_known_and_the_usual_ones_are_some_of_them() {
        let scope: ApiScope = serde_json::from_value(every()).expect("a scope");
        let back = serde_json::to_value(scope).expect("JSON");
        assert!(back.as_object().is_some_and(|members| members.values().all(|one| !one.is_null())));
        assert_eq!(told(usual(), every()), None);
        for area in OTHERS {
            assert_eq!(told(json!({ area: {} }), usual()), Some(area.to_owned()));
        }
    }

    #[test]
    fn what_is_within_is_told_from_what_is_beyond() {
        let path = |path: &str, read_only: bool| json!({"path": path, "read_only": read_only});
        let table = [
            (json!({}), json!({}), None),
            (json!({"queues": {}}), json!({}), Some("queues")),
            (json!({"queues": null}), json!({}), None),
            (json!({"queues": {}}), json!({"queues": {}}), None),
            (json!({"queues": {}}), json!({"queues": {"send": ["a"]}}), Some("queues.send")),
            (json!({"queues": {"send": ["a"]}}), json!({"queues": {"send": ["b", "a"]}}), None),
            (
                json!({"queues": {"send": ["a", "c"]}}),
                json!({"queues": {"send": ["a", "b"]}}),
                Some("queues.send"),
            ),
            (json!({"queues": {"send": []}}), json!({"queues": {"send": ["a"]}}), None),
            (
                json!({"queues": {"list": true}}),
                json!({"queues": {"list": false}}),
                Some("queues.list"),
            ),
            (json!({"queues": {"list": false}}), json!({"queues": {"list": true}}), None),
            // Without the first path, the second would allow writing below it.
            (
                json!({"storage": {"paths": [path("a", false)]}}),
                json!({"storage": {"paths": [path("a/b", true), path("a", false)]}}),
                Some("storage.paths"),
            ),
            (
                json!({"storage": {"paths": [path("a", true)]}}),
                json!({"storage": {"paths": [path("a", true)]}}),
                None,
            ),
            (json!({"admin": {}}), json!({"queues": {}}), Some("admin")),
            (json!({"admin": {"config": false}}), json!({}), Some("admin")),
        ];
        for (wanted, own, beyond) in table {
            assert_eq!(told(wanted.clone(), own.clone()).as_deref(), beyond, "{wanted} in {own}");
        }
    }
}
