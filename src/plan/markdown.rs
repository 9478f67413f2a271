//! The plan as Markdown, for a comment on a pull request: deletes and replacements first,
//! and never longer than what a comment may hold.

use super::{Action, FieldChange, Operation, Plan, text};
use crate::kinds::tree::Tree;

/// What a comment may hold, in characters.
const LIMIT: usize = 65_535;

/// What is kept free for the lines that end the comment.
const RESERVE: usize = 600;

/// The plan as Markdown. Its first line is a marker that stays the same for a set, so that
/// a script can find the comment again and update it.
#[must_use]
pub fn render(plan: &Plan) -> String {
    let mut out = format!("<!-- meshagent-plan set={} -->\n", plan.set);
    if plan.is_empty() {
        out += &format!(
            "### Plan for set {}: nothing to change\n\n{} unchanged.\n",
            code(&plan.set),
            plan.unchanged
        );
        return out;
    }
    out += &format!("### Plan for set {}: {}\n\n", code(&plan.set), plan.counts().sentence());
    let mut operations: Vec<&Operation> = plan
        .operations
        .iter()
        .filter(|operation| !(operation.replaces && operation.action == Action::Delete))
        .collect();
    operations.sort_by_key(|operation| match (operation.action, operation.replaces) {
        (Action::Delete, _) => 0,
        (_, true) => 1,
        (Action::Release, _) => 2,
        (Action::Adopt, _) => 3,
        (Action::Update | Action::Rename, _) => 4,
        (Action::Create, _) => 5,
    });
    let mut left_out = 0;
    let mut used = out.chars().count();
    for operation in operations {
        let entry = entry(plan, operation);
        let length = entry.chars().count();
        if left_out > 0 || used + length > LIMIT - RESERVE {
            left_out += 1;
            continue;
        }
        used += length;
        out += &entry;
    }
    if left_out > 0 {
        out += &format!(
            "\n… and {left_out} more operations that do not fit here; `meshagent plan` shows them all.\n"
        );
    }
    out
}

fn entry(plan: &Plan, operation: &Operation) -> String {
    let mut out =
        format!("- **{}** {}", text::verb(operation), code(&plan.address(&operation.key)));
    if operation.action != Action::Create || operation.replaces {
        out += &format!(": {}", escaped(&operation.reason));
    }
    out.push('\n');
    if operation.action != Action::Create || operation.replaces {
        for change in &operation.changes {
            out += &format!("  - {}\n", change_line(change));
        }
    }
    out
}

fn change_line(change: &FieldChange) -> String {
    let path = code(&change.path.to_string());
    match (&change.old, &change.new) {
        (Some(Tree::Secret(_)), Some(Tree::Secret(_))) => format!("{path}: (secret, changed)"),
        (None, Some(new)) => format!("{path}: added {}", code(&text::shown(new))),
        (Some(old), None) => format!("{path}: removed {}", code(&text::shown(old))),
        (Some(old), Some(new)) => {
            format!("{path}: {} → {}", code(&text::shown(old)), code(&text::shown(new)))
        }
        (None, None) => path,
    }
}

/// Text as code: fenced by one back-quote more than the longest run in it, on one line.
fn code(text: &str) -> String {
    let line = text.replace(['\n', '\r'], " ");
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let pad =
        if line.starts_with('`') || line.ends_with('`') || line.is_empty() { " " } else { "" };
    format!("{fence}{pad}{line}{pad}{fence}")
}

/// Text that Markdown leaves as it is.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |out, c| match c {
        '\\' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' => out + "\\" + &c.to_string(),
        '\n' | '\r' => out + " ",
        // Code spans in reasons are ours.
        c => out + &c.to_string(),
    })
}
