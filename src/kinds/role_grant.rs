//! `kind: RoleGrant`. The roles that somebody has in a project, or in one room of it: a line of its
//! policy. Its key is whom it is for, as `TYPE:WHO`.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{Lifecycle, Metadata};
use super::path::{FieldPath, Step};
use super::shape::Shape;
use super::tree::Tree;
use super::{By, Declared, Fault, Key, Kind, KindName, NameRule, Relation, kind_tag, typed};
use crate::kinds::specs::Version;
use crate::kinds::specs::roles::{self, ADMIN, MEMBER};
use crate::kinds::specs::rules::{Rule, USER};
use crate::listed::nearest;

kind_tag!(RoleGrantTag, RoleGrant);

/// The roles that somebody has in a project, or in one room of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "RoleGrant")]
struct RoleGrantDocument {
    /// Always `v1`.
    version: Version,
    /// Always `RoleGrant`.
    kind: RoleGrantTag,
    /// Whom it is for, as `TYPE:WHO`: `user:` with a mail address or an id, `service_account:` or
    /// `agent:` with a name, `group:` with an id, or `everyone:all`.
    metadata: Metadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// The room in which it is. Without it, the roles are those in the project.
    #[serde(default)]
    #[schemars(extend("x-rule" = "segment"))]
    room: Option<String>,
    /// The roles, all of them. `member` of a project is a part of every other role there.
    #[schemars(extend("x-set" = true, "x-rule" = "not-empty"))]
    roles: Vec<String>,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    super::own_fields::<RoleGrantDocument>(&["metadata", "metadata.description", "room"])
});

/// The kind.
pub struct RoleGrant;

/// The fields of a grant: its roles in one order, whatever the order in which they are written, and
/// without what others of them say.
#[must_use]
pub fn fields_of(written: &Value) -> Tree {
    let mut fields = SHAPE.read(written);
    let path = FieldPath::of(&["roles"]);
    if let Some(Tree::List(roles)) = fields.at(&path) {
        let is_said = |role: &&Tree| roles.len() == 1 || role.as_str() != Some(MEMBER);
        let mut said: Vec<Tree> = roles.iter().filter(is_said).cloned().collect();
        said.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
        fields.put(&path, Some(Tree::List(said)));
    }
    fields
}

/// The names of the roles in a grant's fields.
#[must_use]
pub fn roles_in(fields: &Tree) -> Vec<&str> {
    match fields.get("roles") {
        Some(Tree::List(roles)) => roles.iter().filter_map(Tree::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The type and the rest of the name of a key.
#[must_use]
pub fn parts_of(name: &str) -> Option<(&str, &str)> {
    name.split_once(':')
}

/// Whether a grant is for a person.
fn is_person(key: &Key) -> bool {
    parts_of(&key.name).is_some_and(|(of, _)| of == USER)
}

/// What is wrong with the name of a role.
fn misnamed(role: &str, is_in_room: bool) -> Option<(String, String)> {
    let in_room = || roles::IN_ROOM.into_iter().map(str::to_owned);
    let in_project = roles::in_project;
    let (known, others): (Vec<String>, Vec<String>) = match is_in_room {
        true => (in_room().collect(), in_project().collect()),
        false => (in_project().collect(), in_room().collect()),
    };
    if known.iter().any(|known| known == role) {
        return None;
    }
    let place = if is_in_room { "a room" } else { "a project" };
    let near = nearest(role, known.iter().map(String::as_str));
    let hint = match (near, is_in_room) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, true) if others.iter().any(|other| other == role) => {
            format!("it is a role of projects; rooms have {}", known.join(", "))
        }
        (None, true) => format!("rooms have {}", known.join(", ")),
        (None, false) if others.iter().any(|other| other == role) => {
            "it is a role of rooms: name one with `room`".to_owned()
        }
        (None, false) => "projects have member, developer, admin, and roles such as room_creator, room_inventory and room_manager".to_owned(),
    };
    Some((format!("`{role}` is not a role of {place}"), hint))
}

impl Kind for RoleGrant {
    fn name(&self) -> KindName {
        KindName::RoleGrant
    }

    fn summary(&self) -> &'static str {
        "roles that somebody has in a project, or in a room of it"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<RoleGrantDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/role_grant.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, written: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let document: RoleGrantDocument = typed(written)?;
        let _ = (document.version, document.kind);
        let wrong = document.roles.iter().enumerate().filter_map(|(index, role)| {
            let (message, hint) = misnamed(role, document.room.is_some())?;
            let path = FieldPath::of(&["roles"]).join(Step::Index(index));
            Some(Fault { path, message, hint: Some(hint) })
        });
        let wrong: Vec<Fault> = wrong.collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        // What stands twice is told by its rule, which must see all of it.
        let all = SHAPE.read(written);
        let fields = if SHAPE.broken(&all).is_empty() { fields_of(written) } else { all };
        Ok(vec![Declared {
            project: document.project,
            room: document.room,
            name: self.natural_name(&document.metadata.name),
            fields,
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        }])
    }

    /// Addresses are the same in upper and lower case of ASCII, as to the platform: other letters that
    /// look alike in lower case are other people's. Agents have names of their own.
    fn natural_name(&self, name: &str) -> String {
        let name = name.trim();
        match parts_of(name) {
            Some((of, who)) if who.contains('@') => {
                format!("{of}:{}", who.trim().to_ascii_lowercase())
            }
            Some((of, who)) => {
                let who = who.trim();
                match self.named_in(name) {
                    Some((kind, _)) => format!("{of}:{}", kind.kind().natural_name(who)),
                    None => format!("{of}:{who}"),
                }
            }
            None => name.to_owned(),
        }
    }

    fn name_rule(&self) -> NameRule {
        NameRule { rule: Rule::Subject, field: None }
    }

    fn placed_in(&self) -> Option<KindName> {
        Some(KindName::Room)
    }

    fn relations(&self) -> &'static [Relation] {
        &[
            Relation { to: KindName::ServiceAccount, by: By::Id },
            Relation { to: KindName::ManagedAgent, by: By::Id },
        ]
    }

    fn named_in<'a>(&self, name: &'a str) -> Option<(KindName, &'a str)> {
        match parts_of(name)? {
            ("service_account", who) => Some((KindName::ServiceAccount, who)),
            ("agent", who) => Some((KindName::ManagedAgent, who)),
            _ => None,
        }
    }

    fn refers_by_name(&self) -> bool {
        true
    }

    /// People are let into a room once they are in its project.
    fn comes_after(&self, key: &Key) -> Option<Key> {
        (is_person(key) && key.room.is_some()).then(|| key.with_room(None))
    }

    fn is_access(&self) -> bool {
        true
    }

    /// Only the roles of people in a project are said at once. Others are taken back, all of them,
    /// before they are given, which nobody can do who has them from the grant itself.
    fn takes_access(&self, key: &Key, before: &Tree, after: Option<&Tree>) -> bool {
        let Some(after) = after.map(roles_in) else { return true };
        let stays = |role: &&str| *role == MEMBER || after.contains(role);
        let is_at_once = key.room.is_none() && is_person(key);
        let is_kept = is_at_once && after.contains(&ADMIN);
        !is_kept && !roles_in(before).iter().all(stays)
    }

    fn lost_with_name(&self) -> Option<&'static str> {
        Some("to the platform, it is for somebody else")
    }

    fn carries_owner(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn declared(name: &str, room: Option<&str>, roles: Value) -> Result<Declared, Vec<Fault>> {
        let mut document = json!({
            "version": "v1", "kind": "RoleGrant", "metadata": {"name": name}, "roles": roles,
        });
        if let Some(room) = room {
            document["room"] = room.into();
        }
        RoleGrant.declare(&document).map(|mut all| all.remove(0))
    }

    #[test]
    fn one_grant_has_one_spelling() {
        let grant = declared(" user:Ada@Example.COM", None, json!(["member", "developer"]));
        let grant = grant.unwrap();
        assert_eq!(grant.name, "user:ada@example.com");
        assert_eq!(roles_in(&grant.fields), ["developer"]);
        let turned = declared("user:a", None, json!(["room_creator", "developer"])).unwrap();
        assert_eq!(roles_in(&turned.fields), ["developer", "room_creator"]);
        let kelvin = declared("user:\u{212a}ate@x.example", None, json!(["member"])).unwrap();
        assert_eq!(kelvin.name, "user:\u{212a}ate@x.example");
        let only = declared("agent: Planner", None, json!(["member"])).unwrap();
        assert_eq!((only.name.as_str(), roles_in(&only.fields)), ("agent:planner", vec!["member"]));
        assert!(grant.broken(&RoleGrant).is_empty() && only.broken(&RoleGrant).is_empty());
        let twice = declared("user:a", None, json!(["member", "member", "admin"])).unwrap();
        assert_eq!(twice.broken(&RoleGrant).len(), 1);
        for name in ["ada", "person:ada", "user:", ":ada", "user: ", "everyone:some"] {
            let broken = declared(name, None, json!(["admin"])).unwrap().broken(&RoleGrant);
            assert_eq!(broken.len(), 1, "{name}: {broken:?}");
        }
    }

    #[test]
    fn a_role_is_one_of_its_place() {
        let fault = |room: Option<&str>, role: &str| {
            let faults = declared("user:a", room, json!(["admin", role])).unwrap_err();
            assert_eq!(faults[0].path.to_string(), "roles[1]");
            format!("{}; {}", faults[0].message, faults[0].hint.clone().unwrap_or_default())
        };
        assert_eq!(
            fault(None, "develper"),
            "`develper` is not a role of a project; did you mean `developer`?"
        );
        assert!(fault(None, "operator").ends_with("it is a role of rooms: name one with `room`"));
        assert!(fault(Some("r"), "room_creator").contains("it is a role of projects"));
        assert!(declared("user:a", Some("r"), json!(["operator", "viewer"])).is_ok());
    }

    #[test]
    fn access_is_taken_by_less_of_it() {
        let of = |roles: &[&str]| fields_of(&json!({ "roles": roles }));
        let key = |name: &str, room: Option<&str>| {
            Key::new(KindName::RoleGrant, "p", room.map(str::to_owned), name)
        };
        let person = key("user:ada", None);
        let takes = |before: &[&str], after: &[&str]| {
            RoleGrant.takes_access(&person, &of(before), Some(&of(after)))
        };
        assert!(takes(&["developer", "room_creator"], &["developer"]));
        assert!(takes(&["admin"], &["developer"]));
        assert!(!takes(&["member"], &["developer"]) && !takes(&["developer"], &["admin"]));
        assert!(!takes(&["admin", "developer"], &["admin"]));
        assert!(RoleGrant.takes_access(&person, &of(&["member"]), None));
        // What takes two requests is refused between them.
        for other in [key("service_account:bot", None), key("user:ada", Some("lobby"))] {
            let (more, less) = (of(&["admin", "developer"]), of(&["admin"]));
            assert!(RoleGrant.takes_access(&other, &more, Some(&less)), "{other}");
            assert!(!RoleGrant.takes_access(&other, &less, Some(&more)), "{other}");
        }
    }
}
