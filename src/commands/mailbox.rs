//! `mailbox`: addresses whose mail lands in queues of rooms.

use std::process::ExitCode;

use serde_json::json;

use super::given::{annotations_change, annotations_or_none, room, text_change};
use super::shortcut::{DeclareArgs, Shortcut, WriteArgs, delete, find, show};
use super::show::{ListArgs, Listed, ShowArgs};
use super::toggle::toggle;
use crate::api::request::Request;
use crate::error::{Error, Result};
use crate::kinds::KindName;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::output;
use crate::settings::PlatformArgs;

/// Commands of `mailbox`.
#[derive(Debug, clap::Subcommand)]
pub enum MailboxCommand {
    /// Create a mailbox
    Create(CreateArgs),
    /// Change a mailbox; what is not given stays as it is
    Update(UpdateArgs),
    /// Show one mailbox
    Show(OneArgs),
    /// List the mailboxes of a project or a room
    List(MailboxListArgs),
    /// Delete a mailbox
    Delete(DeleteArgs),
}

/// Arguments of `mailbox create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The mail address
    #[arg(short, long, value_name = "ADDRESS")]
    address: String,
    /// The room [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    /// The queue that mail is put on
    #[arg(short, long, value_name = "QUEUE")]
    queue: String,
    #[command(flatten)]
    public: Public,
    /// Notes for programs: a JSON object of texts
    #[arg(short = 'n', long, value_name = "JSON")]
    annotations: Option<String>,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

toggle!(
    /// Let anyone write to it, not just members of the room
    Public,
    public,
    "no-public"
);

/// Arguments of `mailbox update`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A mailbox that is public stays so unless --no-public says otherwise, and it stays in its\nroom unless --room names another: MESHAGENT_ROOM does not move it."
)]
pub struct UpdateArgs {
    /// The mail address
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// The room that it moves to
    #[arg(short, long, value_name = "ROOM")]
    room: Option<String>,
    /// The queue that mail is put on
    #[arg(short, long, value_name = "QUEUE")]
    queue: Option<String>,
    #[command(flatten)]
    public: Public,
    /// Notes for programs, instead of those it has: a JSON object of texts
    #[arg(short = 'n', long, value_name = "JSON")]
    annotations: Option<String>,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `mailbox show`.
#[derive(Debug, clap::Args)]
pub struct OneArgs {
    /// The mail address
    #[arg(value_name = "ADDRESS")]
    address: String,
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `mailbox list`.
#[derive(Debug, clap::Args)]
pub struct MailboxListArgs {
    /// Just those of this room [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    #[command(flatten)]
    show: ListArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `mailbox delete`.
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// The mail address
    #[arg(value_name = "ADDRESS")]
    address: String,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs a command of `mailbox`.
///
/// # Errors
///
/// What the platform refuses; options that are not what they should be.
pub async fn run(command: MailboxCommand) -> Result<ExitCode> {
    match command {
        MailboxCommand::Create(args) => create(args).await,
        MailboxCommand::Update(args) => update(args).await,
        MailboxCommand::Show(args) => {
            show(&args.platform, args.show, KindName::Mailbox, &args.address).await
        }
        MailboxCommand::List(args) => list(args).await,
        MailboxCommand::Delete(args) => {
            delete(&args.platform, &args.write, |project| {
                Shortcut::delete(KindName::Mailbox, project, &args.address)
            })
            .await
        }
    }
}

async fn create(args: CreateArgs) -> Result<ExitCode> {
    let annotations = annotations_or_none(args.annotations.as_deref())?;
    let Some(room) = room(args.room) else {
        return Err(Error::failed("it is not said which room is meant")
            .hint("give --room, or set MESHAGENT_ROOM"));
    };
    args.platform
        .with(async |connection| {
            let document = json!({
                "metadata": {"annotations": annotations},
                "room": room,
                "queue": args.queue,
                "public": args.public.is_on(),
            });
            let project = connection.project_id()?;
            let shortcut = Shortcut::create(KindName::Mailbox, project, &args.address, &document);
            if shortcut.run(connection, &args.declare).await?.is_some() {
                output::note(&format!("created the mailbox {}", args.address));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

async fn update(args: UpdateArgs) -> Result<ExitCode> {
    let annotations = annotations_or_none(args.annotations.as_deref())?;
    args.platform
        .with(async |connection| {
            let public = args.public.given();
            let mut changes = Vec::new();
            changes.extend(text_change("room", args.room.as_deref()));
            changes.extend(text_change("queue", args.queue.as_deref()));
            changes.extend(
                public.map(|public| (FieldPath::of(&["public"]), Some(Tree::Bool(public)))),
            );
            changes.extend(annotations.as_ref().map(annotations_change));
            let is_whole = changes.len() == 4;
            let project = connection.project_id()?;
            let mut shortcut = Shortcut::change(KindName::Mailbox, project, &args.address, changes);
            // The platform replaces all of it, so what is not given is read and sent back.
            if !is_whole {
                shortcut = shortcut.of(find(connection, KindName::Mailbox, &args.address).await?);
            }
            if shortcut.run(connection, &args.declare).await?.is_some() {
                output::note(&format!("updated the mailbox {}", args.address));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

async fn list(args: MailboxListArgs) -> Result<ExitCode> {
    let room = room(args.room);
    args.platform
        .with(async |connection| {
            let project = connection.project_id()?;
            let request = match &room {
                Some(room) => {
                    Request::get(&["accounts", "projects", project, "rooms", room, "mailboxes"])
                }
                None => Request::get(&["accounts", "projects", project, "mailboxes"]),
            };
            let listed = Listed {
                envelope: Some("mailboxes"),
                columns: &["address", "room", "queue"],
                name: "address",
                none: "there are no mailboxes",
                empty_fails: true,
            };
            args.show.print(listed, connection.client.reader().items(&request, "mailboxes").await?)
        })
        .await
}
