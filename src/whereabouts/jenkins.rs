//! Jenkins: the variables of its plugins for Git and for branches.

use url::Url;

use super::checked::{Variables, is_repository};
use super::{Occasion, Origin, PullRequest, Repository, Sort, System, Whereabouts};

/// What the variables tell.
pub(super) fn told(variables: &Variables<'_>) -> Whereabouts {
    let branch = variables.branch("BRANCH_NAME");
    let is_primary = variables.text("BRANCH_IS_PRIMARY").is_some_and(|it| it == "true");
    let change = variables.number("CHANGE_ID");
    let page = if change.is_some() { "CHANGE_URL" } else { "GIT_URL" };
    let (occasion, origin) = occasion(variables, change, branch.as_deref());
    Whereabouts {
        system: System::Jenkins,
        repository: variables.url(page).as_deref().and_then(known),
        default_branch: branch.filter(|_| is_primary && change.is_none()),
        occasion,
        origin,
        commit: variables.commit("GIT_COMMIT"),
        run_url: variables.url("RUN_DISPLAY_URL").or_else(|| variables.url("BUILD_URL")),
        actor: variables.name("BUILD_USER_ID"),
    }
}

/// Jenkins says of a change whose fork it comes from, if its plugin knows; it never says that it comes
/// from none. A job that is for one branch does not say what else it may be started for, such as pull
/// requests.
fn occasion(
    variables: &Variables<'_>,
    change: Option<u64>,
    branch: Option<&str>,
) -> (Occasion, Origin) {
    if let Some(number) = change {
        let proposed = PullRequest {
            number,
            base_branch: variables.branch("CHANGE_TARGET"),
            base_commit: None,
            left_at: None,
            head_commit: None,
        };
        let is_of_fork = variables.text("CHANGE_FORK").is_some();
        let origin = if is_of_fork { Origin::Elsewhere } else { Origin::Unknown };
        return (Occasion::PullRequest(proposed), origin);
    }
    if variables.text("CHANGE_ID").is_some() {
        return (Occasion::Unknown, Origin::Unknown);
    }
    if let Some(branch) = branch {
        return (Occasion::Branch(branch.to_owned()), Origin::Writers);
    }
    // The name of the remote stands before that of the branch.
    let known = variables.branch("GIT_BRANCH").map(|branch| {
        Occasion::Branch(branch.strip_prefix("origin/").unwrap_or(&branch).to_owned())
    });
    (known.unwrap_or(Occasion::Unknown), Origin::Unknown)
}

/// The repository of a page or of a clone, on a forge that everybody knows. Others are named by
/// options: a URL alone does not say what its host speaks, nor that a token may be sent there.
fn known(page: &str) -> Option<Repository> {
    let url =
        Url::parse(page).ok().filter(|url| url.scheme() == "https" && url.port().is_none())?;
    let path = url.path().trim_matches('/');
    let (sort, api, path) = match url.host_str()? {
        "github.com" => {
            let names: Vec<&str> = path.splitn(3, '/').take(2).collect();
            (Sort::GitHub, "https://api.github.com", names.join("/"))
        }
        "gitlab.com" => {
            let project = path.split("/-/").next().unwrap_or_default();
            (Sort::GitLab, "https://gitlab.com/api/v4", project.to_owned())
        }
        _ => return None,
    };
    let path = path.strip_suffix(".git").unwrap_or(&path).to_owned();
    is_repository(&path).then(|| Repository { sort, api: api.to_owned(), path })
}
