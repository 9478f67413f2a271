//! *Pure*: what to do about a text that is no YAML. The parser says what it met, which is seldom
//! what the author did; the lines around the place tell that. None of them is repeated, since a
//! secret may stand there.

use super::super::habits::is_pair_without_blank;
use super::super::yaml::YamlError;

/// What to do about a text that could not be parsed, where its lines tell. `before` lines stand
/// before it in its file.
pub(super) fn hint(text: &str, before: u64, error: &YamlError) -> Option<String> {
    let mark = error.mark?;
    let at = usize::try_from(mark.line).ok()?.checked_sub(1)?;
    let column = usize::try_from(mark.column).ok()?.saturating_sub(1);
    let lines: Vec<&str> = text.lines().collect();
    let line = lines.get(at).copied().unwrap_or_default();
    let above = (0..at.min(lines.len())).rev().find(|index| is_told(lines[*index]));
    let number = |index: usize| before + index as u64 + 1;
    let message = error.message.as_str();
    if message.contains("tab") {
        return Some("indent with spaces, not with tabs".to_owned());
    }
    // What is said of numbers and of what to put in quotes is not about quotes that are there.
    if message.contains("quote") && !message.contains("in quotes") {
        let opened = (0..lines.len().min(at + 1)).rev().find(|index| leaves_open(lines[*index]));
        return Some(match opened {
            Some(index) => format!("a quotation mark in line {} is not closed", number(index)),
            None => "a quotation mark is not closed".to_owned(),
        });
    }
    if let Some(open) = message.strip_prefix("unclosed bracket ") {
        let close = if open.contains('[') { ']' } else { '}' };
        return Some(format!("close it with `{close}`"));
    }
    let first = line.chars().nth(column);
    if let Some(sign) = first.filter(|first| SIGNS.contains(first))
        && line.chars().take(column).collect::<String>().trim_end().ends_with([':', '-'])
    {
        return Some(format!("put text that begins with `{sign}` in quotes"));
    }
    // What belongs to the place may be told at the line after it.
    let nearby = [Some(at), above];
    let unspaced = nearby.into_iter().flatten().find(|index| {
        lines
            .get(*index)
            .is_some_and(|line| is_pair_without_blank(line.trim().trim_start_matches("- ")))
    });
    if let Some(index) = unspaced {
        return Some(format!("put a space after the colon in line {}", number(index)));
    }
    match message {
        "simple key expected ':'" => Some("a colon is missing, as in `name: value`".to_owned()),
        "mapping values are not allowed in this context" => {
            let starts = line.find(':').map(|colon| line[..colon].chars().count());
            match above.map(|index| lines[index]) {
                _ if starts != Some(column) => {
                    Some("put text that contains a colon and a space in quotes".to_owned())
                }
                Some(above) if indentation(line) > indentation(above) => Some(DEPTH.to_owned()),
                _ => None,
            }
        }
        "while parsing a block mapping, did not find expected key"
        | "while parsing a block collection, did not find expected '-' indicator" => {
            Some(DEPTH.to_owned())
        }
        _ => None,
    }
}

/// Signs that mean something of their own where a value begins.
const SIGNS: [char; 6] = ['*', '&', '@', '`', '%', '!'];

/// What is said of a line that stands too far in or out.
const DEPTH: &str =
    "the fields of one map begin in the same column: indent this line like the others";

/// Whether a line says anything.
fn is_told(line: &str) -> bool {
    let text = line.trim_start();
    !text.is_empty() && !text.starts_with('#')
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Whether a line opens a quoted text and does not end it.
fn leaves_open(line: &str) -> bool {
    let mut open = None;
    let mut is_escaped = false;
    let mut previous = ' ';
    for sign in line.chars() {
        match (open, sign) {
            (None, '#') if previous.is_whitespace() => return false,
            // Inside of a word it is an apostrophe.
            (None, '"' | '\'') if !previous.is_alphanumeric() => open = Some(sign),
            (Some('"'), '\\') if !is_escaped => {
                is_escaped = true;
                continue;
            }
            (Some(quote), sign) if quote == sign && !is_escaped => open = None,
            _ => {}
        }
        is_escaped = false;
        previous = sign;
    }
    open.is_some()
}

#[cfg(test)]
mod tests {
    use super::super::super::yaml;
    use super::hint;

    #[test]
    fn what_the_author_did_is_told_by_the_lines_around() {
        for (text, told) in [
            ("a:\n  b: 1\n c: 2\n", "the fields of one map"),
            ("a:\n  b: 1\n   c: 2\n", "the fields of one map"),
            ("a:\n  - b\n c: 1\n", "the fields of one map"),
            ("a:\n\tb: 1\n", "indent with spaces"),
            ("a: 1\nb\n  c: 1\n", "a colon is missing"),
            ("a: 1\nb c\nd: 1\n", "a colon is missing"),
            ("a: \"it is\nb: 1\n", "a quotation mark in line 3 is not closed"),
            ("a: it's\nb: 'it\nc: 'x'\n", "a quotation mark in line 4 is not closed"),
            ("a: */5 * * * *\n", "put text that begins with `*` in quotes"),
            ("a:\n  - @b\n", "put text that begins with `@` in quotes"),
            ("a:v1\nb: 1\n", "put a space after the colon in line 3"),
            ("a: one: two\n", "put text that contains a colon and a space in quotes"),
            ("a: {b: 1\n", "close it with `}`"),
            ("a: [b\n", "close it with `]`"),
        ] {
            let error = yaml::parse(text).expect_err(text);
            let hint = hint(text, 2, &error).unwrap_or_else(|| format!("nothing of {error:?}"));
            assert!(hint.starts_with(told), "{text}: {hint}");
        }
    }

    #[test]
    fn nothing_is_said_where_the_lines_tell_nothing() {
        let text = "a: 1\na: 2\n";
        assert_eq!(hint(text, 0, &yaml::parse(text).expect_err(text)), None);
    }
}
