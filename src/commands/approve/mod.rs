//! `approve`: shows a saved plan, asks, and signs that it may be applied.

mod signing;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use self::signing::Signer;
use super::confirmation::confirm;
use super::environment;
use super::own_inputs::{refuse_outside, written_file};
use super::plan::{print, refuse};
use super::saved_plan;
use crate::approval::MAX_APPROVAL;
use crate::approval::signed::Approval;
use crate::approval::statement::{Bound, LONGEST, LONGEST_REASON, Statement};
use crate::bounded;
use crate::error::{Class, Context, Error, Result, with_causes};
use crate::listed::word;
use crate::output::{self, Format};
use crate::project_file::ProjectFile;
use crate::reconcile::approvals::{Needed, SUFFIX, folder_of};
use crate::visible;
use crate::whole_file;

/// Arguments of `approve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent approve plan.json\n  meshagent approve plan.json --key ~/.ssh/id_work.pub --expires 2h --reason \"reviewed in #412\"\n  meshagent approve plan.json --yes --out alice.approval\n  meshagent apply plan.json --require-approvals 2 --approvers allowed_signers"
)]
pub struct ApproveArgs {
    /// A plan that was saved with `plan --out`
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// The key to sign with: a private key, or the public key of one in the SSH agent
    /// [default: ~/.ssh/id_ed25519]
    #[arg(short, long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// How long the approval is valid, at most 30 days
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = validity)]
    expires: Duration,
    /// The name under which the approvers' file lists the key, if the approval is to say it
    #[arg(long, value_name = "NAME", value_parser = text)]
    by: Option<String>,
    /// Why the plan is approved; it stands in reports
    #[arg(long, value_name = "TEXT", value_parser = text)]
    reason: Option<String>,
    /// Write the approval into this file [default: a file in the folder PLAN.approvals]
    #[arg(long, value_name = "FILE", value_parser = written_file())]
    out: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// List one by one what is otherwise summarized
    #[arg(long)]
    verbose: bool,
}

/// How long an approval is valid: `30m`, `24h`, `7d`.
fn validity(written: &str) -> Result<Duration, String> {
    let wrong = || "write it as 30m, 24h or 7d, at least 1m and at most 30d".to_owned();
    let days =
        written.trim().strip_suffix('d').and_then(|days| days.trim_end().parse::<u32>().ok());
    let read = match days {
        Some(days) => Some(Duration::from_secs(u64::from(days) * 24 * 60 * 60)),
        None => written.parse::<SignedDuration>().ok().and_then(|it| Duration::try_from(it).ok()),
    };
    read.filter(|it| (Duration::from_secs(60)..=LONGEST).contains(it)).ok_or_else(wrong)
}

/// A text that a statement contains.
fn text(written: &str) -> Result<String, String> {
    match written.chars().count() {
        0 => Err("it is empty".to_owned()),
        count if count > LONGEST_REASON => {
            Err(format!("it is longer than {LONGEST_REASON} characters"))
        }
        _ => Ok(written.to_owned()),
    }
}

/// Runs `approve`.
///
/// # Errors
///
/// A plan that cannot be applied; a key that cannot sign; nobody agreed.
pub fn run(args: &ApproveArgs) -> Result<ExitCode> {
    output::set_verbose(args.verbose);
    let saved = saved_plan::read(&args.plan, &[])?;
    let key = match &args.key {
        Some(key) => key.clone(),
        None => standard_key()?,
    };
    let signer = Signer::of(&key)?;
    if let Some(out) = &args.out {
        refuse_others(out)?;
    }
    let name = args.plan.display().to_string();
    let broken = |problem: String| Error::usage(format!("{}: {problem}", visible::line(&name)));
    let (environment, bound) = (saved.environment(), saved.bound.clone());
    let plan = saved.document.restored().map_err(broken)?;
    output::notes(&plan.notes);
    print(&plan, Format::Text)?;
    refuse(&plan)?;
    // Who could not be shown the plan has not agreed to it.
    output::check()?;
    let now = Timestamp::now();
    let statement = Statement {
        by: args.by.clone(),
        reason: args.reason.clone(),
        ..Statement::new(saved.bound, now, args.expires)
    };
    output::note(&format!("the plan's digest is {}", statement.plan.digest));
    let target = plan.target().unwrap_or_default();
    let until = statement.expires;
    let question = format!("Approve that this is applied to {target} until {until}?");
    if !args.yes && !confirm(&question)? {
        return Err(Error::failed("cancelled; nothing was approved"));
    }
    let line = statement.line().context(|| "failed to write the approval".to_owned())?;
    let text = Approval::text(&line, &signer.sign(&line)?);
    let unusable = |problem: String| {
        Error::failed(format!(
            "the key {} cannot approve plans",
            visible::line(&key.display().to_string())
        ))
        .because(problem)
    };
    if text.len() > MAX_APPROVAL {
        return Err(unusable("the plan is for too many projects".to_owned()));
    }
    let approval = Approval::parse(&text).map_err(unusable)?;
    approval.verify().map_err(unusable)?;
    let path = match &args.out {
        Some(path) => path.clone(),
        None => beside(&args.plan, &approval)?,
    };
    let shown = path.display().to_string();
    whole_file::write(&path, text.as_bytes())
        .context(|| format!("failed to write {}", visible::line(&shown)))?;
    output::note(&format!("approved until {until}: {}", word(&shown)));
    output::note(&format!(
        "a file of approvers lists the key as: {} {}",
        args.by.as_deref().unwrap_or("NAME"),
        approval.public_key()
    ));
    if let Some(why) = environment.and_then(|name| uncounted(&args.plan, (&name, bound), &path)) {
        output::warning(&why);
    }
    Ok(ExitCode::SUCCESS)
}

/// Why an approval of a plan does not count in its environment, if it does not.
fn uncounted(plan: &Path, (name, bound): (&str, Bound), approval: &Path) -> Option<String> {
    // What is wrong with the project file is told when the plan is applied.
    let file = ProjectFile::named(name).ok()?;
    let environment = file.environment(Some(name).filter(|name| !name.is_empty()));
    let needed = environment::needed(&environment.ok()?)?;
    let needed = Needed { approvals: vec![approval.to_owned()], ..needed };
    let name = visible::line(name);
    match needed.read(plan, bound) {
        Ok(read) => {
            let judged = read.judged(Timestamp::now());
            let problem = judged.approvals.iter().find_map(|it| it.problem.clone())?;
            Some(format!("the approval does not count in `{name}`: {problem}"))
        }
        Err(error) => {
            Some(format!("the approval may not count in `{name}`: {}", with_causes(&error)))
        }
    }
}

/// The key that people have if they have one.
fn standard_key() -> Result<PathBuf> {
    let key = std::env::home_dir().map(|home| home.join(".ssh/id_ed25519"));
    key.filter(|key| key.is_file()).ok_or_else(|| {
        Error::usage("there is no key to sign with: ~/.ssh/id_ed25519 does not exist")
            .hint("--key names a private key, or the public key of one in the SSH agent")
    })
}

/// Refuses to write over a file that is no approval.
fn refuse_others(path: &Path) -> Result<()> {
    match bounded::text(path, MAX_APPROVAL) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(text) if text.is_empty() || Approval::parse(&text).is_ok() => Ok(()),
        _ => {
            let name = visible::line(&path.display().to_string()).into_owned();
            Err(Error::new(
                Class::Refused,
                format!("--out would overwrite {name}, which is no approval"),
            )
            .hint("give another file with --out, or remove it"))
        }
    }
}

/// The file of a key's approval in the folder beside a plan, which is made. Each key has its own,
/// so that several people can approve at once; approving again replaces one's own.
fn beside(plan: &Path, approval: &Approval) -> Result<PathBuf> {
    let folder = folder_of(plan);
    let shown = || visible::line(&folder.display().to_string()).into_owned();
    refuse_outside(&folder)?;
    match std::fs::create_dir(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Error::failed(format!("failed to create {}", shown()))
                .because(error)
                .hint("--out names another file for the approval"));
        }
        _ => {}
    }
    Ok(folder.join(format!("{}.{SUFFIX}", approval.key_as_name())))
}
