//! What somebody may do, asked instead of tried: the roles that they have on a resource, with those
//! that these include, and what was granted to them directly.
//!
//! A relation is a role here. Any other one is refused, because a no would be taken for an answer.

use axum::extract::State;
use futures_util::TryStreamExt;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::users;
use super::iam::{Found, Resource, Subject, roles_in_room, roles_of};
use super::{Refusal, Result, Route};
use crate::kinds::specs::roles::IN_ROOM;
use crate::platform::App;
use crate::platform::auth::{Access, Caller, Role};
use crate::platform::exchange::{Answer, Body};
use crate::platform::objects::{people, roles};
use crate::platform::store::{of_row, select};

pub(super) fn routes() -> Vec<Route> {
    const TEST: &str = "/accounts/projects/{project}/access:test";
    const EFFECTIVE: &str = "/accounts/projects/{project}/access:effective";
    const BINDINGS: &str = "/accounts/projects/{project}/access:bindings";
    vec![
        Route::post(TEST, Access::Read, test),
        Route::post(EFFECTIVE, Access::Read, effective),
        Route::post(BINDINGS, Access::Read, bindings),
    ]
}

/// The roles in a project, each of which includes those before it.
const IN_PROJECT: [&str; 4] = ["member", "room_creator", "developer", "admin"];

/// A resource, as a request names it.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

/// Who is asked about. People who are not in the project are nobody to its members, whatever address
/// or id they have elsewhere on the platform.
async fn asked_about(app: &App, caller: &Caller, subject: &Subject) -> Result<Found> {
    let reads = app.store().reads();
    let found = subject.find(app, caller).await?;
    if let Found::User(user) = &found
        && users::flags_of(reads, &caller.project, user).await?.is_none()
    {
        return Err(Refusal::field("subject.id", "is not a member of the project"));
    }
    if let Found::Kept(kind, _) = &found {
        let message = format!(
            "must be user or service_account on this platform: what is granted to {kind:?} has no effect here"
        );
        return Err(Refusal::field("subject.type", message));
    }
    Ok(found)
}

/// What was granted to somebody in the project: nothing for who does not belong to it.
async fn direct(app: &App, caller: &Caller, found: &Found) -> Result<Vec<String>> {
    let reads = app.store().reads();
    match found {
        Found::User(user) => {
            let flags = users::flags_of(reads, &caller.project, user).await?;
            Ok(flags.map(roles_of).into_iter().flatten().map(str::to_owned).collect())
        }
        Found::Account(account) => {
            let rows: Vec<(String,)> = sqlx::query_as(
                "SELECT role FROM role_grants WHERE project_id = $1 \
                 AND resource_type = 'project' AND resource_id = $1 \
                 AND subject_type = 'service_account' AND subject_id = $2 ORDER BY seq",
            )
            .bind(&caller.project)
            .bind(account)
            .fetch_all(reads)
            .await?;
            Ok(rows.into_iter().map(|(role,)| role).collect())
        }
        Found::Kept(..) => Ok(Vec::new()),
    }
}

/// The strongest role in the project. Its owner has all, whatever was granted.
async fn strongest(app: &App, caller: &Caller, found: &Found) -> Result<Option<Role>> {
    if let Found::User(user) = found {
        let owned: Option<(String,)> =
            select("SELECT id FROM projects WHERE id = $1 AND owner_user_id = $2")
                .bind(&caller.project)
                .bind(user)
                .find(app.store().reads())
                .await?;
        if owned.is_some() {
            return Ok(Some(Role::Admin));
        }
    }
    Ok(direct(app, caller, found).await?.iter().map(|role| Role::granted(role)).max())
}

/// All of these roles up to one.
fn up_to(roles: &'static [&'static str], role: &str) -> &'static [&'static str] {
    let place = roles.iter().position(|one| *one == role);
    &roles[..place.map_or(0, |place| place + 1)]
}

/// The roles that somebody has on a resource, of all that there are.
async fn roles_on(
    app: &App,
    caller: &Caller,
    (resource, found): (&Resource, &Found),
) -> Result<(&'static [&'static str], &'static [&'static str])> {
    let strongest = strongest(app, caller, found).await?;
    Ok(match resource {
        Resource::Project => {
            let role = match strongest {
                None => "",
                Some(Role::Participant | Role::Member) => "member",
                Some(Role::RoomCreator) => "room_creator",
                Some(Role::Developer) => "developer",
                Some(Role::Admin) => "admin",
            };
            (up_to(&IN_PROJECT, role), &IN_PROJECT)
        }
        // Whoever builds in the project does everything in its rooms.
        Resource::Room(_) if strongest >= Some(Role::Developer) => (&IN_ROOM, &IN_ROOM),
        Resource::Room(room) => {
            let granted = match found {
                Found::User(user) if strongest.is_some() => {
                    roles::in_room(app.store().reads(), (&room.id, user)).await?
                }
                _ => None,
            };
            let granted = granted.map(|(scope, given)| roles_in_room(&given.unwrap_or(scope)));
            let granted = granted.transpose()?.unwrap_or_default();
            let mut from_strongest = IN_ROOM.iter().rev();
            let role = from_strongest.find(|role| granted.iter().any(|it| it == *role));
            (up_to(&IN_ROOM, role.unwrap_or(&"")), &IN_ROOM)
        }
    })
}

/// Refuses a relation that is no role of the resource.
fn require_role(all: &[&str], field: &str, relation: &str) -> Result<()> {
    match all.contains(&relation) {
        true => Ok(()),
        false => {
            let message = format!("is not a role of this resource: {}", all.join(", "));
            Err(Refusal::field(field, message))
        }
    }
}

#[derive(Deserialize)]
struct TestBody {
    subject: Subject,
    resource: Named,
    relation: String,
}

async fn test(
    State(app): State<App>,
    caller: Caller,
    Body(TestBody { subject, resource: Named { kind, id }, relation }): Body<TestBody>,
) -> Result<Answer> {
    let reads = app.store().reads();
    let resource = Resource::of(reads, &caller, (&kind, &id)).await?;
    let found = asked_about(&app, &caller, &subject).await?;
    let (has, all) = roles_on(&app, &caller, (&resource, &found)).await?;
    require_role(all, "relation", &relation)?;
    Ok(Answer::json(&json!({ "allowed": has.contains(&relation.as_str()) })))
}

#[derive(Deserialize)]
struct EffectiveBody {
    subject: Subject,
    resource: Named,
    relations: Option<Vec<String>>,
}

async fn effective(
    State(app): State<App>,
    caller: Caller,
    Body(EffectiveBody { subject, resource: Named { kind, id }, relations }): Body<EffectiveBody>,
) -> Result<Answer> {
    let reads = app.store().reads();
    let resource = Resource::of(reads, &caller, (&kind, &id)).await?;
    let found = asked_about(&app, &caller, &subject).await?;
    let (has, all) = roles_on(&app, &caller, (&resource, &found)).await?;
    for (number, relation) in relations.iter().flatten().enumerate() {
        require_role(all, &format!("relations[{number}]"), relation)?;
    }
    let asked = |role: &str| {
        relations.as_ref().is_none_or(|relations| relations.iter().any(|one| one == role))
    };
    let capabilities: Map<String, Value> = all
        .iter()
        .filter(|role| asked(role))
        .map(|role| ((*role).to_owned(), has.contains(role).into()))
        .collect();
    Ok(Answer::json(&json!({
        "resource": resource.shown(&caller),
        "subject": shown(&app, &found).await?,
        "effective_roles": has,
        "capabilities": capabilities,
    })))
}

/// Somebody as answers name them.
async fn shown(app: &App, found: &Found) -> Result<Value> {
    let reads = app.store().reads();
    Ok(match found {
        Found::User(id) => {
            let email = people::email(reads, id).await?;
            json!({ "type": "user", "id": id, "name": email, "email": email })
        }
        Found::Account(id) => {
            let account: Option<(String, String)> =
                select("SELECT name, email FROM service_accounts WHERE id = $1")
                    .bind(id)
                    .find(reads)
                    .await?;
            let (name, email) = account.unwrap_or_default();
            json!({ "type": "service_account", "id": id, "name": name, "email": email })
        }
        Found::Kept(kind, id) => json!({ "type": kind, "id": id }),
    })
}

#[derive(Deserialize)]
struct BindingsBody {
    subject: Subject,
}

/// A room with what was granted in it.
struct Granted {
    id: String,
    name: String,
    roles: String,
}

of_row!(Granted { id, name, roles });

/// What was granted to a person in the rooms of a project.
const OF_PERSON: &str = "SELECT rooms.id, rooms.name, \
     COALESCE((SELECT group_concat(role, ',') \
     FROM role_grants WHERE resource_type = 'room' AND resource_id = rooms.id \
     AND subject_type = 'user' AND subject_id = room_grants.user_id \
     AND role_grants.seq = room_grants.rev), room_grants.permissions) AS roles \
     FROM room_grants JOIN rooms ON rooms.id = room_grants.room_id \
     WHERE rooms.project_id = $1 AND room_grants.user_id = $2 ORDER BY rooms.name";

/// What was granted to a service account in the rooms of a project, which is kept.
const OF_ACCOUNT: &str = "SELECT rooms.id, rooms.name, group_concat(role, ',') AS roles \
     FROM role_grants JOIN rooms ON rooms.id = resource_id \
     WHERE role_grants.project_id = $1 AND resource_type = 'room' \
     AND subject_type = 'service_account' AND subject_id = $2 \
     GROUP BY rooms.id ORDER BY rooms.name";

/// What was granted to somebody, in the project and in its rooms.
async fn bindings(
    State(app): State<App>,
    caller: Caller,
    Body(BindingsBody { subject }): Body<BindingsBody>,
) -> Result<Answer> {
    let reads = app.store().reads();
    let found = asked_about(&app, &caller, &subject).await?;
    let subject = shown(&app, &found).await?;
    let roles = direct(&app, &caller, &found).await?;
    let mut all = Vec::new();
    if !roles.is_empty() {
        let resource = Resource::Project.shown(&caller);
        all.push(json!({ "resource": resource, "subject": subject, "direct_roles": roles }));
    }
    let rooms = match &found {
        Found::User(user) => Some((OF_PERSON, user)),
        Found::Account(account) => Some((OF_ACCOUNT, account)),
        Found::Kept(..) => None,
    };
    if let Some((sql, whom)) = rooms {
        let mut rooms = sqlx::query_as(sql).bind(&caller.project).bind(whom).fetch(reads);
        while let Some(Granted { id, name, roles }) = rooms.try_next().await? {
            all.push(json!({
                "resource": { "type": "room", "id": id, "name": name },
                "subject": subject,
                "direct_roles": roles_in_room(&roles)?,
            }));
        }
    }
    Ok(Answer::json(&json!({ "access_grants": all })))
}
