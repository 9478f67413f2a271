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
    /// The other one, where the platform speaks both.
    pub also: Option<Spoken>,
    /// Why nothing may be written, if nothing may.
    pub only_read: Option<String>,
    /// What is to be told.
    pub note: Option<String>,
}

impl Detected {
    /// A platform that speaks both, with the one that is meant.
    #[must_use]
    pub const fn both(spoken: Spoken) -> Self {
        Self { spoken, also: Some(spoken.other()), only_read: None, note: None }
    }
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
    let plain = |spoken| Detected { spoken, also: None, only_read: None, note: None };
    match (verdict, named) {
        (Verdict::Speaks(spoken, note), None) => Ok(Detected { note, ..plain(spoken) }),
        (Verdict::Speaks(spoken, note), Some(named)) if named == spoken => {
            Ok(Detected { note, ..plain(spoken) })
        }
        (Verdict::Speaks(spoken, _), Some(named)) => Err(refused(format!(
            "--dialect names the API of {named}, and the platform says that it speaks that of {spoken}"
        ))
        .hint("leave --dialect and MESHAGENT_DIALECT out")),
        (Verdict::Both(usual), named) => Ok(Detected::both(named.unwrap_or(usual))),
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
    // An answer that was cut off on its way is asked for again.
    let failed = match client.send_json(&request).await {
        Ok(json) => return (Said::Json(json), None),
        Err(error) => error,
    };
    match failed.status {
        Some(status) if status < 500 => (Said::Status(status), Some(failed)),
        // What answers is something else, which is no failure of the request.
        None if failed.is_unusable => (Said::Nothing(failed.what), None),
        _ => (Said::Nothing(failed.what.clone()), Some(failed)),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use serde_json::json;

    use super::*;
    use crate::api::retry::Retry;

    const NAMED: [Option<Spoken>; 3] = [None, Some(Spoken::V0_31), Some(Spoken::V0_56)];

    #[test]
    fn what_the_platform_says_counts_unless_another_api_was_named() {
        for spoken in [Spoken::V0_31, Spoken::V0_56] {
            for note in [None, Some("newer".to_owned())] {
                for named in NAMED {
                    let settled = settle(Verdict::Speaks(spoken, note.clone()), named);
                    if named.is_none_or(|named| named == spoken) {
                        let expected =
                            Detected { spoken, also: None, only_read: None, note: note.clone() };
                        assert_eq!(settled.expect("an API"), expected);
                        continue;
                    }
                    let error = settled.expect_err("they do not agree");
                    let named = named.expect("another one");
                    let told = format!(
                        "--dialect names the API of {named}, and the platform says that it speaks that of {spoken}"
                    );
                    assert_eq!((error.class, error.message), (Class::Refused, told));
                    assert!(error.hint.is_some_and(|hint| hint.contains("MESHAGENT_DIALECT")));
                }
            }
        }
    }

    #[test]
    fn where_both_are_spoken_the_named_one_is() {
        for usual in [Spoken::V0_31, Spoken::V0_56] {
            for named in NAMED {
                let settled = settle(Verdict::Both(usual), named).expect("one of them");
                let spoken = named.unwrap_or(usual);
                let also = Some(spoken.other());
                assert_eq!(settled, Detected { spoken, also, only_read: None, note: None });
            }
        }
    }

    #[test]
    fn one_between_the_two_is_read_only_and_no_name_makes_it_another() {
        let between = || Verdict::Between("GET /config has version 0.40.1".to_owned());
        let settled = settle(between(), None).expect("one that is read");
        let why = settled.only_read.expect("a reason");
        assert!(why.ends_with("which this program does not know: GET /config has version 0.40.1"));
        for named in [Spoken::V0_31, Spoken::V0_56] {
            let error = settle(between(), Some(named)).expect_err("neither");
            assert_eq!(error.class, Class::Refused);
            assert!(error.message.ends_with("GET /config has version 0.40.1"), "{error}");
        }
    }

    #[test]
    fn where_the_platform_does_not_say_it_what_was_named_counts_and_nothing_is_guessed() {
        let unknown = || Verdict::Unknown("GET /config had no answer".to_owned());
        for named in [Spoken::V0_31, Spoken::V0_56] {
            let settled = settle(unknown(), Some(named)).expect("the named one");
            assert_eq!(
                settled,
                Detected { spoken: named, also: None, only_read: None, note: None }
            );
        }
        let error = settle(unknown(), None).expect_err("nothing");
        assert_eq!((error.class, error.hint.as_deref()), (Class::Refused, Some(HINT)));
        assert!(error.message.ends_with("GET /config had no answer"), "{error}");
    }

    #[tokio::test]
    async fn where_nothing_may_be_written_no_write_is_sent() {
        let detected = Detected {
            spoken: Spoken::V0_31,
            also: None,
            only_read: Some("it speaks another API".to_owned()),
            note: None,
        };
        // Nothing listens there, so what is sent has no answer.
        let key = SecretString::from("ma-example");
        let retry = Retry { retries: 0, ..Retry::default() };
        let client = Client::new("http://127.0.0.1:9", key, retry).expect("a client");
        let client = client.speaking(&detected);
        let writes = [
            Request::post(&["accounts", "projects"], json!({})),
            Request::put(&["accounts", "projects", "p", "rooms", "r"], json!({})),
            Request::delete(&["accounts", "projects", "p", "rooms", "r"]),
        ];
        for write in writes {
            let error = client.send(&write).await.expect_err("no write");
            assert_eq!((error.attempts, error.is_ambiguous()), (0, false));
            assert!(error.to_string().contains("was not sent: it speaks another API"), "{error}");
        }
        let error = client.send(&Request::get(&["config"])).await.expect_err("nobody is there");
        assert!(error.attempts == 1 && !error.to_string().contains("another API"), "{error}");
    }
}
