//! *Pure*: how long the statements of a rule file may be, and how deep its brackets. The
//! interpreter reads and evaluates them by calling itself, so one without end would take the
//! whole stack.

/// The most words and signs of one statement.
const MOST: usize = 1_000;

/// How deep brackets may stand in each other.
const DEEPEST: usize = 64;

/// What is too long, and where: line and column, from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TooLong {
    pub(super) message: String,
    pub(super) line: u64,
    pub(super) column: u64,
}

/// Checks a rule file before it is parsed. The parser reports files that are not rule files at
/// all.
///
/// # Errors
///
/// A statement that is too long, or brackets that are too deep.
pub(super) fn check(text: &str) -> Result<(), TooLong> {
    let mut reader = Reader { rest: text, line: 1, column: 1 };
    // The brackets that are open, with the words and signs of the statement in each.
    let mut open = vec![('{', 0_usize)];
    let mut goes_on = false;
    let mut is_new_line = false;
    while let Some((token, line, column)) = reader.next() {
        let too_long = |message: String| Err(TooLong { message, line, column });
        let is_operator = token.is_operator();
        let innermost = open.last_mut();
        if is_new_line
            && !goes_on
            && !is_operator
            && let Some(('{', length)) = innermost
        {
            *length = 0;
        }
        is_new_line &= token == Token::Line;
        match token {
            Token::Line => {
                is_new_line = true;
                continue;
            }
            Token::Open(bracket) => {
                count(&mut open);
                open.push((bracket, 0));
                if open.len() > DEEPEST {
                    return too_long(format!("brackets in a rule may be at most {DEEPEST} deep"));
                }
            }
            Token::Close if open.len() > 1 => drop(open.pop()),
            Token::Close => {}
            Token::End => {
                if let Some((_, length)) = open.last_mut() {
                    *length = 0;
                }
            }
            Token::Operator | Token::Word { .. } => count(&mut open),
        }
        goes_on = is_operator;
        if open.last().is_some_and(|(_, length)| *length > MOST) {
            return too_long(format!(
                "a statement of a rule may have at most {MOST} words and signs"
            ));
        }
    }
    Ok(())
}

fn count(open: &mut [(char, usize)]) {
    if let Some((_, length)) = open.last_mut() {
        *length += 1;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Line,
    Open(char),
    Close,
    /// A comma or a semicolon.
    End,
    Operator,
    /// A word, a number or a text, and whether more belongs to it.
    Word {
        goes_on: bool,
    },
}

impl Token {
    /// Whether what stands before it and after it belongs to one statement, also on lines of
    /// their own.
    const fn is_operator(self) -> bool {
        matches!(self, Self::Operator | Self::Word { goes_on: true })
    }
}

/// Words that join what stands around them.
const JOINING: [&str; 9] = ["in", "with", "as", "else", "not", "some", "every", "if", "contains"];

struct Reader<'a> {
    rest: &'a str,
    line: u64,
    column: u64,
}

impl Reader<'_> {
    /// The next token, and where it begins.
    fn next(&mut self) -> Option<(Token, u64, u64)> {
        loop {
            let first = self.rest.chars().next()?;
            let (line, column) = (self.line, self.column);
            let token = match first {
                '\n' => Token::Line,
                '#' => {
                    self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
                    continue;
                }
                '"' | '`' => {
                    self.skip(text_end(self.rest, first));
                    return Some((Token::Word { goes_on: false }, line, column));
                }
                '(' | '[' | '{' => Token::Open(first),
                ')' | ']' | '}' => Token::Close,
                ',' | ';' => Token::End,
                c if c.is_whitespace() => {
                    self.skip(c.len_utf8());
                    continue;
                }
                c if c.is_alphanumeric() || c == '_' => {
                    let is_part = |c: char| c.is_alphanumeric() || c == '_';
                    let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
                    let goes_on = JOINING.contains(&&self.rest[..end]);
                    self.skip(end);
                    return Some((Token::Word { goes_on }, line, column));
                }
                _ => Token::Operator,
            };
            self.skip(first.len_utf8());
            return Some((token, line, column));
        }
    }

    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at(bytes);
        for c in skipped.chars() {
            match c {
                '\n' => (self.line, self.column) = (self.line + 1, 1),
                _ => self.column += 1,
            }
        }
        self.rest = rest;
    }
}

/// Where a text ends, with its quotes.
fn text_end(text: &str, quote: char) -> usize {
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        if letter == quote {
            return at + 1;
        }
        if letter == '\\' && quote == '"' {
            letters.next();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<(u64, u64)> {
        check(text).err().map(|refused| (refused.line, refused.column))
    }

    #[test]
    fn what_is_too_long_is_told_where_it_is() {
        let rule =
            |body: &str| format!("package meshagent\ndeny contains \"x\" if {{\n{body}\n}}\n");
        assert_eq!(at(&rule(&format!("x := 1{}", " + 1".repeat(400)))), None);
        assert_eq!(at(&rule(&format!("{}1", "(".repeat(60)))), None);
        for body in [
            format!("x := {}1", "(".repeat(900)),
            format!("x := 1{}", " + 1".repeat(900)),
            format!("x := 1{}", " +\n1".repeat(900)),
            format!("x := 1{}", "\n+ 1".repeat(900)),
            format!("x := {}1", "-".repeat(1_100)),
            format!("x := a{}", "[1]".repeat(1_100)),
            format!("x := a{}", ".b".repeat(900)),
            format!("{}x", "not ".repeat(1_100)),
            format!("{}x", "not\n".repeat(1_100)),
        ] {
            assert!(at(&rule(&body)).is_some(), "{body}");
        }
        let line = format!("x := {}1", "[".repeat(900));
        assert_eq!(at(&rule(&line)), Some((3, 68)));
    }

    #[test]
    fn much_that_is_short_is_not_long() {
        let many = "deny contains msg if {\n  some o in input.operations\n  o.action == \"delete\"\n  msg := sprintf(\"%v (((((\", [o.address])\n}\n# ((((((\n";
        assert_eq!(at(&many.repeat(3_000)), None);
        let list = format!("allowed := {{\n{}}}\n", "  \"a\",\n".repeat(3_000));
        assert_eq!(at(&list), None);
        assert_eq!(at(&format!("x := `{}`\n", "([{\" + ".repeat(3_000))), None);
    }
}
