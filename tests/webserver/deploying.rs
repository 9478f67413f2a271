//! `webserver spec` and `webserver deploy`, against the embedded platform.

use std::os::unix::fs::symlink;

use serde_json::Value;

use super::{ROUTES, Run, Sandbox, read, run, site};

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
    let shown = deploy(&sandbox, 0, &[&DOMAIN[..], &["--dry-run"]].concat());
    assert!(
        all.iter().all(|name| shown.stdout.contains(&format!("  {name} -> /website/{name}\n")))
    );
    assert!(shown.stdout.contains("+ create Service/web@demo"), "{}", shown.stdout);
    assert!(shown.stdout.contains("+ create Route/site.meshagent.app"), "{}", shown.stdout);
    assert_eq!((files(&sandbox, "demo"), services(&sandbox).len()), (String::new(), 0));

    let first = deploy(&sandbox, 0, &DOMAIN);
    assert!(first.stderr.contains("what is hidden here is served there: public/.env"));
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
    let again = deploy(&sandbox, 0, &DOMAIN);
    assert_eq!(again.stdout, first.stdout);
    assert!(again.stderr.contains("updated Service/web\n"), "{}", again.stderr);
    assert!(again.stderr.ends_with("route is there already: site.meshagent.app -> demo:8000\n"));
    assert_eq!(show("public/index.html"), "new\n");
    let moved = deploy(&sandbox, 0, &[&DOMAIN[..], &["--web-port", "9000"]].concat());
    assert!(moved.stderr.ends_with("updated route: site.meshagent.app -> demo:9000\n"));
    assert_eq!((services(&sandbox).len(), &route(&sandbox)["port"]), (1, &"9000".into()));
    let report = deploy(&sandbox, 0, &[&DOMAIN[..], &["--report", "report.json"]].concat());
    assert!(report.stderr.ends_with("updated route: site.meshagent.app -> demo:8000\n"));
    assert!(read(&sandbox, "report.json").contains("Service/web@demo"));
    deploy(&sandbox, 6, &["--report", "public/index.html"]);
    let wait = deploy(&sandbox, 7, &["--wait=1s"]);
    assert!(wait.stderr.contains("the embedded platform has no containers"), "{}", wait.stderr);
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
        ("pipe", "is a pipe, not a file"),
    ] {
        let path = sandbox.path("site/public").join(place);
        match place {
            "out" => symlink(&target, &path).unwrap(),
            "css/up" => symlink("../../../webserver.yaml", &path).unwrap(),
            "folder" => symlink("css", &path).unwrap(),
            "loop" => symlink("loop", &path).unwrap(),
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
    let sandbox = with_rooms();
    // A folder has the place of the second file.
    let copy = ["room", "storage", "cp", "public/index.html", "--room", "demo"];
    let to = ["room://website/public/index.html/deep.txt"];
    sandbox.embedded(0, &[&copy[..], &to].concat());
    let failed = deploy(&sandbox, 4, &DOMAIN);
    assert_eq!(failed.stdout, "");
    let told = "warning: 1 of 3 files were uploaded; the service and the domain are as they were; \
                the same command, run again, goes on\n";
    assert!(failed.stderr.contains(told), "{}", failed.stderr);
    assert!(failed.stderr.contains("failed to copy "), "{}", failed.stderr);
    assert!(services(&sandbox).is_empty());
    let remove = ["room", "storage", "rm", "-r", "room://website/public", "--room", "demo"];
    sandbox.embedded(0, &remove);
    deploy(&sandbox, 0, &DOMAIN);
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
