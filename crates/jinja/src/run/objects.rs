//! Values that are more than data: macros, loops, namespaces and the stock functions.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use super::Interpreter;
use super::scope::Scope;
use crate::arguments::Arguments;
use crate::budget::Budget;
use crate::error::{Failure, Outcome, fail, refuse};
use crate::globals::Function;
use crate::syntax::{For, IMPLICIT, Macro, Name};
use crate::value::{Value, equal};

/// The deepest recursion of macros and loops.
const MAX_RECURSION: usize = 100;

/// A value that is more than data. None of these is kept in a list, a dict or a namespace, so
/// none of them outlives the scope that it was made in.
pub(crate) enum Object {
    /// A macro, and the scope around it.
    Macro(Rc<Macro>, Weak<Scope>),
    Loop(Loop),
    Namespace(RefCell<BTreeMap<Name, Value>>),
    Cycler(Vec<Value>, Cell<usize>),
    /// A separator, and whether it was called yet.
    Joiner(String, Cell<bool>),
    Function(Function),
}

/// What `loop` is in a loop.
pub(crate) struct Loop {
    pub(super) items: Vec<Value>,
    pub(super) at: Cell<usize>,
    /// How many calls of `loop` are around it.
    pub(super) depth: usize,
    /// What a call of `loop` iterates over again.
    pub(super) again: Option<(Rc<For>, Weak<Scope>)>,
    /// The values of the last call of `loop.changed`.
    pub(super) last: RefCell<Option<Vec<Value>>>,
}

impl Object {
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Macro(..) => "a macro",
            Self::Loop(_) => "a loop",
            Self::Namespace(_) => "a namespace",
            Self::Cycler(..) => "a cycler",
            Self::Joiner(..) => "a joiner",
            Self::Function(_) => "a function",
        }
    }

    /// Whether Python can call it.
    pub(crate) fn is_callable(&self) -> bool {
        !matches!(self, Self::Namespace(_) | Self::Cycler(..))
    }

    pub(crate) fn is_namespace(&self) -> bool {
        matches!(self, Self::Namespace(_))
    }

    /// `object.name`
    pub(crate) fn attribute(&self, budget: &Budget, name: &str) -> Outcome {
        let unknown = || refuse(format!("the attribute `{name}` of {}", self.type_name()));
        match self {
            _ if name.starts_with('_') => Err(unknown()),
            Self::Namespace(fields) => Ok(fields.borrow().get(name).cloned().unwrap_or_default()),
            Self::Loop(inner) => inner.attribute(name).ok_or_else(unknown),
            Self::Cycler(items, at) if name == "current" => {
                Ok(items[at.get() % items.len()].clone())
            }
            Self::Macro(declared, _) => match name {
                "name" => Ok(declared.name.as_ref().map_or(Value::None, |name| (&**name).into())),
                "arguments" => {
                    let names = declared.parameters.iter().map(|(name, _)| (&**name).into());
                    budget.tuple(names.collect())
                }
                "caller" => Ok(declared.uses[0].into()),
                "catch_kwargs" => Ok(declared.uses[1].into()),
                "catch_varargs" => Ok(declared.uses[2].into()),
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }

    /// `object.name(arguments)`, unless it is a call of what an attribute stands for.
    pub(crate) fn method(
        &self,
        budget: &Budget,
        name: &str,
        arguments: Arguments,
    ) -> Option<Outcome> {
        match (self, name) {
            (Self::Loop(inner), "cycle") => Some(inner.cycle(arguments)),
            (Self::Loop(inner), "changed") => Some(inner.changed(budget, arguments)),
            (Self::Cycler(items, at), "next") => Some(arguments.none(name).map(|()| {
                let current = at.replace((at.get() + 1) % items.len());
                items[current].clone()
            })),
            (Self::Cycler(_, at), "reset") => Some(arguments.none(name).map(|()| {
                at.set(0);
                Value::None
            })),
            _ => None,
        }
    }

    /// `namespace.name = value`
    pub(super) fn assign(&self, name: &Name, value: Value) -> Outcome<()> {
        let Self::Namespace(fields) = self else {
            return Err(fail("an attribute of anything but a namespace cannot be assigned to"));
        };
        fields.borrow_mut().insert(Rc::clone(name), kept(value)?);
        Ok(())
    }
}

/// A value that may be kept longer than the scope it comes from.
pub(crate) fn kept(value: Value) -> Outcome {
    match value {
        Value::Object(_) => Err(refuse("keeping a macro, a loop or a namespace in a namespace")),
        _ => Ok(value),
    }
}

impl Loop {
    fn attribute(&self, name: &str) -> Option<Value> {
        let (at, length) = (self.at.get(), self.items.len());
        Some(match name {
            "index" => (at + 1).into(),
            "index0" => at.into(),
            "revindex" => (length - at).into(),
            "revindex0" => (length - at - 1).into(),
            "first" => (at == 0).into(),
            "last" => (at + 1 == length).into(),
            "length" => length.into(),
            "depth" => (self.depth + 1).into(),
            "depth0" => self.depth.into(),
            "previtem" => {
                at.checked_sub(1).map_or(Value::Undefined, |before| self.items[before].clone())
            }
            "nextitem" => self.items.get(at + 1).cloned().unwrap_or_default(),
            _ => return None,
        })
    }

    fn cycle(&self, arguments: Arguments) -> Outcome {
        let items = arguments.only_positional("loop.cycle")?;
        match items.len() {
            0 => Err(fail("`loop.cycle` needs at least one item")),
            count => Ok(items[self.at.get() % count].clone()),
        }
    }

    fn changed(&self, budget: &Budget, arguments: Arguments) -> Outcome {
        let items = arguments.only_positional("loop.changed")?;
        let mut last = self.last.borrow_mut();
        let is_same = match &*last {
            Some(last) if last.len() == items.len() => {
                let mut pairs = last.iter().zip(&items);
                pairs.try_fold(true, |is_same, (left, right)| {
                    Ok::<_, Failure>(is_same && equal(budget, left, right)?)
                })?
            }
            _ => false,
        };
        if !is_same {
            *last = Some(items);
        }
        Ok((!is_same).into())
    }
}

impl Interpreter<'_> {
    /// `value(arguments)`
    pub(super) fn call(&self, value: &Value, arguments: Arguments) -> Outcome {
        let Value::Object(object) = value else {
            return Err(fail(format!("{} cannot be called", value.type_name())));
        };
        match &**object {
            Object::Macro(declared, scope) => {
                let scope = alive(scope)?;
                self.deeper(|| self.call_macro(declared, &scope, arguments))
            }
            Object::Loop(inner) => {
                let Some((again, scope)) = &inner.again else {
                    return Err(fail("`loop` is called in a loop that is not recursive"));
                };
                let [items] = arguments.bind("loop", ["iterable"])?;
                let items = items.ok_or_else(|| fail("`loop` needs something to iterate over"))?;
                let scope = alive(scope)?;
                let mut out = String::new();
                self.deeper(|| self.for_loop(again, &items, inner.depth + 1, &scope, &mut out))?;
                self.budget.text(out)
            }
            Object::Joiner(separator, used) => {
                arguments.none("joiner")?;
                Ok(Value::from(if used.replace(true) { separator.as_str() } else { "" }))
            }
            Object::Function(function) => function(self.budget, arguments),
            Object::Namespace(_) | Object::Cycler(..) => {
                Err(fail(format!("{} cannot be called", object.type_name())))
            }
        }
    }

    fn deeper<T>(&self, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let depth = self.depth.get() + 1;
        if depth > MAX_RECURSION {
            return Err(refuse(format!("a recursion more than {MAX_RECURSION} deep")));
        }
        self.depth.set(depth);
        let done = work();
        self.depth.set(depth - 1);
        done
    }

    /// Binds the arguments as Jinja2's own `Macro` does, and runs the body.
    fn call_macro(&self, declared: &Macro, scope: &Rc<Scope>, given: Arguments) -> Outcome {
        let Arguments { mut positional, mut named } = given;
        let mut take = |wanted: &str| {
            let at = named.iter().position(|(name, _)| &**name == wanted)?;
            Some(named.remove(at).1)
        };
        let callee = declared.name.as_deref().unwrap_or("caller");
        let left = positional.split_off(positional.len().min(declared.parameters.len()));
        let mut values: Vec<Option<Value>> = positional.into_iter().map(Some).collect();
        for (name, _) in &declared.parameters[values.len()..] {
            values.push(take(name));
        }
        let inner = scope.inner(&declared.body);
        let [caller, kwargs, varargs] = IMPLICIT.map(Name::from);
        let has_own_caller = declared.parameters.iter().any(|(name, _)| *name == caller);
        if declared.uses[0] && !has_own_caller {
            let given = take(&caller).filter(|value| !value.is_none());
            inner.set(&caller, given.unwrap_or_default());
        }
        if declared.uses[1] {
            let pairs = named.drain(..).map(|(name, value)| (Value::from(&*name), value));
            inner.set(&kwargs, self.budget.dict(pairs)?);
        } else if let Some((name, _)) = named.first() {
            return Err(fail(format!("`{callee}` takes no argument `{name}`")));
        }
        if declared.uses[2] {
            inner.set(&varargs, self.budget.tuple(left)?);
        } else if !left.is_empty() {
            let count = declared.parameters.len();
            return Err(fail(format!("`{callee}` takes at most {count} arguments")));
        }
        for ((name, _), value) in declared.parameters.iter().zip(&values) {
            inner.set(name, value.clone().unwrap_or_default());
        }
        for ((name, default), value) in declared.parameters.iter().zip(&values) {
            if let (None, Some(default)) = (value, default) {
                inner.set(name, self.evaluate(default, &inner)?);
            }
        }
        let mut out = String::new();
        self.run(&declared.body.statements, &inner, &mut out)?;
        self.budget.text(out)
    }
}

fn alive(scope: &Weak<Scope>) -> Outcome<Rc<Scope>> {
    scope.upgrade().ok_or_else(|| refuse("a call of a macro or a loop outside of its scope"))
}
