//! `RoleGrant` on the wire: a line of the policy of a project or a room. Grants are added to what is
//! there; what takes a role back takes all of them.

use serde_json::{Value, json};

use crate::api::request::{Below, Listing, Paging, Request};
use crate::dialect::fields::text_of;
use crate::dialect::{Collection, GoesWith, Lookup, Seen, Spelling, Target};
use crate::kinds::KindName;
use crate::kinds::role_grant::{fields_of, parts_of, roles_in};
use crate::kinds::specs::roles::MEMBER;
use crate::kinds::specs::rules::{EVERYONE, Rule, USER};

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&RoleGrant);

/// The spelling.
pub struct RoleGrant;

/// As the public SDK asks for policies.
const PAGE: Paging = Paging::Token(50);

/// What takes all roles back.
const REVOKE: &str = "policy:revoke";

/// The path of something of a policy.
fn path<'a>(project: &'a str, [of, id]: [&'a str; 2], what: &'a str) -> [&'a str; 7] {
    ["accounts", "projects", project, "iam", of, id, what]
}

/// The policy of a room.
fn of_room(project: &str, room: &Value) -> Option<Request> {
    Some(Request::get(&path(project, ["room", room.get("id")?.as_str()?], "policy")))
}

/// What a grant is of: the room in which it was seen or is to be, or the project.
fn resource<'a>(target: &'a Target<'_>) -> Option<[&'a str; 2]> {
    if target.room.is_none() {
        return Some(["project", target.project]);
    }
    let seen = target.answered.as_ref().and_then(|seen| seen.get("resource")?.as_str());
    Some(["room", seen.or(target.place_id)?])
}

/// Whom a grant is for, as a request says it: as it was seen, or else as the name says it. The id of
/// everyone is `all`, as the public command line has it.
fn subject(target: &Target<'_>) -> Option<Value> {
    if let Some(seen) = target.answered.as_ref().and_then(|seen| seen.get("subject")) {
        return Some(seen.clone());
    }
    let (of, who) = parts_of(target.name)?;
    Some(match target.named_id {
        Some(id) => json!({ "type": of, "id": id }),
        None if who.contains('@') => json!({ "type": of, "email": who }),
        None => json!({ "type": of, "id": who }),
    })
}

/// The request that grants the roles of a target.
fn grant(target: &Target<'_>) -> Option<Request> {
    let body = json!({ "subject": subject(target)?, "roles": roles_in(target.fields) });
    Some(Request::post(&path(target.project, resource(target)?, "policy:grant"), body))
}

/// The request that takes all roles back.
fn revoke(target: &Target<'_>) -> Option<Request> {
    let body = json!({ "subject": subject(target)? });
    Some(Request::post(&path(target.project, resource(target)?, REVOKE), body))
}

/// The request that says all roles of a person in the project at once. Taking them back first would
/// take the person out of it.
fn replace(target: &Target<'_>) -> Option<Request> {
    let seen = target.answered.as_ref()?.get("subject")?;
    let id = seen.get("id")?.as_str()?;
    if target.room.is_some() || seen.get("type")?.as_str() != Some(USER) {
        return None;
    }
    let path = ["accounts", "projects", target.project, "users", id];
    Some(Request::put(&path, json!({ "roles": roles_in(target.fields) })))
}

/// The name of the room that a line of an answer is about, if it is about one.
fn room_of(grant: &Value) -> Option<&str> {
    let resource = grant.get("resource")?;
    (resource.get("type")?.as_str()? == "room").then(|| resource.get("name")?.as_str()).flatten()
}

/// Whether a change takes no role away.
fn only_adds(target: &Target<'_>) -> bool {
    let wanted = roles_in(target.fields);
    let had = target.answered.as_ref().and_then(|seen| seen.get("roles")?.as_array());
    let stays =
        |role: &Value| role.as_str().is_some_and(|role| role == MEMBER || wanted.contains(&role));
    had.is_some_and(|had| had.iter().all(stays))
}

/// Somebody of an answer as requests name them.
fn named(subject: &Value) -> Option<Value> {
    let mut named = json!({ "type": subject.get("type")? });
    // The id says it all, where there is one.
    let text = |field: &&str| subject.get(*field).is_some_and(Value::is_string);
    if let Some(field) = ["id", "email"].into_iter().find(text) {
        named[field] = subject[field].clone();
    }
    Some(named)
}

/// What a subject may be called, the best name first: people by their addresses, accounts and
/// agents by their names, and groups, which nobody declares, by their ids. There is none for whom
/// no document can name.
fn names(subject: &Value) -> Result<Vec<String>, String> {
    let of = text_of(subject, "type")?;
    let fields: &[&str] = match of.as_str() {
        "everyone" => return Ok(vec![EVERYONE.to_owned()]),
        "user" => &["email", "id"],
        "service_account" | "agent" => &["name", "email", "id"],
        _ => &["id", "name"],
    };
    let texts = fields.iter().filter_map(|field| subject.get(*field)?.as_str());
    let names: Vec<String> = texts
        .map(|text| KindName::RoleGrant.kind().natural_name(&format!("{of}:{text}")))
        .filter(|name| Rule::Name.check(name).is_ok() && !name.ends_with(':'))
        .collect();
    let says_who = fields.iter().any(|field| subject.get(*field).is_some_and(Value::is_string));
    if says_who { Ok(names) } else { Err(format!("the answer does not say which {of} is meant")) }
}

fn subject_of(item: &Value) -> Result<&Value, String> {
    item.get("subject").ok_or_else(|| "the answer has no `subject`".to_owned())
}

impl Spelling for RoleGrant {
    fn collection(&self) -> Collection {
        Collection { noun: "iam", envelope: "access_grants", paging: PAGE }
    }

    /// The policy of the project, or of a room, which is found by its name.
    fn list(&self, project: &str, place: Option<&str>) -> Option<Listing> {
        let Collection { envelope, paging, .. } = self.collection();
        let Some(room) = place else {
            let request = Request::get(&path(project, ["project", project], "policy"));
            return Some(Listing { request, envelope, paging, below: None });
        };
        Rule::Segment.check(room).ok()?;
        let request = Request::get(&["accounts", "projects", project, "rooms", room]);
        let project = project.to_owned();
        let below = Below { project, list: of_room, told_in: "room", known: None, marked: None };
        Some(Listing { request, envelope, paging, below: Some(below) })
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let mut names = names(subject_of(item)?)?.into_iter();
        let name = names.next().ok_or("the answer names somebody whom no document can name")?;
        let roles: Option<Vec<&str>> = match item.get("direct_roles") {
            Some(Value::Array(roles)) => roles.iter().map(Value::as_str).collect(),
            _ => None,
        };
        let roles = roles.ok_or("the answer has no list of names in `direct_roles`")?;
        let fields = fields_of(&json!({ "roles": roles }));
        Ok(Seen { name, id: None, owner: None, fields })
    }

    /// What somebody has for other reasons is no grant. No document declares relations, or what is
    /// for somebody whom it cannot name.
    fn is_declarable(&self, item: &Value) -> bool {
        let roles = &item["direct_roles"];
        let has_none = roles.is_null() || roles.as_array().is_some_and(Vec::is_empty);
        let is_nameless = || {
            let names = subject_of(item).and_then(names);
            names.is_ok_and(|names| names.is_empty())
        };
        !has_none && item["subject"]["type"] != "userset" && !is_nameless()
    }

    fn also_called(&self, item: &Value) -> Vec<String> {
        subject_of(item)
            .and_then(names)
            .map(|names| names.into_iter().skip(1).collect())
            .unwrap_or_default()
    }

    /// It has no revision, and nothing gives one alone.
    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        self.list(target.project, target.room).map(Lookup::Among)
    }

    /// Who leaves the project leaves its rooms.
    fn goes_with(&self, target: &Target<'_>) -> Vec<GoesWith> {
        let subject = subject(target).filter(|subject| subject["type"] == USER);
        let Some(subject) = subject.filter(|_| target.room.is_none()) else { return Vec::new() };
        let path = ["accounts", "projects", target.project, "access:bindings"];
        let request = Request::ask(&path, json!({ "subject": subject }));
        let envelope = self.collection().envelope;
        vec![GoesWith {
            one: "grant of",
            several: "grants",
            listing: Listing { request, envelope, paging: Paging::Whole, below: None },
            kind: Some(KindName::RoleGrant),
            room: room_of,
            named: |grant, _| {
                let roles = grant.get("direct_roles")?.as_array()?.iter();
                let roles: Vec<&str> = roles.filter_map(Value::as_str).collect();
                Some(format!("{} in the room {}", roles.join(", "), room_of(grant)?))
            },
        }]
    }

    fn sent_back(&self, item: &Value) -> Option<Value> {
        Some(json!({
            "subject": named(item.get("subject")?)?,
            "resource": item.pointer("/room/id"),
            "roles": item.get("direct_roles")?,
        }))
    }

    fn body(&self, target: &Target<'_>) -> Value {
        json!({ "roles": roles_in(target.fields) })
    }

    fn create(&self, target: &Target<'_>) -> Option<Request> {
        grant(target)
    }

    /// The first request of a change; [`Self::after`] has the other one, where it takes two.
    fn update(&self, target: &Target<'_>) -> Option<Request> {
        match only_adds(target) {
            true => grant(target),
            false => replace(target).or_else(|| revoke(target)),
        }
    }

    fn after(&self, target: &Target<'_>, is_new: bool) -> Option<Vec<Request>> {
        let is_done = is_new || only_adds(target) || replace(target).is_some();
        if is_done { Some(Vec::new()) } else { Some(vec![grant(target)?]) }
    }

    fn delete(&self, target: &Target<'_>) -> Option<Request> {
        revoke(target)
    }

    /// Granting again changes nothing.
    fn may_repeat(&self, _request: &Request) -> bool {
        true
    }

    fn takes_back(&self, request: &Request) -> bool {
        request.path.ends_with(REVOKE)
    }

    fn has_ids(&self) -> bool {
        false
    }

    fn created_id(&self, _answer: &Value) -> Option<String> {
        None
    }

    fn creates_over(&self) -> bool {
        true
    }
}
