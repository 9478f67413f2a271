//! One small change of a text, found by its layout and made by cutting and inserting.

use serde_json::Value;

use super::layout::{Entry, Piece, Style, column, line_end, line_start};
use super::scalar::{self, Context, inline};
use super::{Change, Place, What};

/// The widest collection that stays on one line in flow style.
const WIDTH: usize = 100;

/// Makes the change.
///
/// # Errors
///
/// Why it cannot be made, as a phrase.
pub fn apply(text: &str, root: &Piece, is_json: bool, change: &Change) -> Result<String, String> {
    let editor = Editor { text, habits: Habits::of(text, root), is_json };
    let mut way = vec![Stop { piece: root, entry: None }];
    let parents = match change.what {
        What::Replace(_) => change.path.len(),
        What::Add(_) | What::Remove => change.path.len().saturating_sub(1),
    };
    for place in &change.path[..parents] {
        let piece = way.last().map_or(root, |stop| stop.piece);
        refuse_shared(piece)?;
        let entry = find(piece, place).ok_or_else(merged)?;
        way.push(Stop { piece: &entry.value, entry: Some(entry) });
    }
    let last = way.last().map_or(root, |stop| stop.piece);
    refuse_shared(last)?;
    let edits = match (&change.what, change.path.last()) {
        (What::Replace(value), _) => editor.replace(&way, value),
        (What::Add(value), Some(place)) => editor.add(&way, place, value)?,
        (What::Remove, Some(place)) => {
            let index = match place {
                Place::Index(index) => Some(*index).filter(|index| *index < last.entries.len()),
                Place::Key(key) => {
                    last.entries.iter().position(|entry| entry.key.as_ref() == Some(key))
                }
            };
            let index = index.ok_or_else(merged)?;
            refuse_anchored(&last.entries[index].value)?;
            editor.remove(&way, index)
        }
        (_, None) => return Err("a whole document cannot be set".to_owned()),
    };
    Ok(splice(text, edits))
}

fn merged() -> String {
    "it comes from a merge key, so editing it would change other places".to_owned()
}

fn refuse_shared(piece: &Piece) -> Result<(), String> {
    if piece.style == Style::Alias {
        return Err("it is an alias, so editing it would change other places".to_owned());
    }
    if piece.shared {
        return Err(
            "it has an anchor that is used elsewhere, so editing it would change other places"
                .to_owned(),
        );
    }
    Ok(())
}

fn refuse_anchored(piece: &Piece) -> Result<(), String> {
    if piece.shared {
        return refuse_shared(piece);
    }
    piece.entries.iter().try_for_each(|entry| refuse_anchored(&entry.value))
}

fn find<'a>(piece: &'a Piece, place: &Place) -> Option<&'a Entry> {
    match place {
        Place::Index(index) => piece.entries.get(*index),
        Place::Key(key) => piece.entries.iter().find(|entry| entry.key.as_ref() == Some(key)),
    }
}

/// Bytes that go, and what takes their place.
type Edit = (std::ops::Range<usize>, String);

fn splice(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for (range, insert) in edits {
        out += &text[from.min(range.start)..range.start];
        out += &insert;
        from = from.max(range.end);
    }
    out + &text[from..]
}

/// How this document is indented.
struct Habits {
    step: usize,
    /// How far the dashes of a list stand to the right of its key.
    dash: usize,
    line_feed: &'static str,
}

impl Habits {
    fn of(text: &str, root: &Piece) -> Self {
        let mut habits = Self {
            step: 0,
            dash: usize::MAX,
            line_feed: if text.contains("\r\n") { "\r\n" } else { "\n" },
        };
        habits.look(text, root);
        if habits.step == 0 {
            habits.step = 2;
        }
        if habits.dash == usize::MAX {
            habits.dash = habits.step;
        }
        habits
    }

    fn look(&mut self, text: &str, piece: &Piece) {
        for entry in &piece.entries {
            let below = entry.value.entries.first();
            if let Some(first) = below
                && piece.style == Style::BlockMap
            {
                let by = column(text, first.start).saturating_sub(column(text, entry.start));
                match entry.value.style {
                    Style::BlockMap if self.step == 0 => self.step = by,
                    Style::BlockList if self.dash == usize::MAX => self.dash = by,
                    _ => {}
                }
            }
            self.look(text, &entry.value);
        }
    }
}

/// A value on the way to the change, with the entry that leads to it.
struct Stop<'a> {
    piece: &'a Piece,
    entry: Option<&'a Entry>,
}

struct Editor<'a> {
    text: &'a str,
    habits: Habits,
    is_json: bool,
}

impl Editor<'_> {
    /// What decides how a value inside `piece` is written.
    fn context(&self, way: &[Stop<'_>]) -> Context {
        let is_flow =
            |stop: &Stop<'_>| matches!(stop.piece.style, Style::FlowList | Style::FlowMap);
        let has_json_keys = way.iter().rev().find(|stop| is_flow(stop)).is_some_and(|stop| {
            stop.piece.entries.iter().any(|entry| entry.key.is_some())
                && stop.piece.entries.iter().all(|entry| entry.is_quoted)
        });
        if self.is_json || has_json_keys {
            Context::Json
        } else if way.iter().any(is_flow) {
            Context::Flow
        } else {
            Context::Block
        }
    }

    /// A value below `key:` or `-` at a column, in block style: what follows on the line of
    /// the key, and the lines below, indented.
    fn block_value(&self, value: &Value, column: usize, style: Style) -> (String, Vec<String>) {
        let indented = |lines: Vec<String>, by: usize| -> Vec<String> {
            let indent = " ".repeat(by);
            lines
                .into_iter()
                .map(|line| if line.is_empty() { line } else { format!("{indent}{line}") })
                .collect()
        };
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                (String::new(), self.map_lines(value, column + self.habits.step))
            }
            Value::Array(items) if !items.is_empty() => {
                (String::new(), self.list_lines(items, column + self.habits.dash))
            }
            Value::String(text) if text.contains('\n') || style.is_block() => {
                let in_block = style.is_block() || matches!(style, Style::Plain | Style::Missing);
                match scalar::block(text, style).filter(|_| in_block) {
                    Some((header, lines)) => (header, indented(lines, column + self.habits.step)),
                    None => (inline(value, Context::Block, style), Vec::new()),
                }
            }
            _ => (inline(value, Context::Block, style), Vec::new()),
        }
    }

    fn map_lines(&self, value: &Value, column: usize) -> Vec<String> {
        let indent = " ".repeat(column);
        let mut out = Vec::new();
        for (name, value) in value.as_object().into_iter().flatten() {
            let (head, lines) = self.block_value(value, column, Style::Plain);
            let key = scalar::key(name, Context::Block);
            out.push(format!("{indent}{key}:{}", spaced(&head)));
            out.extend(lines);
        }
        out
    }

    fn list_lines(&self, items: &[Value], column: usize) -> Vec<String> {
        items.iter().flat_map(|item| self.item_lines(item, column)).collect()
    }

    /// An item with its dash. A map starts on the line of the dash.
    fn item_lines(&self, item: &Value, column: usize) -> Vec<String> {
        let indent = " ".repeat(column);
        let below = match item {
            Value::Object(fields) if !fields.is_empty() => self.map_lines(item, column + 2),
            Value::Array(items) if !items.is_empty() => self.list_lines(items, column + 2),
            _ => {
                let (head, lines) = self.block_value(item, column, Style::Plain);
                let first = format!("{indent}-{}", spaced(&head));
                return std::iter::once(first).chain(lines).collect();
            }
        };
        let mut lines = below.into_iter();
        let first = lines.next().unwrap_or_default();
        std::iter::once(format!("{indent}- {}", first.trim_start())).chain(lines).collect()
    }

    /// The lines as they stand in the text, each ended.
    fn joined(&self, lines: &[String]) -> String {
        lines.iter().fold(String::new(), |out, line| out + line + self.habits.line_feed)
    }

    /// Lines to be inserted where a line starts, or where the text ends without one.
    fn lines_at(&self, at: usize, lines: &[String]) -> String {
        let joined = self.joined(lines);
        if at == 0 || self.text[..at].ends_with('\n') {
            return joined;
        }
        let line_feed = self.habits.line_feed;
        format!("{line_feed}{}", joined.strip_suffix(line_feed).unwrap_or(&joined))
    }

    fn replace(&self, way: &[Stop<'_>], value: &Value) -> Vec<Edit> {
        let Some((stop, parents)) = way.split_last() else { return Vec::new() };
        let piece = stop.piece;
        let context = self.context(parents);
        if context != Context::Block {
            let style = if self.is_json { Style::Double } else { piece.style };
            let new = inline(value, context, style);
            let new = match piece.style {
                Style::Missing if self.text[..piece.lead].ends_with(':') => format!(" {new}"),
                // A key that stands alone.
                Style::Missing if stop.entry.is_some_and(|entry| entry.key.is_some()) => {
                    format!(": {new}")
                }
                _ => new,
            };
            return vec![(piece.start..piece.end, new)];
        }
        let is_collection = |value: &Value| value.is_object() || value.is_array();
        let flow = inline(value, Context::Block, piece.style);
        let stays_flow = matches!(piece.style, Style::FlowList | Style::FlowMap)
            && is_collection(value)
            && flow.chars().count() <= WIDTH;
        let column = stop.entry.map_or(0, |entry| column(self.text, entry.start));
        let (head, lines) = match stop.entry {
            _ if stays_flow => (flow, Vec::new()),
            // An item that is a collection starts on the line of its dash.
            Some(entry) if entry.key.is_none() && is_collection(value) => {
                let mut lines = self.item_lines(value, column).into_iter();
                let first = lines.next().unwrap_or_default();
                (first[column + 1..].trim_start().to_owned(), lines.collect())
            }
            _ => self.block_value(value, column, piece.style),
        };
        if !piece.style.is_block() && lines.is_empty() {
            let start = if piece.style == Style::Missing { piece.lead } else { piece.start };
            let end = if piece.style == Style::Missing { piece.lead } else { piece.end };
            let head = if piece.style == Style::Missing { spaced(&head) } else { head };
            return vec![(start..end, head)];
        }
        self.replace_lines(piece, &head, &lines)
    }

    /// Replaces from the colon or dash on, where the old value, the new one or both take
    /// lines below it. A comment on the first line stays.
    fn replace_lines(&self, piece: &Piece, head: &str, lines: &[String]) -> Vec<Edit> {
        let first_line = line_end(self.text, piece.lead);
        let (kept_from, last_line) = match piece.style {
            // The rest of the line of the key, or of the header.
            Style::BlockList | Style::BlockMap if piece.start < first_line => {
                (None, line_end(self.text, piece.end))
            }
            Style::BlockList | Style::BlockMap => {
                (Some(piece.lead), line_end(self.text, piece.end))
            }
            Style::Literal | Style::Folded => {
                let header = &self.text[piece.start..];
                let length = header.find(char::is_whitespace).unwrap_or(header.len());
                (Some(piece.start + length), line_end(self.text, piece.end))
            }
            _ => (Some(piece.end), line_end(self.text, piece.end)),
        };
        let kept = kept_from.map_or("", |from| {
            let line = &self.text[from..line_end(self.text, from)];
            line.find('#').map_or("", |at| line[at..].trim_end())
        });
        let line_feed = self.habits.line_feed;
        let mut new = spaced(head);
        if !kept.is_empty() {
            new += &format!(" {kept}");
        }
        if lines.is_empty() {
            // The line feed of the last line stays where it is.
            let end = last_line - trailing_line_feed(&self.text[..last_line]);
            return vec![(piece.lead..end, new)];
        }
        new += line_feed;
        new += &self.joined(lines);
        if !self.text[..last_line].ends_with('\n') {
            new.truncate(new.len() - line_feed.len());
        }
        vec![(piece.lead..last_line, new)]
    }

    fn add(&self, way: &[Stop<'_>], place: &Place, value: &Value) -> Result<Vec<Edit>, String> {
        let Some(Stop { piece, .. }) = way.last() else { return Ok(Vec::new()) };
        let context = self.context(way);
        match (piece.style, place, piece.entries.last()) {
            (Style::BlockMap, Place::Key(key), Some(last)) => {
                let column = column(self.text, last.start);
                let (head, lines) = self.block_value(value, column, Style::Plain);
                let key = scalar::key(key, context);
                let first = format!("{}{key}:{}", " ".repeat(column), spaced(&head));
                let lines: Vec<String> = std::iter::once(first).chain(lines).collect();
                let at = line_end(self.text, last.value.end);
                Ok(vec![(at..at, self.lines_at(at, &lines))])
            }
            (Style::BlockList, Place::Index(index), Some(last)) => {
                let column = column(self.text, last.start);
                let lines = self.item_lines(value, column);
                let before = index.checked_sub(1).and_then(|before| piece.entries.get(before));
                let Some(before) = before else {
                    // The first dash may follow another one on its line.
                    let joined = self.joined(&lines) + &" ".repeat(column);
                    return Ok(vec![(piece.start..piece.start, joined.trim_start().to_owned())]);
                };
                let at = line_end(self.text, before.value.end);
                Ok(vec![(at..at, self.lines_at(at, &lines))])
            }
            (Style::FlowMap, Place::Key(key), _) => {
                let style = if self.is_json { Style::Double } else { Style::Plain };
                let item =
                    format!("{}: {}", scalar::key(key, context), inline(value, context, style));
                Ok(self.add_flow(piece, piece.entries.len(), &item))
            }
            (Style::FlowList, Place::Index(index), _) => {
                let like = piece.entries.last().map_or(Style::Plain, |last| last.value.style);
                Ok(self.add_flow(piece, *index, &inline(value, context, like)))
            }
            _ => Err("there is no place to add it".to_owned()),
        }
    }

    /// Adds an item to a collection between braces or brackets; on a line of its own where
    /// the others stand on theirs.
    fn add_flow(&self, piece: &Piece, index: usize, item: &str) -> Vec<Edit> {
        let text = self.text;
        let Some(before) = index.checked_sub(1).and_then(|index| piece.entries.get(index)) else {
            let separator = if piece.entries.is_empty() { "" } else { ", " };
            return vec![(piece.start + 1..piece.start + 1, format!("{item}{separator}"))];
        };
        let end = before.value.end;
        let after = comma_after(text, end);
        let start = line_start(text, before.start);
        let owns_line = text[start..before.start].trim().is_empty();
        if !owns_line || start == 0 {
            return match after {
                Some(comma) if index == piece.entries.len() => {
                    vec![(comma + 1..comma + 1, format!(" {item}"))]
                }
                _ => vec![(end..end, format!(", {item}"))],
            };
        }
        let indent = &text[start..before.start];
        let line_feed = self.habits.line_feed;
        let is_last = index == piece.entries.len();
        let comma = if after.is_some() { "," } else { "" };
        // The new line goes below the comment of the line before, unless that line goes on.
        let end_of_line = line_end(text, end);
        let rest = &text[after.map_or(end, |comma| comma + 1).min(end_of_line)..end_of_line];
        let is_alone = rest.trim().is_empty() || rest.trim_start().starts_with('#');
        if !is_alone {
            return match after {
                Some(comma) => vec![(
                    comma + 1..comma + 1,
                    format!("{line_feed}{indent}{item}{}", if is_last { "" } else { "," }),
                )],
                None => vec![(end..end, format!(",{line_feed}{indent}{item}"))],
            };
        }
        let new_line = end_of_line - trailing_line_feed(&text[..end_of_line]);
        let insert = format!("{line_feed}{indent}{item}{comma}");
        match after {
            Some(_) => vec![(new_line..new_line, insert)],
            None => vec![(end..end, ",".to_owned()), (new_line..new_line, insert)],
        }
    }

    fn remove(&self, way: &[Stop<'_>], index: usize) -> Vec<Edit> {
        let Some(Stop { piece, .. }) = way.last() else { return Vec::new() };
        let text = self.text;
        if piece.entries.len() == 1 {
            let empty = match piece.style {
                Style::BlockMap | Style::FlowMap => Value::Object(serde_json::Map::new()),
                _ => Value::Array(Vec::new()),
            };
            return self.replace(way, &empty);
        }
        let entry = &piece.entries[index];
        let (start, end) = (entry.start, entry.value.end);
        let line = line_start(text, start);
        let owns_line = text[line..start].trim().is_empty();
        if matches!(piece.style, Style::BlockMap | Style::BlockList) {
            let after = line_end(text, end);
            if owns_line {
                return vec![(line..after, String::new())];
            }
            // The first entry stands on the line of a dash; what comes next takes its place.
            let rest = &text[after..];
            let next = after + rest.len() - rest.trim_start().len();
            return vec![(start..next, String::new())];
        }
        let after = comma_after(text, end);
        let line_after = line_end(text, end);
        let from = after.map_or(end, |comma| comma + 1).max(end).min(line_after.max(end));
        let rest = &text[from..line_after.max(from)];
        let is_alone = owns_line && (rest.trim().is_empty() || rest.trim_start().starts_with('#'));
        let before = index.checked_sub(1).map(|index| piece.entries[index].value.end);
        let next = piece.entries.get(index + 1).map(|entry| entry.start);
        match (next, before) {
            (Some(_), _) if is_alone => vec![(line..line_after, String::new())],
            (Some(next), _) if !text[end..next].contains('#') => vec![(start..next, String::new())],
            (None, Some(before)) if !text[before..start].contains('#') => {
                let is_commented = is_alone && rest.trim_start().starts_with('#');
                let line_feed = trailing_line_feed(&text[..line_after]);
                let to = if is_commented { line_after - line_feed } else { end };
                vec![(before..to, String::new())]
            }
            (None, Some(_)) if is_alone => vec![(line..line_after, String::new())],
            _ => vec![(start..from, String::new())],
        }
    }
}

/// A text after a colon or a dash, which a space follows unless nothing else does.
fn spaced(head: &str) -> String {
    if head.is_empty() { String::new() } else { format!(" {head}") }
}

/// How many bytes end the last line.
fn trailing_line_feed(text: &str) -> usize {
    if text.ends_with("\r\n") { 2 } else { usize::from(text.ends_with('\n')) }
}

/// The comma after an item of a flow collection; comments may stand before it.
fn comma_after(text: &str, mut at: usize) -> Option<usize> {
    loop {
        match text[at..].chars().next()? {
            ',' => return Some(at),
            '#' => at = line_end(text, at),
            c if c.is_whitespace() => at += c.len_utf8(),
            _ => return None,
        }
    }
}
