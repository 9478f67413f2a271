//! *Pure*: where a run takes place, as the variables of continuous integration tell it: the system,
//! the forge with its repository, the pull request or the branch, the commit, the run, and who
//! started it.
//!
//! Whoever opens a pull request chooses the names of its branches and what its event says of it. So
//! everything is taken for text from outside: a commit must look like one, a repository and a
//! branch may not hold what could become an option or another path, and what does not is left out.
//!
//! Must not live here: anything that reads the environment, a file or the network.

use serde::{Deserialize, Serialize};
use serde_json::Value;

mod actions;
mod checked;
mod footing;
mod gitlab;
mod jenkins;

use checked::Variables;

pub use checked::{is_branch, is_commit, is_repository};
pub use footing::{Barred, Footing};

/// What runs the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// GitHub Actions.
    GitHub,
    /// GitLab CI.
    GitLab,
    /// The actions of Gitea.
    Gitea,
    /// The actions of Forgejo.
    Forgejo,
    /// Jenkins.
    Jenkins,
    /// Another one: `CI` is set, and nothing says what it is.
    Unknown,
    /// A person, or a machine that does not say that it is none.
    Plain,
}

impl System {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub Actions",
            Self::GitLab => "GitLab CI",
            Self::Gitea => "Gitea Actions",
            Self::Forgejo => "Forgejo Actions",
            Self::Jenkins => "Jenkins",
            Self::Unknown => "a continuous integration that is not known",
            Self::Plain => "no continuous integration that is known",
        }
    }
}

/// A sort of forge, by the API that it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// GitHub, also an enterprise's own.
    #[value(name = "github")]
    GitHub,
    /// GitLab.
    #[value(name = "gitlab")]
    GitLab,
    /// Gitea, and Forgejo, which speaks the same.
    #[value(name = "gitea", alias = "forgejo")]
    Gitea,
}

/// A repository of a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Which API the forge speaks.
    pub sort: Sort,
    /// The URL of the API, without a slash at its end.
    pub api: String,
    /// The path of the repository, such as `acme/shop`.
    pub path: String,
}

/// A pull request, or a merge request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number in its repository.
    pub number: u64,
    /// The branch that it is to be merged into.
    pub base_branch: Option<String>,
    /// The commit of that branch that the forge names.
    pub base_commit: Option<String>,
    /// Where it left that branch, if the forge says so. Who makes the pull request chose that.
    pub left_at: Option<String>,
    /// The commit that is proposed.
    pub head_commit: Option<String>,
}

/// Whom what is checked out comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Somebody who may write to the repository.
    Writers,
    /// Another repository, so somebody who may not write to this one.
    Elsewhere,
    /// Nothing says.
    Unknown,
}

/// What a run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occasion {
    /// A pull request.
    PullRequest(PullRequest),
    /// What a branch has: it was pushed, or the run was started on it, by hand or by a clock.
    Branch(String),
    /// Something else, with the name that the system has for it.
    Other(String),
    /// Nothing is known.
    Unknown,
}

/// Where a run takes place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    /// The system.
    pub system: System,
    /// The repository that the run belongs to; for a pull request, the one that it is made to.
    pub repository: Option<Repository>,
    /// What the run is about.
    pub occasion: Occasion,
    /// Whom what is checked out comes from.
    pub origin: Origin,
    /// The default branch of the repository.
    pub default_branch: Option<String>,
    /// The commit that was checked out.
    pub commit: Option<String>,
    /// The page of the run.
    pub run_url: Option<String>,
    /// Who started the run, by name.
    pub actor: Option<String>,
}

impl Whereabouts {
    /// Nowhere that is known.
    #[must_use]
    pub const fn plain() -> Self {
        Self {
            system: System::Plain,
            repository: None,
            occasion: Occasion::Unknown,
            origin: Origin::Writers,
            default_branch: None,
            commit: None,
            run_url: None,
            actor: None,
        }
    }

    /// The pull request that the run is about.
    #[must_use]
    pub const fn pull_request(&self) -> Option<&PullRequest> {
        match &self.occasion {
            Occasion::PullRequest(pull_request) => Some(pull_request),
            _ => None,
        }
    }

    /// The branch that the run is about.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        match &self.occasion {
            Occasion::Branch(branch) => Some(branch),
            _ => None,
        }
    }
}

/// The variable that names the file with the event, where a system has one.
pub const EVENT_FILE: &str = "GITHUB_EVENT_PATH";

/// The most that is read of that file, in bytes.
pub const EVENT_LIMIT: usize = 32 * 1024 * 1024;

/// Where a run takes place, told by the variables of its environment and the event, which is what
/// the file that [`EVENT_FILE`] names holds.
#[must_use]
pub fn whereabouts(
    variable: &dyn Fn(&str) -> Option<String>,
    event: Option<&Value>,
) -> Whereabouts {
    let variables = Variables(variable);
    let is_true = |name: &str| variables.text(name).is_some_and(|it| it == "true" || it == "1");
    // Gitea and Forgejo also set what GitHub sets.
    if is_true("FORGEJO_ACTIONS") {
        return actions::told(System::Forgejo, &variables, event);
    }
    if is_true("GITEA_ACTIONS") {
        return actions::told(System::Gitea, &variables, event);
    }
    if is_true("GITHUB_ACTIONS") {
        return actions::told(System::GitHub, &variables, event);
    }
    if is_true("GITLAB_CI") {
        return gitlab::told(&variables);
    }
    if variables.text("JENKINS_URL").is_some() {
        return jenkins::told(&variables);
    }
    if variables.text("CI").is_some_and(|it| it != "false" && it != "0") {
        let (system, origin) = (System::Unknown, Origin::Unknown);
        return Whereabouts { system, origin, ..Whereabouts::plain() };
    }
    Whereabouts::plain()
}

#[cfg(test)]
mod tests;
