//! A statement, cut into words.

use meshagent_tables::Result;

use super::ast::Place;
use crate::limits;

/// What a word is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A name or a keyword.
    Word(String),
    /// A name in back quotes, which is no keyword.
    Quoted(String),
    /// A text in quotes.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number with a point.
    Float(f64),
    /// Anything else.
    Sign(&'static str),
    /// There is no more.
    End,
}

/// A word with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub kind: Kind,
    pub place: Place,
    /// Its first byte, and the one after its last.
    pub span: (usize, usize),
}

/// The longer ones first. Arrows are made of single signs, for `a<-1` is a comparison.
const SIGNS: [&str; 27] = [
    "<>", "!=", "<=", ">=", "=~", "..", "(", ")", "[", "]", "{", "}", ",", ".", ":", ";", "|", "=",
    "<", ">", "-", "+", "*", "/", "%", "^", "$",
];

/// Cuts a statement into words. The last one is [`Kind::End`].
pub fn cut(text: &str) -> Result<Vec<Token>> {
    let mut lexer = Lexer { text, at: 0, place: Place { line: 1, column: 1 } };
    if text.len() > limits::STATEMENT {
        let most = limits::STATEMENT >> 10;
        return Err(lexer.place.error(format!("the statement has more than {most} KiB")));
    }
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let (place, start) = (lexer.place, lexer.at);
        let kind = lexer.token()?;
        let end = kind == Kind::End;
        tokens.push(Token { kind, place, span: (start, lexer.at) });
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    place: Place,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        if letter == '\n' {
            self.place = Place { line: self.place.line + 1, column: 1 };
        } else {
            self.place.column += 1;
        }
        Some(letter)
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(letter) = self.peek().filter(|letter| fits(*letter)) {
            taken.push(letter);
            self.next();
        }
        taken
    }

    fn skip_blanks(&mut self) -> Result<()> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest().starts_with("//") {
                self.take_while(|letter| letter != '\n');
            } else if self.rest().starts_with("/*") {
                let place = self.place;
                let Some(length) = self.rest()[2..].find("*/") else {
                    return Err(place.error("this comment does not end"));
                };
                let end = self.at + length + 4;
                while self.at < end {
                    self.next();
                }
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Kind> {
        let place = self.place;
        let Some(first) = self.peek() else { return Ok(Kind::End) };
        if first.is_alphabetic() || first == '_' {
            return Ok(Kind::Word(self.take_while(|it| it.is_alphanumeric() || it == '_')));
        }
        if first.is_ascii_digit() {
            return self.number();
        }
        match first {
            '\'' | '"' => return Ok(Kind::Text(self.quoted(first)?)),
            '`' => return Ok(Kind::Quoted(self.quoted(first)?)),
            _ => {}
        }
        let Some(sign) = SIGNS.into_iter().find(|sign| self.rest().starts_with(sign)) else {
            return Err(place.error(format!("{first:?} is not understood here")));
        };
        for _ in 0..sign.len() {
            self.next();
        }
        Ok(Kind::Sign(sign))
    }

    fn number(&mut self) -> Result<Kind> {
        let place = self.place;
        let digits = |lexer: &mut Self| lexer.take_while(|letter| letter.is_ascii_digit());
        let mut text = digits(self);
        let mut whole = true;
        let mut ahead = self.rest().chars();
        if ahead.next() == Some('.') && ahead.next().is_some_and(|it| it.is_ascii_digit()) {
            whole = false;
            self.next();
            text = format!("{text}.{}", digits(self));
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            whole = false;
            self.next();
            text.push('e');
            if let Some(sign @ ('+' | '-')) = self.peek() {
                self.next();
                text.push(sign);
            }
            text.push_str(&digits(self));
        }
        let number = match whole {
            true => text.parse().ok().map(Kind::Int),
            false => text.parse().ok().filter(|it: &f64| it.is_finite()).map(Kind::Float),
        };
        let follows = self.peek().is_some_and(|it| it.is_alphanumeric() || it == '_');
        match number {
            Some(_) if follows => {
                let text = "a name begins with a letter; write any other in back quotes: `2a`";
                Err(place.error(text))
            }
            Some(number) => Ok(number),
            _ => Err(place.error("this is no number of 64 bits")),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String> {
        let begin = self.place;
        self.next();
        let mut text = String::new();
        loop {
            let place = self.place;
            match self.next() {
                None => return Err(begin.error(format!("the closing {quote} is missing"))),
                // Two back quotes are one in a name.
                Some('`') if quote == '`' && self.peek() == Some('`') => {
                    self.next();
                    text.push('`');
                }
                Some(letter) if letter == quote => return Ok(text),
                Some(letter) if quote == '`' && letter.is_control() => {
                    return Err(place.error("a name has no control characters"));
                }
                Some('\\') if quote != '`' => {
                    let letter = self.escaped();
                    text.push(letter.ok_or_else(|| {
                        place.error(
                            "this escape is not understood; there are \\\\ \\' \\\" \\` \\n \\r \\t \
                             \\b \\f \\uXXXX and \\UXXXXXXXX",
                        )
                    })?);
                }
                Some(letter) => text.push(letter),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.next()? {
            letter @ ('\\' | '\'' | '"' | '`') => letter,
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            _ => return None,
        })
    }

    fn code(&mut self, digits: u32) -> Option<char> {
        let mut code: u32 = 0;
        for _ in 0..digits {
            code = code.checked_mul(16)?.checked_add(self.next()?.to_digit(16)?)?;
        }
        char::from_u32(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        cut(text).unwrap().into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn texts_have_escapes() {
        for (written, meant) in [
            (r"'it\'s'", "it's"),
            (r#""a\"\\b""#, "a\"\\b"),
            (r"'\n\t\u00e4\U0001F600'", "\n\tä😀"),
            ("'a\nb'", "a\nb"),
        ] {
            assert_eq!(kinds(written)[0], Kind::Text(meant.to_owned()));
        }
        assert_eq!(kinds("`a``b\\`")[0], Kind::Quoted("a`b\\".to_owned()));
    }

    #[test]
    fn numbers_are_read() {
        assert_eq!(
            kinds("1 1.5 2e3 1..2"),
            [
                Kind::Int(1),
                Kind::Float(1.5),
                Kind::Float(2000.0),
                Kind::Int(1),
                Kind::Sign(".."),
                Kind::Int(2),
                Kind::End
            ]
        );
    }

    #[test]
    fn what_is_no_word_is_told_with_its_place() {
        for (text, told) in [
            ("a\n  'b", "2:3: the closing ' is missing"),
            ("'ä\\q'", "1:3: this escape is not understood"),
            ("'\\ud800'", "1:2: this escape is not understood"),
            ("99999999999999999999", "1:1: this is no number of 64 bits"),
            ("1e999", "1:1: this is no number of 64 bits"),
            ("12ab", "1:1: a name begins with a letter; write any other in back quotes"),
            ("a § b", "1:3: '§' is not understood here"),
            ("/* a", "1:1: this comment does not end"),
        ] {
            let error = cut(text).unwrap_err().text;
            assert!(error.starts_with(told), "{error}");
        }
    }
}
