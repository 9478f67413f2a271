//! GitHub's REST API, version 2022-11-28; and of its GraphQL API the one question who a token is of,
//! which REST does not answer to the tokens of jobs.

use serde_json::{Value, json};

use super::call::{Call, Need, Verb};
use super::{Comment, Speech, Status, Text, Thread, cut, parts, text, text_or_none};

pub(super) struct GitHub;

impl Speech for GitHub {
    fn authorization(&self, _is_of_job: bool) -> (&'static str, &'static str) {
        ("authorization", "Bearer ")
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")]
    }

    fn limit(&self) -> usize {
        65_536
    }

    fn asks_who(&self) -> Call {
        Call::question(Need::Identity, &["graphql"], json!({"query": "query { viewer { login } }"}))
    }

    fn who<'a>(&self, answer: &'a Value) -> Option<&'a str> {
        answer.pointer("/data/viewer/login")?.as_str()
    }

    fn jobs(&self) -> &'static [&'static str] {
        &["github-actions[bot]"]
    }

    fn comments(&self, repository: &str, number: u64, page: usize) -> Call {
        let (owner, name) = parts(repository);
        let path = ["repos", owner, name, "issues", &number.to_string(), "comments"];
        Call::get(Need::Comments, &path).page("per_page", page)
    }

    fn comment(&self, item: &Value) -> Option<Comment> {
        Some(Comment {
            id: item.get("id")?.as_u64()?,
            author: text(item, "/user/login")?,
            body: text_or_none(item, "/body"),
        })
    }

    fn write_comment(&self, repository: &str, number: u64, id: Option<u64>, body: &str) -> Call {
        let (owner, name) = parts(repository);
        let body = json!({"body": body});
        match id {
            Some(id) => {
                let path = ["repos", owner, name, "issues", "comments", &id.to_string()];
                Call::write(Verb::Patch, Need::Comments, &path, body)
            }
            None => {
                let path = ["repos", owner, name, "issues", &number.to_string(), "comments"];
                Call::write(Verb::Post, Need::Comments, &path, body)
            }
        }
    }

    fn issues(&self, repository: &str, _author: &str, page: usize) -> Call {
        let (owner, name) = parts(repository);
        let call = Call::get(Need::Issues, &["repos", owner, name, "issues"]);
        call.query("state", "open").page("per_page", page)
    }

    fn issue(&self, item: &Value) -> Option<Thread> {
        if item.get("pull_request").is_some() {
            return None;
        }
        self.pull(item)
    }

    fn write_issue(&self, repository: &str, number: Option<u64>, of: Text<'_>) -> Call {
        let (owner, name) = parts(repository);
        let Text { title, body, is_open } = of;
        match number {
            Some(number) => {
                let state = if is_open { "open" } else { "closed" };
                let path = ["repos", owner, name, "issues", &number.to_string()];
                let body = json!({"title": title, "body": body, "state": state});
                Call::write(Verb::Patch, Need::Issues, &path, body)
            }
            None => {
                let body = json!({"title": title, "body": body});
                Call::write(Verb::Post, Need::Issues, &["repos", owner, name, "issues"], body)
            }
        }
    }

    fn pulls(&self, repository: &str, head: &str, page: usize) -> Call {
        let (owner, name) = parts(repository);
        Call::get(Need::Pulls, &["repos", owner, name, "pulls"])
            .query("state", "open")
            .query("head", format!("{owner}:{head}"))
            .page("per_page", page)
    }

    fn pull(&self, item: &Value) -> Option<Thread> {
        let is_here = item.pointer("/head/repo/full_name") == item.pointer("/base/repo/full_name");
        Some(Thread {
            number: item.get("number")?.as_u64()?,
            author: text(item, "/user/login")?,
            title: text_or_none(item, "/title"),
            body: text_or_none(item, "/body"),
            page: text(item, "/html_url"),
            head: text(item, "/head/ref").filter(|_| is_here),
            is_merged: item.get("merged_at").is_some_and(Value::is_string),
        })
    }

    fn open_pull(&self, repository: &str, (head, base): (&str, &str), of: Text<'_>) -> Call {
        let (owner, name) = parts(repository);
        let body = json!({"title": of.title, "body": of.body, "head": head, "base": base});
        Call::write(Verb::Post, Need::Pulls, &["repos", owner, name, "pulls"], body)
    }

    fn change_pull(&self, repository: &str, number: u64, of: Text<'_>) -> Call {
        let (owner, name) = parts(repository);
        let state = if of.is_open { "open" } else { "closed" };
        let body = json!({"title": of.title, "body": of.body, "state": state});
        let path = ["repos", owner, name, "pulls", &number.to_string()];
        Call::write(Verb::Patch, Need::Pulls, &path, body)
    }

    fn pulls_of(&self, repository: &str, commit: &str) -> Call {
        let (owner, name) = parts(repository);
        Call::get(Need::Reading, &["repos", owner, name, "commits", commit, "pulls"])
    }

    fn state(&self, repository: &str, commit: &str, status: Status<'_>) -> Call {
        let (owner, name) = parts(repository);
        let state = if status.is_good { "success" } else { "failure" };
        let body = json!({
            "state": state,
            "context": status.context,
            "description": cut(status.description, 140),
            "target_url": status.url,
        });
        Call::write(Verb::Post, Need::States, &["repos", owner, name, "statuses", commit], body)
    }

    fn permission(&self, need: Need) -> String {
        let line = match need {
            Need::Identity => return "the token cannot say who it belongs to".to_owned(),
            Need::Comments | Need::Pulls => "pull-requests: write",
            Need::Issues => "issues: write",
            Need::Reading => "pull-requests: read",
            Need::States => "statuses: write",
        };
        let more = match need {
            Need::Pulls => {
                "; and the repository must allow its actions to create pull requests (Settings, Actions, General)"
            }
            _ => "",
        };
        format!("give the job `permissions: {{{line}}}`{more}")
    }
}
