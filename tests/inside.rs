//! What is declared inside of rooms: files, documents and secrets.

mod rooms;
mod tables;
mod walk;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};

/// A sandbox whose set is in one file.
struct Set(Sandbox);

/// A room, and in it a file, a file with bytes, a document and a secret.
const ALL: &str = "version: v1\nkind: Room\nmetadata: {name: lobby}\n---\n\
    version: v1\nkind: RoomFile\nmetadata: {name: prompts/greeting.md}\nroom: lobby\ntext: \"Hello\\n\"\n---\n\
    version: v1\nkind: RoomFile\nmetadata: {name: logo.png}\nroom: lobby\nfile: logo.png\n---\n\
    version: v1\nkind: Document\nmetadata: {name: plan.document}\nroom: lobby\n\
    content: {document: {content: [{heading: {text: Today}}]}}\n---\n\
    version: v1\nkind: RoomSecret\nmetadata: {name: key}\nroom: lobby\nidentity: support\n\
    value: canary-value\n";

impl Set {
    fn new(text: &str) -> Self {
        let sandbox = Sandbox::with_platform();
        std::fs::create_dir(sandbox.path("set")).unwrap();
        std::fs::write(sandbox.path("set/logo.png"), [0_u8, 159, 146, 150]).unwrap();
        sandbox.write("set/set.yaml", text);
        Self(sandbox)
    }

    /// Writes the set with something else in it.
    fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.0.path("set/set.yaml")).unwrap();
        assert!(text.contains(from), "{text}");
        self.0.write("set/set.yaml", &text.replace(from, to));
    }

    #[track_caller]
    fn run(&self, code: i32, arguments: &[&str]) -> Run {
        let run = self.0.embedded(code, &[arguments, &["-f", "set"]].concat());
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(!said.contains("canary"), "{said}");
        run
    }

    #[track_caller]
    fn apply(&self, code: i32, more: &[&str]) -> Run {
        self.run(code, &[&["apply", "--yes"], more].concat())
    }

    /// The operations of a plan: what is done, to what, and the paths of the fields that change.
    #[track_caller]
    fn plan(&self, more: &[&str]) -> Vec<String> {
        let plan = self.run(0, &[&["plan", "--output", "json"], more].concat()).json();
        let told = |operation: &Value| {
            let changes = operation["changes"].as_array().unwrap().iter();
            let paths: Vec<&str> = changes.map(|it| it["path"].as_str().unwrap()).collect();
            let (action, address) = (&operation["action"], &operation["address"]);
            let told = format!(
                "{} {} {}",
                action.as_str().unwrap(),
                address.as_str().unwrap(),
                paths.join(",")
            );
            told.trim_end().to_owned()
        };
        plan["operations"].as_array().unwrap().iter().map(told).collect()
    }

    #[track_caller]
    fn room(&self, code: i32, arguments: &[&str]) -> Run {
        self.0.embedded(code, &[&["room"], arguments, &["--room", "lobby"]].concat())
    }

    fn text(&self, path: &str) -> String {
        self.room(0, &["storage", "show", &format!("room://{path}")]).stdout
    }

    fn put(&self, path: &str, text: &str) {
        self.0.write("put.txt", text);
        self.room(0, &["storage", "cp", "put.txt", &format!("room://{path}")]);
    }

    #[track_caller]
    fn room_has(&self, room: &str, files: &[&str]) {
        let listed = self
            .0
            .embedded(0, &["room", "storage", "ls", "room://", "--room", room, "--output", "json"]);
        let listed = listed.json();
        let names = listed.as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap());
        assert_eq!(names.collect::<Vec<_>>(), files, "{room}");
    }

    fn document(&self, path: &str) -> Value {
        self.room(0, &["sync", "show", path]).json()
    }

    fn update(&self, path: &str, patch: &Value) {
        self.room(0, &["sync", "update", path, "--patch", &patch.to_string()]);
    }
}

#[test]
fn what_is_inside_of_rooms_becomes_as_declared_and_is_left_when_it_is_not() {
    let set = Set::new(ALL);
    assert_eq!(set.plan(&[]).len(), 5);
    set.apply(0, &[]);
    assert_eq!(set.text("prompts/greeting.md"), "Hello\n");
    assert_eq!(
        set.document("plan.document"),
        json!({"document": {"content": [{"heading": {"text": "Today"}}]}})
    );
    for more in [&[][..], &["--enter-rooms"]] {
        assert_eq!(set.plan(more), [""; 0], "{more:?}");
    }
    // What changes in a document is written.
    set.edit("Hello", "Welcome");
    set.edit("canary-value", "canary-other");
    std::fs::write(set.0.path("set/logo.png"), [1_u8, 159]).unwrap();
    let changes = [
        "update RoomFile/logo.png@lobby sha256,size",
        "update RoomFile/prompts/greeting.md@lobby text",
        "update RoomSecret/support/key@lobby value",
    ];
    for more in [&[][..], &["--enter-rooms"]] {
        let mut planned = set.plan(more);
        planned.sort();
        assert_eq!(planned, changes, "{more:?}");
    }
    set.apply(0, &[]);
    assert_eq!(set.text("prompts/greeting.md"), "Welcome\n");
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
    // What no document declares any more goes.
    set.0.write("set/set.yaml", "version: v1\nkind: Room\nmetadata: {name: lobby}\n");
    set.apply(0, &["--allow-deletes", "4"]);
    for file in ["prompts/greeting.md", "logo.png", "plan.document"] {
        set.room(1, &["storage", "show", &format!("room://{file}")]);
    }
    set.0.write("set/set.yaml", ALL);
    set.apply(0, &[]);
    assert_eq!(set.text("prompts/greeting.md"), "Hello\n");
}

#[test]
fn what_somebody_else_wrote_is_not_overwritten_until_somebody_looks() {
    let set = Set::new(ALL);
    set.apply(0, &[]);
    set.put("prompts/greeting.md", "by hand\n");
    // A plan that does not look has nothing to do, and one that does sees the drift.
    assert_eq!(set.plan(&[]), [""; 0]);
    assert_eq!(set.plan(&["--enter-rooms"]), ["update RoomFile/prompts/greeting.md@lobby text"]);
    let drift = set.run(0, &["plan", "--drift-only", "--enter-rooms"]).stdout;
    assert!(drift.contains("drifted"), "{drift}");
    set.edit("Hello", "Welcome");
    let run = set.apply(5, &[]);
    let said = "RoomFile/prompts/greeting.md@lobby changed in text since it was last applied";
    assert!(run.stderr.contains(said) || run.stdout.contains(said), "{}{}", run.stdout, run.stderr);
    assert_eq!(set.text("prompts/greeting.md"), "by hand\n");
    set.apply(0, &["--enter-rooms"]);
    assert_eq!(set.text("prompts/greeting.md"), "Welcome\n");
    // Neither is it deleted.
    set.put("prompts/greeting.md", "by hand\n");
    set.0.write("set/set.yaml", "version: v1\nkind: Room\nmetadata: {name: lobby}\n");
    set.apply(4, &["--allow-deletes", "4"]);
    assert_eq!(set.text("prompts/greeting.md"), "by hand\n");
    set.apply(0, &["--enter-rooms"]);
    set.room(1, &["storage", "show", "room://prompts/greeting.md"]);
}

#[test]
fn what_is_there_already_is_taken_over_only_if_that_is_said() {
    let set = Set::new("version: v1\nkind: Room\nmetadata: {name: lobby}\n");
    set.apply(0, &[]);
    set.put("prompts/greeting.md", "theirs\n");
    set.0.write("set/set.yaml", ALL);
    let run = set.apply(4, &[]);
    let said = "there is one in the room already, which the set does not own";
    assert!(run.stderr.contains(said), "{}{}", run.stdout, run.stderr);
    assert_eq!(set.text("prompts/greeting.md"), "theirs\n");
    let refused = set.run(6, &["plan", "--enter-rooms"]).stderr;
    assert!(refused.contains("RoomFile/prompts/greeting.md@lobby"), "{refused}");
    set.apply(0, &["--enter-rooms", "--adopt"]);
    assert_eq!(set.text("prompts/greeting.md"), "Hello\n");
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
}

#[test]
fn a_document_keeps_what_people_write_unless_it_is_to_be_overwritten() {
    let set = Set::new(ALL);
    set.apply(0, &[]);
    let body =
        json!({"op": "add", "path": "/document/content/-", "value": {"body": {"text": "x"}}});
    set.update("plan.document", &json!([body]));
    let written = set.document("plan.document");
    set.edit("Today", "Tomorrow");
    for more in [&[][..], &["--enter-rooms"]] {
        assert_eq!(set.plan(more), [""; 0], "{more:?}");
        set.apply(0, more);
    }
    assert_eq!(set.document("plan.document"), written);
    set.edit(
        "metadata: {name: plan.document}",
        "metadata: {name: plan.document}\nlifecycle: {overwrite: true}",
    );
    // Nobody looked, and it is not what it was.
    set.apply(5, &[]);
    assert_eq!(set.document("plan.document"), written);
    set.apply(0, &["--enter-rooms"]);
    let content = json!({"document": {"content": [{"heading": {"text": "Tomorrow"}}]}});
    assert_eq!(set.document("plan.document"), content);
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
}

/// A place for rooms that counts who comes, and the URL of it.
fn counting() -> (Arc<AtomicUsize>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let counter = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&counter);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream
                .write_all(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (counter, url)
}

#[test]
fn what_a_killed_run_was_to_create_is_found_again() {
    let set = Set::new(ALL);
    // The room never answers, and meanwhile the run is killed. It has noted what it creates.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let arguments = ["apply", "--yes", "-f", "set", "--embedded"];
    let mut command = set.0.command(&arguments);
    let mut run = command.env("MESHAGENT_ROOM_URL", url).stderr(Stdio::null()).spawn().unwrap();
    let _connection = listener.accept().unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    // What it would have made came late.
    set.put("prompts/greeting.md", "Hello\n");
    set.edit("Hello", "Welcome");
    set.apply(0, &[]);
    assert_eq!(set.text("prompts/greeting.md"), "Welcome\n");
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
}

#[test]
fn texts_are_written_as_they_are_however_long_or_hidden_they_are() {
    let set = Set::new(ALL);
    let long = "long ".repeat(20_000);
    set.edit("\"Hello\\n\"", &format!("\"{long}\""));
    set.apply(0, &[]);
    assert_eq!(set.text("prompts/greeting.md"), long);
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
    // A value of the environment.
    std::fs::rename(set.0.path("set/set.yaml"), set.0.path("set/set.yaml.j2")).unwrap();
    let text = ALL.replace("\"Hello\\n\"", "\"token={{ env('TOKEN') }}\"");
    set.0.write("set/set.yaml.j2", &text);
    let apply = ["apply", "--yes", "-f", "set", "--embedded", "--allow-env", "TOKEN"];
    let run = Run::of(set.0.command(&apply).env("TOKEN", "canary-token").output().unwrap());
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(!format!("{}{}", run.stdout, run.stderr).contains("canary"));
    assert_eq!(set.text("prompts/greeting.md"), "token=canary-token");
}

#[test]
fn a_file_makes_way_for_one_below_it_and_the_other_way_round() {
    let set = Set::new(ALL);
    set.apply(0, &[]);
    set.edit("prompts/greeting.md", "prompts");
    set.apply(0, &[]);
    assert_eq!(set.text("prompts"), "Hello\n");
    set.edit("metadata: {name: prompts}", "metadata: {name: prompts/a/b.md}");
    set.apply(0, &[]);
    assert_eq!(set.text("prompts/a/b.md"), "Hello\n");
}

#[test]
fn what_is_left_to_others_is_not_overwritten_with_bytes_of_the_manifest() {
    let set = Set::new(ALL);
    set.edit("file: logo.png", "file: logo.png\nlifecycle: {ignore: [sha256, size]}");
    set.apply(0, &[]);
    std::fs::write(set.0.path("put.bin"), [7_u8, 0, 255]).unwrap();
    set.room(0, &["storage", "cp", "put.bin", "room://logo.png"]);
    set.edit("file: logo.png", "file: logo.png\ntype: image/x-logo");
    let run = set.run(6, &["plan", "--enter-rooms"]);
    assert!(
        run.stderr.contains("what is in RoomFile/logo.png@lobby is not known"),
        "{}",
        run.stderr
    );
}

#[test]
fn what_people_changed_is_told_before_it_is_deleted() {
    let set = Set::new(ALL);
    set.apply(0, &[]);
    let body =
        json!({"op": "add", "path": "/document/content/-", "value": {"body": {"text": "x"}}});
    set.update("plan.document", &json!([body]));
    // It is not made anew under another name while nobody looks.
    set.edit(
        "metadata: {name: plan.document}",
        "metadata: {name: next.document}\nlifecycle: {moved_from: plan.document}",
    );
    let run = set.run(6, &["plan"]);
    assert!(run.stderr.contains("nobody looked at what people wrote into it"), "{}", run.stderr);
    let written = set.document("plan.document");
    set.apply(0, &["--enter-rooms"]);
    assert_eq!(set.document("next.document"), written);
    set.0.write("set/set.yaml", "version: v1\nkind: Room\nmetadata: {name: lobby}\n");
    set.update("next.document", &json!([body]));
    let run = set.run(6, &["plan", "--enter-rooms"]);
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(told.contains("somebody changed `content` since it was last applied"), "{told}");
    // The room stays, so what is inside does not just go along.
    set.edit("metadata: {name: lobby}", "metadata: {name: lobby}\nlifecycle: {delete: orphan}");
    set.apply(4, &["--allow-deletes", "4"]);
    let run = set.0.run(&["destroy", "--yes", "--embedded"]);
    assert!([4, 5].contains(&run.code), "{}{}", run.stdout, run.stderr);
    set.room(0, &["sync", "show", "next.document"]);
    set.0.embedded(0, &["destroy", "--yes", "--enter-rooms"]);
    set.room(1, &["sync", "show", "next.document"]);
}

#[test]
fn drift_inside_of_rooms_is_accepted_and_the_set_is_exported() {
    let set = Set::new(ALL);
    set.apply(0, &[]);
    set.put("prompts/greeting.md", "by hand\n");
    let run = set.run(0, &["accept"]);
    assert!(run.stderr.contains("not looked at"), "{}", run.stderr);
    let text = std::fs::read_to_string(set.0.path("set/set.yaml")).unwrap();
    assert!(!text.contains("by hand"), "{text}");
    set.run(0, &["accept", "--enter-rooms"]);
    let text = std::fs::read_to_string(set.0.path("set/set.yaml")).unwrap();
    assert!(text.contains("by hand"), "{text}");
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
    set.apply(0, &["--enter-rooms"]);
    let run = set.0.embedded(0, &["export", "--set", "default", "-d", "exported"]);
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(
        told.contains("as it was last applied") && told.contains("logo.png@lobby is left out"),
        "{told}"
    );
    let plan = Run::of(
        set.0
            .command(&[
                "plan",
                "-f",
                "exported",
                "--embedded",
                "--output",
                "json",
                "--prune",
                "none",
            ])
            .env("SECRET_SUPPORT_KEY_VALUE", "canary-value")
            .output()
            .unwrap(),
    );
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert_eq!(plan.json()["operations"], json!([]), "{}", plan.stdout);
}

#[test]
fn a_saved_plan_is_for_what_was_last_applied() {
    let set = Set::new(ALL);
    set.apply(0, &[]);
    set.edit("Hello", "Welcome");
    set.run(0, &["plan", "--out", "plan.json"]);
    let saved: Value =
        serde_json::from_str(&std::fs::read_to_string(set.0.path("plan.json")).unwrap()).unwrap();
    assert_eq!(saved["operations"][0]["unseen"], true);
    set.put("prompts/greeting.md", "by hand\n");
    let stale = set.0.embedded(5, &["apply", "plan.json", "--yes"]);
    assert!(stale.stderr.contains("since it was last applied"), "{}", stale.stderr);
    set.put("prompts/greeting.md", "Hello\n");
    set.0.embedded(0, &["apply", "plan.json", "--yes"]);
    assert_eq!(set.text("prompts/greeting.md"), "Welcome\n");
}

#[test]
fn the_history_brings_back_texts_and_says_what_it_cannot() {
    let set = Set::new(ALL);
    set.apply(0, &[]);
    set.edit("Hello", "Welcome");
    set.apply(0, &[]);
    std::fs::write(set.0.path("set/logo.png"), [1_u8, 159]).unwrap();
    set.apply(0, &[]);
    let refused = set.run(6, &["plan", "--to", "1"]).stderr;
    assert!(
        refused.contains("what is in RoomFile/logo.png@lobby is not known any more"),
        "{refused}"
    );
    set.run(0, &["rollback", "--to", "1", "--yes", "--exclude", "RoomFile/logo.png@lobby"]);
    assert_eq!(set.text("prompts/greeting.md"), "Hello\n");
}

#[test]
fn mistakes_are_told_at_their_places() {
    let head = |kind: &str, name: &str| {
        format!("version: v1\nkind: {kind}\nproject: p\nmetadata: {{name: {name}}}\n")
    };
    let cases = [
        (head("RoomFile", "a") + "text: x\n", "set.yaml:1:1: no room is named"),
        (head("RoomFile", "a") + "rooms: []\ntext: x\n", "set.yaml:5:1: no room is named"),
        (head("RoomFile", "a") + "room: r\n", "nothing says what is in the file"),
        (
            head("RoomFile", "a") + "room: r\ntext: x\nfile: set.yaml\n",
            "a file has `text` or `file`, not both",
        ),
        (
            head("RoomFile", "a") + "room: r\nfile: none.txt\n",
            "set.yaml:6:1: failed to read none.txt",
        ),
        (
            head("RoomFile", "a") + "room: r\nfile: ../x\n",
            "not a path below the folder of the manifest",
        ),
        (
            head("RoomFile", "../a") + "room: r\ntext: x\n",
            "must be a path below the room's storage",
        ),
        (
            head("RoomFile", "a") + "room: r\ntext: x\nlifecycle: {overwrite: true}\n",
            "`overwrite` means nothing here",
        ),
        (
            head("RoomSecret", "a") + "room: r\nidentity: a/b\nvalue: {from: {env: HOME}}\n",
            "must not contain `/`",
        ),
        (head("RoomSecret", "a") + "room: r\nvalue: {from: {env: HOME}}\n", "identity"),
        (head("Document", "a.odd") + "room: r\n", "no schema goes with the name `a.odd`"),
        (
            head("Document", "a.document") + "room: r\ncontent: {book: {}}\n",
            "does not fit the schema",
        ),
        (head("Document", "a.x") + "room: r\nschema: {a: b}\n", "`schema` is not a schema"),
        (
            head("Table", "a") + "room: r\ncolumns: [{name: a, type: money}]\n",
            "set.yaml:6:21: there is no type \"money\"",
        ),
        (
            head("Table", "a") + "room: r\ncolumns: [{name: a, type: int}, {name: a, type: int}]\n",
            "two columns are called",
        ),
        (head("Table", "a") + "room: r\ncolumns: []\n", "columns"),
        (
            head("Table", "a/b") + "room: r\ncolumns: [{name: a, type: int}]\n",
            "`a/b` must not contain `/`",
        ),
        (
            head("Table", "a")
                + "room: r\ncolumns: [{name: a, type: int}]\nindexes: [{column: a, kind: full_text}]\n",
            "a full-text index is for columns of text, and this one is int",
        ),
        (
            head("Table", "a")
                + "room: r\ncolumns: [{name: a, type: int}]\nrows: [{a: 1}, {a: x}]\n",
            "set.yaml:7:17: `a`: a value of text is no int",
        ),
        (
            head("Table", "a") + "room: r\ncolumns: [{name: a, type: int}]\nkey: b\nrows: []\n",
            "the table has no column `b`",
        ),
        (
            head("Table", "a") + "room: r\ncolumns: [{name: a, type: int}]\nrows: {file: a.xml}\n",
            "failed to read a.xml",
        ),
        (head("Memory", "a") + "namespace: [b]\n", "no room is named"),
        (head("Memory", "a") + "room: r\nnamespace: [a/b]\n", "`a/b` must not contain `/`"),
        (
            head("RoomFile", "a.document")
                + "room: r\ntext: x\n---\n"
                + &head("Document", "a.document")
                + "room: r\n",
            "is the same file as RoomFile/a.document@r",
        ),
    ];
    for (text, said) in cases {
        let sandbox = Sandbox::new();
        std::fs::create_dir(sandbox.path("set")).unwrap();
        sandbox.write("set/set.yaml", &text);
        let run = sandbox.run(&["validate", "-f", "set"]);
        assert_eq!(run.code, 2, "{text}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
}
