//! Expressions, written for SQLite, with what their values are.
//!
//! [`Writer::kind`] looks whether an expression can be computed at all, and says what comes of it;
//! [`Writer::expression`] writes what was looked at.

use meshagent_tables::stored::Stored;
use meshagent_tables::{Result, Value};

use super::{Alias, Writer};
use crate::cypher::ast::{Comparison, Expression, Function, Place, Test, What};
use crate::cypher::functions;
use crate::store::Column;
use crate::store::catalog::{Kind, has_moments, relationship};

impl Writer<'_> {
    /// What comes of an expression.
    pub(super) fn kind(&self, expression: &Expression) -> Result<Kind> {
        let place = expression.place;
        Ok(match &expression.what {
            What::Literal(value) => Kind::of(value),
            What::Variable(name) => {
                self.variable(name, place)?;
                return Err(place.error(format!("{name} is a whole record; name a property of it")));
            }
            What::Property(variable, property) => {
                let alias = self.variable(variable, place)?;
                let dataset = self.dataset(alias);
                dataset.place(property).map_or(Kind::Open, |place| dataset.fields[place].kind)
            }
            What::And(all) => self.logical("AND", all)?,
            What::Or(all) => self.logical("OR", all)?,
            What::Xor(all) => self.logical("XOR", all)?,
            What::Not(it) => self.logical("NOT", std::slice::from_ref(it))?,
            What::Compare(comparison, left, right) => {
                if self.records(left, right)?.is_some() {
                    if !matches!(comparison, Comparison::Equal | Comparison::Unequal) {
                        return Err(place.error("records have no order; compare a property"));
                    }
                } else {
                    self.kind(left)?;
                    self.kind(right)?;
                }
                Kind::Bool
            }
            What::Test(test, left, right) => {
                self.kind(left)?;
                self.kind(right)?;
                if *test == Test::Matches {
                    let What::Literal(Value::Text(text)) = &right.what else {
                        return Err(right.place.error("the pattern behind =~ is a text in quotes"));
                    };
                    functions::pattern(text).map_err(|error| right.place.error(error))?;
                }
                Kind::Bool
            }
            What::In(it, _) => {
                self.kind(it)?;
                Kind::Bool
            }
            What::Null(it) => {
                if !matches!(it.what, What::Variable(_)) {
                    self.kind(it)?;
                }
                Kind::Bool
            }
            What::CountAll => Kind::Int,
            What::Call { function, distinct, arguments } => {
                self.call(place, *function, *distinct, arguments)?
            }
        })
    }

    fn logical(&self, word: &str, all: &[impl std::borrow::Borrow<Expression>]) -> Result<Kind> {
        for it in all {
            let it = it.borrow();
            let kind = self.kind(it)?;
            if !matches!(kind, Kind::Bool | Kind::Open) {
                return Err(it.place.error(format!("{word} takes conditions, and this is {kind}")));
            }
        }
        Ok(Kind::Bool)
    }

    fn call(
        &self,
        place: Place,
        function: Function,
        distinct: bool,
        arguments: &[Expression],
    ) -> Result<Kind> {
        let name =
            Function::ALL.iter().find(|(_, it)| *it == function).map_or("", |(name, _)| name);
        if function == Function::Type {
            let What::Variable(variable) = &arguments[0].what else {
                return Err(arguments[0].place.error("type takes a relationship, such as type(r)"));
            };
            return match self.variable(variable, arguments[0].place)?.dataset {
                1 => Ok(Kind::Text),
                _ => Err(arguments[0].place.error(format!("{variable} is no relationship"))),
            };
        }
        if function.is_aggregate()
            && let Some(inner) = arguments.iter().find_map(super::aggregate_in)
        {
            return Err(inner.place.error("an aggregate within another is not understood"));
        }
        if function == Function::Count
            && let What::Variable(variable) = &arguments[0].what
        {
            self.variable(variable, arguments[0].place)?;
            return Ok(Kind::Int);
        }
        let kinds = arguments.iter().map(|it| self.kind(it)).collect::<Result<Vec<_>>>()?;
        let kind = kinds[0];
        let numbers = matches!(kind, Kind::Int | Kind::Float | Kind::Open);
        let made = match function {
            Function::ToLower | Function::ToUpper | Function::Trim => {
                matches!(kind, Kind::Text | Kind::Open).then_some(Kind::Text)
            }
            Function::Size => {
                matches!(kind, Kind::Text | Kind::Nested | Kind::Open).then_some(Kind::Int)
            }
            Function::ToText => {
                (!matches!(kind, Kind::Binary | Kind::Nested)).then_some(Kind::Text)
            }
            Function::ToInteger => (numbers || kind == Kind::Text).then_some(Kind::Int),
            Function::ToFloat => (numbers || kind == Kind::Text).then_some(Kind::Float),
            Function::Count => Some(Kind::Int),
            Function::Collect => {
                let plain = matches!(kind, Kind::Text | Kind::Int | Kind::Float | Kind::Open);
                let fits = plain || (!distinct && kind != Kind::Binary);
                fits.then_some(Kind::Nested)
            }
            Function::Min | Function::Max => {
                (!matches!(kind, Kind::Binary | Kind::Nested)).then_some(kind)
            }
            Function::Sum if kind == Kind::Float => Some(Kind::Float),
            Function::Sum => numbers.then_some(Kind::Int),
            Function::Avg => numbers.then_some(Kind::Float),
            Function::Coalesce => return coalesced(arguments, &kinds),
            Function::Type => None,
        };
        made.ok_or_else(|| {
            let distinct = if distinct { " DISTINCT" } else { "" };
            place.error(format!("{name}{distinct} takes no value of {kind}"))
        })
    }

    /// The record that a variable stands for.
    pub(super) fn variable(&self, name: &str, place: Place) -> Result<Alias> {
        self.variables.get(name).copied().ok_or_else(|| {
            let shown: String = name.chars().take(60).collect();
            place.error(format!("the pattern has no variable {shown:?}"))
        })
    }

    /// The records that two variables stand for, if that is what they are.
    fn records(&self, left: &Expression, right: &Expression) -> Result<Option<(Alias, Alias)>> {
        let (What::Variable(one), What::Variable(other)) = (&left.what, &right.what) else {
            return Ok(None);
        };
        Ok(Some((self.variable(one, left.place)?, self.variable(other, right.place)?)))
    }

    /// Whether an expression gives moments. They are compared and ordered by their keys.
    pub(super) fn is_moment(&self, expression: &Expression) -> bool {
        match &expression.what {
            What::Property(variable, property) => {
                self.variables.get(variable).is_some_and(|alias| {
                    let place = self.dataset(*alias).place(property);
                    place.is_some_and(|place| has_moments(alias.dataset, place))
                })
            }
            What::Call {
                function: Function::Min | Function::Max | Function::Coalesce,
                arguments,
                ..
            } => arguments.iter().any(|it| self.is_moment(it)),
            _ => false,
        }
    }

    /// Writes an expression, or its key if moments are compared.
    pub(super) fn key(&mut self, expression: &Expression, moments: bool) -> Result<()> {
        match moments {
            true => self.wrapped("moment_key(", expression, ")"),
            false => self.expression(expression),
        }
    }

    /// Writes an expression that says yes, no or nothing.
    pub(super) fn condition(&mut self, word: &str, expression: &Expression) -> Result<()> {
        self.logical(word, std::slice::from_ref(expression))?;
        self.text.push('(');
        self.expression(expression)?;
        self.text.push(')');
        Ok(())
    }

    /// Writes an expression of which [`Writer::kind`] knows what comes of it.
    pub(super) fn expression(&mut self, expression: &Expression) -> Result<()> {
        match &expression.what {
            What::Literal(value) => {
                self.text.push('?');
                self.values.push(Stored::from(value.clone()));
            }
            What::Variable(name) => {
                let alias = self.variable(name, expression.place)?;
                self.text.push_str(&format!("t{}.row", alias.number));
            }
            What::Property(variable, property) => {
                let alias = self.variable(variable, expression.place)?;
                match self.dataset(alias).place(property) {
                    Some(place) => {
                        self.text.push_str(&format!("t{}.{}", alias.number, Column::At(place)));
                    }
                    None => self.text.push_str("NULL"),
                }
            }
            What::And(all) => self.joined(" AND ", all)?,
            What::Or(all) => self.joined(" OR ", all)?,
            // Of yes and no, those that are not equal: null stays null.
            What::Xor(all) => self.joined(" <> ", all)?,
            What::Not(it) => self.wrapped("(NOT ", it, ")")?,
            What::Null(it) => self.wrapped("(", it, " IS NULL)")?,
            What::Compare(comparison, left, right) => self.comparison(*comparison, left, right)?,
            What::Test(test, left, right) => self.test(*test, left, right)?,
            What::In(it, list) => self.contained(it, list)?,
            What::CountAll => self.text.push_str("count(*)"),
            What::Call { function, distinct, arguments } => {
                self.write_call(*function, *distinct, arguments)?;
            }
        }
        Ok(())
    }

    fn wrapped(&mut self, before: &str, it: &Expression, after: &str) -> Result<()> {
        self.text.push_str(before);
        self.expression(it)?;
        self.text.push_str(after);
        Ok(())
    }

    /// Expressions with an operator between them that can be computed in any order. They are halved
    /// again and again, for SQLite takes only so many levels.
    fn joined(&mut self, operator: &str, all: &[Expression]) -> Result<()> {
        match all {
            [] => {}
            [one] => self.wrapped("(", one, ")")?,
            more => {
                let (left, right) = more.split_at(more.len() / 2);
                self.text.push('(');
                self.joined(operator, left)?;
                self.text.push_str(operator);
                self.joined(operator, right)?;
                self.text.push(')');
            }
        }
        Ok(())
    }

    fn comparison(
        &mut self,
        comparison: Comparison,
        left: &Expression,
        right: &Expression,
    ) -> Result<()> {
        let operator = match comparison {
            Comparison::Equal => " = ",
            Comparison::Unequal => " <> ",
            Comparison::Less => " < ",
            Comparison::LessOrEqual => " <= ",
            Comparison::Greater => " > ",
            Comparison::GreaterOrEqual => " >= ",
        };
        let equality = matches!(comparison, Comparison::Equal | Comparison::Unequal);
        let comparable = match self.records(left, right)? {
            Some((one, other)) if one.dataset != other.dataset => {
                // Records of different datasets are different.
                self.text.push_str(if comparison == Comparison::Equal {
                    "(1 = 0)"
                } else {
                    "(1 = 1)"
                });
                return Ok(());
            }
            Some(_) => true,
            None => {
                let (one, other) = (self.kind(left)?, self.kind(right)?);
                let ordered = !matches!(one, Kind::Nested | Kind::Binary);
                comparable(one, other) && (equality || ordered)
            }
        };
        if comparable {
            let moments = self.is_moment(left) || self.is_moment(right);
            self.text.push('(');
            self.key(left, moments)?;
            self.text.push_str(operator);
            self.key(right, moments)?;
            self.text.push(')');
        } else if equality {
            self.wrapped("iif(", left, " IS NULL OR ")?;
            self.expression(right)?;
            let answer = if comparison == Comparison::Equal { "0" } else { "1" };
            self.text.push_str(&format!(" IS NULL, NULL, {answer})"));
        } else {
            self.text.push_str("NULL");
        }
        Ok(())
    }

    fn test(&mut self, test: Test, left: &Expression, right: &Expression) -> Result<()> {
        let texts = [self.kind(left)?, self.kind(right)?];
        if !texts.iter().all(|kind| matches!(kind, Kind::Text | Kind::Open)) {
            self.text.push_str("NULL");
            return Ok(());
        }
        let name = match test {
            Test::Starts => "text_starts(",
            Test::Ends => "text_ends(",
            Test::Contains => "text_contains(",
            Test::Matches => "text_matches(",
        };
        self.wrapped(name, left, ", ")?;
        self.expression(right)?;
        self.text.push(')');
        Ok(())
    }

    fn contained(&mut self, it: &Expression, list: &[Expression]) -> Result<()> {
        if list.is_empty() {
            self.text.push('0');
            return Ok(());
        }
        let kind = self.kind(it)?;
        let mut fitting = Vec::new();
        for item in list {
            if comparable(kind, self.kind(item)?) {
                fitting.push(item);
            }
        }
        if fitting.is_empty() {
            return self.wrapped("iif(", it, " IS NULL, NULL, 0)");
        }
        let moments = self.is_moment(it);
        self.text.push('(');
        self.key(it, moments)?;
        self.text.push_str(" IN (");
        for (index, item) in fitting.into_iter().enumerate() {
            if index > 0 {
                self.text.push_str(", ");
            }
            self.key(item, moments)?;
        }
        self.text.push_str("))");
        Ok(())
    }

    fn write_call(
        &mut self,
        function: Function,
        distinct: bool,
        arguments: &[Expression],
    ) -> Result<()> {
        let it = &arguments[0];
        let distinct = if distinct { "DISTINCT " } else { "" };
        let aggregate = |name: &str| format!("{name}({distinct}");
        match function {
            Function::ToLower => self.wrapped("text_lower(", it, ")"),
            Function::ToUpper => self.wrapped("text_upper(", it, ")"),
            Function::Trim => self.wrapped("text_trim(", it, ")"),
            Function::Size => match self.kind(it)? {
                Kind::Nested => self.wrapped("json_array_length(", it, ")"),
                _ => self.wrapped("text_size(", it, ")"),
            },
            Function::ToText => match self.kind(it)? {
                Kind::Bool => self.wrapped("as_truth(", it, ")"),
                _ => self.wrapped("as_text(", it, ")"),
            },
            Function::ToInteger => self.wrapped("as_integer(", it, ")"),
            Function::ToFloat => self.wrapped("as_float(", it, ")"),
            Function::Type => {
                let What::Variable(name) = &it.what else { return Ok(()) };
                let alias = self.variable(name, it.place)?;
                let column = Column::At(relationship::TYPE);
                self.text.push_str(&format!("t{}.{column}", alias.number));
                Ok(())
            }
            Function::Coalesce => self.coalesce(arguments),
            Function::Count => self.wrapped(&aggregate("count"), it, ")"),
            Function::Min | Function::Max if self.is_moment(it) => {
                let name = if function == Function::Min { "min" } else { "max" };
                self.wrapped(&format!("moment_kept({name}(moment_key("), it, ")))")
            }
            Function::Min => self.wrapped(&aggregate("min"), it, ")"),
            Function::Max => self.wrapped(&aggregate("max"), it, ")"),
            Function::Avg => self.wrapped(&aggregate("avg"), it, ")"),
            Function::Sum => {
                // The sum of nothing is 0, as a number of the same kind.
                let zero = if self.kind(it)? == Kind::Float { "), 0.0)" } else { "), 0)" };
                self.wrapped(&format!("coalesce({}", aggregate("sum")), it, zero)
            }
            Function::Collect => {
                let kind = self.kind(it)?;
                self.text.push_str(&aggregate("json_group_array"));
                match kind {
                    Kind::Bool => {
                        self.wrapped("json(iif(", it, ", ?, ?))")?;
                        self.values.push(Stored::Text("true".to_owned()));
                        self.values.push(Stored::Text("false".to_owned()));
                    }
                    Kind::Nested => self.wrapped("json(", it, ")")?,
                    _ => self.expression(it)?,
                }
                self.wrapped(") FILTER (WHERE ", it, " IS NOT NULL)")
            }
        }
    }

    fn coalesce(&mut self, arguments: &[Expression]) -> Result<()> {
        let kinds = arguments.iter().map(|it| self.kind(it)).collect::<Result<Vec<_>>>()?;
        let float = coalesced(arguments, &kinds)? == Kind::Float;
        // SQLite's takes two at least.
        self.text.push_str("coalesce(NULL");
        for (argument, kind) in arguments.iter().zip(kinds) {
            self.text.push_str(", ");
            match float && kind == Kind::Int {
                true => self.wrapped("(0.0 + ", argument, ")")?,
                false => self.expression(argument)?,
            }
        }
        self.text.push(')');
        Ok(())
    }
}

/// Whether values of these kinds can be equal. What is always null is compared to anything.
const fn comparable(one: Kind, other: Kind) -> bool {
    match (one, other) {
        (Kind::Open, _) | (_, Kind::Open) => true,
        (Kind::Int | Kind::Float, Kind::Int | Kind::Float) => true,
        (one, other) => one as u8 == other as u8,
    }
}

/// What the first value that is not null is.
fn coalesced(arguments: &[Expression], kinds: &[Kind]) -> Result<Kind> {
    let mut all = Kind::Open;
    for (argument, kind) in arguments.iter().zip(kinds) {
        all = match (all, *kind) {
            (one, Kind::Open) | (Kind::Open, one) => one,
            (one, other) if one == other => one,
            (Kind::Int | Kind::Float, Kind::Int | Kind::Float) => Kind::Float,
            (one, other) => {
                let text = format!("coalesce takes values of one type, and not {one} and {other}");
                return Err(argument.place.error(text));
            }
        };
    }
    Ok(all)
}
