//! Runs a template: statements here, expressions and calls in the other modules.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::budget::Budget;
use crate::error::{Outcome, fail, undefined};
use crate::syntax::{Block, Body, Expression, For, Macro, Name, Statement, Target};
use crate::value::{Value, iterate, write_text};

mod expressions;
mod objects;
mod scope;

use objects::Loop;
pub(crate) use objects::{Object, kept};
use scope::Scope;

/// What runs a template.
struct Interpreter<'b> {
    budget: &'b Budget,
    /// How deeply calls of macros and loops are nested.
    depth: Cell<usize>,
    loop_name: Name,
}

/// The text of a template.
pub(crate) fn run(
    template: &Block,
    given: impl Iterator<Item = (Name, Value)>,
    budget: &Budget,
) -> Outcome<String> {
    let scope = Scope::outermost(template, given);
    let interpreter = Interpreter { budget, depth: Cell::new(0), loop_name: "loop".into() };
    let mut out = String::new();
    interpreter.run(&template.statements, &scope, &mut out)?;
    Ok(out)
}

impl Interpreter<'_> {
    fn run(&self, body: &Body, scope: &Rc<Scope>, out: &mut String) -> Outcome<()> {
        body.iter().try_for_each(|statement| self.statement(statement, scope, out))
    }

    fn statement(&self, statement: &Statement, scope: &Rc<Scope>, out: &mut String) -> Outcome<()> {
        self.budget.step()?;
        match statement {
            Statement::Text(text) => {
                self.budget.charge(text.len())?;
                out.push_str(text);
            }
            Statement::Output(expression) => {
                let value = self.evaluate(expression, scope)?;
                write_text(self.budget, out, &value).map_err(|error| error.at(expression.at))?;
            }
            Statement::For(inner) => {
                let items = self.evaluate(&inner.items, scope)?;
                self.for_loop(inner, &items, 0, scope, out)?;
            }
            Statement::If(branches, otherwise) => {
                for (condition, body) in branches {
                    if self.evaluate(condition, scope)?.is_true() {
                        return self.run(body, scope, out);
                    }
                }
                self.run(otherwise, scope, out)?;
            }
            Statement::Set(target, expression) => {
                let value = self.evaluate(expression, scope)?;
                self.assign(target, value, scope).map_err(|error| error.at(expression.at))?;
            }
            Statement::SetBlock(target, filter, body) => {
                let value = self.captured(body, filter.as_ref(), scope)?;
                self.assign(target, value, scope)?;
            }
            Statement::With(assigned, body) => {
                let inner = scope.inner(body);
                for (target, expression) in assigned {
                    let value = self.evaluate(expression, scope)?;
                    self.assign(target, value, &inner).map_err(|error| error.at(expression.at))?;
                }
                self.run(&body.statements, &inner, out)?;
            }
            Statement::Filter(filter, body) => {
                let value = self.captured(body, Some(filter), scope)?;
                write_text(self.budget, out, &value).map_err(|error| error.at(filter.at))?;
            }
            Statement::Macro(declared) => {
                if let Some(name) = &declared.name {
                    scope.set(name, closure(declared, scope));
                }
            }
            Statement::CallBlock(call, body) => {
                let value = self.called(call, scope, Some(closure(body, scope)))?;
                write_text(self.budget, out, &value).map_err(|error| error.at(call.at))?;
            }
        }
        Ok(())
    }

    /// The text of a block, after its filters.
    fn captured(&self, body: &Block, filter: Option<&Expression>, scope: &Rc<Scope>) -> Outcome {
        let inner = scope.inner(body);
        let mut text = String::new();
        self.run(&body.statements, &inner, &mut text)?;
        let text = self.budget.text(text)?;
        match filter {
            Some(filter) => self.filtered(filter, text, &inner),
            None => Ok(text),
        }
    }

    /// A loop over the items, which are called `depth` levels below the loop itself.
    fn for_loop(
        &self,
        inner: &Rc<For>,
        items: &Value,
        depth: usize,
        scope: &Rc<Scope>,
        out: &mut String,
    ) -> Outcome<()> {
        let mut items = iterate(self.budget, items).map_err(|error| error.at(inner.items.at))?;
        if let Some(condition) = &inner.condition {
            let mut kept = Vec::new();
            for item in items {
                self.budget.step()?;
                let tested = scope.inner(&Block::default());
                self.assign(&inner.target, item.clone(), &tested)
                    .map_err(|error| error.at(inner.items.at))?;
                if self.evaluate(condition, &tested)?.is_true() {
                    kept.push(item);
                }
            }
            items = kept;
        }
        if items.is_empty() {
            return self.run(&inner.otherwise.statements, &scope.inner(&inner.otherwise), out);
        }
        let again = inner.is_recursive.then(|| (Rc::clone(inner), Rc::downgrade(scope)));
        let (at, last) = (Cell::new(0), RefCell::default());
        let object = Rc::new(Object::Loop(Loop { items, at, depth, again, last }));
        let Object::Loop(state) = &*object else { return Ok(()) };
        for (at, item) in state.items.iter().enumerate() {
            self.budget.step()?;
            state.at.set(at);
            let body = scope.inner(&inner.body);
            body.set(&self.loop_name, Value::Object(Rc::clone(&object)));
            self.assign(&inner.target, item.clone(), &body)
                .map_err(|error| error.at(inner.items.at))?;
            self.run(&inner.body.statements, &body, out)?;
        }
        Ok(())
    }

    fn assign(&self, target: &Target, value: Value, scope: &Scope) -> Outcome<()> {
        match target {
            Target::Name(name) => scope.set(name, value),
            Target::Field(name, field) => match scope.get(name) {
                Some(Value::Object(object)) => object.assign(field, value)?,
                _ => return Err(fail("only fields of a namespace can be assigned to")),
            },
            Target::Tuple(targets) => {
                if value.is_undefined() {
                    return Err(undefined("unpacking"));
                }
                let values = iterate(self.budget, &value)?;
                if values.len() != targets.len() {
                    let (found, wanted) = (values.len(), targets.len());
                    return Err(fail(format!("{found} values do not unpack into {wanted} names")));
                }
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value, scope)?;
                }
            }
        }
        Ok(())
    }
}

fn closure(declared: &Rc<Macro>, scope: &Rc<Scope>) -> Value {
    Value::Object(Rc::new(Object::Macro(Rc::clone(declared), Rc::downgrade(scope))))
}
