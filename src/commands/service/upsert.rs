//! Creating and changing services. Which service is meant is decided by the list of those
//! that there are: by `meshagent.service.id` first, then by id, then by name.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::source::{self, SERVICE_ID};
use super::{
    ClashArgs, CreateArgs, CreateTemplateArgs, ScopeArgs, UpdateArgs, UpdateTemplateArgs, services,
};
use crate::api::specs::service::ServiceSpec;
use crate::apply::observe;
use crate::commands::shortcut::{Shortcut, Writing};
use crate::error::{Error, Result};
use crate::kinds::{KindName, service};
use crate::output;
use crate::settings::Connection;

/// Where the service runs: a room, or `None` for every room.
fn scope<'a>(scope: &'a ScopeArgs, clash: &ClashArgs) -> Result<Option<&'a str>> {
    if clash.force && clash.replace {
        return Err(Error::usage("--force and --replace exclude each other"));
    }
    match (scope.room.as_deref().filter(|room| !room.is_empty()), scope.global) {
        (Some(room), false) => Ok(Some(room)),
        (None, true) => Ok(None),
        (Some(_), true) => Err(Error::usage("--room and --global exclude each other")),
        (None, false) => Err(Error::usage("it is not said where the service runs")
            .hint("give --room ROOM, or --global for every room of the project")),
    }
}

/// A service that is to be written, and what is sent for it.
struct Wanted<'a> {
    room: Option<&'a str>,
    spec: ServiceSpec,
    /// What is sent; without it, the service itself.
    body: Option<Value>,
}

fn text<'a>(service: &'a Value, pointer: &str) -> Option<&'a str> {
    service.pointer(pointer).and_then(Value::as_str)
}

/// The id of a service by which two documents both mean it.
fn logical_id(annotation: Option<&str>) -> Option<&str> {
    annotation.map(str::trim).filter(|id| !id.is_empty())
}

impl Wanted<'_> {
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

    fn exists(&self) -> Error {
        let id = self.logical_id().unwrap_or_default();
        Error::failed(format!("a service with the {SERVICE_ID} `{id}` exists"))
            .hint("--replace writes over it, --force passes over it")
    }

    /// Creates the service.
    async fn create(
        self,
        connection: &Connection,
        writing: &impl Writing,
        is_duplicate: bool,
    ) -> Result<ExitCode> {
        let project = connection.project_id()?;
        let name = self.spec.metadata.name.clone();
        let fields = service::fields_of(&self.spec);
        let shortcut =
            Shortcut::create_of(KindName::Service, project, &name, fields).in_room(self.room);
        // Among services of the same content nobody can tell which one is new.
        let shortcut = if is_duplicate { shortcut.once() } else { shortcut };
        let body = self.body.unwrap_or(serde_json::to_value(&self.spec).unwrap_or_default());
        if let Some(written) = shortcut.sending(body).run(connection, writing).await? {
            output::note(&format!("created the service {name}"));
            output::data(&format!("{}\n", written.id.unwrap_or_default()));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Gives the service with this id the wanted form.
    async fn replace(
        mut self,
        connection: &Connection,
        writing: &impl Writing,
        id: &str,
        services: &[Value],
    ) -> Result<ExitCode> {
        self.spec.id = Some(id.to_owned());
        let project = connection.project_id()?;
        let name = self.spec.metadata.name.clone();
        let fields = service::fields_of(&self.spec);
        let mut shortcut = Shortcut::replace(KindName::Service, project, &name, fields)
            .in_room(self.room)
            .of_id(id);
        if let Some(item) = services.iter().find(|service| text(service, "/id") == Some(id)) {
            let kind = KindName::Service.kind();
            if let Ok(seen) = kind.seen(item) {
                let former = seen.name.clone();
                shortcut = shortcut.of(observe::observed(kind, seen, item, None)).renaming(&former);
            }
        }
        let body = self.body.unwrap_or(serde_json::to_value(&self.spec).unwrap_or_default());
        if shortcut.sending(body).run(connection, writing).await?.is_some() {
            output::note(&format!("updated the service {name}"));
            output::data(&format!("{id}\n"));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Creates the service, unless it is there already.
    async fn insert(
        self,
        connection: &Connection,
        writing: &impl Writing,
        clash: &ClashArgs,
    ) -> Result<ExitCode> {
        let services = services(connection, self.room).await?;
        match self.same(&services).and_then(|service| text(service, "/id")) {
            Some(id) if clash.replace => {
                let id = id.to_owned();
                self.replace(connection, writing, &id, &services).await
            }
            Some(_) if !clash.force => Err(self.exists()),
            same => {
                let is_duplicate = same.is_some();
                self.create(connection, writing, is_duplicate).await
            }
        }
    }

    /// Changes the service that is meant.
    async fn change(
        self,
        connection: &Connection,
        writing: &impl Writing,
        clash: &ClashArgs,
        requested: Option<String>,
        creates: bool,
    ) -> Result<ExitCode> {
        let services = services(connection, self.room).await?;
        let same = self.same(&services).and_then(|service| text(service, "/id"));
        let target = match same.filter(|_| !clash.force) {
            Some(id) if requested.as_deref() == Some(id) => requested,
            Some(id) if clash.replace => Some(id.to_owned()),
            Some(_) => return Err(self.exists()),
            None => requested,
        };
        let name = &self.spec.metadata.name;
        let named = || {
            let named = |service: &&Value| text(service, "/metadata/name") == Some(name.as_str());
            let last = services.iter().rev().find(named);
            last.and_then(|service| text(service, "/id")).map(str::to_owned)
        };
        match target.or_else(named) {
            Some(id) => self.replace(connection, writing, &id, &services).await,
            None if creates => self.create(connection, writing, false).await,
            None => Err(Error::failed(format!("there is no service `{name}`"))
                .hint("add --create to create it")),
        }
    }
}

/// Runs `service create`.
pub async fn create(args: CreateArgs) -> Result<ExitCode> {
    let room = scope(&args.scope, &args.clash)?;
    let spec = source::load(&args.source, &args.mcp, "create-template").await?;
    if spec.id.is_some() {
        return Err(Error::failed("the document has an `id`, and a new service has none")
            .hint("take it out, or use `meshagent service update`"));
    }
    let wanted = Wanted { room, spec, body: None };
    args.platform
        .with(async |connection| wanted.insert(connection, &args.declare, &args.clash).await)
        .await
}

/// Runs `service update`.
pub async fn update(args: UpdateArgs) -> Result<ExitCode> {
    let room = scope(&args.scope, &args.clash)?;
    let spec = source::load(&args.source, &args.mcp, "update-template").await?;
    let requested = spec.id.clone().or(args.id).filter(|id| !id.is_empty());
    let wanted = Wanted { room, spec, body: None };
    args.platform
        .with(async |connection| {
            let creates = args.create.is_on();
            wanted.change(connection, &args.declare, &args.clash, requested, creates).await
        })
        .await
}

/// The service that the platform makes of a template, sent as the template.
async fn from_template<'a>(
    connection: &Connection,
    room: Option<&'a str>,
    text: &str,
    values: &crate::manifest::template::Values,
) -> Result<Wanted<'a>> {
    let rendered = source::render(connection, text, values).await?;
    let rendered: crate::api::specs::template::ServiceTemplateSpec =
        serde_json::from_value(rendered).map_err(|error| {
            Error::failed("the platform's answer is not a template").because(error)
        })?;
    let spec = rendered.into_service().map_err(Error::failed)?;
    Ok(Wanted { room, spec, body: Some(json!({"template": text, "values": values})) })
}

/// Runs `service create-template`.
pub async fn create_template(args: CreateTemplateArgs) -> Result<ExitCode> {
    let room = scope(&args.scope, &args.clash)?;
    let text = source::template(&args.source).await?;
    let values = args.values.texts()?;
    args.platform
        .with(async |connection| {
            let wanted = from_template(connection, room, &text, &values).await?;
            wanted.insert(connection, &args.write, &args.clash).await
        })
        .await
}

/// Runs `service update-template`.
pub async fn update_template(args: UpdateTemplateArgs) -> Result<ExitCode> {
    let room = scope(&args.scope, &args.clash)?;
    let text = source::template(&args.source).await?;
    let values = args.values.texts()?;
    args.platform
        .with(async |connection| {
            let wanted = from_template(connection, room, &text, &values).await?;
            let requested = args.id.filter(|id| !id.is_empty());
            let creates = args.create.is_on();
            wanted.change(connection, &args.write, &args.clash, requested, creates).await
        })
        .await
}
