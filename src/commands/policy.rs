//! `--policy`: the folders with rules that a plan must pass, and their verdict.

use std::path::PathBuf;

use crate::error::{Context, Error, Result};
use crate::output;
use crate::plan::Plan;
use crate::reconcile::rules::Rules;

/// The rules that a plan must pass.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RuleArgs {
    /// Refuse the plan when Rego rules in this folder deny it; may be repeated
    #[arg(long = "policy", value_name = "DIR")]
    folders: Vec<PathBuf>,
}

impl RuleArgs {
    /// The folders with rules.
    #[must_use]
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// The same with these folders, each only once.
    #[must_use]
    pub fn and(&self, folders: &[String]) -> Self {
        let mut all = self.folders.clone();
        all.extend(folders.iter().map(PathBuf::from).filter(|it| !self.folders.contains(it)));
        Self { folders: all }
    }

    /// Reads the rules before anything else is done, so that a wrong folder is reported at once.
    ///
    /// # Errors
    ///
    /// Rules that cannot be read.
    pub fn expect(&self) -> Result<()> {
        Rules::read(&self.folders).map(drop)
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
        let rules = Rules::read(&self.folders)?;
        let this = std::env::current_exe()
            .context(|| "failed to find this program, which evaluates policies".to_owned())?;
        let verdict = rules.judge(plan, &this)?;
        for line in verdict.printed {
            output::note(&line);
        }
        for warning in verdict.warned {
            output::warning(&warning);
        }
        if verdict.denied.is_empty() { Ok(()) } else { Err(Error::refused(verdict.denied)) }
    }
}
