//! Statements that change no existing rows, which is all that a [`Write`] runs. Updates and
//! deletes need a [`Change`], which comes from the check of a condition.
//!
//! [`Change`]: super::Change

use sqlx::query::{Query, QueryAs};
use sqlx::sqlite::{SqliteArguments, SqlitePool, SqliteRow};
use sqlx::{Encode, FromRow, SqlSafeStr, Sqlite, SqliteConnection, Type};

use super::Write;
use crate::platform::error::{Refusal, Result};

/// Where rows are read: from everything that was acknowledged, or in a write, which also sees what
/// it has written.
pub trait Reads: Send {
    /// The first row that a query finds.
    ///
    /// # Errors
    ///
    /// The store failed.
    fn find<O: OfRow>(
        self,
        question: Select<'_, O>,
    ) -> impl Future<Output = Result<Option<O>>> + Send;
}

/// A type that a row is read into.
pub trait OfRow: for<'r> FromRow<'r, SqliteRow> + Send + Unpin {}

impl<T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin> OfRow for T {}

/// Reads a type from the columns that have the names of its fields. A field with another column
/// names it (`kind = "type"`); those after the semicolon are types that are read from the same
/// row.
macro_rules! of_row {
    ($name:ident { $($field:ident $(= $column:literal)?),* $(; $($part:ident),*)? }) => {
        impl<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> for $name {
            fn from_row(row: &'r sqlx::sqlite::SqliteRow) -> sqlx::Result<Self> {
                use sqlx::Row;
                Ok(Self {
                    $($field: row.try_get(of_row!(@column $field $($column)?))?,)*
                    $($($part: sqlx::FromRow::from_row(row)?,)*)?
                })
            }
        }
    };
    (@column $field:ident) => { stringify!($field) };
    (@column $field:ident $column:literal) => { $column };
}
pub(crate) use of_row;

/// The rows that a write sees. Nothing can be written through it.
pub struct Rows<'a>(pub(super) &'a mut SqliteConnection);

impl Reads for &SqlitePool {
    async fn find<O: OfRow>(self, question: Select<'_, O>) -> Result<Option<O>> {
        Ok(question.query.fetch_optional(self).await?)
    }
}

impl Reads for Rows<'_> {
    async fn find<O: OfRow>(self, question: Select<'_, O>) -> Result<Option<O>> {
        if !question.only_reads {
            return Err(Refusal::internal("a read would have written"));
        }
        Ok(question.query.fetch_optional(self.0).await?)
    }
}

/// A query with its parameters.
pub struct Select<'q, O> {
    query: QueryAs<'q, Sqlite, O, SqliteArguments>,
    only_reads: bool,
}

/// Queries rows. Within a write, only statements that begin with `SELECT` are run.
pub fn select<'q, O: OfRow>(sql: impl SqlSafeStr) -> Select<'q, O> {
    let sql = sql.into_sql_str();
    let only_reads = sql.as_str().starts_with("SELECT ");
    Select { query: sqlx::query_as(sql), only_reads }
}

impl<'q, O: OfRow> Select<'q, O> {
    /// Binds the next parameter.
    #[must_use]
    pub fn bind<T: 'q + Encode<'q, Sqlite> + Type<Sqlite>>(self, value: T) -> Self {
        Self { query: self.query.bind(value), ..self }
    }

    /// The first row that is found.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn find(self, reads: impl Reads) -> Result<Option<O>> {
        reads.find(self).await
    }
}

/// A row to be added, with its parameters.
pub struct Insert<'q> {
    query: Query<'q, Sqlite, SqliteArguments>,
    only_adds: bool,
}

/// Adds a row. Only statements that begin with `INSERT INTO` and replace nothing are run.
pub fn insert<'q>(sql: impl SqlSafeStr) -> Insert<'q> {
    insert_with(sql, SqliteArguments::default())
}

/// The same with all parameters at once.
pub fn insert_with<'q>(sql: impl SqlSafeStr, arguments: SqliteArguments) -> Insert<'q> {
    let sql = sql.into_sql_str();
    let text = sql.as_str();
    let only_adds = text.starts_with("INSERT INTO ") && !text.contains("ON CONFLICT");
    Insert { query: sqlx::query_with(sql, arguments), only_adds }
}

impl<'q> Insert<'q> {
    /// Binds the next parameter.
    #[must_use]
    pub fn bind<T: 'q + Encode<'q, Sqlite> + Type<Sqlite>>(self, value: T) -> Self {
        Self { query: self.query.bind(value), ..self }
    }

    fn checked(self) -> Result<Query<'q, Sqlite, SqliteArguments>> {
        if self.only_adds {
            return Ok(self.query);
        }
        Err(Refusal::internal("an insert would have changed existing rows"))
    }

    /// Adds the row and returns what the statement returns; if something in it is taken, `taken`
    /// says what.
    ///
    /// # Errors
    ///
    /// 409 with that text; the store failed.
    pub async fn row(self, write: &mut Write, taken: impl FnOnce() -> String) -> Result<SqliteRow> {
        let row = self.checked()?.fetch_one(write.on()).await;
        row.map_err(|error| Refusal::taken(error, taken))
    }

    /// Adds the row; if something in it is taken, `taken` says what.
    ///
    /// # Errors
    ///
    /// 409 with that text; the store failed.
    pub async fn run(self, write: &mut Write, taken: impl FnOnce() -> String) -> Result<()> {
        let done = self.checked()?.execute(write.on()).await;
        done.map(drop).map_err(|error| Refusal::taken(error, taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::store::Store;

    #[tokio::test]
    async fn a_write_reads_and_adds_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data").as_path().into()).await.unwrap();
        let mut write = store.write().await.unwrap();
        let add = |sql: &'static str| insert(sql).bind("ada").bind("a@x").bind(1);
        let never = || unreachable!("nothing is taken");
        let one = "INSERT INTO users (id, email, rev) VALUES ($1, $2, $3)";
        add(one).run(&mut write, never).await.unwrap();
        for replacing in [
            "INSERT INTO users (id, email, rev) VALUES ($1, $2, $3) \
             ON CONFLICT (id) DO UPDATE SET email = 'b@x'",
            "INSERT OR REPLACE INTO users (id, email, rev) VALUES ($1, $2, $3)",
            "REPLACE INTO users (id, email, rev) VALUES ($1, $2, $3)",
            "UPDATE users SET email = 'b@x'",
            "DELETE FROM users",
        ] {
            let refused = add(replacing).run(&mut write, never).await;
            assert!(matches!(refused, Err(Refusal::Internal(_))), "{replacing}");
        }
        for changing in [
            "UPDATE users SET email = 'b@x' RETURNING email",
            "DELETE FROM users RETURNING email",
            "WITH one AS (SELECT 1) DELETE FROM users RETURNING email",
        ] {
            let refused = select::<(String,)>(changing).find(write.reads()).await;
            assert!(matches!(refused, Err(Refusal::Internal(_))), "{changing}");
        }
        let taken = add(one).run(&mut write, || "there is one".to_owned()).await;
        assert!(matches!(taken, Err(Refusal::Conflict(message)) if message == "there is one"));
        let email = select("SELECT email FROM users WHERE id = $1").bind("ada");
        let (email,): (String,) = email.find(write.reads()).await.unwrap().unwrap();
        assert_eq!(email, "a@x");
        // Among what was acknowledged it is not, until then.
        let nobody: Option<(String,)> =
            select("SELECT email FROM users").find(store.reads()).await.unwrap();
        assert_eq!(nobody, None);
        write.commit().await.unwrap();
        let found: Option<(String,)> =
            select("SELECT email FROM users").find(store.reads()).await.unwrap();
        assert_eq!(found, Some((email,)));
        store.close().await;
    }
}
