//! Functions of one row.

use sqlparser::ast::{
    CeilFloorKind, Expr, Function as Call, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    ObjectNamePart, TrimWhereField,
};

use super::{Binder, Typed};
use crate::data_type::Kind;
use crate::error::{Error, Reason, Result};
use crate::sql::functions::{self, Function, Gives, Takes};
use crate::sql::kinds::{Type, code};
use crate::sql::piece::{Piece, joined, piece};
use crate::sql::scope::{Scope, unknown};
use crate::value::Value;

/// The functions that are translated by themselves, for the hint at a wrong name.
const SPECIAL: &[&str] = &[
    "abs",
    "array_distance",
    "array_element",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_length",
    "array_position",
    "array_to_string",
    "cardinality",
    "coalesce",
    "cosine_distance",
    "current_date",
    "current_timestamp",
    "date_part",
    "date_trunc",
    "greatest",
    "ifnull",
    "inner_product",
    "least",
    "make_array",
    "make_date",
    "mod",
    "now",
    "nullif",
    "nvl",
    "nvl2",
    "regexp_like",
    "to_char",
    "to_date",
    "to_timestamp",
];

impl Binder<'_> {
    /// A function with its arguments.
    pub(super) fn call(&mut self, call: &Call, scope: &Scope<'_>) -> Result<Typed> {
        let [ObjectNamePart::Identifier(name)] = &call.name.0[..] else {
            return Err(Error::invalid("the name of a function has no point in it"));
        };
        let lowered = name.value.to_lowercase();
        if !matches!(call.parameters, FunctionArguments::None) || call.uses_odbc_syntax {
            return Err(Error::invalid(format!("{lowered} is not written like this")));
        }
        if super::groups::is_one(&lowered) {
            return self.grouped(call, &lowered, scope);
        }
        let simple = call.over.is_none()
            && call.filter.is_none()
            && call.within_group.is_empty()
            && call.null_treatment.is_none();
        let list = arguments(&call.args)?;
        let mut parts = Vec::with_capacity(list.len());
        if !simple {
            return Err(Error::invalid(format!(
                "{lowered} is no function of many rows, so that it has no OVER, FILTER or ORDER BY"
            )));
        }
        for one in list {
            parts.push(self.bind(one, scope)?);
        }
        self.plain(name, &lowered, parts)
    }

    /// A function with its arguments, which mean something already.
    fn plain(&mut self, written: &Ident, name: &str, parts: Vec<Typed>) -> Result<Typed> {
        if let Some(typed) = self.time_function(name, &parts)? {
            return Ok(typed);
        }
        let typed = match (name, parts.len()) {
            ("coalesce", 1..) | ("ifnull" | "nvl", 2) => self.coalesce(parts)?,
            ("nullif", 2) => {
                let [one, other] = two(parts)?;
                let (left, right) = self.unify(one.clone(), other, "nullif")?;
                let sql = piece!["nullif(", &left.sql, ", ", &right.sql, ")"];
                Typed::of(sql, left.kind.clone(), &[&left, &right])
            }
            ("nvl2", 3) => {
                let mut parts = parts;
                let tested = parts.remove(0);
                let (results, kind) = self.alike(parts, "the results of nvl2")?;
                let sql = piece![
                    "(CASE WHEN ",
                    &tested.sql,
                    " IS NOT NULL THEN ",
                    &results[0].sql,
                    " ELSE ",
                    &results[1].sql,
                    " END)"
                ];
                Typed::of(sql, kind, &[&tested, &results[0], &results[1]])
            }
            ("greatest" | "least", 1..) => {
                let (parts, kind) = self.alike(parts, "the values of greatest and least")?;
                if matches!(kind, Type::Of(Kind::List(_) | Kind::Struct(_) | Kind::Vector { .. })) {
                    return Err(Error::invalid("lists, vectors and structs have no order"));
                }
                let before = if name == "greatest" { "m_greatest(" } else { "m_least(" };
                called(before, &parts, kind)
            }
            ("abs", 1) => {
                let part = self.number(one(parts)?, name)?;
                let kind = part.kind.clone();
                called("m_abs(", &[part], kind)
            }
            ("mod", 2) => {
                let [left, right] = two(parts)?;
                let (left, right) = (self.number(left, name)?, self.number(right, name)?);
                let whole = left.kind() == Some(&Kind::Int) && right.kind() == Some(&Kind::Int);
                match whole {
                    true => called("m_modulo(", &[left, right], Kind::Int),
                    false => called("m_modulo_float(", &[left, right], Kind::Float),
                }
            }
            ("regexp_like", 2..=3) => {
                let mut parts = parts.into_iter();
                let (text, pattern) = two(parts.by_ref().take(2).collect())?.into();
                let flags = self.flags(parts.next())?;
                self.matching(text, pattern, &flags, false)?
            }
            ("regexp_match", 2..=3) if self.is_filter() => {
                let mut parts = parts.into_iter();
                let (text, pattern) = two(parts.by_ref().take(2).collect())?.into();
                let flags = self.flags(parts.next())?;
                self.matching(text, pattern, &flags, false)?
            }
            ("regexp_match" | "regexp_replace" | "regexp_count", _) => {
                if let Some(pattern) = parts.get(1) {
                    checked_pattern(pattern, "")?;
                }
                // A pattern is made ready once, with its flags.
                let flags = if name == "regexp_replace" { 3 } else { 2 };
                self.flags(parts.get(flags).cloned())?;
                self.listed(written, name, parts)?
            }
            _ => match self.list_function(name, parts)? {
                Ok(typed) => typed,
                Err(parts) => self.listed(written, name, parts)?,
            },
        };
        Ok(typed)
    }

    fn flags(&self, part: Option<Typed>) -> Result<String> {
        match part.as_ref().map(Typed::known) {
            None => Ok(String::new()),
            Some(Some(Value::Text(flags))) => Ok(flags.clone()),
            Some(_) => Err(Error::invalid("the flags of a pattern are a text")),
        }
    }

    fn coalesce(&mut self, parts: Vec<Typed>) -> Result<Typed> {
        let (parts, kind) = self.alike(parts, "the values of coalesce")?;
        Ok(match &parts[..] {
            [only] => only.clone(),
            _ => called("coalesce(", &parts, kind),
        })
    }

    fn number(&self, part: Typed, name: &str) -> Result<Typed> {
        match part.kind() {
            Some(Kind::Int | Kind::Float) => Ok(part),
            None if part.kind == Type::Null => Ok(part),
            _ => self.become_kind(part, &Kind::Float, &format!("what {name} takes")),
        }
    }

    /// Functions of lists and vectors; the arguments again if it is none.
    fn list_function(
        &mut self,
        name: &str,
        mut parts: Vec<Typed>,
    ) -> Result<std::result::Result<Typed, Vec<Typed>>> {
        let element = match parts.first().and_then(Typed::kind) {
            Some(Kind::List(element)) => Some(element.kind.clone()),
            Some(Kind::Vector { element, .. }) => Some(element.kind.clone()),
            _ => None,
        };
        let bare =
            name.strip_prefix("list_").or_else(|| name.strip_prefix("array_")).unwrap_or(name);
        let is_list = bare != name;
        let must =
            || element.clone().ok_or_else(|| Error::invalid(format!("{name} takes a list first")));
        let typed = match (bare, parts.len()) {
            ("length" | "len", 1) if is_list || element.is_some() => {
                must()?;
                called("m_list_length(", &parts, Kind::Int)
            }
            ("cardinality", 1) => {
                must()?;
                called("m_list_length(", &parts, Kind::Int)
            }
            ("has" | "contains" | "position" | "indexof", 2)
                if is_list || (name == "contains" && element.is_some()) =>
            {
                let element = must()?;
                let wanted = self.become_kind(parts.remove(1), &element, "what is looked for")?;
                let position = matches!(bare, "position" | "indexof");
                let before = if position { "m_list_position(" } else { "m_list_has(" };
                let kind = if position { Kind::Int } else { Kind::Bool };
                let sql =
                    piece![before, &parts[0].sql, ", ", &wanted.sql, ", ", code(&element), ")"];
                Typed::of(sql, kind, &[&parts[0], &wanted])
            }
            ("has_any" | "has_all" | "overlap", 2) if is_list => {
                let [left, right] = two(parts)?;
                let (left, right) = self.unify(left, right, name)?;
                if !matches!(left.kind(), Some(Kind::List(_)) | None) {
                    return Err(Error::invalid(format!("{name} takes two lists")));
                }
                let before = if bare == "has_all" { "m_list_has_all(" } else { "m_list_has_any(" };
                called(before, &[left, right], Kind::Bool)
            }
            ("to_string" | "join", 2..=3) if is_list => {
                must()?;
                let mut texts = vec![parts.remove(0)];
                for part in parts {
                    texts.push(self.become_kind(part, &Kind::Text, "what stands between")?);
                }
                called("m_list_text(", &texts, Kind::Text)
            }
            ("element" | "extract", 2) if is_list => {
                let [list, index] = two(parts)?;
                self.item(list, index)?
            }
            ("make_array" | "make_list", 1..) => {
                let (parts, kind) = self.alike(parts, "the values of a list")?;
                let kind = kind.shown();
                let all: Vec<&Typed> = parts.iter().collect();
                let values = joined(parts.iter().map(|it| &it.sql), ", ");
                let sql = piece!["m_list(", code(&kind), ", ", values, ")"];
                Typed::of(sql, Kind::List(Box::new(kind.into())), &all)
            }
            (
                "distance" | "l2_distance" | "inner_product" | "dot" | "dot_product"
                | "cosine_distance",
                2,
            ) => {
                let before = match bare {
                    "distance" | "l2_distance" => "m_distance(",
                    "cosine_distance" => "m_cosine_distance(",
                    _ => "m_inner_product(",
                };
                let [left, right] = two(parts)?;
                let (left, right) = self.unify(left, right, name)?;
                let vector = |it: &Typed| match it.kind() {
                    None | Some(Kind::Vector { .. }) => true,
                    Some(Kind::List(element)) => matches!(element.kind, Kind::Int | Kind::Float),
                    _ => false,
                };
                if !vector(&left) || !vector(&right) {
                    return Err(Error::invalid(format!("{name} takes two vectors")));
                }
                called(before, &[left, right], Kind::Float)
            }
            _ => return Ok(Err(parts)),
        };
        Ok(Ok(typed))
    }

    /// A function that is in the table.
    fn listed(&mut self, written: &Ident, name: &str, parts: Vec<Typed>) -> Result<Typed> {
        let Some(function) = functions::named(name) else {
            let names = functions::all().flat_map(|it| it.names).chain(SPECIAL).copied();
            let names: Vec<&str> = names.chain(super::groups::NAMES.iter().copied()).collect();
            if names.contains(&name) {
                return Err(Error::invalid(format!("{name} does not take {} values", parts.len())));
            }
            return Err(match unknown("function", written, &names) {
                Error { text, .. } if text.contains("there are") => Error::new(
                    Reason::NotFound,
                    text.split("; there are").next().unwrap_or_default(),
                ),
                error => error,
            });
        };
        self.apply(function, name, parts)
    }

    fn apply(
        &mut self,
        function: &'static Function,
        name: &str,
        parts: Vec<Typed>,
    ) -> Result<Typed> {
        let (least, most) = (function.required, function.takes.len());
        if parts.len() < least || (function.more.is_none() && parts.len() > most) {
            let wanted =
                if least == most { least.to_string() } else { format!("{least} to {most}") };
            return Err(Error::invalid(format!(
                "{name} takes {wanted} values, not {}",
                parts.len()
            )));
        }
        let mut taken = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            let what = format!("value {} of {name}", index + 1);
            let takes = function.takes.get(index).copied().or(function.more).unwrap_or(Takes::Any);
            taken.push(match takes {
                Takes::Text => self.become_kind(part, &Kind::Text, &what)?,
                Takes::Written => self.become_text(part, &what)?,
                Takes::Int => self.become_kind(part, &Kind::Int, &what)?,
                Takes::Float => self.become_kind(part, &Kind::Float, &what)?,
                Takes::Any => part,
            });
        }
        let kind = match function.gives {
            Gives::Bool => Kind::Bool,
            Gives::Int => Kind::Int,
            Gives::Float => Kind::Float,
            Gives::Text => Kind::Text,
            Gives::Texts => Kind::List(Box::new(Kind::Text.into())),
        };
        let all: Vec<&Typed> = taken.iter().collect();
        let values = joined(taken.iter().map(|it| &it.sql), ", ");
        Ok(Typed::of(piece![function.sql, "(", values, ")"], kind, &all))
    }

    /// Functions with a syntax of their own.
    pub(super) fn special(&mut self, expression: &Expr, scope: &Scope<'_>) -> Result<Typed> {
        let (name, parts): (&str, Vec<&Expr>) = match expression {
            Expr::Extract { field, expr, .. } => {
                let unit = Typed::value(Value::Text(field.to_string()));
                let of = self.bind(expr, scope)?;
                return self.plain(&Ident::new("date_part"), "date_part", vec![unit, of]);
            }
            Expr::Ceil {
                expr,
                field: CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime),
            } => ("ceil", vec![&**expr]),
            Expr::Floor {
                expr,
                field: CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime),
            } => ("floor", vec![&**expr]),
            Expr::Position { expr, r#in } => ("strpos", vec![&**r#in, &**expr]),
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let Some(from) = substring_from else {
                    let (text, first) = (self.bind(expr, scope)?, Typed::value(Value::Int(1)));
                    let length =
                        substring_for.as_ref().map(|it| self.bind(it, scope)).transpose()?;
                    let parts = [Some(text), Some(first), length].into_iter().flatten().collect();
                    return self.plain(&Ident::new("substr"), "substr", parts);
                };
                let parts = [Some(expr), Some(from), substring_for.as_ref()];
                ("substr", parts.into_iter().flatten().map(|it| &**it).collect())
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    None | Some(TrimWhereField::Both) => "trim",
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                };
                let mut parts = vec![&**expr];
                parts.extend(trim_what.as_deref());
                parts.extend(trim_characters.iter().flatten());
                (name, parts)
            }
            _ => return Err(Error::invalid("such a call is not understood here")),
        };
        let mut bound = Vec::with_capacity(parts.len());
        for part in parts {
            bound.push(self.bind(part, scope)?);
        }
        self.plain(&Ident::new(name), name, bound)
    }
}

/// The arguments of a call, which have no names.
pub(super) fn arguments(given: &FunctionArguments) -> Result<Vec<&Expr>> {
    let list = match given {
        FunctionArguments::None => return Ok(Vec::new()),
        FunctionArguments::Subquery(_) => {
            return Err(Error::invalid("a SELECT as an argument stands in parentheses of its own"));
        }
        FunctionArguments::List(list) => list,
    };
    if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
        return Err(Error::invalid("DISTINCT and ORDER BY stand only in functions of many rows"));
    }
    list.args.iter().map(argument).collect()
}

/// An argument.
pub(super) fn argument(given: &FunctionArg) -> Result<&Expr> {
    match given {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Ok(expression),
        FunctionArg::Unnamed(_) => Err(Error::invalid("* stands only in count(*)")),
        _ => Err(Error::invalid("arguments have no names")),
    }
}

/// A call of a function.
pub(super) fn called(before: &'static str, parts: &[Typed], kind: impl Into<Type>) -> Typed {
    let all: Vec<&Typed> = parts.iter().collect();
    let values: Piece = joined(parts.iter().map(|it| &it.sql), ", ");
    Typed::of(piece![before, values, ")"], kind, &all)
}

/// Says so at once if a pattern in the text cannot be read.
pub(super) fn checked_pattern(pattern: &Typed, flags: &str) -> Result<()> {
    match pattern.known() {
        Some(Value::Text(text)) => {
            functions::patterns::built(text, flags).map(drop).map_err(Error::invalid)
        }
        _ => Ok(()),
    }
}

fn one(parts: Vec<Typed>) -> Result<Typed> {
    parts.into_iter().next().ok_or_else(|| Error::invalid("a value is missing"))
}

fn two(parts: Vec<Typed>) -> Result<[Typed; 2]> {
    parts.try_into().map_err(|_| Error::invalid("two values are wanted"))
}
