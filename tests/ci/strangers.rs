//! Proposals of people who may not write to the repository, and what they take away.

use std::process::Command;

use super::forge::{Forge, Sort};
use super::repository::{About, PROJECT_FILE, ROOMS, Repository};
use crate::cli::Run;

const OWN: &str = "acme/shop";
const FORK: &str = "mallory/shop";

/// A secret that a command prints, which leaves something behind.
const HOSTILE: &str = "version: v1\nkind: Secret\nmetadata:\n  name: taken\ntype: keys\ndata:\n  a: {from: {env: CANARY}}\n  b: {from: {command: [sh, -c, \"echo $CANARY | tee ran\"]}}\n";

/// A command of `ci` on a system that is no forge's own.
fn elsewhere(repository: &Repository, words: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = repository.sandbox.command(&[&["ci"], words].concat());
    command
        .current_dir(repository.path(""))
        .env("MESHAGENT_API_URL", &repository.server.url)
        .env("MESHAGENT_API_KEY", &repository.server.owner)
        .env("MESHAGENT_PROJECT_ID", &repository.server.project)
        .env("CANARY", "canary-of-the-job")
        .envs(variables.iter().copied());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_says_who_wrote_it_nothing_is_run_or_read() {
    let repository = Repository::new().await;
    let base = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["update-ref", "refs/remotes/origin/main", &base]);
    repository.write("shop/manifests/secret.yaml", HOSTILE);
    repository.commit("Hostile");
    let ran = repository.path("shop/manifests/ran");
    let words = ["plan", "--base", &base, "-e", "stage", "--", "--allow-commands"];
    let jenkins = ("JENKINS_URL", "https://ci.test/");
    let systems: [&[(&str, &str)]; 4] = [
        &[jenkins, ("CHANGE_ID", "3"), ("CHANGE_TARGET", "main")],
        &[jenkins, ("GIT_BRANCH", "origin/pr/3/merge")],
        &[("CI", "true"), ("CIRCLECI", "true"), ("CIRCLE_PR_NUMBER", "3")],
        &[jenkins, ("CHANGE_ID", "3"), ("CHANGE_TARGET", "main"), ("CHANGE_FORK", "mallory")],
    ];
    for (at, variables) in systems.into_iter().enumerate() {
        let run = Run::of(elsewhere(&repository, &words, variables).output().unwrap());
        let told = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(run.code, 0, "{variables:?}\n{told}");
        assert!(told.contains("on the embedded platform") && !told.contains("canary"), "{told}");
        assert!(!ran.exists(), "{variables:?}");
        assert_eq!(run.stderr.contains("add --trusted"), at < 3, "{}", run.stderr);
        // A job that knows better says so; of what comes from a fork it cannot.
        let trusted = [&["plan", "--trusted"], &words[1..]].concat();
        let run = Run::of(elsewhere(&repository, &trusted, variables).output().unwrap());
        assert_eq!(run.code, 0, "{variables:?}\n{}", run.stderr);
        assert_eq!(ran.exists(), at < 3, "{variables:?}\n{}", run.stderr);
        let _ = std::fs::remove_file(&ran);
    }
    // Neither is it applied, nor looked through for drift.
    std::fs::remove_file(repository.path("shop/manifests/secret.yaml")).unwrap();
    for (words, variables) in [
        (&["apply", "--branch", "main"][..], &[jenkins, ("GIT_BRANCH", "origin/main")][..]),
        (&["drift", "--no-issue"], &[("CI", "true")]),
    ] {
        let run = Run::of(elsewhere(&repository, words, variables).output().unwrap());
        assert_eq!((run.code, run.stderr.contains("add --trusted")), (2, true), "{}", run.stderr);
        let trusted = [words, &["--trusted"]].concat();
        let run = Run::of(elsewhere(&repository, &trusted, variables).output().unwrap());
        assert!(matches!(run.code, 0 | 3), "{words:?}: {}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forks_proposal_is_planned_with_the_options_of_the_job_and_without_its_consents() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    repository.write("loose/rooms.yaml.j2", &ROOMS.replace("Shop", "{{ team }}"));
    let base = repository.commit("Loose");
    repository.write("loose/secret.yaml", HOSTILE);
    repository.write("outside.txt", "x");
    repository.commit("Hostile");
    let about = About::PullRequest { from: FORK, base: &base };
    let words = ["plan", "-f", "loose", "--"];
    let options = ["-v", "room=hall", "--value=team=Us", "--set", "loose", "--allow-commands"];
    let others = ["--expect-project", "shop", "-n", "shop", "--allow-files", "/etc", "--embedded"];
    let run = repository.run(&forge, about, &[&words[..], &options, &others].concat(), 0);
    assert!(run.stdout.contains("hall") && run.stdout.contains("2 to create"), "{}", run.stdout);
    assert!(!repository.path("loose/ran").exists(), "{}", run.stderr);
    let mut command = repository.ci(&forge, about, &["plan", "-f", "loose"]);
    command.env("MESHAGENT_CI_OPTIONS", "-v\nroom=hall\n-v\nteam=Us\n--allow-commands\n");
    let run = Run::of(command.output().unwrap());
    assert_eq!((run.code, repository.path("loose/ran").exists()), (0, false), "{}", run.stderr);
    // What is missing is told, and nothing says that it was planned.
    let run = repository.run(&forge, about, &["plan", "-f", "loose", "--", "-v", "room=hall"], 6);
    assert!(
        run.stdout.contains("undefined value") && run.stdout.contains("team"),
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains("was planned"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_sources_that_a_fork_names_nothing_is_requested() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let base = repository.git(&["rev-parse", "HEAD"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let at = listener.local_addr().unwrap();
    for source in [format!("archive: http://{at}/admin?delete=1"), format!("git: http://{at}/x")] {
        let pinned = if source.starts_with("git") { "\n    ref: v1" } else { "" };
        let text =
            PROJECT_FILE.replace("ci:\n", &format!("sources:\n  x:\n    {source}{pinned}\nci:\n"));
        repository.write("shop/meshagent.yaml", &text);
        repository.commit("Ask");
        let run =
            repository.run(&forge, About::PullRequest { from: FORK, base: &base }, &["plan"], 6);
        assert!(listener.accept().is_err(), "{source} was asked");
        assert!(run.stdout.contains("refused"), "{}", run.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_usable_project_file_of_the_base_a_plan_is_refused() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let broken = PROJECT_FILE.replace("set: stage", "sett: stage");
    repository.write("shop/meshagent.yaml", &broken);
    let base = repository.commit("Break");
    let loose = PROJECT_FILE.replace("    policies: [policies]\n", "");
    repository.write("shop/meshagent.yaml", &loose.replace("ci:\n", "ci:\n  on_refused: pass\n"));
    repository.write("shop/manifests/bad.yaml", &ROOMS.replace("{{ room }}", "forbidden"));
    repository.commit("Use it");
    let run = repository.run(&forge, About::PullRequest { from: OWN, base: &base }, &["plan"], 6);
    assert!(run.stderr.contains("its guards and policies are not known"), "{}", run.stderr);
    let [comment] = &forge.own_comments()[..] else { panic!("{:?}", forge.own_comments()) };
    assert!(comment.contains("refused") && comment.contains("sett"), "{comment}");
    assert!(!comment.contains("to create"), "{comment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_file_that_goes_is_told_and_nothing_stands_for_it() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    repository.write("other/meshagent.yaml", "version: v1\nset: other\n");
    repository.write("other/manifests/room.yaml", &ROOMS.replace("{{ room }}", "other"));
    let base = repository.commit("Another set");
    let about = About::PullRequest { from: OWN, base: &base };
    std::fs::remove_file(repository.path("other/meshagent.yaml")).unwrap();
    repository.commit("Take it away");
    let run = repository.run(&forge, about, &["plan"], 0);
    assert!(run.stderr.contains("other/meshagent.yaml is gone"), "{}", run.stderr);
    let [comment] = &forge.own_comments()[..] else { panic!("{:?}", forge.own_comments()) };
    assert!(
        comment.contains("what was planned is gone") && comment.contains("other/meshagent.yaml")
    );
    // The last one goes, and manifests without any guards are there instead.
    std::fs::remove_file(repository.path("shop/meshagent.yaml")).unwrap();
    repository.commit("Take all away");
    let run = repository.run(&forge, about, &["plan"], 0);
    assert!(run.stdout.contains("`shop/meshagent.yaml`: gone"), "{}", run.stdout);
    repository.write("manifests/bad.yaml", &ROOMS.replace("{{ room }}", "forbidden"));
    repository.commit("Instead");
    let run = repository.run(&forge, about, &["plan"], 6);
    assert!(run.stderr.contains("guards and policies of the base branch"), "{}", run.stderr);
    // Where there never was one, these are the manifests.
    let base = repository.git(&["rev-parse", "HEAD"]);
    repository.write("manifests/bad.yaml", &ROOMS.replace("{{ room }}", "usual"));
    repository.commit("Change");
    let run = repository.run(&forge, About::PullRequest { from: OWN, base: &base }, &["plan"], 0);
    assert!(run.stderr.contains("note: there is no project file") && run.stdout.contains("usual"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_file_that_cannot_be_read_is_passed_over_by_no_command() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    repository.apply("prod");
    repository.write("two/meshagent.yaml", "version: v1\nsett: two\n");
    repository.write("two/manifests/room.yaml", &ROOMS.replace("{{ room }}", "two"));
    repository.write(
        "three/meshagent.yml",
        "{\"kind\": \"Room\", \"version\": \"v1\", \"metadata\": {\"name\": \"three\"}}\n",
    );
    repository.commit("Broken");
    let main = About::Push("main");
    for (words, code) in [
        (&["apply", "-e", "prod"][..], 2),
        (&["apply"], 2),
        (&["plan", "--all", "-e", "prod"], 2),
        (&["plan", "--all"], 2),
        (&["drift", "-e", "prod"], 2),
        (&["drift"], 2),
        (&["plan", "--all", "-e", "prd"], 2),
    ] {
        let run = repository.run(&forge, main, words, code);
        assert!(run.stderr.contains("sett"), "{words:?}: {}", run.stderr);
        // A manifest of that name is none, however it is written.
        assert!(!run.stderr.contains("three"), "{words:?}: {}", run.stderr);
        // Nothing is applied as long as something of it is not known.
        assert!(words[0] != "apply" || !run.stdout.contains("Applied"), "{}", run.stdout);
    }
    std::fs::remove_file(repository.path("two/meshagent.yaml")).unwrap();
    repository.write("shop/meshagent.yaml", "version: v1\n");
    repository.commit("None");
    let run = repository.run(&forge, main, &["plan", "--all", "-e", "prd"], 2);
    assert!(run.stderr.contains("leave -e out") && !run.stderr.contains("there are \n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_name_is_no_way_past_the_rules_of_the_base() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let base = repository.git(&["rev-parse", "HEAD"]);
    let about = About::PullRequest { from: OWN, base: &base };
    repository.write("shop/manifests/bad.yaml", &ROOMS.replace("{{ room }}", "forbidden"));
    let loose = PROJECT_FILE
        .replace("    policies: [policies]\n", "")
        .replace("ci:\n", "ci:\n  on_refused: pass\n");
    // Another name of the file, another name of the environment, and one that is said to be planned
    // nowhere.
    let renamed = loose.replace("prod:", "prod2:").replace("prod]", "prod2]");
    let hidden = renamed.replace("plan: [stage, prod2]", "plan: []");
    for (name, text) in
        [("meshagent.yml", &loose), ("meshagent.yaml", &renamed), ("meshagent.yaml", &hidden)]
    {
        repository.git(&[
            "rm",
            "--quiet",
            "-r",
            "--force",
            "--ignore-unmatch",
            "shop/meshagent.yaml",
            "shop/meshagent.yml",
        ]);
        repository.write(&format!("shop/{name}"), text);
        repository.commit(name);
        let run = repository.run(&forge, about, &["plan"], 6);
        assert!(run.stdout.contains("this is forbidden"), "{text}\n{}", run.stdout);
        let comment = forge.own_comments().pop().unwrap();
        let is_renamed = comment.contains("`shop` in `prod`: renamed");
        assert_eq!(is_renamed, text != &loose, "{comment}");
        assert!(!comment.contains("meshagent destroy"), "{comment}");
    }
    repository.write("shop/meshagent.yaml", &hidden);
    repository.write("shop/meshagent.yml", &loose);
    repository.commit("Two");
    let run = repository.run(&forge, about, &["plan"], 2);
    assert!(run.stderr.contains("has two project files"), "{}", run.stderr);
}
