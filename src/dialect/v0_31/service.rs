//! `Service` on the wire.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::ServiceSpec;
use crate::api::request::{Listing, Paging, Request};
use crate::dialect::fields::text_of;
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target, Unsaid, Words};
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::shape::Shape;
use crate::kinds::tree::Tree;
use crate::kinds::{Fault, KindName, OWNER_ANNOTATION};

fn shape() -> &'static Shape {
    KindName::Service.kind().shape()
}

/// The path of a list of services, and below it of one.
pub(in crate::dialect) fn path<'a>(target: &Target<'a>, one: Option<&'a str>) -> Vec<&'a str> {
    let mut path = vec!["accounts", "projects", target.project];
    if let Some(room) = target.room {
        path.extend(["rooms", room]);
    }
    path.push("services");
    path.extend(one);
    path
}

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Service);

/// The spelling.
pub struct Service;

/// The fields of manifests that 0.31 has, one a line.
pub(in crate::dialect) const FIELDS: &str = include_str!("service_fields.txt");

/// The same.
static WORDS: LazyLock<Words> = LazyLock::new(|| Words::of(shape(), FIELDS));

impl Spelling for Service {
    fn collection(&self) -> Collection {
        Collection::plain("services")
    }

    /// No path can lead to the services of a room that is called `.` or `..`, so nobody can
    /// have made any.
    fn list(&self, project: &str, room: Option<&str>) -> Option<Listing> {
        if room.is_some_and(|room| matches!(room, "." | "..")) {
            return None;
        }
        let request = match room {
            None => Request::get(&["accounts", "projects", project, "services"]),
            Some(room) => {
                Request::get(&["accounts", "projects", project, "rooms", room, "services"])
            }
        };
        Some(Listing { request, envelope: "services", paging: Paging::Whole, below: None })
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        seen(item, WORDS.said())
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        match target.id {
            Some(id) => Some(Lookup::One(Request::get(&path(target, Some(id))), None)),
            None => self.list(target.project, target.room).map(Lookup::Among),
        }
    }

    fn unsaid(&self) -> &'static Unsaid {
        WORDS.unsaid()
    }

    fn untaken(&self, fields: &Tree) -> Vec<Fault> {
        of_nobody(fields)
    }

    fn sent_back(&self, item: &Value) -> Option<Value> {
        WORDS.said().unknown(item)
    }

    fn body(&self, target: &Target<'_>) -> Value {
        of_template(target).unwrap_or_else(|| {
            let mut whole = whole(target);
            WORDS.spell(&mut whole, target.answered.as_ref());
            whole
        })
    }

    fn create(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request::post(&path(target, None), self.body(target)))
    }

    fn update(&self, target: &Target<'_>) -> Option<Request> {
        let path = path(target, Some(target.id.unwrap_or_default()));
        Some(Request::put(&path, self.body(target)))
    }

    fn delete(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request::delete(&path(target, Some(target.id?))))
    }
}

/// The secrets of which it is not said whose they are: those of service accounts.
fn of_nobody(fields: &Tree) -> Vec<Fault> {
    let environment = FieldPath::of(&["container", "environment"]);
    let Some(Tree::List(variables)) = fields.at(&environment) else { return Vec::new() };
    let secrets =
        variables.iter().enumerate().filter_map(|(index, it)| Some((index, it.get("secret")?)));
    let of_accounts = secrets.filter(|(_, secret)| secret.get("identity").is_none());
    of_accounts
        .map(|(index, _)| Fault {
            path: environment.join(Step::Index(index)).field("secret"),
            message: "a variable cannot have a secret of a service account on this platform"
                .to_owned(),
            hint: Some(
                "name a project secret in `container.secrets`, or one of the room with `identity`"
                    .to_owned(),
            ),
        })
        .collect()
}

/// Reads a service, of which the API has these fields.
pub(in crate::dialect) fn seen(item: &Value, said: &Shape) -> Result<Seen, String> {
    let metadata = item.get("metadata").ok_or("the answer has no `metadata`")?;
    let mut fields = said.read(item);
    let annotations = FieldPath::of(&["metadata", "annotations"]);
    let mut owner = None;
    if let Some(Tree::Map(annotations)) = fields.at_mut(&annotations) {
        owner = annotations.shift_remove(OWNER_ANNOTATION).and_then(|owner| owner.scalar());
        // A map that lost its last field is as absent as one that never had any.
        if annotations.is_empty() {
            fields = said.normalize(fields).unwrap_or_else(|| Tree::map([]));
        }
    }
    Ok(Seen { name: text_of(metadata, "name")?, id: Some(text_of(item, "id")?), owner, fields })
}

/// What is sent of a service that is made of a template. A template is sent as such, because the
/// platform makes the planned service of it; but not where a set owns the service, whose mark no
/// template can carry.
pub(in crate::dialect) fn of_template(target: &Target<'_>) -> Option<Value> {
    let template = target.asked.template.as_ref().filter(|_| target.owner.is_none())?;
    Some(json!({ "template": template.text, "values": template.values }))
}

/// The whole document of the service as it was planned.
pub(in crate::dialect) fn whole(target: &Target<'_>) -> Value {
    let mut body = match target.fields.reveal() {
        Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    };
    let mut metadata = match body.remove("metadata") {
        Some(Value::Object(metadata)) => metadata,
        _ => serde_json::Map::new(),
    };
    metadata.insert("name".to_owned(), target.name.into());
    if let Some(owner) = target.owner {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Value::Object(annotations) = annotations {
            annotations.insert(OWNER_ANNOTATION.to_owned(), owner.into());
        }
    }
    body.insert("metadata".to_owned(), Value::Object(metadata));
    body.insert("version".to_owned(), "v1".into());
    body.insert("kind".to_owned(), "Service".into());
    if let Some(id) = target.id {
        body.insert("id".to_owned(), id.into());
    }
    // The reference always sends the whole document, nulls included, in the model's order.
    let body = Value::Object(body);
    let whole = ServiceSpec::deserialize(&body).ok();
    whole.and_then(|spec| serde_json::to_value(spec).ok()).unwrap_or(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Asked, Key};

    /// The API without these fields of services.
    fn without(fields: &[&str]) -> Words {
        let spoken = include_str!("service_fields.txt").lines();
        let spoken = spoken.filter(|line| !fields.iter().any(|field| line.starts_with(field)));
        Words::of(shape(), &spoken.collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn what_an_api_lacks_is_not_compared_and_stays_on_an_update() {
        let words = without(&["container.on_demand", "container.environment.token"]);
        let token = json!({"identity": "b"});
        let answered = json!({
            "id": "1",
            "metadata": {"name": "bot"},
            "container": {
                "image": "x",
                "on_demand": true,
                "environment": [{"name": "A", "value": "1"}, {"name": "B", "token": token}],
            },
        });
        let written = json!({"container": {
            "image": "x",
            "environment": [{"name": "A", "value": "1"}, {"name": "B"}],
        }});
        let seen = seen(&answered, words.said()).expect("a service");
        let mut fields = seen.fields.redacted();
        fields.as_object_mut().expect("fields").shift_remove("metadata");
        assert_eq!(fields, written, "a plan would find drift that no document can undo");

        let key = Key::of(KindName::Service, "p", "bot");
        let fields = shape().read(&written);
        let target = Target {
            fields: &fields,
            answered: words.said().unknown(&answered),
            asked: &Asked::NOTHING,
            ..Target::looked_for(&key, "p", Some("1"))
        };
        let mut body = whole(&target);
        words.spell(&mut body, target.answered.as_ref());
        assert_eq!(body["container"]["on_demand"], true);
        assert_eq!(body["container"]["environment"][1]["token"], token);
        assert_eq!(body["container"]["environment"][0].get("token"), None);
    }
}
