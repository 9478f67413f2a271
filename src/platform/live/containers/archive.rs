//! Archives of images: which names are in one, before an engine takes them all.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::super::files::failed;
use crate::platform::live::calls::refused;
use crate::room::codes;
use crate::room::content::Refused;

/// How long the list of what is in an archive may be, in bytes.
const LIST: u64 = 4 * 1024 * 1024;

/// How many files an archive may have, and how many names.
const FILES: usize = 100_000;
const NAMES: usize = 100;

/// The names of a registry, of no registry, and of no tag, as engines complete them.
const USUAL: &str = "docker.io/library/";
const HERE: &str = "localhost/";

/// An image's name as it is compared: without what engines put before names of this machine and of
/// the usual registry, and with a tag.
pub fn whole(name: &str) -> String {
    let name = name.strip_prefix(USUAL).or_else(|| name.strip_prefix(HERE)).unwrap_or(name);
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or_default();
    match last.contains(':') || name.contains('@') {
        true => name.to_owned(),
        false => format!("{name}:latest"),
    }
}

/// Opens an archive below a folder that is trusted, following no link.
///
/// # Errors
///
/// There is none; the system's.
pub async fn open(trusted: PathBuf, below: String) -> Result<File, Refused> {
    let opened =
        spawn_blocking(move || meshagent_containers::mounts::open_file(&trusted, &below)).await;
    let opened = opened.map_err(|_| refused(codes::OPERATION_FAILED, "the platform failed"))?;
    opened.map_err(super::told)
}

/// The names that an archive would bring.
///
/// # Errors
///
/// It is no archive of images; it has more than anybody needs; the system's.
pub async fn names(file: &File) -> Result<Vec<String>, Refused> {
    let mut file = file.try_clone().map_err(|error| failed(&error))?;
    let read = spawn_blocking(move || {
        let names = listed(&mut file);
        file.seek(SeekFrom::Start(0)).map_err(|error| failed(&error))?;
        names
    });
    read.await.map_err(|_| refused(codes::OPERATION_FAILED, "the platform failed"))?
}

#[derive(Deserialize)]
struct OfDocker {
    #[serde(rename = "RepoTags", default)]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct OfOci {
    #[serde(default)]
    manifests: Vec<Manifest>,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

fn listed(file: &mut File) -> Result<Vec<String>, Refused> {
    let odd = |what: &str| Refused::invalid(format!("the file is no archive of images: {what}"));
    let mut names = BTreeSet::new();
    let mut is_listed = false;
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries_with_seek().map_err(|error| odd(&error.to_string()))?;
    for (count, entry) in entries.enumerate() {
        let entry = entry.map_err(|error| odd(&error.to_string()))?;
        if count >= FILES {
            return Err(odd("it has too many files"));
        }
        let path = entry.path_bytes();
        let path = String::from_utf8_lossy(&path).into_owned();
        let name = path.trim_start_matches("./").trim_start_matches('/');
        if name == "repositories" {
            return Err(odd("it has the form that engines had before 2015"));
        }
        if !matches!(name, "manifest.json" | "index.json") {
            continue;
        }
        is_listed = true;
        let is_docker = name == "manifest.json";
        let mut text = String::new();
        let read = entry.take(LIST + 1).read_to_string(&mut text);
        read.map_err(|error| odd(&error.to_string()))?;
        if text.len() as u64 > LIST {
            return Err(odd("its list is too long"));
        }
        let wrong = |error: serde_json::Error| odd(&error.to_string());
        if is_docker {
            let images: Vec<OfDocker> = serde_json::from_str(&text).map_err(wrong)?;
            names.extend(images.into_iter().flat_map(|it| it.tags.unwrap_or_default()));
        } else {
            let index: OfOci = serde_json::from_str(&text).map_err(wrong)?;
            let named = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];
            for manifest in index.manifests {
                names.extend(named.iter().filter_map(|it| manifest.annotations.get(*it).cloned()));
            }
        }
        if names.len() > NAMES {
            return Err(odd("it has too many names"));
        }
    }
    match is_listed {
        true => Ok(names.into_iter().collect()),
        false => Err(odd("it has neither manifest.json nor index.json")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_image_has_one_name() {
        for name in
            ["alpine", "alpine:latest", "docker.io/library/alpine", "localhost/alpine:latest"]
        {
            assert_eq!(whole(name), "alpine:latest");
        }
        assert_eq!(whole("docker.io/ada/web:1"), "ada/web:1");
        assert_eq!(whole("reg:5000/a"), "reg:5000/a:latest");
        assert_eq!(whole("a@sha256:00"), "a@sha256:00");
    }

    fn archive(files: &[(&str, &str)]) -> File {
        let mut builder = tar::Builder::new(tempfile::tempfile().unwrap());
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        let mut file = builder.into_inner().unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file
    }

    #[tokio::test]
    async fn all_names_of_an_archive_are_found_in_whichever_form() {
        let docker = r#"[{"RepoTags": ["a:1", "b:2"]}, {"RepoTags": null}]"#;
        let oci =
            r#"{"manifests": [{"annotations": {"org.opencontainers.image.ref.name": "c:3"}}]}"#;
        let file = archive(&[("x", ""), ("manifest.json", docker), ("./index.json", oci)]);
        assert_eq!(names(&file).await.unwrap(), ["a:1", "b:2", "c:3"]);
        // A second list cannot hide behind the first one.
        let file = archive(&[("manifest.json", "[]"), ("manifest.json", docker)]);
        assert_eq!(names(&file).await.unwrap(), ["a:1", "b:2"]);
        for files in [&[("x", "y")][..], &[("manifest.json", "{")], &[("repositories", "{}")]] {
            assert!(names(&archive(files)).await.is_err());
        }
    }
}
