//! What fuzzers begin with, and what they found, is fed in by each run of the tests, to the same
//! functions.

use std::collections::BTreeMap;
use std::path::Path;

use super::soon;

#[path = "../../fuzz/inputs/cypher.rs"]
mod cypher;
#[path = "../../fuzz/inputs/packets.rs"]
mod packets;
#[path = "../../fuzz/inputs/plans.rs"]
mod plans;
#[path = "../../fuzz/inputs/requests.rs"]
mod requests;
#[path = "../../fuzz/inputs/sql.rs"]
mod sql;
#[path = "../../fuzz/inputs/templates.rs"]
mod templates;
#[path = "../../fuzz/inputs/yaml.rs"]
mod yaml;

/// The files of a folder, by their names.
fn files(folder: &Path) -> BTreeMap<String, std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path())).collect()
}

#[test]
fn every_input_of_a_fuzzer_is_taken_or_refused() {
    let targets: BTreeMap<&str, fn(&[u8])> = BTreeMap::from([
        ("packets", packets::feed as fn(&[u8])),
        ("cypher", |bytes| {
            cypher::feed(bytes);
        }),
        ("plans", plans::feed),
        ("requests", requests::feed),
        ("sql", |bytes| {
            sql::feed(bytes);
        }),
        ("templates", templates::feed),
        ("yaml", yaml::feed),
    ]);
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    // A target that is not here would be one that nobody runs.
    let programs = files(&fuzz.join("fuzz_targets"));
    let programs: Vec<&str> = programs.keys().map(|name| name.trim_end_matches(".rs")).collect();
    assert_eq!(programs, targets.keys().copied().collect::<Vec<_>>());
    // Each is run by itself, too.
    let workflow = fuzz.join("../.github/workflows/fuzz.yml");
    let workflow = std::fs::read_to_string(workflow).unwrap();
    let matrix = workflow.lines().find_map(|line| line.trim().strip_prefix("target: ["));
    let mut run: Vec<&str> = matrix.unwrap().trim_end_matches(']').split(", ").collect();
    run.sort_unstable();
    assert_eq!(run, programs);
    let corpora = files(&fuzz.join("corpus"));
    assert!(corpora.keys().map(String::as_str).eq(targets.keys().copied()), "{corpora:?}");
    for (name, corpus) in corpora {
        let inputs = files(&corpus);
        assert!(!inputs.is_empty(), "{name}");
        for (input, path) in inputs {
            let bytes = std::fs::read(path).unwrap();
            soon(&format!("{name}/{input}"), || targets[name.as_str()](&bytes));
        }
    }
}
