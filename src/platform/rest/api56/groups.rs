//! Groups of people, by a name in their project.
//!
//! A group has no roles here: what is granted to one is kept, and has no effect (`iam`).

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::check_annotations;
use super::super::plain::{self, Resource, Stored};
use super::iam::Subject;
use super::named::{self, Named};
use super::page::{self, Filtered, Tokens};
use super::{Refusal, Result, Route};
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::exchange::{Answer, Asked, Body, Condition};
use crate::platform::objects::{people, roles, stored, text_of};
use crate::platform::store::{insert, of_row};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/groups";
    const ONE: &str = "/accounts/projects/{project}/groups/{group}";
    const NAMED: &str = "/accounts/projects/{project}/groups/by-name/{group}";
    const MEMBERS: &str = "/accounts/projects/{project}/groups/{group}/members";
    const MEMBER: &str = "/accounts/projects/{project}/groups/{group}/members/{type}/{subject}";
    vec![
        Route::get(ALL, Access::Read, page::list::<Group>),
        Route::post(ALL, Access::Admin, create),
        Route::get(ONE, Access::Read, named::get::<Group>),
        Route::get(NAMED, Access::Read, named::get_named::<Group>),
        Route::put(ONE, Access::Admin, put),
        Route::delete(ONE, Access::Admin, plain::delete::<Group>),
        Route::get(MEMBERS, Access::Read, members),
        Route::post(MEMBERS, Access::Admin, set_member),
        Route::delete(MEMBER, Access::Admin, delete_member),
    ]
}

/// A group as it is stored.
struct Group {
    id: String,
    name: String,
    metadata: String,
    annotations: String,
}

of_row!(Group { id, name, metadata, annotations });

impl Resource for Group {
    const TABLE: &'static str = "subject_groups";
    const KEY: &'static str = "id";
    const NOUN: &'static str = "group";
    const LIST: &'static str = "groups";

    fn whole(&self) -> Result<Value> {
        Ok(json!({
            "id": self.id,
            "name": self.name,
            "metadata": stored(&self.metadata)?,
            "annotations": stored(&self.annotations)?,
        }))
    }
}

impl Filtered for Group {
    const FILTER: &'static str = "name";
}

impl Named for Group {}

#[derive(Deserialize)]
struct GroupBody {
    name: String,
    metadata: Option<Map<String, Value>>,
    annotations: Option<BTreeMap<String, String>>,
}

impl GroupBody {
    fn check(&self) -> Result<()> {
        rules::segment(&self.name).map_err(Refusal::at("name"))?;
        check_annotations(self.annotations.as_ref())?;
        self.metadata.as_ref().map_or(Ok(()), rules::texts_of).map_err(Refusal::at("metadata"))
    }

    fn taken(&self) -> String {
        format!("a group with the name {:?} already exists", self.name)
    }
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<GroupBody>,
) -> Result<Answer> {
    new.check()?;
    let mut write = app.store().write().await?;
    let revision = write.revision().await?;
    let group = Group {
        id: Uuid::new_v4().to_string(),
        name: new.name.clone(),
        metadata: text_of(new.metadata.as_ref())?,
        annotations: text_of(new.annotations.as_ref())?,
    };
    insert(
        "INSERT INTO subject_groups (id, project_id, name, metadata, annotations, seq, rev) \
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
    )
    .bind(&group.id)
    .bind(&caller.project)
    .bind(&group.name)
    .bind(&group.metadata)
    .bind(&group.annotations)
    .bind(revision)
    .run(&mut write, || new.taken())
    .await?;
    write.commit().await?;
    Ok(Answer::json(&group.whole()?).created().tagged(revision))
}

/// The name is always replaced, anything else where it is given.
async fn put(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
    Body(body): Body<GroupBody>,
) -> Result<Answer> {
    body.check()?;
    let mut write = app.store().write().await?;
    let Stored { row: mut group, rev, .. } =
        named::by_id::<Group>(write.reads(), &caller.project, &id).await?;
    let mut change = condition.admits(write, rev)?;
    group.name.clone_from(&body.name);
    if let Some(metadata) = &body.metadata {
        group.metadata = serde_json::to_string(metadata)?;
    }
    if let Some(annotations) = &body.annotations {
        group.annotations = serde_json::to_string(annotations)?;
    }
    let revision = change.revision().await?;
    sqlx::query(
        "UPDATE subject_groups SET name = $1, metadata = $2, annotations = $3, rev = $4 \
         WHERE id = $5",
    )
    .bind(&group.name)
    .bind(&group.metadata)
    .bind(&group.annotations)
    .bind(revision)
    .bind(&group.id)
    .execute(change.on())
    .await
    .map_err(|error| Refusal::taken(error, || body.taken()))?;
    change.commit().await?;
    Ok(Answer::json(&group.whole()?).tagged(revision))
}

/// A member as it is stored.
struct Member {
    id: String,
    email: String,
    role: String,
    seq: i64,
}

of_row!(Member { id, email, role, seq });

async fn members(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    Asked(tokens): Asked<Tokens>,
) -> Result<Answer> {
    const LIST: &str = "members";
    let reads = app.store().reads();
    let group = named::by_id::<Group>(reads, &caller.project, &id).await?.row;
    let size = tokens.size(&app)?;
    let rows = sqlx::query_as(
        "SELECT users.id, users.email, group_members.role, group_members.seq \
         FROM group_members JOIN users ON users.id = group_members.user_id \
         WHERE group_id = $1 AND ($2 IS NULL OR group_members.seq > $2) \
         ORDER BY group_members.seq LIMIT $3",
    )
    .bind(&group.id)
    .bind(tokens.after_seq(LIST)?)
    .bind(size + 1)
    .fetch(reads);
    let item = |Member { id, email, role, .. }: &Member| {
        let subject = json!({ "type": "user", "id": id, "name": email, "email": email });
        Ok(json!({ "subject": subject, "direct_roles": [role] }))
    };
    page::of(&app, (LIST, size), rows, |member: &Member| member.seq.to_string(), item).await
}

#[derive(Deserialize)]
struct MemberBody {
    subject: Subject,
    #[serde(default)]
    role: Role,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    #[default]
    Member,
    Manager,
}

impl Role {
    const fn word(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Manager => "manager",
        }
    }
}

/// Only people are in groups here, and only those of the project.
fn require_person(kind: &str, field: &str) -> Result<()> {
    match kind {
        "user" => Ok(()),
        _ => Err(Refusal::field(field, "must be user on this platform")),
    }
}

/// Adds a member, or gives one another role.
async fn set_member(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    Body(MemberBody { subject, role }): Body<MemberBody>,
) -> Result<Answer> {
    require_person(&subject.kind, "subject.type")?;
    let user = subject.person(&app, &caller).await?;
    let mut write = app.store().write().await?;
    let group = named::by_id::<Group>(write.reads(), &caller.project, &id).await?.row;
    people::required(write.reads(), &caller.project, ("subject.id", &user)).await?;
    roles::join_group(write, (&group.id, &user), role.word()).await?;
    Ok(Answer::json(&json!({})))
}

async fn delete_member(
    State(app): State<App>,
    caller: Caller,
    Path((_, id, kind, subject)): Path<(String, String, String, String)>,
) -> Result<Answer> {
    require_person(&kind, "type")?;
    let mut write = app.store().write().await?;
    let group = named::by_id::<Group>(write.reads(), &caller.project, &id).await?.row;
    roles::leave_group(write, (&group.id, &subject)).await?;
    Ok(Answer::nothing())
}
