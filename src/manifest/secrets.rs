//! Secret texts are read from where the manifest says: an environment variable, a file, a command,
//! or a text encrypted with age. They are read just before a plan is made, and only those that it
//! needs.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use indexmap::IndexSet;
use secrecy::{ExposeSecret, SecretString};

use super::age::{self, Failure, Identities};
use super::located::locate;
use super::process;
use super::reach::Reach;
use super::set::{Desired, Origin};
use super::source::Source;
use super::variables::is_own_variable;
use crate::conceal;
use crate::error::Problem;
use crate::kinds::Key;
use crate::kinds::document::{AgeText, SecretFrom, SecretSource};
use crate::kinds::path::FieldPath;
use crate::kinds::tree::{Sealed, Tree};
use crate::limited;

/// What is waited for, and how much is read, of one source.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long.
    pub time: Duration,
    /// How many bytes.
    pub bytes: usize,
}

impl Limits {
    /// The limits of every run.
    pub const STANDARD: Self = Self { time: Duration::from_secs(60), bytes: 1024 * 1024 };
}

/// How sources are read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Whether the user consents to commands.
    pub commands: bool,
    /// Which files may be read.
    pub reach: Reach,
    /// Whether the plan is for reading only, and can be made without what is not here.
    pub may_miss: bool,
    /// What is waited for.
    pub limits: Limits,
}

/// The result of reading the sources of a set.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is missing here, if a plan is made without it.
    pub not_read: Vec<Problem>,
    /// What commands printed, now or before.
    pub printed: Printed,
}

/// What commands printed, by the folder that each ran in and its source as JSON.
pub type Printed = BTreeMap<(PathBuf, String), SecretString>;

impl Outcome {
    fn add(&mut self, failure: Failure, problem: Problem, may_miss: bool) {
        let list = match failure.is_missing && may_miss {
            true => &mut self.not_read,
            false => &mut self.problems,
        };
        list.push(Problem { hint: failure.hint, ..problem });
    }
}

/// Replaces the sources of these objects by their texts; without a selection, of all. A source that
/// cannot be read is a problem at its field. If a plan may be made without it, a missing source
/// becomes a text that was not read. Commands whose output is given are not run.
#[must_use]
pub fn resolve(
    objects: &mut BTreeMap<Key, Desired>,
    selection: Option<&BTreeSet<Key>>,
    reading: Reading,
    printed: Printed,
) -> Outcome {
    let may_miss = reading.may_miss;
    let mut read = Known { reading, texts: BTreeMap::new(), printed };
    let mut outcome = Outcome::default();
    // One document may stand for several objects.
    let mut told = HashSet::new();
    for desired in objects.values_mut() {
        let is_meant = selection.is_none_or(|selection| selection.contains(&desired.key));
        if !is_meant || !desired.fields.has_sources() {
            continue;
        }
        let origin = desired.origin.clone();
        let sources = &mut desired.sources;
        let mut resolved = BTreeSet::new();
        Arc::make_mut(&mut desired.fields).rewrite_leaves(&mut |way, leaf| {
            let Tree::Secret(Sealed::Source(source)) = leaf else { return None };
            sources.insert(way.path().to_string(), (&source.from).into());
            match read.text(source, &origin) {
                Ok(text) => {
                    conceal::secret(&text);
                    resolved.insert(way.path());
                    Some(Tree::Secret(Sealed::Known(text)))
                }
                Err(failure) => {
                    let path = from(&way.path(), &origin);
                    let problem = origin.document.problem_at(&path, failure.message.clone());
                    let is_unread = failure.is_missing && may_miss;
                    if told.insert(problem.to_string()) {
                        outcome.add(failure, problem, may_miss);
                    }
                    is_unread.then_some(Tree::Secret(Sealed::Unread))
                }
            }
        });
        // What was read must be what may stand there, too.
        let broken = desired.key.kind.kind().shape().broken(&desired.fields);
        for broken in broken.into_iter().filter(|broken| resolved.contains(&broken.path)) {
            let path = from(&broken.path, &origin);
            let message = format!("`{}` {}", broken.path, broken.message);
            let problem = origin.document.problem_at(&path, message);
            outcome.problems.push(Problem { hint: broken.hint, ..problem });
        }
    }
    Outcome { printed: read.printed, ..outcome }
}

/// What is known to be missing without reading any secret: variables that are not set or empty,
/// files that do not exist, and an identity for encrypted texts.
#[must_use]
pub fn missing(objects: &BTreeMap<Key, Desired>, reach: &Reach) -> Vec<String> {
    let mut notes = IndexSet::new();
    // Of many texts that are encrypted, each lacks the same.
    let no_identity = OnceCell::new();
    let no_identity = || no_identity.get_or_init(|| Identities::load().err().map(|it| it.message));
    for desired in objects.values().filter(|desired| desired.fields.has_sources()) {
        let origin = &desired.origin;
        desired.fields.clone().as_ref().clone().rewrite_leaves(&mut |way, leaf| {
            let Tree::Secret(Sealed::Source(source)) = leaf else { return None };
            let SecretFrom { from: source, allow_empty } = &**source;
            let what = match source {
                SecretSource::Env(name) if is_own_variable(name) => own(name),
                SecretSource::Env(name) => match std::env::var_os(name) {
                    Some(text) if text.is_empty() && !allow_empty => {
                        format!("{} is empty", called(name))
                    }
                    Some(_) => return None,
                    None => format!("{} is not set", called(name)),
                },
                SecretSource::File(_) | SecretSource::Age(AgeText::Beside { .. })
                    if origin.document.source.inside.is_some() =>
                {
                    // What a source does not have is refused where it is read.
                    let is_encrypted = matches!(source, SecretSource::Age(_));
                    is_encrypted.then(no_identity).and_then(Clone::clone)?
                }
                SecretSource::File(path) | SecretSource::Age(AgeText::Beside { file: path }) => {
                    let path = origin.document.source.folder.join(path);
                    let is_encrypted = matches!(source, SecretSource::Age(_));
                    match reach.resolve(&path) {
                        Err(outside) => outside.message(&path),
                        Ok(real) if !real.exists() => format!("{} does not exist", path.display()),
                        Ok(_) if is_encrypted => no_identity().clone()?,
                        Ok(_) => return None,
                    }
                }
                SecretSource::Age(AgeText::Armored(_)) => no_identity().clone()?,
                SecretSource::Command(_) => return None,
            };
            let mark = locate(&from(&way.path(), origin), &origin.document.root()).0;
            let place = origin.document.source.place(mark);
            notes.insert(format!("{place}: {what}; applying needs the secret"));
            None
        });
    }
    notes.into_iter().collect()
}

/// Leaves every source as it is and reads none: what it gives is not known then.
pub fn leave_unread(objects: &mut BTreeMap<Key, Desired>) {
    for desired in objects.values_mut().filter(|desired| desired.fields.has_sources()) {
        Arc::make_mut(&mut desired.fields).rewrite_leaves(&mut |_, leaf| {
            matches!(leaf, Tree::Secret(Sealed::Source(_))).then_some(Tree::Secret(Sealed::Unread))
        });
    }
}

/// The files that secrets are read from, where they really are.
#[must_use]
pub fn files(objects: &BTreeMap<Key, Desired>) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let has_files = |desired: &&Desired| {
        desired.fields.has_sources() && desired.origin.document.source.inside.is_none()
    };
    for desired in objects.values().filter(has_files) {
        let folder = &desired.origin.document.source.folder;
        desired.fields.as_ref().clone().rewrite_leaves(&mut |_, leaf| {
            if let Tree::Secret(Sealed::Source(source)) = leaf
                && let SecretSource::File(path)
                | SecretSource::Age(AgeText::Beside { file: path }) = &source.from
            {
                files.extend(folder.join(path).canonicalize());
            }
            None
        });
    }
    files
}

/// The files of sources that secrets are read from: the name of each source, and the path in it.
pub(super) fn packed_files(objects: &BTreeMap<Key, Desired>) -> BTreeSet<(String, String)> {
    let mut files = BTreeSet::new();
    for desired in objects.values().filter(|desired| desired.fields.has_sources()) {
        let Some(inside) = &desired.origin.document.source.inside else { continue };
        desired.fields.as_ref().clone().rewrite_leaves(&mut |_, leaf| {
            if let Tree::Secret(Sealed::Source(source)) = leaf
                && let SecretSource::File(path)
                | SecretSource::Age(AgeText::Beside { file: path }) = &source.from
            {
                let path = inside.path_of(path).ok();
                files.extend(path.map(|path| (inside.of.name.clone(), path)));
            }
            None
        });
    }
    files
}

/// Where a secret is written: a `gar` secret spells its password `json_key`.
pub(super) fn written_at(path: &FieldPath, origin: &Origin) -> FieldPath {
    let path = origin.written(path);
    let (_, found) = locate(&path, &origin.document.root());
    if found { path.into_owned() } else { FieldPath::of(&["json_key"]) }
}

/// Where its source is written.
pub(super) fn from(path: &FieldPath, origin: &Origin) -> FieldPath {
    written_at(path, origin).field("from")
}

/// The texts that were read: what several objects name is read once.
struct Known {
    reading: Reading,
    texts: BTreeMap<(PathBuf, String), Result<SecretString, Failure>>,
    printed: Printed,
}

impl Known {
    fn text(&mut self, source: &SecretFrom, origin: &Origin) -> Result<SecretString, Failure> {
        let manifest = &origin.document.source;
        let name = (manifest.folder.clone(), serde_json::to_string(source).unwrap_or_default());
        if let Some(text) = self.printed.get(&name) {
            return Ok(text.clone());
        }
        if !matches!(source.from, SecretSource::Command(_)) {
            let text = self.texts.entry(name);
            return text.or_insert_with(|| read(source, manifest, &self.reading)).clone();
        }
        let text = self.texts.entry(name.clone());
        let text = text.or_insert_with(|| read(source, manifest, &self.reading)).clone();
        if let Ok(text) = &text {
            self.printed.insert(name, text.clone());
        }
        text
    }
}

fn failure(message: impl Into<String>) -> Failure {
    Failure::unexplained(message)
}

fn read(
    source: &SecretFrom,
    manifest: &Source,
    reading: &Reading,
) -> Result<SecretString, Failure> {
    let (what, text) = match &source.from {
        SecretSource::Env(name) => (called(name), variable(name)?),
        SecretSource::File(path) => {
            let (name, bytes) = file_of(manifest, path, reading)?;
            let text = utf8(bytes, &name)?;
            (name, without_line_break(text))
        }
        SecretSource::Command(words) => {
            let program = words.first().map(String::as_str).unwrap_or_default();
            if !reading.commands {
                return Err(Failure::missing(
                    format!(
                        "the secret is the output of the command {program:?}, but commands are not allowed"
                    ),
                    "add --allow-commands to run the commands that the manifests name",
                ));
            }
            let printed = process::output(words, &working_folder(manifest), reading.limits);
            let printed = printed.map_err(failure)?;
            let text = utf8(printed, &format!("the output of the command {program:?}"))?;
            (format!("the output of the command {program:?}"), without_line_break(text))
        }
        SecretSource::Age(AgeText::Armored(text)) if text.len() > reading.limits.bytes => {
            return Err(failure(too_large("the encrypted text", reading.limits)));
        }
        SecretSource::Age(AgeText::Armored(text)) => {
            ("the encrypted text".to_owned(), decrypt(text.clone().into_bytes(), reading.limits)?)
        }
        SecretSource::Age(AgeText::Beside { file }) => {
            let (name, bytes) = file_of(manifest, file, reading)?;
            (format!("the text in {name}"), decrypt(bytes, reading.limits)?)
        }
    };
    if text.len() > reading.limits.bytes {
        return Err(failure(too_large(&what, reading.limits)));
    }
    if text.trim().is_empty() && !source.allow_empty {
        return Err(Failure {
            // A variable that is not given to a job is often set, and empty.
            is_missing: matches!(source.from, SecretSource::Env(_)) && text.is_empty(),
            ..Failure::new(
                format!("{what} is empty"),
                "if this is intended, write `allow_empty: true` beside `from`",
            )
        });
    }
    Ok(SecretString::from(text))
}

/// A variable as messages call it. A name that is not valid may be a secret in the wrong place.
pub(super) fn called(name: &str) -> String {
    match is_variable(name) {
        true => format!("the environment variable {name}"),
        false => "the environment variable that is named here".to_owned(),
    }
}

pub(super) fn is_variable(name: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.len() <= 128
        && name.bytes().all(is_inside)
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

fn variable(name: &str) -> Result<String, Failure> {
    if is_own_variable(name) {
        return Err(Failure::new(own(name), "give the secret in a variable with another name"));
    }
    std::env::var(name).map_err(|error| match error {
        std::env::VarError::NotPresent => Failure {
            hint: match is_variable(name) {
                true => Some(format!("export {name}=…")),
                // What is not the name of a variable may be the secret itself.
                false => Some("write the name of the variable alone, without a `$`".to_owned()),
            },
            is_missing: true,
            ..failure(format!("{} is not set", called(name)))
        },
        std::env::VarError::NotUnicode(_) => failure(format!("{} is not UTF-8", called(name))),
    })
}

fn own(name: &str) -> String {
    format!("the environment variable {name} belongs to this program, so no secret is read from it")
}

fn too_large(what: &str, limits: Limits) -> String {
    format!("{what} is larger than the limit for a secret, {} bytes", limits.bytes)
}

/// The text without the mark that some editors put at its start.
fn utf8(bytes: Vec<u8>, what: &str) -> Result<String, Failure> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Failure::new(format!("{what} is UTF-16, not UTF-8"), "save it as UTF-8"));
    }
    let text = String::from_utf8(bytes).map_err(|_| failure(format!("{what} is not UTF-8")))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The file that a manifest names, with its name for people.
fn file_of(
    manifest: &Source,
    named: &str,
    reading: &Reading,
) -> Result<(String, Vec<u8>), Failure> {
    let Some(inside) = &manifest.inside else {
        let path = manifest.folder.join(named);
        return Ok((path.display().to_string(), file_bytes(&path, reading)?));
    };
    let bytes = inside.file(named).map_err(failure)?;
    let name = inside.path_of(named).map(|path| inside.of.name_of(&path)).unwrap_or_default();
    match bytes.len() > reading.limits.bytes {
        true => Err(failure(too_large(&name, reading.limits))),
        false => Ok((name, bytes.to_vec())),
    }
}

/// Where a command runs: in the folder of the manifest that names it. A source has none, so its
/// commands run in the folder of the project file that allows them.
fn working_folder(manifest: &Source) -> PathBuf {
    let Some(inside) = &manifest.inside else { return manifest.folder.clone() };
    let folder = inside.of.project_file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// The bytes of a file that may be read, from where it really is. It may be a pipe that nobody
/// writes to, so it is read aside, and not waited for longer than the limit.
fn file_bytes(path: &Path, reading: &Reading) -> Result<Vec<u8>, Failure> {
    let file = reading.reach.resolve(path);
    let file = file.map_err(|outside| Failure::missing(outside.message(path), outside.hint()))?;
    let limits = reading.limits;
    let name = path.display().to_string();
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let read = std::fs::File::open(file).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(limits.bytes as u64 + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        // Nobody may be waiting any more.
        let _ = send.send(read);
    });
    match receive.recv_timeout(limits.time) {
        Ok(Ok(bytes)) if bytes.len() > limits.bytes => Err(failure(too_large(&name, limits))),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(Failure {
            is_missing: matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied),
            ..failure(format!("failed to read {name}: {error}"))
        }),
        Err(_) => {
            Err(failure(format!("{name} was not read within {} s", limits.time.as_secs_f32())))
        }
    }
}

fn decrypt(encrypted: Vec<u8>, limits: Limits) -> Result<String, Failure> {
    let identities = Identities::load()?;
    let text = limited::run(limits.time, move || age::decrypt_text(&encrypted, &identities));
    let text = text.map_err(|unfinished| failure(format!("decrypting it {unfinished}")))??;
    let text = text.expose_secret();
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { time: Duration::from_millis(300), bytes: 100 };

    fn text_of(source: SecretSource, allow_empty: bool) -> Result<String, String> {
        let reach = Reach::of(&[], &[PathBuf::from("/")]);
        let reading = Reading { commands: true, reach, may_miss: false, limits: LIMITS };
        let manifest = Source::new("a.yaml".to_owned(), PathBuf::from("/"), String::new());
        read(&SecretFrom { from: source, allow_empty }, &manifest, &reading)
            .map(|text| text.expose_secret().to_owned())
            .map_err(|failure| failure.message)
    }

    fn file(bytes: &[u8], allow_empty: bool) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, bytes).unwrap();
        let path = path.to_str().unwrap().to_owned();
        text_of(SecretSource::File(path.clone()), allow_empty)
            .map_err(|message| message.replace(&path, "FILE"))
    }

    fn shell(script: &str) -> Result<String, String> {
        let words = ["sh", "-c", script].map(str::to_owned);
        text_of(SecretSource::Command(words.to_vec()), false)
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_secret() {
        assert_eq!(file(b"\xef\xbb\xbfhunter2\r\n", false).unwrap(), "hunter2");
        assert_eq!(file(b"hunter2\xef\xbb\xbf", false).unwrap(), "hunter2\u{feff}");
        assert_eq!(shell("printf '\\357\\273\\277x\\n'").unwrap(), "x");
        assert_eq!(file(b"\xff\xfeh\0", false).unwrap_err(), "FILE is UTF-16, not UTF-8");
    }

    #[test]
    fn an_empty_secret_is_refused_unless_it_is_allowed() {
        for bytes in [&b""[..], b"\n", b"\xef\xbb\xbf\r\n", b" \t\n"] {
            assert_eq!(file(bytes, false).unwrap_err(), "FILE is empty");
            assert!(file(bytes, true).unwrap().trim().is_empty());
        }
        assert_eq!(shell("true").unwrap_err(), "the output of the command \"sh\" is empty");
        assert_eq!(text_of(SecretSource::Command(vec!["true".to_owned()]), true).unwrap(), "");
    }

    #[test]
    fn a_source_has_a_limit_of_size() {
        assert_eq!(file(&[b'x'; 100], false).unwrap().len(), 100);
        assert!(
            file(&[b'x'; 101], false).unwrap_err().contains("larger than the limit for a secret")
        );
        assert!(shell("yes").unwrap_err().contains("printed more than 100 bytes"));
        let zero = text_of(SecretSource::File("/dev/zero".to_owned()), false);
        assert!(zero.unwrap_err().contains("larger than the limit for a secret"));
    }

    #[test]
    fn a_source_has_a_limit_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let unread = text_of(SecretSource::File(pipe.to_str().unwrap().to_owned()), false);
        assert!(unread.unwrap_err().contains("was not read within 0.3 s"));
        // What the command started is stopped with it.
        let started = folder.path().join("started");
        let script = format!("(sleep 2; touch {}) & echo x; sleep 60", started.display());
        assert!(shell(&script).unwrap_err().contains("did not end within 0.3 s"));
        assert_eq!(shell("sleep 60 & echo x").unwrap(), "x");
        std::thread::sleep(Duration::from_millis(2200));
        assert!(!started.exists());
    }

    #[test]
    fn a_command_fails_with_its_status() {
        assert_eq!(
            shell("echo x; exit 3").unwrap_err(),
            "the command \"sh\" failed: exit status: 3"
        );
        let missing = SecretSource::Command(vec!["no-such-program".to_owned()]);
        assert!(text_of(missing, false).unwrap_err().contains("failed to run \"no-such-program\""));
        assert_eq!(
            text_of(SecretSource::Command(Vec::new()), false).unwrap_err(),
            "the command is empty"
        );
    }
}
