//! The public SDK drives the embedded platform, in both releases whose APIs it serves.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::needs;

#[test]
fn the_public_sdk_works_against_the_embedded_platform() {
    if let Some(python) = needs::python("the tests of the public SDK") {
        works(python, "tests/sdk");
    }
}

#[test]
fn the_public_sdk_0_56_works_against_the_embedded_platform() {
    if let Some(python) = needs::python_of_new("the tests of the public SDK 0.56") {
        works(python, "tests/sdk_v0_56");
    }
}

/// Runs the tests in a folder.
fn works(python: PathBuf, folder: &str) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let output = Command::new(python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header"])
        .arg("--rootdir")
        .arg(&tests)
        .arg(&tests)
        .env("MESHAGENT_BIN", env!("CARGO_BIN_EXE_meshagent"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{folder}: the tests of the SDK fail: {}", output.status);
}
