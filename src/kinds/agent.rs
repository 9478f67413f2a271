//! `kind: Agent`. An agent that is described by its options. It is a service on the platform: the
//! one that `deploy` makes of the same options.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::agents::check::{Wrong, check};
use super::agents::command::AgentCommand;
use super::agents::document;
use super::agents::family::{Action, Family};
use super::agents::given::Given;
use super::agents::managed;
use super::agents::options::AgentOption;
use super::agents::said::{Defaults, Said, words};
use super::agents::service::{IMAGE, TOKEN, deployed, service};
use super::document::Lifecycle;
use super::managed_agent;
use super::path::{FieldPath, Step};
use super::service::{MOST_ROOMS, Service, in_rooms, placements};
use super::shape::Shape;
use super::tree::Tree;
use super::{Declared, Fault, Key, Kind, KindName, kind_tag, schema, typed};
use crate::kinds::Beside;
use crate::kinds::specs::Version;
use crate::kinds::specs::rules::Rule;
use crate::kinds::specs::service::{EnvironmentVariable, ServiceMetadata};

kind_tag!(AgentTag, Agent);

/// The annotation that identifies a service across documents.
const SERVICE_ID: &str = "meshagent.service.id";

/// The folder of a container that folders beside the manifest are mounted in.
const MOUNTED: &str = "/skills";

/// The fields of a document that no option stands in.
#[derive(Deserialize)]
struct AgentDocument {
    metadata: ServiceMetadata,
    #[serde(rename = "type")]
    family: String,
    #[serde(default)]
    managed: bool,
    #[serde(default)]
    image: Option<String>,
    #[serde(default)]
    environment: Option<Vec<EnvironmentVariable>>,
    #[serde(default)]
    project: Option<String>,
    #[serde(default)]
    room: Option<String>,
    #[serde(default)]
    rooms: Option<Vec<String>>,
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

impl JsonSchema for AgentDocument {
    fn schema_name() -> Cow<'static, str> {
        "Agent".into()
    }

    /// The fields of the options are those of the table of options.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let families: Vec<String> = Family::ALL.map(Family::name).to_vec();
        let variable = generator.subschema_for::<EnvironmentVariable>();
        let lifecycle = generator.subschema_for::<Option<Lifecycle>>();
        let mut properties = json!({
            "version": described(generator.subschema_for::<Version>(), "Always `v1`."),
            "kind": described(generator.subschema_for::<AgentTag>(), "Always `Agent`."),
            "metadata": described(
                generator.subschema_for::<ServiceMetadata>(),
                "The name of the service that the agent becomes, unique in its room or project, and what is known about it.",
            ),
            "type": {"description": "What sort of agent it is.", "type": "string", "enum": families},
        });
        let others = json!({
            "managed": {
                "description": "Whether the platform runs the agent itself, without a container: it becomes a `ManagedAgent`, which only a platform of 0.56 has.",
                "type": "boolean", "default": false,
            },
            "image": {
                "description": "The image. It must have the command line of release 0.31.4.",
                "type": ["string", "null"], "default": IMAGE, "x-rule": "image",
            },
            "environment": {
                "description": "More environment variables of the container.",
                "type": ["array", "null"], "items": variable, "x-empty": "absent", "x-key": "name",
            },
            "project": {"description": "The project, by name or id.", "type": ["string", "null"]},
            "room": {
                "description": "The room it is placed in. Without `room` and `rooms`, it is placed in every room of the project.",
                "type": ["string", "null"], "x-rule": "segment",
            },
            "rooms": {
                "description": "The rooms it is placed in.", "type": ["array", "null"],
                "items": {"type": "string"}, "maxItems": MOST_ROOMS,
            },
            "lifecycle": described(lifecycle, "How the reconciler treats it."),
        });
        if let (Value::Object(all), Value::Object(others)) = (&mut properties, others) {
            all.extend(document::properties());
            all.extend(others);
        }
        // The name in its room needs not be said twice.
        properties["agent_name"]["description"] =
            "The name with which the agent takes part in its room; `metadata.name` if absent."
                .into();
        schemars::json_schema!({
            "title": "Agent",
            "description": "An agent: a service that runs the options given here.",
            "type": "object", "additionalProperties": false,
            "required": ["version", "kind", "metadata", "type"],
            "properties": properties,
        })
    }
}

/// A schema with what its field is about.
fn described(schema: Schema, about: &str) -> Value {
    let mut schema = schema.to_value();
    schema["description"] = about.into();
    schema
}

/// The fields of a document that only place the service, or name it.
const OWN_FIELDS: [&str; 3] = ["room", "rooms", "managed"];

static SHAPE: LazyLock<Shape> = LazyLock::new(|| super::own_fields::<AgentDocument>(&OWN_FIELDS));

/// The kind.
pub struct Agent;

impl Kind for Agent {
    fn name(&self) -> KindName {
        KindName::Agent
    }

    fn summary(&self) -> &'static str {
        "an agent, described by its options; it becomes a service that runs them, or a managed agent"
    }

    fn document_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.root_schema_for::<AgentDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/agent.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn explained(&self, key: &Key, fields: &Tree) -> Option<Value> {
        explained(key, fields)
    }

    fn declares(&self) -> KindName {
        KindName::Service
    }

    fn declares_in(&self, document: &Value) -> KindName {
        match document.get("managed") {
            Some(Value::Bool(true)) => KindName::ManagedAgent,
            _ => self.declares(),
        }
    }

    fn beside(&self, written: &Value) -> Vec<(FieldPath, Beside, String)> {
        document::beside(written)
    }

    fn written_at(&self, path: &FieldPath) -> Option<FieldPath> {
        let [Step::Field(above), Step::Field(name), below @ ..] = path.0.as_slice() else {
            return managed::written_at(path);
        };
        if above != "container" {
            return managed::written_at(path);
        }
        let is_own = ["image", "secrets", "environment"].contains(&&**name);
        let mut path = FieldPath([&[Step::Field(name.clone())], below].concat());
        // The token is in front of what the document says.
        if let ("environment", [_, Step::Index(index), ..]) = (name.as_str(), path.0.as_mut_slice())
        {
            *index = index.saturating_sub(1);
        }
        is_own.then_some(path)
    }

    fn field_called(&self, name: &str) -> Option<FieldPath> {
        document::called(name)
    }

    fn declare(&self, written: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let document: AgentDocument = typed(written)?;
        let Some((family, fields)) = Family::named(&document.family).zip(written.as_object())
        else {
            return Err(Fault::new(&["type"], "is not a type of agents").into());
        };
        let mut faults = document::faults(family, fields);
        if let Some(image) = &document.image
            && let Err(message) = Rule::Image.check(image)
        {
            faults.push(Fault::new(&["image"], format!("`image` {message}")));
        }
        faults.extend(named_twice(document.environment.as_deref().unwrap_or_default()));
        let options = family.options(Action::Spec);
        let mut said = document::said(family, fields);
        let files = bring(&mut said, &options, &mut faults);
        if document.managed {
            return document.managed(family, (fields, &said), faults);
        }
        let name = document.metadata.name.as_str();
        said.entry("agent-name").or_insert_with(|| name.into());
        let given = Given::of_said(&said, &options);
        if let Err(wrong) = check(family, &given, |_| true) {
            faults.push(fault(wrong, &options));
        }
        let rooms = match placements(document.room.clone(), document.rooms.clone()) {
            Ok(rooms) if faults.is_empty() => rooms,
            Ok(_) => return Err(faults),
            Err(more) => return Err([faults, more].concat()),
        };
        let said = given.said(&options, defaults(document.image.as_deref()));
        let mut whole = service(family, Action::Spec, (&given, &words(&said, &options)));
        document.complete(&mut whole, files);
        let declared = Declared {
            project: document.project,
            room: None,
            name: document.metadata.name,
            fields: Service.shape().read(&whole),
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        };
        Ok(in_rooms(declared, rooms))
    }
}

impl AgentDocument {
    /// The managed agent that it declares.
    fn managed(
        self,
        family: Family,
        (fields, said): (&Map<String, Value>, &Said),
        mut faults: Vec<Fault>,
    ) -> Result<Vec<Declared>, Vec<Fault>> {
        faults.extend(managed::faults(family, fields, said));
        let options = family.options(Action::Spec);
        let usual = options.iter().find(|option| option.name == "model");
        let usual = usual.and_then(|option| option.default).unwrap_or_default();
        let model = said.get("model").and_then(Value::as_str).unwrap_or(usual);
        let whole = managed::fields(fields, said, model);
        let told = |fault: Fault| {
            let path = managed::written_at(&fault.path).unwrap_or_else(|| fault.path.clone());
            Fault { path, ..fault }
        };
        match managed_agent::declared(&whole) {
            Ok(fields) if faults.is_empty() => Ok(vec![Declared {
                project: self.project,
                room: None,
                name: KindName::ManagedAgent.kind().natural_name(&self.metadata.name),
                fields,
                lifecycle: self.lifecycle.unwrap_or_else(Lifecycle::standard),
            }]),
            // What is refused already has no other faults that matter.
            Err(more) if faults.is_empty() => Err(more.into_iter().map(told).collect()),
            _ => Err(faults),
        }
    }

    /// Adds to a service what the document says beside the options.
    fn complete(&self, service: &mut Value, files: Vec<Value>) {
        let mut metadata = serde_json::to_value(&self.metadata).unwrap_or_default();
        if metadata["annotations"].is_null() {
            metadata["annotations"] = json!({});
        }
        if let Value::Object(annotations) = &mut metadata["annotations"] {
            annotations.entry(SERVICE_ID).or_insert_with(|| self.metadata.name.clone().into());
        }
        service["metadata"] = metadata;
        let container = &mut service["container"];
        if let Some(image) = &self.image {
            container["image"] = image.clone().into();
        }
        if let (Value::Array(variables), Some(more)) =
            (&mut container["environment"], &self.environment)
        {
            let more = more.iter().filter_map(|variable| serde_json::to_value(variable).ok());
            variables.extend(more);
        }
        if !files.is_empty() {
            container["storage"] = json!({"files": files});
        }
    }
}

/// Where what was said of an option stands in a document.
fn fault(Wrong { option, item, message, .. }: Wrong, options: &[AgentOption]) -> Fault {
    let named = options.iter().find(|it| it.name == option);
    let path = named.map(document::field_of).unwrap_or_default();
    let path = item.map_or(path.clone(), |index| path.join(Step::Index(index)));
    Fault { message: format!("`{path}` {message}"), path, hint: None }
}

/// Variables whose name another one has, or the one with the token.
fn named_twice(variables: &[EnvironmentVariable]) -> Vec<Fault> {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for (index, EnvironmentVariable { name, .. }) in variables.iter().enumerate() {
        let path = FieldPath::of(&["environment"]).join(Step::Index(index)).field("name");
        let (message, hint) = if name == TOKEN {
            (format!("`{path}` is `{TOKEN}`, which the agent sets itself"), "remove it".to_owned())
        } else if let Some(first) = first.get(name.as_str()) {
            let message = format!(
                "`{path}` is `{name}`, which occurs twice, first at `environment[{first}]`"
            );
            (message, "remove one of the two".to_owned())
        } else {
            first.insert(name, index);
            continue;
        };
        faults.push(Fault { path, message, hint: Some(hint) });
    }
    faults
}

/// Puts what was read beside the manifest in its place: the texts of files, and the folders in
/// which the files of a folder are mounted. These files are returned.
fn bring(said: &mut Said, options: &[AgentOption], faults: &mut Vec<Fault>) -> Vec<Value> {
    let mut mounted = Vec::new();
    let mut taken = BTreeSet::new();
    for option in options.iter().filter(|option| option.beside.is_some()) {
        let Some(Value::Array(items)) = said.get_mut(option.name) else { continue };
        for (index, item) in items.iter_mut().enumerate().filter(|(_, item)| item.is_object()) {
            let path = document::field_of(option).join(Step::Index(index));
            if let Some(text) = item.get("text") {
                *item = text.clone();
                continue;
            }
            let (Some(Value::String(name)), Some(Value::Array(files))) =
                (item.get("name"), item.get("files"))
            else {
                let message = format!("`{path}` is not read here");
                faults.push(Fault { path, message, hint: None });
                continue;
            };
            let folder = format!("{MOUNTED}/{name}");
            if !taken.insert(folder.clone()) {
                let message = format!("`{path}` is mounted at {folder}, where another one is");
                let hint = Some("rename one of the two folders".to_owned());
                faults.push(Fault { path, message, hint });
            }
            mounted.extend(files.iter().filter_map(|file| {
                let path = format!("{folder}/{}", file.get("path")?.as_str()?);
                Some(json!({"path": path, "text": file.get("text")?}))
            }));
            *item = folder.into();
        }
    }
    mounted
}

/// The document of an agent that a service is; `None` if it is another service, or if a document
/// would make something else of it.
fn explained(key: &Key, fields: &Tree) -> Option<Value> {
    if key.kind != KindName::Service || fields.has_secrets() {
        return None;
    }
    let service = fields.written();
    let container = service.get("container")?;
    let AgentCommand { family, action, given } =
        AgentCommand::read(container.get("command")?.as_str()?)?;
    let is_deployed = action == deployed(family);
    let image = container.get("image").and_then(Value::as_str);
    let said = given.said(&family.options(action), defaults(image));
    let mut document = Map::new();
    document.insert("version".to_owned(), "v1".into());
    document.insert("kind".to_owned(), KindName::Agent.to_string().into());
    document.insert("metadata".to_owned(), metadata(&service, &key.name));
    document.insert("type".to_owned(), family.name().into());
    if let Some(room) = &key.room {
        document.insert("room".to_owned(), room.clone().into());
    }
    let mut own = said.clone();
    if own.get("agent-name").and_then(Value::as_str) == Some(&key.name) {
        own.shift_remove("agent-name");
    }
    document::put(&own, family, &mut document);
    if let Some(secrets) = container.get("secrets") {
        document.insert("secrets".to_owned(), secrets.clone());
    }
    if let Some(image) = container.get("image").filter(|image| *image != IMAGE) {
        document.insert("image".to_owned(), image.clone());
    }
    let variables = container.get("environment").and_then(Value::as_array).into_iter().flatten();
    let variables: Vec<_> = variables.filter(|it| it["name"] != TOKEN).cloned().collect();
    if !variables.is_empty() {
        document.insert("environment".to_owned(), variables.into());
    }
    let document = Value::Object(document);
    if schema::validator(&Agent).is_some_and(|validator| !validator.is_valid(&document)) {
        return None;
    }
    let declared = Agent.declare(&document).ok()?.pop()?;
    let declared = Service.spelled_as(&declared.fields, fields).unwrap_or(declared.fields);
    (is_deployed && declared == *fields).then_some(document)
}

/// Whether it is known what options are by default: it is of one image only.
fn defaults(image: Option<&str>) -> Defaults {
    match image {
        None | Some(IMAGE) => Defaults::Known,
        Some(_) => Defaults::Unknown,
    }
}

/// The metadata of a service, as the document of its agent has them.
fn metadata(service: &Value, name: &str) -> Value {
    let mut metadata = Map::from_iter([("name".to_owned(), name.into())]);
    if let Some(Value::Object(more)) = service.get("metadata") {
        metadata.extend(more.clone());
    }
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        if annotations.get(SERVICE_ID).and_then(Value::as_str) == Some(name) {
            annotations.shift_remove(SERVICE_ID);
        }
        if annotations.is_empty() {
            metadata.shift_remove("annotations");
        }
    }
    metadata.into()
}
