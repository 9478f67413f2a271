//! What users meet, as data: a folder a case below `tests/scenarios`.
//!
//! | in a case | is |
//! |---|---|
//! | `manifests/` | the set that is planned, as the set `default` |
//! | `before/` | what the set `default` applied before |
//! | `other/` | what the set `other` applied after that |
//! | `unowned/` | what was made by hand after that |
//! | `meshagent.yaml` | a project file, whose environment `prod` the set is planned in |
//! | `policy.json` | `adopt`, `no_prune`, `destroy`, where they are not the usual |
//! | `expected.txt`, `expected.json` | the plan that must come of it |
//! | `expected-error.txt` | the refusal that must come of it |
//! | `only_0_31.txt`, `only_0_56.txt` | why it is for one API only; in the other it does not come out |
//! | `differs_0_56.txt` | why something else must come of it in 0.56: `expected_0_56.txt` and so on |
//!
//! Each case runs in both APIs, unless it says why not.
//! Templates (`*.j2`) may use `project_id`, and `ids.NAME` for the secret of that name. A
//! plan that is made is also performed, and after it there is nothing to do.
//!
//! `BLESS=1` writes what came as what is expected.

use std::path::{Path, PathBuf};

use meshagent::api::spoken::Spoken;
use meshagent::dialect::Target;
use meshagent::error::Error;
use meshagent::kinds::{self, KindName};
use meshagent::manifest::values::FileValues;
use meshagent::output::render_problem;
use meshagent::plan::InEnvironment;
use meshagent::plan::document::PlanDocument;
use meshagent::plan::planner::{Adopt, Policy, Prune};
use meshagent::project_file::{Environment, ProjectFile};
use serde_json::Value;

use crate::reconciler::{Decided, World, describe, policy};
use crate::spoken::{BOTH, has};

const CASES: &str = "tests/scenarios";

/// How many cases there are at least, so that none is lost unseen.
const AT_LEAST: usize = 50;

struct Case {
    name: String,
    folder: PathBuf,
    world: World,
}

/// Whether what comes is written as what is expected.
fn is_blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

impl Case {
    async fn start(folder: &Path, spoken: Spoken) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy();
        let (name, folder) = (format!("{name} in {spoken}"), folder.to_owned());
        Self { name, folder, world: World::speaking(spoken).await }
    }

    /// The reason that a file of the case gives.
    fn reason(&self, file: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.folder.join(file)).ok()?;
        assert!(text.trim().len() > 20, "{}: `{file}` gives no reason", self.name);
        Some(text)
    }

    /// Whether it is for another API only.
    fn is_of_another(&self) -> bool {
        let others = BOTH.into_iter().filter(|spoken| *spoken != self.world.spoken());
        others
            .into_iter()
            .any(|spoken| self.reason(&format!("only_{}.txt", file_of(spoken))).is_some())
    }

    /// The file with what is expected.
    fn expected(&self, file: &str) -> PathBuf {
        let of = file_of(self.world.spoken());
        if self.reason(&format!("differs_{of}.txt")).is_none() {
            return self.folder.join(file);
        }
        let (stem, suffix) = file.rsplit_once('.').unwrap();
        self.folder.join(format!("{stem}_{of}.{suffix}"))
    }

    fn part(&self, name: &str) -> Option<PathBuf> {
        let path = self.folder.join(name);
        path.exists().then_some(path)
    }

    /// The ids that the platform gave, with the words that stand for them in what is
    /// expected.
    async fn ids(&self) -> Vec<(String, String)> {
        let mut ids = Vec::new();
        let listing = self.world.spelling(KindName::Project).list("", None).unwrap();
        for project in self.world.client.reader().list(&listing).await.unwrap() {
            let (id, name) = (&project["id"], project["name"].as_str().unwrap());
            ids.push((id.as_str().unwrap().to_owned(), format!("project_{name}")));
        }
        if !has(self.world.spoken(), KindName::Secret) {
            return ids;
        }
        let secrets = self.world.spelling(KindName::Secret);
        let listing = secrets.list(&self.world.server.project, None).unwrap();
        for secret in self.world.client.reader().list(&listing).await.unwrap() {
            let (id, name) = (&secret["id"], secret["name"].as_str().unwrap());
            ids.push((id.as_str().unwrap().to_owned(), name.to_owned()));
        }
        ids
    }

    /// What the templates of the case may say of the platform.
    async fn values(&self) -> FileValues {
        let files = walkdir::WalkDir::new(&self.folder).into_iter().flatten();
        let is_template = |path: &Path| path.extension().is_some_and(|suffix| suffix == "j2");
        if !files.into_iter().any(|entry| is_template(entry.path())) {
            return FileValues::default();
        }
        let mut pairs = vec![format!("project_id={}", self.world.server.project)];
        let ids = self.ids().await;
        pairs.extend(ids.iter().map(|(id, name)| format!("ids.{name}={id}")));
        FileValues::read(&[], &pairs, &[]).unwrap()
    }

    /// The environment that the case is planned in, if it has a project file.
    fn environment(&self) -> Result<Option<Environment>, Error> {
        let path = self.folder.join("meshagent.yaml");
        if !path.exists() {
            return Ok(None);
        }
        ProjectFile::read(&path)?.environment(Some("prod")).map(Some)
    }

    fn policy(&self) -> Policy {
        let is_in_environment = self.part("meshagent.yaml").is_some();
        let environment = is_in_environment.then(|| InEnvironment {
            name: "prod".to_owned(),
            is_default: false,
            alike: Vec::new(),
        });
        let policy = |set: &str| Policy { environment: environment.clone(), ..policy(set) };
        let path = self.folder.join("policy.json");
        let Ok(text) = std::fs::read_to_string(path) else { return policy("default") };
        let given: Value = serde_json::from_str(&text).unwrap();
        let adopt = match &given["adopt"] {
            Value::Null => Adopt::None,
            Value::Array(names) => {
                Adopt::These(names.iter().map(|name| name.as_str().unwrap().to_owned()).collect())
            }
            _ => Adopt::All,
        };
        Policy {
            prune: if given["no_prune"] == true { Prune::None } else { Prune::All },
            destroy: given["destroy"] == true,
            adopt,
            ..policy("default")
        }
    }

    async fn decide(&self, part: &str, policy: &Policy) -> Result<Decided, Error> {
        let paths = [self.folder.join(part)];
        let environment = match part {
            "manifests" => self.environment()?,
            _ => None,
        };
        let set = match environment {
            None => self.world.set(&paths, self.values().await),
            Some(it) => {
                let values = FileValues::above(it.values, &[], &[], &[]).unwrap();
                self.world.set_over(&paths, values, it.over)
            }
        };
        self.world.decide(set.map_err(Error::manifests)?, policy).await
    }

    /// Brings the platform to where the case begins.
    async fn prepare(&self) -> Result<(), String> {
        for (part, set) in [("before", "default"), ("other", "other")] {
            if self.part(part).is_some() {
                let decided = self.decide(part, &policy(set)).await;
                let decided =
                    decided.map_err(|error| format!("{}, {part}: {}", self.name, told(&error)))?;
                self.world.apply(&decided).await;
            }
        }
        if self.part("unowned").is_some() {
            let set = self.world.set(&[self.folder.join("unowned")], self.values().await).unwrap();
            for (key, desired) in set.objects {
                let target = Target {
                    fields: &desired.fields,
                    ..Target::looked_for(&key, &self.world.server.project, None)
                };
                let request = self.world.spelling(key.kind).create(&target);
                let request = request.ok_or_else(|| format!("{}: {key}", self.name))?;
                self.world.client.send(&request).await.unwrap();
            }
        }
        Ok(())
    }

    /// Compares with a file of the case, or writes it.
    async fn expect(&self, file: &str, came: &str) -> Result<(), String> {
        let mut came = came.replace(&format!("{}/", self.folder.display()), "");
        for (id, word) in self.ids().await {
            came = came.replace(&id, &format!("({word})"));
        }
        let path = self.expected(file);
        let common = self.folder.join(file);
        if path != common && std::fs::read_to_string(common).is_ok_and(|common| common == came) {
            return Err(format!("{}: it comes out as in 0.31, so nothing differs", self.name));
        }
        if is_blessing() {
            std::fs::write(&path, &came).unwrap();
            return Ok(());
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if expected == came {
            return Ok(());
        }
        let diff = similar::TextDiff::from_lines(&expected, &came);
        Err(format!(
            "{}: {}\n{}",
            self.name,
            path.display(),
            diff.unified_diff().header("expected", "came")
        ))
    }

    async fn run(self) -> Result<(), String> {
        if self.is_of_another() && is_blessing() {
            return Ok(());
        }
        match (self.comes_out().await, self.is_of_another()) {
            (Ok(()), true) => {
                Err(format!("{}: it comes out, although it is not for this API", self.name))
            }
            (Err(_), true) => Ok(()),
            (came, false) => came,
        }
    }

    /// Whether all is as expected.
    async fn comes_out(&self) -> Result<(), String> {
        self.prepare().await?;
        let policy = self.policy();
        let decided = match self.decide("manifests", &policy).await {
            Ok(decided) => decided,
            Err(error) => return self.expect("expected-error.txt", &told(&error)).await,
        };
        if !is_blessing() && self.expected("expected-error.txt").exists() {
            return Err(format!("{}: it was not refused: {}", self.name, describe(&decided.plan)));
        }
        let notes: String =
            decided.plan.notes.iter().map(|note| format!("note: {note}\n")).collect();
        self.expect("expected.txt", &(notes + &describe(&decided.plan))).await?;
        let mut document = serde_json::to_value(PlanDocument::of(&decided.plan)).unwrap();
        without_chance(&mut document);
        let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
        self.expect("expected.json", &text).await?;
        let report = self.world.perform(&decided, 4).await.map_err(|error| error.to_string())?;
        if !report.is_complete() {
            return Err(format!("{}: {report:?}", self.name));
        }
        match self.decide("manifests", &policy).await {
            Ok(again) if again.plan.is_empty() => Ok(()),
            Ok(again) => Err(format!("{}, applied: {}", self.name, describe(&again.plan))),
            Err(error) => Err(format!("{}, applied: {}", self.name, told(&error))),
        }
    }
}

/// How an API is called in names of files.
fn file_of(spoken: Spoken) -> String {
    spoken.to_string().replace('.', "_")
}

/// Fingerprints are made with a random key, and a digest is of files that may hold ids.
fn without_chance(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_chance),
        Value::Object(fields) => {
            for name in ["fingerprint", "$secret", "digest"] {
                if let Some(Value::String(text)) = fields.get_mut(name) {
                    *text = format!("({name})");
                }
            }
            fields.values_mut().for_each(without_chance);
        }
        _ => {}
    }
}

/// Where every kind is listed, a word stands for the list, which grows.
pub fn without_kinds(text: &str) -> String {
    let names: Vec<String> = kinds::ALL.iter().map(|kind| kind.name().to_string()).collect();
    text.replace(&names.join(", "), "(every kind)")
}

/// An error as it is printed, without styles.
fn told(error: &Error) -> String {
    let mut text: String =
        error.problems.iter().map(|problem| render_problem(problem) + "\n").collect();
    text += &format!("error: {error} ({:?})\n", error.class);
    if let Some(hint) = &error.hint {
        text += &format!("hint: {hint}\n");
    }
    without_kinds(&anstream::adapter::strip_str(&text).to_string())
}

#[tokio::test]
async fn every_scenario_comes_out_as_expected() {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(Path::new(CASES))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(folders.len() >= AT_LEAST, "only {} cases are left", folders.len());
    for folder in &folders {
        for file in std::fs::read_dir(folder).unwrap() {
            let name = file.unwrap().file_name().to_string_lossy().into_owned();
            let is_meant = !name.contains("_0_56.") || name.starts_with("only_");
            let place = format!("{}/{name}", folder.display());
            assert!(is_meant || folder.join("differs_0_56.txt").exists(), "{place} is not read");
        }
    }
    let mut failures = Vec::new();
    for (folder, spoken) in folders.iter().flat_map(|folder| BOTH.map(|spoken| (folder, spoken))) {
        if let Err(failure) = Case::start(folder, spoken).await.run().await {
            failures.push(failure);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
