//! What happens to objects that the set owns and no longer declares.

use super::{Ownership, Planner, Policy, Prune, fingerprint};
use crate::error::Problem;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, OWNER_ANNOTATION};
use crate::listed::{few, word};
use crate::manifest::declared_in::{DeclaredIn, Miss};
use crate::manifest::of_accounts::came_of;
use crate::manifest::set::Desired;
use crate::plan::renames::former_keys;
use crate::plan::{Effect, Entry, FieldChange, LeftBehind, Observed, Operation, Reason, Why};

/// Why an object that no document declares any more stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stays {
    /// Nothing is pruned.
    NotPruned,
    /// It was not recorded where it was declared.
    Unknown,
    /// What declared it, in this folder, was not looked at. If that is in another repository, the
    /// one of what was.
    Missed(Miss, String, Option<String>),
    /// What declared it, in this folder, was not given and is not there any more.
    Gone(String),
    /// Only what files declare is destroyed, and those that were read do not declare it any more.
    Undeclared(String),
}

/// How an object leaves the set: the platform keeps it, or not.
struct Leaves {
    is_deleted: bool,
    reason: Reason,
}

impl Leaves {
    fn deleted(reason: impl Into<Reason>) -> Self {
        Self { is_deleted: true, reason: reason.into() }
    }

    fn released(reason: impl Into<Reason>) -> Self {
        Self { is_deleted: false, reason: reason.into() }
    }
}

/// What removes the protection of an object.
const OFF: &str = "`lifecycle: {prevent_destroy: false}`";

impl Planner<'_> {
    /// What the set owns and no longer declares.
    pub(super) fn decide_leavers(&mut self) {
        let state = self.state;
        for (key, entry) in state.inventories.values().flat_map(|inventory| &inventory.entries) {
            if !self.desired.contains_key(key) {
                self.decide_leaver(key, entry);
            }
        }
        self.tell_staying();
        self.tell_left_behind();
        for (key, observed) in &state.objects {
            let names_us = observed.owner.as_ref() == Some(&self.policy.set);
            let is_unknown = self.entry(key).is_none() && !self.is_unread(key);
            if names_us && !self.desired.contains_key(key) && is_unknown {
                let way_back = self.way_back(key);
                self.plan.notes.push(format!(
                    "{key} names the set `{}` as its owner, but the set's inventory does not know it; it is left alone; {way_back}",
                    self.policy.set
                ));
            }
        }
    }

    /// How the set gets back an object that has its mark but is missing in its inventory.
    pub(super) fn way_back(&self, key: &Key) -> String {
        let (set, project, flags) = (&self.policy.set, word(&key.project), &self.policy.flags);
        format!(
            "once its document is applied with --set {set}, the set knows it again, and `meshagent export --set {set} --project-id {project}{flags} --dir DIR` writes the document"
        )
    }

    fn decide_leaver(&mut self, key: &Key, entry: &Entry) {
        let observed = self.state.objects.get(key);
        if self.is_migrated(key) {
            self.leave_behind(key, entry);
            return;
        }
        if self.keeps_leaver(key) {
            self.plan.kept.insert(key.clone(), entry.clone());
            return;
        }
        let Some(observed) = observed else {
            if !self.refuse_other_name(key) {
                self.forget(key, entry);
            }
            return;
        };
        let stays = self.stays(key, entry);
        if matches!(stays, Some(Stays::NotPruned)) {
            self.plan.kept.insert(key.clone(), entry.clone());
            return;
        }
        let leaves = match (self.ownership(key, observed), stays) {
            (Ownership::Foreign(owner), _) => Leaves::released(Reason::new(
                Why::OwnedElsewhere,
                format!("the set `{owner}` owns it now"),
            )),
            (Ownership::Nobodys, _) if entry.is_claim_to(observed.id.as_deref()) => {
                Leaves::released(Why::Unclaimed)
            }
            (Ownership::Nobodys, _) => Leaves::released(Why::NameTaken),
            (Ownership::Ours, Some(why)) => {
                *self.staying.entry(why).or_default() += 1;
                // The files that were read do not declare it any more.
                let looked_at = &self.policy.looked_at;
                let entry = entry
                    .clone()
                    .but(|it| it.declared_in.retain(|file| looked_at.miss(file).is_some()));
                self.plan.kept.insert(key.clone(), entry);
                return;
            }
            (Ownership::Ours, None) => match self.why_it_leaves(key, entry) {
                Some(leaves) => leaves,
                None => return,
            },
        };
        let mut leaves = leaves;
        let is_lost = leaves.is_deleted && key.kind.kind().is_inside_rooms();
        let fingerprint = fingerprint(observed, &self.fingerprinter(key), is_lost);
        if is_lost {
            leaves.reason.text += &self.changed_inside(key, entry, observed);
        }
        let (effect, changes) = if leaves.is_deleted {
            let of = observed.clone().into();
            (Effect::Delete { of, former: None, replaces: false }, Vec::new())
        } else {
            let by_id = self.known.by_id(key, &observed.fields);
            let effect = Effect::Release { of: Some(observed.clone().into()), by_id };
            (effect, self.disown(key, observed))
        };
        self.push(Operation {
            changes,
            fingerprint: Some(fingerprint),
            ..Operation::new(key.clone(), effect, leaves.reason)
        });
    }

    /// What becomes of an object of a set that is taken over from another API, and that no document
    /// declares: it stays the set's, unless the platform has no such objects any more.
    fn leave_behind(&mut self, key: &Key, entry: &Entry) {
        let release = |told: &str| {
            let effect = Effect::Release { of: None, by_id: Vec::new() };
            Operation::new(key.clone(), effect, Reason::new(Why::Migrated, told))
        };
        if self.state.alike.contains(key) {
            match self.policy.lets_go {
                true => self.push(release("it is not found on the platform")),
                false => self.tell_alike(key),
            }
            return;
        }
        if !self.state.unspoken.contains(&key.kind) {
            self.plan.kept.insert(key.clone(), entry.clone());
            return;
        }
        // What became of a secret is created from its sources; nothing takes the place of others.
        let is_replaced = !entry.protected && self.desired.keys().any(|other| came_of(other, key));
        if !is_replaced && !self.policy.lets_go {
            self.guards.push(
                Problem::new(format!(
                    "{key} can neither be read nor deleted through this API, and may go on working"
                ))
                .hint("delete it by other means where that is possible, and say --let-go to have the set forget it"),
            );
        }
        self.push(release("this API can neither read nor delete it"));
    }

    /// Refuses to take an object over of which it is not known which one it is.
    pub(super) fn tell_alike(&mut self, key: &Key) {
        let told = format!(
            "it is not known which object {key} is now: the platform shows none that is like it, or several"
        );
        self.guards.push(Problem::new(told).hint(
            "give it its name on the platform (`metadata.name`); or say --let-go to have the set forget it, and create what is declared anew",
        ));
    }

    /// Whether the inventory entry of an object stays as it is: the object is out of scope, or too
    /// little is known to remove it.
    fn keeps_leaver(&mut self, key: &Key) -> bool {
        let name = self.named_now(key);
        let observed = self.state.objects.get(key);
        let scope = &self.policy.scope;
        if !scope.is_everything()
            && !self.renames.displaces(key)
            && !scope.wants_leaver(key, observed.map(|observed| &*observed.fields))
        {
            return true;
        }
        if let Some(document) = self.meant_by(key) {
            self.plan.notes.push(format!(
                "{name} stays as it is: {document} has this former name, but is out of scope"
            ));
            return true;
        }
        // What would be deleted with an object, or be left without it, must be known too.
        let unknown_owner = || self.state.unknown_owners.get(&name).map(|owner| &*owner.reason);
        let doubt = self.state.doubt(key).map(|list| list.reason.as_str());
        let doubt = doubt.or_else(|| self.state.doubt_of_referrers(key));
        if let Some(doubt) = doubt.or_else(unknown_owner) {
            self.plan.notes.push(format!("{name} is not deleted by this run: {doubt}"));
            return true;
        }
        false
    }

    /// How an object leaves its set; `None` if it must not, or if another project of the set takes
    /// it.
    fn why_it_leaves(&mut self, key: &Key, entry: &Entry) -> Option<Leaves> {
        if let Some(to) = &entry.moving_to {
            let told = format!("it is being moved to the set `{to}`");
            return Some(Leaves::released(Reason::new(Why::Moves, told)));
        }
        if self.is_protected(key, entry) {
            let verb = match self.replacement(key) {
                _ if self.policy.destroy => "destroyed".to_owned(),
                Some(becomes) => format!("deleted, because {} takes its place", becomes.key),
                None => "deleted, because no document declares it any more".to_owned(),
            };
            let hint = self.way_to_unprotect(key, entry);
            let told = format!("{} would be {verb}, but it is protected", self.named_now(key));
            self.guards.push(Problem::new(told).hint(hint));
            return None;
        }
        if self.is_orphan(key, entry) {
            return Some(Leaves::released(Why::Orphaned));
        }
        if !key.kind.kind().is_deletable() {
            let told = format!("the platform has no call that deletes a {}", key.kind);
            return Some(Leaves::released(Reason::new(Why::Undeletable, told.to_lowercase())));
        }
        if self.is_wanted_elsewhere(key, entry) {
            return None;
        }
        if self.policy.destroy {
            let is_named = self.declared.contains_key(key) || key.room_key().is_none();
            return Some(Leaves::deleted(match self.policy.looked_at.is_empty() {
                true => Why::Destroyed.into(),
                false if is_named || self.bringer(key, entry).is_some() => {
                    Reason::new(Why::Destroyed, "it is declared in what is destroyed")
                }
                false => Reason::new(Why::Destroyed, "its room is destroyed"),
            }));
        }
        Some(match self.replacement(key) {
            Some(becomes) => Leaves::deleted(Reason::new(
                Why::InItsStead,
                format!("{} is created in its place", becomes.key),
            )),
            None => Leaves::deleted(Why::Undeclared),
        })
    }

    /// The document out of scope that declares an object, or its room, under another name.
    fn meant_by(&self, key: &Key) -> Option<&Key> {
        self.meant.get(key).or_else(|| self.meant.get(&key.room_key()?))
    }

    /// An object that is neither declared nor on the platform leaves the inventory, and the plan
    /// says so: a list may have hidden it. If its file was not read, it stays in the inventory.
    fn forget(&mut self, key: &Key, entry: &Entry) {
        if self.stays(key, entry).is_some() {
            self.plan.kept.insert(key.clone(), entry.clone());
            self.plan.missing.insert(key.clone());
            return;
        }
        let reason = match entry.applied {
            Some(_) => Why::Gone.into(),
            None => {
                Reason::new(Why::Gone, "an earlier run was to create it, but it does not exist")
            }
        };
        let effect = Effect::Release { of: None, by_id: Vec::new() };
        self.push(Operation::new(key.clone(), effect, reason));
        // Where its place is gone, or whom it is for, it is gone with that.
        let with = [key.place_key(), key.named_key()];
        let is_there = with.iter().flatten().all(|key| self.state.objects.contains_key(key));
        if key.kind.kind().is_access() && is_there {
            self.plan.notes.push(format!(
                "{key} leaves the set, because its policy does not show it, and nothing else would: if it is there all the same, it stays"
            ));
        }
    }

    /// Why an object stays although no document declares it any more; `None` if it goes. It stays
    /// if a file that declared it was not read, because that file may still declare it.
    fn stays(&self, key: &Key, entry: &Entry) -> Option<Stays> {
        let Policy { destroy, looked_at, .. } = self.policy;
        match self.policy.prune {
            // Without files everything is destroyed; with files, only what they declare.
            _ if *destroy && (looked_at.is_empty() || self.is_declared(key, entry)) => {
                return None;
            }
            Prune::None if !destroy => return Some(Stays::NotPruned),
            Prune::All if !destroy => return None,
            _ => {}
        }
        if entry.declared_in.is_empty() {
            return Some(Stays::Unknown);
        }
        // A document that was read says that the object moved; another one that still exists may
        // say otherwise.
        let has_moved = self.former.contains(key);
        let mut files = entry.declared_in.iter();
        let unread = files.find_map(|file| {
            let miss = looked_at.miss(file)?;
            let is_settled = has_moved && !looked_at.may_declare(file);
            let own = looked_at.instead_of(file).map(str::to_owned);
            let folder = file.folder(looked_at);
            (!is_settled).then(|| match looked_at.may_declare(file) {
                true => Stays::Missed(miss, folder, own),
                false => Stays::Gone(looked_at.place_of_gone(file)),
            })
        });
        let read = || entry.declared_in.first().filter(|_| *destroy);
        unread.or_else(|| read().map(|file| Stays::Undeclared(file.folder(looked_at))))
    }

    /// Whether the documents declare an object: under this name, under one that it is to get, by a
    /// service that it came with, or by its room, with which it goes.
    fn is_declared(&self, key: &Key, entry: &Entry) -> bool {
        let is_named = |key: &Key| {
            self.declared.contains_key(key)
                || self.declared.values().any(|desired| former_keys(desired).contains(key))
        };
        is_named(key)
            || self.bringer(key, entry).is_some()
            || key.room_key().is_some_and(|room| is_named(&room))
    }

    /// The files that declare an object: the one that was read, and earlier ones that were not read
    /// again.
    pub(super) fn declaring_files(&self, desired: &Desired) -> Vec<DeclaredIn> {
        let mut files: Vec<DeclaredIn> = self.other_files(desired).cloned().collect();
        files.extend(desired.declared_in.iter().cloned());
        files.sort();
        files
    }

    /// The files that declared an object, were not read now, and may still declare it.
    pub(super) fn other_files(&self, desired: &Desired) -> impl Iterator<Item = &'_ DeclaredIn> {
        let looked_at = &self.policy.looked_at;
        // The files of the set from which it came count until a document of this set declares it.
        let known = self.entry(&desired.key).filter(|it| !looked_at.is_empty() && !it.arrived);
        let files = known.into_iter().flat_map(|entry| &entry.declared_in);
        let own = desired.declared_in.clone();
        files.filter(move |file| !own.contains(file) && looked_at.may_declare(file))
    }

    /// Notes which objects stay, and where they are declared.
    fn tell_staying(&mut self) {
        for (why, count) in std::mem::take(&mut self.staying) {
            let (objects, are, they) = match count {
                1 => ("1 object".to_owned(), "is", "it stays"),
                count => (format!("{count} objects"), "are", "they stay"),
            };
            let them = if count == 1 { "it" } else { "them" };
            let way_out = match self.policy.destroy {
                true => format!("without -f, `destroy` deletes {them}, too"),
                false => format!("--prune=all deletes {them}"),
            };
            self.plan.notes.push(match why {
                Stays::NotPruned => continue,
                Stays::Unknown => format!(
                    "{objects} of this set {are} not declared, and there is no record of {their}; {they}. {way_out}",
                    their = if count == 1 { "its file" } else { "their files" },
                ),
                Stays::Missed(Miss::NotGiven, folder, own) => {
                    let own = own.map(|own| format!("; what was given is of {own}"));
                    format!(
                        "{objects} of this set {are} declared in {folder}, which was not given; {they}{}. {way_out}",
                        own.unwrap_or_default()
                    )
                }
                Stays::Gone(folder) => format!(
                    "{objects} of this set {were} declared in {folder}, which no longer exists; {they}. {way_out}",
                    were = if count == 1 { "was" } else { "were" },
                ),
                Stays::Undeclared(folder) => format!(
                    "{objects} of this set {were} declared in {folder}, and {are} not declared there any more; {they}. `apply -f` deletes {them}, and {way_out}",
                    were = if count == 1 { "was" } else { "were" },
                ),
                Stays::Missed(Miss::Skipped, folder, _) => format!(
                    "{objects} of this set {are} declared in a part of {folder} that was skipped; {they}. {way_out}"
                ),
            });
        }
    }

    /// Notes what the set owns in projects that no document names.
    fn tell_left_behind(&mut self) {
        let (set, flags) = (&self.policy.set, &self.policy.flags);
        let mut others = Vec::new();
        for (project, count) in &self.state.elsewhere {
            let (objects, stay, them) = match count {
                1 => ("1 object".to_owned(), "stays", "it"),
                count => (format!("{count} objects"), "stay", "them"),
            };
            self.plan.notes.push(format!(
                "the set `{set}` also owns {objects} in project `{project}`, which {stay}; `meshagent destroy --set {set} --project-id {}{flags}` deletes {them}",
                word(project)
            ));
        }
        for (project, LeftBehind { objects, perhaps_from }) in &self.state.left_behind {
            let (objects, they) = match objects {
                1 => ("1 object".to_owned(), "it stays"),
                count => (format!("{count} objects"), "they stay"),
            };
            let Some(file) = perhaps_from else {
                others.push(format!("{objects} in project `{project}`"));
                continue;
            };
            let named = word(project);
            let destroy = format!("`meshagent destroy --set {set} --project-id {named}{flags}`");
            self.plan.notes.push(format!(
                "the set `{set}` owns {objects} in project `{project}`, which no document names; {they}. The recorded file, {file}, is not in a Git repository, so it may have been another one. If the set moved from there, delete what it left with {destroy}; if an address or a domain moves too, do that first"
            ));
        }
        // From files that were not given: another set may have the same name.
        if !others.is_empty() {
            self.plan.notes.push(format!(
                "sets called `{set}` own objects in projects that no document names, and keep them: {}",
                few(others)
            ));
        }
        let (more, were) = match self.state.unknown_homes {
            0 => return,
            1 => ("1 more project".to_owned(), "was"),
            count => (format!("{count} more projects"), "were"),
        };
        self.plan.notes.push(match self.policy.destroy {
            true => format!(
                "{more} {were} not asked or did not answer, so the set `{set}` may own something there too"
            ),
            false => format!(
                "the set `{set}` is new here, and {more} {were} not asked or did not answer, so it may own something there; if it moved from one of them, `meshagent destroy --set {set} --project-id PROJECT{flags}` deletes what it left"
            ),
        });
    }

    fn is_protected(&self, key: &Key, entry: &Entry) -> bool {
        // Objects that came with a service are as protected as the service.
        if let Some(service) = self.bringer(key, entry) {
            return service.lifecycle.prevent_destroy;
        }
        let declared = [self.declared.get(key), self.replacement(key)];
        entry.protected || declared.iter().flatten().any(|it| it.lifecycle.prevent_destroy)
    }

    /// The declared service that an object came with, if no document declares the object itself.
    fn bringer(&self, key: &Key, entry: &Entry) -> Option<&Desired> {
        let service = entry.brought.as_ref()?.by(&key.project);
        self.declared.get(&service).filter(|_| !self.declared.contains_key(key))
    }

    /// How to remove the protection of an object.
    fn way_to_unprotect(&self, key: &Key, entry: &Entry) -> String {
        let Some(brought) = &entry.brought else {
            return match self.replacement(key) {
                Some(becomes) if !self.policy.destroy => way_to_another_name(key, entry, becomes),
                _ => format!("declare it with {OFF} and apply first"),
            };
        };
        let service = brought.by(&key.project);
        match self.bringer(key, entry) {
            Some(declared) => format!(
                "it came with {service}, which protects it: write {OFF} into the document of {service} ({})",
                declared.origin.place()
            ),
            None => format!(
                "it came with {service}, which protects it: declare {service} with {OFF} and apply first"
            ),
        }
    }

    fn is_orphan(&self, key: &Key, entry: &Entry) -> bool {
        entry.orphan || self.declared.get(key).is_some_and(Desired::is_orphaned)
    }

    /// What is declared in the place of an object that cannot be renamed.
    pub(super) fn replacement(&self, key: &Key) -> Option<&Desired> {
        if key.kind.kind().is_renamable() || !self.former.contains(key) {
            return None;
        }
        let mut declared = self.desired.values();
        declared.find(|it| former_keys(it).contains(key))
    }

    /// A released object must no longer name the set as its owner.
    fn disown(&self, key: &Key, observed: &Observed) -> Vec<FieldChange> {
        let is_named =
            key.kind.kind().carries_owner() && observed.owner.as_ref() == Some(&self.policy.set);
        let change = is_named.then(|| FieldChange {
            path: FieldPath::of(&["metadata", "annotations", OWNER_ANNOTATION]),
            old: observed.owner.clone().map(Tree::Text),
            new: None,
            place: None,
            cause: None,
        });
        change.into_iter().collect()
    }
}

/// How to rename a protected object that must be deleted for that: it may be protected as it was
/// applied, by the document with the new name, or by both.
fn way_to_another_name(key: &Key, entry: &Entry, becomes: &Desired) -> String {
    let before = format!("declare {} with {OFF} and apply that first", word(&key.name));
    let meanwhile = format!(
        "leave `prevent_destroy` out of the document of {} until it is created",
        becomes.key
    );
    let ways = [(entry.protected, before), (becomes.lifecycle.prevent_destroy, meanwhile)];
    let ways: Vec<String> = ways.into_iter().filter(|it| it.0).map(|it| it.1).collect();
    format!(
        "renaming a {} means deleting it and creating it again; to allow that, {}",
        key.kind,
        ways.join(", and ")
    )
}
