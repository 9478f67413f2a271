//! Random ways of a set through several projects, and the way back from each of them. Nobody else
//! is there, so nothing may be refused.
//!
//! Which ways are gone, and how to go one again, is in `seeds.rs`.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

use super::{Past, room, service, told, with};
use crate::seeds::seeds;

/// How many ways are gone.
const WAYS: u64 = 8;

/// The projects of the set. In the first one everything is looked for.
const PROJECTS: [&str; 3] = ["default", "second", "third"];

/// Documents of some of the projects, in which rooms change their names, too.
fn documents(random: &mut Rng) -> Vec<Value> {
    let mut documents = Vec::new();
    for project in PROJECTS {
        let mut add = |mut document: Value| {
            document["project"] = project.into();
            documents.push(document);
        };
        // A set that leaves all of its projects is not known in the next ones, and its runs are
        // numbered anew there; going back to such a number is refused.
        match project == PROJECTS[0] {
            true => add(room("anchor")),
            false if random.u8(0..3) == 0 => continue,
            false => {}
        }
        for number in 0..3 {
            if random.bool() {
                continue;
            }
            let names = [format!("room-{number}"), format!("hall-{number}")];
            let [name, former] = match random.u8(0..3) {
                0 => [&names[1], &names[0]],
                _ => [&names[0], &names[1]],
            };
            let mut of_number = with(room(name), json!({"moved_from": former}));
            of_number["room_metadata"] = json!({"note": random.u8(0..3)});
            add(of_number);
            if random.bool() {
                add(service("bot", name, &format!("a/b:{}", random.u8(1..3))));
            }
        }
        if random.bool() {
            let data = json!({"A": "always the same", "B": format!("one of {}", random.u8(0..2))});
            add(json!({
                "version": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "type": "keys",
                "data": data,
            }));
        }
    }
    documents
}

/// One way, and how often it went back.
async fn go(seed: u64) -> usize {
    let mut random = Rng::with_seed(seed);
    let past = Past::start().await;
    for project in &PROJECTS[1..] {
        past.world.server.other_project(project).await;
    }
    let mut states: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    let mut back = 0;
    for step in 0..random.usize(6..12) {
        let is_back = !states.is_empty() && random.u8(0..3) == 0;
        let reached = match is_back {
            true => {
                let to = *states.keys().nth(random.usize(0..states.len())).unwrap();
                let wanted = states[&to].clone();
                past.roll_back(to, &wanted).await;
                back += 1;
                wanted
            }
            false => {
                let wanted = documents(&mut random);
                past.apply(&wanted).await;
                wanted
            }
        };
        // What was reached is what these documents say, whichever way it was reached.
        let left = told(&past.decided(&reached).await);
        assert_eq!(left, Vec::<String>::new(), "MESHAGENT_TEST_SEED={seed}, step {step}");
        let numbers = past.numbers("s").await;
        assert!(numbers.windows(2).all(|two| two[0] < two[1]), "{seed}: {numbers:?}");
        assert!(states.keys().all(|number| numbers.contains(number)), "{seed}: {numbers:?}");
        if let Some(newest) = numbers.last() {
            states.entry(*newest).or_insert(reached);
        }
    }
    // From where it ended, each state can be reached.
    for (to, wanted) in &states {
        past.roll_back(*to, wanted).await;
        let left = told(&past.decided(wanted).await);
        assert_eq!(left, Vec::<String>::new(), "MESHAGENT_TEST_SEED={seed}, back to {to}");
    }
    back + states.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_way_through_several_projects_each_state_is_reached_again() {
    for seed in seeds(WAYS) {
        println!("MESHAGENT_TEST_SEED={seed}");
        let back = go(seed).await;
        println!("{back} times back");
    }
}
