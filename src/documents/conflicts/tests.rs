use yrs::branch::{Branch, BranchID};
use yrs::updates::decoder::Decode;
use yrs::{Doc, Options, ReadTxn, Transact, Update, WriteTxn, XmlElementPrelim, XmlFragment};

use super::*;
use crate::documents::places::Places;
use crate::documents::update::ROOT;

fn line(updates: &[&[u8]]) -> Line<'static> {
    let mut line = Line { most: u64::MAX, ..Line::default() };
    let mut known = StateVector::default();
    for update in updates {
        for block in read(update, &known).unwrap().in_order(false).unwrap() {
            let (writer, end) = (block.id.0, block.id.1 + block.length);
            // What it is called is not asked for any more.
            let block: Block<'static> = Block { item: block.item.map(owned), ..block };
            line.put(block);
            known.set_max(ClientID::new(writer), u32::try_from(end).unwrap());
        }
    }
    line
}

fn owned(item: Item<'_>) -> Item<'static> {
    let parent = item.parent.map(|parent| Parent {
        element: parent.element,
        name: parent.name.map(|name| name.into_owned().into()),
    });
    Item { parent, ..item }
}

/// The elements of a document as they stand in it.
fn elements(doc: &Doc) -> Vec<Id> {
    let txn = doc.transact();
    let root = txn.get_xml_fragment(ROOT).unwrap();
    let ids = root.children(&txn).map(|child| {
        let element = child.into_xml_element().unwrap();
        match AsRef::<Branch>::as_ref(&element).id() {
            BranchID::Nested(id) => (id.client.get(), u64::from(id.clock)),
            BranchID::Root(name) => panic!("{name}"),
        }
    });
    ids.collect()
}

/// Several write without hearing of each other for a while. What is put in order here is in the order
/// of the library, and no more is looked at than was feared.
#[test]
fn everything_is_where_the_library_has_it() {
    for seed in 0..60 {
        let mut drawn = fastrand::Rng::with_seed(seed);
        let docs: Vec<Doc> = (0..4)
            .map(|_| {
                Doc::with_options(Options::with_client_id(ClientID::new(drawn.u32(..).into())))
            })
            .collect();
        let room = Doc::new();
        let mut sent: Vec<Vec<u8>> = Vec::new();
        let mut heard = [0; 4];
        for _ in 0..200 {
            let who = drawn.usize(..docs.len());
            let mut txn = docs[who].transact_mut();
            let root = txn.get_or_insert_xml_fragment(ROOT);
            let count = root.len(&txn);
            match drawn.u8(..5) {
                0 if count > 0 => root.remove_range(&mut txn, drawn.u32(..count), 1),
                1 | 2 => drop(root.insert(&mut txn, 0, XmlElementPrelim::empty("a"))),
                _ => {
                    root.insert(&mut txn, drawn.u32(..=count), XmlElementPrelim::empty("a"));
                }
            }
            txn.commit();
            sent.push(txn.encode_update_v1());
            drop(txn);
            if drawn.u8(..8) == 0 {
                for update in &sent[heard[who]..] {
                    let update = Update::decode_v1(update).unwrap();
                    docs[who].transact_mut().apply_update(update).unwrap();
                }
                heard[who] = sent.len();
            }
        }
        let mut places = Places::default();
        let mut known = StateVector::default();
        for update in &sent {
            let read = read(update, &known).unwrap();
            places.add(&read).unwrap();
            room.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
            known = room.transact().state_vector();
        }
        let sent: Vec<&[u8]> = sent.iter().map(Vec::as_slice).collect();
        let state = room.transact().encode_state_as_update_v1(&StateVector::default());
        for updates in [&sent[..], &[&state]] {
            let line = line(updates);
            let mut at = line.lists[line.named[&Parent { element: None, name: None }]].0;
            let mut order = Vec::new();
            while let Some(part) = at {
                let part = line.parts[part];
                order.extend((0..part.length).map(|more| (part.id.0, part.id.1 + more)));
                at = part.next;
            }
            let elements = elements(&room);
            order.retain(|id| elements.contains(id));
            assert_eq!(order, elements, "{seed}");
            let puts = line.parts.len() as u64;
            assert!(line.steps <= puts + places.looked_at, "{seed}: {} steps", line.steps);
        }
    }
}

#[test]
fn what_goes_round_in_a_circle_is_refused() {
    // Two writers, each of whom builds on the other one.
    let update = [2, 1, 2, 0, 0x88, 1, 0, 1, 126, 1, 1, 0, 0x88, 2, 0, 1, 126, 0];
    assert!(exceed(9, &[&update]).is_err());
}
