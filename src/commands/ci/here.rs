//! Where the run takes place, and what may be done there.

use std::path::Path;

use serde_json::Value;

use super::WhereArgs;
use crate::bounded;
use crate::conceal;
use crate::error::{Context, Error, Result};
use crate::forge::Forge;
use crate::forge::token::{self, Token};
use crate::output;
use crate::settings::{GIVEN, variable};
use crate::visible;
use crate::whereabouts::{
    Barred, EVENT_FILE, EVENT_LIMIT, Footing, Origin, Repository, System, Whereabouts, whereabouts,
};

/// A run, where it takes place.
pub(super) struct Here {
    pub(super) at: Whereabouts,
    /// The forge, if it is known and there is a token for it.
    pub(super) forge: Option<Forge>,
    /// Whether the job vouches for what its system does not say.
    is_vouched: bool,
}

impl Here {
    /// Where this run takes place.
    ///
    /// # Errors
    ///
    /// An event that cannot be read; a forge that is only half named; a token that cannot be sent.
    pub(super) fn of(args: &WhereArgs) -> Result<Self> {
        let get = |name: &str| std::env::var(name).ok();
        let texts = token::ALL.into_iter().filter_map(variable);
        texts.for_each(|text| conceal::credential(&text.into()));
        let mut at = whereabouts(&get, event()?.as_ref());
        at.repository = named(args, at.repository.take())?;
        let forge = match &at.repository {
            Some(repository) => Token::of(repository.sort, &get)
                .map(|token| Forge::new(repository, token))
                .transpose()?,
            None => None,
        };
        Ok(Self { at, forge, is_vouched: args.trusted })
    }

    /// The forge, or a note on why nothing is written there.
    pub(super) fn forge_or_note(&self, what: &str) -> Option<&Forge> {
        if self.forge.is_none() {
            output::note(&format!("note: {what} is not written: {}", self.no_forge()));
        }
        self.forge.as_ref()
    }

    /// Why there is no forge.
    pub(super) fn no_forge(&self) -> String {
        match &self.at.repository {
            Some(repository) => {
                let names = token::variables(repository.sort).join(" or ");
                format!("there is no token in {names}")
            }
            None => "the forge is not known (--forge, --forge-url, --repository)".to_owned(),
        }
    }

    /// How what is checked out may be used.
    ///
    /// # Errors
    ///
    /// An event that gives credentials to what a stranger wrote, or may do so; a branch of this
    /// repository without credentials.
    pub(super) fn footing(&self) -> Result<Footing> {
        let has_credentials = GIVEN.into_iter().any(|name| variable(name).is_some());
        self.at.footing(has_credentials, self.is_vouched).map_err(|barred| match barred {
            Barred::Target => {
                Error::usage("pull_request_target gives secrets to what a pull request contains")
                    .hint("use `on: pull_request`")
            }
            Barred::Event(event) => {
                let event = visible::line(&event);
                Error::usage(format!(
                    "it is not known what is checked out on the event {event}, and who wrote it"
                ))
                .hint(format!("use a pull request, a push, a schedule or a start by hand; {VOUCH}"))
            }
            Barred::NoCredentials => Error::usage("there is no API key")
                .hint("set MESHAGENT_API_KEY to a secret of the environment of this job"),
        })
    }

    /// Demands that what is checked out may use credentials, and that there are some.
    ///
    /// # Errors
    ///
    /// It may not, or there are none.
    pub(super) fn demand_own(&self) -> Result<()> {
        match self.footing()? {
            Footing::Own => Ok(()),
            Footing::Stranger(_) if self.at.origin == Origin::Writers || self.is_vouched => {
                Err(Error::usage("there is no API key").hint("set MESHAGENT_API_KEY"))
            }
            Footing::Stranger(why) => Err(Error::usage(why).hint(VOUCH)),
        }
    }

    /// Says how a job vouches for what is checked out, where it may do so.
    pub(super) fn tell_unknown(&self) {
        if self.at.origin == Origin::Unknown && !self.is_vouched {
            output::note(&format!("note: this gets no credentials; {VOUCH}"));
        }
    }

    /// Whether nobody but this machine says what is checked out.
    pub(super) fn is_plain(&self) -> bool {
        self.at.system == System::Plain || (self.at.system == System::Unknown && self.is_vouched)
    }
}

/// How a job vouches for what is checked out.
const VOUCH: &str =
    "if only people who may write to the repository wrote what this job checks out, add --trusted";

/// The event, if there is one.
fn event() -> Result<Option<Value>> {
    let Some(path) = variable(EVENT_FILE) else { return Ok(None) };
    let failed = || format!("failed to read the event, {path}, which {EVENT_FILE} names");
    let text = bounded::text(Path::new(&path), EVENT_LIMIT).context(failed)?;
    serde_json::from_str(&text).map(Some).context(failed)
}

/// The repository, as options name it, and otherwise as the system does.
fn named(args: &WhereArgs, known: Option<Repository>) -> Result<Option<Repository>> {
    let WhereArgs { forge, forge_url, repository, .. } = args;
    if forge.is_none() && forge_url.is_none() && repository.is_none() {
        return Ok(known);
    }
    let sort = forge.or(known.as_ref().map(|known| known.sort));
    let Some(sort) = sort else {
        return Err(Error::usage("it is not known what the forge speaks")
            .hint("give --forge github, gitlab or gitea"));
    };
    let same = known.filter(|known| known.sort == sort);
    let api = forge_url.clone().or_else(|| same.as_ref().map(|known| known.api.clone()));
    let api = api.or_else(|| Forge::usual_api(sort).map(str::to_owned));
    let path = repository.clone().or_else(|| same.map(|known| known.path));
    match (api, path) {
        (Some(api), Some(path)) => Ok(Some(Repository { sort, api, path })),
        (None, _) => Err(Error::usage("the URL of the forge is not known")
            .hint("give it with --forge-url, such as https://git.example.com/api/v1")),
        (_, None) => Err(Error::usage("the repository is not known")
            .hint("give it with --repository OWNER/NAME")),
    }
}
