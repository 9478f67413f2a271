//! The plan as people read it in a terminal.

use std::fmt::Write;

use super::changed::{self, Said, Sort};
use super::shown::Part;
use super::summed::{self, Row};
use super::{Action, DEFAULT_SET, FieldChange, Operation, Plan, suggestion};
use crate::error::Place;
use crate::visible;
use anstyle::{AnsiColor, Style};

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();
const DIM: Style = Style::new().dimmed();

/// What is said of an object that a room could have for itself, and that is of no room.
pub const EVERY_ROOM: &str = "in every room";

/// The sign and the colour of an operation.
#[must_use]
pub fn sign(operation: &Operation) -> (&'static str, Style) {
    match (operation.action(), operation.replaces()) {
        (_, true) => ("±", YELLOW),
        (Action::Update, _) if operation.is_uncertain() => ("?", YELLOW),
        (Action::Create, _) => ("+", GREEN),
        (Action::Update, _) => ("~", YELLOW),
        (Action::Record, _) => ("•", CYAN),
        (Action::Rename, _) => ("→", YELLOW),
        (Action::Adopt, _) => ("↓", CYAN),
        (Action::Delete, _) => ("-", RED),
        (Action::Release, _) => ("○", CYAN),
    }
}

/// What is done, as one word.
#[must_use]
pub fn verb(operation: &Operation) -> String {
    match (operation.action(), operation.replaces()) {
        (_, true) => "replace".to_owned(),
        (Action::Update, _) if operation.is_uncertain() => "may update".to_owned(),
        (action, _) => action.to_string(),
    }
}

/// What an operation has started again, a line each.
pub fn restarts(plan: &Plan, operation: &Operation) -> impl Iterator<Item = String> {
    let verb = if operation.is_uncertain() { "may restart" } else { "restarts" };
    operation.restarts.iter().map(move |key| format!("{verb} {}, where it runs", plan.address(key)))
}

/// How much a plan tells.
#[derive(Debug, Clone, Copy, Default)]
pub struct Detail {
    /// Whether to show, below each change, the rule of `lifecycle.ignore` that would ignore it.
    pub suggests: bool,
    /// Whether to show operations one by one that are summed up by default.
    pub is_whole: bool,
}

/// The plan as text with styles, which the printer takes off where they do not belong.
#[must_use]
pub fn render(plan: &Plan) -> String {
    render_in(plan, Detail::default())
}

/// The same in as much detail as is wanted.
#[must_use]
pub fn render_in(plan: &Plan, detail: Detail) -> String {
    // Writing to a text cannot fail, here and below.
    let mut out = heading(plan);
    // The half of a replacement that creates is shown for both.
    let is_told = |operation: &&Operation| !operation.is_first_half();
    let operations: Vec<&Operation> = plan.operations.iter().filter(is_told).collect();
    for row in summed::rows(&operations, detail.is_whole) {
        let operation = match row {
            Row::One(operation) => operation,
            Row::More(like, count) => {
                let (sign, style) = sign(like);
                let (kind, reason) =
                    (like.key.kind.kind().plural(), visible::line(&like.reason.text));
                let _ = writeln!(
                    out,
                    "{style}{sign} … and {count} more {kind}{style:#}  {DIM}{reason}; --verbose lists them{DIM:#}"
                );
                continue;
            }
        };
        let (sign, style) = sign(operation);
        let address = plan.address(&operation.key);
        let _ = write!(out, "{style}{sign} {} {address}{style:#}", verb(operation));
        if operation.key.is_in_every_room() {
            let _ = write!(out, " {EVERY_ROOM}");
        }
        let mut remarks = vec![operation.reason.text.clone()];
        remarks.extend(operation.derived_from.as_ref().map(|origin| format!("from {origin}")));
        // It is clear without words that a new object does not exist yet.
        if operation.is_new() && operation.reason.why.goes_without_saying() {
            remarks.remove(0);
        }
        remarks.extend(operation.place.as_ref().map(ToString::to_string));
        if !remarks.is_empty() {
            let _ = write!(out, "  {DIM}{}{DIM:#}", visible::line(&remarks.join("; ")));
        }
        out.push('\n');
        for change in &operation.changes {
            render_change(&mut out, operation, change);
            if detail.suggests
                && let Some(rule) = suggestion::rule(plan, operation, change)
            {
                out += &format!("      {DIM}{}{DIM:#}\n", suggestion::line(&rule));
            }
        }
        for restarted in restarts(plan, operation) {
            let _ = writeln!(out, "    {YELLOW}↻{YELLOW:#} {restarted}");
        }
    }
    if !plan.is_empty() {
        out.push('\n');
    }
    out += &match plan.is_empty() {
        true => {
            let place = plan.target().map(|target| format!(" in {target}")).unwrap_or_default();
            let unchanged = count(plan.unchanged, "object is", "objects are");
            let what = if plan.is_drift { "Nothing drifted" } else { "Nothing to change" };
            format!("{what}{place}: {unchanged}{}.\n", plan.waits())
        }
        false => format!("Plan: {}{}.\n", plan.counts().sentence(), plan.waits()),
    };
    if let Some(unread) = plan.unread() {
        let _ = writeln!(out, "{YELLOW}{unread}{YELLOW:#}");
    }
    out
}

/// Where the plan writes, before all that it writes.
fn heading(plan: &Plan) -> String {
    let unread = plan.unread().map(|unread| format!("{YELLOW}{unread}{YELLOW:#}\n\n"));
    let of = of_set(plan) + &in_environment(plan);
    let target = match plan.target() {
        Some(target) if plan.writes_to().len() > 1 => {
            format!("This plan{of} writes to {target}.\n\n")
        }
        Some(target) if !plan.is_empty() => format!("Plan{of} for {target}\n\n"),
        _ if plan.environment.is_some() => format!("Plan{of}\n\n"),
        _ => String::new(),
    };
    target + &unread.unwrap_or_default()
}

/// The set of a plan, where it is not the one of whoever names none.
fn of_set(plan: &Plan) -> String {
    match plan.owner() {
        Some(set) if set != DEFAULT_SET => format!(" of set `{}`", visible::line(set)),
        _ => String::new(),
    }
}

/// The environment of a plan, if there are any.
fn in_environment(plan: &Plan) -> String {
    plan.environment.as_ref().map(|it| format!(" in {}", it.told())).unwrap_or_default()
}

fn count(count: usize, one: &str, many: &str) -> String {
    format!("{count} {} as declared", if count == 1 { one } else { many })
}

fn render_change(out: &mut String, operation: &Operation, change: &FieldChange) {
    let Some((sort, said)) = changed::told(change) else { return };
    let (path, sign) = (&change.path, sort.sign());
    let style = match sort {
        Sort::Uncertain | Sort::Changes => YELLOW,
        Sort::Comes => GREEN,
        Sort::Goes => RED,
    };
    let _ = write!(out, "    {style}{sign}{style:#} {path}:");
    let _ = match &said {
        Said::Words(words) => write!(out, " {words}"),
        Said::Value(whole) => write!(out, " {}", whole.head),
        Said::Pair(old, new) => write!(out, " {old} → {new}"),
        Said::Parts(..) => Ok(()),
    };
    if let Some(cause) = changed::cause(change) {
        let _ = write!(out, "  {CYAN}{cause}{CYAN:#}");
    }
    if let Some(Place { from: Some(from), .. }) = &change.place {
        let _ = write!(out, "  {DIM}from {}{DIM:#}", visible::line(from));
    } else if let (Some(place), Some(of)) = (&change.place, &operation.place)
        && place.file == of.file
        && operation.action() != Action::Create
    {
        let _ = write!(out, "  {DIM}:{}:{}{DIM:#}", place.line, place.column);
    }
    out.push('\n');
    match &said {
        Said::Value(whole) => {
            whole.lines.iter().for_each(|line| *out += &format!("        {line}\n"));
        }
        Said::Parts(parts, more) => render_parts(out, parts, *more),
        Said::Words(_) | Said::Pair(..) => {}
    }
}

fn render_parts(out: &mut String, parts: &[Part], more: usize) {
    for part in parts {
        let style = if part.is_new { GREEN } else { RED };
        let _ = writeln!(out, "        {style}{}{style:#} {}", part.sign(), part.text);
    }
    if more > 0 {
        let _ =
            writeln!(out, "        … and {more} more lines that differ; --output json shows them");
    }
}
