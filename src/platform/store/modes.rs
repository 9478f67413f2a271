//! Who else on this machine may read or change what the platform keeps.
//!
//! A key that others may read is refused, and so is what any user of the machine may change. If
//! something is only more open than necessary, there is a warning: it may be shared on purpose.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::{Class, Error, Result};
use crate::output;
use crate::own_folder;

/// The mode bits of everybody.
const ANYBODY_WRITES: u32 = 0o002;

/// The mode bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// The metadata of a file, if it exists.
///
/// # Errors
///
/// The system's.
pub fn metadata(path: &Path) -> Result<Option<Metadata>> {
    match path.metadata() {
        Ok(about) => Ok(Some(about)),
        // If a parent is a file, creating the folder reports that.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => {
            Err(Error::failed(format!("failed to look at {}", path.display())).because(error))
        }
    }
}

/// The command after which only the owner has access.
fn remedy(path: &Path, about: &Metadata) -> String {
    let mode = if about.is_dir() { "700" } else { "600" };
    let path = path.display().to_string();
    let quoted = shlex::try_quote(&path).unwrap_or_else(|_| "PATH".into());
    format!("chmod {mode} {quoted}")
}

/// Refuses a file that anybody but its owner may read or change. A file that does not exist is
/// accepted.
///
/// # Errors
///
/// Others have access to it.
pub fn only_for_its_owner(path: &Path) -> Result<()> {
    let Some(about) = metadata(path)? else { return Ok(()) };
    if about.permissions().mode() & OTHERS == 0 {
        return Ok(());
    }
    let told = format!("others on this machine may read or change the key file {}", path.display());
    Err(Error::new(Class::Refused, told).hint(format!("run `{}`", remedy(path, &about))))
}

/// Refuses a folder or file of the platform that anybody may change, and warns about one that is
/// open to others.
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

/// Warns about a folder above the platform's keys in which anybody may replace what contains them.
pub fn look_above(path: &Path) {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Some(folder) = absolute.parent() else { return };
    // What does not exist yet will be created in what exists.
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
