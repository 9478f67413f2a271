//! Where everything in a document was put: how deep that is, and how much work it may be to put it
//! there.
//!
//! Where two put something at the same place without knowing of each other, the library looks at what
//! is there already, one after the other, to find an order that all agree on. Who writes what nobody
//! would write can make it look at all there is for each of a hundred thousand parts, whenever the
//! document is opened. So it is counted here how much it may have to look at. That is quick, and often
//! far too much; from time to time, `conflicts` counts it exactly.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::update::{Id, Item, Parent, Read};

/// How deep elements may be nested in each other. As JSON, each takes three levels, and with its values
/// and the answer around it a document must stay below the 128 at which readers of JSON often stop.
pub const DEPTH: usize = 32;

/// What is known of the places in a document.
#[derive(Debug, Default)]
pub struct Places {
    /// Everything, by its first place.
    all: BTreeMap<Id, Placed>,
    lists: Vec<List>,
    /// The numbers of the lists.
    named: HashMap<Parent<'static>, usize>,
    /// What was put last at each place. What is within something is behind what is before it there.
    tops: HashMap<Place, Top>,
    /// Of how many parts the document may consist.
    parts: u64,
    /// How many parts the library may have looked at since that was last set to nothing.
    pub looked_at: u64,
    /// How much the library may have copied to split what is there.
    pub copied: u64,
}

#[derive(Debug)]
struct List {
    /// How deep the elements are that are in it.
    depth: usize,
    /// How much is at places where some did not know of each other. Each may have to pass everything
    /// else, whichever of the two comes first.
    disputed: u64,
}

#[derive(Debug, Clone, Copy)]
struct Placed {
    length: u64,
    /// In which list it is; none for what was removed for good.
    list: Option<usize>,
}

/// Where something is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    /// At the beginning of a list.
    Front(usize),
    /// Behind something.
    Behind(Id),
}

/// What was put at a place. Who knows of it puts the next one to the left of it.
#[derive(Debug, Clone, Copy)]
struct Top {
    id: Id,
    /// How much was put there.
    count: u64,
    /// Whether others have put something there who did not know of it.
    is_disputed: bool,
}

impl Places {
    /// Notes what an update brings.
    ///
    /// # Errors
    ///
    /// It is nested too deep, or builds on what it brings later. Some of it is noted then.
    pub fn add(&mut self, update: &Read<'_>) -> Result<(), &'static str> {
        for block in update.in_order(false)? {
            let mut list = None;
            if let Some(item) = &block.item {
                self.split(item.left.map(|(writer, place)| (writer, place + 1)));
                self.split(item.right);
                list = self.list(item);
                if let Some(list) = list {
                    if item.is_element() && self.lists[list].depth > DEPTH {
                        return Err("its elements are nested too deep");
                    }
                    self.looked_at += self.looked_at_for(block.id, item, list);
                    self.parts += 1;
                }
            }
            self.all.insert(block.id, Placed { length: block.length, list });
        }
        for ((writer, first), length) in &update.deletes {
            self.split(Some((*writer, *first)));
            self.split(Some((*writer, first + length)));
        }
        Ok(())
    }

    /// Splits what is there so that something begins at a place. The library copies what it splits.
    fn split(&mut self, at: Option<Id>) {
        let Some((id, (first, placed))) = at.and_then(|id| Some((id, self.at(id)?))) else {
            return;
        };
        let before = id.1 - first.1;
        if before == 0 || placed.list.is_none() {
            return;
        }
        self.all.insert(first, Placed { length: before, ..placed });
        self.all.insert(id, Placed { length: placed.length - before, ..placed });
        let top = Top { id, count: 1, is_disputed: false };
        self.tops.entry(Place::Behind((id.0, id.1 - 1))).or_insert(top);
        self.parts += 1;
        self.copied += placed.length;
    }

    /// What has a place, and where it begins.
    fn at(&self, id: Id) -> Option<(Id, Placed)> {
        let (first, placed) = self.all.range(..=id).next_back()?;
        let is_within = first.0 == id.0 && id.1 < first.1 + placed.length;
        is_within.then_some((*first, *placed))
    }

    fn list_of(&self, id: Option<Id>) -> Option<usize> {
        self.at(id?)?.1.list
    }

    /// The list that something is put into; none if that was removed for good.
    fn list(&mut self, item: &Item<'_>) -> Option<usize> {
        let Some(parent) = &item.parent else {
            return self.list_of(item.left).or_else(|| self.list_of(item.right));
        };
        let depth = match parent.element {
            Some(element) => self.lists[self.list_of(Some(element))?].depth + 1,
            None => 1,
        };
        let name = parent.name.as_ref().map(|name| Cow::Owned(name.to_string()));
        let parent = Parent { element: parent.element, name };
        let new = self.lists.len();
        let list = *self.named.entry(parent).or_insert(new);
        if list == new {
            self.lists.push(List { depth, disputed: 0 });
        }
        Some(list)
    }

    /// How many parts the library may look at to put something in its place, and how many times it may
    /// look at that to put other things in theirs, in whatever order they come.
    fn looked_at_for(&mut self, id: Id, item: &Item<'_>, list: usize) -> u64 {
        let place = match item.left {
            Some(left) if self.list_of(Some(left)).is_some() => Place::Behind(left),
            _ => Place::Front(list),
        };
        let before = self.tops.get(&place).copied();
        let was_disputed = before.is_some_and(|top| top.is_disputed);
        let is_disputed = before.is_some_and(|top| top.is_disputed || item.right != Some(top.id));
        let count = before.map_or(0, |top| top.count) + 1;
        self.tops.insert(place, Top { id, count, is_disputed });
        let list = &mut self.lists[list];
        let passed_by = list.disputed;
        if !is_disputed {
            return passed_by;
        }
        let more = if was_disputed { 1 } else { count };
        list.disputed += more;
        passed_by + more * self.parts
    }
}

#[cfg(test)]
mod tests {
    use yrs::{Doc, ReadTxn, StateVector, Transact, WriteTxn, XmlElementPrelim, XmlFragment};

    use super::*;
    use crate::documents::update::read;

    fn added(doc: &Doc) -> Result<Places, &'static str> {
        let state = doc.transact().encode_state_as_update_v1(&StateVector::default());
        let read = read(&state, &StateVector::default())?;
        let mut places = Places::default();
        places.add(&read)?;
        Ok(places)
    }

    #[test]
    fn elements_in_each_other_are_counted_and_those_beside_each_other_are_not() {
        let made = |depth: usize, width: usize| {
            let doc = Doc::with_client_id(7);
            let mut txn = doc.transact_mut();
            let root = txn.get_or_insert_xml_fragment("xml");
            let mut at = root.push_back(&mut txn, XmlElementPrelim::empty("a"));
            for _ in 1..depth {
                at = at.push_back(&mut txn, XmlElementPrelim::empty("a"));
            }
            for _ in 0..width {
                root.push_back(&mut txn, XmlElementPrelim::empty("b"));
            }
            drop(txn);
            added(&doc).map(|places| places.looked_at)
        };
        assert_eq!(made(20, 5000), Ok(0));
        assert_eq!(made(DEPTH, 0), Ok(0));
        assert_eq!(made(DEPTH + 1, 100), Err("its elements are nested too deep"));
    }
}
