//! Variables, and what of them may be used.

use url::Url;

/// The longest text that is taken from a variable, in bytes.
const LONGEST: usize = 1_000;

/// The most parts of a repository's path: GitLab has groups in groups.
const DEEPEST: usize = 21;

/// The variables of an environment.
pub(super) struct Variables<'a>(pub(super) &'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    /// A variable that is set and not empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = (self.0)(name)?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty() && text.len() <= LONGEST)
    }

    /// A commit.
    pub(super) fn commit(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| is_commit(text))
    }

    /// A branch.
    pub(super) fn branch(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| is_branch(text))
    }

    /// The URL of a web page, or of an API.
    pub(super) fn url(&self, name: &str) -> Option<String> {
        self.text(name).as_deref().and_then(url)
    }

    /// The path of a repository.
    pub(super) fn repository(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| is_repository(text))
    }

    /// A name of somebody.
    pub(super) fn name(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.chars().any(char::is_control))
    }

    /// A number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}

/// The URL of a web page without a slash at its end, if it has neither a user nor a password.
pub(super) fn url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.has_host();
    let is_visible = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    (is_plain && is_visible).then(|| text.trim_end_matches('/').to_owned())
}

/// Whether a text is the full name of a commit.
#[must_use]
pub fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        // What stands for no commit, as for a branch that is new.
        && text.bytes().any(|byte| byte != b'0')
}

/// Whether a text can be the name of a branch that is handed to Git: what Git's own rules refuse,
/// and what could be taken for an option or another revision, is none.
#[must_use]
pub fn is_branch(text: &str) -> bool {
    let is_wrong = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    !text.is_empty()
        && text.len() <= LONGEST
        && !text.starts_with(['-', '/', '.', '+'])
        && !text.ends_with(['/', '.'])
        && !text.ends_with(".lock")
        && !text.contains("..")
        && !text.contains("//")
        && !text.contains("@{")
        && !text.contains("/.")
        && text != "@"
        && text != "HEAD"
        && !text.chars().any(is_wrong)
}

/// Whether a text can be the path of a repository: two or more names.
#[must_use]
pub fn is_repository(text: &str) -> bool {
    let is_name = |name: &str| {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !name.is_empty() && name != "." && name != ".." && name.bytes().all(is_of_name)
    };
    let parts: Vec<&str> = text.split('/').collect();
    text.len() <= LONGEST && (2..=DEEPEST).contains(&parts.len()) && parts.into_iter().all(is_name)
}
