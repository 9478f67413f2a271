//! The main branch.

use super::forge::{ALL, Forge, Sort};
use super::repository::{About, PROJECT_FILE, ROOMS, Repository};

const MAIN: About<'static> = About::Push("main");

#[tokio::test(flavor = "multi_thread")]
async fn the_main_branch_is_applied_in_order_and_told_where_it_was_proposed() {
    for sort in ALL {
        let (repository, forge) = (Repository::new().await, Forge::start(sort));
        let head = repository.git(&["rev-parse", "HEAD"]);
        forge.state().merged.insert(head, 7);
        let run = repository.run(&forge, MAIN, &["apply"], 0);
        let (stage, prod) =
            (run.stdout.find("shop-stage").unwrap(), run.stdout.find("shop-prod").unwrap());
        assert!(stage < prod, "{}", run.stdout);
        let [comment] = &forge.own_comments()[..] else { panic!("{sort:?}: {}", run.stderr) };
        assert!(comment.starts_with("<!-- meshagent-ci apply -->\n"), "{comment}");
        assert!(comment.contains("`shop` in `prod`: `Applied: 1 done`"), "{comment}");
        // Once more, there is nothing to do, and the same comment says so.
        repository.run(&forge, MAIN, &["apply"], 0);
        let [again] = &forge.own_comments()[..] else { panic!("{:?}", forge.own_comments()) };
        assert!(again.contains("Nothing to change"), "{again}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_main_branch_is_applied() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let base = repository.git(&["rev-parse", "HEAD"]);
    let proposal = About::PullRequest { from: "acme/shop", base: &base };
    for (about, words, told) in [
        (
            About::Push("feature"),
            &["apply"][..],
            "nothing is applied from the branch feature: main is applied",
        ),
        (
            MAIN,
            &["apply", "--branch", "live"],
            "nothing is applied from the branch main: live is applied",
        ),
        (proposal, &["apply"], "nothing is applied for pull request 7"),
    ] {
        let run = repository.run(&forge, about, words, 2);
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    for event in ["issue_comment", "workflow_run", "merge_group"] {
        let mut command = repository.ci(&forge, MAIN, &["apply"]);
        let run = crate::cli::Run::of(command.env("GITHUB_EVENT_NAME", event).output().unwrap());
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(
            run.stderr.contains(&format!("nothing is applied on the event {event}")),
            "{}",
            run.stderr
        );
    }
    let mut command = repository.ci(&forge, proposal, &["plan"]);
    command.env("GITHUB_EVENT_NAME", "pull_request_target");
    assert_eq!(crate::cli::Run::of(command.output().unwrap()).code, 2);
    let run = repository.run(&forge, About::Push("live"), &["apply", "--branch", "live"], 0);
    assert!(run.stdout.contains("Applied: 1 done."), "{}", run.stdout);
    let mut command = repository.ci(&forge, MAIN, &["apply"]);
    let run = crate::cli::Run::of(command.env_remove("MESHAGENT_API_KEY").output().unwrap());
    assert_eq!((run.code, run.stderr.contains("there is no API key")), (2, true), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_failure_ends_it() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let text = PROJECT_FILE.replace("apply: [stage, prod]", "apply: [prod, stage]");
    repository.write("shop/meshagent.yaml", &text);
    repository.write("shop/manifests/bad.yaml", &ROOMS.replace("{{ room }}", "forbidden"));
    repository.commit("Forbidden");
    let run = repository.run(&forge, MAIN, &["apply"], 6);
    assert!(
        run.stderr.contains("`shop prod` was not applied; 1 more was not applied"),
        "{}",
        run.stderr
    );
    assert!(!run.stdout.contains("shop-stage"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_plans_of_the_pull_request_are_applied_after_it_was_merged() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let base = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["checkout", "--quiet", "-b", "change"]);
    repository.write("shop/manifests/more.yaml.j2", &ROOMS.replace("{{ room }}", "{{ room }}-2"));
    repository.commit("More");
    let about = About::PullRequest { from: "acme/shop", base: &base };
    let plans = repository.sandbox.path("plans").display().to_string();
    repository.run(&forge, about, &["plan", "--out", &plans], 0);
    let list = std::fs::read_to_string(repository.sandbox.path("plans/plans.json")).unwrap();
    assert!(list.contains("\"shop.stage.json\"") && list.contains("\"shop.prod.json\""), "{list}");
    // The rules that judged it were taken from the base; those that it is applied by are its own.
    let plan = std::fs::read_to_string(repository.sandbox.path("plans/shop.prod.json")).unwrap();
    assert!(plan.contains("\"policies\"") && !plan.contains("meshagent-ci-"), "{plan}");
    repository.git(&["checkout", "--quiet", "main"]);
    repository.git(&["merge", "--quiet", "--ff-only", "change"]);
    let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 0);
    assert!(run.stdout.matches("Applied: 2 done.").count() >= 2, "{}", run.stdout);
    // They are stale once they were applied.
    let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 5);
    assert!(run.stderr.contains("`shop stage` was not applied"), "{}", run.stderr);
    // A list cannot lead elsewhere.
    for (from, to) in [("\"shop\"", "\"/etc\""), ("\"shop.stage.json\"", "\"../x.json\"")] {
        std::fs::write(repository.sandbox.path("plans/plans.json"), list.replace(from, to))
            .unwrap();
        repository.run(&forge, MAIN, &["apply", "--plan", &plans], 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_would_change_after_a_saved_plan_is_told() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let plans = repository.sandbox.path("plans").display().to_string();
    repository.run(&forge, MAIN, &["plan", "-e", "stage", "--out", &plans], 0);
    let run =
        repository.run(&forge, MAIN, &["apply", "--plan", &format!("{plans}/shop.stage.json")], 2);
    // A plan is applied where it was made.
    assert!(run.stderr.contains("was not applied"), "{}", run.stderr);
    let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 0);
    assert!(run.stdout.contains("Nothing to change"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_of_an_environment_that_is_only_planned_is_passed_over() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let text = PROJECT_FILE.replace("apply: [stage, prod]", "apply: [stage]");
    repository.write("shop/meshagent.yaml", &text);
    repository.commit("Only stage");
    let plans = repository.sandbox.path("plans").display().to_string();
    repository.run(&forge, MAIN, &["plan", "--all", "--out", &plans], 0);
    let path = repository.sandbox.path("plans/plans.json");
    let list = std::fs::read_to_string(&path).unwrap();
    assert!(list.contains("prod"), "{list}");
    // A list cannot call the plan of another environment that of one that is applied.
    std::fs::write(&path, list.replace("shop.stage.json", "shop.prod.json")).unwrap();
    let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 6);
    assert!(run.stderr.contains("which it was not made for"), "{}", run.stderr);
    std::fs::write(&path, &list).unwrap();
    let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 0);
    assert!(run.stderr.contains("note: shop prod is only planned"), "{}", run.stderr);
    assert!(run.stdout.contains("shop-stage") && !run.stdout.contains("shop-prod"));
    // Nothing says which of several are applied.
    repository.write(
        "shop/meshagent.yaml",
        &text.replace("  plan: [stage, prod]\n  apply: [stage]\n", ""),
    );
    repository.commit("Nothing said");
    let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 2);
    assert!(run.stderr.contains("does not say which environments"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_is_looked_after_as_it_was_made() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    // Values and sources of a project file without environments.
    let text = "version: v1\nset: whole\nvalues: {room: hall}\nsources:\n  more:\n    archive: ../more.tar\n";
    repository.write("shop/meshagent.yaml", text);
    repository.write("more/more.yaml", "version: v1\nkind: Room\nmetadata: {name: more}\n");
    let tar = ["-cf", "more.tar", "-C", "more", "more.yaml"];
    let made =
        std::process::Command::new("tar").args(tar).current_dir(repository.path("")).status();
    assert!(made.unwrap().success());
    let mut update = repository.sandbox.command(&["source", "update"]);
    let run = crate::cli::Run::of(update.current_dir(repository.path("shop")).output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    repository.commit("Without environments");
    let plans = repository.sandbox.path("plans").display().to_string();
    let plan_and_apply = |options: &[&str]| {
        let planned = [&["plan", "--all", "--out", &plans], options].concat();
        repository.run(&forge, MAIN, &planned, 0);
        let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 0);
        assert!(run.stdout.contains("Nothing to change"), "{}", run.stdout);
        run
    };
    let run = plan_and_apply(&[]);
    assert!(run.stdout.contains("Applied: 2 done."), "{}", run.stdout);
    // The way back to a state, and a part of the set.
    repository.write("shop/manifests/rooms.yaml.j2", &ROOMS.replace("Shop", "Others"));
    repository.commit("Others");
    plan_and_apply(&[]);
    let run = plan_and_apply(&["--", "--to", "1"]);
    assert!(run.stdout.contains("Applied: 1 done."), "{}", run.stdout);
    plan_and_apply(&["--", "--target", "Room/more"]);
    // What is given with the plan is given again; options of `plan` alone are not.
    repository.write("shop/manifests/rooms.yaml.j2", &ROOMS.replace("Shop", "{{ team }}"));
    repository.commit("A value");
    let run = |words: &[&str]| {
        let mut command = repository.ci(&forge, MAIN, words);
        command.env("MESHAGENT_CI_OPTIONS", "--adopt\n-v\nteam=Us\n");
        crate::cli::Run::of(command.output().unwrap())
    };
    let planned = run(&["plan", "--all", "--out", &plans]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    let applied = run(&["apply", "--plan", &plans, "--", "--parallelism", "1"]);
    assert_eq!(applied.code, 0, "{}\n{}", applied.stdout, applied.stderr);
    assert!(
        applied.stdout.contains("Applied: 1 done.") && applied.stdout.contains("Nothing to change")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_opened_the_pull_request_does_not_approve_it() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let (key, public) = crate::approvals::key_pair(7);
    repository.sandbox.write("key", &key);
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(repository.sandbox.path("key"), private).unwrap();
    // The stand-in says that `ada` opened it.
    let (_, other) = crate::approvals::key_pair(8);
    repository.write("shop/allowed_signers", &format!("ada {public}\nben {other}\n"));
    let text = PROJECT_FILE
        .replace("  prod:\n", "  prod:\n    approvals: {required: 1, approvers: allowed_signers}\n")
        .replace("apply: [stage, prod]", "apply: [prod]\n  comment: false");
    repository.write("shop/meshagent.yaml", &text);
    let head = repository.commit("Approvals");
    let plans = repository.sandbox.path("plans").display().to_string();
    repository.run(&forge, MAIN, &["plan", "--all", "--out", &plans], 0);
    let key = repository.sandbox.path("key").display().to_string();
    let plan = format!("{plans}/shop.prod.json");
    let mut approve = repository.sandbox.command(&["approve", &plan, "--key", &key, "--yes"]);
    let run = crate::cli::Run::of(approve.current_dir(repository.path("shop")).output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    forge.state().merged.insert(head, 7);
    let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 6);
    assert!(run.stderr.contains("ada"), "{}", run.stderr);
    // Of several pull requests that the commit came with, each has an author.
    forge.state().more_authors.push("zoe");
    let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 6);
    assert!(run.stderr.contains("made the change"), "{}", run.stderr);
    // What she pushed herself she does not approve either.
    forge.state().merged.clear();
    let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 6);
    assert!(run.stderr.contains("came with no pull request, so its author is ada"));
    // Somebody else's change may be approved by her; and no comment is wanted.
    repository.run_of("zoe", &forge, &["apply", "--plan", &plans], 0);
    assert_eq!(forge.own_comments(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_planned_is_not_called_applied() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let plans = repository.sandbox.path("plans").display().to_string();
    repository.write("shop/manifests/bad.yaml", &ROOMS.replace("{{ room }}", "forbidden"));
    let warn = PROJECT_FILE.replace("ci:\n", "ci:\n  on_refused: warn\n");
    repository.write("shop/meshagent.yaml", &warn);
    repository.commit("Forbidden in prod");
    repository.run(&forge, MAIN, &["plan", "--all", "--out", &plans], 0);
    let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 6);
    assert!(
        run.stderr.contains("has no plan of `shop prod`: its plan was refused"),
        "{}",
        run.stderr
    );
    assert!(!run.stdout.contains("applied"), "{}", run.stdout);
    // Where it is not applied anyway, that is no matter.
    repository
        .write("shop/meshagent.yaml", &warn.replace("apply: [stage, prod]", "apply: [stage]"));
    repository.commit("Only stage");
    repository.run(&forge, MAIN, &["plan", "--all", "--out", &plans], 0);
    repository.run(&forge, MAIN, &["apply", "--plan", &plans], 0);
    // A plan of no environment does not stand for one that is looked after.
    let list = repository.sandbox.path("plans/plans.json");
    repository.write("shop/x/room.yaml", &ROOMS.replace("{{ room }}", "x"));
    let mut plan = repository.sandbox.command(&["plan", "-f", "x", "--set", "x", "--out"]);
    plan.arg(repository.sandbox.path("plans/x.json")).current_dir(repository.path("shop"));
    plan.env("MESHAGENT_API_URL", &repository.server.url);
    plan.env("MESHAGENT_API_KEY", &repository.server.owner);
    plan.env("MESHAGENT_PROJECT_ID", &repository.server.project);
    assert_eq!(crate::cli::Run::of(plan.output().unwrap()).code, 0);
    for environment in ["stage", ""] {
        let text = format!(
            "{{\"plans\":[{{\"file\":\"x.json\",\"folder\":\"shop\",\"environment\":\"{environment}\"}}]}}"
        );
        std::fs::write(&list, text).unwrap();
        let run = repository.run(&forge, MAIN, &["apply", "--plan", &plans], 6);
        assert!(run.stderr.contains("made for no environment"), "{}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_has_written_does_not_end_as_one_that_has_not() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    repository.write("shop/manifests/bad.yaml", &ROOMS.replace("{{ room }}", "forbidden"));
    repository.commit("Forbidden in prod");
    let run = repository.run(&forge, MAIN, &["apply"], 4);
    assert!(
        run.stdout.contains("shop-stage") && run.stderr.contains("`shop prod` was not applied")
    );
    // Now that stage has it, nothing is written before prod is refused.
    repository.run(&forge, MAIN, &["apply"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_something_was_written_is_known_whatever_is_printed() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    repository.write("shop/manifests/bad.yaml", &ROOMS.replace("{{ room }}", "forbidden"));
    repository.commit("Forbidden in prod");
    // Events say it otherwise than a summary does.
    let run = repository.run(&forge, MAIN, &["apply", "--", "--output", "json"], 4);
    assert!(run.stderr.contains("`shop prod` was not applied"), "{}", run.stderr);
    // A report that the job asks for stays its own, and an older one is no news.
    let report = repository.sandbox.path("report.json");
    let option = format!("--report={}", report.display());
    repository.run(&forge, MAIN, &["apply", "--", &option], 6);
    repository.run(&forge, MAIN, &["apply", "--", &option], 6);
    let text = std::fs::read_to_string(&report).unwrap();
    assert!(text.contains("\"error\""), "{text}");
}
