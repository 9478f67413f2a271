//! The plan as a graph, in Mermaid or DOT: an arrow leads from what must be done first.

use super::{Operation, Plan, text};
use crate::visible;

/// The language of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Mermaid, which GitHub and GitLab draw.
    Mermaid,
    /// DOT, which Graphviz draws.
    Dot,
}

/// The plan's operations and what each waits for.
#[must_use]
pub fn render(plan: &Plan, language: Language) -> String {
    let mut out = match language {
        Language::Mermaid => "flowchart LR\n".to_owned(),
        Language::Dot => "digraph plan {\n  rankdir=LR;\n  node [shape=box];\n".to_owned(),
    };
    if let Some(unread) = plan.unread() {
        out += &match language {
            Language::Mermaid => format!("  %% {unread}\n"),
            Language::Dot => format!("  // {unread}\n"),
        };
    }
    for (index, operation) in plan.operations.iter().enumerate() {
        let label = label(plan, operation);
        out += &match language {
            Language::Mermaid => format!("  o{index}[\"{}\"]\n", mermaid(&label)),
            Language::Dot => format!("  o{index} [label=\"{}\"];\n", dot(&label)),
        };
    }
    for (index, operation) in plan.operations.iter().enumerate() {
        for before in &operation.waits_for {
            out += &match language {
                Language::Mermaid => format!("  o{before} --> o{index}\n"),
                Language::Dot => format!("  o{before} -> o{index};\n"),
            };
        }
    }
    if language == Language::Dot {
        out += "}\n";
    }
    out
}

fn label(plan: &Plan, operation: &Operation) -> String {
    let half = match (operation.replaces(), operation.action()) {
        (true, super::Action::Delete) => " (delete)",
        (true, _) => " (create)",
        _ => "",
    };
    format!("{}{half} {}", text::verb(operation), plan.address(&operation.key))
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
