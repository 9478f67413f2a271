//! The pull request that was merged, and so whose own approval does not count.

use super::here::Here;
use crate::checkout::Checkout;
use crate::error::{Class, Error, Result, with_causes};
use crate::output;
use crate::visible;
use crate::whereabouts::System;

/// The pull request that a commit came with.
pub(super) enum Merged {
    /// Its number, and who opened it. If there were several, that of the newest, and all authors.
    By(u64, Vec<String>),
    /// There is none: this one pushed the commit, or started the run.
    Pushed(String),
    /// It cannot be looked up, for this reason, and what helps.
    Unknown(String, Option<String>),
}

impl Merged {
    /// Asks the forge.
    pub(super) async fn of(here: &Here, checkout: Option<&Checkout>) -> Self {
        let forge = match &here.forge {
            Some(forge) => forge,
            None => return Self::Unknown(here.no_forge(), None),
        };
        let commit = here.at.commit.clone().or_else(|| checkout?.commit("HEAD"));
        let Some(commit) = commit else {
            return Self::Unknown("the commit of this run is not known".to_owned(), None);
        };
        match forge.merged_with(&commit).await {
            Ok(pulls) if pulls.iter().any(|(_, name)| name.is_empty()) => {
                Self::Unknown("the forge does not say who opened it".to_owned(), None)
            }
            Ok(pulls) => match (pulls.first(), &here.at.actor) {
                (Some((number, _)), _) => {
                    Self::By(*number, pulls.iter().map(|it| it.1.clone()).collect())
                }
                (None, Some(actor)) => Self::Pushed(actor.clone()),
                (None, None) => {
                    let system = here.at.system.name();
                    let told = format!(
                        "the commit came with none, and {system} does not say who pushed it"
                    );
                    Self::Unknown(told, None)
                }
            },
            Err(error) => {
                let why = with_causes(&error);
                output::note(&format!(
                    "note: it is not known which pull request was merged: {why}"
                ));
                Self::Unknown(why, error.hint)
            }
        }
    }

    /// Its number.
    pub(super) const fn number(&self) -> Option<u64> {
        match self {
            Self::By(number, _) => Some(*number),
            Self::Pushed(_) | Self::Unknown(..) => None,
        }
    }

    /// Whose change it is, for what demands approvals.
    ///
    /// # Errors
    ///
    /// It is not known, where nobody but the forge knows and no author is named: whoever made the
    /// change could be the one who approved it.
    pub(super) fn authors(&self, here: &Here, is_named: bool) -> Result<Vec<&str>> {
        let (why, hint) = match self {
            Self::By(_, names) => return Ok(names.iter().map(String::as_str).collect()),
            Self::Pushed(_) if is_named => return Ok(Vec::new()),
            Self::Pushed(actor) => {
                output::note(&format!(
                    "note: the commit came with no pull request, so its author is {}, whose run this is; `-- --author NAME` names somebody else",
                    visible::line(actor)
                ));
                return Ok(vec![actor]);
            }
            Self::Unknown(why, hint) => (why, hint),
        };
        let is_own_machine = here.at.system == System::Plain && here.forge.is_none();
        if is_named || is_own_machine {
            return Ok(Vec::new());
        }
        let told = "it is not known who opened the pull request that was merged, so it is not known whose approval does not count";
        let token = "give the job a token that may read pull requests";
        let hint = hint.as_deref().unwrap_or(token);
        Err(Error::new(Class::Refused, told)
            .because(why.clone())
            .hint(format!("{hint}; or name who made the change, with `-- --author NAME`")))
    }
}
