//! `approvals`: which approvals a plan has; and the options of `apply` that demand some.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;

use super::apply::ApplyFormat;
use super::apply::progress::print as print_event;
use super::saved_plan::{self, Saved};
use crate::approval::statement::Bound;
use crate::approval::verdict::ApprovalsDocument;
use crate::error::{Error, Result};
use crate::output;
use crate::project_file::ProjectFile;
use crate::reconcile::approvals::{Approvals, Needed, folder_of};
use crate::reconcile::events::Event;

/// Who must have approved a plan.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ApprovalArgs {
    /// Refuse a plan that fewer people than this approved with `meshagent approve`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100), help_heading = "Guards")]
    require_approvals: Option<u16>,
    /// The people whose approvals count, with their keys, as the `allowed_signers` of ssh-keygen;
    /// may be repeated: then each file must list them
    #[arg(long, value_name = "FILE", help_heading = "Guards")]
    approvers: Vec<PathBuf>,
    /// An approval, or a folder of them; may be repeated [default: the folder PLAN.approvals]
    #[arg(long, value_name = "PATH", help_heading = "Guards")]
    approval: Vec<PathBuf>,
    /// Whoever made the change, by a name that the approvers' file has: their approval does not
    /// count; may be repeated
    #[arg(long, value_name = "NAME", help_heading = "Guards")]
    author: Vec<String>,
    /// What the environment requires.
    #[arg(skip)]
    pub of_environment: Option<Needed>,
    /// The option that names the environment, after a space, for a command in a message.
    #[arg(skip)]
    pub in_environment: String,
}

impl ApprovalArgs {
    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.approvers.iter().chain(&self.approval)
    }

    /// What is demanded, by these options and by the environment.
    fn demanded(&self) -> Needed {
        let given = Needed {
            required: self.require_approvals.map_or(0, usize::from),
            approvers: self.approvers.clone(),
            approvals: self.approval.clone(),
            authors: self.author.clone(),
        };
        given.and(self.of_environment.clone().unwrap_or_default())
    }

    /// What is demanded of a plan that is to be applied; nothing where neither these options nor the
    /// environment demand approvals.
    ///
    /// # Errors
    ///
    /// A number without approvers, or approvers without a number.
    pub fn needed(&self) -> Result<Option<Needed>> {
        let needed = self.demanded();
        let is_given = self.files().next().is_some() || !self.author.is_empty();
        match (needed.required, needed.approvers.is_empty()) {
            (0, _) if is_given => Err(Error::usage("no number of approvals is required")
                .hint("add --require-approvals N")),
            (0, _) => Ok(None),
            (_, true) => Err(Error::usage("approvals are required, but not whose approvals count")
                .hint("add --approvers FILE, a file of names and keys as the allowed_signers of ssh-keygen")),
            _ => Ok(Some(needed)),
        }
    }
}

impl ApprovalArgs {
    /// The approvals that a plan needs and has, before anything is asked of a platform; nothing if
    /// it needs none.
    ///
    /// # Errors
    ///
    /// They are not enough; the plan was not saved.
    pub fn of_plan(&self, path: Option<&Path>, saved: Option<&Saved>) -> Result<Option<Approvals>> {
        let Some(needed) = self.needed()? else { return Ok(None) };
        let Some((path, saved)) = path.zip(saved) else {
            let in_environment = &self.in_environment;
            return Err(needed.unsaved().hint(format!("save the plan with `meshagent plan{in_environment} --out plan.json`; `meshagent approve plan.json` approves it, and `meshagent apply plan.json{in_environment}` performs it")));
        };
        let approvals = needed.read(path, saved.bound.clone())?;
        tell_authors(&approvals);
        approvals.check(Timestamp::now())?;
        Ok(Some(approvals))
    }
}

/// Says who approved the plan that is about to be performed.
pub fn tell(approvals: &ApprovalsDocument, format: ApplyFormat) {
    match format {
        ApplyFormat::Text => output::note(&approvals.told()),
        ApplyFormat::Json => print_event(&Event::Approved(approvals.clone())),
    }
}

/// Arguments of `approvals`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent approvals plan.json\n  meshagent approvals plan.json --approvers allowed_signers\n  meshagent approvals plan.json --approvers allowed_signers --require-approvals 2   # 6 where they are not enough"
)]
pub struct ApprovalsArgs {
    /// A plan that was saved with `plan --out`
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    #[command(flatten)]
    approvals: ApprovalArgs,
    /// How they are printed
    #[arg(short, long, value_enum, default_value_t = ApprovalsFormat::Text)]
    output: ApprovalsFormat,
}

/// How `approvals` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ApprovalsFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Runs `approvals`: no platform is asked, and nothing is applied.
///
/// # Errors
///
/// A plan that cannot be applied; fewer approvals than are required.
pub fn run(args: &ApprovalsArgs) -> Result<ExitCode> {
    let saved = saved_plan::read(&args.plan, &[])?;
    let environment = match &saved.inputs.environment {
        None => None,
        Some(named) => Some(ProjectFile::named(named)?.environment(Some(named))?),
    };
    let demand = args.approvals.clone().or_of(environment.as_ref());
    let needed = match demand.demanded() {
        // Without approvers it is only told what there is.
        all if all.required == 0 && all.authors.is_empty() => all,
        all if all.approvers.is_empty() => demand.needed()?.unwrap_or(all),
        all => all,
    };
    let read = needed.read(&args.plan, saved.bound)?;
    tell_authors(&read);
    let now = Timestamp::now();
    let (judged, verdict) = (read.judged(now), read.check(now));
    match args.output {
        ApprovalsFormat::Json => output::json(&judged)?,
        ApprovalsFormat::Text if judged.approvals.is_empty() => {
            output::note("there are no approvals");
        }
        ApprovalsFormat::Text => list(&judged),
    }
    if args.output == ApprovalsFormat::Text && needed.required > 0 && verdict.is_ok() {
        output::note(&judged.told());
    }
    verdict.map(|_| ExitCode::SUCCESS).map_err(|mut error| {
        // The approvals are listed already.
        error.problems.truncate(1);
        error.saying("the approvals are not enough")
    })
}

/// Says of which authors nothing is taken off.
fn tell_authors(approvals: &Approvals) {
    for author in approvals.unknown_authors() {
        output::warning(&format!(
            "no file of approvers has the author {author:?}, so no approval is left out for that name"
        ));
    }
}

fn list(judged: &ApprovalsDocument) {
    judged.approvals.iter().for_each(|approval| output::value(&approval.line()));
}

/// Lists the approvals beside a plan that is shown. Whose keys they are is not checked.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn list_beside(path: &Path, plan: Bound) -> Result<()> {
    if path.as_os_str() != "-" && folder_of(path).is_dir() {
        list(&Needed::default().read(path, plan)?.judged(Timestamp::now()));
    }
    Ok(())
}
