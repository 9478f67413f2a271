//! Queries: `WITH`, sets, `ORDER BY` and `LIMIT`, and queries in expressions.
//!
//! | module | holds |
//! |---|---|
//! | [`select`] | one `SELECT` |
//! | [`from`] | what it reads from |
//!
//! What must not live here: expressions ([`super::bind`]).

mod from;
mod select;

use sqlparser::ast::{
    Cte, Expr, LimitClause, Offset, OrderBy, OrderByExpr, OrderByKind, Query, SetExpr, SetOperator,
    SetQuantifier, TableAlias, Values,
};

use super::bind::{Binder, Typed};
use super::kinds::Type;
use super::piece::{Piece, joined, piece};
use super::scope::{Scope, Seen, Table, means};
use crate::data_type::Kind;
use crate::error::{Error, Result};
use crate::value::Value;

/// How deep queries are nested.
const DEPTH: usize = 16;

/// A table that `WITH` names.
#[derive(Debug, Clone)]
pub(super) struct Common {
    name: String,
    sql: Piece,
    columns: Vec<Output>,
}

/// A column of an answer.
#[derive(Debug, Clone)]
pub(super) struct Output {
    /// What clients call it.
    pub name: String,
    /// What it gives.
    pub kind: Type,
    /// What the statement calls it.
    pub sql: Piece,
}

/// A query that was read.
pub(super) struct Answer {
    /// How SQLite answers it.
    pub sql: Piece,
    /// The columns.
    pub columns: Vec<Output>,
}

/// What stands behind the body of a query.
#[derive(Clone, Copy)]
struct Tail<'q> {
    order: &'q [OrderByExpr],
    limit: Option<&'q LimitClause>,
}

impl Binder<'_> {
    /// Reads a query.
    pub fn query(&mut self, query: &Query, outer: Option<&Scope<'_>>) -> Result<Answer> {
        if self.catalog.is_none() {
            return Err(Error::invalid("a SELECT is not understood here; this is about one row"));
        }
        self.count(1)?;
        if self.queries >= DEPTH {
            return Err(Error::invalid(format!("queries are nested more than {DEPTH} deep")));
        }
        self.queries += 1;
        let common = self.common.len();
        let answer = self.with(query, outer);
        self.common.truncate(common);
        self.queries -= 1;
        answer
    }

    fn with(&mut self, query: &Query, outer: Option<&Scope<'_>>) -> Result<Answer> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        let other = fetch.is_some()
            || !locks.is_empty()
            || for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty();
        if other {
            return Err(Error::invalid(
                "behind a SELECT stand only ORDER BY, LIMIT and OFFSET here; FETCH, FOR, SETTINGS, FORMAT and |> do not",
            ));
        }
        let mut sql = Piece::default();
        if let Some(with) = with {
            if with.recursive {
                return Err(Error::invalid("WITH RECURSIVE is not understood here"));
            }
            for (index, cte) in with.cte_tables.iter().enumerate() {
                let common = self.common_table(cte, outer)?;
                sql.push(if index == 0 { "WITH " } else { ", " });
                sql.push(piece![&common.1.sql, " AS (", common.0, ")"]);
                self.common.push(common.1);
            }
            sql.push(" ");
        }
        let order: &[OrderByExpr] = match order_by {
            None => &[],
            Some(OrderBy { kind: OrderByKind::Expressions(order), interpolate: None }) => order,
            Some(_) => return Err(Error::invalid("ORDER BY names what it orders by")),
        };
        let tail = Tail { order, limit: limit_clause.as_ref() };
        let Answer { sql: body, columns } = self.body(body, tail, outer)?;
        sql.push(body);
        Ok(Answer { sql, columns })
    }

    fn common_table(&mut self, cte: &Cte, outer: Option<&Scope<'_>>) -> Result<(Piece, Common)> {
        if cte.from.is_some() || cte.materialized.is_some() {
            return Err(Error::invalid("WITH is written as WITH name AS (SELECT …)"));
        }
        let Answer { sql, columns } = self.query(&cte.query, outer)?;
        let columns = renamed(columns, &cte.alias)?;
        let name = cte.alias.name.value.clone();
        Ok((sql, Common { name, sql: self.name('w'), columns }))
    }

    fn body(
        &mut self,
        body: &SetExpr,
        tail: Tail<'_>,
        outer: Option<&Scope<'_>>,
    ) -> Result<Answer> {
        let answer = match body {
            SetExpr::Select(select) => return self.select(select, tail, outer),
            SetExpr::Query(query) => self.query(query, outer)?,
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                self.set(left, *op, *set_quantifier, right, outer)?
            }
            SetExpr::Values(values) => self.values(values, outer)?,
            SetExpr::Table(_) => {
                return Err(Error::invalid("TABLE is not understood here; use SELECT * FROM"));
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                return Err(Error::invalid(
                    "a query changes nothing; tables are changed by other requests",
                ));
            }
        };
        self.ordered(answer, tail)
    }

    /// An answer with an order and a limit around it.
    fn ordered(&mut self, answer: Answer, tail: Tail<'_>) -> Result<Answer> {
        if tail.order.is_empty() && tail.limit.is_none() {
            return Ok(answer);
        }
        let name = self.name('r');
        let scope = Scope { tables: vec![table(None, &name, &answer.columns)], ..Scope::default() };
        let mut order = Vec::new();
        for by in tail.order {
            let column = position(&by.expr, answer.columns.len())?;
            let sql = match column {
                Some(index) => piece![&name, ".", &answer.columns[index].sql],
                None => {
                    let typed = self.bind(&by.expr, &scope)?;
                    if typed.aggregates || typed.windows {
                        return Err(Error::invalid("sets are ordered by their columns"));
                    }
                    typed.sql
                }
            };
            order.push(piece![sql, super::bind::direction(by)?]);
        }
        let columns = answer.columns.iter().map(|it| piece![&name, ".", &it.sql, " AS ", &it.sql]);
        let mut sql =
            piece!["SELECT ", joined(columns, ", "), " FROM (", answer.sql, ") AS ", &name];
        if !order.is_empty() {
            sql.push(piece![" ORDER BY ", joined(order, ", ")]);
        }
        sql.push(self.limit(tail.limit)?);
        Ok(Answer { sql, columns: answer.columns })
    }

    /// `LIMIT` and `OFFSET`.
    fn limit(&mut self, clause: Option<&LimitClause>) -> Result<Piece> {
        let (limit, offset) = match clause {
            None => return Ok(Piece::default()),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                (limit.as_ref(), offset.as_ref().map(|Offset { value, .. }| value))
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
            Some(_) => return Err(Error::invalid("LIMIT BY is not understood here")),
        };
        let mut sql = Piece::default();
        let limit = limit.map(|it| self.amount(it, "LIMIT")).transpose()?.flatten();
        let offset = offset.map(|it| self.amount(it, "OFFSET")).transpose()?.flatten();
        match &limit {
            Some(limit) => sql.push(piece![" LIMIT ", limit]),
            None if offset.is_some() => sql.push(" LIMIT -1"),
            None => {}
        }
        if let Some(offset) = offset {
            sql.push(piece![" OFFSET ", offset]);
        }
        Ok(sql)
    }

    fn amount(&mut self, expression: &Expr, word: &str) -> Result<Option<Piece>> {
        match self.bind(expression, &Scope::default())?.known() {
            Some(Value::Null) => Ok(None),
            Some(value @ Value::Int(0..)) => Ok(Some(Piece::value(value.clone()))),
            _ => Err(Error::invalid(format!("{word} is a whole number of 0 or more"))),
        }
    }

    fn set(
        &mut self,
        left: &SetExpr,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: &SetExpr,
        outer: Option<&Scope<'_>>,
    ) -> Result<Answer> {
        let word = match (op, quantifier) {
            (SetOperator::Union, SetQuantifier::All) => " UNION ALL ",
            (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) => " UNION ",
            (
                SetOperator::Except | SetOperator::Minus,
                SetQuantifier::None | SetQuantifier::Distinct,
            ) => " EXCEPT ",
            (SetOperator::Intersect, SetQuantifier::None | SetQuantifier::Distinct) => {
                " INTERSECT "
            }
            _ => {
                return Err(Error::invalid(
                    "there are UNION, UNION ALL, EXCEPT and INTERSECT here, and no others",
                ));
            }
        };
        if self.queries >= DEPTH {
            return Err(Error::invalid(format!("queries are nested more than {DEPTH} deep")));
        }
        self.queries += 1;
        let none = Tail { order: &[], limit: None };
        let left = self.body(left, none, outer)?;
        let right = self.body(right, none, outer)?;
        self.queries -= 1;
        if left.columns.len() != right.columns.len() {
            return Err(Error::invalid(format!(
                "the sides of{word}have {} and {} columns",
                left.columns.len(),
                right.columns.len()
            )));
        }
        let (mut ours, mut theirs, mut columns) = (Vec::new(), Vec::new(), Vec::new());
        for (one, other) in left.columns.into_iter().zip(right.columns) {
            let parts =
                vec![Typed::of(one.sql, one.kind, &[]), Typed::of(other.sql, other.kind, &[])];
            let (parts, kind) = self.alike(parts, "the values of a column of sets")?;
            let name = self.name('e');
            ours.push(piece![&parts[0].sql, " AS ", &name]);
            theirs.push(piece![&parts[1].sql, " AS ", &name]);
            columns.push(Output { name: one.name, kind, sql: name });
        }
        let sql = piece![
            "SELECT ",
            joined(ours, ", "),
            " FROM (",
            left.sql,
            ")",
            word,
            "SELECT ",
            joined(theirs, ", "),
            " FROM (",
            right.sql,
            ")"
        ];
        Ok(Answer { sql, columns })
    }

    fn values(&mut self, values: &Values, outer: Option<&Scope<'_>>) -> Result<Answer> {
        let scope = Scope { outer, ..Scope::default() };
        let width = values.rows.first().map_or(0, |row| row.content.len());
        let mut columns: Vec<Vec<Typed>> = (0..width).map(|_| Vec::new()).collect();
        for row in &values.rows {
            if row.content.len() != width || width == 0 {
                return Err(Error::invalid("the rows of VALUES have as many values as the first"));
            }
            for (column, value) in columns.iter_mut().zip(&row.content) {
                column.push(self.bind(value, &scope)?);
            }
        }
        let mut outputs = Vec::new();
        let mut typed = Vec::new();
        for (index, column) in columns.into_iter().enumerate() {
            let (column, kind) = self.alike(column, "the values of a column of VALUES")?;
            outputs.push(Output {
                name: format!("column{}", index + 1),
                kind,
                sql: self.name('e'),
            });
            typed.push(column);
        }
        let mut rows = Vec::new();
        for index in 0..values.rows.len() {
            let row = typed.iter().zip(&outputs);
            let row = row.map(|(column, output)| match index {
                0 => piece![&column[index].sql, " AS ", &output.sql],
                _ => column[index].sql.clone(),
            });
            rows.push(piece!["SELECT ", joined(row, ", ")]);
        }
        if rows.len() > 400 {
            return Err(Error::invalid("VALUES has more than 400 rows"));
        }
        Ok(Answer { sql: joined(rows, " UNION ALL "), columns: outputs })
    }

    /// `EXISTS`.
    pub(super) fn exists(
        &mut self,
        query: &Query,
        negated: bool,
        scope: &Scope<'_>,
    ) -> Result<Typed> {
        let answer = self.query(query, Some(scope))?;
        let before = if negated { "(NOT EXISTS (" } else { "(EXISTS (" };
        Ok(Typed::of(piece![before, answer.sql, "))"], Kind::Bool, &[]))
    }

    /// A query that stands for a value.
    pub(super) fn scalar(&mut self, query: &Query, scope: &Scope<'_>) -> Result<Typed> {
        let (sql, column) = self.one_column(query, scope)?;
        let sql = piece!["(SELECT m_single(", column.sql, ") FROM (", sql, "))"];
        Ok(Typed::of(sql, column.kind, &[]))
    }

    /// `IN (SELECT …)`.
    pub(super) fn among_rows(
        &mut self,
        left: Typed,
        query: &Query,
        word: &'static str,
        scope: &Scope<'_>,
    ) -> Result<Typed> {
        let (sql, column) = self.one_column(query, scope)?;
        let name = column.sql.clone();
        let right = Typed::of(column.sql, column.kind, &[]);
        let (left, right) = self.unify(left, right, "IN")?;
        let sql = match right.sql == name {
            true => sql,
            false => piece!["SELECT ", &right.sql, " FROM (", sql, ")"],
        };
        Ok(Typed::of(piece!["(", &left.sql, word, sql, "))"], Kind::Bool, &[&left]))
    }

    fn one_column(&mut self, query: &Query, scope: &Scope<'_>) -> Result<(Piece, Output)> {
        let Answer { sql, columns } = self.query(query, Some(scope))?;
        let count = columns.len();
        match (columns.into_iter().next(), count) {
            (Some(column), 1) => Ok((sql, column)),
            _ => Err(Error::invalid(format!(
                "a SELECT that stands for a value has one column, not {count}"
            ))),
        }
    }
}

/// The table that an answer is, for what is around it.
fn table(name: Option<String>, sql: &Piece, columns: &[Output]) -> Table {
    let seen = |it: &Output| Seen {
        name: it.name.clone(),
        kind: it.kind.clone(),
        sql: piece![sql, ".", &it.sql],
        merged: None,
        hidden: false,
    };
    Table { name, columns: columns.iter().map(seen).collect() }
}

/// Columns with the names of an alias.
fn renamed(mut columns: Vec<Output>, alias: &TableAlias) -> Result<Vec<Output>> {
    if alias.at.is_some() {
        return Err(Error::invalid(
            "an alias is a name, with names of columns in parentheses behind it",
        ));
    }
    if !alias.columns.is_empty() && alias.columns.len() != columns.len() {
        return Err(Error::invalid(format!(
            "{} has {} columns, and names are given for {}",
            alias.name.value,
            columns.len(),
            alias.columns.len()
        )));
    }
    for (column, name) in columns.iter_mut().zip(&alias.columns) {
        column.name = select::lowered(&name.name);
    }
    Ok(columns)
}

/// The column that a number stands for in `ORDER BY` and `GROUP BY`.
fn position(expression: &Expr, count: usize) -> Result<Option<usize>> {
    let Expr::Value(sqlparser::ast::ValueWithSpan {
        value: sqlparser::ast::Value::Number(number, false),
        ..
    }) = expression
    else {
        return Ok(None);
    };
    // A number with a point is a value like any other.
    if !number.bytes().all(|it| it.is_ascii_digit()) {
        return Ok(None);
    }
    match number.parse::<usize>().ok().and_then(|it| it.checked_sub(1)) {
        Some(index) if index < count => Ok(Some(index)),
        _ => Err(Error::invalid(format!("there is no column {number}; {count} are selected"))),
    }
}

/// The table that `WITH` names.
fn common<'c>(all: &'c [Common], name: &sqlparser::ast::Ident) -> Option<&'c Common> {
    all.iter().rev().find(|it| means(name, &it.name))
}
