//! The project file: environments, what they say of documents, all of them at once, two of them
//! compared, and what goes from one to the next.

mod compared;
mod guarded;
mod hardened;
mod meant;
mod promoted;

use std::process::Command;

use crate::cli::{Run, Sandbox};

const PROJECT: &str = "\
# our shop
version: v1
set: shop
default: dev
environments:
  dev:
    project: shop-dev
    embedded: true
    values: {stage: dev, image_tag: \"7\"} # seven
    overrides:
      Service/support:
        container.image: registry.test/support:5
  prod:
    extends: dev
    project: shop
    values:
      stage: prod
      image_tag: \"6\"
    # the service
    overrides:
      Service/support:
        container.image: registry.test/support:4 # tested
        container.environment[name=STAGE].value: prod
    without: [Room/sandbox]
    guards: {allow_deletes: 0}
";

const ROOMS: &str = "\
version: v1
kind: Room
metadata: {name: lobby}
room_metadata: {stage: \"{{ stage }}\", tag: \"{{ image_tag }}\"}
---
version: v1
kind: Room
metadata: {name: sandbox}
";

const SERVICE: &str = "\
version: v1
kind: Service
metadata: {name: support}
room: lobby
container: {image: registry.test/support:1}
";

/// A folder with a project file and manifests, and an embedded platform with its two projects.
fn shop() -> Sandbox {
    let sandbox = bare(PROJECT);
    for project in ["shop-dev", "shop"] {
        sandbox.embedded(0, &["project", "create", project]);
    }
    sandbox
}

/// The same without a platform.
fn bare(project_file: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("manifests")).unwrap();
    sandbox.write("meshagent.yaml", project_file);
    sandbox.write("manifests/rooms.yaml.j2", ROOMS);
    sandbox.write("manifests/service.yaml", SERVICE);
    sandbox
}

fn ran(sandbox: &Sandbox, code: i32, line: &str) -> Run {
    let words: Vec<&str> = line.split_whitespace().collect();
    let run = sandbox.run(&words);
    assert_eq!(run.code, code, "{line}\n{}\n{}", run.stdout, run.stderr);
    run
}

#[test]
fn an_environment_says_project_platform_set_values_and_fields() {
    let sandbox = shop();
    let default = ran(&sandbox, 0, "plan").stdout;
    let first = default.lines().next().unwrap();
    assert_eq!(
        first,
        "Plan of set `shop` in environment `dev` (the default) for shop-dev on the embedded platform"
    );
    assert!(default.contains("+ create Room/sandbox"), "{default}");
    let prod = ran(&sandbox, 0, "plan -e prod").stdout;
    let told = [
        "in environment `prod` for shop on the embedded platform",
        "stage: \"prod\"",
        "container.image: \"registry.test/support:4\"  from environment prod",
        "container.environment: [{name: \"STAGE\", value: \"prod\"}]  from environment prod",
    ];
    told.iter().for_each(|told| assert!(prod.contains(told), "{told}\n{prod}"));
    assert!(!prod.contains("sandbox"), "{prod}");
    ran(&sandbox, 0, "apply -e prod --yes");
    let rooms = ran(&sandbox, 0, "rooms list -e prod").json();
    assert_eq!(rooms[0]["metadata"]["stage"], "prod");
    let services = ran(&sandbox, 0, "service list -e prod --room lobby -o json").stdout;
    assert!(services.contains("support:4"), "{services}");
    assert_eq!(ran(&sandbox, 0, "rooms list -e dev").json(), serde_json::json!([]));
    assert!(ran(&sandbox, 0, "plan -e prod").stdout.contains("Nothing to change"));
    // What is written over in the file is what plans say where it differs.
    let document = ran(&sandbox, 0, "plan -e dev --output json").json();
    assert_eq!(document["environment"], "dev");
    let image = document["operations"].as_array().unwrap().iter();
    let image = image.flat_map(|it| it["changes"].as_array().unwrap());
    let image = image.clone().find(|it| it["path"] == "container.image").unwrap();
    assert_eq!(image["place"]["file"], "meshagent.yaml");
    assert_eq!(image["place"]["line"], 12);
    assert_eq!(image["place"]["from"], "environment dev");
}

#[test]
fn every_command_on_a_set_is_one_in_the_environment() {
    let sandbox = shop();
    ran(&sandbox, 0, "validate -e prod");
    assert!(ran(&sandbox, 0, "validate").stderr.contains("environment `dev` (the default)"));
    assert!(ran(&sandbox, 0, "diff -e prod").stdout.contains("support:4"));
    assert!(ran(&sandbox, 0, "graph -e prod").stdout.contains("support"));
    ran(&sandbox, 0, "apply -e prod --yes");
    ran(&sandbox, 0, "accept -e prod --dry-run");
    let plan = ran(&sandbox, 0, "destroy -e prod --dry-run").stdout;
    assert!(plan.contains("delete Room/lobby") && plan.contains("set `shop`"), "{plan}");
    // A set is destroyed only where somebody names it.
    let unnamed = ran(&sandbox, 0, "destroy --embedded --dry-run");
    assert!(!unnamed.stdout.contains("lobby"), "{}", unnamed.stdout);
    let mut by_variable = sandbox.command(&["plan", "--output", "json"]);
    let by_variable = Run::of(by_variable.env("MESHAGENT_ENVIRONMENT", "prod").output().unwrap());
    assert_eq!(by_variable.json()["environment"], "prod");
}

#[test]
fn manifests_that_are_given_are_of_no_environment_unless_one_is_named() {
    let sandbox = shop();
    sandbox.write("given.yaml", &SERVICE.replace("room: lobby\n", ""));
    let given = ran(&sandbox, 0, "plan -f given.yaml --embedded -n shop").stdout;
    assert!(given.starts_with("Plan for shop") && given.contains("support:1"), "{given}");
    let named = ran(&sandbox, 0, "plan -f manifests -e prod").stdout;
    assert!(named.contains("support:4"), "{named}");
}

#[test]
fn a_saved_plan_is_applied_in_its_environment_or_not_at_all() {
    let sandbox = shop();
    let saved = ran(&sandbox, 0, "plan -e prod --out plan.json");
    assert!(saved.stderr.contains("`meshagent apply plan.json -e prod`"), "{}", saved.stderr);
    let other = ran(&sandbox, 2, "apply plan.json -e dev").stderr;
    assert!(other.contains("the plan is for environment `prod`, but `dev` is named"), "{other}");
    sandbox.write("meshagent.yaml", &PROJECT.replace("support:4", "support:3"));
    assert!(ran(&sandbox, 5, "apply plan.json").stderr.contains("container.image"));
    sandbox.write("meshagent.yaml", PROJECT);
    ran(&sandbox, 0, "apply plan.json");
    let services = ran(&sandbox, 0, "service list -e prod --room lobby -o json").stdout;
    assert!(services.contains("support:4"), "{services}");
}

#[test]
fn an_environment_guards_what_it_is_for() {
    let sandbox = shop();
    let other = ran(&sandbox, 2, "plan -e prod -n shop-dev").stderr;
    assert!(other.contains("environment `prod` is for project `shop`"), "{other}");
    // A document that names another project is refused, as by --expect-project.
    sandbox.write(
        "manifests/other.yaml",
        "version: v1\nkind: Room\nproject: shop-dev\nmetadata: {name: other}\n",
    );
    let refused = ran(&sandbox, 6, "plan -e prod").stderr;
    assert!(refused.contains("shop-dev"), "{refused}");
    std::fs::remove_file(sandbox.path("manifests/other.yaml")).unwrap();
    ran(&sandbox, 0, "apply -e prod --yes");
    std::fs::write(sandbox.path("meshagent.yaml"), PROJECT.replace("[Room/sandbox]", "[Service/support, Room/sandbox]").replace("      Service/support:\n        container.image: registry.test/support:4 # tested\n        container.environment[name=STAGE].value: prod\n", "      Room/lobby: {room_metadata.x: 1}\n").replace("      Service/support:\n        container.image: registry.test/support:5\n", "      Room/*: {room_metadata.y: 1}\n")).unwrap();
    let refused = ran(&sandbox, 6, "plan -e prod").stderr;
    assert!(refused.contains("--allow-deletes"), "{refused}");
    ran(&sandbox, 0, "plan -e prod --allow-deletes 1");
}

#[test]
fn what_is_wrong_with_a_project_file_is_told_at_its_place() {
    for (from, to, told, hint) in [
        (
            "project: shop\n",
            "projct: shop\n",
            "meshagent.yaml:15:5: unknown field `projct`",
            "did you mean `project`?",
        ),
        (
            "version: v1\n",
            "",
            "meshagent.yaml:2:1: the project file has no `version`",
            "begin it with `version: v1`",
        ),
        ("version: v1", "version: v2", "meshagent.yaml:2:1: `version` must be v1", ""),
        (
            "default: dev",
            "default: prd",
            "meshagent.yaml:4:1: there is no environment `prd`",
            "did you mean `prod`?",
        ),
        (
            "extends: dev",
            "extends: deb",
            "meshagent.yaml:14:5: there is no environment `deb`",
            "did you mean `dev`?",
        ),
        (
            "  dev:\n",
            "  dev:\n    extends: prod\n",
            "the environments extend each other: dev → prod → dev",
            "",
        ),
        (
            "  prod:\n",
            "  all:\n",
            "\"all\" cannot be the name of an environment",
            "`all` means all of them",
        ),
        (
            "project: shop\n",
            "project: shop-dev\n",
            "are the same set of project `shop-dev`",
            "another `set`",
        ),
        ("embedded: true", "embedded: [1]", "it must be true, false, or a folder", ""),
        ("set: shop", "set: ../x", "cannot be the name of a set", "1 to 64"),
        (
            "Service/support:\n        container.image: registry.test/support:4",
            "Servce/support:\n        container.image: registry.test/support:4",
            "meshagent.yaml:21:7: unknown kind `Servce`",
            "did you mean `Service`?",
        ),
        (
            "[Room/sandbox]",
            "[Room/sandbx]",
            "meshagent.yaml:24:15: no document is Room/sandbx",
            "correct the name",
        ),
        (
            "        container.image: registry.test/support:4",
            "        kind: Room\n        container.image: registry.test/support:4",
            "`kind` says what the document is",
            "",
        ),
        (
            "        container.image: registry.test/support:4",
            "        container.imag: x\n        container.image: registry.test/support:4",
            "meshagent.yaml:22:9: unknown field `imag`",
            "did you mean `image`?",
        ),
        (
            "        container.image: registry.test/support:4",
            "        container.image: 4",
            "meshagent.yaml:22:9:",
            "",
        ),
        (
            "stage: prod\n",
            "stage: prod\n      stag: prod\n",
            "meshagent.yaml:18:7: no template (*.j2) uses `stag`, which environment prod gives",
            "did you mean `stage`?",
        ),
        (
            "allow_deletes: 0",
            "allow_delets: 0",
            "unknown field `allow_delets`",
            "did you mean `allow_deletes`?",
        ),
        (
            "guards: {allow_deletes: 0}",
            "guards: {prune: some}",
            "`prune: some` is none of its words",
            "given, all or none",
        ),
        (
            "    embedded: true\n",
            "    embedded: true\n    api_url: https://a.test\n",
            "meshagent.yaml:9:5: an environment is on one platform",
            "",
        ),
        (
            "stage: prod\n",
            "stage:\n",
            "meshagent.yaml:17:7: the value `stage` is empty",
            "for an empty text",
        ),
        (
            "image_tag: \"6\"",
            "image_tag: \"6\"\n    policies: [nope]",
            "meshagent.yaml:19:5: there is no folder nope",
            "",
        ),
        ("project: shop\n", "project: 7\n", "`environments.prod.project`: it must be a text", ""),
        ("version: v1", "version: !x v1", "the tag `!x` has no meaning here", ""),
        ("# our shop\n", "- a\n--- \n", "a project file is", ""),
    ] {
        assert!(PROJECT.contains(from), "{from}");
        let sandbox = bare(&PROJECT.replacen(from, to, 1));
        let run = sandbox.run(&["validate", "-e", "prod"]);
        assert!([1, 2].contains(&run.code), "{to}: {}\n{}", run.code, run.stderr);
        assert!(run.stderr.contains(told) && run.stderr.contains(hint), "{to}\n{}", run.stderr);
    }
}

#[test]
fn a_project_file_names_nothing_outside_of_its_repository() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("v.yaml"), "stage: SECRET\nimage_tag: a\n").unwrap();
    let there = outside.path().display().to_string();
    for (field, told) in [
        (format!("values_files: [{there}/v.yaml]"), "meshagent.yaml:16:5:"),
        (format!("manifests: {there}"), "meshagent.yaml:16:5:"),
        (format!("policies: [{there}]"), "meshagent.yaml:16:5:"),
        ("values_files: [../../v.yaml]".to_owned(), "meshagent.yaml:16:5:"),
        (format!("embedded: {there}"), "meshagent.yaml:16:5:"),
        ("embedded: ../x".to_owned(), "meshagent.yaml:16:5:"),
        ("values_files: [link.yaml]".to_owned(), "meshagent.yaml:16:5:"),
    ] {
        let sandbox =
            bare(&PROJECT.replace("project: shop\n", &format!("project: shop\n    {field}\n")));
        std::os::unix::fs::symlink(outside.path().join("v.yaml"), sandbox.path("link.yaml"))
            .unwrap();
        let run = sandbox.run(&["plan", "-e", "prod"]);
        assert_eq!(run.code, 2, "{field}: {}", run.stderr);
        assert!(
            run.stderr.contains(told) && run.stderr.contains("is outside of"),
            "{}",
            run.stderr
        );
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("SECRET"));
    }
}

#[test]
fn a_name_that_no_environment_has_is_told_with_those_that_there_are() {
    let sandbox = bare(PROJECT);
    let unknown = ran(&sandbox, 2, "plan -e prood").stderr;
    assert!(unknown.contains("there is no environment `prood`") && unknown.contains("`prod`"));
    let all = ran(&sandbox, 2, "apply -e all").stderr;
    assert!(all.contains("only `plan` and `validate` take all environments at once"), "{all}");
    sandbox.write("meshagent.yaml", &PROJECT.replace("default: dev\n", ""));
    let none = ran(&sandbox, 2, "plan").stderr;
    assert!(none.contains("several environments, and none is named") && none.contains("dev, prod"));
    std::fs::remove_file(sandbox.path("meshagent.yaml")).unwrap();
    let missing = ran(&sandbox, 2, "plan -e prod").stderr;
    assert!(missing.contains("there is no meshagent.yaml"), "{missing}");
    let given = ran(&sandbox, 2, "plan").stderr;
    assert!(given.contains("no manifests are given"), "{given}");
}

#[test]
fn a_project_file_is_no_manifest_and_a_manifest_of_its_name_is_one() {
    let sandbox = bare("version: v1\nmanifests: .\nvalues: {stage: a, image_tag: b}\n");
    assert!(ran(&sandbox, 0, "validate").stdout.contains("3 documents"));
    let alone = ran(&sandbox, 2, "validate -f meshagent.yaml").stderr;
    assert!(alone.contains("this is a project file, not a manifest"), "{alone}");
    sandbox.write("meshagent.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
    assert!(ran(&sandbox, 0, "validate -f meshagent.yaml").stdout.contains("1 document"));
    assert!(ran(&sandbox, 2, "plan").stderr.contains("no manifests are given"));
}

#[test]
fn the_project_file_of_a_repository_is_found_from_the_folders_below() {
    let sandbox = bare(PROJECT);
    sandbox.repository(".");
    let below = |folder: &str| {
        let mut command = sandbox.command(&["validate", "-e", "prod"]);
        Run::of(command.current_dir(sandbox.path(folder)).output().unwrap())
    };
    assert_eq!(below("manifests").code, 0, "{}", below("manifests").stderr);
    std::fs::remove_dir_all(sandbox.path(".git")).unwrap();
    assert!(below("manifests").stderr.contains("there is no meshagent.yaml"));
}

#[test]
fn a_credential_is_not_sent_where_only_a_project_file_says() {
    let there = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    there.set_nonblocking(true).unwrap();
    let url = format!("http://{}", there.local_addr().unwrap());
    let named = PROJECT.replace("embedded: true", &format!("api_url: {url}"));
    let sandbox = bare(&named);
    let plan = |command: &mut Command| {
        let run = command.env("MESHAGENT_API_KEY", "ma-secret").env("MESHAGENT_INSECURE", "1");
        Run::of(run.args(["--retries", "0", "--timeout", "1s"]).output().unwrap())
    };
    for line in [
        &["plan", "-e", "prod"][..],
        &["plan"],
        &["rooms", "list", "-e", "prod"],
        &["destroy", "-e", "prod"],
    ] {
        let run = plan(&mut sandbox.command(line));
        assert_eq!(run.code, 6, "{line:?}: {}", run.stderr);
        let told = "meshagent.yaml:8:5: environment `prod` is on";
        let is_default = line == ["plan"];
        assert!(is_default || run.stderr.contains(told), "{}", run.stderr);
        assert!(run.stderr.contains("set MESHAGENT_API_URL to that URL, too"), "{}", run.stderr);
        assert!(there.accept().is_err(), "{line:?} connected");
    }
    // Whoever names the platform means it.
    let run = plan(sandbox.command(&["plan", "-e", "prod"]).env("MESHAGENT_API_URL", &url));
    assert_ne!(run.code, 6, "{}", run.stderr);
    assert!(there.accept().is_ok(), "{}", run.stderr);
}

#[test]
fn all_environments_are_planned_at_once() {
    let sandbox = shop();
    ran(&sandbox, 0, "apply -e dev --yes");
    let text = ran(&sandbox, 3, "plan -e all --exit-code").stdout;
    assert!(text.contains("Nothing to change in shop-dev") && text.contains("Plan: 2 to create"));
    let document = ran(&sandbox, 0, "plan -e all --output json").json();
    let all = document["environments"].as_array().unwrap();
    let names: Vec<_> = all.iter().map(|it| it["environment"].as_str().unwrap()).collect();
    assert_eq!(names, ["dev", "prod"]);
    assert_eq!(all[1]["plan"]["counts"]["create"], 2);
    let comment = ran(&sandbox, 0, "plan -e all --output markdown").stdout;
    assert!(comment.starts_with("<!-- meshagent-plan set=shop environments=dev+prod -->\n"));
    assert!(comment.contains("in environment `dev`: nothing to change"), "{comment}");
    assert!(comment.contains("in environment `prod`: 2 to create"), "{comment}");
    for (line, told) in [
        ("plan -e all --out p.json", "--out saves the plan of one environment"),
        ("plan -e all --output html", "text, Markdown or JSON"),
    ] {
        assert!(ran(&sandbox, 2, line).stderr.contains(told));
    }
    // One that cannot be planned keeps none of the others from it.
    sandbox.write("meshagent.yaml", &PROJECT.replace("project: shop\n", "project: shp\n"));
    let partly = sandbox.run(&["plan", "-e", "all"]);
    assert_ne!(partly.code, 0);
    assert!(partly.stdout.contains("Nothing to change in shop-dev"), "{}", partly.stdout);
    assert!(partly.stdout.contains("No plan in environment `prod`"), "{}", partly.stdout);
    assert!(partly.stderr.contains("1 environment was not planned: prod"), "{}", partly.stderr);
    // A plan that a guard refuses was made, and is told apart.
    let other = "version: v1\nkind: Room\nproject: shop\nmetadata: {name: other}\n";
    sandbox.write("manifests/other.yaml", other);
    let refused = sandbox.run(&["plan", "-e", "all"]);
    let told = "1 environment was not planned: prod; 1 environment was refused: dev";
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
    std::fs::remove_file(sandbox.path("manifests/other.yaml")).unwrap();
    let document = sandbox.run(&["plan", "-e", "all", "--output", "json"]).json();
    assert!(document["environments"][1]["plan"].is_null());
    assert!(document["environments"][1]["failure"]["message"].is_string());
    let comment = sandbox.run(&["plan", "-e", "all", "--output", "markdown"]).stdout;
    assert!(comment.contains("### No plan in environment `prod`"), "{comment}");
}

#[test]
fn two_environments_are_compared_as_they_are_said_and_as_they_are() {
    let sandbox = shop();
    let rendered = ran(&sandbox, 0, "diff -e dev..prod --rendered").stdout;
    assert!(!rendered.contains("on the platforms"), "{rendered}");
    let told = "--- dev/Service/support@lobby\n+++ prod/Service/support@lobby\n";
    assert!(rendered.contains(told), "{rendered}");
    assert!(
        rendered.contains("-  image: registry.test/support:5\n+  image: registry.test/support:4")
    );
    assert!(rendered.contains("--- dev/Room/sandbox\n+++ /dev/null\n"), "{rendered}");
    ran(&sandbox, 0, "apply -e dev --yes");
    let live = ran(&sandbox, 3, "diff -e dev..prod --exit-code").stdout;
    let (_, live) = live.split_once("# What is on the platforms\n").unwrap();
    assert!(live.contains("--- dev/Service/support@lobby\n+++ /dev/null\n"), "{live}");
    let same = ran(&sandbox, 0, "diff -e dev..dev --exit-code");
    assert_eq!(same.stdout, "");
    assert!(same.stderr.contains("the same in both"), "{}", same.stderr);
    assert!(ran(&sandbox, 2, "diff -e dev..prd").stderr.contains("there is no environment `prd`"));
    assert!(ran(&sandbox, 2, "diff --rendered").stderr.contains("two environments"));
}

#[test]
fn what_goes_from_one_environment_to_the_next_is_written_with_its_comments() {
    let sandbox = shop();
    ran(&sandbox, 0, "apply -e prod --yes");
    let read = || std::fs::read_to_string(sandbox.path("meshagent.yaml")).unwrap();
    let told = ran(&sandbox, 0, "promote dev prod --dry-run");
    assert_eq!(read(), PROJECT);
    assert!(told.stdout.contains("+      image_tag: \"7\""), "{}", told.stdout);
    assert!(told.stdout.contains("\"registry.test/support:4\" → \"registry.test/support:5\""));
    assert!(told.stderr.contains("what also differs stays as it is:"), "{}", told.stderr);
    let unknown = ran(&sandbox, 2, "promote dev prod --only imge").stderr;
    assert!(unknown.contains("`imge` does not differ between `dev` and `prod`"), "{unknown}");
    ran(&sandbox, 0, "promote dev prod --only container.image --no-plan");
    assert_eq!(read(), PROJECT.replace("support:4 # tested", "support:5 # tested"));
    let told = ran(&sandbox, 0, "promote dev prod").stderr;
    assert!(told.contains("1 value promoted to `prod`: image_tag"), "{told}");
    let expected = PROJECT.replace("support:4", "support:5").replace("\"6\"", "\"7\"");
    assert_eq!(read(), expected);
    assert!(ran(&sandbox, 0, "promote dev prod").stderr.contains("nothing to promote"));
    sandbox.write("meshagent.yaml", &PROJECT.replace("set: shop", "set: shop\npromote: [stage]"));
    assert!(ran(&sandbox, 0, "promote dev prod --no-plan").stderr.contains("to `prod`: stage"));
}

#[test]
fn the_versions_of_sources_are_promoted_too() {
    let project = "\
version: v1
sources:
  base: {archive: vendor/a-1.tar}
environments:
  dev:
    set: dev
    sources: {base: {archive: vendor/a-2.tar, values: {size: 2}}}
  prod:
    set: prod
    sources:
      base: {archive: vendor/a-1.tar} # tested
";
    let sandbox = bare(project);
    let told = ran(&sandbox, 0, "promote dev prod --no-plan");
    assert!(
        told.stderr.contains("base archive") && told.stderr.contains("size"),
        "{}",
        told.stderr
    );
    let read = std::fs::read_to_string(sandbox.path("meshagent.yaml")).unwrap();
    let tested = "base: {archive: vendor/a-1.tar} # tested";
    assert_eq!(read, project.replace(tested, "base: {archive: vendor/a-2.tar} # tested"));
    // What one of them does not say itself is what the source says.
    ran(&sandbox, 0, "promote prod dev --no-plan");
    let own = project.replace(
        "      base: {archive: vendor/a-1.tar} # tested\n",
        "      base: {values: {size: 1}}\n",
    );
    sandbox.write("meshagent.yaml", &own);
    let told = ran(&sandbox, 0, "promote prod dev --no-plan").stdout;
    assert!(
        told.contains("+    sources: {base: {archive: vendor/a-1.tar, values: {size: …}}}"),
        "{told}"
    );
}

#[test]
fn drift_in_a_field_that_an_environment_says_is_left_with_its_place() {
    let sandbox = shop();
    sandbox.write(
        "manifests/mail.yaml",
        "version: v1\nkind: Mailbox\nmetadata: {name: a@mail.localhost}\nroom: lobby\nqueue: a\npublic: true\n",
    );
    let said = "      Mailbox/a@mail.localhost: {queue: b}\n      Service/support:\n        container.image: registry.test/support:4 # tested\n";
    let before =
        "      Service/support:\n        container.image: registry.test/support:4 # tested\n";
    sandbox.write("meshagent.yaml", &PROJECT.replace(before, said));
    ran(&sandbox, 0, "apply -e prod --yes");
    ran(&sandbox, 0, "mailbox update a@mail.localhost --queue c --no-public -e prod");
    let left = sandbox.run(&["accept", "-e", "prod"]);
    assert_eq!(left.code, 1, "{}", left.stderr);
    let told = "queue: environment prod says it, at meshagent.yaml:21:34; change it there";
    assert!(left.stderr.contains(told), "{}", left.stderr);
    // The manifest is that of the other environment, too.
    let shared =
        "note: environment `dev` has the same manifests, so this changes what they plan, too";
    assert!(left.stderr.contains(shared), "{}", left.stderr);
    let manifest = std::fs::read_to_string(sandbox.path("manifests/mail.yaml")).unwrap();
    assert!(manifest.contains("queue: a\npublic: false\n"), "{manifest}");
}
