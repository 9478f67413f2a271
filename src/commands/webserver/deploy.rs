//! `webserver deploy`: everything is checked before anything is written; then the files go into the
//! room, the service is created or changed, and the domain leads to it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::site::{Site, SiteArgs};
use super::upload::{Content, Upload};
use crate::commands::address::Address;
use crate::commands::option_values::{room, text_change};
use crate::commands::own_inputs::Written;
use crate::commands::room::entering::Entering;
use crate::commands::room::storage;
use crate::commands::route::Route;
use crate::commands::service::deploy::{self, Deployment, Namesake};
use crate::commands::shortcut::{Shortcut, Writing, look_up};
use crate::commands::signals;
use crate::connection::Connection;
use crate::error::{Class, Context, Error, Result};
use crate::kinds::service::fields_of;
use crate::kinds::specs::service::ServiceSpec;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName};
use crate::listed::{counted, few, word};
use crate::output;
use crate::room::client::Room;
use crate::visible;

/// Arguments of `webserver deploy`.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("report", |it| it.help("Also write the result of the service as JSON to this file")),
    after_help = "All files are uploaded each time. Those that are gone here stay in the room, and modules that\nhandlers import are not uploaded."
)]
pub struct DeploySiteArgs {
    #[command(flatten)]
    site: SiteArgs,
    /// The room [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    /// The domain; it must not lead to another room
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    #[command(flatten)]
    how: deploy::DeployArgs,
}

impl DeploySiteArgs {
    /// Checks everything that is on this machine.
    ///
    /// # Errors
    ///
    /// There is no room; the domain is none; as [`SiteArgs::prepare`]; a report that would overwrite a file of the site.
    pub fn prepare(&self) -> Result<Site> {
        self.room()?;
        if let Some(domain) = &self.domain {
            let rule = KindName::Route.kind().name_rule().rule;
            let error = |what| Error::usage(format!("--domain {what}"));
            rule.check(domain).map_err(|what| match rule.hint(domain) {
                Some(hint) => error(what).hint(hint),
                None => error(what),
            })?;
        }
        let site = self.site.prepare()?;
        let path = self.how.declare.write().report.as_deref();
        let own = site.uploads.iter().filter_map(|upload| upload.path().map(Path::to_owned));
        let files: Vec<PathBuf> = own.chain([site.file.clone()]).collect();
        Written { option: "--report", path }.keeps(&[], &files)?;
        Ok(site)
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
pub async fn run(args: DeploySiteArgs, site: Site) -> Result<ExitCode> {
    let room = args.room()?;
    if let Some(domain) = &args.domain {
        Route::warn(domain);
    }
    let hidden = site.uploads.iter().filter(|upload| upload.is_hidden());
    let hidden: Vec<&String> = hidden.map(|upload| &upload.name).collect();
    if !hidden.is_empty() {
        output::warning(&format!("what is hidden here is served there: {}", few(hidden)));
    }
    let spec: ServiceSpec = serde_json::from_value(site.service.clone())
        .context(|| "failed to describe the service".to_owned())?;
    let service = Deployment { spec: &spec, room: Some(&room), namesake: Namesake::Last };
    args.how
        .platform
        .with(async |connection| {
            Deploying { connection, args: &args, site: &site, room: &room, service }.run().await
        })
        .await
}

struct Deploying<'a> {
    connection: &'a Connection,
    args: &'a DeploySiteArgs,
    site: &'a Site,
    room: &'a str,
    service: Deployment<'a>,
}

/// What becomes of the domain that was given.
struct Domain {
    shortcut: Shortcut,
    /// Whether it leads to the port already.
    is_there: bool,
    /// What is said when it does.
    told: String,
}

impl Deploying<'_> {
    async fn run(&self) -> Result<ExitCode> {
        let domain = self.domain().await?;
        let declare = &self.args.how.declare;
        if declare.as_manifest() {
            self.declare(domain).await?;
        } else if declare.is_dry() {
            self.service.check(self.connection).await?;
            self.tell_files();
            self.service.write(self.connection, declare).await?;
            match domain {
                Some(domain) if domain.is_there => output::note(&domain.told),
                Some(domain) => drop(domain.shortcut.run(self.connection, declare).await?),
                None => {}
            }
        } else {
            self.service.check(self.connection).await?;
            self.write(domain).await?;
            self.service.wait(self.connection, &self.args.how).await?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Uploads the files, writes the service and then the domain.
    async fn write(&self, domain: Option<Domain>) -> Result<()> {
        let stop = signals::cancelling(&signals::STOP)?;
        self.upload(&stop).await?;
        let total = counted(self.site.uploads.len(), "file");
        let folder = visible::line(&self.site.folder);
        output::note(&format!("uploaded {total} to {folder} in the room {}", self.room));
        let declare = &self.args.how.declare;
        let writing = async {
            refuse_stopped(&stop)?;
            self.service.write(self.connection, declare).await
        };
        writing.await.map_err(|error| {
            partly("the files were uploaded; the service and the domain are as they were", error)
        })?;
        let Some(Domain { shortcut, is_there, told }) = domain else { return Ok(()) };
        if !is_there {
            // The report is about the service.
            let mut plain = declare.write().clone();
            plain.report = None;
            let writing = async {
                refuse_stopped(&stop)?;
                shortcut.run(self.connection, &plain).await
            };
            writing.await.map_err(|error| {
                let done =
                    "the files were uploaded and the service was deployed; the domain is as it was";
                partly(done, error)
            })?;
        }
        output::note(&told);
        Ok(())
    }

    /// What becomes of the domain. One that leads to another room is refused here, before anything
    /// is written.
    async fn domain(&self) -> Result<Option<Domain>> {
        let Some(domain) = &self.args.domain else { return Ok(None) };
        let project = self.connection.project_id().await?;
        let name = KindName::Route.kind().natural_name(domain);
        let key = Key::new(KindName::Route, project, None, name.clone());
        let (port, room) = (self.site.port.to_string(), self.room);
        let to = format!("{name} -> {room}:{port}");
        let Some((_, observed)) = look_up(self.connection, &key, None).await? else {
            let document = json!({"metadata": {}, "room": room, "port": port});
            let shortcut = Shortcut::create(KindName::Route, project, &name, &document);
            let told = format!("created route: {to}");
            return Ok(Some(Domain { shortcut, is_there: false, told }));
        };
        let text = |field: &str| observed.fields.get(field).and_then(Tree::as_str);
        if text("room") != Some(room) {
            let of = text("room").map_or("no room".to_owned(), |of| format!("the room {of}"));
            let told = format!("{name} leads to {of} already, so nothing was written");
            return Err(Error::usage(told).hint(format!(
                "to move it: `meshagent route update {} --room {} --port {port}`",
                word(&name),
                word(room)
            )));
        }
        let is_there = text("port") == Some(port.as_str());
        let told = match is_there {
            true => format!("route is there already: {to}"),
            false => format!("updated route: {to}"),
        };
        let changes = text_change("port", Some(&port)).into_iter().collect();
        let shortcut = Shortcut::change(KindName::Route, project, &name, changes).of(observed);
        Ok(Some(Domain { shortcut, is_there, told }))
    }

    /// Prints the documents that declare what would be written.
    async fn declare(&self, domain: Option<Domain>) -> Result<()> {
        let declare = &self.args.how.declare;
        let project = self.connection.project_id().await?;
        let spec = self.service.spec;
        let name = &spec.metadata.name;
        let service = Shortcut::create_of(KindName::Service, project, name, fields_of(spec));
        service.in_room(Some(self.room)).run(self.connection, declare).await?;
        if let Some(domain) = domain {
            output::exactly("---\n");
            domain.shortcut.run(self.connection, declare).await?;
        }
        let files = counted(self.site.uploads.len(), "file");
        output::note(&format!(
            "note: a manifest declares no files of a room; without --as-manifest, {files} would be uploaded"
        ));
        Ok(())
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
        let (room, incoming) = entering.enter(&self.args.how.platform).await?;
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
