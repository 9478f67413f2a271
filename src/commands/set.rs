//! What commands that read a set have in common: its files, its name, and the way from files to a
//! plan.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::apply::inventory::is_set_name;
use crate::bounded;
use crate::connection::Connection;
use crate::error::{Error, Problem, Result};
use crate::listed::few;
use crate::manifest::imported::Imported;
use crate::manifest::reach::Reach;
use crate::manifest::set::{Input, Set, read};
use crate::manifest::template::Values;
use crate::manifest::values::{FileValues, lost_spelling};
use crate::manifest::variables::{Allowed, is_own_variable};
use crate::manifest::walk::Skipped;
use crate::manifest::yaml;
use crate::output;
use crate::plan::planner::{Adopt, Policy, Prune};
use crate::plan::{self, InEnvironment};
use crate::project_file::{Consent, Environment};
use crate::reconcile::back::go_back;
use crate::reconcile::history::{History, Past};
use crate::reconcile::{self, DEFAULT_SET, Decision, Guards};
use crate::sources::fetch::Fetcher;
use crate::sources::lock;

/// The files of a set.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct FileArgs {
    /// A manifest, a folder of them, or - for standard input; may be repeated [default: those that
    /// MESHAGENT_FILE names]
    #[arg(short, long = "file", value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// How they are read.
    #[command(flatten)]
    pub reading: ReadArgs,
}

/// How manifests are read.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ReadArgs {
    /// Values for manifests that are templates.
    #[command(flatten)]
    pub values: ValueArgs,

    /// One value for templates, as JSON, for values that are not text; may be repeated
    #[arg(long, value_name = "NAME=JSON")]
    pub value_json: Vec<String>,

    /// Let templates output this environment variable; its value is never shown. With NAME=public,
    /// templates can also compute with it, and plans show it; may be repeated
    #[arg(long, value_name = "NAME", help_heading = "Guards")]
    pub allow_env: Vec<Allowed>,

    /// Let manifests use files in this folder, and links into it, although it is outside their own
    /// folder and its repository; may be repeated
    #[arg(long, value_name = "FOLDER", help_heading = "Guards")]
    pub allow_files: Vec<PathBuf>,

    /// List the files and folders that are skipped on purpose, and show all operations and notes
    /// instead of summaries
    #[arg(long)]
    pub verbose: bool,

    /// Whether the plan is only for reading, so that values of the environment may be missing.
    #[arg(skip)]
    pub may_miss: bool,

    /// Use no network for sources: what is neither in the cache nor on this machine is an error
    #[arg(long)]
    pub offline: bool,

    /// The environment of the project file that is meant, if there is one.
    #[arg(skip)]
    pub environment: Option<Arc<Environment>>,

    /// Whether its sources are read, because no other manifests were given.
    #[arg(skip)]
    pub with_sources: bool,
}

/// Values for manifests that are templates.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ValueArgs {
    /// A file of values for templates; may be repeated
    #[arg(long, value_name = "FILE")]
    pub values_file: Vec<PathBuf>,

    /// One value for templates, as text; may be repeated
    #[arg(short = 'v', long = "value", value_name = "NAME=VALUE")]
    pub values: Vec<String>,
}

/// The name of a set.
#[derive(Debug, Clone, clap::Args)]
pub struct SetArgs {
    /// The set's name; a set owns what it created or adopted [default: that of the project file, else default]
    #[arg(long = "set", value_name = "NAME")]
    pub set: Option<String>,
}

/// What is adopted, what is deleted, and which part of the set is used.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PolicyArgs {
    /// Adopt declared objects that exist and that no set owns: all, or those that match, with * and
    /// ?
    #[arg(long, value_name = "KIND/NAME", num_args = 0..=1, action = clap::ArgAction::Append, default_missing_value = "*", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub adopt: Vec<String>,

    /// Which objects are deleted after they left the manifests: those from files and folders that
    /// are given now (given), all, or none
    #[arg(long, value_enum, value_name = "WHICH", hide_possible_values = true)]
    pub prune: Option<Prune>,

    /// Keep objects that left the manifests; the same as --prune=none
    #[arg(long, conflicts_with = "prune")]
    pub no_prune: bool,

    /// Leave drift as it is: changed fields, changed names, and deleted objects
    #[arg(long)]
    pub ignore_drift: bool,

    /// Enter rooms, which starts them, and look at the files, documents and secrets in them; those
    /// count as last applied otherwise
    #[arg(long)]
    pub enter_rooms: bool,

    /// Only these objects and what they refer to: Kind/name with * and ?; may be repeated
    #[arg(long, value_name = "PATTERN", help_heading = "Scope")]
    pub target: Vec<String>,

    /// Leave these objects out: Kind/name with * and ?; may be repeated
    #[arg(long, value_name = "PATTERN", help_heading = "Scope")]
    pub exclude: Vec<String>,

    /// Only objects with this annotation, and what they refer to; may be repeated
    #[arg(long, value_name = "ANNOTATION=VALUE", value_parser = parse_selector, help_heading = "Scope")]
    pub selector: Vec<(String, String)>,

    /// What the user consents to.
    #[command(flatten)]
    pub guards: GuardArgs,

    /// The environment of the project file that is meant, if there is one.
    #[arg(skip)]
    pub environment: Option<InEnvironment>,
}

/// What the user consents to.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct GuardArgs {
    /// Allow this many objects to be deleted or replaced; without it, at most 3, or
    /// 30 % of a kind and of the set
    #[arg(long, value_name = "N", help_heading = "Guards")]
    pub allow_deletes: Option<usize>,

    /// Whether the usual share holds with that number, too.
    #[arg(skip)]
    pub share: bool,

    /// Allow manifests that declare nothing
    #[arg(long, help_heading = "Guards")]
    pub allow_empty: bool,

    /// Refuse a plan for any project but this one, by name or id
    #[arg(long, value_name = "PROJECT", help_heading = "Guards")]
    pub expect_project: Option<String>,

    /// Allow the manifests to run the commands whose output is a secret
    #[arg(long, help_heading = "Guards")]
    pub allow_commands: bool,
}

fn parse_selector(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write ANNOTATION=VALUE".to_owned()),
    }
}

/// The variable that names the manifests if `-f` is not given.
const FILES: &str = "MESHAGENT_FILE";

/// The files and folders that the environment names, separated as in `PATH`.
#[must_use]
pub fn files_of_environment() -> Vec<PathBuf> {
    let named = std::env::var_os(FILES).unwrap_or_default();
    std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).collect()
}

impl FileArgs {
    /// The same with the manifests that the environment names, if none are given. A note says which
    /// ones these are.
    ///
    /// # Errors
    ///
    /// No manifests are given, and the environment names none.
    pub fn named(mut self) -> Result<Self> {
        if self.files.is_empty() {
            self.files = files_of_environment();
            if self.files.is_empty() {
                return Err(Error::usage("no manifests are given").hint(format!(
                    "name a file or a folder with -f, or in {FILES}; a folder with a meshagent.yaml needs neither"
                )));
            }
            let names: Vec<String> = self.files.iter().map(|it| it.display().to_string()).collect();
            output::note(&format!("note: {FILES} names the manifests: {}", names.join(", ")));
        }
        Ok(self)
    }

    /// Reads the set.
    ///
    /// # Errors
    ///
    /// Every problem of every file.
    pub fn read(&self, project: Option<String>, fallback_project: Option<String>) -> Result<Set> {
        let set = read(&self.input(project, fallback_project)?).map_err(Error::manifests)?;
        if !set.unread_values.is_empty() {
            return Err(wrong_values(set.unread_values));
        }
        self.list_skipped(&set.skipped);
        Ok(set)
    }

    /// Lists what was skipped on purpose, if the user asks for it.
    pub fn list_skipped(&self, skipped: &[Skipped]) {
        for skipped in skipped.iter().filter(|_| self.reading.verbose) {
            output::note(&format!("not read: {skipped}"));
        }
    }

    /// What the set is read from.
    ///
    /// # Errors
    ///
    /// Values that cannot be read.
    pub fn input(
        &self,
        project: Option<String>,
        fallback_project: Option<String>,
    ) -> Result<Input> {
        let ReadArgs { values, value_json, allow_env, allow_files, verbose, may_miss, .. } =
            &self.reading;
        output::set_verbose(*verbose);
        let ValueArgs { values_file, values } = values;
        // A text is never false to a template, whatever it says.
        for pair in values.iter().filter(|pair| pair.ends_with("=false")) {
            output::note(&format!(
                "note: --value {pair} is a text, which `if` treats as true; --value-json {pair} is a boolean"
            ));
        }
        for note in value_json.iter().filter_map(|pair| lost_spelling(pair)) {
            output::note(&format!("note: {note}"));
        }
        let environment = self.reading.environment.as_deref();
        let own_files = environment.map(|it| it.values_files.as_slice()).unwrap_or_default();
        for file in own_files.iter().chain(values_file) {
            // What a link that was given leads to is not what was given.
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            let given = match file.is_symlink() && !bounded::is_open(file) {
                true => folder.unwrap_or(Path::new(".")),
                false => file,
            };
            let reach = Reach::of(&[given.to_owned()], allow_files);
            // What was given and is not there is told of where it is read.
            if let Err(outside) = reach.check(file)
                && (outside.is_link || file.is_file())
            {
                return Err(wrong_values(vec![outside.problem(file)]));
            }
        }
        let layer = environment.map(|it| it.values.clone()).unwrap_or_default();
        let values = FileValues::above(layer, values_file, values, value_json)
            .map_err(wrong_values)?
            .allowing(allow_env)
            .missing(*may_miss);
        if let Some(own) =
            allow_env.iter().map(|allowed| &allowed.name).find(|name| is_own_variable(name))
        {
            return Err(Error::usage(format!(
                "--allow-env {own}: this variable belongs to the program, so templates cannot read it"
            ))
            .hint("give the value with -v NAME=VALUE, or in a variable of another name"));
        }
        if let Some(path) = allow_files.iter().find(|folder| !folder.is_dir()) {
            let option = format!("--allow-files {}", path.display());
            return Err(match path.exists() {
                true => {
                    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
                    let above = above.unwrap_or(Path::new(".")).display();
                    Error::usage(format!("{option}: this must be a folder, but it is a file")).hint(
                        format!("use --allow-files {above} to allow everything in its folder"),
                    )
                }
                false => Error::usage(format!("{option}: there is no such folder")),
            });
        }
        let (imported, sources_of) = self.reading.imported()?;
        let (paths, mut allowed_folders) = (self.files.clone(), allow_files.clone());
        // The manifests of a project file may use what is beside it.
        allowed_folders.extend(environment.map(|it| it.folder.clone()));
        let over = environment.and_then(|it| it.over.clone());
        Ok(Input {
            paths,
            values,
            allowed_folders,
            project,
            fallback_project,
            over,
            imported,
            sources_of,
        })
    }
}

impl ReadArgs {
    /// What a saved plan records of the sources that were read, if they were.
    #[must_use]
    pub fn sources(&self) -> Option<Vec<String>> {
        let environment = self.environment.as_deref().filter(|_| self.with_sources)?;
        Some(environment.sources.iter().map(|source| source.entry.shown()).collect())
    }

    /// The sources of the environment, and the project file, if they are read.
    fn imported(&self) -> Result<(Vec<Arc<Imported>>, Option<PathBuf>)> {
        let Some(environment) = self.environment.as_deref().filter(|_| self.with_sources) else {
            return Ok((Vec::new(), None));
        };
        let unnamed = environment.unnamed();
        if !unnamed.is_empty() {
            output::note(&format!(
                "note: {} locks what the project file does not name: {}; `meshagent source update` forgets it",
                lock::NAME,
                few(unnamed)
            ));
        }
        let consent = Consent { variables: &self.allow_env, may_miss: self.may_miss };
        let imported = match environment.sources.is_empty() {
            true => Vec::new(),
            false => {
                let fetcher =
                    Fetcher::of_user(&environment.folder, &self.allow_files, self.offline)?;
                environment.imported(&fetcher, consent)?
            }
        };
        Ok((imported, Some(environment.file.clone())))
    }
}

/// Values that cannot be read are not the manifests' fault.
fn wrong_values(problems: Vec<Problem>) -> Error {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let error = Error::usage(lines.join("; "));
    match problems.into_iter().find_map(|problem| problem.hint) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

impl ValueArgs {
    /// The values for a service template, all of them texts.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or holds anything else; a pair without a name.
    pub fn texts(&self) -> Result<Values> {
        let mut values = Values::new();
        for path in &self.values_file {
            let text = bounded::text(path, bounded::STANDARD).map_err(|error| {
                Error::failed(format!("failed to read {}", path.display())).because(error)
            })?;
            let documents = yaml::parse(&text).map_err(|error| {
                Error::failed(format!("{} is not YAML: {}", path.display(), error.message))
            })?;
            let map = documents.first().map(yaml::Node::to_json).unwrap_or_default();
            let read: Values = serde_json::from_value(map).map_err(|_| {
                Error::failed(format!("{} is not a map of names to texts", path.display()))
                    .hint("write a number or a boolean in quotes to make it a text")
            })?;
            values.extend(read);
        }
        for pair in &self.values {
            match pair.split_once('=') {
                Some((name, value)) if !name.is_empty() => {
                    values.insert(name.to_owned(), value.to_owned());
                }
                _ => return Err(Error::usage("--value must be NAME=VALUE")),
            }
        }
        Ok(values)
    }
}

impl SetArgs {
    /// The name, if it is valid.
    ///
    /// # Errors
    ///
    /// A name that is not valid.
    pub fn name(&self) -> Result<&str> {
        let set = self.set.as_deref().unwrap_or(DEFAULT_SET);
        if is_set_name(set) {
            return Ok(set);
        }
        Err(Error::usage(format!("{set:?} cannot be the name of a set")).hint(
            "use 1 to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit",
        ))
    }
}

impl GuardArgs {
    /// What was consented to.
    #[must_use]
    pub fn guards(&self) -> Guards {
        Guards {
            deletes: self.allow_deletes,
            share: self.share,
            may_be_empty: self.allow_empty,
            expected_project: self.expect_project.clone(),
            may_run_commands: self.allow_commands,
            ..Guards::default()
        }
    }
}

impl PolicyArgs {
    /// Which objects are deleted because the manifests no longer declare them.
    #[must_use]
    pub fn pruned(&self) -> Prune {
        if self.no_prune { Prune::None } else { self.prune.unwrap_or_default() }
    }

    /// The policy for a set.
    #[must_use]
    pub fn policy(&self, set: &str) -> Policy {
        let adopt = if self.adopt.is_empty() {
            Adopt::None
        } else if self.adopt.iter().any(|given| given == "*") {
            Adopt::All
        } else {
            Adopt::These(self.adopt.iter().cloned().collect::<BTreeSet<_>>())
        };
        Policy {
            environment: self.environment.clone(),
            prune: self.pruned(),
            adopt,
            ignore_drift: self.ignore_drift,
            enters_rooms: self.enter_rooms,
            scope: plan::scope::Scope {
                targets: self.target.clone(),
                excludes: self.exclude.clone(),
                selectors: self.selector.clone(),
            },
            ..Policy::standard(set)
        }
    }

    /// The policy for a way back: what the set did not own then is deleted, wherever it was
    /// declared.
    #[must_use]
    pub fn policy_back(&self, set: &str) -> Policy {
        let policy = self.policy(set);
        match policy.prune {
            Prune::None => policy,
            Prune::Given | Prune::All => Policy { prune: Prune::All, ..policy },
        }
    }
}

/// What a plan is to reach.
pub enum Goal {
    /// What manifests declare.
    Declared(Box<Set>),
    /// A past state, with today's manifests, if any are given, for what its secrets are.
    Past(Box<Past>, Option<Box<Set>>),
}

impl From<Set> for Goal {
    fn from(set: Set) -> Self {
        Self::Declared(set.into())
    }
}

/// Reads files while the rest of the process goes on: what is fetched for them may take minutes,
/// and the embedded platform may be a part of this process.
///
/// # Errors
///
/// Those of the work.
pub async fn in_background<T: Send + 'static>(
    files: &FileArgs,
    work: impl FnOnce(FileArgs) -> Result<T> + Send + 'static,
) -> Result<T> {
    let files = files.clone();
    let done = tokio::task::spawn_blocking(move || work(files)).await;
    done.map_err(|error| Error::failed("failed to read the manifests").because(error))?
}

/// What a plan of a set is to reach: what these manifests declare, or the state of this number.
///
/// # Errors
///
/// Every problem of every file; a state that does not exist.
pub async fn goal(
    files: &FileArgs,
    to: Option<u64>,
    set: &str,
    connection: &Connection,
) -> Result<Goal> {
    let read = || {
        let (project, fallback) = (connection.project.clone(), connection.fallback_project.clone());
        in_background(files, move |files| files.read(project, fallback))
    };
    let Some(to) = to else { return read().await.map(Goal::from) };
    output::set_verbose(files.reading.verbose);
    // A project may have manifests from elsewhere alone.
    let today = match files.files.is_empty() && !files.reading.with_sources {
        true => None,
        false => match read().await {
            Ok(set) => Some(set.into()),
            // They are those of the project file. The way back must not depend on them: they may be
            // what is broken.
            Err(error) if files.reading.with_sources => {
                output::note(&format!(
                    "note: no secret is read from the manifests of today, because they cannot be read: {error}"
                ));
                None
            }
            Err(error) => return Err(error),
        },
    };
    let target = connection.target();
    let history = History::read(&target, set, connection.project_id().await?).await?;
    let past = history.back_to(&target.client.reader(), to).await?;
    Ok(Goal::Past(past.into(), today))
}

/// Reads the platform, decides, and prints the notes of the plan.
///
/// # Errors
///
/// As [`reconcile::decide()`] and [`reconcile::back::go_back`].
pub async fn decide(
    connection: &Connection,
    goal: impl Into<Goal>,
    policy: &Policy,
    guards: &GuardArgs,
) -> Result<Decision> {
    let (target, guards) = (&connection.target(), &guards.guards());
    let decision = match goal.into() {
        Goal::Declared(set) => reconcile::decide(target, *set, policy, guards).await?,
        Goal::Past(past, today) => {
            go_back(target, *past, today.map(|today| *today), policy, guards).await?
        }
    };
    output::notes(&decision.plan.notes);
    Ok(decision)
}

/// Frees the memory of a large project. Piece by piece that takes a while, and most commands end
/// before it is done.
pub fn drop_in_background<T: Send + 'static>(done_with: T) {
    std::thread::spawn(move || drop(done_with));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn the_rest_goes_on_while_files_are_read() {
        let (send, receive) = mpsc::channel();
        let other = tokio::spawn(async move { send.send(()) });
        // On this one thread, the other task is run only while this one waits.
        let files = FileArgs::default();
        let read = in_background(&files, move |_| {
            let late = receive.recv_timeout(std::time::Duration::from_secs(20));
            late.map_err(|late| Error::failed(late.to_string()))
        });
        read.await.unwrap();
        other.await.unwrap().unwrap();
    }
}
