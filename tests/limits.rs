//! No file is so long that it has several reasons to change, and no function so long that it
//! cannot be read at once.

use std::path::Path;

/// How many lines a file may have.
const OF_A_FILE: usize = 600;

/// How many lines a function may have.
const OF_A_FUNCTION: usize = 100;

/// The files of the program and of its crates, with their texts.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = std::fs::read_dir(root.join("crates")).expect("crates").flatten();
    let folders = crates.map(|entry| entry.path().join("src")).chain([root.join("src")]);
    let entries = folders.flat_map(walkdir::WalkDir::new).map(|entry| entry.expect("a folder"));
    let paths = entries.map(walkdir::DirEntry::into_path);
    let sources = paths.filter(|path| path.extension().is_some_and(|it| it == "rs"));
    let named = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a file");
        (path.strip_prefix(root).expect("below the root").display().to_string(), text)
    };
    sources.map(named).collect()
}

/// The functions of a text with the number of their lines. The text is as `cargo fmt` leaves
/// it: a function ends at the first brace that stands as far in as its name's line.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let Some((before, after)) = code.split_once("fn ") else { continue };
        let is_qualifier = |word: &str| {
            ["const", "async", "unsafe", "extern"].contains(&word) || word.starts_with("pub")
        };
        // `pub(in super::super)` is two words.
        let mut words = before.split(' ').filter(|word| !word.is_empty() && !word.ends_with(')'));
        if !words.all(is_qualifier) {
            continue;
        }
        let is_end = |line: &&str| {
            let rest = line.strip_prefix(indent).unwrap_or_default();
            rest == "}" || (!rest.starts_with([' ', ')']) && rest.ends_with([';', '}']))
        };
        let length = lines[index..].iter().position(is_end).map_or(1, |last| last + 1);
        let name = after.split(['(', '<']).next().unwrap_or_default();
        found.push((name.to_owned(), length));
    }
    found
}

#[test]
fn files_and_functions_can_be_read_at_once() {
    let mut longer = Vec::new();
    let (mut count_of_files, mut count_of_functions) = (0, 0);
    for (file, text) in files() {
        count_of_files += 1;
        let lines = text.lines().count();
        if lines > OF_A_FILE {
            longer.push((file.clone(), lines));
        }
        // Tables of cases are as long as they are.
        let own = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        if file.ends_with("tests.rs") {
            continue;
        }
        for (name, lines) in functions(own) {
            count_of_functions += 1;
            if lines > OF_A_FUNCTION {
                longer.push((format!("{file} {name}"), lines));
            }
        }
    }
    assert!(count_of_files > 300 && count_of_functions > 3_000, "the source was not found");
    assert!(longer.is_empty(), "longer than {OF_A_FILE} or {OF_A_FUNCTION} lines: {longer:#?}");
}

#[test]
fn functions_are_found_wherever_they_stand() {
    let text = "pub fn a() -> u8 {\n    1\n}\n\nimpl A {\n    pub(in super::super) async fn b(\n        c: u8,\n    ) -> u8\n    where\n        u8: Copy,\n    {\n        let d = || {\n            1\n        };\n        c\n    }\n\n    fn e() {}\n    fn f(self);\n}\n\nconst fn g<T>() {\n}\n";
    let told: Vec<String> =
        functions(text).iter().map(|(name, lines)| format!("{name} {lines}")).collect();
    assert_eq!(told, ["a 3", "b 11", "e 1", "f 1", "g 2"]);
}
