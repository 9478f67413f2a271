//! Commands of secrets: they end with the program, and what they say is told as what comes
//! from outside.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{refused, secret, write};
use crate::cli::{Run, Sandbox};

/// Whether a process is there that is no zombie.
fn is_running(id: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{id}/stat"));
    state.is_ok_and(|text| !text.rsplit(") ").next().unwrap_or_default().starts_with('Z'))
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_a_command_started_ends_with_the_program_however_it_ends() {
    for signal in ["INT", "TERM", "HUP", "KILL", "ABRT"] {
        let sandbox = Sandbox::new();
        write(
            &sandbox,
            "m/run.sh",
            "sleep 300 &\necho $! > below\n(sleep 300 & echo $! > deeper; wait) &\necho $$ > own\nwait\n",
        );
        write(&sandbox, "m/s.yaml", secret("{command: [sh, run.sh]}"));
        let mut program = sandbox
            .command(&["plan", "-f", "m", "--allow-commands", "--embedded"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let read = |name: &str| {
            let text = std::fs::read_to_string(sandbox.path(&format!("m/{name}")));
            text.ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let names = ["below", "deeper", "own"];
        wait_until("the command starts", || names.iter().all(|name| read(name).is_some()));
        let ids: Vec<String> = names.iter().filter_map(|name| read(name)).collect();
        assert!(ids.iter().all(|id| is_running(id)), "{ids:?}");
        assert!(
            Command::new("kill")
                .args([format!("-{signal}"), program.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
        program.wait().unwrap();
        wait_until(&format!("{signal} leaves {ids:?}"), || !ids.iter().any(|id| is_running(id)));
    }
}

#[test]
fn what_a_command_says_is_escaped_prefixed_and_bounded() {
    let sandbox = Sandbox::new();
    let plan = || {
        let words = ["plan", "-f", "m", "--allow-commands", "--embedded"];
        let mut command = sandbox.command(&words);
        Run::of(command.env("GITHUB_ACTIONS", "true").output().unwrap())
    };
    write(&sandbox, "m/s.yaml", secret("{command: [sh, run.sh]}"));
    write(
        &sandbox,
        "m/run.sh",
        "printf '::error::x\\n\\033[31mred\\033]0;t\\007\\n##[group]y\\n' >&2; printf 'no end' >&2; echo v\n",
    );
    let said = plan();
    refused(&said, 0, "sh: \\u{1b}[31mred\\u{1b}]0;t\\u{7}\n");
    assert!(said.stderr.contains("sh: no end\n"), "{}", said.stderr);
    assert!(!said.stderr.contains('\u{1b}'));
    for line in said.stderr.lines() {
        assert!(!line.starts_with("::") && !line.starts_with("##["), "{line}");
    }
    write(&sandbox, "m/run.sh", "yes 0123456789 | head -c 5000000 >&2; echo v\n");
    let said = plan();
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.len() < 10_000, "{}", said.stderr.len());
    assert!(said.stderr.contains("more bytes\n"), "{}", said.stderr);
    // One line without an end is no more.
    write(&sandbox, "m/run.sh", "head -c 5000000 /dev/zero | tr '\\0' x >&2; echo v\n");
    let said = plan();
    assert_eq!(said.code, 0);
    assert!(said.stderr.len() < 300_000, "{}", said.stderr.len());
    // Why a command failed is told before that it did.
    write(&sandbox, "m/run.sh", "echo no login >&2; exit 3\n");
    let said = plan();
    let (why, that) = (said.stderr.find("sh: no login"), said.stderr.find("\"sh\" failed"));
    assert!(why.is_some() && why < that, "{}", said.stderr);
}

#[test]
fn what_is_encrypted_to_thousands_is_refused_at_once() {
    let sandbox = Sandbox::new();
    sandbox.run(&["secret", "keygen"]);
    let own = sandbox.run(&["secret", "keygen", "-o", "other.key"]).stdout;
    for (count, code) in [(256, 0), (257, 2), (9_000, 2)] {
        write(&sandbox, "team.txt", own.repeat(count));
        write(&sandbox, "plain", "hunter2");
        let run = sandbox.run(&["secret", "encrypt", "-R", "team.txt", "plain"]);
        assert_eq!(run.code, code, "{count}: {}", run.stderr);
        let told = format!("to {count} recipients, but at most 256 are tried");
        assert_eq!(run.stderr.contains(&told), code != 0, "{}", run.stderr);
    }
    // The same for what another program encrypted.
    let stanza = "-> X25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
    let header = format!("age-encryption.org/v1\n{}---", stanza.repeat(5_000));
    write(
        &sandbox,
        "m/x.age",
        format!("{header} AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nbody"),
    );
    write(&sandbox, "m/s.yaml", secret("{age: {file: x.age}}"));
    let plan = super::soon("a plan", || sandbox.run(&["plan", "-f", "m", "--embedded"]));
    refused(&plan, 6, "encrypted to 5000 recipients");
}
