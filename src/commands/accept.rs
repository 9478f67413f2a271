//! `accept`: writes drift on the platform into the manifests.

use std::process::ExitCode;

use anstyle::Style;

use super::environment;
use super::set::{FileArgs, SetArgs, in_background};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::listed::{counted, few};
use crate::output;
use crate::reconcile::accept::{Accepted, Accepting};
use crate::reconcile::acceptance::Acceptance;
use crate::settings::PlatformArgs;
use crate::visible;

/// Arguments of `accept`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent accept -f manifests --dry-run\n  meshagent accept -f manifests Service/support@lobby Room/lobby"
)]
pub struct AcceptArgs {
    /// Only these objects, with * and ?; without them, all drift
    #[arg(value_name = "KIND/NAME")]
    objects: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    set: SetArgs,
    /// Enter rooms, which starts them, and look at the files, documents and secrets in them
    #[arg(long)]
    enter_rooms: bool,
    /// Show the edits, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs `accept`.
///
/// # Errors
///
/// What keeps a plan from being made; drift that cannot be written into the manifests.
pub async fn run(args: AcceptArgs) -> Result<ExitCode> {
    let mut args = args;
    let environment = environment::chosen(&mut args.files, &mut args.platform)?;
    environment::tell(environment.as_deref());
    let shared = environment.as_deref().map(environment::also_in).unwrap_or_default();
    args.set = args.set.or_of(environment.as_deref());
    let set_name = args.set.name()?.to_owned();
    let connection = args.platform.connect().await?;
    let done = decide(&connection, &set_name, &args).await;
    let closed = connection.close().await;
    let accepted = done?;
    closed?;
    if !shared.is_empty() && accepted.edits().next().is_some() {
        let name = environment.as_deref().map(|it| it.name.clone()).unwrap_or_default();
        output::note(&format!(
            "note: {} the same manifests, so this changes what they plan, too; to accept drift for `{name}` alone, write it into its `overrides` in the project file",
            match shared.as_slice() {
                [one] => format!("environment `{one}` has"),
                more =>
                    format!("environments {} have", few(more.iter().map(|it| format!("`{it}`")))),
            }
        ));
    }
    for edit in accepted.edits() {
        let bold = Style::new().bold();
        let name = visible::line(edit.file);
        let header = format!("{bold}--- a/{name}\n+++ b/{name}{bold:#}\n");
        output::data(&(header + &edit.hunks()));
        if !args.dry_run {
            edit.write()?;
        }
    }
    if !accepted.is_applied {
        let told = format!(
            "the set `{set_name}` has not been applied here yet, so nothing in it can have drifted"
        );
        output::note(&told);
        output::note("hint: `meshagent apply` makes the platform match the manifests");
        return Ok(ExitCode::SUCCESS);
    }
    if accepted.unseen > 0 {
        let unseen = counted(accepted.unseen, "object");
        output::note(&format!(
            "note: not looked at, because --enter-rooms was not given: {unseen} inside of rooms"
        ));
    }
    conclude(&accepted.acceptance, args.dry_run)
}

/// Reads the manifests, and decides which drift is written into them.
async fn decide(connection: &Connection, set_name: &str, args: &AcceptArgs) -> Result<Accepted> {
    let (project, fallback) = (connection.project.clone(), connection.fallback_project.clone());
    let input = in_background(&args.files, move |files| files.input(project, fallback)).await?;
    let accepting = Accepting::read(&input).map_err(Error::refusing_plan)?;
    for note in &accepting.notes {
        output::note(&format!("note: {note}"));
    }
    args.files.list_skipped(&accepting.skipped);
    let decided =
        accepting.decide(&connection.target(), (set_name, args.enter_rooms), &args.objects).await;
    decided.map_err(Error::refusing_plan)
}

fn conclude(acceptance: &Acceptance, dry_run: bool) -> Result<ExitCode> {
    for left in &acceptance.left {
        let what = match left.path.0.is_empty() {
            true => left.key.to_string(),
            false => format!("{} {}", left.key, left.path),
        };
        output::note(&format!("not accepted: {what}: {}", left.reason));
    }
    let (fields, files) = (acceptance.accepted.len(), acceptance.texts.len());
    output::note(&match (fields, dry_run) {
        (0, _) if acceptance.left.is_empty() => "nothing drifted".to_owned(),
        (0, _) => "no field was accepted".to_owned(),
        (_, true) => {
            format!("{} would be accepted in {}", counted(fields, "field"), counted(files, "file"))
        }
        (_, false) => {
            format!("accepted: {} in {}", counted(fields, "field"), counted(files, "file"))
        }
    });
    if acceptance.left.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Error::failed(format!("{} not accepted", counted(acceptance.left.len(), "change"))).hint(
        "`apply` makes the platform match the manifests; `lifecycle.ignore` leaves a field alone",
    ))
}
