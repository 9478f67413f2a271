//! The embedded platform as a process of its own, and what it was asked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use super::child::meshagent;

/// A platform with no objects that ends with this value.
pub struct Served {
    /// The environment of its clients.
    pub environment: Vec<(String, String)>,
    process: Child,
    folder: tempfile::TempDir,
}

impl Served {
    /// Starts one that logs what `level` says.
    pub fn start(level: &str) -> Self {
        Self::with(level, &[])
    }

    /// The same with more options.
    pub fn with(level: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let log = File::create(folder.path().join("log")).expect("a log");
        let mut process = meshagent()
            .with(["--log", level, "server", "--listen", "127.0.0.1:0", "--print-env", "--data"])
            .with([folder.path().join("data")])
            .with(options)
            .command()
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("a platform");
        let printed = BufReader::new(process.stdout.take().expect("its output"));
        let environment: Vec<_> = printed
            .lines()
            .take(3)
            .map(|line| {
                let line = line.expect("a line");
                let set = line.strip_prefix("export ").and_then(|set| set.split_once('='));
                let (name, value) = set.expect("a variable");
                (name.to_owned(), value.trim_matches('\'').to_owned())
            })
            .collect();
        assert_eq!(environment.len(), 3, "the platform did not start");
        Self { environment, process, folder }
    }

    /// One of its variables.
    pub fn variable(&self, name: &str) -> &str {
        let found = self.environment.iter().find(|(known, _)| known == name);
        &found.expect("a variable of the platform").1
    }

    /// The memory that it holds, in bytes.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most that it ever held, in bytes.
    pub fn most_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("a system with /proc");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        let kib: u64 = line.split_whitespace().next().expect("a number").parse().expect("a number");
        kib * 1024
    }

    /// How often each method and path was asked for, where it logs requests.
    pub fn requests(&self) -> BTreeMap<(String, String), usize> {
        let log = std::fs::read_to_string(self.folder.path().join("log")).expect("its log");
        let mut requests = BTreeMap::new();
        for line in log.lines().filter(|line| line.contains(" request ")) {
            let field = |name: &str| {
                let value = line.split_whitespace().find_map(|word| word.strip_prefix(name));
                value.map(|value| value.trim_matches('"').to_owned())
            };
            if let (Some(method), Some(path)) = (field("method="), field("path=")) {
                *requests.entry((method, path)).or_insert(0) += 1;
            }
        }
        requests
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
