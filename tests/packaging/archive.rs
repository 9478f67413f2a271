//! The archive of a release, and the draft that it is uploaded to.

use std::process::Command;

use super::{path, program, search_path, text};
use crate::cli::{Run, Sandbox};
use crate::needs;

const SBOM: &str = "{\"bomFormat\": \"CycloneDX\"}\n";

fn script(sandbox: &Sandbox, script: &str, arguments: &[&str]) -> Run {
    let output = Command::new("bash")
        .arg(script)
        .args(arguments)
        .current_dir(sandbox.path(""))
        .env_clear()
        .env("HOME", sandbox.path(""))
        .env("PATH", search_path(sandbox))
        .env("SOURCE_DATE_EPOCH", "1000000000")
        .env("TOLD", sandbox.path("told"))
        .output();
    Run::of(output.unwrap())
}

/// What an archive is made of, and where it goes.
struct Made<'a> {
    program: &'a str,
    target: &'a str,
    out: &'a str,
}

/// The bytes of an archive, and the names in it.
fn archived(sandbox: &Sandbox, made: &Made<'_>) -> (Vec<u8>, String) {
    let Made { program, target, out } = made;
    sandbox.write("sbom.json", SBOM);
    let archive = path("ci/archive.sh").display().to_string();
    let arguments = ["--out", out, "--target", target, "--program", program, "--sbom", "sbom.json"];
    let run = script(sandbox, &archive, &arguments);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let name = format!("meshagent-{target}.tar.gz");
    assert!(run.stdout.ends_with(&format!("/{name}\n")), "{}", run.stdout);
    let file = sandbox.path(out).join(&name);
    let bytes = std::fs::read(&file).unwrap();
    let sum = std::fs::read_to_string(file.with_extension("gz.sha256")).unwrap();
    assert_eq!(sum, format!("{}  {name}\n", super::served::digest(&bytes)));
    let listed = Command::new("tar").arg("-tzf").arg(&file).output().unwrap();
    (bytes, String::from_utf8(listed.stdout).unwrap())
}

#[test]
fn the_archive_has_the_program_and_what_goes_with_it() {
    let sandbox = Sandbox::new();
    let (_, listed) = archived(
        &sandbox,
        &Made { program: env!("CARGO_BIN_EXE_meshagent"), target: "t-est", out: "out" },
    );
    for file in [
        "meshagent",
        "LICENSE",
        "NOTICE",
        "README.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "sbom.cdx.json",
        "completions/meshagent.bash",
        "completions/_meshagent",
        "completions/meshagent.fish",
        "completions/meshagent.ps1",
        "man/man1/meshagent.1",
        "man/man1/meshagent-set-move.1",
    ] {
        assert!(listed.contains(&format!("\nmeshagent-t-est/{file}\n")), "{file}\n{listed}");
    }
    let unpacked = Command::new("tar")
        .args(["-xzf", "out/meshagent-t-est.tar.gz"])
        .current_dir(sandbox.path(""))
        .status();
    assert!(unpacked.unwrap().success());
    let read = |name: &str| std::fs::read_to_string(sandbox.path("meshagent-t-est").join(name));
    assert_eq!(read("sbom.cdx.json").unwrap(), SBOM);
    assert!(read("completions/meshagent.bash").unwrap().contains("MESHAGENT_COMPLETE"));
    let program = sandbox.path("meshagent-t-est/meshagent");
    let version = Command::new(program).arg("version").output().unwrap().stdout;
    assert_eq!(version, format!("{}\n", env!("CARGO_PKG_VERSION")).into_bytes());
}

#[test]
fn the_same_program_makes_the_same_archive() {
    let sandbox = Sandbox::new();
    sandbox.write("fake", FAKE);
    let made = |out| archived(&sandbox, &Made { program: "fake", target: "t-est", out }).0;
    assert_eq!(made("one"), made("two"));
}

#[test]
fn wrong_usage_of_the_archive_is_told() {
    let sandbox = Sandbox::new();
    let archive = path("ci/archive.sh").display().to_string();
    for (arguments, error) in [
        (&[][..], "--out is missing"),
        (&["--out"], "--out needs a value"),
        (&["--out", "x", "--sbom", "y"], "--program and --sbom go together"),
        (&["--into", "x"], "unexpected argument --into"),
    ] {
        let run = script(&sandbox, &archive, arguments);
        assert_eq!(run.code, 2, "{arguments:?}");
        assert!(run.stderr.starts_with(&format!("error: {error}\nhint: ci/archive.sh --out ")));
    }
}

const FAKE: &str = r#"#!/bin/sh
case "$1" in
man) echo page > "$3/meshagent.1" ;;
version) echo 1.2.3-rc.1 ;;
*) echo "$*" ;;
esac
"#;

#[test]
fn a_package_for_debian_is_made_of_an_archive() {
    if !needs::programs("the package for Debian", &["dpkg-deb"]) {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("fake", FAKE);
    let target = "aarch64-unknown-linux-gnu";
    let name = format!("meshagent-{target}.tar.gz");
    archived(&sandbox, &Made { program: "fake", target, out: "out" });
    let deb = path("ci/deb.sh").display().to_string();
    let made = || {
        let run = script(&sandbox, &deb, &[&format!("out/{name}"), "Acme <acme@example.com>"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let file = sandbox.path("out/meshagent_1.2.3~rc.1_arm64.deb");
        assert!(run.stdout.ends_with("/meshagent_1.2.3~rc.1_arm64.deb\n"), "{}", run.stdout);
        let sum = std::fs::read_to_string(file.with_extension("deb.sha256")).unwrap();
        let bytes = std::fs::read(&file).unwrap();
        assert!(sum.starts_with(&super::served::digest(&bytes)), "{sum}");
        (file, bytes)
    };
    let (file, bytes) = made();
    assert_eq!(made().1, bytes);
    let ask = |option: &str| {
        let output = Command::new("dpkg-deb").arg(option).arg(&file).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let fields = ask("--field");
    for field in
        ["Package: meshagent", "Version: 1.2.3~rc.1", "Maintainer: Acme <acme@example.com>"]
    {
        assert!(fields.contains(&format!("{field}\n")), "{fields}");
    }
    let contents = ask("--contents");
    for (mode, name) in [
        ("-rwxr-xr-x root/root", "usr/bin/meshagent"),
        ("-rw-r--r-- root/root", "usr/share/man/man1/meshagent.1.gz"),
        ("-rw-r--r-- root/root", "usr/share/doc/meshagent/copyright"),
        ("-rw-r--r-- root/root", "usr/share/bash-completion/completions/meshagent"),
        ("-rw-r--r-- root/root", "usr/share/zsh/vendor-completions/_meshagent"),
        ("-rw-r--r-- root/root", "usr/share/fish/vendor_completions.d/meshagent.fish"),
    ] {
        let line = contents.lines().find(|line| line.ends_with(&format!(" ./{name}")));
        assert!(line.is_some_and(|line| line.starts_with(mode)), "{name}\n{contents}");
    }
    let wrong = script(&sandbox, &deb, &["out/meshagent-t-est.tar.gz", "Acme <acme@example.com>"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("is not an archive for Debian\nhint: "));
    let nobody = script(&sandbox, &deb, &[&name, "Acme"]);
    assert!(nobody.code == 2 && nobody.stderr.contains("Acme is not a maintainer\nhint: "));
}

/// A repository of a release, with what stands for GitHub's program.
fn repository(changes: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    for folder in ["ci", "archives"] {
        std::fs::create_dir(sandbox.path(folder)).unwrap();
    }
    sandbox.write("ci/draft.sh", &text("ci/draft.sh"));
    sandbox.write("Cargo.toml", "[workspace.package]\nversion = \"1.2.3\"\n");
    sandbox.write("CHANGELOG.md", changes);
    program(&sandbox, "gh", "#!/bin/sh\necho \"$*\" > \"$TOLD\"\ncat \"${9}\" >> \"$TOLD\"\n");
    sandbox
}

const CHANGES: &str = "# Changelog\n\n## [Unreleased]\n\n- later\n\n## [1.2.3] - 2030-01-01\n\n- new\n\n## [1.2.2]\n\n- old\n";

#[test]
fn a_draft_has_the_archives_and_what_is_new() {
    if !needs::programs("the draft of a release", &["sha256sum"]) {
        return;
    }
    let sandbox = repository(CHANGES);
    sandbox.write("archives/a.tar.gz", "a");
    sandbox
        .write("archives/a.tar.gz.sha256", &format!("{}  a.tar.gz\n", super::served::digest(b"a")));
    let run = script(&sandbox, "ci/draft.sh", &["v1.2.3", "archives"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let told = std::fs::read_to_string(sandbox.path("told")).unwrap();
    let (line, notes) = told.split_once('\n').unwrap();
    assert!(
        line.starts_with("release create v1.2.3 --draft --verify-tag --title meshagent 1.2.3 ")
    );
    assert!(line.ends_with(" a.tar.gz a.tar.gz.sha256"), "{line}");
    assert_eq!(notes, "\n- new\n\n");
    // What does not match its checksum is not uploaded.
    std::fs::remove_file(sandbox.path("told")).unwrap();
    sandbox.write("archives/a.tar.gz", "b");
    assert_eq!(script(&sandbox, "ci/draft.sh", &["v1.2.3", "archives"]).code, 1);
    assert!(!sandbox.path("told").exists());
}

#[test]
fn a_tag_fits_to_the_version_and_to_the_changes() {
    for (changes, tag, code, error) in [
        (CHANGES, "v1.2.3", 0, ""),
        (CHANGES, "v1.2.4", 2, "error: the tag is v1.2.4, but Cargo.toml has version 1.2.3\n"),
        (
            "## [Unreleased]\n\n- new\n",
            "v1.2.3",
            2,
            "error: CHANGELOG.md has nothing below [1.2.3]\n",
        ),
        ("## [1.2.3]\n\n## [1.2.2]\n\n- old\n", "v1.2.3", 2, "error: CHANGELOG.md has nothing "),
    ] {
        let sandbox = repository(changes);
        let run = script(&sandbox, "ci/draft.sh", &[tag]);
        assert_eq!(run.code, code, "{}", run.stderr);
        assert!(run.stderr.starts_with(error), "{}", run.stderr);
        assert!(!sandbox.path("told").exists());
    }
    // This repository's own tag would be that of its version.
    assert!(
        text("Cargo.toml").contains(&format!("\nversion = \"{}\"\n", env!("CARGO_PKG_VERSION")))
    );
}
