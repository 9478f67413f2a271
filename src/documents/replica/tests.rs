use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use yrs::{WriteTxn, Xml, XmlElementPrelim, XmlFragment};

use super::*;
use crate::documents::places::DEPTH;
use crate::documents::update::ROOT;

fn add(replica: &mut Replica) -> Vec<u8> {
    let work = |txn: &mut TransactionMut<'_>| {
        txn.get_or_insert_xml_fragment(ROOT).push_back(txn, XmlElementPrelim::empty("a"));
        Ok(())
    };
    replica.change(work).unwrap().unwrap()
}

fn remove(replica: &mut Replica) -> Vec<u8> {
    let work = |txn: &mut TransactionMut<'_>| {
        txn.get_or_insert_xml_fragment(ROOT).remove_range(txn, 0, 1);
        Ok(())
    };
    replica.change(work).unwrap().unwrap()
}

#[test]
fn only_what_changes_something_is_told() {
    let (mut one, mut other) = (Replica::default(), Replica::default());
    assert_eq!(one.change(|_| Ok(())), Ok(None));
    let (added, removed) = (add(&mut one), remove(&mut one));
    assert_eq!(other.has(&added), Ok(false));
    assert!(other.apply(&added).unwrap().is_some());
    assert_eq!((other.apply(&added), other.has(&added)), (Ok(None), Ok(true)));
    assert_eq!(other.has(&removed), Ok(false));
    assert!(other.apply(&removed).unwrap().is_some());
    assert_eq!((other.apply(&removed), other.has(&removed)), (Ok(None), Ok(true)));
    // What builds on nothing leaves the document as it was.
    let next = add(&mut one);
    let refused = Replica::default().apply(&next).unwrap_err();
    assert!(!refused.is_broken, "{refused:?}");
    assert!(other.apply(&next).unwrap().is_some());
    assert_eq!(one.state(), other.state());
}

#[test]
fn a_document_gets_no_deeper_than_it_may_be_however_little_each_update_adds() {
    let (one, mut other) = (Replica::default().doc, Replica::default());
    let mut at: Option<yrs::XmlElementRef> = None;
    for depth in 1..=DEPTH + 1 {
        let update = {
            let mut txn = one.transact_mut();
            let root = txn.get_or_insert_xml_fragment(ROOT);
            let new = XmlElementPrelim::empty("a");
            at = Some(match at.take() {
                None => root.push_back(&mut txn, new),
                Some(above) => XmlFragment::push_back(&above, &mut txn, new),
            });
            txn.commit();
            txn.encode_update_v1()
        };
        let before = other.state();
        let applied = other.apply(&update);
        assert_eq!(applied.is_ok(), depth <= DEPTH, "{depth}: {applied:?}");
        // What is refused changes nothing.
        assert_eq!(other.state() == before, depth > DEPTH);
    }
}

/// An update as strangers may write it: what each writer puts between two others.
#[derive(Default)]
struct Odd {
    /// Whether what one writer puts beside each other is joined.
    joins: bool,
    writers: BTreeMap<u64, Vec<Vec<u8>>>,
}

/// The place of something: its writer, and its number.
type Id = (u64, u64);

fn number(mut number: u64, into: &mut Vec<u8>) {
    while number > 0x7f {
        into.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    into.push(u8::try_from(number).unwrap());
}

impl Odd {
    /// Adds an empty value, between two or into the values of an element.
    fn put(
        &mut self,
        writer: u64,
        (left, right): (Option<Id>, Option<Id>),
        into: Option<Id>,
    ) -> Id {
        let blocks = self.writers.entry(writer).or_default();
        let mut block = Vec::new();
        let named = left.or(right).is_none() && into.is_some();
        block.push(
            (if self.joins { 8 } else { 5 })
                | u8::from(left.is_some()) << 7
                | u8::from(right.is_some()) << 6
                | u8::from(named) << 5,
        );
        for (writer, place) in left.into_iter().chain(right) {
            number(writer, &mut block);
            number(place, &mut block);
        }
        if left.or(right).is_none() {
            match into {
                None => block.extend(b"\x01\x03xml"),
                Some((writer, place)) => {
                    block.push(0);
                    number(writer, &mut block);
                    number(place, &mut block);
                    block.extend(b"\x01v");
                }
            }
        }
        // One value: null.
        block.extend(if self.joins { &b"\x01\x7e"[..] } else { b"\x04null" });
        blocks.push(block);
        (writer, blocks.len() as u64 - 1)
    }

    /// What nobody has yet who has so much of each writer.
    fn bytes(&self, known: &BTreeMap<u64, usize>) -> Vec<u8> {
        let new = self.writers.iter().rev().filter_map(|(writer, blocks)| {
            let known = known.get(writer).copied().unwrap_or(0);
            (known < blocks.len()).then_some((*writer, known, &blocks[known..]))
        });
        let mut bytes = Vec::new();
        number(new.clone().count() as u64, &mut bytes);
        for (writer, known, blocks) in new {
            number(blocks.len() as u64, &mut bytes);
            number(writer, &mut bytes);
            number(known as u64, &mut bytes);
            bytes.extend(blocks.concat());
        }
        bytes.push(0);
        bytes
    }

    fn all(&self) -> Vec<u8> {
        self.bytes(&BTreeMap::new())
    }
}

/// How long something that is bounded may take, however slow the machine.
const SOON: Duration = Duration::from_secs(60);

/// What is refused for the work that it is, and soon; the document is as it was.
fn is_disputed(document: &mut Replica, update: &[u8]) {
    let (before, start) = (document.state(), Instant::now());
    let refused = document.apply(update).unwrap_err();
    assert_eq!(refused, NotApplied { what: DISPUTED.to_owned(), is_broken: false });
    assert_eq!(document.state(), before);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    let opened = Replica::of_a_client().apply(&before);
    assert!(opened.is_ok(), "{opened:?}");
    add(document);
}

const MANY: u64 = 20_000;

/// What is refused for the many small parts that it has.
fn is_scattered(document: &mut Replica, update: &[u8]) {
    let (before, start) = (document.state(), Instant::now());
    let refused = document.apply(update).unwrap_err();
    assert_eq!(refused, NotApplied { what: SCATTERED.to_owned(), is_broken: false });
    assert_eq!(document.state(), before);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
fn what_takes_long_to_join_or_to_split_is_refused() {
    // One writes values one after the other, and none of them is joined with the one before.
    let mut document = Replica::default();
    let (mut odd, mut left) = (Odd { joins: true, ..Odd::default() }, None);
    for _ in 0..MANY {
        left = Some(odd.put(1, (left, None), None));
    }
    is_scattered(&mut document, &odd.all());
    // A long text, of which every other letter is deleted, from the end on.
    let length = 3 * MANY;
    let mut text = vec![1, 1, 1, 0, 4, 1, 3, b'x', b'm', b'l'];
    number(length, &mut text);
    text.extend(vec![b'x'; usize::try_from(length).unwrap()]);
    text.push(0);
    document.apply(&text).unwrap();
    let mut deletes = vec![0, 1, 1];
    number(MANY, &mut deletes);
    for place in (0..MANY).rev() {
        number(3 * place, &mut deletes);
        number(1, &mut deletes);
    }
    is_scattered(&mut document, &deletes);
}

#[test]
fn a_value_that_is_set_again_and_again_by_who_knows_of_none_is_refused() {
    let mut document = Replica::default();
    add(&mut document);
    let element = (document.doc.client_id().get(), 0);
    let mut odd = Odd::default();
    for _ in 0..MANY {
        odd.put(1, (None, None), Some(element));
    }
    is_disputed(&mut document, &odd.all());
    // Ten who do so once are taken.
    let mut few = Odd::default();
    for writer in 1..=10 {
        few.put(writer, (None, None), Some(element));
    }
    document.apply(&few.all()).unwrap();
}

/// One has written a long list, and another one puts things before it, each between the beginning
/// and something that is far behind.
#[test]
fn a_long_list_that_is_passed_again_and_again_is_refused() {
    for far in [true, false] {
        let mut document = Replica::default();
        let mut odd = Odd::default();
        let mut left = None;
        for _ in 0..MANY {
            left = Some(odd.put(1, (left, None), None));
        }
        document.apply(&odd.all()).unwrap();
        let known = BTreeMap::from([(1, odd.writers[&1].len())]);
        let mut right = None;
        for place in 0..MANY {
            let new = odd.put(2, (None, right), None);
            right = if far { Some((1, MANY - 1 - place)) } else { Some(new) };
        }
        is_disputed(&mut document, &odd.bytes(&known));
    }
}

/// In the order of their arrival, all of them are quickly put in their places. In the order in which
/// the document is read again they are not, for what a third one writes depends on those of the one
/// who comes last otherwise.
#[test]
fn what_is_much_work_only_when_it_is_read_again_is_refused() {
    let mut document = Replica::default();
    let (mut odd, mut known) = (Odd::default(), BTreeMap::new());
    let mut top = None;
    let start = Instant::now();
    let mut refused = None;
    for place in 0..MANY {
        let next = odd.put(1, (None, top), None);
        odd.put(2, (None, Some(next)), None);
        top = Some(next);
        if place % 2_000 == 1_999 {
            odd.put(9, (top, None), None);
            let update = odd.bytes(&known);
            known = odd.writers.iter().map(|(writer, blocks)| (*writer, blocks.len())).collect();
            if let Err(why) = document.apply(&update) {
                refused = Some(why);
                break;
            }
        }
    }
    assert_eq!(refused, Some(NotApplied { what: DISPUTED.to_owned(), is_broken: false }));
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    let start = Instant::now();
    Replica::default().restore(&document.state()).unwrap();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

/// Ten who do not hear of each other write at one place, most of them at the front.
#[test]
fn ten_writers_are_taken() {
    const EDITS: usize = 1_000;
    let mut room = Replica::default();
    let mut writers: Vec<Replica> = (0..10).map(|_| Replica::default()).collect();
    let mut drawn = fastrand::Rng::with_seed(7);
    for _ in 0..EDITS {
        for writer in &mut writers {
            let update = writer.change(|txn| {
                let root = txn.get_or_insert_xml_fragment(ROOT);
                let count = root.len(txn);
                match drawn.u8(..8) {
                    0 if count > 0 => root.remove_range(txn, drawn.u32(..count), 1),
                    1 if count > 0 => {
                        let at = drawn.u32(..count);
                        let element = root.get(txn, at).and_then(|it| it.into_xml_element());
                        element.unwrap().insert_attribute(txn, "v", "x");
                    }
                    2 => drop(root.push_back(txn, XmlElementPrelim::empty("a"))),
                    _ => drop(root.insert(txn, 0, XmlElementPrelim::empty("a"))),
                }
                Ok(())
            });
            room.apply(&update.unwrap().unwrap()).unwrap();
        }
    }
    Replica::of_a_client().apply(&room.state()).unwrap();
}

#[test]
fn one_writer_with_a_hundred_thousand_edits_is_taken() {
    let (mut room, mut writer) = (Replica::default(), Replica::default());
    for number in 0..10_000_u32 {
        let update = writer.change(|txn| {
            let root = txn.get_or_insert_xml_fragment(ROOT);
            let element = root.insert(txn, 0, XmlElementPrelim::empty("a"));
            for edit in 0..9 {
                element.insert_attribute(txn, "v", format!("{number} {edit}"));
            }
            Ok(())
        });
        room.apply(&update.unwrap().unwrap()).unwrap();
    }
    assert_eq!(room.places.as_ref().map(|places| places.looked_at), Some(0));
    Replica::of_a_client().apply(&room.state()).unwrap();
}
