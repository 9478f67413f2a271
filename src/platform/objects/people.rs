//! Users, and their membership in projects.

use uuid::Uuid;

use crate::platform::error::{Refusal, Result};
use crate::platform::store::{Reads, Write, insert, of_row, select};

/// The flags of a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    /// Everything.
    pub is_admin: bool,
    /// Building.
    pub is_developer: bool,
    /// Creating rooms.
    pub can_create_rooms: bool,
}

of_row!(Flags { is_admin, is_developer, can_create_rooms });

impl Flags {
    /// Whether they allow to build in the project.
    pub const fn builds(self) -> bool {
        self.is_admin || self.is_developer
    }
}

/// Makes a user a member of a project, and returns the membership's revision.
///
/// # Errors
///
/// 409 if the user is a member; the store failed.
pub async fn join(write: &mut Write, project: &str, user: &str, flags: Flags) -> Result<i64> {
    let revision = write.revision().await?;
    insert(
        "INSERT INTO members \
         (project_id, user_id, is_admin, is_developer, can_create_rooms, builds_since, seq, rev) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
    )
    .bind(project)
    .bind(user)
    .bind(flags.is_admin)
    .bind(flags.is_developer)
    .bind(flags.can_create_rooms)
    .bind(flags.builds().then_some(revision))
    .bind(revision)
    .run(write, || format!("user {user:?} is already a member of the project"))
    .await?;
    Ok(revision)
}

/// Refuses a user that is not a member of the project: 400 naming the field.
///
/// # Errors
///
/// 400; the store failed.
pub async fn required(reads: impl Reads, project: &str, (field, user): (&str, &str)) -> Result<()> {
    let found: Option<(String,)> =
        select("SELECT user_id FROM members WHERE project_id = $1 AND user_id = $2")
            .bind(project)
            .bind(user)
            .find(reads)
            .await?;
    match found {
        Some(_) => Ok(()),
        None => Err(Refusal::field(field, format!("user {user:?} is not a member of the project"))),
    }
}

/// The address of a user, if there is one.
///
/// # Errors
///
/// The store failed.
pub async fn email(reads: impl Reads, user: &str) -> Result<Option<String>> {
    let email = select("SELECT email FROM users WHERE id = $1").bind(user).find(reads).await?;
    Ok(email.map(|(email,): (String,)| email).filter(|email| !email.is_empty()))
}

/// Who has an address, in whatever case it is written. Nobody has the empty one.
///
/// # Errors
///
/// 409 if several have it, as platforms of earlier versions allowed; the store failed.
pub async fn of_address(reads: impl Reads, address: &str) -> Result<Option<String>> {
    let found: Option<(Option<String>, i64)> = select(
        "SELECT MIN(id), COUNT(*) FROM users WHERE lower(email) = lower($1) AND email <> ''",
    )
    .bind(address)
    .find(reads)
    .await?;
    one_of(found.unwrap_or_default(), address)
}

/// The only one of those who have an address, if there is one: one of their ids, and how many they
/// are.
///
/// # Errors
///
/// 409 if they are several.
pub fn one_of((first, number): (Option<String>, i64), address: &str) -> Result<Option<String>> {
    match number {
        0 | 1 => Ok(first),
        _ => {
            let message = format!("the address {address:?} is that of {number} users: give an id");
            Err(Refusal::Conflict(message))
        }
    }
}

/// The user with an address, created if there is none.
///
/// # Errors
///
/// 409 if several have it; the store failed.
pub async fn with_email(write: &mut Write, email: &str) -> Result<String> {
    match of_address(write.reads(), email).await? {
        Some(id) => Ok(id),
        None => {
            let id = Uuid::new_v4().to_string();
            add(write, &id, email).await?;
            Ok(id)
        }
    }
}

/// Adds a user. No two have one address.
///
/// # Errors
///
/// 409 if there is such a user, or one with this address; the store failed.
pub async fn add(write: &mut Write, id: &str, email: &str) -> Result<()> {
    if let Some(other) = of_address(write.reads(), email).await? {
        let message = format!("the address {email:?} is that of the user {other:?}");
        return Err(Refusal::Conflict(message));
    }
    let revision = write.revision().await?;
    insert("INSERT INTO users (id, email, rev) VALUES ($1, $2, $3)")
        .bind(id)
        .bind(email)
        .bind(revision)
        .run(write, || format!("user {id:?} already exists"))
        .await
}

/// Whether a user exists.
///
/// # Errors
///
/// The store failed.
pub async fn is_known(reads: impl Reads, user: &str) -> Result<bool> {
    let known: Option<(String,)> =
        select("SELECT id FROM users WHERE id = $1").bind(user).find(reads).await?;
    Ok(known.is_some())
}
