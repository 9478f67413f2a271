//! Lists that are not whole, and platforms that are newer than the program: nothing that a
//! list did not show is created again, deleted or forgotten because of that.

use std::collections::BTreeSet;

use meshagent::kinds::{self, KindName};
use meshagent::manifest::set::{self, Input};
use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};
use crate::hostile::plans::run;
use crate::hostile::proxy::{Fault, Hostile, Mischief};
use crate::platform::harness::Server;
use crate::reconciler::spelling;

/// How the paths of the lists end that are read for the examples: those of every kind, of each of
/// which there is an example.
fn lists() -> BTreeSet<&'static str> {
    let sandbox = Sandbox::with_examples();
    let input = Input { paths: vec![sandbox.path("examples/manifests")], ..Input::default() };
    let set = set::read(&input).expect("the examples");
    let end = |kind: KindName| {
        let path = spelling(kind).list("p", None)?.request.path;
        Some(&*path[path.rfind('/').expect("a path")..].to_owned().leak())
    };
    let ends: BTreeSet<&str> = set.objects.keys().filter_map(|key| end(key.kind)).collect();
    let all: BTreeSet<&str> = kinds::ALL.into_iter().filter_map(|kind| end(kind.name())).collect();
    assert!(all.len() > 7, "{all:?}");
    assert_eq!(ends, all, "there are no examples of some");
    ends
}

/// What is done to the body of an answer.
type Edit = fn(&mut Value);

fn edit(change: Edit) -> Fault {
    Fault::Edited(change)
}

/// The objects of a list.
fn items(body: &mut Value) -> Option<&mut Vec<Value>> {
    body.as_object_mut()?.values_mut().find_map(Value::as_array_mut)
}

fn with_token(body: &mut Value) {
    if items(body).is_some() {
        body["continuation_token"] = json!("next");
    }
}

/// Cuts a list, so that it holds mailbox `a` only.
fn cut(body: &mut Value) {
    if let Some(items) = items(body) {
        items.retain(|item| item["address"] == "a@mail.localhost");
    }
}

/// A platform, and the examples that were applied to it.
struct World {
    platform: Server,
    sandbox: Sandbox,
}

impl World {
    async fn new() -> Self {
        Self { platform: Server::start().await, sandbox: Sandbox::with_examples() }
    }

    async fn applied() -> Self {
        let world = Self::new().await;
        let run = world.run(None, &["apply", "-f", "examples/manifests", "--yes"]).await.0;
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        world
    }

    async fn with_mailboxes(names: &[&str]) -> Self {
        let world = Self { platform: Server::start().await, sandbox: Sandbox::new() };
        world.declare(names);
        let run = world.apply(None).await.0;
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        world
    }

    fn declare(&self, names: &[&str]) {
        let mut text = "version: v1\nkind: Room\nmetadata: {name: lobby}\n".to_owned();
        for name in names {
            text += &format!(
                "---\nversion: v1\nkind: Mailbox\nmetadata: {{name: {name}@mail.localhost}}\nroom: lobby\n"
            );
        }
        self.sandbox.write("set.yaml", &text);
    }

    /// What came of a run, and the writes that were sent.
    async fn run(&self, fault: Option<Mischief>, arguments: &[&str]) -> (Run, Vec<String>) {
        self.run_with(fault.into_iter().collect(), arguments).await
    }

    async fn run_with(&self, faults: Vec<Mischief>, arguments: &[&str]) -> (Run, Vec<String>) {
        let hostile = Hostile::in_front_of(&self.platform);
        let proxy = faults.into_iter().fold(hostile, Hostile::with).start().await;
        // The examples declare a project of their own.
        let is_example = arguments.contains(&"examples/manifests");
        let project = ["--project-id", &self.platform.project];
        let project = if is_example { &[][..] } else { &project };
        let run = run(&self.sandbox, &self.platform, &proxy, &[arguments, project].concat()).await;
        let writes = proxy.writes().into_iter().filter(|write| !write.contains("/storage/"));
        (run, writes.collect())
    }

    async fn apply(&self, fault: Option<Mischief>) -> (Run, Vec<String>) {
        self.run(fault, &["apply", "-f", "set.yaml", "--yes"]).await
    }

    async fn mailboxes(&self) -> usize {
        let (run, _) = self.run(None, &["mailbox", "list", "-o", "json"]).await;
        run.json()["mailboxes"].as_array().map_or(0, Vec::len)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_any_list_stops_the_plan() {
    let world = World::applied().await;
    for list in lists() {
        let apply = ["apply", "-f", "examples/manifests", "--yes"];
        let (run, writes) = world.run(Some(edit(with_token).at(list)), &apply).await;
        assert_eq!((run.code, writes), (6, vec![]), "{list}: {}", run.stderr);
        assert!(
            run.stderr.contains("this platform does not speak the API of 0.31"),
            "{}",
            run.stderr
        );
        assert!(
            run.stderr.contains("hint: run it again; if that changes nothing, say which API"),
            "{}",
            run.stderr
        );
        assert_eq!(run.stderr.lines().count(), 2, "{}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_another_form_stop_the_plan() {
    let world = World::applied().await;
    let cases: [(&str, Edit); 5] = [
        ("/routes", |body| body["routes"][0]["spec"] = json!({"domain": "d"})),
        ("/scheduled-tasks", |body| body["tasks"][0]["spec"] = Value::Null),
        ("/services", |body| body["services"][0]["enabled"] = json!(true)),
        ("/services", |body| body["services"][0]["run_as"] = json!("u")),
        ("/services", |body| body["services"][0]["container"]["template"] = json!("agent")),
    ];
    for (list, change) in cases {
        let plan = ["plan", "-f", "examples/manifests"];
        let (run, _) = world.run(Some(edit(change).at(list)), &plan).await;
        assert_eq!(run.code, 6, "{list}: {}", run.stderr);
        assert!(run.stderr.contains("in another form"), "{}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_shorter_than_it_says_stops_the_plan() {
    let world = World::with_mailboxes(&["a", "b"]).await;
    let cases: [(&str, Edit, i32); 5] = [
        ("/mailboxes", |body| body["total"] = json!(3), 6),
        ("/rooms", |body| body["total"] = json!(900), 6),
        ("/mailboxes", |body| body["total"] = json!(2), 0),
        ("/mailboxes", |body| body["total"] = json!(0), 0),
        ("/mailboxes", |body| body["total"] = Value::Null, 0),
    ];
    for (list, change, code) in cases {
        let plan = ["plan", "-f", "set.yaml", "--exit-code"];
        let (run, _) = world.run(Some(edit(change).at(list)), &plan).await;
        assert_eq!(run.code, code, "{list}: {}", run.stderr);
        assert_eq!(run.stderr.contains("of 3 mailboxes"), list == "/mailboxes" && code == 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_list_say_so_too() {
    let world = World::applied().await;
    let commands: [&[&str]; 9] = [
        &["rooms", "list"],
        &["mailbox", "list"],
        &["route", "list"],
        &["webhook", "list"],
        &["scheduled-task", "list"],
        &["service", "list"],
        &["api-key", "list"],
        &["project", "list"],
        &["export", "-d", "exported"],
    ];
    for command in commands {
        let (run, _) = world.run(Some(edit(with_token).into()), command).await;
        assert_eq!(run.code, 6, "{command:?}: {}{}", run.stdout, run.stderr);
        assert!(
            run.stderr.contains("does not speak the API of 0.31"),
            "{command:?}: {}",
            run.stderr
        );
    }
    assert!(!world.sandbox.path("exported").exists());
    // A page that was asked for is not a list that was cut.
    let world = World::with_mailboxes(&[]).await;
    let three = edit(|body| body["total"] = json!(3)).at("/rooms");
    let (run, _) = world.run(Some(three), &["rooms", "list", "--limit", "1"]).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cut_list_hides_is_not_created_again() {
    // Of a set that owns them, and of one that never saw them.
    let world = World::with_mailboxes(&["a", "b", "c"]).await;
    let cut = || Some(edit(cut).at("/mailboxes"));
    for set in ["default", "another"] {
        let apply = ["apply", "-f", "set.yaml", "--yes", "--set", set, "--adopt"];
        let apply = if set == "default" { &apply[..6] } else { &apply[..] };
        let (run, writes) = world.run(cut(), apply).await;
        assert_eq!((run.code, writes), (6, vec![]), "{set}: {}", run.stderr);
        assert!(run.stderr.contains("the list does not show Mailbox/"), "{}", run.stderr);
    }
    let (run, writes) = world.apply(None).await;
    assert_eq!((run.code, writes), (0, vec![]), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cut_list_hides_is_not_forgotten() {
    let world = World::with_mailboxes(&["a", "b", "c"]).await;
    world.declare(&["a"]);
    let (run, writes) = world.apply(Some(edit(cut).at("/mailboxes"))).await;
    assert_eq!((run.code, writes), (0, vec![]), "{}{}", run.stdout, run.stderr);
    // Once the list is whole, the set still knows that they are its own.
    let (run, writes) = world.apply(None).await;
    assert_eq!((run.code, writes.len()), (0, 2), "{}{}", run.stdout, run.stderr);
    assert_eq!(world.mailboxes().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_forgotten_and_what_cannot_be_looked_up_is_not() {
    let world = World::with_mailboxes(&["a", "b"]).await;
    let delete = ["mailbox", "delete", "b@mail.localhost"];
    assert_eq!(world.run(None, &delete).await.0.code, 0);
    let plan = ["plan", "-f", "set.yaml", "--exit-code"];
    let look = || Fault::Status(403).at("/mailboxes/b@mail.localhost");
    let (run, _) = world.run(Some(look()), &plan).await;
    assert_eq!(run.code, 6, "{}", run.stderr);
    let (run, _) = world.run(None, &plan).await;
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stdout.contains("Mailbox/b@mail.localhost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_cannot_be_read_is_not_empty() {
    let world = World::applied().await;
    for list in lists() {
        for status in [403, 404] {
            let plan = ["plan", "-f", "examples/manifests", "--exit-code"];
            let (run, _) = world.run(Some(Fault::Status(status).at(list)), &plan).await;
            assert!(matches!(run.code, 1 | 6), "{list} {status}: {}{}", run.stdout, run.stderr);
        }
    }
    // The services of rooms that exist, when their documents are gone.
    let manifests = world.sandbox.path("examples/manifests/services");
    std::fs::remove_dir_all(manifests).expect("a folder");
    let apply = ["apply", "-f", "examples/manifests", "--yes", "--allow-deletes", "99"];
    let (_, writes) = world.run(Some(Fault::Status(404).at("/services")), &apply).await;
    assert!(!writes.iter().any(|write| write.contains("/services")), "{writes:?}");
    // The set still owns them.
    let plan = ["plan", "-f", "examples/manifests", "--allow-deletes", "99"];
    let (run, _) = world.run(None, &plan).await;
    assert!(run.stdout.contains("delete Service/"), "{}{}", run.stdout, run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_meets_what_no_list_showed_stops_the_deletes_of_its_kind() {
    let world = World::with_mailboxes(&["a", "z"]).await;
    let made = ["mailbox", "create", "-a", "m@mail.localhost", "--room", "lobby", "--queue", "q"];
    let (run, _) = world.run(None, &made).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    world.declare(&["a", "m"]);
    // The platform says that this list is whole.
    let lacking = edit(|body| {
        if let Some(items) = items(body) {
            items.retain(|item| item["address"] != "m@mail.localhost");
            body["total"] = json!(2);
        }
    });
    let apply = ["apply", "-f", "set.yaml", "--yes", "--parallelism", "1"];
    // Looked up by its address, it shows.
    let lists = lacking.at("/mailboxes");
    let (run, writes) = world.run(Some(lists.clone()), &apply).await;
    assert_eq!((run.code, writes), (6, vec![]), "{}{}", run.stdout, run.stderr);
    // It is not there when it is looked up, and is when it is created.
    let hidden = Fault::Status(404).at("/mailboxes/m@mail.localhost").on("GET").times(1);
    let (run, writes) = world.run_with(vec![lists, hidden], &apply).await;
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert!(writes[0].starts_with("POST "), "{writes:?}");
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(told.contains("the list does not show Mailbox/m@mail.localhost"), "{told}");
    assert_eq!(world.mailboxes().await, 3);
}

fn without_revisions(body: &mut Value) {
    for item in items(body).into_iter().flatten().filter_map(Value::as_object_mut) {
        item.shift_remove("etag");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_looked_at_once_more() {
    let world = World::with_mailboxes(&["a", "b"]).await;
    world.declare(&["a"]);
    let alone = "/mailboxes/b@mail.localhost";
    let changed = edit(|body| body["mailbox"]["queue"] = json!("changed"));
    let lists = || edit(without_revisions).at("/mailboxes");
    let apply = ["apply", "-f", "set.yaml", "--yes"];
    let (run, writes) = world.run_with(vec![lists(), changed.at(alone)], &apply).await;
    assert_eq!(writes, Vec::<String>::new(), "{}{}", run.stdout, run.stderr);
    assert_ne!(run.code, 0);
    // What is gone already is done.
    let gone = Fault::Status(404).at(alone).on("GET");
    let (run, writes) = world.run_with(vec![lists(), gone], &apply).await;
    assert_eq!((run.code, writes), (0, vec![]), "{}{}", run.stdout, run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_of_what_is_there_and_is_said_not_to_be_is_not_done() {
    let world = World::with_mailboxes(&["a", "b"]).await;
    world.declare(&["a"]);
    let lost = || Fault::Status(404).at("/mailboxes/b@mail.localhost").on("DELETE");
    let (run, _) = world.apply(Some(lost())).await;
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    // The set still knows that it is its own.
    let (run, writes) = world.apply(None).await;
    assert_eq!((run.code, writes.len()), (0, 1), "{}{}", run.stdout, run.stderr);
    assert_eq!(world.mailboxes().await, 1);
}

/// Gives every object of a list an id that none has.
fn with_old_ids(body: &mut Value) {
    for item in items(body).into_iter().flatten() {
        item["id"] = json!("00000000-0000-4000-8000-000000000000");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_list_shows_with_another_id_is_not_forgotten() {
    let world = World { platform: Server::start().await, sandbox: Sandbox::new() };
    let service =
        "version: v1\nkind: Service\nmetadata: {name: s}\nroom: lobby\ncontainer: {image: x}\n";
    let room = "version: v1\nkind: Room\nmetadata: {name: lobby}\n";
    let hook = "version: v1\nkind: Webhook\nmetadata: {name: w}\nurl: https://a.example/\nevents: [room.started]\n";
    world.sandbox.write("set.yaml", &[room, service, hook].join("---\n"));
    assert_eq!(world.apply(None).await.0.code, 0);
    world.sandbox.write("set.yaml", room);
    for _ in 0..2 {
        let apply = ["apply", "-f", "set.yaml", "--yes", "--allow-deletes", "9"];
        // Webhooks are only given in their list, which is read once more.
        let old =
            vec![edit(with_old_ids).at("/services"), edit(with_old_ids).at("/webhooks").times(1)];
        let (run, writes) = world.run_with(old, &apply).await;
        assert_eq!(writes, Vec::<String>::new(), "{}{}", run.stdout, run.stderr);
        assert!(
            run.stderr.contains("the list does not show ")
                || run.stdout.contains("the list does not show "),
            "{}",
            run.stderr
        );
    }
    // Once the lists are new, the set still knows that they are its own.
    let (run, writes) = world.apply(None).await;
    assert_eq!((run.code, writes.len()), (0, 2), "{}{}", run.stdout, run.stderr);
    // What was made anew under its name is no old list's.
    world.sandbox.write("set.yaml", &[room, hook].join("---\n"));
    assert_eq!(world.apply(None).await.0.code, 0);
    let list = world.run(None, &["webhook", "list", "-o", "json"]).await.0.json();
    let id = list["webhooks"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(world.run(None, &["webhook", "delete", &id]).await.0.code, 0);
    let create = [
        "webhook",
        "create",
        "--name",
        "w",
        "--url",
        "https://a.example/",
        "--event",
        "room.started",
    ];
    let (run, _) = world.run(None, &create).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    let (run, _) = world.run(None, &["plan", "-f", "set.yaml"]).await;
    assert!(
        !run.stderr.contains("the list does not show ")
            && !run.stdout.contains("the list does not show "),
        "{}",
        run.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_looked_up_but_new_names_that_are_one_on_the_whole_platform() {
    let count = |requests: &std::collections::BTreeMap<String, u64>| {
        requests.keys().filter(|request| request.contains("/mailboxes/")).count()
    };
    let world = World::with_mailboxes(&["a", "b"]).await;
    let proxy = Hostile::in_front_of(&world.platform).start().await;
    let plan = ["plan", "-f", "set.yaml", "--project-id", &world.platform.project];
    assert_eq!(run(&world.sandbox, &world.platform, &proxy, &plan).await.code, 0);
    assert_eq!(count(&proxy.requests()), 0);
    let names: Vec<String> = (0..60).map(|index| format!("new-{index}")).collect();
    world.declare(&names.iter().map(String::as_str).chain(["a", "b"]).collect::<Vec<_>>());
    assert_eq!(run(&world.sandbox, &world.platform, &proxy, &plan).await.code, 0);
    assert_eq!(count(&proxy.requests()), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_is_shown_first() {
    let world = World::with_mailboxes(&["a", "b", "c"]).await;
    for name in ["b@mail.localhost", "c@mail.localhost"] {
        assert_eq!(world.run(None, &["mailbox", "delete", name]).await.0.code, 0);
    }
    world.declare(&["a"]);
    // What nobody is to prune is not forgotten either.
    let kept = ["plan", "-f", "set.yaml", "--exit-code", "--no-prune"];
    assert_eq!(world.run(None, &kept).await.0.code, 0);
    let (run, writes) = world.apply(None).await;
    assert_eq!((run.code, writes), (0, vec![]), "{}", run.stderr);
    assert!(run.stdout.contains("Plan: 2 to release, 2 unchanged."), "{}", run.stdout);
    assert!(run.stdout.contains("it is not on the platform any more"), "{}", run.stdout);
    let again = world.run(None, &["plan", "-f", "set.yaml", "--exit-code"]).await.0;
    assert_eq!(again.code, 0, "{}", again.stdout);
}

/// What is alike of many objects is told once, with the first few of them.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_of_many_objects_is_told_once() {
    let names: Vec<String> = (0..9).map(|index| format!("m{index}")).collect();
    let world = World::with_mailboxes(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let unread = Fault::Status(500).at("/mailboxes");
    let (run, _) = world.run(Some(unread), &["plan", "-f", "set.yaml", "--retries", "0"]).await;
    assert_eq!(run.code, 6, "{}{}", run.stdout, run.stderr);
    assert_eq!(run.stderr.matches("it is not known whether").count(), 1, "{}", run.stderr);
    let told = "Mailbox/m4@mail.localhost and 4 more exist: ";
    assert!(run.stderr.contains(told), "{}", run.stderr);
}

/// The settings of a project are sent as a whole, with those that no document names.
#[tokio::test(flavor = "multi_thread")]
async fn settings_that_the_platform_does_not_tell_are_not_written_over() {
    let world = World { platform: Server::start().await, sandbox: Sandbox::new() };
    let name = world.platform.read("").await.expect(200).json()["name"].clone();
    let document = |setting: &str| {
        format!(
            "version: v1\nkind: Project\nmetadata: {{name: {name}}}\nsettings: {{ours: {setting}}}\n"
        )
    };
    world.sandbox.write("set.yaml", &document("one"));
    let apply = ["apply", "-f", "set.yaml", "--yes", "--adopt"];
    let (run, _) = world.run(None, &apply).await;
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let settings = json!({"ours": "one", "theirs": "two"});
    world.platform.send("PUT", "/settings", settings.clone()).await.expect(200);
    world.sandbox.write("set.yaml", &document("three"));
    let untold: Edit = |body| {
        for project in items(body).into_iter().flatten() {
            project.as_object_mut().map(|project| project.remove("settings"));
        }
        body.as_object_mut().map(|project| project.remove("settings"));
    };
    let alone: &'static str = format!("/accounts/projects/{}", world.platform.project).leak();
    let faults: [Mischief; 3] = [
        edit(untold).into(),
        Fault::Status(403).at(alone).on("GET"),
        Fault::Status(404).at(alone).on("GET"),
    ];
    for fault in faults {
        let (run, writes) = world.run(Some(fault), &apply).await;
        assert_eq!((run.code, writes), (6, vec![]), "{}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("does not show its `settings`"), "{}", run.stderr);
        assert_eq!(world.platform.read("").await.expect(200).json()["settings"], settings);
    }
    let (run, _) = world.run(None, &apply).await;
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let settings = json!({"ours": "three", "theirs": "two"});
    assert_eq!(world.platform.read("").await.expect(200).json()["settings"], settings);
}

/// What a set owns elsewhere is not known where that could not be read.
#[tokio::test(flavor = "multi_thread")]
async fn inventories_of_other_projects_that_cannot_be_read_are_counted() {
    let world = World::with_mailboxes(&["a"]).await;
    let (project, _) = world.platform.other_project("second").await;
    let set = ["--set", "two", "--project-id"];
    world.sandbox.write("two.yaml", "version: v1\nkind: Room\nmetadata: {name: twoa}\n");
    for project in [&world.platform.project, &project] {
        let apply = [&["apply", "-f", "two.yaml", "--yes"][..], &set, &[project]].concat();
        let proxy = Hostile::in_front_of(&world.platform).start().await;
        let done = run(&world.sandbox, &world.platform, &proxy, &apply).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
    let unread = || {
        let path = format!("/projects/{project}/storage/download").leak();
        Fault::Status(500).at(path).on("GET")
    };
    let destroy = ["destroy", "--set", "two", "--yes", "--retries", "0"];
    let (run, _) = world.run(Some(unread()), &destroy).await;
    assert!(run.stderr.contains("1 more project was not asked"), "{}{}", run.stdout, run.stderr);
    let export = ["export", "--set", "two", "-d", "out", "--retries", "0"];
    let (run, _) = world.run(Some(unread()), &export).await;
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("it is unknown which project has the set `two`"), "{}", run.stderr);
}

/// Two projects of one name are not one, wherever all of them are meant.
#[tokio::test(flavor = "multi_thread")]
async fn projects_of_one_name_are_told_apart() {
    let world = World::with_mailboxes(&["a"]).await;
    world.platform.other_project("second").await;
    let alike: Edit = |body| {
        for project in items(body).into_iter().flatten() {
            project["name"] = json!("default");
        }
    };
    let proxy =
        Hostile::in_front_of(&world.platform).with(edit(alike).at("/projects")).start().await;
    let destroy = ["destroy", "--set", "default", "--yes"];
    let refused = run(&world.sandbox, &world.platform, &proxy, &destroy).await;
    assert_eq!(refused.code, 6, "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains("2 projects are called `default`"), "{}", refused.stderr);
    assert_eq!(world.mailboxes().await, 1);
}
