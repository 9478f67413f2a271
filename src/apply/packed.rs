//! What a set knows of its objects, as its inventory and its recorded states keep it: the files that
//! declare objects are written once, and objects name theirs by position.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::kinds::document::FormerNames;
use crate::kinds::recorded::Recorded;
use crate::kinds::{Key, KindName};
use crate::manifest::brought::Brought;
use crate::manifest::declared_in::DeclaredIn;
use crate::manifest::set::Sources;
use crate::plan::{Entry, Facts};
use crate::visible;

/// Objects with the files that declare them.
pub(super) struct Packed {
    /// The files.
    pub files: Vec<DeclaredIn>,
    /// The objects.
    pub objects: Vec<Object>,
}

/// What is known of one object.
#[derive(Serialize, Deserialize)]
pub(super) struct Object {
    kind: KindName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    applied: Option<Recorded>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claimed: Option<Recorded>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    protected: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    orphan: bool,
    #[serde(default, skip_serializing_if = "FormerNames::is_empty")]
    moved_from: FormerNames,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ignore: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    overwrite: bool,
    #[serde(default, skip_serializing_if = "Sources::is_empty")]
    sources: Sources,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    declared_in: Vec<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    brought: Option<Brought>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    arrived: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moving_to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
}

impl Packed {
    /// Packs what is known of objects.
    pub(super) fn of(entries: &BTreeMap<Key, Entry>) -> Self {
        let declared: BTreeSet<&DeclaredIn> =
            entries.values().flat_map(|entry| &entry.declared_in).collect();
        let positions: BTreeMap<&DeclaredIn, usize> =
            declared.iter().enumerate().map(|(position, file)| (*file, position)).collect();
        let object = |(key, entry): (&Key, &Entry)| Object {
            kind: key.kind,
            room: key.room.clone(),
            name: key.name.clone(),
            id: entry.id.clone(),
            applied: entry.applied.clone(),
            claimed: entry.claimed.clone(),
            protected: entry.protected,
            orphan: entry.orphan,
            moved_from: entry.moved_from.clone(),
            was: entry.was.clone(),
            ignore: entry.ignore.clone(),
            overwrite: entry.overwrite,
            sources: entry.sources.clone(),
            declared_in: entry
                .declared_in
                .iter()
                .filter_map(|file| positions.get(file).copied())
                .collect(),
            brought: entry.brought.clone(),
            arrived: entry.arrived,
            moving_to: entry.moving_to.clone(),
            revision: entry.revision.clone(),
            salt: entry.salt.clone(),
        };
        let objects = entries.iter().map(object).collect();
        Self { files: declared.into_iter().cloned().collect(), objects }
    }

    /// What is known of the objects of a project.
    ///
    /// # Errors
    ///
    /// What is wrong, as a phrase.
    pub(super) fn entries(self, project: &str) -> Result<BTreeMap<Key, Entry>, String> {
        let Self { files, objects } = self;
        // Fewer places would make an object easier to prune.
        let lost = objects.iter().find(|it| it.declared_in.iter().any(|at| *at >= files.len()));
        if let Some(Object { kind, name, .. }) = lost {
            return Err(format!("it names no file for {kind}/{}", visible::line(name)));
        }
        let entry = |object: Object| {
            let name = object.kind.kind().natural_name(&object.name);
            let key = Key::new(object.kind, project, object.room, name);
            let declared_in = object.declared_in.iter().filter_map(|file| files.get(*file));
            let facts = Facts {
                id: object.id,
                applied: object.applied,
                claimed: object.claimed,
                protected: object.protected,
                orphan: object.orphan,
                moved_from: object.moved_from,
                was: object.was,
                ignore: object.ignore,
                overwrite: object.overwrite,
                sources: object.sources,
                declared_in: declared_in.cloned().collect(),
                brought: object.brought,
                arrived: object.arrived,
                moving_to: object.moving_to,
                revision: object.revision,
                salt: object.salt,
            };
            (key, facts.into())
        };
        Ok(objects.into_iter().map(entry).collect())
    }
}
