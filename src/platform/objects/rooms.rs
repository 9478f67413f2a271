//! Rooms.

use std::collections::HashSet;

use serde_json::{Value, json};
use sqlx::{QueryBuilder, SqlitePool};
use uuid::Uuid;

use super::stored;
use crate::kinds::specs::rules;
use crate::platform::error::{Refusal, Result};
use crate::platform::store::{Change, Reads, Store, Write, insert, of_row, select};

/// The tables whose rows contain the current name of a room, which may be renamed or deleted:
/// those with a column `room_name`. The records of a session keep the name that the room had then.
/// A view has no rows of its own.
const NAMING: &str = "SELECT tables.name FROM sqlite_schema AS tables \
     JOIN pragma_table_info(tables.name) AS columns \
     WHERE tables.type = 'table' AND columns.name = 'room_name' AND tables.name <> 'sessions' \
     ORDER BY tables.name";

/// Which of these ids do not belong to any room, in any project.
///
/// # Errors
///
/// The store failed.
pub async fn gone(reads: &SqlitePool, ids: Vec<String>) -> Result<Vec<String>> {
    if ids.is_empty() {
        return Ok(ids);
    }
    let mut question = QueryBuilder::new("SELECT id FROM rooms WHERE id IN (");
    let mut listed = question.separated(", ");
    for id in &ids {
        listed.push_bind(id);
    }
    listed.push_unseparated(")");
    let there: HashSet<String> =
        question.build_query_scalar().fetch_all(reads).await?.into_iter().collect();
    Ok(ids.into_iter().filter(|id| !there.contains(id)).collect())
}

/// A stored room.
#[derive(Debug, Clone)]
pub struct Room {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its metadata, as JSON.
    pub metadata: String,
    /// Its annotations, as JSON.
    pub annotations: String,
    /// Its revision.
    pub rev: i64,
}

of_row!(Room { id, name, metadata, annotations, rev });

impl Room {
    /// Finds a room by its name, or answers 404.
    ///
    /// # Errors
    ///
    /// 404; the store failed.
    pub async fn named(reads: impl Reads, project: &str, name: &str) -> Result<Self> {
        Self::find(reads, project, name).await?.ok_or_else(|| Refusal::missing("room", name))
    }

    /// Finds a room by its name, if there is one.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn find(reads: impl Reads, project: &str, name: &str) -> Result<Option<Self>> {
        select(
            "SELECT id, name, metadata, annotations, rev FROM rooms \
             WHERE project_id = $1 AND name = $2",
        )
        .bind(project)
        .bind(name)
        .find(reads)
        .await
    }

    /// Finds a room by its id, or answers 404.
    ///
    /// # Errors
    ///
    /// 404; the store failed.
    pub async fn by_id(reads: impl Reads, project: &str, id: &str) -> Result<Self> {
        Self::find_by_id(reads, project, id).await?.ok_or_else(|| Refusal::missing("room", id))
    }

    /// Finds a room by its id, if there is one.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn find_by_id(reads: impl Reads, project: &str, id: &str) -> Result<Option<Self>> {
        select(
            "SELECT id, name, metadata, annotations, rev FROM rooms \
             WHERE project_id = $1 AND id = $2",
        )
        .bind(project)
        .bind(id)
        .find(reads)
        .await
    }

    /// Whether a room with this id exists, in any project.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn is_there(reads: impl Reads, id: &str) -> Result<bool> {
        let found: Option<(i64,)> =
            select("SELECT 1 FROM rooms WHERE id = $1").bind(id).find(reads).await?;
        Ok(found.is_some())
    }

    /// Adds the room to a project.
    ///
    /// # Errors
    ///
    /// 409 when the name is taken; the store failed.
    pub async fn insert(&self, write: &mut Write, project: &str) -> Result<()> {
        insert(
            "INSERT INTO rooms (id, project_id, name, metadata, annotations, seq, rev) \
             VALUES ($1, $2, $3, $4, $5, $6, $6)",
        )
        .bind(&self.id)
        .bind(project)
        .bind(&self.name)
        .bind(&self.metadata)
        .bind(&self.annotations)
        .bind(self.rev)
        .run(write, || self.taken())
        .await
    }

    /// Finds a room by its name, or creates one with nothing in it.
    ///
    /// # Errors
    ///
    /// 400 for a name that no room can have; the store failed.
    pub async fn ensure(store: &Store, project: &str, name: &str) -> Result<Self> {
        rules::room_name(name).map_err(Refusal::at("name"))?;
        let mut write = store.write().await?;
        if let Some(room) = Self::find(write.reads(), project, name).await? {
            return Ok(room);
        }
        let room = Self {
            id: Uuid::new_v4().to_string(),
            name: name.to_owned(),
            metadata: "{}".to_owned(),
            annotations: "{}".to_owned(),
            rev: write.revision().await?,
        };
        room.insert(&mut write, project).await?;
        write.commit().await?;
        Ok(room)
    }

    /// The message if the name is taken.
    pub fn taken(&self) -> String {
        format!("a room named {:?} already exists", self.name)
    }

    /// The room as the API returns it; neither map is ever null there.
    ///
    /// # Errors
    ///
    /// What is stored is not JSON.
    pub fn whole(&self) -> Result<Value> {
        Ok(json!({
            "id": self.id,
            "name": self.name,
            "metadata": stored(&self.metadata)?,
            "annotations": stored(&self.annotations)?,
        }))
    }
}

/// Refuses a room name that a document refers to and that does not exist: 400 naming the field,
/// because the body is wrong and not the path.
///
/// # Errors
///
/// 400; the store failed.
pub async fn required(reads: impl Reads, project: &str, (field, name): (&str, &str)) -> Result<()> {
    match Room::find(reads, project, name).await? {
        Some(_) => Ok(()),
        None => Err(Refusal::field(field, format!("room {name:?} does not exist"))),
    }
}

/// Updates the rows that name a room by its former name.
///
/// # Errors
///
/// The store failed.
pub async fn follow(
    change: &mut Change,
    project: &str,
    (room, former): (&Room, &str),
) -> Result<()> {
    let tables: Vec<String> = sqlx::query_scalar(NAMING).fetch_all(change.on()).await?;
    for table in tables {
        let sql = format!(
            "UPDATE {table} SET room_name = $1, rev = $2 WHERE project_id = $3 AND room_name = $4"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&room.name)
            .bind(room.rev)
            .bind(project)
            .bind(former)
            .execute(change.on())
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;

    /// All that a rename of a room writes to. A new table belongs here where its rows follow the
    /// room, and is named in [`NAMING`] where they keep the name that the room had.
    const RENAMED: [&str; 3] = ["mailboxes", "routes", "scheduled_tasks"];

    #[tokio::test]
    async fn tables_that_name_rooms_are_known_by_their_column() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data").as_path().into()).await.unwrap();
        store.close().await;
        let file = SqliteConnectOptions::new().filename(folder.path().join("data/platform.sqlite"));
        let file = SqlitePool::connect_with(file).await.unwrap();
        let view = "CREATE VIEW recent AS SELECT room_name, rev, project_id FROM sessions";
        sqlx::query(view).execute(&file).await.unwrap();
        let tables: Vec<String> = sqlx::query_scalar(NAMING).fetch_all(&file).await.unwrap();
        assert_eq!(tables, RENAMED);
    }
}
