//! What a container is given as files and folders.
//!
//! | module | holds |
//! |---|---|
//! | `folder` | folders of this machine, opened without following links |
//! | `prepared` | what the engine is told to mount, and what is cleaned up after it |
//! | `content` | the content of images, as folders |
//! | `tidy` | what a process left behind that ended in the middle |
//! | `unpack` | an archive that is not trusted, as a folder |
//!
//! **What must not live here**: what a container is otherwise.

mod content;
mod folder;
mod prepared;
mod tidy;
mod unpack;

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

pub use content::MOST_CONTENT;
pub(crate) use prepared::{CONTENTS, Prepared, SCRATCH, forget, in_memory};

use crate::error::{Error, Result};

/// How long a text may be that is given as a file.
const LONGEST_TEXT: usize = 4 << 20;

/// Something that a container is given as a file or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// A folder of this machine.
    Folder {
        /// A folder that the caller trusts, with all links on the way to it.
        trusted: PathBuf,
        /// The folder, seen from there; empty for the trusted folder itself. No link is followed.
        below: String,
        /// Where the container has it.
        target: String,
        /// Whether the container may only read.
        read_only: bool,
    },
    /// A file with this text, of this container alone.
    Text {
        /// What it holds.
        text: String,
        /// Where the container has it.
        target: String,
        /// Whether the container may only read.
        read_only: bool,
    },
    /// The content of an image, only to read.
    Image {
        /// The image, which is here already.
        image: String,
        /// The folder in the image; empty for all of it. No link is followed.
        below: String,
        /// Where the container has it.
        target: String,
    },
    /// An empty folder in memory, of this container alone.
    Empty {
        /// Where the container has it.
        target: String,
        /// How much fits in, if not as much as the container's limits say.
        size: Option<u64>,
    },
}

impl Mount {
    /// Where the container has it.
    #[must_use]
    pub fn target(&self) -> &str {
        match self {
            Self::Folder { target, .. }
            | Self::Text { target, .. }
            | Self::Image { target, .. }
            | Self::Empty { target, .. } => target,
        }
    }
}

/// Whether these can be mounted, as far as it can be told without looking at the disk.
pub(crate) fn checked(mounts: &[Mount]) -> Result<()> {
    let mut targets = BTreeSet::new();
    for mount in mounts {
        target(mount.target())?;
        if !targets.insert(mount.target()) {
            let text =
                format!("two mounts are at {}: give each one a place of its own", mount.target());
            return Err(Error::Invalid(text));
        }
        match mount {
            Mount::Folder { below, .. } => folder::parts(below).map(drop)?,
            Mount::Image { image, below, .. } => {
                crate::spec::image(image)?;
                folder::parts(below)?;
            }
            Mount::Text { text, target, .. } if text.len() > LONGEST_TEXT => {
                let text = format!("the text at {target} is longer than {LONGEST_TEXT} bytes");
                return Err(Error::Invalid(text));
            }
            Mount::Empty { target, size: Some(0), .. } => {
                return Err(Error::Invalid(format!(
                    "nothing fits into the empty folder at {target}"
                )));
            }
            Mount::Text { .. } | Mount::Empty { .. } => {}
        }
    }
    Ok(())
}

/// Whether a path leads down only.
pub(crate) fn below(path: &str) -> Result<()> {
    folder::parts(path).map(drop)
}

/// Opens a folder below a trusted one, without following links.
pub(crate) fn open(trusted: &Path, below: &str) -> Result<OwnedFd> {
    folder::find(trusted, below).map(|it| it.open)
}

/// Opens a file below a trusted folder to be read, without following links.
///
/// # Errors
///
/// There is none, or a link is on the way.
pub fn open_file(trusted: &Path, path: &str) -> Result<std::fs::File> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let invalid = |why: &dyn std::fmt::Display| {
        Error::Invalid(format!("cannot read the file {path:?}: {why}"))
    };
    below(name)?;
    let above = open(trusted, above)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(&above, name, flags, Mode::empty());
    let file = std::fs::File::from(opened.map_err(|error| invalid(&error))?);
    match file.metadata().is_ok_and(|about| about.is_file()) {
        true => Ok(file),
        false => Err(invalid(&"it is no file")),
    }
}

/// Whether something may be mounted there: not over what the system itself shows.
fn target(target: &str) -> Result<()> {
    let invalid =
        |why: &str| Err(Error::Invalid(format!("nothing can be mounted at {target:?}: {why}")));
    let Some(rest) = target.strip_prefix('/') else { return invalid("the path is not absolute") };
    // Engines take some of these for what separates a path from its options.
    if target.len() > 4096 || target.chars().any(|it| it.is_control() || ":,\"\\".contains(it)) {
        return invalid(
            "the path is too long, or holds a colon, a comma, a quote, a backslash or control characters",
        );
    }
    let mut parts = rest.split('/');
    if parts.clone().any(|part| matches!(part, "" | "." | "..")) {
        return invalid("the path is that of the whole container, or holds empty parts, . or ..");
    }
    match parts.next() {
        Some("proc" | "sys" | "dev") => invalid("the system itself is there"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty(target: &str) -> Mount {
        Mount::Empty { target: target.to_owned(), size: None }
    }

    #[test]
    fn nothing_is_mounted_over_the_system_or_by_another_name_of_it() {
        let odd = [
            "",
            "a",
            "/",
            "//",
            "/proc",
            "/proc/sys",
            "/sys",
            "/dev/shm",
            "/a/../proc",
            "/a/",
            "/./proc",
            "/a//b",
            "/a:ro",
            "/a\n",
            "/a,source=/etc",
            "/a\"",
        ];
        for target in odd {
            assert!(checked(&[empty(target)]).is_err(), "{target:?}");
        }
        assert_eq!(
            checked(&[empty("/a"), empty("/a/b"), empty("/process"), empty("/a b=c")]),
            Ok(())
        );
    }

    #[test]
    fn two_mounts_at_one_place_are_refused() {
        let text = Mount::Text { text: String::new(), target: "/a".to_owned(), read_only: true };
        let refused = checked(&[empty("/a"), text]).expect_err("two");
        assert_eq!(refused.to_string(), "two mounts are at /a: give each one a place of its own");
    }

    #[test]
    fn a_folder_above_the_trusted_one_is_refused() {
        for below in ["..", "a/../..", "/etc", "a//b", "./a", "a\0"] {
            let (target, trusted) = ("/a".to_owned(), PathBuf::from("/"));
            let below = below.to_owned();
            let mount = Mount::Folder { trusted, below, target, read_only: true };
            assert!(
                matches!(checked(std::slice::from_ref(&mount)), Err(Error::Invalid(_))),
                "{mount:?}"
            );
        }
    }
}
