//! The text of files.

use meshagent_tables::{Error, Result};
use serde_json::Value as Json;

use crate::limits;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Markdown,
    Html,
    Json,
    Table(char),
}

/// The text of a file.
///
/// # Errors
///
/// It is too large, no text, or of a form that is not known.
pub fn text_of(path: &str, media_type: Option<&str>, bytes: &[u8]) -> Result<String> {
    if bytes.len() > limits::SOURCE {
        let most = limits::SOURCE >> 20;
        return Err(Error::invalid(format!(
            "{path:?} has more than {most} MiB; ingest parts of it"
        )));
    }
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let form = form(path, media_type);
    let (Some(text), Some(form)) = (text, form) else {
        return Err(Error::invalid(format!(
            "{path:?} is no text that can be read; there are plain text, Markdown, HTML, JSON and CSV"
        )));
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Ok(match form {
        Form::Plain => text.to_owned(),
        Form::Markdown => markdown(text),
        Form::Html => html(text),
        Form::Json => json(text),
        Form::Table(separator) => table(text, separator),
    })
}

fn form(path: &str, media_type: Option<&str>) -> Option<Form> {
    let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default();
    let by_type = match media_type.trim().to_ascii_lowercase().as_str() {
        "text/markdown" | "text/x-markdown" => Some(Form::Markdown),
        "text/html" | "application/xhtml+xml" => Some(Form::Html),
        "text/csv" => Some(Form::Table(',')),
        "text/tab-separated-values" => Some(Form::Table('\t')),
        json if json == "application/json" || json.ends_with("+json") => Some(Form::Json),
        xml if xml.ends_with("/xml") || xml.ends_with("+xml") => Some(Form::Html),
        "text/plain" | "application/octet-stream" | "" => None,
        text if text.starts_with("text/") => Some(Form::Plain),
        _ => return None,
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    let by_name = match name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).as_deref() {
        Some("md" | "markdown") => Form::Markdown,
        Some("html" | "htm" | "xhtml" | "xml") => Form::Html,
        Some("csv") => Form::Table(','),
        Some("tsv") => Form::Table('\t'),
        Some("json") => Form::Json,
        _ => Form::Plain,
    };
    by_type.or(Some(by_name))
}

/// Bytes in which the end of a link's address is looked for.
const ADDRESS: usize = 2_000;

/// Bytes of the name of a value that are told with it.
const NAME: usize = 64;

/// The beginning of a name. It is told with each value, and may be long.
fn short(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME)]
}

/// Without fences, marks of emphasis and addresses of links.
fn markdown(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for line in text.lines() {
        if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            plain.push('\n');
            continue;
        }
        let mut rest = line;
        while let Some(at) = rest.find(['`', '*', '[', ']', '!', '_']) {
            plain.push_str(&rest[..at]);
            let mark = &rest[at..];
            let inside = |it: Option<char>| it.is_some_and(char::is_alphanumeric);
            let (before, after) = (rest[..at].chars().last(), mark[1..].chars().next());
            rest = if mark.starts_with("](") {
                let near = &mark[..mark.floor_char_boundary(ADDRESS)];
                near.find(')').map_or(&mark[1..], |end| &mark[end + 1..])
            } else if let Some(inside) = mark.strip_prefix("![") {
                inside
            } else if mark.starts_with('!')
                // A list may begin with a star, a name may have a line within.
                || (mark.starts_with("* ") && (plain.is_empty() || plain.ends_with(['\n', ' '])))
                || (mark.starts_with('_') && inside(before) && inside(after))
            {
                plain.push_str(&mark[..1]);
                &mark[1..]
            } else {
                &mark[1..]
            };
        }
        plain.push_str(rest);
        plain.push('\n');
    }
    plain
}

/// Elements whose text is for machines.
const SILENT: [&str; 4] = ["script", "style", "template", "noscript"];

/// Elements that don't end a line.
const INLINE: [&str; 16] = [
    "a", "abbr", "b", "cite", "code", "em", "font", "i", "kbd", "mark", "q", "small", "span",
    "strong", "sub", "u",
];

/// Without tags, comments, scripts and styles.
fn html(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        push_decoded(&rest[..at], &mut plain);
        let tag = &rest[at..];
        if let Some(comment) = tag.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let Some(end) = tag.find('>') else {
            push_decoded(tag, &mut plain);
            return plain;
        };
        let name: String = tag[1..end]
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .take(16)
            .collect::<String>()
            .to_ascii_lowercase();
        rest = &tag[end + 1..];
        if SILENT.contains(&name.as_str()) && !tag.starts_with("</") {
            rest = after_closing(rest, &name);
        } else if !INLINE.contains(&name.as_str()) {
            plain.push_str("\n\n");
        }
    }
    push_decoded(rest, &mut plain);
    plain
}

/// What comes behind the tag that closes an element.
fn after_closing<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        let closes = rest.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name));
        if closes {
            return rest.find('>').map_or("", |end| &rest[end + 1..]);
        }
    }
    ""
}

/// Adds a text with the signs that its references stand for.
fn push_decoded(text: &str, plain: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        let sign = end.and_then(|end| decoded(&rest[1..end]));
        match (sign, end) {
            (Some(sign), Some(end)) => {
                plain.push(sign);
                rest = &rest[end + 1..];
            }
            _ => {
                plain.push('&');
                rest = &rest[1..];
            }
        }
    }
    plain.push_str(rest);
}

fn decoded(reference: &str) -> Option<char> {
    if let Some(number) = reference.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|sign| *sign != '\0');
    }
    Some(match reference {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "copy" => '©',
        _ => return None,
    })
}

/// Each text with the name before it, on a line of its own. What is no JSON is read as it is.
fn json(text: &str) -> String {
    let Ok(json) = serde_json::from_str::<Json>(text) else { return text.to_owned() };
    let mut plain = String::new();
    // The parser lets nothing in that is nested too deep.
    leaves("", &json, &mut plain);
    plain
}

fn leaves(name: &str, json: &Json, plain: &mut String) {
    match json {
        Json::Object(object) => object.iter().for_each(|(name, it)| leaves(name, it, plain)),
        Json::Array(items) => items.iter().for_each(|it| leaves(name, it, plain)),
        Json::String(text) if !text.trim().is_empty() => {
            if !name.is_empty() {
                plain.push_str(short(name));
                plain.push_str(": ");
            }
            plain.push_str(text);
            plain.push_str("\n\n");
        }
        _ => {}
    }
}

/// Each row as a sentence of its cells, with the names of their columns.
fn table(text: &str, separator: char) -> String {
    let mut rows = rows(text, separator).into_iter();
    let names = rows.next().unwrap_or_default();
    let mut plain = String::new();
    for row in rows {
        for (index, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.trim().is_empty()) {
            if let Some(name) = names.get(index).filter(|name| !name.trim().is_empty()) {
                plain.push_str(short(name.trim()));
                plain.push_str(": ");
            }
            plain.push_str(cell.trim());
            plain.push_str("; ");
        }
        plain.push_str("\n\n");
    }
    plain
}

fn rows(text: &str, separator: char) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' if quoted || cell.is_empty() => quoted = !quoted,
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            letter if letter == separator && !quoted => row.push(std::mem::take(&mut cell)),
            letter => cell.push(letter),
        }
    }
    row.push(cell);
    rows.push(row);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, media_type: Option<&str>, text: &str) -> Vec<String> {
        let text = text_of(path, media_type, text.as_bytes()).unwrap();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn files_are_read_by_their_type_or_name() {
        for (path, media_type, text, wanted) in [
            ("a.txt", None, "*a* <b>", vec!["*a* <b>"]),
            ("a.md", None, "# A *b* [c](d) snake_case `e`!", vec!["# A b c snake_case e!"]),
            ("a", Some("text/markdown; charset=utf-8"), "* a\n```x\ny\n```", vec!["* a", "y"]),
            (
                "a.html",
                None,
                "<p>A &amp; <b>B</b>&#x21;<script>x<y</script><!-- > --></p>c &bad; d",
                vec!["A & B!", "c &bad; d"],
            ),
            ("a.json", None, r#"{"a": [{"b": "c"}, 1, "d"]}"#, vec!["b: c", "a: d"]),
            ("a.json", None, "no json", vec!["no json"]),
            ("a.csv", None, "n,t\nx,\"a, \"\"b\"\"\"\n,y\n", vec!["n: x; t: a, \"b\";", "t: y;"]),
            ("a", Some("text/tab-separated-values"), "n\tt\nx\ty", vec!["n: x; t: y;"]),
        ] {
            assert_eq!(lines(path, media_type, text), wanted, "{path} {text}");
        }
    }

    #[test]
    fn what_is_no_text_is_told() {
        for (media_type, bytes) in
            [(None, &b"\xff\xfe"[..]), (None, b"a\0b"), (Some("image/png"), b"a")]
        {
            let told = text_of("a.png", media_type, bytes).unwrap_err().text;
            assert!(told.starts_with("\"a.png\" is no text"), "{told}");
        }
        let large = vec![b'a'; limits::SOURCE + 1];
        assert!(text_of("a", None, &large).unwrap_err().text.contains("more than 4 MiB"));
    }
}
