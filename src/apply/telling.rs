//! What is told of a write that failed: the platform's words, without the secrets that it may
//! repeat.

use secrecy::ExposeSecret;

use crate::api::failure::ApiError;
use crate::kinds::tree::{Sealed, Tree};

/// Why a request failed, as the platform says it where it does.
pub(super) fn reason(error: &ApiError) -> String {
    let answered = error.status.map(|status| format!("was answered with {status}"));
    match answered.and_then(|answered| error.what.strip_prefix(&answered)) {
        Some("") => "the platform gives no reason".to_owned(),
        Some(said) => said.trim_start_matches(": ").to_owned(),
        None => format!("the request {}", error.what),
    }
}

/// The fewest characters of a secret that tell something of it, and of a part of it. Fewer
/// stand in any sentence.
const TELLING: (usize, usize) = (4, 6);

/// A reason as it is told. A platform may repeat what it was sent when it refuses it, whole,
/// in parts or cut off; what it says is not shown then. A short secret is taken out where it
/// stands as a word.
pub(super) fn told(reason: String, sent: &Tree) -> String {
    let mut repeats = false;
    let mut told = reason.clone();
    sent.clone().rewrite_leaves(&mut |_, leaf| {
        if let Tree::Secret(Sealed::Known(text)) = leaf {
            let text = text.expose_secret();
            let parts = text.split(|c: char| !c.is_ascii_alphanumeric());
            let mut parts = parts.filter_map(|part| part.get(..TELLING.1));
            match text.chars().count() {
                count if count < TELLING.0 => {}
                count if count < TELLING.1 => told = without_word(&told, text),
                _ => repeats |= reason.contains(text),
            }
            repeats |= parts.any(|part| reason.contains(part));
        }
        None
    });
    if repeats { "what the platform says repeats a secret".to_owned() } else { told }
}

/// A sentence without a secret where it stands as a word.
fn without_word(sentence: &str, secret: &str) -> String {
    let mut out = String::new();
    let mut rest = sentence;
    while let Some(at) = rest.find(secret) {
        let (before, after) = (&rest[..at], &rest[at + secret.len()..]);
        let is_word =
            !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
        out.push_str(before);
        out.push_str(if is_word { "(secret)" } else { secret });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_a_secret_is_judged_by_its_length() {
        let told = |secret: &str, reason: &str| {
            told(reason.to_owned(), &Tree::map([("a", Tree::secret(secret))]))
        };
        let reason = "the name 1234 of x is taken (12345)";
        for secret in ["", "x", "of", "the", "5"] {
            assert_eq!(told(secret, reason), reason, "{secret}");
        }
        assert_eq!(told("1234", reason), "the name (secret) of x is taken (12345)");
        assert_eq!(told("taken", reason), "the name 1234 of x is (secret) (12345)");
        for secret in ["1234 of", "name 1234", "hunter2-secret"] {
            let reason = format!("{reason}: hunter");
            let hidden = told(secret, &reason) == "what the platform says repeats a secret";
            assert!(hidden, "{secret}");
        }
    }
}
