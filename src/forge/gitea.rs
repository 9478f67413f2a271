//! The API of Gitea, version 1, which Forgejo speaks, too. Much of it is GitHub's.

use serde_json::{Value, json};

use super::call::{Call, Need, Verb};
use super::github::GitHub;
use super::{Comment, Speech, Status, Text, Thread, parts};

/// A call with its pages as Gitea names them.
fn paged(mut call: Call) -> Call {
    call.query.iter_mut().filter(|it| it.0 == "per_page").for_each(|it| it.0 = "limit");
    call
}

pub(super) struct Gitea;

impl Speech for Gitea {
    fn authorization(&self, _is_of_job: bool) -> (&'static str, &'static str) {
        ("authorization", "token ")
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("accept", "application/json")]
    }

    fn limit(&self) -> usize {
        GitHub.limit()
    }

    fn asks_who(&self) -> Call {
        Call::get(Need::Identity, &["user"])
    }

    fn who<'a>(&self, answer: &'a Value) -> Option<&'a str> {
        answer.get("login")?.as_str()
    }

    fn jobs(&self) -> &'static [&'static str] {
        &["gitea-actions", "forgejo-actions"]
    }

    fn comments(&self, repository: &str, number: u64, page: usize) -> Call {
        paged(GitHub.comments(repository, number, page))
    }

    fn comment(&self, item: &Value) -> Option<Comment> {
        GitHub.comment(item)
    }

    fn write_comment(&self, repository: &str, number: u64, id: Option<u64>, body: &str) -> Call {
        GitHub.write_comment(repository, number, id, body)
    }

    fn issues(&self, repository: &str, author: &str, page: usize) -> Call {
        let call = paged(GitHub.issues(repository, author, page));
        call.query("type", "issues").query("created_by", author)
    }

    fn issue(&self, item: &Value) -> Option<Thread> {
        // Of an issue this is null.
        if item.get("pull_request").is_some_and(|it| !it.is_null()) {
            return None;
        }
        GitHub.pull(item)
    }

    fn write_issue(&self, repository: &str, number: Option<u64>, of: Text<'_>) -> Call {
        GitHub.write_issue(repository, number, of)
    }

    fn pulls(&self, repository: &str, _head: &str, page: usize) -> Call {
        let (owner, name) = parts(repository);
        let call = Call::get(Need::Pulls, &["repos", owner, name, "pulls"]);
        paged(call.query("state", "open").page("per_page", page))
    }

    fn pull(&self, item: &Value) -> Option<Thread> {
        GitHub.pull(item)
    }

    fn open_pull(&self, repository: &str, from: (&str, &str), of: Text<'_>) -> Call {
        GitHub.open_pull(repository, from, of)
    }

    fn change_pull(&self, repository: &str, number: u64, of: Text<'_>) -> Call {
        GitHub.change_pull(repository, number, of)
    }

    fn pulls_of(&self, repository: &str, commit: &str) -> Call {
        let (owner, name) = parts(repository);
        // It answers with the one that was merged, or with 404.
        Call::get(Need::Reading, &["repos", owner, name, "commits", commit, "pull"])
    }

    fn state(&self, repository: &str, commit: &str, status: Status<'_>) -> Call {
        let (owner, name) = parts(repository);
        let state = if status.is_good { "success" } else { "failure" };
        let body = json!({
            "state": state,
            "context": status.context,
            "description": status.description,
            "target_url": status.url,
        });
        Call::write(Verb::Post, Need::States, &["repos", owner, name, "statuses", commit], body)
    }

    fn permission(&self, need: Need) -> String {
        let scope = match need {
            Need::Identity => "read:user",
            Need::Comments | Need::Issues => "write:issue",
            Need::Pulls => "write:repository and write:issue",
            Need::Reading => "read:repository",
            Need::States => "write:repository",
        };
        format!("give the token the scope {scope}, and its owner access to the repository")
    }
}
