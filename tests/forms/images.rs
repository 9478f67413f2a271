//! Images are references that a registry or a container engine can take.

use super::{Sandbox, tells, validate};

fn service(image: &str) -> String {
    format!(
        "version: v1\nkind: Service\nmetadata: {{name: s}}\nproject: p\ncontainer:\n  image: {image:?}\n"
    )
}

const WRONG: [(&str, &str); 12] = [
    ("x y", "must not contain blanks"),
    ("x/", "must be an image"),
    ("/x", "must be an image"),
    ("a//b:1", "must be an image"),
    ("x:y:z", "must have a tag"),
    ("team/app:", "must have a tag"),
    ("docker://x", "must be an image without a scheme"),
    ("oci://registry.example.com/x", "must be an image without a scheme"),
    ("team/App", "must have its repository in lower case"),
    ("App", "must have its repository in lower case"),
    ("app@sha256:abc", "must have a digest"),
    ("app@sha1:0123456789", "must have a digest"),
];

#[test]
fn what_nobody_can_pull_is_refused_at_its_line() {
    let sandbox = Sandbox::new();
    for (image, what) in WRONG {
        let run = validate(&sandbox, 2, "s.yaml", &service(image));
        tells(&run, &format!("s.yaml:6:3: `container.image` {what}"));
    }
    let digest = "0123456789abcdef".repeat(4);
    for image in [
        "busybox",
        "localhost:5000/a/b_c:V1.0",
        "registry.example.com/team/app:{SERVER_VERSION}-esgz",
        &format!("team/app:1.0@sha256:{digest}"),
    ] {
        validate(&sandbox, 0, "s.yaml", &service(image));
    }
}

#[test]
fn the_image_of_a_mount_is_one_too() {
    let sandbox = Sandbox::new();
    let mount = "  storage:\n    images:\n    - {path: /a, image: \"team/App:1\"}\n";
    let run = validate(&sandbox, 2, "s.yaml", &super::service(mount));
    tells(&run, "s.yaml:10:18: `container.storage.images[0].image` must have its repository");
}

#[test]
fn an_editor_is_shown_the_same() {
    let schemas = meshagent::commands::schema::all();
    for name in ["service.json", "servicetemplate.json"] {
        let (_, schema) = schemas.iter().find(|(file, _)| file == name).unwrap();
        let definition =
            if name == "service.json" { "ServiceContainer" } else { "ContainerTemplateSpec" };
        let image = &schema["$defs"][definition]["properties"]["image"];
        let validator = jsonschema::validator_for(image).unwrap();
        for (image, _) in WRONG {
            assert!(!validator.is_valid(&image.into()), "{name}: {image}");
        }
        for image in ["busybox", "a.b:5000/c:1", "a:{SERVER_VERSION}", "a:{{ tag }}"] {
            assert!(validator.is_valid(&image.into()), "{name}: {image}");
        }
    }
}

#[test]
fn the_platform_refuses_it_as_well() {
    let sandbox = Sandbox::new();
    sandbox.write("r.yaml", "version: v1\nkind: Room\nmetadata: {name: r}\n");
    sandbox.embedded(0, &["apply", "-f", "r.yaml", "--yes"]);
    for (image, what) in [("x:y:z", "must have a tag"), ("team/App", "in lower case")] {
        let spec = "version: v1\nkind: Service\nmetadata: {name: s}\n";
        sandbox.write("s.yaml", &format!("{spec}container: {{image: {image:?}}}\n"));
        let run = sandbox.embedded(1, &["service", "create", "--file", "s.yaml", "--room", "r"]);
        tells(&run, what);
    }
}

/// A text that was given on the command line arrives whole, also where it is refused then.
#[test]
fn what_a_template_made_of_a_value_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("s.yaml.j2", &service("repo/app:{{ tag }}"));
    for tag in ["a #b", "1 2", "x:y"] {
        let tag = format!("tag={tag}");
        let run = sandbox.embedded(6, &["plan", "-f", "s.yaml.j2", "-v", &tag]);
        let image = tag.replace("tag=", "repo/app:");
        tells(&run, &format!("it is rendered as container.image: {image:?}\n"));
    }
}
