//! Fingerprints of secrets: short texts that tell two of them apart and give neither away.
//!
//! Whoever may read a plan or an inventory reads the fingerprints in it, and can try out
//! guesses. So each guess takes time and memory: they are made with scrypt, under a salt that
//! serves one object. What was made once is not made again while the program runs.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Makes the fingerprints of one object, cut to 16 hex digits.
#[derive(Clone)]
pub struct Fingerprinter {
    method: Method,
    memory: Memory,
}

#[derive(Clone)]
enum Method {
    /// HMAC-SHA-256 under a key, as inventories of earlier versions have it.
    Keyed(SecretString),
    /// scrypt with a salt that everybody may know.
    Slow(String),
}

/// The cost of a fingerprint: 8 MiB, and some 25 ms of one core.
const SLOW: (u8, u32, u32) = (13, 8, 1);

/// A salt and a text, by their digest.
pub type Id = [u8; 32];

/// The fingerprints that were made so far. Clones share them.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<HashMap<Id, String>>>);

impl Memory {
    fn made(&self) -> MutexGuard<'_, HashMap<Id, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The texts behind fingerprints, as far as they were met.
    #[must_use]
    pub fn ids(&self) -> HashMap<String, Id> {
        self.made().iter().map(|(id, fingerprint)| (fingerprint.clone(), *id)).collect()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Memory")
    }
}

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Fingerprinter")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// The digest of a value that is not secret, cut to 16 hex digits.
#[must_use]
pub fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes())[..8])
}

impl Fingerprinter {
    /// Fingerprints under a key. Where whoever reads them may read the key, they hide nothing.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self { method: Method::Keyed(key.into()), memory: Memory::default() }
    }

    /// Fingerprints under a salt, which serves one object.
    #[must_use]
    pub fn slow(salt: impl Into<String>) -> Self {
        Self::remembering(salt, &Memory::default())
    }

    /// The same, with what was made already.
    #[must_use]
    pub fn remembering(salt: impl Into<String>, memory: &Memory) -> Self {
        Self { method: Method::Slow(salt.into()), memory: memory.clone() }
    }

    /// The fingerprint of a text.
    #[must_use]
    pub fn of(&self, text: &str) -> String {
        let salt = match &self.method {
            Method::Keyed(key) => return keyed(key, text),
            Method::Slow(salt) => salt,
        };
        let id = self.id(text);
        if let Some(made) = self.memory.made().get(&id) {
            return made.clone();
        }
        // Others make theirs meanwhile.
        let made = slow(salt, text);
        self.memory.made().insert(id, made.clone());
        made
    }

    /// What the salt and a text are known by.
    #[must_use]
    pub fn id(&self, text: &str) -> Id {
        let salt = match &self.method {
            Method::Keyed(_) => "",
            Method::Slow(salt) => salt,
        };
        let mut digest = Sha256::new();
        digest.update((salt.len() as u64).to_be_bytes());
        digest.update(salt);
        digest.update(text);
        digest.finalize().into()
    }

    /// Takes note of the fingerprint of a text, where it is known to be the one.
    pub fn learn(&self, text: &str, fingerprint: &str) {
        self.memory.made().insert(self.id(text), fingerprint.to_owned());
    }

    /// The fingerprint of a state in which secrets are fingerprints already.
    #[must_use]
    pub fn of_state(&self, state: &str) -> String {
        match &self.method {
            Method::Keyed(key) => keyed(key, state),
            Method::Slow(_) => digest(state),
        }
    }
}

fn keyed(key: &SecretString, text: &str) -> String {
    // HMAC takes a key of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()) else {
        return String::new();
    };
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes()[..8])
}

fn slow(salt: &str, text: &str) -> String {
    let (log_n, r, p) = SLOW;
    let mut long = [0; 32];
    let made = scrypt::Params::new(log_n, r, p, long.len())
        .map(|params| scrypt::scrypt(text.as_bytes(), salt.as_bytes(), &params, &mut long));
    // Nor can this, with a cost and lengths that are allowed.
    match made {
        Ok(Ok(())) => hex(&long[..8]),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_of_its_salt_and_its_text() {
        let memory = Memory::default();
        let one = Fingerprinter::remembering("a", &memory);
        let other = Fingerprinter::remembering("b", &memory);
        assert_eq!(one.of("x"), Fingerprinter::slow("a").of("x"));
        assert_ne!(one.of("x"), other.of("x"));
        assert_ne!(one.of("x"), one.of("y"));
        // Salt and text do not run into each other.
        assert_ne!(Fingerprinter::slow("ab").id("c"), Fingerprinter::slow("a").id("bc"));
        one.learn("z", "known");
        assert_eq!((one.of("z"), memory.ids()["known"]), ("known".to_owned(), one.id("z")));
        assert_ne!(other.of("z"), "known");
        assert_eq!(format!("{one:?}{memory:?}"), "FingerprinterMemory");
    }
}
