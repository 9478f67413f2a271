//! The declared objects become the objects of a set, each in a project.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::agreement;
use super::super::beside;
use super::super::declared_in::{DeclaredIn, Places};
use super::super::document::Document;
use super::super::form;
use super::super::imported;
use super::super::lifecycle;
use super::super::literals::{Literal, literals};
use super::super::placement::{self, Placement};
use super::super::sealing;
use super::super::source::Source;
use super::documents::{DeclaredAlone, Read};
use super::templates::templates;
use super::unique::{Order, insert, shared_files, shared_names, too_much_inside};
use super::{Desired, Input, Origin, Set, Sources};
use crate::error::Problem;
use crate::kinds::path::FieldPath;
use crate::kinds::{Declared, Key, KindName, OWNER_ANNOTATION};

/// One declared object with where it comes from, before its project is known.
pub(in super::super) struct Found {
    pub declared: Declared,
    pub kind: KindName,
    pub origin: Origin,
    /// The bytes of which its fields have just the digest.
    pub content: Option<Arc<[u8]>>,
}

/// Adds to a set all that its documents declare.
pub(super) fn declare_all(
    set: &mut Set,
    documents: Vec<Read>,
    input: &Input,
    problems: &mut Vec<Problem>,
) {
    let order = documents.iter().map(|(document, _)| Arc::as_ptr(document));
    let order: Order = order.enumerate().map(|(index, document)| (document, index)).collect();
    let mut found = found_in(set, documents, problems);
    let projects = Projects::of(&found, input);
    // Explicit documents come before derived ones, so that they win.
    found.sort_by_key(|found| found.origin.derived_from.is_some());
    let mut files = Files::default();
    let mut last = std::ptr::null();
    for found in found {
        problems.extend(form::problems(&found));
        // In each room of a service it is the same.
        let document = Arc::as_ptr(&found.origin.document);
        if std::mem::replace(&mut last, document) != document {
            problems.extend(lifecycle::problems(&found));
        }
        declare(set, found, (&projects, &mut files), problems);
    }
    problems.extend(shared_names(set, &order));
    problems.extend(shared_files(set));
    problems.extend(too_much_inside(set));
    problems.extend(agreement::purposes(set));
}

/// What the documents declare, one by one; of templates that which their placements make.
fn found_in(set: &mut Set, documents: Vec<Read>, problems: &mut Vec<Problem>) -> Vec<Found> {
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
        let (kind, declared, content) = match declared {
            Some(DeclaredAlone { kind, declared, content }) => (kind, declared, content),
            None => {
                let mut value = document.root().to_json();
                let read = beside::read(&document, &mut value, &set.reach, &mut set.beside);
                if let Err(found) = read {
                    problems.extend(found);
                    continue;
                }
                let kind = document.kind;
                let (declared, content) = kind.declare_with_content(&value);
                (kind.declares_in(&value), declared, content)
            }
        };
        let hides =
            |content: &Arc<[u8]>| document.source.signs.are_in(&String::from_utf8_lossy(content));
        if content.as_ref().is_some_and(hides) {
            let told = "a long text, or one with zero bytes, cannot have a hidden variable";
            problems.push(document.problem_at(&FieldPath::of(&["text"]), told));
            continue;
        }
        match declared {
            Ok(declared) => found.extend(declared.into_iter().map(|declared| Found {
                declared,
                kind,
                origin: Origin {
                    document: Arc::clone(&document),
                    derived_from: None,
                    brought: None,
                    value_at: None,
                },
                content: content.clone(),
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
    found
}

/// The projects of a set.
struct Projects {
    /// That of documents that name none.
    default: Option<String>,
    are_several: bool,
}

impl Projects {
    fn of(found: &[Found], input: &Input) -> Self {
        let projects: Vec<_> = found.iter().filter(|it| it.kind == KindName::Project).collect();
        let only = match projects.as_slice() {
            [only] => Some(only.declared.name.clone()),
            _ => None,
        };
        let default = input.project.clone().or(only).or_else(|| input.fallback_project.clone());
        Self { default, are_several: projects.len() > 1 }
    }
}

/// The files of documents, each looked up once.
#[derive(Default)]
struct Files {
    places: Places,
    /// Each by its name, and whether that is the name of a source of the project file.
    known: HashMap<(bool, String), DeclaredIn>,
}

impl Files {
    fn of(&mut self, source: &Source) -> DeclaredIn {
        // Which of its files declares an object makes no difference: a source is read as a whole.
        let (file, imported) = match &source.inside {
            Some(inside) => (inside.of.name.as_str(), Some(&inside.of)),
            None => (source.name.as_str(), None),
        };
        let known = (imported.is_some(), file.to_owned());
        if let Some(known) = self.known.get(&known) {
            return known.clone();
        }
        let declared_in = match imported {
            Some(imported) => self.places.of_imported(&imported.project_file, file),
            None => self.places.of_source(file),
        };
        self.known.insert(known, declared_in.clone());
        declared_in
    }
}

/// Adds one object to a set.
fn declare(
    set: &mut Set,
    Found { mut declared, kind, origin, content }: Found,
    (projects, files): (&Projects, &mut Files),
    problems: &mut Vec<Problem>,
) {
    problems.extend(sealing::seal(&mut declared, &origin));
    problems.extend(owner_problem(&declared, &origin));
    problems.extend(imported::refused(&declared.fields, &origin));
    for literal in literals(&declared.fields, &origin, kind) {
        match literal {
            Literal::Refused(problem) => problems.push(problem),
            Literal::Told(note) => set.notes.push(note),
        }
    }
    let is_of_none = declared.project.is_none() && kind != KindName::Project;
    let project = match (kind, declared.project.or_else(|| projects.default.clone())) {
        (KindName::Project, _) => declared.name.clone(),
        (_, Some(project)) => project,
        (_, None) => {
            let problem =
                origin.document.problem_at(&FieldPath::default(), "the document has no project");
            problems.push(problem.hint(
                "write `project: NAME`, add a Project document, give --project-id, or set MESHAGENT_PROJECT_ID",
            ));
            return;
        }
    };
    let key = Key::new(kind, project, declared.room, declared.name);
    let declared_in = files.of(&origin.document.source);
    let desired = Desired {
        key: key.clone(),
        fields: Arc::new(declared.fields),
        lifecycle: declared.lifecycle,
        origin,
        declared_in: vec![declared_in],
        sources: Sources::new(),
        content,
    };
    let told = problems.len();
    let project = format!("without `project: NAME`, the document belongs to `{}`", key.project);
    insert(set, key, desired, problems);
    if let Some(twice) = problems.get_mut(told).filter(|_| is_of_none && projects.are_several) {
        twice.hint.get_or_insert(format!("the set has several projects; {project}"));
    }
}

/// A manifest must not set the mark that says who owns an object.
fn owner_problem(declared: &Declared, origin: &Origin) -> Option<Problem> {
    let path = FieldPath::of(&["metadata", "annotations", OWNER_ANNOTATION]);
    declared.fields.at(&path)?;
    let message = format!(
        "the annotation `{OWNER_ANNOTATION}` says which set owns an object, and only the program sets it"
    );
    Some(origin.document.problem_at(&path, message).hint("remove it; use --set to name the set"))
}
