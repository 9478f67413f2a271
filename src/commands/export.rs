//! `export`: what a project holds, as manifests.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use crate::apply::inventory::is_set_name;
use crate::apply::survey::{Survey, homes_of, survey};
use crate::conceal;
use crate::connection::Connection;
use crate::error::{Class, Context, Error, Problem, Result};
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName};
use crate::listed::{counted, few, word};
use crate::manifest::export::{self, Agents, Export, Layout, Object};
use crate::output;
use crate::plan::Observed;
use crate::reconcile::unknown_set;
use crate::settings::PlatformArgs;
use crate::visible;
use crate::whole_file::Draft;

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Secrets are written as references to environment variables, never as values; standard error\n\
lists the variables to set.\n\n\
Examples:\n  meshagent export -d manifests\n  meshagent export -d manifests --set staging --layout kind"
)]
pub struct ExportArgs {
    /// The folder that the manifests are written to
    #[arg(short, long, value_name = "DIR")]
    dir: PathBuf,
    /// Only what this set owns
    #[arg(long, value_name = "NAME")]
    set: Option<String>,
    /// One file per object, or one per kind
    #[arg(long, value_enum, default_value_t)]
    layout: Layout,
    /// Overwrite files that exist
    #[arg(long)]
    force: bool,
    /// Also write the document of the project itself; the manifests are then only for this project
    #[arg(long)]
    with_project: bool,
    /// Also write objects that hold secrets (values of templates, headers and clients of MCP
    /// servers), with the secrets in clear text
    #[arg(long)]
    obscure_values: bool,
    /// Write services that run an agent as documents of the kind Agent, where these say all of it
    #[arg(long)]
    agents: bool,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs `export`.
///
/// # Errors
///
/// What cannot be read from the platform or written; what must not be overwritten or shown.
pub async fn export(args: ExportArgs) -> Result<ExitCode> {
    if let Some(set) = args.set.as_deref().filter(|set| !is_set_name(set)) {
        return Err(Error::usage(format!("{set:?} cannot be the name of a set")));
    }
    let connection = args.platform.connect().await?;
    let read = read(&connection, args.set.as_deref()).await;
    let closed = connection.close().await;
    let mut survey = read?;
    closed?;
    refuse_between_names(&survey)?;
    if !args.with_project {
        leave_project_out(&mut survey);
    }
    let project = survey.project.clone();
    let agents = if args.agents { Agents::Agents } else { Agents::Services };
    let export = declare(survey, (args.layout, agents), args.obscure_values)?;
    write(&args.dir, &export.files, args.force)?;
    tell(&export, &args.dir);
    if export.objects == 0 && args.set.is_none() {
        let told = format!(
            "note: project {} is empty; use --project-id to choose another, and `meshagent project list` to list them",
            visible::line(&project)
        );
        output::note(&told);
    }
    output::data(&format!(
        "Exported {} of project {} to {} in {}.\n",
        counted(export.objects, "object"),
        visible::line(&project),
        visible::line(&args.dir.display().to_string()),
        counted(export.files.len(), "file"),
    ));
    Ok(ExitCode::SUCCESS)
}

async fn read(connection: &Connection, set: Option<&str>) -> Result<Survey> {
    let project = connection.project.as_ref().or(connection.fallback_project.as_ref());
    let Some(project) = project else {
        return Err(Error::usage("no project is given")
            .hint("give --project-id, or set MESHAGENT_PROJECT_ID"));
    };
    let reader = connection.client.reader();
    let survey = survey(&reader, project, set).await?;
    match set {
        Some(set) if survey.objects.is_empty() => {
            let (homes, unknown) = homes_of(&reader, set).await?;
            if homes.is_empty() && unknown > 0 {
                let what = format!("it is unknown which project has the set `{set}`");
                return Err(Error::failed(what).hint(format!(
                    "{} not asked, or did not answer: give its project with --project-id",
                    match unknown {
                        1 => "1 project was".to_owned(),
                        count => format!("{count} projects were"),
                    }
                )));
            }
            refuse_absent(set, &survey, &homes, &connection.flags)?;
        }
        _ => {}
    }
    Ok(survey)
}

/// Refuses an empty export of a set that is in another project, or does not exist.
fn refuse_absent(set: &str, survey: &Survey, homes: &[String], flags: &str) -> Result<()> {
    let unknown = unknown_set(set, &survey.project);
    match homes.first() {
        Some(home) => Err(unknown.hint(format!(
            "it is in {}; export it from there with `meshagent export --set {set} --project-id {}{flags}`",
            few(homes.iter().map(|name| format!("`{name}`"))),
            word(home)
        ))),
        None if !survey.is_known => Err(unknown),
        None => Ok(()),
    }
}

/// Refuses to write a temporary name: other objects refer to it, and leaving its object out would
/// look as if it were deleted.
fn refuse_between_names(survey: &Survey) -> Result<()> {
    if survey.between_names.is_empty() {
        return Ok(());
    }
    let problem = |(now, (set, key)): (&Key, &(String, Key))| {
        Problem::new(format!(
            "{now} has a temporary name: an apply of the set `{set}` that renames it to {key} was interrupted"
        ))
        .hint(format!("apply the set `{set}` again to finish the rename, then export"))
    };
    Err(Error::refused(survey.between_names.iter().map(problem).collect()))
}

/// Manifests without a document of their project can be applied to any other.
fn leave_project_out(survey: &mut Survey) {
    survey.objects.retain(|key, observed| {
        let is_project = key.kind == KindName::Project;
        if is_project && *observed.fields != Tree::map([]) {
            output::note(&format!(
                "note: {key} has settings and is left out; add --with-project to write it, too"
            ));
        }
        !is_project
    });
}

fn declare(
    survey: Survey,
    (layout, agents): (Layout, Agents),
    obscure_values: bool,
) -> Result<Export> {
    let Survey { objects, entries, shared, .. } = survey;
    let inside = notes_on_rooms(&objects);
    let objects: Vec<Object> = objects
        .into_iter()
        .map(|(key, observed)| {
            let entry = entries.get(&key);
            Object {
                kept: entry.map(|entry| entry.kept()).unwrap_or_default(),
                ignored: entry.map(|entry| entry.ignore.clone()).unwrap_or_default(),
                fields: Arc::unwrap_or_clone(observed.fields),
                key,
            }
        })
        .collect();
    let secrets = export::with_secrets(&objects);
    if !obscure_values && !secrets.is_empty() {
        let problem = |(key, what): (&Key, &str)| Problem::new(format!("{key} holds {what}"));
        return Err(Error::refused(secrets.into_iter().map(problem).collect()).hint(
            "keep the document that it came from, or write it in clear text with --obscure-values",
        ));
    }
    let mut export = export::export(objects, layout, agents);
    export.notes.extend(inside);
    export.notes.extend(
        shared
            .iter()
            .map(|key| format!("the platform has more than one {key}; only the first is exported")),
    );
    Ok(export)
}

/// What is to be known of objects that are inside of rooms.
fn notes_on_rooms(objects: &BTreeMap<Key, Observed>) -> Vec<String> {
    let unseen: Vec<&Key> =
        objects.iter().filter(|(_, it)| it.is_remembered).map(|(key, _)| key).collect();
    match unseen.is_empty() {
        true => Vec::new(),
        false => {
            let told = few(unseen);
            vec![format!("what is inside of rooms is exported as it was last applied: {told}")]
        }
    }
}

/// Writes the files: none of them if one exists, unless overwriting is requested, and each of them
/// completely or not at all.
fn write(folder: &Path, files: &BTreeMap<PathBuf, String>, force: bool) -> Result<()> {
    let existing: Vec<PathBuf> = files
        .keys()
        .map(|path| folder.join(path))
        .filter(|path| path.symlink_metadata().is_ok())
        .collect();
    if let Some(first) = existing.first().filter(|_| !force) {
        let more = existing.len() - 1;
        let exist = match more {
            0 => "already exists".to_owned(),
            _ => format!("and {more} more already exist"),
        };
        return Err(Error::new(
            Class::Refused,
            format!("{} {exist}, so nothing was written", first.display()),
        )
        .hint("add --force to overwrite, or give another folder with -d"));
    }
    for (path, text) in files {
        let written = conceal::within(text.into());
        if written != text.as_str() {
            output::warning(&format!(
                "{}: the platform's data contains one of your credentials; it was left out",
                folder.join(path).display()
            ));
        }
        write_file(folder, path, &written)?;
    }
    Ok(())
}

fn write_file(folder: &Path, path: &Path, text: &str) -> Result<()> {
    let path = folder.join(path);
    let failed = || format!("failed to write {}", path.display());
    let parent = path.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent).context(failed)?;
    // A folder that leads elsewhere would have the file written there.
    let is_link = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_symlink());
    if parent != folder && is_link(parent) {
        return Err(Error::new(
            Class::Refused,
            format!("{} is a link, so nothing is written through it", parent.display()),
        ));
    }
    let draft = Draft::like(&path).context(failed)?;
    draft.file().write_all(text.as_bytes()).context(failed)?;
    draft.rename(&path).map(drop).context(failed)
}

fn tell(export: &Export, folder: &Path) {
    for note in &export.notes {
        output::warning(note);
    }
    let others = walkdir::WalkDir::new(folder)
        .into_iter()
        .flatten()
        .filter(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            entry.file_type().is_file() && !export.files.contains_key(path)
        })
        .count();
    if others > 0 {
        output::note(&format!(
            "note: {} in {} {}",
            counted(others, "file"),
            folder.display(),
            match others {
                1 => "is not part of this export, and is left as it is",
                _ => "are not part of this export, and are left as they are",
            }
        ));
    }
    if export.variables.is_empty() {
        return;
    }
    output::note("note: set these variables before you plan or apply the manifests:");
    let width = export.variables.keys().map(String::len).max().unwrap_or_default();
    for (variable, field) in &export.variables {
        output::note(&format!("  {variable:width$}  {field}"));
    }
}
