//! The program itself as a server, in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::harness::client;
use crate::needs;

/// The files that a server has open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Descriptors {
    /// Those that are not of its database.
    pub others: usize,
    /// Those of its database: data and log for each connection.
    pub database: usize,
}

/// A server that ends with the test at the latest.
pub struct Process {
    pub child: Child,
    /// How it is reached.
    pub reached: Reached,
    // What the process prints at its end must have somewhere to go.
    output: BufReader<ChildStdout>,
}

/// How a server is reached.
#[derive(Clone)]
pub struct Reached {
    pub url: String,
    pub key: String,
    pub project: String,
    pub client: reqwest::Client,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command that serves a folder, run by a shell after what `before` says, such as
/// `ulimit -n 100;`.
pub fn server(data: &Path, before: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!(r#"{before} exec "$0" "$@""#))
        .arg(env!("CARGO_BIN_EXE_meshagent"))
        .args(["server", "--listen", "127.0.0.1:0", "--print-env", "--data"])
        .arg(data)
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs([needs::NO_ENGINE])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The value of the variable that is printed next.
fn exported(output: &mut BufReader<ChildStdout>, name: &str) -> String {
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    let set = line.trim_end().strip_prefix(&format!("export {name}=")).map(str::to_owned);
    set.unwrap_or_else(|| panic!("{line:?}")).trim_matches('\'').to_owned()
}

impl Process {
    /// Starts a server and waits until it says how it is reached.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a process");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut value = |name: &str| exported(&mut output, name);
        let reached = Reached {
            url: value("MESHAGENT_API_URL"),
            key: value("MESHAGENT_API_KEY"),
            project: value("MESHAGENT_PROJECT_ID"),
            client: client(),
        };
        Self { child, reached, output }
    }

    /// What it says next, beside how it is reached.
    pub fn told(&mut self, name: &str) -> String {
        exported(&mut self.output, name)
    }

    /// The memory that it holds, and the most that it ever held, in bytes.
    pub fn memory(&self) -> (u64, u64) {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            kib.unwrap_or_default() * 1024
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// How many files it has open: those of its database, which open when they are first
    /// needed, and all others.
    pub fn descriptors(&self) -> Descriptors {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        let mut count = Descriptors::default();
        for file in open.into_iter().flatten().flatten() {
            let target = std::fs::read_link(file.path()).unwrap_or_default();
            let name = target.file_name().unwrap_or_default().to_string_lossy();
            match name.starts_with("platform.sqlite") {
                true => count.database += 1,
                false => count.others += 1,
            }
        }
        count
    }

    /// Waits until it has ended, and says with which code.
    pub fn ends(&mut self, within: Duration) -> Option<i32> {
        let end = Instant::now() + within;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it goes on");
    }

    /// Tells it to end.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().expect("kill");
        assert!(told.success());
    }
}

impl Reached {
    /// The address without its scheme.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").expect("a URL")
    }

    /// A request of the owner to a path below the first project.
    pub fn own(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let prefix = if path.starts_with("/storage") { "projects" } else { "accounts/projects" };
        let url = format!("{}/{prefix}/{}{path}", self.url, self.project);
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.client.request(method, url);
        request.header("authorization", format!("Bearer {}", self.key))
    }

    /// Creates a room and gives the status.
    pub async fn create_room(&self, name: &str) -> Option<u16> {
        let body = serde_json::json!({ "name": name }).to_string();
        let answer = self.own("POST", "/rooms").body(body).send().await.ok()?;
        Some(answer.status().as_u16())
    }
}
