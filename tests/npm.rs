//! The public npm package, which speaks the protocol of rooms by code of its own, drives the rooms of
//! the embedded platform.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

use crate::needs;

/// What npm needs to install the package.
const LISTED: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

#[test]
fn the_npm_package_works_in_rooms_of_the_embedded_platform() {
    let tested = "the tests of the npm package";
    if !needs::node(tested) {
        return;
    }
    // Of a release near 0.56 there are sources alone, so whoever has them built names the result.
    needs::typescript("what the TypeScript client near 0.56 asks");
    let packages = installed();
    let missing = packages.as_ref().err().map(|why| format!("package that npm installs: {why}"));
    if !needs::met(missing.is_none(), tested, &missing.unwrap_or_default()) {
        return;
    }
    let is_test = |path: &PathBuf| path.to_string_lossy().ends_with(".test.js");
    let entries = fs::read_dir(tests()).expect("the tests").map(|entry| entry.expect("a file"));
    let files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_test).collect();
    assert!(!files.is_empty(), "there are no tests of the npm package");
    let output = Command::new("node")
        // They wait for each other more than they compute.
        .args(["--test", "--test-concurrency=4", "--test-reporter=spec"])
        .args(files)
        .env("NODE_PATH", packages.expect("the packages"))
        .env("MESHAGENT_BIN", env!("CARGO_BIN_EXE_meshagent"))
        .stdin(Stdio::null())
        .output()
        .expect("Node starts");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the tests of the npm package fail: {}", output.status);
}

#[test]
fn the_npm_package_can_be_installed_from_any_registry() {
    let lock = fs::read_to_string(tests().join("package-lock.json")).expect("a lock file");
    assert!(!lock.contains("\"resolved\""), "the lock file has addresses of a registry");
    let count = |what: &str| lock.matches(what).count();
    let packages = count("    \"node_modules/");
    assert!(packages > 10 && count("\"integrity\": \"sha512-") == packages, "{packages}");
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/npm")
}

/// The folder with the installed packages. It is kept outside of the checkout under a name that
/// follows from the lock file, and gets that name only once it is complete.
fn installed() -> Result<PathBuf, String> {
    let lock = fs::read(tests().join("package-lock.json")).expect("a lock file");
    let digest = format!("{:x}", Sha256::digest(lock));
    let of = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    let cache = of("XDG_CACHE_HOME").or_else(|| Some(of("HOME")?.join(".cache")));
    let cache = cache.unwrap_or_else(std::env::temp_dir).join("meshagent");
    let place = cache.join(format!("npm-{}", &digest[..16]));
    let packages = place.join("node_modules");
    if packages.exists() {
        return Ok(packages);
    }
    fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    let draft = tempfile::Builder::new().prefix("npm-").tempdir_in(&cache).expect("a folder");
    for name in LISTED {
        fs::copy(tests().join(name), draft.path().join(name)).expect("a copy");
    }
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--engine-strict=false"])
        .current_dir(draft.path())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if !npm.status.success() {
        let said = String::from_utf8_lossy(&npm.stderr);
        return Err(said.lines().find(|line| line.contains("rror")).unwrap_or_default().to_owned());
    }
    // Another run may have been faster.
    match fs::rename(draft.path(), &place) {
        Ok(()) => drop(draft.keep()),
        Err(error) if !packages.exists() => return Err(error.to_string()),
        Err(_) => {}
    }
    Ok(packages)
}
