//! Replacements: nothing is deleted whose successor cannot be created. What the creating half of a
//! replacement waits for, the deleting half waits for as well; and what another object takes the place
//! of goes once that one is there.

use std::collections::BTreeSet;

use super::Planner;
use crate::plan::Action;
use crate::plan::order::Edge;

impl Planner<'_> {
    /// The edges by which deletions wait, besides these. What comes only after the deletion, such as
    /// the new object of a place that is replaced as well, or of a name that must become free, cannot
    /// be waited for.
    pub(super) fn half_edges(&self, edges: &[Edge]) -> Vec<Edge> {
        let (pairs, successions) = (self.halves(), self.successions());
        if pairs.is_empty() && successions.is_empty() {
            return Vec::new();
        }
        let mut graph = Graph::new(self.operations.len(), edges);
        let mut added = Vec::new();
        for (create, delete) in successions {
            if !all_from(&graph.after, delete).contains(&create) {
                graph.add((create, delete));
                added.push((create, delete));
            }
        }
        for (delete, create) in pairs {
            for edge in graph.needed(delete, create) {
                graph.add(edge);
                added.push(edge);
            }
        }
        added
    }

    /// Which creates put an object in the place of one that is deleted.
    fn successions(&self) -> Vec<Edge> {
        let mut found = Vec::new();
        for (delete, operation) in self.operations.iter().enumerate() {
            let goes = operation.action() == Action::Delete && !operation.replaces();
            let Some(heir) = self.replacement(&operation.key).filter(|_| goes) else { continue };
            let indices = self.by_key.get(&heir.key).into_iter().flatten();
            let creates = indices.filter(|index| {
                let operation = &self.operations[**index];
                operation.action() == Action::Create && !operation.replaces()
            });
            found.extend(creates.map(|create| (*create, delete)));
        }
        found
    }

    /// The halves of each replacement.
    fn halves(&self) -> Vec<Edge> {
        let half = |indices: &[usize], action: Action| {
            let mut halves = indices.iter().copied();
            halves.find(|index| {
                let operation = &self.operations[*index];
                operation.replaces() && operation.action() == action
            })
        };
        let pairs = self.by_key.values();
        pairs
            .filter_map(|both| Some((half(both, Action::Delete)?, half(both, Action::Create)?)))
            .collect()
    }
}

/// Which operation comes before which.
struct Graph {
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
}

impl Graph {
    fn new(count: usize, edges: &[Edge]) -> Self {
        let mut graph = Self { before: vec![Vec::new(); count], after: vec![Vec::new(); count] };
        edges.iter().for_each(|edge| graph.add(*edge));
        graph
    }

    fn add(&mut self, (first, second): Edge) {
        self.before[second].push(first);
        self.after[first].push(second);
    }

    /// The edges by which a deleting half waits for what its creating half waits for.
    fn needed(&self, delete: usize, create: usize) -> Vec<Edge> {
        let follows = all_from(&self.after, delete);
        let (mut open, mut seen) = (vec![create], BTreeSet::new());
        let mut needed = Vec::new();
        while let Some(index) = open.pop() {
            for before in self.before[index].iter().copied().filter(|it| seen.insert(*it)) {
                match follows.contains(&before) {
                    _ if before == delete => {}
                    true => open.push(before),
                    false => needed.push((before, delete)),
                }
            }
        }
        needed
    }
}

/// All that can be reached.
fn all_from(next: &[Vec<usize>], from: usize) -> BTreeSet<usize> {
    let (mut open, mut found) = (vec![from], BTreeSet::new());
    while let Some(index) = open.pop() {
        open.extend(next[index].iter().copied().filter(|it| found.insert(*it)));
    }
    found
}
