//! A saved plan is applied as what it is, and is saved nowhere else than is said.

use super::forge::{Forge, Sort};
use super::repository::{About, PROJECT_FILE, ROOMS, Repository};
use crate::cli::Run;

const MAIN: About<'static> = About::Push("main");

/// Plans in a folder of the repository, and writes a list that calls it so.
fn saved(repository: &Repository, folder: &str, words: &[&str], called: (&str, &str)) -> String {
    let plans = repository.sandbox.path("plans");
    std::fs::create_dir_all(&plans).unwrap();
    let out = plans.join("x.json").display().to_string();
    let mut plan = repository.sandbox.command(&[&["plan", "--out", &out], words].concat());
    plan.current_dir(repository.path(folder))
        .env("MESHAGENT_API_URL", &repository.server.url)
        .env("MESHAGENT_API_KEY", &repository.server.owner)
        .env("MESHAGENT_PROJECT_ID", &repository.server.project);
    let run = Run::of(plan.output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let list = format!(
        "{{\"plans\":[{{\"file\":\"x.json\",\"folder\":\"{}\",\"environment\":\"{}\"}}]}}",
        called.0, called.1
    );
    std::fs::write(plans.join("plans.json"), list).unwrap();
    plans.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_does_not_pass_for_one_of_which_less_is_demanded() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let approvals = "  prod:\n    approvals: {required: 1, approvers: allowed_signers}\n";
    let (_, public) = crate::approvals::key_pair(7);
    repository.write("shop/allowed_signers", &format!("ada {public}\n"));
    repository.write("shop/meshagent.yaml", &PROJECT_FILE.replace("  prod:\n", approvals));
    repository.write("x/room.yaml", &ROOMS.replace("{{ room }}", "sneaky"));
    repository.write("other/meshagent.yaml", "version: v1\nenvironments:\n  prod: {set: other}\n");
    repository.write("other/manifests/room.yaml", &ROOMS.replace("{{ room }}", "other"));
    repository.commit("Approvals");
    let refused = |plan: &str, told: &str| {
        let run = repository.run(&forge, MAIN, &["apply", "--plan", plan], 6);
        assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
        assert!(!run.stdout.contains("Applied"), "{}", run.stdout);
    };
    // Of given manifests, for the set and the project of an environment.
    let given = ["-f", "x", "--set", "prod"];
    let plans = saved(&repository, "", &given, (".", ""));
    refused(&plans, "which is that of `shop prod`");
    refused(&format!("{plans}/x.json"), "which is that of `shop prod`");
    // In another folder that demands nothing, under the same name of an environment.
    let plans = saved(&repository, "other", &["-e", "prod", "--set", "prod"], ("other", "prod"));
    refused(&plans, "which is that of `shop prod`");
    // In the folder itself, whose section `ci` names no environment that is planned.
    let hidden =
        PROJECT_FILE.replace("plan: [stage, prod]", "plan: []").replace("  prod:\n", approvals);
    repository.write(
        "meshagent.yaml",
        &hidden
            .replace("allowed_signers", "shop/allowed_signers")
            .replace("    policies: [policies]\n", "")
            .replace("set: prod", "set: top")
            .replace("set: stage", "set: top-stage"),
    );
    repository.commit("At the top");
    let plans = saved(&repository, "", &["-f", "x", "--set", "top"], (".", ""));
    refused(&plans, "which was made for no environment");
    // A set that nothing declares belongs to nobody.
    let plans = saved(&repository, "", &["-f", "x", "--set", "free"], (".", ""));
    repository.git(&["rm", "--quiet", "meshagent.yaml"]);
    repository.git(&["commit", "--quiet", "-m", "Not at the top"]);
    repository.run(&forge, MAIN, &["apply", "--plan", &plans], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_written_through_no_link_that_is_checked_out() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let base = repository.git(&["rev-parse", "HEAD"]);
    let victim = repository.sandbox.path("victim");
    std::fs::write(&victim, "precious").unwrap();
    let outside = repository.sandbox.path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::create_dir(repository.path("plans")).unwrap();
    std::os::unix::fs::symlink(&victim, repository.path("plans/plans.json")).unwrap();
    std::os::unix::fs::symlink(&outside, repository.path("more")).unwrap();
    repository.commit("Links");
    for from in ["mallory/shop", "acme/shop"] {
        let about = About::PullRequest { from, base: &base };
        repository.run(&forge, about, &["plan", "--all", "--out", "plans"], 0);
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        let run = repository.run(&forge, about, &["plan", "--all", "--out", "more"], 2);
        assert!(run.stderr.contains("a link in this folder leads outside"), "{}", run.stderr);
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    }
}
