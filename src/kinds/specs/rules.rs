//! *Pure*: the form of texts that the platform stores: names, addresses, domains, schedules, URLs.
//! Every rule of form is here and nowhere else: manifests are checked against it, the published
//! schemas show it to editors, and the embedded platform enforces it.
//!
//! A field says its rule in its schema, as `x-rule: NAME`. What a rule says is a sentence
//! whose subject is the field; it never repeats the text, which may be a secret.
//!
//! What depends on more than the text itself is not form: whether a room exists, whether an
//! address is taken, which mail domains a platform serves.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde_json::{Map, Value, json};
use url::Url;

use crate::listed;

mod image;
mod inside;
mod schedule;

pub use image::image;
pub(super) use schedule::cron;
pub use schedule::{never_fires, schedule};

/// The events that a webhook may ask for.
pub const EVENTS: [&str; 6] = [
    "room.started",
    "room.ended",
    "room.call",
    "storage.file.updated",
    "storage.file.deleted",
    "*",
];

/// What the value of a secret reads as in a list. Written back, it would replace the secret.
pub const MASK: &str = "********";

/// How many characters a name may have.
pub const NAME_LIMIT: usize = 255;

/// How many characters a mail address may have: 64 before the `@`, and a host name.
pub const ADDRESS_LIMIT: usize = 64 + 1 + 253;

/// How many bytes the keys and texts of an object's annotations may have together: a placed
/// template keeps its own text there, and published ones have a hundred KiB.
pub const ANNOTATIONS_LIMIT: usize = 1024 * 1024;

/// How many characters a text of one line may have: a URL, or a path.
pub const LINE_LIMIT: usize = 4 * 1024;

/// How many characters a schedule may have. One that spells out every minute, hour, day, month
/// and weekday has half of them.
pub const SCHEDULE_LIMIT: usize = 1024;

/// How many characters any other text may have: a description, a command, the value of a
/// variable or of an annotation, a file, a secret.
pub const TEXT_LIMIT: usize = 1024 * 1024;

/// A name: without control characters, and with something that is not blank.
const NAME_PATTERN: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// The names of service accounts.
const ACCOUNT_PATTERN: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f/@]*[^\\s\\u0000-\\u001f\\u007f-\\u009f/@][^\\u0000-\\u001f\\u007f-\\u009f/@]*$";

/// Whom grants are for.
const SUBJECT_PATTERN: &str = "^((user|service_account|group|agent):[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*|everyone:all)$";

/// The names of rooms that clients can enter: the public SDK knows this pattern, and puts
/// names into URLs as they are.
const ROOM_PATTERN: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

/// The numbers of ports, as text.
pub const PORT_PATTERN: &str =
    "0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";

/// What a field must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A name of any object: some text without control characters.
    Name,
    /// The same where it is a segment of a path, which cannot be `.` or `..`.
    Segment,
    /// The name of a service account: a segment without `/` and `@`, which stand beside it in the
    /// names of secrets and in mail addresses.
    AccountName,
    /// Whom a grant is for, as `TYPE:WHO`.
    Subject,
    /// The name of a participant of a room, which stands before a `/` in the names of secrets.
    Identity,
    /// The path of a file in a room: segments with `/` between them.
    FilePath,
    /// The name of a new room.
    RoomName,
    /// A mail address.
    Address,
    /// A host name.
    Domain,
    /// The number of a port, or `*`, in the spellings that a manifest may use.
    Port,
    /// Five fields of cron, or a nickname such as `@hourly`.
    Schedule,
    /// An absolute URL of the web.
    WebUrl,
    /// An event of a webhook.
    Event,
    /// A list with something in it.
    NotEmpty,
    /// A reference to an image, as registries and container engines take it.
    Image,
    /// The name of an environment variable.
    Variable,
    /// An absolute path in a container.
    AbsolutePath,
    /// Anything but the mask of a secret.
    Unmasked,
    /// Annotations within their limit.
    Annotations,
}

/// Every rule with the name that schemas know it by.
const NAMES: [(&str, Rule); 19] = [
    ("name", Rule::Name),
    ("segment", Rule::Segment),
    ("account-name", Rule::AccountName),
    ("subject", Rule::Subject),
    ("identity", Rule::Identity),
    ("file-path", Rule::FilePath),
    ("room-name", Rule::RoomName),
    ("address", Rule::Address),
    ("domain", Rule::Domain),
    ("port", Rule::Port),
    ("schedule", Rule::Schedule),
    ("web-url", Rule::WebUrl),
    ("event", Rule::Event),
    ("not-empty", Rule::NotEmpty),
    ("image", Rule::Image),
    ("variable", Rule::Variable),
    ("absolute-path", Rule::AbsolutePath),
    ("unmasked", Rule::Unmasked),
    ("annotations", Rule::Annotations),
];

impl Rule {
    /// The rule that a schema names.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, rule)| rule)
    }

    /// Checks a text; a number is checked as it is written.
    ///
    /// # Errors
    ///
    /// What is wrong, as a sentence whose subject is the field.
    pub fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Name => name(text),
            Self::Segment => segment(text),
            Self::AccountName => account_name(text),
            Self::Subject => subject(text),
            Self::Identity => inside::identity(text),
            Self::FilePath => inside::file_path(text),
            Self::RoomName => room_name(text),
            Self::Address => address(text).map(drop),
            Self::Domain => domain(text).map(drop),
            Self::Port => written_port(text),
            Self::Schedule => schedule(text),
            Self::WebUrl => web_url(text),
            Self::Event => event(text),
            Self::Image => image(text),
            Self::Variable => variable(text),
            Self::AbsolutePath => absolute_path(text),
            Self::Unmasked if text == MASK => {
                Err("is the mask that lists show, not a secret".to_owned())
            }
            Self::Unmasked | Self::NotEmpty | Self::Annotations => self::text(text),
        }
    }

    /// What to do about a text that breaks the rule, where more can be said than its
    /// sentence says.
    #[must_use]
    pub fn hint(self, text: &str) -> Option<String> {
        match self {
            Self::RoomName => Some(format!(
                "if a room already has this name, give it a new one and add `lifecycle: {{moved_from: {text:?}}}`"
            )),
            Self::Domain if !text.is_ascii() => {
                Some("write it in ASCII, with the labels that begin with xn--".to_owned())
            }
            Self::Domain if text.contains("://") => {
                Some("write just the host, without the scheme, port and path".to_owned())
            }
            _ => None,
        }
    }

    /// The keywords of JSON Schema that say as much of the rule as they can.
    #[must_use]
    pub fn keywords(self) -> Map<String, Value> {
        let keywords = match self {
            Self::Name => {
                json!({"minLength": 1, "maxLength": NAME_LIMIT, "pattern": NAME_PATTERN})
            }
            // In a template these may hold placeholders, so editors are told less.
            Self::Image => {
                json!({"minLength": 1, "maxLength": LINE_LIMIT, "pattern": image::PATTERN})
            }
            Self::Variable => json!({"maxLength": LINE_LIMIT}),
            Self::AbsolutePath => {
                json!({"minLength": 1, "maxLength": LINE_LIMIT, "pattern": "^/|\\{\\{"})
            }
            Self::Segment => {
                json!({"minLength": 1, "maxLength": NAME_LIMIT, "pattern": NAME_PATTERN, "not": {"enum": [".", ".."]}})
            }
            Self::AccountName => {
                json!({"minLength": 1, "maxLength": NAME_LIMIT, "pattern": ACCOUNT_PATTERN, "not": {"enum": [".", ".."]}})
            }
            Self::Subject => {
                json!({"minLength": 1, "maxLength": NAME_LIMIT, "pattern": SUBJECT_PATTERN})
            }
            Self::Identity => inside::of_identity(),
            Self::FilePath => inside::of_file_path(),
            Self::RoomName => json!({"minLength": 1, "maxLength": 63, "pattern": ROOM_PATTERN}),
            Self::Address => {
                json!({"format": "idn-email", "maxLength": ADDRESS_LIMIT, "pattern": "^[^@\\s<>]{1,64}@[^@\\s<>]+$"})
            }
            Self::Domain => {
                json!({"format": "hostname", "maxLength": 253, "pattern": "^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$"})
            }
            Self::Schedule => {
                json!({"maxLength": SCHEDULE_LIMIT, "pattern": "^(\\s*@\\S+\\s*|\\s*\\S+(\\s+\\S+){4}\\s*)$", "examples": ["0 9 * * 1-5", "@hourly"]})
            }
            Self::WebUrl => json!({"maxLength": LINE_LIMIT, "pattern": "^[Hh][Tt][Tt][Pp][Ss]?:"}),
            Self::Event => json!({"enum": EVENTS}),
            Self::NotEmpty => json!({"minItems": 1}),
            Self::Unmasked => json!({"not": {"const": MASK}}),
            // A port is a number or text; its schema spells both out.
            Self::Port | Self::Annotations => Value::Null,
        };
        match keywords {
            Value::Object(keywords) => keywords,
            _ => Map::new(),
        }
    }
}

/// An event of a webhook, in schemas.
#[derive(Debug)]
pub struct Event;

impl JsonSchema for Event {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Event".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "x-rule": "event"})
    }
}

/// A name of any object.
///
/// # Errors
///
/// It is empty, too long, or has control characters.
pub fn name(text: &str) -> Result<(), String> {
    if text.chars().all(is_blank) {
        return Err("must not be empty".to_owned());
    }
    within(text, NAME_LIMIT)?;
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    Ok(())
}

/// A name that is a segment of a path. No URL can carry `.` and `..` as one.
///
/// # Errors
///
/// As [`name`]; a dot segment.
pub fn segment(text: &str) -> Result<(), String> {
    name(text)?;
    match text {
        "." | ".." => Err("must not be `.` or `..`".to_owned()),
        _ => Ok(()),
    }
}

/// The name of a service account.
///
/// # Errors
///
/// As [`segment`]; a `/` or an `@`.
fn account_name(text: &str) -> Result<(), String> {
    segment(text)?;
    match text.contains(['/', '@']) {
        true => Err("must not contain `/` or `@`".to_owned()),
        false => Ok(()),
    }
}

/// The type of people in [`Rule::Subject`].
pub const USER: &str = "user";

/// The types in [`Rule::Subject`], but for that of everyone.
const SUBJECTS: [&str; 4] = [USER, "service_account", "group", "agent"];

/// All who are there, in [`Rule::Subject`].
pub const EVERYONE: &str = "everyone:all";

/// Whom a grant is for.
///
/// # Errors
///
/// As [`name`]; no `TYPE:WHO`, another type, or nobody.
fn subject(text: &str) -> Result<(), String> {
    name(text)?;
    let who = text.split_once(':').filter(|(of, _)| SUBJECTS.contains(of)).map(|(_, who)| who);
    match who {
        _ if text == EVERYONE => Ok(()),
        Some(who) if !who.chars().all(is_blank) => Ok(()),
        _ => Err(format!(
            "must be TYPE:WHO, such as `user:ada@example.com`, where TYPE is one of {}; or `{EVERYONE}`",
            SUBJECTS.join(", ")
        )),
    }
}

/// A text of which nothing is known but that it is one.
///
/// # Errors
///
/// It is longer than any that is kept.
pub fn text(text: &str) -> Result<(), String> {
    within(text, TEXT_LIMIT)
}

/// Every text of a JSON value.
///
/// # Errors
///
/// One of them is longer than any that is kept.
pub fn texts(value: &Value) -> Result<(), String> {
    let within = match value {
        Value::String(text) => self::text(text),
        Value::Array(items) => items.iter().try_for_each(texts),
        Value::Object(fields) => texts_of(fields),
        _ => Ok(()),
    };
    within.map_err(|_| format!("holds a text longer than {TEXT_LIMIT} characters"))
}

/// The same for a map.
///
/// # Errors
///
/// As [`texts`].
pub fn texts_of(fields: &Map<String, Value>) -> Result<(), String> {
    fields.iter().try_for_each(|(name, value)| {
        text(name).map_err(|_| format!("has a key longer than {TEXT_LIMIT} characters"))?;
        texts(value)
    })
}

fn within(text: &str, limit: usize) -> Result<(), String> {
    // Most texts are short, and counting characters takes a while.
    match text.len() > limit && text.chars().count() > limit {
        true => Err(format!("is longer than {limit} characters")),
        false => Ok(()),
    }
}

/// A text without blanks, such as the name of a variable.
///
/// # Errors
///
/// It is empty, or has blanks or control characters.
pub fn one_word(text: &str) -> Result<(), String> {
    within(text, LINE_LIMIT)?;
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    match text.chars().any(is_blank) {
        true => Err("must not contain blanks or control characters".to_owned()),
        false => Ok(()),
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '\u{feff}'
}

/// The name of an environment variable.
///
/// # Errors
///
/// It is empty, or has blanks, control characters or `=`.
pub fn variable(text: &str) -> Result<(), String> {
    // The public SDK sends variables without a name as they are.
    if text.is_empty() {
        return Ok(());
    }
    one_word(text)?;
    if text.contains('=') { Err("must not contain `=`".to_owned()) } else { Ok(()) }
}

/// An absolute path in a container.
///
/// # Errors
///
/// It does not begin with `/`, or has control characters.
pub fn absolute_path(text: &str) -> Result<(), String> {
    within(text, LINE_LIMIT)?;
    if !text.starts_with('/') {
        return Err("must be an absolute path, such as /data".to_owned());
    }
    match text.chars().any(char::is_control) {
        true => Err("must not contain control characters".to_owned()),
        false => Ok(()),
    }
}

/// The name of a new room. Rooms that have other names on a platform can still be read,
/// referred to, exported, renamed and deleted.
///
/// # Errors
///
/// Anything but 1 to 63 of `a-z`, `0-9` and `-`, with a letter or digit at both ends.
pub fn room_name(text: &str) -> Result<(), String> {
    let is_end = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()].into_iter().all(|end| end.is_some_and(is_end));
    if ends && bytes.len() <= 63 && bytes.iter().all(|byte| is_end(byte) || *byte == b'-') {
        return Ok(());
    }
    Err("must be 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends".to_owned())
}

/// A mail address in the form in which it is compared: in lower case. Local parts are
/// compared without case as well, or two mailboxes could take one mail.
///
/// # Errors
///
/// It is not an address.
pub fn address(text: &str) -> Result<String, String> {
    let refuse = || "must be a mail address, such as support@mail.meshagent.com".to_owned();
    let (local, host) = text.rsplit_once('@').ok_or_else(refuse)?;
    let plain = |one: char| one.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(one);
    let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    if local.is_empty() || local.len() > 64 || dots || !local.chars().all(plain) {
        return Err(refuse());
    }
    let host = domain(host).map_err(|_| refuse())?;
    Ok(format!("{}@{host}", local.to_lowercase()))
}

/// Refuses an address in a domain that a platform does not serve, by the domains that it
/// does serve. Which they are is the platform's to say.
///
/// # Errors
///
/// The domain is none of those.
pub fn served<T: AsRef<str>>(address: &str, domains: &[T]) -> Result<(), String> {
    let domain = address.rsplit_once('@').map_or(address, |(_, domain)| domain);
    if domains.iter().any(|served| served.as_ref().eq_ignore_ascii_case(domain)) {
        return Ok(());
    }
    let known = listed::at_most(listed::SOME, domains.iter().map(AsRef::as_ref));
    Err(format!("is in the domain {domain:?}, which is not served; known domains are {known}"))
}

/// A host name in lower case.
///
/// # Errors
///
/// It is none.
pub fn domain(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if lower.len() <= 253 && lower.split('.').all(label) {
        return Ok(lower);
    }
    Err("must be a host name, such as app.meshagent.app".to_owned())
}

/// The number of a port, written as text.
///
/// # Errors
///
/// It is none from 1 to 65535.
pub fn port(text: &str) -> Result<(), String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    match text.parse::<u16>() {
        Ok(1..) if digits => Ok(()),
        _ => Err("must be a port number from 1 to 65535".to_owned()),
    }
}

/// The number of a port, or `*`, in a spelling that a manifest may use.
fn written_port(text: &str) -> Result<(), String> {
    within(text, LINE_LIMIT)?;
    let is_one = |text: &str| text == "*" || port(text.trim_start_matches('0')).is_ok();
    if is_one(text) {
        return Ok(());
    }
    let without_blanks = text.trim_matches(is_blank);
    let without_quotes = text.trim_matches(|c: char| is_blank(c) || "\"'`“”‘’".contains(c));
    let signed = without_quotes.strip_prefix(['+', '-']);
    let (number, rest) = without_quotes.split_once(['/', ':', ',', '-']).unwrap_or_default();
    Err(match without_quotes {
        _ if is_one(without_blanks) => "must be a port number without blanks around it".to_owned(),
        bare if is_one(bare) => "must be a port number without quotes in it".to_owned(),
        _ if signed.is_some_and(is_one) => "must be a port number without a sign".to_owned(),
        _ if is_one(number) && !rest.is_empty() => {
            "must be one port number from 1 to 65535 and nothing else".to_owned()
        }
        bare => return port(bare),
    })
}

/// A URL of the web.
///
/// # Errors
///
/// It is not absolute, or not of http or https.
pub fn web_url(text: &str) -> Result<(), String> {
    within(text, LINE_LIMIT)?;
    match Url::parse(text) {
        // Parsing would pass over them, or encode them.
        Ok(_) if text.chars().any(is_blank) => {
            Err("must not contain blanks or control characters".to_owned())
        }
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => Ok(()),
        _ => Err("must be an absolute http or https URL".to_owned()),
    }
}

/// An event of a webhook.
///
/// # Errors
///
/// It is unknown; the nearest known one.
pub fn event(text: &str) -> Result<(), String> {
    if EVENTS.contains(&text) {
        return Ok(());
    }
    let nearest = EVENTS
        .iter()
        .map(|known| (strsim::jaro_winkler(text, known), known))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    Err(match nearest {
        Some((likeness, known)) if likeness > 0.7 => {
            format!("is an unknown event; did you mean {known:?}?")
        }
        _ => format!("is an unknown event; known events are {}", EVENTS.join(", ")),
    })
}

/// A list that needs something in it.
///
/// # Errors
///
/// Nothing is in it.
pub fn not_empty(length: usize) -> Result<(), String> {
    if length == 0 { Err("must not be empty".to_owned()) } else { Ok(()) }
}

/// Annotations, by the bytes of their keys and texts together; the mark of the owning set
/// does not count.
///
/// # Errors
///
/// They are too large.
pub fn annotations_size(bytes: usize) -> Result<(), String> {
    if bytes > ANNOTATIONS_LIMIT { Err("is larger than 1 MiB".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
