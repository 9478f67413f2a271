//! A folder that another program swaps for a link, in the moments in which that would matter.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use meshagent_containers::{Engine, Error, Mount, Socket, Spec};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};

use crate::engine_here::EngineHere;
use crate::{ended, here, labels, shell};

/// A room with a folder, and a secret beside the room that a link may lead to.
struct Room {
    room: PathBuf,
    secret: PathBuf,
}

impl Room {
    fn new(folder: &Path) -> Self {
        let new = Self { room: folder.join("room"), secret: folder.join("secret") };
        for (folder, text) in [(new.room.join("a"), "given\n"), (new.secret.clone(), "secret\n")] {
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join("file"), text).expect("a file");
        }
        new
    }

    fn swap(&self) {
        std::fs::rename(self.room.join("a"), self.room.join("away")).expect("a move");
        symlink(&self.secret, self.room.join("a")).expect("a link");
    }

    /// A container that tells what is in the folder.
    fn reader(&self) -> Spec {
        let folder = Mount::Folder {
            trusted: self.room.clone(),
            below: "a".to_owned(),
            target: "/given".to_owned(),
            read_only: true,
        };
        Spec { mounts: vec![folder], ..shell("cat /given/file; sleep 100") }
    }
}

/// The engine, behind somebody who swaps the folder right before a request with this in its first
/// line, and who says that the engine is Docker.
async fn behind(here: &EngineHere, room: Room, moment: &'static str, is_docker: bool) -> Engine {
    let path = here.folder().join(format!("between-{}", moment.replace('/', "-")));
    let listener = UnixListener::bind(&path).expect("a socket");
    let socket = here.engine.socket().to_owned();
    tokio::spawn(async move {
        let mut room = Some(room);
        while let Ok((mut guest, _)) = listener.accept().await {
            let mut head = vec![0; 64 << 10];
            let length = guest.read(&mut head).await.expect("a request");
            let line = String::from_utf8_lossy(&head[..length])
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            if is_docker && line.contains("/version") {
                let body = r#"{"Version":"1","Arch":"amd64","Components":[{"Name":"Engine"}]}"#;
                let said =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                guest.write_all(said.as_bytes()).await.expect("it is written");
                continue;
            }
            if line.contains(moment)
                && let Some(room) = room.take()
            {
                room.swap();
            }
            let mut engine = UnixStream::connect(&socket).await.expect("the engine");
            engine.write_all(&head[..length]).await.expect("it is written");
            tokio::spawn(async move { copy_bidirectional(&mut guest, &mut engine).await });
        }
    });
    let scratch = here.folder().join("scratch");
    Engine::connect(&Socket::At(path), &scratch).await.expect("an engine")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_swapped_before_podman_mounts_it_is_told_before_anything_runs() {
    let Some(here) = here().await else { return };
    for moment in ["/containers/create", "/init"] {
        let folder = tempfile::tempdir_in(here.folder()).expect("a folder");
        let room = Room::new(folder.path());
        let reader = room.reader();
        let engine = behind(&here, room, moment, false).await;
        let refused = engine.run(&reader).await.expect_err(moment);
        assert_eq!(refused, Error::Swapped { target: "/given".to_owned() });
        let all = engine.list(&labels([]), true).await.expect("a list");
        assert_eq!(all, [], "{moment}: what was refused does not stay");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_swapped_later_stays_the_one_that_was_given() {
    let Some(here) = here().await else { return };
    let room = Room::new(here.folder());
    let reader = room.reader();
    let engine = behind(&here, room, "/start", false).await;
    let id = engine.run(&reader).await.expect("a container");
    assert!(here.folder().join("room/a").is_symlink());
    engine.kill(&id).await.expect("it is killed");
    assert_eq!(ended(&engine, &id).await.1, "given\n");
}

/// Docker mounts nothing before the start, so it is told right after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_of_docker_with_a_swapped_folder_is_removed_at_once() {
    let Some(here) = here().await else { return };
    let room = Room::new(here.folder());
    let reader = room.reader();
    let engine = behind(&here, room, "/start", true).await;
    assert_eq!(engine.about().name, "Docker");
    let refused = engine.run(&reader).await.expect_err("a link");
    assert_eq!(refused, Error::Swapped { target: "/given".to_owned() });
    let all = engine.list(&labels([]), true).await.expect("a list");
    assert_eq!(all, []);
}
