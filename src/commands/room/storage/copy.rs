//! `room storage cp`: files are copied one after the other, in parts, and are there when they are
//! whole.

use std::process::ExitCode;

use clap::ValueHint;
use tokio_util::sync::CancellationToken;

use super::location::{IN_ROOM, INPUT, Location, OUTPUT, shown_here};
use super::sources::{Source, Sources};
use super::transfer::{copy_here, download, upload, within};
use super::{RoomArgs, joined, stat};
use crate::bounded;
use crate::commands::signals;
use crate::error::{Error, Result};
use crate::output;
use crate::room::client::Room;

/// Arguments of `room storage cp`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room storage cp --room lobby notes.txt room://notes.txt\n  meshagent room storage cp --room lobby 'room://logs/*.txt' logs/\n  meshagent room storage cp --room lobby -r site room://www/\n  meshagent room storage cp --room lobby room://site.tar - | tar t\n\nA file is there when all of it is. One that exists is replaced and keeps its mode; a device or a\npipe is written into. Of several files, those that can be copied are; the exit code is 1 if one\nwas not. Links are copied only if they are named, empty folders not at all."
)]
pub struct CopyArgs {
    /// What is copied: room://PATH in the room, a path on this machine, or `-` for standard input; *,
    /// ? and [] in its last part stand for several files, unless one is called so
    #[arg(value_name = "SOURCE_PATH", value_hint = ValueHint::AnyPath)]
    source: String,
    /// Where to: a file, a folder that exists or ends with a slash, or `-` for standard output
    #[arg(value_name = "DEST_PATH", value_hint = ValueHint::AnyPath)]
    destination: String,
    /// Copy folders with everything in them
    #[arg(short, long)]
    recursive: bool,
    #[command(flatten)]
    at: RoomArgs,
}

/// Runs `room storage cp`.
///
/// # Errors
///
/// There is nothing to copy; what cannot be read, written or sent.
pub async fn copy(args: &CopyArgs) -> Result<ExitCode> {
    signals::until_signal(async |stop| copying(args, &stop).await).await
}

async fn copying(args: &CopyArgs, stop: &CancellationToken) -> Result<ExitCode> {
    let (from, to) = (located(&args.source, INPUT)?, located(&args.destination, OUTPUT)?);
    // What is here is looked for before a room is entered.
    let here = match &from {
        Location::Here(path) => Some(Sources::here(path, args.recursive)?),
        Location::Room(_) => None,
    };
    if let (Some(sources), Location::Here(_)) = (&here, &to) {
        Copying { room: None, stop }.run(&from, sources, &to).await?;
        return Ok(ExitCode::SUCCESS);
    }
    args.at
        .with(async |room: &Room| {
            let sources = match (&from, here) {
                (Location::Room(path), _) => Sources::in_room(room, path, args.recursive).await?,
                (_, here) => here.unwrap_or_default(),
            };
            Copying { room: Some(room), stop }.run(&from, &sources, &to).await
        })
        .await?;
    Ok(ExitCode::SUCCESS)
}

/// What a path means; `-` means a stream.
fn located(text: &str, stream: &str) -> Result<Location> {
    if text == "-" { Ok(Location::Here(stream.into())) } else { Location::of(text) }
}

/// What there is at a destination.
#[derive(Clone, Copy, PartialEq, Eq)]
enum There {
    Folder,
    Something,
    Nothing,
}

struct Copying<'a> {
    room: Option<&'a Room>,
    stop: &'a CancellationToken,
}

impl Copying<'_> {
    async fn run(&self, from: &Location, sources: &Sources, to: &Location) -> Result<()> {
        let all = sources.files.len() + sources.failed;
        if all == 0 {
            return Err(Error::failed(format!("there is no file to copy in {}", shown(from))));
        }
        let targets = self.targets(sources, to).await?;
        let mut copied = 0;
        for (Source { from, .. }, to) in sources.files.iter().zip(&targets) {
            let done = tokio::select! {
                done = self.one(from, to) => done,
                () = self.stop.cancelled() => {
                    let told = format!("stopped: {copied} of {all} files were copied");
                    output::warning(&told);
                    return Err(Error::failed(told));
                }
            };
            match done {
                Ok(()) => {
                    copied += 1;
                    output::note(&format!("copied {} to {}", shown(from), shown(to)));
                }
                Err(error) if all == 1 => return Err(error),
                Err(error) => output::error(&error),
            }
            // Nothing more comes from a room that is gone.
            if self.room.is_some_and(|room| room.ended().is_some()) {
                break;
            }
        }
        match all - copied {
            0 => Ok(()),
            1 => Err(Error::failed(format!("1 of {all} files was not copied"))),
            left => Err(Error::failed(format!("{left} of {all} files were not copied"))),
        }
    }

    /// Where each file goes.
    async fn targets(&self, sources: &Sources, to: &Location) -> Result<Vec<Location>> {
        let there = self.there(to).await?;
        let into = match &sources.folder {
            Some(_) if there == There::Something => {
                let told = format!("{} is not a folder, and a folder is copied", shown(to));
                return Err(Error::failed(told));
            }
            // The folder gets another name.
            Some(_) if there == There::Nothing => to.clone(),
            Some(name) => below(to, name),
            None if there == There::Folder => to.clone(),
            None => {
                let [_] = &sources.files[..] else {
                    let told =
                        format!("{} is not a folder, and several files are copied", shown(to));
                    return Err(Error::failed(told).hint("end it with a slash to make it one"));
                };
                return Ok(vec![to.clone()]);
            }
        };
        let is_stream = |source: &Source| matches!(&source.from, Location::Here(path) if bounded::is_open(path));
        if let Some(stream) = sources.files.iter().find(|source| is_stream(source)) {
            let told =
                format!("{} has no name, and {} is a folder", shown(&stream.from), shown(to));
            return Err(Error::usage(told).hint("name the file that it is copied to"));
        }
        Ok(sources.files.iter().map(|source| below(&into, &source.below)).collect())
    }

    fn room(&self) -> Result<&Room> {
        self.room.ok_or_else(|| Error::failed("no room was entered"))
    }

    async fn there(&self, to: &Location) -> Result<There> {
        let is_named_as_one = |path: &str| path.is_empty() || path.ends_with('/');
        let is_folder = match to {
            Location::Here(path) if is_named_as_one(&path.to_string_lossy()) => Some(true),
            Location::Here(path) => path.metadata().ok().map(|about| about.is_dir()),
            Location::Room(path) if is_named_as_one(path) => Some(true),
            Location::Room(path) => stat(self.room()?, path).await?.map(|entry| entry.is_folder),
        };
        Ok(match is_folder {
            Some(true) => There::Folder,
            Some(false) => There::Something,
            None => There::Nothing,
        })
    }

    async fn one(&self, from: &Location, to: &Location) -> Result<()> {
        match (from, to) {
            (Location::Here(from), Location::Here(to)) => copy_here(from, to).await,
            (Location::Here(from), Location::Room(to)) => upload(self.room()?, from, to).await,
            (Location::Room(from), Location::Here(to)) => download(self.room()?, from, to).await,
            (Location::Room(from), Location::Room(to)) => within(self.room()?, from, to).await,
        }
    }
}

fn shown(location: &Location) -> String {
    match location {
        Location::Here(path) => shown_here(path),
        Location::Room(path) => format!("{IN_ROOM}{path}"),
    }
}

fn below(folder: &Location, name: &str) -> Location {
    match folder {
        Location::Here(folder) => Location::Here(folder.join(name)),
        Location::Room(folder) => Location::Room(joined(folder, name)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn files_go_below_a_folder_by_their_own_paths() {
        let here = |path: &str| Location::Here(PathBuf::from(path));
        let room = |path: &str| Location::Room(path.to_owned());
        assert_eq!(below(&here("a"), "b/c"), here("a/b/c"));
        assert_eq!(below(&room("a/"), "b/c"), room("a/b/c"));
        assert_eq!(below(&room(""), "b"), room("b"));
        assert_eq!((shown(&here("a")), shown(&room("a"))), ("a".into(), "room://a".into()));
    }
}
