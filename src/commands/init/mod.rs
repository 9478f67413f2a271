//! `init`: a small project to begin with, and its first plan.
//!
//! The files that it writes are beside this one, complete except for two names. They are checked
//! like all manifests before anything is written.

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::project::ask;
use super::schema;
use crate::bounded;
use crate::error::{Context, Error, Result};
use crate::listed::word;
use crate::manifest::edit;
use crate::manifest::repository;
use crate::manifest::set::{Input, from_sources};
use crate::manifest::source::Source;
use crate::output;
use crate::own_folder;
use crate::settings::DEFAULT_DATA;
use crate::visible;
use crate::whole_file::Draft;

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent init\n  meshagent init support --project acme-support --room lobby --ci github"
)]
pub struct InitArgs {
    /// The folder to write to; it is created if it is missing
    #[arg(default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
    /// Also describe the project: one that exists, or one to create. Without this option, the
    /// manifests are for the project of the credential or of MESHAGENT_PROJECT_ID
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// The name of the first room; with --yes, `lobby`
    #[arg(long, value_name = "NAME")]
    room: Option<String>,
    /// Which CI workflow to write; with --yes, `github`
    #[arg(long, value_enum)]
    ci: Option<Ci>,
    /// Use the default answers instead of asking
    #[arg(short, long)]
    yes: bool,
}

/// Where changes are checked, planned and applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Ci {
    /// GitHub Actions
    Github,
    /// GitLab CI/CD
    Gitlab,
    /// None
    None,
}

/// The answers.
struct Answers {
    project: Option<String>,
    room: String,
    ci: Ci,
}

/// How much of a wrong name is repeated, in characters.
const LONGEST_TOLD: usize = 100;

/// The default name of the room.
const ROOM: &str = "lobby";

/// What was written, with what comes then.
pub struct Begun {
    /// The words of the first plan's command.
    pub plan: Vec<OsString>,
    /// What is told once that plan was shown.
    pub next: Vec<String>,
}

/// Writes the files.
///
/// # Errors
///
/// No terminal to ask on; an invalid name; a file that already exists; errors of the system.
pub fn run(args: &InitArgs) -> Result<Begun> {
    let answers = answers(args)?;
    let folder = args.folder.as_path();
    let files = files(&answers)?;
    refuse_folder(folder, &files)?;
    refuse_overwriting(folder, &files)?;
    for (name, text) in &files {
        let written = write(&folder.join(name), text)?;
        let name = shown(folder, name);
        output::note(&match written {
            Written::Now => format!("wrote {name}"),
            Written::Before => format!("{name} is already written"),
            Written::Kept => kept(&folder.join(GITIGNORE.0), &name),
        });
    }
    let option = |option: &str, name: &str| {
        let mut word = OsString::from(option);
        word.push(match folder == Path::new(".") {
            true => PathBuf::from(name),
            false => folder.join(name),
        });
        word
    };
    let (files, data) =
        (option("--file=", "manifests"), option("--embedded=", ".meshagent/embedded"));
    let plan = vec!["meshagent".into(), "plan".into(), files, data];
    Ok(Begun { plan, next: next(folder, &answers) })
}

/// What is told of a `.gitignore` of the user's own: the lines of ours that it does not have.
fn kept(path: &Path, name: &str) -> String {
    let there = bounded::text(path, bounded::STANDARD).unwrap_or_default();
    let has = |line: &str| {
        let plain = |line: &str| line.trim().trim_matches('/').to_owned();
        there.lines().any(|own| plain(own) == plain(line))
    };
    let lines = GITIGNORE.1.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let missing: Vec<String> =
        lines.filter(|line| !has(line)).map(|line| format!("`{line}`")).collect();
    match missing.as_slice() {
        [] => format!("kept your {name}"),
        [line] => format!("kept your {name}; add {line} to it"),
        [first @ .., last] => {
            format!("kept your {name}; add {} and {last} to it", first.join(", "))
        }
    }
}

fn answers(args: &InitArgs) -> Result<Answers> {
    let is_asked = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !args.yes;
    let missing = [("--room", args.room.is_none()), ("--ci", args.ci.is_none())];
    let missing: Vec<&str> = missing.iter().filter(|it| it.1).map(|it| it.0).collect();
    if !is_asked && !args.yes && !missing.is_empty() {
        return Err(Error::usage("init asks questions, but there is no terminal")
            .hint(format!("give {}, or --yes for the default answers", missing.join(" and "))));
    }
    let answer = |question: &str, usual: &str, given: Option<&String>| -> Result<String> {
        match given {
            Some(given) => Ok(given.clone()),
            None if !is_asked => Ok(usual.to_owned()),
            None => {
                let shown = if usual.is_empty() { String::new() } else { format!(" [{usual}]") };
                let answer = ask(&format!("{question}{shown}: "))?;
                Ok(if answer.is_empty() { usual.to_owned() } else { answer })
            }
        }
    };
    let named = |name: String| Some(name).filter(|it| args.project.is_some() || !it.is_empty());
    let mut answers = Answers { project: None, room: ROOM.to_owned(), ci: Ci::None };
    // Whoever is asked hears at the question what is wrong with an answer.
    let is_settled = |answers: &Answers, given: bool| match check(answers) {
        Err(error) if is_asked && !given => {
            output::note(&format!("{error}: {}", error.hint.clone().unwrap_or_default()));
            Ok(false)
        }
        checked => checked.map(|()| true),
    };
    // Whoever says something in options wants to be asked for little.
    let is_open = args.room.is_none() && args.ci.is_none();
    while is_open || args.project.is_some() {
        let question = "Project to describe (empty: the project of your key)";
        answers.project = named(answer(question, "", args.project.as_ref())?);
        if is_settled(&answers, args.project.is_some())? {
            break;
        }
    }
    loop {
        answers.room = answer("First room", ROOM, args.room.as_ref())?;
        if is_settled(&answers, args.room.is_some())? {
            break;
        }
    }
    answers.ci = match args.ci {
        Some(ci) => ci,
        None => loop {
            let said = answer("Workflow: github, gitlab or none", "github", None)?;
            match <Ci as clap::ValueEnum>::from_str(&said, true) {
                Ok(ci) => break ci,
                Err(_) => output::note("answer github, gitlab or none"),
            }
        },
    };
    Ok(answers)
}

const GITIGNORE: (&str, &str) = (".gitignore", include_str!("gitignore"));

const PROJECT: &str = "manifests/project.yaml";

const ROOMS: &str = "manifests/rooms.yaml";

/// The manifests, with the answers filled in.
fn manifests(answers: &Answers) -> Vec<(&'static str, String)> {
    let room = |text: &str| text.replace("@room@", &edit::in_block(&answers.room));
    let project = answers.project.as_ref().map(|name| {
        (PROJECT, include_str!("project.yaml").replace("@project@", &edit::in_block(name)))
    });
    let rooms = (ROOMS, room(include_str!("rooms.yaml")));
    let agents = ("manifests/agents.yaml", room(include_str!("agents.yaml")));
    project.into_iter().chain([rooms, agents]).collect()
}

fn files(answers: &Answers) -> Result<Vec<(&'static str, String)>> {
    let mut files = manifests(answers);
    let schema = schema::published()?.into_iter().find(|(name, _)| name == "manifest.json");
    files.extend(schema.map(|(_, text)| ("schemas/manifest.json", text)));
    files.push((".meshagentignore", include_str!("meshagentignore").to_owned()));
    match answers.ci {
        Ci::Github => {
            files.push((".github/workflows/meshagent.yml", include_str!("github.yml").to_owned()));
        }
        Ci::Gitlab => files.push((".gitlab-ci.yml", include_str!("gitlab.yml").to_owned())),
        Ci::None => {}
    }
    files.push((GITIGNORE.0, GITIGNORE.1.to_owned()));
    Ok(files)
}

/// Refuses names that a manifest cannot have, in the words of the rules for manifests.
fn check(answers: &Answers) -> Result<()> {
    let sources = manifests(answers).into_iter().map(|(name, text)| {
        Arc::new(Source::new(name.to_owned(), PathBuf::from("manifests"), text))
    });
    let sources: Vec<_> = sources.collect();
    // Which project it would be does not matter here.
    let input = Input { project: Some("(project)".to_owned()), ..Input::default() };
    let input = if answers.project.is_none() { input } else { Input::default() };
    let Err(problems) = from_sources(&sources, Vec::new(), &input) else {
        return Ok(());
    };
    let about = |file: &str| {
        let mut problems = problems.iter();
        problems.find(|problem| problem.place.as_ref().is_some_and(|place| place.file == file))
    };
    let (option, value, problem) = match (about(PROJECT), &answers.project) {
        (Some(problem), Some(name)) => ("--project", name, Some(problem)),
        _ => ("--room", &answers.room, about(ROOMS).or(problems.first())),
    };
    let told: String = value.chars().take(LONGEST_TOLD).collect();
    let more = if told.len() < value.len() { "…" } else { "" };
    let error =
        Error::usage(format!("{option} \"{}{more}\" is not a valid name", visible::line(&told)));
    Err(match problem {
        // What is wrong with the manifest that it would be written into is wrong with the name.
        Some(problem) => error.hint(problem.message.replace("`metadata.name`", "the name")),
        None => error,
    })
}

/// Refuses a folder in which the files cannot be written or planned, before any is written.
fn refuse_folder(folder: &Path, files: &[(&str, String)]) -> Result<()> {
    if folder.to_str().is_none() {
        return Err(Error::usage(format!("the name {} is not UTF-8", folder.display()))
            .hint("use another folder: `meshagent init FOLDER`"));
    }
    let exists = folder.ancestors().find(|above| above.symlink_metadata().is_ok());
    if let Some(other) = exists.filter(|there| !there.is_dir()) {
        return Err(Error::usage(format!(
            "{} is not a folder, so nothing was written",
            visible::line(&other.display().to_string())
        ))
        .hint("use another folder: `meshagent init FOLDER`"));
    }
    let parents = files.iter().flat_map(|(name, _)| Path::new(name).ancestors().skip(1));
    for parent in parents.filter(|parent| !parent.as_os_str().is_empty()) {
        let parent = folder.join(parent);
        let Ok(about) = parent.symlink_metadata() else { continue };
        refuse_shared(&parent)?;
        if !about.is_dir() {
            let what = if about.is_symlink() { "a link" } else { "not a folder" };
            return Err(Error::usage(format!(
                "{} is {what}, so nothing was written",
                parent.display()
            ))
            .hint("use another folder: `meshagent init FOLDER`"));
        }
    }
    refuse_shared(folder)?;
    let own = |name: &str| files.iter().any(|(file, _)| *file == format!("manifests/{name}"));
    let there = fs::read_dir(folder.join("manifests")).into_iter().flatten().flatten();
    let names = there.map(|entry| entry.file_name().to_string_lossy().into_owned());
    // What a killed run left there is hidden.
    match names.filter(|name| !name.starts_with('.')).find(|name| !own(name)) {
        Some(other) => Err(Error::usage(format!(
            "{} already exists, so nothing was written",
            shown(folder, &format!("manifests/{}", visible::line(&other)))
        ))
        .hint("use a folder without manifests: `meshagent init FOLDER`")),
        None => Ok(()),
    }
}

/// Refuses a folder in which anybody may put a link in the place of what was checked.
fn refuse_shared(folder: &Path) -> Result<()> {
    if !own_folder::may_be_replaced_in(folder) {
        return Ok(());
    }
    let name = folder.display().to_string();
    Err(Error::usage(format!(
        "anybody may replace what is in {}, so nothing was written",
        visible::line(&name)
    ))
    .hint(format!("run `chmod o-w {}`, or use another folder", word(&name))))
}

/// Refuses files that already exist, unless they are as they would be written: a run that was
/// interrupted goes on.
fn refuse_overwriting(folder: &Path, files: &[(&str, String)]) -> Result<()> {
    let is_other = |(name, text): &&(&str, String)| {
        let path = folder.join(name);
        // A `.gitignore` is kept, if it is a file.
        let may_stay = |about: std::fs::Metadata| *name == GITIGNORE.0 && about.is_file();
        path.symlink_metadata().is_ok_and(|about| !may_stay(about)) && !is_same(&path, text)
    };
    let there: Vec<String> =
        files.iter().filter(is_other).map(|(name, _)| shown(folder, name)).collect();
    if there.is_empty() {
        return Ok(());
    }
    let exist = if there.len() == 1 { "already exists" } else { "already exist" };
    Err(Error::usage(format!("{} {exist}, so nothing was written", there.join(", ")))
        .hint("use an empty folder: `meshagent init FOLDER`"))
}

/// Whether a file is there with exactly this text.
fn is_same(path: &Path, text: &str) -> bool {
    path.symlink_metadata().is_ok_and(|it| it.is_file() && it.len() == text.len() as u64)
        && fs::read(path).is_ok_and(|there| there == text.as_bytes())
}

/// What became of a file.
enum Written {
    /// It was written.
    Now,
    /// It was there with exactly this text.
    Before,
    /// It is a `.gitignore` of the user's own.
    Kept,
}

/// Writes a file that does not exist yet.
fn write(path: &Path, text: &str) -> Result<Written> {
    let failed = || format!("failed to write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).context(failed).map_err(|error| {
            error.hint("use a folder that can be written: `meshagent init FOLDER`")
        })?;
    }
    // The umask takes away from its mode, as from that of any other file.
    let written = Draft::with_mode(path, 0o666).and_then(|draft| {
        draft.file().write_all(text.as_bytes())?;
        draft.create(path)
    });
    match written {
        Ok(()) => Ok(Written::Now),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if is_same(path, text) {
                return Ok(Written::Before);
            }
            if path.ends_with(GITIGNORE.0) && path.is_file() {
                return Ok(Written::Kept);
            }
            Err(Error::failed(failed()).because(error))
        }
        Err(error) => Err(Error::failed(failed())
            .because(error)
            .hint("use a folder that can be written: `meshagent init FOLDER`")),
    }
}

/// The path of a file, seen from the working folder.
fn shown(folder: &Path, name: &str) -> String {
    match folder == Path::new(".") {
        true => name.to_owned(),
        false => folder.join(name).display().to_string(),
    }
}

/// A path as one word of a command line that is not read as an option.
fn given(path: &str) -> String {
    if path.starts_with('-') { word(&format!("./{path}")) } else { word(path) }
}

/// What to do once the plan was read.
fn next(folder: &Path, answers: &Answers) -> Vec<String> {
    let manifests = shown(folder, "manifests");
    let given = given(&manifests);
    let data = shown(folder, ".meshagent/embedded");
    let embedded = match data.as_str() {
        DEFAULT_DATA => "--embedded".to_owned(),
        data => format!("--embedded={}", word(data)),
    };
    let mut next = vec![
        "This plan is against an embedded platform on this machine. Next:".to_owned(),
        format!("- edit {manifests}, and plan again: `meshagent plan -f {given} {embedded}`"),
        format!("- sign in with `meshagent setup`, then `meshagent apply -f {given}`"),
    ];
    next.extend(answers.project.as_ref().map(|name| {
        format!(
            "- if the project {} already exists, take it over with the first apply: `--adopt`",
            visible::line(name)
        )
    }));
    let (workflow, place) = match answers.ci {
        Ci::Github => (
            ".github",
            "add the secret MESHAGENT_API_KEY to the environments `plans` and `production`, and the variable MESHAGENT_PROJECT_ID",
        ),
        Ci::Gitlab => {
            (".gitlab-ci.yml", "set MESHAGENT_API_KEY and MESHAGENT_PROJECT_ID as CI/CD variables")
        }
        Ci::None => return next,
    };
    next.push(format!(
        "- for CI, put the program at tools/meshagent in the main branch, and {place}; the steps that plan and apply also need each variable that a secret is read from"
    ));
    let whole = folder.canonicalize().unwrap_or_default();
    let above = whole.parent().and_then(repository::around);
    if let Some(root) = above.filter(|_| !whole.join(".git").exists()) {
        let below = whole.strip_prefix(root).unwrap_or(&whole).display();
        next.push(format!(
            "- CI reads workflows only at the root of a repository: move {} to {}, and write `{below}/` before the paths in it",
            shown(folder, workflow),
            root.display(),
        ));
    }
    next
}
