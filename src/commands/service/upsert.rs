//! Creating and changing services. The service is looked up in the list of existing ones: by
//! `meshagent.service.id` first, then by id, then by name.

use std::process::ExitCode;

use serde_json::Value;

use super::source::{self, Blueprint, Origin, SERVICE_ID};
use super::{CreateArgs, PlaceArgs, UpdateArgs, services};
use crate::apply::observe;
use crate::commands::own_inputs::Written;
use crate::commands::shortcut::{self, Shortcut, Writing};
use crate::connection::Connection;
use crate::dialect::Speaks;
use crate::error::{Error, Result};
use crate::kinds::KindName;
use crate::kinds::service::{self, Template};
use crate::kinds::specs::service::ServiceSpec;
use crate::manifest::placing_manifest;
use crate::output;

impl PlaceArgs {
    /// Refuses an impossible place, and a report that would overwrite the document.
    fn check(&self, origin: &impl Origin) -> Result<()> {
        self.scope()?;
        let path = self.declare.write().report.as_deref();
        Written { option: "--report", path }.keeps(&[], &origin.files())
    }

    /// Where the service runs: a room, or `None` for every room.
    fn scope(&self) -> Result<Option<&str>> {
        if self.force && self.replace {
            return Err(Error::usage("--force and --replace cannot be used together"));
        }
        match (self.room.as_deref().filter(|room| !room.is_empty()), self.global) {
            (Some(room), false) => Ok(Some(room)),
            (None, true) => Ok(None),
            (Some(_), true) => Err(Error::usage("--room and --global cannot be used together")),
            (None, false) => Err(Error::usage("neither --room nor --global is given")
                .hint("give --room ROOM, or --global for every room of the project")),
        }
    }
}

/// A service that is to be written, and where.
struct WantedService<'a> {
    place: &'a PlaceArgs,
    room: Option<&'a str>,
    spec: ServiceSpec,
    /// The template that the service was made from; it is sent instead of the service.
    template: Option<Source>,
}

/// A template with its values.
struct Source {
    template: Template,
    /// Whether it marks any of the values as obscure.
    has_obscure_values: bool,
}

fn text<'a>(service: &'a Value, pointer: &str) -> Option<&'a str> {
    service.pointer(pointer).and_then(Value::as_str)
}

/// The id that identifies a service across documents.
fn logical_id(annotation: Option<&str>) -> Option<&str> {
    annotation.map(str::trim).filter(|id| !id.is_empty())
}

impl WantedService<'_> {
    fn logical_id(&self) -> Option<&str> {
        let annotations = self.spec.metadata.annotations.as_ref();
        logical_id(annotations.and_then(|it| it.get(SERVICE_ID)).map(String::as_str))
    }

    /// The service that has the same `meshagent.service.id`.
    fn same<'a>(&self, services: &'a [Value]) -> Option<&'a Value> {
        let wanted = self.logical_id()?;
        services.iter().find(|service| {
            let annotations = service.pointer("/metadata/annotations");
            let id = annotations.and_then(|it| it.get(SERVICE_ID)).and_then(Value::as_str);
            logical_id(id) == Some(wanted)
        })
    }

    /// The error if there is one; what --force would do differs.
    fn exists(&self, forced: &str) -> Error {
        let id = self.logical_id().unwrap_or_default();
        Error::failed(format!("a service with the {SERVICE_ID} `{id}` exists")).hint(format!(
            "add --replace, or --id with its id, to overwrite it, or --force to {forced}"
        ))
    }

    /// Writes the service.
    async fn write(
        &self,
        connection: &Connection,
        shortcut: Shortcut,
    ) -> Result<Option<shortcut::Written>> {
        if let Some(source) = self.template.as_ref().filter(|_| self.place.declare.as_manifest()) {
            output::exactly(&source.manifest(self.room, &self.spec)?);
            return Ok(None);
        }
        let template = self.template.as_ref().map(|source| source.template.clone());
        shortcut.made_of(template).run(connection, &self.place.declare).await
    }

    /// Creates the service.
    async fn create(self, connection: &Connection, is_duplicate: bool) -> Result<ExitCode> {
        let project = connection.project_id().await?;
        let name = &self.spec.metadata.name;
        let fields = service::fields_of(&self.spec);
        let shortcut =
            Shortcut::create_of(KindName::Service, project, name, fields).in_room(self.room);
        // Among services of the same content nobody can tell which one is new.
        let shortcut = if is_duplicate { shortcut.once() } else { shortcut };
        if let Some(written) = self.write(connection, shortcut).await? {
            output::note(&format!("created Service/{name}"));
            output::value(&written.id.unwrap_or_default());
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Replaces the service with this id with the wanted one.
    async fn replace(
        mut self,
        connection: &Connection,
        id: &str,
        services: &[Value],
    ) -> Result<ExitCode> {
        self.spec.id = Some(id.to_owned());
        let project = connection.project_id().await?;
        let name = &self.spec.metadata.name;
        let fields = service::fields_of(&self.spec);
        let mut shortcut = Shortcut::replace(KindName::Service, project, name, fields)
            .in_room(self.room)
            .of_id(id);
        if let Some(item) = services.iter().find(|service| text(service, "/id") == Some(id)) {
            let spelling = connection.client.spelling(KindName::Service);
            if let Ok(seen) = spelling.seen(item) {
                let former = seen.name.clone();
                let observed = observe::observed(spelling, seen, item, None);
                shortcut = shortcut.of(observed).renaming(&former);
            }
        }
        if self.write(connection, shortcut).await?.is_some() {
            output::note(&format!("updated Service/{name}"));
            output::value(id);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Creates the service, unless it already exists.
    async fn insert(self, connection: &Connection) -> Result<ExitCode> {
        let services = services(connection, self.room).await?;
        match self.same(&services).and_then(|service| text(service, "/id")) {
            Some(id) if self.place.replace => self.replace(connection, id, &services).await,
            Some(_) if !self.place.force => Err(self.exists("create another one beside it")),
            same => {
                let is_duplicate = same.is_some();
                self.create(connection, is_duplicate).await
            }
        }
    }

    /// Changes the service that was found.
    async fn change(
        self,
        connection: &Connection,
        requested: Option<String>,
        creates: bool,
    ) -> Result<ExitCode> {
        let services = services(connection, self.room).await?;
        let same = self.same(&services).and_then(|service| text(service, "/id"));
        let target = match same.filter(|_| !self.place.force) {
            Some(id) if requested.as_deref() == Some(id) => requested,
            Some(id) if self.place.replace => Some(id.to_owned()),
            Some(_) => return Err(self.exists("change the one with the same name")),
            None => requested,
        };
        let name = &self.spec.metadata.name;
        let named = || {
            let named = |service: &&Value| text(service, "/metadata/name") == Some(name.as_str());
            let last = services.iter().rev().find(named);
            last.and_then(|service| text(service, "/id")).map(str::to_owned)
        };
        match target.or_else(named) {
            Some(id) => self.replace(connection, &id, &services).await,
            None if creates => self.create(connection, false).await,
            None => Err(Error::failed(format!("there is no service `{name}`"))
                .hint("add --create to create it")),
        }
    }
}

impl Source {
    /// The manifest that places the template.
    fn manifest(&self, room: Option<&str>, spec: &ServiceSpec) -> Result<String> {
        let name = &spec.metadata.name;
        if self.has_obscure_values {
            return Err(Error::failed(format!(
                "the template of `{name}` marks values as obscure, and a manifest could hold them only in clear text"
            ))
            .hint("add a Service with `template` and `values` to the manifests by hand"));
        }
        placing_manifest::manifest(&self.template.text, &self.template.values, room, spec).map_err(
            |why| Error::failed(format!("no manifest can declare the service `{name}`: {why}")),
        )
    }
}

/// The service of a blueprint; for a template, the service that the platform makes from it.
async fn wanted<'a>(
    connection: &Connection,
    place: &'a PlaceArgs,
    blueprint: Blueprint,
) -> Result<WantedService<'a>> {
    let room = place.scope()?;
    let (text, values) = match blueprint {
        Blueprint::Service(spec) => {
            return Ok(WantedService { place, room, spec: *spec, template: None });
        }
        Blueprint::Template(text, values) => (text, values),
    };
    let rendered = source::render(connection, &text, &values).await?;
    let rendered =
        connection.client.dialect().rendered(rendered).map_err(|error| {
            Error::failed("the platform's answer is not a template").because(error)
        })?;
    let is_given = |name: &str| values.get(name).is_some_and(|value| !value.is_empty());
    let mut variables = rendered.variables.iter().flatten();
    let has_obscure_values = variables.any(|it| it.obscure && is_given(&it.name));
    let spec = rendered.into_service().map_err(Error::failed)?;
    let template = Some(Source { template: Template { text, values }, has_obscure_values });
    Ok(WantedService { place, room, spec, template })
}

/// Runs `service create` and `service create-template`.
pub async fn create<T: Origin>(args: CreateArgs<T>) -> Result<ExitCode> {
    args.place.check(&args.origin)?;
    let blueprint = args.origin.blueprint("create-template").await?;
    if matches!(&blueprint, Blueprint::Service(spec) if spec.id.is_some()) {
        return Err(Error::failed("the document has an `id`, but a new service must not have one")
            .hint("remove it, or use `meshagent service update`"));
    }
    args.place
        .platform
        .with(async |connection| {
            wanted(connection, &args.place, blueprint).await?.insert(connection).await
        })
        .await
}

/// Runs `service update` and `service update-template`.
pub async fn update<T: Origin>(args: UpdateArgs<T>) -> Result<ExitCode> {
    args.place.check(&args.origin)?;
    let blueprint = args.origin.blueprint("update-template").await?;
    args.place
        .platform
        .with(async |connection| {
            let wanted = wanted(connection, &args.place, blueprint).await?;
            let requested = wanted.spec.id.clone().or(args.id).filter(|id| !id.is_empty());
            wanted.change(connection, requested, args.create.is_on()).await
        })
        .await
}
