//! Who else on this machine may read or change what the platform keeps.
//!
//! A key that others may read is refused, and so is what any user of the machine may change.
//! What is merely open wider than it needs to be is told: it may be shared on purpose.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::{Class, Error, Result};
use crate::output;
use crate::own_folder;

/// What anybody may do to it.
const ANYBODY_WRITES: u32 = 0o002;

/// What anybody but its owner may do to it.
const OTHERS: u32 = 0o077;

/// What a file is, where there is one.
///
/// # Errors
///
/// The system's.
pub fn metadata(path: &Path) -> Result<Option<Metadata>> {
    match path.metadata() {
        Ok(about) => Ok(Some(about)),
        // What is below a file is told of by whoever makes the folder.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => {
            Err(Error::failed(format!("failed to look at {}", path.display())).because(error))
        }
    }
}

/// What to run so that only the owner reaches it.
fn remedy(path: &Path, about: &Metadata) -> String {
    let mode = if about.is_dir() { "700" } else { "600" };
    let path = path.display().to_string();
    let quoted = shlex::try_quote(&path).unwrap_or_else(|_| "PATH".into());
    format!("chmod {mode} {quoted}")
}

/// Refuses a file that anybody but its owner may read or change. One that is not there is
/// nobody's.
///
/// # Errors
///
/// Others may reach it.
pub fn only_for_its_owner(path: &Path) -> Result<()> {
    let Some(about) = metadata(path)? else { return Ok(()) };
    if about.permissions().mode() & OTHERS == 0 {
        return Ok(());
    }
    let told = format!("others on this machine may read or change the key file {}", path.display());
    Err(Error::new(Class::Refused, told).hint(format!("run `{}`", remedy(path, &about))))
}

/// Refuses a folder or file of the platform's that anybody may change, and tells of one that
/// is open to others than its owner.
///
/// # Errors
///
/// Anybody may change it.
pub fn look_at(path: &Path) -> Result<()> {
    let Some(about) = metadata(path)? else { return Ok(()) };
    let (mode, shown) = (about.permissions().mode(), path.display());
    if mode & ANYBODY_WRITES != 0 {
        let told = format!("anybody on this machine may change {shown}");
        return Err(Error::new(Class::Refused, told)
            .hint(format!("run `{}`, or name another data folder", remedy(path, &about))));
    }
    if mode & OTHERS != 0 {
        let remedy = remedy(path, &about);
        output::warning(&format!(
            "{shown} is open to others on this machine; run `{remedy}` to close it"
        ));
    }
    Ok(())
}

/// Tells of a folder above what holds the platform's keys in which anybody may put something
/// else in its place.
pub fn look_above(path: &Path) {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Some(folder) = absolute.parent() else { return };
    // What is not there yet will be, below what is.
    let real = folder.ancestors().find_map(|above| above.canonicalize().ok());
    let Some(real) = real else { return };
    let is_open = |above: &&Path| own_folder::may_be_replaced_in(above);
    if let Some(above) = real.ancestors().find(is_open) {
        let (shown, above) = (path.display(), above.display());
        output::warning(&format!(
            "anybody on this machine may replace {shown} with another folder, because anybody may write to {above}; run `chmod o-w {above}` to close it"
        ));
    }
}
