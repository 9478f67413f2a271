//! Which names mean what at a place in a text.

use sqlparser::ast::{Ident, WindowSpec};

use crate::error::{Error, Reason, Result};
use crate::names::near;
use crate::sql::Dialect;
use crate::sql::bind::Typed;
use crate::sql::kinds::Type;
use crate::sql::piece::Piece;
use crate::sql::text::place;

/// A column that can be named.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Its name.
    pub name: String,
    /// What it gives.
    pub kind: Type,
    /// What stands for it.
    pub sql: Piece,
    /// What stands for it where no table is named, if `USING` made one column of two.
    pub merged: Option<Piece>,
    /// Whether it can be named only with its table, for `USING` made one column of two.
    pub hidden: bool,
}

/// A table in a `FROM`, or what stands for one.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Its name or alias.
    pub name: Option<String>,
    /// Its columns.
    pub columns: Vec<Seen>,
}

/// What can be named at a place.
#[derive(Default)]
pub(super) struct Scope<'a> {
    /// The tables.
    pub tables: Vec<Table>,
    /// What can be named around it.
    pub outer: Option<&'a Scope<'a>>,
    /// What is selected, by its alias.
    pub aliases: Vec<(String, Typed)>,
    /// What is grouped by.
    pub groups: Vec<Piece>,
    /// Windows with names.
    pub windows: Vec<(String, WindowSpec)>,
}

/// What a name was found to be.
pub(super) enum Found<'s> {
    /// A column, and whether it is of this place and not of one around it.
    Column(&'s Seen, bool),
    /// What is selected.
    Alias(&'s Typed),
}

/// How well a name fits: the less, the better.
fn rank(wanted: &Ident, name: &str, dialect: Dialect) -> Option<u8> {
    if wanted.quote_style.is_some() {
        return (wanted.value == name).then_some(0);
    }
    let lowered = wanted.value.to_lowercase();
    let (exact, low) = (wanted.value == name, lowered == name);
    match dialect {
        Dialect::Filter if exact => Some(0),
        Dialect::Query if low => Some(0),
        _ if exact || low => Some(1),
        _ => (lowered == name.to_lowercase()).then_some(2),
    }
}

/// Whether a name means another.
pub(super) fn means(wanted: &Ident, name: &str) -> bool {
    rank(wanted, name, Dialect::Query).is_some()
}

impl Scope<'_> {
    /// What a name without a table means; none if nothing has it.
    pub fn column(&self, name: &Ident, dialect: Dialect) -> Result<Option<Found<'_>>> {
        let mut scope = Some(self);
        let mut own = true;
        while let Some(at) = scope {
            let columns = at.tables.iter().flat_map(|it| &it.columns).filter(|it| !it.hidden);
            let fitting = columns.filter_map(|it| Some((rank(name, &it.name, dialect)?, it)));
            let mut fitting: Vec<_> = fitting.collect();
            fitting.sort_by_key(|(rank, _)| *rank);
            match fitting[..] {
                [] => {}
                [(best, one), (next, other), ..] if best == next && one.name != other.name => {
                    return Err(only_in_case(name, [&one.name, &other.name], dialect));
                }
                [(best, _), (next, _), ..] if best == next => {
                    let text = format!(
                        "{:?} is a column of several tables{}; write the table before it, like table.{}",
                        name.value,
                        place(name.span),
                        name.value
                    );
                    return Err(Error::invalid(text));
                }
                [(_, column), ..] => return Ok(Some(Found::Column(column, own))),
            }
            let alias = at.aliases.iter().find(|(alias, _)| means(name, alias));
            if let (Some((_, typed)), true) = (alias, own) {
                return Ok(Some(Found::Alias(typed)));
            }
            scope = at.outer;
            own = false;
        }
        Ok(None)
    }

    /// The table of a name; none if there is none.
    pub fn table(&self, name: &Ident) -> Option<(&Table, bool)> {
        let mut scope = Some(self);
        let mut own = true;
        while let Some(at) = scope {
            let named = |it: &&Table| it.name.as_ref().is_some_and(|it| means(name, it));
            if let Some(table) = at.tables.iter().find(named) {
                return Some((table, own));
            }
            scope = at.outer;
            own = false;
        }
        None
    }

    /// That there is no such column.
    pub fn unknown(&self, name: &Ident) -> Error {
        let mut scope = Some(self);
        let mut names = Vec::new();
        while let Some(at) = scope {
            names.extend(at.tables.iter().flat_map(|it| &it.columns).map(|it| it.name.as_str()));
            scope = at.outer;
        }
        unknown("column", name, &names)
    }
}

impl Table {
    /// The column of a name.
    pub fn column(&self, name: &Ident, dialect: Dialect) -> Result<&Seen> {
        let fitting =
            self.columns.iter().filter_map(|it| Some((rank(name, &it.name, dialect)?, it)));
        let mut fitting: Vec<_> = fitting.collect();
        fitting.sort_by_key(|(rank, _)| *rank);
        match fitting[..] {
            [] => {
                let names: Vec<_> = self.columns.iter().map(|it| it.name.as_str()).collect();
                Err(unknown("column", name, &names))
            }
            [(best, one), (next, other), ..] if best == next && one.name != other.name => {
                Err(only_in_case(name, [&one.name, &other.name], dialect))
            }
            [(_, column), ..] => Ok(column),
        }
    }
}

/// That a name could mean two columns whose names differ only in their capitals.
fn only_in_case(name: &Ident, [one, other]: [&str; 2], dialect: Dialect) -> Error {
    // In a filter, double quotes are around texts.
    let quote = match dialect {
        Dialect::Filter => '`',
        Dialect::Query => '"',
    };
    Error::invalid(format!(
        "{:?}{} could be {one:?} or {other:?}, which differ only in capitals; put the name in quotes, like {quote}{one}{quote}",
        name.value,
        place(name.span)
    ))
}

/// That a name means nothing, with the names that are near to it, or all of a few.
pub(super) fn unknown(what: &str, name: &Ident, names: &[&str]) -> Error {
    let near = near(&name.value, names.iter().copied());
    let hint = match near[..] {
        [] if names.is_empty() => String::new(),
        [] if names.len() <= 12 => format!("; there are {}", names.join(", ")),
        [] => format!("; there are {} and others", names[..12].join(", ")),
        _ => format!("; did you mean {}?", near[..near.len().min(3)].join(" or ")),
    };
    Error::new(
        Reason::NotFound,
        format!("there is no {what} {:?}{}{hint}", name.value, place(name.span)),
    )
}
