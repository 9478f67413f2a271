//! *Pure*: command lines: which words belong to an option, and how words are written so that a
//! shell reads them again.

use super::options::{AgentOption, Takes};

/// The words of an option in a command line, as they were typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typed<'a> {
    /// The option; none for a word that belongs to none.
    pub option: Option<&'a AgentOption>,
    /// How many words it has.
    pub count: usize,
}

/// Which option each word of a command line belongs to.
#[must_use]
pub fn typed<'a>(words: &[String], options: &'a [AgentOption]) -> Vec<Typed<'a>> {
    let mut all = Vec::new();
    let mut rest = words;
    while let Some(word) = rest.first() {
        let option = option_of(word, options);
        let has_value = word.contains('=') || option.is_none_or(|it| is_attached(word, it));
        let takes_value = option.is_some_and(|it| it.takes.a_value() && !has_value);
        let count = if takes_value { 2.min(rest.len()) } else { 1 };
        all.push(Typed { option, count });
        rest = &rest[count..];
    }
    all
}

/// The option that a word names.
fn option_of<'a>(word: &str, options: &'a [AgentOption]) -> Option<&'a AgentOption> {
    let named = |name: &str| options.iter().find(|it| it.name == name);
    if let Some(long) = word.strip_prefix("--") {
        let name = long.split('=').next().unwrap_or_default();
        let negated = || name.strip_prefix("no-").and_then(named);
        return named(name).or_else(|| negated().filter(|it| it.takes == Takes::OnOff));
    }
    let short = word.strip_prefix('-')?;
    let whole = short.split('=').next().unwrap_or_default();
    let with = |letters: &str| options.iter().find(|it| it.short == Some(letters));
    with(whole).or_else(|| with(short.get(..1)?))
}

/// Whether the value of an option follows its letter in the same word.
fn is_attached(word: &str, option: &AgentOption) -> bool {
    !word.starts_with("--") && option.short.is_some_and(|short| word.len() > short.len() + 1)
}

/// Where the next command of a command line is, behind levels of the log.
#[must_use]
pub fn next_command(words: &[String], mut at: usize) -> usize {
    while let Some(word) = words.get(at) {
        at += match word.as_str() {
            "--log" => 2,
            word if word.starts_with("--log=") => 1,
            _ => break,
        };
    }
    at
}

/// Replaces the short forms of two letters, which no other program reads.
#[must_use]
pub fn with_long_forms(words: &[String], options: &[AgentOption]) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = words;
    for Typed { option, count } in typed(words, options) {
        let (own, after) = rest.split_at(count);
        rest = after;
        let short = option.and_then(|it| it.short.filter(|short| short.len() > 1));
        let tail = short.and_then(|short| own[0].strip_prefix('-')?.strip_prefix(short));
        match (option, tail) {
            (Some(option), Some(tail)) if !own[0].starts_with("--") => {
                all.push(format!("--{}{tail}", option.name));
                all.extend_from_slice(&own[1..]);
            }
            _ => all.extend_from_slice(own),
        }
    }
    all
}

/// Words without those of some options.
#[must_use]
pub fn without(words: &[String], options: &[AgentOption], left_out: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = words;
    for Typed { option, count } in typed(words, options) {
        let (own, after) = rest.split_at(count);
        rest = after;
        if !option.is_some_and(|it| left_out.contains(&it.name)) {
            all.extend_from_slice(own);
        }
    }
    all
}

/// Words as one line for a shell, as Python's `shlex.join` writes it.
#[must_use]
pub fn joined(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\"'\"'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::agents::family::{Action, Family};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn values_of_options_are_no_options() {
        let options = Family::Chatbot.options(Action::Spec);
        let left =
            |line: &str| without(&words(line), &options, &["room", "service-name"]).join(" ");
        assert_eq!(left("--rule --service-name --service-name s"), "--rule --service-name");
        assert_eq!(left("--service-name=s -r x --no-require-time y"), "-r x --no-require-time y");
        assert_eq!(left("-rx -rt t -rr=f --rule spec"), "-rx -rt t -rr=f --rule spec");
        assert_eq!(left("--rule"), "--rule");
    }

    #[test]
    fn short_forms_of_two_letters_become_long() {
        let options = Family::Chatbot.options(Action::Spec);
        let long = |line: &str| with_long_forms(&words(line), &options).join(" ");
        assert_eq!(
            long("-rr f -rt=t -rs s -r x"),
            "--room-rules f --require-toolkit=t --require-schema s -r x"
        );
        assert_eq!(long("--rule -rr --model -rt"), "--rule -rr --model -rt");
    }

    #[test]
    fn a_shell_reads_the_words_again() {
        let told = ["a", "", "b c", "it's", "ü", "a=b,c:/d.e-f@%+"].map(str::to_owned);
        assert_eq!(joined(&told), "a '' 'b c' 'it'\"'\"'s' 'ü' a=b,c:/d.e-f@%+");
        assert_eq!(shlex::split(&joined(&told)).unwrap(), told);
    }
}
