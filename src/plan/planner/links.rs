//! References: which must hold when the plan is done, and the order that follows from them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ownership, Planner};
use crate::error::Problem;
use crate::kinds::Key;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::listed::few;
use crate::manifest::edit;
use crate::manifest::set::Desired;
use crate::plan::Why;
use crate::plan::order::Edge;
use crate::plan::references::{self, Resolved};
use crate::plan::renames::former_keys;
use crate::plan::{Action, Operation};
use crate::visible;

impl Planner<'_> {
    /// The declared objects that refer to an object.
    pub(super) fn dependents(&self, key: &Key) -> Vec<String> {
        self.desired
            .values()
            .filter(|other| {
                self.known.references(&other.key, &other.fields).iter().any(|(_, to)| match to {
                    Resolved::Object(found) => found == key,
                    _ => false,
                })
            })
            .map(|other| other.key.to_string())
            .collect()
    }

    /// The objects that will be gone when the plan is done.
    pub(super) fn deleted(&self) -> BTreeSet<&Key> {
        self.operations
            .iter()
            .filter(|operation| operation.action() == Action::Delete && !operation.replaces())
            .map(|operation| &operation.key)
            .collect()
    }

    /// Notes what other sets have in a room that is renamed, or refer to by its name: their
    /// documents still use the former name.
    pub(super) fn tell_others_of_renames(&mut self) {
        let is_told = |operation: &&Operation| {
            let is_named = operation.key.kind.kind().is_named_by_others();
            operation.action() == Action::Rename
                && is_named
                && operation.entry.is_some()
                && !self.renames.displaces(&operation.key)
        };
        let mut notes = Vec::new();
        for key in self.operations.iter().filter(is_told).map(|operation| &operation.key) {
            let refers = |other: &Key, fields: &Tree| {
                let mut to = self.known.references(other, fields).into_iter();
                to.any(|(_, resolved)| matches!(resolved, Resolved::Object(found) if found == *key))
            };
            let mut owners: BTreeMap<String, Vec<&Key>> = BTreeMap::new();
            for (other, observed) in &self.state.objects {
                if let Ownership::Foreign(owner) = self.ownership(other, observed)
                    && refers(other, &observed.fields)
                {
                    owners.entry(owner).or_default().push(other);
                }
            }
            let former = self.named_now(key);
            notes.extend(owners.into_iter().map(|(owner, others)| {
                format!(
                    "{former} is renamed to {key}, and the set `{owner}` has {} there: from then on, its documents must say `{}` instead of `{}`",
                    few(others),
                    key.name,
                    former.name
                )
            }));
        }
        self.plan.notes.extend(notes);
    }

    /// Refuses documents that still use the former name of an object.
    pub(super) fn check_former_names(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        if self.renames.is_empty() {
            return Ok(());
        }
        for desired in self.desired.values().filter(|desired| self.is_selected(&desired.key)) {
            for (path, resolved) in self.known.references(&desired.key, &desired.fields) {
                let Resolved::Missing(former) = resolved else { continue };
                let Some(becomes) = self.renames.becomes(&former) else { continue };
                let message = format!(
                    "{} refers to {former}, which this plan renames to {becomes}",
                    desired.key
                );
                let path =
                    path.unwrap_or_else(|| desired.origin.room_field(desired.key.room.as_deref()));
                let problem = desired.origin.problem_at(&path, message);
                problems.push(problem.hint(format!("write `{}` here", becomes.name)));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Every reference of a document must lead to something that stays.
    pub(super) fn check_references(&mut self) {
        let deleted = self.deleted();
        let (mut faults, mut guards) = (Vec::new(), Vec::new());
        for desired in self.desired.values() {
            for (path, resolved) in self.known.references(&desired.key, &desired.fields) {
                let at = |message: String| {
                    let path = path
                        .clone()
                        .unwrap_or_else(|| desired.origin.room_field(desired.key.room.as_deref()));
                    desired.origin.problem_at(&path, message)
                };
                match resolved {
                    Resolved::Missing(to) => {
                        let problem = at(references::missing(&to));
                        faults.push(match (self.renamed_to(&to), self.known.nearest(&to)) {
                            (Some(key), _) => problem
                                .hint(format!("{key} had that name before; write `{}` here", key.name)),
                            (None, Some(near)) => {
                                problem.hint(format!("did you mean `{}`?", visible::line(&near)))
                            }
                            (None, None) => problem.hint(
                                "declare it, fix the name, or name its project with `project:` in the document or with --project-id",
                            ),
                        });
                    }
                    Resolved::Object(to) if deleted.contains(&to) => {
                        let problem = at(format!(
                            "this plan deletes {}, but {} refers to it",
                            self.named_now(&to),
                            desired.key
                        ));
                        faults.push(match self.perhaps_now(&to) {
                            Some(hint) => problem.hint(hint),
                            None => problem,
                        });
                    }
                    Resolved::Object(to) if self.is_unclear(desired, path.as_ref(), &to) => {
                        let message = format!(
                            "the platform has more than one {to}, so it is not clear which one {} means",
                            desired.key
                        );
                        let hint = "delete all but one, or give the id of the one that is meant";
                        faults.push(at(message).hint(hint));
                    }
                    Resolved::Object(to) if self.is_left_out(&desired.key, &to) => {
                        guards.push(at(left_out(&desired.key, &to)).hint(left_out_hint(&to)));
                    }
                    _ => {}
                }
            }
        }
        // Objects that came with a document report the same problem at the same place.
        faults.dedup();
        self.faults.extend(faults);
        self.guards.extend(guards);
        self.check_what_stays();
        self.check_projects();
    }

    /// A document and the platform may differ where fields are left to others, drift is left alone,
    /// or an object is out of scope.
    fn check_what_stays(&mut self) {
        let deleted = self.deleted();
        let mut guards = Vec::new();
        for desired in self.desired.values().filter(|_| !deleted.is_empty()) {
            let key = &desired.key;
            let operations = self.by_key.get(key).into_iter().flatten();
            let mut sent =
                operations.filter_map(|it| self.operations[*it].fields().map(|fields| &**fields));
            let observed = || self.state.objects.get(key).map(|observed| &*observed.fields);
            let Some(fields) = sent.next_back().or_else(observed) else { continue };
            for (path, resolved) in self.known.references(key, fields) {
                let Resolved::Object(to) = resolved else { continue };
                if !deleted.contains(&to) {
                    continue;
                }
                let path =
                    path.unwrap_or_else(|| desired.origin.room_field(desired.key.room.as_deref()));
                let is_ignored = desired.lifecycle.ignore.iter().any(|rule| {
                    FieldPath::parse(rule).is_ok_and(|rule| path.0.starts_with(&rule.0))
                });
                let to = self.named_now(&to);
                let why = match is_ignored {
                    true => "`lifecycle.ignore` leaves that field as it is",
                    false => "this plan leaves that field as it is",
                };
                let message = format!(
                    "{to} would be deleted, but on the platform `{path}` of {key} refers to it, and {why}"
                );
                let option = match self.is_selected(key) {
                    true => "plan without --ignore-drift".to_owned(),
                    false => format!("include {key} in the scope"),
                };
                let hint = match is_ignored {
                    true => format!(
                        "remove `{path}` from `lifecycle.ignore`, point it to something else on the platform, or keep the document of {to}"
                    ),
                    false => format!(
                        "{option}, point it to something else on the platform, or keep the document of {to}"
                    ),
                };
                guards.push(desired.origin.problem_at(&path, message).hint(hint));
            }
        }
        self.guards.extend(guards);
    }

    /// What to do where an object is deleted and the one of its kind that is created may be the
    /// same one, whose document has a new name.
    fn perhaps_now(&self, gone: &Key) -> Option<String> {
        let is_alike = |it: &&Desired| {
            let key = &it.key;
            (key.kind, &key.project, &key.room) == (gone.kind, &gone.project, &gone.room)
                && !self.state.objects.contains_key(key)
                && former_keys(it).is_empty()
        };
        let mut alike = self.desired.values().filter(is_alike);
        let (Some(new), None) = (alike.next(), alike.next()) else { return None };
        Some(format!(
            "if it is {} now, write `lifecycle: {{moved_from: {}}}` into that document ({}), and `{}` here",
            new.key,
            edit::in_flow(&gone.name),
            new.origin.place(),
            visible::line(&new.key.name)
        ))
    }

    /// The object that had this name before, according to a document or an inventory.
    fn renamed_to(&self, former: &Key) -> Option<&Key> {
        let says = |desired: &&Desired| former_keys(desired).contains(former);
        let declared = self.desired.values().find(says).map(|desired| &desired.key);
        declared.or_else(|| self.state.renamed.get(former))
    }

    /// Whether a field names one of several objects of that name.
    fn is_unclear(&self, desired: &Desired, path: Option<&FieldPath>, to: &Key) -> bool {
        let named = path.and_then(|path| desired.fields.at(path)?.as_str());
        self.state.ambiguous.contains(to) && named == Some(&to.name)
    }

    /// Whether the scope leaves out what something in it needs, and the platform lacks it.
    fn is_left_out(&self, key: &Key, to: &Key) -> bool {
        self.is_selected(key) && !self.is_selected(to) && !self.state.objects.contains_key(to)
    }

    /// The same for projects, which no field names.
    fn check_projects(&mut self) {
        let mut guards = Vec::new();
        let all_there = self.state.projects.values().all(|project| project.id.is_some());
        if self.selected.is_none() || all_there {
            return;
        }
        for desired in self.desired.values() {
            let Some(project) = self.state.projects.get(&desired.key.project) else { continue };
            let to = desired.key.project_key();
            if project.id.is_none() && self.is_selected(&desired.key) && !self.is_selected(&to) {
                let path = FieldPath::of(&["project"]);
                let message = left_out(&desired.key, &to);
                let problem = desired.origin.problem_at(&path, message);
                guards.push(problem.hint(left_out_hint(&to)));
            }
        }
        self.guards.extend(guards);
    }

    /// Deleting a room deletes what is in it. So objects that stay as they are, because they belong
    /// to others or are released, must not refer to what is deleted. What somebody may do in it
    /// just goes.
    pub(super) fn check_deleted(&mut self) {
        let deleted = self.deleted();
        let mut guards = Vec::new();
        for (key, observed) in &self.state.objects {
            // Declared objects may refer to something else now; that is checked with the
            // references of documents.
            let is_known = deleted.contains(key) || self.desired.contains_key(key);
            if is_known || key.kind.kind().is_access() {
                continue;
            }
            for (_, resolved) in self.known.references(key, &observed.fields) {
                let Resolved::Object(to) = resolved else { continue };
                if !deleted.contains(&to) {
                    continue;
                }
                let ownership = self.ownership(key, observed);
                let is_ours = matches!(ownership, Ownership::Ours);
                let is_lost = is_ours && self.entry(key).is_none();
                let why = match (to.holds(key), &ownership) {
                    _ if is_lost => format!(
                        "{key}, which refers to it, names the set `{}` as its owner, but the set's inventory does not know it",
                        self.policy.set
                    ),
                    _ if is_ours => format!("{key} refers to it and stays"),
                    (true, Ownership::Foreign(owner)) => {
                        format!("{key} in it is owned by the set `{owner}`")
                    }
                    (false, Ownership::Foreign(owner)) => {
                        format!("{key}, which the set `{owner}` owns, refers to it")
                    }
                    (true, _) => format!("{key} in it is not owned by the set"),
                    (false, _) => format!("{key}, which is not owned by the set, refers to it"),
                };
                let name = self.named_now(&to);
                let hint = match to.is_room() {
                    _ if is_lost => self.way_back(key),
                    true => format!("delete or move {key} first"),
                    false => format!("remove {name} from {key} first, or delete {key}"),
                };
                guards.push(Problem::new(format!("{name} would be deleted, but {why}")).hint(hint));
            }
        }
        self.guards.extend(guards);
    }

    /// Which operation waits for which.
    pub(super) fn edges(&mut self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (index, operation) in self.operations.iter().enumerate() {
            // What an object will refer to must exist before it.
            if let Some(fields) = operation.fields() {
                for (before, is_sure) in self.references_of(operation, fields) {
                    let target = &self.operations[before];
                    // If several objects publish a port, one may go.
                    let goes = target.action() == Action::Delete && !target.replaces();
                    // An object that is referred to by its id exists under any name.
                    let is_there = target.action() == Action::Rename
                        && is_sure
                        && !target.key.kind.kind().is_named_by_others();
                    if target.action() != Action::Release && !goes && !is_there {
                        edges.push((before, index));
                    }
                }
            }
            // What an object refers to now is deleted after it, and renamed before it.
            if let Some(observed) = operation.observed() {
                for (other, is_sure) in self.references_of(operation, &observed.fields) {
                    let target = &self.operations[other];
                    // What keeps referring to a replaced object waits for the new object.
                    let stays = target.replaces() && operation.action() != Action::Delete;
                    // A port may have no service while a name changes hands.
                    let waits = is_sure || !self.is_given_on(operation, &target.key);
                    // What is inside of a room goes with it, so nobody need enter it for that.
                    let goes_along = operation.key.kind.kind().is_inside_rooms()
                        && operation.action() == Action::Delete
                        && !target.replaces();
                    match target.action() {
                        Action::Delete if goes_along => edges.push((other, index)),
                        Action::Delete if !stays && waits => edges.push((index, other)),
                        Action::Rename if target.key.kind.kind().is_named_by_others() => {
                            edges.push((other, index));
                        }
                        _ => {}
                    }
                }
            }
        }
        for (before, after) in &edges {
            let follows = self.operations[*before].action() == Action::Rename;
            self.operations[*after].sequel.follows_rename |= follows;
        }
        edges.extend(self.path_edges());
        edges.extend(self.in_use_edges());
        let names = self.name_edges();
        for (before, after) in &names {
            let is_step = self.operations[*before].key == self.operations[*after].key
                && self.operations[*before].action() == Action::Rename;
            self.operations[*after].sequel.follows_rename |= is_step;
        }
        edges.extend(names);
        edges.extend(self.half_edges(&edges));
        edges
    }

    /// A file goes before another one comes whose path is above or below its own.
    fn path_edges(&self) -> Vec<Edge> {
        let of = |action: Action| {
            let operations = self.operations.iter().enumerate();
            operations.filter(move |(_, it)| {
                let is_meant = it.action() == action && it.reason.why != Why::InItsStead;
                is_meant && it.key.kind.kind().is_inside_rooms()
            })
        };
        let is_below = |one: &str, other: &str| {
            one.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
        };
        let mut edges = Vec::new();
        for (create, new) in of(Action::Create) {
            for (delete, old) in of(Action::Delete) {
                let (new, old) = (&new.key, &old.key);
                let is_there = (&new.project, &new.room) == (&old.project, &old.room);
                let clash = is_below(&new.name, &old.name) || is_below(&old.name, &new.name);
                if is_there && clash {
                    edges.push((delete, create));
                }
            }
        }
        edges
    }

    /// Whether an operation is for what gets the name of something that is deleted.
    fn is_given_on(&self, operation: &Operation, displaced: &Key) -> bool {
        let heir = self.named_now(displaced);
        self.renames.displaces(displaced)
            && operation.fields().is_some_and(|fields| {
                let targets = self.references_of(operation, fields);
                targets.iter().any(|(index, _)| self.operations[*index].key == heir)
            })
    }

    /// The operations on what an object refers to, each with whether it is surely that.
    fn references_of(&self, operation: &Operation, fields: &Tree) -> Vec<(usize, bool)> {
        let mut found = Vec::new();
        for (_, resolved) in self.known.references(&operation.key, fields) {
            let is_sure = matches!(resolved, Resolved::Object(_));
            let keys = match resolved {
                Resolved::Object(key) => vec![key],
                Resolved::Any(keys) => keys,
                Resolved::Missing(_) => Vec::new(),
            };
            let operations = keys.iter().filter_map(|key| self.by_key.get(key)).flatten();
            found.extend(operations.map(|index| (*index, is_sure)));
        }
        found
    }
}

fn left_out(key: &Key, to: &Key) -> String {
    format!("{key} needs {to}, which is out of scope and not on the platform")
}

fn left_out_hint(to: &Key) -> String {
    format!("do not exclude {to}, or apply it first with --target '{to}'")
}
