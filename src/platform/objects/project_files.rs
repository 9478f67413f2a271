//! The files of a project, copied into a folder.

use std::io;
use std::path::Path;

use sqlx::SqlitePool;

use crate::own_folder;
use crate::platform::error::Refusal;

/// How much is copied, in MiB.
const MOST: i64 = 256;

/// Why files were not copied.
#[derive(Debug)]
pub enum NotCopied {
    /// They have more than so many MiB.
    TooLarge(i64),
    /// The system failed.
    System(io::Error),
    /// The store failed.
    Store(Refusal),
}

impl<E: Into<Refusal>> From<E> for NotCopied {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

/// Copies the files of a project into a folder that is made, except those in which sets keep what
/// they own.
///
/// # Errors
///
/// There is too much; the system or the store failed. What was copied by then stays.
pub async fn copy(reads: &SqlitePool, project: &str, folder: &Path) -> Result<(), NotCopied> {
    let files: Vec<(String, i64)> =
        sqlx::query_as("SELECT path, length(content) FROM files WHERE project_id = $1")
            .bind(project)
            .fetch_all(reads)
            .await?;
    let is_meant = |path: &str| path.split('/').next() != Some(own_folder::NAME);
    let size: i64 = files.iter().filter(|(path, _)| is_meant(path)).map(|(_, size)| size).sum();
    if size > MOST * 1024 * 1024 {
        return Err(NotCopied::TooLarge(MOST));
    }
    tokio::fs::create_dir_all(folder).await.map_err(NotCopied::System)?;
    for (path, _) in files.iter().filter(|(path, _)| is_meant(path)) {
        let content: Option<(Vec<u8>,)> =
            sqlx::query_as("SELECT content FROM files WHERE project_id = $1 AND path = $2")
                .bind(project)
                .bind(path)
                .fetch_optional(reads)
                .await?;
        // It was deleted meanwhile.
        let Some((content,)) = content else { continue };
        let place = folder.join(path);
        if let Some(parent) = place.parent() {
            tokio::fs::create_dir_all(parent).await.map_err(NotCopied::System)?;
        }
        tokio::fs::write(&place, content).await.map_err(NotCopied::System)?;
    }
    Ok(())
}
