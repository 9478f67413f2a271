//! Operators, comparisons and `CASE`.

use sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, InTarget, UnaryOperator, Value as Literal, ValueWithSpan,
};
use sqlparser::tokenizer::Span;

use super::{Binder, Constant, Interval, Typed};
use crate::data_type::Kind;
use crate::error::{Error, Result};
use crate::sql::Dialect;
use crate::sql::kinds::{Type, is_number};
use crate::sql::piece::{Piece, joined, piece};
use crate::sql::scope::Scope;
use crate::sql::text::place;
use crate::value::Value;

impl Binder<'_> {
    /// Operators with two sides. A chain of them is followed without going deeper.
    pub(super) fn binaries(&mut self, expression: &Expr, scope: &Scope<'_>) -> Result<Typed> {
        let mut chain = Vec::new();
        let mut first = expression;
        loop {
            match first {
                Expr::BinaryOp { left, op, right } => {
                    chain.push((op, &**right));
                    first = left;
                }
                Expr::Nested(inner) if matches!(**inner, Expr::BinaryOp { .. }) => first = inner,
                _ => break,
            }
        }
        let mut typed = self.bind(first, scope)?;
        while let Some((op, right)) = chain.pop() {
            self.count(1)?;
            if !matches!(op, BinaryOperator::And | BinaryOperator::Or) {
                let bound = self.bind(right, scope)?;
                typed = self.binary(typed, op, bound).map_err(|error| beside(error, right))?;
                if typed.depth > super::DEPTH {
                    return Err(Error::invalid("too many operators stand behind each other"));
                }
                self.count(typed.sql.length() / 1024)?;
            } else {
                // All that are joined by the same word, written so that the middle is outermost.
                let mut parts = vec![self.truth(typed)?, self.condition(right, scope)?];
                while chain.last().is_some_and(|(next, _)| *next == op) {
                    let (_, right) = chain.pop().unwrap_or((op, right));
                    self.count(1)?;
                    parts.push(self.condition(right, scope)?);
                }
                typed = logical(&parts, if *op == BinaryOperator::And { " AND " } else { " OR " });
            }
            if typed.loose.is_some() && scope.groups.contains(&typed.sql) {
                typed.loose = None;
            }
        }
        Ok(typed)
    }

    fn binary(&mut self, left: Typed, op: &BinaryOperator, right: Typed) -> Result<Typed> {
        use BinaryOperator as Op;
        let word = match op {
            Op::Eq => " = ",
            Op::NotEq => " <> ",
            Op::Lt => " < ",
            Op::LtEq => " <= ",
            Op::Gt => " > ",
            Op::GtEq => " >= ",
            Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo => {
                return self.arithmetic(left, op, right);
            }
            Op::BitwiseAnd | Op::BitwiseOr => {
                let left = self.become_kind(left, &Kind::Int, "the left side")?;
                let right = self.become_kind(right, &Kind::Int, "the right side")?;
                let word = if *op == Op::BitwiseAnd { " & " } else { " | " };
                let sql = piece!["(", &left.sql, word, &right.sql, ")"];
                return Ok(Typed::of(sql, Kind::Int, &[&left, &right]));
            }
            Op::StringConcat => {
                let left = self.become_text(left, "what || joins")?;
                let right = self.become_text(right, "what || joins")?;
                let sql = piece!["m_join(", &left.sql, ", ", &right.sql, ")"];
                return Ok(Typed::of(sql, Kind::Text, &[&left, &right]));
            }
            Op::PGRegexMatch => return self.matching(left, right, "", false),
            Op::PGRegexIMatch => return self.matching(left, right, "i", false),
            Op::PGRegexNotMatch => return self.matching(left, right, "", true),
            Op::PGRegexNotIMatch => return self.matching(left, right, "i", true),
            Op::PGLikeMatch => return self.alike_to(left, right, None, false, false),
            Op::PGILikeMatch => return self.alike_to(left, right, None, false, true),
            Op::PGNotLikeMatch => return self.alike_to(left, right, None, true, false),
            Op::PGNotILikeMatch => return self.alike_to(left, right, None, true, true),
            other => {
                let shown: String = other.to_string().chars().take(20).collect();
                return Err(Error::invalid(format!("there is no operator {shown} here")));
            }
        };
        self.compare(left, word, right)
    }

    /// One comparison.
    pub(in crate::sql) fn compare(
        &self,
        left: Typed,
        word: &'static str,
        right: Typed,
    ) -> Result<Typed> {
        let (left, right) = self.unify(left, right, "a comparison")?;
        let whole = |it: &Typed| {
            matches!(it.kind(), Some(Kind::List(_) | Kind::Struct(_) | Kind::Vector { .. }))
        };
        let ordered = !matches!(word, " = " | " <> " | " IS " | " IS NOT ");
        if ordered && (whole(&left) || whole(&right)) {
            return Err(Error::invalid(
                "lists, vectors and structs are equal or not, but have no order",
            ));
        }
        Ok(Typed::of(piece!["(", &left.sql, word, &right.sql, ")"], Kind::Bool, &[&left, &right]))
    }

    fn arithmetic(&mut self, left: Typed, op: &BinaryOperator, right: Typed) -> Result<Typed> {
        use BinaryOperator as Op;
        if let Some(typed) = self.time_arithmetic(&left, op, &right)? {
            return Ok(typed);
        }
        let side = |it: &Typed| match it.kind() {
            None if it.kind == Type::Null => Ok(Kind::Int),
            Some(kind) if is_number(kind) => Ok(kind.clone()),
            _ => Err(Error::invalid(format!(
                "{op} takes numbers, and not a value of {}",
                it.kind.name()
            ))),
        };
        let (one, other) = (side(&left)?, side(&right)?);
        let whole = one == Kind::Int && other == Kind::Int;
        let (before, between) = match (op, whole) {
            (Op::Plus, true) => ("m_add(", ", "),
            (Op::Minus, true) => ("m_subtract(", ", "),
            (Op::Multiply, true) => ("m_multiply(", ", "),
            (Op::Divide, true) => ("m_divide(", ", "),
            (Op::Modulo, true) => ("m_modulo(", ", "),
            (Op::Plus, false) => ("(", " + "),
            (Op::Minus, false) => ("(", " - "),
            (Op::Multiply, false) => ("(", " * "),
            (Op::Divide, false) => ("m_divide_float(", ", "),
            (_, false) | (_, true) => ("m_modulo_float(", ", "),
        };
        let kind = if whole { Kind::Int } else { Kind::Float };
        Ok(Typed::of(piece![before, &left.sql, between, &right.sql, ")"], kind, &[&left, &right]))
    }

    /// Dates and timestamps with spans of time, or with each other; none for other types.
    fn time_arithmetic(
        &self,
        left: &Typed,
        op: &BinaryOperator,
        right: &Typed,
    ) -> Result<Option<Typed>> {
        use BinaryOperator as Op;
        let span = |it: &Typed| match it.constant {
            Some(Constant::Interval(interval)) => Some(interval),
            _ => None,
        };
        let moved = |of: &Typed, by: Interval| shifted(of, by).map(Some);
        match (left.kind(), op, right.kind()) {
            (Some(Kind::Date | Kind::Timestamp), Op::Plus, _) if right.kind == Type::Interval => {
                moved(left, span(right).unwrap_or_default())
            }
            (_, Op::Plus, Some(Kind::Date | Kind::Timestamp)) if left.kind == Type::Interval => {
                moved(right, span(left).unwrap_or_default())
            }
            (Some(Kind::Date | Kind::Timestamp), Op::Minus, _) if right.kind == Type::Interval => {
                moved(left, negated(span(right).unwrap_or_default())?)
            }
            (Some(Kind::Date), Op::Minus, Some(Kind::Date)) => {
                let sql = piece!["(", &left.sql, " - ", &right.sql, ")"];
                Ok(Some(Typed::of(sql, Kind::Int, &[left, right])))
            }
            (Some(Kind::Date), Op::Plus | Op::Minus, Some(Kind::Int)) => {
                let before = if *op == Op::Plus { "m_add(0, " } else { "m_subtract(0, " };
                let sql = piece!["m_shift(", &left.sql, ", 6, 0, ", before, &right.sql, "), 0)"];
                Ok(Some(Typed::of(sql, Kind::Date, &[left, right])))
            }
            (Some(Kind::Int), Op::Plus, Some(Kind::Date)) => {
                let sql = piece!["m_shift(", &right.sql, ", 6, 0, ", &left.sql, ", 0)"];
                Ok(Some(Typed::of(sql, Kind::Date, &[left, right])))
            }
            (Some(Kind::Date | Kind::Timestamp), Op::Minus, Some(Kind::Date | Kind::Timestamp)) => {
                Err(Error::invalid(
                    "the time between two timestamps has no type here; subtract date_part('epoch', …) of both",
                ))
            }
            _ if left.kind == Type::Interval || right.kind == Type::Interval => Err(
                Error::invalid("a span of time is added to a date or timestamp, or taken from one"),
            ),
            _ => Ok(None),
        }
    }

    /// Operators with one side.
    pub(super) fn unary(
        &mut self,
        op: UnaryOperator,
        inner: &Expr,
        scope: &Scope<'_>,
    ) -> Result<Typed> {
        if op == UnaryOperator::Minus
            && let Expr::Value(ValueWithSpan { value: Literal::Number(text, false), .. }) = inner
        {
            let value = super::literals::number(&format!("-{text}"));
            return value.map(Typed::value).map_err(Error::invalid);
        }
        if op == UnaryOperator::Not {
            let inner = self.condition(inner, scope)?;
            return Ok(Typed::of(piece!["(NOT ", &inner.sql, ")"], Kind::Bool, &[&inner]));
        }
        let typed = self.bind(inner, scope)?;
        match (op, typed.kind()) {
            (UnaryOperator::Plus, Some(Kind::Int | Kind::Float)) => Ok(typed),
            (UnaryOperator::Plus | UnaryOperator::Minus, None) if typed.kind == Type::Null => {
                Ok(typed)
            }
            (UnaryOperator::Minus, None) => match typed.constant {
                Some(Constant::Interval(interval)) => Ok(negated(interval)?.into()),
                _ => Err(Error::invalid("a span of time is written in the text itself")),
            },
            (UnaryOperator::Minus, Some(Kind::Int)) => {
                let sql = piece!["m_subtract(0, ", &typed.sql, ")"];
                Ok(Typed::of(sql, Kind::Int, &[&typed]))
            }
            (UnaryOperator::Minus, Some(Kind::Float)) => {
                Ok(Typed::of(piece!["(- ", &typed.sql, ")"], Kind::Float, &[&typed]))
            }
            (UnaryOperator::Plus | UnaryOperator::Minus, _) => Err(Error::invalid(format!(
                "{op} stands before a number, and not before a value of {}",
                typed.kind.name()
            ))),
            _ => Err(Error::invalid(format!("there is no operator {op} here"))),
        }
    }

    /// `IS NULL` and the like.
    pub(super) fn is(&mut self, expression: &Expr, scope: &Scope<'_>) -> Result<Typed> {
        let (inner, word, any) = match expression {
            Expr::IsNull(inner) => (inner, " IS NULL)", true),
            Expr::IsNotNull(inner) => (inner, " IS NOT NULL)", true),
            Expr::IsTrue(inner) => (inner, " IS 1)", false),
            Expr::IsNotTrue(inner) => (inner, " IS NOT 1)", false),
            Expr::IsFalse(inner) => (inner, " IS 0)", false),
            Expr::IsNotFalse(inner) => (inner, " IS NOT 0)", false),
            Expr::IsUnknown(inner) => (inner, " IS NULL)", false),
            Expr::IsNotUnknown(inner) => (inner, " IS NOT NULL)", false),
            _ => return Err(Error::invalid("IS is followed by NULL, TRUE or FALSE")),
        };
        let inner = if any { self.bind(inner, scope)? } else { self.condition(inner, scope)? };
        if inner.kind == Type::Interval {
            return Err(Error::invalid("a span of time is never null"));
        }
        Ok(Typed::of(piece!["(", &inner.sql, word], Kind::Bool, &[&inner]))
    }

    /// `IS [NOT] DISTINCT FROM`.
    pub(super) fn distinct(
        &mut self,
        left: &Expr,
        right: &Expr,
        word: &'static str,
        scope: &Scope<'_>,
    ) -> Result<Typed> {
        let (left, right) = (self.bind(left, scope)?, self.bind(right, scope)?);
        self.compare(left, word, right)
    }

    /// `IN`.
    pub(super) fn among(
        &mut self,
        expression: &Expr,
        target: &InTarget,
        negated: bool,
        scope: &Scope<'_>,
    ) -> Result<Typed> {
        let word = if negated { " NOT IN (" } else { " IN (" };
        let left = self.bind(expression, scope)?;
        let items = match target {
            InTarget::List(items) => items,
            InTarget::Subquery(query) => return self.among_rows(left, query, word, scope),
            InTarget::Unnest(_) | InTarget::Table { .. } => {
                return Err(Error::invalid("IN is followed by values or a SELECT in parentheses"));
            }
        };
        let mut parts = vec![left];
        for item in items {
            parts.push(self.bind(item, scope)?);
        }
        // Null is never equal, so that only the type of the others counts.
        let (parts, _) = self.alike(parts, "the values of IN")?;
        let (left, items) = parts.split_at(1);
        let all: Vec<&Typed> = parts.iter().collect();
        let listed = joined(items.iter().map(|it| &it.sql), ", ");
        let sql = piece!["(", &left[0].sql, word, listed, "))"];
        Ok(Typed::of(sql, Kind::Bool, &all))
    }

    /// `BETWEEN`.
    pub(super) fn between(
        &mut self,
        expression: &Expr,
        negated: bool,
        low: &Expr,
        high: &Expr,
        scope: &Scope<'_>,
    ) -> Result<Typed> {
        let middle = self.bind(expression, scope)?;
        let (low, high) = (self.bind(low, scope)?, self.bind(high, scope)?);
        let low = self.compare(middle.clone(), " >= ", low)?;
        let high = self.compare(middle, " <= ", high)?;
        self.count(low.sql.length() / 64)?;
        let both = logical(&[low, high], " AND ");
        Ok(match negated {
            true => Typed::of(piece!["(NOT ", &both.sql, ")"], Kind::Bool, &[&both]),
            false => both,
        })
    }

    /// `LIKE` and `ILIKE`.
    pub(super) fn like(
        &mut self,
        expression: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        negated: bool,
        folded: bool,
        scope: &Scope<'_>,
    ) -> Result<Typed> {
        let escape = match escape {
            None => None,
            Some(escape) => {
                let escape = self.bind(escape, scope)?;
                let one = |it: &Value| match it {
                    Value::Text(text) => text.chars().count() == 1,
                    _ => false,
                };
                if !escape.known().is_some_and(one) {
                    return Err(Error::invalid("behind ESCAPE stands one character"));
                }
                Some(escape)
            }
        };
        let (text, pattern) = (self.bind(expression, scope)?, self.bind(pattern, scope)?);
        self.alike_to(text, pattern, escape, negated, folded)
    }

    fn alike_to(
        &mut self,
        text: Typed,
        pattern: Typed,
        escape: Option<Typed>,
        negated: bool,
        folded: bool,
    ) -> Result<Typed> {
        let text = self.become_kind(text, &Kind::Text, "what LIKE looks at")?;
        let pattern = self.become_kind(pattern, &Kind::Text, "the pattern of LIKE")?;
        let escape = escape.unwrap_or_else(|| Typed::value(Value::Text("\\".to_owned())));
        let before = if negated { "(NOT m_like(" } else { "(m_like(" };
        let folded = if folded { ", 1, " } else { ", 0, " };
        let sql = piece![before, &text.sql, ", ", &pattern.sql, folded, escape.sql, "))"];
        Ok(Typed::of(sql, Kind::Bool, &[&text, &pattern]))
    }

    /// `~` and the like.
    pub(super) fn matching(
        &mut self,
        text: Typed,
        pattern: Typed,
        flags: &str,
        negated: bool,
    ) -> Result<Typed> {
        let text = self.become_kind(text, &Kind::Text, "what is looked at")?;
        let pattern = self.become_kind(pattern, &Kind::Text, "the pattern")?;
        super::calls::checked_pattern(&pattern, flags)?;
        let before = if negated { "(NOT m_matches(" } else { "(m_matches(" };
        let flags = Piece::value(Value::Text(flags.to_owned()));
        let sql = piece![before, &text.sql, ", ", &pattern.sql, ", ", flags, "))"];
        Ok(Typed::of(sql, Kind::Bool, &[&text, &pattern]))
    }

    /// `CASE`.
    pub(super) fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
        scope: &Scope<'_>,
    ) -> Result<Typed> {
        let operand = operand.map(|it| self.bind(it, scope)).transpose()?;
        let mut whens = Vec::new();
        let mut thens = Vec::new();
        for CaseWhen { condition, result } in conditions {
            whens.push(match &operand {
                None => self.condition(condition, scope)?,
                Some(operand) => {
                    let condition = self.bind(condition, scope)?;
                    self.count(operand.sql.length() / 64)?;
                    self.compare(operand.clone(), " = ", condition)?
                }
            });
            thens.push(self.bind(result, scope)?);
        }
        if let Some(otherwise) = otherwise {
            thens.push(self.bind(otherwise, scope)?);
        }
        let (thens, kind) = self.alike(thens, "the results of CASE")?;
        let mut sql = Piece::from("(CASE");
        for (when, then) in whens.iter().zip(&thens) {
            sql.push(piece![" WHEN ", &when.sql, " THEN ", &then.sql]);
        }
        if let Some(last) = thens.get(whens.len()) {
            sql.push(piece![" ELSE ", &last.sql]);
        }
        sql.push(" END)");
        let all: Vec<&Typed> = whens.iter().chain(&thens).collect();
        Ok(Typed::of(sql, kind, &all))
    }

    /// Whether texts in double quotes are texts here.
    pub(super) fn is_filter(&self) -> bool {
        self.dialect == Dialect::Filter
    }
}

/// The error of an operator, with the place of its right side.
fn beside(mut error: Error, right: &Expr) -> Error {
    let at = place(beginning(right));
    if !at.is_empty() {
        error.text.push_str(&format!("; the right side is{at}"));
    }
    error
}

/// Where an expression begins, about; nothing if that is not known. It may be a long chain, so there
/// is no recursion.
fn beginning(mut expression: &Expr) -> Span {
    loop {
        expression = match expression {
            Expr::BinaryOp { left: inner, .. }
            | Expr::Nested(inner)
            | Expr::UnaryOp { expr: inner, .. } => inner,
            Expr::Value(value) => return value.span,
            Expr::Identifier(name) => return name.span,
            Expr::CompoundIdentifier(names) => {
                return names.first().map_or_else(Span::empty, |name| name.span);
            }
            _ => return Span::empty(),
        };
    }
}

/// A date or timestamp, and a span of time later.
fn shifted(of: &Typed, by: Interval) -> Result<Typed> {
    let kind = of.kind().cloned().unwrap_or(Kind::Timestamp);
    let number = |it: i64| Piece::value(Value::Int(it));
    let sql = piece![
        "m_shift(",
        &of.sql,
        ", ",
        crate::sql::kinds::code(&kind),
        ", ",
        number(by.months),
        ", ",
        number(by.days),
        ", ",
        number(by.micros),
        ")"
    ];
    Ok(Typed::of(sql, kind, &[of]))
}

fn negated(it: Interval) -> Result<Interval> {
    let negated = || {
        Some(Interval {
            months: it.months.checked_neg()?,
            days: it.days.checked_neg()?,
            micros: it.micros.checked_neg()?,
        })
    };
    negated().ok_or_else(|| Error::invalid("a span of time is too long"))
}

/// Parts that are joined by `AND` or `OR`.
fn logical(parts: &[Typed], word: &'static str) -> Typed {
    fn halved(parts: &[Typed], word: &'static str) -> Piece {
        match parts {
            [one] => one.sql.clone(),
            _ => {
                let (left, right) = parts.split_at(parts.len() / 2);
                piece!["(", halved(left, word), word, halved(right, word), ")"]
            }
        }
    }
    let all: Vec<&Typed> = parts.iter().collect();
    Typed::of(halved(parts, word), Kind::Bool, &all)
}
