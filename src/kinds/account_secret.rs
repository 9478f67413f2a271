//! `kind: AccountSecret`. One value that belongs to a service account, in versions. Its key is the
//! account's name and its own: `ACCOUNT/NAME`.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::document::{AnnotatedMetadata, Lifecycle, SecretText};
use super::secret::NO_EMAIL;
use super::shape::Shape;
use super::tree::Tree;
use super::{
    By, Declared, Fault, Key, Kind, KindName, NameRule, Purpose, Reference, ReferredTo, Relation,
    kind_tag, typed,
};
use crate::kinds::path::FieldPath;
use crate::kinds::specs::Version;
use crate::kinds::specs::rules::Rule;

kind_tag!(AccountSecretTag, AccountSecret);

/// What a secret is whose document does not say so.
pub const OPAQUE: &str = "opaque";

/// The type of credentials for pulling images.
pub const DOCKER: &str = "docker";

/// The fields that the value of a secret is made of. The platform gives none of them back.
pub const PARTS: [&str; 5] = ["value", "server", "username", "password", "email"];

/// A secret of a service account: one value, such as a key for an API.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "AccountSecret")]
struct AccountSecretDocument {
    /// Always `v1`.
    version: Version,
    /// Always `AccountSecret`.
    #[allow(dead_code, reason = "read for its schema")]
    kind: AccountSecretTag,
    /// The secret's name. Others refer to it as `ACCOUNT/NAME`.
    metadata: AnnotatedMetadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// The service account that it belongs to, by name.
    #[schemars(extend("x-rule" = "account-name"))]
    account: String,
    /// What it is, for those who read it. Default: `opaque`; `docker` for pulling images.
    #[serde(rename = "type", default = "opaque")]
    #[schemars(extend("x-rule" = "name"))]
    secret_type: String,
    /// The value. A secret of type `docker` has none; say `server`, `username` and `password` instead.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    value: Option<SecretText>,
    /// For `docker`: the registry's host.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    server: Option<SecretText>,
    /// For `docker`: the user.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    username: Option<SecretText>,
    /// For `docker`: the password.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    password: Option<SecretText>,
    /// For `docker`: the user's mail address. Default: `none@example.com`.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    email: Option<SecretText>,
    /// Whether nobody can read the value again: only the platform's proxy uses it.
    #[serde(default)]
    #[allow(dead_code, reason = "read for its schema")]
    http_only: bool,
    /// Whether images of containers that run as the account are pulled with it.
    #[serde(default)]
    #[allow(dead_code, reason = "read for its schema")]
    pulls_images: bool,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

fn opaque() -> String {
    OPAQUE.to_owned()
}

static SHAPE: LazyLock<Shape> =
    LazyLock::new(|| super::own_fields::<AccountSecretDocument>(&["metadata.description"]));

/// The kind.
pub struct AccountSecret;

impl AccountSecretDocument {
    /// The parts of the value, as they are given.
    fn parts(&mut self) -> [(&'static str, Option<SecretText>); 5] {
        [
            ("value", self.value.take()),
            ("server", self.server.take()),
            ("username", self.username.take()),
            ("password", self.password.take()),
            ("email", self.email.take()),
        ]
    }
}

/// What is wrong with the choice of parts, by their names.
fn misfits(secret_type: &str, given: &[&str]) -> Vec<Fault> {
    let (needed, allowed): (&[&str], &[&str]) = match secret_type {
        DOCKER => {
            (&["server", "username", "password"], &["server", "username", "password", "email"])
        }
        _ => (&["value"], &["value"]),
    };
    let foreign = given.iter().filter(|part| !allowed.contains(*part)).map(|part| {
        Fault::new(&[part], format!("a secret of type `{secret_type}` has no field `{part}`"))
            .hint(format!("it has {}", allowed.join(", ")))
    });
    let missing = needed.iter().filter(|part| !given.contains(part)).map(|part| {
        Fault::new(&["type"], format!("a secret of type `{secret_type}` needs `{part}`"))
    });
    foreign.chain(missing).collect()
}

/// The name of a secret in keys and references.
#[must_use]
pub fn called(account: &str, name: &str) -> String {
    format!("{account}/{name}")
}

/// The account and the name in the name of a key.
#[must_use]
pub fn parts_of(name: &str) -> Option<(&str, &str)> {
    name.split_once('/')
}

/// The account of a secret that is named as `ACCOUNT/NAME`, if it is another one than that for which
/// something acts. Where either is given by an id or an address, nobody can tell from that.
#[must_use]
pub fn other_owner<'a>(secret: &'a str, acts_for: &str) -> Option<&'a str> {
    let (owner, _) = parts_of(secret)?;
    let is_name = |text: &str| !text.contains('@') && Uuid::try_parse(text).is_err();
    (owner != acts_for && is_name(owner) && is_name(acts_for)).then_some(owner)
}

impl Kind for AccountSecret {
    fn name(&self) -> KindName {
        KindName::AccountSecret
    }

    fn summary(&self) -> &'static str {
        "a secret of a service account: one value, in versions"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<AccountSecretDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/account_secret.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, written: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let mut document: AccountSecretDocument = typed(written)?;
        let _ = document.version;
        let parts = document.parts();
        let given: Vec<&str> =
            parts.iter().filter(|(_, text)| text.is_some()).map(|(name, _)| *name).collect();
        let faults = misfits(&document.secret_type, &given);
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut lifecycle = document.lifecycle.unwrap_or_else(Lifecycle::standard);
        let former = &mut lifecycle.moved_from.0;
        former.iter_mut().for_each(|name| *name = called(&document.account, name));
        let mut fields = SHAPE.read(written);
        for (name, text) in parts {
            if let Some(text) = text {
                fields.set(name, Tree::from(text));
            }
        }
        if document.secret_type == DOCKER && !given.contains(&"email") {
            fields.set("email", Tree::from(SecretText::Text(NO_EMAIL.to_owned())));
        }
        Ok(vec![Declared {
            project: document.project,
            room: None,
            name: called(&document.account, &document.metadata.name),
            fields,
            lifecycle,
        }])
    }

    fn document(&self, key: &Key, fields: &Tree) -> Value {
        let mut document = super::document_of(key, fields);
        if let (Some((_, name)), Some(Value::Object(metadata))) =
            (parts_of(&key.name), document.get_mut("metadata"))
        {
            metadata.insert("name".to_owned(), name.into());
        }
        Value::Object(document)
    }

    fn name_rule(&self) -> NameRule {
        NameRule { rule: Rule::Name, field: None }
    }

    fn placed_in(&self) -> Option<KindName> {
        Some(KindName::ServiceAccount)
    }

    fn place_in<'a>(&self, name: &'a str) -> Option<&'a str> {
        Some(parts_of(name)?.0)
    }

    /// Images of containers that act for the account are pulled with it.
    fn is_needed_with_place(&self, fields: &Tree) -> bool {
        matches!(fields.get("pulls_images"), Some(Tree::Bool(true)))
    }

    /// What is no `ACCOUNT/NAME` is an id, of somebody's secret.
    fn may_be_elsewhere(&self, name: &str) -> bool {
        parts_of(name).is_none()
    }

    fn relations(&self) -> &'static [Relation] {
        &[Relation { to: KindName::ServiceAccount, by: By::Id }]
    }

    fn references(&self, fields: &Tree) -> Vec<Reference> {
        let account = fields.get("account").and_then(Tree::as_str).map(str::to_owned);
        let reference = account.map(|name| Reference {
            path: FieldPath::of(&["account"]),
            to: ReferredTo::Object {
                kind: KindName::ServiceAccount,
                name,
                purpose: Purpose::Whole,
            },
        });
        reference.into_iter().collect()
    }

    fn immutable(&self) -> &'static [&'static str] {
        &["account"]
    }

    /// A value that nobody can read again stays so.
    fn final_flags(&self) -> &'static [&'static str] {
        &["http_only"]
    }

    fn kept_in_use(&self) -> &'static [&'static str] {
        self.final_flags()
    }

    fn hides_values(&self) -> bool {
        true
    }
}
