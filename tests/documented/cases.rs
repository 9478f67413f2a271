//! The cases of the documentation, as they stand in `cases.yaml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// Every example command of the documentation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Documentation {
    /// What the documentation's own site puts in place of a text in every file.
    pub site_fills: BTreeMap<String, String>,
    /// The pages, in the order in which they are read.
    pub visits: Vec<Visit>,
}

/// A way through a page, from a home and a platform that nobody has touched.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visit {
    /// The page, by its path in the documentation's repository.
    pub page: String,
    /// How the reader comes to the page.
    #[serde(default)]
    pub reader: Reader,
    /// Rooms that the page takes for granted.
    #[serde(default)]
    pub rooms: Vec<String>,
    /// What the page has its reader export, and the shell expands.
    #[serde(default)]
    pub exports: BTreeMap<String, String>,
    /// Its commands.
    pub steps: Vec<Step>,
}

/// How somebody comes to a page.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    /// As `meshagent setup` leaves them: signed in, with a project and a key activated.
    #[default]
    SetUp,
    /// With nothing.
    New,
}

/// One command of a page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The line of the page.
    pub line: u32,
    /// The other places of the same command with the same file.
    #[serde(default)]
    pub also: Vec<String>,
    /// The command, with the lines of its continuation joined.
    pub run: String,
    /// What the reader does first, though the page does not say so.
    pub before: Option<String>,
    /// What is put into the folder before, by its name there: paths below `files`.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// What the reader puts in place of a text, in the command and in the files. The name
    /// of something that was kept stands for it.
    #[serde(default)]
    pub fill: BTreeMap<String, String>,
    /// What is typed into standard input.
    #[serde(default)]
    pub input: String,
    /// What is typed into a terminal once somebody has signed in by their browser. Empty where
    /// nothing is asked.
    pub terminal: Option<String>,
    /// The name by which what was printed is kept for later steps.
    pub keep: Option<String>,
    /// Only the first word of the line with this text is kept.
    pub keep_of_line: Option<String>,
    /// The exit code.
    #[serde(default)]
    pub code: i32,
    /// Texts on standard output, or the names of what was kept.
    #[serde(default)]
    pub prints: Vec<String>,
    /// Texts on standard error.
    #[serde(default)]
    pub tells: Vec<String>,
    /// What is on the platform afterwards: paths below the project, and a part of an item.
    #[serde(default)]
    pub there: BTreeMap<String, Value>,
    /// What is not.
    #[serde(default)]
    pub gone: BTreeMap<String, Value>,
    /// The local service to be called: its path. `<port>` is its port.
    pub calls: Option<String>,
    /// Who is called into the room by a command that then runs until it is interrupted.
    #[serde(default)]
    pub enters: Vec<String>,
    /// Why the command does not simply succeed as it is documented.
    pub because: Option<String>,
    /// A command that succeeds afterwards: the one to which the error leads, or one that looks
    /// at what was done.
    pub then_run: Option<String>,
}

/// How a documented command fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// As documented, with nothing but its placeholders filled.
    Succeeds,
    /// With something of the test's in place of what is documented.
    StoodIn,
    /// The documentation is wrong, and an error says so.
    ToldWrong,
}

impl Step {
    /// How it fares.
    pub fn sort(&self) -> Sort {
        match (self.code, &self.because) {
            (0, None) => Sort::Succeeds,
            (0, Some(_)) => Sort::StoodIn,
            _ => Sort::ToldWrong,
        }
    }
}

/// The folder of the files that the pages show.
pub fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documented/files")
}

/// All of it.
pub fn all() -> Documentation {
    serde_yaml::from_str(include_str!("cases.yaml")).unwrap()
}
