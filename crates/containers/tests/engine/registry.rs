//! A registry for one test: it keeps what is pushed, for whoever knows the password.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// `me` with `secret`, as HTTP has it.
const ALLOWED: &str = "Basic bWU6c2VjcmV0";

#[derive(Default)]
struct Kept {
    blobs: HashMap<String, Bytes>,
    manifests: HashMap<String, (String, Bytes)>,
}

/// Starts the registry, and says where it is.
pub async fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let name = listener.local_addr().expect("an address").to_string();
    let kept = Arc::new(Mutex::new(Kept::default()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            let service = service_fn(move |request| {
                let kept = Arc::clone(&kept);
                async move { Ok::<_, std::convert::Infallible>(answer(request, &kept).await) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    name
}

async fn answer(request: Request<Incoming>, kept: &Mutex<Kept>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let header =
        |name: &str| head.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let path = head.uri.path().to_owned();
    if header("authorization") != ALLOWED {
        let refused = Response::builder().status(StatusCode::UNAUTHORIZED);
        let refused = refused.header("www-authenticate", "Basic realm=\"here\"");
        return refused.body(Full::default()).expect("an answer");
    }
    let mut kept = kept.lock().expect("what is kept");
    let said = |status: u16, headers: &[(&str, &str)], body: Bytes| {
        let answer = Response::builder().status(status);
        let answer = headers.iter().fold(answer, |it, (name, value)| it.header(*name, *value));
        answer.body(Full::new(body)).expect("an answer")
    };
    let last = path.rsplit('/').next().unwrap_or_default();
    let is_head = head.method == Method::HEAD;
    match head.method {
        Method::POST => said(202, &[("location", &format!("{path}here"))], Bytes::new()),
        Method::PATCH => {
            kept.blobs.insert(path.clone(), body);
            said(202, &[("location", &path)], Bytes::new())
        }
        Method::PUT if path.contains("/uploads/") => {
            let digest =
                head.uri.query().and_then(|it| it.split("digest=").nth(1)).expect("a digest");
            let digest = digest.replace("%3A", ":");
            let sent = kept.blobs.remove(&path).filter(|_| body.is_empty()).unwrap_or(body);
            kept.blobs.insert(digest.clone(), sent);
            said(201, &[("docker-content-digest", &digest)], Bytes::new())
        }
        Method::PUT => {
            kept.manifests.insert(last.to_owned(), (header("content-type").to_owned(), body));
            said(201, &[], Bytes::new())
        }
        _ if path == "/v2/" => said(200, &[], Bytes::new()),
        _ if path.contains("/manifests/") => match kept.manifests.get(last) {
            Some((kind, body)) => said(200, &[("content-type", kind)], body.clone()),
            None => said(404, &[], Bytes::new()),
        },
        _ => match kept.blobs.get(last) {
            Some(blob) if is_head => {
                said(200, &[("content-length", &blob.len().to_string())], Bytes::new())
            }
            Some(blob) => said(200, &[], blob.clone()),
            None => said(404, &[], Bytes::new()),
        },
    }
}
