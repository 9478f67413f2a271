//! Each operation, as a transaction.

use std::path::Path;

use meshagent_tables::value::Row;
use meshagent_tables::{Error, Reason, Result};

use crate::api::{
    Create, DeletedEntities, Details, Ingested, MemoryName, Optimized, Recalled, Selector,
};
use crate::ingest::{Content, Strategy};

/// The memories of a room. Calls from several threads are fine.
#[derive(Debug)]
pub struct Memories {}

/// Takes the place of what comes next.
fn soon<T>() -> Result<T> {
    Err(Error::new(Reason::Failed, "this is not there yet"))
}

#[expect(unused_variables, clippy::missing_errors_doc, reason = "the interface comes first")]
impl Memories {
    /// Opens the file of a room's memories. It is made if it isn't there, for its owner alone.
    pub fn open(path: &Path) -> Result<Self> {
        soon()
    }

    /// The names of the memories of a namespace, sorted.
    pub fn list(&self, namespace: &[String]) -> Result<Vec<String>> {
        soon()
    }

    /// Makes a memory.
    pub fn create(&self, name: MemoryName<'_>, create: Create) -> Result<()> {
        soon()
    }

    /// Drops a memory with all that is in it.
    pub fn drop(&self, name: MemoryName<'_>, ignore_missing: bool) -> Result<()> {
        soon()
    }

    /// What a memory holds.
    pub fn inspect(&self, name: MemoryName<'_>) -> Result<Details> {
        soon()
    }

    /// Answers a statement in Cypher.
    pub fn query(&self, name: MemoryName<'_>, statement: &str) -> Result<Vec<Row>> {
        soon()
    }

    /// Adds or merges records of a dataset, and says how many there were. `records` is the text of a
    /// JSON array of objects.
    pub fn upsert_table(
        &self,
        name: MemoryName<'_>,
        table: &str,
        records: &str,
        merge: bool,
    ) -> Result<u64> {
        soon()
    }

    /// Adds or merges entities, and says how many records there were.
    pub fn upsert_nodes(&self, name: MemoryName<'_>, records: &str, merge: bool) -> Result<u64> {
        soon()
    }

    /// Adds or merges relationships, and says how many records there were.
    pub fn upsert_relationships(
        &self,
        name: MemoryName<'_>,
        records: &str,
        merge: bool,
    ) -> Result<u64> {
        soon()
    }

    /// Finds entities and relationships in sources, and adds them. A strategy that needs a model is
    /// an error of [`Reason::Dependency`].
    pub fn ingest(
        &self,
        name: MemoryName<'_>,
        sources: &[Content<'_>],
        strategy: Strategy,
    ) -> Result<Ingested> {
        soon()
    }

    /// The entities that fit a text best.
    pub fn recall(
        &self,
        name: MemoryName<'_>,
        query: &str,
        limit: usize,
        include_relationships: bool,
    ) -> Result<Vec<Recalled>> {
        soon()
    }

    /// Deletes entities with their relationships.
    pub fn delete_entities(
        &self,
        name: MemoryName<'_>,
        entity_ids: &[String],
    ) -> Result<DeletedEntities> {
        soon()
    }

    /// Deletes relationships, and says how many.
    pub fn delete_relationships(
        &self,
        name: MemoryName<'_>,
        selectors: &[Selector<'_>],
    ) -> Result<u64> {
        soon()
    }

    /// Makes the file small and the index of words fast.
    pub fn optimize(
        &self,
        name: MemoryName<'_>,
        compact: bool,
        cleanup: bool,
    ) -> Result<Vec<Optimized>> {
        soon()
    }
}
