//! Runs a program and says what it used.
//!
//! The kernel counts the memory of whoever starts a program towards that program, so it is
//! started by a small process: this one again, told to measure and do nothing else.

use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// The first argument of a process that only measures.
pub const MEASURE: &str = "--measure";

/// What the runs of a program used.
#[derive(Serialize, Deserialize)]
pub struct Usages {
    /// Each run.
    pub runs: Vec<Run>,
    /// The most memory that any run held, in KiB.
    pub peak: u64,
    /// The code of the last run.
    pub code: Option<i32>,
}

/// What one run used, in seconds.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Run {
    /// From start to end.
    pub wall: f64,
    /// User and system time of all threads.
    pub cpu: f64,
}

/// What was used and what the last run printed.
pub struct Measured {
    /// What the runs used.
    pub usages: Usages,
    /// What the runs wrote to standard output.
    pub output: String,
    /// What the runs wrote to standard error.
    pub errors: String,
}

impl Measured {
    /// The same, if the last run ended well.
    pub fn successful(self) -> Self {
        assert_eq!(self.usages.code, Some(0), "{}{}", self.output, self.errors);
        self
    }

    /// The run that took the least processor time, which noise has touched the least.
    pub fn best(&self) -> Run {
        let best = self.usages.runs.iter().min_by(|one, other| one.cpu.total_cmp(&other.cpu));
        *best.expect("at least one run")
    }
}

/// Another build of the program to measure.
const PROGRAM: &str = "MESHAGENT_BENCH_PROGRAM";

/// The program under measurement, without the settings of whoever measures.
pub fn meshagent() -> Invocation {
    let program = std::env::var_os(PROGRAM);
    Invocation::of(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_meshagent").into()))
}

/// A program with its arguments and environment.
pub struct Invocation {
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
}

impl Invocation {
    /// A program.
    pub fn of(program: impl AsRef<OsStr>) -> Self {
        Self { arguments: vec![program.as_ref().to_owned()], environment: Vec::new() }
    }

    /// With more arguments.
    pub fn with<T: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|one| one.as_ref().to_owned()));
        self
    }

    /// With variables of the environment.
    pub fn environment(mut self, variables: &[(String, String)]) -> Self {
        self.environment.extend_from_slice(variables);
        self
    }

    /// The command, with a cleared environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.arguments[0]);
        command.args(&self.arguments[1..]).env_clear().env("HOME", "/nonexistent");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it so many times, one after the other.
    pub fn measured(&self, runs: usize) -> Measured {
        let told = tempfile::NamedTempFile::new().expect("a file");
        let output = Command::new(std::env::current_exe().expect("this program"))
            .arg(MEASURE)
            .arg(told.path())
            .arg(runs.to_string())
            .args(&self.arguments)
            .env_clear()
            .env("HOME", "/nonexistent")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .expect("a process that measures");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (printed, errors) = (text(&output.stdout), text(&output.stderr));
        let usages = std::fs::read(told.path()).expect("what was measured");
        let usages = serde_json::from_slice(&usages)
            .unwrap_or_else(|_| panic!("nothing was measured: {printed}{errors}"));
        Measured { usages, output: printed, errors }
    }
}

/// What the measuring process does: `FILE RUNS PROGRAM [ARGUMENT...]`.
pub fn measure(arguments: &[String]) {
    let [file, runs, program, arguments @ ..] = arguments else { panic!("too few arguments") };
    let count: usize = runs.parse().expect("a number of runs");
    let mut usages = Usages { runs: Vec::with_capacity(count), peak: 0, code: None };
    let mut before = cpu(&children());
    for _ in 0..count {
        let start = Instant::now();
        let status = Command::new(program).args(arguments).status().expect("a program that runs");
        let wall = start.elapsed().as_secs_f64();
        let after = children();
        usages.runs.push(Run { wall, cpu: cpu(&after) - before });
        before = cpu(&after);
        usages.peak = u64::try_from(after.max_rss()).unwrap_or_default();
        usages.code = status.code();
    }
    let told = serde_json::to_vec(&usages).expect("figures as JSON");
    std::fs::write(file, told).expect("a file to write to");
}

fn children() -> Usage {
    getrusage(UsageWho::RUSAGE_CHILDREN).expect("the usage of children")
}

fn cpu(usage: &Usage) -> f64 {
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}
