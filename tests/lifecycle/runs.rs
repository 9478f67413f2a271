//! How a set is applied: by a run in this process, or by the program; through a proxy, and until
//! one of them dies. What the run says of itself is held against what is there.

use std::time::Duration;

use meshagent::apply::execute::{Options, Outcome, Report};
use meshagent::apply::history::{Author, Occasion, What};
use meshagent::apply::journal;
use meshagent::error::{Class, Error};
use meshagent::kinds::KindName;
use meshagent::plan::planner::Prune;
use meshagent::plan::{Action, Plan};

use super::place::Stage;
use super::story::{Death, hostile};
use super::{Ended, Life, Wanted, told};
use crate::cli::Run;
use crate::hostile::proxy::{Mischief, Running};
use crate::reconciler::describe;

impl Life<'_> {
    /// One run, and the writes that it made.
    pub(super) async fn attempt(
        &mut self,
        wanted: &Wanted,
        mischief: &[Mischief],
        death: Option<Death>,
    ) -> (Ended, Vec<String>) {
        let mut proxy = hostile(&self.place, mischief, &mut self.random);
        if let Some(Death::OfClient(write, moment) | Death::OfPlatform(write, moment)) = death {
            proxy = proxy.pausing(write, moment);
        }
        let proxy = proxy.start().await;
        let ended = match self.place.is_alone() {
            true => self.run_program(wanted, &proxy, death).await,
            false => self.run_here(wanted, &proxy).await,
        };
        proxy.resume(&self.place.url);
        proxy.settled().await;
        let writes = proxy.writes();
        if ended == Ended::Refused && !writes.is_empty() {
            self.fail(&format!("it was refused, and wrote {writes:?}"));
        }
        (ended, writes)
    }

    /// A run in this process; to die, it is dropped where it stands.
    async fn run_here(&mut self, wanted: &Wanted, proxy: &Running) -> Ended {
        let client = self.place.client_at(&proxy.url);
        let options = Options {
            first_wait: Duration::from_millis(20),
            bound: self.random.u8(0..4) == 0,
            occasion: Some(Occasion::of(What::Apply, Author::default()).into()),
            ..Options::standard(self.random.usize(1..7))
        };
        let set = self.set_of(&wanted.wishes);
        let leftover = journal::leftover(&self.sandbox.path(""), "s");
        self.tell(&format!("left over: {leftover:?}"));
        let (plan, stored) = match self.plan(&client, set, &wanted.policy).await {
            Ok(planned) => planned,
            Err(error) => {
                self.tell(&told(&error));
                return refusal(&error);
            }
        };
        self.tell(&describe(&plan));
        let done = tokio::select! {
            done = self.perform(&client, &plan, stored, &options) => done,
            () = proxy.paused() => return Ended::Dead,
        };
        match done {
            Ok(report) => {
                proxy.settled().await;
                self.check_ledger(&plan, &report).await;
                self.tell(&format!("{report:?}"));
                // What a list that could not be read leaves undecided is told in a note.
                match report.is_complete() && !plan.notes.iter().any(|it| is_open(it)) {
                    true => Ended::Complete,
                    false => Ended::Open,
                }
            }
            Err(error) => {
                self.tell(&told(&error));
                Ended::Open
            }
        }
    }

    /// What is said to be created is there, and what is said to be deleted is not.
    async fn check_ledger(&self, plan: &Plan, report: &Report) {
        let facts = self.place.facts(Stage::UnderWay).await;
        for (operation, outcome) in plan.operations.iter().zip(&report.outcomes) {
            let key = &operation.key;
            let at = match key.kind {
                KindName::Service if key.room.is_none() => format!("{key}@"),
                _ => key.to_string(),
            };
            // A step on the way to another name, and a name that is given on.
            let others = || plan.operations.iter().filter(|other| !std::ptr::eq(*other, operation));
            if others().any(|other| other.key == *key || other.former() == Some(key)) {
                continue;
            }
            let is_there = facts.contains_key(&at);
            let is_told = match operation.action() {
                _ if *outcome != Outcome::Done || operation.replaces() => continue,
                Action::Delete => !is_there,
                // What was gone is let go of by the set.
                Action::Release if operation.observed().is_none() => !is_there,
                _ => is_there,
            };
            if !is_told {
                self.fail(&format!("{:?} {at} is said to be done: {facts:?}", operation.action()));
            }
        }
    }

    /// A run of the program, which is killed where it was drawn.
    async fn run_program(
        &mut self,
        wanted: &Wanted,
        proxy: &Running,
        death: Option<Death>,
    ) -> Ended {
        self.write(&wanted.wishes);
        let parallelism = self.random.usize(1..7).to_string();
        let mut arguments = vec!["apply", "-f", "set", "--allow-empty"];
        arguments.extend(["--allow-deletes", "1000"]);
        if wanted.policy.prune == Prune::None {
            arguments.push("--no-prune");
        }
        if wanted.policy.destroy {
            arguments = vec!["destroy"];
        }
        arguments.extend(["--set", "s", "--yes", "--parallelism", &parallelism]);
        arguments.extend(["--project-id", "default", "--api-url", &proxy.url]);
        let leftover = journal::leftover(&self.sandbox.path(""), "s");
        let mut command = tokio::process::Command::from(self.sandbox.command(&arguments));
        let child = command
            .env("MESHAGENT_API_KEY", &self.place.key)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let process = child.id().unwrap().to_string();
        let mut output = std::pin::pin!(child.wait_with_output());
        let mut is_dead = false;
        let output = loop {
            tokio::select! {
                output = &mut output => break Run::of(output.unwrap()),
                () = proxy.paused(), if !is_dead => {
                    is_dead = true;
                    if let Some(Death::OfPlatform(..)) = death {
                        self.place.kill_and_start().await;
                    } else {
                        let kill = std::process::Command::new("kill").args(["-KILL", &process]).status();
                        assert!(kill.unwrap().success());
                    }
                    proxy.resume(&self.place.url);
                }
            }
        };
        let Run { code, stdout, stderr } = output;
        // Whoever comes after a run that was killed says so.
        if let Some(leftover) = leftover
            && code != -1
            && (!stderr.contains(&leftover.sentence())
                || code == 0
                    && !leftover.open.is_empty()
                    && !stderr.contains("of the writes that the last apply left open, "))
        {
            self.fail(&format!("{leftover:?} was not told of:\n{stderr}"));
        }
        self.tell(&format!("{code}\n{stdout}{stderr}"));
        match code {
            0 if is_open(&stderr) => Ended::Open,
            0 => Ended::Complete,
            -1 => Ended::Dead,
            2 | 6 if proxy.writes().is_empty() => Ended::Refused,
            _ => Ended::Open,
        }
    }
}

fn refusal(error: &Error) -> Ended {
    match error.class {
        Class::Refused | Class::Usage => Ended::Refused,
        _ => Ended::Open,
    }
}

/// Whether a note says that something is left to another run.
fn is_open(note: &str) -> bool {
    note.contains(" is not deleted by this run: ")
}
