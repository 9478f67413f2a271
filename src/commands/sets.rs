//! `set`: which sets a project has, and what moves between them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use wildmatch::WildMatch;

use super::apply::progress::reporter;
use super::apply::report::summary;
use super::apply::{ApplyFormat, confirm};
use super::plan::print;
use super::show::{AllArgs, Listed};
use crate::apply::execute::{Options, Outcome, Report};
use crate::apply::inventory::{self, is_set_name};
use crate::apply::observe::{self, Scope};
use crate::apply::run::Surroundings;
use crate::apply::transfer::{Side, Sides, perform};
use crate::apply::{lock, sets, survey};
use crate::error::{Class, Error, Result};
use crate::kinds::Key;
use crate::kinds::recorded::Recorded;
use crate::manifest::declared_in::DeclaredIn;
use crate::manifest::set::Set;
use crate::output::{self, Format};
use crate::plan::planner::Policy;
use crate::plan::{Entry, Plan};
use crate::settings::{Connection, PlatformArgs};

/// How many inventories are read at once.
const CONCURRENT_READS: usize = 8;

/// See which sets a project has, and move objects between them.
#[derive(Debug, clap::Subcommand)]
pub enum SetCommand {
    /// List the sets of a project, with how many objects each owns
    List(AllArgs),
    /// Move objects from one set to another; the platform's objects stay as they are
    Move(MoveArgs),
    /// Give a set another name
    Rename(RenameArgs),
}

/// Arguments of `set move`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Move the documents, too: out of the manifests of the one set and into those of the other.\n\n\
Examples:\n  meshagent set move Room/lobby Service/bot@lobby --set a --to b\n  meshagent set move 'Service/*@lobby' --to lobby --dry-run"
)]
pub struct MoveArgs {
    /// What moves: Kind/name with * and ?
    #[arg(value_name = "KIND/NAME", required = true)]
    objects: Vec<String>,
    /// The set that owns the objects
    #[arg(long = "set", value_name = "NAME", default_value = "default")]
    from: String,
    /// The set that takes them; it need not exist
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
    /// Its new name, which no set has
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
    /// Show the plan, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// How the plan is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Take the leases of the sets over from whoever holds them
    #[arg(long)]
    break_lock: bool,
}

/// Runs the command.
///
/// # Errors
///
/// The platform's; objects that the set does not own.
pub async fn run(command: SetCommand) -> Result<ExitCode> {
    match command {
        SetCommand::List(args) => args.platform.with(async |it| list(it, &args).await).await,
        SetCommand::Move(args) => {
            let platform = args.platform.clone();
            platform.with(async |connection| move_objects(connection, &args).await).await
        }
        SetCommand::Rename(args) => {
            let platform = args.platform.clone();
            platform.with(async |connection| rename(connection, &args).await).await
        }
    }
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
        output::warning(&format!("{doubt}; it is passed over"));
    }
    let items: Vec<Value> = stream::iter(sets.names)
        .map(|name| {
            let reader = &reader;
            async move {
                let stored = inventory::load(reader, &name, project, id).await?;
                let entries = &stored.inventory.entries;
                let files = entries.values().filter_map(|entry| entry.declared_in.as_ref());
                let folders: BTreeSet<String> = files.map(DeclaredIn::folder).collect();
                Ok::<_, Error>(json!({
                    "name": name,
                    "objects": entries.len(),
                    "declared_in": folders.into_iter().collect::<Vec<_>>(),
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
    args.show.print(listed, items)
}

async fn move_objects(connection: &Connection, args: &MoveArgs) -> Result<ExitCode> {
    let sides = sides(connection, &args.from, &args.to).await?;
    let owned = &sides.from.stored.inventory.entries;
    let mut keys = BTreeSet::new();
    for pattern in &args.objects {
        let wanted = WildMatch::new(pattern);
        let found = owned.keys().filter(|key| wanted.matches(&key.to_string()));
        let before = keys.len();
        keys.extend(found.cloned());
        if keys.len() == before {
            return Err(Error::usage(format!(
                "the set `{}` owns nothing that matches `{pattern}`",
                args.from
            ))
            .hint("patterns are Kind/name or Kind/name@room, with * and ?; `meshagent export --set NAME` shows what a set owns"));
        }
    }
    relocate(connection, &sides, keys, &args.perform).await
}

async fn rename(connection: &Connection, args: &RenameArgs) -> Result<ExitCode> {
    let sides = sides(connection, &args.from, &args.to).await?;
    let keys: BTreeSet<Key> = sides.from.stored.inventory.entries.keys().cloned().collect();
    // What an earlier try has moved already is in both.
    let others = sides.to.stored.inventory.entries.keys().filter(|key| !keys.contains(*key));
    let is_begun = keys.iter().any(|key| sides.to.stored.inventory.entries.contains_key(key));
    if others.count() > 0 && !is_begun {
        return Err(Error::new(
            Class::Refused,
            format!("there is a set `{}` already, so nothing was written", args.to),
        )
        .hint(format!(
            "to join the two: meshagent set move '*' --set {} --to {}",
            args.from, args.to
        )));
    }
    if keys.is_empty() {
        return Err(Error::usage(format!("the set `{}` owns nothing in this project", args.from))
            .hint("`meshagent set list` shows the sets"));
    }
    relocate(connection, &sides, keys, &args.perform).await
}

/// Reads both sets, and the objects of the first.
async fn sides(connection: &Connection, from: &str, to: &str) -> Result<Sides> {
    for name in [from, to] {
        if !is_set_name(name) {
            return Err(Error::usage(format!("{name:?} cannot be the name of a set")));
        }
    }
    if from == to {
        return Err(Error::usage(format!("`{from}` is the same set")));
    }
    let reader = connection.client.reader();
    let project = project(connection).await?;
    let (name, id) = (&project.0, &project.1);
    let mut nothing = Set::default();
    let policy = Policy::standard(from);
    let scope = Scope::Project(id);
    let mut observation =
        observe::observe(&reader, &policy, &mut nothing, scope, &BTreeMap::new()).await?;
    let stored = observation.stored.remove(name);
    let stored = stored.ok_or_else(|| Error::failed(format!("failed to read the set `{from}`")))?;
    let others = observation.state.projects.keys().filter(|project| *project != name);
    let others: Vec<&str> = others.map(String::as_str).collect();
    if !others.is_empty() {
        output::note(&format!(
            "note: the set `{from}` also owns objects in {}, which this command leaves alone",
            others.join(", ")
        ));
    }
    observation.state.projects.retain(|project, _| project == name);
    let key = BTreeMap::from([(name.clone(), stored.key().to_owned())]);
    let taking = inventory::load(&reader, to, name, id).await?.with_key(key.get(name));
    Ok(Sides {
        from: Side { set: from.to_owned(), stored },
        to: Side { set: to.to_owned(), stored: taking },
        project,
        state: observation.state,
    })
}

/// Plans, shows, asks, performs, tells.
async fn relocate(
    connection: &Connection,
    sides: &Sides,
    keys: BTreeSet<Key>,
    args: &PerformArgs,
) -> Result<ExitCode> {
    let transfer = sides.transfer(keys);
    let plan = transfer.take().map_err(Error::refused)?;
    let mut plan = Plan { platform: connection.platform_name(), ..plan };
    let has_secrets =
        |entry: &Entry| entry.applied.as_ref().is_some_and(Recorded::may_have_secrets);
    let moved = plan.operations.iter().filter_map(|operation| operation.work.entry.as_ref());
    if sides.from.stored.key() != sides.to.stored.key() && moved.into_iter().any(has_secrets) {
        plan.notes.push(format!(
            "each set has its own fingerprints of secrets, so the next apply of the set `{}` sends those that moved once more",
            sides.to.set
        ));
    }
    for note in &plan.notes {
        output::note(&format!("note: {note}"));
    }
    print(&plan, args.output)?;
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !confirm(&plan)? {
        return Err(Error::failed("nothing was done"));
    }
    let progress = reporter(&plan, ApplyFormat::Text);
    let surroundings = Surroundings {
        folder: Path::new("."),
        break_lock: args.break_lock,
        lease: lock::LASTS,
        progress: progress.as_ref(),
    };
    let options = Options::standard(CONCURRENT_READS);
    let report = perform(&connection.client, sides, &transfer, &plan, (&options, surroundings));
    let report = report.await?;
    drop(progress);
    conclude(connection, sides, &plan, report).await
}

async fn conclude(
    connection: &Connection,
    sides: &Sides,
    plan: &Plan,
    report: Report,
) -> Result<ExitCode> {
    output::note(summary(plan, &report).trim_end());
    let (from, to) = (&sides.from.set, &sides.to.set);
    if !report.is_complete() {
        let done = report.count(|outcome| *outcome == Outcome::Done);
        let class = if done > 0 { Class::Partial } else { Class::Failed };
        let open = report.outcomes.len() - done;
        return Err(Error::new(
            class,
            format!("{open} of {} objects did not move", plan.operations.len()),
        )
        .hint("run the same command again to go on from here"));
    }
    let (project, id) = &sides.project;
    let reader = connection.client.reader();
    let mut left = inventory::load(&reader, from, project, id).await?;
    if left.inventory.entries.is_empty() {
        inventory::retire(&connection.client, from, id, &mut left).await?;
    }
    let files: BTreeSet<String> = plan
        .operations
        .iter()
        .filter_map(|operation| operation.work.entry.as_ref()?.declared_in.as_ref())
        .map(ToString::to_string)
        .collect();
    let files: Vec<String> = files.into_iter().collect();
    let declared = match files.as_slice() {
        [] => String::new(),
        files => format!(" (now in {})", files.join(", ")),
    };
    output::note(&format!(
        "note: apply their documents{declared} with --set {to} from now on, and no more with --set {from}"
    ));
    Ok(ExitCode::SUCCESS)
}
