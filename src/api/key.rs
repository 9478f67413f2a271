//! The text of an API key: `ma-<key id>-<project id>-<secret>`.
//!
//! Both ids are the sixteen bytes of a UUID in base64url without padding, with `-` written
//! as `.`, so that the first two dashes separate the parts and the secret may hold more.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

/// An API key in its parts.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// The key's id, the `kid` of tokens signed with it.
    pub id: Uuid,
    /// The project it belongs to.
    pub project: Uuid,
    /// The secret: compared when the key is a credential, and what tokens are signed with.
    pub secret: SecretString,
}

impl ApiKey {
    /// A new key of a project, with 256 bits of randomness.
    ///
    /// # Errors
    ///
    /// The system gives no random bytes.
    pub fn generate(project: Uuid) -> Result<Self, getrandom::Error> {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes)?;
        let secret = URL_SAFE_NO_PAD.encode(bytes).into();
        Ok(Self { id: Uuid::new_v4(), project, secret })
    }

    /// Reads the text of a key; none when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("ma-")?.splitn(3, '-');
        let id = decode(parts.next()?)?;
        let project = decode(parts.next()?)?;
        let secret = parts.next()?.to_owned().into();
        Some(Self { id, project, secret })
    }

    /// The text of the key, as its owner keeps it.
    pub fn text(&self) -> SecretString {
        let (id, project) = (encode(self.id), encode(self.project));
        format!("ma-{id}-{project}-{}", self.secret.expose_secret()).into()
    }
}

fn encode(id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes()).replace('-', ".")
}

fn decode(text: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(text.replace('.', "-")).ok()?;
    Uuid::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back() {
        let key = ApiKey::generate(Uuid::new_v4()).expect("random bytes");
        let text = key.text();
        let again = ApiKey::parse(text.expose_secret()).expect("a key");
        assert_eq!((again.id, again.project), (key.id, key.project));
        assert_eq!(again.secret.expose_secret(), key.secret.expose_secret());
    }

    #[test]
    fn a_secret_may_hold_dashes_and_ids_dots() {
        let id = Uuid::from_bytes([0xfb; 16]);
        let text = format!("ma-{0}-{0}-a-b-", encode(id));
        assert!(text.contains('.'));
        let key = ApiKey::parse(&text).expect("a key");
        assert_eq!((key.id, key.secret.expose_secret()), (id, "a-b-"));
    }

    #[test]
    fn what_is_no_key_is_none() {
        for text in ["", "None", "ma-", "ma-a-b-c", "ma-AAAAAAAAAAAAAAAAAAAAAA-x", "mb-a-b-c"] {
            assert!(ApiKey::parse(text).is_none(), "{text}");
        }
    }
}
