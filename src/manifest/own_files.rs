//! Files that this program wrote itself and that lie beside manifests: saved plans and
//! reports of runs. Both are JSON, so by their suffix alone they would be read as manifests.

use serde_json::Value;

use super::source::Source;
use crate::error::Problem;

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
        let value: Value = serde_json::from_str(text).ok()?;
        let fields = value.as_object().filter(|fields| !fields.contains_key("kind"))?;
        let is_list = |name: &str| fields.get(name).is_some_and(Value::is_array);
        let tool = fields.get("tool").and_then(Value::as_str);
        if tool.is_some_and(|tool| tool.starts_with("meshagent ")) && is_list("operations") {
            return Some(Self::Plan);
        }
        (fields.contains_key("plan") && is_list("outcomes")).then_some(Self::Report)
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
                        "to perform a saved plan, run `meshagent apply {name}` without -f"
                    ))
            }
            Self::Report => {
                Problem::new(format!("{name}: this is a report of a run, not a manifest"))
                    .hint("leave it out: a report only says what a run did")
            }
        }
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
