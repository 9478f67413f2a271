use meshagent_tables::Value;
use meshagent_tables::engine::{NewTable, Rows, Search};

use super::*;

fn participant(room: &Arc<InRoom>, who: &str) -> Access {
    Access::named(Arc::clone(room), who)
}

/// A room with a table of rows that are more than an answer is ahead of its reader.
async fn room(folder: &tempfile::TempDir) -> Arc<InRoom> {
    let unread = Duration::from_millis(1);
    let room = Arc::new(InRoom { unread, ..InRoom::new(folder.path().to_owned()) });
    let fill = |tables: &dyn Engine| {
        let new = NewTable { table: TableName::new("t"), ..NewTable::default() };
        let mut writer = tables.create(new)?;
        let row = |_| vec![("b".to_owned(), Value::Text("x".repeat(10_000)))];
        writer.write((0..500).map(row).collect())?;
        writer.finish()
    };
    participant(&room, "whoever fills it").change_tables(fill).await.unwrap();
    room
}

async fn first(access: &Access) -> Result<Box<dyn Rows>, Refused> {
    let table = TableName::new("t");
    let search = move |tables: &dyn Engine| {
        let mut rows = tables.search(Search { table, ..Search::default() })?;
        rows.next(1)?;
        Ok(rows)
    };
    access.on_answers(search).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_no_further_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let room = room(&folder).await;
    let idle = participant(&room, "idle");
    let mut kept = Vec::new();
    // Four are its own, and each of the others takes the turn of one before.
    for _ in 0..10 {
        kept.push(first(&idle).await.unwrap());
    }
    assert_eq!(room.answers.available_permits(), ANSWERS - OWN);
    for who in 0..10 {
        kept.push(first(&participant(&room, &who.to_string())).await.unwrap());
    }
    assert_eq!(room.answers.available_permits(), 0);
    // Nothing that is no answer waits for any of them.
    let tables = participant(&room, "other").on_tables(|tables| tables.list(&[])).await;
    assert_eq!(tables.unwrap(), ["t"]);
    drop(kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_participant_does_not_take_all_places() {
    let folder = tempfile::tempdir().unwrap();
    let room = room(&folder).await;
    let busy = participant(&room, "busy");
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let work: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (busy, held) = (busy.clone(), Arc::clone(&held));
            tokio::spawn(async move {
                busy.blocking(move |_| {
                    let _ = held.lock().unwrap().recv();
                    Ok(())
                })
                .await
            })
        })
        .collect();
    while busy.shares.places.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let tables = participant(&room, "other").on_tables(|tables| tables.list(&[])).await;
    assert_eq!(tables.unwrap(), ["t"]);
    drop(release);
    for one in work {
        one.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_waits_for_nobody_who_writes() {
    let folder = tempfile::tempdir().unwrap();
    let room = room(&folder).await;
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let busy = participant(&room, "busy");
    let long = tokio::spawn(async move {
        let work = move |_: &dyn Engine| {
            begin.send(()).unwrap();
            let _ = held.recv();
            Ok(())
        };
        busy.change_tables(work).await
    });
    begun.recv().await.unwrap();
    let mut more = tokio::task::JoinSet::new();
    for _ in 0..2 * AT_ONCE {
        let busy = participant(&room, "busy");
        more.spawn(async move { busy.change_tables(|_| Ok(())).await });
    }
    // Also by the same participant.
    for who in ["busy", "other"] {
        let it = participant(&room, who);
        assert_eq!(it.on_tables(|tables| tables.list(&[])).await.unwrap(), ["t"]);
        drop(first(&it).await.unwrap());
        it.change_memories(|it| it.list(&[])).await.unwrap();
        it.on_memories(|it| it.list(&[])).await.unwrap();
    }
    assert!(!long.is_finished());
    drop(release);
    long.await.unwrap().unwrap();
    while let Some(done) = more.join_next().await {
        done.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_enters_twice_has_one_share_and_does_not_wait_forever() {
    let folder = tempfile::tempdir().unwrap();
    let room = Arc::new(InRoom::new(folder.path().to_owned()));
    let (one, same) = (participant(&room, "busy"), participant(&room, "busy"));
    let most = u32::try_from(OWN).unwrap();
    let all = Arc::clone(&one.shares.places).acquire_many_owned(most).await.unwrap();
    let told = same.blocking(|_| Ok(())).await.unwrap_err();
    assert_eq!(told.code, Some(codes::TIMEOUT));
    assert!(told.text.contains("calls of yours"), "{told:?}");
    participant(&room, "other").blocking(|_| Ok(())).await.unwrap();
    drop(all);
    same.blocking(|_| Ok(())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_keeps_its_turn_while_rows_of_it_are_on_their_way() {
    let folder = tempfile::tempdir().unwrap();
    let room = room(&folder).await;
    let slow = participant(&room, "slow");
    let search = |tables: &dyn Engine| {
        tables.search(Search { table: TableName::new("t"), ..Search::default() })
    };
    let (mut rows, turn) = slow.reading(search).await.unwrap();
    let kept = turn.upgrade().unwrap();
    while rows.next(100).unwrap().is_some() {}
    drop(rows);
    assert_eq!(room.answers.available_permits(), ANSWERS - 1);
    drop(kept);
    assert_eq!(room.answers.available_permits(), ANSWERS);
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_says_once_where_a_damaged_file_is_and_no_participant_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    let _logged = tracing::subscriber::set_default(subscriber.finish());
    let paths = [folder.path().join(TABLES), folder.path().join(MEMORIES)];
    for path in &paths {
        std::fs::write(path, "no database, and longer than one hundred bytes ".repeat(9)).unwrap();
    }
    let room = Arc::new(InRoom::new(folder.path().to_owned()));
    let participant = participant(&room, "somebody");
    for _ in 0..2 {
        let tables = participant.on_tables(|tables| tables.list(&[])).await.unwrap_err();
        let memories = participant.on_memories(|it| it.list(&[])).await.unwrap_err();
        for told in [tables, memories] {
            assert!(told.text.contains("damaged"), "{told:?}");
            assert!(!told.text.contains(folder.path().to_str().unwrap()), "{told:?}");
        }
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for path in &paths {
        assert_eq!(log.matches(path.to_str().unwrap()).count(), 1, "{log}");
    }
}

#[test]
fn only_what_may_succeed_later_is_a_time_out() {
    let code = |reason| told(&Error::new(reason, "")).code;
    assert_eq!(code(Reason::TimedOut), Some(codes::TIMEOUT));
    assert_eq!(code(Reason::Invalid), Refused::invalid("").code);
}
