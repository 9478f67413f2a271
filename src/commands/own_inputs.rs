//! A command must not write a file that it also reads: a manifest that a plan overwrites is lost.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::bounded;
use crate::error::{Class, Error, Result};
use crate::manifest::own_files::OwnFiles;
use crate::manifest::reach::Reach;
use crate::manifest::source;
use crate::visible;

/// Reads the name of a file to write. `-`, which elsewhere is a stream, would be a file of that
/// name, so it is refused. A file that cannot be created is refused before anything is done.
pub fn written_file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if path.as_os_str() == "-" {
            Err("give the name of a file, or /dev/stdout for standard output".to_owned())
        } else if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            Err(format!("{} is not a folder", visible::line(&folder.display().to_string())))
        } else if path.is_dir() {
            Err(format!("{} is a folder", visible::line(&path.display().to_string())))
        } else if leads_outside(&path) {
            Err(OUTSIDE.to_owned())
        } else {
            Ok(path)
        }
    })
}

/// Why a file is not written.
const OUTSIDE: &str = "a link in this folder leads outside of it and its repository, so nothing is written through it; remove the link, or name the file itself";

/// Refuses to write a file through a link that leads outside.
///
/// # Errors
///
/// There is such a link.
pub fn refuse_outside(path: &Path) -> Result<()> {
    match leads_outside(path) {
        true => Err(Error::usage(format!("{}: {OUTSIDE}", path.display()))),
        false => Ok(()),
    }
}

/// Whether a link of the working folder or its repository, which a checkout may contain, leads out
/// of both. A link elsewhere is the user's own, as is what a shell has open.
fn leads_outside(path: &Path) -> bool {
    let Ok(here) = std::env::current_dir() else { return false };
    // In the home folder all links are the user's own.
    if std::env::home_dir().is_some_and(|home| home.starts_with(&here)) {
        return false;
    }
    let reach = Reach::of(&[here], &[]);
    reach.check(path).is_err_and(|outside| outside.is_link)
}

/// A file that a command writes on request, with the option that names it.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The option, such as `--out`.
    pub option: &'static str,
    /// The file, if one is requested.
    pub path: Option<&'a Path>,
}

impl Written<'_> {
    /// Refuses a file that is one of the inputs: a manifest, a file read with one, or anything below
    /// `others`.
    ///
    /// # Errors
    ///
    /// [`Class::Refused`], before anything is read or done.
    pub fn keeps(&self, manifests: &[PathBuf], others: &[PathBuf]) -> Result<()> {
        let Some(path) = self.path else { return Ok(()) };
        // A file that does not exist yet is not overwritten, nor is what is not a file.
        let Some(written) = identity(path) else { return Ok(()) };
        let mut read = source::files(manifests);
        for other in others {
            let below = walkdir::WalkDir::new(other).follow_links(true).into_iter().flatten();
            read.extend(below.map(walkdir::DirEntry::into_path));
        }
        let Some(read) = read.iter().find(|read| identity(read) == Some(written)) else {
            return self.keeps_others(path);
        };
        let (option, name) = (self.option, visible::line(&read.display().to_string()).into_owned());
        Err(Error::new(
            Class::Refused,
            format!("{option} would overwrite {name}, which is an input, so nothing was done"),
        )
        .hint(format!("give another file with {option}")))
    }
}

impl Written<'_> {
    /// Refuses to overwrite what is neither empty nor a plan or report of this program: it may be
    /// a file that a manifest names, such as that of a secret or a rule.
    fn keeps_others(&self, path: &Path) -> Result<()> {
        let is_own = |text: &str| {
            text.trim().is_empty() || OwnFiles::of(text).is_some() || OwnFiles::is_cut_off(text)
        };
        if bounded::text(path, LARGEST).is_ok_and(|text| is_own(&text)) {
            return Ok(());
        }
        let (option, name) = (self.option, visible::line(&path.display().to_string()).into_owned());
        Err(Error::new(
            Class::Refused,
            format!("{option} would overwrite {name}, which is no plan or report of this program"),
        )
        .hint(format!("give another file with {option}, or remove it")))
    }
}

/// The largest plan or report that is looked at, in bytes.
const LARGEST: usize = 256 * 1024 * 1024;

/// What identifies a file, whatever its name.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let about = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some((about.dev(), about.ino()))
}
