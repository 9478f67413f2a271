//! Participants: what a token allows at the moment in which it is used.
//!
//! A token is signed by the holder of a key, or by the platform for somebody who connects. Either
//! way it has a holder, and it never allows more than that holder may do now: a member's token
//! cannot build, whatever it says. A token that the platform signs names its holder and what it
//! was given for, so it ends with that key, sign-in, membership, role or grant.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::SqlitePool;
use uuid::Uuid;

use super::holder::{Holder, Question, Standing};
use super::token::{self, Claims, Grant};
use super::{Role, scope};
use crate::platform::error::{Refusal, Result};
use crate::platform::objects::rooms::Room;
use crate::platform::objects::{grants, stored};
use crate::platform::store::{KEY_SECRET, Store};

/// A participant.
#[derive(Debug, Clone)]
pub struct Participant {
    /// What its token claims.
    pub claims: Claims,
    /// The holder of the token.
    pub holder: Holder,
    /// What it was given for, if the platform signed it.
    given: Option<Given>,
    /// Its role in its project: what the token says, and no more than its holder has.
    pub role: Role,
    /// Whether the holder of the token may build in the project, whatever the token says.
    builds: bool,
    /// Whether it lends its rights: it works for anybody in the room.
    lends: bool,
}

/// What the platform writes into a token that it signs, in the claim `principal`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Given {
    /// The key behind it.
    key: String,
    /// The user for whom the key acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// When the user joined the project, or since when the service account has roles in it, as a
    /// place in the order of all revisions: old tokens do not become valid again if the user leaves
    /// and comes back, or if all roles of the account are taken back and some are granted again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    joined: Option<i64>,
    /// Since when the user may build in the project, in the same order; only if it was given for
    /// that. Old tokens do not become valid again, either, if the user may build again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    builds_since: Option<i64>,
    /// The sign-in that proved the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sign_in: Option<String>,
    /// The revision of the grant that it was given for; without one it was given to somebody who
    /// may build in the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant: Option<i64>,
    /// Whether it was given to a service of the project.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_of_service: bool,
}

impl Given {
    /// What is given to somebody in a project, for a grant or for being a developer.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn to(
        reads: &SqlitePool,
        project: &str,
        holder: &Holder,
        grant: Option<i64>,
    ) -> Result<Self> {
        let user = holder.person.as_ref().map(|person| person.id.clone());
        let (joined, builds_since) = match (&user, &holder.account) {
            (Some(user), _) => membership(reads, project, user).await?,
            (None, Some(account)) => (granted_since(reads, project, account).await?, None),
            (None, None) => (None, None),
        };
        Ok(Self {
            key: holder.key.clone(),
            joined,
            builds_since: builds_since.filter(|_| grant.is_none()),
            user,
            sign_in: holder.sign_in.clone(),
            grant,
            is_of_service: false,
        })
    }

    /// What is given to the services of a project: they belong to its owner.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn of_owner(reads: &SqlitePool, project: &str) -> Result<Self> {
        let holder = Holder::owner_of(reads, project).await?;
        Ok(Self { is_of_service: true, ..Self::to(reads, project, &holder, None).await? })
    }

    /// Its holder in a project and the holder's role there now, if everything is still valid: the
    /// key, its user, the sign-in, the membership, and the grant as it was then, or the role.
    async fn holds(&self, reads: &SqlitePool, project: &str) -> Result<Option<(Holder, Role)>> {
        let question = Question {
            key: &self.key,
            project: Some(project),
            sign_in: self.sign_in.as_deref(),
            grant: self.grant,
        };
        let Some(standing) = Standing::of(reads, &question).await? else { return Ok(None) };
        let Some(role) = standing.role() else { return Ok(None) };
        let is_member = standing.joined() == self.joined;
        let is_in_force = standing.goes_on && standing.is_granted && is_member;
        let builds = role >= Role::Developer && standing.builds_since() == self.builds_since;
        let suffices = self.grant.is_some() || builds;
        let Some(holder) = standing.key.holder().filter(|_| is_in_force && suffices) else {
            return Ok(None);
        };
        if holder.person.as_ref().map(|person| &person.id) != self.user.as_ref() {
            return Ok(None);
        }
        Ok(Some(match &self.sign_in {
            Some(sign_in) => (holder.signed_in(sign_in.clone()), role),
            None => (holder, role),
        }))
    }
}

/// When a user joined a project, and since when they may build in it.
async fn membership(
    reads: &SqlitePool,
    project: &str,
    user: &str,
) -> Result<(Option<i64>, Option<i64>)> {
    let sql = "SELECT seq, builds_since FROM members WHERE project_id = $1 AND user_id = $2";
    let row: Option<(i64, Option<i64>)> =
        sqlx::query_as(sql).bind(project).bind(user).fetch_optional(reads).await?;
    Ok(row.map_or((None, None), |(joined, builds_since)| (Some(joined), builds_since)))
}

/// Since when a service account has roles in its project.
async fn granted_since(reads: &SqlitePool, project: &str, account: &str) -> Result<Option<i64>> {
    let sql = "SELECT MIN(seq) FROM role_grants WHERE project_id = $1 \
         AND resource_type = 'project' AND resource_id = $1 \
         AND subject_type = 'service_account' AND subject_id = $2";
    let (since,): (Option<i64>,) =
        sqlx::query_as(sql).bind(project).bind(account).fetch_one(reads).await?;
    Ok(since)
}

impl Participant {
    /// The participant of a token that has access to the API.
    ///
    /// # Errors
    ///
    /// 401 for a token that is not valid, or no longer; 403 for one without an `api` grant.
    pub async fn of(store: &Store, text: &str) -> Result<Self> {
        let participant = Self::in_rooms(store, text).await?;
        if participant.scope().is_none() {
            return Err(Refusal::Forbidden("the token has no api grant".into()));
        }
        Ok(participant)
    }

    /// The participant of a token, with an `api` grant or without: a participant without one may
    /// be in a room, but cannot call anything.
    ///
    /// # Errors
    ///
    /// 401 for a token that is not valid, or no longer.
    pub async fn in_rooms(store: &Store, text: &str) -> Result<Self> {
        let refused = || Refusal::Unauthenticated("the credential is not valid");
        let reads = store.reads();
        let unverified = token::unverified(text).ok_or_else(refused)?;
        let id = Uuid::parse_str(&unverified.kid).map_err(|_| refused())?.to_string();
        let question = Question { key: &id, ..Question::default() };
        let signer = Standing::of(reads, &question).await?.ok_or_else(refused)?;
        let secret = store.vault().open_value(reads, (KEY_SECRET, &id), &signer.secret).await?;
        let mut claims = token::verify(text, &secret).ok_or_else(refused)?;
        let project = Uuid::parse_str(&claims.sub).ok().map(|id| id.to_string());
        let different = Refusal::Unauthenticated("the token and its key name different projects");
        let (project, signer) = match project {
            Some(project) if project == signer.key.project_id => (project, signer),
            // The owner's key acts in every project that the owner has.
            Some(project) if signer.key.is_of_owner() => {
                let question = Question { project: Some(&project), ..question };
                let there = Standing::of(reads, &question).await?;
                let there = there.filter(|there| there.role().is_some()).ok_or(different)?;
                (project, there)
            }
            _ => return Err(different),
        };
        let ended = || Refusal::Unauthenticated("the token was given for something that has ended");
        let own_role = signer.role();
        // Only a token that the platform signed can name its holder: others could name anybody.
        let (holder, role, given) = match signer.key.holder() {
            Some(holder) => (holder, own_role.ok_or_else(ended)?, None),
            None => {
                let given = claims.principal.take().and_then(|it| Given::deserialize(it).ok());
                let given = given.ok_or_else(ended)?;
                let (holder, role) = given.holds(reads, &project).await?.ok_or_else(ended)?;
                (holder, role, Some(given))
            }
        };
        claims.sub = project;
        let builds = role >= Role::Developer;
        let participant = Self { claims, holder, given, role, builds, lends: false };
        let granted = participant.scope().map_or(Role::Participant, role_of);
        Ok(Self { role: role.min(granted), ..participant })
    }

    /// Its project.
    pub fn project(&self) -> &str {
        &self.claims.sub
    }

    /// Whether its holder may build in the project.
    pub const fn builds(&self) -> bool {
        self.builds
    }

    /// What the token grants, if it has access to the API.
    pub fn scope(&self) -> Option<&Value> {
        self.claims.api().filter(|scope| scope.is_object())
    }

    /// Checks that it may enter a room: its token names the room, and its holder may build in the
    /// project or has a grant in this room that covers what the token grants.
    ///
    /// # Errors
    ///
    /// 403; the store failed.
    pub async fn may_enter(&self, reads: &SqlitePool, room: &Room) -> Result<()> {
        if self.builds {
            return Ok(());
        }
        let refused = || {
            let what = "the holder of the token has no grant in this room";
            Refusal::Forbidden(what.into())
        };
        let person = self.holder.person.as_ref().ok_or_else(refused)?;
        let granted = grants::granted(reads, (&room.id, &person.id)).await?;
        let (permissions, _) = granted.ok_or_else(refused)?;
        let Some(scope) = self.scope() else { return Ok(()) };
        match scope::excess(scope, stored(&permissions)?)? {
            None => Ok(()),
            Some(what) => Err(Refusal::Forbidden(format!(
                "the token grants {what:?}, which is more than was granted in this room"
            ))),
        }
    }

    /// The same participant under another name, as a tool with a scope that is within its own.
    pub fn behind_helper(&self, name: &str, api: Value) -> Self {
        let mut helper = Self { lends: true, ..self.clone() };
        let grant = |name: &str, scope: Value| Grant { name: name.to_owned(), scope };
        helper.claims.name = name.to_owned();
        helper.claims.grants.retain(|grant| grant.name == "room");
        helper.claims.grants.extend([grant("role", "tool".into()), grant("api", api)]);
        helper
    }

    /// Whether a service of its project is behind it.
    pub fn is_of_service(&self) -> bool {
        self.given.as_ref().is_some_and(|given| given.is_of_service)
    }

    /// Whether it lends its rights to those who use what it offers.
    pub const fn lends(&self) -> bool {
        self.lends
    }

    /// Whether somebody may use what it offers: nobody does through others what is not allowed.
    pub fn serves(&self, caller: &Self) -> bool {
        let Some(own) = self.scope().filter(|_| self.lends) else { return true };
        let needed = serde_json::json!({ "storage": own["storage"] });
        caller.scope().is_some_and(|of| matches!(scope::excess(&needed, of.clone()), Ok(None)))
    }

    /// Whether it creates the room that it enters, if there is none: a key signed its token, whose
    /// holder may build in the project. What the platform signs is for a room that existed.
    pub const fn may_create_rooms(&self) -> bool {
        self.builds && self.given.is_none()
    }

    /// Whether it may still be in a room that it has entered: everything that let it in is as it
    /// was. Its token may have expired meanwhile.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn may_stay(&self, reads: &SqlitePool, room: &Room) -> Result<bool> {
        let project = Some(self.claims.sub.as_str());
        let question = Question { key: &self.claims.kid, project, ..Question::default() };
        let Some(signer) = Standing::of(reads, &question).await? else { return Ok(false) };
        let own_role = signer.role();
        let held = match (signer.key.holder(), &self.given) {
            (Some(holder), _) => own_role.map(|role| (holder, role)),
            (None, Some(given)) => given.holds(reads, &self.claims.sub).await?,
            (None, None) => None,
        };
        let Some((holder, role)) = held else { return Ok(false) };
        let now = Self { holder, role, builds: role >= Role::Developer, ..self.clone() };
        match now.may_enter(reads, room).await {
            Ok(()) => Ok(true),
            Err(Refusal::Forbidden(_)) => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }

    /// What a token contains that this participant gets for itself.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn given(&self, reads: &SqlitePool) -> Result<Given> {
        match &self.given {
            Some(given) => Ok(given.clone()),
            None => Given::to(reads, &self.claims.sub, &self.holder, None).await,
        }
    }
}

/// The highest role that a scope gives in a project. What else it grants is for rooms, and nobody who
/// was handed a token for a room reads the project with it. It is never admin, because a token that expires
/// must not create keys that do not.
fn role_of(scope: &Value) -> Role {
    match scope.get("admin") {
        Some(Value::Object(_)) => Role::Developer,
        _ => Role::Participant,
    }
}
