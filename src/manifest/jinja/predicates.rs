//! The stock tests of Jinja2 (`x is defined`).

use minijinja::{State, Value};

use super::arguments::{Arguments, stringified};
use super::filters::FILTERS;
use super::methods::has_case;
use super::operators;
use super::value::{Budget, Kind, Outcome, Py, equal, fail, refuse, undefined};

/// A test.
pub(super) type Predicate = fn(&Budget, &mut State<'_, '_>, &Value, Arguments) -> Outcome<bool>;

/// The tests by name.
pub(super) const PREDICATES: &[(&str, Predicate)] = &[
    ("odd", |_, _, value, rest| rest.none("odd").and_then(|()| remainder(value, 2, 1))),
    ("even", |_, _, value, rest| rest.none("even").and_then(|()| remainder(value, 2, 0))),
    ("divisibleby", |_, _, value, rest| {
        let [number] = rest.bind("divisibleby", ["num"])?;
        let number = number.ok_or_else(|| fail("`divisibleby` needs a number"))?;
        match Py::of(&number).as_int() {
            Some(0) => Err(fail("division by zero")),
            Some(number) => remainder(value, number, 0),
            None => Err(refuse("`divisibleby` with anything but an integer")),
        }
    }),
    ("defined", |_, _, value, rest| rest.none("defined").map(|()| !value.is_undefined())),
    ("undefined", |_, _, value, rest| rest.none("undefined").map(|()| value.is_undefined())),
    ("none", |_, _, value, rest| rest.none("none").map(|()| value.is_none())),
    ("boolean", |_, _, value, rest| {
        rest.none("boolean").map(|()| matches!(Py::of(value), Py::Bool(_)))
    }),
    ("false", |_, _, value, rest| {
        rest.none("false").map(|()| matches!(Py::of(value), Py::Bool(false)))
    }),
    ("true", |_, _, value, rest| {
        rest.none("true").map(|()| matches!(Py::of(value), Py::Bool(true)))
    }),
    ("integer", |_, _, value, rest| {
        rest.none("integer").map(|()| matches!(Py::of(value), Py::Int(_)))
    }),
    ("float", |_, _, value, rest| {
        rest.none("float").map(|()| matches!(Py::of(value), Py::Float(_)))
    }),
    ("number", |_, _, value, rest| {
        rest.none("number")
            .map(|()| matches!(Py::of(value), Py::Bool(_) | Py::Int(_) | Py::Float(_)))
    }),
    ("string", |_, _, value, rest| {
        rest.none("string").map(|()| matches!(Py::of(value), Py::Str(..)))
    }),
    ("mapping", |_, _, value, rest| {
        rest.none("mapping").map(|()| matches!(Py::of(value), Py::Dict(_)))
    }),
    ("sequence", |_, _, value, rest| {
        rest.none("sequence")?;
        match Py::of(value) {
            Py::Opaque => Err(refuse("`sequence` of a macro, a loop or a namespace")),
            Py::Undefined | Py::Str(..) | Py::Dict(_) => Ok(true),
            Py::Seq(sequence) => Ok(!matches!(sequence.kind, Kind::View(_))),
            _ => Ok(false),
        }
    }),
    ("iterable", |_, _, value, rest| {
        rest.none("iterable")?;
        match Py::of(value) {
            Py::Opaque => Err(refuse("`iterable` of a macro, a loop or a namespace")),
            Py::None | Py::Bool(_) | Py::Int(_) | Py::Float(_) => Ok(false),
            _ => Ok(true),
        }
    }),
    ("callable", |_, _, value, rest| {
        rest.none("callable")?;
        match Py::of(value) {
            Py::Opaque => Err(refuse("`callable` of a macro, a loop or a namespace")),
            Py::Undefined => Ok(true),
            _ => Ok(false),
        }
    }),
    ("lower", |budget, _, value, rest| {
        rest.none("lower")?;
        Ok(has_case(&stringified(budget, value)?, true))
    }),
    ("upper", |budget, _, value, rest| {
        rest.none("upper")?;
        Ok(has_case(&stringified(budget, value)?, false))
    }),
    ("escaped", |_, _, value, rest| {
        rest.none("escaped").map(|()| matches!(Py::of(value), Py::Str(_, true)))
    }),
    ("sameas", |_, _, value, rest| {
        let [other] = rest.bind("sameas", ["other"])?;
        let other = other.ok_or_else(|| fail("`sameas` needs a value"))?;
        match (Py::of(value), Py::of(&other)) {
            (Py::Bool(left), Py::Bool(right)) => Ok(left == right),
            (Py::None, Py::None) => Ok(true),
            (Py::None | Py::Bool(_), _) | (_, Py::None | Py::Bool(_)) => Ok(false),
            _ => Err(refuse("`sameas` of anything but booleans and none")),
        }
    }),
    ("in", |budget, _, value, rest| {
        let [container] = rest.bind("in", ["seq"])?;
        let container = container.ok_or_else(|| fail("`in` needs a container"))?;
        operators::contains(budget, &container, value)
    }),
    ("filter", |_, _, value, rest| {
        rest.none("filter")?;
        match Py::of(value) {
            Py::Str(name, _) => Ok(FILTERS.iter().any(|(known, _)| *known == name)
                || super::filters::REFUSED.contains(&name)),
            _ => Err(refuse("`filter` of anything but text")),
        }
    }),
    ("test", |_, _, value, rest| {
        rest.none("test")?;
        match Py::of(value) {
            Py::Str(name, _) => Ok(PREDICATES.iter().any(|(known, _)| *known == name)
                || ["==", "!=", "<", "<=", ">", ">="].contains(&name)),
            _ => Err(refuse("`test` of anything but text")),
        }
    }),
    ("eq", |budget, _, value, rest| equal(budget, value, &other(rest)?)),
    ("equalto", |budget, _, value, rest| equal(budget, value, &other(rest)?)),
    ("ne", |budget, _, value, rest| Ok(!equal(budget, value, &other(rest)?)?)),
    ("lt", |budget, _, value, rest| order(budget, value, rest, std::cmp::Ordering::is_lt)),
    ("lessthan", |budget, _, value, rest| order(budget, value, rest, std::cmp::Ordering::is_lt)),
    ("le", |budget, _, value, rest| order(budget, value, rest, std::cmp::Ordering::is_le)),
    ("gt", |budget, _, value, rest| order(budget, value, rest, std::cmp::Ordering::is_gt)),
    ("greaterthan", |budget, _, value, rest| order(budget, value, rest, std::cmp::Ordering::is_gt)),
    ("ge", |budget, _, value, rest| order(budget, value, rest, std::cmp::Ordering::is_ge)),
];

fn other(arguments: Arguments) -> Outcome {
    let [other] = arguments.bind("a comparison", ["b"])?;
    other.ok_or_else(|| fail("a comparison needs a second value"))
}

fn order(
    budget: &Budget,
    value: &Value,
    arguments: Arguments,
    test: fn(std::cmp::Ordering) -> bool,
) -> Outcome<bool> {
    Ok(operators::compare(budget, value, &other(arguments)?)?.is_some_and(test))
}

fn remainder(value: &Value, divisor: i128, wanted: i128) -> Outcome<bool> {
    match (Py::of(value), Py::of(value).as_int()) {
        (_, Some(number)) => {
            let remainder = number % divisor;
            Ok(remainder == wanted || remainder == wanted - divisor)
        }
        (Py::Float(_), _) => Err(refuse("a remainder of a float in a test")),
        (Py::Undefined, _) => Err(undefined("a remainder")),
        (other, _) => Err(fail(format!("a number is needed, not {}", other.type_name()))),
    }
}
