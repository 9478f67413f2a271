//! Functions of many rows, and windows.

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function as Call, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, OrderByExpr, OrderBySort, WindowFrame,
    WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

use super::{Binder, Typed};
use crate::data_type::Kind;
use crate::error::{Error, Result};
use crate::sql::kinds::{Type, code};
use crate::sql::piece::{Piece, joined, piece};
use crate::sql::scope::{Scope, means};
use crate::value::Value;

/// The functions of many rows.
pub(super) const NAMES: &[&str] = &[
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "cume_dist",
    "dense_rank",
    "every",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "max",
    "mean",
    "median",
    "min",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var",
    "var_pop",
    "var_samp",
    "variance",
];

/// Whether a function is one of many rows.
pub(super) fn is_one(name: &str) -> bool {
    NAMES.contains(&name)
}

/// What is known of a function of many rows.
struct Shape {
    before: &'static str,
    kind: Type,
    /// Whether it has a meaning without `OVER`.
    aggregate: bool,
    /// Whether it has one with it.
    window: bool,
}

impl Binder<'_> {
    /// A call of a function of many rows.
    pub(super) fn grouped(&mut self, call: &Call, name: &str, scope: &Scope<'_>) -> Result<Typed> {
        if !call.within_group.is_empty() || call.null_treatment.is_some() {
            return Err(Error::invalid(format!(
                "{name} takes no WITHIN GROUP and no IGNORE NULLS here"
            )));
        }
        let FunctionArguments::List(list) = &call.args else {
            return Err(Error::invalid(format!("behind {name} stand parentheses")));
        };
        let mut order: &[OrderByExpr] = &[];
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::OrderBy(by) => order = by,
                _ => {
                    return Err(Error::invalid(format!(
                        "{name} takes only ORDER BY in its parentheses"
                    )));
                }
            }
        }
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        let all_rows = matches!(
            list.args[..],
            [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] if name == "count" && !distinct
        );
        let mut parts = Vec::new();
        for argument in list.args.iter().filter(|_| !all_rows) {
            parts.push(self.bind(super::calls::argument(argument)?, scope)?);
        }
        let shape = self.shape(name, &mut parts, all_rows)?;
        let over = call.over.as_ref();
        if over.is_none() && !shape.aggregate {
            return Err(Error::invalid(format!("{name} stands before OVER (…)")));
        }
        if over.is_some() && !shape.window {
            return Err(Error::invalid(format!("{name} has no OVER here")));
        }
        if distinct
            && (over.is_some() || !shape.aggregate || matches!(name, "string_agg" | "array_agg"))
        {
            return Err(Error::invalid(format!("{name} takes no DISTINCT here")));
        }
        let mut sql = Piece::from(shape.before);
        sql.push(if distinct { "(DISTINCT " } else { "(" });
        sql.push(match all_rows {
            true => Piece::from("*"),
            false => joined(parts.iter().map(|it| &it.sql), ", "),
        });
        if name == "array_agg" {
            sql.push(", ");
            sql.push(code(&parts[0].kind.shown()));
        }
        if !order.is_empty() {
            if !matches!(name, "string_agg" | "array_agg") || over.is_some() {
                return Err(Error::invalid(format!("{name} takes no ORDER BY in its parentheses")));
            }
            let (order, typed) = self.order(order, scope)?;
            sql.push(" ORDER BY ");
            sql.push(order);
            parts.extend(typed);
        }
        sql.push(")");
        if let Some(filter) = &call.filter {
            if !shape.aggregate {
                return Err(Error::invalid(format!("{name} takes no FILTER")));
            }
            let filter = self.condition(filter, scope)?;
            sql.push(piece![" FILTER (WHERE ", &filter.sql, ")"]);
            parts.push(filter);
        }
        if let Some(over) = over {
            let (window, typed) = self.window(over, scope)?;
            sql.push(piece![" OVER (", window, ")"]);
            parts.extend(typed);
        }
        if parts.iter().any(|it| it.windows)
            || (over.is_none() && parts.iter().any(|it| it.aggregates))
        {
            return Err(Error::invalid(format!(
                "in {name} is another function of many rows; compute that in a SELECT of its own"
            )));
        }
        let all: Vec<&Typed> = parts.iter().collect();
        let mut typed = Typed::of(sql, shape.kind, &all);
        match over {
            None => {
                typed.loose = None;
                typed.aggregates = true;
            }
            Some(_) => typed.windows = true,
        }
        Ok(typed)
    }

    /// What a function is to SQLite, with arguments as it takes them.
    fn shape(&mut self, name: &str, parts: &mut Vec<Typed>, all_rows: bool) -> Result<Shape> {
        let shape =
            |before, kind: Kind| Shape { before, kind: kind.into(), aggregate: true, window: true };
        let only = |before, kind: Kind| Shape { window: false, ..shape(before, kind) };
        let row = |before, kind: Type| Shape { before, kind, aggregate: false, window: true };
        let count = parts.len();
        let wrong = || Error::invalid(format!("{name} does not take {count} values"));
        Ok(match (name, count) {
            ("count", 0) if all_rows => shape("count", Kind::Int),
            ("count", 1) => shape("count", Kind::Int),
            ("sum", 1) => match parts[0].kind() {
                Some(Kind::Int) | None if parts[0].kind != Type::Interval => {
                    shape("sum", Kind::Int)
                }
                _ => {
                    self.each(parts, &Kind::Float, name)?;
                    shape("sum", Kind::Float)
                }
            },
            ("avg" | "mean", 1) => {
                self.numbers(parts, name)?;
                shape("avg", Kind::Float)
            }
            ("min" | "max", 1) => {
                let kind = parts[0].kind.clone();
                if matches!(
                    kind,
                    Type::Of(Kind::List(_) | Kind::Struct(_) | Kind::Vector { .. })
                        | Type::Interval
                ) {
                    return Err(Error::invalid(format!("a value of {} has no order", kind.name())));
                }
                let before = if name == "min" { "min" } else { "max" };
                Shape { before, kind, aggregate: true, window: true }
            }
            ("bool_and" | "every", 1) => {
                self.each(parts, &Kind::Bool, name)?;
                shape("min", Kind::Bool)
            }
            ("bool_or", 1) => {
                self.each(parts, &Kind::Bool, name)?;
                shape("max", Kind::Bool)
            }
            ("string_agg", 2) => {
                self.each(parts, &Kind::Text, name)?;
                if parts[1].known().is_none() {
                    return Err(Error::invalid("what stands between is the same for all rows"));
                }
                only("group_concat", Kind::Text)
            }
            ("array_agg", 1) => {
                let kind = parts[0].kind.shown();
                only("m_array_agg", Kind::List(Box::new(kind.into())))
            }
            (
                "stddev" | "stddev_samp" | "stddev_pop" | "var" | "var_samp" | "variance"
                | "var_pop" | "median",
                1,
            ) => {
                self.numbers(parts, name)?;
                only(own_statistic(name), Kind::Float)
            }
            ("row_number", 0) => row("row_number", Kind::Int.into()),
            ("rank", 0) => row("rank", Kind::Int.into()),
            ("dense_rank", 0) => row("dense_rank", Kind::Int.into()),
            ("percent_rank", 0) => row("percent_rank", Kind::Float.into()),
            ("cume_dist", 0) => row("cume_dist", Kind::Float.into()),
            ("ntile", 1) => {
                at_least(&parts[0], 1, "the number of ntile")?;
                row("ntile", Kind::Int.into())
            }
            ("first_value", 1) => row("first_value", parts[0].kind.clone()),
            ("last_value", 1) => row("last_value", parts[0].kind.clone()),
            ("nth_value", 2) => {
                at_least(&parts[1], 1, "the number of nth_value")?;
                row("nth_value", parts[0].kind.clone())
            }
            ("lag" | "lead", 1..=3) => {
                if let Some(away) = parts.get(1) {
                    at_least(away, 0, "how many rows away")?;
                }
                if count == 3 {
                    let (away, other) = (parts[1].clone(), parts[2].clone());
                    let (both, _) =
                        self.alike(vec![parts[0].clone(), other], "the values of lag and lead")?;
                    let mut both = both.into_iter();
                    *parts = both.next().into_iter().chain([away]).chain(both).collect();
                }
                row(if name == "lag" { "lag" } else { "lead" }, parts[0].kind.clone())
            }
            _ => return Err(wrong()),
        })
    }

    fn each(&self, parts: &mut [Typed], kind: &Kind, name: &str) -> Result<()> {
        for part in parts {
            *part = self.become_kind(part.clone(), kind, &format!("what {name} takes"))?;
        }
        Ok(())
    }

    fn numbers(&self, parts: &mut [Typed], name: &str) -> Result<()> {
        match parts[0].kind() {
            Some(Kind::Int) => Ok(()),
            _ => self.each(parts, &Kind::Float, name),
        }
    }

    /// What stands behind `ORDER BY`: nulls are last, or first if it goes down, as DataFusion has it.
    pub(in crate::sql) fn order(
        &mut self,
        by: &[OrderByExpr],
        scope: &Scope<'_>,
    ) -> Result<(Piece, Vec<Typed>)> {
        let mut pieces = Vec::new();
        let mut all = Vec::new();
        for one in by {
            let typed = self.bind(&one.expr, scope)?;
            pieces.push(piece![&typed.sql, direction(one)?]);
            all.push(typed);
        }
        Ok((joined(pieces, ", "), all))
    }

    /// What stands in the parentheses behind `OVER`.
    fn window(&mut self, over: &WindowType, scope: &Scope<'_>) -> Result<(Piece, Vec<Typed>)> {
        let spec = match over {
            WindowType::WindowSpec(spec) => spec,
            WindowType::NamedWindow(name) => {
                let found = scope.windows.iter().find(|(it, _)| means(name, it));
                &found
                    .ok_or_else(|| Error::invalid(format!("there is no window {:?}", name.value)))?
                    .1
            }
        };
        let WindowSpec { window_name: None, partition_by, order_by, window_frame } = spec else {
            return Err(Error::invalid("a window is named, or written, but not both"));
        };
        let mut all = Vec::new();
        let mut sql = Piece::default();
        if !partition_by.is_empty() {
            let mut pieces = Vec::new();
            for one in partition_by {
                let typed = self.bind(one, scope)?;
                pieces.push(typed.sql.clone());
                all.push(typed);
            }
            sql.push(piece!["PARTITION BY ", joined(pieces, ", ")]);
        }
        if !order_by.is_empty() {
            let (order, typed) = self.order(order_by, scope)?;
            sql.push(piece![" ORDER BY ", order]);
            all.extend(typed);
        }
        if let Some(frame) = window_frame {
            sql.push(self.frame(frame, scope)?);
        }
        Ok((sql, all))
    }

    fn frame(&mut self, frame: &WindowFrame, scope: &Scope<'_>) -> Result<Piece> {
        let WindowFrame { units, start_bound, end_bound } = frame;
        let mut sql = Piece::from(match units {
            WindowFrameUnits::Rows => " ROWS BETWEEN ",
            WindowFrameUnits::Groups => " GROUPS BETWEEN ",
            WindowFrameUnits::Range => " RANGE BETWEEN ",
        });
        let end = end_bound.as_ref().unwrap_or(&WindowFrameBound::CurrentRow);
        for (index, bound) in [start_bound, end].into_iter().enumerate() {
            if index == 1 {
                sql.push(" AND ");
            }
            let (amount, behind): (&Expr, _) = match bound {
                WindowFrameBound::CurrentRow => {
                    sql.push("CURRENT ROW");
                    continue;
                }
                WindowFrameBound::Preceding(None) if index == 0 => {
                    sql.push("UNBOUNDED PRECEDING");
                    continue;
                }
                WindowFrameBound::Following(None) if index == 1 => {
                    sql.push("UNBOUNDED FOLLOWING");
                    continue;
                }
                WindowFrameBound::Preceding(Some(amount)) => (amount, " PRECEDING"),
                WindowFrameBound::Following(Some(amount)) => (amount, " FOLLOWING"),
                _ => return Err(Error::invalid("a window begins before it ends")),
            };
            if *units == WindowFrameUnits::Range {
                return Err(Error::invalid(
                    "a RANGE with numbers is not understood here; use ROWS or GROUPS",
                ));
            }
            let amount = self.bind(amount, scope)?;
            at_least(&amount, 0, "how many rows a window has")?;
            sql.push(piece![&amount.sql, behind]);
        }
        let place = |bound: &WindowFrameBound| match bound {
            WindowFrameBound::Preceding(_) => 0,
            WindowFrameBound::CurrentRow => 1,
            WindowFrameBound::Following(_) => 2,
        };
        if place(start_bound) > place(end) {
            return Err(Error::invalid("a window begins before it ends"));
        }
        Ok(sql)
    }
}

/// How an `ORDER BY` goes.
pub(in crate::sql) fn direction(by: &OrderByExpr) -> Result<&'static str> {
    if by.with_fill.is_some() {
        return Err(Error::invalid("WITH FILL is not understood here"));
    }
    let down = match by.options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(OrderBySort::Using(_)) => return Err(Error::invalid("ORDER BY goes ASC or DESC")),
    };
    Ok(match (down, by.options.nulls_first.unwrap_or(down)) {
        (false, false) => " ASC NULLS LAST",
        (false, true) => " ASC NULLS FIRST",
        (true, false) => " DESC NULLS LAST",
        (true, true) => " DESC NULLS FIRST",
    })
}

fn at_least(typed: &Typed, least: i64, what: &str) -> Result<()> {
    match typed.known() {
        Some(Value::Int(value)) if (least..=1_000_000_000).contains(value) => Ok(()),
        _ => Err(Error::invalid(format!(
            "{what} is a whole number in the text, of at least {least}"
        ))),
    }
}

/// The function of ours that computes a statistic.
fn own_statistic(name: &str) -> &'static str {
    match name {
        "stddev_pop" => "m_stddev_pop",
        "var" | "var_samp" | "variance" => "m_var_samp",
        "var_pop" => "m_var_pop",
        "median" => "m_median",
        _ => "m_stddev_samp",
    }
}
