//! Versions and indexes of a table.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::TableArgs;
use crate::commands::room::printing::Pretty;
use crate::commands::room::{InRoom, RoomArgs, ask};
use crate::error::{Error, Result};
use crate::output;
use crate::room::client::Room;
use crate::room::database::{
    Checkout, CreateFullTextSearchIndex, CreateScalarIndex, CreateVectorIndex, DropIndex, Indexes,
    ListIndexes, ListVersions, NewIndex, Optimize, Restore, Versions,
};

/// Arguments of `room database optimize`.
#[derive(Debug, clap::Args)]
pub struct OptimizeArgs {
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room database version`.
#[derive(Debug, clap::Args)]
pub struct VersionsArgs {
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    pretty: Pretty,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room database checkout`.
#[derive(Debug, clap::Args)]
#[command(
    disable_version_flag = true,
    after_help = "Example:\n  meshagent room database checkout --room lobby -t people -v 3"
)]
pub struct CheckoutArgs {
    #[command(flatten)]
    table: TableArgs,
    /// The version's number
    #[arg(short = 'v', long = "version", value_name = "NUMBER")]
    number: i64,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room database restore`.
#[derive(Debug, clap::Args)]
#[command(
    disable_version_flag = true,
    after_help = "Example:\n  meshagent room database restore --room lobby -t people -v 3"
)]
pub struct RestoreArgs {
    #[command(flatten)]
    table: TableArgs,
    /// The version's number
    #[arg(short = 'v', long = "version", value_name = "NUMBER")]
    number: i64,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room database index`.
#[derive(Debug, clap::Args)]
pub struct IndexesArgs {
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    pretty: Pretty,
    #[command(flatten)]
    at: RoomArgs,
}

/// What an index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum IndexKind {
    /// Vectors that are near to another one.
    Vector,
    /// Values.
    Scalar,
    /// Words in texts.
    #[value(aliases = ["full_text", "full-text"])]
    Fts,
}

/// Arguments of `room database index-create`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room database index-create --room lobby -t people -c name --kind fts"
)]
pub struct CreateIndexArgs {
    #[command(flatten)]
    table: TableArgs,
    /// The column
    #[arg(short, long, value_name = "COLUMN")]
    column: String,
    /// What it is for
    #[arg(long, value_enum, default_value = "scalar")]
    kind: IndexKind,
    /// Make one that is there anew
    #[arg(long, overrides_with = "no_replace")]
    replace: bool,
    /// Fail if there is one already, which is the default
    #[arg(long)]
    no_replace: bool,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room database index-drop`.
#[derive(Debug, clap::Args)]
pub struct DropIndexArgs {
    #[command(flatten)]
    table: TableArgs,
    /// The index
    #[arg(long, value_name = "INDEX")]
    name: String,
    #[command(flatten)]
    at: RoomArgs,
}

impl InRoom for OptimizeArgs {
    type Asked = Optimize;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Optimize> {
        let TableArgs { table, place } = &self.table;
        Ok(Optimize { table: table.clone(), namespace: place.namespace() })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        output::note(&format!("optimized the table {}", self.table.table));
        Ok(ExitCode::SUCCESS)
    }
}

impl InRoom for VersionsArgs {
    type Asked = ListVersions;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<ListVersions> {
        let TableArgs { table, place } = &self.table;
        Ok(ListVersions { table: table.clone(), namespace: place.namespace() })
    }

    fn show(&self, answer: Versions) -> Result<ExitCode> {
        let mut shown = Vec::with_capacity(answer.versions.len());
        for version in answer.versions {
            let metadata: Value =
                serde_json::from_str(&version.metadata_json).map_err(|error| {
                    let number = version.version;
                    Error::failed(format!("the room told nothing readable of the version {number}"))
                        .because(error)
                })?;
            shown.push(json!({
                "timestamp": version.timestamp,
                "version": version.version,
                "metadata": metadata,
            }));
        }
        self.pretty.print(&shown)
    }
}

impl InRoom for CheckoutArgs {
    type Asked = Checkout;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Checkout> {
        let TableArgs { table, place } = &self.table;
        Ok(Checkout { table: table.clone(), version: self.number, namespace: place.namespace() })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        let (table, version) = (&self.table.table, self.number);
        output::note(&format!("the table {table} is read at the version {version}"));
        Ok(ExitCode::SUCCESS)
    }
}

impl InRoom for RestoreArgs {
    type Asked = Restore;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Restore> {
        let TableArgs { table, place } = &self.table;
        Ok(Restore { table: table.clone(), version: self.number, namespace: place.namespace() })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        let (table, version) = (&self.table.table, self.number);
        output::note(&format!("restored the table {table} to the version {version}"));
        Ok(ExitCode::SUCCESS)
    }
}

impl InRoom for IndexesArgs {
    type Asked = ListIndexes;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<ListIndexes> {
        let TableArgs { table, place } = &self.table;
        Ok(ListIndexes { table: table.clone(), namespace: place.namespace() })
    }

    fn show(&self, answer: Indexes) -> Result<ExitCode> {
        self.pretty.print(&answer.indexes)
    }
}

impl InRoom for DropIndexArgs {
    type Asked = DropIndex;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<DropIndex> {
        let TableArgs { table, place } = &self.table;
        let name = self.name.clone();
        Ok(DropIndex { table: table.clone(), name, namespace: place.namespace() })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        output::note(&format!("removed the index {} of {}", self.name, self.table.table));
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs `room database index-create`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn create_index(args: &CreateIndexArgs) -> Result<ExitCode> {
    let TableArgs { table, place } = &args.table;
    let index = NewIndex {
        table: table.clone(),
        column: args.column.clone(),
        replace: (args.replace || args.no_replace).then_some(args.replace),
        namespace: place.namespace(),
    };
    args.at
        .with(async |room: &Room| match args.kind {
            IndexKind::Vector => ask(room, &CreateVectorIndex(index)).await,
            IndexKind::Scalar => ask(room, &CreateScalarIndex(index)).await,
            IndexKind::Fts => ask(room, &CreateFullTextSearchIndex(index)).await,
        })
        .await?;
    output::note(&format!("created an index of {table}.{}", args.column));
    Ok(ExitCode::SUCCESS)
}
