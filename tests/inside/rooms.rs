//! Rooms that are entered, renamed, replaced and deleted, with what is inside.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::{ALL, Set, counting};
use crate::cli::Run;

#[test]
fn a_room_that_is_another_one_has_nothing_of_what_was_in_the_former_one() {
    let set = Set::new(ALL);
    set.apply(0, &[]);
    set.0.embedded(0, &["rooms", "delete", "--name", "lobby"]);
    set.0.embedded(0, &["rooms", "create", "--name", "lobby"]);
    let run = set.run(6, &["plan"]);
    assert!(run.stderr.contains("Room/lobby"), "{}", run.stderr);
    let planned = set.plan(&["--adopt", "Room/lobby"]);
    let created = planned.iter().filter(|it| it.starts_with("create"));
    assert_eq!(created.count(), 4, "{planned:#?}");
    set.apply(0, &["--adopt", "Room/lobby"]);
    assert_eq!(set.text("prompts/greeting.md"), "Hello\n");
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
}

#[test]
fn what_is_inside_of_a_room_goes_along_when_the_room_is_renamed_or_deleted() {
    let set = Set::new(ALL);
    set.apply(0, &[]);
    set.edit("metadata: {name: lobby}", "metadata: {name: hall}\nlifecycle: {moved_from: lobby}");
    set.edit("room: lobby", "room: hall");
    assert_eq!(set.plan(&[]), ["rename Room/hall metadata.name"]);
    set.apply(0, &[]);
    for more in [&[][..], &["--enter-rooms"]] {
        assert_eq!(set.plan(more), [""; 0], "{more:?}");
    }
    // Nobody enters a room in order to delete what goes with it.
    let (counter, url) = counting();
    set.0.write("set/set.yaml", "");
    let mut command = set.0.command(&[
        "apply",
        "--yes",
        "--embedded",
        "-f",
        "set",
        "--allow-deletes",
        "9",
        "--allow-empty",
    ]);
    let run = Run::of(command.env("MESHAGENT_ROOM_URL", url).output().unwrap());
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert_eq!(counter.load(Ordering::SeqCst), 0);
    assert_eq!(set.0.embedded(0, &["rooms", "list", "--output", "json"]).json(), json!([]));
}

#[test]
fn a_change_by_hand_is_seen_in_a_room_that_is_renamed() {
    let set = Set::new(ALL);
    set.apply(0, &[]);
    set.put("prompts/greeting.md", "by hand\n");
    set.edit("metadata: {name: lobby}", "metadata: {name: hall}\nlifecycle: {moved_from: lobby}");
    set.edit("room: lobby", "room: hall");
    set.edit("Hello", "Welcome");
    set.apply(4, &[]);
    let text = || {
        set.0
            .embedded(
                0,
                &["room", "storage", "show", "room://prompts/greeting.md", "--room", "hall"],
            )
            .stdout
    };
    assert_eq!(text(), "by hand\n");
    set.apply(0, &["--enter-rooms"]);
    assert_eq!(text(), "Welcome\n");
}

#[test]
fn names_of_rooms_change_hands_and_files_stay_in_their_rooms() {
    let room = |name: &str, from: &str| {
        let lifecycle = match from {
            "" => String::new(),
            from => format!("lifecycle: {{moved_from: {from}}}\n"),
        };
        format!("---\nversion: v1\nkind: Room\nmetadata: {{name: {name}}}\n{lifecycle}")
    };
    let file = |name: &str, room: &str, text: &str| {
        format!(
            "---\nversion: v1\nkind: RoomFile\nmetadata: {{name: {name}}}\nroom: {room}\ntext: {text}\n"
        )
    };
    let set = Set::new(
        &(room("one", "") + &room("two", "") + &file("x", "one", "a") + &file("x", "two", "b")),
    );
    set.apply(0, &[]);
    let text = |room: &str, name: &str| {
        set.0
            .embedded(0, &["room", "storage", "show", &format!("room://{name}"), "--room", room])
            .stdout
    };
    // One is the old room now, and a new one takes its name; files are changed in both.
    let moved = room("old", "one")
        + &room("one", "")
        + &room("two", "")
        + &file("x", "old", "a2")
        + &file("y", "one", "new")
        + &file("x", "two", "b");
    set.0.write("set/set.yaml", &moved);
    set.apply(0, &["--enter-rooms"]);
    assert_eq!([text("old", "x"), text("one", "y"), text("two", "x")], ["a2", "new", "b"]);
    set.room_has("old", &["x"]);
    set.room_has("one", &["y"]);
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
    // Two swap their names.
    let swapped = room("two", "old")
        + &room("old", "two")
        + &room("one", "")
        + &file("x", "two", "a3")
        + &file("x", "old", "b3")
        + &file("y", "one", "new");
    set.0.write("set/set.yaml", &swapped);
    set.apply(0, &["--enter-rooms"]);
    assert_eq!([text("two", "x"), text("old", "x")], ["a3", "b3"]);
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
}

#[test]
fn what_another_set_has_in_a_room_is_respected() {
    let set = Set::new("version: v1\nkind: Room\nmetadata: {name: lobby}\n");
    set.apply(0, &["--set", "a"]);
    set.0.write(
        "set/set.yaml",
        "version: v1\nkind: RoomFile\nmetadata: {name: f}\nroom: lobby\ntext: b\n",
    );
    set.apply(0, &["--set", "b"]);
    // No other set takes it, and the room stays.
    let run = set.run(6, &["plan", "--set", "c"]);
    assert!(run.stderr.contains("is owned by the set `b`"), "{}", run.stderr);
    let run = set.0.embedded(6, &["destroy", "--yes", "--set", "a"]);
    assert!(
        run.stderr.contains("RoomFile/f@lobby goes with it, which the set `b` owns"),
        "{}",
        run.stderr
    );
    assert_eq!(set.text("f"), "b");
    set.0.embedded(0, &["destroy", "--yes", "--set", "b"]);
    set.0.embedded(0, &["destroy", "--yes", "--set", "a"]);
}

#[test]
fn a_plan_sends_nothing_to_a_room() {
    let set = Set::new(ALL);
    set.apply(0, &[]);
    set.edit("Hello", "Welcome");
    let (counter, url) = counting();
    let run = |arguments: &[&str]| {
        let arguments = [arguments, &["-f", "set", "--embedded"]].concat();
        Run::of(set.0.command(&arguments).env("MESHAGENT_ROOM_URL", &url).output().unwrap())
    };
    for arguments in
        [&["plan"][..], &["plan", "--out", "plan.json"], &["plan", "--drift-only"], &["diff"]]
    {
        let run = run(arguments);
        assert!([0, 3].contains(&run.code), "{arguments:?}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("4 objects are inside of rooms"), "{}", run.stderr);
    }
    assert_eq!(counter.load(Ordering::SeqCst), 0);
    let run = run(&["plan", "--enter-rooms"]);
    assert_eq!(run.code, 6, "{}{}", run.stdout, run.stderr);
    assert!(counter.load(Ordering::SeqCst) > 0);
}

#[test]
fn whatever_a_plan_is_about_it_sends_nothing_to_a_room() {
    let set = Set::new(ALL);
    set.apply(0, &[]);
    let (counter, url) = counting();
    let plans = |code: i32, more: &[&str]| {
        for command in [&["plan"][..], &["diff"]] {
            let arguments = [command, &["-f", "set", "--embedded"], more].concat();
            let run = Run::of(
                set.0.command(&arguments).env("MESHAGENT_ROOM_URL", &url).output().unwrap(),
            );
            assert_eq!(run.code, code, "{arguments:?}: {}{}", run.stdout, run.stderr);
        }
        assert_eq!(counter.load(Ordering::SeqCst), 0, "{more:?}");
    };
    // A former name that was never applied, and one that was.
    set.edit(
        "metadata: {name: logo.png}",
        "metadata: {name: l.png}\nlifecycle: {moved_from: x.png}",
    );
    plans(0, &[]);
    set.edit("moved_from: x.png", "moved_from: logo.png");
    plans(0, &[]);
    // A room that is another one by now, with something in it.
    set.0.embedded(0, &["rooms", "delete", "--name", "lobby"]);
    set.0.embedded(0, &["rooms", "create", "--name", "lobby"]);
    set.put("prompts/greeting.md", "theirs\n");
    plans(0, &["--adopt", "Room/lobby"]);
    let run = set.apply(4, &["--adopt", "Room/lobby"]);
    assert!(run.stderr.contains("which the set does not own"), "{}", run.stderr);
    assert_eq!(set.text("prompts/greeting.md"), "theirs\n");
}
