//! What the files in `~/.meshagent` have in common: who may have written them, the error if one
//! cannot be read, and the fields of other versions that stay in them.

use std::fmt;
use std::path::Path;

use indexmap::IndexMap;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bounded;
use crate::error::{Error, Result};
use crate::own_folder;

/// The fields that another version of the program wrote into a file. Some of them may be secret, so
/// they cannot be printed.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Others(IndexMap<String, Value>);

impl fmt::Debug for Others {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Others")
    }
}

/// Reads a JSON file with credentials; `None` if it does not exist. `what` and `hint` are the error
/// if it holds anything else.
///
/// # Errors
///
/// A file that cannot be read, or that others may have written.
pub(super) fn read<T: DeserializeOwned>(path: &Path, what: &str, hint: &str) -> Result<Option<T>> {
    let failed = |error| Error::failed(format!("failed to read {}", path.display())).because(error);
    match own_folder::refuse_shared(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let text = match bounded::text(path, bounded::STANDARD) {
        Ok(text) => SecretString::from(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // The cause would quote what it stumbles over, which may be a credential.
    serde_json::from_str(text.expose_secret()).map(Some).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::usage(format!("{}:{line}:{column}: {what}", path.display())).hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::error::with_causes;

    fn told(text: &str, modes: [u32; 2]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("h");
        let path = home.join("f.json");
        std::fs::create_dir(&home).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&home, PermissionsExt::from_mode(modes[0])).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(modes[1])).unwrap();
        match read::<IndexMap<String, String>>(&path, "this is not a map", "fix it") {
            Ok(read) => format!("{read:?}"),
            Err(error) => with_causes(&error),
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_without_what_is_in_it() {
        for text in [
            "{\"a\": \"hunter2\", \"b\": [\"hunter2\"]}",
            "{\"a\": \"hunter2\"",
            "\"hunter2\"",
            "{\"a\": {\"hunter2\": 1}}",
            "hunter2",
        ] {
            let told = told(text, [0o700, 0o600]);
            assert!(told.contains("f.json:1:") && told.contains("this is not a map"), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_file_that_others_may_write_is_not_read() {
        let text = "{\"a\": \"b\"}";
        for modes in [[0o700, 0o600], [0o755, 0o644], [0o1777, 0o600]] {
            assert_eq!(told(text, modes), "Some({\"a\": \"b\"})", "{modes:?}");
        }
        for modes in [[0o700, 0o666], [0o700, 0o602], [0o777, 0o600], [0o707, 0o644]] {
            assert!(told(text, modes).contains("anybody may"), "{modes:?}");
        }
    }
}
