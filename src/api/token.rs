//! Participant tokens as the reference signs them: the same claims in the same order, in the same
//! bytes, HS256, without expiry.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;

use super::key::ApiKey;

/// The release whose tokens these are; receivers read it from the claim `version`.
pub const VERSION: &str = "0.31.4";

/// What signs a token: an API key, whose ids the token names, or a bare secret.
#[derive(Debug, Clone)]
pub enum Signer {
    /// An API key.
    Key(ApiKey),
    /// A secret that only the receiver knows.
    Secret(SecretString),
}

/// A token before it is signed.
#[derive(Debug, Clone)]
pub struct Token {
    name: String,
    grants: Vec<Value>,
}

impl Token {
    /// A token that grants nothing yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), grants: Vec::new() }
    }

    /// The same, with a grant that is a text, such as `room` and `role`.
    #[must_use]
    pub fn grant(mut self, name: &str, scope: &str) -> Self {
        self.grants.push(json!({ "name": name, "scope": scope }));
        self
    }

    /// The same, with what the participant may do in the room: a scope, without entries that are
    /// missing or have their default.
    #[must_use]
    pub fn api(mut self, scope: Value) -> Self {
        self.grants.push(json!({ "name": "api", "scope": scope }));
        self
    }

    /// The signed token.
    #[must_use]
    pub fn sign(&self, signer: &Signer) -> String {
        let mut claims = json!({ "name": self.name, "grants": self.grants, "version": VERSION });
        let secret = match signer {
            Signer::Key(key) => {
                claims["kid"] = key.id.to_string().into();
                claims["sub"] = key.project.to_string().into();
                &key.secret
            }
            Signer::Secret(secret) => secret,
        };
        sign(&claims, secret)
    }
}

/// The room that a participant token names; `None` for anything else, such as an API key. Only the
/// platform can say whether the token is valid.
#[must_use]
pub fn room_of(token: &str) -> Option<String> {
    let [_header, claims, _signature] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let mut grants = claims.get("grants")?.as_array()?.iter();
    let room = grants.find(|grant| grant["name"] == "room")?;
    room["scope"].as_str().map(str::to_owned)
}

/// Signs claims.
#[must_use]
pub fn sign(claims: &Value, secret: &SecretString) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(ascii(&value.to_string()));
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let signed = format!("{}.{}", encoded(&header), encoded(claims));
    // HMAC takes a key of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
        return String::new();
    };
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// JSON in ASCII: only texts contain other characters, and there they can be escaped.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0u16; 2];
            for unit in c.encode_utf16(&mut units) {
                out += &format!("\\u{unit:04x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_which_room_it_is_for() {
        let signer = Signer::Secret(SecretString::from("secret".to_owned()));
        let token = Token::new("ada").grant("role", "user");
        assert_eq!(room_of(&token.clone().grant("room", "demo").sign(&signer)).unwrap(), "demo");
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for other in [
            token.sign(&signer),
            "ma-id.key.secret".to_owned(),
            "t".to_owned(),
            String::new(),
            "..".to_owned(),
            format!("x.{}.x", part("[]")),
            format!("x.{}.x", part(r#"{"grants": [{"name": "room", "scope": 5}]}"#)),
            format!("x.{}.x.x", part(r#"{"grants": [{"name": "room", "scope": "demo"}]}"#)),
        ] {
            assert_eq!(room_of(&other), None, "{other}");
        }
    }

    #[test]
    fn claims_are_ascii_and_in_order() {
        let secret = SecretString::from("secret".to_owned());
        let token = Token::new("ü😀").grant("room", "demo").api(json!({}));
        let signed = token.sign(&Signer::Secret(secret));
        let claims = signed.split('.').nth(1).unwrap();
        let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert_eq!(
            claims,
            r#"{"name":"\u00fc\ud83d\ude00","grants":[{"name":"room","scope":"demo"},{"name":"api","scope":{}}],"version":"0.31.4"}"#
        );
    }
}
