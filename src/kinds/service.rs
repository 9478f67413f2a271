//! `kind: Service`. What runs in one room, or in every room of a project.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::LazyLock;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agents::command;
use super::agents::given;
use super::agents::said::Defaults;
use super::agents::service::IMAGE;
use super::built::{self, Build, Container};
use super::document::Lifecycle;
use super::path::{FieldPath, Step};
use super::shape::{Broken, Shape};
use super::tree::Tree;
use super::{
    Beside, By, Declared, Fault, Kind, KindName, Purpose, Reference, ReferredTo, Relation,
    kind_tag, typed,
};
use crate::kinds::specs::Version;
use crate::kinds::specs::mounts::USUAL_CONFIGS;
use crate::kinds::specs::service::{
    AgentSpec, EndpointSpec, ExternalServiceSpec, PortSpec, ServiceMetadata, ServiceSpec,
};

kind_tag!(ServiceTag, Service);

/// The most rooms that a document names for its service: each has an object of its own.
pub const MOST_ROOMS: usize = 10_000;

/// A service: what runs in one room, or in every room of a project.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Service")]
pub struct ServiceDocument {
    /// Always `v1`.
    version: Version,
    /// Always `Service`.
    kind: ServiceTag,
    /// The service's name, unique in its room or project, and what is known about it.
    metadata: ServiceMetadata,
    /// The platform's id in a file that it wrote. Not used: services are found by name.
    #[serde(default, skip_serializing)]
    #[allow(dead_code, reason = "accepted and not used")]
    id: Option<String>,
    /// Whether the service is started. Left as it is on the platform if it is not said.
    #[serde(default)]
    #[schemars(extend("x-partial" = true))]
    enabled: Option<bool>,
    /// The agents that the service brings into a room.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent", "x-key" = "name", "x-repeats" = true))]
    agents: Option<Vec<AgentSpec>>,
    /// The ports that the service listens on.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent", "x-key" = "num"))]
    ports: Option<Vec<PortSpec>>,
    /// What to run. A service has exactly one of `container`, `external` and `template`.
    #[serde(default)]
    container: Option<Container>,
    /// A folder that the image of the container is built of. The platform never gets this, but
    /// `container.image` with the digest of the folder as its tag.
    #[serde(default, skip_serializing)]
    #[allow(dead_code, reason = "read before the rest of the document")]
    build: Option<Build>,
    /// Where a service that runs elsewhere is reached.
    #[serde(default)]
    external: Option<ExternalServiceSpec>,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// The room it is placed in. Without `room` and `rooms`, it is placed in every room of the
    /// project.
    #[serde(default)]
    #[schemars(extend("x-rule" = "segment"))]
    room: Option<String>,
    /// The rooms it is placed in.
    #[serde(default)]
    #[schemars(extend("maxItems" = MOST_ROOMS))]
    rooms: Option<Vec<String>>,
    /// A `ServiceTemplate` of the set, by name, that the service is made from.
    #[serde(default)]
    template: Option<String>,
    /// The values of the template's variables.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent"))]
    values: Option<BTreeMap<String, String>>,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    let mut shape = super::own_fields::<ServiceDocument>(&[
        "id", "room", "rooms", "template", "values", "build",
    ]);
    // An external service without a URL is still an external service.
    if let super::shape::Form::Object(fields) = &mut shape.form {
        for name in ["container", "external"] {
            if let Some(field) = fields.get_mut(name) {
                field.empty_is_absent = false;
            }
        }
    }
    shape
});

/// The kind.
pub struct Service;

/// A service template with its values, of which the platform makes a service.
#[derive(Clone, PartialEq)]
pub struct Template {
    /// Its text.
    pub text: String,
    /// The values of its variables.
    pub values: IndexMap<String, String>,
}

impl fmt::Debug for Template {
    /// Without the values, which may be secrets.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Template")
    }
}

/// Where a document places its service: one entry a room, or one `None` for every room.
///
/// # Errors
///
/// `room` and `rooms` together, an empty list, and a room that is named twice.
pub fn placements(
    room: Option<String>,
    rooms: Option<Vec<String>>,
) -> Result<Vec<Option<String>>, Vec<Fault>> {
    match (room, rooms) {
        (Some(_), Some(_)) => {
            Err(vec![Fault::new(&["rooms"], "a document can have `room` or `rooms`, not both")])
        }
        (Some(room), None) => Ok(vec![Some(room)]),
        (None, None) => Ok(vec![None]),
        (None, Some(rooms)) if rooms.is_empty() => Err(vec![
            Fault::new(&["rooms"], "`rooms` is empty")
                .hint("leave it out to place the service in every room of the project"),
        ]),
        (None, Some(rooms)) => {
            let mut named = HashSet::new();
            let twice = rooms.iter().enumerate().filter(|(_, room)| !named.insert(*room));
            let fault = |(index, room)| Fault {
                path: FieldPath::of(&["rooms"]).join(Step::Index(index)),
                message: format!("room `{room}` is named twice"),
                hint: None,
            };
            match twice.map(fault).collect::<Vec<_>>() {
                faults if faults.is_empty() => Ok(rooms.into_iter().map(Some).collect()),
                faults => Err(faults),
            }
        }
    }
}

/// What is declared, in each of these rooms.
#[must_use]
pub fn in_rooms(declared: Declared, mut rooms: Vec<Option<String>>) -> Vec<Declared> {
    let last = rooms.pop().flatten();
    let others = rooms.into_iter().map(|room| Declared { room, ..declared.clone() });
    let mut all: Vec<Declared> = others.collect();
    all.push(Declared { room: last, ..declared });
    all
}

/// A service runs in a container or elsewhere.
fn runs_one_thing(container: bool, external: bool) -> Result<(), Fault> {
    let (field, message) = match (container, external) {
        (true, true) => ("external", "a service has `container` or `external`, not both"),
        (false, false) => {
            ("container", "a service needs one of `container`, `external` and `template`")
        }
        _ => return Ok(()),
    };
    Err(Fault::new(&[field], message))
}

/// A service that runs elsewhere is reached at its URL, unless it is one of connectors, which
/// are known by their ids.
fn is_reached(
    external: Option<&ExternalServiceSpec>,
    ports: Option<&[PortSpec]>,
) -> Result<(), Fault> {
    let endpoints = || ports.unwrap_or_default().iter().flat_map(|port| &port.endpoints);
    let is_connector = |endpoint: &EndpointSpec| {
        endpoint.mcp.as_ref().is_some_and(|mcp| mcp.openai_connector_id.is_some())
    };
    match external {
        Some(ExternalServiceSpec { url: None }) if !endpoints().any(is_connector) => {
            Err(Fault::new(&["external"], "a service that runs elsewhere needs its `url`")
                .hint("write `external: {url: https://…}`"))
        }
        _ => Ok(()),
    }
}

/// Checks the form of a service that no document declares.
///
/// # Errors
///
/// Everything that a document would be refused for, each with the field at fault.
pub fn check(spec: &ServiceSpec) -> Result<(), Vec<Fault>> {
    let whole = [
        runs_one_thing(spec.container.is_some(), spec.external.is_some()),
        is_reached(spec.external.as_ref(), spec.ports.as_deref()),
    ];
    let mut faults: Vec<Fault> = whole.into_iter().filter_map(Result::err).collect();
    let broken = super::broken(&Service, (None, &spec.metadata.name), &fields_of(spec));
    faults.extend(broken.into_iter().map(Fault::from));
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// The fields of a service, as the planner compares them.
#[must_use]
pub fn fields_of(spec: &ServiceSpec) -> Tree {
    // Serializing a specification cannot fail: its maps have text keys.
    SHAPE.read(&serde_json::to_value(spec).unwrap_or_default())
}

/// The items of a list of the container.
fn items<'a>(fields: &'a Tree, list: &str) -> &'a [Tree] {
    match fields.get("container").and_then(|container| container.get(list)) {
        Some(Tree::List(items)) => items.as_slice(),
        _ => &[],
    }
}

/// What a container refers to that belongs to service accounts, and the account that it acts for.
fn to_accounts(fields: &Tree) -> Vec<Reference> {
    let to = |path: FieldPath, kind: KindName, purpose| {
        let name = fields.at(&path)?.as_str()?.to_owned();
        Some(Reference { path, to: ReferredTo::Object { kind, name, purpose } })
    };
    let variables = items(fields, "environment").iter().enumerate();
    let mut found: Vec<Reference> = variables
        // A secret of the room says whose it is.
        .filter(|(_, it)| it.get("secret").is_some_and(|it| it.get("identity").is_none()))
        .filter_map(|(index, _)| {
            let path = FieldPath::of(&["container", "environment"]).join(Step::Index(index));
            to(path.field("secret").field("id"), KindName::AccountSecret, Purpose::Variables)
        })
        .collect();
    let pulled = FieldPath::of(&["container", "pull_secret"]);
    let account = FieldPath::of(&["container", "run_as", "account"]);
    found.extend(to(pulled, KindName::AccountSecret, Purpose::Images));
    found.extend(to(account, KindName::ServiceAccount, Purpose::Whole));
    found
}

/// A container whose account may not read the secrets that its variables name.
fn cannot_read(fields: &Tree) -> Option<(FieldPath, &'static str)> {
    let run_as = fields.at(&FieldPath::of(&["container", "run_as"]))?;
    let is_of_account = |it: &Tree| it.get("secret").is_some_and(|it| it.get("identity").is_none());
    let may_read = matches!(run_as.get("scopes"), Some(Tree::List(scopes))
        if scopes.iter().any(|scope| scope.as_str() == Some("secrets:read")));
    let is_told = !may_read && items(fields, "environment").iter().any(is_of_account);
    is_told.then(|| {
        (
            FieldPath::of(&["container", "run_as", "scopes"]),
            "does not have `secrets:read`, so variables do not get the values of secrets",
        )
    })
}

/// The lists of what is mounted.
const MOUNTS: [&str; 7] =
    ["room", "project", "images", "files", "empty_dirs", "volumes", "configs"];

/// Mounts at a place where another one is, which may be in another list, or spell its path in
/// another way.
fn mounted_twice(fields: &Tree) -> Vec<Broken> {
    let mut first: BTreeMap<String, FieldPath> = BTreeMap::new();
    let mut found = Vec::new();
    for list in MOUNTS {
        let list = FieldPath::of(&["container", "storage", list]);
        let Some(Tree::List(items)) = fields.at(&list) else { continue };
        for (index, item) in items.iter().enumerate() {
            // Only configurations have a place by default.
            let path = item.get("path").map_or(Some(USUAL_CONFIGS), Tree::as_str);
            let Some(path) = path else { continue };
            let mount = list.join(Step::Index(index));
            match first.entry(cleaned(path)) {
                Entry::Vacant(free) => drop(free.insert(mount)),
                Entry::Occupied(taken) => found.push(Broken::repeated(
                    mount.field("path"),
                    taken.key(),
                    &format!("`{}`", taken.get()),
                )),
            }
        }
    }
    found
}

/// A path in a container as its kernel walks it: without empty parts, `.` and `..`.
fn cleaned(path: &str) -> String {
    let parts = path.split('/').fold(Vec::new(), |mut parts, part| {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
        parts
    });
    format!("/{}", parts.join("/"))
}

impl Kind for Service {
    fn name(&self) -> KindName {
        KindName::Service
    }

    fn summary(&self) -> &'static str {
        "a service: what runs in one room, or in every room of a project"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = generator.root_schema_for::<ServiceDocument>();
        built::require_image(&mut schema);
        schema
    }

    fn example(&self) -> &'static str {
        include_str!("examples/service.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, written: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let written = &*built::with_image(written)?;
        let document: ServiceDocument = typed(written)?;
        let whole = [
            runs_one_thing(document.container.is_some(), document.external.is_some()),
            is_reached(document.external.as_ref(), document.ports.as_deref()),
        ];
        let mut faults: Vec<Fault> = whole.into_iter().filter_map(Result::err).collect();
        let rooms = placements(document.room, document.rooms);
        let rooms = match rooms {
            Ok(rooms) if faults.is_empty() => rooms,
            Ok(_) => return Err(faults),
            Err(more) => {
                faults.extend(more);
                return Err(faults);
            }
        };
        let fields = SHAPE.read(written);
        let declared = Declared {
            project: document.project,
            room: None,
            name: document.metadata.name,
            fields,
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        };
        Ok(in_rooms(declared, rooms))
    }

    fn beside(&self, document: &Value) -> Vec<(FieldPath, Beside, String)> {
        built::beside(document)
    }

    fn built(&self, document: &Value) -> Option<String> {
        built::image(document)
    }

    fn made_of(&self, path: &FieldPath) -> Option<FieldPath> {
        let is_image = *path == FieldPath::of(&["container", "image"]);
        is_image.then(|| FieldPath::of(&[built::BUILD, "context"]))
    }

    /// With the command that the platform has, where both run the same agent.
    fn spelled_as(&self, wanted: &Tree, observed: &Tree) -> Option<Tree> {
        let path = FieldPath::of(&["container", "command"]);
        let (wanted_command, command) =
            (wanted.at(&path)?.as_str()?, observed.at(&path)?.as_str()?);
        // What options are by default is known of one image only.
        let image = FieldPath::of(&["container", "image"]);
        let is_known = |fields: &Tree| fields.at(&image).and_then(Tree::as_str) == Some(IMAGE);
        let defaults = match is_known(wanted) && is_known(observed) {
            true => Defaults::Known,
            false => Defaults::Unknown,
        };
        if wanted_command == command || !command::is_same(wanted_command, command, defaults) {
            return None;
        }
        let mut spelled = wanted.clone();
        spelled.put(&path, Some(Tree::text(command)));
        Some(spelled)
    }

    fn broken_together(&self, fields: &Tree) -> Vec<Broken> {
        mounted_twice(fields)
    }

    fn relations(&self) -> &'static [Relation] {
        &[
            Relation { to: KindName::Secret, by: By::Id },
            Relation { to: KindName::AccountSecret, by: By::Id },
            Relation { to: KindName::ServiceAccount, by: By::Email },
        ]
    }

    fn references(&self, fields: &Tree) -> Vec<Reference> {
        let to = |secret: &Tree, purpose| {
            let name = secret.as_str()?.to_owned();
            Some(ReferredTo::Object { kind: KindName::Secret, name, purpose })
        };
        let listed = items(fields, "secrets").iter().enumerate().filter_map(|(index, secret)| {
            let path = FieldPath::of(&["container", "secrets"]).join(Step::Index(index));
            Some(Reference { path, to: to(secret, Purpose::Variables)? })
        });
        let path = FieldPath::of(&["container", "pull_secret"]);
        // The secret of an account has a name of two parts.
        let of_project = |secret: &&Tree| !secret.as_str().is_some_and(|name| name.contains('/'));
        let pull_secret = fields
            .at(&path)
            .filter(of_project)
            .and_then(|secret| Some(Reference { to: to(secret, Purpose::Images)?, path }));
        listed.chain(pull_secret).chain(to_accounts(fields)).collect()
    }

    fn published(&self, fields: &Tree) -> Vec<String> {
        let ports = match fields.get("ports") {
            Some(Tree::List(ports)) => ports.as_slice(),
            _ => &[],
        };
        ports
            .iter()
            .filter(|entry| matches!(entry.get("published"), Some(Tree::Bool(true))))
            .filter_map(|entry| entry.get("num").and_then(Tree::scalar))
            .collect()
    }

    fn own_variables<'a>(&self, fields: &'a Tree) -> (&'static str, Vec<&'a str>) {
        let variables = items(fields, "environment").iter();
        let names = variables.filter_map(|variable| variable.get("name").and_then(Tree::as_str));
        ("container.environment", names.collect())
    }

    fn remarks(&self, fields: &Tree) -> Vec<(FieldPath, &'static str)> {
        let path = FieldPath::of(&["container", "command"]);
        let command = fields.at(&path).and_then(Tree::as_str);
        let mut remarks = Vec::new();
        if command.is_some_and(given::sets_a_secret) {
            remarks.push((
                path,
                "has a variable that looks like a secret, with its value for everybody to read; name a secret of the project in `secrets` instead",
            ));
        }
        remarks.extend(cannot_read(fields));
        remarks
    }

    fn placed_in(&self) -> Option<KindName> {
        Some(KindName::Room)
    }

    fn is_renamable(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_the_fields_of_what_it_is_read_into() {
        let documents = crate::manifest::yaml::parse(Service.example()).unwrap();
        for document in documents {
            let mut written = document.to_json();
            let declared = Service.declare(&written).unwrap();
            for own in ["project", "room", "rooms", "lifecycle"] {
                written.as_object_mut().unwrap().shift_remove(own);
            }
            let spec = ServiceSpec::deserialize(&written).unwrap();
            assert!(declared.iter().all(|declared| declared.fields == fields_of(&spec)));
        }
    }
}
