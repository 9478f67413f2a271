//! Who may do what: the roles of people and service accounts in the project, and of people in its
//! rooms.
//!
//! The roles of people are their membership and their grants in rooms, which 0.31 shows in its own
//! words, so both APIs tell the same. Those of others are in a table of their own. What is granted to
//! groups, agents and everyone, and to service accounts in rooms, is kept and shown, as the hosted
//! platform has it, and has no effect here. Other resources, and roles of people that are none here,
//! are refused.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::users;
use super::page::{self, Tokens};
use super::{Refusal, Result, Route};
use crate::kinds::specs::roles as known;
use crate::kinds::specs::scope::ApiScope;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::exchange::{Answer, Asked, Body, Condition};
use crate::platform::objects::people::{self, Flags};
use crate::platform::objects::roles::{self, Of};
use crate::platform::objects::rooms::Room;
use crate::platform::objects::stored;
use crate::platform::store::{Reads, insert, of_row, select};

pub(super) fn routes() -> Vec<Route> {
    const POLICY: &str = "/accounts/projects/{project}/iam/{type}/{id}/policy";
    const GRANT: &str = "/accounts/projects/{project}/iam/{type}/{id}/policy:grant";
    const REVOKE: &str = "/accounts/projects/{project}/iam/{type}/{id}/policy:revoke";
    const USERS: &str = "/accounts/projects/{project}/users";
    const USER: &str = "/accounts/projects/{project}/users/{user}";
    vec![
        Route::get(POLICY, Access::Read, policy),
        Route::post(GRANT, Access::Admin, grant),
        Route::post(REVOKE, Access::Admin, revoke),
        Route::get(USERS, Access::Read, list_users),
        Route::post(USERS, Access::Admin, add_user),
        Route::put(USER, Access::Admin, put_user),
    ]
}

/// The roles of people in a project that are more than membership.
const OF_PEOPLE: [&str; 3] = ["admin", "developer", "room_creator"];

/// Roles as flags of a membership. 400 for one that people do not have here.
fn flags(roles: &[String]) -> Result<Flags> {
    for (number, role) in roles.iter().enumerate() {
        if role != "member" && !OF_PEOPLE.contains(&role.as_str()) {
            let message = format!(
                "is not a role that people have on this platform: member, {}",
                OF_PEOPLE.join(", ")
            );
            return Err(Refusal::field(format!("roles[{number}]"), message));
        }
    }
    let has = |role: &str| roles.iter().any(|one| one == role);
    Ok(Flags {
        is_admin: has("admin"),
        is_developer: has("developer"),
        can_create_rooms: has("room_creator"),
    })
}

/// Flags of a membership as roles.
pub(super) fn roles_of(flags: Flags) -> Vec<&'static str> {
    let Flags { is_admin, is_developer, can_create_rooms } = flags;
    let given = OF_PEOPLE.into_iter().zip([is_admin, is_developer, can_create_rooms]);
    std::iter::once("member")
        .chain(given.filter(|(_, is_given)| *is_given).map(|(role, _)| role))
        .collect()
}

/// The resource of a policy.
pub(super) enum Resource {
    /// The project of the path.
    Project,
    /// A room in it.
    Room(Room),
}

impl Resource {
    /// The resource that a request names. 404 for one that has no policy here.
    pub(super) async fn of(
        reads: impl Reads,
        caller: &Caller,
        (kind, id): (&str, &str),
    ) -> Result<Self> {
        match kind {
            "project" if id == caller.project => Ok(Self::Project),
            "room" => Ok(Self::Room(Room::by_id(reads, &caller.project, id).await?)),
            _ => Err(Refusal::NotFound(format!(
                "this platform has no policy of the {kind} {id:?}: there is one for the project, and one for each room by its id"
            ))),
        }
    }

    /// The resource as answers name it.
    pub(super) fn shown(&self, caller: &Caller) -> Value {
        match self {
            Self::Project => json!({ "type": "project", "id": caller.project }),
            Self::Room(room) => json!({ "type": "room", "id": room.id, "name": room.name }),
        }
    }
}

/// Who is granted something, as a request says it: by an id or an address.
#[derive(Deserialize)]
pub(super) struct Subject {
    #[serde(rename = "type")]
    pub(super) kind: String,
    id: Option<String>,
    email: Option<String>,
}

/// Who that is, by the id.
pub(super) enum Found {
    /// A person, who may not be known.
    User(String),
    /// A service account of the project.
    Account(String),
    /// Somebody else, by the type: a group or an agent of the project, or everyone. What is granted to
    /// them is kept.
    Kept(&'static str, String),
}

impl Found {
    /// The type and the id.
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::User(id) => ("user", id),
            Self::Account(id) => ("service_account", id),
            Self::Kept(kind, id) => (kind, id),
        }
    }
}

/// The id of everyone, as the public command line has it.
const EVERYONE: &str = "all";

impl Subject {
    /// Who is meant. 400 for a service account that there is not, and for others.
    pub(super) async fn find(&self, app: &App, caller: &Caller) -> Result<Found> {
        match self.kind.as_str() {
            "user" => self.person(app, caller).await.map(Found::User),
            "service_account" => {
                let given = self.id.as_deref().or(self.email.as_deref());
                let given = given.ok_or_else(|| Refusal::field("subject.id", "is required"))?;
                let found: Option<(String,)> = select(
                    "SELECT id FROM service_accounts WHERE project_id = $1 \
                     AND (id = $2 OR email = lower($2))",
                )
                .bind(&caller.project)
                .bind(given)
                .find(app.store().reads())
                .await?;
                let missing = || format!("service account {given:?} does not exist");
                let missing = || Refusal::field("subject.id", missing());
                Ok(Found::Account(found.ok_or_else(missing)?.0))
            }
            "group" => {
                let sql = "SELECT id FROM subject_groups WHERE project_id = $1 AND id = $2";
                self.kept(app, caller, ("group", sql)).await
            }
            "agent" => {
                let sql = "SELECT id FROM agents WHERE project_id = $1 AND id = $2";
                self.kept(app, caller, ("agent", sql)).await
            }
            "everyone" if self.id.as_deref().is_none_or(|id| id == EVERYONE) => {
                Ok(Found::Kept("everyone", EVERYONE.to_owned()))
            }
            "everyone" => Err(Refusal::field("subject.id", format!("must be {EVERYONE}"))),
            kind => {
                let message = format!(
                    "must be user, service_account, agent, group or everyone on this platform, not {kind:?}"
                );
                Err(Refusal::field("subject.type", message))
            }
        }
    }

    /// Somebody of the project whose roles are only kept. 400 if there is nobody with the id.
    async fn kept(
        &self,
        app: &App,
        caller: &Caller,
        (kind, sql): (&'static str, &'static str),
    ) -> Result<Found> {
        let given = self.id.as_deref();
        let given = given.ok_or_else(|| Refusal::field("subject.id", "is required"))?;
        let found: Option<(String,)> =
            select(sql).bind(&caller.project).bind(given).find(app.store().reads()).await?;
        let missing = || Refusal::field("subject.id", format!("{kind} {given:?} does not exist"));
        Ok(Found::Kept(kind, found.ok_or_else(missing)?.0))
    }

    /// The person who is meant. 400 for anybody else.
    pub(super) async fn person(&self, app: &App, caller: &Caller) -> Result<String> {
        users::meant(app, &caller.principal, (self.id.as_deref(), self.email.as_deref())).await
    }
}

/// A line of a policy as it is stored.
struct Granted {
    kind: String,
    id: String,
    name: String,
    email: String,
    roles: String,
    position: String,
}

of_row!(Granted { kind, id, name, email, roles, position });

/// The policy of a project: its members, and the accounts that were granted something.
const OF_PROJECT: &str = "SELECT * FROM (\
     SELECT 'user' AS kind, users.id AS id, users.email AS name, users.email AS email, 'member' || \
     CASE WHEN is_admin THEN ',admin' ELSE '' END || \
     CASE WHEN is_developer THEN ',developer' ELSE '' END || \
     CASE WHEN can_create_rooms THEN ',room_creator' ELSE '' END AS roles, \
     printf('%020d', members.seq) AS position \
     FROM members JOIN users ON users.id = members.user_id WHERE members.project_id = $1 \
     UNION ALL \
     SELECT 'service_account', service_accounts.id, service_accounts.name, \
     service_accounts.email, \
     group_concat(role, ','), printf('%020d', MIN(role_grants.seq)) \
     FROM role_grants JOIN service_accounts ON service_accounts.id = role_grants.subject_id \
     WHERE role_grants.project_id = $1 AND role_grants.resource_type = 'project' \
     AND role_grants.subject_type = 'service_account' GROUP BY service_accounts.id \
     UNION ALL SELECT subject_type, subject_id, name, '', group_concat(role, ','), \
     printf('%020d', MIN(seq)) FROM (\
     SELECT subject_type, subject_id, role, role_grants.seq AS seq, \
     COALESCE(subject_groups.name, agents.name, subject_type) AS name FROM role_grants \
     LEFT JOIN subject_groups ON subject_type = 'group' AND subject_groups.id = subject_id \
     LEFT JOIN agents ON subject_type = 'agent' AND agents.id = subject_id \
     WHERE role_grants.project_id = $1 AND resource_type = 'project' \
     AND (subject_type = 'everyone' OR subject_groups.id IS NOT NULL OR agents.id IS NOT NULL)) \
     GROUP BY subject_type, subject_id\
     ) WHERE ($2 IS NULL OR position > $2) ORDER BY position LIMIT $3";

/// The policy of a room: people with a grant, and others whose roles are kept. The roles of people are
/// those that they were given, or else what their scopes amount to.
const OF_ROOM: &str = "SELECT * FROM (\
     SELECT 'user' AS kind, users.id AS id, users.email AS name, users.email AS email, \
     COALESCE((SELECT group_concat(role, ',') FROM role_grants \
     WHERE resource_type = 'room' AND resource_id = room_grants.room_id \
     AND subject_type = 'user' AND subject_id = users.id AND seq = room_grants.rev), \
     permissions) AS roles, 'a ' || users.id AS position \
     FROM room_grants JOIN users ON users.id = room_grants.user_id WHERE room_id = $1 \
     UNION ALL SELECT subject_type, subject_id, name, email, group_concat(role, ','), \
     'b ' || subject_type || ' ' || subject_id FROM (\
     SELECT subject_type, subject_id, role, \
     COALESCE(service_accounts.name, subject_groups.name, agents.name, subject_type) AS name, \
     COALESCE(service_accounts.email, '') AS email FROM role_grants \
     LEFT JOIN service_accounts \
     ON subject_type = 'service_account' AND service_accounts.id = subject_id \
     LEFT JOIN subject_groups ON subject_type = 'group' AND subject_groups.id = subject_id \
     LEFT JOIN agents ON subject_type = 'agent' AND agents.id = subject_id \
     WHERE resource_type = 'room' AND resource_id = $1 AND (subject_type = 'everyone' \
     OR service_accounts.id IS NOT NULL OR subject_groups.id IS NOT NULL \
     OR agents.id IS NOT NULL)) GROUP BY subject_type, subject_id\
     ) WHERE ($2 IS NULL OR position > $2) ORDER BY position LIMIT $3";

/// The role that a scope in a room amounts to, as the public SDK reckons it.
pub(super) fn role_of(scope: &Value) -> &'static str {
    let has = |name: &str| !scope[name].is_null();
    match (has("admin"), has("developer") || has("tunnels")) {
        (true, _) => "admin",
        (false, true) => "developer",
        (false, false) => "operator",
    }
}

/// The roles of somebody in a room: as they were given, or what the scope amounts to.
pub(super) fn roles_in_room(roles: &str) -> Result<Vec<String>> {
    // The scope is JSON.
    Ok(match roles.starts_with('{') {
        true => vec![role_of(&stored(roles)?).to_owned()],
        false => roles.split(',').map(str::to_owned).collect(),
    })
}

/// The scope of the roles in a room: that of the strongest. Those who only look or were let in talk
/// to others, and those who use its sites do nothing in it. 400 for a role that there is not.
fn scope_of(roles: &[String]) -> Result<ApiScope> {
    let has = |role: &str| roles.iter().any(|one| one == role);
    let usual = ApiScope::of_agents();
    let of_rooms = known::IN_ROOM;
    if let Some(number) = roles.iter().position(|role| !of_rooms.contains(&role.as_str())) {
        let message = format!("is not a role of rooms: {}", of_rooms.join(", "));
        return Err(Refusal::field(format!("roles[{number}]"), message));
    }
    Ok(if has("admin") {
        let (admin, tunnels) = (Some(Default::default()), Some(Default::default()));
        ApiScope { admin, tunnels, ..usual }
    } else if has("developer") {
        ApiScope { tunnels: Some(Default::default()), ..usual }
    } else if has("operator") {
        ApiScope { developer: None, ..usual }
    } else if has("viewer") || has("guest") {
        ApiScope { livekit: usual.livekit, messaging: usual.messaging, ..ApiScope::default() }
    } else {
        ApiScope::default()
    })
}

async fn policy(
    State(app): State<App>,
    caller: Caller,
    Path((_, kind, id)): Path<(String, String, String)>,
    Asked(tokens): Asked<Tokens>,
) -> Result<Answer> {
    const LIST: &str = "access_grants";
    let reads = app.store().reads();
    let resource = Resource::of(reads, &caller, (&kind, &id)).await?;
    let (size, shown) = (tokens.size(&app)?, resource.shown(&caller));
    let (sql, of) = match &resource {
        Resource::Project => (OF_PROJECT, caller.project.as_str()),
        Resource::Room(room) => (OF_ROOM, room.id.as_str()),
    };
    let rows = sqlx::query_as(sql).bind(of).bind(tokens.after(LIST)?).bind(size + 1).fetch(reads);
    let item = |row: &Granted| {
        let roles = match &resource {
            Resource::Project => json!(row.roles.split(',').collect::<Vec<_>>()),
            Resource::Room(_) => json!(roles_in_room(&row.roles)?),
        };
        let mut subject = json!({ "type": row.kind, "id": row.id, "name": row.name });
        if !row.email.is_empty() {
            subject["email"] = row.email.as_str().into();
        }
        Ok(json!({ "resource": shown, "subject": subject, "direct_roles": roles }))
    };
    let position = |row: &Granted| row.position.clone();
    page::with(&app, (LIST, size), rows, position, item, &[("resource", shown.clone())]).await
}

#[derive(Deserialize)]
struct GrantBody {
    subject: Subject,
    roles: Vec<String>,
}

/// What was granted before stays.
async fn grant(
    State(app): State<App>,
    caller: Caller,
    Path((_, kind, id)): Path<(String, String, String)>,
    Body(GrantBody { subject, roles: wanted }): Body<GrantBody>,
) -> Result<Answer> {
    if wanted.is_empty() {
        return Err(Refusal::field("roles", "must not be empty"));
    }
    let reads = app.store().reads();
    let resource = Resource::of(reads, &caller, (&kind, &id)).await?;
    match (resource, subject.find(&app, &caller).await?) {
        (Resource::Project, Found::User(user)) => {
            let flags = flags(&wanted)?;
            match users::flags_of(reads, &caller.project, &user).await? {
                None => {
                    users::added(&app, &caller, &user, flags).await?;
                }
                Some(had) => {
                    let both = Flags {
                        is_admin: had.is_admin || flags.is_admin,
                        is_developer: had.is_developer || flags.is_developer,
                        can_create_rooms: had.can_create_rooms || flags.can_create_rooms,
                    };
                    if both != had {
                        users::changed(&app, (&caller, &user), &Condition::default(), both).await?;
                    }
                }
            }
        }
        (Resource::Project, found) => {
            if let Some(number) = wanted.iter().position(|role| !known::is_in_project(role)) {
                let message = "is not a role of projects";
                return Err(Refusal::field(format!("roles[{number}]"), message));
            }
            let on = (caller.project.as_str(), "project", caller.project.as_str());
            granted(&app, on, found.parts(), &wanted).await?;
        }
        (Resource::Room(room), Found::User(user)) => {
            scope_of(&wanted)?;
            let mut write = app.store().write().await?;
            people::required(write.reads(), &caller.project, ("subject.id", &user)).await?;
            let had = roles::in_room(write.reads(), (&room.id, &user)).await?;
            let had = had.map(|(scope, given)| roles_in_room(&given.unwrap_or(scope)));
            let had: Vec<String> = had.transpose()?.unwrap_or_default();
            let all: BTreeSet<String> = had.into_iter().chain(wanted).collect();
            let all: Vec<String> = all.into_iter().collect();
            let whose = (caller.project.as_str(), room.id.as_str(), user.as_str());
            roles::replace(write, whose, &scope_of(&all)?, &all).await?;
        }
        (Resource::Room(room), found) => {
            scope_of(&wanted)?;
            let on = (caller.project.as_str(), "room", room.id.as_str());
            granted(&app, on, found.parts(), &wanted).await?;
        }
    }
    Ok(Answer::json(&json!({})))
}

/// Adds roles of somebody who is no person, on a resource of a project.
async fn granted(
    app: &App,
    (project, resource, id): (&str, &str, &str),
    (kind, whom): (&str, &str),
    roles: &[String],
) -> Result<()> {
    let mut write = app.store().write().await?;
    for role in roles {
        let there: Option<(i64,)> = select(
            "SELECT seq FROM role_grants WHERE project_id = $1 AND resource_type = $2 \
             AND resource_id = $3 AND subject_type = $4 AND subject_id = $5 AND role = $6",
        )
        .bind(project)
        .bind(resource)
        .bind(id)
        .bind(kind)
        .bind(whom)
        .bind(role)
        .find(write.reads())
        .await?;
        if there.is_some() {
            continue;
        }
        let revision = write.revision().await?;
        insert(
            "INSERT INTO role_grants (project_id, resource_type, resource_id, subject_type, \
             subject_id, role, seq) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(project)
        .bind(resource)
        .bind(id)
        .bind(kind)
        .bind(whom)
        .bind(role)
        .bind(revision)
        .run(&mut write, || "the role was granted already".to_owned())
        .await?;
    }
    write.commit().await
}

#[derive(Deserialize)]
struct RevokeBody {
    subject: Subject,
}

/// Takes all direct roles back; a person leaves the project with theirs.
async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path((_, kind, id)): Path<(String, String, String)>,
    Body(RevokeBody { subject }): Body<RevokeBody>,
) -> Result<Answer> {
    let reads = app.store().reads();
    let resource = Resource::of(reads, &caller, (&kind, &id)).await?;
    let found = subject.find(&app, &caller).await?;
    if let (Resource::Project, Found::User(user)) = (&resource, &found) {
        users::removed(&app, (&caller, user), &Condition::default()).await?;
        return Ok(Answer::json(&json!({})));
    }
    let of = match &resource {
        Resource::Project => Of::Project(&caller.project),
        Resource::Room(room) => Of::Room(&room.id),
    };
    roles::revoke(app.store().write().await?, of, found.parts()).await?;
    Ok(Answer::json(&json!({})))
}

/// A member with the place in the order of joining.
struct Member {
    id: String,
    email: String,
    first_name: Option<String>,
    last_name: Option<String>,
    seq: i64,
    flags: Flags,
}

of_row!(Member { id, email, first_name, last_name, seq; flags });

/// Whichever view is asked for: people have one profile here, not one for each project.
#[derive(Deserialize)]
struct UserTokens {
    page_size: Option<i64>,
    continuation_token: Option<String>,
    filter: Option<String>,
    /// The person with exactly this address, as the public TypeScript client asks for.
    email: Option<String>,
}

async fn list_users(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<UserTokens>,
) -> Result<Answer> {
    const LIST: &str = "users";
    let UserTokens { page_size, continuation_token, filter, email } = asked;
    let tokens = Tokens { page_size, continuation_token, filter, view: None };
    let size = tokens.size(&app)?;
    let rows = sqlx::query_as(
        "SELECT users.id, users.email, users.first_name, users.last_name, members.is_admin, \
         members.is_developer, members.can_create_rooms, members.seq \
         FROM members JOIN users ON users.id = members.user_id \
         WHERE members.project_id = $1 AND ($2 IS NULL OR members.seq > $2) \
         AND ($3 IS NULL OR instr(lower(users.id || ' ' || users.email || ' ' || \
         COALESCE(first_name, '') || ' ' || COALESCE(last_name, '')), lower($3)) > 0) \
         AND ($4 IS NULL OR lower(users.email) = lower($4)) \
         ORDER BY members.seq LIMIT $5",
    )
    .bind(&caller.project)
    .bind(tokens.after_seq(LIST)?)
    .bind(&tokens.filter)
    .bind(email)
    .bind(size + 1)
    .fetch(app.store().reads());
    let item = |member: &Member| {
        Ok(json!({
            "user": {
                "id": member.id,
                "email": member.email,
                "first_name": member.first_name,
                "last_name": member.last_name,
            },
            "direct_roles": roles_of(member.flags),
        }))
    };
    page::of(&app, (LIST, size), rows, |member: &Member| member.seq.to_string(), item).await
}

#[derive(Deserialize)]
struct NewUser {
    project_id: Option<String>,
    user_id: String,
    #[serde(default)]
    roles: Vec<String>,
}

async fn add_user(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewUser>,
) -> Result<Answer> {
    let flags = flags(&new.roles)?;
    users::require_project(&caller, new.project_id.as_deref())?;
    let revision = users::added(&app, &caller, &new.user_id, flags).await?;
    Ok(Answer::json(&json!({ "ok": true })).created().tagged(revision))
}

#[derive(Deserialize)]
struct UserRoles {
    roles: Vec<String>,
}

async fn put_user(
    State(app): State<App>,
    caller: Caller,
    Path((_, user)): Path<(String, String)>,
    condition: Condition,
    Body(UserRoles { roles }): Body<UserRoles>,
) -> Result<Answer> {
    let flags = flags(&roles)?;
    let revision = users::changed(&app, (&caller, &user), &condition, flags).await?;
    Ok(Answer::json(&json!({ "ok": true })).tagged(revision))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_in_a_room_is_read_as_it_was_granted() {
        for role in ["operator", "developer", "admin"] {
            let scope = scope_of(&[role.to_owned(), "viewer".to_owned()]).unwrap();
            let scope = serde_json::to_string(&scope).unwrap();
            assert_eq!(roles_in_room(&scope).unwrap(), [role]);
        }
        assert_eq!(roles_in_room("guest,viewer").unwrap(), ["guest", "viewer"]);
        assert_eq!(scope_of(&["site_user".to_owned()]).unwrap(), ApiScope::default());
        assert!(scope_of(&["owner".to_owned()]).is_err());
    }
}
