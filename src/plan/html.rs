//! A plan as a page: one file that a browser opens offline. The templates escape everything, and
//! the page's own policy allows no script and nothing to be loaded.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::changed::{self, Said, Sort};
use super::document::TOOL;
use super::graph::Graph;
use super::summed::{self, Row};
use super::{Action, FieldChange, Operation, Plan, text};
use crate::conceal;
use crate::error::{Error, Result};
use crate::visible;

/// The page around everything.
const PAGE: &str = include_str!("html/page.html");
const PLAN: &str = include_str!("html/plan.html");
const DRAWING: &str = include_str!("html/drawing.html");
const STYLE: &str = include_str!("html/style.css");

/// What every page contains.
#[derive(Serialize)]
struct Page<T> {
    title: String,
    tool: &'static str,
    style: &'static str,
    style_digest: String,
    unread: Option<String>,
    #[serde(flatten)]
    body: T,
}

#[derive(Serialize)]
struct PlanBody {
    summary: String,
    refused: Vec<Refused>,
    notes: Vec<String>,
    operations: Vec<Shown>,
    summed_up: Vec<String>,
    svg: Option<String>,
    undrawn: Option<String>,
}

#[derive(Serialize)]
struct DrawingBody {
    svg: String,
}

#[derive(Serialize)]
struct Refused {
    message: String,
    hint: Option<String>,
}

/// An operation as the page shows it.
#[derive(Serialize)]
struct Shown {
    id: String,
    class: &'static str,
    sign: &'static str,
    verb: String,
    address: String,
    remarks: String,
    waits_for: Vec<Link>,
    changes: Vec<Change>,
    restarts: Vec<String>,
}

#[derive(Serialize)]
struct Link {
    id: String,
    address: String,
}

/// A change of a field as the page shows it.
#[derive(Serialize, Default)]
struct Change {
    class: &'static str,
    sign: char,
    path: String,
    cause: Option<&'static str>,
    place: Option<String>,
    old: Option<String>,
    new: Option<String>,
    value: Option<String>,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    class: &'static str,
    text: String,
}

/// The plan as a page; `is_whole` lists what is otherwise summarized.
///
/// # Errors
///
/// The page cannot be made.
pub fn render(plan: &Plan, is_whole: bool) -> Result<String> {
    let mut operations: Vec<&Operation> =
        plan.operations.iter().filter(|operation| !operation.is_first_half()).collect();
    operations.sort_by_key(|operation| operation.rank_in_review());
    let (mut shown, mut summed_up) = (Vec::new(), Vec::new());
    // By address, since the rows are references into the plan.
    let positions: HashMap<*const Operation, usize> =
        plan.operations.iter().enumerate().map(|(at, it)| (std::ptr::from_ref(it), at)).collect();
    for row in summed::rows(&operations, is_whole) {
        match row {
            Row::One(one) => {
                let at = positions.get(&std::ptr::from_ref(one)).copied().unwrap_or_default();
                shown.push(operation(plan, at, one));
            }
            Row::More(like, count) => summed_up.push(format!(
                "{count} more {} to {}: {}",
                like.key.kind.kind().plural(),
                text::verb(like),
                line(&like.reason.text)
            )),
        }
    }
    let what = if plan.is_drift { "Nothing drifted" } else { "Nothing to change" };
    let sentence = match plan.is_empty() {
        true => format!("{what}: {} unchanged{}.", plan.unchanged, plan.waits()),
        false => format!("{}{}.", plan.counts().sentence(), plan.waits()),
    };
    let graph = Graph::of(plan);
    let drawn = graph.svg();
    let refused = plan.refused.iter().map(|problem| Refused {
        message: line(&problem.to_string()),
        hint: problem.hint.as_deref().map(line),
    });
    let body = PlanBody {
        summary: sentence,
        refused: refused.collect(),
        notes: plan.notes.iter().map(|note| line(note)).collect(),
        operations: shown,
        summed_up,
        undrawn: drawn.as_ref().err().map(ToString::to_string),
        svg: drawn.ok(),
    };
    page("plan.html", graph.title(), plan.unread(), body)
}

/// A graph alone as a page.
///
/// # Errors
///
/// It is too large to be drawn; the page cannot be made.
pub fn drawing(graph: &Graph) -> Result<String> {
    let body = DrawingBody { svg: graph.svg()? };
    page("drawing.html", graph.title(), graph.unread().map(str::to_owned), body)
}

fn page<T: Serialize>(
    template: &str,
    title: &str,
    unread: Option<String>,
    body: T,
) -> Result<String> {
    let failed = |error: minijinja::Error| Error::failed("failed to make the page").because(error);
    let style_digest = format!("sha256-{}", STANDARD.encode(Sha256::digest(STYLE)));
    let title = line(title);
    let page = Page { title, tool: TOOL, style: STYLE, style_digest, unread, body };
    // The suffix of a name decides how values are escaped.
    let mut pages = Environment::new();
    for (name, text) in [("page.html", PAGE), ("plan.html", PLAN), ("drawing.html", DRAWING)] {
        pages.add_template(name, text).map_err(failed)?;
    }
    pages.get_template(template).and_then(|it| it.render(Serde(page))).map_err(failed)
}

/// Text from outside, on one line.
fn line(text: &str) -> String {
    visible::line(&conceal::within(Cow::Borrowed(text))).into_owned()
}

fn class(operation: &Operation) -> &'static str {
    match (operation.action(), operation.replaces()) {
        (Action::Create, false) => "create",
        (Action::Delete, false) => "delete",
        _ => "update",
    }
}

/// An operation, with its position in the plan.
fn operation(plan: &Plan, at: usize, operation: &Operation) -> Shown {
    let mut remarks = Vec::new();
    if !operation.is_new() || !operation.reason.why.goes_without_saying() {
        remarks.push(operation.reason.text.clone());
    }
    remarks.extend(operation.derived_from.as_ref().map(|origin| format!("from {origin}")));
    remarks.extend(operation.place.as_ref().map(ToString::to_string));
    // The first half of a replacement is not shown.
    let before = operation.waits_for.iter().filter_map(|it| Some((it, plan.operations.get(*it)?)));
    let waits_for = before
        .filter(|(_, other)| !other.is_first_half())
        .map(|(at, other)| Link { id: format!("o{at}"), address: plan.address(&other.key) });
    Shown {
        id: format!("o{at}"),
        class: class(operation),
        sign: text::sign(operation).0,
        verb: text::verb(operation),
        address: plan.address(&operation.key),
        remarks: line(&remarks.join("; ")),
        waits_for: waits_for.collect(),
        changes: operation.changes.iter().filter_map(change).collect(),
        restarts: text::restarts(plan, operation).map(|told| line(&told)).collect(),
    }
}

fn change(change: &FieldChange) -> Option<Change> {
    let (sort, said) = changed::told(change)?;
    let shown = Change {
        class: match sort {
            Sort::Comes => "comes",
            Sort::Goes => "goes",
            Sort::Changes | Sort::Uncertain => "changes",
        },
        sign: sort.sign(),
        path: change.path.to_string(),
        cause: changed::cause(change),
        place: change.place.as_ref().map(|place| match &place.from {
            Some(from) => format!("{place} (from {from})"),
            None => place.to_string(),
        }),
        ..Change::default()
    };
    Some(match said {
        Said::Words(words) => Change { value: Some(words.to_owned()), ..shown },
        Said::Pair(old, new) => Change { old: Some(old), new: Some(new), ..shown },
        Said::Value(whole) => {
            let lines = whole.lines.into_iter().map(|text| Line { class: "", text });
            Change { value: Some(whole.head), lines: lines.collect(), ..shown }
        }
        Said::Parts(parts, more) => {
            let parts = parts.into_iter().map(|part| Line {
                class: if part.is_new { "comes" } else { "goes" },
                text: format!("{} {}", part.sign(), part.text),
            });
            let more = (more > 0).then(|| Line {
                class: "",
                text: format!("… and {more} more lines that differ; --output json shows them"),
            });
            Change { lines: parts.chain(more).collect(), ..shown }
        }
    })
}
