//! What an approver signs: one line of JSON that says which plan, for what, and until when.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::visible;

/// The version of the statement's form.
pub const VERSION: u32 = 1;

/// How long an approval is valid if its approver does not say.
pub const STANDARD: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an approval can be valid at most.
pub const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How far the clocks of two machines may be apart, in minutes: an approval may be that much from
/// the future.
pub const SKEW_MINUTES: i64 = 5;

/// The longest reason, in characters.
pub const LONGEST_REASON: usize = 1000;

/// What an approval is for: one saved plan, and where that is to be applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// `sha256:` and the SHA-256 of the file of the plan, as hex.
    pub digest: String,
    /// The set's name.
    pub set: String,
    /// The platform's base URL.
    pub platform: String,
    /// The projects by name, with their ids; `null` for one that the plan creates.
    pub projects: BTreeMap<String, Option<String>>,
}

impl Bound {
    /// The digest of a saved plan: of each byte of its file.
    #[must_use]
    pub fn digest_of(plan: &[u8]) -> String {
        let digest = Sha256::digest(plan);
        digest.iter().fold("sha256:".to_owned(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// How this differs from what an approval is for, if it does.
    fn difference(&self, approved: &Self) -> Option<String> {
        let projects = |of: &Self| {
            let names = of.projects.iter().map(|(name, id)| match id {
                Some(id) => format!("{name} ({id})"),
                None => name.clone(),
            });
            crate::listed::few(names)
        };
        if approved.platform != self.platform {
            return Some(format!("it is for the platform {}", visible::line(&approved.platform)));
        }
        if approved.set != self.set {
            return Some(format!("it is for the set `{}`", visible::line(&approved.set)));
        }
        if approved.projects != self.projects {
            return Some(format!("it is for other projects: {}", projects(approved)));
        }
        (approved.digest != self.digest).then(|| "it is for another plan".to_owned())
    }
}

/// What an approver signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The version of this form.
    pub version: u32,
    /// What is approved.
    pub plan: Bound,
    /// When it was signed.
    pub issued: Timestamp,
    /// From when on it is no longer valid.
    pub expires: Timestamp,
    /// Who says so; the approvers must list the key under this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The least of a statement of any version.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Statement {
    /// A statement about a plan, valid from now on for so long.
    #[must_use]
    pub fn new(plan: Bound, now: Timestamp, valid: Duration) -> Self {
        let whole = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or(time);
        let valid = SignedDuration::try_from(valid.min(LONGEST)).unwrap_or_default();
        let (issued, expires) = (whole(now), now.checked_add(valid).unwrap_or(now));
        Self { version: VERSION, plan, issued, expires: whole(expires), by: None, reason: None }
    }

    /// The line that is signed, with its end. There is one way to write each statement, in
    /// which nothing is hidden.
    ///
    /// # Errors
    ///
    /// What cannot be written as JSON.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self).map(|text| visible::json(&text).into_owned() + "\n")
    }

    /// Reads a line that was signed.
    ///
    /// # Errors
    ///
    /// Anything that this program would have written in another way: another version, other or
    /// repeated fields, another order.
    pub fn parse(line: &str) -> Result<Self, String> {
        let broken = |error: serde_json::Error| format!("its statement cannot be read: {error}");
        let Versioned { version } = serde_json::from_str(line).map_err(broken)?;
        if version != VERSION {
            return Err(format!(
                "its statement has version {version}, but this program knows version {VERSION}"
            ));
        }
        let statement: Self = serde_json::from_str(line).map_err(broken)?;
        match statement.line() {
            Ok(written) if written == line => Ok(statement),
            _ => {
                Err("its statement has fields or spaces that this program does not write"
                    .to_owned())
            }
        }
    }

    /// Why it does not approve this plan now, if it does not.
    #[must_use]
    pub fn objection(&self, to: &Bound, now: Timestamp) -> Option<String> {
        let clock = || {
            let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
            format!("; the clock of this machine says {now}")
        };
        if let Some(difference) = to.difference(&self.plan) {
            return Some(difference);
        }
        if now.duration_until(self.issued) > SignedDuration::from_mins(SKEW_MINUTES) {
            return Some(format!("it is from the future, {}{}", self.issued, clock()));
        }
        if now >= self.expires {
            return Some(format!("it expired at {}{}", self.expires, clock()));
        }
        let valid = self.issued.duration_until(self.expires);
        if valid > SignedDuration::try_from(LONGEST).unwrap_or_default() {
            return Some("it would be valid for more than 30 days".to_owned());
        }
        let too_long = |text: &Option<String>| {
            text.as_ref().is_some_and(|text| text.chars().count() > LONGEST_REASON)
        };
        if too_long(&self.reason) || too_long(&self.by) {
            return Some(format!("it has a text of more than {LONGEST_REASON} characters"));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound() -> Bound {
        Bound {
            digest: Bound::digest_of(b"plan"),
            set: "support".to_owned(),
            platform: "https://api.example.com".to_owned(),
            projects: [("acme".to_owned(), Some("p-1".to_owned())), ("new".to_owned(), None)]
                .into(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn statement() -> Statement {
        Statement::new(bound(), at("2026-11-29T10:00:00.7Z"), STANDARD)
    }

    #[test]
    fn there_is_one_way_to_write_a_statement() {
        let reason = "a\u{202e}b\nc \"d\"".to_owned();
        let statement = Statement { reason: Some(reason), ..statement() };
        let line = statement.line().unwrap();
        assert!(line.is_ascii(), "{line}");
        assert_eq!(Statement::parse(&line).unwrap(), statement);
        let extra = line.replacen("{\"version\":1", "{\"version\":1,\"x\":1", 1);
        let twice = line.replacen("\"acme\":\"p-1\"", "\"acme\":\"p-2\",\"acme\":\"p-1\"", 1);
        let later = line.replacen("\"version\":1", "\"version\":2", 1);
        let forms = [
            (line.replacen(':', ": ", 1), "does not write"),
            (extra, "does not write"),
            (twice, "does not write"),
            (
                line.replace("\\u{202e}", "\u{202e}").replace("\\u202e", "\u{202e}"),
                "does not write",
            ),
            (line.trim_end().to_owned(), "does not write"),
            (line.clone() + "\n", "does not write"),
            (line.clone() + "x", "cannot be read"),
            (
                line.replacen("2026-11-29T10:00:00Z", "2026-11-29T10:00:00+00:00", 1),
                "does not write",
            ),
            (
                line.replacen("\"set\":\"support\",", "\"set\":\"a\",\"set\":\"support\",", 1),
                "cannot be read",
            ),
            (later, "this program knows version 1"),
            ("{}\n".to_owned(), "cannot be read"),
            (String::new(), "cannot be read"),
        ];
        for (text, why) in forms {
            assert_ne!(text, line);
            let refused = Statement::parse(&text).unwrap_err();
            assert!(refused.contains(why), "{text:?}: {refused}");
        }
    }

    #[test]
    fn a_statement_is_for_one_plan_one_target_and_some_time() {
        let now = at("2026-11-29T12:00:00Z");
        let plain = statement();
        assert_eq!(plain.objection(&bound(), now), None);
        let other = |change: fn(&mut Bound)| {
            let mut bound = bound();
            change(&mut bound);
            plain.objection(&bound, now).unwrap_or_default()
        };
        assert_eq!(other(|it| it.digest = Bound::digest_of(b"plan ")), "it is for another plan");
        assert_eq!(other(|it| it.set = "x".to_owned()), "it is for the set `support`");
        let platform = other(|it| it.platform = "https://other.example.com".to_owned());
        assert_eq!(platform, "it is for the platform https://api.example.com");
        for projects in [&[("acme", Some("p-2")), ("new", None)][..], &[("acme", Some("p-1"))]] {
            let mut bound = bound();
            let named =
                |(name, id): &(&str, Option<&str>)| ((*name).to_owned(), id.map(str::to_owned));
            bound.projects = projects.iter().map(named).collect();
            let told = plain.objection(&bound, now).unwrap();
            assert_eq!(told, "it is for other projects: acme (p-1), new");
        }
        for (time, told) in [
            ("2026-11-29T09:55:00Z", None),
            ("2026-11-29T09:54:59Z", Some("it is from the future")),
            ("2026-11-30T09:59:59Z", None),
            ("2026-11-30T10:00:00Z", Some("it expired at 2026-11-30T10:00:00Z; the clock")),
        ] {
            let objection = plain.objection(&bound(), at(time));
            assert_eq!(objection.is_some(), told.is_some(), "{time}: {objection:?}");
            assert!(objection.unwrap_or_default().starts_with(told.unwrap_or_default()), "{time}");
        }
        let long = Statement { expires: at("2026-12-30T10:00:00Z"), ..plain.clone() };
        assert!(long.objection(&bound(), now).unwrap().contains("30 days"));
        let wordy = Statement { reason: Some("x".repeat(1001)), ..plain };
        assert!(wordy.objection(&bound(), now).unwrap().contains("1000 characters"));
    }
}
