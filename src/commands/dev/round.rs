//! One round: the manifests are read, images that are missing are built, and the platform gets what
//! is declared. What is wrong ends the round, and the platform keeps what it has.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::DevArgs;
use super::telling::Telling;
use super::watch::{MOST, Watched};
use crate::apply::execute::{Outcome, Progress};
use crate::commands::apply::progress::reporter;
use crate::commands::apply::report;
use crate::commands::build::told;
use crate::commands::plan::refuse;
use crate::commands::room::entering::Entering;
use crate::commands::set::{FileArgs, in_background};
use crate::connection::Connection;
use crate::error::Result;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName};
use crate::listed::few;
use crate::manifest::secrets;
use crate::manifest::set::Set;
use crate::output;
use crate::plan::planner::Policy;
use crate::plan::scope::Scope;
use crate::plan::{Operation, Plan};
use crate::reconcile::building::{Builder, Made};
use crate::reconcile::events::{Event, Summary};
use crate::reconcile::images::{self, Used};
use crate::reconcile::restarts::{self, Restart, Restarting};
use crate::reconcile::{self, Decision, Guards, KnownSecrets, Performing};
use crate::settings::PlatformArgs;
use crate::visible;

/// The folder for what an engine needs, in the data folder.
const SCRATCH: &str = "builds";

/// How often a set is read at most until all that it names is looked at.
const READS: usize = 3;

/// Round after round, on one platform.
pub struct Rounds<'a> {
    args: &'a DevArgs,
    connection: &'a Connection,
    telling: &'a Telling,
    stop: &'a CancellationToken,
    /// What the last round has read.
    pub watched: Watched,
    /// What the files looked like when the last round read them.
    pub seen: u64,
    /// The rooms that are declared, each with its project by name or id.
    pub rooms: BTreeSet<(String, String)>,
    known: KnownSecrets,
    builder: Option<Builder>,
    /// Whether it was said that nothing is built, and that not everything is looked at.
    is_told: bool,
    is_told_of_cut: bool,
    /// Whether nothing was applied yet.
    is_first: bool,
    /// The notes of the last plan.
    notes: Vec<String>,
    /// What was declared when the last round ended well.
    digest: String,
}

impl<'a> Rounds<'a> {
    /// Before the first.
    pub fn new(
        args: &'a DevArgs,
        connection: &'a Connection,
        telling: &'a Telling,
        stop: &'a CancellationToken,
    ) -> Self {
        Self {
            args,
            connection,
            telling,
            stop,
            watched: Watched::without(&args.data),
            seen: 0,
            rooms: BTreeSet::new(),
            known: KnownSecrets::default(),
            builder: None,
            is_told: false,
            is_told_of_cut: false,
            is_first: true,
            notes: Vec::new(),
            digest: String::new(),
        }
    }

    /// One round.
    ///
    /// # Errors
    ///
    /// What is wrong with the manifests, at its place; what the platform refuses. Images that cannot
    /// be built are told, and what runs from them stays as it is.
    pub async fn round(&mut self) -> Result<()> {
        // Also of a round that ends early it is known what it saw.
        self.seen = self.watched.stamp().await;
        let (mut set, name) = self.read().await?;
        if self.watched.is_cut() && !std::mem::replace(&mut self.is_told_of_cut, true) {
            self.telling.note(&format!(
                "more than {MOST} files are beside the manifests, or very deep in folders: a change to the rest is not seen"
            ));
        }
        let used = images::used(&set);
        let excludes = self.build(&used).await;
        let left_out = !excludes.is_empty();
        // Who builds images need not be told that somebody has to.
        set.beside.images.clear();
        let policy = Policy {
            enters_rooms: true,
            scope: Scope { excludes, ..Scope::default() },
            ..Policy::standard(&name)
        };
        let guards = Guards {
            // It is a platform of one's own, and what is deleted is shown.
            deletes: Some(usize::MAX),
            may_run_commands: self.args.allow_commands,
            known_secrets: self.known.clone(),
            ..Guards::default()
        };
        let target = self.connection.target();
        let decision = reconcile::decide(&target, set, &policy, &guards).await?;
        for note in decision.plan.notes.iter().filter(|note| !self.notes.contains(note)) {
            self.telling.note(note);
        }
        self.notes.clone_from(&decision.plan.notes);
        refuse(&decision.plan)?;
        let applied = match decision.plan.is_empty() {
            true => Ok(()),
            false => self.apply(&decision).await,
        };
        self.connection.client.leave_rooms().await;
        let Decision { plan, basis, .. } = decision;
        self.rooms = basis.desired.keys().filter_map(room_of).collect();
        let is_new = self.digest != plan.digest;
        self.digest.clone_from(&plan.digest);
        if plan.is_empty() && is_new && !left_out {
            output::note("nothing to change: the platform has what is declared");
        }
        applied
    }

    /// Reads the set once all that it names is looked at, so that what is written from now on is
    /// seen.
    async fn read(&mut self) -> Result<(Set, String)> {
        let mut reads = 1;
        loop {
            let (files, set) = self.args.chosen()?;
            let name = set.name()?.to_owned();
            self.watched.follow(inputs(&files));
            self.watched.is_more();
            self.seen = self.watched.stamp().await;
            let fallback = self.connection.fallback_project.clone();
            let set = in_background(&files, move |files| files.read(None, fallback)).await?;
            self.watched.build(set.beside.images.clone());
            self.watched.follow(set.beside.files.iter().cloned());
            self.watched.follow(secrets::files(&set.objects));
            if !self.watched.is_more() || reads == READS {
                return Ok((set, name));
            }
            reads += 1;
        }
    }

    /// The builder, if there is an engine.
    async fn builder(&mut self) -> Option<&Builder> {
        if self.builder.is_none() {
            let scratch = self.args.data.join(SCRATCH);
            let why = match self.args.containers.settings().socket {
                None => "--containers says so".to_owned(),
                Some(socket) => match Builder::connect(&socket, &scratch).await {
                    Ok(builder) => {
                        self.builder = Some(builder);
                        return self.builder.as_ref();
                    }
                    Err(error) => error.message,
                },
            };
            if !std::mem::replace(&mut self.is_told, true) {
                self.telling.note(&format!(
                    "no image is built, and no container runs, all else works: {why}"
                ));
            }
        }
        self.builder.as_ref()
    }

    /// Builds the images that the engine does not have. Also gives what is run from images that could
    /// not be built, as patterns of a scope.
    async fn build(&mut self, used: &[Used]) -> Vec<String> {
        let (telling, stop) = (self.telling, self.stop);
        // Whether there is an engine is told, whoever needs it.
        let Some(builder) = self.builder().await else { return Vec::new() };
        let mut left_out = Vec::new();
        for Used { built, by } in used {
            let (image, services) = (visible::line(&built.image), few(by));
            let tell = |line: &str| {
                if output::is_verbose() {
                    output::note(&format!("  {}", visible::line(line)));
                }
            };
            if matches!(builder.has(&built.image).await, Ok(false)) {
                output::note(&format!("building {image} for {services}"));
            }
            let built_now = tokio::select! {
                done = builder.build(built, tell) => done,
                // The engine stops when nobody listens any more.
                () = stop.cancelled() => return left_out,
            };
            let failed = match built_now {
                Ok(Made::Before) => continue,
                Ok(Made::Now) => {
                    telling.line(&format!("built: {image} for {services}"));
                    None
                }
                Err(unbuilt) => {
                    let error = told(unbuilt).hint(format!("{services} stays as it is"));
                    output::error(&error);
                    left_out.extend(by.iter().map(ToString::to_string));
                    Some(error)
                }
            };
            telling.event(&Event::image(&built.image, by, failed.as_ref()));
        }
        left_out
    }

    /// Performs a plan.
    async fn apply(&mut self, decision: &Decision) -> Result<()> {
        let (plan, telling) = (&decision.plan, self.telling);
        image_changes(plan).for_each(|line| telling.line(&line));
        telling.event(&Event::planned(plan));
        let progress: Box<dyn Progress + '_> = match telling.is_json() {
            true => reporter(plan, self.args.output),
            false => Box::new(Shown { plan }),
        };
        let performing = Performing {
            // A process that was killed may have left one, and the platform is nobody else's.
            break_lock: std::mem::take(&mut self.is_first),
            stop: self.stop.child_token(),
            ..Performing::in_folder(&self.args.data, progress.as_ref())
        };
        let performed =
            reconcile::perform(&self.connection.target(), decision, &performing).await?;
        performed.report.notes.iter().for_each(|note| telling.note(note));
        let restarting = Restarting {
            plan,
            report: &performed.report,
            reader: &self.connection.client.reader(),
            enter: async |project: &str, room: &str| {
                let entering = Entering::ask_in(self.connection, project, room).await?;
                entering.enter(&PlatformArgs::default()).await
            },
            stop: self.stop,
        };
        let restarts = restarting
            .perform(|restart: &Restart| {
                telling.line(&restart.line());
                telling.event(&Event::Restarted(restart.clone()));
            })
            .await;
        telling.event(&Event::Summary(Summary::of(&performed.report, &restarts)));
        performed.verdict().and(restarts::verdict(&restarts))
    }
}

/// What the manifests are read from, as far as it is known before they are read.
fn inputs(files: &FileArgs) -> Vec<PathBuf> {
    let environment = files.reading.environment.as_deref();
    let of_environment =
        environment.map(|it| [vec![it.file.clone()], it.values_files.clone()].concat());
    let values = &files.reading.values.values_file;
    [files.files.clone(), values.clone(), of_environment.unwrap_or_default()].concat()
}

/// The room of an object, or the one that it is, with its project.
fn room_of(key: &Key) -> Option<(String, String)> {
    let room = match key.kind {
        KindName::Room => Some(key.name.clone()),
        _ => key.room.clone(),
    };
    room.map(|room| (key.project.clone(), room))
}

/// The images that a plan changes, a line each.
fn image_changes(plan: &Plan) -> impl Iterator<Item = String> {
    let path = FieldPath::of(&["container", "image"]);
    let line = move |operation: &Operation| {
        let change = operation.changes.iter().find(|change| change.path == path)?;
        let text = |tree: Option<&Tree>| {
            tree.and_then(Tree::as_str).map_or_else(|| "none".into(), visible::line).into_owned()
        };
        let (old, new) = (text(change.old.as_ref()), text(change.new.as_ref()));
        Some(format!("{}: image {old} -> {new}", plan.address(&operation.key)))
    };
    let is_new = |operation: &&Operation| !operation.is_new();
    plan.operations.iter().filter(is_new).filter_map(line)
}

/// Each operation as a line, once it is done.
struct Shown<'a> {
    plan: &'a Plan,
}

impl Progress for Shown<'_> {
    fn started(&self, _operation: &Operation) {}

    fn finished(&self, operation: &Operation, outcome: &Outcome) {
        let line = report::line(self.plan, operation, outcome);
        match outcome {
            Outcome::Done => output::data(&format!("{line}\n")),
            _ => output::note(&line),
        }
    }
}
