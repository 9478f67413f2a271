//! Rules of strangers take no more memory and time than they are given.

use super::{refused, room, soon, write};
use crate::cli::Sandbox;

#[test]
fn rules_that_take_all_memory_are_told_and_take_nothing_else_down() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/a.yaml", room("a", ""));
    let many = "numbers.range(1, 3000)";
    for (name, body) in [
        ("range", "x := numbers.range(1, 2000000000); count(x) > 0".to_owned()),
        ("product", format!("x := [[a, b, c] | a := {many}[_]; b := {many}[_]; c := {many}[_]]; count(x) > 0")),
        (
            "text",
            "a := concat(\"\", [\"0123456789\" | numbers.range(1, 100000)[_]]); b := concat(\"\", [a | numbers.range(1, 1000)[_]]); c := concat(\"\", [b | numbers.range(1, 1000)[_]]); count(c) > 0".to_owned(),
        ),
        ("formatted", "x := sprintf(\"%1900000000d\", [1]); count(x) > 0".to_owned()),
    ] {
        let rule = format!("package meshagent\ndeny contains \"x\" if {{ {body} }}\n");
        write(&sandbox, &format!("{name}/p.rego"), rule);
        let run = soon(name, || sandbox.run(&["plan", "-f", "m", "--embedded", "--policy", name]));
        refused(&run, 2, "the policy cannot be evaluated, so nothing was written");
        let limits = ["of memory", "time", "takes longer", "p.rego:2:"];
        assert!(limits.iter().any(|told| run.stderr.contains(told)), "{name}: {}", run.stderr);
        assert!(!run.stderr.contains("panicked"), "{name}: {}", run.stderr);
    }
    // What needs little is evaluated as ever, and sees nothing of the program's environment.
    let rule = "package meshagent\nwarn contains sprintf(\"%v\", [count(numbers.range(1, 1000))]) if { true }\n";
    write(&sandbox, "good/p.rego", rule);
    let run = sandbox.embedded(0, &["plan", "-f", "m", "--policy", "good"]);
    refused(&run, 0, "good/p.rego: 1000");
}
