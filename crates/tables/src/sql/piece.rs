//! Parts of a statement. Nothing but fixed words, names that are ours and values can become one, so
//! whoever writes with this cannot write a client's text.

use crate::sql::Fragment;
use crate::stored::Stored;

/// A part of a statement.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Piece(Fragment);

impl Piece {
    /// What the catalog gave for a column or a table.
    pub fn of_catalog(fragment: Fragment) -> Self {
        Self(fragment)
    }

    /// A name that the catalog gave for a column.
    pub fn of_column(name: &str) -> Self {
        Self(Fragment { text: name.to_owned(), values: Vec::new() })
    }

    /// A name that is made of a letter and a number.
    pub fn generated(letter: char, number: usize) -> Self {
        Self(Fragment { text: format!("{letter}{number}"), values: Vec::new() })
    }

    /// A value, which is bound.
    pub fn value(value: impl Into<Stored>) -> Self {
        Self(Fragment { text: "?".to_owned(), values: vec![value.into()] })
    }

    /// Writes a part behind this one.
    pub fn push(&mut self, part: impl Part) {
        part.write(&mut self.0);
    }

    /// How long the text is.
    pub const fn length(&self) -> usize {
        self.0.text.len()
    }

    /// Whether it is more than a name or a value.
    pub fn is_call(&self) -> bool {
        self.0.text.contains('(')
    }

    /// The statement.
    pub fn finished(self) -> Fragment {
        self.0
    }
}

impl From<&'static str> for Piece {
    fn from(word: &'static str) -> Self {
        Self(Fragment { text: word.to_owned(), values: Vec::new() })
    }
}

/// What can be written.
pub(super) trait Part {
    /// Writes it.
    fn write(self, out: &mut Fragment);
}

impl Part for &'static str {
    fn write(self, out: &mut Fragment) {
        out.text.push_str(self);
    }
}

impl Part for Piece {
    fn write(self, out: &mut Fragment) {
        out.text.push_str(&self.0.text);
        out.values.extend(self.0.values);
    }
}

impl Part for &Piece {
    fn write(self, out: &mut Fragment) {
        out.text.push_str(&self.0.text);
        out.values.extend_from_slice(&self.0.values);
    }
}

/// Parts with a word between each two.
pub(super) fn joined<P: Part>(parts: impl IntoIterator<Item = P>, between: &'static str) -> Piece {
    let mut all = Piece::default();
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            all.push(between);
        }
        all.push(part);
    }
    all
}

/// Parts behind each other.
macro_rules! piece {
    ($($part:expr),+ $(,)?) => {{
        let mut all = $crate::sql::piece::Piece::default();
        $(all.push($part);)+
        all
    }};
}
pub(super) use piece;
