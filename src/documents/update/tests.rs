use yrs::updates::decoder::Decode;
use yrs::{
    Any, Doc, Map, ReadTxn, StateVector, Text, Transact, Update, WriteTxn, Xml, XmlElementPrelim,
    XmlFragment, XmlTextPrelim,
};

use super::*;

/// Whether an update for an empty document brings anything.
fn checked(bytes: &[u8]) -> Result<bool, &'static str> {
    let read = read(bytes, &StateVector::default())?;
    read.in_order(false).map(|_| read.is_new)
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
    assert_eq!(checked(&update), Ok(true));
    assert_eq!(checked(&[0, 0]), Ok(false));
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
        let read = read(update, &known(&has)).map(|read| read.is_new);
        assert_eq!(read, is, "{update:?}");
    }
    // With what is in between left out.
    let gap = yrs::merge_updates_v1([&first, &add(&doc)]).unwrap();
    assert_eq!(read(&gap, &known(&[])).err(), Some(MISSING));
    assert!(read(&gap, &known(&[&first, &second])).is_ok());
}
