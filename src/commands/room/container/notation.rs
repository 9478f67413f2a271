//! How mounts, ports, variables and credentials are written on a command line.

use serde_json::{Map, Value};

use crate::error::{Context, Error, Result};
use crate::kinds::specs::mounts::{ContainerMountSpec, ImageMount, ProjectMount, RoomMount};
use crate::room::containers::{Credential, Pair, Password, PortPair};

/// Where what a job works with is in it.
#[derive(Debug, clap::Args)]
pub struct MountArgs {
    /// Files of the room, writable by default: `/` or `.` are all of them; may be repeated
    #[arg(long, value_name = "PATH:MOUNT[:ro|rw]")]
    mount_room_path: Vec<String>,
    /// Files of the project, read-only by default; may be repeated
    #[arg(long, value_name = "PATH:MOUNT[:ro|rw]")]
    mount_project_path: Vec<String>,
    /// What is in another image, read-only by default; may be repeated
    #[arg(long, value_name = "IMAGE=MOUNT[:ro|rw]")]
    mount_image: Vec<String>,
}

impl MountArgs {
    /// All mounts, as one entry.
    ///
    /// # Errors
    ///
    /// There is none, or one that cannot be read.
    pub fn mounts(&self) -> Result<Vec<Value>> {
        let mounts = ContainerMountSpec {
            room: some(&self.mount_room_path, |text| {
                let (subpath, path, mode) = folder("--mount-room-path", text)?;
                Ok(RoomMount { path, subpath, read_only: mode.unwrap_or(false) })
            })?,
            project: some(&self.mount_project_path, |text| {
                let (subpath, path, mode) = folder("--mount-project-path", text)?;
                Ok(ProjectMount { path, subpath, read_only: mode.unwrap_or(true) })
            })?,
            images: some(&self.mount_image, |text| {
                let odd = || odd("--mount-image", text, "IMAGE=MOUNT[:ro|rw]");
                let (rest, mode) = mode(text);
                let (image, path) = rest.rsplit_once('=').ok_or_else(odd)?;
                let is_fine = !image.is_empty() && path.starts_with('/');
                let path = is_fine.then(|| path.to_owned()).ok_or_else(odd)?;
                let read_only = mode.unwrap_or(true);
                Ok(ImageMount { image: image.to_owned(), path, subpath: None, read_only })
            })?,
            ..ContainerMountSpec::default()
        };
        match mounts == ContainerMountSpec::default() {
            true => Err(Error::usage("nothing is mounted, so there is nothing to work with")
                .hint("--mount-room-path /:/workspace mounts the files of the room at /workspace")),
            false => Ok(vec![bare(&mounts)?]),
        }
    }
}

/// Leaves out what is null, as clients do.
fn bare(mounts: &ContainerMountSpec) -> Result<Value> {
    fn without_nulls(value: Value) -> Value {
        match value {
            Value::Object(members) => {
                let some = members.into_iter().filter(|(_, of)| !of.is_null());
                some.map(|(name, of)| (name, without_nulls(of))).collect::<Map<_, _>>().into()
            }
            Value::Array(items) => items.into_iter().map(without_nulls).collect(),
            other => other,
        }
    }
    let value = serde_json::to_value(mounts);
    value.map(without_nulls).context(|| "the mounts cannot be sent".to_owned())
}

/// Each of the texts, read; nothing if there are none.
fn some<T>(texts: &[String], read: impl Fn(&str) -> Result<T>) -> Result<Option<Vec<T>>> {
    let read: Result<Vec<T>> = texts.iter().map(|text| read(text)).collect();
    Ok(Some(read?).filter(|read| !read.is_empty()))
}

fn odd(option: &str, text: &str, form: &str) -> Error {
    Error::usage(format!("{option} {text:?} is not {form}"))
        .hint("MOUNT is an absolute path in the container")
}

/// What is before `:ro` or `:rw`, and whether that says that writing is refused.
fn mode(text: &str) -> (&str, Option<bool>) {
    match text.rsplit_once(':') {
        Some((rest, "ro")) => (rest, Some(true)),
        Some((rest, "rw")) => (rest, Some(false)),
        _ => (text, None),
    }
}

/// The part of the files, where they are mounted, and whether writing is refused.
fn folder(option: &str, text: &str) -> Result<(Option<String>, String, Option<bool>)> {
    let odd = || odd(option, text, "PATH:MOUNT[:ro|rw]");
    let (rest, mode) = mode(text);
    let (source, path) = rest.rsplit_once(':').ok_or_else(odd)?;
    if source.is_empty() || !path.starts_with('/') {
        return Err(odd());
    }
    let subpath = Some(source.trim_matches('/').trim_start_matches("./"))
        .filter(|part| !part.is_empty() && *part != ".");
    Ok((subpath.map(str::to_owned), path.to_owned(), mode))
}

/// A path in the container.
///
/// # Errors
///
/// It is not absolute.
pub fn absolute(option: &str, path: &str) -> Result<String> {
    match path.starts_with('/') {
        true => Ok(path.to_owned()),
        false => Err(Error::usage(format!("{option} {path:?} is not an absolute path"))
            .hint("it is a path in the container, below one of the mounts")),
    }
}

/// A variable: `NAME=VALUE`.
///
/// # Errors
///
/// There is no name.
pub fn variable(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok(Pair { key: name.to_owned(), value: value.to_owned() })
        }
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

/// Ports: `CONTAINER:HOST`.
///
/// # Errors
///
/// They are no ports.
pub fn ports(text: &str) -> Result<PortPair, String> {
    let pair = text.split_once(':').and_then(|(container, host)| {
        let container_port = container.parse().ok().filter(|port| *port != 0)?;
        Some(PortPair { container_port, host_port: host.parse().ok()? })
    });
    pair.ok_or_else(|| "write it as CONTAINER:HOST, such as 80:8080".to_owned())
}

/// How somebody signs in at a registry: `USER,PASSWORD` or `REGISTRY,USER,PASSWORD`. What is wrong
/// with it is told without it.
///
/// # Errors
///
/// It is neither.
pub fn credential(text: &str) -> Result<Credential> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let (registry, username, password) = match parts[..] {
        [username, password] => (None, username, password),
        [registry, username, password] => (Some(registry), username, password),
        _ => ("".into(), "", ""),
    };
    if username.is_empty() || password.is_empty() || registry == Some("") {
        return Err(Error::usage("--cred is neither USER,PASSWORD nor REGISTRY,USER,PASSWORD")
            .hint("a user or a password with a comma cannot be given like this"));
    }
    let password = Password(password.to_owned().into());
    Ok(Credential {
        registry: registry.map(str::to_owned),
        username: username.to_owned(),
        password,
    })
}

/// With what images are fetched and sent.
#[derive(clap::Args)]
pub struct CredentialArgs {
    /// How to sign in at the registry: USER,PASSWORD or REGISTRY,USER,PASSWORD; may be repeated
    #[arg(long = "cred", value_name = "CREDENTIALS")]
    cred: Vec<String>,
}

impl std::fmt::Debug for CredentialArgs {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("CredentialArgs").field("cred", &self.cred.len()).finish()
    }
}

impl CredentialArgs {
    /// The credentials.
    ///
    /// # Errors
    ///
    /// As [`credential`].
    pub fn read(&self) -> Result<Vec<Credential>> {
        if !self.cred.is_empty() {
            let instead = "a service names its credentials as a pull secret instead";
            crate::commands::option_values::warn_of_secret("--cred", instead);
        }
        self.cred.iter().map(|text| credential(text)).collect()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    fn mounted(room: &[&str], project: &[&str], image: &[&str]) -> Result<Value> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let args = MountArgs {
            mount_room_path: owned(room),
            mount_project_path: owned(project),
            mount_image: owned(image),
        };
        Ok(args.mounts()?.remove(0))
    }

    #[test]
    fn mounts_are_read_from_the_right() {
        let told = mounted(
            &["/:/all", "./src:/workspace:ro", "a:b/c:/w"],
            &["/shared:/project:rw", ".:/p"],
            &["reg:5000/alpine:3=/tools", "a=b:1=/t:rw"],
        )
        .unwrap();
        assert_eq!(
            told["room"],
            json!([
                {"path": "/all", "read_only": false},
                {"path": "/workspace", "subpath": "src", "read_only": true},
                {"path": "/w", "subpath": "a:b/c", "read_only": false},
            ])
        );
        assert_eq!(
            told["project"],
            json!([
                {"path": "/project", "subpath": "shared", "read_only": false},
                {"path": "/p", "read_only": true},
            ])
        );
        assert_eq!(told["images"][0]["image"], "reg:5000/alpine:3");
        assert_eq!(told["images"][1]["image"], "a=b:1");
        assert_eq!(told["images"][1]["read_only"], false);
    }

    #[test]
    fn odd_mounts_are_refused() {
        for text in ["", "a", ":/w", "a:w", "a:w:ro", "/w:ro"] {
            assert!(mounted(&[text], &[], &[]).is_err(), "{text}");
        }
        for text in ["alpine", "=/w", "alpine=w"] {
            assert!(mounted(&[], &[], &[text]).is_err(), "{text}");
        }
        assert!(mounted(&[], &[], &[]).is_err());
    }

    #[test]
    fn credentials_are_read_and_never_told() {
        let read = credential("reg.example, ada , pass").unwrap();
        assert_eq!(
            (read.registry.as_deref(), read.username.as_str()),
            (Some("reg.example"), "ada")
        );
        assert_eq!(read.password.0.expose_secret(), "pass");
        assert_eq!(credential("ada,pass").unwrap().registry, None);
        for text in ["", "topsecret", "a,b,c,d", ",topsecret", "a,", ",a,b"] {
            let told = format!("{:?}", credential(text).unwrap_err());
            assert!(!told.contains("topsecret"), "{told}");
        }
        let args = CredentialArgs { cred: vec!["ada,topsecret".to_owned()] };
        assert!(!format!("{args:?}").contains("topsecret"));
    }

    #[test]
    fn ports_and_variables_are_pairs() {
        assert_eq!(ports("80:0"), Ok(PortPair { container_port: 80, host_port: 0 }));
        for text in ["80", "0:80", "80:70000", "a:b", ":"] {
            assert!(ports(text).is_err(), "{text}");
        }
        let pair = variable("A=b=c").unwrap();
        assert_eq!((pair.key.as_str(), pair.value.as_str()), ("A", "b=c"));
        assert!(variable("=b").is_err() && variable("A").is_err());
    }
}
