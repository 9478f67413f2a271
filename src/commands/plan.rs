//! `plan`, `diff`, `graph`: what apply would do, in three forms. None of them writes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::set::{FileArgs, Planned, PolicyArgs, SetArgs, decide};
use crate::error::{Class, Context, Result};
use crate::output::{self, Format};
use crate::plan::document::PlanDocument;
use crate::plan::graph::Language;
use crate::plan::{Plan, graph, markdown, text, unified};
use crate::settings::PlatformArgs;

/// What every command that plans takes.
#[derive(Debug, Clone, clap::Args)]
pub struct PlanningArgs {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent plan -f manifests\n  meshagent plan -f manifests --output markdown > comment.md\n  meshagent plan -f manifests --exit-code   # 3 when something would change"
)]
pub struct PlanArgs {
    #[command(flatten)]
    planning: PlanningArgs,
    /// How the plan is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Also write the plan as JSON to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 3 when something would change
    #[arg(long)]
    exit_code: bool,
}

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent diff -f manifests\n  meshagent diff -f manifests --exit-code"
)]
pub struct DiffArgs {
    #[command(flatten)]
    planning: PlanningArgs,
    /// Exit with 3 when something would change
    #[arg(long)]
    exit_code: bool,
}

/// Arguments of `graph`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent graph -f manifests\n  meshagent graph -f manifests --language dot | dot -Tsvg > plan.svg"
)]
pub struct GraphArgs {
    #[command(flatten)]
    planning: PlanningArgs,
    /// The graph's language
    #[arg(short, long, value_enum, default_value = "mermaid")]
    language: Language,
}

impl PlanningArgs {
    async fn plan(&self) -> Result<Plan> {
        let set_name = self.set.name()?;
        let connection = self.platform.connect().await?;
        let set =
            self.files.read(connection.project.clone(), connection.fallback_project.clone())?;
        let decided = decide(&connection, set, &self.policy.policy(set_name)).await;
        let closed = connection.close().await;
        let Planned { plan, .. } = decided?;
        closed.map(|()| plan)
    }
}

/// Runs `plan`.
///
/// # Errors
///
/// What keeps a plan from being made or written.
pub async fn plan(args: PlanArgs) -> Result<ExitCode> {
    let plan = args.planning.plan().await?;
    print(&plan, args.output)?;
    if let Some(path) = &args.out {
        write(path, &plan)?;
    }
    Ok(exit_code(&plan, args.exit_code))
}

/// Prints a plan.
///
/// # Errors
///
/// A plan that cannot be written as JSON.
pub fn print(plan: &Plan, format: Format) -> Result<()> {
    match format {
        Format::Text => output::data(&text::render(plan)),
        Format::Markdown => output::data(&markdown::render(plan)),
        Format::Json => output::json(&PlanDocument::of(plan))?,
    }
    Ok(())
}

/// Writes a plan where no half of it can be met.
fn write(path: &Path, plan: &Plan) -> Result<()> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = || format!("failed to write {}", path.display());
    let mut file = tempfile::NamedTempFile::new_in(folder).context(failed)?;
    serde_json::to_writer_pretty(&mut file, &PlanDocument::of(plan)).context(failed)?;
    file.write_all(b"\n").context(failed)?;
    file.persist(path).context(failed)?;
    Ok(())
}

fn exit_code(plan: &Plan, wanted: bool) -> ExitCode {
    ExitCode::from(if wanted && !plan.is_empty() { Class::Pending.exit_code() } else { 0 })
}

/// Runs `diff`.
///
/// # Errors
///
/// What keeps a plan from being made.
pub async fn diff(args: DiffArgs) -> Result<ExitCode> {
    let plan = args.planning.plan().await?;
    output::data(&unified::render(&plan));
    Ok(exit_code(&plan, args.exit_code))
}

/// Runs `graph`.
///
/// # Errors
///
/// What keeps a plan from being made.
pub async fn graph(args: GraphArgs) -> Result<ExitCode> {
    let plan = args.planning.plan().await?;
    output::data(&graph::render(&plan, args.language));
    Ok(ExitCode::SUCCESS)
}
