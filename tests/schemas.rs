//! The checked-in schemas are those of the types.

use std::path::Path;

#[test]
fn checked_in_schemas_are_what_the_types_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let all = meshagent::commands::schema::all();
    let drifted: Vec<&String> = all
        .iter()
        .filter(|(name, schema)| {
            let text = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            text != serde_json::to_string_pretty(schema).unwrap() + "\n"
        })
        .map(|(name, _)| name)
        .collect();
    assert!(
        drifted.is_empty(),
        "{drifted:?} differ; write them again with `cargo run -- schema -d schemas`"
    );
    let files = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(files, all.len(), "schemas/ holds a file that no type stands for");
}

#[test]
fn the_example_manifests_match_the_published_schema() {
    let validator = jsonschema::validator_for(&meshagent::kinds::schema::combined()).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/manifests");
    let mut documents = 0;
    for entry in walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap) {
        // What secrets are read from lies beside the manifests.
        if entry.file_type().is_dir() || entry.path().extension().is_some_and(|it| it == "txt") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema="), "{}", entry.path().display());
        for document in meshagent::manifest::yaml::parse(&text).unwrap() {
            let errors: Vec<String> =
                validator.iter_errors(&document.to_json()).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", entry.path().display());
            documents += 1;
        }
    }
    assert!(documents > 10, "the examples were not found");
}
