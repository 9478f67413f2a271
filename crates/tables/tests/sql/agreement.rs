//! Queries that are drawn, against DataFusion.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use fastrand::Rng;
use serde_json::{Value as Json, json};

use crate::draw::{Draw, Kind, row};
use crate::world::{World, tables};
use crate::{needs, seeds};

/// The variable that names a Python interpreter with DataFusion.
const PYTHON: &str = "MESHAGENT_TEST_PYTHON_SQL";

/// What DataFusion 55 says where it cannot carry out a plan that it made itself.
const FAULTS: &[&str] = &["__datafusion_extracted_", "Physical input schema should be the same"];

/// How many queries are drawn from a number.
const QUERIES: usize = 60;

/// What DataFusion answers; nothing where it is not at hand.
fn ask(queries: &[String]) -> Option<Vec<Json>> {
    let python = std::env::var_os(PYTHON).filter(|python| !python.is_empty()).map(PathBuf::from);
    let needed = format!("Python with DataFusion, named by {PYTHON}");
    needs::met(python.is_some(), "the comparison with DataFusion", &needed);
    let mut child = Command::new(python?)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sql/reference.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = json!({"tables": tables(), "queries": queries}).to_string();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "the reference fails: {}", output.status);
    let mut answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    println!("DataFusion {}", answer["datafusion"]);
    serde_json::from_value(answer["answers"].take()).ok()
}

/// Whether two values are the same, numbers nearly.
fn alike(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1e-3)
        }
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        _ => one == other,
    }
}

/// Rows in an order of their own, numbers by their first digits.
fn sorted(mut rows: Vec<Json>) -> Vec<Json> {
    let key = |row: &Json| {
        let shown = row.as_array().unwrap().iter().map(|value| match value.as_f64() {
            Some(number) => format!("{:.9e}", number + 0.0),
            None => value.to_string(),
        });
        shown.collect::<Vec<_>>()
    };
    rows.sort_by_cached_key(key);
    rows
}

#[test]
fn queries_give_the_rows_that_datafusion_gives() {
    let mut queries = Vec::new();
    for seed in seeds::seeds(6) {
        let mut draw = Draw(Rng::with_seed(seed));
        queries.extend((0..QUERIES).map(|_| draw.query()));
    }
    let Some(answers) = ask(&queries) else { return };
    let world = World::new();
    let (mut compared, mut failing, mut faulty, mut faults) = (0, 0, 0, Vec::new());
    for (query, answer) in queries.iter().zip(&answers) {
        let ours = world.ask(query, &[]).map(|(_, rows)| rows);
        let theirs = answer["rows"].as_array().cloned();
        match (ours, theirs) {
            (Ok(ours), Some(theirs)) => {
                let (mut one, mut other) = (ours.clone(), theirs.clone());
                if !query.contains(" ORDER BY o0") {
                    (one, other) = (sorted(one), sorted(other));
                }
                compared += 1;
                if !alike(&Json::from(one), &Json::from(other)) {
                    faults.push(format!(
                        "{query}\n  ours   {}\n  theirs {}",
                        json!(ours),
                        json!(theirs)
                    ));
                }
            }
            (Err(_), None) => failing += 1,
            (Ok(_), None) if FAULTS.iter().any(|it| answer.to_string().contains(it)) => faulty += 1,
            (ours, _) => {
                let ours = ours.map_err(|error| error.text);
                faults.push(format!("{query}\n  ours   {ours:?}\n  theirs {answer}"));
            }
        }
    }
    println!(
        "{compared} are alike, {failing} fail in both, DataFusion fails at {faulty} for a fault of its own"
    );
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(failing * 20 < compared, "{failing} fail in both, and {compared} are alike");
}

#[test]
fn filters_let_through_the_rows_that_datafusion_lets_through() {
    let mut filters = Vec::new();
    for seed in seeds::seeds(4) {
        let mut draw = Draw(Rng::with_seed(seed));
        filters.extend((0..QUERIES).map(|_| draw.expression(Kind::Bool, &row(), 4)));
    }
    let query = |filter: &String| format!("SELECT id FROM t WHERE {filter} ORDER BY id");
    let Some(answers) = ask(&filters.iter().map(query).collect::<Vec<_>>()) else { return };
    let world = World::new();
    let mut faults = Vec::new();
    for (filter, answer) in filters.iter().zip(&answers) {
        let ours = world.filtered(filter);
        let theirs = answer["rows"].as_array();
        let theirs =
            theirs.map(|rows| rows.iter().map(|row| row[0].as_i64().unwrap()).collect::<Vec<_>>());
        match (ours, theirs) {
            (Ok(ours), Some(theirs)) if ours == theirs => {}
            (Err(_), None) => {}
            (Ok(_), None) if FAULTS.iter().any(|it| answer.to_string().contains(it)) => {}
            (ours, _) => faults.push(format!("{filter}\n  ours   {ours:?}\n  theirs {answer}")),
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
