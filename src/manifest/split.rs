//! A text is cut into its documents, before any of them is parsed: a document that cannot be
//! read leaves the others as they are.

use std::ops::Range;

use super::source::Source;
use super::yaml::Mark;

/// A document's text within its source.
pub struct Part<'a> {
    /// The text, with the directives before it and the mark of its end.
    pub text: &'a str,
    /// Lines before it.
    pub lines: u64,
    /// Bytes before it.
    pub bytes: usize,
}

impl Part<'_> {
    /// The bytes of the source that it takes.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.bytes..self.bytes + self.text.len()
    }
}

/// What may come next in a part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Directives may: nothing but comments was there since the start, or since `...`.
    Fresh,
    /// A directive was there, so `---` begins the document that it is for.
    Directed,
    /// The document.
    Begun,
}

/// Splits at the lines that begin or end a document, `---` and `...`. In YAML such a line is
/// a mark wherever it stands, even inside a block of text. After `...` the next document may
/// begin without `---`.
#[must_use]
pub fn split(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut part = Part { text: "", lines: 0, bytes: 0 };
    let mut stage = Stage::Fresh;
    let (mut offset, mut lines) = (0, 0);
    for line in text.split_inclusive('\n') {
        // Files that were joined have their byte order marks in the middle.
        let plain = line.trim_start_matches('\u{feff}');
        let start = offset + line.len() - plain.len();
        let end = offset + line.len();
        if let Some(rest) = after_mark(plain, "---") {
            if stage == Stage::Directed {
                stage = Stage::Begun;
            } else {
                part.text = &text[part.bytes..offset];
                parts.push(part);
                let is_alone = rest.trim_start().is_empty() || rest.trim_start().starts_with('#');
                // What follows the mark on its line belongs to the document.
                let (bytes, lines) = if is_alone { (end, lines + 1) } else { (start + 3, lines) };
                part = Part { text: "", lines, bytes };
                stage = Stage::Begun;
            }
        } else if after_mark(plain, "...").is_some() {
            part.text = &text[part.bytes..end];
            parts.push(part);
            part = Part { text: "", lines: lines + 1, bytes: end };
            stage = Stage::Fresh;
        } else if stage != Stage::Begun && plain.starts_with('%') {
            stage = Stage::Directed;
        } else if stage == Stage::Fresh && !is_blank(plain) {
            stage = Stage::Begun;
        }
        // What follows a byte order mark begins where it ends.
        if part.bytes == offset && start < end {
            part.bytes = start;
        }
        offset = end;
        lines += 1;
    }
    part.text = &text[part.bytes..];
    parts.push(part);
    parts
}

/// What follows a mark on its line, if the line is one.
fn after_mark<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.strip_prefix(mark)
        .filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// The places of a source that ask for an older YAML than is read, in which some plain
/// words mean something else.
#[must_use]
pub fn older_versions(source: &Source) -> Vec<String> {
    if !source.text.contains("%YAML") {
        return Vec::new();
    }
    let mut notes = Vec::new();
    for part in split(&source.text) {
        let lines = part.text.lines().enumerate();
        for (line, text) in lines.take_while(|(_, text)| text.starts_with('%') || is_blank(text)) {
            let version = text.strip_prefix("%YAML").map(str::trim_start).unwrap_or_default();
            if version.starts_with("1.0") || version.starts_with("1.1") {
                let line = part.lines + line as u64 + 1;
                let place = source.place(Mark { line, column: 1, ..Mark::default() });
                notes.push(format!(
                    "{place}: the document is read as YAML 1.2, where `yes`, `on` and `010` are texts"
                ));
            }
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        let parts = split(text);
        for part in &parts {
            assert_eq!(&text[part.range()], part.text);
            assert_eq!(text[..part.bytes].matches('\n').count() as u64, part.lines);
        }
        parts.into_iter().map(|part| part.text).filter(|text| !text.trim().is_empty()).collect()
    }

    #[test]
    fn every_document_is_a_part() {
        assert_eq!(texts("a\n---\nb\n--- c\n"), ["a\n", "b\n", " c\n"]);
        assert_eq!(
            texts("a\n...\nb\n...\n# c\n---\nd\n"),
            ["a\n...\n", "b\n...\n", "# c\n", "d\n"]
        );
        assert_eq!(texts("a\n... # end\nb"), ["a\n... # end\n", "b"]);
        assert_eq!(texts("a\r\n...\r\nb\r\n---\r\nc"), ["a\r\n...\r\n", "b\r\n", "c"]);
        assert_eq!(texts("a: ...\n....\n---a\n"), ["a: ...\n....\n---a\n"]);
    }

    #[test]
    fn a_directive_stands_with_the_document_that_it_is_for() {
        let first = "# c\n%YAML 1.2\n%TAG ! !x\n---\na\n";
        assert_eq!(texts(&format!("{first}---\nb\n")), [first, "b\n"]);
        assert_eq!(texts("a\n...\n%YAML 1.2\n---\nb\n"), ["a\n...\n", "%YAML 1.2\n---\nb\n"]);
        assert_eq!(texts("---\n%a\n---\nb\n"), ["%a\n", "b\n"]);
        assert_eq!(texts("a: |\n%b\n---\nc\n"), ["a: |\n%b\n", "c\n"]);
    }

    #[test]
    fn a_byte_order_mark_between_files_is_no_part_of_either() {
        assert_eq!(texts("a\n\u{feff}---\nb\n"), ["a\n", "b\n"]);
        assert_eq!(texts("a\n...\n\u{feff}b\n"), ["a\n...\n", "b\n"]);
        assert_eq!(texts("a\n---\n\u{feff}b\n"), ["a\n", "b\n"]);
    }
}
