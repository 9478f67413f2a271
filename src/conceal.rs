//! The last line of defence: no printed line holds a credential that the program knows, whoever
//! put it there, even if it is written in another way. And messages of a platform are shown without
//! the secrets that were read.
//!
//! Found is a text of `SHORTEST` bytes or more, and the beginning of a long one (`is_most`),
//! in these spellings: as it is, as it is shown, in JSON, in URLs, with each byte in percent,
//! in hexadecimal digits or as `\uXXXX`, and in base64 wherever in another text it stands; of
//! one of several lines, each long line. Line breaks, and what has no shape of its own, may
//! stand in between. Nothing else is: not a shorter part, not a text turned around.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{LazyLock, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

use crate::visible;

/// What stands for a credential.
pub const SECRET: &str = "(secret)";

/// From how many bytes on a text is looked for: a shorter one stands in others by accident.
const SHORTEST: usize = 8;

/// From how many bytes on a line of a credential is looked for by itself, and a beginning of
/// one is.
const LINE: usize = 16;

/// From how many bytes on any beginning of a credential is taken for it, however long it is.
const TELLING: usize = 64;

/// How many bytes of a secret of a manifest are looked for: of an answer no more is told.
const LONGEST: usize = 8 * 1024;

/// What URLs leave as it is.
const IN_URLS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The program's own credentials.
static CREDENTIALS: LazyLock<RwLock<Known>> = LazyLock::new(RwLock::default);

/// The secrets that were read for manifests.
static SECRETS: LazyLock<RwLock<Known>> = LazyLock::new(RwLock::default);

/// Removes a credential from everything that is printed from now on.
pub fn credential(secret: &SecretString) {
    add(&CREDENTIALS, secret);
    let text = secret.expose_secret().trim();
    // The last part of an API key is what must not be known; it may stand without the others.
    if let Some(last) = text.strip_prefix("ma-").and_then(|rest| rest.splitn(3, '-').nth(2)) {
        add(&CREDENTIALS, &SecretString::from(last));
    }
}

/// Removes a secret of a manifest from all shown messages of a platform.
pub fn secret(secret: &SecretString) {
    let text = secret.expose_secret();
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST).last();
    let is_long = text.len() > LONGEST;
    match end.filter(|_| is_long) {
        Some(end) => add(&SECRETS, &SecretString::from(&text[..end])),
        None => add(&SECRETS, secret),
    }
}

/// A text without the program's credentials.
#[must_use]
pub fn within(text: Cow<'_, str>) -> Cow<'_, str> {
    CREDENTIALS.read().unwrap_or_else(PoisonError::into_inner).taken_out(text)
}

/// What a platform says, without the program's credentials and the secrets that were read.
#[must_use]
pub fn within_answer(text: &str) -> Cow<'_, str> {
    let text = SECRETS.read().unwrap_or_else(PoisonError::into_inner).taken_out(text.into());
    within(text)
}

fn add(to: &RwLock<Known>, secret: &SecretString) {
    let text = secret.expose_secret().trim();
    if text.len() >= SHORTEST {
        to.write().unwrap_or_else(PoisonError::into_inner).add(text);
    }
}

/// The spellings of texts, found by what they begin with.
#[derive(Default)]
struct Known {
    /// The texts of which the spellings are known.
    texts: HashSet<Box<str>>,
    spellings: Vec<SecretString>,
    begin: HashMap<[u8; SHORTEST], Vec<usize>>,
    /// Whether a spelling begins with these two bytes: most places of a text are passed over.
    first: Vec<bool>,
}

impl Known {
    fn add(&mut self, text: &str) {
        if !self.texts.insert(text.into()) {
            return;
        }
        let mut new: HashSet<String> = HashSet::new();
        for spelling in spellings(text) {
            new.insert(skeleton(&spelling).map_or_else(|| spelling.clone(), |it| it.text));
            new.insert(spelling);
        }
        self.first.resize(usize::from(u16::MAX) + 1, false);
        for spelling in new {
            let bytes = spelling.as_bytes();
            let Some(begin) = bytes.first_chunk() else { continue };
            self.begin.entry(*begin).or_default().push(self.spellings.len());
            self.first[two(bytes, 0)] = true;
            self.spellings.push(spelling.into());
        }
    }

    /// How many bytes of a spelling a text begins with, if they are enough of it.
    fn length_at(&self, text: &[u8]) -> Option<usize> {
        let candidates = self.begin.get(text.first_chunk::<SHORTEST>()?)?;
        let common = |index: &usize| {
            let spelling = self.spellings[*index].expose_secret().as_bytes();
            let same = spelling.iter().zip(text).take_while(|(one, other)| one == other).count();
            is_most(same, spelling.len()).then_some(same)
        };
        candidates.iter().filter_map(common).max()
    }

    /// The places of a text where a spelling stands.
    fn found(&self, text: &str) -> Vec<(usize, usize)> {
        let (bytes, mut at, mut found) = (text.as_bytes(), 0, Vec::new());
        while at + SHORTEST <= bytes.len() {
            if !self.first[two(bytes, at)] {
                at += 1;
                continue;
            }
            match self.length_at(&bytes[at..]) {
                Some(length) => {
                    // What is cut off within a character is cut off before it.
                    let end = (at..=at + length).rev().find(|end| text.is_char_boundary(*end));
                    // Half an escape is none, and takes what follows along.
                    let end = at + text[at..end.unwrap_or(at)].trim_end_matches('\\').len();
                    found.extend((end > at).then_some((at, end)));
                    at = end.max(at + 1);
                }
                None => at += 1,
            }
        }
        found
    }

    fn taken_out<'a>(&self, text: Cow<'a, str>) -> Cow<'a, str> {
        if self.spellings.is_empty() {
            return text;
        }
        let found = self.found(&text);
        let text = if found.is_empty() { text } else { without(&text, &found).into() };
        let Some(skeleton) = skeleton(&text) else { return text };
        let found = self.found(&skeleton.text);
        let at =
            |&(start, end): &(usize, usize)| (skeleton.place(start), skeleton.place(end - 1) + 1);
        let found: Vec<_> = found.iter().map(at).collect();
        if found.is_empty() { text } else { without(&text, &found).into() }
    }
}

/// Two bytes as a number.
fn two(bytes: &[u8], at: usize) -> usize {
    usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1])
}

/// Whether so many bytes at its beginning give a text away: two thirds of a long one.
fn is_most(same: usize, whole: usize) -> bool {
    same == whole || (same >= LINE && (same * 3 >= whole * 2 || same >= TELLING))
}

/// A text in which a word stands at these places.
fn without(text: &str, found: &[(usize, usize)]) -> String {
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for (start, end) in found {
        out.push_str(&text[from..*start]);
        out.push_str(SECRET);
        from = *end;
    }
    out + &text[from..]
}

/// What of a text has a shape, and where in the text its pieces begin.
struct Skeleton {
    text: String,
    pieces: Vec<(usize, usize)>,
}

impl Skeleton {
    /// Where in the text a byte stands.
    fn place(&self, at: usize) -> usize {
        let piece = self.pieces.partition_point(|(start, _)| *start <= at);
        let (start, place) = self.pieces[piece.saturating_sub(1)];
        place + at - start
    }
}

/// A text without line breaks, what stands before the lines behind them, and what has no shape
/// of its own, however that is spelled out; `None` where it is the same.
fn skeleton(text: &str) -> Option<Skeleton> {
    let bytes = text.as_bytes();
    let mut skeleton = Skeleton { text: String::new(), pieces: Vec::new() };
    let (mut at, mut from) = (0, 0);
    while at < bytes.len() {
        if matches!(bytes[at], b' '..=b'[' | b']'..=b'~') {
            at += 1;
            continue;
        }
        let c = text[at..].chars().next()?;
        match hidden_length(&text[at..], c) {
            0 => at += c.len_utf8(),
            hidden => {
                skeleton.pieces.push((skeleton.text.len(), from));
                skeleton.text.push_str(&text[from..at]);
                at += hidden;
                from = at;
            }
        }
    }
    if from == 0 {
        return None;
    }
    skeleton.pieces.push((skeleton.text.len(), from));
    skeleton.text.push_str(&text[from..]);
    Some(skeleton)
}

/// How many bytes at the start of a text, which begins with this character, show nothing.
fn hidden_length(text: &str, c: char) -> usize {
    if c == '\n' {
        return text.len() - text[1..].trim_start_matches([' ', '\t']).len();
    }
    if c != '\\' {
        return match (visible::style_length(text), visible::is_hidden(c)) {
            (0, true) => c.len_utf8(),
            (style, _) => style,
        };
    }
    let spelled = |digits: &str| {
        let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
        visible::is_hidden(c).then_some(())
    };
    let rest = &text[1..];
    if rest.starts_with(['n', 'r', 't']) {
        return 2;
    }
    let braced = rest.strip_prefix("u{").and_then(|rest| rest.split_once('}'));
    let length = match (braced, rest.strip_prefix('u').and_then(|rest| rest.get(..4))) {
        (Some((digits, _)), _) if digits.len() <= 6 => spelled(digits).map(|()| digits.len() + 4),
        (_, Some(digits)) => spelled(digits).map(|()| 6),
        _ => None,
    };
    length.unwrap_or_default()
}

fn spellings(text: &str) -> Vec<String> {
    let mut all = vec![text.to_owned(), visible::line(text).into_owned()];
    if text.contains('\n') {
        let lines = text.lines().map(str::trim).filter(|line| line.len() >= LINE);
        all.extend(lines.map(str::to_owned));
    }
    let json = serde_json::Value::from(text).to_string();
    all.push(json[1..json.len() - 1].to_owned());
    for kept in [IN_URLS, NON_ALPHANUMERIC] {
        let percent = utf8_percent_encode(text, kept).to_string();
        all.push(percent.replace("%20", "+"));
        all.push(lower_escapes(&percent));
        all.push(percent);
    }
    let bytes = |spelled: &dyn Fn(u8) -> String| text.bytes().map(spelled).collect::<String>();
    all.push(bytes(&|byte| format!("{byte:02x}")));
    all.push(bytes(&|byte| format!("{byte:02X}")));
    all.push(bytes(&|byte| format!("%{byte:02x}")));
    all.push(bytes(&|byte| format!("%{byte:02X}")));
    let units =
        |spelled: &dyn Fn(u16) -> String| text.encode_utf16().map(spelled).collect::<String>();
    all.push(units(&|unit| format!("\\u{unit:04x}")));
    all.push(units(&|unit| format!("\\u{unit:04X}")));
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

/// A text in percent with small letters in its escapes.
fn lower_escapes(percent: &str) -> String {
    let mut parts = percent.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(part.len().min(2));
        out += &format!("%{}{rest}", digits.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> Known {
        let mut known = Known::default();
        known.add(text);
        known
    }

    fn taken_out(known: &Known, text: &str) -> String {
        known.taken_out(Cow::Borrowed(text)).into_owned()
    }

    #[test]
    fn a_credential_leaves_in_no_spelling() {
        let key = "ma-c4n4ry/\"key\"+=é";
        let known = known(key);
        let base64 = |text: String| STANDARD_NO_PAD.encode(text);
        let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        let every: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let units: String = key.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        for written in [
            key.to_owned(),
            utf8_percent_encode(key, NON_ALPHANUMERIC).to_string(),
            format!("https://x/?key={}&y", utf8_percent_encode(key, IN_URLS)),
            lower_escapes(&utf8_percent_encode(key, IN_URLS).to_string()),
            serde_json::json!({ "k": key }).to_string(),
            base64(key.to_owned()),
            base64(format!("a:{key}")),
            base64(format!("ab:{key}:c")),
            URL_SAFE_NO_PAD.encode(format!("abc:{key}:cd")),
            hex.to_uppercase(),
            every.to_uppercase(),
            units.replace("00e9", "00E9"),
            format!("x{hex}x"),
            every,
            units,
        ] {
            let shown = taken_out(&known, &written);
            assert!(shown.contains(SECRET), "{written}: {shown}");
            for rest in ["c4n4ry", &base64(key.to_owned())[8..16], &hex[10..22]] {
                assert!(!shown.contains(rest), "{written}: {shown}");
            }
        }
        // What is in several lines is found by each.
        let pem = "-----BEGIN-----\nQUJDREVGR0hJSktMTU5P\n-----END-----";
        assert_eq!(taken_out(&super::tests::known(pem), "x QUJDREVGR0hJSktMTU5P"), "x (secret)");
    }

    #[test]
    fn what_has_no_shape_hides_no_credential() {
        let known = known("hunter2-hunter3");
        for written in [
            "hunter2-\nhunter3",
            "hunter2-\r\n    hunter3",
            "hunter2\u{200b}-hunter3",
            "hunter2\\u{200b}-hun\\u{2060}ter3",
            "h\\nunter2-hunter3",
            "hunter2-\\u200bhunter3",
            "hunter2-\u{1b}[1mhunter3",
            "hunter2-\t\u{ad}hunter3",
        ] {
            assert_eq!(taken_out(&known, &format!("a é {written}, b")), "a é (secret), b");
        }
        for written in ["hunter2 - hunter3", "hunter2-\\\\hunter3", "\\u0068unter2", "a\\n b\n c"] {
            assert_eq!(taken_out(&known, written), written);
        }
        // A backslash before it makes nothing else of its first letter.
        assert_eq!(
            taken_out(&super::tests::known("network-password"), "\\network-password"),
            "\\(secret)"
        );
    }

    #[test]
    fn most_of_a_long_credential_is_taken_for_it() {
        let known = known("0123456789abcdefghijklmnopqrst");
        for (written, shown) in [
            ("0123456789abcdefghij", "(secret)"),
            ("x0123456789abcdefghijklmé…", "x(secret)é…"),
            ("0123456789abcdefghi", "0123456789abcdefghi"),
            ("3456789abcdefghijklmnopqrst", "3456789abcdefghijklmnopqrst"),
        ] {
            assert_eq!(taken_out(&known, written), shown);
        }
        let short = super::tests::known("0123456789");
        assert_eq!(taken_out(&short, "012345678 0123456789"), "012345678 (secret)");
        // A part within a character.
        let accents = super::tests::known("0123456789abcdeéè");
        assert_eq!(taken_out(&accents, "0123456789abcdeéé"), "(secret)é");
    }

    #[test]
    fn what_is_short_stands_in_other_words() {
        credential(&SecretString::from("room"));
        secret(&SecretString::from("room"));
        assert_eq!(within_answer("a room"), "a room");
    }

    #[test]
    fn a_key_is_known_by_its_last_part_too() {
        credential(&SecretString::from("ma-AAAA-BBBB-k3yk3yk3y-last"));
        assert_eq!(within("x k3yk3yk3y-last".into()), "x (secret)");
    }

    #[test]
    fn a_long_secret_is_known_by_its_beginning() {
        let long: String = (0..20_000).map(|number| format!("{number:x}-")).collect();
        secret(&SecretString::from(long.as_str()));
        let said = format!("bad: {}…", &long[..3_000]);
        assert_eq!(within_answer(&said), "bad: (secret)…");
        assert_eq!(within_answer(&long[..60]), &long[..60]);
    }

    #[test]
    fn secrets_of_manifests_are_taken_out_of_answers_alone() {
        secret(&SecretString::from("pr0duct10n-pw"));
        assert_eq!(within_answer("bad value pr0duct10n-pw"), "bad value (secret)");
        assert_eq!(within("pr0duct10n-pw".into()), "pr0duct10n-pw");
    }
}
