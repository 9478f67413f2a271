//! Checkouts of strangers: what they bring along decides neither where the program writes nor
//! which credentials it uses, and tells nobody what lies elsewhere.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::{all, refused, room, secret, soon, write};
use crate::cli::{Run, Sandbox};

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A run in a folder below the home folder.
fn run_in(sandbox: &Sandbox, folder: &str, words: &[&str]) -> Run {
    let mut command = sandbox.command(words);
    Run::of(command.current_dir(sandbox.path(folder)).output().unwrap())
}

#[test]
fn nothing_is_written_where_a_link_of_a_checkout_leads() {
    for (link, is_folder) in [
        (".meshagent", true),
        (".meshagent/embedded", true),
        (".meshagent/journal", true),
        (".meshagent/embedded/platform.sqlite", false),
        (".meshagent/embedded/platform.key", false),
    ] {
        let sandbox = Sandbox::new();
        write(&sandbox, "c/m/a.yaml", room("a", ""));
        std::fs::create_dir_all(sandbox.path("victim")).unwrap();
        let path = sandbox.path("c").join(link);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let target = if is_folder { "victim" } else { "victim/file" };
        symlink(sandbox.path(target), &path).unwrap();
        let run = run_in(&sandbox, "c", &["apply", "-f", "m", "--yes", "--embedded"]);
        refused(&run, 1, &format!("{link} is a link, so nothing is written through it"));
        assert_eq!(std::fs::read_dir(sandbox.path("victim")).unwrap().count(), 0, "{link}");
        // What the hint says works.
        std::fs::remove_file(&path).unwrap();
        let run = run_in(&sandbox, "c", &["apply", "-f", "m", "--yes", "--embedded"]);
        assert_eq!(run.code, 0, "{link}: {}", run.stderr);
    }
}

#[test]
fn a_journal_that_a_checkout_brings_along_holds_nobody_up() {
    let began =
        "{\"what\":\"began\",\"at\":\"2026-01-01T00:00:00Z\",\"process\":1,\"platform\":\"p\"}\n";
    let sending = |name: usize| {
        format!(
            "{{\"what\":\"sending\",\"project\":\"p\",\"object\":\"Room/r{name}\",\"action\":\"create\"}}\n"
        )
    };
    let many: String = (0..40_000).map(sending).collect();
    for text in [
        "\n".repeat(60_000_000),
        format!("{began}{}", "\n".repeat(60_000_000)),
        began.to_owned() + &many,
    ] {
        let sandbox = Sandbox::new();
        write(&sandbox, "c/m/a.yaml", room("a", ""));
        write(&sandbox, "c/.meshagent/journal/default.jsonl", text);
        let words = ["apply", "-f", "m", "--yes", "--embedded"];
        let run = soon("apply", || run_in(&sandbox, "c", &words));
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stderr.len() < 20_000, "{} bytes", run.stderr.len());
    }
}

#[test]
fn what_is_behind_a_link_is_told_of_in_no_way() {
    let sandbox = Sandbox::with_platform();
    write(&sandbox, "victim/there", "c4n4ry");
    write(&sandbox, "victim/folder/x.yaml", "c4n4ry");
    write(&sandbox, "victim/closed/x", "c4n4ry");
    mode(&sandbox.path("victim/closed"), 0o000);
    let targets = ["there", "none", "folder", "folder/none/x", "closed", "closed/x", "there/x"];
    let told = |link: &str, target: &Path, words: &[&str]| {
        let path = sandbox.path(link);
        let _ = std::fs::remove_file(&path);
        symlink(target, &path).unwrap();
        let run = sandbox.run(words);
        std::fs::remove_file(&path).unwrap();
        // What the name of a link says to be no manifest is left out, and told of as that.
        assert!(
            link.ends_with(".txt") || run.stderr.contains("the link leads outside of"),
            "{link} {words:?}: {}",
            all(&run)
        );
        format!("{} {}", run.code, all(&run))
    };
    write(&sandbox, "m/a.yaml", room("a", ""));
    write(&sandbox, "m/t.yaml.j2", room("{{ n }}", ""));
    write(&sandbox, "s/s.yaml", secret("{file: link}"));
    write(&sandbox, "g/s.yaml", secret("{age: {file: link}}"));
    write(&sandbox, "rules/b.rego", "package meshagent\n");
    let plan = ["plan", "-f", "m", "--embedded"];
    let policy = ["plan", "-f", "s/a.yaml", "--embedded", "--policy", "rules"];
    write(&sandbox, "s/a.yaml", room("a", ""));
    for (link, words) in [
        ("m/z.yaml", &plan[..]),
        ("m/z.txt", &plan),
        ("m/z", &["validate", "-f", "m"]),
        ("m/values.yaml", &plan),
        ("m/values.yml", &["validate", "-f", "m/t.yaml.j2"]),
        ("m/v.yaml", &["validate", "-f", "s/a.yaml", "--values-file", "m/v.yaml"]),
        ("m/.meshagentignore", &plan),
        ("s/link", &["validate", "-f", "s/s.yaml"]),
        ("s/link", &["apply", "-f", "s/s.yaml", "--embedded", "--yes"]),
        ("g/link", &["apply", "-f", "g/s.yaml", "--embedded", "--yes"]),
        ("rules/z.rego", &policy),
    ] {
        let first = told(link, &sandbox.path("victim/there"), words);
        for target in targets {
            let now = told(link, &sandbox.path("victim").join(target), words);
            assert_eq!(now, first, "{link} {words:?} {target}");
        }
        assert_eq!(told(link, Path::new("/proc/self/exe"), words), first, "{link} {words:?}");
        assert!(!first.contains("victim") && !first.contains("c4n4ry"), "{first}");
    }
    mode(&sandbox.path("victim/closed"), 0o700);
}

#[test]
fn a_manifest_in_the_home_folder_reaches_itself() {
    let sandbox = Sandbox::new();
    write(&sandbox, ".aws/credentials", "c4n4ry");
    write(&sandbox, "other/t", "c4n4ry");
    for path in [".aws/credentials", "other/t", "t"] {
        write(&sandbox, "s.yaml", secret(&format!("{{file: {path}}}")));
        write(&sandbox, "t", "c4n4ry");
        let text = std::fs::read_to_string(sandbox.path("s.yaml")).unwrap();
        let run = sandbox.run(&["apply", "-f", "s.yaml", "--embedded", "--yes"]);
        refused(&run, 6, "reading there is not allowed");
        let mut command = sandbox.command(&["apply", "-f", "-", "--embedded", "--yes"]);
        let run = crate::secrets::with_input(&mut command, &text);
        let is_hidden = path.starts_with('.');
        assert_eq!(run.code, if is_hidden { 6 } else { 0 }, "{path}: {}", run.stderr);
    }
    // Where the user says so, it reaches more.
    write(&sandbox, "s.yaml", secret("{file: other/t}"));
    let allowed = ["apply", "-f", "s.yaml", "--embedded", "--yes", "--allow-files", "other"];
    assert_eq!(sandbox.run(&allowed).code, 0);
}

#[test]
fn a_manifest_above_the_home_folder_reaches_what_is_not_hidden() {
    let sandbox = Sandbox::new();
    write(&sandbox, "t", "value-value");
    write(&sandbox, "home/.aws/credentials", "c4n4ry");
    for (path, code) in [("t", 0), ("home/.aws/credentials", 6)] {
        write(&sandbox, "s.yaml", secret(&format!("{{file: {path}}}")));
        let mut command = sandbox.command(&["apply", "-f", "s.yaml", "--embedded", "--yes"]);
        let run = Run::of(command.env("HOME", sandbox.path("home")).output().unwrap());
        assert_eq!(run.code, code, "{path}: {}", all(&run));
    }
}

#[test]
fn a_folder_beside_a_repository_is_its_own() {
    let sandbox = Sandbox::new();
    sandbox.repository("r");
    write(&sandbox, "infra/t", "value-value");
    write(&sandbox, "infra/s.yaml", secret("{file: t}"));
    for path in ["../infra", "../infra/s.yaml", "./../infra"] {
        let run = run_in(&sandbox, "r", &["plan", "-f", path, "--embedded"]);
        assert_eq!(run.code, 0, "{path}: {}", run.stderr);
    }
}

#[test]
fn a_saved_plan_reads_nothing_outside_because_it_says_so() {
    let sandbox = Sandbox::new();
    write(&sandbox, "c/m/a.yaml.j2", room("{{ n }}", ""));
    write(&sandbox, "c/v.yaml", "n: a\n");
    let plan = ["plan", "-f", "m", "--values-file", "v.yaml", "--embedded", "--out", "p.json"];
    assert_eq!(run_in(&sandbox, "c", &plan).code, 0);
    let saved = std::fs::read_to_string(sandbox.path("c/p.json")).unwrap();
    let saved: serde_json::Value = serde_json::from_str(&saved).unwrap();
    write(&sandbox, "victim/there.yaml", "n: c4n4ry\n");
    let victim = sandbox.path("victim");
    for (field, option) in [("files", "-f"), ("values_files", "--values-file")] {
        for name in ["there.yaml", "none.yaml", ""] {
            for path in [victim.join(name).display().to_string(), format!("../victim/{name}")] {
                let mut document = saved.clone();
                document["inputs"][field] = serde_json::json!([path]);
                write(&sandbox, "c/x.json", document.to_string());
                mode(&sandbox.path("c/x.json"), 0o600);
                let run = run_in(&sandbox, "c", &["apply", "x.json", "--embedded"]);
                refused(&run, 6, &format!("made from {path}, which is outside this folder"));
                assert!(run.stderr.contains(&format!("{option} {path}")), "{}", run.stderr);
                assert!(!all(&run).contains("c4n4ry"), "{}", all(&run));
            }
        }
    }
    assert_eq!(run_in(&sandbox, "c", &["apply", "p.json", "--embedded"]).code, 0);
    // What the hint says works.
    write(&sandbox, "infra/b.yaml", room("b", ""));
    let plan = ["plan", "-f", "../infra", "--embedded", "--set", "i", "--out", "i.json"];
    assert_eq!(run_in(&sandbox, "c", &plan).code, 0);
    let apply = ["apply", "i.json", "--embedded"];
    refused(&run_in(&sandbox, "c", &apply), 6, "-f ../infra");
    let apply = [&apply[..], &["-f", "../infra"]].concat();
    assert_eq!(run_in(&sandbox, "c", &apply).code, 0);
}

#[test]
fn what_others_may_have_written_decides_nothing() {
    let sandbox = Sandbox::new();
    write(&sandbox, "c/m/a.yaml", room("a", ""));
    assert_eq!(
        run_in(&sandbox, "c", &["plan", "-f", "m", "--embedded", "--out", "p.json"]).code,
        0
    );
    write(&sandbox, ".meshagent/project.json", "{\"active_project\": \"p\"}");
    write(&sandbox, ".meshagent/session.json", "{\"access_token\": \"c4n4ry-token\"}");
    let cases = [
        ("c", "c/p.json", &["apply", "p.json", "--embedded"][..]),
        (".meshagent", ".meshagent/project.json", &["rooms", "list"]),
        (".meshagent", ".meshagent/session.json", &["auth", "whoami"]),
    ];
    for (folder, file, words) in cases {
        let (folder, file) = (sandbox.path(folder), sandbox.path(file));
        for (path, wrong, right) in [(&file, 0o666, 0o600), (&folder, 0o777, 0o700)] {
            mode(path, wrong);
            let run = run_in(&sandbox, "c", words);
            assert!(run.code != 0, "{words:?}");
            assert!(run.stderr.contains("anybody may"), "{words:?}: {}", run.stderr);
            assert!(run.stderr.contains("chmod "), "{words:?}: {}", run.stderr);
            mode(path, right);
        }
        assert!(!run_in(&sandbox, "c", words).stderr.contains("anybody may"), "{words:?}");
    }
    // A folder above what holds keys is told of.
    std::fs::create_dir_all(sandbox.path("open/data")).unwrap();
    mode(&sandbox.path("open/data"), 0o700);
    mode(&sandbox.path("open"), 0o777);
    let run = run_in(&sandbox, "c", &["plan", "-f", "m", "--embedded=../open/data"]);
    assert!(
        run.code == 0 && run.stderr.contains("anybody on this machine may replace"),
        "{}",
        run.stderr
    );
    mode(&sandbox.path("open"), 0o1777);
    let run = run_in(&sandbox, "c", &["plan", "-f", "m", "--embedded=../open/data"]);
    assert!(run.code == 0 && !run.stderr.contains("anybody on this machine"), "{}", run.stderr);
}

#[test]
fn a_settings_file_that_cannot_be_read_is_not_quoted() {
    let sandbox = Sandbox::new();
    for text in [
        "{\"active_api_keys\": {\"p\": [\"ma-c4n4ry\"]}}",
        "{\"active_api_keys\": \"ma-c4n4ry\"}",
        "{\"active_project\": {\"ma-c4n4ry\": 1}}",
        "\"ma-c4n4ry\"",
        "{\"active_project\": \"ma-c4n4ry",
    ] {
        write(&sandbox, ".meshagent/project.json", text);
        let run = sandbox.run(&["rooms", "list"]);
        refused(&run, 2, ".meshagent/project.json:1:");
        assert!(!all(&run).contains("c4n4ry"), "{}", all(&run));
    }
}
