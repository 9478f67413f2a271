//! A text, cut into sentences.

/// Bytes of a sentence. A longer one is cut between words.
const LONGEST: usize = 1_000;

/// Words before a full stop that doesn't end a sentence.
const ABBREVIATIONS: [&str; 21] = [
    "dr", "mr", "mrs", "ms", "prof", "st", "sr", "jr", "vs", "etc", "e.g", "i.e", "inc", "ltd",
    "co", "corp", "fig", "approx", "dept", "bzw", "z.b",
];

/// The sentences of a text, with single spaces between words.
///
/// A sentence ends with `.`, `!` or `?` and what closes after it, if a space follows, or with their
/// counterparts of other scripts; with an empty line; and with a line before an item of a list, a
/// heading or a row of a table. A full stop behind an abbreviation or a single capital doesn't end it.
pub fn sentences(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut sentence = String::new();
    for line in text.lines() {
        let line = line.trim();
        let apart = line.is_empty() || line.starts_with(['-', '*', '•', '#', '|', '>']);
        if apart {
            finish(&mut sentence, &mut found);
        }
        for word in line.split_whitespace() {
            if sentence.len() + word.len() >= LONGEST {
                finish(&mut sentence, &mut found);
            }
            if !sentence.is_empty() {
                sentence.push(' ');
            }
            add(word, &mut sentence, &mut found);
            if ends(word) {
                finish(&mut sentence, &mut found);
            }
        }
        if line.starts_with('#') {
            finish(&mut sentence, &mut found);
        }
    }
    finish(&mut sentence, &mut found);
    found
}

/// Adds a word. Those of scripts without spaces have ends of sentences within, and may be long.
fn add(word: &str, sentence: &mut String, found: &mut Vec<String>) {
    for letter in word.chars() {
        sentence.push(letter);
        if matches!(letter, '。' | '！' | '？') || sentence.len() >= LONGEST {
            finish(sentence, found);
        }
    }
}

fn finish(sentence: &mut String, found: &mut Vec<String>) {
    let text = sentence.trim();
    if text.chars().any(char::is_alphanumeric) {
        found.push(text.to_owned());
    }
    sentence.clear();
}

fn ends(word: &str) -> bool {
    let bare = word.trim_end_matches(['"', '\'', ')', ']', '”', '’', '»']);
    if bare.ends_with(['!', '?', '…']) {
        return true;
    }
    let Some(before) = bare.strip_suffix('.') else { return false };
    let before = before.trim_start_matches(['(', '[', '"', '“', '«']);
    let mut letters = before.chars();
    let initial = letters.next().is_some_and(char::is_uppercase) && letters.next().is_none();
    !initial && !ABBREVIATIONS.contains(&before.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_they_should() {
        for (text, wanted) in [
            ("One. Two! Three?", vec!["One.", "Two!", "Three?"]),
            ("Dr. J. Smith (e.g. here) left.", vec!["Dr. J. Smith (e.g. here) left."]),
            ("Version 1.5 of a.b is out", vec!["Version 1.5 of a.b is out"]),
            ("wrapped\nline\n\nnext", vec!["wrapped line", "next"]),
            ("# Head\nText\n- one\n- two", vec!["# Head", "Text", "- one", "- two"]),
            ("He said \"no.\" Then", vec!["He said \"no.\"", "Then"]),
            ("一。二！", vec!["一。", "二！"]),
            (" … \n--", vec![]),
        ] {
            assert_eq!(sentences(text), wanted, "{text}");
        }
    }

    #[test]
    fn long_sentences_are_cut() {
        let found = sentences(&"word ".repeat(1_000));
        assert!(found.len() > 4 && found.iter().all(|it| it.len() <= LONGEST));
        assert!(sentences(&"ä".repeat(10_000)).iter().all(|it| it.len() <= LONGEST + 3));
    }
}
