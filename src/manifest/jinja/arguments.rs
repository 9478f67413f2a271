//! Arguments of filters, tests and methods, bound to names as Python binds them.

use minijinja::Value;
use minijinja::value::Kwargs;

use super::value::{Budget, Outcome, Py, fail, text};

/// Positional and named arguments of one call.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) positional: Vec<Value>,
    pub(super) named: Vec<(String, Value)>,
}

impl Arguments {
    /// Takes the engine's values apart.
    pub(super) fn of(values: &[Value]) -> Outcome<Self> {
        let mut arguments = Self::default();
        for value in values {
            if value.is_kwargs() {
                let named = Kwargs::try_from(value.clone())?;
                for name in named.args() {
                    arguments.named.push((name.to_owned(), named.peek(name)?));
                }
            } else {
                arguments.positional.push(value.clone());
            }
        }
        Ok(arguments)
    }

    /// Binds the arguments to parameters; what was not given stays empty.
    pub(super) fn bind<const N: usize>(
        self,
        callee: &str,
        parameters: [&str; N],
    ) -> Outcome<[Option<Value>; N]> {
        let mut bound = [const { None }; N];
        if self.positional.len() > N {
            return Err(fail(format!("`{callee}` takes at most {N} arguments")));
        }
        for (slot, value) in bound.iter_mut().zip(self.positional) {
            *slot = Some(value);
        }
        for (name, value) in self.named {
            match parameters.iter().position(|parameter| *parameter == name) {
                Some(index) if bound[index].is_none() => bound[index] = Some(value),
                Some(_) => return Err(fail(format!("`{callee}` got `{name}` twice"))),
                None => return Err(fail(format!("`{callee}` has no argument `{name}`"))),
            }
        }
        Ok(bound)
    }

    /// No arguments at all.
    pub(super) fn none(self, callee: &str) -> Outcome<()> {
        self.bind::<0>(callee, []).map(|_| ())
    }
}

/// An argument that is a number of characters, lines or the like.
pub(super) fn whole(argument: Option<&Value>, default: i128) -> Outcome<i128> {
    match argument {
        None => Ok(default),
        Some(value) => match Py::of(value).as_int() {
            Some(number) => Ok(number),
            None => Err(fail(format!("an integer is needed, not {}", Py::of(value).type_name()))),
        },
    }
}

/// An argument that is a flag.
pub(super) fn flag(argument: Option<&Value>, default: bool) -> bool {
    argument.map_or(default, Value::is_true)
}

/// An argument that must be text.
pub(super) fn words<'a>(argument: &'a Option<Value>, callee: &str) -> Outcome<&'a str> {
    match argument.as_ref().map(Py::of) {
        Some(Py::Str(text, _)) => Ok(text),
        Some(other) => Err(fail(format!("`{callee}` needs text, not {}", other.type_name()))),
        None => Err(fail(format!("`{callee}` needs an argument"))),
    }
}

/// An argument of which `str` is taken.
pub(super) fn stringified(budget: &Budget, value: &Value) -> Outcome<String> {
    text(budget, value).map(std::borrow::Cow::into_owned)
}
