//! A copy of a document, here and in a room: each changes its own, and applies what the other one
//! changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use yrs::types::Event;
use yrs::updates::decoder::Decode;
use yrs::{
    ClientID, DeepObservable, Doc, Options, ReadTxn, Transact, TransactionMut, Update, XmlOut,
};

use super::shape;
use super::update::{DEPTH, ROOT, checked};

/// A copy of a document.
pub struct Replica {
    /// The document, to be read.
    pub doc: Doc,
    /// How deep the deepest element is in which something has changed.
    deepest: Arc<AtomicUsize>,
}

/// Why an update was not applied, or not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotApplied {
    /// What is wrong with it.
    pub what: String,
    /// Whether some of it is in the document, which is not to be used any more then.
    pub is_broken: bool,
}

impl Default for Replica {
    /// An empty document. Its writer gets a number of 32 bits, as in Yjs: clients in Python cannot use
    /// the greater ones that the library would draw. It changes nothing by itself.
    fn default() -> Self {
        let options = Options::with_client_id(ClientID::new(u64::from(fastrand::u32(..))));
        let doc = Doc::with_options(Options { cleanup_formatting: false, ..options });
        let deepest = Arc::new(AtomicUsize::new(0));
        watch(&doc, Arc::clone(&deepest));
        Self { doc, deepest }
    }
}

impl Replica {
    /// Applies an update of somebody else; what has changed, if anything did.
    ///
    /// # Errors
    ///
    /// What is wrong with the update.
    pub fn apply(&self, bytes: &[u8]) -> Result<Option<Vec<u8>>, NotApplied> {
        let odd = |what: String| NotApplied { what, is_broken: false };
        let about = checked(bytes, &self.doc.transact().state_vector());
        let about = about.map_err(|what| odd(what.to_owned()))?;
        let update = Update::decode_v1(bytes).map_err(|error| odd(error.to_string()))?;
        let broken = |what: String| NotApplied { what, is_broken: true };
        self.deepest.store(0, Ordering::Relaxed);
        let mut txn = self.doc.transact_mut();
        txn.apply_update(update).map_err(|error| broken(error.to_string()))?;
        if txn.has_missing_updates() {
            return Err(broken("it builds on something that is not there".to_owned()));
        }
        let is_changed = about.is_new || !txn.delete_set().is_empty();
        txn.commit();
        if about.deepens > 0 && self.deepest.load(Ordering::Relaxed) + about.deepens > DEPTH {
            return Err(broken("its elements are nested too deep".to_owned()));
        }
        Ok(is_changed.then(|| txn.encode_update_v1()))
    }

    /// Changes the document; the update for others, if anything has changed.
    ///
    /// # Errors
    ///
    /// Those of the work. The document may have a part of it then.
    pub fn change(
        &self,
        work: impl FnOnce(&mut TransactionMut<'_>) -> Result<(), String>,
    ) -> Result<Option<Vec<u8>>, String> {
        let mut txn = self.doc.transact_mut();
        let before = txn.state_vector();
        work(&mut txn)?;
        txn.commit();
        let is_changed = txn.state_vector() != before || !txn.delete_set().is_empty();
        Ok(is_changed.then(|| txn.encode_update_v1()))
    }

    /// Whether an update says nothing that is not in the document.
    ///
    /// # Errors
    ///
    /// What is wrong with the update.
    pub fn has(&self, bytes: &[u8]) -> Result<bool, String> {
        let txn = self.doc.transact();
        let about = checked(bytes, &txn.state_vector())?;
        let update = Update::decode_v1(bytes).map_err(|error| error.to_string())?;
        let deletes = update.delete_set();
        let is_deleted = || deletes.diff(&txn.snapshot().delete_set).is_empty();
        Ok(!about.is_new && (deletes.is_empty() || is_deleted()))
    }
}

/// Notes how deep what changes in a document is. What is new in something that is new counts for
/// nothing: an update says itself how deep that is.
fn watch(doc: &Doc, deepest: Arc<AtomicUsize>) {
    doc.get_or_insert_xml_fragment(ROOT).observe_deep("depth", move |_, events| {
        for event in events.iter() {
            let node = match event {
                Event::XmlFragment(event) => event.target().clone(),
                Event::XmlText(event) => XmlOut::Text(event.target().clone()),
                _ => continue,
            };
            deepest.fetch_max(shape::depth_of(node), Ordering::Relaxed);
        }
    });
}

#[cfg(test)]
mod tests {
    use yrs::{StateVector, WriteTxn, XmlElementPrelim, XmlFragment};

    use super::*;

    fn add(replica: &Replica) -> Vec<u8> {
        let work = |txn: &mut TransactionMut<'_>| {
            txn.get_or_insert_xml_fragment(ROOT).push_back(txn, XmlElementPrelim::empty("a"));
            Ok(())
        };
        replica.change(work).unwrap().unwrap()
    }

    fn remove(replica: &Replica) -> Vec<u8> {
        let work = |txn: &mut TransactionMut<'_>| {
            txn.get_or_insert_xml_fragment(ROOT).remove_range(txn, 0, 1);
            Ok(())
        };
        replica.change(work).unwrap().unwrap()
    }

    #[test]
    fn only_what_changes_something_is_told() {
        let (one, other) = (Replica::default(), Replica::default());
        assert_eq!(one.change(|_| Ok(())), Ok(None));
        let (added, removed) = (add(&one), remove(&one));
        assert_eq!(other.has(&added), Ok(false));
        assert!(other.apply(&added).unwrap().is_some());
        assert_eq!((other.apply(&added), other.has(&added)), (Ok(None), Ok(true)));
        assert_eq!(other.has(&removed), Ok(false));
        assert!(other.apply(&removed).unwrap().is_some());
        assert_eq!((other.apply(&removed), other.has(&removed)), (Ok(None), Ok(true)));
        // What builds on nothing leaves the document as it was.
        let next = add(&one);
        let refused = Replica::default().apply(&next).unwrap_err();
        assert!(!refused.is_broken, "{refused:?}");
        assert!(other.apply(&next).unwrap().is_some());
        let state =
            |of: &Replica| of.doc.transact().encode_state_as_update_v1(&StateVector::default());
        assert_eq!(state(&one), state(&other));
    }

    #[test]
    fn a_document_gets_no_deeper_than_it_may_be_however_little_each_update_adds() {
        let (one, other) = (Replica::default(), Replica::default());
        let mut at: Option<yrs::XmlElementRef> = None;
        for depth in 1..=DEPTH + 1 {
            let work = |txn: &mut TransactionMut<'_>| {
                let root = txn.get_or_insert_xml_fragment(ROOT);
                let new = XmlElementPrelim::empty("a");
                at = Some(match at.take() {
                    None => root.push_back(txn, new),
                    Some(above) => XmlFragment::push_back(&above, txn, new),
                });
                Ok(())
            };
            let update = one.change(work).unwrap().unwrap();
            let applied = other.apply(&update);
            assert_eq!(applied.is_ok(), depth <= DEPTH, "{depth}: {applied:?}");
        }
    }
}
