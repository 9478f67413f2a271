//! FalkorDB in a container, which reads a dump: through the command line of Docker or Podman.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::error::{Context, Error, Result};

/// The programs that run containers, from the one that is tried first.
const PROGRAMS: [&str; 2] = ["docker", "podman"];

/// Where FalkorDB looks for a dump.
const DUMP: &str = "/var/lib/falkordb/data/dump.rdb";

/// How often it is asked whether it is ready.
const ASKING: Duration = Duration::from_millis(500);

/// How many lines of its log are told if it does not become ready.
const LINES: &str = "40";

/// The graph that is there without having been made.
const DEFAULT: &str = "default_db";

/// A container with FalkorDB. It is removed in any case.
pub struct Falkor {
    program: &'static str,
    name: String,
    is_removed: bool,
}

impl Drop for Falkor {
    fn drop(&mut self) {
        if !self.is_removed {
            // Nobody waits for it, so there is nobody to tell of a failure.
            let _ = std::process::Command::new(self.program)
                .args(["rm", "-f", &self.name])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
        }
    }
}

/// The program that runs containers.
///
/// # Errors
///
/// There is none.
pub async fn program() -> Result<&'static str> {
    for program in PROGRAMS {
        if command(program, ["--version"]).output().await.is_ok() {
            return Ok(program);
        }
    }
    Err(Error::failed("neither docker nor podman can be run")
        .hint("a dump is read by FalkorDB in a container; install one of them"))
}

/// A command that ends when nobody waits for it any more.
fn command<W: AsRef<OsStr>>(program: &str, words: impl IntoIterator<Item = W>) -> Command {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What a command said, on one line.
fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("; ")
    };
    let said = [text(&output.stderr), text(&output.stdout)].into_iter().find(|it| !it.is_empty());
    said.unwrap_or_else(|| output.status.to_string())
}

impl Falkor {
    /// Starts it with a dump, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// It cannot be started, or is not ready in time.
    pub async fn start(
        program: &'static str,
        (dump, image): (&Path, &str),
        patience: Duration,
    ) -> Result<Self> {
        let shown = dump.display().to_string();
        if shown.contains(':') {
            return Err(Error::failed(format!("{shown} cannot be given to a container"))
                .because("there is a colon in its path")
                .hint("copy it to another place"));
        }
        let id = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("meshagent-memory-import-{}", &id[..12]);
        let falkor = Self { program, name, is_removed: false };
        let volume = format!("{shown}:{DUMP}:ro");
        let words = ["run", "--rm", "-d", "--name", &falkor.name, "-v", &volume, image];
        falkor.done("start FalkorDB", &words).await?;
        falkor.wait(patience).await?;
        Ok(falkor)
    }

    async fn run(&self, words: &[&str]) -> Result<Output> {
        let output = command(self.program, words).output().await;
        output.context(|| format!("failed to run {}", self.program))
    }

    /// Runs a command that must not fail, and returns what it prints.
    async fn done(&self, what: &str, words: &[&str]) -> Result<String> {
        let output = self.run(words).await?;
        if !output.status.success() {
            return Err(Error::failed(format!("failed to {what}")).because(told(&output)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Asks it something.
    async fn asked(&self, what: &str, words: &[&str]) -> Result<String> {
        self.done(what, &[&["exec", &self.name, "redis-cli"], words].concat()).await
    }

    async fn wait(&self, patience: Duration) -> Result<()> {
        let end = Instant::now() + patience;
        loop {
            let output = self.run(&["exec", &self.name, "redis-cli", "PING"]).await?;
            if output.status.success() && String::from_utf8_lossy(&output.stdout).contains("PONG") {
                return Ok(());
            }
            if Instant::now() >= end {
                let log = self.run(&["logs", "--tail", LINES, &self.name]).await?;
                let late = format!("FalkorDB was not ready after {} s", patience.as_secs_f64());
                return Err(Error::failed(late)
                    .because(format!("its log ends with: {}", told(&log)))
                    .hint("--startup-timeout-seconds gives it more time"));
            }
            sleep(ASKING).await;
        }
    }

    /// The graph that is meant.
    ///
    /// # Errors
    ///
    /// There is no such graph, or it is not clear which one is meant.
    pub async fn graph(&self, named: Option<&str>) -> Result<String> {
        let keys = self.asked("list the keys of the dump", &["--raw", "--scan"]).await?;
        let mut keys: Vec<&str> = keys.lines().map(str::trim).filter(|it| !it.is_empty()).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut graphs = Vec::new();
        for key in keys {
            let kind = self.asked("look at a key of the dump", &["--raw", "TYPE", key]).await?;
            if kind.trim() == "graphdata" {
                graphs.push(key.to_owned());
            }
        }
        chosen(graphs, named)
    }

    /// The rows that a statement gives.
    ///
    /// # Errors
    ///
    /// It cannot be performed, or its answer cannot be read.
    pub async fn rows(&self, graph: &str, statement: &str) -> Result<Vec<Vec<Value>>> {
        let words = ["--json", "GRAPH.QUERY", graph, statement];
        let answer = self.asked(&format!("read the graph {graph}"), &words).await?;
        rows_of(&answer).ok_or_else(|| {
            let beginning: String = answer.trim().chars().take(200).collect();
            Error::failed(format!("FalkorDB's answer for the graph {graph} cannot be read"))
                .because(beginning)
        })
    }

    /// Removes it.
    pub async fn remove(mut self) {
        let removed = self.run(&["rm", "-f", &self.name]).await;
        self.is_removed = removed.is_ok();
    }
}

/// The graph that is meant.
fn chosen(graphs: Vec<String>, named: Option<&str>) -> Result<String> {
    let known = graphs.join(", ");
    if let Some(named) = named {
        let error = || {
            let error = Error::failed(format!("there is no graph {named:?} in the dump"));
            if known.is_empty() { error } else { error.hint(format!("there are {known}")) }
        };
        return graphs.iter().find(|graph| *graph == named).cloned().ok_or_else(error);
    }
    let made: Vec<&String> = graphs.iter().filter(|graph| *graph != DEFAULT).collect();
    match (graphs.as_slice(), made.as_slice()) {
        ([only], _) => Ok(only.clone()),
        ([], _) => Err(Error::failed("there is no graph in the dump")),
        (_, [made]) => Ok((*made).clone()),
        _ => Err(Error::failed(format!("there are several graphs in the dump: {known}"))
            .hint("choose one with --graph-name")),
    }
}

/// The rows in an answer, which has the titles before them.
fn rows_of(answer: &str) -> Option<Vec<Vec<Value>>> {
    let mut answer: Vec<Value> = serde_json::from_str(answer).ok()?;
    if answer.len() < 2 || !answer[0].is_array() {
        return None;
    }
    serde_json::from_value(answer.swap_remove(1)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_graph_is_the_only_one_or_the_named_one() {
        let chosen = |graphs: &[&str], named: Option<&str>| {
            let graphs = graphs.iter().map(|&graph| graph.to_owned()).collect();
            super::chosen(graphs, named).map_err(|error| error.to_string())
        };
        let fine = |graph: &str| Ok(graph.to_owned());
        assert_eq!(chosen(&["a"], None), fine("a"));
        assert_eq!(chosen(&["default_db"], None), fine("default_db"));
        assert_eq!(chosen(&["a", "default_db"], None), fine("a"));
        assert_eq!(chosen(&["a", "b"], Some("b")), fine("b"));
        for (graphs, named) in [(&["a", "b"] as &[&str], None), (&[], None), (&["a"], Some("b"))] {
            assert!(chosen(graphs, named).is_err(), "{graphs:?} {named:?}");
        }
    }

    #[test]
    fn what_a_command_says_is_told_on_one_line() {
        let output = Output {
            status: std::process::ExitStatus::default(),
            stdout: b"out".to_vec(),
            stderr: b"docker: no such image\n\n  Run 'docker run --help'\n".to_vec(),
        };
        assert_eq!(told(&output), "docker: no such image; Run 'docker run --help'");
    }

    #[test]
    fn an_answer_has_rows_behind_its_titles() {
        let answer = json!([["a"], [[1, null], ["x", 2.5]], ["it took 1 ms"]]).to_string();
        assert_eq!(
            rows_of(&answer).unwrap(),
            [vec![json!(1), json!(null)], vec![json!("x"), json!(2.5)]]
        );
        for odd in ["", "[]", "[[\"a\"]]", "[1, []]", "[[], [1]]", "{\"error\": \"x\"}"] {
            assert!(rows_of(odd).is_none(), "{odd}");
        }
    }
}
