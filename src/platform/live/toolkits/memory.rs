//! Memories. How they are kept and what is found in texts is in the crate `meshagent-memory`; here is
//! who asks for what, and where texts come from.

use std::collections::BTreeMap;
use std::io::Read;

use meshagent_memory::{
    Content as Source, Create as Making, Error, Ingested as Found, MemoryName, Selector as Chosen,
    Strategy as By, limits, text_columns,
};
use meshagent_tables::Value as Held;
use meshagent_tables::engine::{Engine, Search, TableName};
use meshagent_tables::value::Row;
use serde_json::{Map, Value};

use super::storage::blocking;
use crate::platform::live::calls::Caller;
use crate::platform::live::databases::Access;
use crate::platform::live::files::{FilePath, failed};
use crate::platform::live::gates::room_path;
use crate::room::content::Refused;
use crate::room::memory::{
    Create, Dataset, DeleteEntities, DeleteRelationships, Details, Drop, EntitiesDeleted,
    IngestFile, IngestFromStorage, IngestFromTable, IngestImage, IngestText, Ingested,
    IngestedCounts, Ingestion, Inspect, List, Memories, Namespace, Optimize, Optimized, Query,
    Recall, Recalled, RecalledRelationship, Recollection, RelationshipsDeleted, Results, Strategy,
    Tidied, UpsertNodes, UpsertRelationships, UpsertTable,
};

/// How many rows of a table are read at once for an ingestion.
const ROWS: usize = 1000;

/// A memory by its name, and the namespace that it is in.
struct Place {
    namespace: Vec<String>,
    name: String,
}

impl Place {
    fn of(name: &str, namespace: &Namespace) -> Self {
        Self { namespace: namespace.clone().unwrap_or_default(), name: name.to_owned() }
    }

    fn name(&self) -> MemoryName<'_> {
        MemoryName { namespace: &self.namespace, name: &self.name }
    }
}

/// Changes one memory.
async fn change<T: Send + 'static>(
    caller: &Caller,
    (name, namespace): (&str, &Namespace),
    work: impl FnOnce(&meshagent_memory::Memories, MemoryName<'_>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Refused> {
    let place = Place::of(name, namespace);
    let databases = Access::of(caller);
    databases.change_memories(move |memories| work(memories, place.name())).await
}

/// Reads one memory.
async fn on<T: Send + 'static>(
    caller: &Caller,
    (name, namespace): (&str, &Namespace),
    work: impl FnOnce(&meshagent_memory::Memories, MemoryName<'_>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Refused> {
    let place = Place::of(name, namespace);
    let databases = Access::of(caller);
    databases.on_memories(move |memories| work(memories, place.name())).await
}

/// Lists the memories of a namespace.
pub async fn list(caller: &Caller, asked: List) -> Result<Memories, Refused> {
    let namespace = asked.namespace.unwrap_or_default();
    let databases = Access::of(caller);
    let memories = databases.on_memories(move |it| it.list(&namespace)).await?;
    Ok(Memories { memories })
}

/// Makes a memory.
pub async fn create(caller: &Caller, asked: Create) -> Result<(), Refused> {
    let how = Making { overwrite: asked.overwrite, ignore_exists: asked.ignore_exists };
    change(caller, (&asked.name, &asked.namespace), move |it, name| it.create(name, how)).await
}

/// Drops a memory.
pub async fn drop(caller: &Caller, asked: Drop) -> Result<(), Refused> {
    let ignore = asked.ignore_missing;
    change(caller, (&asked.name, &asked.namespace), move |it, name| it.drop(name, ignore)).await
}

/// Says what a memory holds.
pub async fn inspect(caller: &Caller, asked: Inspect) -> Result<Details, Refused> {
    let told = on(caller, (&asked.name, &asked.namespace), |it, name| it.inspect(name)).await?;
    let dataset = |it: meshagent_memory::Dataset| Dataset {
        name: it.name,
        rows: it.rows,
        columns: it.columns,
    };
    Ok(Details {
        name: asked.name,
        namespace: asked.namespace,
        path: told.path,
        datasets: told.datasets.into_iter().map(dataset).collect(),
    })
}

/// Answers a statement.
pub async fn query(caller: &Caller, asked: Query) -> Result<Results, Refused> {
    let statement = asked.statement;
    let rows =
        on(caller, (&asked.name, &asked.namespace), move |it, name| it.query(name, &statement));
    let object = |row: Row| -> Map<String, Value> {
        row.into_iter().map(|(name, value)| (name, value.to_plain())).collect()
    };
    Ok(Results { results: rows.await?.into_iter().map(object).collect() })
}

/// Records in the form in which the memory reads them.
fn text<T: serde::Serialize>(records: &[T]) -> Result<String, Refused> {
    serde_json::to_string(records).map_err(|error| Refused::invalid(error.to_string()))
}

/// Adds records to a dataset, or changes those that are there.
pub async fn upsert_table(caller: &Caller, asked: UpsertTable) -> Result<(), Refused> {
    let (records, table, merge) = (text(&asked.records)?, asked.table, asked.merge);
    let work = change(caller, (&asked.name, &asked.namespace), move |it, name| {
        it.upsert_table(name, &table, &records, merge)
    });
    work.await.map(std::mem::drop)
}

/// Adds entities, or changes those that are there.
pub async fn upsert_nodes(caller: &Caller, asked: UpsertNodes) -> Result<(), Refused> {
    let (records, merge) = (text(&asked.records)?, asked.merge);
    let work = change(caller, (&asked.name, &asked.namespace), move |it, name| {
        it.upsert_nodes(name, &records, merge)
    });
    work.await.map(std::mem::drop)
}

/// Adds relationships, or changes those that are there.
pub async fn upsert_relationships(
    caller: &Caller,
    asked: UpsertRelationships,
) -> Result<(), Refused> {
    let (records, merge) = (text(&asked.records)?, asked.merge);
    let work = change(caller, (&asked.name, &asked.namespace), move |it, name| {
        it.upsert_relationships(name, &records, merge)
    });
    work.await.map(std::mem::drop)
}

const fn by(how: &Ingestion) -> By {
    match how.strategy {
        Strategy::Heuristic => By::Heuristic,
        Strategy::Llm => By::Llm,
    }
}

fn told(name: String, found: Found) -> Ingested {
    let Found { entities, relationships, sources, entity_ids } = found;
    Ingested { name, stats: IngestedCounts { entities, relationships, sources }, entity_ids }
}

/// Takes in a text.
pub async fn ingest_text(caller: &Caller, asked: IngestText) -> Result<Ingested, Refused> {
    let (content, by) = (asked.text, by(&asked.how));
    let found = change(caller, (&asked.name, &asked.namespace), move |it, name| {
        it.ingest(name, &[Source::Text(&content)], by)
    });
    Ok(told(asked.name.clone(), found.await?))
}

/// Takes in what is said of an image. The image itself is not looked at.
pub async fn ingest_image(caller: &Caller, asked: IngestImage) -> Result<Ingested, Refused> {
    let annotations: BTreeMap<String, String> = match asked.annotations_json.as_deref() {
        Some(text) => serde_json::from_str(text)
            .map_err(|why| Refused::invalid(format!("the annotations of the image: {why}")))?,
        None => BTreeMap::new(),
    };
    let annotations: Vec<(String, String)> = annotations.into_iter().collect();
    let (caption, mime_type, from) = (asked.caption, asked.mime_type, asked.source);
    let by = by(&asked.how);
    let found = change(caller, (&asked.name, &asked.namespace), move |it, name| {
        let image = Source::Image {
            caption: caption.as_deref(),
            media_type: mime_type.as_deref(),
            source: from.as_deref(),
            annotations: &annotations,
        };
        it.ingest(name, &[image], by)
    });
    Ok(told(asked.name.clone(), found.await?))
}

/// Takes in a file of the room, or a text that is taken for one.
pub async fn ingest_file(caller: &Caller, asked: IngestFile) -> Result<Ingested, Refused> {
    let path = asked.path.unwrap_or_default();
    let bytes = match asked.text {
        Some(text) => text.into_bytes(),
        None if path.is_empty() => {
            return Err(Refused::invalid("a file has a path, or its text is given"));
        }
        None => {
            let mut files = read(caller, vec![path.clone()]).await?;
            files.pop().map(|(_, bytes)| bytes).unwrap_or_default()
        }
    };
    let (media_type, by) = (asked.mime_type, by(&asked.how));
    let found = change(caller, (&asked.name, &asked.namespace), move |it, name| {
        let file = Source::File { path: &path, media_type: media_type.as_deref(), bytes: &bytes };
        it.ingest(name, &[file], by)
    });
    Ok(told(asked.name.clone(), found.await?))
}

/// Takes in files of the room.
pub async fn ingest_from_storage(
    caller: &Caller,
    asked: IngestFromStorage,
) -> Result<Ingested, Refused> {
    let (files, by) = (read(caller, asked.paths).await?, by(&asked.how));
    let found = change(caller, (&asked.name, &asked.namespace), move |it, name| {
        let files: Vec<Source<'_>> = files
            .iter()
            .map(|(path, bytes)| Source::File { path, media_type: None, bytes })
            .collect();
        it.ingest(name, &files, by)
    });
    Ok(told(asked.name.clone(), found.await?))
}

/// Reads files of the room whole, as far as a memory would take them.
async fn read(caller: &Caller, paths: Vec<String>) -> Result<Vec<(String, Vec<u8>)>, Refused> {
    if paths.len() > limits::SOURCES {
        return Err(Refused::invalid(format!("at most {} files at once", limits::SOURCES)));
    }
    blocking(&caller.room.files(), move |files| {
        let mut left = limits::SOURCES_BYTES;
        let mut contents = Vec::with_capacity(paths.len());
        for path in paths {
            let of = FilePath::parse(room_path(&path))?;
            let (file, _) = files.open(&of)?;
            let most = limits::SOURCE.min(left);
            let mut bytes = Vec::new();
            file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
            if bytes.len() > most {
                return Err(Refused::invalid(format!(
                    "{path:?} is too much: a file has at most {} bytes here, and all of them {}",
                    limits::SOURCE,
                    limits::SOURCES_BYTES
                )));
            }
            left -= bytes.len();
            contents.push((of.text().to_owned(), bytes));
        }
        Ok(contents)
    })
    .await
}

/// Takes in the texts of a table of the room.
pub async fn ingest_from_table(
    caller: &Caller,
    asked: IngestFromTable,
) -> Result<Ingested, Refused> {
    let table =
        TableName { namespace: asked.table_namespace.unwrap_or_default(), name: asked.table };
    let (columns, limit) = (asked.text_columns, asked.limit);
    let read = move |tables: &dyn Engine| texts(tables, table, columns.as_deref(), limit);
    let (rows, by) = (Access::of(caller).on_answers(read).await?, by(&asked.how));
    let found = change(caller, (&asked.name, &asked.namespace), move |it, name| {
        it.ingest(name, &[Source::Rows { rows: &rows, text_columns: None }], by)
    });
    Ok(told(asked.name.clone(), found.await?))
}

/// The texts of the rows of a table, as far as a memory would take them. Nothing else of the rows is
/// read.
fn texts(
    tables: &dyn Engine,
    table: TableName,
    columns: Option<&[String]>,
    limit: Option<u64>,
) -> Result<Vec<Row>, Error> {
    let columns = text_columns(&tables.describe(&table)?.fields, columns);
    let select = Some(columns);
    let mut answer = tables.search(Search { table, select, limit, ..Search::default() })?;
    let mut rows: Vec<Row> = Vec::new();
    let mut bytes = 0;
    while let Some(batch) = answer.next(ROWS)? {
        for row in batch {
            let texts = row.into_iter().filter_map(|value| match value {
                Held::Text(text) => Some(text),
                _ => None,
            });
            let text = texts.collect::<Vec<_>>().join("\n\n");
            bytes += text.len();
            rows.push(vec![(String::new(), Held::Text(text))]);
        }
        let most = limits::SOURCES;
        if bytes > limits::SOURCES_BYTES || rows.len() > most {
            let text = format!(
                "the table has more than {most} rows or {} bytes of text; give a limit",
                limits::SOURCES_BYTES
            );
            return Err(Error::invalid(text));
        }
    }
    Ok(rows)
}

/// Looks for what is known of something.
pub async fn recall(caller: &Caller, asked: Recall) -> Result<Recollection, Refused> {
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let (query, relationships) = (asked.query.clone(), asked.include_relationships);
    let found = on(caller, (&asked.name, &asked.namespace), move |it, name| {
        it.recall(name, &query, limit, relationships)
    });
    let relationship = |it: meshagent_memory::RecalledRelationship| RecalledRelationship {
        source_entity_id: it.source_entity_id,
        target_entity_id: it.target_entity_id,
        relationship_type: it.relationship_type,
        description: it.description,
        created_at: it.created_at,
        valid_at: it.valid_at,
        expired_at: it.expired_at,
        invalid_at: it.invalid_at,
    };
    let item = |it: meshagent_memory::Recalled| Recalled {
        entity_id: it.entity_id,
        name: it.name,
        entity_type: it.entity_type,
        context: it.context,
        confidence: it.confidence,
        created_at: it.created_at,
        valid_at: it.valid_at,
        score: it.score,
        relationships: it.relationships.into_iter().map(relationship).collect(),
    };
    let items = found.await?.into_iter().map(item).collect();
    Ok(Recollection { name: asked.name, query: asked.query, items })
}

/// Deletes entities with their relationships.
pub async fn delete_entities(
    caller: &Caller,
    asked: DeleteEntities,
) -> Result<EntitiesDeleted, Refused> {
    let ids = asked.entity_ids;
    let deleted = change(caller, (&asked.name, &asked.namespace), move |it, name| {
        it.delete_entities(name, &ids)
    });
    let deleted = deleted.await?;
    Ok(EntitiesDeleted {
        name: asked.name,
        deleted_entities: deleted.entities,
        deleted_relationships: deleted.relationships,
    })
}

/// Deletes relationships.
pub async fn delete_relationships(
    caller: &Caller,
    asked: DeleteRelationships,
) -> Result<RelationshipsDeleted, Refused> {
    let selectors = asked.relationships;
    let deleted = change(caller, (&asked.name, &asked.namespace), move |it, name| {
        let chosen: Vec<Chosen<'_>> = selectors
            .iter()
            .map(|selector| Chosen {
                source_entity_id: &selector.source_entity_id,
                target_entity_id: &selector.target_entity_id,
                relationship_type: selector.relationship_type.as_deref(),
            })
            .collect();
        it.delete_relationships(name, &chosen)
    });
    Ok(RelationshipsDeleted { name: asked.name.clone(), deleted_relationships: deleted.await? })
}

/// Makes the memory small and fast.
pub async fn optimize(caller: &Caller, asked: Optimize) -> Result<Optimized, Refused> {
    let (compact, cleanup) = (asked.compact, asked.cleanup);
    let told = change(caller, (&asked.name, &asked.namespace), move |it, name| {
        it.optimize(name, compact, cleanup)
    });
    let tidied = |it: meshagent_memory::Optimized| Tidied {
        dataset: it.dataset,
        fragments_added: it.fragments_added,
        fragments_removed: it.fragments_removed,
        bytes_removed: it.bytes_removed,
        ..Tidied::default()
    };
    let datasets = told.await?.into_iter().map(tidied).collect();
    Ok(Optimized { name: asked.name.clone(), datasets })
}
