//! `webserver deploy`: everything is checked before anything is written; then the files go into the
//! room, the service is created or changed, and the domain leads to it.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::around::Around;
use super::sending::Sending;
use super::site::{Site, SiteArgs};
use super::source;
use super::there::Folder;
use super::upload::Upload;
use crate::commands::address::Address;
use crate::commands::option_values::{room, text_change};
use crate::commands::own_inputs::Written;
use crate::commands::room::entering::Entering;
use crate::commands::route::Route;
use crate::commands::service::deploy::{self, Deployment, Namesake};
use crate::commands::shortcut::{Kept, Shortcut, Writing, look_up};
use crate::commands::signals;
use crate::connection::Connection;
use crate::error::{Class, Context, Error, Result};
use crate::kinds::service::fields_of;
use crate::kinds::specs::service::ServiceSpec;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName};
use crate::listed::{counted, few, word};
use crate::output;
use crate::reconcile::events::Failure;
use crate::room::client::Room;
use crate::visible;

/// Arguments of `webserver deploy`.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("report", |it| it.help("Also write what was done as JSON to this file")),
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
    /// Upload hidden files of static folders, too, such as .env, which everybody can read then
    #[arg(long)]
    allow_hidden: bool,
    #[command(flatten)]
    how: deploy::DeployArgs,
}

impl DeploySiteArgs {
    /// Checks everything that is on this machine.
    ///
    /// # Errors
    ///
    /// There is no room; the domain is none; as [`SiteArgs::prepare`]; a report that would overwrite
    /// a file of the site; hidden files.
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
        let own = site.uploads.files.iter().filter_map(Upload::local);
        let own = own.map(|local| local.real.clone());
        let others = site.modules.iter().chain([&site.file]).cloned();
        let files: Vec<PathBuf> = own.chain(others).collect();
        Written { option: "--report", path }.keeps(&[], &files)?;
        // Which modules there are is not known without Python.
        if let Some(path) = path.filter(|path| source::is_python(path) && path.exists()) {
            let told = format!("--report would overwrite the Python file {}", path.display());
            return Err(Error::new(Class::Refused, told).hint("give another file with --report"));
        }
        self.refuse_hidden(&site)?;
        Ok(site)
    }

    /// Refuses hidden files in static folders, or warns of them if they are wanted.
    fn refuse_hidden(&self, site: &Site) -> Result<()> {
        let hidden = site.uploads.files.iter().filter(|upload| upload.is_hidden);
        let hidden: Vec<_> = hidden.map(|upload| visible::line(&upload.name)).collect();
        if hidden.is_empty() {
            return Ok(());
        }
        let told = format!("everybody could read what is hidden here: {}", few(hidden));
        if self.allow_hidden {
            output::warning(&told);
            return Ok(());
        }
        Err(Error::usage(told).hint("take it out of the static folder, or add --allow-hidden"))
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
    /// Its name, and the port of the room that it leads to until now, if it is another one.
    from: Option<(String, String)>,
    /// What is said when it leads there.
    told: String,
}

impl Deploying<'_> {
    async fn run(&self) -> Result<ExitCode> {
        let declare = &self.args.how.declare;
        if declare.as_manifest() {
            let domain = self.foreseen().await?;
            self.declare(domain).await?;
        } else if declare.is_dry() {
            let domain = self.foreseen().await?;
            self.tell_files().await?;
            self.service.write(self.connection, declare).await?;
            match domain {
                Some(domain) if domain.is_there => output::note(&domain.told),
                Some(domain) => drop(domain.shortcut.run(self.connection, declare).await?),
                None => {}
            }
        } else {
            self.write().await?;
            self.service.wait(self.connection, &self.args.how).await?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Checks what is on the platform, tells what becomes of it, and finds out what becomes of the
    /// domain.
    async fn foreseen(&self) -> Result<Option<Domain>> {
        let domain = self.domain().await?;
        self.service.check(self.connection).await?;
        let name = &self.service.spec.metadata.name;
        let around = Around::look(self.connection, self.room, name).await?;
        around.tell(self.site);
        if let Some((name, port)) = domain.as_ref().and_then(|domain| domain.from.as_ref()) {
            around.tell_moved(name, port);
        }
        Ok(domain)
    }

    /// Uploads the files, writes the service and then the domain, and reports that.
    async fn write(&self) -> Result<()> {
        let kept = Kept::default();
        let sending = Sending::new(&self.site.folder, &self.site.uploads.files);
        let written = self.write_all(&kept, &sending).await;
        if let Some(path) = &self.args.how.declare.write().report {
            let mut report = kept.report().because(written.as_ref().err().map(Failure::of));
            report.files = sending.documents();
            output::write_json(path, &report)?;
        }
        written
    }

    async fn write_all(&self, kept: &Kept, sending: &Sending<'_>) -> Result<()> {
        let stop = signals::cancelling(&signals::STOP)?;
        let domain = self.foreseen().await?;
        self.upload(sending, &stop).await?;
        let mut plain = self.args.how.declare.write().clone();
        plain.kept = Some(kept.clone());
        let writing = async {
            refuse_stopped(&stop)?;
            self.service.write(self.connection, &plain).await
        };
        writing.await.map_err(|error| {
            partly("the files were uploaded; the service and the domain are as they were", error)
        })?;
        let Some(Domain { shortcut, is_there, told, .. }) = domain else { return Ok(()) };
        if !is_there {
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
            return Ok(Some(Domain { shortcut, is_there: false, from: None, told }));
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
        let shortcut = Shortcut::change(KindName::Route, project, &name, changes);
        let before = text("port").filter(|_| !is_there).map(str::to_owned);
        let from = before.map(|port| (name.clone(), port));
        let shortcut = shortcut.of(observed);
        Ok(Some(Domain { shortcut, is_there, from, told }))
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
        let files = counted(self.site.uploads.files.len(), "file");
        output::note(&format!(
            "note: a manifest declares no files of a room; without --as-manifest, {files} would be uploaded"
        ));
        Ok(())
    }

    /// Prints which files would be uploaded.
    async fn tell_files(&self) -> Result<()> {
        let uploads = &self.site.uploads.files;
        let sending = Sending::new(&self.site.folder, uploads);
        let files = counted(uploads.len(), "file");
        let mut told = format!("Would upload {files} to the room {}:\n", visible::line(self.room));
        for upload in uploads {
            told += &format!("  {}\n", visible::line(&sending.line(upload)));
        }
        let there = self.inside(async |room| self.look(room).await).await?;
        output::data(&(told + "\n"));
        there.tell_left();
        Ok(())
    }

    /// Looks at what is in the room, and refuses what is in the way there.
    async fn look(&self, room: &Room) -> Result<Folder<'_>> {
        let Site { folder, uploads, .. } = self.site;
        let there = Folder::look(room, self.room, folder, uploads).await?;
        there.refuse().map(|()| there)
    }

    /// Does something in the room.
    async fn inside<T>(&self, act: impl AsyncFnOnce(&Room) -> Result<T>) -> Result<T> {
        let entering = Entering::ask(self.connection, self.room).await?;
        let (room, incoming) = entering.enter(&self.args.how.platform).await?;
        // Nobody listens to what the room tells besides.
        drop(incoming);
        let done = act(&room).await;
        room.leave().await;
        done
    }

    /// Uploads all files.
    async fn upload(&self, sending: &Sending<'_>, stop: &CancellationToken) -> Result<()> {
        let total = counted(self.site.uploads.files.len(), "file");
        let sent = self.inside(async |room| {
            let sent = stop.run_until_cancelled(async {
                let there = self.look(room).await?;
                sending.send(room).await.map(|()| there)
            });
            sent.await.unwrap_or_else(|| Err(Error::failed("stopped")))
        });
        let there = sent.await.map_err(|error| match sending.count() {
            0 => error,
            count => {
                let done = format!(
                    "{count} of {total} were uploaded; the service and the domain are as they were"
                );
                partly(&done, error)
            }
        })?;
        let folder = visible::line(&self.site.folder);
        output::note(&format!("uploaded {total} to {folder} in the room {}", self.room));
        there.tell_left();
        Ok(())
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
