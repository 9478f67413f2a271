//! Flags, environment and files, resolved once: flags win over the environment, the
//! environment over files. The names and files are those of the reference command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;

use crate::api::client::Client;
use crate::api::failure;
use crate::api::http;
use crate::api::key::ApiKey;
use crate::api::project;
use crate::api::retry::Retry;
use crate::error::{Error, Result};
use crate::manifest::age::KEY_VARIABLE;
use crate::output;
use crate::platform::{Place, Platform};
use crate::visible;
use project_file::ProjectFile;
use session_file::SessionFile;

mod home_file;
pub mod project_file;
pub mod session_file;

/// Where the platform is when nothing says otherwise.
const DEFAULT_URL: &str = "https://api.meshagent.com";

/// Where the embedded platform keeps its data when nothing says otherwise.
pub const DEFAULT_DATA: &str = ".meshagent/embedded";

/// The variables that hold a credential of the program's, to be used or to sign with.
const CREDENTIALS: [&str; 6] = [
    "MESHAGENT_API_KEY",
    "MESHAGENT_TOKEN",
    "MESHAGENT_SECRET",
    "MESHAGENT_WEBHOOK_SECRET",
    "MESHAGENT_OAUTH_CLIENT_SECRET",
    KEY_VARIABLE,
];

/// Lets no credential of the environment stand in what is printed.
pub fn conceal_credentials() {
    let texts = CREDENTIALS.into_iter().filter_map(variable);
    texts.for_each(|text| output::conceal(&SecretString::from(text)));
}

/// The variables that hold a credential, the first of them first.
pub const GIVEN: [&str; 2] = ["MESHAGENT_API_KEY", "MESHAGENT_TOKEN"];

/// Which platform is talked to, and as whom.
#[derive(Debug, Clone, clap::Args)]
pub struct PlatformArgs {
    /// The project of what names none, by name or id
    #[arg(long, value_name = "PROJECT", help_heading = "Platform")]
    pub project_id: Option<String>,

    // The text is read in a terminal, where a link needs no brackets.
    #[allow(rustdoc::bare_urls)]
    /// The platform's URL [env: MESHAGENT_API_URL] [default: https://api.meshagent.com]
    #[arg(long, value_name = "URL", help_heading = "Platform")]
    pub api_url: Option<String>,

    /// Send the credential over plain http, also to another machine [env: MESHAGENT_INSECURE=1]
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

    /// How long one request may take with its retries
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "60s",
        value_parser = duration,
        help_heading = "Platform"
    )]
    pub timeout: Duration,

    /// How often a request is tried again
    #[arg(
        long,
        value_name = "N",
        default_value_t = Retry::default().retries,
        value_parser = clap::value_parser!(u32).range(..=100),
        help_heading = "Platform"
    )]
    pub retries: u32,
}

/// Which project is meant, where a platform is asked for no more than the id of a name.
#[derive(Debug, Clone, clap::Args)]
pub struct ProjectArgs {
    /// The project, by name or id [default: MESHAGENT_PROJECT_ID, else the activated project]
    #[arg(long, value_name = "PROJECT", help_heading = "Platform")]
    pub project_id: Option<String>,
}

impl ProjectArgs {
    /// The name or id of the project that is meant.
    ///
    /// # Errors
    ///
    /// Nothing names one; a settings file that cannot be read.
    pub fn named(&self) -> Result<String> {
        let key = || variable("MESHAGENT_API_KEY").and_then(|key| project_of_key(&key));
        let named = match &self.project_id {
            Some(project) => Some(project.clone()),
            None => variable("MESHAGENT_PROJECT_ID")
                .or(ProjectFile::read()?.active_project)
                .or_else(key),
        };
        named.filter(|project| !project.is_empty()).ok_or_else(no_project)
    }

    /// The id of the project that is meant.
    ///
    /// # Errors
    ///
    /// As [`ProjectArgs::named`]; a name that the platform does not know.
    pub async fn project_id(&self) -> Result<String> {
        self.id_on(PlatformArgs::default()).await
    }

    /// The same on a platform that is named.
    ///
    /// # Errors
    ///
    /// As [`ProjectArgs::project_id`].
    pub async fn id_on(&self, platform: PlatformArgs) -> Result<String> {
        let named = self.named()?;
        if project::is_id(&named) {
            return Ok(named);
        }
        PlatformArgs { project_id: Some(named), ..platform }
            .with(async |connection| connection.project_id().await.map(str::to_owned))
            .await
    }
}

/// A platform to talk to. An embedded one runs until this is dropped.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The project that `--project-id` names.
    pub project: Option<String>,
    /// The project that the environment, a file or the credential names.
    pub fallback_project: Option<String>,
    /// Whether somebody chose that project, and it is not just the credential's.
    pub is_chosen: bool,
    /// The options that say again which platform is meant, each after a blank.
    pub flags: String,
    /// The id of the project that is meant, once it is known.
    project_id: OnceCell<String>,
    server: Option<Server>,
}

struct Server {
    stop: tokio_util::sync::CancellationToken,
    task: tokio::task::JoinHandle<Result<()>>,
}

impl Default for PlatformArgs {
    fn default() -> Self {
        let Retry { retries, timeout } = Retry::default();
        Self { project_id: None, api_url: None, insecure: false, embedded: None, timeout, retries }
    }
}

impl PlatformArgs {
    /// The project that the settings name, without talking to a platform.
    ///
    /// # Errors
    ///
    /// A settings file that cannot be read.
    pub fn offline_project(&self) -> Result<Option<String>> {
        let file = ProjectFile::read()?;
        Ok(variable("MESHAGENT_PROJECT_ID").or(file.active_project))
    }

    /// The platform's URL.
    #[must_use]
    pub fn url(&self) -> String {
        let given = self.api_url.clone().or_else(|| variable("MESHAGENT_API_URL"));
        given.unwrap_or_else(|| DEFAULT_URL.to_owned())
    }

    /// The options that say again which platform is meant, for a command line that is told.
    fn flags(&self) -> String {
        let quoted = |text: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "/:._-~".contains(c);
            match text.chars().all(is_plain) {
                true => text.to_owned(),
                false => format!("'{}'", text.replace('\'', "'\\''")),
            }
        };
        match (&self.embedded, &self.api_url) {
            (Some(data), _) if data == Path::new(DEFAULT_DATA) => " --embedded".to_owned(),
            (Some(data), _) => format!(" --embedded={}", quoted(&data.display().to_string())),
            (None, Some(url)) => format!(" --api-url {}", quoted(&visible::url(url))),
            (None, None) => String::new(),
        }
    }

    /// The platform's URL, where a credential may be sent to it.
    ///
    /// # Errors
    ///
    /// It is plain http of another machine, and nobody said that this may be.
    pub fn safe_url(&self) -> Result<String> {
        let url = self.url();
        http::check_platform(&url)?;
        if !self.insecure && !is_insecure() {
            http::refuse_plain(&url)?;
        }
        Ok(url)
    }

    /// The session that a person has begun by signing in, where no credential goes before it.
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

    /// Connects, starting the embedded platform when it is asked for.
    ///
    /// # Errors
    ///
    /// No credential; a platform that cannot be started.
    pub async fn connect(&self) -> Result<Connection> {
        if let Some(data) = &self.embedded {
            return self.connect_embedded(data).await;
        }
        let file = ProjectFile::read()?;
        let url = self.safe_url()?;
        let chosen = variable("MESHAGENT_PROJECT_ID").or(file.active_project.clone());
        let session = self.session().await?;
        let given = GIVEN.into_iter().find_map(|name| Some((variable(name)?, name.to_owned())));
        let mut token = given
            .map(|(token, name)| (SecretString::from(token), name))
            .or(session.map(|it| (it.access_token, "the session of `auth login`".to_owned())));
        if let (None, Some(project)) = (&token, self.project_id.as_ref().or(chosen.as_ref())) {
            let from = || format!("the activated key of project {project}");
            token = file.key_for(project, &url)?.map(|key| (key.clone(), from()));
        }
        let Some((token, from)) = token else {
            return Err(Error::usage("there are no credentials for the platform").hint(
                "sign in with `meshagent auth login`, set MESHAGENT_API_KEY, or add --embedded to use the platform in this program, with no account",
            ));
        };
        failure::credential_from(from);
        let is_chosen = chosen.is_some();
        let fallback_project = chosen.or_else(|| project_of_key(token.expose_secret()));
        let client = Client::new(&url, token, self.retry())?;
        let is_named = self.project_id.is_some() || is_chosen;
        if !is_named && variable(GIVEN[0]).is_some_and(|key| is_malformed(&key)) {
            output::note(
                "note: MESHAGENT_API_KEY is not a whole API key of MeshAgent, so it names no project",
            );
        }
        Ok(Connection {
            client,
            project: self.project_id.clone(),
            fallback_project,
            is_chosen,
            flags: self.flags(),
            project_id: OnceCell::new(),
            server: None,
        })
    }

    /// Connects, does the work, and ends an embedded platform.
    ///
    /// # Errors
    ///
    /// As [`PlatformArgs::connect`]; the work's.
    pub async fn with<T>(&self, work: impl AsyncFnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = self.connect().await?;
        let done = work(&connection).await;
        let closed = connection.close().await;
        done.and_then(|done| closed.map(|()| done))
    }

    fn retry(&self) -> Retry {
        Retry { retries: self.retries, timeout: self.timeout }
    }

    async fn connect_embedded(&self, data: &Path) -> Result<Connection> {
        let is_overridden = self.project_id.is_none() && variable("MESHAGENT_PROJECT_ID").is_some();
        if is_overridden {
            output::note(
                "note: MESHAGENT_PROJECT_ID is ignored with --embedded, which has a project of its own; --project-id names another",
            );
        }
        let platform = Platform::open(place(data, None)).await?;
        let bootstrap = platform.bootstrap();
        output::conceal(&bootstrap.api_key);
        let failed = |error: std::io::Error| {
            Error::failed("failed to start the embedded platform").because(error)
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let stop = tokio_util::sync::CancellationToken::new();
        let task = tokio::spawn(platform.serve(listener, stop.clone().cancelled_owned()));
        let client = Client::new(&format!("http://{address}"), bootstrap.api_key, self.retry())?;
        Ok(Connection {
            client,
            project: self.project_id.clone(),
            // What the environment names is a project of another platform.
            fallback_project: Some(bootstrap.project_id),
            // Who names one project means one, and was told that it is this.
            is_chosen: is_overridden,
            flags: self.flags(),
            project_id: OnceCell::new(),
            server: Some(Server { stop, task }),
        })
    }
}

impl Connection {
    /// The id of the project that is meant, which is looked up where it is told by name.
    ///
    /// # Errors
    ///
    /// Nothing names one; there is no such project, or there are several.
    pub async fn project_id(&self) -> Result<&str> {
        let project = self.project.as_ref().or(self.fallback_project.as_ref());
        let project = project.filter(|project| !project.is_empty()).ok_or_else(no_project)?;
        let find = async || project::id_of(&self.client.reader(), project).await;
        self.project_id.get_or_try_init(find).await.map(String::as_str)
    }

    /// What a plan says of the platform; the embedded one has another port each time. A
    /// user and a password in its URL are nobody's business.
    #[must_use]
    pub fn platform_name(&self) -> String {
        match &self.server {
            Some(_) => "embedded".to_owned(),
            None => visible::url(self.client.base()),
        }
    }

    /// Ends an embedded platform, after it has answered what it was asked.
    ///
    /// # Errors
    ///
    /// The platform's.
    pub async fn close(mut self) -> Result<()> {
        drop(self.client);
        if let Some(server) = self.server.take() {
            server.stop.cancel();
            server
                .task
                .await
                .map_err(|error| Error::failed("the embedded platform failed").because(error))??;
        }
        Ok(())
    }
}

fn no_project() -> Error {
    Error::usage("it is not said which project is meant").hint(
        "give --project-id, set MESHAGENT_PROJECT_ID, or activate one: `meshagent project activate`",
    )
}

/// Where an embedded platform keeps its data: in a folder, and the key of what is encrypted
/// there in a file that is given, or named by the environment, or in the folder.
#[must_use]
pub fn place(data: &Path, key_file: Option<PathBuf>) -> Place {
    let named = || variable("MESHAGENT_PLATFORM_KEY_FILE").map(PathBuf::from);
    Place { data: data.to_owned(), key_file: key_file.or_else(named) }
}

/// A duration as people write it: `500ms`, `30s`, `2m`, `1m 30s`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write it as 500ms, 30s or 2m, at least 1ms and at most 1h".to_owned();
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(parsed)
        .ok()
        .filter(|it| (Duration::from_millis(1)..=Duration::from_secs(3600)).contains(it))
        .ok_or_else(wrong)
}

/// Refuses to show one platform what another one gave. Files of the reference do not say
/// which that was; what is in them is for the platform that is meant where nothing is said.
fn check_platform(what: &str, of: Option<&str>, base: &str) -> Result<()> {
    let base = base.trim_end_matches('/');
    let shown = visible::url(base);
    match of {
        Some(of) if of == base => Ok(()),
        None if base == DEFAULT_URL || http::is_here(base) => Ok(()),
        Some(of) => {
            let of = visible::url(of);
            Err(Error::usage(format!("{what} is for {of}, and {shown} is meant")))
        }
        None => Err(Error::usage(format!("{what} does not say that it is for {shown}"))),
    }
}

/// Whether the environment says that a credential may be sent without TLS.
#[must_use]
pub fn is_insecure() -> bool {
    variable("MESHAGENT_INSECURE").is_some_and(|it| it == "1")
}

/// An environment variable that is set and not empty.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a key is neither an API key nor a token, which has three parts.
fn is_malformed(key: &str) -> bool {
    ApiKey::parse(key).is_none() && key.split('.').count() != 3
}

/// The project that an API key belongs to.
fn project_of_key(key: &str) -> Option<String> {
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
