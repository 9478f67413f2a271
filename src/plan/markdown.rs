//! The plan as Markdown, for a comment on a pull request: deletes and replacements first,
//! and never longer than what a comment may hold. What comes from manifests or from the
//! platform stands in code spans only, so that it is neither markup nor a mention.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::changed::{self, Said, Sort};
use super::shown::Whole;
use super::summed::{self, Row};
use super::{Counts, FieldChange, Operation, Plan, text};
use crate::conceal;
use crate::listed::{at_most, counted};
use crate::visible;

/// What a comment may hold. GitHub counts 65,536 characters; bytes are never fewer.
const LIMIT: usize = 65_535;

/// The bytes that are kept free for the lines at the end of the comment.
const RESERVE: usize = 600;

/// The bytes that are kept free to say that there is more.
const MORE: usize = 30;

/// What does not stand for itself in the marker.
const MARKER: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'+').remove(b':');

/// The longest name or reason that is shown, in characters.
const WIDTH: usize = 400;

/// A section of a comment about several environments.
pub struct Section<'a> {
    /// The environment.
    pub environment: &'a str,
    /// The name of its set.
    pub set: &'a str,
    /// The plan, or why there is none: the reason, and then what is wrong in detail.
    pub plan: Result<&'a Plan, Vec<String>>,
}

impl Section<'_> {
    /// The section in so many bytes, as far as that is possible.
    fn render(&self, is_whole: bool, limit: usize) -> String {
        match &self.plan {
            Ok(plan) => {
                let whole = render_within(plan, is_whole, limit);
                whole.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_owned())
            }
            Err(why) => {
                let name = code(self.environment);
                let mut out = format!("### No plan in environment {name}\n\n");
                for (index, line) in why.iter().enumerate() {
                    let line = match index {
                        0 => format!("{}\n", words(line)),
                        1 => format!("\n- {}\n", words(line)),
                        _ => format!("- {}\n", words(line)),
                    };
                    if out.len() + line.len() + MORE > limit && index > 0 {
                        out += &format!("- and {} more\n", why.len() - index);
                        break;
                    }
                    out += &line;
                }
                out
            }
        }
    }
}

/// The plans of several environments in one comment, with a section for each of them. The first
/// line is a marker that stays the same for the sets and the environments.
#[must_use]
pub fn render_all(sections: &[Section<'_>], is_whole: bool) -> String {
    let names: Vec<&str> = sections.iter().map(|section| section.environment).collect();
    let sets: BTreeSet<&str> = sections.iter().map(|section| section.set).collect();
    let sets: Vec<&str> = sets.into_iter().collect();
    let mut out = format!(
        "<!-- meshagent-plan set={} environments={} -->\n",
        safe(&sets.join("+")),
        safe(&names.join("+"))
    );
    let mut texts: Vec<String> =
        sections.iter().map(|section| section.render(is_whole, LIMIT)).collect();
    let room = LIMIT.saturating_sub(out.len() + RESERVE);
    if texts.iter().map(|text| text.len() + 1).sum::<usize>() > room {
        // What a short section leaves is for the long ones.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|index| texts[*index].len());
        let mut free = room;
        for (done, index) in order.into_iter().enumerate() {
            let share = (free / (sections.len() - done)).saturating_sub(1);
            if texts[index].len() > share {
                texts[index] = sections[index].render(is_whole, share);
            }
            free = free.saturating_sub(texts[index].len() + 1);
        }
    }
    let mut left_out = Vec::new();
    for (section, text) in sections.iter().zip(texts) {
        match out.len() + text.len() + RESERVE <= LIMIT {
            true => out += &(text + "\n"),
            false => left_out.push(section.environment),
        }
    }
    if !left_out.is_empty() {
        let names = at_most(LISTED, left_out.into_iter().map(cut));
        out += &format!("… and what does not fit here: {}\n", words(&names));
    }
    out
}

/// The plan as Markdown. Its first line is a marker that stays the same for a set in its
/// projects, so that a script can find the comment again and update it. If it is whole, many
/// operations that say the same are shown one by one, as far as there is room.
#[must_use]
pub fn render(plan: &Plan, is_whole: bool) -> String {
    render_within(plan, is_whole, LIMIT)
}

/// The same in so many bytes, as far as that is possible.
#[must_use]
pub fn render_within(plan: &Plan, is_whole: bool, limit: usize) -> String {
    let mut out = format!("<!-- {} -->\n", marker(plan));
    if plan.is_empty() {
        out += &format!(
            "### Plan for set {}{}: {}\n\n{}{}{}{} unchanged{}.\n",
            code(&plan.set),
            in_environment(plan),
            if plan.is_drift { "nothing drifted" } else { "nothing to change" },
            refusals(plan) + &place(plan),
            unread(plan),
            notes(plan),
            plan.unchanged,
            plan.waits()
        );
        return out;
    }
    out += &format!(
        "### Plan for set {}{}: {}\n\n",
        code(&plan.set),
        in_environment(plan),
        plan.counts().sentence() + &plan.waits()
    );
    out += &refusals(plan);
    out += &place(plan);
    out += &unread(plan);
    out += &notes(plan);
    let mut operations: Vec<&Operation> =
        plan.operations.iter().filter(|operation| !operation.is_first_half()).collect();
    operations.sort_by_key(|operation| operation.rank_in_review());
    let rows = summed::rows(&operations, is_whole);
    let more = rows.iter().filter_map(|row| match row {
        Row::More(like, count) => Some(format!(
            "- **{}** … and {count} more {}: {}\n",
            text::verb(like),
            like.key.kind.kind().plural(),
            code(&like.reason.text.replace('`', "'"))
        )),
        Row::One(_) => None,
    });
    let more: String = more.collect();
    let operations = rows.into_iter().filter_map(|row| match row {
        Row::One(operation) => Some(operation),
        Row::More(..) => None,
    });
    let operations: Vec<&Operation> = operations.collect();
    let mut left_out = Vec::new();
    let shorts: Vec<String> = operations.iter().map(|operation| short(plan, operation)).collect();
    // What is kept for the operations that are still to come.
    let mut kept: usize = more.len() + shorts.iter().map(String::len).sum::<usize>();
    for (operation, short) in operations.into_iter().zip(shorts) {
        kept -= short.len();
        let free = limit.saturating_sub(RESERVE).saturating_sub(out.len());
        let whole = (kept + short.len() < free).then(|| whole(plan, operation));
        match whole.filter(|whole| kept + whole.len() <= free) {
            Some(whole) => out += &whole,
            // What matters less takes no place from what does not fit.
            None if left_out.is_empty() && short.len() <= free => out += &short,
            None => left_out.push(operation),
        }
    }
    out += &more;
    if !left_out.is_empty() {
        out += &format!(
            "\n… and more that does not fit here: {}. `meshagent plan` shows everything.\n",
            Counts::of(left_out).sentence()
        );
    }
    out
}

/// The most refusals and notes that are shown; the others are counted.
const LISTED: usize = 10;

/// Why the plan must not be performed; this comes before anything else.
fn refusals(plan: &Plan) -> String {
    let refused = plan.refused.iter().map(|problem| {
        let hint = problem.hint.as_ref().map(|hint| format!(" ({})", words(hint)));
        words(&problem.to_string()) + &hint.unwrap_or_default()
    });
    listed("**Refused**, so nothing will be written:", refused.collect())
}

/// What the plan's readers should know besides.
fn notes(plan: &Plan) -> String {
    listed("**Notes**:", plan.notes.iter().map(|note| words(note)).collect())
}

/// A list with a heading, of which no more than [`LISTED`] are shown.
fn listed(heading: &str, items: Vec<String>) -> String {
    if items.is_empty() {
        return String::new();
    }
    let mut out = format!("{heading}\n\n");
    for item in items.iter().take(LISTED) {
        out += &format!("- {item}\n");
    }
    if let Some(more) = items.len().checked_sub(LISTED).filter(|more| *more > 0) {
        out += &format!("- … and {more} more\n");
    }
    out + "\n"
}

/// A sentence in one code span.
fn words(text: &str) -> String {
    code(&text.replace('`', "'"))
}

/// The environment of a plan, if there are any.
fn in_environment(plan: &Plan) -> String {
    let named = plan.environment.as_ref().map(|it| format!(" in environment {}", code(&it.name)));
    named.unwrap_or_default()
}

/// Where the plan writes; more than one project must not be overlooked.
fn place(plan: &Plan) -> String {
    match plan.target() {
        Some(target) if plan.writes_to().len() > 1 => {
            format!("**This plan writes to** {}\n\n", code(&target))
        }
        Some(target) => format!("{}\n\n", code(&target)),
        None => String::new(),
    }
}

/// A line that says that values were not read, if any were not.
fn unread(plan: &Plan) -> String {
    plan.unread().map(|unread| format!("**{unread}**\n\n")).unwrap_or_default()
}

/// A name as it can appear in an HTML comment. Other letters are encoded, so that two names never
/// share a comment.
fn safe(text: &str) -> String {
    let text: String = text.chars().take(WIDTH).collect();
    utf8_percent_encode(&text, MARKER).to_string()
}

/// The set's name as it can appear in an HTML comment.
fn marker(plan: &Plan) -> String {
    let projects: Vec<&str> = plan.projects.keys().map(String::as_str).collect();
    let platform = plan.platform.rsplit("://").next().unwrap_or_default();
    format!(
        "meshagent-plan set={} project={} platform={}",
        safe(&plan.set),
        safe(&projects.join("+")),
        safe(platform)
    )
}

/// An operation without its changes.
fn title(plan: &Plan, operation: &Operation) -> String {
    let every_room = match operation.key.is_in_every_room() {
        true => format!(" {}", text::EVERY_ROOM),
        false => String::new(),
    };
    let address = code(&plan.address(&operation.key));
    let title = format!("- **{}** {address}{every_room}", text::verb(operation));
    // It is clear without words that a new object does not exist yet.
    match operation.is_new() && operation.reason.why.goes_without_saying() {
        true => title + "\n",
        false => format!("{title}: {}\n", code(&operation.reason.text.replace('`', "'"))),
    }
}

/// An operation with just the number of its changes.
fn short(plan: &Plan, operation: &Operation) -> String {
    let title = title(plan, operation);
    let restarts = match operation.restarts.len() {
        0 => String::new(),
        count => format!("  - restarts {}, where they run\n", counted(count, "object")),
    };
    match operation.changes.len() {
        0 => title + &restarts,
        changes if operation.is_new() => format!("{title}  - … {}\n", counted(changes, "field")),
        changes => format!("{title}  - … {}\n{restarts}", counted(changes, "changed field")),
    }
}

/// An operation with all its changes; the fields of what is new are folded.
fn whole(plan: &Plan, operation: &Operation) -> String {
    let mut out = title(plan, operation);
    let is_folded = operation.is_new() && !operation.changes.is_empty();
    if is_folded {
        let count = operation.changes.len();
        let fields = if count == 1 { "field" } else { "fields" };
        out += &format!("  <details><summary>{count} {fields}</summary>\n\n");
    }
    for change in &operation.changes {
        change_lines(change, &mut out);
    }
    text::restarts(plan, operation).for_each(|told| out += &format!("  - {}\n", words(&told)));
    if is_folded {
        out += "\n  </details>\n\n";
    }
    out
}

fn change_lines(change: &FieldChange, out: &mut String) {
    let path = code(&change.path.to_string());
    let Some((sort, said)) = changed::told(change) else { return };
    let line = match &said {
        Said::Words(words) => format!("{path}: {words}"),
        Said::Value(Whole { head, lines }) => {
            let word = if sort == Sort::Comes { "added" } else { "removed" };
            let head = if lines.is_empty() { code_of(head) } else { head.clone() };
            format!("{path}: {word} {head}")
        }
        Said::Pair(old, new) => format!("{path}: {} → {}", code_of(old), code_of(new)),
        Said::Parts(..) => format!("{path}:"),
    };
    let cause = changed::cause(change).map(|cause| format!(" ({cause})")).unwrap_or_default();
    let from = change.place.as_ref().and_then(|place| place.from.as_ref());
    let from = from.map(|from| format!(", from {}", code(from))).unwrap_or_default();
    *out += &format!("  - {line}{cause}{from}\n");
    match &said {
        Said::Value(whole) => {
            whole.lines.iter().for_each(|line| *out += &format!("    - {}\n", code_of(line)));
        }
        Said::Parts(parts, more) => {
            for part in parts {
                *out += &format!("    - {}\n", code_of(&format!("{} {}", part.sign(), part.text)));
            }
            if *more > 0 {
                *out += &format!(
                    "    - … and {more} more lines that differ; `--output json` shows them\n"
                );
            }
        }
        Said::Words(_) | Said::Pair(..) => {}
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text of several lines as it was printed, for a block of code.
#[must_use]
pub fn printed(text: &str) -> String {
    visible::lines(&conceal::within(text.into())).into_owned()
}

/// The beginning of a text as code on one line.
#[must_use]
pub fn code(text: &str) -> String {
    code_of(&cut(&visible::line(&cut(&conceal::within(text.into())))))
}

/// Text as code on one line, between more backquotes than it has in a row.
fn code_of(text: &str) -> String {
    let line = visible::line(text);
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
