//! A document: one text of one kind, with what messages may say about it and its places.
//!
//! Lives here: the document itself, how texts become documents, what is a secret in one, and the
//! text of a service template. Must not: what several documents declare together.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub use self::read::{Trees, read, read_part};
use self::secret_texts::SecretTexts;
pub use self::template_text::TemplateText;
use super::located::locate;
use super::quoting;
use super::source::Source;
use super::split::Part;
use super::template;
use super::yaml::{self, Mark, Node};
use crate::error::{Place, Problem};
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::{Kind, KindName};

mod read;
mod secret_texts;
mod template_text;
mod unreadable;

/// Where a text begins.
const START: Mark = Mark { line: 1, column: 1, start: 0, end: 0, over: 0 };

/// Where another file says a field of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overridden {
    /// The place.
    pub place: Place,
    /// Who says it, such as `environment prod`.
    pub from: String,
}

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

    /// A document that is all of a text which this program wrote, so that it need not be checked.
    #[must_use]
    pub fn of_own(source: &Arc<Source>, kind: &'static dyn Kind) -> Self {
        Self::new(source, &Part { text: &source.text, lines: 0, bytes: 0 }, kind, None)
    }

    /// Its tree, with places in the source. For a service template, only the fields that the
    /// reconciler reads itself. A tree that was not held is held from then on.
    #[must_use]
    pub fn root(&self) -> Arc<Node> {
        let mut tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tree.get_or_insert_with(|| self.read_again()))
    }

    /// Its tree for a look at places. A tree that was not held is not held afterwards: it
    /// takes many times the memory of its text, and large sets have many documents.
    #[must_use]
    pub fn root_for_places(&self) -> Arc<Node> {
        let tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        tree.clone().unwrap_or_else(|| self.read_again())
    }

    /// Whether it has a field.
    #[must_use]
    pub fn has(&self, path: &FieldPath) -> bool {
        locate(path, &self.root_for_places()).1
    }

    /// Whether its tree is held, so that a look at it costs nothing.
    fn is_held(&self) -> bool {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The place of its `metadata`, or else its beginning. This does not need the tree: making the
    /// trees for the places of all objects of a large set would take longer than the plan.
    #[must_use]
    pub fn metadata_mark(&self) -> Mark {
        if !self.is_held()
            && self.template.is_none()
            && let Some(line) = self.metadata_line()
        {
            return Mark { line, ..START };
        }
        let root = self.root_for_places();
        root.entry("metadata").map_or(root.mark, |(key, _)| key.mark)
    }

    /// The line of `metadata`, if the text alone shows it: in a document in block style, only names
    /// of fields begin a line. Text in braces or quotes may continue at the beginning of a line.
    fn metadata_line(&self) -> Option<u64> {
        let text = self.source.text.get(self.bytes.clone()).unwrap_or_default();
        let mut line_of_it = None;
        for (number, line) in (self.lines + 1..).zip(text.lines()) {
            let is_plain = line.starts_with(|first: char| {
                first == '#' || first == ' ' || first.is_ascii_alphabetic()
            });
            if !is_plain && !line.is_empty() && !line.starts_with("---") {
                return None;
            }
            if line.starts_with("metadata:") && line_of_it.replace(number).is_some() {
                return None;
            }
        }
        line_of_it
    }

    fn read_again(&self) -> Arc<Node> {
        let text = self.source.text.get(self.bytes.clone()).unwrap_or_default();
        let part = Part { text, lines: self.lines, bytes: self.bytes.start };
        // It could be read before, so it can be read now.
        let root = read::parse_over(&self.source, &part).ok().flatten();
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
        self.source.place(self.root_for_places().mark)
    }

    /// A problem at a field, or at the nearest thing above it.
    pub fn problem_at(&self, path: &FieldPath, message: impl Into<String>) -> Problem {
        self.problem_at_mark(locate(path, &self.root()).0, message)
    }

    /// A problem at a place of the document; its line is shown unless it holds a secret. No line of
    /// a document for secrets is shown: under a wrong name, there may still be a secret.
    pub fn problem_at_mark(&self, mark: Mark, message: impl Into<String>) -> Problem {
        let mut problem = self.source.problem(mark, message);
        if self.is_for_secrets() {
            problem.source_line = None;
        } else if problem.source_line.is_some() {
            self.secrets.get_or_init(|| SecretTexts::of(self)).hide(&mut problem);
        }
        problem
    }

    /// The place of the name of a template, which is not part of what is read of the template
    /// itself.
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

    /// What another file says of a field, or of something above or below it.
    #[must_use]
    pub fn overridden(&self, path: &FieldPath) -> Option<Overridden> {
        let over = self.source.over.as_ref()?;
        let said = over.saying(&self.root_for_places(), path)?;
        let place = over.source.place(said.mark());
        Some(Overridden { place, from: said.from().to_string() })
    }

    /// Whether a message may quote the document beyond the names of its fields and of the object. A
    /// secret's document is never quoted: a secret may be in a wrong place.
    #[must_use]
    pub fn may_be_quoted(&self) -> bool {
        !self.kind.hides_values()
    }

    /// Whether the document is for secrets, so that none of its lines is shown: that of a secret,
    /// that of a project, which has settings, and one that gives values to a template, unless it is
    /// known that none of them is a secret.
    #[must_use]
    pub fn is_for_secrets(&self) -> bool {
        match self.kind.name() {
            KindName::Service | KindName::ServiceTemplate => {
                self.has_plain_values.get().is_none() && self.may_give_values()
            }
            _ => self.kind.is_for_secrets(),
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

    /// A problem of the whole document, reported without reading its tree: of thousands of similar
    /// problems only a few are shown.
    pub(super) fn problem_in_brief(&self, message: impl Into<String>) -> Problem {
        // At its end, so that problems with a place come first.
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
