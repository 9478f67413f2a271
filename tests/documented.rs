//! Every example command of the reference's documentation, run as somebody who reads the page
//! would run it: by a shell, in a folder with the file that the page shows, against the
//! embedded platform.

#[path = "documented/cases.rs"]
mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::routing::post;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::auth::{Terminal, interrupt};
use crate::cli::{Run, Sandbox};
use crate::needs;
use crate::platform::harness::Server;
use crate::platform::sign_in::Browser;
use cases::{Documentation, Reader, Sort, Step, Visit};

/// How long a step may take; a script of the SDK imports for some seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Somebody who reads a page: a platform, a home, and what they have written down.
struct Desk<'a> {
    runtime: &'a Runtime,
    server: Server,
    sandbox: Sandbox,
    visit: &'a Visit,
    site_fills: &'a BTreeMap<String, String>,
    kept: BTreeMap<String, String>,
}

/// A program in a folder of programs, which is a script.
fn install(path: &Path, script: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Whether a value has at least these parts; the items of a list in any order.
fn includes(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, part)| found.get(name).is_some_and(|found| includes(found, part))),
        (Value::Array(found), Value::Array(wanted)) => {
            wanted.iter().all(|part| found.iter().any(|found| includes(found, part)))
        }
        _ => found == wanted,
    }
}

/// Whether an answer is such an object, or lists one.
fn shows(answer: &Value, wanted: &Value) -> bool {
    let lists = answer.as_object().into_iter().flat_map(|object| object.values());
    let mut items = lists.filter_map(Value::as_array).flatten();
    includes(answer, wanted) || items.any(|item| includes(item, wanted))
}

impl<'a> Desk<'a> {
    fn of(
        visit: &'a Visit,
        site_fills: &'a BTreeMap<String, String>,
        runtime: &'a Runtime,
        python: Option<&Path>,
    ) -> Self {
        let server = runtime.block_on(Server::start());
        let sandbox = Sandbox::new();
        for folder in ["home", "bin", "work"] {
            std::fs::create_dir(sandbox.path(folder)).unwrap();
        }
        // The reader's browser opens nothing; the test is who signs in.
        install(&sandbox.path("bin/browser"), "exit 0");
        if let Some(python) = python {
            install(&sandbox.path("bin/python3"), &format!("exec '{}' \"$@\"", python.display()));
        }
        runtime.block_on(async {
            for room in &visit.rooms {
                server.room(room).await;
            }
        });
        let desk = Self { runtime, server, sandbox, visit, site_fills, kept: BTreeMap::default() };
        if visit.reader == Reader::SetUp {
            desk.set_up();
        }
        desk
    }

    /// What `meshagent setup` leaves in the home of whoever runs it.
    fn set_up(&self) {
        let server = &self.server;
        let (tokens, key) = self.runtime.block_on(async {
            let tokens = Browser::new(&server.url).tokens(&server.owner).await;
            (tokens, server.key_of(&server.project).await)
        });
        let session = json!({
            "access_token": tokens["access_token"],
            "refresh_token": tokens["refresh_token"],
            "expires_at": jiff::Timestamp::now().as_second() + 3600,
            "token_type": "Bearer",
            "scope": "admin",
            "id_token": null,
            "api_url": server.url,
        });
        let project = json!({
            "active_project": server.project,
            "active_api_keys": {(&server.project): key},
        });
        std::fs::create_dir(self.sandbox.path("home/.meshagent")).unwrap();
        self.sandbox.write("home/.meshagent/session.json", &session.to_string());
        self.sandbox.write("home/.meshagent/project.json", &project.to_string());
    }

    /// A text with all that its reader puts into it.
    fn filled(&self, step: &Step, text: &str) -> String {
        step.fill.iter().fold(text.to_owned(), |text, (placeholder, value)| {
            assert!(!placeholder.is_empty());
            text.replace(placeholder, self.kept.get(value).unwrap_or(value))
        })
    }

    /// Puts the files of a step where its command expects them.
    fn lay_out(&self, step: &Step) {
        for (name, path) in &step.files {
            let path = cases::files().join(path);
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let fills = self.site_fills.iter();
            let text =
                fills.fold(text, |text, (placeholder, value)| text.replace(placeholder, value));
            self.sandbox.write(&format!("work/{name}"), &self.filled(step, &text));
        }
    }

    /// A command of the page, in a shell that it replaces, so that signals reach it.
    fn shell(&self, line: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_meshagent")).parent().unwrap();
        let path =
            format!("{}:{}:/usr/bin:/bin", self.sandbox.path("bin").display(), program.display());
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("exec {line}")])
            .current_dir(self.sandbox.path("work"))
            .env_clear()
            .env("HOME", self.sandbox.path("home"))
            .env("PATH", path)
            .env("BROWSER", self.sandbox.path("bin/browser"))
            .env("MESHAGENT_API_URL", &self.server.url)
            .envs(&self.visit.exports);
        command
    }

    /// Runs a command to its end.
    fn run(&self, line: &str, input: &str) -> Run {
        let mut child = self
            .shell(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Whoever does not read its input may be gone by then.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Run::of(child.wait_with_output().unwrap())
    }

    /// Runs a command that asks in a terminal, behind a sign-in.
    fn ask(&self, line: &str, answers: &str) -> Run {
        let mut terminal = Terminal::start(self.shell(line));
        self.runtime.block_on(terminal.sign_in(&self.server));
        if !answers.is_empty() {
            terminal.answer(answers);
        }
        let (code, shown) = terminal.end();
        Run { code: code.unwrap_or(-1), stdout: String::new(), stderr: shown }
    }

    /// Runs a command until it has called everybody into the room, and interrupts it then.
    fn serve(&self, line: &str, enters: &[String]) -> Run {
        let mut child = self
            .shell(line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = told_lines(&mut child);
        let mut stderr = String::new();
        let mut awaited: BTreeSet<&str> = enters.iter().map(String::as_str).collect();
        while !awaited.is_empty() {
            let Ok(told) = lines.recv_timeout(PATIENCE) else { break };
            if let Some((name, _)) = told.split_once(" is called into the room ") {
                awaited.remove(name);
            }
            stderr += &told;
        }
        // What it has started ends with it, whether or not that ever served anything.
        interrupt(&child);
        let mut run = Run::of(child.wait_with_output().unwrap());
        run.stderr = lines.iter().fold(stderr, |all, line| all + &line);
        // Being interrupted is how such a command is meant to end.
        if awaited.is_empty() && run.code == 130 {
            run.code = 0;
        }
        run
    }

    /// Runs one step, and says what is not as it should be.
    fn step(&mut self, step: &Step) -> Result<(), String> {
        self.lay_out(step);
        if let Some(line) = &step.before {
            let run = self.run(line, "");
            if run.code != 0 {
                return Err(format!("`{line}` fails: {}", run.stderr));
            }
        }
        let callee = step.calls.as_deref().map(|path| Callee::listen(self.runtime, path));
        if let Some(callee) = &callee {
            self.kept.insert("<port>".to_owned(), callee.port.to_string());
        }
        let line = self.filled(step, &step.run);
        let run = match (&step.terminal, step.enters.is_empty()) {
            (Some(answers), _) => self.ask(&line, answers),
            (None, false) => self.serve(&line, &step.enters),
            (None, true) => self.run(&line, &step.input),
        };
        self.judge(step, &run).map_err(|what| {
            format!("{what}\nexit code {}\n{}{}", run.code, run.stdout, run.stderr)
        })?;
        if let Some(mut callee) = callee {
            let call = self
                .runtime
                .block_on(async { tokio::time::timeout(PATIENCE, callee.calls.recv()).await });
            let call = call.ok().flatten().ok_or("nobody was called")?;
            if call["event"] != "room.call" || call["data"]["token"].as_str().is_none() {
                return Err(format!("the call says something else: {call}"));
            }
        }
        if let Some(name) = &step.keep {
            self.kept.insert(name.clone(), kept(step, &run.stdout)?);
        }
        if let Some(line) = &step.then_run {
            let line = self.filled(step, line);
            let run = self.run(&line, "");
            if run.code != 0 {
                return Err(format!("`{line}` fails afterwards: {}", run.stderr));
            }
        }
        self.look(step)
    }

    fn judge(&self, step: &Step, run: &Run) -> Result<(), String> {
        if run.code != step.code {
            return Err(format!("it does not end with {}", step.code));
        }
        for text in &step.prints {
            let kept = self.kept.get(text).cloned();
            if !run.stdout.contains(&kept.unwrap_or_else(|| self.filled(step, text))) {
                return Err(format!("it does not print {text:?}"));
            }
        }
        for text in &step.tells {
            if !run.stderr.contains(&self.filled(step, text)) {
                return Err(format!("it does not tell {text:?}"));
            }
        }
        if step.code != 0 {
            let lines: Vec<&str> = run.stderr.lines().collect();
            let is_told = matches!(lines.as_slice(), [error, hint]
                if error.starts_with("error: ") && hint.starts_with("hint: "));
            if !is_told || !run.stdout.is_empty() {
                return Err("the error is not one line with a hint".to_owned());
            }
        }
        Ok(())
    }

    /// Looks at what is on the platform after a step.
    fn look(&self, step: &Step) -> Result<(), String> {
        let there = step.there.iter().map(|wanted| (wanted, true));
        let gone = step.gone.iter().map(|wanted| (wanted, false));
        for ((path, wanted), is_there) in there.chain(gone) {
            let wanted: Value =
                serde_json::from_str(&self.filled(step, &wanted.to_string())).unwrap();
            let answer = self.runtime.block_on(self.server.read(path));
            let answer = answer.expect(200).json();
            if shows(&answer, &wanted) != is_there {
                let not = if is_there { "not " } else { "" };
                return Err(format!("{wanted} is {not}in {path}: {answer}"));
            }
        }
        Ok(())
    }
}

/// What is written down of an output: all of it, or the first word of one of its lines.
fn kept(step: &Step, printed: &str) -> Result<String, String> {
    let Some(mark) = &step.keep_of_line else { return Ok(printed.trim().to_owned()) };
    let line = printed.lines().find(|line| line.contains(mark.as_str()));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.map(str::to_owned).ok_or_else(|| format!("no line has {mark:?}: {printed}"))
}

/// The lines of a child's standard error, as they come.
fn told_lines(child: &mut Child) -> std::sync::mpsc::Receiver<String> {
    let (tell, told) = std::sync::mpsc::channel();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || {
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
            let _ = tell.send(std::mem::take(&mut line));
        }
    });
    told
}

/// An agent or a tool that waits to be called.
struct Callee {
    port: u16,
    calls: UnboundedReceiver<Value>,
}

impl Callee {
    fn listen(runtime: &Runtime, path: &str) -> Self {
        let (called, calls) = tokio::sync::mpsc::unbounded_channel();
        let app = axum::Router::new().route(
            path,
            post(move |body: axum::Json<Value>| async move {
                let _ = called.send(body.0);
            }),
        );
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { port, calls }
    }
}

/// Whether a visit needs the SDK, whose scripts it runs.
fn runs_scripts(visit: &Visit) -> bool {
    visit.steps.iter().any(|step| !step.enters.is_empty())
}

/// Goes through pages, and tells what is not as the data says, and the counts.
fn visit(documentation: &Documentation, which: impl Fn(&Visit) -> bool, python: Option<&Path>) {
    let runtime = Runtime::new().unwrap();
    let mut wrong = String::new();
    let mut counts: BTreeMap<Sort, usize> = BTreeMap::new();
    for visit in documentation.visits.iter().filter(|visit| which(visit)) {
        let mut desk = Desk::of(visit, &documentation.site_fills, &runtime, python);
        for step in &visit.steps {
            *counts.entry(step.sort()).or_default() += 1;
            if let Err(what) = desk.step(step) {
                wrong += &format!("{}:{}\n$ {}\n{what}\n\n", visit.page, step.line, step.run);
            }
        }
    }
    println!("{counts:?}");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_command_of_the_documentation_does_what_the_page_says() {
    visit(&cases::all(), |visit| !runs_scripts(visit), None);
}

#[test]
fn every_script_of_the_documentation_is_run_as_a_service() {
    let Some(python) = needs::python("the scripts of the documentation") else {
        return;
    };
    visit(&cases::all(), runs_scripts, Some(&python));
}

/// Nothing is left out in silence, and nothing is excused without a reason.
#[test]
fn the_cases_of_the_documentation_are_whole() {
    let documentation = cases::all();
    let steps: Vec<(&Visit, &Step)> = documentation
        .visits
        .iter()
        .flat_map(|visit| visit.steps.iter().map(move |step| (visit, step)))
        .collect();
    let mut counts: BTreeMap<Sort, usize> = BTreeMap::new();
    let mut places = BTreeSet::new();
    let mut used = BTreeSet::new();
    for (visit, step) in steps {
        let place = format!("{}:{}", visit.page, step.line);
        assert!(step.run.starts_with("meshagent "), "{place}");
        for place in [&place].into_iter().chain(&step.also) {
            assert!(places.insert(place.clone()), "{place} stands there twice");
        }
        let stands_in = step.calls.is_some()
            || step.files.values().any(|path| path.starts_with("in-place-of/"));
        assert_eq!(step.code != 0 || stands_in, step.because.is_some(), "{place}");
        assert!(step.code == 0 || !step.tells.is_empty(), "{place} does not say what is told");
        used.extend(step.files.values().map(|path| cases::files().join(path)));
        *counts.entry(step.sort()).or_default() += 1;
    }
    let is_case = |path: &Path| {
        path.is_file()
            && !matches!(path.file_name(), Some(name) if name == "LICENSE" || name == "README.md")
    };
    let files: BTreeSet<_> = walkdir::WalkDir::new(cases::files())
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| is_case(path))
        .collect();
    assert_eq!(files, used, "a file that no case uses, or the other way round");
    println!("{} commands in {} places: {counts:?}", counts.values().sum::<usize>(), places.len());
}
