//! What several kinds have in common on the wire, in every dialect: annotations with the mark of
//! the owner, and names.

use serde_json::{Value, json};

use super::Target;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{KindName, OWNER_ANNOTATION};

/// The annotations to send: the object's own, and the owner's.
pub(super) fn annotations(target: &Target<'_>) -> Value {
    let mut annotations =
        match target.fields.at(&FieldPath::of(&["metadata", "annotations"])).map(Tree::reveal) {
            Some(Value::Object(annotations)) => annotations,
            _ => serde_json::Map::new(),
        };
    if let Some(owner) = target.owner {
        annotations.insert(OWNER_ANNOTATION.to_owned(), owner.into());
    }
    Value::Object(annotations)
}

/// The annotations of an answer without the owner's, as a document has them, and the owner.
pub(super) fn annotated(item: &Value) -> (Value, Option<String>) {
    let mut annotations = item.get("annotations").cloned().unwrap_or(Value::Null);
    let owner = match &mut annotations {
        Value::Object(map) => {
            map.shift_remove(OWNER_ANNOTATION).and_then(|owner| owner.as_str().map(str::to_owned))
        }
        _ => None,
    };
    (json!({ "annotations": annotations }), owner)
}

/// Where a body has the name of its object.
const NAMES: [&str; 6] = [
    "/name",
    "/metadata/name",
    "/address",
    "/domain",
    "/spec/domain",
    "/configuration/metadata/name",
];

/// The name that an answer has in the place of the one that was sent.
pub(super) fn other_name((sent, answer): (&Value, &Value)) -> Option<String> {
    let text = |said: &Value, at: &str| Some(said.pointer(at)?.as_str()?.to_owned());
    NAMES.iter().find_map(|at| {
        let (meant, said) = (text(sent, at)?, text(answer, at)?);
        (meant.to_lowercase() != said.to_lowercase()).then(|| format!("the name `{said}`"))
    })
}

/// A text field of an answer.
pub(super) fn text_of(item: &Value, field: &str) -> Result<String, String> {
    match item.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(format!("the answer has no text in `{field}`")),
    }
}

/// The name in an answer where the platform spells it otherwise than names of the kind are
/// compared.
pub(super) fn own_spelling(kind: KindName, item: &Value, field: &str) -> Option<Value> {
    let given = item.get(field)?.as_str()?;
    (given != kind.kind().natural_name(given)).then(|| json!({ field: given }))
}

/// The name of an object as the platform spells it.
pub(super) fn spelled<'a>(target: &'a Target<'_>, field: &str) -> &'a str {
    let spelled = target.answered.as_ref().and_then(|answered| answered.get(field));
    spelled.and_then(Value::as_str).unwrap_or(target.name)
}
