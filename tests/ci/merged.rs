//! Who opened what was merged, and what becomes of a run that ends before its end.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use super::forge::{Fault, Forge, Sort};
use super::repository::{About, PROJECT_FILE, ROOMS, Repository};
use crate::cli::Run;

const MAIN: About<'static> = About::Push("main");

const FORBIDDEN: &str =
    "HTTP/1.1 403 X\r\nconnection: close\r\ncontent-length: 23\r\n\r\n{\"message\":\"forbidden\"}";
const MISSING: &str = "HTTP/1.1 404 X\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
const NOBODY: &str = "HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: 89\r\n\r\n[{\"number\":7,\"user\":null,\"merged_at\":\"2026-01-01T00:00:00Z\",\"head\":{\"ref\":\"x\"},\"base\":{}}]";

#[tokio::test(flavor = "multi_thread")]
async fn an_author_that_nobody_knows_is_refused_where_approvals_are_demanded() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let (key, public) = crate::approvals::key_pair(7);
    repository.sandbox.write("key", &key);
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(repository.sandbox.path("key"), private).unwrap();
    let (_, other) = crate::approvals::key_pair(8);
    repository.write("shop/allowed_signers", &format!("ada {public}\nben {other}\n"));
    let text = PROJECT_FILE
        .replace("  prod:\n", "  prod:\n    approvals: {required: 1, approvers: allowed_signers}\n")
        .replace("apply: [stage, prod]", "apply: [prod]");
    repository.write("shop/meshagent.yaml", &text);
    repository.commit("Approvals");
    // What nobody saw cannot be approved, and the way out is the one of these commands.
    let run = repository.run(&forge, MAIN, &["apply"], 6);
    assert!(run.stderr.contains("only a saved plan can be approved"), "{}", run.stderr);
    assert!(run.stderr.contains("`meshagent ci plan --out plans`"), "{}", run.stderr);
    let plans = repository.sandbox.path("plans").display().to_string();
    repository.run(&forge, MAIN, &["plan", "--all", "--out", &plans], 0);
    let key = repository.sandbox.path("key").display().to_string();
    let plan = format!("{plans}/shop.prod.json");
    let mut approve = repository.sandbox.command(&["approve", &plan, "--key", &key, "--yes"]);
    let run = Run::of(approve.current_dir(repository.path("shop")).output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);

    let unknown = |run: &Run| {
        assert_eq!(run.code, 6, "{}\n{}", run.stdout, run.stderr);
        assert!(
            run.stderr.contains("it is not known who opened the pull request"),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains("-- --author NAME"), "{}", run.stderr);
        assert!(!run.stdout.contains("Applied"), "{}", run.stdout);
    };
    let words = ["apply", "--plan", &plans];
    let without_token = |words: &[&str]| {
        let mut command = repository.ci(&forge, MAIN, words);
        Run::of(command.env_remove("GITHUB_TOKEN").output().unwrap())
    };
    let run = without_token(&words);
    unknown(&run);
    assert!(run.stderr.contains("there is no token in GITHUB_TOKEN"), "{}", run.stderr);
    let of = "GET /repos/acme/shop/commits";
    let forbidden = Fault { of, is_done: false, answer: FORBIDDEN };
    forge.state().faults = vec![forbidden];
    let run = repository.run(&forge, MAIN, &words, 6);
    unknown(&run);
    assert!(run.stderr.contains("pull-requests: read"), "{}", run.stderr);
    // A forge also says that there is none where a token may not look.
    let missing = Fault { of, is_done: false, answer: MISSING };
    let pulls = Fault { of: "GET /repos/acme/shop/pulls", ..missing.clone() };
    forge.state().faults = vec![missing.clone(), pulls];
    unknown(&repository.run(&forge, MAIN, &words, 6));
    forge.state().faults = vec![Fault { of, is_done: false, answer: NOBODY }];
    unknown(&repository.run(&forge, MAIN, &words, 6));
    // Who is named is the author, and whoever is not has approved it.
    let by_ada = without_token(&[&words[..], &["--", "--author", "ada"]].concat());
    assert_eq!(
        (by_ada.code, by_ada.stderr.contains("made the change")),
        (6, true),
        "{}",
        by_ada.stderr
    );
    // Where there is none, whoever pushed it is the author.
    forge.state().faults = vec![missing.clone()];
    let run = repository.run(&forge, MAIN, &words, 6);
    assert!(run.stderr.contains("so its author is ada"), "{}", run.stderr);
    forge.state().faults = vec![missing];
    repository.run_of("mallory", &forge, &words, 0);
}

/// A secret of `prod` whose command does something when its turn comes.
const SECRET: &str = "version: v1\nkind: Secret\nmetadata: {name: late}\ntype: keys\ndata:\n  A: {from: {command: [sh, late.sh]}}\n";

fn late(repository: &Repository, script: &str) {
    repository.write("shop/late/late.yaml", SECRET);
    repository.write("shop/late/late.sh", script);
    let text = PROJECT_FILE.replace("  prod:\n", "  prod:\n    manifests: [manifests, late]\n");
    repository.write("shop/meshagent.yaml", &text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_has_written_does_not_say_that_nothing_was() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let armed = repository.sandbox.path("armed").display().to_string();
    // The manifests are spoiled while they are applied, so what is left cannot be planned.
    late(
        &repository,
        &format!(
            "test -e '{armed}' && echo 'kind: Romm' > ../manifests/spoiled.yaml\necho value\n"
        ),
    );
    repository.commit("Late");
    let plans = repository.sandbox.path("plans").display().to_string();
    let consent = ["--", "--allow-commands"];
    let words = ["plan", "--all", "-e", "prod", "--out", &plans];
    repository.run(&forge, MAIN, &[&words[..], &consent].concat(), 0);
    std::fs::write(&armed, "").unwrap();
    let words = ["apply", "--plan", &plans];
    let run = repository.run(&forge, MAIN, &[&words[..], &consent].concat(), 4);
    assert!(run.stdout.contains("Applied: "), "{}", run.stdout);
    assert!(
        run.stderr
            .contains("was applied, and it is not known whether something would still change"),
        "{}",
        run.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_tells_what_it_applied() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    late(&repository, "sleep 60\necho value\n");
    let head = repository.commit("Late");
    forge.state().merged.insert(head, 7);
    let mut command = repository.ci(&forge, MAIN, &["apply", "--", "--allow-commands"]);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(run.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("applying shop prod (2 of 2)") {
        line.clear();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "it ended before");
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    let id = nix::unistd::Pid::from_raw(run.id().try_into().unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(4), "{rest}");
    assert!(rest.contains("stopped by SIGTERM: `shop prod` was not applied"), "{rest}");
    let [comment] = &forge.own_comments()[..] else { panic!("{rest}") };
    assert!(comment.contains("not everything was applied"), "{comment}");
    assert!(comment.contains("`shop` in `stage`: `Applied: 1 done`"), "{comment}");
    assert!(
        std::fs::read_to_string(repository.sandbox.path("summary.md")).unwrap().contains("stage")
    );
}

/// Waits until a run says this, and gives its process.
fn said_by(run: &mut std::process::Child, part: &str) -> nix::unistd::Pid {
    let mut told = BufReader::new(run.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(part) {
        line.clear();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "it ended before");
    }
    // Nobody reads on, and what is written is lost.
    std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
    nix::unistd::Pid::from_raw(run.id().try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_started_does_not_go_on() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let (begun, ended) = ("begun".to_owned(), repository.sandbox.path("ended"));
    let fifo = repository.sandbox.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // The command waits until somebody reads, and tells then whether it went on.
    late(
        &repository,
        &format!(
            "echo {begun} > '{}'\nsleep 30\ntouch '{}'\necho value\n",
            fifo.display(),
            ended.display()
        ),
    );
    repository.commit("Late");
    let mut command =
        repository.ci(&forge, MAIN, &["apply", "-e", "prod", "--", "--allow-commands"]);
    command.env("RUNNER_TEMP", repository.sandbox.path(""));
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The apply is at the command now.
    assert_eq!(std::fs::read_to_string(&fifo).unwrap().trim(), begun);
    let applies = || {
        let list = std::process::Command::new("ps").args(["-eo", "pid,args"]).output().unwrap();
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        let folder = repository.sandbox.path("").display().to_string();
        let is_it = |line: &&str| line.contains(" apply ") && line.contains(&folder);
        list.lines().filter(is_it).count()
    };
    let id = nix::unistd::Pid::from_raw(run.id().try_into().unwrap());
    assert!(applies() > 0, "its report is below its own folder");
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL).unwrap();
    run.wait().unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while applies() > 0 {
        assert!(std::time::Instant::now() < until, "it goes on");
        std::thread::yield_now();
    }
    assert!(!ended.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_run_that_waits_for_the_forge() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let base = repository.git(&["rev-parse", "HEAD"]);
    repository.write("shop/manifests/rooms.yaml.j2", &ROOMS.replace("Shop", "Others"));
    repository.commit("Others");
    // A forge that takes the connection and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v3", silent.local_addr().unwrap());
    let about = About::PullRequest { from: "acme/shop", base: &base };
    let mut command = repository.ci(&forge, about, &["plan"]);
    command.env("GITHUB_API_URL", url).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut run = command.spawn().unwrap();
    let id = said_by(&mut run, "(2 of 2)");
    // It asks once all is planned.
    let (_connection, _) = silent.accept().unwrap();
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(128 + 15));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ci_does_not_apply_is_not_applied_by_its_name_either() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let text = PROJECT_FILE.replace("apply: [stage, prod]", "apply: [stage]");
    repository.write("shop/meshagent.yaml", &text);
    repository.commit("Only stage");
    let run = repository.run(&forge, MAIN, &["apply", "-e", "prod"], 6);
    assert!(
        run.stderr.contains("nothing is applied: `ci.apply` does not name `shop prod`"),
        "{}",
        run.stderr
    );
    let run = repository.run(&forge, MAIN, &["apply", "-e", "prod", "-e", "stage"], 0);
    assert!(run.stderr.contains("note: shop prod is not applied"), "{}", run.stderr);
    assert!(run.stdout.contains("shop-stage") && !run.stdout.contains("shop-prod"));
    // Where nothing is said, what is named is applied.
    repository.write(
        "shop/meshagent.yaml",
        &text.replace("  plan: [stage, prod]\n  apply: [stage]\n", ""),
    );
    repository.commit("Nothing said");
    repository.run(&forge, MAIN, &["apply"], 2);
    repository.write("shop/manifests/rooms.yaml.j2", &ROOMS.replace("Shop", "Others"));
    repository.commit("Others");
    let run = repository.run(&forge, MAIN, &["apply", "-e", "prod"], 0);
    assert!(run.stdout.contains("shop-prod"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_does_nothing_is_told_once() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    repository.apply("prod");
    let plans = repository.sandbox.path("plans").display().to_string();
    repository.run(&forge, MAIN, &["plan", "--all", "-e", "prod", "--out", &plans], 0);
    let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 0);
    let shown = run.stdout.split("## meshagent").next().unwrap();
    assert_eq!(shown.matches("Nothing to change").count(), 1, "{}", run.stdout);
    // After something was done, the second plan is called what it is.
    repository.write("shop/manifests/rooms.yaml.j2", &ROOMS.replace("Shop", "Others"));
    repository.commit("Others");
    repository.run(&forge, MAIN, &["plan", "--all", "-e", "prod", "--out", &plans], 0);
    let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 0);
    assert!(run.stdout.contains("\nPlanned again afterwards:\nPlan of set"), "{}", run.stdout);
}
