//! `install.sh` against a server on loopback: it installs what is right and whole, and nothing else.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::path;
use super::served::{File, Files, archive, name};
use crate::cli::{Run, Sandbox};
use crate::needs;

const PROGRAM: &str = "#!/bin/sh\n[ \"$*\" = version ] && echo 9.9.9\n";

fn install(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    install_where(sandbox, "", arguments)
}

/// Runs it after these lines of shell, with the folder `first` at the beginning of the PATH.
fn install_where(sandbox: &Sandbox, before: &str, arguments: &[&str]) -> Run {
    let first = sandbox.path("first").display().to_string();
    let output = Command::new("sh")
        .args(["-c", &format!("{before}\nexec sh \"$0\" \"$@\"")])
        .arg(path("install.sh"))
        .args(arguments)
        .current_dir(sandbox.path(""))
        .env_clear()
        .env("HOME", sandbox.path(""))
        .env("PATH", format!("{first}:{}", std::env::var("PATH").unwrap()))
        .output();
    Run::of(output.unwrap())
}

fn is_met() -> bool {
    needs::programs("the installation of a release", &["curl"])
}

/// Runs it with changed files of a release and expects its first line of error, and that nothing
/// was installed.
#[track_caller]
fn refuses(change: impl FnOnce(&mut BTreeMap<String, File>), error: &str) {
    let (mut files, _) = archive(PROGRAM);
    change(&mut files);
    let server = Files::serve(files);
    let sandbox = Sandbox::new();
    let run = install(&sandbox, &["--from", &server.url]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{}", run.stderr);
    let line = run.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    let expected = error.replace("URL", &format!("{}/{}.tar.gz", server.url, name()));
    assert!(line.starts_with(&format!("error: {expected}")), "{}", run.stderr);
    assert!(run.stderr.contains("\nhint: "), "{}", run.stderr);
    assert!(!sandbox.path(".local").exists());
}

#[test]
fn what_is_right_is_installed() {
    if !is_met() {
        return;
    }
    let (files, digest) = archive(PROGRAM);
    let server = Files::serve(files);
    let sandbox = Sandbox::new();
    let run = install(&sandbox, &["--from", &server.url]);
    let file = sandbox.path(".local/bin/meshagent");
    let done = format!("installed meshagent 9.9.9 as {}\n", file.display());
    assert_eq!((run.code, run.stdout), (0, done), "{}", run.stderr);
    assert!(run.stderr.contains("is not on the PATH"), "{}", run.stderr);
    assert!(Command::new(file).arg("version").status().unwrap().success());
    // Another folder, and a digest from elsewhere.
    let from = format!("{}/", server.url);
    let digest = digest.to_uppercase();
    let run = install(&sandbox, &["--to", "tools", "--sha256", &digest, "--from", &from]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let written = std::fs::read_dir(sandbox.path("tools")).unwrap();
    let written: Vec<_> = written.map(|it| it.unwrap().file_name()).collect();
    assert_eq!(written, ["meshagent"]);
}

#[test]
fn everybody_may_run_what_is_installed_and_who_runs_another_one_is_told() {
    if !is_met() {
        return;
    }
    let (files, _) = archive(PROGRAM);
    let server = Files::serve(files);
    let sandbox = Sandbox::new();
    let from = ["--from", &server.url, "--to", "tools/"];
    let run = install_where(&sandbox, "umask 077", &from);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.stdout, "installed meshagent 9.9.9 as ./tools/meshagent\n");
    let mode = sandbox.path("tools/meshagent").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    std::fs::create_dir(sandbox.path("first")).unwrap();
    sandbox.write("first/meshagent", PROGRAM);
    let older = sandbox.path("first/meshagent");
    std::fs::set_permissions(&older, PermissionsExt::from_mode(0o755)).unwrap();
    let run = install(&sandbox, &from);
    let note = format!("note: `meshagent` still runs {}, which comes first", older.display());
    assert!(run.code == 0 && run.stderr.contains(&note), "{}", run.stderr);
    let on_path = install_where(&sandbox, "PATH=\"$PWD/tools/:$PATH\"", &["--from", &server.url]);
    assert_eq!(on_path.code, 0, "{}", on_path.stderr);
}

#[test]
fn where_it_cannot_be_installed_nothing_is() {
    if !is_met() {
        return;
    }
    let (files, _) = archive(PROGRAM);
    let server = Files::serve(files);
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("tools/meshagent")).unwrap();
    let run = install(&sandbox, &["--from", &server.url, "--to", "tools"]);
    assert_eq!(run.code, 1, "{}", run.stdout);
    assert!(run.stderr.starts_with("error: ./tools/meshagent is a folder\n"), "{}", run.stderr);
    assert_eq!(std::fs::read_dir(sandbox.path("tools")).unwrap().count(), 1);
    // A Mac with an Intel processor.
    std::fs::create_dir(sandbox.path("first")).unwrap();
    sandbox.write("first/uname", "#!/bin/sh\n[ \"$1\" = -s ] && echo Darwin || echo x86_64\n");
    let uname = sandbox.path("first/uname");
    std::fs::set_permissions(&uname, PermissionsExt::from_mode(0o755)).unwrap();
    let run = install(&sandbox, &["--from", &server.url]);
    assert_eq!(run.code, 1, "{}", run.stdout);
    let error = "error: there is no archive for Macs with an Intel processor\n";
    assert!(run.stderr.starts_with(error), "{}", run.stderr);
}

#[test]
fn what_is_not_right_is_refused() {
    if !is_met() {
        return;
    }
    let archive = format!("{}.tar.gz", name());
    let sum = format!("{archive}.sha256");
    refuses(
        |files| drop(files.insert(sum.clone(), File::whole(format!("{}  x\n", "0".repeat(64))))),
        "URL has the SHA-256 ",
    );
    refuses(
        |files| drop(files.insert(sum.clone(), File::whole("<html>"))),
        "URL.sha256 is not a checksum",
    );
    refuses(|files| drop(files.remove(&sum)), "failed to download URL.sha256");
    refuses(|files| drop(files.remove(&archive)), "failed to download URL");
    // Cut off, once so that it shows, and once so that the checksum has to tell.
    refuses(|files| files.get_mut(&archive).unwrap().sent = 40, "failed to download URL");
    refuses(
        |files| {
            let file = files.get_mut(&archive).unwrap();
            (file.sent, file.promised) = (40, 40);
        },
        "URL has the SHA-256 ",
    );
}

#[test]
fn what_is_in_the_archive_must_be_a_program_that_runs() {
    if !is_met() {
        return;
    }
    let sandbox = Sandbox::new();
    let (files, _) = archive("#!/bin/sh\nexit 1\n");
    let broken = Files::serve(files);
    let run = install(&sandbox, &["--from", &broken.url]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.starts_with("error: the program does not run on this machine\n"));
    let archive = format!("{}.tar.gz", name());
    let digest = super::served::digest(b"not an archive");
    refuses(
        |files| {
            files.insert(format!("{archive}.sha256"), File::whole(digest.clone()));
            files.insert(archive.clone(), File::whole("not an archive"));
        },
        "URL does not contain ",
    );
}

#[test]
fn a_digest_from_elsewhere_counts_more_than_the_file_beside_the_archive() {
    if !is_met() {
        return;
    }
    let (files, _) = archive(PROGRAM);
    let server = Files::serve(files);
    let sandbox = Sandbox::new();
    let other = "a".repeat(64);
    let run = install(&sandbox, &["--from", &server.url, "--sha256", &other]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains(&format!("but --sha256 says {other}\n")), "{}", run.stderr);
    assert!(!sandbox.path(".local").exists());
}

#[test]
fn wrong_usage_is_told_before_anything_is_downloaded() {
    let sandbox = Sandbox::new();
    for (arguments, error) in [
        (&[][..], "--from is missing"),
        (&["--from"], "--from needs a value"),
        (&["--from", "http://example.com/v1"], "http://example.com/v1 is not an https URL"),
        (
            &["--from", "http://localhost:80@example.com/v1"],
            "the URL contains an @, like one with a user name",
        ),
        (
            &["--from", "https://example.com", "--sha256", "abc"],
            "--sha256 is not 64 hexadecimal digits",
        ),
        (&["--form", "https://example.com"], "unexpected argument --form"),
    ] {
        let run = install(&sandbox, arguments);
        assert_eq!(run.code, 2, "{arguments:?}");
        let usage = "sh install.sh --from URL [--to FOLDER] [--sha256 DIGEST]";
        assert_eq!(run.stderr, format!("error: {error}\nhint: {usage}\n"));
    }
    let help = install(&sandbox, &["--help"]);
    assert!(help.code == 0 && help.stdout.contains("\nUsage: sh install.sh --from URL"));
}
