//! Operations in an order in which they can be done: a graph of operations, not of kinds.

use std::collections::BTreeSet;

use super::Operation;
use super::waits::Waits;
use crate::error::Problem;
use crate::listed::{SOME, at_most};

/// An edge: the second operation waits for the first.
pub type Edge = (usize, usize);

/// Sorts operations so that each waits only for earlier ones. Of operations that wait for
/// nothing, the one that comes first in `operations` goes first, so the order is the same
/// for the same input.
///
/// # Errors
///
/// Cycles, with their objects and places. Of cycles that share objects, one is reported.
pub fn sort(operations: Vec<Operation>, edges: &[Edge]) -> Result<Vec<Operation>, Vec<Problem>> {
    let mut before: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); operations.len()];
    for (first, second) in edges.iter().filter(|(first, second)| first != second) {
        before[*second].insert(*first);
    }
    let waits_for: Vec<Vec<usize>> =
        before.into_iter().map(|before| before.into_iter().collect()).collect();
    let mut waits = Waits::new(&waits_for);
    let mut ready: BTreeSet<usize> = waits.free().collect();
    let mut position = vec![None; operations.len()];
    let mut order = Vec::with_capacity(operations.len());
    let mut cycles = Vec::new();
    loop {
        while let Some(next) = ready.pop_first() {
            position[next] = Some(order.len());
            order.push(next);
            let free = waits.settle(next).into_iter();
            // The objects of a cycle that was reported have a position by then.
            ready.extend(free.filter(|index| position[*index].is_none()));
        }
        let Some(cycle) = cycle(&waits_for, &position) else { break };
        cycles.push(told(&cycle, &operations));
        // What waits for it may be on another cycle.
        for index in cycle {
            position[index] = Some(usize::MAX);
            ready.insert(index);
        }
    }
    if !cycles.is_empty() {
        return Err(cycles);
    }
    let mut sorted: Vec<Option<Operation>> = operations.into_iter().map(Some).collect();
    let in_order = order.into_iter().filter_map(|index| {
        let mut operation = sorted[index].take()?;
        operation.waits_for = waits_for[index].iter().filter_map(|it| position[*it]).collect();
        operation.waits_for.sort_unstable();
        Some(operation)
    });
    Ok(in_order.collect())
}

/// Operations that wait for each other in a circle, among those without a position; `None` where
/// each has one.
fn cycle(waits_for: &[Vec<usize>], position: &[Option<usize>]) -> Option<Vec<usize>> {
    // Everything that is left waits for something that is left, so going back ends in a cycle.
    let left = |index: &usize| position[*index].is_none();
    let mut way = vec![(0..position.len()).find(left)?];
    loop {
        let last = *way.last()?;
        let before = *waits_for[last].iter().find(|before| left(before))?;
        if let Some(start) = way.iter().position(|index| *index == before) {
            let mut cycle = way.split_off(start);
            cycle.sort_unstable();
            return Some(cycle);
        }
        way.push(before);
    }
}

fn told(cycle: &[usize], operations: &[Operation]) -> Problem {
    let names = cycle.iter().map(|index| {
        let operation = &operations[*index];
        match &operation.place {
            Some(place) => format!("{} ({place})", operation.key),
            None => operation.key.to_string(),
        }
    });
    let names: Vec<String> = names.collect();
    Problem::new(format!("these wait for each other: {}", at_most(SOME, names)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Key, KindName};
    use crate::plan::{Effect, Why};

    fn operation(name: &str) -> Operation {
        let key = Key::new(KindName::Room, "p", None, name);
        let effect = Effect::Release { of: None, by_id: Vec::new() };
        Operation::new(key, effect, Why::Gone)
    }

    #[test]
    fn what_is_waited_for_comes_first_and_ties_keep_their_order() {
        let sorted =
            sort(["a", "b", "c", "d"].map(operation).into(), &[(3, 0), (2, 0), (3, 0)]).unwrap();
        let names: Vec<_> = sorted.iter().map(|operation| operation.key.name.as_str()).collect();
        assert_eq!(names, ["b", "c", "d", "a"]);
        assert_eq!(sorted[3].waits_for, [1, 2]);
    }

    #[test]
    fn a_cycle_is_told_with_its_members() {
        let problems =
            sort(["a", "b", "c"].map(operation).into(), &[(0, 1), (1, 0), (1, 2)]).unwrap_err();
        assert_eq!(problems[0].message, "these wait for each other: Room/a, Room/b");
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn each_cycle_is_told_also_behind_another_one() {
        let edges = [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 3), (4, 5)];
        let operations = ["a", "b", "c", "d", "e", "f"].map(operation);
        let problems = sort(operations.into(), &edges).unwrap_err();
        let told: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        let expected = ["Room/a, Room/b, Room/c", "Room/d, Room/e"];
        assert_eq!(told, expected.map(|names| format!("these wait for each other: {names}")));
    }
}
