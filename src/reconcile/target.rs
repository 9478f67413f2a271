//! Where a run works: a platform, and the project of documents that name none.

use crate::api::client::Client;
use crate::apply::observe::Scope;
use crate::error::{Error, Result};

pub use crate::plan::DEFAULT_SET;

/// A platform, and the project there.
#[derive(Debug, Clone)]
pub struct Target {
    /// The client.
    pub client: Client,
    /// What plans call the platform.
    pub name: String,
    /// The project that was named for this run, by name or id.
    pub project: Option<String>,
    /// The project if none is named, by name or id.
    pub fallback_project: Option<String>,
    /// Whether somebody chose that project, so that it is not just the credential's.
    pub is_chosen: bool,
    /// The options that select the same platform, each after a blank, for command lines in hints.
    pub flags: String,
}

/// What a run is for, as far as it says which projects are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Intent {
    /// Whether the set is to be destroyed.
    pub is_destroyed: bool,
    /// Whether documents declare anything.
    pub is_declared: bool,
    /// Whether manifests may declare nothing.
    pub may_be_empty: bool,
}

impl Target {
    /// The projects that are looked at. Without documents there is one project. If no project is
    /// named, what is to be destroyed may be in any.
    pub(super) fn scope(&self, intent: Intent) -> Result<Scope<'_>> {
        let is_destroyed = intent.is_destroyed;
        Ok(match (&self.project, &self.fallback_project) {
            (Some(project), _) if is_destroyed => Scope::Only(project),
            _ if intent.is_declared => Scope::Documents,
            (Some(project), _) => Scope::Project(project),
            (None, _) if is_destroyed && !self.is_chosen => Scope::Everywhere,
            (None, Some(project)) if is_destroyed => Scope::Only(project),
            (None, Some(project)) => Scope::Project(project),
            (None, None) if intent.may_be_empty => {
                return Err(Error::usage(
                    "the manifests declare nothing, so the project is unknown",
                )
                .hint("give --project-id, or set MESHAGENT_PROJECT_ID"));
            }
            (None, None) => Scope::Documents,
        })
    }
}

/// The error for a set that was named and has never been in these projects.
#[must_use]
pub fn unknown_set(set: &str, projects: &str) -> Error {
    let place = if projects.is_empty() { String::new() } else { format!(" in {projects}") };
    Error::usage(format!("there is no set `{set}`{place}"))
        .hint("`meshagent set list` shows the sets of a project")
}
