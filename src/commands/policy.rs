//! `--policy`: reads the rule files that a plan must pass, and says what they say.

use std::path::{Path, PathBuf};

use super::evaluation;
use crate::bounded;
use crate::error::{Context, Error, Result};
use crate::manifest::reach::Reach;
use crate::output;
use crate::plan::Plan;
use crate::plan::document::PlanDocument;
use crate::plan::policy::Source;

/// The largest rule file that is read, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// The rules that a plan must pass.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RuleArgs {
    /// Refuse the plan when Rego rules of this folder deny it; may be repeated
    #[arg(long = "policy", value_name = "DIR")]
    folders: Vec<PathBuf>,
}

impl RuleArgs {
    /// The folders with rules.
    #[must_use]
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// The same with these folders, each asked once.
    #[must_use]
    pub fn and(&self, folders: &[String]) -> Self {
        let mut all = self.folders.clone();
        all.extend(folders.iter().map(PathBuf::from).filter(|it| !self.folders.contains(it)));
        Self { folders: all }
    }

    /// Reads the rules before anything else is done, so that a wrong folder is told at once.
    ///
    /// # Errors
    ///
    /// Rules that cannot be read.
    pub fn expect(&self) -> Result<()> {
        self.folders.iter().try_for_each(|folder| read(folder).map(drop))
    }

    /// Asks the rules, prints their warnings, and refuses what they deny.
    ///
    /// # Errors
    ///
    /// What the rules deny; rules that cannot be read or evaluated.
    pub fn check(&self, plan: &Plan) -> Result<()> {
        if self.folders.is_empty() {
            return Ok(());
        }
        let mut sources = Vec::new();
        for folder in &self.folders {
            sources.extend(read(folder)?);
        }
        let plan = serde_json::to_value(PlanDocument::of(plan))
            .context(|| "failed to write the plan for the policy".to_owned())?;
        let verdict = evaluation::ask(sources, plan).map_err(|problem| {
            let mut error = Error::usage("the policy cannot be evaluated, so nothing was written");
            error.problems.push(problem);
            error
        })?;
        for line in verdict.printed {
            output::note(&line);
        }
        for warning in verdict.warned {
            output::warning(&warning);
        }
        if verdict.denied.is_empty() { Ok(()) } else { Err(Error::refused(verdict.denied)) }
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
        return Err(Error::usage(format!("{} holds no .rego files", folder.display()))
            .hint("a policy without rules would agree to everything"));
    }
    Ok(sources)
}
