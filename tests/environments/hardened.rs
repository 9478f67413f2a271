//! What project files may not do, and what may not be taken for one.

use super::{PROJECT, bare, ran, shop};
use crate::cli::Run;

#[test]
fn an_empty_name_is_no_name() {
    let sandbox = shop();
    for line in [
        &["apply", "--yes", "-e", ""][..],
        &["plan", "-e", ""],
        &["validate", "-e", ""],
        &["rooms", "list", "-e", ""],
    ] {
        let run = sandbox.run(line);
        assert_eq!(run.code, 2, "{line:?}: {}{}", run.stdout, run.stderr);
    }
}

#[test]
fn the_nearest_environment_that_says_where_the_platform_is_says_all_of_it() {
    let project =
        PROJECT.replace("project: shop\n", "project: shop\n    api_url: http://127.0.0.1:9\n");
    let sandbox = bare(&project);
    let mut command =
        sandbox.command(&["apply", "-e", "prod", "--yes", "--retries", "0", "--timeout", "1s"]);
    command.env("MESHAGENT_API_KEY", "ma-x").env("MESHAGENT_API_URL", "http://127.0.0.1:9");
    let run = Run::of(command.output().unwrap());
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("Connection refused"), "{}", run.stderr);
    assert!(!sandbox.path(".meshagent/embedded").exists());
}

#[test]
fn environments_that_others_extend_need_no_project_and_hide_no_conflict() {
    let base = "\
version: v1
values: {stage: a, image_tag: b}
environments:
  base: {abstract: true, embedded: true}
  one: {extends: base, project: p, set: default}
  two: {extends: base, project: p}
";
    let sandbox = bare(base);
    let run = ran(&sandbox, 2, "validate -e one").stderr;
    assert!(run.contains("`one` and `two` are the same set of project `p`"), "{run}");
    sandbox.write(
        "meshagent.yaml",
        &base.replace("two: {extends: base, project: p}", "two: {extends: base, project: q}"),
    );
    let all = ran(&sandbox, 0, "validate -e all").stderr;
    assert!(all.contains("environment `one`:") && !all.contains("environment `base`:"), "{all}");
    let only = ran(&sandbox, 2, "validate -e base").stderr;
    assert!(
        only.contains("only there for others to extend") && only.contains("one, two"),
        "{only}"
    );
    sandbox.write(
        "meshagent.yaml",
        &base.replace("set: default}", "without: [Room/nothing], set: x}"),
    );
    let run = ran(&sandbox, 2, "validate -e all").stderr;
    assert!(
        run.contains("no document is Room/nothing") && run.contains("environment `two`:"),
        "{run}"
    );
}

#[test]
fn a_project_file_that_cannot_be_read_is_never_taken_for_none() {
    let sandbox = shop();
    sandbox.repository(".");
    std::fs::create_dir_all(sandbox.path("below/manifests")).unwrap();
    sandbox.write("below/manifests/room.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
    let file = sandbox.path("below/meshagent.yaml");
    let text = |text: &[u8]| std::fs::write(&file, text).unwrap();
    let spoil: [&dyn Fn(); 4] = [
        &|| text(b"version: v1\n# caf\xe9\n"),
        &|| text(&[b"version: v1\n#".as_slice(), &vec![b'#'; 1_100_000]].concat()),
        &|| text(b"version: v1\nkind: x\n"),
        &|| {
            std::fs::remove_file(&file).unwrap();
            std::os::unix::fs::symlink("gone.yaml", &file).unwrap();
        },
    ];
    for spoil in spoil {
        spoil();
        for line in [&["plan"][..], &["plan", "-e", "prod"], &["destroy", "-e", "prod", "--yes"]] {
            let mut command = sandbox.command(line);
            let run = Run::of(command.current_dir(sandbox.path("below")).output().unwrap());
            assert_eq!(run.code, 2, "{line:?}: {}{}", run.stdout, run.stderr);
            assert!(run.stderr.contains("meshagent.yaml"), "{}", run.stderr);
        }
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::copy(sandbox.path("meshagent.yaml"), sandbox.path("meshagent.yml")).unwrap();
    let both = ran(&sandbox, 2, "plan").stderr;
    assert!(both.contains("there are both meshagent.yaml and meshagent.yml"), "{both}");
}

#[test]
fn no_platform_is_made_where_a_link_leads_out() {
    let outside = tempfile::tempdir().unwrap();
    let sandbox = bare(&PROJECT.replace("embedded: true", "embedded: link/x/y"));
    std::os::unix::fs::symlink(outside.path(), sandbox.path("link")).unwrap();
    let refused = ran(&sandbox, 2, "plan -e prod").stderr;
    assert!(refused.contains("link/x/y is outside of the project file's folder"), "{refused}");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn large_project_files_are_read_quickly_or_refused() {
    let mut deep = "version: v1\nenvironments:\n  e0: {project: p}\n".to_owned();
    for at in 1..3_000 {
        deep += &format!("  e{at}: {{extends: e{}}}\n", at - 1);
    }
    let sandbox = bare(&deep);
    let refused = ran(&sandbox, 2, "validate -e e5").stderr;
    assert!(refused.contains("the environment extends more than 20 others"), "{refused}");
    let mut many =
        "version: v1\nvalues: {stage: a, image_tag: b}\nenvironments:\n  e:\n    overrides:\n"
            .to_owned();
    for at in 0..1_001 {
        many += &format!("      Room/*{at}: {{room_metadata.x: 1}}\n");
    }
    sandbox.write("meshagent.yaml", &many);
    let refused = ran(&sandbox, 2, "validate -e e").stderr;
    assert!(refused.contains("more than 1000 with `*` or `?`"), "{refused}");
}

#[test]
fn what_is_secret_is_neither_promoted_nor_shown_beside_what_is() {
    let project = PROJECT.replace("    values: {stage: dev, image_tag: \"7\"} # seven\n", "    values:\n      stage: dev\n      password: canary-one\n      image_tag: \"7\"\n    secrets:\n      keys: {image_key: {from: {env: ONE}}}\n").replace("      stage: prod\n", "      stage: prod\n      password: canary-two\n");
    let project = project.replace(
        "    without: [Room/sandbox]\n",
        "    without: [Room/sandbox]\n    secrets:\n      keys: {image_key: {from: {env: TWO}}}\n",
    );
    let sandbox = bare(&project);
    let told = ran(&sandbox, 0, "promote dev prod --no-plan --dry-run");
    let all = format!("{}{}", told.stdout, told.stderr);
    assert!(all.contains("+      image_tag: \"7\"") && !all.contains("canary"), "{all}");
    let refused = ran(&sandbox, 2, "promote dev prod --only image_key").stderr;
    assert!(refused.contains("is of a secret, which stays in its environment"), "{refused}");
    let one = ran(&sandbox, 2, "promote dev dev").stderr;
    assert!(one.contains("`dev` and `dev` are one environment"), "{one}");
}

#[test]
fn secrets_that_nobody_knows_do_not_differ() {
    let sandbox = shop();
    sandbox.write(
        "manifests/keys.yaml",
        "version: v1\nkind: Secret\nmetadata: {name: keys}\ntype: keys\ndata: {A: {from: {env: SHOP_A}}}\n",
    );
    let set = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        Run::of(sandbox.command(&words).env("SHOP_A", "one").output().unwrap())
    };
    assert_eq!(set("apply -e dev --yes").code, 0);
    let same = set("diff -e dev..dev --exit-code");
    assert_eq!((same.code, same.stdout.as_str()), (0, ""), "{}", same.stderr);
    assert_eq!(ran(&sandbox, 0, "diff -e dev..dev --rendered --exit-code").stdout, "");
}

#[test]
fn manifests_that_are_not_there_are_told_with_the_file_that_names_them() {
    let sandbox = bare(&PROJECT.replace("set: shop\n", "set: shop\nmanifests: manifest\n"));
    let told = ran(&sandbox, 2, "plan").stderr;
    assert!(
        told.contains("there are no manifests in manifest, where meshagent.yaml has them"),
        "{told}"
    );
    assert!(!sandbox.path(".meshagent").exists());
}
