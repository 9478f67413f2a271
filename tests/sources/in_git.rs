//! Sources in Git repositories.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Project, room, tells};

const SOURCE: &str = "{support: {git: agents, ref: v1, path: manifests}}";

#[test]
fn what_is_not_pinned_is_refused_and_update_pins_it() {
    let project = Project::new(&[("manifests/a.yaml", &room("a"))], SOURCE);
    for command in ["validate", "plan", "apply"] {
        let run =
            project.sandbox.run(&[command, "--embedded"][..usize::from(command != "validate") + 1]);
        assert_eq!(run.code, if command == "validate" { 2 } else { 6 }, "{}", run.stderr);
        tells(&run, "meshagent.yaml:2:11: the source `support` is not locked");
        tells(&run, "`meshagent source update support` locks it");
    }
    let dry = project.run(0, &["source", "update", "--dry-run"]);
    assert!(dry.stdout.contains("+ Room/a"), "{}", dry.stdout);
    assert!(!project.sandbox.path("meshagent.lock").exists());
    project.run(0, &["source", "update"]);
    project.run(0, &["validate"]);

    // A tag that moves moves no pin.
    let second = project.commit("agents", &[("manifests/a.yaml", &room("b"))], "v1");
    let locked = project.lock();
    project.run(0, &["validate"]);
    assert_eq!(project.lock(), locked);
    let run = project.run(0, &["source", "update", "support"]);
    assert!(run.stdout.contains(&format!("-> {}", &second[..12])), "{}", run.stdout);
    assert!(run.stdout.contains("- Room/a\n  + Room/b\n"), "{}", run.stdout);
    assert!(run.stdout.contains("-metadata: {name: a}\n+metadata: {name: b}\n"), "{}", run.stdout);

    // What was pinned is for what the project file said.
    for sources in [
        "{support: {git: agents, ref: v2, path: manifests}}",
        "{support: {git: agents, ref: v1}}",
        "{support: {git: ./agents, ref: v1, path: manifests}}",
    ] {
        project.names(sources);
        tells(&project.run(2, &["validate"]), "does not lock what the source `support` is here");
    }
    tells(&project.run(2, &["source", "update", "suport"]), "did you mean `support`?");
}

#[test]
fn a_pinned_commit_is_fetched_after_its_branch_went_on() {
    let project = Project::new(
        &[("manifests/a.yaml", &room("a"))],
        "{support: {git: agents, ref: main, path: manifests}}",
    );
    project.run(0, &["source", "update"]);
    project.commit("agents", &[("manifests/a.yaml", &room("b"))], "v2");
    std::fs::remove_dir_all(project.sandbox.path(".cache")).unwrap();
    let run = project.run(0, &["source", "fetch"]);
    tells(&run, "fetching support@main from agents");
    tells(&run, "in the cache: 1 source");
    assert_eq!(project.created(), ["a"]);

    // A history that was written anew has it no longer.
    project.git("agents", &["checkout", "-q", "--orphan", "new"]);
    project.commit("agents", &[], "v1");
    project.git("agents", &["branch", "-f", "main", "new"]);
    project.git("agents", &["tag", "-d", "v2"]);
    project.git("agents", &["reflog", "expire", "--expire=now", "--all"]);
    project.git("agents", &["gc", "-q", "--prune=now"]);
    std::fs::remove_dir_all(project.sandbox.path(".cache")).unwrap();
    let run = project.run(2, &["validate"]);
    tells(&run, "no longer has the commit");
}

#[test]
fn one_repository_is_two_sources_and_one_object_is_declared_once() {
    let project = Project::new(
        &[("a/a.yaml", &room("a")), ("b/b.yaml", &room("b"))],
        "{one: {git: agents, ref: v1, path: a}, other: {git: agents, ref: v1, path: b}}",
    );
    project.run(0, &["source", "update"]);
    assert_eq!(project.created(), ["a", "b"]);
    project.names("{one: {git: agents, ref: v1, path: a}, other: {git: agents, ref: v1, path: a}}");
    project.run(0, &["source", "update"]);
    let run = project.run(2, &["validate"]);
    tells(&run, "other@v1: a.yaml:3:12: Room/a is declared twice, first at one@v1: a.yaml:3:1");
    project.names("{one: {git: agents, ref: v1, path: a}}");
    project.write("manifests/own.yaml", &room("a"));
    let run = project.run(2, &["validate"]);
    tells(&run, "one@v1: a.yaml:3:12: Room/a is declared twice, first at manifests/own.yaml:3:1");
}

#[test]
fn a_token_that_the_settings_of_git_put_into_a_url_is_told_nowhere() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut read = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while read.read_line(&mut line).is_ok_and(|count| count > 2) {
                line.clear();
            }
            let answer = "HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            // Git may be gone by then.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let project = Project::new(&[], &format!("{{lib: {{git: 'http://{at}/acme/lib', ref: v1}}}}"));
    let settings = format!("[url \"http://ghs_canary4711@{at}/\"]\n  insteadOf = http://{at}/\n");
    project.write(".gitconfig", &settings);
    let run = project.run(1, &["source", "update"]);
    tells(&run, &format!("'http://{at}'"));
    assert!(!format!("{}{}", run.stdout, run.stderr).contains("canary"), "{}", run.stderr);
}

#[test]
fn nothing_of_a_repository_is_run() {
    let project = Project::new(&[], SOURCE);
    let ran = project.sandbox.path("ran");
    let script = format!("touch {}; cat", ran.display());
    // A filter as that of Git LFS, in the user's own configuration.
    project
        .write(".gitconfig", &format!("[filter \"x\"]\n  smudge = {script}\n  required = true\n"));
    project.repository("other");
    project.commit("other", &[("x.yaml", &room("x"))], "v1");
    let files = [
        ("manifests/.gitattributes", "*.yaml filter=x\n"),
        (".gitattributes", "*.yaml filter=x export-ignore\n"),
        ("manifests/a.yaml", &room("a")),
    ];
    project.commit("agents", &files, "v1");
    let sub = project.sandbox.path("other").display().to_string();
    let words =
        ["-c", "protocol.file.allow=always", "submodule", "add", "-q", &sub, "manifests/sub"];
    project.git("agents", &words);
    project.commit("agents", &[], "v1");
    project.write("agents/.git/hooks/post-checkout", &format!("#!/bin/sh\n{script}\n"));
    project.run(0, &["source", "update"]);
    assert_eq!(project.created(), ["a"]);
    assert!(!ran.exists());

    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    project.commit("agents", &[("manifests/large.yaml", pointer)], "v1");
    tells(&project.run(1, &["source", "update"]), "large.yaml is kept by Git LFS");
    std::fs::remove_file(project.sandbox.path("agents/manifests/large.yaml")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", project.sandbox.path("agents/manifests/p.yaml"))
        .unwrap();
    project.commit("agents", &[], "v1");
    tells(&project.run(1, &["source", "update"]), "p.yaml is a link, and a source has files alone");
}

#[test]
fn what_a_stranger_writes_into_the_project_file_or_the_lock_is_no_word_for_git() {
    let project = Project::new(&[("manifests/a.yaml", &room("a"))], SOURCE);
    project.run(0, &["source", "update"]);
    let ran = project.sandbox.path("ran");
    let touch = format!("touch {}", ran.display());
    for (git, reference) in [
        (format!("ext::sh -c '{touch}'"), "v1".to_owned()),
        (format!("--upload-pack={touch}"), "v1".to_owned()),
        ("agents".to_owned(), format!("--upload-pack={touch}")),
        ("agents".to_owned(), "v1:refs/heads/x".to_owned()),
        ("http://example.com/a".to_owned(), "v1".to_owned()),
        ("https://u:secret@example.com/a".to_owned(), "v1".to_owned()),
    ] {
        let source =
            serde_json::json!({"support": {"git": git, "ref": reference, "path": "manifests"}});
        project.names(&source.to_string());
        for words in [&["validate"][..], &["source", "update"]] {
            let run = project.run(2, words);
            tells(&run, "meshagent.yaml:2:11: the source `support`: ");
            assert!(!run.stderr.contains("secret@"), "{}", run.stderr);
        }
    }
    project.names(SOURCE);
    std::fs::remove_dir_all(project.sandbox.path(".cache")).unwrap();
    let locked = project.lock();
    let commit = project.git("agents", &["rev-parse", "HEAD"]);
    for other in [format!("--upload-pack={touch}"), "main".to_owned(), "v1".to_owned()] {
        project.write("meshagent.lock", &locked.replace(&commit, &format!("'{other}'")));
        tells(&project.run(2, &["validate"]), "is locked, which is no commit");
    }
    // Other files than those that somebody looked at.
    let digest = locked.split("sha256:").nth(1).unwrap().trim();
    project.write("meshagent.lock", &locked.replace(digest, &"0".repeat(64)));
    tells(&project.run(2, &["validate"]), &format!("but sha256:{} was locked", "0".repeat(64)));
    assert!(!ran.exists());
}

#[test]
fn repositories_elsewhere_on_this_machine_are_for_the_user_alone() {
    let project = Project::new(&[("manifests/a.yaml", &room("a"))], SOURCE);
    let deep = project.sandbox.path("deploy");
    std::fs::create_dir(&deep).unwrap();
    project.write(
        "deploy/meshagent.yaml",
        "version: v1\nsources: {support: {git: ../agents, ref: v1, path: manifests}}\n",
    );
    let run = |words: &[&str]| {
        let output = project.sandbox.command(words).current_dir(&deep).output().unwrap();
        crate::cli::Run::of(output)
    };
    let refused = run(&["source", "update"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    tells(&refused, "../agents is outside of the manifests' folder and repository");
    tells(&refused, "hint: add --allow-files ../agents");
    assert_eq!(run(&["source", "update", "--allow-files", "../agents"]).code, 0);
    let validated = run(&["validate"]);
    assert_eq!(validated.code, 0, "{}", validated.stderr);
}

/// A server of repositories, until it is dropped.
struct Daemon {
    child: Child,
    port: u16,
}

impl Daemon {
    fn start(project: &Project) -> Self {
        // The port is free again when Git takes it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let base = project.sandbox.path("");
        // Itself, and not by another program that would outlive it.
        let program = project.git("agents", &["--exec-path"]) + "/git-daemon";
        let child = Command::new(program)
            .args(["--export-all", "--reuseaddr", "--listen=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", base.display()))
            .arg(&base)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_repository_is_fetched_from_a_server_and_then_needed_no_more() {
    let project = Project::new(&[("manifests/a.yaml", &room("a"))], "{}");
    let daemon = Daemon::start(&project);
    let commit = project.git("agents", &["rev-parse", "HEAD"]);
    for reference in ["v1", "main", &commit] {
        let url = format!("git://127.0.0.1:{}/agents/.git", daemon.port);
        project
            .names(&format!("{{support: {{git: '{url}', ref: '{reference}', path: manifests}}}}"));
        project.run(0, &["source", "update"]);
        project.run(0, &["validate"]);
    }
    std::fs::remove_dir_all(project.sandbox.path(".cache")).unwrap();
    let run = project.run(2, &["validate", "--offline"]);
    tells(&run, "it is not in the cache, and --offline allows no network");
    tells(&run, "run `meshagent source fetch support` where there is a network");
    project.run(0, &["source", "fetch"]);
    drop(daemon);
    project.run(0, &["validate", "--offline"]);
    let run = project.run(1, &["source", "update"]);
    tells(&run, "must work here without asking for anything");
}

#[test]
fn a_folder_that_is_not_there_is_told_with_the_one_that_was_meant() {
    let project = Project::new(&[("Agents/a.yaml", &room("a"))], "{}");
    for (path, hint) in [
        ("agents", "did you mean `path: Agents`?"),
        ("lib", "there are Agents"),
        ("Agents/a.yaml", "there are Agents"),
    ] {
        project.names(&format!("{{s: {{git: agents, ref: v1, path: {path}}}}}"));
        let refused = project.run(1, &["source", "update"]);
        tells(&refused, &format!("there is no folder {path} in it"));
        tells(&refused, hint);
        assert!(!refused.stderr.contains("ls-tree"), "{}", refused.stderr);
    }
    project.names("{s: {path: l, ref: v1}}");
    tells(
        &project.run(2, &["validate"]),
        "exactly one of `git`, `archive` and `oci` says where a source is",
    );
}

#[test]
fn a_submodule_of_a_source_is_told_of() {
    let project = Project::new(&[("a.yaml", &room("a"))], "{s: {git: agents, ref: v2}}");
    let head = project.git("agents", &["rev-parse", "HEAD"]);
    let entry = format!("160000,{head},sub/one");
    project.git("agents", &["update-index", "--add", "--cacheinfo", &entry]);
    project.git("agents", &["commit", "-q", "-m", "v2"]);
    project.git("agents", &["tag", "v2"]);
    let run = project.run(0, &["source", "update"]);
    tells(&run, "note: what other repositories have in it is not read: sub/one");
}

#[test]
fn the_reasons_of_git_are_told_first() {
    let project = Project::new(&[("a.yaml", &room("a"))], "{s: {git: agents, ref: v1}}");
    let path = std::env::var("PATH").unwrap();
    let script = format!(
        "#!/bin/sh\nPATH='{path}'\ncase \"$*\" in *fetch\\ -q*) printf 'fatal: detected dubious ownership in repository\\nTo add:\\n\\n\\tgit config\\nfatal: Could not read.\\n\\nPlease make sure\\nand exists.\\n' >&2; exit 128;; esac\nexec git \"$@\"\n"
    );
    project.write("bin/git", &script);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(project.sandbox.path("bin/git"), executable).unwrap();
    let path = format!("{}:{path}", project.sandbox.path("bin").display());
    let output = project.sandbox.command(&["source", "update"]).env("PATH", path).output();
    let run = crate::cli::Run::of(output.unwrap());
    assert_eq!(run.code, 1, "{}", run.stderr);
    tells(&run, "fatal: detected dubious ownership in repository; fatal: Could not read.");
    tells(&run, "git config --global --add safe.directory");
}

#[test]
fn a_cache_that_cannot_be_made_is_told_with_its_folder() {
    let project = Project::new(&[("a.yaml", &room("a"))], "{s: {git: agents, ref: v1}}");
    project.write("file", "");
    let mut command = project.sandbox.command(&["source", "update"]);
    let output = command.env("XDG_CACHE_HOME", project.sandbox.path("file")).output();
    let run = crate::cli::Run::of(output.unwrap());
    assert_eq!(run.code, 1, "{}", run.stderr);
    tells(&run, "failed to make the cache of sources, ");
    tells(&run, "set XDG_CACHE_HOME to a folder that can be written to");
}
