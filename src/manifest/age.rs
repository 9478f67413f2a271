//! Texts that are encrypted with age: in a manifest, beside it, or on standard input.
//!
//! Recipients and identities are X25519 keys. The identities are read when something is
//! to be decrypted, so that a machine that only plans other sets needs none.

use std::fs::Metadata;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, Encryptor};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::bounded;

/// The variable that holds identities themselves.
pub const KEY_VARIABLE: &str = "MESHAGENT_AGE_KEY";

/// The variable that names a file of identities.
pub const KEY_FILE_VARIABLE: &str = "MESHAGENT_AGE_KEY_FILE";

/// The most recipients that a text is encrypted to. Each takes time when it is decrypted.
const MOST_RECIPIENTS: usize = 256;

/// What failed, as one line, and what to do about it. It never holds a part of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What failed.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the only fault is that something is missing here, which another machine or another
    /// command line may have.
    pub is_missing: bool,
}

impl Failure {
    /// Something is wrong.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..Self::unexplained(message) }
    }

    /// Something is wrong, and there is no general advice.
    pub fn unexplained(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, is_missing: false }
    }

    /// Something is missing here.
    pub fn missing(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { is_missing: true, ..Self::new(message, hint) }
    }
}

/// Identities, and where they come from.
pub struct Identities {
    keys: Vec<Identity>,
    /// Where they come from, to be named in messages.
    pub origin: String,
}

/// The default file for identities: `~/.meshagent/age.txt`, beside the settings of the reference.
#[must_use]
pub fn default_file() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".meshagent/age.txt"))
}

impl Identities {
    /// Reads the user's identities: from the variable with the keys, or else from the file that a
    /// variable names, or else from the file in the home folder.
    ///
    /// # Errors
    ///
    /// There are none, or they cannot be read.
    pub fn load() -> Result<Self, Failure> {
        let variable = |name: &str| {
            let value = std::env::var(name).ok()?;
            Some(value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        if let Some(text) = variable(KEY_VARIABLE) {
            return Self::parse(&SecretString::from(text), KEY_VARIABLE.to_owned());
        }
        let (path, is_default) = match variable(KEY_FILE_VARIABLE) {
            Some(path) => (PathBuf::from(path), false),
            None => match default_file() {
                Some(path) => (path, true),
                None => return Err(none_at("the home folder is not known")),
            },
        };
        refuse_open(&path)?;
        match bounded::text(&path, bounded::STANDARD) {
            Ok(text) => Self::parse(&SecretString::from(text), path.display().to_string()),
            Err(error) if is_default && error.kind() == std::io::ErrorKind::NotFound => {
                Err(none_at(&format!("{} does not exist", path.display())))
            }
            Err(error) => Err(Failure {
                is_missing: error.kind() == std::io::ErrorKind::NotFound,
                ..Failure::new(
                    format!("failed to read the age identities in {}: {error}", path.display()),
                    format!("set {KEY_FILE_VARIABLE} to the file to read"),
                )
            }),
        }
    }

    /// Reads a file of identities: one per line; empty lines and lines with `#` are ignored.
    fn parse(text: &SecretString, origin: String) -> Result<Self, Failure> {
        let mut keys = Vec::new();
        for (index, line) in text.expose_secret().lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            keys.push(line.parse().map_err(|_| {
                Failure::new(
                    format!("line {} of {origin} is not an age identity", index + 1),
                    "an identity is one line that starts with AGE-SECRET-KEY-1",
                )
            })?);
        }
        if keys.is_empty() {
            return Err(none_at(&format!("{origin} contains none")));
        }
        Ok(Self { keys, origin })
    }

    /// The recipients that belong to the identities.
    #[must_use]
    pub fn recipients(&self) -> Vec<Recipient> {
        self.keys.iter().map(Identity::to_public).collect()
    }
}

/// Refuses a file of identities that others can read: what was encrypted to them is not secret any
/// more. The mode of anything but a regular file has no meaning here.
fn refuse_open(path: &Path) -> Result<(), Failure> {
    let Some(about) = path.metadata().ok().filter(Metadata::is_file) else { return Ok(()) };
    let mode = about.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(Failure::new(
        format!("the age identities in {path} can be read by others (mode {:o})", mode & 0o777),
        format!("run `chmod 600 {path}`, and consider whether somebody has read them"),
    ))
}

fn none_at(why: &str) -> Failure {
    Failure::missing(
        format!("there is no age identity to decrypt with: {why}"),
        format!(
            "set {KEY_VARIABLE} or {KEY_FILE_VARIABLE}, or create an identity with `meshagent secret keygen`"
        ),
    )
}

/// Reads a recipient: `age1…`.
///
/// # Errors
///
/// It is not one. An identity in its place is told apart and not repeated.
pub fn recipient(text: &str) -> Result<Recipient, Failure> {
    text.parse().map_err(|_| {
        let message = if text.to_uppercase().starts_with("AGE-SECRET-KEY-") {
            "an identity was given where a recipient is needed".to_owned()
        } else {
            format!("{text:?} is not an age recipient")
        };
        Failure::new(
            message,
            "a recipient is an X25519 key that starts with age1; `meshagent secret keygen` prints one",
        )
    })
}

/// Reads a file of recipients: one per line; empty lines and lines with `#` are ignored.
///
/// # Errors
///
/// A line that is not a recipient.
pub fn recipients(text: &str) -> Result<Vec<Recipient>, Failure> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(recipient)
        .collect()
}

/// A new identity, as the text of a file, and its recipient.
#[must_use]
pub fn generate() -> (SecretString, String) {
    let identity = Identity::generate();
    let recipient = identity.to_public().to_string();
    let key = identity.to_string();
    let text = format!("# public key: {recipient}\n{}\n", key.expose_secret());
    (SecretString::from(text), recipient)
}

/// Encrypts to all of the recipients, as armored text.
///
/// # Errors
///
/// No recipients; the encryption's own.
pub fn encrypt(plain: &[u8], recipients: &[Recipient]) -> Result<String, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::unexplained(format!("failed to encrypt: {error}"));
    if recipients.len() > MOST_RECIPIENTS {
        return Err(too_many(recipients.len()));
    }
    let to = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(to).map_err(|error| failed(&error))?;
    let write = || -> std::io::Result<Vec<u8>> {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(plain)?;
        writer.finish()?.finish()
    };
    let bytes = write().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

/// Decrypts what [`encrypt`] made, or the `age` program, armored or not.
///
/// # Errors
///
/// What is not age, what is damaged, and what is for somebody else.
pub fn decrypt(encrypted: &[u8], identities: &Identities) -> Result<SecretSlice<u8>, Failure> {
    // Editors put marks and empty lines before the first line. If there is neither armor nor a
    // header after them, it is not damaged age text.
    let start = encrypted.trim_ascii_start();
    let start = start.strip_prefix("\u{feff}".as_bytes()).map_or(start, <[u8]>::trim_ascii_start);
    if !start.starts_with(b"-----BEGIN AGE") && !start.starts_with(b"age-encryption.org/") {
        return Err(explain(&DecryptError::UnknownFormat, identities));
    }
    let count = recipients_of(start);
    if count > MOST_RECIPIENTS {
        return Err(too_many(count));
    }
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(start))
        .map_err(|error| explain(&error, identities))?;
    let keys = identities.keys.iter().map(|key| key as &dyn age::Identity);
    let mut reader = decryptor.decrypt(keys).map_err(|error| explain(&error, identities))?;
    let mut plain = Vec::with_capacity(encrypted.len());
    match reader.read_to_end(&mut plain) {
        Ok(_) => Ok(SecretSlice::from(plain)),
        Err(error) => Err(explain(&DecryptError::Io(error), identities)),
    }
}

/// To how many recipients a text is encrypted, as far as its header can be read.
fn recipients_of(encrypted: &[u8]) -> usize {
    let mut plain = Vec::new();
    // Damage is reported when the text is decrypted.
    let _ = ArmoredReader::new(encrypted).read_to_end(&mut plain);
    let lines = plain.split(|byte| *byte == b'\n');
    let header = lines.take_while(|line| !line.starts_with(b"---"));
    header.filter(|line| line.starts_with(b"-> ")).count()
}

fn too_many(count: usize) -> Failure {
    Failure::new(
        format!("it is encrypted to {count} recipients, but at most {MOST_RECIPIENTS} are tried"),
        "encrypt it to fewer recipients",
    )
}

/// Decrypts text, without one line break at its end, as for every other source.
///
/// # Errors
///
/// As [`decrypt`]; what is not UTF-8.
pub fn decrypt_text(encrypted: &[u8], identities: &Identities) -> Result<SecretString, Failure> {
    let plain = decrypt(encrypted, identities)?;
    match std::str::from_utf8(plain.expose_secret()) {
        Ok(text) => {
            let text = text.strip_suffix('\n').map_or(text, |t| t.strip_suffix('\r').unwrap_or(t));
            Ok(SecretString::from(text))
        }
        Err(_) => Err(Failure::unexplained("the decrypted text is not UTF-8")),
    }
}

/// The library's own messages have several lines and its own words for keys.
fn explain(error: &DecryptError, identities: &Identities) -> Failure {
    match error {
        DecryptError::NoMatchingKeys => Failure::missing(
            format!("no identity of {} can decrypt it", identities.origin),
            "it is encrypted to other recipients; encrypt it to yours too, or use their identity",
        ),
        DecryptError::InvalidHeader | DecryptError::UnknownFormat => Failure::new(
            "it is not a text encrypted with age",
            "paste the whole output of `meshagent secret encrypt`, from the first line to the last",
        ),
        DecryptError::ExcessiveWork { .. } | DecryptError::KeyDecryptionFailed => Failure::new(
            "it is encrypted with a passphrase",
            "encrypt it to a recipient with `meshagent secret encrypt`",
        ),
        _ => Failure::new(
            "the encrypted text is damaged",
            "paste the whole output of `meshagent secret encrypt`, from the first line to the last",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identities() -> Identities {
        Identities::parse(&generate().0, "here".to_owned()).unwrap()
    }

    #[test]
    fn what_is_encrypted_is_decrypted_by_each_recipient_and_nobody_else() {
        let (one, other, stranger) = (identities(), identities(), identities());
        let to: Vec<Recipient> = one.recipients().into_iter().chain(other.recipients()).collect();
        let armored = encrypt("s3cret\n\n".as_bytes(), &to).unwrap();
        assert!(armored.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"));
        for identities in [&one, &other] {
            let text = decrypt_text(armored.as_bytes(), identities).unwrap();
            assert_eq!(text.expose_secret(), "s3cret\n");
        }
        let failure = decrypt_text(armored.as_bytes(), &stranger).unwrap_err();
        assert_eq!(failure.message, "no identity of here can decrypt it");
        assert!(encrypt(b"x", &[]).is_err());
    }

    #[test]
    fn what_editors_put_before_the_first_line_is_passed_over() {
        let identities = identities();
        let armored = encrypt(b"s3cret", &identities.recipients()).unwrap();
        let mut binary = Vec::new();
        ArmoredReader::new(armored.as_bytes()).read_to_end(&mut binary).unwrap();
        for before in ["\n", "\r\n\r\n", "  \t\n", "\u{feff}", "\u{feff}\n\n", "\n\u{feff}"] {
            for encrypted in [armored.as_bytes(), &binary] {
                let encrypted = [before.as_bytes(), encrypted].concat();
                let text = decrypt_text(&encrypted, &identities);
                assert_eq!(text.unwrap().expose_secret(), "s3cret", "{before:?}");
            }
        }
        for before in ["x\n", "\u{feff}\u{feff}", "\u{200b}"] {
            let encrypted = before.to_owned() + &armored;
            assert!(decrypt(encrypted.as_bytes(), &identities).is_err(), "{before:?}");
        }
    }

    #[test]
    fn what_is_broken_is_told_in_one_line() {
        let identities = identities();
        let armored = encrypt(b"s3cret", &identities.recipients()).unwrap();
        let (half, _) = armored.split_at(armored.len() / 2);
        let flipped = armored.replacen("\n", "\nAAAA", 1);
        for broken in ["", "s3cret", half, flipped.as_str(), &armored.replace("-----END", "END")] {
            let failure = decrypt(broken.as_bytes(), &identities).unwrap_err();
            assert!(!failure.message.contains('\n'), "{failure:?}");
            assert!(failure.hint.is_some());
        }
    }

    #[test]
    fn a_line_that_is_no_key_is_not_repeated() {
        let text = SecretString::from("# mine\n\nAGE-SECRET-KEY-1CANARY\n".to_owned());
        let failure = Identities::parse(&text, "f".to_owned()).err().unwrap();
        assert_eq!(failure.message, "line 3 of f is not an age identity");
        let failure = recipient("AGE-SECRET-KEY-1CANARY").unwrap_err();
        assert!(!format!("{failure:?}").contains("CANARY"));
        let failure = recipients("# team\nage1x\n").unwrap_err();
        assert_eq!(failure.message, "\"age1x\" is not an age recipient");
    }
}
