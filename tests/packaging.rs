//! What a release contains, and the ways to get it and to use it in CI.

mod action;
mod archive;
mod container;
mod gitlab;
mod installed;
mod manual;
mod runner;
mod served;
mod workflows;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::cli::Sandbox;

/// A file of the repository.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Its text.
fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The documents of a YAML text.
fn documents(text: &str) -> Vec<Value> {
    let documents = meshagent::manifest::yaml::parse(text).expect("YAML");
    documents.into_iter().map(|document| document.to_json()).collect()
}

/// Writes a program that a shell finds in `bin`.
fn program(sandbox: &Sandbox, name: &str, text: &str) {
    std::fs::create_dir_all(sandbox.path("bin")).expect("a folder");
    let name = format!("bin/{name}");
    sandbox.write(&name, text);
    std::fs::set_permissions(sandbox.path(&name), PermissionsExt::from_mode(0o755))
        .expect("a mode");
}

/// The PATH with `bin` of the sandbox and the folder of the program that is tested.
fn search_path(sandbox: &Sandbox) -> String {
    let tested = PathBuf::from(env!("CARGO_BIN_EXE_meshagent"));
    let tested = tested.parent().expect("a folder").display().to_string();
    let usual = std::env::var("PATH").unwrap_or_default();
    format!("{}:{tested}:{usual}", sandbox.path("bin").display())
}
