//! What a test needs and may not find: it is asked for here and nowhere else, so that no test
//! passes in silence for want of something.
//!
//! With `CI=true` a test fails where something is absent. Elsewhere it is skipped, which is told
//! on standard error, and in the file that `MESHAGENT_TEST_SKIPPED` names, where `tests/run`
//! counts them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The variable that names a Python interpreter with the reference installed.
const PYTHON: &str = "MESHAGENT_TEST_PYTHON";

/// The variable that names one with the reference of 0.56 installed.
const PYTHON_OF_NEW: &str = "MESHAGENT_TEST_PYTHON_0_56";

/// The variable that names the file in which skipped tests are counted.
const SKIPPED: &str = "MESHAGENT_TEST_SKIPPED";

/// Whether something must be there.
fn must_be() -> bool {
    std::env::var("CI").as_deref() == Ok("true")
}

/// Tells what is skipped, and why.
fn skipped(tested: &str, needed: &str) {
    let line = format!("SKIPPED: {tested}: there is no {needed}");
    #[expect(clippy::print_stderr, reason = "whoever runs the tests is told what is skipped")]
    {
        eprintln!("{line}");
    }
    if let Some(file) = std::env::var_os(SKIPPED) {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
        // One write, for tests run side by side.
        let told = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        told.expect("the file of skipped tests can be written");
    }
}

/// Whether what a test needs is there.
pub fn met(is_there: bool, tested: &str, needed: &str) -> bool {
    assert!(is_there || !must_be(), "{tested}: there is no {needed}, which is needed with CI=true");
    if !is_there {
        skipped(tested, needed);
    }
    is_there
}

/// The interpreter that has the reference.
pub fn python(tested: &str) -> Option<PathBuf> {
    let python = std::env::var_os(PYTHON).filter(|python| !python.is_empty());
    met(python.is_some(), tested, &format!("Python with the reference, named by {PYTHON}"));
    python.map(PathBuf::from)
}

/// The interpreter that has the reference of 0.56.
pub fn python_of_new(tested: &str) -> Option<PathBuf> {
    let python = std::env::var_os(PYTHON_OF_NEW).filter(|python| !python.is_empty());
    let needed = format!("Python with the reference of 0.56, named by {PYTHON_OF_NEW}");
    met(python.is_some(), tested, &needed);
    python.map(PathBuf::from)
}

/// Whether programs start that a test needs.
pub fn programs(tested: &str, names: &[&str]) -> bool {
    let starts = |name: &&str| {
        let mut command = Command::new(name);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // OpenSSH's programs know no such option.
        command.status().is_ok_and(|status| status.success() || name.starts_with("ssh-"))
    };
    met(names.iter().all(starts), tested, &names.join(" and "))
}

/// Whether there are Node and its installer of packages. The runner of tests is told how many files
/// to run at once, which it understands since this version.
pub fn node(tested: &str) -> bool {
    const VERSION: (u32, u32) = (20, 10);
    let said = |name: &str| {
        let output = Command::new(name).arg("--version").stdin(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok());
    let is_new = said("node").is_some_and(|version| {
        let mut parts = version.trim_start_matches('v').split('.');
        (number(parts.next()), number(parts.next())) >= (Some(VERSION.0), Some(VERSION.1))
    });
    let needed = format!("Node {}.{} or newer with npm", VERSION.0, VERSION.1);
    met(is_new && said("npm").is_some(), tested, &needed)
}

/// Whether there is the TypeScript client of a release near 0.56. It is on no registry, so a test
/// without it is skipped with `CI=true` too; `tests/npm/rest_v0_56.test.js` says how to build it.
pub fn typescript(tested: &str) {
    const BUILT: &str = "MESHAGENT_TEST_TYPESCRIPT";
    if std::env::var_os(BUILT).is_none_or(|it| it.is_empty()) {
        skipped(tested, &format!("built client, named by {BUILT}"));
    }
}

/// The engine for containers that runs here and has this image or can get it. Few machines have
/// one, those of CI included, so a test without it is skipped with `CI=true` too.
pub fn container_engine(tested: &str, image: &str) -> Option<&'static str> {
    let succeeds = |engine: &str, words: &[&str]| {
        let mut command = Command::new(engine);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let Some(engine) = ["docker", "podman"].into_iter().find(|it| succeeds(it, &["info"])) else {
        skipped(tested, "engine for containers that runs");
        return None;
    };
    let is_there = succeeds(engine, &["image", "inspect", image]);
    if !is_there && !succeeds(engine, &["pull", image]) {
        skipped(tested, &format!("image {image}"));
        return None;
    }
    Some(engine)
}

/// Whether there is a Podman that runs containers, and a busybox that needs nothing else to be one.
/// Few machines have both, so a test without them is skipped with `CI=true` too.
#[allow(dead_code, reason = "the tests of crates/containers ask")]
pub fn podman(tested: &str) -> bool {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    let missing = MISSING.get_or_init(missing_of_podman);
    if let Some(missing) = missing {
        skipped(tested, missing);
    }
    missing.is_none()
}

/// What is missing for containers to run. Where all programs are there, one container is run, for
/// systems have many ways to forbid that.
fn missing_of_podman() -> Option<String> {
    let is_there = |name: &str| {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths).map(|it| it.join(name)).find(|it| it.is_file())
    };
    let busybox = is_there("busybox").and_then(|it| std::fs::read(it).ok());
    let (Some(busybox), Some(_), Some(_)) =
        (busybox.filter(|it| loads_nothing(it)), is_there("podman"), is_there("runc"))
    else {
        return Some("Podman with runc and busybox-static".to_owned());
    };
    let folder = std::env::temp_dir().join(format!("probe-{}", std::process::id()));
    let at = |name: &str| folder.join(name);
    std::fs::create_dir_all(at("image/bin")).expect("a folder");
    std::fs::write(at("image/bin/busybox"), busybox).expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(at("image/bin/busybox"), mode).expect("a file that can be run");
    std::fs::write(at("containers.conf"), "[containers]\ndefault_ulimits = []\n").expect("a file");
    let mut command = Command::new("podman");
    command.env("CONTAINERS_CONF", at("containers.conf"));
    command.arg("--root").arg(at("root")).arg("--runroot").arg(at("run"));
    command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", "runc"]);
    command.args([
        "run",
        "--rm",
        "--network",
        "none",
        "--ulimit",
        "nofile=256:256",
        "--ulimit",
        "nproc=256:256",
        "--rootfs",
    ]);
    command.arg(at("image")).args(["/bin/busybox", "true"]);
    let output = command.stdin(Stdio::null()).output().expect("podman starts");
    let _ = std::fs::remove_dir_all(&folder);
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default();
    (!output.status.success()).then(|| format!("Podman that runs containers here: {last}"))
}

/// Where no engine for containers is: what a test starts uses none that the machine has.
pub const NO_ENGINE: (&str, &str) = ("CONTAINER_HOST", "unix:///nonexistent/engine.sock");

/// Whether a program of 64 bits names none that loads others for it.
fn loads_nothing(program: &[u8]) -> bool {
    const LOADER: [u8; 4] = [3, 0, 0, 0];
    let number = |at: usize| program.get(at..at + 2).map(|it| u16::from_le_bytes([it[0], it[1]]));
    let (Some(start), Some(size), Some(count)) = (number(32), number(54), number(56)) else {
        return false;
    };
    let mut parts = (0..count).map(|it| usize::from(start) + usize::from(it) * usize::from(size));
    parts.all(|at| program.get(at..at + 4).is_some_and(|it| *it != LOADER))
}

/// Files beside the project, which no clone of it has. A test that looks at them as well does
/// so on top of what is checked in and is whole without them, with `CI=true` too.
pub fn beside(tested: &str, name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    if !path.exists() {
        skipped(&format!("{tested}, for what is not checked in"), &format!("../shared/{name}"));
        return None;
    }
    Some(path)
}
