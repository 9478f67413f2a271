//! `project`: the projects that the credential can reach, and which of them is active.

use std::process::ExitCode;

use serde_json::Value;

use super::shortcut::{DeclareArgs, Shortcut, WriteArgs, listed};
use super::show::{AllArgs, ListArgs, Listed};
use crate::api::project::the_one;
use crate::connection::Connection;
use crate::error::{Context, Error, Result};
use crate::kinds::KindName;
use crate::output;
use crate::settings::PlatformArgs;

/// Commands of `project`.
#[derive(Debug, clap::Subcommand)]
pub enum ProjectCommand {
    /// Create a project
    Create(CreateArgs),
    /// List the projects; the activated one is marked with *
    List(AllArgs),
    /// Activate a project: commands and manifests that name none use this one
    Activate(ActivateArgs),
}

/// Arguments of `project create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The project's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `project activate`.
#[derive(Debug, clap::Args)]
pub struct ActivateArgs {
    /// The project, by name or id
    #[arg(value_name = "PROJECT")]
    id: Option<String>,
    /// Choose one from a list, or create one
    #[arg(short, long)]
    interactive: bool,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs a command of `project`.
///
/// # Errors
///
/// What the platform refuses; a file that cannot be written.
pub async fn run(command: ProjectCommand) -> Result<ExitCode> {
    match command {
        ProjectCommand::Create(args) => {
            args.platform
                .with(async |connection| {
                    let written = shortcut(&args.name).run(connection, &args.declare).await?;
                    if let Some(written) = written {
                        output::value(&written.id.unwrap_or_default());
                    }
                    Ok(ExitCode::SUCCESS)
                })
                .await
        }
        ProjectCommand::List(args) => {
            args.platform.with(async |connection| list(connection, args.show).await).await
        }
        ProjectCommand::Activate(args) => {
            if args.id.is_none() && !args.interactive {
                return Err(Error::failed("no project is given")
                    .hint("give its name or id, or choose one with --interactive"));
            }
            args.platform
                .with(async |connection| {
                    let chosen = match args.interactive {
                        true => choose(connection).await?,
                        false => args.id.clone(),
                    };
                    if let Some(chosen) = chosen {
                        let id = activate(connection, &chosen).await?;
                        output::value(&id);
                    }
                    Ok(ExitCode::SUCCESS)
                })
                .await
        }
    }
}

async fn projects(connection: &Connection) -> Result<Vec<Value>> {
    listed(connection, KindName::Project, None).await
}

fn text<'a>(project: &'a Value, field: &str) -> &'a str {
    project.get(field).and_then(Value::as_str).unwrap_or_default()
}

async fn list(connection: &Connection, show: ListArgs) -> Result<ExitCode> {
    let mut projects = projects(connection).await?;
    if show.is_table() {
        let active = connection.project_file()?.active_project;
        for project in &mut projects {
            if active.as_deref() == Some(text(project, "id")) {
                project["name"] = format!("*{}", text(project, "name")).into();
            }
        }
    }
    let listed = Listed {
        envelope: Some("projects"),
        columns: &["id", "name"],
        name: "id",
        none: "there are no projects",
    };
    show.print(listed, projects)
}

/// Makes a project, by name or id, the default one, and returns its id.
///
/// # Errors
///
/// There is no such project; a file that cannot be written.
pub(super) async fn activate(connection: &Connection, chosen: &str) -> Result<String> {
    let projects = projects(connection).await?;
    let found = the_one(&projects, chosen, |it| (text(it, "id"), text(it, "name")))?;
    let id = text(found, "id").to_owned();
    let mut file = connection.project_file()?;
    file.active_project = Some(id.clone());
    file.write()?;
    Ok(id)
}

/// Asks for a project; `None` if the user chooses none.
///
/// # Errors
///
/// No answer, or none of those that were offered; errors of the platform.
pub(super) async fn choose(connection: &Connection) -> Result<Option<String>> {
    let projects = projects(connection).await?;
    if projects.is_empty() {
        let answer = ask("There are no projects. Create one? [Y/n] ")?;
        return match answer.to_lowercase().as_str() {
            "" | "y" | "yes" => create(connection).await.map(Some),
            _ => Ok(None),
        };
    }
    for (index, project) in projects.iter().enumerate() {
        output::note(&format!(
            "[{}] {} ({})",
            index + 1,
            text(project, "name"),
            text(project, "id")
        ));
    }
    let (new, exit) = (projects.len() + 1, projects.len() + 2);
    output::note(&format!("[{new}] a new project"));
    output::note(&format!("[{exit}] none"));
    let wrong = || Error::failed("that is not one of the numbers above");
    let choice: usize = ask("Which one? ")?.parse().map_err(|_| wrong())?;
    match choice {
        0 => Err(wrong()),
        choice if choice == exit => Ok(None),
        choice if choice == new => create(connection).await.map(Some),
        choice => {
            let project = projects.get(choice - 1).ok_or_else(wrong)?;
            Ok(Some(text(project, "id").to_owned()))
        }
    }
}

async fn create(connection: &Connection) -> Result<String> {
    let name = ask("The project's name: ")?;
    let written = shortcut(&name).run(connection, &WriteArgs::default()).await?;
    Ok(written.and_then(|written| written.id).unwrap_or_default())
}

/// Creates a project. Two projects may share a name, so a lost answer cannot be recovered.
fn shortcut(name: &str) -> Shortcut {
    Shortcut::create(KindName::Project, name, name, &Value::Null).once()
}

/// Asks on standard error and reads a line, from a terminal or not.
///
/// # Errors
///
/// There is no answer.
pub(super) fn ask(question: &str) -> Result<String> {
    output::ask(question);
    let mut answer = String::new();
    let read = std::io::stdin()
        .read_line(&mut answer)
        .context(|| "failed to read the answer".to_owned())?;
    match read {
        0 => {
            Err(Error::failed("there was no answer")
                .hint("give the answers as options: see --help"))
        }
        _ => Ok(answer.trim().to_owned()),
    }
}
