//! The holder of an API key. Everything that is proven or signed with a key acts for its holder,
//! and may do what the holder may do *now*. When the key is deleted, all of it ends.

use secrecy::ExposeSecret;
use sqlx::SqlitePool;

use super::Role;
use crate::api::key::ApiKey;
use crate::platform::digest;
use crate::platform::error::{Refusal, Result};
use crate::platform::objects::people::Flags;
use crate::platform::store::of_row;

/// A key as it is stored, without its secret.
#[derive(Debug)]
pub struct StoredKey {
    /// Its id.
    pub id: String,
    /// Its project.
    pub project_id: String,
    purpose: String,
    user_id: Option<String>,
    service_account_id: Option<String>,
    digest: Option<String>,
}

of_row!(StoredKey { id, project_id, purpose, user_id, service_account_id, digest });

impl StoredKey {
    /// Whether it is the key of the platform's owner, which acts in all projects of that one.
    pub fn is_of_owner(&self) -> bool {
        self.purpose == "owner"
    }

    /// The key with an id.
    async fn of(reads: &SqlitePool, id: &str) -> Result<Option<Self>> {
        let sql = "SELECT id, project_id, purpose, user_id, service_account_id, digest \
             FROM api_keys WHERE id = $1";
        Ok(sqlx::query_as(sql).bind(id).fetch_optional(reads).await?)
    }

    /// Whether an API key is this one.
    fn is(&self, key: &ApiKey) -> bool {
        let fits = |digest: &str| digest::fits(key.secret.expose_secret(), digest);
        self.digest.as_deref().is_some_and(fits) && self.project_id == key.project.to_string()
    }

    /// Its holder; `None` if only the platform signs with it.
    pub fn holder(self) -> Option<Holder> {
        if self.purpose == "signing" {
            return None;
        }
        let is_owner = self.is_of_owner();
        let person = self.user_id.map(|id| Person { id, is_owner });
        let account = self.service_account_id;
        Some(Holder { key: self.id, project: self.project_id, person, account, sign_in: None })
    }
}

/// A user, through a key that acts for them.
#[derive(Debug, Clone)]
pub struct Person {
    /// The user's id.
    pub id: String,
    /// Whether it owns the platform.
    pub is_owner: bool,
}

/// The holder of a key: a person, a service account or a project.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The key's id.
    pub key: String,
    /// The project that the key belongs to.
    pub project: String,
    /// The person for whom the key acts.
    pub person: Option<Person>,
    /// The service account for which the key acts.
    pub account: Option<String>,
    /// The sign-in that proved it, if it was not the key itself.
    pub sign_in: Option<String>,
}

impl Holder {
    /// Who holds an API key, and the holder's role in a project now, if one is given; in one query
    /// for exactly that.
    ///
    /// # Errors
    ///
    /// 401 for a key that is not valid.
    pub async fn of(
        reads: &SqlitePool,
        key: &ApiKey,
        project: Option<&str>,
    ) -> Result<(Self, Option<Role>)> {
        let id = key.id.to_string();
        let held = if project.is_none() {
            let stored = StoredKey::of(reads, &id).await?.filter(|stored| stored.is(key));
            stored.and_then(StoredKey::holder).map(|holder| (holder, None))
        } else {
            let question = Question { key: &id, project, ..Question::default() };
            let standing = Standing::of(reads, &question).await?;
            standing.filter(|standing| standing.key.is(key)).and_then(Standing::holder)
        };
        held.ok_or(Refusal::Unauthenticated("the credential is not valid"))
    }

    /// The owner of a project, by the key with which the platform was set up.
    ///
    /// # Errors
    ///
    /// The owner has no such key; the store failed.
    pub async fn owner_of(reads: &SqlitePool, project: &str) -> Result<Self> {
        let sql = "SELECT k.id, k.project_id, k.purpose, k.user_id, k.service_account_id, k.digest \
             FROM api_keys k \
             JOIN projects p ON p.owner_user_id = k.user_id \
             WHERE p.id = $1 AND k.purpose = 'owner' LIMIT 1";
        let key: Option<StoredKey> =
            sqlx::query_as(sql).bind(project).fetch_optional(reads).await?;
        let holder = key.and_then(StoredKey::holder);
        holder.ok_or_else(|| Refusal::internal("the owner of the project has no key"))
    }

    /// The same, by a sign-in.
    #[must_use]
    pub fn signed_in(self, sign_in: String) -> Self {
        Self { sign_in: Some(sign_in), ..self }
    }
}

/// A user's role in a project, as one query returns it.
#[derive(Debug)]
struct Membership {
    /// Whether the project is the user's own.
    owns: bool,
    /// When the user joined it, as a place in the order of all revisions; `None` if the user is
    /// not a member.
    joined: Option<i64>,
    /// Since when the user may build in it, in the same order.
    builds_since: Option<i64>,
    is_admin: Option<bool>,
    is_developer: Option<bool>,
    can_create_rooms: Option<bool>,
}

of_row!(Membership { owns, joined, builds_since, is_admin, is_developer, can_create_rooms });

impl Membership {
    fn role(&self) -> Option<Role> {
        if self.owns {
            return Some(Role::Admin);
        }
        self.joined?;
        let flags = Flags {
            is_admin: self.is_admin.unwrap_or_default(),
            is_developer: self.is_developer.unwrap_or_default(),
            can_create_rooms: self.can_create_rooms.unwrap_or_default(),
        };
        Some(flags.role())
    }
}

/// What to look up about a key, all in one query.
#[derive(Debug, Default)]
pub struct Question<'a> {
    /// The key's id.
    pub key: &'a str,
    /// The project for which the holder's role is looked up; without one, the key's own.
    pub project: Option<&'a str>,
    /// A sign-in by the key, which must still be valid.
    pub sign_in: Option<&'a str>,
    /// The revision of a grant to the key's user, which must exist.
    pub grant: Option<i64>,
}

/// A key, and its holder's role in a project now.
#[derive(Debug)]
pub struct Standing {
    /// The key.
    pub key: StoredKey,
    /// Its secret, as it is stored.
    pub secret: String,
    project: Option<String>,
    membership: Membership,
    /// The roles that were granted to the key's service account, separated by commas.
    granted: Option<String>,
    /// Since when the account has roles. All of them are taken back at once, so the oldest that it
    /// has is from when it had none.
    granted_since: Option<i64>,
    /// Whether the sign-in in question is still valid; true if there was none.
    pub goes_on: bool,
    /// Whether the grant in question is unchanged; true if there was none.
    pub is_granted: bool,
}

of_row!(Standing { secret, project, granted, granted_since, goes_on, is_granted; key, membership });

impl Standing {
    /// Looks up a key.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn of(reads: &SqlitePool, question: &Question<'_>) -> Result<Option<Self>> {
        // Revisions never repeat, so a grant with this revision is unchanged.
        let standing = sqlx::query_as(
            "SELECT k.id, k.project_id, k.purpose, k.user_id, k.service_account_id, k.digest, \
             k.secret, \
             (SELECT group_concat(role, ',') FROM role_grants g WHERE g.project_id = p.id \
             AND g.resource_type = 'project' AND g.resource_id = p.id \
             AND g.subject_type = 'service_account' AND g.subject_id = k.service_account_id) \
             AS granted, \
             (SELECT MIN(g.seq) FROM role_grants g WHERE g.project_id = p.id \
             AND g.resource_type = 'project' AND g.resource_id = p.id \
             AND g.subject_type = 'service_account' AND g.subject_id = k.service_account_id) \
             AS granted_since, \
             p.id AS project, COALESCE(p.owner_user_id = k.user_id, FALSE) AS owns, \
             m.seq AS joined, m.builds_since, m.is_admin, m.is_developer, m.can_create_rooms, \
             ($3 IS NULL OR EXISTS (SELECT 1 FROM sign_ins WHERE id = $3 AND key_id = k.id)) \
             AS goes_on, \
             ($4 IS NULL OR EXISTS (SELECT 1 FROM room_grants g JOIN rooms r ON r.id = g.room_id \
             WHERE r.project_id = p.id AND g.user_id = k.user_id AND g.rev = $4)) AS is_granted \
             FROM api_keys k LEFT JOIN projects p ON p.id = COALESCE($2, k.project_id) \
             LEFT JOIN members m ON m.project_id = p.id AND m.user_id = k.user_id \
             WHERE k.id = $1",
        )
        .bind(question.key)
        .bind(question.project)
        .bind(question.sign_in)
        .bind(question.grant)
        .fetch_optional(reads)
        .await?;
        Ok(standing)
    }

    /// Who holds the key, and the holder's role in the project; `None` if only the platform signs
    /// with it.
    pub fn holder(self) -> Option<(Holder, Option<Role>)> {
        let role = self.role();
        Some((self.key.holder()?, role))
    }

    /// When the key's user joined the project, or since when its service account has roles there;
    /// `None` for a key of a whole project.
    pub const fn joined(&self) -> Option<i64> {
        match self.key.user_id {
            Some(_) => self.membership.joined,
            None => self.granted_since,
        }
    }

    /// Since when the key's user may build in the project; `None` without a user, and for one who
    /// could before this was noted.
    pub const fn builds_since(&self) -> Option<i64> {
        self.membership.builds_since
    }

    /// The holder's role in the project: a person's own role, the strongest one of a service
    /// account, or admin of the key's project.
    pub fn role(&self) -> Option<Role> {
        if self.key.user_id.is_some() {
            return self.membership.role();
        }
        if self.project.as_ref() != Some(&self.key.project_id) {
            return None;
        }
        match self.key.service_account_id {
            Some(_) => self.granted.as_ref()?.split(',').map(Role::granted).max(),
            None => Some(Role::Admin),
        }
    }
}
