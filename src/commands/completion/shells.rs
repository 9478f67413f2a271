//! How shells ask for candidates, and how the answer reaches the line that is typed.
//!
//! Names of files may come from strangers. Bash and zsh quote them when they put them on the
//! line, fish does so, too; for PowerShell they are quoted here. A name with hidden characters is
//! not offered in any shell.

use std::ffi::{OsStr, OsString};
use std::io::{Error, Result, Write};
use std::path::Path;
use std::sync::OnceLock;

use clap::Command;
use clap_complete::engine::{self, CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::{self, EnvCompleter, Shells};

use super::words::{Line, unquoted};
use crate::visible;

/// Every shell that can be completed in.
pub const SHELLS: Shells<'static> =
    Shells(&[&Bash, &Quoting(&env::Zsh), &Quoting(&env::Fish), &Quoting(&env::Powershell)]);

/// What marks the names of files among the candidates.
const FILES: &str = "files";

/// The words of the line that is completed, without the quotes of the shell.
static WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

/// The words of the line that is completed: the program and its arguments.
pub fn words() -> &'static [OsString] {
    WORDS.get().map(Vec::as_slice).unwrap_or_default()
}

/// The files and folders that begin like what was typed. A name that a program would read as an
/// option, or a shell as somebody's home, is offered with its folder.
pub fn files(typed: &OsStr) -> Vec<CompletionCandidate> {
    let found = PathCompleter::any().complete(typed);
    let named = found.into_iter().filter_map(|candidate| {
        let name = candidate.get_value().to_str().filter(|name| visible::is_visible(name))?;
        let is_typed = name.starts_with("~/") && typed.to_string_lossy().starts_with("~/");
        let folder = if name.starts_with(['-', '~']) && !is_typed { "./" } else { "" };
        Some(candidate.add_prefix(folder).tag(Some(FILES.into())))
    });
    // The folder itself is no part of it.
    named.filter(|candidate| candidate.get_value() != ".").collect()
}

/// The candidates for the word with this index; each with whether it is the name of a file.
fn candidates(
    command: &mut Command,
    words: Vec<OsString>,
    index: usize,
    folder: Option<&Path>,
) -> Result<Vec<(String, Option<String>, bool)>> {
    let _ = WORDS.set(words.clone());
    let found = engine::complete(command, words, index, folder)?;
    let told = found.into_iter().filter_map(|candidate| {
        let value = candidate.get_value().to_str()?.to_owned();
        let help = candidate.get_help().map(ToString::to_string);
        let help = help.and_then(|help| help.lines().next().map(str::to_owned));
        let is_file = candidate.get_tag().is_some_and(|tag| tag.to_string() == FILES);
        visible::is_visible(&value).then_some((value, help, is_file))
    });
    Ok(told.collect())
}

/// The index of the word that is completed, of as many words.
fn index(words: usize) -> usize {
    let told = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
    told.unwrap_or(words.saturating_sub(1))
}

/// Bash: the first line tells whether names of files follow, which bash then quotes.
struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        _: &str,
        _: &str,
        program: &str,
        _: &str,
        out: &mut dyn Write,
    ) -> Result<()> {
        let letters = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let function: String = program.chars().map(letters).collect();
        let script = include_str!("bash.sh").replace("@function@", &function);
        out.write_all(script.replace("@name@", program).as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn Write,
    ) -> Result<()> {
        let index = index(words.len());
        let line = Line::of_bash(words, index);
        let found = candidates(command, line.words, line.index, folder)?;
        let is_files = found.iter().any(|(_, _, is_file)| *is_file);
        writeln!(out, "{}", if is_files { FILES } else { "words" })?;
        // Bash replaces only what is behind the last `=`.
        for (value, _, _) in found {
            writeln!(out, "{}", value.strip_prefix(&line.before).unwrap_or(&value))?;
        }
        Ok(())
    }
}

/// A shell whose script and answers are those of the engine, but for what the answers hold.
struct Quoting(&'static (dyn EnvCompleter + Sync));

impl EnvCompleter for Quoting {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn is(&self, name: &str) -> bool {
        self.0.is(name)
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        program: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> Result<()> {
        self.0.write_registration(variable, name, program, completer, out)
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn Write,
    ) -> Result<()> {
        let (shell, mut words) = (self.name(), words);
        let index = if shell == "zsh" { index(words.len()) } else { words.len().saturating_sub(1) };
        if words.len() == index {
            words.push(OsString::new());
        }
        // Fish takes the quotes away from all words but the last, and PowerShell from all.
        let first = match shell {
            "zsh" => 0,
            "fish" => index,
            _ => words.len(),
        };
        for word in words.iter_mut().skip(first) {
            *word = unquoted(word);
        }
        for (at, found) in candidates(command, words, index, folder)?.into_iter().enumerate() {
            let (value, help, is_file) = found;
            if shell == "zsh" {
                let value = value.replace('\\', "\\\\").replace(':', "\\:");
                let help = help.map(|help| format!(":{}", help.replace('\\', "\\\\")));
                write!(
                    out,
                    "{}{value}{}",
                    if at == 0 { "" } else { "\n" },
                    help.unwrap_or_default()
                )?;
                continue;
            }
            let value = match shell == "powershell" && is_file {
                true => in_powershell(&value),
                false => Some(value),
            };
            let Some(value) = value else { continue };
            let help = help.map(|help| format!("\t{help}")).unwrap_or_default();
            writeln!(out, "{value}{help}")?;
        }
        Ok(())
    }
}

/// A name as one word of PowerShell, which takes several characters for quotes: a name with one of
/// them has none.
fn in_powershell(name: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/\\._-~:".contains(c);
    let is_quote = |c: char| c == '\'' || ('\u{2018}'..='\u{201f}').contains(&c);
    match name {
        name if name.chars().all(is_plain) => Some(name.to_owned()),
        name if name.chars().any(is_quote) => None,
        name => Some(format!("'{name}'")),
    }
}

/// The script of a shell, for a program of this name.
///
/// # Errors
///
/// A shell that is not known.
pub fn script(shell: &str, variable: &str, program: &str) -> Result<String> {
    let shell =
        SHELLS.completer(shell).ok_or_else(|| Error::other(format!("unknown shell {shell}")))?;
    let mut text = Vec::new();
    shell.write_registration(variable, program, program, program, &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::in_powershell;

    #[test]
    fn powershell_gets_names_that_it_does_not_run() {
        let quoted = |name| in_powershell(name);
        assert_eq!(quoted("manifests/a.yaml").as_deref(), Some("manifests/a.yaml"));
        assert_eq!(quoted("a b.yaml").as_deref(), Some("'a b.yaml'"));
        assert_eq!(quoted("a$(id).yaml").as_deref(), Some("'a$(id).yaml'"));
        assert_eq!(quoted("a';id;'"), None);
        assert_eq!(quoted("a\u{2019};id;\u{2018}"), None);
    }
}
