//! *Pure*: the text of a project file as it may be shown: of what stands in it, only some values.
//! Everything else may be a secret, wherever it stands: beside a value on its line, too.

use std::ops::Range;

use crate::manifest::yaml::{self, Node, Value};

/// What stands in the place of what is not shown.
const HIDDEN: &str = "…";

/// The text with only the values at these paths, and below them. Other values and comments are
/// hidden; names, and how the text is laid out, stay. A text that is no YAML is hidden whole.
pub(super) fn only(text: &str, shown: &[Vec<String>]) -> String {
    let Some(root) = yaml::parse(text).ok().and_then(|all| all.into_iter().next()) else {
        return HIDDEN.to_owned();
    };
    let mut kept = Vec::new();
    keep(&root, &mut Vec::new(), shown, &mut kept);
    kept.sort_by_key(|range| range.start);
    let mut out = String::new();
    let mut at = 0;
    for range in kept {
        // Marks of what an alias repeats stand before.
        if range.start < at || !text.is_char_boundary(range.start) {
            continue;
        }
        let Some(part) = text.get(range.clone()) else { continue };
        between(text.get(at..range.start).unwrap_or_default(), &mut out);
        out += part;
        at = range.end;
    }
    between(text.get(at..).unwrap_or_default(), &mut out);
    out
}

/// Finds what is shown: names, and the values that are asked for.
fn keep(node: &Node, path: &mut Vec<String>, shown: &[Vec<String>], kept: &mut Vec<Range<usize>>) {
    let is_shown = shown.iter().any(|shown| path.starts_with(shown));
    match &node.value {
        Value::Map(entries) => {
            for (key, below) in entries {
                kept.push(key.mark.start..key.mark.end);
                path.push(key.text.clone());
                keep(below, path, shown, kept);
                path.pop();
            }
        }
        Value::List(items) => items.iter().for_each(|item| keep(item, path, shown, kept)),
        _ if is_shown => kept.push(node.mark.start..node.mark.end),
        _ => {}
    }
}

/// What stands between two things that are shown: of each line only the signs of YAML at its
/// beginning and end, and something in the place of the rest.
fn between(text: &str, out: &mut String) {
    let is_sign = |c: char| c.is_whitespace() || ":,{}[]-".contains(c);
    for line in text.split_inclusive('\n') {
        let begin = line.len() - line.trim_start_matches(is_sign).len();
        *out += &line[..begin];
        let rest = &line[begin..];
        if !rest.is_empty() {
            *out += HIDDEN;
            *out += &rest[rest.trim_end_matches(is_sign).len()..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_shown_in_every_style() {
        let at = |path: &[&str]| vec![path.iter().map(|it| (*it).to_owned()).collect()];
        for (text, path, shown) in [
            ("a: {b: x, c: hunter}\n", at(&["a", "b"]), "a: {b: x, c: …}\n"),
            ("a:\n  b: x # hunter\n  c: hunter\n", at(&["a", "b"]), "a:\n  b: x …\n  c: …\n"),
            ("a: [hunter, {b: x}]\nb: y", at(&["b"]), "a: […, {b: …}]\nb: y"),
            (
                "b: |\n  one\n  two\nc: |\n  hunter\n  hunter\n",
                at(&["b"]),
                "b: …\n  one\n  two\nc: …\n  …\n  …\n",
            ),
            ("c: \"hun\n  ter\"\nb: x\n", at(&["b"]), "c: …\n  …\nb: x\n"),
            ("b: {x: 1, y: [2, three]}\n", at(&["b"]), "b: {x: 1, y: [2, three]}\n"),
            ("{\"b\": \"x\", \"c\": \"hunter\"}", at(&["b"]), "{\"b\": \"x\", \"c\": …}"),
            ("b: x\n# hunter\nc: -hunter\n", at(&["b"]), "b: x\n…\nc: -…\n"),
        ] {
            assert_eq!(only(text, &path), shown);
        }
    }
}
