//! What cannot be accepted leaves its file as it is.

use super::{Sandbox, room, told, write};

const SERVICE: &str = "# the bot\nversion: v1\nkind: Service\nmetadata:\n  name: bot\n  description: answers\n\
                       room: front\nagents:\n  - name: bot\ncontainer:\n  image: x:1   # pinned\n  command: run it\n";

fn delete_service(sandbox: &Sandbox, room: &str) {
    let list = sandbox.embedded(0, &["service", "list", "--room", room, "-q"]);
    for id in list.stdout.lines() {
        sandbox.embedded(0, &["service", "delete", id, "--room", room]);
    }
}

/// Somebody gives the room another annotation.
fn move_team(sandbox: &Sandbox) {
    let annotations = "{\"team\": \"b\"}";
    let update = ["rooms", "update", "--name", "front", "--new-name", "front"];
    sandbox.embedded(0, &[&update[..], &["--annotations", annotations]].concat());
}

fn text(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.path("m.yaml")).unwrap()
}

#[test]
fn an_object_that_was_deleted_keeps_its_document_byte_for_byte() {
    let sandbox = Sandbox::new();
    let manifest = format!("{}---\n{SERVICE}", room("front"));
    write(&sandbox, "m.yaml", &manifest);
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
    delete_service(&sandbox, "front");
    for arguments in
        [&["accept", "-f", "m.yaml"][..], &["accept", "-f", "m.yaml", "Service/bot@front"]]
    {
        let left = sandbox.embedded(1, arguments);
        assert_eq!(left.stdout, "");
        told(&left, "not accepted: Service/bot@front: it was deleted on the platform");
        told(&left, "no field was accepted");
        assert_eq!(text(&sandbox), manifest);
    }
}

#[test]
fn what_drifted_beside_it_is_accepted() {
    let sandbox = Sandbox::new();
    let both = SERVICE.replace("room: front", "rooms: [front, back]");
    let rooms = room("front") + "  annotations: {team: a}\n";
    let manifest = format!("{rooms}---\n{}---\n{both}", room("back"));
    write(&sandbox, "m.yaml", &manifest);
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
    delete_service(&sandbox, "back");
    move_team(&sandbox);
    let accepted = sandbox.embedded(1, &["accept", "-f", "m.yaml"]);
    told(&accepted, "not accepted: Service/bot@back: it was deleted on the platform");
    assert_eq!(text(&sandbox), manifest.replace("team: a", "team: b"));
}

#[test]
fn secrets_are_not_read_for_it_and_line_ends_stay() {
    let sandbox = Sandbox::new();
    let secret =
        "version: v1\nkind: Secret\nmetadata: {name: s}\ntype: keys\ndata: {A: {from: {env: A}}}\n";
    let room = room("front") + "  annotations: {team: a}\n";
    let manifest = format!("{room}...\n{secret}").replace('\n', "\r");
    write(&sandbox, "m.yaml", &manifest);
    let apply = ["apply", "-f", "m.yaml", "--yes", "--embedded"];
    let applied = sandbox.command(&apply).env("A", "a").output().unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    move_team(&sandbox);
    sandbox.embedded(0, &["accept", "-f", "m.yaml"]);
    assert_eq!(text(&sandbox), manifest.replace("team: a", "team: b"));
}
