//! `diff -e stage..prod`: how two environments differ, in what their manifests say and in what is
//! on their platforms.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use super::DiffArgs;
use crate::commands::set::drop_in_background;
use crate::error::{Class, Error, Result};
use crate::kinds::Key;
use crate::kinds::tree::Tree;
use crate::listed::counted;
use crate::manifest::secrets;
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
    declared: BTreeMap<Key, Tree>,
    live: BTreeMap<Key, Tree>,
}

/// Compares two environments.
pub(super) async fn diff(args: &DiffArgs, (one, other): (&str, &str)) -> Result<ExitCode> {
    let file = ProjectFile::here(one)?;
    let one = read(args, &file, one).await?;
    let other = read(args, &file, other).await?;
    let declared = compare((&one, &one.declared), (&other, &other.declared));
    if declared.is_empty() {
        output::note("the manifests say the same in both");
    } else {
        output::data(&format!("# What the manifests say\n{declared}"));
    }
    let live = match args.rendered {
        true => String::new(),
        false => compare((&one, &one.live), (&other, &other.live)),
    };
    if !live.is_empty() {
        output::data(&format!("# What is on the platforms\n{live}"));
    } else if !args.rendered {
        output::note("what is on the platforms is the same in both");
    }
    let differs = args.exit_code && !(declared.is_empty() && live.is_empty());
    Ok(ExitCode::from(if differs { Class::Pending.exit_code() } else { 0 }))
}

async fn read(args: &DiffArgs, file: &ProjectFile, name: &str) -> Result<Read> {
    let environment = file.environment(Some(name))?;
    let mut planning = args.planning.clone();
    planning.platform.environment = Some(name.to_owned());
    let planning = planning.of(environment.clone())?;
    if args.rendered {
        let set =
            planning.files.read(planning.platform.project_id.clone(), Some(OWN.to_owned()))?;
        return Ok(Read {
            name: name.to_owned(),
            declared: rendered(set, &environment),
            live: BTreeMap::new(),
        });
    }
    let decided = planning.decided(true).await.map_err(|error| {
        let what = format!("environment `{name}` cannot be read");
        Error::new(error.class, what).because(error)
    })?;
    let mut basis = decided.basis;
    let project = own_project(&environment, decided.plan.projects.keys());
    let declared = std::mem::take(&mut basis.desired);
    let declared = declared.into_values().map(|it| (it.key, it.fields));
    let declared =
        declared.map(|(key, fields)| (shared(&key, project.as_deref()), cleaned(&fields)));
    let live = owned(&basis.state, project.as_deref());
    let read = Read { name: name.to_owned(), declared: declared.collect(), live };
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

/// What manifests say, as far as it is known without a platform.
fn rendered(mut set: Set, environment: &Environment) -> BTreeMap<Key, Tree> {
    secrets::leave_unread(&mut set.objects);
    let project = environment.project.clone().unwrap_or_else(|| OWN.to_owned());
    let objects = set.objects.into_values();
    let objects = objects.map(|Desired { key, fields, .. }| (key, fields));
    objects.map(|(key, fields)| (shared(&key, Some(&project)), cleaned(&fields))).collect()
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
fn owned(state: &State, project: Option<&str>) -> BTreeMap<Key, Tree> {
    let owned = state.inventories.values().flat_map(|inventory| inventory.entries.keys());
    let observed = owned.filter_map(|key| Some((key, state.objects.get(key)?)));
    let live = observed.map(|(key, observed)| (shared(key, project), cleaned(&observed.fields)));
    live.collect()
}

/// The objects in which two environments differ, as a unified difference.
fn compare(
    (one, of_one): (&Read, &BTreeMap<Key, Tree>),
    (other, of_other): (&Read, &BTreeMap<Key, Tree>),
) -> String {
    let keys: BTreeSet<&Key> = of_one.keys().chain(of_other.keys()).collect();
    let mut out = String::new();
    let mut same = 0;
    for key in keys {
        let sides = (of_one.get(key), of_other.get(key));
        let side = |name: &str| format!("{name}/{key}");
        let (old, new) = (side(&one.name), side(&other.name));
        let told = unified::between(
            key.kind,
            Side { name: &old, fields: sides.0 },
            Side { name: &new, fields: sides.1 },
        );
        same += usize::from(told.is_empty());
        out += &told;
    }
    if !out.is_empty() && same > 0 {
        out += &format!("# {} the same in both\n", counted(same, "object"));
    }
    out
}
