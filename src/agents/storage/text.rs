//! Which part of a text is shown, and which of its lines match.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::room::content::Refused;
use crate::room::mime;

/// How many characters an answer has at most.
pub const MAX_CHARACTERS: usize = 20_000;

/// How long a search may take. The program waits for it before it ends.
const PATIENCE: Duration = Duration::from_secs(3);

/// Media types of text whose names do not start with `text/`.
const TEXTS: [&str; 8] = [
    "application/json",
    "application/xml",
    "application/xhtml+xml",
    "application/javascript",
    "application/x-javascript",
    "application/yaml",
    "application/x-yaml",
    "application/yml",
];

/// Endings of text, whatever its media type.
const TEXT_ENDINGS: [&str; 6] = ["yaml", "yml", "json", "jsonl", "ndjson", "geojson"];

/// Endings of files without lines, whatever their media type.
const PICTURE_ENDINGS: [&str; 13] = [
    "pdf", "png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff", "svg", "avif", "heic", "heif",
];

fn ending(path: &str) -> String {
    let ending = mime::split(path).map_or("", |(_, ending)| ending);
    ending.trim().to_lowercase()
}

fn bare(mime_type: &str) -> String {
    mime_type.split(';').next().unwrap_or_default().trim().to_lowercase()
}

/// Whether a file is shown as text.
#[must_use]
pub fn is_text(mime_type: &str, path: &str) -> bool {
    let mime_type = bare(mime_type);
    mime_type.starts_with("text/")
        || mime_type.ends_with("+json")
        || mime_type == "application/x-yml"
        || TEXTS.contains(&mime_type.as_str())
        || TEXT_ENDINGS.contains(&ending(path).as_str())
}

/// Whether a file is a picture or a PDF document.
#[must_use]
pub fn is_picture(mime_type: &str, path: &str) -> bool {
    let mime_type = bare(mime_type);
    mime_type.starts_with("image/")
        || mime_type == "application/pdf"
        || PICTURE_ENDINGS.contains(&ending(path).as_str())
}

/// A text without its first characters; empty if it has no more than those.
#[must_use]
pub fn skip(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or("", |(at, _)| &text[at..])
}

/// A text from a character on. If it is too long, it is truncated, with a note on how to continue.
#[must_use]
pub fn page(text: &str, offset: usize) -> String {
    cut(skip(text, offset), |shown| {
        format!("\n\n[truncated: continue with offset {}]", offset + shown)
    })
}

/// A text; if it is too long, it is truncated, with a note.
fn cut(text: &str, told: impl Fn(usize) -> String) -> String {
    if text.chars().nth(MAX_CHARACTERS).is_none() {
        return text.to_owned();
    }
    // The number of characters shown has no more digits than this one.
    let shown = MAX_CHARACTERS - told(usize::MAX / 2).chars().count();
    text.chars().take(shown).chain(told(shown).chars()).collect()
}

/// What to search a text for.
#[derive(Debug)]
pub struct Search<'a> {
    /// A regular expression.
    pub pattern: &'a str,
    /// How many characters to skip.
    pub offset: usize,
    /// How many lines to show above each match.
    pub before: usize,
    /// How many lines to show below each match.
    pub after: usize,
}

/// Whether a line ends here, as Python sees it.
const fn ends_line(character: char) -> bool {
    matches!(
        character,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// The matching lines and the lines around them, each with its number: followed by `:` if the line
/// matches and by `-` if not, with `--` where lines were left out.
///
/// # Errors
///
/// The pattern is empty or not a regular expression, or it takes too long.
pub fn search(text: &str, search: &Search<'_>) -> Result<String, Refused> {
    let nothing = || Ok("nothing matches".to_owned());
    let searched = skip(text, search.offset);
    if searched.is_empty() {
        return nothing();
    }
    let pattern = search.pattern.trim();
    if pattern.is_empty() {
        return Err(Refused::invalid("the pattern is empty"));
    }
    let wrong =
        |error: fancy_regex::Error| Refused::invalid(format!("the pattern is not valid: {error}"));
    let pattern = fancy_regex::Regex::new(pattern).map_err(wrong)?;
    let first = text[..text.len() - searched.len()].matches('\n').count() + 1;
    let searched = searched.replace("\r\n", "\n");
    let mut lines: Vec<&str> = searched.split(ends_line).collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    let mut matching = BTreeSet::new();
    let mut shown = BTreeSet::new();
    let begun = Instant::now();
    for (index, line) in lines.iter().enumerate() {
        if begun.elapsed() > PATIENCE {
            return Err(Refused::invalid("the search takes too long: use a simpler pattern"));
        }
        if pattern.is_match(line).map_err(wrong)? {
            matching.insert(index);
            let end = index.saturating_add(search.after).saturating_add(1).min(lines.len());
            // Lines that the match before already shows are skipped.
            let from = index.saturating_sub(search.before);
            let from = from.max(shown.last().map_or(0, |last| last + 1));
            shown.extend(from..end);
        }
    }
    if matching.is_empty() {
        return nothing();
    }
    let mut told: Vec<String> = Vec::new();
    let mut last = None;
    for index in shown {
        if last.is_some_and(|last| index > last + 1) {
            told.push("--".to_owned());
        }
        let mark = if matching.contains(&index) { ':' } else { '-' };
        told.push(format!("{}{mark} {}", first + index, lines[index]));
        last = Some(index);
    }
    Ok(cut(&told.join("\n"), |_| "\n\n[truncated: narrow the search]".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven";

    fn found(pattern: &str, offset: usize, before: usize, after: usize) -> String {
        search(TEXT, &Search { pattern, offset, before, after }).unwrap()
    }

    #[test]
    fn lines_stand_with_their_numbers() {
        assert_eq!(found("^t", 0, 0, 0), "2: two\n3: three");
        assert_eq!(found("^t", 0, 1, 1), "1- one\n2: two\n3: three\n4- four");
        assert_eq!(found("one|six", 0, 0, 1), "1: one\n2- two\n--\n6: six\n7- seven");
        assert_eq!(found("o", 5, 0, 0), "2: wo\n--\n4: four");
        assert_eq!(found("o", 5, 9, usize::MAX), {
            "2: wo\n3- three\n4: four\n5- five\n6- six\n7- seven"
        });
        assert_eq!(found("rabbit", 0, 0, 0), "nothing matches");
        assert_eq!(found("", 1000, 0, 0), "nothing matches");
        assert_eq!(found("(?<=f)o", 0, 0, 0), "4: four");
    }

    #[test]
    fn patterns_of_no_use_are_refused() {
        let told = |pattern: &str| {
            let text = "a".repeat(60) + "b";
            search(&text, &Search { pattern, offset: 0, before: 0, after: 0 }).unwrap_err()
        };
        assert_eq!(told(" ").text, "the pattern is empty");
        for pattern in ["(", "(?:(?:a|a)*)*(?!b)$\\1(x)"] {
            let refused = told(pattern);
            assert!(refused.text.starts_with("the pattern is not valid: "), "{refused}");
            assert_eq!(refused.code, Some(1002));
        }
    }

    #[test]
    fn a_search_without_end_is_given_up() {
        let text = format!("{}c\n", "a".repeat(200)).repeat(100_000);
        let pattern = "(a+)+(?=b)\\1";
        let begun = Instant::now();
        let refused = search(&text, &Search { pattern, offset: 0, before: 0, after: 0 });
        assert_eq!(refused.unwrap_err().code, Some(1002));
        assert!(begun.elapsed() < PATIENCE * 2, "{:?}", begun.elapsed());
    }

    #[test]
    fn pages_follow_each_other() {
        let text = "ä\n".repeat(MAX_CHARACTERS);
        let (mut read, mut offset) = (String::new(), 0);
        loop {
            let shown = page(&text, offset);
            assert!(shown.chars().count() <= MAX_CHARACTERS);
            let Some((part, next)) = shown.split_once("\n\n[truncated: continue with offset ")
            else {
                read += &shown;
                break;
            };
            read += part;
            offset = next.trim_end_matches(']').parse().unwrap();
        }
        assert_eq!(read, text);
        assert_eq!(page("abc", 3), "");
        assert_eq!(page(&"a".repeat(MAX_CHARACTERS), 0).len(), MAX_CHARACTERS);
    }

    #[test]
    fn files_are_told_by_type_or_by_name() {
        for (mime_type, path, text, picture) in [
            ("text/html; charset=utf-8", "a", true, false),
            ("application/vnd.x+JSON", "a", true, false),
            ("application/octet-stream", "d.x/a.YAML", true, false),
            ("application/octet-stream", "a.bin", false, false),
            ("image/svg+xml", "a", false, true),
            ("application/octet-stream", "a.pdf", false, true),
        ] {
            assert_eq!(is_text(mime_type, path), text, "{path}");
            assert_eq!(is_picture(mime_type, path), picture, "{path}");
        }
    }
}
