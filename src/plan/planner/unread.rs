//! Plans that are made without knowing what the set owns, because the credential may not read it.

use super::Planner;
use crate::kinds::Key;

impl Planner<'_> {
    /// Whether the credential may not read what the set owns in the project of an object.
    pub(super) fn is_unread(&self, key: &Key) -> bool {
        self.state.unread.contains(&key.project)
    }

    /// Notes what is missing in a plan that was made without knowing what the set owns.
    pub(super) fn tell_unread(&mut self) {
        let set = &self.policy.set;
        self.plan.notes.extend(self.state.unread.iter().map(|project| {
            format!(
                "the credential may not read what the set `{set}` owns in project `{project}`: this plan assumes that the set owns each declared object that exists, and it does not show what would be deleted or whether values of secrets changed"
            )
        }));
    }
}
