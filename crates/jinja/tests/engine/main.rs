//! The engine against Jinja2's answers, which are checked in; against Jinja2 itself where there
//! is a Python that has it; and against what must hold of any template.

#![allow(clippy::print_stdout)]

mod agreement;
mod hostile;
#[path = "../../../../tests/needs.rs"]
#[expect(dead_code, reason = "the tests of the program need more")]
mod needs;
mod random;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use meshagent_jinja::Error;
use serde_json::Value;

/// Values for a template.
type Values = serde_json::Map<String, Value>;

/// Renders on a thread like that of the program.
fn render(template: &str, values: &Values) -> Result<String, Error> {
    std::thread::scope(|scope| {
        let work = || {
            let texts = values.iter().filter_map(|(name, value)| Some((&**name, value.as_str()?)));
            meshagent_jinja::render(template, texts, Instant::now() + Duration::from_secs(10))
        };
        let thread = std::thread::Builder::new().stack_size(64 * 1024 * 1024);
        let thread = thread.spawn_scoped(scope, work).expect("a thread starts");
        thread.join().unwrap_or_else(|_| panic!("{template:?} panics"))
    })
}

/// Asks Jinja2 about templates and their values; nothing where it is not at hand.
fn ask(batch: &Value) -> Option<Value> {
    let python = needs::python("the comparison with Jinja2")?;
    let mut child = Command::new(python)
        .arg("-Wignore")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the reference starts");
    let mut input = child.stdin.take().expect("standard input is piped");
    let text = batch.to_string();
    // Written beside the reading, for neither pipe holds everything.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("the reference ends");
    writer.join().expect("the writer ends").expect("the reference reads its input");
    assert!(output.status.success(), "the reference fails: {}", output.status);
    Some(serde_json::from_slice(&output.stdout).expect("the reference answers in JSON"))
}
