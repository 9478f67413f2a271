//! Scheduled tasks run on time, once, in one of the processes that serve a folder.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::harness::token;
use super::hostile_rooms::{self, invoke};
use super::process::{Process, Reached, server};
use super::rooms::Visitor;

const TASKS: &str = "/scheduled-tasks";

/// How long it takes until a change is noticed, and more.
const NOTICED: Duration = Duration::from_secs(5);

async fn ask(reached: &Reached, method: &str, path: &str, body: Value) -> Value {
    let answer = reached.own(method, path).body(body.to_string()).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
    serde_json::from_str(&answer.text().await.expect("a body")).unwrap_or(Value::Null)
}

/// A task whose id is also its queue.
async fn create(reached: &Reached, id: &str, schedule: &str, more: Value) {
    let mut body = json!({
        "id": id, "room_name": "demo", "queue_name": id, "payload": {"of": id},
        "schedule": schedule,
    });
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    ask(reached, "POST", TASKS, body).await;
}

async fn task(reached: &Reached, id: &str) -> Value {
    let list = ask(reached, "GET", &format!("{TASKS}?task_id={id}"), Value::Null).await;
    list["tasks"][0].clone()
}

async fn database(data: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(data.join("platform.sqlite"));
    options.connect().await.expect("the database")
}

/// The queues of all messages.
async fn messages(data: &Path) -> Vec<String> {
    let sql = "SELECT queue FROM queue_messages ORDER BY queue";
    sqlx::query_scalar(sql).fetch_all(&mut database(data).await).await.expect("messages")
}

/// What a task with an id has become.
async fn outcome(data: &Path, reached: &Reached, id: &str) -> (usize, Value) {
    let messages = messages(data).await;
    let count = messages.iter().filter(|queue| *queue == id).count();
    (count, task(reached, id).await["last_status"].clone())
}

/// It waits for a minute to begin, since no task can be due before.
#[tokio::test]
async fn tasks_run_once_for_each_time_in_the_process_that_has_the_rooms() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = &folder.path().join("data");
    let mut first = Process::start(&mut server(data, ""));
    let second = Process::start(&mut server(data, ""));
    assert_eq!(first.reached.create_room("demo").await, Some(201));
    let due = jiff::Timestamp::now() + Duration::from_secs(60 + 8);
    let due = due.strftime("%M %H %d %m *").to_string();
    create(&first.reached, "task", &due, json!({})).await;
    create(&first.reached, "once", &due, json!({"once": true})).await;
    create(&first.reached, "paused", &due, json!({"active": false})).await;
    create(&first.reached, "deleted", &due, json!({})).await;
    create(&second.reached, "second", &due, json!({})).await;
    ask(&second.reached, "DELETE", &format!("{TASKS}/deleted"), Value::Null).await;
    let before = task(&first.reached, "task").await;
    assert_eq!((&before["last_run_id"], &before["last_status"]), (&Value::Null, &Value::Null));

    let end = Instant::now() + Duration::from_secs(75);
    while task(&second.reached, "task").await["last_status"].is_null() {
        assert!(Instant::now() < end, "nothing ran");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Another process takes the rooms within the same minute.
    first.child.kill().expect("a kill");
    first.child.wait().expect("its end");
    tokio::time::sleep(NOTICED).await;
    let holder = meshagent::platform::holder_of_rooms(data);
    assert_eq!(holder.as_deref(), Some(second.reached.url.as_str()));
    drop(second);
    let third = Process::start(&mut server(data, ""));
    tokio::time::sleep(NOTICED).await;

    let reached = &third.reached;
    assert_eq!(outcome(data, reached, "task").await, (1, json!("succeeded")));
    for id in ["once", "second"] {
        // The process may have been killed before these.
        let outcome = outcome(data, reached, id).await;
        assert!([(1, json!("succeeded")), (0, Value::Null)].contains(&outcome), "{id} {outcome:?}");
        let is_over = id == "once" && outcome.0 == 1;
        assert_eq!(task(reached, id).await["active"], json!(!is_over), "{id}");
    }
    assert_eq!(outcome(data, reached, "paused").await, (0, Value::Null));
    assert_eq!(outcome(data, reached, "deleted").await, (0, Value::Null));
    let after = task(reached, "task").await;
    assert_eq!(after["etag"], before["etag"]);
    let runs = reached.own("GET", &format!("{TASKS}/task/runs")).header("consistency", "fast");
    let runs = runs.send().await.expect("an answer").text().await.expect("a body");
    let runs: Value = serde_json::from_str(&runs).expect("JSON");
    assert_eq!((&runs["total"], &runs["runs"][0]["status"]), (&json!(1), &json!("submitted")));
    assert_eq!(runs["runs"][0]["id"], after["last_run_id"].to_string());

    let given = token(&reached.key, json!({"queues": {}}));
    let mut visitor = Visitor::try_enter(&reached.url, "demo", &given, false).await.expect("in");
    visitor.greeting().await;
    let asked = invoke(1, "queues", "receive", json!({"name": "task"}));
    assert_eq!(hostile_rooms::ask(&mut visitor, asked).await["json"], json!({"of": "task"}));
}

#[tokio::test]
async fn what_was_missed_is_told_when_the_server_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = &folder.path().join("data");
    let mut process = Process::start(&mut server(data, ""));
    process.reached.create_room("demo").await;
    create(&process.reached, "digest", "@yearly", json!({})).await;
    create(&process.reached, "report", "@monthly", json!({"active": false})).await;
    create(&process.reached, "never", "0 0 31 2 *", json!({})).await;
    process.terminate();
    process.ends(Duration::from_secs(10));
    // As if that had been years ago.
    let sql = "UPDATE scheduled_tasks SET since = '2020-06-01T00:00:00.000000Z', due_at = ''";
    let mut store = database(data).await;
    sqlx::query(sql).execute(&mut store).await.expect("an update");
    store.close().await.expect("its end");

    let path = folder.path().join("log");
    let log = std::fs::File::create(&path).expect("a log");
    let mut process = Process::start(server(data, "").stderr(log));
    tokio::time::sleep(NOTICED).await;
    assert_eq!(outcome(data, &process.reached, "digest").await, (0, Value::Null));
    process.terminate();
    process.ends(Duration::from_secs(10));
    let log = std::fs::read_to_string(&path).expect("a log");
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let (years, next) = (now.year() - 2020, now.year() + 1);
    let told = format!(
        "scheduled tasks missed runs, which are not made up for: \"digest\" of the room \"demo\" ({years} runs, next at {next}-01-01T00:00:00Z)"
    );
    assert_eq!(log.matches(&told).count(), 1, "{log}");
    assert!(!log.contains("report"), "{log}");
    let told = "the scheduled task \"never\" of the room \"demo\" does not run: there is no time";
    assert_eq!(log.matches(told).count(), 1, "{log}");
}

/// The schedule is one that only the store allows, so that much is due in a short time.
#[tokio::test]
async fn nothing_runs_twice_whenever_the_process_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = &folder.path().join("data");
    let mut process = Process::start(&mut server(data, ""));
    process.reached.create_room("demo").await;
    for number in 0..20 {
        create(&process.reached, &format!("task-{number}"), "@yearly", json!({})).await;
    }
    process.terminate();
    process.ends(Duration::from_secs(10));
    let sql = "UPDATE scheduled_tasks SET schedule = '* * * * * *', due_at = ''";
    let mut store = database(data).await;
    sqlx::query(sql).execute(&mut store).await.expect("an update");
    store.close().await.expect("its end");

    for life in [1500, 1998, 2002, 2509] {
        let mut process = Process::start(&mut server(data, ""));
        tokio::time::sleep(Duration::from_millis(life)).await;
        process.child.kill().expect("a kill");
        process.child.wait().expect("its end");
    }
    let mut store = database(data).await;
    let mut count = async |sql: &'static str| -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut store).await.expect("a count")
    };
    let messages = count("SELECT COUNT(*) FROM queue_messages").await;
    let times =
        count("SELECT COUNT(*) FROM (SELECT DISTINCT task_id, scheduled_time FROM task_runs)");
    let times = times.await;
    assert!(messages >= 20, "{messages}");
    assert_eq!((messages, times), (times, count("SELECT COUNT(*) FROM task_runs").await));
    let sql = "SELECT COUNT(*) FROM queue_messages JOIN task_runs \
         ON task_runs.task_id = queue AND task_runs.seq = queue_messages.seq";
    assert_eq!(count(sql).await, messages);
}
