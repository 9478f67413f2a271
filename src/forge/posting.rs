//! What is written once and kept up to date. It is found again by its first line, a marker, *and* by
//! who wrote it: others can write the same line.

use serde_json::Value;

use super::client::{Failed, Forge, unreadable};
use super::comment::is_of_later_run;
use super::{Comment, Status, Text, Thread};
use crate::error::Result;

/// What is to be written.
#[derive(Debug, Clone, Copy)]
pub struct Post<'a> {
    /// Its first line.
    pub marker: &'a str,
    /// Its title, if it has one.
    pub title: &'a str,
    /// Its text, with the marker.
    pub body: &'a str,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// It is new.
    Created(Option<String>),
    /// It was there, and says now what it should.
    Updated(Option<String>),
    /// It was there and said the same.
    Same(Option<String>),
    /// It was there, and is closed now.
    Closed(Option<String>),
    /// It was there, and a later run wrote it.
    Later,
    /// It was not there, and is not needed.
    Nothing,
}

/// What is left in a second comment of the same marker, which two runs at once may have made.
const SUPERSEDED: &str = "\nThis comment is out of date: an earlier one has the result.\n";

/// Whether a text begins with this line.
fn begins(text: &str, marker: &str) -> bool {
    text.lines().next().is_some_and(|first| first.trim_end() == marker)
}

/// Whether two texts are the same as a forge keeps them.
fn is_same(one: &str, other: &str) -> bool {
    one.replace("\r\n", "\n").trim_end() == other.replace("\r\n", "\n").trim_end()
}

/// A text without its last line, which only names the commit and the run.
fn without_footer(text: &str) -> &str {
    text.trim_end().rsplit_once('\n').map_or(text, |(text, _)| text)
}

impl Forge {
    /// Updates the comment of a pull request, or writes one if that is wanted.
    ///
    /// # Errors
    ///
    /// What the forge refuses.
    pub async fn comment(&self, number: u64, post: Post<'_>, is_wanted: bool) -> Result<Posted> {
        let own = self.own_comments(number, post.marker).await?;
        if own.is_empty() && !is_wanted {
            return Ok(Posted::Nothing);
        }
        if own.is_empty() {
            let call = self.speech.write_comment(self.repository(), number, None, post.body);
            match self.ask(&call).await {
                Ok(answer) => return Ok(Posted::Created(page(&answer))),
                // It may be there all the same.
                Err(Failed { is_ambiguous: true, .. }) => {}
                Err(failed) => return Err(failed.error),
            }
            let own = self.own_comments(number, post.marker).await?;
            if own.is_empty() {
                return Ok(Posted::Created(page(&self.ask(&call).await?)));
            }
            return self.update_comments(number, &own, post).await;
        }
        self.update_comments(number, &own, post).await
    }

    async fn update_comments(
        &self,
        number: u64,
        own: &[Comment],
        post: Post<'_>,
    ) -> Result<Posted> {
        if own.first().is_some_and(|comment| is_of_later_run(&comment.body, post.body)) {
            return Ok(Posted::Later);
        }
        let mut posted = Posted::Same(None);
        for (at, comment) in own.iter().enumerate() {
            let old = format!("{}{SUPERSEDED}", post.marker);
            let body = if at == 0 { post.body } else { &old };
            if is_same(&comment.body, body) {
                continue;
            }
            let id = Some(comment.id);
            let call = self.speech.write_comment(self.repository(), number, id, body);
            let answer = self.ask(&call).await?;
            if at == 0 {
                posted = Posted::Updated(page(&answer));
            }
        }
        Ok(posted)
    }

    async fn own_comments(&self, number: u64, marker: &str) -> Result<Vec<Comment>> {
        let me = self.me().await?;
        let list = self.list(|page| self.speech.comments(self.repository(), number, page)).await?;
        let comments = list.iter().filter_map(|item| self.speech.comment(item));
        let is_own = |it: &Comment| begins(&it.body, marker) && me.contains(&it.author);
        let mut own: Vec<Comment> = comments.filter(is_own).collect();
        own.sort_by_key(|comment| comment.id);
        Ok(own)
    }

    /// Opens an issue or updates the one that is there; if nothing is wanted any more, closes it,
    /// with this as its last text.
    ///
    /// # Errors
    ///
    /// What the forge refuses.
    pub async fn issue(&self, post: Post<'_>, is_wanted: bool) -> Result<Posted> {
        let Post { marker, title, body } = post;
        let me = self.me().await?;
        let mut own: Vec<Thread> = Vec::new();
        for name in me {
            let list = self.list(|page| self.speech.issues(self.repository(), name, page)).await?;
            let issues = list.iter().filter_map(|item| self.speech.issue(item));
            own.extend(issues.filter(|it| begins(&it.body, marker) && it.author == *name));
        }
        own.sort_by_key(|issue| issue.number);
        let text = Text { title, body, is_open: is_wanted };
        match (own.first(), is_wanted) {
            (None, false) => Ok(Posted::Nothing),
            (None, true) => {
                let call = self.speech.write_issue(self.repository(), None, text);
                Ok(Posted::Created(page(&self.ask(&call).await?)))
            }
            (Some(issue), true) if is_same(without_footer(&issue.body), without_footer(body)) => {
                Ok(Posted::Same(issue.page.clone()))
            }
            (Some(issue), true) => {
                // People may have given it another title.
                let text = Text { title: &issue.title, ..text };
                let call = self.speech.write_issue(self.repository(), Some(issue.number), text);
                self.ask(&call).await?;
                Ok(Posted::Updated(issue.page.clone()))
            }
            (Some(issue), false) => {
                for issue in &own {
                    let (number, title) = (Some(issue.number), issue.title.as_str());
                    let text = Text { title, ..text };
                    self.ask(&self.speech.write_issue(self.repository(), number, text)).await?;
                }
                Ok(Posted::Closed(issue.page.clone()))
            }
        }
    }

    /// The open pull request of a branch of this repository.
    async fn pull_of(&self, head: &str) -> Result<Option<Thread>> {
        let list = self.list(|page| self.speech.pulls(self.repository(), head, page)).await?;
        let pulls = list.iter().filter_map(|item| self.speech.pull(item));
        Ok(pulls.into_iter().find(|pull| pull.head.as_deref() == Some(head)))
    }

    /// Opens a pull request from a branch to another, or updates the one that is there.
    ///
    /// # Errors
    ///
    /// What the forge refuses.
    pub async fn pull_request(&self, from: (&str, &str), post: Post<'_>) -> Result<Posted> {
        let Post { title, body, .. } = post;
        let text = Text { title, body, is_open: true };
        match self.pull_of(from.0).await? {
            None => {
                let call = self.speech.open_pull(self.repository(), from, text);
                Ok(Posted::Created(page(&self.ask(&call).await?)))
            }
            Some(pull) if pull.title == title && is_same(&pull.body, body) => {
                Ok(Posted::Same(pull.page))
            }
            Some(pull) => {
                self.ask(&self.speech.change_pull(self.repository(), pull.number, text)).await?;
                Ok(Posted::Updated(pull.page))
            }
        }
    }

    /// The open pull request of a branch, if it is the token's own and begins with this line.
    ///
    /// # Errors
    ///
    /// What the forge refuses.
    pub async fn own_pull_request(&self, head: &str, marker: &str) -> Result<Option<Thread>> {
        let me = self.me().await?;
        let found = self.pull_of(head).await?;
        Ok(found.filter(|it| me.contains(&it.author) && begins(&it.body, marker)))
    }

    /// Closes a pull request, with this as its last text.
    ///
    /// # Errors
    ///
    /// What the forge refuses.
    pub async fn close_pull_request(&self, pull: &Thread, post: Post<'_>) -> Result<Posted> {
        let text = Text { title: &pull.title, body: post.body, is_open: false };
        self.ask(&self.speech.change_pull(self.repository(), pull.number, text)).await?;
        Ok(Posted::Closed(pull.page.clone()))
    }

    /// The pull requests that a commit came with and that were merged, each with its number and who
    /// opened it, the newest first.
    ///
    /// # Errors
    ///
    /// What the forge refuses; a pull request of which it is not told who opened it.
    pub async fn merged_with(&self, commit: &str) -> Result<Vec<(u64, String)>> {
        let call = self.speech.pulls_of(self.repository(), commit);
        let answer = match self.ask(&call).await {
            Ok(answer) => answer,
            // A forge also says this where a token may not look.
            Err(Failed { status: Some(404 | 422), .. }) => {
                self.ask(&self.speech.pulls(self.repository(), "main", 1)).await?;
                return Ok(Vec::new());
            }
            Err(failed) => return Err(failed.error),
        };
        let items = match answer {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            one => vec![one],
        };
        let pulls: Option<Vec<Thread>> = items.iter().map(|item| self.speech.pull(item)).collect();
        let pulls = pulls.ok_or_else(|| unreadable(&call, "does not say who opened it").error)?;
        let merged = pulls.into_iter().filter(|pull| pull.is_merged);
        let mut merged: Vec<(u64, String)> =
            merged.map(|pull| (pull.number, pull.author)).collect();
        merged.sort_by(|one, other| other.cmp(one));
        Ok(merged)
    }

    /// Says what state a commit is in.
    ///
    /// # Errors
    ///
    /// What the forge refuses.
    pub async fn state(&self, commit: &str, status: Status<'_>) -> Result<()> {
        self.ask(&self.speech.state(self.repository(), commit, status)).await?;
        Ok(())
    }
}

/// The page of what an answer describes.
fn page(answer: &Value) -> Option<String> {
    let page = answer.get("html_url").or_else(|| answer.get("web_url"))?;
    page.as_str().map(str::to_owned)
}
