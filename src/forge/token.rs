//! The token for a forge, taken from the variables that people and forges use for it.

use secrecy::SecretString;

use crate::whereabouts::Sort;

/// A token.
#[derive(Debug, Clone)]
pub struct Token {
    /// What is sent.
    pub secret: SecretString,
    /// The variable that it was in.
    pub variable: &'static str,
}

/// The token of GitLab's jobs, which may do little.
const OF_JOB: &str = "CI_JOB_TOKEN";

/// The variables of a forge, in order of precedence.
#[must_use]
pub const fn variables(sort: Sort) -> &'static [&'static str] {
    match sort {
        Sort::GitHub => &["GITHUB_TOKEN", "GH_TOKEN"],
        Sort::GitLab => &["GITLAB_TOKEN", OF_JOB],
        // The runners of Gitea and Forgejo set the variable of GitHub.
        Sort::Gitea => &["GITEA_TOKEN", "FORGEJO_TOKEN", "GITHUB_TOKEN"],
    }
}

/// Every variable that may hold a token of a forge.
pub const ALL: [&str; 6] =
    ["GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN", OF_JOB, "GITEA_TOKEN", "FORGEJO_TOKEN"];

impl Token {
    /// The token for a forge.
    #[must_use]
    pub fn of(sort: Sort, variable: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        variables(sort).iter().find_map(|name| {
            let text = variable(name).map(|text| text.trim().to_owned());
            let text = text.filter(|text| !text.is_empty())?;
            Some(Self { secret: SecretString::from(text), variable: name })
        })
    }

    /// Whether this is the token that GitLab gives every job.
    #[must_use]
    pub fn is_of_job(&self) -> bool {
        self.variable == OF_JOB
    }
}
