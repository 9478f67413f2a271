//! What stands for a forge: it keeps comments, issues and pull requests, checks method, path, headers
//! and body of every request against the documentation, and answers in the documented form.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

/// A forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    GitHub,
    GitLab,
    Gitea,
}

pub const ALL: [Sort; 3] = [Sort::GitHub, Sort::GitLab, Sort::Gitea];

/// The token that the forge knows.
pub const TOKEN: &str = "forge-canary-4711-token";

/// A comment, an issue or a pull request.
#[derive(Debug, Clone, Default)]
pub struct Thing {
    pub id: u64,
    pub author: String,
    pub title: String,
    pub body: String,
    pub is_open: bool,
    pub head: String,
    pub base: String,
    pub is_merged: bool,
}

/// What goes wrong with the next request whose verb and path begin like this.
#[derive(Debug, Clone)]
pub struct Fault {
    pub of: &'static str,
    /// Whether the forge does it all the same.
    pub is_done: bool,
    pub answer: &'static str,
}

#[derive(Debug, Default)]
pub struct State {
    pub comments: Vec<Thing>,
    pub issues: Vec<Thing>,
    pub pulls: Vec<Thing>,
    /// Commits with the pull request that they came with.
    pub merged: BTreeMap<String, u64>,
    /// Who opened more pull requests with which commits came, in order of their numbers.
    pub more_authors: Vec<&'static str>,
    pub states: Vec<Value>,
    /// What was requested.
    pub asked: Vec<String>,
    /// What was not as documented.
    pub wrong: Vec<String>,
    pub faults: Vec<Fault>,
    next: u64,
}

pub struct Forge {
    pub sort: Sort,
    pub api: String,
    state: Arc<Mutex<State>>,
}

impl Forge {
    pub fn start(sort: Sort) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let below = match sort {
            Sort::GitHub => "/api/v3",
            Sort::GitLab => "/api/v4",
            Sort::Gitea => "/api/v1",
        };
        let api = format!("http://{}{below}", listener.local_addr().expect("an address"));
        let state: Arc<Mutex<State>> = Arc::default();
        let of_server = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who does not wait for the answer is no fault of the forge.
                let _ = serve(stream, sort, below, &of_server);
            }
        });
        Self { sort, api, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the state")
    }

    /// The name that the token belongs to.
    pub fn me(&self) -> &'static str {
        me(self.sort)
    }

    /// Adds a comment of somebody.
    pub fn say(&self, author: &str, body: &str) -> u64 {
        let mut state = self.state();
        let id = state.id();
        let thing = Thing { id, author: author.into(), body: body.into(), ..Thing::default() };
        state.comments.push(thing);
        id
    }

    /// The comments of the token.
    pub fn own_comments(&self) -> Vec<String> {
        let state = self.state();
        let own = state.comments.iter().filter(|it| it.author == self.me());
        own.map(|it| it.body.clone()).collect()
    }

    /// Nothing was requested that the documentation does not have.
    #[track_caller]
    pub fn expect_documented(&self) {
        assert_eq!(self.state().wrong, Vec::<String>::new());
    }
}

fn me(sort: Sort) -> &'static str {
    match sort {
        Sort::GitHub => "github-actions[bot]",
        Sort::GitLab => "project_1_bot",
        Sort::Gitea => "gitea-actions",
    }
}

impl State {
    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

struct Request {
    verb: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Value,
}

fn read(stream: &TcpStream) -> std::io::Result<Option<Request>> {
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    if lines.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut words = first.split(' ');
    let (verb, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    lines.read_exact(&mut body)?;
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(Request { verb: verb.to_owned(), path: path.to_owned(), query, headers, body }))
}

fn serve(
    mut stream: TcpStream,
    sort: Sort,
    below: &str,
    state: &Mutex<State>,
) -> std::io::Result<()> {
    let Some(request) = read(&stream)? else { return Ok(()) };
    let mut state = state.lock().expect("the state");
    let told = format!("{} {}", request.verb, request.path);
    state.asked.push(told.clone());
    check(sort, &request, &mut state);
    let path = request.path.strip_prefix(below);
    // The one question of GitHub's other API.
    let path = path.or(request.path.strip_prefix("/api").filter(|path| *path == "/graphql"));
    let path = path.unwrap_or_default().to_owned();
    let called = format!("{} {path}", request.verb);
    let fault = state.faults.iter().position(|fault| called.starts_with(fault.of));
    let fault = fault.map(|at| state.faults.remove(at));
    let done = |state: &mut State| answer(sort, &request, &path, state);
    let answered = match &fault {
        Some(fault) => {
            if fault.is_done {
                let _ = done(&mut state);
            }
            None
        }
        None => Some(done(&mut state)),
    };
    let text = match (answered, fault) {
        (Some(Some((status, body))), _) => {
            let body = body.to_string();
            let length = body.len();
            format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            )
        }
        (Some(None), _) => {
            state.wrong.push(format!("there is no {told}"));
            "HTTP/1.1 404 X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
        (None, Some(fault)) => fault.answer.to_owned(),
        (None, None) => String::new(),
    };
    stream.write_all(text.as_bytes())
}

/// Checks the headers.
fn check(sort: Sort, request: &Request, state: &mut State) {
    let authorization = match sort {
        Sort::GitHub | Sort::GitLab => format!("Bearer {TOKEN}"),
        Sort::Gitea => format!("token {TOKEN}"),
    };
    let accept = match sort {
        Sort::GitHub => "application/vnd.github+json",
        _ => "application/json",
    };
    let mut expected = vec![("authorization", authorization.as_str()), ("accept", accept)];
    if sort == Sort::GitHub {
        expected.push(("x-github-api-version", "2022-11-28"));
    }
    if !request.body.is_null() {
        expected.push(("content-type", "application/json"));
    }
    for (name, value) in expected {
        if request.headers.get(name).map(String::as_str) != Some(value) {
            state.wrong.push(format!("{} {}: {name}", request.verb, request.path));
        }
    }
    let agent = request.headers.get("user-agent");
    if !agent.is_some_and(|agent| agent.starts_with("meshagent/")) {
        state.wrong.push("GitHub refuses requests without a user agent".to_owned());
    }
}

/// A page of a list.
fn page(request: &Request, sort: Sort, items: Vec<Value>) -> Value {
    let size = if sort == Sort::Gitea { "limit" } else { "per_page" };
    let number = |name: &str, usual: usize| {
        request.query.get(name).and_then(|it| it.parse().ok()).unwrap_or(usual)
    };
    let (size, page) = (number(size, 30), number("page", 1));
    items.into_iter().skip((page - 1) * size).take(size).collect()
}

/// A text of a body.
fn text(request: &Request, name: &str, state: &mut State) -> String {
    match request.body.get(name).and_then(Value::as_str) {
        Some(text) => text.to_owned(),
        None => {
            state.wrong.push(format!("{} {}: no {name}", request.verb, request.path));
            String::new()
        }
    }
}

fn shown(sort: Sort, thing: &Thing) -> Value {
    let at = |kind: &str| format!("https://forge.test/acme/shop/{kind}/{}", thing.id);
    let state = match (thing.is_merged, thing.is_open) {
        (true, _) => "merged",
        (_, true) if sort == Sort::GitLab => "opened",
        (_, true) => "open",
        _ => "closed",
    };
    match sort {
        Sort::GitLab => json!({
            "id": thing.id + 1000, "iid": thing.id, "author": {"username": thing.author},
            "title": thing.title, "description": thing.body, "state": state,
            "source_branch": thing.head, "target_branch": thing.base,
            "source_project_id": 1, "target_project_id": 1, "web_url": at("-/x"),
        }),
        _ => {
            let mut shown = json!({
                "number": thing.id, "user": {"login": thing.author}, "title": thing.title,
                "body": thing.body, "state": if state == "open" { "open" } else { "closed" },
                "html_url": at("x"),
            });
            if !thing.head.is_empty() {
                shown["head"] = json!({"ref": thing.head, "repo": {"full_name": "acme/shop"}});
                shown["base"] = json!({"ref": thing.base, "repo": {"full_name": "acme/shop"}});
                shown["merged_at"] =
                    if thing.is_merged { "2026-01-01T00:00:00Z".into() } else { Value::Null };
            }
            shown
        }
    }
}

fn shown_comment(sort: Sort, thing: &Thing) -> Value {
    match sort {
        Sort::GitLab => json!({
            "id": thing.id, "author": {"username": thing.author}, "body": thing.body, "system": false,
        }),
        _ => json!({
            "id": thing.id, "user": {"login": thing.author}, "body": thing.body,
            "html_url": format!("https://forge.test/acme/shop/pull/7#issuecomment-{}", thing.id),
        }),
    }
}

type Answer = Option<(u16, Value)>;

fn answer(sort: Sort, request: &Request, path: &str, state: &mut State) -> Answer {
    let repository = match sort {
        Sort::GitLab => "/projects/acme%2Fshop",
        _ => "/repos/acme/shop",
    };
    let verb = request.verb.as_str();
    match (sort, verb, path) {
        (Sort::GitHub, "POST", "/graphql") => {
            let query = text(request, "query", state);
            if query != "query { viewer { login } }" {
                state.wrong.push(query);
            }
            return Some((200, json!({"data": {"viewer": {"login": me(sort)}}})));
        }
        (Sort::GitLab, "GET", "/user") => {
            return Some((200, json!({"id": 5, "username": me(sort)})));
        }
        // The token of a job may not ask.
        (Sort::Gitea, "GET", "/user") => {
            return Some((
                403,
                json!({"message": "token does not have at least one of required scope(s)"}),
            ));
        }
        _ => {}
    }
    let path = path.strip_prefix(repository)?;
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let number = |text: &str| text.parse::<u64>().ok();
    match (verb, &parts[..]) {
        ("GET", ["issues", "7", "comments"]) if sort != Sort::GitLab => {
            let items = state.comments.iter().map(|it| shown_comment(sort, it)).collect();
            Some((200, page(request, sort, items)))
        }
        ("GET", ["merge_requests", "7", "notes"]) => {
            let items = state.comments.iter().map(|it| shown_comment(sort, it)).collect();
            Some((200, page(request, sort, items)))
        }
        ("POST", ["issues", "7", "comments"]) if sort != Sort::GitLab => {
            comment(sort, request, state)
        }
        ("POST", ["merge_requests", "7", "notes"]) => comment(sort, request, state),
        ("PATCH", ["issues", "comments", id]) if sort != Sort::GitLab => {
            change(sort, request, number(id)?, state)
        }
        ("PUT", ["merge_requests", "7", "notes", id]) => change(sort, request, number(id)?, state),
        (
            "GET",
            ["commits", commit, "pulls" | "pull"]
            | ["repository", "commits", commit, "merge_requests"],
        ) => {
            let found = state.merged.get(*commit).copied();
            let thing = found.map(|id| {
                let (head, base) = ("x".to_owned(), "main".to_owned());
                Thing { id, author: "ada".into(), head, base, is_merged: true, ..Thing::default() }
            });
            let first = thing.clone().unwrap_or_default();
            let more = state.more_authors.iter().zip(first.id + 1..).map(|(author, id)| Thing {
                id,
                author: (*author).to_owned(),
                ..first.clone()
            });
            let more: Vec<Thing> = more.filter(|_| thing.is_some()).collect();
            let item = thing.as_ref().map(|thing| shown(sort, thing));
            match (sort, item) {
                (Sort::Gitea, Some(item)) => Some((200, item)),
                (Sort::Gitea, None) => Some((404, json!({"message": "not found"}))),
                (_, item) => {
                    let more = more.iter().map(|thing| shown(sort, thing));
                    Some((200, item.into_iter().chain(more).collect()))
                }
            }
        }
        ("POST", ["statuses", _]) => {
            state.states.push(request.body.clone());
            Some((201, json!({})))
        }
        (_, ["issues", ..]) => threads(sort, request, &parts, state, false),
        (_, ["pulls" | "merge_requests", ..]) => threads(sort, request, &parts, state, true),
        _ => None,
    }
}

fn comment(sort: Sort, request: &Request, state: &mut State) -> Answer {
    let body = text(request, "body", state);
    let id = state.id();
    let thing = Thing { id, author: me(sort).to_owned(), body, ..Thing::default() };
    let shown = shown_comment(sort, &thing);
    state.comments.push(thing);
    Some((201, shown))
}

fn change(sort: Sort, request: &Request, id: u64, state: &mut State) -> Answer {
    let body = text(request, "body", state);
    let thing = state.comments.iter_mut().find(|it| it.id == id)?;
    thing.body = body;
    Some((200, shown_comment(sort, thing)))
}

/// Issues and pull requests.
fn threads(
    sort: Sort,
    request: &Request,
    parts: &[&str],
    state: &mut State,
    are_pulls: bool,
) -> Answer {
    let body_field = if sort == Sort::GitLab { "description" } else { "body" };
    let (changes, branches) = match sort {
        Sort::GitLab => ("PUT", ("source_branch", "target_branch")),
        _ => ("PATCH", ("head", "base")),
    };
    match (request.verb.as_str(), parts) {
        ("GET", [_]) => {
            let is_wanted = |thing: &&Thing| {
                let asked = |name: &str| request.query.get(name).map(String::as_str);
                let branch = asked("source_branch").or(asked("head"));
                let branch = branch.map(|it| it.trim_start_matches("acme:"));
                let author = asked("author_username").or(asked("created_by"));
                thing.is_open
                    && branch.is_none_or(|it| it == thing.head)
                    && author.is_none_or(|it| it == thing.author)
            };
            let all = if are_pulls { &state.pulls } else { &state.issues };
            let mut items: Vec<Value> =
                all.iter().filter(is_wanted).map(|it| shown(sort, it)).collect();
            if sort == Sort::GitHub && !are_pulls {
                items.push(json!({"number": 900, "user": {"login": me(sort)}, "pull_request": {}, "body": "x"}));
            }
            Some((200, page(request, sort, items)))
        }
        ("POST", [_]) => {
            let (title, body) = (text(request, "title", state), text(request, body_field, state));
            let (mut head, mut base) = (String::new(), String::new());
            if are_pulls {
                (head, base) = (text(request, branches.0, state), text(request, branches.1, state));
            }
            let (id, author) = (state.id(), me(sort).to_owned());
            let thing =
                Thing { id, author, title, body, is_open: true, head, base, is_merged: false };
            let answer = shown(sort, &thing);
            if are_pulls { &mut state.pulls } else { &mut state.issues }.push(thing);
            Some((201, answer))
        }
        (verb, [_, id]) if verb == changes => {
            let id: u64 = id.parse().ok()?;
            let (title, body) = (text(request, "title", state), text(request, body_field, state));
            let closes =
                request.body["state"] == "closed" || request.body["state_event"] == "close";
            let all = if are_pulls { &mut state.pulls } else { &mut state.issues };
            let thing = all.iter_mut().find(|it| it.id == id)?;
            (thing.title, thing.body) = (title, body);
            thing.is_open = !closes;
            Some((200, shown(sort, thing)))
        }
        _ => None,
    }
}
