//! Which platform, project, set and room something is done in, told where people are likely to
//! mean another one.

use crate::cli::{Run, Sandbox};
use crate::platform::harness::Server;

const ROOM: &str = "version: v1\nkind: Room\nmetadata: {name: lobby}\n";

#[track_caller]
fn tells(run: &Run, expected: &str) {
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(all.contains(expected), "{expected:?} is not in\n{all}");
}

#[test]
fn a_new_embedded_platform_is_told_once_with_its_folder() {
    let sandbox = Sandbox::new();
    let told = "note: a new embedded platform was created in ";
    let first = sandbox.embedded(0, &["rooms", "list"]);
    tells(&first, &format!("{told}.meshagent/embedded\n"));
    let again = sandbox.embedded(0, &["rooms", "list"]);
    assert!(!again.stderr.contains(told), "{}", again.stderr);
}

#[test]
fn a_service_in_every_room_is_told_from_one_in_a_room() {
    let sandbox = Sandbox::new();
    let service = "version: v1\nkind: Service\nmetadata: {name: bot}\ncontainer: {image: x}\n";
    sandbox.write("m.yaml", &format!("{ROOM}---\n{service}room: lobby\n---\n{service}"));
    let run = sandbox.embedded(0, &["plan", "-f", "m.yaml"]);
    tells(&run, "+ create Service/bot in every room  m.yaml:13:1\n");
    tells(&run, "+ create Service/bot@lobby  m.yaml:7:1\n");
    tells(
        &run,
        "note: Service/bot names no room, so it is in every room of the project, also beside Service/bot@lobby;",
    );
    let markdown = sandbox.embedded(0, &["plan", "-f", "m.yaml", "-o", "markdown"]);
    tells(&markdown, "- **create** `Service/bot` in every room\n");
    // Also where one of them is not declared here.
    sandbox.write("m.yaml", &format!("{ROOM}---\n{service}room: lobby\n"));
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
    let tool = format!("{service}room: lobby\n").replace("bot", "tool");
    sandbox.write("other.yaml", &format!("{service}---\n{tool}"));
    let run = sandbox.embedded(0, &["plan", "-f", "other.yaml", "--set", "other"]);
    tells(&run, "also beside Service/bot@lobby; `room: NAME` puts it into one (other.yaml:3:1)");
    tells(&run, "Plan of set `other` for default on the embedded platform\n");
    sandbox.write("other.yaml", &tool);
    let run = sandbox.embedded(0, &["plan", "-f", "other.yaml", "--set", "other"]);
    assert!(!run.stderr.contains("names no room"), "{}", run.stderr);
}

#[test]
fn destroying_is_shown_first_and_says_what_is_in_the_way() {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml", ROOM);
    let service = "version: v1\nkind: Service\nmetadata: {name: bot}\nroom: lobby\n";
    sandbox.write("bot.yaml", &format!("{service}container: {{image: x}}\n"));
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
    let shown = sandbox.embedded(0, &["destroy", "--dry-run"]);
    tells(&shown, "- delete Room/lobby  the set is destroyed\n\nPlan: 1 to delete.\n");
    assert_eq!(sandbox.embedded(0, &["rooms", "list", "-q"]).stdout, "lobby\n");
    let shown = sandbox.embedded(0, &["destroy", "-f", "m.yaml", "--dry-run"]);
    tells(&shown, "- delete Room/lobby  it is declared in what is destroyed\n");

    sandbox.embedded(0, &["apply", "-f", "bot.yaml", "--set", "bots", "--yes"]);
    let refused = sandbox.embedded(6, &["destroy", "--dry-run"]);
    tells(&refused, "Service/bot@lobby in it is owned by the set `bots`");
    sandbox.embedded(0, &["destroy", "--set", "bots", "--yes"]);
    sandbox.embedded(0, &["destroy", "--yes"]);
    let nothing = sandbox.embedded(0, &["destroy", "--yes"]);
    let told =
        "Nothing to destroy: the set `default` owns nothing in default on the embedded platform.\n";
    assert_eq!(nothing.stdout, told);
    tells(&nothing, "hint: `meshagent set list --embedded` shows the sets");
}

#[test]
fn what_got_another_name_is_told_what_that_means() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("old")).unwrap();
    let service = "version: v1\nkind: Service\nmetadata: {name: bot}\nroom: lobby\n";
    let service = format!("{service}container: {{image: x}}\n");
    let hall = "version: v1\nkind: Room\nmetadata: {name: hall}\n";
    sandbox
        .write("old/m.yaml", &format!("{ROOM}---\n{service}---\n{}", hall.replace("hall", "den")));
    sandbox.embedded(0, &["apply", "-f", "old", "--yes"]);
    // The room has another name, and what is in it does not say so yet.
    sandbox
        .write("old/m.yaml", &format!("{hall}---\n{service}---\n{}", hall.replace("hall", "den")));
    let run = sandbox.embedded(6, &["plan", "-f", "old"]);
    tells(&run, "old/m.yaml:8:1: this plan deletes Room/lobby, but Service/bot@lobby refers to it");
    tells(
        &run,
        "hint: if it is Room/hall now, write `lifecycle: {moved_from: lobby}` into that document (old/m.yaml:3:1), and `hall` here",
    );
    // The folder has another name, and something in it went meanwhile.
    std::fs::rename(sandbox.path("old"), sandbox.path("new")).unwrap();
    sandbox.write("new/m.yaml", &format!("{ROOM}---\n{service}"));
    let run = sandbox.embedded(0, &["plan", "-f", "new"]);
    tells(
        &run,
        "note: 1 object of this set was declared in old/, which no longer exists; it stays. --prune=all deletes it",
    );
    // Objects were moved to another set, and their documents not.
    sandbox.embedded(0, &["set", "move", "Service/bot@lobby", "--to", "bots", "--yes"]);
    let run = sandbox.embedded(6, &["plan", "-f", "new"]);
    tells(
        &run,
        "hint: if it was moved there, move its document to the files of that set as well; otherwise ",
    );
}

#[test]
fn a_saved_plan_says_how_it_is_applied() {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml", ROOM);
    let run = sandbox.embedded(0, &["plan", "-f", "m.yaml", "--out", "a plan.json"]);
    let told = "the plan is saved; `meshagent apply 'a plan.json' --embedded` performs it, without a question\n";
    assert!(run.stderr.ends_with(told), "{}", run.stderr);
    sandbox.embedded(0, &["apply", "a plan.json"]);
    assert_eq!(sandbox.embedded(0, &["rooms", "list", "-q"]).stdout, "lobby\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_told_by_what_names_it() {
    let (server, sandbox) = (Server::start().await, Sandbox::new());
    let project = "version: v1\nkind: Project\nmetadata: {name: shop}\n";
    sandbox.write("m.yaml", &format!("{project}---\n{ROOM}"));
    sandbox.write("room.yaml", ROOM);
    let run = async |named: Option<&str>, words: &[&str]| {
        let mut command = sandbox.command(words);
        command.env("MESHAGENT_API_URL", &server.url).env("MESHAGENT_API_KEY", &server.owner);
        if let Some(named) = named {
            command.env("MESHAGENT_PROJECT_ID", named);
        }
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
        Run::of(output.unwrap())
    };
    // A project that is about to be created, and another one that something else names.
    let plan = ["plan", "-f", "m.yaml"];
    let planned = run(Some(&server.project), &plan).await;
    let named = format!("and MESHAGENT_PROJECT_ID names `{}`", server.project);
    tells(&planned, "note: m.yaml:3:1 declares project `shop`, which does not exist yet, ");
    tells(&planned, &named);
    tells(&run(None, &plan).await, "which does not exist yet, and the credential names");
    assert_eq!(run(None, &["apply", "-f", "m.yaml", "--yes"]).await.code, 0);
    // A variable is told also once it exists, unless it says the same.
    tells(&run(Some(&server.project), &plan).await, &named);
    for same in [None, Some("shop")] {
        let planned = run(same, &plan).await;
        assert!(!planned.stderr.contains("declares project"), "{}", planned.stderr);
    }
    // What is not there is told with what names it.
    for words in [&["plan", "-f", "room.yaml"][..], &["rooms", "list"]] {
        let missing = run(Some("nowhere"), words).await;
        assert_eq!(missing.code, 1, "{}", missing.stderr);
        tells(&missing, "the name comes from MESHAGENT_PROJECT_ID");
        let missing = run(None, &[words, &["--project-id", "nowhere"]].concat()).await;
        tells(&missing, "the name comes from --project-id");
    }
}
