//! Each operation, as a transaction.

use std::path::Path;

use meshagent_tables::value::Row;
use meshagent_tables::{Error, Reason, Result};
use rusqlite::{Connection, Transaction};

use crate::api::{
    Create, Dataset, DeletedEntities, Details, Ingested, MemoryName, Optimized, Recalled, Selector,
    check_namespace,
};
use crate::ingest::{self, Content, Strategy};
use crate::store::catalog::{self, Memory, entity, relationship};
use crate::store::{Column, Store};
use crate::upsert::{self, How};
use crate::{cypher, limits, recall, records};

/// The memories of a room. Calls from several threads are fine: those that write take turns, and
/// those that read wait for nobody.
#[derive(Debug)]
pub struct Memories {
    store: Store,
}

impl Memories {
    /// Opens the file of a room's memories. It is made if it isn't there, for its owner alone.
    ///
    /// # Errors
    ///
    /// It cannot be read or written, or is a file of another sort.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { store: Store::open(path)? })
    }

    /// The names of the memories of a namespace, sorted.
    ///
    /// # Errors
    ///
    /// The namespace cannot be one.
    pub fn list(&self, namespace: &[String]) -> Result<Vec<String>> {
        check_namespace(namespace)?;
        self.store.read(|tx| catalog::names(tx, namespace))
    }

    /// Makes a memory.
    ///
    /// # Errors
    ///
    /// There is one of this name, and nothing was said about that ([`Reason::AlreadyExists`]), or
    /// there are too many.
    pub fn create(&self, name: MemoryName<'_>, create: Create) -> Result<()> {
        name.check()?;
        self.store.write(|tx| {
            match Memory::find(tx, name)? {
                Some(there) if create.overwrite => there.drop(tx)?,
                Some(_) if create.ignore_exists => return Ok(()),
                Some(_) => {
                    let text = format!("memory exists already: {name}");
                    return Err(Error::new(Reason::AlreadyExists, text));
                }
                None => {}
            }
            Memory::make(tx, name)?;
            Ok(())
        })
    }

    /// Drops a memory with all that is in it.
    ///
    /// # Errors
    ///
    /// There is none ([`Reason::NotFound`]), and that was not to be ignored.
    pub fn drop(&self, name: MemoryName<'_>, ignore_missing: bool) -> Result<()> {
        self.store.write(|tx| match Memory::find(tx, name)? {
            Some(there) => there.drop(tx),
            None if ignore_missing => Ok(()),
            None => Memory::get(tx, name).map(drop),
        })
    }

    /// What a memory holds.
    ///
    /// # Errors
    ///
    /// There is no such memory.
    pub fn inspect(&self, name: MemoryName<'_>) -> Result<Details> {
        self.read(name, |tx, memory| {
            let dataset = |it: &catalog::Dataset| {
                let count = format!("SELECT count(*) FROM {}", it.table());
                let rows = tx.prepare_cached(&count)?.query_row([], |row| row.get(0))?;
                let columns = it.fields.iter().map(|field| field.name.clone()).collect();
                Ok(Dataset { name: it.name.clone(), rows, columns })
            };
            let datasets = memory.datasets.iter().map(dataset).collect::<Result<_>>()?;
            Ok(Details { path: name.to_string(), datasets })
        })
    }

    /// Answers a statement in the Cypher of [`cypher`].
    ///
    /// # Errors
    ///
    /// The statement is not in it: the text says the place, what was found there, and what is
    /// understood. Or there is no such memory or dataset, or the answer is too large, or it takes
    /// too long ([`Reason::TimedOut`]).
    pub fn query(&self, name: MemoryName<'_>, statement: &str) -> Result<Vec<Row>> {
        let parsed = cypher::parse(statement)?;
        self.read(name, |tx, memory| cypher::answer(tx, memory, &parsed))
    }

    /// Adds or merges records of a dataset, and says how many there were. The dataset is made if it
    /// isn't there, and gets the columns that records have and it hasn't. `records` is the text of a
    /// JSON array of objects.
    ///
    /// A new dataset knows its records by the first of `id`, `entity_id`, `key` and `name` that all
    /// of them have; from then on each record needs it. If there is none, they are known by all that
    /// they say: the same record is not added twice. With `merge`, a record changes those with the
    /// same key; what it does not say, or says to be null, is left. Without, it is added in any case.
    ///
    /// `Entity` and `RELATIONSHIP` are taken as [`Memories::upsert_nodes`] and
    /// [`Memories::upsert_relationships`] take them.
    ///
    /// # Errors
    ///
    /// There is no such memory; the text is no such array; or a record does not fit, and then none
    /// is taken.
    pub fn upsert_table(
        &self,
        name: MemoryName<'_>,
        table: &str,
        records: &str,
        merge: bool,
    ) -> Result<u64> {
        let records = records::read(records)?;
        self.write(name, |tx, memory| {
            let done = match memory.position(table) {
                Some(0) => entities(tx, memory, records, merge)?,
                Some(1) => relationships(tx, memory, records, merge)?,
                // It would have no columns, and nothing to know its records by.
                None if records.is_empty() => upsert::Done::default(),
                _ => {
                    let dataset = upsert::dataset_for(tx, memory, table, &records)?;
                    let how = How { merge, created: None, words: None };
                    upsert::upsert(tx, dataset, records, how)?
                }
            };
            Ok(done.records)
        })
    }

    /// Adds or merges entities, and says how many records there were.
    ///
    /// They are known by `entity_id`. One without gets an id that follows from its name and its
    /// type, so that the same record is the same entity. One without `created_at` is created now.
    ///
    /// # Errors
    ///
    /// As for [`Memories::upsert_table`].
    pub fn upsert_nodes(&self, name: MemoryName<'_>, records: &str, merge: bool) -> Result<u64> {
        let records = records::read(records)?;
        self.write(name, |tx, memory| Ok(entities(tx, memory, records, merge)?.records))
    }

    /// Adds or merges relationships, and says how many records there were.
    ///
    /// They are known by source, target and type. The names of the ends are looked up if a record
    /// does not say them. The ends need not be there.
    ///
    /// # Errors
    ///
    /// As for [`Memories::upsert_table`].
    pub fn upsert_relationships(
        &self,
        name: MemoryName<'_>,
        records: &str,
        merge: bool,
    ) -> Result<u64> {
        let records = records::read(records)?;
        self.write(name, |tx, memory| Ok(relationships(tx, memory, records, merge)?.records))
    }

    /// Finds entities and relationships in sources, and adds them. What is found, and as what, is
    /// said in [`ingest`].
    ///
    /// An entity that has the name of one that is known is that one. The sentences in which it was
    /// found are added to its context.
    ///
    /// # Errors
    ///
    /// There is no such memory; a file cannot be read as text; there is too much of something; or
    /// the strategy needs a model ([`Reason::Dependency`]).
    pub fn ingest(
        &self,
        name: MemoryName<'_>,
        sources: &[Content<'_>],
        strategy: Strategy,
    ) -> Result<Ingested> {
        let found = match strategy {
            Strategy::Heuristic => ingest::found(sources)?,
            Strategy::Llm => {
                return Err(Error::new(
                    Reason::Dependency,
                    "the strategy llm needs a model, and this platform has none for memories; \
                     use heuristic",
                ));
            }
        };
        self.write(name, |tx, memory| ingest::keep(tx, memory, found))
    }

    /// The entities that fit a text best, with the best first. How they are scored is said in
    /// `recall.rs`: nine tenths of the score are how much of the words was found, and where.
    ///
    /// # Errors
    ///
    /// There is no such memory, or it takes too long.
    pub fn recall(
        &self,
        name: MemoryName<'_>,
        query: &str,
        limit: usize,
        include_relationships: bool,
    ) -> Result<Vec<Recalled>> {
        self.read(name, |tx, memory| {
            recall::recall(tx, memory, query, limit, include_relationships)
        })
    }

    /// Deletes entities with the relationships that begin or end at them. An id that there is not is
    /// no error.
    ///
    /// # Errors
    ///
    /// There is no such memory, or there are too many ids.
    pub fn delete_entities(
        &self,
        name: MemoryName<'_>,
        entity_ids: &[String],
    ) -> Result<DeletedEntities> {
        at_most(entity_ids.len())?;
        self.write(name, |tx, memory| {
            let (entities, edges) = (memory.entities().table(), memory.relationships().table());
            let id = Column::At(entity::ID);
            let (source, target) =
                (Column::At(relationship::SOURCE), Column::At(relationship::TARGET));
            let mut words = tx.prepare(&format!(
                "DELETE FROM {} WHERE rowid IN (SELECT row FROM {entities} WHERE {id} = ?1)",
                memory.words()
            ))?;
            let mut nodes = tx.prepare(&format!("DELETE FROM {entities} WHERE {id} = ?1"))?;
            let mut edges =
                tx.prepare(&format!("DELETE FROM {edges} WHERE {source} = ?1 OR {target} = ?1"))?;
            let mut deleted = DeletedEntities::default();
            for id in entity_ids {
                words.execute([id])?;
                deleted.entities += count(nodes.execute([id])?);
                deleted.relationships += count(edges.execute([id])?);
            }
            Ok(deleted)
        })
    }

    /// Deletes relationships, and says how many.
    ///
    /// # Errors
    ///
    /// There is no such memory, or there are too many selectors.
    pub fn delete_relationships(
        &self,
        name: MemoryName<'_>,
        selectors: &[Selector<'_>],
    ) -> Result<u64> {
        at_most(selectors.len())?;
        self.write(name, |tx, memory| {
            let mut statement = tx.prepare(&format!(
                "DELETE FROM {} WHERE {} = ?1 AND {} = ?2 AND (?3 IS NULL OR {} = ?3)",
                memory.relationships().table(),
                Column::At(relationship::SOURCE),
                Column::At(relationship::TARGET),
                Column::At(relationship::TYPE),
            ))?;
            let mut deleted = 0;
            for it in selectors {
                let values = (it.source_entity_id, it.target_entity_id, it.relationship_type);
                deleted += count(statement.execute(values)?);
            }
            Ok(deleted)
        })
    }

    /// Makes the index of words fast (`compact`) and the file small (`cleanup`).
    ///
    /// # Errors
    ///
    /// There is no such memory.
    pub fn optimize(
        &self,
        name: MemoryName<'_>,
        compact: bool,
        cleanup: bool,
    ) -> Result<Vec<Optimized>> {
        let (names, before, after) = self.write(name, |tx, memory| {
            let words = memory.words();
            // FTS5 has the number of a part from the 37th bit of a row's on.
            let parts = || -> Result<u64> {
                let count = format!(
                    "SELECT count(DISTINCT (id >> 37) & 65535) FROM {words}_data WHERE id >> 37 > 0"
                );
                Ok(tx.query_row(&count, [], |row| row.get(0))?)
            };
            let before = parts()?;
            if compact {
                tx.execute(&format!("INSERT INTO {words} ({words}) VALUES ('optimize')"), [])?;
            }
            let names: Vec<_> = memory.datasets.iter().map(|it| it.name.clone()).collect();
            Ok((names, before, parts()?))
        })?;
        let bytes_removed = if cleanup { self.store.tend(shrink)? } else { 0 };
        let merged = before > after;
        let stats = |(index, dataset): (usize, String)| Optimized {
            dataset,
            fragments_added: if merged && index == 0 { after } else { 0 },
            fragments_removed: if merged && index == 0 { before } else { 0 },
            bytes_removed: if index == 0 { bytes_removed } else { 0 },
        };
        Ok(names.into_iter().enumerate().map(stats).collect())
    }

    fn read<T>(
        &self,
        name: MemoryName<'_>,
        work: impl FnOnce(&Transaction<'_>, &Memory) -> Result<T>,
    ) -> Result<T> {
        self.store.read(|tx| work(tx, &Memory::get(tx, name)?))
    }

    fn write<T>(
        &self,
        name: MemoryName<'_>,
        work: impl FnOnce(&Transaction<'_>, &mut Memory) -> Result<T>,
    ) -> Result<T> {
        self.store.write(|tx| work(tx, &mut Memory::get(tx, name)?))
    }
}

/// Adds or merges entities.
fn entities(
    file: &Connection,
    memory: &mut Memory,
    mut records: Vec<Row>,
    merge: bool,
) -> Result<upsert::Done> {
    for (index, record) in (1..).zip(records.iter_mut()) {
        records::entity(index, record)?;
    }
    let how = How { merge, created: Some(entity::CREATED), words: Some(memory.words()) };
    upsert::upsert(file, memory.entities_mut(), records, how)
}

/// Adds or merges relationships.
fn relationships(
    file: &Connection,
    memory: &mut Memory,
    mut records: Vec<Row>,
    merge: bool,
) -> Result<upsert::Done> {
    for (index, record) in (1..).zip(records.iter_mut()) {
        records::relationship(index, record)?;
        for (id, name) in
            [("source_entity_id", "source_entity_name"), ("target_entity_id", "target_entity_name")]
        {
            if records::text(index, record, name)?.is_none()
                && let Some(id) = records::text(index, record, id)?
                && let Some(found) = memory.name_of(file, id)?
            {
                records::set(record, name, found);
            }
        }
    }
    let how = How { merge, created: Some(relationship::CREATED), words: None };
    upsert::upsert(file, memory.relationships_mut(), records, how)
}

/// Gives the pages that nothing is on back to the system, and says how many bytes that were.
fn shrink(file: &Connection) -> Result<u64> {
    let pages =
        || -> Result<u64> { Ok(file.query_row("PRAGMA page_count", [], |row| row.get(0))?) };
    let before = pages()?;
    let mut statement = file.prepare("PRAGMA incremental_vacuum")?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    let after = pages()?;
    let size: u64 = file.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    // Whoever reads an older state keeps the log from being emptied; it is the next time, then.
    file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(before.saturating_sub(after) * size)
}

fn at_most(given: usize) -> Result<()> {
    let most = limits::DELETIONS;
    match given <= most {
        true => Ok(()),
        false => Err(Error::invalid(format!("at most {most} are deleted in a call; send fewer"))),
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
