//! What happens to what is kept when somebody else's hand is in the data folder: nothing is
//! acknowledged that would be lost, and a start that is refused leaves everything as it was.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use meshagent::error::Class;
use meshagent::platform::{Place, Platform, Rotation};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::harness::Server;
use super::process::{Process, server};

/// Everything in a folder. SQLite's index of its log says nothing that the log does not, and
/// is built anew whenever it is opened, so only its name is told.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry"));
    let file = |path: &Path| match path.extension().is_some_and(|it| it == "sqlite-shm") {
        true => Vec::new(),
        false => std::fs::read(path).expect("a file"),
    };
    entries.map(|it| (it.file_name().to_string_lossy().into(), file(&it.path()))).collect()
}

/// What a start is refused with, which changes nothing.
async fn refused(data: &Path) -> meshagent::error::Error {
    let before = content(data);
    let error = Platform::open(data).await.expect_err("a refusal");
    assert!(error.hint.is_some(), "{error}");
    let after = content(data);
    let changed: Vec<_> = before
        .keys()
        .chain(after.keys())
        .filter(|name| before.get(*name) != after.get(*name))
        .collect();
    assert!(changed.is_empty(), "{error}: {changed:?}");
    error
}

fn private(path: &Path, text: &[u8]) {
    std::fs::write(path, text).expect("a file");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("a mode");
}

async fn rooms(process: &Process) -> Vec<String> {
    let list = process.reached.own("GET", "/rooms?limit=100000&offset=0");
    let text = list.send().await.expect("an answer").text().await.expect("a body");
    let list: Value = serde_json::from_str(&text).expect("JSON");
    let names = list["rooms"].as_array().expect("rooms").iter();
    names.map(|room| room["name"].as_str().expect("a name").to_owned()).collect()
}

/// A folder with ten rooms that lie in the log alone: the process was killed.
async fn killed(data: &Path) {
    let mut process = Process::start(&mut server(data, ""));
    for number in 0..10 {
        assert_eq!(process.reached.create_room(&format!("room-{number}")).await, Some(201));
    }
    process.child.kill().expect("a kill");
    process.child.wait().expect("an end");
    assert!(data.join("platform.sqlite-wal").metadata().expect("a log").len() > 20_000);
}

#[tokio::test]
async fn a_start_that_is_refused_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    killed(&data).await;
    Platform::open(&other).await.expect("a platform").close().await;
    let [database, key] = ["platform.sqlite", "platform.key"].map(|name| data.join(name));
    let kept = [&database, &key].map(|path| std::fs::read(path).expect("a file"));

    private(&database, b"");
    let error = refused(&data).await;
    assert!(error.message.contains("is empty, but its log"), "{error}");
    std::fs::remove_file(&database).expect("gone");
    assert!(refused(&data).await.message.contains("there is no database in"));
    std::fs::remove_file(&key).expect("gone");
    // The log alone is enough to lose.
    assert!(refused(&data).await.message.contains("platform.sqlite-wal exists"));
    private(&database, b"this is a letter to somebody, and no database at all");
    assert!(refused(&data).await.message.contains("failed to open"));

    private(&database, &kept[0]);
    assert!(refused(&data).await.message.contains("platform.key is missing"));
    private(&key, &std::fs::read(other.join("platform.key")).expect("another key"));
    assert!(refused(&data).await.message.contains("is not the key of the database"));
    private(&key, b"");
    assert!(refused(&data).await.message.contains("is not a key file"));
    private(&key, &kept[1]);
    for (path, mode, told) in [
        (&key, 0o644, "may read or change the key file"),
        (&database, 0o666, "may change"),
        (&data, 0o777, "may change"),
    ] {
        let before = path.metadata().expect("it").permissions();
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
        assert!(refused(&data).await.message.contains(told), "{mode:o}");
        std::fs::set_permissions(path, before).expect("a mode");
    }
    // With everything in its place again, all is there that was acknowledged.
    let process = Process::start(&mut server(&data, ""));
    assert_eq!(rooms(&process).await.len(), 10);
}

#[tokio::test]
async fn a_start_on_what_is_foreign_changes_nothing_either() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    std::fs::set_permissions(&data, PermissionsExt::from_mode(0o700)).expect("a mode");
    let database = data.join("platform.sqlite");
    private(&database, b"");
    let options = SqliteConnectOptions::new().filename(&database);
    let mut on = options.clone().connect().await.expect("a database");
    sqlx::query("CREATE TABLE songs (name TEXT)").execute(&mut on).await.expect("a table");
    on.close().await.expect("closed");
    let error = refused(&data).await;
    assert!(error.message.contains("is the database of another program"), "{error}");
    assert_eq!(error.class, Class::Refused);
    private(&database, &[b'x'; 8192]);
    refused(&data).await;

    // A release that is to come has changed it; it lies in the log, or does not.
    for is_folded in [true, false] {
        let data = folder.path().join(format!("newer-{is_folded}"));
        killed(&data).await;
        let options = SqliteConnectOptions::new().filename(data.join("platform.sqlite"));
        let mut on = options.connect().await.expect("a database");
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                     execution_time) VALUES (999, 'to come', TRUE, x'00', 1)";
        sqlx::query(newer).execute(&mut on).await.expect("a migration");
        let logged = content(&data);
        on.close().await.expect("closed");
        if !is_folded {
            for name in ["platform.sqlite", "platform.sqlite-wal"] {
                private(&data.join(name), &logged[name]);
            }
        }
        let error = refused(&data).await;
        assert!(error.message.contains("a newer release"), "{error}");
        assert!(data.join("platform.sqlite-wal").exists() != is_folded);
    }

    // The key is elsewhere, and there is no folder: none is made.
    let (key_file, data) = (folder.path().join("a.key"), folder.path().join("none"));
    private(&key_file, b"x");
    let place = Place { data: data.clone(), key_file: Some(key_file) };
    Platform::open(place).await.expect_err("a refusal");
    assert!(!data.exists());
}

/// Asks for a room, and gives what was answered.
async fn room(process: &Process, name: &str) -> (u16, String) {
    let body = json!({ "name": name }).to_string();
    let answer = process.reached.own("POST", "/rooms").body(body).send().await;
    let answer = answer.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

#[tokio::test]
async fn nothing_is_acknowledged_into_a_database_that_was_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let database = data.join("platform.sqlite");
    Platform::open(&data).await.expect("a platform").close().await;
    let old = std::fs::read(&database).expect("a database");
    let mut kept = Vec::new();
    for (round, content) in [old, Vec::new(), vec![0; 40_000]].into_iter().enumerate() {
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let mut process = Process::start(server(&data, "").stderr(log));
        let before = format!("before-{round}");
        assert_eq!(room(&process, &before).await.0, 201);
        kept.push(before);
        let whole = std::fs::read(&database).expect("a database");
        std::fs::write(&database, content).expect("overwritten");
        for number in 0..3 {
            let (status, told) = room(&process, &format!("after-{number}")).await;
            assert_eq!(status, 500, "{round}");
            // What cannot even be read fails before it comes to writing.
            let is_told = told.contains("platform.sqlite was overwritten");
            assert!(is_told || (round > 0 && told.contains("the platform failed")), "{told}");
        }
        // With nobody writing, it is noticed all the same.
        tokio::time::sleep(Duration::from_secs(3)).await;
        process.terminate();
        assert_eq!(process.ends(Duration::from_secs(10)), Some(0));
        let log = std::fs::read_to_string(folder.path().join("log")).expect("a log");
        assert!(log.contains("platform.sqlite was overwritten by another program"), "{log}");
        assert!(log.lines().count() < 12, "{log}");
        // The log was folded into nothing foreign, so with the file all of it is back.
        std::fs::write(&database, whole).expect("put back");
    }
    let process = Process::start(&mut server(&data, ""));
    assert_eq!(rooms(&process).await, kept);
}

/// Two servers on one folder write by turns, with checkpoints of both.
#[tokio::test]
async fn what_another_platform_writes_is_no_fault() {
    let first = Server::start().await;
    let folder = first.folder();
    let second = Process::start(&mut server(&folder, ""));
    let large = "x".repeat(1_500_000);
    for number in 0..8 {
        let path = format!("/projects/{}/storage/upload?path=f{number}", first.project);
        first.ask("POST", &path).bearer(&first.owner).text(&large).send().await.expect(201);
        assert_eq!(second.reached.create_room(&format!("room-{number}")).await, Some(201));
        let path = format!("{}{}", second.reached.url, path.replace("=f", "=g"));
        let upload = second.reached.client.post(path).bearer_auth(&second.reached.key);
        let answer = upload.body(large.clone()).send().await.expect("an answer");
        assert_eq!(answer.status(), 201);
        first.room(&format!("of-first-{number}")).await;
    }
    assert_eq!(rooms(&second).await.len(), 16);
    // What a third hand does is one for both.
    let database = folder.join("platform.sqlite");
    let size = database.metadata().expect("a database").len();
    assert!(size > 3_000_000, "{size}: no checkpoint");
    let file = std::fs::File::options().write(true).open(&database).expect("a database");
    file.set_len(0).expect("cut");
    assert_eq!(room(&second, "third").await.0, 500);
    first.send("POST", "/rooms", json!({"name": "fourth"})).await.expect(500);
    let error = Platform::open(&folder).await.expect_err("a refusal");
    assert_eq!(error.class, Class::Refused, "{error}");
}

#[tokio::test]
async fn nothing_is_acknowledged_without_the_key_file_that_it_needs() {
    let server = Server::start().await;
    let folder = server.folder();
    let key = folder.join("platform.key");
    let aside = folder.join("aside");
    let secret = |name: &str| json!({"name": name, "type": "keys", "data": {"NAME": "v"}});
    let refused = async |name: &str| {
        for (path, body) in [("/secrets", secret(name)), ("/rooms", json!({ "name": name }))] {
            let told = server.send("POST", path, body).await.expect(500).json();
            let told = told["error"].as_str().expect("a text").to_owned();
            assert!(told.contains("key file platform.key was removed or changed"), "{told}");
        }
    };
    std::fs::rename(&key, &aside).expect("moved");
    refused("moved").await;
    let another = tempfile::tempdir().expect("a folder");
    Platform::open(another.path()).await.expect("a platform").close().await;
    std::fs::copy(another.path().join("platform.key"), &key).expect("another");
    refused("another").await;
    private(&key, b"");
    refused("emptied").await;
    // Put back, it is as before, and a new one that is put there on purpose is none of this.
    std::fs::rename(&aside, &key).expect("moved back");
    server.send("POST", "/secrets", secret("back")).await.expect(201);
    let which = Rotation { key_file: true, ..Rotation::default() };
    let place = Place::from(&folder);
    Platform::replace_keys(&place, which).await.expect("a new key").close().await;
    server.send("POST", "/secrets", secret("replaced")).await.expect(201);
}
