//! Texts become documents: split at `---`, parsed, told apart by `kind`, and checked
//! against the schema of their kind. All problems are collected.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;

use super::conformity::{check, check_part};
use super::located::locate;
use super::quoting;
use super::sealing;
use super::source::Source;
use super::split::{Part, split};
use super::template;
use super::walk::IGNORE_FILE;
use super::yaml::{self, Mark, Node};
use crate::api::specs::keywords::SECRET;
use crate::decoding;
use crate::error::{Place, Problem};
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::service_template::OWN_FIELDS;
use crate::kinds::{self, Kind, KindName, schema};
use crate::listed::nearest;

/// One document of a manifest.
pub struct Document {
    /// The text it stands in.
    pub source: Arc<Source>,
    /// Its kind.
    pub kind: &'static dyn Kind,
    /// Its tree while it is held; see [`Document::root`].
    tree: Mutex<Option<Arc<Node>>>,
    /// The lines of the source before it.
    lines: u64,
    /// Of a service template: the text that is rendered.
    pub template: Option<TemplateText>,
    /// The bytes of the source that it takes.
    pub bytes: Range<usize>,
    /// The texts in it that are secrets by its schema, once they were asked for.
    secrets: OnceLock<SecretTexts>,
    /// Set once the template is known that it gives values to, and none of them is a secret.
    has_plain_values: OnceLock<()>,
    /// Whether it gives values to a template, once that was asked for.
    gives_values: OnceLock<bool>,
}

/// The text of a service template, without the fields that the reconciler reads itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateText {
    /// What is rendered, and kept by the platform as the template's source.
    pub text: String,
    /// The line in the source of each line of the text.
    pub lines: Vec<u64>,
}

impl TemplateText {
    /// Adds a line of the source. It ends in a line feed, whatever the file has: what the
    /// platform keeps must not depend on how a checkout was made.
    fn push(&mut self, number: u64, line: &str) {
        match line.strip_suffix("\r\n") {
            Some(bare) => self.text.extend([bare, "\n"]),
            None => self.text.push_str(line),
        }
        self.lines.push(number);
    }

    /// The mark of a line of the text in its source.
    #[must_use]
    pub fn mark(&self, line: u64, column: u64) -> Mark {
        let index = usize::try_from(line.max(1) - 1).unwrap_or(usize::MAX);
        let line = self.lines.get(index).or(self.lines.last()).copied().unwrap_or(1);
        Mark { line, column: column.max(1), ..Mark::default() }
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} at {}", self.kind.name(), self.place())
    }
}

impl Document {
    fn new(
        source: &Arc<Source>,
        part: &Part<'_>,
        kind: &'static dyn Kind,
        root: Option<Node>,
    ) -> Self {
        Self {
            source: Arc::clone(source),
            kind,
            tree: Mutex::new(root.map(Arc::new)),
            lines: part.lines,
            template: None,
            bytes: part.range(),
            secrets: OnceLock::new(),
            has_plain_values: OnceLock::new(),
            gives_values: OnceLock::new(),
        }
    }

    /// Its tree, with places in the source. Of a service template: just the fields that the
    /// reconciler reads itself. A tree that was not held is held from then on.
    #[must_use]
    pub fn root(&self) -> Arc<Node> {
        let mut tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tree.get_or_insert_with(|| self.read_again()))
    }

    /// Its tree for a look at places. A tree that was not held is not held afterwards: it
    /// takes many times the memory of its text, and large sets have many documents.
    #[must_use]
    pub fn glance(&self) -> Arc<Node> {
        let tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        tree.clone().unwrap_or_else(|| self.read_again())
    }

    fn read_again(&self) -> Arc<Node> {
        let text = self.source.text.get(self.bytes.clone()).unwrap_or_default();
        let part = Part { text, lines: self.lines, bytes: self.bytes.start };
        // It could be read before, so it can be read now.
        let root = parse(&self.source, &part).ok().flatten();
        let mark = Mark { line: self.lines + 1, column: 1, ..Mark::default() };
        Arc::new(root.unwrap_or_else(|| Node { mark, ..Node::empty() }))
    }

    /// The lines of its source that it takes, counted from zero.
    #[must_use]
    pub fn line_range(&self) -> std::ops::Range<usize> {
        let text = self.source.text.get(self.bytes.clone()).unwrap_or_default();
        let first = usize::try_from(self.lines).unwrap_or(usize::MAX);
        first..first.saturating_add(text.lines().count())
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place {
        self.source.place(self.glance().mark)
    }

    /// A problem at a field, or at the nearest thing above it.
    pub fn problem_at(&self, path: &FieldPath, message: impl Into<String>) -> Problem {
        self.problem_at_mark(locate(path, &self.root()).0, message)
    }

    /// A problem at a place of the document; its line is shown unless a secret stands in it.
    /// Of a document that is there for secrets no line is: under a wrong name stands what is
    /// one all the same.
    pub fn problem_at_mark(&self, mark: Mark, message: impl Into<String>) -> Problem {
        let mut problem = self.source.problem(mark, message);
        if self.is_for_secrets() {
            problem.source_line = None;
        } else if problem.source_line.is_some() {
            self.secrets.get_or_init(|| SecretTexts::of(self)).hide(&mut problem);
        }
        problem
    }

    /// Where a template says its name, which is no part of what is read of it by itself.
    #[must_use]
    pub fn name_mark(&self) -> Mark {
        let Some(template) = &self.template else {
            return locate(&FieldPath::of(&["metadata", "name"]), &self.root()).0;
        };
        let mark = template::name_mark(&template.text).unwrap_or(START);
        template.mark(mark.line, mark.column)
    }

    /// Where a template says what a variable is, or the template.
    #[must_use]
    pub(super) fn variable_mark(&self, name: &str) -> Mark {
        let root = self.root();
        let variable = Step::Item { field: "name".to_owned(), text: name.to_owned() };
        let (mark, is_there) = locate(&FieldPath::of(&["variables"]).join(variable), &root);
        let Some(template) = self.template.as_ref().filter(|_| !is_there) else { return mark };
        let mark = template::variable_mark(&template.text, name).unwrap_or(START);
        template.mark(mark.line, mark.column)
    }

    /// Whether a message may say what stands in the document, beside the names of its fields
    /// and of the object. Of a secret's nothing is: a secret may stand where it should not.
    #[must_use]
    pub fn may_be_quoted(&self) -> bool {
        self.kind.name() != KindName::Secret
    }

    /// Whether the document is there for secrets, so that none of its lines is shown: that of a
    /// secret, that of a project, which has settings, and one that gives values to a template,
    /// unless it is known that none of them is a secret.
    #[must_use]
    pub fn is_for_secrets(&self) -> bool {
        match self.kind.name() {
            KindName::Secret | KindName::Project => true,
            KindName::Service | KindName::ServiceTemplate => {
                self.has_plain_values.get().is_none() && self.may_give_values()
            }
            _ => false,
        }
    }

    fn may_give_values(&self) -> bool {
        *self.gives_values.get_or_init(|| {
            let root = self.root();
            let yaml::Value::Map(entries) = &root.value else { return false };
            let mut keys = entries.iter().map(|(key, _)| key.text.as_str());
            // A field of a wrong name is a part of the text of a template.
            let text = self.template.as_ref().map_or("", |template| &template.text);
            let mut written = text.lines().filter_map(|line| Some(line.split_once(':')?.0));
            keys.any(quoting::gives_values)
                || written.any(|name| quoting::gives_values(name.trim_matches(['"', '\''])))
        })
    }

    /// Says that no value that the document gives to a template is a secret.
    pub(super) fn set_plain_values(&self) {
        let _ = self.has_plain_values.set(());
    }

    /// A problem of the whole document, told without a look at it: of thousands that are alike
    /// a few are shown.
    pub(super) fn problem_in_brief(&self, message: impl Into<String>) -> Problem {
        // At its end, so that what is told with its place comes first.
        let mark = Mark { line: self.source.line_at(self.bytes.end), ..START };
        let message = self.source.signs.hidden_in(message.into());
        Problem { place: Some(self.source.place(mark)), ..Problem::new(message) }
    }

    /// The document's name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        Some(self.root().get("metadata")?.get("name")?.as_str()?.to_owned())
    }
}

/// How many bytes of secrets a document may hold for its lines to be looked through for each.
const SOUGHT: usize = 64 * 1024;

/// The texts of a document that are secrets by its schema.
enum SecretTexts {
    These(Vec<String>),
    /// More than are looked for, so that no line is shown.
    TooMany,
}

impl SecretTexts {
    fn of(document: &Document) -> Self {
        let schema = schema::inlined(document.kind);
        let mut found = Vec::new();
        secret_texts(schema, &document.root(), &mut found);
        let template = document.template.as_ref();
        for root in template.and_then(|it| yaml::parse(&it.text).ok()).iter().flatten() {
            secret_texts(schema, root, &mut found);
        }
        match found.iter().map(String::len).sum::<usize>() {
            0..=SOUGHT => Self::These(found),
            _ => Self::TooMany,
        }
    }

    fn hide(&self, problem: &mut Problem) {
        match self {
            Self::These(secrets) => secrets.iter().for_each(|it| problem.hide_line_with(it)),
            Self::TooMany => problem.source_line = None,
        }
    }
}

/// The texts that stand where the schema says that a secret stands, also where something
/// else should.
fn secret_texts(schema: &Value, node: &Node, found: &mut Vec<String>) {
    match &node.value {
        _ if schema.get(SECRET) == Some(&Value::Bool(true)) => scalar_texts(node, found),
        yaml::Value::Map(entries) => {
            for (key, below) in entries {
                let of_name = schema.get("properties").and_then(|fields| fields.get(&key.text));
                if let Some(schema) = of_name.or_else(|| schema.get("additionalProperties")) {
                    secret_texts(schema, below, found);
                }
            }
        }
        yaml::Value::List(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter().for_each(|item| secret_texts(schema, item, found));
            }
        }
        _ => {}
    }
}

/// All texts and numbers, but not where a text is read from.
fn scalar_texts(node: &Node, found: &mut Vec<String>) {
    match &node.value {
        yaml::Value::String(text) => found.push(text.clone()),
        yaml::Value::Number(number) => found.push(number.to_string()),
        yaml::Value::List(items) => items.iter().for_each(|item| scalar_texts(item, found)),
        yaml::Value::Map(entries) => {
            let is_source = matches!(entries.as_slice(), [(key, _)]
                if matches!(key.text.as_str(), "env" | "file" | "command"));
            if !is_source {
                entries.iter().for_each(|(_, below)| scalar_texts(below, found));
            }
        }
        yaml::Value::Null | yaml::Value::Bool(_) => {}
    }
}

/// Whether the trees of documents are held once they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trees {
    /// They are.
    Held,
    /// Only where they are needed to tell what a document means.
    Spared,
}

/// Reads all documents of a source, each with its fields as JSON. Of a service template
/// they are just the fields that the reconciler reads itself.
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
            false => read_template(source, part).map(Some),
        };
    }
    if trees == Trees::Spared
        && !is_sealed
        && let Some(read) = read_plain(source, part)
    {
        return Ok(Some(read));
    }
    let Some(root) = parse(source, part)? else { return Ok(None) };
    if let Some((tag, mark)) = root.first_tag() {
        // A text that begins with `!` reads as a tag.
        let tag = match quoting::may_hold_secret(part.text) {
            true => "a tag".to_owned(),
            false => format!("the tag `{tag}`"),
        };
        let problem = unread(source, part, mark, format!("{tag} has no meaning here"));
        return Err(vec![match root.get("kind") {
            Some(_) => problem.hint("a text that begins with `!` stands in quotes"),
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

/// A document with nothing to tell of: all problems are told from its tree.
fn read_plain(source: &Arc<Source>, part: &Part<'_>) -> Option<(Document, Value)> {
    let [value] = <[Value; 1]>::try_from(yaml::values(part.text).ok()?).ok()?;
    let kind = kind_named(value.get("kind")?.as_str()?)?;
    let is_valid = schema::validator(kind).is_none_or(|validator| validator.is_valid(&value));
    (is_valid && kind.name() != KindName::ServiceTemplate)
        .then(|| (Document::new(source, part, kind, None), value))
}

fn parse(source: &Source, part: &Part<'_>) -> Result<Option<Node>, Vec<Problem>> {
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
                let hint = "where another document is to begin, put a line `---` before it";
                problem = problem.hint(hint);
            }
            let has_markup = ["{{", "{%", "{#"].iter().any(|mark| part.text.contains(mark));
            Err(vec![match has_markup && problem.hint.is_none() && !source.is_rendered() {
                true => {
                    problem.hint("a template of a manifest is rendered where its name ends in .j2")
                }
                false => problem,
            }])
        }
    }
}

/// Where a text begins.
const START: Mark = Mark { line: 1, column: 1, start: 0, end: 0 };

/// What YAML takes for a text, such as `01` and `NaN`, is no JSON, and whoever else reads the
/// file refuses it.
fn check_json(source: &Source, part: &Part<'_>) -> Result<(), Vec<Problem>> {
    if part.text.trim().is_empty() {
        return Ok(());
    }
    serde_json::from_str::<serde::de::IgnoredAny>(part.text).map(drop).map_err(|error| {
        // The place in the part, so that the whole text need not be gone through for its line.
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
                problem.hint("a file whose name ends in .json holds JSON; name one of YAML .yaml")
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

/// What to do about a file that is none of ours.
fn no_manifest() -> String {
    format!(
        "if it is no manifest, name it in a {IGNORE_FILE} beside it, or name just the manifests with -f"
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
    let one_of = || format!("one of {}", names().join(", "));
    if !matches!(root.value, yaml::Value::Map(_)) {
        let message = "a document is a map with `version`, `kind` and `metadata`";
        return Err((root.mark, message.to_owned(), no_manifest()));
    }
    let Some(kind) = root.get("kind") else {
        let hint = match root.get("metadata") {
            Some(_) => one_of(),
            None => no_manifest(),
        };
        return Err((root.mark, "the document has no `kind`".to_owned(), hint));
    };
    let text = kind.as_str().unwrap_or_default();
    kind_named(text).ok_or_else(|| {
        let hint = match nearest(text, names().iter().map(String::as_str)) {
            Some(name) => format!("did you mean `{name}`?"),
            // Kubernetes says `kind`, too.
            None if root.get("version").is_none() => no_manifest(),
            None => one_of(),
        };
        (kind.mark, format!("unknown kind `{text}`"), hint)
    })
}

/// Whether a part is a service template in block style. It is recognized without being
/// parsed, because placeholders and statements may keep it from being YAML.
fn is_block_template(text: &str) -> bool {
    text.lines().any(|line| {
        line.strip_prefix("kind:").is_some_and(|rest| {
            rest.split('#').next().unwrap_or_default().trim().trim_matches(['"', '\''])
                == "ServiceTemplate"
        })
    })
}

/// Takes the reconciler's own fields off the text of a template.
fn read_template(source: &Arc<Source>, part: &Part<'_>) -> Result<(Document, Value), Vec<Problem>> {
    let mut template = TemplateText { text: String::new(), lines: Vec::new() };
    let mut own = String::new();
    // Comments and empty lines after a field may belong to the next one.
    let mut pending: Vec<(u64, &str)> = Vec::new();
    let mut in_own = false;
    for (index, line) in part.text.split_inclusive('\n').enumerate() {
        let number = part.lines + index as u64 + 1;
        let starts_field = !line.starts_with(char::is_whitespace)
            && !line.starts_with(['#', '-'])
            && !line.trim().is_empty();
        if starts_field {
            in_own = OWN_FIELDS.iter().any(|field| {
                line.strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with(':'))
            });
        }
        if in_own {
            let is_loose = line.trim().is_empty() || line.starts_with('#');
            if is_loose {
                pending.push((number, line));
            } else {
                pending.clear();
                own.push_str(line);
                continue;
            }
        } else {
            for (number, line) in pending.drain(..).chain([(number, line)]) {
                template.push(number, line);
            }
        }
        own.push('\n');
    }
    for (number, line) in pending {
        template.push(number, line);
    }
    let own_part = Part { text: &own, lines: part.lines, bytes: part.bytes };
    let root = parse(source, &own_part)?.unwrap_or(Node {
        mark: Mark { line: part.lines + 1, column: 1, ..Mark::default() },
        ..Node::empty()
    });
    let kind = KindName::ServiceTemplate.kind();
    let value = root.to_json();
    let document = Document::new(source, part, kind, Some(root));
    let document = Document { template: Some(template), ..document };
    // Only these fields are checked now; the rest is checked once it is rendered.
    let problems = check_part(&document, &value);
    if problems.is_empty() { Ok((document, value)) } else { Err(problems) }
}
