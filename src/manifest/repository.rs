//! The Git repository that a file is in, as far as needed to identify it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use crate::bounded;

/// The largest configuration that is read, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// How much of a digest tells checkouts apart.
const CHECKOUT_BYTES: usize = 12;

/// The root of the repository in which a path lies. It counts only where nobody else can have put
/// it there: the user, the administrator, or whoever has what lies at the path, since a
/// checkout may be another user's as a whole, as in a container.
#[must_use]
pub fn around(path: &Path) -> Option<&Path> {
    let owners = owners(path, nix::unistd::geteuid().as_raw());
    path.ancestors().find(|folder| is_repository(&folder.join(".git"), &owners))
}

/// Who may have put a repository around a path, for a user.
fn owners(path: &Path, user: u32) -> [Option<u32>; 3] {
    [Some(0), Some(user), path.metadata().ok().map(|about| about.uid())]
}

/// Whether a `.git` is what Git makes, a folder with a `HEAD` or a file that leads to one, and
/// has one of these owners.
fn is_repository(git: &Path, owners: &[Option<u32>]) -> bool {
    let is_ours =
        |path: &Path| path.metadata().is_ok_and(|about| owners.contains(&Some(about.uid())));
    let is_folder = |path: &Path| is_ours(path) && path.join("HEAD").symlink_metadata().is_ok();
    match git.metadata() {
        Ok(about) if about.is_dir() => is_folder(git),
        Ok(about) if about.is_file() => {
            is_ours(git) && led_to(git).is_some_and(|folder| is_folder(&folder))
        }
        _ => false,
    }
}

/// The folder that a `.git` leads to that is a file.
fn led_to(git: &Path) -> Option<PathBuf> {
    let text = bounded::text(git, MAX_BYTES).ok()?;
    Some(git.parent()?.join(text.strip_prefix("gitdir:")?.trim()))
}

/// Where a repository comes from: the host and the path of its remote `origin`, without
/// whatever it is entered with. `None` where it has none, or one of this machine.
#[must_use]
pub fn origin(root: &Path) -> Option<String> {
    let config = configuration(&root.join(".git"))?;
    let text = bounded::text(&config, MAX_BYTES).ok()?;
    let url = url(&text)?;
    let others = of_user().into_iter().filter_map(|path| bounded::text(&path, MAX_BYTES).ok());
    let configs: Vec<String> = others.chain([text.clone()]).collect();
    let instead = configs.iter().flat_map(|config| instead_of(config));
    // As Git does: of several that fit, the longest counts.
    let longest = instead
        .filter(|(written, _)| url.starts_with(written.as_str()))
        .max_by_key(|(written, _)| written.len());
    match longest {
        Some((written, meant)) => normalized(&format!("{meant}{}", &url[written.len()..])),
        None => normalized(url),
    }
}

/// Where Git keeps what a user configures.
fn of_user() -> Vec<PathBuf> {
    let home = std::env::home_dir();
    let given = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = given.or_else(|| home.as_ref().map(|home| home.join(".config")));
    let files = [config.map(|it| it.join("git/config")), home.map(|it| it.join(".gitconfig"))];
    files.into_iter().flatten().collect()
}

/// The beginnings of URLs that a configuration gives short names, each behind its short name.
fn instead_of(config: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut base = None;
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            let named = line.strip_prefix("[url").and_then(|rest| rest.split('"').nth(1));
            base = named.map(str::to_owned);
        } else if let (Some(base), Some((name, written))) = (&base, line.split_once('='))
            && name.trim().eq_ignore_ascii_case("insteadOf")
        {
            found.push((written.trim().trim_matches('"').to_owned(), base.clone()));
        }
    }
    found.retain(|(written, _)| !written.is_empty());
    found
}

/// One spelling of a repository, for one of its origins as it was told or kept.
#[must_use]
pub fn canonical(origin: &str) -> String {
    let Some((host, path)) = origin.split_once('/').filter(|(host, _)| !host.is_empty()) else {
        return origin.to_owned();
    };
    let host = host.to_ascii_lowercase();
    let host = ALIASES.iter().find(|(alias, _)| *alias == host).map_or(&*host, |it| it.1);
    // These hosts do not tell capital letters from small ones.
    match ALIASES.iter().any(|(_, known)| *known == host) {
        true => format!("{host}/{}", path.to_ascii_lowercase()),
        false => format!("{host}/{path}"),
    }
}

/// Other names of well-known hosts, for ssh through the port of https.
const ALIASES: [(&str, &str); 3] = [
    ("ssh.github.com", "github.com"),
    ("altssh.gitlab.com", "gitlab.com"),
    ("altssh.bitbucket.org", "bitbucket.org"),
];

/// Identifies this checkout of a repository among others, including former ones at the same path:
/// a digest, which reveals nothing else. `None` if the machine does not know.
#[must_use]
pub fn checkout(root: &Path) -> Option<String> {
    let git = std::fs::metadata(root.join(".git")).ok()?;
    let born = git.created().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    // Some file systems tell a time that is none.
    if born == 0 {
        return None;
    }
    let digest = Sha256::digest(format!("{} {born}", root.display()));
    Some(digest.iter().take(CHECKOUT_BYTES).map(|byte| format!("{byte:02x}")).collect())
}

/// The configuration of a repository, also where this is but one of its work trees.
fn configuration(git: &Path) -> Option<PathBuf> {
    if git.is_dir() {
        return Some(git.join("config"));
    }
    let folder = led_to(git)?;
    Some(match bounded::text(&folder.join("commondir"), MAX_BYTES) {
        Ok(common) => folder.join(common.trim()).join("config"),
        Err(_) => folder.join("config"),
    })
}

/// The URL of the remote `origin` in a configuration.
fn url(config: &str) -> Option<&str> {
    let mut lines = config.lines().map(str::trim);
    lines.find(|line| line.starts_with("[remote") && line.contains("\"origin\""))?;
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("url"))
        .map(|(_, url)| url.trim())
}

/// `host/path` of a URL, or of what ssh takes for one. `None` where it is not plain what of it
/// is host and path: what else stands there may be a password.
fn normalized(url: &str) -> Option<String> {
    let (authority, path) = match url.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.split_once('/')?,
        None => url.split_once(':')?,
    };
    // A user, and with it perhaps a password, stands before the host, a port behind it.
    let host = authority.rsplit('@').next()?;
    let (host, port) = host.split_once(':').unwrap_or((host, ""));
    let path = path.trim_matches('/').trim_end_matches(".git");
    let is_name = |c: char| c.is_alphanumeric() || "._-".contains(c);
    let is_plain = !host.is_empty()
        && host.chars().all(is_name)
        && port.chars().all(|c| c.is_ascii_digit())
        && !authority.contains(['/', '\\', '?', '#'])
        && !path.is_empty()
        && path.chars().all(|c| is_name(c) || "/~+ ".contains(c));
    is_plain.then(|| canonical(&format!("{host}/{path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_told_without_what_it_is_entered_with() {
        for (url, expected) in [
            ("https://github.com/acme/support", Some("github.com/acme/support")),
            ("https://github.com/acme/support.git", Some("github.com/acme/support")),
            (
                "https://x-access-token:s3cr3t@GitHub.com/acme/support/",
                Some("github.com/acme/support"),
            ),
            ("git@github.com:acme/support.git", Some("github.com/acme/support")),
            ("ssh://git@ssh.github.com:443/Acme/Support.git", Some("github.com/acme/support")),
            ("git@GitLab.com:Acme/Support.git", Some("gitlab.com/acme/support")),
            ("https://git.example.com/Acme/Support", Some("git.example.com/Acme/Support")),
            (
                "ssh://git@git.example.com:2222/acme/support.git",
                Some("git.example.com/acme/support"),
            ),
            ("https://git.example.com:8443/a/b c/~d+e_f.g", Some("git.example.com/a/b c/~d+e_f.g")),
            ("https://oauth2:s3/cr3t@github.com/acme/support", None),
            ("https://oauth2:12/s3cr3t@github.com/acme/support", None),
            ("https://oauth2:s3?cr3t@github.com/acme/support", None),
            ("https://oauth2:s3#cr3t@github.com/acme/support", None),
            ("https://github.com/acme/support?private_token=s3cr3t", None),
            ("https://github.com/acme/support#s3cr3t", None),
            ("git:s3cr3t@github.com:acme/support", None),
            ("git:s3/cr3t@github.com:acme/support", None),
            ("git@github.com:s3cr3t:acme/support", None),
            ("https://s3cr3t\\@github.com/acme/support", None),
            ("file:///srv/git/support.git", None),
            ("/srv/git/support.git", None),
            ("../support", None),
            ("", None),
        ] {
            assert_eq!(normalized(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn only_what_git_makes_for_the_user_is_a_repository() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a path");
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        for (path, text) in [
            ("folder/.git/HEAD", "ref: refs/heads/main"),
            ("tree/.git", "gitdir: ../folder/.git\n"),
            ("empty/.git/x/y", ""),
            ("file/.git", ""),
            ("nowhere/.git", "gitdir: ../none\n"),
            ("hollow/.git", "gitdir: ../empty/.git\n"),
            ("other/.git", "ref: ../folder/.git\n"),
        ] {
            write(path, text);
        }
        std::fs::write(root.join("folder/file"), "").expect("a file");
        // The folder itself may lie in one.
        let is_within = |path: &str| {
            around(&root.join(path)).is_some_and(|found| found.starts_with(&root) && found != root)
        };
        for (path, is_one) in [
            ("folder", true),
            ("folder/file", true),
            ("tree", true),
            ("empty", false),
            ("file", false),
            ("nowhere", false),
            ("hollow", false),
            ("other", false),
        ] {
            assert_eq!(is_within(path), is_one, "{path}");
        }
        // Files cannot be given away, so others are asked for instead.
        let user = root.metadata().expect("a folder").uid();
        let others = [Some(user + 1), Some(user + 2), None];
        for path in ["folder/.git", "tree/.git"] {
            assert!(is_repository(&root.join(path), &[others[0], Some(user), None]), "{path}");
            assert!(!is_repository(&root.join(path), &others), "{path}");
        }
        // A checkout may be another user's as a whole, and nobody owns what is not there.
        let stranger = Some(user + 1);
        assert_eq!(owners(&root, user + 1), [Some(0), stranger, Some(user)]);
        assert_eq!(owners(&root.join("none"), user + 1), [Some(0), stranger, None]);
    }

    #[test]
    fn the_origin_is_found_in_work_trees_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        let config = "[core]\n\tbare = false\n[remote \"other\"]\n\turl = https://example.com/no\n\
                      [remote \"origin\"]\n\tfetch = +refs\n\tURL = git@example.com:a/b.git\n[branch \"main\"]\n";
        write("main/.git/config", config);
        write("main/.git/worktrees/two/commondir", "../..\n");
        write("two/.git", "gitdir: ../main/.git/worktrees/two\n");
        write("none/.git/config", "[core]\n\tbare = false\n");
        let short = "[url \"git@github.com:\"]\n\tinsteadOf = gh:\n\
                     [url \"https://example.com/\"]\n\tinsteadOf = \"gh:ac\"\n";
        let named = |url: &str| format!("{short}[remote \"origin\"]\n\turl = {url}\n");
        write("short/.git/config", &named("gh:a/b"));
        write("longer/.git/config", &named("gh:ac/b"));
        let of = |path: &str| origin(&folder.path().join(path));
        assert_eq!(of("main").as_deref(), Some("example.com/a/b"));
        assert_eq!(of("two").as_deref(), Some("example.com/a/b"));
        assert_eq!(of("short").as_deref(), Some("github.com/a/b"));
        assert_eq!(of("longer").as_deref(), Some("example.com/b"));
        assert_eq!(of("none"), None);
        assert_eq!(of("nowhere"), None);
    }
}
