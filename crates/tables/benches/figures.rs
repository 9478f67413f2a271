//! How long it takes to write and read a million rows, beside bare SQLite; to find the nearest of a
//! hundred thousand vectors; and how much memory a gigabyte takes that goes in and out:
//! `cargo bench -p meshagent-tables`. Behind `--` may stand `rows`, `vectors` or `stream`, for one
//! part alone.
//!
//! Behind each time is how long the processor was at work for it, which is what counts on a machine
//! that others use as well.

#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::{Duration, Instant};

use meshagent_tables::engine::{Engine, NewTable, Search, TableName};
use meshagent_tables::sqlite::Tables;
use meshagent_tables::value::Row;
use meshagent_tables::{Field, Kind, Result, Value};

const ROWS: i64 = 1_000_000;

/// As many rows as a client of the public SDK 0.31.4 sends at once.
const CHUNK: i64 = 128;

const VECTORS: usize = 100_000;
const SIZE: u32 = 384;

/// A text of this size, so many times, is a gigabyte.
const TEXT: usize = 64 << 10;
const TEXTS: i64 = 16 << 10;

/// Rounds, of which the middle one is told.
const ROUNDS: usize = 5;

fn main() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("meshagent-tables-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let done = figures(&folder);
    std::fs::remove_dir_all(&folder).expect("the folder is gone");
    done
}

fn figures(folder: &Path) -> Result<()> {
    let asked: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|it| it == part);
    if wanted("rows") {
        rows(&folder.join("bare.db"), &Tables::open(&folder.join("tables.db"))?)?;
    }
    if wanted("vectors") {
        vectors(&Tables::open(&folder.join("vectors.db"))?)?;
    }
    if wanted("stream") {
        stream(&Tables::open(&folder.join("stream.db"))?)?;
    }
    Ok(())
}

fn rows(bare: &Path, tables: &Tables) -> Result<()> {
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for round in 0..ROUNDS {
        let table = TableName::new(format!("rows{round}"));
        theirs.push(timed(|| Ok(bare_insert(bare, round)?))?);
        ours.push(timed(|| insert(tables, &table))?);
    }
    told("insert a million rows", &mut ours, &mut theirs);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let table = TableName::new(format!("rows{round}"));
        theirs.push(timed(|| Ok(bare_scan(bare, round)?))?);
        ours.push(timed(|| scan(tables, table))?);
    }
    told("scan a million rows with a filter, and read half of them", &mut ours, &mut theirs);
    Ok(())
}

/// How long something took, and how long the processor was at work for it.
type Times = (Duration, Duration);

fn told(what: &str, ours: &mut [Times], theirs: &mut [Times]) {
    let (ours, theirs) = (middle(ours), middle(theirs));
    let times = |ours: Duration, theirs: Duration| ours.as_secs_f64() / theirs.as_secs_f64();
    let (by_clock, by_work) = (times(ours.0, theirs.0), times(ours.1, theirs.1));
    println!(
        "{what}: {}, bare SQLite {}: {by_clock:.2} times ({by_work:.2}); at most 2",
        shown(ours),
        shown(theirs)
    );
}

fn middle(times: &mut [Times]) -> Times {
    times.sort_unstable();
    let by_clock = times[times.len() / 2].0;
    times.sort_unstable_by_key(|it| it.1);
    (by_clock, times[times.len() / 2].1)
}

fn shown(times: Times) -> String {
    format!("{} ms ({})", times.0.as_millis(), times.1.as_millis())
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<Times> {
    let (began, worked) = (Instant::now(), at_work());
    work()?;
    Ok((began.elapsed(), at_work().saturating_sub(worked)))
}

/// How long the processor was at work for this process, to the hundredth of a second.
fn at_work() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("the process is our own");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks =
        fields.split_whitespace().skip(11).take(2).map(|it| it.parse::<u64>().expect("ticks"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

#[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
fn price(id: i64) -> f64 {
    (id * 7_919 % 1_000) as f64 / 1_000.0
}

fn bare_insert(path: &Path, round: usize) -> rusqlite::Result<()> {
    let mut file = rusqlite::Connection::open(path)?;
    file.pragma_update(None, "journal_mode", "WAL")?;
    file.pragma_update(None, "synchronous", "FULL")?;
    file.execute_batch(&format!("CREATE TABLE rows{round} (id, price, name)"))?;
    let transaction = file.transaction()?;
    let text = format!("INSERT INTO rows{round} VALUES (?, ?, ?)");
    let mut statement = transaction.prepare(&text)?;
    for id in 0..ROWS {
        statement.execute((id, price(id), format!("name {id}")))?;
    }
    drop(statement);
    transaction.commit()
}

fn insert(tables: &Tables, table: &TableName) -> Result<()> {
    let field = |name: &str, kind: Kind| Field { name: name.to_owned(), data_type: kind.into() };
    let fields =
        vec![field("id", Kind::Int), field("price", Kind::Float), field("name", Kind::Text)];
    let new = NewTable { table: table.clone(), fields: Some(fields), ..NewTable::default() };
    tables.create(new)?.finish()?;
    let mut writer = tables.insert(table)?;
    let row = |id: i64| -> Row {
        vec![
            ("id".to_owned(), Value::Int(id)),
            ("price".to_owned(), Value::Float(price(id))),
            ("name".to_owned(), Value::Text(format!("name {id}"))),
        ]
    };
    for first in (0..ROWS).step_by(128) {
        writer.write((first..ROWS.min(first + CHUNK)).map(row).collect())?;
    }
    writer.finish()?;
    Ok(())
}

fn bare_scan(path: &Path, round: usize) -> rusqlite::Result<()> {
    let file = rusqlite::Connection::open(path)?;
    let mut statement =
        file.prepare(&format!("SELECT id, price, name FROM rows{round} WHERE price < 0.5"))?;
    let mut rows = statement.query(())?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let _: (i64, f64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        count += 1;
    }
    assert_eq!(count, ROWS / 2);
    Ok(())
}

fn scan(tables: &Tables, table: TableName) -> Result<()> {
    let filter = Some("price < 0.5".to_owned());
    assert_eq!(
        read(tables, Search { table, filter, ..Search::default() })?,
        ROWS.unsigned_abs() / 2
    );
    Ok(())
}

fn read(tables: &Tables, search: Search) -> Result<u64> {
    let mut rows = tables.search(search)?;
    let mut count = 0;
    while let Some(part) = rows.next(128)? {
        count += part.len() as u64;
    }
    Ok(count)
}

fn vectors(tables: &Tables) -> Result<()> {
    let element = Box::new(Kind::Float.into());
    let kind = Kind::Vector { size: SIZE, element };
    let fields = Some(vec![
        Field { name: "id".to_owned(), data_type: Kind::Int.into() },
        Field { name: "at".to_owned(), data_type: kind.into() },
    ]);
    let table = TableName::new("vectors");
    let mut random = fastrand::Rng::with_seed(19);
    let mut vector = || -> Vec<f32> { (0..SIZE).map(|_| random.f32()).collect() };
    let mut writer =
        tables.create(NewTable { table: table.clone(), fields, ..NewTable::default() })?;
    for id in 0..VECTORS {
        let id = Value::Int(i64::try_from(id).unwrap_or_default());
        let row = vec![("id".to_owned(), id), ("at".to_owned(), Value::Vector(vector()))];
        writer.write(vec![row])?;
    }
    writer.finish()?;
    let mut times = Vec::new();
    for _ in 0..4 * ROUNDS {
        let search = Search { table: table.clone(), vector: Some(vector()), ..Search::default() };
        times.push(timed(|| read(tables, search))?);
    }
    println!(
        "find the 10 nearest of {VECTORS} vectors with {SIZE} numbers: {}; at most 100 ms",
        shown(middle(&mut times)),
    );
    Ok(())
}

fn stream(tables: &Tables) -> Result<()> {
    let table = TableName::new("texts");
    let field = Field { name: "text".to_owned(), data_type: Kind::Text.into() };
    let new = NewTable { table: table.clone(), fields: Some(vec![field]), ..NewTable::default() };
    let filler = "x".repeat(TEXT);
    let before = memory("VmRSS:");
    // From here on the most is told anew.
    std::fs::write("/proc/self/clear_refs", "5").expect("the process is our own");
    let began = Instant::now();
    let mut writer = tables.create(new)?;
    for number in 0..TEXTS {
        let text = Value::Text(format!("{number}{filler}"));
        writer.write(vec![vec![("text".to_owned(), text)]])?;
    }
    writer.finish()?;
    let wrote = began.elapsed();
    let began = Instant::now();
    assert_eq!(read(tables, Search { table, ..Search::default() })?, TEXTS.unsigned_abs());
    let read = began.elapsed();
    let most = memory("VmHWM:").saturating_sub(before) >> 10;
    println!(
        "write a gigabyte in {wrote:.1?} and read it in {read:.1?}: {most} MiB of memory more than before (at most 128)"
    );
    Ok(())
}

/// So many kilobytes.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the process is our own");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a figure");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
