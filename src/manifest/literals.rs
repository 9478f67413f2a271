//! *Pure*: secrets that stand in a manifest as text, where the text is hardly what the author
//! means: an empty one, and one in which a variable seems to be expected.

use secrecy::ExposeSecret;

use super::secrets::{is_variable, written_at};
use super::set::Origin;
use crate::error::Problem;
use crate::kinds::KindName;
use crate::kinds::tree::{Sealed, Tree};

/// A secret that is hardly meant as it stands.
pub(super) enum Literal {
    /// It is refused.
    Refused(Problem),
    /// It is told.
    Told(String),
}

/// The texts of a secret that are hardly meant as they stand.
pub(super) fn literals(fields: &Tree, origin: &Origin, kind: KindName) -> Vec<Literal> {
    let mut found = Vec::new();
    let is_of_secret = matches!(kind, KindName::Secret | KindName::AccountSecret);
    if !is_of_secret || !fields.has_secrets() {
        return found;
    }
    let is_rendered = origin.document.source.is_rendered();
    fields.clone().rewrite_leaves(&mut |way, leaf| {
        let Tree::Secret(Sealed::Known(text)) = leaf else { return None };
        let text = text.expose_secret();
        let path = written_at(&way.path(), origin);
        let problem = |message: &str| origin.document.problem_at(&path, format!("`{path}` {message}"));
        // In a template it may be the text of a variable, of which nothing is told.
        let names_variable = !is_rendered && names_variable(text);
        match (text.trim().is_empty(), is_rendered) {
            // A template that makes an empty one most likely has a value that is not set.
            (true, true) => found.push(Literal::Refused(problem("is empty").hint(
                "set the value; to allow an empty one, write `from: {env: NAME}` with `allow_empty: true` beside `from`",
            ))),
            (true, false) => {
                found.push(Literal::Told(format!("{}, so the secret will be empty too", problem("is empty"))));
            }
            (false, _) if names_variable => found.push(Literal::Told(problem(
                "looks like a variable, but is stored literally; to read an environment variable, write `{from: {env: NAME}}`; `{{ NAME }}` is filled in only in a file whose name ends in .j2",
            ).to_string())),
            (false, _) => {}
        }
        None
    });
    found
}

/// Whether a text holds `${NAME}` or `{{ NAME }}`, or is `$NAME`.
fn names_variable(text: &str) -> bool {
    let text = text.trim();
    let is_whole = text.strip_prefix('$').is_some_and(|name| !name.is_empty() && is_variable(name));
    is_whole || holds(text, "${", "}") || holds(text, "{{", "}}")
}

/// Whether the name of a variable stands between two signs somewhere in a text. What follows the
/// name, such as a default, does not matter.
fn holds(text: &str, open: &str, close: &str) -> bool {
    text.match_indices(open).any(|(at, _)| {
        let rest = &text[at + open.len()..];
        let inside = rest.split_once(close).map(|(inside, _)| inside.trim_start());
        inside.is_some_and(|inside| {
            inside.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::names_variable;

    #[test]
    fn a_text_that_names_a_variable_is_told_from_one_with_a_dollar() {
        for text in [
            "${TOKEN}",
            " $TOKEN\n",
            "https://ada:${PASSWORD}@host",
            "${A:-b}",
            "{{ token }}",
            "x{{a}}",
        ] {
            assert!(names_variable(text), "{text}");
        }
        for text in
            ["$", "pa$$word", "5$", "$2b$12$abc", "{}", "${", "{{ }}", "${}", "$1", "a ${1}"]
        {
            assert!(!names_variable(text), "{text}");
        }
    }
}
