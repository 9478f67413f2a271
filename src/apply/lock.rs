//! One writer a set: a lease in the project's storage.
//!
//! The lease is the file `.meshagent/sets/NAME.lock`. It names its holder and when it runs
//! out, is renewed while its holder runs, and is given back at the end. Whoever finds one
//! that ran out takes it over. Taking, renewing and giving back are compare-and-set writes
//! (`If-Match`, `If-None-Match`); where a platform tells no revisions there is no lease,
//! and two applies of one set are kept apart only by the revision checks of bound plans.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::api::client::{ApiError, Client};
use crate::api::request::{Body, Method, Precondition, Request};
use crate::error::{Class, Error, Result};

/// How long a lease lasts that is not renewed.
pub const LASTS: Duration = Duration::from_secs(60);

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
}

/// A lease that this process holds. It must be given back with [`Lock::release`]; a process
/// that dies lets it run out.
#[derive(Debug)]
pub struct Lock {
    client: Client,
    request: Request,
    lease: Lease,
    /// The revision of the file as we last wrote it.
    revision: Arc<Mutex<Precondition>>,
    renewal: JoinHandle<()>,
}

/// Takes the lease of a set in a project; `None` where the platform cannot offer one.
///
/// # Errors
///
/// [`Class::Refused`] when somebody else holds it, unless `break_it`; the platform's.
pub async fn take(
    client: &Client,
    set: &str,
    project: (&str, &str),
    break_it: bool,
    lasts: Duration,
) -> Result<Option<Lock>> {
    let (name, id) = project;
    let path = format!(".meshagent/sets/{set}.lock");
    let read = Request::get(&["projects", id, "storage", "download"]).query("path", path.as_str());
    let write = Request::new(Method::Post, &["projects", id, "storage", "upload"])
        .query("path", path.as_str());
    let precondition = match client.send(&read).await {
        Err(ApiError { status: Some(404), .. }) => Precondition::Absent,
        Err(error) => return Err(error.into()),
        Ok(answer) => {
            if let Ok(lease) = serde_json::from_slice::<Lease>(&answer.body)
                && !lease.released
                && lease.until > Timestamp::now()
                && !break_it
            {
                return Err(held(set, name, &lease));
            }
            match answer.etag {
                Some(revision) => Precondition::Revision(revision),
                None => return Ok(None),
            }
        }
    };
    let now = Timestamp::now();
    let lease = Lease { holder: holder(), since: now, until: until(now, lasts), released: false };
    let revision = match upload(client, &write, &lease, precondition).await {
        Ok(Some(revision)) => revision,
        Ok(None) => return Ok(None),
        Err(ApiError { status: Some(412), .. }) => {
            // Somebody else was faster; their lease says who.
            let found = client
                .send(&read)
                .await
                .ok()
                .and_then(|answer| serde_json::from_slice(&answer.body).ok());
            return Err(held(set, name, &found.unwrap_or(lease)));
        }
        Err(error) => return Err(error.into()),
    };
    let revision = Arc::new(Mutex::new(revision));
    let renewal = tokio::spawn(renew(
        client.clone(),
        write.clone(),
        lease.clone(),
        Arc::clone(&revision),
        lasts,
    ));
    Ok(Some(Lock { client: client.clone(), request: write, lease, revision, renewal }))
}

impl Lock {
    /// Gives the lease back.
    ///
    /// # Errors
    ///
    /// The platform's; the lease runs out by itself then.
    pub async fn release(self) -> Result<()> {
        self.renewal.abort();
        let revision = self.revision.lock().await.clone();
        let lease = Lease { released: true, ..self.lease };
        match upload(&self.client, &self.request, &lease, revision).await {
            // Somebody broke it, which is what giving it back would have come to.
            Ok(_) | Err(ApiError { status: Some(412), .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

async fn renew(
    client: Client,
    request: Request,
    lease: Lease,
    revision: Arc<Mutex<Precondition>>,
    lasts: Duration,
) {
    loop {
        tokio::time::sleep(lasts / 3).await;
        let mut revision = revision.lock().await;
        let renewed = Lease { until: until(Timestamp::now(), lasts), ..lease.clone() };
        match upload(&client, &request, &renewed, revision.clone()).await {
            Ok(Some(next)) => *revision = next,
            Ok(None) | Err(ApiError { status: Some(412), .. }) => {
                tracing::warn!("the lease of the set was broken by somebody else");
                return;
            }
            Err(error) => tracing::warn!(%error, "failed to renew the lease of the set"),
        }
    }
}

async fn upload(
    client: &Client,
    request: &Request,
    lease: &Lease,
    precondition: Precondition,
) -> std::result::Result<Option<Precondition>, ApiError> {
    // A lease is plain text and numbers, so writing it as JSON cannot fail.
    let bytes = serde_json::to_vec(lease).unwrap_or_default();
    let request = Request { body: Body::Bytes(bytes), precondition, ..request.clone() };
    Ok(client.send(&request).await?.etag.map(Precondition::Revision))
}

fn held(set: &str, project: &str, lease: &Lease) -> Error {
    Error::new(
        Class::Refused,
        format!("the set `{set}` is being applied in project `{project}` by {} since {}", lease.holder, lease.since),
    )
    .hint(format!("wait for them; the lease runs out at {} unless it is renewed; --break-lock takes it over now", lease.until))
}

fn until(now: Timestamp, lasts: Duration) -> Timestamp {
    now.checked_add(lasts).unwrap_or(Timestamp::MAX)
}

/// Who this process is, as somebody else can find it.
fn holder() -> String {
    let user = std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| "somebody".to_owned());
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let job =
        std::env::var("GITHUB_RUN_ID").map(|run| format!(", GitHub run {run}")).unwrap_or_default();
    format!("{user}@{} (process {}{job})", machine.trim(), std::process::id())
}
