//! Values as people read them, and how two values differ: short values are shown as a whole, long
//! ones as the parts or lines that differ, with a little context.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::Value;
use similar::{DiffOp, DiffTag, TextDiff};

use crate::conceal;
use crate::kinds::tree::{NOT_READ, Sealed, Tree};
use crate::visible;

/// The longest value that is shown on one line, in characters.
const WIDTH: usize = 100;

/// The longest line that is shown as a whole where it differs, in characters.
const LINE: usize = 300;

/// How much is shown of one value or of one difference, in characters and in lines. A reviewer
/// sees all of what would run; anything beyond this limit is counted.
const SHOWN: (usize, usize) = (16_000, 1_000);

/// The shortest run of spaces within a line that is not shown as it is, and the longest one at its
/// start that is: text after more spaces would be out of sight.
const SPACES: (&str, usize) = ("         ", 40);

/// How to see what is left out.
const SEEN: &str = "--output json shows it all";

/// How much is shown around a part that differs, in characters.
const AROUND: usize = 24;

/// The largest texts whose words, in bytes, and whose lines are compared one by one.
const COMPARED: (usize, usize) = (20_000, 2_000);

/// What differs between two values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Both values, or the one part of each that differs.
    Pair(String, String),
    /// The parts that differ, and how many more there are.
    Parts(Vec<Part>, usize),
    /// It is in secrets.
    Hidden,
}

/// A part of a value that the other one does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Whether it is the new value's.
    pub is_new: bool,
    /// The part, on one line.
    pub text: String,
}

impl Part {
    /// The sign of a line that goes or comes.
    #[must_use]
    pub fn sign(&self) -> char {
        if self.is_new { '+' } else { '-' }
    }
}

/// A value as a whole: on one line where it is short, else what it is and its lines below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// The value, or how long it is.
    pub head: String,
    /// Its lines, if it is not in the head.
    pub lines: Vec<String>,
}

/// A value as a whole; what exceeds a high limit is counted.
#[must_use]
pub fn whole(tree: &Tree) -> Whole {
    let tree = &*concealed(tree);
    let head = |head: String| Whole { head, lines: Vec::new() };
    match tree {
        Tree::Secret(Sealed::Unread) => head(NOT_READ.to_owned()),
        Tree::Secret(_) => head("(secret)".to_owned()),
        Tree::Text(text) if text.lines().count() > 1 => {
            let lines = text.lines().flat_map(|line| rows(&line_shown(line)));
            let count = text.lines().count();
            Whole { head: format!("({count} lines)"), lines: bounded(lines.collect()) }
        }
        Tree::Text(text) => match quoted(text) {
            short if !is_longer(text, WIDTH) && !short.contains(" spaces)") => head(short),
            long => Whole {
                head: format!("({} characters)", text.chars().count()),
                lines: bounded(rows(&long)),
            },
        },
        other => match flown(other) {
            short if !is_longer(&short, WIDTH) => head(short),
            long => Whole {
                head: format!("({} characters)", long.chars().count()),
                lines: bounded(rows(&long)),
            },
        },
    }
}

/// A value without the program's credentials, before it is cut or laid out in rows: half of a
/// credential would not be found.
pub(super) fn concealed(tree: &Tree) -> Cow<'_, Tree> {
    let without = |text: &str| match conceal::within(Cow::Borrowed(text)) {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => Some(text),
    };
    match tree {
        Tree::Text(text) => {
            without(text).map_or(Cow::Borrowed(tree), |it| Cow::Owned(Tree::text(it)))
        }
        Tree::List(items) => {
            let new: Vec<_> = items.iter().map(concealed).collect();
            match new.iter().all(|it| matches!(it, Cow::Borrowed(_))) {
                true => Cow::Borrowed(tree),
                false => Cow::Owned(Tree::List(new.into_iter().map(Cow::into_owned).collect())),
            }
        }
        Tree::Map(fields) => {
            let new: Vec<_> = fields
                .iter()
                .map(|(name, value)| (name, without(name), concealed(value)))
                .collect();
            match new.iter().all(|(_, name, it)| name.is_none() && matches!(it, Cow::Borrowed(_))) {
                true => Cow::Borrowed(tree),
                false => Cow::Owned(
                    new.into_iter()
                        .map(|(name, new, it)| {
                            (new.unwrap_or_else(|| name.to_string()), it.into_owned())
                        })
                        .collect(),
                ),
            }
        }
        _ => Cow::Borrowed(tree),
    }
}

/// A line as rows of a limited width, which end after a space if there is one. A sign comes before
/// each row, so that no text from outside begins a line.
fn rows(line: &str) -> Vec<String> {
    let mut rows = Vec::new();
    let mut rest = line;
    let mut sign = '|';
    while let Some((end, _)) = rest.char_indices().nth(WIDTH) {
        let end = rest[..end].rfind(' ').filter(|at| at * 2 > end).map_or(end, |at| at + 1);
        rows.push(format!("{sign} {}", &rest[..end]));
        rest = &rest[end..];
        sign = '·';
    }
    rows.push(format!("{sign} {rest}"));
    rows
}

/// The lines that are shown, and a last one that counts the others.
fn bounded(mut lines: Vec<String>) -> Vec<String> {
    let mut free = SHOWN.0;
    let fitting = lines.iter().take(SHOWN.1).take_while(|line| {
        let length = line.chars().count();
        let fits = length <= free;
        free = free.saturating_sub(length);
        fits
    });
    let kept = fitting.count();
    let left: usize = lines[kept..].iter().map(|line| line.chars().count()).sum();
    if left > 0 {
        lines.truncate(kept);
        lines.push(format!("… and {left} more characters; {SEEN}"));
    }
    lines
}

fn flown(tree: &Tree) -> String {
    let mut text = String::new();
    flow(tree, &mut text);
    visible::line(&text).into_owned()
}

/// What differs between two values of a field.
#[must_use]
pub fn difference(old: &Tree, new: &Tree) -> Difference {
    let (old, new) = (&*concealed(old), &*concealed(new));
    let difference = match (old, new) {
        (Tree::Text(old), Tree::Text(new)) if old.contains('\n') || new.contains('\n') => {
            lines(old, new)
        }
        (Tree::Text(old), Tree::Text(new)) => parts(old, new, &quoted),
        (Tree::Map(_) | Tree::List(_), Tree::Map(_) | Tree::List(_)) => {
            parts(&flown(old), &flown(new), &|text| text.to_owned())
        }
        _ => both(whole(old), whole(new)),
    };
    match difference {
        Difference::Pair(old, new) if old == new => Difference::Hidden,
        Difference::Parts(parts, 0) if parts.is_empty() => Difference::Hidden,
        difference => difference,
    }
}

/// Two values that have no parts in common.
fn both(old: Whole, new: Whole) -> Difference {
    if old.lines.is_empty() && new.lines.is_empty() {
        return Difference::Pair(old.head, new.head);
    }
    let parts = |is_new: bool, whole: Whole| {
        let lines = if whole.lines.is_empty() { vec![whole.head] } else { whole.lines };
        lines.into_iter().map(move |text| Part { is_new, text })
    };
    Difference::Parts(parts(false, old).chain(parts(true, new)).collect(), 0)
}

/// A text in quotes. A long run of spaces is written beside them, as a number.
fn quoted(text: &str) -> String {
    let quotes = |text: &str| visible::line(&Value::from(text).to_string()).into_owned();
    if !has_long_run(text) {
        return quotes(text);
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(SPACES.0) {
        let (before, run) = rest.split_at(at);
        let after = run.trim_start_matches(' ');
        pieces.extend((!before.is_empty()).then(|| quotes(before)));
        pieces.push(format!("({} spaces)", run.len() - after.len()));
        rest = after;
    }
    pieces.extend((!rest.is_empty()).then(|| quotes(rest)));
    pieces.join(" ")
}

fn has_long_run(text: &str) -> bool {
    text.contains(SPACES.0)
}

fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn is_longer(text: &str, width: usize) -> bool {
    text.len() > width && text.chars().nth(width).is_some()
}

/// Adds a value in the flow style of YAML, close to JSON but with plain keys.
fn flow(tree: &Tree, out: &mut String) {
    let separate = |out: &mut String, index: usize| {
        if index > 0 {
            out.push_str(", ");
        }
    };
    match tree {
        Tree::Map(fields) => {
            out.push('{');
            for (index, (name, value)) in fields.iter().enumerate() {
                separate(out, index);
                let is_plain = |c: char| c.is_alphanumeric() || "_-./@$".contains(c);
                match name.chars().all(is_plain) && !name.is_empty() {
                    true => out.push_str(name),
                    false => out.push_str(&quoted(name)),
                }
                out.push_str(": ");
                flow(value, out);
            }
            out.push('}');
        }
        Tree::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, index);
                flow(item, out);
            }
            out.push(']');
        }
        Tree::Text(text) => out.push_str(&quoted(text)),
        leaf => {
            // Writing to a text cannot fail.
            let _ = write!(out, "{}", leaf.redacted());
        }
    }
}

/// What differs between two texts of one line; `dress` is how a part of them is shown.
fn parts(old: &str, new: &str, dress: &dyn Fn(&str) -> String) -> Difference {
    if !is_longer(old, WIDTH) && !is_longer(new, WIDTH) {
        return Difference::Pair(dress(old), dress(new));
    }
    let mut pairs = pieces(old, new).into_iter();
    let pair = |(old, new): (String, String)| (dress(&old), dress(&new));
    match (pairs.next(), pairs.len()) {
        (None, _) => Difference::Hidden,
        (Some(only), 0) if !is_longer(&only.0, WIDTH) && !is_longer(&only.1, WIDTH) => {
            let (old, new) = pair(only);
            Difference::Pair(old, new)
        }
        (Some(first), _) => {
            let both = |(old, new): (String, String)| {
                let (old, new) = pair((old, new));
                [Part { is_new: false, text: old }, Part { is_new: true, text: new }]
            };
            limited(std::iter::once(first).chain(pairs).flat_map(both).collect())
        }
    }
}

fn limited(mut parts: Vec<Part>) -> Difference {
    let mut shown = 0;
    let fitting = parts.iter().take(SHOWN.1).take_while(|part| {
        let fits = shown <= SHOWN.0;
        shown += part.text.chars().count();
        fits
    });
    let kept = fitting.count();
    let more = parts.len() - kept;
    parts.truncate(kept);
    Difference::Parts(parts, more)
}

/// The pieces of two texts that differ, each with a little around it and with an ellipsis
/// where the text goes on.
fn pieces(old: &str, new: &str) -> Vec<(String, String)> {
    let whole = Window::of(old, new);
    let (old_middle, new_middle) = (whole.in_old(old), whole.in_new(new));
    let is_large = old_middle.len().max(new_middle.len()) > COMPARED.0;
    if is_large || !is_longer(old_middle, WIDTH) && !is_longer(new_middle, WIDTH) {
        return vec![whole.cut(old, new)];
    }
    let diff = TextDiff::from_words(old_middle, new_middle);
    // Spaces count as words.
    let groups = diff.grouped_ops(4);
    let offsets = |words: &mut dyn Iterator<Item = &str>| -> Vec<usize> {
        let ends = words.scan(0, |end, word| {
            *end += word.len();
            Some(*end)
        });
        std::iter::once(0).chain(ends).collect()
    };
    let olds = offsets(&mut diff.iter_old_slices());
    let news = offsets(&mut diff.iter_new_slices());
    let piece = |group: &Vec<DiffOp>| {
        let (first, last) = (group.first()?, group.last()?);
        let ends = |offsets: &[usize], start: usize, end: usize| {
            (whole.start + offsets[start], whole.start + offsets[end])
        };
        let (old_start, old_end) = ends(&olds, first.old_range().start, last.old_range().end);
        let (new_start, new_end) = ends(&news, first.new_range().start, last.new_range().end);
        let inner = Window::of(&old[old_start..old_end], &new[new_start..new_end]);
        // The parts may stand at different places by now.
        let side = |text: &str, from: usize, start: usize, end: usize| {
            around(text, from + start, from + end)
        };
        Some((
            side(old, old_start, inner.start, inner.old_end),
            side(new, new_start, inner.start, inner.new_end),
        ))
    };
    groups.iter().filter_map(piece).collect()
}

/// Where two texts differ: without the beginning and the end that both share, with a little
/// context.
struct Window {
    start: usize,
    old_end: usize,
    new_end: usize,
}

impl Window {
    fn of(old: &str, new: &str) -> Self {
        let same = |(one, other): &(char, char)| one == other;
        let length = |pairs: &mut dyn Iterator<Item = (char, char)>| -> usize {
            pairs.take_while(same).map(|(c, _)| c.len_utf8()).sum()
        };
        let start = length(&mut old.chars().zip(new.chars()));
        let (old_rest, new_rest) = (&old[start..], &new[start..]);
        let end = length(&mut old_rest.chars().rev().zip(new_rest.chars().rev()));
        let start = back(old, start);
        let after = ahead(old, old.len() - end) - (old.len() - end);
        Self { start, old_end: old.len() - end + after, new_end: new.len() - end + after }
    }

    fn in_old<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start..self.old_end]
    }

    fn in_new<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start..self.new_end]
    }

    fn cut(&self, old: &str, new: &str) -> (String, String) {
        (around(old, self.start, self.old_end), around(new, self.start, self.new_end))
    }
}

/// A place a little before another one, where a word begins if one does.
fn back(text: &str, at: usize) -> usize {
    let Some((start, _)) = text[..at].char_indices().rev().nth(AROUND) else { return 0 };
    let space = text[start..at].char_indices().find(|(_, c)| c.is_whitespace());
    start + space.map_or(0, |(index, c)| index + c.len_utf8())
}

/// A place a little behind another one, where a word ends if one does.
fn ahead(text: &str, at: usize) -> usize {
    let Some((end, _)) = text[at..].char_indices().nth(AROUND) else { return text.len() };
    at + text[at..at + end].rfind(char::is_whitespace).unwrap_or(end)
}

/// A part of a text, with an ellipsis where the text goes on.
fn around(text: &str, start: usize, end: usize) -> String {
    let before = if start > 0 { "…" } else { "" };
    let part = &text[start..end];
    let rest = part.chars().count().saturating_sub(SHOWN.0);
    if rest > 0 {
        return format!("{before}{} ({rest} more characters; {SEEN})", cut(part, SHOWN.0));
    }
    format!("{before}{part}{}", if end < text.len() { "…" } else { "" })
}

/// What differs between texts of several lines.
fn lines(old: &str, new: &str) -> Difference {
    let (olds, news): (Vec<&str>, Vec<&str>) =
        (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let same = |(one, other): &(&&str, &&str)| one == other;
    let start = olds.iter().zip(&news).take_while(same).count();
    let rest = || olds[start..].iter().rev().zip(news[start..].iter().rev());
    let end = rest().take_while(same).count();
    let old_middle = &olds[start..olds.len() - end];
    let new_middle = &news[start..news.len() - end];
    let ops = if old_middle.len().max(new_middle.len()) > COMPARED.1 {
        vec![DiffOp::Replace {
            old_index: 0,
            old_len: old_middle.len(),
            new_index: 0,
            new_len: new_middle.len(),
        }]
    } else {
        TextDiff::from_slices(old_middle, new_middle).ops().to_vec()
    };
    let mut parts = Vec::new();
    for op in ops.iter().filter(|op| op.tag() != DiffTag::Equal) {
        let (olds, news) = (&old_middle[op.old_range()], &new_middle[op.new_range()]);
        let (old_at, new_at) = (start + op.old_range().start + 1, start + op.new_range().start + 1);
        let paired = olds.len().min(news.len());
        for (index, (old, new)) in olds.iter().zip(news.iter()).enumerate() {
            for (old, new) in line_pairs(old, new) {
                parts.push(Part { is_new: false, text: format!("{} | {old}", old_at + index) });
                parts.push(Part { is_new: true, text: format!("{} | {new}", new_at + index) });
            }
        }
        for (is_new, at, lines) in [(false, old_at, olds), (true, new_at, news)] {
            for (index, line) in lines.iter().enumerate().skip(paired) {
                let line = line_shown(&line_cut(line));
                parts.push(Part { is_new, text: format!("{} | {line}", at + index) });
            }
        }
    }
    limited(parts)
}

/// How two lines differ.
fn line_pairs(old: &str, new: &str) -> Vec<(String, String)> {
    let pairs = match is_longer(old, LINE) || is_longer(new, LINE) {
        true => pieces(old, new),
        false => vec![(old.to_owned(), new.to_owned())],
    };
    let shown = |(old, new): (String, String)| match (line_shown(&old), line_shown(&new)) {
        (one, other) if one == other => (quoted(&old), quoted(&new)),
        pair => pair,
    };
    pairs.into_iter().map(shown).collect()
}

fn line_cut(line: &str) -> String {
    if is_longer(line, LINE) { around(line, 0, line.len()) } else { line.to_owned() }
}

/// A line of a text; in quotes if it has something invisible.
fn line_shown(line: &str) -> String {
    let text = line.strip_suffix('\n').unwrap_or(line);
    let behind = text.trim_start_matches(' ');
    let is_visible = visible::is_visible(text)
        && !text.ends_with(' ')
        && !has_long_run(behind)
        && text.len() - behind.len() <= SPACES.1;
    if is_visible { text.to_owned() } else { quoted(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(old: &str, new: &str) -> Vec<String> {
        match difference(&Tree::text(old), &Tree::text(new)) {
            Difference::Pair(old, new) => vec![format!("{old} → {new}")],
            Difference::Parts(parts, more) => {
                let lines = parts.iter().map(|part| format!("{} {}", part.sign(), part.text));
                lines.chain((more > 0).then(|| format!("{more} more"))).collect()
            }
            Difference::Hidden => vec!["hidden".to_owned()],
        }
    }

    #[test]
    fn short_values_are_shown_whole() {
        assert_eq!(told("a b", "a c"), ["\"a b\" → \"a c\""]);
        assert_eq!(told("a", "a\u{200b}"), ["\"a\" → \"a\\u{200b}\""]);
        assert_eq!(told("\\u{200b}", "\u{200b}"), ["\"\\\\u{200b}\" → \"\\u{200b}\""]);
    }

    #[test]
    fn a_long_text_is_shown_where_it_differs() {
        let start = "word ".repeat(40);
        let end = " tail".repeat(40);
        assert_eq!(
            told(&format!("{start}red{end}"), &format!("{start}green{end}")),
            [
                "\"…word word word word red tail tail tail tail…\" → \"…word word word word green tail tail tail tail…\""
            ]
        );
        // What both have in the middle of two changes is not told.
        let (old, new) = (format!("a{start}{end}b"), format!("c{start}{end}d"));
        let both = told(&old, &new);
        assert_eq!(both.len(), 4, "{both:#?}");
        assert!(both[0].starts_with("- \"aword") && both[3].ends_with("taild\""), "{both:#?}");
        // A change within one long word, and one at the very end.
        let blob = "QUJD".repeat(60);
        let told_blob = told(&format!("{blob}x{blob}"), &format!("{blob}y{blob}"));
        assert!(told_blob[0].contains("Dx") && told_blob[0].contains("Dy"), "{told_blob:?}");
        assert_eq!(told(&blob, &format!("{blob}!")).len(), 1);
        assert!(told(&blob, &format!("{blob}!"))[0].ends_with("QUJD!\""));
    }

    #[test]
    fn texts_of_lines_are_shown_by_the_lines_that_differ() {
        let text = |middle: &str| format!("# one\n{}{middle}\n# end\n", "same\n".repeat(30));
        assert_eq!(told(&text("no"), &text("yes")), ["- 32 | no", "+ 32 | yes"]);
        assert_eq!(told("a\nb\n", "a\nx\nb\n"), ["+ 2 | x"]);
        assert_eq!(told("a\nb ", "a\nb"), ["- 2 | \"b \"", "+ 2 | b"]);
        assert_eq!(told("a\nb", "a\nb\n"), ["- 2 | \"b\"", "+ 2 | \"b\\n\""]);
        assert_eq!(told("a\r\nb", "a\nb"), ["- 1 | \"a\\r\"", "+ 1 | a"]);
        assert_eq!(told("a\n\\r", "a\n\r"), ["- 2 | \\r", "+ 2 | \"\\r\""]);
        let (old, new) = ("x".repeat(400) + "1\n", "x".repeat(400) + "2\n");
        let long = told(&old, &new);
        assert!(long[0].ends_with("x1") && long[1].ends_with("x2"), "{long:?}");
        let many = told(&"a\n".repeat(50), &"b\n".repeat(3_000));
        assert_eq!((many.len(), many.last().unwrap().as_str()), (1_001, "2050 more"));
    }

    #[test]
    fn lists_and_maps_are_shown_where_they_differ() {
        let list = |last: &str| {
            let items = (0..60).map(|number| Tree::text(format!("item {number}")));
            Tree::List(items.chain([Tree::text(last)]).collect())
        };
        let Difference::Pair(old, new) = difference(&list("a"), &list("b")) else { panic!() };
        assert!(old.starts_with('…') && old.ends_with("\"a\"]"), "{old}");
        assert!(new.ends_with("\"b\"]"), "{new}");
        let secret = |text: &str| Tree::List(vec![Tree::secret(text)]);
        assert_eq!(difference(&secret("a"), &secret("b")), Difference::Hidden);
        let map = Tree::map([("a: 1, b", Tree::Null), ("c\u{202e}", Tree::Null)]);
        assert_eq!(whole(&map).head, "{\"a: 1, b\": null, \"c\\u{202e}\": null}");
    }
}
