//! What the commands share that write one object: each builds the operation of its kind
//! and hands it to the executor that performs plans, so there is one way to write.
//!
//! A command sends what it has to and nothing more. Whether a set owns the object is told
//! where that shows in what is read or answered anyway; `--dry-run` looks for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use serde_json::Value;

use super::apply::write_report;
use super::show::ShowArgs;
use crate::api::client;
use crate::api::request::Body;
use crate::apply::execute::{Listeners, Options, Outcome, Progress, Report, execute};
use crate::apply::observe;
use crate::error::{Class, Error, Result};
use crate::kinds::path::FieldPath;
use crate::kinds::tree::{Fingerprinter, Tree};
use crate::kinds::{Key, KindName, Lookup, OWNER_ANNOTATION, Target};
use crate::manifest::export::{self, Layout, Object};
use crate::output;
use crate::plan::diff::{self, Memory};
use crate::plan::{Action, FieldChange, Observed, Operation, Plan, ProjectState, Work, text};
use crate::settings::{Connection, PlatformArgs};

/// What every command takes that writes one object.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct WriteArgs {
    /// Show the plan, and do nothing
    #[arg(long, help_heading = "Writing")]
    pub dry_run: bool,
    /// Also write what became of it as JSON to this file
    #[arg(long, value_name = "FILE", help_heading = "Writing")]
    pub report: Option<PathBuf>,
}

/// The same, for what a manifest can declare.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DeclareArgs {
    #[command(flatten)]
    write: WriteArgs,
    /// Print the manifest that declares the same, and do nothing
    #[arg(long, conflicts_with = "dry_run", help_heading = "Writing")]
    as_manifest: bool,
}

/// What is to be done with what is found out instead of doing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Write,
    DryRun,
    Manifest,
}

/// Anything that says how a shortcut is run.
pub trait Writing {
    /// Its part that all commands share.
    fn write(&self) -> &WriteArgs;
    /// Whether a manifest is wanted instead.
    fn as_manifest(&self) -> bool {
        false
    }
    /// Whether anything is written at all.
    fn writes(&self) -> bool {
        !self.write().dry_run && !self.as_manifest()
    }
}

impl Writing for WriteArgs {
    fn write(&self) -> &WriteArgs {
        self
    }
}

impl Writing for DeclareArgs {
    fn write(&self) -> &WriteArgs {
        &self.write
    }
    fn as_manifest(&self) -> bool {
        self.as_manifest
    }
}

/// The fields that a command names.
#[derive(Debug, Clone)]
enum Fields {
    /// All that the object will have.
    Whole(Tree),
    /// Those that change; nothing takes a field away.
    Some(Vec<(FieldPath, Option<Tree>)>),
}

/// One write of one object.
#[derive(Debug, Clone)]
pub struct Shortcut {
    key: Key,
    action: Action,
    fields: Fields,
    work: Work,
    /// Whether a lost answer can be made up for by looking for the object.
    is_found_by_name: bool,
    /// Whether an object that is there already is as good as a new one.
    may_exist: bool,
}

/// What a write brought.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// The platform's id of what was created, where it told one.
    pub id: Option<String>,
    /// The platform's answer; `null` where it was lost.
    pub answer: Value,
}

impl Shortcut {
    fn new(kind: KindName, project: &str, name: &str, action: Action, fields: Fields) -> Self {
        let (project, name) = (project.to_owned(), name.to_owned());
        Self {
            key: Key { kind, project, room: None, name },
            action,
            fields,
            work: Work::default(),
            is_found_by_name: true,
            may_exist: false,
        }
    }

    /// Creates an object with these fields, spelled as in its document.
    #[must_use]
    pub fn create(kind: KindName, project: &str, name: &str, document: &Value) -> Self {
        let fields = kind.kind().shape().read(document);
        Self::create_of(kind, project, name, fields)
    }

    /// Creates an object with these fields.
    #[must_use]
    pub fn create_of(kind: KindName, project: &str, name: &str, fields: Tree) -> Self {
        Self::new(kind, project, name, Action::Create, Fields::Whole(fields))
    }

    /// Gives an object these fields and no others.
    #[must_use]
    pub fn replace(kind: KindName, project: &str, name: &str, fields: Tree) -> Self {
        Self::new(kind, project, name, Action::Update, Fields::Whole(fields))
    }

    /// Changes some fields of an object.
    #[must_use]
    pub fn change(
        kind: KindName,
        project: &str,
        name: &str,
        fields: Vec<(FieldPath, Option<Tree>)>,
    ) -> Self {
        Self::new(kind, project, name, Action::Update, Fields::Some(fields))
    }

    /// Deletes an object.
    #[must_use]
    pub fn delete(kind: KindName, project: &str, name: &str) -> Self {
        Self::new(kind, project, name, Action::Delete, Fields::Some(Vec::new()))
    }

    /// The same, in a room.
    #[must_use]
    pub fn in_room(mut self, room: Option<&str>) -> Self {
        self.key.room = room.map(str::to_owned);
        self
    }

    /// The same, of the object with this id.
    #[must_use]
    pub fn of_id(mut self, id: &str) -> Self {
        self.work.id = Some(id.to_owned());
        self
    }

    /// The same, of the object that was read.
    #[must_use]
    pub fn of(mut self, observed: Observed) -> Self {
        self.work.observed = Some(observed);
        self
    }

    /// The same, sent with this body.
    #[must_use]
    pub fn sending(mut self, body: Value) -> Self {
        self.work.body = Some(Body::Json(body));
        self
    }

    /// The same, of an object that has another name so far.
    #[must_use]
    pub fn renaming(mut self, former: &str) -> Self {
        if former != self.key.name {
            self.action = Action::Rename;
            self.work.renamed_from = Some(Key { name: former.to_owned(), ..self.key.clone() });
        }
        self
    }

    /// The same, tried once: where its name does not tell the object from others, nobody
    /// can say after a lost answer whether it was created.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.is_found_by_name = false;
        self
    }

    /// The same, content with an object that is there already.
    #[must_use]
    pub fn unless_there(mut self) -> Self {
        self.may_exist = true;
        self
    }

    /// Does it, or shows what it would do; `None` when nothing was written.
    ///
    /// # Errors
    ///
    /// What the platform refuses; what cannot be written down.
    pub async fn run(
        mut self,
        connection: &Connection,
        writing: &impl Writing,
    ) -> Result<Option<Written>> {
        let mode = match (writing.as_manifest(), writing.write().dry_run) {
            (true, _) => Mode::Manifest,
            (false, true) => Mode::DryRun,
            (false, false) => Mode::Write,
        };
        if mode != Mode::Write {
            self.observe(connection).await?;
            if self.action == Action::Create && self.work.observed.is_some() {
                output::data(&format!("Nothing to change: {} exists.\n", self.key));
                return Ok(None);
            }
        }
        let plan = self.plan(connection);
        match mode {
            Mode::Write => self.perform(connection, &plan, writing.write()).await.map(Some),
            Mode::DryRun => {
                self.tell_owner(&Value::Null);
                output::data(&text::render(&plan));
                Ok(None)
            }
            Mode::Manifest => {
                declare(&plan)?;
                Ok(None)
            }
        }
    }

    /// Reads the object, to show what becomes of it.
    async fn observe(&mut self, connection: &Connection) -> Result<()> {
        let creates = self.action == Action::Create;
        if self.work.observed.is_some() || creates && !self.has_own_name() {
            return Ok(());
        }
        let known_as = self.work.renamed_from.as_ref().unwrap_or(&self.key);
        let empty = Tree::map([]);
        let target = Target {
            project: &self.key.project,
            room: self.key.room.as_deref(),
            name: &known_as.name,
            id: self.work.id.as_deref(),
            fields: &empty,
            owner: None,
            answered: None,
            removed: &[],
        };
        let reader = connection.client.reader();
        let found = observe::look_up(&reader, &self.key, &target, &BTreeMap::new()).await?;
        match found {
            Some(_) if creates && !self.may_exist => {
                Err(Error::failed(format!("{} exists already", self.key)))
            }
            None if !creates => Err(Error::failed(format!("{} does not exist", self.address()))),
            found => {
                self.work.observed = found;
                Ok(())
            }
        }
    }

    /// Whether no other object of the project can have the same name.
    fn has_own_name(&self) -> bool {
        !self.key.name.is_empty()
            && matches!(
                self.key.kind,
                KindName::Room | KindName::Mailbox | KindName::Route | KindName::ScheduledTask
            )
    }

    /// The object as it is told of: by its name, else by its id.
    fn address(&self) -> String {
        match &self.work.id {
            Some(id) if self.key.name.is_empty() => format!("{}/{id}", self.key.kind),
            _ => self.key.to_string(),
        }
    }

    /// The plan of this one operation.
    fn plan(&self, connection: &Connection) -> Plan {
        let shape = self.key.kind.kind().shape();
        let observed = self.work.observed.as_ref();
        let mut fields = match &self.fields {
            Fields::Whole(fields) => fields.clone(),
            Fields::Some(given) => {
                let mut fields =
                    observed.map_or_else(|| Tree::map([]), |observed| (*observed.fields).clone());
                for (path, value) in given {
                    fields.put(path, value.clone());
                }
                fields
            }
        };
        fields = shape.normalize(fields).unwrap_or_else(|| Tree::map([]));
        let fingerprinter = Fingerprinter::new("");
        let memory = Memory { fingerprinter: &fingerprinter, applied: None };
        let changes = match (&self.fields, self.action) {
            (_, Action::Delete) => Vec::new(),
            (Fields::Some(given), _) if observed.is_none() => given.iter().map(asked).collect(),
            _ => {
                let old = observed.map(|observed| &*observed.fields);
                diff::changes(shape, old, Some(&fields), memory)
            }
        };
        let mut key = self.key.clone();
        if key.name.is_empty() {
            key.name = self.work.id.clone().unwrap_or_else(|| "(new)".to_owned());
        }
        let mut work = self.work.clone();
        work.fields = (self.action != Action::Delete).then(|| fields.into());
        let operation = Operation {
            key,
            action: self.action,
            replaces: false,
            reason: match &self.work.renamed_from {
                Some(former) => format!("so far {}", former.name),
                None => "asked for".to_owned(),
            },
            changes,
            waits_for: Vec::new(),
            place: None,
            derived_from: None,
            fingerprint: None,
            work,
        };
        let state = ProjectState { id: Some(self.key.project.clone()) };
        Plan {
            platform: connection.platform_name(),
            projects: BTreeMap::from([(self.key.project.clone(), state)]),
            operations: vec![operation],
            ..Plan::default()
        }
    }

    async fn perform(
        &self,
        connection: &Connection,
        plan: &Plan,
        args: &WriteArgs,
    ) -> Result<Written> {
        let mut options = Options::standard(1);
        if self.action == Action::Create && !self.is_found_by_name {
            options.attempts = 1;
        }
        let progress = Answered::default();
        let listeners = Listeners { progress: &progress, journal: None };
        let report =
            execute(&connection.client, plan, BTreeMap::new(), &options, listeners).await?;
        if let Some(path) = &args.report {
            write_report(path, plan, &report)?;
        }
        self.conclude(report)?;
        let written = progress.written.into_inner().unwrap_or_default();
        if self.action != Action::Create {
            self.tell_owner(&written.answer);
        }
        Ok(written)
    }

    fn conclude(&self, report: Report) -> Result<()> {
        let failed = || {
            let verb = format!("{:?}", self.action).to_lowercase();
            Error::failed(format!("failed to {verb} {}", self.address()))
        };
        match report.outcomes.into_iter().next() {
            Some(Outcome::Done) => Ok(()),
            Some(Outcome::Failed { message, refused, code, .. }) => {
                let error = failed().because(message);
                Err(match client::hint(code) {
                    _ if !refused => {
                        error.hint("it is not known whether it was done: look before you try again")
                    }
                    Some(hint) => error.hint(hint),
                    None => error,
                })
            }
            Some(Outcome::Stale { message }) => {
                Err(Error::new(Class::Stale, message).hint("run the same command again"))
            }
            _ => Err(failed()),
        }
    }

    /// Warns when a set owns the object, as far as that was read or answered.
    fn tell_owner(&self, answer: &Value) {
        let observed = self.work.observed.as_ref().and_then(|observed| observed.owner.clone());
        if let Some(owner) = observed.or_else(|| owner(answer)) {
            warn_of_owner(&self.address(), &owner);
        }
    }
}

/// Warns that a set owns an object.
pub fn warn_of_owner(address: &str, owner: &str) {
    output::warning(&format!(
        "{address} is owned by the set `{owner}`: change its manifest too, or the set's next apply changes this back"
    ));
}

/// The set that an object of an answer belongs to.
#[must_use]
pub fn owner(object: &Value) -> Option<String> {
    let annotations =
        object.get("annotations").or_else(|| object.get("metadata")?.get("annotations"));
    annotations?.get(OWNER_ANNOTATION)?.as_str().map(str::to_owned)
}

/// A change of a field that was not read.
fn asked((path, value): &(FieldPath, Option<Tree>)) -> FieldChange {
    FieldChange {
        path: path.clone(),
        old: None,
        new: Some(value.clone().unwrap_or(Tree::Null)),
        place: None,
        cause: None,
    }
}

/// Prints the manifest that declares what the plan would make.
fn declare(plan: &Plan) -> Result<()> {
    for operation in &plan.operations {
        let object = Object {
            key: operation.key.clone(),
            fields: operation.work.fields.as_deref().cloned().unwrap_or_else(|| Tree::map([])),
            is_protected: false,
            is_orphaned: false,
        };
        let export = export::export(vec![object], Layout::Kind);
        let Some(text) = export.files.values().next() else {
            return Err(Error::failed(export.notes.join("; ")));
        };
        output::data(text);
        for (variable, field) in &export.variables {
            output::note(&format!("note: {field} is read from the environment as {variable}"));
        }
    }
    Ok(())
}

/// Keeps the platform's answer.
#[derive(Default)]
struct Answered {
    written: Mutex<Written>,
}

impl Progress for Answered {
    fn started(&self, _operation: &Operation) {}
    fn finished(&self, _operation: &Operation, _outcome: &Outcome) {}
    fn answered(&self, _operation: &Operation, id: Option<&str>, answer: &Value) {
        let mut written = self.written.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *written = Written { id: id.map(str::to_owned), answer: answer.clone() };
    }
}

/// Deletes one object.
///
/// # Errors
///
/// What the platform refuses.
pub async fn delete(
    platform: &PlatformArgs,
    args: &WriteArgs,
    shortcut: impl FnOnce(&str) -> Shortcut,
) -> Result<ExitCode> {
    platform
        .with(async |connection| {
            let shortcut = shortcut(connection.project_id()?);
            let address = shortcut.address();
            if shortcut.run(connection, args).await?.is_some() {
                output::note(&format!("deleted {address}"));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

fn target<'a>(project: &'a str, name: &'a str, fields: &'a Tree) -> Target<'a> {
    Target {
        project,
        room: None,
        name,
        id: None,
        fields,
        owner: None,
        answered: None,
        removed: &[],
    }
}

/// Reads the object of this name.
///
/// # Errors
///
/// There is none; the platform's.
pub async fn find(connection: &Connection, kind: KindName, name: &str) -> Result<Observed> {
    let project = connection.project_id()?.to_owned();
    let fields = Tree::map([]);
    let key = Key { kind, project: project.clone(), room: None, name: name.to_owned() };
    let target = target(&project, name, &fields);
    let reader = connection.client.reader();
    let found = observe::look_up(&reader, &key, &target, &BTreeMap::new()).await?;
    found.ok_or_else(|| Error::failed(format!("{key} does not exist")))
}

/// Shows one object that the platform answers with by its name.
///
/// # Errors
///
/// The platform's.
pub async fn show(
    platform: &PlatformArgs,
    args: ShowArgs,
    kind: KindName,
    name: &str,
) -> Result<ExitCode> {
    platform
        .with(async |connection| {
            let fields = Tree::map([]);
            let target = target(connection.project_id()?, name, &fields);
            let Some(Lookup::One(request, envelope)) = kind.kind().lookup(&target) else {
                return Err(Error::failed(format!("a {kind} cannot be read by its name")));
            };
            let mut answer = connection.client.reader().get_json(&request).await?;
            let item = match envelope {
                Some(field) => answer.get_mut(field).map(Value::take).unwrap_or_default(),
                None => answer,
            };
            args.print(&item)
        })
        .await
}
