//! Documents become a set: the objects that they declare together.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::agreement;
use super::brought::Brought;
use super::declared_in::{DeclaredIn, LookedAt, Places};
use super::document::{self, Document, Trees};
use super::form;
use super::lifecycle;
use super::located;
use super::placement::{self, Placement, Template, Templates};
use super::reach::Reach;
use super::sealing;
use super::secrets::{self, Literal};
use super::source::{self, Source};
use super::split::{self, Part};
use super::values::FileValues;
use super::walk::{self, Skipped, Why};
use crate::error::{Place, Problem};
use crate::kinds::document::{Lifecycle, OnDelete};
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{Declared, Fault, Key, KindName, OWNER_ANNOTATION};
use crate::listed::at_most;

/// Where an object comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The document that declares it.
    pub document: Arc<Document>,
    /// What a placed template made it from, such as ``variable `email` of Service/mail@lobby``.
    pub derived_from: Option<String>,
    /// The service that the template became, where it brought this object with it.
    pub brought: Option<Brought>,
}

impl Origin {
    /// The place of the document.
    #[must_use]
    pub fn place(&self) -> Place {
        let root = self.document.glance();
        let mark = root.entry("metadata").map_or(root.mark, |(key, _)| key.mark);
        self.document.source.place(mark)
    }

    /// The places of fields, where they are written in the document.
    #[must_use]
    pub fn places<'a>(&self, paths: impl Iterator<Item = &'a FieldPath>) -> Vec<Option<Place>> {
        if self.derived_from.is_some() || self.document.template.is_some() {
            return paths.map(|_| None).collect();
        }
        let root = self.document.glance();
        let mut places = located::Places::of(&root);
        let place = |path: &FieldPath| {
            let (mark, found) = places.locate(path);
            found.then(|| self.document.source.place(mark))
        };
        paths.map(place).collect()
    }
}

/// One object that the set wants.
#[derive(Debug, Clone)]
pub struct Desired {
    /// What it is.
    pub key: Key,
    /// Its fields.
    pub fields: Arc<Tree>,
    /// How the reconciler treats it.
    pub lifecycle: Lifecycle,
    /// Where it comes from.
    pub origin: Origin,
    /// The file of its document.
    pub declared_in: DeclaredIn,
}

impl Desired {
    /// Whether it may be deleted once its document is gone.
    #[must_use]
    pub fn is_orphaned(&self) -> bool {
        self.lifecycle.delete == OnDelete::Orphan
    }
}

/// All objects that the documents of one command declare.
#[derive(Debug, Default)]
pub struct Set {
    /// The objects, in the order of their keys.
    pub objects: BTreeMap<Key, Desired>,
    /// What the user should know and need not act on.
    pub notes: Vec<String>,
    /// The values that have no text here, where a plan is made without them.
    pub not_read: Vec<Problem>,
    /// The values that were named one by one and that no template uses.
    pub unread_values: Vec<Problem>,
    /// SHA-256 over the rendered texts, in order, as hex.
    pub digest: String,
    /// How many documents were read.
    pub documents: usize,
    /// What was looked at for documents.
    pub looked_at: LookedAt,
    /// Whether standard input was given and declares nothing, as a failed command in a pipe
    /// would have it.
    pub is_input_empty: bool,
    /// The project that the user named for documents that name none.
    pub named_project: Option<String>,
    /// What was left out on purpose below the folders that were read.
    pub skipped: Vec<Skipped>,
    /// Which files the documents may name.
    pub reach: Reach,
}

impl Set {
    /// Adds an object; one that is declared already is a problem.
    pub fn add(&mut self, desired: Desired, problems: &mut Vec<Problem>) {
        insert(self, desired.key.clone(), desired, problems);
    }

    /// What was left out and is not read in another way: secrets are read from files.
    #[must_use]
    pub fn passed_over(&self, skipped: &[Skipped]) -> Vec<Skipped> {
        let mut left = skipped.to_vec();
        if left.iter().any(|skipped| skipped.why == Why::Suffix) {
            let named = secrets::files(&self.objects);
            left.retain(|it| !it.path.canonicalize().is_ok_and(|path| named.contains(&path)));
        }
        left
    }
}

/// What a set is read from.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// Files, folders, or `-`.
    pub paths: Vec<PathBuf>,
    /// Values for `*.j2` files.
    pub values: FileValues,
    /// Folders of which files may be read, too.
    pub allowed_folders: Vec<PathBuf>,
    /// The project of documents that name none; it goes before a `Project` document of
    /// the set.
    pub project: Option<String>,
    /// The project of documents that name none when the set has not exactly one `Project`
    /// document.
    pub fallback_project: Option<String>,
}

impl Input {
    /// Which files may be read.
    #[must_use]
    pub fn reach(&self) -> Reach {
        Reach::of(&self.paths, &self.allowed_folders)
    }
}

/// Reads a set: every file, every document, every reference between documents.
///
/// # Errors
///
/// Every problem of every file, in the order of files and lines.
pub fn read(input: &Input) -> Result<Set, Vec<Problem>> {
    let reading = source::read(&input.paths, &input.values, &input.reach());
    let mut set = from_sources(&reading.sources, reading.problems, input)?;
    set.notes.extend(reading.notes);
    set.not_read = reading.not_read;
    let passed_over = set.passed_over(&reading.skipped);
    set.notes.extend(walk::summary(&passed_over));
    set.notes.extend(unused_values(&input.values.unused(&reading.used_values)));
    set.unread_values = input.values.unread(&reading.used_values);
    let skipped = reading.skipped.iter().filter(|skipped| skipped.why != Why::Again);
    let skipped = skipped.map(|skipped| skipped.path.as_path());
    set.looked_at = set.looked_at.without(skipped);
    set.skipped = passed_over;
    Ok(set)
}

/// What is said of values that were given and that no template uses.
fn unused_values(names: &[String]) -> Option<String> {
    let shown = at_most(8, names.iter().map(|name| format!("`{name}`")));
    let (of, is) = if names.len() == 1 { ("value", "is") } else { ("values", "are") };
    (!names.is_empty()).then(|| {
        format!(
            "the {of} {shown} {is} given, and no template (*.j2) uses {it}",
            it = if names.len() == 1 { "it" } else { "them" }
        )
    })
}

/// Reads a set whose texts are known, with what was wrong with them so far.
///
/// # Errors
///
/// As [`read`].
pub fn from_sources(
    sources: &[Arc<Source>],
    mut problems: Vec<Problem>,
    input: &Input,
) -> Result<Set, Vec<Problem>> {
    let mut digest = Sha256::new();
    for source in sources {
        digest_of(source, &mut digest);
    }
    let (documents, found) = read_documents(sources);
    problems.extend(found);
    let mut set = Set {
        digest: digest
            .finalize()
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")),
        documents: documents.len(),
        looked_at: LookedAt::new(&input.paths),
        is_input_empty: sources.iter().any(|source| source.name == "-")
            && !documents.iter().any(|(document, _)| document.source.name == "-"),
        named_project: input.project.clone(),
        reach: input.reach(),
        ..Set::default()
    };
    set.notes.extend(sources.iter().flat_map(|source| split::older_versions(source)));
    declare_all(&mut set, documents, input, &mut problems);
    if problems.is_empty() {
        return Ok(set);
    }
    problems.sort_by(|one, other| one.place.cmp(&other.place));
    // One document may stand for several objects.
    problems.dedup();
    Err(problems)
}

/// Adds a text to the digest. In the places of sealed variables stand signs: whoever reads the
/// digest could try guesses. That one of them changed shows in the fields.
fn digest_of(source: &Source, digest: &mut Sha256) {
    digest.update(source.text.len().to_be_bytes());
    digest.update(source.text.as_bytes());
}

/// A document, with what it declares where that is known before the others are read.
type Read = (Arc<Document>, Option<Early>);

/// Reads the documents of all sources, in order. Each stands by itself until then, so that
/// large sets are read on all processors.
fn read_documents(sources: &[Arc<Source>]) -> (Vec<Read>, Vec<Problem>) {
    let bytes: usize = sources.iter().map(|source| source.text.len()).sum();
    let trees = if bytes <= HELD_BYTES { Trees::Held } else { Trees::Spared };
    let parts: Vec<_> = sources
        .iter()
        .flat_map(|source| split::split(&source.text).into_iter().map(move |part| (source, part)))
        .collect();
    let read = |parts: &[(&Arc<Source>, Part<'_>)]| {
        let mut documents = Vec::new();
        let mut problems = Vec::new();
        for (source, part) in parts {
            match document::read_part(source, part, trees) {
                Ok(None) => {}
                Ok(Some((document, value))) => {
                    let declared = Early::of(&document, &value);
                    documents.push((Arc::new(document), declared));
                }
                Err(found) => problems.extend(found),
            }
        }
        (documents, problems)
    };
    let threads = match thread::available_parallelism() {
        Ok(threads) if bytes > BYTES_WORTH_THREADS => threads.get(),
        _ => 1,
    };
    // Whoever is done with a share takes the next, because no two take the same time.
    let shares: Vec<_> = parts.chunks(parts.len().div_ceil(threads * SHARES).max(1)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let take = || next.fetch_add(1, Ordering::Relaxed);
        let taken = std::iter::from_fn(|| Some(take()).filter(|index| *index < shares.len()));
        taken.map(|index| (index, read(shares[index]))).collect::<Vec<_>>()
    };
    let mut all = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    });
    all.sort_by_key(|(index, _)| *index);
    let mut read = (Vec::with_capacity(parts.len()), Vec::new());
    for (_, (documents, problems)) in all {
        read.0.extend(documents);
        read.1.extend(problems);
    }
    read
}

/// Into how many shares the work of each thread is cut.
const SHARES: usize = 16;

/// From how many bytes of text on it is quicker to start threads than to go on alone.
const BYTES_WORTH_THREADS: usize = 128 * 1024;

/// Up to how many bytes of text the trees of all documents are held, which take some thirty
/// times as much. Those of a larger set are read again where a place in them is wanted.
const HELD_BYTES: usize = 1024 * 1024;

/// What a document declares by itself, known before the others are read.
struct Early(Result<Vec<Declared>, Vec<Fault>>);

impl Early {
    /// `None` where templates have a say.
    fn of(document: &Document, value: &Value) -> Option<Self> {
        let is_alone = document.template.is_none() && value.get("template").is_none();
        is_alone.then(|| Self(document.kind.declare(value)))
    }
}

/// One declared object with where it comes from, before its project is known.
pub(super) struct Found {
    pub declared: Declared,
    pub kind: KindName,
    pub origin: Origin,
}

/// The place of each document among all that were read.
type Order = HashMap<*const Document, usize>;

fn declare_all(set: &mut Set, documents: Vec<Read>, input: &Input, problems: &mut Vec<Problem>) {
    let order = documents.iter().map(|(document, _)| Arc::as_ptr(document));
    let order: Order = order.enumerate().map(|(index, document)| (document, index)).collect();
    let mut templates = templates(documents.iter().map(|(document, _)| document), problems);
    let mut found = Vec::new();
    let mut placed: Vec<Arc<Document>> = Vec::new();
    for (document, declared) in documents {
        if declared.is_none()
            && let Some(placement) = Placement::of(&document, &templates)
        {
            if let Ok(placement) = &placement {
                placed.push(Arc::clone(placement.template));
            }
            match placement.and_then(|placement| placement::place(&placement, &mut set.notes)) {
                Ok(placed) => found.extend(placed),
                Err(faults) => problems.extend(faults),
            }
            continue;
        }
        let early = declared.map(|Early(declared)| declared);
        match early.unwrap_or_else(|| document.kind.declare(&document.root().to_json())) {
            Ok(declared) => found.extend(declared.into_iter().map(|declared| Found {
                declared,
                kind: document.kind.name(),
                origin: Origin {
                    document: Arc::clone(&document),
                    derived_from: None,
                    brought: None,
                },
            })),
            Err(faults) => {
                let sealed = sealing::sealed_ports(&document);
                problems.extend(match sealed.is_empty() {
                    true => placement::problems_of(&document, faults),
                    false => sealed,
                });
            }
        }
    }
    templates.retain(|_, template| {
        !placed.iter().any(|document| Arc::ptr_eq(document, &template.document))
    });
    problems.extend(templates.into_values().filter_map(|template| template.unplaceable));
    let projects: Vec<_> = found.iter().filter(|found| found.kind == KindName::Project).collect();
    let only_project = match projects.as_slice() {
        [only] => Some(only.declared.name.clone()),
        _ => None,
    };
    let are_several = projects.len() > 1;
    let default_project =
        input.project.clone().or(only_project).or_else(|| input.fallback_project.clone());
    // Explicit documents go before derived ones, so that they win.
    found.sort_by_key(|found| found.origin.derived_from.is_some());
    let mut places = Places::default();
    let mut files: HashMap<String, DeclaredIn> = HashMap::new();
    let mut last = std::ptr::null();
    for found in found {
        problems.extend(form::problems(&found));
        // In each room of a service it is the same.
        let document = Arc::as_ptr(&found.origin.document);
        if std::mem::replace(&mut last, document) != document {
            problems.extend(lifecycle::problems(&found));
        }
        let Found { mut declared, kind, origin } = found;
        problems.extend(sealing::seal(&mut declared, &origin));
        problems.extend(owner_problem(&declared, &origin));
        for literal in secrets::empty_literals(&declared.fields, &origin, kind) {
            match literal {
                Literal::Rendered(problem) => problems.push(problem),
                Literal::Written(note) => set.notes.push(note),
            }
        }
        let is_of_none = declared.project.is_none() && kind != KindName::Project;
        let project = match (kind, declared.project.or_else(|| default_project.clone())) {
            (KindName::Project, _) => declared.name.clone(),
            (_, Some(project)) => project,
            (_, None) => {
                problems.push(origin.document.problem_at(&FieldPath::default(), "the document is of no project").hint(
                    "write `project: NAME`, add a Project document, give --project-id, or set MESHAGENT_PROJECT_ID",
                ));
                continue;
            }
        };
        let key = Key { kind, project, room: declared.room, name: declared.name };
        let file = &origin.document.source.name;
        let declared_in = match files.get(file) {
            Some(known) => known.clone(),
            None => files.entry(file.clone()).or_insert_with(|| places.of_source(file)).clone(),
        };
        let desired = Desired {
            key: key.clone(),
            fields: Arc::new(declared.fields),
            lifecycle: declared.lifecycle,
            origin,
            declared_in,
        };
        let told = problems.len();
        let project =
            format!("`project: NAME` says of which one it is, else it is `{}`", key.project);
        insert(set, key, desired, problems);
        if let Some(twice) = problems.get_mut(told).filter(|_| is_of_none && are_several) {
            twice.hint.get_or_insert(format!("the set has several projects; {project}"));
        }
    }
    problems.extend(shared_names(set, &order));
    problems.extend(agreement::purposes(set));
}

/// Two objects of one name, in two projects, where a name is one on the whole platform. The
/// first is the one that is read first.
fn shared_names(set: &Set, order: &Order) -> Vec<Problem> {
    let objects = set.objects.values().filter(|it| it.key.kind.kind().is_unique_everywhere());
    let mut objects: Vec<&Desired> = objects.collect();
    objects.sort_by_key(|it| order.get(&Arc::as_ptr(&it.origin.document)));
    let mut first: BTreeMap<Key, &Desired> = BTreeMap::new();
    let mut problems = Vec::new();
    for desired in objects {
        match first.entry(desired.key.claim()) {
            Entry::Vacant(free) => drop(free.insert(desired)),
            Entry::Occupied(first) => {
                problems.push(twice(first.get(), desired, problems.len()).hint(
                    "one name is one object on the whole platform, in whatever project it is",
                ))
            }
        }
    }
    problems
}

/// How many problems of a set are told with their places in the documents. Thousands that are
/// alike are counted.
const DETAILED: usize = 1_000;

/// A document that declares what another one declares, after so many problems.
fn twice(first: &Desired, desired: &Desired, problems: usize) -> Problem {
    if problems >= DETAILED {
        let message = format!("{} is declared twice", desired.key);
        return desired.origin.document.problem_in_brief(message);
    }
    let message = format!("{} is declared twice, first at {}", desired.key, first.origin.place());
    desired.origin.document.problem_at(&FieldPath::of(&["metadata", "name"]), message)
}

/// The mark of who owns an object is not the manifest's to set.
fn owner_problem(declared: &Declared, origin: &Origin) -> Option<Problem> {
    let path = FieldPath::of(&["metadata", "annotations", OWNER_ANNOTATION]);
    declared.fields.at(&path)?;
    let message = format!(
        "the annotation `{OWNER_ANNOTATION}` says which set owns an object, and only the program sets it"
    );
    Some(origin.document.problem_at(&path, message).hint("take it out; --set names the set"))
}

fn insert(set: &mut Set, key: Key, desired: Desired, problems: &mut Vec<Problem>) {
    let Some(first) = set.objects.get(&key) else {
        set.objects.insert(key, desired);
        return;
    };
    match (&first.origin.derived_from, &desired.origin.derived_from) {
        (None, Some(derived)) => {
            set.notes.push(format!("{key} is declared at {}, so what {derived} implies is left out", first.origin.place()));
        }
        (Some(one), Some(other)) => problems.push(
            desired.origin.document.problem_at(
                &FieldPath::of(&["values"]),
                format!("{key} follows from {one} and from {other}"),
            )
            .hint("give the placements different values, or turn one off with `lifecycle: {derive: false}`"),
        ),
        _ => problems.push(twice(first, &desired, problems.len())),
    }
}

/// What is wrong with the name of a template. One that places itself is checked with the
/// service that it becomes, and one whose name is a value once it has that.
fn name_problem(document: &Document, name: &str) -> Option<Problem> {
    let text = document.template.as_ref()?;
    let is_of_value = name.is_empty() && super::template::written_name(&text.text).is_none();
    if is_of_value || Placement::is_placed(document) {
        return None;
    }
    let message = KindName::ServiceTemplate.kind().name_rule().rule.check(name).err()?;
    Some(document.problem_at_mark(document.name_mark(), format!("`metadata.name` {message}")))
}

/// The templates of the set by name. Each is rendered with no values, as installers do, so
/// that the mistakes of those that nothing places are found too.
fn templates<'a>(
    documents: impl Iterator<Item = &'a Arc<Document>>,
    problems: &mut Vec<Problem>,
) -> Templates {
    let mut templates = Templates::new();
    for document in documents {
        let Some(text) = &document.template else { continue };
        let (name, unplaceable) =
            match super::template::render(&text.text, &super::template::Values::new()) {
                Ok(spec) => (spec.metadata.name, None),
                Err(error) => {
                    let problem = placement::render_problem(document, &error);
                    match super::template::written_name(&text.text) {
                        Some(name) => (name, Some(problem)),
                        None => {
                            problems.push(problem);
                            continue;
                        }
                    }
                }
            };
        problems.extend(name_problem(document, &name));
        if let Some(first) = templates.get(&name) {
            let message =
                format!("ServiceTemplate/{name} is declared twice, first at {}", first.place());
            problems.push(document.problem_at(&FieldPath::default(), message));
        } else {
            templates.insert(name, Template { document: Arc::clone(document), unplaceable });
        }
    }
    templates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[String]) -> Result<Set, Vec<Problem>> {
        let sources: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let name = format!("{index:02}.yaml");
                Arc::new(Source::new(name, PathBuf::new(), text.clone()))
            })
            .collect();
        let input = Input { project: Some("p".to_owned()), ..Input::default() };
        from_sources(&sources, Vec::new(), &input)
    }

    fn rooms(file: usize, count: usize) -> String {
        let room = |index| {
            format!("version: v1\nkind: Room\nmetadata: {{name: room-{file:02}-{index:04}}}\n")
        };
        (0..count).map(room).collect::<Vec<_>>().join("---\n")
    }

    #[test]
    fn a_set_means_the_same_however_large_it_is() {
        for count in [1, 100, 1_000] {
            let mut texts: Vec<String> = (0..40).map(|file| rooms(file, count)).collect();
            let bytes: usize = texts.iter().map(String::len).sum();
            // Alone with places, in threads with places, in threads without.
            match count {
                1 => assert!(bytes <= BYTES_WORTH_THREADS),
                100 => assert!(bytes > BYTES_WORTH_THREADS && bytes <= HELD_BYTES),
                _ => assert!(bytes > HELD_BYTES),
            }
            let set = read(&texts).unwrap();
            assert_eq!((set.documents, set.objects.len()), (40 * count, 40 * count));
            let last = set.objects.values().next_back().unwrap();
            let line = 4 * (count - 1) + 3;
            assert_eq!(last.origin.place().to_string(), format!("39.yaml:{line}:1"));

            for file in [33, 7, 20] {
                texts[file] += "---\nversion: v1\nkind: Rom\nmetadata: {name: a}\n";
            }
            let problems = read(&texts).unwrap_err();
            let places: Vec<_> = problems
                .iter()
                .map(|problem| problem.place.as_ref().unwrap().to_string())
                .collect();
            let line = 4 * count + 2;
            let expected = ["07", "20", "33"].map(|file| format!("{file}.yaml:{line}:7"));
            assert_eq!(places, expected);
        }
    }
}
