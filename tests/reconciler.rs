//! A running platform and the way from manifests to a plan and back, as the commands go it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use meshagent::api::client::Client;
use meshagent::api::spoken::Spoken;
use meshagent::apply::execute::{Listeners, Options, Outcome, Progress, Report, execute};
use meshagent::apply::inside::EnteredRooms;
use meshagent::apply::inventory::Stored;
use meshagent::apply::observe::{self, Scope};
use meshagent::dialect::{self, Speaks, Spelling};
use meshagent::error::{Error, Problem};
use meshagent::kinds::tree::Tree;
use meshagent::kinds::{Key, KindName};
use meshagent::manifest::of_accounts::of_accounts;
use meshagent::manifest::overrides::Overrides;
use meshagent::manifest::secrets::{self, Limits, Reading};
use meshagent::manifest::set::{Input, Set, read};
use meshagent::manifest::values::FileValues;
use meshagent::plan::planner::{self, Policy, Refusal};
use meshagent::plan::{Action, Effect, Met, Observed, Operation, Plan, Sent, State};
use meshagent::reconcile::decide::refuse_unsaid;
use serde_json::{Value, json};

use crate::hostile::proxy::Running;
use crate::platform::harness::Server;
use crate::spoken::speaking;

/// A platform of its own with a client of the reconciler.
pub struct World {
    pub server: Server,
    pub client: Client,
    folder: tempfile::TempDir,
    /// What documents say in the place of what only the platform knows, and that.
    known: Vec<(&'static str, String)>,
}

/// What was decided, and on what.
pub struct Decided {
    pub plan: Plan,
    pub state: State,
    pub stored: BTreeMap<String, Stored>,
}

/// Reads the secrets of a set, as the commands do before they plan.
pub fn read_secrets(set: &mut Set) -> Result<(), Error> {
    let reading = Reading {
        commands: true,
        reach: set.reach.clone(),
        may_miss: false,
        limits: Limits::STANDARD,
    };
    let problems =
        secrets::resolve(&mut set.objects, None, reading, secrets::Printed::new()).problems;
    if problems.is_empty() { Ok(()) } else { Err(Error::manifests(problems)) }
}

/// Decides on what was read before.
pub fn decide(set: &Set, state: &State, policy: &Policy) -> Result<Plan, Error> {
    let mut plan = planner::plan(&set.objects, state, policy).map_err(|refusal| match refusal {
        Refusal::Manifests(problems) | Refusal::Scope(problems) => Error::manifests(problems),
        Refusal::Guard { problems, .. } => Error::refused(problems),
    })?;
    plan.notes.splice(0..0, set.notes.iter().cloned());
    plan.digest.clone_from(&set.digest);
    Ok(plan)
}

/// The policy of a set that does nothing unusual.
pub fn policy(set: &str) -> Policy {
    Policy::standard(set)
}

/// The policy that deletes what a set owns.
pub fn destroying(set: &str) -> Policy {
    Policy { destroy: true, ..policy(set) }
}

/// One line for each problem.
pub fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

impl World {
    /// One in the API of 0.31.
    pub async fn start() -> Self {
        Self::speaking(Spoken::V0_31).await
    }

    /// One in an API.
    pub async fn speaking(spoken: Spoken) -> Self {
        Self::capping(spoken, None).await
    }

    /// The same with pages that are no larger than this, where they are asked for by tokens.
    pub async fn capping(spoken: Spoken, pages: Option<i64>) -> Self {
        let server = Server::capping(pages).await;
        let client = speaking(Self::on(&server), spoken);
        Self { server, client, folder: tempfile::tempdir().unwrap(), known: Vec::new() }
    }

    /// One in an API, with the accounts that full documents of a kind act for, and the secrets that
    /// they name.
    pub async fn of_kind(spoken: Spoken, kind: KindName) -> Self {
        let mut world = Self::speaking(spoken).await;
        if (spoken, kind) == (Spoken::V0_56, KindName::ManagedAgent) {
            world.accounts().await;
        }
        if kind == KindName::RoleGrant {
            // Nobody is let into a room who is not in the project.
            let ada = json!({"user_id": "ada@example.com"});
            world.server.send("POST", "/users", ada).await.expect(201);
        }
        world
    }

    async fn accounts(&mut self) {
        for address in [ROBOT, OTHER_ROBOT] {
            let name = address.split('@').next().unwrap();
            let body = json!({"name": name, "description": ""});
            let made = self.server.send("POST", "/service-accounts", body).await.expect(201).json();
            self.known.push((address, name.to_owned()));
            if address == ROBOT {
                let path = format!("/service-accounts/{}/secrets", made["id"].as_str().unwrap());
                for secret in [SECRET, OTHER_SECRET] {
                    let body = json!({"name": secret, "type": "opaque", "http_only": false});
                    let made = self.server.send("POST", &path, body).await.expect(201).json();
                    self.known.push((secret, made["id"].as_str().unwrap().to_owned()));
                }
            }
        }
    }

    /// A client of a platform, as its owner.
    pub fn on(server: &Server) -> Client {
        let client =
            Client::new(&server.url, server.owner.clone().into(), Default::default()).unwrap();
        client.entering(std::sync::Arc::new(EnteredRooms::new(server.url.clone(), false)))
    }

    /// Goes through a proxy from now on.
    pub fn through(&mut self, proxy: &Running) {
        let key = self.server.owner.clone().into();
        let client = Client::new(&proxy.url, key, Default::default()).unwrap();
        let rooms = EnteredRooms::new(self.server.url.clone(), false);
        let client = client.entering(std::sync::Arc::new(rooms));
        self.client = speaking(client, self.spoken());
    }

    /// The API that is spoken.
    pub fn spoken(&self) -> Spoken {
        self.client.spoken()
    }

    /// How the platform spells a kind.
    pub fn spelling(&self, kind: KindName) -> &'static dyn Spelling {
        self.client.spelling(kind)
    }

    /// A file of the set's folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Reads the set of these documents.
    pub fn set_of(&self, documents: &[Value]) -> Result<Set, Vec<Problem>> {
        let known = |text: String| {
            self.known.iter().fold(text, |text, (name, known)| text.replace(name, known))
        };
        let texts: Vec<String> = documents.iter().map(text_of).map(known).collect();
        self.set(&[self.write("set/all.yaml", &texts.join("---\n"))], FileValues::default())
    }

    /// Reads a set; documents that name no project are of the platform's first one.
    pub fn set(&self, paths: &[PathBuf], values: FileValues) -> Result<Set, Vec<Problem>> {
        self.set_over(paths, values, None)
    }

    /// The same with what a project file says of the documents.
    pub fn set_over(
        &self,
        paths: &[PathBuf],
        values: FileValues,
        over: Option<Arc<Overrides>>,
    ) -> Result<Set, Vec<Problem>> {
        let set = read(&Input {
            paths: paths.to_vec(),
            values,
            fallback_project: Some("default".to_owned()),
            over,
            ..Input::default()
        })?;
        match self.client.dialect().has_project_secrets() {
            true => Ok(set),
            false => of_accounts(set).map_err(|error| error.problems),
        }
    }

    /// Reads the platform and decides.
    pub async fn decide(&self, set: Set, policy: &Policy) -> Result<Decided, Error> {
        let scope = match set.objects.is_empty() {
            true => Scope::Project("default"),
            false => Scope::Documents,
        };
        let reader = self.client.reader();
        let seen = observe::observe(&reader, policy, set, scope).await?;
        let mut set = seen.set;
        read_secrets(&mut set)?;
        refuse_unsaid(&reader, &set.objects, (&seen.state, policy))?;
        let plan = decide(&set, &seen.state, policy)?;
        Ok(Decided { plan, state: seen.state, stored: seen.stored })
    }

    /// Plans for these documents. What cannot be planned ends the test.
    #[track_caller]
    pub fn plan<'a>(
        &'a self,
        documents: &'a [Value],
        policy: &'a Policy,
    ) -> impl Future<Output = Decided> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let set = self.set_of(documents).unwrap_or_else(|problems| {
                panic!("at {place}: {}of {documents:#?}", lines(&problems))
            });
            self.decide(set, policy).await.unwrap_or_else(|error| {
                panic!("at {place}: {error}: {}of {documents:#?}", lines(&error.problems))
            })
        }
    }

    pub async fn perform(&self, decided: &Decided, parallelism: usize) -> Result<Report, Error> {
        let options = Options { attempts: 1, ..Options::standard(parallelism) };
        self.perform_with(decided, &options).await
    }

    pub async fn perform_with(
        &self,
        decided: &Decided,
        options: &Options,
    ) -> Result<Report, Error> {
        let listeners = Listeners { progress: &Silent, journal: None };
        execute(&self.client, &decided.plan, decided.stored.clone(), options, listeners).await
    }

    /// Performs a plan in full. What is not done ends the test.
    pub async fn apply(&self, decided: &Decided) {
        let report = self.perform(decided, 8).await.unwrap_or_else(|error| panic!("{error}"));
        assert!(report.is_complete(), "{report:?} of {}", describe(&decided.plan));
    }

    /// Plans and performs.
    pub async fn run(&self, documents: &[Value], policy: &Policy) -> Decided {
        let decided = self.plan(documents, policy).await;
        self.apply(&decided).await;
        decided
    }
}

/// A document as YAML.
fn text_of(document: &Value) -> String {
    meshagent::visible::yaml(document)
}

/// The plan as text without styles.
pub fn describe(plan: &Plan) -> String {
    anstream::adapter::strip_str(&meshagent::plan::text::render(plan)).to_string()
}

/// Tells nobody.
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _operation: &Operation) {}
    fn finished(&self, _operation: &Operation, _outcome: &Outcome) {}
}

/// What an action does to an object that was met so, with these fields.
pub fn effect((action, replaces): (Action, bool), fields: &Tree, met: Option<&Observed>) -> Effect {
    let sent = || Sent::new(fields.clone().into(), Vec::new());
    let of = || met.map_or(Met::Name, |met| met.clone().into());
    let seen = || met.cloned().map(Box::new);
    match action {
        Action::Create => Effect::Create { sent: sent(), replaces },
        Action::Update => Effect::Update { of: of(), sent: sent() },
        Action::Record => Effect::Record { of: seen(), fields: Some(fields.clone().into()) },
        Action::Rename => {
            let former = Key::of_project("former");
            Effect::Rename { of: of(), former, sent: sent() }
        }
        Action::Adopt => Effect::Adopt { of: seen().expect("an object"), sent: sent() },
        Action::Delete => Effect::Delete { of: of(), former: None, replaces },
        Action::Release => Effect::Release { of: seen(), by_id: Vec::new() },
    }
}

/// Addresses of service accounts, as documents of tests name them.
pub const ROBOT: &str = "robot@accounts.example";
pub const OTHER_ROBOT: &str = "other-one@accounts.example";

/// The ids of secrets of the first account, as documents of tests name them.
pub const SECRET: &str = "id-of-one-secret";
pub const OTHER_SECRET: &str = "id-of-other-secret";

/// How 0.31 spells a kind, for tests that send its requests themselves.
pub fn spelling(kind: KindName) -> &'static dyn Spelling {
    dialect::of(Spoken::V0_31, kind)
}
