//! Who one is for a registry.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

/// The registry of images that name none.
const USUAL: &str = "docker.io";

/// A name and a password for a registry.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The registry, such as `ghcr.io`, with its port if it has one. Empty for Docker's.
    pub registry: String,
    /// The name.
    pub username: String,
    /// The password, or a token.
    pub password: SecretString,
}

impl Credentials {
    /// What the registry is called in names of images.
    fn of(&self) -> &str {
        let name = self.registry.split_once("://").map_or(self.registry.as_str(), |it| it.1);
        match name.split('/').next().unwrap_or_default() {
            "" | "index.docker.io" | "registry-1.docker.io" => USUAL,
            name => name,
        }
    }
}

/// The registry of an image.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => USUAL,
    }
}

/// The header that tells who one is for the registry of an image. Nobody, where no registry fits:
/// a password is told to its own registry only.
pub(super) fn for_image(image: &str, known: &[Credentials]) -> String {
    let found = known.iter().find(|it| it.of() == registry(image));
    let value = found.map_or_else(
        || json!({}),
        |it| {
            json!({
                "username": it.username,
                "password": it.password.expose_secret(),
                "serveraddress": it.of(),
            })
        },
    );
    URL_SAFE.encode(value.to_string())
}

/// The header that tells who one is for each registry.
pub(super) fn for_all(known: &[Credentials]) -> String {
    let mut all = Map::new();
    for it in known {
        let value = json!({ "username": it.username, "password": it.password.expose_secret() });
        // Docker looks its own registry up by this address.
        let name = if it.of() == USUAL { "https://index.docker.io/v1/" } else { it.of() };
        all.insert(name.to_owned(), value);
    }
    URL_SAFE.encode(Value::Object(all).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Credentials> {
        let known = |registry: &str, username: &str| Credentials {
            registry: registry.to_owned(),
            username: username.to_owned(),
            password: format!("secret of {username}").into(),
        };
        vec![known("https://ghcr.io/v2/", "a"), known("", "b"), known("localhost:5000", "c")]
    }

    fn read(header: &str) -> Value {
        serde_json::from_slice(&URL_SAFE.decode(header).expect("letters")).expect("a value")
    }

    #[test]
    fn a_password_is_told_to_its_own_registry_only() {
        let told = |image| read(&for_image(image, &known()))["username"].clone();
        assert_eq!(told("ghcr.io/one/two:3"), "a");
        assert_eq!([told("alpine"), told("library/alpine:1")], ["b", "b"]);
        assert_eq!(told("docker.io/library/alpine"), "b");
        assert_eq!(told("localhost:5000/it"), "c");
        for other in ["quay.io/one", "ghcr.io.evil.com/one", "localhost/it"] {
            assert_eq!(read(&for_image(other, &known())), json!({}), "{other}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        assert!(!format!("{:?}", known()).contains("secret of"));
        assert_eq!(read(&for_all(&known()))["ghcr.io"]["password"], "secret of a");
    }
}
