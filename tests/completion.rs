//! Lines that are completed while somebody types, asked for as a shell does.

use std::time::{Duration, Instant};

use crate::cli::{Run, Sandbox};
use crate::platform::harness::Server;

mod in_bash;

/// What is offered in the place of the last word.
fn offered(sandbox: &Sandbox, words: &[&str], environment: &[(&str, &str)]) -> Vec<String> {
    let line = [&["--", "meshagent"], words].concat();
    let mut command = sandbox.command(&line);
    command
        .env("MESHAGENT_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .env("_CLAP_IFS", "\n")
        .envs(environment.iter().copied());
    let run = Run::of(command.output().unwrap());
    assert_eq!(run.stderr, "", "{words:?}");
    // The first line tells whether the others are names of files.
    run.stdout.lines().skip(1).map(|line| line.trim().to_owned()).collect()
}

fn room(name: &str) -> String {
    format!("version: v1\nkind: Room\nmetadata: {{name: {name}}}\n")
}

#[test]
fn kinds_fields_objects_and_files_are_offered_without_a_platform() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("manifests")).unwrap();
    sandbox.write("manifests/a.yaml", &(room("lobby") + "---\n" + &room("hall")));
    sandbox.write("values.json", "{}");
    let offers = |words: &[&str], wanted: &[&str]| {
        assert_eq!(offered(&sandbox, words, &[]), wanted, "{words:?}");
    };
    offers(&["explain", "Serv"], &["ServiceAccount", "Service", "ServiceTemplate"]);
    offers(&["schema", "Mail"], &["Mailbox"]);
    offers(&["explain", "Service.container.im"], &["Service.container.image"]);
    offers(&["explain", "Service.nothing."], &[]);
    offers(&["plan", "-f", "man"], &["manifests/"]);
    offers(&["plan", "-f", "manifests", "--values-file", "val"], &["values.json"]);
    offers(&["show", "val"], &["values.json"]);
    for option in ["--target", "--exclude"] {
        offers(&["plan", "-f", "manifests", option, "Room/l"], &["Room/lobby"]);
    }
    offers(&["accept", "-f", "manifests", "Ro"], &["Room/hall", "Room/lobby"]);
    // What the environment names is read as the command would.
    let named = [("MESHAGENT_FILE", "manifests")];
    let all = offered(&sandbox, &["apply", "--target", "Room/"], &named);
    assert_eq!(all, ["Room/hall", "Room/lobby"]);
    // What cannot be read is no error here, and standard input is left to the command.
    sandbox.write("manifests/a.yaml", "kind: [");
    offers(&["plan", "-f", "manifests", "--target", "Ro"], &[]);
    offers(&["plan", "-f", "-", "--target", "Ro"], &[]);
    offers(&["plan", "-f", "gone", "--target", "Ro"], &[]);
}

#[test]
fn sources_are_offered_from_the_project_file() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "meshagent.yaml",
        "version: v1\nsources:\n  support: {git: agents, ref: v1}\n  base: {git: base}\nenvironments:\n  dev: {sources: {support: {ref: main}}}\n  prod: {}\n",
    );
    for command in ["update", "fetch"] {
        assert_eq!(offered(&sandbox, &["source", command, "b"], &[]), ["base"]);
        assert_eq!(offered(&sandbox, &["source", command, "base", "su"], &[]), ["support"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_and_sets_are_asked_of_the_platform() {
    let server = Server::start().await;
    let offers = tokio::task::spawn_blocking(move || {
        let sandbox = Sandbox::new();
        sandbox.write("m.yaml", &room("lobby"));
        let here =
            [("MESHAGENT_API_URL", server.url.as_str()), ("MESHAGENT_API_KEY", &server.owner)];
        let words = ["apply", "-f", "m.yaml", "--set", "support", "--yes"];
        let mut apply = sandbox.command(&words);
        let applied = Run::of(apply.envs(here).output().unwrap());
        assert_eq!(applied.code, 0, "{}", applied.stderr);
        for words in [
            &["plan", "-f", "m.yaml", "--set", "su"][..],
            &["destroy", "--set", ""],
            &["export", "--set", ""],
            &["set", "rename", "su"],
            &["set", "move", "Room/lobby", "--to", "su"],
        ] {
            assert_eq!(offered(&sandbox, words, &here), ["support"], "{words:?}");
        }
        assert_eq!(offered(&sandbox, &["mailbox", "list", "--room", "lo"], &here), ["lobby"]);
        // The platform that the line names is the one that is asked.
        let key = [("MESHAGENT_API_KEY", server.owner.as_str())];
        let words = ["plan", "--api-url", &server.url, "--set", ""];
        assert_eq!(offered(&sandbox, &words, &key), ["support"]);
        let elsewhere = ["plan", "--project-id", "nowhere", "--set", ""];
        assert_eq!(offered(&sandbox, &elsewhere, &here), [""; 0]);
    });
    offers.await.unwrap();
}

#[test]
fn no_platform_is_started_or_waited_for() {
    let sandbox = Sandbox::new();
    assert_eq!(offered(&sandbox, &["plan", "--embedded", "--set", ""], &[]), [""; 0]);
    assert_eq!(offered(&sandbox, &["rooms", "get", "--embedded", "--name", ""], &[]), [""; 0]);
    assert!(!sandbox.path(".meshagent").exists());
    // A platform that takes connections and answers none.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let there = [("MESHAGENT_API_URL", url.as_str()), ("MESHAGENT_API_KEY", "a.b.c")];
    let started = Instant::now();
    let words = ["plan", "--project-id", "00000000-0000-4000-8000-000000000000", "--set", ""];
    assert_eq!(offered(&sandbox, &words, &there), [""; 0]);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

/// The fault: bash, fish and PowerShell got the names of files as they are.
#[test]
fn no_shell_is_given_a_name_that_it_would_run_or_hide() {
    let sandbox = Sandbox::new();
    for name in ["a$(id).yaml", "a b.yaml", "a';id;'", "a\u{1b}[31m", "a\nb", "a\u{2019}b"] {
        sandbox.write(name, "");
    }
    let offered = |shell: &str, typed: &str| {
        let mut command = sandbox.command(&["--", "meshagent", "show", typed]);
        command.env("MESHAGENT_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", "2");
        let run = Run::of(command.output().unwrap());
        run.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let all = ["a b.yaml", "a$(id).yaml", "a';id;'", "a\u{2019}b"];
    // Zsh and fish quote what they put on the line.
    assert_eq!(offered("zsh", "a"), all);
    assert_eq!(offered("fish", "a"), all);
    assert_eq!(offered("fish", "a\\ "), ["a b.yaml"]);
    assert_eq!(offered("zsh", "'a "), ["a b.yaml"]);
    assert_eq!(offered("powershell", "a"), ["'a b.yaml'", "'a$(id).yaml'"]);
}

#[test]
fn commands_levels_and_schemas_are_offered_where_they_are_words() {
    let sandbox = Sandbox::new();
    let offers = |words: &[&str], wanted: &[&str]| {
        assert_eq!(offered(&sandbox, words, &[]), wanted, "{words:?}");
    };
    offers(&["help", "pl"], &["plan"]);
    offers(&["help", "set", "mo"], &["move"]);
    offers(&["--log", "w"], &["warn"]);
    offers(&["--log="], &["--log=error", "--log=warn", "--log=info", "--log=debug", "--log=trace"]);
    offers(&["schema", "pl"], &["plan", "plans"]);
    offers(&["explain", "ser"], &["ServiceAccount", "Service", "ServiceTemplate"]);
    offers(&["ma"], &["mailbox", "mailbot", "man"]);
}

#[test]
fn a_program_of_another_name_is_completed_under_that_name() {
    let sandbox = Sandbox::new();
    let other = sandbox.path("ma-2");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_meshagent"), &other).unwrap();
    let script = |shell: &str| {
        let mut command = std::process::Command::new(&other);
        Run::of(command.args(["completion", shell]).output().unwrap()).stdout
    };
    let bash = script("bash");
    assert!(
        bash.contains("complete -o nospace -o bashdefault -F _ma_2_complete \"ma-2\""),
        "{bash}"
    );
    for shell in ["zsh", "fish", "powershell"] {
        let text = script(shell);
        assert!(text.contains("ma-2") && !text.contains(" meshagent"), "{text}");
    }
}

/// Whoever names a file or folder gets those that are there.
#[test]
fn every_argument_that_is_a_file_is_completed_as_one() {
    let mut others = Vec::new();
    let mut count = 0;
    let mut open = vec![meshagent::commands::whole_tree()];
    while let Some(command) = open.pop() {
        for argument in command.get_arguments() {
            let value = argument.get_value_names().and_then(|names| names.first());
            let is_file = value
                .is_some_and(|name| ["FILE", "PATH", "DIR", "FOLDER"].contains(&name.as_str()));
            count += usize::from(is_file);
            if is_file && argument.get_value_hint() != clap::ValueHint::AnyPath {
                others.push(format!("{} {}", command.get_name(), argument.get_id()));
            }
        }
        open.extend(command.get_subcommands().cloned());
    }
    assert!(count > 20, "{count}");
    assert_eq!(others, [""; 0]);
}
