//! What a word is, for the search.
//!
//! A word is a run of letters and digits, in small letters and without accents. Signs of scripts
//! that put no spaces between words are words of their own.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Characters of a word. What is longer is cut, in the index as in the search.
const LONGEST: usize = 64;

/// Hands each word of a text to a function, until it says that it has enough.
fn each(text: &str, take: impl FnMut(&str) -> bool) {
    if text.is_ascii() {
        each_of(text.chars(), take);
    } else {
        each_of(text.nfkd().filter(|letter| !is_combining_mark(*letter)), take);
    }
}

fn each_of(letters: impl Iterator<Item = char>, mut take: impl FnMut(&str) -> bool) {
    let mut word = String::new();
    let mut length = 0;
    for letter in letters {
        let alone = stands_alone(letter);
        if (alone || !letter.is_alphanumeric()) && !word.is_empty() {
            if !take(&word) {
                return;
            }
            word.clear();
            length = 0;
        }
        if alone {
            if !take(letter.encode_utf8(&mut [0; 4])) {
                return;
            }
        } else if letter.is_alphanumeric() && length < LONGEST {
            word.extend(letter.to_lowercase().filter(|letter| letter.is_alphanumeric()));
            length += 1;
        }
    }
    if !word.is_empty() {
        take(&word);
    }
}

/// The words of a text, with a space between them.
pub fn folded(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    each(text, |word| {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        true
    });
    words
}

/// The first words of a text, each once.
pub fn distinct(text: &str, most: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    each(text, |word| {
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
        words.len() < most
    });
    words
}

/// Signs of Chinese, of Japanese, and of Thai, Lao, Burmese and Khmer.
fn stands_alone(letter: char) -> bool {
    let found = matches!(letter,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}');
    found && letter.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_small_and_without_accents() {
        for (text, words) in [
            ("Ärger in São-Paulo!", "arger in sao paulo"),
            ("e-mail: A.B@c.org", "e mail a b c org"),
            ("ﬁne № 2²", "fine no 22"),
            ("日本語 text", "日 本 語 text"),
            ("İstanbul", "istanbul"),
            ("  \u{0}…", ""),
        ] {
            assert_eq!(folded(text), words);
        }
        assert_eq!(folded(&"x".repeat(100)).len(), 64);
    }

    #[test]
    fn the_first_words_are_told_once() {
        assert_eq!(distinct("a b A c d", 3), ["a", "b", "c"]);
    }
}
