//! What can be known about a write before it is sent: what the platform will refuse, and what is
//! deleted together with a room.

use std::collections::{BTreeMap, BTreeSet};

use super::Shortcut;
use crate::apply::going::{Leaver, goes_with};
use crate::apply::survey::{Reads, Survey, has_project, survey_of};
use crate::apply::{inventory, served};
use crate::connection::Connection;
use crate::error::{self, Error, Problem, Result};
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName, ReferredTo};
use crate::output;
use crate::plan::{Action, Plan};

/// Refuses a dry run that breaks rules of form, if the platform says that it enforces them.
/// Otherwise it may accept what they forbid, so there is only a warning.
///
/// # Errors
///
/// What would be refused.
pub async fn foresee_form(
    connection: &Connection,
    address: &str,
    broken: Vec<String>,
) -> Result<()> {
    if broken.is_empty() {
        return Ok(());
    }
    if served::holds_rules_of_form(&connection.client.reader()).await {
        return Err(would_refuse(address, broken));
    }
    for message in broken {
        output::warning(&format!("{message}: the platform may refuse it"));
    }
    Ok(())
}

fn would_refuse(address: &str, why: Vec<String>) -> Error {
    let mut error = Error::failed(format!("the platform would refuse this change of {address}"));
    error.problems = why.into_iter().map(Problem::new).collect();
    error
}

impl Shortcut {
    /// Reads the project as far as a dry run must know it. A project that is yet to be has nothing
    /// in it.
    pub(super) async fn look_around(&self, connection: &Connection) -> Option<Result<Survey>> {
        let reads = match self.key.kind.kind().is_access() {
            true => Reads::All,
            false => Reads::Things,
        };
        match self.key.kind.is_project() {
            true => None,
            false => {
                Some(survey_of(&connection.client.reader(), &self.key.project, None, reads).await)
            }
        }
    }

    /// Refuses a dry run of what the platform would refuse, as far as reading shows. Returns the
    /// project's name, if it was read.
    ///
    /// # Errors
    ///
    /// What would be refused.
    pub(super) async fn foresee(
        &self,
        connection: &Connection,
        plan: &Plan,
        survey: Option<Result<Survey>>,
    ) -> Result<Option<String>> {
        let reader = connection.client.reader();
        let Some(survey) = survey else {
            return self.foresee_project(connection).await.map(|()| None);
        };
        let survey = match survey {
            Ok(survey) => survey,
            Err(error) => {
                output::warning(&format!(
                    "the project cannot be read completely, so the platform may refuse more than this shows: {}",
                    error::with_causes(&error)
                ));
                return Ok(None);
            }
        };
        let fields = plan.operations.first().and_then(|operation| operation.fields().cloned());
        let mut refused = self.refused(&survey, fields.as_deref());
        if self.key.kind == KindName::Mailbox
            && self.action == Action::Create
            && let Some(why) = served::unserved(&reader, &self.key.name).await
        {
            refused.push(format!("the address of {} {why}", self.key));
        }
        match refused.is_empty() {
            true => Ok(Some(survey.project)),
            false => Err(would_refuse(&self.address(), refused)),
        }
    }

    /// Looks for a project's name among the existing ones.
    async fn foresee_project(&self, connection: &Connection) -> Result<()> {
        if self.action != Action::Create {
            return Ok(());
        }
        match has_project(&connection.client.reader(), &self.key.name).await? {
            true => Err(Error::failed(format!("{} already exists", self.key))),
            false => Ok(()),
        }
    }

    /// What the platform would refuse in a project as it is now.
    fn refused(&self, survey: &Survey, fields: Option<&Tree>) -> Vec<String> {
        let own = self.key.with_project(survey.project.clone());
        let mut refused = Vec::new();
        let mut missing = |key: &Key| refused.push(format!("{key} does not exist"));
        let is_written = self.action != Action::Delete;
        if let Some(room) = own.room_key().filter(|_| is_written)
            && !survey.objects.contains_key(&room)
        {
            missing(&room);
        }
        let kind = self.key.kind.kind();
        for reference in fields.map(|fields| kind.references(fields)).unwrap_or_default() {
            let ReferredTo::Object { kind, name, .. } = &reference.to else { continue };
            let key = Key::of(*kind, &survey.project, name);
            let has_id = |other: &Key| {
                other.kind == key.kind && survey.objects[other].id.as_ref() == Some(&key.name)
            };
            if !survey.objects.contains_key(&key) && !survey.objects.keys().any(has_id) {
                missing(&key);
            }
        }
        let takes_name = matches!(self.action, Action::Create | Action::Rename)
            && !self.key.name.is_empty()
            && !self.asked.may_exist;
        let is_other = |key: &Key| {
            survey.objects.get(key).is_some_and(|found| {
                self.action == Action::Create || found.id.is_none() || found.id != self.id
            })
        };
        if takes_name && self.is_found_by_name && is_other(&own) {
            refused.push(format!("{} already exists", self.key));
        }
        if self.action == Action::Delete && self.key.kind.is_referred_to_by_id() {
            let names = self.names_in(survey);
            refused.extend(
                survey
                    .objects
                    .iter()
                    // What is in it goes with it.
                    .filter(|(key, _)| !key.place().is_some_and(|place| names.contains(place)))
                    .filter(|(key, found)| {
                        key.kind
                            .kind()
                            .references(&found.fields)
                            .iter()
                            .any(|reference| self.is_meant_by(&reference.to, &names))
                    })
                    .map(|(key, _)| format!("{key} refers to {}", self.address())),
            );
        }
        refused
    }

    /// Whether a reference points to the object, by one of its names and ids.
    fn is_meant_by(&self, to: &ReferredTo, names: &BTreeSet<String>) -> bool {
        matches!(
            to,
            ReferredTo::Object { kind, name, .. } if *kind == self.key.kind && names.contains(name)
        )
    }

    /// The names and ids that may refer to the object.
    fn names_in(&self, survey: &Survey) -> BTreeSet<String> {
        let is_meant = |key: &Key, id: Option<&String>| {
            key.kind == self.key.kind
                && match &self.id {
                    Some(own) => id == Some(own),
                    None => key.name == self.key.name,
                }
        };
        survey
            .objects
            .iter()
            .filter(|(key, found)| is_meant(key, found.id.as_ref()))
            .flat_map(|(key, found)| [Some(key.name.clone()), found.id.clone()])
            .flatten()
            .collect()
    }

    /// Warns about what is deleted together with a room or a service account, and about what is left
    /// without it, with the sets that own these objects. Objects that cannot be read are reported, but
    /// do not prevent the deletion.
    pub(super) async fn tell_what_goes_with_it(
        &self,
        connection: &Connection,
        survey: &Result<Survey>,
    ) {
        if !self.key.kind.is_place() || self.action != Action::Delete {
            return;
        }
        let told = match survey {
            Ok(survey) => {
                let told = self.what_goes_with_it(connection, survey).await;
                told.map_err(|error| error::with_causes(&error))
            }
            Err(error) => Err(error::with_causes(error)),
        };
        let told = told.unwrap_or_else(|why| {
            vec![format!(
                "the contents of {} cannot be read, and will be deleted with it: {why}",
                self.address()
            )]
        });
        told.iter().for_each(|line| output::warning(line));
    }

    async fn what_goes_with_it(
        &self,
        connection: &Connection,
        survey: &Survey,
    ) -> Result<Vec<String>> {
        let reader = connection.client.reader();
        let places = self.names_in(survey);
        let place = match self.key.is_room() {
            true => "room",
            false => "account",
        };
        let is_in_it = |key: &Key| {
            self.key.kind.contents().any(|kind| kind == key.kind)
                && key.place().is_some_and(|place| places.contains(place))
        };
        let names_it = |key: &Key, fields: &Tree| {
            is_in_it(key)
                || key
                    .kind
                    .kind()
                    .references(fields)
                    .iter()
                    .any(|reference| self.is_meant_by(&reference.to, &places))
        };
        let found: Vec<_> =
            survey.objects.iter().filter(|(key, found)| names_it(key, &found.fields)).collect();
        let mut inventories = BTreeMap::new();
        for set in found.iter().filter_map(|(_, found)| found.owner.as_deref()) {
            if !inventories.contains_key(set) {
                let stored =
                    inventory::load_to_show(&reader, set, &survey.project, &self.key.project)
                        .await?;
                inventories.insert(set, stored.inventory);
            }
        }
        let line = |(key, found): &(&Key, &crate::plan::Observed)| {
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
        let meant = survey.objects.iter().find(|(key, found)| {
            let has_id = found.id.as_ref().is_some_and(|id| places.contains(id));
            key.kind == self.key.kind && has_id
        });
        if let Some(id) = meant.and_then(|(_, found)| found.id.as_deref()) {
            let leaver = Leaver { key: &self.key, project: &self.key.project, id };
            let going = goes_with(&reader, &[leaver], &BTreeSet::new()).await;
            told.extend(going.into_iter().flatten().map(|told| format!("{told} the {place}")));
        }
        Ok(told)
    }
}
