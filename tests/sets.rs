//! The sets of a project: which there are, and what moves between them.

use meshagent::apply::inventory;
use meshagent::apply::sets;
use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};
use crate::hostile::plans;
use crate::hostile::proxy::{Hostile, Moment, Running};
use crate::reconciler::World;

const ROOMS: [&str; 2] = ["lobby", "hall"];

fn room(name: &str) -> String {
    format!("version: v1\nkind: Room\nmetadata: {{name: {name}}}\n---\n")
}

fn secret() -> &'static str {
    "version: v1\nkind: Secret\nmetadata: {name: keys}\ntype: keys\ndata: {TOKEN: hunter22}\n---\n"
}

fn bot(room: &str) -> String {
    format!(
        "version: v1\nkind: Service\nmetadata: {{name: bot}}\nroom: {room}\ncontainer: {{image: a/b:c, secrets: [keys]}}\n---\n"
    )
}

fn hook() -> &'static str {
    "version: v1\nkind: Webhook\nmetadata: {name: hook}\nurl: https://example.com/x\nevents: [room.started]\n---\n"
}

/// A set `a` of two rooms, a secret, a service that uses it, and a webhook.
fn applied() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("a")).unwrap();
    std::fs::create_dir_all(sandbox.path("b")).unwrap();
    sandbox.write("a/rooms.yaml", &ROOMS.map(room).concat());
    sandbox.write("a/rest.yaml", &(secret().to_owned() + &bot("lobby") + hook()));
    sandbox.embedded(0, &["apply", "-f", "a", "--set", "a", "--yes"]);
    sandbox
}

fn listed(sandbox: &Sandbox) -> Value {
    sandbox.embedded(0, &["set", "list", "-o", "json"]).json()["sets"].clone()
}

#[track_caller]
fn tells(run: &Run, expected: &str) {
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(told.contains(expected), "{expected:?} is not in\n{told}");
}

#[test]
fn sets_are_listed_with_what_they_own_and_where_it_is_declared() {
    let sandbox = applied();
    sandbox.write("b/other.yaml", &room("other"));
    sandbox.embedded(0, &["apply", "-f", "b", "--set", "b", "--yes"]);
    assert_eq!(
        listed(&sandbox),
        json!([
            {"name": "a", "objects": 5, "declared_in": ["a/"]},
            {"name": "b", "objects": 1, "declared_in": ["b/"]},
        ])
    );
    let names = sandbox.embedded(0, &["set", "list", "-q"]);
    assert_eq!(names.stdout, "a\nb\n");
}

#[test]
fn a_set_is_split_and_both_halves_have_nothing_to_change() {
    let sandbox = applied();
    let words = ["set", "move", "*@lobby", "Secret/*", "Webhook/hook", "Room/lobby"];
    let place = ["--set", "a", "--to", "b"];
    let shown = sandbox.embedded(0, &[&words[..], &place, &["--dry-run"]].concat());
    tells(&shown, "adopt Room/lobby");
    tells(&shown, "it moves from the set `a`");
    tells(&shown, "metadata.annotations[\"meshagent.set\"]: \"a\" → \"b\"");
    assert_eq!(listed(&sandbox).as_array().unwrap().len(), 1, "a dry run wrote");
    let done = sandbox.embedded(0, &[&words[..], &place, &["--yes"]].concat());
    tells(
        &done,
        "apply their documents (last applied from a/rest.yaml, a/rooms.yaml) with --set b",
    );
    // The documents move, too, and then both sets are as they are declared.
    sandbox.write("a/rooms.yaml", &room("hall"));
    std::fs::remove_file(sandbox.path("a/rest.yaml")).unwrap();
    sandbox.write("b/all.yaml", &(room("lobby") + secret() + &bot("lobby") + hook()));
    for set in ["a", "b"] {
        let plan = sandbox.embedded(0, &["plan", "-f", set, "--set", set, "--exit-code"]);
        tells(&plan, "Nothing to change");
        sandbox.embedded(0, &["apply", "-f", set, "--set", set, "--yes"]);
    }
    assert_eq!(sandbox.embedded(0, &["rooms", "list", "-q"]).stdout.lines().count(), 2);
    // And the way back, into a set that exists.
    sandbox.embedded(0, &["set", "move", "*", "--set", "b", "--to", "a", "--yes"]);
    assert_eq!(sandbox.embedded(0, &["set", "list", "-q"]).stdout, "a\n");
}

#[test]
fn whoever_declares_what_another_set_owns_is_told_how_to_move_it() {
    let sandbox = applied();
    sandbox.write("b/hall.yaml", &room("hall"));
    let refused = sandbox.embedded(6, &["plan", "-f", "b", "--set", "b"]);
    tells(&refused, "Room/hall is owned by the set `a`");
    tells(&refused, "meshagent set move Room/hall --set a --to b");
    // The hint is followed, whatever the order of the documents.
    sandbox.embedded(0, &["set", "move", "Room/hall", "--set", "a", "--to", "b", "--yes"]);
    sandbox.embedded(0, &["plan", "-f", "b", "--set", "b", "--exit-code"]);
    let refused = sandbox.embedded(6, &["plan", "-f", "a", "--set", "a"]);
    tells(&refused, "Room/hall is owned by the set `b`");
    sandbox.write("a/rooms.yaml", &room("lobby"));
    let plan = sandbox.embedded(0, &["plan", "-f", "a", "--set", "a", "--exit-code"]);
    assert!(!plan.stdout.contains("delete"), "{}", plan.stdout);
}

#[test]
fn a_set_gets_another_name() {
    let sandbox = applied();
    sandbox.embedded(0, &["set", "rename", "a", "support", "--yes"]);
    assert_eq!(sandbox.embedded(0, &["set", "list", "-q"]).stdout, "support\n");
    sandbox.embedded(0, &["plan", "-f", "a", "--set", "support", "--exit-code"]);
    // The name is free again, and owns nothing.
    let refused = sandbox.embedded(6, &["plan", "-f", "a", "--set", "a"]);
    tells(&refused, "are owned by the set `support`");
    sandbox.write("b/other.yaml", &room("other"));
    sandbox.embedded(0, &["apply", "-f", "b", "--set", "a", "--yes"]);
    assert_eq!(sandbox.embedded(0, &["set", "list", "-q"]).stdout, "a\nsupport\n");
    let refused = sandbox.embedded(6, &["set", "rename", "support", "a", "--yes"]);
    tells(&refused, "the set `a` already exists, so nothing was written");
    tells(&refused, "meshagent set move '*' --set support --to a");
}

#[test]
fn what_cannot_be_moved_is_told_and_nothing_is_written() {
    let sandbox = applied();
    for (words, code, expected) in [
        (
            &["set", "move", "Room/nowhere", "--set", "a", "--to", "b"][..],
            2,
            "the set `a` owns nothing in project default that matches `Room/nowhere`",
        ),
        (&["set", "move", "Room/hall", "--set", "a", "--to", "a"], 2, "both sets are `a`"),
        (
            &["set", "move", "Room/hall", "--set", "a", "--to", "../b"],
            2,
            "cannot be the name of a set",
        ),
        (
            &["set", "move", "Room/hall", "--to", "b"],
            2,
            "the set `default` owns nothing in project default",
        ),
        (
            &["set", "move", "Room/hall", "--set", "a", "--to", "b"],
            2,
            "there is no terminal to ask for confirmation",
        ),
        (&["set", "rename", "nobody", "b"], 2, "there is no set `nobody`"),
        (&["set", "move", "--set", "a", "--to", "b"], 2, "KIND/NAME"),
    ] {
        let run = sandbox.embedded(code, words);
        tells(&run, expected);
    }
    assert_eq!(listed(&sandbox)[0]["objects"], 5);
    sandbox.embedded(0, &["plan", "-f", "a", "--set", "a", "--exit-code"]);
}

/// Whichever write of a move is the last one before the program is killed, no object is lost,
/// no set deletes what the other one has, and the same command ends the move.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_is_killed_anywhere_goes_on_from_there() {
    let mut kills = 0;
    for write in 0..40 {
        let world = World::start().await;
        let sandbox = Sandbox::new();
        sandbox.write("set.yaml", &(room("lobby") + secret() + &bot("lobby")));
        let quiet = Hostile::in_front_of(&world.server).start().await;
        let run = async |words: &[&str]| plans::run(&sandbox, &world.server, &quiet, words).await;
        let applied = run(&["apply", "-f", "set.yaml", "--set", "a", "--yes"]).await;
        assert_eq!(applied.code, 0, "{}", applied.stderr);
        let moment = if write % 2 == 0 { Moment::Before } else { Moment::After };
        let proxy =
            Hostile::in_front_of(&world.server).pausing(1 + write / 2, moment).start().await;
        let words = ["set", "move", "*", "--set", "a", "--to", "b", "--yes"];
        let is_dead = killed(&sandbox, &world, &proxy, &words).await;
        kills += usize::from(is_dead);
        // What the second set knows, the first one would not delete any more.
        let reader = world.client.reader();
        let project = &world.server.project;
        let load = async |set| inventory::load(&reader, set, "default", project).await.unwrap();
        let (giver, taker) = (load("a").await.inventory, load("b").await.inventory);
        for (key, entry) in &giver.entries {
            assert!(
                entry.moving_to.is_some() || !taker.entries.contains_key(key),
                "{write}: {key}"
            );
        }
        let again = run(&words).await;
        let is_done = again.stderr.contains("nothing to move: ");
        assert!(again.code == 0 || is_done, "{write}: {}", again.stderr);
        let plan = run(&["plan", "-f", "set.yaml", "--set", "b", "--exit-code"]).await;
        assert_eq!(plan.code, 0, "{write}: {}{}", plan.stdout, plan.stderr);
        let left = load("a").await;
        assert!(left.inventory.entries.is_empty(), "{write}");
        assert!(sets::listed(&reader, project).await.unwrap().names.contains("b"));
        if !is_dead {
            break;
        }
    }
    assert!(kills > 10, "only {kills} runs were killed");
}

/// Two moves of one object at once would leave it with two sets, so the second one is refused
/// until the first has ended.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_to_one_set_goes_to_no_other() {
    let world = World::start().await;
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", &room("lobby"));
    let quiet = Hostile::in_front_of(&world.server).start().await;
    let run = async |words: &[&str]| plans::run(&sandbox, &world.server, &quiet, words).await;
    assert_eq!(run(&["apply", "-f", "set.yaml", "--set", "a", "--yes"]).await.code, 0);
    let to = |set: &'static str| ["set", "move", "*", "--set", "a", "--to", set, "--yes"];
    // The move to `b` has begun once the first set holds on to nothing any more.
    let is_begun = async || {
        let reader = world.client.reader();
        let project = &world.server.project;
        let giver = inventory::load(&reader, "a", "default", project).await.unwrap().inventory;
        giver.entries.values().any(|entry| entry.moving_to.as_deref() == Some("b"))
    };
    for write in 1.. {
        let proxy =
            Hostile::in_front_of(&world.server).pausing(write, Moment::Before).start().await;
        assert!(killed(&sandbox, &world, &proxy, &to("b")).await, "it never begins");
        if is_begun().await {
            break;
        }
    }
    let other = run(&to("c")).await;
    assert_eq!(other.code, 6, "{}{}", other.stdout, other.stderr);
    assert!(other.stderr.contains("Room/lobby is being moved to the set `b`"), "{}", other.stderr);
    let ends = "finish the move with `meshagent set move Room/lobby --set a --to b`; then move it on from there";
    assert!(other.stderr.contains(ends), "{}", other.stderr);
    let first = run(&["set", "move", "Room/lobby", "--set", "a", "--to", "b", "--yes"]).await;
    assert_eq!(first.code, 0, "{}", first.stderr);
    let on = run(&["set", "move", "*", "--set", "b", "--to", "c", "--yes"]).await;
    assert_eq!(on.code, 0, "{}", on.stderr);
    assert_eq!(run(&["plan", "-f", "set.yaml", "--set", "c", "--exit-code"]).await.code, 0);
}

/// A rename that is killed once everything moved, and before the first set is gone, is ended by
/// the same command.
#[tokio::test(flavor = "multi_thread")]
async fn a_rename_that_is_killed_at_its_end_is_ended_by_the_same_command() {
    is_ended_where_it_was_killed(&["set", "rename", "a", "b", "--yes"], true).await;
}

/// A move that is killed before the first set, which owns nothing any more, is off the list.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_of_everything_that_is_killed_at_its_end_is_ended_by_the_same_command() {
    let words = ["set", "move", "*", "--set", "a", "--to", "b", "--yes", "--break-lock"];
    is_ended_where_it_was_killed(&words, false).await;
}

/// Kills the command at the first write before which the set `a` owns nothing any more, with its
/// inventory still there or not, and runs it again.
async fn is_ended_where_it_was_killed(words: &[&str], has_inventory: bool) {
    for write in 1.. {
        let world = World::start().await;
        let sandbox = Sandbox::new();
        sandbox.write("set.yaml", &room("lobby"));
        let quiet = Hostile::in_front_of(&world.server).start().await;
        let run = async |words: &[&str]| plans::run(&sandbox, &world.server, &quiet, words).await;
        assert_eq!(run(&["apply", "-f", "set.yaml", "--set", "a", "--yes"]).await.code, 0);
        let proxy =
            Hostile::in_front_of(&world.server).pausing(write, Moment::Before).start().await;
        assert!(killed(&sandbox, &world, &proxy, words).await, "it is never left so");
        let reader = world.client.reader();
        let project = &world.server.project;
        let giver = inventory::load(&reader, "a", "default", project).await.unwrap();
        if !giver.inventory.entries.is_empty() || (has_inventory && !giver.exists()) {
            continue;
        }
        let again = run(words).await;
        assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
        let listed = sets::listed(&reader, project).await.unwrap().names;
        assert!(listed.contains("b") && !listed.contains("a"), "{listed:?}");
        break;
    }
}

/// Runs the program and kills it when the proxy pauses; whether it did.
async fn killed(sandbox: &Sandbox, world: &World, proxy: &Running, words: &[&str]) -> bool {
    let place = ["--project-id", "default", "--api-url", &proxy.url];
    let mut command = tokio::process::Command::from(sandbox.command(&[words, &place[..]].concat()));
    let mut child = command.env("MESHAGENT_API_KEY", &world.server.owner).spawn().unwrap();
    tokio::select! {
        ended = child.wait() => { ended.unwrap(); false }
        () = proxy.paused() => {
            child.kill().await.unwrap();
            proxy.resume(&world.server.url);
            true
        }
    }
}

/// A set that a kill left on the list with nothing in it is told of as such, and whatever was
/// begun with it ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_a_kill_left_on_the_list_alone_is_told_of_and_ended() {
    let world = World::start().await;
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", &room("lobby"));
    let quiet = Hostile::in_front_of(&world.server).start().await;
    let run = async |words: &[&str]| plans::run(&sandbox, &world.server, &quiet, words).await;
    let reader = world.client.reader();
    let project = &world.server.project;
    let is_left = async || {
        let stored = inventory::load(&reader, "a", "default", project).await.unwrap();
        let listed = sets::listed(&reader, project).await.unwrap().names;
        listed.contains("a") && !stored.exists()
    };
    let apply = ["apply", "-f", "set.yaml", "--set", "a", "--yes", "--break-lock"];
    for way_out in [
        &["set", "rename", "a", "b", "--yes", "--break-lock"][..],
        &["set", "move", "*", "--set", "a", "--to", "b", "--yes", "--break-lock"],
        &["destroy", "--set", "a", "--yes", "--break-lock"],
    ] {
        for write in 1.. {
            let proxy =
                Hostile::in_front_of(&world.server).pausing(write, Moment::Before).start().await;
            assert!(killed(&sandbox, &world, &proxy, &apply).await, "it is never left so");
            if is_left().await {
                break;
            }
        }
        let list = run(&["set", "list"]).await;
        let told = "the set `a` owns nothing: a run of it was cut off, or is still running";
        assert!(list.stderr.contains(told), "{}", list.stderr);
        let hint = "`meshagent destroy --set a --project-id default --api-url ";
        assert!(list.stderr.contains(hint), "{}", list.stderr);
        let ended = run(way_out).await;
        assert_eq!(ended.code, 0, "{way_out:?}: {}", ended.stderr);
        let told = "the set `a` owns nothing in project `default` and was removed from the project's list of sets";
        assert!(ended.stderr.contains(told), "{way_out:?}: {}", ended.stderr);
        assert!(sets::listed(&reader, project).await.unwrap().names.is_empty(), "{way_out:?}");
    }
    assert_eq!(run(&apply).await.code, 0);
    assert!(!run(&["set", "list"]).await.stderr.contains("owns nothing"));
}

/// What bears the mark of a set and is not in its inventory, since that is an older one, is told
/// of with the way back.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_inventory_lost_is_told_of_with_the_way_back() {
    let world = World::start().await;
    let sandbox = Sandbox::new();
    let quiet = Hostile::in_front_of(&world.server).start().await;
    let run = async |words: &[&str]| plans::run(&sandbox, &world.server, &quiet, words).await;
    let apply = ["apply", "-f", "set.yaml", "--set", "a", "--yes"];
    let reader = world.client.reader();
    let project = &world.server.project;
    let stored = async || inventory::load(&reader, "a", "default", project).await.unwrap();
    sandbox.write("set.yaml", &ROOMS.map(room).concat());
    assert_eq!(run(&apply).await.code, 0);
    let all = stored().await.inventory.entries;
    let restore = async |names: &[&str]| {
        let mut stored = stored().await;
        let entries = all.iter().filter(|(key, _)| names.contains(&key.name.as_str()));
        let entries = entries.map(|(key, entry)| (key.clone(), entry.clone())).collect();
        inventory::save(&world.client, "a", project, &mut stored, entries).await.unwrap();
    };
    restore(&["lobby"]).await;
    let note = "note: Room/hall names the set `a` as its owner, but the set's inventory does not know it; it is left alone; once its document is applied with --set a";
    sandbox.write("less.yaml", &room("lobby"));
    let plan = run(&["plan", "-f", "less.yaml", "--set", "a"]).await;
    assert!(plan.stderr.contains(note), "{}", plan.stderr);
    let destroyed = run(&["destroy", "--set", "a", "--yes"]).await;
    assert_eq!(destroyed.code, 0, "{}", destroyed.stderr);
    assert!(destroyed.stderr.contains(note), "{}", destroyed.stderr);
    // The way back, to the letter.
    let export = ["export", "--set", "a", "--dir", "written"];
    assert_eq!(run(&export).await.code, 0);
    let again = run(&["apply", "-f", "written", "--set", "a", "--yes"]).await;
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(stored().await.inventory.entries.keys().any(|key| key.name == "hall"));
    // What refers to what is deleted is told of in the same way.
    sandbox.write("set.yaml", &(room("lobby") + secret() + &bot("lobby")));
    assert_eq!(run(&apply).await.code, 0);
    let mut less = stored().await;
    let entries = less.inventory.entries.clone();
    let entries = entries.into_iter().filter(|(key, _)| key.name != "bot").collect();
    inventory::save(&world.client, "a", project, &mut less, entries).await.unwrap();
    let refused = run(&["destroy", "--set", "a", "--yes"]).await;
    assert_eq!(refused.code, 6, "{}", refused.stderr);
    let told = "Service/bot@lobby, which refers to it, names the set `a` as its owner, but the set's inventory does not know it";
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
    let hint = "hint: once its document is applied with --set a, the set knows it again";
    assert!(refused.stderr.contains(hint), "{}", refused.stderr);
}
