//! Repositories on this machine, and where Git would go in them. A checkout can hold a file or a
//! folder that sends Git to another repository of the user: by a `.git` file, a `commondir`, other
//! folders of objects, or links. So all of that is looked at before Git reads anything.

use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::bounded;
use crate::error::{Context, Error, Result};
use crate::listed::word;
use crate::manifest::reach::Reach;

/// What Git calls the folder of a repository.
const GIT: &str = ".git";

/// The largest file that names another place, in bytes.
const LARGEST: usize = 64 * 1024;

/// The largest settings of a repository, in bytes.
const SETTINGS: usize = 1024 * 1024;

/// How many folders of objects may be chained, as in Git.
const CHAIN: usize = 5;

/// The folder, or the bundle, that Git reads for a path, which is where the path really leads.
///
/// # Errors
///
/// There is no repository; it leads to what may not be read.
pub fn repository(real: &Path, reach: &Reach) -> Result<PathBuf> {
    let inner = real.join(GIT);
    let found = match inner.symlink_metadata() {
        Ok(_) => inner,
        Err(_) => real.to_owned(),
    };
    let about = found.metadata().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::failed("there is no such folder on this machine"),
        _ => Error::failed("it cannot be looked at").because(error),
    })?;
    let folder = match about.is_dir() {
        true => found,
        false => match named(&found, "gitdir:")? {
            Some(folder) => folder,
            // A bundle, which holds all that it is.
            None => return Ok(found),
        },
    };
    let folder = real_of(&folder)?;
    allowed(&folder, reach)?;
    let common = match folder.join("commondir") {
        file if file.exists() => match named(&file, "")? {
            Some(common) => real_of(&common)?,
            None => folder.clone(),
        },
        _ => folder.clone(),
    };
    allowed(&common, reach)?;
    if !common.join("objects").is_dir() || !folder.join("HEAD").exists() {
        return Err(Error::failed("there is no Git repository in this folder"));
    }
    for folder in [&folder, &common] {
        without_ways_out(folder, reach)?;
        without_includes(folder)?;
    }
    objects(&common.join("objects"), reach, CHAIN)?;
    Ok(folder)
}

/// The path that a file names behind a word, from the folder that the file is in.
fn named(file: &Path, word: &str) -> Result<Option<PathBuf>> {
    let bytes = match bounded::bytes(file, LARGEST) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        // A bundle is larger.
        Err(_) if !word.is_empty() => return Ok(None),
        Err(error) => return Err(Error::failed("failed to read where Git goes").because(error)),
    };
    let text = String::from_utf8_lossy(&bytes);
    let named = text.strip_prefix(word).map(str::trim).filter(|path| !path.is_empty());
    Ok(named.map(|path| file.parent().unwrap_or(file).join(path)))
}

/// Looks at the folders of objects that one names beside itself.
fn objects(folder: &Path, reach: &Reach, left: usize) -> Result<()> {
    let file = folder.join("info/alternates");
    let text = match bounded::text(&file, LARGEST) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::failed("failed to read where Git goes").because(error)),
    };
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        // Git takes a text in quotes for one with escapes.
        if line.starts_with('"') || left == 0 {
            return Err(outside());
        }
        let other = real_of(&folder.join(line))?;
        allowed(&other, reach)?;
        without_ways_out(&other, reach)?;
        objects(&other, reach, left - 1)?;
    }
    Ok(())
}

/// Refuses links in a repository that lead out of what may be read, and what makes one wait that
/// reads it.
fn without_ways_out(folder: &Path, reach: &Reach) -> Result<()> {
    for entry in WalkDir::new(folder) {
        let entry = entry.context(|| "failed to look at the repository".to_owned())?;
        let sort = match entry.path_is_symlink() {
            false => entry.file_type(),
            true => match entry.path().canonicalize() {
                Err(_) => continue,
                Ok(real) => {
                    allowed(&real, reach)?;
                    let about = real.metadata();
                    about.context(|| "failed to look at the repository".to_owned())?.file_type()
                }
            },
        };
        // A socket is where Git's own programs listen; nobody reads it.
        if sort.is_fifo() || sort.is_char_device() || sort.is_block_device() {
            return Err(Error::failed("there is a pipe or a device in the repository"));
        }
    }
    Ok(())
}

/// Refuses settings of a repository that include others: Git reads the file that they name, and what
/// it says of it tells what is in the file.
fn without_includes(folder: &Path) -> Result<()> {
    // Git takes a section anywhere in a line, and names of sections in any case.
    const SECTION: &[u8] = b"[include";
    for name in ["config", "config.worktree"] {
        let text = match bounded::bytes(&folder.join(name), SETTINGS) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                let told = format!("failed to read the settings of the repository, {name}");
                return Err(Error::failed(told).because(error));
            }
        };
        if text.windows(SECTION.len()).any(|part| part.eq_ignore_ascii_case(SECTION)) {
            return Err(Error::failed(format!(
                "the settings of the repository, {name}, include those of another file"
            ))
            .hint(
                "take `[include]` and `[includeIf]` out of them, or name the repository by a URL",
            ));
        }
    }
    Ok(())
}

fn real_of(path: &Path) -> Result<PathBuf> {
    // Whether anything is there is not told to whoever wrote the file that names it.
    path.canonicalize().map_err(|_| outside())
}

/// Whether a part of a repository is in a folder that may be read. That the repository of that
/// folder is hidden in it makes no difference: it was named on purpose.
fn allowed(real: &Path, reach: &Reach) -> Result<()> {
    let around = real.ancestors().filter(|above| above.file_name().is_some_and(|it| it == GIT));
    let folder = around.last().and_then(Path::parent).unwrap_or(real);
    reach.check(folder).map_err(|_| outside())
}

fn outside() -> Error {
    Error::failed(
        "the repository leads Git out of the folder of the project file and its repository",
    )
    .hint(format!(
        "name the repository itself, or add {} with the folder that it leads to",
        word("--allow-files")
    ))
}
