//! `room memory import`: the entities and relationships that a FalkorDB dump holds.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueHint;
use serde_json::Value;

use super::MemoryArgs;
use super::falkor::{self, Falkor};
use super::records::MergeArgs;
use crate::commands::room::{RoomArgs, ask};
use crate::commands::signals::until_signal;
use crate::error::{Context, Error, Result};
use crate::output;
use crate::room::client::Room;
use crate::room::memory::{
    Create, Entity, List, RELATED, Relationship, UpsertNodes, UpsertRelationships,
};

/// Arguments of `room memory import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room memory import --room lobby -m people --rdb-file dump.rdb\n\nThe dump is read by FalkorDB in a container, for which docker or podman is needed. The container is\nremoved at the end. Entities come before relationships; after a failure, what was imported stays."
)]
pub struct ImportArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    /// The dump, which is usually called dump.rdb
    #[arg(short = 'f', long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    rdb_file: PathBuf,
    /// The graph [default: the only one in the dump]
    #[arg(long, value_name = "GRAPH")]
    graph_name: Option<String>,
    #[command(flatten)]
    merge: MergeArgs,
    /// How many rows are read and sent at once
    #[arg(long, value_name = "COUNT", default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..))]
    batch_size: u64,
    /// The image of the container
    #[arg(long, value_name = "IMAGE", default_value = "falkordb/falkordb:latest")]
    docker_image: String,
    /// How long FalkorDB may take to start, in seconds, at least 1
    #[arg(long, value_name = "SECONDS", default_value = "30.0", value_parser = patience)]
    startup_timeout_seconds: Duration,
    /// Create the memory if there is none, which is the default
    #[arg(long, overrides_with = "no_create_memory")]
    create_memory: bool,
    /// Fail if there is no such memory
    #[arg(long)]
    no_create_memory: bool,
    #[command(flatten)]
    at: RoomArgs,
}

/// Reads how long FalkorDB may take to start.
fn patience(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| *seconds >= 1.0);
    let patience = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    patience.ok_or_else(|| "it is not a number of seconds from 1".to_owned())
}

/// Runs `room memory import`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(args: &ImportArgs) -> Result<ExitCode> {
    let failed = || format!("failed to read {}", args.rdb_file.display());
    let dump = args.rdb_file.canonicalize().context(failed)?;
    if !dump.is_file() {
        return Err(Error::failed(failed()).because("it is not a file"));
    }
    let program = falkor::program().await?;
    until_signal(async |stop| {
        let work = async |room: &Room| {
            prepare(room, args).await?;
            output::note(&format!("reading {}", dump.display()));
            let read = async {
                let dump = (dump.as_path(), args.docker_image.as_str());
                let falkor = Falkor::start(program, dump, args.startup_timeout_seconds).await?;
                let done = transfer(room, args, &falkor).await;
                falkor.remove().await;
                done
            };
            tokio::select! {
                // The container is removed when nobody waits for it any more.
                () = stop.cancelled() => Err(Error::failed("stopped before the end of the dump")),
                done = read => done,
            }
        };
        let (entities, relationships) = args.at.with(work).await?;
        let name = &args.memory.name;
        output::note(&format!(
            "imported {entities} entities and {relationships} relationships into the memory {name}"
        ));
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// Makes sure that there is a memory.
async fn prepare(room: &Room, args: &ImportArgs) -> Result<()> {
    let (name, namespace) = args.memory.told();
    let listed = ask(room, &List { namespace: namespace.clone() }).await?;
    if listed.memories.contains(&name) {
        return Ok(());
    }
    if args.no_create_memory {
        return Err(Error::failed(format!("there is no memory {name}"))
            .hint("without --no-create-memory, it is created"));
    }
    let create = Create { name: name.clone(), namespace, overwrite: false, ignore_exists: false };
    ask(room, &create).await?;
    output::note(&format!("created the memory {name}"));
    Ok(())
}

/// Takes what a graph holds into the memory, and says how much that is.
async fn transfer(room: &Room, args: &ImportArgs, falkor: &Falkor) -> Result<(usize, usize)> {
    let graph = falkor.graph(args.graph_name.as_deref()).await?;
    output::note(&format!("taking the graph {graph}"));
    let (name, namespace) = args.memory.told();
    let merge = args.merge.is_wanted();
    let entities = pages(falkor, (&graph, &entities_from), args.batch_size, async |rows| {
        let records = rows.iter().map(|row| entity(row)).collect::<Result<_>>()?;
        let (name, namespace) = (name.clone(), namespace.clone());
        ask(room, &UpsertNodes { name, namespace, records, merge }).await
    })
    .await?;
    let relationships =
        pages(falkor, (&graph, &relationships_from), args.batch_size, async |rows| {
            let records = rows.iter().map(|row| relationship(row)).collect::<Result<_>>()?;
            let (name, namespace) = (name.clone(), namespace.clone());
            ask(room, &UpsertRelationships { name, namespace, records, merge }).await
        })
        .await?;
    Ok((entities, relationships))
}

/// Reads the rows of a graph page by page, and hands each page on; how many rows there were.
async fn pages(
    falkor: &Falkor,
    (graph, statement): (&str, &dyn Fn(usize, u64) -> String),
    size: u64,
    mut take: impl AsyncFnMut(Vec<Vec<Value>>) -> Result<()>,
) -> Result<usize> {
    let mut count = 0;
    loop {
        let rows = falkor.rows(graph, &statement(count, size)).await?;
        let taken = rows.len();
        if taken > 0 {
            take(rows).await?;
            count += taken;
        }
        if (taken as u64) < size {
            return Ok(count);
        }
    }
}

/// The statement for a page of entities, in the order of [`entity`].
fn entities_from(skip: usize, limit: u64) -> String {
    let id = "coalesce(n.uuid, tostring(id(n)))";
    let kind = "CASE WHEN size(labels(n)) = 0 THEN null \
                WHEN size(labels(n)) > 1 AND labels(n)[0] = 'Entity' THEN labels(n)[1] \
                ELSE labels(n)[0] END";
    format!(
        "MATCH (n) RETURN {id}, coalesce(n.name, n.title, {id}), {kind}, \
         coalesce(n.context, n.summary, n.content), n.confidence, n.created_at, n.valid_at \
         ORDER BY id(n) SKIP {skip} LIMIT {limit}"
    )
}

/// The statement for a page of relationships, in the order of [`relationship`].
fn relationships_from(skip: usize, limit: u64) -> String {
    let id = |end: &str| format!("coalesce({end}.uuid, tostring(id({end})))");
    let (source, target) = (id("a"), id("b"));
    format!(
        "MATCH (a)-[r]->(b) RETURN {source}, {target}, coalesce(r.name, type(r)), \
         coalesce(r.fact, r.description, r.context), r.confidence, r.created_at, r.valid_at, \
         r.expired_at, r.invalid_at, coalesce(a.name, {source}), coalesce(b.name, {target}) \
         ORDER BY id(r) SKIP {skip} LIMIT {limit}"
    )
}

/// A value as a text; none if there is nothing in it.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// A value that must be there.
fn needed(value: &Value, what: &str) -> Result<String> {
    text(value).ok_or_else(|| Error::failed(format!("something in the graph has no {what}")))
}

/// A number, which may also be a text.
fn number(value: &Value, of: &str) -> Result<Option<f64>> {
    let wrong = || {
        Error::failed(format!("the confidence of {of} in the graph is not a number"))
            .because(value.to_string())
    };
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(number.as_f64()),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => {
            let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
            number.map(Some).ok_or_else(wrong)
        }
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(wrong()),
    }
}

/// The error for a row that has more or fewer values than were asked for.
fn odd_row() -> Error {
    Error::failed("FalkorDB gave a row that was not asked for")
}

/// An entity, as [`entities_from`] asks for it.
fn entity(row: &[Value]) -> Result<Entity> {
    let [id, name, kind, context, confidence, created, valid] = row else { return Err(odd_row()) };
    let entity_id = needed(id, "id")?;
    Ok(Entity {
        name: needed(name, "name")?,
        entity_type: text(kind),
        context: text(context),
        confidence: number(confidence, &entity_id)?,
        created_at: text(created),
        valid_at: text(valid),
        metadata: None,
        entity_id: Some(entity_id),
    })
}

/// A relationship, as [`relationships_from`] asks for it.
fn relationship(row: &[Value]) -> Result<Relationship> {
    let [
        source,
        target,
        kind,
        description,
        confidence,
        created,
        valid,
        expired,
        invalid,
        source_name,
        target_name,
    ] = row
    else {
        return Err(odd_row());
    };
    let (source, target) = (needed(source, "source")?, needed(target, "target")?);
    Ok(Relationship {
        relationship_type: text(kind).unwrap_or_else(|| RELATED.to_owned()),
        description: text(description),
        confidence: number(confidence, &format!("{source} to {target}"))?,
        created_at: text(created),
        valid_at: text(valid),
        expired_at: text(expired),
        invalid_at: text(invalid),
        source_entity_name: text(source_name),
        target_entity_name: text(target_name),
        metadata: None,
        source_entity_id: source,
        target_entity_id: target,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(values: Value) -> Vec<Value> {
        values.as_array().unwrap().clone()
    }

    #[test]
    fn rows_become_records() {
        let ada = row(json!(["1", " Ada ", "person", "", "0.5", 1_700_000_000, null]));
        assert_eq!(
            entity(&ada).unwrap(),
            Entity {
                entity_id: Some("1".to_owned()),
                name: "Ada".to_owned(),
                entity_type: Some("person".to_owned()),
                confidence: Some(0.5),
                created_at: Some("1700000000".to_owned()),
                ..Entity::default()
            }
        );
        let knows = row(json!(["1", "2", null, "met", 1, "t1", "t2", "t3", "t4", "Ada", "Bob"]));
        let knows = relationship(&knows).unwrap();
        assert_eq!(knows.relationship_type, "RELATED_TO");
        assert_eq!((knows.confidence, knows.invalid_at.as_deref()), (Some(1.0), Some("t4")));
        assert_eq!(knows.target_entity_name.as_deref(), Some("Bob"));
    }

    #[test]
    fn rows_that_make_no_sense_are_told() {
        for (values, why) in [
            (json!(["1", "A", null, null, true, null, null]), "the confidence of 1 in the graph"),
            (json!(["1", "A", null, null, "high", null, null]), "is not a number"),
            (json!(["1", "  ", null, null, null, null, null]), "has no name"),
            (json!([null, "A", null, null, null, null, null]), "has no id"),
            (json!(["1"]), "not asked for"),
        ] {
            let told = entity(&row(values)).unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn falkordb_starts_within_a_second_or_more() {
        assert_eq!(patience("1.5"), Ok(Duration::from_millis(1500)));
        for odd in ["0.5", "-1", "x", "nan", "1e300"] {
            assert!(patience(odd).is_err(), "{odd}");
        }
    }
}
