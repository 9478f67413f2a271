//! The page that compares this program with others: each row says what shows it, and that exists.

use std::collections::BTreeSet;
use std::path::Path;

/// The tests of this binary, as `module::name`, whatever the modules between.
fn tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = walkdir::WalkDir::new(&root).into_iter().flatten();
    let mut names = BTreeSet::new();
    for file in files.filter(|file| file.path().extension().is_some_and(|it| it == "rs")) {
        let path = file.path().strip_prefix(&root).unwrap().with_extension("");
        let module: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        let text = std::fs::read_to_string(file.path()).unwrap();
        // What is ignored shows nothing.
        for marked in text.split("#[test]\n").chain(text.split("#[tokio::test")).skip(1) {
            let Some((above, declared)) = marked.split_once("fn ") else { continue };
            let name = declared.split('(').next().unwrap_or_default();
            if !above.contains(concat!("#[", "ignore")) {
                names.insert(format!("{}::{name}", module.join("::")));
            }
        }
    }
    names
}

#[test]
fn what_shows_each_row_of_the_comparison_exists() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = std::fs::read_to_string(docs.join("comparison.md")).unwrap();
    let tests = tests();
    let book = include_str!("book.rs");
    let head = page.lines().find(|line| line.ends_with("| shown by |")).expect("the table");
    let columns = head.matches('|').count();
    let mut rows = 0;
    for row in page.lines().skip_while(|line| *line != head).skip(2) {
        if row.is_empty() {
            break;
        }
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(row.matches('|').count(), columns, "{row}");
        for answer in &cells[1..cells.len() - 1] {
            assert!(["Y", "P", "N", "?"].contains(answer), "{row}");
        }
        let shown = cells.last().unwrap();
        match shown.split_once("](") {
            Some((_, link)) => {
                let file = link.trim_end_matches(')').split('#').next().unwrap();
                assert!(docs.join(file).is_file(), "{row}");
                // The commands of the page run in a test.
                assert!(book.contains(&format!("\"docs/{file}\"")), "{row}");
            }
            None => assert!(tests.contains(shown.trim_matches('`')), "{row}"),
        }
        rows += 1;
    }
    assert!(rows > 20, "{rows} rows");
    assert!(page.contains("\n## Where another tool is better\n"));
}
