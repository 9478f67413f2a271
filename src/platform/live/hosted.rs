//! Toolkits that participants offer, and the calls that are forwarded to them.
//!
//! A toolkit has none of the names of the room's own ones, but for `storage`: helpers add tools to
//! that one, though none that it has.
//!
//! A public toolkit is listed to everybody. A private one is there for its own participant, and
//! for those who name that participant, which is how an agent uses the tools of the person it
//! works for. A host that leaves ends its calls with an error.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, json};
use tokio::sync::OwnedSemaphorePermit;

use super::calls::{Caller, Invoke, NEEDS_ID, chunk, denied, refused, short};
use super::gates;
use super::guest::{Guest, Input, Running};
use super::operations::{is_built_in, is_reserved};
use super::outgoing::Letter;
use super::room::{Present, Room, State};
use crate::kinds::specs::scope::ApiScope;
use crate::room::agents::{ListToolkits, Toolkit, Toolkits};
use crate::room::codes;
use crate::room::content::{Content, Refused};
use crate::room::message::Message;
use crate::room::toolkit::{Register, Registered, Unregister};

/// How many toolkits a participant may offer.
const TOOLKITS: usize = 64;

/// How large the descriptions of a participant's toolkits may be, as JSON, in bytes.
const OWN: usize = 1024 * 1024;

/// How large those of all toolkits in a room may be, so that a message can list them.
const ALL: usize = 3 * 1024 * 1024;

/// How long the name of a toolkit may be, in bytes.
const LENGTH: usize = 128;

/// A toolkit that a participant offers.
#[derive(Debug)]
pub struct Hosted {
    /// The id of the registration.
    id: String,
    name: String,
    /// The id of the participant.
    host: String,
    is_public: bool,
    /// As it is listed.
    toolkit: Toolkit,
    /// How large its description is, as JSON, in bytes.
    size: usize,
}

/// A call that a participant is answering.
#[derive(Debug)]
pub struct Forwarded {
    host: String,
    toolkit: String,
    caller: Caller,
    /// The number of the caller's message, until it is answered.
    answers: Option<u64>,
    /// Its place among the caller's calls, and the caller's own id of it.
    running: Running,
    /// Whether parts of the caller's stream are still forwarded.
    takes_parts: bool,
}

impl Forwarded {
    /// Ends it for the caller, because the host is gone.
    fn fail(self, room: &Room) {
        let gone = refused(codes::OPERATION_FAILED, "the host of the toolkit left the room");
        match (self.answers, self.running.call()) {
            (Some(id), _) => self.caller.guest.fail(id, gone),
            (None, Some(call)) => {
                for content in [Content::Error(gone), Content::close()] {
                    self.caller.guest.push(&chunk(room, call, content).into());
                }
            }
            (None, None) => {}
        }
    }
}

impl State {
    /// Whether there is a toolkit of this name that lends its rights.
    fn lends(&self, toolkit: &str) -> bool {
        let lends = |host: &Present| host.guest.participant.lends();
        let mut named = self.hosted.iter().filter(|it| it.name == toolkit);
        named.any(|it| self.present.get(&it.host).is_some_and(lends))
    }

    /// The toolkit that is called: the caller's own one or the first that it may use. Of those that
    /// lend their rights, it is the one that may do what the others may.
    fn host_of(&self, caller: &Guest, invoke: &Invoke) -> Option<&Hosted> {
        let host = |it: &Hosted| self.present.get(&it.host).map(|host| &host.guest.participant);
        let mut named = self.hosted.iter().filter(|it| {
            it.name == invoke.toolkit
                && host(it).is_some_and(|host| host.serves(&caller.participant))
        });
        if let Some(host) = &invoke.participant_id {
            return named.find(|it| it.host == *host);
        }
        let own = named.clone().find(|it| it.host == caller.id);
        own.or_else(|| {
            named.filter(|it| it.is_public).reduce(|best, it| match (host(best), host(it)) {
                (Some(one), Some(other)) if one.lends() && other.lends() && one.serves(other) => it,
                _ => best,
            })
        })
    }
}

impl Room {
    /// Removes what a participant offered, and ends the calls that it was answering or waiting
    /// for.
    pub fn drop_hosted(&self, state: &mut State, guest: &Guest) {
        state.hosted.retain(|hosted| hosted.host != guest.id);
        let over = state
            .forwarded
            .extract_if(|_, it| it.host == guest.id || it.caller.guest.id == guest.id);
        let over: Vec<(u64, Forwarded)> = over.collect();
        for (number, call) in over {
            if call.host == guest.id {
                call.fail(self);
            } else if call.takes_parts
                && let Some(host) = state.present.get(&call.host)
            {
                // Its host takes no more parts, and can stop.
                let message = forwarded_part(self, &call.toolkit, number, Content::close());
                host.guest.push(&message.into());
            }
        }
    }
}

/// A part of a stream as it is forwarded to the host.
fn forwarded_part(room: &Room, toolkit: &str, number: u64, content: Content) -> Message {
    let (header, bytes) = super::room::part(&call_id(number), content);
    let kind = format!("room.tool_call_request_chunk.{toolkit}");
    Message { id: room.number(), kind, header, bytes }
}

/// The id by which the host knows a call.
fn call_id(number: u64) -> String {
    format!("call-{number}")
}

/// The number of a call by the id that its host knows.
fn number_of(call: &str) -> Option<u64> {
    call.strip_prefix("call-")?.parse().ok()
}

/// Lists the toolkits that there are for a participant: public ones, and its own.
pub async fn list(caller: &Caller, asked: ListToolkits) -> Result<Toolkits, Refused> {
    let state = caller.room.state();
    let whose = asked.participant_id.as_deref().unwrap_or(&caller.guest.id);
    let name_of = |host: &str| state.present.get(host).map(|it| it.guest.name.as_str());
    let is_meant = |hosted: &&Hosted| {
        (hosted.is_public || hosted.host == whose)
            && asked
                .participant_name
                .as_deref()
                .is_none_or(|name| name_of(&hosted.host) == Some(name))
    };
    let mut tools = IndexMap::new();
    for hosted in state.hosted.iter().filter(is_meant) {
        // The one that a call would reach is listed.
        let is_own = hosted.host == whose;
        if is_own || !tools.contains_key(&hosted.name) {
            tools.insert(hosted.name.clone(), hosted.toolkit.clone());
        }
    }
    Ok(Toolkits { tools })
}

/// Offers a toolkit to the room.
pub async fn register(caller: &Caller, asked: Register) -> Result<Registered, Refused> {
    let Register(header) = asked;
    let name = header["name"].as_str().unwrap_or_default().to_owned();
    if name.is_empty() || name.len() > LENGTH || name.chars().any(char::is_control) {
        return Err(Refused::invalid(format!("a toolkit needs a name of at most {LENGTH} bytes")));
    }
    let tools: Vec<&String> = header["tools"].as_object().into_iter().flat_map(Map::keys).collect();
    if is_reserved(&name) {
        return Err(refused(codes::ALREADY_EXISTS, format!("the room has a toolkit {name:?}")));
    }
    if let Some(tool) = tools.iter().find(|tool| is_built_in(&name, tool)) {
        let text =
            format!("the room has a tool {:?} in a toolkit {name:?} of its own", short(tool));
        return Err(refused(codes::ALREADY_EXISTS, text));
    }
    let size = header.to_string().len();
    let toolkit = Toolkit::deserialize(&header)
        .map_err(|error| Refused::invalid(format!("the toolkit cannot be read: {error}")))?;
    let host = caller.guest.id.clone();
    let mut state = caller.room.state();
    if !state.present.contains_key(&host) {
        return Err(refused(codes::OPERATION_FAILED, "the participant has left"));
    }
    let own: Vec<&Hosted> = state.hosted.iter().filter(|it| it.host == host).collect();
    if own.iter().any(|it| it.name == name) {
        return Err(refused(
            codes::ALREADY_EXISTS,
            format!("you already offer a toolkit {name:?}"),
        ));
    }
    if own.len() >= TOOLKITS {
        return Err(Refused::invalid(format!("a participant offers {TOOLKITS} toolkits at most")));
    }
    let others: usize = own.iter().map(|it| it.size).sum();
    let all: usize = state.hosted.iter().map(|it| it.size).sum();
    if others + size > OWN || all + size > ALL {
        let text = format!(
            "the descriptions of toolkits would be larger than {OWN} bytes for a participant, or {ALL} for a room"
        );
        return Err(Refused::invalid(text));
    }
    let id = uuid::Uuid::new_v4().to_string();
    let toolkit = Toolkit { participant_id: Some(host.clone()), ..toolkit };
    let is_public = header["public"] == true;
    let told = json!({"name": name, "participant_id": host, "public": is_public, "tools": tools});
    state.hosted.push(Hosted { id: id.clone(), name, host, is_public, toolkit, size });
    caller.room.record("toolkit.registered", told);
    Ok(Registered { id: id.into() })
}

/// Removes a toolkit of the caller.
pub async fn unregister(caller: &Caller, asked: Unregister) -> Result<(), Refused> {
    let mut state = caller.room.state();
    let place = state
        .hosted
        .iter()
        .position(|it| it.host == caller.guest.id && Some(it.id.as_str()) == asked.id.as_str());
    let place =
        place.ok_or_else(|| refused(codes::NOT_FOUND, "you offer no toolkit with this id"))?;
    let gone = state.hosted.remove(place);
    caller
        .room
        .record("toolkit.unregistered", json!({"name": gone.name, "participant_id": gone.host}));
    Ok(())
}

/// A call on its way to the participant that hosts the toolkit.
pub struct Elsewhere {
    host: Arc<Guest>,
    letter: Letter,
}

impl Caller {
    /// Notes a call that another participant has to answer.
    pub(super) fn forwarding(
        &self,
        id: u64,
        scope: &ApiScope,
        invoke: Invoke,
        bytes: Vec<u8>,
    ) -> Result<Elsewhere, Refused> {
        let has_stream = invoke.arguments["type"] == "control";
        let call = invoke.tool_call_id.clone().filter(|call| !call.is_empty());
        if has_stream && call.is_none() {
            return Err(Refused::invalid(NEEDS_ID));
        }
        let number = self.room.number();
        let mut state = self.room.state();
        let hosted = state.host_of(&self.guest, &invoke);
        let hosted = hosted.ok_or_else(|| match state.lends(&invoke.toolkit) {
            true => denied(),
            false => {
                let toolkit = short(&invoke.toolkit);
                refused(codes::NOT_FOUND, format!("the room has no toolkit {toolkit:?}"))
            }
        })?;
        if !hosted.toolkit.tools.contains_key(&invoke.tool) {
            let (toolkit, tool) = (&hosted.name, short(&invoke.tool));
            let text = format!("the toolkit {toolkit:?} has no tool {tool:?}");
            return Err(refused(codes::NOT_FOUND, text));
        }
        if !gates::AGENTS_USE.admits(scope, &json!({ "name": invoke.toolkit })) {
            return Err(denied());
        }
        let host = hosted.host.clone();
        let guest = state.present.get(&host).map(|it| it.guest.clone());
        let guest = guest.ok_or_else(|| refused(codes::NOT_FOUND, "the host has left the room"))?;
        let running = match &call {
            Some(call) => self.guest.open(call, Input::Host(number))?,
            None => self.guest.place()?,
        };
        let mut header = json!({
            "name": invoke.tool,
            "arguments": invoke.arguments,
            "caller_id": self.guest.id,
            "tool_call_id": call_id(number),
        });
        if let Some(context) = invoke.caller_context {
            header["caller_context"] = context;
        }
        if let Some(whom) = invoke.on_behalf_of_id {
            header["on_behalf_of_id"] = whom.into();
        }
        let kind = format!("room.tool_call.{}", invoke.toolkit);
        let forwarded = Forwarded {
            host,
            toolkit: invoke.toolkit,
            caller: self.clone(),
            answers: Some(id),
            running,
            takes_parts: has_stream,
        };
        state.forwarded.insert(number, forwarded);
        Ok(Elsewhere { host: guest, letter: Message { id: number, kind, header, bytes }.into() })
    }

    /// Sends a call to its host. A host that does not read is dismissed, which fails its calls.
    pub(super) async fn forward(&self, Elsewhere { host, letter }: Elsewhere) {
        let _ = host.relay(&letter, &self.room).await;
    }

    /// Forwards a part of a stream to the participant that answers the call; the answer to the
    /// part, once the host can take it.
    pub(super) async fn forward_part(&self, number: u64, content: Content) -> Content {
        let is_end = matches!(content, Content::Close { .. });
        let host = {
            let mut state = self.room.state();
            let State { forwarded, present, .. } = &mut *state;
            match forwarded.get_mut(&number) {
                Some(call) if call.takes_parts => {
                    call.takes_parts = !is_end;
                    present.get(&call.host).map(|it| (it.guest.clone(), call.toolkit.clone()))
                }
                Some(_) if !is_end => {
                    return Content::Error(Refused::invalid("the call takes no more parts"));
                }
                // It has just ended.
                _ => None,
            }
        };
        if let Some((host, toolkit)) = host {
            let message = forwarded_part(&self.room, &toolkit, number, content);
            // A host that does not read is dismissed, which fails its calls.
            let _ = host.relay(&message.into(), &self.room).await;
        }
        Content::Empty
    }

    /// Relays the answer of a host to the caller.
    pub(super) async fn host_answered(&self, message: Message, share: OwnedSemaphorePermit) {
        let is_open = message.header["type"] == "control" && message.header["method"] == "open";
        let (guest, id) = {
            let mut state = self.room.state();
            let Some(call) = state.forwarded.get_mut(&message.id) else { return };
            if call.host != self.guest.id {
                return;
            }
            let Some(id) = call.answers.take() else { return };
            let guest = call.caller.guest.clone();
            // Parts of an answer need an id to be matched by.
            if !is_open || call.running.call().is_none() {
                state.forwarded.remove(&message.id);
            }
            (guest, id)
        };
        // What the caller could not read is an error for it.
        let header = match Content::of(&message.header, Vec::new()) {
            Ok(_) => message.header,
            Err(what) => {
                let text = format!("the host's answer is not valid: {what}");
                Content::Error(Refused::invalid(text)).into_parts().0
            }
        };
        let kind = "__response__".to_owned();
        let letter = Message { id, kind, header, bytes: message.bytes }.into();
        drop(share);
        let _ = guest.relay(&letter, &self.room).await;
    }

    /// Relays a part of a host's answer to the caller.
    pub(super) async fn host_sent(&self, message: Message, share: OwnedSemaphorePermit) {
        let Message { mut header, bytes, .. } = message;
        let Some(number) = header["tool_call_id"].as_str().and_then(number_of) else { return };
        let chunk = header["chunk"].take();
        let is_end = chunk["type"] == "control" && chunk["method"] == "close";
        let (guest, call) = {
            let mut state = self.room.state();
            let Some(call) = state.forwarded.get(&number) else { return };
            if call.host != self.guest.id {
                return;
            }
            let Some(id) = call.running.call().map(str::to_owned) else { return };
            let guest = call.caller.guest.clone();
            if is_end && call.answers.is_none() {
                state.forwarded.remove(&number);
            }
            (guest, id)
        };
        let header = json!({"tool_call_id": call, "chunk": chunk});
        let kind = "room.tool_call_response_chunk".to_owned();
        let id = self.room.number();
        let letter = Message { id, kind, header, bytes }.into();
        drop(share);
        let _ = guest.relay(&letter, &self.room).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_know_calls_by_ids_that_lead_back() {
        for number in [0, 7, u64::MAX] {
            assert_eq!(number_of(&call_id(number)), Some(number));
        }
        for odd in ["", "call-", "call-x", "7", "call--1"] {
            assert_eq!(number_of(odd), None, "{odd}");
        }
    }
}
