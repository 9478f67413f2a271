//! A platform of either API, as far as a reconciler sees it: lists, objects and the project's
//! storage. It is as lenient as the servers against which the cross runs of the two clients were
//! recorded: parameters that it does not know are ignored, and bodies are stored as they come.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use meshagent::api::spoken::Spoken;
use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};

pub const PROJECT: &str = "11111111-1111-4111-8111-111111111111";

/// How many objects a list of 0.31 has where nobody says how many.
const USUAL_PAGE: usize = 50;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: Method,
    /// Below the project, or else whole; decoded.
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub body: Value,
    pub is_signed: bool,
    pub consistency: Option<String>,
}

#[derive(Debug)]
struct Kept {
    spoken: Spoken,
    /// What `GET /config` is answered with; without, it is not there.
    config: Option<Value>,
    /// The lists, by their paths below the project.
    lists: BTreeMap<String, Vec<Value>>,
    files: BTreeMap<String, Vec<u8>>,
    /// The most objects of a page.
    cap: usize,
    /// The list that shows nothing of what is in it.
    hidden: Option<&'static str>,
    /// The path below the project that is refused.
    denied: Option<&'static str>,
    asked: Vec<Asked>,
}

type Shared = Arc<Mutex<Kept>>;

/// The platform, which serves until the end of the test.
pub struct StandIn {
    address: SocketAddr,
    kept: Shared,
    pub sandbox: Sandbox,
    _runtime: tokio::runtime::Runtime,
}

impl StandIn {
    /// One that speaks this API, and says so as a hosted platform does: one of 0.31 says nothing.
    pub fn of(spoken: Spoken) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0));
        let listener = runtime.block_on(listener).expect("a port");
        let address = listener.local_addr().expect("an address");
        let config = described(spoken);
        let (lists, files, asked) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let (cap, hidden, denied) = (100, None, None);
        let kept = Kept { spoken, config, lists, files, cap, hidden, denied, asked };
        let kept = Arc::new(Mutex::new(kept));
        let app = Router::new().fallback(answer).with_state(kept.clone());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { address, kept, sandbox: Sandbox::new(), _runtime: runtime }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no panic before")
    }

    /// It says this of itself from now on.
    pub fn says(&self, config: Option<Value>) {
        self.kept().config = config;
    }

    /// It is upgraded, or put back, with all that is in it.
    pub fn becomes(&self, spoken: Spoken) {
        let mut kept = self.kept();
        kept.spoken = spoken;
        kept.config = described(spoken);
    }

    /// Its pages have so many objects at most.
    pub fn cap(&self, cap: usize) {
        self.kept().cap = cap;
    }

    /// Puts objects into a list, by its path below the project.
    pub fn put(&self, list: &str, items: impl IntoIterator<Item = Value>) {
        self.kept().lists.entry(list.to_owned()).or_default().extend(items);
    }

    /// Puts an object in the place of the one that has its id or its domain.
    pub fn replace(&self, list: &str, item: Value) {
        let called = ["id", "domain"].iter().find_map(|name| item[*name].as_str());
        let called = called.expect("an id").to_owned();
        let mut kept = self.kept();
        let items = kept.lists.get_mut(list).expect("such a list");
        *items.iter_mut().find(|it| is_called(it, &called)).expect("such an object") = item;
    }

    /// Takes all objects out of a list.
    pub fn clear(&self, list: &str) {
        self.kept().lists.remove(list);
    }

    /// Leaves all objects out of a list that are there all the same.
    pub fn hide(&self, list: &'static str) {
        self.kept().hidden = Some(list);
    }

    /// Takes a list away.
    pub fn remove(&self, list: &str) {
        self.kept().lists.remove(list);
    }

    /// Refuses whatever is asked of a path.
    pub fn deny(&self, path: &'static str) {
        self.kept().denied = Some(path);
    }

    /// The objects of a list.
    pub fn list(&self, list: &str) -> Vec<Value> {
        self.kept().lists.get(list).cloned().unwrap_or_default()
    }

    /// A file of the project's storage, as JSON.
    pub fn file(&self, path: &str) -> Option<Value> {
        let kept = self.kept();
        let bytes = kept.files.get(path)?;
        serde_json::from_slice(bytes).ok()
    }

    /// Changes a file of the project's storage.
    pub fn change_file(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut file = self.file(path).expect("such a file");
        change(&mut file);
        self.kept().files.insert(path.to_owned(), file.to_string().into_bytes());
    }

    /// The requests since the last time that they were taken.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.kept().asked)
    }

    /// The writes since the requests were taken the last time, but for those into the project's
    /// storage, and questions about access.
    pub fn take_writes(&self) -> Vec<String> {
        let writes = self.take_asked().into_iter().filter(|it| it.method != Method::GET);
        let told = writes.map(|it| format!("{} {}", it.method, it.path));
        told.filter(|it| !it.contains("/storage") && !it.contains("access:")).collect()
    }

    /// Runs the program on it.
    pub fn run(&self, arguments: &[&str]) -> Run {
        let mut command = self.sandbox.command(arguments);
        command
            .env("MESHAGENT_API_URL", format!("http://{}", self.address))
            .env("MESHAGENT_API_KEY", "ma-example")
            .env("MESHAGENT_PROJECT_ID", PROJECT);
        Run::of(command.output().expect("a run"))
    }

    /// The same, with the exit code that is expected.
    #[track_caller]
    pub fn ends(&self, code: i32, arguments: &[&str]) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}{}", run.stdout, run.stderr);
        run
    }
}

/// What a hosted platform says of itself.
fn described(spoken: Spoken) -> Option<Value> {
    let domains = json!({"mail": "mail.localhost"});
    (spoken == Spoken::V0_56).then(|| json!({"domains": domains, "version": "0.56.0"}))
}

async fn answer(
    State(kept): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut kept = kept.lock().expect("no panic before");
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
    let decoded = percent_encoding::percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
    let of_project = format!("/accounts/projects/{PROJECT}/");
    let asked = Asked {
        method: method.clone(),
        path: decoded.strip_prefix(&of_project).unwrap_or(&decoded).to_owned(),
        query,
        body: serde_json::from_slice(&body).unwrap_or_default(),
        is_signed: headers.contains_key(header::AUTHORIZATION),
        consistency: headers
            .get("consistency")
            .map(|value| value.to_str().expect("a text").to_owned()),
    };
    kept.asked.push(asked.clone());
    if kept.denied == Some(asked.path.as_str()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let answered = match asked.path.as_str() {
        "/config" => kept.config.clone(),
        "/accounts/whoami" => (kept.spoken == Spoken::V0_56)
            .then(|| json!({"id": "u", "email": "a@b.example", "type": "user"})),
        "/accounts/projects" => Some(json!({"projects": [{"id": PROJECT, "name": "one"}]})),
        path if path.starts_with("/projects/") => return stored(&mut kept, &asked, &body),
        path if path.starts_with('/') => None,
        _ if method == Method::GET => read(&kept, &asked),
        "access:bindings" => Some(json!({"access_grants": []})),
        _ => written(&mut kept, &asked),
    };
    match answered {
        Some(answer) => axum::Json(answer).into_response(),
        None => (StatusCode::NOT_FOUND, axum::Json(json!({"error": "not found"}))).into_response(),
    }
}

/// The project's storage.
fn stored(kept: &mut Kept, asked: &Asked, body: &Bytes) -> Response {
    let path = asked.query.get("path").cloned().unwrap_or_default();
    match asked.method {
        Method::GET => match kept.files.get(&path) {
            Some(bytes) => bytes.clone().into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Method::POST => {
            kept.files.insert(path, body.to_vec());
            axum::Json(json!({})).into_response()
        }
        _ => {
            kept.files.remove(&path);
            axum::Json(json!({})).into_response()
        }
    }
}

/// The list that a path is below, and what of it the path says.
fn parted<'a>(kept: &Kept, path: &'a str) -> Option<(&'a str, Vec<&'a str>)> {
    let parts: Vec<&str> = path.split('/').collect();
    let is_noun = |part: &&str| {
        let both = ["services", "mailboxes", "routes", "scheduled-tasks", "sessions"];
        let old = ["secrets", "webhooks", "api-keys"];
        match kept.spoken {
            Spoken::V0_31 => both.contains(part) || old.contains(part),
            Spoken::V0_56 => both.contains(part) || ["agents", "service-accounts"].contains(part),
        }
    };
    let end = match parts.as_slice() {
        ["rooms", _, noun, ..] if is_noun(noun) => 3,
        ["rooms", ..] => 1,
        [noun, ..] if is_noun(noun) => 1,
        _ => return None,
    };
    let length = parts[..end].iter().map(|part| part.len()).sum::<usize>() + end - 1;
    Some((&path[..length], parts[end..].to_vec()))
}

fn is_called(item: &Value, name: &str) -> bool {
    let fields = ["/id", "/name", "/metadata/name", "/address", "/domain", "/spec/domain"];
    fields.iter().any(|field| item.pointer(field).and_then(Value::as_str) == Some(name))
}

/// Whether a path is that of a document of settings.
fn is_settings(kept: &Kept, path: &str) -> bool {
    kept.spoken == Spoken::V0_56 && path.starts_with("settings/")
}

/// The list of all grants, whatever they are of.
const GRANTS: &str = "access_grants";

/// Whether a path is that of a policy, or of a change of one.
fn is_policy(kept: &Kept, path: &str) -> bool {
    kept.spoken == Spoken::V0_56 && path.starts_with("iam/")
}

/// Grants roles, or takes all back. Whom it is for is answered by the id alone.
fn granted(kept: &mut Kept, asked: &Asked) -> Option<Value> {
    let subject = &asked.body["subject"];
    let id = ["id", "email"].iter().find_map(|name| subject[*name].as_str()).unwrap_or("all");
    let subject = json!({"type": subject["type"], "id": id});
    let lines = kept.lists.entry(GRANTS.to_owned()).or_default();
    lines.retain(|line| line["subject"] != subject);
    if asked.path.ends_with(":grant") {
        lines.push(json!({"subject": subject, "direct_roles": asked.body["roles"]}));
    }
    Some(json!({}))
}

fn read(kept: &Kept, asked: &Asked) -> Option<Value> {
    if is_settings(kept, &asked.path) {
        return kept.lists.get(&asked.path)?.first().cloned();
    }
    if is_policy(kept, &asked.path) {
        let lines = kept.lists.get(GRANTS).map(Vec::as_slice).unwrap_or_default();
        return Some(page(kept, lines, GRANTS, asked));
    }
    let (list, rest) = parted(kept, &asked.path)?;
    let items = kept.lists.get(list).map(Vec::as_slice).unwrap_or_default();
    let noun = list.rsplit('/').next().expect("a noun");
    let envelope = match noun {
        "scheduled-tasks" => "tasks",
        "service-accounts" => "service_accounts",
        noun => noun,
    };
    let one = match rest.as_slice() {
        [] if kept.hidden == Some(list) => return Some(page(kept, &[], envelope, asked)),
        [] => return Some(page(kept, items, envelope, asked)),
        ["by-name", name] if kept.spoken == Spoken::V0_56 => name,
        [name] => name,
        _ => return None,
    };
    let found = items.iter().find(|item| is_called(item, one))?.clone();
    Some(match noun {
        "mailboxes" => json!({ "mailbox": found }),
        "routes" => json!({ "route": found }),
        _ => found,
    })
}

/// A page of a list, as its API divides it.
fn page(kept: &Kept, items: &[Value], envelope: &str, asked: &Asked) -> Value {
    let number = |name: &str| asked.query.get(name).and_then(|text| text.parse::<usize>().ok());
    let id = asked.query.get("task_id");
    let items: Vec<Value> =
        items.iter().filter(|item| id.is_none_or(|id| is_called(item, id))).cloned().collect();
    match (kept.spoken, envelope) {
        (Spoken::V0_56, "services") => json!({ envelope: items }),
        // The newest ones, and nothing that says whether there are more.
        (Spoken::V0_56, "sessions") => {
            let limit = number("limit").unwrap_or(kept.cap);
            json!({ envelope: items.into_iter().take(limit).collect::<Vec<_>>() })
        }
        (Spoken::V0_56, _) => {
            let from = number("continuation_token").unwrap_or_default();
            let limit = number("page_size").unwrap_or(kept.cap).min(kept.cap);
            let end = from.saturating_add(limit).min(items.len());
            let next = (end < items.len()).then(|| end.to_string());
            json!({ envelope: items[from.min(end)..end], "continuation_token": next })
        }
        (Spoken::V0_31, "rooms" | "tasks") => {
            let limit = number("limit").unwrap_or(USUAL_PAGE);
            let from = number("offset").unwrap_or_default();
            json!({ envelope: items.into_iter().skip(from).take(limit).collect::<Vec<_>>() })
        }
        (Spoken::V0_31, _) => json!({ envelope: items }),
    }
}

fn written(kept: &mut Kept, asked: &Asked) -> Option<Value> {
    if is_settings(kept, &asked.path) {
        match asked.method {
            Method::PUT => drop(kept.lists.insert(asked.path.clone(), vec![asked.body.clone()])),
            _ => drop(kept.lists.remove(&asked.path)?),
        }
        return Some(json!({}));
    }
    if is_policy(kept, &asked.path) {
        return granted(kept, asked);
    }
    let (list, rest) = parted(kept, &asked.path)?;
    let is_task = list.ends_with("scheduled-tasks");
    let room = list.strip_prefix("rooms/").and_then(|it| it.split('/').next());
    // What is in a room is listed below the project.
    let list = if is_task { "scheduled-tasks" } else { list };
    let items = kept.lists.entry(list.to_owned()).or_default();
    let at = rest.first().and_then(|one| items.iter().position(|item| is_called(item, one)));
    match (&asked.method, rest.as_slice()) {
        (&Method::POST, []) => {
            if is_task && (kept.spoken == Spoken::V0_56) != room.is_some() {
                return None;
            }
            let mut item = asked.body.clone();
            let id = format!("id-{}", items.len() + 1);
            if item.get("id").is_none_or(Value::is_null) {
                item["id"] = id.clone().into();
            }
            if let Some(domain) = item.pointer("/spec/domain").cloned() {
                item["domain"] = domain;
            }
            if let Some(name) = item.pointer("/configuration/metadata/name").cloned() {
                item["name"] = name;
            }
            if let Some(room) = room.filter(|_| is_task) {
                item["room_name"] = room.into();
            }
            items.push(item.clone());
            Some(if is_task { json!({ "task_id": id }) } else { item })
        }
        (&Method::PUT, [_]) => {
            let item = &mut items[at?];
            let fields = asked.body.as_object()?;
            // A room keeps what is not said; all else is replaced, but for what it is called.
            if list != "rooms" {
                let called = ["id", "name", "address", "domain", "room_name"];
                item.as_object_mut()?.retain(|name, _| called.contains(&name.as_str()));
            }
            fields.iter().for_each(|(name, value)| item[name] = value.clone());
            Some(item.clone())
        }
        (&Method::DELETE, [_]) => {
            items.remove(at?);
            Some(json!({}))
        }
        _ => None,
    }
}
