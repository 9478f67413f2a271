//! GitLab CI: variables that begin with `CI_`.

use super::checked::Variables;
use super::{Occasion, Origin, PullRequest, Repository, Sort, System, Whereabouts};

/// What the variables tell.
pub(super) fn told(variables: &Variables<'_>) -> Whereabouts {
    let path = variables
        .repository("CI_MERGE_REQUEST_PROJECT_PATH")
        .or_else(|| variables.repository("CI_PROJECT_PATH"));
    let api = variables.url("CI_API_V4_URL");
    let repository = path.zip(api).map(|(path, api)| Repository { sort: Sort::GitLab, api, path });
    let (occasion, origin) = occasion(variables);
    Whereabouts {
        system: System::GitLab,
        repository,
        occasion,
        origin,
        default_branch: variables.branch("CI_DEFAULT_BRANCH"),
        commit: variables.commit("CI_COMMIT_SHA"),
        run_url: variables.url("CI_JOB_URL").or_else(|| variables.url("CI_PIPELINE_URL")),
        actor: variables.name("GITLAB_USER_LOGIN"),
    }
}

/// The sources of pipelines that are about what a branch or a tag has. Others are about what is
/// proposed, here or at another forge.
const OF_BRANCHES: [&str; 8] =
    ["push", "schedule", "web", "api", "trigger", "pipeline", "parent_pipeline", "chat"];

fn occasion(variables: &Variables<'_>) -> (Occasion, Origin) {
    if let Some(number) = variables.number("CI_MERGE_REQUEST_IID") {
        let occasion = Occasion::PullRequest(merge_request(variables, number));
        return (occasion, origin(variables));
    }
    let source = variables.name("CI_PIPELINE_SOURCE");
    let is_of_branch = source.as_deref().is_some_and(|source| OF_BRANCHES.contains(&source));
    let is_tag = variables.text("CI_COMMIT_TAG").is_some();
    match (variables.branch("CI_COMMIT_BRANCH"), source) {
        (Some(branch), _) if is_of_branch => (Occasion::Branch(branch), Origin::Writers),
        (None, Some(_)) if is_of_branch && is_tag => {
            (Occasion::Other("push of a tag".to_owned()), Origin::Writers)
        }
        (_, Some(source)) => (Occasion::Other(source), Origin::Unknown),
        (_, None) => (Occasion::Unknown, Origin::Unknown),
    }
}

/// Whom a merge request comes from.
fn origin(variables: &Variables<'_>) -> Origin {
    let project = |of: &str| variables.text(&format!("CI_MERGE_REQUEST_{of}PROJECT_ID"));
    match (project(""), project("SOURCE_")) {
        (Some(target), Some(source)) if target == source => Origin::Writers,
        (Some(_), Some(_)) => Origin::Elsewhere,
        _ => Origin::Unknown,
    }
}

fn merge_request(variables: &Variables<'_>, number: u64) -> PullRequest {
    PullRequest {
        number,
        base_branch: variables.branch("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
        base_commit: variables.commit("CI_MERGE_REQUEST_TARGET_BRANCH_SHA"),
        left_at: variables.commit("CI_MERGE_REQUEST_DIFF_BASE_SHA"),
        head_commit: variables
            .commit("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA")
            .or_else(|| variables.commit("CI_COMMIT_SHA")),
    }
}
