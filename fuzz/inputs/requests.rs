//! A request of somebody who may do everything: the first byte chooses the route, a line is its
//! query, the rest its body. The platform answers, and never with a fault of its own.

use std::sync::OnceLock;
use std::time::Duration;

use meshagent::api::http;
use meshagent::platform::{Platform, RouteSummary};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

struct Served {
    runtime: Runtime,
    client: reqwest::Client,
    url: String,
    key: String,
    project: String,
    routes: Vec<RouteSummary>,
    _data: tempfile::TempDir,
}

fn served() -> &'static Served {
    static SERVED: OnceLock<Served> = OnceLock::new();
    SERVED.get_or_init(|| {
        let runtime = Runtime::new().expect("a runtime");
        let data = tempfile::tempdir().expect("a folder");
        let (url, key, project) = runtime.block_on(async {
            let platform = Platform::open(data.path()).await.expect("a platform");
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let url = format!("http://{}", listener.local_addr().expect("an address"));
            let bootstrap = platform.bootstrap();
            tokio::spawn(platform.serve(listener, std::future::pending()));
            (url, bootstrap.api_key.expose_secret().to_owned(), bootstrap.project_id)
        });
        let client = http::of_anything(&url).expect("a client");
        let routes = Platform::routes();
        Served { runtime, client, url, key, project, routes, _data: data }
    })
}

/// Feeds it in.
pub fn feed(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let served = served();
    let route = &served.routes[usize::from(*first) % served.routes.len()];
    let path = route.path.replace("{project}", &served.project).replace(['{', '}'], "");
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let query: String = rest[..end].iter().map(|byte| format!("%{byte:02x}")).collect();
    let body = rest.get(end + 1..).unwrap_or_default().to_vec();
    let request = served
        .client
        .request(route.method.clone(), format!("{}{path}?a={query}", served.url))
        .bearer_auth(&served.key)
        .timeout(Duration::from_secs(10))
        .body(body);
    let status = served.runtime.block_on(async { request.send().await.map(|it| it.status()) });
    if let Ok(status) = status {
        assert!(status.as_u16() != 500, "{} {path}: {status}", route.method);
    }
}
