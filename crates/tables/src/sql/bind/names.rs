//! Columns, and parts of structs and lists.

use sqlparser::ast::{AccessExpr, Expr, Ident, Subscript, Value as Literal, ValueWithSpan};

use super::{Binder, Typed};
use crate::data_type::Kind;
use crate::error::{Error, Result};
use crate::sql::Dialect;
use crate::sql::kinds::{Type, code};
use crate::sql::piece::{Piece, piece};
use crate::sql::scope::{Found, Scope, Seen, means, unknown};
use crate::value::Value;

impl Binder<'_> {
    /// A name alone.
    pub(super) fn identifier(&mut self, name: &Ident, scope: &Scope<'_>) -> Result<Typed> {
        match scope.column(name, self.dialect)? {
            Some(Found::Column(column, own)) => Ok(seen(column, true, own)),
            Some(Found::Alias(typed)) => {
                self.count(typed.sql.length() / 16)?;
                Ok(typed.clone())
            }
            None => Err(scope.unknown(name)),
        }
    }

    /// Names with points between them: of a table and a column, or of a column and its parts.
    pub(super) fn path(&mut self, names: &[Ident], scope: &Scope<'_>) -> Result<Typed> {
        let (table, rest) = match names {
            [] => return Err(Error::invalid("a name is empty")),
            [first, second, rest @ ..] => match (self.dialect, scope.table(first)) {
                (Dialect::Query, Some((table, own))) => {
                    (Some(seen(table.column(second, self.dialect)?, false, own)), rest)
                }
                _ => (None, &names[1..]),
            },
            [_] => (None, &names[1..]),
        };
        let mut typed = match table {
            Some(typed) => typed,
            None if names.len() > 1 && scope.column(&names[0], self.dialect)?.is_none() => {
                let tables: Vec<_> =
                    scope.tables.iter().filter_map(|it| it.name.as_deref()).collect();
                return Err(match self.dialect {
                    Dialect::Query => unknown("table or column", &names[0], &tables),
                    Dialect::Filter => scope.unknown(&names[0]),
                });
            }
            None => self.identifier(&names[0], scope)?,
        };
        for name in rest {
            typed = part(typed, name)?;
        }
        Ok(typed)
    }

    /// What is behind an expression: `.name`, `['name']` or `[1]`.
    pub(super) fn accesses(
        &mut self,
        root: &Expr,
        chain: &[AccessExpr],
        scope: &Scope<'_>,
    ) -> Result<Typed> {
        let (mut typed, chain) = match (root, chain) {
            // The parser takes the first names apart if a bracket is behind them.
            (Expr::Identifier(table), [AccessExpr::Dot(Expr::Identifier(column)), rest @ ..]) => {
                (self.path(&[table.clone(), column.clone()], scope)?, rest)
            }
            _ => (self.bind(root, scope)?, chain),
        };
        for access in chain {
            self.count(1)?;
            typed = match access {
                AccessExpr::Dot(Expr::Identifier(name)) => part(typed, name)?,
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    self.subscript(typed, index, scope)?
                }
                AccessExpr::Subscript(Subscript::Slice { .. }) => {
                    return Err(Error::invalid(
                        "a part of a list is taken by one number, as in l[1]",
                    ));
                }
                AccessExpr::Dot(_) => {
                    return Err(Error::invalid("behind a point stands a name"));
                }
            };
        }
        Ok(typed)
    }

    fn subscript(&mut self, of: Typed, index: &Expr, scope: &Scope<'_>) -> Result<Typed> {
        if let Expr::Value(ValueWithSpan { value: Literal::SingleQuotedString(name), span }) = index
        {
            let mut name = Ident::with_quote('"', name.as_str());
            name.span = *span;
            return part(of, &name);
        }
        let index = self.bind(index, scope)?;
        self.item(of, index)
    }

    /// An item of a list, of which the first is 1, and the last -1.
    pub(super) fn item(&mut self, of: Typed, index: Typed) -> Result<Typed> {
        let index = self.become_kind(index, &Kind::Int, "an item of a list")?;
        let (sql, kind) = match of.kind() {
            Some(Kind::List(element)) => {
                let sql =
                    piece!["m_item(", &of.sql, ", ", &index.sql, ", ", code(&element.kind), ")"];
                (sql, element.kind.clone())
            }
            Some(Kind::Vector { .. }) => {
                (piece!["m_component(", &of.sql, ", ", &index.sql, ")"], Kind::Float)
            }
            _ => {
                return Err(Error::invalid(format!(
                    "a value of {} has no items; lists and vectors have",
                    of.kind.name()
                )));
            }
        };
        Ok(Typed::of(sql, kind, &[&of, &index]))
    }
}

/// What stands for a column.
fn seen(column: &Seen, alone: bool, own: bool) -> Typed {
    let merged = column.merged.as_ref().filter(|_| alone);
    let sql = merged.unwrap_or(&column.sql).clone();
    let loose = own.then(|| column.name.clone());
    Typed { loose, ..Typed::of(sql, column.kind.clone(), &[]) }
}

/// A part of a struct.
pub(super) fn part(of: Typed, name: &Ident) -> Result<Typed> {
    let Some(Kind::Struct(fields)) = of.kind() else {
        return Err(Error::invalid(format!(
            "a value of {} has no part {:?}; structs have parts",
            of.kind.name(),
            name.value
        )));
    };
    let exact = fields.iter().find(|it| it.name == name.value);
    let found = exact.or_else(|| fields.iter().find(|it| means(name, &it.name)));
    let Some(field) = found else {
        let names: Vec<_> = fields.iter().map(|it| it.name.as_str()).collect();
        return Err(unknown("part", name, &names));
    };
    let kind = field.data_type.kind.clone();
    let key = Piece::value(Value::Text(field.name.clone()));
    let sql = piece!["m_part(", &of.sql, ", ", key, ", ", code(&kind), ")"];
    Ok(Typed::of(sql, Type::Of(kind), &[&of]))
}
