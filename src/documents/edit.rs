//! The smallest edit that makes a document what it should be. What others change at the same time
//! stays, because nothing is touched that is already right.

use serde_json::{Map, Value};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use yrs::{
    GetString, Text, TransactionMut, WriteTxn, Xml, XmlElementPrelim, XmlElementRef, XmlFragment,
    XmlTextRef,
};

use super::schema::{Schema, TEXT};
use super::shape::{self, ID, Writing, from_json, only, split};
use super::update::ROOT;

/// Makes a document what it should be. Both values are as [`shape::project`] gives them, without ids.
///
/// # Errors
///
/// Something is not as the schema wants it; a value of the root element would change, which is not in
/// the document itself. The document may have a part of the edit then.
pub fn edit(
    txn: &mut TransactionMut<'_>,
    schema: &Schema,
    (before, after): (&Value, &Value),
) -> Result<(), String> {
    let (values, old) = shape::given(schema, before)?;
    let (wanted, children) = shape::given(schema, after)?;
    let names = values.keys().chain(wanted.keys());
    if let Some(name) = names.into_iter().find(|name| values.get(*name) != wanted.get(*name)) {
        return Err(format!(
            "{name:?} of the root element {:?} cannot change: clients in Python cannot open a document that has values there",
            schema.root()
        ));
    }
    let root = txn.get_or_insert_xml_fragment(ROOT);
    Editing { writing: Writing { schema } }.children(txn, &root, schema.root(), (&old, &children))
}

struct Editing<'a> {
    writing: Writing<'a>,
}

impl Editing<'_> {
    /// Makes the children of an element what they should be.
    fn children(
        &self,
        txn: &mut TransactionMut<'_>,
        parent: &impl XmlFragment,
        tag: &str,
        (before, after): (&[Value], &[Value]),
    ) -> Result<(), String> {
        if usize::try_from(parent.len(txn)) != Ok(before.len()) {
            return Err(format!("{tag:?} contains something that its schema does not know"));
        }
        let text = |nodes: &[Value]| nodes.iter().map(Value::to_string).collect::<Vec<_>>();
        let steps = capture_diff_slices(Algorithm::Myers, &text(before), &text(after));
        // From the end on, so that places before are what they were.
        for step in steps.into_iter().rev() {
            let (old, new) = (step.old_range(), step.new_range());
            match step {
                DiffOp::Equal { .. } => {}
                _ => self.replace(txn, parent, tag, (old.start, &before[old], &after[new]))?,
            }
        }
        Ok(())
    }

    /// Makes some children of an element what they should be: as many as possible remain who they
    /// are.
    fn replace(
        &self,
        txn: &mut TransactionMut<'_>,
        parent: &impl XmlFragment,
        tag: &str,
        (place, before, after): (usize, &[Value], &[Value]),
    ) -> Result<(), String> {
        let about = self.writing.about(tag)?;
        let number =
            |place: usize| u32::try_from(place).map_err(|_| "too many children".to_owned());
        for index in (0..before.len().max(after.len())).rev() {
            let at = number(place + index)?;
            match (before.get(index), after.get(index)) {
                (Some(old), Some(new)) => {
                    let is_same = only(old).map(|it| it.0) == only(new).map(|it| it.0);
                    let element = parent.get(txn, at).and_then(|node| node.into_xml_element());
                    if let (true, Some(element)) = (is_same, element) {
                        self.element(txn, &element, (old, new))?;
                        continue;
                    }
                    parent.remove_range(txn, at, 1);
                    self.insert(txn, parent, at, (tag, about, new))?;
                }
                (Some(_), None) => parent.remove_range(txn, at, 1),
                // Behind all that were there, the last one first.
                (None, Some(new)) => {
                    let at = number(place + before.len())?;
                    self.insert(txn, parent, at, (tag, about, new))?;
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn insert(
        &self,
        txn: &mut TransactionMut<'_>,
        parent: &impl XmlFragment,
        at: u32,
        (tag, about, node): (&str, &super::schema::Element, &Value),
    ) -> Result<(), String> {
        let (tag, fields) = self.writing.allowed(tag, about, node)?;
        let element = parent.insert(txn, at, XmlElementPrelim::empty(tag));
        self.writing.element(txn, &element, tag, fields)
    }

    /// Makes an element what it should be.
    fn element(
        &self,
        txn: &mut TransactionMut<'_>,
        element: &XmlElementRef,
        (before, after): (&Value, &Value),
    ) -> Result<(), String> {
        let nothing = Map::new();
        let (tag, wanted) = only(after).unwrap_or(("", &nothing));
        let (_, old) = only(before).unwrap_or(("", &nothing));
        let about = self.writing.about(tag)?;
        let of_children = about.children.as_ref().map(|children| children.name.as_str());
        let (values, children) = split(tag, about, wanted)?;
        for (name, value) in &values {
            if name.as_str() != ID && old.get(*name) != Some(value) {
                element.insert_attribute(txn, name.as_str(), from_json(value));
            }
        }
        for name in old.keys() {
            if Some(name.as_str()) != of_children && !wanted.contains_key(name) {
                element.remove_attribute(txn, name);
            }
        }
        let before = of_children.and_then(|name| old.get(name)).and_then(Value::as_array);
        let before = before.map(Vec::as_slice).unwrap_or_default();
        if before == children {
            return Ok(());
        }
        if tag != TEXT {
            return self.children(txn, element, tag, (before, children));
        }
        let text = element.get(txn, 0).and_then(|node| node.into_xml_text());
        match (text, plain(before), plain(children)) {
            (Some(text), Some(before), Some(after)) => {
                spell(txn, &text, &before, &after);
                Ok(())
            }
            // With another format, the text is another one.
            _ => {
                let count = element.len(txn);
                element.remove_range(txn, 0, count);
                shape::text(txn, element, children)
            }
        }
    }
}

/// A text without any format.
fn plain(parts: &[Value]) -> Option<String> {
    let [one] = parts else { return None };
    let delta = only(one).filter(|(tag, _)| *tag == TEXT)?.1.get("delta")?.as_array()?;
    let part = |part: &Value| {
        let attributes = part.get("attributes").and_then(Value::as_object);
        let is_plain = attributes.is_none_or(Map::is_empty);
        part.get("insert").and_then(Value::as_str).filter(|_| is_plain).map(str::to_owned)
    };
    delta.iter().map(part).collect()
}

/// Makes a text what it should be: what differs is replaced, and no more.
fn spell(txn: &mut TransactionMut<'_>, text: &XmlTextRef, before: &str, after: &str) {
    if text.get_string(txn) != before {
        return;
    }
    let same = |pair: &(char, char)| pair.0 == pair.1;
    let length = |pairs: usize, chars: &mut dyn Iterator<Item = char>| -> usize {
        chars.take(pairs).map(char::len_utf8).sum()
    };
    let count = before.chars().zip(after.chars()).take_while(same).count();
    let start = length(count, &mut before.chars());
    let (old, new) = (&before[start..], &after[start..]);
    let count = old.chars().rev().zip(new.chars().rev()).take_while(same).count();
    let end = length(count, &mut old.chars().rev());
    let (old, new) = (&old[..old.len() - end], &new[..new.len() - end]);
    let at = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
    // Documents of this program count texts in bytes.
    text.remove_range(txn, at(start), at(old.len()));
    text.insert(txn, at(start), new);
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use yrs::{ReadTxn, StateVector, Transact};

    use super::*;
    use crate::documents::replica::Replica;

    fn schema() -> Schema {
        let list = json!({"type": "array", "items": {"anyOf": [
            {"$ref": "#/$defs/n"}, {"$ref": "#/$defs/m"}, {"$ref": "#/$defs/text"},
        ]}});
        let properties = json!({"v": {"type": "string"}, "w": {"type": "string"}, "of": list});
        let part = |tag: &str| json!({"properties": {tag: {"properties": properties}}});
        let defined = json!({"n": part("n"), "m": part("m"), "text": part("text")});
        Schema::parse(json!({"$root_tag_ref": "#/$defs/n", "$defs": defined})).unwrap()
    }

    fn root(children: Value) -> Value {
        json!({"n": {"of": children}})
    }

    fn n(v: &str, of: Value) -> Value {
        json!({"n": {"v": v, "of": of}})
    }

    fn text(delta: Value) -> Value {
        json!({"text": {"of": [{"text": {"delta": delta}}]}})
    }

    fn made(json: &Value) -> Replica {
        let mut made = Replica::default();
        let (_, children) = shape::given(&schema(), json).unwrap();
        made.change(|txn| shape::append(txn, &schema(), &children)).unwrap();
        made
    }

    fn edited(
        of: &mut Replica,
        schema: &Schema,
        values: (&Value, &Value),
    ) -> Result<Option<Vec<u8>>, String> {
        of.change(|txn| edit(txn, schema, values))
    }

    fn shown(of: &Replica, with_ids: bool) -> Value {
        shape::project(&of.doc.transact(), &schema(), &Map::new(), with_ids).unwrap()
    }

    fn copy(of: &Replica) -> Replica {
        let mut copy = Replica::default();
        let state = of.doc.transact().encode_state_as_update_v1(&StateVector::default());
        copy.apply(&state).unwrap();
        copy
    }

    /// How many elements of a document are who they were before an edit.
    fn kept(before: &Value, after: &Value) -> usize {
        let mut doc = made(before);
        let ids = |doc: &Replica| -> std::collections::BTreeSet<String> {
            let text = shown(doc, true).to_string();
            text.split("\"$id\":\"").skip(1).map(|rest| rest[..36].to_owned()).collect()
        };
        let old = ids(&doc);
        let update = edited(&mut doc, &schema(), (before, after)).unwrap();
        assert_eq!(shown(&doc, false), *after);
        assert_eq!(update.is_none(), before == after);
        ids(&doc).intersection(&old).count()
    }

    #[test]
    fn what_is_right_is_left_alone() {
        let abc = || {
            root(json!([n("a", json!([])), n("b", json!([n("x", json!([]))])), n("c", json!([]))]))
        };
        assert_eq!(kept(&abc(), &abc()), 4);
        let changed = root(json!([
            n("a", json!([])),
            n("B", json!([n("x", json!([])), n("y", json!([]))])),
            n("c", json!([]))
        ]));
        assert_eq!(kept(&abc(), &changed), 4);
        let shorter = root(json!([n("c", json!([]))]));
        assert_eq!((kept(&abc(), &shorter), kept(&shorter, &abc())), (1, 1));
        let other =
            root(json!([n("a", json!([])), json!({"m": {"w": "1", "of": []}}), n("c", json!([]))]));
        assert_eq!((kept(&abc(), &other), kept(&other, &abc())), (2, 2));
        assert_eq!(kept(&abc(), &root(json!([]))), 0);
        let fields = |fields: Value| root(json!([{"n": fields}]));
        assert_eq!(
            kept(&fields(json!({"v": "1", "of": []})), &fields(json!({"w": null, "of": []}))),
            1
        );
    }

    #[test]
    fn texts_are_edited_where_they_differ() {
        let one = |text_: &str| root(json!([text(json!([{"insert": text_, "attributes": {}}]))]));
        for (before, after) in
            [("hello world", "hello, wörld"), ("aaa", "aa"), ("ü", "üü😀"), ("x😀y", "x😃y")]
        {
            let (before, after) = (one(before), one(after));
            let mut doc = made(&before);
            // Somebody else writes at the beginning meanwhile.
            let mut others = copy(&doc);
            let update = edited(&mut doc, &schema(), (&before, &after)).unwrap().unwrap();
            {
                let mut txn = others.doc.transact_mut();
                let element = txn.get_xml_fragment(ROOT).unwrap().get(&txn, 0).unwrap();
                let text = element.into_xml_element().unwrap().get(&txn, 0).unwrap();
                text.into_xml_text().unwrap().insert(&mut txn, 0, "!");
            }
            others.apply(&update).unwrap();
            let inserted = |value: &Value| {
                value
                    .pointer("/n/of/0/text/of/0/text/delta/0/insert")
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .to_owned()
            };
            assert_eq!(inserted(&shown(&others, false)), format!("!{}", inserted(&after)));
        }
        let bold = root(json!([text(json!([{"insert": "a", "attributes": {"bold": true}}]))]));
        assert_eq!((kept(&one("a"), &bold), kept(&bold, &one("a"))), (1, 1));
    }

    #[test]
    fn what_others_do_at_the_same_time_stays() {
        let before = root(json!([n("a", json!([])), n("b", json!([]))]));
        let mut doc = made(&before);
        let mut others = copy(&doc);
        let after = root(json!([n("a", json!([])), n("B", json!([]))]));
        let update = edited(&mut doc, &schema(), (&before, &after)).unwrap().unwrap();
        let theirs = root(json!([n("A", json!([])), n("b", json!([])), n("c", json!([]))]));
        edited(&mut others, &schema(), (&before, &theirs)).unwrap();
        others.apply(&update).unwrap();
        let both = root(json!([n("A", json!([])), n("B", json!([])), n("c", json!([]))]));
        assert_eq!(shown(&others, false), both);
    }

    #[test]
    fn what_cannot_be_is_told() {
        let before = root(json!([n("a", json!([]))]));
        let wrong =
            |after: Value| edited(&mut made(&before), &schema(), (&before, &after)).unwrap_err();
        insta::assert_json_snapshot!([
            wrong(json!({"n": {"v": "1", "of": []}})),
            wrong(root(json!([{"o": {}}]))),
            wrong(root(json!([{"n": {"v": "a", "x": 1}}]))),
            wrong(json!([])),
        ]);
    }
}
