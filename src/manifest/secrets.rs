//! Secret texts are read from where the manifest says: environment, file,
//! command, or what is encrypted with age.

use std::process::Command;

use secrecy::SecretString;

use super::age::{self, Failure, Identities};
use super::set::Origin;
use crate::error::Problem;
use crate::kinds::document::{AgeText, SecretSource};
use crate::kinds::path::FieldPath;
use crate::kinds::tree::{Sealed, Tree};

/// Replaces every source by its text. What cannot be read is a problem at its field.
pub fn resolve(fields: &mut Tree, origin: &Origin) -> Vec<Problem> {
    let mut problems = Vec::new();
    fields.rewrite_leaves(&mut |way, leaf| {
        let Tree::Secret(Sealed::Source(source)) = leaf else { return None };
        match read(source, origin) {
            Ok(text) => Some(Tree::Secret(Sealed::Known(text))),
            Err((message, hint)) => {
                let mut problem = origin.document.problem_at(&from(&way.path(), origin), message);
                problem.hint = hint;
                problems.push(problem);
                None
            }
        }
    });
    problems
}

/// Where the source is written: a `gar` secret spells its password `json_key`.
fn from(path: &FieldPath, origin: &Origin) -> FieldPath {
    let (_, found) = path.locate(&origin.document.root());
    let written = if found { path.clone() } else { FieldPath::of(&["json_key"]) };
    written.field("from")
}

fn read(source: &SecretSource, origin: &Origin) -> Result<SecretString, (String, Option<String>)> {
    let folder = &origin.document.source.folder;
    let text = match source {
        SecretSource::Env(name) => match std::env::var(name) {
            Ok(text) => text,
            Err(std::env::VarError::NotPresent) => {
                return Err((
                    format!("the environment variable {name} is not set"),
                    Some(format!("export {name}=…")),
                ));
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err((format!("the environment variable {name} is not UTF-8"), None));
            }
        },
        SecretSource::File(path) => {
            let path = folder.join(path);
            let text = std::fs::read_to_string(&path)
                .map_err(|error| (format!("failed to read {}: {error}", path.display()), None))?;
            without_line_break(text)
        }
        SecretSource::Command(words) => without_line_break(run(words, folder)?),
        SecretSource::Age(AgeText::Armored(text)) => return decrypt(text.as_bytes()),
        SecretSource::Age(AgeText::Beside { file }) => {
            let path = folder.join(file);
            let bytes = std::fs::read(&path)
                .map_err(|error| (format!("failed to read {}: {error}", path.display()), None))?;
            return decrypt(&bytes);
        }
    };
    Ok(SecretString::from(text))
}

fn decrypt(encrypted: &[u8]) -> Result<SecretString, (String, Option<String>)> {
    let failed = |Failure { message, hint }: Failure| (message, hint);
    let identities = Identities::load().map_err(failed)?;
    age::decrypt_text(encrypted, &identities).map_err(failed)
}

/// Standard output of the command is the secret, so it is neither shown nor logged; its
/// standard error goes to ours.
fn run(words: &[String], folder: &std::path::Path) -> Result<String, (String, Option<String>)> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(("the command is empty".to_owned(), None));
    };
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| (format!("failed to run {program:?}: {error}"), None))?;
    if !output.status.success() {
        return Err((format!("the command {program:?} failed: {}", output.status), None));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| (format!("the command {program:?} printed what is not UTF-8"), None))
}

fn without_line_break(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}
