//! The stock functions of Jinja2: `range`, `dict`, `cycler`, `joiner`; `namespace` is the
//! engine's own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Object, ObjectRepr};
use minijinja::{State, Value};

use super::arguments::{Arguments, stringified, whole};
use super::value::{Budget, Kind, Outcome, Py, fail, int, refuse};

/// The longest range, as in Jinja2's own sandbox.
const MAX_RANGE: i128 = 100_000;

/// A function.
pub(super) type Function = fn(&Budget, Arguments) -> Outcome;

/// The functions by name.
pub(super) const FUNCTIONS: &[(&str, Function)] = &[
    ("range", range),
    ("dict", |budget, arguments| {
        if !arguments.positional.is_empty() {
            return Err(refuse("`dict` of another value"));
        }
        budget.dict(
            arguments.named.into_iter().map(|(name, value)| (Value::from(name), value)).collect(),
        )
    }),
    ("cycler", |_, arguments| {
        if !arguments.named.is_empty() || arguments.positional.is_empty() {
            return Err(fail("`cycler` needs at least one item"));
        }
        Ok(Value::from_object(Cycler { items: arguments.positional, at: AtomicUsize::new(0) }))
    }),
    ("joiner", |budget, arguments| {
        let [separator] = arguments.bind("joiner", ["sep"])?;
        let separator = match separator {
            Some(separator) => stringified(budget, &separator)?,
            None => ", ".to_owned(),
        };
        Ok(Value::from_object(Joiner { separator, used: Mutex::new(false) }))
    }),
];

fn range(budget: &Budget, arguments: Arguments) -> Outcome {
    let given = arguments.positional.len();
    if !arguments.named.is_empty() || given == 0 || given > 3 {
        return Err(fail("`range` takes one to three integers"));
    }
    let number = |index: usize| whole(arguments.positional.get(index), 1);
    let (start, stop, step) = match given {
        1 => (0, number(0)?, 1),
        _ => (number(0)?, number(1)?, number(2)?),
    };
    if step == 0 {
        return Err(fail("the step of a range cannot be zero"));
    }
    let distance = if step > 0 { stop.saturating_sub(start) } else { start.saturating_sub(stop) };
    let size = step.checked_abs().unwrap_or(i128::MAX);
    let count = if distance <= 0 { 0 } else { (distance - 1) / size + 1 };
    if count > MAX_RANGE {
        return Err(refuse(format!("a range of more than {MAX_RANGE} numbers")));
    }
    let shown = if step == 1 {
        format!("range({start}, {stop})")
    } else {
        format!("range({start}, {stop}, {step})")
    };
    budget.sequence(Kind::Range(shown), (0..count).map(|at| int(start + at * step)).collect())
}

/// What `cycler` gives.
#[derive(Debug)]
struct Cycler {
    items: Vec<Value>,
    at: AtomicUsize,
}

impl Object for Cycler {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

impl Cycler {
    fn current(&self) -> Value {
        self.items[self.at.load(Ordering::Relaxed) % self.items.len()].clone()
    }
}

/// What `joiner` gives.
#[derive(Debug)]
struct Joiner {
    separator: String,
    used: Mutex<bool>,
}

impl Object for Joiner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, arguments: &[Value]) -> Outcome {
        Arguments::of(arguments)?.none("joiner")?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let text = if *used { self.separator.as_str() } else { "" };
        *used = true;
        Ok(Value::from(text))
    }
}

/// An attribute of one of these objects.
pub(super) fn object_attribute(value: &Value, name: &str) -> Option<Value> {
    match (value.downcast_object_ref::<Cycler>(), name) {
        (Some(cycler), "current") => Some(cycler.current()),
        _ => None,
    }
}

/// A method of one of these objects.
pub(super) fn call_method(
    _: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    arguments: Arguments,
) -> Outcome {
    match (value.downcast_object_ref::<Cycler>(), name) {
        (Some(cycler), "next") => {
            arguments.none(name)?;
            let current = cycler.current();
            cycler.at.fetch_add(1, Ordering::Relaxed);
            Ok(current)
        }
        (Some(cycler), "reset") => {
            arguments.none(name)?;
            cycler.at.store(0, Ordering::Relaxed);
            Ok(Value::from(()))
        }
        _ => Err(refuse(format!("the method `{name}` of {}", Py::of(value).type_name()))),
    }
}
