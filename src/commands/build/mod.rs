//! `build`: the images that services have built of folders.

mod registries;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueHint;
use meshagent_containers::Socket;
use serde::Serialize;

use super::environment;
use super::set::{FileArgs, in_background};
use crate::error::{Error, Result};
use crate::listed::few;
use crate::manifest::set::Set;
use crate::output;
use crate::reconcile::building::{Builder, Made, Unbuilt};
use crate::reconcile::images::{self, Used};
use crate::settings::PlatformArgs;
use crate::visible;

/// Arguments of `build`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent build -f manifests\n  meshagent build -e prod --push\n  meshagent build -f manifests --output json\n\nAn image is built if the engine does not have it. What it is called by comes of the files in its folder, so an image that is there is the right one."
)]
pub struct BuildArgs {
    #[command(flatten)]
    files: FileArgs,
    /// The environment of the project file, meshagent.yaml [env: MESHAGENT_ENVIRONMENT]
    #[arg(short = 'e', long, value_name = "NAME", action = clap::ArgAction::Append, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    environment: Option<String>,
    /// The socket of Podman or Docker [env: CONTAINER_HOST, DOCKER_HOST] [default: where they
    /// usually have it]
    #[arg(long, value_name = "SOCKET", value_hint = ValueHint::FilePath)]
    containers: Option<PathBuf>,
    /// Also send the images to their registries, with the passwords that `docker login` and `podman
    /// login` keep in files
    #[arg(long)]
    push: bool,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

/// How the result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people: a line for each image.
    #[default]
    Text,
    /// For programs: a list with an object for each image.
    Json,
}

/// What became of an image, for programs.
#[derive(Debug, Serialize)]
struct BuiltImage {
    /// The image, with its tag.
    image: String,
    /// The services that are run from it, such as `Service/agent@lobby`.
    services: Vec<String>,
    /// Whether it was built now; else the engine had it.
    built: bool,
    /// Whether it was sent to its registry.
    pushed: bool,
}

/// Runs `build`.
///
/// # Errors
///
/// Every problem of every file; there is no engine; an image cannot be built, or not be sent.
pub async fn run(args: BuildArgs) -> Result<ExitCode> {
    let mut files = args.files.clone();
    let mut platform = PlatformArgs {
        environment: args.environment.clone(),
        is_offline: true,
        ..PlatformArgs::default()
    };
    let environment = environment::chosen(&mut files, &mut platform)?;
    environment::tell(environment.as_deref());
    let set = read(&files, platform.project_id).await?;
    let used = images::used(&set);
    if used.is_empty() {
        output::note("note: no service has an image built: none has a `build` block");
        return shown(&args, &[]);
    }
    let scratch = tempfile::tempdir()
        .map_err(|error| Error::failed("failed to make a folder").because(error))?;
    let socket = args.containers.clone().map_or(Socket::Usual, Socket::At);
    let builder = Builder::connect(&socket, scratch.path()).await?;
    let credentials = match args.push {
        true => registries::known()?,
        false => Vec::new(),
    };
    let mut done = Vec::new();
    for Used { built, by } in &used {
        let image = visible::line(&built.image);
        output::note(&format!("building {image} for {}", few(by)));
        let tell = |line: &str| {
            if output::is_verbose() {
                output::note(&format!("  {}", visible::line(line)));
            }
        };
        let made = builder.build(built, tell).await.map_err(told)?;
        if args.push {
            output::note(&format!("pushing {image}"));
            builder.push(&built.image, &credentials, tell).await.map_err(told)?;
        }
        done.push(BuiltImage {
            image: built.image.clone(),
            services: by.iter().map(ToString::to_string).collect(),
            built: made == Made::Now,
            pushed: args.push,
        });
    }
    shown(&args, &done)
}

/// Reads a set of which only the documents count.
async fn read(files: &FileArgs, project: Option<String>) -> Result<Set> {
    let fallback = PlatformArgs::default().offline_project()?;
    // Which project it would be does not matter here.
    let fallback = fallback.or_else(|| Some("(active project)".to_owned()));
    in_background(files, move |files| files.read(project, fallback)).await
}

/// Prints the last lines of a build that failed, and has why it did.
pub fn told(Unbuilt { error, said }: Unbuilt) -> Error {
    for line in &said {
        output::note(&format!("  {}", visible::line(line)));
    }
    error
}

fn shown(args: &BuildArgs, done: &[BuiltImage]) -> Result<ExitCode> {
    match args.output {
        Form::Json => output::json(&done)?,
        Form::Text => {
            for BuiltImage { image, services, built, pushed } in done {
                let made = if *built { "built" } else { "was there" };
                let sent = if *pushed { ", pushed" } else { "" };
                let services = services.join(", ");
                output::data(&format!(
                    "{}  {} ({made}{sent})\n",
                    visible::line(&services),
                    visible::line(image)
                ));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
