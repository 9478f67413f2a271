//! A source as the project file names it.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

use crate::api::http;
use crate::error::Place;
use crate::manifest::pack::Digest;
use crate::visible;

/// Where a source comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A Git repository, as the `git` program names it, or its folder; and a tag, a branch or a
    /// commit of it. Without one it is what the repository has checked out.
    Git {
        /// The repository.
        git: String,
        /// The tag, branch or commit.
        reference: Option<String>,
    },
    /// An archive: a URL, or a file; and its digest, where the project file says it.
    Archive {
        /// The archive.
        archive: String,
        /// Its digest.
        sha256: Option<Digest>,
    },
    /// An artifact in a registry, such as `registry.example.com/acme/manifests:1.2`.
    Oci {
        /// The artifact.
        oci: String,
    },
}

/// A source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the project file.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The folder in it that is read; empty for all of it.
    pub path: String,
    /// Where the project file names it.
    pub place: Option<Place>,
    /// The folder of the project file, which paths are relative to.
    pub folder: PathBuf,
}

/// Where a repository or an archive lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// On another machine.
    Elsewhere,
    /// On this machine, in this file or folder.
    Here(PathBuf),
}

/// The longest name of a source, and the longest of anything else that an entry says.
const LONGEST: (usize, usize) = (64, 1_000);

/// Whether a text may name a source: it stands in front of the places of its documents.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.len() <= LONGEST.0
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(is_inside)
}

/// What is wrong, and what to do about it.
type Wrong = (String, String);

impl Entry {
    /// Whether two entries are one version of one source, wherever they are written.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.name, &self.origin, &self.path) == (&other.name, &other.origin, &other.path)
    }

    /// What the entry is called where its documents are: its name, with the version that it asks
    /// for.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.version() {
            Some(version) => format!("{}@{}", self.name, visible::line(&version)),
            None => self.name.clone(),
        }
    }

    /// The version that it asks for.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        match &self.origin {
            Origin::Git { reference, .. } => reference.as_deref().map(short),
            Origin::Archive { .. } => None,
            Origin::Oci { oci } => tag(oci).map(short),
        }
    }

    /// Checks what can be known of it without asking anybody.
    ///
    /// # Errors
    ///
    /// What is wrong, and what to do about it.
    pub fn check(&self) -> Result<(), Wrong> {
        let wrong = |what: &str, hint: &str| Err((what.to_owned(), hint.to_owned()));
        if !is_name(&self.name) {
            return wrong(
                "this cannot be the name of a source",
                "use 1 to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit",
            );
        }
        let written = self.origin.to_string();
        if written.is_empty() || written.len() > LONGEST.1 || written.contains(char::is_control) {
            return wrong("this cannot be where a source comes from", EXAMPLES);
        }
        let is_way_out = |part: &str| part == ".." || part.starts_with('.');
        if self.path.starts_with(['/', '-', ':'])
            || self.path.split('/').any(is_way_out)
            || self.path.contains(|c: char| c.is_control() || c == '\\')
        {
            return wrong(
                "`path` must be a folder of the source",
                "write it from the root of the source, such as `path: manifests`, or leave it out for all of it",
            );
        }
        match &self.origin {
            Origin::Git { reference: Some(reference), .. } if !is_reference(reference) => wrong(
                "`ref` must be a tag, a branch or a commit",
                "write its name alone, such as `ref: v1.4`",
            ),
            Origin::Git { git, .. } => check_git(git),
            Origin::Archive { archive, .. } => check_archive(archive),
            Origin::Oci { oci } if !is_artifact(oci) => wrong(
                "`oci` must name an artifact with its registry",
                "write HOST/NAME:TAG or HOST/NAME@sha256:DIGEST, such as registry.example.com/acme/manifests:1.2",
            ),
            Origin::Oci { .. } => Ok(()),
        }
    }

    /// Where what is fetched lies.
    #[must_use]
    pub fn lies(&self) -> Where {
        let here = |path: &str| match self.folder == Path::new(".") {
            true => Where::Here(path.into()),
            false => Where::Here(self.folder.join(path)),
        };
        match &self.origin {
            Origin::Git { git, .. } if is_local(git) => here(without_scheme(git)),
            Origin::Archive { archive, .. } if is_local(archive) => here(without_scheme(archive)),
            _ => Where::Elsewhere,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Git { git: it, .. }
            | Self::Archive { archive: it, .. }
            | Self::Oci { oci: it } => out.write_str(it),
        }
    }
}

/// What is said of entries that cannot be used.
const EXAMPLES: &str = "write `git: https://…`, `git: git@host:path`, `archive: https://….tar.gz` or `oci: HOST/NAME:TAG`";

/// A version, short enough to stand in front of each place: of a commit or a digest the beginning.
#[must_use]
pub fn short(version: &str) -> String {
    let is_commit = version.len() >= 40 && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    match version.strip_prefix("sha256:") {
        Some(digest) => digest.chars().take(12).collect(),
        None if is_commit => version.chars().take(12).collect(),
        None => version.chars().take(60).collect(),
    }
}

/// The tag or the digest of an artifact.
fn tag(artifact: &str) -> Option<&str> {
    if let Some((_, digest)) = artifact.split_once('@') {
        return Some(digest);
    }
    let (_, name) = artifact.rsplit_once('/')?;
    name.split_once(':').map(|(_, tag)| tag)
}

/// Whether a text is a name of Git's, and nothing else that `git fetch` takes in its place.
fn is_reference(text: &str) -> bool {
    let is_inside = |c: char| c.is_alphanumeric() || "-_./+@#=%".contains(c);
    !text.is_empty()
        && text.len() <= 250
        && !text.starts_with(['-', '+', '/', '.'])
        && !text.ends_with(['/', '.'])
        && !["..", "@{", "//", "/."].iter().any(|odd| text.contains(odd))
        && text != "@"
        && text.chars().all(is_inside)
}

fn is_artifact(text: &str) -> bool {
    let Some((host, rest)) = text.split_once('/') else { return false };
    let (name, version) = match rest.split_once('@') {
        Some((name, digest)) => match digest.strip_prefix("sha256:").map(str::parse::<Digest>) {
            Some(Ok(_)) => (name.split(':').next().unwrap_or_default(), "digest"),
            _ => return false,
        },
        None => rest.rsplit_once(':').unwrap_or((rest, "")),
    };
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
    let is_of_tag = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_of_host = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    // Without a dot or a port, what stands first is no host to Docker either.
    (host.contains(['.', ':']) || host == "localhost")
        && host.chars().all(is_of_host)
        && Url::parse(&format!("https://{host}/")).is_ok()
        && !name.is_empty()
        && name.chars().all(is_of_name)
        && !name.split('/').any(|part| part.is_empty() || part.starts_with('.'))
        && (1..=128).contains(&version.len())
        && version.chars().all(is_of_tag)
}

/// Whether a repository or an archive is named by its path.
fn is_local(written: &str) -> bool {
    if let Some((scheme, _)) = written.split_once("://") {
        return scheme == "file";
    }
    // As Git has it: what stands before a colon is a host, unless there is a slash in it.
    written.split_once(':').is_none_or(|(host, _)| host.contains('/'))
}

fn without_scheme(written: &str) -> &str {
    written.strip_prefix("file://").unwrap_or(written)
}

fn check_git(git: &str) -> Result<(), Wrong> {
    let wrong = |what: String, hint: &str| Err((what, hint.to_owned()));
    if git.starts_with('-') || git.contains("::") && !git.contains("://") {
        return wrong("this is not the URL of a Git repository".to_owned(), EXAMPLES);
    }
    if is_local(git) {
        return Ok(());
    }
    let Some((scheme, _)) = git.split_once("://") else {
        // `user@host:path`, of which only ssh can be made.
        let host = git.split(':').next().unwrap_or_default();
        return match host.rsplit('@').next().is_some_and(|host| host.starts_with('-')) {
            true => wrong("this is not the URL of a Git repository".to_owned(), EXAMPLES),
            false => Ok(()),
        };
    };
    let Ok(url) = Url::parse(git) else {
        return wrong("this is not the URL of a Git repository".to_owned(), EXAMPLES);
    };
    if url.password().is_some() {
        return wrong(
            "the URL contains a password, which everybody could read here".to_owned(),
            "leave it out; git asks its credential helpers",
        );
    }
    // Over ssh, who somebody is lets nobody in. Over https, it may be a token.
    if scheme != "ssh" && !url.username().is_empty() {
        return wrong(
            "the URL contains a user name, which may be a token that everybody could read here"
                .to_owned(),
            "leave it out; git asks its credential helpers, and `git config credential.username` names the user",
        );
    }
    match scheme {
        "https" | "ssh" => Ok(()),
        "http" | "git" if http::is_here(&format!("http{}", &git[scheme.len()..])) => Ok(()),
        scheme => wrong(
            format!("sources are not fetched by {}", visible::line(scheme)),
            "use https or ssh, or name a folder on this machine",
        ),
    }
}

fn check_archive(archive: &str) -> Result<(), Wrong> {
    if is_local(archive) {
        return Ok(());
    }
    let wrong = |what: &str, hint: &str| Err((what.to_owned(), hint.to_owned()));
    let Ok(url) = Url::parse(archive) else { return wrong("this is not a URL", EXAMPLES) };
    if url.password().is_some() || !url.username().is_empty() {
        return wrong(
            "the URL contains a user name or a password, which everybody could read here",
            "fetch the archive with another program, and name its file",
        );
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if http::is_here(archive) => Ok(()),
        _ => wrong(
            "archives are fetched by https alone",
            "use https, or name a file on this machine",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(origin: Origin, path: &str) -> Entry {
        let (name, path) = ("a".to_owned(), path.to_owned());
        Entry { name, origin, path, place: None, folder: PathBuf::from("/p") }
    }

    fn git(git: &str, reference: &str) -> Entry {
        let reference = Some(reference.to_owned()).filter(|it| !it.is_empty());
        entry(Origin::Git { git: git.to_owned(), reference }, "")
    }

    #[test]
    fn what_git_would_take_for_something_else_is_refused() {
        for url in [
            "https://github.com/acme/a.git",
            "ssh://git@host:22/a",
            "git@host:acme/a.git",
            "../a",
            "/srv/a",
            "file:///srv/a",
            "http://127.0.0.1:8/a",
            "git://localhost:9/a",
        ] {
            assert_eq!(git(url, "v1.4").check(), Ok(()), "{url}");
        }
        for url in [
            "ext::sh -c date",
            "--upload-pack=x",
            "fd::7",
            "http://host/a",
            "git://host/a",
            "ftp://host/a",
            "https://u:secret@host/a",
            "https://ghp_secret@host/a",
            "http://secret@127.0.0.1/a",
            "HTTPS://secret@host/a",
            "-oProxyCommand=x:a",
            "u@-oProxyCommand=x:a",
            "a\nb",
            "",
        ] {
            assert!(git(url, "v1.4").check().is_err(), "{url}");
        }
        for reference in ["main", "v1.4", "release/1.x", "0123456789abcdef", "a@b"] {
            assert_eq!(git("../a", reference).check(), Ok(()), "{reference}");
        }
        for reference in
            ["-x", "+a", "a:b", "a..b", "a b", "a^", "@{1}", "refs/heads/*", "@", "a~1"]
        {
            assert!(git("../a", reference).check().is_err(), "{reference}");
        }
    }

    #[test]
    fn a_path_is_one_of_the_source() {
        let origin = || Origin::Git { git: "../a".to_owned(), reference: None };
        for path in ["", "manifests", "a/b/"] {
            assert_eq!(entry(origin(), path).check(), Ok(()), "{path}");
        }
        for path in ["/a", "../a", "a/../b", "-a", ":a", "a\\b", ".git", "a/.b"] {
            assert!(entry(origin(), path).check().is_err(), "{path}");
        }
    }

    #[test]
    fn an_artifact_has_a_host_a_name_and_a_version() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (oci, shown) in [
            ("registry.example.com/acme/manifests:1.2".to_owned(), "a@1.2"),
            ("localhost:5000/a:latest".to_owned(), "a@latest"),
            (format!("ghcr.io/acme/a@{digest}"), "a@000000000000"),
        ] {
            let entry = entry(Origin::Oci { oci: oci.clone() }, "");
            assert_eq!((entry.check(), entry.shown().as_str()), (Ok(()), shown), "{oci}");
        }
        for oci in ["acme/a:1", "ghcr.io/acme/a", "ghcr.io/Acme/a:1", "ghcr.io/../a:1", "x.y/a:-/"]
        {
            assert!(entry(Origin::Oci { oci: oci.to_owned() }, "").check().is_err(), "{oci}");
        }
    }

    #[test]
    fn archives_are_not_read_by_whoever_is_on_the_way() {
        for (archive, is_right) in [
            ("https://a.test/b.tar.gz", true),
            ("http://127.0.0.1:7/b.zip", true),
            ("../b.zip", true),
            ("http://a.test/b.zip", false),
            ("https://u:p@a.test/b.zip", false),
            ("ftp://a.test/b.zip", false),
        ] {
            let origin = Origin::Archive { archive: archive.to_owned(), sha256: None };
            assert_eq!(entry(origin, "").check().is_ok(), is_right, "{archive}");
        }
    }
}
