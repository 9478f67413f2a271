//! The time is a parameter of what is tested, so nothing waits.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::*;
use crate::platform::bootstrap;
use crate::platform::live::{ContainerSettings, Limits, Rooms};
use crate::platform::objects::rooms::Room;
use crate::platform::store::Store;
use crate::room::queues::Receive;

/// A platform with the room `lobby`, and tasks since nine o'clock.
struct World {
    rooms: Rooms,
    project: String,
    room: String,
    _folder: tempfile::TempDir,
}

fn at(time: &str) -> Timestamp {
    format!("2026-03-02T{time}Z").parse().unwrap()
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data").as_path().into()).await.unwrap();
        let project = bootstrap::ensure(&store).await.unwrap().project_id;
        let room = Room::ensure(&store, &project, "lobby").await.unwrap().id;
        let address = "127.0.0.1:1".parse().unwrap();
        let rooms = Rooms::new(
            Arc::new(store),
            address,
            Limits::new(64),
            None,
            ContainerSettings::default(),
        )
        .unwrap();
        Self { rooms, project, room, _folder: folder }
    }

    fn house(&self) -> &Arc<House> {
        &self.rooms.0
    }

    async fn write(&self, sql: impl Into<String>) {
        let mut change = self.house().store.write().await.unwrap().without_condition();
        sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(change.on()).await.unwrap();
        change.revision().await.unwrap();
        change.commit().await.unwrap();
    }

    async fn read<T>(&self, sql: &str) -> Vec<T>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + Send + Unpin,
    {
        let rows = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        rows.fetch_all(self.house().store.reads()).await.unwrap()
    }

    /// A task whose id is also its queue.
    async fn task(&self, id: &str, schedule: &str, once: bool) {
        let (project, since) = (&self.project, stamp(at("09:00:00")));
        let payload = json!({"of": id});
        self.write(format!(
            "INSERT INTO scheduled_tasks (project_id, id, room_name, queue_name, payload, \
             schedule, active, once, annotations, seq, rev, since) VALUES ('{project}', '{id}', \
             'lobby', '{id}', '{payload}', '{schedule}', TRUE, {once}, '{{}}', 1, 1, '{since}')"
        ))
        .await;
    }

    /// A clock that came to be at nine, and has seen the tasks.
    async fn clock(&self) -> Clock {
        let mut clock = Clock::new(at("09:00:00"));
        clock.pass(self.house(), at("09:00:00")).await.unwrap();
        clock
    }

    async fn pass(&self, clock: &mut Clock, time: &str) {
        clock.pass(self.house(), at(time)).await.unwrap();
    }

    /// The queues of all messages, in their order.
    async fn messages(&self) -> Vec<String> {
        self.read("SELECT queue FROM queue_messages ORDER BY queue, seq").await
    }

    async fn statuses(&self) -> Vec<Option<String>> {
        self.read("SELECT last_status FROM scheduled_tasks ORDER BY id").await
    }
}

#[tokio::test]
async fn a_task_runs_once_for_each_time_whatever_the_clock_says() {
    let world = World::new().await;
    world.task("hourly", "0 * * * *", false).await;
    let mut clock = world.clock().await;
    for time in ["09:30:00", "09:59:59.9"] {
        world.pass(&mut clock, time).await;
        assert_eq!(world.messages().await, [""; 0], "{time}");
    }
    assert_eq!(clock.pause(at("09:59:59.5")), Duration::from_millis(500));
    assert_eq!(clock.pause(at("09:30:00")), LOOKING);
    for time in ["10:00:00.001", "10:00:00.5", "10:00:59", "09:59:00", "10:00:00", "10:00:01"] {
        world.pass(&mut clock, time).await;
        assert_eq!(world.messages().await, ["hourly"], "{time}");
    }
    // Another process, before and after that time.
    for from in ["10:00:30", "09:30:00"] {
        let mut clock = Clock::new(at(from));
        world.pass(&mut clock, "10:00:40").await;
        assert_eq!(world.messages().await, ["hourly"], "{from}");
    }
    world.pass(&mut clock, "11:00:01").await;
    assert_eq!(world.messages().await, ["hourly", "hourly"]);
    let payloads: Vec<String> = world.read("SELECT message FROM queue_messages").await;
    let payload: Value = serde_json::from_str(&payloads[0]).unwrap();
    assert_eq!(payload, json!({"of": "hourly"}));
    // A run is no change of the task.
    let rev: Vec<i64> = world.read("SELECT rev FROM scheduled_tasks").await;
    assert_eq!(rev, [1]);
    let started: Vec<String> = world.read("SELECT last_start_time FROM scheduled_tasks").await;
    assert_eq!(started, ["2026-03-02T11:00:01.000000Z"]);
    let runs: Vec<String> = world.read("SELECT scheduled_time FROM task_runs ORDER BY seq").await;
    assert_eq!(runs, ["2026-03-02T10:00:00.000000Z", "2026-03-02T11:00:00.000000Z"]);
}

#[tokio::test]
async fn a_clock_that_was_far_ahead_keeps_nothing_from_running() {
    let world = World::new().await;
    world.task("hourly", "0 * * * *", false).await;
    let mut clock = Clock::new("2099-01-01T00:00:00Z".parse().unwrap());
    clock.pass(world.house(), "2099-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
    world.pass(&mut clock, "09:30:00").await;
    world.pass(&mut clock, "10:00:00").await;
    assert_eq!(world.messages().await, ["hourly"]);
}

#[tokio::test]
async fn whoever_waits_for_a_message_gets_that_of_a_task() {
    let world = World::new().await;
    world.task("hourly", "0 * * * *", false).await;
    let mut clock = world.clock().await;
    let queues = world.house().queues(&world.room);
    let asked = json!({"name": "hourly", "create": true, "wait": true});
    let asked: Receive = serde_json::from_value(asked).unwrap();
    let (received, ()) = tokio::join!(queues.receive(asked), async {
        // The receiver has asked by the time that its queue is there.
        while world.read::<i64>("SELECT COUNT(*) FROM queues").await == [0] {
            tokio::task::yield_now().await;
        }
        world.pass(&mut clock, "10:00:00").await;
    });
    let (message, delivery) = received.unwrap().unwrap();
    delivery.done();
    assert_eq!(message, json!({"of": "hourly"}));
}

#[tokio::test]
async fn a_task_that_runs_once_is_inactive_after_it_has_run() {
    let world = World::new().await;
    world.task("single", "* * * * *", true).await;
    let mut clock = world.clock().await;
    for time in ["09:01:00", "09:02:00", "09:03:00"] {
        world.pass(&mut clock, time).await;
        assert_eq!(world.messages().await, ["single"], "{time}");
    }
    let active: Vec<bool> = world.read("SELECT active FROM scheduled_tasks").await;
    let rev: Vec<i64> = world.read("SELECT rev FROM scheduled_tasks").await;
    assert!(!active[0] && rev[0] > 1, "{active:?} {rev:?}");
}

#[tokio::test]
async fn what_was_missed_is_counted_and_not_made_up_for() {
    let world = World::new().await;
    world.task("a-hourly", "0 * * * *", false).await;
    world.task("b-minutes", "* * * * *", false).await;
    world.task("c-interval", "30 minutes", false).await;
    world.task("d-yearly", "@yearly", false).await;
    world.task("e-never", "0 0 30 2 *", false).await;
    let clock = Clock::new(at("12:15:00"));
    let missed = clock.find_out(world.house(), at("12:15:00")).await.unwrap();
    let told: Vec<_> = missed.iter().map(|one| (one.task.id.as_str(), one.count())).collect();
    assert_eq!(told, [("a-hourly", 3), ("b-minutes", 101), ("c-interval", 6)]);
    let told = missed[0].to_string();
    assert_eq!(told, "\"a-hourly\" of the room \"lobby\" (3 runs, next at 2026-03-02T13:00:00Z)");
    assert!(missed[1].to_string().contains("more than 100 runs"));
    assert_eq!(missed[2].next, Some(at("12:30:00")));
    let due = "SELECT due_at FROM scheduled_tasks WHERE id = 'e-never'";
    assert_eq!(world.read::<String>(due).await, [NEVER]);
    let mut clock = Clock::new(at("12:15:00"));
    world.pass(&mut clock, "12:15:30").await;
    assert_eq!(world.messages().await, [""; 0]);
    world.pass(&mut clock, "12:16:00").await;
    assert_eq!(world.messages().await, ["b-minutes"]);
    // The process was stopped for a while.
    world.pass(&mut clock, "13:02:00").await;
    assert_eq!(world.messages().await, ["b-minutes", "b-minutes"]);
    world.pass(&mut clock, "14:00:59").await;
    assert_eq!(world.messages().await[..1], ["a-hourly"]);
}

#[tokio::test]
async fn changes_of_tasks_and_rooms_count_at_once() {
    let world = World::new().await;
    for id in ["changed", "deleted", "inactive", "moved"] {
        world.task(id, "0 10 * * *", false).await;
    }
    let mut clock = world.clock().await;
    world
        .write(
            "DELETE FROM scheduled_tasks WHERE id = 'deleted'; \
             UPDATE scheduled_tasks SET active = FALSE, rev = 2 WHERE id = 'inactive'; \
             UPDATE scheduled_tasks SET schedule = '0 11 * * *', due_at = '', rev = 2 \
             WHERE id = 'changed'; \
             UPDATE rooms SET name = 'hall'; UPDATE scheduled_tasks SET room_name = 'hall', rev = 2",
        )
        .await;
    world.pass(&mut clock, "10:00:00").await;
    assert_eq!(world.messages().await, ["moved"]);
    world.task("new", "30 10 * * *", false).await;
    world.write("UPDATE scheduled_tasks SET room_name = 'hall' WHERE id = 'new'").await;
    world.pass(&mut clock, "10:15:00").await;
    world.pass(&mut clock, "10:30:00").await;
    world.pass(&mut clock, "11:00:00").await;
    assert_eq!(world.messages().await, ["changed", "moved", "new"]);
    world.write("DELETE FROM rooms").await;
    world.pass(&mut clock, "10:45:00").await;
    let mut clock = Clock::new(at("11:00:00"));
    clock.pass(world.house(), "2026-03-03T10:00:00Z".parse().unwrap()).await.unwrap();
    assert_eq!(world.messages().await, [""; 0]);
    let why = "SELECT last_return_message FROM scheduled_tasks WHERE id = 'moved'";
    let why: Vec<String> = world.read(why).await;
    assert!(why[0].contains("no such room"), "{why:?}");
}

#[tokio::test]
async fn a_task_that_was_changed_after_it_was_read_does_not_run() {
    let world = World::new().await;
    world.task("hourly", "0 * * * *", false).await;
    world.clock().await;
    let due = tasks::due(&world.house().store, &stamp(at("10:00:00")), None).await.unwrap();
    world.write("UPDATE scheduled_tasks SET queue_name = 'other', rev = 2").await;
    run_task(world.house(), &due[0], at("10:00:00")).await.unwrap();
    assert_eq!(world.messages().await, [""; 0]);
    let mut clock = Clock::new(at("09:00:00"));
    world.pass(&mut clock, "10:00:00").await;
    assert_eq!(world.messages().await, ["other"]);
}

#[tokio::test]
async fn what_keeps_one_task_from_running_keeps_no_other_one() {
    let world = World::new().await;
    for id in ["closed", "fine", "full", "nowhere"] {
        world.task(id, "0 * * * *", true).await;
    }
    world.write("UPDATE scheduled_tasks SET room_name = 'none' WHERE id = 'nowhere'").await;
    world
        .write(
            "CREATE TRIGGER full BEFORE INSERT ON queue_messages WHEN new.queue = 'full' \
             BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .await;
    let queues = world.house().queues(&world.room);
    queues.open("closed".to_owned()).await.unwrap();
    queues.close("closed".to_owned()).await.unwrap();
    let mut clock = world.clock().await;
    let mut kept = Kept::default();
    run_all(world.house(), at("10:00:00"), &mut kept).await.unwrap();
    assert_eq!(kept.back.len(), 2, "{:?}", kept.back);
    assert!(kept.back[1].starts_with("\"nowhere\" of the room \"none\" ("), "{:?}", kept.back);
    assert!(kept.waiting[0].starts_with("\"full\" of the room \"lobby\" ("), "{:?}", kept.waiting);
    let failed = || Some("failed".to_owned());
    let succeeded = || Some("succeeded".to_owned());
    assert_eq!(world.statuses().await, [failed(), succeeded(), None, failed()]);
    assert_eq!(world.messages().await, ["fine"]);
    let active: Vec<String> =
        world.read("SELECT id FROM scheduled_tasks WHERE active ORDER BY id").await;
    assert_eq!(active, ["closed", "full", "nowhere"]);
    let errors: Vec<String> = world.read("SELECT error FROM task_runs WHERE error <> ''").await;
    assert!(errors.iter().any(|error| error.contains("is closed")), "{errors:?}");
    // What the store refused is tried again, and nothing of it was done.
    world.write("DROP TRIGGER full").await;
    world.pass(&mut clock, "10:00:02").await;
    assert_eq!(world.messages().await, ["fine", "full"]);
    // One that runs once and failed runs the next time.
    queues.open("closed".to_owned()).await.unwrap();
    world.pass(&mut clock, "11:00:00").await;
    assert_eq!(world.messages().await, ["closed", "fine", "full"]);
}

/// One may be created after it was found out when the others are due.
#[tokio::test]
async fn a_task_of_which_it_is_not_known_when_it_is_due_does_not_run() {
    let world = World::new().await;
    let mut clock = world.clock().await;
    world.task("new", "0 0 1 1 *", true).await;
    let mut kept = Kept::default();
    run_all(world.house(), at("10:00:00"), &mut kept).await.unwrap();
    assert_eq!(world.messages().await, [""; 0]);
    assert_eq!(world.statuses().await, [None]);
    world.pass(&mut clock, "10:00:02").await;
    assert_eq!(world.messages().await, [""; 0]);
}

#[tokio::test]
async fn many_tasks_are_due_at_once_and_few_runs_are_remembered() {
    let world = World::new().await;
    world.task("one", "* * * * *", false).await;
    world
        .write(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION SELECT n + 1 FROM numbers \
             WHERE n < 999) INSERT INTO scheduled_tasks (project_id, id, room_name, queue_name, \
             payload, schedule, active, once, annotations, seq, rev, since) \
             SELECT project_id, 'task ' || n, room_name, 'many', payload, '0 * * * *', active, \
             once, annotations, n, n, since FROM scheduled_tasks, numbers",
        )
        .await;
    let mut clock = world.clock().await;
    for minute in 1..60 {
        world.pass(&mut clock, &format!("09:{minute:02}:00")).await;
    }
    assert_eq!(world.messages().await.len(), 59);
    let kept: Vec<i64> = world.read("SELECT COUNT(*) FROM task_runs").await;
    assert_eq!(kept, [tasks::KEPT]);
    world.pass(&mut clock, "10:00:00").await;
    assert_eq!(world.messages().await.len(), 59 + 1000);
}

/// In real time, with a schedule that only the store allows.
#[tokio::test]
async fn tasks_run_from_when_the_rooms_are_taken_until_the_platform_closes() {
    let world = World::new().await;
    world.task("seconds", "* * * * * *", false).await;
    world.task("deleted", "* * * * * *", false).await;
    let of = async |id: &str| world.messages().await.iter().filter(|it| *it == id).count();
    world.rooms.take_over().await;
    while of("seconds").await < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.write("DELETE FROM scheduled_tasks WHERE id = 'deleted'").await;
    let (deleted, seconds) = (of("deleted").await, of("seconds").await);
    while of("seconds").await < seconds + 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(of("deleted").await, deleted);
    world.rooms.close().await;
    let seconds = of("seconds").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(of("seconds").await, seconds);
}
