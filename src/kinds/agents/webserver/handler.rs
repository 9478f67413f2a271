//! *Pure*: what can be said of a Python handler without running it, and without Python: whether its
//! text defines a function `handler` that takes a room and a request. Strings and comments are
//! passed over, and only what stands at the beginning of a line counts.

/// How a handler is defined.
pub const SIGNATURE: &str = "handler(*, room: RoomClient, req: web.Request)";

/// A handler to begin with.
pub const SCAFFOLD: &str = "\
from aiohttp import web
from meshagent.api import RoomClient


async def handler(
    *,
    room: RoomClient,
    req: web.Request,
) -> web.StreamResponse:
    return web.Response(text=\"ok\")
";

/// What is wrong with a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// It is no Python.
    Syntax {
        /// The line, from one.
        line: u64,
        /// The column in characters, from one.
        column: u64,
        /// What is wrong, as Python says it.
        message: String,
    },
    /// It names methods, which the routes file does.
    Methods,
    /// It has no handler.
    Missing,
    /// Its handler comes from elsewhere, so only running it would tell.
    FromElsewhere,
    /// Its handler does not take `room` and `req`.
    Parameters,
}

/// Looks at the text of a handler.
///
/// # Errors
///
/// What is wrong with it.
pub fn check(text: &str) -> Result<(), Wrong> {
    let statements = Reader::new(text).statements()?;
    if statements.iter().any(|it| it.binds("METHOD") || it.binds("METHODS")) {
        return Err(Wrong::Methods);
    }
    match statements.iter().rev().find_map(Statement::parameters) {
        Some(names) if ["room", "req"].iter().all(|name| names.iter().any(|it| it == name)) => {
            Ok(())
        }
        Some(_) => Err(Wrong::Parameters),
        None if statements.iter().any(|it| it.binds("handler") || it.imports("handler")) => {
            Err(Wrong::FromElsewhere)
        }
        None => Err(Wrong::Missing),
    }
}

/// A statement that begins at the beginning of a line, without strings and comments.
#[derive(Default)]
struct Statement {
    /// With what stands in brackets.
    whole: String,
    /// Without that.
    outside: String,
}

impl Statement {
    fn words(&self) -> impl Iterator<Item = &str> {
        let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
        self.outside.split(move |c| !is_of_name(c)).filter(|word| !word.is_empty())
    }

    fn begins_with(&self, keyword: &str) -> bool {
        self.words().next() == Some(keyword)
    }

    /// Whether it gives a value to this name.
    fn binds(&self, name: &str) -> bool {
        const KEYWORDS: [&str; 12] = [
            "assert", "async", "class", "def", "for", "from", "if", "import", "return", "try",
            "while", "with",
        ];
        if self.words().next().is_none_or(|word| KEYWORDS.contains(&word)) {
            return false;
        }
        let mut parts: Vec<&str> = self.outside.split('=').collect();
        let is_compared = parts.iter().skip(1).any(|part| part.is_empty());
        let value = parts.pop();
        if is_compared || value.is_none() {
            return false;
        }
        let is_it = |target: &str| {
            let target = target.split(':').next().unwrap_or_default();
            target.split(',').any(|part| part.trim() == name)
        };
        parts.iter().any(|target| is_it(target))
    }

    fn imports(&self, name: &str) -> bool {
        let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
        let mut words = self.whole.split(|c| !is_of_name(c)).filter(|word| !word.is_empty());
        (self.begins_with("from") || self.begins_with("import")) && words.any(|word| word == name)
    }

    /// The names of what a function `handler` takes, unless they are only places; none of another
    /// statement.
    fn parameters(&self) -> Option<Vec<String>> {
        let mut words = self.words();
        let first = words.next()?;
        let keyword = if first == "async" { words.next()? } else { first };
        if keyword != "def" || words.next() != Some("handler") {
            return None;
        }
        let inside = self.whole.split_once('(')?.1;
        let (mut names, mut depth, mut from) = (Vec::new(), 0_usize, 0);
        for (at, c) in inside.char_indices() {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' if depth == 0 => {
                    add(&mut names, &inside[from..at]);
                    return Some(names);
                }
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    add(&mut names, &inside[from..at]);
                    from = at + 1;
                }
                _ => {}
            }
        }
        None
    }
}

/// Adds a parameter. What stands before a slash has only its place.
fn add(names: &mut Vec<String>, parameter: &str) {
    let name = parameter.split([':', '=']).next().unwrap_or_default().trim();
    match name {
        "/" => names.clear(),
        name => names.push(name.to_owned()),
    }
}

/// Goes through a text, character by character.
struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: u64,
    column: u64,
    /// Brackets that are open, with their places.
    open: Vec<(char, u64, u64)>,
    statements: Vec<Statement>,
    now: Statement,
    /// Whether the line that is read began at its beginning.
    is_outermost: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.chars().peekable(),
            line: 1,
            column: 0,
            open: Vec::new(),
            statements: Vec::new(),
            now: Statement::default(),
            is_outermost: true,
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.line += 1;
            self.column = 0;
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn keep(&mut self, c: char) {
        if !self.is_outermost {
            return;
        }
        self.now.whole.push(c);
        if self.open.is_empty() {
            self.now.outside.push(c);
        }
    }

    fn end(&mut self) {
        let ended = std::mem::take(&mut self.now);
        if !ended.whole.trim().is_empty() {
            self.statements.push(ended);
        }
    }

    fn statements(mut self) -> Result<Vec<Statement>, Wrong> {
        let mut is_first = true;
        while let Some(c) = self.next() {
            if is_first {
                self.is_outermost = !c.is_whitespace();
                is_first = false;
            }
            match c {
                '#' => while self.rest.next_if(|c| *c != '\n').is_some() {},
                '"' | '\'' => self.string(c)?,
                '\\' => drop(self.next()),
                '(' | '[' | '{' => {
                    self.keep(c);
                    self.open.push((c, self.line, self.column));
                }
                ')' | ']' | '}' => self.close(c)?,
                '\n' if self.open.is_empty() => {
                    self.end();
                    is_first = true;
                }
                ';' if self.open.is_empty() => self.end(),
                c => self.keep(c),
            }
        }
        self.end();
        match self.open.first() {
            Some((c, line, column)) => Err(Wrong::Syntax {
                line: *line,
                column: *column,
                message: format!("'{c}' was never closed"),
            }),
            None => Ok(self.statements),
        }
    }

    fn close(&mut self, c: char) -> Result<(), Wrong> {
        let (line, column) = (self.line, self.column);
        let opener = match c {
            ')' => '(',
            ']' => '[',
            _ => '{',
        };
        let message = match self.open.pop() {
            Some((open, ..)) if open == opener => {
                self.keep(c);
                return Ok(());
            }
            Some((open, ..)) => {
                format!("closing parenthesis '{c}' does not match opening parenthesis '{open}'")
            }
            None => format!("unmatched '{c}'"),
        };
        Err(Wrong::Syntax { line, column, message })
    }

    /// Passes over a string. One that ends with its line is left to Python.
    fn string(&mut self, quote: char) -> Result<(), Wrong> {
        let (line, column) = (self.line, self.column);
        let mut is_long = false;
        if self.rest.next_if_eq(&quote).is_some() {
            self.column += 1;
            if self.rest.next_if_eq(&quote).is_none() {
                self.keep('0');
                return Ok(());
            }
            self.column += 1;
            is_long = true;
        }
        // Something has to stand in its place.
        self.keep('0');
        let mut quotes = 0;
        while let Some(c) = self.rest.peek().copied() {
            if c == '\n' && !is_long {
                return Ok(());
            }
            self.next();
            quotes = if c == quote { quotes + 1 } else { 0 };
            match (c, is_long) {
                ('\\', _) => drop(self.next()),
                (_, false) if quotes == 1 => return Ok(()),
                (_, true) if quotes == 3 => return Ok(()),
                _ => {}
            }
        }
        let message = "unterminated triple-quoted string literal".to_owned();
        if is_long { Err(Wrong::Syntax { line, column, message }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_seen_however_it_is_written() {
        for text in [
            SCAFFOLD,
            "def handler(room, req): pass",
            "def handler(room: Room[a, b] = {1: (2, 3)}, *, req='x,)' ): pass",
            "x = 1; \ndef handler(\n  # (\n  *, room,\n  req, **more): return 0\n",
            "\"\"\"doc (\n def handler()\n\"\"\"\nasync def handler(*, req, room):\n  METHOD = 'x'\n",
            "s = 'it''s \\' ('\nt = f\"{d[\"a\"]}\"\nasync  def  handler (room, req): ...",
            "METHOD == 1\nprint(METHOD=1)\ndef handler(a, /, room, req): pass\n",
            "def handler(a): pass\ndef handler(room, req): pass",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_handler_is_told() {
        let syntax = |line, column, message: &str| Wrong::Syntax {
            line,
            column,
            message: message.to_owned(),
        };
        for (text, wrong) in [
            ("", Wrong::Missing),
            ("class A:\n  def handler(self, room, req): pass", Wrong::Missing),
            ("# def handler(room, req)\n'def handler(room, req)'", Wrong::Missing),
            ("def handlers(room, req): pass", Wrong::Missing),
            ("from .pages import (\n  handler)", Wrong::FromElsewhere),
            ("handler = make(room, req)", Wrong::FromElsewhere),
            ("def handler(req): pass", Wrong::Parameters),
            ("def handler(room, req, /): pass", Wrong::Parameters),
            ("def handler(request, rooms): pass", Wrong::Parameters),
            ("METHOD = 'GET'\ndef handler(room, req): pass", Wrong::Methods),
            ("METHODS: list = []", Wrong::Methods),
            ("a = METHODS = []", Wrong::Methods),
            ("METHOD, a = 1, 2", Wrong::Methods),
            ("def handler(", syntax(1, 12, "'(' was never closed")),
            ("x = (\n", syntax(1, 5, "'(' was never closed")),
            ("\n x)", syntax(2, 3, "unmatched ')'")),
            ("(]", syntax(1, 2, "closing parenthesis ']' does not match opening parenthesis '('")),
            ("'''", syntax(1, 1, "unterminated triple-quoted string literal")),
        ] {
            assert_eq!(check(text), Err(wrong), "{text}");
        }
    }
}
