//! Operations in an order in which they can be done: a graph of operations, not of kinds.

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::Operation;
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
/// A cycle, with the objects on it and their places.
pub fn sort(operations: Vec<Operation>, edges: &[Edge]) -> Result<Vec<Operation>, Vec<Problem>> {
    let mut graph = DiGraph::<usize, ()>::with_capacity(operations.len(), edges.len());
    let nodes: Vec<NodeIndex> = (0..operations.len()).map(|index| graph.add_node(index)).collect();
    for (before, after) in edges {
        if before != after {
            graph.update_edge(nodes[*before], nodes[*after], ());
        }
    }
    let mut waiting: Vec<usize> =
        nodes.iter().map(|node| graph.edges_directed(*node, petgraph::Incoming).count()).collect();
    let mut ready: std::collections::BTreeSet<usize> = waiting
        .iter()
        .enumerate()
        .filter(|(_, count)| **count == 0)
        .map(|(index, _)| index)
        .collect();
    let mut position = vec![usize::MAX; operations.len()];
    let mut order = Vec::with_capacity(operations.len());
    while let Some(next) = ready.pop_first() {
        position[next] = order.len();
        order.push(next);
        for edge in graph.edges(nodes[next]) {
            let after = edge.target().index();
            waiting[after] -= 1;
            if waiting[after] == 0 {
                ready.insert(after);
            }
        }
    }
    if order.len() < operations.len() {
        return Err(cycles(&graph, &operations));
    }
    let mut sorted: Vec<Option<Operation>> = operations.into_iter().map(Some).collect();
    Ok(order
        .into_iter()
        .filter_map(|index| {
            let mut operation = sorted[index].take()?;
            operation.waits_for = graph
                .edges_directed(nodes[index], petgraph::Incoming)
                .map(|edge| position[edge.source().index()])
                .collect();
            operation.waits_for.sort_unstable();
            Some(operation)
        })
        .collect())
}

fn cycles(graph: &DiGraph<usize, ()>, operations: &[Operation]) -> Vec<Problem> {
    petgraph::algo::tarjan_scc(graph)
        .into_iter()
        .filter(|component| component.len() > 1)
        .map(|mut component| {
            component.sort_unstable();
            let names: Vec<String> = component
                .iter()
                .map(|node| {
                    let operation = &operations[graph[*node]];
                    match &operation.place {
                        Some(place) => format!("{} ({place})", operation.key),
                        None => operation.key.to_string(),
                    }
                })
                .collect();
            Problem::new(format!("these wait for each other: {}", at_most(SOME, names)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Key, KindName};
    use crate::plan::{Effect, Why};

    fn operation(name: &str) -> Operation {
        let key = Key { kind: KindName::Room, project: "p".into(), room: None, name: name.into() };
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
    }
}
