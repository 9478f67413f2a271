//! Who calls, and what that allows: the only place where the platform decides it.
//!
//! Every route carries an [`Access`]; [`admit`] runs before its handler, turns the bearer
//! credential into a [`Principal`], works out its [`Role`] in the project of the path and
//! refuses what the role does not reach. A handler cannot be reached without it.
//!
//! | credential | role |
//! |---|---|
//! | API key of the owner, `ma-…` | acts as the owning user: admin of every project it owns; may create projects |
//! | API key that acts for a user | the user's role in each project |
//! | API key of a project | admin of that project, nothing elsewhere |
//! | access token of a sign-in, `oa-…` | what the key that it was proven with is; ends with that key |
//! | participant token without an `api` grant | none: it is for rooms |
//! | participant token with an `api` grant | member of the project it is signed for |
//! | participant token whose `api` grant has `admin` | developer there; never admin, because a token that ends must not make keys that do not |
//!
//! A project that the caller has no part in is 403 whether it exists or not; only the
//! owner's key is told that a project does not exist.

pub mod attempts;
pub mod sign_in;
pub mod token;

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use sqlx::SqlitePool;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use self::token::Claims;
use super::App;
use super::error::{Refusal, Result};
use crate::api::key::ApiKey;

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: the handler asks for a proof of its own.
    Open,
    /// Any valid credential.
    Signed,
    /// The owner of the platform.
    Owner,
    /// Reading in a project.
    Read,
    /// Creating rooms in a project.
    CreateRoom,
    /// Building in a project: everything but its people, settings and keys.
    Write,
    /// Administering a project.
    Admin,
}

/// The role of a caller in a project, each with everything the ones before it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Member,
    /// Reads and creates rooms.
    RoomCreator,
    /// Builds.
    Developer,
    /// Everything.
    Admin,
}

impl Role {
    /// The word for it on the wire; room creators are members there.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Member | Self::RoomCreator => "member",
            Self::Developer => "developer",
            Self::Admin => "admin",
        }
    }

    /// Whether the role reaches what a route in a project asks for.
    pub fn reaches(self, access: Access) -> bool {
        match access {
            Access::Open | Access::Signed | Access::Owner | Access::Read => true,
            Access::CreateRoom => self >= Self::RoomCreator,
            Access::Write => self >= Self::Developer,
            Access::Admin => self >= Self::Admin,
        }
    }
}

/// The flags of a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Flags {
    /// Everything.
    pub is_admin: bool,
    /// Building.
    pub is_developer: bool,
    /// Creating rooms.
    pub can_create_rooms: bool,
}

impl Flags {
    /// The strongest role that the flags give.
    pub const fn role(self) -> Role {
        match self {
            Self { is_admin: true, .. } => Role::Admin,
            Self { is_developer: true, .. } => Role::Developer,
            Self { can_create_rooms: true, .. } => Role::RoomCreator,
            _ => Role::Member,
        }
    }
}

/// Who calls.
#[derive(Debug, Clone)]
pub enum Principal {
    /// A user, by a key that acts for it.
    User {
        /// The user's id.
        id: String,
        /// Whether the key is the owner's.
        owner: bool,
    },
    /// A project, by one of its keys.
    Key {
        /// The key's id.
        id: String,
        /// The project.
        project: String,
    },
    /// A participant, by a token with an `api` grant.
    Participant(Claims),
}

impl Principal {
    /// The user behind it, when there is one.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::User { id, .. } => Some(id),
            Self::Key { .. } | Self::Participant(_) => None,
        }
    }

    /// The only project that it belongs to; none for a user, who may belong to several.
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::User { .. } => None,
            Self::Key { project, .. } => Some(project),
            Self::Participant(claims) => Some(&claims.sub),
        }
    }

    /// A user id of a path, with `me` standing for the caller.
    ///
    /// # Errors
    ///
    /// 404 for `me` when there is no user behind the credential.
    pub fn resolve<'a>(&'a self, user: &'a str) -> Result<&'a str> {
        if user != "me" {
            return Ok(user);
        }
        self.user().ok_or_else(|| Refusal::NotFound("no user is behind this credential".into()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parts.extensions.get().cloned().ok_or(Refusal::Unauthenticated("a credential is required"))
    }
}

/// A caller inside the project of the path.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who calls.
    pub principal: Principal,
    /// The project of the path, which exists.
    pub project: String,
    /// What the caller is there.
    pub role: Role,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parts.extensions.get().cloned().ok_or(Refusal::Unauthenticated("a credential is required"))
    }
}

/// Runs before every handler: authenticates, authorizes, and hands on who calls.
///
/// # Errors
///
/// 401 without a valid credential; 403 when it does not reach; 404 for a project that does
/// not exist, told to the owner alone; 400 for a path that is not UTF-8.
pub async fn admit(
    State((app, access)): State<(App, Access)>,
    mut request: Request,
    next: Next,
) -> Result<Response> {
    if access == Access::Open {
        return Ok(next.run(request).await);
    }
    let principal = authenticate(app.store().reads(), request.headers()).await?;
    if access == Access::Owner && !matches!(principal, Principal::User { owner: true, .. }) {
        return Err(Refusal::Forbidden("only the owner may do this".into()));
    }
    let (mut parts, body) = request.into_parts();
    let params = RawPathParams::from_request_parts(&mut parts, &()).await.map_err(|_| {
        Refusal::Invalid { field: None, message: "the path is not valid UTF-8".into() }
    })?;
    let project = params.iter().find(|(name, _)| *name == "project").map(|(_, id)| id.to_owned());
    request = Request::from_parts(parts, body);
    if let Some(project) = project {
        let caller = place(app.store().reads(), principal.clone(), project).await?;
        if !caller.role.reaches(access) {
            let message = format!("the role {:?} is not enough for this", caller.role.word());
            return Err(Refusal::Forbidden(message));
        }
        request.extensions_mut().insert(caller);
    }
    request.extensions_mut().insert(principal);
    Ok(next.run(request).await)
}

async fn authenticate(reads: &SqlitePool, headers: &HeaderMap) -> Result<Principal> {
    let refused = Refusal::Unauthenticated("the credential is not valid");
    let header = headers
        .get(header::AUTHORIZATION)
        .ok_or(Refusal::Unauthenticated("a credential is required"))?;
    let credential = match header.to_str().ok().and_then(|text| text.split_once(' ')) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        _ => return Err(Refusal::Unauthenticated("the credential must be a bearer token")),
    };
    if credential.starts_with("ma-") {
        let key = ApiKey::parse(credential).ok_or(refused)?;
        return by_key(reads, &key).await;
    }
    if credential.starts_with(sign_in::ACCESS) {
        return sign_in::principal(reads, credential).await?.ok_or(refused);
    }
    let claims = token::unverified(credential).ok_or(refused)?;
    by_token(reads, credential, &claims).await
}

#[derive(sqlx::FromRow)]
struct StoredKey {
    id: String,
    project_id: String,
    purpose: String,
    user_id: Option<String>,
    secret: String,
}

async fn stored_key(reads: &SqlitePool, id: &str) -> Result<StoredKey> {
    sqlx::query_as("SELECT id, project_id, purpose, user_id, secret FROM api_keys WHERE id = $1")
        .bind(id)
        .fetch_optional(reads)
        .await?
        .ok_or(Refusal::Unauthenticated("the credential is not valid"))
}

/// Who an API key stands for.
///
/// # Errors
///
/// 401 for a key that is not valid.
pub async fn by_key(reads: &SqlitePool, key: &ApiKey) -> Result<Principal> {
    let stored = stored_key(reads, &key.id.to_string()).await?;
    let given = key.secret.expose_secret();
    // Digests have one length, so the comparison tells nothing about the secret's.
    let same = Sha256::digest(given).ct_eq(&Sha256::digest(&stored.secret));
    let fits = stored.project_id == key.project.to_string() && stored.purpose != "signing";
    if !bool::from(same) || !fits {
        return Err(Refusal::Unauthenticated("the credential is not valid"));
    }
    Ok(match stored.user_id {
        Some(id) => Principal::User { id, owner: stored.purpose == "owner" },
        None => Principal::Key { id: stored.id, project: stored.project_id },
    })
}

async fn by_token(reads: &SqlitePool, text: &str, claims: &Claims) -> Result<Principal> {
    let refused = Refusal::Unauthenticated("the credential is not valid");
    let Ok(id) = Uuid::parse_str(&claims.kid) else { return Err(refused) };
    let stored = stored_key(reads, &id.to_string()).await?;
    let secret = SecretString::from(stored.secret);
    let mut claims = token::verify(text, &secret).ok_or(refused)?;
    if Uuid::parse_str(&claims.sub).ok().map(|id| id.to_string()) != Some(stored.project_id.clone())
    {
        return Err(Refusal::Unauthenticated("the token names another project than its key's"));
    }
    claims.sub = stored.project_id;
    if claims.api().is_none_or(|scope| !scope.is_object()) {
        return Err(Refusal::Forbidden("the token has no api grant".into()));
    }
    Ok(Principal::Participant(claims))
}

/// Works out what the caller is in a project.
async fn place(reads: &SqlitePool, principal: Principal, project: String) -> Result<Caller> {
    let project = Uuid::parse_str(&project).map_or(project, |id| id.to_string());
    let role = match &principal {
        Principal::User { id, .. } => user_role(reads, id, &project).await?,
        Principal::Key { project: own, .. } => (*own == project).then_some(Role::Admin),
        Principal::Participant(claims) => (claims.sub == project).then(|| token_role(claims)),
    };
    match role {
        Some(role) => Ok(Caller { principal, project, role }),
        None if matches!(principal, Principal::User { owner: true, .. }) => {
            Err(Refusal::missing("project", &project))
        }
        None => Err(Refusal::Forbidden("the credential does not reach this project".into())),
    }
}

fn token_role(claims: &Claims) -> Role {
    let admin = claims.api().and_then(|scope| scope.get("admin"));
    if admin.is_some_and(serde_json::Value::is_object) { Role::Developer } else { Role::Member }
}

async fn user_role(reads: &SqlitePool, user: &str, project: &str) -> Result<Option<Role>> {
    let owned: Option<String> =
        sqlx::query_scalar("SELECT id FROM projects WHERE id = $1 AND owner_user_id = $2")
            .bind(project)
            .bind(user)
            .fetch_optional(reads)
            .await?;
    if owned.is_some() {
        return Ok(Some(Role::Admin));
    }
    let flags: Option<Flags> = sqlx::query_as(
        "SELECT is_admin, is_developer, can_create_rooms FROM members \
         WHERE project_id = $1 AND user_id = $2",
    )
    .bind(project)
    .bind(user)
    .fetch_optional(reads)
    .await?;
    Ok(flags.map(Flags::role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_reach_what_the_table_says() {
        let accesses = [Access::Read, Access::CreateRoom, Access::Write, Access::Admin];
        let table = [
            (Role::Member, [true, false, false, false]),
            (Role::RoomCreator, [true, true, false, false]),
            (Role::Developer, [true, true, true, false]),
            (Role::Admin, [true, true, true, true]),
        ];
        for (role, reach) in table {
            assert_eq!(accesses.map(|access| role.reaches(access)), reach, "{role:?}");
        }
    }

    #[test]
    fn the_strongest_flag_decides() {
        let flags = |is_admin, is_developer, can_create_rooms| Flags {
            is_admin,
            is_developer,
            can_create_rooms,
        };
        assert_eq!(flags(true, true, true).role(), Role::Admin);
        assert_eq!(flags(false, true, true).role(), Role::Developer);
        assert_eq!(flags(false, false, true).role(), Role::RoomCreator);
        assert_eq!(flags(false, false, false).role(), Role::Member);
    }
}
