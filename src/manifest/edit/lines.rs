//! How new values are laid out in lines, by the habits of the document.

use serde_json::Value;

use super::layout::{Piece, Style, column};
use super::scalar::{self, Context, inline};

/// How this document is indented.
pub(super) struct Habits {
    step: usize,
    /// How far the dashes of a list stand to the right of its key.
    dash: usize,
    pub(super) line_feed: &'static str,
}

impl Habits {
    pub(super) fn of(text: &str, root: &Piece) -> Self {
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

/// A text under edit.
pub(super) struct Editor<'a> {
    pub(super) text: &'a str,
    pub(super) habits: Habits,
    pub(super) is_json: bool,
}

impl Editor<'_> {
    /// A value below `key:` or `-` at a column, in block style: what follows on the line of
    /// the key, and the lines below, indented.
    pub(super) fn block_value(
        &self,
        value: &Value,
        column: usize,
        style: Style,
    ) -> (String, Vec<String>) {
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

    pub(super) fn map_lines(&self, value: &Value, column: usize) -> Vec<String> {
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

    pub(super) fn list_lines(&self, items: &[Value], column: usize) -> Vec<String> {
        items.iter().flat_map(|item| self.item_lines(item, column)).collect()
    }

    /// An item with its dash. A map starts on the line of the dash.
    pub(super) fn item_lines(&self, item: &Value, column: usize) -> Vec<String> {
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
    pub(super) fn joined(&self, lines: &[String]) -> String {
        lines.iter().fold(String::new(), |out, line| out + line + self.habits.line_feed)
    }

    /// Lines to be inserted where a line starts, or where the text ends without one.
    pub(super) fn lines_at(&self, at: usize, lines: &[String]) -> String {
        let joined = self.joined(lines);
        if at == 0 || self.text[..at].ends_with('\n') {
            return joined;
        }
        let line_feed = self.habits.line_feed;
        format!("{line_feed}{}", joined.strip_suffix(line_feed).unwrap_or(&joined))
    }
}

/// A text after a colon or a dash, which a space follows unless nothing else does.
pub(super) fn spaced(head: &str) -> String {
    if head.is_empty() { String::new() } else { format!(" {head}") }
}
