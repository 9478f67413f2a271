//! Files that this program wrote itself and that lie beside manifests: saved plans and
//! reports of runs. Both are JSON, so by their suffix alone they would be read as manifests.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::source::Source;
use crate::error::Problem;
use crate::listed::word;

/// What this program writes as JSON on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnFiles {
    /// A plan: `plan --out`, or `plan --output json`.
    Plan,
    /// What became of a plan: `--report`.
    Report,
}

impl OwnFiles {
    /// What a text is, if it is clearly one of these files and not a manifest.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let is_candidate = text.trim_start().starts_with('{')
            && [r#""operations""#, r#""outcomes""#].iter().any(|field| text.contains(field));
        if !is_candidate {
            return None;
        }
        let fields: Fields = serde_json::from_str(text).ok()?;
        if fields.kind.0 {
            return None;
        }
        let is_ours = fields.tool.is_some_and(|tool| tool.starts_with("meshagent "));
        if is_ours && fields.operations.is_some() {
            return Some(Self::Plan);
        }
        (fields.plan.0 && fields.outcomes.is_some()).then_some(Self::Report)
    }

    /// Whether a text begins like one of these files and ends too early.
    #[must_use]
    pub fn is_cut_off(text: &str) -> bool {
        let begins = [r#""tool": "meshagent "#, r#""outcomes": ["#];
        text.trim_start().starts_with('{')
            && begins.iter().any(|begin| text.contains(begin))
            && serde_json::from_str::<IgnoredAny>(text).is_err_and(|error| error.is_eof())
    }

    /// The problem when such a file was given as a manifest.
    #[must_use]
    pub fn problem(self, source: &Source) -> Problem {
        let name = &source.name;
        match self {
            Self::Plan if name == "-" => {
                Problem::new("-: this is a plan that meshagent wrote, not a manifest")
                    .hint("save it with `meshagent plan --out FILE`, then `meshagent apply FILE`")
            }
            Self::Plan => {
                Problem::new(format!("{name}: this is a plan that meshagent wrote, not a manifest"))
                    .hint(format!(
                        "`meshagent show {0}` shows it, and `meshagent apply {0}` performs it, both without -f",
                        word(name)
                    ))
            }
            Self::Report => {
                Problem::new(format!("{name}: this is a report of a run, not a manifest"))
                    .hint("leave it out: a report only says what a run did")
            }
        }
    }
}

/// What tells the files. Nothing of their content is kept.
#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    kind: Present,
    #[serde(default)]
    tool: Option<String>,
    #[serde(default)]
    operations: Option<Vec<IgnoredAny>>,
    #[serde(default)]
    plan: Present,
    #[serde(default)]
    outcomes: Option<Vec<IgnoredAny>>,
}

/// Whether a field is there, and be it null.
#[derive(Default)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(from).map(|_| Self(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_and_reports_are_told_from_manifests() {
        for (text, made) in [
            (r#"{"tool": "meshagent 0.1.0", "operations": []}"#, Some(OwnFiles::Plan)),
            (r#" {"operations": [{}], "tool": "meshagent 9"}"#, Some(OwnFiles::Plan)),
            (r#"{"plan": null, "outcomes": [], "error": null}"#, Some(OwnFiles::Report)),
            (r#"{"tool": "other 1", "operations": []}"#, None),
            (r#"{"tool": "meshagent 1", "operations": {}}"#, None),
            (r#"{"kind": "Room", "tool": "meshagent 1", "operations": []}"#, None),
            (r#"{"kind": "Room", "plan": 1, "outcomes": []}"#, None),
            (r#"{"plan": 1, "results": "\"outcomes\""}"#, None),
            (r#"[{"plan": 1, "outcomes": []}]"#, None),
            ("version: v1\nkind: Room\n# \"operations\"\n", None),
        ] {
            assert_eq!(OwnFiles::of(text), made, "{text}");
        }
    }
}
