//! Git is led to other repositories, asked for too much, and asked for passwords.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Project, room, tells};

#[test]
fn no_file_or_folder_of_a_checkout_leads_git_to_another_repository() {
    let project = Project::new(&[("a.yaml", &room("secret"))], "{}");
    let private = project.sandbox.path("agents/.git");
    // The project is beside the repository that nobody may read.
    let deploy = project.sandbox.path("deploy");
    std::fs::create_dir(&deploy).unwrap();
    let run = |words: &[&str]| {
        let output = project.sandbox.command(words).current_dir(&deploy).output().unwrap();
        crate::cli::Run::of(output)
    };
    let bare = |name: &str| {
        project.git("deploy", &["init", "-q", "--bare", "-b", "main", name]);
        let head = project.git("agents", &["rev-parse", "HEAD"]);
        project.write(&format!("deploy/{name}/refs/heads/main"), &format!("{head}\n"));
        deploy.join(name)
    };
    std::fs::write(deploy.join("file"), format!("gitdir: {}\n", private.display())).unwrap();
    std::fs::create_dir(deploy.join("inner")).unwrap();
    let relative = "gitdir: ../../agents/.git\n";
    std::fs::write(deploy.join("inner/.git"), relative).unwrap();
    let common = deploy.join("common.git");
    std::fs::create_dir(&common).unwrap();
    std::fs::write(common.join("commondir"), private.display().to_string()).unwrap();
    std::fs::write(common.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    let objects = private.join("objects");
    let alternates = bare("alternates.git").join("objects/info/alternates");
    std::fs::write(alternates, format!("{}\n", objects.display())).unwrap();
    let quoted = bare("quoted.git").join("objects/info/alternates");
    std::fs::write(quoted, format!("\"{}\"\n", objects.display())).unwrap();
    let linked = bare("linked.git").join("objects");
    std::fs::remove_dir_all(&linked).unwrap();
    std::os::unix::fs::symlink(&objects, &linked).unwrap();
    // A folder in which Git would find another one first.
    let nested = bare("nested.git");
    std::fs::write(nested.join(".git"), format!("gitdir: {}\n", private.display())).unwrap();
    for name in
        ["file", "inner", "common.git", "alternates.git", "quoted.git", "linked.git", "nested.git"]
    {
        let sources = format!("version: v1\nsources: {{s: {{git: {name}, ref: main}}}}\n");
        project.write("deploy/meshagent.yaml", &sources);
        let refused = run(&["source", "update"]);
        assert_eq!(refused.code, 1, "{name}: {}{}", refused.stdout, refused.stderr);
        tells(&refused, "leads Git out of the folder of the project file");
        // What is allowed is read, unless Git would read it otherwise than it is written.
        let agents = project.sandbox.path("agents").display().to_string();
        let allowed = run(&["source", "update", "--dry-run", "--allow-files", &agents]);
        assert_eq!(allowed.code, i32::from(name == "quoted.git"), "{name}: {}", allowed.stderr);
    }
    project.write("deploy/meshagent.yaml", "version: v1\nsources: {s: {git: agent}}\n");
    tells(&run(&["source", "update"]), "there is no such folder on this machine");
}

#[test]
fn the_settings_of_a_repository_read_no_other_file_and_nothing_makes_git_wait() {
    let project = Project::new(&[("a.yaml", &room("a"))], "{s: {git: bare.git, ref: main}}");
    project.git("agents", &["clone", "-q", "--bare", ".", "../bare.git"]);
    project.run(0, &["source", "update"]);
    let folder = project.sandbox.path("bare.git");
    let settings = std::fs::read_to_string(folder.join("config")).unwrap();
    for more in [
        "[include]\n\tpath = /etc/passwd\n",
        "[IncludeIf \"hasconfig:remote.*.url:https://a/**\"]\n\tpath = x\n",
        "[core] [include] path = /etc/passwd\n",
    ] {
        for file in ["config", "config.worktree"] {
            let before = if file == "config" { settings.as_str() } else { "" };
            std::fs::write(folder.join(file), format!("{before}{more}")).unwrap();
            let refused = project.run(1, &["source", "update"]);
            tells(&refused, &format!("{file}, include those of another file"));
            assert!(!refused.stderr.contains("passwd"), "{}", refused.stderr);
            std::fs::write(folder.join("config"), &settings).unwrap();
        }
        std::fs::remove_file(folder.join("config.worktree")).unwrap();
    }
    project.run(0, &["source", "update"]);
    let pipe = folder.join("packed-refs");
    let _ = std::fs::remove_file(&pipe);
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    tells(&project.run(1, &["source", "update"]), "there is a pipe or a device");
}

#[test]
fn a_working_tree_of_its_own_repository_is_a_source() {
    let project = Project::new(&[("a.yaml", &room("a"))], "{s: {git: tree, ref: v1}}");
    project.git("agents", &["worktree", "add", "-q", "../tree"]);
    project.run(0, &["source", "update"]);
    assert_eq!(project.created(), ["a"]);
}

#[test]
fn repositories_with_longer_names_of_objects_are_sources_too() {
    let project = Project::new(&[], "{s: {git: other, ref: main}}");
    std::fs::create_dir(project.sandbox.path("other")).unwrap();
    project.git("other", &["init", "-q", "-b", "main", "--object-format=sha256"]);
    let commit = project.commit("other", &[("a.yaml", &room("a"))], "v1");
    assert_eq!(commit.len(), 64);
    for reference in ["main", "v1", &commit] {
        project.names(&format!("{{s: {{git: other, ref: '{reference}'}}}}"));
        project.run(0, &["source", "update"]);
        std::fs::remove_dir_all(project.sandbox.path(".cache")).unwrap();
        assert_eq!(project.created(), ["a"], "{reference}");
    }
    project.names("{s: {git: other, ref: mian}}");
    let run = project.run(1, &["source", "update"]);
    tells(&run, "there is no tag, branch or commit mian in it");
    tells(&run, "did you mean `ref: main`?");
}

/// Puts a program in front of the real Git, and gives the `PATH` with it.
fn git_that(project: &Project, script: &str) -> String {
    let path = std::env::var("PATH").unwrap();
    project.write("bin/git", &format!("#!/bin/sh\nPATH='{path}'\n{script}\n"));
    let executable = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(project.sandbox.path("bin/git"), executable).unwrap();
    format!("{}:{path}", project.sandbox.path("bin").display())
}

#[test]
fn what_brings_too_much_is_ended() {
    let project = Project::new(&[("a.yaml", &room("a"))], "{s: {git: agents, ref: v1}}");
    // It takes no room on the disk, and seems to go on for ever.
    let script = "case \"$*\" in *fetch\\ -q*) truncate -s 2G objects.git/objects/pack/tmp_pack_x; exec sleep 60;; esac\nexec git \"$@\"";
    let path = git_that(&project, script);
    let start = Instant::now();
    let output = project.sandbox.command(&["source", "update"]).env("PATH", path).output();
    let run = crate::cli::Run::of(output.unwrap());
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(start.elapsed() < Duration::from_secs(30), "it was waited for");
    tells(&run, "git fetch was ended: it brought more than 512 MiB");
    assert_eq!(project.cached(""), Vec::<std::path::PathBuf>::new());
}

#[test]
fn nobody_is_asked_for_a_password() {
    let project = Project::new(&[], "{s: {git: agents, ref: v1}}");
    let asked = project.sandbox.path("asked");
    let script = format!(
        "printf '%s|%s\\n' \"$GIT_ASKPASS\" \"$SSH_ASKPASS\" >> '{}'\nexec git \"$@\"",
        asked.display()
    );
    let path = git_that(&project, &script);
    let mut command = project.sandbox.command(&["source", "update"]);
    command.env("PATH", &path).env("SSH_ASKPASS", "/bin/false").env_remove("GIT_ASKPASS");
    command.stdin(Stdio::null()).output().unwrap();
    let told = std::fs::read_to_string(&asked).unwrap();
    assert!(!told.is_empty() && told.lines().all(|line| line == "|"), "{told}");
    // Where nobody sits at a terminal, it is how a job gives credentials.
    std::fs::remove_file(&asked).unwrap();
    let mut command = project.sandbox.command(&["source", "update"]);
    command.env("PATH", &path).env("GIT_ASKPASS", "/bin/true").stdin(Stdio::null());
    command.output().unwrap();
    let told = std::fs::read_to_string(&asked).unwrap();
    assert!(!told.is_empty() && told.lines().all(|line| line == "/bin/true|"), "{told}");
}

#[test]
fn a_token_in_a_url_is_neither_used_nor_shown() {
    let project = Project::new(&[], "{}");
    for url in ["https://ghp_SECRET123@127.0.0.1:1/a", "http://ghp_SECRET123@127.0.0.1:1/a"] {
        project.names(&format!("{{s: {{git: '{url}'}}}}"));
        let run = project.run(2, &["source", "update"]);
        tells(&run, "the URL contains a user name, which may be a token");
        assert!(!run.stderr.contains("SECRET123"), "{}", run.stderr);
    }
    project.names("{s: {git: 'http://127.0.0.1:1/a?token=SECRET123'}}");
    let run = project.run(1, &["source", "update"]);
    tells(&run, "must work here without asking for anything");
    assert!(!run.stderr.contains("SECRET123"), "{}", run.stderr);
}
