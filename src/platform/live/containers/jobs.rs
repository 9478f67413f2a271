//! Work with images that takes long. A job has an id, a log and an exit code like a container.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use meshagent_containers::images::Progress;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::owned::Ownership;
use crate::platform::live::calls::{Caller, refused};
use crate::platform::live::room::Room;
use crate::room::codes;
use crate::room::containers::{Container, ContainerState, Started};
use crate::room::content::Refused;

/// How many jobs a room remembers, those that run among them.
const MOST: usize = 64;

/// How much of the log of a job is kept, in bytes: its end.
const LOG: usize = 1024 * 1024;

/// How much of a log is told at once, in bytes.
const PIECE: usize = 32 * 1024;

/// The exit codes of jobs.
const FAILED: i64 = 1;
const KILLED: i64 = 137;

/// The jobs of a room.
#[derive(Debug, Default)]
pub struct Jobs(Mutex<IndexMap<String, Arc<Job>>>);

/// A job.
#[derive(Debug)]
pub struct Job {
    /// Its id, which looks like that of a container.
    pub id: String,
    /// Who started it.
    pub ownership: Ownership,
    image: String,
    log: Mutex<Log>,
    /// How often the log has grown, and the exit code once there is one.
    state: watch::Sender<(u64, Option<i64>)>,
    stop: CancellationToken,
}

/// The end of a log.
#[derive(Debug, Default)]
struct Log {
    bytes: VecDeque<u8>,
    /// How many bytes were there before these.
    before: u64,
}

impl Log {
    fn add(&mut self, text: &str) {
        self.bytes.extend(text.as_bytes());
        let excess = self.bytes.len().saturating_sub(LOG);
        self.bytes.drain(..excess);
        self.before += excess as u64;
    }

    /// What follows a place, and where that ends. A part that is gone is said to be.
    fn after(&self, at: u64) -> (Vec<u8>, u64) {
        let gone = self.before.saturating_sub(at);
        let mut told = match gone {
            0 => Vec::new(),
            gone => format!("[{gone} bytes of the log are not kept]\n").into_bytes(),
        };
        let start = usize::try_from((at + gone) - self.before).unwrap_or(usize::MAX);
        told.extend(self.bytes.iter().skip(start).take(PIECE));
        let end = at + gone + (self.bytes.len().saturating_sub(start)).min(PIECE) as u64;
        (told, end)
    }
}

impl Jobs {
    fn all(&self) -> MutexGuard<'_, IndexMap<String, Arc<Job>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a job about an image. The room's end stops it.
    ///
    /// # Errors
    ///
    /// Too many run.
    pub fn start<F>(
        &self,
        room: &Arc<Room>,
        (image, ownership): (String, Ownership),
        work: impl FnOnce(Arc<Job>) -> F,
    ) -> Result<Started, Refused>
    where
        F: Future<Output = Result<(), Refused>> + Send + 'static,
    {
        let mut jobs = self.all();
        if jobs.len() >= MOST {
            let ended = jobs.iter().find(|(_, job)| job.exit().is_some()).map(|(id, _)| id.clone());
            let Some(ended) = ended else {
                let text = format!("{MOST} jobs with images run in the room; wait until one ends");
                return Err(refused(codes::INVALID_STATE, text));
            };
            jobs.shift_remove(&ended);
        }
        let id = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let job = Arc::new(Job {
            id: id.clone(),
            ownership,
            image,
            log: Mutex::default(),
            state: watch::Sender::new((0, None)),
            stop: room.stop.child_token(),
        });
        jobs.insert(id.clone(), Arc::clone(&job));
        drop(jobs);
        let doing = work(Arc::clone(&job));
        room.house.run(async move {
            let code = match job.stop.run_until_cancelled(doing).await {
                Some(Ok(())) => 0,
                Some(Err(why)) => {
                    job.say(&format!("{why}\n"));
                    FAILED
                }
                None => {
                    job.say("stopped\n");
                    KILLED
                }
            };
            job.state.send_modify(|state| state.1 = Some(code));
        });
        Ok(Started { container_id: id })
    }

    /// A job that the caller may use, if there is one.
    ///
    /// # Errors
    ///
    /// It is private.
    pub fn find(&self, caller: &Caller, id: &str) -> Result<Option<Arc<Job>>, Refused> {
        let Some(job) = self.all().get(id).cloned() else { return Ok(None) };
        job.ownership.admit(caller)?;
        Ok(Some(job))
    }

    /// Forgets a job.
    pub fn forget(&self, id: &str) {
        self.all().shift_remove(id);
    }

    /// The jobs as participants are told of them.
    pub fn shown(&self, all: bool) -> Vec<Container> {
        let jobs = self.all();
        let shown = jobs.values().filter(|job| all || job.exit().is_none()).map(|job| Container {
            id: job.id.clone(),
            image: Some(job.image.clone()),
            started_by: job.ownership.by.clone(),
            state: match job.exit() {
                None => ContainerState::Running,
                Some(_) => ContainerState::Exited,
            },
            status: Some(match job.exit() {
                None => "a job that runs".to_owned(),
                Some(code) => format!("a job that ended with {code}"),
            }),
            name: None,
            service_id: None,
            private: job.ownership.private,
        });
        shown.collect()
    }
}

impl Job {
    /// Its exit code, if it has ended.
    pub fn exit(&self) -> Option<i64> {
        self.state.borrow().1
    }

    /// Stops it.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Adds to its log.
    pub fn say(&self, text: &str) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).add(text);
        self.state.send_modify(|state| state.0 += 1);
    }

    /// Adds what an engine says to its log, until that ends.
    ///
    /// # Errors
    ///
    /// The engine failed.
    pub async fn follow(&self, mut progress: Progress) -> Result<(), meshagent_containers::Error> {
        while let Some(step) = progress.next().await.transpose()? {
            // How many bytes of a layer are there is no line of a log.
            let text = step.text.trim_end();
            if step.bytes.is_none() && !text.is_empty() {
                let layer = step.layer.map(|layer| format!("{layer}: ")).unwrap_or_default();
                self.say(&format!("{layer}{text}\n"));
            }
        }
        Ok(())
    }

    /// Waits for its exit code.
    pub async fn ended(&self) -> i64 {
        let mut state = self.state.subscribe();
        let ended = state.wait_for(|(_, exit)| exit.is_some()).await;
        ended.ok().and_then(|state| state.1).unwrap_or(KILLED)
    }

    /// What its log says after a place, and where that ends; none at the end of a job that has ended,
    /// or of what there is unless it is followed.
    pub async fn log(&self, at: u64, follow: bool) -> Option<(Vec<u8>, u64)> {
        let mut state = self.state.subscribe();
        loop {
            let is_over = state.borrow_and_update().1.is_some();
            let (told, end) = self.log.lock().unwrap_or_else(PoisonError::into_inner).after(at);
            if !told.is_empty() {
                return Some((told, end));
            }
            if is_over || !follow || state.changed().await.is_err() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_its_end_and_says_what_is_gone() {
        let mut log = Log::default();
        log.add("abc");
        assert_eq!(log.after(0), (b"abc".to_vec(), 3));
        assert_eq!(log.after(1), (b"bc".to_vec(), 3));
        assert_eq!(log.after(3), (Vec::new(), 3));
        log.add(&"x".repeat(LOG));
        let (told, end) = log.after(0);
        assert!(told.starts_with(b"[3 bytes of the log are not kept]\nxxx"));
        assert_eq!(end, 3 + PIECE as u64);
        assert_eq!(log.after(end).1, end + PIECE as u64);
        assert_eq!(log.bytes.len(), LOG);
    }
}
