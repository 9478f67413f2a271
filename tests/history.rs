//! The past states of a set: what is kept of a run, and the way back to it.

mod bounds;
mod scenarios;
mod secrets;
mod states;
mod walk;

use meshagent::api::spoken::Spoken;
use meshagent::apply::execute::{Outcome, Report};
use meshagent::apply::history::{self, Author, Index, Occasion, What};
use meshagent::dialect::Speaks;
use meshagent::error::Error;
use meshagent::manifest::set::Set;
use meshagent::plan::Operation;
use meshagent::plan::planner::Policy;
use meshagent::reconcile::back::go_back;
use meshagent::reconcile::history::History;
use meshagent::reconcile::{Decision, Guards, Performing, Target, decide, perform};
use serde_json::Value;

use crate::reconciler::{Silent, World};

/// A set of a platform, with the folder of its journal.
struct Past {
    world: World,
    folder: tempfile::TempDir,
}

fn generous() -> Guards {
    Guards { deletes: Some(usize::MAX), may_be_empty: true, ..Guards::default() }
}

fn kept(what: What, back_to: Option<u64>) -> Occasion {
    Occasion { back_to, ..Occasion::of(what, Author::default()) }
}

impl Past {
    async fn start() -> Self {
        Self::speaking(Spoken::V0_31).await
    }

    async fn speaking(spoken: Spoken) -> Self {
        Self { world: World::speaking(spoken).await, folder: tempfile::tempdir().unwrap() }
    }

    fn target(&self) -> Target {
        Target {
            client: self.world.client.clone(),
            name: "a platform".to_owned(),
            project: None,
            fallback_project: Some("default".to_owned()),
            is_chosen: true,
            flags: String::new(),
        }
    }

    fn set(&self, documents: &[Value]) -> Set {
        self.world.set_of(documents).expect("a set")
    }

    async fn decided(&self, documents: &[Value]) -> Decision {
        let policy = Policy::standard("s");
        decide(&self.target(), self.set(documents), &policy, &generous()).await.expect("a plan")
    }

    async fn performed(&self, decision: &Decision, occasion: Occasion) -> Report {
        let performing = Performing {
            // What died in this process could not give its lease back.
            break_lock: true,
            occasion: Some(occasion.into()),
            ..Performing::in_folder(self.folder.path(), &Silent)
        };
        perform(&self.target(), decision, &performing).await.expect("a run").report
    }

    /// Applies documents; all of it is done.
    async fn apply(&self, documents: &[Value]) {
        let report = self.performed(&self.decided(documents).await, kept(What::Apply, None)).await;
        assert!(report.is_complete() && report.notes.is_empty(), "{report:?}");
    }

    /// Deletes all that the set owns.
    async fn destroy(&self) {
        let policy = Policy { destroy: true, ..Policy::standard("s") };
        let set = Set::default();
        let decision = decide(&self.target(), set, &policy, &generous()).await.expect("a plan");
        let report = self.performed(&decision, kept(What::Destroy, None)).await;
        assert!(report.is_complete(), "{report:?}");
    }

    async fn history(&self, set: &str) -> History {
        History::read(&self.target(), set, "default").await.expect("a history")
    }

    async fn numbers(&self, set: &str) -> Vec<u64> {
        self.history(set).await.runs().iter().map(|run| run.number).collect()
    }

    /// The way back to a state, with today's documents.
    async fn back(&self, to: u64, today: &[Value]) -> Result<Decision, Error> {
        let reader = self.world.client.reader();
        let past = self.history("s").await.back_to(&reader, to).await?;
        let today = (!today.is_empty()).then(|| self.set(today));
        go_back(&self.target(), past, today, &Policy::standard("s"), &generous()).await
    }

    /// Goes back, and then there is nothing to change.
    async fn roll_back(&self, to: u64, today: &[Value]) -> Decision {
        let decision = self.back(to, today).await.expect("a way back");
        let report = self.performed(&decision, kept(What::Rollback, Some(to))).await;
        assert!(report.is_complete() && report.notes.is_empty(), "{report:?}");
        let again = self.back(to, today).await.expect("a way back");
        assert_eq!(told(&again), Vec::<String>::new());
        decision
    }

    async fn index(&self, set: &str) -> Index {
        let (reader, id) = (self.world.client.reader(), &self.world.server.project);
        history::index(&reader, set, id)
            .await
            .expect("a list")
            .expect("allowed")
            .expect("a history")
    }

    /// A file of the history of a set; nothing if it is not there.
    async fn file(&self, set: &str, file: &str) -> Option<String> {
        let path = format!(".meshagent/history/{set}/{file}.json");
        let client = &self.world.client;
        let read = client.dialect().download(&self.world.server.project, &path);
        let answer = client.send(&read).await.ok()?;
        Some(String::from_utf8(answer.body.to_vec()).expect("a text"))
    }
}

/// The operations of a plan, in brief.
fn told(decision: &Decision) -> Vec<String> {
    let told = |it: &Operation| format!("{} {}", it.action(), it.key);
    decision.plan.operations.iter().map(told).collect()
}

fn room(name: &str) -> Value {
    serde_json::json!({"version": "v1", "kind": "Room", "metadata": {"name": name}})
}

fn service(name: &str, room: &str, image: &str) -> Value {
    serde_json::json!({
        "version": "v1", "kind": "Service", "metadata": {"name": name},
        "room": room, "container": {"image": image},
    })
}

fn with(mut document: Value, lifecycle: Value) -> Value {
    document["lifecycle"] = lifecycle;
    document
}

fn done(report: &Report) -> usize {
    report.count(|outcome| *outcome == Outcome::Done)
}
