//! A plan or a set as a graph, in Mermaid, DOT, SVG or HTML. An arrow points away from what must
//! exist first. Arrows that follow from other arrows are left out.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::references::{Known, Resolved};
use super::{Operation, Plan, State, html, text};
use crate::error::Result;
use crate::kinds::Key;
use crate::manifest::set::Desired;
use crate::visible;

mod svg;

/// The language of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Mermaid, which GitHub and GitLab draw.
    Mermaid,
    /// DOT, which Graphviz draws.
    Dot,
    /// A drawing, as SVG.
    Svg,
    /// A page with the drawing.
    Html,
}

/// What is drawn.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// The boxes.
    nodes: Vec<Node>,
    /// For each box, the positions of the boxes from which arrows lead to it.
    before: Vec<Vec<usize>>,
    /// What the graph shows.
    title: String,
    /// That values were not read, if some were not.
    unread: Option<String>,
}

/// A box.
#[derive(Debug, Clone)]
struct Node {
    label: String,
    /// The sign of its operation; `None` if nothing changes.
    sign: Option<&'static str>,
}

impl Graph {
    /// The plan's operations, and what each waits for.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let half = |operation: &Operation| match (operation.replaces(), operation.action()) {
            (true, super::Action::Delete) => " (delete)",
            (true, _) => " (create)",
            _ => "",
        };
        let node = |operation: &Operation| node(plan, operation, half(operation));
        let before: Vec<_> = plan.operations.iter().map(|it| it.waits_for.clone()).collect();
        Self {
            nodes: plan.operations.iter().map(node).collect(),
            before: reduced(&before),
            title: title("Plan for set", plan),
            unread: plan.unread(),
        }
    }

    /// The declared objects and those that leave the set, with what each refers to.
    #[must_use]
    pub fn of_all(plan: &Plan, desired: &BTreeMap<Key, Desired>, state: &State) -> Self {
        let known = Known::new(desired, state);
        // The second half of a replacement comes last, and stands for both.
        let operations: BTreeMap<&Key, &Operation> =
            plan.operations.iter().map(|operation| (&operation.key, operation)).collect();
        // What is declared, is not to be created and does not exist is out of scope; what the set
        // owns and keeps without a document is drawn, too.
        let is_there =
            |key: &&Key| operations.contains_key(*key) || state.objects.contains_key(*key);
        let kept = plan.kept.keys().filter(|_| !plan.partial);
        let kept = kept.filter(|key| state.objects.contains_key(*key));
        let keys: BTreeSet<&Key> =
            desired.keys().filter(is_there).chain(kept).chain(operations.keys().copied()).collect();
        let positions: BTreeMap<&Key, usize> =
            keys.iter().enumerate().map(|(position, key)| (*key, position)).collect();
        let fields = |key: &Key| {
            let declared = desired.get(key).map(|desired| &desired.fields);
            let observed = || Some(&operations.get(key)?.observed()?.fields);
            let kept = || Some(&state.objects.get(key)?.fields);
            declared.or_else(observed).or_else(kept)
        };
        let before = |key: &&Key| {
            let found = fields(key).map(|fields| known.references(key, fields));
            let keys = found.into_iter().flatten().flat_map(|(_, resolved)| match resolved {
                Resolved::Object(to) => vec![to],
                Resolved::Any(to) => to,
                Resolved::Missing(_) => Vec::new(),
            });
            let found: BTreeSet<usize> =
                keys.filter(|to| to != *key).filter_map(|to| positions.get(&to).copied()).collect();
            found.into_iter().collect()
        };
        let node = |key: &&Key| match operations.get(*key) {
            Some(operation) => node(plan, operation, ""),
            None => Node { label: plan.address(key), sign: None },
        };
        let before: Vec<Vec<usize>> = keys.iter().map(before).collect();
        Self {
            nodes: keys.iter().map(node).collect(),
            before: reduced(&before),
            title: title("Set", plan),
            unread: plan.unread(),
        }
    }

    /// The graph in a language.
    ///
    /// # Errors
    ///
    /// It is too large to be drawn here.
    pub fn render(&self, language: Language) -> Result<String> {
        match language {
            Language::Mermaid => Ok(self.mermaid()),
            Language::Dot => Ok(self.dot()),
            Language::Svg => self.svg(),
            Language::Html => html::drawing(self),
        }
    }

    /// What the graph shows, on one line.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// That values were not read, if some were not.
    #[must_use]
    pub fn unread(&self) -> Option<&str> {
        self.unread.as_deref()
    }

    fn mermaid(&self) -> String {
        let mut out = "flowchart LR\n".to_owned();
        out.extend(self.unread.iter().map(|unread| format!("  %% {unread}\n")));
        for (index, node) in self.nodes.iter().enumerate() {
            out += &format!("  o{index}[\"{}\"]\n", mermaid(&node.label));
        }
        out.extend(self.arrows().map(|(before, index)| format!("  o{before} --> o{index}\n")));
        out
    }

    fn dot(&self) -> String {
        let mut out = "digraph plan {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
        out.extend(self.unread.iter().map(|unread| format!("  // {unread}\n")));
        for (index, node) in self.nodes.iter().enumerate() {
            out += &format!("  o{index} [label=\"{}\"];\n", dot(&node.label));
        }
        out.extend(self.arrows().map(|(before, index)| format!("  o{before} -> o{index};\n")));
        out + "}\n"
    }

    /// The arrows, from what comes first.
    fn arrows(&self) -> impl Iterator<Item = (usize, usize)> {
        let arrows = self.before.iter().enumerate();
        arrows.flat_map(|(index, before)| before.iter().map(move |before| (*before, index)))
    }
}

fn title(what: &str, plan: &Plan) -> String {
    let of = plan.target().map(|target| format!(": {target}")).unwrap_or_default();
    format!("{what} {}{of}", visible::line(&plan.set))
}

fn node(plan: &Plan, operation: &Operation, half: &str) -> Node {
    let address = plan.address(&operation.key);
    Node {
        label: format!("{}{half} {address}", text::verb(operation)),
        sign: Some(text::sign(operation).0),
    }
}

/// What each waits for, without what it also waits for through something else (the transitive
/// reduction).
fn reduced(before: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let needed = |direct: &Vec<usize>| {
        let mut anyway: HashSet<usize> = HashSet::new();
        let mut open = direct.clone();
        while let Some(next) = open.pop() {
            let further = before[next].iter().copied().filter(|further| anyway.insert(*further));
            open.extend(further.collect::<Vec<_>>());
        }
        direct.iter().copied().filter(|one| !anyway.contains(one)).collect()
    };
    before.iter().map(needed).collect()
}

/// `#` and quotes have a meaning in Mermaid, so all unusual characters are written as numbers.
fn mermaid(text: &str) -> String {
    text.chars().fold(String::new(), |out, c| {
        if c.is_alphanumeric() || matches!(c, ' ' | '/' | '@' | '.' | '-' | '_' | '(' | ')') {
            out + &c.to_string()
        } else {
            out + &format!("#{};", c as u32)
        }
    })
}

/// Escapes are shown as they are, so a backslash is not an escape of DOT.
fn dot(text: &str) -> String {
    visible::line(text).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_that_follow_from_others_are_left_out() {
        let reduced = |before: &[&[usize]]| {
            let before: Vec<Vec<usize>> = before.iter().map(|it| it.to_vec()).collect();
            reduced(&before)
        };
        assert_eq!(reduced(&[&[], &[0], &[0, 1]]), [vec![], vec![0], vec![1]]);
        assert_eq!(
            reduced(&[&[], &[0], &[0], &[0, 1, 2], &[0, 3]]),
            [vec![], vec![0], vec![0], vec![1, 2], vec![3]]
        );
        // The numbers need not be in order.
        assert_eq!(reduced(&[&[1, 2], &[2], &[]]), [vec![1], vec![2], vec![]]);
    }

    /// On random graphs: nothing is lost that was reachable, and no arrow can be left out.
    #[test]
    fn what_comes_first_stays_the_same() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let size = random.usize(1..12);
            let before: Vec<Vec<usize>> = (0..size)
                .map(|index| (0..index).filter(|_| random.u8(..) < 90).collect())
                .collect();
            let all = |before: &[Vec<usize>]| -> Vec<BTreeSet<usize>> {
                let mut all: Vec<BTreeSet<usize>> = Vec::new();
                for direct in before {
                    let above = direct.iter().flat_map(|it| all[*it].clone()).collect::<Vec<_>>();
                    all.push(direct.iter().copied().chain(above).collect());
                }
                all
            };
            let reduced = reduced(&before);
            assert_eq!(all(&reduced), all(&before), "{before:?}");
            for (index, direct) in reduced.iter().enumerate() {
                for left_out in direct {
                    let mut fewer = reduced.clone();
                    fewer[index].retain(|it| it != left_out);
                    assert_ne!(all(&fewer), all(&before), "{before:?} {left_out} {index}");
                }
            }
        }
    }
}
