//! `webserver deploy`: everything is checked before anything is written; then the files go into the
//! room, the service is created or changed, and the domain leads to it.

use std::process::ExitCode;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::site::{Site, SiteArgs};
use super::upload::{Content, Upload};
use crate::apply::observe;
use crate::commands::address::Address;
use crate::commands::option_values::{room, text_change};
use crate::commands::room::entering::Entering;
use crate::commands::room::storage;
use crate::commands::route::Route;
use crate::commands::shortcut::{DeclareArgs, Shortcut, Writing, listed, look_up};
use crate::commands::signals;
use crate::connection::Connection;
use crate::dialect::Speaks;
use crate::error::{Class, Error, Result};
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName};
use crate::listed::{counted, few};
use crate::output;
use crate::room::client::Room;
use crate::settings::PlatformArgs;
use crate::visible;

/// Arguments of `webserver deploy`.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("report", |it| it.help("Also write the result of the service as JSON to this file")),
    after_help = "All files are uploaded each time. Those that are gone here stay in the room, and modules that\nhandlers import are not uploaded."
)]
pub struct DeployArgs {
    #[command(flatten)]
    site: SiteArgs,
    /// The room [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    /// The domain; it must not lead to another room
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

impl DeployArgs {
    /// Checks everything that is on this machine.
    ///
    /// # Errors
    ///
    /// There is no room; as [`SiteArgs::prepare`].
    pub fn prepare(&self) -> Result<Site> {
        self.room()?;
        self.site.prepare()
    }

    fn room(&self) -> Result<String> {
        room(self.room.clone()).ok_or_else(|| {
            let why = match self.domain {
                Some(_) => "--domain needs the room that it leads to",
                None => "--website-path needs the room that the files go into",
            };
            Error::usage(why).hint("give --room, or set MESHAGENT_ROOM")
        })
    }
}

/// Runs `webserver deploy`.
///
/// # Errors
///
/// What the platform or the room refuses.
pub async fn run(args: DeployArgs, site: Site) -> Result<ExitCode> {
    let room = args.room()?;
    if let Some(domain) = &args.domain {
        Route::warn(domain);
    }
    let hidden = site.uploads.iter().filter(|upload| upload.is_hidden());
    let hidden: Vec<&String> = hidden.map(|upload| &upload.name).collect();
    if !hidden.is_empty() {
        output::warning(&format!("what is hidden here is served there: {}", few(hidden)));
    }
    args.platform
        .with(async |connection| {
            Deploying { connection, args: &args, site: &site, room: &room }.run().await
        })
        .await
}

struct Deploying<'a> {
    connection: &'a Connection,
    args: &'a DeployArgs,
    site: &'a Site,
    room: &'a str,
}

/// A write that was decided on.
struct Step {
    shortcut: Shortcut,
    /// What is said when it was done.
    done: String,
    /// The id of an object that is there.
    id: Option<String>,
}

/// What becomes of the domain.
enum Domain {
    /// Nothing: none was given.
    Unnamed,
    /// Nothing: it leads there already.
    Stays(String),
    /// It is written.
    Written(Box<Step>),
}

impl Deploying<'_> {
    async fn run(&self) -> Result<ExitCode> {
        let domain = self.domain().await?;
        let service = self.service().await?;
        let declare = &self.args.declare;
        if declare.as_manifest() {
            return self.declare(service, domain).await;
        }
        if declare.is_dry() {
            self.tell_files();
            service.shortcut.run(self.connection, declare).await?;
            match domain {
                Domain::Unnamed => {}
                Domain::Stays(told) => output::note(&told),
                Domain::Written(step) => drop(step.shortcut.run(self.connection, declare).await?),
            }
            return Ok(ExitCode::SUCCESS);
        }
        self.write(service, domain).await
    }

    /// Uploads the files, writes the service and then the domain.
    async fn write(&self, service: Step, domain: Domain) -> Result<ExitCode> {
        let stop = signals::cancelling(&signals::STOP)?;
        self.upload(&stop).await?;
        let total = counted(self.site.uploads.len(), "file");
        let folder = visible::line(&self.site.folder);
        output::note(&format!("uploaded {total} to {folder} in the room {}", self.room));
        let id = self.deploy(service, &stop).await.map_err(|error| {
            partly("the files were uploaded; the service and the domain are as they were", error)
        })?;
        output::value(&id);
        let step = match domain {
            Domain::Unnamed => return Ok(ExitCode::SUCCESS),
            Domain::Stays(told) => {
                output::note(&told);
                return Ok(ExitCode::SUCCESS);
            }
            Domain::Written(step) => step,
        };
        let Step { shortcut, done, .. } = *step;
        // The report is about the service.
        let mut writing = self.args.declare.write().clone();
        writing.report = None;
        let going = async {
            refuse_stopped(&stop)?;
            shortcut.run(self.connection, &writing).await
        };
        let there = "the files were uploaded and the service was deployed; the domain is as it was";
        going.await.map_err(|error| partly(there, error))?;
        output::note(&done);
        Ok(ExitCode::SUCCESS)
    }

    /// What becomes of the domain. One that leads to another room is refused here, before anything
    /// is written.
    async fn domain(&self) -> Result<Domain> {
        let Some(domain) = &self.args.domain else { return Ok(Domain::Unnamed) };
        let project = self.connection.project_id().await?;
        let name = KindName::Route.kind().natural_name(domain);
        let key = Key::new(KindName::Route, project.to_owned(), None, name.clone());
        let (port, room) = (self.site.port.to_string(), self.room);
        let to = format!("{name} -> {room}:{port}");
        let Some((_, observed)) = look_up(self.connection, &key, None).await? else {
            let document = json!({"metadata": {}, "room": room, "port": port});
            let shortcut = Shortcut::create(KindName::Route, project, &name, &document);
            let done = format!("created route: {to}");
            return Ok(Domain::Written(Box::new(Step { shortcut, done, id: None })));
        };
        let text = |field: &str| observed.fields.get(field).and_then(Tree::as_str);
        match text("room") {
            Some(of) if of == room => {}
            of => {
                let of = of.map_or("no room".to_owned(), |of| format!("the room {of}"));
                let told = format!("{name} leads to {of} already, and not to {room}");
                return Err(Error::usage(format!("{told}; nothing was written")).hint(format!(
                    "to move it: meshagent route update {name} --room {} --port {port}",
                    crate::listed::word(room)
                )));
            }
        }
        if text("port") == Some(port.as_str()) {
            return Ok(Domain::Stays(format!("route is there already: {to}")));
        }
        let changes = text_change("port", Some(&port)).into_iter().collect();
        let shortcut = Shortcut::change(KindName::Route, project, &name, changes).of(observed);
        let done = format!("updated route: {to}");
        Ok(Domain::Written(Box::new(Step { shortcut, done, id: None })))
    }

    /// What becomes of the service: of several with its name, the last one is changed.
    async fn service(&self) -> Result<Step> {
        let connection = self.connection;
        let project = connection.project_id().await?;
        let room = Some(self.room);
        let shape = KindName::Service.kind().shape();
        let fields = shape.read(&self.site.service);
        let text = |value: &serde_json::Value, pointer: &str| {
            value.pointer(pointer).and_then(serde_json::Value::as_str).map(str::to_owned)
        };
        let name = text(&self.site.service, "/metadata/name").unwrap_or_default();
        let services = listed(connection, KindName::Service, room).await?;
        let is_it =
            |service: &&serde_json::Value| text(service, "/metadata/name").as_ref() == Some(&name);
        let Some(item) = services.iter().rev().find(is_it) else {
            let shortcut =
                Shortcut::create_of(KindName::Service, project, &name, fields).in_room(room);
            return Ok(Step { shortcut, done: format!("created Service/{name}"), id: None });
        };
        let id = text(item, "/id");
        let shortcut = Shortcut::replace(KindName::Service, project, &name, fields).in_room(room);
        let shortcut = id.iter().fold(shortcut, |shortcut, id| shortcut.of_id(id));
        let spelling = connection.client.spelling(KindName::Service);
        let shortcut = match spelling.seen(item) {
            Ok(seen) => shortcut.of(observe::observed(spelling, seen, item, None)),
            Err(_) => shortcut,
        };
        Ok(Step { shortcut, done: format!("updated Service/{name}"), id })
    }

    /// Prints the documents that declare what would be written.
    async fn declare(&self, service: Step, domain: Domain) -> Result<ExitCode> {
        let declare = &self.args.declare;
        service.shortcut.run(self.connection, declare).await?;
        match domain {
            Domain::Unnamed => {}
            Domain::Stays(told) => output::note(&told),
            Domain::Written(step) => {
                output::exactly("---\n");
                step.shortcut.run(self.connection, declare).await?;
            }
        }
        let files = counted(self.site.uploads.len(), "file");
        output::note(&format!(
            "note: manifests declare no files of rooms: run this without --as-manifest to upload the {files} of the website"
        ));
        Ok(ExitCode::SUCCESS)
    }

    /// Prints which files would be uploaded.
    fn tell_files(&self) {
        let files = counted(self.site.uploads.len(), "file");
        let mut told = format!("Would upload {files} to the room {}:\n", visible::line(self.room));
        for upload in &self.site.uploads {
            told += &format!("  {}\n", visible::line(&self.line(upload)));
        }
        output::data(&(told + "\n"));
    }

    fn line(&self, upload: &Upload) -> String {
        format!("{} -> {}", upload.name, self.path(upload))
    }

    fn path(&self, upload: &Upload) -> String {
        format!("{}/{}", self.site.folder, upload.name)
    }

    /// Uploads all files.
    async fn upload(&self, stop: &CancellationToken) -> Result<()> {
        let entering = Entering::ask(self.connection, self.room).await?;
        let (room, incoming) = entering.enter(&self.args.platform).await?;
        // Nobody listens to what the room tells besides.
        drop(incoming);
        let mut count = 0;
        let uploaded = async {
            for upload in &self.site.uploads {
                self.one(&room, upload).await?;
                count += 1;
                output::note(&self.line(upload));
            }
            Ok(())
        };
        let uploaded = match stop.run_until_cancelled(uploaded).await {
            Some(uploaded) => uploaded,
            None => Err(Error::failed("stopped")),
        };
        room.leave().await;
        uploaded.map_err(|error| match count {
            0 => error,
            count => {
                let total = counted(self.site.uploads.len(), "file");
                let done = format!(
                    "{count} of {total} were uploaded; the service and the domain are as they were"
                );
                partly(&done, error)
            }
        })
    }

    async fn one(&self, room: &Room, upload: &Upload) -> Result<()> {
        let to = self.path(upload);
        match &upload.content {
            Content::Of(path) => storage::upload(room, path, &to).await,
            Content::Text(text) => storage::upload_text(room, text, &to).await,
        }
    }

    /// Writes the service; its id.
    async fn deploy(&self, step: Step, stop: &CancellationToken) -> Result<String> {
        refuse_stopped(stop)?;
        let written = step.shortcut.run(self.connection, &self.args.declare).await?;
        output::note(&step.done);
        Ok(step.id.or(written.and_then(|written| written.id)).unwrap_or_default())
    }
}

fn refuse_stopped(stop: &CancellationToken) -> Result<()> {
    if stop.is_cancelled() { Err(Error::failed("stopped")) } else { Ok(()) }
}

/// An error after which something is done and something is not.
fn partly(done: &str, mut error: Error) -> Error {
    output::warning(&format!("{done}; the same command, run again, goes on"));
    error.class = Class::Partial;
    error
}
