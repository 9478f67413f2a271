//! What was acknowledged outlives the process, and a stop is clean.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use meshagent::commands::server::{RotateArgs, ServerArgs, run};
use meshagent::platform::Platform;
use reqwest::Method;
use secrecy::ExposeSecret;

use super::harness::{Server, client};

const DATA: &str = "MESHAGENT_TEST_DATA";

/// The process that the other tests start: this test binary again, as a server.
#[tokio::test]
async fn as_a_process_of_its_own() {
    let Some(data) = std::env::var_os(DATA) else { return };
    let listen = ([127, 0, 0, 1], 0).into();
    let outcome = run(ServerArgs {
        listen,
        data: data.into(),
        print_env: true,
        key_file: None,
        rotate: RotateArgs::default(),
    })
    .await;
    outcome.expect("a clean end");
}

/// A server in a process of its own, killed at the latest when the test ends.
struct Process {
    child: Child,
    server: Reached,
    // What the process prints at its end must have somewhere to go.
    _output: Lines<BufReader<ChildStdout>>,
}

/// How a server is reached.
#[derive(Clone)]
struct Reached {
    url: String,
    key: String,
    project: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "platform::durability::as_a_process_of_its_own", "--nocapture"])
            .env(DATA, data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut value = |name: &str| loop {
            let line = lines.next().expect("a line").expect("text");
            // The first line shares its line with what the test runner printed.
            if let Some((_, value)) = line.split_once(&format!("export {name}=")) {
                break value.trim_matches('\'').to_owned();
            }
        };
        let server = Reached {
            url: value("MESHAGENT_API_URL"),
            key: value("MESHAGENT_API_KEY"),
            project: value("MESHAGENT_PROJECT_ID"),
        };
        Self { child, server, _output: lines }
    }
}

impl Reached {
    async fn create_room(&self, client: &reqwest::Client, name: &str) -> bool {
        let url = format!("{}/accounts/projects/{}/rooms", self.url, self.project);
        let request = client.request(Method::POST, url);
        let request = request.header("authorization", format!("Bearer {}", self.key));
        let body = serde_json::json!({ "name": name }).to_string();
        match request.body(body).send().await {
            Ok(response) => response.status().as_u16() == 201,
            Err(_) => false,
        }
    }
}

async fn room_names(data: &Path) -> Vec<String> {
    let process = Process::start(data);
    let Reached { url, key, project } = &process.server;
    let url = format!("{url}/accounts/projects/{project}/rooms?limit=100000&offset=0");
    let request = client().get(url).header("authorization", format!("Bearer {key}"));
    let text = request.send().await.expect("an answer").text().await.expect("a body");
    let list: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let names = list["rooms"].as_array().expect("rooms").iter();
    names.map(|room| room["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_killed_platform_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut process = Process::start(folder.path());
    let (done, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    // Eight writers are cut off in the middle of their work.
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let (server, client, done) = (process.server.clone(), client(), done.clone());
        writers.spawn(async move {
            for number in 0.. {
                let name = format!("room-{writer}-{number}");
                if !server.create_room(&client, &name).await {
                    return;
                }
                let _ = done.send(name);
            }
        });
    }
    drop(done);
    let mut names = Vec::new();
    while let Some(name) = acknowledged.recv().await {
        names.push(name);
        if names.len() == 100 {
            process.child.kill().expect("a kill");
        }
    }
    assert!(names.len() >= 100);
    let kept = room_names(folder.path()).await;
    for name in &names {
        assert!(kept.contains(name), "{name} was acknowledged and is gone");
    }
}

#[tokio::test]
async fn a_terminated_platform_ends_well_and_keeps_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut process = Process::start(folder.path());
    // An idle connection that is kept alive must not hold the process up.
    assert!(process.server.create_room(&client(), "demo").await);
    let id = process.child.id().to_string();
    let told = Command::new("kill").args(["-TERM", &id]).status().expect("kill");
    assert!(told.success());
    assert!(process.child.wait().expect("an end").success());
    let again = Platform::open(folder.path()).await.expect("a platform").bootstrap();
    assert_eq!(again.api_key.expose_secret(), process.server.key);
    assert_eq!(again.project_id, process.server.project);
}

#[tokio::test]
async fn two_processes_that_open_one_new_folder_agree() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("new");
    let opened = tokio::join!(Platform::open(&data), Platform::open(&data));
    let (one, two) = (opened.0.expect("a platform"), opened.1.expect("a platform"));
    let (one, two) = (one.bootstrap(), two.bootstrap());
    assert_eq!(one.api_key.expose_secret(), two.api_key.expose_secret());
    assert_eq!(one.project_id, two.project_id);
}

#[cfg(unix)]
#[tokio::test]
async fn the_data_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let _platform = Platform::open(&data).await.expect("a platform");
    let mode = |path: &Path| path.metadata().expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for entry in data.read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn clients_that_hang_up_do_no_harm() {
    use tokio::io::AsyncWriteExt;
    let server = Server::start().await;
    let address = server.url.strip_prefix("http://").expect("an address");
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..300 {
        let body = serde_json::json!({ "name": format!("room {number}") }).to_string();
        let request = format!(
            "POST /accounts/projects/{}/rooms HTTP/1.1\r\nhost: {address}\r\n\
             authorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
            server.project,
            server.owner,
            body.len(),
        );
        let address = address.to_owned();
        clients.spawn(async move {
            let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
            stream.write_all(request.as_bytes()).await.expect("a request");
        });
    }
    clients.join_all().await;
    // A transaction that was left open would hold the one writer for ever.
    server.room("after").await;
    let rooms = server.read("/rooms?limit=1000&offset=0").await.expect(200).json();
    let rooms = rooms["rooms"].as_array().expect("rooms");
    assert!(rooms.iter().any(|room| room["name"] == "after"));
}
