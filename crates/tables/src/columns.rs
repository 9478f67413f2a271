//! Columns as they are written on a command line: `id int not null, tags list(text)`.
//!
//! The words are those of the public command line 0.31.4. A name that is no word, such as
//! `` `born in` ``, is in backticks; a backtick in it is doubled. That command line has no such
//! names.

use std::fmt::Write as _;
use std::iter::Peekable;

use crate::data_type::{DEPTH, DataType, Field, Kind, LONGEST_VECTOR};
use crate::quoted;

/// The types that have no parts.
const PLAIN: [(&str, Kind); 7] = [
    ("int", Kind::Int),
    ("bool", Kind::Bool),
    ("date", Kind::Date),
    ("timestamp", Kind::Timestamp),
    ("float", Kind::Float),
    ("text", Kind::Text),
    ("binary", Kind::Binary),
];

/// Reads columns: names with types, between commas. `null` or `not null` may follow a type. A name in
/// backticks may have any signs in it.
///
/// # Errors
///
/// What is wrong, and where: `at position 7`, which counts characters from 0, or `at the end`.
pub fn parse(text: &str) -> Result<Vec<Field>, String> {
    let mut parser = Parser { words: words(text)?, at: 0 };
    let columns = parser.fields("column", 0)?;
    match parser.next() {
        None => Ok(columns),
        Some((place, word)) => Err(format!("{word} is too much at position {place}")),
    }
}

/// Reads a type alone: `vector(3)`.
///
/// # Errors
///
/// As [`parse`].
pub fn data_type(text: &str) -> Result<DataType, String> {
    let mut parser = Parser { words: words(text)?, at: 0 };
    let data_type = parser.data_type(0)?;
    match parser.next() {
        None => Ok(data_type),
        Some((place, word)) => Err(format!("{word} is too much at position {place}")),
    }
}

/// Writes a column as [`parse`] reads it. What its type keeps besides is left out.
#[must_use]
pub fn written(column: &Field) -> String {
    let mut writer = Writer { text: String::new(), in_full: true };
    writer.field(column);
    writer.text
}

/// Writes a type as [`data_type`] reads it, and all that mean the same in the same way: what is so
/// anyway is left out, such as that a part of a struct may be null.
#[must_use]
pub fn written_type(kind: &Kind) -> String {
    let mut writer = Writer { text: String::new(), in_full: false };
    writer.kind(kind);
    writer.text
}

struct Writer {
    text: String,
    /// Whether what is so anyway is said as well.
    in_full: bool,
}

impl Writer {
    fn fields(&mut self, fields: &[Field]) {
        for (index, field) in fields.iter().enumerate() {
            self.text.push_str(if index == 0 { "" } else { ", " });
            self.field(field);
        }
    }

    fn field(&mut self, field: &Field) {
        write_name(&mut self.text, &field.name);
        self.text.push(' ');
        self.kind(&field.data_type.kind);
        self.text.push_str(match field.data_type.nullable {
            Some(true) if self.in_full => " null",
            None | Some(true) => "",
            Some(false) => " not null",
        });
    }

    fn kind(&mut self, kind: &Kind) {
        match kind {
            Kind::Struct(fields) => {
                self.text.push_str("struct(");
                self.fields(fields);
                self.text.push(')');
            }
            Kind::List(element) => {
                self.text.push_str("list(");
                self.kind(&element.kind);
                self.text.push(')');
            }
            Kind::Vector { size, element } if element.kind == Kind::Float && !self.in_full => {
                let _ = write!(self.text, "vector({size})");
            }
            kind => {
                // A text takes everything that is written to it.
                let _ = write!(self.text, "{kind}");
            }
        }
    }
}

fn write_name(text: &mut String, name: &str) {
    // A text takes everything that is written to it.
    let _ = write!(text, "{}", Name(name));
}

/// A name as it is written: in backticks, unless it is a word.
pub(crate) struct Name<'a>(pub &'a str);

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(name) = self;
        match name.starts_with(begins_name) && name.chars().all(continues_name) {
            true => out.write_str(name),
            false => out.write_str(&quoted::name(name)),
        }
    }
}

/// Whether a name without backticks may begin with this.
fn begins_name(sign: char) -> bool {
    sign.is_alphabetic() || sign == '_'
}

/// Whether a name without backticks may go on with this.
fn continues_name(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

/// A part of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Name(String),
    /// A name in backticks, which is never taken for a word with a meaning.
    Quoted(String),
    Number(String),
    Sign(char),
}

impl std::fmt::Display for Word {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(text) | Self::Quoted(text) | Self::Number(text) => write!(out, "{text:?}"),
            Self::Sign(sign) => write!(out, "{sign:?}"),
        }
    }
}

/// The words of a text, each with the place where it begins.
fn words(text: &str) -> Result<Vec<(usize, Word)>, String> {
    let mut signs = text.chars().enumerate().peekable();
    let mut words = Vec::new();
    while let Some((place, sign)) = signs.next() {
        if sign == '`' {
            words.push((place, Word::Quoted(in_backticks(&mut signs, place)?)));
            continue;
        }
        let mut rest = |first: char, goes_on: fn(char) -> bool| {
            let mut word = String::from(first);
            while let Some((_, sign)) = signs.next_if(|(_, sign)| goes_on(*sign)) {
                word.push(sign);
            }
            word
        };
        words.push((
            place,
            match sign {
                sign if sign.is_whitespace() => continue,
                '(' | ')' | ',' => Word::Sign(sign),
                '0'..='9' => Word::Number(rest(sign, |sign| sign.is_ascii_digit())),
                sign if begins_name(sign) => Word::Name(rest(sign, continues_name)),
                sign => return Err(format!("{sign:?} means nothing at position {place}")),
            },
        ));
    }
    Ok(words)
}

/// The rest of a name in backticks, of which the first one was read at a place.
fn in_backticks(
    signs: &mut Peekable<impl Iterator<Item = (usize, char)>>,
    place: usize,
) -> Result<String, String> {
    let mut name = String::new();
    loop {
        match signs.next() {
            None => return Err(format!("the backtick at position {place} is never closed")),
            Some((_, '`')) if signs.next_if(|(_, sign)| *sign == '`').is_none() => break,
            Some((_, sign)) => name.push(sign),
        }
    }
    match name.is_empty() {
        true => Err(format!("a name is empty at position {place}")),
        false => Ok(name),
    }
}

struct Parser {
    words: Vec<(usize, Word)>,
    at: usize,
}

impl Parser {
    fn next(&mut self) -> Option<(usize, Word)> {
        let next = self.words.get(self.at).cloned();
        self.at += usize::from(next.is_some());
        next
    }

    /// Takes the next word if it is this sign.
    fn has(&mut self, sign: char) -> bool {
        let has = matches!(self.words.get(self.at), Some((_, Word::Sign(it))) if *it == sign);
        self.at += usize::from(has);
        has
    }

    /// Takes the next word if it is this one, in any case.
    fn says(&mut self, word: &str) -> bool {
        let says = matches!(self.words.get(self.at), Some((_, Word::Name(it))) if it.eq_ignore_ascii_case(word));
        self.at += usize::from(says);
        says
    }

    /// What is wrong with the word that was expected to be something else.
    fn wrong(expected: &str, found: Option<(usize, Word)>) -> String {
        match found {
            Some((place, word)) => {
                format!("{expected} is expected, not {word}, at position {place}")
            }
            None => format!("{expected} is expected at the end"),
        }
    }

    fn must(&mut self, sign: char) -> Result<(), String> {
        match self.has(sign) {
            true => Ok(()),
            false => Err(Self::wrong(&format!("{sign:?}"), self.next())),
        }
    }

    /// Names with types, between commas.
    fn fields(&mut self, what: &str, depth: usize) -> Result<Vec<Field>, String> {
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let (place, name) = match self.next() {
                Some((place, Word::Name(name) | Word::Quoted(name))) => (place, name),
                other => return Err(Self::wrong(&format!("the name of a {what}"), other)),
            };
            if fields.iter().any(|field| field.name == name) {
                return Err(format!(
                    "there are two {what}s {name:?}; the second is at position {place}"
                ));
            }
            let mut data_type = self.data_type(depth)?;
            data_type.nullable = if self.says("null") {
                Some(true)
            } else if self.says("not") {
                match self.says("null") {
                    true => Some(false),
                    false => return Err(Self::wrong("\"null\"", self.next())),
                }
            } else {
                None
            };
            fields.push(Field { name, data_type });
            if !self.has(',') {
                return Ok(fields);
            }
        }
    }

    fn data_type(&mut self, depth: usize) -> Result<DataType, String> {
        let (place, name) = match self.next() {
            Some((place, Word::Name(name))) => (place, name.to_lowercase()),
            other => return Err(Self::wrong("a type", other)),
        };
        if depth > DEPTH {
            return Err(format!(
                "types are nested at most {DEPTH} deep; this is deeper at position {place}"
            ));
        }
        if let Some((_, kind)) = PLAIN.into_iter().find(|(known, _)| *known == name) {
            return Ok(kind.into());
        }
        let kind = match name.as_str() {
            "vector" => {
                self.must('(')?;
                let size = self.next();
                let size = match &size {
                    Some((_, Word::Number(digits))) => {
                        digits.parse().ok().filter(|it| (1..=LONGEST_VECTOR).contains(it))
                    }
                    _ => None,
                }
                .ok_or_else(|| Self::wrong(&format!("a size from 1 to {LONGEST_VECTOR}"), size))?;
                let element = if self.has(',') {
                    let place = self.words.get(self.at).map(|(place, _)| *place);
                    let element = self.data_type(depth + 1)?;
                    if !matches!(element.kind, Kind::Int | Kind::Float) {
                        let place = place.unwrap_or_default();
                        return Err(format!(
                            "a vector has numbers, not values of {}, at position {place}",
                            element.kind
                        ));
                    }
                    element
                } else {
                    Kind::Float.into()
                };
                Kind::Vector { size, element: Box::new(element) }
            }
            "list" => {
                self.must('(')?;
                Kind::List(Box::new(self.data_type(depth + 1)?))
            }
            "struct" => {
                self.must('(')?;
                Kind::Struct(self.fields("part", depth + 1)?)
            }
            _ => {
                let known = PLAIN.map(|(known, _)| known).join(", ");
                return Err(format!(
                    "there is no type {name:?}, at position {place}; there are {known}, vector, list and struct"
                ));
            }
        };
        self.must(')')?;
        Ok(kind.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names of any signs, and such as are easily taken for something else.
    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z_][a-z0-9_]{0,3}",
            "[a-z`, ().-]{1,6}",
            "\\PC{1,6}",
            prop::sample::select(vec!["null", "not", "int", "list", "`", "``", "1", " ", "b`c"])
                .prop_map(str::to_owned),
        ]
    }

    fn fields(of: impl Strategy<Value = Kind>) -> impl Strategy<Value = Vec<Field>> {
        let nullable = prop::option::of(any::<bool>());
        prop::collection::btree_map(name(), (of, nullable), 1..4).prop_map(|fields| {
            let field = |(name, (kind, nullable)): (String, (Kind, Option<bool>))| Field {
                name,
                data_type: DataType { nullable, ..kind.into() },
            };
            fields.into_iter().map(field).collect()
        })
    }

    fn kind() -> impl Strategy<Value = Kind> {
        let vector = |size| Kind::Vector { size, element: Box::new(Kind::Float.into()) };
        let plain = prop_oneof![
            prop::sample::select(PLAIN.map(|(_, kind)| kind).to_vec()),
            (1..=LONGEST_VECTOR).prop_map(vector),
        ];
        plain.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|of| Kind::List(Box::new(of.into()))),
                fields(inner).prop_map(Kind::Struct),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn columns_that_are_written_are_read_back_whatever_their_names_are(columns in fields(kind())) {
            let texts: Vec<String> = columns.iter().map(written).collect();
            prop_assert_eq!(parse(&texts.join(", ")), Ok(columns));
        }
    }

    #[test]
    fn columns_are_read_and_written() {
        for (text, expected) in [
            ("id int", "id int"),
            (" id  INT NOT null,\tname Text NULL ", "id int not null, name text null"),
            ("e vector(3)", "e vector(3, float)"),
            ("e vector(3, int), l list(list(text))", "e vector(3, int), l list(list(text))"),
            (
                "s struct(a int not null, b struct(c date)) null",
                "s struct(a int not null, b struct(c date)) null",
            ),
            (
                "größe_1 float,int bool,null timestamp,b binary",
                "größe_1 float, int bool, null timestamp, b binary",
            ),
            (
                "`my-col` text, `a b` int not null, `a.b` int, `id` int, `b``c, d` bool, `not` date",
                "`my-col` text, `a b` int not null, `a.b` int, id int, `b``c, d` bool, not date",
            ),
            (
                "l list(struct(`1st` int not null, b list(struct(`a b` int))))",
                "l list(struct(`1st` int not null, b list(struct(`a b` int))))",
            ),
        ] {
            let columns = parse(text).unwrap();
            let again: Vec<String> = columns.iter().map(written).collect();
            assert_eq!(again.join(", "), expected);
            assert_eq!(parse(expected).unwrap(), columns);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let deep = format!("a {}int{}", "list(".repeat(40), ")".repeat(40));
        for (text, told) in [
            ("", "the name of a column is expected at the end"),
            ("1", "the name of a column is expected, not \"1\", at position 0"),
            ("ü", "a type is expected at the end"),
            ("ü money", "there is no type \"money\", at position 2"),
            ("a int b", "\"b\" is too much at position 6"),
            ("a int,", "the name of a column is expected at the end"),
            ("a int; b int", "';' means nothing at position 5"),
            ("a int not b", "\"null\" is expected, not \"b\", at position 10"),
            ("a int, a text", "two columns \"a\"; the second is at position 7"),
            ("a struct(b int, b int)", "two parts \"b\"; the second is at position 16"),
            ("a struct()", "the name of a part is expected, not ')', at position 9"),
            ("a vector", "'(' is expected at the end"),
            ("a vector(0)", "a size from 1 to 65536 is expected, not \"0\", at position 9"),
            ("a vector(99999999999)", "a size from 1 to 65536 is expected"),
            ("a vector(2, text)", "numbers, not values of text, at position 12"),
            ("a vector(2", "')' is expected at the end"),
            ("a list(int not null)", "')' is expected, not \"not\", at position 11"),
            ("a int, `b int", "the backtick at position 7 is never closed"),
            ("`` int", "a name is empty at position 0"),
            ("a `int`", "a type is expected, not \"int\", at position 2"),
            (&deep, "nested at most 16 deep"),
        ] {
            let wrong = parse(text).unwrap_err();
            assert!(wrong.contains(told), "{text:?}: {wrong}");
        }
    }
}
