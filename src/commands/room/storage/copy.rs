//! `room storage cp`: files are copied one after the other, in parts, and are there when they are
//! whole.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context as Turn, Poll};
use std::time::Duration;

use clap::ValueHint;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use super::location::{
    IN_ROOM, Location, entries_here, is_pattern, is_pattern_here, matching, matching_here, name_of,
    parent_of,
};
use super::{RoomArgs, entries, has, joined, missing, not_moved, stat};
use crate::error::{Context, Error, Result};
use crate::output;
use crate::room::client::Room;
use crate::room::files::Upload;
use crate::whole_file::Draft;

/// How deep folders are copied.
const DEPTH: usize = 128;

/// How much may be on its way between two files of the room, in bytes.
const BUFFER: usize = 256 * 1024;

/// Arguments of `room storage cp`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room storage cp --room lobby notes.txt room://notes.txt\n  meshagent room storage cp --room lobby 'room://logs/*.txt' logs/\n  meshagent room storage cp --room lobby -r site room://www/\n\nA file is there when all of it is; one that exists is replaced."
)]
pub struct CopyArgs {
    /// What is copied: room://PATH in the room, or a path on this machine; *, ? and [] in its last
    /// part stand for several files
    #[arg(value_name = "SOURCE_PATH", value_hint = ValueHint::AnyPath)]
    source: String,
    /// Where to: a file, or a folder that exists or ends with a slash
    #[arg(value_name = "DEST_PATH", value_hint = ValueHint::AnyPath)]
    destination: String,
    /// Copy folders with everything in them
    #[arg(short, long)]
    recursive: bool,
    #[command(flatten)]
    at: RoomArgs,
}

/// A file to be copied, and its path below the destination if that is a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    from: Location,
    below: String,
}

/// Runs `room storage cp`.
///
/// # Errors
///
/// There is nothing to copy; what cannot be read, written or sent.
pub async fn copy(args: &CopyArgs) -> Result<ExitCode> {
    let (from, to) = (Location::of(&args.source), Location::of(&args.destination));
    // What is here is looked for before a room is entered.
    let here = match &from {
        Location::Here(path) => Some(Copying { room: None, args }.here(path)?),
        Location::Room(_) => None,
    };
    if let (Some(sources), Location::Here(_)) = (&here, &to) {
        Copying { room: None, args }.run(sources.clone(), &to).await?;
        return Ok(ExitCode::SUCCESS);
    }
    args.at
        .with(async |room: &Room| {
            let copying = Copying { room: Some(room), args };
            let sources = match (&from, &here) {
                (Location::Room(path), _) => copying.in_room(path).await?,
                (_, here) => here.clone().unwrap_or_default(),
            };
            copying.run(sources, &to).await
        })
        .await?;
    Ok(ExitCode::SUCCESS)
}

struct Copying<'a> {
    room: Option<&'a Room>,
    args: &'a CopyArgs,
}

impl Copying<'_> {
    async fn run(&self, mut sources: Vec<Source>, to: &Location) -> Result<()> {
        let is_folder = self.is_folder(to).await?;
        let is_tree = sources.iter().any(|source| source.below.contains('/'));
        if !is_folder && is_tree {
            // The folder gets another name.
            for source in &mut sources {
                let (_, rest) = source.below.split_once('/').unwrap_or_default();
                source.below = rest.to_owned();
            }
        }
        let is_folder = is_folder || is_tree;
        if sources.len() != 1 && !is_folder {
            let told = format!("{} is not a folder, and several files are copied", shown(to));
            return Err(Error::failed(told).hint("end it with a slash to make it one"));
        }
        for source in &sources {
            let to = if is_folder { below(to, &source.below) } else { to.clone() };
            self.one(&source.from, &to).await?;
            output::note(&format!("copied {} to {}", shown(&source.from), shown(&to)));
        }
        Ok(())
    }

    fn room(&self) -> Result<&Room> {
        self.room.ok_or_else(|| Error::failed("no room was entered"))
    }

    /// The files that a path here stands for.
    fn here(&self, path: &Path) -> Result<Vec<Source>> {
        if is_pattern_here(path) {
            let found = matching_here(path)?.into_iter().filter(|(_, entry)| !entry.is_folder);
            let sources: Vec<Source> = found
                .map(|(path, entry)| Source { from: Location::Here(path), below: entry.name })
                .collect();
            return match sources.is_empty() {
                true => Err(Error::failed(format!("no file fits {}", path.display()))),
                false => Ok(sources),
            };
        }
        let about =
            fs::metadata(path).context(|| format!("failed to look at {}", path.display()))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if !about.is_dir() {
            let below = name.unwrap_or_default();
            return Ok(vec![Source { from: Location::Here(path.to_owned()), below }]);
        }
        self.may_copy_folders(&path.display().to_string())?;
        let mut sources = Vec::new();
        folder_here(path, &name.unwrap_or_default(), &mut sources, 0)?;
        Ok(sources)
    }

    fn may_copy_folders(&self, path: &str) -> Result<()> {
        match self.args.recursive {
            true => Ok(()),
            false => Err(Error::failed(format!("{path} is a folder")).hint("add -r")),
        }
    }

    /// The files that a path in the room stands for.
    async fn in_room(&self, path: &str) -> Result<Vec<Source>> {
        let room = self.room()?;
        let source = |path: String, below: String| Source { from: Location::Room(path), below };
        if is_pattern(path) {
            let folder = parent_of(path);
            let found = matching(name_of(path), entries(room, folder).await?)?;
            let files = found.into_iter().filter(|entry| !entry.is_folder);
            let sources: Vec<Source> =
                files.map(|entry| source(joined(folder, &entry.name), entry.name)).collect();
            return if sources.is_empty() { Err(missing(path)) } else { Ok(sources) };
        }
        if !has(room, path).await? {
            return Err(missing(path));
        }
        let name = name_of(path.trim_end_matches('/')).to_owned();
        if !self.args.recursive {
            return Ok(vec![source(path.to_owned(), name)]);
        }
        match stat(room, path).await? {
            Some(entry) if entry.is_folder => {
                let mut sources = Vec::new();
                folder_in_room(room, path, &name, &mut sources, 0).await?;
                Ok(sources)
            }
            _ => Ok(vec![source(path.to_owned(), name)]),
        }
    }

    /// Whether a destination is a folder, into which files go under their own names.
    async fn is_folder(&self, to: &Location) -> Result<bool> {
        Ok(match to {
            Location::Here(path) => {
                let text = path.to_string_lossy();
                text.is_empty() || text.ends_with('/') || path.is_dir()
            }
            Location::Room(path) => {
                path.is_empty()
                    || path.ends_with('/')
                    || stat(self.room()?, path).await?.is_some_and(|entry| entry.is_folder)
            }
        })
    }

    async fn one(&self, from: &Location, to: &Location) -> Result<()> {
        match (from, to) {
            (Location::Here(from), Location::Here(to)) => copy_here(from, to),
            (Location::Here(from), Location::Room(to)) => upload(self.room()?, from, to).await,
            (Location::Room(from), Location::Here(to)) => download(self.room()?, from, to).await,
            (Location::Room(from), Location::Room(to)) => within(self.room()?, from, to).await,
        }
    }
}

fn shown(location: &Location) -> String {
    match location {
        Location::Here(path) => path.display().to_string(),
        Location::Room(path) => format!("{IN_ROOM}{path}"),
    }
}

fn below(folder: &Location, name: &str) -> Location {
    match folder {
        Location::Here(folder) => Location::Here(folder.join(name)),
        Location::Room(folder) => Location::Room(joined(folder, name)),
    }
}

/// The files in a folder here. Links are left out: what they lead to need not be in the folder.
fn folder_here(path: &Path, below: &str, into: &mut Vec<Source>, depth: usize) -> Result<()> {
    if depth > DEPTH {
        return Err(Error::failed(format!("{} is too deep", path.display())));
    }
    for entry in entries_here(path)? {
        let (path, below) = (path.join(&entry.name), joined(below, &entry.name));
        if path.is_symlink() {
            output::note(&format!("note: {} is a link and is not copied", path.display()));
        } else if entry.is_folder {
            folder_here(&path, &below, into, depth + 1)?;
        } else {
            into.push(Source { from: Location::Here(path), below });
        }
    }
    Ok(())
}

async fn folder_in_room(
    room: &Room,
    path: &str,
    below: &str,
    into: &mut Vec<Source>,
    depth: usize,
) -> Result<()> {
    if depth > DEPTH {
        return Err(Error::failed(format!("{path:?} is too deep")));
    }
    for entry in entries(room, path).await? {
        let (path, below) = (joined(path, &entry.name), joined(below, &entry.name));
        if entry.is_folder {
            Box::pin(folder_in_room(room, &path, &below, into, depth + 1)).await?;
        } else {
            into.push(Source { from: Location::Room(path), below });
        }
    }
    Ok(())
}

/// A bar on a terminal, and nothing elsewhere.
fn bar(size: u64, name: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(size);
    let style = "{bar:30.cyan/dim} {bytes}/{total_bytes} {bytes_per_sec} {wide_msg}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.set_message(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A source whose bytes are counted on a bar.
struct Counted<R>(R, ProgressBar);

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        turn: &mut Turn<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.0).poll_read(turn, into);
        self.1.inc((into.filled().len() - before) as u64);
        polled
    }
}

async fn upload(room: &Room, from: &Path, to: &str) -> Result<()> {
    let failed = || format!("failed to read {}", from.display());
    let file = tokio::fs::File::open(from).await.context(failed)?;
    let about = file.metadata().await.context(failed)?;
    if !about.is_file() {
        return Err(Error::failed(format!("{} is not a file", from.display())));
    }
    let size = about.len();
    let bar = bar(size, &from.display().to_string());
    let upload =
        Upload { path: to, name: None, mime_type: None, overwrite: true, size: Some(size) };
    let sent = room.upload_from(&upload, &mut Counted(file, bar.clone())).await;
    bar.finish_and_clear();
    sent.map(drop).map_err(|error| not_moved(&from.display().to_string(), error))
}

async fn download(room: &Room, from: &str, to: &Path) -> Result<()> {
    let failed = || format!("failed to write {}", to.display());
    if let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).context(failed)?;
    }
    let mut download =
        room.begin_download(from).await.map_err(|refused| not_moved(from, refused))?;
    let draft = Draft::with_mode(to, 0o666).context(failed)?;
    let file = draft.file().try_clone().context(failed)?;
    let mut file = tokio::fs::File::from_std(file);
    let bar = bar(download.size, from);
    let done = async {
        while let Some(part) = download.next().await.map_err(|it| not_moved(from, it))? {
            file.write_all(&part).await.context(failed)?;
            bar.inc(part.len() as u64);
        }
        file.flush().await.context(failed)
    };
    let done = done.await;
    bar.finish_and_clear();
    done?;
    draft.replace(to).context(failed)
}

/// Copies a file of the room to another place there, with its media type.
async fn within(room: &Room, from: &str, to: &str) -> Result<()> {
    let mut download =
        room.begin_download(from).await.map_err(|refused| not_moved(from, refused))?;
    let (mime_type, size) = (download.mime_type.clone(), Some(download.size));
    let (mut reader, mut writer) = tokio::io::duplex(BUFFER);
    let reading = async {
        while let Some(part) = download.next().await.map_err(|it| not_moved(from, it))? {
            writer.write_all(&part).await.context(|| format!("failed to copy {from}"))?;
        }
        drop(writer);
        Ok(())
    };
    let mime_type = Some(mime_type.as_str());
    let upload = Upload { path: to, name: None, mime_type, overwrite: true, size };
    let writing = room.upload_from(&upload, &mut reader);
    let (read, written) = tokio::join!(reading, writing);
    written.map_err(|error| not_moved(from, error))?;
    read
}

fn copy_here(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("failed to copy {} to {}", from.display(), to.display());
    if let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).context(failed)?;
    }
    let mut source = fs::File::open(from).context(failed)?;
    let draft = Draft::with_mode(to, 0o666).context(failed)?;
    io::copy(&mut source, &mut draft.file()).context(failed)?;
    draft.replace(to).context(failed)
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
