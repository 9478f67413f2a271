//! A platform on a free port, and requests to it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use meshagent::platform::Platform;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A running platform that ends with the test.
pub struct Server {
    /// Its URL.
    pub url: String,
    /// The owner's key.
    pub owner: String,
    /// The first project.
    pub project: String,
    client: reqwest::Client,
    _stop: oneshot::Sender<()>,
    data: tempfile::TempDir,
}

/// What was answered.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Reply {
    /// The body, or null when it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// A header as text, empty when it is absent.
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text")).to_owned()
    }

    /// The reply, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The reply, if it is a 400 for this field.
    #[track_caller]
    pub fn refuses(self, field: &str) -> Self {
        assert_eq!((self.status, self.json()["field"].as_str()), (400, Some(field)), "{self:?}");
        self
    }
}

/// A request under construction.
pub struct Ask(reqwest::RequestBuilder);

impl Ask {
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub fn bearer(self, credential: &str) -> Self {
        self.header("authorization", &format!("Bearer {credential}"))
    }

    pub fn json(self, body: &Value) -> Self {
        self.text(&body.to_string())
    }

    pub fn text(self, body: &str) -> Self {
        Self(self.0.body(body.to_owned()))
    }

    pub async fn send(self) -> Reply {
        // The public SDK names this type on every request, with a body or without.
        let request = self.0.header("content-type", "application/json");
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let reply = Reply { status, headers, text: response.text().await.expect("a body") };
        assert!(!reply.header("x-request-id").is_empty(), "{reply:?}");
        // The SDK 0.56 reads an object in this one answer.
        if status >= 400 && status != 423 {
            assert!(reply.json()["error"].is_string(), "{reply:?}");
        }
        reply
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::capping(None).await
    }

    /// One that gives no larger pages than this, to those who ask for pages by tokens.
    pub async fn capping(pages: Option<i64>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let platform = Platform::open(&folder.path().join("data")).await.expect("a platform");
        Self::of(platform.capping_pages(pages), folder).await
    }

    /// Serves a platform whose data is in `data`, in a folder that ends with it.
    pub async fn of(platform: Platform, folder: tempfile::TempDir) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (stop, stopped) = oneshot::channel::<()>();
        let bootstrap = platform.bootstrap();
        tokio::spawn(platform.serve(listener, async {
            let _ = stopped.await;
        }));
        Self {
            url,
            owner: bootstrap.api_key.expose_secret().to_owned(),
            project: bootstrap.project_id,
            client: client(),
            _stop: stop,
            data: folder,
        }
    }

    /// A request with no credential.
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        Ask(self.client.request(method, format!("{}{path}", self.url)))
    }

    /// A request of the owner to a path below the first project.
    pub fn own(&self, method: &str, path: &str) -> Ask {
        let path = format!("/accounts/projects/{}{path}", self.project);
        self.ask(method, &path).bearer(&self.owner)
    }

    /// Sends JSON as the owner, below the first project.
    pub async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        self.own(method, path).json(&body).send().await
    }

    /// Reads as the owner, below the first project.
    pub async fn read(&self, path: &str) -> Reply {
        self.own("GET", path).send().await
    }

    /// Connects somebody to a room, and gives the token.
    pub async fn connect(&self, credential: &str, room: &str) -> String {
        let path = format!("/accounts/projects/{}/rooms/{room}/connect", self.project);
        let reply = self.ask("POST", &path).bearer(credential).text("{}").send().await;
        reply.expect(200).json()["jwt"].as_str().expect("a token").to_owned()
    }

    /// Creates a room and gives its id.
    pub async fn room(&self, name: &str) -> String {
        let reply = self.send("POST", "/rooms", json!({ "name": name })).await.expect(201);
        reply.json()["id"].as_str().expect("an id").to_owned()
    }

    /// A room with a name that no new room can have, as older platforms allowed them.
    pub async fn room_of_old(&self, name: &str) -> String {
        let id = self.room("of-old").await;
        let pool = self.store().await;
        sqlx::query("UPDATE rooms SET name = $1 WHERE id = $2")
            .bind(name)
            .bind(&id)
            .execute(&pool)
            .await
            .expect("a room");
        pool.close().await;
        id
    }

    /// Another project of the owner, with an ordinary key of its own.
    pub async fn other_project(&self, name: &str) -> (String, String) {
        let made = self.ask("POST", "/accounts/projects").bearer(&self.owner);
        let made = made.json(&json!({"name": name, "settings": null})).send().await.expect(201);
        let project = made.json()["id"].as_str().expect("an id").to_owned();
        let key = self.key_of(&project).await;
        (project, key)
    }

    /// A service account of the first project, and a key of its.
    pub async fn account(&self, name: &str) -> (String, String) {
        let made = self.send("POST", "/service-accounts", json!({"name": name, "description": ""}));
        let id = made.await.expect(201).json()["id"].as_str().expect("an id").to_owned();
        let path = format!("/service-accounts/{id}/api-keys");
        let made = self.send("POST", &path, json!({"name": "k", "description": ""})).await;
        (id, made.expect(201).json()["value"].as_str().expect("a key").to_owned())
    }

    /// Grants a service account a role in the first project.
    pub async fn granted(&self, account: &str, role: &str) {
        let path = format!("/iam/project/{}/policy:grant", self.project);
        let subject = json!({"type": "service_account", "id": account});
        let body = json!({"subject": subject, "roles": [role]});
        self.send("POST", &path, body).await.expect(200);
    }

    /// A new ordinary key of a project.
    pub async fn key_of(&self, project: &str) -> String {
        let path = format!("/accounts/projects/{project}/api-keys");
        let made = self.ask("POST", &path).bearer(&self.owner);
        let made = made.json(&json!({"name": "k", "description": ""})).send().await.expect(201);
        made.json()["value"].as_str().expect("a key").to_owned()
    }
}

impl Server {
    /// The store, for what no route makes yet.
    pub async fn store(&self) -> sqlx::SqlitePool {
        let path = self.folder().join("platform.sqlite");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        sqlx::SqlitePool::connect_with(options).await.expect("the store")
    }

    /// The folder that its data is in.
    pub fn folder(&self) -> std::path::PathBuf {
        self.data.path().join("data")
    }

    /// A key that acts for a member. No route makes one yet, so a key of the project is given
    /// to the member where keys are kept.
    pub async fn key_for_user(&self, user: &str) -> String {
        let key = self.key_of(&self.project).await;
        let (id, ..) = parts(&key);
        let pool = self.store().await;
        sqlx::query("UPDATE api_keys SET user_id = $1 WHERE id = $2")
            .bind(user)
            .bind(id)
            .execute(&pool)
            .await
            .expect("a key");
        pool.close().await;
        key
    }
}

/// A client without a proxy, whatever the environment says.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client")
}

/// A minimal service.
pub fn service(name: &str) -> Value {
    json!({
        "version": "v1",
        "kind": "Service",
        "metadata": { "name": name },
        "container": { "image": "busybox" },
    })
}

/// The parts of a key: its id, its project, its secret.
pub fn parts(key: &str) -> (String, String, String) {
    let mut parts = key.strip_prefix("ma-").expect("a key").splitn(3, '-');
    let mut id = || {
        let text = parts.next().expect("an id").replace('.', "-");
        let bytes = URL_SAFE_NO_PAD.decode(text).expect("base64");
        uuid::Uuid::from_slice(&bytes).expect("a UUID").to_string()
    };
    (id(), id(), parts.next().expect("a secret").to_owned())
}

/// The claims of a participant token, as the public SDK signs them with a key.
pub fn claims(key: &str, api: Option<Value>) -> Value {
    let (kid, sub, _) = parts(key);
    let mut grants = vec![json!({"name": "room", "scope": "demo"})];
    grants.extend(api.map(|scope| json!({"name": "api", "scope": scope})));
    json!({"name": "ada", "grants": grants, "version": "0.31.4", "kid": kid, "sub": sub})
}

/// Signs claims with the secret of a key.
pub fn signed(algorithm: Algorithm, claims: &Value, key: &str) -> String {
    let (_, _, secret) = parts(key);
    let secret = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &secret).expect("a token")
}

/// A participant token with an `api` grant.
pub fn token(key: &str, api: Value) -> String {
    signed(Algorithm::HS256, &claims(key, Some(api)), key)
}

/// The same for another room.
pub fn token_for(key: &str, room: &str, api: Value) -> String {
    let mut claims = claims(key, Some(api));
    claims["grants"][0]["scope"] = json!(room);
    signed(Algorithm::HS256, &claims, key)
}
