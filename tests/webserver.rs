//! `webserver`: the routes file, the service that it becomes, and its files in the room.

mod deploying;
mod handlers;
mod recorded;

use crate::cli::{Run, Sandbox};

/// A sandbox with a folder of files, a handler and a routes file that names both.
pub fn site() -> Sandbox {
    let sandbox = Sandbox::new();
    for folder in ["public", "handlers"] {
        std::fs::create_dir(sandbox.path(folder)).unwrap();
    }
    sandbox.write("public/index.html", "hi\n");
    sandbox.write("handlers/home.py", HANDLER);
    sandbox.write("webserver.yaml", ROUTES);
    sandbox
}

/// A handler that needs no package.
pub const HANDLER: &str = "async def handler(*, room, req):\n    return None\n";

pub const ROUTES: &str = "kind: WebServer\nversion: v1\nhost: 0.0.0.0\nport: 8000\nroutes:\n\
    - path: /\n  python: handlers/home.py\n- path: /assets\n  static: public\n";

/// Runs a command of `webserver`, which ends with this code.
#[track_caller]
pub fn run(sandbox: &Sandbox, code: i32, words: &[&str]) -> Run {
    let run = sandbox.run(&[&["webserver"], words].concat());
    assert_eq!(run.code, code, "{words:?}\n{}{}", run.stdout, run.stderr);
    run
}

/// What a file holds.
pub fn read(sandbox: &Sandbox, name: &str) -> String {
    std::fs::read_to_string(sandbox.path(name)).unwrap()
}

#[test]
fn a_route_is_added_and_everything_else_stays() {
    const ADDED: &[&str] = &["add", "--path", "/n", "--static", "public", "-f", "r.yaml"];
    let sandbox = site();
    let begin = "kind: WebServer\nversion: v1\n";
    let block = "- path: /n\n  static: public\n";
    for (before, after) in [
        (
            "routes: [] # none yet\n# end\n",
            "routes: # none yet\n  - path: /n\n    static: public\n# end\n",
        ),
        ("routes: []", "routes:\n  - path: /n\n    static: public"),
        (
            "routes:\n# one\n- path: /a # a\n  static: a\n# end\nport: 80\n",
            "routes:\n# one\n- path: /a # a\n  static: a\n- path: /n\n  static: public\n# end\nport: 80\n",
        ),
        (
            "routes: [{path: /a, static: a}]\n",
            "routes: [{path: /a, static: a}, {path: /n, static: public}]\n",
        ),
        (
            "routes: [\n  {path: /a, static: a}, # one\n]\n",
            "routes: [\n  {path: /a, static: a}, # one\n  {path: /n, static: public},\n]\n",
        ),
        (
            "routes:\n- &a {path: /a, static: a}\n- <<: *a\n  path: /b\n",
            &format!("routes:\n- &a {{path: /a, static: a}}\n- <<: *a\n  path: /b\n{block}"),
        ),
        (
            "routes: &r\n- path: /a\n  static: >\n    a\n",
            &format!("routes: &r\n- path: /a\n  static: >\n    a\n{block}"),
        ),
    ] {
        for (line_feed, mark) in [("\n", ""), ("\r\n", ""), ("\n", "\u{feff}")] {
            let whole = |text: &str| format!("{mark}{begin}{text}").replace('\n', line_feed);
            sandbox.write("r.yaml", &whole(before));
            run(&sandbox, 0, ADDED);
            assert_eq!(read(&sandbox, "r.yaml"), whole(after));
        }
    }
    let json = r#"{"kind": "WebServer", "version": "v1", "routes": []}"#;
    sandbox.write("r.yaml", json);
    run(&sandbox, 0, ADDED);
    assert_eq!(
        read(&sandbox, "r.yaml"),
        json.replace("[]", r#"[{"path": "/n", "static": "public"}]"#)
    );
}

#[test]
fn what_cannot_be_added_leaves_everything_as_it_is() {
    let sandbox = site();
    let begin = "kind: WebServer\nversion: v1\n";
    for (text, code, told) in [
        ("routes:\n- path: /n\n  static: a\n", 2, "/n has a static route already"),
        ("routes: !!seq []\n", 1, "hint: add it by hand: {\"path\":\"/n\",\"static\":\"public\"}"),
        ("route: []\n", 2, "hint: did you mean `routes`?"),
        ("routes: []\n---\na: 1\n", 2, "r.yaml:5:1: a routes file is one document"),
    ] {
        let whole = format!("{begin}{text}");
        sandbox.write("r.yaml", &whole);
        let told_here =
            run(&sandbox, code, &["add", "--path", "/n", "--static", "public", "-f", "r.yaml"]);
        assert!(told_here.stderr.contains(told), "{}", told_here.stderr);
        assert_eq!(read(&sandbox, "r.yaml"), whole);
    }
    // The reference leaves a handler or a file behind.
    for words in [
        &["--path", "/x", "--python", "new/a.py", "-m", ""][..],
        &["--path", "/x", "--python", "new/a.txt"],
        &["--path", "/x", "--python", "new/a.py", "-m", "G T"],
        &["--path", "/", "--python", "new/a.py"],
        &["--path", "x", "--static", "public"],
        &["--path", "/x", "--static", " "],
        &["--path", "/x", "--static", "public", "-m", "GET"],
        &["--path", "/x", "--python", "handlers"],
        &["--path", "/x{", "--python", "new/a.py"],
        &["--path", "/x?y", "--python", "new/a.py"],
        &["--path", "/x", "--python", "new/a.py", "-m", "*", "-m", "get"],
        &["--path", "/assets/", "--static", "public"],
    ] {
        run(&sandbox, 2, &[&["add"], words].concat());
        run(
            &sandbox,
            2,
            &[&["add", "-f", "new/r.yaml"], &words[..2], &["--python", "x.txt"]].concat(),
        );
    }
    // What could not be deployed from here is not written.
    for name in ["../x.py", "../handlers/home.py", "a/../../x.py"] {
        let words = ["webserver", "add", "-f", "../webserver.yaml", "--path", "/x"];
        let name = format!("/{name}");
        let mut command = sandbox.command(&[&words[..], &["--python", &name]].concat());
        let ran = Run::of(command.current_dir(sandbox.path("public")).output().unwrap());
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(".py is not below the current folder"), "{}", ran.stderr);
    }
    assert!(!sandbox.path("x.py").exists());
    // One of the two files cannot be written, so neither is.
    let both = |file: &str, handler: &str| {
        run(&sandbox, 1, &["add", "--path", "/x", "--python", handler, "-f", file])
    };
    both("/proc/r.yaml", "/new/a.py");
    both("new/r.yaml", "/public/index.html/a.py");
    assert!(!sandbox.path("new").exists());
    assert_eq!(read(&sandbox, "webserver.yaml"), ROUTES);
    // A link of a checkout is not written through, wherever it leads.
    let elsewhere = Sandbox::new();
    std::fs::create_dir(sandbox.path("inside")).unwrap();
    let link = sandbox.path("inside/webserver.yaml");
    std::os::unix::fs::symlink(elsewhere.path("stolen.yaml"), &link).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(""), sandbox.path("inside/handlers")).unwrap();
    sandbox.write("inside/r.yaml", ROUTES);
    for words in [
        &["init", "--force"][..],
        &["add", "--path", "/n", "--static", "x"],
        &["add", "--path", "/n", "--python", "handlers/new.py", "-f", "r.yaml"],
    ] {
        let mut command = sandbox.command(&[&["webserver"], words].concat());
        let output = command.current_dir(sandbox.path("inside")).output().unwrap();
        assert!(!output.status.success(), "{words:?}");
    }
    assert_eq!(std::fs::read_dir(elsewhere.path("")).unwrap().count(), 0);
}

#[test]
fn a_file_to_begin_with_is_written_once() {
    let sandbox = Sandbox::new();
    let told = run(&sandbox, 0, &["init", "-f", "a/site.yaml"]);
    assert_eq!(told.stdout, "");
    assert!(told.stderr.starts_with("created a/site.yaml\n"), "{}", told.stderr);
    let text = "kind: WebServer\nversion: v1\nhost: 0.0.0.0\nport: 8000\nroutes: []\n";
    assert_eq!(read(&sandbox, "a/site.yaml"), text);
    sandbox.write("a/site.yaml", "mine");
    assert!(run(&sandbox, 1, &["init", "-f", "a/site.yaml"]).stderr.contains("add --force"));
    assert_eq!(read(&sandbox, "a/site.yaml"), "mine");
    run(&sandbox, 0, &["init", "-f", "a/site.yaml", "--force"]);
    assert_eq!(read(&sandbox, "a/site.yaml"), text);
    run(&sandbox, 1, &["init", "-f", "a", "--force"]);
    // What the first lines propose works.
    run(&sandbox, 0, &["add", "-f", "a/site.yaml", "--path", "/", "--python", "handlers/home.py"]);
    run(&sandbox, 0, &["check", "-f", "a/site.yaml", "--no-import"]);
    let spec =
        ["spec", "-f", "a/site.yaml", "--agent-name", "w", "--website-path", "/w", "--no-import"];
    run(&sandbox, 0, &spec);
}

#[test]
fn files_of_strangers_are_refused_in_a_line() {
    let sandbox = Sandbox::new();
    let begin = "kind: WebServer\nversion: v1\n";
    let laughs: String = (1..30).fold("a0: &a0 [x, x, x, x]\n".to_owned(), |text, n| {
        let before = n - 1;
        text + &format!("a{n}: &a{n} [*a{before}, *a{before}, *a{before}, *a{before}]\n")
    });
    for (name, bytes) in [
        ("huge", vec![b' '; 2 * 1024 * 1024]),
        ("latin", b"kind: \xfc".to_vec()),
        ("nul", format!("{begin}routes: [{{path: /, static: \"a\\0b\"}}]").into_bytes()),
        ("laughs", format!("{begin}routes: []\n{laughs}").into_bytes()),
        ("deep", format!("{begin}routes: {}", "[".repeat(5000)).into_bytes()),
        (
            "absent",
            format!("{begin}routes: [{{path: /, static: ../../../../nowhere}}]").into_bytes(),
        ),
        ("tag", format!("{begin}routes: [{{path: /, static: !x y}}]").into_bytes()),
    ] {
        std::fs::write(sandbox.path(name), bytes).unwrap();
    }
    std::os::unix::fs::symlink("loop", sandbox.path("loop")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", sandbox.path("zero")).unwrap();
    std::fs::create_dir(sandbox.path("folder")).unwrap();
    let pipe = sandbox.path("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let all = [
        "huge", "latin", "nul", "laughs", "deep", "absent", "tag", "loop", "zero", "folder",
        "pipe", "none",
    ];
    for name in all {
        for words in [
            &["check", "-f", name][..],
            &["add", "--path", "/x", "--python", "x.py", "-f", name],
            &["spec", "--agent-name", "w", "--website-path", "/w", "-f", name],
        ] {
            let is_missing = name == "none" || name == "absent";
            if words[0] == "add" && is_missing {
                continue;
            }
            let told = run(&sandbox, 2, words);
            assert_eq!(told.stdout, "");
            assert!(told.stderr.lines().count() < 9, "{name}: {}", told.stderr);
        }
    }
    assert!(!sandbox.path("x.py").exists());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let sandbox = site();
    sandbox.write("webserver.yaml", &format!("{ROUTES}  methds: [GET]\nprot: 80\n"));
    let told = run(&sandbox, 2, &["check"]).stderr;
    for part in [
        "webserver.yaml:10:3: the field `methds` is not known here\n",
        "hint: did you mean `methods`?",
        "webserver.yaml:11:1: the field `prot` is not known here\n",
        "hint: did you mean `port`?",
        "error: 2 problems in the routes file webserver.yaml\n",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let hidden = "kind: WebServer\nversion: v1\nroutes:\n- {path: /, static: public}\n\
        - {path: /, python: handlers/home.py}\n";
    sandbox.write("webserver.yaml", hidden);
    let told = run(&sandbox, 0, &["check", "--no-import"]).stderr;
    assert!(told.contains("warning: webserver.yaml:5:4: / has a static route, too"), "{told}");
    let spec = ["spec", "--no-import", "--agent-name", "w", "--website-path", "/w"];
    for (routes, told) in [
        ("- {path: \"/x{\", static: public}\n", "r.yaml:4:4: `path` has a brace"),
        ("- {path: /b, python: h.py, methods: [\"*\", GET]}\n", "r.yaml:4:28: `methods` has *"),
        ("- {path: /b, python: h.py, methods: [G T]}\n", "the method \"G T\" is no HTTP method"),
        (
            "- {path: /s, static: public/index.html}\n- {path: /s/, static: public}\n",
            "r.yaml:5:4: /s/ has a static file already",
        ),
    ] {
        sandbox.write("r.yaml", &format!("kind: WebServer\nversion: v1\nroutes:\n{routes}"));
        for words in [
            &["check", "--no-import"][..],
            &spec,
            &[&["deploy", "--room", "r"], &spec[1..]].concat(),
            &["add", "--path", "/n", "--static", "public"],
        ] {
            let seen = run(&sandbox, 2, &[words, &["-f", "r.yaml"]].concat()).stderr;
            let told = if words[0] == "add" { told.rsplit(": ").next().unwrap() } else { told };
            assert!(seen.contains(told), "{words:?}: {seen}");
        }
    }
    sandbox.write("r.yaml", "kind: WebServer\nversion: v1\nroutes:\n");
    let told = run(&sandbox, 2, &["add", "--path", "/n", "--static", "public", "-f", "r.yaml"]);
    assert!(told.stderr.contains("hint: write `routes: []`"), "{}", told.stderr);
}

#[test]
fn websites_are_not_served_in_rooms_yet() {
    let sandbox = site();
    let told = run(&sandbox, 1, &["join", "--room", "r", "--agent-name", "w", "--watch"]);
    assert!(told.stderr.starts_with("error: this program serves no websites in rooms yet\n"));
    assert_eq!(told.stdout, "");
    let group = run(&sandbox, 0, &["--help"]).stdout;
    assert!(group.lines().any(|line| line.contains("join ") && line.contains("(not here yet)")));
    assert!(run(&sandbox, 0, &["join", "--help"]).stdout.contains("--token-from-env"));
}

/// Who adds a route waits for who adds another one, so that none is lost.
#[test]
fn routes_that_are_added_at_once_are_all_there() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["webserver", "init"]).code, 0);
    std::fs::create_dir(sandbox.path("public")).unwrap();
    let path = |number: usize| format!("/route-{number}");
    let added: Vec<_> = (0..8)
        .map(|number| {
            let path = path(number);
            let words = ["webserver", "add", "--path", &path, "--static", "public"];
            sandbox.command(&words).stderr(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut added in added {
        assert!(added.wait().unwrap().success());
    }
    let routes = std::fs::read_to_string(sandbox.path("webserver.yaml")).unwrap();
    assert!((0..8).all(|number| routes.contains(&path(number))), "{routes}");
}
