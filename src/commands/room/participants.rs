//! `room list`: who is in a room.
//!
//! The wire of rooms names only those who take part in messaging. So this is read from the record of
//! the session that runs, without entering the room.

use std::process::ExitCode;

use clap::Args;
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::RoomArgs;
use crate::commands::option_values;
use crate::commands::show::{JsonListArgs, Listed};
use crate::connection::Connection;
use crate::dialect::Speaks;
use crate::error::{Class, Error, Result};
use crate::kinds::KindName;
use crate::output;

/// How many events of a session the embedded platform keeps.
const EVENTS: usize = 10_000;

/// Arguments of `room list`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  meshagent room list --room lobby\n  meshagent room list --room lobby -o json | jq -r '.[].name'\n\nIt is read from the record of the session, so the room is not entered. `meshagent rooms list`\nlists the rooms of the project."
)]
pub struct ListParticipantsArgs {
    #[command(flatten)]
    show: JsonListArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Runs `room list`.
///
/// # Errors
///
/// There is no such room; a platform that does not record who enters its rooms.
pub async fn list(args: ListParticipantsArgs) -> Result<ExitCode> {
    let room = option_values::named_room(args.at.room.clone(), "--room", Class::Usage)
        .map_err(|error| error.hint("give --room; `meshagent rooms list` lists the rooms"))?;
    let there = args.at.platform.with(async |it| participants(it, &room).await).await?;
    let listed = Listed {
        envelope: None,
        columns: &["id", "name", "role", "entered_at"],
        name: "id",
        none: "nobody is in the room",
    };
    args.show.print(listed, there)
}

async fn participants(connection: &Connection, room: &str) -> Result<Vec<Value>> {
    let (project, reader) = (connection.project_id().await?, connection.client.reader());
    // A room that does not exist is not an empty one.
    reader.get_json(&reader.spelling(KindName::Room).one(project, room)).await?;
    let active = reader.dialect().active_sessions(project);
    let sessions = reader.items(&active.request, active.envelope).await?;
    let mut there = Vec::new();
    for session in sessions.iter().filter(|session| session["room_name"] == room) {
        let Some(id) = session["id"].as_str() else { continue };
        let listing = reader.dialect().events(project, id);
        let events = reader.items(&listing.request, listing.envelope).await?;
        let entered = |event: &Value| event["type"] == "participant.joined";
        if !events.iter().any(entered) {
            return Err(Error::failed("the platform does not record who enters a room")
                .hint("`meshagent room messaging list` shows those who take part in messaging"));
        }
        if events.len() >= EVENTS {
            output::note("note: the record of the session is full; who came later is not listed");
        }
        there.extend(remaining(&events));
    }
    Ok(there)
}

/// Those who entered and did not leave, in the order in which they came.
fn remaining(events: &[Value]) -> Vec<Value> {
    let mut there = IndexMap::new();
    for event in events {
        let data = &event["data"];
        let Some(id) = data["participant_id"].as_str() else { continue };
        match event["type"].as_str() {
            Some("participant.joined") => {
                let known = json!({
                    "id": id,
                    "name": data["name"],
                    "role": data["role"],
                    "entered_at": event["created_at"],
                });
                there.insert(id, known);
            }
            Some("participant.left") => {
                there.shift_remove(id);
            }
            _ => {}
        }
    }
    there.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_entered_and_did_not_leave_is_there() {
        let event = |kind: &str, id: &str| {
            json!({
                "type": kind, "created_at": "t",
                "data": {"participant_id": id, "name": id.to_uppercase(), "role": "user"},
            })
        };
        let events = [
            event("participant.joined", "a"),
            event("participant.joined", "b"),
            event("toolkit.registered", "b"),
            event("participant.left", "a"),
            event("participant.left", "nobody"),
            event("participant.joined", "c"),
            json!({"type": "participant.joined"}),
        ];
        let there = remaining(&events);
        let ids: Vec<_> = there.iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["b", "c"]);
        let first = json!({"id": "b", "name": "B", "role": "user", "entered_at": "t"});
        assert_eq!(there[0], first);
    }
}
