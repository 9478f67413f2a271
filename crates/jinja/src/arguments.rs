//! Arguments of filters, tests and methods, bound to names as Python binds them.

use crate::budget::Budget;
use crate::error::{Outcome, fail};
use crate::syntax::Name;
use crate::value::{Value, text};

/// Positional and named arguments of one call.
#[derive(Clone, Default)]
pub(crate) struct Arguments {
    pub(crate) positional: Vec<Value>,
    pub(crate) named: Vec<(Name, Value)>,
}

impl Arguments {
    /// Binds the arguments to parameters; what was not given stays empty.
    pub(crate) fn bind<const N: usize>(
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
            match parameters.iter().position(|parameter| *parameter == &*name) {
                Some(index) if bound[index].is_none() => bound[index] = Some(value),
                Some(_) => return Err(fail(format!("`{callee}` got `{name}` twice"))),
                None => return Err(fail(format!("`{callee}` has no argument `{name}`"))),
            }
        }
        Ok(bound)
    }

    /// No arguments at all.
    pub(crate) fn none(self, callee: &str) -> Outcome<()> {
        self.bind::<0>(callee, []).map(|_| ())
    }

    /// One argument, which is required.
    pub(crate) fn one(self, callee: &str, parameter: &str) -> Outcome {
        let [value] = self.bind(callee, [parameter])?;
        value.ok_or_else(|| fail(format!("`{callee}` needs an argument")))
    }

    /// Positional arguments, as many as there are.
    pub(crate) fn only_positional(self, callee: &str) -> Outcome<Vec<Value>> {
        match self.named.first() {
            Some((name, _)) => Err(fail(format!("`{callee}` has no argument `{name}`"))),
            None => Ok(self.positional),
        }
    }
}

/// An argument that may be `none` to mean that it is not given.
pub(crate) fn given(argument: Option<Value>) -> Option<Value> {
    argument.filter(|value| !value.is_none())
}

/// An argument that is a number of characters, lines or the like.
pub(crate) fn whole(argument: Option<&Value>, default: i128) -> Outcome<i128> {
    let Some(value) = argument else { return Ok(default) };
    let number = value.as_int();
    number.ok_or_else(|| fail(format!("an integer is needed, not {}", value.type_name())))
}

/// An argument that is a flag.
pub(crate) fn flag(argument: Option<&Value>, default: bool) -> bool {
    argument.map_or(default, Value::is_true)
}

/// An argument that must be text.
pub(crate) fn words<'a>(argument: &'a Option<Value>, callee: &str) -> Outcome<&'a str> {
    match argument {
        Some(Value::Str(text, _)) => Ok(text),
        Some(other) => Err(fail(format!("`{callee}` needs text, not {}", other.type_name()))),
        None => Err(fail(format!("`{callee}` needs an argument"))),
    }
}

/// An argument that `str` is applied to.
pub(crate) fn stringified(budget: &Budget, value: &Value) -> Outcome<String> {
    text(budget, value).map(std::borrow::Cow::into_owned)
}
