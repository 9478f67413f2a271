//! `service spec` and `service validate`: commands that need no platform.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use super::source::{self, DocumentArgs, SERVICE_ID};
use crate::bounded;
use crate::error::{Error, Result};
use crate::kinds::specs::service::ServiceSpec;
use crate::kinds::specs::template::{
    ContainerTemplateSpec, ExternalServiceTemplateSpec, ServiceTemplateSpec, TemplateKind,
};
use crate::kinds::{Fault, service};
use crate::output;
use crate::visible;

/// The form in which a document is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SpecFormat {
    /// A service.
    #[default]
    Service,
    /// A template of one.
    Template,
}

/// Arguments of `service spec`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A template's placeholders stay as they are. Written as a template, a service loses its\nid, and the project secrets, which a template cannot name: secrets, pull_secret and api_key."
)]
pub struct SpecArgs {
    #[command(flatten)]
    document: DocumentArgs,
    /// The form in which it is written
    #[arg(long, value_enum, default_value_t)]
    format: SpecFormat,
}

/// Arguments of `service validate`.
#[derive(Debug, clap::Args)]
pub struct ValidateArgs {
    /// A file with the service
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
}

/// A document as YAML, without what is not set.
pub fn yaml(mut document: Value) -> String {
    fn without_nulls(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|_, value| !value.is_null());
                fields.values_mut().for_each(without_nulls);
            }
            Value::Array(items) => items.iter_mut().for_each(without_nulls),
            _ => {}
        }
    }
    without_nulls(&mut document);
    visible::yaml(&document)
}

/// Runs `service validate`.
pub fn validate(args: &ValidateArgs) -> Result<ExitCode> {
    let text = bounded::text(&args.file, bounded::STANDARD).map_err(|error| {
        Error::failed(format!("failed to read {}", args.file.display())).because(error)
    })?;
    let spec = source::service(&text, "validate-template")?;
    service::check(&spec).map_err(|faults| {
        let file = args.file.display();
        let told = |it: &Fault| format!("`{}`: {}", it.path, it.message);
        let told: Vec<_> = faults.iter().map(told).collect();
        Error::failed(format!("{file}: {}", told.join("; ")))
    })?;
    output::note(&format!("the service {} is valid", spec.metadata.name));
    Ok(ExitCode::SUCCESS)
}

/// Runs `service spec`.
pub async fn spec(args: SpecArgs) -> Result<ExitCode> {
    let DocumentArgs { source: place, mcp } = &args.document;
    let given = [place.file.is_some(), place.url.is_some(), mcp.mcp.is_some()];
    let text = match given {
        [true, false, false] | [false, true, false] => Some(source::text(place).await?),
        _ => None,
    };
    let template = match &text {
        Some(text) if source::service(text, "").is_err() => Some(source::unrendered(text)?),
        _ => None,
    };
    let document = match (template, args.format) {
        (Some(mut template), format) => {
            if let Some(id) = mcp.service_id.as_deref().map(str::trim) {
                if id.is_empty() {
                    return Err(Error::usage("--service-id is empty"));
                }
                let annotations = template.metadata.annotations.get_or_insert_default();
                annotations.insert(SERVICE_ID.to_owned(), id.to_owned());
            }
            match format {
                SpecFormat::Template => serde_json::to_value(template),
                SpecFormat::Service => {
                    serde_json::to_value(template.into_service().map_err(Error::failed)?)
                }
            }
        }
        (None, format) => {
            let service = args.document.read("validate-template").await?;
            match format {
                SpecFormat::Service => serde_json::to_value(service),
                SpecFormat::Template => serde_json::to_value(into_template(service)?),
            }
        }
    };
    let document =
        document.map_err(|error| Error::failed("failed to write the document").because(error))?;
    output::exactly(&yaml(document));
    Ok(ExitCode::SUCCESS)
}

/// A service as a template without variables.
fn into_template(service: ServiceSpec) -> Result<ServiceTemplateSpec> {
    let external = match service.external {
        None => None,
        Some(external) => Some(ExternalServiceTemplateSpec {
            url: external
                .url
                .ok_or_else(|| Error::usage("a template needs `external.url`, which is not set"))?,
        }),
    };
    Ok(ServiceTemplateSpec {
        version: service.version,
        kind: TemplateKind::ServiceTemplate,
        metadata: service.metadata,
        agents: service.agents,
        variables: None,
        ports: service.ports,
        container: service.container.map(|container| ContainerTemplateSpec {
            image: Some(container.image),
            command: container.command,
            working_dir: container.working_dir,
            environment: container.environment,
            run_as: container.run_as,
            storage: container.storage,
            on_demand: container.on_demand,
            writable_root_fs: container.writable_root_fs,
            private: container.private,
        }),
        external,
    })
}
