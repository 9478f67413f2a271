//! What release 0.31.4 printed and sent, as it was recorded.

use serde_json::Value;

use super::{ROUTES, Sandbox, read, run, site};
use crate::needs;

fn site_of_recordings() -> Sandbox {
    let sandbox = site();
    sandbox.write(
        "webserver.yaml",
        &ROUTES.replace(
            "- path: /assets\n  static: public\n",
            "- path: /i\n  static: public/index.html\n",
        ),
    );
    sandbox
}

#[test]
fn the_recorded_services_are_printed() {
    let Some(folder) = needs::beside("services of webservers", "contract/agents/golden") else {
        return;
    };
    let sandbox = site_of_recordings();
    for name in ["webserver-minimal", "webserver-full"] {
        let text = std::fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("# cmd: meshagent webserver "));
        let words = shlex::split(line.unwrap()).unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let printed = run(&sandbox, 0, &words).stdout;
        let (printed, expected): (Value, Value) =
            (serde_yaml::from_str(&printed).unwrap(), serde_yaml::from_str(&text).unwrap());
        assert_eq!(printed, expected, "{name}");
    }
}

/// Without `null`, which the reference sends and nobody stores.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(fields.map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_recorded_deployments_are_made() {
    let Some(folder) = needs::beside("deployed webservers", "contract/agents/golden") else {
        return;
    };
    for name in [
        "deploy-webserver-room",
        "deploy-webserver-domain-other-room",
        "deploy-webserver-domain-without-room",
        "err-webserver-root-path",
    ] {
        let text = std::fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
        let said = |begin: &str| text.lines().find_map(|line| line.strip_prefix(begin));
        let line = said("# cmd: meshagent ").unwrap().replace("--project-id proj1 ", "");
        let code: i32 = said("# rc: ").unwrap().parse().unwrap();
        let sandbox = site_of_recordings();
        for room in ["r1", "r2"] {
            sandbox.embedded(0, &["rooms", "create", "--name", room]);
        }
        let domain = ["--domain", "d.meshagent.app", "--room", "r2", "--port", "8000"];
        sandbox.embedded(0, &[&["route", "create"], &domain[..]].concat());
        let words = shlex::split(&line).unwrap();
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        if words[1] == "deploy" {
            words.push("--embedded");
        }
        let ran = sandbox.run(&words);
        assert_eq!(ran.code, code, "{name}: {}", ran.stderr);
        let list = ["room", "storage", "ls", "-r", "-q", "--room", "r1", "room://"];
        let files = sandbox.run(&[&list[..], &["--embedded"]].concat()).stdout;
        if code != 0 {
            // The reference has uploaded the files, and deployed the service, before it refuses.
            assert_eq!(files, "", "{name}");
            assert!(!text.contains("already routes") || ran.stderr.contains("the room r2 already"));
            continue;
        }
        for line in text.lines().filter_map(|line| line.strip_prefix("# stdout: ")) {
            if let Some((_, path)) = line.split_once(" -> /") {
                assert!(ran.stderr.contains(&format!("{line}\n")), "{line}: {}", ran.stderr);
                assert!(files.contains(&format!("{path}\n")), "{path}: {files}");
            }
        }
        assert!(ran.stderr.ends_with("created route: my-web.meshagent.app -> r1:8000\n"));
        let requests: Value = serde_yaml::from_str(&text).unwrap();
        let sent = plain(&requests["requests"][1]["body"]);
        let services = sandbox.embedded(0, &["service", "list", "--room", "r1", "-o", "json"]);
        let mut stored = plain(&services.json()["services"][0]);
        assert_eq!(stored["id"], ran.stdout.trim());
        stored.as_object_mut().unwrap().shift_remove("id");
        let whole = |spec: &Value| {
            let spec: meshagent::kinds::specs::service::ServiceSpec =
                serde_json::from_value(spec.clone()).unwrap();
            meshagent::kinds::service::fields_of(&spec)
        };
        assert_eq!(whole(&stored), whole(&sent));
    }
}

/// The recorded terminal: commands with what they print and how they end.
#[test]
fn the_recorded_commands_end_alike() {
    let Some(file) =
        needs::beside("commands of webservers", "contract/agents/golden-text/webserver-cli.txt")
    else {
        return;
    };
    let sandbox = Sandbox::new();
    for folder in ["public", "other"] {
        std::fs::create_dir(sandbox.path(folder)).unwrap();
    }
    let route = |text: &str| format!("kind: WebServer\nversion: v1\nroutes:\n- {text}\n");
    for (name, text) in [
        ("public/index.html", "hi".to_owned()),
        ("bad1.py", "METHOD = 'GET'\ndef handler(*, room, req): pass\n".to_owned()),
        ("bad2.py", "x = 1\n".to_owned()),
        ("bad3.py", "def handler(req): pass\n".to_owned()),
        ("bad4.py", "def handler(\n".to_owned()),
        ("boom.py", "import nosuchmodule\n".to_owned()),
        ("r1.yaml", "kind: WebServer\nversion: v1\nroutes: []\n".to_owned()),
        ("r2.yaml", "kind: WebServer\nversion: v2\nport: 70000\nextra: 1\nroutes: []\n".to_owned()),
        ("r3.yaml", route("path: /a")),
        ("r4.yaml", route("{path: /a, static: public, methods: [GET]}")),
        ("r5.yaml", route("{path: a, static: public}")),
        ("r6.yaml", route("{path: /a, python: boom.py}")),
        ("r7.yaml", "kind: WebServer\nroutes: [".to_owned()),
    ] {
        sandbox.write(name, &text);
    }
    let recorded = std::fs::read_to_string(file).unwrap();
    let mut compared = 0;
    for part in recorded.split("$ meshagent webserver ").skip(1) {
        let (line, printed) = part.split_once('\n').unwrap();
        let code = part.split("[exit ").nth(1).unwrap().split(']').next().unwrap();
        let mut words = shlex::split(line).unwrap();
        if line.ends_with("-m ") {
            words.push(String::new());
        }
        // Without Python nothing of this can be imported; that it is looked at is enough but here.
        let is_imported = line == "check -f r6.yaml";
        if is_imported && !needs::programs("handlers", &["python3"]) {
            continue;
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ran = run(&sandbox, code.parse().unwrap(), &words);
        if words[0] == "check" && code == "0" {
            // The reference prints paths from the root.
            let expected = printed.split("[exit").next().unwrap();
            assert_eq!(ran.stdout, expected.replace("<CWD>/", ""));
            let file: Value = serde_yaml::from_str(&read(&sandbox, "webserver.yaml")).unwrap();
            let theirs: Value =
                serde_yaml::from_str(part.split("[exit 0]").nth(1).unwrap().trim()).unwrap();
            assert_eq!(file, theirs);
        }
        compared += 1;
    }
    assert!(compared > 25, "{compared}");
    // The reference leaves what it began.
    assert!(!sandbox.path("a.py").exists());
}
