//! What is told of a set and keeps nothing from being done.

use crate::cli::Sandbox;

const ROOM: &str = "version: v1\nkind: Room\nmetadata: {name: lobby}\n---\n";

fn service(name: &str, room: Option<&str>, port: u16, published: bool) -> String {
    let room = room.map_or_else(String::new, |room| format!("room: {room}\n"));
    format!(
        "version: v1\nkind: Service\nmetadata: {{name: {name}}}\n{room}container: {{image: x}}\nports: [{{num: {port}, published: {published}}}]\n---\n"
    )
}

fn route(port: u16) -> String {
    format!(
        "version: v1\nkind: Route\nmetadata: {{name: a.example.com}}\nroom: lobby\nport: {port}\n---\n"
    )
}

fn task(schedule: &str) -> String {
    format!(
        "version: v1\nkind: ScheduledTask\nmetadata: {{name: t}}\nroom: lobby\nqueue: q\nschedule: {schedule}\n---\n"
    )
}

/// The notes of `validate`, and of a plan, which must say the same where nothing is there yet.
fn notes(text: &str) -> Vec<String> {
    let sandbox = Sandbox::with_platform();
    sandbox.write("m.yaml", text);
    let validated = sandbox.run(&["validate", "-f", "m.yaml"]);
    assert_eq!(validated.code, 0, "{}", validated.stderr);
    let planned = sandbox.embedded(0, &["plan", "-f", "m.yaml"]);
    assert_eq!(validated.stderr, planned.stderr);
    validated.stderr.lines().map(str::to_owned).collect()
}

#[test]
fn a_route_to_a_port_that_nothing_publishes_is_told() {
    let told = "note: Route/a.example.com leads to port 80 of the room \"lobby\", but no known service publishes it (m.yaml:7:1)";
    assert_eq!(notes(&format!("{ROOM}{}", route(80))), [told]);
    for services in [
        service("s", Some("lobby"), 81, true),
        service("s", Some("lobby"), 80, false),
        service("s", Some("other"), 80, true)
            + "version: v1\nkind: Room\nmetadata: {name: other}\n---\n",
    ] {
        let said = notes(&format!("{ROOM}{}{services}", route(80)));
        assert_eq!(said, [told]);
    }
    for services in [service("s", Some("lobby"), 80, true), service("s", None, 80, true)] {
        assert_eq!(notes(&format!("{ROOM}{}{services}", route(80))), [""; 0]);
    }
}

#[test]
fn a_port_that_two_services_of_a_room_publish_is_told() {
    let one = service("one", Some("lobby"), 8080, true);
    for (other, wanted) in [
        (service("two", Some("lobby"), 8080, true), "Service/one@lobby and Service/two@lobby"),
        (service("two", None, 8080, true), "Service/two and Service/one@lobby"),
    ] {
        let said = notes(&format!("{ROOM}{one}{other}"));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains(wanted) && said[0].contains("both publish port 8080"), "{said:?}");
    }
    for other in [
        service("two", Some("lobby"), 8081, true),
        service("two", Some("lobby"), 8080, false),
        service("two", Some("other"), 8080, true)
            + "version: v1\nkind: Room\nmetadata: {name: other}\n---\n",
    ] {
        assert_eq!(notes(&format!("{ROOM}{one}{other}")), [""; 0]);
    }
}

#[test]
fn what_is_on_the_platform_counts_in_a_plan() {
    let sandbox = Sandbox::new();
    sandbox.write("room.yaml", ROOM);
    sandbox.write("one.yaml", &service("one", Some("lobby"), 80, true));
    sandbox.embedded(0, &["apply", "-f", "room.yaml", "-f", "one.yaml", "--yes", "--set", "a"]);
    sandbox.write("two.yaml", &service("two", Some("lobby"), 80, true));
    let other = sandbox.embedded(0, &["plan", "-f", "two.yaml", "--set", "b"]);
    assert!(other.stderr.contains("Service/two@lobby and Service/one@lobby"), "{}", other.stderr);
    let both = sandbox.embedded(0, &["plan", "-f", "two.yaml", "--set", "a"]);
    assert!(both.stderr.contains("Service/two@lobby and Service/one@lobby"), "{}", both.stderr);
    // What goes, and what gets another name, publishes nothing any more.
    let one = service("one", Some("lobby"), 80, true);
    let unsaid = "note: Service/new@lobby is created and Service/one@lobby is deleted, and they are nearly the same; if it is one object under a new name, add `lifecycle: {moved_from: one}` to its document (m.yaml:7:1)\n";
    for (after, told) in [
        (service("new", Some("lobby"), 80, true), unsaid),
        (one.replace("name: one}", "name: new}\nlifecycle: {moved_from: one}"), ""),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("m.yaml", &format!("{ROOM}{one}"));
        sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
        sandbox.write("m.yaml", &format!("{ROOM}{after}"));
        assert_eq!(sandbox.embedded(0, &["plan", "-f", "m.yaml"]).stderr, told);
    }
}

#[test]
fn a_schedule_that_never_fires_is_told() {
    for never in ["0 0 31 2 *", "30 6 31 4,6 *"] {
        let said = notes(&format!("{ROOM}{}", task(never)));
        let wanted =
            "note: `schedule` of ScheduledTask/t names a day that never comes (m.yaml:10:1)";
        assert_eq!(said, [wanted], "{never}");
    }
    for some in ["0 0 29 2 *", "0 0 31 * *"] {
        assert_eq!(notes(&format!("{ROOM}{}", task(some))), [""; 0], "{some}");
    }
}
