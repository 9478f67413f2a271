//! Nothing below a folder is passed over in silence.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use meshagent::manifest::set::{Input, read};
use meshagent::manifest::walk::{Skipped, Why};

use super::{Run, Sandbox, created, room, run, told, write};

fn plan(sandbox: &Sandbox, code: i32) -> Run {
    sandbox.embedded(code, &["plan", "-f", "m"])
}

#[test]
fn links_to_folders_and_files_are_followed() {
    let sandbox = Sandbox::new();
    write(&sandbox, "r/.git/HEAD", "");
    write(&sandbox, "r/m/a.yaml", room("a"));
    write(&sandbox, "r/shared/deep/b.yaml", room("b"));
    write(&sandbox, "r/other/text", room("c"));
    symlink("../shared", sandbox.path("r/m/common")).unwrap();
    symlink("../other/text", sandbox.path("r/m/c.yml")).unwrap();
    let planned = sandbox.embedded(0, &["plan", "-f", "r/m"]);
    assert_eq!(created(&planned), ["Room/a", "Room/b", "Room/c"]);
    // The folder that is named may be a link itself.
    symlink("r/m", sandbox.path("again")).unwrap();
    run(&sandbox, 0, &["validate", "-f", "again"]);
}

#[test]
fn a_link_that_leads_nowhere_or_back_is_an_error_unless_it_is_ignored() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/a.yaml", room("a"));
    std::fs::create_dir(sandbox.path("m/below")).unwrap();
    symlink("../../m", sandbox.path("m/below/up")).unwrap();
    symlink("nowhere", sandbox.path("m/gone")).unwrap();
    symlink("self", sandbox.path("m/self")).unwrap();
    let refused = plan(&sandbox, 6);
    told(&refused, "m/below/up: the link leads back to m");
    told(&refused, "m/gone: failed to follow the link: No such file or directory");
    told(&refused, "m/self: failed to follow the link: ");
    write(&sandbox, "m/.meshagentignore", "up/\n/gone\nsel?\n");
    let planned = plan(&sandbox, 0);
    assert_eq!(created(&planned), ["Room/a"]);
    told(&planned, "note: not read: 3 named in an ignore file (--verbose lists them)");
}

#[test]
fn upper_and_lower_case_of_a_suffix_are_one() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/a.YAML", room("a"));
    write(&sandbox, "m/b.Yml", room("b"));
    write(&sandbox, "m/c.JSON", r#"{"version": "v1", "kind": "Room", "metadata": {"name": "c"}}"#);
    write(&sandbox, "m/d.yaml.J2", room("{{ 'd' }}"));
    assert_eq!(created(&plan(&sandbox, 0)), ["Room/a", "Room/b", "Room/c", "Room/d"]);
}

#[test]
fn pipes_sockets_and_devices_are_refused_and_not_waited_for() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/a.yaml", room("a"));
    for name in ["m/pipe.yaml", "m/pipe.txt"] {
        assert!(Command::new("mkfifo").arg(sandbox.path(name)).status().unwrap().success());
    }
    let _socket = UnixListener::bind(sandbox.path("m/socket.json")).unwrap();
    symlink("/dev/zero", sandbox.path("m/zero.yml")).unwrap();
    let refused = plan(&sandbox, 6);
    told(&refused, "m/pipe.yaml: this is a pipe, not a file");
    told(&refused, "m/socket.json: this is a socket, not a file");
    told(&refused, "m/zero.yml: the link leads outside of");
    for path in ["m/pipe.txt", "m/pipe.yaml"] {
        told(&run(&sandbox, 2, &["validate", "-f", path]), "this is a pipe, not a file");
    }
    told(
        &run(&sandbox, 2, &["validate", "-f", "m/a.yaml", "--values-file", "m/pipe.yaml"]),
        "m/pipe.yaml: this is a pipe, not a file",
    );
}

#[test]
fn what_a_shell_opens_is_read() {
    let sandbox = Sandbox::new();
    for path in ["-", "/dev/stdin", "/dev/fd/0"] {
        let mut command = sandbox.command(&["validate", "-f", path]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(room("a").as_bytes()).unwrap();
        let read = Run::of(child.wait_with_output().unwrap());
        assert_eq!(
            (read.code, read.stdout.as_str()),
            (0, "valid: 1 document, 1 object\n"),
            "{path}"
        );
    }
    told(
        &run(&sandbox, 2, &["validate", "-f", "-", "-f", "-"]),
        "-: standard input is named twice",
    );
}

#[test]
fn what_is_left_out_is_counted_and_listed() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/a.yaml", room("a"));
    for name in ["m/README.md", "m/b.yaml~", "m/.hidden/b.yaml", "m/.c.yaml", "m/old/d.yaml"] {
        write(&sandbox, name, "no: [manifest");
    }
    write(&sandbox, "m/.meshagentignore", "# what was\nold/\n");
    let valid = run(&sandbox, 0, &["validate", "-f", "m"]);
    let summary = "note: not read: 2 hidden, 1 named in an ignore file, 2 with another suffix \
                   (--verbose lists them)\n";
    assert_eq!(valid.stderr, summary);
    let listed = run(&sandbox, 0, &["validate", "-f", "m", "--verbose"]);
    for line in [
        "not read: m/.hidden: its name begins with a dot\n",
        "not read: m/.c.yaml: its name begins with a dot\n",
        "not read: m/old: an ignore file names it\n",
        "not read: m/README.md: its name does not end in .yaml, .yml, .json or .j2\n",
        "not read: m/b.yaml~: its name does not end in .yaml, .yml, .json or .j2\n",
    ] {
        told(&listed, line);
    }
    // A set knows it, too.
    let input =
        Input { paths: vec![sandbox.path("m")], project: Some("p".into()), ..Input::default() };
    let set = read(&input).unwrap();
    assert_eq!(set.skipped.len(), 5);
    let old = Skipped { path: sandbox.path("m/old"), why: Why::Ignored };
    assert!(set.skipped.contains(&old), "{:?}", set.skipped);
}

#[test]
fn values_beside_a_template_are_known_to_be_left_out() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/values.yaml", "name: a\n");
    write(&sandbox, "m/a.yaml.j2", room("{{ name }}"));
    let listed = run(&sandbox, 0, &["validate", "-f", "m", "--verbose"]);
    assert_eq!(listed.stderr, "not read: m/values.yaml: it holds values for templates\n");
    std::fs::remove_file(sandbox.path("m/a.yaml.j2")).unwrap();
    told(
        &run(&sandbox, 0, &["validate", "-f", "m", "--allow-empty"]),
        "note: not read: m/values.yaml: it holds values, but no template is beside it",
    );
    told(
        &run(&sandbox, 2, &["validate", "-f", "m/values.yaml"]),
        "m/values.yaml:1:1: the document has no `kind`",
    );
}

#[test]
fn an_ignore_file_makes_room_for_what_is_no_manifest() {
    let sandbox = Sandbox::new();
    write(&sandbox, "rooms.yaml", room("a"));
    write(&sandbox, "package.json", r#"{"name": "site", "version": "1.0.0"}"#);
    write(&sandbox, "tsconfig.json", "{\n  // comments\n  \"strict\": true\n}\n");
    write(
        &sandbox,
        "k8s/deployment.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n",
    );
    write(&sandbox, "node_modules/x/package.json", "{}");
    write(&sandbox, "list.json", "[1]");
    write(&sandbox, "stack.yaml", "Resources: {a: !Ref b}\n");
    let refused = run(&sandbox, 2, &["validate", "-f", "."]);
    for name in ["package.json", "tsconfig.json", "k8s/deployment.yaml", "list.json", "stack.yaml"]
    {
        told(&refused, &format!("./{name}:"));
    }
    let hint = "hint: if it is not a manifest, list it in a .meshagentignore beside it";
    assert_eq!(refused.stderr.matches(hint).count(), 6, "{}", refused.stderr);
    write(&sandbox, ".meshagentignore", "*.json\nnode_modules/\n/k8s\nstack.y*ml\n!keep.json\n");
    write(
        &sandbox,
        "sub/keep.json",
        r#"{"version": "v1", "kind": "Room", "metadata": {"name": "k"}}"#,
    );
    write(&sandbox, "sub/drop.yaml", "not: one\n");
    write(&sandbox, "sub/.meshagentignore", "\u{feff}drop.yaml\r\n");
    write(&sandbox, "other/drop.yaml", room("b"));
    let planned = sandbox.embedded(0, &["plan", "-f", "."]);
    assert_eq!(created(&planned), ["Room/a", "Room/b", "Room/k"]);
    // What is named itself is read.
    told(&run(&sandbox, 2, &["validate", "-f", "package.json"]), "package.json:1:1: ");
}

#[test]
fn ignore_files_above_the_given_folder_hold_as_far_as_the_repository_or_the_working_folder_goes() {
    let broken = "not: one\n";
    for (given, working) in [("sub/deep", ""), ("deep", "sub"), (".", "sub/deep")] {
        for is_repository in [true, false] {
            let sandbox = Sandbox::new();
            write(&sandbox, ".meshagentignore", "drop.yaml\n/sub/deep/gone/\nkept.yaml\nsub/\n");
            write(&sandbox, "sub/.meshagentignore", "!kept.yaml\n");
            write(&sandbox, "sub/deep/a.yaml", room("a"));
            write(&sandbox, "sub/deep/kept.yaml", room("k"));
            write(&sandbox, "sub/deep/x/drop.yaml", broken);
            write(&sandbox, "sub/deep/gone/b.yaml", broken);
            if is_repository {
                sandbox.repository("");
            }
            let mut command = sandbox.command(&["validate", "-f", given, "--verbose"]);
            let run = Run::of(command.current_dir(sandbox.path(working)).output().unwrap());
            let holds = is_repository || working.is_empty();
            assert_eq!(run.code, if holds { 0 } else { 2 }, "{given} {working}: {}", run.stderr);
            if holds {
                told(&run, "x/drop.yaml: an ignore file names it");
                told(&run, "gone: an ignore file names it");
                assert!(!run.stderr.contains("kept.yaml:"), "{}", run.stderr);
            }
        }
    }
}

#[test]
fn a_rule_that_means_nothing_is_an_error_at_its_line() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/a.yaml", room("a"));
    write(&sandbox, "m/.meshagentignore", "b\n[z-a].yaml\n");
    told(
        &run(&sandbox, 2, &["validate", "-f", "m"]),
        "m/.meshagentignore:2:1: not a valid rule of an ignore file",
    );
    std::fs::remove_file(sandbox.path("m/.meshagentignore")).unwrap();
    let pipe = Command::new("mkfifo").arg(sandbox.path("m/.meshagentignore")).status();
    assert!(pipe.unwrap().success());
    told(
        &run(&sandbox, 2, &["validate", "-f", "m"]),
        "m/.meshagentignore: this is a pipe, not a file",
    );
}

/// A checkout without its `.git` is as much somebody else's as one with it.
#[test]
fn a_link_of_the_working_folder_leads_nowhere_else() {
    let sandbox = Sandbox::new();
    write(&sandbox, "outside/a.yaml", room("a"));
    std::fs::create_dir(sandbox.path("work")).unwrap();
    symlink("../outside", sandbox.path("work/manifests")).unwrap();
    let validated = |more: &[&str]| {
        let words = [&["validate", "-f", "manifests"], more].concat();
        let mut command = sandbox.command(&words);
        command.current_dir(sandbox.path("work"));
        Run::of(command.output().unwrap())
    };
    let refused = validated(&[]);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    told(&refused, "the link leads outside");
    assert!(!refused.stderr.contains("a.yaml"), "{}", refused.stderr);
    assert_eq!(validated(&["--allow-files", "../outside"]).code, 0);
}
