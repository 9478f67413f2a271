//! What refers to a secret needs one of its type.

use super::{Sandbox, run, told, write};

fn secret(name: &str, kind: &str) -> String {
    let fields = match kind {
        "keys" => "data: {A: b}",
        "gar" => "server: x\njson_key: '{}'",
        _ => "server: x\nusername: u\npassword: p",
    };
    format!("---\nversion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: {kind}\n{fields}\n")
}

fn service(name: &str, uses: &str) -> String {
    format!(
        "---\nversion: v1\nkind: Service\nmetadata: {{name: {name}}}\ncontainer:\n  image: x\n{uses}"
    )
}

const VARIABLES: &str = "  secrets: [k]\n";
const IMAGES: &str = "  pull_secret: k\n";

#[test]
fn a_secret_of_the_set_has_the_type_that_is_needed() {
    let sandbox = Sandbox::new();
    for (kind, uses, place, hint) in [
        ("docker", VARIABLES, "m.yaml:7:13: ", "`container.secrets` takes secrets of type `keys`"),
        ("acr", VARIABLES, "m.yaml:7:13: ", "`container.secrets` takes"),
        ("gar", VARIABLES, "m.yaml:7:13: ", "`container.secrets` takes"),
        ("keys", IMAGES, "m.yaml:7:3: ", "`container.pull_secret` takes a secret of type `docker`"),
    ] {
        write(&sandbox, "m.yaml", service("s", uses) + &secret("k", kind));
        let said = run(&sandbox, 2, &["validate", "-f", "m.yaml", "--project-id", "p"]);
        told(&said, &format!("{place}Secret/k at m.yaml:"));
        told(&said, hint);
    }
    for (kind, uses) in [("keys", VARIABLES), ("docker", IMAGES), ("acr", IMAGES), ("gar", IMAGES)]
    {
        write(&sandbox, "m.yaml", service("s", uses) + &secret("k", kind));
        run(&sandbox, 0, &["validate", "-f", "m.yaml", "--project-id", "p"]);
    }
}

#[test]
fn a_secret_of_the_platform_has_the_type_that_is_needed() {
    for (kind, uses, place) in [
        ("docker", VARIABLES, "s.yaml:7:13: Secret/k on the platform is for pulling images"),
        (
            "keys",
            IMAGES,
            "s.yaml:7:3: Secret/k on the platform has type `keys`, which cannot be used to pull images",
        ),
    ] {
        let sandbox = Sandbox::new();
        write(&sandbox, "k.yaml", secret("k", kind));
        sandbox.embedded(0, &["apply", "-f", "k.yaml", "--yes", "--set", "secrets"]);
        write(&sandbox, "s.yaml", service("s", uses));
        run(&sandbox, 0, &["validate", "-f", "s.yaml", "--project-id", "p"]);
        let said = sandbox.embedded(6, &["plan", "-f", "s.yaml"]);
        told(&said, place);
    }
}

#[test]
fn a_secret_that_is_given_up_gets_another_type_after_that() {
    for (before, then) in [("keys", "docker"), ("docker", "keys")] {
        let uses = if before == "keys" { VARIABLES } else { IMAGES };
        for after in [service("s", ""), String::new()] {
            let sandbox = Sandbox::new();
            write(&sandbox, "m.yaml", secret("k", before) + &service("s", uses));
            sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
            // What uses it in its new way comes last.
            let uses = if then == "keys" { VARIABLES } else { IMAGES };
            write(&sandbox, "m.yaml", secret("k", then) + &after + &service("new", uses));
            sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
            let plan = sandbox.embedded(0, &["plan", "-f", "m.yaml", "--exit-code"]);
            assert!(plan.stdout.starts_with("Nothing to change"), "{}", plan.stdout);
        }
    }
}

#[test]
fn a_secret_keeps_its_type_while_something_refers_to_it() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m.yaml", secret("k", "keys") + &service("s", VARIABLES));
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
    write(&sandbox, "m.yaml", secret("k", "docker") + &service("s", IMAGES));
    for command in [&["plan"][..], &["apply", "--yes"]] {
        let said = sandbox.embedded(6, &[command, &["-f", "m.yaml"]].concat());
        told(
            &said,
            "m.yaml:5:1: the platform refuses to change the type of Secret/k while Service/s refers to it",
        );
        told(
            &said,
            "hint: declare a secret with the new type under another name, and refer to that one in Service/s",
        );
    }
    // The way out is one.
    write(&sandbox, "m.yaml", secret("k2", "docker") + &service("s", "  pull_secret: k2\n"));
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
}
