//! Manifests read files of their own folder and repository, and no others.

use std::os::unix::fs::symlink;

use super::{all, refused, room, secret, write};
use crate::cli::{Run, Sandbox};

/// A folder of manifests beside what is none of theirs, which no run may show.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    write(&sandbox, "outside/credentials", "[default]\naws_secret_access_key = c4n4ry\n");
    write(&sandbox, "outside/folder/a.yaml", "aws_secret_access_key: c4n4ry\n");
    write(&sandbox, "m/a.yaml", room("a", ""));
    sandbox
}

#[track_caller]
fn keeps(sandbox: &Sandbox, arguments: &[&str], code: i32, told: &str) {
    let run = sandbox.run(arguments);
    refused(&run, code, told);
    assert!(!all(&run).contains("c4n4ry"), "{arguments:?}: {}", all(&run));
}

#[test]
fn a_link_that_leads_outside_is_refused_and_no_line_is_quoted() {
    for (link, target) in [
        ("m/link.yaml", "../outside/credentials"),
        ("m/link.json", "../outside/credentials"),
        ("m/link.yaml.j2", "../outside/credentials"),
        ("m/below", "../outside/folder"),
        ("m/.meshagentignore", "../outside/credentials"),
    ] {
        let sandbox = sandbox();
        symlink(target, sandbox.path(link)).unwrap();
        let told = format!("{link}: the link leads outside ");
        for command in ["validate", "plan", "diff", "graph", "accept", "destroy"] {
            let embedded: &[&str] = if command == "validate" { &[] } else { &["--embedded"] };
            let words = [&[command, "-f", "m"][..], embedded].concat();
            let run = sandbox.run(&words);
            assert!(run.code != 0, "{words:?}");
            assert!(run.stderr.contains(&told), "{words:?}: {}", run.stderr);
            assert!(!all(&run).contains("c4n4ry"), "{words:?}: {}", all(&run));
        }
        // A folder that is named itself is the user's own choice.
        if link != "m/below" {
            keeps(&sandbox, &["validate", "-f", link], 2, "reading there is not allowed");
        }
    }
}

#[test]
fn values_behind_a_link_are_not_read() {
    let sandbox = sandbox();
    symlink("../outside/folder/a.yaml", sandbox.path("m/values.yaml")).unwrap();
    let template = room("b", "room_metadata: {k: \"{{ aws_secret_access_key }}\"}\n");
    write(&sandbox, "m/b.yaml.j2", template);
    let plan = ["plan", "-f", "m", "--embedded"];
    keeps(&sandbox, &plan, 6, "m/values.yaml: the link leads outside ");
    std::fs::rename(sandbox.path("m/values.yaml"), sandbox.path("m/v.yml")).unwrap();
    let plan = ["plan", "-f", "m/b.yaml.j2", "--values-file", "m/v.yml", "--embedded"];
    keeps(&sandbox, &plan, 2, "m/v.yml: the link leads outside ");
}

#[test]
fn a_secret_is_not_read_from_a_file_outside_unless_the_folder_is_allowed() {
    let sandbox = sandbox();
    symlink("../outside/credentials", sandbox.path("m/link.txt")).unwrap();
    let outside = sandbox.path("outside/credentials").display().to_string();
    for path in ["../outside/credentials", "link.txt", &outside, "/proc/self/environ", "/dev/stdin"]
    {
        write(&sandbox, "m/s.yaml", secret(&format!("{{file: {path:?}}}")));
        let apply = ["apply", "-f", "m", "--yes", "--embedded"];
        keeps(&sandbox, &apply, 6, "m/s.yaml:6:7: ");
        keeps(&sandbox, &apply, 6, "reading there is not allowed");
        let plan = ["plan", "-f", "m", "--embedded"];
        keeps(&sandbox, &plan, 0, "note: m/s.yaml:6:7: ");
        keeps(&sandbox, &plan, 0, "reading there is not allowed");
        keeps(&sandbox, &["validate", "-f", "m"], 0, "applying needs the secret");
    }
    write(&sandbox, "m/s.yaml", secret("{age: {file: ../outside/credentials}}"));
    let apply = ["apply", "-f", "m", "--yes", "--embedded"];
    keeps(&sandbox, &apply, 6, "and reading there is not allowed");
    write(&sandbox, "m/s.yaml", secret("{file: ../outside/credentials}"));
    let allowed = ["plan", "-f", "m", "--embedded", "--allow-files", "outside"];
    keeps(&sandbox, &allowed, 0, "");
    let wrong = ["plan", "-f", "m", "--embedded", "--allow-files", "nowhere"];
    keeps(&sandbox, &wrong, 2, "--allow-files nowhere: there is no such folder");
}

#[test]
fn whether_a_file_outside_exists_is_not_told() {
    let sandbox = sandbox();
    sandbox.embedded(0, &["rooms", "list"]);
    let told = |path: &str| {
        write(&sandbox, "m/s.yaml", secret(&format!("{{file: {path}}}")));
        let runs = [&["validate", "-f", "m"][..], &["plan", "-f", "m", "--embedded"]];
        runs.map(|words| all(&sandbox.run(words)).replace(path, "PATH"))
    };
    assert_eq!(told("../outside/credentials"), told("../outside/nothing"));
    assert_eq!(told("../outside/folder/a.yaml"), told("../outside/folder/b.yaml"));
}

#[test]
fn a_repository_is_the_reach_of_its_manifests_but_for_its_credentials() {
    let sandbox = sandbox();
    sandbox.repository("r");
    write(&sandbox, "r/.git/config", "[http]\n\textraheader = AUTHORIZATION: c4n4ry\n");
    write(&sandbox, "r/tokens/t", "hunter2\n");
    write(&sandbox, "r/shared/b.yaml", room("b", ""));
    write(&sandbox, "r/m/s.yaml", secret("{file: ../tokens/t}"));
    symlink("../shared", sandbox.path("r/m/shared")).unwrap();
    let plan = ["plan", "-f", "r/m", "--out", "p.json", "--embedded"];
    let planned = sandbox.embedded(0, &plan[..3]);
    assert!(planned.stdout.contains("create Room/b"), "{}", planned.stdout);
    write(&sandbox, "r/m/s.yaml", secret("{file: ../.git/config}"));
    keeps(&sandbox, &plan, 6, "reading there is not allowed");
    symlink("../.git/config", sandbox.path("r/m/c.yaml")).unwrap();
    keeps(&sandbox, &["validate", "-f", "r/m"], 2, "r/m/c.yaml: the link leads outside ");
}

#[test]
fn a_saved_plan_is_allowed_again_what_it_was_allowed() {
    let sandbox = sandbox();
    write(&sandbox, "m/s.yaml", secret("{file: ../outside/credentials}"));
    let allow = ["--allow-files", "outside"];
    sandbox.embedded(0, &[&["plan", "-f", "m", "--out", "p.json"][..], &allow].concat());
    let told = "the plan was made with --allow-files outside, but that permission is not taken from a plan";
    refused(&sandbox.embedded(6, &["apply", "p.json"]), 6, told);
    sandbox.embedded(0, &[&["apply", "p.json"][..], &allow].concat());
}

#[test]
fn rules_behind_a_link_are_not_read() {
    let sandbox = sandbox();
    std::fs::create_dir(sandbox.path("rules")).unwrap();
    symlink("../outside/credentials", sandbox.path("rules/a.rego")).unwrap();
    let plan = ["plan", "-f", "m", "--embedded", "--policy", "rules"];
    keeps(&sandbox, &plan, 2, "rules/a.rego: the link leads outside ");
}

#[test]
fn identities_that_others_can_read_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox.run(&["secret", "keygen"]);
    let file = sandbox.path(".meshagent/age.txt");
    write(&sandbox, "plain", "hunter2");
    let encrypted = sandbox.run(&["secret", "encrypt", "plain"]);
    assert_eq!(encrypted.code, 0, "{}", encrypted.stderr);
    write(&sandbox, "x.age", &encrypted.stdout);
    for mode in [0o640, 0o604, 0o660] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let run = sandbox.run(&["secret", "decrypt", "x.age"]);
        refused(&run, 2, &format!("can be read by others (mode {mode:o})"));
        assert!(run.stderr.contains("chmod 600 "), "{}", run.stderr);
    }
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(sandbox.run(&["secret", "decrypt", "x.age"]).stdout, "hunter2");
    // The same where a variable names the file, and where a manifest needs it.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut command = sandbox.command(&["secret", "decrypt", "x.age"]);
    let named = Run::of(command.env("MESHAGENT_AGE_KEY_FILE", &file).output().unwrap());
    refused(&named, 2, "can be read by others");
    write(&sandbox, "m/x.age", &encrypted.stdout);
    write(&sandbox, "m/s.yaml", secret("{age: {file: x.age}}"));
    refused(&sandbox.run(&["plan", "-f", "m", "--embedded"]), 6, "can be read by others");
}
