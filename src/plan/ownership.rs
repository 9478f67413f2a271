//! Who owns an object, from the view of one set: by the owner mark on the object, or else by the
//! set's inventory.

use super::{Entry, Observed};

/// Who owns an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// The set's.
    Ours,
    /// Nobody's, as far as is known.
    Nobodys,
    /// Another set's.
    Foreign(String),
}

impl Ownership {
    /// The owner of an object that was found under a key, given the set's entry for that key. If
    /// the set only knows that it was about to create an object, `is_as_claimed` says whether it is
    /// this one.
    #[must_use]
    pub fn of(
        set: &str,
        observed: &Observed,
        entry: Option<&Entry>,
        is_as_claimed: impl FnOnce() -> bool,
    ) -> Self {
        match (&observed.owner, entry) {
            (Some(owner), _) if owner == set => Self::Ours,
            (Some(owner), _) => Self::Foreign(owner.clone()),
            (None, Some(entry)) if entry.is_claim_to(observed.id.as_deref()) => {
                if is_as_claimed() {
                    Self::Ours
                } else {
                    Self::Nobodys
                }
            }
            // Another object with the same name: somebody deleted ours and created their own.
            (None, Some(entry))
                if entry.id.is_some() && observed.id.is_some() && entry.id != observed.id =>
            {
                Self::Nobodys
            }
            (None, Some(_)) => Self::Ours,
            (None, None) => Self::Nobodys,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kinds::recorded::Recorded;
    use crate::kinds::tree::Tree;

    fn observed(owner: Option<&str>, id: Option<&str>) -> Observed {
        Observed {
            id: id.map(str::to_owned),
            owner: owner.map(str::to_owned),
            fields: Arc::new(Tree::map([])),
            answered: None,
            revision: None,
            called: None,
            also_called: Vec::new(),
            is_remembered: false,
        }
    }

    fn entry(id: Option<&str>, was_applied: bool) -> Entry {
        let applied = was_applied.then(|| Recorded::from(&serde_json::json!({})));
        crate::plan::Facts { id: id.map(str::to_owned), applied, ..Default::default() }.into()
    }

    #[test]
    fn the_mark_of_an_object_goes_before_what_is_known_of_it() {
        let of = |owner, entry: Option<&Entry>| {
            Ownership::of("s", &observed(Some(owner), Some("1")), entry, || false)
        };
        let other = entry(Some("2"), true);
        assert_eq!(of("s", None), Ownership::Ours);
        assert_eq!(of("s", Some(&other)), Ownership::Ours);
        assert_eq!(of("t", Some(&entry(Some("1"), true))), Ownership::Foreign("t".to_owned()));
    }

    #[test]
    fn without_a_mark_it_is_the_object_that_the_set_knows() {
        let of = |id, entry: Option<&Entry>| {
            Ownership::of("s", &observed(None, id), entry, || panic!("it is no claim"))
        };
        assert_eq!(of(Some("1"), None), Ownership::Nobodys);
        assert_eq!(of(Some("1"), Some(&entry(Some("1"), true))), Ownership::Ours);
        assert_eq!(of(None, Some(&entry(Some("1"), true))), Ownership::Ours);
        assert_eq!(of(Some("1"), Some(&entry(None, true))), Ownership::Ours);
        assert_eq!(of(Some("2"), Some(&entry(Some("1"), true))), Ownership::Nobodys);
        // What was created and not yet recorded as applied is known by its id.
        assert_eq!(of(Some("1"), Some(&entry(Some("1"), false))), Ownership::Ours);
    }

    #[test]
    fn a_claim_alone_tells_nothing() {
        for claim in [entry(Some("1"), false), entry(None, false)] {
            let of = |is_it| Ownership::of("s", &observed(None, Some("2")), Some(&claim), || is_it);
            assert_eq!((of(true), of(false)), (Ownership::Ours, Ownership::Nobodys));
        }
    }
}
