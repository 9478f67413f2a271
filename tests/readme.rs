//! Every command of the README runs as written.

use std::path::Path;
use std::process::Command;

/// The lines of the shell blocks.
fn commands(readme: &str) -> Vec<&str> {
    let mut in_block = false;
    readme
        .lines()
        .filter(|line| {
            let was_in_block = in_block;
            match *line {
                "```sh" => in_block = true,
                "```" => in_block = false,
                _ => {}
            }
            was_in_block && in_block && !line.trim().is_empty()
        })
        .collect()
}

#[test]
fn every_command_of_the_readme_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let commands = commands(&readme);
    assert!(commands.len() > 8, "the README lost its commands");
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root.join("examples"), folder.path().join("examples")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_meshagent"));
    let path = std::env::join_paths(
        std::iter::once(program.parent().unwrap().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    for command in commands {
        let output = Command::new("sh")
            .args(["-c", command])
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .env("PATH", &path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_readme_tells_the_exit_codes() {
    use meshagent::error::Class;
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for class in
        [Class::Failed, Class::Usage, Class::Pending, Class::Partial, Class::Stale, Class::Refused]
    {
        assert!(readme.contains(&format!("\n| {} | ", class.exit_code())), "{class:?}");
    }
}
