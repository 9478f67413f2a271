//! Whatever fails, what was acknowledged is there and what was refused is not.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use super::*;
use crate::platform::store::files::{self, Fault, Files};
use crate::platform::store::transaction::Step;

const PATIENCE: Duration = Duration::from_secs(5);

/// Which steps fail, and whether they were done all the same.
#[derive(Default)]
pub struct Faults(Option<Box<dyn FnMut(Step, When) -> bool + Send>>);

/// A step may fail before it is done, or be done and fail to say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

impl fmt::Debug for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Faults")
    }
}

impl Faults {
    pub fn before(&mut self, step: Step) -> Result<(), sqlx::Error> {
        self.at(step, When::Before)
    }

    /// A commit that was done and says that it failed is none that SQLite makes: what others
    /// see of it is decided by what it says.
    pub fn after(&mut self, step: Step) -> Result<(), sqlx::Error> {
        if step == Step::Commit { Ok(()) } else { self.at(step, When::After) }
    }

    fn at(&mut self, step: Step, when: When) -> Result<(), sqlx::Error> {
        let fails = self.0.as_mut().is_some_and(|fails| fails(step, when));
        let error = || sqlx::Error::Io(std::io::Error::other(format!("{step:?} fails")));
        if fails { Err(error()) } else { Ok(()) }
    }
}

/// A store of rows in a folder of its own.
struct Rows {
    writer: Writer,
    folder: tempfile::TempDir,
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(PATIENCE)
}

impl Rows {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows");
        let mut first = options(&path).create_if_missing(true).connect().await.expect("a file");
        for sql in [
            "CREATE TABLE revisions (id INTEGER PRIMARY KEY, value BIGINT NOT NULL)",
            "INSERT INTO revisions (id, value) VALUES (1, 0)",
            "CREATE TABLE rows (name TEXT PRIMARY KEY NOT NULL, content BLOB NOT NULL)",
        ] {
            sqlx::query(sql).execute(&mut first).await.expect("a statement");
        }
        let mark = files::mark(&path).expect("a mark");
        let files = Files::of(&path, mark, None).expect("files");
        let transaction = Transaction::new(first, options(&path), files);
        Self { writer: Writer::new(transaction), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn fails(&self, fails: impl FnMut(Step, When) -> bool + Send + 'static) {
        let mut group = self.writer.0.lock().await;
        group.as_mut().expect("open").faults = Faults(Some(Box::new(fails)));
    }

    /// Lets one step fail once.
    async fn fails_once(&self, step: Step, when: When) {
        let mut is_due = true;
        self.fails(move |at, then| (at, then) == (step, when) && std::mem::take(&mut is_due)).await;
    }

    async fn heals(&self) {
        self.fails(|_, _| false).await;
    }

    /// Adds a row, unless `how` has the statement fail or the write given up.
    async fn add(&self, name: &str, how: How) -> Result<()> {
        let mut write = self.writer.start(PATIENCE).await?;
        let sql = "INSERT INTO rows (name, content) VALUES ($1, zeroblob($2))";
        sqlx::query(sql).bind(name).bind(how.size()).execute(write.on()).await?;
        match how {
            How::Interrupted => {
                // SQLite undoes the whole transaction then, not only this statement.
                let mut handle = write.on().lock_handle().await?;
                handle.set_progress_handler(1, || false);
                drop(handle);
                let sql = "INSERT INTO rows (name, content) SELECT name || 'x', content FROM rows";
                let failed = sqlx::query(sql).execute(write.on()).await;
                write.on().lock_handle().await?.remove_progress_handler();
                assert!(failed.is_err(), "an interrupt");
                write.commit().await
            }
            How::GivenUp => Err(Refusal::Conflict("given up".into())),
            How::Whole => write.commit().await,
        }
    }

    /// The rows that another process would find.
    async fn names(&self) -> Vec<String> {
        let mut other = options(&self.path("rows")).connect().await.expect("a connection");
        let names = sqlx::query_scalar("SELECT name FROM rows ORDER BY name");
        let names = names.fetch_all(&mut other).await.expect("names");
        other.close().await.expect("closed");
        names
    }
}

/// What a write does after its first statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Whole,
    GivenUp,
    Interrupted,
}

impl How {
    const fn size(self) -> i64 {
        match self {
            Self::Whole => 100,
            Self::GivenUp => 5_000,
            Self::Interrupted => 50_000,
        }
    }
}

const STEPS: [Step; 7] = [
    Step::Begin,
    Step::Next,
    Step::RollBackTo,
    Step::Count,
    Step::Commit,
    Step::RollBack,
    Step::Overwrite,
];

#[tokio::test]
async fn each_step_may_fail() {
    for step in STEPS {
        for when in [When::Before, When::After] {
            let rows = Rows::new().await;
            rows.add("before", How::Whole).await.expect("a row");
            rows.fails_once(step, when).await;
            let (one, other, given_up) = tokio::join!(
                rows.add("one", How::Whole),
                rows.add("other", How::Whole),
                rows.add("given-up", How::GivenUp),
            );
            assert!(given_up.is_err());
            let mut expected = vec!["before"];
            expected.extend(one.is_ok().then_some("one"));
            expected.extend(other.is_ok().then_some("other"));
            assert_eq!(rows.names().await, expected, "{step:?} {when:?}: {one:?} {other:?}");
            rows.heals().await;
            rows.add("then", How::Whole).await.expect("a row");
            expected.push("then");
            assert_eq!(rows.names().await, expected, "{step:?} {when:?}");
        }
    }
}

/// The first commit after a failed one must not speak for those who were in it.
#[tokio::test]
async fn a_failed_commit_is_told_to_those_in_it_alone() {
    let rows = Rows::new().await;
    rows.fails_once(Step::Commit, When::Before).await;
    let refused = rows.add("refused", How::Whole).await;
    assert!(matches!(refused, Err(Refusal::Internal(_))), "{refused:?}");
    rows.add("kept", How::Whole).await.expect("a row");
    assert_eq!(rows.names().await, ["kept"]);
}

/// Where it cannot be made certain that nothing is left of a commit, nobody is told so, and
/// nothing is written until it is.
#[tokio::test]
async fn what_is_not_certain_is_not_told() {
    let rows = Rows::new().await;
    rows.fails(|step, _| matches!(step, Step::Commit | Step::Overwrite)).await;
    let unsure = rows.add("a", How::Whole).await;
    assert!(matches!(unsure, Err(Refusal::Unsure)), "{unsure:?}");
    let mut begun = 0;
    rows.fails(move |step, _| {
        begun += usize::from(step == Step::Begin);
        assert_eq!(begun, 0, "a write began");
        step == Step::Overwrite
    })
    .await;
    rows.add("b", How::Whole).await.expect_err("no row");
    rows.heals().await;
    rows.add("c", How::Whole).await.expect("a row");
    assert_eq!(rows.names().await, ["c"]);
}

#[tokio::test]
async fn a_transaction_that_sqlite_undid_is_refused_as_a_whole() {
    let rows = Rows::new().await;
    let (one, interrupted, other) = tokio::join!(
        rows.add("one", How::Whole),
        rows.add("interrupted", How::Interrupted),
        rows.add("other", How::Whole),
    );
    assert!(interrupted.is_err());
    let kept = [("one", one), ("other", other)];
    let expected: Vec<_> =
        kept.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(name, _)| *name).collect();
    assert_eq!(rows.names().await, expected);
}

#[tokio::test]
async fn a_full_database_takes_nothing_and_then_goes_on() {
    let rows = Rows::new().await;
    let mut write = rows.writer.start(PATIENCE).await.expect("a write");
    sqlx::query("PRAGMA max_page_count = 10").execute(write.on()).await.expect("a limit");
    write.commit().await.expect("kept");
    let mut kept = Vec::new();
    let mut is_full = false;
    for number in 100..400 {
        let name = format!("row-{number}");
        match rows.add(&name, if number % 3 == 0 { How::GivenUp } else { How::Whole }).await {
            Ok(()) => kept.push(name),
            Err(Refusal::DiskFull) => is_full = true,
            Err(Refusal::Conflict(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(is_full && !kept.is_empty());
    assert_eq!(rows.names().await, kept);
    let mut write = rows.writer.start(PATIENCE).await.expect("a write");
    sqlx::query("PRAGMA max_page_count = 4000").execute(write.on()).await.expect("a limit");
    write.commit().await.expect("kept");
    rows.add("then", How::Whole).await.expect("a row");
}

#[tokio::test]
async fn nothing_is_acknowledged_into_a_file_that_was_removed() {
    for ending in ["", "-wal", "-shm"] {
        let rows = Rows::new().await;
        rows.add("before", How::Whole).await.expect("a row");
        let (path, aside) = (rows.path(&format!("rows{ending}")), rows.path("aside"));
        let write = rows.writer.start(PATIENCE).await.expect("a write");
        std::fs::rename(&path, &aside).expect("moved");
        // It was there when this began.
        let refused = write.commit().await;
        assert!(matches!(refused, Err(Refusal::Gone(_))), "{refused:?}");
        let refused = rows.add("after", How::Whole).await;
        let name = format!("rows{ending}");
        assert!(matches!(refused, Err(Refusal::Gone(fault)) if fault == Fault::Removed(name)));
        std::fs::rename(&aside, &path).expect("moved back");
        rows.add("again", How::Whole).await.expect("a row");
        assert_eq!(rows.names().await, ["again", "before"]);
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_into_a_file_that_was_overwritten() {
    for content in [Vec::new(), vec![b'x'; 4096], vec![0; 100_000]] {
        let rows = Rows::new().await;
        // Enough for a checkpoint of SQLite's own, which is no fault.
        for number in 0..40 {
            rows.add(&format!("row-{number}"), How::Whole).await.expect("a row");
        }
        let path = rows.path("rows");
        let before = std::fs::read(&path).expect("the file");
        let write = rows.writer.start(PATIENCE).await.expect("a write");
        std::fs::write(&path, content).expect("overwritten");
        let overwritten = Fault::Overwritten("rows".to_owned());
        let refused = write.commit().await;
        assert!(matches!(&refused, Err(Refusal::Gone(fault)) if *fault == overwritten));
        let refused = rows.add("after", How::Whole).await;
        assert!(matches!(&refused, Err(Refusal::Gone(fault)) if *fault == overwritten));
        // Nothing that only looks like the same is, either.
        std::fs::write(&path, before).expect("overwritten");
        let refused = rows.add("after", How::Whole).await;
        assert!(matches!(&refused, Err(Refusal::Gone(fault)) if *fault == overwritten));
        assert_eq!(rows.names().await.len(), 40);
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_into_a_log_that_was_cut() {
    for size in [0, 32, 4152] {
        let rows = Rows::new().await;
        for name in ["one", "two"] {
            rows.add(name, How::Whole).await.expect("a row");
        }
        let write = rows.writer.start(PATIENCE).await.expect("a write");
        let log = std::fs::File::options().write(true).open(rows.path("rows-wal"));
        log.expect("the log").set_len(size).expect("cut");
        let overwritten = Fault::Overwritten("rows-wal".to_owned());
        let refused = write.commit().await;
        assert!(matches!(&refused, Err(Refusal::Gone(fault)) if *fault == overwritten));
        let refused = rows.add("after", How::Whole).await;
        assert!(matches!(&refused, Err(Refusal::Gone(fault)) if *fault == overwritten));
    }
}

/// What another program folds is where it belongs, and what it writes over it is not.
#[tokio::test]
async fn a_checkpoint_of_another_program_is_no_fault() {
    let rows = Rows::new().await;
    rows.add("one", How::Whole).await.expect("a row");
    let fold = async || {
        let mut other = options(&rows.path("rows")).connect().await.expect("a connection");
        let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
        sqlx::query(fold).execute(&mut other).await.expect("a checkpoint");
        other.close().await.expect("closed");
    };
    fold().await;
    let old = std::fs::read(rows.path("rows")).expect("the file");
    for name in ["two", "three"] {
        rows.add(name, How::Whole).await.expect("a row");
        fold().await;
    }
    rows.add("four", How::Whole).await.expect("a row");
    fold().await;
    std::fs::write(rows.path("rows"), old).expect("overwritten");
    let refused = rows.add("five", How::Whole).await;
    assert!(matches!(refused, Err(Refusal::Gone(Fault::Overwritten(_)))), "{refused:?}");
}

/// Writers at once, faults at random: the model is what was answered.
#[tokio::test]
async fn what_was_acknowledged_exists_and_what_was_refused_does_not() {
    for seed in 0..30 {
        let rows = Arc::new(Rows::new().await);
        let mut faults = fastrand::Rng::with_seed(seed);
        rows.fails(move |_, _| faults.u8(..) < 16).await;
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..6_u64 {
            let (rows, mut random) =
                (Arc::clone(&rows), fastrand::Rng::with_seed(seed * 100 + writer));
            writers.spawn(async move {
                let mut told = BTreeMap::new();
                for number in 0..25 {
                    let how = match random.u8(..10) {
                        0 => How::Interrupted,
                        1 | 2 => How::GivenUp,
                        _ => How::Whole,
                    };
                    let name = format!("row-{writer}-{number}");
                    let outcome = rows.add(&name, how).await;
                    told.insert(name, outcome);
                }
                told
            });
        }
        let mut told = BTreeMap::new();
        while let Some(more) = writers.join_next().await {
            told.extend(more.expect("a writer"));
        }
        let names = rows.names().await;
        assert!(told.values().any(Result::is_ok) && told.values().any(Result::is_err));
        for (name, outcome) in &told {
            match outcome {
                Err(Refusal::Unsure) => {}
                _ => assert_eq!(names.contains(name), outcome.is_ok(), "{seed} {name} {outcome:?}"),
            }
        }
        assert!(names.iter().all(|name| told.contains_key(name)), "{names:?}");
    }
}
