//! The fields of a map, in the order in which they were written.
//!
//! Most maps have a handful of fields, a plan holds tens of thousands of them, and most are read
//! once and never changed. So they take no more memory than their fields do, and are searched
//! from the front; only where there are many is it remembered where each one stands.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::tree::Tree;

/// Up to so many fields are searched one by one.
const FEW: usize = 12;

/// Where each field stands. The standard hasher takes longer than all else in a lookup; this one
/// is seeded at random as well.
type Positions = HashMap<Arc<str>, usize, RandomState>;

/// Fields by their names, in the order in which they were written. Two are equal whatever their
/// order is.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    all: Vec<(Arc<str>, Tree)>,
    /// Where there are many.
    positions: Option<Box<Positions>>,
}

impl Fields {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn position(&self, name: &str) -> Option<usize> {
        match &self.positions {
            Some(positions) => positions.get(name).copied(),
            None => self.all.iter().position(|(known, _)| **known == *name),
        }
    }

    /// Remembers where each one stands, if they are many.
    fn note_positions(&mut self) {
        self.positions = (self.all.len() > FEW).then(|| {
            let names = self.all.iter().map(|(name, _)| Arc::clone(name));
            Box::new(names.enumerate().map(|(position, name)| (name, position)).collect())
        });
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tree> {
        self.position(name).map(|position| &self.all[position].1)
    }

    /// The value of a field, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Tree> {
        self.position(name).map(|position| &mut self.all[position].1)
    }

    /// Whether there is such a field.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// Sets a field: where it stands, or else behind the others.
    pub fn insert(&mut self, name: Arc<str>, value: Tree) {
        if let Some(known) = self.get_mut(&name) {
            *known = value;
            return;
        }
        if let Some(positions) = &mut self.positions {
            positions.insert(Arc::clone(&name), self.all.len());
        }
        self.all.push((name, value));
        if self.positions.is_none() {
            self.note_positions();
        }
    }

    /// Takes a field away; the others keep their order.
    pub fn shift_remove(&mut self, name: &str) -> Option<Tree> {
        let position = self.position(name)?;
        let (_, value) = self.all.remove(position);
        match &mut self.positions {
            Some(positions) if self.all.len() > FEW => {
                positions.remove(name);
                let behind = positions.values_mut().filter(|it| **it > position);
                behind.for_each(|it| *it -= 1);
            }
            _ => self.positions = None,
        }
        Some(value)
    }

    /// All fields.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Tree)> + DoubleEndedIterator {
        self.all.iter().map(|(name, value)| (name, value))
    }

    /// All fields, their values to be changed.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&Arc<str>, &mut Tree)> {
        self.all.iter_mut().map(|(name, value)| (&*name, value))
    }

    /// The names.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.all.iter().map(|(name, _)| name)
    }

    /// The values.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Tree> {
        self.all.iter().map(|(_, value)| value)
    }

    /// The values, to be changed.
    pub fn values_mut(&mut self) -> impl ExactSizeIterator<Item = &mut Tree> {
        self.all.iter_mut().map(|(_, value)| value)
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        // Mostly they have the same order, too.
        self.len() == other.len()
            && self.all.iter().enumerate().all(|(position, (name, value))| {
                match other.all.get(position) {
                    Some((there, same)) if there == name => value == same,
                    _ => other.get(name) == Some(value),
                }
            })
    }
}

impl FromIterator<(Arc<str>, Tree)> for Fields {
    /// Of several values of one name the last one counts, where the first one stands.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Tree)>>(fields: I) -> Self {
        let fields = fields.into_iter();
        let mut all = Self { all: Vec::with_capacity(fields.size_hint().0), positions: None };
        for (name, value) in fields {
            all.insert(name, value);
        }
        all.all.shrink_to_fit();
        all
    }
}

impl IntoIterator for Fields {
    type Item = (Arc<str>, Tree);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(range: impl Iterator<Item = usize>) -> Fields {
        range.map(|number| (number.to_string().into(), Tree::text(number.to_string()))).collect()
    }

    fn names(fields: &Fields) -> Vec<String> {
        fields.keys().map(|name| name.to_string()).collect()
    }

    #[test]
    fn few_and_many_mean_the_same() {
        for count in [0, 1, FEW - 1, FEW, FEW + 1, 10 * FEW] {
            let mut fields = numbered(0..count);
            assert_eq!(fields.positions.is_some(), count > FEW);
            assert_eq!(fields, numbered((0..count).rev()), "{count}");
            for number in 0..count {
                let name = number.to_string();
                assert_eq!(fields.get(&name), Some(&Tree::text(name.clone())));
            }
            assert_eq!(fields.get("other"), None);
            fields.insert("other".into(), Tree::Null);
            fields.insert("other".into(), Tree::Bool(true));
            assert_eq!(fields.get("other"), Some(&Tree::Bool(true)));
            assert_eq!(fields.len(), count + 1);
            assert_ne!(fields, numbered(0..count + 1));
            let removed = fields.shift_remove("0");
            assert_eq!(removed.is_some(), count > 0);
            let left: Vec<_> =
                (1..count).map(|it| it.to_string()).chain(["other".into()]).collect();
            assert_eq!(names(&fields), left, "{count}");
            assert!(left.iter().all(|name| fields.contains_key(name)));
            assert_eq!(fields.positions.is_some(), fields.len() > FEW);
        }
    }

    #[test]
    fn the_last_value_counts_and_the_first_place() {
        let text = |name: &str, value: &str| (Arc::from(name), Tree::text(value));
        let fields: Fields = [text("a", "1"), text("b", "2"), text("a", "3")].into_iter().collect();
        assert_eq!(names(&fields), ["a", "b"]);
        assert_eq!(fields.get("a"), Some(&Tree::text("3")));
    }
}
