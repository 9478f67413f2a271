//! Forges: GitHub, GitLab and Gitea. Their requests are values ([`call`]), each forge spells them in
//! a file of its own behind `Speech`, and `client` sends them. `posting` writes what is written
//! once and kept up to date: a comment, an issue, a pull request. [`comment`] makes their texts.
//!
//! Must not live here: what is written, and when. Of the platform nothing is known here.

pub mod call;
mod client;
pub mod comment;
mod gitea;
mod github;
mod gitlab;
mod posting;
pub mod token;

use serde_json::Value;

use self::call::Call;
use crate::whereabouts::Sort;

pub use client::Forge;
pub use posting::{Post, Posted};

/// A comment of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its id.
    pub id: u64,
    /// Who wrote it, by the name that one signs in with.
    pub author: String,
    /// Its text.
    pub body: String,
}

/// An issue or a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its number in the repository.
    pub number: u64,
    /// Who opened it, by the name that one signs in with.
    pub author: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Its page.
    pub page: Option<String>,
    /// The branch that a pull request proposes, if it is in this repository.
    pub head: Option<String>,
    /// Whether a pull request was merged.
    pub is_merged: bool,
}

/// What an issue or a pull request becomes.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// Its title.
    pub title: &'a str,
    /// Its text.
    pub body: &'a str,
    /// Whether it stays open.
    pub is_open: bool,
}

/// A state that a commit is in.
#[derive(Debug, Clone, Copy)]
pub struct Status<'a> {
    /// The name of what was checked.
    pub context: &'a str,
    /// Whether it passed.
    pub is_good: bool,
    /// What there is to say, on a line.
    pub description: &'a str,
    /// Where there is more.
    pub url: Option<&'a str>,
}

/// How a forge spells what is done with a repository, and what its answers mean. Pages count from
/// one.
trait Speech: Sync {
    /// How a token is sent: a header, and what stands before the token.
    fn authorization(&self, is_of_job: bool) -> (&'static str, &'static str);
    /// Headers of every request.
    fn headers(&self) -> &'static [(&'static str, &'static str)];
    /// How many bytes a comment may have. A byte is never less than a character.
    fn limit(&self) -> usize;
    /// Asks who the token belongs to.
    fn asks_who(&self) -> Call;
    /// Who that is.
    fn who<'a>(&self, answer: &'a Value) -> Option<&'a str>;
    /// Who it may be if the forge does not say: the names of its own jobs.
    fn jobs(&self) -> &'static [&'static str];
    /// The comments of a pull request.
    fn comments(&self, repository: &str, number: u64, page: usize) -> Call;
    /// One of them.
    fn comment(&self, item: &Value) -> Option<Comment>;
    /// Writes a comment, a new one or that with this id.
    fn write_comment(&self, repository: &str, number: u64, id: Option<u64>, body: &str) -> Call;
    /// The open issues, of somebody if the forge can tell.
    fn issues(&self, repository: &str, author: &str, page: usize) -> Call;
    /// One of them; `None` for what is listed among them and is none.
    fn issue(&self, item: &Value) -> Option<Thread>;
    /// Writes an issue, a new one or that with this number.
    fn write_issue(&self, repository: &str, number: Option<u64>, text: Text<'_>) -> Call;
    /// The open pull requests of a branch, if the forge can tell.
    fn pulls(&self, repository: &str, head: &str, page: usize) -> Call;
    /// One of them.
    fn pull(&self, item: &Value) -> Option<Thread>;
    /// Opens a pull request from a branch to another.
    fn open_pull(&self, repository: &str, from: (&str, &str), text: Text<'_>) -> Call;
    /// Changes a pull request.
    fn change_pull(&self, repository: &str, number: u64, text: Text<'_>) -> Call;
    /// The pull requests that a commit came with.
    fn pulls_of(&self, repository: &str, commit: &str) -> Call;
    /// Says what state a commit is in.
    fn state(&self, repository: &str, commit: &str, status: Status<'_>) -> Call;
    /// What a token must be allowed for a call, in the forge's words.
    fn permission(&self, need: call::Need) -> String;
}

/// The speech of a forge.
fn speech(sort: Sort) -> &'static dyn Speech {
    match sort {
        Sort::GitHub => &github::GitHub,
        Sort::GitLab => &gitlab::GitLab,
        Sort::Gitea => &gitea::Gitea,
    }
}

/// The owner and the name of a repository.
fn parts(repository: &str) -> (&str, &str) {
    repository.split_once('/').unwrap_or((repository, ""))
}

/// A text of an answer.
fn text(item: &Value, pointer: &str) -> Option<String> {
    item.pointer(pointer)?.as_str().map(str::to_owned)
}

/// A text of an answer, empty where there is none.
fn text_or_none(item: &Value, pointer: &str) -> String {
    text(item, pointer).unwrap_or_default()
}

/// A text with so many characters at most.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
