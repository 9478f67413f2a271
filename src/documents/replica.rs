//! A copy of a document, here and in a room: each changes its own, and applies what the other one
//! changed.

use yrs::updates::decoder::Decode;
use yrs::{ClientID, Doc, Options, ReadTxn, StateVector, Transact, TransactionMut, Update};

use super::conflicts;
use super::places::Places;
use super::update::{SCATTERED, read};

/// How many parts of a document the library may look at to put all of it in its place, which takes a
/// few seconds. Ten who write a thousand times each at one place, without hearing of each other, make
/// it look at so many.
const MOST: u64 = 25_000_000;

/// How much the library may copy to split what an update puts something into, which is what it splits
/// as a whole each time.
const COPIED: u64 = 500_000_000;

const DISPUTED: &str = "too much was written at one place by some who did not hear of each other; \
    copy what is needed into a new document";

/// A copy of a document.
pub struct Replica {
    /// The document, to be read.
    pub doc: Doc,
    /// What is known of the places in it; none until that is needed again.
    places: Option<Places>,
    is_of_a_client: bool,
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
        Self { doc, places: Some(Places::default()), is_of_a_client: false }
    }
}

impl Replica {
    /// An empty document that may become any that a room has: one may be twice as much work as it was
    /// when that was last counted.
    pub fn of_a_client() -> Self {
        Self { is_of_a_client: true, ..Self::default() }
    }

    /// Applies an update of somebody else; what has changed, if anything did.
    ///
    /// # Errors
    ///
    /// What is wrong with the update.
    pub fn apply(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, NotApplied> {
        match self.noted(bytes) {
            Ok(is_new) => self.put(bytes, is_new),
            Err(what) => {
                // Some of what is not in the document was noted.
                self.places = None;
                Err(NotApplied { what: what.to_owned(), is_broken: false })
            }
        }
    }

    /// Notes what an update brings, unless that is too much work; whether it brings anything.
    fn noted(&mut self, bytes: &[u8]) -> Result<bool, &'static str> {
        let read = read(bytes, &self.doc.transact().state_vector())?;
        if !self.is_of_a_client {
            read.is_in_few_parts()?;
        }
        let mut places = match self.places.take() {
            Some(places) => places,
            None => self.all_places()?,
        };
        let (looked_at, copied) = (places.looked_at, places.copied);
        places.add(&read)?;
        if places.copied - copied > COPIED {
            return Err(SCATTERED);
        }
        // What needs no search is always taken.
        let most = if self.is_of_a_client { 4 * MOST } else { MOST };
        if places.looked_at > looked_at.max(most) {
            if conflicts::exceed(most, &[&self.state(), bytes])? {
                return Err(DISPUTED);
            }
            places.looked_at = 0;
        }
        self.places = Some(places);
        Ok(read.is_new)
    }

    /// What is to be known of the places in the document, as if it had been written at once.
    fn all_places(&self) -> Result<Places, &'static str> {
        let mut places = Places::default();
        places.add(&read(&self.state(), &StateVector::default())?)?;
        places.copied = 0;
        Ok(places)
    }

    /// Applies an update that was taken before, however much work that is.
    ///
    /// # Errors
    ///
    /// What is wrong with the update.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), NotApplied> {
        let broken = |what: &str| NotApplied { what: what.to_owned(), is_broken: true };
        let read = read(bytes, &self.doc.transact().state_vector()).map_err(broken)?;
        self.places = None;
        self.put(bytes, read.is_new).map(drop)
    }

    /// Whether so much was copied to come to what is in the document that it is less work to read
    /// that alone.
    pub fn is_worn(&self) -> bool {
        self.places.as_ref().is_some_and(|places| places.copied > COPIED)
    }

    /// Forgets how the document came to be, as far as that does not matter any more.
    pub fn shorten(&mut self) {
        self.places = None;
    }

    fn put(&self, bytes: &[u8], is_new: bool) -> Result<Option<Vec<u8>>, NotApplied> {
        let broken = |what: String| NotApplied { what, is_broken: true };
        let update = Update::decode_v1(bytes).map_err(|error| broken(error.to_string()))?;
        let mut txn = self.doc.transact_mut();
        txn.apply_update(update).map_err(|error| broken(error.to_string()))?;
        if txn.has_missing_updates() {
            return Err(broken("it builds on something that is not there".to_owned()));
        }
        let is_changed = is_new || !txn.delete_set().is_empty();
        txn.commit();
        Ok(is_changed.then(|| txn.encode_update_v1()))
    }

    /// Changes the document; the update for others, if anything has changed.
    ///
    /// # Errors
    ///
    /// Those of the work; it is nested too deep then. The document may have a part of it then.
    pub fn change(
        &mut self,
        work: impl FnOnce(&mut TransactionMut<'_>) -> Result<(), String>,
    ) -> Result<Option<Vec<u8>>, String> {
        let mut txn = self.doc.transact_mut();
        let before = txn.state_vector();
        work(&mut txn)?;
        txn.commit();
        let is_changed = txn.state_vector() != before || !txn.delete_set().is_empty();
        let update = is_changed.then(|| txn.encode_update_v1());
        drop(txn);
        if let (Some(update), Some(places)) = (&update, &mut self.places) {
            places.add(&read(update, &before)?)?;
        }
        Ok(update)
    }

    /// The whole document as one update.
    pub fn state(&self) -> Vec<u8> {
        self.doc.transact().encode_state_as_update_v1(&StateVector::default())
    }

    /// Whether an update says nothing that is not in the document.
    ///
    /// # Errors
    ///
    /// What is wrong with the update.
    pub fn has(&self, bytes: &[u8]) -> Result<bool, String> {
        let txn = self.doc.transact();
        let about = read(bytes, &txn.state_vector())?;
        let update = Update::decode_v1(bytes).map_err(|error| error.to_string())?;
        let deletes = update.delete_set();
        let is_deleted = || deletes.diff(&txn.snapshot().delete_set).is_empty();
        Ok(!about.is_new && (deletes.is_empty() || is_deleted()))
    }
}

#[cfg(test)]
mod tests;
