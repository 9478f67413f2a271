//! What the platform will refuse, as far as that can be known before a write is sent.

use std::collections::BTreeSet;

use super::Shortcut;
use crate::apply::served;
use crate::apply::survey::{Reads, Survey, has_project, survey_of};
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
    pub(super) fn is_meant_by(&self, to: &ReferredTo, names: &BTreeSet<String>) -> bool {
        matches!(
            to,
            ReferredTo::Object { kind, name, .. } if *kind == self.key.kind && names.contains(name)
        )
    }

    /// The names and ids that may refer to the object.
    pub(super) fn names_in(&self, survey: &Survey) -> BTreeSet<String> {
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
}
