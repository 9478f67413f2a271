//! Groups of people, by a name in their project.
//!
//! A group has no roles here: what is granted to one would have no effect, and is refused (`iam`).

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::check_annotations;
use super::page::{self, Tokens};
use super::{Refusal, Result, Route};
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::exchange::{self, Answer, Asked, Body, Condition};
use crate::platform::objects::{people, roles, stored, text_of};
use crate::platform::store::{Reads, insert, of_row, select};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/groups";
    const ONE: &str = "/accounts/projects/{project}/groups/{group}";
    const NAMED: &str = "/accounts/projects/{project}/groups/by-name/{group}";
    const MEMBERS: &str = "/accounts/projects/{project}/groups/{group}/members";
    const MEMBER: &str = "/accounts/projects/{project}/groups/{group}/members/{type}/{subject}";
    vec![
        Route::get(ALL, Access::Read, list),
        Route::post(ALL, Access::Admin, create),
        Route::get(ONE, Access::Read, get),
        Route::get(NAMED, Access::Read, by_name),
        Route::put(ONE, Access::Admin, put),
        Route::delete(ONE, Access::Admin, delete),
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
    seq: i64,
    rev: i64,
}

of_row!(Group { id, name, metadata, annotations, seq, rev });

impl Group {
    async fn by_id(reads: impl Reads, project: &str, id: &str) -> Result<Self> {
        select("SELECT * FROM subject_groups WHERE project_id = $1 AND id = $2")
            .bind(project)
            .bind(id)
            .find(reads)
            .await?
            .ok_or_else(|| Refusal::missing("group", id))
    }

    fn whole(&self) -> Result<Value> {
        Ok(json!({
            "id": self.id,
            "name": self.name,
            "metadata": stored(&self.metadata)?,
            "annotations": stored(&self.annotations)?,
        }))
    }

    fn answer(&self) -> Result<Answer> {
        Ok(Answer::json(&self.whole()?).tagged(self.rev))
    }
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(tokens): Asked<Tokens>,
) -> Result<Answer> {
    const LIST: &str = "groups";
    let size = tokens.size(&app)?;
    let rows = sqlx::query_as(
        "SELECT * FROM subject_groups WHERE project_id = $1 AND ($2 IS NULL OR seq > $2) \
         AND ($3 IS NULL OR instr(lower(name), lower($3)) > 0) ORDER BY seq LIMIT $4",
    )
    .bind(&caller.project)
    .bind(tokens.after_seq(LIST)?)
    .bind(&tokens.filter)
    .bind(size + 1)
    .fetch(app.store().reads());
    let item = |group: &Group| {
        let mut item = group.whole()?;
        item["etag"] = json!(exchange::tag(group.rev));
        Ok(item)
    };
    page::of(&app, (LIST, size), rows, |group: &Group| group.seq.to_string(), item).await
}

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
        seq: revision,
        rev: revision,
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
    Ok(group.answer()?.created())
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
) -> Result<Answer> {
    Group::by_id(app.store().reads(), &caller.project, &id).await?.answer()
}

async fn by_name(
    State(app): State<App>,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
) -> Result<Answer> {
    let group: Option<Group> =
        select("SELECT * FROM subject_groups WHERE project_id = $1 AND lower(name) = lower($2)")
            .bind(&caller.project)
            .bind(&name)
            .find(app.store().reads())
            .await?;
    group.ok_or_else(|| Refusal::missing("group", &name))?.answer()
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
    let mut group = Group::by_id(write.reads(), &caller.project, &id).await?;
    let mut change = condition.admits(write, group.rev)?;
    group.name.clone_from(&body.name);
    if let Some(metadata) = &body.metadata {
        group.metadata = serde_json::to_string(metadata)?;
    }
    if let Some(annotations) = &body.annotations {
        group.annotations = serde_json::to_string(annotations)?;
    }
    group.rev = change.revision().await?;
    sqlx::query(
        "UPDATE subject_groups SET name = $1, metadata = $2, annotations = $3, rev = $4 \
         WHERE id = $5",
    )
    .bind(&group.name)
    .bind(&group.metadata)
    .bind(&group.annotations)
    .bind(group.rev)
    .bind(&group.id)
    .execute(change.on())
    .await
    .map_err(|error| Refusal::taken(error, || body.taken()))?;
    change.commit().await?;
    group.answer()
}

async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let group = Group::by_id(write.reads(), &caller.project, &id).await?;
    let mut change = condition.admits(write, group.rev)?;
    sqlx::query("DELETE FROM subject_groups WHERE id = $1")
        .bind(&group.id)
        .execute(change.on())
        .await?;
    change.commit().await?;
    Ok(Answer::nothing())
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
    let group = Group::by_id(reads, &caller.project, &id).await?;
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

#[derive(Deserialize)]
struct Subject {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    email: Option<String>,
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
    let given = subject.id.as_deref().or(subject.email.as_deref());
    let given = given.ok_or_else(|| Refusal::field("subject.id", "is required"))?;
    let mut write = app.store().write().await?;
    let group = Group::by_id(write.reads(), &caller.project, &id).await?;
    let known: Option<(String,)> =
        select("SELECT id FROM users WHERE id = $1 OR lower(email) = lower($1)")
            .bind(given)
            .find(write.reads())
            .await?;
    let user = known.map_or_else(|| given.to_owned(), |(id,)| id);
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
    let group = Group::by_id(write.reads(), &caller.project, &id).await?;
    roles::leave_group(write, (&group.id, &subject)).await?;
    Ok(Answer::nothing())
}
