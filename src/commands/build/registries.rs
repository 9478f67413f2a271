//! The passwords for registries that `docker login` and `podman login` keep in files. Helpers that
//! keep them elsewhere are programs, and are not run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meshagent_containers::Credentials;
use secrecy::SecretString;
use serde::Deserialize;

use crate::bounded;
use crate::conceal;
use crate::error::{Error, Result};

/// The longest file that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// The form of both files.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    /// A name and a password with a colon between them, in base64.
    #[serde(default)]
    auth: Option<String>,
}

/// Who one is for which registry. The first file that names a registry counts.
///
/// # Errors
///
/// A file that is there cannot be read.
pub fn known() -> Result<Vec<Credentials>> {
    let mut known = Vec::new();
    for path in places(&|name| std::env::var_os(name).filter(|it| !it.is_empty())) {
        if path.exists() {
            known.extend(of_file(&path)?);
        }
    }
    Ok(known)
}

/// Where the files are.
fn places(variable: &dyn Fn(&str) -> Option<std::ffi::OsString>) -> Vec<PathBuf> {
    let folder = |name: &str, below: &str| variable(name).map(|it| PathBuf::from(it).join(below));
    let docker = folder("DOCKER_CONFIG", "config.json");
    let given = variable("REGISTRY_AUTH_FILE").map(PathBuf::from);
    let podman = folder("XDG_RUNTIME_DIR", "containers/auth.json");
    let places = [
        given.or(podman),
        folder("HOME", ".config/containers/auth.json"),
        docker.or_else(|| folder("HOME", ".docker/config.json")),
    ];
    places.into_iter().flatten().collect()
}

fn of_file(path: &Path) -> Result<Vec<Credentials>> {
    let failed = || Error::failed(format!("failed to read the passwords in {}", path.display()));
    let text = bounded::text(path, LONGEST).map_err(|error| failed().because(error))?;
    // What is wrong with it is not told: a password may be a part of that.
    let file: File =
        serde_json::from_str(&text).map_err(|_| failed().because("it is not in their form"))?;
    Ok(file.auths.into_iter().filter_map(|(registry, auth)| one(registry, &auth)).collect())
}

fn one(registry: String, auth: &Auth) -> Option<Credentials> {
    let text = STANDARD.decode(auth.auth.as_ref()?).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (username, password) = text.split_once(':')?;
    let password = SecretString::from(password);
    conceal::credential(&password);
    Some(Credentials { registry, username: username.to_owned(), password })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn passwords_of_a_file_are_read_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let auth = STANDARD.encode("ada:let:me-in");
        let text = format!(
            r#"{{"auths": {{"ghcr.io": {{"auth": "{auth}"}}, "kept.elsewhere": {{}}, "odd": {{"auth": "%"}}}}, "credsStore": "x"}}"#
        );
        std::fs::write(&path, text).unwrap();
        let known = of_file(&path).unwrap();
        let [one] = known.as_slice() else { panic!("{known:?}") };
        assert_eq!((one.registry.as_str(), one.username.as_str()), ("ghcr.io", "ada"));
        assert_eq!(one.password.expose_secret(), "let:me-in");
        assert!(!format!("{one:?}").contains("let:me-in"));
        std::fs::write(&path, r#"{"auths": {"ghcr.io": {"auth": ["let:me-in"]}}}"#).unwrap();
        assert!(!format!("{:?}", of_file(&path).unwrap_err()).contains("let:me-in"));
    }

    #[test]
    fn files_are_where_both_programs_have_them() {
        let set = |given: &'static [(&'static str, &'static str)]| {
            places(&move |name| given.iter().find(|it| it.0 == name).map(|it| it.1.into()))
        };
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(
            set(&[("HOME", "/h")]),
            paths(&["/h/.config/containers/auth.json", "/h/.docker/config.json"])
        );
        assert_eq!(
            set(&[
                ("REGISTRY_AUTH_FILE", "/a"),
                ("XDG_RUNTIME_DIR", "/r"),
                ("DOCKER_CONFIG", "/d")
            ]),
            paths(&["/a", "/d/config.json"])
        );
    }
}
