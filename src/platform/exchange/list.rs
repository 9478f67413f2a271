//! Lists as answers. A list may be larger than the memory, so anything larger than a small answer
//! waits in an unnamed file until it was sent.

use std::fmt::{Display, Write};
use std::pin::pin;

use axum::body::Body;
use futures_util::{Stream, TryStreamExt};
use serde_json::Value;

use super::memory::SMALL;
use super::spool::Spooled;
use crate::platform::App;
use crate::platform::error::{Refusal, Result};

/// A list as JSON text: all of it in memory, or what did not fit there in a file.
#[derive(Debug)]
pub struct Listing {
    part: String,
    is_empty: bool,
    spooled: Option<Spooled>,
}

impl Listing {
    /// The list `{name: []}`.
    pub fn new(name: &str) -> Self {
        Self { part: format!("{{\"{name}\":["), is_empty: true, spooled: None }
    }

    /// The list of what a query finds, row by row.
    ///
    /// # Errors
    ///
    /// The store's; there is no room on disk.
    pub async fn of<R, T: Display>(
        app: &App,
        name: &str,
        rows: impl Stream<Item = std::result::Result<R, sqlx::Error>>,
        item: impl Fn(&R) -> Result<T>,
    ) -> Result<Self> {
        let mut list = Self::new(name);
        let mut rows = pin!(rows);
        while let Some(row) = rows.try_next().await? {
            list.push(app, item(&row)?).await?;
        }
        list.end(app).await?;
        Ok(list)
    }

    /// Adds an item, which is JSON.
    ///
    /// # Errors
    ///
    /// There is no room on disk.
    pub async fn push(&mut self, app: &App, item: impl Display) -> Result<()> {
        let comma = if std::mem::take(&mut self.is_empty) { "" } else { "," };
        write!(self.part, "{comma}{item}").map_err(Refusal::internal)?;
        if self.part.len() > SMALL { self.spool(app).await } else { Ok(()) }
    }

    /// Ends the list.
    ///
    /// # Errors
    ///
    /// There is no room on disk.
    pub async fn end(&mut self, app: &App) -> Result<()> {
        self.end_with(app, &[]).await
    }

    /// Ends the list, with fields beside it.
    ///
    /// # Errors
    ///
    /// There is no room on disk.
    pub async fn end_with(&mut self, app: &App, beside: &[(&str, Value)]) -> Result<()> {
        self.part.push(']');
        for (name, value) in beside {
            write!(self.part, ",\"{name}\":{value}").map_err(Refusal::internal)?;
        }
        self.part.push('}');
        if self.spooled.is_none() {
            return Ok(());
        }
        self.spool(app).await?;
        match &mut self.spooled {
            Some(spooled) => spooled.end().await,
            None => Ok(()),
        }
    }

    async fn spool(&mut self, app: &App) -> Result<()> {
        let spooled = match &mut self.spooled {
            Some(spooled) => spooled,
            None => self.spooled.insert(Spooled::new(app).await?),
        };
        // One large item must not keep its memory allocated.
        let part = std::mem::take(&mut self.part);
        spooled.add(app, part.as_bytes()).await
    }

    /// What is sent, and how long it is.
    pub fn into_body(self) -> (Body, u64) {
        match self.spooled {
            Some(spooled) => spooled.into_body(),
            None => {
                let length = self.part.len() as u64;
                (Body::from(self.part), length)
            }
        }
    }
}
