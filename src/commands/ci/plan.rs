//! `ci plan`: plans the sets that changed, shows it, and saves the plans where that is asked for.

use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use super::base::{AtBase, NotHere, as_it_was, at_base, base, left, not_here};
use super::child::{self, Ran, Surroundings};
use super::gone::{Declared, Gone};
use super::here::Here;
use super::jobs::{Job, SetAt, has_project_file, refuse_many, refuse_unknown, sets, tell_nothing};
use super::results::{Came, Outcome, of_plan, summed, verdict};
use super::telling::{Telling, absolute, own_folder, to_next_step};
use super::{WhatArgs, WhereArgs};
use crate::checkout::Checkout;
use crate::commands::own_inputs::refuse_outside;
use crate::error::{Class, Context, Error, Result, with_causes};
use crate::forge::Status;
use crate::listed::few;
use crate::output;
use crate::plan::markdown;
use crate::project_file::{Ci, ProjectFile};
use crate::visible;
use crate::whereabouts::{Footing, Occasion, System};

/// Arguments of `ci plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    place: WhereArgs,
    /// The commit that changes are counted from, and that guards and policies are taken from
    #[arg(long, value_name = "COMMIT")]
    base: Option<String>,
    /// Plan all sets, whether or not anything of them changed
    #[arg(long)]
    all: bool,
    /// Also save the plans in this folder, for `ci apply --plan FOLDER`
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Do not write a comment
    #[arg(long)]
    no_comment: bool,
}

/// The name of the list of saved plans.
pub(super) const LIST: &str = "plans.json";

/// The list of saved plans.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedPlans {
    /// The plans, in the order in which they are applied.
    pub(super) plans: Vec<SavedAt>,
    /// What there is no plan of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) unplanned: Vec<Unplanned>,
}

/// A saved plan.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedAt {
    /// Its file, in the folder of the list.
    pub(super) file: String,
    /// The folder of its set, below the root of the repository.
    pub(super) folder: String,
    /// Its environment, if the set has any.
    pub(super) environment: String,
}

/// What was to be planned, and has no saved plan.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unplanned {
    /// The folder of its set, below the root of the repository.
    pub(super) folder: String,
    /// Its environment, if the set has any.
    pub(super) environment: String,
    /// Why it has none.
    pub(super) why: String,
}

/// What all jobs of a run have in common.
struct Planning<'a> {
    args: &'a PlanArgs,
    /// What is planned.
    what: WhatArgs,
    footing: Footing,
    /// Whether something is proposed, so that values may be missing and nothing of it is trusted.
    is_proposal: bool,
    /// Whether a set wants a status for the commit. One that is demanded is also missed where nothing
    /// of the set is touched.
    has_status: bool,
    /// A folder of this run's own.
    own: PathBuf,
    /// Where plans are saved.
    out: Option<PathBuf>,
    /// How many bytes a section may have.
    share: usize,
}

/// Runs `ci plan`.
///
/// # Errors
///
/// What keeps plans from being made; what they come to, where that fails the run; what the forge
/// refuses.
pub async fn run(args: &PlanArgs) -> Result<ExitCode> {
    let here = Here::of(&args.place)?;
    let footing = here.footing()?;
    here.tell_unknown();
    let checkout = Checkout::around(Path::new("."));
    let what = args.what.or_usual(checkout.as_ref().ok())?;
    let checkout = match checkout {
        Ok(checkout) => Some(checkout),
        Err(_) if !what.files.is_empty() && args.base.is_none() => None,
        Err(error) => return Err(error),
    };
    let own = own_folder()?;
    let (planned, gone, has_status) = plans(&here, args, &what, (checkout.as_ref(), own.path()))?;
    let is_proposal = match here.at.occasion {
        Occasion::Branch(_) => false,
        Occasion::Unknown => here.at.system != System::Plain,
        Occasion::PullRequest(_) | Occasion::Other(_) => true,
    };
    let limit = here.forge.as_ref().map_or(65_536, crate::forge::Forge::limit);
    let planning = Planning {
        args,
        what,
        footing,
        is_proposal,
        has_status,
        own: own.path().to_owned(),
        out: args.out.as_ref().map(|out| made(out)).transpose()?,
        share: (limit.saturating_sub(4_000) / planned.len().max(1)).clamp(2_000, 1_000_000),
    };
    let mut outcomes = Vec::new();
    let mut saved = SavedPlans::default();
    for (at, planned_at) in planned.iter().enumerate() {
        let name = &planned_at.job.name;
        output::note(&format!("planning {name} ({} of {})", at + 1, planned.len()));
        outcomes.push(planning.plan(planned_at, &mut saved).await?);
    }
    planning.tell(&here, &outcomes, (&planned, &gone), &saved).await?;
    verdict(&outcomes, "plan")?;
    Ok(ExitCode::SUCCESS)
}

/// A job, and what it is judged by.
struct Planned {
    job: Job,
    ci: Ci,
    /// The project files whose guards and policies count, if those are others; or why they are not
    /// known.
    rules: Result<Vec<PathBuf>, String>,
}

/// What is planned, the project files that the proposal takes away, and whether a set of the
/// repository wants a status.
fn plans(
    here: &Here,
    args: &PlanArgs,
    what: &WhatArgs,
    (checkout, own): (Option<&Checkout>, &Path),
) -> Result<(Vec<Planned>, Vec<Gone>, bool)> {
    let into = own.join("base");
    // Manifests that stand for a project file are looked after as one: it may have been there.
    let is_usual = !what.files.is_empty() && args.what.files.is_empty();
    let base = match checkout {
        Some(checkout) if args.what.files.is_empty() => {
            base(here, checkout, args.base.as_deref())?.map(|base| (checkout, base))
        }
        _ => None,
    };
    let left = base.as_ref().and_then(|(checkout, base)| left(here, checkout, base));
    let NotHere { gone: gone_files, newer } = match &base {
        Some((checkout, base)) => not_here(checkout, (base, left.as_deref()), &into)?,
        None => NotHere { gone: Vec::new(), newer: Vec::new() },
    };
    if let (Some(path), true) = (newer.first(), is_usual) {
        let shown = visible::line(&path.display().to_string()).into_owned();
        return Err(Error::new(
            Class::Refused,
            format!("{shown} is new on the base branch, and what it says of guards and policies is not known here"),
        )
        .hint("merge the base branch into this one, or rebase onto it"));
    }
    if let (Some(path), true) = (gone_files.first(), is_usual) {
        let shown = visible::line(&path.display().to_string()).into_owned();
        return Err(Error::new(
            Class::Refused,
            format!("{shown} is gone, and with it the guards and policies of the base branch"),
        )
        .hint("keep a project file, or name the manifests in the job with -f"));
    }
    // The last one may have been taken away.
    let is_last = !gone_files.is_empty() && what.folders.is_empty();
    let mut found = match checkout {
        Some(checkout) if is_last && !has_project_file(checkout)? => Vec::new(),
        _ => sets(what, checkout)?,
    };
    refuse_unknown(what, &found)?;
    let now = Declared::of(&found);
    let wants_status = found.iter().any(|set| set.ci.has_status);
    let was = |path: &PathBuf| ProjectFile::read(&into.join(path)).ok();
    let is_part = !what.folders.is_empty() || !what.environments.is_empty();
    let gone_files = gone_files.iter().filter(|_| !is_part);
    let mut gone: Vec<Gone> = gone_files
        .map(|path| Gone::file(path, was(path).as_ref(), (&now, left.is_some())))
        .collect();
    if let (Some((checkout, base)), false, false) = (&base, args.all, is_usual) {
        let changed = checkout.changed(base)?;
        found.retain(|set| set.is_touched_by(&changed, checkout.root()));
    }
    let mut planned = Vec::new();
    for set in &found {
        let base = base.as_ref().filter(|_| set.path.is_some());
        let base = base.map(|(checkout, base)| (*checkout, base.as_str()));
        let (jobs, was) = planned_of(set, what, base, (checkout, &into))?;
        planned.extend(jobs);
        let Some(was) = was.filter(|_| what.environments.is_empty()) else { continue };
        // What the base got since then is not gone.
        let before = match (base, left.as_deref()) {
            (Some((checkout, base)), Some(left)) if left != base => {
                as_it_was(checkout, (set, left), &own.join("left"))?
            }
            _ => Some(was.clone()),
        };
        if let Some(before) = before {
            gone.extend(Gone::environments(set, (&was, &before), (&now, left.is_some())));
        }
    }
    refuse_many(planned.len())?;
    let has_status = wants_status || planned.iter().any(|it| it.ci.has_status);
    Ok((planned, gone, has_status))
}

/// What is planned of a set, and its project file as the base has it.
fn planned_of(
    set: &SetAt,
    what: &WhatArgs,
    base: Option<(&Checkout, &str)>,
    (checkout, into): (Option<&Checkout>, &Path),
) -> Result<(Vec<Planned>, Option<ProjectFile>)> {
    let at_base = base.map(|(checkout, base)| at_base(checkout, (set, base), into)).transpose();
    let was = at_base.as_ref().ok().and_then(|it| it.as_ref()?.file.clone());
    let (ci, rules) = match at_base {
        Ok(at_base) => {
            (judged_by(set, at_base.as_ref()), Ok(at_base.map(AtBase::rules).unwrap_or_default()))
        }
        // What judges it is not known, so nothing of the proposal makes it milder.
        Err(error) => {
            let names = set.file.iter().flat_map(|file| file.names().map(str::to_owned));
            (Ci::usual(names.collect()), Err(with_causes(&error)))
        }
    };
    let root = checkout.map(Checkout::root).unwrap_or(Path::new("."));
    let jobs = set.jobs(root, &ci.plan, what);
    let planned = jobs.into_iter().map(|job| Planned { job, ci: ci.clone(), rules: rules.clone() });
    Ok((planned.collect(), was))
}

/// What continuous integration does with a set: what the base says counts, and what is new is
/// planned as well. An environment that is gone is not planned.
fn judged_by(set: &SetAt, base: Option<&AtBase>) -> Ci {
    let (Some(base), Some(file)) = (base, &set.file) else { return set.ci.clone() };
    let of_others = base.others.iter().map(|(_, other)| other.ci());
    let judges = base.file.as_ref().map(ProjectFile::ci).into_iter().chain(of_others);
    let Some(ci) = judges.reduce(|one, other| one.and(&other)) else { return set.ci.clone() };
    let known = base.file.as_ref();
    let of_base = known.map(|known| known.ci().plan).unwrap_or_default();
    // Without any, a project file is its one environment.
    if file.names().next().is_none() {
        return Ci { plan: vec![String::new()], ..ci };
    }
    let is_new = |name: &str| known.is_none_or(|known| !known.names().any(|it| it == name));
    let mut plan = of_base;
    plan.retain(|name| file.names().any(|it| it == *name));
    plan.extend(file.names().filter(|name| is_new(name)).map(str::to_owned));
    Ci { plan, ..ci }
}

/// What became of a job.
fn outcome(job: &Job, ci: &Ci, ran: &Ran) -> Outcome {
    let came = Came::of(ran.code);
    let section = of_plan(job, ran, came);
    Outcome { job: job.clone(), came, section, judged: (ci.on_changes, ci.on_refused) }
}

/// The folder for plans, made if it is not there.
fn made(folder: &Path) -> Result<PathBuf> {
    // What is checked out may have a link there.
    refuse_outside(folder)?;
    // A plan is not taken from where others could put one, whatever the job lets others write.
    let mut new = std::fs::DirBuilder::new();
    new.recursive(true).mode(0o755);
    new.create(folder).context(|| format!("failed to make {}", folder.display()))?;
    absolute(folder)
}

impl Planning<'_> {
    async fn plan(&self, planned: &Planned, saved: &mut SavedPlans) -> Result<Outcome> {
        let Planned { job, ci, rules } = planned;
        let mut words: Vec<OsString> = vec!["plan".into()];
        words.extend(job.words.iter().cloned());
        words.extend(["--output", "markdown", "--exit-code", "--markdown-limit"].map(Into::into));
        words.push(self.share.to_string().into());
        let rules = match rules {
            Ok(rules) => rules,
            Err(told) => {
                output::warning(told);
                let ran =
                    Ran { code: Class::Refused.exit_code(), told: told.clone(), ..Ran::default() };
                return Ok(outcome(job, ci, &ran));
            }
        };
        words.extend(rules.iter().flat_map(|rules| [OsString::from("--rules-from"), rules.into()]));
        let out = self.out.as_ref().map(|out| out.join(job.file_name()));
        let (ran, is_saved) = match &self.footing {
            Footing::Stranger(_) => (self.of_stranger(job, words).await?, false),
            Footing::Own => {
                let mut words = words;
                if let Some(out) = &out {
                    // An older one must not be taken for this one.
                    let _ = std::fs::remove_file(out);
                    words.extend([OsString::from("--out"), out.into()]);
                }
                words.extend(self.what.options().into_iter().map(OsString::from));
                let surroundings = match self.is_proposal {
                    true => Surroundings::WithoutForge,
                    false => Surroundings::Whole,
                };
                let ran = child::run(&words, &job.folder, &surroundings).await?;
                let is_saved = out.as_ref().is_some_and(|out| out.is_file());
                (ran, is_saved)
            }
        };
        let (folder, environment) = job.of.clone();
        match (is_saved, ran.code) {
            (true, _) => saved.plans.push(SavedAt { file: job.file_name(), folder, environment }),
            (false, code) => {
                let why = match (Came::of(code), &self.footing) {
                    (_, Footing::Stranger(why)) => why.clone(),
                    (Came::Refused, _) => "its plan was refused".to_owned(),
                    (_, Footing::Own) => format!("planning failed with exit code {code}"),
                };
                saved.unplanned.push(Unplanned { folder, environment, why });
            }
        }
        Ok(outcome(job, ci, &self.named_as_there(ran)))
    }

    /// What was told, with the paths of what was taken out of the base as the base has them.
    fn named_as_there(&self, ran: Ran) -> Ran {
        let taken_out = format!("{}/", self.own.join("base").display());
        let named = |text: String| text.replace(&taken_out, "");
        Ran { data: named(ran.data), told: named(ran.told), ..ran }
    }

    /// What a stranger wrote is checked, and planned on an empty platform, with an environment that
    /// has nothing in it.
    async fn of_stranger(&self, job: &Job, words: Vec<OsString>) -> Result<Ran> {
        let home = self.own.join("home");
        std::fs::create_dir_all(&home).context(|| home.display().to_string())?;
        let surroundings = Surroundings::Empty(home);
        let mut words = words;
        // A stranger's project file may name any host as a source.
        words.push("--offline".into());
        let mut embedded = OsString::from("--embedded=");
        embedded.push(self.own.join("embedded").join(job.file_name()));
        words.push(embedded);
        words.extend(self.what.options_of_stranger().into_iter().map(OsString::from));
        child::run(&words, &job.folder, &surroundings).await
    }

    /// Tells what was found, wherever that is wanted.
    async fn tell(
        &self,
        here: &Here,
        outcomes: &[Outcome],
        (planned, gone): (&[Planned], &[Gone]),
        saved: &SavedPlans,
    ) -> Result<()> {
        let has_changes = outcomes.iter().any(|it| it.came != Came::Good);
        if let Some(out) = &self.out {
            // It is written as a new file, and never through a link.
            let list = out.join(LIST);
            let _ = std::fs::remove_file(&list);
            output::write_json(&list, saved)?;
            if let Footing::Stranger(_) = self.footing {
                output::note("note: no plan is saved, because this gets no credentials");
            }
        }
        // The plan of manifests that are given is one file, which is applied from the same folder.
        let plan = match (&self.out, saved.plans.as_slice()) {
            (Some(out), [one]) if !self.what.files.is_empty() => out.join(&one.file),
            (Some(out), [_, ..]) => out.clone(),
            _ => PathBuf::new(),
        };
        let plan = plan.display().to_string();
        let changes = if has_changes { "true" } else { "false" };
        to_next_step(&[("changes", changes), ("plan", &plan)])?;
        let about = match &self.footing {
            Footing::Stranger(why) => {
                let kept = self.what.kept_from_strangers();
                let kept = match kept.is_empty() {
                    true => String::new(),
                    false => format!(
                        " Options of the job that consent to something or name a platform are left out: {}.",
                        few(kept.iter().map(|name| markdown::code(name)))
                    ),
                };
                format!(
                    "{why}, so it is planned on the embedded platform, which is empty, and without any secret.{kept}"
                )
            }
            Footing::Own => String::new(),
        };
        let heading = match outcomes {
            [] if !gone.is_empty() => "meshagent: what was planned is gone".to_owned(),
            [] => "meshagent: no set is touched".to_owned(),
            _ => format!("meshagent: {}", summed(outcomes)),
        };
        let of_gone = gone.iter().map(Gone::section);
        let sections = of_gone.chain(outcomes.iter().map(|it| it.section.clone())).collect();
        let telling = Telling { what: "plan", job: self.what.job(), heading, about, sections };
        telling.show(here)?;
        if outcomes.is_empty() && gone.is_empty() {
            tell_nothing("no set is touched by what changed");
        }
        let Some(pull_request) = here.at.pull_request() else { return Ok(()) };
        let is_wanted = planned.is_empty() || planned.iter().any(|it| it.ci.has_comment);
        if is_wanted && !self.args.no_comment {
            let number = pull_request.number;
            match (telling.comment(here, number).await, &self.footing) {
                // The token of a fork may read at most, and that is no fault of it.
                (Err(error), Footing::Stranger(_)) => {
                    output::note(&format!("note: the comment is not written: {error}"));
                }
                (done, _) => done?,
            }
        }
        if self.has_status
            && let Some(commit) = &pull_request.head_commit
            && let Some(forge) = here.forge_or_note("the status of the commit")
        {
            let summary = summed(outcomes);
            let status = Status {
                context: "meshagent/plan",
                is_good: !outcomes.iter().any(Outcome::fails),
                description: match outcomes {
                    [] => "no set is touched",
                    _ => &summary,
                },
                url: here.at.run_url.as_deref(),
            };
            match (forge.state(commit, status).await, &self.footing) {
                // As with the comment.
                (Err(error), Footing::Stranger(_)) => {
                    output::note(&format!("note: the status is not written: {error}"));
                }
                (done, _) => done?,
            }
        }
        Ok(())
    }
}
