//! One repository goes through everything: two sets, three environments, two sources; a pull request
//! with its comment, an approval, the apply, drift that is accepted, a promotion, and the way back.

use std::os::unix::fs::PermissionsExt;

use super::forge::{Forge, Sort};
use super::repository::{About, Repository};
use crate::approvals::key_pair;
use crate::cli::Run;

const MAIN: About<'static> = About::Push("main");

const SHOP: &str = "\
# The shop
version: v1
ci:
  plan: [dev, stage, prod]
  apply: [dev, stage, prod]
  drift: [prod]
sources:
  base:
    git: ../vendor/base
    ref: v1
    values: {hall: hall}
    overrides:
      Room/*hall: {room_metadata.size: 2}
  extra:
    archive: ../vendor/extra.tar
environments:
  dev:
    set: shop-dev
    values: {stage: dev, version_of_shop: \"2\"}
    without: [Room/hall, Room/extra]
  stage:
    extends: dev
    set: shop-stage
    values: {stage: stage, version_of_shop: \"1\"}
  prod:
    set: shop-prod
    values:
      stage: prod
      version_of_shop: \"1\" # since May
    sources:
      base: {values: {hall: great-hall}, overrides: {Room/great-hall: {room_metadata.size: 3}}}
    approvals: {required: 1, approvers: allowed_signers}
";

const ROOM: &str = "\
version: v1
kind: Room
metadata: {name: \"shop-{{ stage }}\"}
room_metadata: {version: \"{{ version_of_shop }}\"}
";

const PLAIN: &str = "\
version: v1
kind: Room
metadata:
  name: desk
  annotations:
    team: Desk
";

/// Runs a command in the folder of the shop.
#[track_caller]
fn in_shop(repository: &Repository, code: i32, line: &str) -> Run {
    in_folder(repository, "shop", code, line)
}

#[track_caller]
fn in_folder(repository: &Repository, folder: &str, code: i32, line: &str) -> Run {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut command = repository.sandbox.command(&words);
    command
        .current_dir(repository.path(folder))
        .env("MESHAGENT_API_URL", &repository.server.url)
        .env("MESHAGENT_API_KEY", &repository.server.owner)
        .env("MESHAGENT_PROJECT_ID", &repository.server.project);
    let run = Run::of(command.output().unwrap());
    assert_eq!(run.code, code, "{line}\n{}\n{}", run.stdout, run.stderr);
    run
}

/// The repository with its sources, the key of who approves, and the second set.
async fn begun() -> Repository {
    let repository = Repository::new().await;
    let (key, public) = key_pair(7);
    repository.sandbox.write("ann", &key);
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(repository.sandbox.path("ann"), private).unwrap();
    repository.write("shop/allowed_signers", &format!("ann@example.com {public}\n"));
    repository.write(".gitignore", "vendor/base/\n.meshagent/\n");
    repository.write(
        "vendor/base/hall.yaml.j2",
        "version: v1\nkind: Room\nmetadata: {name: \"{{ hall }}\"}\nroom_metadata: {size: 1}\n",
    );
    let base = repository.path("vendor/base").display().to_string();
    for words in [
        &["-C", &base, "init", "--quiet", "--initial-branch=main"][..],
        &["-C", &base, "add", "--all"],
        &["-C", &base, "commit", "--quiet", "-m", "Base"],
        &["-C", &base, "tag", "v1"],
    ] {
        repository.git(words);
    }
    repository.write("extra/extra.yaml", "version: v1\nkind: Room\nmetadata: {name: extra}\n");
    let tar = ["-cf", "vendor/extra.tar", "-C", "extra", "extra.yaml"];
    let made =
        std::process::Command::new("tar").args(tar).current_dir(repository.path("")).status();
    assert!(made.unwrap().success());
    std::fs::remove_dir_all(repository.path("extra")).unwrap();
    std::fs::remove_dir_all(repository.path("shop/policies")).unwrap();
    repository.write("shop/meshagent.yaml", SHOP);
    repository.write("shop/manifests/rooms.yaml.j2", ROOM);
    repository.write("desk/meshagent.yaml", "version: v1\nset: desk\n");
    repository.write("desk/manifests/desk.yaml", PLAIN);
    in_shop(&repository, 0, "source update");
    repository.commit("Begin");
    repository
}

/// Saves the plan of production, has it approved, and applies it.
#[track_caller]
fn approved(repository: &Repository, plan: &str) -> Run {
    let saved = in_shop(repository, 0, &format!("plan -e prod --out back.json {plan}")).stderr;
    assert!(saved.contains("it needs 1 approval: `meshagent approve back.json`"), "{saved}");
    let refused = in_shop(repository, 6, "apply back.json").stderr;
    assert!(refused.contains("approval"), "{refused}");
    let ann = repository.sandbox.path("ann").display().to_string();
    in_shop(repository, 0, &format!("approve back.json --key {ann} --yes"));
    let run = in_shop(repository, 0, "apply back.json");
    std::fs::remove_file(repository.path("shop/back.json")).unwrap();
    std::fs::remove_dir_all(repository.path("shop/back.json.approvals")).unwrap();
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn one_repository_goes_through_everything() {
    let (repository, forge) = (begun().await, Forge::start(Sort::GitHub));
    // Nobody applies production without an approval.
    for line in ["apply -e prod --yes", "rollback --to 1 -e prod --yes", "destroy -e prod --yes"] {
        let refused = in_shop(&repository, 6, line).stderr;
        assert!(refused.contains("this needs 1 approval"), "{line}: {refused}");
    }
    let first = approved(&repository, "").stdout;
    assert!(first.contains("Applied: 3 done."), "{first}");
    for environment in ["dev", "stage"] {
        in_shop(&repository, 0, &format!("apply -e {environment} --yes"));
    }
    in_folder(&repository, "desk", 0, "apply --yes");
    let plan = in_shop(&repository, 0, "plan -e all").stdout;
    assert_eq!(plan.matches("Nothing to change").count(), 3, "{plan}");

    // A pull request promotes what `dev` has, and has one comment about the set that it touches.
    let base = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["checkout", "--quiet", "-b", "change"]);
    in_shop(&repository, 0, "promote dev stage --no-plan");
    repository.commit("Promote to stage");
    let about = About::PullRequest { from: "acme/shop", base: &base };
    repository.run(&forge, about, &["plan"], 0);
    let [comment] = &forge.own_comments()[..] else { panic!("{:?}", forge.own_comments()) };
    assert!(comment.contains("`shop` in `stage`: 1 to update"), "{comment}");
    assert!(comment.contains("`shop` in `prod`: nothing to change"), "{comment}");
    assert!(!comment.contains("`desk`"), "{comment}");
    let told = in_shop(&repository, 0, "promote stage prod --no-plan").stdout;
    // What else stands on the line is left out, as it may be a secret, and stays in the file.
    assert!(told.contains("+      version_of_shop: \"2\" …"), "{told}");
    let file = std::fs::read_to_string(repository.path("shop/meshagent.yaml")).unwrap();
    assert!(file.contains("version_of_shop: \"2\" # since May"), "{file}");
    repository.commit("Promote to production");
    let plans = repository.sandbox.path("plans").display().to_string();
    repository.run(&forge, about, &["plan", "--out", &plans], 0);
    let [comment] = &forge.own_comments()[..] else { panic!("{:?}", forge.own_comments()) };
    assert!(comment.contains("`shop` in `prod`: 1 to update"), "{comment}");

    // Merged and approved, exactly these plans are applied, and production waits for that.
    repository.git(&["checkout", "--quiet", "main"]);
    repository.git(&["merge", "--quiet", "--ff-only", "change"]);
    let waits = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 4);
    assert!(waits.stderr.contains("`shop prod` was not applied"), "{}", waits.stderr);
    repository.run(&forge, MAIN, &["plan", "--out", &plans], 0);
    let ann = repository.sandbox.path("ann").display().to_string();
    in_shop(&repository, 0, &format!("approve {plans}/shop.prod.json --key {ann} --yes"));
    let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 0);
    assert!(run.stdout.contains("Applied: 1 done."), "{}", run.stdout);
    let plan = in_shop(&repository, 0, "plan -e all").stdout;
    assert_eq!(plan.matches("Nothing to change").count(), 3, "{plan}");

    // Drift opens an issue, is accepted, and closes it.
    repository.write("desk/meshagent.yaml", "version: v1\nset: desk\n");
    repository.let_drift("desk", "Somebody");
    repository.run(&forge, MAIN, &["drift"], 3);
    assert!(forge.state().issues[0].is_open && forge.state().issues[0].body.contains("Somebody"));
    in_folder(&repository, "desk", 0, "accept");
    let accepted = std::fs::read_to_string(repository.path("desk/manifests/desk.yaml")).unwrap();
    assert_eq!(accepted, PLAIN.replace("Desk", "Somebody"));
    in_folder(&repository, "desk", 0, "apply --yes");
    repository.commit("Accept");
    repository.run(&forge, MAIN, &["drift"], 0);
    assert!(!forge.state().issues[0].is_open);

    // Back to how production was, by an approved plan; then there is nothing to go back.
    let history = in_shop(&repository, 0, "history -e prod -o json").json();
    let runs = history["states"].as_array().unwrap_or_else(|| panic!("{history}")).clone();
    assert!(
        runs.iter().any(|run| run["approvals"] == serde_json::json!(["ann@example.com"])),
        "{history}"
    );
    let oldest = runs.iter().map(|run| run["number"].as_u64().unwrap()).min().unwrap();
    let back = approved(&repository, &format!("--to {oldest}")).stdout;
    assert!(back.contains("room_metadata.version: \"2\" → \"1\""), "{back}");
    let again = in_shop(&repository, 0, &format!("plan -e prod --to {oldest}")).stdout;
    assert!(again.contains("Nothing to change"), "{again}");
    let forward = in_shop(&repository, 0, "plan -e prod").stdout;
    assert!(forward.contains("room_metadata.version: \"1\" → \"2\""), "{forward}");
    forge.expect_documented();
}
