//! A text becomes documents: it is split at `---` and parsed, and each document is checked against
//! the schema of its `kind`. All problems are collected.

use std::sync::Arc;

use serde_json::Value;

use super::super::conformity::check;
use super::super::quoting;
use super::super::sealing;
use super::super::source::Source;
use super::super::split::{Part, split};
use super::super::walk::IGNORE_FILE;
use super::super::yaml::{self, Mark, Node};
use super::template_text::{TemplateText, is_block_template, read_template};
use super::{Document, START, unreadable};
use crate::decoding;
use crate::error::Problem;
use crate::kinds::service_template::OWN_FIELDS;
use crate::kinds::{self, Kind, KindName, schema};
use crate::listed::nearest;

/// Whether the trees of documents are held once they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trees {
    /// They are.
    Held,
    /// Only if they are needed to know what a document means.
    Spared,
}

/// Reads all documents of a source, each with its fields as JSON. For a service template, these
/// are only the fields that the reconciler reads itself.
#[must_use]
pub fn read(source: &Arc<Source>, trees: Trees) -> (Vec<(Document, Value)>, Vec<Problem>) {
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    for part in split(&source.text) {
        match read_part(source, &part, trees) {
            Ok(Some(document)) => documents.push(document),
            Ok(None) => {}
            Err(found) => problems.extend(found),
        }
    }
    (documents, problems)
}

/// Reads one document as [`read`] does; `None` where nothing stands in the part.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read_part(
    source: &Arc<Source>,
    part: &Part<'_>,
    trees: Trees,
) -> Result<Option<(Document, Value)>, Vec<Problem>> {
    if source.is_json() {
        check_json(source, part)?;
    }
    let is_sealed = source.signs.are_in(part.text);
    if is_block_template(part.text) {
        return match is_sealed {
            true => Err(vec![sealing::refused_template(source, part)]),
            false => read_template(source, part).and_then(without_overrides).map(Some),
        };
    }
    if trees == Trees::Spared
        && !is_sealed
        && let Some(read) = read_plain(source, part)
    {
        return Ok(Some(read));
    }
    let Some(root) = parse_over(source, part)? else { return Ok(None) };
    if let Some(over) = &source.over
        && over.leaves_out(&root)?
    {
        return Ok(None);
    }
    if let Some((tag, mark)) = root.first_tag() {
        // A text that begins with `!` reads as a tag.
        let tag = match quoting::may_hold_secret(part.text) {
            true => "a tag".to_owned(),
            false => format!("the tag `{tag}`"),
        };
        let problem = unread(source, part, mark, format!("{tag} has no meaning here"));
        return Err(vec![match root.get("kind") {
            Some(_) => problem.hint("put a text that begins with `!` in quotes"),
            None => problem,
        }]);
    }
    let kind = kind_of(&root)
        .map_err(|(mark, message, hint)| vec![unread(source, part, mark, message).hint(hint)])?;
    if is_sealed && kind.name() == KindName::ServiceTemplate {
        return Err(vec![sealing::refused_template(source, part)]);
    }
    if is_sealed {
        sealing::check(source, &root)?;
    }
    let (line, value) = (root.mark.line, root.to_json());
    let mut document = Document::new(source, part, kind, Some(root));
    if kind.name() == KindName::ServiceTemplate {
        // In flow style (JSON) the text is written again without the reconciler's own fields.
        let mut spec = value.clone();
        if let Value::Object(fields) = &mut spec {
            fields.retain(|name, _| !OWN_FIELDS.contains(&name.as_str()));
        }
        let text = serde_json::to_string_pretty(&spec).unwrap_or_default();
        let lines = vec![line; text.lines().count()];
        document.template = Some(TemplateText { text, lines });
        return Ok(Some((document, value)));
    }
    let problems = check(&document, &value);
    if problems.is_empty() { Ok(Some((document, value))) } else { Err(problems) }
}

/// A document without problems; problems are reported from its tree.
fn read_plain(source: &Arc<Source>, part: &Part<'_>) -> Option<(Document, Value)> {
    let [value] = <[Value; 1]>::try_from(yaml::values(part.text).ok()?).ok()?;
    let kind = kind_named(value.get("kind")?.as_str()?)?;
    if source.over.as_ref().is_some_and(|over| over.concern(&value)) {
        return None;
    }
    let is_valid = schema::validator(kind).is_none_or(|validator| validator.is_valid(&value));
    (is_valid && kind.name() != KindName::ServiceTemplate)
        .then(|| (Document::new(source, part, kind, None), value))
}

/// A template, unless another file says a field of it: its fields are a text.
fn without_overrides(read: (Document, Value)) -> Result<(Document, Value), Vec<Problem>> {
    let (document, _) = &read;
    let name = document.name();
    let over = document.source.over.as_ref().zip(name.as_deref());
    match over.map(|(over, name)| over.of_template(name)).unwrap_or_default() {
        problems if problems.is_empty() => Ok(read),
        problems => Err(problems),
    }
}

/// The tree of a document, with what another file says of its fields.
pub(super) fn parse_over(source: &Source, part: &Part<'_>) -> Result<Option<Node>, Vec<Problem>> {
    let mut root = parse(source, part)?;
    if let (Some(root), Some(over)) = (&mut root, &source.over) {
        over.apply(root)?;
    }
    Ok(root)
}

pub(super) fn parse(source: &Source, part: &Part<'_>) -> Result<Option<Node>, Vec<Problem>> {
    let shift = |mark: Mark| Mark {
        line: mark.line + part.lines,
        start: mark.start + part.bytes,
        end: mark.end + part.bytes,
        ..mark
    };
    match yaml::parse(part.text) {
        Ok(nodes) => {
            let mut nodes = nodes.into_iter();
            let node = nodes.next();
            if let Some(second) = nodes.next() {
                let message = "a second document begins here without `---`".to_owned();
                return Err(vec![unread(source, part, shift(second.mark), message)]);
            }
            Ok(node.map(|mut node| {
                shift_all(&mut node, &shift);
                node
            }))
        }
        Err(error) => {
            let mark = error.mark.map_or_else(|| shift(START), shift);
            let message = match quoting::may_hold_secret(part.text) {
                true if !quoting::names_a_field(part.text, &error) => {
                    quoting::without_quotes(&error.message)
                }
                _ => error.message.clone(),
            };
            // A second document says again what it is.
            let repeated = error.duplicate.as_deref();
            let is_second = mark.column == 1 && matches!(repeated, Some("version" | "kind"));
            let mut problem = unread(source, part, mark, message);
            if is_second {
                let hint = "to begin another document, put a line `---` before it";
                problem = problem.hint(hint);
            }
            let has_markup = ["{{", "{%", "{#"].iter().any(|mark| part.text.contains(mark));
            let is_ours = quoting::has_kind(part.text) || part.text.contains("metadata:");
            let markup = || {
                let is_meant = has_markup && problem.hint.is_none() && !source.is_rendered();
                let rendered =
                    "to have a manifest rendered as a template, give it a name that ends in .j2";
                is_meant.then(|| match quoting::may_hold_secret(part.text) {
                    true => format!(
                        "{rendered}; a secret reads an environment variable with `{{from: {{env: NAME}}}}`"
                    ),
                    false => rendered.to_owned(),
                })
            };
            let hint = unreadable::hint(part.text, part.lines, &error).filter(|_| is_ours);
            let hint = hint.filter(|_| !is_second).or_else(markup);
            Err(vec![match hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            }])
        }
    }
}

/// Some texts of YAML, such as `01` and `NaN`, are not JSON, and other readers of the file refuse
/// them.
fn check_json(source: &Source, part: &Part<'_>) -> Result<(), Vec<Problem>> {
    if part.text.trim().is_empty() {
        return Ok(());
    }
    serde_json::from_str::<serde::de::IgnoredAny>(part.text).map(drop).map_err(|error| {
        // The place in the part, so that the whole text need not be searched for its line.
        let mut lines = part.text.split_inclusive('\n');
        let before: usize = lines.by_ref().take(error.line() - 1).map(str::len).sum();
        let line = lines.next().unwrap_or_default();
        let into = line.char_indices().nth(error.column().max(1) - 1);
        let mark = Mark {
            line: part.lines + error.line() as u64,
            column: error.column() as u64,
            start: part.bytes + before + into.map_or(line.len(), |(at, _)| at),
            ..Mark::default()
        };
        let message = error.to_string();
        let what = decoding::without_place(&message);
        let problem = unread(source, part, mark, format!("not JSON: {what}"));
        vec![match problem.hint {
            Some(_) => problem,
            None => {
                problem.hint("a file whose name ends in .json must hold JSON; give a YAML file a name that ends in .yaml")
            }
        }]
    })
}

/// A problem of a part that could not be read, so that it is not known what in it is a
/// secret.
fn unread(source: &Source, part: &Part<'_>, mark: Mark, message: String) -> Problem {
    let mut problem = source.problem(mark, message);
    if quoting::may_hold_secret(part.text) {
        problem.source_line = None;
    }
    if quoting::has_kind(part.text) { problem } else { problem.hint(no_manifest()) }
}

/// What to do about a file that is not a manifest.
fn no_manifest() -> String {
    format!(
        "if it is not a manifest, list it in a {IGNORE_FILE} beside it, or give only the manifests with -f"
    )
}

fn shift_all(node: &mut Node, shift: &impl Fn(Mark) -> Mark) {
    node.mark = shift(node.mark);
    match &mut node.value {
        yaml::Value::List(items) => items.iter_mut().for_each(|item| shift_all(item, shift)),
        yaml::Value::Map(entries) => {
            for (key, value) in entries {
                key.mark = shift(key.mark);
                shift_all(value, shift);
            }
        }
        _ => {}
    }
}

fn kind_named(name: &str) -> Option<&'static dyn Kind> {
    kinds::ALL.into_iter().find(|kind| kind.name().to_string() == name)
}

/// The kind of a document; what is wrong with it, where, and what to do about it.
fn kind_of(root: &Node) -> Result<&'static dyn Kind, (Mark, String, String)> {
    let names = || kinds::ALL.iter().map(|kind| kind.name().to_string()).collect::<Vec<_>>();
    let one_of = || format!("use one of {}", names().join(", "));
    if !matches!(root.value, yaml::Value::Map(_)) {
        let message = "a document is a map with `version`, `kind` and `metadata`";
        return Err((root.mark, message.to_owned(), no_manifest()));
    }
    let Some(kind) = root.get("kind") else {
        let is_key = |key: &str| key != "kind" && key.eq_ignore_ascii_case("kind");
        let is_capital = match &root.value {
            yaml::Value::Map(entries) => entries.iter().any(|(key, _)| is_key(&key.text)),
            _ => false,
        };
        let hint = match root.get("metadata") {
            _ if is_capital => "write the names of fields in small letters: `kind`".to_owned(),
            Some(_) => one_of(),
            None => no_manifest(),
        };
        return Err((root.mark, "the document has no `kind`".to_owned(), hint));
    };
    let text = kind.as_str().unwrap_or_default();
    kind_named(text).ok_or_else(|| {
        let hint = match nearest(text, names().iter().map(String::as_str)) {
            Some(name) => format!("did you mean `{name}`?"),
            None if text == "WebServer" => format!(
                "the routes of a website are for `meshagent webserver`; list the file in a {IGNORE_FILE} beside it"
            ),
            // Kubernetes says `kind`, too.
            None if root.get("version").is_none() => no_manifest(),
            None => one_of(),
        };
        (kind.mark, format!("unknown kind `{text}`"), hint)
    })
}
