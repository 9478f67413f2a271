//! `kind: Secret`. A project secret: environment variables, or credentials for pulling images.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{Lifecycle, Metadata, SecretText};
use super::fields::Fields;
use super::path::FieldPath;
use super::shape::Shape;
use super::tree::Tree;
use super::{Declared, Fault, Key, Kind, KindName, Misfit, Purpose, kind_tag, typed};
use crate::kinds::specs::Version;

kind_tag!(SecretTag, Secret);

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum SecretType {
    /// Pairs that become environment variables of a container.
    Keys,
    /// A user and password for pulling images.
    Docker,
    /// The same for a registry of Azure.
    Acr,
    /// The same for Google Artifact Registry, with a JSON key.
    Gar,
}

/// A project secret: environment variables, or credentials for pulling images.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Secret")]
struct SecretDocument {
    /// Always `v1`.
    version: Version,
    /// Always `Secret`.
    #[allow(dead_code, reason = "read for its schema")]
    kind: SecretTag,
    /// The secret's name; services refer to it by this name.
    metadata: Metadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// What it is for: `keys` for environment variables; `docker`, `acr` or `gar` for pulling
    /// images.
    #[serde(rename = "type")]
    secret_type: SecretType,
    /// The service account that the secret belongs to, by name, where the platform has no project
    /// secrets (API 0.56).
    #[serde(default)]
    #[schemars(extend("x-rule" = "account-name"))]
    service_account: Option<String>,
    /// For `keys`: names of environment variables with their texts.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    data: Option<BTreeMap<String, SecretText>>,
    /// For `docker`, `acr`, `gar`: the registry's host.
    #[serde(default)]
    #[schemars(extend("x-rule" = "unmasked"))]
    server: Option<String>,
    /// For `docker` and `acr`: the user.
    #[serde(default)]
    #[schemars(extend("x-rule" = "unmasked"))]
    username: Option<String>,
    /// For `docker` and `acr`: the password.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    password: Option<SecretText>,
    /// For `gar`: the JSON key of a service account.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    json_key: Option<SecretText>,
    /// For `docker`: the user's mail address. Default: `none@example.com`.
    #[serde(default)]
    #[schemars(extend("x-rule" = "unmasked"))]
    email: Option<String>,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    super::own_fields::<SecretDocument>(&["metadata", "json_key", "metadata.description"])
        .withholding("data")
});

/// What the reference sends, and its reader assumes, where no address is given.
pub const NO_EMAIL: &str = "none@example.com";

/// The kind.
pub struct Secret;

impl SecretDocument {
    /// The fields as the wire knows them: `acr` and `gar` are presets of `docker`.
    fn fields(self) -> Result<Tree, Vec<Fault>> {
        let _ = self.version;
        let given = [
            ("data", self.data.is_some()),
            ("server", self.server.is_some()),
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
            ("json_key", self.json_key.is_some()),
            ("email", self.email.is_some()),
        ];
        let (name, needed, allowed): (_, &[&str], &[&str]) = match self.secret_type {
            SecretType::Keys => ("keys", &["data"], &["data"]),
            SecretType::Docker => (
                "docker",
                &["server", "username", "password"],
                &["server", "username", "password", "email"],
            ),
            SecretType::Acr => {
                ("acr", &["server", "username", "password"], &["server", "username", "password"])
            }
            SecretType::Gar => ("gar", &["server", "json_key"], &["server", "json_key"]),
        };
        let foreign = given.iter().filter(|(field, given)| *given && !allowed.contains(field));
        let foreign = foreign.map(|(field, _)| {
            Fault::new(&[field], format!("a secret of type `{name}` has no field `{field}`"))
                .hint(format!("it has {}", allowed.join(", ")))
        });
        let missing = given.iter().filter(|(field, given)| !*given && needed.contains(field));
        let missing = missing.map(|(field, _)| {
            Fault::new(&["type"], format!("a secret of type `{name}` needs `{field}`"))
        });
        let faults: Vec<Fault> = foreign.chain(missing).collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        let account = self.service_account.map(Tree::text);
        if self.secret_type == SecretType::Keys {
            let data = self.data.unwrap_or_default();
            // The name may be a whole pair by mistake, so it is not repeated.
            if data.keys().any(|name| name.is_empty() || name.contains(['=', '\0'])) {
                let told = "a name in `data` is empty or contains `=`, so it cannot be the name of an environment variable";
                return Err(vec![Fault::new(&["data"], told)]);
            }
            let data =
                data.into_iter().map(|(name, text)| (name, Tree::from(text))).collect::<Tree>();
            let mut fields = Tree::map([("type", Tree::text("keys")), ("data", data)]);
            fields.put(&FieldPath::of(&["service_account"]), account);
            return Ok(fields);
        }
        let (username, password, email) = match self.secret_type {
            SecretType::Gar => {
                (Some("_json_key".to_owned()), self.json_key, Some("none@google.com".to_owned()))
            }
            SecretType::Acr => {
                (self.username, self.password, Some("none@microsoft.com".to_owned()))
            }
            _ => (self.username, self.password, self.email),
        };
        let mut fields = Tree::map([
            ("type", Tree::text("docker")),
            ("server", Tree::text(self.server.unwrap_or_default())),
            ("username", Tree::text(username.unwrap_or_default())),
            ("password", password.map_or(Tree::Null, Tree::from)),
            ("email", Tree::text(email.unwrap_or_else(|| NO_EMAIL.to_owned()))),
        ]);
        fields.put(&FieldPath::of(&["service_account"]), account);
        Ok(fields)
    }
}

impl Kind for Secret {
    fn name(&self) -> KindName {
        KindName::Secret
    }

    fn summary(&self) -> &'static str {
        "a project secret: environment variables, or credentials for pulling images"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<SecretDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/secret.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, document: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let document: SecretDocument = typed(document)?;
        let project = document.project.clone();
        let name = document.metadata.name.clone();
        let lifecycle = document.lifecycle.clone().unwrap_or_else(Lifecycle::standard);
        Ok(vec![Declared { project, room: None, name, fields: document.fields()?, lifecycle }])
    }

    fn document(&self, key: &Key, fields: &Tree) -> Value {
        let mut document = super::document_of(key, fields);
        if document.get("email") == Some(&NO_EMAIL.into()) {
            document.shift_remove("email");
        }
        Value::Object(document)
    }

    fn misfit(&self, purpose: Purpose, fields: &Tree) -> Option<Misfit> {
        let is_of = |name| fields.get("type").and_then(Tree::as_str).is_none_or(|it| it == name);
        match purpose {
            Purpose::Variables if !is_of("keys") => Some(Misfit {
                what: "is for pulling images",
                hint: "`container.secrets` takes secrets of type `keys`; use `container.pull_secret` to pull images",
            }),
            Purpose::Images if !is_of("docker") => Some(Misfit {
                what: "has type `keys`, which cannot be used to pull images",
                hint: "`container.pull_secret` takes a secret of type `docker`, `acr` or `gar`; list one of type `keys` in `container.secrets`",
            }),
            _ => None,
        }
    }

    fn kept_in_use(&self) -> &'static [&'static str] {
        &["type"]
    }

    fn hides_values(&self) -> bool {
        true
    }

    fn brings_variables<'a>(&self, fields: &'a Tree) -> Vec<&'a str> {
        let pairs = fields.get("data").and_then(Tree::fields);
        pairs.into_iter().flat_map(Fields::keys).map(AsRef::as_ref).collect()
    }

    fn carries_owner(&self) -> bool {
        false
    }

    fn is_renamable(&self) -> bool {
        true
    }
}
