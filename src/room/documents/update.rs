//! Whether an update is what it says it is. Updates come from strangers, and the library that applies
//! them takes counts and nesting at their word: one byte may ask for gigabytes, and what is nested as
//! deep as it is long ends the process. So each is read here first, in the first version of the
//! encoding of Yjs.
//!
//! What builds on something that is not there is refused, though the library would let it wait: room
//! and client hear of everything in its order, so nothing that they build on is still to come.

use std::collections::{HashMap, HashSet};

use yrs::{ClientID, StateVector};

/// How deep values may be nested.
const VALUES: usize = 20;

/// How deep elements may be nested in each other. As JSON, each takes three levels, and with its values
/// and the answer around it a document must stay below the 128 at which readers of JSON often stop.
pub const DEPTH: usize = 32;

/// The name of what all elements of a document are in.
pub const ROOT: &str = "xml";

const MISSING: &str = "it builds on something that is not there";

const STRANGE: &str = "it contains something that no document has";

/// The bits of a block that say what precedes its content.
const ORIGIN: u8 = 0x80;
const RIGHT_ORIGIN: u8 = 0x40;
const PARENT_SUB: u8 = 0x20;

/// The place of something: its writer, and its number among what that one wrote.
type Id = (u64, u64);

/// What is known of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// How much deeper a document can be after it.
    pub deepens: usize,
    /// Whether it brings something that is not there.
    pub is_new: bool,
}

/// Reads an update for a document that has so much already.
///
/// # Errors
///
/// What is wrong with it.
pub fn checked(bytes: &[u8], known: &StateVector) -> Result<Checked, &'static str> {
    let mut reader = Reader { bytes };
    let mut items = Items::default();
    let mut ends: HashMap<u64, u64> = HashMap::new();
    let has = |writer: u64| u64::from(known.get(&ClientID::new(writer)));
    let mut is_new = false;
    for _ in 0..reader.count()? {
        let (writer, end) = reader.blocks_of_one(&mut items, has)?;
        is_new |= end > has(writer);
        if ends.insert(writer, end).is_some() {
            return Err("it has two parts of one writer");
        }
    }
    let is_there =
        |(writer, place): Id| place < has(writer).max(ends.get(&writer).copied().unwrap_or(0));
    if !items.named.iter().all(|id| is_there(*id)) {
        return Err(MISSING);
    }
    let mut writers = HashSet::new();
    for _ in 0..reader.count()? {
        let writer = reader.short()?;
        if !writers.insert(writer) {
            return Err("it deletes twice of one writer");
        }
        for _ in 0..reader.count()? {
            let (clock, length) = (reader.short()?, reader.short()?);
            let end = within(clock, length)?;
            if length > 0 && !is_there((writer, end - 1)) {
                return Err(MISSING);
            }
        }
    }
    if !reader.bytes.is_empty() {
        return Err("it goes on behind its end");
    }
    let deepens = items.deepens();
    match deepens <= DEPTH {
        true => Ok(Checked { deepens, is_new }),
        false => Err("its elements are nested too deep"),
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

    /// The blocks of one writer; who it is, and up to which place they go.
    fn blocks_of_one(
        &mut self,
        items: &mut Items,
        has: impl Fn(u64) -> u64,
    ) -> Result<(u64, u64), &'static str> {
        let count = self.count()?;
        let client = self.short()?;
        let mut clock = self.short()?;
        let known = has(client);
        if clock > known {
            return Err(MISSING);
        }
        for _ in 0..count {
            let start = clock;
            let block = self.block(&mut items.named)?;
            clock = within(clock, block.length)?;
            if block.is_gap && clock > known {
                return Err(MISSING);
            }
            if let Some(above) = block.above {
                let is_element = block.is_element;
                items.elements += usize::from(is_element);
                items.all.push(((client, start), Item { length: block.length, above, is_element }));
            }
        }
        Ok((client, clock))
    }

    /// A block. What it names is noted.
    fn block(&mut self, named: &mut Vec<Id>) -> Result<Block, &'static str> {
        let info = self.byte()?;
        // What was removed, and what is left out.
        if info == 0 || info == 10 {
            let length = self.short()?;
            let block = Block { length, above: None, is_element: false, is_gap: info == 10 };
            return if length > 0 { Ok(block) } else { Err("a block is empty") };
        }
        let origin = if info & ORIGIN != 0 { Some(self.id()?) } else { None };
        let right = if info & RIGHT_ORIGIN != 0 { Some(self.id()?) } else { None };
        named.extend(origin.into_iter().chain(right));
        let above = match origin.or(right) {
            Some(beside) => Above::Beside(beside),
            None => {
                let above = match self.short()? {
                    1 if self.text()? == ROOT => Above::Nothing,
                    1 => return Err(STRANGE),
                    _ => {
                        let parent = self.id()?;
                        named.push(parent);
                        Above::Parent(parent)
                    }
                };
                if info & PARENT_SUB != 0 {
                    self.text()?;
                }
                above
            }
        };
        let kind = info & 0x1f;
        let length = self.content(kind)?;
        Ok(Block { length, above: Some(above), is_element: kind == 7, is_gap: false })
    }

    /// The content of a block; how long it is as clocks count.
    fn content(&mut self, kind: u8) -> Result<u64, &'static str> {
        match kind {
            1 => self.short(),
            3 => self.count().and_then(|length| self.take(length)).map(|_| 1),
            4 => Ok(self.text()?.encode_utf16().count() as u64),
            5 => self.json().map(|()| 1),
            6 => {
                self.text()?;
                self.json().map(|()| 1)
            }
            7 => self.shared().map(|()| 1),
            8 => {
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

/// Where a block belongs.
#[derive(Debug, Clone, Copy)]
enum Above {
    /// At the top.
    Nothing,
    /// In this element.
    Parent(Id),
    /// Where this one belongs.
    Beside(Id),
}

struct Block {
    length: u64,
    /// Where it belongs, for what is there.
    above: Option<Above>,
    is_element: bool,
    /// Whether it is left out.
    is_gap: bool,
}

struct Item {
    length: u64,
    above: Above,
    is_element: bool,
}

/// What an update brings.
#[derive(Default)]
struct Items {
    all: Vec<(Id, Item)>,
    /// What its blocks name.
    named: Vec<Id>,
    elements: usize,
}

impl Items {
    /// How deep the elements of the update are nested in each other. Those that are there already
    /// count for nothing.
    fn deepens(mut self) -> usize {
        // One cannot be nested, and most updates bring no more.
        if self.elements <= 1 {
            return self.elements;
        }
        self.all.sort_by_key(|(id, _)| *id);
        let mut depths: HashMap<usize, usize> = HashMap::with_capacity(self.all.len());
        let mut deepest = 0;
        for index in 0..self.all.len() {
            let depth = self.depth(index, &mut depths);
            deepest = deepest.max(depth + usize::from(self.all[index].1.is_element));
        }
        deepest
    }

    /// The item that has a place, with whether it is above.
    fn above(&self, index: usize) -> Option<(usize, bool)> {
        let (id, is_parent) = match self.all[index].1.above {
            Above::Nothing => return None,
            Above::Parent(id) => (id, true),
            Above::Beside(id) => (id, false),
        };
        let behind = self.all.partition_point(|(start, _)| *start <= id);
        let found = behind.checked_sub(1)?;
        let ((client, start), item) = &self.all[found];
        (*client == id.0 && id.1 < start + item.length).then_some((found, is_parent))
    }

    /// In how many elements of the update an item is.
    fn depth(&self, index: usize, depths: &mut HashMap<usize, usize>) -> usize {
        let mut way = Vec::new();
        let mut at = Some((index, false));
        let mut depth = 0;
        while let Some((index, is_parent)) = at {
            if let Some(known) = depths.get(&index) {
                depth = known + usize::from(is_parent);
                break;
            }
            way.push((index, is_parent));
            // Until it is known, so that what goes round in a circle has an end.
            depths.insert(index, 0);
            at = self.above(index);
        }
        while let Some((index, is_parent)) = way.pop() {
            depths.insert(index, depth);
            depth += usize::from(is_parent);
        }
        depth
    }
}

#[cfg(test)]
mod tests {
    use yrs::updates::decoder::Decode;
    use yrs::{
        Any, Doc, Map, ReadTxn, StateVector, Text, Transact, Update, WriteTxn, Xml,
        XmlElementPrelim, XmlFragment, XmlTextPrelim,
    };

    use super::*;

    fn checked(bytes: &[u8]) -> Result<Checked, &'static str> {
        super::checked(bytes, &StateVector::default())
    }

    fn whole(doc: &Doc) -> Vec<u8> {
        doc.transact().encode_state_as_update_v1(&StateVector::default())
    }

    #[test]
    fn what_clients_write_is_taken() {
        let doc = Doc::with_client_id(7);
        let mut txn = doc.transact_mut();
        let root = txn.get_or_insert_xml_fragment("xml");
        let element = root.push_back(&mut txn, XmlElementPrelim::empty("a"));
        let value = Any::from_json(r#"{"a": [1, 2.5, "ü😀", null, true, {"b": [[]]}], "c": {}}"#);
        element.insert_attribute(&mut txn, "v", value.unwrap());
        let text = element.push_back(&mut txn, XmlTextPrelim::new("ä😀b"));
        text.format(&mut txn, 2, 4, [("bold".into(), Any::Bool(true))].into());
        text.remove_range(&mut txn, 0, 2);
        let second = root.push_back(&mut txn, XmlElementPrelim::empty("b"));
        root.remove_range(&mut txn, 0, 1);
        second.push_back(&mut txn, XmlElementPrelim::empty("c"));
        txn.get_or_insert_map("xml").insert(&mut txn, "k", Any::Buffer(vec![1, 2].into()));
        drop(txn);
        let update = whole(&doc);
        assert_eq!(checked(&update), Ok(Checked { deepens: 2, is_new: true }));
        assert_eq!(checked(&[0, 0]), Ok(Checked { deepens: 0, is_new: false }));
        // Whatever is cut off is told, and nothing of it reaches the library.
        for end in 0..update.len() {
            assert!(checked(&update[..end]).is_err(), "{end}");
        }
        assert!(checked(&[&update[..], &[0]].concat()).is_err());
    }

    #[test]
    fn what_is_taken_can_be_applied() {
        let doc = Doc::with_client_id(7);
        let mut txn = doc.transact_mut();
        let root = txn.get_or_insert_xml_fragment("xml");
        let element = root.push_back(&mut txn, XmlElementPrelim::empty("a"));
        element.insert_attribute(&mut txn, "v", Any::from_json(r#"{"a": ["b", 1]}"#).unwrap());
        element.push_back(&mut txn, XmlTextPrelim::new("text"));
        drop(txn);
        let update = whole(&doc);
        // Each byte, changed to each other one.
        for at in 0..update.len() {
            for byte in 0..=u8::MAX {
                let mut odd = update.clone();
                odd[at] = byte;
                if checked(&odd).is_ok() {
                    let update = Update::decode_v1(&odd);
                    let update = update.unwrap_or_else(|error| panic!("{at} {byte}: {error}"));
                    // A reference to nothing is refused there.
                    let _ = Doc::new().transact_mut().apply_update(update);
                }
            }
        }
    }

    #[test]
    fn counts_and_nesting_are_bounded() {
        // One writer, one block: values in the root.
        let block = [1, 1, 7, 0, 8, 1, 3, b'x', b'm', b'l', 1];
        let update = |value: &[u8]| [&block[..], value, &[0]].concat();
        assert_eq!(checked(&update(&[117, 2, 126, 118, 1, 1, b'k', 125, 63])).map(drop), Ok(()));
        let huge = [0xff, 0xff, 0xff, 0x7f];
        for kind in [116, 117, 118, 119] {
            assert!(checked(&update(&[&[kind], &huge[..]].concat())).is_err(), "{kind}");
        }
        let nested = |depth: usize| update(&[[117, 1].repeat(depth), vec![126]].concat());
        assert!(checked(&nested(VALUES)).is_ok());
        assert_eq!(checked(&nested(VALUES + 1)), Err("its values are nested too deep"));
        assert_eq!(checked(&nested(1_000_000)), Err("its values are nested too deep"));
        for odd in [&huge[..], &[1, 0xff, 0xff, 0xff, 0xff, 0x0f, 7, 0], &[0, 1, 7, 1, 0xff]] {
            assert!(checked(odd).is_err(), "{odd:?}");
        }
        // A block that counts up to the end of all numbers.
        let far = [1, 1, 7, 0, 1, 1, 3, b'x', b'm', b'l', 0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        assert_eq!(checked(&far), Err("it counts too far"));
    }

    #[test]
    fn what_builds_on_nothing_is_refused() {
        let doc = Doc::with_client_id(7);
        let other = Doc::with_client_id(8);
        let add = |doc: &Doc| {
            let mut txn = doc.transact_mut();
            txn.get_or_insert_xml_fragment("xml").push_back(&mut txn, XmlElementPrelim::empty("a"));
            txn.commit();
            txn.encode_update_v1()
        };
        let first = add(&doc);
        let second = add(&doc);
        let delete = {
            let mut txn = doc.transact_mut();
            txn.get_or_insert_xml_fragment("xml").remove_range(&mut txn, 0, 1);
            txn.commit();
            txn.encode_update_v1()
        };
        let update = Update::decode_v1(&first).unwrap();
        other.transact_mut().apply_update(update).unwrap();
        let beside = add(&other);
        let known = |updates: &[&Vec<u8>]| {
            let doc = Doc::new();
            for update in updates {
                doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
            }
            doc.transact().state_vector()
        };
        for (update, has, is) in [
            (&first, vec![], Ok(true)),
            (&first, vec![&first], Ok(false)),
            (&second, vec![], Err(MISSING)),
            (&second, vec![&first], Ok(true)),
            (&delete, vec![], Err(MISSING)),
            (&delete, vec![&first], Ok(false)),
            (&beside, vec![], Err(MISSING)),
            (&beside, vec![&first], Ok(true)),
        ] {
            let read = super::checked(update, &known(&has)).map(|about| about.is_new);
            assert_eq!(read, is, "{update:?}");
        }
        // With what is in between left out.
        let gap = yrs::merge_updates_v1([&first, &add(&doc)]).unwrap();
        assert_eq!(super::checked(&gap, &known(&[])), Err(MISSING));
        assert!(super::checked(&gap, &known(&[&first, &second])).is_ok());
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
            checked(&whole(&doc))
        };
        assert_eq!(made(20, 5000), Ok(Checked { deepens: 20, is_new: true }));
        assert_eq!(made(DEPTH, 0), Ok(Checked { deepens: DEPTH, is_new: true }));
        assert_eq!(made(DEPTH + 1, 100), Err("its elements are nested too deep"));
    }
}
