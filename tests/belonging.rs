//! What belongs to which set, and what belongs together: a set in several projects, what a
//! template brought with its service, documents that lie elsewhere by now, and hints that are
//! followed to the letter.

use std::process::Command;

use crate::cli::{Run, Sandbox};

fn document(kind: &str, name: &str, rest: &str) -> String {
    format!("---\nversion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n{rest}")
}

fn room(name: &str) -> String {
    document("Room", name, "")
}

fn from(former: &str, document: &str) -> String {
    format!("{document}lifecycle: {{moved_from: {former}}}\n")
}

#[track_caller]
fn tells(run: &Run, expected: &str) {
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(told.contains(expected), "{expected:?} is not in\n{told}");
}

#[track_caller]
fn keeps_quiet(run: &Run, unexpected: &str) {
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(!told.contains(unexpected), "{unexpected:?} is in\n{told}");
}

#[track_caller]
fn apply(sandbox: &Sandbox, set: &str, text: &str) -> Run {
    sandbox.write("set.yaml", text);
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--set", set, "--prune", "all", "--yes"])
}

fn rooms(sandbox: &Sandbox, project: &str) -> String {
    sandbox.embedded(0, &["rooms", "list", "-q", "--project-id", project]).stdout
}

/// The set `sales` with a room in each of these projects.
fn in_projects(projects: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let own = projects.iter().filter(|project| **project != "default");
    let own: String = own.map(|project| document("Project", project, "")).collect();
    if !own.is_empty() {
        apply(&sandbox, "projects", &own);
    }
    let rooms = projects.iter().map(|project| {
        document("Room", &format!("of-{project}"), &format!("project: {project}\n"))
    });
    apply(&sandbox, "sales", &rooms.collect::<String>());
    sandbox
}

#[test]
fn a_set_is_destroyed_in_the_one_project_that_is_named() {
    let sandbox = in_projects(&["one", "two"]);
    let destroy = ["destroy", "--set", "sales", "--project-id", "one", "--yes"];
    let run = sandbox.embedded(0, &destroy);
    tells(&run, "also owns 1 object in project `two`, which stays");
    assert_eq!(
        (rooms(&sandbox, "one"), rooms(&sandbox, "two")),
        (String::new(), "of-two\n".into())
    );
    // The command that is named does what it says.
    sandbox.embedded(0, &["destroy", "--set", "sales", "--project-id", "two", "--yes"]);
    assert_eq!(rooms(&sandbox, "two"), "");
}

#[test]
fn documents_of_other_projects_are_left_alone_where_one_is_named() {
    let sandbox = in_projects(&["default", "two"]);
    let destroy = ["destroy", "-f", "set.yaml", "--set", "sales", "--project-id", "two", "--yes"];
    let run = sandbox.embedded(0, &destroy);
    tells(&run, "also owns 1 object in project `default`, which stays");
    assert_eq!(rooms(&sandbox, "default"), "of-default\n");
    assert_eq!(rooms(&sandbox, "two"), "");
}

#[test]
fn a_variable_that_is_ignored_does_not_widen_what_is_destroyed() {
    let sandbox = in_projects(&["acme", "two"]);
    let mut command = sandbox.command(&["destroy", "--set", "sales", "--embedded", "--yes"]);
    let run = Run::of(command.env("MESHAGENT_PROJECT_ID", "acme").output().unwrap());
    assert_eq!(run.code, 2, "{}", run.stderr);
    tells(&run, "MESHAGENT_PROJECT_ID is ignored with --embedded");
    tells(&run, "meshagent destroy --set sales --project-id acme");
    assert_eq!(rooms(&sandbox, "acme"), "of-acme\n");
    assert_eq!(rooms(&sandbox, "two"), "of-two\n");
}

#[test]
fn a_set_is_destroyed_in_the_project_that_is_expected() {
    let sandbox = in_projects(&["one"]);
    apply(&sandbox, "more", &document("Project", "two", ""));
    let destroy = ["destroy", "--set", "sales", "--yes", "--expect-project"];
    tells(
        &sandbox.embedded(6, &[&destroy[..], &["two"]].concat()),
        "but --expect-project is `two`",
    );
    sandbox.embedded(0, &[&destroy[..], &["one"]].concat());
    assert_eq!(rooms(&sandbox, "one"), "");
}

/// A room with a placed template that brings a mailbox, a route and a task.
fn placed((room_name, room_rest): (&str, &str), (service, rest): (&str, &str)) -> String {
    let template = "variables:\n- {name: address, type: email}\n- {name: domain, type: route, annotations: {meshagent.route.port: \"5002\"}}\nagents:\n- name: writer\n  annotations:\n    meshagent.agent.schedule: '{\"schedule\": \"0 7 * * *\", \"queue\": \"digest\", \"name\": \"Digest\"}'\nports: [{num: 5002, published: true}]\ncontainer: {image: busybox}\n";
    let values = "values: {address: help@mail.localhost, domain: acme.meshagent.app}\n";
    document("Room", room_name, room_rest)
        + &document("ServiceTemplate", "greeter", template)
        + &document(
            "Service",
            service,
            &format!("room: {room_name}\ntemplate: greeter\n{values}{rest}"),
        )
}

#[test]
fn what_a_template_brought_moves_to_another_set_with_its_service() {
    let sandbox = Sandbox::new();
    apply(&sandbox, "a", &placed(("lobby", ""), ("bot", "")));
    let words = ["set", "move", "Service/bot@lobby", "--set", "a", "--to", "b"];
    let shown = sandbox.embedded(0, &[&words[..], &["--dry-run"]].concat());
    for brought in [
        "Mailbox/help@mail.localhost",
        "Route/acme.meshagent.app",
        "ScheduledTask/lobby-bot-digest",
    ] {
        tells(&shown, &format!("adopt {brought}"));
    }
    tells(&shown, "with Service/bot@lobby, which brought it");
    sandbox.embedded(0, &[&words[..], &["--yes"]].concat());
    // The documents move, too, and nothing is left to do on either side.
    let all = placed(("lobby", ""), ("bot", ""));
    let rest = all.strip_prefix(&room("lobby")).unwrap();
    let run = apply(&sandbox, "a", &room("lobby"));
    tells(&run, "Nothing to change");
    tells(&apply(&sandbox, "b", rest), "Nothing to change");
    assert_eq!(sandbox.embedded(0, &["mailbox", "list", "-q"]).stdout, "help@mail.localhost\n");
}

#[test]
fn what_a_template_brought_stays_the_same_when_its_service_is_renamed() {
    let protected = "lifecycle: {prevent_destroy: true}\n";
    let renamed = "lifecycle: {prevent_destroy: true, moved_from: bot}\n";
    let sandbox = Sandbox::new();
    apply(&sandbox, "a", &placed(("lobby", ""), ("bot", protected)));
    let run = apply(&sandbox, "a", &placed(("lobby", ""), ("helper", renamed)));
    tells(&run, "rename Service/helper@lobby");
    keeps_quiet(&run, "delete");
    keeps_quiet(&run, "create");
    // The name stays also once the document does not say any more what the service was.
    let run = apply(&sandbox, "a", &placed(("lobby", ""), ("helper", protected)));
    keeps_quiet(&run, "delete");
    keeps_quiet(&run, "create");
}

#[test]
fn what_a_template_brought_stays_the_same_when_its_room_is_renamed() {
    let sandbox = Sandbox::new();
    apply(&sandbox, "a", &placed(("lobby", ""), ("bot", "")));
    let renamed = placed(("hall", "lifecycle: {moved_from: lobby}\n"), ("bot", ""));
    let run = apply(&sandbox, "a", &renamed);
    tells(&run, "rename Room/hall");
    keeps_quiet(&run, "delete");
    keeps_quiet(&run, "create");
    tells(&apply(&sandbox, "a", &renamed), "Nothing to change");
}

#[test]
fn what_a_template_brought_is_protected_by_its_service() {
    let sandbox = Sandbox::new();
    let with = |protection: &str| {
        placed(("lobby", ""), ("bot", &format!("lifecycle: {{prevent_destroy: {protection}}}\n")))
    };
    let other = |text: String| text.replace("help@mail.localhost", "ask@mail.localhost");
    apply(&sandbox, "a", &with("true"));
    sandbox.write("set.yaml", &other(with("true")));
    let refused = sandbox.embedded(6, &["plan", "-f", "set.yaml", "--set", "a"]);
    tells(&refused, "Mailbox/help@mail.localhost would be deleted");
    tells(&refused, "it came with Service/bot@lobby, which protects it");
    tells(&refused, "into the document of Service/bot@lobby (set.yaml:");
    // The hint is followed to the letter.
    let run = apply(&sandbox, "a", &other(with("false")));
    tells(&run, "delete Mailbox/help@mail.localhost");
}

#[test]
fn what_another_set_owns_is_never_to_be_deleted_for_a_name() {
    for (theirs, mine, kind) in [
        (room("b"), room("a"), "Room"),
        (
            document("Secret", "b", "type: keys\ndata: {T: hunter22}\n"),
            document("Secret", "a", "type: keys\ndata: {T: hunter23}\n"),
            "Secret",
        ),
    ] {
        let sandbox = Sandbox::new();
        apply(&sandbox, "theirs", &theirs);
        apply(&sandbox, "mine", &mine);
        sandbox.write("set.yaml", &from("a", &mine.replace("name: a}", "name: b}")));
        let refused = sandbox.embedded(6, &["plan", "-f", "set.yaml", "--set", "mine"]);
        tells(&refused, "the set `theirs`");
        keeps_quiet(&refused, &format!("delete {kind}/b"));
    }
}

#[test]
fn a_name_between_two_declared_objects_is_told_a_way_that_keeps_both() {
    let sandbox = Sandbox::new();
    apply(&sandbox, "s", &["a", "b", "c"].map(room).concat());
    sandbox.write("set.yaml", &(from("b", &room("a")) + &room("b") + &room("c")));
    let refused = sandbox.embedded(6, &["plan", "-f", "set.yaml", "--set", "s"]);
    keeps_quiet(&refused, "apply first");
    tells(&refused, "give the document of Room/b a new name and `moved_from: a`");
    let run = apply(&sandbox, "s", &(from("b", &room("a")) + &from("a", &room("d")) + &room("c")));
    keeps_quiet(&run, "delete");
    assert_eq!(rooms(&sandbox, "default"), "a\nc\nd\n");
}

fn git(sandbox: &Sandbox, words: &[&str]) {
    let done = Command::new("git").args(words).current_dir(sandbox.path(".")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A folder with two rooms, of which the set still owns the second one when its document goes.
fn pruned_after(between: impl Fn(&Sandbox)) -> Run {
    let sandbox = Sandbox::new();
    git(&sandbox, &["init", "-q", "."]);
    std::fs::rename(sandbox.path(".git"), sandbox.path("later")).unwrap();
    std::fs::create_dir(sandbox.path("m")).unwrap();
    sandbox.write("m/rooms.yaml", &(room("a") + &room("b")));
    between(&sandbox);
    sandbox.embedded(0, &["apply", "-f", "m", "--yes"]);
    sandbox.write("m/rooms.yaml", &room("a"));
    let run = sandbox.embedded(0, &["apply", "-f", "m", "--yes"]);
    keeps_quiet(&run, "not given");
    assert_eq!(rooms(&sandbox, "default"), "a\n");
    run
}

#[test]
fn a_folder_that_became_a_repository_is_still_the_same() {
    let run = pruned_after(|sandbox| {
        sandbox.embedded(0, &["apply", "-f", "m", "--yes"]);
        std::fs::rename(sandbox.path("later"), sandbox.path(".git")).unwrap();
    });
    tells(&run, "delete Room/b");
}

#[test]
fn a_repository_that_got_an_origin_is_still_the_same() {
    pruned_after(|sandbox| {
        std::fs::rename(sandbox.path("later"), sandbox.path(".git")).unwrap();
        sandbox.embedded(0, &["apply", "-f", "m", "--yes"]);
        git(sandbox, &["remote", "add", "origin", "https://example.com/a/b.git"]);
    });
}

#[test]
fn a_repository_that_got_another_origin_is_still_the_same() {
    pruned_after(|sandbox| {
        std::fs::rename(sandbox.path("later"), sandbox.path(".git")).unwrap();
        git(sandbox, &["remote", "add", "origin", "https://example.com/a/b.git"]);
        sandbox.embedded(0, &["apply", "-f", "m", "--yes"]);
        git(sandbox, &["remote", "set-url", "origin", "https://example.com/a/new.git"]);
    });
}

/// Where a file was read last is remembered, also of objects in which nothing changed.
#[test]
fn a_repository_that_moved_and_got_another_origin_is_still_the_same() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("one/m")).unwrap();
    git(&sandbox, &["init", "-q", "one"]);
    git(&sandbox, &["-C", "one", "remote", "add", "origin", "https://example.com/a/b.git"]);
    sandbox.write("one/m/rooms.yaml", &(room("a") + &room("b")));
    sandbox.embedded(0, &["apply", "-f", "one/m", "--yes"]);
    std::fs::rename(sandbox.path("one"), sandbox.path("two")).unwrap();
    sandbox.write("two/m/rooms.yaml", &(room("a") + &room("b") + &room("c")));
    sandbox.embedded(0, &["apply", "-f", "two/m", "--yes"]);
    git(&sandbox, &["-C", "two", "remote", "set-url", "origin", "https://example.com/a/new.git"]);
    sandbox.write("two/m/rooms.yaml", &(room("a") + &room("c")));
    sandbox.embedded(0, &["apply", "-f", "two/m", "--yes"]);
    assert_eq!(rooms(&sandbox, "default"), "a\nc\n");
}

#[test]
fn another_checkout_keeps_what_it_declares() {
    let sandbox = Sandbox::new();
    for (folder, origin) in [("one", "a"), ("two", "b")] {
        std::fs::create_dir_all(sandbox.path(&format!("{folder}/m"))).unwrap();
        sandbox.write(&format!("{folder}/m/rooms.yaml"), &(room("a") + &room("b")));
        git(&sandbox, &["init", "-q", folder]);
        let url = format!("https://example.com/a/{origin}.git");
        git(&sandbox, &["-C", folder, "remote", "add", "origin", &url]);
        sandbox.embedded(0, &["apply", "-f", &format!("{folder}/m"), "--yes"]);
    }
    sandbox.write("two/m/rooms.yaml", &room("a"));
    let run = sandbox.embedded(0, &["apply", "-f", "two/m", "--yes"]);
    tells(&run, "declared in m/ of example.com/a/a, which was not given; it stays");
    assert_eq!(rooms(&sandbox, "default"), "a\nb\n");
}

#[test]
fn documents_that_moved_with_their_objects_are_declared_where_they_are() {
    let sandbox = Sandbox::new();
    sandbox.write("a.yaml", &(room("a") + &room("b")));
    sandbox.embedded(0, &["apply", "-f", "a.yaml", "--set", "a", "--yes"]);
    sandbox.embedded(0, &["set", "move", "Room/b", "--set", "a", "--to", "b", "--yes"]);
    sandbox.write("a.yaml", &room("a"));
    sandbox.write("b.yaml", &room("b"));
    sandbox.embedded(0, &["apply", "-f", "b.yaml", "--set", "b", "--yes"]);
    sandbox.write("b.yaml", &room("c"));
    let run = sandbox.embedded(0, &["apply", "-f", "b.yaml", "--set", "b", "--yes"]);
    tells(&run, "delete Room/b");
}

#[test]
fn a_set_that_was_forgotten_on_the_line_is_named_once() {
    let sandbox = Sandbox::new();
    let text = ["a", "b", "c"].map(room).concat()
        + &document("Secret", "k", "type: keys\ndata: {T: hunter22}\n");
    apply(&sandbox, "support", &text);
    let refused = sandbox.embedded(6, &["apply", "-f", "set.yaml", "--yes"]);
    assert_eq!(refused.stderr.matches("hint:").count(), 1, "{}", refused.stderr);
    tells(&refused, "did you mean --set support?");
    let refused = sandbox.embedded(6, &["destroy", "-f", "set.yaml", "--yes"]);
    tells(&refused, "the set `support` owns");
    tells(&refused, "did you mean --set support?");
    assert_eq!(rooms(&sandbox, "default"), "a\nb\nc\n");
    sandbox.embedded(0, &["destroy", "-f", "set.yaml", "--set", "support", "--yes"]);
}

#[test]
fn what_nobody_owns_is_taken_over_as_the_hint_says() {
    for adopt in ["Room/f", "Room/*"] {
        let sandbox = Sandbox::new();
        sandbox.embedded(0, &["rooms", "create", "--name", "f"]);
        sandbox.write("set.yaml", &from("f", &room("g")));
        let refused = sandbox.embedded(6, &["plan", "-f", "set.yaml"]);
        tells(&refused, "--adopt Room/f");
        let apply = ["apply", "-f", "set.yaml", "--yes", "--adopt", adopt];
        sandbox.embedded(0, &apply);
        assert_eq!(rooms(&sandbox, "default"), "g\n");
    }
}

#[test]
fn an_export_of_a_set_that_is_elsewhere_names_the_project() {
    let sandbox = in_projects(&["one"]);
    let refused = sandbox.embedded(2, &["export", "-d", "out", "--set", "sales"]);
    tells(&refused, "meshagent export --set sales --project-id one");
    let sandbox = Sandbox::new();
    apply(&sandbox, "projects", &document("Project", "one", ""));
    apply(&sandbox, "default", &document("Room", "a", "project: one\n"));
    let refused = sandbox.embedded(2, &["export", "-d", "out", "--set", "default"]);
    tells(&refused, "meshagent export --set default --project-id one");
}

#[test]
fn a_project_that_a_set_left_does_not_list_it() {
    let sandbox = in_projects(&["default", "two"]);
    apply(&sandbox, "sales", &document("Room", "of-two", "project: two\n"));
    let list =
        |project: &str| sandbox.embedded(0, &["set", "list", "-q", "--project-id", project]).stdout;
    assert!(!list("default").contains("sales"), "{}", list("default"));
    assert!(list("two").contains("sales"));
}

#[test]
fn a_rename_tells_what_other_sets_have_in_the_room() {
    let sandbox = Sandbox::new();
    apply(&sandbox, "rooms", &room("a"));
    apply(&sandbox, "bots", &document("Service", "bot", "room: a\ncontainer: {image: x}\n"));
    let run = apply(&sandbox, "rooms", &from("a", &room("b")));
    tells(&run, "Room/a is renamed to Room/b, and the set `bots` has Service/bot@b there");
}

/// The room of a service is another set's or nobody's, and gets another name.
#[test]
fn what_is_in_a_room_that_another_renames_is_still_there() {
    let service = |room: &str| {
        document("Service", "s", &format!("room: {room}\ncontainer: {{image: a/b}}\n"))
    };
    let started = || {
        let sandbox = Sandbox::new();
        apply(&sandbox, "rooms", &(room("hall") + &room("attic")));
        apply(&sandbox, "services", &service("hall"));
        sandbox
    };
    let names = |sandbox: &Sandbox, room: &str| {
        sandbox.embedded(0, &["service", "list", "-q", "--room", room]).stdout.lines().count()
    };
    // It is destroyed where it is by now.
    let sandbox = started();
    apply(&sandbox, "rooms", &(from("hall", &room("loft")) + &room("attic")));
    let run = sandbox.embedded(0, &["destroy", "--set", "services", "--yes"]);
    tells(&run, "delete Service/s@loft");
    assert_eq!(names(&sandbox, "loft"), 0);
    // Two rooms swap their names, and the document says the one that it means.
    let sandbox = started();
    apply(&sandbox, "rooms", &(from("hall", &room("attic")) + &from("attic", &room("hall"))));
    sandbox.write("set.yaml", &service("hall"));
    let words = ["apply", "-f", "set.yaml", "--set", "services", "--prune", "all", "--yes"];
    let run = sandbox.embedded(0, &[&words[..], &["--allow-deletes", "1"]].concat());
    keeps_quiet(&run, "on the platform, not by this set");
    assert_eq!((names(&sandbox, "hall"), names(&sandbox, "attic")), (1, 0));
    // Another set gets it under the name of its room.
    let sandbox = started();
    sandbox.embedded(0, &["rooms", "update", "--name", "hall", "--new-name", "old"]);
    let run = sandbox.embedded(0, &["set", "move", "*", "--set", "services", "--to", "t", "--yes"]);
    tells(&run, "Service/s@old");
    let run = sandbox.embedded(0, &["destroy", "--set", "t", "--yes"]);
    tells(&run, "delete Service/s@old");
}

#[test]
fn names_are_matched_in_any_case_where_they_have_none() {
    let sandbox = Sandbox::new();
    let mail = document("Mailbox", "help@mail.localhost", "room: a\nqueue: q\n");
    apply(&sandbox, "a", &(room("a") + &mail));
    let words = ["set", "move", "Mailbox/Help@MAIL.localhost", "--set", "a", "--to", "b", "--yes"];
    tells(&sandbox.embedded(0, &words), "adopt Mailbox/help@mail.localhost");
    sandbox.write("set.yaml", &mail);
    let accept = ["accept", "-f", "set.yaml", "--set", "b", "Mailbox/HELP@mail.localhost"];
    tells(&sandbox.embedded(0, &accept), "nothing drifted");
}

#[test]
fn what_cannot_be_renamed_in_place_says_what_becomes_of_it() {
    let sandbox = Sandbox::new();
    let mail = |name: &str| document("Mailbox", name, "room: a\nqueue: q\n");
    apply(&sandbox, "a", &(room("a") + &mail("old@mail.localhost")));
    let new = from("old@mail.localhost", &mail("new@mail.localhost"));
    let run = apply(&sandbox, "a", &(room("a") + &new));
    tells(&run, "Mailbox/new@mail.localhost is created in its place");
    keeps_quiet(&run, "no document declares it any more");
}

#[test]
fn a_move_of_what_was_renamed_by_hand_says_so() {
    let sandbox = Sandbox::new();
    apply(&sandbox, "a", &room("a"));
    sandbox.embedded(0, &["rooms", "update", "--name", "a", "--new-name", "z"]);
    let words = ["set", "move", "Room/z", "--set", "a", "--to", "b", "--yes"];
    let refused = sandbox.embedded(6, &words);
    tells(&refused, "Room/a was renamed to Room/z on the platform, not by the set `a`");
    keeps_quiet(&refused, "interrupted");
    // Either way out leads there.
    apply(&sandbox, "a", &from("a", &room("z")));
    tells(&sandbox.embedded(0, &words), "adopt Room/z");
}

#[test]
fn a_replacement_counts_as_one() {
    let sandbox = Sandbox::new();
    let task = |once: bool| {
        let rest = format!("room: a\nqueue: q\nschedule: 0 7 * * *\nonce: {once}\n");
        room("a") + &document("ScheduledTask", "t", &rest)
    };
    apply(&sandbox, "a", &task(false));
    let run = apply(&sandbox, "a", &task(true));
    tells(&run, "1 to replace");
    tells(&run, "Applied: 1 done.");
}

/// A run that is killed right after it created a project leaves it like this; so does a set that
/// was destroyed.
#[test]
fn a_project_in_which_there_is_nothing_is_taken_over_without_being_asked_about() {
    let sandbox = Sandbox::new();
    let documents = "version: v1\nkind: Project\nmetadata: {name: acme}\nsettings: {a: one}\n---\nversion: v1\nkind: Room\nmetadata: {name: lobby}\n";
    sandbox.write("set.yaml", documents);
    let apply = |code: i32| sandbox.embedded(code, &["apply", "-f", "set.yaml", "--yes"]);
    apply(0);
    sandbox.embedded(0, &["destroy", "-f", "set.yaml", "--yes"]);
    let run = apply(0);
    assert!(run.stdout.contains("adopt Project/acme"), "{}", run.stdout);
    // Other settings are somebody's.
    sandbox.embedded(0, &["destroy", "-f", "set.yaml", "--yes"]);
    sandbox.write("set.yaml", &documents.replace("a: one", "a: two"));
    let run = apply(6);
    assert!(run.stderr.contains("take it over with --adopt Project/acme"), "{}", run.stderr);
    // So is what is in it, of whatever kind.
    sandbox.write("set.yaml", documents);
    let create = ["secret", "key", "create", "--name", "k", "--data", "A=value-of-somebody"];
    sandbox.embedded(0, &[&create[..], &["--project-id", "acme"]].concat());
    let run = apply(6);
    assert!(run.stderr.contains("Project/acme exists and is not owned"), "{}", run.stderr);
}

#[test]
fn a_set_that_does_not_exist_gives_nothing() {
    let sandbox = Sandbox::new();
    apply(&sandbox, "a", &room("a"));
    for words in [
        &["set", "move", "*", "--set", "nosuch", "--to", "a", "--yes"][..],
        &["set", "rename", "nosuch", "a", "--yes"],
        &["set", "rename", "nosuch", "b", "--yes"],
    ] {
        let refused = sandbox.embedded(2, words);
        tells(&refused, "there is no set `nosuch`");
    }
}

/// A hint is a command line, and a name in it one word.
#[test]
fn names_in_hints_are_one_word_each() {
    let sandbox = Sandbox::new();
    let name = "$(id) x";
    let hook =
        document("Webhook", "'$(id) x'", "url: https://example.com/\nevents: [room.started]\n");
    let create = [
        "webhook",
        "create",
        "--name",
        name,
        "--url",
        "https://example.com/",
        "--event",
        "room.started",
    ];
    sandbox.embedded(0, &create);
    sandbox.write("set.yaml", &hook);
    let refused = sandbox.embedded(6, &["plan", "-f", "set.yaml", "--set", "a"]);
    tells(&refused, "--adopt 'Webhook/$(id) x'");
    sandbox.embedded(
        0,
        &["apply", "-f", "set.yaml", "--set", "b", "--adopt", "--yes", "--allow-deletes", "9"],
    );
    let refused = sandbox.embedded(6, &["plan", "-f", "set.yaml", "--set", "a"]);
    tells(&refused, "set move 'Webhook/$(id) x'");
}

/// That something was deleted by hand is why it is created.
#[test]
fn what_was_deleted_by_hand_says_so() {
    let sandbox = Sandbox::new();
    apply(&sandbox, "a", &room("a"));
    sandbox.embedded(0, &["rooms", "delete", "--name", "a"]);
    sandbox.write("set.yaml", &(room("a") + &room("b")));
    let plan = sandbox.embedded(0, &["plan", "-f", "set.yaml", "--set", "a"]);
    tells(&plan, "create Room/a  it was deleted on the platform, not by this set");
    keeps_quiet(&plan, "it is not on the platform");
}
