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

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use meshagent_containers::{Engine, Error, Limits, Socket, Spec};
use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tokio::time::sleep;
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

/// How long the containers of a process that ended wait until somebody enters their room again.
const ORPHANED: Duration = Duration::from_secs(60);

/// How many containers are being made at once, in all rooms.
const AT_ONCE: usize = 8;

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
    /// The ways to the platform that are open, by the ids of the rooms.
    doors: Mutex<HashMap<String, Door>>,
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

    /// Removes all containers of a room, with its network, because it has ended.
    pub async fn end(&self, room: &str) {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner).remove(room);
        // Without an engine that was used, there are none of this process.
        let Some(engine) = self.engine.get() else { return };
        if let Err(error) = self.remove(engine, room).await {
            notice::tell("containers of a room that ended were not removed", &error);
        }
    }

    async fn remove(&self, engine: &Engine, room: &str) -> Result<(), Error> {
        let found = engine.list(&self.labels(room), true).await?;
        for container in found {
            match engine.remove(&container.id, true).await {
                Ok(()) | Err(Error::NoContainer { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        match engine.remove_network(&Self::network(room)).await {
            Ok(()) | Err(Error::NoNetwork { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes the containers that an earlier process left in rooms that do not run.
    pub async fn sweep(&self, runs: impl Fn(&str) -> bool) {
        // Whoever never ran containers is not asked for an engine.
        if !self.scratch.exists() {
            return;
        }
        let Ok(engine) = self.engine().await else { return };
        let all = BTreeMap::from([(PLATFORM.to_owned(), self.platform.clone())]);
        let swept = async {
            let left = engine.list(&all, true).await?;
            let rooms: std::collections::BTreeSet<&String> =
                left.iter().filter_map(|it| it.labels.get(ROOM)).collect();
            for room in rooms.into_iter().filter(|room| !runs(room)) {
                self.remove(engine, room).await?;
            }
            Ok::<(), Error>(())
        };
        if let Err(error) = swept.await {
            notice::tell("containers of an earlier process were not removed", &error);
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
    pub fn spec(&self, room: &str) -> Spec {
        Spec {
            limits: self.settings.each,
            network: Some(Self::network(room)),
            labels: self.labels(room),
            ..Spec::default()
        }
    }

    /// What one container may use.
    pub const fn limits(&self) -> Limits {
        self.settings.each
    }

    /// Where containers of a room reach the platform.
    async fn url(&self, room: &Arc<Room>, engine: &Engine) -> Result<String, Refused> {
        let labels = self.labels(&room.id);
        let network = engine.network(&Self::network(&room.id), &labels).await.map_err(told)?;
        if let Some(url) = &self.settings.url {
            return Ok(url.clone());
        }
        let open = |doors: &HashMap<String, Door>| doors.get(&room.id).map(Door::url);
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
        Ok(doors.entry(room.id.clone()).or_insert(door).url())
    }
}

/// Removes, after a while, the containers that an earlier process left in rooms that nobody has
/// entered by then.
pub async fn sweep_later(house: Weak<House>, closing: CancellationToken) {
    if closing.run_until_cancelled(sleep(ORPHANED)).await.is_none() {
        return;
    }
    let Some(house) = house.upgrade() else { return };
    let runs = |room: &str| house.open().rooms.contains_key(room);
    house.containers.sweep(runs).await;
}

/// Removes the containers of a room when it has ended.
pub async fn end_with(room: Arc<Room>) {
    let (house, id, stop) = (Arc::clone(&room.house), room.id.clone(), room.stop.clone());
    drop(room);
    stop.cancelled().await;
    house.containers.end(&id).await;
}

/// What participants are told of something that an engine did not do.
pub fn told(error: Error) -> Refused {
    let code = match &error {
        Error::NoContainer { .. } => codes::CONTAINER_NOT_FOUND,
        Error::NoImage { .. } | Error::NoNetwork { .. } => codes::NOT_FOUND,
        Error::Invalid(_) => codes::INVALID_REQUEST,
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
