//! Documents become a set: the objects that they declare together.
//!
//! Lives here: the set and its objects, how documents are read side by side, and what they declare
//! together. Must not: what a single document means, which is `document`'s and the kinds'.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use self::declaring::declare_all;
use self::documents::read_documents;
use self::taken_along::TakenAlong;
use super::beside;
use super::brought::Brought;
use super::declared_in::{DeclaredIn, LookedAt, stream};
use super::document::Document;
use super::imported::{self, Imported};
use super::located;
use super::overrides::Overrides;
use super::reach::Reach;
use super::secrets;
use super::source::{self, Reading, Source};
use super::split;
use super::values::FileValues;
use super::walk::{self, Skipped, Why};
use crate::error::{Place, Problem, RENDERED};
use crate::kinds::document::{Lifecycle, OnDelete, ReadFrom};
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName};
use crate::listed::{at_most, few};

pub(super) use self::declaring::Found;

mod declaring;
mod documents;
mod taken_along;
mod templates;
mod unique;

/// The field that [`Origin::value_at`] is about.
const VALUE: &str = "value";

/// Where an object comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The document that declares it.
    pub document: Arc<Document>,
    /// What a placed template made it from, such as ``variable `email` of Service/mail@lobby``.
    pub derived_from: Option<String>,
    /// The service that the template became, where it brought this object with it.
    pub brought: Option<Brought>,
    /// The field of the document that is this object's `value`, where it is one of several that came
    /// of the document.
    pub value_at: Option<FieldPath>,
}

impl Origin {
    /// The kind of the document. What it declares may be of another one.
    #[must_use]
    pub fn kind(&self) -> KindName {
        self.document.kind.name()
    }

    /// The place of the document.
    #[must_use]
    pub fn place(&self) -> Place {
        self.document.source.place(self.document.metadata_mark())
    }

    /// The place of a field; that of its object where the field is not written.
    #[must_use]
    pub fn place_of(&self, path: &FieldPath) -> Place {
        let exact = self.places(std::iter::once(path)).pop().flatten();
        exact.unwrap_or_else(|| self.place())
    }

    /// Whether its document has a field.
    #[must_use]
    pub fn has(&self, path: &FieldPath) -> bool {
        located::locate(&self.written(path), &self.document.root()).1
    }

    /// The field of the document that says what is in a field of the object.
    pub(super) fn written<'a>(&self, path: &'a FieldPath) -> Cow<'a, FieldPath> {
        if let (Some(value), Some((Step::Field(first), rest))) =
            (&self.value_at, path.0.split_first())
            && first == VALUE
        {
            return Cow::Owned(rest.iter().cloned().fold(value.clone(), |path, it| path.join(it)));
        }
        let kind = self.document.kind;
        let made_of = kind.made_of(path).filter(|it| self.document.has(it));
        made_of.or_else(|| kind.written_at(path)).map_or(Cow::Borrowed(path), Cow::Owned)
    }

    /// A problem with a field, or with what is nearest to it in the document.
    #[must_use]
    pub fn problem_at(&self, path: &FieldPath, message: impl Into<String>) -> Problem {
        self.document.problem_at(&self.written(path), message)
    }

    /// The field that says the room of an object that is in one.
    #[must_use]
    pub fn room_field(&self, room: Option<&str>) -> FieldPath {
        let document = self.document.root().to_json();
        let rooms = document.get("rooms").and_then(|rooms| rooms.as_array());
        let is_it = |named: &Value| named.as_str().is_some_and(|named| Some(named) == room);
        match rooms.into_iter().flatten().position(is_it) {
            Some(index) => FieldPath::of(&["rooms"]).join(Step::Index(index)),
            None => FieldPath::of(&["room"]),
        }
    }

    /// The places of fields, where they are written in the document.
    #[must_use]
    pub fn places<'a>(&self, paths: impl Iterator<Item = &'a FieldPath>) -> Vec<Option<Place>> {
        if self.derived_from.is_some() || self.document.template.is_some() {
            return paths.map(|_| None).collect();
        }
        let root = self.document.root_for_places();
        let mut places = located::Places::of(&root);
        let place = |path: &FieldPath| {
            let (mark, found) = places.locate(&self.written(path));
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
    /// The file of its document; of what was recorded, all that declared it then.
    pub declared_in: Vec<DeclaredIn>,
    /// Where its secrets were read from, by their fields, once they were.
    pub sources: Sources,
    /// The bytes of which its fields have just the digest.
    pub content: Option<Arc<[u8]>>,
}

/// Where the secrets of an object were read from, by their fields.
pub type Sources = BTreeMap<String, ReadFrom>;

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
    /// Standard input or a pipe, where it was given and declares nothing, as a failed command
    /// would have it.
    pub empty_input: Option<&'static str>,
    /// The project that the user named for documents that name none.
    pub named_project: Option<String>,
    /// What was left out on purpose below the folders that were read.
    pub skipped: Vec<Skipped>,
    /// Which files the documents may name.
    pub reach: Reach,
    /// The files that documents named and whose texts they declare.
    pub beside: beside::Read,
}

impl Set {
    /// Adds an object; one that is declared already is a problem.
    pub fn add(&mut self, desired: Desired, problems: &mut Vec<Problem>) {
        unique::insert(self, desired.key.clone(), desired, problems);
    }

    /// What was left out and is not read in another way: secrets are read from files.
    #[must_use]
    pub fn passed_over(&self, skipped: &[Skipped]) -> Vec<Skipped> {
        let mut left = skipped.to_vec();
        if left.iter().any(|skipped| skipped.why == Why::Suffix) {
            let mut named = secrets::files(&self.objects);
            named.extend(self.beside.files.iter().cloned());
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
    /// What the project file says of the documents.
    pub over: Option<Arc<Overrides>>,
    /// The sources that the project file names.
    pub imported: Vec<Arc<Imported>>,
    /// The project file, if all of its sources are read, and be they none.
    pub sources_of: Option<PathBuf>,
}

impl Input {
    /// Which files may be read.
    #[must_use]
    pub fn reach(&self) -> Reach {
        Reach::of(&self.paths, &self.allowed_folders)
    }

    /// Reads the texts that hold documents: those of files, and those of sources.
    #[must_use]
    pub fn texts(&self) -> Reading {
        let mut reading = source::read(&self.paths, &self.values, &self.reach());
        if let Some(over) = &self.over {
            for source in &mut reading.sources {
                Arc::make_mut(source).over = Some(Arc::clone(over));
            }
        }
        self.imported.iter().for_each(|imported| imported::read(imported, &mut reading));
        reading
    }

    /// The fields that the project file says of documents that are not there.
    fn unused(&self) -> Vec<Problem> {
        let of_imported = self.imported.iter().filter_map(|imported| imported.over.as_ref());
        self.over.iter().chain(of_imported).flat_map(|over| over.unused()).collect()
    }

    /// What is looked at for documents.
    fn looked_at(&self) -> LookedAt {
        let looked_at = LookedAt::new(&self.paths);
        match &self.sources_of {
            Some(project_file) => looked_at.with_sources_of(project_file),
            None => looked_at,
        }
    }
}

/// Reads a set: every file, every document, every reference between documents.
///
/// # Errors
///
/// Every problem of every file, in the order of files and lines.
pub fn read(input: &Input) -> Result<Set, Vec<Problem>> {
    let reading = input.texts();
    let mut set = from_sources(&reading.sources, reading.problems, input)?;
    let mut unused = input.unused();
    unused.extend(input.values.unread_given(&reading.used_values));
    if !unused.is_empty() {
        return Err(unused);
    }
    set.notes.extend(reading.notes);
    set.notes.extend(nested(&reading.skipped, &input.paths));
    set.not_read = reading.not_read;
    let passed_over = set.passed_over(&reading.skipped);
    set.notes.extend(walk::summary(&passed_over));
    set.notes.extend(unused_values(&input.values.unused(&reading.used_values)));
    set.unread_values = input.values.unread(&reading.used_values);
    let skipped = reading.skipped.iter().filter(|skipped| skipped.why != Why::Again);
    let skipped = skipped.map(|skipped| skipped.path.as_path());
    set.looked_at = set.looked_at.without(skipped);
    set.skipped = passed_over;
    // Nobody here can do anything about these, so they are only listed on request.
    set.skipped.extend(reading.skipped_inside);
    Ok(set)
}

/// What is said of project files in folders below those that are given: what is beside them belongs
/// to their sets, too.
fn nested(skipped: &[Skipped], given: &[PathBuf]) -> Option<String> {
    let is_given = |folder: &Path| {
        let plain = |path: &Path| {
            path.components().filter(|it| *it != Component::CurDir).collect::<PathBuf>()
        };
        given.iter().any(|path| plain(path) == plain(folder))
    };
    let files = skipped.iter().filter(|it| it.why == Why::ProjectFile).map(|it| &it.path);
    let nested = files.filter(|file| file.parent().is_some_and(|folder| !is_given(folder)));
    let nested: Vec<String> =
        nested.map(|file| file.strip_prefix(".").unwrap_or(file).display().to_string()).collect();
    (!nested.is_empty()).then(|| {
        format!(
            "manifests beside another project file are read here, too: {}; a line in .meshagentignore leaves its folder out",
            few(nested)
        )
    })
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
    let mut said: Vec<&Arc<Overrides>> = sources.iter().filter_map(|it| it.over.as_ref()).collect();
    said.dedup_by(|one, other| Arc::ptr_eq(one, other));
    said.iter().for_each(|over| over.digest(&mut digest));
    let (mut documents, found) = read_documents(sources);
    problems.extend(found);
    let taken_along = TakenAlong::of(input, sources, &mut documents, &mut problems);
    let mut set = Set {
        digest: digest
            .finalize()
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")),
        documents: documents.len(),
        looked_at: input.looked_at().without(taken_along.files.iter().map(PathBuf::as_path)),
        empty_input: sources.iter().find_map(|source| {
            let is_its = |document: &Document| Arc::ptr_eq(&document.source, source);
            let is_empty = !documents.iter().any(|(document, _)| is_its(document));
            // What a command before may have failed to write.
            stream(&source.name).filter(|_| is_empty)
        }),
        named_project: input.project.clone(),
        reach: input.reach(),
        ..Set::default()
    };
    set.notes.extend(sources.iter().flat_map(|source| split::older_versions(source)));
    // As an editor leaves a file for a moment while it writes it. Where nothing at all is declared,
    // that is refused.
    let is_blank = |source: &&Arc<Source>| {
        source.text.trim().is_empty()
            && stream(&source.name).is_none()
            && !source.name.ends_with(RENDERED)
    };
    let blank: Vec<&str> =
        sources.iter().filter(is_blank).map(|source| source.name.as_str()).collect();
    if !blank.is_empty() && set.documents > 0 {
        let (is, declares) = if blank.len() == 1 { ("is", "declares") } else { ("are", "declare") };
        set.notes.push(format!("{} {is} empty, and {declares} nothing", few(blank)));
    }
    set.notes.extend(taken_along.notes());
    declare_all(&mut set, documents, input, &mut problems);
    problems.extend(taken_along.shown_secrets(&set));
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

#[cfg(test)]
mod tests {
    use super::documents::{BYTES_WORTH_THREADS, HELD_BYTES};
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
    fn the_place_of_an_object_is_that_of_its_metadata() {
        let padding = rooms(99, HELD_BYTES / 50);
        for (text, line, column) in [
            ("version: v1\nkind: Room\nmetadata: {name: a}\n", 3, 1),
            ("version: v1\nkind: Room\nmetadata:\n  name: a\n# metadata: no\n", 3, 1),
            ("{version: v1, kind: Room, metadata: {name: a, annotations: {\nmetadata: x}}}", 1, 27),
            (
                "version: v1\nkind: Room\n\"metadata\": {name: b, annotations: {\nmetadata: x}}\n",
                3,
                1,
            ),
            ("version: v1\nkind: Room\nmetadata: {name: b, annotations: {\nmetadata: x}}\n", 3, 1),
        ] {
            // With trees that are held, and without.
            for more in [String::new(), padding.clone()] {
                let set = read(&[text.to_owned(), more]).unwrap();
                let object = set.objects.values().find(|it| it.key.name.len() == 1).unwrap();
                assert_eq!(object.origin.place().to_string(), format!("00.yaml:{line}:{column}"));
            }
        }
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
