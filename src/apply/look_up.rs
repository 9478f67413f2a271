//! Reads one object again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::OnceCell;

use super::execute::locked;
use super::intake::names_of;
use super::observe::{observed, unreadable};
use crate::api::failure::ApiError;
use crate::api::other_api;
use crate::api::reader::{ListError, Reader};
use crate::api::request::Listing;
use crate::dialect::{Lookup, Speaks, Spelling, Target};
use crate::error::{Error, Result};
use crate::kinds::{Key, KindName};
use crate::plan::Observed;
use crate::plan::references::{NamesById, name_ids};

/// Reads one object again, by its id where it has one, else by its key; `None` when it does
/// not exist. References by id are turned back into names with `names`.
///
/// # Errors
///
/// The platform's; an answer that is not what it should be.
pub(super) async fn look_up(
    reader: &Reader,
    key: &Key,
    target: &Target<'_>,
    names: &NamesById,
    lists: Option<&Lists>,
) -> Result<Option<Observed>> {
    Ok(find_in(reader, key, target, names, lists).await?.map(|(_, observed)| observed))
}

/// Lists that are read once each, by what they are of.
#[derive(Default)]
pub(super) struct Lists(Mutex<BTreeMap<Of, Arc<OnceCell<Items>>>>);

/// What a list is of: its kind, the project's id, and the place.
type Of = (KindName, String, Option<String>);

/// What is in a list.
type Items = Arc<Vec<Value>>;

impl Lists {
    async fn read(
        &self,
        reader: &Reader,
        (kind, target): (KindName, &Target<'_>),
        listing: &Listing,
    ) -> std::result::Result<Items, ListError> {
        let of = (kind, target.project.to_owned(), target.room.map(str::to_owned));
        let cell = Arc::clone(locked(&self.0).entry(of).or_default());
        let read = || async { reader.list(listing).await.map(Arc::new) };
        cell.get_or_try_init(read).await.cloned()
    }
}

/// Reads one object again, and the name that it has.
///
/// # Errors
///
/// The platform's; an answer that is not what it should be.
pub async fn find(
    reader: &Reader,
    key: &Key,
    target: &Target<'_>,
    names: &NamesById,
) -> Result<Option<(String, Observed)>> {
    find_in(reader, key, target, names, None).await
}

async fn find_in(
    reader: &Reader,
    key: &Key,
    target: &Target<'_>,
    names: &NamesById,
    lists: Option<&Lists>,
) -> Result<Option<(String, Observed)>> {
    let spelling = reader.spelling(key.kind);
    let mut item = item(reader, key, target, lists).await.map_err(Unread::into_error)?;
    // Under its name there may be nothing by now, or another object.
    if let Some(id) = target.id.filter(|_| goes_by_name(spelling, target)) {
        let is_it =
            |item: &Value| spelling.seen(item).is_ok_and(|seen| seen.id.as_deref() == Some(id));
        if !item.as_ref().is_some_and(|(item, _)| is_it(item)) {
            item = match spelling.list(target.project, target.room) {
                Some(listing) => reader.list(&listing).await?.into_iter().find(is_it),
                None => None,
            }
            .map(|item| (item, None));
        }
    }
    let Some((item, revision)) = item else { return Ok(None) };
    let seen = spelling.seen(&item).map_err(|what| unreadable(key.kind, &what))?;
    let name = seen.name.clone();
    let mut observed = observed(spelling, seen, &item, revision);
    observed.called = Some(name.clone());
    name_ids(key, Arc::make_mut(&mut observed.fields), names);
    Ok(Some((name, observed)))
}

/// Whether an object of a list has the name that is looked for.
fn is_called(
    spelling: &dyn Spelling,
    (kind, name): (KindName, &str),
    item: &Value,
    target: &Target<'_>,
) -> bool {
    let named = kind.kind().named_in(target.name).zip(target.named_id);
    let known = named.map(|((kind, who), id)| ((kind, id.to_owned()), who.to_owned()));
    let known: NamesById = known.into_iter().collect();
    let names = names_of(spelling, (kind, name), item, &known);
    names.iter().any(|name| name == target.name)
}

/// Whether an object that has an id is looked up by its name all the same.
fn goes_by_name(spelling: &dyn Spelling, target: &Target<'_>) -> bool {
    let request = |target: &Target<'_>| match spelling.lookup(target) {
        Some(Lookup::One(request, _)) => Some(request),
        _ => None,
    };
    let by_name = request(&Target { id: None, ..target.clone() });
    by_name.is_some() && by_name == request(target)
}

/// Why one object could not be read.
pub(super) enum Unread {
    /// The platform does not show it to this project.
    Forbidden(Error),
    /// Anything else.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Unread {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Unread {
    /// The error for a caller that needs the object.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Forbidden(error) | Self::Failed(error) => error,
        }
    }
}

/// One object as the platform answers with it, and its revision.
pub(super) async fn item(
    reader: &Reader,
    key: &Key,
    target: &Target<'_>,
    lists: Option<&Lists>,
) -> Result<Option<(Value, Option<String>)>, Unread> {
    let spelling = reader.spelling(key.kind);
    match spelling.lookup(target) {
        None => Ok(None),
        Some(Lookup::One(request, envelope)) => {
            let answer = match reader.get(&request).await {
                Err(ApiError { status: Some(404), .. }) => return Ok(None),
                Err(error @ ApiError { status: Some(403), .. }) => {
                    return Err(Unread::Forbidden(error.into()));
                }
                Err(error) => return Err(error.into()),
                Ok(answer) => answer,
            };
            let mut body = answer
                .json()
                .map_err(|error| Error::failed(format!("failed to read {key}")).because(error))?;
            let item = match envelope {
                Some(field) => body.get_mut(field).map(Value::take).unwrap_or_default(),
                None => body,
            };
            let item = spelling.listed(target, item);
            let list = spelling.list(target.project, target.room).map(|listing| listing.envelope);
            if let Some(sign) =
                list.and_then(|list| other_api::sign_of_item(reader.spoken(), &item, list))
            {
                return Err(reader.other_api(&request, sign).into());
            }
            Ok(Some((item, answer.etag)))
        }
        Some(Lookup::Among(listing)) => {
            let listing = match target.room {
                Some(place) => listing.at(place, target.place_id),
                None => listing,
            };
            let items = match lists {
                Some(lists) => lists.read(reader, (key.kind, target), &listing).await?,
                None => Arc::new(reader.list(&listing).await?),
            };
            let is_meant = |item: &Value| match (spelling.seen(item), target.id) {
                (Ok(seen), Some(id)) if seen.id.is_some() => seen.id.as_deref() == Some(id),
                (Ok(seen), _) => is_called(spelling, (key.kind, &seen.name), item, target),
                (Err(_), _) => false,
            };
            let mut items = items.iter().filter(|item| spelling.is_declarable(item));
            Ok(items.find(|item| is_meant(item)).map(|item| (item.clone(), None)))
        }
    }
}
