//! What is deleted because no document declares it any more, and what stays: what was not
//! looked at is not gone.

use crate::cli::{Run, Sandbox};
use crate::platform::harness::Server;

/// A room in a manifest of its own.
fn room(name: &str) -> String {
    format!("version: v1\nkind: Room\nmetadata: {{name: {name}}}\n")
}

/// Sandboxes with a set of several files in `manifests`.
fn applied(files: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("manifests/deep")).unwrap();
    for (file, text) in files {
        sandbox.write(file, text);
    }
    sandbox.embedded(0, &["apply", "-f", "manifests", "--yes"]);
    sandbox
}

fn rooms(sandbox: &Sandbox) -> Vec<String> {
    let listed = sandbox.embedded(0, &["rooms", "list", "-q"]);
    let mut rooms: Vec<String> = listed.stdout.lines().map(str::to_owned).collect();
    rooms.sort();
    rooms
}

#[track_caller]
fn tells(run: &Run, expected: &str) {
    assert!(run.stderr.contains(expected), "{expected:?} is not in\n{}", run.stderr);
}

#[test]
fn one_new_file_leaves_what_other_files_declare_alone() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("manifests")).unwrap();
    for name in ["front", "kitchen", "bar"] {
        let service = format!(
            "---\nversion: v1\nkind: Service\nmetadata: {{name: bot}}\nroom: {name}\ncontainer: {{image: a/b:c}}\n"
        );
        sandbox.write(&format!("manifests/{name}.yaml"), &(room(name) + &service));
    }
    sandbox.embedded(0, &["apply", "-f", "manifests", "--yes"]);
    sandbox.write("new.yaml", &room("terrace"));
    let run = sandbox.embedded(0, &["apply", "-f", "new.yaml", "--yes"]);
    tells(
        &run,
        "6 objects of this set are declared in manifests/, which was not given; they stay. --prune=all deletes them",
    );
    assert_eq!(rooms(&sandbox), ["bar", "front", "kitchen", "terrace"]);
    // The other way round it is the new file that is not looked at.
    let run = sandbox.embedded(0, &["plan", "-f", "manifests", "--exit-code"]);
    tells(&run, "1 object of this set is declared in new.yaml, which was not given; it stays");
    // Both together are the whole set.
    let run = sandbox.embedded(0, &["plan", "-f", "manifests", "-f", "new.yaml"]);
    assert!(!run.stderr.contains("stay"), "{}", run.stderr);
    // What is asked for is done, within the budget.
    sandbox.embedded(6, &["apply", "-f", "new.yaml", "--prune", "all", "--yes"]);
    sandbox
        .embedded(0, &["apply", "-f", "new.yaml", "--prune=all", "--allow-deletes", "6", "--yes"]);
    assert_eq!(rooms(&sandbox), ["terrace"]);
}

#[test]
fn a_file_that_went_from_a_folder_that_was_read_is_pruned() {
    let sandbox = applied(&[
        ("manifests/a.yaml", &room("a")),
        ("manifests/deep/b.yaml", &room("b")),
        ("manifests/deep/c.yaml", &room("c")),
    ]);
    std::fs::remove_file(sandbox.path("manifests/deep/b.yaml")).unwrap();
    // A folder above and one below see the same files.
    for folder in ["manifests", ".", "manifests/deep", "./manifests/../manifests/"] {
        let plan = sandbox.embedded(0, &["plan", "-f", folder]);
        assert!(plan.stdout.contains("delete Room/b"), "{folder}: {}", plan.stdout);
        assert!(!plan.stdout.contains("delete Room/a"), "{folder}: {}", plan.stdout);
    }
    std::fs::remove_dir_all(sandbox.path("manifests/deep")).unwrap();
    sandbox.embedded(0, &["apply", "-f", "manifests", "--yes"]);
    assert_eq!(rooms(&sandbox), ["a"]);
}

#[test]
fn an_object_is_where_it_was_declared_last() {
    let sandbox = applied(&[("manifests/a.yaml", &(room("a") + "---\n" + &room("b")))]);
    sandbox.write("elsewhere.yaml", &room("b"));
    sandbox.write("manifests/a.yaml", &room("a"));
    // It moved to another file, and nothing about it changes but where it is declared.
    let run = sandbox.embedded(0, &["apply", "-f", "manifests", "-f", "elsewhere.yaml", "--yes"]);
    assert!(run.stdout.contains("Nothing to change"), "{}", run.stdout);
    let run = sandbox.embedded(0, &["plan", "-f", "manifests"]);
    tells(&run, "1 object of this set is declared in elsewhere.yaml, which was not given");
    sandbox.write("elsewhere.yaml", &room("z"));
    sandbox.embedded(0, &["apply", "-f", "elsewhere.yaml", "--yes"]);
    assert_eq!(rooms(&sandbox), ["a", "z"]);
}

#[test]
fn what_is_skipped_is_not_gone() {
    let sandbox = applied(&[
        ("manifests/a.yaml", &room("a")),
        ("manifests/deep/b.yaml", &room("b")),
        ("manifests/c.yaml", &room("c")),
    ]);
    sandbox.write("manifests/.meshagentignore", "deep\nc.yaml\n");
    let run = sandbox.embedded(0, &["apply", "-f", "manifests", "--yes"]);
    tells(
        &run,
        "1 object of this set is declared in a part of manifests/deep/ that was skipped; it stays",
    );
    tells(
        &run,
        "1 object of this set is declared in a part of manifests/ that was skipped; it stays",
    );
    assert_eq!(rooms(&sandbox), ["a", "b", "c"]);
}

#[test]
fn standard_input_is_a_place_like_any_other() {
    let sandbox = applied(&[("manifests/a.yaml", &room("a"))]);
    let pipe = |text: &str, arguments: &[&str]| {
        sandbox.write("piped.txt", text);
        let mut command = sandbox.command(&[arguments, &["-f", "-", "--embedded"]].concat());
        command.stdin(std::fs::File::open(sandbox.path("piped.txt")).unwrap());
        Run::of(command.output().unwrap())
    };
    let both = room("x") + "---\n" + &room("y");
    assert_eq!(pipe(&both, &["apply", "--yes"]).code, 0);
    let run = pipe(&room("x"), &["plan"]);
    assert!(run.stdout.contains("delete Room/y"), "{}", run.stdout);
    assert!(!run.stdout.contains("delete Room/a"), "{}", run.stdout);
    let run = sandbox.embedded(0, &["plan", "-f", "manifests"]);
    tells(&run, "2 objects of this set are declared in standard input, which was not given");
}

#[test]
fn a_former_object_goes_with_whoever_names_it_unless_another_file_declares_it() {
    let task = |name: &str, more: &str| {
        format!(
            "version: v1\nkind: ScheduledTask\nmetadata: {{name: {name}}}\nroom: a\nqueue: q\nschedule: '@daily'\n{more}"
        )
    };
    let sandbox =
        applied(&[("manifests/a.yaml", &room("a")), ("manifests/task.yaml", &task("nightly", ""))]);
    sandbox.write("new.yaml", &task("daily", "lifecycle: {moved_from: nightly}\n"));
    let plan = sandbox.embedded(0, &["plan", "-f", "new.yaml"]);
    assert!(!plan.stdout.contains("delete"), "{}", plan.stdout);
    tells(&plan, "2 objects of this set are declared in manifests/, which was not given");
    std::fs::remove_file(sandbox.path("manifests/task.yaml")).unwrap();
    let plan = sandbox.embedded(0, &["plan", "-f", "new.yaml"]);
    assert!(plan.stdout.contains("delete ScheduledTask/nightly"), "{}", plan.stdout);
    let plan = sandbox.embedded(0, &["plan", "-f", "new.yaml", "--no-prune"]);
    assert!(!plan.stdout.contains("delete"), "{}", plan.stdout);
}

#[test]
fn who_renames_a_room_is_told_of_another_file_that_declares_it() {
    let sandbox = applied(&[("manifests/a.yaml", &room("a")), ("manifests/b.yaml", &room("b"))]);
    sandbox.write("new.yaml", &(room("c") + "lifecycle: {moved_from: a}\n"));
    let run = sandbox.embedded(0, &["plan", "-f", "new.yaml"]);
    tells(&run, "Room/a is renamed to Room/c; manifests/, which was not given, also declares it");
    std::fs::remove_file(sandbox.path("manifests/a.yaml")).unwrap();
    let plan = sandbox.embedded(0, &["plan", "-f", "new.yaml"]);
    assert!(plan.stdout.contains("rename Room/c"), "{}", plan.stdout);
    assert!(!plan.stderr.contains("declares it"), "{}", plan.stderr);
}

#[test]
fn a_copy_of_a_document_does_not_take_its_object_away_from_the_original() {
    let sandbox = applied(&[("manifests/a.yaml", &room("a"))]);
    sandbox.write("copy.yaml", &room("a"));
    sandbox.embedded(0, &["apply", "-f", "copy.yaml", "--yes"]);
    sandbox.write("copy.yaml", &room("b"));
    let run = sandbox.embedded(0, &["apply", "-f", "copy.yaml", "--yes"]);
    tells(&run, "1 object of this set is declared in manifests/, which was not given; it stays");
    assert_eq!(rooms(&sandbox), ["a", "b"]);
    // Once the original is gone or says otherwise, nothing keeps it.
    std::fs::remove_file(sandbox.path("manifests/a.yaml")).unwrap();
    std::fs::write(sandbox.path("manifests/b.yaml"), room("z")).unwrap();
    let args = ["apply", "-f", "copy.yaml", "-f", "manifests", "--yes"];
    sandbox.embedded(0, &args);
    assert_eq!(rooms(&sandbox), ["b", "z"]);
}

#[test]
fn folders_of_one_name_that_lie_elsewhere_are_others() {
    let sandbox = Sandbox::new();
    let data = format!("--embedded={}", sandbox.path("data").display());
    let apply = |folder: &str, file: &str| {
        let mut command = sandbox.command(&["apply", "-f", file, "--yes", &data]);
        let run = Run::of(command.current_dir(sandbox.path(folder)).output().unwrap());
        assert_eq!(run.code, 0, "{}", run.stderr);
        run
    };
    for (folder, name) in [("support", "a"), ("sales", "b"), ("third", "c")] {
        std::fs::create_dir_all(sandbox.path(&format!("{folder}/manifests"))).unwrap();
        sandbox.write(&format!("{folder}/manifests/rooms.yaml"), &room(name));
        // A repository without an origin is told from others by its folder.
        if folder == "third" {
            sandbox.repository("third");
        }
        apply(folder, if folder == "sales" { "." } else { "manifests" });
    }
    let run = apply("support/manifests", ".");
    for place in ["/sales/manifests/, which", "/third, which"] {
        tells(&run, &format!("{place} was not given; it stays"));
    }
}

#[test]
fn a_pipe_that_brings_nothing_deletes_nothing() {
    let sandbox = applied(&[("manifests/a.yaml", &room("a"))]);
    let pipe = |text: &str, more: &[&str]| {
        sandbox.write("piped.txt", text);
        let words = ["apply", "--yes", "-f", "manifests", "-f", "-", "--embedded"];
        let mut command = sandbox.command(&[&words[..], more].concat());
        command.stdin(std::fs::File::open(sandbox.path("piped.txt")).unwrap());
        Run::of(command.output().unwrap())
    };
    assert_eq!(pipe(&room("x"), &[]).code, 0);
    for text in ["", "---\n", "# nothing\n"] {
        let run = pipe(text, &[]);
        assert_eq!(run.code, 6, "{}", run.stdout);
        tells(&run, "standard input declares nothing");
    }
    assert_eq!(pipe("", &["--allow-empty"]).code, 0);
    assert_eq!(rooms(&sandbox), ["a"]);
}

/// What a shell's `<(…)` opens has a number that says nothing of what comes of it.
#[test]
fn a_pipe_with_a_number_is_no_place() {
    let sandbox = applied(&[("manifests/a.yaml", &room("a"))]);
    let piped = |text: &str, more: &str| {
        sandbox.write("piped.txt", text);
        let words = ["apply", "--yes", "-f", "manifests", "-f", "/dev/fd/9", "--embedded"];
        let command = sandbox.command(&words);
        let mut shell = std::process::Command::new("bash");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let script = format!("exec 9< <(cat piped.txt); exec \"$0\" \"$@\" {more}");
        shell.args(["-c", &script]).arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        Run::of(shell.output().unwrap())
    };
    assert_eq!(piped(&room("x"), "").code, 0);
    let run = piped(&room("y"), "");
    assert_eq!(run.code, 0, "{}", run.stderr);
    tells(&run, "declared in a pipe, which was not given; it stays");
    assert_eq!(rooms(&sandbox), ["a", "x", "y"]);
    let run = piped("", "");
    assert_eq!(run.code, 6, "{}", run.stdout);
    tells(&run, "a pipe declares nothing");
}

#[test]
fn files_destroy_what_they_declare_and_a_set_without_files_all_of_it() {
    let sandbox = applied(&[("manifests/a.yaml", &room("a")), ("manifests/b.yaml", &room("b"))]);
    sandbox.write("new.yaml", &room("c"));
    sandbox.embedded(0, &["apply", "-f", "new.yaml", "--yes"]);
    let run = sandbox.embedded(0, &["destroy", "-f", "new.yaml", "--yes"]);
    tells(
        &run,
        "2 objects of this set are declared in manifests/, which was not given; they stay. without -f, `destroy` deletes them, too",
    );
    assert_eq!(rooms(&sandbox), ["a", "b"]);
    sandbox.embedded(0, &["destroy", "--yes"]);
    assert_eq!(rooms(&sandbox), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_destroyed_in_the_project_that_the_environment_names() {
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    let run = async |words: &[&str], project: Option<&str>| {
        let mut command = sandbox.command(&[words, &["--api-url", &platform.url]].concat());
        command.env("MESHAGENT_API_KEY", &platform.owner);
        command.envs(project.map(|project| ("MESHAGENT_PROJECT_ID", project)));
        let run = tokio::task::spawn_blocking(move || Run::of(command.output().unwrap()));
        let run = run.await.unwrap();
        assert_eq!(run.code, 0, "{words:?}: {}", run.stderr);
        run
    };
    for project in ["one", "two"] {
        sandbox.write("set.yaml", &room("a"));
        run(&["project", "create", project], None).await;
        run(&["apply", "-f", "set.yaml", "--yes", "--project-id", project], None).await;
    }
    run(&["destroy", "--yes"], Some("one")).await;
    let left = run(&["rooms", "list", "-q", "--project-id", "two"], None).await;
    assert_eq!(left.stdout, "a\n");
    // Where nobody chose one, a set is what it is in every project.
    run(&["destroy", "--yes"], None).await;
    let left = run(&["rooms", "list", "-q", "--project-id", "two"], None).await;
    assert_eq!(left.stdout, "");
}

#[test]
fn a_set_is_destroyed_in_the_project_that_is_meant() {
    let sandbox = Sandbox::new();
    for project in ["one", "two"] {
        sandbox.embedded(0, &["project", "create", project]);
        sandbox.write("set.yaml", &room("a"));
        sandbox.embedded(0, &["apply", "-f", "set.yaml", "--project-id", project, "--yes"]);
    }
    sandbox.embedded(0, &["destroy", "--project-id", "one", "--yes"]);
    let left = sandbox.embedded(0, &["rooms", "list", "-q", "--project-id", "two"]);
    assert_eq!(left.stdout, "a\n");
}

#[test]
fn a_protection_that_a_rename_takes_away_is_shown() {
    let protected = "lifecycle: {prevent_destroy: true}\n";
    let sandbox = applied(&[("manifests/a.yaml", &(room("a") + protected))]);
    sandbox.write("manifests/a.yaml", &(room("b") + "lifecycle: {moved_from: a}\n"));
    let plan = sandbox.embedded(0, &["plan", "-f", "manifests"]);
    assert!(plan.stdout.contains("- lifecycle.prevent_destroy: true"), "{}", plan.stdout);
    let kept = room("b") + "lifecycle: {moved_from: a, prevent_destroy: true}\n";
    sandbox.write("manifests/a.yaml", &kept);
    let plan = sandbox.embedded(0, &["plan", "-f", "manifests"]);
    assert!(!plan.stdout.contains("prevent_destroy"), "{}", plan.stdout);
}

#[test]
fn a_lifecycle_shows_in_every_form_of_a_plan() {
    let sandbox = applied(&[("manifests/a.yaml", &room("a"))]);
    sandbox.write("manifests/a.yaml", &(room("a") + "lifecycle: {prevent_destroy: true}\n"));
    for words in
        [&["plan"][..], &["plan", "-o", "markdown"], &["plan", "-o", "json"], &["diff"], &["graph"]]
    {
        let run = sandbox.embedded(0, &[words, &["-f", "manifests"]].concat());
        let is_graph = words == ["graph"];
        let expected = if is_graph { "record" } else { "prevent_destroy" };
        assert!(run.stdout.contains(expected), "{words:?}: {}", run.stdout);
    }
}

#[test]
fn the_budget_counts_the_whole_set_as_well_as_each_kind() {
    let hook = |name: &str| {
        format!(
            "---\nversion: v1\nkind: Webhook\nmetadata: {{name: {name}}}\nurl: https://example.com/x\nevents: [room.started]\n"
        )
    };
    let task = |name: &str| {
        format!(
            "---\nversion: v1\nkind: ScheduledTask\nmetadata: {{name: {name}}}\nroom: a\nqueue: q\nschedule: '@daily'\n"
        )
    };
    let kept = room("a");
    let whole = kept.clone() + &hook("h1") + &hook("h2") + &task("t1") + &task("t2");
    let sandbox = applied(&[("manifests/a.yaml", &whole)]);
    sandbox.write("manifests/a.yaml", &kept);
    let run = sandbox.embedded(6, &["plan", "-f", "manifests"]);
    tells(&run, "the plan deletes or replaces 4 of the 5 objects of the set");
    tells(&run, "--allow-deletes 4");
    sandbox.write("manifests/a.yaml", &(kept + &hook("h1")));
    sandbox.embedded(0, &["apply", "-f", "manifests", "--yes"]);
}

#[test]
fn a_saved_plan_deletes_what_it_was_made_to_delete() {
    let sandbox = applied(&[("manifests/a.yaml", &room("a"))]);
    sandbox.write("new.yaml", &room("b"));
    sandbox.embedded(0, &["plan", "-f", "new.yaml", "--prune", "all", "--out", "plan.json"]);
    sandbox.embedded(0, &["apply", "plan.json"]);
    assert_eq!(rooms(&sandbox), ["b"]);
}

#[test]
fn a_change_of_the_lifecycle_alone_is_planned_and_holds() {
    for (lifecycle, shown) in [
        ("{prevent_destroy: true}", "lifecycle.prevent_destroy: true"),
        ("{delete: orphan}", "lifecycle.delete: \"orphan\""),
    ] {
        let both = room("a") + "---\n" + &room("b");
        let sandbox = applied(&[("manifests/a.yaml", &both)]);
        sandbox.write("manifests/a.yaml", &format!("{both}lifecycle: {lifecycle}\n"));
        let plan = sandbox.embedded(3, &["plan", "-f", "manifests", "--exit-code"]);
        assert!(plan.stdout.contains("record Room/b"), "{}", plan.stdout);
        assert!(plan.stdout.contains(shown), "{}", plan.stdout);
        assert!(plan.stdout.contains("1 to record"), "{}", plan.stdout);
        sandbox.embedded(0, &["apply", "-f", "manifests", "--yes"]);
        sandbox.embedded(0, &["plan", "-f", "manifests", "--exit-code"]);
        sandbox.write("manifests/a.yaml", &room("a"));
        let code = if lifecycle.contains("orphan") { 0 } else { 6 };
        sandbox.embedded(code, &["apply", "-f", "manifests", "--yes"]);
        assert_eq!(rooms(&sandbox), ["a", "b"]);
    }
}

#[test]
fn a_rule_to_ignore_is_a_change_too_and_so_is_taking_it_away() {
    let sandbox = applied(&[("manifests/a.yaml", &room("a"))]);
    for (lifecycle, shown) in [
        ("lifecycle: {ignore: [room_metadata]}\n", "+ lifecycle.ignore: [\"room_metadata\"]"),
        (
            "lifecycle: {ignore: [room_metadata, metadata.annotations]}\n",
            "~ lifecycle.ignore: [\"room_metadata\"] → [\"room_metadata\", \"metadata.annotations\"]",
        ),
        ("", "- lifecycle.ignore"),
    ] {
        sandbox.write("manifests/a.yaml", &(room("a") + lifecycle));
        let plan = sandbox.embedded(3, &["plan", "-f", "manifests", "--exit-code"]);
        assert!(plan.stdout.contains(shown), "{}", plan.stdout);
        // A saved plan of it can be applied, and nothing is sent for it.
        sandbox.embedded(0, &["plan", "-f", "manifests", "--out", "plan.json"]);
        let run = sandbox.embedded(0, &["apply", "plan.json"]);
        assert!(run.stdout.contains("1 done"), "{}", run.stdout);
        sandbox.embedded(0, &["plan", "-f", "manifests", "--exit-code"]);
    }
}

#[test]
fn what_a_document_protects_now_is_protected_before_it_was_applied() {
    let sandbox = applied(&[("manifests/a.yaml", &(room("a") + "---\n" + &room("b")))]);
    let protected = room("a") + "---\n" + &room("b") + "lifecycle: {prevent_destroy: true}\n";
    sandbox.write("manifests/a.yaml", &protected);
    let run = sandbox.embedded(6, &["destroy", "-f", "manifests", "--yes"]);
    tells(&run, "Room/b would be destroyed, but it is protected");
    let orphaned = protected.replace("prevent_destroy: true", "delete: orphan");
    sandbox.write("manifests/a.yaml", &orphaned);
    sandbox.embedded(0, &["destroy", "-f", "manifests", "--yes"]);
    assert_eq!(rooms(&sandbox), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_which_no_file_is_known_stay_until_all_is_to_be_pruned() {
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    let apply = async |text: &str, more: &[&str]| {
        sandbox.write("set.yaml", text);
        let place = ["--api-url", &platform.url, "--project-id", &platform.project];
        let mut command =
            sandbox.command(&[&["apply", "-f", "set.yaml", "--yes"], more, &place].concat());
        command.env("MESHAGENT_API_KEY", &platform.owner);
        let run = tokio::task::spawn_blocking(move || Run::of(command.output().unwrap()));
        let run = run.await.unwrap();
        assert_eq!(run.code, 0, "{}", run.stderr);
        run
    };
    apply(&(room("a") + "---\n" + &room("b")), &[]).await;
    // As an earlier version of this program left it.
    let file = |action: &str| {
        let project = &platform.project;
        format!("/projects/{project}/storage/{action}?path=.meshagent/sets/default.json")
    };
    let read = platform.ask("GET", &file("download")).bearer(&platform.owner).send().await;
    let mut inventory = read.expect(200).json();
    let named = sandbox.path("set.yaml").display().to_string();
    assert_eq!(inventory["files"], serde_json::json!([{ "file": named }]));
    for object in inventory["objects"].as_array_mut().unwrap() {
        assert_eq!(
            object.as_object_mut().unwrap().remove("declared_in").unwrap(),
            serde_json::json!([0])
        );
    }
    let write = platform.ask("POST", &file("upload")).bearer(&platform.owner).json(&inventory);
    write.send().await.expect(200);
    let run = apply(&room("a"), &[]).await;
    tells(&run, "1 object of this set is not declared, and there is no record of its file");
    assert_eq!(platform.read("/rooms/b").await.status, 200);
    apply(&room("a"), &["--prune=all"]).await;
    assert_eq!(platform.read("/rooms/b").await.status, 404);
}

#[test]
fn a_file_of_the_same_name_in_another_repository_is_another_one() {
    let sandbox = Sandbox::new();
    for (folder, name) in [("support", "a"), ("sales", "b")] {
        sandbox.repository(folder);
        std::fs::create_dir_all(sandbox.path(&format!("{folder}/manifests"))).unwrap();
        let origin = format!("[remote \"origin\"]\n\turl = git@example.com:acme/{folder}.git\n");
        sandbox.write(&format!("{folder}/.git/config"), &origin);
        sandbox.write(&format!("{folder}/manifests/rooms.yaml"), &room(name));
        let run = sandbox.embedded(0, &["apply", "-f", &format!("{folder}/manifests"), "--yes"]);
        if folder == "sales" {
            tells(
                &run,
                "1 object of this set is declared in manifests/ of example.com/acme/support, which was not given; it stays",
            );
        }
    }
    assert_eq!(rooms(&sandbox), ["a", "b"]);
}

#[test]
fn a_project_whose_document_got_another_name_is_not_lost_sight_of() {
    let sandbox = Sandbox::new();
    let set = |project: &str| {
        let document = format!("version: v1\nkind: Project\nmetadata: {{name: {project}}}\n");
        format!("{document}---\n{}project: {project}\n", room("a"))
    };
    sandbox.write("set.yaml", &set("one"));
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    // Another set that has been there is none of this one's business.
    sandbox.embedded(0, &["project", "create", "three"]);
    sandbox.write("other.yaml", &room("b"));
    let other = ["apply", "-f", "other.yaml", "--set", "other", "--project-id", "three", "--yes"];
    sandbox.embedded(0, &other);
    sandbox.write("set.yaml", &set("two"));
    let expected = "the set `default` owns 2 objects in project `one`, which no document names";
    let planned = sandbox.embedded(0, &["plan", "-f", "set.yaml"]);
    tells(&planned, expected);
    assert!(!planned.stderr.contains("`three`"), "{}", planned.stderr);
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    sandbox.embedded(0, &["destroy", "--set", "default", "--project-id", "one", "--yes"]);
    let left = sandbox.embedded(0, &["rooms", "list", "-q", "--project-id", "one"]);
    assert_eq!(left.stdout, "");
    let left = sandbox.embedded(0, &["rooms", "list", "-q", "--project-id", "two"]);
    assert_eq!(left.stdout, "a\n");
}
