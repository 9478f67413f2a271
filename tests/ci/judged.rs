//! What judges a pull request is the branch that it is made to, wherever that has it, and as it is
//! now.

use super::forge::{Forge, Sort};
use super::repository::{About, PROJECT_FILE, ROOMS, Repository};
use crate::cli::Run;

const OWN: &str = "acme/shop";

fn proposal(base: &str) -> About<'_> {
    About::PullRequest { from: OWN, base }
}

/// A room that the policy of the base forbids.
fn forbid(repository: &Repository, folder: &str) {
    repository.write(&format!("{folder}/bad.yaml"), &ROOMS.replace("{{ room }}", "forbidden"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_base_has_as_a_link_counts_as_well() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let link = |to: &str, at: &str| {
        let _ = std::fs::remove_file(repository.path(at));
        std::os::unix::fs::symlink(to, repository.path(at)).unwrap();
    };
    let rule = std::fs::read_to_string(repository.path("shop/policies/a.rego")).unwrap();
    repository.write("common/rule.rego", &rule);
    repository.write("common/prod.yaml", PROJECT_FILE);
    link("../common/prod.yaml", "shop/meshagent.yaml");
    link("../../common/rule.rego", "shop/policies/a.rego");
    let base = repository.commit("Links");
    forbid(&repository, "shop/manifests");
    let loose = PROJECT_FILE
        .replace("    policies: [policies]\n", "")
        .replace("ci:\n", "ci:\n  on_refused: pass\n");
    repository.write("common/prod.yaml", &loose);
    repository.commit("Loosen what the link leads to");
    let run = repository.run(&forge, proposal(&base), &["plan"], 6);
    assert!(run.stdout.contains("this is forbidden"), "{}", run.stdout);
    // One that leads nowhere leaves the rules unknown.
    link("../../common/none.rego", "shop/policies/a.rego");
    repository.write("common/prod.yaml", PROJECT_FILE);
    let base = repository.commit("Nowhere");
    repository.write("shop/manifests/more.yaml", &ROOMS.replace("{{ room }}", "more"));
    repository.commit("More");
    let run = repository.run(&forge, proposal(&base), &["plan"], 6);
    assert!(run.stderr.contains("is a link that leads to no file"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_folder_is_no_way_past_the_rules_of_the_base() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let base = repository.git(&["rev-parse", "HEAD"]);
    let loose = PROJECT_FILE
        .replace("    policies: [policies]\n", "")
        .replace("ci:\n", "ci:\n  on_refused: pass\n");
    // A project file for the same sets beside it, or in its place.
    for is_moved in [false, true] {
        repository.write("sub/meshagent.yaml", &loose);
        repository.write("sub/manifests/rooms.yaml.j2", ROOMS);
        forbid(&repository, "sub/manifests");
        if is_moved {
            repository.git(&["rm", "--quiet", "-r", "shop"]);
        }
        repository.commit("Elsewhere");
        let run = repository.run(&forge, proposal(&base), &["plan"], 6);
        assert!(run.stdout.contains("this is forbidden"), "{is_moved}: {}", run.stdout);
        let comment = forge.own_comments().pop().unwrap();
        let is_told = comment.contains("`shop/meshagent.yaml` | renamed");
        assert_eq!(is_told, is_moved, "{comment}");
        let says = comment.contains("`shop` in `prod` is `sub` in `prod` now");
        assert_eq!((says, comment.contains("meshagent destroy")), (is_moved, false), "{comment}");
    }
    // What is for another set is judged by nobody else.
    repository.git(&["checkout", "--quiet", "-b", "other", &base]);
    let other = loose.replace("set: prod", "set: prod-2").replace("set: stage", "set: stage-2");
    repository.write("sub/meshagent.yaml", &other);
    repository.write("sub/manifests/rooms.yaml.j2", &ROOMS.replace("{{ room }}", "{{ room }}-2"));
    forbid(&repository, "sub/manifests");
    repository.commit("Another set");
    repository.run(&forge, proposal(&base), &["plan"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submodule_that_is_not_to_be_looked_at_is_looked_at() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let head = repository.git(&["rev-parse", "HEAD"]);
    // What a submodule stands at needs no submodule to be there.
    let entry = |commit: &str| {
        let entry = format!("160000,{commit},shop/manifests/more");
        repository.git(&["update-index", "--add", "--cacheinfo", &entry]);
    };
    std::fs::create_dir_all(repository.path("shop/manifests/more")).unwrap();
    repository.write(
        ".gitmodules",
        "[submodule \"more\"]\n\tpath = shop/manifests/more\n\turl = ./more\n\tignore = all\n",
    );
    repository.git(&["add", ".gitmodules"]);
    entry(&head);
    repository.git(&["commit", "--quiet", "-m", "A submodule"]);
    let base = repository.git(&["rev-parse", "HEAD"]);
    entry(&base);
    repository.git(&["commit", "--quiet", "-m", "Move it"]);
    let run = repository.run(&forge, proposal(&base), &["plan"], 0);
    assert!(run.stdout.contains("`shop` in `prod`"), "{}\n{}", run.stdout, run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_forge_merged_a_pull_request_onto_is_its_base() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let tight = PROJECT_FILE.replace("    policies: [policies]\n", "");
    repository.write("shop/meshagent.yaml", &tight);
    repository.write("other/meshagent.yaml", "version: v1\nset: other\n");
    repository.write("other/manifests/room.yaml", &ROOMS.replace("{{ room }}", "other"));
    let opened_at = repository.commit("No rules yet");
    repository.git(&["checkout", "--quiet", "-b", "change"]);
    forbid(&repository, "shop/manifests");
    let proposed = repository.commit("Forbidden");
    // Main gets rules, and a change of another set.
    repository.git(&["checkout", "--quiet", "main"]);
    repository.write("shop/meshagent.yaml", PROJECT_FILE);
    repository.write("other/manifests/room.yaml", &ROOMS.replace("{{ room }}", "others"));
    repository.commit("Rules");
    repository.git(&["merge", "--quiet", "--no-ff", "-m", "Merge", "change"]);
    let merge = repository.git(&["rev-parse", "HEAD"]);
    let run = |head: &str, code: i32| {
        let mut command = repository.ci(&forge, proposal(&opened_at), &["plan"]);
        let event = repository.sandbox.path("event.json");
        let now = repository.git(&["rev-parse", "HEAD"]);
        let text = std::fs::read_to_string(&event).unwrap().replace(&now, head);
        std::fs::write(&event, text).unwrap();
        let run = Run::of(command.output().unwrap());
        assert_eq!(run.code, code, "{}\n{}", run.stdout, run.stderr);
        run
    };
    let judged = run(&proposed, 6);
    assert!(judged.stdout.contains("this is forbidden"), "{}", judged.stdout);
    // What only main changed is no matter of the pull request.
    assert!(!judged.stderr.contains("planning other"), "{}", judged.stderr);
    // A merge that the pull request has itself is not the forge's: its first parent is no base.
    let unchanged = run(&merge, 0);
    assert!(unchanged.stderr.contains("planning other"), "{}", unchanged.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_base_says_which_of_its_environments_are_planned() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let of_prod = PROJECT_FILE.replace("plan: [stage, prod]", "plan: [prod]");
    repository.write("shop/meshagent.yaml", &of_prod);
    let base = repository.commit("Only prod");
    let more = PROJECT_FILE.replace("plan: [stage, prod]", "plan: [stage]")
        + "  new:\n    set: new\n    values: {room: new}\n";
    repository.write("shop/meshagent.yaml", &more);
    repository.commit("Another list");
    let run = repository.run(&forge, proposal(&base), &["plan"], 0);
    for (environment, is_planned) in [("prod", true), ("new", true), ("stage", false)] {
        let told = format!("planning shop {environment} (");
        assert_eq!(run.stderr.contains(&told), is_planned, "{environment}: {}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_sets_read_the_same_manifests() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    repository.write("flat/meshagent.yaml", "version: v1\nset: flat\nmanifests: .\n");
    repository.write("flat/room.yaml", &ROOMS.replace("{{ room }}", "flat"));
    repository.write("flat/nested/meshagent.yaml", "version: v1\nset: nested\nmanifests: .\n");
    repository.write("flat/nested/room.yaml", &ROOMS.replace("{{ room }}", "nested"));
    repository.commit("Nested");
    for words in [&["plan", "--all"][..], &["apply"], &["drift"]] {
        let run = repository.run(&forge, About::Push("main"), words, 2);
        let told = "the set in flat reads the manifests in flat/nested, too";
        assert!(run.stderr.contains(told), "{words:?}: {}", run.stderr);
    }
    // Where each names its own, one may be below the other.
    repository.write("flat/meshagent.yaml", "version: v1\nset: flat\nmanifests: room.yaml\n");
    repository.commit("Apart");
    repository.run(&forge, About::Push("main"), &["plan", "--all"], 0);
}
