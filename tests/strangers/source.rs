//! Rules that the whole program keeps, read off its own text.

use std::path::{Path, PathBuf};

/// The files of the program with their text up to its unit tests, without blanks, so that a line
/// break hides nothing.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = walkdir::WalkDir::new(&root).into_iter().map(Result::unwrap);
    files
        .filter(|file| file.path().extension().is_some_and(|suffix| suffix == "rs"))
        .map(|file| {
            let text = std::fs::read_to_string(file.path()).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let text = text.split_whitespace().collect();
            (file.path().strip_prefix(&root).unwrap().to_owned(), text)
        })
        .collect()
}

/// The files that hold one of these.
fn holding(words: &[&str]) -> Vec<String> {
    let holds = |text: &str| words.iter().any(|word| text.contains(word));
    let found = sources().into_iter().filter(|(_, text)| holds(text));
    let mut found: Vec<_> = found.map(|(path, _)| path.display().to_string()).collect();
    found.sort();
    found
}

#[test]
fn answers_are_read_and_requests_sent_in_one_place() {
    let words = [".text().await", ".bytes().await", ".json().await", ".json::<", ".chunk().await"];
    let readers = holding(&words);
    assert_eq!(readers, ["api/http.rs"]);
    assert_eq!(holding(&[".send()"]), ["api/http.rs"]);
    assert_eq!(
        holding(&["reqwest::Client::builder", "reqwest::get(", "Client::new()"]),
        ["api/http.rs"]
    );
}

#[test]
fn nothing_is_printed_but_by_the_printer() {
    let words = [
        "stdout().lock()",
        "stderr().lock()",
        "println!",
        "print!(",
        "dbg!(",
        "stdout().write",
        "stderr().write",
    ];
    let printers = holding(&words);
    assert!(printers.iter().all(|path| path.starts_with("output")), "{printers:?}");
}
