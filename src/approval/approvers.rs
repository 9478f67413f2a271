//! Whose approvals count: a file of people and their keys, in the form of the `allowed_signers` of
//! `ssh-keygen`. What is not understood is refused, and never passed over: whoever wrote a
//! restriction would rely on it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use ssh_key::PublicKey;
use wildmatch::WildMatch;

use super::NAMESPACE;
use super::signed::{check_key, fingerprint};
use crate::error::{Place, Problem};
use crate::listed::nearest;
use crate::visible;

/// The options that a line may have.
const OPTIONS: [&str; 4] = ["namespaces", "valid-after", "valid-before", "cert-authority"];

/// How the sorts of keys begin.
const SORTS: [&str; 4] = ["ssh-", "ecdsa-", "sk-", "rsa-"];

/// The people of one file, with their keys.
#[derive(Debug, Clone, Default)]
pub struct Approvers {
    lines: Vec<Line>,
}

/// One line of the file.
#[derive(Debug, Clone)]
struct Line {
    principals: Vec<String>,
    /// The fingerprint of the key.
    key: String,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

/// What is wrong, and at which byte of the line.
struct Wrong {
    at: usize,
    message: String,
    hint: Option<String>,
}

impl Wrong {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// The options of a line.
#[derive(Debug, Default)]
struct Options {
    /// Whether the line is for other signatures only.
    is_for_others: bool,
    is_authority: bool,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

/// Who holds a key, if it can be told and the key may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// The key is not listed.
    Unknown,
    /// The key is listed, and not for now.
    NotNow(String),
    /// The names under which it is listed.
    Listed(Vec<String>),
}

impl Approvers {
    /// Reads a file; times without a zone are in this one, as for `ssh-keygen`.
    ///
    /// # Errors
    ///
    /// Each line that is not understood; a file that lists nobody.
    pub fn parse(file: &str, text: &str, zone: &TimeZone) -> Result<Self, Vec<Problem>> {
        let (mut lines, mut problems) = (Vec::new(), Vec::new());
        for (number, text) in (1..).zip(text.lines()) {
            match line(text, zone) {
                Ok(line) => lines.extend(line),
                Err(wrong) => {
                    let before = text.get(..wrong.at).unwrap_or_default();
                    let column = before.chars().count() as u64 + 1;
                    let place = Place { file: file.to_owned(), line: number, column, from: None };
                    let hint = wrong.hint;
                    let problem = Problem::new(wrong.message);
                    problems.push(Problem { place: Some(place), hint, ..problem });
                }
            }
        }
        if lines.is_empty() && problems.is_empty() {
            let file = visible::line(file);
            problems.push(
                Problem::new(format!("{file}: it lists nobody whose approval of plans counts"))
                    .hint(
                        "a line has a name and a key, such as: alice@example.com ssh-ed25519 AAAA…",
                    ),
            );
        }
        if problems.is_empty() { Ok(Self { lines }) } else { Err(problems) }
    }

    /// Who holds a key now.
    #[must_use]
    pub fn holder(&self, key: &str, now: Timestamp) -> Holder {
        let mut holder = Holder::Unknown;
        for line in self.lines.iter().filter(|line| line.key == key) {
            let early = line.after.filter(|after| now < *after);
            let late = line.before.filter(|before| now >= *before);
            holder = match (early, late, holder) {
                (None, None, Holder::Listed(mut names)) => {
                    names.extend(line.principals.iter().cloned());
                    Holder::Listed(names)
                }
                (None, None, _) => Holder::Listed(line.principals.clone()),
                (_, _, Holder::Listed(names)) => Holder::Listed(names),
                (Some(after), ..) => Holder::NotNow(format!("the key is valid from {after} on")),
                (_, Some(before), _) => Holder::NotNow(format!("the key was valid until {before}")),
            };
        }
        holder
    }

    /// The fingerprints of all keys that are listed, also of those that are not valid now.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<&str> {
        self.lines.iter().map(|line| line.key.as_str()).collect()
    }

    /// Whether somebody is listed under this name.
    #[must_use]
    pub fn lists(&self, principal: &str) -> bool {
        let same = |it: &String| folded(it) == folded(principal);
        self.lines.iter().any(|line| line.principals.iter().any(same))
    }
}

/// The people of some files: whoever shares a name or a key with somebody is taken for the same
/// person, whatever approvals there are. One person with two keys is one, and so are two people
/// with one key.
#[derive(Debug, Clone, Default)]
pub struct People {
    /// The person of each name and key.
    known: BTreeMap<String, usize>,
}

impl People {
    /// Tells the people of files apart.
    #[must_use]
    pub fn of(files: &[Approvers]) -> Self {
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        // The person that another one turned out to be; itself if none.
        let mut same: Vec<usize> = Vec::new();
        for line in files.iter().flat_map(|file| &file.lines) {
            let names = line.principals.iter().map(|name| name_of(name)).chain([key_of(&line.key)]);
            let mut first = None;
            for name in names {
                let new = same.len();
                let at = *known.entry(name).or_insert(new);
                if at == new {
                    same.push(new);
                }
                let at = person(&same, at);
                match first {
                    None => first = Some(at),
                    Some(first) => same[at] = person(&same, first),
                }
            }
        }
        for at in known.values_mut() {
            *at = person(&same, *at);
        }
        Self { known }
    }

    /// Who holds a key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Option<usize> {
        self.known.get(&key_of(key)).copied()
    }

    /// Who has a name.
    #[must_use]
    pub fn named(&self, principal: &str) -> Option<usize> {
        self.known.get(&name_of(principal)).copied()
    }
}

/// Who a person turned out to be.
fn person(same: &[usize], mut of: usize) -> usize {
    while let Some(next) = same.get(of).copied().filter(|next| *next != of) {
        of = next;
    }
    of
}

/// Two names that differ only in the case of letters are one person's.
fn folded(principal: &str) -> String {
    principal.to_lowercase()
}

fn name_of(principal: &str) -> String {
    format!("name {}", folded(principal))
}

fn key_of(key: &str) -> String {
    format!("key {key}")
}

/// Reads a line. There is none where it is empty, a comment, or for other signatures.
fn line(text: &str, zone: &TimeZone) -> Result<Option<Line>, Wrong> {
    let start = text.len() - text.trim_start_matches([' ', '\t']).len();
    let text = text.trim_end();
    if text.len() <= start || text[start..].starts_with('#') {
        return Ok(None);
    }
    let (names, mut at) = principals(text, start)?;
    let mut options = Options::default();
    if !SORTS.iter().any(|sort| text[at..].starts_with(sort)) {
        let end = unquoted_end(text, at)
            .ok_or_else(|| Wrong::new(at, "a quotation mark is not closed"))?;
        options = read_options(text, at, end, zone)?;
        at = past_spaces(text, end);
    }
    if options.is_for_others {
        return Ok(None);
    }
    if options.is_authority {
        return Err(Wrong::new(start, "certificates are not accepted as approvals")
            .hint("list the key of each person, or give the line namespaces=\"git\", say, if it is not about plans"));
    }
    let principals = people(text, start, &names)?;
    let mut words = text[at..].split_ascii_whitespace();
    let (Some(sort), Some(data)) = (words.next(), words.next()) else {
        return Err(Wrong::new(at, "here a key is missing: its sort, and the key itself"));
    };
    let key = PublicKey::from_openssh(&format!("{sort} {data}"))
        .map_err(|error| Wrong::new(at, format!("the key cannot be read: {error}")))?;
    check_key(key.key_data()).map_err(|problem| Wrong::new(at, problem))?;
    let Options { after, before, .. } = options;
    Ok(Some(Line { principals, key: fingerprint(key.key_data()), after, before }))
}

/// The names that a line begins with, and where what follows begins.
fn principals(text: &str, start: usize) -> Result<(String, usize), Wrong> {
    let rest = &text[start..];
    let (names, end) = match rest.strip_prefix('"') {
        Some(quoted) => {
            let length = quoted
                .find('"')
                .ok_or_else(|| Wrong::new(start, "a quotation mark is not closed"))?;
            (&quoted[..length], start + length + 2)
        }
        None => {
            let length = rest.find([' ', '\t']).unwrap_or(rest.len());
            (&rest[..length], start + length)
        }
    };
    let next = past_spaces(text, end);
    if next == end {
        return Err(Wrong::new(end, "after the names a key is missing")
            .hint("a line has a name and a key, such as: alice@example.com ssh-ed25519 AAAA…"));
    }
    Ok((names.to_owned(), next))
}

/// The people that the names of a line stand for.
fn people(text: &str, start: usize, names: &str) -> Result<Vec<String>, Wrong> {
    let names: Vec<String> = names.split(',').map(str::to_owned).collect();
    for name in &names {
        let at = text[start..].find(name.as_str()).map_or(start, |at| start + at);
        if name.is_empty() {
            return Err(Wrong::new(start, "a name is empty"));
        }
        if name.contains(['*', '?', '!']) {
            return Err(Wrong::new(at, format!("{name:?} is a pattern, and a pattern is nobody"))
                .hint("list each person by name, with a line for each key"));
        }
        if !visible::is_visible(name) || name.chars().any(char::is_whitespace) {
            return Err(Wrong::new(
                at,
                format!("{name:?} has spaces or characters that are not visible"),
            ));
        }
    }
    Ok(names)
}

/// Where a text without spaces ends, apart from those in quotation marks.
fn unquoted_end(text: &str, start: usize) -> Option<usize> {
    let mut is_quoted = false;
    for (at, c) in text[start..].char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            ' ' | '\t' if !is_quoted => return Some(start + at),
            _ => {}
        }
    }
    (!is_quoted).then_some(text.len())
}

fn past_spaces(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start_matches([' ', '\t']).len()
}

/// Reads `name="value",name,…`.
fn read_options(text: &str, start: usize, end: usize, zone: &TimeZone) -> Result<Options, Wrong> {
    let mut options = Options::default();
    let mut seen = BTreeSet::new();
    let mut at = start;
    while at < end {
        let length = comma(&text[at..end]);
        let option = &text[at..at + length];
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let name = name.to_ascii_lowercase();
        let wrong = |message: String| Wrong::new(at, message);
        if !OPTIONS.contains(&name.as_str()) {
            // A key begins with its own sort.
            if option.starts_with("AAAA") {
                let hint = Some(
                    "write the whole line of the .pub file, such as ssh-ed25519 AAAA…".to_owned(),
                );
                return Err(Wrong {
                    hint,
                    ..wrong("the sort of the key is missing before it".to_owned())
                });
            }
            let known = nearest(&name, OPTIONS.into_iter());
            let hint = known.map(|known| format!("did you mean {known}?"));
            let shown = option.split('=').next().unwrap_or_default();
            let message =
                format!("{shown:?} is neither the sort of a key nor an option that is known");
            return Err(Wrong { hint, ..wrong(message) });
        }
        if !seen.insert(name.clone()) {
            return Err(wrong(format!("the option {name} is given twice")));
        }
        let quoted = value.and_then(|value| value.strip_prefix('"')?.strip_suffix('"'));
        match (name.as_str(), value, quoted) {
            ("cert-authority", None, _) => options.is_authority = true,
            ("cert-authority", ..) => return Err(wrong(format!("{name} takes no value"))),
            (_, _, None) => {
                return Err(wrong(format!(
                    "{name} takes a value in quotation marks: {name}=\"…\""
                )));
            }
            ("namespaces", _, Some(value)) => {
                options.is_for_others = !covers(value).map_err(wrong)?;
            }
            ("valid-after", _, Some(value)) => {
                options.after = Some(time(value, zone).map_err(wrong)?)
            }
            (_, _, Some(value)) => options.before = Some(time(value, zone).map_err(wrong)?),
        }
        at += length + 1;
    }
    if options.after.zip(options.before).is_some_and(|(after, before)| before <= after) {
        return Err(Wrong::new(start, "valid-before is not after valid-after"));
    }
    Ok(options)
}

/// The bytes until a comma outside of quotation marks, or all.
fn comma(text: &str) -> usize {
    let mut is_quoted = false;
    let ends = |(_, c): &(usize, char)| {
        is_quoted ^= *c == '"';
        *c == ',' && !is_quoted
    };
    text.char_indices().find(ends).map_or(text.len(), |(at, _)| at)
}

/// Whether a list of namespaces contains that of plans.
fn covers(namespaces: &str) -> Result<bool, String> {
    let mut covers = false;
    for pattern in namespaces.split(',') {
        if pattern.is_empty() || pattern.starts_with('!') {
            return Err(format!("the namespace {pattern:?} is not understood"));
        }
        covers |= WildMatch::new(pattern).matches(NAMESPACE);
    }
    Ok(covers)
}

/// Reads `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, with `Z` for universal time.
fn time(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let wrong = || {
        format!(
            "{text:?} is not a time: write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, and Z for universal time"
        )
    };
    let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, TimeZone::UTC),
        None => (text, zone.clone()),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || ![8, 12, 14].contains(&digits.len()) {
        return Err(wrong());
    }
    let number = |from: usize, to: usize| digits.get(from..to).unwrap_or("0").parse::<i16>();
    let small = |at: usize| -> Option<i8> { number(at, at + 2).ok()?.try_into().ok() };
    let read = || -> Option<Timestamp> {
        let date = Date::new(number(0, 4).ok()?, small(4)?, small(6)?).ok()?;
        let time = Time::new(small(8)?, small(10)?, small(12)?, 0).ok()?;
        let zoned = DateTime::from_parts(date, time).to_zoned(zone).ok()?;
        Some(zoned.timestamp())
    };
    read().ok_or_else(wrong)
}
