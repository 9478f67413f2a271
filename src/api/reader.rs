//! The client that planning has: it reads, and follows the pages of lists.

use std::collections::HashSet;

use serde_json::Value;

use super::client::{Answer, Client};
use super::failure::{ApiError, Failure, unusable};
use super::request::{Listing, Request};
use crate::error::Error;

/// How often a list is read from its start because it changed while it was read.
const LIST_TRIES: u32 = 4;

/// A client that cannot change anything: planning has no other.
#[derive(Debug, Clone)]
pub struct Reader(pub(super) Client);

/// Why a list could not be read to its end. Nothing may be concluded from such a list, in
/// particular not that an object is gone.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// A page could not be read.
    #[error(transparent)]
    Failed(#[from] ApiError),
    /// The list changed each time while it was read, so that no reading of it is whole.
    #[error("GET {path} gave another list on each of its pages, {tries} times over")]
    Changed {
        /// The path of the list.
        path: String,
        /// How often it was read from its start.
        tries: u32,
    },
}

impl From<ListError> for Error {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Failed(error) => error.into(),
            ListError::Changed { .. } => Self::failed(error.to_string())
                .hint("somebody is changing these objects now: try again when they are done"),
        }
    }
}

impl Reader {
    /// The platform's base URL.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.base()
    }

    /// Sends a request that reads.
    ///
    /// # Errors
    ///
    /// As [`Client::send`]; a request that would write is not sent.
    pub async fn get(&self, request: &Request) -> std::result::Result<Answer, ApiError> {
        refuse_write(request)?;
        self.0.send(request).await
    }

    /// Sends a request that reads, and reads the answer as JSON.
    ///
    /// # Errors
    ///
    /// As [`Reader::get`]; an answer that is not JSON.
    pub async fn get_json(&self, request: &Request) -> std::result::Result<Value, ApiError> {
        refuse_write(request)?;
        self.0.send_json(request).await
    }

    /// All objects of a list, page after page.
    ///
    /// Each next page is asked for with the last object of the page before as its first.
    /// Where it is another one, the list changed meanwhile, and what was read may lack
    /// objects; the list is then read again from its start. It ends with a page that
    /// brings nothing new, not with a short one, because a platform may give fewer objects
    /// at once than it was asked for.
    ///
    /// # Errors
    ///
    /// A page that cannot be read; a list that changes each time while it is read.
    pub async fn list(&self, listing: &Listing) -> std::result::Result<Vec<Value>, ListError> {
        let Some(page) = listing.page else {
            return Ok(self.items(&listing.request, listing.envelope).await?);
        };
        for _ in 0..LIST_TRIES {
            if let Some(all) = self.pages(listing, page).await? {
                return Ok(all);
            }
            tracing::debug!(path = listing.request.path, "the list changed while it was read");
        }
        Err(ListError::Changed { path: listing.request.path.clone(), tries: LIST_TRIES })
    }

    /// All pages of a list; `None` when they do not fit together.
    async fn pages(
        &self,
        listing: &Listing,
        page: usize,
    ) -> std::result::Result<Option<Vec<Value>>, ApiError> {
        let mut all: Vec<Value> = Vec::new();
        let mut ids: HashSet<String> = HashSet::new();
        let mut largest = 0;
        loop {
            // Where no page held more than one object, none has room for a known one.
            let overlap = usize::from(largest > 1);
            let offset = all.len() - overlap;
            // A page holds the one that is known and at least one more.
            let limit = page.max(2).to_string();
            let request = listing.request.clone();
            let request = request.query("limit", limit).query("offset", offset.to_string());
            let items = self.items(&request, listing.envelope).await?;
            largest = largest.max(items.len());
            let mut items = items.into_iter();
            if overlap > 0
                && let Some(last) = all.last()
                && !items.next().is_some_and(|first| is_same(last, &first))
            {
                return Ok(None);
            }
            let known = all.len();
            for item in items {
                // An object that moved to a later page is met twice.
                if let Some(id) = id(&item)
                    && !ids.insert(id.to_owned())
                {
                    return Ok(None);
                }
                all.push(item);
            }
            if all.len() == known {
                return Ok(Some(all));
            }
        }
    }

    /// The objects of one answer.
    ///
    /// # Errors
    ///
    /// As [`Reader::get_json`]; an answer without the list.
    pub async fn items(
        &self,
        request: &Request,
        envelope: &str,
    ) -> std::result::Result<Vec<Value>, ApiError> {
        let mut body = self.get_json(request).await?;
        match body.get_mut(envelope).map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(unusable(request, format!("was answered without the list `{envelope}`"))),
        }
    }
}

fn id(item: &Value) -> Option<&str> {
    item.get("id").and_then(Value::as_str)
}

/// Whether two readings are of the same object. Its fields may have changed in between.
fn is_same(one: &Value, other: &Value) -> bool {
    let name = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
    match (id(one), id(other)) {
        (None, None) if name(one).is_some() => name(one) == name(other),
        (None, None) => one == other,
        (one, other) => one == other,
    }
}

fn refuse_write(request: &Request) -> std::result::Result<(), ApiError> {
    match request.method.is_read() {
        true => Ok(()),
        false => Err(Failure::unsent("was not sent: it would write".to_owned()).error(request, 0)),
    }
}
