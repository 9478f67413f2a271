//! `Secret` on the wire.

use std::sync::LazyLock;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::dialect::fields::text_of;
use crate::dialect::{Collection, Seen, Spelling, Target, Unsaid};
use crate::kinds::KindName;
use crate::kinds::path::FieldPath;
use crate::kinds::secret::NO_EMAIL;
use crate::kinds::shape::Shape;
use crate::kinds::tree::{Sealed, Tree};

fn shape() -> &'static Shape {
    KindName::Secret.kind().shape()
}

/// Whether a platform's answer only says that there is a secret: nothing, or mostly stars.
fn is_mask(text: &str) -> bool {
    let stars = text.chars().filter(|c| matches!(c, '*' | '•' | '●')).count();
    stars >= text.chars().count().div_ceil(2)
}

/// The fields of manifests that 0.31 does not have.
static UNSAID: LazyLock<Unsaid> =
    LazyLock::new(|| Unsaid::of(shape(), "type\ndata\nserver\nusername\npassword\nemail"));

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Secret);

/// The spelling.
pub struct Secret;

impl Spelling for Secret {
    fn collection(&self) -> Collection {
        Collection::plain("secrets")
    }

    fn unsaid(&self) -> &'static Unsaid {
        &UNSAID
    }

    fn instead_of(&self, _field: &FieldPath) -> &'static str {
        "remove it: the secrets of this platform belong to the project; where a manifest is for both, let an environment override it"
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let kind = text_of(item, "type")?;
        let data = item.get("data").filter(|data| !data.is_null()).cloned();
        let data = data.unwrap_or_else(|| json!({}));
        let mut fields = if kind == "docker" {
            let mut fields = shape().read(&data);
            if fields.get("email").is_none() {
                fields.set("email", Tree::text(NO_EMAIL));
            }
            if fields.get("password").is_none() {
                fields.set("password", Tree::Secret(Sealed::Masked));
            }
            fields.set("type", Tree::text(kind));
            fields
        } else {
            Tree::map([("type", Tree::text(kind)), ("data", Tree::from(&data).sealed())])
        };
        fields.rewrite_leaves(&mut |_, leaf| match leaf {
            Tree::Secret(Sealed::Known(text)) if is_mask(text.expose_secret()) => {
                Some(Tree::Secret(Sealed::Masked))
            }
            _ => None,
        });
        Ok(Seen {
            name: text_of(item, "name")?,
            id: Some(text_of(item, "id")?),
            owner: None,
            fields,
        })
    }

    /// The three keys of the wire. Listing on the platform needs `data` of exactly this form.
    fn body(&self, target: &Target<'_>) -> Value {
        let fields = target.fields;
        let kind = fields.get("type").and_then(Tree::as_str).unwrap_or("keys");
        let data = if kind == "keys" {
            fields.get("data").map(Tree::reveal).unwrap_or_else(|| json!({}))
        } else {
            let of = |name: &str| fields.sent(name);
            json!({ "server": of("server"), "username": of("username"), "password": of("password"), "email": of("email") })
        };
        json!({ "name": target.name, "type": kind, "data": data })
    }
}
