//! Jinja2 as the platform runs it, offline: stock `jinja2.Template(text).render(**values)`
//! of Jinja2 3.1 on Python 3.13.
//!
//! The engine parses and runs; [`translate`] puts Python's rules in place of the engine's
//! own. The promise is one-sided: the output is Jinja2's, byte for byte, or there is an
//! error. Whatever cannot be promised that way is refused by name.

mod arguments;
mod bucket;
mod filters;
mod format;
mod globals;
mod json;
mod methods;
mod operators;
mod predicates;
mod translate;
mod value;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{AutoEscape, Environment, Error, State, UndefinedBehavior, Value};

use super::template::{TIME, TemplateError, Values};
use arguments::Arguments;
pub(super) use value::Budget;

/// Names that start with this belong to the translation.
const PREFIX: &str = "_py_";

/// The instructions that one rendering may take.
const FUEL: u64 = 1_000_000;

/// The units of text and elements that one rendering may produce, about as many bytes.
const PRODUCE: i64 = 32 * 1024 * 1024;

/// The longest template that is rendered, in bytes.
const MAX_SOURCE: usize = 1024 * 1024;

/// The longest text that a template may render to, in bytes.
const MAX_RENDERED: usize = 4 * 1024 * 1024;

/// The deepest recursion of macros and loops.
const MAX_RECURSION: usize = 100;

/// Renders a template.
pub(super) fn render(source: &str, values: &Values) -> Result<String, TemplateError> {
    if source.len() > MAX_SOURCE {
        return Err(TemplateError::new(format!(
            "the template has {} bytes, more than the {MAX_SOURCE} that are rendered",
            source.len()
        )));
    }
    let source = normalize(source);
    // Text without any markup is by far the most common scalar of a template.
    if !["{{", "{%", "{#"].iter().any(|mark| source.contains(mark)) {
        return Ok(source.into_owned());
    }
    let translated = translate::translate(&source).map_err(|refusal| {
        let place = refusal.offset.map(|offset| place(&source, offset));
        let (line, column) = place.unzip();
        let line = line.or_else(|| refusal.error.line().map(|line| line as u64));
        located(&refusal.error, line, column)
    })?;
    let budget = Arc::new(Budget::new(PRODUCE, Instant::now() + TIME));
    let environment = environment(&budget);
    let context: Vec<_> = values
        .iter()
        .filter(|(name, _)| !name.starts_with(PREFIX))
        .map(|(name, value)| (name.clone(), Value::from(value.clone())))
        .collect();
    let rendered = environment
        .render_str(&translated, Value::from_pairs(context))
        .map_err(|error| located(&error, error.line().map(|line| line as u64), None))?;
    match rendered.len() {
        0..=MAX_RENDERED => Ok(rendered),
        bytes => Err(TemplateError::new(format!(
            "the template renders to {bytes} bytes, more than the {MAX_RENDERED} that are read"
        ))),
    }
}

/// Refuses, in a template that the engine renders by its own rules, what it silently reads
/// otherwise than Jinja2. What it cannot read at all is left to it.
pub(super) fn check_unlike(source: &str) -> Result<(), TemplateError> {
    translate::check_unlike(source).map_err(|refusal| {
        let (line, column) = refusal.offset.map(|offset| place(source, offset)).unzip();
        located(&refusal.error, line, column)
    })
}

/// All line ends become line feeds and one at the end is dropped, as Jinja2 does.
fn normalize(source: &str) -> Cow<'_, str> {
    let source = if source.contains('\r') {
        Cow::Owned(source.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(source)
    };
    match source {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_suffix('\n').unwrap_or(text)),
        Cow::Owned(mut text) => {
            if text.ends_with('\n') {
                text.pop();
            }
            Cow::Owned(text)
        }
    }
}

fn place(source: &str, offset: usize) -> (u64, u64) {
    let before = &source[..source.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    (line as u64, column as u64)
}

fn located(error: &Error, line: Option<u64>, column: Option<u64>) -> TemplateError {
    // The innermost error says what happened; those around it say where it was called.
    let mut innermost = error;
    while let Some(next) =
        std::error::Error::source(innermost).and_then(|next| next.downcast_ref::<Error>())
    {
        innermost = next;
    }
    let message = match (innermost.detail(), innermost.kind()) {
        (Some(detail), _) => detail.to_owned(),
        (None, minijinja::ErrorKind::OutOfFuel) => "the template takes too long".to_owned(),
        (None, kind) => kind.to_string(),
    };
    TemplateError { line, column, ..TemplateError::new(message) }
}

fn environment(budget: &Arc<Budget>) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(MAX_RECURSION);
    environment.set_debug(false);
    let formatter = Arc::clone(budget);
    environment
        .set_formatter(move |out, _, value| Ok(out.write_str(&value::text(&formatter, value)?)?));
    environment.remove_global("debug");
    for (name, operation) in operators::OPERATIONS {
        let budget = Arc::clone(budget);
        environment.add_function(
            format!("{PREFIX}{name}"),
            move |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
                operation(&budget, state, &values.into_values())
            },
        );
    }
    for (name, function) in globals::FUNCTIONS {
        let budget = Arc::clone(budget);
        environment.add_function(*name, move |values: Rest<ValueOrKwargs>| {
            function(&budget, Arguments::of(&values.into_values())?)
        });
    }
    for (name, filter) in filters::FILTERS {
        let budget = Arc::clone(budget);
        environment.add_filter(
            *name,
            move |state: &mut State<'_, '_>, value: Value, values: Rest<ValueOrKwargs>| {
                filter(&budget, state, &value, Arguments::of(&values.into_values())?)
            },
        );
    }
    for (name, predicate) in predicates::PREDICATES {
        let budget = Arc::clone(budget);
        environment.add_test(
            *name,
            move |state: &mut State<'_, '_>, value: Value, values: Rest<ValueOrKwargs>| {
                predicate(&budget, state, &value, Arguments::of(&values.into_values())?)
            },
        );
    }
    environment
}
