//! `schema`: JSON Schemas, as they are published in `schemas/`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use crate::error::{Context, Error, Result};
use crate::kinds::{self, schema};
use crate::listed::nearest;
use crate::output;
use crate::plan::document::PlanDocument;
use crate::reconcile::events::Event;
use crate::reconcile::report::ReportDocument;

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent schema Service\n  meshagent schema plan\n  meshagent schema -d schemas   # all of them, a file each"
)]
pub struct SchemaArgs {
    /// A kind, `plan` for plans, `events` for what apply prints as JSON, or `report` for what --report writes; without it, one schema for all kinds
    kind: Option<String>,
    /// Write every schema to this folder
    #[arg(short, long, value_name = "DIR", conflicts_with = "kind")]
    dir: Option<PathBuf>,
}

/// Every published schema, by the name of its file.
#[must_use]
pub fn all() -> Vec<(String, Value)> {
    let mut all: Vec<(String, Value)> = kinds::ALL
        .iter()
        .map(|kind| {
            (format!("{}.json", kind.name().to_string().to_lowercase()), schema::published(*kind))
        })
        .collect();
    all.push(("manifest.json".to_owned(), schema::combined()));
    all.push(("plan.json".to_owned(), schemars::schema_for!(PlanDocument).to_value()));
    all.push(("events.json".to_owned(), schemars::schema_for!(Event).to_value()));
    all.push(("report.json".to_owned(), schemars::schema_for!(ReportDocument).to_value()));
    all
}

/// Runs `schema`.
///
/// # Errors
///
/// A kind that does not exist; a folder that cannot be written.
pub fn run(args: &SchemaArgs) -> Result<ExitCode> {
    if let Some(folder) = &args.dir {
        std::fs::create_dir_all(folder)
            .context(|| format!("failed to make {}", folder.display()))?;
        for (name, schema) in all() {
            let path = folder.join(name);
            let text = serde_json::to_string_pretty(&schema)
                .context(|| "failed to write JSON".to_owned())?;
            std::fs::write(&path, text + "\n")
                .context(|| format!("failed to write {}", path.display()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let name = args
        .kind
        .as_deref()
        .map_or_else(|| "manifest.json".to_owned(), |kind| format!("{}.json", kind.to_lowercase()));
    match all().into_iter().find(|(file, _)| *file == name) {
        Some((_, schema)) => output::json(&schema)?,
        None => return Err(unknown_kind(args.kind.as_deref().unwrap_or_default())),
    }
    Ok(ExitCode::SUCCESS)
}

/// The error for a kind that does not exist.
pub fn unknown_kind(written: &str) -> Error {
    let names: Vec<String> = kinds::ALL.iter().map(|kind| kind.name().to_string()).collect();
    let error = Error::usage(format!("there is no kind {written:?}"));
    match nearest(written, names.iter().map(String::as_str)) {
        Some(name) => error.hint(format!("did you mean {name}?")),
        None => error.hint(format!("one of {}", names.join(", "))),
    }
}
