//! JSON that is given on the command line, in a file, on standard input, or behind a URL.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::api::http::{self, Told};
use crate::bounded;
use crate::commands::option_values;
use crate::error::{Class, Context, Error, Result};
use crate::room::message::MAX_BYTES;
use crate::visible;

/// What stands for standard input.
pub const STDIN: &str = "-";

/// How long what is behind a URL may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An option with JSON, and another one with a place where it is.
pub struct Given<'a> {
    /// The option with JSON, and its value.
    pub inline: (&'static str, Option<&'a str>),
    /// The place, whichever option names it.
    pub place: Option<&'a str>,
}

impl Given<'_> {
    /// The JSON, if there is any.
    ///
    /// # Errors
    ///
    /// What cannot be read, or is no JSON.
    pub async fn parsed(&self) -> Result<Option<Value>> {
        let (option, inline) = self.inline;
        match self.place {
            None => option_values::json(option, inline, Class::Usage),
            Some(place) => {
                let text = text_of(place).await?;
                option_values::json(&shown(place), Some(&text), Class::Usage)
            }
        }
    }

    /// The same, if it is to be an object.
    ///
    /// # Errors
    ///
    /// As [`Self::parsed`]; anything else than an object.
    pub async fn object(&self) -> Result<Option<Map<String, Value>>> {
        match self.parsed().await? {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(Error::usage(format!("{} is not a JSON object", self.name()))),
        }
    }

    /// What it is called.
    pub fn name(&self) -> String {
        self.place.map_or_else(|| self.inline.0.to_owned(), shown)
    }
}

/// The value of an option that is given once at most: of two lists of rows, the first would be lost.
///
/// # Errors
///
/// It is given more often.
pub fn once<'a>(option: &str, given: &'a [String]) -> Result<Option<&'a str>> {
    match given {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        more => Err(Error::usage(format!("{option} is given {} times", more.len()))
            .hint(format!("give all of it with one {option}, or run the command for each"))),
    }
}

/// Refuses options that both read standard input: the second one would find nothing there.
///
/// # Errors
///
/// More than one of them does.
pub fn one_reads_input(options: &[(&str, Option<&str>)]) -> Result<()> {
    let reading = options.iter().filter(|(_, place)| *place == Some(STDIN));
    let reading: Vec<&str> = reading.map(|(option, _)| *option).collect();
    match reading.len() {
        0 | 1 => Ok(()),
        _ => Err(Error::usage(format!("{} both read standard input", reading.join(" and ")))
            .hint("standard input is read once; put one of them into a file")),
    }
}

/// Whether a place is a URL.
pub fn is_url(place: &str) -> bool {
    place.starts_with("http://") || place.starts_with("https://")
}

/// What a place is called.
pub fn shown(place: &str) -> String {
    match place {
        STDIN => "standard input".to_owned(),
        url if is_url(url) => visible::url(url).to_string(),
        path => path.to_owned(),
    }
}

/// The text at a place.
///
/// # Errors
///
/// It cannot be read, or is no text, or has more than a message may have.
pub async fn text_of(place: &str) -> Result<String> {
    let failed = || format!("failed to read {}", shown(place));
    if is_url(place) {
        let request = http::of_anything(place)?.get(place);
        let told = http::ask(request, PATIENCE, MAX_BYTES).await;
        let Told { status, body } = told.context(failed)?;
        if !status.is_success() {
            let cause = format!("the server answered with {status}");
            return Err(Error::failed(failed()).because(cause));
        }
        return String::from_utf8(body)
            .map_err(|_| Error::failed(failed()).because("it is not UTF-8"));
    }
    match place {
        STDIN => String::from_utf8(bounded::stdin(MAX_BYTES).context(failed)?).context(failed),
        path => bounded::text(Path::new(path), MAX_BYTES).context(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_lost_is_refused() {
        let given = ["[]".to_owned(), "[1]".to_owned()];
        assert_eq!(once("--json", &[]).unwrap(), None);
        assert_eq!(once("--json", &given[..1]).unwrap(), Some("[]"));
        assert_eq!(once("--json", &given).unwrap_err().to_string(), "--json is given 2 times");
    }

    #[test]
    fn standard_input_is_read_once() {
        let read = |one, other| one_reads_input(&[("--a", one), ("--b", other)]);
        for fine in [(None, None), (Some("-"), None), (Some("-"), Some("b")), (None, Some("-"))] {
            assert!(read(fine.0, fine.1).is_ok(), "{fine:?}");
        }
        let told = read(Some("-"), Some("-")).unwrap_err().to_string();
        assert_eq!(told, "--a and --b both read standard input");
    }
}
