//! Whether an update is what it says it is. Updates come from strangers, and the library that applies
//! them takes counts and nesting at their word: one byte may ask for gigabytes, and what is nested as
//! deep as it is long ends the process. So each is read here first, in the first version of the
//! encoding of Yjs.
//!
//! What builds on something that is not there is refused, though the library would let it wait: room
//! and client hear of everything in its order, so nothing that they build on is still to come.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use yrs::{ClientID, StateVector};

/// How deep values may be nested.
const VALUES: usize = 20;

/// How many bytes the library may copy to join parts of one writer that belong together. It begins
/// with the last one, and copies all that it has joined for each that it joins. Who writes in order
/// has joined them already.
const COPIED: u64 = 64 * 1024 * 1024;

/// How large a value is in memory, in bytes.
const VALUE: u64 = 24;

/// The name of what all elements of a document are in.
pub const ROOT: &str = "xml";

const MISSING: &str = "it builds on something that is not there";

const EMPTY: &str = "a block is empty";

/// Said of what takes long to find its place in memory.
pub const SCATTERED: &str = "it is in too many small parts; send it in several updates";

const STRANGE: &str = "it contains something that no document has";

/// The bits of a block that say what precedes its content.
const ORIGIN: u8 = 0x80;
const RIGHT_ORIGIN: u8 = 0x40;
const PARENT_SUB: u8 = 0x20;

/// What a block contains: a text, an element, or values.
const TEXT: u8 = 4;
const ELEMENT: u8 = 7;
const LIST: u8 = 8;

/// The place of something: its writer, and its number among what that one wrote.
pub type Id = (u64, u64);

/// What an update says.
#[derive(Debug)]
pub struct Read<'a> {
    /// What it brings that is not there yet: of each writer, in the order of the numbers. The writer
    /// with the greatest number is the last one.
    writers: Vec<(u64, VecDeque<Block<'a>>)>,
    /// What it deletes: from where on, and how many places.
    pub deletes: Vec<(Id, u64)>,
    /// Whether it brings something that is not there.
    pub is_new: bool,
}

/// How many parts an update may bring, and how many ranges it may delete.
const PARTS: usize = 100_000;

/// A part of an update.
#[derive(Debug, Clone)]
pub struct Block<'a> {
    /// Its first place.
    pub id: Id,
    /// How many places it has.
    pub length: u64,
    /// What it was put beside; none for what was removed for good.
    pub item: Option<Item<'a>>,
}

/// What was put between two others, into the children of an element or behind one of its names.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    /// What was to the left of it.
    pub left: Option<Id>,
    /// What was to the right of it.
    pub right: Option<Id>,
    /// Where it was put, if there was nothing on either side.
    pub parent: Option<Parent<'a>>,
    /// What it is, as its encoding says.
    pub kind: u8,
}

/// What something is put into.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parent<'a> {
    /// The element; none is the document itself.
    pub element: Option<Id>,
    /// The name of the value, if it is one.
    pub name: Option<Cow<'a, str>>,
}

impl Item<'_> {
    /// Whether others can be put into it.
    pub const fn is_element(&self) -> bool {
        self.kind == ELEMENT
    }
}

impl Block<'_> {
    /// What has to be there before it is put in its place.
    fn needs(&self) -> impl Iterator<Item = Id> {
        let item = self.item.as_ref();
        let element = item.and_then(|item| item.parent.as_ref()).and_then(|parent| parent.element);
        let beside = item.map_or([None, None], |item| [item.left, item.right]);
        beside.into_iter().chain([element]).flatten()
    }

    /// Leaves out what is there already.
    fn behind(mut self, known: u64) -> Self {
        let (writer, first) = self.id;
        if let Some(passed) = known.checked_sub(first).filter(|passed| *passed > 0) {
            self.id = (writer, known);
            self.length -= passed;
            if let Some(item) = &mut self.item {
                item.left = Some((writer, known - 1));
                item.parent = None;
            }
        }
        self
    }
}

/// Reads an update for a document that has so much already.
///
/// # Errors
///
/// What is wrong with it.
pub fn read<'a>(bytes: &'a [u8], known: &StateVector) -> Result<Read<'a>, &'static str> {
    let mut reader = Reader { bytes };
    let mut named = Vec::new();
    let mut ends: HashMap<u64, u64> = HashMap::new();
    let has = |writer: u64| u64::from(known.get(&ClientID::new(writer)));
    let mut writers = Vec::new();
    for _ in 0..reader.count()? {
        let (writer, end, blocks) = reader.blocks_of_one(&mut named, has)?;
        if ends.insert(writer, end).is_some() {
            return Err("it has two parts of one writer");
        }
        if !blocks.is_empty() {
            writers.push((writer, blocks));
        }
    }
    let is_there =
        |(writer, place): Id| place < has(writer).max(ends.get(&writer).copied().unwrap_or(0));
    if !named.iter().all(|id| is_there(*id)) {
        return Err(MISSING);
    }
    let mut deleted = HashSet::new();
    let mut deletes = Vec::new();
    for _ in 0..reader.count()? {
        let writer = reader.short()?;
        if !deleted.insert(writer) {
            return Err("it deletes twice of one writer");
        }
        for _ in 0..reader.count()? {
            let (clock, length) = (reader.short()?, reader.short()?);
            let end = within(clock, length)?;
            if length > 0 && !is_there((writer, end - 1)) {
                return Err(MISSING);
            }
            deletes.push(((writer, clock), length));
        }
    }
    if !reader.bytes.is_empty() {
        return Err("it goes on behind its end");
    }
    writers.sort_unstable_by_key(|(writer, _)| *writer);
    let is_new = !writers.is_empty();
    Ok(Read { writers, deletes, is_new })
}

impl<'a> Read<'a> {
    /// Refuses what is in so many parts that it takes long to find each its place in memory. Whole
    /// documents may have as many.
    ///
    /// # Errors
    ///
    /// It has too many.
    pub fn is_in_few_parts(&self) -> Result<(), &'static str> {
        let count: usize = self.writers.iter().map(|(_, blocks)| blocks.len()).sum();
        if count.max(self.deletes.len()) <= PARTS { Ok(()) } else { Err(SCATTERED) }
    }

    /// What it brings, in an order in which everything is behind what it builds on: the one in which
    /// the library puts it into the document, or that with the writers the other way round.
    ///
    /// # Errors
    ///
    /// It builds on something that it brings later.
    pub fn in_order(&self, is_reversed: bool) -> Result<Vec<Block<'a>>, &'static str> {
        let mut writers = self.writers.clone();
        if is_reversed {
            writers.reverse();
        }
        let places: HashMap<u64, usize> =
            writers.iter().enumerate().map(|(place, (writer, _))| (*writer, place)).collect();
        let mut queues: Vec<VecDeque<Block<'a>>> =
            writers.into_iter().map(|(_, blocks)| blocks).collect();
        let mut ordered = Vec::new();
        // From where on something of each writer is still to come.
        let first = |blocks: &VecDeque<Block<'_>>| blocks.front().map(|block| block.id.1);
        let mut left: Vec<Option<u64>> = queues.iter().map(first).collect();
        let mut waiting: Vec<Block<'a>> = Vec::new();
        let mut is_waiting = vec![false; queues.len()];
        for last in (0..queues.len()).rev() {
            while let Some(block) = waiting.pop().or_else(|| queues[last].pop_front()) {
                let place = places[&block.id.0];
                let missing = block.needs().find_map(|(writer, number)| {
                    let other = *places.get(&writer)?;
                    let own = other == place && number >= block.id.1;
                    (own || left[other].is_some_and(|first| number >= first && other != place))
                        .then_some(other)
                });
                match missing {
                    None => {
                        is_waiting[place] = false;
                        left[place] = first(&queues[place]);
                        ordered.push(block);
                    }
                    Some(other) => {
                        is_waiting[place] = true;
                        waiting.push(block);
                        if is_waiting[other] {
                            return Err(MISSING);
                        }
                        waiting.extend(queues[other].pop_front());
                    }
                }
            }
        }
        Ok(ordered)
    }
}

/// Reads what a client says that it has already.
///
/// # Errors
///
/// What is wrong with it.
pub fn checked_vector(bytes: &[u8]) -> Result<(), &'static str> {
    let mut reader = Reader { bytes };
    for _ in 0..reader.count()? {
        reader.id()?;
    }
    if reader.bytes.is_empty() { Ok(()) } else { Err("it goes on behind its end") }
}

/// Clocks are counted in 32 bits, of which the last is left free.
fn within(clock: u64, length: u64) -> Result<u64, &'static str> {
    let end = clock + length;
    if end < 1 << 31 { Ok(end) } else { Err("it counts too far") }
}

/// How much work it is to join the parts of a writer.
#[derive(Default)]
struct Joined {
    /// How many parts belong to the last one.
    count: u64,
    /// What the next one is and has beside it if it belongs to them.
    next: Option<(u8, Id, Option<Id>)>,
    copied: u64,
}

impl Joined {
    /// Counts a part that takes so many bytes.
    fn add(&mut self, block: &Block<'_>, bytes: u64) {
        let last = (block.id.0, block.id.1 + block.length - 1);
        let item = block.item.as_ref().filter(|item| matches!(item.kind, TEXT | LIST));
        let own = item.and_then(|item| Some((item.kind, item.left?, item.right)));
        self.count = if own.is_some() && own == self.next { self.count + 1 } else { 0 };
        self.copied += self.count * bytes.max(block.length * VALUE);
        self.next = item.map(|item| (item.kind, last, item.right));
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or("it ends too early")?;
        self.bytes = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        Ok(self.take(1)?[0])
    }

    /// A number of up to 32 bits. Writers have numbers of as many: clients in Python mistake greater
    /// ones for each other.
    fn short(&mut self) -> Result<u64, &'static str> {
        let mut number = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                let is_short = number <= u64::from(u32::MAX);
                return if is_short { Ok(number) } else { Err("a number is too large") };
            }
        }
        Err("a number is too large")
    }

    /// How many of something follow. Each takes at least one byte.
    fn count(&mut self) -> Result<usize, &'static str> {
        let count = usize::try_from(self.short()?).map_err(|_| "a number is too large")?;
        if count <= self.bytes.len() { Ok(count) } else { Err("it counts more than it contains") }
    }

    fn text(&mut self) -> Result<&'a str, &'static str> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| "a text is not UTF-8")
    }

    fn id(&mut self) -> Result<Id, &'static str> {
        Ok((self.short()?, self.short()?))
    }

    /// The blocks of one writer that are not there yet; who it is, and up to which place they go.
    /// What they name is noted.
    fn blocks_of_one(
        &mut self,
        named: &mut Vec<Id>,
        has: impl Fn(u64) -> u64,
    ) -> Result<(u64, u64, VecDeque<Block<'a>>), &'static str> {
        let count = self.count()?;
        let writer = self.short()?;
        let mut clock = self.short()?;
        let known = has(writer);
        if clock > known {
            return Err(MISSING);
        }
        let mut blocks = VecDeque::new();
        let mut joined = Joined::default();
        for _ in 0..count {
            let before = self.bytes.len();
            let (block, is_gap) = self.block((writer, clock))?;
            joined.add(&block, (before - self.bytes.len()) as u64);
            if joined.copied > COPIED {
                return Err(SCATTERED);
            }
            named.extend(block.needs());
            clock = within(clock, block.length)?;
            if is_gap && clock > known {
                return Err(MISSING);
            }
            if clock > known {
                blocks.push_back(block.behind(known));
            }
        }
        Ok((writer, clock, blocks))
    }

    /// A block, and whether it is left out.
    fn block(&mut self, id: Id) -> Result<(Block<'a>, bool), &'static str> {
        let info = self.byte()?;
        // What was removed, and what is left out.
        if info == 0 || info == 10 {
            let length = self.short()?;
            return match length {
                0 => Err(EMPTY),
                _ => Ok((Block { id, length, item: None }, info == 10)),
            };
        }
        let left = if info & ORIGIN != 0 { Some(self.id()?) } else { None };
        let right = if info & RIGHT_ORIGIN != 0 { Some(self.id()?) } else { None };
        let mut parent = None;
        if left.or(right).is_none() {
            let element = match self.short()? {
                1 if self.text()? == ROOT => None,
                1 => return Err(STRANGE),
                _ => Some(self.id()?),
            };
            let name = if info & PARENT_SUB != 0 { Some(self.text()?.into()) } else { None };
            parent = Some(Parent { element, name });
        }
        let kind = info & 0x1f;
        let length = self.content(kind)?;
        if length == 0 {
            return Err(EMPTY);
        }
        let item = Item { left, right, parent, kind };
        Ok((Block { id, length, item: Some(item) }, false))
    }

    /// The content of a block; how long it is as clocks count.
    fn content(&mut self, kind: u8) -> Result<u64, &'static str> {
        match kind {
            1 => self.short(),
            3 => self.count().and_then(|length| self.take(length)).map(|_| 1),
            TEXT => Ok(self.text()?.encode_utf16().count() as u64),
            5 => self.json().map(|()| 1),
            6 => {
                self.text()?;
                self.json().map(|()| 1)
            }
            ELEMENT => self.shared().map(|()| 1),
            LIST => {
                let count = self.count()?;
                for _ in 0..count {
                    self.value()?;
                }
                Ok(count as u64)
            }
            // Documents in documents, and what no client writes any more.
            _ => Err(STRANGE),
        }
    }

    /// A value in JSON. The parser has a limit of its own to how deep it goes.
    fn json(&mut self) -> Result<(), &'static str> {
        let valid = serde_json::from_str::<serde_json::Value>(self.text()?);
        valid.map(drop).map_err(|_| "a value is not JSON")
    }

    /// An element with its tag, or a text.
    fn shared(&mut self) -> Result<(), &'static str> {
        match self.byte()? {
            3 => self.text().map(drop),
            6 => Ok(()),
            _ => Err(STRANGE),
        }
    }

    /// A value, with all that is in it.
    fn value(&mut self) -> Result<(), &'static str> {
        // What is still to come in each list or map around, and whether it has names.
        let mut open: Vec<(usize, bool)> = Vec::new();
        loop {
            match self.byte()? {
                120 | 121 | 126 | 127 => {}
                125 => self.signed()?,
                124 => self.take(4).map(drop)?,
                122 | 123 => self.take(8).map(drop)?,
                119 => self.text().map(drop)?,
                116 => self.count().and_then(|length| self.take(length)).map(drop)?,
                kind @ (117 | 118) => open.push((self.count()?, kind == 118)),
                _ => return Err("it contains an unknown value"),
            }
            if open.len() > VALUES {
                return Err("its values are nested too deep");
            }
            while open.last().is_some_and(|(left, _)| *left == 0) {
                open.pop();
            }
            let Some((left, is_named)) = open.last_mut() else { return Ok(()) };
            *left -= 1;
            if *is_named {
                self.text()?;
            }
        }
    }

    /// A number with a sign, which takes a bit of its first byte.
    fn signed(&mut self) -> Result<(), &'static str> {
        for _ in 0..10 {
            if self.byte()? < 0x80 {
                return Ok(());
            }
        }
        Err("a number is too long")
    }
}

#[cfg(test)]
mod tests;
