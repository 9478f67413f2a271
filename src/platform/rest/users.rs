//! The people of a project, their roles, and their profiles.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Route;
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller, Principal};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{self, Answer, Body, Condition};
use crate::platform::objects::people::{self, Flags};
use crate::platform::store::{Reads, of_row, select};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/accounts/projects/{project}/users", Access::Admin, create).past(),
        Route::get("/accounts/projects/{project}/users", Access::Read, list).past(),
        Route::put("/accounts/projects/{project}/users/{user}", Access::Admin, put).past(),
        Route::delete("/accounts/projects/{project}/users/{user}", Access::Admin, delete),
        Route::get("/accounts/profiles/{user}", Access::Signed, profile),
        // In 0.56 what is left out stays, which here is removed.
        Route::put("/accounts/profiles/{user}", Access::Signed, put_profile).past(),
    ]
}

#[derive(Deserialize)]
struct NewMember {
    project_id: Option<String>,
    user_id: String,
    #[serde(default)]
    is_admin: bool,
    #[serde(default)]
    is_developer: bool,
    #[serde(default)]
    can_create_rooms: bool,
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewMember>,
) -> Result<Answer> {
    rules::name(&new.user_id).map_err(Refusal::at("user_id"))?;
    require_project(&caller, new.project_id.as_deref())?;
    let flags = Flags {
        is_admin: new.is_admin,
        is_developer: new.is_developer,
        can_create_rooms: new.can_create_rooms,
    };
    let revision = added(&app, &caller, &new.user_id, flags).await?;
    Ok(Answer::json(&json!({ "ok": true })).created().tagged(revision))
}

/// Refuses a project in a body that is not the one in the path.
pub(super) fn require_project(caller: &Caller, project: Option<&str>) -> Result<()> {
    match project.is_some_and(|project| project != caller.project) {
        true => Err(Refusal::field("project_id", "is not the project in the path")),
        false => Ok(()),
    }
}

/// Adds a member, and returns the revision. An id that is unknown becomes a profile without a name; one that is a mail
/// address becomes that profile's address. Users belong to the platform and not to a project, so
/// only the owner adds people whose profile the caller could not read. Others get the same answer
/// whether the platform knows such a user or not.
pub(super) async fn added(app: &App, caller: &Caller, user: &str, flags: Flags) -> Result<i64> {
    rules::name(user).map_err(Refusal::at("user_id"))?;
    let user = caller.principal.resolve(user)?;
    let mut write = app.store().write().await?;
    if !caller.principal.is_owner() {
        let seen = visible(write.reads(), &caller.principal, user).await?;
        if seen.is_none() {
            let message = format!(
                "user {user:?} is not in any project that the credential has access to, and only the owner can add others"
            );
            return Err(Refusal::Forbidden(message));
        }
    } else if !people::is_known(write.reads(), user).await? {
        people::add(&mut write, user, if user.contains('@') { user } else { "" }).await?;
    }
    let revision = people::join(&mut write, &caller.project, user, flags).await?;
    write.commit().await?;
    Ok(revision)
}

/// The person whom a request means in `subject`, by an id or else by an address: the one with exactly
/// this id, or else the one with this address. Somebody who is unknown to the caller is given as
/// written, whether the platform knows such a person or not.
///
/// # Errors
///
/// 400 if neither is given, or one is empty, or no address; 409 if an address is that of several; the
/// store failed.
pub(super) async fn meant(
    app: &App,
    principal: &Principal,
    (id, email): (Option<&str>, Option<&str>),
) -> Result<String> {
    for (field, given) in [("subject.id", id), ("subject.email", email)] {
        if given.is_some_and(|given| given.trim().is_empty()) {
            return Err(Refusal::field(field, "must not be empty"));
        }
    }
    let reads = app.store().reads();
    let given = match (id, email) {
        (Some(id), _) => {
            let is_known = match principal.is_owner() {
                true => people::is_known(reads, id).await?,
                false => visible(reads, principal, id).await?.is_some(),
            };
            if is_known {
                return Ok(id.to_owned());
            }
            id
        }
        (None, Some(email)) if email.contains('@') => email,
        (None, Some(_)) => {
            return Err(Refusal::field("subject.email", "is not a mail address"));
        }
        (None, None) => return Err(Refusal::field("subject.id", "is required")),
    };
    let found = match principal.is_owner() {
        true => people::of_address(reads, given).await?,
        false => visible_address(reads, principal, given).await?,
    };
    Ok(found.unwrap_or_else(|| given.to_owned()))
}

/// The flags of a member, if there is one.
pub(super) async fn flags_of(
    reads: impl Reads,
    project: &str,
    user: &str,
) -> Result<Option<Flags>> {
    select(
        "SELECT is_admin, is_developer, can_create_rooms FROM members \
         WHERE project_id = $1 AND user_id = $2",
    )
    .bind(project)
    .bind(user)
    .find(reads)
    .await
}

struct Member {
    id: String,
    email: String,
    first_name: Option<String>,
    last_name: Option<String>,
    flags: Flags,
    rev: i64,
}

of_row!(Member { id, email, first_name, last_name, rev; flags });

async fn list(State(app): State<App>, caller: Caller) -> Result<Answer> {
    let members = sqlx::query_as(
        "SELECT users.id, users.email, users.first_name, users.last_name, members.is_admin, \
         members.is_developer, members.can_create_rooms, members.rev \
         FROM members JOIN users ON users.id = members.user_id \
         WHERE members.project_id = $1 ORDER BY members.seq",
    )
    .bind(&caller.project)
    .fetch(app.store().reads());
    let item = |member: &Member| -> Result<Value> {
        Ok(json!({
            "id": member.id,
            "user_id": member.id,
            "email": member.email,
            "first_name": member.first_name,
            "last_name": member.last_name,
            "is_admin": member.flags.is_admin,
            "is_developer": member.flags.is_developer,
            "can_create_rooms": member.flags.can_create_rooms,
            "etag": exchange::tag(member.rev),
        }))
    };
    Answer::list(&app, "users", members, item).await
}

/// The revision of a membership; 404 if there is none, 409 for the project's owner, whose role
/// does not depend on flags.
async fn current(reads: impl Reads, project: &str, user: &str) -> Result<i64> {
    let (revision, owner): (i64, String) = select(
        "SELECT members.rev, projects.owner_user_id FROM members \
         JOIN projects ON projects.id = members.project_id \
         WHERE members.project_id = $1 AND members.user_id = $2",
    )
    .bind(project)
    .bind(user)
    .find(reads)
    .await?
    .ok_or_else(|| Refusal::missing("member", user))?;
    if owner == user {
        return Err(Refusal::Conflict("the owner's role in the project cannot be changed".into()));
    }
    Ok(revision)
}

async fn put(
    State(app): State<App>,
    caller: Caller,
    Path((_, user)): Path<(String, String)>,
    condition: Condition,
    Body(flags): Body<FlagsBody>,
) -> Result<Answer> {
    let FlagsBody { is_admin, is_developer, can_create_rooms } = flags;
    let flags = Flags { is_admin, is_developer, can_create_rooms };
    let revision = changed(&app, (&caller, &user), &condition, flags).await?;
    Ok(Answer::json(&json!({ "ok": true })).tagged(revision))
}

/// Replaces the flags of a member, and returns the revision.
pub(super) async fn changed(
    app: &App,
    (caller, user): (&Caller, &str),
    condition: &Condition,
    flags: Flags,
) -> Result<i64> {
    let user = caller.principal.resolve(user)?;
    let mut write = app.store().write().await?;
    let current = current(write.reads(), &caller.project, user).await?;
    let mut change = condition.admits(write, current)?;
    let revision = change.revision().await?;
    sqlx::query(
        "UPDATE members SET is_admin = $1, is_developer = $2, can_create_rooms = $3, rev = $4, \
         builds_since = CASE WHEN NOT $7 THEN NULL \
         WHEN is_admin OR is_developer THEN builds_since ELSE $4 END \
         WHERE project_id = $5 AND user_id = $6",
    )
    .bind(flags.is_admin)
    .bind(flags.is_developer)
    .bind(flags.can_create_rooms)
    .bind(revision)
    .bind(&caller.project)
    .bind(user)
    .bind(flags.builds())
    .execute(change.on())
    .await?;
    change.commit().await?;
    Ok(revision)
}

/// All three are required: an update replaces the role.
#[derive(Deserialize)]
struct FlagsBody {
    is_admin: bool,
    is_developer: bool,
    can_create_rooms: bool,
}

async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((_, user)): Path<(String, String)>,
    condition: Condition,
) -> Result<Answer> {
    removed(&app, (&caller, &user), &condition).await?;
    Ok(Answer::json(&json!({ "ok": true })))
}

/// A member who leaves loses all grants in the project's rooms.
pub(super) async fn removed(
    app: &App,
    (caller, user): (&Caller, &str),
    condition: &Condition,
) -> Result<()> {
    let user = caller.principal.resolve(user)?;
    let mut write = app.store().write().await?;
    let current = current(write.reads(), &caller.project, user).await?;
    let mut change = condition.admits(write, current)?;
    for sql in [
        "DELETE FROM members WHERE project_id = $1 AND user_id = $2",
        "DELETE FROM room_grants WHERE user_id = $2 \
         AND room_id IN (SELECT id FROM rooms WHERE project_id = $1)",
        "DELETE FROM group_members WHERE user_id = $2 \
         AND group_id IN (SELECT id FROM subject_groups WHERE project_id = $1)",
    ] {
        sqlx::query(sql).bind(&caller.project).bind(user).execute(change.on()).await?;
    }
    change.commit().await
}

struct Profile {
    id: String,
    email: String,
    first_name: Option<String>,
    last_name: Option<String>,
    rev: i64,
}

of_row!(Profile { id, email, first_name, last_name, rev });

impl Profile {
    fn answer(&self) -> Answer {
        let body = json!({
            "id": self.id,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "email": self.email,
        });
        Answer::json(&body).tagged(self.rev)
    }
}

/// Selects of the people whom a caller sees: the caller, and those in a project of the caller. The
/// parameters are what is compared, the caller's id, and the project of a key or a token.
macro_rules! of_visible {
    ($what:literal, $compared:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM users WHERE ",
            $compared,
            " AND (id = $2 OR id IN (SELECT user_id FROM members WHERE project_id = $3) \
             OR id IN (SELECT others.user_id FROM members others \
                       JOIN members own ON own.project_id = others.project_id \
                       WHERE own.user_id = $2))"
        )
    };
}

/// The profile of the caller, or of somebody in a project of the caller; for the caller, nobody
/// else exists.
async fn visible(reads: impl Reads, principal: &Principal, user: &str) -> Result<Option<Profile>> {
    select(of_visible!("id, email, first_name, last_name, rev", "id = $1"))
        .bind(user)
        .bind(principal.user())
        .bind(principal.project().filter(|_| principal.reads()))
        .find(reads)
        .await
}

/// The id of the one of those who has an address.
async fn visible_address(
    reads: impl Reads,
    principal: &Principal,
    address: &str,
) -> Result<Option<String>> {
    let found: Option<(Option<String>, i64)> =
        select(of_visible!("MIN(id), COUNT(*)", "email <> '' AND lower(email) = lower($1)"))
            .bind(address)
            .bind(principal.user())
            .bind(principal.project().filter(|_| principal.reads()))
            .find(reads)
            .await?;
    people::one_of(found.unwrap_or_default(), address)
}

async fn profile(
    State(app): State<App>,
    principal: Principal,
    Path(user): Path<String>,
) -> Result<Answer> {
    let user = principal.resolve(&user)?;
    let profile = visible(app.store().reads(), &principal, user)
        .await?
        .ok_or_else(|| Refusal::missing("user", user))?;
    Ok(profile.answer())
}

/// What is changed of a profile.
#[derive(Deserialize)]
pub(super) struct ProfileBody {
    first_name: Option<String>,
    last_name: Option<String>,
}

async fn put_profile(
    State(app): State<App>,
    principal: Principal,
    Path(user): Path<String>,
    condition: Condition,
    Body(body): Body<ProfileBody>,
) -> Result<Answer> {
    let sql = "UPDATE users SET first_name = $1, last_name = $2, rev = $3 WHERE id = $4 \
         RETURNING id, email, first_name, last_name, rev";
    changed_profile(&app, (&principal, &user), &condition, (sql, body)).await
}

/// The same, where what is not given stays as it is.
///
/// # Errors
///
/// As for every change.
pub(super) async fn partly_changed_profile(
    app: &App,
    whose: (&Principal, &str),
    condition: &Condition,
    body: ProfileBody,
) -> Result<Answer> {
    let sql = "UPDATE users SET first_name = COALESCE($1, first_name), \
         last_name = COALESCE($2, last_name), rev = $3 WHERE id = $4 \
         RETURNING id, email, first_name, last_name, rev";
    changed_profile(app, whose, condition, (sql, body)).await
}

/// A profile belongs to its user, and nobody else changes it.
async fn changed_profile(
    app: &App,
    (principal, user): (&Principal, &str),
    condition: &Condition,
    (sql, body): (&'static str, ProfileBody),
) -> Result<Answer> {
    if principal.user().is_none_or(|own| user != "me" && user != own) {
        return Err(Refusal::Forbidden("users can change only their own profile".into()));
    }
    let user = principal.resolve(user)?;
    let mut write = app.store().write().await?;
    let (current,): (i64,) = select("SELECT rev FROM users WHERE id = $1")
        .bind(user)
        .find(write.reads())
        .await?
        .ok_or_else(|| Refusal::missing("user", user))?;
    let mut change = condition.admits(write, current)?;
    let revision = change.revision().await?;
    let profile: Profile = sqlx::query_as(sql)
        .bind(body.first_name)
        .bind(body.last_name)
        .bind(revision)
        .bind(user)
        .fetch_one(change.on())
        .await?;
    change.commit().await?;
    Ok(profile.answer())
}
