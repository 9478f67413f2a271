//! Evaluates expressions.

use std::cmp::Ordering;
use std::rc::Rc;

use super::scope::Scope;
use super::{Interpreter, Object};
use crate::arguments::Arguments;
use crate::error::{Outcome, fail, refuse};
use crate::filters;
use crate::globals;
use crate::operators;
use crate::predicates;
use crate::syntax::{Comparison, Expression, Given, Node};
use crate::value::{Value, equal, iterate, write_text};

impl Interpreter<'_> {
    pub(super) fn evaluate(&self, expression: &Expression, scope: &Rc<Scope>) -> Outcome {
        self.budget.step()?;
        self.node(expression, scope).map_err(|error| error.at(expression.at))
    }

    fn all(&self, parts: &[Expression], scope: &Rc<Scope>) -> Outcome<Vec<Value>> {
        parts.iter().map(|part| self.evaluate(part, scope)).collect()
    }

    fn both(&self, sides: &[Expression; 2], scope: &Rc<Scope>) -> Outcome<[Value; 2]> {
        Ok([self.evaluate(&sides[0], scope)?, self.evaluate(&sides[1], scope)?])
    }

    fn node(&self, expression: &Expression, scope: &Rc<Scope>) -> Outcome {
        let budget = self.budget;
        match &expression.node {
            Node::Constant(value) => Ok(value.clone()),
            Node::Name(name) => {
                Ok(scope.get(name).or_else(|| globals::find(name)).unwrap_or_default())
            }
            Node::List(items) => budget.list(self.all(items, scope)?),
            Node::Tuple(items) => budget.tuple(self.all(items, scope)?),
            Node::Dict(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| {
                    Ok((self.evaluate(key, scope)?, self.evaluate(value, scope)?))
                });
                budget.dict(pairs.collect::<Outcome<Vec<_>>>()?)
            }
            Node::Not(part) => Ok((!self.evaluate(part, scope)?.is_true()).into()),
            Node::Negative(part) => operators::negative(&self.evaluate(part, scope)?),
            Node::Positive(part) => operators::positive(&self.evaluate(part, scope)?),
            Node::And(sides) | Node::Or(sides) => {
                let left = self.evaluate(&sides[0], scope)?;
                match left.is_true() == matches!(expression.node, Node::And(_)) {
                    true => self.evaluate(&sides[1], scope),
                    false => Ok(left),
                }
            }
            Node::Binary(operator, sides) => {
                let [left, right] = self.both(sides, scope)?;
                operators::binary(budget, *operator, &left, &right)
            }
            Node::Compare(first, rest) => self.comparison(first, rest, scope),
            Node::Concatenation(parts) => {
                let mut joined = String::new();
                for part in parts {
                    write_text(budget, &mut joined, &self.evaluate(part, scope)?)?;
                }
                budget.text(joined)
            }
            Node::Condition(parts, other) => match self.evaluate(&parts[0], scope)?.is_true() {
                true => self.evaluate(&parts[1], scope),
                false => match other {
                    Some(other) => self.evaluate(other, scope),
                    None => Ok(Value::Undefined),
                },
            },
            Node::Attribute(part, name) => {
                operators::attribute(budget, &self.evaluate(part, scope)?, name)
            }
            Node::Item(sides) => {
                let [value, key] = self.both(sides, scope)?;
                operators::item(budget, &value, &key)
            }
            Node::Slice(part, bounds) => {
                let value = self.evaluate(part, scope)?;
                let mut values = [Value::None, Value::None, Value::None];
                for (value, bound) in values.iter_mut().zip(bounds.iter()) {
                    if let Some(bound) = bound {
                        *value = self.evaluate(bound, scope)?;
                    }
                }
                operators::slice(budget, &value, &values)
            }
            Node::Call(..) => self.called(expression, scope, None),
            Node::Filter(part, ..) => match part {
                Some(part) => {
                    let value = self.evaluate(part, scope)?;
                    self.filter(expression, &value, scope)
                }
                None => Err(fail("a filter without a value")),
            },
            Node::Test(part, name, given) => {
                let value = self.evaluate(part, scope)?;
                let test = predicates::find(name)
                    .ok_or_else(|| fail(format!("there is no test `{name}`")))?;
                Ok(test(budget, &value, self.arguments(given, scope)?)?.into())
            }
        }
    }

    fn comparison(
        &self,
        first: &Expression,
        rest: &[(Comparison, Expression)],
        scope: &Rc<Scope>,
    ) -> Outcome {
        let budget = self.budget;
        let mut left = self.evaluate(first, scope)?;
        for (comparison, right) in rest {
            let right = self.evaluate(right, scope)?;
            let holds = match comparison {
                Comparison::Equal => equal(budget, &left, &right)?,
                Comparison::Unequal => !equal(budget, &left, &right)?,
                Comparison::Less => {
                    operators::ordered(budget, [&left, &right], "<", Ordering::is_lt)?
                }
                Comparison::LessOrEqual => {
                    operators::ordered(budget, [&left, &right], "<=", Ordering::is_le)?
                }
                Comparison::Greater => {
                    operators::ordered(budget, [&left, &right], ">", Ordering::is_gt)?
                }
                Comparison::GreaterOrEqual => {
                    operators::ordered(budget, [&left, &right], ">=", Ordering::is_ge)?
                }
                Comparison::In => operators::contains(budget, &right, &left)?,
                Comparison::NotIn => !operators::contains(budget, &right, &left)?,
            };
            if !holds {
                return Ok(false.into());
            }
            left = right;
        }
        Ok(true.into())
    }

    fn filter(&self, expression: &Expression, value: &Value, scope: &Rc<Scope>) -> Outcome {
        let Node::Filter(_, name, given) = &expression.node else {
            return Err(fail("no filter"));
        };
        let filter =
            filters::find(name).ok_or_else(|| fail(format!("there is no filter `{name}`")))?;
        filter(self.budget, value, self.arguments(given, scope)?)
    }

    /// The filters of a block, applied to its text.
    pub(super) fn filtered(
        &self,
        expression: &Expression,
        text: Value,
        scope: &Rc<Scope>,
    ) -> Outcome {
        let inner = match &expression.node {
            Node::Filter(Some(inner), ..) => self.filtered(inner, text, scope)?,
            _ => text,
        };
        self.filter(expression, &inner, scope).map_err(|error| error.at(expression.at))
    }

    fn arguments(&self, given: &Given, scope: &Rc<Scope>) -> Outcome<Arguments> {
        let mut positional = self.all(&given.positional, scope)?;
        let mut named = Vec::with_capacity(given.named.len());
        for (name, value) in &given.named {
            named.push((Rc::clone(name), self.evaluate(value, scope)?));
        }
        if let Some(rest) = &given.rest[0] {
            positional.extend(iterate(self.budget, &self.evaluate(rest, scope)?)?);
        }
        if let Some(rest) = &given.rest[1] {
            let Value::Dict(rest) = self.evaluate(rest, scope)? else {
                return Err(refuse("`**` of anything but a dict"));
            };
            for (name, value) in &rest.entries {
                let Value::Str(name, _) = name else {
                    return Err(fail("the name of an argument must be text"));
                };
                if named.iter().any(|(other, _)| other == name) {
                    return Err(fail(format!("there are two arguments `{name}`")));
                }
                named.push((Rc::clone(name), value.clone()));
            }
        }
        Ok(Arguments { positional, named })
    }

    /// A call, to which a call block passes its body.
    pub(super) fn called(
        &self,
        expression: &Expression,
        scope: &Rc<Scope>,
        caller: Option<Value>,
    ) -> Outcome {
        let Node::Call(callee, given) = &expression.node else { return Err(fail("no call")) };
        let finish = |mut arguments: Arguments| {
            if let Some(caller) = caller {
                if arguments.named.iter().any(|(name, _)| &**name == "caller") {
                    return Err(fail("there are two arguments `caller`"));
                }
                arguments.named.push(("caller".into(), caller));
            }
            Ok(arguments)
        };
        let done = if let Node::Attribute(part, name) = &callee.node {
            let value = self.evaluate(part, scope)?;
            let arguments = finish(self.arguments(given, scope)?)?;
            self.method(&value, name, arguments)
        } else {
            let value = self.evaluate(callee, scope)?;
            let arguments = finish(self.arguments(given, scope)?)?;
            self.call(&value, arguments)
        };
        done.map_err(|error| error.at(expression.at))
    }

    fn method(&self, value: &Value, name: &str, arguments: Arguments) -> Outcome {
        let Value::Object(object) = value else {
            return crate::methods::call(self.budget, value, name, arguments);
        };
        if let (Object::Namespace(_), false) = (&**object, name.starts_with('_')) {
            let field = object.attribute(self.budget, name)?;
            return self.call(&field, arguments);
        }
        object.method(self.budget, name, arguments).unwrap_or_else(|| {
            Err(refuse(format!("the method `{name}` of {}", object.type_name())))
        })
    }
}
