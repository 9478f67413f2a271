//! The names in a sentence.

use std::collections::HashSet;
use std::ops::Range;

use jiff::civil::Date;

use super::phrases::{BEFORE_PERSONS, MONTHS, NO_NAMES, ORGANIZATIONS, PLACES, WITHIN};

/// Words of a name. More of them are a heading.
const WORDS: usize = 6;

/// Bytes of a name.
const LONGEST: usize = 200;

/// Letters of a title in quotes.
const TITLE: usize = 80;

/// A name, with its place in the sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Mention {
    pub name: String,
    pub kind: &'static str,
    pub confidence: f64,
    pub span: Range<usize>,
}

/// What is a name only because of its capitals.
pub const CONCEPT: &str = "Concept";

/// A word of a sentence.
#[derive(Debug, Clone)]
struct Word<'a> {
    /// Without the signs around it and without an `'s`.
    bare: &'a str,
    /// Where that is.
    span: Range<usize>,
    /// Whether something other than a space comes before it, or after it.
    cut_before: bool,
    cut_after: bool,
    /// Whether it is a part of something that was found.
    taken: bool,
}

impl Word<'_> {
    fn is_capitalised(&self) -> bool {
        self.bare.chars().next().is_some_and(char::is_uppercase)
    }

    fn is_one_of(&self, list: &[&str]) -> bool {
        list.contains(&self.bare.to_lowercase().as_str())
    }
}

/// The words of a text that are written small somewhere in it.
pub fn small_words(text: &str) -> HashSet<String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| word.chars().next().is_some_and(char::is_lowercase))
        .map(str::to_owned)
        .collect()
}

/// The names in a sentence, in their order.
pub fn mentions(sentence: &str, small: &HashSet<String>) -> Vec<Mention> {
    let mut words = words(sentence);
    let mut found = Vec::new();
    addresses(sentence, &mut words, &mut found);
    titles(sentence, &mut words, &mut found);
    dates(&mut words, &mut found);
    names(&words, small, &mut found);
    found.retain(|mention| !mention.name.is_empty() && mention.name.len() <= LONGEST);
    found.sort_by_key(|mention| mention.span.start);
    found
}

fn words(sentence: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut at = 0;
    for piece in sentence.split(' ') {
        let front = piece.trim_start_matches(|letter: char| !letter.is_alphanumeric());
        let begin = at + piece.len() - front.len();
        let full = front.trim_end_matches(|letter: char| !letter.is_alphanumeric());
        let possessed = full.strip_suffix("'s").or_else(|| full.strip_suffix("’s"));
        let bare = possessed.unwrap_or(full);
        if !bare.is_empty() {
            let end = begin + bare.len();
            let abbreviated = piece.ends_with('.') && {
                let word = bare.to_lowercase();
                let one = bare.chars().nth(1).is_none();
                one || BEFORE_PERSONS.contains(&word.as_str()) || word == "st"
            };
            words.push(Word {
                bare,
                span: begin..end,
                cut_before: front.len() < piece.len(),
                cut_after: end < at + piece.len() && !abbreviated,
                taken: false,
            });
        }
        at += piece.len() + 1;
    }
    words
}

/// Addresses, accounts and tags.
fn addresses(sentence: &str, words: &mut [Word<'_>], found: &mut Vec<Mention>) {
    let mut at = 0;
    for piece in sentence.split(' ') {
        let begin = at;
        at += piece.len() + 1;
        let front = piece.trim_start_matches(['(', '[', '<', '"', '“', '\'']);
        let start = begin + piece.len() - front.len();
        let closing = ['.', ',', ';', ':', '!', '?', ')', ']', '>', '"', '”', '\'', '’'];
        let it = front.trim_end_matches(closing);
        let Some((kind, confidence)) = address(it) else { continue };
        let span = start..start + it.len();
        for word in words.iter_mut() {
            word.taken |= word.span.start >= begin && word.span.end < at;
        }
        found.push(Mention { name: it.to_owned(), kind, confidence, span });
    }
}

fn address(it: &str) -> Option<(&'static str, f64)> {
    let rest = ["http://", "https://", "www."].into_iter().find_map(|begin| it.strip_prefix(begin));
    if rest.is_some_and(|rest| rest.contains('.') || rest.starts_with("localhost")) {
        return Some(("Url", 0.95));
    }
    let named = |it: &str, more: &str| {
        it.chars().count() > 1
            && it.chars().any(char::is_alphabetic)
            && it.chars().all(|letter| letter.is_alphanumeric() || more.contains(letter))
    };
    if it.strip_prefix('@').is_some_and(|name| named(name, "_-.")) {
        return Some(("Account", 0.9));
    }
    if it.strip_prefix('#').is_some_and(|name| named(name, "_-")) {
        return Some(("Tag", 0.9));
    }
    let (user, domain) = it.split_once('@')?;
    let user = !user.is_empty()
        && user.chars().all(|letter| letter.is_alphanumeric() || "._%+-".contains(letter));
    let domain = domain.contains('.')
        && !domain.starts_with('.')
        && domain.chars().all(|letter| letter.is_alphanumeric() || "-.".contains(letter));
    (user && domain).then_some(("Email", 0.95))
}

/// Short texts in quotes that begin with a capital.
fn titles(sentence: &str, words: &mut [Word<'_>], found: &mut Vec<Mention>) {
    let mut open: Option<(usize, char)> = None;
    for (at, letter) in sentence.char_indices() {
        match open {
            Some((begin, closing)) if letter == closing => {
                let title = sentence[begin..at].trim();
                let fits = title.chars().next().is_some_and(char::is_uppercase)
                    && title.chars().nth(1).is_some()
                    && title.chars().count() <= TITLE
                    && !title.ends_with(['!', '?', '.', ',']);
                if fits {
                    let span = begin..at;
                    for word in words
                        .iter_mut()
                        .filter(|word| word.span.start >= span.start && word.span.end <= span.end)
                    {
                        word.taken = true;
                    }
                    let name = title.to_owned();
                    found.retain(|other| {
                        other.span.end <= span.start || other.span.start >= span.end
                    });
                    found.push(Mention { name, kind: "Title", confidence: 0.7, span });
                }
                open = None;
            }
            Some(_) => {}
            None => {
                let closing = match letter {
                    '"' => '"',
                    '“' | '„' => '”',
                    '«' => '»',
                    '‘' => '’',
                    _ => continue,
                };
                open = Some((at + letter.len_utf8(), closing));
            }
        }
    }
}

/// Days and months.
fn dates(words: &mut [Word<'_>], found: &mut Vec<Mention>) {
    let mut at = 0;
    while at < words.len() {
        let read = if words[at].taken { None } else { date(&words[at..]) };
        let Some((name, length)) = read else {
            at += 1;
            continue;
        };
        let span = words[at].span.start..words[at + length - 1].span.end;
        for word in &mut words[at..at + length] {
            word.taken = true;
        }
        found.push(Mention { name, kind: "Date", confidence: 0.9, span });
        at += length;
    }
}

/// A date that words begin with, and how many words it has.
fn date(words: &[Word<'_>]) -> Option<(String, usize)> {
    let bare = |at: usize| words.get(at).map(|word| word.bare);
    let day = |at: usize| {
        let digits = bare(at)?.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
        digits.parse::<i8>().ok().filter(|day| (1..=31).contains(day))
    };
    let month = |at: usize| {
        let word = bare(at)?.to_lowercase();
        let found = MONTHS.iter().position(|(long, short)| word == *long || word == *short)?;
        i8::try_from(found + 1).ok()
    };
    let year = |at: usize| {
        let word = bare(at).filter(|word| word.len() == 4)?;
        word.parse::<i16>().ok().filter(|year| (1000..=2999).contains(year))
    };
    let whole = |year, month, day| Date::new(year, month, day).ok().map(|date| date.to_string());
    let first = bare(0)?;
    if first.len() == 10
        && let Ok(date) = first.parse::<Date>()
    {
        return Some((date.to_string(), 1));
    }
    if let (Some(day), Some(month), Some(year)) = (day(0), month(1), year(2)) {
        return Some((whole(year, month, day)?, 3));
    }
    if let (Some(month), Some(day), Some(year)) = (month(0), day(1), year(2)) {
        return Some((whole(year, month, day)?, 3));
    }
    if let (Some(month), Some(year)) = (month(0), year(1))
        && words[0].is_capitalised()
    {
        return Some((format!("{year:04}-{month:02}"), 2));
    }
    None
}

/// Words with capitals.
fn names(words: &[Word<'_>], small: &HashSet<String>, found: &mut Vec<Mention>) {
    let mut at = 0;
    while at < words.len() {
        if words[at].taken || !words[at].is_capitalised() {
            at += 1;
            continue;
        }
        let mut end = at + 1;
        while end < words.len() && !words[end - 1].cut_after {
            let joins = |word: &Word<'_>| !word.taken && !word.cut_before;
            let capital = |word: &Word<'_>| joins(word) && word.is_capitalised();
            if capital(&words[end])
                || (joins(&words[end]) && words[end].bare.chars().all(char::is_numeric))
            {
                end += 1;
            } else if joins(&words[end])
                && words[end].is_one_of(&WITHIN)
                && !words[end].cut_after
                && words.get(end + 1).is_some_and(capital)
            {
                end += 2;
            } else {
                break;
            }
        }
        name(&words[at..end], at == 0, small, found);
        at = end;
    }
}

fn name(phrase: &[Word<'_>], first: bool, small: &HashSet<String>, found: &mut Vec<Mention>) {
    let skipped = phrase.iter().take_while(|word| word.is_one_of(&NO_NAMES)).count();
    let mut phrase = &phrase[skipped..];
    let titled = phrase.first().is_some_and(|word| word.is_one_of(&BEFORE_PERSONS));
    if titled && phrase.len() > 1 {
        phrase = &phrase[1..];
    }
    let (Some(begin), Some(end)) = (phrase.first(), phrase.last()) else { return };
    if phrase.len() > WORDS {
        return;
    }
    let alone = phrase.len() == 1;
    let word = begin.bare;
    if alone {
        let contraction =
            word.contains(['\'', '’']) && NO_NAMES.contains(&beginning(word).as_str());
        let short = word.chars().nth(1).is_none();
        let month = MONTHS.iter().any(|(long, _)| word.to_lowercase() == *long);
        // A word that begins the sentence has its capital from that, if it is small elsewhere.
        let common = first && skipped == 0 && small.contains(&word.to_lowercase());
        if contraction || short || month || common || word.eq_ignore_ascii_case("sunday") {
            return;
        }
    }
    let marked = |list: &[&str]| !alone && (begin.is_one_of(list) || end.is_one_of(list));
    let (kind, confidence) = if titled {
        ("Person", 0.8)
    } else if marked(&ORGANIZATIONS) {
        ("Organization", 0.8)
    } else if marked(&PLACES) {
        ("Place", 0.8)
    } else {
        (CONCEPT, 0.6)
    };
    let name = phrase.iter().map(|word| word.bare).collect::<Vec<_>>().join(" ");
    found.push(Mention { name, kind, confidence, span: begin.span.start..end.span.end });
}

/// What stands before an apostrophe, in small letters.
fn beginning(word: &str) -> String {
    word.split(['\'', '’']).next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_sentences() {
        for (sentence, wanted) in [
            ("Alice works at Acme Inc.", "Alice:Concept Acme Inc:Organization"),
            ("Yesterday Dr. Jane Smith met us.", "Jane Smith:Person"),
            ("The Bank of England is old.", "Bank of England:Organization"),
            (
                "Write to a.b@c.org, or see https://x.org/y.",
                "Write:Concept a.b@c.org:Email https://x.org/y:Url",
            ),
            ("Ask @bob-1 about #launch!", "Ask:Concept @bob-1:Account #launch:Tag"),
            ("We read \"War and Peace\" and “no”.", "War and Peace:Title"),
            ("On 2026-11-30 and 1 March 2024.", "2026-11-30:Date 2024-03-01:Date"),
            ("by March 12, 2024 or in May 2025", "2024-03-12:Date 2025-05:Date"),
            ("Ludwig van Beethoven's Ninth", "Ludwig van Beethoven:Concept Ninth:Concept"),
            ("Ärzte wohnen in Köln, Straße", "Ärzte:Concept Köln:Concept Straße:Concept"),
            ("I'm here. It's that.", ""),
            ("nothing at all", ""),
            ("THE QUICK BROWN FOX JUMPS OVER A LAZY DOG", ""),
            ("Use GPT 4 with Windows 11", "Use GPT 4:Concept Windows 11:Concept"),
            ("see (Rust) and Go; Zig", "Rust:Concept Go:Concept Zig:Concept"),
        ] {
            let found = mentions(sentence, &HashSet::new());
            let shown: Vec<_> = found.iter().map(|it| format!("{}:{}", it.name, it.kind)).collect();
            assert_eq!(shown.join(" "), wanted, "{sentence}");
        }
    }

    #[test]
    fn a_word_that_is_small_elsewhere_is_no_name_at_the_beginning() {
        let small = small_words("Deployments are slow, and deployments hurt Deployments.");
        assert!(mentions("Deployments are slow.", &small).is_empty());
        assert_eq!(mentions("They hurt Deployments.", &small).len(), 1);
    }

    #[test]
    fn places_are_those_of_the_sentence() {
        let sentence = "Then Ann’s \"Ode to Joy\" and (Bob).";
        for mention in mentions(sentence, &HashSet::new()) {
            assert_eq!(&sentence[mention.span.clone()], mention.name);
        }
    }
}
