//! What documents take along from beside their manifests is for what they declare: it is no
//! manifest of the set, and nothing secret is shown by it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::super::beside;
use super::super::source::Source;
use super::super::yaml;
use super::documents::Read;
use super::{Input, Set, secrets};
use crate::error::{Place, Problem, RENDERED};
use crate::listed::few;

/// The manifests below folders that documents take along.
pub(super) struct TakenAlong {
    /// The folders, where they really are.
    folders: BTreeSet<PathBuf>,
    /// The same of sources: the name of each, and the folder in it.
    packed: BTreeSet<(String, String)>,
    /// What the user gave by itself, which is meant as a manifest wherever it is.
    given: BTreeSet<PathBuf>,
    /// The files with documents of secrets, where they really are.
    secret: BTreeSet<PathBuf>,
    /// The same of sources: the name of each, and the path in it.
    packed_secret: BTreeSet<(String, String)>,
    /// The manifests in the folders, by their names.
    pub files: Vec<PathBuf>,
    /// The files with no document in them that documents name, such as rows of a table in JSON.
    named: Vec<String>,
}

/// The files that documents name.
#[derive(Default)]
struct NamedFiles {
    /// Where they really are.
    files: BTreeSet<PathBuf>,
    /// The same of sources: the name of each, and the path in it.
    packed: BTreeSet<(String, String)>,
}

impl NamedFiles {
    /// Whether a text is of one of them, and was not given by itself.
    fn has(&self, source: &Source, given: &BTreeSet<PathBuf>) -> bool {
        match &source.inside {
            Some(inside) => {
                let named = (inside.of.name.clone(), inside.path.clone());
                !self.packed.is_empty() && self.packed.contains(&named)
            }
            None if self.files.is_empty() => false,
            None => real(&source.name)
                .is_some_and(|real| self.files.contains(&real) && !given.contains(&real)),
        }
    }
}

/// Whether a text can be read, and no document is in it that says its kind. One that cannot be read
/// may be a manifest, whose objects must not be taken for gone.
fn is_no_manifest(source: &Source) -> bool {
    yaml::parse(&source.text)
        .is_ok_and(|documents| documents.iter().all(|document| document.get("kind").is_none()))
}

/// Where a file really is; a link is where it stands, wherever it leads.
fn standing(name: &str) -> Option<PathBuf> {
    let path = Path::new(name.trim_end_matches(RENDERED));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
    path.symlink_metadata().is_ok().then(|| path.file_name().map(|name| folder.join(name)))?
}

/// Where a source really is.
fn real(name: &str) -> Option<PathBuf> {
    Path::new(name.trim_end_matches(RENDERED)).canonicalize().ok()
}

impl TakenAlong {
    /// Takes what documents take along out of the manifests of a set.
    pub(super) fn of(
        input: &Input,
        sources: &[std::sync::Arc<Source>],
        documents: &mut Vec<Read>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let reach = input.reach();
        let named = documents
            .iter()
            .filter(|(document, declared)| declared.is_none() && document.template.is_none());
        let mut folders = BTreeSet::new();
        let mut packed = BTreeSet::new();
        let mut beside = NamedFiles::default();
        for (document, _) in named {
            let value = document.root().to_json();
            match &document.source.inside {
                Some(inside) => {
                    let of = |path| (inside.of.name.clone(), path);
                    packed.extend(beside::packed_folders(document, &value).into_iter().map(of));
                    beside
                        .packed
                        .extend(beside::packed_files(document, &value).into_iter().map(of));
                }
                None => {
                    folders.extend(beside::folders(document, &value, &reach));
                    beside.files.extend(beside::files(document, &value, &reach));
                }
            }
        }
        let given = input.paths.iter().filter_map(|path| path.canonicalize().ok());
        let mut taken = Self {
            folders,
            packed,
            given: given.collect(),
            secret: BTreeSet::new(),
            packed_secret: BTreeSet::new(),
            files: Vec::new(),
            named: Vec::new(),
        };
        // Most sets take nothing along, and their files are not looked at again.
        if documents.iter().any(|(document, declared)| {
            declared.is_none() && document.kind.declares() != document.kind.name()
        }) {
            let secret = documents.iter().filter(|(it, _)| it.kind.is_for_secrets());
            for (document, _) in secret {
                match &document.source.inside {
                    Some(inside) => {
                        taken.packed_secret.insert((inside.of.name.clone(), inside.path.clone()))
                    }
                    None => real(&document.source.name).is_some_and(|it| taken.secret.insert(it)),
                };
            }
        }
        if !taken.folders.is_empty() || !taken.packed.is_empty() {
            let inside = sources.iter().filter(|source| taken.has(source));
            let inside: BTreeSet<&str> = inside.map(|source| source.name.as_str()).collect();
            documents.retain(|(document, _)| !inside.contains(document.source.name.as_str()));
            let is_elsewhere = |place: &Place| {
                !inside.contains(place.file.as_str()) && !taken.has_file(&place.file)
            };
            problems.retain(|it| match &it.place {
                Some(place) => is_elsewhere(place),
                // What has no lines, such as a link, is told with its name alone.
                None => !it.message.split_once(": ").is_some_and(|(file, _)| taken.has_file(file)),
            });
            let of_sources = sources.iter().filter(|source| source.inside.is_some());
            let of_sources: BTreeSet<&str> = of_sources.map(|it| it.name.as_str()).collect();
            let names = inside.iter().filter(|name| !of_sources.contains(**name));
            taken.files = names.map(|name| name.trim_end_matches(RENDERED).into()).collect();
        }
        let declaring: BTreeSet<&str> =
            documents.iter().map(|(document, _)| document.source.name.as_str()).collect();
        let is_data = |source: &&std::sync::Arc<Source>| {
            !declaring.contains(source.name.as_str())
                && beside.has(source, &taken.given)
                && is_no_manifest(source)
        };
        let data: BTreeSet<&str> =
            sources.iter().filter(is_data).map(|source| source.name.as_str()).collect();
        let is_elsewhere = |place: &Place| !data.contains(place.file.as_str());
        problems.retain(|it| it.place.as_ref().is_none_or(is_elsewhere));
        taken.named = data.iter().map(|name| (*name).to_owned()).collect();
        taken
    }

    /// Whether a text is of one of the folders.
    fn has(&self, source: &Source) -> bool {
        let Some(inside) = &source.inside else { return self.has_file(&source.name) };
        let mut above = inside.path.match_indices('/').map(|(at, _)| &inside.path[..at]);
        above.any(|folder| self.packed.contains(&(inside.of.name.clone(), folder.to_owned())))
    }

    /// Whether a file is in one of the folders, and was not given by itself.
    fn has_file(&self, name: &str) -> bool {
        let Some(real) = standing(name) else { return false };
        let mut above = real.ancestors();
        let folder = above.find(|path| self.folders.contains(*path));
        folder.is_some_and(|folder| {
            let mut between = real.ancestors().take_while(|path| path.starts_with(folder));
            !between.any(|path| self.given.contains(path))
        })
    }

    /// What the user is told of it.
    pub(super) fn notes(&self) -> Vec<String> {
        let note = |files: Vec<String>, why: &str| match files.len() {
            0 => None,
            1 => Some(format!("{} is {why}, and not read as a manifest", few(files))),
            _ => Some(format!("{} are {why}, and not read as manifests", few(files))),
        };
        let files = self.files.iter().map(|path| path.display().to_string()).collect();
        let taken = note(files, "taken along by an agent");
        let named = note(self.named.clone(), "named by a document");
        taken.into_iter().chain(named).collect()
    }

    /// The files that documents of a set take along, and that hold secrets.
    pub(super) fn shown_secrets(&self, set: &Set) -> Vec<Problem> {
        if set.beside.files.is_empty() && set.beside.packed.is_empty() {
            return Vec::new();
        }
        let read = secrets::files(&set.objects);
        let is_secret = |file: &&PathBuf| read.contains(*file) || self.secret.contains(*file);
        let packed = secrets::packed_files(&set.objects);
        let packed = set
            .beside
            .packed
            .iter()
            .filter(|file| packed.contains(*file) || self.packed_secret.contains(*file));
        let packed = packed.map(|(source, path)| format!("{path} of the source `{source}`"));
        let problem = |file: String| {
            Problem::new(format!(
                "{file} holds a secret, and an agent takes it along for everybody to read"
            ))
            .hint("name another file in its `rules` or `skills`")
        };
        let files = set.beside.files.iter().filter(is_secret);
        files.map(|file| file.display().to_string()).chain(packed).map(problem).collect()
    }
}
