//! The containers of rooms: which engine runs them, whose they are, and when they end.
//!
//! | module | holds |
//! |---|---|
//! | `archive` | which images are in an archive |
//! | `door` | the way from containers to the platform |
//! | `given` | what a container is given: files, variables, a token |
//! | `jobs` | work with images that takes long, and looks like a container |
//! | `owned` | which containers are a room's, and who may use them |
//! | `reach` | how the platform gets to a port of a container |
//!
//! What an engine is told is in the crate `meshagent-containers`. What is known of a container is in
//! its labels, so that a process that starts finds the containers of the one before it.
//!
//! Must not live here: what participants may do, which is in the table of operations.

pub mod archive;
mod door;
pub mod given;
pub mod jobs;
pub mod owned;
pub mod reach;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use meshagent_containers::{Engine, Error, Limits, Listed, Socket, Spec};
use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, OwnedRwLockReadGuard, RwLock, Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::door::Door;
use super::House;
use super::calls::refused;
use super::room::Room;
use crate::notice;
use crate::room::codes;
use crate::room::content::Refused;

/// The label of all containers of a data folder, and the labels of what is known of one.
pub const PLATFORM: &str = "meshagent.platform";
/// The id of the room.
pub const ROOM: &str = "meshagent.room";
/// The id of the session in which it was started.
pub const SESSION: &str = "meshagent.session";

/// How long the containers of a process that ended wait until somebody enters their room again.
const ORPHANED: Duration = Duration::from_secs(60);

/// How many containers are being made or removed at once: made in all rooms, removed of one.
const AT_ONCE: usize = 8;

/// How long the engine has to remove containers when the platform closes.
const CLOSING: Duration = Duration::from_secs(10);

/// Which engine runs containers, and within which limits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the engine is; none if no containers are run.
    pub socket: Option<Socket>,
    /// What one container may use.
    pub each: Limits,
    /// How many containers a room may have.
    pub most: usize,
    /// Where containers reach the platform, if not as usual.
    pub url: Option<String>,
}

impl Default for Settings {
    /// No containers.
    fn default() -> Self {
        Self { socket: None, each: Limits::default(), most: 32, url: None }
    }
}

impl Settings {
    /// Containers of the engine that is where engines usually are, if one is.
    #[must_use]
    pub fn usual() -> Self {
        Self { socket: Some(Socket::Usual), ..Self::default() }
    }
}

/// The containers of all rooms of a data folder.
pub struct Containers {
    settings: Settings,
    scratch: PathBuf,
    /// What all of its containers have as a label.
    platform: String,
    engine: OnceCell<Engine>,
    /// Making one takes the engine a while, and memory.
    making: Semaphore,
    /// The ways to the platform that are open, by the sessions of the rooms.
    doors: Mutex<HashMap<String, Door>>,
    /// Who makes a container in the network of a room, or removes it, by the ids of the rooms.
    networks: Mutex<HashMap<String, Arc<RwLock<()>>>>,
}

impl fmt::Debug for Containers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Containers").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Containers {
    /// Those of the data folder `folder`.
    pub fn new(settings: Settings, folder: &Path) -> Self {
        let place = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let digest = Sha256::digest(place.as_os_str().as_encoded_bytes());
        let platform = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self {
            settings,
            scratch: folder.join("containers"),
            platform,
            engine: OnceCell::new(),
            making: Semaphore::new(AT_ONCE),
            doors: Mutex::default(),
            networks: Mutex::default(),
        }
    }

    /// The engine.
    ///
    /// # Errors
    ///
    /// There is none; the room works without it.
    pub async fn engine(&self) -> Result<&Engine, Refused> {
        let missing = |why: String| {
            refused(codes::DEPENDENCY_MISSING, format!("no containers run here: {why}"))
        };
        let Some(socket) = &self.settings.socket else {
            return Err(missing("the platform was started without them".to_owned()));
        };
        let connect = async {
            let engine = Engine::connect(socket, &self.scratch).await;
            engine.map_err(|absent| missing(absent.to_string()))
        };
        self.engine.get_or_try_init(|| connect).await
    }

    /// The labels of all containers and networks of a room.
    pub fn labels(&self, room: &str) -> BTreeMap<String, String> {
        let label = |name: &str, of: &str| (name.to_owned(), of.to_owned());
        [label(PLATFORM, &self.platform), label(ROOM, room)].into()
    }

    /// The name of the network of a room.
    fn network(room: &str) -> String {
        format!("meshagent-{room}")
    }

    fn lock(&self, room: &str) -> Arc<RwLock<()>> {
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(networks.entry(room.to_owned()).or_default())
    }

    /// Keeps the network of a room there while a container is made in it. Whoever asks has not
    /// looked for the network yet.
    pub async fn keep_network(&self, room: &str) -> OwnedRwLockReadGuard<()> {
        self.lock(room).read_owned().await
    }

    /// Removes the containers of a room that has ended, with its network. If it has started again
    /// meanwhile, those of the new session stay.
    pub async fn end(&self, house: &House, (room, session): (&str, &str)) {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
        // Without an engine that was used, there are none of this process.
        let Some(engine) = self.engine.get() else { return };
        if let Err(error) = self.clear(engine, house, room).await {
            notice::tell("containers of a room that ended were not removed", &error);
        }
    }

    async fn clear(&self, engine: &Engine, house: &House, room: &str) -> Result<(), Error> {
        let lock = self.lock(room);
        let alone = lock.write().await;
        let runs = house.session_of(room);
        let found = engine.list(&self.labels(room), true).await?;
        let is_over = |it: &Listed| runs.is_none() || it.labels.get(SESSION) != runs.as_ref();
        remove_all(engine, found.into_iter().filter(is_over).collect()).await?;
        if runs.is_some() {
            return Ok(());
        }
        match engine.remove_network(&Self::network(room)).await {
            Ok(()) | Err(Error::NoNetwork { .. }) => {}
            Err(error) => return Err(error),
        }
        drop(alone);
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        // This one and the one in the list: nobody waits for it.
        if Arc::strong_count(&lock) == 2 {
            networks.remove(room);
        }
        Ok(())
    }

    /// Removes the containers of services that an earlier session of a room left: they are given
    /// tokens, an address and a session that are gone with it.
    pub async fn clear_services(&self, room: &Room) {
        // Whoever never ran containers is not asked for an engine.
        if !self.scratch.exists() {
            return;
        }
        let Ok(engine) = self.engine().await else { return };
        let is_left = |it: &Listed| {
            it.labels.contains_key(owned::labels::DIGEST)
                && it.labels.get(SESSION) != Some(&room.session)
        };
        let cleared = async {
            let found = engine.list(&self.labels(&room.id), true).await?;
            remove_all(engine, found.into_iter().filter(is_left).collect()).await
        };
        if let Err(error) = cleared.await {
            notice::tell("services of an earlier session were not removed", &error);
        }
    }

    /// Removes the containers that an earlier process left in rooms that do not run.
    pub async fn sweep(&self, house: &House) {
        if !self.scratch.exists() {
            return;
        }
        let Ok(engine) = self.engine().await else { return };
        if let Err(error) = self.remove_idle(engine, house).await {
            notice::tell("containers of an earlier process were not removed", &error);
        }
    }

    async fn remove_idle(&self, engine: &Engine, house: &House) -> Result<(), Error> {
        let all = BTreeMap::from([(PLATFORM.to_owned(), self.platform.clone())]);
        let left = engine.list(&all, true).await?;
        let rooms: BTreeSet<&String> = left.iter().filter_map(|it| it.labels.get(ROOM)).collect();
        for room in rooms.into_iter().filter(|room| house.session_of(room).is_none()) {
            self.clear(engine, house, room).await?;
        }
        Ok(())
    }

    /// Removes what is still there when the platform closes and no room runs.
    pub async fn close(&self, house: &House) {
        let Some(engine) = self.engine.get() else { return };
        match timeout(CLOSING, self.remove_idle(engine, house)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("containers were not removed: {error}"),
            Err(_) => tracing::warn!(
                "containers were not removed in time: they are when the platform starts again"
            ),
        }
    }

    /// A place for one more container of a room. It is held until the container is there.
    ///
    /// # Errors
    ///
    /// The room has as many as it may have; the engine fails.
    pub async fn place(&self, room: &str) -> Result<SemaphorePermit<'_>, Refused> {
        let closing = |_| refused(codes::OPERATION_FAILED, "the room is closing");
        let place = self.making.acquire().await.map_err(closing)?;
        let there = self.engine().await?.list(&self.labels(room), true).await.map_err(told)?;
        if there.len() >= self.settings.most {
            let text = format!(
                "the room has {} containers, as many as it may have; remove one that has ended",
                there.len()
            );
            return Err(refused(codes::INVALID_STATE, text));
        }
        Ok(place)
    }

    /// What all containers of a room have in common.
    pub fn spec(&self, room: &Room) -> Spec {
        let mut labels = self.labels(&room.id);
        labels.insert(SESSION.to_owned(), room.session.clone());
        let network = Some(Self::network(&room.id));
        Spec { limits: self.settings.each, network, labels, ..Spec::default() }
    }

    /// What one container may use.
    pub const fn limits(&self) -> Limits {
        self.settings.each
    }

    /// Where containers of a room reach the platform.
    ///
    /// # Errors
    ///
    /// The engine fails.
    pub async fn url(&self, room: &Arc<Room>, engine: &Engine) -> Result<String, Refused> {
        let labels = self.labels(&room.id);
        let network = engine.network(&Self::network(&room.id), &labels).await.map_err(told)?;
        if let Some(url) = &self.settings.url {
            return Ok(url.clone());
        }
        let open = |doors: &HashMap<String, Door>| doors.get(&room.session).map(Door::url);
        let known = open(&self.doors.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(url) = known {
            return Ok(url);
        }
        // The addresses of an engine without rights are in a network of its own.
        let gateway = network.gateway.filter(|_| !engine.about().is_rootless);
        let Some(door) = Door::open(room, gateway).await else {
            return Ok(door::by_name(&room.house.url, engine.about().is_podman()));
        };
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(doors.entry(room.session.clone()).or_insert(door).url())
    }
}

/// Removes, after a while, the containers that an earlier process left in rooms that nobody has
/// entered by then.
pub async fn sweep_later(house: Weak<House>, closing: CancellationToken) {
    if closing.run_until_cancelled(sleep(ORPHANED)).await.is_none() {
        return;
    }
    let Some(house) = house.upgrade() else { return };
    house.containers.sweep(&house).await;
}

/// Removes the containers of a room when it has ended.
pub async fn end_with(room: Arc<Room>) {
    let (house, stop) = (Arc::clone(&room.house), room.stop.clone());
    let (id, session) = (room.id.clone(), room.session.clone());
    drop(room);
    stop.cancelled().await;
    house.containers.end(&house, (&id, &session)).await;
}

/// Removes containers, whatever they do. Some may be gone already.
async fn remove_all(engine: &Engine, found: Vec<Listed>) -> Result<(), Error> {
    let mut removed = Ok(());
    for some in found.chunks(AT_ONCE) {
        for done in join_all(some.iter().map(|it| engine.remove(&it.id, true))).await {
            match done {
                Ok(()) | Err(Error::NoContainer { .. }) => {}
                // The others are removed none the less.
                Err(error) => removed = Err(error),
            }
        }
    }
    removed
}

/// What participants are told of something that an engine did not do.
pub fn told(error: Error) -> Refused {
    let code = match &error {
        Error::NoContainer { .. } => codes::CONTAINER_NOT_FOUND,
        Error::NoImage { .. } | Error::NoNetwork { .. } => codes::NOT_FOUND,
        Error::Invalid(_) | Error::TooMuch(_) => codes::INVALID_REQUEST,
        Error::Conflict { .. } | Error::NobodyListens { .. } => codes::INVALID_STATE,
        Error::TimedOut { .. } => codes::TIMEOUT,
        Error::Gone { .. } => codes::DEPENDENCY_MISSING,
        Error::Swapped { .. } => codes::CONFLICT,
        Error::Refused { .. } | Error::Nonsense { .. } | Error::System { .. } => {
            codes::OPERATION_FAILED
        }
    };
    refused(code, error.to_string())
}
