//! `history`: lists the past states of a set, shows one, and how two differ.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anstyle::Style;
use serde_json::{Value, json};

use super::environment;
use super::set::{FileArgs, SetArgs};
use super::show::{ListArgs, Listed, quietly};
use crate::apply::history::{Author, Ended, Record, What};
use crate::connection::Connection;
use crate::error::{Class, Error, Result};
use crate::kinds::Key;
use crate::listed::counted;
use crate::output;
use crate::plan::document::PlanDocument;
use crate::plan::text::{self, Detail};
use crate::plan::{Entry, unified};
use crate::reconcile::history::{History, HistoryDocument, Past, StateDocument};
use crate::reconcile::recalled;
use crate::settings::PlatformArgs;
use crate::visible;

/// Arguments of `history`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  meshagent history\n  meshagent history --set staging --output json\n  meshagent history show 12\n  meshagent history diff 11 12\n  meshagent rollback --to 11"
)]
pub struct HistoryArgs {
    #[command(subcommand)]
    command: Option<HistoryCommand>,
    #[command(flatten)]
    list: ListStatesArgs,
}

/// A command on past states.
#[derive(Debug, clap::Subcommand)]
enum HistoryCommand {
    /// Show a state: who applied what, when, and what the set owned then
    Show(ShowStateArgs),
    /// Show how the documents of two states differ
    Diff(DiffStatesArgs),
}

/// Arguments of the list.
#[derive(Debug, clap::Args)]
#[command(mut_arg("quiet", quietly("numbers")))]
struct ListStatesArgs {
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    show: ListArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// How a state is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum StateFormat {
    /// For people.
    #[default]
    Text,
    /// For programs (`meshagent schema history`).
    Json,
}

/// Arguments of `history show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent history show 12\n  meshagent history show 12 --documents\n  meshagent history show 12 --output json"
)]
struct ShowStateArgs {
    /// The number of the state
    #[arg(value_name = "STATE")]
    state: u64,
    /// Print the documents of what the set owned, without secrets, and not the plan
    #[arg(long, conflicts_with = "output")]
    documents: bool,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: StateFormat,
    /// List one by one what is otherwise summarized
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `history diff`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent history diff 11 12\n  meshagent history diff 11 --exit-code   # to the newest state; 3 if they differ"
)]
struct DiffStatesArgs {
    /// The number of a state
    #[arg(value_name = "STATE")]
    from: u64,
    /// The number of another one [default: that of the newest]
    #[arg(value_name = "OTHER")]
    to: Option<u64>,
    /// Exit with 3 if they differ
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs `history`.
///
/// # Errors
///
/// Errors of the platform; a state that does not exist.
pub async fn run(args: HistoryArgs) -> Result<ExitCode> {
    match args.command {
        None => {
            let ListStatesArgs { set, show, platform } = args.list;
            let (set, platform) = chosen(set, platform)?;
            platform.with(async |it| list(it, &set, &show).await).await
        }
        Some(HistoryCommand::Show(args)) => {
            output::set_verbose(args.verbose);
            let (set, platform) = chosen(args.set.clone(), args.platform.clone())?;
            platform.with(async |it| show(it, &set, &args).await).await
        }
        Some(HistoryCommand::Diff(args)) => {
            let (set, platform) = chosen(args.set.clone(), args.platform.clone())?;
            platform.with(async |it| diff(it, &set, &args).await).await
        }
    }
}

/// The set and the platform, in the environment that is meant.
fn chosen(set: SetArgs, mut platform: PlatformArgs) -> Result<(String, PlatformArgs)> {
    let mut files = FileArgs::default();
    let environment = environment::chosen_if_any(&mut files, &mut platform)?;
    environment::tell(environment.as_deref());
    Ok((set.or_of(environment.as_deref()).name()?.to_owned(), platform))
}

async fn read(connection: &Connection, set: &str) -> Result<History> {
    History::read(&connection.target(), set, connection.project_id().await?).await
}

async fn list(connection: &Connection, set: &str, show: &ListArgs) -> Result<ExitCode> {
    let history = read(connection, set).await?;
    let runs = history.runs();
    for (project, why) in history.forbidden() {
        output::note(&format!("note: what was applied in project {project} is not shown: {why}"));
    }
    if !show.is_table() {
        let states = runs.into_iter();
        let states = states.map(|run| StateDocument { run, parts: Vec::new() }).collect();
        let document = HistoryDocument { states };
        let mut document = serde_json::to_value(document)
            .map_err(|error| Error::failed("failed to write the history").because(error))?;
        let items = document["states"].as_array_mut().map(std::mem::take).unwrap_or_default();
        return show.print(listed(), items);
    }
    let items = runs.iter().map(row).collect();
    show.print(listed(), items)
}

const fn listed() -> Listed<'static> {
    Listed {
        envelope: Some("states"),
        columns: &["number", "at", "what", "ended", "changes", "by", "commit"],
        name: "number",
        none: "There is no history of this set.",
    }
}

/// A state as a row of the table.
fn row(run: &Record) -> Value {
    let commit = run.by.commit.as_ref().map(|commit| {
        let mark = if commit.dirty == Some(true) { "+" } else { "" };
        format!("{}{mark}", commit.id.get(..8).unwrap_or(&commit.id))
    });
    json!({
        "number": run.number,
        "at": format!("{:.0}", run.at),
        "what": what(run),
        "ended": run.ended,
        "changes": run.done,
        "by": by(&run.by),
        "commit": commit,
    })
}

/// What was run, in words.
fn what(run: &Record) -> String {
    let name = match run.what {
        What::Apply => "apply",
        What::Destroy => "destroy",
        What::Rollback => "rollback",
        What::Move => "move",
    };
    let name = match run.back_to {
        Some(state) => format!("{name} to {state}"),
        None => name.to_owned(),
    };
    match run.partial {
        true => format!("{name}, a part"),
        false => name,
    }
}

/// Who ran it, in words.
fn by(author: &Author) -> String {
    let ci = author.ci.as_ref().map(|ci| {
        let actor = ci.actor.as_ref().map(|actor| format!(" ({actor})"));
        format!("{}{}", ci.system, actor.unwrap_or_default())
    });
    let known = [&author.person, &ci, &author.machine, &author.credential];
    known.into_iter().flatten().next().cloned().unwrap_or_else(|| "somebody".to_owned())
}

async fn show(connection: &Connection, set: &str, args: &ShowStateArgs) -> Result<ExitCode> {
    let history = read(connection, set).await?;
    let past = history.state(&connection.client.reader(), args.state).await?;
    if args.documents {
        past.whole(&format!("the documents of state {} are not known", past.number))?;
        for (key, entry) in &past.entries {
            let name = visible::line(&recalled::name_in(past.number, key)).into_owned();
            output::data(&format!("---\n# {name}\n{}", recalled::document(key, entry)));
        }
        return Ok(ExitCode::SUCCESS);
    }
    match args.output {
        StateFormat::Json => {
            let states = past.document().into_iter().collect();
            output::json(&HistoryDocument { states })?;
        }
        StateFormat::Text => tell(set, past)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows a state to people: the run, and its plan.
fn tell(set: &str, past: Past) -> Result<()> {
    let Some(run) = past.run().cloned() else { return Ok(()) };
    let author = &run.by;
    let ended = match run.ended {
        Ended::Done => "done",
        Ended::Partly => "partly done",
        Ended::Failed => "failed",
        Ended::Stopped => "stopped",
    };
    let commit = author.commit.as_ref().map(|commit| match commit.dirty {
        Some(true) => format!("{}, with changes that were not committed", commit.id),
        _ => commit.id.clone(),
    });
    let ci = author.ci.as_ref().map(|ci| match &ci.url {
        Some(url) => format!("{} {url}", ci.system),
        None => ci.system.clone(),
    });
    let approvals = (!run.approvals.is_empty()).then(|| run.approvals.join(", "));
    let rows = [
        ("state", Some(format!("{} of the set {set}", run.number))),
        ("run", Some(format!("{}, {ended}, {:.0}", what(&run), run.at))),
        ("by", Some(by(author))),
        ("machine", author.machine.clone()),
        ("credential", author.credential.clone()),
        ("ci", ci),
        ("commit", commit),
        ("environment", run.environment.clone()),
        ("approved by", approvals),
        ("program", Some(run.tool.clone())),
        ("owned", Some(counted(past.owned(), "object"))),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            output::data(&format!("{name}: {}\n", visible::line(&value)));
        }
    }
    for part in past.parts.into_iter().filter(|part| part.record.number == run.number) {
        if let Some(why) = &part.record.without {
            output::note(&format!("note: the documents and the plan were not kept: {why}"));
        }
        part.plan.map_or(Ok(()), tell_plan)?;
    }
    Ok(())
}

fn tell_plan(plan: PlanDocument) -> Result<()> {
    let plan = plan.restored().map_err(|problem| {
        Error::failed(format!("the plan of the state cannot be shown: {problem}"))
    })?;
    let detail = Detail { suggests: false, is_whole: output::is_verbose() };
    output::data(&format!("\n{}", text::render_in(&plan, detail)));
    Ok(())
}

async fn diff(connection: &Connection, set: &str, args: &DiffStatesArgs) -> Result<ExitCode> {
    let history = read(connection, set).await?;
    let newest = history.runs().last().map(|run| run.number);
    let to = args.to.or(newest).unwrap_or(args.from);
    let reader = connection.client.reader();
    let (one, other) =
        (history.state(&reader, args.from).await?, history.state(&reader, to).await?);
    for past in [&one, &other] {
        past.whole(&format!("the documents of state {} are not known", past.number))?;
    }
    let keys: BTreeSet<&Key> = one.entries.keys().chain(other.entries.keys()).collect();
    let mut differs = false;
    for key in keys {
        let text =
            |past: &Past| past.entries.get(key).map(|entry: &Entry| recalled::document(key, entry));
        let (old, new) = (text(&one), text(&other));
        if old == new {
            continue;
        }
        differs = true;
        let name = |text: &Option<String>, past: &Past| match text {
            Some(_) => visible::line(&recalled::name_in(past.number, key)).into_owned(),
            None => "/dev/null".to_owned(),
        };
        let bold = Style::new().bold();
        let header =
            format!("{bold}--- {}\n+++ {}{bold:#}\n", name(&old, &one), name(&new, &other));
        let hunks = unified::hunks(&old.unwrap_or_default(), &new.unwrap_or_default(), &|_| None);
        output::data(&(header + &hunks));
    }
    if !differs {
        output::note(&format!("states {} and {to} have the same documents", args.from));
    }
    let code = if differs && args.exit_code { Class::Pending.exit_code() } else { 0 };
    Ok(ExitCode::from(code))
}
