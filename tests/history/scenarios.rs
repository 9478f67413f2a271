//! Ways back to a state, as data: a folder a case below `tests/history/scenarios`.
//!
//! | in a case | is |
//! |---|---|
//! | `states/` | what the set `s` applied: a folder for each state, in the order of their numbers |
//! | `other/` | what the set `other` took over or applied after that |
//! | `unowned/` | what was made by hand after that |
//! | `today/` | the manifests that are given on the way back |
//! | `to` | the number of the state that the set goes back to; 1 without this file |
//! | `expected.txt` | the plan that must come of it |
//! | `expected-error.txt` | the refusal that must come of it |
//!
//! A case is gone through in each API that has its kinds. There is a second project, `other`. A plan that is made is also performed, and after it there is
//! nothing to do. `BLESS=1` writes what came as what is expected.

use std::path::{Path, PathBuf};

use meshagent::api::spoken::Spoken;
use meshagent::apply::history::What;
use meshagent::dialect::Target as Looked;
use meshagent::error::Error;
use meshagent::manifest::values::FileValues;
use meshagent::output::render_problem;
use meshagent::plan::planner::Policy;
use meshagent::reconcile::back::go_back;
use meshagent::reconcile::{Decision, decide};

use super::{Past, generous, kept};
use crate::reconciler::describe;
use crate::spoken::{BOTH, has};

const CASES: &str = "tests/history/scenarios";

/// How many cases there are at least, so that none is lost unseen.
const AT_LEAST: usize = 8;

struct Case {
    folder: PathBuf,
    past: Past,
}

impl Case {
    fn part(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.join(name)).filter(|path| path.exists())
    }

    async fn apply(&self, part: &Path, set: &str) {
        let documents = self.past.world.set(&[part.to_owned()], FileValues::default());
        let documents = documents.unwrap_or_else(|it| panic!("{}: {it:?}", part.display()));
        let (target, policy) = (self.past.target(), Policy::standard(set));
        let decision = decide(&target, documents, &policy, &generous()).await;
        let decision = decision.unwrap_or_else(|it| panic!("{}: {}", part.display(), told(&it)));
        let report = self.past.performed(&decision, kept(What::Apply, None)).await;
        assert!(report.is_complete(), "{}: {report:?}", part.display());
    }

    async fn prepare(&self) {
        self.past.world.server.other_project("other").await;
        let states = self.part("states").expect("states");
        for number in 1.. {
            let state = states.join(number.to_string());
            match state.is_dir() {
                true => self.apply(&state, "s").await,
                false => break,
            }
        }
        if let Some(other) = self.part("other") {
            self.apply(&other, "other").await;
        }
        if let Some(unowned) = self.part("unowned") {
            let set = self.past.world.set(&[unowned], FileValues::default()).unwrap();
            for (key, desired) in set.objects {
                let project = &self.past.world.server.project;
                let target =
                    Looked { fields: &desired.fields, ..Looked::looked_for(&key, project, None) };
                let request = self.past.world.spelling(key.kind).create(&target).unwrap();
                self.past.world.client.send(&request).await.unwrap();
            }
        }
    }

    async fn way_back(&self, to: u64) -> Result<Decision, Error> {
        let past = self.past.history("s").await;
        let past = past.back_to(&self.past.world.client.reader(), to).await?;
        let today = self.part("today").map(|today| {
            self.past.world.set(&[today], FileValues::default()).expect("today's manifests")
        });
        go_back(&self.past.target(), past, today, &Policy::standard("s"), &generous()).await
    }

    fn expect(&self, file: &str, came: &str) -> Result<(), String> {
        let path = self.folder.join(file);
        let came = came.replace(&format!("{}/", self.folder.display()), "");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &came).unwrap();
            return Ok(());
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if expected == came {
            return Ok(());
        }
        let diff = similar::TextDiff::from_lines(&expected, &came);
        Err(format!("{}\n{}", path.display(), diff.unified_diff().header("expected", "came")))
    }

    async fn run(&self) -> Result<(), String> {
        self.prepare().await;
        let to = self.part("to").map_or(1, |file| {
            std::fs::read_to_string(file).unwrap().trim().parse().expect("a number")
        });
        let decision = match self.way_back(to).await {
            Ok(decision) => decision,
            Err(error) => return self.expect("expected-error.txt", &told(&error)),
        };
        // The first note has the time at which the state was reached.
        let (first, notes) = decision.plan.notes.split_first().expect("a note");
        assert!(first.starts_with(&format!("this goes back to state {to} of ")), "{first}");
        let notes = notes.iter().map(|note| format!("note: {note}\n"));
        let plan = notes.collect::<String>() + &describe(&decision.plan);
        if std::env::var_os("BLESS").is_none() && self.part("expected-error.txt").is_some() {
            return Err(format!("{}: it was not refused: {plan}", self.folder.display()));
        }
        self.expect("expected.txt", &plan)?;
        let report = self.past.performed(&decision, kept(What::Rollback, Some(to))).await;
        if !report.is_complete() {
            return Err(format!("{}: {report:?}", self.folder.display()));
        }
        match self.way_back(to).await {
            Ok(again) if again.plan.is_empty() => Ok(()),
            Ok(again) => Err(format!("{}, gone: {}", self.folder.display(), describe(&again.plan))),
            Err(error) => Err(format!("{}, gone: {}", self.folder.display(), told(&error))),
        }
    }
}

/// An error as it is printed, without styles.
fn told(error: &Error) -> String {
    let problems = error.problems.iter().map(|problem| render_problem(problem) + "\n");
    let mut text: String = problems.collect();
    text += &format!("error: {error} ({:?})\n", error.class);
    if let Some(hint) = &error.hint {
        text += &format!("hint: {hint}\n");
    }
    anstream::adapter::strip_str(&text).to_string()
}

/// Whether an API has all kinds of a case.
fn is_said_in(folder: &Path, spoken: Spoken) -> bool {
    let lacks = |text: &str| {
        let kinds = text.lines().filter_map(|line| line.strip_prefix("kind: "));
        let mut kinds = kinds.filter_map(|kind| meshagent::kinds::find(kind.trim()));
        kinds.any(|kind| !has(spoken, kind.name()))
    };
    let files = walkdir::WalkDir::new(folder).into_iter().flatten();
    let mut texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    !texts.any(|text| lacks(&text))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_back_comes_out_as_expected() {
    let folders = std::fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= AT_LEAST, "only {} cases are left", folders.len());
    let mut failures = Vec::new();
    for (folder, spoken) in
        folders.into_iter().flat_map(|it| BOTH.map(|spoken| (it.clone(), spoken)))
    {
        if !is_said_in(&folder, spoken) {
            continue;
        }
        let case = Case { folder, past: Past::speaking(spoken).await };
        failures.extend(case.run().await.err().map(|told| format!("{spoken}: {told}")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
