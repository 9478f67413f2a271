//! What documents of a source may make the program do: nothing that the project file does not allow
//! for that source.

use super::{Project, tells};

/// A secret whose value comes from there.
fn secret(from: &str) -> String {
    format!(
        "version: v1\nkind: Secret\nmetadata: {{name: keys}}\ntype: keys\ndata: {{A: {{from: {from}}}}}\n"
    )
}

fn locked(files: &[(&str, &str)], more: &str) -> Project {
    let project = Project::new(files, "{}");
    allow(&project, more);
    project.run(0, &["source", "update"]);
    project
}

fn allow(project: &Project, more: &str) {
    project.names(&format!("{{support: {{git: agents, ref: v1{more}}}}}"));
}

#[test]
fn a_source_reads_no_variable_and_runs_no_command_unless_that_is_allowed_for_it() {
    let armored = "{age: \"-----BEGIN AGE ENCRYPTED FILE-----\\n\"}";
    for (from, refused, allowed) in [
        ("{env: TOKEN}", "may not read the environment variable TOKEN", "allow_env: [TOKEN]"),
        ("{command: [touch, ran]}", "may not run commands", "allow_commands: true"),
        (armored, "may not have texts decrypted with your identity", "allow_age: true"),
    ] {
        let project = locked(&[("a.yaml", &secret(from))], "");
        let run = project.run(2, &["validate"]);
        tells(&run, &format!("support@v1: a.yaml:5:12: the source `support` {refused}"));
        tells(&run, &format!("write `{allowed}` in `sources.support` of the project file"));
        // What the user allows for the own manifests is not for sources.
        let words = ["apply", "--embedded", "--yes", "--allow-commands", "--allow-env", "TOKEN"];
        let run = project.run(6, &words);
        tells(&run, refused);
        assert!(!project.sandbox.path("ran").exists());
        allow(&project, &format!(", {allowed}"));
        project.run(0, &["validate"]);
    }
}

#[test]
fn a_command_of_a_source_needs_the_users_consent_as_every_other_does() {
    let text = secret("{command: [sh, -c, \"echo x; touch ran\"]}");
    let project = locked(&[("a.yaml", &text)], ", allow_commands: true");
    let run = project.run(6, &["apply", "--embedded", "--yes"]);
    tells(&run, "commands are not allowed");
    project.run(0, &["apply", "--embedded", "--yes", "--allow-commands"]);
    // It ran in the folder of the project file.
    assert!(project.sandbox.path("ran").exists());
}

#[test]
fn only_the_values_of_a_source_reach_its_templates() {
    let template = "version: v1\nkind: Room\nmetadata: {name: \"{{ name }}-{{ level }}\"}\n";
    let files = [
        ("t/a.yaml.j2", template),
        ("t/values.yaml", "level: low\nname: beside\n"),
        ("b.yaml", ""),
    ];
    let project = locked(&files, ", values: {name: given}");
    assert_eq!(project.created(), ["given-low"]);
    project.write("manifests/own.yaml.j2", &template.replace("-{{ level }}", ""));
    let plan = project.sandbox.embedded(0, &["plan", "-v", "name=own", "-o", "json"]).json();
    let names: Vec<_> =
        plan["operations"].as_array().unwrap().iter().map(|it| &it["key"]["name"]).collect();
    assert_eq!(names, ["given-low", "own"]);
    std::fs::remove_dir_all(project.sandbox.path("manifests")).unwrap();
    allow(&project, ", values: {name: given, levle: x}");
    tells(
        &project.run(2, &["validate"]),
        "no template (*.j2) uses `levle`, which source support gives",
    );
    tells(&project.run(2, &["validate"]), "meshagent.yaml:2:");
    // A value that a template cannot take is one that it uses.
    allow(&project, ", values: {name: 1.10}");
    let run = project.run(2, &["validate"]);
    tells(&run, "a template would change the spelling of the number in `name`");
    assert!(!run.stderr.contains("no template (*.j2) uses"), "{}", run.stderr);
    allow(&project, ", overrides: {Room/none: {room_metadata: {}}}");
    tells(&project.run(2, &["validate"]), "no document is Room/none");
}

#[test]
fn a_template_of_a_source_reads_variables_that_both_the_project_file_and_the_user_allow() {
    let template = "version: v1\nkind: Room\nmetadata: {name: a}\nroom_metadata: {x: \"{{ env('TOKEN') }}\"}\n";
    let project = locked(&[("a.yaml.j2", template)], "");
    let validate = |words: &[&str]| {
        let words = [&["validate"], words].concat();
        let output = project.sandbox.command(&words).env("TOKEN", "hunter2").output().unwrap();
        let run = crate::cli::Run::of(output);
        assert!(!run.stderr.contains("hunter2") && !run.stdout.contains("hunter2"));
        run.code
    };
    assert_eq!(validate(&["--allow-env", "TOKEN"]), 2);
    allow(&project, ", allow_env: [TOKEN]");
    assert_eq!(validate(&[]), 2);
    assert_eq!(validate(&["--allow-env", "TOKEN"]), 0);
    allow(&project, ", allow_env: [MESHAGENT_API_KEY]");
    tells(&project.run(2, &["validate"]), "MESHAGENT_API_KEY belongs to this program");
}

#[test]
fn documents_of_a_source_name_files_of_the_source_alone() {
    let agent = |rule: &str| {
        format!(
            "version: v1\nkind: Agent\nmetadata: {{name: bot}}\ntype: chatbot\nrooms: [r]\nrules: [{{file: {rule}}}]\n"
        )
    };
    let room = super::room("r");
    let files = [
        ("r.yaml", &*room),
        ("x/keys.yaml", &secret("{file: ../keys/token}")),
        ("keys/token", "hunter2\n"),
        ("x/agent.yaml", &agent("rule.md")),
        ("x/rule.md", "Be kind.\n"),
    ];
    let project = locked(&files, "");
    project.write("token", "not this one\n");
    let run = project.sandbox.embedded(0, &["apply", "--yes"]);
    assert!(run.stdout.contains("Be kind."), "{}", run.stdout);
    for (file, text, refused) in [
        ("x/keys.yaml", secret("{file: /etc/passwd}"), "/etc/passwd is outside of the source"),
        ("x/keys.yaml", secret("{file: ../../token}"), "../../token is outside of the source"),
        ("x/keys.yaml", secret("{file: none}"), "support@v1: x/none does not exist"),
        ("keys/agent.yaml", agent("token"), "keys/token of the source `support` holds a secret"),
        ("x/agent.yaml", agent("/etc/passwd"), "\"/etc/passwd\" is not a path below the folder"),
        (
            "x/agent.yaml",
            agent("../keys/token"),
            "\"../keys/token\" is not a path below the folder",
        ),
    ] {
        let keys = secret("{file: token}");
        let token = ("keys/token", "hunter2\n");
        let files = [("r.yaml", &*room), ("keys/keys.yaml", &keys), token, (file, &text)];
        let project = locked(&files, "");
        tells(&project.run(2, &["validate"]), refused);
    }
}

#[test]
fn a_source_has_no_sources_and_its_ignore_files_count() {
    let room = super::room("a");
    let project = locked(
        &[
            ("a.yaml", &room),
            ("old/b.yaml", "no manifest"),
            ("c.yaml", "neither"),
            (".meshagentignore", "old/\n/c.yaml\n"),
            ("meshagent.yaml", "version: v1\nenvironments: {dev: {}}\n"),
            ("plan.json", r#"{"tool": "meshagent 0.1.0", "operations": []}"#),
        ],
        "",
    );
    assert_eq!(project.created(), ["a"]);
    let run = project.run(0, &["validate", "--verbose"]);
    for skipped in ["old/b.yaml: an ignore file", "c.yaml: an ignore", "plan.json: it is a plan"] {
        tells(&run, &format!("not read: support@v1: {skipped}"));
    }
    let text = "version: v1\nsources: {x: {git: ../y}}\n";
    project.commit("agents", &[("meshagent.yaml", text)], "v1");
    project.run(0, &["source", "update"]);
    let run = project.run(2, &["validate"]);
    tells(
        &run,
        "support@v1: meshagent.yaml: the source has sources of its own, which are not read",
    );
}

#[test]
fn environments_take_other_versions_of_a_source() {
    let project = Project::new(&[("a.yaml", &super::room("a"))], "{}");
    project.commit("agents", &[("a.yaml", &super::room("b"))], "v2");
    project.write(
        "meshagent.yaml",
        "version: v1\ndefault: prod\nsources: {support: {git: agents, ref: v1}}\nenvironments:\n  prod: {}\n  dev: {set: dev, sources: {support: {ref: v2, overrides: {Room/b: {room_metadata: {x: 1}}}}}}\n",
    );
    project.run(0, &["source", "update"]);
    assert_eq!(project.lock().matches("- git: agents").count(), 2);
    assert_eq!(project.created(), ["a"]);
    let plan = project.sandbox.embedded(0, &["plan", "-e", "dev"]);
    assert!(plan.stdout.contains("create Room/b  support@v2: a.yaml:3:1"), "{}", plan.stdout);
    assert!(plan.stdout.contains("from environment dev"), "{}", plan.stdout);
    let list = project.run(0, &["source", "list", "-o", "json"]).json();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!((&list[0]["version"], &list[1]["version"]), (&"v1".into(), &"v2".into()));
}
