//! What goes with an object that is deleted and is no object of any kind: keys, roles. No document
//! declares it, so only a look shows it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt};
use serde_json::Value;

use super::intake::names_of;
use super::observe::CONCURRENT_LISTS;
use crate::api::reader::{ListError, Reader};
use crate::api::request::Listing;
use crate::dialect::{GoesWith, Speaks, Target};
use crate::kinds::{Key, KindName};
use crate::listed::few;
use crate::plan::references::NamesById;
use crate::plan::{Action, Plan};
use crate::visible;

/// An object that is deleted.
pub struct Leaver<'a> {
    /// Its key.
    pub key: &'a Key,
    /// The id of its project.
    pub project: &'a str,
    /// Its own id.
    pub id: &'a str,
}

/// Notes on what goes with the objects that a plan deletes, without what it deletes itself.
pub async fn going(reader: &Reader, plan: &Plan) -> Vec<String> {
    let deletes = || plan.operations.iter().filter(|it| it.action() == Action::Delete);
    let leavers = deletes().filter_map(|operation| {
        let key = &operation.key;
        let project = plan.projects.get(&key.project)?.id.as_deref()?;
        Some(Leaver { key, project, id: operation.id()? })
    });
    let leavers: Vec<Leaver<'_>> = leavers.collect();
    let deleted: BTreeSet<&Key> = deletes().map(|operation| &operation.key).collect();
    let told = goes_with(reader, &leavers, &deleted).await;
    let notes = leavers.iter().zip(told).flat_map(|(leaver, told)| {
        let address = plan.address(leaver.key);
        told.into_iter().map(move |told| format!("{told} {address}"))
    });
    notes.collect()
}

/// What goes with each of several objects, each as the beginning of a sentence that ends with the
/// object's name. What they have in common is read once, and what is deleted itself is left out.
pub async fn goes_with(
    reader: &Reader,
    leavers: &[Leaver<'_>],
    deleted: &BTreeSet<&Key>,
) -> Vec<Vec<String>> {
    let going = leavers.iter().map(|Leaver { key, project, id }| {
        reader.spelling(key.kind).goes_with(&Target::looked_for(key, project, Some(id)))
    });
    let going: Vec<Vec<GoesWith>> = going.collect();
    let listings = going.iter().flatten().map(|it| it.listing.clone());
    let listings: BTreeMap<String, Listing> =
        listings.map(|listing| (listing.request.path.clone(), listing)).collect();
    let lists: BTreeMap<String, Result<Vec<Value>, ListError>> = stream::iter(listings)
        .map(|(path, listing)| async move { (path, reader.list(&listing).await) })
        .buffered(CONCURRENT_LISTS)
        .collect()
        .await;
    let told = leavers.iter().zip(&going).map(|(leaver, going)| {
        let told = going.iter().filter_map(|it| {
            let list = lists.get(&it.listing.request.path)?;
            told(it, list.as_ref(), leaver.id, |kind, item| {
                names_in(reader, leaver, (kind, item)).iter().any(|key| deleted.contains(key))
            })
        });
        told.collect()
    });
    told.collect()
}

/// What of a list goes with the object of an id.
fn told(
    GoesWith { one, several, kind, named, .. }: &GoesWith,
    list: Result<&Vec<Value>, &ListError>,
    id: &str,
    is_deleted: impl Fn(KindName, &Value) -> bool,
) -> Option<String> {
    match list {
        Ok(items) => {
            let items = items.iter().filter_map(|item| Some((item, named(item, id)?)));
            let items = items.filter(|(item, _)| !kind.is_some_and(|it| is_deleted(it, item)));
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
    let own = (leaver.key.kind, leaver.id.to_owned());
    let known = NamesById::from([(own, leaver.key.name.clone())]);
    let names = names_of(spelling, (kind, &seen.name), item, &known).into_iter();
    names.map(|name| Key::of(kind, &leaver.key.project, &name)).collect()
}
