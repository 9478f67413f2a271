//! Drift.

use super::forge::{ALL, Forge, Sort};
use super::repository::{About, Repository};

const MAIN: About<'static> = About::Push("main");

/// A room whose text a manifest has as it is, so that drift can be written into it.
const PLAIN: &str =
    "version: v1\nkind: Room\nmetadata:\n  name: plain\n  annotations:\n    team: Shop\n";

async fn applied() -> Repository {
    let repository = Repository::new().await;
    repository.write("shop/manifests/plain.yaml", PLAIN);
    repository.commit("Plain");
    repository.apply("prod");
    repository
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_has_an_issue_as_long_as_it_is_there() {
    for sort in ALL {
        let (repository, forge) = (applied().await, Forge::start(sort));
        let run = repository.run(&forge, MAIN, &["drift"], 0);
        assert!(run.stdout.contains("nothing drifted"), "{}", run.stdout);
        assert_eq!(forge.state().issues.len(), 0);
        repository.let_drift("plain", "Other");
        repository.run(&forge, MAIN, &["drift"], 3);
        repository.run(&forge, MAIN, &["drift"], 3);
        let issues = forge.state().issues.clone();
        let [issue] = &issues[..] else { panic!("{sort:?}: {issues:?}") };
        assert!(issue.is_open && issue.title == "MeshAgent: drift", "{issue:?}");
        assert!(
            issue.body.contains("`shop` in `prod`") && issue.body.contains("Other"),
            "{issue:?}"
        );
        repository.let_drift("plain", "Third");
        forge.state().issues[0].title = "P1: drift".to_owned();
        repository.run(&forge, MAIN, &["drift"], 3);
        assert!(forge.state().issues[0].body.contains("Third"));
        // The same drift in a later run changes nothing, and a title that people gave it stays.
        let asked = forge.state().asked.len();
        let mut later = repository.ci(&forge, MAIN, &["drift"]);
        later.env("GITHUB_RUN_ID", "6").env("CI_JOB_URL", "https://forge.test/acme/shop/-/jobs/6");
        assert_eq!(crate::cli::Run::of(later.output().unwrap()).code, 3);
        let asked = forge.state().asked.split_off(asked);
        assert!(asked.iter().all(|it| !it.starts_with("P") || it.contains("graphql")), "{asked:?}");
        assert_eq!(forge.state().issues[0].title, "P1: drift");
        repository.let_drift("plain", "Shop");
        repository.run(&forge, MAIN, &["drift"], 0);
        assert!(!forge.state().issues[0].is_open);
        // The next one is another issue.
        repository.let_drift("plain", "Fourth");
        repository.run(&forge, MAIN, &["drift"], 3);
        assert_eq!(forge.state().issues.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_proposed_for_the_manifests_and_withdrawn_when_it_is_gone() {
    for sort in ALL {
        let (repository, forge) = (applied().await, Forge::start(sort));
        // The path of a remote is one from the checkout.
        repository.git(&["clone", "--quiet", "--bare", ".", "../origin.git"]);
        repository.git(&["remote", "add", "origin", "../origin.git"]);
        repository.let_drift("plain", "Other");
        let words = ["drift", "--pull-request"];
        repository.run(&forge, MAIN, &words, 3);
        let pulls = forge.state().pulls.clone();
        let [pull] = &pulls[..] else { panic!("{sort:?}: {pulls:?}") };
        let branch = "meshagent/drift/shop.prod";
        assert_eq!((pull.head.as_str(), pull.base.as_str()), (branch, "main"));
        assert_eq!(pull.title, "Accept drift of shop prod");
        // A pull request that takes all of it is enough.
        assert_eq!(forge.state().issues.len(), 0);
        repository.git(&["fetch", "--quiet", "origin"]);
        let remote = format!("origin/{branch}");
        let proposed = repository.git(&["show", &format!("{remote}:shop/manifests/plain.yaml")]);
        assert!(proposed.contains("team: Other"), "{proposed}");
        assert_eq!(repository.git(&["status", "--porcelain"]), "");
        // The same drift pushes nothing; another one replaces it.
        let first = repository.git(&["rev-parse", &remote]);
        repository.run(&forge, MAIN, &words, 3);
        repository.git(&["fetch", "--quiet", "origin"]);
        assert_eq!(repository.git(&["rev-parse", &remote]), first);
        repository.let_drift("plain", "Third");
        repository.run(&forge, MAIN, &words, 3);
        repository.git(&["fetch", "--quiet", "origin"]);
        let second = repository.git(&["rev-parse", &remote]);
        assert_ne!(second, first);
        assert_eq!(forge.state().pulls.len(), 1);
        // What somebody added stays.
        repository.git(&["checkout", "--quiet", "-b", "mine", &remote]);
        repository.write("shop/mine.txt", "mine");
        let mine = repository.commit("Mine");
        repository.git(&["push", "--quiet", "origin", &format!("mine:refs/heads/{branch}")]);
        repository.git(&["checkout", "--quiet", "main"]);
        repository.let_drift("plain", "Fourth");
        let run = repository.run(&forge, MAIN, &words, 6);
        assert!(run.stderr.contains("commits that this program did not make"), "{}", run.stderr);
        let there = repository.git(&["ls-remote", "origin", &format!("refs/heads/{branch}")]);
        assert!(there.starts_with(&mine), "{there}");
        // When the drift is gone, so is the pull request, but for what somebody added.
        repository.let_drift("plain", "Shop");
        let run = repository.run(&forge, MAIN, &words, 0);
        assert!(run.stderr.contains("left as it is, with its pull request"), "{}", run.stderr);
        assert!(forge.state().pulls[0].is_open);
        let back = format!("{second}:refs/heads/{branch}");
        repository.git(&["push", "--quiet", "--force", "origin", &back]);
        repository.run(&forge, MAIN, &words, 0);
        assert!(!forge.state().pulls[0].is_open);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_manifest_can_say_stays_an_issue() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    repository.apply("prod");
    let origin = repository.sandbox.path("origin.git").display().to_string();
    repository.git(&["clone", "--quiet", "--bare", ".", &origin]);
    repository.git(&["remote", "add", "origin", &origin]);
    // Its manifest is a template.
    repository.let_drift("shop-prod", "Other");
    let run = repository.run(&forge, MAIN, &["drift", "--pull-request"], 3);
    assert!(run.stderr.contains("cannot be written into manifests"), "{}", run.stderr);
    assert_eq!(forge.state().pulls.len(), 0);
    assert_eq!(forge.state().issues.len(), 1);
    let base = repository.git(&["rev-parse", "HEAD"]);
    let proposal = About::PullRequest { from: "acme/shop", base: &base };
    repository.run(&forge, proposal, &["drift"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_looks_at_a_part_closes_no_issue_of_another() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    repository.apply("stage");
    repository.apply("prod");
    repository.let_drift("shop-prod", "Somebody");
    let main = About::Push("main");
    repository.run(&forge, main, &["drift"], 3);
    for words in [&["drift", "-e", "stage"][..], &["drift", "shop", "-e", "stage"]] {
        repository.run(&forge, main, words, 0);
        assert!(forge.state().issues[0].is_open, "{words:?}");
    }
    repository.run(&forge, main, &["drift", "-e", "prod"], 3);
    assert_eq!(forge.state().issues.iter().filter(|it| it.is_open).count(), 2);
    repository.let_drift("shop-prod", "Shop");
    repository.run(&forge, main, &["drift", "-e", "prod"], 0);
    let open: Vec<bool> = forge.state().issues.iter().map(|it| it.is_open).collect();
    assert_eq!(open, [true, false]);
    repository.run(&forge, main, &["drift"], 0);
    assert!(!forge.state().issues[0].is_open);
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_accepted_from_where_it_was_found() {
    let (repository, forge) = (applied().await, Forge::start(Sort::GitHub));
    let origin = repository.sandbox.path("origin.git").display().to_string();
    repository.git(&["clone", "--quiet", "--bare", ".", &origin]);
    repository.git(&["remote", "add", "origin", &origin]);
    repository.let_drift("plain", "Other");
    let project = repository.server.project.clone();
    let words = ["drift", "--pull-request", "--", "-n", &project, "--policy", "policies"];
    let mut command = repository.ci(&forge, MAIN, &words);
    // The project is named by the options alone.
    command.env("MESHAGENT_PROJECT_ID", "elsewhere");
    let run = crate::cli::Run::of(command.output().unwrap());
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert_eq!(forge.state().pulls.len(), 1, "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_on_the_platform_is_told_with_its_reason() {
    let (repository, forge) = (applied().await, Forge::start(Sort::GitHub));
    let mut delete = repository.sandbox.command(&["rooms", "delete", "--name", "plain"]);
    delete
        .env("MESHAGENT_API_URL", &repository.server.url)
        .env("MESHAGENT_API_KEY", &repository.server.owner)
        .env("MESHAGENT_PROJECT_ID", &repository.server.project);
    let deleted = crate::cli::Run::of(delete.output().unwrap());
    assert_eq!(deleted.code, 0, "{}", deleted.stderr);
    repository.run(&forge, MAIN, &["drift"], 3);
    let issue = forge.state().issues[0].body.clone();
    assert!(issue.contains("**create** `Room/plain`: `it was deleted on the platform"), "{issue}");
}
