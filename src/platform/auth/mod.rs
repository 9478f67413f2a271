//! Who calls, and what that allows: the only place where the platform decides it.
//!
//! Every route carries an [`Access`]; [`admit`] runs before its handler, turns the bearer
//! credential into a [`Principal`], works out its [`Role`] in the project of the path and refuses
//! what the role does not allow. A handler cannot be reached without it.
//!
//! | credential | role |
//! |---|---|
//! | API key of the owner, `ma-…` | acts as the owning user: admin of every project it owns; may create projects and users |
//! | API key that acts for a user | the user's role in each project |
//! | API key of a project | admin of that project, nothing elsewhere |
//! | API key of a service account | the strongest role that the account was granted in its project, nothing elsewhere |
//! | access token of a sign-in, `oa-…` | what the key that it was proven with is; ends with that key |
//! | participant token without an `api` grant | none: it is for rooms |
//! | participant token with an `api` grant | participant in the project it is signed for: it sees which project that is, and works in rooms |
//! | participant token whose `api` grant has `admin` | developer there; never admin, because a token that ends must not make keys that do not |
//!
//! A participant token never allows more than its holder may do at that moment (see
//! [`participant`]), and nobody grants more than they have (see [`scope`]).
//!
//! A room is entered with a participant token that names it, in the header or, as browsers and the
//! public SDK do, in the query as `token`. The holder of the token must either be allowed to build
//! in the project, or have a grant in that room that covers what the token says.
//!
//! A project in which the caller has no role is 403, whether it exists or not; only the owner's
//! key gets to know that a project does not exist.

pub mod attempts;
mod entrants;
pub mod holder;
pub mod participant;
pub mod scope;
pub mod sign_in;
pub mod token;

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

pub use self::entrants::{Entrant, Tunneler, visitor};
use self::holder::{Holder, Person};
use self::participant::Participant;
use super::App;
use super::error::{Refusal, Result};
use super::objects::people::Flags;
use super::store::Store;
use crate::api::key::ApiKey;

/// The access that a route requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: the handler checks its own proof.
    Open,
    /// Any valid credential.
    Signed,
    /// The owner of the platform.
    Owner,
    /// To enter a room, with a participant token for it.
    Participant,
    /// To connect to a port of a container, with a participant token that names its room and grants
    /// `tunnels`.
    Tunnel,
    /// To belong to a project: what tells somebody where they are.
    Belong,
    /// To read in a project.
    Read,
    /// To create rooms in a project.
    CreateRoom,
    /// To build in a project: everything but its people, settings and keys.
    Write,
    /// To administer a project.
    Admin,
}

/// The role of a caller in a project; each includes all roles before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Works in rooms, and reads nothing of the project: a token that was handed to somebody with
    /// a scope for rooms.
    Participant,
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
    /// The word for it in the API; room creators and participants are members there.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Participant | Self::Member | Self::RoomCreator => "member",
            Self::Developer => "developer",
            Self::Admin => "admin",
        }
    }

    /// What a role that was granted in a project is here; any that is not known reads.
    pub fn granted(word: &str) -> Self {
        match word {
            "admin" => Self::Admin,
            "developer" => Self::Developer,
            "room_creator" => Self::RoomCreator,
            _ => Self::Member,
        }
    }

    /// Whether the role has the access that a route in a project requires.
    pub fn reaches(self, access: Access) -> bool {
        match access {
            Access::Open | Access::Signed | Access::Owner => true,
            Access::Participant | Access::Tunnel | Access::Belong => true,
            Access::Read => self >= Self::Member,
            Access::CreateRoom => self >= Self::RoomCreator,
            Access::Write => self >= Self::Developer,
            Access::Admin => self >= Self::Admin,
        }
    }
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

/// The caller.
#[derive(Debug, Clone)]
pub enum Principal {
    /// The holder of a key, authenticated by the key or by a sign-in.
    Holder(Holder),
    /// A participant, by a token with an `api` grant.
    Participant(Box<Participant>),
}

impl Principal {
    /// The user behind it, if there is one and the user acts in person.
    pub fn user(&self) -> Option<&str> {
        self.person().map(|person| person.id.as_str())
    }

    /// Whether it is the owner of the platform, in person.
    pub fn is_owner(&self) -> bool {
        self.person().is_some_and(|person| person.is_owner)
    }

    fn person(&self) -> Option<&Person> {
        match self {
            Self::Holder(holder) => holder.person.as_ref(),
            Self::Participant(_) => None,
        }
    }

    /// The service account behind it, if there is one and no participant acts for it.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Holder(holder) => holder.account.as_deref(),
            Self::Participant(_) => None,
        }
    }

    /// The only project that it belongs to; `None` for a user, who may belong to several.
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::Holder(Holder { person: Some(_), .. }) => None,
            Self::Holder(Holder { project, .. }) => Some(project),
            Self::Participant(participant) => Some(&participant.claims.sub),
        }
    }

    /// Whether it reads in its project. A participant does if its token has `admin`.
    pub fn reads(&self) -> bool {
        match self {
            Self::Holder(_) => true,
            Self::Participant(participant) => participant.role.reaches(Access::Read),
        }
    }

    /// Who is behind it, for sharing scarce resources: a person or a project.
    pub fn behind(&self) -> &str {
        let holder = match self {
            Self::Holder(holder) => holder,
            Self::Participant(participant) => &participant.holder,
        };
        holder.person.as_ref().map_or(&holder.project, |person| &person.id)
    }

    /// What others see as the creator of something.
    pub fn name(&self) -> &str {
        match self {
            Self::Holder(Holder { person: Some(person), .. }) => &person.id,
            Self::Holder(holder) => &holder.key,
            Self::Participant(participant) => &participant.claims.name,
        }
    }

    /// A user id in a path; `me` is the caller.
    ///
    /// # Errors
    ///
    /// 404 for `me` when there is no user behind the credential.
    pub fn resolve<'a>(&'a self, user: &'a str) -> Result<&'a str> {
        if user != "me" {
            return Ok(user);
        }
        self.user()
            .ok_or_else(|| Refusal::NotFound("this credential does not belong to a user".into()))
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
    /// The caller.
    pub principal: Principal,
    /// The project of the path, which exists.
    pub project: String,
    /// The caller's role there.
    pub role: Role,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parts.extensions.get().cloned().ok_or(Refusal::Unauthenticated("a credential is required"))
    }
}

/// Runs before every handler: authenticates, authorizes, and passes the caller on.
///
/// # Errors
///
/// 401 without a valid credential; 403 if it has no access; 404 for a project that does not exist,
/// only for the owner, and for a room that a token is for and that does not exist; 423 for one that
/// is disabled; 400 for a path that is not UTF-8.
pub async fn admit(
    State((app, access)): State<(App, Access)>,
    request: Request,
    next: Next,
) -> Result<Response> {
    if access == Access::Open {
        return Ok(next.run(request).await);
    }
    let (mut parts, body) = request.into_parts();
    let params = RawPathParams::from_request_parts(&mut parts, &()).await;
    let params = params.as_ref().ok();
    let param = |wanted: &str| {
        params.and_then(|all| all.iter().find(|(name, _)| *name == wanted)).map(|(_, value)| value)
    };
    let not_utf8 =
        || Refusal::Invalid { field: None, message: "the path is not valid UTF-8".into() };
    if access == Access::Participant {
        if params.is_none() {
            return Err(not_utf8());
        }
        let credential = match bearer(&parts.headers) {
            Err(_) if !parts.headers.contains_key(header::AUTHORIZATION) => of_query(&parts.uri)?,
            bearer => bearer?.to_owned(),
        };
        let room = param("room").unwrap_or_default();
        let entrant = Entrant::of(app.store(), &credential, room).await?;
        parts.extensions.insert(entrant);
        return Ok(next.run(Request::from_parts(parts, body)).await);
    }
    if access == Access::Tunnel {
        if params.is_none() {
            return Err(not_utf8());
        }
        let port = param("port").unwrap_or_default();
        let tunneler = Tunneler::of(app.store(), bearer(&parts.headers)?, port).await?;
        parts.extensions.insert(tunneler);
        return Ok(next.run(Request::from_parts(parts, body)).await);
    }
    let project =
        param("project").map(|id| Uuid::parse_str(id).map_or(id.to_owned(), |it| it.to_string()));
    let credential = bearer(&parts.headers)?;
    let (principal, role) = authenticate(app.store(), credential, project.as_deref()).await?;
    if access == Access::Owner && !principal.is_owner() {
        return Err(Refusal::Forbidden("only the owner may do this".into()));
    }
    if params.is_none() {
        return Err(not_utf8());
    }
    if let Some(project) = project {
        let caller = caller(principal.clone(), project, role)?;
        if !caller.role.reaches(access) {
            return Err(Refusal::Forbidden(match caller.role {
                Role::Participant => {
                    "the token is for rooms: its api grant has no \"admin\", which this needs"
                        .into()
                }
                role => format!("the role {:?} does not allow this", role.word()),
            }));
        }
        parts.extensions.insert(caller);
    }
    parts.extensions.insert(principal);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// The credential of a request, from its header.
fn bearer(headers: &HeaderMap) -> Result<&str> {
    let header = headers
        .get(header::AUTHORIZATION)
        .ok_or(Refusal::Unauthenticated("a credential is required"))?;
    match header.to_str().ok().and_then(|text| text.split_once(' ')) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => Ok(rest.trim()),
        _ => Err(Refusal::Unauthenticated("the credential must be a bearer token")),
    }
}

/// The credential in the query of a request. Browsers give websockets no headers, and the
/// public SDK gives them none either. Queries are never logged.
fn of_query(uri: &Uri) -> Result<String> {
    let query = uri.query().unwrap_or_default().as_bytes();
    let mut tokens = url::form_urlencoded::parse(query).filter(|(name, _)| name == "token");
    match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) => Ok(token.into_owned()),
        (None, _) => Err(Refusal::Unauthenticated("a credential is required")),
        _ => Err(Refusal::Unauthenticated("the query contains several tokens")),
    }
}

/// Whether a credential is a key or a sign-in, and so belongs to the holder of a key.
fn is_of_holder(credential: &str) -> bool {
    credential.starts_with(KEY) || credential.starts_with(sign_in::ACCESS)
}

/// How API keys begin.
const KEY: &str = "ma-";

/// The caller, and its role in a project.
async fn authenticate(
    store: &Store,
    credential: &str,
    project: Option<&str>,
) -> Result<(Principal, Option<Role>)> {
    let refused = Refusal::Unauthenticated("the credential is not valid");
    let holder = if credential.starts_with(KEY) {
        let key = ApiKey::parse(credential).ok_or(refused)?;
        Holder::of(store.reads(), &key, project).await?
    } else if credential.starts_with(sign_in::ACCESS) {
        sign_in::holder(store.reads(), credential, project).await?.ok_or(refused)?
    } else {
        let participant = Participant::of(store, credential).await?;
        let is_here = project == Some(participant.claims.sub.as_str());
        let role = is_here.then_some(participant.role);
        return Ok((Principal::Participant(Box::new(participant)), role));
    };
    Ok((Principal::Holder(holder.0), holder.1))
}

/// A caller with its role in a project, if it has one there.
fn caller(principal: Principal, project: String, role: Option<Role>) -> Result<Caller> {
    match role {
        Some(role) => Ok(Caller { principal, project, role }),
        None if principal.is_owner() => Err(Refusal::missing("project", &project)),
        None => Err(Refusal::Forbidden("the credential has no access to this project".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_reach_what_the_table_says() {
        let accesses =
            [Access::Belong, Access::Read, Access::CreateRoom, Access::Write, Access::Admin];
        let table = [
            (Role::Participant, [true, false, false, false, false]),
            (Role::Member, [true, true, false, false, false]),
            (Role::RoomCreator, [true, true, true, false, false]),
            (Role::Developer, [true, true, true, true, false]),
            (Role::Admin, [true, true, true, true, true]),
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
