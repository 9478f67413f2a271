//! Templates that Jinja2 was asked about. `BLESS=1` writes its answers anew, where there is a
//! Python that has it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use meshagent_jinja::Reason;
use serde_json::{Value, json};

use super::{Values, ask, render};

/// A template, and what is known of it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(default)]
    group: String,
    template: String,
    values: Option<Values>,
    /// Jinja2 renders it, and this engine refuses it by name.
    #[serde(default)]
    refused: bool,
}

/// The cases of a file, with values for those that have none of their own.
#[derive(serde::Deserialize)]
struct Cases {
    values: Values,
    cases: Vec<Case>,
}

/// What Jinja2 answered.
#[derive(serde::Deserialize)]
struct Answers {
    jinja2: String,
    python: String,
    answers: Vec<Value>,
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(file(name)).expect("the file is readable");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The answers that are checked in. Where Jinja2 can be asked they are what it says.
fn answers(name: &str, batch: &Value) -> Answers {
    let asked = ask(batch);
    if let (Some(asked), Some(_)) = (&asked, std::env::var_os("BLESS")) {
        let mut text = format!(
            "{{\n\"jinja2\": {},\n\"python\": {},\n\"answers\": [\n",
            asked["jinja2"], asked["python"]
        );
        let lines = asked["answers"].as_array().expect("a list").iter().map(Value::to_string);
        let _ = writeln!(text, "{}\n]\n}}", lines.collect::<Vec<_>>().join(",\n"));
        std::fs::write(file(name), text).expect("the answers are written");
    }
    let kept: Answers = read(name);
    if let Some(asked) = asked {
        let asked: Answers = serde_json::from_value(asked).expect("answers");
        let told = format!("{name} is of Jinja2 {} on Python {}", kept.jinja2, kept.python);
        assert_eq!(kept.jinja2, asked.jinja2, "{told}; BLESS=1 writes it anew");
        for (index, (kept, asked)) in kept.answers.iter().zip(&asked.answers).enumerate() {
            assert_eq!(kept, asked, "answer {index}: {told}; BLESS=1 writes it anew");
        }
    }
    kept
}

/// Compares all cases of a file; gives how many are rendered alike, fail in both, and are refused.
fn compare(cases: &Cases, answers_name: &str) -> [usize; 3] {
    let values = |case: &Case| case.values.clone().unwrap_or_else(|| cases.values.clone());
    let batch = cases.cases.iter().map(|case| json!([case.template, values(case)])).collect();
    let answers = answers(answers_name, &batch).answers;
    assert_eq!(answers.len(), cases.cases.len(), "BLESS=1 with Python writes the answers anew");
    let (mut counts, mut groups) = ([0; 3], BTreeMap::<&str, usize>::new());
    let mut faults = Vec::new();
    for (case, answer) in cases.cases.iter().zip(&answers) {
        *groups.entry(&case.group).or_default() += 1;
        let ours = render(&case.template, &values(case));
        match (&ours, answer["text"].as_str(), case.refused) {
            (Ok(ours), Some(theirs), false) if ours == theirs => counts[0] += 1,
            (Err(_), None, false) => counts[1] += 1,
            (Err(error), Some(_), true) if error.reason != Reason::Failed => counts[2] += 1,
            _ => faults.push(format!(
                "{:?}: ours {ours:?}, theirs {answer}, refused: {}",
                case.template, case.refused
            )),
        }
    }
    println!("{groups:?}: alike, failing in both, refused: {counts:?}");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    counts
}

#[test]
fn cases_render_as_jinja2_renders_them() {
    let cases: Cases = read("cases.json");
    let [alike, ..] = compare(&cases, "answers.json");
    assert!(alike > 500, "{alike} are alike");
}

#[test]
fn templates_of_jinja2s_own_tests_render_as_jinja2_renders_them() {
    let cases = Cases { values: Values::new(), cases: read("jinja2/cases.json") };
    let [alike, _, refused] = compare(&cases, "jinja2/answers.json");
    assert!(alike > 640, "{alike} are alike");
    assert!(refused < 70, "{refused} are refused");
}

#[test]
fn corners_of_the_language_render_as_jinja2_renders_them() {
    let values = Values::from_iter([("x".to_owned(), json!("c"))]);
    let cases = Cases { values, cases: read("corners.json") };
    let [alike, _, refused] = compare(&cases, "corners-answers.json");
    assert!(alike > 400, "{alike} are alike");
    assert!(refused < 60, "{refused} are refused");
}
