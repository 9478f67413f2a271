//! `set`: lists the sets of a project, moves objects between them, and takes sets over from before
//! an upgrade.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::apply::migrate::{MigrateArgs, migrate};
use super::apply::progress::reporter;
use super::apply::report::summary;
use super::apply::{ApplyFormat, objects};
use super::author;
use super::confirmation::confirm;
use super::environment;
use super::plan::print;
use super::show::{AllArgs, Listed, quietly};
use super::signals::{PERFORMING, Stopping};
use crate::apply::history::{Occasion, What};
use crate::apply::{inventory, sets, survey};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::listed::{counted, few, word};
use crate::manifest::declared_in::LookedAt;
use crate::output::{self, Format};
use crate::plan::Plan;
use crate::project_file::ProjectFile;
use crate::reconcile::relocate::{CONCURRENT_READS, Relocating, Relocation};
use crate::reconcile::{Performing, Target, left_over};
use crate::settings::PlatformArgs;

/// List the sets of a project, and move objects between them.
#[derive(Debug, clap::Subcommand)]
pub enum SetCommand {
    /// List the sets of a project, with how many objects each owns
    #[command(mut_arg("quiet", quietly("names")))]
    List(AllArgs),
    /// Move objects from one set to another; the platform's objects stay as they are
    Move(MoveArgs),
    /// Give a set another name
    Rename(RenameArgs),
    /// Take a set over that was applied before the platform was upgraded
    Migrate(Box<MigrateArgs>),
}

/// Arguments of `set move`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Also move the documents: out of the manifests of one set and into those of the other.\n\n\
Examples:\n  meshagent set move Room/lobby Service/bot@lobby --set a --to b\n  meshagent set move 'Service/*@lobby' --to lobby --dry-run"
)]
pub struct MoveArgs {
    /// The objects to move: Kind/name with * and ?
    #[arg(value_name = "KIND/NAME", required = true)]
    objects: Vec<String>,
    /// The set that owns the objects
    #[arg(long = "set", value_name = "NAME", default_value = "default")]
    from: String,
    /// The set to move them to; it need not exist
    #[arg(long, value_name = "NAME")]
    to: String,
    #[command(flatten)]
    perform: PerformArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `set rename`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  meshagent set rename default support --yes")]
pub struct RenameArgs {
    /// The set
    #[arg(value_name = "SET")]
    from: String,
    /// Its new name, which no other set may have
    #[arg(value_name = "NAME")]
    to: String,
    #[command(flatten)]
    perform: PerformArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// How it is done.
#[derive(Debug, clap::Args)]
struct PerformArgs {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Show the plan, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Output format of the plan
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Take over the leases of the sets from whoever holds them
    #[arg(long)]
    break_lock: bool,
}

/// Runs the command.
///
/// # Errors
///
/// Errors of the platform; objects that the set does not own.
pub async fn run(command: SetCommand) -> Result<ExitCode> {
    match command {
        SetCommand::List(args) => args.platform.with(async |it| list(it, &args).await).await,
        SetCommand::Move(args) => {
            refuse_unapproved(&args.platform, &args.perform)?;
            let platform = args.platform.clone();
            platform.with(async |connection| move_objects(connection, &args).await).await
        }
        SetCommand::Migrate(args) => migrate(*args).await,
        SetCommand::Rename(args) => {
            refuse_unapproved(&args.platform, &args.perform)?;
            let platform = args.platform.clone();
            platform.with(async |connection| rename(connection, &args).await).await
        }
    }
}

/// Refuses to move what is in an environment that requires approvals: a move is no plan that can be
/// saved, so nobody can have approved it.
fn refuse_unapproved(platform: &PlatformArgs, args: &PerformArgs) -> Result<()> {
    let Some(named) = platform.named_environment().filter(|_| !args.dry_run) else { return Ok(()) };
    let environment = ProjectFile::named(&named)?.environment(Some(&named))?;
    environment::refuse_unsaved(Some(&environment), |_| {
        "a move cannot be saved; --dry-run shows it, and the environment has to require no approvals while it is done".to_owned()
    })
}

/// The project that is meant, by name and id.
async fn project(connection: &Connection) -> Result<(String, String)> {
    let reader = connection.client.reader();
    survey::find_project(&reader, connection.project_id().await?).await
}

async fn list(connection: &Connection, args: &AllArgs) -> Result<ExitCode> {
    let reader = connection.client.reader();
    let (project, id) = &project(connection).await?;
    let sets = sets::listed(&reader, id).await?;
    if let Some(doubt) = sets.doubt() {
        output::warning(&format!("{doubt}; it is skipped"));
    }
    let here = &LookedAt::new(&[PathBuf::from(".")]);
    let items: Vec<Option<(Value, usize, bool)>> = stream::iter(sets.names)
        .map(|name| {
            let reader = &reader;
            async move {
                let stored = inventory::load_to_show(reader, &name, project, id).await?;
                let entries = &stored.inventory.entries;
                let files = entries.values().flat_map(|entry| &entry.declared_in);
                let folders: BTreeSet<String> = files.map(|file| file.folder(here)).collect();
                // A set that went to other projects may be on the list still.
                let has_left = entries.is_empty() && !stored.projects.is_empty();
                Ok::<_, Error>((!has_left).then(|| {
                    let item = json!({
                        "name": name,
                        "objects": entries.len(),
                        "declared_in": folders.into_iter().collect::<Vec<_>>(),
                    });
                    let arrived = entries.values().filter(|entry| entry.arrived).count();
                    (item, arrived, stored.inventory.is_of_other_api)
                }))
            }
        })
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    let listed = Listed {
        envelope: Some("sets"),
        columns: &["name", "objects", "declared_in"],
        name: "name",
        none: "There are no sets.",
    };
    let items: Vec<(Value, usize, bool)> = items.into_iter().flatten().collect();
    let named = |(item, ..): &(Value, usize, bool)| item["name"].as_str().map(str::to_owned);
    let of_other_api: Vec<String> = items.iter().filter(|it| it.2).filter_map(named).collect();
    let arrived: Vec<(String, usize)> = items
        .iter()
        .filter(|(_, count, _)| *count > 0)
        .filter_map(|it| Some((named(it)?, it.1)))
        .collect();
    let items: Vec<Value> = items.into_iter().map(|(item, ..)| item).collect();
    let names = items.iter().filter(|item| item["objects"] == 0);
    let empty: Vec<String> =
        names.filter_map(|item| item["name"].as_str()).map(str::to_owned).collect();
    let code = args.show.print(listed, items)?;
    for (set, count) in arrived {
        let were = if count == 1 { "was" } else { "were" };
        output::note(&format!(
            "note: {} of the set `{set}` {were} moved to it and not applied since; where it is declared is what the set before said",
            counted(count, "object")
        ));
    }
    for set in of_other_api {
        output::note(&format!(
            "note: the set `{set}` was applied in another API than that of {}, which is spoken here",
            reader.spoken()
        ));
    }
    for set in empty {
        output::note(&format!(
            "note: the set `{set}` owns nothing: a run of it was cut off, or is still running; run that command again, or use `meshagent destroy --set {set} --project-id {}{}` to take the set off the list",
            word(project),
            connection.target().flags
        ));
    }
    Ok(code)
}

async fn move_objects(connection: &Connection, args: &MoveArgs) -> Result<ExitCode> {
    let MoveArgs { objects, from, to, perform, platform } = args;
    let target = &connection.target();
    let id = connection.project_id().await?;
    let relocating = Relocating::read(target, id, (from, to)).await?;
    let left = relocating.left_over().await?;
    if !left.is_empty() {
        return end_left_over(target, from, &left, perform).await;
    }
    let others = relocating.elsewhere();
    if !others.is_empty() {
        output::note(&format!(
            "note: the set `{from}` also owns objects in {}, which this command leaves alone",
            few(others)
        ));
    }
    match relocating.some(objects).await? {
        Some(relocation) => {
            let how = (perform, platform.named_environment());
            relocate(target, (from, to), vec![relocation], how).await
        }
        None => {
            output::note(&format!("nothing to move: the set `{to}` already owns them"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn rename(connection: &Connection, args: &RenameArgs) -> Result<ExitCode> {
    let RenameArgs { from, to, perform, platform } = args;
    let target = &connection.target();
    let id = connection.project_id().await?;
    let relocating = Relocating::read(target, id, (from, to)).await?;
    let left = relocating.left_over().await?;
    if !left.is_empty() {
        return end_left_over(target, from, &left, perform).await;
    }
    let relocations = relocating.all()?;
    let how = (perform, platform.named_environment());
    relocate(target, (from, to), relocations, how).await
}

/// Takes a set that owns nothing, so that nothing can move, off the lists where an interrupted run
/// left it.
async fn end_left_over(
    target: &Target,
    set: &str,
    left: &[(String, String)],
    args: &PerformArgs,
) -> Result<ExitCode> {
    for (name, _) in left {
        output::note(&format!(
            "nothing to move: the set `{set}` owns nothing in project `{name}`, but is still on the project's list of sets because a run was cut off"
        ));
    }
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !confirm(&format!("Take the set `{set}` off the list?"))? {
        return Err(Error::failed("cancelled; nothing was changed"));
    }
    for (name, id) in left {
        if left_over::end(target, set, (name, id), args.break_lock).await? {
            output::note(&format!("note: {}", left_over::ended(set, name)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the plan, asks, performs it and reports.
async fn relocate(
    target: &Target,
    (from, to): (&str, &str),
    relocations: Vec<Relocation>,
    (args, environment): (&PerformArgs, Option<String>),
) -> Result<ExitCode> {
    for Relocation { plan, .. } in &relocations {
        print(plan, args.output)?;
        output::notes(&plan.notes);
    }
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !confirm(&question(&relocations, to))? {
        return Err(Error::failed("cancelled; nothing was changed"));
    }
    let by = author::ask(&[]).author().await;
    let occasion = Occasion { environment, ..Occasion::of(What::Move, by) };
    for relocation in &relocations {
        let plan = &relocation.plan;
        let progress = reporter(plan, ApplyFormat::Text);
        let performing = Performing {
            break_lock: args.break_lock,
            occasion: Some(occasion.clone().into()),
            ..Performing::in_folder(Path::new("."), progress.as_ref())
        };
        let stopping = Stopping::new(performing.stop.clone(), PERFORMING)?;
        let report = relocation.perform(target, &performing).await?;
        drop(progress);
        drop(stopping);
        output::note(summary(plan, &report).trim_end());
        report.notes.iter().for_each(|note| output::note(&format!("note: {note}")));
        relocation.conclude(target, &report).await?;
        tell_documents(plan, (from, to));
    }
    Ok(ExitCode::SUCCESS)
}

/// The question to the user about the moves that were shown.
fn question(relocations: &[Relocation], to: &str) -> String {
    let plans = || relocations.iter().map(|relocation| &relocation.plan);
    let count = plans().map(|plan| plan.operations.len()).sum();
    let targets = plans().filter_map(Plan::target);
    format!("Move {} of {} to the set `{to}`?", objects(count), few(targets))
}

/// Reports which documents belong to the other set now.
fn tell_documents(plan: &Plan, (from, to): (&str, &str)) {
    let here = &LookedAt::new(&[PathBuf::from(".")]);
    let files: BTreeSet<String> = plan
        .operations
        .iter()
        .filter_map(|operation| operation.entry.as_ref())
        .flat_map(|entry| &entry.declared_in)
        .map(|file| file.seen_from(here).to_owned())
        .collect();
    let declared = match files.is_empty() {
        true => String::new(),
        false => format!(" (last applied from {})", few(files)),
    };
    output::note(&format!(
        "note: apply their documents{declared} with --set {to} from now on, and no longer with --set {from}"
    ));
}
