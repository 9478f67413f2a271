//! The documentation says what is: its commands run, its outputs are real, its links lead
//! somewhere, and what is generated is up to date.
//!
//! `BLESS=1` writes outputs, the reference and the picture anew.

mod links;
mod output;
mod pages;
mod reference;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::cli::Sandbox;
use crate::needs;

/// A test for each page with commands, with the programs that these need.
macro_rules! read {
    ($($name:ident: $page:literal $(needs $program:literal)?;)*) => {
        /// The pages whose commands run.
        const READ: &[&str] = &[$($page),*];

        $(
            #[test]
            fn $name() {
                let programs: &[&str] = &[$($program)?];
                if needs::programs(concat!("the commands of ", $page), programs) {
                    let wrong = pages::read($page);
                    assert!(wrong.is_empty(), "BLESS=1 writes outputs anew\n{}", wrong.join("\n"));
                }
            }
        )*
    };
}

read! {
    the_readme_does_what_it_says: "README.md";
    the_tutorial_does_what_it_says: "docs/tutorial.md" needs "git";
    agents_do_what_their_page_says: "docs/agents.md";
    developing_does_what_its_page_says: "docs/dev.md";
    manifests_do_what_their_page_says: "docs/manifests.md";
    templates_do_what_their_page_says: "docs/templates.md";
    secrets_do_what_their_page_says: "docs/secrets.md";
    what_is_in_rooms_does_what_its_page_says: "docs/in-rooms.md";
    tables_and_memories_do_what_their_page_says: "docs/room-data.md";
    plans_do_what_their_page_says: "docs/plan-and-apply.md";
    sets_do_what_their_page_says: "docs/sets.md";
    drift_does_what_its_page_says: "docs/drift.md";
    history_does_what_its_page_says: "docs/history.md";
    policies_do_what_their_page_says: "docs/policy.md";
    approvals_do_what_their_page_says: "docs/approvals.md" needs "ssh-keygen";
    environments_do_what_their_page_says: "docs/environments.md";
    continuous_integration_does_what_its_page_says: "docs/ci.md";
    sources_do_what_their_page_says: "docs/sources.md" needs "git";
    commands_do_what_their_page_says: "docs/commands.md";
    websites_do_what_their_page_says: "docs/websites.md" needs "python3";
    the_embedded_platform_does_what_its_page_says: "docs/embedded.md" needs "curl";
    who_comes_from_python_finds_what_the_page_says: "docs/coming-from-python.md";
    who_comes_from_opentofu_finds_what_the_page_says: "docs/coming-from-opentofu.md";
    troubles_are_as_their_page_says: "docs/troubleshooting.md";
    exit_codes_are_as_their_page_says: "docs/exit-codes.md";
}

/// The pages of the book, and README.
fn every_page() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = walkdir::WalkDir::new(root.join("docs")).into_iter().flatten();
    let files = files.filter(|it| it.path().extension().is_some_and(|it| it == "md"));
    let name = |it: walkdir::DirEntry| {
        it.path().strip_prefix(root).expect("below the root").display().to_string()
    };
    let mut pages: Vec<String> = files.map(name).collect();
    pages.push("README.md".to_owned());
    pages.sort();
    pages
}

#[test]
fn every_page_with_commands_is_run() {
    let runs =
        |page: &String| pages::blocks(&pages::text(page)).iter().any(|it| it.language == "sh");
    let with_commands: BTreeSet<String> = every_page().into_iter().filter(runs).collect();
    let read: BTreeSet<String> = READ.iter().map(|it| (*it).to_owned()).collect();
    assert_eq!(with_commands, read);
}

#[test]
fn the_readme_is_an_entry() {
    let readme = pages::text("README.md");
    assert!(readme.lines().count() <= 200, "{} lines", readme.lines().count());
    // Whoever reads its first lines finds a command that works as it stands in a checkout.
    let first = readme.lines().find_map(|line| line.strip_prefix("    cargo run -- "));
    let words: Vec<&str> = first.expect("the first command").split(' ').collect();
    let sandbox = Sandbox::with_examples();
    let applied = sandbox.run(&words);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    assert!(applied.stdout.contains("Applied: "), "{}", applied.stdout);
    assert!(sandbox.run(&words).stdout.starts_with("Nothing to change"));
    assert!(pages::path("tests/run").exists() && readme.contains("\n    tests/run\n"));
}

/// Whoever looks for a message finds it: what a heading quotes is in the output below it.
#[test]
fn every_trouble_shows_its_message() {
    let page = pages::text("docs/troubleshooting.md");
    let mut quoted = 0;
    for section in page.split("\n### ").skip(1) {
        let (heading, body) = section.split_once('\n').expect("a section");
        let Some(message) = heading.strip_prefix('`').and_then(|it| it.strip_suffix('`')) else {
            continue;
        };
        let blocks = pages::blocks(body);
        let output = blocks.iter().find(|it| it.language == "output").expect(heading);
        for part in message.split('…').map(str::trim) {
            assert!(output.text.contains(part), "{part:?} is not in the output:\n{}", output.text);
        }
        quoted += 1;
    }
    assert!(quoted > 25, "the page lost its messages");
}

/// The examples show what the pages say of them.
#[test]
fn the_examples_show_what_the_pages_say() {
    let sandbox = Sandbox::with_examples();
    sandbox.embedded(0, &["apply", "-f", "examples/manifests", "--yes"]);
    let plan = ["plan", "-f", "examples/manifests", "--policy", "examples/policies"];
    let denied = sandbox.run(&[&plan[..], &["--embedded=.meshagent/empty"]].concat());
    assert_eq!(denied.code, 6, "{}", denied.stderr);
    assert!(denied.stderr.contains("a public mailbox needs"), "{}", denied.stderr);
    let export = ["export", "-d", "exported", "--layout", "kind", "--project-id", "acme-support"];
    let exported = sandbox.embedded(0, &export);
    assert!(exported.stdout.starts_with("Exported 14 objects"), "{}", exported.stdout);
    let nothing = sandbox.embedded(0, &["export", "-d", "nothing"]);
    assert!(nothing.stderr.contains("use --project-id to choose another"), "{}", nothing.stderr);
}

/// The page for people who come from the reference names each of its groups that is not here.
#[test]
fn what_the_reference_has_and_this_program_has_not_is_named() {
    let page = pages::text("docs/coming-from-python.md");
    let (_, missing) = page.split_once("\n## What is missing\n").expect("a section");
    let missing = missing.split("\n## ").next().expect("a section");
    let tree = meshagent::commands::whole_tree();
    let reference: serde_json::Value =
        serde_json::from_str(include_str!("commands/reference.json")).expect("commands");
    for command in reference.as_array().expect("commands") {
        let words: Vec<&str> = command["path"].as_str().expect("a path").split(' ').collect();
        let below = tree
            .find_subcommand(words[0])
            .map(|it| it.find_subcommand(words[words.len().min(2) - 1]));
        let told = match (words[0], below) {
            // It is a hidden group, for tests of the reference itself.
            ("test", None) => continue,
            (group, None) => format!("`{group}`"),
            // Of its groups, some are called by two names.
            ("room", Some(None)) => format!("`room {}", words[1].trim_end_matches('s')),
            _ => continue,
        };
        assert!(missing.contains(&told), "{told} is not here, and the page does not say so");
    }
    for name in missing
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| !name.contains(' ') && !name.starts_with('-'))
    {
        assert!(name == "room" || tree.find_subcommand(name).is_none(), "{name} is here");
    }
}

#[test]
fn the_picture_shows_what_the_program_prints() {
    if !needs::programs("docs/plan.svg", &["python3"]) {
        return;
    }
    let output = Command::new("python3")
        .arg(pages::path("docs/make-picture"))
        .arg(env!("CARGO_BIN_EXE_meshagent"))
        .output()
        .expect("a picture");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = String::from_utf8(output.stdout).expect("text");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(pages::path("docs/plan.svg"), &made).expect("the picture");
    }
    assert!(pages::text("docs/plan.svg") == made, "BLESS=1 draws it anew:\n{made}");
}
