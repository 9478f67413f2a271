//! What a set once knew of an object becomes what the set wants again, and a document to
//! read it in. The texts of secrets are not known: in their place stand their fingerprints.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::kinds::Key;
use crate::kinds::document::{Lifecycle, OnDelete};
use crate::kinds::fingerprint::digest;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::recorded::Recorded;
use crate::kinds::tree::{Sealed, Tree};
use crate::manifest::document::Document;
use crate::manifest::export::add_lifecycle;
use crate::manifest::set::{Desired, Origin};
use crate::manifest::source::Source;
use crate::plan::{Entry, Facts};
use crate::visible;

/// How many letters tell one value of a secret from another.
const LETTERS: usize = 8;

/// Where an object of a state stands, as messages have it.
#[must_use]
pub fn name_in(state: u64, key: &Key) -> String {
    format!("history/{state}/{key}")
}

/// The object that a set wants if it is to be as it was recorded in a state; `None` where it is not
/// known that the object was created.
#[must_use]
pub fn wanted(state: u64, key: &Key, entry: &Entry) -> Option<Desired> {
    let fields = entry.applied.as_ref()?.tree();
    let source = Source::new(name_in(state, key), PathBuf::new(), document(key, entry));
    let delete = if entry.orphan { OnDelete::Orphan } else { OnDelete::Delete };
    Some(Desired {
        key: key.clone(),
        fields: Arc::new(fields),
        lifecycle: Lifecycle {
            prevent_destroy: entry.protected,
            ignore: entry.ignore.clone(),
            overwrite: entry.overwrite,
            moved_from: entry.moved_from.clone(),
            delete,
            ..Lifecycle::standard()
        },
        origin: Origin {
            document: Arc::new(Document::of_own(&Arc::new(source), key.kind.kind())),
            derived_from: None,
            brought: entry.brought.clone(),
            value_at: None,
        },
        declared_in: entry.declared_in.clone(),
        sources: entry.sources.clone(),
        content: None,
    })
}

/// An object of a state as a document, for people.
#[must_use]
pub fn document(key: &Key, entry: &Facts) -> String {
    visible::yaml(&value(key, entry))
}

/// An object of a state as a document, as data. In the place of each secret stands where it was
/// read from, and a few letters by which one value differs from another.
#[must_use]
pub fn value(key: &Key, entry: &Facts) -> Value {
    let mut fields = entry.applied.as_ref().map_or_else(|| Tree::map([]), Recorded::tree);
    fields.rewrite_leaves(&mut |way, leaf| {
        let Tree::Secret(sealed) = leaf else { return None };
        let path = way.path().to_string();
        let value = match sealed {
            Sealed::Kept(fingerprint) => {
                format!(" {}", &digest(&format!("{path} {fingerprint}"))[..LETTERS])
            }
            _ => String::new(),
        };
        let from = entry.sources.get(&path).map(|from| format!(", read from {from}"));
        Some(Tree::text(format!("(secret{value}{})", from.unwrap_or_default())))
    });
    let mut document = key.kind.kind().document(key, &fields);
    add_lifecycle(&mut document, entry.kept(), &entry.ignore);
    document
}

/// Whether a path leads into a list, where another item may stand in the same place by now.
#[must_use]
pub fn is_in_list(path: &FieldPath) -> bool {
    path.0.iter().any(|step| !matches!(step, Step::Field(_)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::KindName;
    use crate::kinds::document::ReadFrom;
    use crate::kinds::fingerprint::Fingerprinter;

    #[test]
    fn a_recorded_object_is_wanted_as_it_was_and_reads_without_its_secrets() {
        let key = Key::of(KindName::Secret, "p", "keys");
        let fields = Tree::map([
            ("type", Tree::text("keys")),
            ("data", Tree::map([("A", Tree::secret("canary")), ("B", Tree::secret("hunter"))])),
        ]);
        let fingerprinter = Fingerprinter::slow("salt");
        let entry: Entry = Facts {
            applied: Some(Recorded::of(&fields, &fingerprinter)),
            protected: true,
            sources: [("data.A".to_owned(), ReadFrom::Env("TOKEN".to_owned()))].into(),
            ..Facts::default()
        }
        .into();
        let wanted = wanted(12, &key, &entry).unwrap();
        assert_eq!(wanted.fields.recorded(&fingerprinter), fields.recorded(&fingerprinter));
        assert!(wanted.lifecycle.prevent_destroy && wanted.lifecycle.derive);
        let path = FieldPath::of(&["data", "A"]);
        assert_eq!(wanted.origin.place_of(&path).to_string(), "history/12/Secret/keys:7:3");
        let text = document(&key, &entry);
        assert!(!text.contains("canary") && !text.contains("hunter"), "{text}");
        assert!(text.contains(", read from the environment variable TOKEN)"), "{text}");
        // Another value shows.
        let other = fields.clone();
        let other = Recorded::of(&other, &Fingerprinter::slow("other"));
        let other = entry.but(|it| it.applied = Some(other));
        assert_ne!(document(&key, &other), text);
        let claimed = Facts { claimed: Some((&json!({})).into()), ..Facts::default() };
        assert!(super::wanted(12, &key, &claimed.into()).is_none());
    }
}
