//! Names and what they stand for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::syntax::{Block, Name};
use crate::value::Value;

/// A scope, and the one around it.
#[derive(Default)]
pub(crate) struct Scope {
    values: RefCell<BTreeMap<Name, Value>>,
    outer: Option<Rc<Scope>>,
}

impl Scope {
    /// The outermost scope of a template.
    pub(super) fn outermost(
        template: &Block,
        given: impl Iterator<Item = (Name, Value)>,
    ) -> Rc<Self> {
        let scope = Self { values: RefCell::new(given.collect()), outer: None };
        scope.hide(template);
        Rc::new(scope)
    }

    /// A scope for a block in this one.
    pub(super) fn inner(self: &Rc<Self>, block: &Block) -> Rc<Self> {
        let scope = Self { values: RefCell::default(), outer: Some(Rc::clone(self)) };
        scope.hide(block);
        Rc::new(scope)
    }

    fn hide(&self, block: &Block) {
        for name in &block.hidden {
            self.set(name, Value::Undefined);
        }
    }

    pub(super) fn set(&self, name: &Name, value: Value) {
        self.values.borrow_mut().insert(Rc::clone(name), value);
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let mut scope = self;
        loop {
            if let Some(value) = scope.values.borrow().get(name) {
                return Some(value.clone());
            }
            scope = scope.outer.as_deref()?;
        }
    }
}
