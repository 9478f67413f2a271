//! `room storage`: the files of a room.
//!
//! | module | holds |
//! |---|---|
//! | `copy` | `cp`: between this machine and the room, either way, file by file |
//! | `encoding` | what a text is that is shown, byte for byte or on a terminal |
//! | `location` | what is meant by a path: a file here or in the room, or several |
//! | `sources` | the files that a path stands for, to be copied |
//! | `transfer` | one file on its way |
//!
//! Paths that begin with `room://` are in the room, others on this machine.

mod copy;
mod encoding;
mod location;
mod sources;
mod transfer;

use std::process::ExitCode;

use clap::ValueHint;
use serde_json::{Value, json};

use self::copy::{CopyArgs, copy};
use self::encoding::Encoding;
use self::location::{Location, is_pattern, is_root, matching, name_of, parent_of};
pub(in crate::commands) use self::transfer::{upload_opened, upload_text};
use super::{RoomArgs, ask, refused};
use crate::bounded;
use crate::commands::show::{ListArgs as Show, Listed, quietly};
use crate::error::{Context, Error, Result};
use crate::listed::few;
use crate::output;
use crate::room::client::Room;
use crate::room::codes;
use crate::room::files::NotMoved;
use crate::room::message::MAX_BYTES;
use crate::room::storage::{Delete, Entry, Exists, Files, List, Stat};

/// Commands of `room storage`.
#[derive(Debug, clap::Subcommand)]
pub enum StorageCommand {
    /// Print whether a file or folder exists: true or false
    Exists(OneArgs),
    /// Copy files and folders between this machine and the room
    Cp(CopyArgs),
    /// Print a file as text
    Show(ShowArgs),
    /// Remove files and folders
    Rm(RemoveArgs),
    /// List files and folders
    #[command(mut_arg("quiet", quietly("paths")))]
    Ls(LsArgs),
}

/// A file or folder.
#[derive(Debug, clap::Args)]
pub struct OneArgs {
    /// The path in the room, with room:// before it or without
    #[arg(value_name = "ROOM_PATH")]
    path: String,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room storage show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The path: room://PATH in the room, or one on this machine
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    path: String,
    /// How the text is encoded: utf-8, ascii, latin-1, utf-16, utf-16le or utf-16be
    #[arg(long, value_name = "NAME", default_value = "utf-8")]
    encoding: String,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room storage rm`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room storage rm --room lobby room://notes/old.txt\n  meshagent room storage rm --room lobby 'room://logs/*.txt'\n  meshagent room storage rm --room lobby -r room://notes"
)]
pub struct RemoveArgs {
    /// The path: room://PATH in the room, or one on this machine; *, ? and [] in its last part
    /// stand for several files, unless one is called so
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    path: String,
    /// Remove a folder with everything in it
    #[arg(short, long)]
    recursive: bool,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room storage ls`.
#[derive(Debug, clap::Args)]
pub struct LsArgs {
    /// The path: room://PATH in the room, or one on this machine; *, ? and [] in its last part
    /// stand for several, unless one is called so
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    path: String,
    /// List what is in folders, too
    #[arg(short, long)]
    recursive: bool,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    at: RoomArgs,
}

/// How deep folders are listed. No room is so deep.
const DEPTH: usize = 128;

/// What is in a folder of a room.
struct Contents {
    /// Files and folders, by name.
    entries: Vec<Entry>,
    /// What the room lists, too, and cannot be the name of a file: what is copied here would get it.
    odd: Vec<String>,
}

async fn contents(room: &Room, path: &str) -> Result<Contents> {
    let Files { files } = ask(room, &List { path: path.to_owned() }).await?;
    Ok(sorted(files))
}

/// What a room lists, as files and folders by name, and what is odd.
fn sorted(files: Vec<Value>) -> Contents {
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
    let (mut entries, mut odd) = (Vec::new(), Vec::new());
    for file in files {
        match serde_json::from_value::<Entry>(file) {
            Ok(entry) if is_name(&entry.name) => entries.push(entry),
            Ok(entry) => odd.push(entry.name),
            Err(_) => odd.push(String::new()),
        }
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Contents { entries, odd }
}

/// The same for commands that leave out what is odd, and say so.
async fn entries(room: &Room, path: &str) -> Result<Vec<Entry>> {
    let Contents { entries, odd } = contents(room, path).await?;
    if !odd.is_empty() {
        let names = few(odd.iter().map(|name| format!("{name:?}")));
        output::note(&format!("note: room://{path} lists what is no name of a file: {names}"));
    }
    Ok(entries)
}

fn joined(folder: &str, name: &str) -> String {
    match (folder, folder.trim_end_matches('/')) {
        ("", _) => name.to_owned(),
        // A slash at the beginning stays.
        (_, "") => format!("/{name}"),
        (_, folder) => format!("{folder}/{name}"),
    }
}

async fn stat(room: &Room, path: &str) -> Result<Option<Entry>> {
    Ok(ask(room, &Stat { path: path.to_owned() }).await?.entry)
}

async fn has(room: &Room, path: &str) -> Result<bool> {
    Ok(ask(room, &Exists { path: path.to_owned() }).await?.exists)
}

fn missing(path: &str) -> Error {
    Error::failed(format!("there is no {path:?} in the room"))
        .hint("`meshagent room storage ls room://` lists what there is")
}

async fn exists(args: &OneArgs) -> Result<ExitCode> {
    let path = args.path.strip_prefix(location::IN_ROOM).unwrap_or(&args.path).to_owned();
    let exists = args.at.with(async |room: &Room| has(room, &path).await).await?;
    output::data(if exists { "true\n" } else { "false\n" });
    Ok(ExitCode::SUCCESS)
}

async fn show(args: &ShowArgs) -> Result<ExitCode> {
    let encoding = Encoding::named(&args.encoding)?;
    let bytes = match Location::of(&args.path)? {
        Location::Here(path) => bounded::bytes(&path, MAX_BYTES)
            .context(|| format!("failed to read {}", path.display()))?,
        Location::Room(path) => {
            args.at
                .with(async |room: &Room| {
                    match stat(room, &path).await? {
                        None => return Err(missing(&path)),
                        Some(entry) if entry.is_folder => {
                            return Err(Error::failed(format!("{path:?} is a folder")));
                        }
                        Some(_) => {}
                    }
                    let file = room.download(&path).await;
                    Ok(file.map_err(|why| not_moved(room, Moved::Shown, &path, why.into()))?.bytes)
                })
                .await?
        }
    };
    encoding.print(&bytes);
    Ok(ExitCode::SUCCESS)
}

/// What was to be done with a file.
#[derive(Clone, Copy)]
enum Moved {
    /// It was to be copied into the room.
    Up,
    /// It was to be copied out of the room.
    Down,
    /// It was to be shown.
    Shown,
}

/// The error for a file that was not sent or read.
fn not_moved(room: &Room, moved: Moved, path: &str, why: NotMoved) -> Error {
    let (verb, operation) = match moved {
        Moved::Up => ("copy", "storage.upload"),
        Moved::Down => ("copy", "storage.download"),
        Moved::Shown => ("read", "storage.download"),
    };
    match why {
        NotMoved::Here(error) => Error::failed(format!("failed to {verb} {path}")).because(error),
        NotMoved::There(why) => {
            let error = refused(room, operation, &why).saying(format!("failed to {verb} {path}"));
            match (moved, why.code) {
                (Moved::Down, Some(codes::INVALID_PATH)) => error.hint("if it is a folder, add -r"),
                _ => error,
            }
        }
    }
}

async fn remove(args: &RemoveArgs) -> Result<ExitCode> {
    match Location::of(&args.path)? {
        Location::Room(path) if is_root(&path) => {
            let told = "room:// is the folder with all files of the room, and is not removed";
            return Err(Error::usage(told).hint(
                "name a file or a folder in it; `meshagent room storage ls room://` lists them",
            ));
        }
        Location::Here(path) => location::remove_here(&path, args.recursive)?,
        Location::Room(path) => {
            args.at
                .with(async |room: &Room| {
                    let targets = if is_pattern(&path) {
                        let folder = parent_of(&path);
                        let all = entries(room, folder).await?;
                        let found = matching(name_of(&path), all)?.into_iter();
                        let is_meant = |entry: &Entry| {
                            let is_meant =
                                !entry.is_folder || args.recursive || entry.name == name_of(&path);
                            if !is_meant {
                                let at = joined(folder, &entry.name);
                                output::note(&format!(
                                    "note: room://{at} is a folder and stays; -r removes it, too"
                                ));
                            }
                            is_meant
                        };
                        found.filter(is_meant).map(|entry| joined(folder, &entry.name)).collect()
                    } else if has(room, &path).await? {
                        vec![path.clone()]
                    } else {
                        Vec::new()
                    };
                    if targets.is_empty() {
                        return Err(missing(&path));
                    }
                    for target in targets {
                        remove_one(room, &target, args.recursive, 0).await?;
                    }
                    Ok(())
                })
                .await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes a file, or a folder from its deepest files to itself.
async fn remove_one(room: &Room, path: &str, recursive: bool, depth: usize) -> Result<()> {
    if !has(room, path).await? {
        return Ok(());
    }
    if let Some(entry) = stat(room, path).await?
        && entry.is_folder
    {
        if !recursive {
            return Err(Error::failed(format!("{path:?} is a folder")).hint("add -r"));
        }
        if depth > DEPTH {
            return Err(Error::failed(format!("{path:?} is too deep")));
        }
        for entry in entries(room, path).await? {
            Box::pin(remove_one(room, &joined(path, &entry.name), recursive, depth + 1)).await?;
        }
    }
    ask(room, &Delete { path: path.to_owned(), recursive: None }).await?;
    output::note(&format!("removed room://{path}"));
    Ok(())
}

async fn list(args: &LsArgs) -> Result<ExitCode> {
    let listed = Listed {
        envelope: None,
        columns: &["path", "size", "updated_at"],
        name: "path",
        none: "there is nothing",
    };
    let rows = match Location::of(&args.path)? {
        Location::Here(path) => location::list_here(&path, args.recursive)?,
        Location::Room(path) => {
            args.at.with(async |room: &Room| in_room(room, &path, args.recursive).await).await?
        }
    };
    args.show.print(listed, rows)
}

async fn in_room(room: &Room, path: &str, recursive: bool) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() {
        below(room, "", recursive, &mut rows, 0).await?;
    } else if is_pattern(path) {
        let folder = parent_of(path);
        if !folder.trim_matches('/').is_empty() && !has(room, folder).await? {
            return Err(missing(folder));
        }
        let found = matching(name_of(path), entries(room, folder).await?)?;
        if found.is_empty() {
            return Err(missing(path));
        }
        for entry in found {
            let at = joined(folder, &entry.name);
            rows.push(row(&at, &entry));
            // A folder that fits is listed, as one that is named.
            if entry.is_folder {
                below(room, &at, recursive, &mut rows, 0).await?;
            }
        }
    } else {
        match stat(room, path).await? {
            None => return Err(missing(path)),
            Some(entry) if entry.is_folder => below(room, path, recursive, &mut rows, 0).await?,
            Some(entry) => rows.push(row(path, &entry)),
        }
    }
    Ok(rows)
}

async fn below(
    room: &Room,
    folder: &str,
    recursive: bool,
    rows: &mut Vec<Value>,
    depth: usize,
) -> Result<()> {
    if depth > DEPTH {
        return Err(Error::failed(format!("{folder:?} is too deep")));
    }
    for entry in entries(room, folder).await? {
        let at = joined(folder, &entry.name);
        rows.push(row(&at, &entry));
        if entry.is_folder && recursive {
            Box::pin(below(room, &at, true, rows, depth + 1)).await?;
        }
    }
    Ok(())
}

/// A file or folder as it is listed; folders end with a slash.
fn row(path: &str, entry: &Entry) -> Value {
    let slash = if entry.is_folder { "/" } else { "" };
    json!({
        "path": format!("{path}{slash}"),
        "is_folder": entry.is_folder,
        "size": entry.size,
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
    })
}

/// Runs a command of `room storage`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(command: StorageCommand) -> Result<ExitCode> {
    match command {
        StorageCommand::Exists(args) => exists(&args).await,
        StorageCommand::Cp(args) => copy(&args).await,
        StorageCommand::Show(args) => show(&args).await,
        StorageCommand::Rm(args) => remove(&args).await,
        StorageCommand::Ls(args) => list(&args).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_file_can_have_are_told_apart() {
        let names = ["b", "../x", "/etc/x", "a", "", ".", "..", "x\0y", "a\\b"];
        let files = names.iter().map(|name| json!({"name": name, "is_folder": false}));
        let Contents { entries, odd } = sorted(files.chain([json!({"size": 1})]).collect());
        let entries: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
        assert_eq!(entries, ["a", "a\\b", "b"]);
        assert_eq!(odd, ["../x", "/etc/x", "", ".", "..", "x\0y", ""]);
    }
}
