//! Checks a database before it is opened, and changes nothing on disk.
//!
//! SQLite repairs files as it opens them: it removes a log beside an empty file, folds a log into
//! its database, and writes a first page into an empty file. All of that is right for a platform
//! that starts, but if the start is refused it may destroy what somebody still needs. So
//! everything that refuses a start checks here first.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::migrations::MIGRATIONS;
use super::vault::Vault;
use super::{modes, unopened, with_ending};
use crate::error::{Class, Context, Error, Result};

/// SQLite's codes for a file that is not a database, and for one that is damaged.
const BROKEN: [&str; 2] = ["26", "11"];

/// Whether an error says that a file is not a database, or a damaged one.
pub fn is_broken(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|it| it.code());
    code.is_some_and(|code| BROKEN.contains(&code.as_ref()))
}

fn size(path: &Path) -> Result<Option<u64>> {
    Ok(modes::metadata(path)?.map(|about| about.len()))
}

/// Refuses a database that this program and this key file cannot open.
///
/// # Errors
///
/// The database is missing or empty while its key or its log exists; it belongs to another
/// program, or to a newer release; the key file is missing, open to others, or not this
/// database's.
pub async fn judge(path: &Path, vault: &Vault) -> Result<()> {
    let folder = path.parent().unwrap_or(path).display();
    let log = with_ending(path, "-wal");
    let has_log = size(&log)?.is_some_and(|size| size > 0);
    let nothing = match size(path)? {
        None => format!("there is no database in {folder}"),
        Some(0) => format!("the database {} is empty", path.display()),
        Some(_) => return judge_content(path, vault, has_log).await,
    };
    if has_log {
        // The last writes are only in the log, and a new database would replace it.
        let told = format!("{nothing}, but its log {} exists", log.display());
        return Err(Error::new(Class::Refused, told).hint(format!(
            "restore the database from a copy and leave the log beside it, or move {} away to start over without the old data",
            log.display()
        )));
    }
    vault.expect_none(&nothing)
}

async fn judge_content(path: &Path, vault: &Vault, has_log: bool) -> Result<()> {
    let tables = match file_alone(path).connect().await {
        Ok(mut connection) => {
            let tables = tables(&mut connection).await;
            close(connection).await;
            tables
        }
        Err(error) => Err(error),
    };
    // An interrupted checkpoint leaves a file that is complete only with its log.
    if let Err(error) = tables
        && is_broken(&error)
        && !(has_log && is_cut(&error))
    {
        return Err(unopened(path, error));
    }
    // With a log, a read-only connection builds SQLite's index of it, and folds nothing.
    let reading = match has_log {
        true => file_alone(path).immutable(false),
        false => file_alone(path),
    };
    let index = with_ending(path, "-shm");
    let has_index = index.exists();
    // What cannot be checked here is reported when the database is opened.
    let Ok(mut connection) = reading.connect().await else { return Ok(()) };
    let judged = judge_tables(path, vault, &mut connection).await;
    close(connection).await;
    if judged.is_err() && has_log && !has_index {
        // Without an index nobody had it open, and nobody opens it during this check.
        let _ = std::fs::remove_file(index);
    }
    judged
}

/// Options to read a database's file without its log; SQLite then neither locks nor creates
/// anything.
pub fn file_alone(path: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new().filename(path).immutable(true).read_only(true);
    options.disable_statement_logging()
}

/// Whether it is damaged; a file that is not a database at all is not.
fn is_cut(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|it| it.code()).is_some_and(|code| code == BROKEN[1])
}

async fn close(connection: SqliteConnection) {
    // It wrote nothing, so nothing is lost if this fails.
    let _ = connection.close().await;
}

async fn tables(on: &mut SqliteConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'").fetch_all(on).await
}

async fn judge_tables(path: &Path, vault: &Vault, on: &mut SqliteConnection) -> Result<()> {
    let shown = path.display();
    let tables = match tables(on).await {
        Ok(tables) => tables,
        Err(error) if is_broken(&error) => return Err(unopened(path, error)),
        Err(_) => return Ok(()),
    };
    let has = |name: &str| tables.iter().any(|table| table == name);
    if tables.is_empty() {
        return vault.expect_none(&format!("the database {shown} is empty"));
    }
    let elsewhere = "use another folder: --embedded=DIR, and --data DIR of `meshagent server`";
    let foreign = || {
        Error::new(Class::Refused, format!("{shown} is the database of another program"))
            .hint(elsewhere)
    };
    if !has("_sqlx_migrations") {
        return Err(foreign());
    }
    let failed = || format!("failed to read {shown}");
    let done: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations ORDER BY version")
            .fetch_all(&mut *on)
            .await
            .context(failed)?;
    let newest = MIGRATIONS.iter().map(|one| one.version).max().unwrap_or_default();
    for (version, checksum) in &done {
        match MIGRATIONS.iter().find(|one| one.version == *version) {
            Some(one) if one.checksum.as_ref() == checksum.as_slice() => {}
            None if *version > newest && has("vault") => {
                let told = format!("{shown} was changed by a newer release of this program");
                return Err(Error::new(Class::Refused, told)
                    .hint(format!("run that release, or {elsewhere}")));
            }
            _ => return Err(foreign()),
        }
    }
    if has("vault") {
        return vault.fits(on).await;
    }
    Ok(())
}
