//! Text between tags, and the words and signs in them.

use super::literals::{float, integer, unescaped};
use crate::characters::{is_space, trim_end, trim_start};
use crate::error::{Failure, Outcome, Reason, fail, refuse};

/// A word or a sign, or the text between tags.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'t> {
    Data(&'t str),
    /// `{{`
    VariableBegin,
    /// `}}`
    VariableEnd,
    /// `{%`
    BlockBegin,
    /// `%}`
    BlockEnd,
    Name(&'t str),
    Text(String),
    Integer(i128),
    Float(f64),
    Sign(&'static str),
    /// The end of the template.
    End,
}

/// The most words and signs of one tag.
const MOST: usize = 500;

/// Longer ones come first.
const SIGNS: [&str; 26] = [
    "**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|", ",", ";",
];

/// The tokens of a template, each with the byte where it stands.
pub(super) fn tokenize(source: &str) -> Outcome<Vec<(Token<'_>, usize)>> {
    let mut lexer = Lexer { source, at: 0, tokens: Vec::new() };
    while lexer.at < source.len() {
        lexer.data()?;
    }
    lexer.tokens.push((Token::End, source.len()));
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    source: &'t str,
    at: usize,
    tokens: Vec<(Token<'t>, usize)>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.source[self.at..]
    }

    fn push(&mut self, token: Token<'t>) {
        self.tokens.push((token, self.at));
    }

    fn push_data(&mut self, text: &'t str, sign: Option<char>) {
        let text = if sign == Some('-') { trim_end(text) } else { text };
        if !text.is_empty() {
            self.push(Token::Data(text));
        }
    }

    /// Text up to the next tag, and that tag.
    fn data(&mut self) -> Outcome<()> {
        let rest = self.rest();
        let begin = rest.match_indices('{').map(|(at, _)| at).find(|at| {
            rest.as_bytes().get(at + 1).is_some_and(|next| matches!(next, b'{' | b'%' | b'#'))
        });
        let Some(begin) = begin else {
            self.push_data(rest, None);
            self.at = self.source.len();
            return Ok(());
        };
        let inside = &rest[begin + 2..];
        let sign = inside.chars().next().filter(|sign| matches!(sign, '-' | '+'));
        self.push_data(&rest[..begin], sign);
        self.at += begin;
        let place = self.at;
        let inside = &inside[usize::from(sign.is_some())..];
        let done = match rest.as_bytes()[begin + 1] {
            b'#' => self.comment(inside),
            b'%' => match raw_tag(inside, "raw") {
                Some(body) => self.raw(body),
                None => {
                    self.push(Token::BlockBegin);
                    self.at = self.source.len() - inside.len();
                    self.tag("%}", Token::BlockEnd)
                }
            },
            _ => {
                self.push(Token::VariableBegin);
                self.at = self.source.len() - inside.len();
                self.tag("}}", Token::VariableEnd)
            }
        };
        done.map_err(|failure| failure.at(place))
    }

    fn comment(&mut self, inside: &'t str) -> Outcome<()> {
        // Like Jinja2, this accepts a comment that begins at the end of a template without an end.
        let end = match inside.find("#}") {
            Some(end) => end,
            None if inside.is_empty() => {
                self.at = self.source.len();
                return Ok(());
            }
            None => return Err(fail("a comment is not closed")),
        };
        let after = &inside[end + 2..];
        let after = if inside[..end].ends_with('-') { trim_start(after) } else { after };
        self.at = self.source.len() - after.len();
        Ok(())
    }

    /// What stands between `raw` and `endraw`.
    fn raw(&mut self, body: &'t str) -> Outcome<()> {
        for (end, _) in body.match_indices("{%") {
            let tag = &body[end + 2..];
            let sign = tag.chars().next().filter(|sign| matches!(sign, '-' | '+'));
            if let Some(after) = raw_tag(&tag[usize::from(sign.is_some())..], "endraw") {
                self.push_data(&body[..end], sign);
                self.at = self.source.len() - after.len();
                return Ok(());
            }
        }
        if body.is_empty() {
            self.at = self.source.len();
            return Ok(());
        }
        Err(fail("a `raw` is not closed"))
    }

    /// The words and signs of a tag, up to its end or that of the template.
    fn tag(&mut self, end: &str, token: Token<'t>) -> Outcome<()> {
        let mut open: Vec<&str> = Vec::new();
        let begin = self.tokens.len();
        loop {
            if self.tokens.len() - begin > MOST {
                let message = format!(
                    "an expression may have at most {MOST} words and signs; use `set` to name a part of it"
                );
                return Err(Failure::new(Reason::Refused, message));
            }
            self.at = self.source.len() - trim_start(self.rest()).len();
            let rest = self.rest();
            let Some(first) = rest.chars().next() else { return Ok(()) };
            if open.is_empty() {
                let plain = rest.strip_prefix(end);
                let kept = rest.strip_prefix('+').filter(|_| end == "%}");
                let after = plain.or_else(|| kept.and_then(|rest| rest.strip_prefix(end)));
                let trimmed = rest.strip_prefix('-').and_then(|rest| rest.strip_prefix(end));
                if let Some(after) = after.or_else(|| trimmed.map(trim_start)) {
                    self.push(token);
                    self.at = self.source.len() - after.len();
                    return Ok(());
                }
            }
            let place = self.at;
            self.word(first, &mut open).map_err(|failure| failure.at(place))?;
        }
    }

    fn word(&mut self, first: char, open: &mut Vec<&'static str>) -> Outcome<()> {
        let rest = self.rest();
        let follows_dot = self.source[..self.at].ends_with('.');
        if let Some((number, length)) = float(rest).filter(|_| !follows_dot) {
            self.push(Token::Float(number));
            self.at += length;
        } else if let Some((number, length)) = integer(rest)? {
            self.push(Token::Integer(number));
            self.at += length;
        } else if first == '_' || first.is_ascii_alphabetic() {
            let is_part = |next: char| next == '_' || next.is_ascii_alphanumeric();
            let name = &rest[..rest.find(|next| !is_part(next)).unwrap_or(rest.len())];
            self.push(Token::Name(name));
            self.at += name.len();
        } else if first == '"' || first == '\'' {
            let Some(end) = end_of_text(rest) else { return Err(fail("a text is not closed")) };
            self.push(Token::Text(unescaped(&rest[1..end])?));
            self.at += end + 1;
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            match sign {
                "(" => open.push(")"),
                "[" => open.push("]"),
                "{" => open.push("}"),
                ")" | "]" | "}" if open.pop() != Some(sign) => {
                    return Err(fail(format!("unexpected `{sign}`")));
                }
                _ => {}
            }
            self.push(Token::Sign(sign));
            self.at += sign.len();
        }
        let next = self.rest().chars().next();
        match next.filter(|next| self.rest().len() == rest.len() || !next.is_ascii()) {
            Some(next) if next.is_ascii() => Err(fail(format!("unexpected character `{next}`"))),
            Some(next) if !is_space(next) => Err(refuse("a name with characters outside ASCII")),
            _ => Ok(()),
        }
    }
}

/// Where the text that a quote begins ends.
fn end_of_text(text: &str) -> Option<usize> {
    let quote = text.as_bytes()[0];
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == quote => return Some(at),
            _ => {}
        }
    }
    None
}

/// What follows a tag of this one word; the given text begins after `{%` and its sign.
fn raw_tag<'t>(tag: &'t str, word: &str) -> Option<&'t str> {
    let end = trim_start(trim_start(tag).strip_prefix(word)?);
    if let Some(after) = end.strip_prefix("-%}") {
        return Some(trim_start(after));
    }
    let end = if word == "endraw" { end.strip_prefix('+').unwrap_or(end) } else { end };
    end.strip_prefix("%}")
}
