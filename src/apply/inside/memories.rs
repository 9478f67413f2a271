//! Memories of rooms. What is in one is not written; how much it is, is read.

use serde_json::{Value, json};

use super::{Failed, Item, odd};
use crate::api::request::{Method, Precondition, Request};
use crate::dialect::inside::folders_of;
use crate::room::client::Room;
use crate::room::memory::{Create, Dataset, Drop, Inspect, List, Namespace};

/// Carries out a request about a memory; what it is, if it was read.
pub(super) async fn carry_out(
    room: &Room,
    path: &str,
    request: &Request,
) -> Result<Option<Item>, Failed> {
    let (namespace, name) = folders_of(path);
    let (namespace, name) = ((!namespace.is_empty()).then_some(namespace), name.to_owned());
    let asked = List { namespace: namespace.clone() };
    let is_there = room.perform(&asked).await?.memories.contains(&name);
    match (request.method, is_there) {
        (Method::Get | Method::Delete, false) => Err(Failed::missing()),
        (Method::Get, true) => {
            let holds = held(room, name, namespace).await?;
            let revision = Some(holds.to_string());
            Ok(Some(Item { fields: json!({}), holds: Some(holds), revision }))
        }
        (Method::Post, true) => Err(Failed::exists()),
        (Method::Post, false) => {
            let create = Create { name, namespace, overwrite: false, ignore_exists: false };
            match room.perform(&create).await.map_err(Failed::from) {
                Err(failed) if failed.status == Some(409) => Err(Failed::exists()),
                made => made.map(|()| None),
            }
        }
        // Its document says nothing that could change.
        (Method::Put, _) => Ok(None),
        (Method::Delete, true) => {
            if let Precondition::Revision(known) = &request.precondition {
                let now = held(room, name.clone(), namespace.clone()).await?.to_string();
                if now != *known {
                    return Err(Failed::status(412, "changed since it was read"));
                }
            }
            room.perform(&Drop { name, namespace, ignore_missing: false }).await?;
            Ok(None)
        }
        (other @ (Method::Patch | Method::Ask), _) => Err(odd(other)),
    }
}

/// How many records each table of a memory has. Memories have no versions, so a change that leaves
/// these numbers as they are is not seen.
async fn held(room: &Room, name: String, namespace: Namespace) -> Result<Value, Failed> {
    let held = room.perform(&Inspect { name, namespace }).await?.datasets;
    let count = |of: Dataset| (of.name, Value::from(of.rows));
    Ok(Value::Object(held.into_iter().map(count).collect()))
}
