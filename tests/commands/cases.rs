//! The cases of the comparison, as they stand in `cases.yaml`.

use std::collections::BTreeMap;
use std::path::Path;

use meshagent::api::spoken::Spoken;
use serde::Deserialize;
use serde_json::Value;

/// An API key of no platform: its ids are sixteen bytes of one and two.
pub const KEY: &str =
    "ma-AQEBAQEBAQEBAQEBAQEBAQ-AgICAgICAgICAgICAgICAg-not.really.a.secret.at.all.but.long";

/// An answer that differs from what the platform usually gives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Its status.
    #[serde(default = "ok")]
    pub status: u16,
    /// Its body.
    #[serde(default)]
    pub body: Value,
}

fn ok() -> u16 {
    200
}

/// One command line with what stands around it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The line, behind the name of the program.
    pub line: String,
    /// Its words.
    #[serde(skip)]
    pub words: Vec<String>,
    /// How the reference spells it, where it spells it otherwise.
    #[serde(default)]
    pub there: Option<String>,
    /// Variables that differ from the usual ones; null takes one away.
    #[serde(default)]
    pub environment: BTreeMap<String, Option<String>>,
    /// Files below the home folder, which is the working folder too.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Standard input.
    #[serde(default)]
    pub input: String,
    /// Answers by method and path below the project.
    #[serde(default)]
    pub answers: BTreeMap<String, Answer>,
    /// The differences that show here, by their names in the documented table.
    #[serde(default)]
    pub differs: Vec<String>,
}

impl Case {
    /// A case of these words, and nothing around them.
    pub fn of(words: &[&str]) -> Self {
        Self {
            line: words.join(" "),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            there: None,
            environment: BTreeMap::new(),
            files: BTreeMap::new(),
            input: String::new(),
            answers: BTreeMap::new(),
            differs: Vec::new(),
        }
    }

    /// The command without its options.
    pub fn command(&self) -> String {
        let is_name = |word: &&String| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        let depth = match self.words.first().map(String::as_str) {
            Some("secret")
                if self
                    .words
                    .get(1)
                    .is_none_or(|word| !["list", "delete"].contains(&word.as_str())) =>
            {
                3
            }
            Some("version") => 1,
            _ => 2,
        };
        let words: Vec<&str> =
            self.words.iter().take(depth).filter(is_name).map(String::as_str).collect();
        words.join(" ")
    }
}

/// Every case of an API.
pub fn all(spoken: Spoken) -> Vec<Case> {
    let name = match spoken {
        Spoken::V0_31 => "cases.yaml",
        Spoken::V0_56 => "cases_v0_56.yaml",
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands").join(name);
    let text = std::fs::read_to_string(file).unwrap();
    let mut cases: Vec<Case> = serde_yaml::from_str(&text).unwrap();
    for case in &mut cases {
        case.words = split(&case.line);
    }
    cases
}

/// The words of a line, with quotes as in a shell.
pub fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    assert!(quote.is_none(), "{line}");
    words.extend(word);
    words
}
