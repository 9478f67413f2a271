//! The platform's keys from the terminal: replaced, kept apart, and told of when others can
//! reach them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::cli::{Run, Sandbox};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A run that begins with this umask.
fn under(sandbox: &Sandbox, umask: &str, arguments: &[&str]) -> Run {
    let own = sandbox.command(arguments);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]);
    command.arg(own.get_program()).args(own.get_args());
    command.current_dir(sandbox.path("")).env_clear();
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Run::of(command.stdin(std::process::Stdio::null()).output().unwrap())
}

/// What `server --rotate-… --print-env` prints.
fn replaced(sandbox: &Sandbox, what: &[&str]) -> Run {
    let arguments = [&["server", "--data", ".meshagent/embedded", "--print-env"], what].concat();
    let run = sandbox.run(&arguments);
    assert_eq!(run.code, 0, "{}", run.stderr);
    run
}

#[test]
fn the_owners_key_is_replaced_and_printed() {
    let sandbox = Sandbox::new();
    sandbox.embedded(0, &["rooms", "create", "--name", "hall"]);
    let first = replaced(&sandbox, &["--rotate-owner-key"]);
    let second = replaced(&sandbox, &["--rotate-owner-key"]);
    assert_eq!(first.stderr, "the owner's key was replaced\n");
    let key = |run: &Run| run.stdout.lines().next().unwrap().to_owned();
    assert!(key(&first).starts_with("export MESHAGENT_API_KEY='ma-"), "{}", first.stdout);
    assert_ne!(key(&first), key(&second));
    // Nothing is served, so no address is printed.
    let names = first.stdout.lines().map(|line| line.split('=').next().unwrap());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["export MESHAGENT_API_KEY", "export MESHAGENT_PROJECT_ID"]
    );
    let rooms = sandbox.embedded(0, &["rooms", "list"]);
    assert!(rooms.stdout.contains("hall"), "{}", rooms.stdout);
}

#[test]
fn all_keys_are_replaced_at_once_and_only_where_a_platform_is() {
    let sandbox = Sandbox::new();
    let all = ["--rotate-owner-key", "--rotate-signing-keys", "--rotate-key-file"];
    let arguments = [&["server", "--data", "typo"][..], &all].concat();
    let run = sandbox.run(&arguments);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert_eq!(
        run.stderr,
        "error: there is no platform in typo\nhint: name its folder with --data\n"
    );
    assert!(!sandbox.path("typo").exists());
    let listen = [&["server", "--listen", "127.0.0.1:0"][..], &all[..1]].concat();
    assert_eq!(sandbox.run(&listen).code, 2);

    sandbox.embedded(0, &["rooms", "create", "--name", "hall"]);
    let file = sandbox.path(".meshagent/embedded/platform.key");
    let before = std::fs::read(&file).unwrap();
    let run = replaced(&sandbox, &all);
    assert_eq!(run.stderr.lines().count(), 3, "{}", run.stderr);
    assert_ne!(std::fs::read(&file).unwrap(), before);
    assert_eq!(mode(&file), 0o600);
    sandbox.embedded(0, &["rooms", "list"]);
}

#[test]
fn the_key_file_is_where_the_environment_says() {
    let sandbox = Sandbox::new();
    let run = |key_file: Option<&str>| {
        let mut command = sandbox.command(&["rooms", "list", "--embedded"]);
        command.envs(key_file.map(|path| ("MESHAGENT_PLATFORM_KEY_FILE", path)));
        Run::of(command.output().unwrap())
    };
    assert_eq!(run(Some("elsewhere.key")).code, 0);
    assert_eq!(mode(&sandbox.path("elsewhere.key")), 0o600);
    assert!(!sandbox.path(".meshagent/embedded/platform.key").exists());
    for wrong in [None, Some(""), Some("nowhere.key")] {
        let refused = run(wrong);
        assert_eq!(refused.code, 6, "{}", refused.stderr);
        assert!(
            refused.stderr.contains("is missing; without it, the secrets"),
            "{}",
            refused.stderr
        );
    }
    assert_eq!(run(Some("elsewhere.key")).code, 0);
}

#[test]
fn what_is_open_to_others_is_told_and_the_hint_ends_it() {
    let sandbox = Sandbox::new();
    let list = ["rooms", "list", "--embedded=a data folder"];
    assert_eq!(sandbox.run(&list).code, 0);
    set_mode(&sandbox.path("a data folder"), 0o755);
    let run = sandbox.run(&list);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let told = "warning: a data folder is open to others on this machine; \
                run `chmod 700 'a data folder'` to close it\n";
    assert_eq!(run.stderr, told);
    let hint = run.stderr.split('`').nth(1).unwrap();
    let done = Command::new("sh").args(["-c", hint]).current_dir(sandbox.path("")).status();
    assert!(done.unwrap().success());
    assert_eq!(sandbox.run(&list).stderr, "");

    set_mode(&sandbox.path("a data folder/platform.key"), 0o644);
    let run = sandbox.run(&list);
    assert_eq!(run.code, 6, "{}", run.stderr);
    let hint = run.stderr.split('`').nth(1).unwrap();
    let done = Command::new("sh").args(["-c", hint]).current_dir(sandbox.path("")).status();
    assert!(done.unwrap().success(), "{hint}");
    assert_eq!(sandbox.run(&list).code, 0);
}

#[test]
fn the_programs_own_folders_are_private_whatever_the_umask() {
    for umask in ["000", "022", "077", "0277"] {
        let sandbox = Sandbox::new();
        // The working folder is the home folder here: both have their own files in it.
        let made = under(&sandbox, umask, &["secret", "keygen"]);
        assert_eq!(made.code, 0, "{umask}: {}", made.stderr);
        assert_eq!(mode(&sandbox.path(".meshagent")), 0o700, "{umask}");
        assert_eq!(mode(&sandbox.path(".meshagent/age.txt")) & 0o077, 0, "{umask}");
    }
    for umask in ["000", "022"] {
        let sandbox = Sandbox::new();
        let run = under(&sandbox, umask, &["rooms", "list", "--embedded"]);
        assert_eq!(run.code, 0, "{umask}: {}", run.stderr);
        for folder in [".meshagent", ".meshagent/embedded"] {
            assert_eq!(mode(&sandbox.path(folder)), 0o700, "{umask} {folder}");
        }
        for entry in sandbox.path(".meshagent/embedded").read_dir().unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{umask} {}", path.display());
        }
    }
}

#[test]
fn the_folder_in_the_home_is_closed_when_another_program_has_made_it() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path(".meshagent")).unwrap();
    set_mode(&sandbox.path(".meshagent"), 0o755);
    let made = under(&sandbox, "022", &["secret", "keygen"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert_eq!(mode(&sandbox.path(".meshagent")), 0o700);
}

#[test]
fn keys_that_were_made_with_a_leaked_key_are_told_and_can_be_ended() {
    let sandbox = Sandbox::new();
    let made = sandbox.embedded(0, &["api-key", "create", "ci"]);
    let key = made.stdout.trim().to_owned();
    let told = replaced(&sandbox, &["--rotate-owner-key"]);
    assert!(told.stderr.contains("these API keys stay valid, and so do users, roles and grants"));
    let line = told.stderr.lines().find(|line| line.contains("\"ci\" of project \"default\""));
    assert!(line.is_some_and(|line| line.contains(", made by ")), "{}", told.stderr);
    assert!(!told.stderr.contains(&key));
    assert!(sandbox.embedded(0, &["api-key", "list"]).stdout.contains("ci"));
    let ended = replaced(&sandbox, &["--rotate-owner-key", "--end-api-keys"]);
    assert_eq!(ended.stderr, "the owner's key was replaced\nall API keys were revoked\n");
    assert!(!sandbox.embedded(0, &["api-key", "list", "-o", "json"]).stdout.contains("\"ci\""));
    let alone = sandbox.run(&["server", "--end-api-keys"]);
    assert_eq!(alone.code, 2, "{}", alone.stderr);
}

/// As `docs/embedded.md` tells it: a person is added, gets a role and a key, and acts.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_added_and_acts_with_a_key_as_the_role_allows() {
    use serde_json::json;
    let server = crate::platform::harness::Server::start().await;
    let sandbox = std::sync::Arc::new(Sandbox::new());
    let folder = server.folder().display().to_string();
    let url = server.url.clone();
    let run = |words: Vec<String>, key: &str| {
        let (sandbox, url, key) = (sandbox.clone(), url.clone(), key.to_owned());
        let done = tokio::task::spawn_blocking(move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut command = sandbox.command(&words);
            command.env("MESHAGENT_API_URL", url).env("MESHAGENT_API_KEY", key);
            Run::of(command.output().unwrap())
        });
        async move { done.await.unwrap() }
    };
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let key_for =
        |user: &str| ["server", "--data", &folder, "--key-for", user].map(str::to_owned).to_vec();
    let missing = run(key_for("ada@example.com"), "").await;
    assert_eq!(missing.code, 1, "{}", missing.stderr);
    assert!(missing.stderr.contains("ada@example.com"), "{}", missing.stderr);
    let body = json!({"user_id": "ada@example.com", "is_developer": true});
    server.send("POST", "/users", body).await.expect(201);
    let made = run(key_for("ADA@example.com"), "").await;
    assert_eq!(made.code, 0, "{}", made.stderr);
    let key = made.stdout.trim().to_owned();
    assert!(key.starts_with("ma-") && made.stdout.lines().count() == 1, "{}", made.stdout);
    let who = run(words("auth whoami -o json"), &key).await;
    assert_eq!(who.json()["email"], "ada@example.com", "{}", who.stderr);
    assert_eq!(run(words("rooms create --name hall"), &key).await.code, 0);
    let refused = run(words("api-key create x"), &key).await;
    assert!(
        refused.code == 1 && refused.stderr.contains("answered with 403"),
        "{}",
        refused.stderr
    );
    // The role is what counts, at each moment.
    let reader = json!({"is_admin": false, "is_developer": false, "can_create_rooms": false});
    server.send("PUT", "/users/ada@example.com", reader).await.expect(200);
    let refused = run(words("rooms create --name other"), &key).await;
    assert!(
        refused.code == 1 && refused.stderr.contains("answered with 403"),
        "{}",
        refused.stderr
    );
    server.own("DELETE", "/users/ada@example.com").send().await.expect(200);
    assert_eq!(run(words("rooms list"), &key).await.code, 1);
}
