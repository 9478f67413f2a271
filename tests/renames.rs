//! Objects that get other names: chains, rings, names that are given on, and runs that stop
//! between two of them. What counts is which object has which name in the end, so objects
//! are told apart by the platform's ids.

mod between;
mod former;
mod owners;
mod refusals;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use meshagent::apply::execute::{Listeners, Options, Outcome, Progress, execute};
use meshagent::apply::survey::survey;
use meshagent::kinds::{Key, KindName};
use meshagent::plan::renames::is_stand_in;
use meshagent::plan::{Incomplete, Observed, Operation};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::hostile::proxy::{Fault, Hostile, Mischief, Moment};
use crate::reconciler::{World, decide, describe, lines, policy, spelling};

fn document(kind: &str, name: &str, fields: Value) -> Value {
    let mut document = json!({"version": "v1", "kind": kind, "metadata": {"name": name}});
    for (field, value) in fields.as_object().unwrap() {
        document[field] = value.clone();
    }
    document
}

fn room(name: &str, note: &str) -> Value {
    document("Room", name, json!({"room_metadata": {"note": note}}))
}

fn secret(name: &str, text: &str) -> Value {
    document("Secret", name, json!({"type": "keys", "data": {"TEXT": text}}))
}

fn webhook(name: &str) -> Value {
    document("Webhook", name, json!({"url": "https://example.com", "events": ["*"]}))
}

fn service(name: &str, fields: Value) -> Value {
    document("Service", name, fields)
}

fn mailbox(name: &str, room: &str) -> Value {
    let address = format!("{name}@mail.localhost");
    document("Mailbox", &address, json!({"room": room, "queue": "q"}))
}

/// The same document of an object that was called otherwise.
fn from(former: &str, mut document: Value) -> Value {
    document["lifecycle"] = json!({"moved_from": former});
    document
}

/// The same document of an object that had several other names, in any order.
fn from_any(former: &[&str], mut document: Value) -> Value {
    document["lifecycle"] = json!({"moved_from": former});
    document
}

async fn objects(world: &World) -> BTreeMap<Key, Observed> {
    survey(&world.client.reader(), "default", None).await.unwrap().objects
}

/// The ids of the objects that have one, by their names.
async fn ids(world: &World) -> BTreeMap<String, String> {
    let objects = objects(world).await;
    let named = objects.into_iter().filter(|(key, _)| key.kind.to_string() != "Project");
    named.filter_map(|(key, seen)| Some((key.to_string(), seen.id?))).collect()
}

/// A set before and after, and which object becomes which.
struct Story {
    before: Vec<Value>,
    after: Vec<Value>,
    becomes: Vec<(&'static str, &'static str)>,
}

/// How a run ends before its time.
#[derive(Debug, Clone, Copy)]
enum End {
    /// It is killed in the write of this number.
    Killed(usize, Moment),
    /// It is stopped after so many operations, and writes down what it did.
    Stopped(usize),
}

/// Stops a run after so many operations.
struct Stopper {
    left: AtomicUsize,
    stop: CancellationToken,
}

impl Progress for Stopper {
    fn started(&self, _operation: &Operation) {}

    fn finished(&self, _operation: &Operation, _outcome: &Outcome) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.stop.cancel();
        }
    }
}

impl Story {
    /// Whether the run ended as it was to end, and not by itself before.
    async fn interrupt(&self, world: &mut World, end: End) -> bool {
        let decided = world.plan(&self.after, &policy("s")).await;
        let mut hostile = Hostile::in_front_of(&world.server);
        if let End::Killed(write, moment) = end {
            hostile = hostile.pausing(write, moment);
        }
        let proxy = hostile.start().await;
        world.through(&proxy);
        let stopper = Stopper {
            left: AtomicUsize::new(if let End::Stopped(count) = end { count } else { usize::MAX }),
            stop: CancellationToken::new(),
        };
        let options = Options { stop: stopper.stop.clone(), ..Options::standard(1) };
        let listeners = Listeners { progress: &stopper, journal: None };
        let (client, stored) = (world.client.clone(), decided.stored.clone());
        let is_interrupted = tokio::select! {
            done = execute(&client, &decided.plan, stored, &options, listeners) => {
                !done.unwrap().is_complete()
            }
            () = proxy.paused() => true,
        };
        world.client = World::on(&world.server);
        is_interrupted
    }

    async fn check(&self, world: &World, before: &BTreeMap<String, String>, end: &str) {
        let after = ids(world).await;
        for (former, name) in &self.becomes {
            assert_eq!(before.get(*former), after.get(*name), "{end}: {former} -> {name}");
        }
        let mut wanted: Vec<String> =
            world.set_of(&self.after).unwrap().objects.keys().map(ToString::to_string).collect();
        let mut there: Vec<String> = objects(world).await.keys().map(ToString::to_string).collect();
        there.retain(|key| key != "Project/default");
        wanted.sort();
        there.sort();
        assert_eq!(there, wanted, "{end}");
        let again = world.plan(&self.after, &policy("s")).await;
        assert!(again.plan.is_empty(), "{end}: {}", describe(&again.plan));
    }

    async fn begin(&self) -> (World, BTreeMap<String, String>) {
        let world = World::start().await;
        world.run(&self.before, &policy("s")).await;
        let before = ids(&world).await;
        (world, before)
    }

    /// Tells it to its end, and again for each place at which a run can be cut off. A run that is
    /// killed before a write leaves what one leaves that is killed after the write before that.
    async fn tell(&self) {
        let (world, before) = self.begin().await;
        world.run(&self.after, &policy("s")).await;
        self.check(&world, &before, "at once").await;
        let mut cuts = 0;
        let ends: [fn(usize) -> End; 2] =
            [|number| End::Killed(number, Moment::After), End::Stopped];
        for end in ends {
            for number in 1.. {
                let (mut world, before) = self.begin().await;
                if !self.interrupt(&mut world, end(number)).await {
                    break;
                }
                cuts += 1;
                let end = format!("{:?}", end(number));
                let decided = world.decide(world.set_of(&self.after).unwrap(), &policy("s")).await;
                let decided = decided.unwrap_or_else(|error| panic!("{end}: {:?}", error.problems));
                world.apply(&decided).await;
                self.check(&world, &before, &end).await;
            }
        }
        assert!(cuts > 4, "it was cut off just {cuts} times");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_swap_their_names_with_what_is_in_them() {
    let inside = |room: &str| service("bot", json!({"room": room, "container": {"image": room}}));
    Story {
        before: vec![room("a", "A"), room("b", "B"), inside("a"), inside("b"), mailbox("x", "a")],
        after: vec![
            from("a", room("b", "A")),
            from("b", room("a", "B")),
            inside("a"),
            inside("b"),
            mailbox("x", "b"),
        ],
        becomes: vec![
            ("Room/a", "Room/b"),
            ("Room/b", "Room/a"),
            ("Service/bot@a", "Service/bot@b"),
            ("Service/bot@b", "Service/bot@a"),
        ],
    }
    .tell()
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_of_secrets_keeps_each_with_what_uses_it() {
    let uses =
        |names: [&str; 2]| service("bot", json!({"container": {"image": "x", "secrets": names}}));
    Story {
        before: vec![secret("a", "A"), secret("b", "B"), secret("c", "C"), uses(["a", "c"])],
        after: vec![
            from("a", secret("b", "A")),
            from("b", secret("c", "B")),
            from("c", secret("a", "C2")),
            uses(["b", "a"]),
        ],
        becomes: vec![
            ("Secret/a", "Secret/b"),
            ("Secret/b", "Secret/c"),
            ("Secret/c", "Secret/a"),
            ("Service/bot", "Service/bot"),
        ],
    }
    .tell()
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_takes_the_name_of_one_that_is_in_use() {
    let uses =
        |image: &str| service("bot", json!({"container": {"image": image, "secrets": ["blue"]}}));
    Story {
        before: vec![secret("blue", "old"), secret("green", "new"), uses("x")],
        after: vec![from("green", secret("blue", "new")), uses("x")],
        becomes: vec![("Secret/green", "Secret/blue"), ("Service/bot", "Service/bot")],
    }
    .tell()
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_uses_a_secret_that_goes_turns_to_a_new_one_behind_it_in_the_chain() {
    let uses = |name: &str| service("bot", json!({"container": {"image": "x", "secrets": [name]}}));
    Story {
        before: vec![secret("a", "A"), secret("b", "B"), secret("c", "C"), uses("a")],
        after: vec![
            from("b", secret("a", "B")),
            from("c", secret("b", "C")),
            secret("c", "new"),
            uses("c"),
        ],
        becomes: vec![
            ("Secret/b", "Secret/a"),
            ("Secret/c", "Secret/b"),
            ("Service/bot", "Service/bot"),
        ],
    }
    .tell()
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_takes_the_name_of_one_that_goes() {
    let inside =
        |name: &str, room: &str| service(name, json!({"room": room, "container": {"image": "x"}}));
    Story {
        before: vec![
            room("blue", "old"),
            room("green", "new"),
            inside("bot", "blue"),
            inside("bot", "green"),
            inside("cat", "blue"),
            mailbox("x", "blue"),
        ],
        after: vec![
            from("green", room("blue", "new")),
            inside("bot", "blue"),
            mailbox("x", "blue"),
        ],
        becomes: vec![("Room/green", "Room/blue"), ("Service/bot@green", "Service/bot@blue")],
    }
    .tell()
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_ends_where_a_new_object_begins() {
    Story {
        before: vec![webhook("a"), webhook("b"), secret("a", "A"), secret("b", "B")],
        after: vec![
            from("b", webhook("c")),
            from("a", webhook("b")),
            webhook("a"),
            from("b", secret("c", "B")),
            from("a", secret("b", "A")),
            secret("a", "new"),
        ],
        becomes: vec![
            ("Webhook/a", "Webhook/b"),
            ("Webhook/b", "Webhook/c"),
            ("Secret/a", "Secret/b"),
            ("Secret/b", "Secret/c"),
        ],
    }
    .tell()
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_renamed_in_a_room_that_is_renamed() {
    let inside =
        |name: &str, room: &str| service(name, json!({"room": room, "container": {"image": "x"}}));
    Story {
        before: vec![room("a", "A"), inside("one", "a"), inside("two", "a")],
        after: vec![
            from("a", room("b", "A")),
            from("one", inside("two", "b")),
            from("two", inside("one", "b")),
        ],
        becomes: vec![
            ("Room/a", "Room/b"),
            ("Service/one@a", "Service/two@b"),
            ("Service/two@a", "Service/one@b"),
        ],
    }
    .tell()
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_step_of_a_ring_is_taken_up_by_the_next_run() {
    let story = Story {
        before: vec![secret("a", "A"), secret("b", "B"), room("a", "A"), room("b", "B")],
        after: vec![
            from("a", secret("b", "A")),
            from("b", secret("a", "B")),
            from("a", room("b", "A")),
            from("b", room("a", "B")),
        ],
        becomes: vec![("Secret/a", "Secret/b"), ("Room/a", "Room/b"), ("Room/b", "Room/a")],
    };
    let faults: [fn() -> Mischief; 3] = [
        || Fault::Status(400).on("PUT").times(1),
        || Fault::Status(400).on("PUT").share(0.5),
        || Fault::DropAfter.on("PUT").share(0.4),
    ];
    for (seed, fault) in (0..9).zip(faults.iter().cycle()) {
        let (mut world, before) = story.begin().await;
        let proxy = Hostile::in_front_of(&world.server).with(fault()).seed(seed).start().await;
        let decided = world.plan(&story.after, &policy("s")).await;
        world.through(&proxy);
        let _ = world.perform(&decided, 2).await.unwrap();
        proxy.settled().await;
        world.client = World::on(&world.server);
        world.run(&story.after, &policy("s")).await;
        story.check(&world, &before, &format!("seed {seed}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_are_taken_back_after_a_cut_take_the_names_back() {
    let rooms = || vec![room("a", "A"), room("b", "B"), room("c", "C")];
    let secrets = || vec![secret("a", "A"), secret("b", "B"), secret("c", "C")];
    let hooks = || vec![webhook("a"), webhook("b"), webhook("c")];
    let chain = |make: fn(&str) -> Value| {
        vec![from("a", make("b")), from("b", make("c")), from("c", make("d"))]
    };
    let ring = |make: fn(&str) -> Value| {
        vec![from("a", make("b")), from("b", make("c")), from("c", make("a"))]
    };
    let swap =
        |make: fn(&str) -> Value| vec![from("a", make("b")), from("b", make("a")), make("c")];
    let cases: [(Vec<Value>, Vec<Value>); 7] = [
        (rooms(), chain(|name| room(name, "x"))),
        (rooms(), ring(|name| room(name, "x"))),
        (rooms(), swap(|name| room(name, "x"))),
        (secrets(), ring(|name| secret(name, "x"))),
        (secrets(), swap(|name| secret(name, "x"))),
        (hooks(), ring(webhook)),
        (hooks(), chain(webhook)),
    ];
    for (documents, after) in cases {
        let story = Story { before: documents.clone(), after, becomes: Vec::new() };
        let back = Story { before: Vec::new(), after: documents, becomes: Vec::new() };
        let mut cuts = 0;
        for number in 1.. {
            let (mut world, before) = story.begin().await;
            let end = End::Killed(number, Moment::After);
            if !story.interrupt(&mut world, end).await {
                break;
            }
            let end = format!("{end:?}: {:?}", story.after);
            // All was done and written down: who takes that back renames once more.
            if world.plan(&story.after, &policy("s")).await.plan.is_empty() {
                break;
            }
            world.run(&back.after, &policy("s")).await;
            back.check(&world, &before, &end).await;
            let after = ids(&world).await;
            assert_eq!(after, before, "{end}");
            cuts += 1;
        }
        assert!(cuts > 2, "it was cut off just {cuts} times");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_object_of_a_former_name_is_not_taken_for_the_former_one_after_a_cut() {
    Story {
        before: vec![room("b", "B"), secret("b", "B")],
        after: vec![
            room("a", "A"),
            from("a", room("b", "2")),
            secret("a", "A"),
            from("a", secret("b", "2")),
        ],
        becomes: vec![("Room/b", "Room/b"), ("Secret/b", "Secret/b")],
    }
    .tell()
    .await;
}

/// A run was cut when the name of an object that goes had been given to another one, which the next
/// list of rooms does not show.
#[tokio::test(flavor = "multi_thread")]
async fn what_gave_up_its_name_does_not_take_it_back_from_what_was_not_read() {
    let story = Story {
        before: vec![room("a", "A"), room("b", "B")],
        after: vec![from("a", room("b", "A"))],
        becomes: vec![("Room/a", "Room/b")],
    };
    let renamed = Key::of(KindName::Room, "default", "b");
    for number in 1.. {
        let (mut world, before) = story.begin().await;
        let is_cut = story.interrupt(&mut world, End::Killed(number, Moment::After)).await;
        assert!(is_cut, "no run was cut between the two");
        let wanted = || world.set_of(&story.after).unwrap();
        let mut state = world.decide(wanted(), &policy("s")).await.unwrap().state;
        let is_between = state.objects.keys().any(|key| is_stand_in(&key.name));
        if !is_between || !state.objects.contains_key(&renamed) {
            continue;
        }
        state.objects.remove(&renamed);
        state.incomplete.push(Incomplete {
            kind: KindName::Room,
            project: "default".to_owned(),
            room: None,
            reason: "the list does not show all rooms".to_owned(),
            hint: Incomplete::AGAIN.to_owned(),
        });
        let problems = decide(&wanted(), &state, &policy("s")).unwrap_err().problems;
        assert_eq!(problems.len(), 1, "{}", lines(&problems));
        let told = "it is not known whether Room/b exists: the list does not show all rooms";
        assert!(problems[0].message.contains(told), "{}", lines(&problems));
        world.run(&story.after, &policy("s")).await;
        story.check(&world, &before, "after a whole list").await;
        break;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_renamed_by_hand_gets_its_name_back() {
    let documents = [room("a", "A"), webhook("hook")];
    let world = World::start().await;
    world.run(&documents, &policy("s")).await;
    let before = ids(&world).await;
    let by_hand = [from("a", room("z", "A")), from("hook", webhook("hand"))];
    let decided = world.plan(&by_hand, &policy("s")).await;
    for operation in &decided.plan.operations {
        let target = meshagent::dialect::Target {
            project: &world.server.project,
            room: None,
            name: &operation.key.name,
            id: Some(&before[&operation.former().unwrap().to_string()]),
            fields: operation.fields().unwrap(),
            owner: Some("s"),
            answered: None,
            place_id: None,
            named_id: None,
            changed: &[],
            removed: &[],
            asked: &meshagent::kinds::Asked::NOTHING,
        };
        let update = spelling(operation.key.kind).update(&target).unwrap();
        world.client.send(&update).await.unwrap();
    }
    assert!(ids(&world).await.contains_key("Room/z"));
    world.run(&documents, &policy("s")).await;
    assert_eq!(ids(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_from_stays_in_documents_without_effect() {
    let after = [
        from("a", room("b", "A")),
        from("b", room("a", "B")),
        from("green", secret("blue", "x")),
        from("old@mail.localhost", mailbox("new", "a")),
    ];
    let world = World::start().await;
    // Nothing of it is there: created, and told.
    let decided = world.plan(&after, &policy("s")).await;
    let text = describe(&decided.plan);
    assert!(text.contains("4 to create"), "{text}");
    assert_eq!(decided.plan.notes.len(), 4, "{:?}", decided.plan.notes);
    assert!(
        decided.plan.notes[0]
            .contains("Room/a does not exist, under this name or its former name Room/b"),
        "{:?}",
        decided.plan.notes
    );
    world.apply(&decided).await;
    let before = ids(&world).await;
    for _ in 0..2 {
        let again = world.run(&after, &policy("s")).await;
        assert!(again.plan.is_empty() && again.plan.notes.is_empty(), "{}", describe(&again.plan));
    }
    // A new object of the former name is another one.
    let more: Vec<Value> = after.iter().cloned().chain([secret("green", "y")]).collect();
    let decided = world.run(&more, &policy("s")).await;
    assert!(describe(&decided.plan).contains("1 to create"), "{}", describe(&decided.plan));
    assert_eq!(ids(&world).await["Secret/blue"], before["Secret/blue"]);
    assert!(world.plan(&more, &policy("s")).await.plan.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_without_renames_is_created_anew_before_its_room_goes() {
    let task = |name: &str, room: &str| {
        let fields = json!({"room": room, "queue": "q", "schedule": "0 7 * * *"});
        document("ScheduledTask", name, fields)
    };
    let before = [room("r", ""), mailbox("a", "r"), mailbox("b", "r"), task("t", "r")];
    let after = [
        from("r", room("s", "")),
        from("b@mail.localhost", mailbox("c", "s")),
        from("a@mail.localhost", mailbox("b", "s")),
        from("t", task("u", "s")),
    ];
    let world = World::start().await;
    world.run(&before, &policy("s")).await;
    let decided = world.run(&after, &policy("s")).await;
    let text = describe(&decided.plan);
    assert!(text.contains("2 to create, 1 to rename, 2 to delete"), "{text}");
    assert!(world.plan(&after, &policy("s")).await.plan.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_to_another_set_while_objects_are_between_two_names() {
    let story = Story {
        before: vec![room("a", "A"), room("b", "B"), room("c", "C")],
        after: vec![from("a", room("b", "A")), from("b", room("a", "B")), room("c", "C")],
        becomes: Vec::new(),
    };
    let (mut world, _) = story.begin().await;
    assert!(story.interrupt(&mut world, End::Killed(3, Moment::After)).await);
    let sandbox = crate::cli::Sandbox::new();
    let proxy = Hostile::in_front_of(&world.server).start().await;
    for words in [
        &["set", "move", "Room/c", "--set", "s", "--to", "t", "--yes"][..],
        &["set", "rename", "s", "t", "--yes"],
    ] {
        let run = crate::hostile::plans::run(&sandbox, &world.server, &proxy, words).await;
        assert_eq!(run.code, 6, "{}", run.stderr);
        let told = |text: &str| assert!(run.stderr.contains(text), "{}", run.stderr);
        told(" was not finished, and the object is now called Room/");
        told(", because a run of the set `s` was interrupted");
    }
    world.run(&story.after, &policy("s")).await;
    let words = ["set", "move", "Room/c", "--set", "s", "--to", "t", "--yes"];
    let run = crate::hostile::plans::run(&sandbox, &world.server, &proxy, &words).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
}
