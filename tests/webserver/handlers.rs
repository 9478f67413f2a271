//! Handlers: with Python and without it, run and not run.

use super::{ROUTES, Run, Sandbox, run, site};
use crate::needs;

/// Runs a command of `webserver` without Python.
fn without_python(sandbox: &Sandbox, words: &[&str]) -> Run {
    let mut command = sandbox.command(&[&["webserver"], words].concat());
    Run::of(command.env("PATH", "/nowhere").output().unwrap())
}

const SPEC: [&str; 5] = ["spec", "--agent-name", "w", "--website-path", "/w"];

#[test]
fn code_runs_only_where_it_is_imported() {
    if !needs::programs("handlers", &["python3"]) {
        return;
    }
    let sandbox = site();
    let code = "import os, helper\nprint('heard\\x1b[2J')\nopen('ran', 'w').write(helper.WORD)\n\
        assert 'MESHAGENT_API_KEY' not in os.environ\n\
        async def handler(*, room, req): pass\n";
    sandbox.write("handlers/home.py", code);
    std::fs::create_dir(sandbox.path("lib")).unwrap();
    sandbox.write("lib/helper.py", "WORD = 'yes'\n");
    for words in [&["check", "--no-import"][..], &[&SPEC[..], &["--no-import"]].concat()] {
        run(&sandbox, 0, words);
        assert_eq!(without_python(&sandbox, words).code, 0);
        assert!(!sandbox.path("ran").exists(), "{words:?}");
    }
    run(&sandbox, 0, &["add", "--path", "/again", "--python", "handlers/home.py"]);
    assert!(!sandbox.path("ran").exists());
    sandbox.write("webserver.yaml", ROUTES);
    for words in [&["check", "--app-dir", "lib"][..], &[&SPEC[..], &["--app-dir", "lib"]].concat()]
    {
        let mut command = sandbox.command(&[&["webserver"], words].concat());
        let told = Run::of(command.env("MESHAGENT_API_KEY", "ma-key").output().unwrap());
        assert_eq!(told.code, 0, "{}", told.stderr);
        assert!(told.stderr.contains("note: handlers are imported, which runs their code"));
        assert!(told.stderr.contains("python3: heard\\u{1b}[2J"), "{}", told.stderr);
        assert!(!told.stdout.contains("heard"));
        let warned = "warning: handlers import what is not uploaded: lib/helper.py; ";
        assert_eq!(told.stderr.contains(warned), words[0] == "spec", "{}", told.stderr);
        assert_eq!(super::read(&sandbox, "ran"), "yes");
        std::fs::remove_file(sandbox.path("ran")).unwrap();
    }
    let with_lib = format!("{ROUTES}- path: /lib\n  static: lib\n");
    sandbox.write("webserver.yaml", &with_lib);
    let told = run(&sandbox, 0, &[&SPEC[..], &["--app-dir", "lib"]].concat()).stderr;
    assert!(!told.contains("not uploaded"), "{told}");
    assert!(!sandbox.path("lib/__pycache__").exists());
    assert!(!sandbox.path("handlers/__pycache__").exists());
    let told = run(&sandbox, 2, &["check"]).stderr;
    assert!(told.contains("No module named 'helper'"), "{told}");
    assert!(run(&sandbox, 2, &["check", "--app-dir", "none"]).stderr.contains("--app-dir none"));
    assert!(run(&sandbox, 2, &["check", "--app-dir", "ran"]).stderr.contains("--app-dir ran"));
}

/// The container calls a handler with these two, and answers with an error if it wants more.
#[test]
fn a_handler_is_called_with_a_room_and_a_request_alone() {
    if !needs::programs("handlers", &["python3"]) {
        return;
    }
    let sandbox = site();
    for (handler, code) in [
        ("async def handler(*, room, req, more): pass", 2),
        ("async def handler(first, /, room, req): pass", 2),
        ("async def handler(*, room, req, more=1): pass", 0),
        ("async def handler(**call): pass", 0),
        ("async def handler(room, req, *rest): pass", 0),
    ] {
        sandbox.write("handlers/home.py", handler);
        let told = run(&sandbox, code, &["check", "--no-import"]).stderr;
        assert_eq!(told.contains("cannot be called with room and req alone"), code == 2, "{told}");
    }
}

#[test]
fn what_is_wrong_with_handlers_is_told_with_python_and_without() {
    if !needs::programs("handlers", &["python3"]) {
        return;
    }
    let sandbox = site();
    for (code, told) in [
        ("def handler(\n", "handlers/home.py:1:12: '(' was never closed"),
        ("METHODS = []\ndef handler(room, req): pass", "defines METHOD or METHODS"),
        ("x = 1", "handlers/home.py has no handler"),
        ("def handler(req): pass", "cannot be called with room and req alone"),
        ("async def handler(): pass", "cannot be called with room and req alone"),
        ("from html import escape as handler", "does not define its handler itself"),
        ("handler = lambda room, req: None", "does not define its handler itself"),
    ] {
        sandbox.write("handlers/home.py", code);
        for words in [&["check", "--no-import"][..], &["check"], &SPEC] {
            let seen = without_python(&sandbox, words);
            assert_eq!(seen.code, 2, "{code} {words:?}: {}", seen.stderr);
            assert!(seen.stderr.contains(told), "{code}: {}", seen.stderr);
            assert!(seen.stderr.contains("there is no python3 here"), "{}", seen.stderr);
        }
        for words in [
            &["check", "--no-import"][..],
            &["check"],
            &SPEC,
            &[&SPEC[..], &["--no-import"]].concat(),
            &["add", "--path", "/n", "--python", "handlers/home.py"],
        ] {
            let seen = run(&sandbox, 2, words).stderr;
            assert!(seen.contains(told), "{code} {words:?}: {seen}");
        }
    }
    for (code, told) in [
        ("import nosuchmodule", "ModuleNotFoundError: No module named 'nosuchmodule'"),
        ("import sys\nsys.exit(0)", "failed to import handlers/home.py: SystemExit: 0"),
        ("import os\nos._exit(0)", "importing handlers/home.py ended Python"),
        ("import os\nos._exit(3)", "importing handlers/home.py made Python end"),
        ("handler = 5", "the handler of handlers/home.py is no function"),
        ("exec('METHOD = 1\\nhandler = print')", "defines METHOD or METHODS"),
        ("1/0", "webserver.yaml:7:3: failed to import handlers/home.py: ZeroDivisionError"),
    ] {
        sandbox.write("handlers/home.py", code);
        let seen = run(&sandbox, 2, &["check"]);
        assert!(seen.stderr.contains(told), "{code}: {}", seen.stderr);
    }
    // Python reads a line that is as deep as this, and has no words for what happens.
    sandbox.write("handlers/home.py", &format!("x = {}1\n", "-".repeat(100_000)));
    let seen = run(&sandbox, 2, &["check", "--no-import"]).stderr;
    assert!(!seen.contains("handlers/home.py:1:1: \n"), "{seen}");
    sandbox.write("handlers/home.py", &" ".repeat(2 * 1024 * 1024));
    let seen = run(&sandbox, 1, &["check", "--no-import"]).stderr;
    assert!(seen.contains("failed to read handlers/home.py"), "{seen}");
}

#[test]
fn modules_that_are_not_uploaded_are_told_without_running_them() {
    if !needs::programs("handlers", &["python3"]) {
        return;
    }
    let sandbox = site();
    for folder in ["pages", "pages/parts"] {
        std::fs::create_dir(sandbox.path(folder)).unwrap();
    }
    let later = "async def handler(*, room, req):\n    from pages.parts import late\n";
    sandbox.write("handlers/home.py", &format!("import json, aiohttp, words\n{later}"));
    sandbox.write("words.py", "import pages.more\nopen('ran', 'w')\n");
    for name in ["pages/__init__.py", "pages/more.py", "pages/other.py", "pages/parts/late.py"] {
        sandbox.write(name, "");
    }
    let told = run(&sandbox, 0, &[&SPEC[..], &["--no-import"]].concat()).stderr;
    let all = "not uploaded: pages/__init__.py, pages/more.py, pages/parts/late.py, words.py; ";
    assert!(told.contains(all), "{told}");
    assert!(!sandbox.path("ran").exists());
    // They are inputs, so they are not overwritten.
    let deploy = [&["deploy", "--room", "demo", "--no-import"], &SPEC[1..]].concat();
    let told = run(&sandbox, 6, &[&deploy[..], &["--report", "words.py"]].concat()).stderr;
    assert!(told.contains("--report would overwrite "), "{told}");
    for name in ["handlers/home.py", "pages/other.py"] {
        let words = [&["webserver"], &deploy[..], &["--report", name]].concat();
        let mut command = sandbox.command(&words);
        let ran = Run::of(command.env("PATH", "/nowhere").output().unwrap());
        assert_eq!(ran.code, 6, "{}", ran.stderr);
    }
}

#[test]
fn packages_that_only_the_container_needs_need_not_be_here() {
    if !needs::programs("handlers", &["python3"]) {
        return;
    }
    let sandbox = site();
    let code = "raise ModuleNotFoundError('no', name='aiohttp.web')\n\
        async def handler(*, room, req): pass\n";
    sandbox.write("handlers/home.py", code);
    for words in [&["check"][..], &SPEC] {
        let told = run(&sandbox, 0, words).stderr;
        assert!(told.contains("note: python3 has no package aiohttp"), "{told}");
    }
    // What Python has, it uses: this is the handler that `add` writes.
    let Some(python) = needs::python("handlers that are imported") else { return };
    run(&sandbox, 0, &["add", "--path", "/new", "--python", "handlers/new.py"]);
    sandbox.write("handlers/home.py", super::HANDLER);
    let mut command = sandbox.command(&["webserver", "check"]);
    let told = Run::of(command.env("PATH", python.parent().unwrap()).output().unwrap());
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert_eq!(told.stderr.lines().count(), 1, "{}", told.stderr);
}
