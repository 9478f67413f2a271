//! What a plan makes of answers that say the same in another way, and that it never writes.

use std::collections::BTreeMap;
use std::path::Path;

use super::proxy::{Fault, Hostile, Running};
use crate::cli::{Run, Sandbox};
use crate::platform::harness::Server;

/// Runs the program as the owner of the platform behind the proxy.
pub async fn run(sandbox: &Sandbox, platform: &Server, proxy: &Running, arguments: &[&str]) -> Run {
    let mut command = sandbox.command(arguments);
    command.args(["--api-url", &proxy.url]).env("MESHAGENT_API_KEY", &platform.owner);
    let output = tokio::task::spawn_blocking(move || command.output());
    Run::of(output.await.expect("no panic").expect("a run"))
}

const FILES: [&str; 2] = ["-f", "examples/manifests"];

fn words<'a>(command: &[&'a str]) -> Vec<&'a str> {
    [command, &FILES].concat()
}

/// The files of a folder with what is in them.
pub fn snapshot(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.expect("an entry"))
        .map(|entry| {
            let name = entry.path().display().to_string();
            (name, std::fs::read(entry.path()).unwrap_or_default())
        })
        .collect()
}

async fn applied() -> (Server, Sandbox) {
    let platform = Server::start().await;
    let sandbox = Sandbox::with_examples();
    let proxy = Hostile::in_front_of(&platform).start().await;
    let run = run(&sandbox, &platform, &proxy, &words(&["apply", "--yes"])).await;
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    (platform, sandbox)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_the_same_in_another_way_plans_to_nothing() {
    let (platform, sandbox) = applied().await;
    let all = [
        Fault::UnknownFields,
        Fault::Reordered,
        Fault::NullForEmpty,
        Fault::SecretsMasked,
        Fault::SecretsOmitted,
        Fault::WrongType,
        Fault::SmallPages(1),
    ];
    let mut cases: Vec<Vec<Fault>> = all.iter().map(|fault| vec![fault.clone()]).collect();
    cases.push(all.to_vec());
    for (seed, faults) in (0..).zip(cases) {
        let proxy = faults
            .iter()
            .cloned()
            .fold(Hostile::in_front_of(&platform), Hostile::with)
            .seed(seed)
            .start()
            .await;
        let run = run(&sandbox, &platform, &proxy, &words(&["plan", "--exit-code"])).await;
        assert_eq!(run.code, 0, "{faults:?} {}{}", run.stdout, run.stderr);
        assert_eq!(proxy.writes(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_is_updated_also_where_secrets_are_not_shown() {
    let (platform, sandbox) = applied().await;
    sandbox.write("examples/manifests/secrets/crm-token.txt", "rotated\n");
    for fault in [Fault::SecretsMasked, Fault::SecretsOmitted] {
        let proxy = Hostile::in_front_of(&platform).with(fault.clone()).start().await;
        let run = run(&sandbox, &platform, &proxy, &words(&["plan", "-o", "json"])).await;
        let plan = run.json();
        let operations = plan["operations"].as_array().expect("operations");
        assert_eq!(operations.len(), 1, "{fault:?} {plan}");
        assert_eq!(operations[0]["address"], "Secret/crm-keys");
        assert_eq!(operations[0]["action"], "update");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_writes_nothing_but_the_file_it_was_told_to() {
    let (platform, sandbox) = applied().await;
    sandbox.write("examples/manifests/secrets/crm-token.txt", "rotated\n");
    std::fs::remove_file(sandbox.path("examples/manifests/reach.yaml")).expect("a file");
    let before = snapshot(&sandbox.path("."));
    let mischief = [
        vec![],
        vec![Fault::UnknownFields.into(), Fault::Reordered.into()],
        vec![Fault::Status(503).times(2), Fault::CutBody.times(1)],
        vec![Fault::TooFast(None).times(2), Fault::DropAfter.times(1)],
        vec![Fault::Status(403).at("/rooms")],
        vec![Fault::Status(500).at("/secrets")],
    ];
    for (seed, mischief) in (0..).zip(mischief) {
        for command in [&["plan"][..], &["plan", "-o", "json"], &["diff"], &["graph"]] {
            let told = format!("{mischief:?} {command:?}");
            let proxy = mischief
                .iter()
                .cloned()
                .fold(Hostile::in_front_of(&platform), Hostile::with)
                .seed(seed)
                .start()
                .await;
            let run = run(&sandbox, &platform, &proxy, &words(command)).await;
            // What cannot be known may also be refused.
            assert!(matches!(run.code, 0 | 1 | 6), "{told}: {}", run.stderr);
            assert_eq!((proxy.writes(), proxy.count("GET") == proxy.total()), (vec![], true));
            assert_eq!(snapshot(&sandbox.path(".")), before, "{told}");
        }
    }
    let proxy = Hostile::in_front_of(&platform).start().await;
    let run = run(&sandbox, &platform, &proxy, &words(&["plan", "--out", "plan.json"])).await;
    assert_eq!((run.code, proxy.writes().len()), (0, 0), "{}", run.stderr);
    let mut after = snapshot(&sandbox.path("."));
    assert!(after.remove(&sandbox.path("./plan.json").display().to_string()).is_some());
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_list_does_not_tell_whole_is_not_deleted() {
    let (platform, sandbox) = applied().await;
    // What brings mailboxes; one that is declared could not even be planned.
    for file in ["reach.yaml", "services/assistant.yaml"] {
        std::fs::remove_file(sandbox.path("examples/manifests").join(file)).expect("a file");
    }
    let deletes = |run: &Run| -> Vec<String> {
        let plan = run.json();
        let operations = plan["operations"].as_array().expect("operations").iter();
        let deletes = operations.filter(|operation| operation["action"] == "delete");
        deletes.map(|it| it["address"].as_str().expect("an address").to_owned()).collect()
    };
    let plan = words(&["plan", "--retries", "0", "-o", "json", "--allow-deletes", "99"]);
    let proxy = Hostile::in_front_of(&platform).start().await;
    let whole = deletes(&run(&sandbox, &platform, &proxy, &plan).await);
    let pages = Fault::SmallPages(2).at("/scheduled-tasks");
    for (kind, faults, why) in [
        ("Mailbox/", vec![Fault::Status(403).at("/mailboxes")], "was answered with 403"),
        ("Mailbox/", vec![Fault::Status(503).at("/mailboxes")], "was answered with 503"),
        (
            "ScheduledTask/",
            vec![pages.clone(), Fault::Status(500).at("/scheduled-tasks").on_later_pages()],
            "was answered with 500",
        ),
        (
            "ScheduledTask/",
            vec![pages, Fault::FirstRemoved.at("/scheduled-tasks")],
            "returned a list that changed between its pages",
        ),
    ] {
        let proxy = faults.into_iter().fold(Hostile::in_front_of(&platform), Hostile::with);
        let proxy = proxy.start().await;
        let run = run(&sandbox, &platform, &proxy, &plan).await;
        assert_eq!(run.code, 0, "{}", run.stderr);
        let left = deletes(&run);
        let unread = whole.iter().filter(|address| address.starts_with(kind)).count();
        assert!(unread > 0 && left.iter().all(|address| !address.starts_with(kind)), "{left:?}");
        assert_eq!(left.len(), whole.len() - unread, "{left:?}");
        let said = run.stderr.lines().filter(|line| line.contains(" is not deleted by this run: "));
        assert_eq!(said.filter(|line| line.contains(why)).count(), unread, "{}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_asked_for_their_services_unless_they_surely_do_not_exist() {
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    let room = "version: v1\nkind: Room\nmetadata: {name: a}\n---\n";
    let service = "version: v1\nkind: Service\nmetadata: {name: s}\ncontainer: {image: x}\n";
    sandbox.write("set.yaml", &format!("{room}{service}room: a\n"));
    let words = |command| [command, "-f", "set.yaml", "--project-id", &platform.project];
    let of_room = format!("GET /accounts/projects/{}/rooms/a/services", platform.project);
    let asked = async |proxy: Hostile| {
        let proxy = proxy.start().await;
        run(&sandbox, &platform, &proxy, &words("plan")).await;
        let requests = proxy.requests();
        let lists_rooms = |request: &String| request.contains("/rooms?");
        assert!(requests.keys().any(lists_rooms), "{requests:?}");
        requests.get(&of_room).copied()
    };
    assert_eq!(asked(Hostile::in_front_of(&platform)).await, None);
    let unlisted = Fault::Status(403).at("/rooms");
    assert_eq!(asked(Hostile::in_front_of(&platform).with(unlisted)).await, Some(1));
    let proxy = Hostile::in_front_of(&platform).start().await;
    let apply = [&words("apply")[..], &["--yes"]].concat();
    let applied = run(&sandbox, &platform, &proxy, &apply).await;
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    assert_eq!(asked(Hostile::in_front_of(&platform)).await, Some(1));
}

/// A room takes with it what is in it, and a secret is missed by what refers to it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_while_it_is_not_known_what_would_go_with_it() {
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    let room = "version: v1\nkind: Room\nmetadata: {name: a}\n";
    let keys = "---\nversion: v1\nkind: Secret\nmetadata: {name: k}\ntype: keys\ndata: {A: b}\n";
    let service =
        "version: v1\nkind: Service\nmetadata: {name: s}\ncontainer: {image: x, secrets: [k]}\n";
    sandbox.write("set.yaml", &format!("{room}{keys}"));
    sandbox.write("other.yaml", &format!("{service}room: a\n"));
    let proxy = Hostile::in_front_of(&platform).start().await;
    let project = ["--project-id", &platform.project];
    let with = |words: &[&'static str]| [words, &project].concat();
    for words in [
        &["apply", "-f", "set.yaml", "--yes"][..],
        &["apply", "-f", "other.yaml", "--set", "other", "--yes"],
        &["mailbox", "create", "-a", "a@mail.meshagent.com", "--room", "a", "-q", "q"],
    ] {
        let run = run(&sandbox, &platform, &proxy, &with(words)).await;
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    let destroys = [&["destroy", "--yes"][..], &["destroy", "-f", "set.yaml", "--yes"]];
    for words in destroys {
        // All is known: what others have there stops it.
        let run = run(&sandbox, &platform, &proxy, &with(words)).await;
        assert_eq!(run.code, 6, "{words:?}: {}{}", run.stdout, run.stderr);
        for why in [
            "Service/s@a in it is owned by the set `other`",
            "Mailbox/a@mail.meshagent.com, which is not",
        ] {
            assert!(run.stderr.contains(why), "{words:?}: {}", run.stderr);
        }
    }
    for words in destroys {
        let faults = ["/services", "/mailboxes"].map(|path| Fault::Status(403).at(path));
        let proxy = faults.into_iter().fold(Hostile::in_front_of(&platform), Hostile::with);
        let proxy = proxy.start().await;
        let run = run(&sandbox, &platform, &proxy, &with(words)).await;
        assert_eq!(run.code, 0, "{words:?}: {}", run.stderr);
        for name in ["Room/a", "Secret/k"] {
            let told = format!("note: {name} is not deleted by this run: ");
            assert!(run.stderr.contains(&told), "{words:?}: {}", run.stderr);
        }
        assert!(proxy.writes().iter().all(|write| !write.starts_with("DELETE")), "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flags_bound_the_tries_and_their_time() {
    let platform = Server::start().await;
    let sandbox = Sandbox::with_examples();
    // What is asked before, for the API, has no fault.
    let fault = Fault::Status(503).at("/projects");
    for (flags, tries) in [(["--retries", "0"], 1), (["--retries", "1"], 2)] {
        let proxy = Hostile::in_front_of(&platform).with(fault.clone()).start().await;
        let run = run(&sandbox, &platform, &proxy, &words(&[&["plan"], &flags[..]].concat())).await;
        assert_eq!(proxy.requests().get("GET /config"), Some(&1));
        assert_eq!((run.code, proxy.total()), (1, 1 + tries), "{}", run.stderr);
    }
    let began = std::time::Instant::now();
    let slow = Fault::Delay(std::time::Duration::from_secs(30));
    let proxy = Hostile::in_front_of(&platform).with(slow).start().await;
    let run = run(&sandbox, &platform, &proxy, &words(&["plan", "--timeout", "1s"])).await;
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("had no answer in time"), "{}", run.stderr);
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_gets_through_what_is_surely_harmless() {
    let platform = Server::start().await;
    let sandbox = Sandbox::with_examples();
    let proxy = Hostile::in_front_of(&platform)
        .with(Fault::TooFast(None).on("POST").share(0.2))
        .with(Fault::Status(502).on("GET").share(0.2))
        .with(Fault::DropAfter.on("GET").share(0.1))
        .seed(3)
        .start()
        .await;
    // Three of ten reads fail, so one of a thousand fails six times running; nine times is rare.
    let apply = ["apply", "--yes", "--retries", "8"];
    let done = run(&sandbox, &platform, &proxy, &words(&apply)).await;
    assert_eq!(done.code, 0, "{}", done.stderr);
    let plan = ["plan", "--exit-code", "--retries", "8"];
    let again = run(&sandbox, &platform, &proxy, &words(&plan)).await;
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_commits_late_is_there_in_the_end() {
    let platform = Server::start().await;
    let late = std::time::Duration::from_millis(200);
    let proxy =
        Hostile::in_front_of(&platform).with(Fault::CommitsLate(late).on("POST")).start().await;
    let client = super::reads::client(&platform, &proxy, Default::default());
    let path = ["accounts", "projects", &platform.project, "rooms"];
    let request =
        meshagent::api::request::Request::post(&path, serde_json::json!({ "name": "late" }));
    let error = client.send(&request).await.expect_err("a 504");
    assert!(error.is_ambiguous() && error.status == Some(504), "{error}");
    platform.read("/rooms/late").await.expect(404);
    tokio::time::sleep(late * 3).await;
    platform.read("/rooms/late").await.expect(200);
    assert_eq!(proxy.writes().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn which_domains_a_platform_serves_is_not_guessed_where_it_does_not_answer() {
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    let text = "version: v1\nkind: Room\nmetadata: {name: r}\n---\nversion: v1\nkind: Mailbox\nmetadata: {name: a@nobody.example}\nroom: r\n";
    sandbox.write("set.yaml", text);
    let plan = async |status: u16| {
        // A platform that does not describe itself does not say who asks, either.
        let proxy = Hostile::in_front_of(&platform)
            .with(Fault::Status(status).at("/config"))
            .with(Fault::Status(404).at("/accounts/whoami"));
        let proxy = proxy.start().await;
        run(&sandbox, &platform, &proxy, &["plan", "-f", "set.yaml", "--retries", "0"]).await
    };
    for status in [403, 500] {
        let run = plan(status).await;
        assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("GET /config"), "{}", run.stderr);
    }
    // One that has no such call may serve any.
    let run = plan(404).await;
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_tried_as_often_as_was_asked_for() {
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
    for (retries, tries) in [("0", 1), ("2", 3)] {
        for words in [
            &["apply", "-f", "set.yaml", "--yes", "--retries", retries][..],
            &["rooms", "create", "--name", "a", "--retries", retries],
        ] {
            let broken = Fault::Status(500).on("POST").at("/rooms");
            let proxy = Hostile::in_front_of(&platform).with(broken).start().await;
            let run = run(&sandbox, &platform, &proxy, words).await;
            assert_eq!(run.code, 1, "{}", run.stderr);
            let posts = proxy.writes().iter().filter(|it| it.ends_with("/rooms")).count();
            assert_eq!(posts, tries, "{words:?}: {}", run.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_refused_is_told_with_what_helps() {
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
    for (status, hint) in
        [(403, "the credential has no access"), (500, "run the same command again")]
    {
        let refused = Fault::Status(status).on("GET").at("/rooms");
        let proxy = Hostile::in_front_of(&platform).with(refused).start().await;
        let words = ["plan", "-f", "set.yaml", "--retries", "0"];
        let run = run(&sandbox, &platform, &proxy, &words).await;
        assert_eq!(run.code, 6, "{}", run.stderr);
        assert!(run.stderr.contains("it is not known whether Room/a exists"), "{}", run.stderr);
        assert!(run.stderr.contains(hint), "{status}: {}", run.stderr);
    }
}
