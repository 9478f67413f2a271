//! Expressions, from those that bind least to those that bind most.

use meshagent_tables::{Result, Value};

use super::Parser;
use crate::cypher::ast::{Comparison, Expression, Function, Place, Test, What};
use crate::cypher::lexer::Kind;

/// Values of a list.
const LIST: usize = 10_000;

/// Operators in a row, such as `= 1 IS NULL`.
const OPERATORS: usize = 2;

/// Arguments of a function.
const ARGUMENTS: usize = 32;

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Result<Expression> {
        self.deeper(|it| {
            it.chain("OR", What::Or, |it| {
                it.chain("XOR", What::Xor, |it| it.chain("AND", What::And, Self::negation))
            })
        })
    }

    /// Expressions with a word between them. One alone is itself.
    fn chain(
        &mut self,
        word: &str,
        what: fn(Vec<Expression>) -> What,
        mut read: impl FnMut(&mut Self) -> Result<Expression>,
    ) -> Result<Expression> {
        let place = self.place();
        let first = read(self)?;
        if !self.is_word(word) {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.keyword(word) {
            all.push(read(self)?);
        }
        Ok(Expression { place, what: what(all) })
    }

    fn negation(&mut self) -> Result<Expression> {
        let place = self.place();
        if self.keyword("NOT") {
            let it = self.deeper(Self::negation)?;
            return Ok(Expression { place, what: What::Not(Box::new(it)) });
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expression> {
        let mut left = self.primary()?;
        let mut compared = false;
        for row in 0.. {
            let place = self.place();
            let Some(what) = self.operator(&mut left)? else { break };
            if row >= OPERATORS {
                return Err(place.error("so many operators in a row are not understood; use ()"));
            }
            let comparison = matches!(what, What::Compare(..));
            if comparison && compared {
                return Err(
                    place.error("comparisons in a row are not understood; join them by AND")
                );
            }
            compared |= comparison;
            left = Expression { place: left.place, what };
        }
        Ok(left)
    }

    /// What comes behind an expression, with it.
    fn operator(&mut self, left: &mut Expression) -> Result<Option<What>> {
        let mut taken = || Box::new(std::mem::replace(left, null(left.place)));
        let comparison = match self.peek() {
            Kind::Sign("=") => Comparison::Equal,
            Kind::Sign("<>" | "!=") => Comparison::Unequal,
            Kind::Sign("<") => Comparison::Less,
            Kind::Sign("<=") => Comparison::LessOrEqual,
            Kind::Sign(">") => Comparison::Greater,
            Kind::Sign(">=") => Comparison::GreaterOrEqual,
            Kind::Sign("=~") => return self.test(Test::Matches, taken()).map(Some),
            Kind::Word(word) => match word.to_ascii_uppercase().as_str() {
                "STARTS" => {
                    self.advance();
                    return self.with(Test::Starts, taken()).map(Some);
                }
                "ENDS" => {
                    self.advance();
                    return self.with(Test::Ends, taken()).map(Some);
                }
                "CONTAINS" => return self.test(Test::Contains, taken()).map(Some),
                "IN" => {
                    self.advance();
                    let list = self.list()?;
                    return Ok(Some(What::In(taken(), list)));
                }
                "IS" => {
                    self.advance();
                    let not = self.keyword("NOT");
                    let place = self.place();
                    self.expect_word("NULL")?;
                    let what = What::Null(taken());
                    return Ok(Some(match not {
                        true => What::Not(Box::new(Expression { place, what })),
                        false => what,
                    }));
                }
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.advance();
        let left = taken();
        Ok(Some(What::Compare(comparison, left, Box::new(self.primary()?))))
    }

    fn with(&mut self, test: Test, left: Box<Expression>) -> Result<What> {
        if !self.is_word("WITH") {
            let word = if test == Test::Starts { "STARTS" } else { "ENDS" };
            return Err(self.unexpected(&format!("WITH behind {word}")));
        }
        self.test(test, left)
    }

    /// Takes a word or sign, and what the text is tested for.
    fn test(&mut self, test: Test, left: Box<Expression>) -> Result<What> {
        self.advance();
        Ok(What::Test(test, left, Box::new(self.primary()?)))
    }

    fn list(&mut self) -> Result<Vec<Expression>> {
        if !self.is_sign("[") {
            return Err(self.unexpected("a list such as ['a', 'b'] behind IN"));
        }
        self.advance();
        let mut list = Vec::new();
        if self.sign("]") {
            return Ok(list);
        }
        loop {
            if list.len() >= LIST {
                return Err(self.place().error(format!("a list has at most {LIST} values")));
            }
            list.push(self.literal()?);
            if !self.sign(",") {
                break;
            }
        }
        self.expect_sign("]")?;
        Ok(list)
    }

    /// A value that is written out.
    pub(super) fn literal(&mut self) -> Result<Expression> {
        match self.maybe_literal()? {
            Some(literal) => Ok(literal),
            None => Err(self.unexpected("a literal")),
        }
    }

    fn maybe_literal(&mut self) -> Result<Option<Expression>> {
        let place = self.place();
        let value = match self.peek() {
            Kind::Text(text) => Value::Text(text.clone()),
            Kind::Int(number) => Value::Int(*number),
            Kind::Float(number) => Value::Float(*number),
            Kind::Word(word) => match word.to_ascii_lowercase().as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                _ => return Ok(None),
            },
            Kind::Sign("-") => match self.tokens.get(self.at + 1).map(|token| &token.kind) {
                Some(Kind::Int(number)) => {
                    let number = -number;
                    self.advance();
                    Value::Int(number)
                }
                Some(Kind::Float(number)) => {
                    let number = -number;
                    self.advance();
                    Value::Float(number)
                }
                _ => return Err(self.unexpected("an expression")),
            },
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some(Expression { place, what: What::Literal(value) }))
    }

    fn primary(&mut self) -> Result<Expression> {
        let place = self.place();
        if let Some(literal) = self.maybe_literal()? {
            return Ok(literal);
        }
        if self.sign("(") {
            let inner = self.expression()?;
            self.expect_sign(")")?;
            return Ok(inner);
        }
        let keyword = match self.peek() {
            Kind::Word(word) => word.to_ascii_uppercase(),
            Kind::Quoted(_) => String::new(),
            Kind::Sign("[") => {
                return Err(place.error("a list is understood behind IN, and nowhere else"));
            }
            Kind::Sign("{") => return Err(place.error("maps are not understood")),
            _ => return Err(self.unexpected("an expression")),
        };
        match keyword.as_str() {
            "CASE" | "EXISTS" | "ALL" | "ANY" | "NONE" | "SINGLE" => {
                return Err(place.error(format!("{keyword} is not understood")));
            }
            // A clause begins where an expression is missing.
            "RETURN" | "WHERE" | "ORDER" | "LIMIT" | "SKIP" | "MATCH" | "AS" | "AND" | "OR"
            | "XOR" | "DISTINCT" => return Err(self.unexpected("an expression")),
            _ => {}
        }
        let name = self.name("an expression")?;
        let what = if self.is_sign("(") {
            self.call(place, &name.text)?
        } else if self.sign(".") {
            let property = self.name("the name of a property")?;
            if self.is_sign(".") || self.is_sign("[") {
                return Err(self.place().error("a part of a property is not understood"));
            }
            What::Property(name.text, property.text)
        } else {
            if self.is_sign("[") || self.is_sign("{") || self.is_sign(":") {
                let text = "only a property, such as e.name, is understood of a variable";
                return Err(self.place().error(text));
            }
            What::Variable(name.text)
        };
        Ok(Expression { place, what })
    }

    fn call(&mut self, place: Place, name: &str) -> Result<What> {
        let found = Function::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some((name, function)) = found else {
            let known: Vec<_> = Function::ALL.iter().map(|(known, _)| *known).collect();
            let known = known.join(", ");
            let shown = name.chars().take(60).collect::<String>();
            return Err(place.error(format!("there is no function {shown}; there are {known}")));
        };
        self.expect_sign("(")?;
        if *function == Function::Count && self.sign("*") {
            self.expect_sign(")")?;
            return Ok(What::CountAll);
        }
        let behind = self.place();
        let distinct = self.keyword("DISTINCT");
        if distinct && !function.is_aggregate() {
            return Err(behind.error(format!("{name} has no DISTINCT")));
        }
        let mut arguments = Vec::new();
        if !self.is_sign(")") {
            loop {
                arguments.push(self.expression()?);
                if !self.sign(",") {
                    break;
                }
            }
        }
        self.expect_sign(")")?;
        let fits = match function {
            Function::Coalesce => (1..=ARGUMENTS).contains(&arguments.len()),
            _ => arguments.len() == 1,
        };
        if !fits {
            let wanted = match function {
                Function::Coalesce => format!("from 1 to {ARGUMENTS}"),
                _ => "1".to_owned(),
            };
            let given = arguments.len();
            return Err(place.error(format!("{name} takes {wanted} arguments, and not {given}")));
        }
        Ok(What::Call { function: *function, distinct, arguments })
    }
}

const fn null(place: Place) -> Expression {
    Expression { place, what: What::Literal(Value::Null) }
}
