//! What a set owns of what sources declare: what is pruned, and what stays.

use super::{Project, room, tells};

fn rooms(project: &Project) -> Vec<String> {
    let listed = project.sandbox.embedded(0, &["rooms", "list", "-q"]);
    let mut rooms: Vec<String> = listed.stdout.lines().map(str::to_owned).collect();
    rooms.sort();
    rooms
}

const SOURCE: &str = "{support: {git: agents, ref: v1, path: manifests}}";

fn applied() -> Project {
    let files = [("manifests/a.yaml", &*room("a")), ("manifests/b.yaml", &room("b"))];
    let project = Project::new(&files, SOURCE);
    project.write("manifests/own.yaml", &room("own"));
    project.run(0, &["source", "update"]);
    project.sandbox.embedded(0, &["apply", "--yes"]);
    assert_eq!(rooms(&project), ["a", "b", "own"]);
    project
}

#[test]
fn what_left_a_source_is_deleted_and_what_moved_in_it_stays() {
    let project = applied();
    std::fs::remove_file(project.sandbox.path("agents/manifests/b.yaml")).unwrap();
    project.git("agents", &["mv", "manifests/a.yaml", "manifests/c.yaml"]);
    project.commit("agents", &[], "v2");
    project.names("{support: {git: agents, ref: v2, path: manifests}}");
    project.run(0, &["source", "update"]);
    let run = project.sandbox.embedded(0, &["apply", "--yes"]);
    assert!(run.stdout.contains("Plan: 1 to delete, 2 unchanged."), "{}", run.stdout);
    assert_eq!(rooms(&project), ["a", "own"]);
    let again = project.sandbox.embedded(0, &["plan"]);
    assert!(again.stdout.starts_with("Nothing to change"), "{}", again.stdout);
}

#[test]
fn a_source_that_was_not_read_prunes_nothing_and_one_that_was_removed_does() {
    let project = applied();
    for files in [&["-f", "manifests"][..], &["-f", "."]] {
        let run = project.sandbox.embedded(0, &[&["plan"], files].concat());
        assert!(!run.stdout.contains("delete Room/a"), "{}", run.stdout);
    }
    let run = project.sandbox.embedded(0, &["plan", "-f", "manifests"]);
    tells(
        &run,
        "declared in the source `support` of meshagent.yaml, which was not given; they stay",
    );
    project.names("{}");
    let run = project.sandbox.embedded(0, &["apply", "--yes"]);
    assert!(run.stdout.contains("Plan: 2 to delete, 1 unchanged."), "{}", run.stdout);
    assert_eq!(rooms(&project), ["own"]);
}

#[test]
fn an_object_goes_from_the_own_manifests_into_a_source_and_back() {
    let project = applied();
    project.commit("agents", &[("manifests/own.yaml", &room("own"))], "v1");
    std::fs::write(project.sandbox.path("manifests/own.yaml"), room("more")).unwrap();
    project.run(0, &["source", "update"]);
    let run = project.sandbox.embedded(0, &["apply", "--yes"]);
    assert!(run.stdout.contains("Plan: 1 to create, 3 unchanged."), "{}", run.stdout);
    // Now it is the source's alone.
    project.names("{}");
    project.write("manifests/own.yaml", &(room("more") + "---\n" + &room("own")));
    project.sandbox.embedded(0, &["apply", "--yes"]);
    assert_eq!(rooms(&project), ["more", "own"]);
}

#[test]
fn a_saved_plan_is_made_and_applied_with_its_sources() {
    let project = applied();
    project.commit("agents", &[("manifests/d.yaml", &room("d"))], "v1");
    project.run(0, &["source", "update"]);
    project.sandbox.embedded(0, &["plan", "--out", "plan.json"]);
    let text = std::fs::read_to_string(project.sandbox.path("plan.json")).unwrap();
    let saved: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(saved["inputs"]["sources"], serde_json::json!(["support@v1"]));
    // The pin moves between the two.
    let locked = project.lock();
    project.commit("agents", &[("manifests/e.yaml", &room("e"))], "v1");
    project.run(0, &["source", "update"]);
    project.sandbox.embedded(5, &["apply", "plan.json"]);
    assert_eq!(rooms(&project), ["a", "b", "own"]);
    project.write("meshagent.lock", &locked);
    project.sandbox.embedded(0, &["apply", "plan.json"]);
    assert_eq!(rooms(&project), ["a", "b", "d", "own"]);
}

#[test]
fn drift_is_not_written_into_a_source() {
    let text = room("a").replace("name: a", "name: a, annotations: {team: a}");
    let project = Project::new(&[("manifests/a.yaml", &text)], SOURCE);
    project.run(0, &["source", "update"]);
    project.sandbox.embedded(0, &["apply", "--yes"]);
    let update = ["rooms", "update", "--name", "a", "--new-name", "a", "--annotations"];
    project.sandbox.embedded(0, &[&update[..], &[r#"{"team": "b"}"#]].concat());
    let run = project.sandbox.embedded(1, &["accept"]);
    tells(&run, "it comes from the source `support`, which is read-only");
    tells(
        &run,
        "`sources.support.overrides` of the project file: `Room/a: {metadata.annotations.team: …}`",
    );
    // As it says.
    project.names(
        "{support: {git: agents, ref: v1, path: manifests, overrides: {Room/a: {metadata.annotations.team: b}}}}",
    );
    let run = project.sandbox.embedded(0, &["plan"]);
    assert!(run.stdout.starts_with("Nothing to change"), "{}", run.stdout);
}

#[test]
fn a_rollback_reads_secrets_from_sources_where_there_are_no_other_manifests() {
    let secret = "version: v1\nkind: Secret\nmetadata: {name: keys}\ntype: keys\ndata: {A: {from: {env: TOK}}}\n";
    let project = Project::new(
        &[("m/keys.yaml", secret)],
        "{lib: {git: agents, ref: v1, path: m, allow_env: [TOK]}}",
    );
    project.run(0, &["source", "update"]);
    let ran = |value: &str, words: &[&str]| {
        let mut command = project.sandbox.command(&[words, &["--embedded"]].concat());
        let run = crate::cli::Run::of(command.env("TOK", value).output().unwrap());
        assert_eq!(run.code, 0, "{words:?}\n{}\n{}", run.stdout, run.stderr);
        run
    };
    ran("canary-one", &["apply", "--yes"]);
    ran("canary-two", &["apply", "--yes"]);
    let plan = ran("canary-one", &["plan", "--to", "1"]);
    assert!(plan.stdout.contains("~ update Secret/keys"), "{}\n{}", plan.stdout, plan.stderr);
    assert!(!plan.stderr.contains("no manifest that was given"), "{}", plan.stderr);
    std::fs::remove_dir_all(project.sandbox.path("agents")).unwrap();
    std::fs::remove_dir_all(project.sandbox.path(".cache")).unwrap();
    let plan = ran("canary-one", &["plan", "--to", "1"]);
    tells(&plan, "no secret is read from the manifests of today, because they cannot be read");
}
