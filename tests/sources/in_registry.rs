//! Sources in a registry, from one that speaks the distribution API.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use meshagent::manifest::pack::Digest;
use serde_json::json;

use super::{Project, room, tells};
use crate::cli::Run;

const TOKEN: &str = "hunter2-of-the-registry";

/// What a registry has, and what it was asked.
#[derive(Default)]
struct Stored {
    layer: Vec<u8>,
    manifest: Vec<u8>,
    needs_token: bool,
    /// The credential with which tokens are given; without one, to everybody.
    basic: Option<String>,
    port: u16,
    asked: Vec<String>,
}

type Shared = Arc<Mutex<Stored>>;

async fn answer(
    State(stored): State<Shared>,
    Path((sort, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let mut stored = stored.lock().unwrap();
    stored.asked.push(format!("{sort}/{version}"));
    let sent = headers.get(header::AUTHORIZATION).map(|it| it.to_str().unwrap().to_owned());
    if stored.needs_token && sent != Some(format!("Bearer {TOKEN}")) {
        let realm = format!(
            "Bearer realm=\"http://127.0.0.1:{}/token\",service=\"r\",scope=\"x\"",
            stored.port
        );
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, realm)]).into_response();
    }
    let manifest = Digest::of(&stored.manifest).to_string();
    match sort.as_str() {
        "manifests" if version == "1.2" || version == manifest => {
            stored.manifest.clone().into_response()
        }
        "blobs" => stored.layer.clone().into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn token(State(stored): State<Shared>, headers: HeaderMap) -> Response {
    let sent = headers.get(header::AUTHORIZATION).map(|it| it.to_str().unwrap().to_owned());
    let basic = stored.lock().unwrap().basic.as_ref().map(|basic| format!("Basic {basic}"));
    match basic.is_none() || sent == basic {
        true => json!({"token": TOKEN}).to_string().into_response(),
        false => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// A registry with one artifact, `acme/m:1.2`.
async fn start(layer: Vec<u8>) -> Shared {
    let digest = Digest::of(&layer);
    let manifest = json!({"schemaVersion": 2, "layers": [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": layer.len()}
    ]});
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let manifest = manifest.to_string().into_bytes();
    let stored: Shared =
        Arc::new(Mutex::new(Stored { layer, manifest, port, ..Stored::default() }));
    let router = Router::new()
        .route("/v2/acme/m/{sort}/{version}", get(answer))
        .route("/token", get(token))
        .with_state(Arc::clone(&stored));
    tokio::spawn(async move { axum::serve(listener, router).await });
    stored
}

/// An archive with one room, in the folder `m`.
pub fn archive(name: &str) -> Vec<u8> {
    let mut tar =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_gnu();
    let text = room(name);
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "m/a.yaml", text.as_bytes()).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

fn project(stored: &Shared) -> Project {
    let port = stored.lock().unwrap().port;
    Project::new(&[], &format!("{{house: {{oci: '127.0.0.1:{port}/acme/m:1.2', path: m}}}}"))
}

pub async fn run(project: &Project, words: &[&str], config: Option<&str>) -> Run {
    let mut command = project.sandbox.command(words);
    command.envs(config.map(|config| ("DOCKER_AUTH_CONFIG", config)));
    let output = tokio::task::spawn_blocking(move || command.output());
    let run = Run::of(output.await.unwrap().unwrap());
    for secret in [TOKEN, "dTpodW50ZXIy"] {
        assert!(!run.stderr.contains(secret), "{}", run.stderr);
    }
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_is_pinned_by_its_digest() {
    let stored = start(archive("a")).await;
    let project = project(&stored);
    let updated = run(&project, &["source", "update"], None).await;
    assert_eq!(updated.code, 0, "{}", updated.stderr);
    assert!(updated.stdout.starts_with("house@1.2: "), "{}", updated.stdout);
    let digest = Digest::of(&stored.lock().unwrap().manifest).to_string();
    assert!(project.lock().contains(&format!("at: {digest}")), "{}", project.lock());
    std::fs::remove_dir_all(project.sandbox.path(".cache")).unwrap();
    stored.lock().unwrap().asked.clear();
    let validated = run(&project, &["validate"], None).await;
    assert_eq!(validated.code, 0, "{}", validated.stderr);
    // A pinned artifact is asked for by its digest, and not by its tag.
    let asked = std::mem::take(&mut stored.lock().unwrap().asked);
    assert_eq!(asked[0], format!("manifests/{digest}"));
    let offline = run(&project, &["validate", "--offline"], None).await;
    assert_eq!((offline.code, stored.lock().unwrap().asked.len()), (0, 0));

    // A registry that gives something else.
    std::fs::remove_dir_all(project.sandbox.path(".cache")).unwrap();
    stored.lock().unwrap().layer = archive("b");
    tells(&run(&project, &["validate"], None).await, "as its manifest says");
    stored.lock().unwrap().manifest.push(b' ');
    tells(&run(&project, &["validate"], None).await, "the registry answered 404");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_asks_for_a_credential_gets_the_one_for_its_host() {
    let stored = start(archive("a")).await;
    let project = project(&stored);
    stored.lock().unwrap().needs_token = true;
    // A token for everybody.
    let updated = run(&project, &["source", "update"], None).await;
    assert_eq!(updated.code, 0, "{}", updated.stderr);
    stored.lock().unwrap().basic = Some("dTpodW50ZXIy".to_owned());
    let refused = run(&project, &["source", "update"], None).await;
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    tells(&refused, "the registry refused a token: 401");
    tells(&refused, "docker login");
    let port = stored.lock().unwrap().port;
    let config = |host: &str| json!({"auths": {host: {"auth": "dTpodW50ZXIy"}}}).to_string();
    let other = run(&project, &["source", "update"], Some(&config("other.example.com"))).await;
    assert_eq!(other.code, 1, "{}", other.stderr);
    let own =
        run(&project, &["source", "update"], Some(&config(&format!("127.0.0.1:{port}")))).await;
    assert_eq!(own.code, 0, "{}", own.stderr);
}
