//! What became of jobs, and what the run makes of it.

use super::child::Ran;
use super::jobs::Job;
use crate::error::{Class, Error, Result};
use crate::forge::comment::Section;
use crate::listed::counted;
use crate::output;
use crate::plan::markdown;
use crate::project_file::Verdict;
use crate::visible;

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// Nothing would change, or all was done.
    Good,
    /// Something would or might change.
    Changes,
    /// A guard, a policy or a problem of the manifests keeps the plan from being performed.
    Refused,
    /// Something failed, with this exit code.
    Failed(u8),
}

/// A job, and what became of it.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) job: Job,
    pub(super) came: Came,
    /// What is told of it.
    pub(super) section: Section,
    /// How changes and refusals are judged.
    pub(super) judged: (Verdict, Verdict),
}

impl Came {
    /// What an exit code means.
    pub(super) fn of(code: u8) -> Self {
        match code {
            0 => Self::Good,
            code if code == Class::Pending.exit_code() => Self::Changes,
            code if code == Class::Refused.exit_code() => Self::Refused,
            code => Self::Failed(code),
        }
    }

    /// What matters most has the lowest number.
    fn rank(self) -> u8 {
        match self {
            Self::Failed(_) => 0,
            Self::Refused => 1,
            Self::Changes => 2,
            Self::Good => 3,
        }
    }
}

impl Outcome {
    /// Whether it fails the run.
    pub(super) fn fails(&self) -> bool {
        match self.came {
            Came::Good => false,
            Came::Changes => self.judged.0 == Verdict::Fail,
            Came::Refused => self.judged.1 == Verdict::Fail,
            Came::Failed(_) => true,
        }
    }
}

/// The section of a plan that was printed as Markdown.
pub(super) fn of_plan(job: &Job, ran: &Ran, came: Came) -> Section {
    let mut body = ran.data.as_str();
    // The first line is a marker, which is that of the whole comment here.
    if body.starts_with("<!-- meshagent-plan ") {
        body = body.split_once('\n').map(|it| it.1).unwrap_or_default();
    }
    let heading = body.strip_prefix("### ").and_then(|rest| rest.split_once('\n'));
    let said = heading.and_then(|(heading, _)| heading.rsplit_once("`: ")).map(|it| it.1);
    let (verdict, body) = match (said, heading) {
        (Some(said), Some((_, rest))) => (said.to_owned(), rest.trim().to_owned()),
        _ => (String::new(), body.trim().to_owned()),
    };
    let (verdict, body) = match came {
        Came::Good | Came::Changes => (verdict, body),
        Came::Refused if !body.is_empty() => (format!("refused: {verdict}"), body),
        Came::Refused => ("refused".to_owned(), fenced(&ran.told)),
        Came::Failed(code) => (format!("failed with exit code {code}"), fenced(&ran.told)),
    };
    Section { title: job.title(), verdict, body, rank: came.rank() }
}

/// The longest text that is shown as it was printed, in bytes.
const SHOWN: usize = 8_000;

/// A text as it was printed: neither markup nor a mention.
pub(super) fn fenced(text: &str) -> String {
    if text.trim().is_empty() {
        return "The run shows more.".to_owned();
    }
    let begin = text.len().saturating_sub(SHOWN);
    let begin = (begin..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let text = if begin == 0 { text } else { text[begin..].split_once('\n').map_or("", |it| it.1) };
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    let shown = markdown::printed(text);
    format!("{fence}text\n{shown}\n{fence}")
}

/// What the run makes of its results: the worst of them is its exit code.
///
/// # Errors
///
/// What failed; what is refused or would change, where that fails the run.
pub(super) fn verdict(results: &[Outcome], what: &str) -> Result<()> {
    let names = |found: Vec<&Outcome>| -> String {
        crate::listed::few(found.iter().map(|it| format!("`{}`", it.job.name)))
    };
    let came =
        |is: &dyn Fn(&Outcome) -> bool| results.iter().filter(|it| is(it)).collect::<Vec<_>>();
    let failed = came(&|it| matches!(it.came, Came::Failed(_)));
    if let Some(Came::Failed(code)) = failed.first().map(|it| it.came) {
        return Err(Error::new(class(code), format!("the {what} failed for {}", names(failed))));
    }
    let judged = [
        (Came::Refused, Class::Refused, "is refused"),
        (
            Came::Changes,
            Class::Pending,
            if what == "plan" { "would change something" } else { "found something" },
        ),
    ];
    for (is, class, told) in judged {
        let of = |it: &Outcome, wanted: Verdict| {
            let (changes, refused) = it.judged;
            it.came == is && wanted == if is == Came::Refused { refused } else { changes }
        };
        let warned = came(&|it| of(it, Verdict::Warn));
        if !warned.is_empty() {
            warn(&format!("the {what} {told} for {}", names(warned)));
        }
        let fails = came(&|it| of(it, Verdict::Fail));
        if !fails.is_empty() {
            return Err(Error::new(class, format!("the {what} {told} for {}", names(fails))));
        }
    }
    Ok(())
}

/// The class of an exit code.
pub(super) fn class(code: u8) -> Class {
    let classes = [
        Class::Usage,
        Class::Pending,
        Class::Partial,
        Class::Stale,
        Class::Refused,
        Class::Unhealthy,
    ];
    classes.into_iter().find(|class| class.exit_code() == code).unwrap_or(Class::Failed)
}

/// Warns, beside the run as well, where the system shows that.
pub(super) fn warn(text: &str) {
    output::warning(text);
    if std::env::var("GITHUB_ACTIONS").as_deref() == Ok("true") {
        let text =
            visible::line(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        output::relay(&format!("::warning title=meshagent::{text}"));
    }
}

/// How many of the results come to something.
pub(super) fn summed(results: &[Outcome]) -> String {
    let count = |is: &dyn Fn(Came) -> bool| results.iter().filter(|it| is(it.came)).count();
    let parts = [
        (count(&|came| matches!(came, Came::Failed(_))), "failed"),
        (count(&|came| came == Came::Refused), "refused"),
        (count(&|came| came == Came::Changes), "with changes"),
        (count(&|came| came == Came::Good), "without changes"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", counted(count, "plan")))
        .collect();
    parts.join(", ")
}
