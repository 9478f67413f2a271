//! Every field of every kind in 0.56: it comes back as it was sent, or it is refused by name. What is
//! sent is read here as if a platform had stored it and answered with it.

use meshagent::api::request::{Body, Request};
use meshagent::api::spoken::Spoken;
use meshagent::dialect::{self, Spelling, Target, inexpressible};
use meshagent::kinds::tree::Tree;
use meshagent::kinds::{self, Key, KindName};
use serde_json::{Value, json};

use crate::registry::documents::{merge, variants};

/// The kinds that are written in 0.56. How what is inside of rooms is spelled is no API's.
fn written() -> Vec<(KindName, &'static dyn Spelling)> {
    let names = kinds::ALL.into_iter().map(|kind| kind.name());
    names
        .filter_map(|kind| Some((kind, dialect::dialect(Spoken::V0_56).of(kind)?)))
        .filter(|(kind, spelling)| spelling.unspoken().is_none() && !kind.kind().is_inside_rooms())
        .collect()
}

fn body(request: Option<Request>) -> Value {
    match request.expect("a request").body {
        Body::Json(body) => body,
        _ => panic!("the body is not JSON"),
    }
}

/// What a platform answers with, once it has stored a body.
fn answer((kind, name): (KindName, &str), fields: &Tree, mut body: Value) -> Value {
    match kind {
        KindName::Route => json!({"domain": body["spec"]["domain"], "spec": body["spec"]}),
        KindName::ScheduledTask => {
            json!({"id": "id", "room_name": fields.sent("room"), "spec": body["spec"]})
        }
        // A new room is enabled.
        KindName::Room => {
            body["id"] = "id".into();
            body.as_object_mut().expect("a room").entry("enabled").or_insert(true.into());
            body
        }
        KindName::SettingsDocument | KindName::RoomRoles => json!({"name": name, "settings": body}),
        KindName::ManagedAgent => {
            let configuration = &body["configuration"];
            let name = &configuration["metadata"]["name"];
            json!({"id": "id", "name": name, "configuration": configuration})
        }
        KindName::RoleGrant => json!({"subject": body["subject"], "direct_roles": body["roles"]}),
        KindName::AccountSecret => {
            body["id"] = "id".into();
            body["account"] = json!({"id": fields.sent("account"), "name": fields.sent("account")});
            body["pulls_images"] = fields.sent("pulls_images");
            body["current_version_id"] = "v".into();
            body
        }
        _ => {
            body["id"] = "id".into();
            body
        }
    }
}

#[test]
fn every_field_of_every_kind_comes_back_or_is_refused_by_name() {
    let (mut refused, mut sent) = (Vec::new(), 0);
    for (kind, spelling) in written() {
        for variant in variants(kind.kind()) {
            let declared = kind.kind().declare(&variant.document).expect("a document").remove(0);
            let mut fields = declared.fields;
            loop {
                let faults = inexpressible(spelling, Spoken::V0_56, &fields);
                let Some(fault) = faults.into_iter().next() else { break };
                assert!(fault.hint.is_some(), "{kind}: {}", fault.message);
                fields.put(&fault.path, None);
                refused.push(format!("{kind} {}", fault.path));
            }
            let fields = kind.kind().shape().read(&fields.reveal());
            let key = Key::of(kind, "p", &declared.name);
            let target =
                Target { fields: &fields, owner: Some("s"), ..Target::looked_for(&key, "p", None) };
            let stored = answer((kind, &declared.name), &fields, body(spelling.create(&target)));
            let mut stored = stored;
            let target = Target { id: Some("id"), ..target };
            for request in spelling.after(&target, true).expect("the rest") {
                // One without a body says all by its path.
                if let Body::Json(rest) = request.body {
                    merge(&mut stored, rest);
                }
            }
            let target = Target { id: None, ..target };
            let told = |stored: &Value| format!("{kind} {}: {stored}", variant.label);
            let seen = spelling.seen(&stored).unwrap_or_else(|why| panic!("{why}: {stored}"));
            assert_eq!(seen.fields.redacted(), fields.redacted(), "{}", told(&stored));
            if kind.kind().carries_owner() {
                assert_eq!(seen.owner.as_deref(), Some("s"), "{}", told(&stored));
            }
            assert_eq!(seen.name, declared.name, "{}", told(&stored));
            sent += 1;
            // A change of all to what is there leaves all as it is.
            let target = Target { id: Some("id"), answered: spelling.sent_back(&stored), ..target };
            let Some(update) = spelling.update(&target) else { continue };
            // What is not said of a mailbox or a room stays.
            let mut whole =
                if kind.is_room() || kind == KindName::Mailbox { stored } else { json!({}) };
            merge(&mut whole, body(Some(update)));
            let again = answer((kind, &declared.name), &fields, whole);
            let seen = spelling.seen(&again).unwrap_or_else(|why| panic!("{why}: {again}"));
            assert_eq!(seen.fields.redacted(), fields.redacted(), "{}", told(&again));
        }
    }
    assert!(sent > 6, "{sent}");
    refused.sort();
    refused.dedup();
    insta::assert_snapshot!("what_0_56_refuses", refused.join("\n"));
}
