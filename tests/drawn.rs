//! Graphs and pages: what is drawn, and that a browser runs and loads nothing of it.

use std::process::Command;

use crate::cli::Sandbox;
use crate::needs;

const SET: &str = "\
version: v1
kind: Room
metadata: {name: hall}
---
version: v1
kind: Mailbox
metadata: {name: hall@mail.meshagent.com}
room: hall
---
version: v1
kind: Secret
metadata: {name: s}
type: keys
data: {TOKEN: {from: {file: token.txt}}}
---
version: v1
kind: Service
metadata: {name: bot}
room: hall
container: {image: 'bot:1', secrets: [s]}
ports: [{num: 80, published: true, endpoints: []}]
---
version: v1
kind: Route
metadata: {name: bot.meshagent.app}
room: hall
port: '80'
";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("m")).unwrap();
    sandbox.write("m/set.yaml", SET);
    sandbox.write("m/token.txt", "canary");
    sandbox
}

fn graph(sandbox: &Sandbox, more: &[&str]) -> (String, String) {
    let run = sandbox.embedded(0, &[&["graph", "-f", "m"], more].concat());
    (run.stdout, run.stderr)
}

#[test]
fn an_arrow_that_others_say_already_is_left_out() {
    let (plan, _) = graph(&sandbox(), &[]);
    let number = |label: &str| {
        let line = plan.lines().find(|line| line.contains(label));
        line.unwrap_or_else(|| panic!("{label}: {plan}")).trim().split('[').next().unwrap()
    };
    let has =
        |from: &str, to: &str| plan.contains(&format!("{} --> {}\n", number(from), number(to)));
    assert!(has("Room/hall", "Service/bot") && has("Secret/s", "Service/bot"), "{plan}");
    // The route refers to the room, and to the service, which is in the room.
    assert!(has("Service/bot", "Route/bot") && !has("Room/hall", "Route/bot"), "{plan}");
}

#[test]
fn a_set_as_it_is_is_drawn_on_request() {
    let sandbox = sandbox();
    sandbox.embedded(0, &["apply", "-f", "m", "--yes"]);
    let (nothing, told) = graph(&sandbox, &[]);
    assert!(!nothing.contains("hall"), "{nothing}");
    assert!(told.contains("nothing would change; --all draws the whole set"), "{told}");
    let (all, told) = graph(&sandbox, &["--all"]);
    assert_eq!(all.matches(" --> ").count(), 4, "{all}");
    assert!(all.contains("[\"Room/hall\"]") && !told.contains("--all"), "{all}{told}");
    // What changes says so, and what leaves the set is drawn, too.
    let (first, rest) = SET.split_once("---\n").unwrap();
    let (_, rest) = rest.split_once("---\n").unwrap();
    sandbox.write("m/set.yaml", &format!("{first}room_metadata: {{a: b}}\n---\n{rest}"));
    let (all, _) = graph(&sandbox, &["--all"]);
    for label in ["update Room/hall", "delete Mailbox/", "\"Service/bot@hall\""] {
        assert!(all.contains(label), "{label}: {all}");
    }
}

#[test]
fn drawings_show_every_operation() {
    let sandbox = sandbox();
    for language in ["svg", "html"] {
        let (drawn, _) = graph(&sandbox, &["--language", language]);
        for label in ["Room&#x2f;hall", "Service&#x2f;bot@hall", "Route&#x2f;bot.meshagent.app"] {
            assert!(drawn.contains(&format!(">create {label}")), "{label}: {drawn}");
        }
        assert_eq!(drawn.matches("marker-end").count(), 4, "{drawn}");
    }
    let page = sandbox.embedded(0, &["plan", "-f", "m", "--output", "html"]).stdout;
    assert_eq!(page.matches("<details id=").count(), 5, "{page}");
    for told in ["5 to create", "<svg ", "default-src 'none'", "container.image", "(secret)"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains("canary"), "{page}");
}

/// The fault: a room that nobody has made was drawn like one that is there.
#[test]
fn of_a_set_is_drawn_what_is_there_or_will_be() {
    let sandbox = Sandbox::new();
    let room = |name: &str| format!("version: v1\nkind: Room\nmetadata: {{name: {name}}}\n");
    std::fs::create_dir(sandbox.path("m")).unwrap();
    for name in ["r1", "r2", "r3"] {
        sandbox.write(&format!("m/{name}.yaml"), &room(name));
    }
    sandbox.embedded(0, &["apply", "-f", "m", "--yes"]);
    sandbox.write("m/r1.yaml", &room("other"));
    let drawn = |more: &[&str]| {
        let run = sandbox.embedded(0, &[&["graph", "--all", "-f", "m"], more].concat());
        let labels = run.stdout.lines().filter_map(|line| line.split('"').nth(1));
        labels.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(drawn(&["--target", "Room/r2"]), ["Room/r2"]);
    assert_eq!(drawn(&[]), ["create Room/other", "delete Room/r1", "Room/r2", "Room/r3"]);
    assert_eq!(drawn(&["--prune", "none"]), ["create Room/other", "Room/r1", "Room/r2", "Room/r3"]);
}

#[test]
fn a_browser_opens_a_page_as_it_is_meant() {
    if !needs::programs("pages of plans", &["chromium"]) {
        return;
    }
    let sandbox = sandbox();
    let markup = "</summary><script>document.title = 1</script><img src=x onerror=\\\"document.title = 2\\\">";
    let set = SET.replace(
        "{name: hall}\n---",
        &format!("{{name: hall}}\nroom_metadata: {{a: \"{markup}\"}}\n---"),
    );
    sandbox.write("m/set.yaml", &set);
    let page = sandbox.embedded(0, &["plan", "-f", "m", "--output", "html"]).stdout;
    sandbox.write("page.html", &page);
    let profile = sandbox.path("profile");
    let shown = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-background-networking", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", sandbox.path("page.html").display()))
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let title = "<title>Plan for set default: default on the embedded platform</title>";
    assert!(shown.contains(title), "{shown}");
    assert!(shown.contains("&lt;script&gt;"), "{shown}");
    assert!(!shown.contains("<script") && !shown.contains("<img"), "{shown}");
    assert_eq!(shown.matches("<details id=").count(), 5, "{shown}");
}
