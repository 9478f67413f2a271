//! `room memory`: the memories of a room, which hold entities and the relationships between them.
//!
//! | module | holds |
//! |---|---|
//! | `records` | records that are put into a memory, and relationships that are deleted |
//! | `ingest` | entities that are found in texts, images, files, tables and storage |
//! | `import` | `import`: what a FalkorDB dump holds |
//! | `falkor` | FalkorDB in a container |
//!
//! Must not live here: what goes over the wire, which is in `crate::room::memory`.

mod falkor;
mod import;
mod ingest;
mod records;

use std::process::ExitCode;

use super::place::PlaceArgs;
use super::printing::Pretty;
use super::{InRoom, RoomArgs, run_one};
use crate::error::Result;
use crate::output;
use crate::room::memory::{
    Create, DeleteEntities, Details, Drop, EntitiesDeleted, Inspect, List, Memories, Namespace,
    Optimize, Optimized, Query, RECALLED, Recall, Recollection, Results,
};
use crate::settings::without_letter;

/// Commands of `room memory`.
#[derive(Debug, clap::Subcommand)]
pub enum MemoryCommand {
    /// List the memories of a room
    #[command(mut_arg("project_id", without_letter))]
    List(ListArgs),
    /// Create a memory
    #[command(mut_arg("project_id", without_letter))]
    Create(CreateArgs),
    /// Remove a memory
    #[command(mut_arg("project_id", without_letter))]
    Drop(DropArgs),
    /// Print what a memory is made of
    #[command(mut_arg("project_id", without_letter))]
    Inspect(InspectArgs),
    /// Print what a statement finds in a memory
    #[command(mut_arg("project_id", without_letter))]
    Query(QueryArgs),
    /// Put rows into a table of a memory
    #[command(mut_arg("project_id", without_letter))]
    UpsertTable(records::UpsertTableArgs),
    /// Put entities into a memory
    #[command(mut_arg("project_id", without_letter))]
    UpsertNodes(records::UpsertNodesArgs),
    /// Put relationships into a memory
    #[command(mut_arg("project_id", without_letter))]
    UpsertRelationships(records::UpsertRelationshipsArgs),
    /// Put what a FalkorDB dump holds into a memory
    #[command(mut_arg("project_id", without_letter))]
    Import(Box<import::ImportArgs>),
    /// Find entities in a text
    #[command(mut_arg("project_id", without_letter))]
    IngestText(ingest::TextArgs),
    /// Find entities in an image
    #[command(mut_arg("project_id", without_letter))]
    IngestImage(Box<ingest::ImageArgs>),
    /// Find entities in a file
    #[command(mut_arg("project_id", without_letter))]
    IngestFile(Box<ingest::FileArgs>),
    /// Find entities in the rows of a table of the room
    #[command(mut_arg("project_id", without_letter))]
    IngestFromTable(Box<ingest::TableArgs>),
    /// Find entities in files of the room
    #[command(mut_arg("project_id", without_letter))]
    IngestFromStorage(ingest::StorageArgs),
    /// Print what a memory knows of something
    #[command(mut_arg("project_id", without_letter))]
    Recall(RecallArgs),
    /// Delete entities, with their relationships
    #[command(mut_arg("project_id", without_letter), mut_arg("environment", without_letter))]
    DeleteEntities(DeleteEntitiesArgs),
    /// Delete relationships
    #[command(mut_arg("project_id", without_letter))]
    DeleteRelationships(records::DeleteRelationshipsArgs),
    /// Make a memory small and fast again
    #[command(mut_arg("project_id", without_letter))]
    Optimize(OptimizeArgs),
}

/// A memory.
#[derive(Debug, clap::Args)]
pub struct MemoryArgs {
    /// The memory
    #[arg(short = 'm', long, value_name = "MEMORY", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name: String,
    #[command(flatten)]
    place: PlaceArgs,
}

impl MemoryArgs {
    /// The name and the namespace.
    fn told(&self) -> (String, Namespace) {
        (self.name.clone(), self.place.namespace())
    }
}

/// Arguments of `room memory list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    pretty: Pretty,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room memory create`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  meshagent room memory create --room lobby -m people")]
pub struct CreateArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    /// Put it in the place of one that is there
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room memory drop`.
#[derive(Debug, clap::Args)]
pub struct DropArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    /// End with 0 if there is no such memory
    #[arg(long)]
    ignore_missing: bool,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room memory inspect`.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    #[command(flatten)]
    pretty: Pretty,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room memory query`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room memory query --room lobby -m people -s 'MATCH (e:Entity) RETURN e.name AS name LIMIT 10'"
)]
pub struct QueryArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    /// The statement
    #[arg(short, long, value_name = "STATEMENT")]
    statement: String,
    #[command(flatten)]
    pretty: Pretty,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room memory recall`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room memory recall --room lobby -m people -q 'who likes green tea?'"
)]
pub struct RecallArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    /// Of what
    #[arg(short, long, value_name = "TEXT")]
    query: String,
    /// The most entities that are printed
    #[arg(long, value_name = "COUNT", default_value_t = RECALLED)]
    limit: u64,
    /// Print their relationships, too, which is the default
    #[arg(long, overrides_with = "no_include_relationships")]
    include_relationships: bool,
    /// Print the entities alone
    #[arg(long)]
    no_include_relationships: bool,
    #[command(flatten)]
    pretty: Pretty,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room memory delete-entities`.
#[derive(Debug, clap::Args)]
pub struct DeleteEntitiesArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    /// An entity's id; may be repeated
    #[arg(short, long = "entity-id", value_name = "ID", required = true)]
    entity_id: Vec<String>,
    #[command(flatten)]
    pretty: Pretty,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room memory optimize`.
#[derive(Debug, clap::Args)]
pub struct OptimizeArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    /// Put small parts together, which is the default
    #[arg(long, overrides_with = "no_compact")]
    compact: bool,
    /// Leave small parts as they are
    #[arg(long)]
    no_compact: bool,
    /// Remove old versions, which is the default
    #[arg(long, overrides_with = "no_cleanup")]
    cleanup: bool,
    /// Leave old versions
    #[arg(long)]
    no_cleanup: bool,
    #[command(flatten)]
    pretty: Pretty,
    #[command(flatten)]
    at: RoomArgs,
}

impl InRoom for ListArgs {
    type Asked = List;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<List> {
        Ok(List { namespace: self.place.namespace() })
    }

    fn show(&self, answer: Memories) -> Result<ExitCode> {
        self.pretty.print(&answer)
    }
}

impl InRoom for CreateArgs {
    type Asked = Create;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Create> {
        let (name, namespace) = self.memory.told();
        Ok(Create { name, namespace, overwrite: self.overwrite, ignore_exists: false })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        output::note(&format!("created the memory {}", self.memory.name));
        Ok(ExitCode::SUCCESS)
    }
}

impl InRoom for DropArgs {
    type Asked = Drop;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Drop> {
        let (name, namespace) = self.memory.told();
        Ok(Drop { name, namespace, ignore_missing: self.ignore_missing })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        let name = &self.memory.name;
        output::note(&match self.ignore_missing {
            true => format!("there is no memory {name} any more"),
            false => format!("removed the memory {name}"),
        });
        Ok(ExitCode::SUCCESS)
    }
}

impl InRoom for InspectArgs {
    type Asked = Inspect;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Inspect> {
        let (name, namespace) = self.memory.told();
        Ok(Inspect { name, namespace })
    }

    fn show(&self, answer: Details) -> Result<ExitCode> {
        self.pretty.print(&answer)
    }
}

impl InRoom for QueryArgs {
    type Asked = Query;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Query> {
        let (name, namespace) = self.memory.told();
        Ok(Query { name, namespace, statement: self.statement.clone() })
    }

    fn show(&self, answer: Results) -> Result<ExitCode> {
        self.pretty.print(&answer)
    }
}

impl InRoom for RecallArgs {
    type Asked = Recall;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Recall> {
        let (name, namespace) = self.memory.told();
        Ok(Recall {
            name,
            namespace,
            query: self.query.clone(),
            limit: self.limit,
            include_relationships: !self.no_include_relationships,
        })
    }

    fn show(&self, answer: Recollection) -> Result<ExitCode> {
        self.pretty.print(&answer)
    }
}

impl InRoom for DeleteEntitiesArgs {
    type Asked = DeleteEntities;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<DeleteEntities> {
        let (name, namespace) = self.memory.told();
        Ok(DeleteEntities { name, namespace, entity_ids: self.entity_id.clone() })
    }

    fn show(&self, answer: EntitiesDeleted) -> Result<ExitCode> {
        self.pretty.print(&answer)
    }
}

impl InRoom for OptimizeArgs {
    type Asked = Optimize;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Optimize> {
        let (name, namespace) = self.memory.told();
        Ok(Optimize { name, namespace, compact: !self.no_compact, cleanup: !self.no_cleanup })
    }

    fn show(&self, answer: Optimized) -> Result<ExitCode> {
        self.pretty.print(&answer)
    }
}

/// Runs a command of `room memory`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(command: MemoryCommand) -> Result<ExitCode> {
    match command {
        MemoryCommand::List(args) => run_one(&args).await,
        MemoryCommand::Create(args) => run_one(&args).await,
        MemoryCommand::Drop(args) => run_one(&args).await,
        MemoryCommand::Inspect(args) => run_one(&args).await,
        MemoryCommand::Query(args) => run_one(&args).await,
        MemoryCommand::UpsertTable(args) => run_one(&args).await,
        MemoryCommand::UpsertNodes(args) => run_one(&args).await,
        MemoryCommand::UpsertRelationships(args) => run_one(&args).await,
        MemoryCommand::Import(args) => import::run(&args).await,
        MemoryCommand::IngestText(args) => run_one(&args).await,
        MemoryCommand::IngestImage(args) => run_one(&*args).await,
        MemoryCommand::IngestFile(args) => run_one(&*args).await,
        MemoryCommand::IngestFromTable(args) => run_one(&*args).await,
        MemoryCommand::IngestFromStorage(args) => run_one(&args).await,
        MemoryCommand::Recall(args) => run_one(&args).await,
        MemoryCommand::DeleteEntities(args) => run_one(&args).await,
        MemoryCommand::DeleteRelationships(args) => run_one(&args).await,
        MemoryCommand::Optimize(args) => run_one(&args).await,
    }
}
