//! One writer per set: a lease in the project's storage.
//!
//! The lease is the file `.meshagent/sets/NAME.lock`. It names its holder and when it expires, is
//! renewed while its holder runs, and is given back at the end. Whoever finds an expired lease
//! takes it over, and so does whoever can see that its holder, a process of the same machine, no
//! longer runs. A holder that loses its lease starts no more writes. The expiry is in the
//! platform's time, because the clocks of two machines need not agree. Taking, renewing and giving
//! back are compare-and-set writes (`If-Match`, `If-None-Match`). A platform without revisions has
//! no lease: then only the revision checks of bound plans keep two applies of one set apart.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::storage;
use crate::api::client::Client;
use crate::api::failure::ApiError;
use crate::api::request::Precondition;
use crate::dialect::Speaks;
use crate::error::{Class, Error, Result};

/// How long a lease lasts that is not renewed.
pub const LASTS: Duration = Duration::from_secs(60);

/// How often the lease is read again because somebody else wrote it meanwhile.
const ATTEMPTS: u32 = 4;

/// Which lease is taken, and how.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The set.
    pub set: &'a str,
    /// The project's name and id.
    pub project: (&'a str, &'a str),
    /// Whether it is taken over from whoever holds it.
    pub break_it: bool,
    /// How long it lasts that is not renewed.
    pub lasts: Duration,
}

/// What the file says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lease {
    /// Who holds it: user, machine, process.
    holder: String,
    /// Since when.
    since: Timestamp,
    /// When it runs out unless it is renewed.
    until: Timestamp,
    /// Whether it was given back.
    #[serde(default)]
    released: bool,
    /// Where the holder can be seen by its process number, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen_from: Option<String>,
    /// The holder's process number there.
    #[serde(default)]
    process: u32,
}

/// A lease that this process holds. It must be given back with [`Lock::release`]; a process
/// that dies lets it run out.
#[derive(Debug)]
pub struct Lock {
    held: Held,
    lost: Arc<OnceLock<String>>,
    renewal: JoinHandle<()>,
}

/// The file as we last wrote it.
#[derive(Debug, Clone)]
struct Held {
    client: Client,
    project_id: String,
    path: String,
    lease: Lease,
    revision: Arc<Mutex<Precondition>>,
}

/// Takes the lease of a set in a project; `None` where the platform cannot offer one. When
/// it is lost, `stop` is cancelled.
///
/// # Errors
///
/// [`Class::Refused`] when somebody else holds it, unless the terms break it; the
/// platform's.
pub async fn take(
    client: &Client,
    terms: Terms<'_>,
    stop: &CancellationToken,
) -> Result<Option<Lock>> {
    let Terms { set, project: (name, id), break_it, lasts } = terms;
    let path = path(set);
    let read = client.dialect().download(id, &path);
    for attempt in 1..=ATTEMPTS {
        let precondition = match client.send(&read).await {
            Err(ApiError { status: Some(404), .. }) => Precondition::Absent,
            Err(error) => return Err(error.into()),
            Ok(answer) => {
                // What is broken is what the user was told of, and not what came since.
                let is_broken = break_it && attempt == 1;
                match serde_json::from_slice::<Lease>(&answer.body) {
                    _ if is_broken => {}
                    Ok(lease) if lease.is_held(client.now()) => {
                        return Err(held(set, name, &lease));
                    }
                    Ok(_) => {}
                    Err(cause) => return Err(unreadable(set, name, &path).because(cause)),
                }
                match answer.etag {
                    Some(revision) => Precondition::Revision(revision),
                    None => return Ok(None),
                }
            }
        };
        let file = Held {
            client: client.clone(),
            project_id: id.to_owned(),
            path: path.clone(),
            lease: Lease::new(client.now(), lasts),
            revision: Arc::new(Mutex::new(precondition)),
        };
        match file.write(&file.lease).await {
            Ok(true) => {
                let lost = Arc::new(OnceLock::new());
                let renewal = renew(file.clone(), lasts, Arc::clone(&lost), stop.clone());
                return Ok(Some(Lock { held: file, lost, renewal: tokio::spawn(renewal) }));
            }
            Ok(false) => return Ok(None),
            // Somebody else was faster. It may have been the last write of a run that is no
            // more, so what it wrote is looked at like what was there before.
            Err(ApiError { status: Some(412), .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::new(
        Class::Refused,
        format!(
            "failed to take the lease of the set `{set}` in project `{name}`: it changed at every attempt"
        ),
    )
    .hint("run the same command again"))
}

/// Whether somebody applies a set in a project right now, as far as its lease says. One that cannot be
/// read may be held.
///
/// # Errors
///
/// The platform's.
pub(super) async fn is_held(client: &Client, set: &str, project_id: &str) -> Result<bool> {
    match client.send(&client.dialect().download(project_id, &path(set))).await {
        Err(ApiError { status: Some(404), .. }) => Ok(false),
        Err(error) => Err(error.into()),
        Ok(answer) => {
            let lease = serde_json::from_slice::<Lease>(&answer.body);
            Ok(lease.map_or(true, |lease| lease.is_held(client.now())))
        }
    }
}

/// Where the lease of a set is.
fn path(set: &str) -> String {
    format!(".meshagent/sets/{set}.lock")
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Lock {
    /// Gives the lease back. `Some` says why it was lost before.
    ///
    /// # Errors
    ///
    /// The platform's; the lease runs out by itself then.
    pub async fn release(self) -> Result<Option<String>> {
        if let Some(lost) = self.lost.get() {
            return Ok(Some(lost.clone()));
        }
        // A renewal that is under way is finished, so that its revision is known.
        let quiet = self.held.revision.lock().await;
        self.renewal.abort();
        drop(quiet);
        let lease = Lease { released: true, ..self.held.lease.clone() };
        match self.held.write(&lease).await {
            Ok(_) => Ok(None),
            // Somebody broke it just now, which is what giving it back would have come to.
            Err(ApiError { status: Some(412), .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Held {
    /// Writes the file unless somebody else did. Whether the platform told its revision.
    async fn write(&self, lease: &Lease) -> std::result::Result<bool, ApiError> {
        // A lease is plain text and numbers, so writing it as JSON cannot fail.
        let bytes = serde_json::to_vec(lease).unwrap_or_default();
        let mut revision = self.revision.lock().await;
        *revision =
            storage::upload(&self.client, &self.project_id, &self.path, bytes, &revision).await?;
        Ok(*revision != Precondition::None)
    }

    /// Who has the lease now.
    async fn holder(&self) -> String {
        let read = self.client.dialect().download(&self.project_id, &self.path);
        let found = self.client.send(&read).await.ok();
        let found = found.and_then(|answer| serde_json::from_slice::<Lease>(&answer.body).ok());
        found.map_or_else(|| "somebody else".to_owned(), |lease| lease.holder)
    }
}

/// Renews the lease until it is lost: to somebody who broke it, or to time, because the
/// platform could not be reached for as long as it lasts.
async fn renew(held: Held, lasts: Duration, lost: Arc<OnceLock<String>>, stop: CancellationToken) {
    let mut until = tokio::time::Instant::now() + lasts;
    let why = loop {
        tokio::time::sleep(lasts / 3).await;
        let next = tokio::time::Instant::now() + lasts;
        let renewed = Lease { until: after(held.client.now(), lasts), ..held.lease.clone() };
        match tokio::time::timeout_at(until, held.write(&renewed)).await {
            Ok(Ok(true)) => until = next,
            Ok(Ok(false) | Err(ApiError { status: Some(412), .. })) => {
                break format!("the lease of the set was taken over by {}", held.holder().await);
            }
            Ok(Err(error)) if tokio::time::Instant::now() < until => {
                tracing::warn!(%error, "failed to renew the lease of the set");
            }
            Ok(Err(error)) => {
                break format!("the lease of the set expired, because it was not renewed: {error}");
            }
            Err(_) => break "the lease of the set expired before it was renewed".to_owned(),
        }
    };
    let _ = lost.set(why);
    stop.cancel();
}

fn held(set: &str, project: &str, lease: &Lease) -> Error {
    Error::new(
        Class::Refused,
        format!("the set `{set}` is being applied in project `{project}` by {} since {}", lease.holder, lease.since),
    )
    .hint(format!("wait until that run ends; the lease expires at {} unless it is renewed; --break-lock takes the lease over now", lease.until))
}

/// A lease that this program cannot read may be held all the same.
fn unreadable(set: &str, project: &str, path: &str) -> Error {
    Error::new(
        Class::Refused,
        format!("the lease of the set `{set}` in project `{project}` cannot be read, so somebody may be applying the set"),
    )
    .hint(format!(
        "the lease is the file {path} in the project's storage; if nobody is applying the set, take it over with --break-lock"
    ))
}

fn after(now: Timestamp, lasts: Duration) -> Timestamp {
    now.checked_add(lasts).unwrap_or(Timestamp::MAX)
}

impl Lease {
    /// The lease of this process.
    fn new(now: Timestamp, lasts: Duration) -> Self {
        let user = std::env::var("USER")
            .or_else(|_| std::env::var("LOGNAME"))
            .unwrap_or_else(|_| "somebody".to_owned());
        let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let job = std::env::var("GITHUB_RUN_ID")
            .map(|run| format!(", GitHub run {run}"))
            .unwrap_or_default();
        let process = std::process::id();
        Self {
            holder: format!("{user}@{} (process {process}{job})", machine.trim()),
            since: now,
            until: after(now, lasts),
            released: false,
            seen_from: seen_from(),
            process,
        }
    }

    /// Whether somebody holds it.
    fn is_held(&self, now: Timestamp) -> bool {
        !self.released && self.until > now && !self.is_holder_gone()
    }

    /// Whether the holder is known to have ended, so that nobody has to wait for its lease to
    /// expire. If another process got its number meanwhile, that only means waiting.
    fn is_holder_gone(&self) -> bool {
        self.seen_from.is_some() && self.seen_from == seen_from() && !is_alive(self.process)
    }
}

/// Whether a process runs. One that has ended and was not waited for is still listed.
fn is_alive(process: u32) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{process}/stat")) else {
        return std::path::Path::new(&format!("/proc/{process}")).exists();
    };
    let state = status.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
    !matches!(state, Some(Some('Z' | 'X')))
}

/// Where process numbers mean the same: this boot of this machine, and this container. `None` if
/// that is not known.
fn seen_from() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let numbers = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), numbers.display()))
}
