//! What a caller gives and gets.

use std::fmt;

use meshagent_tables::{Error, Result};

use crate::limits;

/// Which memory is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryName<'a> {
    /// The namespace; empty for that of the room itself.
    pub namespace: &'a [String],
    /// The name in it.
    pub name: &'a str,
}

impl fmt::Display for MemoryName<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.namespace {
            write!(out, "{part}/")?;
        }
        out.write_str(self.name)
    }
}

impl MemoryName<'_> {
    /// Whether it can be a name at all.
    pub(crate) fn check(&self) -> Result<()> {
        check_namespace(self.namespace)?;
        check_name("a memory", self.name)
    }
}

pub(crate) fn check_namespace(namespace: &[String]) -> Result<()> {
    if namespace.len() > limits::NAMESPACE {
        return Err(Error::invalid(format!("a namespace has at most {} parts", limits::NAMESPACE)));
    }
    namespace.iter().try_for_each(|part| check_name("a part of a namespace", part))
}

/// Whether a text can be the name of something.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid(format!("the name of {what} is empty")));
    }
    if name.len() > limits::NAME {
        let most = limits::NAME;
        return Err(Error::invalid(format!("the name of {what} has more than {most} bytes")));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid(format!("the name of {what} has a control character")));
    }
    Ok(())
}

/// What [`Memories::create`](crate::Memories::create) does if the memory is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Create {
    /// It is emptied. This goes before the other.
    pub overwrite: bool,
    /// It is left as it is. Without either, it is an error.
    pub ignore_exists: bool,
}

/// What a memory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Where it is: the namespace and the name, with `/` between the parts.
    pub path: String,
    /// Its datasets, in the order in which they were made.
    pub datasets: Vec<Dataset>,
}

/// A dataset of a memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// How many records it has.
    pub rows: u64,
    /// The names of its columns.
    pub columns: Vec<String>,
}

/// What came of an ingestion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ingested {
    /// How many entities were added. Those that were known already are not counted.
    pub entities: u64,
    /// How many relationships were added, likewise.
    pub relationships: u64,
    /// How many sources were read: texts, images, files, or rows with text.
    pub sources: u64,
    /// The entities that were found, known or not, in the order in which they were found.
    pub entity_ids: Vec<String>,
}

/// An entity that was recalled.
#[derive(Debug, Clone, PartialEq)]
pub struct Recalled {
    /// Its id.
    pub entity_id: String,
    /// Its name.
    pub name: String,
    /// Its type; `Entity` if it has none.
    pub entity_type: String,
    /// What is known of it.
    pub context: Option<String>,
    /// How sure that is.
    pub confidence: Option<f64>,
    /// When it was recorded.
    pub created_at: Option<String>,
    /// Since when it holds.
    pub valid_at: Option<String>,
    /// How well it fits, from 0 to 1. See [`Memories::recall`](crate::Memories::recall).
    pub score: f64,
    /// Its relationships in both directions, if asked for.
    pub relationships: Vec<RecalledRelationship>,
}

/// A relationship of an entity that was recalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecalledRelationship {
    /// Where it begins.
    pub source_entity_id: String,
    /// Where it ends.
    pub target_entity_id: String,
    /// What it is.
    pub relationship_type: String,
    /// In words.
    pub description: Option<String>,
    /// When it was recorded.
    pub created_at: Option<String>,
    /// Since when it holds.
    pub valid_at: Option<String>,
    /// When it was found to be over.
    pub expired_at: Option<String>,
    /// Since when it does not hold any more.
    pub invalid_at: Option<String>,
}

/// How much was deleted with entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeletedEntities {
    /// The entities.
    pub entities: u64,
    /// The relationships that began or ended at them.
    pub relationships: u64,
}

/// Which relationships are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selector<'a> {
    /// Where they begin.
    pub source_entity_id: &'a str,
    /// Where they end.
    pub target_entity_id: &'a str,
    /// What they are; all of them if none.
    pub relationship_type: Option<&'a str>,
}

/// What [`Memories::optimize`](crate::Memories::optimize) did for a dataset.
///
/// All memories of a room are in one file without old versions, so `files_added`, `files_removed`
/// and `old_versions_removed` of the wire are always 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Optimized {
    /// The name of the dataset.
    pub dataset: String,
    /// The parts of the index of words that were written.
    pub fragments_added: u64,
    /// The parts that were merged into them.
    pub fragments_removed: u64,
    /// By how much the file shrank. It is told of the first dataset, for the file is of all.
    pub bytes_removed: u64,
}
