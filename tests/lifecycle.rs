//! Lifecycle after lifecycle on a hostile platform: objects are created, changed, meddled
//! with and deleted, answers are lost and come late, the program and the platform are
//! killed; and after each step all is as the documents say, and nothing else was touched.
//!
//! Which lifecycles are told, and how to tell one again, is in `seeds.rs`.

mod back;
mod place;
mod runs;
mod story;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use meshagent::apply::execute::{Options, Report};
use meshagent::apply::observe::{self, Scope};
use meshagent::apply::run::{Surroundings, run};
use meshagent::apply::survey::survey;
use meshagent::apply::{inventory::Stored, journal, lock};
use meshagent::dialect::Target;
use meshagent::error::Error;
use meshagent::kinds::tree::Tree;
use meshagent::kinds::{Key, KindName};
use meshagent::manifest::declared_in::LookedAt;
use meshagent::manifest::set::{Input, Set, read};
use meshagent::plan::guards::{self, Consent, Origin};
use meshagent::plan::planner::{Policy, Prune};
use meshagent::plan::{Observed, Plan};
use meshagent::project_file::ProjectFile;

use crate::cli::Sandbox;
use crate::hostile::proxy::Mischief;
use crate::properties::generate::{Service, Wish, said_in, wishes};
use crate::reconciler::{Silent, decide, describe, read_secrets};
use crate::seeds::{is_asked, seeds};
use crate::spoken::BOTH;
use back::Reached;
use place::{Before, Facts, Place, Stage, fact};
use story::{death, draw, mischief};

/// How many lifecycles are told.
const LIFECYCLES: u64 = 32;

/// How many are told at once; most of the time they wait.
const WORKERS: usize = 12;

/// The files that documents stand in.
const FILES: [&str; 3] = ["a.yaml", "b.yaml", "deep/c.yaml"];

/// How often a step is tried before the platform behaves, and how often after that.
const TRIES: (usize, usize) = (4, 4);

/// How many ways back may be refused: so many, and one of so many. Others' objects in a room that is
/// to go, or under a name that is to come back, are a reason, and a value that only a run had that
/// was cut off.
const HELD: (usize, usize) = (2, 5);

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_else_is_touched() {
    let seeds = seeds(LIFECYCLES);
    let began = Instant::now();
    let counts = Counts::default();
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) {
                        break;
                    }
                    if std::panic::catch_unwind(|| tell(seed, &counts)).is_err() {
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!("{} lifecycles in {:.1?}: {counts:?}", seeds.end - seeds.start, began.elapsed());
    assert!(failed.is_empty(), "tell them again with MESHAGENT_TEST_SEED= one of {failed:?}");
    // Were everything refused, nothing would have been shown. What somebody asks for is there to be
    // looked at.
    let [converged, refused] =
        [&counts.converged, &counts.refused].map(|count| count.load(Ordering::Relaxed));
    let is_asked = is_asked();
    assert!(is_asked || converged > refused, "{counts:?}");
    let [back, held] = [&counts.back, &counts.held].map(|count| count.load(Ordering::Relaxed));
    assert!(is_asked || back > 0, "{counts:?}");
    assert!(is_asked || held <= HELD.0 + back / HELD.1, "{counts:?}");
}

/// Tells one lifecycle on a runtime of its own, with which everything ends that it began.
fn tell(seed: u64, counts: &Counts) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let life = tokio::time::timeout(Duration::from_secs(300), live(seed, counts));
        life.await.unwrap_or_else(|_| panic!("MESHAGENT_TEST_SEED={seed} does not end"));
    });
}

/// What happened in all lifecycles.
#[derive(Debug, Default)]
struct Counts {
    /// Steps whose documents were what was there in the end.
    converged: AtomicUsize,
    /// Steps that were refused, and nothing was written.
    refused: AtomicUsize,
    /// Runs that died.
    deaths: AtomicUsize,
    /// Runs that were not complete.
    incomplete: AtomicUsize,
    /// Ways back to a state, after which there was nothing to change.
    back: AtomicUsize,
    /// Ways back that were refused, for what others have by now.
    held: AtomicUsize,
}

/// One lifecycle.
struct Life<'a> {
    seed: u64,
    random: Rng,
    place: Place,
    sandbox: Sandbox,
    counts: &'a Counts,
    /// What happened so far, for whoever reads of a failure.
    told: String,
    /// Which turn it is, so that files change from one to the next.
    turn: usize,
    /// The state before the last run.
    newest: Option<u64>,
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// All was done.
    Complete,
    /// Nothing was done, for a reason that is told.
    Refused,
    /// Something is open.
    Open,
    /// It was killed.
    Dead,
}

/// What is left to do after a step, and how.
struct Wanted {
    wishes: Vec<Wish>,
    policy: Policy,
}

async fn live(seed: u64, counts: &Counts) {
    let mut random = Rng::with_seed(seed);
    let spoken = BOTH[random.usize(0..BOTH.len())];
    let pages = random.bool().then(|| random.i64(1..4));
    let place = match random.u8(0..8) {
        0 => Place::alone(spoken, pages).await,
        _ => Place::here(spoken, pages).await,
    };
    let sandbox = Sandbox::new();
    let told = String::new();
    let mut life = Life { seed, random, place, sandbox, counts, told, turn: 0, newest: None };
    life.make_others().await;
    let mut former = Vec::new();
    let mut states: BTreeMap<u64, Reached> = BTreeMap::new();
    let steps = life.random.usize(2..5);
    for step in 0..=steps {
        life.meddle(&former).await;
        life.turn += 1;
        let is_end = step == steps;
        let wishes = match life.random.u8(0..4) {
            _ if is_end => Vec::new(),
            0 if !former.is_empty() => former.clone(),
            _ => life.draw_wishes(),
        };
        let policy = Policy {
            prune: match is_end || life.random.u8(0..4) > 0 {
                true => Prune::Given,
                false => Prune::None,
            },
            destroy: is_end,
            ..Policy::standard("s")
        };
        let wanted = Wanted { wishes, policy };
        if life.step(&wanted).await {
            former = wanted.wishes;
            // A run that changed nothing, or that could not read the list, is no state.
            let newest = life.newest;
            let reached = life.newest_state().await.filter(|number| newest < Some(*number));
            if let Some(number) = reached {
                let facts = life.place.facts(Stage::Done).await;
                states.insert(number, Reached { wishes: former.clone(), facts });
            }
        }
        if !is_end && let Some(wishes) = life.go_back(&states).await {
            former = wishes;
        }
    }
}

/// The environment in which sets are read and applied.
const ENVIRONMENT: &str = "walk";

/// The last field of a document, taken out of it to be said by the environment.
fn taken_out(document: &mut serde_json::Value) -> Option<(String, serde_json::Value)> {
    const KEPT: [&str; 6] = ["version", "kind", "metadata", "lifecycle", "room", "type"];
    let fields = document.as_object_mut()?;
    let field = fields.keys().rev().find(|field| !KEPT.contains(&field.as_str()))?.clone();
    let (kind, name) = (fields["kind"].as_str()?, fields["metadata"]["name"].as_str()?);
    // What is said of what may be in rooms is said of all of its name, unless its room is named.
    let of = match (kind, fields.get("room").and_then(serde_json::Value::as_str)) {
        ("Service" | "RoleGrant", None) => return None,
        ("Service" | "RoleGrant", Some(room)) => format!("{kind}/{name}@{room}"),
        _ => format!("{kind}/{name}"),
    };
    let value = fields.shift_remove(&field)?;
    (!value.is_null()).then(|| (of, serde_json::json!({ field: value })))
}

impl Life<'_> {
    fn tell(&mut self, what: &str) {
        let _ = writeln!(self.told, "{what}");
    }

    fn fail(&self, what: &str) -> ! {
        panic!("MESHAGENT_TEST_SEED={} in {}: {what}\n{}", self.seed, self.place.spoken, self.told);
    }

    /// Wishes of kinds that the platform's API has.
    fn draw_wishes(&mut self) -> Vec<Wish> {
        said_in(self.place.spoken, &draw(&wishes(), &mut self.random))
    }

    /// Writes the documents to files and gives their folder. In each turn they stand in other
    /// files, of which some come and some go, and some have another lifecycle, too.
    fn write(&self, wishes: &[Wish]) -> std::path::PathBuf {
        let folder = self.sandbox.path("set");
        let _ = std::fs::remove_dir_all(&folder);
        // Runs in this process have another working folder than those of the program; in a
        // repository a file has one name for both.
        self.sandbox.repository("");
        std::fs::create_dir_all(folder.join("deep")).unwrap();
        let mut texts = FILES.map(|_| String::new());
        let mut said = serde_json::Map::new();
        for (index, wish) in wishes.iter().enumerate() {
            let mut document = wish.document();
            let turn = self.turn + index;
            if turn.is_multiple_of(2) {
                said.extend(taken_out(&mut document));
            }
            if turn.is_multiple_of(3) && wish.has_annotations() {
                document["lifecycle"]["ignore"] = serde_json::json!(["metadata.annotations.x"]);
            }
            texts[turn % FILES.len()] += &format!("---\n{document}\n");
        }
        for (file, text) in FILES.iter().zip(texts) {
            if !text.is_empty() || *file == FILES[0] {
                std::fs::write(folder.join(file), format!("# a file\n{text}")).unwrap();
            }
        }
        let environment = serde_json::json!({"manifests": "set", "overrides": said});
        let file = serde_json::json!({"version": "v1", "environments": {ENVIRONMENT: environment}});
        std::fs::write(self.sandbox.path("meshagent.yaml"), file.to_string()).unwrap();
        folder
    }

    fn set_of(&self, wishes: &[Wish]) -> Set {
        let folder = self.write(wishes);
        let file = ProjectFile::read(&self.sandbox.path("meshagent.yaml")).unwrap();
        let input = Input {
            paths: vec![folder],
            over: file.environment(Some(ENVIRONMENT)).unwrap().over,
            fallback_project: Some("default".to_owned()),
            ..Input::default()
        };
        read(&input).unwrap_or_else(|problems| self.fail(&format!("{problems:?}")))
    }

    /// What is not ours: a second set, and what was made by hand.
    async fn make_others(&mut self) {
        let moved = |wishes: Vec<Wish>, by: u8| -> Vec<Wish> {
            wishes.iter().map(|wish| wish.moved(by)).collect()
        };
        let theirs = moved(self.draw_wishes(), 3);
        let set = self.set_of(&theirs);
        let client = self.place.client();
        if let Ok((plan, stored)) = self.plan(&client, set, &Policy::standard("other")).await {
            let options = Options::standard(4);
            let report = self.perform(&client, &plan, stored, &options).await.unwrap();
            assert!(report.is_complete(), "{report:?}");
        }
        let by_hand = moved(self.draw_wishes(), 6);
        self.make_by_hand(&by_hand).await;
    }

    async fn make_by_hand(&self, wishes: &[Wish]) {
        let client = self.place.client();
        let by_hand = self.set_of(wishes);
        for (key, desired) in &by_hand.objects {
            let mut fields = Tree::clone(&desired.fields);
            without_secrets(key, &mut fields);
            let target =
                Target { fields: &fields, ..Target::looked_for(key, &self.place.project, None) };
            // What refers to a room that is nowhere is refused, and so is not there.
            // A room that was just made has an id that is not known here.
            if let Some(create) = self.place.spelling(key.kind).create(&target) {
                let _ = client.send(&create).await;
            }
        }
    }

    async fn plan(
        &self,
        client: &meshagent::api::client::Client,
        set: Set,
        policy: &Policy,
    ) -> Result<(Plan, BTreeMap<String, Stored>), Error> {
        let scope = match set.objects.is_empty() {
            true => Scope::Project("default"),
            false => Scope::Documents,
        };
        let seen = observe::observe(&client.reader(), policy, set, scope).await?;
        let mut set = seen.set;
        read_secrets(&mut set)?;
        // Everything is destroyed, as without files.
        let looked_at = if policy.destroy { LookedAt::default() } else { set.looked_at.clone() };
        let policy = &Policy { looked_at, ..policy.clone() };
        let plan = decide(&set, &seen.state, policy)?;
        let consent = Consent {
            deletes: Some(usize::MAX),
            share: false,
            empty: true,
            destroy: policy.destroy,
            project: None,
        };
        let origin = Origin {
            objects: set.objects.len(),
            empty_input: None,
            is_given: !policy.destroy,
            state: None,
        };
        let refused = guards::check(&plan, &seen.state, origin, &consent);
        match refused.is_empty() {
            true => Ok((plan, seen.stored)),
            false => Err(Error::refused(refused)),
        }
    }

    async fn perform(
        &self,
        client: &meshagent::api::client::Client,
        plan: &Plan,
        stored: BTreeMap<String, Stored>,
        options: &Options,
    ) -> Result<Report, Error> {
        let folder = self.sandbox.path("");
        let surroundings = Surroundings {
            folder: &folder,
            // This process lives on when a run of it died, or could not give the lease back.
            break_lock: true,
            lease: lock::LASTS,
            progress: &Silent,
        };
        run(client, plan, stored, options, surroundings).await
    }

    /// Somebody changes and deletes what is ours.
    async fn meddle(&mut self, former: &[Wish]) {
        if former.is_empty() || self.random.bool() {
            return;
        }
        if self.random.u8(0..5) == 0 {
            // What others have in our rooms keeps those from being deleted.
            let room = self.random.u8(0..3);
            let wish = match self.random.bool() {
                true => Wish::Mailbox { name: 9, room, public: true, is_loud: false },
                false => {
                    let (secrets, room) = (Vec::new(), Some(room));
                    Wish::Service(Service {
                        name: 9,
                        room,
                        secrets,
                        port: None,
                        note: 9,
                        from: Vec::new(),
                    })
                }
            };
            self.make_by_hand(&[wish]).await;
        }
        let client = self.place.client();
        let seen = survey(&client.reader(), "default", None).await.unwrap().objects;
        let ours: Vec<(&Key, &Observed)> =
            seen.iter().filter(|(_, seen)| seen.owner.as_deref() == Some("s")).collect();
        for _ in 0..self.random.usize(1..4).min(ours.len()) {
            let (key, observed) = ours[self.random.usize(0..ours.len())];
            let is_lost = self.random.bool();
            let has_inmates = key.kind == KindName::Room
                && seen.keys().any(|other| other.room.as_ref() == Some(&key.name));
            let mut fields = Tree::clone(&observed.fields);
            without_secrets(key, &mut fields);
            match key.kind {
                KindName::Mailbox => fields.set("queue", Tree::text("elsewhere")),
                KindName::ScheduledTask => fields.set("active", Tree::Bool(false)),
                KindName::Room => {
                    fields.set("room_metadata", Tree::map([("by", Tree::text("hand"))]));
                }
                _ => {}
            }
            let target = Target {
                fields: &fields,
                owner: Some("s"),
                answered: observed.sent_back(),
                ..Target::looked_for(key, &self.place.project, observed.id.as_deref())
            };
            let spelling = self.place.spelling(key.kind);
            let request = match spelling.delete(&target) {
                Some(delete) if is_lost && !has_inmates => delete,
                _ => spelling.update(&target).expect("an update"),
            };
            let answer = client.send(&request).await;
            self.tell(&format!("by hand {request:?}: {:?}", answer.map(|_| ())));
        }
    }

    /// Applies until all is as wanted. Whether it is; it may also have been refused.
    async fn step(&mut self, wanted: &Wanted) -> bool {
        self.tell(&format!("wanted {:?} {:?}", wanted.wishes, wanted.policy));
        let mut others = self.place.others(Stage::UnderWay).await;
        let before = self.place.facts(Stage::UnderWay).await;
        let names = self.place.names().await;
        for attempt in 0..TRIES.0 + TRIES.1 {
            let is_calm = attempt >= TRIES.0;
            let mischief = if is_calm { Vec::new() } else { mischief(&mut self.random) };
            let death = if is_calm { None } else { death(self.place.is_alone(), &mut self.random) };
            self.newest = self.newest_state().await;
            let (ended, writes) = self.attempt(wanted, &mischief, death).await;
            self.tell(&format!("{mischief:?} {death:?}: {ended:?} after {writes:?}"));
            let stage = match ended {
                Ended::Complete => Stage::Done,
                _ => Stage::UnderWay,
            };
            let later = self.place.others(stage).await;
            for list in mischief.iter().filter_map(Mischief::hides_objects_of) {
                others = others.without_hidden(list, &later);
            }
            let touched = others.touched(&later);
            if !touched.is_empty() {
                self.fail(&format!("what is not ours was touched: {touched:#?}"));
            }
            match ended {
                Ended::Complete => {
                    self.check(wanted, &Before { facts: &before, names: &names }).await;
                    self.counts.converged.fetch_add(1, Ordering::Relaxed);
                    return true;
                }
                Ended::Refused if is_calm => {
                    self.counts.refused.fetch_add(1, Ordering::Relaxed);
                    return false;
                }
                Ended::Refused => {}
                Ended::Open if is_calm && attempt > TRIES.0 => {
                    self.fail("it does not end although nothing is in its way");
                }
                Ended::Open => drop(self.counts.incomplete.fetch_add(1, Ordering::Relaxed)),
                Ended::Dead => drop(self.counts.deaths.fetch_add(1, Ordering::Relaxed)),
            }
        }
        self.fail("it does not converge")
    }

    /// All is as wanted, and there is nothing left to do.
    async fn check(&mut self, wanted: &Wanted, before: &Before<'_>) {
        let facts = self.place.facts(Stage::Done).await;
        let mut expected: Facts = wanted.wishes.iter().map(fact).collect();
        if wanted.policy.prune == Prune::None {
            let now = self.place.names().await;
            for (key, fact) in before.facts {
                let (key, fact) = before.renamed(&now, key, fact);
                expected.entry(key).or_insert(fact);
            }
        }
        if facts != expected {
            self.fail(&format!("there is {facts:#?}\nand not {expected:#?}"));
        }
        let client = self.place.client();
        let set = self.set_of(&wanted.wishes);
        match self.plan(&client, set, &wanted.policy).await {
            Ok((plan, _)) if plan.is_empty() => {}
            Ok((plan, _)) => self.fail(&format!("then there is more to do: {}", describe(&plan))),
            Err(error) => self.fail(&format!("then there is no plan: {}", told(&error))),
        }
        if journal::leftover(&self.sandbox.path(""), "s").is_some() {
            self.fail("the journal is still there");
        }
    }
}

fn told(error: &Error) -> String {
    format!("{:?} {error} {:?}", error.class, error.problems)
}

/// A service refers to secrets by names that only the planner turns into ids.
fn without_secrets(key: &Key, fields: &mut Tree) {
    if key.kind == KindName::Service
        && let Some(container) = fields.get("container")
    {
        let mut container = container.clone();
        container.set("secrets", Tree::List(Vec::new()));
        fields.set("container", container);
    }
}
