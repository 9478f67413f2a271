//! Engines that answer nonsense, nothing, or without end.

use std::path::PathBuf;

use meshagent_containers::{Absent, Engine, Error, Exec, Socket};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::{resident, shell};

/// What a fake says to a request.
#[derive(Clone)]
enum Answer {
    /// This, and then it closes.
    Says(Vec<u8>),
    /// This, and then the same piece without end.
    Floods(Vec<u8>, &'static [u8]),
    /// This, and then nothing.
    Waits(Vec<u8>),
}

fn answer(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body.as_ref()].concat()
}

fn json(body: &str) -> Answer {
    Answer::Says(answer(&format!("200 OK\r\nContent-Length: {}", body.len()), body))
}

/// An engine that introduces itself, and answers everything else in one way.
struct Fake {
    folder: tempfile::TempDir,
}

impl Fake {
    fn start(introduces_itself: bool, otherwise: Answer) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("sock")).expect("a socket");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, introduces_itself, otherwise.clone()));
            }
        });
        Self { folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("sock")
    }

    async fn connect(&self) -> Result<Engine, Absent> {
        Engine::connect(&Socket::At(self.socket()), &self.folder.path().join("scratch")).await
    }
}

async fn serve(mut stream: UnixStream, introduces_itself: bool, otherwise: Answer) {
    let mut request = Vec::new();
    while !request.windows(4).any(|it| it == b"\r\n\r\n") {
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(length) => request.extend_from_slice(&piece[..length]),
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let said = match path {
        "/v1.41/version" if introduces_itself => {
            json(r#"{"Version":"1","Arch":"amd64","Components":[{"Name":"Engine"}]}"#)
        }
        "/v1.41/info" if introduces_itself => json(r#"{"SecurityOptions":["name=rootless"]}"#),
        path if path.ends_with("/exec") => json(r#"{"Id":"1"}"#),
        _ => otherwise,
    };
    // Whoever asked may have left.
    match said {
        Answer::Says(bytes) => drop(stream.write_all(&bytes).await),
        Answer::Floods(bytes, piece) => {
            let mut sent = stream.write_all(&bytes).await;
            while sent.is_ok() {
                sent = stream.write_all(piece).await;
            }
        }
        Answer::Waits(bytes) => {
            if stream.write_all(&bytes).await.is_ok() {
                let _ = stream.read(&mut [0]).await;
            }
        }
    }
}

/// The error of everything that an engine is asked for, when it answers all of it in this way.
async fn errors(otherwise: Answer) -> Vec<(&'static str, Error)> {
    let fake = Fake::start(true, otherwise);
    let engine = fake.connect().await.expect("an engine");
    let of_logs = async {
        let mut logs = engine.logs("a", true).await?;
        while logs.next().await.transpose()?.is_some() {}
        Ok(())
    };
    let of_pull = async { engine.pull("a", &[]).await?.done().await.map(drop) };
    let exec = Exec { command: vec!["a".to_owned()], ..Exec::default() };
    let results = [
        ("inspect", engine.inspect("a").await.map(drop)),
        ("list", engine.list(&Default::default(), true).await.map(drop)),
        ("images", engine.images().await.map(drop)),
        ("run", engine.run(&shell("true")).await.map(drop)),
        ("logs", of_logs.await),
        ("pull", of_pull.await),
        ("exec", engine.exec("a", &exec).await.map(drop)),
    ];
    results.into_iter().map(|(what, it)| (what, it.expect_err(what))).collect()
}

#[tokio::test]
async fn an_engine_says_what_it_is_and_whether_it_is_rootless() {
    let fake = Fake::start(true, json("{}"));
    let engine = fake.connect().await.expect("an engine");
    let about = engine.about();
    assert_eq!((about.name.as_str(), about.is_rootless), ("Docker", true));
    assert_eq!(engine.socket(), fake.socket());
}

#[tokio::test]
async fn where_there_is_no_engine_is_told_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let nothing = folder.path().join("none");
    let absent = Engine::connect(&Socket::At(nothing.clone()), folder.path()).await;
    let told = absent.expect_err("nothing").to_string();
    assert!(
        told.contains(&nothing.display().to_string()) && told.contains("No such file"),
        "{told}"
    );
    let fakes = [
        Answer::Says(b"SSH-2.0-OpenSSH\r\n".to_vec()),
        Answer::Says(answer("200 OK", "not JSON")),
        Answer::Says(answer("500 Oh", "\u{1b}[31mred")),
        Answer::Says(Vec::new()),
        Answer::Floods(b"HTTP/1.1 200 OK\r\n".to_vec(), b"A: b\r\n"),
        Answer::Floods(answer("200 OK", "\""), &[b'a'; 65536]),
    ];
    for otherwise in fakes {
        let told = Fake::start(false, otherwise).connect().await.expect_err("a fake").to_string();
        assert!(!told.contains('\n') && told.len() < 1000, "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_never_answers_is_not_waited_for() {
    let told = Fake::start(false, Answer::Waits(Vec::new())).connect().await.expect_err("silence");
    assert!(told.to_string().contains("took longer than 10 s"), "{told}");
    let begun = answer("200 OK\r\nContent-Length: 100", "{");
    let fake = Fake::start(true, Answer::Waits(begun));
    let engine = fake.connect().await.expect("an engine");
    let late = engine.inspect("a").await.expect_err("half of an answer");
    assert!(matches!(&late, Error::TimedOut { .. }) && late.may_pass(), "{late:?}");
    let fake = Fake::start(true, Answer::Waits(Vec::new()));
    let engine = fake.connect().await.expect("an engine");
    let late = engine.run(&shell("true")).await.expect_err("no answer");
    assert!(matches!(late, Error::TimedOut { .. }), "{late:?}");
}

#[tokio::test]
async fn nonsense_is_told_as_nonsense() {
    for (what, error) in errors(Answer::Says(answer("200 OK", "nonsense"))).await {
        assert!(matches!(error, Error::Nonsense { .. }), "{what}: {error:?}");
    }
    for (what, error) in errors(Answer::Says(answer("200 OK", "{\"Id\": 7"))).await {
        assert!(matches!(error, Error::Nonsense { .. }), "{what}: {error:?}");
    }
}

#[tokio::test]
async fn an_answer_without_end_takes_no_more_memory_than_an_answer_may() {
    let before = resident();
    for (what, error) in errors(Answer::Floods(answer("200 OK", ""), &[b'a'; 65536])).await {
        assert!(matches!(error, Error::Nonsense { .. }), "{what}: {error:?}");
    }
    for (what, error) in errors(Answer::Floods(answer("500 Oh", ""), &[b'a'; 65536])).await {
        assert!(matches!(error, Error::Refused { .. }), "{what}: {error:?}");
        assert!(error.to_string().len() < 4096, "{what}");
    }
    let after = resident();
    assert!(after < before + (64 << 20), "{before} bytes became {after}");
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_an_error() {
    let cut = answer("200 OK\r\nContent-Length: 100", "\x01\0\0\0\0\0\0\x50half");
    for (what, error) in errors(Answer::Says(cut)).await {
        let is_told = matches!(error, Error::Gone { .. } | Error::Nonsense { .. });
        assert!(is_told, "{what}: {error:?}");
    }
    for (what, error) in errors(Answer::Says(Vec::new())).await {
        assert!(matches!(error, Error::Gone { .. }), "{what}: {error:?}");
    }
}
