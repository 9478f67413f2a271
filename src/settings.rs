//! Flags, environment and files, resolved once: flags win over the environment, the
//! environment over files. The names and files are those of the reference command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use percent_encoding::utf8_percent_encode;
use secrecy::SecretString;

use crate::api::http;
use crate::api::key::ApiKey;
use crate::api::request::SEGMENT;
use crate::api::retry::Retry;
use crate::api::spoken::Spoken;
use crate::conceal;
use crate::error::{Error, Result};
use crate::manifest::age::KEY_VARIABLE;
use crate::visible;
use activated::Activated;
use session_file::SessionFile;

pub mod activated;
mod home_file;
mod profiles;
pub mod session_file;
mod signed_in;

pub use signed_in::SignedIn;

/// The default URL of the platform.
pub const DEFAULT_URL: &str = "https://api.meshagent.com";

/// The default folder for the data of the embedded platform.
pub const DEFAULT_DATA: &str = ".meshagent/embedded";

/// The variables that hold a credential of the program, to send or to sign with.
const CREDENTIALS: [&str; 6] = [
    "MESHAGENT_API_KEY",
    "MESHAGENT_TOKEN",
    "MESHAGENT_SECRET",
    "MESHAGENT_WEBHOOK_SECRET",
    "MESHAGENT_OAUTH_CLIENT_SECRET",
    KEY_VARIABLE,
];

/// Makes sure that no credential of the environment is printed.
pub fn conceal_credentials() {
    let texts = CREDENTIALS.into_iter().filter_map(variable);
    texts.for_each(|text| conceal::credential(&SecretString::from(text)));
}

/// The variable that names the environment.
pub const ENVIRONMENT: &str = "MESHAGENT_ENVIRONMENT";

/// The variable that names the API.
const DIALECT: &str = "MESHAGENT_DIALECT";

/// The variables that hold a credential, in order of precedence.
pub const GIVEN: [&str; 2] = ["MESHAGENT_API_KEY", "MESHAGENT_TOKEN"];

/// Which platform to use, and as whom.
#[derive(Debug, Clone, clap::Args)]
pub struct PlatformArgs {
    /// The project, by name or id; documents that name another keep theirs
    #[arg(short = 'n', long, value_name = "PROJECT", help_heading = "Platform")]
    pub project_id: Option<String>,

    /// Once the environment has said what it says: the options that were given, each after a
    /// space.
    #[arg(skip)]
    pub settled: Option<String>,

    /// Whether no platform is asked, so that nothing is sent to the one of the environment.
    #[arg(skip)]
    pub is_offline: bool,

    /// The environment of the project file, meshagent.yaml [env: MESHAGENT_ENVIRONMENT]
    #[arg(short = 'e', long, value_name = "NAME", action = clap::ArgAction::Append, value_parser = clap::builder::NonEmptyStringValueParser::new(), help_heading = "Platform")]
    pub environment: Option<String>,

    // The text is read in a terminal, where a link needs no brackets.
    #[allow(rustdoc::bare_urls)]
    /// The platform's URL [env: MESHAGENT_API_URL] [default: https://api.meshagent.com]
    #[arg(long, value_name = "URL", help_heading = "Platform")]
    pub api_url: Option<String>,

    /// The API that the platform speaks, where it does not say so itself [env: MESHAGENT_DIALECT]
    #[arg(long, value_name = "RELEASE", help_heading = "Platform")]
    pub dialect: Option<Spoken>,

    /// Send the credential over plain http, even to another machine [env: MESHAGENT_INSECURE=1]
    #[arg(long, help_heading = "Platform")]
    pub insecure: bool,

    /// Use the embedded platform, with its data in DIR [default: .meshagent/embedded]
    #[arg(
        long,
        value_name = "DIR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = DEFAULT_DATA,
        conflicts_with = "api_url",
        help_heading = "Platform"
    )]
    pub embedded: Option<PathBuf>,

    /// How long one request may take, including its retries
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "60s",
        value_parser = duration,
        help_heading = "Platform"
    )]
    pub timeout: Duration,

    /// How many times a request is retried
    #[arg(
        long,
        value_name = "N",
        default_value_t = Retry::default().retries,
        value_parser = clap::value_parser!(u32).range(..=100),
        help_heading = "Platform"
    )]
    pub retries: u32,
}

/// Which project to use, for commands that ask a platform only for the id of a name.
#[derive(Debug, Clone, clap::Args)]
pub struct ProjectArgs {
    /// The project, by name or id [default: MESHAGENT_PROJECT_ID, else the activated project]
    #[arg(short = 'n', long, value_name = "PROJECT", help_heading = "Platform")]
    pub project_id: Option<String>,
}

/// Leaves the letter of an option to another one, as in the reference: `-n` to the annotations of
/// a command, `-e` to its events.
#[must_use]
pub fn without_letter(option: clap::Arg) -> clap::Arg {
    option.short(None)
}

impl ProjectArgs {
    /// The name or id of the project to use.
    ///
    /// # Errors
    ///
    /// Nothing names one; a settings file that cannot be read.
    pub fn named(&self) -> Result<String> {
        let key = || variable("MESHAGENT_API_KEY").and_then(|key| project_of_key(&key));
        let named = match &self.project_id {
            Some(project) => Some(project.clone()),
            None => {
                variable("MESHAGENT_PROJECT_ID").or(Activated::read()?.active_project).or_else(key)
            }
        };
        named.filter(|project| !project.is_empty()).ok_or_else(no_project)
    }
}

impl Default for PlatformArgs {
    fn default() -> Self {
        let Retry { retries, timeout } = Retry::default();
        let (project_id, environment, api_url, embedded) = (None, None, None, None);
        let (insecure, settled, dialect, is_offline) = (false, None, None, false);
        Self {
            project_id,
            settled,
            is_offline,
            environment,
            api_url,
            dialect,
            insecure,
            embedded,
            timeout,
            retries,
        }
    }
}

impl PlatformArgs {
    /// The project that the settings name, without talking to a platform.
    ///
    /// # Errors
    ///
    /// A settings file that cannot be read.
    pub fn offline_project(&self) -> Result<Option<String>> {
        let file = Activated::read()?;
        Ok(variable("MESHAGENT_PROJECT_ID").or(file.active_project))
    }

    /// The environment that is named, by the option or by the variable.
    #[must_use]
    pub fn named_environment(&self) -> Option<String> {
        self.environment.clone().or_else(|| variable(ENVIRONMENT))
    }

    /// The platform's URL.
    #[must_use]
    pub fn url(&self) -> String {
        let given = self.api_url.clone().or_else(|| variable("MESHAGENT_API_URL"));
        given.unwrap_or_else(|| DEFAULT_URL.to_owned())
    }

    /// The API that is said to be spoken, by the option or by the variable.
    ///
    /// # Errors
    ///
    /// The variable names none.
    pub fn named_dialect(&self) -> Result<Option<Spoken>> {
        match (self.dialect, variable(DIALECT)) {
            (Some(given), _) => Ok(Some(given)),
            (None, Some(text)) => Spoken::from_str(&text, false).map(Some).map_err(|_| {
                let all = Spoken::value_variants().iter().map(ToString::to_string);
                let all = all.collect::<Vec<_>>().join(" or ");
                Error::usage(format!("{DIALECT} is {:?}", visible::line(&text)))
                    .hint(format!("it can be {all}"))
            }),
            (None, None) => Ok(None),
        }
    }

    /// The options that select the same platform again, for a command line in a message.
    pub(crate) fn flags(&self) -> String {
        let quoted = |text: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "/:._-~".contains(c);
            match text.chars().all(is_plain) {
                true => text.to_owned(),
                false => format!("'{}'", text.replace('\'', "'\\''")),
            }
        };
        if let Some(given) = &self.settled {
            return given.clone();
        }
        let of = match &self.environment {
            Some(name) => format!(" -e {}", quoted(name)),
            None => String::new(),
        };
        let dialect = self.dialect.map(|it| format!(" --dialect {it}")).unwrap_or_default();
        of + &dialect
            + &match (&self.embedded, &self.api_url) {
                (Some(data), _) if data == Path::new(DEFAULT_DATA) => " --embedded".to_owned(),
                (Some(data), _) => format!(" --embedded={}", quoted(&data.display().to_string())),
                (None, Some(url)) => format!(" --api-url {}", quoted(&visible::url(url))),
                (None, None) => String::new(),
            }
    }

    /// The platform's URL, if a credential may be sent to it.
    ///
    /// # Errors
    ///
    /// It is plain http to another machine, and that was not allowed.
    pub fn safe_url(&self) -> Result<String> {
        let url = self.url();
        http::check_platform(&url)?;
        if !self.insecure && !is_insecure() {
            http::refuse_plain(&url)?;
        }
        Ok(url)
    }

    /// The session of a person who signed in, if no other credential takes precedence.
    ///
    /// # Errors
    ///
    /// The session is another platform's, or it has ended and cannot be refreshed.
    pub async fn session(&self) -> Result<Option<SessionFile>> {
        // In what runs in a room nobody signs in.
        let others = GIVEN.into_iter().chain(["MESHAGENT_SESSION_ID"]);
        if self.embedded.is_some() || others.into_iter().any(|name| variable(name).is_some()) {
            return Ok(None);
        }
        SessionFile::current(&self.safe_url()?, self.timeout).await
    }

    pub(crate) fn retry(&self) -> Retry {
        Retry { retries: self.retries, timeout: self.timeout }
    }
}

pub(crate) fn no_project() -> Error {
    Error::usage("no project is given").hint(
        "give --project-id, set MESHAGENT_PROJECT_ID, or activate one: `meshagent project activate`",
    )
}

/// A duration as people write it: `500ms`, `30s`, `2m`, `1m 30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write it as 500ms, 30s or 2m, at least 1ms and at most 1h".to_owned();
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(parsed)
        .ok()
        .filter(|it| (Duration::from_millis(1)..=Duration::from_secs(3600)).contains(it))
        .ok_or_else(wrong)
}

/// Refuses to send one platform the credential of another. Files of the reference do not name a
/// platform; what is in them is for the default one.
fn check_platform(what: &str, of: Option<&str>, base: &str) -> Result<()> {
    let base = base.trim_end_matches('/');
    let shown = visible::url(base);
    match of {
        Some(of) if of == base => Ok(()),
        None if base == DEFAULT_URL || http::is_here(base) => Ok(()),
        Some(of) => {
            let of = visible::url(of);
            Err(Error::usage(format!("{what} is for {of}, but the platform in use is {shown}")))
        }
        None => Err(Error::usage(format!("{what} does not say that it is for {shown}"))),
    }
}

/// Whether the environment says that a credential may be sent without TLS.
#[must_use]
pub fn is_insecure() -> bool {
    variable("MESHAGENT_INSECURE").is_some_and(|it| it == "1")
}

/// The URL of a room's websocket: below the platform's URL, unless the environment names another
/// place for rooms.
#[must_use]
pub fn room_url(platform: &str, room: &str) -> String {
    let base = variable("MESHAGENT_ROOM_URL").unwrap_or_else(|| {
        platform
            .strip_prefix("http")
            .map_or_else(|| platform.to_owned(), |rest| format!("ws{rest}"))
    });
    format!("{}/rooms/{}", base.trim_end_matches('/'), utf8_percent_encode(room, SEGMENT))
}

/// An environment variable that is set and not empty. Blanks and line breaks around it come from
/// the file or the line that it was pasted from, and are not part of it.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// The project that an API key belongs to.
pub(crate) fn project_of_key(key: &str) -> Option<String> {
    ApiKey::parse(key).map(|key| key.project.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_shown_nowhere() {
        let given = "https://ada:hunter2@platform.test:8/api";
        let platform = PlatformArgs { api_url: Some(given.to_owned()), ..PlatformArgs::default() };
        assert_eq!(platform.flags(), " --api-url https://platform.test:8/api");
        let told = |of| check_platform("it", of, given).expect_err("another one").to_string();
        let others = [told(Some("https://bob:hunter2@other.test")), told(None)];
        assert!(others.iter().all(|told| told.contains("platform.test:8")), "{others:?}");
        assert!(!others.concat().contains("hunter2"), "{others:?}");
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, milliseconds) in
            [("500ms", 500), ("30s", 30_000), ("2m", 120_000), ("1m 30s", 90_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "30", "-1s", "0s", "2h", "1d", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
