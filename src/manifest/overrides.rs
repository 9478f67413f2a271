//! Fields of documents that another file says: the project file, for an environment or for a
//! source. They are put into the tree of a document before it is checked, so a document with them
//! is read like any other; the marks of what they say belong to the other file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use self::pattern::{Meant, Named};
use self::tree::{marked, put, swept};
use super::source::Source;
use super::yaml::{Mark, Node, Value};
use crate::error::Problem;
use crate::kinds::KindName;
use crate::kinds::path::{FieldPath, Step};
use crate::listed::nearest;

pub use self::pattern::Pattern;

mod pattern;
mod tree;

/// The fields that say what a document is. Whoever wants another document writes one.
const IDENTITY: [&[&str]; 3] = [&["version"], &["kind"], &["metadata", "name"]];

/// The most overrides of one set.
pub const MOST: usize = 10_000;

/// The most of them whose patterns have `*` or `?`: each is compared with each document.
const MOST_WILD: usize = 1_000;

/// One field of some documents.
#[derive(Debug, Clone)]
pub struct Override {
    /// The documents.
    of: Pattern,
    /// Where they are named.
    named: Mark,
    /// The field.
    path: FieldPath,
    /// What it is; `None` takes it out.
    value: Option<Node>,
    /// Where it is written.
    mark: Mark,
    /// What says so, such as `environment prod`.
    from: Arc<str>,
    /// How near it is: what is said later is nearer than what it was said before.
    layer: usize,
    /// How many were said before it.
    turn: usize,
    /// Whether the document must have the field already.
    must_be: bool,
    use_of: Use,
}

/// What is said of a field of some documents, as it is written.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// The documents, and where they are named.
    pub of: (&'a str, Mark),
    /// The field, and where it is named.
    pub path: (&'a str, Mark),
    /// What it is; `null` takes the field out.
    pub value: &'a Node,
    /// Whether the document must have the field already.
    pub must_be: bool,
}

/// Whether any document was meant by something. What is said of several sorts of manifests has one
/// use in all of them.
#[derive(Debug, Clone, Default)]
struct Use {
    is_made: Arc<AtomicBool>,
    /// Whether what was to be done could be done: what is taken out was there.
    is_done: Arc<AtomicBool>,
    /// Whether it is asked for elsewhere.
    is_shared: bool,
}

impl Use {
    fn make(&self) {
        self.is_made.store(true, Ordering::Relaxed);
    }

    fn done(&self) {
        self.is_done.store(true, Ordering::Relaxed);
    }

    fn shared(&self) -> Self {
        Self { is_shared: true, ..self.clone() }
    }

    /// Whether it is known by now that nothing was meant.
    fn is_missing(&self) -> bool {
        !self.is_shared && !self.is_made.load(Ordering::Relaxed)
    }

    /// Whether it is known by now that there was nothing to do.
    fn is_in_vain(&self) -> bool {
        !self.is_shared && !self.is_done.load(Ordering::Relaxed)
    }
}

/// Documents that are left out.
#[derive(Debug, Clone)]
struct Without {
    of: Pattern,
    mark: Mark,
    use_of: Use,
}

/// All that one file says about the documents of a set.
#[derive(Debug, Clone)]
pub struct Overrides {
    /// The file that says it.
    pub source: Arc<Source>,
    fields: Vec<Override>,
    /// Where in them a field of these documents is.
    known: BTreeMap<(String, FieldPath), usize>,
    /// How many of them are of patterns with `*` or `?`.
    wild: usize,
    /// How many were said, also in the place of others.
    turns: usize,
    /// Who said the last one, and its layer.
    last: Option<(Arc<str>, usize)>,
    without: Vec<Without>,
    index: Index,
}

/// Where the overrides of a document are found without looking at all of them.
#[derive(Debug, Default)]
struct Index(OnceLock<Places>);

/// The overrides by the documents that they name, and those that may be of any.
#[derive(Debug, Default)]
struct Places {
    exact: HashMap<String, Vec<usize>>,
    wild: Vec<usize>,
}

impl Clone for Index {
    fn clone(&self) -> Self {
        // What is added to a clone is not in it.
        Self::default()
    }
}

impl Overrides {
    /// Nothing yet, to be said by this file.
    #[must_use]
    pub fn new(source: Arc<Source>) -> Self {
        Self {
            source,
            fields: Vec::new(),
            known: BTreeMap::new(),
            wild: 0,
            turns: 0,
            last: None,
            without: Vec::new(),
            index: Index::default(),
        }
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.without.is_empty()
    }

    /// Checks a pattern that stands at a mark.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&self, of: &str, mark: Mark) -> Result<(), Problem> {
        Pattern::parse(of)
            .map(drop)
            .map_err(|(message, hint)| self.problem(mark, message).hint(hint))
    }

    /// Adds a field, in the place of what was said of it before.
    ///
    /// # Errors
    ///
    /// A pattern or a path that is none, or that would make another document of it.
    pub fn add(&mut self, said: Said<'_>, from: &Arc<str>) -> Result<(), Problem> {
        let Said { of: (of, named), path: (path, mark), value, must_be } = said;
        let problem = |(message, hint): (String, String)| {
            Problem { source_line: None, ..self.source.problem(mark, message) }.hint(hint)
        };
        let of = Pattern::parse(of).map_err(problem)?;
        let path = FieldPath::parse(path).map_err(|why| {
            let hint = "write it as plans do: container.image, ports[0].num, container.environment[name=TOKEN].value";
            problem((format!("`{path}` is not the path of a field: {why}"), hint.to_owned()))
        })?;
        let is_identity = IDENTITY.iter().map(|fields| FieldPath::of(fields));
        if is_identity.into_iter().any(|it| it.0.starts_with(&path.0) || path.0.starts_with(&it.0))
        {
            let message = format!("`{path}` says what the document is, so nothing else can say it");
            return Err(problem((message, "write another document".to_owned())));
        }
        if self.fields.len() >= MOST || of.is_wild() && self.wild >= MOST_WILD {
            let message = format!(
                "these are more than {MOST} overrides, or more than {MOST_WILD} with `*` or `?`"
            );
            return Err(problem((message, "put them into the manifests".to_owned())));
        }
        let layer = match &self.last {
            Some((last, layer)) if last == from => *layer,
            last => last.as_ref().map_or(0, |(_, layer)| layer + 1),
        };
        if let Some(other) = self.said_with(&of, &path, layer) {
            let (message, hint) = match other.path.0.len().cmp(&path.0.len()) {
                std::cmp::Ordering::Equal => (
                    format!("`{path}` of {} is said twice here", of.text),
                    "keep one of them".to_owned(),
                ),
                order => {
                    let (whole, part) = match order.is_lt() {
                        true => (&other.path, &path),
                        false => (&path, &other.path),
                    };
                    (
                        format!(
                            "`{whole}` and `{part}`, which is a part of it, are both said here"
                        ),
                        format!("write all of `{whole}`, or only its parts"),
                    )
                }
            };
            return Err(problem((message, hint)));
        }
        let known = (of.text.clone(), path.clone());
        let place = self.known.get(&known).copied();
        let use_of = Use::default();
        // Whoever takes out what is said elsewhere does not do so in vain.
        if place.is_some_and(|place| self.fields[place].value.is_some()) {
            use_of.done();
        }
        let value = (value.value != Value::Null).then(|| value.clone());
        self.last = Some((Arc::clone(from), layer));
        let (from, turn) = (Arc::clone(from), self.turns);
        self.turns += 1;
        self.wild += usize::from(of.is_wild() && place.is_none());
        let said = Override { of, named, path, value, mark, from, layer, turn, must_be, use_of };
        match place {
            Some(place) => self.fields[place] = said.numbered(place),
            None => {
                self.known.insert(known, self.fields.len());
                self.fields.push(said.numbered(self.fields.len()));
            }
        }
        Ok(())
    }

    /// What is said in a layer of the same documents and the same field, or of a part of it, or of
    /// what it is a part of.
    fn said_with(&self, of: &Pattern, path: &FieldPath, layer: usize) -> Option<&Override> {
        let above = (1..path.0.len()).filter_map(|end| {
            self.known.get(&(of.text.clone(), FieldPath(path.0[..end].to_vec())))
        });
        // What begins with a path follows it.
        let from_here = self.known.range((of.text.clone(), path.clone())..);
        let below = from_here
            .take_while(|((text, it), _)| *text == of.text && it.0.starts_with(&path.0))
            .map(|(_, place)| place);
        above.chain(below).map(|place| &self.fields[*place]).find(|it| it.layer == layer)
    }

    /// The same with what the environment says of all documents, which goes before it.
    #[must_use]
    pub fn and(mut self, environment: &Self) -> Self {
        let above = self.last.as_ref().map_or(0, |(_, layer)| layer + 1);
        let (places, turns) = (self.fields.len(), self.turns);
        let fields = environment.fields.iter().enumerate().map(|(at, field)| {
            let field = Override {
                layer: above + field.layer,
                turn: turns + field.turn,
                use_of: field.use_of.shared(),
                ..field.clone()
            };
            field.numbered(places + at)
        });
        self.fields.extend(fields);
        let known = environment.known.iter();
        self.known.extend(known.map(|(field, place)| (field.clone(), places + place)));
        self.wild += environment.wild;
        self.turns += environment.turns;
        if let Some((from, layer)) = &environment.last {
            self.last = Some((Arc::clone(from), above + layer));
        }
        let without = environment.without.iter();
        self.without.extend(without.map(|it| Without { use_of: it.use_of.shared(), ..it.clone() }));
        self
    }

    /// The fields that are said of a document, in the order in which they count: in one place, what
    /// names a document goes before what is said of many, and of these the last one counts.
    fn of(&self, named: &Named<'_>) -> Vec<&Override> {
        let Places { exact, wild } = self.index.0.get_or_init(|| {
            let mut places = Places::default();
            for (at, field) in self.fields.iter().enumerate() {
                match field.of.is_wild() {
                    true => places.wild.push(at),
                    false => places.exact.entry(field.of.text.clone()).or_default().push(at),
                }
            }
            places
        });
        let plain = format!("{}/{}", named.kind, named.name);
        let in_rooms = named.rooms.iter().map(|room| format!("{plain}@{room}"));
        let names = in_rooms.chain([plain.clone()]);
        let mut found: Vec<usize> =
            names.filter_map(|name| exact.get(&name)).flatten().copied().collect();
        found.extend(wild.iter().filter(|at| self.fields[**at].of.matches(named)));
        found.sort_unstable();
        found.dedup();
        let mut found: Vec<&Override> = found.into_iter().map(|at| &self.fields[at]).collect();
        found.sort_by_key(|field| field.rank());
        found
    }

    /// Leaves documents out.
    ///
    /// # Errors
    ///
    /// A pattern that is none.
    pub fn leave_out(&mut self, of: &str, mark: Mark) -> Result<(), Problem> {
        let problem = |(message, hint): (String, String)| {
            Problem { source_line: None, ..self.source.problem(mark, message) }.hint(hint)
        };
        let of = Pattern::parse(of).map_err(problem)?;
        self.without.push(Without { of, mark, use_of: Use::default() });
        Ok(())
    }

    /// Whether a document of these fields is left out.
    ///
    /// # Errors
    ///
    /// Only some of its objects are to be left out.
    pub(super) fn leaves_out(&self, root: &Node) -> Result<bool, Vec<Problem>> {
        let named = if self.without.is_empty() { None } else { Named::of_node(root) };
        let Some(named) = named else { return Ok(false) };
        let mut is_left_out = false;
        let mut problems = Vec::new();
        for without in &self.without {
            match without.of.meant(&named) {
                Meant::Nothing => continue,
                Meant::Part => problems.push(self.of_a_part(&without.of, without.mark, &named)),
                Meant::All => is_left_out = true,
            }
            without.use_of.make();
        }
        // Whoever leaves out all of it leaves out its parts.
        if is_left_out || problems.is_empty() { Ok(is_left_out) } else { Err(problems) }
    }

    /// The problem of a pattern that means some of the objects of a document, which are alike.
    fn of_a_part(&self, of: &Pattern, mark: Mark, named: &Named<'_>) -> Problem {
        let Named { kind, name, rooms } = named;
        let count = rooms.len();
        let message = format!(
            "`{}` is only a part of {kind}/{name}, one document for {count} rooms",
            of.text
        );
        self.problem(mark, message).hint(format!(
            "write {kind}/{name} for all of them, or a document of its own for that room"
        ))
    }

    /// Whether anything is said about a document of these fields.
    pub(super) fn concern(&self, root: &Json) -> bool {
        let named = if self.is_empty() { None } else { Named::of_json(root) };
        named.is_some_and(|named| {
            !self.of(&named).is_empty() || self.without.iter().any(|it| it.of.matches(&named))
        })
    }

    /// Puts the fields into the tree of a document.
    ///
    /// # Errors
    ///
    /// Fields that cannot be where they are said to be.
    pub(super) fn apply(&self, root: &mut Node) -> Result<(), Vec<Problem>> {
        let Some(of) = Named::of_node(root) else { return Ok(()) };
        let (kind, name) = (of.kind.to_owned(), of.name.clone().into_owned());
        let fields: Vec<(&Override, Meant)> =
            self.of(&of).into_iter().map(|field| (field, field.of.meant(&of))).collect();
        let of_parts = fields.iter().filter(|(_, meant)| *meant == Meant::Part);
        let mut problems: Vec<Problem> =
            of_parts.map(|(field, _)| self.of_a_part(&field.of, field.named, &of)).collect();
        // It is told once for all fields.
        problems.dedup();
        for (field, meant) in fields {
            field.use_of.make();
            if meant == Meant::Part {
                field.use_of.done();
                continue;
            }
            if kind == KindName::ServiceTemplate.to_string() {
                problems.push(self.refused_template(field, &name));
                continue;
            }
            if field.must_be && !is_there(root, &field.path.0) {
                problems.push(self.unknown_value(field, root, &format!("{kind}/{name}")));
                continue;
            }
            match put(root, &field.path.0, field.value.as_ref(), field.mark) {
                Ok(true) => field.use_of.done(),
                Ok(false) => {}
                Err(why) => {
                    let message = format!("`{}` of {kind}/{name}: {why}", field.path);
                    problems.push(self.problem(field.mark, message));
                }
            }
        }
        swept(root);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// The problem of the value of a secret that the document does not have.
    fn unknown_value(&self, field: &Override, root: &Node, document: &str) -> Problem {
        let value = match field.path.0.last() {
            Some(Step::Field(name)) => name.as_str(),
            _ => "",
        };
        let problem = self.problem(field.mark, format!("{document} has no value `{value}`"));
        let values = match root.get("data").map(|data| &data.value) {
            Some(Value::Map(entries)) => entries.iter().map(|(key, _)| key.text.as_str()).collect(),
            _ => Vec::new(),
        };
        problem.hint(match nearest(value, values.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write it into the manifest, or as `{}` into `overrides`", field.path),
        })
    }

    /// The problems of fields that are said of a template, whose text has them.
    pub(super) fn of_template(&self, name: &str) -> Vec<Problem> {
        let kind = KindName::ServiceTemplate.to_string();
        let named = Named { kind: &kind, name: name.into(), rooms: Vec::new() };
        let fields = self.fields.iter().filter(|field| field.of.matches(&named));
        fields.map(|field| self.refused_template(field, name)).collect()
    }

    fn refused_template(&self, field: &Override, name: &str) -> Problem {
        field.use_of.make();
        let message =
            format!("ServiceTemplate/{name} is a text, whose fields nothing else can say");
        self.problem(field.mark, message)
            .hint("override `values.NAME` of the service that the template becomes")
    }

    /// What says a field of a document, or anything below or above it: the place, and who.
    pub(super) fn saying(&self, root: &Node, path: &FieldPath) -> Option<&Override> {
        let named = Named::of_node(root)?;
        let is_it = |it: &&Override| {
            it.of.matches(&named)
                && (it.path.0.starts_with(&path.0) || path.0.starts_with(&it.path.0))
        };
        let said = self.fields.iter().filter(is_it);
        said.max_by_key(|field| field.rank())
    }

    /// What is said for nothing: of documents that are not in the set, and of fields that are to be
    /// taken out and are in none of them.
    #[must_use]
    pub fn unused(&self) -> Vec<Problem> {
        let fields = self.fields.iter().map(|it| (&it.of, it.named, &it.use_of));
        let without = self.without.iter().map(|it| (&it.of, it.mark, &it.use_of));
        let mut seen = BTreeSet::new();
        let unused = fields.chain(without).filter(|(_, _, use_of)| use_of.is_missing());
        let unused = unused.filter(|(of, ..)| seen.insert(of.text.clone()));
        let problem = |(of, mark, _): (&Pattern, Mark, &Use)| {
            self.problem(mark, format!("no document is {}", of.text))
                .hint("correct the name, or take this out")
        };
        let in_vain = self
            .fields
            .iter()
            .filter(|it| it.value.is_none() && !it.use_of.is_missing() && it.use_of.is_in_vain());
        let in_vain = in_vain.map(|it| {
            let what = format!("{} has no `{}` that could be taken out", it.of.text, it.path);
            self.problem(it.mark, what).hint("correct the path, or take this out")
        });
        unused.map(problem).chain(in_vain).collect()
    }

    /// Who says what is at a mark.
    pub(super) fn from(&self, mark: Mark) -> Option<&Override> {
        self.fields.get(usize::from(mark.over).checked_sub(1)?)
    }

    /// A problem of what is said. Its line is not shown: it may be a secret's.
    fn problem(&self, mark: Mark, message: String) -> Problem {
        Problem { source_line: None, ..self.source.problem(Mark { over: 0, ..mark }, message) }
    }

    /// Adds all that is said to the digest of a set.
    pub(super) fn digest(&self, digest: &mut Sha256) {
        let mut add = |text: &str| {
            digest.update(text.len().to_be_bytes());
            digest.update(text.as_bytes());
        };
        let mut fields: Vec<&Override> = self.fields.iter().collect();
        fields.sort_by_key(|field| field.turn);
        for field in fields {
            add(&field.of.text);
            add(&field.path.to_string());
            add(&field.value.as_ref().map(Node::to_json).unwrap_or_default().to_string());
        }
        self.without.iter().for_each(|it| add(&it.of.text));
    }
}

impl Override {
    /// The same at a place among all, by which its marks are found again.
    fn numbered(mut self, place: usize) -> Self {
        let over = u16::try_from(place + 1).unwrap_or(u16::MAX);
        self.mark.over = over;
        if let Some(value) = &mut self.value {
            marked(value, over);
        }
        self
    }

    /// How near it is to a document: of two, the later one counts.
    fn rank(&self) -> (usize, bool, usize) {
        (self.layer, !self.of.is_wild(), self.turn)
    }

    /// Who says it, such as `environment prod`.
    #[must_use]
    pub fn from(&self) -> &Arc<str> {
        &self.from
    }

    /// Where it is written.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { over: 0, ..self.mark }
    }
}

/// Whether there is anything at a path.
fn is_there(root: &Node, path: &[Step]) -> bool {
    let found = path.iter().try_fold(root, |node, step| match step {
        Step::Field(name) => node.get(name),
        _ => None,
    });
    found.is_some()
}

#[cfg(test)]
mod tests;
