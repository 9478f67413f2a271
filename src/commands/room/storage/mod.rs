//! `room storage`: the files of a room.
//!
//! | module | holds |
//! |---|---|
//! | `copy` | `cp`: between this machine and the room, either way, file by file |
//! | `location` | what is meant by a path: a file here or in the room, or several |
//!
//! Paths that begin with `room://` are in the room, others on this machine.

mod copy;
mod location;

use std::process::ExitCode;

use clap::ValueHint;
use serde_json::{Value, json};

use self::copy::{CopyArgs, copy};
use self::location::{Location, is_pattern, matching, name_of, parent_of};
use super::{RoomArgs, ask};
use crate::bounded;
use crate::commands::show::{ListArgs as Show, Listed, quietly};
use crate::error::{Context, Error, Result};
use crate::output;
use crate::room::client::Room;
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
    /// stand for several files
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
    /// stand for several
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

/// What is in a folder of a room. A name that is none is left out: what is copied here gets it.
async fn entries(room: &Room, path: &str) -> Result<Vec<Entry>> {
    let Files { files } = ask(room, &List { path: path.to_owned() }).await?;
    let entries = files.into_iter().filter_map(|file| serde_json::from_value::<Entry>(file).ok());
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
    let mut entries: Vec<Entry> = entries.filter(|entry| is_name(&entry.name)).collect();
    entries.sort_by(|one, other| one.name.cmp(&other.name));
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
    let decode = decoder(&args.encoding)?;
    let bytes = match Location::of(&args.path) {
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
                    Ok(file.map_err(|refused| not_moved(&path, &refused))?.bytes)
                })
                .await?
        }
    };
    output::data(&decode(&bytes));
    Ok(ExitCode::SUCCESS)
}

/// The error for a file that was not sent or read.
fn not_moved(path: &str, why: impl std::fmt::Display) -> Error {
    Error::failed(format!("failed to copy {path}")).because(why.to_string())
}

/// A text of units of two bytes.
fn wide(bytes: &[u8], of: fn([u8; 2]) -> u16) -> String {
    let pair = |it: &[u8]| of([it[0], it.get(1).copied().unwrap_or_default()]);
    let units: Vec<u16> = bytes.chunks(2).map(pair).collect();
    String::from_utf16_lossy(&units)
}

/// What makes a text of bytes. What is not text is replaced by the sign for that.
fn decoder(name: &str) -> Result<fn(&[u8]) -> String> {
    Ok(match name.to_ascii_lowercase().replace('_', "-").as_str() {
        "utf-8" | "utf8" | "ascii" | "us-ascii" => {
            |bytes| String::from_utf8_lossy(bytes).into_owned()
        }
        "latin-1" | "latin1" | "iso-8859-1" => {
            |bytes| bytes.iter().map(|byte| char::from(*byte)).collect()
        }
        "utf-16le" | "utf-16-le" => |bytes| wide(bytes, u16::from_le_bytes),
        "utf-16be" | "utf-16-be" => |bytes| wide(bytes, u16::from_be_bytes),
        "utf-16" | "utf16" => |bytes| match bytes {
            [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
            [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
            bytes => wide(bytes, u16::from_le_bytes),
        },
        _ => {
            return Err(Error::usage(format!("--encoding {name:?} is not known"))
                .hint("known are utf-8, ascii, latin-1, utf-16, utf-16le and utf-16be"));
        }
    })
}

async fn remove(args: &RemoveArgs) -> Result<ExitCode> {
    match Location::of(&args.path) {
        Location::Here(path) => location::remove_here(&path, args.recursive)?,
        Location::Room(path) => {
            args.at
                .with(async |room: &Room| {
                    let targets = if is_pattern(&path) {
                        let folder = parent_of(&path);
                        let all = entries(room, folder).await?;
                        let files = matching(name_of(&path), all)?;
                        let files = files.into_iter().filter(|entry| !entry.is_folder);
                        files.map(|entry| joined(folder, &entry.name)).collect()
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
    let rows = match Location::of(&args.path) {
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
    fn texts_are_read_as_they_are_encoded() {
        let decoded = |name: &str, bytes: &[u8]| decoder(name).unwrap()(bytes);
        assert_eq!(decoded("utf-8", "ü".as_bytes()), "ü");
        assert_eq!(decoded("UTF_8", b"a\xff"), "a\u{fffd}");
        assert_eq!(decoded("latin-1", b"\xfc"), "ü");
        assert_eq!(decoded("utf-16", b"\xfe\xff\0a"), "a");
        assert_eq!(decoded("utf-16", b"\xff\xfea\0"), "a");
        assert_eq!(decoded("utf-16le", b"a\0\xfc"), "aü");
        assert!(decoder("ebcdic").is_err());
    }
}
