//! *Pure*: what a template must not do with null. The engine treats null as an empty list, and as
//! less than everything; Jinja2 refuses that, and so does this module.

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, Value};

/// The function that looks at what a loop goes through.
pub(super) const EACH: &str = "_each";

/// The function that looks at the right side of `in`.
pub(super) const WITHIN: &str = "_within";

/// The function that looks at the sides of `<` and its likes.
pub(super) const ORDERED: &str = "_ordered";

/// The function that looks at what a slice is taken of.
pub(super) const SLICED: &str = "_sliced";

/// What a comparison needs.
const NEEDS_ORDER: &str = "a comparison needs numbers or texts";

/// What a look into something needs.
const NEEDS_CONTAINER: &str = "`in` needs a list, a map or a text";

/// The functions, and what each says that is needed.
const FUNCTIONS: [(&str, &str); 3] = [
    (EACH, "a loop needs a list"),
    (ORDERED, NEEDS_ORDER),
    (SLICED, "a slice needs a list or a text"),
];

/// What to do about a null.
pub(super) const HINT: &str = "a value that is left empty is null: give it a value, such as `[]` for an empty list, or say in the template what null means, for example with `NAME|default([], true)`";

/// The cause of an error: null in a place where it has no meaning.
#[derive(Debug)]
struct Null;

impl std::fmt::Display for Null {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("the value is null")
    }
}

impl std::error::Error for Null {}

/// Puts the functions, and what tests say otherwise of null, in place.
pub(super) fn add(environment: &mut Environment<'_>) {
    for (name, needed) in FUNCTIONS {
        environment.add_function(name, move |value: Value| match value.is_none() {
            true => Err(refused(needed)),
            false => Ok(value),
        });
    }
    // Null would count as no argument where there may be none.
    environment.add_function(WITHIN, |value: Value, sought: Rest<ValueOrKwargs>| {
        check_container(&value, sought.first().map(|sought| &**sought)).map(|()| value)
    });
    environment.add_test("iterable", |value: &Value| {
        !value.is_none() && minijinja::tests::is_iterable(value)
    });
}

/// Checks what a template is about to write. As a text, null would be `None`, which no manifest
/// means.
///
/// # Errors
///
/// It is null.
pub(super) fn check_written(value: &Value) -> Result<(), Error> {
    match value.is_none() {
        true => Err(refused("what is written needs a value")),
        false => Ok(()),
    }
}

/// Whether an error is that of a null.
pub(super) fn is_reason(error: &Error) -> bool {
    let mut reason = std::error::Error::source(error);
    while let Some(error) = reason {
        if error.is::<Null>() {
            return true;
        }
        reason = error.source();
    }
    false
}

fn refused(needed: &str) -> Error {
    let message = format!("{needed}, but this is null");
    Error::new(ErrorKind::InvalidOperation, message).with_source(Null)
}

/// Refuses null where a filter needs something else.
///
/// # Errors
///
/// That null was given.
pub(super) fn check_filter(name: &str, values: &[Value]) -> Result<(), Error> {
    let given = values.iter().filter(|value| !value.is_kwargs());
    let given: Vec<_> = match name {
        "chain" | "zip" => given.collect(),
        "batch" | "count" | "dictsort" | "groupby" | "items" | "join" | "length" | "list"
        | "map" | "max" | "min" | "reject" | "rejectattr" | "reverse" | "select" | "selectattr"
        | "slice" | "sort" | "sum" | "unique" => given.take(1).collect(),
        _ => return Ok(()),
    };
    if given.iter().any(|value| value.is_none()) {
        return Err(refused(&format!("`{name}` needs a list")));
    }
    match (name, given.first()) {
        ("max" | "min" | "sort", Some(list)) if compares_null(list, values) => {
            Err(refused(&format!("`{name}` compares the items of a list")))
        }
        _ => Ok(()),
    }
}

/// Whether a list is put in order by something that is null in one of several places.
fn compares_null(list: &Value, values: &[Value]) -> bool {
    // What yields its items but once must keep them.
    if list.kind() != ValueKind::Seq || list.len().is_none_or(|length| length < 2) {
        return false;
    }
    let named = values.iter().find(|value| value.is_kwargs());
    let named = named.and_then(|named| named.get_attr("attribute").ok());
    let attributes = named.as_ref().and_then(Value::as_str);
    let is_null = |item: Value| match attributes {
        None => item.is_none(),
        Some(attributes) => attributes.split(',').any(|path| at(&item, path.trim()).is_none()),
    };
    list.try_iter().is_ok_and(|mut items| items.any(is_null))
}

/// What an item has at a path.
fn at(item: &Value, path: &str) -> Value {
    path.split('.').fold(item.clone(), |value, name| value.get_attr(name).unwrap_or_default())
}

/// Refuses null as what something is looked for in, and as what is looked for in a text.
fn check_container(container: &Value, sought: Option<&Value>) -> Result<(), Error> {
    match sought {
        _ if container.is_none() => Err(refused(NEEDS_CONTAINER)),
        Some(sought) if sought.is_none() && container.as_str().is_some() => {
            Err(refused("`in` needs a text to look for in a text"))
        }
        _ => Ok(()),
    }
}

/// Refuses null where a test of two values needs something else.
///
/// # Errors
///
/// That null was given.
pub(super) fn check_test(name: &str, values: &[Value]) -> Result<(), Error> {
    let [value, other, ..] = values else { return Ok(()) };
    match name {
        "in" => check_container(other, Some(value)),
        "lt" | "lessthan" | "<" | "le" | "<=" | "gt" | "greaterthan" | ">" | "ge" | ">="
            if value.is_none() || other.is_none() =>
        {
            Err(refused(NEEDS_ORDER))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::reach::Reach;
    use super::super::source::Source;
    use super::super::values::{FileValues, render};
    use super::*;

    #[test]
    fn a_null_that_would_be_written_is_an_error_at_its_line() {
        let values = FileValues::read(&[], &[], &["tag=null".to_owned()]).unwrap();
        let rendered = |text: &str| {
            let source = Source::new("t.j2".into(), "/nonexistent".into(), text.into());
            render(source, &values, &Reach::default()).map(drop)
        };
        for text in ["\nimage: i:{{ tag }}\n", "\nimage: \"i:{{ tag|default('1') }}\"\n"] {
            let problems = rendered(text).unwrap_err();
            assert_eq!(problems[0].place.as_ref().unwrap().line, 2, "{text}");
            let told = "what is written needs a value, but this is null";
            assert!(problems[0].message.ends_with(told), "{}", problems[0].message);
            assert_eq!(problems[0].hint.as_deref(), Some(HINT));
        }
        for text in ["{{ tag|default('1', true) }}", "{% if tag %}{{ tag }}{% endif %}"] {
            assert!(rendered(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_null_that_a_loop_goes_through_is_an_error_at_its_line() {
        let values =
            FileValues::read(&[], &[], &["rooms=null".to_owned(), "a=[[null]]".to_owned()]);
        let values = values.unwrap();
        for (text, line) in [
            ("a:\n{% for room in rooms %}\n- {{ room }}\n{% endfor %}\n", 2),
            ("a:\n\n- {{ rooms\n|map('upper')|join }}\n", 4),
            ("{% for r in a %}{{ r[0]|length }}{% endfor %}", 1),
        ] {
            let source = Source::new("t.j2".into(), "/nonexistent".into(), text.into());
            let problems = render(source, &values, &Reach::default()).map(drop).unwrap_err();
            assert_eq!(problems[0].place.as_ref().unwrap().line, line, "{text}");
            assert!(problems[0].message.ends_with("needs a list, but this is null"));
            assert_eq!(problems[0].hint.as_deref(), Some(HINT));
        }
    }
}
