//! Participants: what a token is worth at the moment in which it is used.
//!
//! A token is signed by whoever holds a key, or by the platform for somebody who connects.
//! Either way somebody stands behind it, and it is never worth more than that holder is now:
//! a member's token does not build, whatever it says. What the platform signs names its
//! holder and what it was given for, so it ends with that key, sign-in, membership, role or
//! grant.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::SqlitePool;
use uuid::Uuid;

use super::holder::{Holder, Question, Standing};
use super::token::{self, Claims};
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
    /// Who stands behind the token.
    pub holder: Holder,
    /// What it was given for, when the platform signed it.
    given: Option<Given>,
    /// What it may do in its project: what the token says, and no more than its holder.
    pub role: Role,
    /// Whether who stands behind the token builds in the project, whatever the token says.
    builds: bool,
}

/// What the platform writes into a token that it signs, in the claim `principal`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Given {
    /// The key behind it.
    key: String,
    /// The user whom the key acts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// When the user joined the project, as a place in the order of everything: whoever leaves
    /// and comes back does not bring old tokens back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    joined: Option<i64>,
    /// The sign-in that the key was proven by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sign_in: Option<String>,
    /// The revision of the grant that it was given for; without one it was given to somebody
    /// who builds in the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant: Option<i64>,
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
        Ok(Self {
            key: holder.key.clone(),
            joined: joined(reads, project, user.as_deref()).await?,
            user,
            sign_in: holder.sign_in.clone(),
            grant,
        })
    }

    /// Who stands behind it in a project, and what it is there now, if all of it still holds:
    /// the key, its user, the sign-in, the membership, and the grant as it was then or else
    /// the role.
    async fn holds(&self, reads: &SqlitePool, project: &str) -> Result<Option<(Holder, Role)>> {
        let question = Question {
            key: &self.key,
            project: Some(project),
            sign_in: self.sign_in.as_deref(),
            grant: self.grant,
        };
        let Some(standing) = Standing::of(reads, &question).await? else { return Ok(None) };
        let joined = standing.joined();
        let Some(role) = standing.role() else { return Ok(None) };
        let is_in_force = standing.goes_on && standing.is_granted && joined == self.joined;
        let suffices = self.grant.is_some() || role >= Role::Developer;
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

/// When a user joined a project; nothing for nobody.
async fn joined(reads: &SqlitePool, project: &str, user: Option<&str>) -> Result<Option<i64>> {
    let Some(user) = user else { return Ok(None) };
    let joined =
        sqlx::query_scalar("SELECT seq FROM members WHERE project_id = $1 AND user_id = $2")
            .bind(project)
            .bind(user)
            .fetch_optional(reads)
            .await?;
    Ok(joined)
}

impl Participant {
    /// Who a token stands for that reaches the API.
    ///
    /// # Errors
    ///
    /// 401 for a token that is not valid, or not any more; 403 for one without an `api` grant.
    pub async fn of(store: &Store, text: &str) -> Result<Self> {
        let participant = Self::in_rooms(store, text).await?;
        if participant.scope().is_none() {
            return Err(Refusal::Forbidden("the token has no api grant".into()));
        }
        Ok(participant)
    }

    /// Who a token stands for, with an `api` grant or without: in rooms, whoever has none is
    /// there and calls nothing.
    ///
    /// # Errors
    ///
    /// 401 for a token that is not valid, or not any more.
    pub async fn in_rooms(store: &Store, text: &str) -> Result<Self> {
        let refused = || Refusal::Unauthenticated("the credential is not valid");
        let reads = store.reads();
        let unverified = token::unverified(text).ok_or_else(refused)?;
        let id = Uuid::parse_str(&unverified.kid).map_err(|_| refused())?.to_string();
        let question = Question { key: &id, ..Question::default() };
        let signer = Standing::of(reads, &question).await?.ok_or_else(refused)?;
        let secret = store.vault().open_value(reads, (KEY_SECRET, &id), &signer.secret).await?;
        let mut claims = token::verify(text, &secret).ok_or_else(refused)?;
        let project = signer.key.project_id.clone();
        if Uuid::parse_str(&claims.sub).ok().map(|id| id.to_string()).as_ref() != Some(&project) {
            let what = "the token and its key name different projects";
            return Err(Refusal::Unauthenticated(what));
        }
        let ended = || Refusal::Unauthenticated("the token was given for something that has ended");
        let own_role = signer.role();
        // Only in what the platform signed does it say who stands behind it: others could
        // name anybody.
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
        let participant = Self { claims, holder, given, role, builds };
        let granted = participant.scope().map_or(Role::Member, role_of);
        Ok(Self { role: role.min(granted), ..participant })
    }

    /// What the token grants, where it reaches the API.
    pub fn scope(&self) -> Option<&Value> {
        self.claims.api().filter(|scope| scope.is_object())
    }

    /// Checks that it may enter a room: its token names the room, and who stands behind the
    /// token builds in the project or was granted no less in this very room.
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

    /// What stands in a token that this participant is given on its own part.
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

/// The most that a scope gives in a project: never admin, because a token that ends must not
/// make keys that do not.
fn role_of(scope: &Value) -> Role {
    match scope.get("admin") {
        Some(Value::Object(_)) => Role::Developer,
        _ => Role::Member,
    }
}
