//! The commands against the reference's: the same arguments, against a platform that
//! records what it is asked, must make the same requests, end with the same exit code and
//! leave the same files. What differs is named in `docs/coming-from-python.md`. This is so for both
//! APIs, each with its cases and with the reference that speaks it.

#[path = "commands/cases.rs"]
mod cases;
#[path = "commands/platform.rs"]
mod platform;
#[path = "commands/tree.rs"]
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use meshagent::api::spoken::Spoken;
use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};
use crate::needs;
use cases::Case;
pub use cases::KEY;
use platform::{Asked, Platform};

/// The project that is meant unless a case says otherwise.
const PROJECT: &str = "11111111-1111-4111-8111-111111111111";

/// What a run of one command line did.
#[derive(Debug, PartialEq)]
struct Done {
    code: i32,
    requests: Vec<Asked>,
    files: BTreeMap<String, Value>,
}

/// The files below the home folder that the case did not bring, or that were changed. Each run has
/// its own base URL; in files it is the same one for all.
fn files(case: &Case, home: &Path, url: &str) -> BTreeMap<String, Value> {
    walkdir::WalkDir::new(home)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file())
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap().replace(url, "base");
            (path.strip_prefix(home).unwrap().to_str().unwrap().to_owned(), text)
        })
        .filter(|(name, text)| case.files.get(name) != Some(text))
        .map(|(name, text)| {
            let mut value = serde_json::from_str(&text).unwrap_or(Value::String(text));
            // When a session runs out depends on when it was refreshed.
            if let Some(ends) = value.get_mut("expires_at") {
                *ends = "a time".into();
            }
            (name, value)
        })
        .collect()
}

fn prepare(case: &Case) -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, text) in &case.files {
        let path = sandbox.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    sandbox
}

fn environment(case: &Case, home: &Path, url: &str) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::from([
        ("HOME".to_owned(), home.display().to_string()),
        ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
        ("COLUMNS".to_owned(), "400".to_owned()),
        ("MESHAGENT_API_URL".to_owned(), url.to_owned()),
        ("MESHAGENT_API_KEY".to_owned(), cases::KEY.to_owned()),
        ("MESHAGENT_PROJECT_ID".to_owned(), PROJECT.to_owned()),
    ]);
    for (name, value) in &case.environment {
        match value {
            Some(value) => drop(environment.insert(name.clone(), value.clone())),
            None => drop(environment.remove(name)),
        }
    }
    environment
}

/// Words, with the recorder's address where they ask for it.
fn words(words: &[String], url: &str) -> Vec<String> {
    words.iter().map(|word| word.replace("{url}", url)).collect()
}

fn ours(index: usize, case: &Case, platform: &Platform) -> (Done, Run) {
    let sandbox = prepare(case);
    let run = platform.run(index, case);
    let mut child = Command::new(env!("CARGO_BIN_EXE_meshagent"))
        .args(words(&case.words, &run.url))
        .current_dir(sandbox.path(""))
        .env_clear()
        .envs(environment(case, &sandbox.path(""), &run.url))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever does not read its input may be gone by then.
    let _ = child.stdin.take().unwrap().write_all(case.input.as_bytes());
    let ended = Run::of(child.wait_with_output().unwrap());
    let files = files(case, &sandbox.path(""), &run.url);
    let done = Done { code: ended.code, requests: run.asked(), files };
    (done, ended)
}

/// Runs the reference on all cases at once.
fn references(python: &Path, cases: &[Case], platform: &Platform) -> Vec<(Done, String)> {
    let prepare = |(index, case)| (prepare(case), platform.run(index, case));
    let prepared: Vec<_> = cases.iter().enumerate().map(prepare).collect();
    let runs: Vec<Value> = cases
        .iter()
        .zip(&prepared)
        .map(|(case, (sandbox, run))| {
            let there = case.there.as_deref().map(cases::split);
            json!({
                "argv": words(there.as_ref().unwrap_or(&case.words), &run.url),
                "environment": environment(case, &sandbox.path(""), &run.url),
                "folder": sandbox.path(""),
                "input": case.input,
            })
        })
        .collect();
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands/driver.py");
    let mut child = Command::new(python)
        .arg(driver)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    child.stdin.take().unwrap().write_all(Value::Array(runs).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the driver of the reference fails: {}", output.status);
    let ends: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(ends.len(), cases.len());
    ends.iter()
        .zip(prepared)
        .zip(cases)
        .map(|((end, (sandbox, run)), case)| {
            let code = i32::try_from(end["code"].as_i64().unwrap()).unwrap();
            let files = files(case, &sandbox.path(""), &run.url);
            let done = Done { code, requests: run.asked(), files };
            (
                done,
                format!("{}{}", end["stdout"].as_str().unwrap(), end["stderr"].as_str().unwrap()),
            )
        })
        .collect()
}

/// What differs, one line each.
fn differences(theirs: &Done, ours: &Done) -> Vec<String> {
    let mut lines = Vec::new();
    if theirs.code != ours.code {
        lines.push(format!("exit code: {} there, {} here", theirs.code, ours.code));
    }
    let longest = theirs.requests.len().max(ours.requests.len());
    for index in 0..longest {
        let (there, here) = (theirs.requests.get(index), ours.requests.get(index));
        if there != here {
            let shown = |asked: Option<&Asked>| {
                asked.map_or_else(|| "nothing".to_owned(), ToString::to_string)
            };
            lines.push(format!("request {index} there: {}", shown(there)));
            lines.push(format!("request {index} here:  {}", shown(here)));
        }
    }
    // Which platform a key is for is kept beside what the reference keeps.
    let mut files = ours.files.clone();
    for file in files.values_mut().filter_map(Value::as_object_mut) {
        file.remove("api_key_platforms");
    }
    if theirs.files != files {
        lines.push(format!("files: {:?} there, {files:?} here", theirs.files));
    }
    lines
}

/// The names in the first column of the documented table of differences.
pub fn told_differences() -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/coming-from-python.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("\n| difference | the reference | here |\n").unwrap();
    table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with("| "))
        .map(|line| line.split('|').nth(1).unwrap().trim().to_owned())
        .collect()
}

#[test]
fn every_case_does_what_the_reference_does_but_for_the_told_differences() {
    let python = needs::python("the comparison of the commands with the reference");
    let differing = compared_with(python.as_deref(), Spoken::V0_31);
    if python.is_some() {
        insta::assert_snapshot!("differences_from_the_reference", differing);
    }
}

#[test]
fn every_case_does_what_the_reference_of_0_56_does_but_for_the_told_differences() {
    let python = needs::python_of_new("the comparison of the commands with the reference of 0.56");
    let differing = compared_with(python.as_deref(), Spoken::V0_56);
    if python.is_some() {
        insta::assert_snapshot!("differences_from_the_reference_of_0_56", differing);
    }
}

/// Runs the cases of an API here and by the reference, and returns what differs as it is told to.
fn compared_with(python: Option<&Path>, spoken: Spoken) -> String {
    let told = told_differences();
    let cases = cases::all(spoken);
    let used: BTreeSet<String> = cases.iter().flat_map(|case| case.differs.clone()).collect();
    let untold: Vec<_> = used.difference(&told).collect();
    assert!(untold.is_empty(), "the page does not tell of {untold:?}");
    let platform = Platform::start(spoken);
    let Some(python) = python else { return String::new() };
    let theirs = references(python, &cases, &platform);
    let mut wrong = String::new();
    let mut differing = String::new();
    for (index, (case, (theirs, said))) in cases.iter().zip(theirs).enumerate() {
        let (ours, run) = ours(index, case, &platform);
        let lines = differences(&theirs, &ours);
        let there = case.there.as_ref().map(|line| format!("\nthere: $ meshagent {line}"));
        let name = format!("$ meshagent {}{}", case.line, there.unwrap_or_default());
        match (lines.is_empty(), case.differs.is_empty()) {
            (true, true) => {}
            (false, false) => {
                differing +=
                    &format!("{name}\n# {}\n{}\n\n", case.differs.join(", "), lines.join("\n"));
            }
            (false, true) => {
                let last: Vec<&str> = said.lines().rev().take(3).collect();
                wrong += &format!(
                    "{name}\n{}\nthere: {last:?}\nhere: {}\n",
                    lines.join("\n"),
                    run.stderr
                );
            }
            (true, false) => wrong += &format!("{name}\nno longer differs in {:?}\n", case.differs),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    differing
}

#[test]
fn every_command_of_the_comparison_has_three_cases() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for case in cases::all(Spoken::V0_31) {
        *counts.entry(case.command()).or_default() += 1;
    }
    let few: Vec<String> = tree::compared()
        .into_iter()
        .filter(|command| counts.get(command).is_none_or(|count| *count < 3))
        .collect();
    assert!(few.is_empty(), "{few:?}");
}

/// What 0.56 has no more, and what takes its place there.
const GONE: [&str; 3] = ["webhook create", "webhook list", "webhook delete"];

#[test]
fn every_command_that_0_56_has_too_has_a_case_of_it() {
    let there: BTreeSet<String> = cases::all(Spoken::V0_56).iter().map(Case::command).collect();
    let missing: Vec<String> = tree::compared()
        .into_iter()
        .filter(|command| !there.contains(command) && !GONE.contains(&command.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What the reference cannot tell: every case ends without a panic, says what failed in
/// one line, and keeps data and talk apart.
#[test]
fn every_case_ends_in_order() {
    for spoken in [Spoken::V0_31, Spoken::V0_56] {
        ends_in_order(spoken);
    }
}

fn ends_in_order(spoken: Spoken) {
    let platform = Platform::start(spoken);
    for (index, case) in cases::all(spoken).into_iter().enumerate() {
        let (_, run) = ours(index, &case, &platform);
        let line = &case.line;
        // What an API does not have is refused.
        assert!(matches!(run.code, 0..=2 | 6), "{line}: {}\n{}", run.code, run.stderr);
        assert!(!run.stderr.contains("panicked"), "{line}: {}", run.stderr);
        if run.code == 2 {
            assert_eq!(run.stdout, "", "{line}");
        }
        if case.words.iter().any(|word| word == "json") && run.code == 0 {
            run.json();
        }
        for secret in ["s3cr3t-canary", cases::KEY] {
            let is_asked_for = line.contains("api-key create") || line.contains("token generate");
            assert!(
                is_asked_for || !format!("{}{}", run.stdout, run.stderr).contains(secret),
                "{line}"
            );
        }
    }
}

/// A run of ours against the recorder, with what it would be given in a terminal.
fn against(platform: &Platform, index: usize, arguments: &[&str]) -> (Command, Sandbox) {
    let sandbox = Sandbox::new();
    let case = Case::of(arguments);
    let run = platform.run(index, &case);
    let mut command = sandbox.command(arguments);
    command.envs(environment(&case, &sandbox.path(""), &run.url));
    (command, sandbox)
}

#[test]
fn names_are_completed_while_somebody_types() {
    let platform = Platform::start(Spoken::V0_31);
    let cases: [(&[&str], &str); 4] = [
        (&["mailbox", "list", "--room", "d"], "demo"),
        (&["rooms", "delete", "--name", ""], "demo"),
        (&["project", "activate", "2"], "22222222-2222-4222-8222-222222222222"),
        (&["sche"], "scheduled-task"),
    ];
    for (index, (words, wanted)) in cases.into_iter().enumerate() {
        let line = [&["--", "meshagent"], words].concat();
        let (mut command, _sandbox) = against(&platform, index, &line);
        command
            .env("MESHAGENT_COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
            .env("_CLAP_IFS", "\n");
        let run = Run::of(command.output().unwrap());
        assert!(run.stdout.lines().any(|line| line.trim() == wanted), "{words:?}: {}", run.stdout);
    }
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let run = Sandbox::new().run(&["completion", shell]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        assert!(run.stdout.contains("MESHAGENT_COMPLETE"), "{shell}: {}", run.stdout);
    }
}

#[test]
fn the_help_of_every_command_is_what_it_was() {
    let tree = meshagent::commands::tree();
    let is_group = |group: &&clap::Command| tree::is_compared(group.get_name());
    for group in tree.get_subcommands().filter(is_group) {
        let mut shown = String::new();
        help(group.clone(), &format!("meshagent {}", group.get_name()), &mut shown);
        insta::assert_snapshot!(format!("help_of_{}", group.get_name()), shown);
    }
}

/// A runtime without threads cannot be built, so whatever starts one says so.
#[test]
fn help_and_mistakes_start_no_runtime() {
    let sandbox = Sandbox::new();
    let run = |words: &[&str]| {
        let mut command = sandbox.command(words);
        Run::of(command.env("TOKIO_WORKER_THREADS", "0").output().unwrap())
    };
    let mut names = Vec::new();
    names_below(&meshagent::commands::whole_tree(), &[], &mut names);
    for name in &names {
        let mut words: Vec<&str> = name.iter().map(String::as_str).collect();
        words.push("--help");
        let shown = run(&words);
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{words:?}");
        words.pop();
        words.push("--no-such-option");
        assert_eq!(run(&words).code, 2, "{words:?}");
    }
    assert!(names.len() > 80, "only {} commands", names.len());
    let control = run(&["rooms", "list", "--api-url", "http://127.0.0.1:9"]);
    assert!(control.stderr.contains("TOKIO_WORKER_THREADS"), "{}", control.stderr);
}

fn names_below(command: &clap::Command, above: &[String], names: &mut Vec<Vec<String>>) {
    names.push(above.to_vec());
    for below in command.get_subcommands() {
        let name: Vec<String> =
            above.iter().cloned().chain([below.get_name().to_owned()]).collect();
        names_below(below, &name, names);
    }
}

fn help(command: clap::Command, name: &str, shown: &mut String) {
    let mut command = command.bin_name(name).term_width(100);
    *shown += &format!("$ {name} --help\n{}\n", command.render_long_help());
    for below in command.get_subcommands() {
        help(below.clone(), &format!("{name} {}", below.get_name()), shown);
    }
}
