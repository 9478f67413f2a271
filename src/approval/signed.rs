//! An approval: a statement on one line, and below it the signature as `ssh-keygen -Y sign` writes
//! it. `ssh-keygen -Y verify` reads both: the first line is the message.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};

use super::NAMESPACE;
use super::statement::Statement;

/// The line that a signature begins with.
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";

/// The line that a signature ends with.
const END: &str = "\n-----END SSH SIGNATURE-----\n";

/// What follows the signature of a security key, in bytes: flags, the first of which says whether
/// somebody touched it, and a counter.
const SECURITY_KEY_TRAILER: usize = 5;

/// The least and the most bits of an RSA key.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// An approval whose form is right. Whether its signature is, [`Approval::verify`] tells.
#[derive(Debug, Clone)]
pub struct Approval {
    /// What was signed, as it is meant.
    pub statement: Statement,
    /// What was signed, as it is written.
    line: String,
    signature: SshSig,
}

impl Approval {
    /// The text of an approval: a statement's line, and its signature.
    #[must_use]
    pub fn text(line: &str, signature: &str) -> String {
        format!("{line}{}\n", signature.trim_end())
    }

    /// Reads an approval.
    ///
    /// # Errors
    ///
    /// What is not exactly a statement and a signature of the right namespace, form and algorithm.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains("\r\n") {
            return Err("its lines end as those of Windows do, which breaks the signature; `* -text` in .gitattributes lets Git leave them as they are".to_owned());
        }
        let end = text.find('\n').map_or(text.len(), |end| end + 1);
        let (line, armored) = text.split_at(end);
        if !line.starts_with('{') {
            return Err("it is not an approval: it does not begin with a statement".to_owned());
        }
        if !armored.starts_with(BEGIN) || armored.find(END) != armored.len().checked_sub(END.len())
        {
            return Err("its statement is not followed by a signature and nothing else".to_owned());
        }
        let statement = Statement::parse(line)?;
        let signature =
            SshSig::from_pem(armored).map_err(|error| match is_of_certificate(armored) {
                true => "it was signed with a certificate, and only keys are accepted".to_owned(),
                false => format!("its signature cannot be read: {error}"),
            })?;
        check(&signature)?;
        // The reader of signatures takes some lengths that are too large.
        let body = armored.strip_prefix(BEGIN).and_then(|body| body.strip_suffix(END));
        let body: String = body.unwrap_or_default().lines().collect();
        let is_exact = match (STANDARD.decode(body), encoded(&signature)) {
            (Ok(read), Some(exact)) => read == exact,
            _ => false,
        };
        if !is_exact {
            return Err("its signature is not written as `ssh-keygen` writes it".to_owned());
        }
        Ok(Self { statement, line: line.to_owned(), signature })
    }

    /// The fingerprint of the key that signed it, as `ssh-keygen -l` shows it.
    #[must_use]
    pub fn key(&self) -> String {
        fingerprint(self.signature.public_key())
    }

    /// The key that signed it, as a line of approvers has it.
    #[must_use]
    pub fn public_key(&self) -> String {
        let key = PublicKey::from(self.signature.public_key().clone());
        key.to_openssh().unwrap_or_default()
    }

    /// The key that signed it, as a part of the name of a file.
    #[must_use]
    pub fn key_as_name(&self) -> String {
        let fingerprint = self.signature.public_key().fingerprint(HashAlg::Sha256);
        let half = fingerprint.as_bytes().iter().take(16);
        half.fold(String::new(), |name, byte| name + &format!("{byte:02x}"))
    }

    /// Checks that the key that it names signed the statement as it is.
    ///
    /// # Errors
    ///
    /// The key did not.
    pub fn verify(&self) -> Result<(), String> {
        let key = PublicKey::from(self.signature.public_key().clone());
        key.verify(NAMESPACE, self.line.as_bytes(), &self.signature).map_err(|_| {
            "its signature is wrong: the statement was changed, or another key signed it".to_owned()
        })
    }
}

/// The fingerprint of a key, as `ssh-keygen -l` shows it.
#[must_use]
pub fn fingerprint(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Refuses a key that is too weak, or that is not known.
///
/// # Errors
///
/// The sort of the key, and which ones are accepted.
pub fn check_key(key: &KeyData) -> Result<(), String> {
    let refused = |what: &str| {
        Err(format!(
            "{what} are not accepted: use Ed25519, ECDSA, a security key, or RSA of 2048 to 4096 bits"
        ))
    };
    match key {
        KeyData::Ed25519(_)
        | KeyData::Ecdsa(_)
        | KeyData::SkEd25519(_)
        | KeyData::SkEcdsaSha2NistP256(_) => Ok(()),
        KeyData::Rsa(key) => {
            let number = key.n.as_positive_bytes().unwrap_or_default();
            let first = number.first().map_or(0, |byte| byte.leading_zeros() as usize);
            let bits = (number.len() * 8).saturating_sub(first);
            match RSA_BITS.contains(&bits) {
                true => Ok(()),
                false => refused(&format!("RSA keys of {bits} bits")),
            }
        }
        KeyData::Dsa(_) => refused("DSA keys"),
        _ => refused(&format!("keys of the sort {}", key.algorithm())),
    }
}

/// The bytes of a signature, in the one way to write it.
fn encoded(signature: &SshSig) -> Option<Vec<u8>> {
    fn put(into: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
        into.extend(u32::try_from(bytes.len()).ok()?.to_be_bytes());
        into.extend(bytes);
        Some(())
    }
    let trailer = if is_token(&signature.algorithm()) { SECURITY_KEY_TRAILER } else { 0 };
    let signed = signature.signature_bytes();
    let (signed, trailer) = signed.split_at_checked(signed.len().checked_sub(trailer)?)?;
    let mut inner = Vec::new();
    put(&mut inner, signature.algorithm().as_str().as_bytes())?;
    put(&mut inner, signed)?;
    inner.extend(trailer);
    let mut all = b"SSHSIG".to_vec();
    all.extend(signature.version().to_be_bytes());
    put(&mut all, &PublicKey::from(signature.public_key().clone()).to_bytes().ok()?)?;
    put(&mut all, signature.namespace().as_bytes())?;
    put(&mut all, signature.reserved())?;
    put(&mut all, signature.hash_alg().as_str().as_bytes())?;
    put(&mut all, &inner)?;
    Some(all)
}

/// Whether a signature was made by a security key.
fn is_token(used: &Algorithm) -> bool {
    matches!(used, Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256)
}

/// Refuses a signature that is for something else, or made in a way that is not accepted.
fn check(signature: &SshSig) -> Result<(), String> {
    if signature.version() != SshSig::VERSION || !signature.reserved().is_empty() {
        return Err("its signature has a form that this program does not know".to_owned());
    }
    if signature.namespace() != NAMESPACE {
        let namespace = signature.namespace();
        return Err(format!(
            "its signature is for the namespace {namespace:?}, not for {NAMESPACE:?}"
        ));
    }
    check_key(signature.public_key())?;
    let used = signature.algorithm();
    let is_right = match (signature.public_key(), &used) {
        (KeyData::Rsa(_), Algorithm::Rsa { hash }) => hash.is_some(),
        (KeyData::Ecdsa(key), Algorithm::Ecdsa { curve }) => key.curve() == *curve,
        (key, used) => key.algorithm() == *used,
    };
    if !is_right {
        return Err(format!("its signature was made by {used}, which its key is not for"));
    }
    let is_present = || {
        let bytes = signature.signature_bytes();
        let flags = bytes.len().checked_sub(SECURITY_KEY_TRAILER).and_then(|at| bytes.get(at));
        flags.is_some_and(|flags| flags & 1 != 0)
    };
    if is_token(&used) && !is_present() {
        return Err("its signature was made by a security key that nobody touched".to_owned());
    }
    Ok(())
}
/// Whether a signature is that of a certificate.
fn is_of_certificate(armored: &str) -> bool {
    const SORT: &[u8] = b"-cert-v01@openssh.com";
    let body = armored.strip_prefix(BEGIN).and_then(|body| body.strip_suffix(END));
    let body: String = body.unwrap_or_default().lines().collect();
    let read = STANDARD.decode(body).unwrap_or_default();
    read.windows(SORT.len()).any(|part| part == SORT)
}
