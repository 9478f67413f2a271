//! Archives that a web server has.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::in_registry::{archive, run};
use super::{Project, tells};

/// A server with an archive, and with ways to it; its port.
async fn start() -> u16 {
    let to = |url: &'static str| {
        get(move || async move { (StatusCode::FOUND, [(header::LOCATION, url)]).into_response() })
    };
    let router = Router::new()
        .route("/base.tar.gz", get(|| async { archive("a") }))
        .route("/moved", to("/base.tar.gz"))
        .route("/round", to("/round"))
        // An address that nobody has.
        .route("/out", to("http://192.0.2.1/base.tar.gz"))
        .route("/page", get(|| async { "<html>sign in</html>" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_downloaded_and_no_redirect_leads_out_of_tls() {
    let port = start().await;
    let project = Project::new(&[], "{}");
    let names = |path: &str| {
        project.names(&format!("{{base: {{archive: 'http://127.0.0.1:{port}/{path}', path: m}}}}"));
    };
    for path in ["base.tar.gz", "moved"] {
        names(path);
        let updated = run(&project, &["source", "update"], None).await;
        assert_eq!(updated.code, 0, "{}", updated.stderr);
        assert!(updated.stdout.contains("Room/a") || path == "moved", "{}", updated.stdout);
    }
    for (path, told) in [
        ("out", "a redirect leads to plain http"),
        ("round", "there are too many redirects"),
        ("none", "the server answered 404"),
        ("page", "the archive is neither tar, tar.gz nor zip"),
    ] {
        names(path);
        let refused = run(&project, &["source", "update"], None).await;
        assert_eq!(refused.code, 1, "{}", refused.stderr);
        tells(&refused, told);
    }
}
