//! What the plain resources of a project share: a row with a key and an entity tag, and the
//! handlers that create, list, get, change and delete it. A resource says what differs: its table,
//! what a body asks for, and how a row is returned.
//!
//! A resource that needs more has handlers of its own and does not extend these.

use axum::extract::{Path, State};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow, Row};

use super::columns::{At, Columns};
use crate::platform::App;
use crate::platform::auth::Caller;
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{self, Answer, Body, Condition};
use crate::platform::objects::rooms::{self, Room};
use crate::platform::store::{OfRow, Reads, Write, select};

/// A resource whose rows are listed and deleted in the common way.
pub trait Resource: OfRow + Sync + 'static {
    /// The table.
    const TABLE: &'static str;
    /// The column by which a path names one.
    const KEY: &'static str;
    /// The name of one object, for messages.
    const NOUN: &'static str;
    /// The name of their list in an answer.
    const LIST: &'static str = Self::TABLE;
    /// The message about an object of another project, if keys are unique on the whole platform
    /// and therefore not secret; without it, such an object does not exist for this project.
    const ELSEWHERE: Option<&'static str> = None;
    /// Whether the id of the room that a row names is returned with it.
    const TELLS_ROOM_ID: bool = false;
    /// The end of an SQL condition that leaves out rows that do not belong to the resource.
    const AMONG: &'static str = "";

    /// A key as it is stored.
    fn key(given: &str) -> String {
        given.to_owned()
    }

    /// A row as the API returns it.
    fn whole(&self) -> Result<Value>;

    /// A change with what follows from it for this row.
    fn implied(&self, draft: Draft) -> Draft {
        draft
    }

    /// Refuses a change, or a deletion if there is no draft, because of other objects.
    fn spare(
        &self,
        _write: &mut Write,
        _draft: Option<&Draft>,
    ) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }
}

/// A resource that is also created and changed in the common way.
pub trait Plain: Resource {
    /// A body that creates one.
    type New: DeserializeOwned + Send;
    /// A body that changes one.
    type Change: DeserializeOwned + Send;

    /// The key and the contents of a new one; 400 names the wrong field.
    fn create(new: Self::New) -> Result<(String, Draft)>;

    /// The change of an existing one; 400 names the wrong field.
    fn change(change: Self::Change) -> Result<Draft>;

    /// The answer to a request that creates or changes one.
    fn written(_row: &SqliteRow, _is_new: bool) -> Result<Value> {
        Ok(json!({}))
    }
}

/// What a body asks for.
pub struct Draft {
    /// What is written.
    pub columns: Columns,
    /// The field that names a room, and the room, which must exist.
    pub room: Option<(&'static str, String)>,
    /// The message if it is taken.
    pub taken: String,
}

/// A row, with the columns that every resource has.
pub struct Stored<T> {
    /// The resource's own columns.
    pub row: T,
    project_id: String,
    /// Its revision.
    pub rev: i64,
}

impl<'r, T: FromRow<'r, SqliteRow>> FromRow<'r, SqliteRow> for Stored<T> {
    fn from_row(row: &'r SqliteRow) -> sqlx::Result<Self> {
        let (project_id, rev) = (row.try_get("project_id")?, row.try_get("rev")?);
        Ok(Self { row: T::from_row(row)?, project_id, rev })
    }
}

impl<T: Resource> Stored<T> {
    /// The row as lists have it.
    pub fn item(&self) -> Result<Value> {
        let mut item = self.row.whole()?;
        item["etag"] = json!(exchange::tag(self.rev));
        Ok(item)
    }
}

/// A query for rows, with the ids of the rooms that they name.
pub fn question<T: Resource>(condition: &str) -> AssertSqlSafe<String> {
    let table = T::TABLE;
    let (column, join) = match T::TELLS_ROOM_ID {
        true => (
            ", rooms.id AS room_id",
            format!(
                " LEFT JOIN rooms ON rooms.project_id = {table}.project_id \
                 AND rooms.name = {table}.room_name"
            ),
        ),
        false => ("", String::new()),
    };
    AssertSqlSafe(format!("SELECT {table}.*{column} FROM {table}{join} WHERE {condition}"))
}

/// The row with a key, if a project has one.
///
/// # Errors
///
/// 404 with the key as it is shown; 403 where another project has it and that is no secret.
pub async fn find<T: Resource>(
    reads: impl Reads,
    project: &str,
    (key, shown): (&str, &str),
) -> Result<Stored<T>> {
    let (table, column, among) = (T::TABLE, T::KEY, T::AMONG);
    let of_project = match T::ELSEWHERE {
        Some(_) => String::new(),
        None => format!(" AND {table}.project_id = $2"),
    };
    let question = select(question::<T>(&format!("{table}.{column} = $1{of_project}{among}")));
    let question = question.bind(key);
    let question = if T::ELSEWHERE.is_none() { question.bind(project) } else { question };
    let found: Option<Stored<T>> = question.find(reads).await?;
    let found = found.ok_or_else(|| Refusal::missing(T::NOUN, shown))?;
    match T::ELSEWHERE {
        Some(message) if found.project_id != project => Err(Refusal::Forbidden(message.into())),
        _ => Ok(found),
    }
}

/// The location of a row of the caller's project.
fn at<'a, T: Resource>(caller: &'a Caller, key: &'a str) -> At<'a> {
    At { table: T::TABLE, column: T::KEY, key, project: &caller.project }
}

impl Draft {
    /// Refuses a room that does not exist.
    async fn require_room(&self, write: &mut Write, caller: &Caller) -> Result<()> {
        match &self.room {
            Some((field, name)) => {
                rooms::required(write.reads(), &caller.project, (field, name)).await
            }
            None => Ok(()),
        }
    }
}

/// Creates one.
pub async fn create<T: Plain>(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<T::New>,
) -> Result<Answer> {
    let (key, draft) = T::create(body)?;
    let (mut write, vault) = (app.store().write().await?, app.store().vault());
    draft.require_room(&mut write, &caller).await?;
    let place = (at::<T>(&caller, &key), draft.taken.as_str());
    let (row, revision) = draft.columns.insert(vault, &mut write, place).await?;
    write.commit().await?;
    Ok(Answer::json(&T::written(&row, true)?).created().tagged(revision))
}

/// Lists those of the project, in the order in which they were created.
pub async fn list<T: Resource>(State(app): State<App>, caller: Caller) -> Result<Answer> {
    let (table, among) = (T::TABLE, T::AMONG);
    let rows = format!("{table}.project_id = $1{among} ORDER BY {table}.seq");
    let rows =
        sqlx::query_as(question::<T>(&rows)).bind(&caller.project).fetch(app.store().reads());
    Answer::list(&app, T::LIST, rows, Stored::<T>::item).await
}

/// Lists those that name a room.
pub async fn of_room<T: Resource>(
    State(app): State<App>,
    caller: Caller,
    Path((_, room)): Path<(String, String)>,
) -> Result<Answer> {
    let room = Room::named(app.store().reads(), &caller.project, &room).await?;
    let rows = question::<T>(&format!("rooms.id = $1 ORDER BY {}.seq", T::TABLE));
    let rows = sqlx::query_as(rows).bind(&room.id).fetch(app.store().reads());
    Answer::list(&app, T::LIST, rows, Stored::<T>::item).await
}

/// Returns one, in a field with its name.
pub async fn get<T: Resource>(
    State(app): State<App>,
    caller: Caller,
    Path((_, given)): Path<(String, String)>,
) -> Result<Answer> {
    let found = find::<T>(app.store().reads(), &caller.project, (&T::key(&given), &given)).await?;
    Ok(Answer::json(&json!({ T::NOUN: found.row.whole()? })).tagged(found.rev))
}

/// Changes one.
pub async fn put<T: Plain>(
    State(app): State<App>,
    caller: Caller,
    Path((_, given)): Path<(String, String)>,
    condition: Condition,
    Body(body): Body<T::Change>,
) -> Result<Answer> {
    let (key, draft) = (T::key(&given), T::change(body)?);
    let (mut write, vault) = (app.store().write().await?, app.store().vault());
    let found = find::<T>(write.reads(), &caller.project, (&key, &key)).await?;
    let mut change = condition.admits(write, found.rev)?;
    draft.require_room(&mut change, &caller).await?;
    found.row.spare(&mut change, Some(&draft)).await?;
    let draft = found.row.implied(draft);
    let place = (at::<T>(&caller, &key), draft.taken.as_str());
    let (row, revision) = draft.columns.update(vault, &mut change, place).await?;
    change.commit().await?;
    Ok(Answer::json(&T::written(&row, false)?).tagged(revision))
}

/// Deletes one.
pub async fn delete<T: Resource>(
    State(app): State<App>,
    caller: Caller,
    Path((_, given)): Path<(String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let key = T::key(&given);
    let mut write = app.store().write().await?;
    let found = find::<T>(write.reads(), &caller.project, (&key, &key)).await?;
    let mut change = condition.admits(write, found.rev)?;
    found.row.spare(&mut change, None).await?;
    let sql = format!("DELETE FROM {} WHERE {} = $1 AND project_id = $2", T::TABLE, T::KEY);
    let sql = sqlx::query(AssertSqlSafe(sql)).bind(&key).bind(&caller.project);
    sql.execute(change.on()).await?;
    change.commit().await?;
    Ok(Answer::nothing())
}
