//! `~/.meshagent/session.json`: who is signed in, in the format of the reference; or the same in
//! `settings.json`, if there is one. It is written completely or not at all, only for its owner.
//!
//! A refresh token may be used only once. If several processes find that the session is about to
//! expire, one of them refreshes it, under a lock, and the others read what it wrote.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::home_file::{self, Others};
use super::profiles::Profiles;
use super::variable;
use crate::api::oauth::{CLIENT_ID, Program, Refused, Tokens};
use crate::conceal;
use crate::error::{Context, Error, Result};
use crate::output;
use crate::own_folder;
use crate::visible;

/// What to do about a session that cannot be read.
const AGAIN: &str = "sign in again: `meshagent auth login`";

/// How long before its end a session is refreshed, in seconds.
const EARLY: i64 = 300;

/// How many seconds are subtracted from the lifetime that the platform promises.
const MARGIN: i64 = 30;

/// A session.
#[derive(Debug, Clone)]
pub struct SessionFile {
    /// The credential.
    pub access_token: SecretString,
    /// The token that gets the next credential.
    pub refresh_token: Option<SecretString>,
    /// When the credential expires, in seconds since 1970.
    pub expires_at: Option<i64>,
    /// What it is for.
    pub scope: Option<String>,
    /// The platform that it was made on; files of the reference do not say.
    pub api_url: Option<String>,
    token_type: String,
    id_token: Option<SecretString>,
    others: Others,
}

/// The file's format. It holds secrets as text, so it never leaves this module.
#[derive(Serialize, Deserialize)]
struct Form {
    access_token: Option<String>,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_at: Option<i64>,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    api_url: Option<String>,
    #[serde(flatten)]
    others: Others,
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn folder() -> Result<PathBuf> {
    let home = std::env::home_dir().ok_or_else(|| Error::usage("the home folder is not known"))?;
    Ok(home.join(own_folder::NAME))
}

fn path() -> Result<PathBuf> {
    Ok(folder()?.join("session.json"))
}

/// The OAuth client that the environment describes, for the platform with this base URL.
#[must_use]
pub fn program(base: &str, timeout: Duration) -> Program {
    Program {
        base: base.trim_end_matches('/').to_owned(),
        client_id: variable("MESHAGENT_OAUTH_CLIENT_ID").unwrap_or_else(|| CLIENT_ID.to_owned()),
        client_secret: variable("MESHAGENT_OAUTH_CLIENT_SECRET").map(SecretString::from),
        timeout,
    }
}

impl SessionFile {
    /// A session that has just begun.
    #[must_use]
    pub fn begun(tokens: Tokens, base: &str) -> Self {
        let session = Self {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            expires_at: Some(now().saturating_add((tokens.expires_in - MARGIN).max(0))),
            scope: tokens.scope,
            api_url: Some(base.trim_end_matches('/').to_owned()),
            token_type: tokens.token_type,
            id_token: tokens.id_token,
            others: Others::default(),
        };
        session.conceal();
        session
    }

    /// Reads the session on a platform; `None` when nobody is signed in.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or that others may have written.
    pub fn read(base: &str) -> Result<Option<Self>> {
        let profiles = Profiles::read()?;
        let form = match profiles.as_ref().and_then(|it| it.session(base)) {
            Some(own) => {
                let form = Form::deserialize(own).map_err(|_| {
                    Error::usage("the session in settings.json cannot be read").hint(AGAIN)
                })?;
                Form { api_url: Some(base.to_owned()), ..form }
            }
            None => {
                let Ok(path) = path() else { return Ok(None) };
                match home_file::read::<Form>(&path, "this is not a session", AGAIN)? {
                    Some(form) => form,
                    None => return Ok(None),
                }
            }
        };
        let Some(access_token) = form.access_token.filter(|token| !token.is_empty()) else {
            return Ok(None);
        };
        let session = Self {
            access_token: access_token.into(),
            refresh_token: form.refresh_token.map(SecretString::from),
            expires_at: form.expires_at,
            scope: form.scope,
            api_url: form.api_url,
            token_type: form.token_type.unwrap_or_else(|| "Bearer".to_owned()),
            id_token: form.id_token.map(SecretString::from),
            others: form.others,
        };
        session.conceal();
        Ok(Some(session))
    }

    /// Makes sure that no token is printed.
    fn conceal(&self) {
        conceal::credential(&self.access_token);
        let others = [&self.refresh_token, &self.id_token];
        others.into_iter().flatten().for_each(conceal::credential);
    }

    /// Writes the file, under the lock.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub async fn write(&self) -> Result<()> {
        let lock = lock().await?;
        self.write_locked(true)?;
        drop(lock);
        Ok(())
    }

    /// Writes it where it is read first. Whose a new one is, is not known.
    fn write_locked(&self, is_new: bool) -> Result<()> {
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        let form = Form {
            access_token: Some(text(&self.access_token)),
            refresh_token: self.refresh_token.as_ref().map(text),
            expires_at: self.expires_at,
            token_type: Some(self.token_type.clone()),
            scope: self.scope.clone(),
            id_token: self.id_token.as_ref().map(text),
            api_url: self.api_url.clone(),
            others: self.others.clone(),
        };
        let profiles = Profiles::read()?;
        if let (Some(mut profiles), Some(base)) = (profiles, &self.api_url) {
            let form = Form { api_url: None, ..form };
            let form = serde_json::to_value(form).context(|| "failed to write it".to_owned())?;
            profiles.set_session(base, form.as_object().cloned(), is_new);
            return profiles.write();
        }
        let path = path()?;
        let bytes =
            serde_json::to_vec(&form).context(|| format!("failed to write {}", path.display()))?;
        output::write_credential(&path, &bytes)
    }

    /// Removes the session on a platform; returns whether there was one.
    ///
    /// # Errors
    ///
    /// A file that cannot be removed or written.
    pub async fn remove(base: &str) -> Result<bool> {
        let path = path()?;
        let is_own = |profiles: &Profiles| profiles.session(base).is_some();
        if !path.exists() && !Profiles::read()?.as_ref().is_some_and(is_own) {
            return Ok(false);
        }
        // In its turn, so that a refresh under way does not write it again.
        let lock = lock().await?;
        let own = Profiles::read()?.filter(is_own);
        let was_there = own.is_some();
        if let Some(mut profiles) = own {
            profiles.set_session(base, None, false);
            profiles.write()?;
        }
        let removed = std::fs::remove_file(&path);
        drop(lock);
        match removed {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(was_there),
            Err(error) => {
                Err(Error::failed(format!("failed to remove {}", path.display())).because(error))
            }
        }
    }

    /// A session that is valid on a platform for at least some minutes, refreshed if necessary;
    /// `None` if nobody is signed in.
    ///
    /// # Errors
    ///
    /// The session is another platform's, or it has ended and cannot be refreshed.
    pub async fn current(base: &str, timeout: Duration) -> Result<Option<Self>> {
        let base = base.trim_end_matches('/');
        let Some(session) = Self::read(base)? else { return Ok(None) };
        session.check_platform(base)?;
        if session.lasts(EARLY) {
            return Ok(Some(session));
        }
        let lock = lock().await?;
        // Another process may have refreshed it, or signed out, while this one waited.
        let Some(session) = Self::read(base)? else { return Ok(None) };
        session.check_platform(base)?;
        let current =
            if session.lasts(EARLY) { session } else { session.refresh(base, timeout).await? };
        drop(lock);
        Ok(Some(current))
    }

    /// Whether it need not be refreshed yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.lasts(EARLY)
    }

    /// Whether it has an end, which has passed.
    pub(super) fn is_over(&self) -> bool {
        self.expires_at.is_some() && !self.lasts(0)
    }

    /// The session to use instead of one whose credential the platform refused: what another
    /// process wrote, or the result of a refresh; `None` if there is none.
    ///
    /// # Errors
    ///
    /// The session is another platform's, or cannot be refreshed.
    pub(super) async fn instead_of(
        refused: &SecretString,
        base: &str,
        timeout: Duration,
    ) -> Result<Option<Self>> {
        let base = base.trim_end_matches('/');
        let lock = lock().await?;
        let Some(session) = Self::read(base)? else { return Ok(None) };
        session.check_platform(base)?;
        if session.access_token.expose_secret() != refused.expose_secret() {
            return Ok(Some(session));
        }
        let Some(token) = session.refresh_token.clone() else { return Ok(None) };
        let next = session.followed(&token, base, timeout).await.map_err(|it| it.error)?;
        next.write_locked(false)?;
        drop(lock);
        Ok(Some(next))
    }

    /// Whether the credential is valid for this many more seconds.
    fn lasts(&self, seconds: i64) -> bool {
        self.expires_at.is_some_and(|ends| ends > now().saturating_add(seconds))
    }

    /// Credentials of one platform are not sent to another.
    fn check_platform(&self, base: &str) -> Result<()> {
        let there = "sign in there: `meshagent auth login`, or set MESHAGENT_API_KEY";
        match &self.api_url {
            Some(url) if url != base => {
                let (url, base) = (visible::url(url), visible::url(base));
                Err(Error::usage(format!(
                    "you are signed in to {url}, but the platform in use is {base}"
                )))
            }
            url => {
                super::check_platform("the session of `meshagent auth login`", url.as_deref(), base)
            }
        }
        .map_err(|error| error.hint(there))
    }

    async fn refresh(self, base: &str, timeout: Duration) -> Result<Self> {
        let ended = |what: &str| {
            Error::failed(format!("the session has ended: {what}"))
                .hint("sign in again: `meshagent auth login`")
        };
        let Some(token) = &self.refresh_token else {
            // A credential that says nothing of its end may be good for ever.
            let usable = self.expires_at.is_none() || self.lasts(0);
            return if usable { Ok(self) } else { Err(ended("it cannot be refreshed")) };
        };
        match self.followed(token, base, timeout).await {
            Ok(next) => {
                next.write_locked(false)?;
                Ok(next)
            }
            Err(refused) if self.lasts(0) => {
                output::warning(&format!("the session was not refreshed: {}", refused.error));
                Ok(self)
            }
            Err(refused) if refused.is_final => Err(ended(&refused.error.to_string())),
            Err(refused) => Err(refused.error),
        }
    }

    /// The refreshed session, which is not written yet. A refresh token may be used only once, so
    /// this is done under the lock.
    async fn followed(
        &self,
        token: &SecretString,
        base: &str,
        timeout: Duration,
    ) -> Result<Self, Refused> {
        let tokens = program(base, timeout).refresh(token).await?;
        let next = Self::begun(tokens, base);
        Ok(Self {
            refresh_token: next.refresh_token.or_else(|| self.refresh_token.clone()),
            scope: next.scope.or_else(|| self.scope.clone()),
            id_token: next.id_token.or_else(|| self.id_token.clone()),
            api_url: self.api_url.clone(),
            others: self.others.clone(),
            ..next
        })
    }
}

/// Waits for the lock of the file. Dropping the result releases it.
async fn lock() -> Result<File> {
    let folder = folder()?;
    let failed = || format!("failed to lock the session in {}", folder.display());
    own_folder::create_private(&folder).context(failed)?;
    let file = open(&folder.join("session.lock")).context(failed)?;
    tokio::task::spawn_blocking(move || file.lock().map(|()| file))
        .await
        .context(failed)?
        .context(failed)
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
