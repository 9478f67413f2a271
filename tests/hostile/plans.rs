//! What a plan makes of answers that say the same in another way, and that it never writes.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::StreamExt;
use meshagent::api::spoken::Spoken;
use meshagent::kinds::KindName;
use serde_json::Value;

use super::proxy::{Fault, Hostile, Mischief, Running};
use super::writes::documents;
use crate::cli::{Run, Sandbox};
use crate::platform::harness::Server;
use crate::seeds::draws;
use crate::spoken::{BOTH, has};

/// Runs the program as the owner of the platform behind the proxy.
pub async fn run(sandbox: &Sandbox, platform: &Server, proxy: &Running, arguments: &[&str]) -> Run {
    run_in(Spoken::V0_31, sandbox, platform, proxy, arguments).await
}

/// The same in an API; the platform says first that it speaks that of 0.31.
pub async fn run_in(
    spoken: Spoken,
    sandbox: &Sandbox,
    platform: &Server,
    proxy: &Running,
    arguments: &[&str],
) -> Run {
    let mut command = sandbox.command(arguments);
    command.args(["--api-url", &proxy.url]).env("MESHAGENT_API_KEY", &platform.owner);
    if spoken != Spoken::V0_31 {
        command.env("MESHAGENT_DIALECT", spoken.to_string());
    }
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
    applied_in(Spoken::V0_31).await
}

/// The files of a set in 0.56, where the examples cannot be said: what is in `reach.yaml` is named
/// by nothing in the other one.
fn write_set(sandbox: &Sandbox, version: u8) {
    let documents = documents(Spoken::V0_56, version).into_iter();
    let documents = documents.filter(|document| document["kind"] != "Project");
    let (reach, rest): (Vec<Value>, Vec<Value>) = documents.partition(|document| {
        ["Mailbox", "Route", "ScheduledTask"].iter().any(|kind| document["kind"] == *kind)
    });
    std::fs::create_dir_all(sandbox.path("examples/manifests")).expect("a folder");
    for (name, documents) in [("reach", reach), ("rest", rest)] {
        let texts: Vec<String> = documents.iter().map(|it| format!("---\n{it}\n")).collect();
        sandbox.write(&format!("examples/manifests/{name}.yaml"), &texts.concat());
    }
}

/// A set: the examples, or what takes their place in an API that cannot say them.
fn written(spoken: Spoken) -> Sandbox {
    match spoken {
        Spoken::V0_31 => Sandbox::with_examples(),
        Spoken::V0_56 => {
            let sandbox = Sandbox::new();
            write_set(&sandbox, 1);
            sandbox
        }
    }
}

/// A platform with a set.
async fn applied_in(spoken: Spoken) -> (Server, Sandbox) {
    let platform = Server::start().await;
    let sandbox = written(spoken);
    let proxy = Hostile::in_front_of(&platform).start().await;
    let apply = words(&["apply", "--yes"]);
    let run = run_in(spoken, &sandbox, &platform, &proxy, &apply).await;
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    (platform, sandbox)
}

/// Changes one object of the set that was applied, and takes others out of it.
fn change(spoken: Spoken, sandbox: &Sandbox) {
    match spoken {
        Spoken::V0_31 => {
            sandbox.write("examples/manifests/secrets/crm-token.txt", "rotated\n");
        }
        Spoken::V0_56 => write_set(sandbox, 2),
    }
    std::fs::remove_file(sandbox.path("examples/manifests/reach.yaml")).expect("a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_the_same_in_another_way_plans_to_nothing() {
    futures_util::future::join_all(BOTH.map(says_the_same)).await;
}

async fn says_the_same(spoken: Spoken) {
    let (platform, sandbox) = applied_in(spoken).await;
    let all = [
        Fault::UnknownFields,
        Fault::Reordered,
        Fault::NullForEmpty,
        Fault::SecretsMasked,
        Fault::SecretsOmitted,
        Fault::WrongType,
        Fault::SmallPages(1),
        Fault::EmptyPages,
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
        let plan = words(&["plan", "--exit-code"]);
        let run = run_in(spoken, &sandbox, &platform, &proxy, &plan).await;
        assert_eq!(run.code, 0, "{spoken} {faults:?} {}{}", run.stdout, run.stderr);
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

/// How many runs of the program are under way at once. Most of the time they wait to ask again.
const AT_ONCE: usize = 16;

/// Each mischief meets `plan`; of the other commands, one of so many.
const SHARE: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_writes_nothing_but_the_file_it_was_told_to() {
    futures_util::future::join_all(BOTH.map(writes_nothing)).await;
}

async fn writes_nothing(spoken: Spoken) {
    let (platform, sandbox) = &applied_in(spoken).await;
    change(spoken, sandbox);
    let before = snapshot(&sandbox.path("."));
    let mischief: [Vec<Mischief>; 6] = [
        vec![],
        vec![Fault::UnknownFields.into(), Fault::Reordered.into()],
        vec![Fault::Status(503).times(2), Fault::CutBody.times(1)],
        vec![Fault::TooFast(None).times(2), Fault::DropAfter.times(1)],
        vec![Fault::Status(403).at("/rooms")],
        vec![Fault::Status(500).at(match spoken {
            Spoken::V0_31 => "/secrets",
            Spoken::V0_56 => "/routes",
        })],
    ];
    let commands = [&["plan"][..], &["plan", "-o", "json"], &["diff"], &["graph"]];
    let cases = (0..).zip(&mischief).flat_map(|(seed, it)| commands.map(|of| (seed, it, of)));
    let mut random = draws();
    let cases: Vec<_> = cases
        .filter(|case| case.2.len() == 1 && case.2[0] == "plan" || random.usize(..SHARE) == 0)
        .collect();
    let tried = futures_util::stream::iter(cases).for_each_concurrent(AT_ONCE, async |case| {
        let (seed, mischief, command) = case;
        let told = format!("{spoken} {mischief:?} {command:?}");
        let mischief = mischief.iter().cloned();
        let proxy = mischief.fold(Hostile::in_front_of(platform), Hostile::with).seed(seed);
        let proxy = proxy.start().await;
        let run = run_in(spoken, sandbox, platform, &proxy, &words(command)).await;
        // What cannot be known may also be refused.
        assert!(matches!(run.code, 0 | 1 | 6), "{told}: {}", run.stderr);
        assert_eq!((proxy.writes(), proxy.count("GET") == proxy.total()), (vec![], true));
    });
    tried.await;
    assert_eq!(snapshot(&sandbox.path(".")), before, "{spoken}");
    let proxy = Hostile::in_front_of(platform).start().await;
    let plan = words(&["plan", "--out", "plan.json", "--allow-deletes", "99"]);
    let run = run_in(spoken, sandbox, platform, &proxy, &plan).await;
    assert_eq!((run.code, proxy.writes().len()), (0, 0), "{}", run.stderr);
    let mut after = snapshot(&sandbox.path("."));
    assert!(after.remove(&sandbox.path("./plan.json").display().to_string()).is_some());
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_list_does_not_tell_whole_is_not_deleted() {
    futures_util::future::join_all(BOTH.map(is_not_deleted)).await;
}

async fn is_not_deleted(spoken: Spoken) {
    let (platform, sandbox) = applied_in(spoken).await;
    // What brings mailboxes; one that is declared could not even be planned.
    std::fs::remove_file(sandbox.path("examples/manifests/reach.yaml")).expect("a file");
    if spoken == Spoken::V0_31 {
        let file = sandbox.path("examples/manifests/services/assistant.yaml");
        std::fs::remove_file(file).expect("a file");
    }
    let deletes = |run: &Run| -> Vec<String> {
        let plan = run.json();
        let operations = plan["operations"].as_array().expect("operations").iter();
        let deletes = operations.filter(|operation| operation["action"] == "delete");
        deletes.map(|it| it["address"].as_str().expect("an address").to_owned()).collect()
    };
    let plan = words(&["plan", "--retries", "0", "-o", "json", "--allow-deletes", "99"]);
    let proxy = Hostile::in_front_of(&platform).start().await;
    let whole = deletes(&run_in(spoken, &sandbox, &platform, &proxy, &plan).await);
    let pages = Fault::SmallPages(2).at("/scheduled-tasks");
    let of_tasks = |fault: Fault| vec![pages.clone(), fault.at("/scheduled-tasks")];
    let mut cases = vec![
        ("Mailbox/", vec![Fault::Status(403).at("/mailboxes")], "was answered with 403"),
        ("Mailbox/", vec![Fault::Status(503).at("/mailboxes")], "was answered with 503"),
        (
            "ScheduledTask/",
            vec![pages.clone(), Fault::Status(500).at("/scheduled-tasks").on_later_pages()],
            "was answered with 500",
        ),
        ("Mailbox/", vec![Fault::Cut(0).at("/mailboxes")], ", although it exists"),
    ];
    let changed = "returned a list that changed between its pages";
    match spoken {
        Spoken::V0_31 => cases.push(("ScheduledTask/", of_tasks(Fault::FirstRemoved), changed)),
        Spoken::V0_56 => cases.extend([
            ("ScheduledTask/", of_tasks(Fault::FirstInserted), changed),
            ("ScheduledTask/", of_tasks(Fault::Doubled), changed),
            ("ScheduledTask/", of_tasks(Fault::Cut(1)), ", although it exists"),
            ("ScheduledTask/", of_tasks(Fault::FirstRemoved), ", although it exists"),
        ]),
    }
    for (kind, faults, why) in cases {
        let told = format!("{spoken} {faults:?}");
        let proxy = faults.into_iter().fold(Hostile::in_front_of(&platform), Hostile::with);
        let proxy = proxy.start().await;
        let run = run_in(spoken, &sandbox, &platform, &proxy, &plan).await;
        assert_eq!(run.code, 0, "{told}: {}", run.stderr);
        let left = deletes(&run);
        let unread = whole.iter().filter(|address| address.starts_with(kind)).count();
        let is_left = left.iter().all(|address| !address.starts_with(kind));
        assert!(unread > 0 && is_left, "{told}: {left:?}");
        assert_eq!(left.len(), whole.len() - unread, "{told}: {left:?}");
        let said = run.stderr.lines().filter(|line| line.contains(" is not deleted by this run: "));
        let said = said.filter(|line| line.contains(why)).count();
        assert_eq!(said, unread, "{told}: {}", run.stderr);
    }
    if spoken == Spoken::V0_31 {
        return;
    }
    // A list that has no end is of a platform of which nothing can be known.
    for fault in [Fault::TokenStays.into(), Fault::TokenStays.at("/scheduled-tasks")] {
        let proxy = Hostile::in_front_of(&platform).with(fault).start().await;
        let run = run_in(spoken, &sandbox, &platform, &proxy, &plan).await;
        assert_eq!((run.code, proxy.writes()), (1, vec![]), "{}", run.stderr);
        for told in ["the token of a page that was read already", "hint: run the same command"] {
            assert!(run.stderr.contains(told), "{}", run.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_asked_for_their_services_unless_they_surely_do_not_exist() {
    futures_util::future::join_all(BOTH.map(rooms_are_asked)).await;
}

async fn rooms_are_asked(spoken: Spoken) {
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    let room = "version: v1\nkind: Room\nmetadata: {name: a}\n---\n";
    let service = "version: v1\nkind: Service\nmetadata: {name: s}\ncontainer: {image: x}\n";
    sandbox.write("set.yaml", &format!("{room}{service}room: a\n"));
    let words = |command| [command, "-f", "set.yaml", "--project-id", &platform.project];
    let of_room = format!("GET /accounts/projects/{}/rooms/a/services", platform.project);
    let asked = async |proxy: Hostile| {
        let proxy = proxy.start().await;
        run_in(spoken, &sandbox, &platform, &proxy, &words("plan")).await;
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
    let applied = run_in(spoken, &sandbox, &platform, &proxy, &apply).await;
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    assert_eq!(asked(Hostile::in_front_of(&platform)).await, Some(1));
}

/// A room takes with it what is in it, and a secret is missed by what refers to it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_while_it_is_not_known_what_would_go_with_it() {
    futures_util::future::join_all(BOTH.map(nothing_is_deleted)).await;
}

async fn nothing_is_deleted(spoken: Spoken) {
    let has_secrets = has(spoken, KindName::Secret);
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    let room = "version: v1\nkind: Room\nmetadata: {name: a}\n";
    let keys = "---\nversion: v1\nkind: Secret\nmetadata: {name: k}\ntype: keys\ndata: {A: b}\n";
    let keys = if has_secrets { keys } else { "" };
    let secrets = if has_secrets { ", secrets: [k]" } else { "" };
    let service = format!(
        "version: v1\nkind: Service\nmetadata: {{name: s}}\ncontainer: {{image: x{secrets}}}\n"
    );
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
        let run = run_in(spoken, &sandbox, &platform, &proxy, &with(words)).await;
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    let destroys = [&["destroy", "--yes"][..], &["destroy", "-f", "set.yaml", "--yes"]];
    for words in destroys {
        // All is known: what others have there stops it.
        let run = run_in(spoken, &sandbox, &platform, &proxy, &with(words)).await;
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
        let run = run_in(spoken, &sandbox, &platform, &proxy, &with(words)).await;
        assert_eq!(run.code, 0, "{words:?}: {}", run.stderr);
        for name in ["Room/a", "Secret/k"].into_iter().take(1 + usize::from(has_secrets)) {
            let told = format!("note: {name} is not deleted by this run: ");
            assert!(run.stderr.contains(&told), "{words:?}: {}", run.stderr);
        }
        assert!(proxy.writes().iter().all(|write| !write.starts_with("DELETE")), "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flags_bound_the_tries_and_their_time() {
    futures_util::future::join_all(BOTH.map(are_bound)).await;
}

async fn are_bound(spoken: Spoken) {
    let platform = Server::start().await;
    let sandbox = written(spoken);
    // What is asked before, for the API, has no fault.
    let fault = Fault::Status(503).at("/projects");
    for (flags, tries) in [(["--retries", "0"], 1), (["--retries", "1"], 2)] {
        let proxy = Hostile::in_front_of(&platform).with(fault.clone()).start().await;
        let plan = words(&[&["plan"], &flags[..]].concat());
        let run = run_in(spoken, &sandbox, &platform, &proxy, &plan).await;
        assert_eq!(proxy.requests().get("GET /config"), Some(&1));
        assert_eq!((run.code, proxy.total()), (1, 1 + tries), "{}", run.stderr);
    }
    let began = std::time::Instant::now();
    let delay = std::time::Duration::from_secs(60);
    let slow = Fault::Delay(delay);
    let proxy = Hostile::in_front_of(&platform).with(slow).start().await;
    let run =
        run_in(spoken, &sandbox, &platform, &proxy, &words(&["plan", "--timeout", "1s"])).await;
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("had no answer in time"), "{}", run.stderr);
    // It does not wait for the answer, however busy the machine is.
    assert!(began.elapsed() < delay, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_gets_through_what_is_surely_harmless() {
    futures_util::future::join_all(BOTH.map(gets_through)).await;
}

async fn gets_through(spoken: Spoken) {
    let platform = Server::start().await;
    let sandbox = written(spoken);
    let proxy = Hostile::in_front_of(&platform)
        .with(Fault::TooFast(None).on("POST").share(0.2))
        .with(Fault::Status(502).on("GET").share(0.2))
        .with(Fault::DropAfter.on("GET").share(0.1))
        .seed(3)
        .start()
        .await;
    // Three of ten reads fail, so one of a thousand fails six times running; nine times is rare.
    let apply = ["apply", "--yes", "--retries", "8"];
    let done = run_in(spoken, &sandbox, &platform, &proxy, &words(&apply)).await;
    assert_eq!(done.code, 0, "{}", done.stderr);
    let plan = ["plan", "--exit-code", "--retries", "8"];
    let again = run_in(spoken, &sandbox, &platform, &proxy, &words(&plan)).await;
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
    futures_util::future::join_all(BOTH.map(are_tried)).await;
}

async fn are_tried(spoken: Spoken) {
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
            let run = run_in(spoken, &sandbox, &platform, &proxy, words).await;
            assert_eq!(run.code, 1, "{}", run.stderr);
            let posts = proxy.writes().iter().filter(|it| it.ends_with("/rooms")).count();
            assert_eq!(posts, tries, "{words:?}: {}", run.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_refused_is_told_with_what_helps() {
    futures_util::future::join_all(BOTH.map(is_told)).await;
}

async fn is_told(spoken: Spoken) {
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
    for (status, hint) in
        [(403, "the credential has no access"), (500, "run the same command again")]
    {
        let refused = Fault::Status(status).on("GET").at("/rooms");
        let proxy = Hostile::in_front_of(&platform).with(refused).start().await;
        let words = ["plan", "-f", "set.yaml", "--retries", "0"];
        let run = run_in(spoken, &sandbox, &platform, &proxy, &words).await;
        assert_eq!(run.code, 6, "{}", run.stderr);
        assert!(run.stderr.contains("it is not known whether Room/a exists"), "{}", run.stderr);
        assert!(run.stderr.contains(hint), "{status}: {}", run.stderr);
    }
}
