//! Participant tokens: JWTs, HS256 and nothing else, that name their key in the claim `kid`
//! and their project in `sub`.
//!
//! They are signed by the holder of an API key, so every claim is an assertion of that holder: a
//! token never allows more than its holder has (see [`super::participant`]).

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::platform::error::{Refusal, Result};

/// The release whose tokens these are; receivers read it from the claim `version`.
pub const VERSION: &str = "0.31.4";

/// The release of the public SDK whose API is the later of the two.
pub const LATER: &str = "0.56.0";

/// One grant of a token: `room`, `role` or `api`, with what it grants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    /// The kind of grant.
    pub name: String,
    /// A text for `room` and `role`, a scope for `api`.
    #[serde(default)]
    pub scope: Value,
}

/// The claims of a participant token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// When it expires, in seconds since 1970; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
    /// The participant's name.
    pub name: String,
    /// What it may do.
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// The release that made it.
    #[serde(default)]
    pub version: String,
    /// The id of the key that signed it.
    pub kid: String,
    /// The project.
    pub sub: String,
    /// The holder of a token that the platform itself signed; it means nothing in any other token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Value>,
}

impl Claims {
    /// The only room that the token is for, when it names one.
    pub fn room(&self) -> Option<&str> {
        self.grants.iter().find(|grant| grant.name == "room").and_then(|grant| grant.scope.as_str())
    }

    /// The role in rooms: `user`, `agent` or `tool`. Of several, the first that is not `user`
    /// counts.
    pub fn role(&self) -> &str {
        let roles = self.grants.iter().filter(|grant| grant.name == "role");
        let mut roles = roles.filter_map(|grant| grant.scope.as_str());
        roles.find(|role| *role != "user").unwrap_or("user")
    }

    /// The scope of the `api` grant, when there is one.
    pub fn api(&self) -> Option<&Value> {
        self.grants.iter().find(|grant| grant.name == "api").map(|grant| &grant.scope)
    }
}

/// The claims without a check, to find the key that must have signed them.
///
/// Nothing in the result may be trusted before [`verify`].
pub fn unverified(token: &str) -> Option<Claims> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    // RFC 7515, 4.1.11: a token with an extension that must be understood, and is not, is refused.
    // None is understood here.
    if header.alg != Algorithm::HS256 || header.crit.is_some() {
        return None;
    }
    jsonwebtoken::dangerous::insecure_decode_claims(token).ok()
}

/// The claims of a token that the key signed and that has not expired.
pub fn verify(token: &str, secret: &SecretString) -> Option<Claims> {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.required_spec_claims.clear();
    rules.validate_exp = true;
    rules.validate_nbf = true;
    rules.validate_aud = false;
    rules.leeway = 0;
    let key = DecodingKey::from_secret(secret.expose_secret().as_bytes());
    jsonwebtoken::decode(token, &key, &rules).ok().map(|token| token.claims)
}

/// Signs claims.
///
/// # Errors
///
/// The claims cannot be written as JSON.
pub fn sign(claims: &Claims, secret: &SecretString) -> Result<String> {
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).map_err(Refusal::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(exp: Option<u64>) -> Claims {
        Claims {
            exp,
            name: "ada".into(),
            grants: vec![Grant { name: "api".into(), scope: serde_json::json!({}) }],
            version: VERSION.into(),
            kid: "k".into(),
            sub: "p".into(),
            principal: None,
        }
    }

    #[test]
    fn a_token_is_good_with_its_own_secret_and_until_it_ends() {
        let (secret, other) = ("secret".to_owned().into(), "other".to_owned().into());
        let token = sign(&claims(None), &secret).expect("a token");
        assert!(verify(&token, &secret).is_some_and(|claims| claims.api().is_some()));
        assert!(verify(&token, &other).is_none());
        let ended = sign(&claims(Some(1)), &secret).expect("a token");
        assert!(verify(&ended, &secret).is_none());
    }

    #[test]
    fn a_token_with_an_extension_that_must_be_understood_is_not_even_read() {
        let header = Header { crit: Some(vec!["x".into()]), ..Header::new(Algorithm::HS256) };
        let key = EncodingKey::from_secret(b"secret");
        let token = jsonwebtoken::encode(&header, &claims(None), &key).expect("a token");
        assert!(unverified(&token).is_none());
    }

    #[test]
    fn another_algorithm_is_not_even_read() {
        let key = EncodingKey::from_secret(b"secret");
        let header = Header::new(Algorithm::HS512);
        let token = jsonwebtoken::encode(&header, &claims(None), &key).expect("a token");
        assert!(unverified(&token).is_none());
        assert!(verify(&token, &"secret".to_owned().into()).is_none());
    }
}
