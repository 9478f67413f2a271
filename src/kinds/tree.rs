//! The fields of an object as the planner sees them. Unlike JSON, a tree can hold a
//! secret, and a secret cannot be printed.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::document::SecretFrom;
use super::fields::Fields;
use super::fingerprint::Fingerprinter;
use super::path::{FieldPath, Step};
use super::recorded::{Recorded, Recording, SECRET};

/// The fields of an object, or a part of them. A plan holds hundreds of thousands of them, so
/// what is large and rare stands elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// Nothing; only inside free JSON, elsewhere an absent field is left out.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// Text.
    Text(String),
    /// Text that must not be shown.
    Secret(Sealed),
    /// A list.
    List(Vec<Tree>),
    /// A map, in the order in which it was written. Maps are few and large, so they do not
    /// stand in the tree itself.
    Map(Box<Fields>),
}

const _: () = assert!(size_of::<Tree>() <= 32);

/// Text that must not be shown, or the knowledge that there is one.
#[derive(Clone)]
pub enum Sealed {
    /// The text.
    Known(SecretString),
    /// A number, written as text.
    Number(SecretString),
    /// Text that is read when it is needed.
    Source(Box<SecretFrom>),
    /// Text that the platform keeps to itself.
    Masked,
    /// Text that could not be read here, in a plan that is for reading only.
    Unread,
    /// Text that is not known here and stays as the set last wrote it, by its fingerprint.
    Kept(Box<str>),
}

impl Sealed {
    /// Whether its text is known here.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        matches!(self, Self::Known(_) | Self::Number(_))
    }
}

/// What is shown in the place of a secret.
const HIDDEN: &str = "(secret)";

/// What is shown in the place of a secret that was not read.
pub const NOT_READ: &str = "(not read)";

impl fmt::Debug for Sealed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("(secret)")
    }
}

impl PartialEq for Sealed {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(one), Self::Known(other)) | (Self::Number(one), Self::Number(other)) => {
                one.expose_secret() == other.expose_secret()
            }
            (Self::Source(one), Self::Source(other)) => one == other,
            (Self::Masked, Self::Masked) => true,
            (Self::Kept(one), Self::Kept(other)) => one == other,
            _ => false,
        }
    }
}

impl Tree {
    /// A map of fields.
    #[must_use]
    pub fn map<const N: usize>(fields: [(&str, Self); N]) -> Self {
        fields.into_iter().collect()
    }

    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A secret's text.
    pub fn secret(text: impl Into<String>) -> Self {
        Self::Secret(Sealed::Known(SecretString::from(text.into())))
    }

    /// The fields, when this is a map.
    #[must_use]
    pub fn fields(&self) -> Option<&Fields> {
        match self {
            Self::Map(fields) => Some(fields),
            _ => None,
        }
    }

    /// The field of a map.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(fields) => fields.get(name),
            _ => None,
        }
    }

    /// The field of a map as a request's body has it, with what is secret in it; null where it
    /// is absent.
    #[must_use]
    pub fn sent(&self, name: &str) -> Value {
        self.get(name).map_or(Value::Null, Self::reveal)
    }

    /// Sets the field of a map; does nothing to what is not one.
    pub fn set(&mut self, name: &str, value: Self) {
        if let Self::Map(fields) = self {
            fields.insert(name.into(), value);
        }
    }

    /// What stands at a path.
    #[must_use]
    pub fn at(&self, path: &FieldPath) -> Option<&Self> {
        path.0.iter().try_fold(self, |tree, step| match (step, tree) {
            (Step::Field(name), _) => tree.get(name),
            (Step::Index(index), Self::List(items)) => items.get(*index),
            (Step::Item { field, text }, Self::List(items)) => {
                items.iter().find(|item| item.get(field).is_some_and(|it| it.is_scalar(text)))
            }
            _ => None,
        })
    }

    /// The same, to be changed.
    pub fn at_mut(&mut self, path: &FieldPath) -> Option<&mut Self> {
        path.0.iter().try_fold(self, |tree, step| match (step, tree) {
            (Step::Field(name), Self::Map(fields)) => fields.get_mut(name.as_str()),
            (Step::Index(index), Self::List(items)) => items.get_mut(*index),
            (Step::Item { field, text }, Self::List(items)) => {
                items.iter_mut().find(|item| item.get(field).is_some_and(|it| it.is_scalar(text)))
            }
            _ => None,
        })
    }

    /// Puts a value at a path, or takes what stands there away. Maps and lists on the way
    /// are made; items of lists are replaced, added or taken away.
    pub fn put(&mut self, path: &FieldPath, value: Option<Self>) {
        let Some((last, parents)) = path.0.split_last() else { return };
        let mut tree = self;
        for (index, step) in parents.iter().enumerate() {
            if let (Step::Field(name), Self::Map(fields)) = (step, &mut *tree)
                && !fields.contains_key(name.as_str())
            {
                if value.is_none() {
                    return;
                }
                let below = match &path.0[index + 1] {
                    Step::Field(_) => Self::map([]),
                    // Below an item that is not there nothing can be put.
                    _ if index + 2 < path.0.len() => return,
                    _ => Self::List(Vec::new()),
                };
                fields.insert(name.as_str().into(), below);
            }
            let Some(below) = tree.at_mut(&FieldPath(vec![step.clone()])) else { return };
            tree = below;
        }
        match (last, tree, value) {
            (Step::Field(name), Self::Map(fields), Some(value)) => {
                fields.insert(name.as_str().into(), value);
            }
            (Step::Field(name), Self::Map(fields), None) => {
                fields.shift_remove(name.as_str());
            }
            (step, Self::List(items), value) => {
                let position = items.iter().enumerate().position(|(index, item)| match step {
                    Step::Index(wanted) => index == *wanted,
                    Step::Item { field, text } => {
                        item.get(field).and_then(Self::scalar).as_ref() == Some(text)
                    }
                    Step::Field(_) => false,
                });
                match (position, value) {
                    (Some(index), Some(value)) => items[index] = value,
                    (Some(index), None) => drop(items.remove(index)),
                    (None, Some(value)) => items.push(value),
                    (None, None) => {}
                }
            }
            _ => {}
        }
    }

    /// The text, when this is text that may be shown.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A scalar as text, to tell the items of a list apart.
    #[must_use]
    pub fn scalar(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }

    /// Whether it is a scalar with this text.
    fn is_scalar(&self, text: &str) -> bool {
        match self {
            Self::Text(own) => **own == *text,
            _ => self.scalar().as_deref() == Some(text),
        }
    }

    /// The tree with every secret's text in it, for a request's body only.
    #[must_use]
    pub fn reveal(&self) -> Value {
        self.convert(&|sealed| match sealed {
            Sealed::Known(text) => Value::String(text.expose_secret().to_owned()),
            // What was a number stays one, or the platform would be told a text.
            Sealed::Number(text) => serde_json::from_str(text.expose_secret()).unwrap_or_default(),
            Sealed::Source(_) | Sealed::Masked | Sealed::Unread | Sealed::Kept(_) => Value::Null,
        })
    }

    /// The tree as a manifest has it: each secret is where it is read from, `{from: …}`.
    #[must_use]
    pub fn written(&self) -> Value {
        self.convert(&|sealed| match sealed {
            Sealed::Source(source) => serde_json::to_value(source).unwrap_or_default(),
            Sealed::Known(_)
            | Sealed::Number(_)
            | Sealed::Masked
            | Sealed::Unread
            | Sealed::Kept(_) => Value::Null,
        })
    }

    /// The tree as it may be shown: each secret is `(secret)`, or `(not read)`.
    #[must_use]
    pub fn redacted(&self) -> Value {
        self.convert(&|sealed| {
            let shown = if matches!(sealed, Sealed::Unread) { NOT_READ } else { HIDDEN };
            Value::String(shown.to_owned())
        })
    }

    /// The tree as it is kept in a plan or an inventory: each secret is an object with its
    /// fingerprint, or with `null` where the text is not known.
    #[must_use]
    pub fn recorded(&self, fingerprinter: &Fingerprinter) -> Value {
        // Fields are valid JSON: their maps have text keys.
        serde_json::to_value(Recording { tree: self, fingerprinter }).unwrap_or_default()
    }

    fn convert(&self, secret: &impl Fn(&Sealed) -> Value) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone()),
            Self::Secret(sealed) => secret(sealed),
            Self::List(items) => items.iter().map(|item| item.convert(secret)).collect(),
            Self::Map(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.convert(secret)))
                    .collect(),
            ),
        }
    }

    /// Calls `visit` with every leaf and the way to it; what it returns takes the leaf's
    /// place.
    pub fn rewrite_leaves(&mut self, visit: &mut impl FnMut(Way<'_>, &Self) -> Option<Self>) {
        self.rewrite_below(Way::Root, visit);
    }

    fn rewrite_below(
        &mut self,
        way: Way<'_>,
        visit: &mut impl FnMut(Way<'_>, &Self) -> Option<Self>,
    ) {
        match self {
            Self::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    item.rewrite_below(Way::Index(&way, index), visit);
                }
            }
            Self::Map(fields) => {
                for (name, value) in fields.iter_mut() {
                    value.rewrite_below(Way::Field(&way, name), visit);
                }
            }
            leaf => {
                if let Some(replacement) = visit(way, leaf) {
                    *leaf = replacement;
                }
            }
        }
    }

    /// Hides every text that contains one of `needles`; an empty needle hides nothing.
    pub fn seal_texts_with(&mut self, needles: &[&str]) {
        self.rewrite_leaves(&mut |_, leaf| match leaf {
            Self::Text(text)
                if needles.iter().any(|needle| !needle.is_empty() && text.contains(needle)) =>
            {
                Some(Self::secret(text.clone()))
            }
            _ => None,
        });
    }

    /// Hides the texts that were secret when they were recorded, by where they stand and by
    /// their fingerprints: a platform answers with the text of what only its set knows to
    /// be a secret.
    pub fn seal_recorded(&mut self, recorded: &Recorded, fingerprinter: &Fingerprinter) {
        if !recorded.may_have_secrets() {
            return;
        }
        let recorded = recorded.value();
        let mut secrets = Vec::new();
        recorded_secrets(&recorded, &FieldPath::default(), &mut secrets);
        // Fingerprints take time, so only those are looked for that may stand elsewhere by now,
        // and only where the field has the same name.
        let astray: Vec<(FieldPath, &String)> = secrets
            .iter()
            .filter(|(path, _)| !self.has_in_place(&recorded, path))
            .filter_map(|(path, fingerprint)| Some((path.clone(), (*fingerprint)?)))
            .collect();
        self.rewrite_leaves(&mut |way, leaf| match leaf {
            Self::Text(text) => {
                let path = way.path();
                let is_like = |other: &FieldPath| match (other.0.last(), path.0.last()) {
                    (Some(Step::Field(one)), Some(Step::Field(other))) => one == other,
                    (one, other) => one.is_some() && other.is_some(),
                };
                let is_secret = secrets.iter().any(|(recorded, _)| *recorded == path)
                    || astray.iter().any(|(recorded, fingerprint)| {
                        is_like(recorded) && **fingerprint == fingerprinter.of(text)
                    });
                is_secret.then(|| Self::secret(text.clone()))
            }
            _ => None,
        });
    }

    /// Whether what stands at the place of a recorded secret is still its field: what stands
    /// beside it is as it was recorded.
    fn has_in_place(&self, recorded: &Value, path: &FieldPath) -> bool {
        let Some((last, around)) = path.0.split_last() else { return self.as_str().is_some() };
        let around = FieldPath(around.to_vec());
        let was = around.0.iter().try_fold(recorded, |value, step| match step {
            Step::Field(name) => value.get(name),
            Step::Index(index) => value.get(index),
            Step::Item { .. } => None,
        });
        let (Step::Field(_), Some(Value::Object(was))) = (last, was) else { return false };
        let Some(now) = self.at(&around) else { return false };
        now.get(last_name(last)).is_some_and(|it| it.as_str().is_some())
            && was.iter().all(|(name, value)| match value {
                Value::String(text) => now.get(name).and_then(Self::as_str) == Some(text),
                _ => true,
            })
    }

    /// Whether a secret stands anywhere in it.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::List(items) => items.iter().any(Self::has_secrets),
            Self::Map(fields) => fields.values().any(Self::has_secrets),
            _ => false,
        }
    }

    /// Whether it is a secret that was not read.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        matches!(self, Self::Secret(Sealed::Unread))
    }

    /// Whether a secret that was not read stands anywhere in it.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        match self {
            Self::Secret(sealed) => matches!(sealed, Sealed::Unread),
            Self::List(items) => items.iter().any(Self::has_unread),
            Self::Map(fields) => fields.values().any(Self::has_unread),
            _ => false,
        }
    }

    /// Whether the text of a secret in it is still to be read.
    #[must_use]
    pub fn has_sources(&self) -> bool {
        match self {
            Self::Secret(sealed) => matches!(sealed, Sealed::Source(_)),
            Self::List(items) => items.iter().any(Self::has_sources),
            Self::Map(fields) => fields.values().any(Self::has_sources),
            _ => false,
        }
    }

    /// Hides every text below here.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.rewrite_leaves(&mut |_, leaf| match leaf {
            Self::Text(text) => Some(Self::secret(text.clone())),
            Self::Number(number) => {
                let text = SecretString::from(number.to_string());
                Some(Self::Secret(Sealed::Number(text)))
            }
            _ => None,
        });
        self
    }
}

/// The way from a tree's root to one of its leaves, which costs nothing while it is gone.
#[derive(Debug, Clone, Copy)]
pub enum Way<'a> {
    /// The root itself.
    Root,
    /// A field of a map.
    Field(&'a Way<'a>, &'a str),
    /// An item of a list, from zero.
    Index(&'a Way<'a>, usize),
}

impl Way<'_> {
    /// The way as a path.
    #[must_use]
    pub fn path(self) -> FieldPath {
        match self {
            Self::Root => FieldPath::default(),
            Self::Field(before, name) => before.path().field(name),
            Self::Index(before, index) => before.path().join(Step::Index(index)),
        }
    }
}

/// The secrets of a recorded tree, with their fingerprints where the text was known.
fn last_name(step: &Step) -> &str {
    match step {
        Step::Field(name) => name,
        _ => "",
    }
}

fn recorded_secrets<'a>(
    value: &'a Value,
    path: &FieldPath,
    found: &mut Vec<(FieldPath, Option<&'a String>)>,
) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                recorded_secrets(item, &path.join(Step::Index(index)), found);
            }
        }
        Value::Object(fields) => match fields.get(SECRET) {
            Some(Value::String(fingerprint)) => found.push((path.clone(), Some(fingerprint))),
            Some(_) => found.push((path.clone(), None)),
            None => {
                for (name, field) in fields {
                    recorded_secrets(field, &path.field(name), found);
                }
            }
        },
        _ => {}
    }
}

impl<N: Into<Arc<str>>> FromIterator<(N, Tree)> for Tree {
    fn from_iter<I: IntoIterator<Item = (N, Self)>>(fields: I) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value));
        Self::Map(Box::new(fields.collect()))
    }
}

impl From<&Value> for Tree {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.as_str(), Self::from(value))).collect()
            }
        }
    }
}

/// Whether two numbers are the same, however they are written.
#[must_use]
pub fn same_number(one: &serde_json::Number, other: &serde_json::Number) -> bool {
    one == other || (one.is_f64() || other.is_f64()) && one.as_f64() == other.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_printed_by_nothing_but_reveal() {
        let tree = Tree::map([
            ("a", Tree::secret("canary")),
            ("b", Tree::List(vec![Tree::secret("canary")])),
        ]);
        let fingerprinter = Fingerprinter::new("key");
        let shown = format!(
            "{tree:?} {} {} {fingerprinter:?}",
            tree.redacted(),
            tree.recorded(&fingerprinter)
        );
        assert!(!shown.contains("canary"), "{shown}");
        assert_eq!(tree.reveal(), serde_json::json!({"a": "canary", "b": ["canary"]}));
    }

    #[test]
    fn fingerprints_depend_on_the_key_and_the_text() {
        let one = Fingerprinter::new("one");
        assert_eq!(one.of("x"), one.of("x"));
        assert_ne!(one.of("x"), one.of("y"));
        assert_ne!(one.of("x"), Fingerprinter::new("other").of("x"));
    }
}
