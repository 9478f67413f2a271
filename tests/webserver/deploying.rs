//! `webserver spec` and `webserver deploy`, against the embedded platform.

use std::os::unix::fs::symlink;

use serde_json::Value;

use super::{ROUTES, Run, Sandbox, read, run, site};
use crate::needs;

const DEPLOY: [&str; 9] = [
    "webserver",
    "deploy",
    "--no-import",
    "--room",
    "demo",
    "--agent-name",
    "web",
    "--website-path",
    "/website",
];

const DOMAIN: [&str; 2] = ["--domain", "Site.meshagent.app"];

/// A site with a platform that has two rooms.
fn with_rooms() -> Sandbox {
    let sandbox = site();
    for room in ["demo", "other"] {
        sandbox.embedded(0, &["rooms", "create", "--name", room]);
    }
    sandbox
}

#[track_caller]
fn deploy(sandbox: &Sandbox, code: i32, more: &[&str]) -> Run {
    sandbox.embedded(code, &[&DEPLOY[..], more].concat())
}

/// The files of a room.
fn files(sandbox: &Sandbox, room: &str) -> String {
    let words = ["room", "storage", "ls", "-r", "-q", "room://", "--room", room];
    sandbox.run(&[&words[..], &["--embedded"]].concat()).stdout
}

fn services(sandbox: &Sandbox) -> Vec<Value> {
    let listed = sandbox.embedded(0, &["service", "list", "--room", "demo", "-o", "json"]);
    listed.json()["services"].as_array().unwrap().clone()
}

fn route(sandbox: &Sandbox) -> Value {
    let listed = sandbox.embedded(0, &["route", "list", "-o", "json"]).json();
    listed["routes"][0].clone()
}

/// The service that is printed.
fn spec(sandbox: &Sandbox, more: &[&str]) -> Value {
    let words = ["spec", "--no-import", "--agent-name", "web", "--website-path", "/website"];
    serde_yaml::from_str(&run(sandbox, 0, &[&words[..], more].concat()).stdout).unwrap()
}

#[test]
fn a_website_is_deployed_and_deployed_again() {
    let sandbox = with_rooms();
    std::fs::create_dir_all(sandbox.path("public/ö d")).unwrap();
    std::fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.write("public/ö d/%2e?#.txt", "odd");
    symlink("../index.html", sandbox.path("public/ö d/link.html")).unwrap();
    sandbox.write("public/.env", "served");
    sandbox
        .write("webserver.yaml", &format!("{ROUTES}- path: /empty # none\n  static: ./empty/\n"));
    let all = [
        "handlers/home.py",
        "empty/.meshagent.keep",
        "public/.env",
        "public/index.html",
        "public/ö d/%2e?#.txt",
        "public/ö d/link.html",
        "webserver.yaml",
    ];
    let refused = deploy(&sandbox, 2, &["--dry-run"]).stderr;
    assert!(refused.contains("add --allow-hidden"), "{refused}");
    let domain = [&DOMAIN[..], &["--allow-hidden"]].concat();
    let shown = deploy(&sandbox, 0, &[&domain[..], &["--dry-run"]].concat());
    assert!(
        all.iter().all(|name| shown.stdout.contains(&format!("  {name} -> /website/{name}\n")))
    );
    assert!(shown.stdout.contains("+ create Service/web@demo"), "{}", shown.stdout);
    assert!(shown.stdout.contains("+ create Route/site.meshagent.app"), "{}", shown.stdout);
    assert_eq!((files(&sandbox, "demo"), services(&sandbox).len()), (String::new(), 0));

    let first = deploy(&sandbox, 0, &domain);
    assert!(
        first.stderr.contains("warning: everybody could read what is hidden here: public/.env")
    );
    assert!(first.stderr.ends_with("created route: site.meshagent.app -> demo:8000\n"));
    let there = files(&sandbox, "demo");
    assert!(all.iter().all(|name| there.contains(&format!("website/{name}\n"))), "{there}");
    let show = |name: &str| {
        let path = format!("room://website/{name}");
        sandbox.embedded(0, &["room", "storage", "show", &path, "--room", "demo"]).stdout
    };
    assert_eq!((&*show("public/ö d/%2e?#.txt"), &*show("public/ö d/link.html")), ("odd", "hi\n"));
    let routes: Value = serde_yaml::from_str(&show("webserver.yaml")).unwrap();
    assert_eq!(routes["routes"][2]["static"], "empty");
    assert_eq!(routes["routes"][0]["methods"], serde_json::json!(["GET"]));
    let id = first.stdout.trim();
    assert_eq!(services(&sandbox)[0]["id"], id);

    sandbox.write("public/index.html", "new\n");
    let again = deploy(&sandbox, 0, &domain);
    assert_eq!(again.stdout, first.stdout);
    assert!(again.stderr.contains("updated Service/web\n"), "{}", again.stderr);
    assert!(again.stderr.ends_with("route is there already: site.meshagent.app -> demo:8000\n"));
    assert_eq!(show("public/index.html"), "new\n");
    let moved = deploy(&sandbox, 0, &[&domain[..], &["--web-port", "9000"]].concat());
    assert!(moved.stderr.ends_with("updated route: site.meshagent.app -> demo:9000\n"));
    assert_eq!((services(&sandbox).len(), &route(&sandbox)["port"]), (1, &"9000".into()));
    let report = deploy(&sandbox, 0, &[&domain[..], &["--report", "report.json"]].concat());
    assert!(report.stderr.ends_with("updated route: site.meshagent.app -> demo:8000\n"));
    let report: Value = serde_json::from_str(&read(&sandbox, "report.json")).unwrap();
    let done = report["outcomes"].as_array().unwrap();
    let done: Vec<_> = done.iter().map(|it| (&it["address"], &it["status"])).collect();
    let address = |text: &str| Value::from(text);
    assert_eq!(
        done,
        [
            (&address("Service/web@demo"), &address("done")),
            (&address("Route/site.meshagent.app"), &address("done"))
        ]
    );
    assert_eq!(report["files"].as_array().unwrap().len(), all.len());
    let shown = sandbox.run(&["show", "report.json"]);
    assert!(shown.stdout.starts_with("uploaded: 7 of 7 files\n"), "{}", shown.stdout);
    deploy(&sandbox, 6, &["--allow-hidden", "--report", "public/index.html"]);
    let wait = deploy(&sandbox, 7, &["--allow-hidden", "--wait=1s"]);
    assert!(wait.stderr.contains("cannot run it: no containers run here"), "{}", wait.stderr);
}

#[test]
fn a_file_of_json_stays_one() {
    let sandbox = with_rooms();
    let routes =
        r#"{"kind": "WebServer", "version": "v1", "routes": [{"path": "/", "static": "on"}]}"#;
    sandbox.write("site.json", routes);
    sandbox.write("on", "hi");
    deploy(&sandbox, 0, &["-f", "site.json"]);
    let show = ["room", "storage", "show", "room://website/site.json", "--room", "demo"];
    assert_eq!(sandbox.embedded(0, &show).json(), serde_json::from_str::<Value>(routes).unwrap());
}

#[test]
fn manifests_declare_what_was_deployed() {
    let sandbox = with_rooms();
    for _ in 0..2 {
        let printed = deploy(&sandbox, 0, &[&DOMAIN[..], &["--as-manifest"]].concat());
        assert!(
            printed.stderr.contains("2 files would") || printed.stderr.contains("3 files would")
        );
        sandbox.write("site.manifest.yaml", &printed.stdout);
        deploy(&sandbox, 0, &DOMAIN);
        let printed = [&["webserver", "spec"], &DEPLOY[2..3], &DEPLOY[5..]].concat();
        sandbox.write("service.yaml", &sandbox.run(&printed).stdout);
        assert_eq!(sandbox.run(&["service", "validate", "-f", "service.yaml"]).code, 0);
        let plan = ["plan", "-f", "site.manifest.yaml", "--adopt", "-o", "json"];
        let plan = sandbox.embedded(0, &plan).json();
        let operations = plan["operations"].as_array().unwrap();
        assert_eq!(operations.len(), 2);
        for operation in operations {
            assert_eq!(operation["action"], "adopt");
            assert_eq!(operation["changes"].as_array().unwrap().len(), 1, "{operation}");
        }
    }
}

#[test]
fn what_is_refused_is_refused_before_anything_is_written() {
    let sandbox = with_rooms();
    let create = ["route", "create", "--domain", "taken.meshagent.app", "--room", "other"];
    sandbox.embedded(0, &[&create[..], &["--port", "80"]].concat());
    let taken = ["--domain", "taken.meshagent.app"];
    let refused = deploy(&sandbox, 2, &taken);
    assert!(refused.stderr.contains("leads to the room other already, so nothing was written"));
    assert!(
        refused
            .stderr
            .contains("`meshagent route update taken.meshagent.app --room demo --port 8000`")
    );
    deploy(&sandbox, 2, &[&taken[..], &["--dry-run"]].concat());
    assert!(deploy(&sandbox, 2, &["--domain", "https://x"]).stderr.contains("--domain "));
    assert!(
        deploy(&sandbox, 1, &["--secret", "none"]).stderr.contains("there is no secret `none`")
    );
    let told = deploy(&sandbox, 1, &["--room", "nowhere"]).stderr;
    assert!(told.contains("room \"nowhere\" does not exist"), "{told}");
    let without = [&DEPLOY[..3], &DEPLOY[5..]].concat();
    for (more, told) in
        [(&[][..], "--website-path needs the room"), (&taken, "--domain needs the room")]
    {
        let ran = sandbox.embedded(2, &[&without[..], more].concat());
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
    let warned = deploy(&sandbox, 0, &["--domain", "my.example.com", "--dry-run"]).stderr;
    assert!(
        warned.contains("warning: my.example.com does not end with .meshagent.app"),
        "{warned}"
    );
    assert_eq!((files(&sandbox, "demo"), services(&sandbox).len()), (String::new(), 0));
}

#[test]
fn only_what_is_in_the_folder_is_uploaded() {
    let outside = Sandbox::new();
    outside.write("secret", "s");
    let sandbox = site();
    std::fs::create_dir_all(sandbox.path("site/public/css")).unwrap();
    let target = outside.path("secret");
    for (place, what) in [
        ("out", "is a link that leads out of its folder"),
        ("css/up", "is a link that leads out of its folder"),
        ("folder", "is a link to a folder"),
        ("loop", "failed to look at site/public/loop"),
        ("dangling", "site/public/dangling is a link that leads nowhere"),
        ("pipe", "is a pipe, not a file"),
    ] {
        let path = sandbox.path("site/public").join(place);
        match place {
            "out" => symlink(&target, &path).unwrap(),
            "css/up" => symlink("../../../webserver.yaml", &path).unwrap(),
            "folder" => symlink("css", &path).unwrap(),
            "loop" => symlink("loop", &path).unwrap(),
            "dangling" => symlink("none", &path).unwrap(),
            _ => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
        }
        sandbox.write(
            "webserver.yaml",
            "kind: WebServer\nversion: v1\nroutes: [{path: /, static: site/public}]\n",
        );
        let words = ["spec", "--agent-name", "w", "--website-path", "/w"];
        let told = run(&sandbox, 2, &words).stderr;
        assert!(told.contains(what), "{place}: {told}");
        std::fs::remove_file(path).unwrap();
    }
    symlink(&target, sandbox.path("link")).unwrap();
    symlink(outside.path(""), sandbox.path("linked")).unwrap();
    let odd = "kind: WebServer\nversion: v1\nroutes: [{path: /, static: SOURCE}]\n";
    for (source, what) in [
        ("../", "is not below the current folder"),
        (".", "the source is the current folder itself"),
        ("/", "the source is the current folder itself"),
        ("link", "is a link that leads out of its folder"),
        ("linked", "is a link that leads out of its folder"),
        ("linked/secret", "is a link that leads out of its folder"),
        ("webserver.yaml", "is the name of the routes file, too"),
        ("/etc/passwd", "there is no etc/passwd"),
    ] {
        sandbox.write("webserver.yaml", &odd.replace("SOURCE", source));
        let told = run(&sandbox, 2, &["spec", "--agent-name", "w", "--website-path", "/w"]).stderr;
        assert!(told.contains(what), "{source}: {told}");
    }
    use std::os::unix::ffi::OsStrExt;
    let odd_name = std::ffi::OsStr::from_bytes(b"\xff.txt");
    if std::fs::write(sandbox.path("public").join(odd_name), "x").is_ok() {
        sandbox.write("webserver.yaml", ROUTES);
        let told = run(&sandbox, 2, &["spec", "--agent-name", "w", "--website-path", "/w"]).stderr;
        assert!(told.contains("is not UTF-8"), "{told}");
    }
}

#[test]
fn a_failure_in_the_middle_says_what_is_done() {
    if !needs::programs("handlers", &["python3"]) {
        return;
    }
    let sandbox = with_rooms();
    sandbox.write("secret", "TOPSECRET");
    // Files are looked at before handlers are imported. One is exchanged there.
    let code = "import os\nos.symlink('../secret', 'new')\nos.rename('new', 'public/index.html')\n";
    sandbox.write("handlers/home.py", &format!("{code}{}", super::HANDLER));
    let words = [&DEPLOY[..2], &DEPLOY[3..], &["--report", "report.json"], &DOMAIN].concat();
    let failed = sandbox.embedded(4, &words);
    assert_eq!(failed.stdout, "");
    let told = " of 3 files were uploaded; the service and the domain are as they were; \
                the same command, run again, goes on\n";
    assert!(failed.stderr.contains(told), "{}", failed.stderr);
    assert!(failed.stderr.contains("failed to read public/index.html"), "{}", failed.stderr);
    assert!(services(&sandbox).is_empty());
    assert!(!files(&sandbox, "demo").contains("public/index.html"));
    let report: Value = serde_json::from_str(&read(&sandbox, "report.json")).unwrap();
    assert_eq!((&report["plan"], &report["error"]["code"]), (&Value::Null, &4.into()));
    let of = |name: &str, is_there: bool| serde_json::json!({"path": format!("/website/{name}"), "uploaded": is_there});
    assert_eq!(report["files"][0], of("handlers/home.py", true));
    assert_eq!(report["files"][1], of("public/index.html", false));
    std::fs::remove_file(sandbox.path("public/index.html")).unwrap();
    sandbox.write("public/index.html", "hi\n");
    deploy(&sandbox, 0, &DOMAIN);
    let words = [&DEPLOY[..3], &["--report", "report.json"], &DEPLOY[5..], &["--room", "none"]];
    sandbox.embedded(1, &words.concat());
    let report: Value = serde_json::from_str(&read(&sandbox, "report.json")).unwrap();
    assert_eq!(report["error"]["code"], 1);
}

#[test]
fn what_is_in_the_way_in_the_room_is_told_before_the_first_byte() {
    let sandbox = with_rooms();
    let copy = |from: &str, to: &str| {
        let to = format!("room://website/{to}");
        sandbox.embedded(0, &["room", "storage", "cp", from, &to, "--room", "demo"]);
    };
    let remove = |told: &str| {
        let command = told.split("hint: `meshagent ").nth(1).unwrap().split('`').next().unwrap();
        sandbox.embedded(0, &command.split(' ').collect::<Vec<_>>());
    };
    copy("public/index.html", "public/index.html/deep.txt");
    copy("public/index.html", "handlers");
    for _ in 0..2 {
        let before = files(&sandbox, "demo");
        let told = deploy(&sandbox, 1, &["--dry-run"]).stderr;
        assert_eq!(deploy(&sandbox, 1, &[]).stderr, told);
        assert!(told.contains(" here, so nothing was written\n"), "{told}");
        assert_eq!(files(&sandbox, "demo"), before);
        remove(&told);
    }
    deploy(&sandbox, 0, &[]);
    let file = ["--website-path", "/website/webserver.yaml/x"];
    let told = sandbox.embedded(1, &[&DEPLOY[..7], &file].concat()).stderr;
    assert!(told.contains("/website/webserver.yaml is a file in the room, and a folder here"));
}

#[test]
fn what_is_gone_here_and_still_served_is_told() {
    let sandbox = with_rooms();
    sandbox.write("public/.env", "A=b");
    std::fs::create_dir(sandbox.path("public/old")).unwrap();
    sandbox.write("public/old/a", "a");
    std::fs::create_dir(sandbox.path("public/.well-known")).unwrap();
    sandbox.write("public/.well-known/x", "x");
    deploy(&sandbox, 0, &["--allow-hidden"]);
    std::fs::remove_file(sandbox.path("public/.env")).unwrap();
    std::fs::remove_dir_all(sandbox.path("public/old")).unwrap();
    let first = "what is gone here is still served (2): /website/public/.env, /website/public/old/\n\
        \x20 `meshagent room storage rm --room demo room://website/public/.env` removes it\n\
        \x20 `meshagent room storage rm -r --room demo room://website/public/old` removes it\n";
    for more in [&["--dry-run"][..], &[]] {
        let told = deploy(&sandbox, 0, more).stderr;
        assert!(told.contains(&format!("warning: {first}")), "{told}");
    }
    for (name, more) in [("public/.env", ""), ("public/old", "-r")] {
        let path = format!("room://website/{name}");
        let words = ["room", "storage", "rm", &path, "--room", "demo", more];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        sandbox.embedded(0, &words);
    }
    assert!(!deploy(&sandbox, 0, &[]).stderr.contains("still served"));
}

#[test]
fn what_a_website_does_to_its_neighbours_is_told() {
    let sandbox = with_rooms();
    deploy(&sandbox, 0, &DOMAIN);
    let second = |code: i32, more: &[&str]| {
        let words = ["webserver", "deploy", "--no-import", "--room", "demo", "--agent-name", "two"];
        sandbox.embedded(code, &[&words[..], more].concat()).stderr
    };
    let note = "note: Service/web@demo and Service/two@demo both publish port 8000 in one room\n";
    for more in [&["--dry-run"][..], &["--as-manifest"], &[]] {
        let told = second(0, &[&["--website-path", "/two"], more].concat());
        assert!(told.contains(note) && !told.contains("mixed"), "{told}");
    }
    let moved = ["--website-path", "/website", "--web-port", "9", "--dry-run"];
    let told = second(0, &[&moved[..], &DOMAIN].concat());
    for part in [
        "note: Service/web@demo has its files in /website, too: the files of both are mixed there",
        "warning: site.meshagent.app leads to port 8000 of Service/web@demo until now, and will \
         lead to Service/two@demo\n",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!told.contains("both publish"), "{told}");
    let agent = ["chatbot", "deploy", "--room", "demo", "--agent-name", "two"];
    sandbox.embedded(0, &agent);
    let told = second(0, &["--website-path", "/two"]);
    let sort = "warning: Service/two@demo is an agent of the sort ChatBot until now; it becomes a \
                webserver, and nothing else of it stays\n";
    assert!(told.contains(sort), "{told}");
    assert!(!second(0, &["--website-path", "/two"]).contains("until now"));
}

#[test]
fn nobody_serves_what_is_hidden_without_saying_so() {
    let sandbox = site();
    for folder in [".git", ".meshagent", ".output", ".output/public", "public/.cache"] {
        std::fs::create_dir(sandbox.path(folder)).unwrap();
    }
    for name in [".git/config", ".meshagent/platform.key", ".env", "public/.cache/a"] {
        sandbox.write(name, "secret");
    }
    sandbox.write(".output/public/index.html", "hi");
    let link = |to: &str, name: &str| symlink(to, sandbox.path(name)).unwrap();
    link(".git/config", "info.txt");
    link(".git", "git");
    link(".env", "notes.txt");
    link(".output/public", "built");
    std::fs::create_dir_all(sandbox.path("inner/.git")).unwrap();
    sandbox.write("inner/.git/config", "secret");
    std::fs::create_dir(sandbox.path("linked")).unwrap();
    std::fs::create_dir(sandbox.path("linked/.x")).unwrap();
    sandbox.write("linked/.x/y", "secret");
    link(".x/y", "linked/plain");
    for (source, closed, hidden) in [
        ("info.txt", true, false),
        ("git", true, false),
        (".meshagent", true, false),
        ("inner", true, false),
        ("notes.txt", false, true),
        (".env", false, true),
        ("built", false, true),
        ("public", false, true),
        ("linked", false, true),
        (".output/public", false, false),
    ] {
        let text =
            format!("kind: WebServer\nversion: v1\nroutes: [{{path: /, static: {source}}}]\n");
        sandbox.write("webserver.yaml", &text);
        let deploy = [&DEPLOY[1..], &["--as-manifest", "--embedded=platform"]].concat();
        for more in [&[][..], &["--allow-hidden"]] {
            let ran = sandbox.run(&[&DEPLOY[..1], &deploy, more].concat());
            let told = format!("{source}: {}", ran.stderr);
            let is_closed = ran.stderr.contains("in which credentials lie");
            assert_eq!((is_closed, ran.code == 2 && is_closed), (closed, closed), "{told}");
            let is_told = ran.stderr.contains("everybody could read what is hidden here");
            assert_eq!(is_told, hidden, "{told}");
            assert_eq!(ran.code == 2, closed || hidden && more.is_empty(), "{told}");
        }
    }
}

#[test]
fn options_that_the_container_could_not_start_with_are_refused() {
    let sandbox = site();
    let spec = |code: i32, more: &[&str]| {
        let words = ["spec", "--no-import", "--agent-name", "web", "--website-path", "/w"];
        run(&sandbox, code, &[&words[..], more].concat()).stderr
    };
    for option in ["--web-host", "--service-name", "--agent-name"] {
        for value in ["", " "] {
            let words = [option, value];
            let more = if option == "--agent-name" { &["--secret", "s"][..] } else { &words };
            let told = match option {
                "--agent-name" => {
                    run(&sandbox, 2, &["spec", option, value, "--website-path", "/w"]).stderr
                }
                _ => spec(2, more),
            };
            assert!(told.contains("it must not be empty"), "{option}: {told}");
        }
    }
    let here = sandbox.path("").canonicalize().unwrap().join("public").display().to_string();
    for folder in [here.as_str(), "../x/../public"] {
        assert!(
            ["is a path of this machine", "failed to look at --app-dir"].iter().any(|what| spec(
                2,
                &["--app-dir", folder]
            )
            .contains(what))
        );
    }
    std::fs::create_dir(sandbox.path("lib")).unwrap();
    let told = spec(0, &["--app-dir", "lib"]);
    assert!(told.contains("warning: nothing in --app-dir lib is uploaded"), "{told}");
    assert!(!spec(0, &["--app-dir", "./handlers"]).contains("--app-dir"));
    // A room has no such names.
    sandbox.write("public/a\nb", "x");
    let told = spec(2, &[]);
    assert!(told.contains("public/a\\nb has a control character"), "{told}");
}

#[test]
fn the_container_runs_what_was_typed_where_it_is_reached() {
    let sandbox = site();
    let command = |more: &[&str]| {
        let service = spec(&sandbox, more);
        let command = service["container"]["command"].as_str().unwrap().to_owned();
        (
            command.replace("meshagent webserver join --agent-name web ", ""),
            service["ports"][0]["num"].clone(),
        )
    };
    assert_eq!(command(&[]), ("-f webserver.yaml".to_owned(), 8000.into()));
    // The reference adds a second -f to these.
    for form in ["-fwebserver.yaml", "-f=webserver.yaml"] {
        assert_eq!(command(&[form]).0, "-f webserver.yaml");
    }
    assert_eq!(
        command(&["--web-port=9", "--web-host", "::"]).0,
        "--port=9 --host :: -f webserver.yaml"
    );
    // The reference listens on 127.0.0.1 then, where nobody reaches it.
    let hostless = ROUTES.replace("host: 0.0.0.0\nport: 8000\n", "");
    sandbox.write("webserver.yaml", &hostless);
    assert_eq!(command(&[]), ("-f webserver.yaml --host 0.0.0.0".to_owned(), 8000.into()));
    assert_eq!(command(&["--web-host", "h"]).0, "--host h -f webserver.yaml");
    sandbox.write("webserver.yaml", &ROUTES.replace("0.0.0.0\nport: 8000", "localhost\nport: 70"));
    assert_eq!(command(&[]), ("-f webserver.yaml".to_owned(), 70.into()));
    let words = ["spec", "--no-import", "--agent-name", "w", "--website-path", "/w"];
    let told = run(&sandbox, 0, &words).stderr;
    assert!(told.contains("warning: the webserver listens on localhost"), "{told}");
    // From another folder, sources are where the routes file is, and the file goes by its name.
    std::fs::create_dir(sandbox.path("sub")).unwrap();
    sandbox.write(
        "sub/site.yaml",
        &hostless.replace("handlers/", "/handlers/").replace("public", "../public"),
    );
    assert_eq!(command(&["-f", "sub/site.yaml"]).0, "-f site.yaml --host 0.0.0.0");
}
