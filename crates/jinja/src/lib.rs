//! Jinja2's templates, offline: stock `jinja2.Template(text).render(**values)` of Jinja2 3.1 on
//! Python 3.13.
//!
//! **The promise** is one-sided: the output is Jinja2's, byte for byte, or there is an error. What
//! Jinja2 renders, but this crate does not promise to render the same way, is refused by name
//! ([`Reason::Refused`]). A silent difference is a bug, and so is a template that is rendered here
//! and refused there.
//!
//! **What lives here**: a lexer and a parser that follow Jinja2's own (`syntax`), an interpreter
//! with Python's semantics (`run`), Python's values and operators (`value`, `operators`), and the
//! stock filters, tests, methods and functions. Templates are written by strangers, so their
//! nesting is bounded while they are read, and everything that they can repeat or multiply is
//! counted by a [`Budget`] before it is done.
//!
//! **What must not live here**: anything that knows about manifests, files, the terminal or the
//! API. A caller passes a text and values, and gets a text or an [`Error`] with its place. It must
//! run this on a thread whose stack can hold some hundred calls of macros (64 MiB are enough).

mod arguments;
mod bucket;
mod budget;
mod characters;
mod error;
mod filters;
mod format;
mod globals;
mod json;
mod methods;
mod operators;
mod predicates;
pub mod python;
mod run;
mod syntax;
mod value;

use std::borrow::Cow;
use std::time::Instant;

pub use budget::{Budget, Spent};
use error::Failure;
pub use error::{Error, Reason};
use value::Value;

/// The units that one rendering may use up: a byte of text counts one, a step 16.
const UNITS: i64 = 32 * 1024 * 1024;

/// The longest template that is rendered, in bytes.
const MAX_SOURCE: usize = 1024 * 1024;

/// The longest text that a template may render to, in bytes.
const MAX_RENDERED: usize = 4 * 1024 * 1024;

/// Renders a template, with a deadline.
///
/// # Errors
///
/// What Jinja2 would refuse, what is not promised to render the same way, and templates that take
/// too long or produce too much.
pub fn render<'a>(
    source: &str,
    values: impl IntoIterator<Item = (&'a str, &'a str)>,
    until: Instant,
) -> Result<String, Error> {
    let too_large =
        |size: String| Failure::new(Reason::Spent, format!("the template {size}")).located("");
    if source.len() > MAX_SOURCE {
        let size = source.len();
        return Err(too_large(format!(
            "has {size} bytes, more than the {MAX_SOURCE} that are allowed"
        )));
    }
    let source = normalize(source);
    // Text without any markup is by far the most common scalar of a template.
    if !["{{", "{%", "{#"].iter().any(|mark| source.contains(mark)) {
        return Ok(source.into_owned());
    }
    let budget = Budget::new(UNITS, until);
    let values = values.into_iter().map(|(name, value)| (name.into(), Value::from(value)));
    let rendered = syntax::parse(&source)
        .and_then(|template| run::run(&template, values, &budget))
        .map_err(|failure| failure.located(&source))?;
    match rendered.len() {
        0..=MAX_RENDERED => Ok(rendered),
        size => Err(too_large(format!(
            "renders to {size} bytes, more than the {MAX_RENDERED} that are allowed"
        ))),
    }
}

/// All line ends become line feeds and one at the end is dropped, as Jinja2 does.
fn normalize(source: &str) -> Cow<'_, str> {
    if source.contains('\r') {
        let mut text = source.replace("\r\n", "\n").replace('\r', "\n");
        if text.ends_with('\n') {
            text.pop();
        }
        return Cow::Owned(text);
    }
    Cow::Borrowed(source.strip_suffix('\n').unwrap_or(source))
}
