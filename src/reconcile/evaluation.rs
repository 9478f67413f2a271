//! Rules are evaluated in a process of their own: they are a stranger's program, and the
//! interpreter has no memory limit. The process is this program again, without our own variables
//! in its environment.

use std::io::{Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Place, Problem, Result};
use crate::limited;
use crate::manifest::process::{self, Ended};
use crate::manifest::secrets::Limits;
use crate::plan::policy::{Source, TIME_LIMIT, Verdict, evaluate};

/// The name of the command that the process runs.
const COMMAND: &str = "evaluate-policy";

/// How long the interpreter may take to notice that its time is over.
const GRACE: Duration = Duration::from_secs(2);

/// How long the process may take to start, to read the plan and to answer, besides that.
const AROUND: Duration = Duration::from_secs(30);

/// The memory of the process, where the system keeps such limits.
pub const MEMORY: u64 = 1024 * 1024 * 1024;

/// The most that it may answer, in bytes.
const ANSWER: usize = 16 * 1024 * 1024;

/// The question.
#[derive(Serialize, Deserialize)]
struct Question {
    sources: Vec<(String, String)>,
    plan: serde_json::Value,
}

/// The answer.
#[derive(Serialize, Deserialize)]
enum Answer {
    Said { denied: Vec<Said>, warned: Vec<String>, printed: Vec<String> },
    Failed(Said),
}

#[derive(Serialize, Deserialize)]
struct Said {
    place: Option<Place>,
    message: String,
    hint: Option<String>,
}

impl From<Problem> for Said {
    fn from(problem: Problem) -> Self {
        Self { place: problem.place, message: problem.message, hint: problem.hint }
    }
}

impl From<Said> for Problem {
    fn from(said: Said) -> Self {
        Self { place: said.place, hint: said.hint, ..Self::new(said.message) }
    }
}

/// Asks rules about a plan, within limits of time and memory, in a process of the given program,
/// which answers `evaluate-policy` as [`answer`] does.
///
/// # Errors
///
/// The rules cannot be evaluated.
pub(super) fn ask(
    evaluator: &Path,
    sources: Vec<Source>,
    plan: serde_json::Value,
) -> Result<Verdict, Problem> {
    let failed = |what: String| Problem::new(format!("the policy {what}"));
    let cause =
        |error: std::io::Error| failed(format!("could not be sent to its evaluator: {error}"));
    let sources = sources.into_iter().map(|source| (source.name, source.text)).collect();
    let text = serde_json::to_vec(&Question { sources, plan });
    let text =
        text.map_err(|error| failed(format!("could not be sent to its evaluator: {error}")))?;
    let mut input = tempfile::tempfile().map_err(cause)?;
    input.write_all(&text).and_then(|()| input.rewind()).map_err(cause)?;
    let mut command = Command::new(evaluator);
    command.arg(COMMAND).stdin(Stdio::from(input)).stderr(Stdio::null());
    let limits = Limits { time: TIME_LIMIT + GRACE + AROUND, bytes: ANSWER };
    let answer = process::run(command, limits).map_err(|ended| match ended {
        Ended::Failed(status) if status.signal() == Some(Signal::SIGABRT as i32) => {
            failed(format!(
                "takes more than {} GiB of memory, or recurses too deeply",
                MEMORY / (1024 * 1024 * 1024)
            ))
        }
        ended => failed(ended.to_string()),
    })?;
    match serde_json::from_slice(&answer) {
        Ok(Answer::Said { denied, warned, printed }) => {
            let denied = denied.into_iter().map(Problem::from).collect();
            Ok(Verdict { denied, warned, printed })
        }
        Ok(Answer::Failed(said)) => Err(said.into()),
        Err(error) => Err(failed(format!("evaluator returned an invalid answer: {error}"))),
    }
}

/// The answer of the process to a question.
///
/// # Errors
///
/// This is not a question.
pub fn answer(question: &[u8]) -> Result<Vec<u8>> {
    let Question { sources, plan } = serde_json::from_slice(question)
        .context(|| "failed to read what to evaluate".to_owned())?;
    let sources: Vec<Source> =
        sources.into_iter().map(|(name, text)| Source { name, text }).collect();
    let asked = limited::run(TIME_LIMIT + GRACE, move || evaluate(&sources, &plan));
    let asked =
        asked.unwrap_or_else(|unfinished| Err(Problem::new(format!("the policy {unfinished}"))));
    let answer = match asked {
        Ok(Verdict { denied, warned, printed }) => {
            Answer::Said { denied: denied.into_iter().map(Said::from).collect(), warned, printed }
        }
        Err(problem) => Answer::Failed(problem.into()),
    };
    serde_json::to_vec(&answer).context(|| "failed to write the answer".to_owned())
}
