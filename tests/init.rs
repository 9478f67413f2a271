//! `init`: what it writes is a project that plans, and nothing of others is written over.

use crate::cli::Sandbox;
use meshagent::manifest::yaml;

fn read(sandbox: &Sandbox, file: &str) -> String {
    std::fs::read_to_string(sandbox.path(file)).unwrap()
}

const WRITTEN: [&str; 5] = [
    "manifests/rooms.yaml",
    "manifests/agents.yaml",
    "schemas/manifest.json",
    ".meshagentignore",
    ".gitignore",
];

#[test]
fn the_usual_answers_make_a_project_that_is_planned() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["init", "support", "--yes"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("2 to create"), "{}", run.stdout);
    for file in WRITTEN.iter().chain([&".github/workflows/meshagent.yml"]) {
        assert!(sandbox.path("support").join(file).is_file(), "{file}");
    }
    // A name that begins as an option does is one all the same.
    let run = sandbox.run(&["init", "--yes", "--", "-x"]);
    assert!(run.stdout.contains("2 to create"), "{}", run.stderr);
    // All of it can be given, too.
    assert_eq!(sandbox.run(&["validate", "-f", "support"]).code, 0);
    // The project of the credential is not described, but when that is asked for.
    assert!(!sandbox.path("support/manifests/project.yaml").exists());
    let run = sandbox.run(&["init", "other", "--yes", "--project", "acme"]);
    assert!(run.stdout.contains("create Project/acme"), "{}", run.stdout);
    assert!(run.stderr.contains("if the project acme already exists"), "{}", run.stderr);
    // What editors are told to check by is where the first lines say.
    let modeline = "# yaml-language-server: $schema=../schemas/manifest.json\n";
    assert!(read(&sandbox, "support/manifests/rooms.yaml").starts_with(modeline));
    let applied = ["apply", "-f", "support/manifests", "--embedded=data", "--yes"];
    assert_eq!(sandbox.run(&applied).code, 0);
    let again = sandbox.run(&["plan", "-f", "support/manifests", "--embedded=data", "--exit-code"]);
    assert_eq!(again.code, 0, "{}", again.stdout);
}

#[test]
fn what_is_there_is_not_written_over() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("manifests")).unwrap();
    sandbox.write("manifests/rooms.yaml", "mine\n");
    sandbox.write(".gitignore", "mine\n");
    let run = sandbox.run(&["init", "--yes", "--ci", "none"]);
    assert_eq!(run.code, 2);
    assert_eq!(
        run.stderr,
        "error: manifests/rooms.yaml already exists, so nothing was written\nhint: use an empty folder: `meshagent init FOLDER`\n"
    );
    assert!(!sandbox.path("manifests/agents.yaml").exists());
    std::fs::remove_file(sandbox.path("manifests/rooms.yaml")).unwrap();
    let run = sandbox.run(&["init", "--yes", "--ci", "none"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stderr.contains(
            "kept your .gitignore; add `.meshagent/`, `plan.json` and `report.json` to it"
        ),
        "{}",
        run.stderr
    );
    assert_eq!(read(&sandbox, ".gitignore"), "mine\n");
}

#[test]
fn a_run_that_was_interrupted_goes_on() {
    let whole = Sandbox::new();
    assert_eq!(whole.run(&["init", "--yes", "--ci", "github"]).code, 0);
    let sandbox = Sandbox::new();
    for file in ["manifests/rooms.yaml", "schemas/manifest.json"] {
        let path = sandbox.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(whole.path(file), path).unwrap();
    }
    let run = sandbox.run(&["init", "--yes", "--ci", "github"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for told in ["manifests/rooms.yaml is already written\n", "wrote manifests/agents.yaml\n"] {
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    assert_eq!(read(&sandbox, ".gitignore"), read(&whole, ".gitignore"));
}

#[test]
fn a_gitignore_of_ones_own_is_kept_if_it_is_a_file_and_told_what_it_lacks() {
    use std::os::unix::fs::symlink;
    for (own, told) in [
        (".meshagent/\nplan.json\nreport.json\n", "kept your .gitignore\n"),
        ("/.meshagent\n", "kept your .gitignore; add `plan.json` and `report.json` to it\n"),
        ("x\n", "add `.meshagent/`, `plan.json` and `report.json` to it\n"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write(".gitignore", own);
        let run = sandbox.run(&["init", "--yes", "--ci", "none"]);
        assert!(run.code == 0 && run.stderr.contains(told), "{}", run.stderr);
        assert_eq!(read(&sandbox, ".gitignore"), own);
    }
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("folder/.gitignore")).unwrap();
    std::fs::create_dir(sandbox.path("link")).unwrap();
    symlink("nowhere", sandbox.path("link/.gitignore")).unwrap();
    for folder in ["folder", "link"] {
        let run = sandbox.run(&["init", folder, "--yes", "--ci", "none"]);
        let told = format!("error: {folder}/.gitignore already exists, so nothing was written\n");
        assert!(run.code == 2 && run.stderr.starts_with(&told), "{}", run.stderr);
        assert_eq!(std::fs::read_dir(sandbox.path(folder)).unwrap().count(), 1);
    }
}

/// Nothing is written where it could not be planned, or would lie elsewhere.
#[test]
fn a_folder_that_does_not_fit_is_refused() {
    use std::os::unix::fs::symlink;
    let sandbox = Sandbox::new();
    for folder in ["other", "linked/x", "file"] {
        std::fs::create_dir_all(sandbox.path(folder)).unwrap();
    }
    std::fs::create_dir(sandbox.path("other/manifests")).unwrap();
    sandbox.write("other/manifests/old.yaml", "{");
    symlink("x", sandbox.path("linked/manifests")).unwrap();
    std::fs::create_dir_all(sandbox.path("shared/manifests")).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(sandbox.path("shared/manifests"), open).unwrap();
    sandbox.write("file/schemas", "");
    sandbox.write("plain", "");
    for folder in ["plain", "plain/below"] {
        let run = sandbox.run(&["init", folder, "--yes"]);
        let told = "error: plain is not a folder, so nothing was written\nhint: ";
        assert!(run.code == 2 && run.stderr.starts_with(told), "{}", run.stderr);
    }
    for (folder, error) in [
        ("other", "other/manifests/old.yaml already exists, so nothing was written"),
        ("linked", "linked/manifests is a link, so nothing was written"),
        ("file", "file/schemas is not a folder, so nothing was written"),
        ("shared", "anybody may replace what is in shared/manifests, so nothing was written"),
    ] {
        let run = sandbox.run(&["init", folder, "--yes"]);
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.starts_with(&format!("error: {error}\nhint: ")), "{}", run.stderr);
        let there = std::fs::read_dir(sandbox.path(folder)).unwrap().count();
        assert!(there <= 2 && !sandbox.path(folder).join(".gitignore").exists(), "{folder}");
    }
}

#[test]
fn what_is_told_next_can_be_typed_and_workflows_lie_where_they_are_read() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path(".git")).unwrap();
    sandbox.write(".git/HEAD", "ref: refs/heads/main\n");
    let run = sandbox.run(&["init", "my shop", "--yes", "--ci", "github"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for told in [
        "`meshagent plan -f 'my shop/manifests' --embedded='my shop/.meshagent/embedded'`",
        "CI reads workflows only at the root of a repository: move my shop/.github to ",
        ", and write `my shop/` before the paths in it",
    ] {
        assert!(run.stderr.contains(told), "{told} is not in {}", run.stderr);
    }
    let run = sandbox.run(&["init", ".", "--yes", "--ci", "github"]);
    assert!(!run.stderr.contains("root of a repository"), "{}", run.stderr);
}

#[test]
fn names_are_written_so_that_yaml_reads_them_back() {
    for name in ["123", "no", "null", "a: b", "x #y", "'", "- z", "@room@", "ä \"q\" \\"] {
        let sandbox = Sandbox::new();
        let project = format!("--project={name}");
        let run = sandbox.run(&["init", "--yes", &project, "--room", "1e3", "--ci", "none"]);
        assert_eq!(run.code, 0, "{name}: {}", run.stderr);
        let parsed = |file: &str| yaml::parse(&read(&sandbox, file)).unwrap().remove(0).to_json();
        assert_eq!(parsed("manifests/project.yaml")["metadata"]["name"], name);
        assert_eq!(parsed("manifests/rooms.yaml")["metadata"]["name"], "1e3");
        assert_eq!(parsed("manifests/agents.yaml")["room"], "1e3");
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let sandbox = Sandbox::new();
    for (words, wrong) in [
        (["init", "--project", "", "--yes"], "--project \"\" is not a valid name"),
        (["init", "--room", "Big Room", "--yes"], "--room \"Big Room\" is not a valid name"),
        (["init", "--ci", "github", "-f"], "unexpected argument '-f' found"),
    ] {
        let run = sandbox.run(&words);
        assert_eq!(run.code, 2, "{words:?}");
        assert!(run.stderr.starts_with(&format!("error: {wrong}\nhint: ")), "{}", run.stderr);
    }
    let long = "r".repeat(5000);
    let run = sandbox.run(&["init", "--room", &long, "--yes"]);
    assert!(run.code == 2 && run.stderr.len() < 400, "{}", run.stderr);
    assert!(!run.stderr.contains("metadata.name"), "{}", run.stderr);
    // Without a terminal nothing is asked.
    let run = sandbox.run(&["init", "--room", "lobby"]);
    let hint = "hint: give --ci, or --yes for the default answers\n";
    assert_eq!((run.code, run.stderr.ends_with(hint)), (2, true), "{}", run.stderr);
    assert!(!sandbox.path("manifests").exists());
}

#[test]
fn the_commands_of_the_workflows_are_ones_that_exist() {
    for (ci, file) in [("github", ".github/workflows/meshagent.yml"), ("gitlab", ".gitlab-ci.yml")]
    {
        let sandbox = Sandbox::new();
        assert_eq!(sandbox.run(&["init", "--yes", "--ci", ci]).code, 0);
        let text = read(&sandbox, file);
        assert_eq!(yaml::parse(&text).unwrap().len(), 1);
        let lines = text.lines().map(|line| line.trim().trim_start_matches("- "));
        let lines = lines.map(|line| line.trim_start_matches("run: "));
        let lines: Vec<&str> = lines.filter(|line| line.starts_with("meshagent ")).collect();
        assert!(lines.len() >= 3, "{lines:?}");
        for line in lines {
            let line =
                line.replace('"', "").replace("$RUNNER_TEMP/", "").replace("$(mktemp -d)/", "");
            let words = line.split_whitespace().take_while(|word| !word.starts_with('>'));
            let parsed = meshagent::commands::tree().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{line}");
        }
    }
}
