//! What was acknowledged outlives the process, and a stop is clean.

use std::path::Path;
use std::time::Duration;

use meshagent::platform::Platform;
use secrecy::ExposeSecret;

use super::harness::Server;
use super::process::{Process, server};

async fn room_names(data: &Path) -> Vec<String> {
    let process = Process::start(&mut server(data, ""));
    let list = process.reached.own("GET", "/rooms?limit=100000&offset=0");
    let text = list.send().await.expect("an answer").text().await.expect("a body");
    let list: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let names = list["rooms"].as_array().expect("rooms").iter();
    names.map(|room| room["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_killed_platform_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut process = Process::start(&mut server(folder.path(), ""));
    let (done, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    // Eight writers are cut off in the middle of their work.
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let (server, done) = (process.reached.clone(), done.clone());
        writers.spawn(async move {
            for number in 0.. {
                let name = format!("room-{writer}-{number}");
                if server.create_room(&name).await != Some(201) {
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
    let mut process = Process::start(&mut server(folder.path(), ""));
    // An idle connection that is kept alive must not hold the process up.
    assert_eq!(process.reached.create_room("demo").await, Some(201));
    process.terminate();
    assert_eq!(process.ends(Duration::from_secs(10)), Some(0));
    let again = Platform::open(folder.path()).await.expect("a platform").bootstrap();
    assert_eq!(again.api_key.expose_secret(), process.reached.key);
    assert_eq!(again.project_id, process.reached.project);
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
