//! The embedded platform: REST, store, accounts. It never imports `commands`.
//!
//! | module | holds |
//! |---|---|
//! | `auth` | who the caller is and what the caller may do; keys, participant tokens and sign-ins
//! |
//! | `digest` | what is stored of a secret that is only compared |
//! | `error` | the error type and its statuses |
//! | `exchange` | bodies, queries, conditions, answers |
//! | `host` | the names under which it is reached |
//! | `live` | what lives in memory: the rooms that somebody is in |
//! | `mail` | mail that arrives over SMTP |
//! | `objects` | the rows that more than one module needs |
//! | `published` | published ports of services, by the domains of routes |
//! | `rest` | one file per resource: its routes, handlers and SQL |
//! | `schedule` | when scheduled tasks run |
//! | `store` | the SQLite file, and the vault for what is encrypted in it |
//! | `surface` | which API a request is in, where both are served |
//!
//! It serves two APIs from one store: those of releases 0.31 and 0.56 of the public SDK.
//!
//! Beyond the wire of the public SDK 0.31.4 the platform offers what a reconciler needs to
//! write safely, and what that SDK ignores: entity tags (`ETag` on every answer that
//! stands for one object, `etag` in the items of lists except services, whose model is
//! strict), `If-Match` on every update and delete, `If-None-Match` on uploads,
//! `DELETE /projects/{project}/storage?path=` and `GET /config`.

mod auth;
mod bootstrap;
mod digest;
mod error;
mod exchange;
mod host;
mod live;
mod mail;
mod objects;
mod published;
mod rest;
mod schedule;
mod store;
mod surface;

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::Service;

pub use self::auth::Access;
use self::auth::attempts::Attempts;
pub use self::bootstrap::{Bootstrap, Known, Rotation};
use self::error::Refusal;
use self::exchange::memory::{Kept, Memory};
use self::exchange::spool::Spool;
pub use self::exchange::{BODY_LIMIT, VALUE_LIMIT};
pub use self::host::reachable;
use self::live::Rooms;
pub use self::live::lease::holder as holder_of_rooms;
pub use self::live::operations::OperationSummary;
pub use self::live::{ContainerSettings, Limits};
pub use self::mail::{Encryption, Mail, Relay};
pub use self::store::Place;
use self::store::Store;
pub use self::surface::Serves;
use self::surface::Surfaces;
use crate::api::spoken::Spoken;
use crate::error::{Context, Error};
use crate::notice;
use crate::serving::names::Names;
use crate::serving::{Answer, Bounds, descriptors, serve};

/// The largest form that is read, in bytes: its sender is not authenticated yet.
const FORM_LIMIT: usize = 64 * 1024;

/// How long running requests may continue once the platform was told to stop.
const GRACE: Duration = Duration::from_secs(30);

/// How long the store may take to close.
const CLOSING: Duration = Duration::from_secs(5);

/// The statuses of writes that are refused because of what others have written. Others may have
/// done so in the same transaction. The refused caller must be able to find it then, and so gets
/// the answer only once it is on disk.
const SEEN_BEFORE_IT_LASTS: [StatusCode; 3] =
    [StatusCode::NOT_FOUND, StatusCode::CONFLICT, StatusCode::PRECONDITION_FAILED];

/// How often the files of the store are checked, whether or not anybody writes.
const LOOKING: Duration = Duration::from_secs(2);

/// An open platform. Clones share one store.
#[derive(Debug, Clone)]
pub struct Platform {
    store: Arc<Store>,
    bootstrap: Bootstrap,
    names: Names,
    connections: usize,
    limits: Limits,
    webhook_secret: Option<SecretString>,
    containers: ContainerSettings,
    keeps_rooms: bool,
    serves: Serves,
    page_cap: Option<i64>,
    mail: Option<Arc<Mail>>,
    publishes: Option<Arc<TcpListener>>,
}

/// The state that handlers share.
#[derive(Debug, Clone)]
pub(crate) struct App {
    platform: Platform,
    address: SocketAddr,
    sign_ins: Arc<Attempts>,
    memory: Memory,
    spool: Spool,
    rooms: Rooms,
}

impl App {
    pub(crate) fn store(&self) -> &Store {
        &self.platform.store
    }

    /// The address of the platform, for requests that do not say how they reached it.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The memory that bodies share.
    pub(crate) const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The room on disk that lists share.
    pub(crate) const fn spool(&self) -> &Spool {
        &self.spool
    }

    /// The rooms that run.
    pub(crate) const fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// Which APIs are served.
    pub(crate) const fn serves(&self) -> Serves {
        self.platform.serves
    }

    /// How many objects a page of a list has at most, by default `usual`.
    pub(crate) const fn page_cap(&self, usual: i64) -> i64 {
        match self.platform.page_cap {
            Some(cap) => cap,
            None => usual,
        }
    }

    /// The failed attempts to sign in.
    pub(crate) fn sign_ins(&self) -> &Attempts {
        &self.sign_ins
    }
}

/// A route of the platform, as documentation and tests see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSummary {
    /// The method.
    pub method: axum::http::Method,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// The access that it requires.
    pub access: Access,
}

impl Platform {
    /// Opens the platform that keeps its data in a place; if there is none, creates it with its
    /// owner and a first project.
    ///
    /// # Errors
    ///
    /// The folder cannot be created, or the store in it cannot be opened; this process may
    /// have too few files open.
    pub async fn open(place: impl Into<Place>) -> crate::error::Result<Self> {
        let connections = descriptors::connections()?;
        let store = Store::open(&place.into()).await?;
        let bootstrap = bootstrap::ensure(&store)
            .await
            .context(|| "failed to set up the platform".to_owned())?;
        Ok(Self {
            store: Arc::new(store),
            bootstrap,
            names: Names::default(),
            connections,
            limits: Limits::new(connections),
            webhook_secret: None,
            containers: ContainerSettings::default(),
            keeps_rooms: false,
            serves: Serves::Both,
            page_cap: None,
            mail: None,
            publishes: None,
        })
    }

    /// The same, with more names for requests over loopback.
    #[must_use]
    pub fn known_as(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.names = Names::new(names);
        self
    }

    /// The same, with limits of rooms that are changed from the defaults. Participants get half of
    /// the connections, so more of them need more connections.
    ///
    /// # Errors
    ///
    /// As [`Platform::open`].
    pub fn limiting(mut self, change: impl FnOnce(&mut Limits)) -> crate::error::Result<Self> {
        change(&mut self.limits);
        self.connections = descriptors::at_least(self.limits.participants.saturating_mul(2))?;
        Ok(self)
    }

    /// The same; it has the rooms of its folder from the start, or once the process that has them
    /// ends. Other processes send those who enter them here, and scheduled tasks run here.
    /// Otherwise it takes the rooms, with the tasks, when somebody enters one.
    #[must_use]
    pub const fn keeping_rooms(mut self) -> Self {
        self.keeps_rooms = true;
        self
    }

    /// The same; webhooks are signed with a secret, if there is one.
    #[must_use]
    pub fn signing_webhooks(mut self, secret: Option<SecretString>) -> Self {
        self.webhook_secret = secret;
        self
    }

    /// The same; it runs containers like this. Otherwise it runs none.
    #[must_use]
    pub fn running_containers(mut self, containers: ContainerSettings) -> Self {
        self.containers = containers;
        self
    }

    /// The same; it serves these APIs. Otherwise it serves both.
    #[must_use]
    pub const fn serving(mut self, serves: Serves) -> Self {
        self.serves = serves;
        self
    }

    /// The same; no page of a list has more objects than this, whatever is asked for.
    #[must_use]
    pub const fn capping_pages(mut self, cap: Option<i64>) -> Self {
        self.page_cap = cap;
        self
    }

    /// The same; it takes mail, if there is somewhere to take it.
    #[must_use]
    pub fn taking_mail(mut self, mail: Option<Mail>) -> Self {
        self.mail = mail.map(Arc::new);
        self
    }

    /// The same; it serves published ports on a listener, if there is one.
    #[must_use]
    pub fn publishing(mut self, listener: Option<TcpListener>) -> Self {
        self.publishes = listener.map(Arc::new);
        self
    }

    /// How many connections it serves at once.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.connections
    }

    /// What the owner needs to use the platform.
    #[must_use]
    pub fn bootstrap(&self) -> Bootstrap {
        self.bootstrap.clone()
    }

    /// Replaces keys of the platform in a place, and opens it. Processes that serve from the same
    /// place use the new ones at once.
    ///
    /// # Errors
    ///
    /// There is no platform there; as [`Platform::open`].
    pub async fn replace_keys(place: &Place, which: Rotation) -> crate::error::Result<Self> {
        let mut platform = Self::open_existing(place).await?;
        let failed = || "failed to replace keys of the platform".to_owned();
        bootstrap::replace_keys(&platform.store, which).await.context(failed)?;
        if which.key_file {
            platform.store.replace_key_file().await?;
        }
        platform.bootstrap = bootstrap::ensure(&platform.store).await.context(failed)?;
        Ok(platform)
    }

    /// The API keys of all its projects.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn api_keys(&self) -> crate::error::Result<Vec<Known>> {
        let failed = || "failed to read the API keys".to_owned();
        bootstrap::api_keys(&self.store).await.context(failed)
    }

    /// Makes a key that acts for a member of a project, in the platform of a place.
    ///
    /// # Errors
    ///
    /// There is no platform there, or no such member; as [`Platform::open`].
    pub async fn key_for(place: &Place, user: &str) -> crate::error::Result<secrecy::SecretString> {
        let platform = Self::open_existing(place).await?;
        let key = bootstrap::key_for(&platform.store, user).await;
        platform.close().await;
        key.context(|| format!("failed to make a key for {user}"))
    }

    async fn open_existing(place: &Place) -> crate::error::Result<Self> {
        if !place.has_database() {
            let told = format!("there is no platform in {}", place.data.display());
            return Err(Error::usage(told).hint("name its folder with --data"));
        }
        Self::open(place.clone()).await
    }

    /// Closes a platform that does not serve.
    pub async fn close(self) {
        self.store.close().await;
    }

    /// Every route of 0.31.
    #[must_use]
    pub fn routes() -> Vec<RouteSummary> {
        Self::routes_of(Spoken::V0_31)
    }

    /// Every route of an API.
    #[must_use]
    pub fn routes_of(spoken: Spoken) -> Vec<RouteSummary> {
        rest::routes(spoken).iter().map(rest::Route::summary).collect()
    }

    /// Every operation that its rooms perform.
    #[must_use]
    pub fn operations() -> Vec<OperationSummary> {
        live::operations::summaries()
    }

    /// Serves on a listener until the shutdown future completes, then ends the rooms that run,
    /// finishes the requests under way, for at most half a minute, and closes the store.
    ///
    /// # Errors
    ///
    /// The listener has no address, or accepts no more connections.
    pub async fn serve(
        mut self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> crate::error::Result<()> {
        let address = listener
            .local_addr()
            .context(|| "failed to read the address of the listener".to_owned())?;
        let (store, names) = (Arc::clone(&self.store), self.names.clone());
        let (mail, keeps_rooms) = (self.mail.clone(), self.keeps_rooms);
        let of_mail = mail.as_ref().map_or(0, |_| mail::share(self.connections));
        let publishes = self.publishes.take();
        let of_published = publishes.as_ref().map_or(0, |_| published::share(self.connections));
        let connections = self.connections - of_mail - of_published;
        let rooms = Rooms::new(
            Arc::clone(&store),
            address,
            self.limits,
            self.webhook_secret.clone(),
            self.containers.clone(),
        )
        .context(|| "failed to set up rooms".to_owned())?;
        let app = App {
            platform: self,
            address,
            sign_ins: Arc::default(),
            memory: Memory::default(),
            spool: Spool::default(),
            rooms: rooms.clone(),
        };
        let router = Surfaces::new(app);
        let served = Arc::new(Served { router, names, numbers: Numbers::default() });
        let bounds = Bounds { connections, grace: GRACE };
        let stop = CancellationToken::new();
        // Participants may stay in a room for days, so they are disconnected before the grace
        // period of requests begins.
        let told = async {
            shutdown.await;
            rooms.close().await;
            stop.cancel();
            std::future::pending().await
        };
        if keeps_rooms {
            rooms.take_over().await;
        }
        let taking_mail = async {
            if let Some(mail) = mail {
                let office = (Arc::clone(&store), rooms.clone());
                mail::serve(mail, office, (stop.child_token(), of_mail, GRACE)).await;
            }
        };
        let publishing = async {
            let Some(listener) = publishes else { return std::future::pending().await };
            let bounds = Bounds { connections: of_published, ..bounds };
            published::serve(
                listener,
                (Arc::clone(&store), rooms.clone()),
                (stop.child_token(), bounds),
            )
            .await
        };
        let serving = async {
            let served = serve(listener, served, stop.clone(), bounds);
            tokio::select! {
                (served, ()) = async { tokio::join!(served, taking_mail) } => served,
                published = publishing => published,
            }
        };
        let outcome = tokio::select! {
            outcome = serving => outcome,
            () = look_after(&store, &rooms, keeps_rooms) => Ok(()),
            () = told => Ok(()),
        };
        rooms.close().await;
        // A request that was cut off may still hold a connection. What was acknowledged is on
        // disk, so closing is for tidiness and need not be waited for long.
        if tokio::time::timeout(CLOSING, store.close()).await.is_err() {
            tracing::warn!("the store was not closed");
        }
        outcome.context(|| format!("connections to {address} are no longer accepted"))
    }
}

/// Runs for ever: warns about files that were removed or overwritten, removes participants who may
/// no longer be in their rooms, and ends rooms that were deleted. Another process of the same store
/// may have deleted a room, or it may have been deleted right before somebody entered. If the rooms
/// are to be kept, they are taken once the process that has them ends.
async fn look_after(store: &Store, rooms: &Rooms, keeps_rooms: bool) {
    loop {
        tokio::time::sleep(LOOKING).await;
        if keeps_rooms {
            rooms.take_over().await;
        }
        if let Some(fault) = store.fault().await {
            notice::tell("the data folder is no longer intact", fault);
        }
        // If that cannot be known, they continue.
        let gone = objects::rooms::gone(store.reads(), rooms.running()).await;
        gone.unwrap_or_default().iter().for_each(|room| rooms.delete(room));
        if let Err(refusal) = rooms.remove_unwelcome().await {
            notice::tell("it was not checked who may still be in rooms", &refusal);
        }
    }
}

/// The service that answers requests.
struct Served {
    router: Surfaces,
    names: Names,
    numbers: Numbers,
}

/// Gives each request a unique id, without getting random bytes from the system for each, and
/// without revealing how many requests there were.
#[derive(Default)]
struct Numbers {
    /// The key of the process, which is random.
    key: RandomState,
    last: AtomicU64,
}

impl Numbers {
    /// The next one.
    fn next(&self) -> String {
        format!("{:016x}", self.key.hash_one(self.last.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Answer for Served {
    /// Answers a request, gives it an id and logs its method, path and outcome, never its query,
    /// headers or body; `is_local` says whether it came over loopback.
    async fn answer(&self, mut request: Request, is_local: bool) -> Response {
        // The shared memory that the request uses is released once it is answered.
        let kept = Kept::default();
        if !request.body().is_end_stream() {
            request.extensions_mut().insert(kept.clone());
        }
        let id = self.numbers.next();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let start = Instant::now();
        let known =
            if is_local { self.names.check(request.uri(), request.headers()) } else { Ok(()) };
        let mut response = match known.map_err(error::Refusal::from) {
            Ok(()) => match self.router.of(&request).clone().call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            Err(refusal) => refusal.into_response(),
        };
        let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
        let status = response.status().as_u16();
        tracing::info!(%id, %method, path, status, milliseconds, "request");
        if let Ok(id) = HeaderValue::try_from(id) {
            response.headers_mut().insert("x-request-id", id);
        }
        response
    }
}

/// Delays the answer to a write that is refused because of what others wrote until that is on
/// disk.
async fn settle(State(app): State<App>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if SEEN_BEFORE_IT_LASTS.contains(&response.status()) {
        app.store().settled().await;
    }
    response
}

fn router(app: App, routes: Vec<rest::Route>) -> Router {
    let mut router = Router::new();
    for route in routes {
        let admit = middleware::from_fn_with_state((app.clone(), route.access), auth::admit);
        let handler = match route.is_read() {
            true => route.handler,
            // After authorization, so that nobody else can make this wait for the store, or make
            // it commit.
            false => route.handler.route_layer(middleware::from_fn_with_state(app.clone(), settle)),
        };
        router = router.route(route.path, handler.route_layer(admit));
    }
    router
        .method_not_allowed_fallback(|| async { Refusal::MethodNotAllowed })
        .fallback(|| async { Refusal::NotFound("no such path".into()) })
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
        .with_state(app)
}
