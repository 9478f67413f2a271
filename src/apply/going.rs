//! What goes with an object that is deleted and is no object of any kind: keys, roles. No document
//! declares it, so only a look shows it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt};
use serde_json::Value;

use super::intake::names_of;
use super::observe::CONCURRENT_LISTS;
use crate::api::reader::{ListError, Reader};
use crate::api::request::{Body, Listing};
use crate::dialect::{GoesWith, Speaks, Target};
use crate::kinds::{Key, KindName};
use crate::listed::few;
use crate::plan::references::NamesById;
use crate::plan::{Action, Observed, Plan, State};
use crate::visible;

/// An object that is deleted.
pub struct Leaver<'a> {
    /// Its key.
    pub key: &'a Key,
    /// The id of its project.
    pub project: &'a str,
    /// Its own id, where it has one.
    pub id: Option<&'a str>,
    /// What the platform answered with when it was read.
    pub answered: Option<Value>,
}

impl Leaver<'_> {
    /// The same as the dialect asks for it.
    fn target(&self) -> Target<'_> {
        let answered = self.answered.clone();
        Target { answered, ..Target::looked_for(self.key, self.project, self.id) }
    }
}

/// Notes on what goes with the objects that a plan deletes, without what it deletes itself, and what
/// was seen in rooms, which the planner judged.
pub async fn going(reader: &Reader, plan: &Plan, state: &State) -> Vec<String> {
    let deletes = || plan.operations.iter().filter(|it| it.action() == Action::Delete);
    let leavers = deletes().filter_map(|operation| {
        let key = &operation.key;
        let project = plan.projects.get(&key.project)?.id.as_deref()?;
        let answered = operation.observed().and_then(Observed::sent_back);
        Some(Leaver { key, project, id: operation.id(), answered })
    });
    let leavers: Vec<Leaver<'_>> = leavers.collect();
    let deleted: BTreeSet<&Key> = deletes().map(|operation| &operation.key).collect();
    let is_told = |key: &Key| {
        let is_judged = key.room.is_some() && state.objects.contains_key(key);
        is_judged || deleted.contains(key)
    };
    let told = goes_with(reader, &leavers, is_told).await;
    let notes = leavers.iter().zip(told).flat_map(|(leaver, told)| {
        let address = plan.address(leaver.key);
        told.into_iter().map(move |told| format!("{told} {address}"))
    });
    notes.collect()
}

/// What goes with each of several objects, each as the beginning of a sentence that ends with the
/// object's name. What they have in common is read once, and what is told otherwise is left out.
pub async fn goes_with(
    reader: &Reader,
    leavers: &[Leaver<'_>],
    is_told: impl Fn(&Key) -> bool,
) -> Vec<Vec<String>> {
    let going =
        leavers.iter().map(|leaver| reader.spelling(leaver.key.kind).goes_with(&leaver.target()));
    let going: Vec<Vec<GoesWith>> = going.collect();
    let listings = going.iter().flatten().map(|it| it.listing.clone());
    let listings: BTreeMap<String, Listing> =
        listings.map(|listing| (asked(&listing), listing)).collect();
    let lists: BTreeMap<String, Result<Vec<Value>, ListError>> = stream::iter(listings)
        .map(|(asked, listing)| async move { (asked, reader.list(&listing).await) })
        .buffered(CONCURRENT_LISTS)
        .collect()
        .await;
    let told = leavers.iter().zip(&going).map(|(leaver, going)| {
        let told = going.iter().filter_map(|it| {
            let list = lists.get(&asked(&it.listing))?;
            told(it, list.as_ref(), leaver.id, |kind, item| {
                let room = (it.room)(item).map(str::to_owned);
                let names = names_in(reader, leaver, (kind, item)).into_iter();
                names.map(|key| key.with_room(room.clone())).any(|key| is_told(&key))
            })
        });
        told.collect()
    });
    told.collect()
}

/// What tells a list from all others.
fn asked(Listing { request, .. }: &Listing) -> String {
    match &request.body {
        Body::Json(question) => format!("{} {question}", request.path),
        Body::Empty | Body::Bytes(_) => request.path.clone(),
    }
}

/// What of a list goes with the object of an id.
fn told(
    GoesWith { one, several, kind, named, .. }: &GoesWith,
    list: Result<&Vec<Value>, &ListError>,
    id: Option<&str>,
    is_told: impl Fn(KindName, &Value) -> bool,
) -> Option<String> {
    match list {
        Ok(items) => {
            let items = items.iter().filter_map(|item| Some((item, named(item, id)?)));
            let items = items.filter(|(item, _)| !kind.is_some_and(|it| is_told(it, item)));
            let names: Vec<String> = items.map(|(_, name)| name).collect();
            let count = names.len();
            let names = few(names.iter().map(|name| visible::line(name)));
            match count {
                0 => None,
                1 => Some(format!("the {one} {names} goes with")),
                _ => Some(format!("{count} {several} ({names}) go with")),
            }
        }
        // The platform has no such list.
        Err(ListError::Failed(error)) if error.status == Some(404) => None,
        Err(error) => Some(format!("it is not known which {several} ({error}) go with")),
    }
}

/// The keys that an item of a list may have as an object of a kind.
fn names_in(reader: &Reader, leaver: &Leaver<'_>, (kind, item): (KindName, &Value)) -> Vec<Key> {
    let spelling = reader.spelling(kind);
    let Ok(seen) = spelling.seen(item) else { return Vec::new() };
    let own = leaver.id.map(|id| ((leaver.key.kind, id.to_owned()), leaver.key.name.clone()));
    let known: NamesById = own.into_iter().collect();
    let names = names_of(spelling, (kind, &seen.name), item, &known).into_iter();
    names.map(|name| Key::of(kind, &leaver.key.project, &name)).collect()
}
