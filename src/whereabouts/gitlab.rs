//! GitLab CI: variables that begin with `CI_`.

use super::checked::Variables;
use super::{Occasion, PullRequest, Repository, Sort, System, Whereabouts};

/// What the variables tell.
pub(super) fn told(variables: &Variables<'_>) -> Whereabouts {
    let path = variables
        .repository("CI_MERGE_REQUEST_PROJECT_PATH")
        .or_else(|| variables.repository("CI_PROJECT_PATH"));
    let api = variables.url("CI_API_V4_URL");
    let repository = path.zip(api).map(|(path, api)| Repository { sort: Sort::GitLab, api, path });
    let occasion = match variables.number("CI_MERGE_REQUEST_IID") {
        Some(number) => Occasion::PullRequest(merge_request(variables, number)),
        None => {
            match (variables.branch("CI_COMMIT_BRANCH"), variables.name("CI_PIPELINE_SOURCE")) {
                (Some(branch), _) => Occasion::Branch(branch),
                (None, Some(source)) => Occasion::Other(source),
                (None, None) => Occasion::Unknown,
            }
        }
    };
    Whereabouts {
        system: System::GitLab,
        repository,
        occasion,
        default_branch: variables.branch("CI_DEFAULT_BRANCH"),
        commit: variables.commit("CI_COMMIT_SHA"),
        run_url: variables.url("CI_JOB_URL").or_else(|| variables.url("CI_PIPELINE_URL")),
        actor: variables.name("GITLAB_USER_LOGIN"),
    }
}

fn merge_request(variables: &Variables<'_>, number: u64) -> PullRequest {
    let project = variables.text("CI_MERGE_REQUEST_PROJECT_ID");
    PullRequest {
        number,
        base_branch: variables.branch("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
        base_commit: variables.commit("CI_MERGE_REQUEST_TARGET_BRANCH_SHA"),
        left_at: variables.commit("CI_MERGE_REQUEST_DIFF_BASE_SHA"),
        head_commit: variables
            .commit("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA")
            .or_else(|| variables.commit("CI_COMMIT_SHA")),
        is_foreign: project.is_none()
            || variables.text("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") != project,
    }
}
