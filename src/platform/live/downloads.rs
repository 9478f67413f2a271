//! Addresses from which a file of a room can be downloaded for a while, by whoever has them. They
//! are signed with a key of this process, so they end with it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use sha2::Sha256;

use super::files::FilePath;
use super::room::{Room, since_1970};
use crate::platform::error::{Refusal, Result};

/// How long an address can be used, in seconds.
const SECONDS: u64 = 15 * 60;

/// Signs addresses.
pub struct Downloads {
    key: [u8; 32],
}

impl std::fmt::Debug for Downloads {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Downloads")
    }
}

/// What an address says.
#[derive(Debug, Deserialize)]
pub struct Signed {
    /// The room's id.
    pub room: String,
    /// The file's path.
    pub path: String,
    /// Until when it can be used, in seconds since 1970.
    until: u64,
    signature: String,
}

fn now() -> u64 {
    since_1970().as_secs()
}

impl Downloads {
    /// Signs with a new key.
    ///
    /// # Errors
    ///
    /// The system has no random bytes.
    pub fn new() -> Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| Refusal::internal(error.to_string()))?;
        Ok(Self { key })
    }

    fn sign(&self, room: &str, path: &str, until: u64) -> Option<Hmac<Sha256>> {
        // HMAC takes a key of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        // Neither ids nor paths have line ends.
        mac.update(format!("{room}\n{path}\n{until}").as_bytes());
        Some(mac)
    }

    /// The address of a file, below the URL of its room as a participant has reached it.
    pub fn url(&self, room_url: &str, room: &Room, path: &FilePath) -> String {
        let until = now() + SECONDS;
        let signature = self.sign(&room.id, path.text(), until);
        let signature = signature
            .map_or_else(String::new, |mac| URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
        let base = match room_url.strip_prefix("ws") {
            Some(rest) => format!("http{rest}"),
            None => room_url.to_owned(),
        };
        let path = utf8_percent_encode(path.text(), NON_ALPHANUMERIC);
        format!("{base}/files?room={}&path={path}&until={until}&signature={signature}", room.id)
    }

    /// The path of the file that an address is for.
    ///
    /// # Errors
    ///
    /// 403 if it was not signed here, or can no longer be used.
    pub fn check(&self, signed: &Signed) -> Result<FilePath> {
        let refused = || Refusal::Forbidden("the address is not valid, or no longer".to_owned());
        let signature = URL_SAFE_NO_PAD.decode(&signed.signature).map_err(|_| refused())?;
        let mac = self.sign(&signed.room, &signed.path, signed.until).ok_or_else(refused)?;
        mac.verify_slice(&signature).map_err(|_| refused())?;
        if signed.until < now() {
            return Err(refused());
        }
        FilePath::parse(&signed.path).map_err(|_| refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_here_is_valid_and_only_for_a_while() {
        let downloads = Downloads::new().unwrap();
        let signed = |by: &Downloads, until: u64| {
            let signature = by.sign("r", "a/b", until).unwrap().finalize().into_bytes();
            let signature = URL_SAFE_NO_PAD.encode(signature);
            Signed { room: "r".to_owned(), path: "a/b".to_owned(), until, signature }
        };
        let good = || signed(&downloads, now() + 5);
        assert_eq!(downloads.check(&good()).unwrap().text(), "a/b");
        let wrong = [
            signed(&downloads, now() - 5),
            signed(&Downloads::new().unwrap(), now() + 5),
            Signed { room: "q".to_owned(), ..good() },
            Signed { path: "a/c".to_owned(), ..good() },
            Signed { until: u64::MAX, ..good() },
            Signed { signature: String::new(), ..good() },
            Signed { signature: "?".to_owned(), ..good() },
        ];
        for signed in wrong {
            assert!(downloads.check(&signed).is_err(), "{signed:?}");
        }
    }
}
