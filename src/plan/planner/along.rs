//! What goes with an object that is deleted: what somebody may do in the room that goes, for the
//! account that goes, or for a person who leaves the project; and what is inside of the room. What is
//! lost with what goes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ownership, Planner};
use crate::error::Problem;
use crate::kinds::path::FieldPath;
use crate::kinds::{Held, Key};
use crate::listed::few;
use crate::plan::references::Resolved;
use crate::plan::{Action, Along, Observed, Operation, Why, renames};

/// What other sets own and goes along, by what it goes with and by their names.
type Theirs = BTreeMap<(Key, String), BTreeSet<Key>>;

impl Planner<'_> {
    /// What goes with an object that is deleted must be deleted, too, unless nobody owns it: that is
    /// told.
    pub(super) fn check_what_goes_along(&mut self) {
        let deleted = self.deleted();
        let mut theirs = Theirs::new();
        let mut told = BTreeSet::new();
        for Along { with, set, key } in &self.state.others_along {
            let is_known = deleted.contains(key) || self.desired.contains_key(key);
            if deleted.contains(with) && !is_known && told.insert(key) {
                theirs.entry((with.clone(), set.clone())).or_default().insert(key.clone());
            }
        }
        let (mut guards, mut notes) = (Vec::new(), Vec::new());
        let keys: BTreeSet<&Key> = self.desired.keys().chain(self.state.objects.keys()).collect();
        let access = keys.into_iter().filter(|key| key.kind.kind().is_access());
        for key in access.filter(|key| !deleted.contains(key) && !told.contains(key)) {
            let place = key.place_key().filter(|place| deleted.contains(place));
            let before = self.known.comes_after(key).filter(|before| deleted.contains(before));
            let after = before.filter(|_| place.is_none());
            let ownership = self.state.objects.get(key).map(|it| self.ownership(key, it));
            if let Some(desired) = self.desired.get(key) {
                // That a place or an account is missing is told with the references of documents.
                let Some(before) = after else { continue };
                let told = format!("{}, which is declared", goes(&before, key));
                let path = FieldPath::of(&["metadata", "name"]);
                guards.push(desired.origin.problem_at(&path, told).hint(format!(
                    "keep the document of {before}, or remove the one of {key} as well"
                )));
                continue;
            }
            let named = key.named_key().and_then(|named| match self.known.resolve(named) {
                Resolved::Object(named) => Some(named).filter(|named| deleted.contains(named)),
                _ => None,
            });
            let stays = self.plan.kept.contains_key(key);
            match ownership {
                Some(Ownership::Foreign(owner)) => {
                    if let Some(with) = place.or(named).or(after) {
                        theirs.entry((with, owner)).or_default().insert(key.clone());
                    }
                }
                Some(Ownership::Nobodys) => {
                    let after =
                        after.map(|before| format!("{key}, which no set owns, goes with {before}"));
                    notes.extend(after);
                }
                Some(Ownership::Ours) | None => {
                    let with = place.or(named).filter(|_| stays).or(after);
                    guards.extend(with.map(|with| {
                        Problem::new(format!("{}, which stays in the set", goes(&with, key)))
                            .hint(format!("keep {with}, or delete {key} as well"))
                    }));
                }
            }
        }
        guards.extend(theirs.into_iter().map(refused));
        self.guards.extend(guards);
        self.plan.notes.extend(notes);
    }
}

impl Planner<'_> {
    /// Says with each object that is deleted what is lost with it, and with each one that takes
    /// the place of another. Where its room is deleted as well, it goes whatever it holds.
    pub(super) fn tell_what_is_lost(&mut self) {
        let rooms: BTreeSet<Key> = self.deleted().into_iter().cloned().collect();
        let deletes = self.operations.iter().filter(|it| it.action() == Action::Delete);
        let deleted: BTreeSet<Key> = deletes.map(|it| it.key.clone()).collect();
        for operation in self.operations.iter_mut().filter(|it| it.reason.why == Why::InItsStead) {
            let kind = operation.key.kind.kind();
            let Some(lost) = kind.lost_with_name() else { continue };
            let desired = self.desired.get(&operation.key);
            let former = desired.map(|it| renames::open_former_keys(self.state, it));
            let goes = former.into_iter().flatten().any(|former| deleted.contains(&former));
            operation.reason.text += &match goes || !kind.is_inside_rooms() {
                true => format!(": {lost}"),
                false => "; the former one stays".to_owned(),
            };
        }
        let deletes = |operation: &&mut Operation| {
            operation.action() == Action::Delete && !operation.replaces()
        };
        for operation in self.operations.iter_mut().filter(deletes) {
            let key = &operation.key;
            let goes = key.place_key().is_some_and(|room| rooms.contains(&room));
            let seen = operation.observed().and_then(Observed::sent_back);
            let held = match &seen {
                Some(held) => Held::Known(held),
                None if goes => Held::Gone,
                None => Held::Unseen,
            };
            if let Some(lost) = key.kind.kind().lost_with(held) {
                operation.reason.text += &format!("; {lost}");
            }
        }
    }
}

fn goes(with: &Key, key: &Key) -> String {
    format!("{with} would be deleted, and {key} goes with it")
}

/// Refuses to delete an object with which something of another set goes.
fn refused(((with, owner), keys): ((Key, String), BTreeSet<Key>)) -> Problem {
    let names = few(&keys);
    let go = if keys.len() == 1 { "goes" } else { "go" };
    Problem::new(format!(
        "{with} would be deleted, and {names} {go} with it, which the set `{owner}` owns"
    ))
    .hint(format!("keep {with}, or remove {names} from the set `{owner}` and apply that one first"))
}
