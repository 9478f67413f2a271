//! Rooms.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{QueryBuilder, SqlitePool};
use uuid::Uuid;

use super::stored;
use crate::kinds::specs::rules;
use crate::platform::error::{Refusal, Result};
use crate::platform::store::{Change, Reads, Store, Write, insert, of_row, select};

/// The tables whose rows contain the current name of a room, which may be renamed or deleted:
/// those with a column `room_name`. The records of sessions and of runs of tasks keep the name that
/// the room had then. A view has no rows of its own.
const NAMING: &str = "SELECT tables.name FROM sqlite_schema AS tables \
     JOIN pragma_table_info(tables.name) AS columns \
     WHERE tables.type = 'table' AND columns.name = 'room_name' \
     AND tables.name NOT IN ('sessions', 'task_runs') \
     ORDER BY tables.name";

/// An annotation of rooms: how many seconds a room goes on without participants.
const EMPTY_TIMEOUT: &str = "meshagent.room.empty-room-timeout";

/// An annotation of rooms: how many seconds a room runs at most.
const MAX_RUNTIME: &str = "meshagent.room.max-runtime-seconds";

/// How long a room runs, by its annotations.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// How long it goes on without participants.
    pub lingers: Duration,
    /// How long it runs at most, whoever is in it.
    pub most: Option<Duration>,
}

impl Runtime {
    /// Reads an annotation; any other one says nothing.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read(&mut self, (name, text): (&str, &str)) -> Result<(), &'static str> {
        if ![EMPTY_TIMEOUT, MAX_RUNTIME].contains(&name) {
            return Ok(());
        }
        // More is a hundred years.
        let seconds: u32 = text.trim().parse().map_err(|_| "must be a whole number of seconds")?;
        let time = Duration::from_secs(seconds.into());
        if name == EMPTY_TIMEOUT {
            self.lingers = time;
        } else if seconds > 0 {
            self.most = Some(time);
        } else {
            return Err("must be at least 1: nobody could stay in the room");
        }
        Ok(())
    }
}

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
    /// Whether it may be entered.
    pub enabled: bool,
    /// Its revision.
    pub rev: i64,
}

of_row!(Room { id, name, metadata, annotations, enabled, rev });

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
            "SELECT id, name, metadata, annotations, enabled, rev FROM rooms \
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
            "SELECT id, name, metadata, annotations, enabled, rev FROM rooms \
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

    /// Refuses to let anybody into a room that is disabled.
    ///
    /// # Errors
    ///
    /// 423.
    pub fn require_enabled(&self) -> Result<()> {
        if self.enabled { Ok(()) } else { Err(Refusal::Disabled(self.name.clone())) }
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
            enabled: true,
            rev: write.revision().await?,
        };
        room.insert(&mut write, project).await?;
        write.commit().await?;
        Ok(room)
    }

    /// How long it runs. What cannot be read says nothing, and is returned with what is wrong: such
    /// annotations were stored by earlier platforms.
    pub fn runtime(&self) -> (Runtime, Vec<String>) {
        let annotations = stored(&self.annotations).unwrap_or_default();
        let annotations = annotations.as_object().into_iter().flatten();
        let (mut runtime, mut unread) = (Runtime::default(), Vec::new());
        for (name, text) in annotations {
            if let Err(problem) = runtime.read((name, text.as_str().unwrap_or_default())) {
                unread.push(format!("{name} {problem}"));
            }
        }
        (runtime, unread)
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

    #[test]
    fn how_long_a_room_runs_is_read_from_its_annotations() {
        let room = |annotations: Value| Room {
            id: String::new(),
            name: String::new(),
            metadata: String::new(),
            annotations: annotations.to_string(),
            enabled: true,
            rev: 0,
        };
        let seconds = Duration::from_secs;
        let read = |annotations: Value| room(annotations).runtime();
        let both = json!({EMPTY_TIMEOUT: " 60 ", MAX_RUNTIME: "3600", "other": "abc"});
        let expected = Runtime { lingers: seconds(60), most: Some(seconds(3600)) };
        assert_eq!(read(both), (expected, Vec::new()));
        assert_eq!(read(json!({EMPTY_TIMEOUT: "0"})), (Runtime::default(), Vec::new()));
        for wrong in ["abc", "1.5", "", "-1", "4294967296", "1s"] {
            let unread = read(json!({EMPTY_TIMEOUT: wrong, MAX_RUNTIME: "5"}));
            let expected = Runtime { lingers: seconds(0), most: Some(seconds(5)) };
            let told = format!("{EMPTY_TIMEOUT} must be a whole number of seconds");
            assert_eq!(unread, (expected, vec![told]), "{wrong}");
        }
        let (runtime, unread) = read(json!({MAX_RUNTIME: "0"}));
        assert_eq!((runtime.most, unread.len()), (None, 1));
    }

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
