//! The last line of defence: what the program knows to be a credential leaves in no line,
//! whoever put it there, also where it is written in another way.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

use crate::visible;

/// What stands for a credential.
const SECRET: &str = "(secret)";

/// From how many bytes on a text is looked for: a shorter one stands in others by accident.
const SHORTEST: usize = 8;

/// From how many bytes on a line of a credential is looked for by itself.
const LINE: usize = 16;

/// The ways in which the credentials may be written, the longest first.
static SPELLINGS: RwLock<Vec<SecretString>> = RwLock::new(Vec::new());

/// What URLs leave as it is.
const IN_URLS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Lets a credential stand in nothing that is printed from now on.
pub fn conceal(secret: &SecretString) {
    let text = secret.expose_secret();
    if text.trim().len() < SHORTEST {
        return;
    }
    let mut all = SPELLINGS.write().unwrap_or_else(PoisonError::into_inner);
    for spelling in spellings(text.trim()) {
        if spelling.len() >= SHORTEST && !all.iter().any(|it| it.expose_secret() == spelling) {
            all.push(spelling.into());
        }
    }
    all.sort_by_key(|it| std::cmp::Reverse(it.expose_secret().len()));
}

fn spellings(text: &str) -> Vec<String> {
    let mut all = vec![text.to_owned(), visible::line(text).into_owned()];
    if text.contains('\n') {
        let lines = text.lines().map(str::trim).filter(|line| line.len() >= LINE);
        all.extend(lines.map(str::to_owned));
    }
    let json = serde_json::Value::from(text).to_string();
    all.push(json[1..json.len() - 1].to_owned());
    all.push(utf8_percent_encode(text, IN_URLS).to_string());
    all.push(utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
    for before in 0..3 {
        // Of the letters at both ends a part is the text's alone, wherever in another it stands.
        let shifted = [&[0; 3][..before], text.as_bytes()].concat();
        let (from, to) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            all.push(engine.encode(&shifted)[from..to].to_owned());
        }
    }
    all
}

/// A text without the credentials.
pub fn concealed(text: Cow<'_, str>) -> Cow<'_, str> {
    let all = SPELLINGS.read().unwrap_or_else(PoisonError::into_inner);
    let is_in = |it: &&SecretString| text.contains(it.expose_secret());
    let found: Vec<_> = all.iter().filter(is_in).collect();
    match found.is_empty() {
        true => text,
        false => Cow::Owned(
            found
                .iter()
                .fold(text.into_owned(), |text, it| text.replace(it.expose_secret(), SECRET)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_leaves_in_no_spelling() {
        let key = "ma-c4n4ry/\"key\"+=é";
        conceal(&SecretString::from(key));
        let base64 = |text: String| STANDARD_NO_PAD.encode(text);
        for written in [
            key.to_owned(),
            utf8_percent_encode(key, NON_ALPHANUMERIC).to_string(),
            format!("https://x/?key={}&y", utf8_percent_encode(key, IN_URLS)),
            serde_json::json!({ "k": key }).to_string(),
            base64(key.to_owned()),
            base64(format!("a:{key}")),
            base64(format!("ab:{key}:c")),
            URL_SAFE_NO_PAD.encode(format!("abc:{key}:cd")),
        ] {
            let shown = concealed(Cow::Borrowed(&written)).into_owned();
            assert!(shown.contains(SECRET), "{written}: {shown}");
            for rest in ["c4n4ry", &base64(key.to_owned())[8..16]] {
                assert!(!shown.contains(rest), "{written}: {shown}");
            }
        }
        conceal(&SecretString::from("-----BEGIN-----\nQUJDREVGR0hJSktMTU5P\n-----END-----"));
        assert_eq!(concealed(Cow::Borrowed("x QUJDREVGR0hJSktMTU5P")), "x (secret)");
        // What is short stands in other words.
        conceal(&SecretString::from("room"));
        assert_eq!(concealed(Cow::Borrowed("a room")), "a room");
    }
}
