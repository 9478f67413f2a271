//! *Pure*: recognizes answers of a platform that speaks another API than it was asked in.
//!
//! What a platform said of itself may be wrong, or it may have been upgraded since. A newer one may
//! answer the requests of an older API in a misleading way: a list may be only the first page, or an
//! object may have fields that an update would drop. An older one ignores what it does not know. So
//! each list is checked before it is used.

use serde_json::Value;

use super::spoken::Spoken;

/// How the objects of a list show that they are of the other API.
struct Form {
    /// The list, by the field that it is in.
    envelope: &'static str,
    /// The fields that only objects of 0.56 have.
    new: &'static [&'static str],
    /// The fields that only objects of 0.31 have.
    old: &'static [&'static str],
    /// The field that all objects of 0.56 have.
    always: Option<&'static str>,
}

const FORMS: [Form; 3] = [
    Form { envelope: "routes", new: &["/spec"], old: &[], always: Some("/spec") },
    Form { envelope: "tasks", new: &["/spec"], old: &[], always: Some("/spec") },
    Form {
        envelope: "services",
        new: &["/enabled", "/run_as", "/container/template", "/container/run_as"],
        old: &["/container/secrets", "/container/api_key"],
        always: None,
    },
];

/// The field that says where the next page of a list begins.
pub const TOKEN: &str = "continuation_token";

/// What to do about it.
pub const HINT: &str =
    "run it again; if that changes nothing, say which API the platform speaks with --dialect";

/// How an answer shows that the rest of its list is elsewhere, or that its objects have another
/// form; `None` if it does not.
#[must_use]
pub fn sign(spoken: Spoken, answer: &Value, envelope: &str) -> Option<String> {
    if spoken == Spoken::V0_31 && token(answer).is_some() {
        return Some("returned only the first page of its list".to_owned());
    }
    let items = answer.get(envelope)?.as_array()?;
    items.iter().find_map(|item| sign_of_item(spoken, item, envelope))
}

/// How one object of a list, or one that was requested alone, shows it.
#[must_use]
pub fn sign_of_item(spoken: Spoken, item: &Value, envelope: &str) -> Option<String> {
    let form = FORMS.iter().find(|form| form.envelope == envelope)?;
    let shown = |how: &str, field: &str| {
        let field = field.trim_start_matches('/').replace('/', ".");
        Some(format!("returned {envelope} in another form ({how} `{field}`)"))
    };
    let has = |field: &&&str| item.pointer(field).is_some();
    match spoken {
        Spoken::V0_31 => form.new.iter().find(has).and_then(|field| shown("with", field)),
        Spoken::V0_56 => {
            let old = form.old.iter().find(has).and_then(|field| shown("with", field));
            let lacks = |field: &&str| item.pointer(field).is_none();
            old.or_else(|| form.always.filter(lacks).and_then(|field| shown("without", field)))
        }
    }
}

/// The token of the page after this one, if there is one.
#[must_use]
pub fn token(answer: &Value) -> Option<&Value> {
    answer.get(TOKEN).filter(|token| !token.is_null())
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
    fn a_platform_of_the_other_api_is_known_by_its_tokens_and_forms() {
        let old = json!({"services": [{"container": {"image": "i", "secrets": null}}]});
        for (envelope, answer, in_old, in_new) in [
            ("mailboxes", json!({"mailboxes": [], "continuation_token": "t"}), true, false),
            ("mailboxes", json!({"mailboxes": [], "continuation_token": ""}), true, false),
            ("mailboxes", json!({"mailboxes": [], "continuation_token": null}), false, false),
            (
                "routes",
                json!({"routes": [{"domain": "a"}, {"domain": "b", "spec": {}}]}),
                true,
                true,
            ),
            ("routes", json!({"routes": [{"domain": "b", "spec": {}}]}), true, false),
            ("routes", json!({"routes": [{"domain": "a", "port": "1"}]}), false, true),
            ("tasks", json!({"tasks": [{"id": "a", "spec": null}]}), true, false),
            ("tasks", json!({"tasks": [{"id": "a"}]}), false, true),
            ("services", json!({"services": [{"id": "a", "enabled": true}]}), true, false),
            ("services", json!({"services": [{"id": "a", "run_as": null}]}), true, false),
            ("services", json!({"services": [{"container": {"template": "agent"}}]}), true, false),
            ("services", json!({"services": [{"container": {"image": "i"}}]}), false, false),
            ("services", old, false, true),
            ("webhooks", json!({"webhooks": [{"spec": {}, "enabled": true}]}), false, false),
        ] {
            for (spoken, shows) in [(Spoken::V0_31, in_old), (Spoken::V0_56, in_new)] {
                let sign = sign(spoken, &answer, envelope);
                assert_eq!(sign.is_some(), shows, "{spoken} {envelope} {answer}");
            }
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
