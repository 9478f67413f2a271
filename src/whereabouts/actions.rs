//! The actions of GitHub, Gitea and Forgejo: variables that begin with `GITHUB_`, and a file with
//! the event.

use serde_json::Value;

use super::checked::{Variables, is_branch, is_commit, is_repository};
use super::{Occasion, Origin, PullRequest, Repository, Sort, System, Whereabouts};

/// The events that are about what a branch has. Every other one may be about a pull request.
const OF_BRANCHES: [&str; 3] = ["push", "schedule", "workflow_dispatch"];

/// The other events that only those can bring about who may write to the repository, and that check
/// out what is theirs.
const OF_WRITERS: [&str; 2] = ["repository_dispatch", "release"];

/// What the variables and the event tell.
pub(super) fn told(
    system: System,
    variables: &Variables<'_>,
    event: Option<&Value>,
) -> Whereabouts {
    let sort = if system == System::GitHub { Sort::GitHub } else { Sort::Gitea };
    let path = variables.repository("GITHUB_REPOSITORY");
    let server = variables.url("GITHUB_SERVER_URL");
    let api = variables.url("GITHUB_API_URL").or_else(|| match sort {
        Sort::GitHub => None,
        _ => server.as_ref().map(|server| format!("{server}/api/v1")),
    });
    let repository = path.clone().zip(api).map(|(path, api)| Repository { sort, api, path });
    let run = variables.number("GITHUB_RUN_ID").or(variables.number("GITHUB_RUN_NUMBER"));
    let run_url = match (&server, &path, run) {
        (Some(server), Some(path), Some(run)) => {
            Some(format!("{server}/{path}/actions/runs/{run}"))
        }
        _ => None,
    };
    let default_branch = text(event, "/repository/default_branch");
    let (occasion, origin) = occasion(variables, event, path.as_deref());
    let actor = variables.name("GITHUB_TRIGGERING_ACTOR").or(variables.name("GITHUB_ACTOR"));
    Whereabouts {
        system,
        repository,
        occasion,
        origin,
        default_branch: default_branch.filter(|it| is_branch(it)).map(str::to_owned),
        commit: variables.commit("GITHUB_SHA"),
        run_url,
        actor,
    }
}

fn text<'a>(event: Option<&'a Value>, pointer: &str) -> Option<&'a str> {
    event?.pointer(pointer)?.as_str()
}

fn occasion(
    variables: &Variables<'_>,
    event: Option<&Value>,
    path: Option<&str>,
) -> (Occasion, Origin) {
    let Some(name) = variables.name("GITHUB_EVENT_NAME") else {
        return (Occasion::Unknown, Origin::Unknown);
    };
    if name == "pull_request" {
        return match pull_request(variables, event) {
            Some(pull_request) => (Occasion::PullRequest(pull_request), origin(event, path)),
            None => (Occasion::Other(name), Origin::Unknown),
        };
    }
    let reference = variables.text("GITHUB_REF").unwrap_or_default();
    let branch = reference.strip_prefix("refs/heads/").filter(|branch| is_branch(branch));
    let is_of_branch = OF_BRANCHES.contains(&name.as_str());
    let origin = match is_of_branch || OF_WRITERS.contains(&name.as_str()) {
        true => Origin::Writers,
        false => Origin::Unknown,
    };
    let occasion = match branch.filter(|_| is_of_branch) {
        Some(branch) => Occasion::Branch(branch.to_owned()),
        None if is_of_branch && reference.starts_with("refs/tags/") => {
            Occasion::Other("push of a tag".to_owned())
        }
        None => Occasion::Other(name),
    };
    (occasion, origin)
}

/// Whom a pull request comes from. A fork that was deleted has no repository any more.
fn origin(event: Option<&Value>, path: Option<&str>) -> Origin {
    let head = text(event, "/pull_request/head/repo/full_name").filter(|it| is_repository(it));
    match path.is_some() && head == path {
        true => Origin::Writers,
        false => Origin::Elsewhere,
    }
}

fn pull_request(variables: &Variables<'_>, event: Option<&Value>) -> Option<PullRequest> {
    let of_event =
        event.and_then(|event| event.get("pull_request")).and_then(|it| it.get("number"));
    let number = of_event.or(event.and_then(|event| event.get("number")))?.as_u64()?;
    let commit = |pointer: &str| text(event, pointer).filter(|it| is_commit(it)).map(str::to_owned);
    let base = text(event, "/pull_request/base/ref").filter(|it| is_branch(it)).map(str::to_owned);
    Some(PullRequest {
        number,
        base_branch: base.or_else(|| variables.branch("GITHUB_BASE_REF")),
        base_commit: commit("/pull_request/base/sha"),
        left_at: None,
        head_commit: commit("/pull_request/head/sha"),
    })
}
