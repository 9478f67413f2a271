//! Rego rules that a plan must pass.

use std::path::{Path, PathBuf};

use super::evaluation;
use crate::bounded;
use crate::error::{Context, Error, Result};
use crate::manifest::reach::Reach;
use crate::plan::Plan;
use crate::plan::document::PlanDocument;
use crate::plan::policy::{Source, Verdict};

/// The largest rule file that is read, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// The rules of some folders.
#[derive(Debug, Clone)]
pub struct Rules {
    sources: Vec<Source>,
}

impl Rules {
    /// Reads the rules of folders.
    ///
    /// # Errors
    ///
    /// Rules that cannot be read; a folder without any.
    pub fn read(folders: &[PathBuf]) -> Result<Self> {
        let mut sources = Vec::new();
        for folder in folders {
            sources.extend(read(folder)?);
        }
        Ok(Self { sources })
    }

    /// What the rules say about a plan: what they deny, warn about and print. The evaluator is
    /// this program: rules are evaluated in a process of it.
    ///
    /// # Errors
    ///
    /// Rules that cannot be evaluated.
    pub fn judge(self, plan: &Plan, evaluator: &Path) -> Result<Verdict> {
        let plan = serde_json::to_value(PlanDocument::of(plan))
            .context(|| "failed to write the plan for the policy".to_owned())?;
        evaluation::ask(evaluator, self.sources, plan).map_err(|problem| {
            let mut error = Error::usage("the policy cannot be evaluated, so nothing was written");
            error.problems.push(problem);
            error
        })
    }
}

/// The rule files of a folder, in the order of their names. Tests of rules, by the
/// convention of their own tools, are not rules.
fn read(folder: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    if !folder.is_dir() {
        return Err(Error::usage(format!("{} is not a folder", folder.display()))
            .hint("--policy takes a folder of .rego files"));
    }
    let reach = Reach::of(&[folder.to_owned()], &[]);
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.context(|| format!("failed to read {}", folder.display()))?;
        let name = entry.path().display().to_string();
        if entry.file_type().is_dir() || !name.ends_with(".rego") || name.ends_with("_test.rego") {
            continue;
        }
        let real = reach.resolve(entry.path()).map_err(|outside| {
            Error::usage(outside.message(entry.path())).hint("put the file itself into the folder")
        })?;
        let text = bounded::text(&real, MAX_BYTES).context(|| format!("failed to read {name}"))?;
        sources.push(Source { name, text });
    }
    if sources.is_empty() {
        return Err(Error::usage(format!("{} contains no .rego files", folder.display()))
            .hint("put the rules into files that end in .rego"));
    }
    Ok(sources)
}
