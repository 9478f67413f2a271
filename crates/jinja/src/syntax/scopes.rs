//! Which names of a scope mean nothing before they are assigned to. Jinja2 decides it before a
//! template runs: where a scope assigns to a name before it reads it, and no scope around it
//! has the name, what was given for that name is not seen from inside either.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::{Block, Body, Expression, For, Macro, Name, Node, Statement, Target};

/// Fills in the hidden names of a template and of all scopes in it.
pub(super) fn hide(template: &mut Block) {
    Scopes::default().scope(template, &[], &[]);
}

/// Names as they are met: read or assigned to, and those among them that are hidden.
#[derive(Default)]
struct Layer {
    met: BTreeSet<Name>,
    hidden: Vec<Name>,
}

/// The layers of all scopes around the current place; a branch of a condition is one more
/// layer of its scope.
#[derive(Default)]
struct Scopes {
    layers: Vec<Layer>,
    /// The first layer of the current scope.
    begin: usize,
}

impl Scopes {
    fn scope(&mut self, block: &mut Block, parameters: &[Name], read: &[&Expression]) {
        let before = std::mem::replace(&mut self.begin, self.layers.len());
        let met = parameters.iter().cloned().collect();
        self.layers.push(Layer { met, hidden: Vec::new() });
        read.iter().for_each(|expression| self.read(expression));
        self.meet(&block.statements);
        // What stands in scopes of their own sees all that is met here.
        self.inner(&mut block.statements);
        block.hidden = self.layers.pop().unwrap_or_default().hidden;
        self.begin = before;
    }

    fn is_met(&self, from: usize, name: &str) -> bool {
        self.layers[from..].iter().any(|layer| layer.met.contains(name))
    }

    fn top(&mut self) -> &mut Layer {
        // There is a layer as long as a scope is gone through.
        if self.layers.is_empty() {
            self.layers.push(Layer::default());
        }
        let last = self.layers.len() - 1;
        &mut self.layers[last]
    }

    fn read_name(&mut self, name: &Name) {
        if !self.is_met(0, name) {
            self.top().met.insert(name.clone());
        }
    }

    fn assign(&mut self, name: &Name) {
        let (is_met, is_outside) = (self.is_met(self.begin, name), self.is_met(0, name));
        let top = self.top();
        if !is_met {
            top.met.insert(name.clone());
        }
        if !is_outside {
            top.hidden.push(name.clone());
        }
    }

    fn read(&mut self, expression: &Expression) {
        if let Node::Name(name) = &expression.node {
            self.read_name(name);
        }
        expression.node.parts().for_each(|part| self.read(part));
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Name(name) => self.assign(name),
            Target::Field(name, _) => self.read_name(name),
            Target::Tuple(targets) => targets.iter().for_each(|target| self.target(target)),
        }
    }

    /// What statements do in the current scope itself.
    fn meet(&mut self, statements: &Body) {
        for statement in statements {
            match statement {
                Statement::Text(_) => {}
                Statement::Output(value) => self.read(value),
                Statement::For(inner) => self.read(&inner.items),
                Statement::If(branches, otherwise) => self.branches(branches, otherwise),
                Statement::Set(target, value) => {
                    self.read(value);
                    self.target(target);
                }
                Statement::SetBlock(target, ..) => self.target(target),
                Statement::With(assigned, _) => {
                    assigned.iter().for_each(|(_, value)| self.read(value));
                }
                Statement::Filter(filter, _) => self.read(filter),
                Statement::Macro(declared) => {
                    declared.name.iter().for_each(|name| self.assign(name))
                }
                Statement::CallBlock(call, _) => self.read(call),
            }
        }
    }

    fn branches(&mut self, branches: &[(Expression, Body)], otherwise: &Body) {
        let Some(((condition, body), rest)) = branches.split_first() else { return };
        self.read(condition);
        let first = self.branch(|scopes| scopes.meet(body));
        let middle = self.branch(|scopes| {
            for (condition, body) in rest {
                scopes.read(condition);
                let branch = scopes.branch(|scopes| scopes.meet(body));
                scopes.join([branch]);
            }
        });
        let last = self.branch(|scopes| scopes.meet(otherwise));
        self.join([first, middle, last]);
    }

    fn branch(&mut self, meet: impl FnOnce(&mut Self)) -> Layer {
        self.layers.push(Layer::default());
        meet(self);
        self.layers.pop().unwrap_or_default()
    }

    /// What only branches assign to has the value from outside before, so it is not hidden.
    fn join<const N: usize>(&mut self, branches: [Layer; N]) {
        for branch in branches {
            self.top().met.extend(branch.met);
        }
    }

    /// The scopes in a scope.
    fn inner(&mut self, statements: &mut Body) {
        for statement in statements {
            match statement {
                Statement::Text(_) | Statement::Output(_) | Statement::Set(..) => {}
                Statement::For(inner) => {
                    if let Some(inner) = Rc::get_mut(inner) {
                        self.for_loop(inner);
                    }
                }
                Statement::If(branches, otherwise) => {
                    branches.iter_mut().for_each(|(_, body)| self.inner(body));
                    self.inner(otherwise);
                }
                Statement::SetBlock(_, _, body) => self.scope(body, &[], &[]),
                Statement::With(assigned, body) => {
                    let mut names = Vec::new();
                    assigned.iter().for_each(|(target, _)| target.names(&mut names));
                    self.scope(body, &names, &[]);
                }
                Statement::Filter(filter, body) => self.scope(body, &[], &[filter]),
                Statement::Macro(declared) | Statement::CallBlock(_, declared) => {
                    if let Some(declared) = Rc::get_mut(declared) {
                        self.procedure(declared);
                    }
                }
            }
        }
    }

    fn for_loop(&mut self, inner: &mut For) {
        let mut names = vec!["loop".into()];
        inner.target.names(&mut names);
        self.scope(&mut inner.body, &names, &[]);
        self.scope(&mut inner.otherwise, &[], &[]);
    }

    fn procedure(&mut self, declared: &mut Macro) {
        let names: Vec<Name> = declared.parameters.iter().map(|(name, _)| name.clone()).collect();
        let defaults: Vec<_> =
            declared.parameters.iter().filter_map(|(_, default)| default.as_ref()).collect();
        self.scope(&mut declared.body, &names, &defaults);
    }
}
