//! `room database`: the tables of a room.
//!
//! | module | holds |
//! |---|---|
//! | `tables` | tables and their columns: list, inspect, create, drop, add and drop columns |
//! | `install` | `install`: tables that a file asks for, with their indexes |
//! | `changing` | rows that are inserted, merged, updated and deleted |
//! | `source` | records, as they are read from files |
//! | `reading` | rows that are searched and selected |
//! | `planned` | which columns an answer has |
//! | `printed` | how rows are printed |
//! | `versions` | versions and indexes of a table, and `optimize` |
//!
//! Must not live here: what goes over the wire, which is in `crate::room::database`.

mod changing;
mod install;
mod planned;
mod printed;
mod reading;
mod source;
mod tables;
mod versions;

use std::process::ExitCode;

use super::place::PlaceArgs;
use crate::error::Result;
use crate::settings::without_letter;

/// Commands of `room database`.
#[derive(Debug, clap::Subcommand)]
pub enum DatabaseCommand {
    /// List the tables of a room
    #[command(alias = "tables", mut_arg("project_id", without_letter))]
    Table(tables::TablesArgs),
    /// Print the columns of a table
    #[command(mut_arg("project_id", without_letter))]
    Inspect(tables::InspectArgs),
    /// Create the tables that a file asks for, with their indexes
    Install(install::InstallArgs),
    /// Create a table
    #[command(mut_arg("project_id", without_letter))]
    Create(Box<tables::CreateArgs>),
    /// Remove a table
    #[command(mut_arg("project_id", without_letter))]
    Drop(tables::DropArgs),
    /// Add columns to a table
    #[command(mut_arg("project_id", without_letter))]
    AddColumns(tables::AddColumnsArgs),
    /// Remove columns of a table
    #[command(mut_arg("project_id", without_letter))]
    DropColumns(tables::DropColumnsArgs),
    /// Add rows to a table
    #[command(mut_arg("project_id", without_letter))]
    Insert(changing::InsertArgs),
    /// Add rows to a table, in the place of those with the same value in a column
    #[command(mut_arg("project_id", without_letter))]
    Merge(changing::MergeArgs),
    /// Change rows of a table
    #[command(mut_arg("project_id", without_letter))]
    Update(changing::UpdateArgs),
    /// Delete rows of a table
    #[command(mut_arg("project_id", without_letter))]
    Delete(changing::DeleteArgs),
    /// Find rows of a table
    #[command(mut_arg("project_id", without_letter))]
    Search(Box<reading::SearchArgs>),
    /// Print what a statement in SQL selects
    #[command(mut_arg("project_id", without_letter))]
    Sql(Box<reading::SqlArgs>),
    /// Make a table small and fast again
    #[command(mut_arg("project_id", without_letter))]
    Optimize(versions::OptimizeArgs),
    /// List the versions of a table
    #[command(alias = "versions", mut_arg("project_id", without_letter))]
    Version(versions::VersionsArgs),
    /// Read a table at an earlier version from now on
    #[command(mut_arg("project_id", without_letter))]
    Checkout(versions::CheckoutArgs),
    /// Make an earlier version of a table the newest one
    #[command(mut_arg("project_id", without_letter))]
    Restore(versions::RestoreArgs),
    /// List the indexes of a table
    #[command(alias = "indexes", mut_arg("project_id", without_letter))]
    Index(versions::IndexesArgs),
    /// Create an index of a table
    #[command(mut_arg("project_id", without_letter))]
    IndexCreate(versions::CreateIndexArgs),
    /// Remove an index of a table
    #[command(mut_arg("project_id", without_letter))]
    IndexDrop(versions::DropIndexArgs),
}

/// A table.
#[derive(Debug, clap::Args)]
pub struct TableArgs {
    /// The table
    #[arg(short, long, value_name = "TABLE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    table: String,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Runs a command of `room database`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(command: DatabaseCommand) -> Result<ExitCode> {
    use super::run_one;
    match command {
        DatabaseCommand::Table(args) => run_one(&args).await,
        DatabaseCommand::Inspect(args) => run_one(&args).await,
        DatabaseCommand::Install(args) => install::run(&args).await,
        DatabaseCommand::Create(args) => tables::create(&args).await,
        DatabaseCommand::Drop(args) => run_one(&args).await,
        DatabaseCommand::AddColumns(args) => run_one(&args).await,
        DatabaseCommand::DropColumns(args) => run_one(&args).await,
        DatabaseCommand::Insert(args) => changing::insert(&args).await,
        DatabaseCommand::Merge(args) => changing::merge(&args).await,
        DatabaseCommand::Update(args) => run_one(&args).await,
        DatabaseCommand::Delete(args) => run_one(&args).await,
        DatabaseCommand::Search(args) => reading::search(&args).await,
        DatabaseCommand::Sql(args) => reading::sql(&args).await,
        DatabaseCommand::Optimize(args) => run_one(&args).await,
        DatabaseCommand::Version(args) => run_one(&args).await,
        DatabaseCommand::Checkout(args) => run_one(&args).await,
        DatabaseCommand::Restore(args) => run_one(&args).await,
        DatabaseCommand::Index(args) => run_one(&args).await,
        DatabaseCommand::IndexCreate(args) => versions::create_index(&args).await,
        DatabaseCommand::IndexDrop(args) => run_one(&args).await,
    }
}
