//! *Pure*: whether a line of a manifest may be shown with a problem. If a document could not be
//! read, its text decides: a line is shown only if the kind is known and not one for secrets, and
//! no field for a secret is named.

use super::split::split;
use super::yaml::YamlError;
use crate::kinds::{self, KindName, schema};
use crate::listed::nearest;

/// Whether a document may hold a secret, by its text.
#[must_use]
pub fn may_hold_secret(document: &str) -> bool {
    let mut kinds = values_of("kind", document).peekable();
    let is_harmless = |value: &str| {
        let mut words = value.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let known = || kinds::ALL.iter().map(|kind| kind.name().to_string()).collect::<Vec<_>>();
        let secret = KindName::Secret.to_string();
        words.next().and_then(|word| nearest(word, known().iter().map(String::as_str))).is_some_and(
            |kind| {
                !kinds::find(&kind).is_some_and(kinds::Kind::is_for_secrets)
                    && !value.to_lowercase().contains(&secret.to_lowercase())
            },
        )
    };
    kinds.peek().is_none()
        || !kinds.all(is_harmless)
        || schema::secret_fields().iter().any(|name| values_of(name, document).next().is_some())
        || names_in(document).any(gives_values)
}

/// The fields by which a document gives values to a template, which says which are secrets.
const OF_TEMPLATES: [&str; 2] = ["values", "template"];

/// Whether a field of this name gives values to a template, or was meant to.
#[must_use]
pub fn gives_values(name: &str) -> bool {
    OF_TEMPLATES.contains(&name) || is_slip_of(name, OF_TEMPLATES.into_iter())
}

/// Whether a field of this name holds a secret, or was meant to.
#[must_use]
pub fn is_of_secret(name: &str) -> bool {
    let secret = || schema::secret_fields().iter().map(String::as_str);
    secret().any(|known| known == name) || is_slip_of(name, secret())
}

/// Whether a name is not the name of a field, but close to one of these.
fn is_slip_of<'a>(name: &str, fields: impl Iterator<Item = &'a str>) -> bool {
    !schema::field_names().contains(name) && nearest(name, fields).is_some()
}

/// The words of a text that may be names of fields.
fn names_in(text: &str) -> impl Iterator<Item = &str> {
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices(':').filter_map(move |(at, _)| {
        let before = text[..at].trim_end().trim_end_matches(['"', '\'']);
        let length: usize =
            before.chars().rev().take_while(|c| is_of_name(*c)).map(char::len_utf8).sum();
        Some(&before[before.len() - length..]).filter(|name| !name.is_empty())
    })
}

/// Whether any document of a text may hold a secret.
#[must_use]
pub fn may_hold_secrets(text: &str) -> bool {
    split(text).iter().any(|part| may_hold_secret(part.text))
}

/// Whether the document in which a line of a text stands may hold a secret. Lines count
/// from one.
#[must_use]
pub fn may_hold_secret_at(text: &str, line: u64) -> bool {
    let part = split(text).into_iter().rev().find(|part| part.lines < line);
    part.is_none_or(|part| may_hold_secret(part.text))
}

/// Whether a document names its kind, by its text.
#[must_use]
pub fn has_kind(document: &str) -> bool {
    values_of("kind", document).next().is_some()
}

/// Whether an error is of a field that is named twice, on a line of its own: what stands in
/// braces may as well be a secret.
#[must_use]
pub fn names_a_field(document: &str, error: &YamlError) -> bool {
    let line = error
        .mark
        .and_then(|mark| document.lines().nth(usize::try_from(mark.line).ok()?.checked_sub(1)?));
    error.duplicate.is_some()
        && line.is_some_and(|line| !line.contains(['{', '[', ',']) && line.contains(':'))
}

/// A message without the words of the text that it quotes. Signs alone are not secret.
#[must_use]
pub fn without_quotes(message: &str) -> String {
    let piece = |(index, piece): (usize, &str)| match index % 2 {
        1 if piece.contains(char::is_alphanumeric) => "…".to_owned(),
        _ => piece.to_owned(),
    };
    let of = |message: &str, quote: char| {
        let pieces: Vec<_> = message.split(quote).enumerate().map(piece).collect();
        pieces.join(&quote.to_string())
    };
    of(&of(message, '`'), '"')
}

/// A message about what a template was rendered to, without what values made of it: neither
/// they themselves, nor words of them, nor a quoted text that is neither in the template nor
/// the name of a field.
#[must_use]
pub fn without_values<'a>(
    message: &str,
    template: &str,
    values: impl Iterator<Item = &'a String>,
) -> String {
    let values: Vec<_> = values.filter(|it| !it.is_empty()).map(|it| it.to_lowercase()).collect();
    if values.is_empty() {
        return message.to_owned();
    }
    let is_own = |text: &str| {
        !text.contains(char::is_alphanumeric)
            || template.contains(text)
            || schema::field_names().contains(text)
    };
    let has_value = |text: &str| values.iter().any(|value| text.contains(value.as_str()));
    let of = |message: &str, quote: char| {
        let shown = |(index, piece): (usize, &'_ str)| match index % 2 {
            1 if !is_own(piece) || has_value(&piece.to_lowercase()) => HIDDEN.to_owned(),
            _ => piece.to_owned(),
        };
        let pieces: Vec<_> = message.split(quote).enumerate().map(shown).collect();
        pieces.join(&quote.to_string())
    };
    // A quote in a value ends no quoted text.
    let message = of(&of(&message.replace("\\\"", "'"), '`'), '"');
    // A back quote in it may put a part of it between two of them.
    without_parts(&message, values.iter())
}

/// A message without what these texts have in common with it: themselves, and words of them.
#[must_use]
pub fn without_parts<'a>(message: &str, texts: impl Iterator<Item = &'a String>) -> String {
    let texts: Vec<_> = texts.collect();
    let mut message = message.to_owned();
    for text in texts.iter().filter(|text| text.len() > 3) {
        message = message.replace(text.as_str(), HIDDEN);
    }
    let texts: Vec<_> = texts.into_iter().map(|text| text.to_lowercase()).collect();
    let is_part = |word: &str| {
        word.len() > 3 && !HIDDEN.contains(word) && {
            let word = word.to_lowercase();
            texts.iter().any(|text| text.contains(&word))
        }
    };
    let mut shown = String::with_capacity(message.len());
    for piece in message.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
        shown.push_str(if is_part(word) { HIDDEN } else { word });
        shown.push_str(&piece[word.len()..]);
    }
    shown
}

/// What stands for a value, or a part of one.
const HIDDEN: &str = "(value)";

/// What stands on the line behind each key of this name.
fn values_of<'a>(name: &'a str, text: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(name).filter_map(move |(at, _)| {
        let (before, rest) = (&text[..at], &text[at + name.len()..]);
        let is_whole = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = rest.trim_start_matches(['"', '\'']).trim_start();
        let value = rest.strip_prefix(':').filter(|_| is_whole)?.trim_start();
        value.lines().next().or(Some(""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_keeps_its_own_words_and_signs() {
        for (message, shown) in [
            ("duplicate key `hunter2`", "duplicate key `…`"),
            ("duplicate key `<<`; give one `<<` a", "duplicate key `<<`; give one `<<` a"),
            ("`12` has more digits; in quotes \"x\"", "`…` has more digits; in quotes \"…\""),
            ("an end is missing", "an end is missing"),
        ] {
            assert_eq!(without_quotes(message), shown);
        }
    }

    #[test]
    fn a_message_names_nothing_that_is_made_of_values() {
        let template = "a: {{ pw }}\nenvironment: b\n";
        let values = ["se\nkret: Sekretsekret".to_owned(), "x\"hun ter22".to_owned()];
        for (message, shown) in [
            ("unknown field `kret`, expected `a`", "unknown field `(value)`, expected `a`"),
            ("unknown field `environment`", "unknown field `environment`"),
            (
                "invalid type: string \"SEKRET\", expected a map",
                "invalid type: string \"(value)\", expected a map",
            ),
            ("invalid type: string \"x\\\"hun ter22\"", "invalid type: string \"(value)\""),
            ("metadata.sekretsekret: no", "metadata.(value): no"),
        ] {
            assert_eq!(without_values(message, template, values.iter()), shown);
        }
        assert_eq!(without_values("`kret`", template, [].iter()), "`kret`");
    }

    #[test]
    fn a_line_is_shown_just_where_no_secret_can_be() {
        for (text, may) in [
            ("version: v1\nkind: Room\nmetadata: {name: a}\nrom: 1", false),
            ("kind: Rom\n", false),
            ("{\"kind\": \"Mailbox\", \"roon\": 1}", false),
            ("kind: Secret\ndat: {A: x}", true),
            ("{'kind': 'Secret', dat: {A: x}}", true),
            ("? kind\n: Secret\ndat: x", true),
            ("kind: Secrets", true),
            ("kind: Sercet", true),
            ("kind: AccountSecrt\nvalue: x", true),
            ("kind: AccuntSecret\nserver: x", true),
            ("kind: !x Secret", true),
            ("kind: {{ kind }}", true),
            ("dat: {A: x}", true),
            ("kind: Room\nkind: Secret", true),
            ("kind: Room\npassword: x", true),
            ("kind: Deployment\n", true),
            ("kind: Project\nsetings: {k: x}", true),
            ("kind: Projct\nmetadata: {name: a", true),
            ("kind: Service\nvalues: {pw: x", true),
            ("{\"kind\": \"Service\", \"valuse\": {\"pw\": \"x\"", true),
            ("kind: Service\n templat : t\n", true),
            ("kind: Service\ncontainer: {environment: [{name: A, value: x}]", false),
        ] {
            assert_eq!(may_hold_secret(text), may, "{text}");
        }
        let text = "kind: Room\n---\nkind: Secret\nx: 1\n---\nkind: Room\n";
        let may: Vec<bool> = (1..=6).map(|line| may_hold_secret_at(text, line)).collect();
        assert_eq!(may, [false, false, true, true, true, false]);
    }
}
