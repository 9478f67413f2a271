//! The stock functions of Jinja2: `range`, `dict`, `cycler`, `joiner`, `namespace`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::arguments::{Arguments, stringified, whole};
use crate::budget::Budget;
use crate::error::{Outcome, fail, refuse, undefined};
use crate::run::{Object, kept};
use crate::value::{Kind, Value, iterate};

/// The longest range, as in Jinja2's own sandbox.
const MAX_RANGE: i128 = 100_000;

/// A function.
pub(crate) type Function = fn(&Budget, Arguments) -> Outcome;

/// The function that a name stands for where nothing else has the name.
pub(crate) fn find(name: &str) -> Option<Value> {
    let function: Function = match name {
        "range" => range,
        "dict" => |budget, arguments| budget.dict(pairs(budget, arguments)?),
        "cycler" => |_, arguments| {
            let items = arguments.only_positional("cycler")?;
            if items.is_empty() {
                return Err(fail("`cycler` needs at least one item"));
            }
            items.iter().try_for_each(|item| kept(item.clone()).map(drop))?;
            Ok(Value::Object(Rc::new(Object::Cycler(items, Cell::new(0)))))
        },
        "joiner" => |budget, arguments| {
            let [separator] = arguments.bind("joiner", ["sep"])?;
            let separator = match separator {
                Some(separator) => stringified(budget, &separator)?,
                None => ", ".to_owned(),
            };
            Ok(Value::Object(Rc::new(Object::Joiner(separator, Cell::new(false)))))
        },
        "namespace" => |budget, arguments| {
            let mut fields = std::collections::BTreeMap::new();
            for (name, value) in pairs(budget, arguments)? {
                let Value::Str(name, _) = name else {
                    return Err(refuse("a namespace of anything but texts"));
                };
                fields.insert(name, kept(value)?);
            }
            Ok(Value::Object(Rc::new(Object::Namespace(RefCell::new(fields)))))
        },
        _ => return None,
    };
    Some(Value::Object(Rc::new(Object::Function(function))))
}

/// The keys and values that `dict` is called with.
fn pairs(budget: &Budget, arguments: Arguments) -> Outcome<Vec<(Value, Value)>> {
    let mut pairs = match &arguments.positional[..] {
        [] => Vec::new(),
        [Value::Dict(dict)] => dict.entries.clone(),
        [Value::Undefined] => return Err(undefined("a dict")),
        [rows @ (Value::Seq(_) | Value::Generator(_))] => {
            let mut pairs = Vec::new();
            for row in iterate(budget, rows)? {
                let [key, value] = <[Value; 2]>::try_from(iterate(budget, &row)?)
                    .map_err(|_| fail("a dict is made of pairs"))?;
                pairs.push((key, value));
            }
            pairs
        }
        [_] => return Err(refuse("a dict of such a value")),
        _ => return Err(fail("a dict is made of one value")),
    };
    let named = arguments.named.into_iter();
    pairs.extend(named.map(|(name, value)| (Value::from(&*name), value)));
    Ok(pairs)
}

fn range(budget: &Budget, arguments: Arguments) -> Outcome {
    let given = arguments.only_positional("range")?;
    let number = |index: usize| whole(given.get(index), 1);
    let (start, stop, step) = match given.len() {
        1 => (0, number(0)?, 1),
        2 | 3 => (number(0)?, number(1)?, number(2)?),
        _ => return Err(fail("`range` takes one to three integers")),
    };
    if step == 0 {
        return Err(fail("the step of a range cannot be zero"));
    }
    let distance = if step > 0 { stop.checked_sub(start) } else { start.checked_sub(stop) };
    let distance = distance.ok_or_else(|| refuse("a range beyond 127 bits"))?;
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
    let numbers = (0..count).map(|at| Value::Int(start + at * step));
    budget.sequence(Kind::Range(shown), numbers.collect())
}
