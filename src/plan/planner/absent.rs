//! What becomes of what is declared and was not met on the platform.

use super::Planner;
use crate::kinds::Key;
use crate::listed::few;
use crate::manifest::set::Desired;
use crate::plan::Entry;
use crate::plan::renames;

impl Planner<'_> {
    /// What becomes of an object that was not met on the platform.
    pub(super) fn decide_absent(&mut self, desired: &Desired) {
        let key = &desired.key;
        if let Some(doubt) = self.state.doubt(key) {
            let message = format!("it is not known whether {key} exists: {}", doubt.reason);
            self.guard(desired, message, &doubt.hint);
            return;
        }
        if self.leaves_deleted(key) {
            return;
        }
        let former = renames::open_former_keys(self.state, desired);
        let there: Vec<Key> =
            former.iter().filter(|key| self.state.objects.contains_key(key)).cloned().collect();
        let is_renamable = key.kind.kind().is_renamable();
        if let Some(problem) = renames::ambiguous(desired, &there).filter(|_| !is_renamable) {
            self.guards.push(problem);
            return;
        }
        let reason = match (there.first(), self.entry(key)) {
            (Some(former), _) if !is_renamable => {
                format!("{former} cannot be renamed in place, so {key} is created in its stead")
            }
            (None, None) if !former.is_empty() => {
                self.plan.notes.push(format!(
                    "neither {key} nor {}, which it was, is on the platform; {key} is created",
                    few(&former)
                ));
                "it is not on the platform".to_owned()
            }
            (_, Some(Entry { applied: Some(_), .. })) => {
                "it was deleted behind the set's back".to_owned()
            }
            _ => "it is not on the platform".to_owned(),
        };
        let former = there.first().filter(|_| !is_renamable);
        let operation = self.create(desired, reason, self.heir(desired, former));
        self.push(operation);
    }
}
