//! What was granted to people in rooms and to others, who is in a group, and who may use a
//! secret, where that is changed without an entity tag: what is granted or revoked replaces whatever
//! there was.

use crate::kinds::specs::scope::ApiScope;
use crate::platform::error::{Refusal, Result};
use crate::platform::store::{Reads, Write, select};

/// Replaces what a user may do in a room, and the roles for which that is. They count as long as the
/// grant has the revision that they were given with.
///
/// # Errors
///
/// The store failed.
pub async fn replace(
    write: Write,
    (project, room, user): (&str, &str, &str),
    scope: &ApiScope,
    roles: &[String],
) -> Result<()> {
    let mut change = write.without_condition();
    let revision = change.revision().await?;
    sqlx::query(
        "INSERT INTO room_grants (room_id, user_id, permissions, rev) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (room_id, user_id) DO UPDATE SET permissions = excluded.permissions, \
         rev = excluded.rev",
    )
    .bind(room)
    .bind(user)
    .bind(serde_json::to_string(scope)?)
    .bind(revision)
    .execute(change.on())
    .await?;
    sqlx::query(
        "DELETE FROM role_grants WHERE resource_type = 'room' AND resource_id = $1 \
         AND subject_type = 'user' AND subject_id = $2",
    )
    .bind(room)
    .bind(user)
    .execute(change.on())
    .await?;
    for role in roles {
        sqlx::query(
            "INSERT INTO role_grants (project_id, resource_type, resource_id, subject_type, \
             subject_id, role, seq) VALUES ($1, 'room', $2, 'user', $3, $4, $5)",
        )
        .bind(project)
        .bind(room)
        .bind(user)
        .bind(role)
        .bind(revision)
        .execute(change.on())
        .await?;
    }
    change.commit().await
}

/// The roles that were given to a user in a room, if what the user may do there is still for them.
///
/// # Errors
///
/// The store failed.
pub async fn in_room(
    reads: impl Reads,
    (room, user): (&str, &str),
) -> Result<Option<(String, Option<String>)>> {
    select(
        "SELECT permissions, (SELECT group_concat(role, ',') FROM role_grants \
         WHERE resource_type = 'room' AND resource_id = room_id AND subject_type = 'user' \
         AND subject_id = user_id AND seq = rev) FROM room_grants \
         WHERE room_id = $1 AND user_id = $2",
    )
    .bind(room)
    .bind(user)
    .find(reads)
    .await
}

/// Where something was granted.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// In the project with this id.
    Project(&'a str),
    /// In the room with this id.
    Room(&'a str),
}

/// Takes back all that was granted to somebody, who is given by the type and the id. People leave a
/// project otherwise.
///
/// # Errors
///
/// 404 if that was nothing; the store failed.
pub async fn revoke(write: Write, of: Of<'_>, (kind, whom): (&str, &str)) -> Result<()> {
    let (sql, of) = match of {
        Of::Room(room) if kind == "user" => {
            ("DELETE FROM room_grants WHERE room_id = $1 AND user_id = $2 AND $3 = 'user'", room)
        }
        Of::Room(room) => (
            "DELETE FROM role_grants WHERE resource_type = 'room' AND resource_id = $1 \
             AND subject_id = $2 AND subject_type = $3",
            room,
        ),
        Of::Project(project) => (
            "DELETE FROM role_grants WHERE resource_type = 'project' AND resource_id = $1 \
             AND subject_id = $2 AND subject_type = $3",
            project,
        ),
    };
    let mut change = write.without_condition();
    let deleted = sqlx::query(sql).bind(of).bind(whom).bind(kind).execute(change.on()).await?;
    if deleted.rows_affected() == 0 {
        return Err(Refusal::missing("grant to", whom));
    }
    change.commit().await
}

/// Makes somebody a member of a group, or gives a member another role in it.
///
/// # Errors
///
/// The store failed.
pub async fn join_group(write: Write, (group, user): (&str, &str), role: &str) -> Result<()> {
    let mut change = write.without_condition();
    let revision = change.revision().await?;
    sqlx::query(
        "INSERT INTO group_members (group_id, user_id, role, seq) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (group_id, user_id) DO UPDATE SET role = excluded.role",
    )
    .bind(group)
    .bind(user)
    .bind(role)
    .bind(revision)
    .execute(change.on())
    .await?;
    change.commit().await
}

/// Takes a member out of a group.
///
/// # Errors
///
/// 404 if there is no such member; the store failed.
pub async fn leave_group(write: Write, (group, user): (&str, &str)) -> Result<()> {
    let mut change = write.without_condition();
    let deleted = sqlx::query("DELETE FROM group_members WHERE group_id = $1 AND user_id = $2")
        .bind(group)
        .bind(user)
        .execute(change.on())
        .await?;
    if deleted.rows_affected() == 0 {
        return Err(Refusal::missing("member", user));
    }
    change.commit().await
}

/// Takes from a service account the use of a secret, if it has that.
///
/// # Errors
///
/// The store failed.
pub async fn revoke_proxy(write: Write, (secret, account): (&str, &str)) -> Result<()> {
    let mut change = write.without_condition();
    sqlx::query("DELETE FROM secret_proxies WHERE secret_id = $1 AND service_account_id = $2")
        .bind(secret)
        .bind(account)
        .execute(change.on())
        .await?;
    change.commit().await
}
