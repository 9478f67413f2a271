//! What is in the folder of the room before anything is uploaded: what is in the way, and what is
//! served there still although it is gone here.

use std::collections::BTreeSet;

use super::upload::{Uploads, is_hidden, is_keeper};
use crate::commands::room::ask;
use crate::error::{Error, Result};
use crate::listed::{at_most, few, word};
use crate::output;
use crate::room::client::Room;
use crate::room::storage::{Entry, Files, List, Stat};
use crate::visible;

/// How many commands are told that remove something.
const MOST: usize = 5;

/// How many folders of the room are listed.
const FOLDERS: usize = 10_000;

/// Something in the room.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct There {
    /// Whether it is not hidden; what is hidden comes first.
    is_plain: bool,
    /// Its path in the room.
    path: String,
    is_folder: bool,
}

impl There {
    /// The command that removes it.
    fn removal(&self, room: &str) -> String {
        let recursive = if self.is_folder { "-r " } else { "" };
        let path = format!("room:/{}", self.path);
        format!("meshagent room storage rm {recursive}--room {} {}", word(room), word(&path))
    }
}

/// What is in a folder of a room.
pub struct Folder<'a> {
    room: &'a str,
    /// What is a folder there and a file here, or the other way round.
    in_the_way: Vec<There>,
    /// What is in served folders there, and not here.
    left: Vec<There>,
}

impl<'a> Folder<'a> {
    /// Looks at the folder of the website.
    ///
    /// # Errors
    ///
    /// What the room refuses.
    pub async fn look(room: &Room, name: &'a str, folder: &str, uploads: &Uploads) -> Result<Self> {
        let mut looking = Looking {
            room,
            uploads,
            needed: needed(uploads),
            in_the_way: Vec::new(),
            left: Vec::new(),
        };
        if looking.is_there(folder).await? {
            looking.below(folder).await?;
        }
        let Looking { in_the_way, mut left, .. } = looking;
        left.sort();
        Ok(Self { room: name, in_the_way, left })
    }

    /// Refuses to upload over what has another sort.
    ///
    /// # Errors
    ///
    /// Something is in the way.
    pub fn refuse(&self) -> Result<()> {
        let told = |it: &There| {
            let (there, here) = if it.is_folder { ("folder", "file") } else { ("file", "folder") };
            format!("{} is a {there} in the room, and a {here} here", visible::line(&it.path))
        };
        let Some(first) = self.in_the_way.first() else { return Ok(()) };
        let told = few(self.in_the_way.iter().map(told));
        Err(Error::failed(format!("{told}, so nothing was written"))
            .hint(format!("`{}` removes it", first.removal(self.room))))
    }

    /// Tells what is served although it is gone here.
    pub fn tell_left(&self) {
        if self.left.is_empty() {
            return;
        }
        let slash = |it: &There| if it.is_folder { "/" } else { "" };
        let names = self.left.iter().map(|it| format!("{}{}", visible::line(&it.path), slash(it)));
        let count = self.left.len();
        let told = format!("what is gone here is still served ({count}): {}", at_most(MOST, names));
        match self.left.iter().all(|it| it.is_plain) {
            true => output::note(&format!("note: {told}")),
            false => output::warning(&told),
        }
        for it in self.left.iter().take(MOST) {
            output::note(&format!("  `{}` removes it", it.removal(self.room)));
        }
    }
}

/// The folders that the uploads need.
fn needed(uploads: &Uploads) -> BTreeSet<&str> {
    let above = |name: &'_ str| name.match_indices('/').map(|(at, _)| at).collect::<Vec<_>>();
    let files = uploads.files.iter().map(|upload| upload.name.as_str());
    files.flat_map(|name| above(name).into_iter().map(move |at| &name[..at])).collect()
}

struct Looking<'a> {
    room: &'a Room,
    uploads: &'a Uploads,
    needed: BTreeSet<&'a str>,
    in_the_way: Vec<There>,
    left: Vec<There>,
}

impl Looking<'_> {
    /// Whether the folder is there. What is in its way is kept.
    async fn is_there(&mut self, folder: &str) -> Result<bool> {
        let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
        for path in ends.map(|at| &folder[..at]).filter(|path| !path.is_empty()) {
            match ask(self.room, &Stat { path: path.to_owned() }).await?.entry {
                None => return Ok(false),
                Some(entry) if entry.is_folder => {}
                Some(_) => {
                    self.in_the_way.push(There {
                        is_plain: true,
                        path: path.to_owned(),
                        is_folder: false,
                    });
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn below(&mut self, folder: &str) -> Result<()> {
        let files: BTreeSet<&str> =
            self.uploads.files.iter().map(|upload| upload.name.as_str()).collect();
        let mut waiting = vec![String::new()];
        let mut seen = 0;
        while let Some(below) = waiting.pop().filter(|_| seen < FOLDERS) {
            seen += 1;
            let path = format!("{folder}{below}");
            let Files { files: entries } = ask(self.room, &List { path }).await?;
            for entry in entries {
                let Ok(entry) = serde_json::from_value::<Entry>(entry) else { continue };
                let below = format!("{below}/{}", entry.name);
                let name = below.trim_start_matches('/');
                let is_folder = entry.is_folder;
                let is_plain = !is_hidden(&entry.name);
                let there = There { is_plain, path: format!("{folder}{below}"), is_folder };
                if files.contains(name) && is_folder || self.needed.contains(name) && !is_folder {
                    self.in_the_way.push(there);
                } else if self.needed.contains(name) {
                    waiting.push(below);
                } else if !files.contains(name) && self.is_served(name) && !is_keeper(&entry.name) {
                    self.left.push(there);
                }
            }
        }
        Ok(())
    }

    fn is_served(&self, name: &str) -> bool {
        name.match_indices('/').any(|(at, _)| self.uploads.served.contains(&name[..at]))
    }
}
