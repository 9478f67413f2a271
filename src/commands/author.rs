//! Who runs a command, for the history of a set: the credential by its name, the machine, the run of
//! a continuous integration, and the commit of the checkout.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::api::key::ApiKey;
use crate::apply::history::{Author, CiRun, Commit};
use crate::manifest::process;
use crate::manifest::secrets::Limits;
use crate::settings::{GIVEN, variable};
use crate::whereabouts::{System, whereabouts};

/// How long `git` may take to say what a checkout is.
const GIT: Limits = Limits { time: Duration::from_secs(2), bytes: 1024 };

/// The longest text that is taken from the environment.
const MOST_LETTERS: usize = 500;

/// Who runs this command on manifests, or in the working folder if none are given.
#[must_use]
pub fn author(manifests: &[PathBuf]) -> Author {
    let user = text("USER").or_else(|| text("LOGNAME"));
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine = user.map(|user| format!("{user}@{}", machine.trim()));
    let folder = manifests.first().map(|path| match path.is_dir() {
        true => path.as_path(),
        false => path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new(".")),
    });
    let folder = folder.filter(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    Author {
        person: None,
        credential: credential(),
        machine,
        ci: ci(&text),
        commit: commit(folder),
    }
}

/// The variable that the credential comes from, and the id of the key in it.
fn credential() -> Option<String> {
    let (name, value) = GIVEN.into_iter().find_map(|name| Some((name, variable(name)?)))?;
    Some(match ApiKey::parse(&value) {
        Some(key) => format!("{name} (key {})", key.id),
        None => name.to_owned(),
    })
}

/// A text of the environment.
fn text(name: &str) -> Option<String> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.chars().take(MOST_LETTERS).collect())
}

/// The run of a continuous integration.
fn ci(text: &dyn Fn(&str) -> Option<String>) -> Option<CiRun> {
    let here = whereabouts(text, None);
    let is_known = here.system != System::Plain;
    let system = here.system.name().to_owned();
    is_known.then_some(CiRun { system, url: here.run_url, actor: here.actor })
}

/// The commit of a checkout, as `git` tells it. Nothing of the repository is run for that.
fn commit(folder: &Path) -> Option<Commit> {
    let mut git = Command::new("git");
    git.args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"])
        .args(["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let told = String::from_utf8(process::run(git, GIT).ok()?).ok()?;
    let told = told.trim();
    let (id, dirty) = match told.strip_suffix("-dirty") {
        Some(id) => (id, true),
        None => (told, false),
    };
    let is_id = id.len() >= 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| Commit { id: id.to_owned(), dirty: Some(dirty) })
}
