//! Which elements of a document a pattern matches: their tags, and the names and texts of their
//! values. Formatted texts are not looked at, as in the public SDK.

use serde_json::Value;

use super::schema::{Schema, TEXT};
use super::shape::only;

/// What is looked for.
pub struct Wanted<'a> {
    /// Whether a text matches.
    pub matches: &'a dyn Fn(&str) -> bool,
    /// How many of the elements before and behind one that matches are shown, too.
    pub around: (usize, usize),
}

/// The elements of a document that match, each once, with those around them. The document is as
/// [`super::shape::project`] gives it with ids.
pub fn grep<'a>(schema: &Schema, document: &'a Value, wanted: &Wanted<'_>) -> Vec<&'a Value> {
    let mut found: Vec<&Value> = Vec::new();
    let siblings = std::slice::from_ref(document);
    look(schema, (siblings, 0), wanted, &mut found);
    found
}

fn look<'a>(
    schema: &Schema,
    (siblings, place): (&'a [Value], usize),
    wanted: &Wanted<'_>,
    found: &mut Vec<&'a Value>,
) {
    let Some((tag, fields)) = only(&siblings[place]) else { return };
    let children = schema.element(tag).and_then(|element| element.children.as_ref());
    let children = children.map(|children| children.name.as_str());
    let mut values = fields.iter().filter(|(name, _)| Some(name.as_str()) != children);
    let is_match = (wanted.matches)(tag)
        || values.any(|(name, value)| {
            (wanted.matches)(name) || text(value).is_some_and(|text| (wanted.matches)(&text))
        });
    if is_match {
        let (before, after) = wanted.around;
        let first = place.saturating_sub(before);
        let last = place.saturating_add(after).min(siblings.len() - 1);
        let own = std::iter::once(place);
        for index in own.chain(first..=last) {
            let one = &siblings[index];
            if !found.iter().any(|known| std::ptr::eq(*known, one)) {
                found.push(one);
            }
        }
    }
    if tag == TEXT {
        return;
    }
    let below = children.and_then(|name| fields.get(name)).and_then(Value::as_array);
    for index in 0..below.map_or(0, Vec::len) {
        look(schema, (below.map_or(&[], Vec::as_slice), index), wanted, found);
    }
}

/// A value as a text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_matches_is_found_once_with_what_is_around_it() {
        let list = json!({"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/n"}]}});
        let properties = json!({"n": {"properties": {"v": {"type": "string"}, "of": list}}});
        let source =
            json!({"$root_tag_ref": "#/$defs/n", "$defs": {"n": {"properties": properties}}});
        let schema = Schema::parse(source).unwrap();
        let n = |v: Value| json!({"n": {"v": v, "of": []}});
        let document = json!({"n": {"of": [n(json!("one")), n(json!({"a": 1})), n(Value::Null), {"n": {
            "v": "four", "of": [n(json!("one"))],
        }}]}});
        let found = |text: &str, around: (usize, usize)| -> Vec<String> {
            let matches = |one: &str| one.contains(text);
            let found = grep(&schema, &document, &Wanted { matches: &matches, around });
            found.into_iter().map(|one| one["n"]["v"].to_string()).collect()
        };
        assert_eq!(found("one", (0, 0)), ["\"one\"", "\"one\""]);
        assert_eq!(found("\"a\":1", (0, 0)), ["{\"a\":1}"]);
        assert_eq!(found("\"a\":1", (1, 1)), ["{\"a\":1}", "\"one\"", "null"]);
        assert_eq!(found("four", (9, 9)).len(), 4);
        assert_eq!(found("n", (2, 2)).len(), 6);
        assert_eq!(found("of", (0, 0)), [""; 0]);
    }
}
