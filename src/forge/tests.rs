//! How each forge spells things, as its documentation has it.

use serde_json::json;

use super::*;
use crate::forge::call::{Need, PAGE};
use crate::whereabouts::Sort;

/// A call as text: verb, path, query and body.
fn spelled(call: &Call) -> String {
    let query: Vec<String> =
        call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let body = call.body.as_ref().map(|body| format!(" {body}")).unwrap_or_default();
    format!("{call:?}?{}{body}", query.join("&"))
}

const TEXT: Text<'static> = Text { title: "t", body: "b", is_open: true };

fn calls(sort: Sort, repository: &str) -> Vec<String> {
    let speech = speech(sort);
    let closed = Text { is_open: false, ..TEXT };
    let status = Status { context: "c", is_good: false, description: "d", url: Some("u") };
    [
        speech.asks_who(),
        speech.comments(repository, 7, 2),
        speech.write_comment(repository, 7, None, "b"),
        speech.write_comment(repository, 7, Some(9), "b"),
        speech.issues(repository, "ada", 1),
        speech.write_issue(repository, None, TEXT),
        speech.write_issue(repository, Some(3), closed),
        speech.pulls(repository, "a/b", 1),
        speech.open_pull(repository, ("a/b", "main"), TEXT),
        speech.change_pull(repository, 4, closed),
        speech.pulls_of(repository, "c0ffee"),
        speech.state(repository, "c0ffee", status),
    ]
    .iter()
    .map(spelled)
    .collect()
}

#[test]
fn github_is_spoken_as_documented() {
    assert_eq!(
        calls(Sort::GitHub, "acme/shop"),
        [
            r#"POST /graphql? {"query":"query { viewer { login } }"}"#,
            "GET /repos/acme/shop/issues/7/comments?per_page=50&page=2",
            r#"POST /repos/acme/shop/issues/7/comments? {"body":"b"}"#,
            r#"PATCH /repos/acme/shop/issues/comments/9? {"body":"b"}"#,
            "GET /repos/acme/shop/issues?state=open&per_page=50&page=1",
            r#"POST /repos/acme/shop/issues? {"title":"t","body":"b"}"#,
            r#"PATCH /repos/acme/shop/issues/3? {"title":"t","body":"b","state":"closed"}"#,
            "GET /repos/acme/shop/pulls?state=open&head=acme:a/b&per_page=50&page=1",
            r#"POST /repos/acme/shop/pulls? {"title":"t","body":"b","head":"a/b","base":"main"}"#,
            r#"PATCH /repos/acme/shop/pulls/4? {"title":"t","body":"b","state":"closed"}"#,
            "GET /repos/acme/shop/commits/c0ffee/pulls?",
            r#"POST /repos/acme/shop/statuses/c0ffee? {"state":"failure","context":"c","description":"d","target_url":"u"}"#,
        ]
    );
}

#[test]
fn gitlab_is_spoken_as_documented() {
    assert_eq!(
        calls(Sort::GitLab, "acme/group/shop"),
        [
            "GET /user?",
            "GET /projects/acme%2Fgroup%2Fshop/merge_requests/7/notes?sort=asc&order_by=created_at&per_page=50&page=2",
            r#"POST /projects/acme%2Fgroup%2Fshop/merge_requests/7/notes? {"body":"b"}"#,
            r#"PUT /projects/acme%2Fgroup%2Fshop/merge_requests/7/notes/9? {"body":"b"}"#,
            "GET /projects/acme%2Fgroup%2Fshop/issues?state=opened&scope=all&author_username=ada&per_page=50&page=1",
            r#"POST /projects/acme%2Fgroup%2Fshop/issues? {"title":"t","description":"b"}"#,
            r#"PUT /projects/acme%2Fgroup%2Fshop/issues/3? {"title":"t","description":"b","state_event":"close"}"#,
            "GET /projects/acme%2Fgroup%2Fshop/merge_requests?state=opened&scope=all&source_branch=a/b&per_page=50&page=1",
            r#"POST /projects/acme%2Fgroup%2Fshop/merge_requests? {"source_branch":"a/b","target_branch":"main","title":"t","description":"b","remove_source_branch":true}"#,
            r#"PUT /projects/acme%2Fgroup%2Fshop/merge_requests/4? {"title":"t","description":"b","state_event":"close"}"#,
            "GET /projects/acme%2Fgroup%2Fshop/repository/commits/c0ffee/merge_requests?",
            r#"POST /projects/acme%2Fgroup%2Fshop/statuses/c0ffee? {"state":"failed","name":"c","description":"d","target_url":"u"}"#,
        ]
    );
}

#[test]
fn gitea_speaks_as_github_does_but_for_pages_people_and_commits() {
    let (gitea, github) = (calls(Sort::Gitea, "acme/shop"), calls(Sort::GitHub, "acme/shop"));
    let differing: Vec<&String> = gitea.iter().filter(|call| !github.contains(call)).collect();
    assert_eq!(
        differing,
        [
            "GET /user?",
            "GET /repos/acme/shop/issues/7/comments?limit=50&page=2",
            "GET /repos/acme/shop/issues?state=open&limit=50&page=1&type=issues&created_by=ada",
            "GET /repos/acme/shop/pulls?state=open&limit=50&page=1",
            "GET /repos/acme/shop/commits/c0ffee/pull?",
        ]
    );
}

#[test]
fn answers_are_read_as_documented() {
    let github = speech(Sort::GitHub);
    assert_eq!(github.who(&json!({"data": {"viewer": {"login": "a[bot]"}}})), Some("a[bot]"));
    let item = json!({"id": 1, "user": {"login": "a[bot]"}, "body": null});
    let comment = Comment { id: 1, author: "a[bot]".to_owned(), body: String::new() };
    assert_eq!(github.comment(&item), Some(comment));
    // Among the issues of GitHub are its pull requests; of Gitea's issues the field is null.
    let issue = json!({"number": 3, "user": {"login": "ada"}, "title": "t", "body": "b", "pull_request": null});
    let pull = json!({"number": 4, "user": {"login": "ada"}, "title": "t", "pull_request": {}});
    for sort in [Sort::GitHub, Sort::Gitea] {
        assert_eq!(speech(sort).issue(&pull), None);
    }
    assert_eq!(speech(Sort::Gitea).issue(&issue).map(|it| it.number), Some(3));
    // The branch of a fork is none of the repository.
    let of = |repository: &str| {
        json!({
            "number": 4, "user": {"login": "m"}, "merged_at": "2026-01-01T00:00:00Z",
            "head": {"ref": "x", "repo": {"full_name": repository}},
            "base": {"ref": "main", "repo": {"full_name": "acme/shop"}},
        })
    };
    let here = github.pull(&of("acme/shop")).unwrap();
    assert_eq!((here.head.as_deref(), here.is_merged), (Some("x"), true));
    assert_eq!(github.pull(&of("mallory/shop")).unwrap().head, None);

    let gitlab = speech(Sort::GitLab);
    assert_eq!(gitlab.who(&json!({"id": 1, "username": "project_1_bot"})), Some("project_1_bot"));
    let note = json!({"id": 5, "author": {"username": "ada"}, "body": "b", "system": true});
    assert_eq!(gitlab.comment(&note), None);
    let merge = json!({
        "iid": 6, "author": {"username": "ada"}, "title": "t", "description": "d", "state": "merged",
        "source_branch": "x", "source_project_id": 2, "target_project_id": 1, "web_url": "u",
    });
    let merge = gitlab.pull(&merge).unwrap();
    assert_eq!((merge.number, merge.head, merge.is_merged), (6, None, true));
}

#[test]
fn a_token_is_found_in_the_variables_of_its_forge_alone() {
    let of = |sort, name: &str| {
        let variable = |asked: &str| (asked == name).then(|| " t\n".to_owned());
        token::Token::of(sort, &variable).map(|it| it.variable)
    };
    for (sort, name) in [
        (Sort::GitHub, "GITHUB_TOKEN"),
        (Sort::GitHub, "GH_TOKEN"),
        (Sort::GitLab, "GITLAB_TOKEN"),
        (Sort::GitLab, "CI_JOB_TOKEN"),
        (Sort::Gitea, "FORGEJO_TOKEN"),
        (Sort::Gitea, "GITEA_TOKEN"),
        (Sort::Gitea, "GITHUB_TOKEN"),
    ] {
        assert_eq!(of(sort, name), Some(name));
    }
    for (sort, name) in
        [(Sort::GitHub, "GITLAB_TOKEN"), (Sort::GitLab, "GITHUB_TOKEN"), (Sort::Gitea, "GH_TOKEN")]
    {
        assert_eq!(of(sort, name), None, "{name}");
    }
    assert!(token::variables(Sort::Gitea).iter().all(|name| token::ALL.contains(name)));
}

#[test]
fn every_call_names_what_its_token_must_be_allowed() {
    for sort in [Sort::GitHub, Sort::GitLab, Sort::Gitea] {
        for need in
            [Need::Identity, Need::Comments, Need::Issues, Need::Pulls, Need::Reading, Need::States]
        {
            assert!(speech(sort).permission(need).contains("token") || sort == Sort::GitHub);
        }
        assert!(speech(sort).limit() >= 65_536 && PAGE <= 50);
    }
}
