//! Lists that are not what they seem, in both APIs: cut, filtered, in another order, repeated, and
//! in pages that do not fit together. Nothing is deleted, forgotten or made twice because it was
//! merely not seen.

use std::collections::BTreeSet;

use meshagent::api::spoken::Spoken;
use meshagent::apply::survey::survey;
use meshagent::dialect::{self, Lookup, Target};
use meshagent::kinds::{self, Key, KindName};
use meshagent::plan::Action;
use meshagent::plan::planner::Policy;
use serde_json::{Value, json};

use super::proxy::{Fault, Hostile, Mischief};
use super::writes::documents;
use crate::reconciler::{World, describe, destroying, policy};
use crate::spoken::{BOTH, has};

/// What another set has: a room, and a mailbox in a room of the first set.
fn of_others() -> Vec<Value> {
    let of = |kind: &str, name: &str, rest: Value| {
        let mut document = json!({"version": "v1", "kind": kind, "metadata": {"name": name}});
        document.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        document
    };
    vec![
        of("Room", "theirs", json!({})),
        of("Mailbox", "a@mail.localhost", json!({"room": "theirs"})),
        of("Mailbox", "in-ours@mail.localhost", json!({"room": "lobby"})),
    ]
}

/// What is there of each set, with its id and its owner; each object is there once.
async fn objects(world: &World) -> BTreeSet<(Key, Option<String>, Option<String>)> {
    let seen = survey(&world.client.reader(), "default", None).await.unwrap();
    assert_eq!(seen.shared, []);
    let is_of_set = |key: &Key| key.kind != KindName::Project;
    let objects = seen.objects.into_iter().filter(|(key, _)| is_of_set(key));
    objects.map(|(key, it)| (key, it.id, it.owner)).collect()
}

/// What must mean nothing.
fn harmless() -> Vec<Vec<Fault>> {
    vec![
        vec![Fault::Reordered],
        vec![Fault::SmallPages(1)],
        vec![Fault::SmallPages(2), Fault::Reordered, Fault::EmptyPages],
    ]
}

/// The lists of an API whose objects can be asked for by themselves as well. Nobody can tell
/// whether another one shows all that there is.
fn lists_with_another_way(spoken: Spoken) -> Vec<&'static str> {
    let nouns = kinds::ALL.into_iter().filter(|kind| has(spoken, kind.name())).filter_map(|kind| {
        let spelling = dialect::dialect(spoken).of(kind.name())?;
        let key = Key::of(kind.name(), "p", "name");
        let list = spelling.list("p", None)?;
        let is_other = match spelling.lookup(&Target::looked_for(&key, "p", Some("id")))? {
            Lookup::One(..) => true,
            Lookup::Among(listing) => listing.request != list.request,
        };
        is_other.then(|| spelling.collection().noun)
    });
    nouns.collect()
}

/// What hides something, or shows that a list is no list.
fn hiding() -> Vec<Vec<Fault>> {
    vec![
        vec![Fault::Cut(0)],
        vec![Fault::Cut(1)],
        vec![Fault::Cut(3), Fault::SmallPages(2)],
        vec![Fault::Filtered],
        vec![Fault::Filtered, Fault::Reordered, Fault::SmallPages(1)],
        vec![Fault::Doubled],
        vec![Fault::FirstRemoved, Fault::SmallPages(1)],
        vec![Fault::FirstInserted, Fault::SmallPages(2)],
        vec![Fault::TokenStays],
        vec![Fault::TokenComesBack, Fault::SmallPages(2)],
    ]
}

/// A platform with two sets, and what is there.
struct Day {
    world: World,
    wanted: Vec<Value>,
    all: BTreeSet<(Key, Option<String>, Option<String>)>,
}

impl Day {
    async fn of(spoken: Spoken) -> Self {
        let world = World::speaking(spoken).await;
        let wanted = documents(spoken, 1);
        world.run(&wanted, &policy("s")).await;
        world.run(&of_others(), &policy("other")).await;
        let all = objects(&world).await;
        Self { world, wanted, all }
    }

    /// Plans and performs while lists are so, as far as it is not refused. What the plan does.
    async fn on(
        &mut self,
        faults: &[Mischief],
        seed: u64,
        policy: &Policy,
        wanted: &[Value],
    ) -> Vec<(Action, Key)> {
        let proxy =
            faults.iter().cloned().fold(Hostile::in_front_of(&self.world.server), Hostile::with);
        let proxy = proxy.seed(seed).start().await;
        let calm = self.world.client.clone();
        self.world.through(&proxy);
        let set = self.world.set_of(wanted).unwrap();
        let mut done = Vec::new();
        if let Ok(decided) = self.world.decide(set, policy).await {
            let operations = decided.plan.operations.iter();
            done.extend(operations.map(|it| (it.action(), it.key.clone())));
            println!("{faults:?}: {}", describe(&decided.plan));
            // A run may find that the lists were wrong, and end.
            let _ = self.world.perform(&decided, 4).await;
        }
        self.world.client = calm;
        done
    }

    /// The documents of the set without those of every second object that stands alone.
    fn fewer(&self) -> Vec<Value> {
        let is_kept = |(index, document): &(usize, &Value)| {
            document["kind"] == "Room" || document["kind"] == "Project" || index % 2 == 0
        };
        self.wanted.iter().enumerate().filter(is_kept).map(|(_, it)| it.clone()).collect()
    }

    /// All is there that was there, as it was, when nothing hides it any more.
    async fn is_restored(&mut self, told: &str) {
        self.world.run(&self.wanted, &policy("s")).await;
        let again = self.world.plan(&self.wanted, &policy("s")).await;
        assert!(again.plan.is_empty(), "{told}: {}", describe(&again.plan));
        let now = objects(&self.world).await;
        let keys = |all: &BTreeSet<(Key, Option<String>, Option<String>)>| -> BTreeSet<Key> {
            all.iter().map(|(key, ..)| key.clone()).collect()
        };
        assert_eq!(keys(&now), keys(&self.all), "{told}");
        // What is of others is the same object, not another one of the same name.
        let of_others = self.all.iter().filter(|(_, _, owner)| owner.as_deref() == Some("other"));
        for other in of_others {
            assert!(now.contains(other), "{told}: {other:?} was touched");
        }
        self.all = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_merely_not_seen_is_neither_deleted_nor_forgotten_nor_made_again() {
    futures_util::future::join_all(BOTH.map(|spoken| async move {
        let mut day = Day::of(spoken).await;
        let wanted = day.wanted.clone();
        let lists = lists_with_another_way(spoken);
        assert!(lists.len() > 4, "{spoken}: {lists:?}");
        let everywhere = harmless().into_iter().map(|faults| (faults, vec![""]));
        let there = hiding().into_iter().map(|faults| (faults, lists.clone()));
        for (seed, (faults, lists)) in (0..).zip(everywhere.chain(there)) {
            let told = format!("{spoken} {faults:?}");
            let at =
                |fault: &Fault| lists.iter().map(|list| fault.clone().at(list)).collect::<Vec<_>>();
            let faults: Vec<Mischief> = faults.iter().flat_map(at).collect();
            // Nothing changes in what is declared, so nothing is to be done.
            let before = objects(&day.world).await;
            let done = day.on(&faults, seed, &policy("s"), &wanted).await;
            assert_eq!(done, [], "{told}");
            assert_eq!(objects(&day.world).await, before, "{told}");
            // What is not declared any more may go, and nothing else.
            let fewer = day.fewer();
            let declared = day.world.set_of(&fewer).unwrap().objects;
            for (action, key) in day.on(&faults, seed, &policy("s"), &fewer).await {
                let may_go = action == Action::Delete && !declared.contains_key(&key);
                assert!(may_go, "{told}: {action:?} {key}");
            }
            day.is_restored(&told).await;
            // What is in a room of the set is not of the set, and neither goes with it.
            for (action, key) in day.on(&faults, seed, &destroying("s"), &[]).await {
                let is_in_the_way =
                    key.is_room() && key.name == "lobby" && action == Action::Delete;
                let is_project = key.is_project();
                assert!(
                    action == Action::Delete && !is_in_the_way || is_project,
                    "{told}: {action:?} {key}"
                );
            }
            day.is_restored(&told).await;
        }
        // Nothing was forgotten: with what is not the set's out of the way, all of it goes.
        day.world.run(&of_others()[..2], &policy("other")).await;
        let gone = day.world.plan(&[], &destroying("s")).await;
        day.world.apply(&gone).await;
        let mut left = objects(&day.world).await;
        // Whoever owns the project may do what they may.
        left.retain(|(key, ..)| !key.kind.kind().is_access());
        assert!(left.iter().all(|(_, _, owner)| owner.as_deref() == Some("other")), "{left:?}");
    }))
    .await;
}
