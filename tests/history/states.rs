//! What a set goes back to: objects that came, went, changed, got other names, moved.

use meshagent::apply::history::{Ended, What};
use meshagent::error::Class;
use meshagent::plan::planner::{Policy, Prune};
use meshagent::reconcile::history::History;
use meshagent::reconcile::relocate::Relocating;
use serde_json::{Value, json};

use super::{Past, done, generous, kept, room, service, told, with};
use crate::cli::{Run, Sandbox};
use crate::reconciler::Silent;
use meshagent::reconcile::{Performing, decide};

#[tokio::test(flavor = "multi_thread")]
async fn a_set_goes_back_and_forth_and_each_way_is_a_state() {
    let past = Past::start().await;
    let first = [room("lobby"), service("bot", "lobby", "a/b:1")];
    let second = [room("lobby"), room("hall"), service("bot", "lobby", "a/b:2")];
    past.apply(&first).await;
    past.apply(&second).await;
    past.apply(&[room("hall")]).await;
    assert_eq!(
        told(&past.roll_back(2, &[]).await),
        ["create Room/lobby", "create Service/bot@lobby"]
    );
    // To the documents it is as if nothing had gone back.
    assert_eq!(told(&past.decided(&second).await), Vec::<String>::new());
    let decision = past.roll_back(1, &[]).await;
    assert_eq!(told(&decision), ["update Service/bot@lobby", "delete Room/hall"]);
    let texts: Vec<&str> =
        decision.plan.operations.iter().map(|it| it.reason.text.as_str()).collect();
    assert_eq!(texts, ["its fields differ", "it is not in state 1"]);
    assert_eq!(
        decision.plan.operations[0].place.as_ref().unwrap().file,
        "history/1/Service/bot@lobby"
    );
    past.roll_back(3, &[]).await;
    past.roll_back(4, &[]).await;
    let history = past.history("s").await;
    let told: Vec<_> =
        history.runs().iter().map(|run| (run.number, run.what, run.back_to)).collect();
    assert_eq!(
        told,
        [
            (1, What::Apply, None),
            (2, What::Apply, None),
            (3, What::Apply, None),
            (4, What::Rollback, Some(2)),
            (5, What::Rollback, Some(1)),
            (6, What::Rollback, Some(3)),
            (7, What::Rollback, Some(4)),
        ]
    );
    let error = past.back(8, &[]).await.unwrap_err();
    assert!(error.message.contains("state 8 of the set `s` does not exist"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_partial_run_the_state_is_what_was_reached() {
    let past = Past::start().await;
    past.apply(&[room("lobby")]).await;
    let documents = [room("lobby"), room("hall"), service("bot", "lobby", "a/b:1")];
    let decision = past.decided(&documents).await;
    // Somebody takes a name in between.
    past.world.server.room("hall").await;
    let report = past.performed(&decision, kept(What::Apply, None)).await;
    assert_eq!((done(&report), report.outcomes.len()), (1, 2));
    let index = past.index("s").await;
    let run = index.runs().last().unwrap();
    assert_eq!((run.ended, run.done, run.objects), (Ended::Partly, 1, 2));
    assert_eq!(told(&past.back(2, &[]).await.unwrap()), Vec::<String>::new());
    past.apply(&[room("lobby")]).await;
    assert_eq!(told(&past.roll_back(2, &[]).await), ["create Service/bot@lobby"]);
    // What is not the set's stays as it is.
    assert!(past.world.server.read("/rooms/hall").await.expect(200).json()["name"] == "hall");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_deleted_is_in_no_state_although_nothing_is_pruned() {
    let past = Past::start().await;
    past.apply(&[room("lobby"), room("hall")]).await;
    let hall = past.world.server.read("/rooms/hall").await.expect(200).json();
    let hall = format!("/rooms/{}", hall["id"].as_str().unwrap());
    past.world.server.own("DELETE", &hall).send().await.expect(204);
    let policy = Policy { prune: Prune::None, ..Policy::standard("s") };
    let set = past.set(&[room("lobby"), room("yard")]);
    let decision = decide(&past.target(), set, &policy, &generous()).await.unwrap();
    past.performed(&decision, kept(What::Apply, None)).await;
    assert_eq!(past.index("s").await.runs().last().unwrap().objects, 2);
    assert_eq!(told(&past.back(2, &[]).await.unwrap()), ["release Room/hall"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_get_back_the_names_that_they_had() {
    let past = Past::start().await;
    let named = |one: &str, other: &str, lifecycle| {
        [with(room(one), lifecycle), room(other), service("bot", one, "a/b:1")]
    };
    past.apply(&named("lobby", "hall", json!({}))).await;
    let id = |name: &'static str| {
        let server = &past.world.server;
        async move { server.read(&format!("/rooms/{name}")).await.expect(200).json()["id"].clone() }
    };
    let lobby = id("lobby").await;
    past.apply(&named("foyer", "hall", json!({"moved_from": "lobby"}))).await;
    assert_eq!(id("foyer").await, lobby);
    let decision = past.roll_back(1, &[]).await;
    assert!(told(&decision).contains(&"rename Room/lobby".to_owned()), "{:?}", told(&decision));
    assert_eq!(id("lobby").await, lobby);
    past.roll_back(2, &[]).await;
    assert_eq!(id("foyer").await, lobby);
    // Two that have swapped their names.
    let swapped = [
        with(room("hall"), json!({"moved_from": "foyer"})),
        with(room("foyer"), json!({"moved_from": "hall"})),
        service("bot", "hall", "a/b:1"),
    ];
    past.apply(&swapped).await;
    assert_eq!(id("hall").await, lobby);
    past.roll_back(2, &[]).await;
    assert_eq!(id("foyer").await, lobby);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_passes_the_guards() {
    let past = Past::start().await;
    past.apply(&[room("lobby")]).await;
    let guarded = with(room("hall"), json!({"prevent_destroy": true}));
    past.apply(&[room("lobby"), guarded]).await;
    let error = past.back(1, &[]).await.unwrap_err();
    assert_eq!(error.class, Class::Refused);
    assert!(error.problems[0].message.contains("Room/hall would be deleted"), "{error:?}");
    // Protection goes back, too, and so does the wish to be left alone.
    past.apply(&[room("lobby"), with(room("hall"), json!({"delete": "orphan"}))]).await;
    assert_eq!(told(&past.back(1, &[]).await.unwrap()), ["release Room/hall"]);
    assert_eq!(told(&past.roll_back(2, &[]).await), ["record Room/hall"]);
    assert_eq!(past.back(1, &[]).await.unwrap_err().class, Class::Refused);
    // What another set owns by now is not taken.
    let target = past.target();
    let id = &past.world.server.project;
    let moved = Relocating::read(&target, id, ("s", "other")).await.unwrap();
    let moved = moved.some(&["Room/lobby".to_owned()]).await.unwrap().unwrap();
    let performing = Performing {
        occasion: Some(kept(What::Move, None).into()),
        ..Performing::in_folder(past.folder.path(), &Silent)
    };
    let report = moved.perform(&target, &performing).await.unwrap();
    moved.conclude(&target, &report).await.unwrap();
    let error = past.back(2, &[]).await.unwrap_err();
    assert!(
        error.problems[0].message.contains("Room/lobby is owned by the set `other`"),
        "{error:?}"
    );
    assert_eq!(
        (past.numbers("other").await, past.index("s").await.runs().last().unwrap().what),
        (vec![1], What::Move)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_manage_stays_as_they_have_it() {
    let past = Past::start().await;
    let ignoring = |note: &str| {
        let mut room = with(room("lobby"), json!({"ignore": ["room_metadata.by"]}));
        room["room_metadata"] = json!({"note": note, "by": "us"});
        room
    };
    past.apply(&[ignoring("one")]).await;
    past.apply(&[ignoring("two")]).await;
    let mut by_hand = past.world.server.read("/rooms/lobby").await.expect(200).json();
    by_hand["metadata"]["by"] = "hand".into();
    let path = format!("/rooms/{}", by_hand["id"].as_str().unwrap());
    past.world.server.send("PUT", &path, by_hand).await.expect(200);
    past.roll_back(1, &[]).await;
    let room = past.world.server.read("/rooms/lobby").await.expect(200).json();
    assert_eq!(room["metadata"], json!({"note": "one", "by": "hand"}));
}

#[test]
fn the_program_lists_shows_compares_and_goes_back() {
    let sandbox = Sandbox::with_platform();
    std::fs::create_dir_all(sandbox.path("m")).unwrap();
    let bot = |image: &str| format!("{}\n---\n{}\n", room("lobby"), service("bot", "lobby", image));
    for image in ["a/b:1", "a/b:2"] {
        sandbox.write("m/bot.yaml", &bot(image));
        sandbox.embedded(0, &["apply", "-f", "m", "--yes"]);
    }
    assert_eq!(sandbox.embedded(0, &["history", "-q"]).stdout, "1\n2\n");
    let listed = sandbox.embedded(0, &["history", "-o", "json"]).json();
    let first = &listed["states"][0];
    assert_eq!(
        (&first["number"], &first["ended"], &first["done"]),
        (&json!(1), &json!("done"), &json!(2))
    );
    let shown = sandbox.embedded(0, &["history", "show", "2"]).stdout;
    assert!(shown.contains("~ container.image: \"a/b:1\" → \"a/b:2\""), "{shown}");
    let shown = sandbox.embedded(0, &["history", "show", "1", "--output", "json"]).json();
    let documents = &shown["states"][0]["parts"][0]["documents"];
    assert_eq!(documents["Service/bot@lobby"]["container"]["image"], "a/b:1");
    let differs = sandbox.embedded(3, &["history", "diff", "1", "--exit-code"]).stdout;
    let changed =
        "--- history/1/Service/bot@lobby\n+++ history/2/Service/bot@lobby\n@@ -4,4 +4,4 @@\n";
    assert!(differs.starts_with(changed), "{differs}");
    assert!(differs.ends_with("-  image: a/b:1\n+  image: a/b:2\n"), "{differs}");
    let pending = sandbox.embedded(3, &["plan", "--to", "1", "--exit-code"]);
    assert!(pending.stderr.contains("this goes back to state 1 of "), "{}", pending.stderr);
    sandbox.embedded(0, &["rollback", "--to", "1", "--dry-run"]);
    assert_eq!(sandbox.embedded(0, &["history", "-q"]).stdout, "1\n2\n", "a dry run wrote");
    // A saved way back is performed as it is, or not at all.
    sandbox.embedded(0, &["plan", "--to", "1", "--out", "back.json"]);
    sandbox.embedded(0, &["apply", "back.json"]);
    sandbox.embedded(5, &["apply", "back.json"]);
    sandbox.embedded(0, &["plan", "--to", "1", "--exit-code"]);
    sandbox.embedded(3, &["plan", "-f", "m", "--exit-code"]);
    let last = sandbox.embedded(0, &["history", "-o", "json"]).json()["states"][2].clone();
    assert_eq!((&last["what"], &last["back_to"]), (&json!("rollback"), &json!(1)));
    // A set that gets another name takes its past along.
    sandbox.embedded(0, &["set", "rename", "default", "support", "--yes"]);
    assert_eq!(sandbox.embedded(0, &["history", "--set", "support", "-q"]).stdout, "1\n2\n3\n4\n");
    sandbox.embedded(0, &["rollback", "--to", "2", "--set", "support", "--yes"]);
    sandbox.embedded(0, &["plan", "-f", "m", "--set", "support", "--exit-code"]);
    // A destroyed set comes back, and a state without objects asks for consent.
    sandbox.embedded(0, &["destroy", "--set", "support", "--yes"]);
    sandbox.embedded(0, &["rollback", "--to", "5", "--set", "support", "--yes"]);
    let refused = sandbox.embedded(6, &["rollback", "--to", "6", "--set", "support", "--yes"]);
    assert!(refused.stderr.contains("the set owned nothing in state 6"), "{}", refused.stderr);
    let unknown = sandbox.embedded(2, &["rollback", "--to", "99", "--set", "support", "--yes"]);
    assert!(unknown.stderr.contains("hint: states 1 to 7 are kept"), "{}", unknown.stderr);
    // A state that only a part of the set was brought to is not told as if all of it had been.
    sandbox.write("m/more.yaml", &room("attic").to_string());
    let part = ["apply", "-f", "m", "--set", "support", "--target", "Room/attic", "--yes"];
    sandbox.embedded(0, &part);
    let states = sandbox.embedded(0, &["history", "--set", "support", "-o", "json"]).json();
    assert_eq!(
        (&states["states"][6]["partial"], &states["states"][7]["partial"]),
        (&Value::Null, &json!(true))
    );
    let shown = sandbox.embedded(0, &["history", "show", "8", "--set", "support"]).stdout;
    assert!(shown.contains("\nrun: apply, a part, done, "), "{shown}");
    let none = sandbox.embedded(2, &["plan", "--to", "1", "--set", "none"]);
    assert!(none.stderr.contains("there is no history of the set `none`"), "{}", none.stderr);
    let none = sandbox.embedded(0, &["history", "--set", "none"]);
    assert!(none.stderr.contains("There is no history of this set."), "{}", none.stderr);
}

#[test]
fn the_way_back_does_not_need_todays_manifests() {
    let sandbox = Sandbox::with_platform();
    std::fs::create_dir_all(sandbox.path("m")).unwrap();
    sandbox.write(
        "meshagent.yaml",
        "version: v1\nmanifests: m\nenvironments:\n  dev: {embedded: true}\n",
    );
    let keys = |value: &str| {
        format!(
            "version: v1\nkind: Secret\nmetadata: {{name: keys}}\ntype: keys\ndata: {{A: {value}}}\n"
        )
    };
    sandbox.write("m/room.yaml", &room("lobby").to_string());
    sandbox.write("m/keys.yaml", &keys("{from: {env: TOKEN}}"));
    let run = |code: i32, token: Option<&str>, words: &[&str]| {
        let mut command = sandbox.command(words);
        command.env_remove("TOKEN");
        if let Some(token) = token {
            command.env("TOKEN", token);
        }
        let run = Run::of(command.output().unwrap());
        assert_eq!(run.code, code, "{words:?}: {}{}", run.stdout, run.stderr);
        run
    };
    run(0, Some("one"), &["apply", "-e", "dev", "--yes"]);
    sandbox.write("m/room.yaml", &room("attic").to_string());
    run(0, Some("two"), &["apply", "-e", "dev", "--yes"]);
    // Why a value stays is told as it is.
    let shown = run(0, None, &["plan", "-e", "dev", "--to", "1"]);
    let told = "it is read from the environment variable TOKEN, and there is no value";
    assert!(shown.stderr.contains(told), "{}", shown.stderr);
    // What is broken today is not in the way.
    sandbox.write("m/room.yaml", "version: v1\nkind: [\n");
    let back = run(0, Some("one"), &["rollback", "-e", "dev", "--to", "1", "--yes"]);
    assert!(
        back.stderr.contains("note: no secret is read from the manifests of today"),
        "{}",
        back.stderr
    );
    assert!(back.stdout.contains("+ create Room/lobby"), "{}", back.stdout);
    let given = run(6, Some("one"), &["rollback", "-e", "dev", "--to", "1", "-f", "m", "--yes"]);
    assert!(given.stderr.contains("m/room.yaml:2:"), "{}", given.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_of_all_projects_of_a_set() {
    let past = Past::start().await;
    past.world.server.other_project("other").await;
    let elsewhere = |note: &str| {
        let mut room = room("hall");
        room["project"] = "other".into();
        room["room_metadata"] = json!({"note": note});
        room
    };
    past.apply(&[room("lobby"), elsewhere("one")]).await;
    past.apply(&[room("lobby"), elsewhere("two")]).await;
    past.apply(&[room("foyer"), elsewhere("two")]).await;
    let numbers = past.index("s").await;
    let numbers: Vec<u64> = numbers.runs().iter().map(|run| run.number).collect();
    // Where nothing was written, no state is.
    assert_eq!((numbers, past.numbers("s").await), (vec![1, 3], vec![1, 2, 3]));
    let back = past.roll_back(1, &[]).await;
    assert_eq!(told(&back), ["create Room/lobby", "update Room/hall", "delete Room/foyer"]);
    let back = past.roll_back(3, &[]).await;
    assert_eq!(told(&back), ["create Room/foyer", "update Room/hall", "delete Room/lobby"]);
    assert_eq!(told(&past.roll_back(2, &[]).await), ["create Room/lobby", "delete Room/foyer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_the_set_has_left_still_counts_for_numbers_and_states() {
    let past = Past::start().await;
    past.world.server.other_project("other").await;
    let noted = |mut room: Value, note: &str| {
        room["room_metadata"] = json!({"note": note});
        room
    };
    let elsewhere = |note: &str| {
        let mut room = noted(room("hall"), note);
        room["project"] = "other".into();
        room
    };
    let here = |note: &str| noted(room("lobby"), note);
    past.apply(&[here("one"), elsewhere("one")]).await;
    past.apply(&[here("one"), elsewhere("two")]).await;
    past.apply(&[here("one")]).await;
    // Where the set owns something now, this is only the second run.
    past.apply(&[here("nine")]).await;
    let index = past.index("s").await;
    let numbers: Vec<u64> = index.runs().iter().map(|run| run.number).collect();
    assert_eq!((numbers, past.numbers("s").await), (vec![1, 4], vec![1, 2, 3, 4]));
    assert_eq!(told(&past.roll_back(2, &[]).await), ["update Room/lobby", "create Room/hall"]);
    assert_eq!(told(&past.decided(&[here("one"), elsewhere("two")]).await), Vec::<String>::new());
    assert_eq!(told(&past.roll_back(4, &[]).await), ["update Room/lobby", "delete Room/hall"]);
    assert_eq!(told(&past.decided(&[here("nine")]).await), Vec::<String>::new());
    // In another project alone it is the same set as well, whose runs go on there.
    past.apply(&[elsewhere("three")]).await;
    past.apply(&[elsewhere("four")]).await;
    assert_eq!(past.numbers("s").await, [1, 2, 3, 4, 5, 6, 7, 8]);
    past.roll_back(1, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_was_in_projects_which_did_not_know_of_each_other_says_what_is_not_known() {
    let past = Past::start().await;
    past.world.server.other_project("other").await;
    let elsewhere = |name: &str| {
        let mut room = room(name);
        room["project"] = "other".into();
        room
    };
    past.apply(&[room("a")]).await;
    past.destroy().await;
    // Nothing tells that the set was elsewhere.
    past.apply(&[elsewhere("b")]).await;
    past.apply(&[room("a"), elsewhere("b")]).await;
    assert_eq!(past.numbers("s").await, [1, 1, 2, 3]);
    let error = past.back(1, &[]).await.unwrap_err();
    assert_eq!(error.class, Class::Refused);
    assert!(error.message.contains("two runs have number 1"), "{error}");
    assert_eq!(error.hint.as_deref(), Some("states after 1 are known"));
    assert_eq!(told(&past.back(3, &[]).await.unwrap()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_in_many_projects_has_a_history() {
    const PROJECTS: usize = 205;
    let past = Past::start().await;
    let mut rooms = Vec::new();
    for number in 0..PROJECTS {
        let project = format!("project-{number}");
        past.world.server.other_project(&project).await;
        let mut room = room("hall");
        room["project"] = project.into();
        rooms.push(room);
    }
    past.apply(&rooms).await;
    past.apply(&rooms[..PROJECTS - 1]).await;
    let history = History::read(&past.target(), "s", "project-0").await.unwrap();
    let runs: Vec<_> = history.runs().iter().map(|run| (run.number, run.projects.len())).collect();
    assert_eq!(runs, [(1, PROJECTS), (2, PROJECTS - 1)]);
    let reader = past.world.client.reader();
    let state = history.back_to(&reader, 1).await.unwrap();
    assert_eq!(state.entries.len(), PROJECTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_of_several_projects_takes_its_past_along_to_another_name() {
    let past = Past::start().await;
    past.world.server.other_project("other").await;
    past.world.server.other_project("third").await;
    let of = |project: &str, name: &str| {
        let mut room = room(name);
        room["project"] = project.into();
        room
    };
    past.apply(&[room("a"), of("other", "b"), of("third", "c")]).await;
    past.apply(&[room("a"), of("other", "b")]).await;
    past.apply(&[room("a"), of("other", "d")]).await;
    let target = past.target();
    let id = &past.world.server.project;
    let relocations = Relocating::read(&target, id, ("s", "support")).await.unwrap().all().unwrap();
    for relocation in relocations {
        let performing = Performing {
            occasion: Some(kept(What::Move, None).into()),
            ..Performing::in_folder(past.folder.path(), &Silent)
        };
        let report = relocation.perform(&target, &performing).await.unwrap();
        assert!(report.is_complete() && report.notes.is_empty(), "{report:?}");
        relocation.conclude(&target, &report).await.unwrap();
    }
    // In each project the move is a run of its own.
    assert_eq!(past.numbers("support").await, [1, 2, 3, 4, 5]);
    let state = past.history("support").await.state(&target.client.reader(), 1).await.unwrap();
    let names: Vec<String> = state.entries.keys().map(|key| key.name.to_string()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_a_template_brings_comes_and_goes_with_its_service() {
    let past = Past::start().await;
    let template = json!({
        "version": "v1", "kind": "ServiceTemplate", "metadata": {"name": "mail"},
        "variables": [{"name": "email", "type": "email"}],
        "container": {"image": "a/b:1"},
    });
    let placed = json!({
        "version": "v1", "kind": "Service", "metadata": {"name": "mail"}, "room": "lobby",
        "template": "mail", "values": {"email": "support@mail.localhost"},
    });
    past.apply(&[room("lobby"), template, placed]).await;
    past.apply(&[room("lobby")]).await;
    let back = past.roll_back(1, &[]).await;
    let brought = ["create Service/mail@lobby", "create Mailbox/support@mail.localhost"];
    let mut told = told(&back);
    told.sort();
    let mut brought = brought.map(str::to_owned).to_vec();
    brought.sort();
    assert_eq!(told, brought);
    past.roll_back(2, &[]).await;
    assert!(
        past.world.server.read("/mailboxes").await.expect(200).json()["mailboxes"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}
