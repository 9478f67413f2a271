//! Runs scheduled tasks when they are due: the payload of a task goes into a queue of its room,
//! whether or not anybody is there.
//!
//! Only the process that has the rooms does so. For which time a task is due is kept in the store,
//! and a run is done in one write with the note that it was, so that no time has two runs. What was
//! due while no process had the rooms, or more than [`LATE`] ago, is missed: that is told, and
//! not made up for.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::House;
use super::calls::refused;
use crate::listed::{counted, few};
use crate::notice;
use crate::platform::error::Result;
use crate::platform::objects::tasks::{self, NEVER, Run, Task, stamp};
use crate::platform::schedule::Schedule;
use crate::room::codes;
use crate::room::content::Refused;

/// How often it is looked whether tasks were changed, by this process or another one. It costs one
/// row, as long as nothing was committed and no task is due.
const LOOKING: Duration = Duration::from_secs(2);

/// How late a run may begin.
const LATE: Duration = Duration::from_secs(60);

/// How many missed runs of a task are counted.
const COUNTED: usize = 100;

/// Runs tasks until the platform closes.
pub async fn run(house: Weak<House>, closing: CancellationToken) {
    let mut clock = Clock::new(Timestamp::now());
    loop {
        let Some(open) = house.upgrade() else { return };
        let now = Timestamp::now();
        let passed = closing.run_until_cancelled(clock.pass(&open, now)).await;
        drop(open);
        match passed {
            None => return,
            Some(Ok(())) => {}
            Some(Err(refusal)) => {
                notice::tell("it is not known which scheduled tasks are due", &refusal);
            }
        }
        let pause = tokio::time::sleep(clock.pause(Timestamp::now()));
        if closing.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

/// What is known of the tasks.
struct Clock {
    /// What was due until then is not run.
    from: Timestamp,
    /// When it was last looked at.
    last: Timestamp,
    /// When the next task is due.
    next: Timestamp,
    /// The last revision of the store that it knows.
    revision: Option<i64>,
    /// Whether the times of all tasks are to be found out again.
    is_new: bool,
}

/// A task that missed runs.
struct Missed {
    task: Task,
    /// The first one, and until when they were missed.
    first: Timestamp,
    until: Timestamp,
    next: Option<Timestamp>,
}

impl Missed {
    /// How many there were, or one more than are counted.
    fn count(&self) -> usize {
        let Some(schedule) = Schedule::read(&self.task.schedule) else { return 0 };
        let since = time(self.task.since.as_ref()).unwrap_or(self.until);
        let runs = std::iter::successors(Some(self.first), |run| schedule.after(*run, since));
        runs.take_while(|run| *run <= self.until).take(COUNTED + 1).count()
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = match self.count() {
            count @ ..=COUNTED => counted(count, "run"),
            _ => format!("more than {COUNTED} runs"),
        };
        let next = self.next.map_or_else(|| "never again".to_owned(), |next| format!("at {next}"));
        write!(f, "{} ({runs}, next {next})", named(&self.task))
    }
}

impl Clock {
    /// One that runs what is due after a time.
    const fn new(from: Timestamp) -> Self {
        Self { from, last: from, next: Timestamp::MAX, revision: None, is_new: true }
    }

    /// Runs what is due now. What fails stays due, and is tried again in the next pass.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn pass(&mut self, house: &Arc<House>, now: Timestamp) -> Result<()> {
        if now < self.last {
            // It was set back, and times that were found out before may be too far away.
            self.from = self.from.min(now);
            self.is_new = true;
        }
        self.last = now;
        let revision = Some(house.store.revision().await?);
        if !self.is_new && revision == self.revision && now < self.next {
            return Ok(());
        }
        let missed = self.find_out(house, now).await?;
        tell(&missed);
        self.is_new = false;
        run_due(house, now).await?;
        let next = tasks::next(&house.store).await?;
        self.next = next.and_then(|next| next.parse().ok()).unwrap_or(Timestamp::MAX);
        self.revision = revision;
        Ok(())
    }

    /// Finds out when tasks are due of which that is not known, and which have missed it.
    async fn find_out(&self, house: &Arc<House>, now: Timestamp) -> Result<Vec<Missed>> {
        let until = now.checked_sub(LATE).unwrap_or(self.from).max(self.from);
        let (mut missed, mut last): (_, Option<Task>) = (Vec::new(), None);
        loop {
            let page = match (self.is_new, &last) {
                (true, None) => tasks::active(&house.store, ("", "")).await?,
                (true, Some(last)) => {
                    tasks::active(&house.store, (&last.project, &last.id)).await?
                }
                (false, last) => tasks::due(&house.store, &stamp(until), last.as_ref()).await?,
            };
            let Some(end) = page.last() else { return Ok(missed) };
            last = Some(end.clone());
            let mut due = Vec::new();
            for task in page {
                let (next, first) = times(&task, until);
                let due_at = next.map_or_else(|| NEVER.to_owned(), stamp);
                if let Some(first) = first {
                    missed.push(Missed { task: task.clone(), first, until, next });
                }
                if due_at != task.due_at {
                    due.push((task, due_at));
                }
                // A page of schedules may take a while.
                tokio::task::yield_now().await;
            }
            tasks::note(&house.store, &stamp(until), &due).await?;
        }
    }

    /// How long to wait after a pass that began at a time.
    fn pause(&self, now: Timestamp) -> Duration {
        match Duration::try_from(self.next.duration_since(now)) {
            Ok(left) if !left.is_zero() => left.min(LOOKING),
            _ => LOOKING,
        }
    }
}

fn time(text: Option<&String>) -> Option<Timestamp> {
    text?.parse().ok()
}

/// For which time a task is due that does not run for times until `until`, and the first of these
/// that it has missed.
fn times(task: &Task, until: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
    let does_not_run = |why: &str| {
        let what = format!("the scheduled task {} does not run", named(task));
        notice::tell(&what, format!("{why}; give it another one"));
        (None, None)
    };
    let Some(schedule) = Schedule::read(&task.schedule) else {
        return does_not_run("its schedule cannot be read");
    };
    if task.due_at == NEVER {
        return (None, None);
    }
    // Nothing is known of times before the clock was there.
    let since = time(task.since.as_ref()).unwrap_or(until);
    let ran = time(task.fired_for.as_ref()).map_or(since, |ran| ran.max(since));
    let first = time(Some(&task.due_at)).or_else(|| schedule.after(ran, since));
    // To find that there is none takes long, and is done once.
    if first.is_none() {
        return does_not_run("there is no time at which its schedule says that it runs");
    }
    let next = schedule.after(ran.max(until), since);
    (next, first.filter(|first| *first <= until))
}

/// What kept tasks from running, as it is told.
#[derive(Default)]
struct Kept {
    /// From running at all for that time.
    back: Vec<String>,
    /// From running now.
    waiting: Vec<String>,
}

/// Runs the tasks that are due, and tells what keeps some of them from it.
async fn run_due(house: &Arc<House>, now: Timestamp) -> Result<()> {
    let mut kept = Kept::default();
    let done = run_all(house, now, &mut kept).await;
    if !kept.back.is_empty() {
        notice::tell("scheduled tasks did not run", few(&kept.back));
    }
    // When the platform closes, they are left to the next process.
    if !kept.waiting.is_empty() && !house.closing.is_cancelled() {
        let what = "scheduled tasks could not run, and are tried again for a minute";
        notice::tell(what, few(&kept.waiting));
    }
    done
}

async fn run_all(house: &Arc<House>, now: Timestamp, kept: &mut Kept) -> Result<()> {
    let mut last: Option<Task> = None;
    loop {
        let page = tasks::ready(&house.store, &stamp(now), last.as_ref()).await?;
        let Some(end) = page.last() else { return Ok(()) };
        last = Some(end.clone());
        // What is written at once is committed together.
        let ran = join_all(page.iter().map(|task| run_task(house, task, now))).await;
        for (task, ran) in page.iter().zip(ran) {
            let Err(why) = ran else { continue };
            let told = format!("{} ({why})", named(task));
            match will_pass(&why) {
                true => kept.waiting.push(told),
                false => kept.back.push(told),
            }
        }
    }
}

/// Whether what keeps a task from running may be over in the next pass.
fn will_pass(why: &Refused) -> bool {
    why.code == Some(codes::OPERATION_FAILED)
}

/// Runs a task for the time that it is due for. What keeps it from that, and will not pass, is
/// recorded as its run. A task that was changed meanwhile is not run, but looked at again.
async fn run_task(house: &Arc<House>, task: &Task, now: Timestamp) -> Result<(), Refused> {
    let since = time(task.since.as_ref()).unwrap_or(now);
    let due = time(Some(&task.due_at)).unwrap_or(now);
    let next = Schedule::read(&task.schedule).and_then(|schedule| schedule.after(due, since));
    let next = next.map_or_else(|| NEVER.to_owned(), stamp);
    let run = Run { task: task.clone(), next, started_at: stamp(now) };
    let ran = match &task.room_id {
        Some(room) => house.queues(room).run(run.clone()).await,
        None => Err(refused(codes::NOT_FOUND, "there is no such room; create it again")),
    };
    if let Err(why) = &ran
        && !will_pass(why)
        && let Err(refusal) = tasks::fail(&house.store, &run, &why.to_string()).await
    {
        notice::tell("it was not recorded that scheduled tasks did not run", &refusal);
    }
    ran.map(drop)
}

/// A task as it is named to people.
fn named(task: &Task) -> String {
    let name = task.name.as_ref().unwrap_or(&task.id);
    format!("{name:?} of the room {:?}", task.room_name)
}

/// Tells which tasks missed runs.
fn tell(missed: &[Missed]) {
    if missed.is_empty() {
        return;
    }
    notice::tell(
        "scheduled tasks missed runs, which are not made up for",
        format!("{}; send what is needed with `meshagent room queue send`", few(missed)),
    );
}

#[cfg(test)]
mod tests;
