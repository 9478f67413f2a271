//! Which process has the rooms of a data folder: two processes that ran the same room would know
//! nothing of each other. The lock on a file says so, and the file says where that process is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use crate::platform::error::{Refusal, Result};

/// The file, in the data folder, beside the database and named after it.
const NAME: &str = "platform.sqlite-rooms";

/// The longest address that is read, in bytes.
const ADDRESS: u64 = 1024;

/// Somebody may just be looking who has the rooms, which takes an instant.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_millis(1);

/// The rooms of a folder, for as long as this is kept.
#[derive(Debug)]
pub struct Lease(#[expect(dead_code, reason = "the lock ends with the file")] File);

impl Lease {
    /// Takes the rooms of a folder for the process that is reached at a URL.
    ///
    /// # Errors
    ///
    /// Another process has them; the system's.
    pub async fn take(folder: &Path, url: &str) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let mut file = options.open(folder.join(NAME)).map_err(Refusal::internal)?;
        let mut tries = TRIES;
        while let Err(failed) = file.try_lock() {
            match failed {
                TryLockError::Error(error) => return Err(Refusal::internal(error)),
                TryLockError::WouldBlock if tries == 0 => return Err(Refusal::Elsewhere),
                TryLockError::WouldBlock => {}
            }
            tries -= 1;
            tokio::time::sleep(PAUSE).await;
        }
        let written = file.set_len(0).and_then(|()| file.write_all(url.as_bytes()));
        written.map_err(Refusal::internal)?;
        Ok(Self(file))
    }
}

/// The URL of the process that has the rooms of a folder now; none if no process has.
#[must_use]
pub fn holder(folder: &Path) -> Option<String> {
    let file = OpenOptions::new().read(true).open(folder.join(NAME)).ok()?;
    // A lock that is free is released again with the file.
    if file.try_lock_shared().is_ok() {
        return None;
    }
    let mut url = String::new();
    file.take(ADDRESS).read_to_string(&mut url).ok()?;
    // It may be about to write it.
    (url::Url::parse(&url).is_ok_and(|url| url.scheme() == "http")).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_process_has_the_rooms_and_says_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(holder(folder.path()), None);
        let lease = Lease::take(folder.path(), "http://127.0.0.1:8787").await.unwrap();
        assert_eq!(holder(folder.path()).as_deref(), Some("http://127.0.0.1:8787"));
        let other = Lease::take(folder.path(), "http://127.0.0.1:1").await;
        assert!(matches!(other, Err(Refusal::Elsewhere)));
        assert_eq!(holder(folder.path()).as_deref(), Some("http://127.0.0.1:8787"));
        drop(lease);
        assert_eq!(holder(folder.path()), None);
        Lease::take(folder.path(), "http://127.0.0.1:1").await.unwrap();
    }
}
