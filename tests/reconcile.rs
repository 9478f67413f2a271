//! The use cases through the library, as a controller has them: many times in one process, with
//! no terminal, and nothing is printed.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use meshagent::apply::execute::{Outcome, Progress};
use meshagent::apply::journal;
use meshagent::error::Class;
use meshagent::manifest::set::Input;
use meshagent::plan::planner::Policy;
use meshagent::plan::{Action, Operation};
use meshagent::reconcile::accept::Accepting;
use meshagent::reconcile::events::{Event, Events};
use meshagent::reconcile::relocate::Relocating;
use meshagent::reconcile::{Decision, Guards, Performed, Performing, Target, decide, perform};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::reconciler::{Silent, World, policy};

fn rooms(names: std::ops::Range<u32>) -> Vec<Value> {
    let room = |number| {
        let name = format!("room-{number:02}");
        json!({"version": "v1", "kind": "Room", "metadata": {"name": name}})
    };
    names.map(room).collect()
}

fn target(world: &World) -> Target {
    Target {
        client: world.client.clone(),
        name: "a platform".to_owned(),
        project: None,
        fallback_project: Some("default".to_owned()),
        is_chosen: true,
        flags: String::new(),
    }
}

/// A use case that may go on in any thread, as a server has it.
fn sent<F: Future + Send>(use_case: F) -> F {
    use_case
}

async fn decided(world: &World, documents: &[Value], guards: &Guards) -> Decision {
    let set = world.set_of(documents).expect("a set");
    sent(decide(&target(world), set, &policy("s"), guards)).await.expect("a decision")
}

/// The names of the rooms that the platform has.
async fn existing(world: &World) -> Vec<String> {
    let listed = world.server.read("/rooms").await.expect(200).json();
    let rooms = listed["rooms"].as_array().expect("rooms");
    let mut names: Vec<String> =
        rooms.iter().map(|room| room["name"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    names
}

fn count(performed: &Performed, outcome: &Outcome) -> usize {
    performed.report.count(|it| it == outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_decided_and_performed_again_and_again_in_one_process() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let some = Guards { deletes: Some(1), ..Guards::default() };
    for (documents, actions) in [
        (rooms(0..3), vec![Action::Create; 3]),
        (rooms(1..4), vec![Action::Create, Action::Delete]),
        (rooms(1..4), Vec::new()),
    ] {
        let decision = decided(&world, &documents, &some).await;
        let plan = &decision.plan;
        let mut planned: Vec<Action> = plan.operations.iter().map(Operation::action).collect();
        planned.sort();
        assert_eq!((planned, plan.refused.len()), (actions, 0));
        assert_eq!((plan.platform.as_str(), decision.basis.desired.len()), ("a platform", 3));
        let told = Mutex::new(Vec::new());
        let events = Events { plan, tell: |event| told.lock().unwrap().push(event) };
        let performing = Performing::in_folder(folder.path(), &events);
        let performed = sent(perform(&target(&world), &decision, &performing)).await.unwrap();
        assert_eq!(count(&performed, &Outcome::Done), plan.operations.len());
        performed.verdict().unwrap();
        let told = told.into_inner().unwrap();
        let started = told.iter().filter(|it| matches!(it, Event::Started { .. })).count();
        let done = |event: &&Event| matches!(event, Event::Finished { outcome: Outcome::Done, .. });
        let finished = told.iter().filter(done).count();
        assert_eq!((started, finished), (plan.operations.len(), plan.operations.len()));
        assert_eq!(journal::leftover(folder.path(), "s"), None);
    }
    assert_eq!(existing(&world).await, ["room-01", "room-02", "room-03"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_runs_again_for_a_set_that_is_the_same() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let count = || std::fs::read_to_string(&runs).unwrap_or_default().lines().count();
    let command = format!("echo run >> {}; echo hunter2", runs.display());
    let secret = |name: &str, more: &str| {
        let from = json!({"command": ["sh", "-c", command]});
        let data = json!({"KEY": {"from": from}, "OTHER": more});
        json!({"version": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "keys", "data": data})
    };
    let guards = Guards { may_run_commands: true, ..Guards::default() };
    // Two objects with one source, which one run answers.
    let set = [secret("one", "x"), secret("two", "x")];
    for _ in 0..3 {
        let decision = decided(&world, &set, &guards).await;
        assert_eq!((count(), decision.plan.operations.len()), (1, 2));
        assert!(!format!("{guards:?} {decision:?}").contains("hunter2"));
    }
    // What is known is what the command printed: it is written, and nothing is left to change.
    let decision = decided(&world, &set, &guards).await;
    let performing = Performing::in_folder(folder.path(), &Silent);
    perform(&target(&world), &decision, &performing).await.unwrap().verdict().unwrap();
    assert_eq!(decided(&world, &set, &guards).await.plan.operations.len(), 0);
    assert_eq!(count(), 1);
    // Another set, another process, and nobody's consent.
    let other = [secret("one", "y"), secret("two", "x")];
    let decision = decided(&world, &other, &guards).await;
    assert_eq!((count(), decision.plan.operations.len()), (2, 1));
    let anew = Guards { may_run_commands: true, ..Guards::default() };
    decided(&world, &other, &anew).await;
    assert_eq!(count(), 3);
    let withheld = Guards { may_run_commands: false, ..guards.clone() };
    let set = world.set_of(&other).expect("a set");
    let error = decide(&target(&world), set, &policy("s"), &withheld).await.unwrap_err();
    assert!(error.problems[0].message.contains("commands are not allowed"), "{error}");
    assert_eq!(count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_set_owns_goes_to_another_and_what_drifted_is_written_down() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (target, performing) = (target(&world), Performing::in_folder(folder.path(), &Silent));
    let decision = decided(&world, &rooms(0..2), &Guards::default()).await;
    perform(&target, &decision, &performing).await.unwrap().verdict().unwrap();

    let read = async || {
        let sets = ("s", "other");
        sent(Relocating::read(&target, &world.server.project, sets)).await.unwrap()
    };
    let first = ["Room/room-00".to_owned()];
    let relocation = sent(read().await.some(&first)).await.unwrap().expect("something to move");
    assert_eq!(relocation.plan.operations.len(), 1);
    let report = sent(relocation.perform(&target, &performing)).await.unwrap();
    sent(relocation.conclude(&target, &report)).await.unwrap();
    assert!(read().await.some(&first).await.unwrap().is_none());
    let taken = read().await.all().err().expect("a refusal");
    assert_eq!((taken.class, journal::leftover(folder.path(), "s")), (Class::Refused, None));

    let room = world.server.read("/rooms/room-00").await.expect(200).json();
    let path = format!("/rooms/{}", room["id"].as_str().unwrap());
    let drifted = json!({"name": "room-00", "metadata": {"mood": "good"}});
    assert!(world.server.send("PUT", &path, drifted).await.status < 300);
    let document = "version: v1\nkind: Room\nmetadata:\n  name: room-00\n";
    let file = world.write("drifted.yaml", document);
    let input = Input {
        paths: vec![file.clone()],
        fallback_project: Some("default".to_owned()),
        ..Input::default()
    };
    let accepting = Accepting::read(&input).unwrap();
    let accepted = sent(accepting.decide(&target, ("other", false), &[])).await.unwrap();
    let edits: Vec<_> = accepted.edits().collect();
    assert_eq!(edits.len(), 1);
    assert!(edits[0].hunks().contains("mood"), "{}", edits[0].hunks());
    edits[0].write().unwrap();
    assert!(std::fs::read_to_string(file).unwrap().contains("mood"));
    let again =
        Accepting::read(&input).unwrap().decide(&target, ("other", false), &[]).await.unwrap();
    assert!(again.acceptance.texts.is_empty() && again.acceptance.left.is_empty());
}

/// Stops the run when so many operations are done.
struct StopAfter {
    most: usize,
    done: Mutex<usize>,
    stop: CancellationToken,
}

impl Progress for StopAfter {
    fn started(&self, _operation: &Operation) {}

    fn finished(&self, _operation: &Operation, _outcome: &Outcome) {
        let mut done = self.done.lock().unwrap();
        *done += 1;
        if *done == self.most {
            self.stop.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stopped_in_the_middle_says_so_and_the_next_run_goes_on_from_there() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let decision = decided(&world, &rooms(0..9), &Guards::default()).await;
    let stop = CancellationToken::new();
    let progress = StopAfter { most: 4, done: Mutex::new(0), stop: stop.clone() };
    let one_by_one =
        Performing { parallelism: 1, stop, ..Performing::in_folder(folder.path(), &progress) };
    let performed = perform(&target(&world), &decision, &one_by_one).await.unwrap();
    let open = count(&performed, &Outcome::NotStarted);
    assert_eq!((performed.is_stopped, count(&performed, &Outcome::Done), open), (true, 4, 5));
    let error = performed.verdict().unwrap_err();
    assert_eq!(error.class, Class::Partial);
    assert_eq!(error.message, "stopped: 5 of 9 operations were not done");
    assert_eq!(existing(&world).await.len(), 4);
    assert_eq!(journal::leftover(folder.path(), "s"), None);
    // The lease was given back, and what was done is known.
    let decision = decided(&world, &rooms(0..9), &Guards::default()).await;
    assert_eq!(decision.plan.operations.len(), 5);
    let performing = Performing::in_folder(folder.path(), &Silent);
    let performed = perform(&target(&world), &decision, &performing).await.unwrap();
    assert!(!performed.is_stopped);
    performed.verdict().unwrap();
    assert_eq!(existing(&world).await.len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_guards_refuse_is_told_and_not_performed() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let performing = Performing::in_folder(folder.path(), &Silent);
    let decision = decided(&world, &rooms(0..9), &Guards::default()).await;
    perform(&target(&world), &decision, &performing).await.unwrap().verdict().unwrap();
    let decision = decided(&world, &rooms(0..1), &Guards::default()).await;
    assert_eq!((decision.plan.operations.len(), decision.plan.refused.len()), (8, 1));
    let error = perform(&target(&world), &decision, &performing).await.unwrap_err();
    assert_eq!(error.class, Class::Refused);
    assert_eq!(error.problems[0].message, decision.plan.refused[0].message);
    assert_eq!(existing(&world).await.len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_lacks_values_is_only_shown() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let from = json!({"from": {"env": "RECONCILE_VALUE_THAT_IS_NOT_SET"}});
    let secret = json!({
        "version": "v1", "kind": "Secret", "metadata": {"name": "a"},
        "type": "keys", "data": {"password": from},
    });
    let set = world.set_of(&[secret]).unwrap();
    let shown = Policy { is_only_shown: true, may_miss: true, ..policy("s") };
    let decision = decide(&target(&world), set, &shown, &Guards::default()).await.unwrap();
    assert_eq!((decision.plan.operations.len(), decision.plan.not_read.len()), (1, 1));
    assert!(decision.plan.notes.iter().any(|note| note.contains("the value is not read")));
    let performing = Performing::in_folder(folder.path(), &Silent);
    let error = perform(&target(&world), &decision, &performing).await.unwrap_err();
    assert_eq!(error.class, Class::Refused);
    assert_eq!(
        error.message,
        "this plan cannot be performed: it was made without reading all of its values"
    );
}

/// The tests above in a process of their own, whose streams can be read.
#[test]
fn nothing_is_printed() {
    let runs = [
        "reconcile::a_set_is_decided_and_performed_again_and_again_in_one_process",
        "reconcile::what_is_stopped_in_the_middle_says_so_and_the_next_run_goes_on_from_there",
        "reconcile::a_plan_that_lacks_values_is_only_shown",
    ];
    let program = std::env::current_exe().unwrap();
    for test in runs {
        let ran = Command::new(&program).args([test, "--exact", "--nocapture"]).output().unwrap();
        let (out, errors) =
            (String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap());
        assert!(ran.status.success(), "{out}{errors}");
        // What is left is what the runner of tests says.
        let lines: Vec<&str> = out.lines().filter(|line| !line.is_empty()).collect();
        let told = format!("test {test} ... ok");
        assert_eq!((&lines[..2], lines.len()), (&["running 1 test", &told][..], 3), "{out}");
        assert_eq!(errors, "");
    }
    assert!(!Path::new(".meshagent/journal/s.jsonl").exists());
}

/// The fault: where the set is declared was all that there was to record, and the second of two
/// runs could not record it any more.
#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_with_nothing_to_do_both_end_well() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (all, guards) = (rooms(0..2), Guards::default());
    let performing = Performing::in_folder(folder.path(), &Silent);
    let first = decided(&world, &all, &guards).await;
    perform(&target(&world), &first, &performing).await.unwrap().verdict().unwrap();
    world.write(".git/HEAD", "ref: refs/heads/main\n");
    world.write(".git/config", "[remote \"origin\"]\n\turl = https://example.com/a/b.git\n");
    let two = [decided(&world, &all, &guards).await, decided(&world, &all, &guards).await];
    for decision in &two {
        assert!(decision.plan.is_empty());
        perform(&target(&world), decision, &performing).await.unwrap().verdict().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn approvals_that_expired_meanwhile_stop_a_plan_before_it_writes() {
    use meshagent::approval::statement::{Bound, Statement};
    use meshagent::reconcile::approvals::Needed;
    use ssh_key::{HashAlg, LineEnding, PrivateKey};

    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let decision = decided(&world, &rooms(0..1), &Guards::default()).await;
    let bound = Bound {
        digest: Bound::digest_of(b"a plan"),
        set: "s".to_owned(),
        platform: "a platform".to_owned(),
        projects: Default::default(),
    };
    let (now, minute) = (jiff::Timestamp::now(), std::time::Duration::from_secs(60));
    let earlier = now - jiff::SignedDuration::from_secs(90);
    let line = Statement::new(bound.clone(), earlier, minute).line().unwrap();
    let key = PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[1; 32]));
    let signature = key.sign("meshagent-plan", HashAlg::Sha256, line.as_bytes()).unwrap();
    let approval = line + &signature.to_pem(LineEnding::LF).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let needed = Needed {
        required: 1,
        approvers: vec![file(
            "approvers",
            &format!("ann {}", key.public_key().to_openssh().unwrap()),
        )],
        approvals: vec![file("ann.approval", &approval)],
        authors: Vec::new(),
    };
    let approvals = needed.read(Path::new("plan.json"), bound).unwrap();
    approvals.check(earlier).unwrap();
    let performing =
        Performing { approvals: Some(&approvals), ..Performing::in_folder(folder.path(), &Silent) };
    let refused = perform(&target(&world), &decision, &performing).await.unwrap_err();
    assert_eq!(refused.class, Class::Refused);
    assert!(refused.problems[1].message.contains("it expired at"), "{:?}", refused.problems);
    assert_eq!(existing(&world).await, Vec::<String>::new());
}
