use std::collections::BTreeMap;

use serde_json::json;

use super::*;

const HEAD: &str = "1111111111111111111111111111111111111111";
const BASE: &str = "2222222222222222222222222222222222222222";

fn of(variables: &[(&str, &str)], event: Option<&Value>) -> Whereabouts {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    whereabouts(&|name| variables.get(name).map(|it| (*it).to_owned()), event)
}

fn proposed(from: Value) -> Value {
    json!({
        "number": 7,
        "pull_request": {
            "number": 7,
            "base": {"ref": "main", "sha": BASE},
            "head": {"ref": "$(id)", "sha": HEAD, "repo": from},
        },
        "repository": {"default_branch": "main"},
    })
}

const GITHUB: [(&str, &str); 8] = [
    ("GITHUB_ACTIONS", "true"),
    ("GITHUB_API_URL", "https://api.github.com"),
    ("GITHUB_SERVER_URL", "https://github.com"),
    ("GITHUB_REPOSITORY", "acme/shop"),
    ("GITHUB_SHA", HEAD),
    ("GITHUB_RUN_ID", "5"),
    ("GITHUB_ACTOR", "ada"),
    ("GITHUB_REF", "refs/heads/main"),
];

#[test]
fn a_pull_request_of_github_is_known_with_its_base() {
    let variables = [&GITHUB[..], &[("GITHUB_EVENT_NAME", "pull_request")]].concat();
    let told = of(&variables, Some(&proposed(json!({"full_name": "acme/shop"}))));
    assert_eq!(told.system, System::GitHub);
    assert_eq!(told.run_url.as_deref(), Some("https://github.com/acme/shop/actions/runs/5"));
    assert_eq!(
        (told.actor.as_deref(), told.default_branch.as_deref()),
        (Some("ada"), Some("main"))
    );
    let repository = told.repository.clone().unwrap();
    assert_eq!((repository.sort, repository.path.as_str()), (Sort::GitHub, "acme/shop"));
    let pull_request = told.pull_request().unwrap();
    assert_eq!((pull_request.number, told.origin), (7, Origin::Writers));
    assert_eq!(pull_request.base_commit.as_deref(), Some(BASE));
    assert_eq!(told.branch(), None);
}

#[test]
fn what_is_not_known_to_be_of_this_repository_is_foreign() {
    let variables = [&GITHUB[..], &[("GITHUB_EVENT_NAME", "pull_request")]].concat();
    for from in [json!({"full_name": "mallory/shop"}), json!({"full_name": 5}), json!(null)] {
        let told = of(&variables, Some(&proposed(from.clone())));
        assert_eq!(told.origin, Origin::Elsewhere, "{from}");
    }
    // Without an event that says so, it is no pull request that could be commented.
    let told = of(&variables, None);
    assert_eq!(told.occasion, Occasion::Other("pull_request".to_owned()));
    let gitlab = [("GITLAB_CI", "true"), ("CI_MERGE_REQUEST_IID", "3")];
    assert_eq!(of(&gitlab, None).origin, Origin::Unknown);
    let jenkins = [("JENKINS_URL", "https://ci.test/"), ("CHANGE_ID", "3"), ("CHANGE_FORK", "m")];
    assert_eq!(of(&jenkins, None).origin, Origin::Elsewhere);
    assert_eq!(of(&jenkins[..2], None).origin, Origin::Unknown);
}

#[test]
fn only_events_of_branches_are_about_a_branch() {
    for (event, reference, expected) in [
        ("push", "refs/heads/main", Occasion::Branch("main".to_owned())),
        ("schedule", "refs/heads/main", Occasion::Branch("main".to_owned())),
        ("workflow_dispatch", "refs/heads/a/b", Occasion::Branch("a/b".to_owned())),
        ("push", "refs/tags/main", Occasion::Other("push of a tag".to_owned())),
        ("push", "refs/heads/--force", Occasion::Other("push".to_owned())),
        ("push", "", Occasion::Other("push".to_owned())),
        (
            "pull_request_target",
            "refs/heads/main",
            Occasion::Other("pull_request_target".to_owned()),
        ),
        ("issue_comment", "refs/heads/main", Occasion::Other("issue_comment".to_owned())),
        ("workflow_run", "refs/heads/main", Occasion::Other("workflow_run".to_owned())),
    ] {
        let more = [("GITHUB_EVENT_NAME", event), ("GITHUB_REF", reference)];
        assert_eq!(of(&[&GITHUB[..], &more].concat(), None).occasion, expected, "{event}");
    }
}

#[test]
fn forges_that_set_the_variables_of_github_are_told_apart() {
    let own = [("GITHUB_API_URL", ""), ("GITHUB_SERVER_URL", "https://git.acme.test/")];
    for (name, system) in [("GITEA_ACTIONS", System::Gitea), ("FORGEJO_ACTIONS", System::Forgejo)] {
        let told = of(&[&GITHUB[..], &own, &[(name, "true")]].concat(), None);
        assert_eq!(told.system, system);
        let repository = told.repository.unwrap();
        assert_eq!(repository.sort, Sort::Gitea);
        assert_eq!(repository.api, "https://git.acme.test/api/v1");
    }
}

#[test]
fn merge_requests_and_branches_of_gitlab_are_known() {
    let common = [
        ("GITLAB_CI", "true"),
        ("CI_API_V4_URL", "https://gitlab.test/api/v4"),
        ("CI_PROJECT_PATH", "fork/shop"),
        ("CI_COMMIT_SHA", HEAD),
        ("CI_DEFAULT_BRANCH", "main"),
        ("CI_JOB_URL", "https://gitlab.test/acme/shop/-/jobs/9"),
        ("GITLAB_USER_LOGIN", "ada"),
        ("CI_PIPELINE_SOURCE", "push"),
    ];
    let told = of(&[&common[..], &[("CI_COMMIT_BRANCH", "main")]].concat(), None);
    assert_eq!((told.branch(), told.default_branch.as_deref()), (Some("main"), Some("main")));
    let merge = |source: &'static str| {
        let more = [
            ("CI_MERGE_REQUEST_IID", "4"),
            ("CI_MERGE_REQUEST_PROJECT_PATH", "acme/group/shop"),
            ("CI_MERGE_REQUEST_PROJECT_ID", "1"),
            ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", source),
            ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
            ("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", ""),
            ("CI_MERGE_REQUEST_DIFF_BASE_SHA", BASE),
        ];
        of(&[&common[..], &more].concat(), None)
    };
    assert_eq!(merge("1").repository.unwrap().path, "acme/group/shop");
    let told = merge("1");
    let pull_request = told.pull_request().unwrap();
    assert_eq!((told.origin, pull_request.base_commit.as_deref()), (Origin::Writers, None));
    assert_eq!(pull_request.left_at.as_deref(), Some(BASE));
    assert_eq!(merge("2").origin, Origin::Elsewhere);
}

#[test]
fn jenkins_knows_the_forges_that_everybody_knows() {
    let jenkins = |page: &'static str| {
        let variables =
            [("JENKINS_URL", "https://ci.test/"), ("CHANGE_ID", "6"), ("CHANGE_URL", page)];
        of(&variables, None).repository.map(|it| (it.sort, it.path))
    };
    let github = Some((Sort::GitHub, "acme/shop".to_owned()));
    assert_eq!(jenkins("https://github.com/acme/shop/pull/6"), github);
    let gitlab = Some((Sort::GitLab, "acme/a/shop".to_owned()));
    assert_eq!(jenkins("https://gitlab.com/acme/a/shop/-/merge_requests/6"), gitlab);
    for page in [
        "https://github.com.evil.test/acme/shop/pull/6",
        "https://x@github.com/acme/shop/pull/6",
        "http://github.com/acme/shop/pull/6",
        "https://github.com:444/acme/shop/pull/6",
        "https://github.com/acme",
        "https://git.acme.test/acme/shop/pull/6",
    ] {
        assert_eq!(jenkins(page), None, "{page}");
    }
    let branch = [("JENKINS_URL", "x"), ("BRANCH_NAME", "main"), ("BRANCH_IS_PRIMARY", "true")];
    let told = of(&branch, None);
    assert_eq!((told.branch(), told.default_branch.as_deref()), (Some("main"), Some("main")));
}

#[test]
fn what_could_become_something_else_is_left_out() {
    for branch in ["-f", "a b", "a..b", "a^", "a:b", "", "a@{1}", "HEAD", "a\nb", "x.lock"] {
        assert!(!is_branch(branch), "{branch:?}");
    }
    for branch in ["main", "feature/x-1", "renovate/all.minor", "füße", "a@b"] {
        assert!(is_branch(branch), "{branch}");
    }
    for path in ["acme", "acme/../x", "acme/shop?x", "/acme/shop", "acme//shop", "a/b\n", "a/%2e"] {
        assert!(!is_repository(path), "{path:?}");
    }
    for commit in ["HEAD", "0000000000000000000000000000000000000000", "1234", "--all"] {
        assert!(!is_commit(commit), "{commit}");
    }
    let wrong = [
        ("GITHUB_SERVER_URL", "https://u:p@github.com"),
        ("GITHUB_REPOSITORY", "acme/shop/../x"),
        ("GITHUB_ACTOR", "a\u{1b}[2J"),
        ("GITHUB_SHA", "--upload-pack=x"),
    ];
    let told = of(&[&GITHUB[..], &wrong].concat(), None);
    assert_eq!((told.repository, told.run_url, told.actor, told.commit), (None, None, None, None));
    assert_eq!(of(&[], None), Whereabouts::plain());
}
