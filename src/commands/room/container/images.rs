//! `room container image`: images, and how they come and go.

use std::process::ExitCode;

use serde_json::Value;

use super::jobs;
use super::notation::{CredentialArgs, MountArgs, absolute};
use crate::commands::room::{InRoom, RoomArgs, run_one};
use crate::commands::show::{JsonListArgs, Listed, quietly};
use crate::error::{Context, Result};
use crate::output;
use crate::room::containers::{
    Build, DeleteImage, Images, ListImages, LoadImage, PullImage, PushImage, SaveImage,
};

/// Commands of `room container image`.
#[derive(Debug, clap::Subcommand)]
pub enum ImageCommand {
    /// Build an image from files of the room
    Build(BuildArgs),
    /// List the images of a room
    #[command(mut_arg("quiet", quietly("ids")))]
    List(ListArgs),
    /// Remove an image
    Delete(DeleteArgs),
    /// Fetch an image from its registry
    Pull(PullArgs),
    /// Send an image to its registry
    Push(PushArgs),
    /// Take images from an archive
    Load(LoadArgs),
    /// Write an image to an archive
    Save(SaveArgs),
}

/// Who may look at a job.
#[derive(Debug, clap::Args)]
pub struct PrivateArgs {
    /// Let nobody else look at the job
    #[arg(long, overrides_with = "public")]
    private: bool,
    /// Let everybody in the room look at the job, which is the default
    #[arg(long)]
    public: bool,
}

/// Arguments of `room container image build`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room container image build --room lobby --tag agent:1 --mount-room-path /src:/workspace --context-path /workspace\n\nIt prints what the build says, and ends with its exit code."
)]
pub struct BuildArgs {
    /// The image's name with a tag
    #[arg(long, value_name = "TAG")]
    tag: String,
    /// The folder to build: an absolute path below one of the mounts
    #[arg(long, value_name = "PLACE")]
    context_path: String,
    /// Its instructions: an absolute path below one of the mounts [default: Dockerfile in the folder]
    #[arg(long, value_name = "PLACE")]
    dockerfile_path: Option<String>,
    #[command(flatten)]
    mounts: MountArgs,
    #[command(flatten)]
    access: PrivateArgs,
    #[command(flatten)]
    credentials: CredentialArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room container image list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    show: JsonListArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room container image delete`.
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// The image's name with its tag, or its id
    #[arg(long, value_name = "IMAGE")]
    image: String,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room container image pull`.
#[derive(Debug, clap::Args)]
pub struct PullArgs {
    /// The image's name with its tag
    #[arg(long, value_name = "TAG")]
    tag: String,
    #[command(flatten)]
    credentials: CredentialArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room container image push`.
#[derive(Debug, clap::Args)]
pub struct PushArgs {
    /// The image's name with its tag
    #[arg(long, value_name = "TAG")]
    tag: String,
    #[command(flatten)]
    access: PrivateArgs,
    #[command(flatten)]
    credentials: CredentialArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room container image load`.
#[derive(Debug, clap::Args)]
pub struct LoadArgs {
    /// The archive: an absolute path below one of the mounts
    #[arg(long, value_name = "PLACE")]
    archive_path: String,
    #[command(flatten)]
    mounts: MountArgs,
    #[command(flatten)]
    access: PrivateArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room container image save`.
#[derive(Debug, clap::Args)]
pub struct SaveArgs {
    /// The image's name with its tag
    #[arg(long, value_name = "TAG")]
    tag: String,
    /// The archive: an absolute path below one of the mounts
    #[arg(long, value_name = "PLACE")]
    archive_path: String,
    #[command(flatten)]
    mounts: MountArgs,
    #[command(flatten)]
    access: PrivateArgs,
    #[command(flatten)]
    at: RoomArgs,
}

impl BuildArgs {
    fn asked(&self) -> Result<Build> {
        let dockerfile = self.dockerfile_path.as_deref();
        Ok(Build {
            tag: self.tag.clone(),
            mounts: self.mounts.mounts()?,
            context_path: absolute("--context-path", &self.context_path)?,
            dockerfile_path: dockerfile.map(|it| absolute("--dockerfile-path", it)).transpose()?,
            private: self.access.private,
            credentials: self.credentials.read()?,
        })
    }
}

impl LoadArgs {
    fn asked(&self) -> Result<LoadImage> {
        Ok(LoadImage {
            mounts: self.mounts.mounts()?,
            archive_path: absolute("--archive-path", &self.archive_path)?,
            private: self.access.private,
        })
    }
}

impl SaveArgs {
    fn asked(&self) -> Result<SaveImage> {
        Ok(SaveImage {
            tag: self.tag.clone(),
            mounts: self.mounts.mounts()?,
            archive_path: absolute("--archive-path", &self.archive_path)?,
            private: self.access.private,
        })
    }
}

impl InRoom for ListArgs {
    type Asked = ListImages;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<ListImages> {
        Ok(ListImages {})
    }

    fn show(&self, answer: Images) -> Result<ExitCode> {
        let listed = Listed {
            envelope: None,
            columns: &["id", "tags", "size"],
            name: "id",
            none: "the room has no images",
        };
        let rows: std::result::Result<Vec<Value>, _> =
            answer.images.iter().map(serde_json::to_value).collect();
        self.show.print(listed, rows.context(|| "the room's answer cannot be shown".to_owned())?)
    }
}

impl InRoom for DeleteArgs {
    type Asked = DeleteImage;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<DeleteImage> {
        Ok(DeleteImage { image: self.image.clone() })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        output::note(&format!("removed the image {}", self.image));
        Ok(ExitCode::SUCCESS)
    }
}

impl InRoom for PullArgs {
    type Asked = PullImage;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<PullImage> {
        Ok(PullImage { tag: self.tag.clone(), credentials: self.credentials.read()? })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        output::note(&format!("the room has the image {}", self.tag));
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs a command of `room container image`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(command: ImageCommand) -> Result<ExitCode> {
    match command {
        ImageCommand::Build(args) => jobs::run(&args.at, &args.asked()?).await,
        ImageCommand::List(args) => run_one(&args).await,
        ImageCommand::Delete(args) => run_one(&args).await,
        ImageCommand::Pull(args) => run_one(&args).await,
        ImageCommand::Push(args) => {
            let asked = PushImage {
                tag: args.tag.clone(),
                credentials: args.credentials.read()?,
                private: args.access.private,
            };
            jobs::run(&args.at, &asked).await
        }
        ImageCommand::Load(args) => jobs::run(&args.at, &args.asked()?).await,
        ImageCommand::Save(args) => jobs::run(&args.at, &args.asked()?).await,
    }
}
