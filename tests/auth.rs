//! Signing in from the outside: the program, a real platform, a real browser.

#[path = "auth/chromium.rs"]
mod chromium;
#[path = "auth/terminal.rs"]
mod terminal;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};
use crate::hostile::proxy::{Hostile, Moment, Running};
use crate::platform::harness::Server;
use crate::platform::sign_in::Browser;
pub use terminal::Terminal;

/// How long a step of a sign-in may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The one port that browsers are sent back to: only one test at a time may have it.
struct CallbackPort(#[expect(dead_code, reason = "it is held, not read")] File);

impl CallbackPort {
    fn take() -> Self {
        let path = std::env::temp_dir().join("meshagent-test-callback-port.lock");
        let file = File::options().create(true).append(true).open(path).unwrap();
        file.lock().unwrap();
        Self(file)
    }
}

/// A sign-in that waits for its browser.
struct Waiting {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    url: String,
    _port: CallbackPort,
}

impl Waiting {
    fn start(mut command: Command) -> Self {
        let port = CallbackPort::take();
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a process");
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut url = String::new();
        let mut told = String::new();
        while !url.starts_with("http") {
            url.clear();
            assert!(lines.read_line(&mut url).unwrap() > 0, "it ended: {told}");
            told += &url;
        }
        Self { child, lines, url: url.trim().to_owned(), _port: port }
    }

    /// The outcome, with what is left of standard error.
    fn end(mut self) -> Run {
        let started = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            if started.elapsed() > PATIENCE {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        let mut run = Run::of(self.child.wait_with_output().unwrap());
        run.stderr = rest;
        run
    }
}

impl Sandbox {
    /// A run against a platform, with no credential but what is in the files.
    fn on(&self, server: &Server, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.env("MESHAGENT_API_URL", &server.url);
        command
    }

    fn session(&self) -> Value {
        let text = std::fs::read_to_string(self.path(".meshagent/session.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Puts a session there, as the reference would have written it.
    fn put_session(&self, tokens: &Value, lasts: i64) {
        let session = json!({
            "access_token": tokens["access_token"],
            "refresh_token": tokens["refresh_token"],
            "expires_at": jiff::Timestamp::now().as_second() + lasts,
            "token_type": "Bearer",
            "scope": "admin",
            "id_token": null,
        });
        std::fs::create_dir_all(self.path(".meshagent")).unwrap();
        self.write(".meshagent/session.json", &session.to_string());
    }
}

fn output(mut command: Command) -> Run {
    Run::of(command.output().unwrap())
}

/// What Ctrl-C does.
pub fn interrupt(child: &Child) {
    let process = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGINT).unwrap();
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Answers the sign-in as the platform would by way of the browser.
async fn call_back(query: &str) -> (u16, String) {
    let answer = crate::platform::harness::client()
        .get(format!("http://127.0.0.1:8765/callback{query}"))
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn state_of(url: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_is_reached_however_many_connect_and_say_nothing() {
    let server = Server::start().await;
    let sandbox = Sandbox::new();
    let waiting = Waiting::start(sandbox.on(&server, &["auth", "login", "--no-browser"]));
    let connect = || std::net::TcpStream::connect("127.0.0.1:8765").unwrap();
    let silent: Vec<_> = (0..100).map(|_| connect()).collect();
    assert_eq!(call_back("?code=x&state=guess").await.0, 400);
    let closed = blocking(move || {
        let mut last = silent.into_iter().next_back().unwrap();
        last.set_read_timeout(Some(PATIENCE)).unwrap();
        last.read(&mut [0; 1])
    });
    assert!(matches!(closed.await, Ok(0)));
    let query = format!("?error=access_denied&state={}", state_of(&waiting.url));
    assert_eq!(call_back(&query).await.0, 200);
    let run = blocking(|| waiting.end()).await;
    assert!(
        run.stderr.contains("the platform did not sign you in: access_denied"),
        "{}",
        run.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_looks_who_they_are_and_signs_out() {
    let server = Server::start().await;
    let sandbox = Sandbox::new();
    let run = output(sandbox.on(&server, &["auth", "whoami"]));
    assert_eq!((run.code, run.json()), (0, json!({"signed_in": false})), "{}", run.stderr);

    // The browser is the one that the environment names; this one writes down what it is given.
    sandbox.write("browser", "#!/bin/sh\nprintf '%s' \"$1\" > \"$HOME/opened\"\n");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(sandbox.path("browser"), mode).unwrap();
    let mut command = sandbox.on(&server, &["auth", "login"]);
    command.env("BROWSER", sandbox.path("browser"));
    let waiting = Waiting::start(command);
    let names: Vec<_> = url::Url::parse(&waiting.url)
        .unwrap()
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .collect();
    assert_eq!(
        names,
        [
            "response_type",
            "client_id",
            "redirect_uri",
            "scope",
            "code_challenge",
            "code_challenge_method",
            "state"
        ]
    );

    // What does not belong to this sign-in is turned away, and the wait goes on.
    let state = state_of(&waiting.url);
    for query in ["", "?code=x", "?code=x&state=guess", "?error=access_denied&state=guess"] {
        let (status, text) = call_back(query).await;
        assert_eq!(status, 400, "{query}: {text}");
    }
    assert_eq!(call_back(&format!("?state={state}")).await.0, 400);
    // The other program on this machine cannot wait for the same browser.
    let busy = output(sandbox.on(&server, &["auth", "login", "--no-browser"]));
    assert_eq!((busy.code, busy.stderr.contains("hint: end the other sign-in")), (1, true));

    let told = Browser::new(&server.url).visit(&waiting.url, &server.owner).await;
    let (status, text) = call_back(told.split_once("/callback").unwrap().1).await;
    assert_eq!((status, text.as_str()), (200, "You are signed in. Close this tab.\n"));
    let url = waiting.url.clone();
    let run = blocking(|| waiting.end()).await;
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    assert!(run.stderr.contains("no project is activated"), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(sandbox.path("opened")).unwrap(), url);

    let session = sandbox.session();
    let names: Vec<_> = session.as_object().unwrap().keys().collect();
    let shape = ["access_token", "refresh_token", "expires_at", "token_type", "scope", "id_token"];
    assert_eq!(names[..6], shape);
    assert_eq!(session["api_url"], server.url.as_str());
    let lasts = session["expires_at"].as_i64().unwrap() - jiff::Timestamp::now().as_second();
    assert!((3500..=3570).contains(&lasts), "{lasts}");
    for name in ["session.json", "session.lock"] {
        let file = std::fs::metadata(sandbox.path(&format!(".meshagent/{name}"))).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
    }
    let token = session["access_token"].as_str().unwrap();

    let run = output(sandbox.on(&server, &["--log", "trace", "auth", "whoami", "-o", "json"]));
    let me = run.json();
    assert_eq!((&me["email"], &me["credential"]), (&json!("owner@localhost"), &json!("session")));
    assert_eq!((&me["signed_in"], &me["scope"]), (&json!(true), &json!("admin")));
    assert!(!format!("{}{}", run.stdout, run.stderr).contains(token), "{}", run.stderr);
    let run = output(sandbox.on(&server, &["auth", "whoami", "-o", "table"]));
    assert!(run.stdout.contains("Email") && run.stdout.contains("owner@localhost"));
    let run = output(sandbox.on(&server, &["auth", "whoami", "-o", "yaml"]));
    assert!(run.stdout.contains("email: owner@localhost\n"), "{}", run.stdout);
    let mut command = sandbox.on(&server, &["auth", "whoami", "-o", "json"]);
    command.env("MESHAGENT_API_KEY", server.key_of(&server.project).await);
    let me = output(command).json();
    assert_eq!(me["credential"], "MESHAGENT_API_KEY");
    assert_eq!((me.get("email"), &me["project_id"]), (None, &json!(server.project)));

    let run = output(sandbox.on(&server, &["project", "list", "-q"]));
    assert_eq!((run.code, run.stdout), (0, format!("{}\n", server.project)), "{}", run.stderr);
    // Nothing is sent to a platform that did not give the session.
    let other = Server::start().await;
    let run = output(sandbox.on(&other, &["project", "list"]));
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("you are signed in to http"), "{}", run.stderr);

    let run = output(sandbox.on(&server, &["auth", "logout"]));
    assert_eq!((run.code, run.stderr.as_str()), (0, "you are signed out\n"));
    assert!(!sandbox.path(".meshagent/session.json").exists());
    let run = output(sandbox.on(&server, &["auth", "logout"]));
    assert_eq!((run.code, run.stderr.as_str()), (0, "nobody was signed in\n"));
    let run = output(sandbox.on(&server, &["project", "list"]));
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("meshagent auth login"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_is_given_up_leaves_nothing() {
    let server = Server::start().await;
    let sandbox = Sandbox::new();
    let waiting = Waiting::start(sandbox.on(&server, &["auth", "login", "--no-browser"]));
    let query = format!("?error=access_denied&state={}", state_of(&waiting.url));
    assert_eq!(call_back(&query).await.0, 200);
    let run = blocking(|| waiting.end()).await;
    assert_eq!(run.code, 1);
    assert_eq!(run.stderr, "error: the platform did not sign you in: access_denied\n");

    let waiting = Waiting::start(sandbox.on(&server, &["auth", "login", "--no-browser"]));
    let query = format!("?code=guess&state={}", state_of(&waiting.url));
    assert_eq!(call_back(&query).await.0, 200);
    let run = blocking(|| waiting.end()).await;
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("invalid_grant"), "{}", run.stderr);

    let waiting = Waiting::start(sandbox.on(&server, &["auth", "login", "--no-browser"]));
    interrupt(&waiting.child);
    let run = blocking(|| waiting.end()).await;
    assert_eq!((run.code, run.stderr.as_str()), (1, "error: the sign-in was cancelled\n"));
    assert!(!sandbox.path(".meshagent/session.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_newer_programs_keep_is_read_and_written_where_they_keep_it() {
    let server = Server::start().await;
    let sandbox = Sandbox::new();
    let tokens = Browser::new(&server.url).tokens(&server.owner).await;
    let key = json!([server.url, "u"]).to_string();
    let soon = jiff::Timestamp::now().as_second() + 60;
    let settings = json!({
        "active_user_id": key,
        "active_profiles": {&server.url: key},
        "users": {&key: {
            "api_url": server.url,
            "profile": {"id": "u", "email": "owner@localhost"},
            "session": {
                "access_token": tokens["access_token"],
                "refresh_token": tokens["refresh_token"],
                "expires_at": soon, "token_type": "Bearer", "scope": "admin", "id_token": null,
            },
            "project": {"active_project": null, "active_api_keys": {}, "llm_proxy_bearer_token": "t"},
        }},
        "later": [1],
    });
    std::fs::create_dir_all(sandbox.path(".meshagent")).unwrap();
    sandbox.write(".meshagent/settings.json", &settings.to_string());
    let read = || -> Value {
        let text = std::fs::read_to_string(sandbox.path(".meshagent/settings.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let run = output(sandbox.on(&server, &["project", "list", "-q"]));
    assert_eq!((run.code, run.stdout), (0, format!("{}\n", server.project)), "{}", run.stderr);
    // The session was refreshed: whoever reads the file next needs the new one.
    let now = read();
    assert_ne!(now["users"][&key]["session"]["refresh_token"], tokens["refresh_token"]);
    assert_eq!((&now["later"], &now["users"][&key]["profile"]["id"]), (&json!([1]), &json!("u")));
    let run = output(sandbox.on(&server, &["project", "activate", &server.project]));
    assert_eq!(run.code, 0, "{}", run.stderr);
    let run = output(sandbox.on(&server, &["rooms", "list", "-q"]));
    assert_eq!(run.code, 0, "{}", run.stderr);
    let project = &read()["users"][&key]["project"];
    assert_eq!(project["active_project"], server.project.as_str());
    assert_eq!(project["llm_proxy_bearer_token"], "t");
    let run = output(sandbox.on(&server, &["auth", "logout"]));
    assert_eq!((run.code, run.stderr.as_str()), (0, "you are signed out\n"));
    assert_eq!(read()["users"][&key]["session"], Value::Null);
    // Nothing is where newer programs would not look for it.
    for name in ["session.json", "project.json"] {
        assert!(!sandbox.path(&format!(".meshagent/{name}")).exists(), "{name}");
    }
    let file = std::fs::metadata(sandbox.path(".meshagent/settings.json")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_refresh_at_once_keep_the_session() {
    let server = Server::start().await;
    let sandbox = Sandbox::new();
    let tokens = Browser::new(&server.url).tokens(&server.owner).await;
    // It would be good for four minutes more, which is not long enough.
    sandbox.put_session(&tokens, 240);
    let start = |_| {
        let mut command = sandbox.on(&server, &["project", "list", "-q"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<Child> = (0..6).map(start).collect();
    for child in children {
        let run = Run::of(child.wait_with_output().unwrap());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
        assert_eq!(run.stdout, format!("{}\n", server.project));
    }
    let session = sandbox.session();
    assert_ne!(session["refresh_token"], tokens["refresh_token"]);
    assert_eq!(session["scope"], "admin");
    // One of them has refreshed, and the others have read what it wrote.
    let pool = server.store().await;
    let refreshes: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sign_in_tokens WHERE kind = 'refresh'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(refreshes, 2);

    // A session that the platform has ended is told in one line, and stays to be looked at.
    sqlx::query("DELETE FROM sign_ins").execute(&pool).await.unwrap();
    sandbox.put_session(&tokens, -1);
    let run = output(sandbox.on(&server, &["project", "list"]));
    assert_eq!(run.code, 1);
    assert!(run.stderr.starts_with("error: the session has ended: "), "{}", run.stderr);
    assert!(run.stderr.ends_with("hint: sign in again: `meshagent auth login`\n"));
    assert_eq!(sandbox.session()["refresh_token"], tokens["refresh_token"]);
    // What goes before a session, or stands for one, does not even look at it.
    let mut command = sandbox.on(&server, &["project", "list", "-q"]);
    command.env("MESHAGENT_API_KEY", &server.owner);
    assert_eq!(output(command).code, 0);
    let mut command = sandbox.on(&server, &["project", "list", "-q"]);
    command.env("MESHAGENT_SESSION_ID", "s");
    let run = output(command);
    assert!(run.stderr.contains("there are no credentials"), "{}", run.stderr);
    sandbox.write(".meshagent/session.json", "{\"access_token\": [\"canary-7f\"]}");
    let run = output(sandbox.on(&server, &["project", "list"]));
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("session.json:1:"), "{}", run.stderr);
    assert!(!run.stderr.contains("canary"), "{}", run.stderr);
    pool.close().await;
}

/// The write at which an apply waits: some rooms are there, and others are to come.
const HELD: usize = 6;

/// A session that is refreshed while an apply waits in the middle of its writes.
struct Interrupted {
    server: Server,
    sandbox: Sandbox,
    proxy: Running,
    tokens: Value,
    apply: tokio::task::JoinHandle<Run>,
}

impl Interrupted {
    /// The session is good for so many seconds more as the file has it.
    async fn start(lasts: i64) -> Self {
        let server = Server::start().await;
        let sandbox = Sandbox::new();
        let tokens = Browser::new(&server.url).tokens(&server.owner).await;
        sandbox.put_session(&tokens, lasts);
        let room =
            |number| format!("---\nversion: v1\nkind: Room\nmetadata: {{name: r{number}}}\n");
        sandbox.write("set.yaml", &(0..9).map(room).collect::<String>());
        let proxy = Hostile::in_front_of(&server).pausing(HELD, Moment::Before).start().await;
        let words = ["apply", "-f", "set.yaml", "--yes", "--parallelism", "1", "--project-id"];
        let mut command = sandbox.command(&[&words[..], &["default"]].concat());
        command.env("MESHAGENT_API_URL", &proxy.url);
        let apply = tokio::task::spawn_blocking(move || output(command));
        proxy.paused().await;
        // The session was good enough to begin with.
        assert_eq!(sandbox.session()["access_token"], tokens["access_token"]);
        Self { server, sandbox, proxy, tokens, apply }
    }

    /// What becomes of the apply, with the paths that it wrote to from the moment on at which it
    /// waited.
    async fn end(self) -> (Run, Vec<String>) {
        self.proxy.resume(&self.server.url);
        let run = self.apply.await.unwrap();
        if run.code == 0 {
            let listed = self.server.read("/rooms").await.expect(200).json();
            assert_eq!(listed["rooms"].as_array().unwrap().len(), 9);
            let (session, before) = (self.sandbox.session(), &self.tokens);
            assert_ne!(session["access_token"], before["access_token"]);
            assert_ne!(session["refresh_token"], before["refresh_token"]);
        }
        (run, self.proxy.writes().split_off(HELD - 1))
    }

    async fn change(&self, statement: &'static str) {
        let pool = self.server.store().await;
        sqlx::query(statement).execute(&pool).await.unwrap();
        pool.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_platform_ends_in_the_middle_of_an_apply_is_refreshed() {
    let interrupted = Interrupted::start(3600).await;
    interrupted.change("UPDATE sign_in_tokens SET expires_at = 1 WHERE kind = 'access'").await;
    let (run, writes) = interrupted.end().await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.ends_with("Applied: 9 done.\n"), "{}", run.stdout);
    // What was refused is sent once more, and nothing else is.
    assert_eq!((writes[0].as_str(), writes[1].as_str()), (&*writes[2], "POST /oauth/token"));
    assert_eq!(refreshes(&writes), 1, "{writes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_runs_out_in_the_middle_of_an_apply_is_refreshed_before_its_end() {
    // It is refreshed when it is good for no more than five minutes.
    let interrupted = Interrupted::start(308).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    let (run, writes) = interrupted.end().await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.ends_with("Applied: 9 done.\n"), "{}", run.stdout);
    assert_eq!((writes[1].as_str(), refreshes(&writes)), ("POST /oauth/token", 1), "{writes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_be_refreshed_in_the_middle_of_an_apply_is_told_as_what_it_is() {
    let interrupted = Interrupted::start(3600).await;
    interrupted.change("DELETE FROM sign_ins").await;
    let (run, writes) = interrupted.end().await;
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains("check the session of `auth login`"), "{}", run.stderr);
    // The platform is asked once whether there is another.
    assert_eq!(refreshes(&writes), 1, "{writes:?}");
}

fn refreshes(writes: &[String]) -> usize {
    writes.iter().filter(|write| *write == "POST /oauth/token").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_leads_from_nothing_to_a_key() {
    let server = Server::start().await;
    let sandbox = Sandbox::new();
    let run = output(sandbox.on(&server, &["setup"]));
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.starts_with("error: setup asks questions, but there is no terminal\n"));

    // The second time there is a key already; the third time nothing is chosen; the last time
    // it is given up.
    let (new, none) = ("2\nfirst project\nlaptop\n", "4\n");
    for (time, answers) in [new, "2\n", none, ""].into_iter().enumerate() {
        let mut terminal = Terminal::start(sandbox.on(&server, &["setup", "--no-browser"]));
        terminal.sign_in(&server).await;
        terminal.answer(answers);
        if answers.is_empty() {
            interrupt(&terminal.child);
        }
        let (code, shown) = terminal.end();
        assert_eq!(code, Some(i32::from(answers.is_empty())), "{time}: {shown}");
        let wanted =
            ["the key signs", "there is one", "no project is activated", "setup was cancelled"];
        let wanted = wanted[time];
        assert!(shown.contains(wanted), "{time}: {shown}");
        assert!(!shown.contains("ma-"), "{shown}");
    }
    let text = std::fs::read_to_string(sandbox.path(".meshagent/project.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let project = file["active_project"].as_str().unwrap();
    assert_ne!(project, server.project);
    let key = file["active_api_keys"][project].as_str().unwrap();
    let path = format!("/accounts/projects/{project}/api-keys");
    let keys = server.ask("GET", &path).bearer(key).send().await.expect(200).json();
    assert_eq!(keys["keys"][0]["name"], "laptop");
    let run = output(sandbox.on(&server, &["rooms", "list", "-o", "json"]));
    assert_eq!((run.code, run.json()), (0, json!([])), "{}", run.stderr);
}
