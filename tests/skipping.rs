//! No test passes in silence for want of something: what is absent is told, and fails in
//! continuous integration.

use std::path::PathBuf;
use std::process::Command;

use crate::needs;

#[test]
fn what_is_absent_fails_in_continuous_integration_and_is_told_elsewhere() {
    assert!(needs::met(true, "this", "nothing"));
    let name = "skipping::what_is_absent_fails_in_continuous_integration_and_is_told_elsewhere";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("skipped");
    if std::env::var_os("MESHAGENT_TEST_UNICORN").is_some() {
        needs::met(false, "this", "unicorn");
        needs::programs("that", &["sh", "no-such-program-as-this"]);
        return;
    }
    let run = |ci: &str| {
        let mut command = Command::new(std::env::current_exe().expect("a program"));
        command.args(["--exact", name, "--nocapture"]);
        command
            .env("MESHAGENT_TEST_UNICORN", "1")
            .env("CI", ci)
            .env("MESHAGENT_TEST_SKIPPED", &file);
        command.output().expect("the test runs")
    };
    let strict = run("true");
    assert!(!strict.status.success() && !file.exists(), "{strict:?}");
    let said = String::from_utf8_lossy(&strict.stderr);
    assert!(said.contains("this: there is no unicorn, which is needed with CI=true"), "{said}");
    let lenient = run("");
    assert!(lenient.status.success(), "{lenient:?}");
    let counted = std::fs::read_to_string(&file).expect("a file");
    let told: Vec<&str> = counted.lines().collect();
    let of_programs = "SKIPPED: that: there is no sh and no-such-program-as-this";
    assert_eq!(told, ["SKIPPED: this: there is no unicorn", of_programs]);
    let said = String::from_utf8_lossy(&lenient.stderr);
    assert!(told.iter().all(|line| said.contains(line)), "{said}");
}

/// What a test asks with, or says, that leaves something out.
const WORDS: [&str; 6] =
    ["../shared/", "SKIPPED", "#[ignore", "MESHAGENT_TEST_PYTHON", "\"CI\"", ".is_root()"];

/// Whatever looks for something that may be absent asks here. The program's own tests ask for
/// nothing that may be absent: what they would need of the machine is given to what they test.
#[test]
fn nothing_else_skips_a_test() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let files = ["src", "tests", "crates"].map(|name| root.join(name)).into_iter();
    let files = files.flat_map(walkdir::WalkDir::new).flatten();
    let mut seen = 0;
    for file in files.filter(|file| file.path().extension().is_some_and(|it| it == "rs")) {
        let (path, text) = (file.path(), std::fs::read_to_string(file.path()).expect("a file"));
        if path.ends_with("tests/needs.rs") || path.ends_with("tests/skipping.rs") {
            continue;
        }
        seen += 1;
        for word in WORDS {
            // `meshagent ci` finds out where it runs, and its test says where that is.
            let of_ci = ["src/whereabouts/mod.rs", "tests/ci/strangers.rs"];
            if word == "\"CI\"" && of_ci.iter().any(|it| path.ends_with(it)) {
                continue;
            }
            // What queries and files are compared with is named where it is run, and `needs` is asked for it.
            let compared = ["tests/sql/agreement.rs", "tests/all/pyarrow.rs"];
            if word == "MESHAGENT_TEST_PYTHON" && compared.iter().any(|it| path.ends_with(it)) {
                assert!(text.contains("needs::met("), "{}", path.display());
                continue;
            }
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
    assert!(seen > 500, "{seen}");
}
