//! The public SDK drives the embedded platform.

use std::path::Path;
use std::process::Command;

use crate::needs;

#[test]
fn the_public_sdk_works_against_the_embedded_platform() {
    let Some(python) = needs::python("the tests of the public SDK") else { return };
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk");
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
    assert!(output.status.success(), "the tests of the public SDK fail: {}", output.status);
}
