//! What sets leave behind, and what is told of them: destroyed sets, questions, long lists,
//! owners, hints, and other projects.

use std::collections::BTreeMap;

use meshagent::apply::inventory;
use meshagent::kinds::{Key, KindName};
use meshagent::plan::fingerprints::Fingerprints;
use meshagent::plan::planner::{Policy, Prune, plan};
use meshagent::plan::text::{self, Detail};
use meshagent::plan::{Action, Entry, Inventory, LeftBehind, Plan, ProjectState, State, markdown};
use serde_json::{Value, json};

use crate::auth::Terminal;
use crate::cli::{Run, Sandbox};
use crate::hostile::plans;
use crate::hostile::proxy::Hostile;
use crate::reconciler::World;

fn room(name: &str) -> String {
    format!("---\nversion: v1\nkind: Room\nmetadata: {{name: {name}}}\n")
}

fn secret(name: &str, data: &str) -> String {
    format!(
        "---\nversion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: keys\ndata: {data}\n"
    )
}

fn from(former: &str, document: &str) -> String {
    format!("{document}lifecycle: {{moved_from: {former}}}\n")
}

fn applied(sandbox: &Sandbox, documents: &str, set: &str) {
    sandbox.write("set.yaml", documents);
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--set", set, "--yes"]);
}

fn sets(sandbox: &Sandbox) -> Vec<String> {
    let listed = sandbox.embedded(0, &["set", "list", "-o", "json"]).json();
    let sets = listed["sets"].as_array().unwrap().iter();
    sets.map(|set| set["name"].as_str().unwrap().to_owned()).collect()
}

fn notes(run: &Run) -> Vec<&str> {
    run.stderr.lines().filter_map(|line| line.strip_prefix("note: ")).collect()
}

#[test]
fn a_destroyed_set_leaves_the_list_and_its_name_to_others() {
    let sandbox = Sandbox::new();
    applied(&sandbox, &(room("x") + &secret("x", "{A: b}")), "old");
    applied(&sandbox, &(room("a") + &secret("s", "{A: b}")), "new");
    // What is left of a set keeps it on the list.
    sandbox.write("part.yaml", &room("x"));
    sandbox.embedded(0, &["destroy", "-f", "part.yaml", "--set", "old", "--yes"]);
    assert_eq!(sets(&sandbox), ["new", "old"]);
    let refused = sandbox.embedded(6, &["set", "rename", "new", "old", "--yes"]);
    assert!(refused.stderr.contains("the set `old` already exists"), "{}", refused.stderr);
    sandbox.embedded(0, &["destroy", "--set", "old", "--yes", "--project-id", "default"]);
    assert_eq!(sets(&sandbox), ["new"]);
    let again = ["destroy", "--set", "old", "--yes", "--project-id", "default"];
    let again = sandbox.embedded(0, &again);
    assert!(again.stdout.starts_with("Nothing to destroy: "), "{}", again.stdout);
    sandbox.embedded(0, &["set", "rename", "new", "old", "--yes"]);
    assert_eq!(sets(&sandbox), ["old"]);
    // The fingerprints went along, so no secret is sent once more.
    let planned = sandbox.embedded(0, &["plan", "-f", "set.yaml", "--set", "old"]);
    assert!(planned.stdout.starts_with("Nothing to change"), "{}", planned.stdout);
    sandbox.embedded(0, &["set", "move", "Room/a", "--set", "old", "--to", "new", "--yes"]);
    assert_eq!(sets(&sandbox), ["new", "old"]);
    // A set that owns something again is on the list again.
    sandbox.embedded(0, &["destroy", "--set", "new", "--yes", "--project-id", "default"]);
    assert_eq!(sets(&sandbox), ["old"]);
    applied(&sandbox, &room("again"), "new");
    assert_eq!(sets(&sandbox), ["new", "old"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_was_left_on_the_list_goes_with_the_next_destroy() {
    let world = World::start().await;
    let projects = world.server.read("/projects").await;
    drop(projects);
    let proxy = Hostile::in_front_of(&world.server).start().await;
    let sandbox = Sandbox::new();
    let run = async |arguments: &[&str]| {
        let arguments = [arguments, &["--project-id", "default"]].concat();
        plans::run(&sandbox, &world.server, &proxy, &arguments).await
    };
    let reader = world.client.reader();
    let (name, id) = meshagent::apply::survey::find_project(&reader, "default").await.unwrap();
    let mut stored = inventory::load(&reader, "gone", &name, &id).await.unwrap();
    inventory::save(&world.client, "gone", &id, &mut stored, BTreeMap::new()).await.unwrap();
    let listed = run(&["set", "list", "-o", "json"]).await.json();
    assert_eq!(listed["sets"][0]["name"], "gone");
    let destroyed = run(&["destroy", "--set", "gone", "--yes"]).await;
    assert_eq!(destroyed.code, 0, "{}", destroyed.stderr);
    let listed = run(&["set", "list", "-o", "json"]).await.json();
    assert_eq!(listed["sets"], json!([]));
}

#[test]
fn the_question_says_what_happens() {
    let sandbox = Sandbox::new();
    applied(&sandbox, &(room("a") + &room("b")), "old");
    let asked = |arguments: &[&str], question: &str| {
        let arguments = [arguments, &["--embedded", "--project-id", "default"]].concat();
        let mut terminal = Terminal::start(sandbox.command(&arguments));
        terminal.reply("? [y/N] ", "n\n");
        let (code, shown) = terminal.end();
        assert_eq!(code, Some(1), "{shown}");
        assert!(shown.lines().any(|line| line.starts_with(question)), "{question}\n{shown}");
    };
    let place = "of default on the embedded platform";
    asked(&["destroy", "--set", "old"], &format!("Destroy 2 objects {place}? [y/N] "));
    sandbox.write("part.yaml", &room("b"));
    let part = ["destroy", "-f", "part.yaml", "--set", "old"];
    asked(&part, &format!("Destroy 1 object {place}? [y/N] "));
    let moved = ["set", "move", "Room/*", "--set", "old", "--to", "new"];
    asked(&moved, &format!("Move 2 objects {place} to the set `new`? [y/N] "));
    let renamed = ["set", "rename", "old", "new"];
    asked(&renamed, &format!("Move 2 objects {place} to the set `new`? [y/N] "));
    // What nobody deletes is not destroyed.
    let orphan = room("c") + "lifecycle: {delete: orphan}\n";
    applied(&sandbox, &orphan, "third");
    asked(&["destroy", "--set", "third"], &format!("Release 1 object {place}? [y/N] "));
}

/// A set that was about to create so many rooms and webhooks, of which nothing is there.
fn unfinished(rooms: usize) -> State {
    let claim = Entry::default();
    let key = |kind: KindName, name: String| Key::new(kind, "p", None, name);
    let rooms = (0..rooms).map(|number| key(KindName::Room, format!("r{number:03}")));
    let hooks = (0..3).map(|number| key(KindName::Webhook, format!("h{number}")));
    let entries = rooms.chain(hooks).map(|key| (key, claim.clone())).collect();
    let inventory = Inventory { entries, ..Inventory::new(Fingerprints::new("salt")) };
    State {
        projects: BTreeMap::from([("p".to_owned(), ProjectState { id: Some("id".to_owned()) })]),
        inventories: BTreeMap::from([("p".to_owned(), inventory)]),
        ..State::default()
    }
}

fn decided(state: &State) -> Plan {
    let policy = Policy { prune: Prune::All, ..Policy::standard("s") };
    plan(&BTreeMap::new(), state, &policy).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

#[test]
fn what_a_set_forgets_is_summed_up() {
    let plan = decided(&unfinished(900));
    assert_eq!(plan.operations.len(), 903);
    assert!(plan.operations.iter().all(|operation| operation.action() == Action::Release));
    let plain = |text: String| anstream::adapter::strip_str(&text).to_string();
    let shown = plain(text::render(&plan));
    assert!(shown.lines().count() < 15, "{shown}");
    for expected in [
        "release Room/r004 ",
        "○ … and 895 more Rooms  an earlier run was to create it, but it does not exist",
        "--verbose",
        "Webhook/h2",
        "903 to",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(!shown.contains("Room/r005"), "{shown}");
    let whole = plain(text::render_in(&plan, Detail { suggests: false, is_whole: true }));
    assert_eq!(whole.matches("release Room/").count(), 900);
    let comment = markdown::render(&plan, false);
    assert!(comment.contains("**release** … and 895 more Rooms"), "{comment}");
    assert!(comment.lines().count() < 20, "{comment}");
    // One more line would say no more than the name.
    let shown = plain(text::render(&decided(&unfinished(6))));
    assert_eq!(shown.matches("release Room/").count(), 6, "{shown}");
}

#[test]
fn notes_that_say_the_same_are_summed_up() {
    let sandbox = Sandbox::with_platform();
    let rooms = |count: usize| -> String {
        (0..count)
            .map(|number| from(&format!("old{number}"), &room(&format!("r{number}"))))
            .collect()
    };
    sandbox.write("set.yaml", &rooms(30));
    let planned = sandbox.embedded(0, &["plan", "-f", "set.yaml"]);
    let told = notes(&planned);
    assert_eq!(told.len(), 6, "{}", planned.stderr);
    assert_eq!(told[5], "and 25 more like this one; --verbose shows them all");
    let whole = sandbox.embedded(0, &["plan", "-f", "set.yaml", "--verbose"]);
    assert_eq!(notes(&whole).len(), 30, "{}", whole.stderr);
    // Programs get them all.
    let json = sandbox.embedded(0, &["plan", "-f", "set.yaml", "-o", "json"]).json();
    assert_eq!(json["notes"].as_array().unwrap().len(), 30);
    // Problems are counted beyond a hundred, and told with the same word.
    let broken: String = (0..120).map(|number| room(&format!("Bad_{number}"))).collect();
    sandbox.write("set.yaml", &broken);
    let validate = ["validate", "-f", "set.yaml", "--project-id", "p"];
    let told = sandbox.run(&validate).stderr;
    assert!(told.contains("and 20 more problems; --verbose shows them all"), "{told}");
    let told = sandbox.run(&[&validate[..], &["--verbose"]].concat()).stderr;
    assert!(told.contains("Bad_119") && !told.contains("more problems"), "{told}");
}

#[test]
fn whoever_moves_what_another_set_owns_is_told_the_command() {
    let sandbox = Sandbox::new();
    applied(&sandbox, &(room("a") + &room("b")), "first");
    applied(&sandbox, &room("c"), "second");
    let moved = |arguments: &[&str]| {
        let all = [&["set", "move"], arguments, &["--project-id", "default", "--yes"]].concat();
        sandbox.embedded(2, &all).stderr
    };
    let told = moved(&["Room/a", "--to", "third"]);
    let command =
        "meshagent set move Room/a --set first --to third --project-id default --embedded";
    assert!(
        told.contains(&format!("hint: the set `first` owns Room/a; move it with `{command}`\n")),
        "{told}"
    );
    let told = moved(&["Room/c", "--set", "first", "--to", "third"]);
    assert!(
        told.contains(
            "the set `second` owns Room/c; move it with `meshagent set move Room/c --set"
        ),
        "{told}"
    );
    let told = moved(&["Room/?", "--to", "third"]);
    assert!(told.contains("other sets own what matches: `first` has Room/a, `second`"), "{told}");
    let told = moved(&["Room/nowhere", "--to", "third"]);
    assert!(told.contains("hint: patterns are Kind/name"), "{told}");
    // The hint works as it is.
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let done = sandbox.run(&[&words[..], &["--yes"]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    // A pattern is one word of a shell.
    let told = moved(&["Room/b*", "--to", "third"]);
    assert!(told.contains("set move 'Room/b*' --set first"), "{told}");
}

#[test]
fn a_former_name_that_is_wrong_is_hinted_at() {
    let sandbox = Sandbox::new();
    let hook = |name: &str| {
        format!(
            "---\nversion: v1\nkind: Webhook\nmetadata: {{name: {name}}}\nurl: https://example.com/\nevents: [room.started]\n"
        )
    };
    let rest = room("z") + &hook("z");
    applied(&sandbox, &(room("lobby") + &hook("h1") + &hook("h2") + &rest), "default");
    let hints = |documents: String| {
        sandbox.write("set.yaml", &(documents + &rest));
        let planned = sandbox.embedded(0, &["plan", "-f", "set.yaml", "--allow-deletes", "9"]);
        let told = notes(&planned).into_iter().filter(|note| note.contains("`moved_from` must"));
        told.map(str::to_owned).collect::<Vec<_>>()
    };
    let hooks = hook("h1") + &hook("h2");
    assert_eq!(
        hints(from("loby", &room("hall")) + &hooks),
        [
            "Room/hall is created and Room/lobby is deleted; if that is one object, `moved_from` must name `lobby` (set.yaml:5:13)"
        ]
    );
    assert_eq!(
        hints(room("lobby") + &from("[h3, h4]", &hook("new"))),
        [
            "Webhook/new is created and Webhook/h1, Webhook/h2 are deleted; if it is one of them, `moved_from` must name that one (set.yaml:11:13)"
        ]
    );
    // Nothing of its kind is deleted, the name is right, or nothing was said.
    for documents in [
        from("loby", &room("hall")) + &room("lobby") + &hooks,
        from("lobby", &room("hall")) + &hooks,
        room("hall") + &hooks,
        from("loby", &room("hall")) + &room("lobby"),
    ] {
        assert_eq!(hints(documents.clone()), Vec::<String>::new(), "{documents}");
    }
}

#[test]
fn a_set_of_no_repository_that_moves_is_told_what_it_leaves() {
    let sandbox = Sandbox::new();
    sandbox.embedded(0, &["project", "create", "p1"]);
    applied(&sandbox, &(room("a") + &room("b")), "default");
    let there = (room("a") + &room("b")).replace("version: v1\n", "version: v1\nproject: p1\n");
    sandbox.write("set.yaml", &there);
    let planned = sandbox.embedded(0, &["plan", "-f", "set.yaml"]);
    let told = notes(&planned).join("\n");
    for expected in [
        "owns 2 objects in project `default`, which no document names; they stay. The recorded file, set.yaml, is not in a Git repository",
        "If the set moved from there, delete what it left with `meshagent destroy --set default --project-id default --embedded`",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert!(!planned.stdout.contains("delete"), "{}", planned.stdout);
    // Another file may be another set's.
    sandbox.write("other.yaml", &there);
    let planned = sandbox.embedded(0, &["plan", "-f", "other.yaml"]);
    let told = notes(&planned).join("\n");
    let others = "sets called `default` own objects in projects that no document names, and keep them: 2 objects in project `default`";
    assert!(told.contains(others) && !told.contains("destroy"), "{told}");
}

#[test]
fn projects_that_were_not_asked_are_counted() {
    let note = |left_behind: usize, unknown_homes: usize| {
        let mut state = unfinished(0);
        state.unknown_homes = unknown_homes;
        let left = LeftBehind { objects: 1, perhaps_from: None };
        state.left_behind = (0..left_behind).map(|it| (format!("q{it}"), left.clone())).collect();
        decided(&state).notes
    };
    assert_eq!(note(0, 0), Vec::<String>::new());
    let told = note(1, 57).pop().unwrap();
    assert!(
        told.contains("is new here, and 57 more projects were not asked or did not answer, so"),
        "{told}"
    );
    assert!(told.contains("`meshagent destroy --set s --project-id PROJECT` deletes"), "{told}");
    assert!(note(0, 1)[0].contains("1 more project was not asked"), "{:?}", note(0, 1));
}

#[test]
fn variables_that_several_secrets_bring_are_told() {
    let sandbox = Sandbox::new();
    let service = |name: &str, fields: Value| {
        let document = json!({"version": "v1", "kind": "Service", "metadata": {"name": name}, "container": fields});
        format!("---\n{document}\n")
    };
    applied(&sandbox, &secret("theirs", "{TOKEN: x, HOST: y}"), "other");
    let secrets = secret("one", "{TOKEN: a, ONLY: b}") + &secret("two", "{PORT: c}");
    let notes_of = |fields: Value| {
        sandbox.write("set.yaml", &(secrets.clone() + &service("bot", fields)));
        let planned = sandbox.embedded(0, &["plan", "-f", "set.yaml"]);
        assert!(!planned.stderr.contains("hunter"), "{}", planned.stderr);
        notes(&planned).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let told = notes_of(json!({"image": "x", "secrets": ["one", "theirs", "two"], "environment": [
        {"name": "PORT", "value": "hunter"}, {"name": "FREE", "value": "1"},
    ]}));
    assert_eq!(told.len(), 1, "{told:?}");
    let expected = "Service/bot gets variables from several places, and the platform does not say which one wins: `PORT` from Secret/two, `container.environment`, `TOKEN` from Secret/one, Secret/theirs (set.yaml:";
    assert!(told[0].starts_with(expected), "{told:?}");
    assert_eq!(notes_of(json!({"image": "x", "secrets": ["one", "two"]})), Vec::<String>::new());
    let told = notes_of(
        json!({"image": "x", "secrets": ["two"], "environment": [{"name": "PORT", "value": "1"}]}),
    );
    assert_eq!(told.len(), 1, "{told:?}");
}
