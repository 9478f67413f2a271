//! A platform whose store can be looked into, in this process or in one of its own.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use meshagent::api::client::Client;
use meshagent::api::retry::Retry;
use meshagent::api::spoken::Spoken;
use meshagent::dialect::{self, Spelling};
use meshagent::kinds::shape::Form;
use meshagent::kinds::tree::Tree;
use meshagent::kinds::{KindName, schema};
use serde_json::{Map, Value, json};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

use crate::plain;
use crate::platform::harness::{self, Server};
use crate::platform::opened;
use crate::properties::generate::{Plain, Service, Wish};
use crate::spoken::speaking;

/// A platform.
pub struct Place {
    pub url: String,
    /// The API that is spoken.
    pub spoken: Spoken,
    pub key: String,
    pub project: String,
    pub store: SqlitePool,
    /// What a proxy reaches the platform with.
    pub http: reqwest::Client,
    kind: Runs,
    client: OnceCell<Client>,
}

enum Runs {
    Here { server: Server },
    Alone { child: Child, data: PathBuf, options: Vec<String>, _folder: tempfile::TempDir },
}

/// What each object of a set is, as far as its document says so.
pub type Facts = BTreeMap<String, String>;

/// The names of objects by their tables and ids.
pub type Names = BTreeMap<(&'static str, String), String>;

/// The objects of the kinds that have wishes of their own: a name that tells one from all others,
/// what its document says of it, and the number in its own name.
const FACTS: [&str; 6] = [
    "SELECT 'Room/' || name, json_extract(annotations, '$.\"meshagent.set\"') || ' ' || \
     coalesce(json_extract(metadata, '$.note'), ''), name FROM rooms",
    "SELECT 'Service/' || s.name || '@' || coalesce(r.name, ''), \
     json_extract(s.document, '$.container.image') || ' ' || coalesce((SELECT \
     group_concat(name) FROM (SELECT x.name FROM service_secrets y JOIN secrets x ON \
     x.id = y.secret_id WHERE y.service_id = s.id ORDER BY x.name)), '') || ' ' || \
     coalesce(json_extract(s.document, '$.ports[0].num'), ''), s.name \
     FROM services s LEFT JOIN rooms r ON r.id = s.room_id",
    "SELECT 'Mailbox/' || given, room_name || ' ' || public, given FROM mailboxes",
    "SELECT 'Route/' || given, room_name || ' ' || port, given FROM routes",
    "SELECT 'RoleGrant/user:' || u.email, CASE WHEN m.is_developer AND m.can_create_rooms \
     THEN 'developer room_creator' WHEN m.is_developer THEN 'developer' ELSE 'member' END, \
     u.email FROM members m JOIN users u ON u.id = m.user_id WHERE u.email LIKE 'person-%'",
    "SELECT 'RoleGrant/user:' || u.email || '@' || r.name, (SELECT group_concat(role, ' ') FROM \
     (SELECT role FROM role_grants WHERE resource_type = 'room' AND resource_id = g.room_id \
     AND subject_id = g.user_id AND seq = g.rev ORDER BY role)), u.email FROM room_grants g \
     JOIN users u ON u.id = g.user_id JOIN rooms r ON r.id = g.room_id WHERE u.email LIKE 'person-%'",
];

/// A row of a table, by its columns.
type Row = Map<String, Value>;

/// What the platform itself notes of scheduled tasks: when they are due, and their last run.
const OF_THE_CLOCK: [&str; 7] = [
    "due_at",
    "fired_for",
    "last_run_id",
    "last_start_time",
    "last_end_time",
    "last_status",
    "last_return_message",
];

/// The tables whose rows are looked at whole, and the columns with their names. Those of the plain
/// kinds without wishes of their own come on top.
const TABLES: [(&str, &str); 6] = [
    ("rooms", "name"),
    ("secrets", "name"),
    ("services", "name"),
    ("mailboxes", "given"),
    ("routes", "given"),
    ("files", "path"),
];

/// What [`Place::facts`] says of an object once the wish is granted.
pub fn fact(wish: &Wish) -> (String, String) {
    match wish {
        Wish::Room { name, note, .. } => (format!("Room/room-{name}"), format!("s {note}")),
        Wish::Secret { name, text, .. } => {
            (format!("Secret/secret-{name}"), format!("text {text}"))
        }
        Wish::Service(Service { name, room, secrets, port, note, .. }) => {
            let room = room.map(|room| format!("room-{room}")).unwrap_or_default();
            let secrets: Vec<String> =
                secrets.iter().map(|secret| format!("secret-{secret}")).collect();
            let port = port.map(|port| (5000 + u16::from(port)).to_string()).unwrap_or_default();
            let what = format!("image:{note} {} {port}", secrets.join(","));
            (format!("Service/service-{name}@{room}"), what)
        }
        Wish::Mailbox { name, room, public, .. } => (
            format!("Mailbox/box-{name}@mail.localhost"),
            format!("room-{room} {}", u8::from(*public)),
        ),
        Wish::Route { name, room, port } => (
            format!("Route/route-{name}.meshagent.app"),
            format!("room-{room} {}", 5000 + u16::from(*port)),
        ),
        Wish::Grant { name, room, .. } => {
            let mut roles: Vec<String> =
                serde_json::from_value(wish.document()["roles"].clone()).unwrap();
            roles.sort();
            let room = room.map(|room| format!("@room-{room}")).unwrap_or_default();
            (format!("RoleGrant/user:person-{name}@example.com{room}"), roles.join(" "))
        }
        Wish::Plain(Plain { kind, name, .. }) => {
            let declared = plain::declared(*kind, &wish.document());
            let owner = if kind.kind().carries_owner() { "s" } else { "-" };
            let fact = plain_fact(&declared.fields, owner);
            (format!("{kind}/{}", Plain::called(*kind, *name)), fact)
        }
    }
}

/// What is said of an object of a plain kind: the room that it names and the set that owns it, or
/// `-`, and its fields.
fn plain_fact(fields: &Tree, owner: &str) -> String {
    let room = fields.get("room").and_then(Tree::as_str).unwrap_or("-");
    format!("{room} {owner} {}", plain::told(fields))
}

/// How the list of a plain kind is called, in both APIs.
fn noun_of(kind: KindName) -> &'static str {
    dialect::of(Spoken::V0_31, kind).collection().noun
}

/// The table of a plain kind, which is called as its list is.
fn table_of(kind: KindName) -> String {
    noun_of(kind).replace('-', "_")
}

/// The column by which objects are called in a table of a plain kind: where there are no names,
/// they have their ids from whoever makes them.
fn name_in(row: &Row) -> &'static str {
    // Where only one API has names, clients of the other one give none.
    if row.get("name").is_some_and(Value::is_string) { "name" } else { "id" }
}

/// The fields of an object of a plain kind, and the set that owns it, as its row has them. The
/// column of a field is called as the field is, and ends in `_name` where that names something else.
fn fields_in(kind: KindName, row: &Row) -> (Tree, String) {
    let (shape, schema) = (kind.kind().shape(), schema::inlined(kind.kind()));
    let Form::Object(fields) = &shape.form else { panic!("{kind} has no fields") };
    let json = |text: &Value| match text {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        null => null.clone(),
    };
    let (mut document, mut owner) = (Map::new(), "-".to_owned());
    for (field, shape) in fields {
        if &**field == "metadata" {
            let mut annotations: Value = json(&row["annotations"]);
            let set = annotations.as_object_mut().unwrap().shift_remove("meshagent.set");
            owner = set.map_or(owner, |set| set.as_str().unwrap().to_owned());
            document.insert(field.to_string(), json!({"annotations": annotations}));
            continue;
        }
        let named = format!("{field}_name");
        let value = row.get(&**field).or_else(|| row.get(&named));
        let value = value.unwrap_or_else(|| panic!("{kind} has no column for `{field}`: {row:?}"));
        let value = match shape.form {
            Form::Scalar if schema["properties"][&**field]["type"] == "boolean" => {
                (*value == json!(1)).into()
            }
            Form::Scalar => value.clone(),
            _ => json(value),
        };
        // What need not be there is kept as an empty text.
        if value != "" {
            document.insert(field.to_string(), value);
        }
    }
    (shape.read(&document.into()), owner)
}

/// Whether a run may be under way, and objects on their way to another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    UnderWay,
    Done,
}

/// Names are numbered, and the first three numbers are of the set that is looked at.
fn is_ours(name: &str, stage: Stage) -> bool {
    // The file in which both sets stand.
    if name == ".meshagent/sets.json" {
        return true;
    }
    if let Some(file) = name.strip_prefix(".meshagent/history/") {
        return file.starts_with("s/");
    }
    if name.starts_with("moving-") {
        return stage == Stage::UnderWay;
    }
    let number: String = name.chars().filter(char::is_ascii_digit).take(1).collect();
    match number.parse::<u8>() {
        Ok(number) => number < 3,
        Err(_) => name.starts_with(".meshagent/sets/s."),
    }
}

/// What is not ours, whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Others {
    /// Each object, with what changes when its room is renamed: the room's name and the
    /// object's revision.
    rows: BTreeMap<String, Option<(String, i64)>>,
    /// The names of all rooms by their ids.
    rooms: BTreeMap<String, String>,
}

impl Others {
    /// What differs later, and how. What is in one of our rooms goes along with that one when
    /// it is renamed, and nothing else may change.
    pub fn touched(&self, later: &Self) -> Vec<String> {
        let rows: BTreeSet<&String> = self.rows.keys().chain(later.rows.keys()).collect();
        let went_along = |row: &String| {
            let (Some(Some((before, _))), Some(Some((after, _)))) =
                (self.rows.get(row), later.rows.get(row))
            else {
                return false;
            };
            let mut rooms = self.rooms.iter().filter(|(_, name)| *name == before);
            before != after && rooms.any(|(id, _)| later.rooms.get(id) == Some(after))
        };
        rows.into_iter()
            .filter(|row| self.rows.get(*row) != later.rows.get(*row) && !went_along(row))
            .map(|row| format!("{row}: {:?} -> {:?}", self.rows.get(row), later.rows.get(row)))
            .collect()
    }

    /// Without what a list may have hidden and went with a room of ours. Of what a platform shows in
    /// no list, before a plan and before the room is deleted, nobody can know.
    pub fn without_hidden(mut self, list: &str, later: &Self) -> Self {
        let table = list.trim_start_matches('/').replace('-', "_");
        let is_hidden =
            |row: &str| row.strip_prefix(&table).is_some_and(|rest| rest.starts_with(' '));
        let is_gone = |(id, _): &(&String, &String)| !later.rooms.contains_key(*id);
        let gone: Vec<_> = self.rooms.iter().filter(is_gone).collect();
        self.rows.retain(|row, told| {
            let names = |name: &String| told.as_ref().is_some_and(|(room, _)| room == name);
            let was_in_it = gone.iter().any(|(id, name)| row.contains(*id) || names(name));
            later.rows.contains_key(row) || !was_in_it || !is_hidden(row)
        });
        self
    }
}

/// What there was before a step.
pub struct Before<'a> {
    pub facts: &'a Facts,
    pub names: &'a Names,
}

impl Before<'_> {
    /// An object that there was, as it must be where nothing was pruned: under the name that
    /// it has by now, with the names of what it refers to.
    pub fn renamed(&self, now: &Names, key: &str, fact: &str) -> (String, String) {
        let name = |table: &'static str, name: &str| {
            let mut ids =
                self.names.iter().filter(|((of, _), known)| *of == table && *known == name);
            let now = ids.find_map(|(id, _)| now.get(id));
            now.map_or(name, String::as_str).to_owned()
        };
        let (kind, called) = key.split_once('/').unwrap();
        let words: Vec<&str> = fact.split(' ').collect();
        match (kind, words.as_slice()) {
            ("Room", _) => (format!("Room/{}", name("rooms", called)), fact.to_owned()),
            ("RoleGrant", _) => match called.split_once(".com@") {
                Some((who, room)) => {
                    (format!("RoleGrant/{who}.com@{}", name("rooms", room)), fact.to_owned())
                }
                None => (key.to_owned(), fact.to_owned()),
            },
            ("Secret", _) => (format!("Secret/{}", name("secrets", called)), fact.to_owned()),
            ("Service", [image, secrets, port]) => {
                let secrets = secrets.split(',').map(|secret| name("secrets", secret));
                let mut secrets: Vec<String> = secrets.collect();
                secrets.sort();
                let fact = format!("{image} {} {port}", secrets.join(","));
                (format!("Service/{}", name("services", called)), fact)
            }
            (_, [room, rest @ ..]) => {
                let of_kind = Plain::kinds().into_iter().find(|it| it.to_string() == kind);
                let called = of_kind.map_or(called.to_owned(), |kind| name(noun_of(kind), called));
                let room = name("rooms", room);
                (format!("{kind}/{called}"), [&[room.as_str()], rest].concat().join(" "))
            }
            _ => panic!("{key} is told as {fact:?}"),
        }
    }
}

impl Place {
    /// A platform in this process, with pages that are no larger than this where they are asked
    /// for by tokens.
    pub async fn here(spoken: Spoken, pages: Option<i64>) -> Self {
        let server = Server::capping(pages).await;
        Self {
            url: server.url.clone(),
            spoken,
            key: server.owner.clone(),
            project: server.project.clone(),
            store: server.store().await,
            http: harness::client(),
            kind: Runs::Here { server },
            client: OnceCell::new(),
        }
    }

    /// The same in a process of its own. What asks it finds out which API it speaks.
    pub async fn alone(spoken: Spoken, pages: Option<i64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut options = vec!["--dialect".to_owned(), spoken.to_string()];
        options.extend(pages.into_iter().flat_map(|it| ["--page-cap".to_owned(), it.to_string()]));
        let (child, [url, key, project]) = start(data.clone(), options.clone()).await;
        let store = SqliteConnectOptions::new().filename(data.join("platform.sqlite"));
        let store = SqlitePool::connect_with(store).await.unwrap();
        let kind = Runs::Alone { child, data, options, _folder: folder };
        let client = OnceCell::new();
        Self { url, spoken, key, project, store, http: harness::client(), kind, client }
    }

    /// Kills the platform's process, and starts it again on another port.
    pub async fn kill_and_start(&mut self) {
        let Runs::Alone { child, data, options, .. } = &mut self.kind else {
            panic!("this platform has no process of its own");
        };
        child.kill().unwrap();
        child.wait().unwrap();
        let (again, [url, ..]) = start(data.clone(), options.clone()).await;
        *child = again;
        self.url = url;
        self.client = OnceCell::new();
    }

    pub fn is_alone(&self) -> bool {
        matches!(self.kind, Runs::Alone { .. })
    }

    /// A client of the platform itself.
    pub fn client(&self) -> Client {
        self.client.get_or_init(|| self.client_at(&self.url)).clone()
    }

    /// A client of whatever stands in front of the platform.
    pub fn client_at(&self, url: &str) -> Client {
        let retry = Retry { timeout: std::time::Duration::from_secs(20), ..Retry::default() };
        speaking(Client::new(url, self.key.clone().into(), retry).unwrap(), self.spoken)
    }

    /// How the platform spells a kind.
    pub fn spelling(&self, kind: KindName) -> &'static dyn Spelling {
        dialect::of(self.spoken, kind)
    }

    /// The rows of a table.
    async fn rows(&self, table: &str) -> Vec<Row> {
        let columns: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "SELECT '''' || name || ''', ' || CASE type WHEN 'BLOB' THEN 'hex(' || name || ')' \
             ELSE name END FROM pragma_table_info('{table}')"
        )))
        .fetch_all(&self.store)
        .await
        .unwrap();
        assert!(!columns.is_empty(), "there is no table {table}");
        let query = format!("SELECT json_object({}) FROM {table}", columns.join(", "));
        let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_all(&self.store);
        let rows: Vec<String> = rows.await.unwrap();
        let read = |row: &String| {
            let mut row: Row = serde_json::from_str(row).unwrap();
            row.retain(|name, _| !OF_THE_CLOCK.contains(&name.as_str()));
            row
        };
        rows.iter().map(read).collect()
    }

    /// The objects that are not ours, whole, with their revisions.
    pub async fn others(&self, stage: Stage) -> Others {
        let mut tables = Vec::new();
        for (table, name) in TABLES {
            tables.push((table.to_owned(), name, self.rows(table).await));
        }
        for kind in Plain::kinds() {
            let rows = self.rows(&table_of(kind)).await;
            let name = rows.first().map_or("id", name_in);
            tables.push((table_of(kind), name, rows));
        }
        let mut found = BTreeMap::new();
        for (table, name, rows) in tables {
            let is_other = |row: &Row| !is_ours(row[name].as_str().unwrap(), stage);
            for mut row in rows.into_iter().filter(is_other) {
                // All that changes with the room's name.
                let room = row.shift_remove("room_name").map(|room| {
                    let rev = row.shift_remove("rev").and_then(|rev| rev.as_i64()).unwrap();
                    (room.as_str().unwrap().to_owned(), rev)
                });
                found.insert(format!("{table} {}", Value::Object(row)), room);
            }
        }
        let rooms = sqlx::query_as("SELECT id, name FROM rooms").fetch_all(&self.store);
        let rooms: Vec<(String, String)> = rooms.await.unwrap();
        Others { rows: found, rooms: rooms.into_iter().collect() }
    }

    /// The objects of the plain kinds without wishes of their own, with what they are called.
    async fn plain_objects(&self) -> Vec<(KindName, String, Row)> {
        let mut found = Vec::new();
        for kind in Plain::kinds() {
            let rows = self.rows(&table_of(kind)).await.into_iter();
            let named = |row: Row| (kind, row[name_in(&row)].as_str().unwrap().to_owned(), row);
            found.extend(rows.map(named));
        }
        found
    }

    /// The names of what can be renamed, by kind and id; of services with their rooms.
    pub async fn names(&self) -> Names {
        let mut names = BTreeMap::new();
        for table in ["rooms", "secrets", "services"] {
            let query = match table {
                "services" => "SELECT s.id, s.name || '@' || coalesce(r.name, '') FROM services s \
                     LEFT JOIN rooms r ON r.id = s.room_id"
                    .to_owned(),
                _ => format!("SELECT id, name FROM {table}"),
            };
            let rows = sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_all(&self.store);
            let rows: Vec<(String, String)> = rows.await.unwrap();
            names.extend(rows.into_iter().map(|(id, name)| ((table, id), name)));
        }
        for (kind, name, row) in self.plain_objects().await {
            // What is called by its id keeps it.
            if name_in(&row) == "name" {
                let id = row["id"].as_str().unwrap().to_owned();
                names.insert((noun_of(kind), id), name);
            }
        }
        names
    }

    /// Our objects. One that is there twice ends the test.
    pub async fn facts(&self, stage: Stage) -> Facts {
        let mut facts = Facts::new();
        let folder = match &self.kind {
            Runs::Here { server } => server.folder(),
            Runs::Alone { data, .. } => data.clone(),
        };
        // Names of secrets are unique.
        for (name, data) in opened::secrets(&folder, &self.store).await {
            if is_ours(&name, stage) {
                let text = data["TEXT"].as_str().unwrap_or_default().to_owned();
                facts.insert(format!("Secret/{name}"), text);
            }
        }
        for query in FACTS {
            let rows: Vec<(String, Option<String>, String)> =
                sqlx::query_as(query).fetch_all(&self.store).await.unwrap();
            for (key, fact, name) in rows {
                if is_ours(&name, stage) {
                    let twice = facts.insert(key.clone(), fact.unwrap_or_default());
                    assert_eq!(twice, None, "{key} is there twice");
                }
            }
        }
        for (kind, name, row) in self.plain_objects().await {
            if is_ours(&name, stage) {
                let key = format!("{kind}/{name}");
                let (fields, owner) = fields_in(kind, &row);
                let twice = facts.insert(key.clone(), plain_fact(&fields, &owner));
                assert_eq!(twice, None, "{key} is there twice");
            }
        }
        facts
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Runs::Alone { child, .. } = &mut self.kind {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts the program's server, and reads where it is and for whom.
async fn start(data: PathBuf, options: Vec<String>) -> (Child, [String; 3]) {
    tokio::task::spawn_blocking(move || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_meshagent"))
            .args(["server", "--listen", "127.0.0.1:0", "--print-env", "--data"])
            .arg(data)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let values: Vec<String> = lines
            .take(3)
            .map(|line| line.unwrap().split_once('=').unwrap().1.trim_matches('\'').to_owned())
            .collect();
        (child, values.try_into().unwrap())
    })
    .await
    .unwrap()
}
