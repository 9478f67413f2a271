//! Service and template files that people wrote for the platform: those that the pages of the
//! reference's documentation show, which are checked in, and more where they lie beside the
//! project.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::needs;

/// How many are checked in.
const AT_LEAST: usize = 33;

/// Every published document, each once, with its text; a few are no service or template.
pub fn documents(tested: &str) -> Vec<(PathBuf, String)> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documented/files");
    let mut found = below(&own);
    assert!(found.len() >= AT_LEAST, "only {} are checked in", found.len());
    if let Some(folder) = needs::beside(tested, "corpus") {
        found.extend(below(&folder));
    }
    let mut seen = BTreeSet::new();
    found.retain(|(_, text)| seen.insert(text.clone()));
    found
}

/// The files of YAML below a folder, in order.
fn below(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter();
    let paths = entries.map(|entry| entry.expect("a folder").into_path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|it| it == "yaml"));
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("an example");
        (path, text)
    };
    yaml.map(read).collect()
}
