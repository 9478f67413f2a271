//! A platform without HTTP: what the planner sees of one, and what operations do to it. It
//! refuses what would leave a reference behind that leads nowhere.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::generate::Plain;
use crate::plain::{self, Form};
use meshagent::api::spoken::Spoken;
use meshagent::dialect;
use meshagent::kinds::path::FieldPath;
use meshagent::kinds::tree::{Sealed, Tree};
use meshagent::kinds::{self, Key, Kind, KindName, ReferredTo};
use meshagent::manifest::set::{Desired, Set};
use meshagent::plan::fingerprints::Fingerprints;
use meshagent::plan::references::{Known, NamesById, Resolved, name_ids};
use meshagent::plan::{Action, Entry, Inventory, Observed, Operation, Plan, ProjectState, State};
use proptest::sample::Index;

/// An object of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// What tells it apart from all others, under any name.
    pub number: u64,
    id: Option<String>,
    owner: Option<String>,
    /// Secrets are referred to by their ids.
    fields: Tree,
}

impl Object {
    /// The same but for its room, which may have been renamed.
    pub fn without_room(&self) -> Self {
        let mut object = self.clone();
        object.fields.put(&FieldPath::of(&["room"]), None);
        object
    }
}

#[derive(Debug, Clone)]
pub struct Model {
    spoken: Spoken,
    pub objects: BTreeMap<Key, Object>,
    inventories: BTreeMap<String, BTreeMap<Key, Entry>>,
    next: u64,
}

/// What the platform tells of an object: secrets are masked.
fn told(key: &Key, fields: &Tree) -> Tree {
    let mut fields = fields.clone();
    if key.kind == KindName::Secret {
        fields.rewrite_leaves(&mut |_, leaf| match leaf {
            Tree::Secret(_) => Some(Tree::Secret(Sealed::Masked)),
            _ => None,
        });
    }
    fields
}

/// The fields with ids where they say names of secrets.
fn with_ids(key: &Key, fields: &Tree, ids: &Ids) -> Tree {
    let mut fields = fields.clone();
    for reference in key.kind.kind().references(&fields) {
        if let ReferredTo::Object { kind, name, .. } = &reference.to
            && kind.is_referred_to_by_id()
            && let (Some(id), Some(leaf)) = (ids.get(name), fields.at_mut(&reference.path))
        {
            *leaf = Tree::text(id.clone());
        }
    }
    fields
}

/// The ids of secrets by their names.
type Ids = BTreeMap<String, String>;

/// Whether an operation turns a route elsewhere, or deletes it.
fn turns(operation: &Operation, route: &Object) -> bool {
    match operation.fields() {
        Some(fields) => {
            ["room", "port"].iter().any(|name| fields.get(name) != route.fields.get(name))
        }
        None => operation.action() == Action::Delete,
    }
}

/// What was made once is not made again: there are few secrets, and many plans.
static FINGERPRINTS: LazyLock<Fingerprints> = LazyLock::new(|| Fingerprints::new("model"));

impl Model {
    /// An empty one that speaks an API.
    pub fn new(spoken: Spoken) -> Self {
        Self { spoken, objects: BTreeMap::new(), inventories: BTreeMap::new(), next: 0 }
    }

    /// What a set reads before it decides.
    pub fn state(&self, set: &str) -> State {
        let ids = self.ids().into_iter();
        let names: NamesById = ids.map(|(name, id)| ((KindName::Secret, id), name)).collect();
        let observe = |(key, object): (&Key, &Object)| {
            let mut fields = told(key, &object.fields);
            name_ids(key, &mut fields, &names);
            let observed = Observed {
                id: object.id.clone(),
                owner: object.owner.clone(),
                fields: Arc::new(fields),
                answered: None,
                revision: None,
                called: None,
                also_called: Vec::new(),
                is_remembered: false,
            };
            (key.clone(), observed)
        };
        let entries = self.inventories.get(set).cloned().unwrap_or_default();
        let fingerprints = FINGERPRINTS.clone();
        let of_api = |kind: &'static dyn Kind| {
            Some((kind.name(), dialect::of(self.spoken, kind.name()).immutable()?))
        };
        let inventory =
            Inventory { entries, fingerprints, seals: BTreeMap::new(), is_of_other_api: false };
        State {
            projects: BTreeMap::from([(
                "p".to_owned(),
                ProjectState { id: Some("id".to_owned()) },
            )]),
            objects: self.objects.iter().map(observe).collect(),
            inventories: BTreeMap::from([("p".to_owned(), inventory)]),
            immutable: kinds::ALL.into_iter().filter_map(of_api).collect(),
            ..State::default()
        }
    }

    fn ids(&self) -> Ids {
        let secrets = self.objects.iter().filter(|(key, _)| key.kind == KindName::Secret);
        secrets.filter_map(|(key, secret)| Some((key.name.clone(), secret.id.clone()?))).collect()
    }

    /// Whether a set owns an object: it is named as its owner, or, where objects name
    /// none, its inventory has the object that is there.
    pub fn is_owned(&self, key: &Key, set: &str) -> bool {
        let object = &self.objects[key];
        let same_id = |entry: &&Entry| entry.id.is_some() && entry.id == object.id;
        let entries = self.inventories.get(set);
        let entry =
            entries.and_then(|entries| entries.values().find(same_id).or_else(|| entries.get(key)));
        match &object.owner {
            Some(owner) => owner == set && entry.is_some(),
            None => entry.is_some_and(|entry| entry.id.is_none() || entry.id == object.id),
        }
    }

    fn add(&mut self, key: &Key, owner: Option<&str>, fields: &Tree) -> Option<String> {
        self.next += 1;
        let kind = key.kind.kind();
        let id = format!("id-{}", self.next);
        let answer = serde_json::json!({"id": id, "task_id": id});
        let id = dialect::of(self.spoken, key.kind).created_id(&answer);
        let owner = owner.filter(|_| kind.carries_owner()).map(str::to_owned);
        let fields = fields.clone();
        let object = Object { number: self.next, id: id.clone(), owner, fields };
        self.objects.insert(key.clone(), object);
        id
    }

    /// Objects that nobody's inventory knows; what they refer to need not be there.
    pub fn make_by_hand(&mut self, set: &Set) {
        for (key, desired) in &set.objects {
            let is_taken = self.objects.contains_key(key);
            let fields = with_ids(key, &desired.fields, &self.ids());
            if !is_taken && self.dangling(key, &fields).is_empty() {
                self.add(key, None, &fields);
            }
        }
    }

    /// An object goes, with all that refers to it.
    pub fn lose(&mut self, index: Index) {
        let keys: Vec<Key> = self.objects.keys().cloned().collect();
        if !keys.is_empty() {
            self.remove_with_followers(index.get(&keys));
        }
    }

    fn remove_with_followers(&mut self, key: &Key) {
        for follower in self.referring(key) {
            self.remove_with_followers(&follower);
        }
        self.objects.remove(key);
    }

    /// Somebody changes an object by hand.
    pub fn change(&mut self, index: Index) {
        let keys: Vec<Key> = self.objects.keys().cloned().collect();
        if keys.is_empty() {
            return;
        }
        let key = index.get(&keys);
        let fields = &mut self.objects.get_mut(key).unwrap().fields;
        match key.kind {
            KindName::Room => fields.set("room_metadata", Tree::map([("by", Tree::text("hand"))])),
            KindName::Mailbox => fields.set("queue", Tree::text("elsewhere")),
            kind if Plain::kinds().contains(&kind) => {
                let room = fields.get("room").and_then(Tree::as_str).unwrap_or_default();
                let touched = plain::document(kind, "by-hand", room, Form::Touched);
                *fields = plain::declared(kind, &touched).fields;
            }
            _ => {}
        }
    }

    /// Somebody gives an object another name by hand, and what is in it goes along.
    pub fn rename(&mut self, index: Index) {
        let keys: Vec<Key> =
            self.objects.keys().filter(|key| key.kind.kind().is_renamable()).cloned().collect();
        if keys.is_empty() {
            return;
        }
        let key = index.get(&keys);
        let name = format!("{}-by-hand", key.name);
        self.give_name(key, &key.with_name(name));
    }

    /// Gives an object another key.
    fn give_name(&mut self, from: &Key, to: &Key) {
        let Some(object) = self.objects.remove(from) else { return };
        self.objects.insert(to.clone(), object);
        if from.kind != KindName::Room {
            return;
        }
        for (key, mut object) in std::mem::take(&mut self.objects) {
            let is_here = key.project == from.project;
            if is_here && object.fields.get("room").and_then(Tree::as_str) == Some(&from.name) {
                object.fields.set("room", Tree::text(to.name.clone()));
            }
            let is_in_it = is_here && key.room.as_ref() == Some(&from.name);
            let room = if is_in_it { Some(to.name.clone()) } else { key.room.clone() };
            self.objects.insert(key.with_room(room), object);
        }
    }

    /// What an object would refer to that is not there.
    fn dangling(&self, key: &Key, fields: &Tree) -> Vec<String> {
        let (nothing, state) = (BTreeMap::new(), self.state(""));
        let resolved = Known::new(&nothing, &state).references(key, fields).into_iter();
        resolved
            .filter_map(|(_, resolved)| match resolved {
                Resolved::Missing(key) => Some(format!("{key} is not there")),
                _ => None,
            })
            .collect()
    }

    fn referring(&self, to: &Key) -> Vec<Key> {
        let (nothing, state) = (BTreeMap::new(), self.state(""));
        let known = Known::new(&nothing, &state);
        let wanted = Resolved::Object(to.clone());
        let refers = |(key, object): &(&Key, &Object)| {
            let mut resolved = known.references(key, &object.fields).into_iter();
            *key != to && resolved.any(|(_, resolved)| resolved == wanted)
        };
        self.objects.iter().filter(refers).map(|(key, _)| key.clone()).collect()
    }

    /// The routes that lead to a port that only this service publishes.
    fn routes_to(&self, service: &Key) -> Vec<Key> {
        if service.kind != KindName::Service {
            return Vec::new();
        }
        let (nothing, state) = (BTreeMap::new(), self.state(""));
        let known = Known::new(&nothing, &state);
        let wanted = Resolved::Any(vec![service.clone()]);
        let leads = |(key, object): &(&Key, &Object)| {
            let mut resolved = known.references(key, &object.fields).into_iter();
            key.kind == KindName::Route && resolved.any(|(_, resolved)| resolved == wanted)
        };
        self.objects.iter().filter(leads).map(|(key, _)| key.clone()).collect()
    }

    /// Performs a plan, operation by operation, in its order.
    pub fn perform(&mut self, set: &Set, plan: &Plan) -> Result<(), String> {
        let mut entries = plan.kept.clone();
        // Under the names that secrets have when the plan is done.
        let mut ids: Ids =
            plan.ids.iter().map(|(key, id)| (key.name.clone(), id.clone())).collect();
        for operation in &plan.operations {
            let key = operation.sequel.kept_as.as_ref().unwrap_or(&operation.key);
            let id = self.step((set, plan), operation, &ids)?;
            if let Some(id) = id.clone().filter(|_| key.kind == KindName::Secret) {
                ids.insert(key.name.clone(), id);
            }
            match operation.entry.clone() {
                Some(entry) => {
                    let id = id.or(entry.id.clone());
                    entries.insert(key.clone(), entry.but(|it| it.id = id))
                }
                None => entries.remove(key),
            };
        }
        self.inventories.insert(plan.set.clone(), entries);
        Ok(())
    }

    /// Performs one operation; the id of what it makes.
    fn step(
        &mut self,
        (set, plan): (&Set, &Plan),
        operation: &Operation,
        ids: &Ids,
    ) -> Result<Option<String>, String> {
        let key = &operation.key;
        let what = format!("{:?} {key}", operation.action());
        let now = operation.former().unwrap_or(key);
        if let Some(observed) = operation.observed() {
            let object = self.objects.get(now).ok_or(format!("{what}: {now} is not there"))?;
            let is_same = told(key, &object.fields) == with_ids(key, &observed.fields, ids)
                && object.owner == observed.owner;
            if object.id != observed.id || !is_same && !operation.sequel.is_second {
                return Err(format!("{what}: it is not what was looked at"));
            }
            if now != key && self.objects.contains_key(key) {
                return Err(format!("{what}: the name is taken"));
            }
        } else if self.objects.contains_key(key) {
            return Err(format!("{what}: it is there already"));
        }
        let fields = operation.fields().map(|fields| with_ids(key, fields, ids));
        let fields = fields.as_ref();
        let writes = !matches!(operation.action(), Action::Delete | Action::Release);
        if let Some(fields) = fields.filter(|_| writes) {
            let dangling = self.dangling(key, fields);
            if !dangling.is_empty() {
                return Err(format!("{what}: {}", dangling.join(", ")));
            }
            self.publishers_are_there(set, key, fields).map_err(|why| format!("{what}: {why}"))?;
        }
        match operation.action() {
            Action::Create => return Ok(self.add(key, Some(&plan.set), fields.unwrap())),
            Action::Update | Action::Adopt => {
                let owner = key.kind.kind().carries_owner().then(|| plan.set.clone());
                let object = self.objects.get_mut(key).unwrap();
                object.fields = Tree::clone(fields.unwrap());
                object.owner = owner;
            }
            Action::Rename => {
                let owner = key.kind.kind().carries_owner().then(|| plan.set.clone());
                self.give_name(now, key);
                let object = self.objects.get_mut(key).unwrap();
                object.fields = Tree::clone(fields.unwrap());
                object.owner = owner;
            }
            Action::Record => {}
            // Just the inventory lets go of what is gone.
            Action::Release if operation.observed().is_none() => {
                if self.objects.contains_key(key) {
                    return Err(format!("{what}: it is there"));
                }
            }
            Action::Release => {
                let object = self.objects.get_mut(key).unwrap();
                if object.owner.as_ref() == Some(&plan.set) {
                    object.owner = None;
                }
            }
            Action::Delete => {
                // The half of a replacement leaves its references for a moment.
                let mut referring = self.referring(key);
                // What somebody may do in a place goes with it.
                referring.retain(|other| !other.kind.kind().is_access());
                if !operation.replaces() && !referring.is_empty() {
                    return Err(format!("{what}: {referring:?} refers to it"));
                }
                // A route that the plan turns elsewhere, or deletes, goes first.
                // Not so where another service gets the name, and the route is for that one.
                let is_given_on = operation.sequel.kept_as.is_some();
                for route in self.routes_to(key) {
                    let is_pending = plan.operations.iter().any(|other| {
                        other.key == route
                            && turns(other, &self.objects[&route])
                            && !(is_given_on && other.fields().is_some())
                    });
                    if is_pending {
                        return Err(format!("{what}: {route} still leads to it"));
                    }
                }
                self.objects.remove(key);
                // What somebody may do in a place goes with it.
                self.objects.retain(|other, _| !other.kind.kind().is_access() || !key.holds(other));
            }
        }
        Ok(None)
    }

    /// A route comes after every service of the set that is to publish its port.
    fn publishers_are_there(&self, set: &Set, key: &Key, fields: &Tree) -> Result<(), String> {
        let state = self.state("");
        let desired: &BTreeMap<Key, Desired> = &set.objects;
        if key.kind != KindName::Route {
            return Ok(());
        }
        for (_, resolved) in Known::new(desired, &state).references(key, fields) {
            let Resolved::Any(publishers) = resolved else { continue };
            for publisher in publishers.iter().filter(|key| key.kind == KindName::Service) {
                let object = self.objects.get(publisher);
                let port = fields.get("port").and_then(Tree::as_str).unwrap_or_default();
                let is_published = object.is_some_and(|it| {
                    KindName::Service
                        .kind()
                        .published(&it.fields)
                        .into_iter()
                        .any(|known| known == port)
                });
                if !is_published {
                    return Err(format!("{publisher} does not publish {port} yet"));
                }
            }
        }
        Ok(())
    }
}
