//! *Pure*: recognizes answers of a platform that speaks a newer API than this program.
//!
//! A newer platform may answer the requests of an older client in a misleading way: a list may be
//! only the first page, or an object may have fields that an update would drop. So each list is
//! checked before it is used.

use serde_json::Value;

/// The fields that only objects of a newer API have, by the list that they are in.
const FIELDS: [(&str, &[&str]); 3] = [
    ("routes", &["/spec"]),
    ("tasks", &["/spec"]),
    ("services", &["/enabled", "/run_as", "/container/template"]),
];

/// The field that says where the next page of a list begins.
const TOKEN: &str = "continuation_token";

/// What to do about it.
pub const HINT: &str = "use a newer meshagent: this one speaks the API of release 0.31";

/// How an answer shows that the rest of its list is elsewhere, or that its objects have another
/// form; `None` if it does not.
#[must_use]
pub fn sign(answer: &Value, envelope: &str) -> Option<String> {
    if answer.get(TOKEN).is_some_and(|token| !token.is_null()) {
        return Some("returned only the first page of its list".to_owned());
    }
    let items = answer.get(envelope)?.as_array()?;
    items.iter().find_map(|item| sign_of_item(item, envelope))
}

/// How one object of a list, or one that was requested alone, shows it.
#[must_use]
pub fn sign_of_item(item: &Value, envelope: &str) -> Option<String> {
    let (_, fields) = FIELDS.iter().find(|(list, _)| *list == envelope)?;
    let field = fields.iter().find(|field| item.pointer(field).is_some())?;
    let field = field.trim_start_matches('/').replace('/', ".");
    Some(format!("returned {envelope} in another form (with `{field}`)"))
}

/// How many objects a list has in all, if its answer says so.
#[must_use]
pub fn total(answer: &Value) -> Option<usize> {
    let total = answer.get("total")?.as_u64().filter(|total| *total > 0)?;
    usize::try_from(total).ok()
}

/// How a list shows it that has fewer objects than it says.
#[must_use]
pub fn short(envelope: &str, shown: usize, total: usize) -> String {
    format!("returned {shown} of {total} {envelope}")
}

/// Whether an answer says itself that nothing follows it.
#[must_use]
pub fn says_it_is_the_last(answer: &Value) -> bool {
    answer.get(TOKEN).is_some_and(Value::is_null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_newer_platform_is_known_by_its_tokens_and_forms() {
        for (envelope, answer, shows) in [
            ("mailboxes", json!({"mailboxes": [], "continuation_token": "t"}), true),
            ("mailboxes", json!({"mailboxes": [], "continuation_token": ""}), true),
            ("mailboxes", json!({"mailboxes": [], "continuation_token": null}), false),
            ("routes", json!({"routes": [{"domain": "a"}, {"domain": "b", "spec": {}}]}), true),
            ("routes", json!({"routes": [{"domain": "a", "port": "1"}]}), false),
            ("tasks", json!({"tasks": [{"id": "a", "spec": null}]}), true),
            ("services", json!({"services": [{"id": "a", "enabled": true}]}), true),
            ("services", json!({"services": [{"id": "a", "run_as": null}]}), true),
            ("services", json!({"services": [{"container": {"template": "agent"}}]}), true),
            ("services", json!({"services": [{"container": {"image": "i"}}]}), false),
            ("webhooks", json!({"webhooks": [{"spec": {}, "enabled": true}]}), false),
        ] {
            assert_eq!(sign(&answer, envelope).is_some(), shows, "{envelope} {answer}");
        }
    }

    #[test]
    fn a_total_of_nothing_tells_nothing() {
        assert_eq!(total(&json!({"total": 5})), Some(5));
        for answer in [json!({}), json!({"total": 0}), json!({"total": "5"}), json!({"total": -1})]
        {
            assert_eq!(total(&answer), None, "{answer}");
        }
    }
}
