//! `kind: ServiceTemplate`: a service with variables, rendered before it is placed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Version;
use super::mounts::ContainerMountSpec;
use super::service::{
    AgentSpec, Annotations, ContainerSpec, EnvironmentVariable, ExternalServiceSpec, PortSpec,
    RunAs, ServiceKind, ServiceMetadata, ServiceSpec, yes,
};

/// The literal `ServiceTemplate`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TemplateKind {
    /// The only value.
    #[default]
    ServiceTemplate,
}

/// A rendered service template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceTemplateSpec {
    /// Always `v1`.
    pub version: Version,
    /// Always `ServiceTemplate`.
    pub kind: TemplateKind,
    /// Name, description, annotations.
    pub metadata: ServiceMetadata,
    /// The agents that the service brings into a room.
    #[serde(default)]
    pub agents: Option<Vec<AgentSpec>>,
    /// What an installer asks for.
    #[serde(default)]
    pub variables: Option<Vec<ServiceTemplateVariable>>,
    /// The ports that the service listens on.
    #[serde(default)]
    pub ports: Option<Vec<PortSpec>>,
    /// What to run.
    #[serde(default)]
    pub container: Option<ContainerTemplateSpec>,
    /// Where a service that runs elsewhere is reached.
    #[serde(default)]
    pub external: Option<ExternalServiceTemplateSpec>,
}

/// What an installer does with a variable's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VariableType {
    /// The value is a mailbox address.
    Email,
    /// The value is a domain.
    Route,
}

/// A variable of a template. Its values are always text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceTemplateVariable {
    /// The name that placeholders use.
    pub name: String,
    /// A heading to show.
    #[serde(default)]
    pub title: Option<String>,
    /// What to enter.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether the value is secret.
    #[serde(default)]
    pub obscure: bool,
    /// The values that are allowed; any when absent.
    #[serde(rename = "enum", default)]
    pub allowed: Option<Vec<String>>,
    /// Whether it may be left out.
    #[serde(default)]
    pub optional: bool,
    /// What an installer does with the value.
    #[serde(rename = "type", default)]
    pub variable_type: Option<VariableType>,
    /// Notes for installers, such as `meshagent.route.port`.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent"))]
    pub annotations: Option<Annotations>,
}

/// What runs in a container; a template can name no project secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerTemplateSpec {
    /// The image; required to place the template.
    #[serde(default)]
    #[schemars(extend("x-rule" = "image"))]
    pub image: Option<String>,
    /// The command line; the image's own when absent.
    #[serde(default)]
    pub command: Option<String>,
    /// The absolute folder to start in.
    #[serde(default)]
    #[schemars(extend("x-rule" = "absolute-path"))]
    pub working_dir: Option<String>,
    /// Environment variables.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent", "x-key" = "name"))]
    pub environment: Option<Vec<EnvironmentVariable>>,
    /// The service account that the container acts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as: Option<RunAs>,
    /// What is mounted into the container.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent"))]
    pub storage: Option<ContainerMountSpec>,
    /// Whether it starts only when it is asked for.
    #[serde(default)]
    pub on_demand: Option<bool>,
    /// Whether the root file system may be written to.
    #[serde(default)]
    pub writable_root_fs: Option<bool>,
    /// Whether other participants are kept from attaching to it.
    #[serde(default = "yes")]
    pub private: bool,
}

/// Where a service that runs elsewhere is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalServiceTemplateSpec {
    /// Its base URL.
    pub url: String,
}

impl ServiceTemplateSpec {
    /// The service that a rendered template stands for: the fields that both share, an
    /// annotations map that is never null, and an environment that is never null.
    ///
    /// # Errors
    ///
    /// A container without an image is refused with a message that names the field.
    pub fn into_service(self) -> Result<ServiceSpec, String> {
        let mut metadata = self.metadata;
        metadata.annotations.get_or_insert_default();
        let container = match self.container {
            None => None,
            Some(container) => Some(ContainerSpec {
                image: container.image.ok_or("container.image is required to place a template")?,
                command: container.command,
                working_dir: container.working_dir,
                environment: Some(container.environment.unwrap_or_default()),
                secrets: None,
                pull_secret: None,
                run_as: container.run_as,
                storage: container.storage,
                api_key: None,
                on_demand: container.on_demand,
                writable_root_fs: container.writable_root_fs,
                private: container.private,
            }),
        };
        Ok(ServiceSpec {
            version: self.version,
            kind: ServiceKind::Service,
            id: None,
            enabled: None,
            metadata,
            agents: self.agents,
            ports: self.ports,
            container,
            external: self.external.map(|external| ExternalServiceSpec { url: Some(external.url) }),
        })
    }
}
