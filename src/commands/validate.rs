//! `validate`: everything that can be known of manifests without a platform.

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::set::FileArgs;
use crate::error::Result;
use crate::manifest::secrets;
use crate::output;
use crate::plan::Plan;
use crate::plan::warnings::warnings;
use crate::settings::PlatformArgs;

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent validate -f manifests\n  meshagent validate -f service.yaml.j2 -v image=demo:1"
)]
pub struct ValidateArgs {
    #[command(flatten)]
    files: FileArgs,
    /// The project of documents that name none
    #[arg(long, value_name = "PROJECT")]
    project_id: Option<String>,
}

/// Runs `validate`.
///
/// # Errors
///
/// Every problem of every file.
pub fn run(args: &ValidateArgs) -> Result<ExitCode> {
    let fallback = PlatformArgs::default().offline_project()?;
    // Which project it would be does not matter here.
    let set = args
        .files
        .read(args.project_id.clone(), fallback.or_else(|| Some("(active project)".to_owned())))?;
    // Whoever checks a proposal has none of its secrets.
    let missing = secrets::missing(&set.objects, &set.reach);
    let hardly_meant = warnings(&set.objects, &BTreeMap::new(), &Plan::default());
    for note in set.notes.iter().chain(&missing).chain(&hardly_meant) {
        output::note(&format!("note: {note}"));
    }
    let plural =
        |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    output::data(&format!(
        "valid: {}, {}\n",
        plural(set.documents, "document"),
        plural(set.objects.len(), "object")
    ));
    Ok(ExitCode::SUCCESS)
}
