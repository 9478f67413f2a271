//! What apply does when not everything goes well.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::cli::Sandbox;

fn rooms(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, index| {
        let _ = writeln!(text, "---\nversion: v1\nkind: Room\nmetadata: {{name: room-{index:03}}}");
        text
    })
}

#[test]
fn a_signal_stops_new_work_and_tells_what_is_open() {
    let sandbox = Sandbox::with_platform();
    sandbox.write("rooms.yaml", &rooms(300));
    let mut child = sandbox
        .command(&["apply", "-f", "rooms.yaml", "--embedded", "--yes", "--parallelism", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, "done: create Room/room-000\n");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{rest}");
    assert!(rest.contains("stopping: running operations are finished"), "{rest}");
    let lines: Vec<&str> = stdout.lines().filter(|line| line.starts_with("not started")).collect();
    assert!(lines.len() == 1 && lines[0].contains(" more"), "{stdout}");
    // The same command goes on from there: what was created is owned and not created again.
    let again = sandbox.embedded(0, &["apply", "-f", "rooms.yaml", "--yes"]);
    let done = rest.lines().filter(|line| line.starts_with("done: ")).count() + 1;
    assert!(again.stdout.ends_with(&format!("Applied: {} done.\n", 300 - done)), "{done}");
}

#[test]
fn what_waits_for_a_failed_operation_is_skipped_and_the_rest_is_done() {
    let sandbox = Sandbox::new();
    // A request has a limit, which only the platform knows: 16 MiB. In one, each of these
    // characters takes six bytes.
    std::fs::create_dir(sandbox.path("m")).unwrap();
    sandbox.write("m/most", &"\u{1}".repeat(1024 * 1024));
    sandbox.write("m/rest", &"\u{1}".repeat(699_060));
    sandbox.write(
        "m/set.yaml",
        "version: v1\nkind: Room\nmetadata: {name: fine}\n---\n\
         version: v1\nkind: Secret\nmetadata: {name: refused}\ntype: keys\n\
         data: {A: {from: {file: most}}, B: {from: {file: most}}, C: {from: {file: rest}}}\n---\n\
         version: v1\nkind: Service\nmetadata: {name: waits}\nroom: fine\n\
         container: {image: x, secrets: [refused]}\nports: [{num: 80, published: true}]\n---\n\
         version: v1\nkind: Route\nmetadata: {name: a.meshagent.app}\nroom: fine\nport: 80\n",
    );
    let run = sandbox.embedded(4, &["apply", "-f", "m/set.yaml", "--yes"]);
    let told: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| line.contains(": create ") && !line.starts_with("done"))
        .collect();
    assert_eq!(told.len(), 3, "{}", run.stderr);
    assert!(told[0].starts_with("failed: create Secret/refused: "), "{}", told[0]);
    assert!(told[0].contains("; POST /accounts/projects/"), "{}", told[0]);
    assert!(told[0].contains(" was answered with 413"), "{}", told[0]);
    assert_eq!(told[1], "skipped: create Service/waits@fine, because it waits for Secret/refused");
    assert_eq!(
        told[2],
        "skipped: create Route/a.meshagent.app, because it waits for Service/waits@fine"
    );
    assert!(run.stdout.ends_with("Applied: 1 done, 1 failed, 2 skipped.\n"));
    assert!(
        run.stderr
            .contains("error: not everything was done: 3 of 4 operations were not done\nhint: ")
    );
    let again = sandbox.embedded(1, &["apply", "-f", "m/set.yaml", "--yes", "-o", "json"]).events();
    let outcomes: Vec<&str> = again
        .iter()
        .filter(|event| event["event"] == "finished")
        .map(|event| event["status"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["failed", "skipped", "skipped"]);
}

#[test]
fn a_platform_that_is_not_there_is_one_line() {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", &rooms(1));
    let output = sandbox
        .command(&[
            "apply",
            "-f",
            "set.yaml",
            "--yes",
            "--project-id",
            "p",
            "--api-url",
            "http://127.0.0.1:9",
        ])
        .env("MESHAGENT_API_KEY", "canary-key")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr.lines().count(), 2, "{stderr}");
    assert!(!stderr.contains("canary-key"));
}
