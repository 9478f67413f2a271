//! A key and its operations: XChaCha20-Poly1305, whose nonces are long enough to be random.
//!
//! An encrypted value says which key it needs (`ID.BASE64`), and is bound to its place: anywhere
//! else it cannot be decrypted.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretBox, SecretSlice, SecretString};

const KEY: usize = 32;
const NONCE: usize = 24;
const ID: usize = 9;

/// Why something could not be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[from] getrandom::Error),
    /// It was encrypted with another key.
    #[error("it was encrypted with another key")]
    OtherKey,
    /// This key did not make it for this place.
    #[error("it was changed, or moved to another place")]
    Broken,
}

/// A key with its name. Its debug output shows only the name.
#[derive(Debug)]
pub struct Key {
    id: String,
    bytes: SecretBox<[u8; KEY]>,
}

impl Key {
    /// A new key.
    ///
    /// # Errors
    ///
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, Fault> {
        let mut id = [0u8; ID];
        getrandom::fill(&mut id)?;
        let mut bytes = SecretBox::new(Box::new([0u8; KEY]));
        getrandom::fill(secrecy::ExposeSecretMut::expose_secret_mut(&mut bytes))?;
        Ok(Self { id: URL_SAFE_NO_PAD.encode(id), bytes })
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key as text, for a file that only its owner can read.
    pub fn text(&self) -> SecretString {
        let mut encoded = URL_SAFE_NO_PAD.encode(self.bytes.expose_secret());
        let text = format!("{} {encoded}", self.id).into();
        encoded.zeroize();
        text
    }

    /// Reads a key; `None` if the text is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, encoded) = text.split_once(' ')?;
        URL_SAFE_NO_PAD.decode(id).ok().filter(|id| id.len() == ID)?;
        let mut decoded = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let bytes = <[u8; KEY]>::try_from(decoded.as_slice()).ok();
        decoded.zeroize();
        Some(Self { id: id.to_owned(), bytes: SecretBox::new(Box::new(bytes?)) })
    }

    /// Unwraps a key that another key has wrapped.
    ///
    /// # Errors
    ///
    /// It was not wrapped by that key, or is not a key.
    pub fn unwrapped(wrapped: &str, by: &Self, place: &str) -> Result<Self, Fault> {
        let bytes = by.open(wrapped, place)?;
        let text = std::str::from_utf8(bytes.expose_secret()).ok();
        text.and_then(Self::parse).ok_or(Fault::Broken)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes.expose_secret().into())
    }

    /// Encrypts something for a place.
    ///
    /// # Errors
    ///
    /// The system gives no random bytes.
    pub fn seal(&self, plain: &str, place: &str) -> Result<String, Fault> {
        let mut nonce = [0u8; NONCE];
        getrandom::fill(&mut nonce)?;
        let payload = Payload { msg: plain.as_bytes(), aad: place.as_bytes() };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload);
        // It fails only beyond 256 GB.
        let sealed = sealed.map_err(|_| Fault::Broken)?;
        Ok(format!("{}.{}", self.id, URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())))
    }

    /// Decrypts what was encrypted for a place.
    ///
    /// # Errors
    ///
    /// It was encrypted with another key, for another place, or was changed since.
    pub fn open(&self, sealed: &str, place: &str) -> Result<SecretSlice<u8>, Fault> {
        let (id, encoded) = sealed.split_once('.').ok_or(Fault::Broken)?;
        if id != self.id {
            return Err(Fault::OtherKey);
        }
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Fault::Broken)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>().ok_or(Fault::Broken)?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        plain.map(SecretSlice::from).map_err(|_| Fault::Broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(key: &Key, sealed: &str, place: &str) -> Option<String> {
        let plain = key.open(sealed, place).ok()?;
        String::from_utf8(plain.expose_secret().to_vec()).ok()
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_in_its_place_and_nowhere_else() {
        let (key, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        let sealed = key.seal("canary ü", "secrets.data a").unwrap();
        assert_eq!(opened(&key, &sealed, "secrets.data a").as_deref(), Some("canary ü"));
        assert_eq!(opened(&key, &sealed, "secrets.data b"), None);
        assert!(matches!(other.open(&sealed, "secrets.data a"), Err(Fault::OtherKey)));
        // Under the same name, it is still another key.
        let renamed = sealed.replacen(key.id(), other.id(), 1);
        assert!(matches!(other.open(&renamed, "secrets.data a"), Err(Fault::Broken)));
        assert!(!sealed.contains("canary"));
        assert_ne!(sealed, key.seal("canary ü", "secrets.data a").unwrap());
    }

    #[test]
    fn what_was_changed_anywhere_does_not_open() {
        let key = Key::generate().unwrap();
        let sealed = key.seal("text", "p").unwrap();
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            // The last letter of base64 holds bits that are not used, and must be zero.
            assert_eq!(opened(&key, std::str::from_utf8(&bytes).unwrap(), "p"), None, "{at}");
        }
        for cut in 0..sealed.len() {
            assert_eq!(opened(&key, &sealed[..cut], "p"), None, "{cut}");
        }
        assert_eq!(opened(&key, "", "p"), None);
    }

    #[test]
    fn a_key_reads_back_and_shows_nothing() {
        let key = Key::generate().unwrap();
        let text = key.text();
        let again = Key::parse(text.expose_secret()).unwrap();
        let sealed = key.seal("x", "p").unwrap();
        assert_eq!(opened(&again, &sealed, "p").as_deref(), Some("x"));
        let secret = text.expose_secret().split_once(' ').unwrap().1;
        assert!(!format!("{key:?}").contains(secret));
        for bad in
            ["", " ", "a b", &text.expose_secret()[1..], &format!("{}A", text.expose_secret())]
        {
            assert!(Key::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_wrapped_key_comes_out_as_it_was() {
        let (outer, inner) = (Key::generate().unwrap(), Key::generate().unwrap());
        let wrapped = outer.seal(inner.text().expose_secret(), "key").unwrap();
        let again = Key::unwrapped(&wrapped, &outer, "key").unwrap();
        assert_eq!(again.text().expose_secret(), inner.text().expose_secret());
        let no_key = outer.seal("text", "key").unwrap();
        assert!(matches!(Key::unwrapped(&no_key, &outer, "key"), Err(Fault::Broken)));
    }
}
