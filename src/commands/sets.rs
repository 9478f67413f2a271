//! `set`: which sets a project has, and what moves between them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::apply::progress::reporter;
use super::apply::report::summary;
use super::apply::{ApplyFormat, confirm, objects};
use super::plan::print;
use super::show::{AllArgs, Listed};
use crate::apply::execute::{Options, Outcome, Report};
use crate::apply::inventory::{self, is_set_name};
use crate::apply::observe::{self, Scope};
use crate::apply::run::Surroundings;
use crate::apply::transfer::{Side, Sides, perform};
use crate::apply::{lock, sets, survey};
use crate::connection::Connection;
use crate::error::{Class, Error, Result};
use crate::kinds::Key;
use crate::listed::{few, word};
use crate::manifest::declared_in::LookedAt;
use crate::manifest::set::Set;
use crate::output::{self, Format};
use crate::plan::derived::brought_by;
use crate::plan::naming;
use crate::plan::planner::{Policy, renamed_by_hand};
use crate::plan::scope::{matches, meant};
use crate::plan::transfer::Transfer;
use crate::plan::{Entry, Plan};
use crate::reconcile::unknown_set;
use crate::settings::PlatformArgs;

/// How many inventories are read at once.
const CONCURRENT_READS: usize = 8;

/// How many objects move at once.
const PARALLELISM: usize = 16;

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
    let here = &LookedAt::new(&[PathBuf::from(".")]);
    let items: Vec<Option<Value>> = stream::iter(sets.names)
        .map(|name| {
            let reader = &reader;
            async move {
                let stored = inventory::load(reader, &name, project, id).await?;
                let entries = &stored.inventory.entries;
                let files = entries.values().flat_map(|entry| &entry.declared_in);
                let folders: BTreeSet<String> = files.map(|file| file.folder(here)).collect();
                // A set that went to other projects may be on the list still.
                let has_left = entries.is_empty() && !stored.projects.is_empty();
                Ok::<_, Error>((!has_left).then(|| {
                    json!({
                        "name": name,
                        "objects": entries.len(),
                        "declared_in": folders.into_iter().collect::<Vec<_>>(),
                    })
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
    args.show.print(listed, items.into_iter().flatten().collect())
}

async fn move_objects(connection: &Connection, args: &MoveArgs) -> Result<ExitCode> {
    let (project, _) = project(connection).await?;
    let sides = sides(connection, &args.from, &args.to).await?;
    let others = sides.iter().map(|sides| sides.project.0.as_str());
    let others: Vec<&str> = others.filter(|name| *name != project).collect();
    if !others.is_empty() {
        output::note(&format!(
            "note: the set `{}` also owns objects in {}, which this command leaves alone",
            args.from,
            few(others)
        ));
    }
    let Some(sides) = sides.iter().find(|sides| sides.project.0 == project) else {
        return Err(Error::failed(format!("failed to read the set `{}`", args.from)));
    };
    let matching = |side: &Side, pattern: &str| -> BTreeSet<Key> {
        let keys = side.stored.inventory.entries.keys();
        keys.filter(|key| matches(pattern, key)).cloned().collect()
    };
    sides.refuse_open_renames(&args.from)?;
    let mut keys = BTreeSet::new();
    for pattern in &args.objects {
        let found = matching(&sides.from, pattern);
        // What an earlier try has moved is where it is to be.
        if found.is_empty() && matching(&sides.to, pattern).is_empty() {
            let hint = match owned_elsewhere(connection, args, sides, pattern).await? {
                Some(hint) => hint,
                None => {
                    let owned: Vec<&Key> = sides.from.stored.inventory.entries.keys().collect();
                    let meant = meant(pattern, &owned);
                    format!(
                        "{meant}; `meshagent export --set {}` shows what the set owns",
                        args.from
                    )
                }
            };
            return Err(Error::usage(format!(
                "the set `{}` owns nothing in project {project} that matches `{pattern}`",
                args.from
            ))
            .hint(hint));
        }
        keys.extend(found);
    }
    keys.extend(brought_by(&sides.from.stored.inventory.entries, &keys).into_keys());
    if keys.is_empty() && !sides.from.stored.exists() {
        return Err(unknown_set(&args.from, &sides.project.0));
    }
    if keys.is_empty() {
        output::note(&format!("nothing to move: the set `{}` owns them already", args.to));
        return Ok(ExitCode::SUCCESS);
    }
    relocate(connection, &[(sides, keys)], &args.perform).await
}

/// Which other sets own what a pattern means, and the command that moves it from there.
async fn owned_elsewhere(
    connection: &Connection,
    args: &MoveArgs,
    sides: &Sides,
    pattern: &str,
) -> Result<Option<String>> {
    let reader = &connection.client.reader();
    let (project, id) = &sides.project;
    let mut names = sets::listed(reader, id).await?.names;
    names.retain(|name| ![&args.from, &args.to].contains(&name));
    let owners: Vec<(String, Key)> = stream::iter(names)
        .map(|name| async move {
            let stored = inventory::load(reader, &name, project, id).await?;
            let mut keys = stored.inventory.entries.into_keys();
            Ok::<_, Error>(keys.find(|key| matches(pattern, key)).map(|key| (name, key)))
        })
        .buffered(CONCURRENT_READS)
        .try_filter_map(async |found| Ok(found))
        .try_collect()
        .await?;
    let (to, flags) = (&args.to, &connection.flags);
    Ok(match owners.as_slice() {
        [] => None,
        [(set, key)] => Some(format!(
            "the set `{set}` owns {key}: meshagent set move {} --set {} --to {to} --project-id {}{flags}",
            word(pattern),
            word(set),
            word(project)
        )),
        several => Some(format!(
            "other sets own what matches: {}; name the one that gives with --set",
            few(several.iter().map(|(set, key)| format!("`{set}` has {key}")))
        )),
    })
}

async fn rename(connection: &Connection, args: &RenameArgs) -> Result<ExitCode> {
    let sides = sides(connection, &args.from, &args.to).await?;
    if sides.iter().all(|sides| !sides.from.stored.exists()) {
        return Err(unknown_set(&args.from, ""));
    }
    let mut moves = Vec::new();
    for sides in &sides {
        sides.refuse_open_renames(&args.from)?;
        let keys: BTreeSet<Key> = sides.from.stored.inventory.entries.keys().cloned().collect();
        let taken = &sides.to.stored.inventory.entries;
        // What an earlier try has moved already is in both, or is all there is left.
        let is_begun = keys.iter().any(|key| taken.contains_key(key));
        if !taken.is_empty() && !is_begun {
            return Err(Error::new(
                Class::Refused,
                format!("there is a set `{}` already, so nothing was written", args.to),
            )
            .hint(format!(
                "to join the two: meshagent set move '*' --set {} --to {} --project-id {}{}",
                word(&args.from),
                word(&args.to),
                word(&sides.project.0),
                connection.flags
            )));
        }
        if !keys.is_empty() {
            moves.push((sides, keys));
        }
    }
    if moves.is_empty() {
        return Err(Error::usage(format!("the set `{}` owns nothing in this project", args.from))
            .hint("`meshagent set list` shows the sets"));
    }
    relocate(connection, &moves, &args.perform).await
}

impl Sides {
    /// Refuses to move anything while a run that was cut off has left objects between two
    /// names: who has which in the end, only the whole set knows.
    fn refuse_open_renames(&self, set: &str) -> Result<()> {
        let entries = &self.from.stored.inventory.entries;
        let found = entries.iter().find_map(|(key, entry)| Some((key, entry.was.as_ref()?)));
        let Some((key, was)) = found else { return Ok(()) };
        let known = key.with_name(was.clone());
        if self.renamed_by_hand.contains(&known) {
            return Err(Error::new(
                Class::Refused,
                format!("{known} was renamed to {key} behind the back of the set `{set}`"),
            )
            .hint(format!(
                "apply the set first, which gives it its name back; to keep the new name, call its document {} with `moved_from: {was}` and apply that first",
                key.name
            )));
        }
        Err(Error::new(
            Class::Refused,
            format!("{key} is between two names since a run of the set `{set}` was cut off"),
        )
        .hint("apply the set first, which ends that"))
    }
}

/// Reads both sets, and the objects of the first, in each project in which it owns something.
async fn sides(connection: &Connection, from: &str, to: &str) -> Result<Vec<Sides>> {
    for name in [from, to] {
        if !is_set_name(name) {
            return Err(Error::usage(format!("{name:?} cannot be the name of a set")));
        }
    }
    if from == to {
        return Err(Error::usage(format!("`{from}` is the same set")));
    }
    let reader = connection.client.reader();
    let (_, id) = project(connection).await?;
    let policy = Policy::standard(from);
    let scope = Scope::Project(&id);
    let mut observation = observe::observe(&reader, &policy, Set::default(), scope).await?;
    // An object that somebody renamed is still the same one.
    let renamed_by_hand = renamed_by_hand(&observation.state);
    let state = naming::follow_ids(&observation.state).into_owned();
    let mut all = Vec::new();
    for (name, project) in &state.projects {
        let (Some(id), Some(mut stored)) = (&project.id, observation.stored.remove(name)) else {
            continue;
        };
        if let Some(inventory) = state.inventories.get(name) {
            stored.inventory = inventory.clone();
        }
        let taking = inventory::load(&reader, to, name, id).await?.with_key(stored.key());
        let mut state = state.clone();
        state.projects.retain(|project, _| project == name);
        all.push(Sides {
            from: Side { set: from.to_owned(), stored },
            to: Side { set: to.to_owned(), stored: taking },
            project: (name.clone(), id.clone()),
            renamed_by_hand: renamed_by_hand.clone(),
            state,
        });
    }
    Ok(all)
}

/// One move: the two sets in a project, and what goes from the one to the other.
type Move<'a> = (&'a Sides, BTreeSet<Key>);

/// Plans, shows, asks, performs, tells.
async fn relocate(
    connection: &Connection,
    moves: &[Move<'_>],
    args: &PerformArgs,
) -> Result<ExitCode> {
    let mut planned = Vec::new();
    for (sides, keys) in moves {
        let transfer = sides.transfer(keys.clone());
        let plan = transfer.take().map_err(Error::refused)?;
        let mut plan = Plan { platform: connection.platform_name(), ..plan };
        plan.notes.extend(about_secrets(sides, &plan));
        print(&plan, args.output)?;
        output::notes(&plan.notes);
        planned.push((*sides, transfer, plan));
    }
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !confirm(&question(&planned))? {
        return Err(Error::failed("nothing was done"));
    }
    for (sides, transfer, plan) in &planned {
        let progress = reporter(plan, ApplyFormat::Text);
        let surroundings = Surroundings {
            folder: Path::new("."),
            break_lock: args.break_lock,
            lease: lock::LASTS,
            progress: progress.as_ref(),
        };
        let options =
            Options { attempts: connection.client.tries(), ..Options::standard(PARALLELISM) };
        let report =
            perform(&connection.client, sides, transfer, plan, (&options, surroundings)).await?;
        drop(progress);
        conclude(connection, sides, plan, report).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the user is asked about moves that were shown.
fn question(planned: &[(&Sides, Transfer<'_>, Plan)]) -> String {
    let count = planned.iter().map(|(_, _, plan)| plan.operations.len()).sum();
    let targets = planned.iter().filter_map(|(_, _, plan)| plan.target());
    let to = planned.first().map(|(sides, ..)| sides.to.set.as_str()).unwrap_or_default();
    format!("Move {} of {} to the set `{to}`?", objects(count), few(targets))
}

/// What there is to know of secrets that move.
fn about_secrets(sides: &Sides, plan: &Plan) -> Option<String> {
    let mut moved = plan.operations.iter().filter_map(|operation| operation.entry.as_ref());
    let key = |side: &Side| side.stored.key().map(|key| key.expose_secret().to_owned());
    let differ = key(&sides.from) != key(&sides.to);
    (differ && moved.any(Entry::is_keyed)).then(|| {
        format!(
            "each set has its own fingerprints of secrets of an earlier version, so the next apply of the set `{}` sends those that moved once more",
            sides.to.set
        )
    })
}

async fn conclude(
    connection: &Connection,
    sides: &Sides,
    plan: &Plan,
    report: Report,
) -> Result<()> {
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
    let here = &LookedAt::new(&[PathBuf::from(".")]);
    let files: BTreeSet<String> = plan
        .operations
        .iter()
        .filter_map(|operation| operation.entry.as_ref())
        .flat_map(|entry| &entry.declared_in)
        .map(|file| file.seen_from(here).to_owned())
        .collect();
    let files: Vec<String> = files.into_iter().collect();
    let declared = match files.as_slice() {
        [] => String::new(),
        files => format!(" (last applied from {})", few(files)),
    };
    output::note(&format!(
        "note: apply their documents{declared} with --set {to} from now on, and no more with --set {from}"
    ));
    Ok(())
}
