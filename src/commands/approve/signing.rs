//! Signing with an SSH key: in this process with a key that is not encrypted, so that nothing else
//! is needed in a container; with `ssh-keygen` for all others: encrypted ones, those of an agent,
//! and security keys.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use secrecy::{ExposeSecret, SecretString};
use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use crate::approval::NAMESPACE;
use crate::bounded;
use crate::error::{Context, Error, Result};
use crate::visible;

/// The largest key that is read, in bytes.
const MAX_KEY: usize = 64 * 1024;

/// The program that signs with other keys.
const PROGRAM: &str = "ssh-keygen";

/// A key to sign with.
pub enum Signer {
    /// A key that this program has read.
    Own(Box<PrivateKey>),
    /// A key that `ssh-keygen` finds by its file, or by its public key in the agent.
    Program(PathBuf),
}

impl Signer {
    /// Finds out how to sign with the key in a file.
    ///
    /// # Errors
    ///
    /// No such file; a key of a sort that is not accepted, or that anybody may read.
    pub fn of(path: &Path) -> Result<Self> {
        let name = visible::line(&path.display().to_string()).into_owned();
        let failed = || format!("failed to read the key {name}");
        let text = SecretString::from(bounded::text(path, MAX_KEY).map_err(|error| {
            let is_missing = error.kind() == ErrorKind::NotFound;
            let error = Error::failed(failed()).because(error);
            match is_missing {
                true => error.hint("--key names a private key, or the public key of one in the agent; `ssh-keygen -t ed25519` makes one"),
                false => error,
            }
        })?);
        let begins =
            |label: &str| text.expose_secret().starts_with(&format!("-----BEGIN {label}-----"));
        if begins("ENCRYPTED PRIVATE KEY") {
            return Err(Error::usage(format!(
                "{name} is encrypted in a way that ssh-keygen does not read"
            ))
            .hint("use a key that `ssh-keygen -t ed25519` made, which may have a passphrase"));
        }
        let own = if begins("PRIVATE KEY") {
            let key = SigningKey::from_pkcs8_pem(text.expose_secret()).map_err(|error| {
                Error::usage(format!("{name} is not an Ed25519 key"))
                    .because(error)
                    .hint("of keys in PKCS#8 only those of Ed25519 are read; `openssl genpkey -algorithm ed25519` makes one")
            })?;
            Some(PrivateKey::from(Ed25519Keypair::from(key)))
        } else if begins("OPENSSH PRIVATE KEY") {
            let key = PrivateKey::from_openssh(text.expose_secret()).ok();
            key.filter(|key| !key.is_encrypted() && key.algorithm().is_ed25519())
        } else {
            None
        };
        let Some(own) = own else { return Ok(Self::Program(path.to_owned())) };
        refuse_open(path).context(failed)?;
        Ok(Self::Own(Box::new(own)))
    }

    /// Signs a line, and gives the signature as text.
    ///
    /// # Errors
    ///
    /// The key cannot sign.
    pub fn sign(&self, line: &str) -> Result<String> {
        match self {
            Self::Own(key) => {
                let signed = key.sign(NAMESPACE, HashAlg::Sha512, line.as_bytes());
                let signed = signed.and_then(|signature| signature.to_pem(LineEnding::LF));
                signed.context(|| "failed to sign".to_owned())
            }
            Self::Program(key) => with_program(key, line),
        }
    }
}

/// Refuses a private key that others may read, as `ssh` does.
fn refuse_open(path: &Path) -> std::io::Result<()> {
    let about = path.metadata()?;
    let is_own = about.uid() == nix::unistd::geteuid().as_raw();
    if bounded::is_open(path) || !is_own || about.mode() & 0o077 == 0 {
        return Ok(());
    }
    let (mode, path) = (about.mode() & 0o7777, path.display());
    let told = format!(
        "others may read it (mode {mode:o}); `chmod 600 {path}` closes it, if nobody has yet"
    );
    Err(std::io::Error::new(ErrorKind::PermissionDenied, told))
}

/// Lets `ssh-keygen` sign. It asks for a passphrase, or for a touch, by itself.
fn with_program(key: &Path, line: &str) -> Result<String> {
    let failed = || format!("failed to sign with {PROGRAM}");
    let mut child = Command::new(PROGRAM)
        .args(["-q", "-Y", "sign", "-n", NAMESPACE, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            let is_missing = error.kind() == ErrorKind::NotFound;
            let error = Error::failed(failed()).because(error);
            match is_missing {
                true => error.hint(
                    "install OpenSSH; without it, an Ed25519 key without a passphrase can sign",
                ),
                false => error,
            }
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early says why, and its exit code counts.
        let _ = stdin.write_all(line.as_bytes());
    }
    let output = child.wait_with_output().context(failed)?;
    if !output.status.success() {
        let key = visible::line(&key.display().to_string()).into_owned();
        return Err(Error::failed(failed())
            .because(format!("it ended with {}", output.status))
            .hint(format!(
                "{key} must be a private key, or the public key of one that `ssh-add -L` lists"
            )));
    }
    String::from_utf8(output.stdout).context(failed)
}
