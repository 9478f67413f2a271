//! `kind: ServiceTemplate`. A service with variables; it creates nothing by itself unless
//! it is placed with `values`. What a placement becomes is decided in `manifest`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::Lifecycle;
use super::service::MOST_ROOMS;
use super::shape::Shape;
use super::{Declared, Fault, Kind, KindName, kind_tag};
use crate::kinds::specs::Version;
use crate::kinds::specs::service::{AgentSpec, PortSpec, ServiceMetadata};
use crate::kinds::specs::template::{
    ContainerTemplateSpec, ExternalServiceTemplateSpec, ServiceTemplateVariable,
};

kind_tag!(ServiceTemplateTag, ServiceTemplate);

/// A template of services. Its text is rendered with the values of its variables before
/// it is read, so `{{ name }}` may stand anywhere.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "ServiceTemplate")]
struct ServiceTemplateDocument {
    /// Always `v1`.
    version: Version,
    /// Always `ServiceTemplate`.
    kind: ServiceTemplateTag,
    /// The name of the template and of the services made from it.
    metadata: ServiceMetadata,
    /// The agents that the service brings into a room.
    #[serde(default)]
    agents: Option<Vec<AgentSpec>>,
    /// The variables whose values are asked for when the template is placed.
    #[serde(default)]
    #[schemars(extend("x-unique" = ["name"]))]
    variables: Option<Vec<ServiceTemplateVariable>>,
    /// The ports that the service listens on.
    #[serde(default)]
    ports: Option<Vec<PortSpec>>,
    /// What to run.
    #[serde(default)]
    container: Option<ContainerTemplateSpec>,
    /// Where a service that runs elsewhere is reached.
    #[serde(default)]
    external: Option<ExternalServiceTemplateSpec>,
    /// The project, by name or id. Only for a template that is placed by itself.
    #[serde(default)]
    project: Option<String>,
    /// The room it is placed in.
    #[serde(default)]
    #[schemars(extend("x-rule" = "segment"))]
    room: Option<String>,
    /// The rooms it is placed in.
    #[serde(default)]
    #[schemars(extend("maxItems" = MOST_ROOMS))]
    rooms: Option<Vec<String>>,
    /// The values of its variables; they place the template.
    #[serde(default)]
    values: Option<BTreeMap<String, String>>,
    /// How the reconciler treats the service made from it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

/// The fields of a template document that only the reconciler reads; they are taken off
/// the text before it is rendered.
pub const OWN_FIELDS: [&str; 5] = ["project", "room", "rooms", "values", "lifecycle"];

static SHAPE: LazyLock<Shape> =
    LazyLock::new(|| super::own_fields::<ServiceTemplateDocument>(&OWN_FIELDS));

/// The kind.
pub struct ServiceTemplate;

impl Kind for ServiceTemplate {
    fn name(&self) -> KindName {
        KindName::ServiceTemplate
    }

    fn summary(&self) -> &'static str {
        "a template of services; creates nothing by itself unless placed with values"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<ServiceTemplateDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/service_template.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, _document: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        Ok(Vec::new())
    }
}
