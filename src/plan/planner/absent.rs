//! What becomes of what is declared and was not met on the platform.

use super::Planner;
use crate::kinds::Key;
use crate::listed::few;
use crate::manifest::set::Desired;
use crate::plan::Entry;
use crate::plan::renames;

impl<'a> Planner<'a> {
    /// Refuses to plan what may exist or not, in one sentence for each kind of a project.
    pub(super) fn refuse_doubted(&mut self) {
        for ((_, _, hint), (reason, objects)) in std::mem::take(&mut self.doubted) {
            let exist = if objects.len() == 1 { "exists" } else { "exist" };
            let names = few(objects.iter().map(|desired| &desired.key));
            let message = format!("it is not known whether {names} {exist}: {reason}");
            if let Some(first) = objects.first() {
                self.guard(first, message, &hint);
            }
        }
    }

    /// What becomes of an object that was not met on the platform.
    pub(super) fn decide_absent(&mut self, desired: &'a Desired) {
        let key = &desired.key;
        if let Some(doubt) = self.state.doubt(key) {
            let (reason, hint) = (doubt.reason.clone(), doubt.hint.clone());
            let alike = (key.project.clone(), key.kind, hint);
            self.doubted.entry(alike).or_insert((reason, Vec::new())).1.push(desired);
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
