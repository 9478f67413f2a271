//! *Pure*: what the first answers of a platform show of the API that it speaks.
//!
//! There is no negotiation: a platform does not say which API it speaks, and nothing follows from
//! one 404, which a gateway may send as well. So a few requests are made that change nothing, and
//! where their answers do not fit together, no API is assumed.

use serde_json::Value;

use crate::api::spoken::Spoken;

/// The oldest release that answers `GET /config`, and is between the two APIs.
const BETWEEN: Release = Release(0, 38);

/// The oldest release whose API is that of 0.56.
const NEW: Release = Release(0, 45);

/// The newest release whose requests were recorded.
const KNOWN: Release = Release(0, 56);

/// What a platform can be asked without a side effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// `GET /config` without the credential: the answer needs none, and a wrong URL must not get
    /// it.
    Config,
    /// The same with the credential.
    SignedConfig,
    /// `GET /accounts/whoami`.
    WhoAmI,
    /// `GET /accounts/projects`.
    Projects,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// It was answered with this JSON.
    Json(Value),
    /// It was refused with this status.
    Status(u16),
    /// Nothing usable came, for this reason.
    Nothing(String),
}

/// What is known of the API that a platform speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It speaks this one. There may be something to be told about that.
    Speaks(Spoken, Option<String>),
    /// It speaks both: this one, unless the other one is named.
    Both(Spoken),
    /// It speaks one between 0.31 and 0.56, which this program does not know. The text says what
    /// shows it.
    Between(String),
    /// It is not known, for this reason.
    Unknown(String),
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask this.
    Ask(Question),
    /// That is all that can be known.
    Done(Verdict),
}

/// What was answered so far.
#[derive(Debug, Default)]
pub struct Answers(Vec<(Question, Said)>);

impl Answers {
    /// Takes an answer.
    pub fn take(&mut self, question: Question, said: Said) {
        self.0.push((question, said));
    }

    fn to(&self, question: Question) -> Result<&Said, Step> {
        let found = self.0.iter().find(|(asked, _)| *asked == question);
        found.map(|(_, said)| said).ok_or(Step::Ask(question))
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self) -> Step {
        self.concluded().map_or_else(|step| step, Step::Done)
    }

    fn concluded(&self) -> Result<Verdict, Step> {
        let config = match self.to(Question::Config)? {
            Said::Status(401 | 403) => self.to(Question::SignedConfig)?,
            said => said,
        };
        Ok(match config {
            Said::Json(config) => self.described(config)?,
            Said::Status(404) => self.undescribed()?,
            Said::Status(status) => unknown(format!("GET /config was answered with {status}")),
            Said::Nothing(why) => unknown(format!("GET /config {why}")),
        })
    }

    /// What a description says.
    fn described(&self, config: &Value) -> Result<Verdict, Step> {
        if let Some(api) = config.get("api_version").and_then(Value::as_str) {
            let verdict = match Release::read(api) {
                Some(release) => release.verdict("api_version", api),
                None => unknown("GET /config names an API that is no release".to_owned()),
            };
            return Ok(match verdict {
                Verdict::Speaks(spoken, None) if speaks_both(config) => Verdict::Both(spoken),
                verdict => verdict,
            });
        }
        if !config.get("domains").is_some_and(Value::is_object) {
            return Ok(unknown("GET /config was answered by something else".to_owned()));
        }
        match config.get("version").and_then(Value::as_str).map(|it| (it, Release::read(it))) {
            Some((version, Some(release))) => Ok(release.max(BETWEEN).verdict("version", version)),
            _ => Ok(match self.to(Question::WhoAmI)? {
                Said::Json(_) => Verdict::Speaks(Spoken::V0_56, None),
                Said::Status(404) => Verdict::Between(
                    "GET /config names no release, and nobody is asked at GET /accounts/whoami"
                        .to_owned(),
                ),
                said => {
                    unknown(format!("GET /config names no release, and {}", told("whoami", said)))
                }
            }),
        }
    }

    /// What the lack of a description says: nothing by itself.
    fn undescribed(&self) -> Result<Verdict, Step> {
        match self.to(Question::WhoAmI)? {
            Said::Status(404) => {}
            said => {
                return Ok(unknown(format!("there is no /config, and {}", told("whoami", said))));
            }
        }
        Ok(match self.to(Question::Projects)? {
            Said::Json(answer) if answer.get("projects").is_some_and(Value::is_array) => {
                Verdict::Speaks(Spoken::V0_31, None)
            }
            said => unknown(format!("there is no /config, and {}", told("projects", said))),
        })
    }
}

/// Whether a platform that names its API names both, as an embedded one that serves both does.
fn speaks_both(config: &Value) -> bool {
    let named = config.get("api_versions").and_then(Value::as_array).into_iter().flatten();
    let releases: Vec<Release> = named.filter_map(|text| Release::read(text.as_str()?)).collect();
    let any = |is: &dyn Fn(&Release) -> bool| releases.iter().any(is);
    any(&|release| *release < BETWEEN) && any(&|release| *release >= NEW)
}

fn unknown(why: String) -> Verdict {
    Verdict::Unknown(why)
}

/// What came of a request below `/accounts`, as a phrase.
fn told(path: &str, said: &Said) -> String {
    match said {
        Said::Json(_) => format!("GET /accounts/{path} was answered all the same"),
        Said::Status(status) => format!("GET /accounts/{path} was answered with {status}"),
        Said::Nothing(why) => format!("GET /accounts/{path} {why}"),
    }
}

/// The first two numbers of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Release(u32, u32);

impl Release {
    /// Reads `0.56.0`, `v0.56` or `0.56.0-rc1+5`.
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut parts = text.strip_prefix(['v', 'V']).unwrap_or(text).splitn(3, '.');
        let mut number = || {
            let part = parts.next()?;
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..end].parse().ok()
        };
        Some(Self(number()?, number()?))
    }

    fn verdict(self, field: &str, text: &str) -> Verdict {
        let shown: String = text.trim().chars().take(40).collect();
        match self {
            it if it < BETWEEN => Verdict::Speaks(Spoken::V0_31, None),
            it if it < NEW => Verdict::Between(format!("GET /config has {field} {shown}")),
            it if it > KNOWN => Verdict::Speaks(
                Spoken::V0_56,
                Some(format!(
                    "the platform is of release {shown}, and this program was made for 0.56"
                )),
            ),
            _ => Verdict::Speaks(Spoken::V0_56, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is concluded of these answers, and what was asked for it.
    fn asked(answers: &[(Question, Said)]) -> (Vec<Question>, Verdict) {
        let (mut taken, mut questions) = (Answers::default(), Vec::new());
        loop {
            match taken.next() {
                Step::Done(verdict) => return (questions, verdict),
                Step::Ask(question) => {
                    let said = answers.iter().find(|(it, _)| *it == question);
                    let (_, said) = said.unwrap_or_else(|| panic!("{question:?} is asked"));
                    questions.push(question);
                    taken.take(question, said.clone());
                }
            }
        }
    }

    fn config(value: Value) -> Vec<(Question, Said)> {
        vec![(Question::Config, Said::Json(value))]
    }

    #[test]
    fn a_platform_that_names_its_api_is_believed() {
        for (api, expected) in [
            ("0.31.4", Verdict::Speaks(Spoken::V0_31, None)),
            ("0.37", Verdict::Speaks(Spoken::V0_31, None)),
            ("0.45.0", Verdict::Speaks(Spoken::V0_56, None)),
            ("0.56.0", Verdict::Speaks(Spoken::V0_56, None)),
            ("0.44.9", Verdict::Between("GET /config has api_version 0.44.9".to_owned())),
        ] {
            let (questions, verdict) =
                asked(&config(json!({"api_version": api, "version": "9.9"})));
            assert_eq!((questions, verdict), (vec![Question::Config], expected), "{api}");
        }
        let (_, verdict) = asked(&config(json!({"api_version": "latest"})));
        assert!(matches!(verdict, Verdict::Unknown(_)));
    }

    #[test]
    fn a_platform_that_names_both_speaks_the_one_that_is_wanted() {
        let of = |value: Value| asked(&config(value)).1;
        let both = json!(["0.31.4", "0.56.0"]);
        for (api, spoken) in [("0.31.4", Spoken::V0_31), ("0.56.0", Spoken::V0_56)] {
            let verdict = of(json!({"api_version": api, "api_versions": both}));
            assert_eq!(verdict, Verdict::Both(spoken));
            for others in [json!([api]), json!([]), json!("0.31"), json!(["0.40", 1, null, api])] {
                let verdict = of(json!({"api_version": api, "api_versions": others}));
                assert_eq!(verdict, Verdict::Speaks(spoken, None), "{others}");
            }
        }
        let between = of(json!({"api_version": "0.40", "api_versions": both}));
        assert!(matches!(between, Verdict::Between(_)));
    }

    #[test]
    fn a_hosted_platform_is_known_by_its_release() {
        let of = |version: &str| asked(&config(json!({"domains": {}, "version": version}))).1;
        assert_eq!(of("0.45.0"), Verdict::Speaks(Spoken::V0_56, None));
        assert_eq!(of("v0.56.3-rc1"), Verdict::Speaks(Spoken::V0_56, None));
        assert!(matches!(of("0.57.0"), Verdict::Speaks(Spoken::V0_56, Some(_))));
        assert!(matches!(of("1.2"), Verdict::Speaks(Spoken::V0_56, Some(_))));
        for version in ["0.44.99", "0.38.1", "0.1.0"] {
            assert!(matches!(of(version), Verdict::Between(_)), "{version}");
        }
    }

    #[test]
    fn without_a_release_whoever_is_asked_who_it_is_decides() {
        for version in [json!(null), json!("later"), json!(5)] {
            let mut answers = config(json!({"domains": {}, "version": version}));
            answers.push((Question::WhoAmI, Said::Json(json!({"id": "a"}))));
            assert_eq!(asked(&answers).1, Verdict::Speaks(Spoken::V0_56, None));
            answers[1].1 = Said::Status(404);
            assert!(matches!(asked(&answers).1, Verdict::Between(_)));
            for said in [Said::Status(401), Said::Nothing("had no answer".to_owned())] {
                answers[1].1 = said;
                assert!(matches!(asked(&answers).1, Verdict::Unknown(_)));
            }
        }
    }

    #[test]
    fn nothing_follows_from_one_404() {
        let missing = |question| (question, Said::Status(404));
        let mut answers = vec![
            missing(Question::Config),
            missing(Question::WhoAmI),
            (Question::Projects, Said::Json(json!({"projects": []}))),
        ];
        let (questions, verdict) = asked(&answers);
        assert_eq!(verdict, Verdict::Speaks(Spoken::V0_31, None));
        assert_eq!(questions, [Question::Config, Question::WhoAmI, Question::Projects]);
        for said in [
            Said::Status(404),
            Said::Status(401),
            Said::Json(json!({"ok": true})),
            Said::Nothing("had no answer".to_owned()),
        ] {
            answers[2].1 = said;
            assert!(matches!(asked(&answers).1, Verdict::Unknown(_)));
        }
        answers[1].1 = Said::Json(json!({"id": "a"}));
        assert!(matches!(asked(&answers).1, Verdict::Unknown(_)));
    }

    #[test]
    fn the_credential_is_sent_only_where_it_is_asked_for() {
        for status in [401, 403] {
            let answers = vec![
                (Question::Config, Said::Status(status)),
                (Question::SignedConfig, Said::Json(json!({"api_version": "0.31.4"}))),
            ];
            let (questions, verdict) = asked(&answers);
            assert_eq!(verdict, Verdict::Speaks(Spoken::V0_31, None));
            assert_eq!(questions, [Question::Config, Question::SignedConfig]);
        }
    }

    #[test]
    fn what_is_no_answer_of_a_platform_decides_nothing() {
        for said in [
            Said::Status(500),
            Said::Status(302),
            Said::Nothing("had no answer".to_owned()),
            Said::Json(json!([])),
            Said::Json(json!({"domains": "x", "version": "0.56.0"})),
            Said::Json(json!({"version": "0.56.0"})),
        ] {
            let (_, verdict) = asked(&[(Question::Config, said.clone())]);
            assert!(matches!(verdict, Verdict::Unknown(_)), "{said:?}");
        }
    }
}
