//! What `mailbox` and `route` share: both declare an address that leads into a room, and both have
//! the same commands, with different fields.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::option_values::{
    annotations_change, annotations_or_none, named_room, room, text_change,
};
use super::shortcut::{DeclareArgs, DeleteArgs, Shortcut, delete, no_list, show};
use super::show::{ListArgs, Listed, ShowArgs, quietly};
use crate::dialect::Speaks;
use crate::error::{Class, Result};
use crate::kinds::KindName;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::output;
use crate::settings::{PlatformArgs, without_letter};

/// A kind of address; its arguments are the fields that only this kind has.
pub trait Address: clap::Args + 'static {
    /// The kind.
    const KIND: KindName;
    /// The name of one.
    const NOUN: &'static str;
    /// The plural name, in sentences as well as in paths and answers.
    const NOUNS: &'static str;
    /// The field that holds the address; the option has the same name.
    const FIELD: &'static str;
    /// What several of them are called.
    const FIELDS: &'static str;
    /// The option's short name.
    const LETTER: char;
    /// The address, in usage lines.
    const VALUE: &'static str;
    /// The address, in help texts.
    const TITLE: &'static str;
    /// Its own field that is required to create one.
    const REQUIRED: &'static str;
    /// What the help of `update` says about fields that are not given.
    const KEPT: &'static str;

    /// Its own fields, `None` if they are not given.
    fn fields(&self) -> Vec<(&'static str, Option<Value>)>;

    /// Warns about an address that is unlikely to work.
    fn warn(_address: &str) {}
}

/// Commands of an address.
#[derive(Debug, clap::Subcommand)]
pub enum AddressCommand<T: Address> {
    /// Creates one.
    #[command(about = format!("Create a {}", T::NOUN))]
    Create(CreateArgs<T>),
    /// Changes one.
    #[command(about = format!("Change a {}; fields that are not given stay as they are", T::NOUN))]
    Update(UpdateArgs<T>),
    /// Shows one.
    #[command(
        about = format!("Show one {}", T::NOUN),
        visible_alias = "get",
        mut_arg("id", named::<T>)
    )]
    Show(OneArgs),
    /// Lists those of a project or a room.
    #[command(
        about = format!("List the {} of a project or a room", T::NOUNS),
        mut_arg("quiet", quietly(T::FIELDS))
    )]
    List(AddressListArgs),
    /// Deletes one.
    #[command(about = format!("Delete a {}", T::NOUN), mut_arg("id", named::<T>))]
    Delete(DeleteArgs),
}

/// The address as the one argument of a command.
fn named<T: Address>(argument: clap::Arg) -> clap::Arg {
    argument.value_name(T::VALUE).help(T::TITLE)
}

/// Arguments of `create`.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg(T::REQUIRED, |argument| argument.required(true)),
    mut_arg("project_id", without_letter)
)]
pub struct CreateArgs<T: Address> {
    #[arg(short = T::LETTER, long = T::FIELD, value_name = T::VALUE, help = T::TITLE)]
    address: String,
    /// The room [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    #[command(flatten)]
    own: T,
    /// Annotations: a JSON object with string values
    #[arg(short = 'n', long, value_name = "JSON")]
    annotations: Option<String>,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `update`.
#[derive(Debug, clap::Args)]
#[command(after_help = T::KEPT, mut_arg("project_id", without_letter))]
pub struct UpdateArgs<T: Address> {
    #[arg(value_name = T::VALUE, help = T::TITLE)]
    address: String,
    /// The room to move it to
    #[arg(short, long, value_name = "ROOM")]
    room: Option<String>,
    #[command(flatten)]
    own: T,
    /// New annotations, which replace the old ones: a JSON object with string values
    #[arg(short = 'n', long, value_name = "JSON")]
    annotations: Option<String>,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
pub struct OneArgs {
    id: String,
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub struct AddressListArgs {
    /// Only those of this room [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    #[command(flatten)]
    show: ListArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs a command of an address.
///
/// # Errors
///
/// What the platform refuses; invalid options.
pub async fn run<T: Address>(command: AddressCommand<T>) -> Result<ExitCode> {
    match command {
        AddressCommand::Create(args) => create(args).await,
        AddressCommand::Update(args) => update(args).await,
        AddressCommand::Show(args) => show(&args.platform, args.show, T::KIND, &args.id).await,
        AddressCommand::List(args) => list::<T>(args).await,
        AddressCommand::Delete(args) => {
            delete(&args, |project| Shortcut::delete(T::KIND, project, &args.id)).await
        }
    }
}

async fn create<T: Address>(args: CreateArgs<T>) -> Result<ExitCode> {
    let annotations = annotations_or_none(args.annotations.as_deref())?;
    let room = named_room(args.room, "--room", Class::Failed)?;
    T::warn(&args.address);
    let mut document = json!({"metadata": {"annotations": annotations}, "room": room});
    for (field, value) in args.own.fields() {
        document[field] = value.into();
    }
    args.platform
        .with(async |connection| {
            let project = connection.project_id().await?;
            let shortcut = Shortcut::create(T::KIND, project, &args.address, &document);
            if shortcut.run(connection, &args.declare).await?.is_some() {
                output::note(&format!("created {}/{}", T::KIND, args.address));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

async fn update<T: Address>(args: UpdateArgs<T>) -> Result<ExitCode> {
    let annotations = annotations_or_none(args.annotations.as_deref())?;
    let own = args.own.fields().into_iter().map(|(field, value)| {
        value.map(|value| (FieldPath::of(&[field]), Some(Tree::from(&value))))
    });
    let changes: Vec<_> = [text_change("room", args.room.as_deref())]
        .into_iter()
        .chain(own)
        .chain([annotations.as_ref().map(annotations_change)])
        .collect();
    let changes = changes.into_iter().flatten().collect();
    args.platform
        .with(async |connection| {
            T::warn(&args.address);
            let project = connection.project_id().await?;
            let shortcut = Shortcut::change(T::KIND, project, &args.address, changes);
            if shortcut.run(connection, &args.declare).await?.is_some() {
                output::note(&format!("updated {}/{}", T::KIND, args.address));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

async fn list<T: Address>(args: AddressListArgs) -> Result<ExitCode> {
    let room = room(args.room);
    args.platform
        .with(async |connection| {
            let reader = connection.client.reader();
            let (spelling, project) = (reader.spelling(T::KIND), connection.project_id().await?);
            let of_room = room.as_ref().and_then(|room| spelling.list_naming(project, room));
            let is_of_room = of_room.is_some();
            let listing = of_room.or_else(|| spelling.list(project, None));
            let listing = listing.ok_or_else(|| no_list(T::KIND, room.as_deref()))?;
            let mut items = reader.list(&listing).await?;
            let field =
                |item: &Value, name: &str| Some(spelling.seen(item).ok()?.fields.sent(name));
            if let Some(room) = room.as_deref().filter(|_| !is_of_room) {
                items.retain(|item| field(item, "room").is_some_and(|it| it == room));
            }
            if args.show.is_table() {
                // Some answers call the room and the port otherwise than the table does.
                for item in &mut items {
                    for name in ["room", "port"] {
                        let value = field(item, name).filter(|value| !value.is_null());
                        if let (Some(value), Some(item)) = (value, item.as_object_mut()) {
                            item.insert(name.to_owned(), value);
                        }
                    }
                }
            }
            let listed = Listed {
                envelope: Some(T::NOUNS),
                columns: &[T::FIELD, "room", T::REQUIRED],
                name: T::FIELD,
                none: &format!("there are no {}", T::NOUNS),
            };
            args.show.print(listed, items)
        })
        .await
}
