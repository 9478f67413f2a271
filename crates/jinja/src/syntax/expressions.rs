//! Expressions, as Jinja2's own parser reads them: functions further up in this file have
//! operators that bind less tightly.

use std::rc::Rc;

use super::lexer::Token;
use super::parser::Parser;
use super::{Comparison, Expression, Given, Name, Node, Operator};
use crate::error::{Outcome, fail, refuse};
use crate::filters;
use crate::predicates;
use crate::value::Value;

/// The deepest nesting of brackets and signs before an operand: Jinja2's parser calls itself
/// for each, and Python allows it some 70 of them.
const MAX_BRACKETS: usize = 60;

impl Parser<'_> {
    /// Calls a recursive function, unless it is nested too deeply.
    fn nested(&mut self, parse: fn(&mut Self) -> Outcome<Expression>) -> Outcome<Expression> {
        self.brackets += 1;
        if self.brackets > MAX_BRACKETS {
            let what =
                format!("an expression with more than {MAX_BRACKETS} nested brackets or signs");
            return Err(refuse(what).at(self.at()));
        }
        let parsed = parse(self);
        self.brackets -= 1;
        parsed
    }

    pub(super) fn expression(&mut self) -> Outcome<Expression> {
        let before = self.unknown.len();
        let mut value = self.or()?;
        while self.is_word("if") {
            let at = self.at();
            self.advance();
            let condition = self.or()?;
            let other = match self.skip_word("else") {
                true => Some(Box::new(self.nested(Self::expression)?)),
                false => None,
            };
            // Jinja2 reports unknown names in it only if this branch is chosen.
            self.unknown.truncate(before);
            value = Expression::new(at, Node::Condition(Box::new([condition, value]), other))?;
        }
        Ok(value)
    }

    fn or(&mut self) -> Outcome<Expression> {
        let mut left = self.and()?;
        while self.is_word("or") {
            let at = self.at();
            self.advance();
            left = Expression::new(at, Node::Or(Box::new([left, self.and()?])))?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Outcome<Expression> {
        let mut left = self.not()?;
        while self.is_word("and") {
            let at = self.at();
            self.advance();
            left = Expression::new(at, Node::And(Box::new([left, self.not()?])))?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Outcome<Expression> {
        let at = self.at();
        if self.skip_word("not") {
            let negated = Box::new(self.nested(Self::not)?);
            return Expression::new(at, Node::Not(negated));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Outcome<Expression> {
        let at = self.at();
        let first = self.sum()?;
        let mut rest = Vec::new();
        loop {
            let comparison = match *self.token() {
                Token::Sign("==") => Comparison::Equal,
                Token::Sign("!=") => Comparison::Unequal,
                Token::Sign("<") => Comparison::Less,
                Token::Sign("<=") => Comparison::LessOrEqual,
                Token::Sign(">") => Comparison::Greater,
                Token::Sign(">=") => Comparison::GreaterOrEqual,
                Token::Name("in") => Comparison::In,
                Token::Name("not") if *self.following() == Token::Name("in") => {
                    self.advance();
                    Comparison::NotIn
                }
                _ if rest.is_empty() => return Ok(first),
                _ => return Expression::new(at, Node::Compare(Box::new(first), rest)),
            };
            self.advance();
            rest.push((comparison, self.sum()?));
        }
    }

    fn sum(&mut self) -> Outcome<Expression> {
        self.binary(&[("+", Operator::Add), ("-", Operator::Subtract)], Self::concatenation)
    }

    fn concatenation(&mut self) -> Outcome<Expression> {
        let at = self.at();
        let first = self.product()?;
        if !self.is_sign("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_sign("~") {
            parts.push(self.product()?);
        }
        Expression::new(at, Node::Concatenation(parts))
    }

    fn product(&mut self) -> Outcome<Expression> {
        const OPERATORS: [(&str, Operator); 4] = [
            ("*", Operator::Multiply),
            ("/", Operator::Divide),
            ("//", Operator::FloorDivide),
            ("%", Operator::Remainder),
        ];
        self.binary(&OPERATORS, Self::power)
    }

    fn power(&mut self) -> Outcome<Expression> {
        self.binary(&[("**", Operator::Power)], |parser| parser.unary(true))
    }

    fn binary(
        &mut self,
        operators: &[(&'static str, Operator)],
        operand: fn(&mut Self) -> Outcome<Expression>,
    ) -> Outcome<Expression> {
        let mut left = operand(self)?;
        loop {
            let at = self.at();
            let found = operators.iter().find(|(sign, _)| self.is_sign(sign));
            let Some((_, operator)) = found else { return Ok(left) };
            self.advance();
            let sides = Box::new([left, operand(self)?]);
            left = Expression::new(at, Node::Binary(*operator, sides))?;
        }
    }

    fn unary(&mut self, with_filters: bool) -> Outcome<Expression> {
        let at = self.at();
        let operand = |parser: &mut Self| {
            parser.advance();
            parser.nested(|parser| parser.unary(false)).map(Box::new)
        };
        let value = match self.token() {
            Token::Sign("-") => Expression::new(at, Node::Negative(operand(self)?))?,
            Token::Sign("+") => Expression::new(at, Node::Positive(operand(self)?))?,
            _ => self.primary()?,
        };
        let value = self.postfix(value)?;
        if with_filters { self.filters(value) } else { Ok(value) }
    }

    pub(super) fn primary(&mut self) -> Outcome<Expression> {
        let at = self.at();
        let node = match self.token() {
            Token::Name("true" | "True") => Node::Constant(Value::Bool(true)),
            Token::Name("false" | "False") => Node::Constant(Value::Bool(false)),
            Token::Name("none" | "None") => Node::Constant(Value::None),
            Token::Name(name) => {
                let name: Name = (*name).into();
                if ["self", "super", "lipsum"].contains(&&*name) {
                    return Err(refuse(format!("`{name}`")).at(at));
                }
                self.mention(&name);
                Node::Name(name)
            }
            Token::Integer(number) => Node::Constant(Value::Int(*number)),
            Token::Float(number) => Node::Constant(Value::Float(*number)),
            Token::Text(text) => {
                let mut joined = text.clone();
                while let Token::Text(text) = self.following() {
                    joined.push_str(text);
                    self.advance();
                }
                Node::Constant(Value::from(joined))
            }
            Token::Sign("(") => {
                self.advance();
                let inner = self.nested(|parser| parser.tuple(true, true))?;
                self.expect_sign(")")?;
                return Ok(inner);
            }
            Token::Sign("[") => return self.nested(Self::list),
            Token::Sign("{") => return self.nested(Self::dict),
            _ => return Err(self.unexpected(", expected an expression")),
        };
        self.advance();
        Expression::new(at, node)
    }

    pub(super) fn is_end_of_tuple(&self) -> bool {
        matches!(self.token(), Token::VariableEnd | Token::BlockEnd | Token::Sign(")"))
    }

    /// An expression, or several with commas between them.
    pub(super) fn tuple(
        &mut self,
        with_condition: bool,
        may_be_empty: bool,
    ) -> Outcome<Expression> {
        let at = self.at();
        let mut parts = Vec::new();
        let mut is_tuple = false;
        while !self.is_end_of_tuple() {
            parts.push(if with_condition { self.expression()? } else { self.or()? });
            if !self.skip_sign(",") {
                break;
            }
            is_tuple = true;
        }
        if !is_tuple {
            match parts.pop() {
                Some(part) => return Ok(part),
                None if may_be_empty => {}
                None => return Err(self.unexpected(", expected an expression")),
            }
        }
        Expression::new(at, Node::Tuple(parts))
    }

    fn list(&mut self) -> Outcome<Expression> {
        let at = self.at();
        self.advance();
        let mut items = Vec::new();
        while !self.skip_sign("]") {
            if !items.is_empty() {
                self.expect_sign(",")?;
                if self.skip_sign("]") {
                    break;
                }
            }
            items.push(self.expression()?);
        }
        Expression::new(at, Node::List(items))
    }

    fn dict(&mut self) -> Outcome<Expression> {
        let at = self.at();
        self.advance();
        let mut pairs = Vec::new();
        while !self.skip_sign("}") {
            if !pairs.is_empty() {
                self.expect_sign(",")?;
                if self.skip_sign("}") {
                    break;
                }
            }
            let key = self.expression()?;
            self.expect_sign(":")?;
            pairs.push((key, self.expression()?));
        }
        Expression::new(at, Node::Dict(pairs))
    }

    fn postfix(&mut self, mut value: Expression) -> Outcome<Expression> {
        loop {
            let at = self.at();
            value = match self.token() {
                Token::Sign(".") => {
                    self.advance();
                    if let Token::Integer(number) = *self.token() {
                        self.advance();
                        let number = Expression::new(at, Node::Constant(Value::Int(number)))?;
                        Expression::new(at, Node::Item(Box::new([value, number])))?
                    } else {
                        Expression::new(at, Node::Attribute(Box::new(value), self.name()?))?
                    }
                }
                Token::Sign("[") => {
                    self.advance();
                    self.subscript(value)?
                }
                Token::Sign("(") => {
                    let given = self.given()?;
                    Expression::new(at, Node::Call(Box::new(value), given))?
                }
                _ => return Ok(value),
            };
        }
    }

    fn subscript(&mut self, value: Expression) -> Outcome<Expression> {
        let at = self.at();
        let is_part = |parser: &Self| !matches!(parser.token(), Token::Sign(":" | "]" | ","));
        let mut parts: [Option<Expression>; 3] = Default::default();
        let mut colons = 0;
        for part in &mut parts {
            if is_part(self) {
                *part = Some(self.nested(Self::expression)?);
            }
            if colons == 2 || !self.skip_sign(":") {
                break;
            }
            colons += 1;
        }
        if self.is_sign(",") {
            return Err(refuse("a subscript of several parts").at(at));
        }
        self.expect_sign("]")?;
        match (colons, parts) {
            (0, [Some(key), ..]) => Expression::new(at, Node::Item(Box::new([value, key]))),
            // Jinja2 takes nothing at all for an empty tuple.
            (0, _) => Err(refuse("an empty subscript").at(at)),
            (_, parts) => Expression::new(at, Node::Slice(Box::new(value), Box::new(parts))),
        }
    }

    fn given(&mut self) -> Outcome<Given> {
        let at = self.at();
        self.expect_sign("(")?;
        let mut given = Given::default();
        let mut is_first = true;
        while !self.skip_sign(")") {
            if !std::mem::take(&mut is_first) {
                self.expect_sign(",")?;
                if self.skip_sign(")") {
                    break;
                }
            }
            let [has_rest, has_named_rest] = given.rest.each_ref().map(Option::is_some);
            let is_named =
                matches!(self.token(), Token::Name(_)) && *self.following() == Token::Sign("=");
            let out_of_order = if self.is_sign("**") || is_named {
                has_named_rest
            } else {
                has_rest || has_named_rest || (!self.is_sign("*") && !given.named.is_empty())
            };
            if out_of_order {
                return Err(fail("these arguments are not in a valid order").at(at));
            }
            if self.skip_sign("*") {
                given.rest[0] = Some(Box::new(self.nested(Self::expression)?));
            } else if self.skip_sign("**") {
                given.rest[1] = Some(Box::new(self.nested(Self::expression)?));
            } else if is_named {
                let name = self.name()?;
                self.advance();
                if given.named.iter().any(|(other, _)| *other == name) {
                    return Err(fail(format!("there are two arguments `{name}`")).at(at));
                }
                given.named.push((name, self.nested(Self::expression)?));
            } else {
                given.positional.push(self.nested(Self::expression)?);
            }
        }
        Ok(given)
    }

    /// Filters and tests after a value, and calls of their results.
    fn filters(&mut self, mut value: Expression) -> Outcome<Expression> {
        loop {
            let at = self.at();
            value = match self.token() {
                Token::Sign("|") => {
                    self.advance();
                    self.filter(Some(value))?
                }
                Token::Name("is") => {
                    self.advance();
                    self.test(value)?
                }
                Token::Sign("(") => {
                    let given = self.given()?;
                    Expression::new(at, Node::Call(Box::new(value), given))?
                }
                _ => return Ok(value),
            };
        }
    }

    /// Filters of the text of a block.
    pub(super) fn filters_of_block(&mut self) -> Outcome<Expression> {
        let mut value = self.filter(None)?;
        while self.skip_sign("|") {
            value = self.filter(Some(value))?;
        }
        Ok(value)
    }

    fn dotted_name(&mut self) -> Outcome<Name> {
        let mut name = self.name()?.to_string();
        while self.skip_sign(".") {
            name.push('.');
            name.push_str(&self.name()?);
        }
        Ok(name.into())
    }

    fn filter(&mut self, value: Option<Expression>) -> Outcome<Expression> {
        let at = self.at();
        let name = self.dotted_name()?;
        let given = if self.is_sign("(") { self.given()? } else { Given::default() };
        if filters::is_refused(&name) {
            return Err(refuse(format!("the filter `{name}`")).at(at));
        }
        if filters::find(&name).is_none() {
            self.unknown.push((format!("there is no filter `{name}`"), at));
        }
        Expression::new(at, Node::Filter(value.map(Box::new), name, given))
    }

    fn test(&mut self, value: Expression) -> Outcome<Expression> {
        let negated = self.skip_word("not");
        let at = self.at();
        let name = self.dotted_name()?;
        let given = match self.token() {
            Token::Sign("(") => self.given()?,
            Token::Name("else" | "or" | "and") => Given::default(),
            Token::Name("is") => return Err(fail("a test of the result of a test").at(at)),
            Token::Name(_)
            | Token::Text(_)
            | Token::Integer(_)
            | Token::Float(_)
            | Token::Sign("[" | "{") => {
                let argument = self.primary()?;
                Given { positional: vec![self.postfix(argument)?], ..Given::default() }
            }
            _ => Given::default(),
        };
        if predicates::find(&name).is_none() {
            self.unknown.push((format!("there is no test `{name}`"), at));
        }
        let test = Expression::new(at, Node::Test(Box::new(value), Rc::clone(&name), given))?;
        if negated { Expression::new(at, Node::Not(Box::new(test))) } else { Ok(test) }
    }
}
