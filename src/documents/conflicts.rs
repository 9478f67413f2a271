//! How much the library has to look at to put everything of a document in its place. What it does is
//! done here again, without what is put there: who put something between two others, without knowing
//! of what is there by now, has it put where all agree that it belongs. It is the algorithm of Yjs,
//! in the order of the library, so that the count is its count.

use std::collections::HashMap;

use yrs::{ClientID, StateVector};

use super::update::{Block, Id, Item, Parent, read};

/// Whether the library looks at more than so many parts to apply updates one after the other to an
/// empty document. In which order it puts what several wrote depends on what else there is, so it is
/// counted for both orders of any two writers.
///
/// # Errors
///
/// What is wrong with one of the updates.
pub fn exceed(most: u64, updates: &[&[u8]]) -> Result<bool, &'static str> {
    for is_reversed in [false, true] {
        let mut line = Line { most, ..Line::default() };
        let mut known = StateVector::default();
        for update in updates {
            for block in read(update, &known)?.in_order(is_reversed)? {
                let (writer, end) = (block.id.0, block.id.1 + block.length);
                line.put(block);
                if line.steps > most {
                    return Ok(true);
                }
                known.set_max(ClientID::new(writer), u32::try_from(end).unwrap_or(u32::MAX));
            }
        }
    }
    Ok(false)
}

/// Everything that is in a document, in its lists.
#[derive(Default)]
struct Line<'a> {
    parts: Vec<Part>,
    /// The parts of each writer, in the order of their numbers.
    writers: HashMap<u64, Vec<usize>>,
    /// How each list begins, and how many parts it has.
    lists: Vec<(Option<usize>, u64)>,
    /// The numbers of the lists, and whether they are values of a name.
    named: HashMap<Parent<'a>, usize>,
    /// How many searches there were, and how many times one of them found a better place.
    searches: (u64, u64),
    steps: u64,
    most: u64,
}

#[derive(Clone, Copy)]
struct Part {
    id: Id,
    length: u64,
    left: Option<Id>,
    /// The part that had that at its end when it was last looked for.
    left_part: usize,
    right: Option<Id>,
    /// In which list it is; none for what was removed for good.
    list: Option<usize>,
    next: Option<usize>,
    /// The last search that has come by, and the last place of one that it was behind.
    seen: (u64, u64),
}

impl<'a> Line<'a> {
    /// The part that has a place, and where it is among those of its writer.
    fn find(&self, id: Id) -> Option<(usize, usize)> {
        let of_writer = self.writers.get(&id.0)?;
        let behind = of_writer.partition_point(|part| self.parts[*part].id.1 <= id.1);
        let at = behind.checked_sub(1)?;
        let part = &self.parts[of_writer[at]];
        (id.1 < part.id.1 + part.length).then_some((of_writer[at], at))
    }

    /// The part that another one was put behind.
    fn left_of(&mut self, index: usize) -> Option<usize> {
        let part = &self.parts[index];
        let left = part.left?;
        let known = &self.parts[part.left_part];
        if known.id.0 == left.0 && known.id.1 + known.length == left.1 + 1 {
            return Some(part.left_part);
        }
        let (found, _) = self.find(left)?;
        self.parts[index].left_part = found;
        Some(found)
    }

    /// The part that is in a list and begins with a place. What has it in its middle is split.
    fn beginning(&mut self, id: Id) -> Option<usize> {
        let (index, at) = self.find(id)?;
        let new = self.parts.len();
        let part = &mut self.parts[index];
        part.list?;
        let before = id.1 - part.id.1;
        if before == 0 {
            return Some(index);
        }
        let rest = Part { id, length: part.length - before, left: Some((id.0, id.1 - 1)), ..*part };
        part.length = before;
        part.next = Some(new);
        self.lists[part.list?].1 += 1;
        self.parts.push(rest);
        self.writers.get_mut(&id.0)?.insert(at + 1, new);
        Some(new)
    }

    /// The part that is in a list and ends with a place.
    fn end(&mut self, id: Id) -> Option<usize> {
        let (index, _) = self.find(id)?;
        let part = &self.parts[index];
        part.list?;
        if id.1 + 1 < part.id.1 + part.length {
            self.beginning((id.0, id.1 + 1))?;
        }
        Some(index)
    }

    fn put(&mut self, block: Block<'a>) {
        let Block { id, length, item } = block;
        let mut new = Part {
            id,
            length,
            left: None,
            left_part: 0,
            right: None,
            list: None,
            next: None,
            seen: (0, 0),
        };
        let mut before = None;
        if let Some(item) = item {
            let left = item.left.and_then(|left| self.end(left));
            let right = item.right.and_then(|right| self.beginning(right));
            (new.left, new.right) = (item.left, item.right);
            new.left_part = left.unwrap_or_default();
            new.list = self.list(item, (left, right));
            before = new.list.map(|list| (list, self.place(&new, list, (left, right))));
        }
        let index = self.parts.len();
        if let Some((list, left)) = before {
            let (first, count) = &mut self.lists[list];
            *count += 1;
            let before = match left {
                Some(left) => &mut self.parts[left].next,
                None => first,
            };
            new.next = before.replace(index);
        }
        self.parts.push(new);
        self.writers.entry(id.0).or_default().push(index);
    }

    fn list(
        &mut self,
        item: Item<'a>,
        (left, right): (Option<usize>, Option<usize>),
    ) -> Option<usize> {
        let Some(parent) = item.parent else {
            return self.parts[left.or(right)?].list;
        };
        if let Some(element) = parent.element {
            let (element, _) = self.find(element)?;
            self.parts[element].list?;
        }
        let new = self.lists.len();
        let list = *self.named.entry(parent).or_insert(new);
        if list == new {
            self.lists.push((None, 0));
        }
        Some(list)
    }

    /// Behind which part something new belongs that was put between two; none for the beginning.
    fn place(
        &mut self,
        new: &Part,
        list: usize,
        (mut left, right): (Option<usize>, Option<usize>),
    ) -> Option<usize> {
        let (first, count) = self.lists[list];
        self.steps += 1;
        if left.is_none() && right.is_none() {
            // For the values of a name, it goes from the last one to the first one.
            self.steps += count;
        }
        let mut at = match left {
            Some(left) => self.parts[left].next,
            None => first,
        };
        self.searches.0 += 1;
        self.searches.1 += 1;
        let search = self.searches.0;
        while let Some(index) = at.filter(|at| Some(*at) != right) {
            self.steps += 1;
            if self.steps > self.most {
                break;
            }
            let part = &mut self.parts[index];
            part.seen = (search, self.searches.1);
            let (next, writer) = (part.next, part.id.0);
            if part.left == new.left {
                if writer < new.id.0 {
                    left = Some(index);
                    self.searches.1 += 1;
                } else if part.right == new.right {
                    break;
                }
            } else {
                let Some(before) = self.left_of(index) else { break };
                let (seen, place) = self.parts[before].seen;
                if seen != search {
                    break;
                }
                if place != self.searches.1 {
                    left = Some(index);
                    self.searches.1 += 1;
                }
            }
            at = next;
        }
        left
    }
}

#[cfg(test)]
mod tests;
