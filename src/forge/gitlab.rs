//! GitLab's REST API, version 4.

use serde_json::{Value, json};

use super::call::{Call, Need, Verb};
use super::{Comment, Speech, Status, Text, Thread, cut, text, text_or_none};

pub(super) struct GitLab;

impl GitLab {
    fn changed(of: Text<'_>) -> Value {
        let mut body = json!({"title": of.title, "description": of.body});
        if !of.is_open {
            body["state_event"] = "close".into();
        }
        body
    }
}

impl Speech for GitLab {
    fn authorization(&self, is_of_job: bool) -> (&'static str, &'static str) {
        if is_of_job { ("job-token", "") } else { ("authorization", "Bearer ") }
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("accept", "application/json")]
    }

    fn limit(&self) -> usize {
        1_000_000
    }

    fn asks_who(&self) -> Call {
        Call::get(Need::Identity, &["user"])
    }

    fn who<'a>(&self, answer: &'a Value) -> Option<&'a str> {
        answer.get("username")?.as_str()
    }

    fn jobs(&self) -> &'static [&'static str] {
        &[]
    }

    fn comments(&self, repository: &str, number: u64, page: usize) -> Call {
        let path = ["projects", repository, "merge_requests", &number.to_string(), "notes"];
        let call = Call::get(Need::Comments, &path);
        call.query("sort", "asc").query("order_by", "created_at").page("per_page", page)
    }

    fn comment(&self, item: &Value) -> Option<Comment> {
        if item.get("system").and_then(Value::as_bool) == Some(true) {
            return None;
        }
        Some(Comment {
            id: item.get("id")?.as_u64()?,
            author: text(item, "/author/username")?,
            body: text_or_none(item, "/body"),
        })
    }

    fn write_comment(&self, repository: &str, number: u64, id: Option<u64>, body: &str) -> Call {
        let (number, body) = (number.to_string(), json!({"body": body}));
        let path = ["projects", repository, "merge_requests", &number, "notes"];
        match id {
            Some(id) => {
                let id = id.to_string();
                let path = [&path[..], &[id.as_str()]].concat();
                Call::write(Verb::Put, Need::Comments, &path, body)
            }
            None => Call::write(Verb::Post, Need::Comments, &path, body),
        }
    }

    fn issues(&self, repository: &str, author: &str, page: usize) -> Call {
        Call::get(Need::Issues, &["projects", repository, "issues"])
            .query("state", "opened")
            .query("scope", "all")
            .query("author_username", author)
            .page("per_page", page)
    }

    fn issue(&self, item: &Value) -> Option<Thread> {
        self.pull(item)
    }

    fn write_issue(&self, repository: &str, number: Option<u64>, of: Text<'_>) -> Call {
        match number {
            Some(number) => {
                let path = ["projects", repository, "issues", &number.to_string()];
                Call::write(Verb::Put, Need::Issues, &path, Self::changed(of))
            }
            None => {
                let path = ["projects", repository, "issues"];
                Call::write(Verb::Post, Need::Issues, &path, Self::changed(of))
            }
        }
    }

    fn pulls(&self, repository: &str, head: &str, page: usize) -> Call {
        Call::get(Need::Pulls, &["projects", repository, "merge_requests"])
            .query("state", "opened")
            .query("scope", "all")
            .query("source_branch", head)
            .page("per_page", page)
    }

    fn pull(&self, item: &Value) -> Option<Thread> {
        let is_here = item.get("source_project_id") == item.get("target_project_id");
        Some(Thread {
            number: item.get("iid")?.as_u64()?,
            author: text(item, "/author/username")?,
            title: text_or_none(item, "/title"),
            body: text_or_none(item, "/description"),
            page: text(item, "/web_url"),
            head: text(item, "/source_branch").filter(|_| is_here),
            is_merged: text(item, "/state").as_deref() == Some("merged"),
        })
    }

    fn open_pull(&self, repository: &str, (head, base): (&str, &str), of: Text<'_>) -> Call {
        let body = json!({
            "source_branch": head,
            "target_branch": base,
            "title": of.title,
            "description": of.body,
            "remove_source_branch": true,
        });
        Call::write(Verb::Post, Need::Pulls, &["projects", repository, "merge_requests"], body)
    }

    fn change_pull(&self, repository: &str, number: u64, of: Text<'_>) -> Call {
        let path = ["projects", repository, "merge_requests", &number.to_string()];
        Call::write(Verb::Put, Need::Pulls, &path, Self::changed(of))
    }

    fn pulls_of(&self, repository: &str, commit: &str) -> Call {
        let path = ["projects", repository, "repository", "commits", commit, "merge_requests"];
        Call::get(Need::Reading, &path)
    }

    fn state(&self, repository: &str, commit: &str, status: Status<'_>) -> Call {
        let state = if status.is_good { "success" } else { "failed" };
        let body = json!({
            "state": state,
            "name": status.context,
            "description": cut(status.description, 255),
            "target_url": status.url,
        });
        Call::write(Verb::Post, Need::States, &["projects", repository, "statuses", commit], body)
    }

    fn permission(&self, need: Need) -> String {
        let role = match need {
            Need::Identity | Need::Comments | Need::Issues | Need::Reading => "Reporter",
            Need::Pulls | Need::States => "Developer",
        };
        format!(
            "set GITLAB_TOKEN to a token of the project with the scope `api` and the role {role}; CI_JOB_TOKEN may not do this"
        )
    }
}
