//! Images that services are run from and that are built of a folder beside the manifest: the block
//! `build`, which only the reconciler reads.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::path::FieldPath;
use super::specs::rules::Rule;
use super::specs::service::ContainerSpec;
use super::{Beside, Fault};

/// The field of a document.
pub const BUILD: &str = "build";

/// The field under which the digest of the folder comes.
pub const DIGEST: &str = "$digest";

/// The registry of images that are on no other machine: nobody can offer an image under its name.
const HERE: &str = "localhost";

/// How many hex digits of the digest are the tag: 128 bits, of which nobody finds two folders.
const TAG: usize = 32;

/// An image that is built of a folder beside the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The folder that the image is built of, seen from the manifest. It is in the repository of the
    /// manifests, or below the project file. `.dockerignore` in it leaves files out.
    pub context: String,
    /// The description of the image, seen from the folder. Default: `Containerfile`, else
    /// `Dockerfile`.
    #[serde(default)]
    pub dockerfile: Option<String>,
    /// What the image is called, without a tag: that is a digest of the folder. Default:
    /// `localhost/` and the name of the service.
    #[serde(default)]
    pub image: Option<String>,
    /// The digest of the folder.
    #[serde(default, rename = "$digest")]
    #[schemars(skip)]
    pub digest: Option<String>,
}

/// The container of a document: its image is said by `build`, if there is one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Container(pub ContainerSpec);

impl JsonSchema for Container {
    fn schema_name() -> Cow<'static, str> {
        "ServiceContainer".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = ContainerSpec::json_schema(generator);
        if let Some(Value::Array(required)) = schema.get_mut("required") {
            required.retain(|name| name != "image");
            if required.is_empty() {
                schema.remove("required");
            }
        }
        schema
    }
}

/// Says in the schema of a document that a container has its image where nothing is built.
pub fn require_image(schema: &mut Schema) {
    let built = json!({"required": [BUILD], "properties": {BUILD: {"type": "object"}}});
    let container = json!({"properties": {"container": {"required": ["image"]}}});
    schema.insert("if".to_owned(), json!({"not": built}));
    schema.insert("then".to_owned(), container);
}

/// The block of a document, if it has one.
fn block(document: &Value) -> Option<&Value> {
    document.get(BUILD).filter(|build| !build.is_null())
}

/// The folder that a document names.
#[must_use]
pub fn beside(document: &Value) -> Vec<(FieldPath, Beside, String)> {
    let context = block(document).and_then(|build| build.get("context")?.as_str());
    let named = context.map(|path| (FieldPath::of(&[BUILD]), Beside::Context, path.to_owned()));
    named.into_iter().collect()
}

/// The name of the image that a document has built, without a tag.
fn name_of(document: &Value) -> Result<String, Fault> {
    let given = block(document).and_then(|build| build.get("image")?.as_str());
    if let Some(given) = given {
        let path = [BUILD, "image"];
        if let Err(message) = Rule::Image.check(given) {
            return Err(Fault::new(&path, format!("`build.image` {message}")));
        }
        let last = given.rsplit('/').next().unwrap_or_default();
        if last.contains(':') || given.contains(['@', '{']) {
            return Err(Fault::new(
                &path,
                "`build.image` must be a name without a tag or a digest",
            )
            .hint("the tag is a digest of the folder, so that another content is another image"));
        }
        return Ok(given.to_owned());
    }
    let name = document.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let image = format!("{HERE}/{name}");
    match Rule::Image.check(&image) {
        Ok(()) if !name.contains([':', '@', '{']) => Ok(image),
        _ => Err(Fault::new(&[BUILD], format!("{name:?} cannot be the name of an image"))
            .hint("say its name: `image: localhost/NAME`, with small letters and digits")),
    }
}

/// The image that a document has built, once the digest of its folder is known.
#[must_use]
pub fn image(document: &Value) -> Option<String> {
    let digest = block(document)?.get(DIGEST)?.as_str()?.get(..TAG)?;
    Some(format!("{}:{digest}", name_of(document).ok()?))
}

/// A document with the image that it has built, in the place where others say theirs.
///
/// # Errors
///
/// Another image is said; something else is run; the image can have no such name.
pub fn with_image(document: &Value) -> Result<Cow<'_, Value>, Fault> {
    if block(document).is_none() {
        let container = document.get("container").filter(|it| !it.is_null());
        return match container {
            Some(container) if container.get("image").is_none() => {
                Err(Fault::new(&["container"], "missing field `image` in `container`"))
            }
            _ => Ok(Cow::Borrowed(document)),
        };
    }
    if document.pointer("/container/image").is_some() {
        let hint = "leave `container.image` out: it becomes the image that is built";
        let told = "a service has `build` or `container.image`, not both";
        return Err(Fault::new(&["container", "image"], told).hint(hint));
    }
    if document.get("external").is_some_and(|it| !it.is_null()) {
        let told = "a service that runs elsewhere has no image that could be built";
        return Err(Fault::new(&[BUILD], told));
    }
    name_of(document)?;
    let Some(image) = image(document) else {
        return Err(Fault::new(&[BUILD, "context"], "what is in the folder is not at hand"));
    };
    let mut document = document.clone();
    match document.get_mut("container") {
        Some(Value::Object(container)) => drop(container.insert("image".to_owned(), image.into())),
        _ => document["container"] = json!({"image": image}),
    }
    Ok(Cow::Owned(document))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn document(more: Value) -> Value {
        let mut document = json!({"metadata": {"name": "agent"}});
        let Value::Object(more) = more else { panic!("an object") };
        document.as_object_mut().unwrap().extend(more);
        document
    }

    #[test]
    fn an_image_is_called_as_it_is_said_and_by_the_digest_of_its_folder() {
        let built = |build: Value| document(json!({"build": build}));
        let table = [
            (json!({}), Some("localhost/agent:0123456789abcdef0123456789abcdef")),
            (
                json!({"image": "127.0.0.1:5000/a/b"}),
                Some("127.0.0.1:5000/a/b:0123456789abcdef0123456789abcdef"),
            ),
            (json!({"image": "a:1"}), None),
            (json!({"image": "127.0.0.1:5000/a:1"}), None),
            (json!({"image": "a@sha256:1"}), None),
            (json!({"image": "a{SERVER_VERSION}"}), None),
            (json!({"image": "A b"}), None),
            (json!({"image": ""}), None),
        ];
        for (mut build, expected) in table {
            build["context"] = "x".into();
            build[DIGEST] = HEX.into();
            let document = built(build);
            let read = with_image(&document);
            assert_eq!(image(&document).as_deref(), expected);
            let container = read.map(|read| read["container"].clone());
            assert_eq!(container.ok(), expected.map(|image| json!({"image": image})));
        }
        for name in ["Support Agent", "a:b", "a@b", "../a", ""] {
            let mut document = built(json!({"context": "x", DIGEST: HEX}));
            document["metadata"]["name"] = name.into();
            assert_eq!(with_image(&document).unwrap_err().path, FieldPath::of(&[BUILD]), "{name}");
        }
    }

    #[test]
    fn an_image_is_said_once() {
        let build = || json!({"context": "x", DIGEST: HEX});
        let container = json!({"command": "run"});
        let read = document(json!({"build": build(), "container": container}));
        let read = with_image(&read).unwrap().into_owned();
        assert_eq!(read["container"]["command"], "run");
        let both = document(json!({"build": build(), "container": {"image": "x"}}));
        let fault = with_image(&both).unwrap_err();
        assert_eq!(fault.path, FieldPath::of(&["container", "image"]));
        let elsewhere = document(json!({"build": build(), "external": {"url": "https://x"}}));
        assert_eq!(with_image(&elsewhere).unwrap_err().path, FieldPath::of(&[BUILD]));
        let neither = document(json!({"build": null, "container": {}}));
        assert_eq!(with_image(&neither).unwrap_err().path, FieldPath::of(&["container"]));
        let unread = document(json!({"build": {"context": "x"}}));
        assert_eq!(with_image(&unread).unwrap_err().path, FieldPath::of(&[BUILD, "context"]));
        let plain = document(json!({"container": {"image": "x"}}));
        assert_eq!(*with_image(&plain).unwrap(), plain);
    }
}
