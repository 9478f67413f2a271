//! The container: it is built from what an archive contains, and runs where nothing can be
//! written and nobody is root.

use std::process::{Command, Stdio};

use super::{path, text};
use crate::cli::{Run, Sandbox};
use crate::needs;

/// The image that it is built on.
fn base() -> String {
    let file = text("Containerfile");
    let base = file.lines().find_map(|line| line.strip_prefix("ARG BASE="));
    base.expect("a base").to_owned()
}

/// An image that goes with the test.
struct Image {
    engine: &'static str,
    name: String,
}

impl Image {
    fn run(&self, options: &[&str], arguments: &[&str]) -> Run {
        let fixed = ["run", "--rm", "--read-only", "--cap-drop=ALL", "--network=none"];
        let words = [&fixed[..], options, &[&self.name], arguments].concat();
        Run::of(Command::new(self.engine).args(words).stdin(Stdio::null()).output().unwrap())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new(self.engine).args(["image", "rm", "-f", &self.name]).output();
    }
}

#[test]
fn it_runs_with_a_root_that_is_read_only_and_as_nobody() {
    let tested = "the container";
    let Some(engine) = needs::container_engine(tested, &base()) else { return };
    let sandbox = Sandbox::with_examples();
    std::fs::copy(env!("CARGO_BIN_EXE_meshagent"), sandbox.path("meshagent")).unwrap();
    for file in ["LICENSE", "NOTICE"] {
        sandbox.write(file, &text(file));
    }
    sandbox.write("sbom.cdx.json", "{}");
    let image = Image { engine, name: format!("meshagent-test-{}", std::process::id()) };
    let built = Command::new(engine)
        .args(["build", "--quiet", "-t", &image.name, "-f"])
        .arg(path("Containerfile"))
        .arg(sandbox.path(""))
        .output()
        .map(Run::of)
        .unwrap();
    assert_eq!(built.code, 0, "{}", built.stderr);
    let version = image.run(&[], &["version"]);
    assert_eq!(version.stdout, format!("{}\n", env!("CARGO_PKG_VERSION")), "{}", version.stderr);
    let examples = format!("{}:/manifests:ro", sandbox.path("examples/manifests").display());
    let options = ["-v", &examples, "--tmpfs", "/tmp:mode=1777"];
    let plan = ["plan", "-f", "/manifests", "--embedded=/tmp/data"];
    let planned = image.run(&options, &plan);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    assert!(planned.stdout.contains("15 to create"), "{}", planned.stdout);
    // Elsewhere nothing can be written.
    let refused = image.run(&options, &["plan", "-f", "/manifests", "--embedded=/etc/data"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
}

/// What needs no engine: whoever starts it is not root, and there is one program.
#[test]
fn the_container_starts_as_nobody() {
    let file = text("Containerfile");
    let lines: Vec<&str> = file.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.contains(&"USER 65532:65532"), "{file}");
    assert!(lines.contains(&"ENTRYPOINT [\"/usr/bin/meshagent\"]"), "{file}");
    assert!(!lines.iter().any(|line| line.starts_with("RUN ")), "{file}");
}
