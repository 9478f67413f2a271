//! Two environments compared, and what goes from one to the other: secrets are neither shown nor
//! said to be the same without a reason.

use super::{PROJECT, bare, ran, shop};
use crate::cli::{Run, Sandbox};

const KEYS: &str = "\
version: v1
kind: Secret
metadata: {name: keys}
type: keys
data: {A: {from: {env: VAR_A}}}
";

/// Four environments that differ in where the value of one secret comes from.
fn keys() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("manifests")).unwrap();
    sandbox.write("manifests/keys.yaml", KEYS);
    sandbox.write(
        "meshagent.yaml",
        "\
version: v1
environments:
  a: {project: pa, embedded: true}
  b: {extends: a, project: pb, secrets: {keys: {A: {from: {env: VAR_B}}}}}
  c: {extends: a, project: pc, secrets: {keys: {A: a literal text}}}
  same: {extends: a, project: ps}
",
    );
    for project in ["pa", "pb", "pc", "ps"] {
        sandbox.embedded(0, &["project", "create", project]);
    }
    sandbox
}

fn with(sandbox: &Sandbox, variables: &[(&str, &str)], line: &str) -> Run {
    let words: Vec<&str> = line.split(' ').collect();
    let mut command = sandbox.command(&words);
    command.envs(variables.iter().copied());
    Run::of(command.output().unwrap())
}

#[test]
fn secrets_that_were_not_read_are_the_same_only_from_the_same_source() {
    let sandbox = keys();
    let both = [("VAR_A", "one"), ("VAR_B", "two")];
    let may = "(not read, may be another one)";
    // Without a platform nothing is read; without the variables nothing can be.
    for (line, variables) in [
        ("diff -e a..b --rendered --exit-code", &both[..]),
        ("diff -e a..c --rendered --exit-code", &both[..]),
        ("diff -e a..b --exit-code", &both[..1]),
        ("diff -e a..b --exit-code", &[]),
        ("diff -e c..b --exit-code", &[]),
        ("diff -e b..c --exit-code", &[]),
    ] {
        let run = with(&sandbox, variables, line);
        assert_eq!(run.code, 3, "{line}: {}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains(may), "{line}: {}", run.stdout);
        assert!(!run.stderr.contains("the manifests say the same"), "{line}: {}", run.stderr);
    }
    for (line, variables) in [
        ("diff -e a..same --rendered --exit-code", &both[..]),
        ("diff -e a..same --exit-code", &both[..]),
        ("diff -e a..same --exit-code", &[]),
    ] {
        let run = with(&sandbox, variables, line);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{line}: {}", run.stderr);
    }
    let known = with(&sandbox, &both, "diff -e a..b --exit-code");
    assert!(known.code == 3 && known.stdout.contains("(secret, another one)"), "{}", known.stdout);
    // One name of a file in two folders is two files.
    for folder in ["manifests", "others"] {
        std::fs::create_dir_all(sandbox.path(folder)).unwrap();
        let text = KEYS.replace("{env: VAR_A}", "{file: key.txt}");
        sandbox.write(&format!("{folder}/keys.yaml"), &text);
    }
    sandbox.write(
        "meshagent.yaml",
        "version: v1\nenvironments:\n  a: {project: pa, embedded: true}\n  b: {extends: a, project: pb, manifests: others}\n  c: {extends: a, project: pc}\n",
    );
    assert_eq!(
        ran(&sandbox, 3, "diff -e a..b --rendered --exit-code").stdout.matches(may).count(),
        1
    );
    assert_eq!(ran(&sandbox, 0, "diff -e a..c --rendered --exit-code").stdout, "");
}

#[test]
fn what_the_platforms_keep_to_themselves_is_not_said_to_be_the_same() {
    let sandbox = keys();
    let variables = [("VAR_A", "one"), ("VAR_B", "two")];
    for name in ["a", "b"] {
        let run = with(&sandbox, &variables, &format!("apply -e {name} --yes"));
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    let told =
        "the same in both, but for the secrets of 1 object, which the platforms keep to themselves";
    let compared = with(&sandbox, &variables, "diff -e a..b --exit-code");
    assert_eq!(compared.code, 3);
    assert!(compared.stderr.contains(told), "{}", compared.stderr);
    sandbox.write(
        "manifests/room.yaml.j2",
        "version: v1\nkind: Room\nmetadata: {name: r}\nroom_metadata: {s: \"{{ s }}\"}\n",
    );
    let text = std::fs::read_to_string(sandbox.path("meshagent.yaml")).unwrap();
    let text = text
        .replace("project: pa,", "project: pa, values: {s: one},")
        .replace("project: pb,", "project: pb, values: {s: two},");
    sandbox.write("meshagent.yaml", &text);
    for name in ["a", "b"] {
        assert_eq!(with(&sandbox, &variables, &format!("apply -e {name} --yes")).code, 0);
    }
    let (_, live) = with(&sandbox, &variables, "diff -e a..b")
        .stdout
        .split_once("# What is on the platforms\n")
        .map(|(one, other)| (one.to_owned(), other.to_owned()))
        .unwrap();
    assert!(live.contains("-  s: one\n+  s: two\n"), "{live}");
    assert!(live.contains("# 1 object the same in both, but for secrets"), "{live}");
}

#[test]
fn an_empty_name_is_no_environment_to_compare_with_or_to_promote() {
    let sandbox = shop();
    for line in [
        &["diff", "-e", "dev.."][..],
        &["diff", "-e", "..dev"],
        &["diff", "-e", "dev..", "--rendered"],
        &["promote", "dev", ""],
        &["promote", "", "dev"],
    ] {
        let run = sandbox.run(line);
        assert_eq!(run.code, 2, "{line:?}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("no environment is named"), "{line:?}: {}", run.stderr);
    }
}

#[test]
fn nothing_that_may_be_of_a_secret_is_promoted_or_shown_in_any_style() {
    // A pattern of kinds that may be Secret, also below a source, and a line with more in it.
    let sandbox = bare(
        "\
version: v1
sources: {lib: {git: lib}}
environments:
  dev: {project: p1, embedded: true, values: {stage: a, image_tag: \"2\"}, overrides: {\"S*/keys\": {data.API_TAG: canary-a}, \"Secre?/keys\": {data.TAG: canary-b}}, sources: {lib: {overrides: {\"Sec*/keys\": {data.API_TAG: canary-c}}}}}
  prod: {project: p2, embedded: true, values: {stage: b, image_tag: \"1\"}, overrides: {\"S*/keys\": {data.API_TAG: canary-d}, \"Secre?/keys\": {data.TAG: canary-e}, Secret/keys: {data.A: canary-f}}, sources: {lib: {overrides: {\"Sec*/keys\": {data.API_TAG: canary-g}}}}} # canary-h
",
    );
    let read = || std::fs::read_to_string(sandbox.path("meshagent.yaml")).unwrap();
    let before = read();
    let told = ran(&sandbox, 0, "promote dev prod --no-plan");
    let all = format!("{}{}", told.stdout, told.stderr);
    assert!(all.contains("1 value promoted to `prod`: image_tag"), "{all}");
    assert!(all.contains("image_tag: \"1\"") && all.contains("image_tag: \"2\""), "{all}");
    assert!(!all.contains("canary"), "{all}");
    assert_eq!(read(), before.replace("image_tag: \"1\"", "image_tag: \"2\""));
    let refused = ran(&sandbox, 2, "promote dev prod --only S*/keys*").stderr;
    assert!(refused.contains("is of a secret, which stays in its environment"), "{refused}");
    assert!(!refused.contains("canary"), "{refused}");
}

#[test]
fn the_name_of_a_source_promotes_what_differs_of_it() {
    let sandbox = bare(
        "version: v1\nsources: {lib: {archive: a.tar}}\nenvironments:\n  dev: {sources: {lib: {archive: b.tar, values: {size: 2}}}}\n  prod: {set: prod}\n",
    );
    let told = ran(&sandbox, 0, "promote dev prod --only lib --no-plan").stderr;
    assert!(told.contains("2 values promoted to `prod`: lib archive, lib values size"), "{told}");
}

#[test]
fn wrong_usage_promotes_nothing_and_a_plan_that_fails_afterwards_is_told_apart() {
    let sandbox = shop();
    let read = || std::fs::read_to_string(sandbox.path("meshagent.yaml")).unwrap();
    for line in ["promote dev prod -n other", "promote dev prod --project-id shop-dev"] {
        let refused = ran(&sandbox, 2, line).stderr;
        assert!(refused.contains("is for project `shop`, but --project-id names"), "{refused}");
        assert_eq!(read(), PROJECT);
    }
    // What a guard refuses is the plan; the file is written by then.
    let refused = ran(&sandbox, 1, "promote dev prod --expect-project zz").stderr;
    assert!(refused.contains("was written, and the plan with it is refused"), "{refused}");
    assert!(!refused.contains("nothing was written"), "{refused}");
    assert_ne!(read(), PROJECT);
    let hosted = PROJECT.replace("    embedded: true\n", "");
    sandbox.write("meshagent.yaml", &hosted);
    let failed = ran(&sandbox, 1, "promote dev prod").stderr;
    assert_ne!(read(), hosted);
    assert!(failed.contains("meshagent.yaml was written, but no plan was made"), "{failed}");
    assert!(failed.contains("there are no credentials"), "{failed}");
}

#[test]
fn what_keeps_one_from_being_read_is_told_with_its_places() {
    let sandbox = shop();
    sandbox.write("manifests/wrong.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\nrom: x\n");
    for line in ["diff -e dev..prod", "diff -e dev..prod --rendered"] {
        let words: Vec<&str> = line.split(' ').collect();
        let run = sandbox.run(&words);
        assert!(run.code == 6 || run.code == 2, "{}{}", run.stdout, run.stderr);
        assert!(
            run.stderr.contains("manifests/wrong.yaml:4:1: unknown field `rom`"),
            "{}",
            run.stderr
        );
    }
    let all = sandbox.run(&["plan", "-e", "all", "-o", "markdown"]);
    assert_eq!(all.code, 6, "{}", all.stderr);
    assert!(all.stdout.contains("manifests/wrong.yaml:4:1: unknown field"), "{}", all.stdout);
}

#[test]
fn of_several_environments_the_worst_failure_ends_the_run() {
    let sandbox = shop();
    let text = super::PROJECT
        .replace("    embedded: true\n", "    embedded: true\n    guards: {allow_deletes: 0}\n");
    let text = text.replace("    project: shop\n", "    project: nowhere\n");
    sandbox.write("meshagent.yaml", &text);
    ran(&sandbox, 0, "apply -e dev --yes");
    std::fs::remove_file(sandbox.path("manifests/service.yaml")).unwrap();
    let text = text.replace(
        "      Service/support:\n        container.image: registry.test/support:5\n",
        "      Room/lobby:\n        room_metadata.x: 1\n",
    );
    let text = text.replace("      Service/support:\n        container.image: registry.test/support:4 # tested\n        container.environment[name=STAGE].value: prod\n", "      Room/lobby:\n        room_metadata.x: 2\n");
    sandbox.write("meshagent.yaml", &text);
    assert_eq!(ran(&sandbox, 6, "plan -e dev").code, 6);
    assert_eq!(ran(&sandbox, 1, "plan -e prod").code, 1);
    ran(&sandbox, 1, "plan -e all");
}
