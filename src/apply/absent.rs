//! What lists did not show is looked up by its key before anything is concluded from its absence:
//! a list that was cut off looks like a complete one, and what it hides would be created again, or
//! forgotten by the set that owns it.
//!
//! Only what the plan depends on is looked up, so a plan in which nothing is missing needs no more
//! requests:
//!
//! - *Everything that the set owns* and that no list showed, or showed with another id. Either the
//!   object was created anew, or the list is an old one; something that is deleted by an old id
//!   stays. Without the look-up the object would be forgotten or created again. The number of
//!   look-ups depends on what happened on the platform, not on the size of the set.
//! - *The former names* of an object that is declared with `moved_from`, until the rename is done.
//! - *Of the objects that are declared and never existed*, a few for each list that nothing proves
//!   to be complete. If a list was cut off, the objects behind the cut are usually among the set's
//!   documents, so a few show it. The first apply of a thousand objects does not make a thousand
//!   more requests. A list that was followed to a page with nothing new, or that the platform
//!   counted, is proven. What slips through is refused by the platform when it is created, and then
//!   nothing of its kind is deleted any more; see `perform`.
//! - *Every new name that is unique on the whole platform*: addresses and domains. Lists show only
//!   those of this project, and a name that another project holds would be refused in the middle of
//!   the run. This takes one request for each mailbox or route that is to be created, many at once,
//!   and none for those that exist. Rooms and services, the most frequent kinds, cost nothing. The
//!   platform answers 404 if a name is free, and 403 if another project has it: that this project
//!   may read the kind is known by then, because its list was read.
//!
//! If the platform cannot return an object of a kind alone, its list is read a second time, if the
//! set owns the object; for others that would show nothing new.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;

use super::look_up::{self, Unread};
use super::observe::{self, CONCURRENT_LISTS};
use crate::api::reader::Reader;
use crate::dialect::{Lookup, Speaks, Target};
use crate::error::{Class, Error, Result, with_causes};
use crate::kinds::{Key, KindName};
use crate::manifest::set::Set;
use crate::plan::planner::Policy;
use crate::plan::renames::open_former_keys;
use crate::plan::{Incomplete, Observed, State};

/// How many objects that were never there are looked up for each list.
const SAMPLE: usize = 8;

/// A list: its kind, and its place if it is the list of a room or a service account.
pub(super) type ListOf = (KindName, Option<String>);

/// The list that an object is in.
fn list_of(key: &Key) -> ListOf {
    (key.kind, key.place().map(str::to_owned))
}

/// The look-up of what the lists of a project did not show.
pub(super) struct Absent<'a> {
    pub reader: &'a Reader,
    pub set: &'a Set,
    pub policy: &'a Policy,
    pub project: &'a str,
    pub project_id: &'a str,
    /// The lists that nothing proves to be complete.
    pub unproven: BTreeSet<ListOf>,
    /// The ids of the places that were seen.
    pub places: BTreeMap<Key, String>,
}

/// An object that is looked for, and its id if the set knows it.
type Sought<'a> = (&'a Key, Option<&'a str>);

/// An object that no list showed and that exists.
struct Hidden {
    key: Key,
    /// Its name on the platform.
    name: String,
    id: Option<String>,
}

/// A result of a look-up that matters to the plan.
enum Found {
    /// The object exists.
    Hidden(Hidden),
    /// Whether it exists cannot be known, for this reason.
    Unknown(Key, String),
    /// Another project has it.
    Taken(Key),
}

impl Absent<'_> {
    /// Looks up what matters. A list counts as incomplete if it did not show an object that
    /// exists, or if that cannot be known.
    ///
    /// # Errors
    ///
    /// The platform is newer than this program.
    pub async fn look_up(&self, state: &mut State) -> Result<()> {
        let objects = self.set.objects.values();
        let former: Vec<Key> =
            objects.flat_map(|desired| open_former_keys(state, desired)).collect();
        let looks: Vec<Vec<Sought<'_>>> = self.looks(state, &former);
        // Made by a closure of the stream they would not be `Send`, and neither would a whole run.
        let looks = looks.into_iter().map(|sought| async move { self.look(&sought).await });
        let looks: Vec<_> = stream::iter(looks.collect::<Vec<_>>())
            .buffered(CONCURRENT_LISTS)
            .try_collect()
            .await?;
        for found in looks.into_iter().flatten() {
            let (key, reason) = match found {
                Found::Hidden(hidden) if is_shown(state, &hidden) => continue,
                Found::Hidden(Hidden { key, .. }) => {
                    let reason = hides(&key);
                    (key, reason)
                }
                Found::Unknown(key, reason) => (key, reason),
                Found::Taken(key) => {
                    state.taken.insert(key);
                    continue;
                }
            };
            // What is in a place that was not shown was not asked for.
            for inside in key.kind.inside() {
                let place = Some(key.name.as_str());
                state.incomplete.push(Incomplete::new(inside, &key.project, place, reason.clone()));
            }
            state.incomplete.push(Incomplete::new(key.kind, &key.project, key.place(), reason));
        }
        Ok(())
    }

    /// What is looked for, in groups; a look-up ends at the first object of its group that exists.
    fn looks<'a>(&'a self, state: &'a State, former: &'a [Key]) -> Vec<Vec<Sought<'a>>> {
        let elsewhere = &taken(state);
        let entries = state.inventories.get(self.project).map(|inventory| &inventory.entries);
        let mut wanted: BTreeMap<&Key, Option<&str>> =
            former.iter().map(|key| (key, None)).collect();
        let owned = entries.into_iter().flatten().map(|(key, entry)| (key, entry.id.as_deref()));
        wanted.extend(owned);
        wanted.retain(|key, id| self.is_absent(state, elsewhere, (key, *id)));
        let mut never: BTreeMap<ListOf, Vec<&Key>> = BTreeMap::new();
        for key in self.set.objects.keys() {
            if wanted.contains_key(key)
                || !self.is_absent(state, elsewhere, (key, None))
                || !self.is_given_alone((key, None))
            {
                continue;
            }
            let list = list_of(key);
            if key.kind.kind().is_unique_everywhere() && !self.policy.destroy {
                wanted.insert(key, None);
            } else if self.unproven.contains(&list) {
                never.entry(list).or_default().push(key);
            }
        }
        for keys in never.values() {
            let step = keys.len().div_ceil(SAMPLE).max(1);
            wanted.extend(keys.iter().step_by(step).map(|key| (*key, None)));
        }
        let mut together: BTreeMap<ListOf, Vec<Sought<'_>>> = BTreeMap::new();
        let mut looks = Vec::new();
        for sought in wanted {
            if self.is_given_alone(sought) {
                looks.push(vec![sought]);
            } else {
                together.entry(list_of(sought.0)).or_default().push(sought);
            }
        }
        looks.extend(together.into_values());
        looks
    }

    /// Whether no list showed an object, although one of them could have.
    fn is_absent(&self, state: &State, elsewhere: &BTreeSet<Key>, (key, id): Sought<'_>) -> bool {
        key.project == self.project
            && !key.is_project()
            // That is looked at only if the policy says so, and then it was.
            && !key.kind.kind().is_inside_rooms()
            && !state.objects.get(key).is_some_and(|observed| may_be(observed, id))
            && !elsewhere.contains(&key.claim())
            && state.doubt(key).is_none()
            // In a place that does not exist there is nothing.
            && key.place_key().is_none_or(|place| state.objects.contains_key(&place))
    }

    /// What an object is looked up by.
    fn target<'a>(&'a self, key: &'a Key, id: Option<&'a str>) -> Target<'a> {
        let place = key.place_key().and_then(|place| self.places.get(&place));
        let place_id = place.map(String::as_str);
        Target { place_id, ..Target::looked_for(key, self.project_id, id) }
    }

    /// Whether the platform can return an object alone, by its key or id.
    fn is_given_alone(&self, (key, id): Sought<'_>) -> bool {
        match self.reader.spelling(key.kind).lookup(&self.target(key, id)) {
            Some(Lookup::One(..)) => true,
            Some(Lookup::Among(listing)) => {
                let whole = self.reader.spelling(key.kind).list(self.project_id, key.place());
                whole.is_none_or(|whole| whole.request != listing.request)
            }
            None => false,
        }
    }

    /// The first of the objects that exists, that may exist, or that another project has.
    async fn look(&self, sought: &[Sought<'_>]) -> Result<Option<Found>> {
        let Some(&(first, _)) = sought.first() else { return Ok(None) };
        match self.find(sought).await {
            Ok(found) => Ok(found.map(Found::Hidden)),
            Err(Unread::Forbidden(_)) if self.would_be_taken(first) => {
                Ok(Some(Found::Taken(first.clone())))
            }
            Err(error) => match error.into_error() {
                // Nothing that a newer platform says can be relied on.
                error if error.class == Class::Refused => Err(error),
                error => Ok(Some(Found::Unknown(first.clone(), with_causes(&error)))),
            },
        }
    }

    /// Whether an object that the platform does not show to this project has a name that another
    /// project holds. An object that is owned and no longer declared may be hidden for other
    /// reasons.
    fn would_be_taken(&self, key: &Key) -> bool {
        key.kind.kind().is_unique_everywhere() && self.set.objects.contains_key(key)
    }

    async fn find(&self, sought: &[Sought<'_>]) -> Result<Option<Hidden>, Unread> {
        let hidden = |key: &Key, item: &Value| -> Result<Hidden> {
            let seen = self.reader.spelling(key.kind).seen(item);
            let seen = seen.map_err(|what| observe::unreadable(key.kind, &what))?;
            Ok(Hidden { key: key.clone(), name: seen.name, id: seen.id })
        };
        if let [(key, id)] = *sought
            && self.is_given_alone((key, id))
        {
            let target = self.target(key, id);
            let item = look_up::item(self.reader, key, &target, None).await?;
            return Ok(item.map(|(item, _)| hidden(key, &item)).transpose()?);
        }
        let Some((first, _)) = sought.first() else { return Ok(None) };
        let Some(listing) = self.reader.spelling(first.kind).list(self.project_id, first.place())
        else {
            return Ok(None);
        };
        let spelling = self.reader.spelling(first.kind);
        let items = self.reader.list(&listing).await?.into_iter();
        for item in items.filter(|item| spelling.is_declarable(item)) {
            let found = hidden(first, &item)?;
            let is_meant = |(key, id): &&Sought<'_>| {
                id.is_some() && found.id.as_deref() == *id || found.name == key.name
            };
            let also = spelling.also_called(&item);
            let is_also = |(key, _): &&Sought<'_>| also.contains(&key.name);
            if let Some((key, _)) = sought.iter().find(is_meant) {
                return Ok(Some(Hidden { key: (*key).clone(), ..found }));
            }
            if let Some((key, _)) = sought.iter().find(is_also) {
                let (key, name) = ((*key).clone(), key.name.clone());
                return Ok(Some(Hidden { key, name, ..found }));
            }
        }
        Ok(None)
    }
}

/// The error for a name that is unique on the whole platform and that another project has; `None`
/// if it is free or this project's, or if that cannot be known.
pub async fn held_elsewhere(reader: &Reader, key: &Key, project_id: &str) -> Option<Error> {
    let kind = key.kind.kind();
    if !kind.is_unique_everywhere() {
        return None;
    }
    let target = Target::looked_for(key, project_id, None);
    let Err(Unread::Forbidden(_)) = look_up::item(reader, key, &target, None).await else {
        return None;
    };
    // A caller who may not read this project's own is refused as well, which proves nothing.
    reader.list(&reader.spelling(key.kind).list(project_id, None)?).await.ok()?;
    Some(Error::failed(key.held_by_another()))
}

/// The names that are unique on the whole platform and that some project has.
fn taken(state: &State) -> BTreeSet<Key> {
    if state.projects.len() < 2 {
        return BTreeSet::new();
    }
    let unique = state.objects.keys().filter(|key| key.kind.kind().is_unique_everywhere());
    unique.map(Key::claim).collect()
}

/// The message about a list that did not show an object that exists.
pub(super) fn hides(key: &Key) -> String {
    format!("the list does not show {key}, although it exists")
}

/// Whether a list did show the object, under the name that it has by now.
fn is_shown(state: &State, Hidden { key, name, id }: &Hidden) -> bool {
    let by_name = key.with_name(name.clone());
    let is_it = |(other, observed): (&Key, &Observed)| {
        other.kind == key.kind && id.is_some() && observed.id == *id
    };
    state.objects.get(&by_name).is_some_and(|observed| may_be(observed, id.as_deref()))
        || state.objects.iter().any(is_it)
}

/// Whether an object that a list showed under a name may be the one with this id.
fn may_be(observed: &Observed, id: Option<&str>) -> bool {
    id.is_none() || observed.id.is_none() || observed.id.as_deref() == id
}
