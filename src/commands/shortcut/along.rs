//! What goes with an object that a command deletes: with a room, or a service account. A dry run reads
//! the whole project, and tells what refers to the object as well; a run reads what is in it.

use std::collections::{BTreeMap, BTreeSet};

use super::Shortcut;
use crate::apply::going::{Leaver, goes_with};
use crate::apply::inventory;
use crate::apply::observe::observed;
use crate::apply::own::Own;
use crate::apply::survey::Survey;
use crate::connection::Connection;
use crate::dialect::Speaks;
use crate::error::{self, Class, Error, Result};
use crate::kinds::Key;
use crate::kinds::tree::Tree;
use crate::output;
use crate::plan::{Action, Observed};

impl Shortcut {
    /// Refuses to delete whoever runs the command.
    ///
    /// # Errors
    ///
    /// It is them, or it is not known whether it is.
    pub(super) async fn refuse_own(&self, connection: &Connection) -> Result<()> {
        if self.action != Action::Delete || !self.key.kind.is_who() {
            return Ok(());
        }
        let own = Own::read(&connection.client.reader()).await?;
        let kind = self.key.kind;
        let name = kind.kind().natural_name(&self.key.name);
        let names = [Some(name.as_str()), self.id.as_deref()];
        if !names.into_iter().flatten().any(|name| own.is_called(kind, name)) {
            return Ok(());
        }
        let told = format!("{} would delete itself: it runs this command", self.address());
        Err(Error::new(Class::Refused, told).hint("use the credential of somebody else"))
    }

    /// Whether something may go with what is deleted.
    fn takes_something_along(&self) -> bool {
        self.key.kind.is_place() && self.action == Action::Delete
    }

    /// Warns about what is deleted together with a room or a service account, and about what is left
    /// without it, with the sets that own these objects. Objects that cannot be read are reported, but
    /// do not prevent the deletion.
    pub(super) async fn tell_what_goes_with_it(
        &self,
        connection: &Connection,
        survey: &Result<Survey>,
    ) {
        if !self.takes_something_along() {
            return;
        }
        let told = match survey {
            Ok(survey) => {
                let meant = survey.objects.iter().find(|(key, found)| {
                    key.kind == self.key.kind
                        && found.id.is_some()
                        && match &self.id {
                            Some(id) => found.id.as_ref() == Some(id),
                            None => key.name == self.key.name,
                        }
                });
                let id = meant.and_then(|(_, found)| found.id.as_deref());
                let places = self.names_in(survey);
                let told = self.what_goes_with_it(
                    connection,
                    (&survey.project, &survey.objects),
                    (&places, id),
                );
                told.await.map_err(|error| error::with_causes(&error))
            }
            Err(error) => Err(error::with_causes(error)),
        };
        self.warn(told);
    }

    /// Warns about what is deleted together with a room or a service account, without what only refers
    /// to it. That it cannot be read does not prevent the deletion. What is in a room of which only the
    /// id is given is not looked for: all rooms would have to be read for its name.
    pub(super) async fn tell_contents(&self, connection: &Connection) {
        if self.takes_something_along() && !self.key.name.is_empty() {
            let told = self.contents(connection).await;
            self.warn(told.map_err(|error| error::with_causes(&error)));
        }
    }

    fn warn(&self, told: std::result::Result<Vec<String>, String>) {
        let told = told.unwrap_or_else(|why| {
            vec![format!(
                "the contents of {} cannot be read, and will be deleted with it: {why}",
                self.address()
            )]
        });
        told.iter().for_each(|line| output::warning(line));
    }

    async fn contents(&self, connection: &Connection) -> Result<Vec<String>> {
        let name = self.key.name.clone();
        let (reader, project) = (connection.client.reader(), self.key.project.as_str());
        let mut objects = BTreeMap::new();
        for kind in self.key.kind.contents() {
            let spelling = reader.spelling(kind);
            let Some(listing) = spelling.list(project, Some(&name)) else { continue };
            let listing = listing.at(&name, self.id.as_deref());
            for item in reader.list(&listing).await? {
                let seen = spelling.seen(&item).map_err(|what| {
                    Error::failed(format!("the list of {} is wrong: {what}", kind.kind().plural()))
                })?;
                let room = kind.is_in_rooms().then(|| name.clone());
                let key = Key::new(kind, project, room, seen.name.clone());
                objects.insert(key, observed(spelling, seen, &item, None));
            }
        }
        let places: BTreeSet<String> =
            [Some(name), self.id.clone()].into_iter().flatten().collect();
        let found = self.observed.as_ref().and_then(|observed| observed.id.as_deref());
        let id = self.id.as_deref().or(found);
        self.what_goes_with_it(connection, (project, &objects), (&places, id)).await
    }

    /// What of these objects of a project goes with the object, which has these names and this id, or
    /// refers to it.
    async fn what_goes_with_it(
        &self,
        connection: &Connection,
        (project, objects): (&str, &BTreeMap<Key, Observed>),
        (places, id): (&BTreeSet<String>, Option<&str>),
    ) -> Result<Vec<String>> {
        let reader = connection.client.reader();
        let place = match self.key.is_room() {
            true => "room",
            false => "account",
        };
        let is_in_it = |key: &Key| {
            self.key.kind.contents().any(|kind| kind == key.kind)
                && key.place().is_some_and(|place| places.contains(place))
        };
        let names_it = |key: &Key, fields: &Tree| {
            let references = || key.kind.kind().references(fields);
            is_in_it(key)
                || references().iter().any(|reference| self.is_meant_by(&reference.to, places))
        };
        let found: Vec<_> =
            objects.iter().filter(|(key, found)| names_it(key, &found.fields)).collect();
        let mut inventories = BTreeMap::new();
        for set in found.iter().filter_map(|(_, found)| found.owner.as_deref()) {
            if !inventories.contains_key(set) {
                let stored =
                    inventory::load_to_show(&reader, set, project, &self.key.project).await?;
                inventories.insert(set, stored.inventory);
            }
        }
        let line = |(key, found): &(&Key, &Observed)| {
            let what = match is_in_it(key) {
                true => format!("will be deleted with the {place}"),
                false => format!("refers to the {place}"),
            };
            let owner = found.owner.as_deref();
            let entry = owner.and_then(|set| inventories.get(set)?.entries.get(key));
            let of = match (owner, entry.is_some_and(|entry| entry.protected)) {
                (Some(set), true) => format!(", which the set `{set}` owns and protects,"),
                (Some(set), false) => format!(", which the set `{set}` owns,"),
                (None, _) => String::new(),
            };
            format!("{key}{of} {what}")
        };
        let mut told: Vec<String> = found.iter().map(line).collect();
        if let Some(id) = id {
            let (key, project) = (&self.key, self.key.project.as_str());
            let leaver = Leaver { key, project, id: Some(id), answered: None };
            let going = goes_with(&reader, &[leaver], |_| false).await;
            told.extend(going.into_iter().flatten().map(|told| format!("{told} the {place}")));
        }
        Ok(told)
    }
}
