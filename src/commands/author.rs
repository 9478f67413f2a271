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
use crate::visible;

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

/// The run of a continuous integration, by the variables that each sets.
fn ci(text: &dyn Fn(&str) -> Option<String>) -> Option<CiRun> {
    let link = |url: String| visible::url(&url);
    if text("GITHUB_ACTIONS").is_some() {
        let system = match (text("FORGEJO_ACTIONS"), text("GITEA_ACTIONS")) {
            (Some(_), _) => "Forgejo",
            (None, Some(_)) => "Gitea",
            (None, None) => "GitHub",
        };
        let parts = ["GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"].map(text);
        let url = match parts {
            [Some(server), Some(repository), Some(run)] => {
                Some(link(format!("{server}/{repository}/actions/runs/{run}")))
            }
            _ => None,
        };
        return Some(CiRun { system: system.to_owned(), url, actor: text("GITHUB_ACTOR") });
    }
    let others = [
        ("GITLAB_CI", "GitLab", "CI_JOB_URL", "GITLAB_USER_LOGIN"),
        ("JENKINS_URL", "Jenkins", "BUILD_URL", "BUILD_USER"),
    ];
    let (_, system, url, actor) = others.into_iter().find(|(mark, ..)| text(mark).is_some())?;
    Some(CiRun { system: system.to_owned(), url: text(url).map(link), actor: text(actor) })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_known_by_the_variables_of_its_system() {
        let of = |variables: &[(&str, &str)]| {
            let text = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, text)| (*text).to_owned())
            };
            ci(&text).map(|run| (run.system, run.url.unwrap_or_default(), run.actor))
        };
        let github = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SERVER_URL", "https://user:hunter2@git.example.com"),
            ("GITHUB_REPOSITORY", "acme/support"),
            ("GITHUB_RUN_ID", "7"),
            ("GITHUB_ACTOR", "ada"),
        ];
        let url = "https://git.example.com/acme/support/actions/runs/7".to_owned();
        let ada = Some("ada".to_owned());
        assert_eq!(of(&github), Some(("GitHub".to_owned(), url.clone(), ada.clone())));
        let gitea = [&github[..], &[("GITEA_ACTIONS", "true")]].concat();
        assert_eq!(of(&gitea), Some(("Gitea".to_owned(), url.clone(), ada.clone())));
        let forgejo = [&gitea[..], &[("FORGEJO_ACTIONS", "true")]].concat();
        assert_eq!(of(&forgejo), Some(("Forgejo".to_owned(), url, ada)));
        let gitlab = [("GITLAB_CI", "true"), ("CI_JOB_URL", "https://gitlab.com/x/-/jobs/1")];
        let url = "https://gitlab.com/x/-/jobs/1".to_owned();
        assert_eq!(of(&gitlab), Some(("GitLab".to_owned(), url, None)));
        let jenkins = [("JENKINS_URL", "https://j"), ("BUILD_URL", "https://j/job/1/")];
        let url = "https://j/job/1/".to_owned();
        assert_eq!(of(&jenkins), Some(("Jenkins".to_owned(), url, None)));
        assert_eq!(of(&[("CI", "true")]), None);
    }
}
