//! `validate`: everything that can be known of manifests without a platform.

use std::collections::BTreeMap;
use std::process::ExitCode;

use schemars::JsonSchema;
use serde::Serialize;

use super::environment;
use super::set::FileArgs;
use crate::error::{Error, Result};
use crate::listed::counted;
use crate::manifest::secrets;
use crate::output;
use crate::plan::Plan;
use crate::plan::warnings::warnings;
use crate::project_file::{ALL, ProjectFile};
use crate::reconcile::events::Failure;
use crate::settings::{ENVIRONMENT, PlatformArgs, variable};

/// Arguments of `validate`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent validate -f manifests\n  meshagent validate -e all\n  meshagent validate -f manifests --output json\n  meshagent validate -f service.yaml.j2 -v image=demo:1"
)]
pub struct ValidateArgs {
    #[command(flatten)]
    files: FileArgs,
    /// Also accept manifests that declare nothing
    #[arg(long)]
    allow_empty: bool,
    /// The environment of the project file, meshagent.yaml [env: MESHAGENT_ENVIRONMENT]
    #[arg(short = 'e', long, value_name = "NAME", action = clap::ArgAction::Append, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    environment: Option<String>,
    /// The project for documents that name none
    #[arg(short = 'n', long, value_name = "PROJECT")]
    project_id: Option<String>,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

/// How the result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people: problems on standard error
    #[default]
    Text,
    /// For programs: one document, whatever was found (`meshagent schema validation`)
    Json,
}

/// The result, for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Validation {
    /// Whether the manifests could be planned, as far as that is known without a platform.
    pub valid: bool,
    /// How many documents there are, if they are valid.
    pub documents: Option<usize>,
    /// How many objects they declare, if they are valid.
    pub objects: Option<usize>,
    /// Findings that are worth a look but do not prevent a plan.
    pub notes: Vec<String>,
    /// Why they are not valid.
    pub failure: Option<Failure>,
}

/// Runs `validate`.
///
/// # Errors
///
/// Every problem of every file.
pub fn run(args: &ValidateArgs) -> Result<ExitCode> {
    let is_all = args.environment.clone().or_else(|| variable(ENVIRONMENT)).as_deref() == Some(ALL);
    if is_all {
        return all(args);
    }
    match (args.output, validated(args)) {
        (Form::Text, found) => tell(&found?),
        (Form::Json, Ok(found)) => output::json(&found)?,
        (Form::Json, Err(error)) => {
            output::json(&refused(&error))?;
            return Ok(ExitCode::from(error.class.exit_code()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Validates all environments, and tells what is wrong in each of them.
fn all(args: &ValidateArgs) -> Result<ExitCode> {
    if args.output == Form::Json {
        return Err(Error::usage("the result for all environments is text")
            .hint("name one environment with -e for JSON"));
    }
    let file = ProjectFile::here(ALL)?;
    let mut failed: Option<Error> = None;
    for name in file.names() {
        let of_one = ValidateArgs { environment: Some(name.to_owned()), ..args.clone() };
        match validated(&of_one) {
            Ok(found) => {
                output::note(&format!("environment `{name}`:"));
                tell(&found);
            }
            Err(error) => {
                output::note(&format!("environment `{name}`:"));
                output::error(&error);
                let what = format!("not every environment of {} is valid", file.path.display());
                failed.get_or_insert_with(|| Error::new(error.class, what));
            }
        }
    }
    failed.map_or(Ok(ExitCode::SUCCESS), Err)
}

fn refused(error: &Error) -> Validation {
    let failure = Some(Failure::of(error));
    Validation { valid: false, documents: None, objects: None, notes: Vec::new(), failure }
}

fn validated(args: &ValidateArgs) -> Result<Validation> {
    let mut files = args.files.clone();
    let mut platform = PlatformArgs {
        environment: args.environment.clone(),
        project_id: args.project_id.clone(),
        is_offline: true,
        ..PlatformArgs::default()
    };
    let environment = environment::chosen(&mut files, &mut platform)?;
    environment::tell(environment.as_deref());
    let fallback = PlatformArgs::default().offline_project()?;
    // Which project it would be does not matter here.
    let set = files
        .read(platform.project_id, fallback.or_else(|| Some("(active project)".to_owned())))?;
    if set.documents == 0 && !args.allow_empty {
        set.notes.iter().for_each(|note| output::note(&format!("note: {note}")));
        return Err(Error::usage("the manifests declare nothing")
            .hint("give the manifests with -f; if this is intended, add --allow-empty"));
    }
    // Whoever checks a proposal has none of its secrets.
    let missing = secrets::missing(&set.objects, &set.reach);
    let hardly_meant = warnings(&set.objects, &BTreeMap::new(), &Plan::default());
    let unapprovable = environment.as_deref().and_then(environment::unapprovable);
    let notes = set.notes.iter().chain(&missing).chain(&hardly_meant).map(ToString::to_string);
    let notes = notes.chain(unapprovable);
    Ok(Validation {
        valid: true,
        documents: Some(set.documents),
        objects: Some(set.objects.len()),
        notes: notes.collect(),
        failure: None,
    })
}

fn tell(found: &Validation) {
    for note in &found.notes {
        output::note(&format!("note: {note}"));
    }
    output::data(&format!(
        "valid: {}, {}\n",
        counted(found.documents.unwrap_or_default(), "document"),
        counted(found.objects.unwrap_or_default(), "object")
    ));
}
