//! The client that planning uses: it only reads, and follows the pages of lists.

use std::collections::HashSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::client::{Answer, Client};
use super::failure::{ApiError, Failure, unusable};
use super::other_api;
use super::request::{Below, Listing, Marked, Paging, Request};
use super::spoken::Spoken;
use crate::error::{Class, Error};

/// How often a list is read from its start because it changed while it was read.
const LIST_TRIES: u32 = 4;

/// The most objects of one list that are read.
const MAX_ITEMS: usize = 1_000_000;

/// The most bytes of one list that are read, in all of its pages.
const MAX_BYTES: usize = 128 * 1024 * 1024;

/// The most pages without an object that are read one after the other. A page may be empty where
/// its objects are not for the caller.
const MAX_EMPTY: usize = 1_000;

/// How many objects are asked for at once where each is asked for by itself.
const NAMED_AT_ONCE: usize = 8;

/// How many times as long as one request a list may take, with all its pages and retries.
const MAX_TIME: u32 = 10;

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
    /// The list changed each time while it was read, so no reading of it is complete.
    #[error("GET {path} returned a list that changed between its pages, {tries} times in a row")]
    Changed {
        /// The path of the list.
        path: String,
        /// How often it was read from its start.
        tries: u32,
    },
    /// The platform speaks another API: the list is not complete, or its objects have another form.
    #[error("GET {path} {sign}: this platform does not speak the API of {spoken}")]
    OtherApi {
        /// The path of the list.
        path: String,
        /// What shows it.
        sign: String,
        /// The API in which it was asked.
        spoken: Spoken,
    },
}

/// A list that was read to its end.
#[derive(Debug)]
pub struct List {
    /// Its objects.
    pub items: Vec<Value>,
    /// Whether something proves that these are all: a page after the last one that had nothing
    /// new, the platform's count, or its statement that nothing follows. A list that comes in one
    /// answer without a count could be cut off, and would look the same.
    pub is_proven: bool,
}

/// The result of reading the pages of a list.
enum Pages {
    /// All objects, and whether something proves that.
    Whole(Vec<Value>, bool),
    /// The pages do not fit together.
    Changed,
    /// There are fewer objects than the platform counts.
    Short { shown: usize, total: usize },
}

impl From<ListError> for Error {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Failed(error) => error.into(),
            ListError::Changed { .. } => Self::failed(error.to_string())
                .hint("somebody is changing these objects now: try again when they are done"),
            ListError::OtherApi { .. } => {
                Self::new(Class::Refused, error.to_string()).hint(other_api::HINT)
            }
        }
    }
}

impl Reader {
    /// The platform's base URL.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.base()
    }

    /// The spelling of the API that the platform speaks.
    #[must_use]
    pub const fn spoken(&self) -> Spoken {
        self.0.spoken()
    }

    /// The other API, where the platform speaks both.
    #[must_use]
    pub const fn also(&self) -> Option<Spoken> {
        self.0.also()
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
    /// Each page is requested so that it begins with the last object of the page before. If it
    /// begins with another one, the list changed meanwhile, and objects may be missing; the list
    /// is then read again from its start. It ends with a page that has nothing new, not with a
    /// short one, because a platform may return fewer objects than were requested.
    ///
    /// # Errors
    ///
    /// A page that cannot be read; a list that changes each time while it is read; a
    /// platform that is newer.
    pub async fn list(&self, listing: &Listing) -> std::result::Result<Vec<Value>, ListError> {
        Ok(self.list_with_proof(listing).await?.items)
    }

    /// As [`Reader::list`], with whether something proves that the list is complete.
    ///
    /// # Errors
    ///
    /// As [`Reader::list`].
    pub async fn list_with_proof(&self, listing: &Listing) -> std::result::Result<List, ListError> {
        match &listing.below {
            Some(below) => self.list_below(listing, below).await,
            None => self.list_itself(listing).await,
        }
    }

    /// The list below the object that the request of a listing answers with.
    async fn list_below(
        &self,
        listing: &Listing,
        below: &Below,
    ) -> std::result::Result<List, ListError> {
        let object = match &below.known {
            Some(object) => object.clone(),
            None => self.get_json(&listing.request).await?,
        };
        // What belongs to another object is not what was asked for.
        let asked = listing.request.path.rsplit('/').next().unwrap_or_default();
        let asked = percent_encoding::percent_decode_str(asked).decode_utf8_lossy();
        if !is_called(&object, &asked) {
            let what = "was answered with an object of another name";
            return Err(unusable(&listing.request, what.to_owned()).into());
        }
        let found = |request: Option<Request>| {
            let told = || unusable(&listing.request, "was answered without an id".to_owned());
            request.ok_or_else(told)
        };
        let request = found((below.list)(&below.project, &object))?;
        let mut list = self.list_itself(&Listing { request, below: None, ..*listing }).await?;
        if let Some(Marked { list: marked, envelope, told_in }) = below.marked {
            let request = found(marked(&below.project, &object))?;
            let marked = Listing { request, envelope, paging: Paging::Whole, below: None };
            let marked = self.list_itself(&marked).await?.items;
            let ids: HashSet<&str> = marked.iter().filter_map(id).collect();
            for item in &mut list.items {
                item[told_in] = id(item).is_some_and(|id| ids.contains(id)).into();
            }
        }
        list.items.iter_mut().for_each(|item| item[below.told_in] = object.clone());
        Ok(list)
    }

    async fn list_itself(&self, listing: &Listing) -> std::result::Result<List, ListError> {
        let (request, envelope) = (&listing.request, listing.envelope);
        if let Paging::Named(names) = listing.paging {
            return Ok(List { items: self.named(listing, names).await?, is_proven: true });
        }
        // What comes whole may still name a next page in 0.56.
        let is_whole = listing.paging == Paging::Whole && self.spoken() == Spoken::V0_31;
        if is_whole {
            let (items, answer) = self.one_answer(request, envelope).await?;
            let is_proven =
                other_api::total(&answer).is_some() || other_api::says_it_is_the_last(&answer);
            return Ok(List { items, is_proven });
        }
        let mut last = Pages::Changed;
        let lasts = self.0.timeout() * MAX_TIME;
        let ends = Instant::now() + lasts;
        for _ in 0..LIST_TRIES {
            let pages = async {
                match listing.paging {
                    Paging::Offset(page) => self.pages(listing, page).await,
                    Paging::Token(page) => self.walk(listing, Some(page)).await,
                    Paging::Whole | Paging::Named(_) => self.walk(listing, None).await,
                }
            };
            last = timeout_at(ends, pages).await.map_err(|_| {
                let what = format!("did not reach its last page within {lasts:?}");
                endless(request, what)
            })??;
            if let Pages::Whole(items, is_proven) = last {
                return Ok(List { items, is_proven });
            }
            tracing::debug!(path = request.path, "the list changed while it was read");
        }
        Err(match last {
            Pages::Short { shown, total } => {
                self.other_api(request, other_api::short(envelope, shown, total))
            }
            _ => ListError::Changed { path: request.path.clone(), tries: LIST_TRIES },
        })
    }

    /// The objects that are there, of those with these names.
    async fn named(
        &self,
        listing: &Listing,
        names: &[&str],
    ) -> std::result::Result<Vec<Value>, ListError> {
        let request = |name: &&str| ((*name).to_owned(), listing.request.clone().below(name));
        let requests: Vec<(String, Request)> = names.iter().map(request).collect();
        let objects = stream::iter(requests)
            .map(|(name, request)| async move {
                match self.get_json(&request).await {
                    Ok(object @ Value::Object(_)) => {
                        Ok(Some(json!({ "name": name, listing.envelope: object })))
                    }
                    Ok(_) => {
                        let what = "was answered with something that is no object";
                        Err(ListError::from(unusable(&request, what.to_owned())))
                    }
                    Err(error) if error.status == Some(404) => Ok(None),
                    Err(error) => Err(error.into()),
                }
            })
            .buffered(NAMED_AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(objects.into_iter().flatten().collect())
    }

    /// All pages of a list.
    async fn pages(&self, listing: &Listing, page: usize) -> std::result::Result<Pages, ListError> {
        let mut all: Vec<Value> = Vec::new();
        let mut ids: HashSet<String> = HashSet::new();
        let (mut largest, mut bytes) = (0, 0);
        loop {
            // Where no page held more than one object, none has room for a known one.
            let overlap = usize::from(largest > 1);
            let offset = all.len() - overlap;
            // A page holds the one that is known and at least one more.
            let limit = page.max(2).to_string();
            let request = listing.request.clone();
            let request = request.query("limit", limit).query("offset", offset.to_string());
            let (items, answer) = self.page(&request, listing.envelope, &mut bytes).await?;
            largest = largest.max(items.len());
            let mut items = items.into_iter();
            if overlap > 0
                && let Some(last) = all.last()
                && !items.next().is_some_and(|first| is_same(last, &first))
            {
                return Ok(Pages::Changed);
            }
            let known = all.len();
            if known > MAX_ITEMS {
                let what = format!("was answered with more than {MAX_ITEMS} objects");
                return Err(endless(&request, what).into());
            }
            for item in items {
                // An object that moved to a later page is met twice.
                if let Some(id) = id(&item)
                    && !ids.insert(id.to_owned())
                {
                    return Ok(Pages::Changed);
                }
                all.push(item);
            }
            if all.len() == known {
                return Ok(match other_api::total(&answer) {
                    Some(total) if total > known => Pages::Short { shown: known, total },
                    _ => Pages::Whole(all, true),
                });
            }
        }
    }

    /// All pages of a list in which each page names the next one. It ends where none is named,
    /// however many objects a page has.
    async fn walk(
        &self,
        listing: &Listing,
        page: Option<usize>,
    ) -> std::result::Result<Pages, ListError> {
        let mut all: Vec<Value> = Vec::new();
        let (mut known, mut tokens) = (HashSet::new(), HashSet::new());
        let (mut empty, mut bytes) = (0, 0);
        let mut next: Option<String> = None;
        loop {
            let mut request = listing.request.clone();
            if let Some(page) = page {
                request = request.query("page_size", page.to_string());
            }
            if let Some(token) = &next {
                request = request.query(other_api::TOKEN, token);
            }
            let (items, answer) = self.page(&request, listing.envelope, &mut bytes).await?;
            if all.len().saturating_add(items.len()) > MAX_ITEMS {
                let what = format!("was answered with more than {MAX_ITEMS} objects");
                return Err(endless(&request, what).into());
            }
            empty = if items.is_empty() { empty + 1 } else { 0 };
            if empty > MAX_EMPTY {
                let what = format!("was answered with more than {MAX_EMPTY} empty pages in a row");
                return Err(endless(&request, what).into());
            }
            for item in items {
                // An object that is met twice moved, and another may not have been met.
                if !known.insert(identity(&item)) {
                    return Ok(Pages::Changed);
                }
                all.push(item);
            }
            let Some(token) = other_api::token(&answer) else {
                let total = other_api::total(&answer);
                if let Some(total) = total.filter(|total| *total > all.len()) {
                    return Ok(Pages::Short { shown: all.len(), total });
                }
                let is_proven =
                    total.is_some() || next.is_some() || other_api::says_it_is_the_last(&answer);
                return Ok(Pages::Whole(all, is_proven));
            };
            let Some(token) = token.as_str() else {
                let what = "was answered with a token that is no text";
                return Err(endless(&request, what.to_owned()).into());
            };
            if !tokens.insert(token.to_owned()) {
                let what = "was answered with the token of a page that was read already";
                return Err(endless(&request, what.to_owned()).into());
            }
            next = Some(token.to_owned());
        }
    }

    /// The objects of a list that comes in one answer, or of the page that the request names. Where
    /// lists are walked by tokens, nobody else than the last answer tells that it was the last one,
    /// and the page is cut out of all of them.
    ///
    /// # Errors
    ///
    /// As [`Reader::get_json`]; an answer without the list; a platform of another API.
    pub async fn items(
        &self,
        request: &Request,
        envelope: &'static str,
    ) -> std::result::Result<Vec<Value>, ListError> {
        if self.spoken() == Spoken::V0_31 {
            return Ok(self.one_answer(request, envelope).await?.0);
        }
        let listing =
            Listing { request: request.clone(), envelope, paging: Paging::Whole, below: None };
        let mut items = self.list(&listing).await?;
        if let Some(offset) = number(request, "offset") {
            items.drain(..offset.min(items.len()));
        }
        items.truncate(number(request, "limit").unwrap_or(usize::MAX));
        Ok(items)
    }

    /// One answer that contains all that was requested, with its objects taken out.
    async fn one_answer(
        &self,
        request: &Request,
        envelope: &str,
    ) -> std::result::Result<(Vec<Value>, Value), ListError> {
        let (items, answer) = self.page(request, envelope, &mut 0).await?;
        let shown = items.len();
        let before = number(request, "offset").unwrap_or_default();
        if let Some(total) = other_api::total(&answer)
            && before.saturating_add(shown) < total
            && number(request, "limit").is_none_or(|limit| shown < limit)
        {
            return Err(self.other_api(request, other_api::short(envelope, shown, total)));
        }
        Ok((items, answer))
    }

    /// The error for an answer of a platform that speaks another API.
    #[must_use]
    pub fn other_api(&self, request: &Request, sign: String) -> ListError {
        ListError::OtherApi { path: request.path.clone(), sign, spoken: self.spoken() }
    }

    /// One answer, with its objects taken out of it. Its bytes are added to those of the pages before.
    async fn page(
        &self,
        request: &Request,
        envelope: &str,
        bytes: &mut usize,
    ) -> std::result::Result<(Vec<Value>, Value), ListError> {
        refuse_write(request)?;
        let (mut body, size) = self.0.send_sized(request).await?;
        *bytes = bytes.saturating_add(size);
        if *bytes > MAX_BYTES {
            let most = MAX_BYTES / 1024 / 1024;
            return Err(endless(request, format!("was answered with more than {most} MiB")).into());
        }
        if let Some(sign) = other_api::sign(self.spoken(), &body, envelope) {
            return Err(self.other_api(request, sign));
        }
        match body.get_mut(envelope).map(Value::take) {
            Some(Value::Array(items)) => Ok((items, body)),
            _ => {
                Err(unusable(request, format!("was answered without the list `{envelope}`")).into())
            }
        }
    }
}

/// Whether an object that was asked for by its name has that name; case makes no difference.
#[must_use]
pub fn is_called(object: &Value, name: &str) -> bool {
    let called = object.get("name").and_then(Value::as_str);
    called.is_some_and(|called| called.to_lowercase() == name.to_lowercase())
}

/// A number in the query of a request.
#[must_use]
pub fn number(request: &Request, name: &str) -> Option<usize> {
    let (_, value) = request.query.iter().find(|(asked, _)| *asked == name)?;
    value.parse().ok()
}

/// What tells an object of a list from all others.
fn identity(item: &Value) -> String {
    let named = ["/id", "/address", "/domain", "/spec/domain", "/name"];
    let name = named.iter().find_map(|field| Some((field, item.pointer(field)?.as_str()?)));
    name.map_or_else(|| item.to_string(), |(field, name)| format!("{field} {name}"))
}

fn id(item: &Value) -> Option<&str> {
    item.get("id").and_then(Value::as_str)
}

/// Whether two results are the same object. Its fields may have changed in between.
fn is_same(one: &Value, other: &Value) -> bool {
    let name = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
    match (id(one), id(other)) {
        (None, None) if name(one).is_some() => name(one) == name(other),
        (None, None) => one == other,
        (one, other) => one == other,
    }
}

/// An answer with which a list would have no end.
fn endless(request: &Request, what: String) -> ApiError {
    let hint = "run the same command again; if that changes nothing, the platform cannot list \
                these objects";
    ApiError { hint: Some(hint.to_owned()), ..unusable(request, what) }
}

fn refuse_write(request: &Request) -> std::result::Result<(), ApiError> {
    match request.method.is_read() {
        true => Ok(()),
        false => Err(Failure::unsent("was not sent: it would write".to_owned()).error(request, 0)),
    }
}
