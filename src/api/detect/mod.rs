//! Which API a platform speaks: asks it before anything else is asked.
//!
//! Lives here: what is asked and sent (this file), and what follows from the answers (`rule`, pure).
//! Must not: how either API spells anything.

mod rule;

pub use rule::Verdict;
use rule::{Answers, Question, Said, Step};

use super::client::Client;
use super::failure::ApiError;
use super::request::Request;
use super::spoken::Spoken;
use crate::error::{Class, Error, Result};

/// How to say which API it is.
const HINT: &str = "if you know it, say which one with --dialect or MESHAGENT_DIALECT";

/// The API that is spoken with a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// Which one.
    pub spoken: Spoken,
    /// Why nothing may be written, if nothing may.
    pub only_read: Option<String>,
    /// What is to be told.
    pub note: Option<String>,
}

/// Asks a platform which API it speaks. One that was named counts where the platform does not say,
/// and must not be another one than it says.
///
/// # Errors
///
/// It is not known, or is another one than was named; the platform does not know the credential.
pub async fn detect(client: &Client, named: Option<Spoken>) -> Result<Detected> {
    let mut answers = Answers::default();
    let mut refused = None;
    let verdict = loop {
        match answers.next() {
            Step::Done(verdict) => break verdict,
            // So far nothing speaks against what was named, and more cannot be shown.
            Step::Ask(Question::Projects) if named == Some(Spoken::V0_31) => {
                break Verdict::Unknown(String::new());
            }
            Step::Ask(question) => {
                let (said, error) = ask(client, question).await;
                refused = error;
                answers.take(question, said);
            }
        }
    };
    settle(verdict, named).map_err(|error| match refused {
        // It is the credential that is wrong, or there is no platform, or it is in trouble.
        Some(refused) if refused.status != Some(404) => match Error::from(refused) {
            error @ Error { hint: Some(_), .. } => error,
            error => error.hint(HINT),
        },
        _ => error,
    })
}

/// What is spoken with a platform of which that is known.
///
/// # Errors
///
/// As [`detect`].
fn settle(verdict: Verdict, named: Option<Spoken>) -> Result<Detected> {
    let refused = |message: String| Error::new(Class::Refused, message);
    let plain = |spoken| Detected { spoken, only_read: None, note: None };
    match (verdict, named) {
        (Verdict::Speaks(spoken, note), None) => Ok(Detected { note, ..plain(spoken) }),
        (Verdict::Speaks(spoken, note), Some(named)) if named == spoken => {
            Ok(Detected { note, ..plain(spoken) })
        }
        (Verdict::Speaks(spoken, _), Some(named)) => Err(refused(format!(
            "--dialect names the API of {named}, and the platform says that it speaks that of {spoken}"
        ))
        .hint("leave --dialect and MESHAGENT_DIALECT out")),
        (Verdict::Between(shown), None) => Ok(Detected {
            only_read: Some(format!(
                "the platform speaks an API between those of 0.31 and 0.56, which this program does not know: {shown}"
            )),
            ..plain(Spoken::V0_31)
        }),
        (Verdict::Between(shown), Some(named)) => Err(refused(format!(
            "--dialect names the API of {named}, and the platform speaks an older or newer one: {shown}"
        ))),
        (Verdict::Unknown(_), Some(named)) => Ok(plain(named)),
        (Verdict::Unknown(why), None) => Err(refused(format!(
            "it is not known which API this platform speaks: {why}"
        ))
        .hint(HINT)),
    }
}

async fn ask(client: &Client, question: Question) -> (Said, Option<ApiError>) {
    let config = Request::get(&["config"]);
    let request = match question {
        Question::Config => Request { is_signed: false, ..config },
        Question::SignedConfig => config,
        Question::WhoAmI => Request::get(&["accounts", "whoami"]),
        Question::Projects => Request::get(&["accounts", "projects"]),
    };
    let failed = match client.send(&request).await {
        Ok(answer) => match answer.json() {
            Ok(json) => return (Said::Json(json), None),
            Err(_) => return (Said::Nothing("was answered, but not with JSON".to_owned()), None),
        },
        Err(error) => error,
    };
    match failed.status {
        Some(status) if status < 500 => (Said::Status(status), Some(failed)),
        _ => (Said::Nothing(failed.what.clone()), Some(failed)),
    }
}
