//! The connection to the platform: flags, environment and files ([`crate::settings`]) become a
//! client, with an embedded platform if that is requested.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;

use crate::api::client::Client;
use crate::api::credentials;
use crate::api::detect::{Detected, detect};
use crate::api::failure;
use crate::api::key::ApiKey;
use crate::api::project::{self, Origin};
use crate::api::reader::ListError;
use crate::apply::inside::EnteredRooms;
use crate::conceal;
use crate::error::{Class, Context, Error, Place, Result};
use crate::listed::few;
use crate::output;
use crate::platform::{self, ContainerSettings, Platform};
use crate::project_file::{Environment, ProjectFile};
use crate::reconcile::Target;
use crate::settings::activated::Activated;
use crate::settings::session_file::SessionFile;
use crate::settings::{
    GIVEN, PlatformArgs, ProjectArgs, SignedIn, no_project, project_of_key, variable,
};
use crate::visible;

/// Refuses to send the credential of the environment variables to a platform that only a file
/// names: a project file may be a stranger's. Sessions and activated keys know their platform.
fn refuse_unnamed(name: &str, url: &str, place: &Place) -> Result<()> {
    let named = PlatformArgs::default().url();
    let given = GIVEN.into_iter().find(|name| variable(name).is_some());
    match given {
        Some(given) if !is_same_url(url, &named) => Err(Error::new(
            Class::Refused,
            format!(
                "{place}: environment `{name}` is on {}, but {given} is for {}, so it is not sent there",
                visible::url(url),
                visible::url(&named)
            ),
        )
        .hint("if you trust the project file, set MESHAGENT_API_URL to that URL, too")),
        _ => Ok(()),
    }
}

fn is_same_url(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// A platform to talk to. An embedded one runs until this is dropped.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The project that `--project-id` names.
    pub project: Option<String>,
    /// The project that the environment, a file or the credential names.
    pub fallback_project: Option<String>,
    /// Whether the user chose that project; otherwise it is only the credential's.
    pub is_chosen: bool,
    /// The options that select the same platform again, each after a space.
    pub flags: String,
    /// The id of the project in use, once it is known.
    project_id: OnceCell<String>,
    server: Option<Server>,
    /// Where the embedded platform keeps its data.
    data: Option<PathBuf>,
}

/// What a command sends to a platform, and where it comes from.
pub struct Credential {
    /// What is sent.
    secret: SecretString,
    /// Where it comes from.
    pub by: By,
    /// The id of the project, if it is known from the credential.
    project: Option<String>,
    /// The session that it belongs to.
    session: Option<SessionFile>,
}

/// Where a credential comes from.
#[derive(Debug, Clone)]
pub enum By {
    /// A variable of the environment.
    Variable(&'static str),
    /// The session of a person.
    Session {
        /// What it is for.
        scope: Option<String>,
        /// When it ends, in Unix seconds.
        expires_at: Option<i64>,
    },
    /// The activated key of a project.
    Activated {
        /// The project, as it was named.
        project: String,
    },
}

impl By {
    /// How messages name it.
    fn described(&self) -> String {
        match self {
            Self::Variable(name) => (*name).to_owned(),
            Self::Session { .. } => "the session of `auth login`".to_owned(),
            Self::Activated { project } => format!("the activated key of project {project}"),
        }
    }
}

struct Server {
    stop: tokio_util::sync::CancellationToken,
    task: tokio::task::JoinHandle<Result<()>>,
}

impl ProjectArgs {
    /// The id of the project in use.
    ///
    /// # Errors
    ///
    /// As [`ProjectArgs::named`]; a name that the platform does not know.
    pub async fn project_id(&self) -> Result<String> {
        self.id_on(PlatformArgs::default()).await
    }

    /// The same on a given platform.
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

impl PlatformArgs {
    /// The same for an environment of the project file: its project and its platform, unless
    /// others are given.
    ///
    /// # Errors
    ///
    /// Another project is given; the platform is named by nothing but a file, and the credential
    /// may be another one's.
    pub fn in_environment(mut self, environment: &Environment) -> Result<Self> {
        let name = &environment.name;
        self.settled = Some(self.flags());
        match (&self.project_id, &environment.project) {
            (Some(given), Some(own)) if given != own => {
                return Err(Error::usage(format!(
                    "environment `{name}` is for project `{}`, but --project-id names `{}`",
                    visible::line(own),
                    visible::line(given)
                ))
                .hint("leave one of them out"));
            }
            (None, Some(own)) => self.project_id = Some(own.clone()),
            _ => {}
        }
        if self.is_on_platform_of(environment) {
            self.dialect = self.dialect.or(environment.dialect);
        }
        if self.embedded.is_none() && self.api_url.is_none() {
            self.embedded.clone_from(&environment.embedded);
            if let Some((url, place)) =
                environment.api_url.as_ref().filter(|_| self.embedded.is_none())
            {
                if !self.is_offline {
                    refuse_unnamed(name, url, place)?;
                }
                self.api_url = Some(url.clone());
            }
        }
        Ok(self)
    }

    /// Whether the options name no other platform than the environment does.
    fn is_on_platform_of(&self, environment: &Environment) -> bool {
        let absolute = |folder: &Path| std::path::absolute(folder).ok();
        match (&self.embedded, &self.api_url) {
            (None, None) => true,
            (Some(data), _) => {
                let own = environment.embedded.as_deref();
                own.is_some_and(|own| absolute(own) == absolute(data))
            }
            (None, Some(url)) => environment
                .api_url
                .as_ref()
                .is_some_and(|(own, _)| environment.embedded.is_none() && is_same_url(own, url)),
        }
    }

    /// The same in the environment that is named, if there is one.
    ///
    /// # Errors
    ///
    /// As [`PlatformArgs::in_environment`]; a project file that is not there or cannot be used.
    pub fn settled(&self) -> Result<Self> {
        match self.named_environment().filter(|_| self.settled.is_none()) {
            Some(named) => {
                let environment = ProjectFile::named(&named)?.environment(Some(&named))?;
                self.clone().in_environment(&environment)
            }
            None => Ok(self.clone()),
        }
    }

    /// Connects, starting the embedded platform when it is asked for.
    ///
    /// # Errors
    ///
    /// No credential; a platform that cannot be started.
    pub async fn connect(&self) -> Result<Connection> {
        if self.settled.is_none() && self.named_environment().is_some() {
            return Box::pin(self.settled()?.connect()).await;
        }
        if let Some(data) = &self.embedded {
            return self.connect_embedded(data).await;
        }
        let url = self.safe_url()?;
        let chosen = self.offline_project()?;
        let Some(credential) = self.credential().await? else {
            let hint = "sign in with `meshagent auth login`, set MESHAGENT_API_KEY, or add --embedded to use the platform in this program, with no account";
            let file = ProjectFile::find().filter(|_| self.settled.is_none());
            return Err(Error::usage("there are no credentials for the platform").hint(
                match file {
                    Some(file) => {
                        format!("{hint}; -e NAME uses an environment of {}", file.display())
                    }
                    None => hint.to_owned(),
                },
            ));
        };
        let Credential { secret, by, project, session } = credential;
        failure::credential_from(by.described());
        let is_chosen = chosen.is_some();
        project::named_by(match (&self.project_id, variable("MESHAGENT_PROJECT_ID")) {
            (Some(_), _) if self.settled.is_some() => Origin::Environment,
            (Some(_), _) => Origin::Option,
            (None, Some(_)) => Origin::Variable,
            (None, None) if is_chosen => Origin::Activated,
            (None, None) => Origin::Key,
        });
        let fallback_project = chosen.or_else(|| project_of_key(secret.expose_secret()));
        let client = match session {
            Some(session) => {
                credentials::header(&secret)?;
                let signed_in = SignedIn::new(session, &url, self.timeout);
                Client::asking_as(&url, Arc::new(signed_in), self.retry())?
            }
            None => Client::new(&url, secret, self.retry())?,
        };
        let is_named = self.project_id.is_some() || is_chosen;
        if !is_named && variable(GIVEN[0]).is_some_and(|key| is_malformed(&key)) {
            output::note(
                "note: MESHAGENT_API_KEY is not a complete MeshAgent API key, so it names no project",
            );
        }
        let detected = detect(&client, self.named_dialect()?).await?;
        if let Some(told) = &detected.note {
            output::note(&format!("note: {told}"));
        }
        let client = client.speaking(&detected);
        let rooms = EnteredRooms::new(url, self.insecure);
        Ok(Connection {
            client: client.entering(Arc::new(rooms)),
            project: self.project_id.clone(),
            fallback_project,
            is_chosen,
            flags: self.flags(),
            project_id: OnceCell::new_with(project),
            server: None,
            data: None,
        })
    }

    /// The credential for a platform outside this program, if there is one: from the environment,
    /// else the session of a person, else the activated key of the project in use.
    ///
    /// # Errors
    ///
    /// The credential is for another platform; the session cannot be refreshed; a project that is
    /// given by name cannot be looked up.
    pub async fn credential(&self) -> Result<Option<Credential>> {
        let given = GIVEN.into_iter().find_map(|name| Some((variable(name)?, By::Variable(name))));
        if let Some((text, by)) = given {
            let secret = SecretString::from(text);
            return Ok(Some(Credential { secret, by, project: None, session: None }));
        }
        if let Some(session) = self.session().await? {
            let (scope, expires_at) = (session.scope.clone(), session.expires_at);
            return Ok(Some(Credential {
                secret: session.access_token.clone(),
                by: By::Session { scope, expires_at },
                project: None,
                session: Some(session),
            }));
        }
        let project = self.project_id.clone().or(self.offline_project()?);
        match project {
            Some(project) if !project.is_empty() => self.activated(&project).await,
            _ => Ok(None),
        }
    }

    /// The activated key of a project. For a project that is given by name, each key for the
    /// platform is used to ask for its project.
    async fn activated(&self, project: &str) -> Result<Option<Credential>> {
        let (file, url) = (Activated::read()?, self.safe_url()?);
        let of = |id: &str| -> Result<Option<Credential>> {
            let by = By::Activated { project: project.to_owned() };
            Ok(file.key_for(id, &url)?.map(|key| Credential {
                secret: key.clone(),
                by,
                project: project::is_id(id).then(|| id.to_owned()),
                session: None,
            }))
        };
        if project::is_id(project) || file.has_key(project) {
            return of(project);
        }
        let mut found = Vec::new();
        for id in file.projects_at(&url) {
            let Some(credential) = of(id)? else { continue };
            let client = Client::new(&url, credential.secret.clone(), self.retry())?;
            match project::name_of(&client.reader(), id).await {
                Ok(Some(name)) if name == project => found.push(credential),
                Ok(_) => {}
                // A key that was deleted opens nothing, and another may.
                Err(ListError::Failed(error)) if matches!(error.status, Some(401 | 403)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match found.len() {
            0 | 1 => Ok(found.pop()),
            several => {
                let ids = few(found.iter().filter_map(|it| it.project.as_deref()));
                let told = format!("{several} projects with activated keys are called {project:?}");
                Err(Error::failed(told).hint(format!("use an id instead of the name: {ids}")))
            }
        }
    }

    /// Connects, does the work, and ends an embedded platform.
    ///
    /// # Errors
    ///
    /// As [`PlatformArgs::connect`]; errors of the work.
    pub async fn with<T>(&self, work: impl AsyncFnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = self.connect().await?;
        let done = work(&connection).await;
        let closed = connection.close().await;
        done.and_then(|done| closed.map(|()| done))
    }

    async fn connect_embedded(&self, data: &Path) -> Result<Connection> {
        let is_overridden = self.project_id.is_none() && variable("MESHAGENT_PROJECT_ID").is_some();
        if is_overridden {
            output::note(
                "note: MESHAGENT_PROJECT_ID is ignored with --embedded, which has its own project; use --project-id to choose another",
            );
        }
        let place = place(data, None);
        let is_new = !place.has_database();
        if is_new {
            refuse_foreign(data, "--embedded=DIR")?;
        }
        let platform = Platform::open(place).await?.running_containers(ContainerSettings::usual());
        if is_new {
            let here = std::env::current_dir().unwrap_or_default();
            let folder = data.strip_prefix(here).unwrap_or(data).display();
            output::note(&format!("note: a new embedded platform was created in {folder}"));
        }
        let listener =
            tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.map_err(not_started)?;
        self.hosted(platform, listener, data).await
    }

    /// Serves a platform until the connection is closed, and connects to it as its owner. `data` is
    /// the folder that it was opened with.
    ///
    /// # Errors
    ///
    /// The listener has no address; a file of the platform cannot be read.
    pub async fn hosted(
        &self,
        platform: Platform,
        listener: tokio::net::TcpListener,
        data: &Path,
    ) -> Result<Connection> {
        let is_overridden = self.project_id.is_none() && variable("MESHAGENT_PROJECT_ID").is_some();
        let activated = Activated::read_embedded(data)?.active_project;
        project::named_by(match (&self.project_id, &activated) {
            (Some(_), _) if self.settled.is_some() => Origin::Environment,
            (Some(_), _) => Origin::Option,
            (None, Some(_)) => Origin::Activated,
            (None, None) => Origin::Embedded,
        });
        let bootstrap = platform.bootstrap();
        conceal::credential(&bootstrap.api_key);
        let address = listener.local_addr().map_err(not_started)?;
        let stop = tokio_util::sync::CancellationToken::new();
        let task = tokio::spawn(platform.serve(listener, stop.clone().cancelled_owned()));
        let client = Client::new(&format!("http://{address}"), bootstrap.api_key, self.retry())?;
        let client = match self.named_dialect()? {
            Some(named) => client.clone().speaking(&detect(&client, Some(named)).await?),
            None => {
                let usual = client.spoken();
                client.speaking(&Detected::both(usual))
            }
        };
        let elsewhere = platform::holder_of_rooms(data);
        let rooms = elsewhere.unwrap_or_else(|| client.base().to_owned());
        Ok(Connection {
            client: client.entering(Arc::new(EnteredRooms::new(rooms, self.insecure))),
            project: self.project_id.clone(),
            // What the environment names is a project of another platform. Who names one means
            // one, and was told that it is this.
            is_chosen: is_overridden || activated.is_some(),
            fallback_project: activated.or(Some(bootstrap.project_id)),
            flags: self.flags(),
            project_id: OnceCell::new(),
            server: Some(Server { stop, task }),
            data: Some(data.to_owned()),
        })
    }
}

impl Connection {
    /// The id of the project in use, which is looked up if it is given by name.
    ///
    /// # Errors
    ///
    /// Nothing names one; there is no such project, or there are several.
    pub async fn project_id(&self) -> Result<&str> {
        let project = self.project.as_ref().or(self.fallback_project.as_ref());
        let project = project.filter(|project| !project.is_empty()).ok_or_else(no_project)?;
        let find = async || {
            let found = project::id_of(&self.client.reader(), project).await;
            found.map_err(|error| match project::origin() {
                Some(origin) => {
                    let message = format!("{}; the name comes from {origin}", error.message);
                    error.saying(message)
                }
                None => error,
            })
        };
        self.project_id.get_or_try_init(find).await.map(String::as_str)
    }

    /// The URL below which rooms are: the platform's, unless another process has the rooms of the
    /// same data folder.
    #[must_use]
    pub fn rooms(&self) -> String {
        let elsewhere = self.data.as_deref().and_then(platform::holder_of_rooms);
        elsewhere.unwrap_or_else(|| self.client.base().to_owned())
    }

    /// The file that says which project is activated on this platform.
    ///
    /// # Errors
    ///
    /// As [`Activated::read`].
    pub fn project_file(&self) -> Result<Activated> {
        match &self.data {
            Some(data) => Activated::read_embedded(data),
            None => Activated::read(),
        }
    }

    /// What a plan says about the platform; the embedded one has another port each time. A user and
    /// a password in the URL are left out.
    #[must_use]
    pub fn platform_name(&self) -> String {
        match &self.server {
            Some(_) => "embedded".to_owned(),
            None => visible::url(self.client.base()),
        }
    }

    /// The target to plan and apply on.
    #[must_use]
    pub fn target(&self) -> Target {
        Target {
            client: self.client.clone(),
            name: self.platform_name(),
            project: self.project.clone(),
            fallback_project: self.fallback_project.clone(),
            is_chosen: self.is_chosen,
            flags: self.flags.clone(),
        }
    }

    /// Ends an embedded platform, after it has answered all requests.
    ///
    /// # Errors
    /// Errors of the platform.
    pub async fn close(mut self) -> Result<()> {
        self.client.leave_rooms().await;
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

/// Refuses to create a platform in a folder that holds something else, such as manifests: its keys
/// would lie beside them, and could get into a repository. `option` is how another folder is given.
///
/// # Errors
///
/// Such a folder.
pub fn refuse_foreign(data: &Path, option: &str) -> Result<()> {
    let is_own = |name: &str| {
        // What a new volume holds, and the log of the program itself.
        let is_harmless = name == "lost+found" || name.ends_with(".log");
        let is_platform = name.starts_with("platform.") || name.ends_with(".lock");
        name.starts_with('.') || is_platform || is_harmless
    };
    let there = std::fs::read_dir(data).into_iter().flatten().flatten();
    let mut names = there.map(|entry| entry.file_name().to_string_lossy().into_owned());
    match names.find(|name| !is_own(name)) {
        None => Ok(()),
        Some(_) => {
            let folder = visible::line(&data.display().to_string()).into_owned();
            Err(Error::usage(format!(
                "{folder} holds other files and no embedded platform, so none was created in it"
            ))
            .hint(match option {
                "--embedded=DIR" => {
                    "give a new folder with --embedded=DIR; manifests are given with -f".to_owned()
                }
                option => format!("give a new folder with {option}"),
            }))
        }
    }
}

fn not_started(error: std::io::Error) -> Error {
    Error::failed("failed to start the embedded platform").because(error)
}

/// Listens on an address that an option names; the listener, and the address that it got.
///
/// # Errors
///
/// The system does not allow it, or somebody else listens there.
pub async fn listen(wanted: SocketAddr, option: &str) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(wanted).await.map_err(|cause| {
        let busy = cause.kind() == std::io::ErrorKind::AddrInUse;
        let error = Error::failed(format!("failed to listen on {wanted}")).because(cause);
        match busy {
            true => error.hint(format!("choose another port with {option}, or 0 for a free one")),
            false => error,
        }
    })?;
    let address = listener.local_addr().context(|| "failed to read the address".to_owned())?;
    Ok((listener, address))
}

/// Where an embedded platform keeps its data: in a folder, with the encryption key in a file that
/// is given, or named by the environment, or in the folder.
#[must_use]
pub fn place(data: &Path, key_file: Option<PathBuf>) -> platform::Place {
    let named = || variable("MESHAGENT_PLATFORM_KEY_FILE").map(PathBuf::from);
    platform::Place { data: data.to_owned(), key_file: key_file.or_else(named) }
}

/// Whether a key is neither an API key nor a token, which has three parts.
fn is_malformed(key: &str) -> bool {
    ApiKey::parse(key).is_none() && key.split('.').count() != 3
}
