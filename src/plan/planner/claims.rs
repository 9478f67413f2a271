//! What a claim is worth. An apply that was about to create an object, and never learned that
//! it did, leaves one in the inventory. It is no ownership: somebody else may have made the
//! object that is met under its key.

use super::Planner;
use crate::kinds::Key;
use crate::plan::Observed;
use crate::plan::diff::{self, Memory};

impl Planner<'_> {
    /// Whether an object that does not name its owner, met under a claim, is the one that was
    /// to be created. Where objects carry their owner's mark, only that counts. Others are
    /// told by their fields, where no other set has them; what the platform hides is taken to
    /// be as it was sent.
    pub(super) fn is_as_claimed(&self, key: &Key, observed: &Observed) -> bool {
        let kind = key.kind.kind();
        if kind.carries_owner() || self.state.unknown_owners.contains_key(&self.named_now(key)) {
            return false;
        }
        let Some(desired) = self.desired.get(key) else { return false };
        let fingerprinter = self.fingerprinter(key);
        let sent = desired.fields.recorded(&fingerprinter);
        let memory = Memory { fingerprinter: &fingerprinter, applied: Some(&sent) };
        let fields = Some(&*desired.fields);
        diff::changes(kind.shape(), Some(&observed.fields), fields, memory).is_empty()
    }
}
