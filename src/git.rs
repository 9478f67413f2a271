//! The `git` program: how it is started wherever it is used. What is in a repository may be a
//! stranger's, and this program may itself be run by a hook.

use std::process::{Command, Stdio};

/// The variables that would lead Git to another repository, as where it runs as a hook.
const ELSEWHERE: [&str; 10] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_SHALLOW_FILE",
    "GIT_QUARANTINE_PATH",
    "GIT_EXTERNAL_DIFF",
];

/// The variables that would say who makes a commit, whatever its settings say.
const SOMEBODY: [&str; 4] =
    ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];

/// Git, which runs no hook, asks nobody, and works in the repository of its folder.
#[must_use]
pub fn program() -> Command {
    let mut git = Command::new("git");
    for variable in ELSEWHERE.into_iter().chain(SOMEBODY) {
        git.env_remove(variable);
    }
    git.args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null());
    git
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_another_repository_nor_another_author_is_taken_from_the_environment() {
        let git = program();
        let removed = |name: &&str| git.get_envs().any(|it| it.0 == *name && it.1.is_none());
        assert!(ELSEWHERE.iter().chain(&SOMEBODY).all(removed));
    }
}
