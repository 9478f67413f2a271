//! The plan as Markdown, for a comment on a pull request: deletes and replacements first,
//! and never longer than what a comment may hold. What comes from manifests or from the
//! platform stands in code spans only, so that it is neither markup nor a mention.

use super::{Action, Cause, Counts, FieldChange, Operation, Plan, text};
use crate::kinds::tree::Tree;

/// What a comment may hold. GitHub counts 65,536 characters; bytes are never fewer.
const LIMIT: usize = 65_535;

/// What is kept free for the lines that end the comment, in bytes.
const RESERVE: usize = 600;

/// The longest text that is shown in one code span, in characters.
const WIDTH: usize = 300;

/// The plan as Markdown. Its first line is a marker that stays the same for a set, so that
/// a script can find the comment again and update it.
#[must_use]
pub fn render(plan: &Plan) -> String {
    let mut out = format!("<!-- meshagent-plan set={} -->\n", marker(&plan.set));
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
        (Action::Rename, _) => 3,
        (Action::Adopt, _) => 4,
        (Action::Update, _) => 5,
        (Action::Record, _) => 6,
        (Action::Create, _) => 7,
    });
    let mut left_out = Vec::new();
    for operation in operations {
        let whole = entry(plan, operation, operation.changes.len());
        let short = || entry(plan, operation, 0);
        let fits = |text: &String| out.len() + text.len() <= LIMIT - RESERVE;
        let shown = [whole].into_iter().chain(std::iter::once_with(short)).find(fits);
        match shown {
            // What matters less takes no place from what does not fit.
            Some(text) if left_out.is_empty() => out += &text,
            _ => left_out.push(operation),
        }
    }
    if !left_out.is_empty() {
        out += &format!(
            "\n… and what does not fit here: {}. `meshagent plan` shows it all.\n",
            Counts::of(left_out).sentence()
        );
    }
    out
}

/// The set's name as it can stand in a comment of HTML.
fn marker(set: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    set.chars().take(WIDTH).map(|c| if is_safe(c) { c } else { '_' }).collect()
}

/// An operation with its first changes, and how many more there are.
fn entry(plan: &Plan, operation: &Operation, changes: usize) -> String {
    let mut out =
        format!("- **{}** {}", text::verb(operation), code(&plan.address(&operation.key)));
    let is_new = operation.action == Action::Create && !operation.replaces;
    if !is_new {
        out += &format!(": {}", code(&operation.reason.replace('`', "'")));
    }
    out.push('\n');
    if !is_new {
        for change in operation.changes.iter().take(changes) {
            out += &format!("  - {}\n", change_line(change));
        }
        if operation.changes.len() > changes {
            out += &format!("  - … {} changed fields\n", operation.changes.len() - changes);
        }
    }
    out
}

fn change_line(change: &FieldChange) -> String {
    let path = code(&change.path.to_string());
    let line = match (&change.old, &change.new) {
        (Some(Tree::Secret(_)), Some(Tree::Secret(_))) => format!("{path}: (secret, changed)"),
        (None, Some(new)) => format!("{path}: added {}", code(&text::shown(new))),
        (Some(old), None) => format!("{path}: removed {}", code(&text::shown(old))),
        (Some(old), Some(new)) => {
            format!("{path}: {} → {}", code(&text::shown(old)), code(&text::shown(new)))
        }
        (None, None) => path,
    };
    match change.cause {
        Some(Cause::Drift) => line + " (drifted)",
        Some(Cause::Both) => line + " (drifted, and the manifest changed)",
        Some(Cause::Manifest) | None => line,
    }
}

/// Text as code on one line, between more back-quotes than stand in it side by side. What
/// cannot be seen, or turns the direction of writing, is spelled out.
fn code(text: &str) -> String {
    let mut line = String::new();
    for (index, c) in text.chars().enumerate() {
        match c {
            _ if index == WIDTH => {
                line.push('…');
                break;
            }
            '\n' | '\r' | '\t' => line.push(' '),
            c if is_hidden(c) => line += &format!("\\u{{{:x}}}", u32::from(c)),
            c => line.push(c),
        }
    }
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let touches = |c: char| c == '`' || c == ' ';
    let pad = if line.starts_with(touches) || line.ends_with(touches) || line.is_empty() {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{line}{pad}{fence}")
}

/// Whether a character has no shape of its own or changes how others are shown.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}
