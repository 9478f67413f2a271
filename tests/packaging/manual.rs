//! The manual pages.

use std::collections::BTreeSet;

use crate::cli::Sandbox;

/// The visible commands by their full names, such as `meshagent-set-move`, with their options.
fn told(command: &clap::Command, found: &mut Vec<(String, Vec<String>)>) {
    let options = command.get_arguments().filter(|it| !it.is_hide_set());
    let options = options.filter_map(|it| it.get_long().map(str::to_owned)).collect();
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    found.push((name.to_owned(), options));
    for below in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        told(below, found);
    }
}

#[test]
fn every_command_has_a_page_with_its_options() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["man", "-d", "share/man1"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    let mut commands = Vec::new();
    told(&meshagent::commands::whole_tree(), &mut commands);
    assert!(commands.len() > 60, "{commands:?}");
    let written = std::fs::read_dir(sandbox.path("share/man1")).unwrap();
    let written: BTreeSet<String> =
        written.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    let expected: BTreeSet<String> = commands.iter().map(|(name, _)| format!("{name}.1")).collect();
    assert_eq!(written, expected);
    for (name, options) in commands {
        let page = std::fs::read_to_string(sandbox.path(&format!("share/man1/{name}.1"))).unwrap();
        let page = page.replace("\\-", "-");
        assert!(page.contains(&format!("\n.TH {name} 1 ")), "{page}");
        assert!(page.contains(&format!(" \"meshagent {}\"", env!("CARGO_PKG_VERSION"))), "{page}");
        for option in options {
            assert!(page.contains(&format!("--{option}")), "{name}: --{option}\n{page}");
        }
    }
}

#[test]
fn the_synopsis_is_the_usage_of_the_help() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["man", "-d", "man1"]).code, 0);
    let page = std::fs::read_to_string(sandbox.path("man1/meshagent-set-move.1")).unwrap();
    let usage = "\n.SH SYNOPSIS\nmeshagent set move [OPTIONS] --to <NAME> <KIND/NAME>...\n.SH ";
    assert!(page.replace("\\-", "-").contains(usage), "{page}");
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    let run = sandbox.run(&["man", "-d", "file"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.starts_with("error: failed to create file: "), "{}", run.stderr);
}
