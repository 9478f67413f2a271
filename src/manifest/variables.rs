//! The environment variables that templates read. A variable is sealed unless the user allows it as
//! public: the template, and every reader of the rendered text, handles a sign that stands for it
//! (see [`super::signs`]). So nothing can be derived from its value.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, ErrorKind, Value};
use secrecy::SecretString;

use super::signs::{Sign, Signs};

/// What names of variables for templates begin with.
const FOR_TEMPLATES: &str = "MESHAGENT_VAR_";

/// What follows the name of a variable that plans may show.
const PUBLIC: &str = "public";

/// Whether a variable is one of the program's own, which hold its credentials: nothing in a
/// manifest reads them.
#[must_use]
pub fn is_own_variable(name: &str) -> bool {
    name.starts_with("MESHAGENT_") && !name.starts_with(FOR_TEMPLATES)
}

/// A variable that the user lets templates read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// Its name.
    pub name: String,
    /// Whether plans may show it, and templates compute with it.
    pub is_public: bool,
}

impl fmt::Display for Allowed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)?;
        if self.is_public { write!(out, "={PUBLIC}") } else { Ok(()) }
    }
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, is_public) = match text.split_once('=') {
            Some((name, PUBLIC)) => (name, true),
            Some(_) => return Err(format!("write NAME, or NAME={PUBLIC}")),
            None => (text, false),
        };
        if name.is_empty() {
            return Err("the name is empty".to_owned());
        }
        if let Some(bare) = name.strip_prefix('$') {
            return Err(format!("write the name alone, without `$`: {bare}"));
        }
        if name.contains(',') || name.contains(char::is_whitespace) {
            return Err("give one name; repeat the option for several".to_owned());
        }
        let is_plain = |c: char| c.is_alphanumeric() || "_.-".contains(c);
        if !name.chars().all(is_plain) {
            return Err(format!("write NAME, or NAME={PUBLIC}; patterns are not supported"));
        }
        Ok(Self { name: name.to_owned(), is_public })
    }
}

/// The variables that one rendering reads.
#[derive(Debug)]
pub(super) struct Variables {
    allowed: Vec<Allowed>,
    /// The names that are known to lack a value, and stand for one that was not read.
    assumed: BTreeSet<String>,
    /// A character that stands in no text of the rendering, which all signs are made of.
    mark: char,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    /// The sealed variables in the order in which they were read; without a text those that
    /// were assumed.
    sealed: Vec<(String, Option<SecretString>)>,
    /// The one that ended the rendering, because it has no value here.
    lacking: Option<String>,
    /// One of them that the template computed with.
    misused: Option<String>,
}

/// A text, and the signs in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) signs: Signs,
}

/// A variable that a template computed with, and that it may only write out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misused(pub(super) String);

impl fmt::Display for Misused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "the environment variable {} is hidden, so a template can only write it out or join it with `~`",
            self.0
        )
    }
}

impl Misused {
    /// What to do about it.
    pub(super) fn hint(&self) -> String {
        format!(
            "add --allow-env {}={PUBLIC} to let templates compute with it and plans show it",
            self.0
        )
    }
}

impl Variables {
    /// The variables that a template of this text may read, beside what `others` says.
    pub(super) fn new(allowed: &[Allowed], text: &str, others: &str) -> Arc<Self> {
        let is_free = |mark: &char| !text.contains(*mark) && !others.contains(*mark);
        let mark = ('\u{10_0000}'..'\u{10_ffff}').find(is_free).unwrap_or('\u{10_ffff}');
        let (allowed, assumed) = (allowed.to_vec(), BTreeSet::new());
        Arc::new(Self { allowed, assumed, mark, read: Mutex::default() })
    }

    /// The same for another rendering, in which these names stand for what was not read.
    pub(super) fn assuming(&self, assumed: BTreeSet<String>) -> Arc<Self> {
        let (allowed, mark) = (self.allowed.clone(), self.mark);
        Arc::new(Self { allowed, assumed, mark, read: Mutex::default() })
    }

    /// The variable that ended the rendering, because it has no value here.
    pub(super) fn lacking(&self) -> Option<String> {
        self.read().lacking.clone()
    }

    fn read(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `env("NAME")` gives a template.
    pub(super) fn env(
        self: &Arc<Self>,
        name: &str,
        default: Option<String>,
    ) -> Result<Value, Error> {
        let refused = |what: String| Err(Error::new(ErrorKind::InvalidOperation, what));
        if is_own_variable(name) {
            return refused(format!(
                "the environment variable {name} belongs to this program, so no template can read it"
            ));
        }
        if self.assumed.contains(name) {
            return Ok(self.seal(name, None));
        }
        let lacks = |what: String, hint: Option<String>| {
            self.read().lacking = Some(name.to_owned());
            let error = Error::new(ErrorKind::InvalidOperation, what);
            Err(match hint {
                Some(hint) => error.with_source(WayOut(hint)),
                None => error,
            })
        };
        let allowed = self.allowed.iter().filter(|allowed| allowed.name == name);
        let is_public = allowed.clone().any(|allowed| allowed.is_public);
        if !name.starts_with(FOR_TEMPLATES) && allowed.count() == 0 {
            return lacks(
                format!("the environment variable {name} is not allowed"),
                Some(format!(
                    "add --allow-env {name} to let templates read it, hidden like a secret"
                )),
            );
        }
        match (std::env::var(name).ok(), default) {
            (Some(text), _) if is_public => Ok(Value::from(text)),
            // Nobody would see that it is: most likely it is not set where it should be.
            (Some(text), None) if text.is_empty() => lacks(
                format!("the environment variable {name} is empty"),
                Some("to allow that, give env a default as its second argument".to_owned()),
            ),
            (Some(text), _) => Ok(self.seal(name, Some(SecretString::from(text)))),
            (None, Some(default)) => Ok(Value::from(default)),
            (None, None) => lacks(format!("the environment variable {name} is not set"), None),
        }
    }

    fn seal(self: &Arc<Self>, name: &str, text: Option<SecretString>) -> Value {
        let mut read = self.read();
        let index = match read.sealed.iter().position(|(known, _)| known == name) {
            Some(index) => index,
            None => {
                read.sealed.push((name.to_owned(), text));
                read.sealed.len() - 1
            }
        };
        Value::from_object(Sealed { variables: Arc::clone(self), index })
    }

    /// The sign of a variable. Whatever is done to it but to write it out leaves it broken, with
    /// its mark in it.
    fn sign(&self, index: usize) -> String {
        let mark = self.mark;
        let digits: String = index.to_string().chars().flat_map(|c| [c, mark]).collect();
        format!("{mark}aB{mark}{digits}b{mark}")
    }

    /// Notes that a template does something to a variable.
    fn misuse(&self, index: usize) {
        let mut read = self.read();
        let name = read.sealed.get(index).map(|(name, _)| name.clone());
        read.misused = name;
    }

    /// The sign, where a value is a sealed variable that is written out.
    pub(super) fn written(value: &Value) -> Option<String> {
        let sealed = value.downcast_object_ref::<Sealed>()?;
        Some(sealed.variables.sign(sealed.index))
    }

    /// Refuses a value that a template is about to compute with, if it is sealed.
    pub(super) fn check(&self, value: &Value) -> Result<(), Error> {
        let is_signed = value.as_str().is_some_and(|text| text.contains(self.mark));
        let index = match value.downcast_object_ref::<Sealed>() {
            Some(sealed) => sealed.index,
            None if is_signed => 0,
            None => return Ok(()),
        };
        self.misuse(index);
        Err(Error::new(ErrorKind::InvalidOperation, "a hidden variable"))
    }

    /// The variable that a template computed with, if it did.
    pub(super) fn misused(&self) -> Option<Misused> {
        self.read().misused.clone().map(Misused)
    }

    /// A rendered text with its signs, each of which is whole.
    pub(super) fn written_out(&self, rendered: String) -> Result<Written, Misused> {
        let read = self.read();
        if let Some(name) = &read.misused {
            return Err(Misused(name.clone()));
        }
        let signs = read.sealed.iter().enumerate().map(|(index, (name, text))| Sign {
            sign: self.sign(index),
            name: name.clone(),
            text: text.clone(),
        });
        let signs: Vec<_> = signs.collect();
        let mut rest = rendered.as_str();
        while let Some(at) = rest.find(self.mark).filter(|_| !signs.is_empty()) {
            let found = signs.iter().find(|it| rest[at..].starts_with(&it.sign));
            let Some(found) = found else {
                return Err(Misused(signs.first().map(|it| it.name.clone()).unwrap_or_default()));
            };
            rest = &rest[at + found.sign.len()..];
        }
        Ok(Written { signs: Signs::new(self.mark, signs), text: rendered })
    }
}

/// What to do about a variable that has no value, as the source of the engine's error.
#[derive(Debug)]
struct WayOut(String);

impl fmt::Display for WayOut {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for WayOut {}

/// The hint of an error about a variable that has no value.
pub(super) fn way_out(error: &Error) -> Option<&str> {
    let mut reason = std::error::Error::source(error);
    while let Some(error) = reason {
        if let Some(WayOut(hint)) = error.downcast_ref() {
            return Some(hint);
        }
        reason = error.source();
    }
    None
}

/// A sealed variable in a template.
#[derive(Debug)]
struct Sealed {
    variables: Arc<Variables>,
    index: usize,
}

impl Object for Sealed {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.variables.misuse(self.index);
        true
    }

    fn render(self: &Arc<Self>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever wants it as a text computes with it.
        self.variables.misuse(self.index);
        out.write_str(&self.variables.sign(self.index))
    }
}
