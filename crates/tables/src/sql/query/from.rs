//! What a query reads from.

use sqlparser::ast::{
    Ident, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, TableAlias, TableFactor,
    TableWithJoins,
};

use super::{Binder, Output, common, renamed, table};
use crate::data_type::Kind;
use crate::error::{Error, Reason, Result};
use crate::sql::Relation;
use crate::sql::kinds::Type;
use crate::sql::piece::{Piece, joined, piece};
use crate::sql::scope::{Scope, Seen, Table, means, unknown};

/// The most tables of a query. SQLite joins 64.
const TABLES: usize = 32;

impl Binder<'_> {
    /// What stands behind `FROM`, and the tables in it.
    pub(super) fn from(
        &mut self,
        items: &[TableWithJoins],
        outer: Option<&Scope<'_>>,
    ) -> Result<(Piece, Vec<Table>)> {
        let mut sql = Piece::default();
        let mut tables = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let (piece, found) = self.joins(item, outer)?;
            if index > 0 {
                sql.push(" JOIN ");
            }
            sql.push(match item.joins.is_empty() || index == 0 {
                true => piece,
                false => piece!["(", piece, ")"],
            });
            add(&mut tables, found)?;
        }
        Ok((sql, tables))
    }

    fn joins(
        &mut self,
        item: &TableWithJoins,
        outer: Option<&Scope<'_>>,
    ) -> Result<(Piece, Vec<Table>)> {
        let (mut sql, mut tables) = self.factor(&item.relation, outer)?;
        for Join { relation, global, join_operator } in &item.joins {
            if *global {
                return Err(Error::invalid("GLOBAL JOIN is not understood here"));
            }
            let (word, constraint) = match join_operator {
                JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
                    (" JOIN ", constraint)
                }
                JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                    (" LEFT JOIN ", constraint)
                }
                JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                    (" RIGHT JOIN ", constraint)
                }
                JoinOperator::FullOuter(constraint) => (" FULL JOIN ", constraint),
                JoinOperator::CrossJoin(JoinConstraint::None) => {
                    (" CROSS JOIN ", &JoinConstraint::None)
                }
                _ => {
                    return Err(Error::invalid(
                        "there are JOIN, LEFT JOIN, RIGHT JOIN, FULL JOIN and CROSS JOIN here; use EXISTS for SEMI and ANTI",
                    ));
                }
            };
            let (piece, right) = self.factor(relation, outer)?;
            sql.push(piece![word, piece]);
            let before = tables.len();
            add(&mut tables, right)?;
            match constraint {
                JoinConstraint::None if word == " CROSS JOIN " => {}
                JoinConstraint::None => {
                    return Err(Error::invalid(
                        "behind a JOIN stands ON or USING, or it is a CROSS JOIN",
                    ));
                }
                JoinConstraint::On(condition) => {
                    let scope = Scope { tables, outer, ..Scope::default() };
                    let condition = self.condition(condition, &scope)?;
                    tables = scope.tables;
                    if condition.aggregates || condition.windows {
                        return Err(Error::invalid("behind ON stands no function of many rows"));
                    }
                    sql.push(piece![" ON ", condition.sql]);
                }
                JoinConstraint::Using(names) => {
                    let mut columns = Vec::new();
                    for name in names {
                        columns.push(plain(name)?.clone());
                    }
                    sql.push(self.using(&mut tables, before, &columns, word)?);
                }
                JoinConstraint::Natural => {
                    let right = tables[before..].iter().flat_map(|it| &it.columns);
                    let right: Vec<_> = right.map(|it| it.name.clone()).collect();
                    let left = tables[..before].iter().flat_map(|it| &it.columns);
                    let left = left.filter(|it| !it.hidden && right.contains(&it.name));
                    let both: Vec<_> =
                        left.map(|it| Ident::with_quote('"', it.name.as_str())).collect();
                    if !both.is_empty() {
                        sql.push(self.using(&mut tables, before, &both, word)?);
                    }
                }
                JoinConstraint::UsingAlias(..) => {
                    return Err(Error::invalid("USING has no alias here"));
                }
            }
        }
        Ok((sql, tables))
    }

    /// What `USING` asks, with one column made of two.
    fn using(
        &mut self,
        tables: &mut [Table],
        before: usize,
        names: &[Ident],
        word: &'static str,
    ) -> Result<Piece> {
        let mut terms = Vec::new();
        let (lefts, rights) = tables.split_at_mut(before);
        for name in names {
            let left = the_one(lefts, name)?;
            let right = the_one(rights, name)?;
            let of = |it: &Seen| {
                super::Typed::of(
                    it.merged.as_ref().unwrap_or(&it.sql).clone(),
                    it.kind.clone(),
                    &[],
                )
            };
            let (one, other) = (of(left), of(right));
            let merged = match word {
                " RIGHT JOIN " => other.sql.clone(),
                " FULL JOIN " => piece!["coalesce(", &one.sql, ", ", &other.sql, ")"],
                _ => one.sql.clone(),
            };
            if left.kind == Type::Of(Kind::Int) && right.kind == Type::Of(Kind::Float) {
                left.kind = right.kind.clone();
            }
            terms.push(self.compare(one, " = ", other)?.sql);
            left.merged = Some(merged);
            right.hidden = true;
        }
        Ok(piece![" ON ", joined(terms, " AND ")])
    }

    fn factor(
        &mut self,
        factor: &TableFactor,
        outer: Option<&Scope<'_>>,
    ) -> Result<(Piece, Vec<Table>)> {
        self.tables += 1;
        if self.tables > TABLES {
            return Err(Error::invalid(format!("a query reads from at most {TABLES} tables")));
        }
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_directives,
                inheritance: None,
            } if with_hints.is_empty() && partitions.is_empty() && index_directives.is_empty() => {
                self.named(name, alias.as_ref())
            }
            TableFactor::Table { args: Some(_), .. }
            | TableFactor::Function { .. }
            | TableFactor::TableFunction { .. } => {
                Err(Error::invalid("functions that give tables are not understood here"))
            }
            TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                let answer = self.query(subquery, outer)?;
                let name = self.name('r');
                let columns = match alias {
                    Some(alias) => renamed(answer.columns, alias)?,
                    None => answer.columns,
                };
                let alias = alias.as_ref().map(|it| it.name.value.clone());
                let table = table(alias, &name, &columns);
                Ok((piece!["(", answer.sql, ") AS ", &name], vec![table]))
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                let (sql, tables) = self.joins(table_with_joins, outer)?;
                Ok((piece!["(", sql, ")"], tables))
            }
            TableFactor::UNNEST { .. } => {
                Err(Error::invalid("UNNEST is not understood here; use array_has or l[1]"))
            }
            TableFactor::Derived { lateral: true, .. } => {
                Err(Error::invalid("LATERAL is not understood here"))
            }
            _ => Err(Error::invalid("behind FROM stand tables, SELECT in parentheses, and JOIN")),
        }
    }

    fn named(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
    ) -> Result<(Piece, Vec<Table>)> {
        let sql = self.name('r');
        let parts: Vec<&Ident> = name.0.iter().map(part).collect::<Result<_>>()?;
        let Some(last) = parts.last() else { return Err(Error::invalid("a table has a name")) };
        if let [only] = parts[..]
            && let Some(common) = common(&self.common, only)
        {
            let (source, columns) = (common.sql.clone(), common.columns.clone());
            let shown = alias.map_or(&only.value, |it| &it.name.value).clone();
            let columns = match alias {
                Some(alias) => renamed(columns, alias)?,
                None => columns,
            };
            let table = table(Some(shown), &sql, &columns);
            return Ok((piece![source, " AS ", &sql], vec![table]));
        }
        let Relation { columns, source } = self.relation(&parts)?;
        let output = |column: crate::sql::Column| Output {
            name: column.name,
            kind: Type::Of(column.data_type.kind),
            sql: Piece::of_column(&column.sql),
        };
        let mut columns: Vec<Output> = columns.into_iter().map(output).collect();
        if let Some(alias) = alias {
            columns = renamed(columns, alias)?;
        }
        let shown = alias.map_or(&last.value, |it| &it.name.value).clone();
        let table = table(Some(shown), &sql, &columns);
        Ok((piece![Piece::of_catalog(source), " AS ", &sql], vec![table]))
    }

    /// The table of a name: as it is written, and in lower case if that is none and it has no quotes.
    fn relation(&self, parts: &[&Ident]) -> Result<Relation> {
        let Some(catalog) = self.catalog else {
            return Err(Error::invalid("there are no tables here"));
        };
        let written: Vec<_> = parts.iter().map(|it| it.value.clone()).collect();
        let lowered = parts.iter().map(|it| match it.quote_style {
            None => it.value.to_lowercase(),
            Some(_) => it.value.clone(),
        });
        let (written, lowered) = (written.join("."), lowered.collect::<Vec<_>>().join("."));
        match catalog.relation(&written) {
            Err(error) if error.reason == Reason::NotFound && lowered != written => {
                catalog.relation(&lowered).map_err(|_| error)
            }
            answer => answer,
        }
    }
}

fn add(tables: &mut Vec<Table>, more: Vec<Table>) -> Result<()> {
    for table in more {
        let twice = tables.iter().any(|it| table.name.is_some() && it.name == table.name);
        if let (Some(name), true) = (&table.name, twice) {
            return Err(Error::invalid(format!(
                "two tables are called {name:?}; give one another name with AS"
            )));
        }
        tables.push(table);
    }
    Ok(())
}

fn part(part: &ObjectNamePart) -> Result<&Ident> {
    match part {
        ObjectNamePart::Identifier(name) => Ok(name),
        ObjectNamePart::Function(_) => Err(Error::invalid("the name of a table is no call")),
    }
}

fn plain(name: &ObjectName) -> Result<&Ident> {
    match &name.0[..] {
        [only] => part(only),
        _ => Err(Error::invalid("USING names columns without their tables")),
    }
}

/// The one column of a name.
fn the_one<'t>(tables: &'t mut [Table], name: &Ident) -> Result<&'t mut Seen> {
    let fits = |it: &&mut Seen| !it.hidden && means(name, &it.name);
    let names: Vec<String> =
        tables.iter().flat_map(|it| &it.columns).map(|it| it.name.clone()).collect();
    let mut found = tables.iter_mut().flat_map(|it| &mut it.columns).filter(fits);
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column),
        (Some(_), Some(_)) => {
            Err(Error::invalid(format!("{:?} is a column of several tables", name.value)))
        }
        (None, _) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Err(unknown("column", name, &names))
        }
    }
}
