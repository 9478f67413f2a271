//! Signing in, from the side of those who must not get in.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meshagent::platform::{Access, Platform, RouteSummary};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::harness::{Reply, Server, parts};

const CLIENT: &str = "p8xy1ZUi73jJUJbNfTg92HUSDpCSZJcc";
const BACK: &str = "http://localhost:8765/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

type Fields = BTreeMap<String, String>;
type Headers<'a> = &'a [(&'a str, &'a str)];

/// Pairs as fields.
fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What the command line asks for.
fn wanted() -> Fields {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    fields(&[
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", BACK),
        ("scope", "admin"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("state", "a state"),
    ])
}

/// The same with one field changed, or taken away.
fn but(mut fields: Fields, name: &str, value: Option<&str>) -> Fields {
    fields.remove(name);
    fields.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    fields
}

fn encoded(fields: &Fields) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A person's browser: it follows no redirect, so that a test sees where it would go.
pub struct Browser {
    http: reqwest::Client,
    base: String,
}

/// A page, and what its form would send.
struct Page {
    reply: Reply,
    cookie: String,
    form: Fields,
}

impl Browser {
    pub fn new(base: &str) -> Self {
        Self::at(base, std::net::Ipv4Addr::LOCALHOST)
    }

    /// One on a machine with this address.
    fn at(base: &str, address: std::net::Ipv4Addr) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .local_address(std::net::IpAddr::V4(address))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Self { http, base: base.to_owned() }
    }

    async fn send(&self, method: Method, path: &str, headers: Headers<'_>, body: String) -> Reply {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply { status, headers, text: response.text().await.expect("a body") }
    }

    async fn open(&self, query: &str) -> Page {
        let path = format!("/oauth/authorize?{query}");
        Page::of(self.send(Method::GET, &path, &[], String::new()).await)
    }

    async fn submit(&self, cookie: &str, form: &Fields, more: Headers<'_>) -> Reply {
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
        if !cookie.is_empty() {
            headers.push(("cookie", cookie));
        }
        headers.extend(more);
        self.send(Method::POST, "/oauth/authorize", &headers, encoded(form)).await
    }

    /// Opens the page, and signs in with a key; what the browser is told then.
    async fn sign_in(&self, wanted: &Fields, key: &str) -> Reply {
        let page = self.open(&encoded(wanted)).await;
        assert_eq!(page.reply.status, 200, "{:?}", page.reply);
        let form = but(page.form, "key", Some(key));
        self.submit(&page.cookie, &form, &[("origin", &self.base)]).await
    }

    async fn code(&self, key: &str) -> String {
        let told = told(&self.sign_in(&wanted(), key).await);
        assert_eq!(told["state"], "a state");
        told["code"].clone()
    }

    async fn token(&self, form: &Fields) -> Reply {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let reply = self.send(Method::POST, "/oauth/token", &headers, encoded(form)).await;
        assert_eq!(reply.header("cache-control"), "no-store");
        reply
    }

    async fn refresh(&self, token: &str) -> Reply {
        self.token(&fields(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", CLIENT),
        ]))
        .await
    }

    /// Opens what a program printed, and signs in; where the browser is sent then.
    pub async fn visit(&self, url: &str, key: &str) -> String {
        let query = url::Url::parse(url).expect("a URL");
        let page = self.open(query.query().expect("a query")).await;
        let form = but(page.form, "key", Some(key));
        let reply = self.submit(&page.cookie, &form, &[("origin", &self.base)]).await;
        told(&reply);
        reply.header("location")
    }

    /// Signs in with a key, all the way.
    pub async fn tokens(&self, key: &str) -> Value {
        let code = self.code(key).await;
        self.token(&redeem(&code)).await.expect(200).json()
    }
}

fn redeem(code: &str) -> Fields {
    fields(&[
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", BACK),
        ("client_id", CLIENT),
        ("code_verifier", VERIFIER),
    ])
}

/// Where the browser is sent, which must be the program's own address, and with what.
#[track_caller]
fn told(reply: &Reply) -> Fields {
    assert_eq!(reply.status, 303, "{reply:?}");
    let place = url::Url::parse(&reply.header("location")).expect("a URL");
    assert_eq!(place.as_str().split('?').next(), Some(BACK));
    place.query_pairs().into_owned().collect()
}

#[track_caller]
fn refused(reply: &Reply, error: &str) {
    assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some(error)), "{reply:?}");
    assert!(reply.json()["error_description"].is_string(), "{reply:?}");
}

impl Page {
    fn of(reply: Reply) -> Self {
        let cookie = reply.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        let inputs = reply.text.split("<input type=\"hidden\" name=\"").skip(1);
        let plain = |text: &str| {
            let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            text.replace("&#x27;", "'").replace("&#x2f;", "/").replace("&amp;", "&")
        };
        let form = inputs
            .map(|input| {
                let (name, rest) = input.split_once("\" value=\"").expect("a value");
                (plain(name), plain(rest.split_once('"').expect("an end").0))
            })
            .collect();
        Self { reply, cookie, form }
    }
}

async fn status(server: &Server, credential: &str) -> u16 {
    server.ask("GET", "/accounts/profiles/me").bearer(credential).send().await.status
}

#[tokio::test]
async fn a_person_signs_in_and_reaches_what_the_key_reaches() {
    let server = Server::start().await;
    let browser = Browser::new(&server.url);
    let open: Vec<_> = Platform::routes()
        .into_iter()
        .filter(|route| route.access == Access::Open)
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    // The address of a file is signed.
    let expected = [
        "GET /oauth/authorize",
        "POST /oauth/authorize",
        "POST /oauth/token",
        // Which API is spoken is asked before a credential is sent.
        "GET /config",
        "GET /rooms/{room}/files",
    ];
    assert_eq!(open, expected);

    let tokens = browser.tokens(&server.owner).await;
    assert_eq!((&tokens["token_type"], &tokens["scope"]), (&json!("Bearer"), &json!("admin")));
    assert_eq!(tokens["expires_in"], 3600);
    let access = tokens["access_token"].as_str().expect("a token");
    // The person is the owner, with all that the owner may do, on every route but into rooms,
    // which take tokens.
    let people = |route: &&RouteSummary| {
        !matches!(route.access, Access::Open | Access::Participant | Access::Tunnel)
    };
    for route in Platform::routes().iter().filter(people) {
        let path = route.path.replace("{project}", &server.project).replace("{user}", "me");
        let path = path.replace(['{', '}'], "");
        // What deletes is aimed at what is not there.
        let reply = server.ask(route.method.as_str(), &path).bearer(access).text("{}").send().await;
        assert!(!matches!(reply.status, 401 | 403 | 500..), "{} {path}: {reply:?}", route.method);
    }
    let me = server.ask("GET", "/accounts/profiles/me").bearer(access).send().await.expect(200);
    assert_eq!(me.json()["email"], "owner@localhost");

    // A member who signs in stays a member.
    server.send("POST", "/users", json!({"user_id": "ada"})).await.expect(201);
    let key = server.key_for_user("ada").await;
    let tokens = browser.tokens(&key).await;
    let access = tokens["access_token"].as_str().expect("a token");
    let role = format!("/accounts/projects/{}/role", server.project);
    let role = server.ask("GET", &role).bearer(access).send().await.expect(200);
    assert_eq!(role.json(), json!({"role": "member"}));
    let (_, other) = server.other_project("other").await;
    let elsewhere = format!("/accounts/projects/{}", parts(&other).1);
    server.ask("GET", &elsewhere).bearer(access).send().await.expect(403);

    // With the key ends what it was the proof for.
    let (id, ..) = parts(&key);
    server.own("DELETE", &format!("/api-keys/{id}")).send().await.expect(204);
    assert_eq!(status(&server, access).await, 401);
    refused(&browser.refresh(tokens["refresh_token"].as_str().unwrap()).await, "invalid_grant");
}

#[tokio::test]
async fn nobody_is_sent_to_a_foreign_address() {
    let server = Server::start().await;
    let browser = Browser::new(&server.url);
    let evil = [
        "http://evil.example/callback",
        "https://localhost:8765/callback",
        "http://localhost:8766/callback",
        "http://localhost/callback",
        "http://127.0.0.1:8765/callback",
        "http://localhost:8765/callback/",
        "http://localhost:8765/callback?x=1",
        "http://localhost:8765/callback#x",
        "http://localhost:8765/callback/../x",
        "http://localhost:8765/CALLBACK",
        "http://localhost:8765@evil.example/callback",
        "http://user@localhost:8765/callback",
        "http://localhost:8765.evil.example/callback",
        "//evil.example",
        "javascript:alert(1)",
        "http://localhost:8765/callback\r\nx: y",
        "",
    ];
    let mut cases: Vec<Fields> =
        evil.iter().map(|uri| but(wanted(), "redirect_uri", Some(uri))).collect();
    cases.push(but(wanted(), "redirect_uri", None));
    cases.push(but(wanted(), "client_id", None));
    cases.push(but(wanted(), "client_id", Some("another")));
    cases.push(but(wanted(), "state", Some(&"x".repeat(2000))));
    for case in cases {
        let page = browser.open(&encoded(&case)).await;
        let line = format!("{case:?}: {:?}", page.reply);
        assert_eq!(page.reply.status, 400, "{line}");
        assert_eq!(page.reply.header("location"), "", "{line}");
        assert!(page.form.is_empty() && !page.reply.text.contains("<form"), "{line}");
        // The form is looked at as the page is.
        let good = browser.open(&encoded(&wanted())).await;
        let form: Fields = good.form.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let mut form = but(form, "key", Some(&server.owner));
        for name in ["redirect_uri", "client_id", "state"] {
            form = but(form, name, case.get(name).map(String::as_str));
        }
        let reply = browser.submit(&good.cookie, &form, &[]).await;
        assert_eq!((reply.status, reply.header("location")), (400, String::new()), "{case:?}");
    }
    // Twice the same parameter is nobody's meaning.
    let twice = format!("{}&redirect_uri=http%3A%2F%2Fevil.example", encoded(&wanted()));
    assert_eq!(browser.open(&twice).await.reply.status, 400);
}

#[tokio::test]
async fn what_is_wrong_otherwise_is_told_to_the_program() {
    let server = Server::start().await;
    let browser = Browser::new(&server.url);
    let cases = [
        ("response_type", Some("token"), "unsupported_response_type"),
        ("response_type", None, "unsupported_response_type"),
        ("code_challenge", None, "invalid_request"),
        ("code_challenge", Some("short"), "invalid_request"),
        ("code_challenge", Some(""), "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("code_challenge_method", None, "invalid_request"),
        ("scope", Some("openid"), "invalid_scope"),
    ];
    for (name, value, error) in cases {
        let wrong = but(wanted(), name, value);
        let told_of = told(&browser.open(&encoded(&wrong)).await.reply);
        assert_eq!((told_of["error"].as_str(), told_of["state"].as_str()), (error, "a state"));
        let good = browser.open(&encoded(&wanted())).await;
        let form = but(but(good.form, name, value), "key", Some(&server.owner));
        let told_of = told(&browser.submit(&good.cookie, &form, &[]).await);
        assert_eq!((told_of["error"].as_str(), told_of.get("code")), (error, None));
    }
    let page = browser.open(&encoded(&wanted())).await;
    let form = but(page.form, "decision", Some("deny"));
    assert_eq!(told(&browser.submit(&page.cookie, &form, &[]).await)["error"], "access_denied");
}

#[tokio::test]
async fn a_page_runs_nothing_and_is_framed_by_nobody() {
    let server = Server::start().await;
    let browser = Browser::new(&server.url);
    let evil = "\"><script>alert('x')</script><b a='";
    for name in ["state", "client_id", "redirect_uri", "scope", "response_type", "code_challenge"] {
        let page = browser.open(&encoded(&but(wanted(), name, Some(evil)))).await;
        let html = &page.reply.text;
        assert!(!html.contains("<script") && !html.contains("<b a"), "{name}: {html}");
        if name == "state" {
            assert_eq!(page.form["state"], evil);
            let form = but(page.form, "key", Some(&server.owner));
            let back = told(&browser.submit(&page.cookie, &form, &[]).await);
            assert_eq!(back["state"], evil);
        }
    }
    let page = browser.open(&encoded(&wanted())).await;
    let wrong = but(page.form.clone(), "key", Some(evil));
    let wrong = browser.submit(&page.cookie, &wrong, &[]).await;
    assert_eq!(wrong.status, 401);
    // What was typed is never shown again.
    assert!(!wrong.text.contains("alert("), "{}", wrong.text);
    let refused = browser.open("client_id=x").await.reply;
    for reply in [&page.reply, &wrong, &refused] {
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        for part in ["frame-ancestors 'none'", "base-uri 'none'", "form-action 'self' http"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
        assert_eq!(reply.header("x-frame-options"), "DENY");
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    }
    let cookie = page.reply.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
}

#[tokio::test]
async fn another_site_cannot_send_the_form() {
    let server = Server::start().await;
    let browser = Browser::new(&server.url);
    let page = browser.open(&encoded(&wanted())).await;
    let form = but(page.form, "key", Some(&server.owner));
    let stolen = browser.open(&encoded(&wanted())).await;
    let twice = format!("{}; {}", page.cookie, stolen.cookie);
    let mixed = but(form.clone(), "page", Some(&stolen.form["page"]));
    let blank = but(form.clone(), "page", Some(""));
    let good = page.cookie.as_str();
    let cases: [(&str, &Fields, Headers<'_>); 9] = [
        ("", &form, &[]),
        ("meshagent_sign_in=", &blank, &[]),
        (&stolen.cookie, &form, &[]),
        (good, &mixed, &[]),
        (&twice, &form, &[]),
        (good, &but(form.clone(), "page", None), &[]),
        (good, &form, &[("origin", "http://evil.example")]),
        (good, &form, &[("origin", "null")]),
        (good, &form, &[("sec-fetch-site", "cross-site")]),
    ];
    for (cookie, form, headers) in cases {
        let reply = browser.submit(cookie, form, headers).await;
        assert_eq!((reply.status, reply.header("location")), (403, String::new()), "{headers:?}");
    }
    // A form of another type needs no permission of the browser to be sent across sites.
    let headers = [("content-type", "text/plain"), ("cookie", good)];
    let reply = browser.send(Method::POST, "/oauth/authorize", &headers, encoded(&form)).await;
    assert_eq!(reply.status, 400);
    assert!(told(&browser.submit(good, &form, &[]).await).contains_key("code"));
}

#[tokio::test]
async fn only_keys_of_people_sign_in_and_only_a_few_are_tried() {
    let server = Server::start().await;
    let browser = Browser::new(&server.url);
    let project_key = server.key_of(&server.project).await;
    let (_, _, secret) = parts(&server.owner);
    let (id, ..) = parts(&project_key);
    let wrong = [
        String::new(),
        "ma-".to_owned(),
        format!("{}x", server.owner),
        server.owner.replace(&secret, "guess"),
        project_key.clone(),
        id,
        browser.tokens(&server.owner).await["access_token"].as_str().unwrap().to_owned(),
        super::harness::token(&project_key, json!({"admin": {}})),
    ];
    for key in &wrong {
        let reply = browser.sign_in(&wanted(), key).await;
        assert_eq!((reply.status, reply.header("location")), (401, String::new()), "{reply:?}");
        assert!(key.len() < 5 || !reply.text.contains(key.as_str()), "{}", reply.text);
    }
    // Those who sign in are not counted; the others are, all at once, too.
    browser.code(&server.owner).await;
    let wanted = wanted();
    let guesses = (0..20).map(|_| browser.sign_in(&wanted, "ma-guess"));
    let statuses: Vec<u16> =
        futures_util::future::join_all(guesses).await.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10 - wrong.len());
    let reply = browser.sign_in(&wanted, &server.owner).await;
    assert_eq!(reply.status, 429);
    assert!((1..=61).contains(&reply.header("retry-after").parse::<u32>().unwrap()));
}

#[tokio::test]
async fn wrong_keys_shut_out_the_address_that_they_come_from() {
    let server = Server::start().await;
    let browser = Browser::new(&server.url);
    let other = Browser::at(&server.url, [127, 0, 0, 2].into());
    for _ in 0..10 {
        assert_eq!(browser.sign_in(&wanted(), "ma-guess").await.status, 401);
    }
    for key in ["ma-guess", &server.owner] {
        assert_eq!(browser.sign_in(&wanted(), key).await.status, 429);
    }
    assert_eq!(other.sign_in(&wanted(), "ma-guess").await.status, 401);
    other.code(&server.owner).await;
    // Whoever is shut out from the page still has the key itself.
    assert_eq!(status(&server, &server.owner).await, 200);
}

#[tokio::test]
async fn a_code_is_good_once_for_whoever_asked_for_it() {
    let server = Server::start().await;
    let browser = Browser::new(&server.url);
    for (name, value, error) in [
        ("code", Some("guess"), "invalid_grant"),
        ("code", None, "invalid_request"),
        ("code_verifier", Some("another-verifier-that-is-long-enough-to-be-one"), "invalid_grant"),
        ("code_verifier", Some(""), "invalid_grant"),
        ("code_verifier", None, "invalid_request"),
        ("redirect_uri", Some("http://localhost:8765/other"), "invalid_grant"),
        ("redirect_uri", None, "invalid_request"),
        ("client_id", Some("another"), "invalid_client"),
        ("client_id", None, "invalid_request"),
        ("grant_type", Some("password"), "unsupported_grant_type"),
        ("grant_type", None, "invalid_request"),
    ] {
        let code = browser.code(&server.owner).await;
        refused(&browser.token(&but(redeem(&code), name, value)).await, error);
        // What was presented wrongly is in the wrong hands.
        let is_burnt = error == "invalid_grant" && name != "code";
        let status = browser.token(&redeem(&code)).await.status;
        assert_eq!(status, if is_burnt { 400 } else { 200 }, "{name}");
    }
    // The challenge is no verifier.
    let code = browser.code(&server.owner).await;
    let challenge = wanted()["code_challenge"].clone();
    let form = but(redeem(&code), "code_verifier", Some(&challenge));
    refused(&browser.token(&form).await, "invalid_grant");

    // A second use ends what the first one began.
    let code = browser.code(&server.owner).await;
    let tokens = browser.token(&redeem(&code)).await.expect(200).json();
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(status(&server, access).await, 200);
    refused(&browser.token(&redeem(&code)).await, "invalid_grant");
    assert_eq!(status(&server, access).await, 401);
    refused(&browser.refresh(tokens["refresh_token"].as_str().unwrap()).await, "invalid_grant");

    // Of many uses at once none is left with a session.
    let code = browser.code(&server.owner).await;
    let form = redeem(&code);
    let replies = futures_util::future::join_all((0..8).map(|_| browser.token(&form))).await;
    let given: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(given.len(), 1);
    assert_eq!(status(&server, given[0].json()["access_token"].as_str().unwrap()).await, 401);

    let code = browser.code(&server.owner).await;
    let pool = server.store().await;
    age(&pool, "UPDATE sign_in_codes SET expires_at = expires_at - 61").await;
    refused(&browser.token(&redeem(&code)).await, "invalid_grant");
    pool.close().await;
}

async fn age(pool: &sqlx::SqlitePool, statement: &'static str) {
    sqlx::query(statement).execute(pool).await.expect("an update");
}

#[tokio::test]
async fn a_refresh_token_is_good_once_with_a_grace() {
    let server = Server::start().await;
    let browser = Browser::new(&server.url);
    let text = |tokens: &Value, name: &str| tokens[name].as_str().expect("a token").to_owned();
    let first = browser.tokens(&server.owner).await;
    let (access, refresh) = (text(&first, "access_token"), text(&first, "refresh_token"));
    // Neither token is the other.
    refused(&browser.refresh(&access).await, "invalid_grant");
    assert_eq!(status(&server, &refresh).await, 401);
    let foreign = fields(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", &refresh),
        ("client_id", "another"),
    ]);
    refused(&browser.token(&foreign).await, "invalid_client");
    let absent = fields(&[("grant_type", "refresh_token"), ("client_id", CLIENT)]);
    refused(&browser.token(&absent).await, "invalid_request");

    // Two processes that refresh at once both go on.
    let (one, two) = tokio::join!(browser.refresh(&refresh), browser.refresh(&refresh));
    let (one, two) = (one.expect(200).json(), two.expect(200).json());
    assert_ne!(text(&one, "refresh_token"), text(&two, "refresh_token"));
    for tokens in [&one, &two] {
        assert_eq!(status(&server, &text(tokens, "access_token")).await, 200);
    }
    let next = browser.refresh(&text(&one, "refresh_token")).await.expect(200).json();

    // Long after its use it is a thief's, or its owner's after a thief's: all of it ends.
    let pool = server.store().await;
    age(&pool, "UPDATE sign_in_tokens SET used_at = used_at - 31").await;
    refused(&browser.refresh(&refresh).await, "invalid_grant");
    for tokens in [&first, &one, &two, &next] {
        assert_eq!(status(&server, &text(tokens, "access_token")).await, 401);
        refused(&browser.refresh(&text(tokens, "refresh_token")).await, "invalid_grant");
    }

    // Both run out.
    let tokens = browser.tokens(&server.owner).await;
    age(&pool, "UPDATE sign_in_tokens SET expires_at = expires_at - 3601").await;
    assert_eq!(status(&server, &text(&tokens, "access_token")).await, 401);
    let tokens = browser.refresh(&text(&tokens, "refresh_token")).await.expect(200).json();
    age(&pool, "UPDATE sign_in_tokens SET expires_at = expires_at - 2592001").await;
    refused(&browser.refresh(&text(&tokens, "refresh_token")).await, "invalid_grant");

    // The store holds no token that could be used.
    let tokens = browser.tokens(&server.owner).await;
    let kept: Vec<String> = sqlx::query_scalar("SELECT digest FROM sign_in_tokens")
        .fetch_all(&pool)
        .await
        .expect("digests");
    assert_eq!(kept.len(), 2);
    for name in ["access_token", "refresh_token"] {
        assert!(!kept.contains(&text(&tokens, name)));
        assert!(!kept.contains(&text(&tokens, name)[3..].to_owned()));
    }
    pool.close().await;
}
