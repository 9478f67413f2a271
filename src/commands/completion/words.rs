//! *Pure*: the words of a line as a shell hands them over: with quotes, and in pieces.

use std::ffi::{OsStr, OsString};

/// The words of a line, and which of them is completed.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// The words, without quotes.
    pub words: Vec<OsString>,
    /// The index of the word that is completed.
    pub index: usize,
    /// The beginning of that word that bash does not replace.
    pub before: String,
}

impl Line {
    /// The line of bash, which makes three words of `--file=manifests`.
    pub fn of_bash(words: Vec<OsString>, index: usize) -> Self {
        let mut line = Self { words: Vec::new(), index: 0, before: String::new() };
        for (at, word) in words.iter().enumerate().take(index + 1) {
            let is_option = |word: &OsString| word.to_string_lossy().starts_with("--");
            let begun = line.words.last_mut().filter(|last| is_option(last));
            let has_sign = |last: &OsString| last.to_string_lossy().ends_with('=');
            line.before.clear();
            match begun {
                Some(last) if word == "=" && !last.to_string_lossy().contains('=') => {
                    last.push("=");
                    line.before = last.to_string_lossy().into_owned();
                }
                Some(last) if has_sign(last) && words[at - 1] == "=" => {
                    line.before = last.to_string_lossy().into_owned();
                    last.push(unquoted(word));
                }
                _ => line.words.push(unquoted(word)),
            }
        }
        line.index = line.words.len().saturating_sub(1);
        line.words.extend(words.iter().skip(index + 1).map(|word| unquoted(word)));
        line
    }
}

/// A word without the quotes of a shell. Nothing in it is expanded; a quote may be open.
pub fn unquoted(word: &OsStr) -> OsString {
    let Some(text) = word.to_str() else { return word.to_owned() };
    let mut out = String::with_capacity(text.len());
    let (mut quote, mut letters) = (None, text.chars().peekable());
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if letter == open => quote = None,
            (None, '\\') => out.extend(letters.next()),
            (Some('"'), '\\') => {
                let escaped = letters.next_if(|next| "$`\"\\".contains(*next));
                out.push(escaped.unwrap_or('\\'));
            }
            _ => out.push(letter),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_of_a_shell_are_taken_away() {
        for (word, wanted) in [
            ("a\\ b/r", "a b/r"),
            ("'a b/r", "a b/r"),
            ("\"a \\$x\\b", "a $x\\b"),
            ("a'b'\"c\"d", "abcd"),
            ("a\\", "a"),
            ("'a\\b'", "a\\b"),
        ] {
            assert_eq!(unquoted(OsStr::new(word)), wanted, "{word}");
        }
    }

    #[test]
    fn an_option_with_its_value_is_one_word_again() {
        let line = |words: &[&str]| {
            Line::of_bash(words.iter().map(OsString::from).collect(), words.len() - 1)
        };
        let all = line(&["m", "plan", "--file", "=", "a\\ b"]);
        assert_eq!(all.words, ["m", "plan", "--file=a b"]);
        assert_eq!((all.index, all.before.as_str()), (2, "--file="));
        let begun = line(&["m", "plan", "--file", "="]);
        assert_eq!((begun.words.len(), begun.before.as_str()), (3, "--file="));
        let next = line(&["m", "plan", "--file", "=", "x", "--se"]);
        assert_eq!((next.index, next.before.as_str()), (3, ""));
        // A value may hold the sign itself.
        let value = line(&["m", "plan", "-v", "a", "=", "b"]);
        assert_eq!(value.words.len(), 6);
    }
}
