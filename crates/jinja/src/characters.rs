//! How Python 3.13 classifies characters; it knows Unicode 15.1. If Rust knows more, or classifies
//! a character differently, it is refused rather than guessed.

use crate::error::{Outcome, refuse};

/// The first and the last of those characters that came to Unicode after Python 3.13, or got an
/// upper case then; the code points between two of them are not assigned yet.
const NEWER: &[u32] = &[
    0x88f, 0x897, 0xc5c, 0xc5c, 0xcdc, 0xcdc, 0x1acf, 0x1aeb, 0x1b4e, 0x1b4f, 0x1b7f, 0x1b7f,
    0x1c89, 0x1c8a, 0x20c1, 0x20c1, 0x2427, 0x2429, 0x2b96, 0x2b96, 0x31e4, 0x31e5, 0xa7cb, 0xa7cf,
    0xa7d2, 0xa7d5, 0xa7da, 0xa7f1, 0xfbc3, 0xfbd2, 0xfd90, 0xfd91, 0xfdc8, 0xfdce, 0x105c0,
    0x105f3, 0x10940, 0x10959, 0x10d40, 0x10d8f, 0x10ec2, 0x10efc, 0x11380, 0x113e2, 0x116d0,
    0x116e3, 0x11b60, 0x11bf9, 0x11db0, 0x11de9, 0x11f5a, 0x11f5a, 0x13460, 0x143fa, 0x16100,
    0x16139, 0x16d40, 0x16d79, 0x16ea0, 0x16ed3, 0x16ff2, 0x16ff6, 0x187f8, 0x187ff, 0x18cff,
    0x18cff, 0x18d09, 0x18df2, 0x1cc00, 0x1cef0, 0x1e5d0, 0x1e6ff, 0x1f6d8, 0x1f6d8, 0x1f777,
    0x1f77a, 0x1f8b2, 0x1f8d8, 0x1fa54, 0x1fa57, 0x1fa89, 0x1fa8f, 0x1fabe, 0x1fabe, 0x1fac6,
    0x1facd, 0x1fadc, 0x1fadf, 0x1fae9, 0x1faef, 0x1fbcb, 0x1fbef, 0x1fbfa, 0x1fbfa, 0x2b73a,
    0x2b73f, 0x2cea2, 0x2cead, 0x323b0, 0x33479,
];

/// A character, unless Python 3.13 does not know it.
fn known(character: char) -> Outcome<char> {
    let code = u32::from(character);
    let is_newer =
        code > 0x87f && NEWER.chunks_exact(2).any(|range| (range[0]..=range[1]).contains(&code));
    if is_newer {
        return Err(refuse(format!("U+{code:04X}, which Python 3.13 does not know,")));
    }
    Ok(character)
}

/// Letters that are neither upper nor lower case, but both.
fn is_title(character: char) -> bool {
    matches!(
        u32::from(character),
        0x1c5 | 0x1c8 | 0x1cb | 0x1f2 | 0x1f88..=0x1f8f | 0x1f98..=0x1f9f | 0x1fa8..=0x1faf
            | 0x1fbc | 0x1fcc | 0x1ffc
    )
}

/// `str.upper`
pub(crate) fn upper(text: &str) -> Outcome<String> {
    for character in text.chars() {
        // These two got an upper case after Python 3.13.
        if matches!(known(character)?, '\u{19b}' | '\u{264}') {
            return Err(refuse(format!("the upper case of U+{:04X}", u32::from(character))));
        }
    }
    Ok(text.to_uppercase())
}

/// `str.lower`
pub(crate) fn lower(text: &str) -> Outcome<String> {
    text.chars().try_for_each(|character| known(character).map(drop))?;
    Ok(text.to_lowercase())
}

/// Whether a character is white space for Python's `str.isspace` and `\s`.
pub(crate) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// A text without white space at its start.
pub(crate) fn trim_start(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

/// A text without white space at its end.
pub(crate) fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// Whether a character is alphanumeric for Python's `str.isalnum`. Scripts for which Unicode's and
/// Rust's notions of a letter differ are refused rather than guessed.
pub(crate) fn is_alphanumeric(character: char) -> Outcome<bool> {
    if character.is_ascii() {
        return Ok(character.is_ascii_alphanumeric());
    }
    let agreed = matches!(u32::from(character),
        0x80..=0x2ff | 0x370..=0x482 | 0x48a..=0x52f | 0x1e00..=0x1fff | 0x2000..=0x206f
        | 0x20a0..=0x20bf | 0x3000..=0x3029 | 0x3041..=0x3096 | 0x30a1..=0x30fa
        | 0x4e00..=0x9fff | 0xac00..=0xd7a3 | 0x1f300..=0x1faff);
    if agreed {
        Ok(character.is_alphanumeric())
    } else {
        Err(refuse(format!("telling whether U+{:04X} is a letter", u32::from(character))))
    }
}

/// The title case of a character, as `str.title` and `str.capitalize` use it.
pub(crate) fn title_case(character: char) -> Outcome<String> {
    if matches!(u32::from(character), 0x149 | 0x19b | 0x1c4..=0x1cc | 0x1f1..=0x1f3 | 0x264 | 0x10d0..=0x10ff | 0x1f80..=0x1fff)
    {
        return Err(refuse(format!("the title case of U+{:04X}", u32::from(character))));
    }
    let mut upper = character.to_uppercase();
    let mut title: String = upper.next().into_iter().collect();
    title.extend(upper.flat_map(char::to_lowercase));
    Ok(title)
}

/// `str.capitalize`
pub(crate) fn capitalize(text: &str) -> Outcome<String> {
    let mut characters = text.chars();
    let Some(first) = characters.next() else { return Ok(String::new()) };
    // Lower case looks around for the final sigma, so the whole text is lowered.
    let lower = lower(text)?;
    let rest = lower.strip_prefix(&first.to_lowercase().collect::<String>());
    let rest = rest.ok_or_else(|| refuse("this capitalization"))?;
    Ok(title_case(first)? + rest)
}

/// `str.title`
pub(crate) fn title(text: &str) -> Outcome<String> {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for character in text.chars() {
        known(character)?;
        if is_title(character) {
            return Err(refuse(format!("the case of U+{:04X}", u32::from(character))));
        }
        let cased = character.is_lowercase() || character.is_uppercase();
        match (cased, inside) {
            (true, false) => out.push_str(&title_case(character)?),
            (true, true) if character == 'Σ' => return Err(refuse("the title case of a sigma")),
            (true, true) => out.extend(character.to_lowercase()),
            (false, _) => out.push(character),
        }
        inside = cased;
    }
    Ok(out)
}

/// `str.islower` or `str.isupper`
pub(crate) fn has_case(text: &str, lower: bool) -> Outcome<bool> {
    let mut is_there = false;
    for character in text.chars() {
        if known(character)? == '\u{295}' || is_title(character) {
            return Err(refuse(format!("the case of U+{:04X}", u32::from(character))));
        }
        let (is_lower, is_upper) = (character.is_lowercase(), character.is_uppercase());
        if if lower { is_upper } else { is_lower } {
            return Ok(false);
        }
        is_there |= is_lower || is_upper;
    }
    Ok(is_there)
}

/// Whether a character is a digit for `str.isdigit` and similar methods.
pub(crate) fn digit(character: char) -> Outcome<bool> {
    match character {
        _ if character.is_ascii() => Ok(character.is_ascii_digit()),
        _ if character.is_numeric() => Err(refuse("telling which kind of number a character is")),
        _ if character.is_alphabetic() && u32::from(character) > 0x52f => {
            Err(refuse("telling whether such a character is a number"))
        }
        _ => Ok(false),
    }
}

/// `str.isprintable` of one character.
pub(crate) fn printable(character: char) -> Outcome<bool> {
    // Rust's escaping uses the same categories; the leading letter keeps a combining mark
    // from being escaped for that alone.
    Ok(match known(character)? {
        ' '..='~' => true,
        _ => !format!("a{character}").escape_debug().to_string().starts_with("a\\"),
    })
}
