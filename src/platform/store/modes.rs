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

/// What anybody may do to it.
const ANYBODY_WRITES: u32 = 0o002;

/// What anybody but its owner may do to it.
const OTHERS: u32 = 0o077;

fn metadata(path: &Path) -> Result<Option<Metadata>> {
    match path.metadata() {
        Ok(about) => Ok(Some(about)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
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
            "{shown} is open to others on this machine; `{remedy}` ends that"
        ));
    }
    Ok(())
}
