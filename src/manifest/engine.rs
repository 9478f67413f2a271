//! The engine that renders `*.j2` files: what it may read of the environment, and how much
//! it may make. The engine counts its steps; what one step can multiply is counted here.

use std::sync::Arc;

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value, filters,
};

use super::jinja::Budget;

/// The steps that one rendering may take.
const FUEL: u64 = 10_000_000;

/// How much text one rendering may make, in bytes.
const PRODUCE: i64 = 256 * 1024 * 1024;

/// The widest field of a format and the widest indentation.
const WIDEST: usize = 1_000;

/// What each piece of a list or map counts, beside its text, since it takes time to look at.
const PIECE: usize = 64;

/// How deep lists and maps may stand in each other.
const DEEPEST: usize = 128;

/// The function that measures what an operator makes.
const SIZED: &str = "_sized";

/// What names of variables for templates begin with.
const FOR_TEMPLATES: &str = "MESHAGENT_VAR_";

/// Whether a variable is one of the program's own, which hold its credentials: nothing in a
/// manifest reads them.
#[must_use]
pub fn is_own_variable(name: &str) -> bool {
    name.starts_with("MESHAGENT_") && !name.starts_with(FOR_TEMPLATES)
}

/// The syntax of `*.j2` files.
pub(super) fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default()
}

/// An engine for one rendering, whose templates may read the variables of these names.
pub(super) fn environment(allowed: &[String]) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_syntax(syntax());
    environment.set_fuel(Some(FUEL));
    let allowed = allowed.to_vec();
    environment.add_function("env", move |name: &str, default: Option<String>| {
        env(&allowed, name, default)
    });
    let budget = Arc::new(Budget::new(PRODUCE));
    let measure = Arc::clone(&budget);
    environment.set_formatter(move |out, state, value| {
        charge(&measure, value)?;
        minijinja::escape_formatter(out, state, value)
    });
    let measure = Arc::clone(&budget);
    environment.add_function(SIZED, move |value: Value| charge(&measure, &value).map(|()| value));
    bound(&mut environment, "indent", filters::indent, &budget);
    bound(&mut environment, "format", filters::format, &budget);
    bound(&mut environment, "replace", filters::replace, &budget);
    bound(&mut environment, "join", filters::join, &budget);
    bound(&mut environment, "batch", filters::batch, &budget);
    bound(&mut environment, "slice", filters::slice, &budget);
    bound(&mut environment, "tojson", filters::tojson, &budget);
    bound(&mut environment, "urlencode", filters::urlencode, &budget);
    environment
}

/// Puts a filter in place whose work is measured before it is done.
fn bound<F, Rv, Args>(
    environment: &mut Environment<'_>,
    name: &'static str,
    filter: F,
    budget: &Arc<Budget>,
) where
    F: minijinja::functions::Function<Rv, Args>,
    Rv: minijinja::value::FunctionResult,
    Args: for<'a> minijinja::value::FunctionArgs<'a>,
{
    let plain = format!("_plain_{name}");
    environment.add_filter(plain.clone(), filter);
    let budget = Arc::clone(budget);
    environment.add_filter(name, move |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
        let values = values.into_values();
        measure(name, &values, &budget)?;
        state.apply_filter(&plain, &values)
    });
}

/// Takes what a filter may make from the budget.
fn measure(name: &str, values: &[Value], budget: &Budget) -> Result<(), Error> {
    let too_wide = || {
        let message = format!("`{name}` takes {WIDEST} at most");
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
            budget.charge(text.len() + (text.matches('\n').count() + 1) * width)?;
        }
        "format" => {
            let Some(width) = width(text) else { return too_wide() };
            budget.charge(text.len() + text.matches('%').count() * width)?;
        }
        "replace" => {
            let from = values.get(1).and_then(Value::as_str).unwrap_or_default();
            budget.charge(text.len() + text.matches(from).count().saturating_mul(length(2)))?;
        }
        "join" => {
            let items = values.first().and_then(Value::len).unwrap_or_default();
            let between = values.iter().skip(1).filter_map(Value::as_str).map(str::len);
            budget.charge(items.saturating_mul(between.max().unwrap_or_default()))?;
        }
        _ => {}
    }
    values.iter().try_for_each(|value| charge(budget, value))
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

/// Takes the length of a value, written out, from the budget.
fn charge(budget: &Budget, value: &Value) -> Result<(), Error> {
    charge_below(budget, value, 0)
}

fn charge_below(budget: &Budget, value: &Value, depth: usize) -> Result<(), Error> {
    if let Some(text) = value.as_str() {
        return budget.charge(text.len());
    }
    let is_map = value.kind() == ValueKind::Map;
    if !is_map && value.kind() != ValueKind::Seq {
        return Ok(());
    }
    if depth > DEEPEST {
        let message = format!("lists and maps are {DEEPEST} deep at most");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    for item in value.try_iter()? {
        budget.charge(PIECE)?;
        if is_map {
            charge_below(budget, &value.get_item(&item)?, depth + 1)?;
        }
        charge_below(budget, &item, depth + 1)?;
    }
    Ok(())
}

/// A template in which what `~`, `+` and `*` make is measured, and before that what they
/// make it of, since a short list may be long as a text. Lines stay lines.
pub(super) fn sized(source: &str) -> String {
    let mut insertions: Vec<(usize, &str)> = Vec::new();
    let mut open: Vec<Term> = Vec::new();
    let mut is_first = false;
    // Whether the word before this one makes it a name.
    let mut names_next = false;
    for token in tokenize(source, false, syntax()) {
        // The parser says what is wrong.
        let Ok((token, span)) = token else { return source.to_owned() };
        let (start, end) = (span.start_offset as usize, span.end_offset as usize);
        let was_first = std::mem::take(&mut is_first);
        let was_named = std::mem::take(&mut names_next);
        let mut flush = |open: &mut Vec<Term>| {
            if let Some(term) = open.last_mut() {
                std::mem::take(term).wrap(&mut insertions);
            }
        };
        match token {
            Token::VariableStart | Token::BlockStart => {
                open = vec![Term::default()];
                is_first = matches!(token, Token::BlockStart);
                continue;
            }
            Token::VariableEnd | Token::BlockEnd => {
                flush(&mut open);
                open.clear();
                continue;
            }
            Token::Ident(_) if was_first => continue,
            Token::Comma | Token::Colon | Token::Assign | Token::Eq | Token::Ne => {
                flush(&mut open);
                continue;
            }
            Token::Gt | Token::Gte | Token::Lt | Token::Lte => {
                flush(&mut open);
                continue;
            }
            Token::Ident("not") if was_named => names_next = true,
            Token::Ident("if" | "else" | "and" | "or" | "not" | "in" | "as" | "recursive")
                if !was_named =>
            {
                flush(&mut open);
                continue;
            }
            Token::Dot | Token::Pipe | Token::Ident("is") => names_next = true,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                flush(&mut open);
                open.pop();
            }
            _ => {}
        }
        let Some(term) = open.last_mut() else { continue };
        term.add(start, end, &token);
        if matches!(token, Token::ParenOpen | Token::BracketOpen | Token::BraceOpen) {
            open.push(Term::default());
        }
    }
    insertions.sort_by_key(|(at, _)| *at);
    let mut out = String::with_capacity(source.len() + insertions.len() * 8);
    let mut done = 0;
    for (at, text) in insertions {
        out.push_str(&source[done..at]);
        out.push_str(text);
        done = at;
    }
    out + &source[done..]
}

/// A part of an expression whose operators bind tighter than what is around it.
#[derive(Default)]
struct Term {
    /// Where it begins and ends.
    range: Option<(usize, usize)>,
    /// Whether an operator in it can make something larger.
    grows: bool,
    /// The parts that `~` puts together, up to the last of them.
    parts: Vec<(usize, usize)>,
    part: Option<(usize, usize)>,
}

impl Term {
    fn add(&mut self, start: usize, end: usize, token: &Token<'_>) {
        let extended =
            |range: Option<(usize, usize)>| Some((range.map_or(start, |range| range.0), end));
        self.range = extended(self.range);
        self.grows |= matches!(token, Token::Tilde | Token::Plus | Token::Mul);
        if matches!(token, Token::Tilde) {
            self.parts.extend(self.part.take());
        } else {
            self.part = extended(self.part);
        }
    }

    fn wrap(self, insertions: &mut Vec<(usize, &str)>) {
        let Some(whole) = self.range.filter(|_| self.grows) else { return };
        let parts = if self.parts.is_empty() { None } else { self.part };
        for (start, end) in self.parts.into_iter().chain(parts).chain([whole]) {
            insertions.push((start, "_sized("));
            insertions.push((end, ")"));
        }
    }
}

/// Reads a variable of the environment for a template.
fn env(allowed: &[String], name: &str, default: Option<String>) -> Result<String, Error> {
    let refused = |what: String| Err(Error::new(ErrorKind::InvalidOperation, what));
    if is_own_variable(name) {
        return refused(format!(
            "the environment variable {name} is the program's own, and no template reads it"
        ));
    }
    if !name.starts_with(FOR_TEMPLATES) && !allowed.iter().any(|allowed| allowed == name) {
        return refused(format!(
            "the environment variable {name} was not allowed: --allow-env {name} lets templates read it, and plans show it"
        ));
    }
    match std::env::var(name).ok().or(default) {
        Some(text) => Ok(text),
        None => refused(format!("the environment variable {name} is not set")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> Result<String, String> {
        environment(&[])
            .render_str(&sized(text), minijinja::context! {a => "x", b => [1, 2]})
            .map_err(|error| error.detail().unwrap_or_default().to_owned())
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
    fn what_would_be_too_large_is_not_made() {
        let much = "the template produces too much";
        for (text, expected) in [
            ("{{ '%099999999999d'|format(1) }}", "`format` takes 1000 at most"),
            ("{{ '%*d'|format(99999999, 1) }}", "`format` takes 1000 at most"),
            ("{{ 'a\nb'|indent(99999999999) }}", "`indent` takes 1000 at most"),
            ("{{ 'a\nb'|indent(width=99999999999) }}", "`indent` takes 1000 at most"),
            ("{{ b|batch(99999999999, 'x')|list }}", "`batch` takes 1000 at most"),
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

    #[test]
    fn a_template_reads_only_what_it_may() {
        let read =
            |name: &str| env(&["PATH".to_owned(), "MESHAGENT_API_KEY".to_owned()], name, None);
        assert!(read("PATH").is_ok());
        for (name, told) in [
            ("HOME", "was not allowed: --allow-env HOME"),
            ("MESHAGENT_API_KEY", "is the program's own"),
            ("MESHAGENT_VAR_NONE", "is not set"),
        ] {
            let message = read(name).unwrap_err().to_string();
            assert!(message.contains(told), "{message}");
        }
        assert_eq!(env(&[], "MESHAGENT_VAR_NONE", Some("d".to_owned())).unwrap(), "d");
        assert!(env(&[], "HOME", Some("d".to_owned())).is_err());
    }
}
