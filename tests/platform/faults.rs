//! Random load on a machine that fails: whatever was acknowledged is there, and nothing else.
//!
//! Twenty seconds, or `MESHAGENT_TEST_MINUTES`. The disk and the clock are those of a library
//! that stands before the C library (`disk.c`), so nothing here needs any privilege; where
//! there is no C compiler, this is told and the processes are only killed.

mod machine;
mod model;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::sync::RwLock;

use self::machine::{Control, Machine};
use self::model::{Tally, Worker};
use super::process::{Descriptors, Process, Reached, server};
use crate::needs;
use crate::seeds::draws;

const WORKERS: usize = 6;
const MOST_MEMORY: u64 = 200_000_000;
/// Data and log for each of four readers and the writer, the one index of the log, and the data of
/// a writer that was replaced: its file stays open while the readers have locks on it, until the
/// next connection takes it over. Two more are its mark. The last one is the lock on the rooms.
const MOST_OF_DATABASE: usize = 15;

/// What the workers and what goes wrong share.
struct World {
    /// Where the platform is; nobody asks it anything while this is held to write.
    reached: RwLock<Reached>,
    is_over: AtomicBool,
}

/// The server, how often it was started and what it used.
struct Run {
    machine: Machine,
    process: Process,
    starts: usize,
    most_memory: u64,
    random: fastrand::Rng,
}

impl Run {
    fn start(machine: &Machine, random: &mut fastrand::Rng) -> Process {
        let mut command = server(&machine.data(), "");
        machine.prepare(&mut command);
        command.stderr(stderr(machine, random)).env("MESHAGENT_LOG", "info");
        Process::start(&mut command)
    }

    fn look(&mut self) {
        let (_, most) = self.process.memory();
        self.most_memory = self.most_memory.max(most);
    }

    /// Kills the server, starts another one, and has the workers look at everything.
    async fn restart(&mut self, world: &World, workers: &[Arc<tokio::sync::Mutex<Worker>>]) {
        self.look();
        self.process.child.kill().expect("a kill");
        let _ = self.process.child.wait();
        let mut reached = world.reached.write().await;
        self.machine.control.heal();
        self.process = Self::start(&self.machine, &mut self.random);
        self.starts += 1;
        *reached = self.process.reached.clone();
        for worker in workers {
            worker.lock().await.verify(&reached).await;
        }
    }

    async fn go_wrong(&mut self, world: &World, workers: &[Arc<tokio::sync::Mutex<Worker>>]) {
        let control: Control = self.machine.control.clone();
        let for_a_while = Duration::from_millis(self.random.u64(200..1500));
        match self.random.u8(0..9) {
            0 => control.space(self.random.i64(0..200_000)),
            1 => control.space(0),
            2 => control.sync_delay(Duration::from_millis(self.random.u64(5..300))),
            3 => control.sync_fails(self.random.i64(-1..5)),
            4 => control.clock_offset(self.random.i64(-400_000..400_000)),
            5 => crowd(&world.reached.read().await.clone(), self.random.usize(50..300)).await,
            6 => {
                // What a failed sync left behind must not come back.
                control.sync_fails(self.random.i64(-1..3));
                tokio::time::sleep(Duration::from_millis(300)).await;
                self.restart(world, workers).await;
            }
            _ => self.restart(world, workers).await,
        }
        tokio::time::sleep(for_a_while).await;
        self.look();
        if self.random.bool() {
            control.heal();
        }
    }
}

/// A standard error as servers have them, and worse.
fn stderr(machine: &Machine, random: &mut fastrand::Rng) -> Stdio {
    match random.u8(0..4) {
        0 => Stdio::null(),
        1 => {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            writer.into()
        }
        2 => {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            // Open until the end of the test, and never read.
            std::mem::forget(reader);
            writer.into()
        }
        // On the disk that fails.
        _ => machine.log().into(),
    }
}

/// Connections that want nothing, never finish asking, or never take their answer.
async fn crowd(reached: &Reached, count: usize) {
    let upload = format!(
        "POST /projects/{}/storage/upload?path=held HTTP/1.1\r\nhost: localhost\r\n\
         authorization: Bearer {}\r\ncontent-length: 3000000\r\n\r\n",
        reached.project, reached.key
    );
    let mut held = Vec::new();
    for number in 0..count {
        let Ok(mut stream) = tokio::net::TcpStream::connect(reached.address()).await else { break };
        let sent = match number % 10 {
            0..6 => String::new(),
            6..9 => "GET /config HTTP/1.1\r\nhost: lo".to_owned(),
            _ => upload.clone() + &"x".repeat(200_000),
        };
        let sending = stream.write_all(sent.as_bytes());
        let _ = tokio::time::timeout(Duration::from_secs(1), sending).await;
        held.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// How long the load goes on.
fn time() -> Duration {
    let minutes = std::env::var("MESHAGENT_TEST_MINUTES").ok();
    let minutes = minutes.map(|text| text.parse::<f64>().expect("a number of minutes"));
    minutes.map_or(Duration::from_secs(20), |minutes| Duration::from_secs_f64(minutes * 60.0))
}

/// How many files the server has open with nobody connected.
async fn at_rest(process: &Process) -> Descriptors {
    let reads = (0..64).map(|_| {
        let reached = Reached { client: super::harness::client(), ..process.reached.clone() };
        tokio::spawn(async move { reached.own("GET", "/rooms?limit=1&offset=0").send().await })
    });
    for read in reads.collect::<Vec<_>>() {
        let answer = read.await.expect("a read").expect("an answer");
        assert_eq!(answer.status(), 200);
    }
    // Clients that are gone are noticed soon.
    let (mut fewest, mut since) = (process.descriptors(), Instant::now());
    while since.elapsed() < Duration::from_secs(2) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = process.descriptors();
        if now < fewest {
            (fewest, since) = (now, Instant::now());
        }
    }
    fewest
}

/// A commit that could not be synced stands in SQLite's log as a whole. Who was told that it
/// failed must not find it there after the next start.
#[tokio::test]
async fn a_commit_that_was_not_synced_does_not_come_back() {
    let machine = Machine::new();
    if !machine.fails() {
        return;
    }
    let mut refused = Vec::new();
    for number in 0..4 {
        let mut command = server(&machine.data(), "");
        machine.prepare(&mut command);
        let mut process = Process::start(&mut command);
        assert_eq!(process.reached.create_room(&format!("kept-{number}")).await, Some(201));
        machine.control.sync_fails(1);
        let name = format!("refused-{number}");
        let body = serde_json::json!({ "name": name }).to_string();
        let answer = process.reached.own("POST", "/rooms").body(body).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 500);
        assert!(!answer.text().await.expect("a body").contains("not certain"));
        refused.push(name);
        machine.control.heal();
        process.child.kill().expect("a kill");
    }
    let mut command = server(&machine.data(), "");
    machine.prepare(&mut command);
    let process = Process::start(&mut command);
    let kept = (0..4).map(|number| format!("kept-{number}"));
    model::only(&process.reached, kept.collect()).await;
    assert_eq!(refused.len(), 4);
}

/// Where a disk is full, nothing of what is refused is there, and there is no doubt about it.
#[tokio::test]
async fn a_full_disk_is_told_as_one() {
    let machine = Machine::new();
    if !machine.fails() {
        return;
    }
    let mut command = server(&machine.data(), "");
    machine.prepare(&mut command);
    command.stderr(machine.log());
    let process = Process::start(&mut command);
    let mut kept = Vec::new();
    for space in [0, 1, 3_000, 5_000, 9_000, 20_000, 100_000, -1] {
        machine.control.space(space);
        for number in 0..20 {
            let name = format!("room-{space}-{number}");
            match process.reached.create_room(&name).await {
                Some(201) => kept.push(name),
                other => assert_eq!(other, Some(507), "{space} {number}"),
            }
        }
    }
    assert!((20..140).contains(&kept.len()), "{}", kept.len());
    model::only(&process.reached, kept.clone()).await;
    drop(process);
    let mut command = server(&machine.data(), "");
    model::only(&Process::start(&mut command).reached, kept).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_whatever_fails() {
    let mut random = draws();
    let machine = Machine::new();
    let process = Run::start(&machine, &mut random);
    let world = Arc::new(World {
        reached: RwLock::new(process.reached.clone()),
        is_over: AtomicBool::new(false),
    });
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| Worker::new(number, fastrand::Rng::with_seed(random.u64(..))))
        .map(|worker| Arc::new(tokio::sync::Mutex::new(worker)))
        .collect();
    let mut running = tokio::task::JoinSet::new();
    for worker in &workers {
        let (world, worker) = (Arc::clone(&world), Arc::clone(worker));
        running.spawn(async move {
            while !world.is_over.load(Ordering::Relaxed) {
                let reached = world.reached.read().await;
                worker.lock().await.act(&reached).await;
            }
        });
    }
    let mut run = Run { machine, process, starts: 1, most_memory: 0, random };
    let end = Instant::now() + time();
    while Instant::now() < end {
        run.go_wrong(&world, &workers).await;
        // A worker that found something wrong has ended.
        if let Some(ended) = running.try_join_next() {
            ended.expect("nothing wrong");
        }
    }
    world.is_over.store(true, Ordering::Relaxed);
    run.machine.control.heal();
    while let Some(ended) = running.join_next().await {
        ended.expect("nothing wrong");
    }
    run.restart(&world, &workers).await;
    drop(world);
    finish(run, workers).await;
}

/// One more load without restarts, to see that nothing is held, and the sum of it all.
async fn finish(mut run: Run, workers: Vec<Arc<tokio::sync::Mutex<Worker>>>) {
    let before = at_rest(&run.process).await;
    let reached = Reached { client: super::harness::client(), ..run.process.reached.clone() };
    let mut tally = Tally::default();
    let mut rooms = Vec::new();
    for worker in &workers {
        let mut worker = worker.lock().await;
        for _ in 0..30 {
            worker.act(&reached).await;
        }
        run.machine.control.space(0);
        worker.act(&reached).await;
        run.machine.control.heal();
        worker.verify(&reached).await;
        rooms.extend(worker.rooms());
        tally.add(&worker.tally);
    }
    crowd(&reached, 200).await;
    model::only(&reached, rooms).await;
    drop(reached);
    let after = at_rest(&run.process).await;
    run.look();
    println!(
        "{tally}; {} starts; {} MB of memory at most; {} files open before, {} after, and {} of the database",
        run.starts,
        run.most_memory / 1_000_000,
        before.others,
        after.others,
        after.database
    );
    assert!(tally.acknowledged > 100 && tally.verified > 100, "{tally}");
    assert!(run.most_memory < MOST_MEMORY, "{}", run.most_memory);
    assert!(after.others <= before.others, "{before:?} {after:?}");
    assert!(after.database <= MOST_OF_DATABASE, "{before:?} {after:?}");
}

/// Whether programs can be compiled here, and loaded before others.
fn compiler() -> bool {
    let is_there = cfg!(target_os = "linux")
        && Command::new("cc").arg("--version").output().is_ok_and(|ended| ended.status.success());
    needs::met(is_there, "a disk and a clock that fail", "C compiler for this system")
}
