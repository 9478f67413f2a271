//! What holds for every set and every state of a platform, tried on random ones. The seed
//! of a case that fails is printed and kept in `tests/properties.proptest-regressions`.

mod files;
pub mod generate;
mod model;

use std::cell::Cell;
use std::collections::BTreeMap;

use meshagent::apply::execute::Outcome;
use meshagent::manifest::set::Set;
use meshagent::plan::document::PlanDocument;
use meshagent::plan::planner::{Adopt, Policy, Prune};
use meshagent::plan::renames::former_keys;
use meshagent::plan::{Action, Operation, Plan};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use serde_json::Value;

use crate::reconciler::{World, decide, describe, policy};
use crate::spoken;
use generate::{Wish, said_in, story, wishes};
use model::{Model, Object};

/// `MESHAGENT_TEST_CASES=N` tries so many times as many cases.
fn config(cases: u32) -> Config {
    let times = std::env::var("MESHAGENT_TEST_CASES").ok();
    let cases = cases * times.map_or(1, |times| times.parse::<u32>().unwrap());
    let persistence = FileFailurePersistence::WithSource("proptest-regressions");
    Config {
        cases,
        max_shrink_iters: 400,
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(persistence)),
        ..Config::default()
    }
}

fn pruning(prunes: bool) -> Prune {
    if prunes { Prune::All } else { Prune::None }
}

/// A set that can be read and planned, or nothing.
fn planned(model: &Model, set: &Set, policy: &Policy) -> Option<Plan> {
    decide(set, &model.state(&policy.set), policy).ok()
}

/// Performs a plan on the model and checks each step.
fn perform(model: &mut Model, set: &Set, plan: &Plan) -> Result<(), TestCaseError> {
    for (index, operation) in plan.operations.iter().enumerate() {
        for before in &operation.waits_for {
            prop_assert!(*before < index, "{index} waits for {before}: {}", describe(plan));
        }
    }
    model
        .perform(set, plan)
        .map_err(|why| TestCaseError::fail(format!("{why}\n{}", describe(plan))))
}

/// Tries so many cases, of which at least a share must have been of the kind that is meant: what
/// is given says whether one was.
fn tried<S: Strategy>(
    (cases, share): (u32, f64),
    strategy: S,
    test: impl Fn(S::Value) -> Result<bool, TestCaseError>,
) {
    let config = config(cases);
    let least = f64::from(config.cases) * share;
    let meant = Cell::new(0_u32);
    let outcome = TestRunner::new(config).run(&strategy, |input| {
        meant.set(meant.get() + u32::from(test(input)?));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(f64::from(meant.get()) >= least, "only {} of {cases} cases were meant", meant.get());
}

/// Plan, apply, plan again: nothing is left to do, nothing outruns what it needs, and
/// nothing is touched that the set does not own.
#[test]
fn what_is_planned_can_be_done_in_its_order_and_leaves_nothing_to_do() {
    let adopts = prop::sample::select(vec![false, false, true]);
    let done = Cell::new(0);
    // Renames; those through a name that nobody else has; names that are given on.
    let renames = [const { Cell::new(0) }; 3];
    let mut runner = TestRunner::new(config(700));
    let drawn = (spoken::any(), story(), wishes(), any::<bool>(), adopts);
    let outcome = runner.run(&drawn, |input| {
        let (spoken, story, wanted, prune, adopts) = input;
        let (mut model, wanted) = (story.told(spoken), said_in(spoken, &wanted));
        let adopt = if adopts { Adopt::All } else { Adopt::None };
        let policy = Policy { prune: pruning(prune), adopt: adopt.clone(), ..policy("s") };
        let set = generate::read(&wanted);
        let before = model.clone();
        let Some(plan) = planned(&model, &set, &policy) else { return Ok(()) };
        done.set(done.get() + usize::from(!plan.is_empty()));
        let has = |is_so: fn(&Operation) -> bool| plan.operations.iter().any(is_so);
        for (count, happens) in renames.iter().zip([
            has(|operation| operation.action() == Action::Rename),
            has(|operation| operation.sequel.is_second),
            has(|operation| operation.sequel.kept_as.is_some()),
        ]) {
            count.set(count.get() + usize::from(happens));
        }
        perform(&mut model, &set, &plan)?;
        for (key, object) in &before.objects {
            let is_ours = before.is_owned(key, "s");
            // A room that is renamed takes along what is in it, whoever owns that.
            let is_meant = set.objects.values().any(|it| {
                let named = [it.key.clone()].into_iter().chain(former_keys(it));
                named.into_iter().any(|it| (it.kind, &it.name) == (key.kind, &key.name))
            });
            // What somebody may do in a room goes with it, whoever owns that.
            let went_along = key.kind.kind().is_access()
                && key.room_key().is_some_and(|room| !model.objects.contains_key(&room));
            if !is_ours && !went_along && (adopt == Adopt::None || !is_meant) {
                let now = model.objects.values().find(|it| it.number == object.number);
                let now = now.map(Object::without_room);
                prop_assert_eq!(Some(object.without_room()), now, "{} was touched", key);
            }
            if !prune && !set.objects.contains_key(key) {
                let is_left = model.objects.values().any(|it| it.number == object.number);
                prop_assert!(is_left, "{} was pruned", key);
            }
        }
        let again = planned(&model, &set, &policy);
        let again = again.ok_or_else(|| TestCaseError::fail("no plan afterwards"))?;
        prop_assert!(again.is_empty(), "{}\nthen {}", describe(&plan), describe(&again));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(done.get() > 100, "only {} of the cases could be planned", done.get());
    let renames = renames.each_ref().map(Cell::get);
    println!("{} plans, of them with renames, rings, names given on: {renames:?}", done.get());
    assert!(renames[0] > 20, "{renames:?}");
}

/// The order of documents, and of lists that the platform answers with, is no input.
#[test]
fn the_same_documents_in_any_order_are_the_same_plan() {
    let drawn = (spoken::any(), story(), wishes(), any::<u64>());
    tried((150, 0.2), drawn, |(spoken, story, wanted, seed)| {
        let (model, wanted) = (story.told(spoken), said_in(spoken, &wanted));
        let one = planned(&model, &generate::read(&wanted), &policy("s"));
        let is_planned = one.as_ref().is_some_and(|plan| !plan.is_empty());
        let mut shuffled = wanted.clone();
        let length = shuffled.len().max(1);
        shuffled.rotate_left(usize::try_from(seed % length as u64).unwrap());
        shuffled.reverse();
        let other = planned(&model, &generate::read(&shuffled), &policy("s"));
        let json = |plan: Option<Plan>| {
            let mut value = serde_json::to_value(PlanDocument::of(&plan?)).unwrap();
            without_places(&mut value);
            // The files have other names each time, and places in them.
            for note in value["notes"].as_array_mut().into_iter().flatten() {
                let words = note.as_str().unwrap_or_default().split(' ');
                let told: Vec<_> = words.filter(|word| !word.contains(".yaml:")).collect();
                *note = told.join(" ").into();
            }
            Some(value.to_string())
        };
        prop_assert_eq!(json(one), json(other));
        Ok(is_planned)
    });
}

/// A set that is destroyed leaves only what was not its own.
#[test]
fn a_destroyed_set_leaves_what_is_not_its_own() {
    tried((150, 0.2), (spoken::any(), story()), |(spoken, story)| {
        let mut model = story.told(spoken);
        let before = model.clone();
        let destroy = Policy { destroy: true, ..policy("s") };
        let nothing = generate::read(&[]);
        let Some(plan) = planned(&model, &nothing, &destroy) else { return Ok(false) };
        perform(&mut model, &nothing, &plan)?;
        for key in before.objects.keys() {
            let is_left = model.objects.contains_key(key);
            // What somebody may do in a room goes with it, whoever owns that.
            let room = key.room_key().filter(|_| key.kind.kind().is_access());
            if room.is_some_and(|room| before.is_owned(&room, "s")) {
                continue;
            }
            prop_assert_eq!(is_left, !before.is_owned(key, "s"), "{}", key);
        }
        Ok(!plan.is_empty())
    });
}

/// Where a document stands, and the digest of all of them, do depend on their order.
fn without_places(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_places),
        Value::Object(fields) => {
            fields.shift_remove("place");
            fields.shift_remove("digest");
            fields.values_mut().for_each(without_places);
        }
        _ => {}
    }
}

/// The objects of a plan's end, to be compared between platforms.
fn documents(wishes: &[Wish]) -> Vec<Value> {
    wishes.iter().map(Wish::document).collect()
}

async fn go(world: &World, wishes: &[Wish], policy: &Policy) -> Result<bool, TestCaseError> {
    let set = world.set_of(&documents(wishes)).unwrap();
    let Ok(decided) = world.decide(set, policy).await else { return Ok(false) };
    let report = world
        .perform(&decided, 3)
        .await
        .map_err(|error| TestCaseError::fail(format!("{error}")))?;
    let outcomes: Vec<_> = report.outcomes.iter().filter(|it| **it != Outcome::Done).collect();
    prop_assert!(report.is_complete(), "{:?} of {}", outcomes, describe(&decided.plan));
    let set = world.set_of(&documents(wishes)).unwrap();
    let again = world
        .decide(set, policy)
        .await
        .map_err(|error| TestCaseError::fail(format!("{error}: {:?}", error.problems)))?;
    prop_assert!(
        again.plan.is_empty(),
        "{}\nthen {}",
        describe(&decided.plan),
        describe(&again.plan)
    );
    let pruned = decided
        .plan
        .operations
        .iter()
        .any(|operation| operation.action() == Action::Delete && !operation.replaces());
    prop_assert!(policy.prune != Prune::None || !pruned, "{}", describe(&decided.plan));
    Ok(true)
}

/// The same over HTTP: two sets take turns in one project, with and without pruning,
/// and neither disturbs the other. Pages are as short as a platform may make them.
#[test]
fn two_sets_take_turns_on_a_platform_and_neither_disturbs_the_other() {
    let turns = prop::collection::vec((any::<bool>(), wishes(), any::<bool>()), 2..5);
    let pages = prop::option::of(1..4_i64);
    tried((12, 0.3), (spoken::any(), pages, turns), |(spoken, pages, turns)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::capping(spoken, pages).await;
            let mut last: BTreeMap<&str, Vec<Wish>> = BTreeMap::new();
            for (is_other, wishes, prune) in &turns {
                let (set, by) = if *is_other { ("other", 2) } else { ("s", 0) };
                let all: Vec<Wish> = wishes.iter().map(|wish| wish.moved(by)).collect();
                let all = said_in(spoken, &all);
                let wishes: &Vec<Wish> =
                    &all.iter().filter(|wish| wish.needs_no_secret_of(&all)).cloned().collect();
                let policy = Policy { prune: pruning(*prune), ..policy(set) };
                if go(&world, wishes, &policy).await? {
                    last.insert(set, wishes.clone());
                }
                for (set, wishes) in &last {
                    let policy = Policy { prune: Prune::None, ..crate::reconciler::policy(set) };
                    let wanted = world.set_of(&documents(wishes)).unwrap();
                    let decided = world.decide(wanted, &policy).await.map_err(|error| {
                        TestCaseError::fail(format!("{set}: {error}: {:?}", error.problems))
                    })?;
                    prop_assert!(decided.plan.is_empty(), "{}: {}", set, describe(&decided.plan));
                }
            }
            Ok(!last.is_empty())
        })
    });
}
