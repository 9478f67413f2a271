//! What a whole apply makes of writes whose answers are lost or come late: for each kind,
//! exactly one object is there in the end, and the ledger says what happened.

use std::collections::BTreeSet;
use std::time::Duration;

use meshagent::api::spoken::Spoken;
use meshagent::apply::execute::{Options, Outcome};
use meshagent::apply::survey::survey;
use meshagent::dialect::Target;
use meshagent::kinds::tree::Tree;
use meshagent::kinds::{self, Key, KindName};
use meshagent::plan::Action;
use meshagent::plan::planner::Policy;
use serde_json::{Value, json};

use super::proxy::{Fault, Hostile};
use crate::plain::{self, Form};
use crate::platform::opened;
use crate::reconciler::{World, describe, destroying, policy};
use crate::spoken::{BOTH, has, of_kinds_in, sayable};

/// How long is waited before an object is looked up whose write had no answer. A half of it is
/// enough for a write to be done, on a busy machine as well.
const WAIT: Duration = Duration::from_millis(20);

/// A set with every kind that an API has, in two rooms; its objects differ between versions.
pub fn documents(spoken: Spoken, version: u8) -> Vec<Value> {
    let of = |kind: &str, name: &str, rest: Value| {
        let mut document = json!({"version": "v1", "kind": kind, "metadata": {"name": name}});
        document.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        document
    };
    let mut container = json!({"image": format!("image:{version}")});
    if has(spoken, KindName::Secret) {
        container["secrets"] = json!(["keys"]);
    }
    let role = ["developer", "room_creator", "admin"][usize::from(version) - 1];
    let mut documents = vec![
        of("Project", "other", json!({"settings": {"version": version.to_string()}})),
        of("Room", "lobby", json!({"room_metadata": {"version": version}})),
        of("Secret", "keys", json!({"type": "keys", "data": {"TEXT": format!("text {version}")}})),
        of("Service", "everywhere", json!({"container": container})),
        of("SettingsDocument", "openai", json!({"settings": {"version": version.to_string()}})),
        of("RoomRoles", "room-roles", json!({"roles": {"viewer": {"site_user": version == 1}}})),
        of("RoleGrant", "user:ada@example.com", json!({ "roles": [role] })),
        of("Service", "inside", json!({"container": container, "room": "lobby"})),
        of(
            "ManagedAgent",
            "planner",
            json!({"allowed_models": [], "instructions": format!("text {version}")}),
        ),
    ];
    // Each kind with fields that become others, that come, and that go.
    let versions = [
        ("plain", Form::First, Form::Second),
        ("growing", Form::Least, Form::Grown),
        ("shrinking", Form::Grown, Form::Least),
    ];
    for (name, first, second) in versions {
        let form = if version == 1 { first } else { second };
        documents.extend(plain::all().map(|kind| plain::document(kind, name, "lobby", form)));
    }
    for document in &mut documents[1..] {
        document["project"] = "default".into();
    }
    let said = of_kinds_in(spoken, documents).into_iter();
    said.map(|document| sayable(spoken, document)).collect()
}

/// The roles of the owner.
const OWNER: &str = "user:owner@localhost";

/// The objects of the first project; each is there once.
pub async fn objects(world: &World) -> BTreeSet<Key> {
    let seen = survey(&world.client.reader(), "default", None).await.unwrap();
    assert_eq!(seen.shared, []);
    // Whoever owns the project has roles in it.
    let is_of_set = |key: &Key| key.kind != KindName::Project && key.name != OWNER;
    seen.objects.into_keys().filter(is_of_set).collect()
}

/// Whether all was done.
async fn apply(world: &World, documents: &[Value], policy: &Policy, fault: &Fault) -> bool {
    let decided = world.plan(documents, policy).await;
    let options = Options { first_wait: WAIT, ..Options::standard(4) };
    let report = world.perform_with(&decided, &options).await.unwrap();
    for (operation, outcome) in decided.plan.operations.iter().zip(&report.outcomes) {
        // Nobody can tell whether it was our own write that changed what is not shown.
        let is_told = match outcome {
            Outcome::Failed { message, refused: false, .. } if operation.is_new() => {
                world.spelling(operation.key.kind).makes_doubles()
                    && message.contains("so it was not sent again")
            }
            Outcome::Failed { message, refused: false, .. } => {
                operation.key.to_string() == "Secret/keys"
                    && operation.action() == Action::Update
                    && message.contains("does not show what Secret/keys contains now")
            }
            Outcome::Skipped { because } => because.starts_with("Secret/keys"),
            outcome => *outcome == Outcome::Done,
        };
        assert!(is_told, "{fault:?}: {:?} {}: {outcome:?}", operation.action(), operation.key);
    }
    assert!(report.inventory_error.is_none(), "{fault:?}: {report:?}");
    report.is_complete()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_leaves_exactly_one_object_of_each_kind() {
    let accounts = [KindName::ServiceAccount, KindName::AccountSecret];
    for spoken in BOTH {
        let covered: BTreeSet<String> = documents(spoken, 1)
            .iter()
            .map(|document| document["kind"].as_str().unwrap().to_owned())
            // What becomes a service is none of its own there. What belongs to accounts is written
            // by several requests, which `dialects::secrets` cuts off.
            .chain(["ServiceTemplate", "Agent"].map(str::to_owned))
            .chain(accounts.iter().filter(|kind| has(spoken, **kind)).map(ToString::to_string))
            .collect();
        // What is inside of rooms is not written over HTTP; `inside::walk` cuts runs off that do it.
        let all = kinds::ALL.iter().filter(|kind| has(spoken, kind.name()));
        let all = all.filter(|kind| !kind.is_inside_rooms());
        assert_eq!(covered, all.map(|kind| kind.name().to_string()).collect());
    }
    let faults = [
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::BadGatewayAfter,
        Fault::Status(503),
        Fault::CutBody,
        Fault::EarlyEnd,
        // Before it is looked up, and after it was sent once more.
        Fault::CommitsLate(WAIT / 2),
        Fault::CommitsLate(WAIT * 3),
    ];
    let tried = faults.into_iter().flat_map(|fault| BOTH.map(|spoken| (spoken, fault.clone())));
    let tried = tried.map(|(spoken, fault)| async move {
        let documents = |version| documents(spoken, version);
        let mut world = World::speaking(spoken).await;
        let mut proxy = Hostile::in_front_of(&world.server);
        for method in ["POST", "PUT", "DELETE"] {
            proxy = proxy.with(fault.clone().on(method).at_first());
        }
        let proxy = proxy.start().await;
        world.through(&proxy);
        let expected = world.set_of(&documents(1)).unwrap().objects.into_keys();
        let expected: BTreeSet<Key> =
            expected.filter(|key| key.kind != KindName::Project).collect();
        for version in [1, 2] {
            let is_done = apply(&world, &documents(version), &policy("s"), &fault).await;
            proxy.settled().await;
            let made = objects(&world).await;
            assert!(made.is_subset(&expected), "{spoken} {fault:?}: {made:?}");
            assert!(!is_done || made == expected, "{spoken} {fault:?}: {made:?}");
            // A secret whose write may have been another's is written once more, and what may have
            // been made is made if it was not.
            apply(&world, &documents(version), &policy("s"), &fault).await;
            assert_eq!(objects(&world).await, expected, "{spoken} {fault:?}");
            let again = world.plan(&documents(version), &policy("s")).await;
            assert!(again.plan.is_empty(), "{fault:?}: {}", describe(&again.plan));
            let (server, store) = (&world.server, world.server.store().await);
            let stored = format!("{:?}", opened::secrets(&server.folder(), &store).await);
            let is_stored = stored.contains(&format!("text {version}"));
            assert_eq!(is_stored, has(spoken, KindName::Secret), "{spoken} {fault:?}: {stored}");
        }
        apply(&world, &documents(2), &destroying("s"), &fault).await;
        proxy.settled().await;
        assert_eq!(objects(&world).await, BTreeSet::new(), "{fault:?}");
        // Each object was created, changed and deleted on the way.
        assert!(proxy.writes().len() > 3 * expected.len(), "{fault:?}");
    });
    futures_util::future::join_all(tried).await;
}

/// A platform may refuse a second create of what it does not show yet.
#[tokio::test(flavor = "multi_thread")]
async fn what_exists_and_is_not_shown_yet_is_waited_for() {
    for spoken in BOTH {
        is_waited_for(spoken).await;
    }
}

async fn is_waited_for(spoken: Spoken) {
    let mut world = World::speaking(spoken).await;
    let proxy = Hostile::in_front_of(&world.server)
        .with(Fault::DropAfter.on("POST").at("/rooms").times(1))
        .with(Fault::Status(404).on("GET").at("/rooms/lobby").times(2));
    let proxy = proxy.start().await;
    world.through(&proxy);
    let documents = &documents(spoken, 1)[1..2];
    apply(&world, documents, &policy("s"), &Fault::DropAfter).await;
    let creates = proxy.writes().iter().filter(|write| write.ends_with("/rooms")).count();
    assert_eq!((creates, proxy.answered(404)), (2, 2));
    assert_eq!(objects(&world).await.len(), 1);
}

/// What the first version of an object of a plain kind becomes by hand.
fn touched(spoken: Spoken, kind: KindName) -> Value {
    sayable(spoken, plain::document(kind, "plain", "lobby", Form::Touched))
}

/// Somebody changes all that the set owns.
async fn meddle(world: &World) {
    let seen = survey(&world.client.reader(), "default", None).await.unwrap().objects;
    let is_of_set = |key: &Key| key.kind != KindName::Project && key.name != OWNER;
    for (key, observed) in seen.iter().filter(|(key, _)| is_of_set(key)) {
        let mut fields = Tree::clone(&observed.fields);
        match key.kind {
            KindName::Room => {
                fields.set("room_metadata", Tree::map([("by", Tree::text("hand"))]));
            }
            KindName::Secret => fields.set("data", Tree::map([("TEXT", Tree::text("by hand"))])),
            KindName::Service => {
                fields.set("container", Tree::map([("image", Tree::text("by:hand"))]));
            }
            kind if plain::all().any(|it| it == kind) => {
                fields = plain::declared(kind, &touched(world.spoken(), kind)).fields;
            }
            kind => {
                let is_it = |it: &Value| it["kind"] == kind.to_string();
                let document = documents(world.spoken(), 3).into_iter().find(is_it).unwrap();
                fields = kind.kind().declare(&document).unwrap().remove(0).fields;
            }
        }
        let target = Target {
            fields: &fields,
            owner: Some("s"),
            answered: observed.sent_back(),
            ..Target::looked_for(key, &world.server.project, observed.id.as_deref())
        };
        let update = world.spelling(key.kind).update(&target).unwrap();
        world.client.send(&update).await.unwrap();
    }
}

/// A change after the plan was made stops the write, and what waits for it, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn what_changed_since_the_plan_is_not_overwritten() {
    for (spoken, bound) in BOTH.into_iter().flat_map(|it| [(it, true), (it, false)]) {
        let documents = |version| documents(spoken, version);
        let world = World::speaking(spoken).await;
        world.run(&documents(1), &policy("s")).await;
        let mut wanted = documents(2);
        wanted.push(json!({
            "version": "v1", "kind": "Room", "project": "default", "metadata": {"name": "new"},
        }));
        let decided = world.plan(&wanted, &policy("s")).await;
        meddle(&world).await;
        let options = Options { bound, ..Options::standard(4) };
        let report = world.perform_with(&decided, &options).await.unwrap();
        for (operation, outcome) in decided.plan.operations.iter().zip(&report.outcomes) {
            let key = &operation.key;
            let is_new = key.kind == KindName::Project || key.name == "new";
            // The platform tells no revision of a service in a list, so only a bound plan,
            // which reads each object again, notices what happened to it.
            let is_unseen = key.kind == KindName::Service && !bound;
            let is_right = match outcome {
                Outcome::Done => is_new || is_unseen,
                Outcome::Stale { message, .. } => message.contains(&key.to_string()),
                Outcome::Skipped { .. } => !is_new,
                _ => false,
            };
            assert!(is_right, "{spoken}, bound {bound}: {key}: {outcome:?}");
        }
        let stale = report.count(|outcome| matches!(outcome, Outcome::Stale { .. }));
        let least = 2 + usize::from(has(spoken, KindName::Secret));
        assert!(stale >= least, "{spoken}, bound {bound}: {report:?}");
        let store = world.server.store().await;
        let kept = format!("{:?}", opened::secrets(&world.server.folder(), &store).await);
        let is_kept = kept.contains("by hand");
        assert_eq!(is_kept, has(spoken, KindName::Secret), "{kept}");
    }
}
