//! *Pure*: names in a sentence, as many as people read. A message may be about thousands of
//! objects.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::visible::is_visible;

/// How many names a sentence has.
pub const FEW: usize = 5;

/// The most names in a list to choose from, such as allowed values.
pub const SOME: usize = 20;

/// The first few names, and how many more there are.
#[must_use]
pub fn few<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    at_most(FEW, names)
}

/// The first names, as many as are wanted, and how many more there are.
#[must_use]
pub fn at_most<T: Display>(most: usize, names: impl IntoIterator<Item = T>) -> String {
    let mut names = names.into_iter();
    let mut shown: Vec<String> = names.by_ref().take(most).map(|name| name.to_string()).collect();
    match (names.next(), names.count()) {
        (None, _) => {}
        // One more is as short as the words that would count it.
        (Some(last), 0) => shown.push(last.to_string()),
        (Some(_), more) => return format!("{} and {} more", shown.join(", "), more + 1),
    }
    shown.join(", ")
}

/// A number of things, with their noun.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The lines, each with the number of similar ones that are left out after it: of lines that say
/// the same about one object after another, a few are enough.
#[must_use]
pub fn summed_up(lines: &[String]) -> Vec<(&str, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    lines.iter().for_each(|line| *counts.entry(form(line)).or_default() += 1);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut shown = Vec::new();
    for line in lines {
        let form = form(line);
        let count = counts[&form];
        let seen = seen.entry(form).or_default();
        *seen += 1;
        match *seen {
            _ if count <= FEW + 1 => shown.push((line.as_str(), 0)),
            FEW => shown.push((line.as_str(), count - FEW)),
            ..FEW => shown.push((line.as_str(), 0)),
            _ => {}
        }
    }
    shown
}

/// The form of a line, without the words that differ: names, places and numbers.
fn form(line: &str) -> String {
    let is_name = |word: &&str| {
        word.contains(['/', ':', '`', '"', '@']) || word.contains(|c: char| c.is_ascii_digit())
    };
    line.split(' ').filter(|word| !is_name(word)).collect::<Vec<_>>().join(" ")
}

/// A text as one word of a command line. What would be hidden in it is spelled out, as bash, zsh and
/// ksh read it.
#[must_use]
pub fn word(text: &str) -> String {
    if !is_visible(text) {
        let spelled = |c: char| match c {
            '\'' | '\\' => format!("\\{c}"),
            ' '..='~' if c != '#' => c.to_string(),
            c if c.is_ascii() => format!("\\x{:02x}", u32::from(c)),
            c if u32::from(c) <= 0xffff => format!("\\u{:04x}", u32::from(c)),
            c => format!("\\U{:08x}", u32::from(c)),
        };
        return format!("$'{}'", text.chars().map(spelled).collect::<String>());
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/@._-+:,%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// The longest name that is compared with what is known, in bytes.
const LONGEST_SLIP: usize = 128;

/// How many known names a name is compared with.
const MOST_COMPARED: usize = 200;

/// The known name that is nearest to what was written, if one is near.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    // A longer text is not a typing mistake.
    if written.len() > LONGEST_SLIP {
        return None;
    }
    let lower = written.to_lowercase();
    known
        .filter(|name| name.len() <= LONGEST_SLIP)
        .take(MOST_COMPARED)
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            *distance <= (name.chars().count().max(written.chars().count()) / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{few, summed_up};

    #[test]
    fn lines_that_say_the_same_of_others_are_counted() {
        let notes = |count: usize| {
            let notes = (0..count).map(|it| format!("Room/r{it} stays as it is"));
            notes.chain(["the set moved".to_owned()]).collect::<Vec<_>>()
        };
        assert_eq!(summed_up(&notes(6)).len(), 7);
        let long = notes(900);
        let shown = summed_up(&long);
        assert_eq!(shown.len(), 6);
        assert_eq!(shown[4], ("Room/r4 stays as it is", 895));
        assert_eq!(shown[5], ("the set moved", 0));
        assert_eq!(summed_up(&[]), []);
    }

    #[test]
    fn a_sentence_names_a_few_and_counts_the_others() {
        assert_eq!(few::<&str>([]), "");
        assert_eq!(few(["a", "b"]), "a, b");
        assert_eq!(few(1..=6), "1, 2, 3, 4, 5, 6");
        assert_eq!(few(1..=7), "1, 2, 3, 4, 5 and 2 more");
    }
}
