//! The page to sign in, in a real browser: Chromium without a window, driven over WebDriver.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{PATIENCE, Waiting, blocking, output};
use crate::cli::Sandbox;
use crate::needs;
use crate::platform::harness::{Server, client};

/// The name that the protocol gives to an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one tab, and the process that drives it.
struct Chromium {
    driver: Child,
    session: String,
    http: reqwest::Client,
    _profile: tempfile::TempDir,
}

/// Whether there is a browser.
fn is_there() -> bool {
    needs::programs("the page to sign in", &["chromium", "chromedriver"])
}

impl Chromium {
    async fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(driver.stdout.take().unwrap());
        let mut lines = lines.lines().map(Result::unwrap);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        // Whatever else it tells is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-proxy-server",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ];
        let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": arguments},
        }}});
        let url = format!("http://127.0.0.1:{}/session", port.unwrap());
        let mut chromium = Self { driver, session: url, http: client(), _profile: profile };
        let made = chromium.post("", wanted).await;
        chromium.session += &format!("/{}", made["sessionId"].as_str().unwrap());
        chromium
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.session)).body(body.to_string());
        let text = request.send().await.unwrap().text().await.unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(value["value"].get("error").is_none(), "{path} {body}: {text}");
        value["value"].clone()
    }

    async fn get(&self, path: &str) -> String {
        let request = self.http.get(format!("{}{path}", self.session));
        let text = request.send().await.unwrap().text().await.unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        value["value"].as_str().unwrap_or_else(|| panic!("{path}: {text}")).to_owned()
    }

    async fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    /// The path of an element that is there, or comes.
    async fn find(&self, selector: &str) -> String {
        let started = Instant::now();
        loop {
            let wanted = json!({"using": "css selector", "value": selector});
            let found = self.post("/elements", wanted).await;
            if let Some(id) = found[0][ELEMENT].as_str() {
                return format!("/element/{id}");
            }
            assert!(started.elapsed() < PATIENCE, "no {selector} in {}", self.get("/source").await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn text(&self, selector: &str) -> String {
        self.get(&format!("{}/text", self.find(selector).await)).await
    }

    async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        self.post(&format!("{element}/click"), json!({})).await;
    }

    async fn enter(&self, key: &str) {
        let field = self.find("#key").await;
        self.post(&format!("{field}/value"), json!({ "text": key })).await;
        self.click("button[value=allow]").await;
    }

    async fn end(mut self) {
        let _ = self.http.delete(&self.session).send().await;
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A site of somebody else, which frames the page and sends its form.
async fn evil_site(target: &str) -> String {
    let query = target.split_once('?').unwrap().1;
    let fields: String = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| format!("<input name='{name}' value='{value}'>"))
        .collect();
    let action = target.split('?').next().unwrap();
    let html = format!(
        "<iframe src='{}'></iframe><form method=post action='{action}'>{fields}\
         <input name=page value=x><button id=send>win</button></form>",
        target.replace('&', "&amp;")
    );
    let router = axum::Router::new()
        .route("/", axum::routing::get(|| async move { axum::response::Html(html) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_with_a_browser() {
    if !is_there() {
        return;
    }
    let server = Server::start().await;
    let sandbox = Sandbox::new();
    let chromium = Chromium::start().await;

    let command = sandbox.on(&server, &["auth", "login", "--no-browser"]);
    let waiting = blocking(|| Waiting::start(command)).await;
    chromium.open(&waiting.url).await;
    assert_eq!(chromium.get("/title").await, "Sign in - MeshAgent embedded platform");
    assert_eq!(chromium.text("h1").await, "Sign in");
    // What reads pages aloud finds a named field, and the style that the policy allows is on.
    let field = chromium.find("#key").await;
    assert_eq!(chromium.get(&format!("{field}/computedlabel")).await, "API key");
    assert_eq!(chromium.get(&format!("{field}/css/display")).await, "inline-block");
    let label = chromium.find("label").await;
    assert_eq!(chromium.get(&format!("{label}/css/display")).await, "block");
    assert_eq!(chromium.get(&format!("{field}/property/type")).await, "password");

    chromium.enter("ma-wrong").await;
    let problem = chromium.text("[role=alert]").await;
    assert!(problem.starts_with("That is not an API key"), "{problem}");
    let field = chromium.find("#key").await;
    assert_eq!(chromium.get(&format!("{field}/property/value")).await, "");

    // Another site can neither frame the page nor send its form, although this browser has
    // the page's cookie.
    let evil = evil_site(&waiting.url).await;
    chromium.open(&evil).await;
    let frame = chromium.find("iframe").await;
    let id = frame.strip_prefix("/element/").unwrap();
    chromium.post("/frame", json!({"id": { ELEMENT: id }})).await;
    let framed = chromium.get("/source").await;
    assert!(!framed.contains("id=\"key\""), "{framed}");
    chromium.post("/frame", json!({"id": null})).await;
    chromium.click("#send").await;
    assert!(chromium.text("[role=alert]").await.contains("another site sent the form"));

    chromium.open(&waiting.url).await;
    chromium.enter(&server.owner).await;
    let started = Instant::now();
    let place = loop {
        let place = chromium.get("/url").await;
        if place.starts_with("http://localhost:8765/callback?code=") || started.elapsed() > PATIENCE
        {
            break place;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(place.starts_with("http://localhost:8765/callback?code="), "{place}");
    assert!(chromium.text("body").await.contains("You are signed in."));
    let run = blocking(|| waiting.end()).await;
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    let me = output(sandbox.on(&server, &["auth", "whoami", "-o", "json"])).json();
    assert_eq!(me["email"], "owner@localhost");

    let command = sandbox.on(&server, &["auth", "login", "--no-browser"]);
    let waiting = blocking(|| Waiting::start(command)).await;
    chromium.open(&waiting.url).await;
    chromium.click("button[value=deny]").await;
    let run = blocking(|| waiting.end()).await;
    assert_eq!(run.code, 1);
    assert_eq!(run.stderr, "error: the platform did not sign you in: access_denied\n");
    chromium.end().await;
}
