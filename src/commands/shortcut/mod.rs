//! What the commands that write one object have in common: each builds the operation of its kind
//! and hands it to the executor that performs plans, so there is only one way to write.
//!
//! A command sends what it must and nothing more, but for a room or an account that is deleted: what
//! goes with it is told first. It reports that a set owns the object only if that shows in what is read
//! or answered anyway; `--dry-run` looks for it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::apply::inventory::random;
use crate::connection::Connection;
use crate::dialect::{Speaks, Target, inexpressible};
use crate::error::{Class, Error, Result};
use crate::kinds::fingerprint::Fingerprinter;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::service::Template;
use crate::kinds::tree::Tree;
use crate::kinds::{self, Asked, Fault, Key, KindName, OWNER_ANNOTATION, ReferredTo};
use crate::manifest::export::Agents;
use crate::output;
use crate::plan::diff::{self, Memory};
use crate::plan::fingerprints::Fingerprints;
use crate::plan::{
    Action, Effect, FieldChange, Met, Observed, Operation, Plan, ProjectState, Reason, Sent, Why,
    text,
};
use writing::Mode;

pub use delete::{DeleteArgs, delete};
pub use foreseen::foresee_form;
pub use reading::{find, listed, look_up, no_list, show};
pub use writing::{DeclareArgs, DryRunArgs, Kept, WriteArgs, Writing};

mod along;
mod delete;
mod foreseen;
mod manifest;
mod perform;
mod reading;
mod writing;

/// The fields that a command names.
#[derive(Debug, Clone)]
enum Fields {
    /// All fields that the object will have.
    Whole(Tree),
    /// The fields that change; `None` removes a field.
    Some(Vec<(FieldPath, Option<Tree>)>),
}

/// One write of one object.
#[derive(Debug, Clone)]
pub struct Shortcut {
    key: Key,
    action: Action,
    fields: Fields,
    /// The platform's id, if it is known.
    id: Option<String>,
    /// The object as it was observed.
    observed: Option<Observed>,
    /// Its previous key, if it is renamed.
    former: Option<Key>,
    asked: Asked,
    /// Whether the object can be looked for after a lost answer.
    is_found_by_name: bool,
    /// A name that the object with this id may have.
    perhaps: Option<String>,
    /// The ids of what its fields name, where the platform wants ids.
    ids: BTreeMap<Key, String>,
    /// How a service that runs an agent is declared.
    agents: Agents,
}

/// The result of a write.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// The platform's id of the created object, if it returned one.
    pub id: Option<String>,
    /// The platform's answer; `null` where it was lost.
    pub answer: Value,
    /// What was changed.
    pub changes: Vec<FieldChange>,
}

impl Shortcut {
    fn new(kind: KindName, project: &str, name: &str, action: Action, fields: Fields) -> Self {
        let (project, name) = (project.to_owned(), name.to_owned());
        Self {
            key: Key::new(kind, project, None, name),
            action,
            fields,
            id: None,
            observed: None,
            former: None,
            asked: Asked::default(),
            is_found_by_name: true,
            perhaps: None,
            agents: Agents::Services,
            ids: BTreeMap::new(),
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
        self.key = self.key.with_room(room.map(str::to_owned));
        self
    }

    /// The same, for the object with this id.
    #[must_use]
    pub fn of_id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// The same, for the object that was read.
    #[must_use]
    pub fn of(mut self, observed: Observed) -> Self {
        self.observed = Some(observed);
        self
    }

    /// The same, if the platform makes the fields from a template.
    #[must_use]
    pub fn made_of(mut self, template: Option<Template>) -> Self {
        self.asked.template = template;
        self
    }

    /// The same, for the object with this id, which may have this name until now.
    #[must_use]
    pub fn perhaps_called(mut self, name: Option<&str>) -> Self {
        self.perhaps = name.map(str::to_owned);
        self
    }

    /// The same, with the ids of objects that the fields name.
    #[must_use]
    pub fn referring_to(mut self, ids: BTreeMap<Key, String>) -> Self {
        self.ids = ids;
        self
    }

    /// The same, for an object that has another name until now.
    #[must_use]
    pub fn renaming(mut self, former: &str) -> Self {
        if former != self.key.name {
            self.action = Action::Rename;
            self.former = Some(self.key.with_name(former.to_owned()));
        }
        self
    }

    /// The same, declared as an agent, if a document of one says all of it.
    #[must_use]
    pub fn as_agent(mut self) -> Self {
        self.agents = Agents::Agents;
        self
    }

    /// The same, tried only once: if the name does not identify the object, it is unknown after a
    /// lost answer whether it was created.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.is_found_by_name = false;
        self
    }

    /// The same, but an existing object is accepted.
    #[must_use]
    pub fn unless_there(mut self) -> Self {
        self.asked.may_exist = true;
        self
    }

    /// Performs it, or shows what it would do; `None` if nothing was written.
    ///
    /// # Errors
    ///
    /// What the platform refuses; what cannot be written down.
    pub async fn run(
        mut self,
        connection: &Connection,
        writing: &impl Writing,
    ) -> Result<Option<Written>> {
        let mode = writing.mode();
        let mark = self.take_mark();
        if let Some(mark) = mark.as_ref().filter(|_| self.action == Action::Create) {
            self.refuse_other_mark(mark)?;
        }
        self.refuse_unsaid(connection)?;
        self.refuse_own(connection).await?;
        self.id = self.id.take().or_else(|| self.id_in_place_of_name(connection));
        if mode != Mode::Write || mark.is_some() || self.needs_reading(connection) {
            self.observe(connection).await?;
            if let Some(mark) = &mark {
                self.refuse_other_mark(mark)?;
            }
            if self.action == Action::Create && self.observed.is_some() {
                output::data(&format!("Nothing to change: {} exists.\n", self.key));
                return Ok(None);
            }
        }
        let mut plan = self.plan(connection);
        // No report says of two secrets of different runs whether they are the same.
        let salt = Fingerprints::new(random::<16>()?);
        plan.fingerprints.insert(self.key.project.clone(), salt);
        match mode {
            Mode::Write => {}
            Mode::DryRun => foresee_form(connection, &self.address(), self.broken(&plan)).await?,
            Mode::Manifest => {
                if let Some(message) = self.broken(&plan).into_iter().next() {
                    return Err(Error::failed(message));
                }
            }
        }
        match mode {
            Mode::Write => {
                self.tell_contents(connection).await;
                self.perform(connection, &plan, writing.write()).await.map(Some)
            }
            // What refers to it, and what the platform would refuse, only a dry run asks.
            Mode::DryRun => {
                let survey = self.look_around(connection).await;
                if let Some(survey) = &survey {
                    self.tell_what_goes_with_it(connection, survey).await;
                }
                let project = self.foresee(connection, &plan, survey).await?;
                self.tell_owner(&Value::Null);
                output::data(&text::render(&by_name(connection, plan, project)));
                Ok(None)
            }
            Mode::Manifest => {
                manifest::declare(&plan, self.agents)?;
                Ok(None)
            }
        }
    }

    /// Takes the owner annotation out of the given fields, and returns the set that it names.
    fn take_mark(&mut self) -> Option<Tree> {
        let mark = FieldPath::of(&["metadata", "annotations", OWNER_ANNOTATION]);
        let take = |fields: &mut Tree, path: &FieldPath| {
            let found = fields.at(path).cloned()?;
            fields.put(path, None);
            Some(found)
        };
        match &mut self.fields {
            Fields::Whole(fields) => take(fields, &mark),
            Fields::Some(given) => given.iter_mut().find_map(|(path, value)| {
                match mark.0.strip_prefix(path.0.as_slice())? {
                    [] => value.take(),
                    below => take(value.as_mut()?, &FieldPath(below.to_vec())),
                }
            }),
        }
    }

    /// Refuses an owner annotation that differs from the object's: only the program sets it. The
    /// same one is accepted, because it is in the output that a user edits.
    fn refuse_other_mark(&self, given: &Tree) -> Result<()> {
        let owner = self.observed.as_ref().and_then(|observed| observed.owner.as_deref());
        let given = given.scalar();
        if self.action != Action::Create && given.is_some() && given.as_deref() == owner {
            return Ok(());
        }
        Err(Error::usage(format!(
            "the annotation `{OWNER_ANNOTATION}` says which set owns an object, and only the program sets it"
        ))
        .hint("remove it, or leave it as it is shown; to take over an object, apply a manifest with --adopt"))
    }

    /// Refuses a kind, fields and values that the platform's API does not have: they would be left
    /// out of the request.
    fn refuse_unsaid(&self, connection: &Connection) -> Result<()> {
        let client = &connection.client;
        let (spelling, spoken) = (client.spelling(self.key.kind), client.spoken());
        if let Some(way_out) = spelling.unspoken() {
            let kind = self.key.kind;
            let told = format!("the platform's API, that of {spoken}, has no {kind}");
            return Err(Error::new(Class::Refused, told).hint(way_out));
        }
        let faults = match &self.fields {
            Fields::Whole(fields) => inexpressible(spelling, spoken, fields),
            Fields::Some(given) => {
                let mut fields = Tree::map([]);
                given.iter().for_each(|(path, value)| fields.put(path, value.clone()));
                inexpressible(spelling, spoken, &fields)
            }
        };
        match faults.into_iter().next() {
            Some(Fault { message, hint: Some(hint), .. }) => Err(Error::usage(message).hint(hint)),
            Some(Fault { message, hint: None, .. }) => Err(Error::usage(message)),
            None => Ok(()),
        }
    }

    /// Why a manifest would be refused. What an object already has is not written again.
    fn broken(&self, plan: &Plan) -> Vec<String> {
        let kind = self.key.kind.kind();
        let former = self.former.as_ref().unwrap_or(&self.key);
        let broken = |key: &Key, fields: &Tree| -> Vec<String> {
            // A task without an id gets one, and what is known by its id keeps its name.
            let keeps_name = self.action != Action::Create || key.kind == KindName::ScheduledTask;
            let is_unnamed = key.name.is_empty() && keeps_name;
            kinds::broken(kind, (key.room.as_deref(), &key.name), fields)
                .into_iter()
                .filter(|it| !is_unnamed || it.path != kind.name_rule().path())
                .map(|it| format!("`{}` {}", it.path, it.message))
                .collect()
        };
        let written = plan.operations.iter().filter_map(|it| it.fields());
        let mut found: Vec<String> = written.flat_map(|fields| broken(&self.key, fields)).collect();
        if let Some(observed) = &self.observed {
            let before = broken(former, &observed.fields);
            found.retain(|it| self.gets_new_name_of(it) || !before.contains(it));
        }
        found
    }

    /// Whether a sentence is about the object's new name.
    fn gets_new_name_of(&self, sentence: &str) -> bool {
        let path = format!("`{}` ", self.key.kind.kind().name_rule().path());
        self.action == Action::Rename && sentence.starts_with(&path)
    }

    /// Reads the object, to show how it would change.
    async fn observe(&mut self, connection: &Connection) -> Result<()> {
        let creates = self.action == Action::Create;
        if self.observed.is_some() || creates && !self.has_own_name() {
            return Ok(());
        }
        let known_as = self.former.as_ref().unwrap_or(&self.key);
        let found = match &self.id {
            None => reading::look_up(connection, known_as, None).await?,
            // The name may be the one that it has, or the one that it is to get.
            Some(id) => {
                let names = [self.perhaps.as_deref().unwrap_or_default(), &self.key.name];
                reading::look_up_id(connection, known_as, id, &names).await?
            }
        };
        match found {
            Some(_) if creates && !self.asked.may_exist => Err(self.exists_already()),
            None if !creates => Err(Error::failed(format!("{} does not exist", self.address()))),
            found => {
                let (name, observed) = found.unzip();
                self.observed = observed;
                if let Some(name) = name.filter(|_| self.gets_another_name()) {
                    *self = self.clone().renaming(&name);
                }
                Ok(())
            }
        }
    }

    /// The id by which a command calls a task, where the platform knows it by another one than the
    /// name.
    fn id_in_place_of_name(&self, connection: &Connection) -> Option<String> {
        let spelling = connection.client.spelling(self.key.kind);
        let named = Target::looked_for(&self.key, &self.key.project, None);
        let is_id = self.key.kind == KindName::ScheduledTask && self.action != Action::Create;
        (is_id && spelling.segment(&named).is_none()).then(|| self.key.name.clone())
    }

    fn exists_already(&self) -> Error {
        Error::failed(format!("{} already exists", self.key))
    }

    /// Whether its name is the wanted one, and not only the way to find it.
    fn gets_another_name(&self) -> bool {
        self.action == Action::Update
            && self.id.is_some()
            && !self.key.name.is_empty()
            && self.key.kind.kind().is_renamable()
    }

    /// Whether the object must be read before it is written, because the body holds more than the
    /// command says: fields that are not named, and the owner.
    fn needs_reading(&self, connection: &Connection) -> bool {
        let kind = self.key.kind.kind();
        let updates_partly =
            kind.updates_partly() && connection.client.spelling(self.key.kind).updates_partly();
        let is_annotations = |(path, _): &(FieldPath, _)| {
            path.0.first() == Some(&Step::Field("metadata".to_owned()))
        };
        match &self.fields {
            _ if matches!(self.action, Action::Create | Action::Delete) => false,
            Fields::Whole(_) => kind.carries_owner(),
            Fields::Some(given) => !updates_partly || given.iter().any(is_annotations),
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

    /// The object in messages: by its name until now, else by its id.
    fn address(&self) -> String {
        let key = self.former.as_ref().unwrap_or(&self.key);
        match &self.id {
            Some(id) if key.name.is_empty() => format!("{}/{id}", key.kind),
            _ => key.to_string(),
        }
    }

    /// What is done, with what is sent.
    fn effect(&self, sent: Sent) -> Effect {
        let of = match (&self.observed, &self.id) {
            // What was asked for is meant, whatever the answer says.
            (Some(observed), Some(id)) => {
                Observed { id: Some(id.clone()), ..observed.clone() }.into()
            }
            (Some(observed), None) => observed.clone().into(),
            (None, Some(id)) => Met::Id(id.clone()),
            (None, None) => Met::Name,
        };
        match (self.action, &self.former) {
            (Action::Create, _) => Effect::Create { sent, replaces: false },
            (Action::Delete, former) => {
                Effect::Delete { of, former: former.clone(), replaces: false }
            }
            (_, Some(former)) => Effect::Rename { of, former: former.clone(), sent },
            (_, None) => Effect::Update { of, sent },
        }
    }

    /// The plan of this one operation.
    fn plan(&self, connection: &Connection) -> Plan {
        let shape = self.key.kind.kind().shape();
        let observed = self.observed.as_ref();
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
        // An object without any field has none to show.
        let changes: Vec<FieldChange> =
            changes.into_iter().filter(|it| !it.path.0.is_empty()).collect();
        let mut key = self.key.clone();
        if let (true, Some(id)) = (key.name.is_empty(), &self.id) {
            key = key.with_name(id);
        }
        let mut sent = Sent::new(fields.into(), Vec::new());
        sent.by_id = self.named(&sent.fields);
        sent.asked = self.asked.clone();
        if let (Fields::Some(given), true) = (&self.fields, self.key.kind.kind().updates_partly()) {
            sent.asked.only = Some(given.iter().map(|(path, _)| path.clone()).collect());
        }
        let reason = match &self.former {
            Some(former) => Reason::new(Why::Renamed, format!("renamed from {}", former.name)),
            None if observed.is_some() && changes.is_empty() && self.action == Action::Update => {
                let told = "requested by this command; it has all of these fields already";
                Reason::new(Why::AskedFor, told.to_owned())
            }
            None => Why::AskedFor.into(),
        };
        let operation = Operation { changes, ..Operation::new(key, self.effect(sent), reason) };
        let state = ProjectState { id: Some(self.key.project.clone()) };
        Plan {
            platform: connection.platform_name(),
            projects: BTreeMap::from([(self.key.project.clone(), state)]),
            operations: vec![operation],
            ids: self.ids.clone(),
            ..Plan::default()
        }
    }

    /// The fields that name an object whose id is sent.
    fn named(&self, fields: &Tree) -> Vec<(FieldPath, Key)> {
        let references = self.key.kind.kind().references(fields).into_iter();
        let named = references.filter_map(|reference| match reference.to {
            ReferredTo::Object { kind, name, .. } => {
                Some((reference.path, Key::of(kind, &self.key.project, &name)))
            }
            ReferredTo::Port { .. } => None,
        });
        named.filter(|(_, key)| self.ids.contains_key(key)).collect()
    }
}

/// The plan, with the project's name, or with the project as the user named it if its name was not
/// read.
fn by_name(connection: &Connection, mut plan: Plan, read: Option<String>) -> Plan {
    let given = connection.project.as_ref().or(connection.fallback_project.as_ref());
    let Some(name) = read.as_ref().or(given).filter(|_| plan.projects.len() == 1) else {
        return plan;
    };
    let operations = plan.operations.iter_mut();
    for operation in operations.filter(|operation| operation.key.kind != KindName::Project) {
        operation.key = operation.key.with_project(name);
    }
    let projects = plan.projects.into_values().map(|state| (name.clone(), state)).collect();
    Plan { projects, ..plan }
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
