//! Whether the set may own what it declares: what it takes over, and what others own.

use std::collections::BTreeMap;

use super::{Ownership, Planner};
use crate::error::Problem;
use crate::kinds::Key;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::listed::{few, word};
use crate::manifest::set::Desired;
use crate::plan::{Observed, UnknownOwner};

/// What is declared here and another set owns.
pub(super) struct Foreign<'a> {
    /// What is declared.
    desired: &'a Desired,
    /// The key under which the platform knows it.
    known_as: Key,
    /// The set that owns it.
    owner: String,
}

/// Up to this many objects, the hint names a command that moves them one by one.
const FEW: usize = 5;

impl<'a> Planner<'a> {
    /// Whether the set takes over an object that nobody owns; as an error, why it cannot have the
    /// object, and a hint.
    pub(super) fn adopts(
        &self,
        desired: &Desired,
        observed: &Observed,
        known_as: &Key,
    ) -> Result<bool, (String, String)> {
        let (key, set) = (&desired.key, &self.policy.set);
        match self.ownership(key, observed) {
            Ownership::Ours => Ok(false),
            Ownership::Foreign(owner) => {
                let theirs = self.called_by_owner(known_as);
                let called = match theirs == known_as {
                    true => String::new(),
                    false => format!(", which calls it {theirs}"),
                };
                let keys = std::slice::from_ref(theirs);
                Err((
                    format!("{known_as} is owned by the set `{owner}`{called}"),
                    format!(
                        "move it with {}; or release it from the set `{owner}`: write `lifecycle: {{delete: orphan}}` into its document there, apply, remove the document, apply again, and take it over here with --adopt {}",
                        self.move_here(&owner, keys),
                        known_as.as_word()
                    ),
                ))
            }
            Ownership::Nobodys if self.state.unknown_owners.contains_key(known_as) => {
                let UnknownOwner { reason, hint } = &self.state.unknown_owners[known_as];
                Err((format!("it is not known who owns {known_as}: {reason}"), hint.clone()))
            }
            Ownership::Nobodys
                if self.policy.adopt.covers(key) || self.policy.adopt.covers(known_as) =>
            {
                Ok(true)
            }
            Ownership::Nobodys if self.is_free(desired, observed) => Ok(true),
            Ownership::Nobodys => Err((
                format!("{known_as} exists and is not owned by the set `{set}`"),
                format!(
                    "take it over with --adopt {}, or give it another name",
                    known_as.as_word()
                ),
            )),
        }
    }

    /// Whether an object can be taken over without asking: an empty project that is as declared. A
    /// run that was killed right after it created the project leaves it like that, and so does a
    /// set that was destroyed.
    fn is_free(&self, desired: &Desired, observed: &Observed) -> bool {
        let name = &desired.key.name;
        desired.key.is_project()
            && (desired.fields == observed.fields || *desired.fields == Tree::map([]))
            && !self.state.objects.keys().any(|key| desired.key.holds(key))
            && !self.state.incomplete.iter().any(|list| list.project == *name)
            && !self.state.unread.contains(name)
    }

    /// The set that owns an object, where it is another one.
    fn foreign_owner(&self, key: &Key) -> Option<String> {
        match self.ownership(key, self.state.objects.get(key)?) {
            Ownership::Foreign(owner) => Some(owner),
            _ => None,
        }
    }

    /// Collects objects that another set owns, so that similar problems are reported once.
    pub(super) fn is_foreign(&mut self, desired: &'a Desired, known_as: &Key) -> bool {
        let Some(owner) = self.foreign_owner(&desired.key) else { return false };
        self.foreign.push(Foreign { desired, known_as: known_as.clone(), owner });
        true
    }

    /// Refuses what other sets own, in one sentence for each of them.
    pub(super) fn refuse_foreign(&mut self) {
        let foreign = std::mem::take(&mut self.foreign);
        let mut by_owner: BTreeMap<(&str, &str), Vec<&Foreign<'_>>> = BTreeMap::new();
        for it in &foreign {
            let owner = (it.owner.as_str(), it.desired.key.project.as_str());
            by_owner.entry(owner).or_default().push(it);
        }
        let mut guards = Vec::new();
        for ((owner, _), theirs) in by_owner {
            let Some(first) = theirs.first().map(|it| it.desired) else { continue };
            let keys: Vec<Key> = theirs.iter().map(|it| it.known_as.clone()).collect();
            // This set owns none of it, so the set's name is probably a mistake.
            let is_all = foreign.len() == theirs.len() && !self.owns_what_is_declared();
            let (message, hint) = match keys.as_slice() {
                [one] => {
                    match self.state.objects.get(&first.key).map(|it| self.adopts(first, it, one)) {
                        Some(Err(told)) => told,
                        _ => continue,
                    }
                }
                several => {
                    let theirs = several.iter().map(|key| self.called_by_owner(key).clone());
                    let theirs: Vec<Key> = theirs.collect();
                    (
                        format!("{} are owned by the set `{owner}`", few(several)),
                        format!("move them with {}", self.move_here(owner, &theirs)),
                    )
                }
            };
            let owner = word(owner);
            let hint = match is_all {
                true if keys.len() > FEW => format!("did you mean --set {owner}?"),
                true => format!("did you mean --set {owner}? otherwise {hint}"),
                // It may have been moved there while its document stayed here.
                false if keys.len() == 1 => format!(
                    "if it was moved there, move its document to the files of that set as well; otherwise {hint}"
                ),
                false => format!(
                    "if they were moved there, move their documents to the files of that set as well; otherwise {hint}"
                ),
            };
            let path = FieldPath::of(&["metadata", "name"]);
            guards.push(first.origin.problem_at(&path, message).hint(hint));
        }
        self.guards.extend(guards);
    }

    /// Whether the set owns anything that the documents declare.
    fn owns_what_is_declared(&self) -> bool {
        self.declared.keys().any(|key| {
            let observed = self.state.objects.get(key);
            self.entry(key).is_some()
                && observed.is_none_or(|it| matches!(self.ownership(key, it), Ownership::Ours))
        })
    }

    /// What the set that owns an object calls it.
    fn called_by_owner<'b>(&'b self, key: &'b Key) -> &'b Key {
        self.state.called_by_owners.get(key).unwrap_or(key)
    }

    /// The command that moves objects from another set to this one.
    fn move_here(&self, owner: &str, keys: &[Key]) -> String {
        let names: Vec<String> = keys.iter().map(Key::as_word).collect();
        let project = keys.first().map_or("", |key| key.project.as_str());
        format!(
            "`meshagent set move {} --set {} --to {} --project-id {}{}`",
            names.join(" "),
            word(owner),
            self.policy.set,
            word(project),
            self.policy.flags
        )
    }

    /// Refuses to destroy objects that belong to other sets.
    pub(super) fn refuse_destroying_others(&mut self) {
        if !self.policy.destroy || self.declared.is_empty() {
            return;
        }
        let mut theirs: BTreeMap<String, Vec<&Key>> = BTreeMap::new();
        for key in self.declared.keys() {
            if let Some(owner) = self.foreign_owner(key) {
                theirs.entry(owner).or_default().push(key);
            }
        }
        let set = &self.policy.set;
        let owns_some = self.owns_what_is_declared();
        for (owner, keys) in theirs {
            let what = few(&keys);
            match owns_some {
                true => self.plan.notes.push(format!(
                    "the set `{owner}` owns {what}, which this command leaves alone; to destroy the objects of that set, use `--set {}`",
                    word(&owner)
                )),
                false => self.guards.push(
                    Problem::new(format!(
                        "the set `{set}` owns nothing that these documents declare; the set `{owner}` owns {what}"
                    ))
                    .hint(format!("did you mean --set {}?", word(&owner))),
                ),
            }
        }
    }

    /// Why an object whose name another one wants stays, and what to do about it. This set must not
    /// delete what another set owns.
    pub(super) fn stays_because(
        &self,
        (key, name): (&Key, &Key),
        former: &Key,
    ) -> (String, String) {
        let rename = format!("give {former} a name other than {}", name.name);
        if let Some(owner) = self.foreign_owner(key) {
            return (
                format!("{name} already exists, and the set `{owner}` owns it"),
                format!(
                    "{rename}; or let the set `{owner}` rename its {name} first; without `moved_from`, {former} would be deleted"
                ),
            );
        }
        if let Some(unknown) = self.state.unknown_owners.get(name) {
            return (
                format!(
                    "{name} already exists, and it is not known who owns it: {}",
                    unknown.reason
                ),
                unknown.hint.clone(),
            );
        }
        let owner = match self.entry(key) {
            Some(_) => "owned by this set",
            None => "owned by no set",
        };
        (
            format!("{name} already exists ({owner}) and stays"),
            format!(
                "{rename}; or delete or rename {name} first; without `moved_from`, {former} would be deleted instead"
            ),
        )
    }
}
