//! One `SELECT`.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, NamedWindowExpr, Select, SelectFlavor, SelectItem,
    SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};

use super::{Answer, Binder, Output, Tail, Typed, position};
use crate::data_type::Kind;
use crate::error::{Error, Result};
use crate::sql::bind::direction;
use crate::sql::piece::{Piece, joined, piece};
use crate::sql::scope::{Found, Scope, Table, means, unknown};

/// The most columns of an answer. SQLite gives 2,000.
const COLUMNS: usize = 1_000;

/// A part of what is selected.
struct Item {
    name: String,
    /// Whether a client gave the name.
    alias: bool,
    typed: Typed,
}

impl Binder<'_> {
    /// Reads a `SELECT` with what stands behind it.
    pub(super) fn select(
        &mut self,
        select: &Select,
        tail: Tail<'_>,
        outer: Option<&Scope<'_>>,
    ) -> Result<Answer> {
        known(select)?;
        let (from, tables) = self.from(&select.from, outer)?;
        let mut scope = Scope { tables, outer, ..Scope::default() };
        for window in &select.named_window {
            let NamedWindowExpr::WindowSpec(spec) = &window.1 else {
                return Err(Error::invalid("a window is not named by another"));
            };
            scope.windows.push((window.0.value.clone(), spec.clone()));
        }
        let filter = match &select.selection {
            None => None,
            Some(filter) => Some(single(self.condition(filter, &scope)?, "WHERE", "HAVING")?),
        };
        let mut items = self.items(&select.projection, &scope)?;
        scope.aliases = aliases(&items);
        let groups = self.groups(select, &items, &scope)?;
        if !groups.is_empty() {
            scope.groups = groups.iter().map(|it| it.sql.clone()).collect();
            scope.aliases = Vec::new();
            items = self.items(&select.projection, &scope)?;
            scope.aliases = aliases(&items);
        }
        let having = match &select.having {
            None => None,
            Some(having) => Some(self.condition(having, &scope)?),
        };
        let distinct = matches!(select.distinct, Some(Distinct::Distinct));
        let mut columns = Vec::new();
        for item in &items {
            let sql = self.name('e');
            columns.push(Output { name: item.name.clone(), kind: item.typed.kind.clone(), sql });
        }
        let order = self.select_order(tail, &items, &columns, &scope, distinct)?;
        let all =
            items.iter().map(|it| &it.typed).chain(&having).chain(order.iter().map(|it| &it.0));
        let all: Vec<&Typed> = all.collect();
        let grouped = !groups.is_empty() || all.iter().any(|it| it.aggregates);
        if having.is_some() && !grouped {
            return Err(Error::invalid("HAVING stands behind GROUP BY; use WHERE"));
        }
        if having.as_ref().is_some_and(|it| it.windows) {
            return Err(Error::invalid("in HAVING stands no function with OVER"));
        }
        if let Some(loose) = all.iter().find_map(|it| it.loose.as_ref()).filter(|_| grouped) {
            return Err(Error::invalid(format!(
                "the column {loose:?} stands neither in GROUP BY nor in a function of many rows"
            )));
        }
        let mut sql = Piece::from(if distinct { "SELECT DISTINCT " } else { "SELECT " });
        let top = self.queries == 1;
        let written = items.iter().zip(&columns).map(|(item, column)| {
            let computed = item.typed.sql.is_call();
            match top && computed && item.typed.kind() == Some(&Kind::Float) {
                true => piece!["m_finite(", &item.typed.sql, ") AS ", &column.sql],
                false => piece![&item.typed.sql, " AS ", &column.sql],
            }
        });
        sql.push(joined(written, ", "));
        if !select.from.is_empty() {
            sql.push(piece![" FROM ", from]);
        }
        if let Some(filter) = filter {
            sql.push(piece![" WHERE ", filter.sql]);
        }
        if !groups.is_empty() {
            sql.push(piece![" GROUP BY ", joined(groups.into_iter().map(|it| it.sql), ", ")]);
        }
        if let Some(having) = having {
            sql.push(piece![" HAVING ", having.sql]);
        }
        if !order.is_empty() {
            sql.push(piece![" ORDER BY ", joined(order.into_iter().map(|it| it.1), ", ")]);
        }
        sql.push(self.limit(tail.limit)?);
        Ok(Answer { sql, columns })
    }

    fn items(&mut self, projection: &[SelectItem], scope: &Scope<'_>) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expression) => {
                    let typed = self.bind(expression, scope)?;
                    let name = self.shown(expression, &typed, scope);
                    items.push(Item { name, alias: false, typed });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let typed = self.bind(expr, scope)?;
                    items.push(Item { name: lowered(alias), alias: true, typed });
                }
                SelectItem::Wildcard(options) => {
                    nothing_else(options)?;
                    if scope.tables.is_empty() {
                        return Err(Error::invalid("* needs a FROM"));
                    }
                    for table in &scope.tables {
                        all(table, true, &mut items);
                    }
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    options,
                ) => {
                    nothing_else(options)?;
                    let name = match &name.0[..] {
                        [sqlparser::ast::ObjectNamePart::Identifier(name)] => name,
                        _ => return Err(Error::invalid("before .* stands the name of a table")),
                    };
                    let named = |it: &&Table| it.name.as_ref().is_some_and(|it| means(name, it));
                    let Some(table) = scope.tables.iter().find(named) else {
                        let names: Vec<_> =
                            scope.tables.iter().filter_map(|it| it.name.as_deref()).collect();
                        return Err(unknown("table", name, &names));
                    };
                    all(table, false, &mut items);
                }
                _ => {
                    return Err(Error::invalid(
                        "a column has one alias, and .* stands behind a table",
                    ));
                }
            }
            let interval =
                items.last().is_some_and(|it| it.typed.kind == crate::sql::kinds::Type::Interval);
            if interval {
                return Err(Error::invalid("a span of time is added to a date, and not selected"));
            }
            if items.len() > COLUMNS {
                return Err(Error::invalid(format!("more than {COLUMNS} columns are selected")));
            }
        }
        if items.is_empty() {
            return Err(Error::invalid("nothing is selected"));
        }
        Ok(items)
    }

    /// What a column is called that has no alias: as its text is, with calls in lower case.
    fn shown(&self, expression: &Expr, typed: &Typed, scope: &Scope<'_>) -> String {
        const LONGEST: usize = 200;
        let text = match expression {
            Expr::Identifier(name) => match scope.column(name, self.dialect) {
                Ok(Some(Found::Column(column, _))) => return column.name.clone(),
                _ => return name.value.clone(),
            },
            Expr::CompoundIdentifier(names) => match &names[..] {
                [table, name] => {
                    let column =
                        scope.table(table).and_then(|it| it.0.column(name, self.dialect).ok());
                    return column.map_or(&name.value, |column| &column.name).clone();
                }
                _ => return names.last().map(|it| it.value.clone()).unwrap_or_default(),
            },
            Expr::Nested(inner) => return self.shown(inner, typed, scope),
            // Long chains are not written: that goes as deep as they are long.
            _ if typed.depth > 40 || typed.sql.length() > 4 * LONGEST => {
                return "expression".to_owned();
            }
            Expr::Function(call) => {
                let whole = call.to_string();
                let name = call.name.to_string();
                format!("{}{}", name.to_lowercase(), whole.get(name.len()..).unwrap_or_default())
            }
            other => other.to_string(),
        };
        text.chars().take(LONGEST).collect()
    }

    fn groups(&mut self, select: &Select, items: &[Item], scope: &Scope<'_>) -> Result<Vec<Typed>> {
        let expressions = match &select.group_by {
            GroupByExpr::Expressions(expressions, with) if with.is_empty() => expressions,
            GroupByExpr::All(with) if with.is_empty() => {
                let groups = items.iter().filter(|it| !it.typed.aggregates && !it.typed.windows);
                return Ok(groups.map(|it| it.typed.clone()).collect());
            }
            _ => {
                return Err(Error::invalid(
                    "ROLLUP and CUBE are not understood here; join several SELECT with UNION ALL",
                ));
            }
        };
        let mut groups = Vec::new();
        for expression in expressions {
            let typed = match position(expression, items.len())? {
                Some(index) => items[index].typed.clone(),
                None => self.bind(expression, scope)?,
            };
            groups.push(single(typed, "GROUP BY", "HAVING")?);
        }
        Ok(groups)
    }

    /// What is ordered by, with how SQLite is asked for it.
    fn select_order(
        &mut self,
        tail: Tail<'_>,
        items: &[Item],
        columns: &[Output],
        scope: &Scope<'_>,
        distinct: bool,
    ) -> Result<Vec<(Typed, Piece)>> {
        let mut order = Vec::new();
        for by in tail.order {
            let named = match &by.expr {
                Expr::Identifier(name) => {
                    let mut fitting =
                        (0..items.len()).filter(|index| means(name, &items[*index].name));
                    match (fitting.next(), fitting.next()) {
                        (Some(index), None) => Some(index),
                        _ => None,
                    }
                }
                other => position(other, items.len())?,
            };
            let (typed, index) = match named {
                Some(index) => (items[index].typed.clone(), Some(index)),
                None => {
                    let typed = self.bind(&by.expr, scope)?;
                    let same = items.iter().position(|it| it.typed.sql == typed.sql);
                    (typed, same)
                }
            };
            if distinct && index.is_none() {
                return Err(Error::invalid("SELECT DISTINCT is ordered by what it selects"));
            }
            let sql = index.map_or(&typed.sql, |index| &columns[index].sql).clone();
            order.push((typed, piece![sql, direction(by)?]));
        }
        Ok(order)
    }
}

/// Refuses what a `SELECT` may have elsewhere.
fn known(select: &Select) -> Result<()> {
    let what = if matches!(select.distinct, Some(Distinct::On(_))) {
        "DISTINCT ON"
    } else if select.into.is_some() {
        "INTO"
    } else if select.top.is_some() {
        "TOP"
    } else if select.qualify.is_some() {
        "QUALIFY"
    } else if !select.lateral_views.is_empty() {
        "LATERAL VIEW"
    } else if select.flavor != SelectFlavor::Standard {
        "FROM without SELECT"
    } else if select.exclude.is_some() {
        "EXCLUDE"
    } else if select.prewhere.is_some()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty()
        || select.value_table_mode.is_some()
        || select.select_modifiers.is_some()
    {
        "what is written here around SELECT"
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("{what} is not understood here")))
}

fn nothing_else(options: &WildcardAdditionalOptions) -> Result<()> {
    let other = options.opt_ilike.is_some()
        || options.opt_exclude.is_some()
        || options.opt_except.is_some()
        || options.opt_replace.is_some()
        || options.opt_rename.is_some()
        || options.opt_alias.is_some();
    match other {
        true => Err(Error::invalid("behind * stands nothing here; name the columns")),
        false => Ok(()),
    }
}

/// All columns of a table.
fn all(table: &Table, merged: bool, items: &mut Vec<Item>) {
    for column in table.columns.iter().filter(|it| !(merged && it.hidden)) {
        let sql = column.merged.as_ref().filter(|_| merged).unwrap_or(&column.sql).clone();
        let loose = Some(column.name.clone());
        let typed = Typed { loose, ..Typed::of(sql, column.kind.clone(), &[]) };
        items.push(Item { name: column.name.clone(), alias: false, typed });
    }
}

fn aliases(items: &[Item]) -> Vec<(String, Typed)> {
    items.iter().filter(|it| it.alias).map(|it| (it.name.clone(), it.typed.clone())).collect()
}

fn single(typed: Typed, place: &str, other: &str) -> Result<Typed> {
    match typed.aggregates || typed.windows {
        true => Err(Error::invalid(format!(
            "in {place} stands no function of many rows; use {other}, or a SELECT around this one"
        ))),
        false => Ok(typed),
    }
}

/// A name as DataFusion takes it: without quotes it is in lower case.
pub(super) fn lowered(name: &Ident) -> String {
    match name.quote_style {
        None => name.value.to_lowercase(),
        Some(_) => name.value.clone(),
    }
}
