//! `-e`: the environment of the project file that a command is for, and what it says in the place
//! of options that are not given.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::approvals::ApprovalArgs;
use super::policy::RuleArgs;
use super::set::{FileArgs, GuardArgs, PolicyArgs, SetArgs, files_of_environment};
use crate::error::{Error, Result, with_causes};
use crate::listed::word;
use crate::output;
use crate::plan::InEnvironment;
use crate::plan::document::EnvironmentSaid;
use crate::project_file::{Environment, ProjectFile};
use crate::reconcile::approvals::Needed;
use crate::settings::PlatformArgs;
use crate::visible;

/// The environment that a command on a set is for, and its manifests, unless others are given. A
/// project file that nobody names is for whoever gives no manifests.
///
/// # Errors
///
/// A project file that is named and not there, or that cannot be used; no manifests.
pub fn chosen(
    files: &mut FileArgs,
    platform: &mut PlatformArgs,
) -> Result<Option<Arc<Environment>>> {
    let environment = chosen_if_any(files, platform)?;
    let Some(environment) = environment else {
        *files = files.clone().named()?;
        return Ok(None);
    };
    let is_own = files.files == environment.manifests;
    if let Some(missing) = environment.manifests.iter().find(|it| is_own && !it.exists()) {
        return Err(Error::usage(format!(
            "there are no manifests in {}, where {} has them",
            missing.display(),
            environment.file.display()
        ))
        .hint("`manifests` in the project file names their file or folder"));
    }
    Ok(Some(environment))
}

/// The same for a command that needs no manifests.
///
/// # Errors
///
/// A project file that is named and not there, or that cannot be used.
pub fn chosen_if_any(
    files: &mut FileArgs,
    platform: &mut PlatformArgs,
) -> Result<Option<Arc<Environment>>> {
    let named = platform.named_environment();
    let is_given = !files.files.is_empty() || !files_of_environment().is_empty();
    let file = match (&named, is_given) {
        (None, true) => None,
        (None, false) => ProjectFile::find().map(|path| ProjectFile::read(&path)).transpose()?,
        (Some(name), _) => Some(ProjectFile::named(name)?),
    };
    let Some(file) = file else {
        let is_in_option = !files.files.is_empty();
        if !is_in_option && is_given {
            *files = files.clone().named()?;
        }
        if let Some(path) = ProjectFile::find().filter(|_| is_given) {
            let so = if is_in_option { "manifests are given with -f, so" } else { "so" };
            output::note(&format!(
                "note: {so} {} is not used, with its guards and approvals; -e names an environment of it",
                path.display()
            ));
        }
        return Ok(None);
    };
    if named.is_some() && files.files.is_empty() && !files_of_environment().is_empty() {
        output::note("note: MESHAGENT_FILE is not used, because an environment is named");
    }
    let environment = file.environment(named.as_deref())?;
    enter(environment, files, platform).map(Some)
}

/// The other environments that have some of the same manifests.
pub fn also_in(environment: &Environment) -> Vec<String> {
    let Ok(file) = ProjectFile::read(&environment.file) else { return Vec::new() };
    let others = file.names().filter(|name| *name != environment.name);
    let has_same = |name: &&str| {
        let manifests = file.environment(Some(name)).map(|it| it.manifests).unwrap_or_default();
        manifests.iter().any(|it| environment.manifests.contains(it))
    };
    others.filter(has_same).map(str::to_owned).collect()
}

/// Makes the command one for an environment.
///
/// # Errors
///
/// What is given contradicts the environment.
pub fn enter(
    environment: Environment,
    files: &mut FileArgs,
    platform: &mut PlatformArgs,
) -> Result<Arc<Environment>> {
    let mut environment = environment;
    // On an embedded platform that was asked for, nothing has the name or id of the project.
    if platform.embedded.is_some() && platform.embedded != environment.embedded {
        environment.project = None;
    }
    let environment = Arc::new(environment);
    if files.files.is_empty() {
        files.files.clone_from(&environment.manifests);
        files.reading.with_sources = true;
    }
    files.reading.environment = Some(Arc::clone(&environment));
    *platform = platform.clone().in_environment(&environment)?;
    Ok(environment)
}

/// The environment with the guards and policies of another project file. Of an environment that
/// this one does not have, only what it says of all counts. Of more files counts what they say of the
/// same set.
///
/// # Errors
///
/// There is no environment; a project file that cannot be used.
pub fn under(
    environment: Option<Arc<Environment>>,
    rules: &Path,
    others: &[PathBuf],
) -> Result<Arc<Environment>> {
    let Some(environment) = environment else {
        return Err(Error::usage("--rules-from is for the environments of a project file")
            .hint("leave -f out, or name an environment with -e"));
    };
    let own = ProjectFile::read(rules)?;
    let (mut policies, of_own) = own.rules(&environment)?;
    // What has no environments says nothing of any, where others do.
    let mut guarded = (!own.form.environments.is_empty()).then(|| of_own.clone());
    for other in others {
        if let Some((more, stricter)) = ProjectFile::read(other)?.rules_elsewhere(&environment)? {
            policies.extend(more);
            guarded = Some(guarded.map_or(stricter.clone(), |it| it.and(&stricter)));
        }
    }
    let guarded = guarded.unwrap_or(of_own);
    Ok(Arc::new(Environment { policies, guarded, ..Environment::clone(&environment) }))
}

impl SetArgs {
    /// The same with the set of an environment, if none is given.
    #[must_use]
    pub fn or_of(mut self, environment: Option<&Environment>) -> Self {
        self.set = self.set.or_else(|| environment?.set.clone());
        self
    }
}

impl GuardArgs {
    /// The same with what an environment refuses, if nothing else is given.
    #[must_use]
    pub fn or_of(mut self, environment: Option<&Environment>) -> Self {
        let Some(environment) = environment else { return self };
        self.share |= self.allow_deletes.is_none() && environment.guarded.share;
        self.allow_deletes = self.allow_deletes.or(environment.guarded.deletes);
        self.expect_project = self.expect_project.or_else(|| environment.project.clone());
        self
    }
}

impl PolicyArgs {
    /// The same for an environment.
    #[must_use]
    pub fn or_of(mut self, environment: Option<&Environment>) -> Self {
        self.environment = environment.map(told).filter(|it| !it.name.is_empty());
        self.prune = self.prune.or_else(|| environment?.guarded.prune);
        self.guards = self.guards.or_of(environment);
        self
    }
}

impl ApprovalArgs {
    /// The same with the approvals that an environment requires.
    #[must_use]
    pub fn or_of(mut self, environment: Option<&Environment>) -> Self {
        self.of_environment = environment.and_then(needed);
        self.in_environment = environment.map(option).unwrap_or_default();
        self
    }
}

/// The option that names an environment, after a space, for a command in a message.
#[must_use]
pub fn option(environment: &Environment) -> String {
    match environment.name.as_str() {
        "" => String::new(),
        name => format!(" -e {}", word(name)),
    }
}

/// Refuses what no saved plan is applied for, where an environment requires approvals. The hint gets
/// the option that names the environment.
///
/// # Errors
///
/// It requires some.
pub fn refuse_unsaved(
    environment: Option<&Environment>,
    hint: impl FnOnce(&str) -> String,
) -> Result<()> {
    let Some(environment) = environment else { return Ok(()) };
    match needed(environment) {
        Some(needed) => Err(needed.unsaved().hint(hint(&option(environment)))),
        None => Ok(()),
    }
}

/// The approvals that an environment requires.
#[must_use]
pub fn needed(environment: &Environment) -> Option<Needed> {
    environment.approved.as_ref().map(|approved| Needed {
        required: approved.required,
        approvers: approved.approvers.clone(),
        ..Needed::default()
    })
}

/// Why nothing can be applied in an environment, if the approvals that it requires cannot be had.
#[must_use]
pub fn unapprovable(environment: &Environment) -> Option<String> {
    let error = needed(environment)?.terms().err()?;
    let name = visible::line(&environment.name);
    Some(format!(
        "nothing can be applied in `{name}`, because the approvals that it requires cannot be had: {}",
        with_causes(&error)
    ))
}

impl RuleArgs {
    /// The same with the rules of an environment, which every plan must pass.
    #[must_use]
    pub fn or_of(self, environment: Option<&Environment>) -> Self {
        let folders = environment.map(|it| it.policies.as_slice()).unwrap_or_default();
        let folders: Vec<String> = folders.iter().map(|it| it.display().to_string()).collect();
        self.and(&folders)
    }
}

/// What a saved plan keeps of what an environment says.
#[must_use]
pub fn said(environment: &Environment) -> EnvironmentSaid {
    EnvironmentSaid {
        set: environment.set.clone(),
        allow_deletes: environment.guarded.deletes,
        prune: environment.guarded.prune,
    }
}

/// How a plan names an environment.
pub fn told(environment: &Environment) -> InEnvironment {
    InEnvironment {
        name: environment.name.clone(),
        is_default: environment.is_default,
        alike: environment.alike.clone(),
    }
}

/// Says which environment a command without a plan is for, if nobody named one.
pub fn tell(environment: Option<&Environment>) {
    if let Some(environment) = environment.filter(|it| it.is_default && !it.name.is_empty()) {
        output::note(&format!("note: this is for {}", told(environment).told()));
    }
}
