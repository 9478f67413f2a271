//! `diff -e stage..prod`: how two environments differ, in what their manifests say and in what is
//! on their platforms.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use super::{DiffArgs, PlanningArgs};
use crate::commands::set::drop_in_background;
use crate::error::{Class, Error, Result};
use crate::kinds::Key;
use crate::kinds::document::{AgeText, SecretSource};
use crate::kinds::tree::{Sealed, Tree};
use crate::listed::counted;
use crate::manifest::set::{Desired, Set};
use crate::output;
use crate::plan::State;
use crate::plan::unified::{self, Side};
use crate::project_file::{Environment, ProjectFile};

/// The project of documents that name none, while it is not known.
const OWN: &str = "(project)";

/// One environment: what its manifests say, and what its set owns on the platform.
struct Read {
    name: String,
    declared: BTreeMap<Key, Object>,
    live: BTreeMap<Key, Object>,
}

/// An object of an environment.
struct Object {
    fields: Tree,
    /// The folder that the files and commands are relative to from which its secrets are read, or
    /// the source of the project file whose files they are.
    folder: String,
}

/// How two environments differ in something.
#[derive(Default)]
struct Compared {
    /// The differences, as a unified difference; empty where there are none.
    text: String,
    /// How many objects have secrets that were not compared.
    hidden: usize,
}

/// Compares two environments.
pub(super) async fn diff(args: &DiffArgs, (one, other): (&str, &str)) -> Result<ExitCode> {
    let file = ProjectFile::here(one)?;
    let one = read(args, &file, one).await?;
    let other = read(args, &file, other).await?;
    let declared = compare((&one, &one.declared), (&other, &other.declared)).text;
    if declared.is_empty() {
        output::note("the manifests say the same in both");
    } else {
        output::data(&format!("# What the manifests say\n{declared}"));
    }
    let Compared { text: live, hidden } = match args.rendered {
        true => Compared::default(),
        false => compare((&one, &one.live), (&other, &other.live)),
    };
    if !live.is_empty() {
        output::data(&format!("# What is on the platforms\n{live}"));
    } else if !args.rendered && one.live.is_empty() && other.live.is_empty() {
        output::note("neither of them owns anything on its platform yet");
    } else if !args.rendered && hidden == 0 {
        output::note("what is on the platforms is the same in both");
    } else if !args.rendered {
        output::note(&format!(
            "what is on the platforms is the same in both, but for the secrets of {}, which the platforms keep to themselves",
            counted(hidden, "object")
        ));
    }
    let differs = args.exit_code && !(declared.is_empty() && live.is_empty());
    Ok(ExitCode::from(if differs { Class::Pending.exit_code() } else { 0 }))
}

async fn read(args: &DiffArgs, file: &ProjectFile, name: &str) -> Result<Read> {
    let environment = file.environment(Some(name))?;
    let mut planning = args.planning.clone();
    planning.platform.environment = Some(name.to_owned());
    planning.platform.is_offline = args.rendered;
    let planning = planning.of(environment.clone())?;
    if args.rendered {
        let declared = objects(planning.rendered()?.objects, rendered_project(&environment));
        return Ok(Read { name: name.to_owned(), declared, live: BTreeMap::new() });
    }
    let decided = planning.decided(true).await.map_err(|error| {
        Error::new(error.class, format!("environment `{name}` cannot be read")).because(error)
    })?;
    let mut basis = decided.basis;
    let project = own_project(&environment, decided.plan.projects.keys());
    let mut declared = objects(std::mem::take(&mut basis.desired), project.as_deref());
    if declared.values().any(|object| object.fields.has_unread()) {
        // What was not read is known by where it is read from.
        let rendered = objects(planning.rendered()?.objects, rendered_project(&environment));
        for (key, object) in &mut declared {
            let Some(from) = rendered.get(key) else { continue };
            object.fields.rewrite_leaves(&mut |way, leaf| match leaf {
                Tree::Secret(Sealed::Unread) => from.fields.at(&way.path()).cloned(),
                _ => None,
            });
        }
    }
    let live = owned(&basis.state, project.as_deref());
    let read = Read { name: name.to_owned(), declared, live };
    drop_in_background(basis);
    Ok(read)
}

/// The project that stands for the environment: that of documents that name none.
fn own_project<'a>(
    environment: &Environment,
    mut planned: impl Iterator<Item = &'a String>,
) -> Option<String> {
    // A project may be given by its id, and planned by its name.
    let only = planned.next().filter(|_| planned.next().is_none()).cloned();
    only.or_else(|| environment.project.clone())
}

impl PlanningArgs {
    /// The set as the manifests say it, without a platform: no secret is read.
    fn rendered(&self) -> Result<Set> {
        let mut files = self.files.clone();
        files.reading.may_miss = true;
        files.read(self.platform.project_id.clone(), Some(OWN.to_owned()))
    }
}

/// The project of documents that name none, where no platform is asked.
fn rendered_project(environment: &Environment) -> Option<&str> {
    Some(environment.project.as_deref().unwrap_or(OWN))
}

/// Objects that manifests declare.
fn objects(declared: BTreeMap<Key, Desired>, project: Option<&str>) -> BTreeMap<Key, Object> {
    let objects = declared.into_values().map(|Desired { key, fields, origin, .. }| {
        let source = &origin.document.source;
        let folder = match &source.inside {
            Some(_) => source.name.clone(),
            None => source.folder.display().to_string(),
        };
        (shared(&key, project), Object { fields: cleaned(&fields), folder })
    });
    objects.collect()
}

/// The key of an object as it is in both environments: without the project that stands for one.
fn shared(key: &Key, project: Option<&str>) -> Key {
    match Some(key.project.as_str()) == project {
        true if key.is_project() => Key::new(key.kind, OWN, None, OWN),
        true => Key::new(key.kind, OWN, key.room.clone(), key.name.clone()),
        false => key.clone(),
    }
}

/// The fields without what says which set owns the object: each environment has its own.
fn cleaned(fields: &Tree) -> Tree {
    let mut fields = fields.clone();
    unified::without_owner(&mut fields);
    fields
}

/// What the set owns on the platform.
fn owned(state: &State, project: Option<&str>) -> BTreeMap<Key, Object> {
    let owned = state.inventories.values().flat_map(|inventory| inventory.entries.keys());
    let observed = owned.filter_map(|key| Some((key, state.objects.get(key)?)));
    let live = observed.map(|(key, observed)| {
        let object = Object { fields: cleaned(&observed.fields), folder: String::new() };
        (shared(key, project), object)
    });
    live.collect()
}

/// The objects in which two environments differ.
fn compare(
    (one, of_one): (&Read, &BTreeMap<Key, Object>),
    (other, of_other): (&Read, &BTreeMap<Key, Object>),
) -> Compared {
    let keys: BTreeSet<&Key> = of_one.keys().chain(of_other.keys()).collect();
    let (mut text, mut same, mut hidden) = (String::new(), 0, 0);
    for key in keys {
        let sides = (of_one.get(key), of_other.get(key));
        let side = |name: &str| format!("{name}/{key}");
        let (old, new) = (side(&one.name), side(&other.name));
        let elsewhere = sides.0.zip(sides.1).and_then(|(one, other)| elsewhere(one, other));
        let told = unified::between(
            key.kind,
            Side { name: &old, fields: sides.0.map(|it| &it.fields) },
            Side { name: &new, fields: elsewhere.as_ref().or(sides.1.map(|it| &it.fields)) },
        );
        let keeps = |object: &Object| {
            let mut keeps = false;
            object.fields.clone().rewrite_leaves(&mut |_, leaf| {
                keeps |= matches!(leaf, Tree::Secret(Sealed::Masked | Sealed::Kept(_)));
                None
            });
            keeps
        };
        if told.is_empty() && sides.0.is_some_and(keeps) {
            hidden += 1;
        } else {
            same += usize::from(told.is_empty());
        }
        text += &told;
    }
    if !text.is_empty() && same > 0 {
        text += &format!("# {} the same in both\n", counted(same, "object"));
    }
    if !text.is_empty() && hidden > 0 {
        text += &format!(
            "# {} the same in both, but for secrets, which the platforms keep to themselves\n",
            counted(hidden, "object")
        );
    }
    Compared { text, hidden }
}

/// The fields of an object whose files are in another folder than those of the first: what both
/// read from a file of one name is not the same file.
fn elsewhere(one: &Object, other: &Object) -> Option<Tree> {
    if one.folder == other.folder || !other.fields.has_sources() {
        return None;
    }
    let mut fields = other.fields.clone();
    fields.rewrite_leaves(&mut |_, leaf| match leaf {
        Tree::Secret(Sealed::Source(source)) => match &source.from {
            SecretSource::Env(_) | SecretSource::Age(AgeText::Armored(_)) => None,
            _ => Some(Tree::Secret(Sealed::Unread)),
        },
        _ => None,
    });
    Some(fields)
}
