//! The engine that renders `*.j2` files, and its limits. The engine counts its steps; what one step
//! can multiply is counted here, where [`super::measured`] asks for it.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use meshagent_jinja::{Budget, Spent};
use minijinja::syntax::SyntaxConfig;
use minijinja::tests as predicates;
use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value, filters,
};

use super::null;
use super::template::TIME;
use super::variables::Variables;
use super::yaml::MAX_BYTES;

/// The steps that one rendering may take.
const FUEL: u64 = 10_000_000;

/// How much text one rendering may make, in bytes.
const PRODUCE: i64 = 256 * 1024 * 1024;

/// The widest field of a format and the widest indentation.
const WIDEST: usize = 1_000;

/// The cost of each item of a list or map beside its text, because visiting it takes time.
const PIECE: usize = 64;

/// Its cost if it is only compared.
const COMPARED: usize = 16;

/// How deep lists and maps may stand in each other.
const DEEPEST: usize = 128;

/// The deepest recursion of macros and loops.
const RECURSION: usize = 100;

/// The function that measures what an operator makes.
pub(super) const SIZED: &str = "_sized";

/// The function that measures what a comparison goes through.
pub(super) const WEIGHED: &str = "_weighed";

/// The function that looks at what a namespace keeps.
pub(super) const KEPT: &str = "_kept";

/// The function that counts a text that is written.
pub(super) const MADE: &str = "_made";

/// The syntax of `*.j2` files.
pub(super) fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default()
}

/// Renders a template that [`super::measured`] was applied to.
///
/// # Errors
///
/// The engine's; a text that is larger than one that is read.
pub(super) fn render(
    template: &str,
    variables: &Arc<Variables>,
    values: &serde_json::Map<String, serde_json::Value>,
) -> Result<String, Error> {
    let environment = environment(variables);
    let mut out = Out { bytes: Vec::new(), is_full: false };
    let template = environment.template_from_str(template)?;
    let rendered = template.render_captured_to(minijinja::value::Serde(values), &mut out);
    match rendered.map(drop) {
        Err(_) if out.is_full => Err(Error::new(
            ErrorKind::OutOfFuel,
            format!("the template renders to more than {} MiB", MAX_BYTES / 1024 / 1024),
        )),
        Err(error) => Err(error),
        Ok(()) => String::from_utf8(out.bytes)
            .map_err(|_| Error::new(ErrorKind::InvalidOperation, "the text is not UTF-8")),
    }
}

/// What was rendered, up to its limit.
struct Out {
    bytes: Vec<u8>,
    is_full: bool,
}

impl io::Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_BYTES {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What one rendering may still make, and read.
struct Meter {
    budget: Budget,
    variables: Arc<Variables>,
}

/// An engine for one rendering.
fn environment(variables: &Arc<Variables>) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_syntax(syntax());
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION);
    // It would show everything that the engine has.
    environment.remove_global("debug");
    let read = Arc::clone(variables);
    environment
        .add_function("env", move |name: &str, default: Option<String>| read.env(name, default));
    let budget = Budget::new(PRODUCE, Instant::now() + TIME);
    let meter = Arc::new(Meter { budget, variables: Arc::clone(variables) });
    let measure = Arc::clone(&meter);
    environment.set_formatter(move |out, state, value| {
        if let Some(sign) = Variables::written(value) {
            return Ok(out.write_str(&sign)?);
        }
        null::check_written(value)?;
        measure.charge(value)?;
        minijinja::escape_formatter(out, state, value)
    });
    let measure = Arc::clone(&meter);
    environment.add_function(SIZED, move |value: Value| measure.sized(value));
    let measure = Arc::clone(&meter);
    environment.add_function(KEPT, move |value: Value| measure.kept(value));
    let measure = Arc::clone(&meter);
    environment
        .add_function(MADE, move |length: usize| measure.take(length).map(|()| Value::from("")));
    let measure = Arc::clone(&meter);
    environment.add_function(WEIGHED, move |values: Rest<ValueOrKwargs>| {
        let value = values.into_values().into_iter().next().unwrap_or_default();
        measure.walk(&value, 0, COMPARED).map(|()| value)
    });
    null::add(&mut environment);
    bound_filters(&mut environment, &meter);
    bound_tests(&mut environment, &meter);
    environment
}

fn bound_filters(environment: &mut Environment<'_>, meter: &Arc<Meter>) {
    bound(environment, "indent", filters::indent, meter);
    bound(environment, "format", filters::format, meter);
    bound(environment, "replace", filters::replace, meter);
    bound(environment, "join", filters::join, meter);
    bound(environment, "batch", filters::batch, meter);
    bound(environment, "slice", filters::slice, meter);
    bound(environment, "tojson", filters::tojson, meter);
    bound(environment, "urlencode", filters::urlencode, meter);
    bound(environment, "lower", filters::lower, meter);
    bound(environment, "upper", filters::upper, meter);
    bound(environment, "title", filters::title, meter);
    bound(environment, "capitalize", filters::capitalize, meter);
    bound(environment, "trim", filters::trim, meter);
    bound(environment, "split", filters::split, meter);
    bound(environment, "lines", filters::lines, meter);
    bound(environment, "string", filters::string, meter);
    bound(environment, "escape", filters::escape, meter);
    bound(environment, "e", filters::escape, meter);
    bound(environment, "pprint", filters::pprint, meter);
    bound(environment, "int", filters::int, meter);
    bound(environment, "float", filters::float, meter);
    bound(environment, "length", filters::length, meter);
    bound(environment, "count", filters::length, meter);
    bound(environment, "dictsort", filters::dictsort, meter);
    bound(environment, "items", filters::items, meter);
    bound(environment, "reverse", filters::reverse, meter);
    bound(environment, "list", filters::list, meter);
    bound(environment, "min", filters::min, meter);
    bound(environment, "max", filters::max, meter);
    bound(environment, "sort", filters::sort, meter);
    bound(environment, "sum", filters::sum, meter);
    bound(environment, "select", filters::select, meter);
    bound(environment, "reject", filters::reject, meter);
    bound(environment, "selectattr", filters::selectattr, meter);
    bound(environment, "rejectattr", filters::rejectattr, meter);
    bound(environment, "map", filters::map, meter);
    bound(environment, "groupby", filters::groupby, meter);
    bound(environment, "unique", filters::unique, meter);
    bound(environment, "chain", filters::chain, meter);
    bound(environment, "zip", filters::zip, meter);
}

fn bound_tests(environment: &mut Environment<'_>, meter: &Arc<Meter>) {
    for name in ["eq", "equalto", "=="] {
        bound_test(environment, name, predicates::is_eq, meter);
    }
    for name in ["ne", "!="] {
        bound_test(environment, name, predicates::is_ne, meter);
    }
    for name in ["lt", "lessthan", "<"] {
        bound_test(environment, name, predicates::is_lt, meter);
    }
    for name in ["le", "<="] {
        bound_test(environment, name, predicates::is_le, meter);
    }
    for name in ["gt", "greaterthan", ">"] {
        bound_test(environment, name, predicates::is_gt, meter);
    }
    for name in ["ge", ">="] {
        bound_test(environment, name, predicates::is_ge, meter);
    }
    bound_test(environment, "in", predicates::is_in, meter);
    bound_test(environment, "sameas", predicates::is_sameas, meter);
}

/// Puts a filter in place whose work is measured before it is done.
fn bound<F, Rv, Args>(
    environment: &mut Environment<'_>,
    name: &'static str,
    filter: F,
    meter: &Arc<Meter>,
) where
    F: minijinja::functions::Function<Rv, Args>,
    Rv: minijinja::value::FunctionResult,
    Args: for<'a> minijinja::value::FunctionArgs<'a>,
{
    let plain = format!("_plain_{name}");
    environment.add_filter(plain.clone(), filter);
    let meter = Arc::clone(meter);
    environment.add_filter(name, move |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
        let values = values.into_values();
        null::check_filter(name, &values)?;
        meter.measure(name, &values)?;
        state.apply_filter(&plain, &values)
    });
}

/// The same for a test.
fn bound_test<F, Rv, Args>(
    environment: &mut Environment<'_>,
    name: &'static str,
    test: F,
    meter: &Arc<Meter>,
) where
    F: minijinja::functions::Function<Rv, Args>,
    Rv: minijinja::value::FunctionResult,
    Args: for<'a> minijinja::value::FunctionArgs<'a>,
{
    let plain = format!("_plain_{name}");
    environment.add_test(plain.clone(), test);
    let meter = Arc::clone(meter);
    environment.add_test(name, move |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
        let values = values.into_values();
        null::check_test(name, &values)?;
        values.iter().try_for_each(|value| meter.walk(value, 0, COMPARED))?;
        state.perform_test(&plain, &values)
    });
}

impl Meter {
    /// Takes from the budget before the work is done.
    fn take(&self, units: usize) -> Result<(), Error> {
        let spent = |spent: Spent| Error::new(ErrorKind::OutOfFuel, spent.to_string());
        self.budget.charge(units).map_err(spent)
    }

    /// Takes what a filter may make from the budget.
    fn measure(&self, name: &str, values: &[Value]) -> Result<(), Error> {
        let too_wide = || {
            let message = format!("`{name}` takes a number of at most {WIDEST}");
            Err(Error::new(ErrorKind::InvalidOperation, message))
        };
        let numbers = || values.iter().skip(1).flat_map(numbers_of);
        let length = |at: usize| values.get(at).and_then(Value::as_str).map_or(0, str::len);
        let text = values.first().and_then(Value::as_str).unwrap_or_default();
        match name {
            "indent" | "batch" | "slice" | "tojson" if numbers().any(|number| number > WIDEST) => {
                return too_wide();
            }
            "indent" => {
                let width = numbers().max().unwrap_or(4);
                self.take(text.len() + (text.matches('\n').count() + 1) * width)?;
            }
            "format" => {
                let Some(width) = width(text) else { return too_wide() };
                self.take(text.len() + text.matches('%').count() * width)?;
            }
            "replace" => {
                let from = values.get(1).and_then(Value::as_str).unwrap_or_default();
                let made = text.matches(from).count().saturating_mul(length(2));
                self.take(text.len().saturating_add(made))?;
            }
            "join" => {
                let items = values.first().and_then(Value::len).unwrap_or_default();
                let between = values.iter().skip(1).filter_map(Value::as_str).map(str::len);
                self.take(items.saturating_mul(between.max().unwrap_or_default()))?;
            }
            // Just its first level is looked at.
            "length" | "count" => {
                self.take(text.len())?;
                return values.iter().try_for_each(|value| self.variables.check(value));
            }
            _ => {}
        }
        values.iter().try_for_each(|value| self.walk(value, 0, PIECE))
    }

    /// Takes the length of a value, written out, from the budget.
    fn charge(&self, value: &Value) -> Result<(), Error> {
        self.walk_with(value, 0, &|_| Ok(()), PIECE)
    }

    /// The same of what is computed with, which no sealed variable is.
    fn walk(&self, value: &Value, depth: usize, piece: usize) -> Result<(), Error> {
        self.walk_with(value, depth, &|value| self.variables.check(value), piece)
    }

    fn walk_with(
        &self,
        value: &Value,
        depth: usize,
        check: &dyn Fn(&Value) -> Result<(), Error>,
        piece: usize,
    ) -> Result<(), Error> {
        check(value)?;
        if let Some(text) = value.as_str() {
            return self.take(text.len());
        }
        let is_map = value.kind() == ValueKind::Map;
        if value.kind() == ValueKind::Iterable {
            // It may yield its items only once.
            return self.take(value.len().unwrap_or_default().saturating_mul(piece));
        }
        if !is_map && value.kind() != ValueKind::Seq {
            return Ok(());
        }
        if depth > DEEPEST {
            let message = format!("lists and maps may be at most {DEEPEST} deep");
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        }
        for item in value.try_iter()? {
            self.take(piece)?;
            if is_map {
                self.walk_with(&value.get_item(&item)?, depth + 1, check, piece)?;
            }
            self.walk_with(&item, depth + 1, check, piece)?;
        }
        Ok(())
    }

    /// What an operator made, or is about to put together.
    fn sized(&self, value: Value) -> Result<Value, Error> {
        match Variables::written(&value) {
            Some(sign) => Ok(Value::from(sign)),
            None => self.charge(&value).map(|()| value),
        }
    }

    /// Checks what a namespace stores: nothing that could hold the namespace itself, and nothing
    /// that grows deeper with each step of a loop.
    fn kept(&self, value: Value) -> Result<Value, Error> {
        let refuse_namespace = |value: &Value| match is_namespace(value) {
            true => {
                Err(Error::new(ErrorKind::InvalidOperation, "a namespace cannot hold a namespace"))
            }
            false => Ok(()),
        };
        self.walk_with(&value, 0, &refuse_namespace, PIECE).map(|()| value)
    }
}

/// Whether a value is a namespace. The type is private to the engine, but its name is not.
fn is_namespace(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.type_name().ends_with("::Namespace"))
}

/// The numbers that a filter is given, by position or by name.
fn numbers_of(value: &Value) -> Vec<usize> {
    let number = |value: &Value| {
        let number = i128::try_from(value.clone()).ok().filter(|_| value.is_number())?;
        Some(usize::try_from(number).unwrap_or(usize::MAX))
    };
    if !value.is_kwargs() {
        return number(value).into_iter().collect();
    }
    let names = value.try_iter().into_iter().flatten();
    names.filter_map(|name| number(&value.get_item(&name).ok()?)).collect()
}

/// The widest field of a format, if it is not too wide.
fn width(text: &str) -> Option<usize> {
    let mut widest = 1;
    for field in text.split('%').skip(1) {
        let layout: &str = match field.find(|c: char| c.is_ascii_alphabetic()) {
            Some(_) if field.starts_with('(') => field.split_once(')').map_or("", |(_, rest)| rest),
            _ => field,
        };
        let end = layout.find(|c: char| !c.is_ascii_digit() && !"-+ #.*".contains(c));
        let layout = &layout[..end.unwrap_or(layout.len())];
        if layout.contains('*') && !layout.starts_with(' ') {
            return None;
        }
        for digits in layout.split(|c: char| !c.is_ascii_digit()).filter(|text| !text.is_empty()) {
            let number = digits.parse().unwrap_or(usize::MAX);
            widest = widest.max(number);
        }
    }
    (widest <= WIDEST).then_some(widest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::measured::measured;

    fn rendered(text: &str) -> Result<String, String> {
        let variables = Variables::new(&[], text, "");
        let values = serde_json::json!({"a": "x", "b": [1, 2], "n": null, "m": {"n": null}});
        let values = values.as_object().cloned().unwrap_or_default();
        render(&measured(text).unwrap(), &variables, &values)
            .map_err(|error| error.detail().unwrap_or_default().to_owned())
    }

    #[test]
    fn a_namespace_is_known_by_the_name_of_its_type() {
        let made = minijinja::functions::namespace(None).unwrap();
        assert!(is_namespace(&made));
        for other in [Value::from(1), Value::from(vec![1, 2])] {
            assert!(!is_namespace(&other), "{other}");
        }
        assert_eq!(
            rendered("{% set n = namespace(s=1) %}{% set n.s = [n] %}").unwrap_err(),
            "a namespace cannot hold a namespace"
        );
    }

    #[test]
    fn what_is_measured_is_rendered_as_before() {
        for (text, expected) in [
            ("{{ a ~ b }}", "x[1, 2]"),
            ("{{ a ~ 1 + 2 * 3 ~ 'y'|upper }}", "x7Y"),
            ("{{ 'n' if not a ~ b == 'x' and b + [3] else a ~ 'z' }}", "n"),
            ("{{ (a ~ 'y') ~ {'k': a ~ 'z'}.k }}", "xyxz"),
            ("{% set c = a ~ 'q' %}{{ c }}", "xq"),
            ("{% for i in b + [3] if i * 2 > 2 %}{{ i }}{% endfor %}", "23"),
            ("{% if a ~ 'y' is eq('xy') %}1{% endif %}", "1"),
            ("{{ a is not none and 'x' in a ~ 'y' }}", "True"),
            ("{{ [a ~ 'y', 2 + 3][0:1 + 0]|join('-' ~ '-') }}", "xy"),
            ("{{ '%s-%5d'|format(a, 3) }}", "x-    3"),
            ("{{ 'a\nb'|indent(2) }}", "a\n  b"),
            ("{{ 'aXb'|replace('X', a) }}{{ b|tojson }}", "axb[1, 2]"),
            ("{{ '50 % * x' }}{{ a\n ~ a }}", "50 % * xxx"),
        ] {
            assert_eq!(rendered(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn null_is_refused_where_jinja2_refuses_it() {
        const L: &str = "a loop needs a list";
        const C: &str = "a comparison needs numbers or texts";
        const I: &str = "`in` needs a list, a map or a text";
        const T: &str = "`in` needs a text to look for in a text";
        const S: &str = "a slice needs a list or a text";
        for (text, needed) in [
            ("{% for i in n %}{{ i }}{% endfor %}x", L),
            ("{% for i in (n) if i %}{{ i }}{% endfor %}", L),
            ("{% for i in\n n\n if i %}{{ i }}{% endfor %}", L),
            ("{% for i in n recursive %}{% endfor %}", L),
            ("{% for i in [[n]] recursive %}{% if i %}{{ loop(i[0]) }}{% endif %}{% endfor %}", L),
            ("{% macro f(a) %}{% for i in a %}{% endfor %}{% endmacro %}{{ f(n) }}", L),
            ("{% with a = n %}{% for i in a %}{% endfor %}{% endwith %}", L),
            ("{% for i in m.n %}{% endfor %}", L),
            ("{{ n[0:1] }}", S),
            ("{{ [1, n[:]] }}", S),
            ("{{ m.n[1:]|join }}", S),
            ("{{ 1 in n }}", I),
            ("{{ 1 not in n }}", I),
            ("{{ 1 is in(n) }}", I),
            ("{{ 1 is not in(m.n) }}", I),
            ("{{ n is in('abc') }}", T),
            ("{% if n in 'abc' %}{% endif %}", T),
            ("{{ m.n not in a }}", T),
            ("{{ [a, n in a] }}", T),
            ("{% for i in b if i in n %}{% endfor %}", I),
            ("{{ n < 1 }}", C),
            ("{{ 1 >= n }}", C),
            ("{{ 2 > 1 > n }}", C),
            ("{{ n is lt(1) }}", C),
            ("{{ 1 is ge(n) }}", C),
            ("{{ b|select('>', n)|list }}", C),
        ] {
            assert_eq!(rendered(text), Err(format!("{needed}, but this is null")), "{text}");
        }
        for filter in [
            "length",
            "count",
            "list",
            "join(',')",
            "join",
            "reverse",
            "sort",
            "unique",
            "min",
            "max",
            "sum",
            "groupby('a')",
            "batch(2)",
            "slice(2)",
            "dictsort",
            "items",
            // Jinja2 makes nothing of these, and what was meant to be there would be deleted.
            "map('upper')",
            "map(attribute='a')",
            "select",
            "reject",
            "selectattr('a')",
            "rejectattr('a')",
            "chain(b)",
            "zip(b)",
        ] {
            let name = filter.split('(').next().unwrap();
            let expected = Err(format!("`{name}` needs a list, but this is null"));
            assert_eq!(rendered(&format!("{{{{ n|{filter}|string }}}}")), expected, "{filter}");
        }
        for text in ["[3, n]|sort", "[3, n]|min", "[{'a': 1}, m]|max(attribute='n')"] {
            let refused = rendered(&format!("{{{{ {text} }}}}")).unwrap_err();
            assert!(refused.ends_with("compares the items of a list, but this is null"), "{text}");
        }
        for text in ["n + 1", "b + n", "a * n", "-n", "n|first", "n|last", "n|abs", "n|round"] {
            assert!(rendered(&format!("{{{{ {text} }}}}")).is_err(), "{text}");
        }
    }

    #[test]
    fn null_is_taken_where_jinja2_takes_it() {
        for (text, expected) in [
            ("{{ n == 1 }} {{ n != none }} {{ n is none }}", "False False True"),
            ("{{ n in b }} {{ n in [n] }} {{ n in m }}", "False True False"),
            ("{{ a in 'xyz' }} {{ a not in a ~ 'y' }} {{ 'x' in a }}", "True False True"),
            ("{{ b[0] in b }} {{ 1 in b and 3 not in b }} {{ a == 'x' in 'x' }}", "True True True"),
            ("{{ n ~ 1 }} {{ n|string }} {{ n|tojson }}", "None1 None null"),
            ("{{ n|int }} {{ n|default('d', true) }} {{ n or 'e' }}", "0 d e"),
            ("{% for i in n|default([], true) %}{{ i }}{% endfor %}x", "x"),
            ("{% for i in n or b %}{{ i }}{% endfor %}", "12"),
            ("{% for recursive in b %}{{ recursive }}{% endfor %}", "12"),
            ("{% for i in b if n is none %}{{ i }}{% endfor %}", "12"),
            ("{{ n is iterable }} {{ b is iterable }} {{ n is sequence }}", "False True False"),
            ("{% if n is iterable %}{% for i in n %}{% endfor %}{% endif %}x", "x"),
            ("{{ [3, n]|join(',') }} {{ b[n:1] }} {{ [n]|sort }}", "3,None [1] [None]"),
            ("{{ b[1:][0] }} {{ -b[1:][0] }} {{ {'k': b}.k[:1] + b[1:] }}", "2 -2 [1, 2]"),
            ("{{ 'x' is in a[0:] }} {{ [1, b[0:2]][1][1:] }}", "True [2]"),
            ("{{ [2, 1]|sort|first }} {{ 1 < 2 > 0 }}", "1 True"),
        ] {
            assert_eq!(rendered(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_would_be_too_large_is_not_made() {
        let much = "the template produces too much";
        for (text, expected) in [
            ("{{ '%099999999999d'|format(1) }}", "`format` takes a number of at most 1000"),
            ("{{ '%*d'|format(99999999, 1) }}", "`format` takes a number of at most 1000"),
            ("{{ 'a\nb'|indent(99999999999) }}", "`indent` takes a number of at most 1000"),
            ("{{ 'a\nb'|indent(width=99999999999) }}", "`indent` takes a number of at most 1000"),
            ("{{ b|batch(99999999999, 'x')|list }}", "`batch` takes a number of at most 1000"),
            (
                "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
                much,
            ),
            (
                "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
                much,
            ),
            (
                "{% set n = namespace(s='xx') %}{% for i in range(99) %}{% set n.s = n.s|replace('x', n.s) %}{% endfor %}",
                much,
            ),
            (
                "{% set n = namespace(s=['x']) %}{% for i in range(99) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s ~ '' }}",
                much,
            ),
            (
                "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set t %}{{ n.s }}{{ n.s }}{% endset %}{% set n.s = t %}{% endfor %}",
                much,
            ),
            ("{{ 'x' * 99999999 * 9 }}", "repeated string is too large"),
        ] {
            assert_eq!(rendered(text), Err(expected.to_owned()), "{text}");
        }
    }
}
