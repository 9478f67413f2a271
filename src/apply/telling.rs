//! The message of a write that failed: the platform's words, without the secrets that it may
//! repeat.

use std::collections::HashSet;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret;

use crate::api::failure::ApiError;
use crate::conceal;
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

/// The fewest characters that reveal a secret, and a part of one. Fewer occur in any sentence.
const TELLING: (usize, usize) = (4, 6);

/// How often a text is read as an encoded one: a message may quote another message.
const ENCODINGS: usize = 3;

/// A reason as it is shown. A platform that refuses a request may repeat it, whole, in parts, cut
/// off or encoded; then its reason is not shown. A short secret is removed where it appears as a
/// word.
pub(super) fn told(reason: String, sent: &Tree) -> String {
    let said = Said::new(&reason);
    // A text that was read for any object of the set is taken out of all answers.
    let has_one = reason.contains(conceal::SECRET);
    let mut repeats = false;
    let mut told = reason;
    sent.clone().rewrite_leaves(&mut |_, leaf| {
        if let Tree::Secret(Sealed::Known(text)) = leaf {
            let text = text.expose_secret();
            match text.chars().count() {
                count if count < TELLING.0 => {}
                count if count < TELLING.1 => told = without_word(&told, text),
                _ => repeats |= has_one || said.repeats(text),
            }
        }
        None
    });
    if repeats {
        "the platform's answer is not shown, because it repeats a secret".to_owned()
    } else {
        told
    }
}

/// The runs of characters that are in what a platform says, whichever way it is encoded.
struct Said {
    runs: HashSet<[char; TELLING.1]>,
}

impl Said {
    fn new(reason: &str) -> Self {
        let mut readings = vec![reason.to_owned()];
        let mut newest = 0..1;
        for _ in 0..ENCODINGS {
            let found: Vec<String> = readings[newest].iter().flat_map(|text| read(text)).collect();
            let known = readings.len();
            for text in found {
                if !readings.contains(&text) {
                    readings.push(text);
                }
            }
            newest = known..readings.len();
        }
        let mut runs = HashSet::new();
        for text in &readings {
            runs.extend(runs_of(text));
            // Whatever stands between letters and digits may have been written otherwise.
            runs.extend(runs_of(&squeezed(text)));
        }
        Self { runs }
    }

    fn repeats(&self, secret: &str) -> bool {
        let has = |text: &str| runs_of(text).any(|run| self.runs.contains(&run));
        has(secret) || has(&squeezed(secret))
    }
}

/// Each run of as many characters as reveal something, ignoring case.
fn runs_of(text: &str) -> impl Iterator<Item = [char; TELLING.1]> {
    let characters: Vec<char> = text.chars().map(|c| c.to_ascii_lowercase()).collect();
    let last = (characters.len() + 1).saturating_sub(TELLING.1);
    (0..last).filter_map(move |at| characters[at..at + TELLING.1].try_into().ok())
}

fn squeezed(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// What a text is when it is read as an encoded one: with escapes of JSON, of URLs and of
/// HTML, and with words in base64 and in hexadecimal digits.
fn read(text: &str) -> Vec<String> {
    let mut read = vec![unescaped(text)];
    let percent = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    read.push(percent(text));
    read.push(percent(&text.replace('+', " ")));
    read.push(
        [("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&lt;", "<")]
            .into_iter()
            .chain([("&gt;", ">"), ("&amp;", "&")])
            .fold(text.to_owned(), |text, (name, stands_for)| text.replace(name, stands_for)),
    );
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/-_".contains(c);
    for word in text.split(|c| !is_base64(c)).filter(|word| word.len() >= TELLING.1 + 2) {
        let word = word.replace('-', "+").replace('_', "/");
        // What is cut off in front begins anywhere in a group of four.
        for start in 0..4 {
            let whole = &word[start..];
            let whole = &whole[..whole.len() - usize::from(whole.len() % 4 == 1)];
            if let Ok(bytes) = BASE64.decode(whole) {
                read.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    let digits = text.split(|c: char| !c.is_ascii_hexdigit());
    for word in digits.filter(|word| word.len() >= TELLING.1 * 2) {
        for start in 0..2 {
            let pairs = word.as_bytes()[start..].chunks_exact(2);
            let bytes: Vec<u8> = pairs
                .filter_map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
                .collect();
            read.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    read
}

/// Base64 that ends anywhere.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A text whose escapes are read as JSON has them.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let digits: String = rest.clone().take(4).collect();
                match u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32) {
                    Some(c) if digits.len() == 4 => {
                        out.push(c);
                        rest.nth(3);
                    }
                    _ => out.push('u'),
                }
            }
            Some(c) => out.push(c),
            None => out.push('\\'),
        }
    }
    out
}

/// A sentence from which a secret is removed where it appears as a word.
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
            let hidden = told(secret, &reason)
                == "the platform's answer is not shown, because it repeats a secret";
            assert!(hidden, "{secret}");
        }
    }

    const HIDDEN: &str = "the platform's answer is not shown, because it repeats a secret";

    fn is_hidden(secret: &str, reason: &str) -> bool {
        told(reason.to_owned(), &Tree::map([("a", Tree::secret(secret))])) == HIDDEN
    }

    #[test]
    fn a_part_of_a_secret_repeats_it_wherever_it_is_cut() {
        let secret = "QW12-EX34-PLE5-99ZZ";
        for said in ["QW12-EX34-PLE5", "12-EX3", "-PLE5-", "5-99ZZ", "qw12-ex34", "EX34 PLE5"] {
            assert!(is_hidden(secret, &format!("cannot store {said}: it is bad")), "{said}");
        }
        for said in ["QW12-", "EX34", "99ZZ", "cannot store it"] {
            assert!(!is_hidden(secret, &format!("refused: {said}")), "{said}");
        }
    }

    #[test]
    fn a_secret_that_is_encoded_is_repeated() {
        let secret = "a\"QW1\"b-\"EX3\"/ü P+5";
        let json = serde_json::to_string(secret).unwrap();
        let twice = serde_json::to_string(&json).unwrap();
        let url = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC);
        let base64 = base64::engine::general_purpose::STANDARD.encode(format!("xy{secret}"));
        let url_safe = base64::engine::general_purpose::URL_SAFE.encode(secret);
        let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
        let html = secret.replace('"', "&quot;");
        let form = url.to_string().replace("%20", "+");
        let all = [json, twice, url.to_string(), base64, url_safe, hex, html, form];
        for said in all {
            assert!(is_hidden(secret, &format!("cannot store {said}")), "{said}");
            let cut = &said[..said.len() * 2 / 3];
            assert!(is_hidden(secret, &format!("cannot store {cut}")), "{cut}");
            assert!(!is_hidden(secret, "the value has a wrong form"));
        }
    }
}
