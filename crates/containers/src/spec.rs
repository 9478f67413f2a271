//! What a container is to be, and what may not be asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, Result};
use crate::mounts::{self, Mount};

/// How long a word or a variable may be: Linux starts no process with a longer one.
const LONGEST_WORD: usize = 128 << 10;

/// How long all words and variables may be together.
const LONGEST_WORDS: usize = 1 << 20;

/// How many mounts, ports, labels, hosts or variables there may be.
const MOST: usize = 512;

/// Variables by their names. Values may be secrets, so none is printed.
pub type Variables = Vec<(String, SecretString)>;

/// What a container runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Command {
    /// What the image says.
    #[default]
    OfImage,
    /// A program and its arguments, as they are.
    Words(Vec<String>),
    /// One line, which is split at its spaces as a shell does it, with quotes. No shell runs, so
    /// that `$`, `*` and `;` are themselves.
    Line(String),
}

/// A port inside that other programs of this machine get to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Where a program in the container listens.
    pub inside: u16,
    /// The port of 127.0.0.1 that leads there. Without one the engine chooses.
    pub outside: Option<u16>,
}

/// What a container may use at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Bytes of memory. There is no swap beyond them.
    pub memory: u64,
    /// Processors, also parts of one.
    pub processors: f64,
    /// Processes and threads.
    pub processes: u32,
    /// Open files of one process.
    pub files: u64,
    /// Bytes of each empty folder that tells no size of its own.
    pub empty: u64,
    /// Bytes of `/dev/shm`.
    pub shared_memory: u64,
    /// Bytes of the log that the engine keeps.
    pub log: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 512 << 20,
            processors: 1.0,
            processes: 512,
            files: 4096,
            empty: 64 << 20,
            shared_memory: 64 << 20,
            log: 16 << 20,
        }
    }
}

/// What a container is to be.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    /// What it is called. Others on its network reach it by this name.
    pub name: Option<String>,
    /// The image, which is here already.
    pub image: String,
    /// What it runs.
    pub command: Command,
    /// Where it runs, if not where the image says.
    pub working_dir: Option<String>,
    /// Variables on top of those of the image.
    pub env: Variables,
    /// What it is given as files and folders.
    pub mounts: Vec<Mount>,
    /// Whether it may write into the files of its image. What it writes there is not bounded by
    /// the engine. Without this `/tmp`, `/var/tmp` and `/run` are empty folders of their own.
    pub writable_root: bool,
    /// Ports that other programs of this machine get to.
    pub ports: Vec<Port>,
    /// What it may use.
    pub limits: Limits,
    /// What it is found by.
    pub labels: BTreeMap<String, String>,
    /// The name of its network. Without one it has none.
    pub network: Option<String>,
    /// More names of hosts.
    pub hosts: Vec<(String, IpAddr)>,
}

impl Spec {
    /// The words of its command, if it has one, where everything that is asked for may be.
    pub(crate) fn checked(&self) -> Result<Option<Vec<String>>> {
        image(&self.image)?;
        if let Some(name) = &self.name {
            self::name("the name of a container", name)?;
        }
        if let Some(name) = &self.network {
            self::name("the name of a network", name)?;
        }
        working_dir(self.working_dir.as_deref())?;
        let counts = [
            ("variables", self.env.len()),
            ("mounts", self.mounts.len()),
            ("ports", self.ports.len()),
            ("labels", self.labels.len()),
            ("hosts", self.hosts.len()),
        ];
        if let Some((things, count)) = counts.into_iter().find(|it| it.1 > MOST) {
            return Err(invalid(format!("a container has at most {MOST} {things}, not {count}")));
        }
        labels(&self.labels)?;
        for (host, _) in &self.hosts {
            let plain = |it: char| it.is_ascii_alphanumeric() || "-._".contains(it);
            if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
                return Err(invalid(format!("{host:?} is no name of a host")));
            }
        }
        let mut inside = BTreeSet::new();
        if let Some(port) = self.ports.iter().find(|it| it.inside == 0 || !inside.insert(it.inside))
        {
            return Err(invalid(format!("the port {} is none, or is there twice", port.inside)));
        }
        let Limits { memory, processors, processes, files, .. } = self.limits;
        // Docker takes no less memory than 6 MiB, and no less than a thousandth of a processor.
        if memory < 6 << 20
            || !(0.01..=1024.0).contains(&processors)
            || processes == 0
            || files < 16
        {
            return Err(invalid(
                "the limits of a container are too low to start anything: at least 6 MiB of memory, 0.01 processors, 1 process and 16 open files",
            ));
        }
        mounts::checked(&self.mounts)?;
        let words = match &self.command {
            Command::OfImage => None,
            Command::Words(words) => Some(words.clone()),
            Command::Line(line) => Some(shlex::split(line).ok_or_else(|| {
                invalid("the quotes of the command do not end: close them, or write \\ before one")
            })?),
        };
        words_and_env(words.as_deref(), &self.env)?;
        Ok(words)
    }
}

fn invalid(text: impl Into<String>) -> Error {
    Error::Invalid(text.into())
}

/// Whether a process can be started with these.
pub(crate) fn words_and_env(
    words: Option<&[String]>,
    env: &[(String, SecretString)],
) -> Result<()> {
    if words.is_some_and(|words| words.first().is_none_or(String::is_empty)) {
        return Err(invalid("the command is empty: name a program, or leave the command out"));
    }
    let words = words.unwrap_or_default();
    if words.iter().any(|word| word.contains('\0')) {
        return Err(invalid("a word of the command holds a NUL, which no program can be given"));
    }
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(invalid(format!(
                "{name:?} is no name of a variable: it is empty, or holds = or a NUL"
            )));
        }
        if value.expose_secret().contains('\0') {
            return Err(invalid(format!(
                "the variable {name} holds a NUL, which no program can be given"
            )));
        }
    }
    let of_env = env.iter().map(|(name, value)| name.len() + value.expose_secret().len() + 2);
    let lengths: Vec<usize> = words.iter().map(|it| it.len() + 1).chain(of_env).collect();
    if lengths.iter().any(|&it| it > LONGEST_WORD) || lengths.iter().sum::<usize>() > LONGEST_WORDS
    {
        return Err(invalid(
            "the command and the variables are longer than a process can be given",
        ));
    }
    Ok(())
}

/// Variables as engines take them.
pub(crate) fn assignments(env: &[(String, SecretString)]) -> Vec<String> {
    env.iter().map(|(name, value)| format!("{name}={}", value.expose_secret())).collect()
}

/// Whether a process can be started there.
pub(crate) fn working_dir(folder: Option<&str>) -> Result<()> {
    let is_odd = |it: &str| !it.starts_with('/') || it.contains('\0') || it.len() > 4096;
    match folder.filter(|it| is_odd(it)) {
        Some(folder) => {
            Err(invalid(format!("the working directory {folder:?} is no absolute path")))
        }
        None => Ok(()),
    }
}

/// Whether engines take it for a name.
pub(crate) fn name(what: &str, name: &str) -> Result<()> {
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|it| it.is_ascii_alphanumeric());
    let rest = letters.all(|it| it.is_ascii_alphanumeric() || "_.-".contains(it));
    if first && rest && name.len() <= 128 {
        return Ok(());
    }
    Err(invalid(format!(
        "{what} is {name:?}, but has at most 128 letters, digits, dots, dashes and underscores, and begins with a letter or a digit"
    )))
}

/// Whether it can be what an image is called, or its id.
pub(crate) fn image(image: &str) -> Result<()> {
    let plain = |it: char| it.is_ascii_alphanumeric() || "_.-/:@".contains(it);
    let first = image.starts_with(|it: char| it.is_ascii_alphanumeric());
    if first && image.len() <= 512 && image.chars().all(plain) {
        return Ok(());
    }
    Err(invalid(format!("{image:?} is no name of an image, such as registry.example.com/name:tag")))
}

/// Whether things can be found by these.
pub(crate) fn labels(labels: &BTreeMap<String, String>) -> Result<()> {
    let odd = |text: &str| text.len() > 4096 || text.chars().any(char::is_control);
    match labels
        .iter()
        .find(|(key, value)| key.is_empty() || key.contains('=') || odd(key) || odd(value))
    {
        Some((key, _)) => Err(invalid(format!(
            "the label {key:?} is empty, too long, or holds = or control characters"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec { image: "example".to_owned(), ..Spec::default() }
    }

    fn refused(spec: &Spec) -> String {
        match spec.checked() {
            Err(Error::Invalid(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_line_is_split_with_quotes_and_nothing_of_it_is_for_a_shell() {
        let command = Command::Line("sh -c 'echo \"a b\"' $HOME; *".to_owned());
        let words = Spec { command, ..spec() }.checked().expect("a command").expect("words");
        assert_eq!(words, ["sh", "-c", "echo \"a b\"", "$HOME;", "*"]);
        let open = Spec { command: Command::Line("echo 'a".to_owned()), ..spec() };
        assert!(refused(&open).contains("quotes"), "{}", refused(&open));
        assert_eq!(spec().checked(), Ok(None));
        let empty = Spec { command: Command::Line(" ".to_owned()), ..spec() };
        assert!(refused(&empty).contains("empty"), "{}", refused(&empty));
    }

    #[test]
    fn what_no_process_can_be_given_is_refused() {
        let env =
            |name: &str, value: &str| Spec { env: vec![(name.into(), value.into())], ..spec() };
        for odd in [env("", "a"), env("A=B", "a"), env("A\0", "a"), env("A", "a\0b")] {
            refused(&odd);
        }
        refused(&env("A", &"a".repeat(LONGEST_WORD)));
        let one = env("A", "a=b\nc");
        assert_eq!(one.checked(), Ok(None));
        assert_eq!(assignments(&one.env), ["A=a=b\nc"]);
        assert!(!format!("{one:?}").contains("a=b"), "{one:?}");
        let command = Command::Words(vec!["a\0".to_owned()]);
        refused(&Spec { command, ..spec() });
    }

    #[test]
    fn names_that_would_be_something_else_in_an_address_or_a_file_are_refused() {
        for odd in ["", "-a", "../b", "a b", "a/b", "ä", &"a".repeat(129)] {
            refused(&Spec { name: Some(odd.to_owned()), ..spec() });
            refused(&Spec { network: Some(odd.to_owned()), ..spec() });
        }
        for odd in ["", "-v", "a b", "a?b", "a\n", "ä"] {
            refused(&Spec { image: odd.to_owned(), ..spec() });
        }
        for odd in ["", "a b", "a\n1.2.3.4 b", "a:b"] {
            refused(&Spec { hosts: vec![(odd.to_owned(), [127, 0, 0, 1].into())], ..spec() });
        }
        refused(&Spec { labels: [("a=b".to_owned(), String::new())].into(), ..spec() });
        refused(&Spec { working_dir: Some("a".to_owned()), ..spec() });
    }

    #[test]
    fn limits_that_nothing_can_start_with_are_refused() {
        let limits = [
            Limits { memory: 1 << 20, ..Limits::default() },
            Limits { processors: 0.0, ..Limits::default() },
            Limits { processors: f64::NAN, ..Limits::default() },
            Limits { processes: 0, ..Limits::default() },
        ];
        for limits in limits {
            refused(&Spec { limits, ..spec() });
        }
        let twice = Port { inside: 80, outside: None };
        refused(&Spec { ports: vec![twice; 2], ..spec() });
    }
}
