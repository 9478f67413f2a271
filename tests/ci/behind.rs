//! Branches that are behind the one that they are made to, and what goes from it.

use super::forge::{Forge, Sort};
use super::repository::{About, PROJECT_FILE, ROOMS, Repository};

const OWN: &str = "acme/shop";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_branch_does_not_have_yet_is_not_gone() {
    for sort in [Sort::GitHub, Sort::GitLab] {
        let (repository, forge) = (Repository::new().await, Forge::start(sort));
        repository.git(&["branch", "change"]);
        repository.write("other/meshagent.yaml", "version: v1\nset: other\n");
        repository.write("other/manifests/room.yaml", &ROOMS.replace("{{ room }}", "other"));
        let more = PROJECT_FILE
            .replace("environments:\n", "environments:\n  new: {set: new, values: {room: new}}\n");
        repository.write("shop/meshagent.yaml", &more);
        let base = repository.commit("Another set and environment");
        repository.git(&["checkout", "--quiet", "change"]);
        repository.write("shop/manifests/rooms.yaml.j2", &ROOMS.replace("Shop", "Others"));
        repository.commit("Change");
        let about = About::PullRequest { from: OWN, base: &base };
        let run = repository.run(&forge, about, &["plan"], 0);
        let told = format!("{}{}", run.stdout, run.stderr);
        assert!(!told.contains("gone") && !told.contains("destroy"), "{sort:?}: {told}");
        assert!(told.contains("1 to create"), "{sort:?}: {told}");
        // What the branch itself takes away is.
        repository.git(&["merge", "--quiet", "main"]);
        repository.git(&["rm", "--quiet", "-r", "other"]);
        repository.write("shop/meshagent.yaml", PROJECT_FILE);
        repository.commit("Take both away");
        let run = repository.run(&forge, about, &["plan"], 0);
        for gone in ["other/meshagent.yaml is gone", "the environment `new` of shop is gone"] {
            assert!(run.stderr.contains(gone), "{sort:?}: {}", run.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_branch_began_is_not_known_in_a_shallow_checkout_and_nothing_is_to_be_destroyed() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    repository.git(&["checkout", "--quiet", "--orphan", "change"]);
    repository.commit("Begin elsewhere");
    repository.git(&["checkout", "--quiet", "main"]);
    repository.write("other/meshagent.yaml", "version: v1\nset: other\n");
    let base = repository.commit("Another set");
    repository.git(&["checkout", "--quiet", "change"]);
    let about = About::PullRequest { from: OWN, base: &base };
    let run = repository.run(&forge, about, &["plan"], 0);
    assert!(run.stdout.contains("gone, or new on the base branch"), "{}", run.stdout);
    assert!(!run.stdout.contains("meshagent destroy"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_project_file_of_the_base_is_called_new_and_not_gone() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    repository.git(&["rm", "--quiet", "-r", "shop"]);
    repository.write("manifests/room.yaml", &ROOMS.replace("{{ room }}", "usual"));
    repository.commit("Without a project file");
    repository.git(&["branch", "change"]);
    repository.write("meshagent.yaml", "version: v1\nset: usual\n");
    let base = repository.commit("The first one");
    repository.git(&["checkout", "--quiet", "change"]);
    let about = About::PullRequest { from: OWN, base: &base };
    let run = repository.run(&forge, about, &["plan"], 6);
    assert!(run.stderr.contains("meshagent.yaml is new on the base branch"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_whose_folder_becomes_a_link_is_gone() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    repository.write("other/meshagent.yaml", "version: v1\nset: other\n");
    repository.write("other/manifests/room.yaml", &ROOMS.replace("{{ room }}", "other"));
    let base = repository.commit("Another set");
    repository.git(&["rm", "--quiet", "-r", "other"]);
    std::os::unix::fs::symlink("shop", repository.path("other")).unwrap();
    repository.commit("A link");
    let run = repository.run(&forge, About::PullRequest { from: OWN, base: &base }, &["plan"], 0);
    assert!(run.stderr.contains("other/meshagent.yaml is gone"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_file_that_is_a_link_out_of_the_repository_is_not_read() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let base = repository.git(&["rev-parse", "HEAD"]);
    let outside = repository.sandbox.path("outside");
    std::fs::write(&outside, "canary: 1\n").unwrap();
    for to in [outside.display().to_string(), "../.git/config".to_owned()] {
        std::fs::remove_file(repository.path("shop/meshagent.yaml")).unwrap();
        std::os::unix::fs::symlink(&to, repository.path("shop/meshagent.yaml")).unwrap();
        repository.commit("A link");
        let about = About::PullRequest { from: "mallory/shop", base: &base };
        let run = repository.run(&forge, about, &["plan"], 2);
        let told = format!("{}{}", run.stdout, run.stderr);
        assert!(told.contains("the link leads outside"), "{told}");
        assert!(!told.contains("canary") && !told.contains("[core]"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_the_branch_has_left_behind_is_applied_only_on_demand() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let origin = repository.sandbox.path("origin").display().to_string();
    repository.git(&["clone", "--quiet", "--bare", ".", &origin]);
    repository.git(&["remote", "add", "origin", &origin]);
    let older = repository.git(&["rev-parse", "HEAD"]);
    repository.write("shop/manifests/more.yaml.j2", &ROOMS.replace("{{ room }}", "{{ room }}-2"));
    let newer = repository.commit("One more");
    repository.git(&["push", "--quiet", "origin", "main"]);
    repository.run(&forge, About::Push("main"), &["apply"], 0);
    repository.git(&["checkout", "--quiet", "-B", "main", &older]);
    let run = repository.run(&forge, About::Push("main"), &["apply"], 6);
    for part in ["main has newer commits by now than", &older, &newer, "--allow-older"] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    let run = repository.run(&forge, About::Push("main"), &["apply", "--allow-older"], 0);
    assert!(run.stdout.contains("- delete Room/shop-prod-2"), "{}", run.stdout);
    // What is ahead of the remote is not left behind.
    repository.git(&["checkout", "--quiet", "-B", "main", &newer]);
    repository.write("README.md", "A shop here.\n");
    repository.commit("Not pushed");
    repository.run(&forge, About::Push("main"), &["apply"], 0);
}
