//! What the crate promises, against a real Podman.

#[path = "../engine_here/mod.rs"]
mod engine_here;
#[path = "../../../../tests/needs.rs"]
#[expect(dead_code, reason = "the tests of the program need more")]
mod needs;

mod commands;
mod ends;
mod fakes;
mod given;
mod images;
mod leaves;
mod limits;
mod networks;
mod registry;
mod runs;
mod swaps;

use std::collections::BTreeMap;

use engine_here::{EngineHere, IMAGE};
use meshagent_containers::{Channel, Command, Engine, Spec};

/// The engine, or nothing where there is none, which is told.
async fn here() -> Option<EngineHere> {
    here_with("").await
}

/// The same, with more lines about the engine in its configuration.
async fn here_with(lines: &str) -> Option<EngineHere> {
    if !needs::podman("containers") {
        return None;
    }
    Some(EngineHere::start(lines).await)
}

/// A container that runs a line of a shell.
fn shell(line: &str) -> Spec {
    let words = ["sh", "-c", line].map(str::to_owned).to_vec();
    Spec { image: IMAGE.to_owned(), command: Command::Words(words), ..Spec::default() }
}

/// How a container ended, and what it wrote to its outputs.
async fn ended(engine: &Engine, id: &str) -> (i64, String, String) {
    let code = engine.wait(id).await.expect("an end");
    let (out, err) = written(engine, id).await;
    (code, out, err)
}

/// What a container has written to its outputs.
async fn written(engine: &Engine, id: &str) -> (String, String) {
    let mut logs = engine.logs(id, false).await.expect("logs");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(piece) = logs.next().await {
        let (channel, piece) = piece.expect("a piece");
        if channel == Channel::Out { &mut out } else { &mut err }.extend_from_slice(&piece);
    }
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(out), text(err))
}

/// Runs a line of a shell to its end, and has what it wrote.
async fn said(engine: &Engine, spec: &Spec) -> String {
    let id = engine.run(spec).await.expect("a container");
    let (code, out, err) = ended(engine, &id).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    engine.remove(&id, false).await.expect("it is removed");
    out
}

/// Labels.
fn labels<const N: usize>(labels: [(&str, &str); N]) -> BTreeMap<String, String> {
    labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// How much memory this process holds.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).expect("a number");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
}
