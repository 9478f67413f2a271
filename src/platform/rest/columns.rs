//! What a request writes into a row, column by column, and the statements that do so.

use secrecy::{ExposeSecret, SecretString};
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe};

use crate::platform::error::{Refusal, Result};
use crate::platform::store::{Change, Column, Vault, Write, insert_with};

/// The columns that are written. Names come from the program, values from requests.
#[derive(Default)]
pub struct Columns(Vec<(&'static str, Cell)>);

enum Cell {
    Text(Option<String>),
    Flag(bool),
    /// A value that is encrypted for its place, which the key of its row names.
    Secret(Column, SecretString),
}

/// Which row is written: its table, its key with the key's column, its project.
pub struct At<'a> {
    /// The table.
    pub table: &'static str,
    /// The column of the key.
    pub column: &'static str,
    /// The key.
    pub key: &'a str,
    /// The project.
    pub project: &'a str,
}

impl Columns {
    /// Writes a text.
    #[must_use]
    pub fn text(self, name: &'static str, text: impl Into<Option<String>>) -> Self {
        self.with(name, Cell::Text(text.into()))
    }

    /// Writes a text if there is one; otherwise the column stays as it is.
    #[must_use]
    pub fn given(self, name: &'static str, text: Option<String>) -> Self {
        if text.is_some() { self.text(name, text) } else { self }
    }

    /// Writes a flag.
    #[must_use]
    pub fn flag(self, name: &'static str, flag: bool) -> Self {
        self.with(name, Cell::Flag(flag))
    }

    /// Writes a text encrypted.
    #[must_use]
    pub fn secret(self, name: &'static str, column: Column, text: SecretString) -> Self {
        self.with(name, Cell::Secret(column, text))
    }

    fn with(mut self, name: &'static str, cell: Cell) -> Self {
        self.0.push((name, cell));
        self
    }

    /// The text of a column.
    pub fn get(&self, name: &str) -> Option<&str> {
        match self.0.iter().find(|(column, _)| *column == name)? {
            (_, Cell::Text(text)) => text.as_deref(),
            _ => None,
        }
    }

    /// What a flag is set to, if it is.
    pub fn flagged(&self, name: &str) -> Option<bool> {
        match self.0.iter().find(|(column, _)| *column == name)? {
            (_, Cell::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// The parameters of a statement: the key, the project, the revision, the columns.
    async fn arguments(
        &self,
        vault: &Vault,
        write: &mut Write,
        (at, revision): (&At<'_>, i64),
    ) -> Result<SqliteArguments> {
        let mut arguments = SqliteArguments::default();
        let add = |added: Result<(), BoxDynError>| added.map_err(Refusal::internal);
        add(arguments.add(at.key))?;
        add(arguments.add(at.project))?;
        add(arguments.add(revision))?;
        for (_, cell) in &self.0 {
            match cell {
                Cell::Text(text) => add(arguments.add(text))?,
                Cell::Flag(flag) => add(arguments.add(flag))?,
                Cell::Secret(column, text) => {
                    let plain = text.expose_secret();
                    add(arguments.add(vault.seal(write, (*column, at.key), plain).await?))?;
                }
            }
        }
        Ok(arguments)
    }

    /// One piece of SQL for each column, from its name and the number of its parameter.
    fn each(&self, part: impl Fn(&str, usize) -> String) -> String {
        self.0.iter().zip(4..).map(|((name, _), number)| part(name, number)).collect()
    }

    /// Adds the row, and returns it as it is stored, with its revision.
    ///
    /// # Errors
    ///
    /// 409 if something in it is taken; the store failed.
    pub async fn insert(
        &self,
        vault: &Vault,
        write: &mut Write,
        (at, taken): (At<'_>, &str),
    ) -> Result<(SqliteRow, i64)> {
        let revision = write.revision().await?;
        let arguments = self.arguments(vault, write, (&at, revision)).await?;
        let sql = format!(
            "INSERT INTO {} ({}, project_id, seq, rev{}) VALUES ($1, $2, $3, $3{}) RETURNING *",
            at.table,
            at.column,
            self.each(|name, _| format!(", {name}")),
            self.each(|_, number| format!(", ${number}")),
        );
        let row =
            insert_with(AssertSqlSafe(sql), arguments).row(write, || taken.to_owned()).await?;
        Ok((row, revision))
    }

    /// Changes the row, and returns it as it is stored, with its revision.
    ///
    /// # Errors
    ///
    /// 409 if something in it is taken; the store failed.
    pub async fn update(
        &self,
        vault: &Vault,
        change: &mut Change,
        (at, taken): (At<'_>, &str),
    ) -> Result<(SqliteRow, i64)> {
        let revision = change.revision().await?;
        let arguments = self.arguments(vault, change, (&at, revision)).await?;
        let sql = format!(
            "UPDATE {} SET rev = $3{} WHERE {} = $1 AND project_id = $2 RETURNING *",
            at.table,
            self.each(|name, number| format!(", {name} = ${number}")),
            at.column,
        );
        let row = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_one(change.on()).await;
        let row = row.map_err(|error| Refusal::taken(error, || taken.to_owned()))?;
        Ok((row, revision))
    }
}
