//! Pull requests.

use super::forge::{ALL, Forge, Sort};
use super::repository::{About, PROJECT_FILE, ROOMS, Repository};

const OWN: &str = "acme/shop";

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_has_one_comment_on_every_forge_which_later_runs_update() {
    for sort in ALL {
        let (repository, forge) = (Repository::new().await, Forge::start(sort));
        let base = repository.git(&["rev-parse", "HEAD"]);
        // More than a page of others, one of whom writes the same line.
        let marker = "<!-- meshagent-ci plan -->";
        let foreign = forge.say("mallory", &format!("{marker}\nAll is well."));
        for at in 0..60 {
            forge.say("ada", &format!("comment {at}"));
        }
        repository.git(&["checkout", "--quiet", "-b", "change"]);
        repository.write("shop/manifests/rooms.yaml.j2", &ROOMS.replace("Shop", "Our @shop"));
        repository.commit("Rename");
        let about = About::PullRequest { from: OWN, base: &base };
        let run = repository.run(&forge, about, &["plan"], 0);
        let [first] = &forge.own_comments()[..] else { panic!("{sort:?}: {}", run.stderr) };
        assert!(first.starts_with(&format!("{marker}\n")), "{first}");
        for part in ["`shop` in `stage`: 1 to create", "`shop` in `prod`: 1 to create", "shop-prod"]
        {
            assert!(first.contains(part), "{sort:?}: {part}: {first}");
        }
        let head = repository.git(&["rev-parse", "HEAD"]);
        assert!(first.contains(&head) && first.contains("[run](https://forge.test/"), "{first}");

        repository
            .write("shop/manifests/more.yaml.j2", &ROOMS.replace("{{ room }}", "{{ room }}-2"));
        repository.commit("One more");
        repository.run(&forge, about, &["plan"], 0);
        let [second] = &forge.own_comments()[..] else { panic!("{:?}", forge.own_comments()) };
        assert!(second.contains("2 to create") && second != first, "{second}");
        let kept = forge.state().comments.iter().find(|it| it.id == foreign).unwrap().body.clone();
        assert_eq!(kept, format!("{marker}\nAll is well."));
        if sort != Sort::GitLab {
            let outputs = std::fs::read_to_string(repository.sandbox.path("outputs")).unwrap();
            assert!(outputs.contains("changes=true\nplan=\n"), "{outputs}");
            let summary = std::fs::read_to_string(repository.sandbox.path("summary.md")).unwrap();
            assert!(summary.contains("### `shop` in `prod`"), "{summary}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_touched_is_planned() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    repository.write("other/meshagent.yaml", "version: v1\nset: other\n");
    repository.write("other/manifests/room.yaml", &ROOMS.replace("{{ room }}", "other"));
    let base = repository.commit("Another set");
    let about = About::PullRequest { from: OWN, base: &base };
    repository.write("README.md", "A better shop.\n");
    repository.commit("Words");
    let run = repository.run(&forge, about, &["plan"], 0);
    assert!(run.stdout.contains("no set is touched"), "{}", run.stdout);
    assert_eq!(forge.own_comments(), Vec::<String>::new());
    repository.write("other/manifests/room.yaml", &ROOMS.replace("{{ room }}", "other-2"));
    repository.commit("The other one");
    let run = repository.run(&forge, about, &["plan"], 0);
    assert!(run.stdout.contains("other-2") && !run.stdout.contains("shop-stage"), "{}", run.stdout);
    // What names a file elsewhere may be changed by any.
    repository.write("shop/manifests/note.yaml.j2", "{# see ../../common #}\n");
    let base = repository.commit("A way out");
    repository.write("common/x.txt", "x");
    repository.commit("Common");
    let about = About::PullRequest { from: OWN, base: &base };
    let run = repository.run(&forge, about, &["plan"], 0);
    assert!(run.stdout.contains("shop-stage") && !run.stdout.contains("other"), "{}", run.stdout);
    let all = repository.run(&forge, about, &["plan", "--all"], 0);
    assert!(all.stdout.contains("shop-stage") && all.stdout.contains("other"), "{}", all.stdout);
    let one = repository.run(&forge, about, &["plan", "shop", "-e", "prod"], 0);
    assert!(!one.stdout.contains("shop-stage") && one.stdout.contains("shop-prod"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_fork_nothing_is_run_or_read_and_nothing_is_asked_with_its_credentials() {
    for sort in ALL {
        let (repository, forge) = (Repository::new().await, Forge::start(sort));
        let base = repository.git(&["rev-parse", "HEAD"]);
        let hostile = "version: v1\nkind: Secret\nmetadata:\n  name: taken\ntype: keys\ndata:\n  a: {from: {env: CANARY}}\n  b: {from: {command: [touch, ran]}}\n";
        repository.write("shop/manifests/secret.yaml", hostile);
        repository.commit("Hostile");
        let about = About::PullRequest { from: "mallory/shop", base: &base };
        let mut command = repository.ci(&forge, about, &["plan"]);
        command.env("CANARY", "canary-of-the-job");
        let run = crate::cli::Run::of(command.output().unwrap());
        assert_eq!(run.code, 0, "{sort:?}\n{}\n{}", run.stdout, run.stderr);
        let told = format!("{}{}", run.stdout, run.stderr);
        assert!(!told.contains("canary-of-the-job"), "{told}");
        for folder in ["shop/manifests/ran", "shop/ran", "ran"] {
            assert!(!repository.path(folder).exists(), "{folder}");
        }
        assert!(run.stdout.contains("comes from another repository"), "{}", run.stdout);
        assert!(run.stdout.contains("on the embedded platform"), "{}", run.stdout);
        // Its own platform was not asked: there would be a session of this key.
        assert!(!run.stdout.contains(&repository.server.project), "{}", run.stdout);
        let [comment] = &forge.own_comments()[..] else { panic!("{:?}", forge.own_comments()) };
        assert!(comment.contains("without any secret"), "{comment}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_comment_fails_a_fork_not_and_a_branch_with_the_permission() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let base = repository.git(&["rev-parse", "HEAD"]);
    repository.write("shop/manifests/more.yaml.j2", &ROOMS.replace("{{ room }}", "{{ room }}-2"));
    repository.commit("One more");
    let answer = "HTTP/1.1 403 X\r\nx-accepted-github-permissions: issues=write; pull_requests=write\r\nconnection: close\r\ncontent-length: 52\r\n\r\n{\"message\":\"Resource not accessible by integration\"}";
    let fault = super::forge::Fault {
        of: "POST /repos/acme/shop/issues/7/comments",
        is_done: false,
        answer,
    };
    forge.state().faults.push(fault.clone());
    let fork = About::PullRequest { from: "mallory/shop", base: &base };
    let run = repository.run(&forge, fork, &["plan"], 0);
    assert!(run.stderr.contains("note: the comment is not written"), "{}", run.stderr);
    forge.state().faults.push(fault);
    let own = About::PullRequest { from: OWN, base: &base };
    let run = repository.run(&forge, own, &["plan"], 1);
    for part in [
        "was answered with 403: Resource not accessible by integration",
        "permissions: {pull-requests: write}",
        "issues=write; pull_requests=write",
    ] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_written_where_nothing_is_touched_and_is_no_fault_of_a_fork() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let text = PROJECT_FILE.replace("ci:\n", "ci:\n  status: true\n");
    repository.write("shop/meshagent.yaml", &text);
    let base = repository.commit("Status");
    repository.write("README.md", "A better shop.\n");
    repository.commit("Words");
    repository.run(&forge, About::PullRequest { from: OWN, base: &base }, &["plan"], 0);
    let state = forge.state().states.pop().expect("a status");
    assert_eq!(
        (&state["state"], &state["description"]),
        (&"success".into(), &"no set is touched".into())
    );
    let answer = "HTTP/1.1 403 X\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    let fault =
        super::forge::Fault { of: "POST /repos/acme/shop/statuses", is_done: false, answer };
    forge.state().faults.push(fault.clone());
    let fork = About::PullRequest { from: "mallory/shop", base: &base };
    let run = repository.run(&forge, fork, &["plan"], 0);
    assert!(run.stderr.contains("note: the status is not written"), "{}", run.stderr);
    forge.state().faults.push(fault);
    repository.run(&forge, About::PullRequest { from: OWN, base: &base }, &["plan"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_cannot_loosen_what_judges_it() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let base = repository.git(&["rev-parse", "HEAD"]);
    let about = About::PullRequest { from: OWN, base: &base };
    repository.write("shop/manifests/bad.yaml", &ROOMS.replace("{{ room }}", "forbidden"));
    repository.commit("Forbidden");
    let run = repository.run(&forge, about, &["plan"], 6);
    assert!(run.stdout.contains("this is forbidden"), "{}", run.stdout);
    // It takes the rule away, the folder out of the project file, and lets refusals pass.
    std::fs::remove_file(repository.path("shop/policies/a.rego")).unwrap();
    let loose = PROJECT_FILE
        .replace("    policies: [policies]\n", "")
        .replace(
            "  drift: [prod]\n",
            "  drift: [prod]\n  on_refused: pass\n  comment: false\n  plan: []\n",
        )
        .replace("  plan: [stage, prod]\n", "");
    repository.write("shop/meshagent.yaml", &loose);
    repository.commit("Loosen");
    let run = repository.run(&forge, about, &["plan"], 6);
    assert!(run.stdout.contains("this is forbidden"), "{}", run.stdout);
    let [comment] = &forge.own_comments()[..] else { panic!("{:?}", forge.own_comments()) };
    assert!(comment.contains("refused") && comment.contains("this is forbidden"), "{comment}");
    // Where the branch itself lets them pass, they do.
    let base = repository.git(&["rev-parse", "HEAD"]);
    repository.write("shop/manifests/bad.yaml", &ROOMS.replace("{{ room }}", "forbidden-2"));
    repository.commit("More");
    let about = About::PullRequest { from: OWN, base: &base };
    repository.run(&forge, about, &["plan", "--all", "-e", "prod"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credential_goes_to_no_platform_that_only_a_pull_request_names() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let base = repository.git(&["rev-parse", "HEAD"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let moved = PROJECT_FILE.replace("  prod:\n", &format!("  prod:\n    api_url: {url}\n"));
    repository.write("shop/meshagent.yaml", &moved);
    repository.commit("Elsewhere");
    let run = repository.run(&forge, About::PullRequest { from: OWN, base: &base }, &["plan"], 6);
    assert!(run.stderr.contains("so it is not sent there"), "{}", run.stderr);
    assert!(listener.accept().is_err(), "the platform that the pull request names was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_pass_warn_or_fail_as_the_project_file_says() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    for (word, code) in [("pass", 0), ("warn", 0), ("fail", 3)] {
        let text =
            PROJECT_FILE.replace("ci:\n", &format!("ci:\n  on_changes: {word}\n  status: true\n"));
        repository.write("shop/meshagent.yaml", &text);
        let base = repository.commit(word);
        repository.write("shop/manifests/rooms.yaml.j2", &ROOMS.replace("Shop", word));
        repository.commit("Change");
        let about = About::PullRequest { from: OWN, base: &base };
        let run = repository.run(&forge, about, &["plan"], code);
        assert_eq!(
            run.stderr.contains("::warning title=meshagent::"),
            word == "warn",
            "{}",
            run.stderr
        );
        let state = forge.state().states.pop().unwrap();
        assert_eq!(state["state"], if word == "fail" { "failure" } else { "success" });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_planned_is_told_in_the_comment() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let base = repository.git(&["rev-parse", "HEAD"]);
    let about = About::PullRequest { from: OWN, base: &base };
    repository.write(
        "shop/manifests/wrong.yaml",
        "version: v1\nkind: Romm\nmetadata: {name: \"a`b @ada\"}\n",
    );
    repository.commit("Wrong");
    repository.run(&forge, about, &["plan"], 6);
    let [comment] = &forge.own_comments()[..] else { panic!("{:?}", forge.own_comments()) };
    assert!(comment.contains("manifests/wrong.yaml:2:7"), "{comment}");
    // A commit that is not here and cannot be fetched leaves the rules unknown.
    let unknown =
        About::PullRequest { from: OWN, base: "1111111111111111111111111111111111111111" };
    let mut command = repository.ci(&forge, unknown, &["plan"]);
    let event = std::fs::read_to_string(repository.sandbox.path("event.json")).unwrap();
    std::fs::write(
        repository.sandbox.path("event.json"),
        event.replace("\"ref\":\"main\"", "\"ref\":\"gone\""),
    )
    .unwrap();
    let run = crate::cli::Run::of(command.output().unwrap());
    assert_eq!(run.code, 6, "{}", run.stderr);
    assert!(run.stderr.contains("fetch-depth: 0"), "{}", run.stderr);
}
