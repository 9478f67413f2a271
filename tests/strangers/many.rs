//! Thousands of problems that are alike take no longer than it takes to read them, and all of
//! them are counted.

use super::{room, soon, write};
use crate::cli::Sandbox;

fn validated(sandbox: &Sandbox, what: &str, text: &str) -> String {
    write(sandbox, "m.yaml", text);
    let run = soon(what, || sandbox.run(&["validate", "-f", "m.yaml", "--project-id", "p"]));
    assert_eq!(run.code, 2, "{what}: {}", run.stderr);
    assert!(run.stderr.len() < 100_000, "{what}: {} bytes", run.stderr.len());
    run.stderr
}

#[test]
fn every_problem_is_counted_however_many_there_are() {
    let sandbox = Sandbox::new();
    let fields: String = (0..8_000).map(|number| format!("field_{number}: 1\n")).collect();
    let told = validated(&sandbox, "unknown fields", &room("a", &fields));
    assert!(told.contains("8000 problems in the manifests"), "{told}");
    assert!(told.contains("and 7900 more problems"), "{told}");
    assert!(told.contains("m.yaml:4:1: unknown field `field_0`"), "{told}");

    let documents = (room("a", "") + "---\n").repeat(20_001);
    let told = validated(&sandbox, "equal documents", &documents);
    assert!(told.contains("20000 problems in the manifests"), "{told}");
    assert!(told.contains("Room/a is declared twice, first at m.yaml:3:1"), "{told}");

    let ports: String = (0..5_000).map(|_| "  - {num: true}\n".to_owned()).collect();
    let service = "version: v1\nkind: Service\nmetadata: {name: s}\ncontainer: {image: x}\n";
    let told = validated(&sandbox, "wrong ports", &format!("{service}ports:\n{ports}"));
    assert!(told.contains("and ") && told.contains(" more problems"), "{told}");
}

#[test]
fn what_stands_often_is_looked_through_once() {
    let sandbox = Sandbox::new();
    let service = "version: v1\nkind: Service\nmetadata: {name: s}\n";
    let pairs: String =
        (0..5_000).map(|number| format!("  - {{name: N{number}, value: v}}\n")).collect();
    let environment = format!("{service}container:\n  image: x\n  environment:\n{pairs}{pairs}");
    validated(&sandbox, "variables", &environment.replace("\n  - {", "\n    - {"));

    let secrets: String = (0..5_000)
        .map(|number| format!("  K{number}: \"a text that is secret {number}\"\n"))
        .collect();
    let secret =
        format!("version: v1\nkind: Secret\nmetadata: {{name: s}}\ntype: keys\ndata:\n{secrets}");
    let wrong: String = (0..2_000).map(|number| format!("x{number}: 1\n")).collect();
    let told = validated(&sandbox, "secrets", &format!("{secret}{wrong}"));
    assert!(told.contains("2000 problems") && !told.contains("a text that"), "{told}");

    let template = "version: v1\nkind: ServiceTemplate\nmetadata: {name: t}\ncontainer:\n  image: x\n  environment:\n";
    let tokens: String =
        (0..3_000).map(|number| format!("    - {{name: N{number}, value: v}}\n")).collect();
    let placed: String =
        (0..2_000).map(|number| format!("values: {{v{number}: 1}}\n")).take(1).collect();
    let told =
        validated(&sandbox, "templates", &format!("{template}{tokens}{placed}room: 1\nrooms: 2\n"));
    assert!(!told.contains("panicked"), "{told}");

    let long = format!("{}: 1\n", "k".repeat(1_000_000));
    validated(&sandbox, "a long name", &room("a", &long));
    let placements: String = (0..1_000)
        .map(|number| format!("---\nversion: v1\nkind: Service\nmetadata: {{name: s{number}}}\ntemplate: none{number}\nvalues: {{}}\n"))
        .collect();
    let templates: String = (0..300)
        .map(|number| format!("---\nversion: v1\nkind: ServiceTemplate\nmetadata: {{name: t{number}}}\ncontainer: {{image: x}}\n"))
        .collect();
    let told = validated(&sandbox, "placements", &(placements + &templates));
    assert!(told.contains("1000 problems in the manifests"), "{told}");
}

#[test]
fn broken_documents_are_told_each_at_its_place() {
    let sandbox = Sandbox::new();
    let broken = "--- [\n".repeat(20_000);
    let told = validated(&sandbox, "broken documents", &broken);
    assert!(told.contains("20000 problems in the manifests"), "{told}");
    write(&sandbox, "m.json", "--- nul\n".repeat(20_000));
    let words = ["validate", "-f", "m.json", "--project-id", "p"];
    let run = soon("broken JSON", || sandbox.run(&words));
    assert!(run.code == 2 && run.stderr.contains("m.json:100:"), "{}", run.stderr);
}

/// A place for each of its fields, and an old item for each of a list's, were looked for from the
/// start each time.
#[test]
fn one_large_object_is_planned_as_soon_as_many_small_ones() {
    let sandbox = Sandbox::new();
    let fields = |sign: &str| -> String {
        (0..60_000).map(|number| format!("  field_{number}: {sign}{number}\n")).collect()
    };
    write(&sandbox, "r.yaml", room("a", &format!("room_metadata:\n{}", fields("1"))));
    let variables = |order: &mut dyn Iterator<Item = usize>, sign: &str| -> String {
        let service = "version: v1\nkind: Service\nmetadata: {name: s}\ncontainer:\n  image: x\n  environment:\n";
        let pairs =
            order.map(|number| format!("    - {{name: N{number}, value: {sign}{number}}}\n"));
        service.to_owned() + &pairs.collect::<String>()
    };
    write(&sandbox, "s.yaml", variables(&mut (0..20_000), "v"));
    let files = ["-f", "r.yaml", "-f", "s.yaml", "--embedded"];
    soon("creates", || sandbox.embedded(0, &[&["apply", "--yes"][..], &files[..4]].concat()));
    write(&sandbox, "r.yaml", room("a", &format!("room_metadata:\n{}", fields("2"))));
    write(&sandbox, "s.yaml", variables(&mut (0..20_000).rev(), "w"));
    let plan = soon("updates", || sandbox.run(&[&["plan"][..], &files].concat()));
    assert!(plan.code == 0 && plan.stdout.contains("Plan: 2 to update."), "{}", plan.stderr);
}
