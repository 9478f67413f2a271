//! AUTH: a participant proves with the token of its room who it is (RFC 4954).
//!
//! The name is that of the participant, and the password its token, as mail agents of the reference
//! send them. It is worth no more than it is in the room, and no longer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use crate::platform::auth::participant::Participant;
use crate::platform::error::{Refusal, Result};
use crate::platform::objects::rooms::Room;
use crate::platform::store::Store;

/// A participant that sends mail.
#[derive(Debug, Clone)]
pub struct Sender {
    participant: Participant,
    /// Its room.
    pub room: Room,
}

impl Sender {
    /// The participant with a name and a token.
    ///
    /// # Errors
    ///
    /// Why it is none, as for somebody who wants to enter the room.
    pub async fn of(store: &Store, name: &str, token: &SecretString) -> Result<Self> {
        let participant = Participant::of(store, token.expose_secret()).await?;
        if participant.claims.name != name {
            return Err(Refusal::Forbidden("the token is for another name".into()));
        }
        let named = participant.claims.room();
        let named = named.ok_or_else(|| Refusal::Forbidden("the token is for no room".into()))?;
        let room = Room::named(store.reads(), participant.project(), named).await?;
        participant.may_enter(store.reads(), &room).await?;
        room.require_enabled()?;
        Ok(Self { participant, room })
    }

    /// Its project.
    pub fn project(&self) -> &str {
        self.participant.project()
    }

    /// Whether it may still send: everything that let it in is as it was.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn may_go_on(&self, store: &Store) -> Result<bool> {
        let reads = store.reads();
        match Room::find_by_id(reads, self.project(), &self.room.id).await? {
            Some(room) if room.enabled => self.participant.may_stay(reads, &room).await,
            _ => Ok(false),
        }
    }
}

/// A text in base64.
pub fn decoded(text: &[u8]) -> Option<SecretString> {
    let bytes = STANDARD.decode(text).ok()?;
    Some(SecretString::from(String::from_utf8(bytes).ok()?))
}

/// The name in an answer to AUTH LOGIN.
pub fn name(answer: &SecretString) -> String {
    answer.expose_secret().to_owned()
}

/// The name and the token in an answer to AUTH PLAIN (RFC 4616). Nobody acts for somebody else.
pub fn plain(answer: &SecretString) -> Option<(String, SecretString)> {
    let mut parts = answer.expose_secret().split('\0');
    let (other, name, token) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none() && (other.is_empty() || other == name);
    is_whole.then(|| (name.to_owned(), SecretString::from(token.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_has_three_parts_and_no_second_person() {
        let table = [
            ("\0ada\0t", Some("ada")),
            ("ada\0ada\0t", Some("ada")),
            ("bob\0ada\0t", None),
            ("ada\0t", None),
            ("\0ada\0t\0x", None),
            ("", None),
        ];
        for (text, name) in table {
            let read = plain(&SecretString::from(text.to_owned()));
            assert_eq!(read.map(|(name, _)| name).as_deref(), name, "{text:?}");
        }
        assert!(decoded(b"YQ==").is_some_and(|text| text.expose_secret() == "a"));
        for bad in [b"YQ" as &[u8], b"Y Q=", b"/w==", b"YQ==\r"] {
            assert!(decoded(bad).is_none(), "{bad:?}");
        }
    }
}
