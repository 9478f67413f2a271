//! `accept`: what drifted on the platform becomes what the manifests say.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anstyle::Style;

use super::set::{FileArgs, SetArgs};
use crate::apply::observe::{self, Scope};
use crate::bounded;
use crate::conceal;
use crate::connection::Connection;
use crate::error::{Class, Context, Error, Result};
use crate::kinds::Key;
use crate::manifest::set::{Set, from_sources};
use crate::manifest::source::{self, Source};
use crate::manifest::walk;
use crate::output;
use crate::plan::acceptance::{Acceptance, Documents, Left, accept};
use crate::plan::planner::{self, Policy, Prune, Refusal};
use crate::plan::scope::{matches, meant};
use crate::plan::{Plan, unified};
use crate::settings::PlatformArgs;
use crate::visible;

/// Arguments of `accept`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent accept -f manifests --dry-run\n  meshagent accept -f manifests Service/support@lobby Room/lobby"
)]
pub struct AcceptArgs {
    /// Just these objects, with * and ?; without them, all that drifted
    #[arg(value_name = "KIND/NAME")]
    objects: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    set: SetArgs,
    /// Show the edits and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs `accept`.
///
/// # Errors
///
/// What keeps a plan from being made; drift that cannot be written into the manifests.
pub async fn run(args: AcceptArgs) -> Result<ExitCode> {
    let set_name = args.set.name()?.to_owned();
    let connection = args.platform.connect().await?;
    let done = decide(&connection, &set_name, &args).await;
    let closed = connection.close().await;
    let (sources, documents, acceptance) = done?;
    closed?;
    for (file, text) in &acceptance.texts {
        let old = sources.iter().find(|source| source.name == *file);
        let old = old.map_or("", |source| source.text.as_str());
        let bold = Style::new().bold();
        let name = visible::line(file);
        let header = format!("{bold}--- a/{name}\n+++ b/{name}{bold:#}\n");
        let instead = |line| documents.instead_of(file, line);
        output::data(&(header + &unified::hunks(old, text, &instead)));
        if !args.dry_run {
            replace_file(Path::new(file), old, text)?;
        }
    }
    conclude(&acceptance, args.dry_run)
}

/// The sources as they are, and what they become.
async fn decide(
    connection: &Connection,
    set_name: &str,
    args: &AcceptArgs,
) -> Result<(Vec<Arc<Source>>, Documents, Acceptance)> {
    let input =
        args.files.input(connection.project.clone(), connection.fallback_project.clone())?;
    let source::Reading { sources, problems, skipped, notes, .. } =
        source::read(&input.paths, &input.values, &input.reach());
    let read = |sources: &[Arc<Source>], problems| {
        from_sources(sources, problems, &input).map_err(Error::manifests)
    };
    let set = read(&sources, problems)?;
    let skipped = set.passed_over(&skipped);
    for note in notes.into_iter().chain(walk::summary(&skipped)) {
        output::note(&format!("note: {note}"));
    }
    args.files.list_skipped(&skipped);
    let documents = Documents::of(&set);
    let keys: Vec<&Key> = set.objects.keys().collect();
    let is_declared = |name: &&String| keys.iter().any(|key| matches(name, key));
    if let Some(unknown) = args.objects.iter().find(|name| !is_declared(name)) {
        return Err(
            Error::usage(format!("the manifests declare no {unknown}")).hint(meant(unknown, &keys))
        );
    }
    let wanted =
        |key: &Key| args.objects.is_empty() || args.objects.iter().any(|name| matches(name, key));
    let plan = plan(connection, set_name, set).await?;
    let mut refused = Vec::new();
    loop {
        let acceptance = accept(&plan, &documents, &wanted, &refused);
        if acceptance.texts.is_empty() {
            return Ok((sources, documents, acceptance));
        }
        // Whether the manifests say it now is what the planner says, before anything is
        // written.
        let after = match read(&edited(&sources, &acceptance), Vec::new()) {
            Ok(set) => self::plan(connection, set_name, set).await?,
            Err(error) => {
                let fits = |keys: &[&Key]| {
                    let part = accept(&plan, &documents, &|key| keys.contains(&key), &refused);
                    read(&edited(&sources, &part), Vec::new()).map(drop)
                };
                let unreadable = unreadable(&acceptance, &fits);
                if unreadable.is_empty() {
                    return Err(error);
                }
                refused.extend(unreadable);
                continue;
            }
        };
        let open: Vec<Left> = still_open(&after, &acceptance);
        if open.is_empty() {
            return Ok((sources, documents, acceptance));
        }
        refused.extend(open);
    }
}

/// The sources as they are once the changes are written.
fn edited(sources: &[Arc<Source>], acceptance: &Acceptance) -> Vec<Arc<Source>> {
    let sources = sources.iter().map(|source| match acceptance.texts.get(&source.name) {
        Some(text) => {
            let Source { name, folder, .. } = &**source;
            Arc::new(Source::new(name.clone(), folder.clone(), text.clone()))
        }
        None => Arc::clone(source),
    });
    sources.collect()
}

/// What was accepted of objects whose documents cannot be read once it is written, with what is
/// wrong then. `fits` tells that of some objects together.
fn unreadable(acceptance: &Acceptance, fits: &dyn Fn(&[&Key]) -> Result<()>) -> Vec<Left> {
    let mut keys: Vec<&Key> = acceptance.accepted.iter().map(|(key, _)| key).collect();
    keys.dedup();
    let blamed = blamed(&keys, fits);
    let left = acceptance.accepted.iter().filter_map(|(key, path)| {
        let reason = format!("its document would be wrong: {}", blamed.get(key)?);
        Some(Left { key: key.clone(), path: path.clone(), reason })
    });
    left.collect()
}

/// Those of the objects that do not fit, each with why: the objects are halved until one is
/// left, or some that fit apart and not together.
fn blamed<'a>(keys: &[&'a Key], fits: &dyn Fn(&[&Key]) -> Result<()>) -> BTreeMap<&'a Key, String> {
    let Err(error) = fits(keys) else { return BTreeMap::new() };
    let mut found = BTreeMap::new();
    if keys.len() > 1 {
        let (first, second) = keys.split_at(keys.len() / 2);
        found.extend(blamed(first, fits));
        found.extend(blamed(second, fits));
    }
    if found.is_empty() {
        let first = error.problems.first().map(|problem| &problem.message);
        let reason = first.unwrap_or(&error.message);
        found.extend(keys.iter().map(|key| (*key, reason.clone())));
    }
    found
}

async fn plan(connection: &Connection, set_name: &str, set: Set) -> Result<Plan> {
    let reader = connection.client.reader();
    let observation =
        observe::observe(&reader, &Policy::standard(set_name), set, Scope::Documents).await?;
    let policy = Policy { prune: Prune::None, ..Policy::standard(set_name) };
    planner::plan(&observation.set.objects, &observation.state, &policy).map_err(|refusal| {
        match refusal {
            Refusal::Manifests(problems) | Refusal::Scope(problems) => Error::manifests(problems),
            Refusal::Guard(problems) => Error::refused(problems),
        }
    })
}

/// What was accepted and differs all the same.
fn still_open(after: &Plan, acceptance: &Acceptance) -> Vec<Left> {
    let changes: BTreeMap<&Key, Vec<_>> = after
        .operations
        .iter()
        .filter(|operation| !operation.changes.is_empty())
        .map(|operation| {
            (&operation.key, operation.changes.iter().map(|change| &change.path).collect())
        })
        .collect();
    let is_open = |key: &Key, path| {
        changes.get(key).is_some_and(|paths: &Vec<&crate::kinds::path::FieldPath>| {
            paths.iter().any(|open| open.0.starts_with(path) || path.starts_with(&open.0))
        })
    };
    acceptance
        .accepted
        .iter()
        .filter(|(key, path)| is_open(key, &path.0))
        .map(|(key, path)| Left {
            key: key.clone(),
            path: path.clone(),
            reason: "a manifest cannot say so".to_owned(),
        })
        .collect()
}

/// Writes a file in one step, with the mode that it had, unless it changed meanwhile.
fn replace_file(path: &Path, old: &str, new: &str) -> Result<()> {
    let failed = || format!("failed to write {}", path.display());
    // A link stays one.
    let path = &std::fs::canonicalize(path).context(failed)?;
    let current = bounded::text(path, bounded::STANDARD).context(failed)?;
    let (mark, text) = match current.strip_prefix('\u{feff}') {
        Some(text) => ("\u{feff}", text),
        None => ("", current.as_str()),
    };
    if source::with_line_feeds(text.to_owned()) != old {
        return Err(Error::failed(format!("{} changed while it was edited", path.display()))
            .hint("run the same command again"));
    }
    let holds = |text: &str| conceal::within(text.into()) != text;
    if holds(new) && !holds(old) {
        let what = format!("a credential of yours would stand in {}", path.display());
        return Err(Error::new(Class::Refused, what)
            .hint("the platform holds it in a field that drifted: replace the credential, and take it out there"));
    }
    // Lines go on to end as they did.
    let new = match (text.contains('\r'), text.contains('\n')) {
        (true, false) => new.replace('\n', "\r"),
        _ => new.to_owned(),
    };
    let mode = std::fs::metadata(path).context(failed)?.permissions();
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).context(failed)?;
    file.write_all(mark.as_bytes())
        .and_then(|()| file.write_all(new.as_bytes()))
        .context(failed)?;
    file.as_file()
        .set_permissions(mode)
        .and_then(|()| file.as_file().sync_all())
        .context(failed)?;
    file.persist(path).context(failed)?;
    Ok(())
}

fn conclude(acceptance: &Acceptance, dry_run: bool) -> Result<ExitCode> {
    for left in &acceptance.left {
        let what = match left.path.0.is_empty() {
            true => left.key.to_string(),
            false => format!("{} {}", left.key, left.path),
        };
        output::note(&format!("not accepted: {what}: {}", left.reason));
    }
    let plural =
        |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let (fields, files) = (acceptance.accepted.len(), acceptance.texts.len());
    output::note(&match (fields, dry_run) {
        (0, _) if acceptance.left.is_empty() => "nothing drifted".to_owned(),
        (0, _) => "no field was accepted".to_owned(),
        (_, true) => {
            format!("{} would be accepted in {}", plural(fields, "field"), plural(files, "file"))
        }
        (_, false) => format!("accepted: {} in {}", plural(fields, "field"), plural(files, "file")),
    });
    if acceptance.left.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Error::failed(format!("{} not accepted", plural(acceptance.left.len(), "change"))).hint(
        "`apply` gives the platform what the manifests say; `lifecycle.ignore` leaves a field alone",
    ))
}
