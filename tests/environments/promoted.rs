//! What goes from one environment to the next, and what an environment says before another one.

use super::{bare, ran};

#[test]
fn all_of_an_environment_goes_before_what_it_extends() {
    let sandbox = bare(
        "version: v1\nvalues: {stage: top, image_tag: top}\nenvironments:\n  dev: {values: {image_tag: dev}, values_files: [dev.yaml]}\n  prod: {extends: dev, values_files: [prod.yaml]}\n  own: {extends: prod, values: {stage: own}}\n",
    );
    sandbox.write("dev.yaml", "stage: of-dev\nimage_tag: of-dev\n");
    sandbox.write("prod.yaml", "stage: of-prod\nimage_tag: of-prod\n");
    let compared = ran(&sandbox, 0, "diff -e dev..prod --rendered").stdout;
    for part in ["-  stage: of-dev\n", "-  tag: dev\n", "+  stage: of-prod\n", "+  tag: of-prod\n"]
    {
        assert!(compared.contains(part), "{part}: {compared}");
    }
    let compared = ran(&sandbox, 0, "diff -e prod..own --rendered").stdout;
    assert!(compared.contains("+  stage: own\n") && !compared.contains("tag: own"), "{compared}");
}

#[test]
fn a_number_that_would_be_spelled_otherwise_is_not_promoted() {
    for spelled in ["1.10", "0x1F"] {
        let text = format!(
            "version: v1\nenvironments:\n  stage: {{embedded: true, values: {{stage: a, image_tag: {spelled}}}}}\n  prod:\n    set: p\n    embedded: true\n    values: {{stage: b, image_tag: \"1.9\"}}\n"
        );
        let sandbox = bare(&text);
        let run = ran(&sandbox, 2, "promote stage prod --no-plan");
        assert!(
            run.stderr.contains("meshagent.yaml:3:") && run.stderr.contains("put it in quotes"),
            "{}",
            run.stderr
        );
        let after = std::fs::read_to_string(sandbox.path("meshagent.yaml")).unwrap();
        assert_eq!(after, text);
    }
}

#[test]
fn a_digest_goes_with_its_archive() {
    let (one, two) = ("1".repeat(64), "2".repeat(64));
    let text = format!(
        "version: v1\nsources:\n  lib: {{archive: one.tar, sha256: '{one}'}}\nenvironments:\n  stage:\n    sources: {{lib: {{archive: new.tar}}}}\n  prod:\n    set: p\n    sources:\n      lib:\n        archive: two.tar\n        sha256: '{two}'\n"
    );
    let sandbox = bare(&text);
    let run = ran(&sandbox, 0, "promote stage prod --no-plan");
    let after = std::fs::read_to_string(sandbox.path("meshagent.yaml")).unwrap();
    assert!(after.contains("        archive: new.tar\n") && !after.contains(&two), "{after}");
    // That of the source is of the source's own archive.
    assert_eq!(after.matches("sha256").count(), 1, "{after}");
    assert!(run.stderr.contains("2 values promoted"), "{}", run.stderr);
}

#[test]
fn a_promotion_is_shown_beside_a_plan_for_programs_as_it_is_elsewhere() {
    let sandbox = super::shop();
    let run = ran(&sandbox, 0, "promote dev prod --dry-run -o json");
    assert!(
        run.stderr.contains("\n--- a/meshagent.yaml\n+++ b/meshagent.yaml\n")
            || run.stderr.starts_with("--- a/meshagent.yaml\n"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("\\u{1b}") && !run.stderr.contains("\\n"), "{}", run.stderr);
    run.json();
}
