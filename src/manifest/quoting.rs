//! *Pure*: whether a line of a manifest may be shown beside what is wrong with it. Where a
//! document could not be read, its text has to tell: a line is shown just where the kind is
//! known, is not that of secrets, and no field is named that holds one.

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
            |kind| kind != secret && !value.to_lowercase().contains(&secret.to_lowercase()),
        )
    };
    kinds.peek().is_none()
        || !kinds.all(is_harmless)
        || schema::secret_fields().iter().any(|name| values_of(name, document).next().is_some())
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
    error.message.starts_with("duplicate key")
        && line.is_some_and(|line| !line.contains(['{', '[', ',']) && line.contains(':'))
}

/// A message without the words of the text that it quotes. Signs alone are no secret.
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
            ("duplicate key `<<`; one `<<` merges", "duplicate key `<<`; one `<<` merges"),
            ("`12` has more digits; in quotes \"x\"", "`…` has more digits; in quotes \"…\""),
            ("an end is missing", "an end is missing"),
        ] {
            assert_eq!(without_quotes(message), shown);
        }
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
            ("kind: !x Secret", true),
            ("kind: {{ kind }}", true),
            ("dat: {A: x}", true),
            ("kind: Room\nkind: Secret", true),
            ("kind: Room\npassword: x", true),
            ("kind: Deployment\n", true),
        ] {
            assert_eq!(may_hold_secret(text), may, "{text}");
        }
        let text = "kind: Room\n---\nkind: Secret\nx: 1\n---\nkind: Room\n";
        let may: Vec<bool> = (1..=6).map(|line| may_hold_secret_at(text, line)).collect();
        assert_eq!(may, [false, false, true, true, true, false]);
    }
}
