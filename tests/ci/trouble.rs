//! Forges in trouble, and machines that are none of a forge.

use super::forge::{Fault, Forge, Sort};
use super::repository::{About, ROOMS, Repository};
use crate::cli::Run;

const GONE: &str = "HTTP/1.1 502 X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_makes_no_second_comment() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let base = repository.git(&["rev-parse", "HEAD"]);
    repository.write("shop/manifests/rooms.yaml.j2", &ROOMS.replace("Shop", "x"));
    repository.commit("Change");
    let about = About::PullRequest { from: "acme/shop", base: &base };
    let of = "POST /repos/acme/shop/issues/7/comments";
    let limited =
        "HTTP/1.1 429 X\r\nretry-after: 0\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    forge.state().faults = vec![
        Fault { of: "GET /repos/acme/shop/issues/7/comments", is_done: false, answer: GONE },
        Fault { of, is_done: false, answer: limited },
        Fault { of, is_done: true, answer: GONE },
    ];
    repository.run(&forge, about, &["plan"], 0);
    assert_eq!(forge.own_comments().len(), 1);
    // Two runs at once may have made two: the second one says that it is out of date.
    let marker = "<!-- meshagent-ci plan -->";
    forge.say(forge.me(), &format!("{marker}\nolder"));
    // To say the same twice does no harm.
    let of = "PATCH /repos/acme/shop/issues/comments";
    forge.state().faults = vec![Fault { of, is_done: true, answer: GONE }];
    repository.run(&forge, about, &["plan"], 0);
    let own = forge.own_comments();
    assert!(own[0].contains("1 to create") && own[1].contains("out of date"), "{own:?}");
    forge.state().faults = vec![Fault {
        of: "POST /graphql",
        is_done: false,
        answer: "HTTP/1.1 401 X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    }];
    repository.run(&forge, about, &["plan"], 0);
    // A run that is late does not take the place of a later one.
    let id = forge.own_comments()[0].clone();
    forge.state().comments.iter_mut().find(|it| it.body == id).unwrap().body =
        id.replace("/runs/5)", "/runs/6)").replace("1 to create", "2 to create");
    let run = repository.run(&forge, about, &["plan"], 0);
    assert!(run.stderr.contains("the comment is of a later run"), "{}", run.stderr);
    assert!(forge.own_comments()[0].contains("2 to create"));
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_that_a_job_with_umask_0_saves_can_be_applied() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let command = repository.ci(&forge, About::Push("main"), &["plan", "--all", "--out", "plans"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "umask 0; exec \"$0\" \"$@\""]).arg(command.get_program());
    shell.args(command.get_args()).current_dir(repository.path("")).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let run = Run::of(shell.output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    repository.run(&forge, About::Push("main"), &["apply", "--plan", "plans"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_forge_is_known_the_plan_is_printed() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::Gitea));
    let base = repository.git(&["rev-parse", "HEAD"]);
    repository.write("shop/manifests/rooms.yaml.j2", &ROOMS.replace("Shop", "x"));
    repository.commit("Change");
    let plain = |words: &[&str]| {
        let mut command = repository.sandbox.command(&[&["ci"], words].concat());
        command
            .current_dir(repository.path(""))
            .env("MESHAGENT_API_URL", &repository.server.url)
            .env("MESHAGENT_API_KEY", &repository.server.owner)
            .env("MESHAGENT_PROJECT_ID", &repository.server.project);
        command
    };
    let run = Run::of(plain(&["plan", "--base", &base]).output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("`shop` in `prod`: 1 to create"), "{}", run.stdout);
    let run = Run::of(plain(&["plan", "--base", "nothing"]).output().unwrap());
    assert_eq!((run.code, run.stderr.contains("is no commit of this checkout")), (2, true));
    let run = Run::of(plain(&["apply"]).output().unwrap());
    assert_eq!((run.code, run.stderr.contains("--branch")), (2, true), "{}", run.stderr);
    let run = Run::of(plain(&["apply", "--branch", "main"]).output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    // Jenkins with a forge of its own.
    let words =
        ["plan", "--forge", "gitea", "--forge-url", &forge.api, "--repository", "acme/shop"];
    let mut command = plain(&words);
    command
        .env("JENKINS_URL", "https://ci.test/")
        .env("CHANGE_ID", "7")
        .env("CHANGE_TARGET", "main")
        .env("BUILD_URL", "https://ci.test/job/5/")
        .env("GITEA_TOKEN", super::forge::TOKEN);
    repository.git(&["update-ref", "refs/remotes/origin/main", &base]);
    let run = Run::of(command.output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    forge.expect_documented();
    assert!(
        forge.own_comments()[0].contains("[run](https://ci.test/job/5)"),
        "{:?}",
        forge.own_comments()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_sent_nowhere_where_others_could_read_it() {
    let (repository, forge) = (Repository::new().await, Forge::start(Sort::GitHub));
    let base = repository.git(&["rev-parse", "HEAD"]);
    let about = About::PullRequest { from: "acme/shop", base: &base };
    for (url, told) in [
        ("http://forge.example.com/api/v3", "is plain http"),
        ("https://u:p@forge.example.com", "contains a user name or a password"),
        ("ftp://forge.example.com", "is neither http nor https"),
        ("https://forge.example.com?x", "has a query or a fragment"),
    ] {
        let run = repository.run(&forge, about, &["plan", "--forge-url", url], 2);
        assert!(run.stderr.contains(told), "{url}: {}", run.stderr);
    }
    let run = repository.run(&forge, about, &["plan", "--repository", "a/b/../c"], 2);
    assert!(run.stderr.contains("is not the path of a repository"), "{}", run.stderr);
    assert_eq!(forge.state().asked, Vec::<String>::new());
}
