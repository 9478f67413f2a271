//! Saved plans and reports: reading them; and of a plan, what it was made from, and whether it still
//! fits.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::environment;
use super::set::{FileArgs, GuardArgs, PolicyArgs};
use crate::api::spoken::Spoken;
use crate::apply::inventory::is_set_name;
use crate::approval::statement::Bound;
use crate::bounded;
use crate::error::{Class, Context, Error, Problem, Result};
use crate::listed::{few, word};
use crate::manifest::declared_in::stream;
use crate::manifest::own_files::OwnFiles;
use crate::manifest::reach::Reach;
use crate::output;
use crate::own_folder;
use crate::plan::document::{Inputs, PlanDocument, TOOL};
use crate::plan::planner::Policy;
use crate::plan::restored::unknown_form;
use crate::plan::{Plan, guards};
use crate::project_file::{Environment, ProjectFile};
use crate::reconcile::report::ReportDocument;
use crate::settings::PlatformArgs;
use crate::visible;

/// The maximum size of a plan, in bytes: it holds what many manifests declare. Reading one takes
/// several times as much memory.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// The name that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// How files that can be shown are made.
const SAVED: &str =
    "`meshagent plan --out FILE` saves a plan, and `apply --report FILE` writes a report";

/// A saved plan.
pub struct Saved {
    /// What an approval of it is bound to, with the digest of what was read.
    pub bound: Bound,
    /// What it says.
    pub document: PlanDocument,
    /// What it was made from.
    pub inputs: Inputs,
    /// Whether manifests were given with it.
    pub is_given_files: bool,
}

/// A file that `show` prints.
pub enum Shown {
    /// A plan, and what an approval of it is bound to.
    Plan(Box<PlanDocument>, Box<Bound>),
    /// A report.
    Report(Box<ReportDocument>),
}

/// Reads a plan or a report to show it.
///
/// # Errors
///
/// A file that is neither.
pub fn read_shown(path: &Path) -> Result<Shown> {
    let shown = path.display().to_string();
    let name = visible::line(&shown);
    let instead = || {
        let file = word(&shown);
        format!("`meshagent plan -f {file}` shows what manifests would change")
    };
    if path.is_dir() {
        return Err(Error::usage(format!("{name} is a folder, not a plan")).hint(instead()));
    }
    let text = match shown == STANDARD_INPUT {
        true => bounded::stdin(MAX_BYTES).and_then(|bytes| {
            String::from_utf8(bytes)
                .map_err(|_| std::io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
        }),
        false => bounded::text(path, MAX_BYTES),
    };
    let text = text.map_err(|error| {
        let is_missing = error.kind() == ErrorKind::NotFound;
        let error = Error::failed(format!("failed to read {name}")).because(error);
        if is_missing { error.hint(SAVED) } else { error }
    })?;
    let broken = |error| Error::usage(format!("{name} is not whole: {error}"));
    let cut_off = || {
        let error = serde_json::from_str::<serde::de::IgnoredAny>(&text).err()?;
        OwnFiles::is_cut_off(&text).then(|| broken(error).hint("write it again"))
    };
    let own = OwnFiles::of(&text);
    if let (Some(OwnFiles::Plan), Some(problem)) = (own, unknown_form(&text)) {
        return Err(Error::usage(format!("{name}: {problem}"))
            .hint("show it with the version that made it, or plan again"));
    }
    match own {
        Some(OwnFiles::Plan) => {
            let document = serde_json::from_str(&text).map_err(broken)?;
            let bound = bound_to(&text, &document);
            Ok(Shown::Plan(Box::new(document), Box::new(bound)))
        }
        Some(OwnFiles::Report) => serde_json::from_str(&text).map(Shown::Report).map_err(broken),
        None => Err(cut_off().unwrap_or_else(|| {
            let error = Error::usage(format!("{name} is neither a plan nor a report"));
            error.hint(match is_manifest(path) {
                true => instead(),
                false => SAVED.to_owned(),
            })
        })),
    }
}

/// Whether a file is a manifest by its name.
fn is_manifest(path: &Path) -> bool {
    let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
    ["yaml", "yml", "j2"].iter().any(|known| suffix.eq_ignore_ascii_case(known))
}

fn is_json(path: &Path) -> bool {
    path.extension().is_none_or(|suffix| suffix.eq_ignore_ascii_case("json"))
}

/// Reads a saved plan.
///
/// # Errors
///
/// A file that is not one, or that another version of this program made.
pub fn read(path: &Path, files: &[PathBuf]) -> Result<Saved> {
    let shown = path.display().to_string();
    let name = visible::line(&shown);
    let instead = || {
        let all = files.iter().map(PathBuf::as_path).chain([path]);
        let all = all.map(|file| format!(" -f {}", word(&file.display().to_string())));
        let all: String = all.collect();
        match files.is_empty() {
            true => format!(
                "give manifests with -f: `meshagent apply{all}`; `meshagent plan --out plan.json` makes a saved plan"
            ),
            false => format!("give each file its own -f: `meshagent apply{all}`"),
        }
    };
    if path.is_dir() {
        return Err(Error::usage(format!("{name} is a folder, not a saved plan")).hint(instead()));
    }
    if shown == STANDARD_INPUT {
        return Err(Error::usage("give the name of a file, or /dev/stdin for standard input"));
    }
    let failed = || format!("failed to read the plan {name}");
    if let Err(error) = own_folder::refuse_shared(path) {
        let is_missing = error.kind() == ErrorKind::NotFound;
        let error = Error::failed(failed()).because(error);
        return Err(match is_missing {
            true => error.hint("make one with `meshagent plan --out FILE`"),
            false => error,
        });
    }
    let text = bounded::text(path, MAX_BYTES).context(failed)?;
    if let Some(problem) = unknown_form(&text) {
        return Err(stale(vec![Problem::new(format!("{name}: {problem}"))]));
    }
    let document: PlanDocument = serde_json::from_str(&text).map_err(|error| {
        Error::usage(format!("{name} is not a saved plan: {error}")).hint(match is_json(path) {
            true => "make one with `meshagent plan --out FILE`".to_owned(),
            false => instead(),
        })
    })?;
    document.check().map_err(|problem| Error::usage(format!("{name}: {problem}")))?;
    if !is_set_name(&document.set) {
        let set = &document.set;
        return Err(Error::usage(format!(
            "{name} is not a plan: {set:?} cannot be the name of a set"
        ))
        .hint("make one with `meshagent plan --out FILE`"));
    }
    if document.tool != TOOL {
        return Err(stale(vec![Problem::new(format!(
            "it was made by {}, but this is {TOOL}",
            document.tool
        ))]));
    }
    let inputs = document.inputs.clone().ok_or_else(|| {
        Error::usage(format!("{name} was printed, not saved, so it cannot be applied"))
            .hint("save it with `meshagent plan --out FILE`")
    })?;
    let bound = bound_to(&text, &document);
    Ok(Saved { bound, document, inputs, is_given_files: false })
}

/// What an approval of a plan is bound to: its text, and what it says it is for.
fn bound_to(text: &str, document: &PlanDocument) -> Bound {
    Bound {
        digest: Bound::digest_of(text.as_bytes()),
        set: document.set.clone(),
        platform: document.platform.clone(),
        projects: document.projects.clone(),
    }
}

/// The plan no longer fits.
fn stale(problems: Vec<Problem>) -> Error {
    Error::stale(problems).hint("plan again")
}

/// The name of a pair `NAME=VALUE`.
#[must_use]
pub fn name_of(pair: &str) -> String {
    pair.split('=').next().unwrap_or_default().to_owned()
}

/// Plans do not contain values, so each value of a plan must be given again.
fn given_again(option: &str, names: &[String], pairs: &[String]) -> Result<()> {
    match names.iter().find(|name| !pairs.iter().any(|pair| name_of(pair) == **name)) {
        None => Ok(()),
        Some(missing) => Err(Error::usage(format!(
            "the plan was made with {option} {missing}=…, but plans do not contain values"
        ))
        .hint(format!("give it again: {option} {missing}=…"))),
    }
}

/// Whoever applies the plan must give the same permissions again: a plan may come from elsewhere.
fn consented_again(option: &str, planned: &[String], given: &[String]) -> Result<()> {
    match planned.iter().find(|planned| !given.contains(planned)) {
        None => Ok(()),
        Some(missing) => Err(Error::new(
            Class::Refused,
            format!("the plan was made with {option} {missing}, but that permission is not taken from a plan"),
        )
        .hint(format!("if you agree, add {option} {missing}"))),
    }
}

/// Projects with names and ids, on one line.
fn projects_told(projects: &BTreeMap<String, Option<String>>) -> String {
    let told = projects.iter().map(|(name, id)| match id {
        Some(id) => format!("{name} ({id})"),
        None => format!("{name} (which it creates)"),
    });
    few(told)
}

/// What prevents a plan now did not prevent one then, so the manifests or the platform changed: the
/// plan is stale. If that is uncertain, because something could not be read, the error stays as it
/// is.
#[must_use]
pub fn staleness(error: Error) -> Error {
    let is_doubt = std::error::Error::source(&error).is_some();
    match error.class {
        Class::Refused if !error.problems.is_empty() && !is_doubt => stale(error.problems),
        _ => error,
    }
}

impl Saved {
    /// Enters the environment that it was made for, and no other.
    ///
    /// # Errors
    ///
    /// Another one is named; the project file does not have it.
    pub fn enter(
        &self,
        files: &mut FileArgs,
        platform: &mut PlatformArgs,
    ) -> Result<Option<Arc<Environment>>> {
        let planned = self.environment();
        let named = platform.named_environment();
        if let Some(named) = named.filter(|named| planned.as_ref() != Some(named)) {
            return Err(Error::usage(match planned.filter(|it| !it.is_empty()) {
                Some(planned) => {
                    format!("the plan is for environment `{planned}`, but `{named}` is named")
                }
                None => format!("the plan is for no environment, but `{named}` is named"),
            })
            .hint("leave -e and MESHAGENT_ENVIRONMENT out"));
        }
        let given = std::mem::take(&mut files.files);
        let environment = planned.as_ref().map(|planned| {
            let environment = ProjectFile::named(planned)?.environment(Some(planned))?;
            environment::enter(environment, files, platform)
        });
        files.files = given;
        environment.transpose()
    }

    /// Checks that its environment says of its set and of guards what it said when it was made.
    ///
    /// # Errors
    ///
    /// [`crate::error::Class::Stale`], with what it says otherwise.
    pub fn same_said(&self, environment: &Environment) -> Result<()> {
        let Some(then) = &self.inputs.environment_said else { return Ok(()) };
        let now = environment::said(environment);
        let name = visible::line(&environment.name);
        let differs = [
            (then.set != now.set, "another `set`"),
            (then.allow_deletes != now.allow_deletes, "another `guards.allow_deletes`"),
            (then.prune != now.prune, "another `guards.prune`"),
        ];
        let differs = differs.into_iter().filter(|(differs, _)| *differs);
        let problems: Vec<Problem> = differs
            .map(|(_, what)| {
                Problem::new(format!(
                    "environment `{name}` has {what} now than when the plan was made"
                ))
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(stale(problems)) }
    }

    /// The options that it was made with.
    #[must_use]
    pub fn policy_args(&self) -> PolicyArgs {
        let inputs = &self.inputs;
        let guards = GuardArgs {
            allow_deletes: inputs.allow_deletes,
            share: false,
            allow_empty: inputs.allow_empty,
            expect_project: None,
            // What a command would do now was not looked at when the plan was made.
            allow_commands: false,
        };
        PolicyArgs {
            adopt: inputs.adopt.clone(),
            prune: Some(inputs.prune),
            no_prune: false,
            ignore_drift: inputs.ignore_drift,
            enter_rooms: inputs.enter_rooms,
            target: inputs.targets.clone(),
            exclude: inputs.excludes.clone(),
            selector: inputs.selectors.clone(),
            guards,
            environment: None,
        }
    }

    /// The policy and the permissions that it was made with.
    #[must_use]
    pub fn policy(&self) -> (Policy, GuardArgs) {
        let args = self.policy_args();
        let policy = match self.inputs.to {
            Some(_) => args.policy_back(&self.document.set),
            None => args.policy(&self.document.set),
        };
        (policy, args.guards)
    }

    /// The environment that it was made for; one without a name where the project file has none.
    #[must_use]
    pub fn environment(&self) -> Option<String> {
        let inputs = &self.inputs;
        inputs.environment.clone().or_else(|| inputs.sources.as_ref().map(|_| String::new()))
    }

    /// The manifests that it was made from, or those given instead.
    ///
    /// # Errors
    ///
    /// Values that are not in a plan and were not given again; a stream that was read.
    pub fn files(&self, given: FileArgs) -> Result<FileArgs> {
        let paths = |texts: &[String]| texts.iter().map(PathBuf::from).collect::<Vec<_>>();
        let files = if given.files.is_empty() { paths(&self.inputs.files) } else { given.files };
        let mut streams = self.inputs.files.iter().filter_map(|file| stream(file));
        if let Some(stream) = streams.next().filter(|_| !self.is_given_files) {
            return Err(Error::usage(format!(
                "the plan was made from {stream}, which cannot be read again"
            ))
            .hint("give the same manifests with -f"));
        }
        if !self.is_given_files {
            self.stays_here("-f", &self.inputs.files, &given.reading.allow_files)?;
        }
        if given.reading.values.values_file.is_empty() {
            let named = &self.inputs.values_files;
            self.stays_here("--values-file", named, &given.reading.allow_files)?;
        }
        let gone = |file: &&PathBuf| file.as_os_str() != "-" && !file.exists();
        if let Some(gone) = files.iter().find(gone).filter(|_| !self.is_given_files) {
            return Err(Error::usage(format!(
                "{}, which the plan was made from, is not in this folder",
                visible::line(&gone.display().to_string())
            ))
            .hint(
                "run this in the folder where the plan was made, or give the manifests with -f",
            ));
        }
        let mut reading = given.reading;
        // Other manifests than those of the plan come without its sources.
        reading.with_sources = self.inputs.sources.is_some() && !self.is_given_files;
        given_again("--value", &self.inputs.values, &reading.values.values)?;
        given_again("--value-json", &self.inputs.value_json, &reading.value_json)?;
        let variables: Vec<String> = reading.allow_env.iter().map(ToString::to_string).collect();
        consented_again("--allow-env", &self.inputs.allow_env, &variables)?;
        let folders = reading.allow_files.iter().map(|folder| folder.display().to_string());
        let folders: Vec<String> = folders.collect();
        consented_again("--allow-files", &self.inputs.allow_files, &folders)?;
        if reading.values.values_file.is_empty() {
            reading.values.values_file = paths(&self.inputs.values_files);
        }
        Ok(FileArgs { files, reading })
    }

    /// Refuses files that only the plan names, outside the working folder and its repository: a
    /// plan may come from elsewhere. The files are not read.
    fn stays_here(&self, option: &str, named: &[String], allowed: &[PathBuf]) -> Result<()> {
        let reach = Reach::of(&[PathBuf::from(".")], allowed);
        let is_outside = |name: &&String| *name != "-" && reach.check(Path::new(name)).is_err();
        match named.iter().find(is_outside) {
            None => Ok(()),
            Some(outside) => {
                let outside = visible::line(outside);
                Err(Error::new(
                    Class::Refused,
                    format!("the plan was made from {outside}, which is outside this folder and its repository, so it is not read just because a plan names it"),
                )
                .hint(format!("if you agree, add {option} {outside}")))
            }
        }
    }

    /// Checks that a plan made now is the same as this one, and only for the expected project, by
    /// name or id. What the file says about itself proves nothing.
    ///
    /// # Errors
    ///
    /// The unexpected projects; [`crate::error::Class::Stale`], with the objects and
    /// fields that differ.
    pub fn check(&self, now: &Plan, expected: Option<&str>) -> Result<()> {
        let unexpected = expected.map(|it| guards::unexpected_in(now, it)).unwrap_or_default();
        if !unexpected.is_empty() {
            return Err(Error::refused(unexpected));
        }
        // A credential of either run stands in neither.
        let current = output::as_written(&PlanDocument::salted(now, &self.inputs.salts))?;
        let planned = output::as_written(&self.document)?;
        let mut problems = Vec::new();
        let mut differs = |what: &str, planned: &str, found: &str| {
            if planned != found {
                problems.push(Problem::new(format!(
                    "the plan is for {what} {planned}, but this is {found}"
                )));
            }
        };
        differs("the platform", &planned.platform, &current.platform);
        let api = |document: &PlanDocument| {
            document.api.clone().unwrap_or_else(|| Spoken::V0_31.to_string())
        };
        differs("the API of", &api(&planned), &api(&current));
        differs(
            "the projects",
            &projects_told(&planned.projects),
            &projects_told(&current.projects),
        );
        if planned.digest != current.digest {
            problems.push(Problem::new(match self.is_given_files {
                true => "the manifests given with -f are not those that the plan was made from, or they changed",
                false => "the manifests, or the values for their templates, changed since the plan was made",
            }));
        }
        problems.extend(planned.staleness(&current).into_iter().map(Problem::new));
        if problems.is_empty() { Ok(()) } else { Err(stale(problems)) }
    }
}
